"""Hidden and missing are one answer: the same bytes, in times that differ by less than the noise."""

from __future__ import annotations

import random
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest
import shapely

from auth.credentials import Peppers, _checksum, new_key
from auth.edits import add, together
from auth.models import Institution
from auth.reach import Selector, new_area
from auth.rules import new_grant
from mosaics.catalog.sql import SqlCatalog
from server.database import connect
from tests.access.test_table import LAYER_ROUTES
from tests.conftest import SCALE, Server, Town, serving, wait_until
from tests.promises.conftest import Show, rights_of
from tests.server.conftest import copy_home

SAMPLES = max(150, round(3000 * SCALE))
"""Askings of each name on each route."""
SHUFFLES = 2000
ALPHA = 1e-3
"""Chance that one try takes noise for a difference; a test fails only if TRIES in a row do."""
TRIES = 3
HIDDEN_SCENES = 400

HIDDEN = ("hidden", "hidden:hidden_20240517")
MISSING = ("nixnix", "neinei"), ("hidden:hidden_20240518", "nixnix:nixnix_20240517")
"""For each hidden name two that are not there, as long."""


@pytest.fixture(scope="module")
def server(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a home whose hidden collection has many scenes, so that looking at each of them would show."""
    home = copy_home(town, tmp_path_factory.mktemp("hidden") / "home")
    engine = connect(None, home)
    catalog = SqlCatalog(engine)
    found = next(catalog.item(*key) for key in catalog.changes(0).scenes.keys if key[0] == "hidden")
    for number in range(HIDDEN_SCENES):
        catalog.put_scene("hidden", {**found, "id": f"more_{number}"}, f"digest{number}")
    engine.dispose()
    with serving(home, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def far_key(server: Server) -> str:
    """Make a key that may see the hidden collection in a place where nothing of it is."""
    now = datetime.now(UTC)
    peppers = Peppers(by_version={1: (server.home / "pepper").read_text().strip().encode()})
    key, text = new_key("live", "far", peppers, url_allowed=True, now=now)
    area = new_area(shapely.to_wkb(shapely.box(100, 0, 101, 1)))
    grant = new_grant("far", Selector(collections=frozenset({"hidden"})), area=area, now=now)
    with rights_of(server.home) as change:
        change(together(add(Institution(id="far", name="far")), add(key), add(grant)))
    wait_until(lambda: server.get("/whoami", {"X-API-Key": text}).status == 200, seconds=15)
    return text


class Line:
    """One kept connection; as little as can be between the clock and the server."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[bytes, int]:
        """Give the whole answer, and the nanoseconds that it took."""
        begun = time.perf_counter_ns()
        self._socket.sendall(request)
        answer = self._socket.recv(65536)
        took = time.perf_counter_ns() - begun
        while True:
            head, gap, body = answer.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            if gap and length and len(body) >= int(length[1]):
                return answer, took
            more = self._socket.recv(65536)
            assert more, answer
            answer += more

    def close(self) -> None:
        self._socket.close()


def written(path: str, key: str | None) -> bytes:
    credential = f"X-API-Key: {key}\r\n" if key else ""
    return f"GET {path} HTTP/1.1\r\nHost: flux.example.org\r\n{credential}\r\n".encode()


def comparable(answer: bytes) -> bytes:
    """Take away what differs between any two answers."""
    return re.sub(rb"(?im)^(x-request-id|date): [^\r]*\r\n", b"", answer)


def sampled(port: int, requests: list[bytes], count: int) -> np.ndarray:
    """Ask each request `count` times, interleaved in random order: nanoseconds, (requests, count)."""
    chance, order = random.Random(), list(range(len(requests)))
    took = np.zeros((len(requests), count))
    with closing(Line(port)) as line:
        for request in requests * 5:
            line.ask(request)
        for number in range(count):
            chance.shuffle(order)
            for place in order:
                took[place, number] = line.ask(requests[place])[1]
    return took


def differs(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Compare medians: how far they are apart, and how far those of shuffled halves are by chance alone."""
    chance = np.random.default_rng()
    pool = np.concatenate([one, other])
    mixed = chance.permuted(np.broadcast_to(pool, (SHUFFLES, pool.size)), axis=1)
    apart = np.abs(np.median(mixed[:, : one.size], axis=1) - np.median(mixed[:, one.size :], axis=1))
    found = abs(float(np.median(one)) - float(np.median(other)))
    return found, float(np.quantile(apart, 1 - ALPHA))


def compare(port: int, requests: list[bytes], what: str, show: Show) -> None:
    """Fail if the first request takes another time than the others, over and over."""
    for _ in range(TRIES):
        took = sampled(port, requests, SAMPLES)
        apart, noise = differs(took[0], took[1:].ravel())
        among, _ = differs(took[1], took[2])
        median = float(np.median(took))
        show(
            f"{what}: median {median / 1e3:.0f} µs, hidden and missing {apart / 1e3:.2f} µs apart, "
            f"missing and missing {among / 1e3:.2f}, noise {noise / 1e3:.2f}"
        )
        if apart <= noise:
            return
    raise AssertionError(f"{what}: {apart / 1e3:.2f} µs apart, {TRIES} times in a row")


@pytest.mark.parametrize("caller", ["nobody", "region", "far"])
def test_the_bytes_are_the_same(town: Town, server: Server, far_key: str, caller: str) -> None:
    key = {"nobody": None, "region": town.key, "far": far_key}[caller]
    for route in LAYER_ROUTES.values():
        for hidden, missing in zip(HIDDEN, MISSING, strict=True):
            with closing(Line(server.port)) as line:
                answers = {
                    comparable(line.ask(written(route.format(layer=name), key))[0])
                    for name in (hidden, *missing)
                }
            assert len(answers) == 1, answers
            status = int(answers.pop().split()[1])
            assert status == (401 if caller == "nobody" else 400 if "request=" in route else 404)


@pytest.mark.parametrize("caller", ["nobody", "region", "far"])
@pytest.mark.parametrize("route", ["xyz_tile", "wmts_tile", "preview", "tilejson", "layer"])
def test_the_times_are_the_same(  # noqa: PLR0917 - pytest names them
    town: Town, server: Server, far_key: str, caller: str, route: str, show: Show
) -> None:
    key = {"nobody": None, "region": town.key, "far": far_key}[caller]
    path, pairs = LAYER_ROUTES[route], zip(HIDDEN, MISSING, strict=True)
    for hidden, missing in pairs if route == "xyz_tile" else list(pairs)[:1]:
        names = (hidden, *missing)
        requests = [written(path.format(layer=name), key) for name in names]
        compare(server.port, requests, f"{route} of {hidden} for {caller}", show)


def test_a_known_key_with_a_wrong_secret_takes_as_long_as_an_unknown_one(
    town: Town, server: Server, show: Show
) -> None:
    secret = "Z" * 32
    heads = [f"flx_live_{id_}_{secret}" for id_ in (town.key.split("_")[2], "QqQqQqQ1", "QqQqQqQ2")]
    requests = [written("/layers", head + _checksum(head)) for head in heads]
    with closing(Line(server.port)) as line:
        answers = {comparable(line.ask(request)[0]) for request in requests}
    assert len(answers) == 1
    assert answers.pop().startswith(b"HTTP/1.1 401")
    compare(server.port, requests, "a wrong secret", show)


def test_a_difference_of_a_tenth_is_found(town: Town, server: Server) -> None:
    path = LAYER_ROUTES["xyz_tile"]
    requests = [written(path.format(layer=name), town.key) for name in ("hidden", *MISSING[0])]
    for _ in range(TRIES):  # the noise of a loaded machine may hide it in one of them
        took = sampled(server.port, requests, SAMPLES)
        took[0] *= 1.1
        apart, noise = differs(took[0], took[1:].ravel())
        if apart > noise:
            return
    raise AssertionError(f"{apart / 1e3:.2f} µs apart in a noise of {noise / 1e3:.2f}")
