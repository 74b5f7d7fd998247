"""Writes the tiled file of a conversion and its overviews, from which GDAL then lays out the COG."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
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
from mosaics.ingest.source import Pixels, Source, decoding_threads, windows
from mosaics.tiff.raster import PROFILE_TAG

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader, DatasetWriter

READING: Final = {"GTIFF_DIRECT_IO": True}
"""GDAL's options for reading the files that are written here: half the time where they are not compressed."""
_BASE_SHARE: Final = 0.75
"""Of the time of all levels."""
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

    def part(self, rows: slice, columns: slice) -> _Stored:
        """Give some of it, without copying."""
        return _Stored(
            values=self.values[:, rows, columns],
            alpha=None if self.alpha is None else self.alpha[rows, columns],
            mask=None if self.mask is None else self.mask[rows, columns],
        )


def write_pyramid(conversion: Conversion, base: Path, report: Callable[[float], None]) -> None:
    """Write the pixels into a tiled file, and each overview as the external one of the level before it.

    These are called `.ovr`, `.ovr.ovr` and so on. The first is made while the pixels are copied, where no
    block has to be decoded or compressed twice for that.

    Args:
        conversion: What to make of what.
        base: The tiled file, in a folder of its own.
        report: Called with 0 to 1.

    Raises:
        IngestError: If a block can't be decoded, or a level was cut short.
    """
    sizes = conversion.sizes
    if conversion.copy is None:
        written = 1 + conversion.coarsens_beside
        _copy(conversion, base, sizes[:written], lambda done: report(_BASE_SHARE * done))
    else:
        written = 1
        shutil.move(conversion.copy, base)
    finer, done, total = base, 0, sum(width * height for width, height in sizes[1:])
    for number, (width, height) in enumerate(sizes[1:], start=1):
        coarser = _coarser_path(finer)
        if number >= written:
            _write_next_overview(conversion, finer, coarser, (width, height))
        done += width * height
        report(_BASE_SHARE + (1 - _BASE_SHARE) * done / total)
        finer = coarser


def _coarser_path(finer: Path) -> Path:
    return finer.with_name(f"{finer.name}.ovr")


@contextmanager
def copying(conversion: Conversion, path: Path) -> Iterator[Callable[[Window, Pixels], None]]:
    """Write the pixels into a tiled file as they are read.

    Args:
        conversion: What to make of what.
        path: The file.

    Yields:
        What takes a window of the file and its pixels, which it may change.

    Raises:
        IngestError: If the copy was cut short.
    """
    with _create_base(conversion, path) as target:

        def take(window: Window, pixels: Pixels) -> None:
            _write(conversion, target, window, _stored(conversion, pixels))

        yield take
    check_complete(conversion.inspection.path.name, path)


def _copy(
    conversion: Conversion, base: Path, sizes: Sequence[tuple[int, int]], report: Callable[[float], None]
) -> None:
    """Copy the pixels block by block into a tiled file, with everything that describes them.

    Args:
        conversion: What to make of what.
        base: The file.
        sizes: Columns and rows of it, and of its first overview if that is to be made on the way.
        report: Called with 0 to 1.
    """
    inspection = conversion.inspection
    width, height = sizes[0]
    paths = (base, _coarser_path(base))[: len(sizes)]
    # with an overview it is not only decoding that takes a processor's time
    threads = decoding_threads(inspection, conversion.threads) or (len(sizes) - 1) * conversion.threads
    done = 0
    with ExitStack() as stack:
        targets = [stack.enter_context(_create_base(conversion, base))]
        targets += [
            stack.enter_context(_create(conversion, path, *size))
            for path, size in zip(paths[1:], sizes[1:], strict=True)
        ]
        sources = [stack.enter_context(Source(inspection, kept=2)) for _ in range(max(1, threads))]
        making = in_threads(
            windows(width, height, inspection.pixel_bytes, conversion.profile.block_size),
            [partial(_pieces, conversion, source, sizes) for source in sources],
        )
        stack.enter_context(closing(making))
        for window, pieces in making:
            for target, (area, stored) in zip(targets, pieces, strict=True):
                _write(conversion, target, area, stored)
            done += int(window.width) * int(window.height)
            report(done / (width * height))
    for path in paths:
        check_complete(inspection.path.name, path)


