"""The filters that people ask for most."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from item_columns import ItemColumns

from mosaics.cql2 import parse_filter, selected
from mosaics.errors import FilterInvalidError
from mosaics.shorthands import Shorthands


def item(id_: str, west: float, when: str | None, **properties: Any) -> dict[str, Any]:
    ring = [[west, 0], [west + 1, 0], [west + 1, 1], [west, 1], [west, 0]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {
        "id": id_,
        "collection": f"in-{id_}",
        "geometry": geometry,
        "properties": {"datetime": when, **properties},
    }


ITEMS = ItemColumns(
    [
        item("a", 0, "2024-05-17T10:30:00Z", **{"flux:sensor": "pleiades", "view:incidence_angle": 10.0}),
        item("b", 170, "2024-05-18T00:00:00Z", **{"eo:cloud_cover": 20, "view:off_nadir": 10}),
        item("c", -175, None, **{"eo:cloud_cover": 20.5, "view:incidence_angle": 30, "view:off_nadir": 5}),
    ]
)


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({}, "abc"),
        ({"collections": ("in-a", "in-c")}, "ac"),
        ({"sensors": ("pleiades",)}, "a"),
        ({"first": "2024-05-17"}, "ab"),
        ({"last": "2024-05-17"}, "a"),
        ({"first": "2024-05-17T12:00:00Z", "last": "2024-05-18"}, "b"),
        ({"most_cloud": 20.0}, "b"),
        ({"most_incidence": 12.0}, "ab"),
        ({"most_incidence": 30.0}, "abc"),
        ({"bbox": (0.5, 0.5, 3, 3)}, "a"),
        ({"bbox": (170.5, -5, -174, 5)}, "bc"),
        ({"collections": ("in-a",), "last": "2024-05-16"}, ""),
    ],
)
def test_what_is_named_has_to_fit(given: dict[str, Any], ids: str) -> None:
    expression = Shorthands(**given).expression()
    rows = np.flatnonzero(selected(expression, ITEMS))
    assert "".join(ITEMS.items[row]["id"] for row in rows) == ids
    if expression is not None:
        parse_filter(expression)


def test_nothing_named_is_every_scene() -> None:
    assert Shorthands().expression() is None


@pytest.mark.parametrize(
    "given",
    [
        {"first": "May"},
        {"first": "2024-05-18", "last": "2024-05-17"},
        {"most_incidence": -1.0},
        {"bbox": (0, 2, 1, 1)},
    ],
)
def test_what_is_none_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(FilterInvalidError):
        Shorthands(**given).expression()
