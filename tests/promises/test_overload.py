"""Ten times what it can do: the rest is refused at once, what is taken is done, and others are not hurt.

The clients send at set times whether or not there are answers (an open loop), each request on a line of its
own and each another picture, so that no cache helps.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.conftest import SCALE, Server, Town, serving, wait_until
from tests.promises.conftest import Show
from tests.server.conftest import copy_home

QUEUE = 8
SECONDS = 4 + 20 * SCALE
SETTINGS = {
    "FLUX_HTTP__THREADS": "1",
    "FLUX_HTTP__QUEUE": str(QUEUE),
    "FLUX_TILES__DISK_CACHE_MEGABYTES": "0",
}


@dataclass
class Answers:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    retry_after: set[str | None] = field(default_factory=set)
    """What those of 503 said."""
    seconds: dict[int, list[float]] = field(default_factory=dict)
    """How long each took, by status."""

    def median(self, status: int) -> float:
        return statistics.median(self.seconds.get(status, [float("nan")]))


class Pictures:
    """Addresses that were never asked for before: each is another content key, and as much work."""

    def __init__(self, layer: str) -> None:
        self.layer = layer
        self.number = 900_000

    def next(self) -> str:
        self.number += 1
        return f"/preview/{self.layer}.png?width=1024&max_bytes={self.number}"


@pytest.fixture(scope="module")
def server(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = copy_home(town, tmp_path_factory.mktemp("overload") / "home")
    with serving(home, workers=1, **SETTINGS) as running:
        yield running


async def ask(server: Server, path: str, key: str, answers: Answers) -> None:
    begun = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(request(path, key))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        await reader.read()
    finally:
        writer.close()
    status = int(head.split()[1])
    answers.statuses[status] += 1
    answers.seconds.setdefault(status, []).append(time.monotonic() - begun)
    if status == 503:
        named = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        answers.retry_after.add(named.get("retry-after"))


def request(path: str, key: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: flux\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n".encode()


async def closed_loop(server: Server, pictures: Pictures, key: str, seconds: float, clients: int) -> Answers:
    """Let clients ask one picture after the other."""
    answers = Answers()
    end = time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < end:
            await ask(server, pictures.next(), key, answers)

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers


async def open_loop(server: Server, pictures: Pictures, key: str, per_second: float) -> Answers:
    """Send at set times, whatever comes back."""
    answers = Answers()
    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(round(per_second * SECONDS)):
            await asyncio.sleep(max(0.0, begun + number / per_second - time.monotonic()))
            group.create_task(ask(server, pictures.next(), key, answers))
    return answers


def test_ten_times_too_much_is_shed_and_the_rest_is_served(server: Server, town: Town, show: Show) -> None:
    flood, quiet = Pictures("granted"), Pictures("hidden")

    async def whole() -> tuple[Answers, float, Answers, float, Answers]:
        alone = await closed_loop(server, quiet, town.other_key, 1.5, 1)
        begun = time.monotonic()
        capacity = await closed_loop(server, flood, town.key, 2, 3)
        rate = capacity.statuses[200] / (time.monotonic() - begun)
        begun = time.monotonic()
        shed, beside = await asyncio.gather(
            open_loop(server, flood, town.key, 10 * rate),
            closed_loop(server, quiet, town.other_key, SECONDS, 1),
        )
        good = (shed.statuses[200] + beside.statuses[200]) / (time.monotonic() - begun)
        assert set(alone.statuses) == set(capacity.statuses) == {200}
        return alone, rate, shed, good, beside

    alone, rate, shed, good, beside = asyncio.run(asyncio.wait_for(whole(), 120))
    show(
        f"overload: {rate:.1f}/s can be done; of {shed.statuses.total()} sent at ten times that"
        f" {shed.statuses[503]} were refused (median after {shed.median(503) * 1000:.0f} ms); in all"
        f" {good:.1f}/s were done ({good / rate:.0%}), those of the flood in {shed.median(200):.2f} s;"
        f" the other institution waited {beside.median(200) * 1000:.0f} ms instead of"
        f" {alone.median(200) * 1000:.0f} ms (medians, {beside.statuses.total()} answers)"
    )
    assert set(shed.statuses) == {200, 503}
    assert shed.statuses[503] > shed.statuses[200], "that was no overload"
    assert all(said is not None and 1 <= int(said) <= 30 for said in shed.retry_after)
    assert set(beside.statuses) == {200}, "a flood of one institution refused another"
    assert good >= 0.3 * rate, "goodput collapsed"
    assert server.get("/health/ready").status == 200
    # and when it is over, all is as before
    after = asyncio.run(closed_loop(server, flood, town.key, 0.5, 2))
    assert set(after.statuses) == {200}


def test_without_the_bound_nothing_would_be_refused(town: Town, own_home_of_overload: Server) -> None:
    """Show that it is the queue's bound that refuses: three times its length waits where it may."""
    pictures, answers = Pictures("granted"), Answers()

    async def whole() -> None:
        await asyncio.gather(
            *(ask(own_home_of_overload, pictures.next(), town.key, answers) for _ in range(3 * QUEUE))
        )

    asyncio.run(asyncio.wait_for(whole(), 60))
    assert answers.statuses == {200: 3 * QUEUE}


@pytest.fixture
def own_home_of_overload(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = copy_home(town, tmp_path_factory.mktemp("endless") / "home")
    endless = {**SETTINGS, "FLUX_HTTP__QUEUE": "10000", "FLUX_HTTP__DEADLINE_SECONDS": "60"}
    with serving(home, workers=1, **endless) as running:
        yield running


def count_of(server: Server, town: Town, name: str) -> float:
    lines = server.get("/metrics", {"X-API-Key": town.operator_key}).body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


GONE = 'flux_http_clients_gone_total{route="preview"}'


def test_that_a_client_has_gone_is_noticed(server: Server, town: Town) -> None:
    """What then is not made, tests/server/test_miss_path.py shows; here the server itself tells of it."""
    pictures, gone = Pictures("granted"), count_of(server, town, GONE)

    async def leave() -> None:
        lines = []
        for _ in range(QUEUE):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request(pictures.next(), town.key))
            lines.append(writer)
        await asyncio.sleep(0.05)  # most are read, and wait behind the first
        for writer in lines:
            writer.transport.abort()

    def noticed() -> bool:
        asyncio.run(leave())
        time.sleep(0.3)
        return count_of(server, town, GONE) > gone

    wait_until(noticed, seconds=20)
