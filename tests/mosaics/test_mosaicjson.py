"""MosaicJSON: cogeo-mosaic reads what is written here, and what it writes is read here."""

from __future__ import annotations

import json
from pathlib import Path

import mercantile
import numpy as np
import pytest
import shapely
from cogeo_mosaic.backends.file import FileBackend
from cogeo_mosaic.mosaic import MosaicJSON

from mosaics.errors import MosaicInvalidError
from mosaics.grids import load_grids
from mosaics.mosaic import mosaic_from
from mosaics.mosaicjson import Member, mosaicjson_of, quadkey, read_mosaicjson

GRID = load_grids().get("WebMercatorQuad")
MOSAIC = mosaic_from({"id": "m", "title": {"fr": "Côte", "en": "Coast"}, "attribution": "©"})


def member(href: str, *sides: float, gsd: float = 10.0) -> Member:
    return Member(href=href, footprint=shapely.box(*sides), ground_resolution=gsd)


def backend(tmp_path: Path, members: list[Member]) -> FileBackend:
    path = tmp_path / "m.json"
    path.write_text(json.dumps(mosaicjson_of(MOSAIC, members, GRID)))
    return FileBackend(str(path))


@pytest.mark.parametrize("zoom", [1, 5, 18])
def test_quadkeys_are_those_of_mercantile(zoom: int) -> None:
    last = 2**zoom - 1
    for column, row in ((0, 0), (last, 0), (0, last), (last // 3, last // 2), (last, last)):
        assert quadkey(column, row, zoom) == mercantile.quadkey(column, row, zoom)
    assert quadkey(0, 0, 0) == ""


def test_cogeo_mosaic_finds_the_scenes_of_each_tile_in_our_order(tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    members = []
    for number in range(60):
        west, south = random.uniform(1, 3), random.uniform(42, 44)
        width, height = random.uniform(0.05, 0.4, 2)
        members.append(member(f"/data/{number}.tif", west, south, west + width, south + height))
    with backend(tmp_path, members) as found:
        assert (found.minzoom, found.maxzoom) == (found.mosaic_def.quadkey_zoom, 13)
        assert 8 <= found.minzoom <= 12
        assert found.mosaic_def.name == "Coast"
        assert found.bounds == pytest.approx(shapely.total_bounds([each.footprint for each in members]))
        checked = 0
        for tile in mercantile.tiles(1, 42, 3, 44, found.minzoom):
            box = shapely.box(*mercantile.bounds(tile))
            wanted = [each.href for each in members if shapely.intersects(each.footprint, box)]
            assert found.assets_for_tile(tile.x, tile.y, tile.z) == wanted
            checked += len(wanted) > 1
        assert checked > 20
        fine = mercantile.tile(2.001, 43.001, found.maxzoom)
        coarse = mercantile.parent(fine, zoom=found.minzoom)
        assert found.assets_for_tile(*fine) == found.assets_for_tile(*coarse)


def test_a_scene_across_the_antimeridian_is_in_the_tiles_of_both_sides(tmp_path: Path) -> None:
    parts = shapely.union(shapely.box(179.5, 0, 180, 1), shapely.box(-180, 0, -179.5, 1))
    with backend(tmp_path, [Member(href="/a.tif", footprint=parts, ground_resolution=10)]) as found:
        keys = set(found.mosaic_def.tiles)
        assert {mercantile.quadkey(mercantile.tile(at, 0.5, found.minzoom)) for at in (179.9, -179.9)} <= keys
        assert all(abs(mercantile.bounds(mercantile.quadkey_to_tile(key)).west) > 170 for key in keys)


def test_one_wide_scene_among_small_ones_makes_no_flood_of_tiles() -> None:
    small = [member(f"/{n}.tif", n / 100, 0, n / 100 + 0.001, 0.001, gsd=0.3) for n in range(50)]
    written = mosaicjson_of(MOSAIC, [*small, member("/earth.tif", -180, -80, 180, 80)], GRID)
    assert len(written["tiles"]) < 51 * 64
    assert all("/earth.tif" in assets for assets in written["tiles"].values())


@pytest.mark.parametrize("gsd", [float("nan"), 0.01])
def test_zooms_are_those_that_the_format_has(gsd: float) -> None:
    written = mosaicjson_of(MOSAIC, [member("/a.tif", 0, 0, 1e-7, 1e-7, gsd=gsd)], GRID)
    assert 0 <= written["minzoom"] <= written["maxzoom"] <= 30
    MosaicJSON(**written)


def test_nothing_to_write_is_told() -> None:
    with pytest.raises(MosaicInvalidError, match="selects no scene"):
        mosaicjson_of(MOSAIC, [], GRID)
    with pytest.raises(MosaicInvalidError, match="Web Mercator"):
        mosaicjson_of(MOSAIC, [member("/pole.tif", 0, 87, 1, 88)], GRID)


def test_what_cogeo_mosaic_makes_is_read() -> None:
    features = [
        {
            "type": "Feature",
            "properties": {"path": f"s3://bucket/{n}.tif"},
            "geometry": mercantile.feature(mercantile.tile(1 + n, 43, 8))["geometry"],
        }
        for n in range(3)
    ]
    made = MosaicJSON.from_features(features, 8, 12, asset_prefix="s3://bucket/", quiet=True)
    named = read_mosaicjson(json.loads(made.model_dump_json()))
    assert sorted(named.assets) == [f"s3://bucket/{n}.tif" for n in range(3)]
    assert (named.name, named.description, named.attribution) == ("", "", "")
