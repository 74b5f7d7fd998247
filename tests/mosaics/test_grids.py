"""Grids: tiles, levels, aliases, limits, and the rules of their files."""

from __future__ import annotations

import copy
import json

import pytest

from mosaics.errors import DataFileInvalidError, GridNotFoundError, TileOutsideGridError
from mosaics.geodesy import ground_resolution, lonlat_transformer
from mosaics.grids import TileRange, find_grid, grids_meeting, grids_meeting_each, load_grids, parse_grid
from mosaics.models import Bounds
from mosaics.registry import BUILT_IN

GRIDS = load_grids()
FRANCE = ["2154_50cm", "2972_50cm", "2975_50cm", "4471_50cm", "5490_50cm", "4467_50cm"]
PLACES = {
    "2154_50cm": [(2.35, 48.86), (-5.1, 48.46), (9.5, 42.5), (8.2, 48.97), (2.4, 51.08)],
    "2972_50cm": [(-52.33, 4.92), (-54.03, 5.5), (-51.7, 4.0), (-53.9, 2.3)],
    "2975_50cm": [(55.45, -20.9), (55.8, -21.35)],
    "4471_50cm": [(45.2, -12.8)],
    "5490_50cm": [(-61.0, 14.6), (-61.5, 16.2), (-63.1, 18.1), (-62.83, 17.9)],
    "4467_50cm": [(-56.2, 46.8), (-56.4, 47.1)],
}


def document(id_="2154_50cm"):
    return json.loads((BUILT_IN / "grids" / f"{id_}.json").read_text(encoding="utf-8"))


def test_the_grids_that_come_with_the_package():
    assert set(GRIDS.list()) == {
        "WebMercatorQuad", "WorldCRS84Quad", *FRANCE,
        "WebMercatorQuad_512", "WorldCRS84Quad_512", "2154_50cm_512",
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["WebMercatorQuad", "PM", "GoogleMapsCompatible", "EPSG:3857", "WholeWorld_WebMercator"]
)
def test_names_of_web_mercator(name):
    assert find_grid(GRIDS, name).id == "WebMercatorQuad"


@pytest.mark.parametrize("name", ["LAMB93", "pm", "webmercatorquad", "", "2154_50CM"])
def test_other_names_give_nothing(name):
    with pytest.raises(GridNotFoundError) as caught:
        find_grid(GRIDS, name)
    assert caught.value.tms_id == name


def test_how_wmts_names_crs_and_scale_sets():
    mercator, world, lambert = (GRIDS.get(id_) for id_ in ("WebMercatorQuad", "WorldCRS84Quad", "2154_50cm"))
    assert (mercator.crs, mercator.crs_urn) == ("EPSG:3857", "urn:ogc:def:crs:EPSG:6.18:3:3857")
    assert mercator.well_known_scale_set == "urn:ogc:def:wkss:OGC:1.0:GoogleMapsCompatible"
    assert (world.crs, world.crs_urn) == ("OGC:CRS84", "urn:ogc:def:crs:OGC:1.3:CRS84")
    assert world.well_known_scale_set is None, "it lacks the scale set's largest scale"
    assert (lambert.crs, lambert.crs_urn) == ("EPSG:2154", "urn:ogc:def:crs:EPSG::2154")
    assert lambert.well_known_scale_set is None
    large = GRIDS.get("WebMercatorQuad_512")
    assert (large.crs_urn, large.well_known_scale_set) == ("urn:ogc:def:crs:EPSG::3857", None)


@pytest.mark.parametrize("id_", ["WebMercatorQuad", "WorldCRS84Quad", "2154_50cm"])
def test_large_tiles_are_the_same_rectangles(id_):
    small, large = GRIDS.get(id_), GRIDS.get(f"{id_}_512")
    assert large.tile_size == 512
    assert large.maxzoom == small.maxzoom
    assert large.area == small.area
    for z in range(small.maxzoom + 1):
        a, b = small.matrix(z), large.matrix(z)
        assert (a.width, a.height, a.span, a.cell_size) == (b.width, b.height, b.span, 2 * b.cell_size)
        assert (
            small.frame(z, a.width - 1, a.height - 1).bounds
            == large.frame(z, b.width - 1, b.height - 1).bounds
        )
        assert large.frame(z, 0, 0).width == 512


