"""How large an image is, by the first bytes of its file: for deliveries that do not say; no pixel is read.

Sources: TIFF 6.0 and BigTIFF, ISO/IEC 15444-1 annexes A.5.1 (SIZ) and I.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

_WIDTH, _HEIGHT, _DESCRIPTION, _SAMPLES = 256, 257, 270, 277
_TAGS: Final = frozenset({_WIDTH, _HEIGHT, _DESCRIPTION, _SAMPLES})
_MOST_TAGS: Final = 4096
_LONGEST_TEXT: Final = 1_000_000
"""Bytes of a description that is read."""
_SHAPES: Final = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""TIFF's types of whole numbers -> of module struct."""
_CODESTREAM: Final = b"\xff\x4f\xff\x51"
"""Start of a codestream, and its first marker, which tells its size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What the first bytes of an image tell."""

    height: int
    """Rows."""
    width: int
    """Columns."""
    samples: int
    """Bands, alpha included."""
    description: str = ""
    """TIFF's ImageDescription, into which some providers write their metadata."""


def read_head(path: Path) -> Head | None:
    """Read the head of a TIFF or of a JPEG 2000.

    Returns:
        None if there is no such file, or it is neither: whoever opens it tells what is wrong with it.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4096)
            if start[:2] in {b"II", b"MM"}:
                return _tiff(file, start)
            return _jpeg2000(start)
    except (OSError, struct.error, KeyError, OverflowError, ValueError):
        return None


def _tiff(file: BinaryIO, start: bytes) -> Head:
    order = "<" if start[:2] == b"II" else ">"
    (magic,) = struct.unpack_from(f"{order}H", start, 2)
    big = {42: False, 43: True}[magic]
    (offset,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", start, 8 if big else 4)
    file.seek(offset)
    count_shape, entry_shape = ("Q", "HHQ8s") if big else ("H", "HHI4s")
    (count,) = struct.unpack(f"{order}{count_shape}", file.read(struct.calcsize(f"{order}{count_shape}")))
    size = struct.calcsize(f"{order}{entry_shape}")
    table = file.read(min(count, _MOST_TAGS) * size)
    found: dict[int, int] = {}
    description = ""
    for place in range(0, len(table) - size + 1, size):
        tag, kind, length, value = struct.unpack_from(f"{order}{entry_shape}", table, place)
        if tag == _DESCRIPTION and kind == 2:
            description = _description(file, order, length, value)
        elif tag in _TAGS:
            (found[tag],) = struct.unpack_from(f"{order}{_SHAPES[kind]}", value)
    return Head(
        height=found[_HEIGHT], width=found[_WIDTH], samples=found.get(_SAMPLES, 1), description=description
    )


def _description(file: BinaryIO, order: str, length: int, value: bytes) -> str:
    if length > _LONGEST_TEXT:
        return ""
    text = value[:length]
    if length > len(value):
        (offset,) = struct.unpack(f"{order}{'Q' if len(value) == 8 else 'I'}", value)
        here = file.tell()
        file.seek(offset)
        text = file.read(length)
        file.seek(here)
    return text.rstrip(b"\0").decode("utf-8", errors="replace")


def _jpeg2000(start: bytes) -> Head | None:
    place = start.find(_CODESTREAM)
    if place < 0:
        return None
    width, height, left, top = struct.unpack_from(">IIII", start, place + 8)
    (samples,) = struct.unpack_from(">H", start, place + 40)
    return Head(height=height - top, width=width - left, samples=samples)
