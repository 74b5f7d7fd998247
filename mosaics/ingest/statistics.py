"""Measures a whole image in one pass that also proves that every block decodes; memory stays constant."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import cv2
import numpy as np

from mosaics.errors import IngestError
from mosaics.ingest.footprint import Coverage
from mosaics.ingest.inspect import Inspection
from mosaics.ingest.source import Pixels, Progress, decoding_threads, read_windows, windows

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.windows import Window

PERCENTILES: Final = (2.0, 50.0, 98.0, 99.9)
SAMPLE_BYTES: Final = 96 << 20
"""Values that are kept to sort, all bands together."""
_THINNING: Final = 3
"""Every how many kept values stay when there are too many; odd, so that block widths don't repeat in it."""
_COUNTED: Final = 1 << 23
"""Values that OpenCV counts at once: its floats of 32 bits hold whole numbers up to twice as many."""
_BIN_TYPES: Final = frozenset({"uint8", "int8", "uint16", "int16"})


@dataclass(frozen=True, kw_only=True, slots=True)
class BandStatistics:
    """Valid values of one band of the whole image, in stored units; None where it has none at all."""

    count: int
    """Valid pixels."""
    minimum: float | None
    """Exact."""
    maximum: float | None
    """Exact."""
    p2: float | None
    """2nd percentile, linear between neighbours as numpy's."""
    p50: float | None
    """Median."""
    p98: float | None
    """98th percentile."""
    p999: float | None
    """99.9th percentile."""
    sample_step: int
    """1: percentiles of all values; n: of every n-th valid value in the order of reading."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """What one pass over the image finds."""

    bands: tuple[BandStatistics, ...]
    """In file order, without the alpha band."""
    coverage: Coverage
    """Where there is data, decimated."""
    has_unfinite: bool
    """Some values are NaN or infinite."""


class Distribution(Protocol):
    """Takes values in any order and tells how they are distributed."""

    def add(self, values: NDArray[Any]) -> None:
        """Take valid values, one-dimensional."""

    def result(self) -> BandStatistics:
        """Give what was found."""


class Histogram:
    """The exact distribution of integers of up to 16 bits."""

    def __init__(self, data_type: str) -> None:
        limits = np.iinfo(data_type)
        self._lowest = int(limits.min)
        self._unsigned = np.dtype(f"uint{limits.bits}")
        self._counts = np.zeros(int(limits.max) - self._lowest + 1, dtype=np.int64)

    def add(self, values: NDArray[Any]) -> None:
        """Count values; OpenCV is several times as quick as numpy, which makes 64 bits of each."""
        size = self._counts.size
        for first in range(0, values.size, _COUNTED):
            part = values[first : first + _COUNTED].view(self._unsigned)
            if self._lowest:
                part = part + self._unsigned.type(-self._lowest)  # wraps round: the lowest becomes 0
            found = cv2.calcHist([part.reshape(1, -1)], [0], None, [size], [0, size])
            self._counts += found.ravel().astype(np.int64)

    def result(self) -> BandStatistics:
        """Give statistics of all values."""
        count = int(self._counts.sum())
        if count == 0:
            return _nothing()
        present = np.flatnonzero(self._counts)
        upto = np.cumsum(self._counts)
        return _statistics(
            count,
            (float(present[0] + self._lowest), float(present[-1] + self._lowest)),
            lambda rank: float(np.searchsorted(upto, rank, side="right")) + self._lowest,
            (count, 1),
        )


class SystematicSample:
    """The distribution of any numbers: exact while they fit, then of every n-th, n a power of 3."""

    def __init__(self, data_type: str, capacity: int) -> None:
        self._kept: NDArray[Any] = np.empty(capacity, dtype=data_type)
        self._size = 0
        self._step = 1
        self._count = 0
        self._range = (math.inf, -math.inf)

    def add(self, values: NDArray[Any]) -> None:
        """Take values."""
        if values.size == 0:
            return
        self._range = (min(self._range[0], float(values.min())), max(self._range[1], float(values.max())))
        while True:
            chosen = values[-self._count % self._step :: self._step]
            if self._size + chosen.size <= self._kept.size:
                break
            thinned = self._kept[: self._size : _THINNING]
            self._kept[: thinned.size] = thinned.copy()
            self._size = thinned.size
            self._step *= _THINNING
        self._kept[self._size : self._size + chosen.size] = chosen
        self._size += chosen.size
        self._count += values.size

    def result(self) -> BandStatistics:
        """Give statistics; least and greatest value are exact."""
        if self._count == 0:
            return _nothing()
        ordered = np.sort(self._kept[: self._size])
        return _statistics(
            self._count, self._range, lambda rank: float(ordered[rank]), (self._size, self._step)
        )


def measure(
    inspection: Inspection,
    report: Progress,
    *,
    threads: int = 1,
    then: Callable[[Window, Pixels], None] | None = None,
) -> Statistics:
    """Read every block of the full resolution and measure the valid values.

    Args:
        inspection: The file.
        report: Called after each window.
        threads: How many may decode blocks.
        then: Takes each window and its pixels when they are measured.

    Returns:
        Statistics of each band and where there is data.

    Raises:
        IngestError: If a block can't be decoded, or no pixel is valid.
    """
    capacity = SAMPLE_BYTES // (inspection.band_count * np.dtype(inspection.data_type).itemsize)
    capacity = min(capacity, inspection.width * inspection.height)
    distributions: list[Distribution] = [
        Histogram(inspection.data_type)
        if inspection.data_type in _BIN_TYPES
        else SystematicSample(inspection.data_type, capacity)
        for _ in range(inspection.band_count)
    ]
    coverage = Coverage.empty(inspection.width, inspection.height)
    has_unfinite = False
    total = inspection.width * inspection.height
    done = 0
    areas = windows(inspection.width, inspection.height, inspection.pixel_bytes, _step(inspection))
    read = read_windows(inspection, areas, threads=max(1, decoding_threads(inspection, threads)))
    with closing(read):
        for window, pixels in read:
            for distribution, values, valid in zip(distributions, pixels.values, pixels.valid, strict=True):
                distribution.add(values.ravel() if valid.all() else values[valid])
            if not has_unfinite and pixels.values.dtype.kind == "f":
                has_unfinite = not bool(np.isfinite(pixels.values).all())
            coverage.add(np.asarray(pixels.valid.any(axis=0)), int(window.row_off), int(window.col_off))
            if then is not None:
                then(window, pixels)
            done += int(window.width) * int(window.height)
            report("reading", done / total)
    bands = tuple(distribution.result() for distribution in distributions)
    if not any(band.count for band in bands):
        raise IngestError(
            f"{inspection.path.name}: no valid pixel: {_why_nothing(inspection)}; there is nothing to show"
        )
    return Statistics(bands=bands, coverage=coverage, has_unfinite=has_unfinite)


def _step(inspection: Inspection) -> int:
    """Give where windows may begin so that no block is decoded twice: at the blocks of a tiled file."""
    rows, columns = inspection.block_shape
    if columns >= inspection.width:
        return min(rows, 512)
    step = math.lcm(rows, columns)
    return step if step <= 4096 else max(rows, columns)


def _statistics(
    count: int,
    extremes: tuple[float, float],
    value_of_rank: Callable[[int], float],
    sample: tuple[int, int],
) -> BandStatistics:
    """Interpolate percentiles between the values of two ranks (0-based) of a sample of (size, step)."""
    size, step = sample
    found = []
    for percentile in PERCENTILES:
        position = percentile / 100 * (size - 1)
        lower = math.floor(position)
        low, high = value_of_rank(lower), value_of_rank(min(lower + 1, size - 1))
        found.append(low + (high - low) * (position - lower))
    p2, p50, p98, p999 = found
    return BandStatistics(
        count=count,
        minimum=extremes[0],
        maximum=extremes[1],
        p2=p2,
        p50=p50,
        p98=p98,
        p999=p999,
        sample_step=step,
    )


def _nothing() -> BandStatistics:
    return BandStatistics(
        count=0, minimum=None, maximum=None, p2=None, p50=None, p98=None, p999=None, sample_step=1
    )


def _why_nothing(inspection: Inspection) -> str:
    if inspection.nodata is not None:
        return f"every pixel is nodata ({inspection.nodata:g})"
    if inspection.mask == "alpha":
        return "every pixel is transparent"
    if inspection.mask in {"internal", "external"}:
        return "every pixel is masked"
    return "no value is finite"
