"""The zooms at which a layer is served in a grid."""

from __future__ import annotations

from mosaics.geodesy import ground_resolution
from mosaics.grids import Grid
from mosaics.layers import Layer
from mosaics.models import Bounds


def zoom_range(grid: Grid, layer: Layer) -> tuple[int, int]:
    """Give the zooms that a layer is served at in a grid without being enlarged or refused.

    Returns:
        The coarsest zoom that rights open (the first of the grid, unless a pole is on its tile there, where
        degrees are short), and the native one or the finest that rights open.
    """
    bounds = layer.bounds
    finest = grid.zoom_for(layer.ground_resolution, (bounds.bottom + bounds.top) / 2)
    while layer.limit and finest > grid.minzoom and not _coarse_enough(grid, finest, layer):
        finest -= 1
    coarsest = finest
    while coarsest > grid.minzoom and (not layer.limit or _coarse_enough(grid, coarsest - 1, layer)):
        coarsest -= 1
    return coarsest, finest


def _coarse_enough(grid: Grid, zoom: int, layer: Layer) -> bool:
    """Tell whether the tiles at the corners and in the middle of a layer are no finer than its limit."""
    tiles = grid.tiles(layer.bounds, zoom)
    if tiles is None:
        return True
    columns = {tiles.min_col, (tiles.min_col + tiles.max_col) // 2, tiles.max_col}
    rows = {tiles.min_row, (tiles.min_row + tiles.max_row) // 2, tiles.max_row}
    return all(
        ground_resolution(grid.frame(zoom, column, row)) >= layer.limit for column in columns for row in rows
    )


def overview_zoom(grid: Grid, bounds: Bounds, finest: int) -> int:
    """Give the finest zoom up to `finest` at which lon/lat bounds lie on at most 2 x 2 tiles."""
    zoom = finest
    while zoom > grid.minzoom:
        tiles = grid.tiles(bounds, zoom)
        if tiles and tiles.max_col - tiles.min_col <= 1 and tiles.max_row - tiles.min_row <= 1:
            break
        zoom -= 1
    return zoom
