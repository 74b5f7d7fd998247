"""Everything that banking needs to know of a file, in one call for the sandbox."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mosaics.ingest.conversion import Conversion
from mosaics.ingest.footprint import footprint
from mosaics.ingest.inspect import Inspection, inspect, with_nodata
from mosaics.ingest.limits import MAX_BLOCK_BYTES, MAX_BLOCK_PIXELS
from mosaics.ingest.profile import PROFILE
from mosaics.ingest.pyramid import copying
from mosaics.ingest.source import Progress, check_overviews
from mosaics.ingest.statistics import BandStatistics, Statistics, measure
from mosaics.ingest.workplace import disk_errors
from mosaics.places import is_object

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_COPY_NAME: Final = "copy.tif"
PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9._/-]+")
"""Paths that the catalogue holds and readers open."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """A file that can be banked."""

    inspection: Inspection
    """Its header."""
    bands: tuple[BandStatistics, ...]
    """Its values, in file order without the alpha band."""
    has_unfinite: bool
    """Some values are NaN or infinite."""
    footprint: BaseGeometry
    """Outline of its valid data, longitude and latitude (WGS 84)."""
    conversion_reason: str | None
    """Why it must be converted; None: it can be served where it lies."""
    copy: Path | None = None
    """A tiled copy for the conversion, if one was made."""


def examine(
    path: Path,
    href: str | None,
    report: Progress,
    *,
    nodata: float | None = None,
    threads: int = 1,
    room: Path | None = None,
) -> Examination:
    """Inspect a file, read all of it, and decide whether it can be served where it lies.

    Meanwhile a tiled copy is made of a file that must be converted whatever is found in it, and whose blocks
    take time to decode.

    Args:
        path: The file, its real path.
        href: Where it would be served from as it is; None: it lies below no data root.
        report: Called with ("reading", 0 to 1).
        nodata: What means nothing where the file doesn't say; None: nothing does.
        threads: How many may decode blocks.
        room: A folder for that copy, on the disk of the bank; None: none is made.

    Returns:
        What was found.

    Raises:
        IngestError: If it can't be banked; the message gives the reason and what would help.
    """
    inspection = inspect(path)
    if nodata is not None:
        inspection = with_nodata(inspection, nodata)
    statistics, copy = _measured(
        inspection, href, room, partial(measure, inspection, report, threads=threads)
    )
    outline = footprint(inspection, statistics.coverage)
    reason = conversion_reason(inspection, href, has_unfinite=statistics.has_unfinite)
    if reason is None:
        check_overviews(inspection)
    return Examination(
        inspection=inspection,
        bands=statistics.bands,
        has_unfinite=statistics.has_unfinite,
        footprint=outline,
        conversion_reason=reason,
        copy=copy,
    )


def _measured(
    inspection: Inspection, href: str | None, room: Path | None, measuring: Callable[..., Statistics]
) -> tuple[Statistics, Path | None]:
    """Measure a file, and copy it on the way where that is worth while."""
    # a copy has no overviews, so how they are reduced does not matter yet
    conversion = Conversion(inspection=inspection, profile=PROFILE, reduction="average", has_unfinite=False)
    is_certain = conversion_reason(inspection, href, has_unfinite=False) is not None
    if room is None or not is_certain or not conversion.is_copied_early:
        return measuring(), None
    path = room / _COPY_NAME
    with disk_errors(inspection.path.name, room), copying(conversion, path) as take:
        return measuring(then=take), path


def conversion_reason(inspection: Inspection, href: str | None, *, has_unfinite: bool) -> str | None:
    """Say why a file can't be served where it lies.

    It can when it lies under a data root by a plain path or address, is a valid COG with overviews of its own
    (or no larger than one block of the profile), and tells valid pixels in one way that is inside the file.

    Args:
        inspection: The file.
        href: Its real path, or its address in the store; None: it lies below no data root.
        has_unfinite: It has values that are NaN or infinite, which then must be its nodata value.

    Returns:
        The reason in a few words, or None.
    """
    size = PROFILE.block_size
    rows, columns = inspection.block_shape
    small = inspection.width <= size and inspection.height <= size
    ways = (
        (inspection.nodata is not None) + inspection.has_internal_mask + (inspection.alpha_band is not None)
    )
    for applies, words in (
        (href is None, "it lies under no data root"),
        (
            href is not None and not is_object(href) and PLAIN_PATH.fullmatch(href) is None,
            "its path has characters other than letters, digits, dot, hyphen and underscore",
        ),
        (not inspection.is_valid_cog, f"it is no valid COG ({'; '.join(inspection.cog_errors)})"),
        (not inspection.overviews and not small, f"it has no overviews and is larger than {size} pixels"),
        (inspection.external_mask is not None, "its mask is in another file"),
        (inspection.nodata_is_given, "its nodata value is not in the file"),
        (
            inspection.alpha_band is not None and inspection.data_type != "uint8",
            "its alpha band is not of 8 bits, so what is opaque is not certain",
        ),
        (ways > 1, "it has more than one of nodata value, mask and alpha band"),
        (
            rows * columns > MAX_BLOCK_PIXELS or rows * columns * inspection.pixel_bytes > MAX_BLOCK_BYTES,
            f"its blocks of {columns} x {rows} pixels are too large to be read one by one",
        ),
        (
            has_unfinite and (inspection.nodata is None or not math.isnan(inspection.nodata)),
            "it has values that are not finite, which its nodata value does not say",
        ),
        (inspection.stored_bits is not None, f"its values are stored in {inspection.stored_bits} bits"),
    ):
        if applies:
            return words
    return None
