"""Where the pixels of a frame lie in a scene: exact at some points, interpolated between, and checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from mosaics.models import Frame

Array = NDArray[np.float64]

LARGEST_ERROR: Final = 0.03
"""Pixels of the level that is read by which an interpolated position may be off."""

_ON_IT: Final = 1e-6
"""Pixels that a position may be off, to lie on one sample: less than a level of 16 bits."""
_STEPS: Final = (64, 16, 4)
"""Output pixels of a cell whose sides are looked at in their middles; those are points of the mesh too."""


class Extent(NamedTuple):
    """Between which columns and rows of the finest level points lie."""

    columns: tuple[float, float]
    rows: tuple[float, float]
    complete: bool
    """All points lie somewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mesh:
    """Positions in a scene at points of a frame."""

    points: Array
    """Column and row (corner of pixel is a whole number) at each point, shape (2, rows, columns)."""
    at_x: Array
    """Where the points lie along x, output pixels from the left edge, ascending."""
    at_y: Array
    """Where they lie along y, from the top edge."""
    cell: int = 0
    """Output pixels from each point to the next, an even number; 0: not everywhere as many; 1: the points are
    the pixels' centres."""
    is_upright: bool = False
    """True where columns grow along x alone, rows along y alone, and both evenly."""

    @property
    def columns(self) -> Array:
        """Column at each point, shape (rows, columns)."""
        columns: Array = self.points[0]
        return columns

    @property
    def rows(self) -> Array:
        """Row at each point, same shape."""
        rows: Array = self.points[1]
        return rows

    @property
    def density(self) -> tuple[float, float]:
        """Columns and rows of the finest level that an output pixel spans, as GDAL's warper counts them."""
        points, at_x, at_y = self.points, self.at_x, self.at_y[:, np.newaxis]
        with np.errstate(invalid="ignore"):
            across = np.abs(points[:, :, 1:] - points[:, :, :-1])
            along = np.abs(points[:, 1:] - points[:, :-1])
            if not self.cell:
                across /= at_x[1:] - at_x[:-1]
                along /= at_y[1:] - at_y[:-1]
        cell = self.cell or 1
        columns, rows = (sum(each) / cell for each in zip(_middles(across), _middles(along), strict=True))
        return _positive(columns), _positive(rows)

    @property
    def extent(self) -> Extent | None:
        """Columns and rows between which all points that lie somewhere do; None: none does."""
        known = self.points.reshape(2, -1)
        complete = math.isfinite(float(known.sum()))
        if not complete:
            known = known[:, np.isfinite(known).all(axis=0)]
            if not known.size:
                return None
        (left, top), (right, bottom) = known.min(axis=1).tolist(), known.max(axis=1).tolist()
        return Extent((left, right), (top, bottom), complete)


def _middles(values: Array) -> tuple[float, float]:
    """Give the medians of what is known, shape (2, ...), the upper one of two; NaN where nothing is."""
    flat = values.reshape(2, -1)
    if math.isfinite(float(flat.sum())):
        middle = flat.shape[1] // 2
        columns, rows = np.sort(flat, axis=1)[:, middle].tolist()
        return columns, rows
    columns, rows = (_middle(each[np.isfinite(each)]) for each in flat)
    return columns, rows


