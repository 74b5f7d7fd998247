"""Makes a coarser level of an image: pixels become one by average, mode or maximum, if they are valid.

Both levels cover the same ground, as GDAL and all that follow it take it: of 805 columns become 403, each as
wide as 1.9975. A pixel on the border between two is shared by average, and counts once for mode and maximum.

Rows and columns are reduced one after the other, a few rows at a time, so that what is between stays in the
processor's cache. GDAL has no maximum for overviews, and its builder tells no progress to Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np

from mosaics.ingest.profile import Reduction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]
    Valid = NDArray[np.bool_]

_ROWS_AT_ONCE: Final = 32
"""Of the coarser level."""
_COLUMNS_AT_ONCE, _COLUMNS_OF_SOME = 1024, 256
"""Of it; and where only some pixels are valid, which takes twice the time."""
_ALMOST: Final = 5e-7
"""What a mean may lack of a half to be rounded up: shares are no whole numbers."""
_HALVED: Final = frozenset({"uint8", "uint16", "int16"})
"""Types of which OpenCV averages four, halves up, as whole numbers: in a tenth of the time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tap:
    """One of the neighbours that the pixels of a window cover, along one axis."""

    first: int
    """Where that of the first pixel is within the source, of the others two further each; -1: outside."""
    shares: NDArray[np.float64]
    """How much of it each pixel covers, 0 to 1."""
    centred: NDArray[np.bool_]
    """Whether a pixel covers its centre: each centre is in one pixel only."""
    is_whole: bool
    """All shares are 1."""

    def of(self, values: NDArray[Any], axis: int) -> tuple[slice, NDArray[Any]]:
        """Give which pixels have this neighbour, and their neighbours, without copying.

        Args:
            values: The source, two-dimensional.
            axis: Which one.
        """
        begin = (max(0, -self.first) + 1) // 2
        end = min(len(self.shares), (values.shape[axis] - self.first + 1) // 2)
        places = slice(self.first + 2 * begin, max(0, self.first + 2 * end - 1), 2)
        return slice(begin, end), values[places] if axis == 0 else values[:, places]


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """Which pixels of the finer level those of a window of the coarser one cover, along one axis."""

    window: slice
    """Pixels of the coarser level."""
    sizes: tuple[int, int]
    """Pixels of the whole coarser level, and of the finer."""
    source: slice
    """Pixels of the finer level that the window needs."""
    taps: tuple[Tap, ...]
    """In their order: two where the finer level is twice as large, else three."""

    @property
    def count(self) -> int:
        """Pixels of the window."""
        return int(self.window.stop - self.window.start)

    @property
    def covered(self) -> float:
        """How many pixels of the finer level each covers."""
        coarser, finer = self.sizes
        return finer / coarser

    @property
    def halving(self) -> bool:
        """True where each pixel covers exactly two neighbours: all but levels of an odd size."""
        return len(self.taps) == 2

    def parts(self, count: int) -> Iterator[Steps]:
        """Cut the window into some of so many pixels."""
        for start in range(self.window.start, self.window.stop, count):
            yield steps(slice(start, min(start + count, self.window.stop)), *self.sizes)

    def source_within(self, whole: Steps) -> slice:
        """Give where the source of a part is within that of the whole."""
        return slice(self.source.start - whole.source.start, self.source.stop - whole.source.start)

    def window_within(self, whole: Steps) -> slice:
        """Give where the pixels of a part are within those of the whole."""
        return slice(self.window.start - whole.window.start, self.window.stop - whole.window.start)

    def centres(self) -> tuple[tuple[NDArray[np.intp], Valid], ...]:
        """Give the first and the second centre that each pixel covers: where within the source, if at all."""
        centred = np.stack([tap.centred for tap in self.taps])
        first = np.array([tap.first for tap in self.taps])[centred.argmax(axis=0)] + 2 * np.arange(self.count)
        is_double = centred.sum(axis=0) == 2
        return (first, np.ones(self.count, dtype=bool)), (first + is_double, is_double)


def steps(window: slice, coarser: int, finer: int) -> Steps:
    """Say what a window of a coarser level covers.

    Args:
        window: Pixels of the coarser level.
        coarser: Pixels of the whole coarser level, half of the finer, rounded up.
        finer: Pixels of the whole finer level.
    """
    assert coarser == (finer + 1) // 2, "a level is half of the finer one, rounded up"
    numbers = np.arange(window.start, window.stop)
    every = np.ones(len(numbers), dtype=bool)
    middle = 2 * window.start
    if finer == 2 * coarser:
        first = middle
        shares = [every.astype("float64")] * 2
        centred = [every] * 2
    else:  # each covers 2 - 1 / coarser, so it begins the earlier the further on it is
        first = max(0, middle - 1)
        shares = [numbers / coarser, every.astype("float64"), 1 - (numbers + 1) / coarser]
        centred = [2 * numbers >= coarser, every, 2 * (numbers + 1) < coarser]
        middle -= 1
    taps = tuple(
        Tap(first=middle - first + place, shares=share, centred=centre, is_whole=bool((share == 1).all()))
        for place, (share, centre) in enumerate(zip(shares, centred, strict=True))
    )
    source = slice(first, min(2 * window.stop, finer))
    return Steps(window=window, sizes=(coarser, finer), source=source, taps=taps)


def coarsen(
    values: Values,
    valid: Valid | None,
    covered: tuple[Steps, Steps],
    *,
    reduction: Reduction,
    fill: float | None,
) -> tuple[Values, Valid]:
    """Make a window of the coarser level.

    Args:
        values: The source pixels of both steps, shape (bands, rows, columns).
        valid: True where a value counts; same shape. None: all do.
        covered: Which rows and which columns become one.
        reduction: How several become one. Averages of integers are rounded, halves up.
        fill: What pixels without any valid value become, and what no valid value may become; None: 0 (NaN
            for floats), and any value may come.

    Returns:
        Values of the same type, a pixel for each of the steps, and which of them are valid: those that cover
        the centre of at least one valid pixel.
    """
    rows, columns = covered
    shape = (len(values), rows.count, columns.count)
    result, still_valid = np.empty(shape, values.dtype), np.ones(shape, dtype=bool)
    across = tuple(columns.parts(_COLUMNS_AT_ONCE))
    for down in rows.parts(_ROWS_AT_ONCE):
        for along in across:
            for band in range(len(values)):
                there = None if valid is None else valid[band]
                for level in _levels(values[band], there, covered, (down, along)):
                    target = band, down.window_within(rows), level.columns.window_within(columns)
                    made, found = level.reduced(reduction)
                    result[target] = _filled(made, found, fill)
                    if found is not None:
                        still_valid[target] = found
    return result, still_valid


def _levels(
    values: Values, valid: Valid | None, covered: tuple[Steps, Steps], part: tuple[Steps, Steps]
) -> Iterator[_Level]:
    """Give a part of a band, cut into narrow ones where only some of its pixels are valid."""
    (rows, columns), (down, along) = covered, part
    source = down.source_within(rows), along.source_within(columns)
    there = None if valid is None or valid[source].all() else valid[source]
    if there is None or along.count <= _COLUMNS_OF_SOME or not there.any():
        yield _Level(values[source], there, down, along)
        return
    for narrow in along.parts(_COLUMNS_OF_SOME):
        yield from _levels(values, valid, covered, (down, narrow))


@dataclass(frozen=True, slots=True)
class _Level:
    """Some rows of one band of the finer level, and what becomes one."""

    values: Values
    """Shape (rows, columns)."""
    valid: Valid | None
    """Same shape; None: all are valid."""
    rows: Steps
    columns: Steps

    def reduced(self, reduction: Reduction) -> tuple[Values, Valid | None]:
        """Give the pixels of the coarser level, and which of them are valid; None: all are."""
        shape = (self.rows.count, self.columns.count)
        valid = self.valid
        if valid is not None and not valid.any():
            return np.zeros(shape, self.values.dtype), np.zeros(shape, dtype=bool)
        there = None if valid is None else self._any(valid)
        if reduction == "average":
            return self._average(valid), there
        if valid is None:
            valid = np.ones(self.values.shape, dtype=bool)
        return self._maximum(valid) if reduction == "max" else self._mode(valid), there

    def _any(self, found: Valid) -> Valid:
        for axis, each in enumerate((self.rows, self.columns)):
            coarser = np.zeros(_shape(found, each, axis), dtype=bool)
            for tap in each.taps:
                which, neighbours = tap.of(found, axis)
                _part(coarser, which, axis)[...] |= neighbours & _beside(tap.centred[which], axis)
            found = coarser
        return found

    def _average(self, valid: Valid | None) -> Values:
        if valid is None and self.rows.halving and self.columns.halving and self.values.dtype.name in _HALVED:
            size = (self.columns.count, self.rows.count)
            return np.asarray(cv2.resize(self.values, size, interpolation=cv2.INTER_AREA))
        if valid is None:
            mean = self._sum(self.values) / (self.rows.covered * self.columns.covered)
        else:
            number = self._sum(valid)
            mean = self._sum(np.where(valid, self.values, 0)) / np.where(number > 0, number, 1)
        return _rounded(mean, self.values.dtype)

    def _sum(self, summands: NDArray[Any]) -> NDArray[np.float64]:
        """Add up what each pixel covers, by how much of it that is."""
        for axis, each in enumerate((self.rows, self.columns)):
            whole, *others = sorted(each.taps, key=lambda tap: not tap.is_whole)
            total = whole.of(summands, axis)[1].astype("float64")
            for tap in others:
                which, neighbours = tap.of(summands, axis)
                part = _part(total, which, axis)
                part += neighbours if tap.is_whole else neighbours * _beside(tap.shares[which], axis)
            summands = total
        return summands

    def _maximum(self, valid: Valid) -> Values:
        floating = self.values.dtype.kind == "f"
        lowest = np.asarray(-np.inf if floating else np.iinfo(self.values.dtype).min, self.values.dtype)
        found = np.where(valid, self.values, lowest)
        for axis, each in enumerate((self.rows, self.columns)):
            coarser = np.full(_shape(found, each, axis), lowest)
            for tap in each.taps:
                which, neighbours = tap.of(found, axis)
                part = _part(coarser, which, axis)
                np.maximum(part, neighbours, out=part, where=_beside(tap.centred[which], axis))
            found = coarser
        return found

    def _mode(self, valid: Valid) -> Values:
        """Give the most frequent value; of several, the one that comes first in reading order."""
        places = [
            ((rows, columns), _beside(has_row, 0) & has_column)
            for rows, has_row in self.rows.centres()
            for columns, has_column in self.columns.centres()
        ]
        found = np.stack([_taken(self.values, *place) for place, _ in places])
        counts = np.stack([_taken(valid, *place) & there for place, there in places])
        votes = np.zeros(found.shape, dtype=np.int8)
        for first in range(len(found)):
            for second in range(len(found)):
                votes[first] += (found[first] == found[second]) & counts[second]
        votes[~counts] = 0
        return np.asarray(np.take_along_axis(found, votes.argmax(axis=0)[np.newaxis], axis=0)[0])


def _shape(values: NDArray[Any], each: Steps, axis: int) -> tuple[int, int]:
    """Give the shape that an array has once an axis is reduced."""
    return (each.count, values.shape[1]) if axis == 0 else (values.shape[0], each.count)


def _part(values: NDArray[Any], which: slice, axis: int) -> NDArray[Any]:
    """Give some rows (axis 0) or columns (1), without copying."""
    return values[which] if axis == 0 else values[:, which]


def _beside(numbers: NDArray[Any], axis: int) -> NDArray[Any]:
    """Lay numbers along an axis."""
    return numbers[:, np.newaxis] if axis == 0 else numbers


def _taken(values: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Any]:
    return values.take(rows, axis=0).take(columns, axis=1)


def _rounded(mean: NDArray[np.float64], data_type: np.dtype[Any]) -> Values:
    """Give means as values of a type; those of whole numbers lie between the least and the greatest."""
    if data_type.kind == "f":
        return mean.astype(data_type)
    mean += 0.5 + _ALMOST
    return (mean if data_type.kind == "u" else np.floor(mean, out=mean)).astype(data_type)


def _filled(made: Values, valid: Valid | None, fill: float | None) -> Values:
    """Put the fill where nothing is valid, and nowhere else; None: all is valid."""
    if fill is not None and not np.isnan(fill):
        made = _avoiding(made, valid, fill)
    if valid is not None:
        made[~valid] = fill if fill is not None else (np.nan if made.dtype.kind == "f" else 0)
    return made


def _avoiding(made: Values, valid: Valid | None, fill: float) -> Values:
    """Move valid values that became the nodata value by the least step, so that they don't become holes."""
    hit = made == np.asarray(fill, dtype=made.dtype)
    if valid is not None:
        hit &= valid
    if hit.any():
        if made.dtype.kind == "f":
            made[hit] = np.nextafter(made[hit], np.asarray(0 if fill else 1, dtype=made.dtype))
        elif fill < np.iinfo(made.dtype).max:
            made[hit] += 1
        else:
            made[hit] -= 1
    return made
