"""When a tile is a block drawn ahead: all five conditions, and each of them broken alone."""

from __future__ import annotations

import dataclasses
import io
from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np
import pytest
import shapely
from PIL import Image
from scenes import collection, scene

from mosaics.encode import DEFAULT_QUALITY, Format
from mosaics.filters import EVERYTHING, Exclusion, Fineness, SceneFilter, SceneRule, SceneSet
from mosaics.geodesy import ground_resolution
from mosaics.grids import Grid, find_grid, load_grids
from mosaics.layers import ANY_TIME, Layer, TimeSpan
from mosaics.models import Bounds, Scene, Visual
from mosaics.resolve import RENDERER_VERSION, ResolvedTile, resolve
from mosaics.styles import load_styles
from mosaics.visual import StoredBlock, has_alpha, stored_block

GRIDS, STYLES = load_grids(), load_styles()
GRID = find_grid(GRIDS, "WebMercatorQuad")
QUALITY = DEFAULT_QUALITY
Z, X, Y = 12, 2060, 1495
"""A tile within the scene; 4 levels, of which this is the one before the coarsest."""
COARSEST = 11, X // 2, Y // 2
SPAN = GRID.matrix(11).span
VISUAL = Visual(
    href="/home/visuals/c/a.tif",
    file_size=1,
    source_generation="g",
    source_state=(1, 2),
    style_id="natural",
    style_digest=STYLES.get("natural").digest,
    renderer_version=RENDERER_VERSION,
    image_format="jpg",
    quality=85,
    grid_id="WebMercatorQuad",
    zooms=(11, 14),
    crs="EPSG:3857",
    origin=(
        GRID.matrix(11).origin[0] + (COARSEST[1] - 1) * SPAN,
        GRID.matrix(11).origin[1] - (COARSEST[2] - 1) * SPAN,
    ),
    span=SPAN,
    columns=2,
    rows=2,
)
SCENE = scene("a", footprint=shapely.box(0, 42, 2, 45), visual=VISUAL, styles=("natural", "cir"))


def layer(*scenes: Scene) -> Layer:
    return Layer.of("c", scenes, collection=collection())


def resolved(
    *scenes: Scene,
    tile: tuple[int, int, int] = (Z, X, Y),
    grid: Grid = GRID,
    scale: int = 1,
    opened: SceneFilter = EVERYTHING,
    span: TimeSpan = ANY_TIME,
    style: str | None = None,
) -> ResolvedTile:
    frame = grid.frame(*tile, scale)
    return resolve(
        layer(*(scenes or (SCENE,))),
        opened,
        frame,
        ground_resolution=ground_resolution(frame),
        span=span,
        style_id=style,
        styles=STYLES,
    )


def block(image_format: Format = "jpg", *scenes: Scene, **more: Any) -> StoredBlock | None:
    return stored_block(resolved(*scenes, **more), image_format, QUALITY)


def place(found: StoredBlock | None) -> tuple[int, int, int]:
    assert found is not None
    return found.level, found.row, found.column


def opening(**more: Any) -> SceneFilter:
    return SceneFilter((SceneRule(scenes=SceneSet(), **more),))


def test_the_block_is_that_of_the_tile() -> None:
    assert place(block()) == (2, 2 + Y % 2, 2 + X % 2)
    assert place(block(tile=COARSEST)) == (3, 1, 1)
    assert place(block(tile=(14, X * 4 + 1, Y * 4 + 3))) == (0, (2 + Y % 2) * 4 + 3, (2 + X % 2) * 4 + 1)


