"""Where the blocks of a TIFF file lie: its directories, read once; no pixel, no coordinate system.

TIFF 6.0 and BigTIFF, little-endian; overviews and internal masks are directories of their own, as GDAL and
the COG layout write them. What is not of that kind is refused, and somebody slower reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mosaics.errors import MosaicsError

ReadRange = Callable[[int, int], bytes]
"""Gives bytes of a file: offset and length; fewer at its end."""

HEAD_BYTES: Final = 32_768
"""Read at once at the start: a COG has its directories there."""

MOST_DIRECTORIES: Final = 128
MOST_BLOCKS: Final = 50_000_000
LARGEST_BLOCK_BYTES: Final = 64 << 20
"""Of one decoded block; larger ones are not worth keeping, and may be bombs."""

_TYPES: Final = {
    1: "u1", 2: "S1", 3: "<u2", 4: "<u4", 6: "i1", 7: "u1", 8: "<i2", 9: "<i4", 12: "<f8", 13: "<u4",
    16: "<u8", 17: "<i8", 18: "<u8",
}  # fmt: skip
_NEW_SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_FILL_ORDER, _SAMPLES, _ROWS_PER_STRIP, _PLANAR = 266, 277, 278, 284
_STRIPS, _STRIP_BYTES, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT = 273, 279, 317, 322, 323
_TILES, _TILE_BYTES, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _JPEG_TABLES = 324, 325, 338, 339, 347
_REDUCED, _MASK = 1, 4
_KINDS: Final = {1: "u", 2: "i", 3: "f"}


class LayoutUnsupportedError(MosaicsError):
    """A file that is laid out in a way that is not read here; it may be a good file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """The image, one of its overviews, or a mask, cut into blocks."""

    width: int
    """Columns."""
    height: int
    """Rows."""
    block_width: int
    """Columns of a block; of a strip, those of the image."""
    block_height: int
    """Rows of a block."""
    padded: bool
    """Tiles are whole at the edges; the last strip ends with the image."""
    samples: int
    """Values of a pixel, alpha included."""
    planar: bool
    """Each sample lies in blocks of its own."""
    bits: int
    """Of a sample; 1 only for masks."""
    dtype: np.dtype[Any]
    """Of a decoded sample."""
    compression: int
    """TIFF's number of the codec."""
    predictor: int
    """1 none, 2 differences, 3 floating point."""
    photometric: int
    """TIFF's number of what the samples are."""
    jpeg_tables: bytes | None
    """Common to all its JPEG blocks."""
    offsets: NDArray[np.uint64]
    """Place of each block in the file, shape (planes, rows, columns); 0: the block is not there."""
    lengths: NDArray[np.uint64]
    """Bytes of each block, same shape."""

    def block_shape(self, row: int) -> tuple[int, int, int]:
        """Give (rows, columns, samples) of a decoded block in a row of blocks."""
        rows = (
            self.block_height
            if self.padded
            else min(self.block_height, self.height - row * self.block_height)
        )
        return rows, self.block_width, 1 if self.planar else self.samples


@dataclass(frozen=True, kw_only=True, slots=True)
class TiffLayout:
    """What a file holds."""

    levels: tuple[Level, ...]
    """The image, then its overviews, finest first."""
    masks: tuple[Level | None, ...]
    """The mask of each level, where it has one."""
    alpha: int | None
    """Which sample is alpha, from 0."""

    @property
    def size_bytes(self) -> int:
        """What the places of all its blocks take."""
        held = (*self.levels, *(mask for mask in self.masks if mask is not None))
        return sum(level.offsets.nbytes + level.lengths.nbytes for level in held)


def parse_layout(read: ReadRange) -> TiffLayout:
    """Read the directories of a file.

    Args:
        read: Gives its bytes.

    Raises:
        LayoutUnsupportedError: If it is laid out in a way that is not read here, or is no TIFF.
    """
    try:
        directories = _directories(_Head(read))
        return _layout(directories)
    except (struct.error, ValueError, KeyError, IndexError, OverflowError) as error:
        raise LayoutUnsupportedError(f"directories can't be read: {error}") from error


class _Head:
    """The file, its beginning remembered."""

    def __init__(self, read: ReadRange) -> None:
        self._read = read
        self._head = read(0, HEAD_BYTES)

    def bytes(self, offset: int, length: int) -> bytes:
        if offset + length <= len(self._head):
            return self._head[offset : offset + length]
        found = self._read(offset, length)
        if len(found) != length:
            raise LayoutUnsupportedError("the file ends too early")
        return found


_Tags = dict[int, NDArray[Any]]


def _directories(head: _Head) -> list[_Tags]:
    """Follow the chain of directories."""
    mark, version = struct.unpack("<2sH", head.bytes(0, 4))
    if mark != b"II" or version not in {42, 43}:
        raise LayoutUnsupportedError("no little-endian TIFF")
    big = version == 43
    offset = struct.unpack("<Q", head.bytes(8, 8))[0] if big else struct.unpack("<I", head.bytes(4, 4))[0]
    found: list[_Tags] = []
    seen: set[int] = set()
    while offset:
        if offset in seen or len(found) >= MOST_DIRECTORIES:
            raise LayoutUnsupportedError("the chain of directories does not end")
        seen.add(offset)
        tags, offset = _directory(head, offset, big=big)
        found.append(tags)
    return found


