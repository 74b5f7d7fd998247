"""Halves images: four pixels become one by average, mode or maximum, and only valid ones count.

GDAL has no maximum for overviews, and its builder tells no progress to Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mosaics.ingest.profile import Reduction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]
    Valid = NDArray[np.bool_]


def halve(values: Values, valid: Valid, reduction: Reduction, fill: float | None) -> tuple[Values, Valid]:
    """Make one pixel of each two by two; a last odd row or column stands alone.

    Args:
        values: Shape (bands, height, width).
        valid: True where a value counts; same shape.
        reduction: How four become one. Averages of integers are rounded, halves up.
        fill: What pixels without any valid value become, and what no valid value may become; None: 0 (NaN
            for floats), and any value may come.

    Returns:
        Values of the same type, shape (bands, ceil(height / 2), ceil(width / 2)), and which of them are
        valid: those with at least one valid pixel.
    """
    quads, counts = _quads(values), _quads(valid)
    any_valid = counts.any(axis=0)
    if reduction == "average":
        result = _average(quads, counts)
    elif reduction == "max":
        result = _maximum(quads, counts)
    else:
        result = _mode(quads, counts)
    if fill is not None and not np.isnan(fill):
        result = _avoiding(result, any_valid, fill)
    empty = fill if fill is not None else (np.nan if values.dtype.kind == "f" else 0)
    result[~any_valid] = empty
    return result, any_valid


def _quads(array: Any) -> Any:
    """Give the four pixels of each two by two, shape (4, bands, rows, columns); odd edges get zeros."""
    height, width = array.shape[1:]
    padded = array
    if height % 2 or width % 2:
        padded = np.pad(array, ((0, 0), (0, height % 2), (0, width % 2)))
    return np.stack(
        [padded[:, 0::2, 0::2], padded[:, 0::2, 1::2], padded[:, 1::2, 0::2], padded[:, 1::2, 1::2]]
    )


def _average(quads: Any, counts: Any) -> Any:
    data_type = quads.dtype
    number = np.maximum(counts.sum(axis=0), 1)
    if data_type.kind == "f":
        mean = np.where(counts, quads, 0).sum(axis=0, dtype=np.float64) / number
        return mean.astype(data_type)
    total = np.where(counts, quads, 0).sum(axis=0, dtype=np.int64)
    return ((2 * total + number) // (2 * number)).astype(data_type)


def _maximum(quads: Any, counts: Any) -> Any:
    lowest = -np.inf if quads.dtype.kind == "f" else np.iinfo(quads.dtype).min
    return np.where(counts, quads, np.asarray(lowest, dtype=quads.dtype)).max(axis=0)


def _mode(quads: Any, counts: Any) -> Any:
    """Give the most frequent value; of several, the one that comes first in reading order."""
    votes = np.zeros(quads.shape, dtype=np.int8)
    for first in range(4):
        for second in range(4):
            votes[first] += (quads[first] == quads[second]) & counts[second]
    votes[~counts] = 0
    return np.take_along_axis(quads, votes.argmax(axis=0)[np.newaxis], axis=0)[0]


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
