"""Writes a file again in the bank profile, in bounded memory and in a temporary folder until it is right."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError  # copy() lets it through as it is
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.shutil import copy
from rasterio.transform import Affine
from rasterio.windows import Window

from mosaics.errors import IngestError
from mosaics.gdal import deepest_reason, open_raster, unplaced_files_expected
from mosaics.ingest.inspect import Inspection
from mosaics.ingest.limits import check_complete
from mosaics.ingest.overviews import Steps, coarsen, steps
from mosaics.ingest.profile import BankProfile, Reduction
from mosaics.ingest.source import Progress, Source, windows
from mosaics.ingest.validity import cog_errors
from mosaics.ingest.workplace import is_disk_full, no_room
from mosaics.tiff.raster import PROFILE_TAG

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader, DatasetWriter

RESULT_NAME: Final = "result.tif"
"""The finished COG within the temporary folder."""
_BASE_NAME: Final = "base.tif"
_BASE_SHARE, _OVERVIEWS_SHARE = 0.45, 0.6
_DROPPED_TAGS: Final = frozenset(
    {"AREA_OR_POINT", "OVR_RESAMPLING_ALG", "OVERVIEW_RESAMPLING", "INTERLEAVE", PROFILE_TAG}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """What is to be made of an inspected file."""

    inspection: Inspection
    """The file."""
    profile: BankProfile
    """How the result is laid out."""
    reduction: Reduction
    """How its overviews are made."""
    has_unfinite: bool
    """It has values that are NaN or infinite."""
    threads: int = 1
    """That compress; reading is quicker with one."""

    @property
    def nodata(self) -> float | None:
        """Nodata value of the result; with an alpha band that tells all, so there is none."""
        inspection = self.inspection
        if inspection.alpha_band is not None:
            return None
        if inspection.nodata is not None:
            return inspection.nodata
        return float("nan") if self.has_unfinite and not self.has_mask else None

    @property
    def has_mask(self) -> bool:
        """The result has an internal mask."""
        inspection = self.inspection
        masked = inspection.has_internal_mask or inspection.external_mask is not None
        return masked and inspection.alpha_band is None and inspection.nodata is None


def convert(conversion: Conversion, folder: Path, report: Progress) -> Path:
    """Write the Cloud-Optimized GeoTIFF of an inspected file.

    Args:
        conversion: What to make of what.
        folder: An empty folder on the disk of the destination; the caller removes it.
        report: Called with ("converting", 0 to 1); silent while GDAL assembles the result, which grows.

    Returns:
        The finished file in the folder, flushed to the disk and checked: a valid COG of the same size.

    Raises:
        IngestError: If a block can't be decoded, the disk is full, or the result is not right.
    """
    inspection = conversion.inspection
    base, result = folder / _BASE_NAME, folder / RESULT_NAME
    with _disk_errors(inspection.path.name, folder), unplaced_files_expected():
        _write_base(conversion, base, report)
        _write_overviews(conversion, base, report)
        _assemble(conversion, base, result)
        report("converting", 0.98)
        _check(conversion, result)
        with result.open("rb") as file:
            os.fsync(file.fileno())
        report("converting", 1.0)
    return result


def _write_base(conversion: Conversion, base: Path, report: Progress) -> None:
    """Copy the pixels block by block into a tiled file, with everything that describes them."""
    inspection = conversion.inspection
    nodata, total, done = conversion.nodata, inspection.width * inspection.height, 0
    with (
        Source(inspection) as source,
        _create(conversion, base, inspection.width, inspection.height) as target,
    ):
        _describe(conversion, target)
        for window in windows(
            inspection.width, inspection.height, inspection.pixel_bytes, conversion.profile.block_size
        ):
            pixels = source.read(window)
            values = pixels.values
            if nodata is not None:
                values[~pixels.valid] = nodata
            target.write(values, indexes=inspection.band_indexes, window=window)
            if pixels.alpha is not None:
                pixels.alpha[~pixels.valid.any(axis=0)] = 0
                if pixels.alpha.dtype != np.uint8:  # some writers say opaque by 255 whatever the type
                    pixels.alpha[pixels.alpha > 0] = np.iinfo(pixels.alpha.dtype).max
                target.write(pixels.alpha, inspection.alpha_band, window=window)
            if conversion.has_mask:
                target.write_mask(pixels.opaque, window=window)
            done += int(window.width) * int(window.height)
            report("converting", _BASE_SHARE * done / total)
    check_complete(inspection.path.name, base)


def _write_overviews(conversion: Conversion, base: Path, report: Progress) -> None:
    """Write each overview as the external overview of the file before it (`.ovr`, `.ovr.ovr` ...)."""
    inspection, finer = conversion.inspection, base
    sizes = conversion.profile.overview_sizes(inspection.width, inspection.height)
    total, done = sum(width * height for width, height in sizes), 0
    for width, height in sizes:
        coarser = finer.with_name(f"{finer.name}.ovr")
        with open_raster(finer) as source, _create(conversion, coarser, width, height) as target:
            for window in windows(width, height, inspection.pixel_bytes * 4, conversion.profile.block_size):
                _coarsen_window(conversion, source, target, window)
                done += int(window.width) * int(window.height)
                report("converting", _BASE_SHARE + (_OVERVIEWS_SHARE - _BASE_SHARE) * done / total)
        check_complete(inspection.path.name, coarser)
        finer = coarser


def _coarsen_window(
    conversion: Conversion, source: DatasetReader, target: DatasetWriter, window: Window
) -> None:
    """Make one window of an overview from about four times as many pixels of the finer level."""
    inspection = conversion.inspection
    rows, columns = (
        steps(slice(int(first), int(first + count)), coarser, finer)
        for first, count, coarser, finer in (
            (window.row_off, window.height, target.height, source.height),
            (window.col_off, window.width, target.width, source.width),
        )
    )
    covered = rows, columns
    area = Window.from_slices(rows.source, columns.source)
    values = source.read(inspection.band_indexes, window=area)
    valid = _valid(values, conversion.nodata)
    opaque: NDArray[np.bool_] | None = None
    if inspection.alpha_band is not None:
        alpha = source.read([inspection.alpha_band], window=area)
        opaque = alpha > 0
        whole = np.ones(alpha.shape, dtype=bool)
        coarse, _ = coarsen(alpha, whole, covered, reduction="average", fill=None)
        seen = _any(opaque, covered)
        coarse[seen & (coarse == 0)] = 1
        target.write(coarse[0], inspection.alpha_band, window=window)
    elif conversion.has_mask:
        opaque = source.read_masks([inspection.band_indexes[0]], window=area) != 0
        target.write_mask(_any(opaque, covered)[0], window=window)
    if opaque is not None:
        valid &= opaque
    coarser, _ = coarsen(values, valid, covered, reduction=conversion.reduction, fill=conversion.nodata)
    target.write(coarser, indexes=inspection.band_indexes, window=window)


def _valid(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    valid = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    if nodata is not None and not np.isnan(nodata):
        valid &= values != np.asarray(nodata).astype(values.dtype)
    return valid


def _any(flags: NDArray[np.bool_], covered: tuple[Steps, Steps]) -> NDArray[np.bool_]:
    """Tell for each coarser pixel whether any that it covers is set."""
    found = coarsen(flags.astype(np.uint8), flags, covered, reduction="max", fill=None)[1]
    return np.asarray(found, dtype=bool)


def _create(conversion: Conversion, path: Path, width: int, height: int) -> DatasetWriter:
    inspection = conversion.inspection
    bands = inspection.file_band_count
    colours = _colours(inspection)
    options = conversion.profile.work_options(inspection.data_type, bands, width * height)
    if colours[:3] == [ColorInterp.red, ColorInterp.green, ColorInterp.blue]:
        options["photometric"] = "RGB"
    target = rasterio.open(
        path,
        "w",
        width=width,
        height=height,
        count=bands,
        dtype=inspection.data_type,
        crs=CRS.from_wkt(inspection.crs),
        transform=Affine(*inspection.transform),
        nodata=conversion.nodata,
        alpha="NON-PREMULTIPLIED" if inspection.alpha_band == bands else "NO",
        **options,
    )
    if inspection.palette:
        target.write_colormap(1, dict(inspection.palette))
    else:
        target.colorinterp = colours
    return target


def _colours(inspection: Inspection) -> list[ColorInterp]:
    words = dict(zip(inspection.band_indexes, inspection.colour_interpretation, strict=True))
    return [
        ColorInterp[words[band]] if band in words else ColorInterp.alpha
        for band in range(1, inspection.file_band_count + 1)
    ]


def _describe(conversion: Conversion, target: DatasetWriter) -> None:
    """Hand on what the file says of itself and its bands, and state the profile."""
    inspection = conversion.inspection
    tags = {
        # GDAL's COG driver hands on no other domain than the nameless one
        key.removeprefix("IMAGERY:"): value
        for key, value in inspection.tags.items()
        if key not in _DROPPED_TAGS and not key.startswith(("TIFFTAG_", "STATISTICS_"))
    }
    target.update_tags(**tags, **{PROFILE_TAG: conversion.profile.version})
    for band, words in zip(inspection.band_indexes, inspection.descriptions, strict=True):
        if words:
            target.set_band_description(band, words)
    if any(inspection.units):
        target.units = _per_band(inspection, inspection.units, "")
    if set(inspection.scales) != {1.0} or set(inspection.offsets) != {0.0}:
        target.scales = _per_band(inspection, inspection.scales, 1.0)
        target.offsets = _per_band(inspection, inspection.offsets, 0.0)


def _per_band(inspection: Inspection, values: tuple[Any, ...], alpha: Any) -> tuple[Any, ...]:
    """Give a value for every band of the file, one for the alpha band where there is one."""
    known = dict(zip(inspection.band_indexes, values, strict=True))
    return tuple(known.get(band, alpha) for band in range(1, inspection.file_band_count + 1))


def _assemble(conversion: Conversion, base: Path, result: Path) -> None:
    """Let GDAL lay out the COG; it finds the overviews beside the base, in a folder with nothing but ours."""
    inspection = conversion.inspection
    options = conversion.profile.copy_options(
        inspection.data_type, inspection.file_band_count, conversion.threads
    )
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="FALSE"), open_raster(base) as source:
        try:
            copy(source, result, **options)
        except CPLE_BaseError as error:
            raise RasterioError(deepest_reason(error)) from error


def _check(conversion: Conversion, result: Path) -> None:
    """Refuse a result that is not what was asked for, such as one that a full disk cut short."""
    inspection, name = conversion.inspection, conversion.inspection.path.name
    with open_raster(result) as made:
        sizes = conversion.profile.overview_sizes(inspection.width, inspection.height)
        size = (inspection.width, inspection.height, inspection.file_band_count)
        if (made.width, made.height, made.count) != size or len(made.overviews(1)) != len(sizes):
            raise IngestError(f"{name}: the converted file is not what was asked for; try again")
    check_complete(name, result)
    errors = cog_errors(result)
    if errors:
        raise IngestError(f"{name}: the converted file is no valid COG: {'; '.join(errors)}")


@contextmanager
def _disk_errors(name: str, folder: Path) -> Iterator[None]:
    """Turn errors of writing into refusals; a full disk is named as such."""
    try:
        yield
    except (RasterioError, OSError, MemoryError, IngestError) as error:
        if is_disk_full(error, folder):
            raise no_room(name, folder) from error
        if isinstance(error, IngestError):
            raise
        reason = deepest_reason(error, str(folder))
        raise IngestError(f"{name}: it can't be converted: {reason}") from error