def test_twice_the_pixels_are_the_same_rectangle():
    grid = GRIDS.get("2154_50cm")
    once, twice = grid.frame(15, 600, 5000), grid.frame(15, 600, 5000, scale=2)
    assert once.bounds == twice.bounds
    assert (once.width, once.height, twice.width, twice.height) == (256, 256, 512, 512)
    assert once.crs == "EPSG:2154"


@pytest.mark.parametrize(
    ("z", "x", "y", "part"),
    [
        (-1, 0, 0, "matrix"), (19, 0, 0, "matrix"), (18, 10080, 0, "col"), (18, -1, 0, "col"),
        (18, 0, 93750, "row"), (18, 0, -1, "row"), (0, 1, 0, "col"), (0, 0, 1, "row"),
    ],
)  # fmt: skip
def test_outside_is_told_by_part(z, x, y, part):
    with pytest.raises(TileOutsideGridError) as caught:
        GRIDS.get("2154_50cm").frame(z, x, y)
    assert caught.value.part == part


@pytest.mark.parametrize("id_", GRIDS.list())
def test_neighbours_share_their_edges(id_):
    grid = GRIDS.get(id_)
    z = grid.maxzoom
    x, y = grid.matrix(z).width // 3, grid.matrix(z).height // 3
    here, right, below = (grid.frame(z, *at).bounds for at in ((x, y), (x + 1, y), (x, y + 1)))
    assert here.right == right.left
    assert here.bottom == below.top


@pytest.mark.parametrize(
    ("id_", "resolution", "latitude", "zoom"),
    [
        ("WebMercatorQuad", 0.5, 46, 18),  # 0.72 m of Mercator: 0.60 m is nearer than 1.19 m
        ("WebMercatorQuad", 0.5, 0, 18),
        ("WebMercatorQuad", 10, 46, 13),  # 14.4 m of Mercator: 19.1 m is nearer in ratio than 9.55 m
        ("WebMercatorQuad", 1e9, 0, 0),
        ("WebMercatorQuad", 1e-9, 0, 24),
        ("WorldCRS84Quad", 0.5, 46, 17),
        ("2154_50cm", 0.5, 46, 18),
        ("2154_50cm", 0.3, 46, 18),
        ("2154_50cm", 1.5, 46, 16),  # 2 m is nearer than 1 m: 1.33 against 1.5
        ("2154_50cm_512", 0.5, 46, 17),
    ],
)
def test_the_level_of_a_resolution(id_, resolution, latitude, zoom):
    assert GRIDS.get(id_).zoom_for(resolution, latitude) == zoom


def test_between_two_levels_the_nearer_in_ratio_wins():
    grid = GRIDS.get("2154_50cm")
    assert grid.zoom_for_cell(1.0) == 17
    assert grid.zoom_for_cell(2**0.5 * 0.999) == 17
    assert grid.zoom_for_cell(2**0.5 * 1.001) == 16


@pytest.mark.parametrize("id_", [id_ for id_ in GRIDS.list() if GRIDS.get(id_).crs != "OGC:CRS84"])
def test_no_level_is_farther_from_a_resolution_than_a_square_root_of_two(id_):
    grid = GRIDS.get(id_)
    for resolution in (0.7, 1.5, 3.0, 6.0, 10.0, 24.0, 100.0):
        cell = grid.matrix(grid.zoom_for_cell(resolution)).cell_size
        assert 2**-0.5 <= cell / resolution <= 2**0.5 + 1e-12


