"""What a file is by its first bytes, before any library looks at it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final, Literal

from mosaics.errors import IngestError

_TIFF: Final = {b"II*\x00": "<", b"MM\x00*": ">"}
_BIG_TIFF: Final = {b"II+\x00": "<", b"MM\x00+": ">"}
_JP2: Final = (b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_OTHERS: Final = (
    (
        b"\xff\xd8\xff",
        "a JPEG picture, which has no georeference; make it a GeoTIFF with its CRS and corners",
    ),
    (b"\x89PNG", "a PNG picture, which has no georeference; make it a GeoTIFF with its CRS and corners"),
    (b"PK\x03\x04", "a ZIP archive; unpack it and bank the images inside"),
    (b"\x1f\x8b", "a gzip archive; unpack it and bank the images inside"),
    (b"%PDF", "a PDF document; export its image as GeoTIFF"),
    (b"\x89HDF", "HDF5 or netCDF; convert the wanted layer with: gdal_translate INPUT OUTPUT.tif"),
    (b"CDF", "netCDF; convert the wanted layer with: gdal_translate INPUT OUTPUT.tif"),
    (b"NITF", "NITF; convert it with: gdal_translate INPUT OUTPUT.tif"),
)
_OPEN_HINT: Final = "; GeoTIFF and JPEG 2000 are read, convert others with: gdal_translate INPUT OUTPUT.tif"


def file_format(path: Path) -> Literal["tiff", "jp2"]:
    """Tell a TIFF from a JPEG 2000 by its content, whatever its name.

    Args:
        path: A file.

    Returns:
        Which of the two formats that are read.

    Raises:
        IngestError: If it is neither, empty, cut off before its first directory, or can't be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError as error:
        raise IngestError(f"{path.name}: can't be read: {error.strerror}") from error
    if not head:
        raise IngestError(f"{path.name}: the file is empty (0 bytes); copy it again from its source")
    if head.startswith(_JP2):
        return "jp2"
    directory = _first_directory(head)
    if directory is None:
        raise IngestError(f"{path.name}: not an image that can be banked: {_recognise(head)}")
    if directory >= size:
        raise IngestError(
            f"{path.name}: truncated: the file has {size} bytes, but its directory of contents would begin "
            f"at byte {directory}; copy it again from its source"
        )
    return "tiff"


def _first_directory(head: bytes) -> int | None:
    """Give the offset of the first directory of a TIFF, bytes; None if it is no TIFF at all."""
    if order := _TIFF.get(head[:4]):
        return _number(head, order + "I", 4)
    if order := _BIG_TIFF.get(head[:4]):
        return _number(head, order + "Q", 8)
    return None


def _number(head: bytes, form: str, start: int) -> int:
    end = start + struct.calcsize(form)
    # a header that is itself cut off points beyond any end
    return int(struct.unpack(form, head[start:end])[0]) if len(head) >= end else 1 << 62


def _recognise(head: bytes) -> str:
    """Say what other kind of file it is, and what would help."""
    if b"<VRTDataset" in head or b"<GDALTileIndexDataset" in head:
        return "a VRT, which only points to other files; bank the GeoTIFFs that it names"
    for magic, words in _OTHERS:
        if head.startswith(magic):
            return words
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return "an XML document, such as a product's metadata; bank the product's image files"
    return f"of an unknown format{_OPEN_HINT}"
