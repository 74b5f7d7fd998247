"""One worker's counters in a memory-mapped file: an increment is a write to memory and survives `kill -9`.

The file: 64 bytes of head (magic, source, length used), then records one after the other. A record is the
length of its name (8 bytes), the name as UTF-8 JSON padded to 8, and four counters of 8 bytes; all integers
little-endian. A record is published by raising the length used, after it is written whole.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import secrets
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, cast

MAGIC: Final = b"FLUXCNT1"
SUFFIX: Final = ".counters"

_HEAD: Final = 64
_USED_AT: Final = 56
_INITIAL: Final = 1 << 18
_WORD: Final = struct.Struct("<Q")
_COUNTS: Final = struct.Struct("<4Q")

Name = tuple[str, ...]
Four = tuple[int, int, int, int]


class CounterFile:
    """Counters by name; for one process and one thread. Others may read the file at any time."""

    def __init__(self, folder: Path | None) -> None:
        """Make a new file and lock it.

        Args:
            folder: Where; None: in memory only, which does not survive the process.

        Raises:
            OSError: If the file can't be made, or the disk is full.
        """
        self.source = f"{datetime.now(UTC):%Y%m%d}-{os.getpid()}-{secrets.token_hex(8)}"
        self.path = None if folder is None else folder / f"{self.source}{SUFFIX}"
        self._descriptor = -1
        self._size = _INITIAL
        if self.path is None:
            self._map = mmap.mmap(-1, self._size)
        else:
            # it gets its name when it is whole and locked, so that nobody takes it for abandoned
            unborn = self.path.with_name(f".{self.path.name}")
            self._descriptor = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.posix_fallocate(self._descriptor, 0, self._size)
                self._map = mmap.mmap(self._descriptor, self._size)
                self._begin()
                unborn.rename(self.path)
            except OSError:
                os.close(self._descriptor)
                unborn.unlink(missing_ok=True)
                raise
        self._begin()

    def _begin(self) -> None:
        """Write the head."""
        self._offsets: dict[Name, int] = {}
        self._used = _HEAD
        self._map[8 : 8 + len(self.source)] = self.source.encode()
        _WORD.pack_into(self._map, _USED_AT, self._used)
        self._map[0:8] = MAGIC

    def add(self, name: Name, counts: Four) -> None:
        """Add to the counters of a name.

        Raises:
            OSError: If a new name needs more room and the disk is full.
        """
        offset = self._offsets.get(name)
        if offset is None:
            offset = self._new(name)
        held, one = self._map, _WORD
        for place, more in enumerate(counts):
            if more:
                at = offset + 8 * place
                one.pack_into(held, at, one.unpack_from(held, at)[0] + more)

    def set(self, name: Name, value: int) -> None:
        """Set the first counter of a name.

        Raises:
            OSError: If a new name needs more room and the disk is full.
        """
        offset = self._offsets.get(name)
        if offset is None:
            offset = self._new(name)
        _WORD.pack_into(self._map, offset, value)

    def values(self) -> dict[Name, Four]:
        """Give all counters as they are; may be called from another thread of the process."""
        offsets = list(self._offsets.items())
        return {name: cast("Four", _COUNTS.unpack_from(self._map, offset)) for name, offset in offsets}

    def close(self) -> None:
        """Let go of the file, so that anyone may fold what is in it."""
        self._map.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _new(self, name: Name) -> int:
        text = json.dumps(name, ensure_ascii=False, separators=(",", ":")).encode()
        padded = -(-len(text) // 8) * 8
        whole = 8 + padded + _COUNTS.size
        if self._used + whole > self._size:
            self._grow(self._used + whole)
        start = self._used
        _WORD.pack_into(self._map, start, len(text))
        self._map[start + 8 : start + 8 + len(text)] = text
        _COUNTS.pack_into(self._map, start + 8 + padded, 0, 0, 0, 0)
        self._used += whole
        _WORD.pack_into(self._map, _USED_AT, self._used)
        offset = self._offsets[name] = start + 8 + padded
        return offset

    def _grow(self, needed: int) -> None:
        size = self._size
        while size < needed:
            size *= 2
        if self._descriptor >= 0:
            os.posix_fallocate(self._descriptor, 0, size)
        self._map.resize(size)
        self._size = size


class CounterFileDamagedError(Exception):
    """A file of counters is not as it was written; the sound records before the damage were read."""

    def __init__(self, path: Path, source: str, values: Mapping[Name, Four]) -> None:
        super().__init__(f"{path.name} is damaged")
        self.source = source
        self.values = values


def read_counters(path: Path) -> tuple[str, dict[Name, Four]]:
    """Read a file of counters, whoever writes it.

    Raises:
        CounterFileDamagedError: If it is no such file, or a record of it can't be.
        OSError: If it can't be read.
    """
    data = path.read_bytes()
    values: dict[Name, Four] = {}
    source = data[8:_USED_AT].rstrip(b"\0").decode("ascii", "replace")
    if len(data) < _HEAD or data[:8] != MAGIC or not source:
        raise CounterFileDamagedError(path, path.name.removesuffix(SUFFIX), values)
    used: int = _WORD.unpack_from(data, _USED_AT)[0]
    at = _HEAD
    while at < used:
        try:
            length: int = _WORD.unpack_from(data, at)[0]
            start = at + 8
            text = data[start : start + length]
            name = json.loads(text)
            at = start + -(-length // 8) * 8
            counts = _COUNTS.unpack_from(data, at)
        except (struct.error, ValueError, OverflowError, MemoryError) as error:
            raise CounterFileDamagedError(path, source, values) from error
        if len(text) != length or not isinstance(name, list) or not all(isinstance(n, str) for n in name):
            raise CounterFileDamagedError(path, source, values)
        values[tuple(name)] = counts
        at += _COUNTS.size
    return source, values


@contextmanager
def abandoned(path: Path) -> Iterator[bool]:
    """Hold the file of a worker that is no more: False where it lives, or another has taken it.

    The lock dies with its process, so whoever gets it may end the file.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        # whoever ended it removed it before letting go of the lock
        yield _same(path, descriptor)
    finally:
        os.close(descriptor)


def _same(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
