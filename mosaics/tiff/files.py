"""Files as ranges of bytes: opened once, shared by all threads, and watched for being replaced."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from mosaics.errors import MosaicsError
from mosaics.stopping import Stop, go_on, never


class FileChangedError(MosaicsError):
    """The file is no longer the one that was opened."""


class Range(NamedTuple):
    """Bytes of a file."""

    offset: int
    length: int


class RangeFile(Protocol):
    """A file that gives ranges of its bytes; safe to use from several threads at once."""

    @property
    def identity(self) -> str:
        """Changes whenever the bytes do: of a local file its place, size and time, of an object its ETag."""

    @property
    def name(self) -> str:
        """For messages: without folder, bucket or prefix."""

    @property
    def size(self) -> int:
        """Bytes of the state that was opened."""

    def read(self, ranges: Sequence[Range], stop: Stop = never) -> list[bytes]:
        """Read ranges, all of one state of the file.

        Args:
            ranges: Which; short at the end of the file.
            stop: Asked before each step of reading.

        Raises:
            FileChangedError: If the file was replaced or written to since it was opened.
            OSError: If it can't be read.
            NobodyWaitsError: If `stop` said so.
        """

    def check(self) -> None:
        """Refuse to go on with a file that is no longer the one that was opened.

        Raises:
            FileChangedError: If it is another.
            OSError: If there is none, or it can't be told.
        """


class LocalFile:
    """A file of this machine, read by `pread`: one descriptor serves all threads, and no lock is held."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._state = _state(os.fstat(self._descriptor))

    @property
    def identity(self) -> str:
        """Give its device, inode, size and time of writing."""
        return ".".join(map(str, self._state))

    @property
    def name(self) -> str:
        """Give its name without the folder."""
        return os.path.basename(self.path)  # noqa: PTH119 - the path is text

    @property
    def size(self) -> int:
        """Give its bytes."""
        return self._state[2]

    def read(self, ranges: Sequence[Range], stop: Stop = never) -> list[bytes]:
        """Read ranges; short at the end of the file."""
        found = []
        for offset, length in ranges:
            go_on(stop)
            found.append(os.pread(self._descriptor, length, offset))
        self.check()
        return found

    def read_cached(self, offset: int, length: int) -> bytes | None:
        """Read a range that the system holds in memory; None: it does not, or can't tell without waiting.

        Raises:
            FileChangedError: If the file was replaced or written to since it was opened.
            OSError: If it can't be read.
        """
        buffer = bytearray(length)
        try:
            count = os.preadv(self._descriptor, [buffer], offset, os.RWF_NOWAIT)
        except (BlockingIOError, NotImplementedError):
            return None
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return None
            raise
        if count != length:
            return None
        self.check()
        return bytes(buffer)

    def check(self) -> None:
        """Refuse to go on with a file that was written to, or with one whose name means another now.

        Raises:
            FileChangedError: If so.
            OSError: If there is none of that name.
        """
        if _state(os.stat(self.path)) != self._state:  # noqa: PTH116 - the path is text, and this is on the hot way
            raise FileChangedError(self.name)

    def __del__(self) -> None:
        """Close it once nobody reads it any more."""
        descriptor = getattr(self, "_descriptor", None)
        if descriptor is not None:
            os.close(descriptor)


def _state(stat: os.stat_result) -> tuple[int, int, int, int]:
    """Give device, inode, size and time of writing: what changes when a file is replaced or written to."""
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
