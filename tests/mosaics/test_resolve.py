"""A tile is made of the scenes that a look at one after the other would choose."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely
from scenes import collection, scene

from mosaics.catalog.index import CatalogIndex, Part
from mosaics.catalog.table import SceneTable
from mosaics.filters import EVERYTHING, Exclusion, Fineness, SceneFilter, SceneRule, SceneSet
from mosaics.finding import find_layer
from mosaics.geodesy import ground_resolution, lonlat_transformer
from mosaics.grids import find_grid, load_grids
from mosaics.layers import ANY_TIME, Layer
from mosaics.models import Band, Bounds, Frame, Scene
from mosaics.ordering import Place
from mosaics.resolve import frame_outline, resolve
from mosaics.styles import load_styles

GRID, STYLES = find_grid(load_grids(), "WebMercatorQuad"), load_styles()
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
COLOURS = tuple(Band(name=name, common_name=name) for name in ("red", "green", "blue"))
MOST = 8
"""Scenes of a tile, fewer than a server takes, so that few scenes are many."""
Told = list[tuple[str, str, str, tuple[str, ...]]]
"""Of each scene of a tile its id, style, mask and what is charged."""


def some_scenes(chance: random.Random, count: int) -> list[Scene]:
    found = []
    for number in range(count):
        west, south, side = chance.uniform(0, 4), chance.uniform(43, 46), chance.choice([0.02, 0.4, 2.0, 6.0])
        outline = shapely.affinity.rotate(shapely.box(west, south, west + side, south + side), number % 90)
        bands = tuple(band._replace(unit=chance.choice([None, "dB"])) for band in COLOURS)
        kinds = chance.choice(["fits", "fits", "fits", "another style", "no band of it", "style is gone"])
        found.append(
            scene(
                f"s{number}",
                licence_id=chance.choice("lm"),
                acquired=None if number % 9 == 0 else BEGIN + timedelta(days=chance.randrange(40)),
                footprint=outline,
                bands=bands[:1] if kinds == "no band of it" else bands,
                styles={"another style": ("grey", "gone"), "style is gone": ("gone",)}.get(
                    kinds, ("natural",)
                ),
                sequence=number,
            )
        )
    return found


def some_filter(chance: random.Random) -> SceneFilter:
    def area() -> shapely.Geometry | None:
        reach = chance.choice([0.5, 2.0, 9.0])
        return shapely.Point(chance.uniform(0, 5), chance.uniform(43, 47)).buffer(reach)

    closed = Exclusion(scenes=SceneSet(licences=frozenset("m")), area=area())
    return SceneFilter(
        tuple(
            SceneRule(
                scenes=SceneSet(licences=frozenset(licence)),
                area=area() if chance.random() < 0.7 else None,
                fineness=Fineness(ground_resolution=chance.choice([None, 300.0])),
                exclusions=(closed,) if chance.random() < 0.5 else (),
                label=f"{licence}{number}",
                metered=chance.random() < 0.5,
            )
            for number, licence in enumerate("lmlm")
        )
    )


def index_of(scenes: Sequence[Scene], damaged: set[int]) -> CatalogIndex:
    """Hold scenes in two parts; the records of some are damaged."""
    parts = []
    for some in (scenes[: len(scenes) // 3], scenes[len(scenes) // 3 :]):
        table = SceneTable.of_scenes(some)
        blobs, data = table.columns.records, bytearray(table.columns.records.data)
        for row, each in enumerate(some):
            if each.sequence in damaged:
                data[int(blobs.ends[row - 1]) if row else 0 : int(blobs.ends[row])] = b"\0" * len(
                    blobs.at(row)
                )
        columns = dataclasses.replace(table.columns, records=dataclasses.replace(blobs, data=bytes(data)))
        parts.append(Part(dataclasses.replace(table, columns=columns)))
    return CatalogIndex(sequence=1, collections={"c": collection()}, parts=tuple(parts))


def one_after_the_other(
    scenes: Sequence[Scene], damaged: set[int], opened: SceneFilter, frame: Frame, style_id: str | None
) -> Told:
    """Choose scenes of a tile, each of which is made and asked about: the words of decision 19."""
    outline, fineness = frame_outline(frame), ground_resolution(frame)
    ordered = sorted(
        scenes, key=lambda s: (-(s.acquired.timestamp() if s.acquired else -np.inf), -s.sequence)
    )
    boxes = shapely.box(*outline.bounds)
    near = [
        each
        for each in ordered
        if opened.sees(each) and boxes.intersects(shapely.box(*each.footprint.bounds))
    ]
    told = {
        each.id: None if each.sequence in damaged else as_told(each, opened, outline, fineness, style_id)
        for each in near
    }
    if len(near) <= MOST:
        return [found for found in told.values() if found is not None]
    x, y = (
        (low + (high - low) * (np.arange(16) + 0.5) / 16)
        for low, high in ((frame.bounds[0], frame.bounds[2]), (frame.bounds[1], frame.bounds[3]))
    )
    places = lonlat_transformer(frame.crs).transform(*(each.ravel() for each in np.meshgrid(x, y)))
    left = np.ones(256, bool)
    chosen, spare = [], []
    for number, each in enumerate(near):
        if len(chosen) == MOST or (not left.any() and len(chosen) + len(spare) >= MOST):
            break
        covered = shapely.contains_xy(each.footprint, *places)
        adds = not covered.any() or bool((covered & left).any())
        if told[each.id] is None or (not adds and len(spare) >= MOST):
            continue
        (chosen if adds else spare).append(number)
        opening = opened.opening(each, fineness)
        assert opening is not None
        if opening.area is not None and not opening.area.covers(outline):
            covered &= shapely.contains_xy(opening.area, *places)
        left &= ~covered
    found = [told[near[number].id] for number in sorted(chosen + spare[: MOST - len(chosen)])]
    return [each for each in found if each is not None]


def as_told(
    each: Scene, opened: SceneFilter, outline: shapely.Geometry, fineness: float, style_id: str | None
) -> tuple[str, str, str, tuple[str, ...]] | None:
    names = each.styles if style_id is None else tuple(name for name in each.styles if name == style_id)
    fitting = [name for name in names if name in STYLES and STYLES.get(name).bind(each.bands, each.kind)]
    known = [name for name in names if name in STYLES]
    shown = fitting or (known if style_id is None else [])
    opening = opened.opening(each, fineness)
    if not shown or opening is None or not each.footprint.intersects(outline):
        return None
    whole = opening.area is None or opening.area.covers(outline)
    if not whole and not shapely.intersects(opening.area, outline):
        return None
    covering = [part for part in opening.parts if part.area is None or part.area.covers(outline)]
    meeting = [part for part in opening.parts if part.area is not None and part.area.intersects(outline)]
    metered = [part.rule.label for part in covering or meeting if part.rule.metered]
    free = any(not part.rule.metered for part in covering)
    charged = () if free else tuple(metered[:1] if covering else metered)
    return each.id, shown[0], "" if whole else opening.digest, charged


@pytest.mark.parametrize("seed", range(8))
def test_a_tile_is_of_the_scenes_that_one_look_after_the_other_chooses(seed: int) -> None:
    chance = random.Random(seed)
    scenes = some_scenes(chance, chance.choice([40, 150, 400]))
    opened = some_filter(chance) if seed % 4 else EVERYTHING
    damaged = {each.sequence for each in scenes if chance.random() < 0.1}
    index = index_of(scenes, damaged)
    layer = find_layer(index, "c", opened)
    sizes = set()
    for zoom in (3, 5, 6, 7, 8, 10):
        for _ in range(3):
            x, y = chance.uniform(0, 5), chance.uniform(43, 47)
            tiles = GRID.tiles(Bounds(x, y, x + 1e-9, y + 1e-9), zoom)
            assert tiles is not None
            frame = GRID.frame(zoom, tiles.min_col, tiles.min_row)
            for style_id in (None, "natural", "grey"):
                found = told(layer, opened, frame, style_id)
                assert found == one_after_the_other(scenes, damaged, opened, frame, style_id), (
                    zoom,
                    style_id,
                )
                sizes.add(len(found))
    assert MOST in sizes or opened is not EVERYTHING


def told(layer: Layer, opened: SceneFilter, frame: Frame, style_id: str | None) -> Told:
    tile = resolve(
        layer,
        opened,
        frame,
        ground_resolution=ground_resolution(frame),
        span=ANY_TIME,
        style_id=style_id,
        styles=STYLES,
        most=MOST,
    )
    return [(c.scene.id, c.style.id, c.mask_digest, c.charged) for c in tile.contributions]


def test_scenes_are_made_when_they_are_read() -> None:
    scenes = [
        dataclasses.replace(each, id=f"s{number}", sequence=number)
        for number, each in enumerate([scene()] * 3)
    ]
    index = index_of(scenes, set())
    layer = find_layer(index, "c", EVERYTHING)

    def made() -> int:
        return sum(len(part.table._made) for part in index.parts)

    x, y = scenes[0].footprint.centroid.coords[0]
    tiles = GRID.tiles(Bounds(x, y, x + 1e-9, y + 1e-9), 10)
    assert tiles is not None
    tile = resolve(
        layer,
        EVERYTHING,
        GRID.frame(10, tiles.min_col, tiles.min_row),
        ground_resolution=100,
        span=ANY_TIME,
        style_id=None,
        styles=STYLES,
    )
    key = tile.key("image/jpeg")
    assert (len(tile.contributions), made()) == (3, 0)
    assert tile.contributions[0].scene.sequence == 2
    assert made() == 1
    away = tile.made()
    assert made() == 3
    assert away.key("image/jpeg") == key, "wherever it is drawn"
    assert not any(isinstance(each.source, Place) for each in away.contributions)


def test_the_key_changes_with_the_content_of_a_scene() -> None:
    keys = set()
    for change in ({}, {"sequence": 7}, {"generation": "other"}, {"licence_id": "m"}):
        index = index_of([dataclasses.replace(scene(), **change)], set())
        layer = find_layer(index, "c", EVERYTHING)
        frame = GRID.frame(0, 0, 0)
        tile = resolve(
            layer, EVERYTHING, frame, ground_resolution=1e5, span=ANY_TIME, style_id=None, styles=STYLES
        )
        keys.add(tile.key("image/jpeg"))
    assert len(keys) == 4