def _pieces(
    conversion: Conversion, source: Source, sizes: Sequence[tuple[int, int]], window: Window
) -> list[tuple[Window, _Stored]]:
    """Read a window, and make of it that of the overview, if one is made: where each lies, and its pixels."""
    if len(sizes) == 1:
        return [(window, _stored(conversion, source.read(window)))]
    left, top = int(window.col_off), int(window.row_off)
    right, bottom = left + int(window.width), top + int(window.height)
    coarser = Window.from_slices((top // 2, (bottom + 1) // 2), (left // 2, (right + 1) // 2))
    rows, columns = _covered(coarser, sizes[1], sizes[0])
    read = _stored(conversion, source.read(Window.from_slices(rows.source, columns.source)))
    # what the first pixels of the overview need may begin before the window
    whole = read.part(slice(top - rows.source.start, None), slice(left - columns.source.start, None))
    return [(window, whole), (coarser, _coarsened(conversion, read, (rows, columns)))]


def _write_next_overview(conversion: Conversion, finer: Path, path: Path, size: tuple[int, int]) -> None:
    """Write an overview of so many columns and rows from the level before it."""
    inspection = conversion.inspection
    # several threads hold no more than one would
    areas = windows(*size, inspection.pixel_bytes * 4 * conversion.threads, conversion.profile.block_size)
    with ExitStack() as stack, rasterio.Env(**READING):
        levels = [stack.enter_context(open_raster(finer)) for _ in range(conversion.threads)]
        target = stack.enter_context(_create(conversion, path, *size))
        making = in_threads(areas, [partial(_of_finer, conversion, level, size) for level in levels])
        stack.enter_context(closing(making))
        for window, stored in making:
            _write(conversion, target, window, stored)
    check_complete(inspection.path.name, path)


def _of_finer(conversion: Conversion, level: DatasetReader, size: tuple[int, int], window: Window) -> _Stored:
    """Make a window of an overview of so many columns and rows from the level before it."""
    rows, columns = _covered(window, size, (level.width, level.height))
    stored = _read_stored(conversion, level, Window.from_slices(rows.source, columns.source))
    return _coarsened(conversion, stored, (rows, columns))


def _covered(window: Window, coarser: tuple[int, int], finer: tuple[int, int]) -> tuple[Steps, Steps]:
    """Say which rows and which columns of the finer level a window of the coarser one covers.

    Args:
        window: Of the coarser level.
        coarser: Columns and rows of it.
        finer: Of the finer level.
    """
    left, top = int(window.col_off), int(window.row_off)
    rows = steps(slice(top, top + int(window.height)), coarser[1], finer[1])
    return rows, steps(slice(left, left + int(window.width)), coarser[0], finer[0])


def _stored(conversion: Conversion, pixels: Pixels) -> _Stored:
    """Give what is stored of a window of the file."""
    values, alpha = pixels.values, pixels.alpha
    if conversion.nodata is not None:
        values[~pixels.valid] = conversion.nodata
    if alpha is not None:
        alpha[~pixels.valid.any(axis=0)] = 0
        if alpha.dtype != np.uint8:  # some writers say opaque by 255 whatever the type
            alpha[alpha > 0] = 255 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
    return _Stored(values=values, alpha=alpha, mask=pixels.opaque if conversion.has_mask else None)


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
        valid = _both(valid, np.broadcast_to(opaque, finer.values.shape))
        alpha = coarsen(alpha[np.newaxis], None, covered, reduction="average", fill=None)[0][0]
        alpha[_any(opaque, covered) & (alpha == 0)] = 1
    elif mask is not None:
        valid = _both(valid, np.broadcast_to(mask, finer.values.shape))
        mask = _any(mask, covered)
    values, _ = coarsen(finer.values, valid, covered, reduction=conversion.reduction, fill=conversion.nodata)
    return _Stored(values=values, alpha=alpha, mask=mask)


def _valid(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    """Tell which values are finite and not the nodata value; None: all can only be."""
    valid = np.isfinite(values) if values.dtype.kind == "f" else None
    if nodata is None or np.isnan(nodata):
        return valid
    return _both(valid, values != np.asarray(nodata).astype(values.dtype))


def _both(some: NDArray[np.bool_] | None, others: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return others if some is None else some & others


def _any(flags: NDArray[np.bool_], covered: tuple[Steps, Steps]) -> NDArray[np.bool_]:
    """Tell for each coarser pixel whether any that it covers is set."""
    level = flags[np.newaxis]
    found = coarsen(level.astype(np.uint8), level, covered, reduction="max", fill=None)[1]
    return np.asarray(found[0], dtype=bool)


def _create_base(conversion: Conversion, path: Path) -> DatasetWriter:
    target = _create(conversion, path, *conversion.sizes[0])
    _describe(conversion, target)
    return target


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
