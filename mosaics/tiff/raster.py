"""An open TIFF as levels of samples with their validity; windows of it, made of shared decoded blocks."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from mosaics.channels import chosen
from mosaics.gdal import open_raster
from mosaics.stopping import Stop, go_on, never
from mosaics.tiff.block import Block
from mosaics.tiff.blocks import BlockCache
from mosaics.tiff.codecs import BlockDamagedError, check_codec, decode
from mosaics.tiff.files import LocalFile, Range, RangeFile
from mosaics.tiff.layout import LayoutUnsupportedError, Level, TiffLayout, parse_layout
from mosaics.tiff.streams import RangeStream
from mosaics.warp import Affine


@dataclass(frozen=True, kw_only=True, slots=True)
class Georeference:
    """Where the pixels of the finest level lie."""

    crs: str
    """WKT."""
    transform: Affine
    """From columns and rows (corners of pixels) to coordinates."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pixels:
    """A window of a level."""

    samples: NDArray[Any]
    """Shape (rows, columns, n): as they were decoded where that are few, the bands asked for or more."""
    bands: Sequence[int]
    """Where among them the bands asked for are, in their order."""
    valid: NDArray[np.uint8] | None
    """255 where there is data, 0 elsewhere, shape (rows, columns); None: everywhere."""

    @property
    def values(self) -> NDArray[Any]:
        """The bands asked for, shape (rows, columns, bands)."""
        return chosen(self.samples, self.bands)


