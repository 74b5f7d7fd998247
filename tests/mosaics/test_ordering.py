"""The first scenes of a box, in order, are the first of all that meet it, however many parts hold them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely
from scenes import collection, scene

from mosaics.catalog.index import CatalogIndex, Part
from mosaics.catalog.table import SceneTable
from mosaics.filters import EVERYTHING, SceneFilter, SceneRule, SceneSet
from mosaics.finding import mosaic_layer
from mosaics.layers import ANY_TIME
from mosaics.models import Bounds, Text
from mosaics.mosaic import Mosaic, Order
from mosaics.ordering import in_order
from mosaics.times import TimeSpan

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
FEW = SceneFilter((SceneRule(scenes=SceneSet(licences=frozenset("l"))),))
YEAR = TimeSpan(start=BEGIN, end=BEGIN + timedelta(days=30))
NEAREST = TimeSpan(nearest=BEGIN + timedelta(days=20))
ORDERS = [Order(), Order(rule="oldest"), Order(rule="finest"), Order(rule="nearest", date=BEGIN)]


def some_table(chance: random.Random, count: int, first: int, *, twins: bool) -> SceneTable:
    return SceneTable.of_scenes(
        scene(
            f"s{first + number:05d}",
            licence_id=chance.choice(["l", "m", "m"]),
            acquired=None if chance.random() < 0.1 else BEGIN + timedelta(days=chance.randrange(60)),
            footprint=shapely.box(
                west := chance.uniform(0, 9), south := chance.uniform(40, 49), west + 0.2, south + 0.3
            ),
            ground_resolution=chance.choice([0.5, 1.5, 10.0]),
            sequence=(first + number) // 2 if twins else first + number,
        )
        for number in range(count)
    )


@pytest.mark.parametrize(
    ("sizes", "twins"), [((600,), True), ((600, 9), False), ((2600,), False), ((2600, 300, 20), False)]
)
def test_the_first_of_a_box(sizes: tuple[int, ...], twins: bool) -> None:
    chance = random.Random(sum(sizes))
    tables = [some_table(chance, size, sum(sizes[:n]), twins=twins) for n, size in enumerate(sizes)]
    parts = [Part(table) for table in tables]
    parts[0] = parts[0].without(chance.sample(range(sizes[0]), 50))
    index = CatalogIndex(sequence=1, collections={"c": collection()}, parts=tuple(parts))
    boxes = [Bounds(-9, 30, 20, 60), Bounds(1, 41, 4, 44), Bounds(5, 45, 5.1, 45.1), Bounds(20, 10, 30, 20)]
    for order in ORDERS:
        for opened in (EVERYTHING, FEW):
            mosaic = Mosaic(id="m", title=Text(fr="", en=""), description=Text(fr="", en=""), order=order)
            layer = mosaic_layer(index, mosaic, opened)
            for span in (ANY_TIME, YEAR, NEAREST):
                everything = layer.places(None, span)
                for box in boxes:
                    met = [place for place in everything if meets(place.bounds, box)]
                    assert layer.places(box, span) == met
                    for most in (1, 40, 700):
                        assert layer.places(box, span, most) == met[:most], (order, span, box, most)


def meets(one: Bounds, other: Bounds) -> bool:
    return one[0] <= other[2] and one[2] >= other[0] and one[1] <= other[3] and one[3] >= other[1]


def test_nothing_is_in_order() -> None:
    table = SceneTable.of_scenes([])
    assert in_order([(table, np.zeros(0, np.intp))], 3) == []
