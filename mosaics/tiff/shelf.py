"""Decoded blocks that several processes share: files in memory, put there whole and mapped by who reads them.

A file appears by being renamed, so it is whole; it is never written to again, and who has mapped one keeps it
when it is taken away. So no process waits for another, and one that dies leaves nothing locked.
"""

from __future__ import annotations

import itertools
import json
import mmap
import os
import stat
import time
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from mosaics.tiff.block import Block

log = structlog.get_logger(__name__)

_HEAD: Final = 4096
"""Bytes before the samples: a page, so that they begin at one."""
_LEAST: Final = 32_768
"""Bytes of a block below which decoding it is as quick as finding it."""
_SHARE: Final = 16
"""Part of the bound that a process may write before it looks at what all have written."""
_LOW: Final = 0.9
"""Part of the bound that is left when blocks are taken away."""
_ABANDONED_SECONDS: Final = 60.0
"""How old an unfinished file is when its writer is gone."""
_PAUSE_SECONDS: Final = 10.0
"""How long nothing is put there after it failed."""
_POPULATE: Final = getattr(mmap, "MAP_POPULATE", 0)


@dataclass(kw_only=True)
class Shelf:
    """Blocks by the digest of their key; safe to use from several threads and processes at once."""

    folder: Path
    """Where the files are: in a file system that lies in memory."""
    max_bytes: int
    """Of all files together, about; each process may exceed it by a sixteenth."""
    _lock: Lock = field(default_factory=Lock, init=False)
    _written: int = field(default=0, init=False)
    """Bytes that this process wrote since it last looked at the folder."""
    _paused_until: float = field(default=0.0, init=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count, init=False)
    _dice: Random = field(default_factory=lambda: Random(0), init=False)  # noqa: S311 - no secret hangs on it

    def get(self, key: Hashable) -> Block | None:
        """Give a block, mapped; None: it is not there."""
        path = self._path(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            found = _mapped(descriptor)
            os.utime(descriptor)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("shelf_unreadable", cause=repr(error))
            return None
        finally:
            os.close(descriptor)
        return found

    def put(self, key: Hashable, block: Block) -> Block:
        """Put a block there and give it as it lies there; where it can't be put, as it came."""
        samples = block.samples
        if samples.nbytes < _LEAST or time.monotonic() < self._paused_until:
            return block
        head = {"dtype": samples.dtype.str, "shape": samples.shape, "whole": block.whole}
        beside = self.folder / f".{os.getpid()}-{next(self._numbers)}"
        try:
            descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                _write(descriptor, json.dumps(head).encode().ljust(_HEAD), np.ascontiguousarray(samples))
                beside.rename(self._path(key))
                found = _mapped(descriptor)
            finally:
                os.close(descriptor)
        except (OSError, ValueError) as error:
            with suppress(OSError):
                beside.unlink()
            self._paused_until = time.monotonic() + _PAUSE_SECONDS
            log.warning("shelf_full", cause=repr(error))
            return block
        self._count(samples.nbytes + _HEAD)
        return found

    def sweep(self) -> None:
        """Take blocks away until the rest is well below the bound: any of the half that was least used."""
        kept: list[tuple[float, int, str]] = []
        for entry in os.scandir(self.folder):
            with suppress(OSError):  # another process takes away too
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISREG(status.st_mode) or entry.name == LOCK:
                    continue
                if not entry.name.startswith("."):
                    kept.append((status.st_mtime, status.st_size, entry.path))
                elif time.time() - status.st_mtime > _ABANDONED_SECONDS:
                    Path(entry.path).unlink()
        size = sum(each[1] for each in kept)
        if size <= self.max_bytes:
            return
        kept.sort(reverse=True)
        while kept and size > self.max_bytes * _LOW:
            _, length, path = kept.pop(self._dice.randrange(len(kept) // 2, len(kept)))
            size -= length
            with suppress(OSError):
                Path(path).unlink()

    def _path(self, key: Hashable) -> Path:
        return self.folder / blake2b(repr(key).encode(), digest_size=16).hexdigest()

    def _count(self, size: int) -> None:
        """Look at the folder when so much was written that the bound may be passed."""
        with self._lock:
            self._written += size
            if self._written < self.max_bytes / _SHARE:
                return
            self._written = 0
        try:
            self.sweep()
        except OSError as error:
            log.warning("shelf_not_swept", cause=repr(error))


LOCK: Final = "lock"
"""The file by which a folder's owner shows that it lives."""


def _write(descriptor: int, head: bytes, samples: NDArray[Any]) -> None:
    """Write a file whole.

    Raises:
        OSError: If there is no room.
    """
    left: list[Any] = [memoryview(head), samples.reshape(-1).view("u1").data]
    while left:
        count = os.writev(descriptor, left)
        while left and count >= len(left[0]):
            count -= len(left.pop(0))
        if left:
            left[0] = left[0][count:]


def _mapped(descriptor: int) -> Block:
    """Give the block of a file.

    Raises:
        OSError, ValueError, KeyError, TypeError: If it is none.
    """
    size = os.fstat(descriptor).st_size
    held = mmap.mmap(descriptor, size, mmap.MAP_SHARED | _POPULATE, mmap.PROT_READ)
    head = json.loads(held[:_HEAD])
    samples = np.frombuffer(held, np.dtype(head["dtype"]), offset=_HEAD).reshape(head["shape"])
    return Block(samples=samples, whole=bool(head["whole"]))
