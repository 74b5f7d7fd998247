"""From the bytes of a block to its samples; pure: no file, no cache.

The codecs are imagecodecs', which release the interpreter's lock while they work.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from mosaics.errors import MosaicsError
from mosaics.tiff.layout import LayoutUnsupportedError, Level

_NONE, _LZW, _JPEG, _DEFLATE, _OLD_DEFLATE, _ZSTD, _WEBP = 1, 5, 7, 8, 32946, 50000, 50001
_YCBCR, _RGB = 6, 2

Room = int | memoryview
"""How many bytes there will be at most, or where they go."""

_BYTES: Final[dict[int, Callable[[bytes, Room], Any]]] = {
    _NONE: lambda data, _: data,
    _LZW: lambda data, room: imagecodecs.lzw_decode(data, out=room),
    _DEFLATE: lambda data, room: imagecodecs.deflate_decode(data, out=room),
    _OLD_DEFLATE: lambda data, room: imagecodecs.deflate_decode(data, out=room),
    _ZSTD: lambda data, room: imagecodecs.zstd_decode(data, out=room),
}
"""Codecs that give bytes."""
_SCRATCH_BYTES: Final = 4_000_000
"""Most that each thread keeps for bytes that become samples in a second step."""


class _Scratch(threading.local):
    """Memory of a thread that is used again: new memory takes as long to get as differences to add up."""

    held = bytearray()

    def room(self, size: int) -> Room:
        """Give room for so many bytes, until it is asked again."""
        if size > _SCRATCH_BYTES:
            return size
        if len(self.held) < size:
            self.held = bytearray(size)
        return memoryview(self.held)[:size]


_scratch = _Scratch()


class BlockDamagedError(MosaicsError):
    """A block can't be decoded; the file is broken, or was changed while it was read."""


def check_codec(level: Level) -> None:
    """Refuse a level whose blocks can't be decoded here.

    Raises:
        LayoutUnsupportedError: With the reason.
    """
    coloured = level.compression in {_JPEG, _WEBP}
    if not coloured and level.compression not in _BYTES:
        raise LayoutUnsupportedError(f"codec {level.compression}")
    if level.predictor not in {1, 2, 3} or (coloured and level.predictor != 1):
        raise LayoutUnsupportedError(f"predictor {level.predictor}")
    if (level.predictor == 3) != (level.predictor != 1 and level.dtype.kind == "f"):
        raise LayoutUnsupportedError("the predictor is not of this type")
    if level.bits == 1 and (level.samples != 1 or coloured or level.predictor != 1):
        raise LayoutUnsupportedError("bits that are no mask")
    if coloured and level.dtype != np.dtype("u1"):
        raise LayoutUnsupportedError("a codec of pictures holds other numbers")


def decode(data: bytes, level: Level, row: int) -> NDArray[Any]:
    """Decode a block.

    Args:
        data: As it lies in the file.
        level: Which image it is of.
        row: Row of blocks, since the last strip is shorter.

    Returns:
        Samples of shape (rows, columns, samples), writable by nobody; a mask's bits as 0 and 1.

    Raises:
        BlockDamagedError: If it can't be.
    """
    shape = level.block_shape(row)
    try:
        block = _decoded(data, level, shape)
    except (ValueError, RuntimeError, TypeError) as error:  # imagecodecs' errors are RuntimeErrors
        raise BlockDamagedError(f"a block can't be decoded: {type(error).__name__}") from error
    block.flags.writeable = False
    return block


def _decoded(data: bytes, level: Level, shape: tuple[int, int, int]) -> NDArray[Any]:
    if level.compression == _JPEG:
        return _jpeg(data, level).reshape(shape)
    if level.compression == _WEBP:
        block: NDArray[Any] = imagecodecs.webp_decode(data, hasalpha=level.samples == 4)
        return block.reshape(shape)
    if level.bits == 1:
        return _bits(data, level, shape)
    size = shape[0] * shape[1] * shape[2] * level.dtype.itemsize
    raw = _BYTES[level.compression](data, size if level.predictor == 1 else _scratch.room(size))
    if len(raw) < size:
        raise ValueError("too few bytes")
    block = np.frombuffer(raw, level.dtype, count=shape[0] * shape[1] * shape[2]).reshape(shape)
    if level.predictor == 2:
        block = imagecodecs.delta_decode(block, axis=1)
    elif level.predictor == 3:
        block = imagecodecs.floatpred_decode(block, axis=1)
    return block


def _jpeg(data: bytes, level: Level) -> NDArray[Any]:
    """Decode a JPEG block; tables that all blocks share lie apart."""
    spaces: dict[str, Any] = {}
    if level.samples == 3 and not level.planar:
        spaces = {"colorspace": "YCBCR" if level.photometric == _YCBCR else "RGB", "outcolorspace": "RGB"}
    elif level.samples == 4 and not level.planar:
        spaces = {"colorspace": "CMYK", "outcolorspace": "CMYK"}  # four samples as they are
    block: NDArray[Any] = imagecodecs.jpeg8_decode(data, tables=level.jpeg_tables, **spaces)
    return block


def _bits(data: bytes, level: Level, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Decode bits, each row beginning with a new byte; GDAL's masks are 1 where there is data."""
    row_bytes = -(-shape[1] // 8)
    raw = _BYTES[level.compression](data, row_bytes * shape[0])
    packed = np.frombuffer(raw, "u1", count=row_bytes * shape[0]).reshape(shape[0], row_bytes)
    return np.unpackbits(packed, axis=1)[:, : shape[1], np.newaxis]
