"""What the running server promises: it starts fast, never stays down, stops cleanly, reloads whole or not."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auth.edits import add_by_content, revoke_key
from auth.reach import EVERYWHERE, Selector
from auth.rules import new_grant
from auth.store import SqlPolicyStore
from server.database import open_database
from server.shared import MEMORY, room_megabytes
from tests.conftest import (
    ROOT,
    SCALE,
    Reply,
    Server,
    flux,
    free_port,
    position_pixels,
    serving,
    wait_until,
    write_raster,
)
from tests.server.conftest import run_all

SCENES = 20
TILE = "/tiles/{}/WebMercatorQuad/15/16513/11964.png"
"""In the middle of the scenes of this module."""
SWEEP = 16
"""New connections per look: that all of them meet one of two workers has odds of 1 in 32 768."""


@pytest.fixture(scope="module")
def key_and_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Bank 20 scenes and make a key that may see them."""
    folder = tmp_path_factory.mktemp("twenty")
    home = folder / "home"
    for number in range(SCENES):
        pixels = position_pixels(300, 400, 3)
        pixels[0, 0, 0] = 10 + number
        write_raster(folder / "in" / f"scene_202405{number + 1:02d}.tif", pixels, photometric="RGB")
    done = run_all(
        home,
        ["bank", str(folder / "in"), "--collection", "town", "--licence", "town-only"],
        ["institution", "add", "region"],
        ["institution", "add", "partner"],
        ["grant", "add", "region", "--licence", "town-only"],
        ["key", "create", "region"],
    )
    assert [d.status for d in done] == [0] * len(done), done
    return done[-1].stdout.strip(), home


@pytest.fixture(scope="module")
def home(key_and_home: tuple[str, Path]) -> Path:
    return key_and_home[1]


@pytest.fixture(scope="module")
def key(key_and_home: tuple[str, Path]) -> str:
    return key_and_home[0]


@pytest.fixture(scope="module")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a copy of the home to all tests that leave a server as good as they found it."""
    copy = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(home, copy)
    with serving(copy) as running:
        yield running


Measured = Callable[[str, list[float]], None]


@pytest.fixture
def measured(capsys: pytest.CaptureFixture[str]) -> Measured:
    """Give a function that shows times, whatever pytest captures."""

    def show(what: str, times: list[float]) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{what} after {', '.join(f'{t:.2f} s' for t in times)}\n")

    return show


def statuses(server: Server, path: str, key: str) -> set[int]:
    """Ask over many new connections, so that every worker answers."""
    return {server.get(path, {"X-API-Key": key}).status for _ in range(SWEEP)}


def everywhere(server: Server, path: str, key: str, status: int) -> Callable[[], bool]:
    return lambda: statuses(server, path, key) == {status}


def gone(pid: int) -> bool:
    """Tell whether a process has ended; one that only waits to be reaped by others has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def stopped(server: Server) -> int:
    """Ask the server to stop and give its exit status."""
    server.process.send_signal(signal.SIGTERM)
    return server.process.wait(10)


def test_ready_soon_after_the_start(home: Path, measured: Measured) -> None:
    times = []
    for _ in range(max(1, round(5 * SCALE))):
        started = time.monotonic()
        with serving(home) as running:
            times.append(time.monotonic() - started)
            assert running.ready()
    measured(f"ready with {SCENES} scenes", times)
    assert max(times) < 15


def test_workers_killed_twice_in_a_row_are_back(server: Server, key: str, measured: Measured) -> None:
    answered = everywhere(server, TILE.format("town"), key, 200)
    assert answered()
    died = server.log.read_text().count("worker_died")
    times = []
    for _ in range(2):  # at once after each other: on a quiet machine well within 3 s
        before = server.workers()
        assert len(before) == 2
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda gone=before: not set(gone) & set(server.workers()), seconds=5)
        wait_until(lambda: len(server.workers()) == 2 and listening(server) == 2, seconds=5)
        times.append(time.monotonic() - killed)
        assert server.ready()
    measured("killed workers back", times)
    assert server.process.poll() is None
    assert answered()
    assert server.log.read_text().count("worker_died") == died + 4


