"""Numbers of a layer: the right pixels, at fixed places, each at its own fineness."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from scenes import collection, scene

from mosaics.filters import EVERYTHING, Fineness, SceneFilter, SceneRule, SceneSet
from mosaics.geodesy import lonlat_transformer
from mosaics.grids import load_grids
from mosaics.lattice import Window, grid_for, window_around
from mosaics.layers import ANY_TIME, Layer
from mosaics.models import Band, Bounds, Scene
from mosaics.read import RioTilerReader
from mosaics.styles import load_styles
from mosaics.values import LayerValues, statistics, subject_of, values_over
from tests.conftest import position_pixels, write_raster

GRIDS, STYLES = load_grids(), load_styles()
LAMBERT = GRIDS.get("2154_50cm")
LEFT, TOP = 572_416, 6_279_168
"""On a pixel's corner of every level up to 256 m."""


def outline(left: float, bottom: float, right: float, top: float) -> Any:
    """A rectangle of Lambert-93 in longitude and latitude."""
    ring = shapely.segmentize(shapely.box(left, bottom, right, top), 50.0)
    return shapely.transform(
        ring, lambda xy: np.column_stack(lonlat_transformer("EPSG:2154").transform(xy[:, 0], xy[:, 1]))
    )


def written(path: Path, data: np.ndarray, **more: Any) -> Scene:
    write_raster(path, data, origin=(LEFT, TOP), tiled=True, blockxsize=256, blockysize=256)
    with rasterio.open(path, "r+") as target:
        target.build_overviews([2, 4, 8, 16], rasterio.enums.Resampling.average)
    height, width = data.shape[1:]
    bands = tuple(Band(name=f"B{n}", data_type=str(data.dtype)) for n in range(len(data)))
    values = {"href": str(path), "bands": bands, "width": width, "height": height}
    return scene(footprint=outline(LEFT, TOP - height / 2, LEFT + width / 2, TOP), **(values | more))


def over(
    scenes: tuple[Scene, ...], rules: SceneFilter = EVERYTHING, level: int = 18, area: Any = None
) -> LayerValues:
    """Read the 512 m around the scenes' corner at a level of Lambert-93: 18 is 0.5 m."""
    layer = Layer.of("c", scenes, collection=collection(), opened=rules)
    cell = LAMBERT.matrix(level).cell_size
    first = round((LEFT - LAMBERT.matrix(level).origin[0]) / cell)
    top = round((LAMBERT.matrix(level).origin[1] - TOP) / cell)
    size = round(512 / cell)
    return values_over(
        layer,
        rules,
        RioTilerReader(),
        window=Window(grid=LAMBERT, level=level, columns=(first, first + size), rows=(top, top + size)),
        area=area,
        subject=subject_of(layer, None),
        span=ANY_TIME,
        styles=STYLES,
        on_unreadable=lambda _error: None,
    )


def test_the_local_grid_is_read_in_where_there_is_one() -> None:
    assert grid_for(GRIDS, Bounds(1, 43, 2, 44)).id == "2154_50cm"
    assert grid_for(GRIDS, Bounds(-60, 3, -50, 5)).id == "WebMercatorQuad"
    assert grid_for(GRIDS, Bounds(130, 30, 131, 31)).id == "WebMercatorQuad"


def test_a_window_has_few_pixels_and_lies_on_its_level() -> None:
    bounds = Bounds(1.40001, 43.6, 1.41003, 43.61)
    for size, level in ((1024, 16), (100, 13), (1, 5)):
        window = window_around(LAMBERT, bounds, finest=18, max_size=size)
        assert window is not None
        assert max(window.width, window.height) <= size
        assert window.level >= level
        left = (window.frame.bounds.left - LAMBERT.matrix(0).origin[0]) / LAMBERT.matrix(
            window.level
        ).cell_size
        assert left == round(left)
    assert window_around(LAMBERT, Bounds(100, 0, 101, 1), finest=18, max_size=9) is None


def test_native_values_are_the_stored_ones(tmp_path: Path) -> None:
    data = position_pixels(1024, 1024, 2, "uint16")
    found = over((written(tmp_path / "a.tif", data),))
    assert found.raster.valid.all()
    assert np.array_equal(found.raster.data, data)
    told = statistics(found, subject_of_bands(2))
    assert list(told) == ["b1", "b2"]
    assert told["b1"]["mean"] == data[0].mean()
    assert (told["b1"]["min"], told["b1"]["max"]) == (data[0].min(), data[0].max())
    assert told["b1"]["valid_percent"] == 100.0