@dataclass(frozen=True, kw_only=True)
class TiffRaster:
    """A file whose blocks are decoded here; safe to use from several threads at once."""

    file: RangeFile
    layout: TiffLayout
    georeference: Georeference
    nodata: float | None
    """The value that means nothing; NaN is one."""
    masked: bool
    """Its internal mask tells what is valid."""
    halved: bool
    """Each level has exactly half the resolution of the one before, odd edges being a little wider."""
    blocks: BlockCache

    @property
    def levels(self) -> tuple[Level, ...]:
        """The image and its overviews, finest first."""
        return self.layout.levels

    def scale(self, level_number: int) -> tuple[float, float]:
        """Give the columns and rows of the finest level in one of a level."""
        if self.halved:
            return 2.0**level_number, 2.0**level_number
        full, level = self.levels[0], self.levels[level_number]
        return full.width / level.width, full.height / level.height

    def pixels(
        self,
        level_number: int,
        rows: slice,
        columns: slice,
        indexes: Sequence[int],
        stop: Stop = never,
    ) -> Pixels:
        """Read a window of a level.

        Args:
            level_number: 0 is the finest.
            rows: Within the level, not empty.
            columns: Within the level, not empty.
            indexes: 1-based numbers of the bands.
            stop: Asked before each block is read and before it is decoded.

        Raises:
            BlockDamagedError, FileChangedError, OSError: If it can't be read.
            NobodyWaitsError: If `stop` said so.
        """
        level = self.levels[level_number]
        bands: Sequence[int] = [index - 1 for index in indexes]
        if level.planar or level.samples > _TAKEN_WHOLE:
            samples, whole = self._window(level, ("i", level_number), rows, columns, bands, stop)
            bands = range(len(bands))
        else:
            taken = range(level.samples)
            samples, whole = self._window(level, ("i", level_number), rows, columns, taken, stop)
        valid = None if whole else self._valid(level_number, rows, columns, chosen(samples, bands), stop)
        return Pixels(samples=samples, bands=bands, valid=valid)

    def _valid(
        self, level_number: int, rows: slice, columns: slice, samples: NDArray[Any], stop: Stop
    ) -> NDArray[np.uint8] | None:
        """Tell which pixels of a window hold data: by nodata, else by the mask, else by alpha."""
        known: NDArray[np.bool_] | None = None
        if self.nodata is not None:
            known = functools.reduce(np.logical_or, map(self._differs, np.moveaxis(samples, -1, 0)))
        elif self.masked:
            mask = self.layout.masks[level_number]
            assert mask is not None, "opening has checked it"
            found, whole = self._window(mask, ("m", level_number), rows, columns, [0], stop)
            known = None if whole else found[..., 0] > 0
        elif self.layout.alpha is not None:
            level = self.levels[level_number]
            alpha, _ = self._window(level, ("i", level_number), rows, columns, [self.layout.alpha], stop)
            opaque = np.iinfo(level.dtype).max if level.dtype.kind in "ui" else 1
            known = alpha[..., 0] >= opaque / 2
        if samples.dtype.kind == "f":
            finite = functools.reduce(np.logical_and, map(np.isfinite, np.moveaxis(samples, -1, 0)))
            known = finite if known is None else known & finite
        if known is None or known.all():
            return None
        return known.astype("u1") * np.uint8(255)

    def _differs(self, samples: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which samples are not the value that means nothing; floats may be a rounding away from it."""
        assert self.nodata is not None
        found: NDArray[np.bool_]
        if np.isnan(self.nodata):
            found = ~np.isnan(samples)
        elif samples.dtype.kind == "f" and self.nodata:
            found = np.abs(samples - samples.dtype.type(self.nodata)) > abs(self.nodata) * _ROUNDING
        else:
            found = samples != self.nodata
        return found

    def _window(  # noqa: PLR0917 - private, and each is a word of the one question
        self,
        level: Level,
        name: tuple[str, int],
        rows: slice,
        columns: slice,
        wanted: Sequence[int],
        stop: Stop,
    ) -> tuple[NDArray[Any], bool]:
        """Assemble samples of a level, shape (rows, columns, len(wanted)), and whether all hold data."""
        first_row, last_row = rows.start // level.block_height, (rows.stop - 1) // level.block_height
        first_column, last_column = (
            columns.start // level.block_width,
            (columns.stop - 1) // level.block_width,
        )
        places = [
            (plane, row, column)
            for plane in (dict.fromkeys(wanted) if level.planar else (0,))
            for row in range(first_row, last_row + 1)
            for column in range(first_column, last_column + 1)
        ]
        keys: list[Hashable] = [(self.file.identity, *name, *place) for place in places]

        def make(missing: Sequence[Hashable]) -> Iterator[Block]:
            of_key = dict(zip(keys, places, strict=True))
            return self._decoded(level, [of_key[key] for key in missing], stop)

        blocks = self.blocks.get(keys, make, stop)
        whole = all(block.whole for block in blocks)
        if len(blocks) == 1:
            top, left = first_row * level.block_height, first_column * level.block_width
            cut = blocks[0].samples[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]
            return _bands(cut, [0] * len(wanted) if level.planar else wanted), whole
        shape = (rows.stop - rows.start, columns.stop - columns.start, len(wanted))
        out: NDArray[Any] = np.empty(shape, level.dtype)
        for (plane, row, column), block in zip(places, blocks, strict=True):
            samples = block.samples
            top, left = row * level.block_height, column * level.block_width
            y0, y1 = max(rows.start, top), min(rows.stop, top + samples.shape[0])
            x0, x1 = max(columns.start, left), min(columns.stop, left + samples.shape[1])
            part = samples[y0 - top : y1 - top, x0 - left : x1 - left]
            target = out[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start]
            if level.planar:
                for place, index in enumerate(wanted):
                    if index == plane:
                        target[..., place] = part[..., 0]
            else:
                target[...] = _bands(part, wanted)
        return out, whole

    def _decoded(self, level: Level, places: Sequence[tuple[int, int, int]], stop: Stop) -> Iterator[Block]:
        """Read blocks of a level at once and decode one by one; one that is not in the file holds nothing."""
        there = [place for place in places if level.lengths[place] and level.offsets[place]]
        ranges = [Range(int(level.offsets[place]), int(level.lengths[place])) for place in there]
        data = dict(zip(there, self.file.read(ranges, stop) if ranges else [], strict=True))
        for place in places:
            go_on(stop)
            yield self._block(level, place, data.pop(place, None))

    def _block(self, level: Level, place: tuple[int, int, int], data: bytes | None) -> Block:
        if data is None:
            fill = 0 if self.nodata is None or level.bits == 1 else self.nodata
            samples = np.full(level.block_shape(place[1]), fill, level.dtype)
            samples.flags.writeable = False
        else:
            samples = decode(data, level, place[1])
        return Block(samples=samples, whole=self._is_whole(level, samples))

    def _is_whole(self, level: Level, samples: NDArray[Any]) -> bool:
        """Tell whether every sample of a block holds data, as far as the block itself can tell."""
        if level.bits == 1:
            return bool(samples.all())
        if samples.dtype.kind == "f" and not np.isfinite(samples).all():
            return False
        if self.nodata is not None:
            return bool(self._differs(samples).all())
        if self.layout.alpha is not None:
            opaque = np.iinfo(level.dtype).max if level.dtype.kind in "ui" else 1
            return not level.planar and bool((samples[..., self.layout.alpha] == opaque).all())
        return not self.masked


def _bands(samples: NDArray[Any], wanted: Sequence[int]) -> NDArray[Any]:
    """Choose samples of a pixel; a view where that are all."""
    return samples if list(wanted) == list(range(samples.shape[2])) else chosen(samples, wanted)


_TAKEN_WHOLE = 4
"""Interleaved samples up to which all are taken: OpenCV resamples four as quickly as one."""

_ROUNDING = 1e-7
"""Part of nodata by which a float may differ from it; overviews are made with other precisions."""

PROFILE_TAG = "FLUX_BANK_PROFILE"
"""The tag by which a banked file states the version of its profile."""

HALVED_PROFILE = "1"
"""The version whose overviews were made by joining pixels two by two."""


def open_tiff(file: RangeFile, blocks: BlockCache) -> TiffRaster:
    """Open a file whose directories, and what GDAL knows of it, are read here and now.

    Args:
        file: A GeoTIFF that banking has accepted.
        blocks: Where decoded blocks are kept.

    Raises:
        LayoutUnsupportedError: If it must be read by somebody else.
        BlockDamagedError: If its end is missing.
        FileChangedError, RasterOpenError, OSError: If it is not there, changes, or is no raster that is
            opened at all.
    """
    stream = RangeStream(file)
    layout = parse_layout(stream.read_at)
    for level in (*layout.levels, *(mask for mask in layout.masks if mask is not None)):
        check_codec(level)
        if int((level.offsets + level.lengths).max(initial=0)) > file.size:
            raise BlockDamagedError("the file is cut short")
    with opened_by_gdal(file, stream) as source:
        nodata = next((value for value in source.nodatavals if value is not None), None)
        transform = source.transform
        if source.crs is None or transform.is_identity or source.gcps[0] or transform.determinant == 0:
            raise LayoutUnsupportedError("it is not placed by a transform alone")
        same = (source.width, source.height, source.count) == (
            layout.levels[0].width, layout.levels[0].height, layout.levels[0].samples
        )  # fmt: skip
        alpha = [place for place, word in enumerate(source.colorinterp) if word is ColorInterp.alpha]
        masked = MaskFlags.per_dataset in source.mask_flag_enums[0] and not alpha and nodata is None
        if not same or alpha != ([] if layout.alpha is None else [layout.alpha]):
            raise LayoutUnsupportedError("its directories are not what GDAL reads")
        if len({repr(value) for value in source.nodatavals}) > 1:
            raise LayoutUnsupportedError("its bands have different values for nothing")
        crs = source.crs.to_wkt()
        halved = source.tags().get(PROFILE_TAG) == HALVED_PROFILE
    if masked and any(mask is None for mask in layout.masks):
        raise LayoutUnsupportedError("some of its levels have no mask")
    file.check()
    placed = tuple(float(v) for v in transform[:6])
    assert len(placed) == 6
    return TiffRaster(
        file=file,
        layout=layout,
        georeference=Georeference(crs=crs, transform=placed),
        nodata=nodata,
        masked=masked,
        halved=halved,
        blocks=blocks,
    )


@contextmanager
def opened_by_gdal(
    file: RangeFile, stream: RangeStream, overview_level: int | None = None
) -> Iterator[DatasetReader]:
    """Open a file with GDAL; what fails beneath it is raised instead of GDAL's word for it.

    Args:
        file: A local one is opened by its path, which is quicker.
        stream: Of the file.
        overview_level: Give this overview (0 is the finest) as a dataset of its own.

    Raises:
        FileChangedError, RasterOpenError, OSError, NobodyWaitsError: If it can't be opened or read.
    """
    try:
        with open_raster(
            file.path if isinstance(file, LocalFile) else stream, overview_level=overview_level
        ) as source:
            yield source
    except Exception:
        stream.raise_failure()
        raise
    stream.raise_failure()  # GDAL may have gone on with what it had
