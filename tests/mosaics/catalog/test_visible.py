"""What a filter leaves of many scenes at once is what it says of each alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import shapely
from scenes import scene

from mosaics.catalog.table import SceneTable
from mosaics.catalog.visible import Visible, openings_at, rows_held, rules_open, visible
from mosaics.filters import (
    COARSEST,
    EVERYTHING,
    NATIVE,
    Exclusion,
    Fineness,
    SceneFilter,
    SceneRule,
    SceneSet,
)
from mosaics.models import Bounds, Scene

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def some_scenes(chance: random.Random, count: int = 60) -> list[Scene]:
    found = []
    for number in range(count):
        west, south = chance.uniform(-4, 8), chance.uniform(42, 50)
        outline = shapely.box(west, south, west + chance.uniform(0.1, 2), south + 1)
        if number % 7 == 0:
            outline = shapely.union(outline, shapely.box(west + 3, south, west + 4, south + 0.5))
        found.append(
            scene(
                f"s{number % 50}",
                collection_id=chance.choice("cd"),
                licence_id=chance.choice(["l", "m", None]),
                sensor_id=chance.choice(["rgb", "spot"]),
                acquired=None if number % 9 == 0 else BEGIN + timedelta(days=chance.randrange(300)),
                footprint=outline,
                ground_resolution=chance.choice([0.5, 1.5, 10.0]),
                pan_resolution=chance.choice([None, 0.5]),
                sequence=number,
            )
        )
    return found


def some_set(chance: random.Random) -> SceneSet:
    def maybe(*names: str) -> frozenset[str] | None:
        if chance.random() < 0.6:
            return None
        return frozenset(chance.sample(names, chance.randint(1, len(names))))

    window = [BEGIN + timedelta(days=chance.randrange(300)) for _ in range(2)]
    return SceneSet(
        collections=maybe("c", "d"),
        licences=maybe("l", "m"),
        sensors=maybe("rgb", "spot"),
        scenes=maybe(*(f"s{n}" for n in range(50))),
        acquired_from=window[0] if chance.random() < 0.2 else None,
        acquired_before=window[1] if chance.random() < 0.2 else None,
    )


def some_fineness(chance: random.Random) -> Fineness:
    return chance.choice(
        [
            NATIVE,
            Fineness(ground_resolution=2.0),
            Fineness(times_pan=4.0),
            Fineness(ground_resolution=3.0, times_pan=10.0),
            Fineness(ground_resolution=2 * COARSEST),
        ]
    )


def some_area(chance: random.Random) -> shapely.Geometry:
    west, south = chance.uniform(-5, 8), chance.uniform(41, 50)
    box = shapely.box(west, south, west + chance.uniform(0.5, 8), south + chance.uniform(0.5, 8))
    return box if chance.random() < 0.5 else shapely.affinity.rotate(box, 30)


def some_filter(chance: random.Random) -> SceneFilter:
    shared = tuple(
        Exclusion(
            scenes=some_set(chance),
            area=some_area(chance) if chance.random() < 0.6 else None,
            finer_than=some_fineness(chance) if chance.random() < 0.4 else None,
        )
        for _ in range(chance.randrange(3))
    )
    return SceneFilter(
        tuple(
            SceneRule(
                scenes=some_set(chance),
                area=some_area(chance) if chance.random() < 0.5 else None,
                fineness=some_fineness(chance),
                exclusions=shared if chance.random() < 0.7 else (),
            )
            for _ in range(chance.randint(1, 4))
        )
    )


@pytest.mark.parametrize("seed", range(40))
def test_all_at_once_is_one_after_the_other(seed: int) -> None:
    chance = random.Random(seed)
    scenes, opened = some_scenes(chance), some_filter(chance)
    table = SceneTable.of_scenes(scenes)
    seen = visible(table, np.arange(len(table)), opened)
    assert [int(row) for row in seen.rows] == [n for n, s in enumerate(scenes) if opened.sees(s)]
    for row, extent, finest in zip(seen.rows, seen.extents, seen.finest, strict=True):
        assert tuple(extent) == pytest.approx(opened.extent(scenes[row]), abs=1e-12)
        assert finest == opened.finest(scenes[row])
    parts = {id(p.rule) for s in scenes if (o := opened.opening(s, COARSEST)) for p in o.parts}
    assert {id(rule) for rule in rules_open(table, np.arange(len(table)), opened)} == parts


@pytest.mark.parametrize("seed", range(40))
def test_what_is_open_of_rows_is_what_is_open_of_their_scenes(seed: int) -> None:
    chance = random.Random(seed)
    scenes, opened = some_scenes(chance), some_filter(chance)
    table, anew = SceneTable.of_scenes(scenes), SceneFilter(opened.rules)
    limits = (0.5, 1.5, 2.0, 3.0, 5.0, 6.0, 10.0, 40.0, 100.0)
    resolutions = [0.0, *(limit * part for limit in limits for part in (1 - 1e-5, 1.0, 1 + 1e-5)), COARSEST]
    for resolution in chance.sample(resolutions, len(resolutions)):
        rows = np.array(chance.sample(range(len(table)), 30))
        found = openings_at(table, rows, opened, resolution)
        wanted = [anew.opening(scenes[row], resolution) for row in rows]
        assert [each and each.digest for each in found] == [each and each.digest for each in wanted]
        assert [each and [id(part.rule) for part in each.parts] for each in found] == [
            each and [id(part.rule) for part in each.parts] for each in wanted
        ]
    assert openings_at(table, np.zeros(0, np.intp), opened, 1.0) == []


@pytest.mark.parametrize("seed", range(20))
def test_a_set_holds_the_same_rows(seed: int) -> None:
    chance = random.Random(seed)
    scenes, held = some_scenes(chance), some_set(chance)
    assert rows_held(held, SceneTable.of_scenes(scenes)).tolist() == [held.holds(s) for s in scenes]


def test_everything_and_nothing() -> None:
    table = SceneTable.of_scenes(some_scenes(random.Random(1)))
    rows = np.arange(len(table))
    seen = visible(table, rows, EVERYTHING)
    assert seen.rows.tolist() == rows.tolist()
    assert not seen.finest.any()
    assert len(visible(table, rows, SceneFilter()).rows) == 0
    assert len(visible(table, rows[:0], EVERYTHING).rows) == 0


@pytest.mark.parametrize("seed", range(20))
def test_what_is_among_some_rows(seed: int) -> None:
    chance = random.Random(seed)
    table = SceneTable.of_scenes(some_scenes(chance))
    seen = visible(table, np.arange(len(table)), some_filter(chance) if seed % 2 else EVERYTHING)
    rows = np.array(sorted(chance.sample(range(len(table)), 20)))
    among = seen.among(rows)
    assert among.rows.tolist() == sorted(set(rows.tolist()) & set(seen.rows.tolist()))
    places = {int(row): place for place, row in enumerate(seen.rows)}
    for place, row in enumerate(among.rows):
        assert (among.extents[place] == seen.extents[places[int(row)]]).all()
        assert among.finest[place] == seen.finest[places[int(row)]]


def test_what_is_near_is_what_meets_a_box_however_large() -> None:
    chance = random.Random(5)
    table = SceneTable.of_scenes(some_scenes(chance, 300))
    whole = Bounds(-200, -90, 200, 90)
    boxes = [whole, Bounds(4, 45, 4, 45), Bounds(20, 0, 30, 10), Bounds(*table.bounds[7])]
    for _ in range(100):
        west, south, reach = chance.uniform(-6, 9), chance.uniform(41, 51), chance.choice([0.01, 0.3, 3, 9])
        boxes.append(Bounds(west, south, west + reach, south + reach))
    for box in boxes:
        meets = shapely.intersects(shapely.box(*table.bounds.T), shapely.box(*box))
        assert table.near(box).tolist() == np.flatnonzero(meets).tolist(), box
    assert len(SceneTable.of_scenes([]).near(whole)) == 0


@pytest.mark.parametrize("held", [range(0), range(3, 9), range(20), range(0, 20, 3), [2, 3, 5, 6, 7, 19]])
def test_among_rows_is_what_both_have(held: Sequence[int]) -> None:
    rows = np.array(held, np.intp)
    numbers = np.arange(len(rows), dtype=float)
    seen = Visible(rows=rows, extents=np.tile(numbers, (4, 1)).T, finest=numbers)
    chance = random.Random(4)
    asked = [sorted(chance.sample(range(22), count)) for count in (0, 1, 2, 5, 11, 20, 22)]
    for some in (*asked, list(held), list(range(4, 7)), list(range(22))):
        wanted = [row for row in held if row in some]
        found = seen.among(np.array(some, np.intp))
        assert seen.rows_among(np.array(some, np.intp)).tolist() == wanted
        assert found.rows.tolist() == wanted
        assert [list(held)[int(number)] for number in found.finest] == wanted
        assert found.extents[:, 3].tolist() == found.finest.tolist()
