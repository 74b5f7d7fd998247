"""What readers of radar deliveries share: words of directions, bands in their order, corners as points."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from mosaics.products.delivery import (
    BandGroup,
    Calibration,
    DeliveryUnreadableError,
    Driver,
    Geometry,
    GroundPoint,
    ImageFile,
    ProductBand,
    Quantity,
    Samples,
)

POLARIZATIONS: Final = ("HH", "VV", "HV", "VH")
"""In the order that bands are stored in: first what comes back as it was sent."""
NODATA: Final = 0.0
"""Count of the pixels that the radar did not see, of all products read here."""
LIGHT: Final = 299_792_458.0
"""Metres a second."""
_PLAIN: Final = re.compile(r"[^a-z0-9]")
"""What a name of a group has no use for: some are words of the product, which may say anything."""
_FEWEST: Final = 3
"""Points that place an image; with fewer the image's own are used."""


def ordered(polarizations: Iterable[str]) -> tuple[str, ...]:
    """Give known polarizations, each once, in the order of their bands."""
    found = {each.upper().replace("/", "") for each in polarizations}
    return tuple(each for each in POLARIZATIONS if each in found)


def observation_direction(text: str | None) -> Literal["left", "right"] | None:
    """Give the side that the antenna looks to; None: it is not told."""
    match (text or "").strip().lower():
        case "left" | "l":
            return "left"
        case "right" | "r":
            return "right"
    return None


def orbit_state(text: str | None) -> Literal["ascending", "descending"] | None:
    """Give the way that the satellite flew; None: it is not told."""
    match (text or "").strip().lower():
        case "ascending" | "ascend" | "a":
            return "ascending"
        case "descending" | "descend" | "d":
            return "descending"
    return None


def gigahertz(hertz: float | None) -> float | None:
    """Give a frequency in the unit that STAC has it in."""
    return None if hertz is None else hertz / 1e9


def middle(first: datetime | None, last: datetime | None) -> datetime | None:
    """Give the instant between two, or the one that is known."""
    if first is None or last is None:
        return first or last
    return first + (last - first) / 2


def corner_points(
    corners: Sequence[tuple[float, float]], height: int, width: int, ground_height: float = 0.0
) -> tuple[GroundPoint, ...]:
    """Give the middles of the four corner pixels as points.

    Args:
        corners: Longitude and latitude at the first row's first and last column, then the last row's.
        height: Rows of the image.
        width: Columns of the image.
        ground_height: Metres above the ellipsoid.
    """
    places = ((0.5, 0.5), (0.5, width - 0.5), (height - 0.5, 0.5), (height - 0.5, width - 0.5))
    return tuple(
        GroundPoint(row=row, column=column, longitude=longitude, latitude=latitude, height=ground_height)
        for (row, column), (longitude, latitude) in zip(places, corners, strict=True)
    )


def radar_group(
    *,
    name: str,
    images: Sequence[tuple[str, Path]],
    calibrations: Sequence[Calibration],
    quantity: Quantity,
    height: int,
    width: int,
    geometry: Geometry,
    metadata: Path,
    points: tuple[GroundPoint, ...] = (),
    driver: Driver = "GTiff",
    samples: Samples = "whole",
    is_complex: bool = False,
    tables: tuple[Path, ...] = (),
    least_bytes: int = 1,
) -> BandGroup:
    """Put a group of bands together, one file for each, as radar products have them.

    Args:
        name: Of the group.
        images: Polarization and file of each band, in the order of the bands.
        calibrations: One for each.
        quantity: What they make.
        height: Rows.
        width: Columns.
        geometry: Of the image.
        metadata: The file that says so.
        points: Of an image in sensor geometry.
        driver: GDAL's name of the format.
        samples: What the file's own bands are.
        is_complex: Samples are complex.
        tables: Files that calibrations are read from.
        least_bytes: Of each image's file.

    Raises:
        DeliveryUnreadableError: If an image has no pixels.
    """
    if height < 1 or width < 1:
        raise DeliveryUnreadableError(
            f"{metadata.name}: it says its image is {width} x {height} pixels large"
        )
    return BandGroup(
        name=_PLAIN.sub("", name.lower()) or "image",
        files=tuple(
            ImageFile(
                path=path,
                row=1,
                column=1,
                bands=(band,),
                driver=driver,
                samples=samples,
                least_bytes=least_bytes,
            )
            for band, path in images
        ),
        bands=tuple(ProductBand(id=band, common_name=band.lower()) for band, _ in images),
        height=height,
        width=width,
        geometry=geometry,
        nodata=NODATA,
        points=points if geometry == "sensor" and len(points) >= _FEWEST else (),
        radiometry="radar",
        is_complex=is_complex,
        quantity=quantity,
        calibrations=tuple(calibrations),
        tables=tables,
        metadata=metadata,
    )
