"""Which tiles of a grid something lies on, zoom by zoom, along a curve that keeps neighbours together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from mosaics.geodesy import lonlat_transformer
from mosaics.grids import MERCATOR, Grid, Matrix

Numbers = NDArray[np.int64]
_AT_ONCE: Final = 50_000
"""Tiles that are compared with outlines at the same time, which bounds memory."""
_STEPS: Final = 8
"""Points along each side of a tile whose sides are bent in longitude and latitude."""
_MARGIN: Final = 0.02
"""Part of its width and height by which the box around such points is widened: sides bend between them."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class ZoomTiles:
    """Tiles of one zoom, in the order of a Hilbert curve."""

    zoom: int
    """The level."""
    columns: Numbers
    """Of each, from the left; shape (n,)."""
    rows: Numbers
    """Of each, from the top; shape (n,)."""

    def __len__(self) -> int:
        """Give the number of tiles."""
        return len(self.columns)


def tiles_on(
    grid: Grid, outlines: NDArray[Any], within: BaseGeometry | None, zooms: tuple[int, int]
) -> Iterator[ZoomTiles]:
    """Give the tiles of each zoom that touch an outline, the coarsest zoom first.

    They are found from those of the zoom before, so ground without scenes costs nothing, however wide it is.
    In grids whose tiles are no boxes in degrees a few more are given that only nearly touch one.

    Args:
        grid: The grid; each tile holds exactly four of the next zoom.
        outlines: Of scenes, longitude and latitude.
        within: Tiles must touch this too, longitude and latitude; None: any.
        zooms: The first and the last.
    """
    touched = _Touched(grid, outlines, within)
    first = grid.matrix(0)
    columns, rows = (
        each.ravel() for each in np.meshgrid(np.arange(first.width), np.arange(first.height), indexing="ij")
    )
    for zoom in range(zooms[1] + 1):
        matrix = grid.matrix(zoom)
        if zoom:
            columns, rows = _children(columns, rows, matrix)
        there = touched.flags(matrix, columns, rows)
        columns, rows = columns[there], rows[there]
        if zoom >= zooms[0]:
            order = np.argsort(along_curve(columns, rows, _bits(matrix)))
            yield ZoomTiles(zoom=zoom, columns=columns[order], rows=rows[order])


def along_curve(columns: Numbers, rows: Numbers, bits: int) -> Numbers:
    """Give the place of each tile on the Hilbert curve that PMTiles orders tiles by.

    Args:
        columns: From the left.
        rows: From the top.
        bits: Of the numbers of columns and rows; of a square of 2**bits tiles.

    Source: PMTiles specification, version 3, chapter 4.1 (Hilbert curve as on Wikipedia, "xy2d").
    """
    x, y = columns.astype(np.int64), rows.astype(np.int64)
    places = np.zeros(len(x), np.int64)
    for bit in range(bits - 1, -1, -1):
        side = np.int64(1) << bit
        right, low = x & side, y & side
        places += ((3 * right) ^ low) << bit
        turned, flipped = low == 0, (low == 0) & (right != 0)
        x, y = np.where(flipped, side - 1 - x, x), np.where(flipped, side - 1 - y, y)
        x, y = np.where(turned, y, x), np.where(turned, x, y)
    return places


class _Touched:
    """Tells which tiles touch outlines."""

    def __init__(self, grid: Grid, outlines: NDArray[Any], within: BaseGeometry | None) -> None:
        self._grid = grid
        self._are_boxes = grid.crs == MERCATOR or CRS.from_user_input(grid.crs).is_geographic
        area = shapely.box(*grid.area)
        self._tree = STRtree(outlines)
        self._within = area if within is None else shapely.intersection(area, within)
        shapely.prepare(self._within)

    def flags(self, matrix: Matrix, columns: Numbers, rows: Numbers) -> NDArray[np.bool_]:
        """Tell of each tile whether it touches one."""
        found = np.zeros(len(columns), bool)
        for begin in range(0, len(columns), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            boxes = self._boxes(matrix, columns[part], rows[part])
            near = np.flatnonzero(shapely.intersects(self._within, boxes))
            touching = self._tree.query(boxes[near], predicate="intersects")[0]
            found[begin + near[np.unique(touching)]] = True
        return found

    def _boxes(self, matrix: Matrix, columns: Numbers, rows: Numbers) -> NDArray[Any]:
        """Give boxes of longitude and latitude around tiles."""
        (x0, y0), span = matrix.origin, matrix.span
        along = np.array([0.0, 1.0]) if self._are_boxes else np.arange(_STEPS + 1) / _STEPS
        rim_x, rim_y = _rim(along)
        xs = x0 + (columns[:, None] + rim_x[None, :]) * span
        ys = y0 - (rows[:, None] + rim_y[None, :]) * span
        longitude, latitude = lonlat_transformer(self._grid.crs).transform(xs, ys)
        west, east = longitude.min(axis=1), longitude.max(axis=1)
        south, north = latitude.min(axis=1), latitude.max(axis=1)
        if not self._are_boxes:
            wide, high = (east - west) * _MARGIN, (north - south) * _MARGIN
            west, east, south, north = west - wide, east + wide, south - high, north + high
            lost = ~np.isfinite(west + east + south + north)  # off what the CRS can say: perhaps anywhere
            west, east = np.where(lost, -180.0, west), np.where(lost, 180.0, east)
            south, north = np.where(lost, -90.0, south), np.where(lost, 90.0, north)
        boxes: NDArray[Any] = shapely.box(west, south, east, north)
        return boxes


def _rim(along: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give points around a square of side 1."""
    none, full = np.zeros_like(along), np.ones_like(along)
    return np.concatenate((along, full, along, none)), np.concatenate((none, along, full, along))


def _children(columns: Numbers, rows: Numbers, matrix: Matrix) -> tuple[Numbers, Numbers]:
    """Give the four tiles in each, as far as the next level has them."""
    wide = (columns[:, None] * 2 + np.array([0, 1, 0, 1])).ravel()
    high = (rows[:, None] * 2 + np.array([0, 0, 1, 1])).ravel()
    there = (wide < matrix.width) & (high < matrix.height)
    return wide[there], high[there]


def _bits(matrix: Matrix) -> int:
    return max(matrix.width - 1, matrix.height - 1).bit_length()
