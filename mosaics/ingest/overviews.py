"""Makes a coarser level of an image: pixels become one by average, mode or maximum, if they are valid.

Both levels cover the same ground, as GDAL and all that follow it take it: of 805 columns become 403, each as
wide as 1.9975. A pixel on the border between two is shared by average, and counts once for mode and maximum.

GDAL has no maximum for overviews, and its builder tells no progress to Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mosaics.ingest.profile import Reduction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]
    Valid = NDArray[np.bool_]

_TAPS: Final = 3
"""Pixels of the finer level that one of the coarser may touch along an axis."""
_WIDER: Final[dict[str, np.dtype[Any]]] = {
    "uint8": np.dtype("uint16"),
    "int8": np.dtype("int16"),
    "uint16": np.dtype("uint32"),
    "int16": np.dtype("int32"),
}
"""Whole numbers in which eight values can be added."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """Which pixels of the finer level those of a window of the coarser one cover, along one axis."""

    source: slice
    """Pixels of the finer level that the window needs."""
    places: NDArray[np.intp]
    """Of each pixel, three neighbours within the source, shape (pixels, 3)."""
    shares: NDArray[np.float64]
    """How much of each neighbour is covered, 0 to 1; same shape."""
    centred: NDArray[np.bool_]
    """Whether a neighbour's centre is covered: each pixel is in one place only; same shape."""

    @property
    def plain(self) -> bool:
        """True where each pixel covers two neighbours, or one at the end, wholly."""
        return bool(((self.shares == 0) | (self.shares == 1)).all())

    @property
    def halving(self) -> bool:
        """True where each pixel covers exactly two neighbours: all but levels of an odd size."""
        return self.plain and self.source.stop - self.source.start == 2 * len(self.places)


def steps(window: slice, coarser: int, finer: int) -> Steps:
    """Say what a window of a coarser level covers.

    Args:
        window: Pixels of the coarser level.
        coarser: Pixels of the whole coarser level, half of the finer, rounded up.
        finer: Pixels of the whole finer level.
    """
    ratio = finer / coarser
    numbers = np.arange(window.start, window.stop)
    begin = np.round(numbers * ratio, 9)
    end = np.minimum(np.round((numbers + 1) * ratio, 9), finer)
    places = np.floor(begin).astype("intp")[:, np.newaxis] + np.arange(_TAPS)
    shares = np.minimum(end[:, np.newaxis], places + 1) - np.maximum(begin[:, np.newaxis], places)
    centres = places + 0.5
    first, last = int(places[0, 0]), min(int(np.ceil(end[-1])), finer)
    return Steps(
        source=slice(first, last),
        places=np.minimum(places - first, last - first - 1),
        shares=np.clip(shares, 0, 1),
        centred=(centres >= begin[:, np.newaxis]) & (centres < end[:, np.newaxis]),
    )


def coarsen(
    values: Values,
    valid: Valid,
    covered: tuple[Steps, Steps],
    *,
    reduction: Reduction,
    fill: float | None,
) -> tuple[Values, Valid]:
    """Make a window of the coarser level.

    Args:
        values: The source pixels of both steps, shape (bands, rows, columns).
        valid: True where a value counts; same shape.
        covered: Which rows and which columns become one.
        reduction: How several become one. Averages of integers are rounded, halves up.
        fill: What pixels without any valid value become, and what no valid value may become; None: 0 (NaN
            for floats), and any value may come.

    Returns:
        Values of the same type, a pixel for each of the steps, and which of them are valid: those that cover
        the centre of at least one valid pixel.
    """
    halves = all(each.halving for each in covered)
    if halves and valid.all() and reduction == "average":
        result, any_valid = _average_of_four(values), None
    else:
        found, counts = _quarters(values, valid) if halves else _centred(values, valid, covered)
        any_valid = counts.any(axis=0)
        if reduction == "average":
            result = _average_of_valid(found, counts) if halves else _average(values, valid, covered)
        elif reduction == "max":
            result = _maximum(found, counts)
        else:
            result = _mode(found, counts)
    if any_valid is None:
        any_valid = np.ones(result.shape, dtype=bool)
    if fill is not None and not np.isnan(fill):
        result = _avoiding(result, any_valid, fill)
    empty = fill if fill is not None else (np.nan if values.dtype.kind == "f" else 0)
    result[~any_valid] = empty
    return result, any_valid


def _quarters(values: Values, valid: Valid) -> tuple[Any, Any]:
    """Give what `_centred` gives where each pixel covers exactly two by two, without looking places up."""
    places = [np.s_[:, y::2, x::2] for y in range(2) for x in range(2)]
    return np.stack([values[place] for place in places]), np.stack([valid[place] for place in places])


