"""Mosaics as values and documents, and what they order by."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from item_columns import ItemColumns

from mosaics.errors import MosaicInvalidError
from mosaics.models import Text
from mosaics.mosaic import BandRange, Mosaic, Order, mosaic_document, mosaic_from, order_keys, parse_order

WHERE = {"op": "<=", "args": [{"property": "gsd"}, 1]}
FULL = Mosaic(
    id="coast.2024",
    title=Text(fr="Côte", en="Coast"),
    description=Text(fr="Le trait de côte", en="The coast line"),
    attribution="© CNES",
    where=WHERE,
    order=Order(rule="nearest", date=datetime(2024, 5, 17, 12, tzinfo=UTC)),
    pixel_selection="max",
    stretch="scene",
    ranges={"red": BandRange(low=1.0, high=200.5), "nir": BandRange(low=-3.0, high=7.0)},
    cloud_mask=True,
    styles=("natural", "ndvi"),
)


def item(id_: str, when: str | None, **properties: Any) -> dict[str, Any]:
    point = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    return {"id": id_, "collection": "c", "geometry": point, "properties": {"datetime": when, **properties}}


ITEMS = ItemColumns(
    [
        item("a", "2024-05-17T10:30:00Z", gsd=0.5, **{"eo:cloud_cover": 40, "view:off_nadir": 8.0}),
        item("b", "2020-01-01T00:00:00Z", gsd=0.3, **{"eo:cloud_cover": 0, "view:incidence_angle": 25.0}),
        item("c", None, gsd=1.5, **{"view:incidence_angle": 2.5, "view:off_nadir": 30.0}),
        item("d", "2024-05-18T00:00:00+00:00", **{"eo:cloud_cover": 5}),
    ]
)


def test_a_document_and_back() -> None:
    document = json.loads(json.dumps(mosaic_document(FULL)))
    assert mosaic_from(document) == FULL
    assert mosaic_document(mosaic_from(document)) == document


def test_what_a_document_does_not_say_has_its_usual_value() -> None:
    assert mosaic_from({"id": "m"}) == Mosaic(
        id="m", title=Text(fr="m", en="m"), description=Text(fr="", en="")
    )
    assert mosaic_from(mosaic_document(mosaic_from({"id": "m"}))) == mosaic_from({"id": "m"})
    assert mosaic_from({"id": "m", "where": True}).where is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "M"}, "can't name a mosaic"),
        ({"id": "a" * 65}, "can't name a mosaic"),
        ({"id": None}, "can't name a mosaic"),
        ({"titel": "x"}, "'titel': unknown field; known are: attribution, "),
        ({"title": "x"}, "title has fr and en"),
        ({"title": {"fr": "x"}}, "title has fr and en"),
        ({"title": {"fr": "x\x00", "en": ""}}, "one line"),
        ({"attribution": 3}, "attribution is a text"),
        ({"where": {"op": "=", "args": [{"property": "x"}, 1]}}, "'x': where: unknown property"),
        ({"order": "oldest"}, "order has a rule"),
        ({"order": {"rule": "newest"}}, "'newest': order: it is none of most-recent, oldest"),
        ({"order": {"rule": "nearest"}}, "nearest has a date"),
        ({"order": {"rule": "nearest", "date": "May"}}, "nearest has a date"),
        ({"order": {"rule": "finest", "date": "2024-05-17"}}, "a date belongs to nearest"),
        ({"pixel_selection": "median"}, "'median': pixel_selection: it is none of first, mean, max"),
        ({"stretch": ["mosaic"]}, "is none of mosaic, scene"),
        ({"ranges": {"red": [3, 3]}}, "'red': ranges: each has two numbers"),
        ({"ranges": {"red": [0, float("inf")]}}, "'red': ranges: each has two numbers"),
        ({"ranges": [1, 2]}, "by the band's common name"),
        ({"cloud_mask": 1}, "true or false"),
        ({"styles": "natural"}, "a list of ids"),
        ({"styles": ["../x"]}, "a list of ids"),
    ],
)
def test_a_document_that_breaks_a_rule_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(MosaicInvalidError) as error:
        mosaic_from({"id": "m", **change})
    assert said in str(error.value)


def test_what_is_deep_is_told_in_short() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(MosaicInvalidError) as error:
        mosaic_from({"id": "m", "order": {"rule": deep}})
    assert len(str(error.value)) < 200
    assert str(error.value).endswith(error.value.reason)


@pytest.mark.parametrize("document", [None, [], "m", 3])
def test_what_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(MosaicInvalidError):
        mosaic_from(document)


def test_a_date_without_a_time_is_its_noon() -> None:
    assert parse_order("nearest", "2024-05-17").date == datetime(2024, 5, 17, 12, tzinfo=UTC)
    assert parse_order("nearest", "2024-05-17T02:00:00+02:00").date == datetime(2024, 5, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "date", "ids"),
    [
        ("most-recent", None, "dabc"),
        ("oldest", None, "badc"),
        ("least-cloud", None, "bdac"),
        ("finest", None, "bacd"),
        ("most-vertical", None, "cabd"),
        ("nearest", "2024-05-17T12:00:00Z", "adbc"),
        ("nearest", "2022-01-01", "badc"),
    ],
)
def test_orders_put_what_is_not_known_last(rule: str, date: str | None, ids: str) -> None:
    keys = order_keys(parse_order(rule, date), ITEMS)
    assert keys.dtype == np.float64
    assert not np.isnan(keys).any()
    assert "".join("abcd"[row] for row in np.argsort(keys, kind="stable")) == ids


def test_items_that_are_broken_are_left_out_alone() -> None:
    broken = [{"id": "x"}, {"id": "y", "geometry": {"type": "Polygon"}}, item("z", "yesterday", gsd="fine")]
    columns = ItemColumns(broken)
    assert [each["id"] for each in columns.items] == ["z"]
    assert np.isnan(columns.numbers("datetime")).all()
    assert np.isnan(columns.numbers("gsd")).all()
    assert columns.bounds.shape == (1, 4)
    assert ItemColumns([]).bounds.shape == (0, 4)
