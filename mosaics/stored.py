"""Reads blocks of companions: files opened once, shared by threads, and watched for being replaced."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from threading import Lock
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from mosaics.errors import SceneUnreadableError
from mosaics.models import VISUAL_BLOCK, EncodedTile, Scene, Visual
from mosaics.places import DataRoot, lies_below
from mosaics.tiff.codecs import BlockDamagedError, decode
from mosaics.tiff.files import FileChangedError, LocalFile, Range
from mosaics.tiff.jpeg import standalone
from mosaics.tiff.layout import LayoutUnsupportedError, Level, TiffLayout, parse_layout
from mosaics.visual import StoredBlock, has_alpha

log = structlog.get_logger(__name__)

_COMPRESSIONS: Final = {"jpg": 7, "webp": 50001}
_SAMPLES: Final = {"jpg": 3, "webp": 4}
_CHECK_SECONDS: Final = 1.0
"""How old may be what is known of a scene's own file and of a companion that could not be used."""
_UNUSABLE: Final = (
    BlockDamagedError,
    FileChangedError,
    LayoutUnsupportedError,
    OSError,
    SceneUnreadableError,
    ValueError,
)
"""What a file raises that can't be used."""
_ENTRY_BYTES: Final = 17
"""That a block takes in memory: offset, length, and whether it is whole."""


class Unread(Enum):
    """Why there is no block."""

    ABSENT = "absent"
    """The ordinary way must make the tile."""
    LATER = "later"
    """To tell, one must perhaps wait for the disk: read it in a thread."""


@dataclass(frozen=True, kw_only=True)
class _Companion:
    """An open file, or one that can't be used."""

    file: LocalFile | None
    """None: it can't be used."""
    levels: tuple[Level, ...] = ()
    """The finest first."""
    whole: tuple[NDArray[np.bool_], ...] = ()
    """By level, for each block: all its pixels are valid; none for WebP, whose blocks say so themselves."""
    checked: float = 0.0
    """When the scene's file was looked at."""

    @property
    def entries(self) -> int:
        """How many blocks it has at all levels."""
        return sum(level.offsets.size for level in self.levels)


@dataclass(kw_only=True)
class StoredBlocks:
    """Gives blocks of companions; safe to use from several threads at once."""

    roots: tuple[DataRoot, ...]
    """Resolved folders and prefixes outside of which nothing is opened."""
    most_files: int = 512
    """Kept open at the same time."""
    most_bytes: int = 64_000_000
    """Of all their tables together."""
    clock: Callable[[], float] = time.monotonic
    _lock: Lock = field(default_factory=Lock, init=False)
    _open: OrderedDict[str, _Companion] = field(default_factory=OrderedDict, init=False)
    """By path, the last used at the end."""
    _size: int = field(default=0, init=False)

    def at_once(self, block: StoredBlock) -> EncodedTile | Unread:
        """Give the tile of a block without waiting for a disk."""
        path = block.visual.href
        with self._lock:
            known = self._open.get(path)
            if known is None or self.clock() - known.checked > _CHECK_SECONDS:
                return Unread.LATER
            self._open.move_to_end(path)
        if known.file is None:
            return Unread.ABSENT
        place = _place(known, block)
        if place is None:
            return Unread.ABSENT
        try:
            data = known.file.read_cached(*place)
            return Unread.LATER if data is None else _tile(known, block, data)
        except (FileChangedError, OSError, ValueError):
            self._forget(path)
            return Unread.LATER

    def read(self, block: StoredBlock) -> EncodedTile | None:
        """Give the tile of a block; None: the ordinary way must make it."""
        path = block.visual.href
        try:
            known = self._companion(block.contribution.scene, block.visual)
            place = None if known.file is None else _place(known, block)
            if known.file is None or place is None:
                return None
            found = _tile(known, block, known.file.read([place])[0])
        except (FileChangedError, OSError, ValueError) as error:
            self._forget(path)
            log.warning("companion_unreadable", scene=block.contribution.scene.id, cause=repr(error))
            return None
        return None if isinstance(found, Unread) else found

    def _companion(self, scene: Scene, visual: Visual) -> _Companion:
        """Give an open companion, checked as often as it has to be."""
        with self._lock:
            known = self._open.get(visual.href)
        now = self.clock()
        if known is not None and now - known.checked <= _CHECK_SECONDS:
            return known
        try:
            _check_source(scene, visual)
            if known is None or known.file is None:
                known = self._opened(visual)
            else:
                known.file.check()
            made = _Companion(file=known.file, levels=known.levels, whole=known.whole, checked=now)
        except _UNUSABLE as error:
            if known is None or known.file is not None:
                log.warning("companion_unused", scene=scene.id, cause=repr(error))
            made = _Companion(file=None, checked=now)
        self._keep(visual.href, made)
        return made

    def _opened(self, visual: Visual) -> _Companion:
        if not lies_below(visual.href, self.roots):
            raise SceneUnreadableError(visual.href.rpartition("/")[2])
        file = LocalFile(visual.href)
        if file.size != visual.file_size:
            raise ValueError("it has not the size that it was banked with")
        layout = parse_layout(lambda offset, length: file.read([Range(offset, length)])[0])
        _check_layout(layout, visual, file.size)
        whole = tuple(_whole(file, mask) for mask in layout.masks) if visual.image_format == "jpg" else ()
        return _Companion(file=file, levels=layout.levels, whole=whole)

    def _keep(self, path: str, companion: _Companion) -> None:
        with self._lock:
            self._drop(path)
            self._open[path] = companion
            self._size += companion.entries * _ENTRY_BYTES
            while len(self._open) > 1 and (len(self._open) > self.most_files or self._size > self.most_bytes):
                self._drop(next(iter(self._open)))

    def _forget(self, path: str) -> None:
        with self._lock:
            self._drop(path)

    def _drop(self, path: str) -> None:
        """Let go of a file; the lock is held."""
        gone = self._open.pop(path, None)
        if gone is not None:
            self._size -= gone.entries * _ENTRY_BYTES