def _average_of_four(values: Values) -> Values:
    """Average two by two that are all valid; integers as whole numbers, which is several times as quick."""
    wide = _WIDER.get(values.dtype.name, np.dtype("float64"))
    rows = values[:, 0::2]
    if wide.kind == "f":  # in the order of `_average`, so that sums are the same to the last bit
        total = rows[:, :, 0::2].astype(wide) + rows[:, :, 1::2]
        for x in range(2):
            total += values[:, 1::2, x::2]
        return _rounded(total / 4, values.dtype)
    both = np.add(rows, values[:, 1::2], dtype=wide)
    total = both[:, :, 0::2] + both[:, :, 1::2]
    total += 2
    total >>= 2
    return total.astype(values.dtype)


def _average_of_valid(found: Any, counts: Any) -> Any:
    """Average the valid ones of four."""
    number = counts.sum(axis=0, dtype="uint8")
    wide = _WIDER.get(found.dtype.name, np.dtype("float64"))
    total = np.zeros(number.shape, wide)
    for values, valid in zip(found, counts, strict=True):
        np.add(total, values, out=total, where=valid)
    number[number == 0] = 1
    if wide.kind == "f":
        return _rounded(total / number, found.dtype)
    return ((2 * total + number) // (2 * number.astype(wide))).astype(found.dtype)


def _centred(values: Values, valid: Valid, covered: tuple[Steps, Steps]) -> tuple[Any, Any]:
    """Give the pixels whose centres are covered, in reading order, and which of them are there and valid.

    Along an axis they are one or two, so there are four: shape (4, bands, rows, columns).
    """
    places, there = [], []
    for each in covered:
        first = each.centred.argmax(axis=1)
        ahead = np.minimum(first + 1, _TAPS - 1)
        lines = np.arange(len(first))
        places.append((each.places[lines, first], each.places[lines, ahead]))
        there.append((each.centred[lines, first], each.centred[lines, ahead] & (ahead > first)))
    found, counts = [], []
    for y in range(2):
        for x in range(2):
            place = np.s_[:, places[0][y][:, np.newaxis], places[1][x]]
            found.append(values[place])
            counts.append(valid[place] & there[0][y][:, np.newaxis] & there[1][x])
    return np.stack(found), np.stack(counts)


def _average(values: Values, valid: Valid, covered: tuple[Steps, Steps]) -> Values:
    rows, columns = covered
    taps = 2 if rows.plain and columns.plain else _TAPS
    shape = (len(values), len(rows.places), len(columns.places))
    total, number = np.zeros(shape), np.zeros(shape)
    for y in range(taps):
        for x in range(taps):
            place = np.s_[:, rows.places[:, y][:, np.newaxis], columns.places[:, x]]
            held = np.where(valid[place], rows.shares[:, y][:, np.newaxis] * columns.shares[:, x], 0)
            total += np.where(held > 0, values[place], 0) * held
            number += held
    return _rounded(total / np.where(number > 0, number, 1), values.dtype)


def _rounded(mean: NDArray[np.float64], data_type: np.dtype[Any]) -> Values:
    if data_type.kind == "f":
        return mean.astype(data_type)
    limits = np.iinfo(data_type)
    return np.floor(np.round(mean + 0.5, 6)).clip(limits.min, limits.max).astype(data_type)


def _maximum(values: Any, counts: Any) -> Any:
    lowest = -np.inf if values.dtype.kind == "f" else np.iinfo(values.dtype).min
    return np.where(counts, values, np.asarray(lowest, dtype=values.dtype)).max(axis=0)


def _mode(values: Any, counts: Any) -> Any:
    """Give the most frequent value; of several, the one that comes first in reading order."""
    votes = np.zeros(values.shape, dtype=np.int8)
    for first in range(len(values)):
        for second in range(len(values)):
            votes[first] += (values[first] == values[second]) & counts[second]
    votes[~counts] = 0
    return np.take_along_axis(values, votes.argmax(axis=0)[np.newaxis], axis=0)[0]


def _avoiding(result: Any, valid: Any, fill: float) -> Any:
    """Move valid values that became the nodata value by the least step, so that they don't become holes."""
    hit = valid & (result == np.asarray(fill, dtype=result.dtype))
    if hit.any():
        if result.dtype.kind == "f":
            result[hit] = np.nextafter(result[hit], np.asarray(0 if fill else 1, dtype=result.dtype))
        elif fill < np.iinfo(result.dtype).max:
            result[hit] += 1
        else:
            result[hit] -= 1
    return result