@pytest.mark.parametrize(
    "tile",
    [
        (10, X // 4, Y // 4),
        (15, X * 8, Y * 8),
        (11, COARSEST[1] + 1, COARSEST[2]),
        (11, COARSEST[1], COARSEST[2] + 1),
        (11, COARSEST[1] - 2, COARSEST[2]),
        (11, COARSEST[1], COARSEST[2] - 2),
    ],
)
def test_beside_the_levels_and_blocks_there_is_none(tile: tuple[int, int, int]) -> None:
    everywhere = dataclasses.replace(SCENE, footprint=shapely.box(-10, 30, 20, 60))
    assert block("jpg", everywhere) is not None
    assert block("jpg", everywhere, tile=tile) is None


def test_an_area_that_holds_the_tile_cuts_nothing() -> None:
    assert block(opened=opening(area=shapely.box(0, 42, 2, 45))) is not None


def test_an_area_that_cuts_the_tile_leaves_no_block() -> None:
    found = resolved(opened=opening(area=shapely.box(-180, -90, 1.09, 90)))
    assert found.contributions[0].mask is not None
    assert stored_block(found, "jpg", QUALITY) is None


def test_an_exclusion_that_cuts_the_tile_leaves_no_block() -> None:
    hole = Exclusion(scenes=SceneSet(), area=shapely.box(1.07, 43.6, 1.08, 43.61))
    assert block(opened=opening(exclusions=(hole,))) is None


def test_a_limit_coarser_than_the_tile_leaves_no_block() -> None:
    here = ground_resolution(GRID.frame(Z, X, Y))
    assert block(opened=opening(fineness=Fineness(ground_resolution=here))) is not None
    assert block(opened=opening(fineness=Fineness(ground_resolution=here * 1.01))) is None


def test_where_nothing_is_open_there_is_no_block() -> None:
    assert block(opened=SceneFilter()) is None


def test_a_scene_above_leaves_no_block() -> None:
    above = scene("b", footprint=SCENE.footprint, sequence=SCENE.sequence + 1)
    assert block("jpg", above, SCENE) is None


def test_a_scene_below_is_seen_only_through_holes() -> None:
    below = scene("b", footprint=SCENE.footprint)
    alone, found = block("jpg", SCENE), block("jpg", SCENE, below)
    assert alone is not None
    assert found is not None
    assert alone.tile(b"x", is_whole=False) is not None
    assert found.tile(b"x", is_whole=True) is not None
    assert found.tile(b"x", is_whole=False) is None


def test_a_scene_without_companion_has_no_block() -> None:
    assert block("jpg", scene("a", footprint=SCENE.footprint)) is None


@pytest.mark.parametrize(
    ("asked", "stored", "whole", "partial"),
    [
        ("jpg", "jpg", True, True),
        ("auto-webp", "jpg", True, False),
        ("auto-png", "jpg", True, False),
        ("webp", "jpg", False, False),
        ("png", "jpg", False, False),
        ("avif", "jpg", False, False),
        ("webp", "webp", True, True),
        ("auto-webp", "webp", False, True),
        ("auto-png", "webp", False, False),
        ("jpg", "webp", False, False),
        ("png", "webp", False, False),
    ],
)
def test_what_would_be_made_is_what_is_given(asked: Format, stored: Any, whole: bool, partial: bool) -> None:
    visual = dataclasses.replace(VISUAL, image_format=stored, quality=getattr(QUALITY, stored))
    found = block(asked, dataclasses.replace(SCENE, visual=visual))
    given = [
        found is not None and found.tile(b"x", is_whole=is_whole) is not None for is_whole in (True, False)
    ]
    assert given == [whole, partial]


def test_every_format_is_asked_for_above() -> None:
    assert {"jpg", "webp", "png", "avif", "auto-webp", "auto-png"} == set(get_args(Format))


def test_webp_says_whether_it_has_alpha() -> None:
    pixels = np.full((16, 16, 4), 200, "u1")
    for alpha, expected in ((255, False), (0, True), (100, True)):
        pixels[:4, :, 3], pixels[4:, :, 3] = alpha, 255
        for lossless in (False, True):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "webp", lossless=lossless)
            assert has_alpha(buffer.getvalue()) == expected
    assert not has_alpha(b"")


def test_the_tile_says_who_contributed() -> None:
    found = block()
    assert found is not None
    tile = found.tile(b"x", is_whole=True)
    assert tile is not None
    assert (tile.data, tile.media_type) == (b"x", "image/jpeg")
    assert tile.contributors == (("c", "a", "rgb", None),)


@pytest.mark.parametrize(
    "other",
    [
        {"style_id": "cir"},
        {"style_digest": "0" * 16},
        {"renderer_version": RENDERER_VERSION - 1},
        {"renderer_version": RENDERER_VERSION + 1},
        {"source_generation": "h"},
        {"quality": 84},
        {"crs": "EPSG:2154"},
    ],
)
def test_a_companion_made_with_something_else_is_not_used(other: dict[str, Any]) -> None:
    changed = dataclasses.replace(SCENE, visual=dataclasses.replace(VISUAL, **other))
    assert block("jpg", changed) is None


def test_a_companion_of_another_generation_is_not_used() -> None:
    assert block("jpg", dataclasses.replace(SCENE, generation="h")) is None


def test_another_style_has_no_block() -> None:
    assert block(style="natural") is not None
    assert block(style="cir") is None


def test_a_time_that_is_asked_for_has_no_block() -> None:
    day = TimeSpan(start=datetime(2024, 5, 17, tzinfo=UTC), end=datetime(2024, 5, 18, tzinfo=UTC))
    assert resolved(span=day).contributions
    assert block(span=day) is None


def test_twice_the_pixels_are_no_block() -> None:
    assert block(scale=2) is None


@pytest.mark.parametrize("name", sorted(grid.id for grid in GRIDS.values()))
def test_only_frames_of_its_own_grid_are_blocks(name: str) -> None:
    grid = GRIDS.get(name)
    everywhere = dataclasses.replace(SCENE, footprint=shapely.box(-179, -80, 179, 80))
    for z in range(grid.minzoom, grid.maxzoom + 1):
        tiles = grid.tiles(_bounds(), z)
        if tiles is None:
            continue
        found = block("jpg", everywhere, tile=(z, tiles.min_col, tiles.min_row), grid=grid)
        assert (found is not None) == (grid.crs == "EPSG:3857" and grid.tile_size == 256 and 11 <= z <= 14)


def _bounds() -> Bounds:
    return Bounds(1.06, 43.59, 1.08, 43.6)