def _check_source(scene: Scene, visual: Visual) -> None:
    """Refuse the companion of a scene whose own file is no longer what it was rendered from.

    Raises:
        FileChangedError: If it was written to or replaced.
        OSError: If it is not there.
    """
    if visual.source_state is None:
        return
    status = os.stat(scene.href)  # noqa: PTH116 - the path is text
    if (status.st_size, status.st_mtime_ns) != visual.source_state:
        raise FileChangedError(os.path.basename(scene.href))  # noqa: PTH119 - the same


def _check_layout(layout: TiffLayout, visual: Visual, file_size: int) -> None:
    """Refuse a file whose levels are not the blocks that the catalogue says.

    Raises:
        ValueError: If so.
    """
    finest = visual.zooms[1] - visual.zooms[0]
    sizes = [(visual.rows * 2**n, visual.columns * 2**n) for n in range(finest, -1, -1)]
    found = [
        (level.height // VISUAL_BLOCK, level.width // VISUAL_BLOCK)
        for level in layout.levels
        if (level.block_height, level.block_width) == (VISUAL_BLOCK, VISUAL_BLOCK)
        and level.compression == _COMPRESSIONS[visual.image_format]
        and level.samples == _SAMPLES[visual.image_format]
        and not level.planar
        and (level.height % VISUAL_BLOCK, level.width % VISUAL_BLOCK) == (0, 0)
    ]
    if found != sizes:
        raise ValueError("its levels are not those that it was banked with")
    if any(int((level.offsets + level.lengths).max(initial=0)) > file_size for level in layout.levels):
        raise ValueError("the file is cut short")


def _whole(file: LocalFile, mask: Level | None) -> NDArray[np.bool_]:
    """Tell which blocks have only valid pixels; equal ones share their place in the file.

    Raises:
        ValueError: If there is no mask.
    """
    if mask is None or mask.bits != 1:
        raise ValueError("a level has no mask")
    places, which = np.unique(mask.offsets[0], return_inverse=True)
    lengths = np.zeros(places.size, "u8")
    lengths[which.ravel()] = mask.lengths[0].ravel()
    known = [
        bool(length) and bool(decode(file.read([Range(int(place), int(length))])[0], mask, 0).all())
        for place, length in zip(places, lengths, strict=True)
    ]
    return np.array(known, dtype=bool)[which].reshape(mask.offsets[0].shape)


def _place(known: _Companion, block: StoredBlock) -> Range | None:
    """Give where a block lies in its file; None: it is not there."""
    level = known.levels[block.level]
    length: int = level.lengths.item(0, block.row, block.column)
    return Range(level.offsets.item(0, block.row, block.column), length) if length else None


def _tile(known: _Companion, block: StoredBlock, data: bytes) -> EncodedTile | Unread:
    level = known.levels[block.level]
    if known.whole:
        is_whole = bool(known.whole[block.level][block.row, block.column])
        data = standalone(data, level.jpeg_tables, level.photometric)
    else:
        is_whole = not has_alpha(data)
    return block.tile(data, is_whole=is_whole) or Unread.ABSENT
