"""What a worker remembers of rights, layers and tiles is bounded, and ends with what it hangs on."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from weakref import ref

import shapely

from auth.decision import ANONYMOUS
from auth.models import PUBLIC, Action, Grant
from auth.reach import EVERYWHERE, UNKNOWN, Selector
from auth.snapshot import PolicySnapshot
from mosaics.catalog.index import CatalogIndex
from mosaics.catalog.table import SceneTable
from mosaics.contribution import Contribution
from mosaics.filters import EVERYTHING
from mosaics.grids import load_grids
from mosaics.layers import Layer
from mosaics.models import Band, Collection, Scene, Text
from mosaics.ordering import Place
from mosaics.resolve import ResolvedTile
from mosaics.styles import load_styles
from server.decisions import Decisions
from server.pipeline import TileRequest
from server.resolutions import Resolutions, Resolved

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NATURAL = load_styles().get("natural")
GRID = load_grids().get("WebMercatorQuad")


def scenes(count: int) -> tuple[Scene, ...]:
    return tuple(
        Scene(
            id=f"s{number}", collection_id="c", licence_id=None, sensor_id="rgb", kind="optical",
            acquired=NOW, footprint=shapely.box(1, 43, 2, 44), href="/nowhere/a.tif", generation="g",
            width=100, height=100,
            ground_resolution=0.5, bands=(Band(name="red"),), styles=("natural",), sequence=number,
        )
        for number in range(count)
    )  # fmt: skip


def places(count: int) -> list[Place]:
    table = SceneTable.of_scenes(scenes(count))
    return [Place(table, row) for row in range(count)]


def index(sequence: int, count: int) -> CatalogIndex:
    held = scenes(count)
    text = Text(fr="", en="")
    collections = {"c": Collection(id="c", title=text, description=text)}
    return CatalogIndex.of(held, collections, sequence=sequence)


def tile(number: int, contributing: Sequence[Place]) -> tuple[TileRequest, Resolved]:
    request = TileRequest(
        layer_id="c", tms_id="WebMercatorQuad", z=18, x=132_000 + number, y=95_000, image_format="jpg"
    )
    made = ResolvedTile(
        frame=GRID.frame(18, request.x, request.y),
        contributions=tuple(
            Contribution(source=Place(*place), style=NATURAL, by_statistics=True, mask=None)
            for place in contributing
        ),
    )
    return request, Resolved(made, made.key("jpg"))


def layer() -> Layer:
    return Decisions().layer(index(1, 3), "c", EVERYTHING)


def test_resolved_tiles_take_about_what_is_counted_and_never_more_than_the_bound() -> None:
    shown, some = layer(), places(25)
    for count in (0, 1, 25):
        known = Resolutions(1_000_000)
        tracemalloc.start()
        try:
            for number in range(5_000):
                known.put(shown, EVERYTHING, *tile(number, some[:count]))
                assert known.size_bytes <= 1_000_000
            gc.collect()
            taken = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert 0.6 < taken / known.size_bytes < 1.4, count
    request, resolved = tile(4_999, some)
    assert known.get(shown, EVERYTHING, request) == resolved, "the last are kept"
    assert known.get(shown, EVERYTHING, tile(0, some)[0]) is None, "the first went"


def test_a_tile_larger_than_the_bound_is_not_kept() -> None:
    shown, known = layer(), Resolutions(5_000)
    request, resolved = tile(0, places(100))
    known.put(shown, EVERYTHING, request, resolved)
    assert known.get(shown, EVERYTHING, request) is None
    assert known.size_bytes == 0


def test_a_resolved_tile_holds_no_layer_and_is_no_other_layers() -> None:
    known = Resolutions()
    gone = layer()
    request, resolved = tile(0, ())
    known.put(gone, EVERYTHING, request, resolved)
    assert known.get(gone, EVERYTHING, request) is resolved
    looked = ref(gone)
    del gone
    gc.collect()
    assert looked() is None
    other = layer()  # what if it came to lie where the one was that is gone?
    (entry,) = known._kept.values()
    known._kept[id(other), EVERYTHING.digest, request] = entry
    assert known.get(other, EVERYTHING, request) is None


def test_layers_of_earlier_catalogues_are_forgotten() -> None:
    memo = Decisions()
    first = index(1, 50)
    looked = [ref(memo.layer(first, "c", EVERYTHING)), *map(ref, memo.layers(first, EVERYTHING))]
    assert memo.layer(first, "c", EVERYTHING) is looked[0](), "it is remembered while nothing changes"
    second = index(2, 51)
    assert len(memo.layer(second, "c", EVERYTHING)) == 51
    gc.collect()
    assert [each() for each in looked] == [None, None]
    assert len(memo.layer(first, "c", EVERYTHING)) == 50, "one that still runs sees its own"
    assert len(memo.layers(second, EVERYTHING)[0]) == 51


def test_decisions_of_earlier_rights_are_forgotten() -> None:
    memo = Decisions()

    def decided(epoch: int) -> Any:
        grant = Grant(
            id="g",
            grantee=PUBLIC,
            selector=Selector(collections=frozenset({"c"})),
            area=EVERYWHERE,
            created=NOW,
        )
        snapshot = PolicySnapshot(epoch=epoch, grants={"g": grant})
        return memo.decide(snapshot, ANONYMOUS, Action.TILE, NOW, UNKNOWN, frozenset())[1]

    looked = ref(decided(1))
    assert looked() is not None
    assert looked().digest == decided(1).digest
    assert looked().sees(scenes(1)[0])
    decided(2)
    gc.collect()
    assert looked() is None