def _middle(known: Array) -> float:
    return float(np.partition(known, known.size // 2)[known.size // 2]) if known.size else math.nan


def _positive(density: float) -> float:
    return 1.0 if math.isnan(density) else max(density, 1e-9)


Affine = tuple[float, float, float, float, float, float]
"""(a, b, c, d, e, f): x = a col + b row + c, y = d col + e row + f."""


def inverted(transform: Affine) -> Affine:
    """Give the way back of a transform."""
    a, b, c, d, e, f = transform
    determinant = a * e - b * d
    ia, ib, id_, ie = e / determinant, -b / determinant, -d / determinant, a / determinant
    return ia, ib, -(ia * c + ib * f), id_, ie, -(id_ * c + ie * f)


def nearest_level(factors: Sequence[float], density: tuple[float, float]) -> int:
    """Choose the level whose resolution is nearest to the output's.

    Args:
        factors: How many pixels of the finest level make one of each level.
        density: How many make one output pixel, along both axes.

    Returns:
        Its place among the factors.
    """
    wanted = math.log(min(density))
    return min(range(len(factors)), key=lambda place: abs(math.log(factors[place]) - wanted))


@lru_cache(maxsize=256)
def transformer(source: str, target: str) -> Transformer:
    """Give the way between two systems (x east, y north); kept, safe to share between threads.

    One takes some 20 kB, and 35 kB more in each thread that uses it.
    """
    return Transformer.from_crs(source, target, always_xy=True)


def mesh(frame: Frame, crs: str, inverse: Affine, scale: float) -> Mesh:
    """Find where the pixels of a frame lie in a scene.

    Args:
        frame: The output pixels.
        crs: Of the scene, anything pyproj understands.
        inverse: From coordinates of the scene to columns and rows: col = a x + b y + c, row = d x + e y + f.
        scale: Pixels of the finest level in one of the level that is read, at most: errors are judged there.

    Returns:
        Points that give each pixel's centre within LARGEST_ERROR when interpolated linearly; where no
        such points were found, a point at each centre.
    """
    way = None if _same(frame.crs, crs) else transformer(frame.crs, crs)
    for step in _STEPS:
        at_x, at_y = _stops(frame.width, step), _stops(frame.height, step)
        points = _points(frame, way, inverse, at_x, at_y)
        if way is None or _is_close(points, scale):
            even = frame.width % step == 0 and frame.height % step == 0
            is_upright = way is None and not (inverse[1] or inverse[3])
            return Mesh(
                points=points,
                at_x=at_x,
                at_y=at_y,
                cell=step // 2 if even else 0,
                is_upright=is_upright,
            )
    at_x, at_y = _centres(frame.width), _centres(frame.height)
    return Mesh(points=_points(frame, way, inverse, at_x, at_y), at_x=at_x, at_y=at_y, cell=1)


@lru_cache(maxsize=1024)
def _same(one: str, other: str) -> bool:
    return one == other or CRS.from_user_input(one).equals(CRS.from_user_input(other), ignore_axis_order=True)


@lru_cache(maxsize=256)
def _centres(length: int) -> Array:
    return _frozen(np.arange(length, dtype="float64") + 0.5)


@lru_cache(maxsize=256)
def _stops(length: int, step: int) -> Array:
    """Give the sides of cells, and their middles between; the last cell may be smaller."""
    sides = np.append(np.arange(0, length, step), length).astype("float64")
    stops = np.empty(2 * sides.size - 1)
    stops[::2], stops[1::2] = sides, (sides[1:] + sides[:-1]) / 2
    return _frozen(stops)


def _frozen(values: Array) -> Array:
    values.flags.writeable = False
    return values


def _points(frame: Frame, way: Transformer | None, inverse: Affine, at_x: Array, at_y: Array) -> Array:
    """Give columns and rows at points, shape (2, rows of points, columns of points)."""
    left, bottom, right, top = frame.bounds
    xs = left + at_x * ((right - left) / frame.width)
    ys = top - at_y * ((top - bottom) / frame.height)
    x, y = np.empty((ys.size, xs.size)), np.empty((ys.size, xs.size))
    x[:], y[:] = xs, ys[:, np.newaxis]
    if way is not None:
        way.transform(x, y, inplace=True)
    a, b, c, d, e, f = inverse
    with np.errstate(invalid="ignore"):  # what lies nowhere is infinite
        points: Array = np.array((a * x + b * y + c, d * x + e * y + f))
    return points


def _is_close(points: Array, scale: float) -> bool:
    """Compare cells with the exact transform halfway along their sides: the points there are exact.

    In the middle of a cell the errors along both axes add up, and of a conformal projection they cancel out:
    so they are looked at apart, and half of what is allowed is allowed to each. A mesh that has those points
    as well is closer still.
    """
    if not math.isfinite(float(points.sum())):
        return False
    corners = points[:, ::2, ::2]
    across = (corners[:, :, 1:] + corners[:, :, :-1]) / 2 - points[:, ::2, 1::2]
    along = (corners[:, 1:] + corners[:, :-1]) / 2 - points[:, 1::2, ::2]
    worst = max(float(np.abs(across).max()), float(np.abs(along).max()))
    return worst / scale <= LARGEST_ERROR / 2


def first_of_steps(found: Mesh, frame: Frame, scale: tuple[float, float]) -> tuple[int, int] | None:
    """Tell whether each pixel lies on one sample, and the next one on the next, as in files of its own grid.

    Args:
        found: Positions on the finest level.
        frame: The output pixels.
        scale: Columns and rows of the finest level in one of the level that is read.

    Returns:
        Row and column of the sample of that level that the first pixel lies on, outside of it maybe; None:
        they lie otherwise.
    """
    if not found.is_upright:
        return None
    lines = ((found.rows[:, 0], found.at_y, frame.height), (found.columns[0], found.at_x, frame.width))
    first = []
    for (along, at, length), each in zip(lines, scale[::-1], strict=True):
        step = float(along[-1] - along[0]) / each / float(at[-1] - at[0])
        exact = float(along[0]) / each + (0.5 - float(at[0])) * step - 0.5
        if abs(step - 1) * length > _ON_IT or abs(exact - round(exact)) > _ON_IT:
            return None
        first.append(round(exact))
    return first[0], first[1]


def positions(
    found: Mesh, frame: Frame, scale: tuple[float, float], origin: tuple[int, int]
) -> NDArray[np.float32]:
    """Interpolate positions at pixel centres, as `cv2.remap` wants them.

    Args:
        found: Positions on the finest level.
        frame: The output pixels.
        scale: Columns and rows of the finest level in one of the level that is read.
        origin: Column and row of the window that is read, on that level.

    Returns:
        Column and row, centre of the window's first pixel is 0; shape (height, width, 2).
    """
    local = np.empty((*found.columns.shape, 2), "float32")  # it counts from the window: nothing is lost
    local[..., 0] = found.columns / scale[0] - (origin[0] + 0.5)
    local[..., 1] = found.rows / scale[1] - (origin[1] + 0.5)
    if found.cell == 1:
        return local
    if found.cell:
        return _enlarged(local, found.cell)
    across = _between(local, 1, *_places(frame.width, tuple(found.at_x)))
    return _between(across, 0, *_places(frame.height, tuple(found.at_y)))


def _enlarged(points: NDArray[np.float32], cell: int) -> NDArray[np.float32]:
    """Interpolate between points that stand evenly: each becomes the middle of a square, the rest is cut."""
    height, width = points.shape[:2]
    large = cv2.resize(points, (width * cell, height * cell), interpolation=cv2.INTER_LINEAR)
    half = cell // 2
    return np.asarray(large[half : half - cell, half : half - cell], "float32")


@lru_cache(maxsize=64)
def _places(size: int, stops: tuple[float, ...]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Give for each pixel centre the stop before it, and which part of the way to the next it lies."""
    at, known = np.arange(size) + 0.5, np.asarray(stops)
    before = np.clip(np.searchsorted(known, at, side="right") - 1, 0, len(known) - 2)
    share = (at - known[before]) / (known[before + 1] - known[before])
    return before, share.astype("float32")


def _between(
    points: NDArray[np.float32], axis: int, before: NDArray[np.intp], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate along an axis."""
    first, second = points.take(before, axis), points.take(before + 1, axis)
    found: NDArray[np.float32] = first + (second - first) * share[(slice(None), *[None] * (2 - axis))]
    return found
