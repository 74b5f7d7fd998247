"""Writes the tiled file of a conversion and its overviews, from which GDAL then lays out the COG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rasterio.windows import Window

from mosaics.gdal import open_raster
from mosaics.ingest.ahead import in_threads
from mosaics.ingest.conversion import Conversion
from mosaics.ingest.inspect import Inspection
from mosaics.ingest.limits import check_complete
from mosaics.ingest.overviews import Steps, coarsen, steps
from mosaics.ingest.source import Pixels, Source, decoding_threads, read_windows, windows
from mosaics.tiff.raster import PROFILE_TAG

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader, DatasetWriter

_BASE_SHARE: Final = 0.75
"""Of the time of all levels."""
_PARTS_BESIDE: Final = 8
"""Of a window, where an overview is made beside the copy: both hold pixels at the same time."""
_DROPPED_TAGS: Final = frozenset(
    {"AREA_OR_POINT", "OVR_RESAMPLING_ALG", "OVERVIEW_RESAMPLING", "INTERLEAVE", PROFILE_TAG}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stored:
    """A window of a level, as it is stored."""

    values: NDArray[Any]
    """Shape (bands, height, width), without the alpha band."""
    alpha: NDArray[Any] | None
    """Shape (height, width); None: there is no alpha band."""
    mask: NDArray[np.bool_] | None
    """Where there is data, shape (height, width); None: there is no mask."""


def write_pyramid(conversion: Conversion, base: Path, report: Callable[[float], None]) -> None:
    """Write the pixels into a tiled file, and each overview as the external one of the level before it.

    These are called `.ovr`, `.ovr.ovr` and so on. The first is made from the file itself while the pixels are
    copied, where that is quick to read.

    Args:
        conversion: What to make of what.
        base: The tiled file, in a folder of its own.
        report: Called with 0 to 1.

    Raises:
        IngestError: If a block can't be decoded, or a level was cut short.
    """
    inspection = conversion.inspection
    sizes = conversion.profile.overview_sizes(inspection.width, inspection.height)
    beside = sizes[:1] if conversion.reads_twice else ()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="overview") as thread:
        made = [
            thread.submit(_write_first_overview, conversion, _coarser_path(base), size) for size in beside
        ]
        _write_base(conversion, base, lambda done: report(_BASE_SHARE * done))
        for each in made:
            each.result()
    finer, done, total = base, 0, sum(width * height for width, height in sizes)
    for size in sizes:
        coarser = _coarser_path(finer)
        if size not in beside:
            _write_next_overview(conversion, finer, coarser, size)
        done += size[0] * size[1]
        report(_BASE_SHARE + (1 - _BASE_SHARE) * done / total)
        finer = coarser


def _coarser_path(finer: Path) -> Path:
    return finer.with_name(f"{finer.name}.ovr")


def _write_base(conversion: Conversion, base: Path, report: Callable[[float], None]) -> None:
    """Copy the pixels block by block into a tiled file, with everything that describes them."""
    inspection = conversion.inspection
    width, height = inspection.width, inspection.height
    done = 0
    areas = windows(width, height, inspection.pixel_bytes, conversion.profile.block_size)
    read = read_windows(inspection, areas, threads=decoding_threads(inspection, conversion.threads))
    with closing(read), _create(conversion, base, width, height) as target:
        _describe(conversion, target)
        for window, pixels in read:
            _write(conversion, target, window, _stored(conversion, pixels))
            done += int(window.width) * int(window.height)
            report(done / (width * height))
    check_complete(inspection.path.name, base)


def _write_first_overview(conversion: Conversion, path: Path, size: tuple[int, int]) -> None:
    """Write the first overview from the file itself."""
    inspection = conversion.inspection
    with ExitStack() as stack:
        sources = [stack.enter_context(Source(inspection)) for _ in range(conversion.threads)]
        read = [partial(_read_source, conversion, source) for source in sources]
        finer = (inspection.width, inspection.height)
        _write_overview(conversion, (path, size), (finer, read), parts=_PARTS_BESIDE)


def _write_next_overview(conversion: Conversion, finer: Path, path: Path, size: tuple[int, int]) -> None:
    """Write an overview from the level before it."""
    with ExitStack() as stack:
        levels = [stack.enter_context(open_raster(finer)) for _ in range(conversion.threads)]
        read = [partial(_read_stored, conversion, level) for level in levels]
        _write_overview(
            conversion, (path, size), ((levels[0].width, levels[0].height), read), parts=conversion.threads
        )


def _write_overview(
    conversion: Conversion,
    coarser: tuple[Path, tuple[int, int]],
    finer: tuple[tuple[int, int], Sequence[Callable[[Window], _Stored]]],
    *,
    parts: int,
) -> None:
    """Write an overview.

    Args:
        conversion: What to make of what.
        coarser: Where, and its columns and rows.
        finer: Columns and rows of the level that it is made of, and what reads a window of that: one for each
            thread that makes pixels.
        parts: Of the usual windows, so that as little is held as by one thread.
    """
    inspection = conversion.inspection
    (path, size), (finer_size, readers) = coarser, finer

    def made(read: Callable[[Window], _Stored], window: Window) -> _Stored:
        columns, rows = (
            steps(slice(int(start), int(start + count)), whole, before)
            for start, count, whole, before in zip(
                (window.col_off, window.row_off), (window.width, window.height), size, finer_size, strict=True
            )
        )
        return _coarsened(conversion, read(Window.from_slices(rows.source, columns.source)), (rows, columns))

    areas = windows(*size, inspection.pixel_bytes * 4 * parts, conversion.profile.block_size)
    making = in_threads(areas, [partial(made, read) for read in readers])
    with closing(making), _create(conversion, path, *size) as target:
        for window, stored in making:
            _write(conversion, target, window, stored)
    check_complete(inspection.path.name, path)


def _stored(conversion: Conversion, pixels: Pixels) -> _Stored:
    """Give what is stored of a window of the file."""
    values, alpha = pixels.values, pixels.alpha
    if conversion.nodata is not None:
        values[~pixels.valid] = conversion.nodata
    if alpha is not None:
        alpha[~pixels.valid.any(axis=0)] = 0
        if alpha.dtype != np.uint8:  # some writers say opaque by 255 whatever the type
            alpha[alpha > 0] = np.iinfo(alpha.dtype).max
    return _Stored(values=values, alpha=alpha, mask=pixels.opaque if conversion.has_mask else None)


def _read_source(conversion: Conversion, source: Source, area: Window) -> _Stored:
    """Read a window of the file, as it is stored."""
    return _stored(conversion, source.read(area))


def _read_stored(conversion: Conversion, level: DatasetReader, area: Window) -> _Stored:
    """Read a window of a level that was written."""
    inspection = conversion.inspection
    alpha, mask = None, None
    values = level.read(inspection.band_indexes, window=area)
    if inspection.alpha_band is not None:
        alpha = level.read(inspection.alpha_band, window=area)
    if conversion.has_mask:
        mask = level.read_masks(inspection.band_indexes[0], window=area) != 0
    return _Stored(values=values, alpha=alpha, mask=mask)


def _write(conversion: Conversion, target: DatasetWriter, window: Window, stored: _Stored) -> None:
    inspection = conversion.inspection
    target.write(stored.values, indexes=inspection.band_indexes, window=window)
    if stored.alpha is not None:
        target.write(stored.alpha, inspection.alpha_band, window=window)
    if stored.mask is not None:
        target.write_mask(stored.mask, window=window)


def _coarsened(conversion: Conversion, finer: _Stored, covered: tuple[Steps, Steps]) -> _Stored:
    """Make a window of an overview from about four times as many pixels of the finer level."""
    valid = _valid(finer.values, conversion.nodata)
    alpha, mask = finer.alpha, finer.mask
    if alpha is not None:
        opaque = alpha > 0
        valid &= opaque
        whole = np.ones((1, *alpha.shape), dtype=bool)
        alpha = coarsen(alpha[np.newaxis], whole, covered, reduction="average", fill=None)[0][0]
        alpha[_any(opaque, covered) & (alpha == 0)] = 1
    elif mask is not None:
        valid &= mask
        mask = _any(mask, covered)
    values, _ = coarsen(finer.values, valid, covered, reduction=conversion.reduction, fill=conversion.nodata)
    return _Stored(values=values, alpha=alpha, mask=mask)


def _valid(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    valid = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    if nodata is not None and not np.isnan(nodata):
        valid &= values != np.asarray(nodata).astype(values.dtype)
    return valid


def _any(flags: NDArray[np.bool_], covered: tuple[Steps, Steps]) -> NDArray[np.bool_]:
    """Tell for each coarser pixel whether any that it covers is set."""
    level = flags[np.newaxis]
    found = coarsen(level.astype(np.uint8), level, covered, reduction="max", fill=None)[1]
    return np.asarray(found[0], dtype=bool)


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
