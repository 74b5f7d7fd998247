"""The fast reader: open files, shared decoded blocks, an exact warp; the rest it hands to the reference."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from mosaics.errors import SceneUnreadableError
from mosaics.models import Frame, Raster, Scene
from mosaics.read import Resampling, SceneReader, of_square
from mosaics.resample import averaged, becomes_fewer, copied, inside, resample, stays_as_it_is
from mosaics.stopping import Stop, go_on, never
from mosaics.tiff.blocks import BlockCache
from mosaics.tiff.codecs import BlockDamagedError
from mosaics.tiff.files import FileChangedError, RangeFile
from mosaics.tiff.layout import LayoutUnsupportedError
from mosaics.tiff.raster import TiffRaster, open_tiff
from mosaics.tiff.scene_files import SceneFiles
from mosaics.warp import Extent, first_of_steps, inverted, mesh, nearest_level, positions, transformer

log = structlog.get_logger(__name__)

_MARGIN: Final = {"nearest": 1, "bilinear": 1, "cubic": 2}
"""Samples around a position that take part in it; so many times more where pixels become fewer."""

_OPENED_BYTES: Final = 20_000
"""What an open file takes beside where its blocks lie: mostly tags and its coordinate system."""

_TRIES: Final = 8
"""A file that is replaced while it is read is read anew."""

T = TypeVar("T")

MOST_PIXELS: Final = 64_000_000
"""Samples of one band that are read for one frame; a frame that asks for more of a file without overviews
goes to the reference, which reads it in pieces."""


class _Opened(NamedTuple):
    """A file as it was when it was opened."""

    file: RangeFile
    raster: TiffRaster | None
    """None: the reference reads it."""

    @property
    def size_bytes(self) -> int:
        """About what it takes to keep it."""
        return _OPENED_BYTES + (0 if self.raster is None else self.raster.layout.size_bytes)


@dataclass(kw_only=True)
class FastReader:
    """Gives the pixels of the reference, sooner; safe to use from several threads at once."""

    reference: SceneReader
    """Reads what is laid out or placed in a way that this one does not model."""
    blocks: BlockCache
    files: SceneFiles = field(default_factory=SceneFiles)
    """Where files are opened."""
    most_files: int = 512
    """Kept open at the same time."""
    most_file_bytes: int = 64_000_000
    """Of what is known of open files: of large ones, where their blocks lie."""
    _lock: Lock = field(default_factory=Lock, init=False)
    _open: OrderedDict[tuple[str, str], _Opened] = field(default_factory=OrderedDict, init=False)
    """By place and generation, the last used at the end."""
    _open_bytes: int = field(default=0, init=False)

    def read(
        self,
        scene: Scene,
        indexes: Sequence[int],
        frame: Frame,
        resampling: Resampling,
        stop: Stop = never,
    ) -> Raster:
        """Read bands of a scene, resampled onto a frame.

        Args:
            scene: What to read.
            indexes: 1-based band numbers in the file.
            frame: Output pixels.
            resampling: How stored pixels become output pixels.
            stop: Asked before a file is opened, before each block is decoded, and before pixels become fewer.
        """

        def fast(raster: TiffRaster) -> Raster | None:
            return _read(raster, indexes, frame, resampling, stop)

        found = self._tried(scene, max(indexes), fast, stop)
        return self.reference.read(scene, indexes, frame, resampling, stop) if found is None else found

    def sample(
        self, scene: Scene, longitude: float, latitude: float, ground_resolution: float
    ) -> tuple[float | None, ...] | None:
        """Read the stored values at a place."""

        def fast(raster: TiffRaster) -> tuple[tuple[float | None, ...] | None] | None:
            return _sample(raster, scene, longitude, latitude, ground_resolution)

        found = self._tried(scene, len(scene.bands), fast, never)
        return (
            self.reference.sample(scene, longitude, latitude, ground_resolution)
            if found is None
            else found[0]
        )

    def _tried(
        self, scene: Scene, bands: int, fast: Callable[[TiffRaster], T | None], stop: Stop
    ) -> T | None:
        """Read a scene here; None: the reference must.

        Raises:
            SceneUnreadableError: If it can't be read, is no longer the image that was banked, or changes all
                the time.
            NobodyWaitsError: If `stop` said so.
        """
        for _ in range(_TRIES):
            try:
                raster = self._raster(scene, stop)
                if raster is None:
                    return None
                _check_image(raster, scene, bands)
                return fast(raster)
            except FileChangedError:
                continue  # it is opened anew
            except (BlockDamagedError, OSError) as error:
                self._forget(scene)
                raise SceneUnreadableError(scene.id) from error
        raise SceneUnreadableError(scene.id)

    def _raster(self, scene: Scene, stop: Stop) -> TiffRaster | None:
        """Give a scene's open file, which is still the same; None: the reference reads it."""
        key = scene.href, scene.generation
        with self._lock:
            known = self._open.get(key)
            if known is not None:
                self._open.move_to_end(key)
        if known is not None:
            with suppress(FileChangedError):
                known.file.check()
                return known.raster
        go_on(stop)
        file = self.files.open(scene)
        try:
            raster: TiffRaster | None = open_tiff(file, self.blocks)
        except LayoutUnsupportedError as error:
            log.debug("read_by_reference", why=str(error))
            raster = None
        opened = _Opened(file, raster)
        with self._lock:
            self._drop(key)
            self._open[key] = opened
            self._open_bytes += opened.size_bytes
            while len(self._open) > self.most_files or self._open_bytes > self.most_file_bytes:
                self._drop(next(iter(self._open)))
        return raster

    def _forget(self, scene: Scene) -> None:
        with self._lock:
            self._drop((scene.href, scene.generation))

    def _drop(self, key: tuple[str, str]) -> None:
        """Keep a file no longer; the lock is held."""
        known = self._open.pop(key, None)
        if known is not None:
            self._open_bytes -= known.size_bytes