def listening(server: Server) -> int:
    """Count the sockets that listen on the server's port: one per worker that serves."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1].endswith(f":{server.port:04X}") and row[3] == "0A" for row in rows)


def test_a_worker_that_dies_over_and_over_is_brought_back_each_time(server: Server) -> None:
    for _ in range(5):
        victim = wait_for_workers(server, 2)[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda pid=victim: pid not in server.workers(), seconds=5)
    wait_for_workers(server, 2)
    wait_until(server.ready, seconds=5)


def wait_for_workers(server: Server, count: int) -> list[int]:
    wait_until(lambda: len(server.workers()) == count, seconds=5)
    return server.workers()


def ask_on_a_line_of_its_own(server: Server, path: str, key: str) -> tuple[int, int, str | None]:
    """Give status, length of the body and the length that was promised."""
    with line_to(server) as line:
        line.request("GET", path, headers={"X-API-Key": key})
        reply = line.getresponse()
        return reply.status, len(reply.read()), reply.getheader("Content-Length")


def line_to(server: Server) -> contextlib.closing[http.client.HTTPConnection]:
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=20))


def test_sigterm_finishes_what_is_under_way_and_ends_with_0(home: Path, key: str) -> None:
    with (
        # a slow machine refuses what waited for too long, which is another promise
        serving(home, workers=1, FLUX_HTTP__THREADS="1", FLUX_HTTP__DEADLINE_SECONDS="60") as running,
        line_to(running) as idle,
        line_to(running) as watch,
        ThreadPoolExecutor(8) as callers,
    ):
        worker = running.workers()
        assert ready_on(idle) == ready_on(watch) == 200
        # each is another picture, and one thread makes them one after the other: on a slow machine as well
        # within the 9 s that a worker is given to stop
        asked: list[Future[tuple[int, int, str | None]]] = [
            callers.submit(ask_on_a_line_of_its_own, running, f"/preview/town.webp?width={300 + n}", key)
            for n in range(8)
        ]
        next(as_completed(asked, timeout=60))
        begun = time.monotonic()
        running.process.send_signal(signal.SIGTERM)
        under_way = sum(not a.done() for a in asked)
        seen = set()
        with contextlib.suppress(OSError, http.client.HTTPException):  # the line is closed in the end
            while running.process.poll() is None:
                seen.add(ready_on(watch))
                time.sleep(0.02)
        replies = [a.result(20) for a in asked]
        assert under_way > 3, "the pictures were made too fast to test anything"
        assert {status for status, _, _ in replies} == {200}
        assert all(str(size) == promised for _, size, promised in replies)
        assert seen <= {200, 503}
        assert 503 in seen, "a server that stops says first that it is not ready"
        assert running.process.wait(10) == 0
        assert time.monotonic() - begun < 10
        assert all(gone(pid) for pid in worker)


def ready_on(line: http.client.HTTPConnection) -> int:
    line.request("GET", "/health/ready")
    reply = line.getresponse()
    reply.read()
    return reply.status


def shared_blocks(running: Server) -> set[Path]:
    """Give the folder in which workers share blocks, by the lock that they hold; none without room."""
    files = {file.resolve() for file in Path(f"/proc/{running.workers()[0]}/fd").iterdir()}
    found = {path.parent for path in files if path.parent.name.startswith("flux-blocks-")}
    assert len(found) == (MEMORY.is_dir() and room_megabytes(MEMORY) >= 64)
    return found


def test_nothing_is_left_behind(home: Path) -> None:
    with serving(home) as running:
        pids = [running.process.pid, *running.workers()]
        blocks = shared_blocks(running)
        assert all(folder.is_dir() for folder in blocks)
        assert len(pids) == 3
        assert stopped(running) == 0
        assert all(gone(pid) for pid in pids)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port), timeout=1)
    assert not any(folder.exists() for folder in blocks)
    assert [path.name for path in (home / "run").rglob("*") if path.is_file()] == ["rates.table"]


def test_an_interrupt_from_the_keyboard_stops_it_like_sigterm(home: Path) -> None:
    with serving(home) as running:
        for pid in running.workers():
            os.kill(pid, signal.SIGINT)  # a terminal sends it to all of them
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 0


def test_workers_do_not_outlive_a_killed_supervisor(home: Path) -> None:
    with serving(home) as running:
        workers = running.workers()
        blocks = shared_blocks(running)
        running.process.kill()
        running.process.wait(5)
        wait_until(lambda: all(gone(pid) for pid in workers), seconds=12)
    with serving(home) as again:  # what the dead one left is in nobody's way
        assert again.ready()
        assert not any(folder.exists() for folder in blocks)
        assert {p.name for p in (home / "run").iterdir()} == {f"metrics-{again.process.pid}", "usage"}
        counting = list((home / "run" / "usage").glob("*.counters"))
        assert len(counting) == len(again.workers())


def ask(server: Server, path: str, headers: dict[str, str]) -> Reply:
    """Ask, and once more if the line was closed before anything came: what every HTTP client does for a GET.

    A worker that leaves closes lines on which a request may just be arriving.
    """
    try:
        return server.get(path, headers)
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return server.get(path, headers)


def title(server: Server) -> set[str]:
    return {ask(server, "/?lang=en", {"Accept": "application/json"}).json["title"] for _ in range(SWEEP)}


def test_sighup_takes_new_settings_whole_and_wrong_ones_not_at_all(home: Path, tmp_path: Path) -> None:
    config = home / "flux.toml"
    try:
        config.write_text('[service]\ntitle_en = "First"\n')
        with serving(home) as running:
            assert title(running) == {"First"}
            config.write_text('[service]\ntitle_en = "Second"\n[http]\nport = 1\n')
            before = running.workers()
            running.process.send_signal(signal.SIGHUP)
            wait_until(lambda: title(running) == {"Second"}, seconds=10)
            wait_until(lambda: not set(before) & set(running.workers()), seconds=10)
            held = wait_for_workers(running, 2)
            (tmp_path / "grids").mkdir()
            (tmp_path / "grids" / "bad.json").write_text("{")
            for wrong, said in (
                ('[service]\ntitle_en = "Third"\n[tiles]\nempty = "maybe"\n', "tiles.empty"),
                ('[service]\ntitle_en = "Third"\nunknown = 1\n', "service.unknown"),
                ('unknown = 1\n[service]\ntitle_en = "Third"\n', "unknown"),
                ("[service\n", "flux.toml"),
                (f'data_folder = "{tmp_path}"\n[service]\ntitle_en = "Third"\n', "no worker can start"),
            ):
                config.write_text(wrong)
                seen = len(running.log.read_text())
                running.process.send_signal(signal.SIGHUP)
                wait_until(
                    lambda at=seen: "settings_refused" in running.log.read_text()[at:],
                    seconds=10,
                    what=running.log.read_text,
                )
                assert said in running.log.read_text()[seen:]
                wait_until(lambda: sorted(running.workers()) == sorted(held), seconds=10)
                assert title(running) == {"Second"}
            assert running.process.poll() is None
    finally:
        config.unlink()


def test_sighup_loses_no_request(home: Path, key: str) -> None:
    with serving(home) as running:
        before, seen = set(running.workers()), set()

        def all_are_new() -> bool:
            seen.update(ask(running, TILE.format("town"), {"X-API-Key": key}).status for _ in range(SWEEP))
            return not before & set(running.workers())

        running.process.send_signal(signal.SIGHUP)
        wait_until(all_are_new, seconds=30)
        assert all_are_new()
        assert seen == {200}


def start_wrongly(home: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server", "--home", str(home), "serve", *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize("holder", ["another server", "another program"])
def test_a_taken_port_is_told_with_status_1(home: Path, holder: str) -> None:
    if holder == "another server":
        with serving(home, workers=1) as running:
            done, port = start_wrongly(home, "--port", str(running.port)), running.port
            assert running.ready()
    else:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = start_wrongly(home, "--port", str(port))
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "can't listen" in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


WRONG: tuple[tuple[list[str], dict[str, str], str], ...] = (
    ([], {"FLUX_HTTP__PORT": "99999"}, "http.port"),
    ([], {"FLUX_HTTP__WORKERS": "0"}, "http.workers"),
    ([], {"FLUX_TILES__EMPTY": "maybe"}, "tiles.empty"),
    ([], {"FLUX_AUTH__STALE_SECONDS": "soon"}, "auth.stale_seconds"),
    ([], {"FLUX_AUTH__PEPPER": "short"}, "auth.pepper"),
    ([], {"FLUX_DATA_FOLDER": "/nowhere"}, "data_folder"),
    ([], {"FLUX_DATA_ROOTS": "[not json"}, "data_roots"),
    ([], {"FLUX_HTTP__TRUSTED_PROXIES": "not a list"}, "http"),
    (["--port", "99999"], {}, "http.port"),
    (["--workers", "0"], {}, "http.workers"),
)
"""Options, variables, and the name that has to be told; test_settings has those of flux.toml."""


def test_wrong_settings_are_told_by_name_with_status_2(tmp_path: Path) -> None:
    lines = [["serve", *options] for options, _, _ in WRONG]
    answers = run_all(tmp_path, *lines, environments=[variables for _, variables, _ in WRONG])
    for (_, _, name), done in zip(WRONG, answers, strict=True):
        assert done.status == 2, done
        assert name in done.stderr
        assert done.stack is None
        assert "short" not in done.stderr, "a secret is never shown"
        assert not done.stdout


def test_a_wrong_setting_ends_the_process_with_status_2(tmp_path: Path) -> None:
    (tmp_path / "flux.toml").write_text("[http]\nprot = 8000\n")
    done = start_wrongly(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "http.prot" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_would_stop_every_worker_is_told_before_without_a_stack(tmp_path: Path) -> None:
    (tmp_path / "grids").mkdir()
    (tmp_path / "grids" / "bad.json").write_text("{")
    cases = {
        "FLUX_DATABASE_URL": ("sqlite:////nowhere/at/all.db", "database"),
        "FLUX_DATABASE_URL ": ("nonsense", "database"),
        "FLUX_DATA_FOLDER": (str(tmp_path), "bad.json"),
    }
    environments = [{name.strip(): value} for name, (value, _) in cases.items()]
    answers = run_all(tmp_path / "home", *[["serve"]] * len(cases), environments=environments)
    for (_, said), done in zip(cases.values(), answers, strict=True):
        assert done.status == 1, done
        assert said in done.stderr
        assert done.stack is None


def test_revoking_granting_and_banking_hold_on_all_workers_within_5_seconds(
    server: Server, tmp_path: Path, measured: Measured
) -> None:
    home, tile = server.home, TILE.format("town")
    second = flux(home, "key", "create", "partner").stdout.strip()
    engine = open_database(None, home)
    store = SqlPolicyStore(engine)
    times = {}
    wait_until(everywhere(server, tile, second, 404), seconds=5)

    selector = Selector(licences=frozenset({"town-only"}))
    now = datetime.now(UTC)
    granted = new_grant("partner", selector, area=EVERYWHERE, now=now)
    store.change(add_by_content(granted), actor="test", at=now)
    times["granted"] = wait_until(everywhere(server, tile, second, 200), seconds=5)

    source = write_raster(tmp_path / "new_20240630.tif", position_pixels(300, 400, 3), photometric="RGB")
    flux(home, "bank", str(source), "--collection", "fresh", "--licence", "town-only")
    times["banked"] = wait_until(everywhere(server, TILE.format("fresh"), second, 200), seconds=5)

    now = datetime.now(UTC)
    assert store.change(revoke_key(second.split("_")[2], now), actor="test", at=now)
    times["revoked"] = wait_until(everywhere(server, tile, second, 401), seconds=5)
    assert statuses(server, "/layers", second) == {401}
    engine.dispose()
    for what, seconds in times.items():
        measured(f"{what} on all workers", [seconds])


def test_the_log_is_json_lines_and_names_the_address(server: Server) -> None:
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    listening_line = next(line for line in lines if line["event"] == "listening")
    assert re.fullmatch(rf"http://127\.0\.0\.1:{server.port}", listening_line["address"])


def test_port_0_takes_a_free_one_and_says_which(home: Path) -> None:
    log = home / "free.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "--home", str(home), "serve", "--port", "0"],
            stderr=output,
            cwd=ROOT,
        )
    try:
        wait_until(lambda: "listening" in log.read_text(), seconds=15)
        port = int(json.loads(log.read_text().splitlines()[0])["address"].rpartition(":")[2])
        wait_until(Server(home, port, process, log).ready, seconds=15)
        assert port != free_port()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
