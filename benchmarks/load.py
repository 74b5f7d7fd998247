"""Asks a server over HTTP/1.1 connections that stay open, one request after the other on each."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

_HEAD_END = b"\r\n\r\n"


class AnswerBrokenError(ValueError):
    """What came is not HTTP/1.1 as servers of tiles send it."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one replay showed."""

    seconds: float
    latencies: tuple[float, ...]
    """Seconds of each request that was answered; empty where the client gives percentiles only."""
    answered: int
    received: int
    """Bytes of the bodies."""
    failed: int
    """Answers other than 200, and connections that broke."""
    cut: bool = False
    """The time was over before the trace."""
    told: tuple[float, float] | None = None
    """p50 and p99 in seconds, where the client gives percentiles only."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds if self.seconds else 0.0

    @property
    def p50(self) -> float:
        """Median latency, seconds."""
        return self.told[0] if self.told else percentile(self.latencies, 0.5)

    @property
    def p99(self) -> float:
        """Latency that one request in a hundred exceeds, seconds."""
        return self.told[1] if self.told else percentile(self.latencies, 0.99)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest value that at least this share of the values does not exceed; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    rank = max(1, -(-int(len(ordered) * share * 1000) // 1000))
    return ordered[min(rank, len(ordered)) - 1]


def answer_length(buffer: bytes | bytearray) -> tuple[int, int, int] | None:
    """Read an answer at the start of a buffer.

    Returns:
        (status, bytes of the body, bytes of the whole answer), or None while it is not complete.

    Raises:
        AnswerBrokenError: If it is not HTTP/1.1 with a length or in chunks.
    """
    end = buffer.find(_HEAD_END)
    if end < 0:
        return None
    head = bytes(buffer[:end]).lower()
    if not head.startswith(b"http/1.1 "):
        raise AnswerBrokenError(repr(head[:40]))
    status = int(head[9:12])
    start = end + len(_HEAD_END)
    found = re.search(rb"\r\ncontent-length: *(\d+)", head)
    if found:
        length = int(found[1])
        return (status, length, start + length) if len(buffer) >= start + length else None
    if status in {204, 304}:
        return status, 0, start
    if b"\r\ntransfer-encoding: chunked" in head:
        chunks = _chunked(buffer, start)
        return None if chunks is None else (status, *chunks)
    raise AnswerBrokenError("an answer without length")


def _chunked(buffer: bytes | bytearray, position: int) -> tuple[int, int] | None:
    body = 0
    while True:
        line = buffer.find(b"\r\n", position)
        if line < 0:
            return None
        size = int(bytes(buffer[position:line]).partition(b";")[0], 16)
        position = line + 2 + size + 2
        if len(buffer) < position:
            return None
        if size == 0:
            return body, position
        body += size


@dataclass
class _Tally:
    begun: float
    at_least: float
    latencies: list[float] = field(default_factory=list)
    received: int = 0
    failed: int = 0


class _Lane(asyncio.Protocol):
    """One connection; asks its list, again until the time is over."""

    def __init__(self, requests: Sequence[bytes], tally: _Tally, done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._tally = tally
        self._done = done
        self._next = 0
        self._buffer = bytearray()
        self._sent = 0.0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._next])

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            found = answer_length(self._buffer)
        except (AnswerBrokenError, ValueError):
            self._tally.failed += 1
            self._end()
            return
        if found is None:
            return
        status, body, whole = found
        now = time.perf_counter()
        del self._buffer[:whole]
        if status == 200:
            self._tally.latencies.append(now - self._sent)
            self._tally.received += body
        else:
            self._tally.failed += 1
        self._next += 1
        if self._next == len(self._requests):
            if now - self._tally.begun >= self._tally.at_least:
                self._end()
                return
            self._next = 0
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if not self._done.done():
            self._tally.failed += 1
            self._done.set_result(None)

    def _end(self) -> None:
        if not self._done.done():
            self._done.set_result(None)
        self._transport.close()


def replay(
    port: int,
    paths: Sequence[Sequence[str]],
    headers: Sequence[tuple[str, str]] = (),
    *,
    at_least: float = 0.0,
    at_most: float = 600.0,
) -> Run:
    """Ask a server of this machine, each list of paths on a connection of its own, all at once.

    Args:
        port: Where it listens on 127.0.0.1.
        paths: One list a connection.
        headers: Sent with each request.
        at_least: Seconds; a list that ends sooner is asked again from its start.
        at_most: Seconds after which the run is cut.
    """
    more = "".join(f"{name}: {value}\r\n" for name, value in headers)
    wanted = [
        [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}\r\n".encode() for path in lane]
        for lane in paths
        if lane
    ]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_replay(port, wanted, at_least, at_most))


async def _replay(port: int, wanted: list[list[bytes]], at_least: float, at_most: float) -> Run:
    loop = asyncio.get_running_loop()
    tally = _Tally(begun=time.perf_counter(), at_least=at_least)
    ends = [loop.create_future() for _ in wanted]
    transports = []
    for requests, end in zip(wanted, ends, strict=True):
        transport, _ = await loop.create_connection(
            lambda requests=requests, end=end: _Lane(requests, tally, end), "127.0.0.1", port
        )
        transports.append(transport)
    _, late = await asyncio.wait(ends, timeout=at_most)
    seconds = time.perf_counter() - tally.begun
    for end in late:
        end.set_result(None)
    for transport in transports:
        transport.abort()
    return Run(
        seconds=seconds,
        latencies=tuple(tally.latencies),
        answered=len(tally.latencies),
        received=tally.received,
        failed=tally.failed,
        cut=bool(late),
    )


def has_wrk() -> bool:
    """Tell whether wrk is there, whose ceiling is far above that of a client in Python."""
    return shutil.which("wrk") is not None


def hammer(
    port: int,
    paths: Sequence[str],
    headers: Sequence[tuple[str, str]] = (),
    *,
    connections: int = 8,
    seconds: int = 3,
) -> Run:
    """Ask for paths in turn as fast as a server answers: with wrk where it is installed, else as `replay`."""
    if not has_wrk():
        lanes = [list(paths[number % len(paths) :: connections]) for number in range(connections)]
        return replay(port, lanes, headers, at_least=seconds)
    more = [part for name, value in headers for part in ("-H", f"{name}: {value}")]
    address = f"http://127.0.0.1:{port}{paths[0]}"
    with tempfile.TemporaryDirectory() as folder:
        if len(paths) > 1:
            script = Path(folder) / "paths.lua"
            script.write_text(wrk_script(paths), encoding="utf-8")
            more += ["-s", str(script)]
        done = subprocess.run(
            ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", *more, address],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 30,
        )
    return read_wrk(done.stdout)


def wrk_script(paths: Sequence[str]) -> str:
    """Write what makes wrk ask for paths in turn; the requests are formatted once, before it begins."""
    listed = ",\n".join(f'"{path}"' for path in paths)
    return f"""local paths = {{
{listed}
}}
local requests, turn = {{}}, 0
init = function()
  for number, path in ipairs(paths) do requests[number] = wrk.format("GET", path) end
end
request = function()
  turn = turn % #requests + 1
  return requests[turn]
end
"""


_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
_SIZES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}


def read_wrk(text: str) -> Run:
    """Read what wrk printed; its bytes count heads too."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m), ([\d.]+)(KB|MB|GB|B) read", text)
    spread = {
        name: float(value) * _UNITS[unit]
        for name, value, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    }
    if total is None or len(spread) != 2:
        raise AnswerBrokenError(f"wrk said: {text[-300:]}")
    bad = sum(int(count) for count in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    for numbers in re.findall(r"Socket errors: (.*)", text):
        bad += sum(int(count) for count in re.findall(r"\d+", numbers))
    return Run(
        seconds=float(total[2]) * _UNITS[total[3]],
        latencies=(),
        answered=int(total[1]) - bad,
        received=int(float(total[4]) * _SIZES[total[5]]),
        failed=bad,
        told=(spread["50"], spread["99"]),
    )
