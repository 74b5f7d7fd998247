"""Prepares items in a second process, while the first one writes those before them.

`python -m mosaics.ingest.second_process FD FD` is that process: it takes wishes from one pipe and puts chunks
into the other. It is a separate program rather than a fork, as whoever imports may have threads.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import logging
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Final

from mosaics.errors import IngestError
from mosaics.ingest.preparing import Begin, Chunk, Preparing, Task, Wish
from mosaics.ingest.processes import child_environment, end_with_parent

_LOG = logging.getLogger(__name__)
_PIPE_BYTES: Final = 1 << 20
"""About those of a chunk, so that the next is prepared while that is not taken yet; Linux gives no more."""
_COLLECTED_EVERY: Final = 10_000
"""Objects that are made until Python looks for cycles among them; items have none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Child:
    """The process and what leads to it and back."""

    process: subprocess.Popen[bytes]
    wishes: Connection
    chunks: Connection


class SecondProcess:
    """A process that prepares one file after the other; it starts when it is told to, and is to be closed."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._child: _Child | None = None
        self._is_ready = self._is_busy = False
        self._name = ""

    def start(self) -> None:
        """Begin to start, which takes about a second; where that can't be done, it never is ready."""
        if self._is_busy:  # with a file that whoever asked gave up
            self.close()
        if self._child is not None:
            return
        try:
            self._child = _started()
            self._child.wishes.send(self._task)
        except OSError as error:
            _LOG.warning("no second process: %s", error)
            self.close()

    def is_ready(self) -> bool:
        """Tell whether a file can be begun."""
        if self._child is None or self._is_ready:
            return self._is_ready
        try:
            if self._child.chunks.poll():
                self._child.chunks.recv()
                self._is_ready = True
        except (EOFError, OSError):
            _LOG.warning("no second process: it ended at once")
            self.close()
        return self._is_ready

    def begin(self, begin: Begin, wish: Wish) -> None:
        """Have a file prepared; only when it is ready.

        Args:
            begin: The file, and where in it.
            wish: For the first chunk.
        """
        self._name, self._is_busy = begin.path.name, True
        self._send(begin)
        self._send(wish)

    def take(self, wish: Wish) -> Chunk:
        """Give the next chunk of the file; the last one says so.

        Args:
            wish: For the chunk after it.

        Raises:
            IngestError: If the process died.
        """
        self._send(wish)
        assert self._child is not None, "a file was begun"
        try:
            found = self._child.chunks.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if isinstance(found, Chunk):
            self._is_busy = not found.is_last
            return found
        self.close()
        _LOG.error("unexpected error with %s:\n%s", self._name, found)
        raise IngestError(f"{self._name}: it can't be read further: {str(found).strip().splitlines()[-1]}")

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        self._is_ready = self._is_busy = False
        if child is not None:
            child.wishes.close()
            child.chunks.close()
            child.process.kill()
            child.process.wait()

    def _send(self, value: Begin | Wish) -> None:
        assert self._child is not None, "a file is begun when it is ready"
        with contextlib.suppress(
            OSError
        ):  # it ended: what it left in the other pipe comes first, and says why
            self._child.wishes.send(value)

    def _death(self) -> IngestError:
        """Say how the process died, whose pipes are closed."""
        status = None
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._child.process.wait(timeout=10)
        self.close()
        words = f"exit status {status}" if status is None or status >= 0 else signal.Signals(-status).name
        killed = " (too little memory?)" if status == -signal.SIGKILL else ""
        return IngestError(
            f"{self._name}: the process that reads it ended ({words}){killed}; what it had read is imported, "
            "and the same again goes on"
        )


def _started() -> _Child:
    """Start the process.

    Raises:
        OSError: If it can't be.
    """
    their_wishes, wishes = Pipe(duplex=False)
    chunks, their_chunks = Pipe(duplex=False)
    with contextlib.suppress(OSError):  # who has many pipes open gets no large ones, and waits a little more
        fcntl.fcntl(wishes.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        fcntl.fcntl(chunks.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    descriptors = [their_wishes.fileno(), their_chunks.fileno()]
    try:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "mosaics.ingest.second_process", *map(str, descriptors)],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # a Ctrl-C at the terminal is for the first process alone, which ends this one
            process_group=0,
            env=child_environment(),
        )
    finally:
        their_wishes.close()
        their_chunks.close()
    return _Child(process=process, wishes=wishes, chunks=chunks)


def serve(wishes: Connection, chunks: Connection) -> None:
    """Answer wishes until the other side closes; the process's main loop."""
    task: Task = wishes.recv()
    chunks.send("ready")
    preparing: Preparing | None = None
    while True:
        found = wishes.recv()
        if isinstance(found, Begin):
            preparing = Preparing(task, found)
        elif preparing is not None:  # else it was sent before the last chunk had come
            chunk = preparing.take(found)
            chunks.send(chunk)
            if chunk.is_last:
                preparing = None


def main(arguments: list[str]) -> None:
    """Serve until the other side closes.

    Args:
        arguments: File descriptors of wishes and of chunks.
    """
    end_with_parent()
    wishes = Connection(int(arguments[0]), writable=False)
    chunks = Connection(int(arguments[1]), readable=False)
    gc.freeze()
    gc.set_threshold(_COLLECTED_EVERY, *gc.get_threshold()[1:])
    try:
        serve(wishes, chunks)
    except (EOFError, BrokenPipeError):
        return  # nobody asks any more
    except Exception:  # noqa: BLE001 - whatever it is, the first process must hear of it
        chunks.send(traceback.format_exc())


if __name__ == "__main__":
    main(sys.argv[1:])
