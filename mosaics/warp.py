"""Where the pixels of a frame lie in a scene: exact at some points, interpolated between, and checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from mosaics.models import Frame

Array = NDArray[np.float64]

LARGEST_ERROR: Final = 0.125
"""Pixels of the level that is read by which an interpolated position may be off."""

_FINEST_STEP: Final = 2
_STEPS: Final = (32, 8, _FINEST_STEP)
"""Output pixels between points of the grid; where the coarsest is not enough the next is tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mesh:
    """Positions in a scene at points of a frame."""

    columns: Array
    """Column (corner of pixel is a whole number) at each point, shape (rows of points, columns of points)."""
    rows: Array
    """Row at each point, same shape."""
    at_x: Array
    """Where the points lie along x, output pixels from the left edge, ascending."""
    at_y: Array
    """Where they lie along y, from the top edge."""

    @property
    def density(self) -> tuple[float, float]:
        """Columns and rows of the finest level that an output pixel spans, as GDAL's warper counts them."""
        spans_x, spans_y = np.diff(self.at_x)[np.newaxis, :], np.diff(self.at_y)[:, np.newaxis]
        spanned = []
        for values in (self.columns, self.rows):
            steps = np.diff(values, axis=1) / spans_x, np.diff(values, axis=0) / spans_y
            known = [np.abs(step[np.isfinite(step)]) for step in steps]
            spanned.append(sum(float(np.median(step)) if step.size else 1.0 for step in known))
        return max(spanned[0], 1e-9), max(spanned[1], 1e-9)


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


@lru_cache(maxsize=1024)
def transformer(source: str, target: str) -> Transformer:
    """Give the way between two systems (x east, y north); kept, safe to share between threads."""
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
    for step in _STEPS if way is not None else (max(frame.width, frame.height),):
        found = _points(frame, way, inverse, _stops(frame.width, step), _stops(frame.height, step))
        if way is None or _is_close(found, frame, way, inverse, scale):
            return found
    return _points(frame, way, inverse, _centres(frame.width), _centres(frame.height))


@lru_cache(maxsize=1024)
def _same(one: str, other: str) -> bool:
    from pyproj import CRS  # noqa: PLC0415

    return one == other or CRS.from_user_input(one).equals(CRS.from_user_input(other), ignore_axis_order=True)


def _centres(length: int) -> Array:
    centres: Array = np.arange(length, dtype="float64") + 0.5
    return centres


def _stops(length: int, step: int) -> Array:
    return np.unique(np.append(np.arange(0, length, step), length)).astype("float64")


def _points(
    frame: Frame,
    way: Transformer | None,
    inverse: Affine,
    at_x: Array,
    at_y: Array,
) -> Mesh:
    left, bottom, right, top = frame.bounds
    xs = left + at_x * ((right - left) / frame.width)
    ys = top - at_y * ((top - bottom) / frame.height)
    x, y = np.meshgrid(xs, ys)
    if way is not None:
        x, y = way.transform(x, y)
    a, b, c, d, e, f = inverse
    return Mesh(columns=a * x + b * y + c, rows=d * x + e * y + f, at_x=at_x, at_y=at_y)


def _is_close(
    found: Mesh,
    frame: Frame,
    way: Transformer,
    inverse: Affine,
    scale: float,
) -> bool:
    """Compare with the exact transform halfway along the sides of all cells.

    In the middle of a cell the errors along both axes add up, and of a conformal projection they cancel out:
    so they are looked at apart, and half of what is allowed is allowed to each.
    """
    middle_x = (found.at_x[1:] + found.at_x[:-1]) / 2
    middle_y = (found.at_y[1:] + found.at_y[:-1]) / 2
    across = _points(frame, way, inverse, middle_x, found.at_y)
    along = _points(frame, way, inverse, found.at_x, middle_y)
    worst = 0.0
    for guess, beside, below in (
        (found.columns, across.columns, along.columns),
        (found.rows, across.rows, along.rows),
    ):
        apart = (
            (guess[:, 1:] + guess[:, :-1]) / 2 - beside,
            (guess[1:] + guess[:-1]) / 2 - below,
        )
        largest = max(float(np.abs(each).max(initial=0.0)) for each in apart)
        if not np.isfinite(largest):
            return False
        worst = max(worst, largest)
    return worst / scale <= LARGEST_ERROR / 2


def positions(
    found: Mesh, frame: Frame, scale: tuple[float, float], origin: tuple[int, int]
) -> tuple[Any, Any]:
    """Interpolate positions at pixel centres, as `cv2.remap` wants them.

    Args:
        found: Positions on the finest level.
        frame: The output pixels.
        scale: Columns and rows of the finest level in one of the level that is read.
        origin: Column and row of the window that is read, on that level.

    Returns:
        Columns and rows, centre of the window's first pixel is 0; float32, shape (height, width) each.
    """
    whole = found.columns.shape == (frame.height, frame.width)
    across, along = _weights(frame.width, found.at_x).T, _weights(frame.height, found.at_y)
    maps = []
    for values, factor, first in ((found.columns, scale[0], origin[0]), (found.rows, scale[1], origin[1])):
        local = values / factor - (first + 0.5)
        near = local.astype("float32")  # it counts from the window's corner, so nothing is lost
        maps.append(near if whole else _product(_product(along, near), across))
    return maps[0], maps[1]


@lru_cache(maxsize=64)
def _cached_weights(size: int, stops: tuple[float, ...]) -> NDArray[np.float32]:
    at = np.arange(size) + 0.5
    known = np.asarray(stops)
    right = np.clip(np.searchsorted(known, at, side="right"), 1, max(1, len(known) - 1))
    weights = np.zeros((size, len(known)), "float32")
    if len(known) == 1:
        weights[:, 0] = 1
        return weights
    share = (at - known[right - 1]) / (known[right] - known[right - 1])
    weights[np.arange(size), right - 1] = 1 - share
    weights[np.arange(size), right] = share
    return weights


def _product(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply small matrices; BLAS would start threads for it, and they would wait for one another."""
    nothing: Any = None
    return np.asarray(cv2.gemm(one, other, 1, nothing, 0), "float32")


def _weights(size: int, stops: Array) -> NDArray[np.float32]:
    """Give the matrix that interpolates linearly from the stops to the pixel centres, (size, stops)."""
    return _cached_weights(size, tuple(stops))
