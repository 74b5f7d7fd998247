"""One range of values for all scenes of a mosaic."""

from __future__ import annotations

import dataclasses

import pytest
from scenes import collection, scene

from mosaics.catalog.memory import MemoryCatalog
from mosaics.filters import EVERYTHING
from mosaics.finding import find_layer
from mosaics.models import Band
from mosaics.stretch import Stretch, stretch_document, stretch_from, stretch_of
from mosaics.stretching import is_due, keep_stretch, keep_stretch_of_items
from tests.items import item
from tests.mosaics.catalog.indexed import index_of


def band(p2: float, p98: float, **more: object) -> Band:
    values = {
        "name": "B1",
        "common_name": "red",
        "data_type": "uint16",
        "minimum": p2 - 1,
        "maximum": p98 + 1,
    }
    return Band(**{**values, "p2": p2, "p98": p98, **more})


def test_a_typical_scene_is_the_median_of_all() -> None:
    scenes = [scene(f"s{n}", bands=(band(10 * n, 100 * n + 50),)) for n in (1, 2, 9)]
    (found,) = stretch_of(scenes, 3).bands
    assert (found.band, found.data_type, found.unit) == ("red", "uint16", None)
    assert found.statistics == (9, 20, None, 250, None, 951)


def test_bands_that_are_measured_otherwise_are_not_mixed() -> None:
    scenes = [scene("a", bands=(band(1, 2),)), scene("b", bands=(band(3, 4, unit="1e-4"),))]
    stretch = stretch_of(scenes, 2)
    assert [each.unit for each in stretch.bands] == ["1e-4", None] or len(stretch.bands) == 2
    for each in scenes:
        assert stretch.of(each.bands) == each.bands
    assert stretch.of((band(7, 8, data_type="uint8"),)) == (band(7, 8, data_type="uint8"),)


def test_ranges_that_somebody_set_come_first() -> None:
    stretch = dataclasses.replace(stretch_of([scene(bands=(band(1, 2),))], 1), ranges=(("red", 50.0, 60.0),))
    (shown,) = stretch.of((band(3, 4),))
    assert (shown.p2, shown.p98, shown.p999) == (50, 60, 60)
    assert stretch.digest != dataclasses.replace(stretch, ranges=()).digest


def test_a_document_is_the_stretch() -> None:
    for each in (
        Stretch(),
        Stretch(each=True),
        stretch_of([scene(bands=(band(1, 2), band(3, 4, name="B2", common_name=None)))], 7),
    ):
        assert stretch_from(stretch_document(each)) == each
    for broken in (None, {}, {"scenes": 1}, {"scenes": 1, "each": False, "bands": [{"band": "a"}]}):
        with pytest.raises(ValueError, match="no stretch"):
            stretch_from(broken)


def test_it_is_found_again_when_there_are_twice_as_many() -> None:
    catalog = MemoryCatalog()
    catalog.put_collection(collection())
    found_at = []
    for count in range(1, 20):
        catalog.put_scene("c", item(f"s{count}"), f"d{count}")
        if is_due(catalog, "c"):
            found_at.append(count)
            keep_stretch(catalog, index_of(catalog), "c")
    assert found_at == [1, 2, 4, 8, 16]
    catalog.put_stretch("c", Stretch(each=True))
    assert not is_due(catalog, "c")
    assert find_layer(index_of(catalog), "c", EVERYTHING).stretch is None
    keep_stretch(catalog, index_of(catalog), "nothing")
    assert catalog.stretch("nothing") is None


def test_items_alone_tell_the_same() -> None:
    catalog = MemoryCatalog()
    catalog.put_collection(collection())
    for number in range(5):
        made = item(f"s{number}")
        for each in made["assets"]["data"]["bands"]:
            each["flux:percentiles"] = {"2": number, "98": 100 + number}
        catalog.put_scene("c", made, f"d{number}")
    catalog.put_scene("c", {**item("broken"), "assets": {}}, "broken")
    keep_stretch_of_items(catalog, "c")
    found = catalog.stretch("c")
    assert found is not None
    assert {each.statistics[1:4] for each in found.bands} == {(2.0, None, 102.0)}
    keep_stretch(catalog, index_of(catalog), "c")
    assert catalog.stretch("c") == dataclasses.replace(found, scenes=5)
    keep_stretch_of_items(catalog, "nothing")
    assert catalog.stretch("nothing") is None
