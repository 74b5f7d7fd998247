"""What `bank` is ordered to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path


class Drawn(StrEnum):
    """Formats of tiles that are drawn ahead."""

    JPG = "jpg"
    WEBP = "webp"


class Warp(StrEnum):
    """How what lies between points is found."""

    POLYNOMIAL = "polynomial"
    SPLINE = "spline"


@dataclass(frozen=True, kw_only=True, slots=True)
class BankOrder:
    """What was ordered, as it was written; None: the default."""

    paths: tuple[str, ...]
    """Deliveries, images, folders of either, addresses of objects."""
    collection: str | None
    """Where they belong."""
    licence: str | None
    """What they are under."""
    sensor: str | None
    """Its id, or another name of it."""
    acquired: datetime | None
    """Of all of them."""
    bands: tuple[str, ...]
    """`NAMES` or `GROUP=NAMES`."""
    nodata: float | None
    """In stored units."""
    public: bool
    """Let everybody see the collections."""
    drawn: Drawn | None
    """Format of tiles to draw ahead; None: none."""
    dem: Path | None
    """Elevation model, metres."""
    dem_offset: float
    """Metres added to its heights."""
    crs: str | None
    """Where to put images in sensor geometry."""
    resolution: float | None
    """Units of that CRS per pixel."""
    warp: Warp | None
    """How what lies between points is found."""
    jobs: int | None
    """How many at the same time."""
    scheduler: str | None
    """Of a dask cluster; None: this machine."""
    dry_run: bool
    """Only say what would be done."""
    as_json: bool
    """For programs."""
