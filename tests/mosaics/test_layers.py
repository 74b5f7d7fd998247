from __future__ import annotations

from datetime import UTC, datetime

import pytest
import shapely
from scenes import collection, no_finer_than, scene

from mosaics.catalog.index import CatalogIndex
from mosaics.errors import LayerNotFoundError, StyleNotFoundError, TimeNotFoundError
from mosaics.filters import EVERYTHING, Fineness, SceneFilter, SceneRule, SceneSet
from mosaics.finding import find_layer, list_layers, visible_layers
from mosaics.geodesy import ground_resolution
from mosaics.grids import find_grid, load_grids
from mosaics.layers import Layer
from mosaics.models import Scene
from mosaics.zooms import overview_zoom, zoom_range


def index(*scenes: Scene) -> CatalogIndex:
    ids = {one.collection_id for one in scenes} | {"empty"}
    return CatalogIndex.of(scenes, {id_: collection(id_) for id_ in ids}, sequence=9)


JUNE = scene("june", acquired=datetime(2024, 6, 1, 23, 59, 59, tzinfo=UTC), sequence=2)
MAY = scene("may", footprint=shapely.box(3, 43, 4, 44), styles=("cir", "natural"), sequence=1)
UNDATED = scene("undated", acquired=None, sequence=3)
ALL = index(MAY, JUNE, UNDATED)


def layer() -> Layer:
    return find_layer(ALL, "c", EVERYTHING)


def test_newest_first_and_undated_last() -> None:
    assert [s.id for s in layer().scenes] == ["june", "may", "undated"]


@pytest.mark.parametrize("missing", ["d", "c:nothing", "empty", "c:", "", ":may", "C"])
def test_missing_and_hidden_are_one_error(missing: str) -> None:
    with pytest.raises(LayerNotFoundError) as gone:
        find_layer(ALL, missing, EVERYTHING)
    with pytest.raises(LayerNotFoundError) as hidden:
        find_layer(ALL, "c", SceneFilter())
    assert str(gone.value) == str(hidden.value)


def test_a_layer_is_what_the_filter_leaves() -> None:
    half = SceneFilter((SceneRule(scenes=SceneSet(scenes=frozenset({"may"}))),))
    seen = find_layer(ALL, "c", half)
    assert [s.id for s in seen.scenes] == ["may"]
    assert seen.bounds == (3, 43, 4, 44)
    assert seen.times == ("2024-05-17",)
    assert seen.generation != layer().generation
    with pytest.raises(LayerNotFoundError):
        find_layer(ALL, "c:june", half)


def test_one_scene_is_a_layer() -> None:
    alone = find_layer(ALL, "c:june", EVERYTHING)
    assert alone.single
    assert alone.title.fr == "Titre : june"


def test_list_leaves_out_what_is_empty() -> None:
    assert [found.id for found in list_layers(ALL, EVERYTHING)] == ["c"]
    assert list_layers(ALL, SceneFilter()) == ()


def test_the_default_style_is_that_of_the_scene_banked_first() -> None:
    assert layer().styles == ("cir", "natural")
    assert layer().style_id("default") is None
    assert layer().style_id("natural") == "natural"
    with pytest.raises(StyleNotFoundError):
        layer().style_id("ndvi")


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        (None, ["june", "may", "undated"]),
        ("latest", ["june", "may", "undated"]),
        ("default", ["june", "may", "undated"]),
        ("2024-06-01", ["june"]),
        ("2024-05-17/2024-06-01", ["june", "may"]),
        ("2024-05-17--2024-05-31", ["may"]),
        ("../2024-05-31", ["may"]),
        ("2024-05-18/..", ["june"]),
        ("2024-05-17T10:30:00Z", ["may"]),
        ("1999-01-01/1999-12-31", []),
    ],
)
def test_times(asked: str | None, seen: list[str]) -> None:
    span = layer().span(asked)
    assert [s.id for s in layer().scenes if span.holds(s)] == seen


@pytest.mark.parametrize(
    "asked",
    [
        "2024-05-18",
        "yesterday",
        "2024-13-01",
        "2024-06-01/2024-05-01",
        "2024",
        "/",
        "a/b/c",
        "2024-05-17;DROP",
        "99999-01-01",
    ],
)
def test_a_date_that_is_not_declared_is_an_error(asked: str) -> None:
    with pytest.raises(TimeNotFoundError):
        layer().span(asked)