def _directory(head: _Head, offset: int, *, big: bool) -> tuple[_Tags, int]:
    """Read one directory, and where the next one is."""
    count_size, entry_size, pointer = (8, 20, "<Q") if big else (2, 12, "<I")
    count = int.from_bytes(head.bytes(offset, count_size), "little")
    if count > 4096:
        raise LayoutUnsupportedError("a directory has too many entries")
    inline = struct.calcsize(pointer)
    body = head.bytes(offset + count_size, count * entry_size + inline)
    tags: _Tags = {}
    for place in range(count):
        entry = body[place * entry_size : (place + 1) * entry_size]
        tag, kind = struct.unpack("<HH", entry[:4])
        number = int.from_bytes(entry[4 : 4 + inline], "little")
        if kind not in _TYPES or number > MOST_BLOCKS:
            continue  # rationals and the like: none that is needed here
        length = number * np.dtype(_TYPES[kind]).itemsize
        value = entry[-inline:]
        raw = value[:length] if length <= inline else None
        if raw is None:
            if tag not in _NEEDED:
                continue
            raw = head.bytes(int.from_bytes(value, "little"), length)
        tags[tag] = np.frombuffer(raw, _TYPES[kind])
    return tags, int.from_bytes(body[count * entry_size :], "little")


_NEEDED: Final = frozenset({
    _BITS, _STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _JPEG_TABLES,
})  # fmt: skip


def _layout(directories: list[_Tags]) -> TiffLayout:
    main = directories[0]
    image = _level(main)
    overviews, masks = [], {}
    for tags in directories[1:]:
        kind = _one(tags, _NEW_SUBFILE_TYPE, 0)
        if kind & _MASK:
            mask = _level(tags)
            masks[mask.width, mask.height] = mask
        elif kind & _REDUCED:
            overviews.append(_level(tags))
    levels = [image]
    for level in sorted(overviews, key=lambda each: -each.width):
        same = (level.samples, level.dtype) == (image.samples, image.dtype)
        if same and (level.width, level.height) < (levels[-1].width, levels[-1].height):
            levels.append(level)
    extra = [int(value) for value in main.get(_EXTRA_SAMPLES, ())]
    alphas = [image.samples - len(extra) + place for place, value in enumerate(extra) if value in {1, 2}]
    return TiffLayout(
        levels=tuple(levels),
        masks=tuple(masks.get((level.width, level.height)) for level in levels),
        alpha=alphas[0] if alphas else None,
    )


def _one(tags: _Tags, tag: int, default: int | None = None) -> int:
    values = tags.get(tag)
    if values is None or not len(values):
        if default is None:
            raise LayoutUnsupportedError(f"tag {tag} is missing")
        return default
    return int(values[0])


def _level(tags: _Tags) -> Level:
    width, height, samples = _one(tags, _WIDTH), _one(tags, _HEIGHT), _one(tags, _SAMPLES, 1)
    if _one(tags, _FILL_ORDER, 1) != 1:
        raise LayoutUnsupportedError("bits are in reverse order")
    bits, dtype = _dtype(tags)
    tiled = _TILE_WIDTH in tags
    block_width = _one(tags, _TILE_WIDTH) if tiled else width
    block_height = _one(tags, _TILE_HEIGHT) if tiled else min(_one(tags, _ROWS_PER_STRIP, height), height)
    planar = _one(tags, _PLANAR, 1) == 2 and samples > 1
    if min(width, height, samples, block_width, block_height) < 1:
        raise LayoutUnsupportedError("it has no pixels")
    if block_width * block_height * (1 if planar else samples) * dtype.itemsize > LARGEST_BLOCK_BYTES:
        raise LayoutUnsupportedError("its blocks are too large")
    shape = (samples if planar else 1, -(-height // block_height), -(-width // block_width))
    offsets = tags[_TILES if tiled else _STRIPS].astype("uint64")
    lengths = tags[_TILE_BYTES if tiled else _STRIP_BYTES].astype("uint64")
    return Level(
        width=width,
        height=height,
        block_width=block_width,
        block_height=block_height,
        padded=tiled,
        samples=samples,
        planar=planar,
        bits=bits,
        dtype=dtype,
        compression=_one(tags, _COMPRESSION, 1),
        predictor=_one(tags, _PREDICTOR, 1),
        photometric=_one(tags, _PHOTOMETRIC, 1),
        jpeg_tables=bytes(tags[_JPEG_TABLES]) if _JPEG_TABLES in tags else None,
        offsets=offsets.reshape(shape),
        lengths=lengths.reshape(shape),
    )


def _dtype(tags: _Tags) -> tuple[int, np.dtype[Any]]:
    """Give bits of a sample and the type of a decoded one; all samples must be of one kind."""
    bits = {int(value) for value in tags.get(_BITS, (1,))}
    formats = {int(value) for value in tags.get(_SAMPLE_FORMAT, (1,))}
    if len(bits) != 1 or len(formats) != 1 or next(iter(formats)) not in _KINDS:
        raise LayoutUnsupportedError("its samples are of several or unusual types")
    size = bits.pop()
    if size == 1:
        return 1, np.dtype("u1")
    kind = _KINDS[formats.pop()]
    if size not in ({32, 64} if kind == "f" else {8, 16, 32, 64}):
        raise LayoutUnsupportedError(f"samples of {size} bits")
    return size, np.dtype(f"<{kind}{size // 8}")
