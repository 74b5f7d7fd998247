"""Which pixels of a frame a scene is worth reading for: those that are missing, where it may have any."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyproj.enums import TransformDirection

from mosaics.geodesy import lonlat_transformer
from mosaics.models import FOOTPRINT_SLACK, Bounds, Frame, Scene

_PIXELS: Final = 4
"""More on each side: kernels of resampling, and boxes whose sides are not straight in the frame."""
_WORTH_IT: Final = 0.8
"""A part that is more than this of the frame is not worth cutting out."""
_ALONG: Final = 21
"""Points along the sides of a box when it is brought into another system."""

Part = tuple[slice, slice]
"""Rows and columns."""


def wanted(scene: Scene, frame: Frame, missing: NDArray[np.bool_]) -> Part | None:
    """Give the rows and columns of a frame that a scene should be read for.

    Args:
        scene: What is to be read.
        frame: The output pixels.
        missing: Where there is nothing yet, shape (height, width).

    Returns:
        None where it can have nothing that is missing; all of the frame where a part would hardly be less.
    """
    whole = slice(0, frame.height), slice(0, frame.width)
    box = _box(frame.crs, Bounds(*scene.footprint.bounds))
    if box is None:
        rows, columns = whole
    else:
        dx = (frame.bounds.right - frame.bounds.left) / frame.width
        dy = (frame.bounds.top - frame.bounds.bottom) / frame.height
        rows = _slice((frame.bounds.top - box.top) / dy, (frame.bounds.top - box.bottom) / dy, frame.height)
        columns = _slice(
            (box.left - frame.bounds.left) / dx, (box.right - frame.bounds.left) / dx, frame.width
        )
    left: NDArray[np.bool_] = missing[rows, columns]
    if not left.any():
        return None
    part = _within(rows, np.any(left, axis=1)), _within(columns, np.any(left, axis=0))
    size = (part[0].stop - part[0].start) * (part[1].stop - part[1].start)
    return whole if size > _WORTH_IT * missing.size else part


def _slice(first: float, last: float, length: int) -> slice:
    begin = min(max(math.floor(first) - _PIXELS, 0), length)
    return slice(begin, min(max(math.ceil(last) + _PIXELS, begin), length))


def _within(outer: slice, there: NDArray[np.bool_]) -> slice:
    places = np.flatnonzero(there)
    return slice(outer.start + int(places[0]), outer.start + int(places[-1]) + 1)


@lru_cache(maxsize=8192)
def _box(crs: str, footprint: Bounds) -> Bounds | None:
    """Give the box of a footprint in a system; None: it has no one box there."""
    west, south, east, north = footprint
    if east - west > 180:
        return None
    slack = max(east - west, north - south) * FOOTPRINT_SLACK
    found = lonlat_transformer(crs).transform_bounds(
        west - slack,
        max(south - slack, -90.0),
        east + slack,
        min(north + slack, 90.0),
        densify_pts=_ALONG,
        direction=TransformDirection.INVERSE,
        errcheck=False,
    )
    if not all(map(math.isfinite, found)) or found[0] >= found[2]:
        return None
    return Bounds(*found)
