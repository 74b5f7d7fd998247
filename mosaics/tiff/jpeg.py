"""Makes of a JPEG block of a TIFF a file that any decoder reads; pure: bytes in, bytes out.

A block may be a whole file, or leave out the tables that all blocks of its image share (TIFF Technical Note
2); and nothing in it says what its samples are, where it has neither a JFIF nor an Adobe marker.
"""

from __future__ import annotations

from typing import Final

_SOI: Final = b"\xff\xd8"
_EOI: Final = b"\xff\xd9"
_APP_FIRST, _APP_LAST, _COMMENT = 0xE0, 0xEF, 0xFE
_JFIF: Final = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
"""Says that three samples are Y, Cb, Cr; density 1:1. Source: ITU-T T.871."""
_ADOBE_RGB: Final = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
"""Says that three samples are red, green and blue: transform 0. Source: ITU-T T.872, 6.5.3."""
_YCBCR: Final = 6
_MARKERS: Final = (b"\xff\xe0", b"\xff\xee")


def standalone(block: bytes, tables: bytes | None, photometric: int) -> bytes:
    """Give the file of a block.

    Args:
        block: As it lies in the TIFF.
        tables: Value of the image's JPEGTables; None: its blocks are whole.
        photometric: TIFF's number of what its samples are.

    Returns:
        The block itself where nothing is missing. Otherwise: start, markers of applications, tables, the
        rest. JFIF asks that its marker comes first.

    Raises:
        ValueError: If block or tables are no JPEG.
    """
    if block[:2] != _SOI:
        raise ValueError("the block is no JPEG")
    if tables is None and block[2:4] in _MARKERS:
        return block
    end, is_named = _after_applications(block)
    if tables is None and is_named:
        return block
    name = b"" if is_named else _JFIF if photometric == _YCBCR else _ADOBE_RGB
    return b"".join((_SOI, name, block[2:end], _between(tables), block[end:]))


def _between(tables: bytes | None) -> bytes:
    """Give tables without the marks of their start and end."""
    if tables is None:
        return b""
    if tables[:2] != _SOI or tables[-2:] != _EOI:
        raise ValueError("the tables are no JPEG")
    return tables[2:-2]


def _after_applications(block: bytes) -> tuple[int, bool]:
    """Give where the markers of applications end, and whether one says what the samples are."""
    place, is_named = 2, False
    while len(block) >= place + 4 and block[place] == 0xFF:
        kind = block[place + 1]
        if not (_APP_FIRST <= kind <= _APP_LAST or kind == _COMMENT):
            break
        is_named = is_named or block[place : place + 2] in _MARKERS
        place += 2 + int.from_bytes(block[place + 2 : place + 4], "big")
    return place, is_named
