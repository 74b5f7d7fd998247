"""Fixed pixels for numbers: rectangles of a grid's own pixels, so that no request chooses where they lie.

A window that moved with the request would tell, by the difference of two answers, more than either may.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mosaics.geodesy import lonlat_transformer
from mosaics.grids import MERCATOR, Grid, grids_meeting
from mosaics.models import Bounds, Frame
from mosaics.registry import Registry

INSET = 1e-6
"""Part of a pixel by which bounds must reach into it to count, against rounding."""
LOCAL = 256
"""Tile size of the grids that numbers are read in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A rectangle of a level's pixels."""

    grid: Grid
    level: int
    columns: tuple[int, int]
    """First and first after, counted from the grid's origin."""
    rows: tuple[int, int]
    """First and first after, downwards."""

    @property
    def width(self) -> int:
        """Columns."""
        return self.columns[1] - self.columns[0]

    @property
    def height(self) -> int:
        """Rows."""
        return self.rows[1] - self.rows[0]

    @property
    def frame(self) -> Frame:
        """The pixels."""
        matrix = self.grid.matrix(self.level)
        (left, top), cell = matrix.origin, matrix.cell_size
        return Frame(
            crs=self.grid.crs,
            bounds=Bounds(
                left + self.columns[0] * cell,
                top - self.rows[1] * cell,
                left + self.columns[1] * cell,
                top - self.rows[0] * cell,
            ),
            width=self.width,
            height=self.height,
        )

    def coarser(self, levels: int) -> Window:
        """Give the pixels of a coarser level that hold these: each holds 2**levels x 2**levels whole ones."""
        return Window(
            grid=self.grid,
            level=self.level - levels,
            columns=(self.columns[0] >> levels, -(-self.columns[1] >> levels)),
            rows=(self.rows[0] >> levels, -(-self.rows[1] >> levels)),
        )


def grid_for(grids: Registry[Grid], bounds: Bounds) -> Grid:
    """Give the grid that numbers are read in: the local one that holds lon/lat bounds, else Web Mercator.

    In a local grid all pixels are of one size on the ground, so that a mean is one of the ground.
    """
    for grid in grids_meeting(grids, bounds):
        area = grid.area
        held = (
            area.left <= bounds.left <= bounds.right <= area.right
            and area.bottom <= bounds.bottom <= bounds.top <= area.top
        )
        world = area.right - area.left >= 360
        if held and not world and grid.tile_size == LOCAL:
            return grid
    return next(grid for grid in grids.values() if grid.crs == MERCATOR and grid.tile_size == LOCAL)


def window_around(grid: Grid, bounds: Bounds, *, finest: int, max_size: int) -> Window | None:
    """Give the pixels that lon/lat bounds touch, at the finest level at which they are few enough.

    Args:
        grid: Whose pixels.
        bounds: Longitude and latitude.
        finest: No finer level than this.
        max_size: Most columns and rows.

    Returns:
        The window; None where the bounds are outside of the grid's area.
    """
    area = grid.area
    clipped = (
        max(bounds.left, area.left),
        max(bounds.bottom, area.bottom),
        min(bounds.right, area.right),
        min(bounds.top, area.top),
    )
    if clipped[0] > clipped[2] or clipped[1] > clipped[3]:
        return None
    outline = Bounds(
        *lonlat_transformer(grid.crs).transform_bounds(*clipped, densify_pts=21, direction="INVERSE")
    )
    level = finest
    while level > 0 and not _fits(_window(grid, outline, level), max_size):
        level -= 1
    return _window(grid, outline, level)


def _fits(window: Window, max_size: int) -> bool:
    return window.width <= max_size and window.height <= max_size


def _window(grid: Grid, outline: Bounds, level: int) -> Window:
    matrix = grid.matrix(level)
    (left, top), cell = matrix.origin, matrix.cell_size
    return Window(
        grid=grid,
        level=level,
        columns=_touched((outline.left - left) / cell, (outline.right - left) / cell),
        rows=_touched((top - outline.top) / cell, (top - outline.bottom) / cell),
    )


def _touched(first: float, last: float) -> tuple[int, int]:
    """Give the first pixel that a span touches and the first after the last; one at least."""
    start = math.floor(first + INSET)
    return start, max(start + 1, math.ceil(last - INSET))
