"""The index after changes is the index made of what is left, in whatever parts it is held."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import collection

from mosaics.catalog.index import CatalogIndex, Part
from mosaics.catalog.memory import MemoryCatalog
from mosaics.catalog.summary import (
    Summary,
    item_of,
    summaries_of,
    summary_from,
    summary_of,
)
from mosaics.errors import SceneUnreadableError
from mosaics.filters import EVERYTHING
from mosaics.finding import find_layer
from mosaics.item import scene_from_item
from mosaics.looks import styles_of_look
from mosaics.models import Bounds, Scene
from tests.items import item
from tests.mosaics.catalog.indexed import MAKE, index_of


def whole(given: dict[str, Any], sequence: int = 1) -> Scene:
    return MAKE(given, sequence)


def test_a_summary_makes_the_scene_of_its_item() -> None:
    full = item("a", license="l", **{"flux:attribution": "© A", "eo:cloud_cover": 12.5, "platform": "phr1a"})
    full["assets"]["pan"] = {**full["assets"]["data"], "href": "cogs/c/a-pan.tif", "proj:shape": [400, 400]}
    full["assets"]["pan"]["raster:spatial_resolution"] = 0.125
    full["assets"]["thumbnail"] = {"href": "quicklooks/c/a.webp", "roles": ["thumbnail"]}
    table = holding(full).parts[0].table
    assert table.scene(0) == whole(full, sequence=3)
    assert table.numbers("eo:cloud_cover")[0] == 12.5
    assert table.numbers("gsd")[0] == 0.125
    assert np.isnan(table.numbers("view:off_nadir")[0])
    assert [table.word(n, 0) for n in ("id", "platform", "constellation")] == ["a", "phr1a", None]
    assert styles_of_look(str(table.word("look", 0))) == ("natural",)
    assert table.footprint(0).equals(whole(full).footprint)


@pytest.mark.parametrize("missing", ["geometry", "assets", "properties", "id"])
def test_an_item_without_what_a_scene_needs_has_no_summary(missing: str) -> None:
    broken = item()
    del broken[missing]
    with pytest.raises(SceneUnreadableError):
        summary_of(broken)


def told(found: Summary | SceneUnreadableError) -> bytes | tuple[str, str]:
    return bytes(found) if isinstance(found, Summary) else (str(found), repr(found.__cause__))


def alone(given: dict[str, Any]) -> Summary | SceneUnreadableError:
    try:
        return summary_of(given)
    except SceneUnreadableError as error:
        return error


def test_summaries_that_are_made_together_are_those_that_are_made_alone() -> None:
    ring = [[0, 0, 5], [1, 0, 5], [1, 1, 5], [0, 0, 5]]
    shapes = [None, 3, {}, {"type": "Polygon", "coordinates": [ring[:2]]}, {"type": "Feature"}]
    shapes += [
        {"type": kind, "coordinates": place} for kind, place in (("Point", [1, 2]), ("Polygon", [ring]))
    ]
    items: list[Any] = [item("good"), *({**item(f"s{n}"), "geometry": each} for n, each in enumerate(shapes))]
    items += [item("late", datetime="0001-01-01T00:00:00+14:00"), item("huge", gsd=10**400), {}, 3]
    items += [
        item("odd", platform="a\x1fb"),
        item("long", platform="é" * 3000),
        item("fits", platform="é" * 2900),
    ]
    found = [told(summary) for summary in summaries_of(items)]
    assert found == [told(alone(each)) for each in items]
    good = [each["id"] for each, one in zip(items, found, strict=True) if isinstance(one, bytes)]
    assert good == ["good", "s5", "s6", "huge", "fits"]
    assert summaries_of([]) == []


def test_a_damaged_summary_is_none() -> None:
    good = bytes(summary_of(item()))
    assert summary_from(good[:-1]) is None
    assert summary_from(b"") is None
    assert summary_from(bytes([good[0] + 1]) + good[1:]) is None
    with pytest.raises(ValueError, match="damaged"):
        item_of(b"nonsense")


def holding(*items: dict[str, Any]) -> CatalogIndex:
    catalog = MemoryCatalog()
    catalog.put_collection(collection())
    catalog.put_collection(collection("d"))
    for number, each in enumerate(items):
        catalog.put_scene(each["collection"], each, f"digest{number}")
    return index_of(catalog)


@pytest.mark.parametrize("seed", range(6))
def test_changes_come_to_the_same_as_a_new_index(seed: int) -> None:
    chance = random.Random(seed)
    catalog = MemoryCatalog()
    for id_ in "cd":
        catalog.put_collection(collection(id_))
    index = CatalogIndex()
    for step in range(25):
        for _ in range(chance.choice([1, 2, 30])):
            key = chance.choice("cd"), f"s{chance.randrange(60)}"
            if chance.random() < 0.3:
                catalog.remove_scene(*key)
            else:
                catalog.put_scene(
                    key[0], item(key[1], key[0], west=chance.uniform(0, 50)), f"{key}{step}{chance.random()}"
                )
        earlier, known = index, dict(index.scenes)
        index = index.with_changes(catalog.changes(index.sequence), MAKE)
        anew = CatalogIndex().with_changes(catalog.changes(0), MAKE)
        assert dict(index.scenes) == dict(anew.scenes)
        assert dict(earlier.scenes) == known, "an index that somebody still uses stays as it was"
        assert len(index.parts) <= 8
        for id_ in "cd":
            if any(key[0] == id_ for key in index.scenes):
                one, other = (find_layer(each, id_, EVERYTHING) for each in (index, anew))
                assert [s.id for s in one.scenes] == [s.id for s in other.scenes]
                assert one.generation == other.generation, "however it is held"
                box = Bounds(10, 43.2, 12, 43.4)
                assert [p.scene for p in one.places(box)] == [p.scene for p in other.places(box)]
                assert [p.scene for p in one.places(box)] == [
                    s for s in one.scenes if s.footprint.bounds[0] <= 12 and s.footprint.bounds[2] >= 10
                ]


def test_what_is_untouched_stays_the_same_part() -> None:
    index = holding(*(item(f"s{n}") for n in range(40)))
    more = MemoryCatalog()
    more.put_collection(collection())
    more.put_scene("c", item("new"), "digest-new")
    changes = dataclasses.replace(more.changes(0), sequence=index.sequence + 1)
    after = index.with_changes(changes, MAKE)
    assert after.parts[0] is index.parts[0]
    assert len(after.parts) == 2
    assert set(after.scenes) == {*index.scenes, ("c", "new")}


def test_a_record_that_went_bad_leaves_one_scene_out() -> None:
    index = holding(item("a"), item("b"))
    table = index.parts[0].table
    blobs = table.columns.records
    data = b"\0" * int(blobs.ends[0]) + blobs.data[int(blobs.ends[0]) :]
    columns = dataclasses.replace(table.columns, records=dataclasses.replace(blobs, data=data))
    broken = dataclasses.replace(index, parts=(Part(dataclasses.replace(table, columns=columns)),))
    assert [s.id for s in find_layer(broken, "c", EVERYTHING).scenes] == ["b"]


def test_last_changed_first() -> None:
    index = holding(*(item(f"s{n}") for n in range(9)))
    assert [s.id for s in index.scenes.last_changed(3)] == ["s8", "s7", "s6"]


def test_scene_from_item_reads_dates_of_all_forms() -> None:
    for text in ("2024-05-17T10:30:00Z", "2024-05-17T12:30:00+02:00", "2024-05-17T10:30:00.000000Z"):
        made = scene_from_item(item(datetime=text), root=Path("/"), sequence=1)
        assert made.acquired is not None
        assert made.acquired.isoformat() == "2024-05-17T10:30:00+00:00"