def _check_image(raster: TiffRaster, scene: Scene, bands: int) -> None:
    """Refuse a file that is plainly not the one that was banked.

    Raises:
        BlockDamagedError: If so.
    """
    full = raster.levels[0]
    if (full.width, full.height) != (scene.width, scene.height) or full.samples < bands:
        raise BlockDamagedError("another image stands in its place")


def _read(
    raster: TiffRaster, indexes: Sequence[int], frame: Frame, resampling: Resampling, stop: Stop
) -> Raster | None:
    """Read a frame; None: the reference must."""
    full = raster.levels[0]
    place = raster.georeference
    found = mesh(frame, place.crs, inverted(place.transform), 1.0)
    density = found.density
    number = nearest_level([raster.scale(place)[0] for place in range(len(raster.levels))], density)
    level, scale = raster.levels[number], raster.scale(number)
    spread = density[0] / scale[0], density[1] / scale[1]
    factor = max(1, round(min(spread))) if resampling != "nearest" else 1
    factor = min(factor, max(level.width, level.height))  # from far away all of it is one
    first = None
    if factor == 1 and stays_as_it_is(full.dtype):
        first = first_of_steps(found, frame, scale)
    if first is not None:
        return _copied(raster, number, indexes, first, frame, stop)
    margin = _MARGIN[resampling] * max(1, math.ceil(max(spread)))
    extent = found.extent
    window = None if extent is None else _window(extent, scale, (level.height, level.width), margin, factor)
    if extent is None or window is None:
        return _nothing(raster, len(indexes), frame)
    rows, columns = window
    if (rows.stop - rows.start) * (columns.stop - columns.start) > MOST_PIXELS:
        return None
    if becomes_fewer(spread):
        go_on(stop)
    pixels = raster.pixels(number, rows, columns, indexes, stop)
    samples, bands, known = pixels.samples, pixels.bands, pixels.valid
    at = positions(found, frame, scale, (columns.start, rows.start))
    there = None if _lies_within(extent, (full.height, full.width)) else inside(samples.shape, at)
    if factor > 1:  # the file has no overview near: what one would hold is made here
        samples, known = averaged(pixels.values, known, factor)
        bands = range(len(indexes))
        at = (at + np.float32(0.5)) / np.float32(factor) - np.float32(0.5)
        alone = samples.shape[:2] == (1, 1)  # there is nothing beside it that a pixel could reach
        spread = (1.0, 1.0) if alone else (spread[0] / factor, spread[1] / factor)
    return _raster(*resample(samples, bands, known, at, resampling, spread=spread, there=there))


