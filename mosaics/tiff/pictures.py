"""Writes a COG of blocks that are image files already: nothing is decoded, and each lies there as it came.

BigTIFF, little-endian: the directories of the image, its overviews and their masks first, then the blocks,
the coarsest level before finer ones. GDAL's COG driver can't write it, since it encodes anew.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, BinaryIO, Final, Literal

import numpy as np
from numpy.typing import NDArray

from mosaics.models import VISUAL_BLOCK

_ASCII, _SHORT, _LONG, _DOUBLE, _LONG8 = 2, 3, 4, 12, 16
_DTYPES: Final = {_ASCII: "S1", _SHORT: "<u2", _LONG: "<u4", _DOUBLE: "<f8", _LONG8: "<u8"}
_REDUCED, _MASK = 1, 4
_JPEG, _DEFLATE, _WEBP = 7, 8, 50001
_YCBCR, _RGB, _TRANSPARENCY = 6, 2, 4
_UNASSOCIATED_ALPHA: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Placing:
    """Where the picture lies."""

    epsg: int
    """Of a projected CRS."""
    origin: tuple[float, float]
    """Upper left corner, x before y."""
    cell: float
    """Size of a pixel of the finest level."""


@dataclass(kw_only=True)
class _Table:
    """Blocks of one image or mask."""

    offsets: NDArray[np.uint64]
    lengths: NDArray[np.uint32]


@dataclass(kw_only=True)
class PictureCog:
    """A file in the making: blocks go in level by level, the coarsest first, then it is finished."""

    file: BinaryIO
    """Empty, and written from its start."""
    blocks: tuple[int, int]
    """Rows and columns of blocks of the coarsest level; each finer level has twice as many."""
    levels: int
    image_format: Literal["jpg", "webp"]
    """jpg: three samples, and masks say what is valid; webp: red, green, blue, alpha."""
    placing: Placing
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the file, as GDAL shows them."""
    subsampling: tuple[int, int] = (2, 2)
    """Of the JPEG blocks: columns and rows of a pixel of colour."""
    _images: list[_Table] = field(default_factory=list, init=False)
    """By level, the finest first."""
    _masks: list[_Table] = field(default_factory=list, init=False)
    _whole_mask: tuple[int, int] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Leave room for the directories."""
        self._images = [self._table(level) for level in range(self.levels)]
        self._masks = [self._table(level) for level in range(self.levels)] if self._has_masks else []
        self._position = len(self._head())
        self.file.seek(self._position)

    def put(self, level: int, row: int, column: int, data: bytes, valid: NDArray[np.bool_] | None) -> None:
        """Write a block; one that is not put holds nothing.

        Args:
            level: 0 is the finest.
            row: Of blocks.
            column: Of blocks.
            data: An image file of VISUAL_BLOCK pixels a side.
            valid: True where there is data, shape (VISUAL_BLOCK, VISUAL_BLOCK); None: everywhere.

        Raises:
            OSError: If it can't be written.
        """
        _enter(self._images[level], row, column, self._append(data))
        if not self._has_masks:
            return
        if valid is not None:
            place = self._append(_packed(valid))
        else:
            if self._whole_mask is None:
                self._whole_mask = self._append(_packed(np.ones((VISUAL_BLOCK, VISUAL_BLOCK), dtype=bool)))
            place = self._whole_mask
        _enter(self._masks[level], row, column, place)

    def finish(self) -> None:
        """Write the directories.

        Raises:
            OSError: If they can't be written.
        """
        self.file.seek(0)
        self.file.write(self._head())
        self.file.flush()

    @property
    def _has_masks(self) -> bool:
        return self.image_format == "jpg"

    def _table(self, level: int) -> _Table:
        rows, columns = (count * 2 ** (self.levels - 1 - level) for count in self.blocks)
        return _Table(offsets=np.zeros((rows, columns), "<u8"), lengths=np.zeros((rows, columns), "<u4"))

    def _append(self, data: bytes) -> tuple[int, int]:
        place = self._position, len(data)
        self.file.write(data)
        self._position += len(data)
        return place

    def _head(self) -> bytes:
        """Give all that stands before the blocks; its length does not depend on where they are."""
        start = 16
        parts = [struct.pack("<2sHHHQ", b"II", 43, 8, 0, start)]
        directories = self._directories()
        for number, tags in enumerate(directories):
            made = _directory(tags, start, is_last=number == len(directories) - 1)
            parts.append(made)
            start += len(made)
        return b"".join(parts)

    def _directories(self) -> list[dict[int, tuple[int, Any]]]:
        found = []
        for level in range(self.levels):
            found.append(self._image_tags(level))
            if self._has_masks:
                found.append(self._mask_tags(level))
        return found

    def _image_tags(self, level: int) -> dict[int, tuple[int, Any]]:
        is_jpeg = self.image_format == "jpg"
        samples = 3 if is_jpeg else 4
        tags = {
            **_block_tags(self._images[level]),
            254: (_LONG, [_REDUCED if level else 0]),
            258: (_SHORT, [8] * samples),
            259: (_SHORT, [_JPEG if is_jpeg else _WEBP]),
            262: (_SHORT, [_YCBCR if is_jpeg else _RGB]),
            277: (_SHORT, [samples]),
            284: (_SHORT, [1]),
            339: (_SHORT, [1] * samples),
        }
        if is_jpeg:
            tags[530] = (_SHORT, list(self.subsampling))
        else:
            tags[338] = (_SHORT, [_UNASSOCIATED_ALPHA])
        return tags if level else tags | self._placing_tags()

    def _mask_tags(self, level: int) -> dict[int, tuple[int, Any]]:
        return {
            **_block_tags(self._masks[level]),
            254: (_LONG, [_MASK | _REDUCED if level else _MASK]),
            258: (_SHORT, [1]),
            259: (_SHORT, [_DEFLATE]),
            262: (_SHORT, [_TRANSPARENCY]),
            277: (_SHORT, [1]),
            284: (_SHORT, [1]),
            339: (_SHORT, [1]),
        }

    def _placing_tags(self) -> dict[int, tuple[int, Any]]:
        """Give the GeoTIFF keys (OGC 19-008r4): a projected CRS, pixels are areas; and GDAL's own tags.

        GDAL unescapes their values twice.
        """
        placing = self.placing
        keys = [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, placing.epsg]
        items = "".join(
            f'<Item name="{escape(name)}">{escape(escape(value))}</Item>' for name, value in self.tags.items()
        )
        return {
            33550: (_DOUBLE, [placing.cell, placing.cell, 0.0]),
            33922: (_DOUBLE, [0.0, 0.0, 0.0, *placing.origin, 0.0]),
            34735: (_SHORT, keys),
            42112: (_ASCII, f"<GDALMetadata>{items}</GDALMetadata>".encode() + b"\0"),
        }


def _enter(table: _Table, row: int, column: int, place: tuple[int, int]) -> None:
    table.offsets[row, column], table.lengths[row, column] = place


def _packed(valid: NDArray[np.bool_]) -> bytes:
    """Give a block of a mask: a bit a pixel, 1 where there is data."""
    return zlib.compress(np.packbits(valid, axis=1).tobytes(), 9)


def _block_tags(table: _Table) -> dict[int, tuple[int, Any]]:
    rows, columns = table.offsets.shape
    return {
        256: (_LONG, [columns * VISUAL_BLOCK]),
        257: (_LONG, [rows * VISUAL_BLOCK]),
        322: (_SHORT, [VISUAL_BLOCK]),
        323: (_SHORT, [VISUAL_BLOCK]),
        324: (_LONG8, table.offsets.ravel()),
        325: (_LONG, table.lengths.ravel()),
    }


def _directory(tags: Mapping[int, tuple[int, Any]], start: int, *, is_last: bool) -> bytes:
    """Write a directory and, after it, the values that have no room in it; then the next one begins."""
    body = struct.pack("<Q", len(tags))
    behind = start + 8 + 20 * len(tags) + 8
    values: list[bytes] = []
    for tag in sorted(tags):
        kind, value = tags[tag]
        raw = _raw(kind, value)
        count = len(raw) // np.dtype(_DTYPES[kind]).itemsize
        if len(raw) <= 8:
            body += struct.pack("<HHQ8s", tag, kind, count, raw)
            continue
        body += struct.pack("<HHQQ", tag, kind, count, behind)
        values.append(raw + b"\0" * (-len(raw) % 8))
        behind += len(values[-1])
    return body + struct.pack("<Q", 0 if is_last else behind) + b"".join(values)


def _raw(kind: int, value: bytes | Sequence[float] | NDArray[Any]) -> bytes:
    if isinstance(value, bytes):
        return value
    return np.asarray(value, _DTYPES[kind]).tobytes()
