"""Runs what touches a doubtful file in a child process with limits, so that one bad file is refused alone.

`python -m mosaics.ingest.sandbox FD` is that child: it takes calls from the connection it is handed.
It guards against crashes, bombs and hangs, not against a library that was taken over.
"""

from __future__ import annotations

import ctypes
import importlib
import logging
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from mosaics.errors import IngestError
from mosaics.gdal import DELIVERED_DRIVERS, configure
from mosaics.ingest.source import Progress

_LOG = logging.getLogger(__name__)
_REPORT_SECONDS = 0.1
_POLL_SECONDS = 1.0
_START_SECONDS = 60.0
_CALLED = tuple(f"mosaics.ingest.{name}" for name in ("convert", "deliveries.raw", "examine"))
"""Modules of what most children are called for, which they load before the first call comes."""
_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux' prctl."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What the child may take."""

    memory_bytes: int = 4 << 30
    """Address space (RLIMIT_AS); libraries alone take about 1 GB of it."""
    stall_seconds: float = 300.0
    """Longest time without any progress."""
    cache_megabytes: int = 256
    """GDAL's block cache."""
    threads: int = 1
    """Threads that compress the blocks of one image."""


class Sandbox:
    """A child process that runs calls one after the other and is replaced when it dies; a context manager."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._child: tuple[subprocess.Popen[bytes], Connection] | None = None
        self._is_ready = False

    @property
    def threads(self) -> int:
        """How many threads may compress the blocks of one image."""
        return self._limits.threads

    def __enter__(self) -> Self:
        """Start the child, which imports libraries while the caller prepares the first call."""
        if self._child is None:
            self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child."""
        self.close()

    def close(self) -> None:
        """End the child; the next call starts another."""
        self._end()

    def run(
        self,
        name: str,
        function: Callable[..., Any],
        *arguments: Any,
        report: Progress,
        grows: Callable[[], Any] = int,
    ) -> Any:
        """Call `function(*arguments, report)` in the child and give its result.

        Args:
            name: Of the file, for messages.
            function: A function that can be imported by name; arguments and result can be pickled.
            arguments: All but the last.
            report: Gets the progress that the function reports.
            grows: Another sign of life: as long as what it gives changes, the child counts as working.

        Raises:
            IngestError: The function's own, or that the child died, hung or passed a limit.
        """
        process, connection = self._child or self._start()
        try:
            self._await_start(name, connection)
            connection.send((function, arguments))
            return self._wait(name, connection, report, grows)
        except (EOFError, ConnectionError) as error:
            self._end(kill=False)
            raise IngestError(f"{name}: {_death(process.returncode)}") from error
        except IngestError:
            raise
        except BaseException:
            self._end()
            raise

    def _await_start(self, name: str, connection: Connection) -> None:
        """Wait until the child takes calls; importing libraries is no fault of the file."""
        if self._is_ready:
            return
        if not connection.poll(_START_SECONDS):
            self._end()
            raise IngestError(f"{name}: no process to read it could be started; try again")
        connection.recv()
        self._is_ready = True

    def _wait(self, name: str, connection: Connection, report: Progress, grows: Callable[[], Any]) -> Any:
        """Hand on progress until the result comes."""
        seen, alive = grows(), time.monotonic()
        while True:
            if not connection.poll(min(_POLL_SECONDS, self._limits.stall_seconds)):
                now = grows()
                if now != seen:
                    seen, alive = now, time.monotonic()
                if time.monotonic() - alive > self._limits.stall_seconds:
                    self._end()
                    raise IngestError(
                        f"{name}: given up after {self._limits.stall_seconds:.0f} s without progress; the "
                        "file may be damaged, or its disk too slow"
                    )
                continue
            kind, payload = connection.recv()
            alive = time.monotonic()
            if kind == "progress":
                self._tell(report, *payload)
            elif kind == "done":
                return payload
            elif kind == "refused":
                raise IngestError(payload)
            elif kind == "memory":
                self._end()
                raise IngestError(
                    f"{name}: reading it needs more memory than a file may take "
                    f"({self._limits.memory_bytes >> 20} MB); write it again in blocks of 512, for instance "
                    "with: gdal_translate -of COG INPUT OUTPUT.tif"
                )
            else:
                _LOG.error("unexpected error with %s:\n%s", name, payload)
                raise IngestError(f"{name}: it can't be handled: {payload.strip().splitlines()[-1]}")

    def _tell(self, report: Progress, stage: str, done: float) -> None:
        """Hand on progress; if that raises the child ends: its answer would be taken for the next call's."""
        try:
            report(stage, done)
        except BaseException:
            self._end()
            raise

    def _start(self) -> tuple[subprocess.Popen[bytes], Connection]:
        ours, theirs = Pipe()
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [
                sys.executable,
                "-m",
                "mosaics.ingest.sandbox",
                str(theirs.fileno()),
                str(self._limits.memory_bytes),
                str(self._limits.cache_megabytes),
            ],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=child_environment(),
        )
        theirs.close()
        self._child = (process, ours)
        self._is_ready = False
        return self._child

    def _end(self, *, kill: bool = True) -> None:
        """End the child and collect its exit status."""
        if self._child is None:
            return
        process, connection = self._child
        self._child = None
        connection.close()
        if kill:
            process.kill()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _death(status: int | None) -> str:
    """Say how the child died."""
    if status is not None and status < 0:
        try:
            word = signal.Signals(-status).name
        except ValueError:
            word = f"signal {-status}"
        if -status == signal.SIGKILL:
            return (
                f"reading the file was killed ({word}): it probably needs more memory than the machine has; "
                "write it again in blocks of 512, for instance with: gdal_translate -of COG INPUT OUTPUT.tif"
            )
        return (
            f"reading the file crashed ({word}): it is damaged, or made to harm; write it again from its "
            "source, for instance with: gdal_translate INPUT OUTPUT.tif"
        )
    return f"reading the file ended without a result (exit status {status}); it may need too much memory"


def serve(connection: Connection) -> None:
    """Answer calls until the other side closes; the child's main loop."""
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        connection.send(_answer(function, arguments, _reporter(connection)))


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...], report: Progress) -> tuple[str, Any]:
    try:
        return "done", function(*arguments, report)
    except IngestError as error:
        return "refused", str(error)
    except MemoryError:
        return "memory", None
    except Exception:  # noqa: BLE001 - whatever it is, the parent must hear of it
        return "failed", traceback.format_exc()


def _reporter(connection: Connection) -> Progress:
    last = 0.0

    def report(stage: str, fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _REPORT_SECONDS or fraction >= 1:
            last = now
            connection.send(("progress", (stage, fraction)))

    return report


def main(arguments: list[str]) -> None:
    """Limit this process and serve calls.

    Args:
        arguments: File descriptor of the connection, bytes of memory, megabytes of GDAL's cache.
    """
    descriptor, memory_bytes, cache_megabytes = (int(argument) for argument in arguments)
    end_with_parent()
    # a Ctrl-C at the terminal reaches both; the parent decides and ends this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    configure(cache_megabytes, DELIVERED_DRIVERS)
    for module in _CALLED:
        importlib.import_module(module)
    connection = Connection(descriptor)
    try:
        connection.send("ready")
        serve(connection)
    except (BrokenPipeError, ConnectionResetError):
        return  # the parent is gone


def child_environment() -> dict[str, str]:
    """Give the environment of a child that finds the modules that this process finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def end_with_parent() -> None:
    """Let the kernel kill this process with the one that started it, lest it writes on beside the next."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