def subject_of_bands(count: int) -> tuple[Band, ...]:
    return tuple(Band(name=f"B{n}") for n in range(count))


def test_each_place_is_read_as_finely_as_its_own_rule_opens_it(tmp_path: Path) -> None:
    data = position_pixels(1024, 1024, 1, "uint16")
    one = written(tmp_path / "a.tif", data)
    west = outline(LEFT, TOP - 512, LEFT + 256, TOP)
    rules = SceneFilter(
        (
            SceneRule(scenes=SceneSet(), area=west),
            SceneRule(scenes=SceneSet(), fineness=Fineness(ground_resolution=3.9)),
        )
    )
    found = over((one,), rules)
    assert found.raster.valid.all()
    read = found.raster.data[0]
    assert np.array_equal(read[:, :510], data[0][:, :510])
    coarse = read[:, 528:].reshape(128, 8, 62, 8)
    assert (coarse == coarse[:, :1, :, :1]).all(), "one value for each 4 m x 4 m"
    assert (
        np.abs(coarse[:, 0, :, 0].astype(float) - data[0][:, 528:].reshape(128, 8, 62, 8).mean((1, 3))).max()
        < 8
    )


def test_what_is_only_coarsely_open_counts_coarse_pixels(tmp_path: Path) -> None:
    one = written(tmp_path / "a.tif", position_pixels(1024, 1024, 1, "uint16"))
    limited = SceneFilter((SceneRule(scenes=SceneSet(), fineness=Fineness(ground_resolution=3.9)),))
    found = over((one,), limited)
    assert found.raster.data.shape == (1, 128, 128)
    assert 3.9 < found.ground_resolution < 4.1
    assert not found.refused
    closed = SceneFilter((SceneRule(scenes=SceneSet(), fineness=Fineness(ground_resolution=9000.0)),))
    assert over((one,), closed).refused


def test_the_next_allowed_scene_shows_through(tmp_path: Path) -> None:
    new = written(tmp_path / "a.tif", np.full((1, 1024, 1024), 200, "uint8"), id="new", sequence=2)
    old = written(tmp_path / "b.tif", np.full((1, 1024, 1024), 100, "uint8"), id="old")
    west = outline(LEFT, TOP - 512, LEFT + 256, TOP)
    rules = SceneFilter(
        (
            SceneRule(scenes=SceneSet(scenes=frozenset({"new"})), area=west),
            SceneRule(scenes=SceneSet(scenes=frozenset({"old"}))),
        )
    )
    read = over((new, old), rules).raster.data[0]
    assert (read[:, :511] == 200).all()
    assert (read[:, 513:] == 100).all()


def test_scenes_with_other_bands_say_nothing(tmp_path: Path) -> None:
    new = written(tmp_path / "a.tif", np.full((1, 600, 600), 200, "uint8"), id="new", sequence=2)
    other = written(tmp_path / "b.tif", np.full((2, 1024, 1024), 100, "uint16"), id="other")
    found = over((new, other))
    assert [c.scene.id for c in found.used] == ["new"]
    assert set(np.unique(found.raster.data[0][found.raster.valid])) == {200}


def test_only_pixels_whose_centre_is_in_the_area_count(tmp_path: Path) -> None:
    one = written(tmp_path / "a.tif", position_pixels(1024, 1024, 1, "uint16"))
    area = outline(LEFT + 100.1, TOP - 60.1, LEFT + 200.1, TOP - 10.1) - outline(
        LEFT + 150.1, TOP - 40.1, LEFT + 160.1, TOP - 30.1
    )
    found = over((one,), area=area)
    assert (found.raster.valid == found.asked).all()
    assert found.asked.sum() == 200 * 100 - 20 * 20
    assert statistics(found, subject_of_bands(1))["b1"]["valid_percent"] == 100.0


def test_no_number_is_not_finite(tmp_path: Path) -> None:
    data = position_pixels(1024, 1024, 1, "float32")
    data[0, :100] = np.nan
    data[0, 100:200] = np.inf
    one = written(tmp_path / "a.tif", data)
    told = statistics(over((one,)), subject_of_bands(1))["b1"]
    assert told["valid_pixels"] <= 1024 * 824
    assert all(np.isfinite(v) for v in told.values() if isinstance(v, float))
    empty = statistics(over((one,), area=outline(0, 0, 1, 1)), subject_of_bands(1))["b1"]
    assert (empty["min"], empty["mean"], empty["valid_pixels"], empty["count"]) == (None, None, 0.0, 0)