def _copied(  # noqa: PLR0917 - private, called once
    raster: TiffRaster,
    number: int,
    indexes: Sequence[int],
    first: tuple[int, int],
    frame: Frame,
    stop: Stop,
) -> Raster:
    """Copy samples of a level that are a frame's pixels, and read none beside them.

    Args:
        raster: The file.
        number: Of the level.
        indexes: 1-based band numbers.
        first: Row and column of the sample that the first pixel is.
        frame: The pixels.
        stop: Asked before each block is decoded.
    """
    level, shape = raster.levels[number], (frame.height, frame.width)
    rows, columns = (
        slice(max(begin, 0), min(begin + length, most))
        for begin, length, most in zip(first, shape, (level.height, level.width), strict=True)
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return _nothing(raster, len(indexes), frame)
    pixels = raster.pixels(number, rows, columns, indexes, stop)
    begin = first[0] - rows.start, first[1] - columns.start
    moved = copied(pixels.samples, pixels.bands, pixels.valid, begin, shape)
    return _nothing(raster, len(indexes), frame) if moved is None else _raster(*moved)


def _raster(data: NDArray[Any], valid: NDArray[np.bool_] | None) -> Raster:
    """Make a raster of values, shape (height, width, bands), and where they are; None: everywhere."""
    known = np.ones(data.shape[:2], dtype=bool) if valid is None else valid
    return Raster(data=data.transpose(2, 0, 1), valid=known)


def _sample(
    raster: TiffRaster, scene: Scene, longitude: float, latitude: float, ground_resolution: float
) -> tuple[tuple[float | None, ...] | None] | None:
    """Read the values of the square of pixels, as coarse as is asked, that a place lies in.

    Returns:
        One thing, the values or None where there are none; None: the reference must read it.
    """
    full, place = raster.levels[0], raster.georeference
    x, y = transformer("OGC:CRS84", place.crs).transform(longitude, latitude)
    if not (math.isfinite(x) and math.isfinite(y)):
        return (None,)
    a, b, c, d, e, f = inverted(place.transform)
    factor = max(1, math.ceil(ground_resolution / scene.ground_resolution - 1e-6))
    column = math.floor(a * x + b * y + c) // factor * factor
    row = math.floor(d * x + e * y + f) // factor * factor
    if not (0 <= column < full.width and 0 <= row < full.height):
        return (None,)
    rows, columns = (
        slice(row, min(row + factor, full.height)),
        slice(column, min(column + factor, full.width)),
    )
    if (rows.stop - rows.start) * (columns.stop - columns.start) > MOST_PIXELS:
        return None
    kept = [index for index in range(full.samples) if index != raster.layout.alpha]
    pixels = raster.pixels(0, rows, columns, [index + 1 for index in kept[: len(scene.bands)]])
    values = pixels.values.astype("float64")
    inside = np.isfinite(values).any(axis=2)
    if pixels.valid is not None:
        inside &= pixels.valid > 0
    if not inside.any():
        return (None,)
    return (of_square(np.moveaxis(values, -1, 0), inside, scene.kind),)


def _lies_within(extent: Extent, shape: tuple[int, int]) -> bool:
    """Tell whether all pixels lie on the scene; between points positions are linear, so the points tell."""
    (left, right), (top, bottom) = extent.columns, extent.rows
    return extent.complete and left >= 0 and right <= shape[1] and top >= 0 and bottom <= shape[0]


def _nothing(raster: TiffRaster, bands: int, frame: Frame) -> Raster:
    shape = (frame.height, frame.width)
    return Raster(data=np.zeros((bands, *shape), raster.levels[0].dtype), valid=np.zeros(shape, dtype=bool))


def _window(
    extent: Extent, scale: tuple[float, float], shape: tuple[int, int], margin: int, factor: int
) -> tuple[slice, slice] | None:
    """Give the rows and columns of a level that a frame needs; None where it lies beside it.

    They begin and end with squares of `factor` samples, which are the same whichever part of a level is read.
    """
    slices = []
    for (least, most), each, length in (
        (extent.rows, scale[1], shape[0]),
        (extent.columns, scale[0], shape[1]),
    ):
        first = max(0, math.floor(max(least / each - 0.5, -1e9)) - margin) // factor * factor
        last = min(length, math.ceil((math.ceil(min(most / each + 0.5, 1e9)) + margin) / factor) * factor)
        if first >= last:
            return None
        slices.append(slice(first, last))
    return slices[0], slices[1]