def small(limit: float = 0.0) -> Layer:
    outline = shapely.box(1.40, 43.60, 1.42, 43.62)
    return Layer.of("c", (scene(footprint=outline),), collection=collection(), opened=no_finer_than(limit))


def test_zoom_range_ends_at_the_native_zoom() -> None:
    grid = find_grid(load_grids(), "WebMercatorQuad")
    low, high = zoom_range(grid, small())
    assert high == 18  # 0.43 m on the ground at this latitude
    assert low == 0
    bounds = small().bounds
    tiles = grid.tiles(bounds, overview_zoom(grid, bounds, high))
    assert tiles is not None
    assert tiles.max_col - tiles.min_col <= 1
    assert tiles.max_row - tiles.min_row <= 1


@pytest.mark.parametrize("limit", [0.6, 1.0, 3.5, 16.0, 48.0, 10_000.0])
@pytest.mark.parametrize("tms_id", ["WebMercatorQuad", "WorldCRS84Quad", "2154_50cm"])
def test_zoom_range_ends_where_rights_do(tms_id: str, limit: float) -> None:
    grid = find_grid(load_grids(), tms_id)
    limited = small(limit)
    low, high = zoom_range(grid, limited)

    def shown(zoom: int) -> list[bool]:
        tiles = grid.tiles(limited.bounds, zoom)
        assert tiles is not None
        corners = [(tiles.min_col, tiles.min_row), (tiles.max_col, tiles.max_row)]
        return [ground_resolution(grid.frame(zoom, x, y)) >= limit * (1 - 1e-6) for x, y in corners]

    assert high == low or all(shown(high))
    assert not all(shown(high + 1))


def test_a_layer_ends_where_rights_do() -> None:
    held = index(scene())
    west = SceneFilter((SceneRule(scenes=SceneSet(), area=shapely.box(0.5, 43.2, 1.5, 50)),))
    layer = find_layer(held, "c", west)
    assert layer.bounds == (1.0, 43.2, 1.5, 44.0)
    assert layer.generation != find_layer(held, "c", EVERYTHING).generation
    for area in (shapely.box(5, 5, 6, 6), shapely.box(0, 43, 1, 44)):  # beside it, and along its edge
        with pytest.raises(LayerNotFoundError):
            find_layer(held, "c", SceneFilter((SceneRule(scenes=SceneSet(), area=area),)))


def test_a_layer_is_as_fine_as_the_finest_scene_shown() -> None:
    fine, coarse = scene("fine", ground_resolution=0.5), scene("coarse", ground_resolution=5.0)
    held = index(fine, coarse)
    limited = SceneRule(
        scenes=SceneSet(scenes=frozenset({"fine"})), fineness=Fineness(ground_resolution=16.0)
    )
    free = SceneRule(scenes=SceneSet(scenes=frozenset({"coarse"})))
    both = find_layer(held, "c", SceneFilter((limited, free)))
    assert (both.ground_resolution, both.limit) == (5.0, 0.0)
    only = find_layer(held, "c", SceneFilter((limited,)))
    assert (only.ground_resolution, only.limit) == (16.0, 16.0)


def test_no_zoom_is_told_at_which_a_pole_makes_the_pixels_finer_than_allowed() -> None:
    grid = find_grid(load_grids(), "WorldCRS84Quad_512")
    coarsest, finest = zoom_range(grid, small(70.0))
    assert ground_resolution(grid.frame(1, 2, 0)) < 70.0, "its first row is at the pole"
    assert (coarsest, finest) == (2, 8)
    assert zoom_range(grid, small())[0] == 0


def test_visible_layers_are_those_that_have_a_layer() -> None:
    held = index(scene("a"), scene("b", collection_id="d"), scene("e", collection_id="lost"))
    del held.collections["lost"]
    near, far = shapely.box(1, 43, 1.5, 44), shapely.box(100, 0, 101, 1)
    for sets, area, expected in (
        ({}, None, {"c", "d"}),
        ({"collections": frozenset({"c", "lost"})}, None, {"c"}),
        ({"sensors": frozenset({"none"})}, None, set()),
        ({"licences": frozenset({"none"})}, None, set()),
        ({}, near, {"c", "d"}),
        ({}, far, set()),
    ):
        opened = SceneFilter((SceneRule(scenes=SceneSet(**sets), area=area),))
        assert visible_layers(held, opened) == expected
        assert {layer.id for layer in list_layers(held, opened)} == expected
