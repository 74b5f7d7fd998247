"""Which tiles something lies on: none is missed, and they come in the order of PMTiles."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from mosaics.grids import load_grids
from mosaics.models import Bounds
from mosaics.resolve import frame_outline
from mosaics.tile_walk import along_curve, tiles_on

pmtiles = pytest.importorskip("pmtiles.tile", reason="the extra `pmtiles` is not installed")

GRIDS = load_grids()
OUTLINES = np.array(
    [
        shapely.box(1.2, 43.1, 1.5, 43.3),
        shapely.Polygon([(2.0, 48.0), (2.6, 48.1), (2.1, 48.5)]),
        shapely.MultiPolygon([shapely.box(179.5, -17, 180, -16), shapely.box(-180, -17, -179.7, -16)]),
    ]
)


@pytest.mark.parametrize("zoom", [0, 1, 2, 7, 20, 25])
def test_tiles_are_in_the_order_of_pmtiles(zoom: int) -> None:
    random = np.random.default_rng(zoom)
    columns, rows = random.integers(0, 1 << zoom, (2, 300))
    before = (4**zoom - 1) // 3
    wanted = [
        pmtiles.zxy_to_tileid(zoom, int(x), int(y)) - before for x, y in zip(columns, rows, strict=True)
    ]
    assert along_curve(columns, rows, zoom).tolist() == wanted


@pytest.mark.parametrize(("name", "zoom"), [("WebMercatorQuad", 9), ("WorldCRS84Quad", 8), ("2154_50cm", 7)])
def test_no_tile_is_missed_and_hardly_one_is_too_many(name: str, zoom: int) -> None:
    grid = GRIDS.get(name)
    tree = shapely.STRtree(OUTLINES)
    touched, near = set(), set()
    for outline in OUTLINES:
        for part in shapely.get_parts(outline):
            if not grid.intersects(Bounds(*part.bounds)):
                continue
            tiles = grid.tiles(Bounds(*part.bounds), zoom)
            assert tiles is not None
            for x in range(tiles.min_col - 1, tiles.max_col + 2):
                for y in range(tiles.min_row - 1, tiles.max_row + 2):
                    matrix = grid.matrix(zoom)
                    if not (0 <= x < matrix.width and 0 <= y < matrix.height):
                        continue
                    shape = frame_outline(grid.frame(zoom, x, y))
                    if len(tree.query(shape, predicate="intersects")):
                        touched.add((x, y))
                    wide = shapely.buffer(shape, 0.05 * shape.length)
                    if len(tree.query(wide, predicate="intersects")):
                        near.add((x, y))
    (found,) = tiles_on(grid, OUTLINES, None, (zoom, zoom))
    given = set(zip(found.columns.tolist(), found.rows.tolist(), strict=True))
    assert len(given) == len(found)
    assert touched
    assert touched <= given <= near


def test_zooms_and_area_bound_what_is_given() -> None:
    grid = GRIDS.get("WebMercatorQuad")
    whole = list(tiles_on(grid, OUTLINES, None, (3, 8)))
    assert [each.zoom for each in whole] == [3, 4, 5, 6, 7, 8]
    part = list(tiles_on(grid, OUTLINES, shapely.box(1.3, 43.0, 1.31, 44.0), (3, 8)))
    for small, large in zip(part, whole, strict=True):
        pairs = [set(zip(z.columns.tolist(), z.rows.tolist(), strict=True)) for z in (small, large)]
        assert pairs[0] < pairs[1]
    nowhere = list(tiles_on(grid, OUTLINES, shapely.box(50, 0, 51, 1), (0, 4)))
    assert [len(each) for each in nowhere] == [1, 0, 0, 0, 0] or len(nowhere[-1]) == 0