@pytest.mark.parametrize(("id_", "places"), PLACES.items())
def test_all_territories_are_inside(id_, places):
    grid = GRIDS.get(id_)
    for lon, lat in places:
        here = Bounds(lon - 1e-4, lat - 1e-4, lon + 1e-4, lat + 1e-4)
        assert grid.intersects(here)
        tiles = grid.tiles(here, 18)
        assert tiles is not None
        frame = grid.frame(18, tiles.min_col, tiles.min_row)
        assert ground_resolution(frame) == pytest.approx(0.5, rel=0.004)


def test_a_grid_does_not_reach_beyond_its_area():
    grid = GRIDS.get("2154_50cm")
    guyane = Bounds(-53, 4, -52, 5)
    assert not grid.intersects(guyane)
    assert grid.tiles(guyane, 10) is None
    world = grid.tiles(Bounds(-180, -90, 180, 90), 18)
    assert world is not None
    assert (world.min_col, world.max_col) == (0, 10079)
    assert 30000 < world.min_row < 40000 < world.max_row < 50000


def test_tiles_of_the_world():
    grid = GRIDS.get("WebMercatorQuad")
    assert grid.tiles(Bounds(-180, -90, 180, 90), 3) == TileRange(0, 7, 0, 7)
    assert GRIDS.get("WorldCRS84Quad").tiles(Bounds(-180, -90, 180, 90), 0) == TileRange(0, 1, 0, 0)
    assert grid.tiles(Bounds(0, -90, 0, -89), 3) is None, "south of Web Mercator"


def test_edges_that_touch_do_not_count_and_points_do():
    grid = GRIDS.get("WorldCRS84Quad")
    assert grid.tiles(Bounds(0, 0, 180, 90), 1) == TileRange(2, 3, 0, 0)
    assert grid.tiles(Bounds(10, 10, 10, 10), 1) == TileRange(2, 2, 0, 0)


def test_a_rectangle_across_the_antimeridian_takes_both_ends():
    grid = GRIDS.get("WorldCRS84Quad")
    assert grid.tiles(Bounds(170, 10, -170, 20), 2) == TileRange(0, 7, 1, 1)
    assert grid.intersects(Bounds(170, 10, -170, 20))
    assert not GRIDS.get("2154_50cm").intersects(Bounds(170, 10, -170, 20))


def test_every_tile_that_holds_a_point_is_in_the_range():
    grid = GRIDS.get("2154_50cm")
    scene = Bounds(1.2, 43.5, 1.5, 43.7)
    tiles = grid.tiles(scene, 14)
    for lon in (1.2, 1.35, 1.5):
        for lat in (43.5, 43.6, 43.7):
            point = grid.tiles(Bounds(lon, lat, lon, lat), 14)
            assert tiles.min_col <= point.min_col <= tiles.max_col
            assert tiles.min_row <= point.min_row <= tiles.max_row


def no_factor(d):
    d["tileMatrices"][3]["cellSize"] *= 1.0002
    d["tileMatrices"][3]["scaleDenominator"] *= 1.0002


def copied_scale(d):
    d["tileMatrices"][18]["scaleDenominator"] *= 2


def other_origin(d):
    d["tileMatrices"][2]["pointOfOrigin"] = [0, 12000256]


def other_ids(d):
    d["tileMatrices"][0]["id"] = "00"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (no_factor, "divided by exactly"),
        (copied_scale, "its cell size makes it"),
        (other_origin, "origin"),
        (other_ids, "must have the id 0"),
        (lambda d: d["tileMatrices"][0].update(tileHeight=512), "square"),
        (lambda d: d["tileMatrices"][0].update(cornerOfOrigin="bottomLeft"), "upper left"),
        (lambda d: d.update(area=[10, 40, 0, 50]), "area"),
        (lambda d: d.update(colour="red"), "unknown: colour"),
        (lambda d: d.pop("source"), "missing: source"),
        (lambda d: d.update(crs="http://www.opengis.net/def/crs/IAU/0/49900"), "crs|CRS|tile matrix set"),
        (lambda d: d.update(tileMatrices=[]), "must not be empty"),
    ],
)
def test_a_file_that_breaks_the_rule_is_refused(tmp_path, change, says):
    wrong = copy.deepcopy(document())
    change(wrong)
    (tmp_path / "2154_50cm.json").write_text(json.dumps(wrong))
    with pytest.raises(DataFileInvalidError, match=f"2154_50cm\\.json: (?s:.*)({says})"):
        load_grids(tmp_path)


