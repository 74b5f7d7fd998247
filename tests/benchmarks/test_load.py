"""The load generator reads what servers send and counts what they fail; reports do the sums right."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.addresses import STRETCHED
from benchmarks.cases import Case, Measure, ordered
from benchmarks.load import AnswerBrokenError, Run, answer_length, hammer, percentile, read_wrk, replay
from benchmarks.report import Found, Machine, as_document, is_short, lines, paired, table
from benchmarks.traces import Viewport, bounds, lanes, random_tiles, sessions, tile_range
from tests.conftest import need_program

BOX = (566_067.0, 5_734_678.0, 574_554.0, 5_743_195.0)
CASE = Case(
    name="one",
    title="",
    kind="tiles",
    scene="",
    look=STRETCHED,
    rivals=("other",),
    bars={("warm", "other"): 3},
)


class Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        type(self).asked.append((self.path, self.headers["X-API-Key"]))
        self.send_response(404 if self.path == "/missing" else 200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            return
        body = b"x" * 70_000
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Pages.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_request_of_every_lane_is_asked_once_in_order(port: int) -> None:
    run = replay(port, [["/a", "/b", "/chunked"], ["/c"]], [("X-API-Key", "k")], at_most=30)
    assert sorted(path for path, _ in Pages.asked) == ["/a", "/b", "/c", "/chunked"]
    assert [path for path, _ in Pages.asked if path != "/c"] == ["/a", "/b", "/chunked"]
    assert {key for _, key in Pages.asked} == {"k"}
    assert (run.answered, run.received, run.failed, run.cut) == (4, 3 * 70_000 + 5, 0, False)


def test_a_trace_is_asked_again_until_the_time_is_over(port: int) -> None:
    run = replay(port, [["/a", "/b"]], at_least=0.3, at_most=30)
    assert run.answered > 2
    assert run.answered % 2 == 0
    assert run.seconds >= 0.3


def test_what_is_not_200_is_a_failure_and_no_answer(port: int) -> None:
    run = replay(port, [["/a", "/missing", "/b"]], at_most=30)
    assert (run.answered, run.failed) == (2, 1)


@pytest.mark.parametrize("cut", range(1, 60))
def test_an_answer_in_pieces_is_complete_only_with_its_last_byte(cut: int) -> None:
    for whole in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    ):
        if cut < len(whole):
            assert answer_length(whole[:-cut]) is None
        assert answer_length(whole + b"HTTP/1.1 404") == (200, 5, len(whole))


@pytest.mark.parametrize(
    "head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: 1\r\n\r\n", b"SSH-2\r\n\r\n"]
)
def test_an_answer_of_unknown_length_is_refused(head: bytes) -> None:
    with pytest.raises(AnswerBrokenError):
        answer_length(head)


def test_the_figures_of_wrk_are_read() -> None:
    run = read_wrk(
        "  Latency Distribution\n     50%  210.00us\n     75%    1.00ms\n     99%    3.50ms\n"
        "  40000 requests in 2.00s, 1.50MB read\n  Non-2xx or 3xx responses: 10\n"
    )
    assert (run.answered, run.failed, run.rate) == (39_990, 10, 19_995)
    assert (run.p50, run.p99) == pytest.approx((0.00021, 0.0035))
    with pytest.raises(AnswerBrokenError):
        read_wrk("unable to connect")


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_percentiles(share: float, value: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def measured(engine: str, number: int, rate: float, failed: int = 0) -> Measure:
    run = Run(seconds=10, latencies=(0.1,), answered=int(rate * 10), received=1000, failed=failed)
    return Measure(case="one", phase="warm", engine=engine, number=number, run=run, memory=(5_000_000, 1))


def test_ratios_are_of_the_same_run_and_the_median_is_of_the_ratios() -> None:
    ours = [measured("flux", number, rate) for number, rate in enumerate((100, 10, 40))]
    theirs = [measured("other", number, rate) for number, rate in ((2, 10), (1, 5), (0, 10))]
    assert paired(ours, theirs) == [10, 2, 4]
    mine, other = lines([*theirs, *ours], [CASE])
    assert (mine.engine, mine.ratio, mine.rate, mine.memory) == ("flux", None, 40, 5)
    assert (other.ratio, other.spread, other.bar) == (4, (2, 10), 3)
    assert "x 4.00" in table([mine, other])
    assert not is_short(other)


@pytest.mark.parametrize(("rate", "failed"), [(29, 0), (40, 1)])
def test_a_bar_is_missed_by_a_low_ratio_and_by_a_failed_answer(rate: float, failed: int) -> None:
    _, other = lines([measured("flux", 0, rate), measured("other", 0, 10, failed)], [CASE])
    assert is_short(other)


def test_a_busy_machine_claims_no_bar() -> None:
    found = lines([measured("flux", 0, 10), measured("other", 0, 10)], [CASE])
    told = {
        load: as_document(
            Found(lines=found),
            Machine(day=date(2026, 1, 2), processor="P", cores=2, load=load, client="c", size=512),
        )
        for load in (0.3, 5.0)
    }
    assert "below its bar" in told[0.3]
    assert "no bar is claimed" in told[5.0]
    assert "below its bar" not in told[5.0]


def test_every_other_run_goes_backwards() -> None:
    assert [ordered("ab", number) for number in range(3)] == [["a", "b"], ["b", "a"], ["a", "b"]]


def test_random_tiles_lie_inside_and_are_the_same_each_time() -> None:
    tiles = random_tiles(BOX, [13, 18], 200, 1)
    assert tiles == random_tiles(BOX, [13, 18], 200, 1)
    assert tiles != random_tiles(BOX, [13, 18], 200, 2)
    assert sum(zoom == 13 for zoom, _, _ in tiles) == 100
    for tile in tiles:
        left, bottom, right, top = bounds(tile)
        assert left < BOX[2]
        assert right > BOX[0]
        assert bottom < BOX[3]
        assert top > BOX[1]
        if tile[0] == 18:
            assert left > BOX[0]
            assert right < BOX[2]


def test_a_session_goes_down_and_asks_for_no_tile_twice() -> None:
    for asked in sessions(BOX, range(13, 19), 8, 6, view=Viewport(), seed=1):
        zooms = [zoom for zoom, _, _ in asked]
        assert zooms == sorted(zooms)
        assert set(zooms) == set(range(13, 19))
        assert len(set(asked)) == len(asked)
        for zoom, x, y in asked:
            first, last, top, bottom = tile_range(BOX, zoom)
            assert first <= x <= last
            assert top <= y <= bottom


def test_lanes_keep_every_tile() -> None:
    tiles = random_tiles(BOX, [18], 21, 1)
    dealt = lanes(tiles, 8)
    assert len(dealt) == 8
    assert sorted(tile for lane in dealt for tile in lane) == sorted(tiles)


def test_wrk_asks_for_paths_in_turn(port: int) -> None:
    need_program("wrk")
    paths = ["/a", "/b?c=d", "/e"]
    run = hammer(port, paths, [("X-API-Key", "k")], connections=1, seconds=1)
    assert run.failed == 0
    turn = [(paths[number % 3], "k") for number in range(4)]
    assert Pages.asked[:4] == [turn[1], turn[2], turn[0], turn[1]]  # wrk takes one to try the script
