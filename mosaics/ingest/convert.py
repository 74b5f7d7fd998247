"""Writes a file again in the bank profile, in bounded memory and in a temporary folder until it is right."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import rasterio
from rasterio._err import CPLE_BaseError  # copy() lets it through as it is
from rasterio.errors import RasterioError
from rasterio.shutil import copy

from mosaics.errors import IngestError
from mosaics.gdal import deepest_reason, open_raster, unplaced_files_expected
from mosaics.heap import give_back
from mosaics.ingest.conversion import Conversion
from mosaics.ingest.digests import file_sha256
from mosaics.ingest.limits import check_complete
from mosaics.ingest.pyramid import READING, write_pyramid
from mosaics.ingest.source import Progress
from mosaics.ingest.validity import cog_errors
from mosaics.ingest.workplace import disk_errors

RESULT_NAME: Final = "result.tif"
"""The finished COG within the temporary folder."""
_BASE_NAME: Final = "base.tif"
_PYRAMID_SHARE: Final = 0.6


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """A finished file."""

    path: Path
    """The file."""
    sha256: str
    """Its SHA-256."""


def convert(conversion: Conversion, folder: Path, report: Progress) -> Converted:
    """Write the Cloud-Optimized GeoTIFF of an inspected file.

    Args:
        conversion: What to make of what.
        folder: An empty folder on the disk of the destination; the caller removes it.
        report: Called with ("converting", 0 to 1); silent while GDAL assembles the result, which grows.

    Returns:
        The finished file in the folder, the only one, flushed to the disk and checked: a valid COG of the
        same size.

    Raises:
        IngestError: If a block can't be decoded, the disk is full, or the result is not right.
    """
    inspection = conversion.inspection
    base, result = folder / _BASE_NAME, folder / RESULT_NAME
    with disk_errors(inspection.path.name, folder), unplaced_files_expected():
        write_pyramid(conversion, base, lambda done: report("converting", _PYRAMID_SHARE * done))
        give_back()
        _assemble(conversion, base, result)
        report("converting", 0.98)
        sha256 = _completed(conversion, base, result)
        report("converting", 1.0)
    return Converted(path=result, sha256=sha256)


def _assemble(conversion: Conversion, base: Path, result: Path) -> None:
    """Let GDAL lay out the COG; it finds the overviews beside the base, in a folder with nothing but ours."""
    inspection = conversion.inspection
    options = conversion.profile.copy_options(
        inspection.data_type, inspection.file_band_count, conversion.threads
    )
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="FALSE", **READING), open_raster(base) as source:
        try:
            copy(source, result, **options)
        except CPLE_BaseError as error:
            raise RasterioError(deepest_reason(error)) from error


def _completed(conversion: Conversion, base: Path, result: Path) -> str:
    """Check and flush the result and take away what it was made of, while its digest is found."""
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="completing") as threads:
        beside = threads.submit(_flush, result), threads.submit(_clear, base)
        _check(conversion, result)
        sha256 = file_sha256(result, conversion.inspection.path.name, lambda _: None)
        for each in beside:
            each.result()
    return sha256


def _flush(result: Path) -> None:
    with result.open("rb") as file:
        os.fsync(file.fileno())


def _clear(base: Path) -> None:
    """Take away the tiled file and its overviews: giving back what the system holds of them takes time."""
    for path in base.parent.glob(f"{base.name}*"):
        path.unlink()


def _check(conversion: Conversion, result: Path) -> None:
    """Refuse a result that is not what was asked for, such as one that a full disk cut short."""
    inspection, name = conversion.inspection, conversion.inspection.path.name
    with open_raster(result) as made:
        size = (inspection.width, inspection.height, inspection.file_band_count)
        if (made.width, made.height, made.count) != size or len(made.overviews(1)) != len(
            conversion.sizes
        ) - 1:
            raise IngestError(f"{name}: the converted file is not what was asked for; try again")
    check_complete(name, result)
    errors = cog_errors(result)
    if errors:
        raise IngestError(f"{name}: the converted file is no valid COG: {'; '.join(errors)}")
