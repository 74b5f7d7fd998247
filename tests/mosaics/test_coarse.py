from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import shapely
from scenes import scene

from mosaics.coarse import Rank, woven
from mosaics.compose import compose
from mosaics.filters import EVERYTHING, Exclusion, Fineness, SceneFilter, SceneRule, SceneSet
from mosaics.finding import find_layer
from mosaics.layers import Layer
from mosaics.models import Frame, Picture
from mosaics.mosaic import mosaic_from
from mosaics.resolve import MOST_SOURCES, ResolvedTile, frame_outline
from mosaics.times import TimeSpan
from tests.wide import Counting, Wide, frames, tile

BASE = 13
"""Zoom of the overviews of these scenes."""
L1 = SceneFilter((SceneRule(scenes=SceneSet(licences=frozenset({"l1"}))),))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Wide:
    """Give a home with 162 scenes of two licences, and their overviews."""
    wide = Wide(tmp_path_factory.mktemp("made"))
    wide.collection("c")
    wide.field(9, 9)
    assert {each.status for each in wide.seed()} == {"made"}
    return wide


def all_of(layer: Layer) -> Frame:
    """Give the tile that holds a layer."""
    zoom = max(z for z in range(BASE) if len(frames(layer, z)) == 1)
    return frames(layer, zoom)[0]


def shown(wide: Wide, resolved: ResolvedTile) -> Picture:
    def fail(error: Exception) -> None:
        raise error

    return compose(resolved, wide.reader, fail)[0]


def coarse(resolved: ResolvedTile) -> set[str | None]:
    """Give the licences of the overviews in a tile."""
    return {each.scene.licence_id for each in resolved.contributions if each.scene.id.startswith("overview-")}


def natives(resolved: ResolvedTile) -> set[str]:
    return {each.scene.id for each in resolved.contributions if not each.scene.id.startswith("overview-")}


def difference(wide: Wide, layer: Layer, zoom: int) -> tuple[float, float, float]:
    """Compare tiles of overviews with those of all scenes.

    Returns:
        The part of pixels that are valid in one only; of the others the mean difference and the part that
        differs by more than 3 levels.
    """
    edges, levels = [], []
    for frame in frames(layer, zoom):
        one, other = shown(wide, tile(layer, frame)), shown(wide, tile(layer, frame, most=None))
        edges.append(((one.alpha > 0) != (other.alpha > 0)).ravel())
        both = (one.alpha > 0) & (other.alpha > 0)
        levels.append(np.abs(one.rgb.astype(int) - other.rgb)[both].max(axis=-1))
    off = np.concatenate(levels)
    return float(np.concatenate(edges).mean()), float(off.mean()), float((off > 3).mean())


def test_at_their_own_zoom_overviews_show_what_all_scenes_would(made: Wide) -> None:
    layer = made.layer()
    assert any(len(coarse(tile(layer, frame))) == 2 for frame in frames(layer, BASE))
    edges, mean, share = difference(made, layer, BASE)
    assert edges < 1e-3
    assert mean < 0.05
    assert share < 1e-3


def test_a_coarser_zoom_differs_by_what_averaging_does_at_seams(made: Wide) -> None:
    edges, mean, share = difference(made, made.layer(), BASE - 1)
    assert edges < 0.01
    assert mean < 2
    assert share < 0.1  # a scene is 22 pixels wide there: a pixel along each side is 17 %


def test_no_tile_at_any_zoom_opens_more_files_than_it_may(made: Wide) -> None:
    layer = made.layer()
    for zoom in (0, 4, 8, 10, 11, 12, 13, 14):
        for frame in frames(layer, zoom):
            counting = Counting(made.reader)
            compose(tile(layer, frame), counting, lambda _error: None)
            assert len(counting.files) <= MOST_SOURCES
            assert counting.files or zoom >= BASE


def test_a_finer_zoom_is_made_of_scenes(made: Wide) -> None:
    layer = made.layer()
    found = [tile(layer, frame) for frame in frames(layer, BASE + 1)]
    assert all(not coarse(each) for each in found)
    assert any(each.contributions for each in found)


def test_what_is_not_all_open_on_a_tile_is_not_there(made: Wide) -> None:
    hidden = SceneSet(scenes=frozenset({"l1-4-4"}))
    opened = SceneFilter((SceneRule(scenes=SceneSet(), exclusions=(Exclusion(scenes=hidden),)),))
    layer = made.layer(opened=opened)
    whole = tile(made.layer(), all_of(layer))
    found = tile(layer, all_of(layer), opened)
    closed = {each.scene.id for each in whole.contributions} - {each.scene.id for each in found.contributions}
    assert len(closed) == 1, "the one overview that it is in"
    assert "l1-4-4" not in natives(found)
    assert natives(found), "scenes of that overview, as many as fit"
    wide = [frame for frame in frames(layer, BASE) if closed & _ids(tile(made.layer(), frame))]
    assert any(_meets(frame, made.boxes["l1-4-4"]) for frame in wide)
    for frame in wide:
        assert bool(closed & _ids(tile(layer, frame, opened))) != _meets(frame, made.boxes["l1-4-4"])


