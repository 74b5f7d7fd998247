"""The outline of very many boxes together: on a raster, since their exact union takes seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.transform import from_bounds
from shapely.geometry import shape

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from mosaics.models import Bounds

_STEPS: Final = 512
"""Cells along each side."""


def raster_outline(boxes: NDArray[np.float64], bounds: Bounds) -> BaseGeometry:
    """Give the outline of the cells that boxes touch.

    Args:
        boxes: West, south, east, north, degrees, shape (n, 4).
        bounds: Around them all.
    """
    left, bottom, right, top = bounds
    span = np.array([right - left, top - bottom]) + 1e-12
    low = np.clip(((boxes[:, :2] - (left, bottom)) / span * _STEPS).astype(int), 0, _STEPS - 1)
    high = np.clip(np.ceil((boxes[:, 2:] - (left, bottom)) / span * _STEPS).astype(int), low + 1, _STEPS)
    edges = np.zeros((_STEPS + 1, _STEPS + 1), np.int32)  # what begins less what ends, along both axes
    for columns, rows, sign in (
        (low[:, 0], low[:, 1], 1),
        (high[:, 0], low[:, 1], -1),
        (low[:, 0], high[:, 1], -1),
        (high[:, 0], high[:, 1], 1),
    ):
        np.add.at(edges, (rows, columns), sign)
    covered = (edges.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0)[::-1].astype(np.uint8)
    place = from_bounds(left, bottom, right, top, _STEPS, _STEPS)
    return shapely.union_all([shape(found) for found, value in shapes(covered, transform=place) if value])
