"""NITF 2.1 and NSIF 1.0 of one image: what its header says. Source: MIL-STD-2500C, tables A-1 and A-3."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mosaics.products.delivery import BandGroup, Delivery, DeliveryUnreadableError, ImageFile, ProductBand

ENDINGS: Final = frozenset({".ntf", ".nitf", ".nsf"})
_VERSIONS: Final = (b"NITF02.10", b"NSIF01.00")
_FORMER: Final = b"NITF"
_IMAGE_COUNT: Final = slice(360, 363)
"""NUMI; before it stands HL, the length of the header, then a length for each image's header and data."""
_HEADER_LENGTH: Final = slice(354, 360)
_FIRST_SUBHEADER: Final = slice(363, 369)
_MOST_SUBHEADER: Final = 999_999
_IGEOLO: Final = 372
"""Offset in an image's header where its corners stand, if ICORDS before it says that there are any."""
_COLOURS: Final = {"R": "red", "G": "green", "B": "blue", "Y": "red", "Cb": "green", "Cr": "blue"}
"""IREPBAND -> STAC's name; luminance and chrominance of JPEG are red, green and blue once they are read."""
_NOT_SET: Final = "20021216151629"
"""IDATIM that GDAL writes where it is told none; seen with GDAL 3.10."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Image:
    """What an image's header says."""

    taken: str
    """IDATIM, CCYYMMDDhhmmss, with hyphens for what is not known."""
    source: str
    """ISORCE."""
    rows: int
    columns: int
    colours: tuple[str, ...]
    """IREPBAND of each band."""
    is_placed: bool
    """It tells where its corners are, and has no coefficients: these are to be believed first."""


def find_nitf(path: Path) -> Path | None:
    """Give the file if it is named as a NITF; None: it is not."""
    return path if path.is_file() and path.suffix.lower() in ENDINGS else None


def read_nitf(path: Path) -> Delivery:
    """Read a file's header; the rest GDAL reads when the image is inspected, its coefficients (RPC00B) too.

    Raises:
        DeliveryUnreadableError: If it is no NITF 2.1, or does not hold exactly one image.
    """
    try:
        with path.open("rb") as file:
            header = file.read(1024)
            length = _image_header(header, path)
            file.seek(int(header[_HEADER_LENGTH]))
            image = _image(file.read(length))
    except (ValueError, IndexError) as error:
        raise DeliveryUnreadableError(f"{path.name}: its header can't be read; copy it again") from error
    except OSError as error:
        raise DeliveryUnreadableError(f"{path.name}: it can't be read: {error.strerror}") from error
    bands = tuple(
        ProductBand(id=str(place), common_name=_COLOURS.get(colour))
        for place, colour in enumerate(image.colours, 1)
    )
    group = BandGroup(
        name="pan" if len(bands) == 1 else "ms",
        files=(ImageFile(path=path, row=1, column=1, bands=tuple(band.id for band in bands), driver="NITF"),),
        bands=bands,
        height=image.rows,
        width=image.columns,
        geometry="ground" if image.is_placed else "sensor",
        metadata=path,
    )
    return Delivery(
        name=path.stem,
        sensor_id={1: "grey", 3: "rgb"}.get(len(bands), "multispectral"),
        platform=image.source or "NITF",
        groups=(group,),
        acquired=_acquired(image.taken),
    )


def _image_header(header: bytes, path: Path) -> int:
    """Give the length of the header of the one image."""
    if header[:9] not in _VERSIONS:
        told = "an older NITF" if header[:4] == _FORMER else "no NITF"
        raise DeliveryUnreadableError(
            f"{path.name}: it is {told}, and NITF 2.1 is read here; convert it with gdal_translate -of GTiff"
        )
    count = int(header[_IMAGE_COUNT])
    if count != 1:
        raise DeliveryUnreadableError(
            f"{path.name}: it holds {count} images, and files of one are read here; "
            "take them apart with gdal_translate NITF_IM:0:..., NITF_IM:1:... and bank each"
        )
    return min(int(header[_FIRST_SUBHEADER]), _MOST_SUBHEADER)


def _image(header: bytes) -> _Image:
    """Read an image's header; fields stand at fixed places up to the corners, and follow one another then."""
    if header[:2] != b"IM":
        raise ValueError("no header of an image")
    text = header.decode("latin-1")
    has_corners = text[_IGEOLO - 1] not in " \0"
    place = _IGEOLO + (60 if has_corners else 0)
    comments = int(text[place])
    place += 1 + 80 * comments
    compression = text[place : place + 2]
    place += 2 + (4 if compression not in {"NC", "NM"} else 0)
    count = int(text[place])
    place += 1
    if count == 0:
        count = int(text[place : place + 5])
        place += 5
    colours = []
    for _ in range(count):
        colours.append(text[place : place + 2].strip())
        tables = int(text[place + 12])
        place += 13 + (5 + tables * int(text[place + 13 : place + 18]) if tables else 0)
    return _Image(
        taken=text[12:26],
        source=text[291:333].strip(),
        rows=int(text[333:341]),
        columns=int(text[341:349]),
        colours=tuple(colours),
        is_placed=has_corners and "RPC00B" not in text,
    )


def _acquired(taken: str) -> datetime | None:
    if taken == _NOT_SET or not re.fullmatch(r"\d{14}", taken):
        return None
    try:
        return datetime.strptime(taken, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