def test_no_pixel_of_a_hidden_scene_shows(tmp_path: Path) -> None:
    wide = Wide(tmp_path)
    wide.collection("c")
    wide.field(7, 7, ("l1",))
    wide.scene("secret", (3, 3), 230, day=400, license="l1")
    wide.seed()
    opened = SceneFilter(
        (
            SceneRule(
                scenes=SceneSet(),
                exclusions=(Exclusion(scenes=SceneSet(scenes=frozenset({"secret"}))),),
            ),
        )
    )
    frame = all_of(wide.layer())
    assert shown(wide, tile(wide.layer(), frame)).rgb.max() > 215
    for zoom in range(5, BASE + 2):
        for each in frames(wide.layer(opened=opened), zoom):
            assert shown(wide, tile(wide.layer(opened=opened), each, opened)).rgb.max() <= 215


def test_an_area_must_hold_all_of_the_scenes_on_the_tile(made: Wide) -> None:
    every = frames(made.layer(), BASE)
    scenes = shapely.box(*made.layer().bounds).buffer(1e-9)
    outlines = [_outline(frame).intersection(scenes) for frame in every]
    west = shapely.box(*shapely.union_all(outlines[: len(outlines) // 2]).buffer(1e-6).bounds).buffer(0.01)
    opened = SceneFilter((SceneRule(scenes=SceneSet(), area=west),))
    layer = made.layer(opened=opened)
    used = {bool(shapely.covers(west, o)): 0 for o in outlines}
    for frame, outline in zip(every, outlines, strict=True):
        found = tile(layer, frame, opened)
        if coarse(found):
            assert shapely.covers(west, outline)
            assert all(each.mask is None for each in found.contributions if each.scene.id.startswith("over"))
        used[bool(shapely.covers(west, outline))] += bool(coarse(found))
    assert used == {True: used[True], False: 0}
    assert used[True] > 0


def test_an_area_around_all_scenes_opens_their_overviews_on_wider_tiles(made: Wide) -> None:
    frame = all_of(made.layer())
    scenes = shapely.box(*made.layer().bounds)
    margin = (_outline(frame).bounds[2] - _outline(frame).bounds[0]) / 16 + 1e-6
    for area, opens in ((scenes.buffer(margin, join_style="mitre"), True), (scenes.buffer(-1e-4), False)):
        assert not shapely.covers(area, _outline(frame))
        opened = SceneFilter((SceneRule(scenes=SceneSet(), area=area),))
        found = tile(made.layer(opened=opened), frame, opened)
        assert bool(coarse(found)) == opens, area.bounds


def test_a_right_of_a_licence_or_a_resolution_opens_its_overviews_alone(made: Wide) -> None:
    layer = made.layer(opened=L1)
    assert coarse(tile(layer, all_of(layer), L1)) == {"l1"}
    frame = all_of(layer)
    coarser = SceneFilter((SceneRule(scenes=SceneSet(), fineness=Fineness(ground_resolution=5_000.0)),))
    found = tile(made.layer(opened=coarser), frame, coarser)
    assert not found.contributions
    assert found.resolution_refused
    scenes = frozenset(f"l1-{x}-{y}" for x in range(9) for y in range(9))
    by_name = SceneFilter((SceneRule(scenes=SceneSet(scenes=scenes)),))
    assert coarse(tile(made.layer(opened=by_name), frame, by_name)) == {"l1"}


def test_a_metered_right_that_opens_an_overview_is_charged(made: Wide) -> None:
    metered = SceneRule(scenes=SceneSet(licences=frozenset({"l1"})), label="paid", metered=True)
    free = SceneRule(scenes=SceneSet(licences=frozenset({"l2"})), label="free")
    opened = SceneFilter((metered, free))
    found = tile(made.layer(opened=opened), all_of(made.layer()), opened)
    assert coarse(found) == {"l1", "l2"}
    assert {(each.scene.licence_id, each.charged) for each in found.contributions} == {
        ("l1", ("paid",)),
        ("l2", ()),
    }


def test_a_time_that_holds_only_some_of_its_scenes_turns_an_overview_off(made: Wide) -> None:
    layer = made.layer()
    january = TimeSpan(start=datetime(2024, 1, 1, tzinfo=UTC), end=datetime(2024, 2, 1, tzinfo=UTC))
    found = tile(layer, all_of(layer), span=january)
    assert len(found.contributions) == 2
    assert coarse(found) == {"l1", "l2"}
    half = TimeSpan(start=january.start, end=datetime(2024, 1, 20, tzinfo=UTC))
    found = tile(layer, all_of(layer), span=half)
    assert not coarse(found)
    assert 0 < len(natives(found)) <= MOST_SOURCES


def test_what_is_nearest_to_a_date_is_told_by_scenes(made: Wide) -> None:
    layer = made.layer()
    found = tile(layer, all_of(layer), span=TimeSpan(nearest=datetime(2024, 1, 20, tzinfo=UTC)))
    assert not coarse(found)
    assert natives(found)


@pytest.fixture
def changed(made: Wide) -> Wide:
    """Give the home with a catalogue of one's own, to bank into."""
    return Wide(made.root, deepcopy(made.catalog))


@pytest.fixture
def own(tmp_path: Path) -> Wide:
    """Give a home of one's own with 98 scenes and their overviews, to seed anew."""
    wide = Wide(tmp_path)
    wide.collection("c")
    wide.field(7, 7)
    wide.seed()
    return wide


def test_a_take_down_turns_its_overview_off_at_once(own: Wide) -> None:
    index = own.index
    frame = all_of(own.layer())
    before = tile(find_layer(index, "c", EVERYTHING), frame)
    own.catalog.remove_scene("c", "l1-3-3")
    changed = index.with_changes(own.catalog.changes(index.sequence), own.make)
    layer = find_layer(changed, "c", EVERYTHING)
    after = tile(layer, frame)
    off = _ids(before) - _ids(after)
    assert len(off) == 1
    assert "l1-3-3" not in natives(after)
    assert natives(after)
    assert layer.generation != find_layer(index, "c", EVERYTHING).generation
    own.seed()
    again = tile(own.layer(), frame)
    assert not natives(again)
    assert after.key("png") != again.key("png") != before.key("png")


def test_a_new_scene_shows_at_once_beside_the_overviews(changed: Wide) -> None:
    index = changed.index
    frame = all_of(changed.layer())
    changed.scene("new", (3, 3), 230, day=5, license="l1")
    later = index.with_changes(changed.catalog.changes(index.sequence), changed.make)
    found = tile(find_layer(later, "c", EVERYTHING), frame)
    assert natives(found) == {"new"}
    assert coarse(found) == {"l1", "l2"}
    assert difference(changed, find_layer(later, "c", EVERYTHING), BASE)[2] < 1e-3


def test_more_new_scenes_than_fit_turn_off_the_overviews_that_they_belong_to(changed: Wide) -> None:
    for number in range(40):
        changed.scene(f"new{number}", (number % 7, number // 7), 230, day=5, license="l1")
    found = tile(changed.layer(), all_of(changed.layer()))
    assert "l2" in coarse(found)
    january = changed.layer().standing
    assert january is not None
    touched = {o.scene.id for o, flag in zip(january.overviews, january.touched, strict=True) if flag}
    assert len(touched) == 1
    assert not touched & _ids(found)
    assert len(found.contributions) <= MOST_SOURCES


def test_a_changed_definition_turns_all_overviews_off(own: Wide) -> None:
    own.catalog.put_mosaic(mosaic_from({"id": "m"}))
    own.seed("m")
    frame = all_of(own.layer("m"))
    assert coarse(tile(own.layer("m"), frame)) == {"l1", "l2"}
    own.catalog.put_mosaic(mosaic_from({"id": "m", "order": {"rule": "oldest"}}))
    assert not coarse(tile(own.layer("m"), frame))
    own.seed("m")
    assert coarse(tile(own.layer("m"), frame)) == {"l1", "l2"}
    assert difference(own, own.layer("m"), BASE)[2] < 1e-3, "the oldest is on top"
    own.catalog.put_mosaic(
        mosaic_from(
            {
                "id": "m",
                "order": {"rule": "oldest"},
                "where": {"op": "<>", "args": [{"property": "id"}, "l1-0-0"]},
            }
        )
    )
    standing = own.layer("m").standing
    assert standing is not None
    assert standing.valid.sum() == len(standing.overviews) - 1


def test_ranges_that_have_nothing_in_common_are_not_compared() -> None:
    def rank(*keys: float, file: bool = True) -> Rank:
        numbers = scene() if file else None
        rows = [[np.inf] * 3, *([key, 0.0, 0.0] for key in keys)] if file else [[keys[0], 0.0, 0.0]]
        return Rank(keys=np.array(rows), order=np.zeros(len(rows), np.int32), numbers=numbers)

    def put(ranks: Sequence[tuple[Rank, str]], scenes: Sequence[tuple[Rank, str]], most: int = 32) -> str:
        return " ".join(f"{name}{'' if r is None else r.group}" for r, name in woven(ranks, scenes, most))

    apart = [(rank(3, 4), "b"), (rank(1, 2), "a")]
    assert put(apart, []) == "a b"
    assert put(apart, [(rank(2.5, file=False), "s")]) == "a s b"
    assert put(apart, [(rank(3.5, file=False), "s")]) == "a b1 s1"
    assert put([*apart, (rank(2, 3), "c")], []) == "a0 c0 b0"
    assert put([*apart, (rank(2, 3), "c")], [(rank(9, file=False), "s")], most=6) == "a0 c0 b0"
    assert put([*apart, (rank(2, 3), "c")], [], most=4) == "a0 c0"


def _ids(resolved: ResolvedTile) -> set[str]:
    return {each.scene.id for each in resolved.contributions if each.scene.id.startswith("overview-")}


def _outline(frame: Frame) -> shapely.Geometry:
    return frame_outline(frame)


def _meets(frame: Frame, outline: shapely.Geometry) -> bool:
    west, south, east, north = _outline(frame).bounds
    margin = (east - west) / 16
    return bool(shapely.box(west - margin, south - margin, east + margin, north + margin).intersects(outline))
