"""What is told of many layers at once is what is told of each alone, and what its scenes say one by one."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely
from scenes import collection, no_finer_than, scene

from mosaics.catalog.index import CatalogIndex, Part
from mosaics.catalog.table import SceneTable
from mosaics.filters import EVERYTHING, SceneFilter, SceneRule, SceneSet
from mosaics.finding import find_layer, list_layers
from mosaics.models import Scene, Text
from mosaics.mosaic import Mosaic
from mosaics.told import Told

FEW = SceneFilter(
    (
        SceneRule(scenes=SceneSet(licences=frozenset({"l0"})), area=shapely.box(0, 40, 2.5, 44)),
        SceneRule(scenes=SceneSet(sensors=frozenset({"rgb"}), licences=frozenset({"l1"}))),
    )
)
COLLECTIONS = {f"c{n}": collection(f"c{n}", attribution="© whole" if n % 2 else "") for n in range(8)}
NAMED = {"property": "license"}
MOSAICS = {
    id_: Mosaic(
        id=id_, title=Text(fr=id_, en=id_), description=Text(fr="", en=""), where=where, styles=styles
    )
    for id_, where, styles in (
        ("all", None, ()),
        ("some", {"op": "=", "args": [NAMED, "l1"]}, ("grey",)),
        ("none", {"op": "=", "args": [NAMED, "nobody's"]}, ()),
    )
}


def scenes(count: int) -> list[Scene]:
    """Give scenes of all sorts, in no order."""
    dice = random.Random(4)
    begin = datetime(2020, 1, 1, 10, tzinfo=UTC)
    return [
        scene(
            f"s{number}",
            collection_id=f"c{dice.randrange(8)}",
            licence_id=f"l{dice.randrange(3)}",
            sensor_id=dice.choice(("rgb", "pleiades")),
            acquired=dice.choice((None, *(begin + timedelta(days=dice.randrange(900)) for _ in range(5)))),
            footprint=shapely.box(at := dice.uniform(0, 5), 43, at + dice.uniform(0.1, 1), 44),
            styles=dice.choice((("natural", "grey"), ("grey",), ("cir", "natural"))),
            attribution=dice.choice(("", "© A", "© B", "© C")),
            ground_resolution=dice.choice((0.5, 2.0, 10.0)),
            sequence=number + 1,
        )
        for number in range(count)
    ]


def index_of(*parts: list[Scene]) -> CatalogIndex:
    return CatalogIndex(
        sequence=7,
        collections=dict(COLLECTIONS),
        mosaics=dict(MOSAICS),
        parts=tuple(Part(SceneTable.of_scenes(part)) for part in parts),
    )


ALL = scenes(200)
WHOLE = index_of(ALL)
IN_PARTS = index_of(ALL[:150], ALL[150:199], ALL[199:])
SAME = ("title", "bounds", "times", "styles", "limit", "sensors", "licences", "attribution")


@pytest.mark.parametrize("opened", [EVERYTHING, FEW, no_finer_than(5.0)], ids=["all", "few", "coarse"])
@pytest.mark.parametrize("held", [WHOLE, IN_PARTS], ids=["whole", "in parts"])
def test_a_layer_among_others_is_told_of_as_alone(held: CatalogIndex, opened: SceneFilter) -> None:
    listed = list_layers(held, opened)
    assert [layer.id for layer in listed] == ["all", *COLLECTIONS, "some"]
    for layer in listed:
        alone = find_layer(held, layer.id, opened)
        for name in (*SAME, "generation"):
            assert getattr(layer, name) == getattr(alone, name), (layer.id, name)
        assert [s.id for s in layer.scenes] == [s.id for s in alone.scenes]
        assert [s.id for s in layer.examples] == [s.id for s in alone.examples]


@pytest.mark.parametrize("opened", [EVERYTHING, FEW], ids=["all", "few"])
def test_what_is_told_does_not_hang_on_how_the_catalogue_lies_in_parts(opened: SceneFilter) -> None:
    for whole, parted in zip(list_layers(WHOLE, opened), list_layers(IN_PARTS, opened), strict=True):
        for name in SAME:
            assert getattr(whole, name) == getattr(parted, name), (whole.id, name)


@pytest.mark.parametrize("held", [WHOLE, IN_PARTS], ids=["whole", "in parts"])
def test_what_is_told_is_what_the_scenes_say(held: CatalogIndex) -> None:
    for layer in list_layers(held, EVERYTHING):
        seen = layer.scenes
        assert [*layer.bounds] == shapely.total_bounds([s.footprint for s in seen]).tolist()
        assert layer.times == tuple(sorted({f"{s.acquired:%Y-%m-%d}" for s in seen if s.acquired}))
        assert layer.sensors == tuple(sorted({s.sensor_id for s in seen}))
        assert layer.licences == tuple(sorted({s.licence_id for s in seen if s.licence_id}))
        by_banking = sorted(seen, key=lambda s: s.sequence)
        styles = dict.fromkeys(style for s in by_banking for style in s.styles)
        assert layer.styles == (("grey",) if layer.id == "some" else tuple(styles))
        first = dict.fromkeys(s.attribution for s in seen)
        own = [line for line in first if line]
        bare = {s.collection_id for s in seen if not s.attribution}
        whole = {COLLECTIONS[id_].attribution for id_ in bare} - {""}
        assert set(layer.attribution.split(" · ")) == {*own, *whole}
        assert [line for line in layer.attribution.split(" · ") if line in own] == own


def test_scenes_of_one_moment_and_one_change_are_told_of_by_their_ids() -> None:
    alike = [replace(each, acquired=None, sequence=1) for each in ALL]
    for layer in list_layers(index_of(alike), EVERYTHING):
        first = dict.fromkeys(
            each.attribution or "© whole" for each in sorted(layer.scenes, key=lambda s: s.id)
        )
        lines = [line for line in layer.attribution.split(" · ") if line != "© whole"]
        assert lines == [line for line in first if line != "© whole"]


@pytest.mark.parametrize("held", [WHOLE, IN_PARTS], ids=["whole", "in parts"])
def test_of_which_layers_another_filter_leaves_a_scene(held: CatalogIndex) -> None:
    layers = list_layers(held, FEW)
    one = layers[1].scenes[0]
    for opened in (
        EVERYTHING,
        SceneFilter(),
        SceneFilter((SceneRule(scenes=SceneSet(scenes=frozenset({one.id}))),)),
        SceneFilter((SceneRule(scenes=SceneSet(licences=frozenset({"l0"}))),)),
        SceneFilter((SceneRule(scenes=SceneSet(licences=frozenset({"l2"}))),)),
    ):
        seen = [any(opened.opening(s, np.inf) is not None for s in layer.scenes) for layer in layers]
        assert Told([layer.parts for layer in layers]).seeing(opened) == seen


def test_a_part_of_a_layer_is_told_of_anew() -> None:
    layer = list_layers(IN_PARTS, EVERYTHING)[1]
    west = layer.meeting(shapely.box(0, 43, 1, 44))
    assert west is not None
    assert len(west) < len(layer)
    assert west.bounds.right < layer.bounds.right
    assert set(west.times) < set(layer.times)
