"""Tiles on disk, shared by all workers of a home; they outlive a restart and a crash.

One file a tile: a magic word, a checksum over all that follows, a header in JSON, the tile's bytes. A file is
written beside its place and renamed into it, so nobody ever reads half of one. What can't be read, or is not
what was written, is a miss; what can't be written is not kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import structlog

from mosaics.models import EncodedTile

log = structlog.get_logger(__name__)

_MAGIC = b"FLXT1\n"
_DIGEST = 16
_LENGTH = struct.Struct("<I")
_HEAD = len(_MAGIC) + _DIGEST
_LARGEST = 64_000_000
"""Bytes of the largest file that is read: nothing that we write is larger."""
_BLOCK = 4096
"""Files take whole blocks of this size on the disk."""
_LOG_SECONDS = 60.0
_USED_SECONDS = 60.0
"""A use is written down only so long after the last, so that a hit seldom writes."""
_LEFT_SECONDS = 60.0
"""A file half written that is older than this is of a worker that died."""
_FILLED = 0.75
"""What is left of the bound after tiles were thrown away."""


class DamagedEntryError(ValueError):
    """A file of the cache is not what was written, or is not ours."""


class _File(NamedTuple):
    used: float
    size: int
    path: str


class DiskTileCache:
    """Least recently used tiles go first; one worker at a time throws away.

    For threads, never for the event loop.
    """

    def __init__(
        self, folder: Path, max_bytes: int, executor: Executor, clock: Callable[[], float] = time.time
    ) -> None:
        """Use a folder, which is made when the first tile is kept.

        Args:
            folder: Of this cache alone.
            max_bytes: Bound of all its files, in whole blocks.
            executor: Where tiles are thrown away, so that no tile waits for it.
            clock: Seconds since 1970.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._executor = executor
        self._clock = clock
        self._numbers = itertools.count()
        self._lock = Lock()
        self._written = 0
        self._look_after = 0
        """Bytes that this worker may write before it looks how full the cache is; 0: look at once."""
        self._sweeping = False
        self._logged = float("-inf")

    def get(self, key: str) -> EncodedTile | None:
        """Give the tile of a key."""
        path = self._path(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._failed(error)
            return None
        try:
            with os.fdopen(descriptor, "rb") as file:
                tile = _unpacked(key, file.read(_LARGEST + 1))
                now = self._clock()
                if now - os.fstat(file.fileno()).st_mtime > _USED_SECONDS:
                    os.utime(file.fileno(), (now, now))
        except DamagedEntryError as error:
            self._failed(error)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        except OSError as error:
            self._failed(error)
            return None
        return tile

    def put(self, key: str, tile: EncodedTile) -> None:
        """Keep a tile, if there is room on the disk."""
        try:
            self.keep(key, tile)
        except OSError as error:
            self._failed(error)

    def keep(self, key: str, tile: EncodedTile) -> None:
        """Keep a tile, unless it alone is larger than the cache, for those who want to know that it is kept.

        Raises:
            OSError: If it can't be written; then nothing of it is left.
        """
        whole = _packed(key, tile)
        size = on_disk(len(whole))
        if size > self._max_bytes or len(whole) > _LARGEST:
            return
        path = self._path(key)
        beside = self._beside()
        try:
            _write(beside, whole)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
        if self._is_due(size):
            with contextlib.suppress(RuntimeError):  # the server is stopping
                self._executor.submit(self._sweep_once)

    def sweep(self) -> None:
        """Throw tiles away until the cache is well below its bound, unless another worker is doing so."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self._folder / "lock").open("ab") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                self._throw_away()
        except OSError as error:
            self._failed(error)

    def _throw_away(self) -> None:
        self._drop_half_written()
        files = sorted(self._files())
        total = sum(file.size for file in files)
        if total > self._max_bytes:
            for file in files:
                with contextlib.suppress(OSError):
                    Path(file.path).unlink()
                total -= file.size
                if total <= self._max_bytes * _FILLED:
                    break
        with self._lock:
            # the fuller, the sooner again: other workers write too
            self._look_after = max(self._max_bytes // 64, (self._max_bytes - total) // 8)

    def _drop_half_written(self) -> None:
        with contextlib.suppress(FileNotFoundError), os.scandir(self._folder / "new") as found:
            for each in found:
                with contextlib.suppress(OSError):
                    if self._clock() - each.stat(follow_symlinks=False).st_mtime > _LEFT_SECONDS:
                        Path(each.path).unlink()

    def _files(self) -> Iterator[_File]:
        for first in "0123456789abcdef":
            for folder, _, names in os.walk(self._folder / first):
                for name in names:
                    path = os.path.join(folder, name)  # noqa: PTH118 - tens of thousands of them
                    with contextlib.suppress(OSError):
                        status = os.lstat(path)
                        yield _File(status.st_mtime, on_disk(status.st_size), path)

    def _is_due(self, size: int) -> bool:
        """Count what was written; True where it is time to look how full the cache is."""
        with self._lock:
            self._written += size
            if self._sweeping or self._written <= self._look_after:
                return False
            self._sweeping = True
            self._written = 0
            return True

    def _sweep_once(self) -> None:
        try:
            self.sweep()
        finally:
            with self._lock:
                self._sweeping = False

    def _path(self, key: str) -> Path:
        name = hashlib.blake2b(key.encode(), digest_size=20).hexdigest()
        return self._folder / name[0] / name[1:3] / name[3:]

    def _beside(self) -> Path:
        """Give a new name of this worker on the same file system."""
        folder = self._folder / "new"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder / f"{os.getpid()}-{id(self):x}-{next(self._numbers)}"

    def _failed(self, error: Exception) -> None:
        with self._lock:
            now = self._clock()
            if now - self._logged < _LOG_SECONDS:
                return
            self._logged = now
        log.warning("disk_cache_failed", error=repr(error))


def _packed(key: str, tile: EncodedTile) -> bytes:
    said = {"key": key, "media_type": tile.media_type, "contributors": tile.contributors}
    head = json.dumps(said).encode()
    rest = _LENGTH.pack(len(head)) + head + tile.data
    return _MAGIC + _checksum(rest) + rest


def _unpacked(key: str, whole: bytes) -> EncodedTile:
    """Read a file of the cache.

    Raises:
        DamagedEntryError: If it is not what was written for this key.
    """
    if whole[: len(_MAGIC)] != _MAGIC or len(whole) > _LARGEST:
        raise DamagedEntryError("not of this cache")
    rest = whole[_HEAD:]
    if len(rest) < _LENGTH.size or _checksum(rest) != whole[len(_MAGIC) : _HEAD]:
        raise DamagedEntryError("wrong checksum")
    end = _LENGTH.size + _LENGTH.unpack_from(rest)[0]
    try:
        said = json.loads(rest[_LENGTH.size : end])
        if said["key"] != key:
            raise DamagedEntryError("of another key")
        contributors = tuple((a, b, c, d) for a, b, c, d in said["contributors"])
        return EncodedTile(data=rest[end:], media_type=said["media_type"], contributors=contributors)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedEntryError(f"wrong header: {error}") from None


def _checksum(rest: bytes) -> bytes:
    return hashlib.blake2b(rest, digest_size=_DIGEST).digest()


def on_disk(size: int) -> int:
    """Give the bytes of whole blocks that so many bytes take."""
    return -(-size // _BLOCK) * _BLOCK


def _write(path: Path, whole: bytes) -> None:
    """Write a file that only this user reads: its pixels may be licensed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        written = file.write(whole)
        if written != len(whole):
            raise OSError(f"only {written} of {len(whole)} bytes were written")
