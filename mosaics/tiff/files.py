"""Files as ranges of bytes: opened once, shared by all threads, and watched for being replaced."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from mosaics.errors import MosaicsError


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

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        """Read ranges, all of one state of the file.

        Raises:
            FileChangedError: If the file was replaced or written to since it was opened.
            OSError: If it can't be read.
        """


class LocalFile:
    """A file of this machine, read by `pread`: one descriptor serves all threads, and no lock is held."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._state = _state(os.fstat(self._descriptor))

    @property
    def identity(self) -> str:
        """Give its device, inode, size and time of writing."""
        return ".".join(map(str, self._state))

    @property
    def size(self) -> int:
        """Give its bytes."""
        return self._state[2]

    def read(self, ranges: Sequence[Range]) -> list[bytes]:
        """Read ranges; short at the end of the file."""
        found = [os.pread(self._descriptor, length, offset) for offset, length in ranges]
        self.check()
        return found

    def check(self) -> None:
        """Refuse to go on with a file that was written to, or with one whose name means another now.

        Raises:
            FileChangedError: If so.
            OSError: If there is none of that name.
        """
        if state_of(self._path) != self._state:
            raise FileChangedError(Path(self._path).name)

    def __del__(self) -> None:
        """Close it once nobody reads it any more."""
        descriptor = getattr(self, "_descriptor", None)
        if descriptor is not None:
            os.close(descriptor)


State = tuple[int, int, int, int]
"""Device, inode, size and time of writing."""


def state_of(path: str) -> State:
    """Give what changes when a file is replaced or written to.

    Raises:
        OSError: If there is none.
    """
    return _state(os.stat(path))  # noqa: PTH116 - the path is text, and this is on the hot way


def _state(stat: os.stat_result) -> State:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
