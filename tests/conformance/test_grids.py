"""Our grids against mercantile, morecantile and IGN's published numbers."""

from __future__ import annotations

import json
import random

import mercantile
import morecantile
import pytest

from mosaics.grids import load_grids
from mosaics.models import Bounds
from mosaics.registry import BUILT_IN

GRIDS = load_grids()


def sample(z, seed=0):
    """Give tiles of a level: corners and some between."""
    last = 2**z - 1
    numbers = random.Random(seed + z)
    return {
        (0, 0),
        (last, last),
        (0, last),
        *((numbers.randint(0, last), numbers.randint(0, last)) for _ in range(20)),
    }


@pytest.mark.parametrize("z", range(21))
def test_web_mercator_is_mercantile(z):
    grid = GRIDS.get("WebMercatorQuad")
    for x, y in sample(z):
        assert grid.frame(z, x, y).bounds == pytest.approx(mercantile.xy_bounds(x, y, z), abs=1e-6)


@pytest.mark.parametrize("z", range(0, 21, 2))
def test_tiles_of_a_rectangle_are_mercantile_s(z):
    grid = GRIDS.get("WebMercatorQuad")
    for x, y in sample(z, seed=7):
        west, south, east, north = mercantile.bounds(x, y, z)
        inset = (east - west) / 10
        inner = Bounds(west + inset, south + (north - south) / 10, east - inset, north - (north - south) / 10)
        assert grid.tiles(inner, z) == (x, x, y, y)


@pytest.mark.parametrize("id_", ["WebMercatorQuad", "WorldCRS84Quad"])
def test_world_grids_are_morecantile_s(id_):
    ours, theirs = GRIDS.get(id_), morecantile.tms.get(id_)
    assert len(ours.matrices) == min(len(ours.matrices), len(theirs.tileMatrices))
    for matrix, reference in zip(ours.matrices, theirs.tileMatrices, strict=False):
        assert matrix.id == reference.id
        assert (matrix.width, matrix.height) == (reference.matrixWidth, reference.matrixHeight)
        assert matrix.tile_size == reference.tileWidth
        assert matrix.cell_size == pytest.approx(reference.cellSize, rel=1e-12)
        assert matrix.scale_denominator == pytest.approx(reference.scaleDenominator, rel=1e-12)
        assert matrix.origin == pytest.approx(tuple(reference.pointOfOrigin), rel=1e-12)


@pytest.mark.parametrize("id_", GRIDS.list())
def test_morecantile_places_our_tiles_where_we_do(id_):
    grid = GRIDS.get(id_)
    document = json.loads((BUILT_IN / "grids" / f"{id_}.json").read_text(encoding="utf-8"))
    reference = morecantile.TileMatrixSet.model_validate(document)
    for z in (0, 5, 12, 18):
        matrix = grid.matrix(z)
        for x, y in {(0, 0), (matrix.width - 1, matrix.height - 1), (matrix.width // 2, matrix.height // 3)}:
            theirs = reference.xy_bounds(morecantile.Tile(x, y, z))
            assert grid.frame(z, x, y).bounds == pytest.approx(tuple(theirs), rel=1e-12, abs=1e-9)


# cellSize, matrixWidth and scaleDenominator of 2154_50cm.json in rok4/tilematrixsets 035b70a
IGN_LEVELS = [
    (0, 131072, 1, 468114285.714286),
    (7, 1024, 5, 3657142.85714286),
    (14, 8, 630, 28571.4285714286),
    (16, 2, 2520, 7142.85714285714),
    (17, 1, 5040, 3571.42857142857),
    (18, 0.5, 10080, 1785.71428571429),
]


@pytest.mark.parametrize(("z", "cell", "width", "scale"), IGN_LEVELS)
def test_lambert_93_has_ign_s_levels(z, cell, width, scale):
    matrix = GRIDS.get("2154_50cm").matrix(z)
    assert matrix.origin == (0, 12_000_000)
    assert matrix.cell_size == cell
    assert matrix.width == width
    assert matrix.scale_denominator == pytest.approx(scale, rel=1e-12)


@pytest.mark.parametrize(
    ("z", "x", "y", "bounds"),
    [
        # 256 px of 0.5 m are 128 m: column 5091 begins at 651 648, row 40143 at 12 000 000 - 5 138 304
        (18, 5091, 40143, (651_648, 6_861_568, 651_776, 6_861_696)),
        # 256 px of 16 m are 4 096 m
        (13, 159, 1254, (651_264, 6_859_520, 655_360, 6_863_616)),
        (0, 0, 0, (0, 12_000_000 - 33_554_432, 33_554_432, 12_000_000)),
        (18, 0, 0, (0, 11_999_872, 128, 12_000_000)),
        (18, 10079, 84080, (1_290_112, 1_237_632, 1_290_240, 1_237_760)),
    ],
)
def test_corners_of_lambert_93_tiles(z, x, y, bounds):
    assert GRIDS.get("2154_50cm").frame(z, x, y).bounds == bounds


@pytest.mark.parametrize(
    "id_", ["2154_50cm", "2972_50cm", "2975_50cm", "4471_50cm", "5490_50cm", "4467_50cm"]
)
def test_french_grids_share_one_rule(id_):
    grid, lambert = GRIDS.get(id_), GRIDS.get("2154_50cm")
    assert grid.matrices == lambert.matrices
    assert grid.matrix(18).bounds == (0, 0, 1_290_240, 12_000_000)
    assert grid.crs == f"EPSG:{id_[:4]}"
