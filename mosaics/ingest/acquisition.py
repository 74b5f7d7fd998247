"""When an image was acquired, as its own metadata says; names of files are the sensors' business."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

DATETIME_TAGS: Final = (
    "IMAGERY:ACQUISITIONDATETIME",
    "ACQUISITIONDATETIME",
    "ACQUISITION_DATETIME",
    "ACQUISITION_DATE_TIME",
    "ACQUISITION_DATE",
    "SENSING_TIME",
    "SENSING_START",
)
"""Tags that hold an ISO date, in the order in which they count; case does not.

TIFFTAG_DATETIME is none of them: it is when the file was made.
Source: GDAL raster data model, domain IMAGERY; the others are customary.
"""
EPOCH_TAGS: Final = ("SYSTEM-TIME_START", "SYSTEM:TIME_START")
"""Tags that hold milliseconds since 1970, as Google Earth Engine exports them."""


def acquired_from_tags(tags: Mapping[str, str]) -> datetime | None:
    """Read the acquisition time of the tags.

    Args:
        tags: As in `Inspection.tags`.

    Returns:
        UTC (times without a zone are taken for it), or None where no tag tells.
    """
    by_name = {key.upper(): value.strip() for key, value in tags.items()}
    for name in DATETIME_TAGS:
        found = _iso(by_name.get(name, ""))
        if found is not None:
            return found
    for name in EPOCH_TAGS:
        text = by_name.get(name, "")
        if text.isdigit() and len(text) <= 14:
            return datetime.fromtimestamp(int(text) / 1000, UTC)
    return None


def _iso(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace("/", "-"))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
