"""Runs what touches a doubtful file in a child process with limits, so that one bad file is refused alone.

It guards against crashes, bombs and hangs, not against a library that was taken over. Nothing is loaded here
that reads files, so that the child can be started first thing.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mosaics.errors import IngestError
from mosaics.ingest.processes import child_environment

if TYPE_CHECKING:
    from mosaics.ingest.source import Progress

_LOG = logging.getLogger(__name__)
_POLL_SECONDS = 1.0
_START_SECONDS = 60.0


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
                "mosaics.ingest.child",
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
