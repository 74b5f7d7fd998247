"""Writes PNG files; pure: arrays in, bytes out.

OpenCV and libpng take three times as long for the same bytes, and know no palette: the rows are filtered here
by numpy, and deflated by libdeflate.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_RGB, _PALETTE, _RGBA = 2, 3, 6
"""Colour types."""
_NONE, _AVERAGE = 0, 3
"""Filters of a row: the samples as they are, or less the mean of those at the left and above."""
_LEVEL: Final = 1
"""Of libdeflate: higher ones take twice the time for a hundredth of the bytes."""


def colour_png(pixels: NDArray[np.uint8], *, few: bool = False) -> bytes:
    """Write colours.

    Args:
        pixels: Red, green, blue and perhaps alpha, shape (height, width, 3 or 4).
        few: There are few different ones, so that they come again more often than their differences.
    """
    return _file(_RGB if pixels.shape[2] == 3 else _RGBA, pixels, _NONE if few else _AVERAGE)


def palette_png(
    values: NDArray[np.uint8],
    colours: NDArray[np.uint8],
    transparent: int | None = None,
    *,
    gradual: bool = False,
) -> bytes:
    """Write places in a list of colours; shades too: OpenCV and GDAL see no transparent shade of a grey PNG.

    Args:
        values: Shape (height, width).
        colours: Red, green, blue of each value, shape (n, 3); those above the largest value are left out.
        transparent: The value that has no colour, but is nothing.
        gradual: Values that are near have colours that are near.
    """
    listed = colours[: int(values.max()) + 1]
    if transparent is None or transparent >= len(listed):
        told = _chunk(b"PLTE", listed.tobytes())
    else:
        listed = listed.copy()
        listed[transparent] = 0
        told = _chunk(b"PLTE", listed.tobytes()) + _chunk(b"tRNS", b"\xff" * transparent + b"\0")
    return _file(_PALETTE, values[..., np.newaxis], _AVERAGE if gradual else _NONE, told)


def _file(colour_type: int, samples: NDArray[np.uint8], kind: int, told: bytes = b"") -> bytes:
    """Put a file together, 8 bits a sample; `told` are the chunks before the pixels."""
    height, width, _ = samples.shape
    head = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    rows = _filtered(samples, kind)
    data = bytes(imagecodecs.deflate_encode(rows.tobytes(), _LEVEL, raw=False))
    return b"".join((_SIGNATURE, _chunk(b"IHDR", head), told, _chunk(b"IDAT", data), _chunk(b"IEND", b"")))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _filtered(samples: NDArray[np.uint8], kind: int) -> NDArray[np.uint8]:
    """Give the filtered rows, each after the number of its filter, shape (height, 1 + width * channels)."""
    height, width, channels = samples.shape
    out = np.empty((height, 1 + width * channels), dtype="uint8")
    out[:, 0] = kind
    rows = samples.reshape(height, width * channels)
    if kind == _NONE:
        out[:, 1:] = rows
        return out
    held = np.zeros((height + 1, (width + 1) * channels), dtype="uint8")
    held[1:, channels:] = rows
    left, above = held[1:, :-channels], held[:-1, channels:]
    mean = np.bitwise_xor(left, above)
    np.right_shift(mean, 1, out=mean)
    mean += left & above
    np.subtract(rows, mean, out=out[:, 1:])
    return out