def test_an_extra_grid_is_added(tmp_path):
    mine = document()
    mine["id"] = "mine"
    mine["aliases"] = ["also-mine"]
    (tmp_path / "mine.json").write_text(json.dumps(mine))
    registry = load_grids(tmp_path)
    assert find_grid(registry, "also-mine") == registry.get("mine") == parse_grid(mine)
    assert len(registry) == len(GRIDS) + 1


@pytest.mark.parametrize("id_", ["WebMercatorQuad", "WorldCRS84Quad", "2154_50cm", "2154_50cm_512"])
@pytest.mark.parametrize(
    "bounds",
    [Bounds(1.39, 43.55, 1.42, 43.56), Bounds(-4.8, 41.3, 9.6, 51.1), Bounds(2.35, 48.85, 2.3501, 48.8501)],
)
def test_an_extent_begins_and_ends_with_pixels_of_every_level_that_shows_it(id_, bounds):
    grid = GRIDS.get(id_)
    left, bottom, right, top = extent = grid.extent(bounds)
    exact = lonlat_transformer(grid.crs).transform_bounds(*bounds, densify_pts=21, direction="INVERSE")
    slack = max((right - left) / 100, (top - bottom) / 100, grid.matrices[-1].cell_size)
    for outer, inner, sign in zip(extent, exact, (-1, -1, 1, 1), strict=True):
        assert -1e-6 * slack <= (outer - inner) * sign <= slack
    shown = [matrix for matrix in grid.matrices if min(right - left, top - bottom) >= 130 * matrix.cell_size]
    assert shown or bounds.right - bounds.left < 0.001
    for matrix in shown:
        x0, y0 = matrix.origin
        for distance in (left - x0, right - x0, y0 - top, y0 - bottom):
            cells = distance / matrix.cell_size
            assert cells == pytest.approx(round(cells), abs=1e-5)


def test_there_is_no_extent_off_the_area_or_across_the_antimeridian():
    assert GRIDS.get("2154_50cm").extent(Bounds(55.2, -21.4, 55.9, -20.8)) is None
    assert GRIDS.get("WebMercatorQuad").extent(Bounds(179, -17, -179, -16)) is None


def test_the_world_s_extent_is_the_grid():
    grid = GRIDS.get("WebMercatorQuad")
    assert grid.extent(Bounds(-180, -85.06, 180, 85.06)) == pytest.approx(grid.matrix(0).bounds)


def test_grids_of_many_rectangles_are_those_that_each_touches():
    france, pacific, across = Bounds(1, 43, 2, 44), Bounds(150, 0, 151, 1), Bounds(179, -22, -61, 47)
    edge, pole, upside_down = Bounds(-9.86, 41.15, -9.86, 41.15), Bounds(0, 89, 1, 90), Bounds(1, 44, 2, 43)
    bounds = [france, pacific, across, edge, pole, upside_down, france]
    found = grids_meeting_each(GRIDS, bounds)
    for some, box in zip(found, bounds, strict=True):
        assert set(some) == {grid for grid in GRIDS.values() if grid.intersects(box)}
        assert some == grids_meeting(GRIDS, box)
    assert [grid.id for grid in found[0]] == [
        *("WebMercatorQuad", "2154_50cm", "WorldCRS84Quad"),
        *("WebMercatorQuad_512", "2154_50cm_512", "WorldCRS84Quad_512"),
    ]
    assert "5490_50cm" in {grid.id for grid in found[2]}, "on one side of the antimeridian"
    assert found[5] == ()
    assert grids_meeting_each(GRIDS, []) == []
