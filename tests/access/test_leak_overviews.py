"""Overviews tell nothing of what is hidden: other pixels in hidden scenes make no other pictures.

Two homes hold the same scenes, of which some have other pixels. Where a random filter opens none of these on
a tile, the tile is the same in both, whatever was averaged into the overviews.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import shapely

from mosaics.catalog.index import CatalogIndex
from mosaics.compose import compose
from mosaics.errors import LayerNotFoundError
from mosaics.filters import EVERYTHING, NATIVE, Exclusion, Fineness, SceneFilter, SceneRule, SceneSet
from mosaics.finding import find_layer
from mosaics.geodesy import ground_resolution
from mosaics.models import Frame, Picture
from mosaics.resolve import frame_outline
from tests.conftest import SCALE
from tests.wide import Wide, frames, tile

EXAMPLES = max(15, round(200 * SCALE))
SIDE = 6
SECRET = frozenset({"l1-1-1", "l1-4-2", "l1-2-4", "l1-5-5"})
ZOOMS = range(8, 14)
LICENCES = ("l1", "l2")
IDS = [f"{licence}-{x}-{y}" for licence in LICENCES for x in range(SIDE) for y in range(SIDE)]


class Twin(Wide):
    """A home whose secret scenes have other pixels."""

    def scene(self, id_: str, at: tuple[int, int], value: int, *more: Any, **facts: Any) -> None:
        super().scene(id_, at, (value + 97) % 180 + 20 if id_ in SECRET else value, *more, **facts)


@dataclass(frozen=True)
class Home:
    """A home with its overviews, as a worker knows it."""

    wide: Wide
    index: CatalogIndex

    def shown(self, opened: SceneFilter, frame: Frame) -> tuple[Picture, bool] | None:
        """Draw a tile, and tell whether an overview is in it; None: the caller sees no such layer."""
        try:
            layer = find_layer(self.index, "c", opened)
        except LayerNotFoundError:
            return None
        resolved = tile(layer, frame, opened)
        coarse = any(each.scene.id.startswith("overview-") for each in resolved.contributions)
        return compose(resolved, self.wide.reader, _fail)[0], coarse


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Home]:
    made = Wide(tmp_path_factory.mktemp("one")), Twin(tmp_path_factory.mktemp("other"))
    for wide in made:
        wide.collection("c")
        wide.field(SIDE, SIDE, LICENCES)
        assert {each.status for each in wide.seed()} == {"made"}
    return Home(made[0], made[0].index), Home(made[1], made[1].index)


def test_what_is_hidden_changes_no_tile(homes: tuple[Home, Home]) -> None:
    seen: Counter[str] = Counter()
    whole = find_layer(homes[0].index, "c", EVERYTHING)
    every = {zoom: frames(whole, zoom) for zoom in ZOOMS}
    for seed in range(EXAMPLES):
        rnd = random.Random(seed)
        opened = random_filter(rnd, homes[0].wide)
        for zoom in ZOOMS:
            for frame in rnd.sample(every[zoom], min(len(every[zoom]), 3)):
                check(seed, opened, homes, frame, seen)
    print(dict(seen))  # noqa: T201 - the figures of a closing note
    assert seen["told apart"] >= EXAMPLES, "where a secret is open, the homes look different"
    assert seen["hidden, overviews used"] >= EXAMPLES // 4
    assert seen["hidden, overviews closed"] >= EXAMPLES // 4


def check(seed: int, opened: SceneFilter, homes: tuple[Home, Home], frame: Frame, seen: Counter[str]) -> None:
    found, twin = (home.shown(opened, frame) for home in homes)
    if found is None or twin is None:
        assert found is twin
        return
    same = all(np.array_equal(getattr(found[0], name), getattr(twin[0], name)) for name in ("rgb", "alpha"))
    boxes, outline = homes[0].wide.boxes, frame_outline(frame)
    near = [id_ for id_ in SECRET if boxes[id_].intersects(outline)]
    if all(is_hidden(opened, homes[0].wide, id_, frame) for id_ in near):
        assert same, f"seed {seed}, {frame}: a hidden scene shows"
        if near:
            seen["hidden, overviews used" if found[1] else "hidden, overviews closed"] += 1
    elif not same:
        seen["told apart"] += 1


def _fail(error: Exception) -> None:
    raise error


def is_hidden(opened: SceneFilter, wide: Wide, id_: str, frame: Frame) -> bool:
    """Tell whether no rule opens any part of a scene on a tile; says no where it would be long to tell."""
    detail = ground_resolution(frame)
    place = shapely.intersection(wide.boxes[id_], frame_outline(frame))

    def holds(scenes: SceneSet) -> bool:
        return (scenes.licences is None or id_[:2] in scenes.licences) and (
            scenes.scenes is None or id_ in scenes.scenes
        )

    def takes_out(exclusion: Exclusion, there: Any) -> bool:
        finest = exclusion.finer_than
        return (
            holds(exclusion.scenes)
            and (exclusion.area is None or bool(shapely.covers(exclusion.area, there)))
            and (finest is None or detail < (finest.ground_resolution or 0) * 0.9)
        )

    for rule in opened.rules:
        there = place if rule.area is None else shapely.intersection(place, rule.area)
        finest = rule.fineness.ground_resolution or 0
        if (
            not holds(rule.scenes)
            or shapely.is_empty(there)
            or detail < finest * 0.9
            or any(takes_out(each, there) for each in rule.exclusions)
        ):
            continue
        return False
    return True


def random_filter(rnd: random.Random, wide: Wide) -> SceneFilter:
    return SceneFilter(tuple(random_rule(rnd, wide) for _ in range(rnd.choice((1, 1, 2, 3)))))


def random_rule(rnd: random.Random, wide: Wide) -> SceneRule:
    exclusions = [
        Exclusion(
            scenes=random_scenes(rnd, often=0.9),
            area=random_area(rnd, wide),
            finer_than=rnd.choice((None, None, Fineness(ground_resolution=rnd.choice((30.0, 90.0, 400.0))))),
        )
        for _ in range(rnd.choice((0, 0, 1, 2)))
    ]
    if rnd.random() < 0.5:
        exclusions.append(Exclusion(scenes=SceneSet(scenes=SECRET)))
    return SceneRule(
        scenes=random_scenes(rnd, often=0.4),
        area=random_area(rnd, wide),
        fineness=rnd.choice((NATIVE, NATIVE, NATIVE, Fineness(ground_resolution=rnd.choice((30.0, 300.0))))),
        exclusions=tuple(exclusions),
    )


def random_scenes(rnd: random.Random, often: float) -> SceneSet:
    if rnd.random() > often:
        return SceneSet()
    if rnd.random() < 0.4:
        return SceneSet(licences=frozenset({rnd.choice(LICENCES)}))
    hidden = rnd.choice((SECRET, frozenset()))
    return SceneSet(scenes=frozenset(rnd.sample(IDS, rnd.choice((3, 30, 70)))) - hidden)


def random_area(rnd: random.Random, wide: Wide) -> Any:
    """Draw an area: mostly everywhere, or a box that is turned somewhat; sometimes just beside a secret."""
    west, south, east, north = shapely.union_all(list(wide.boxes.values())).bounds
    kind = rnd.random()
    if kind < 0.6:
        return None
    if kind < 0.75:
        return shapely.box(west, south, east, north) - wide.boxes[rnd.choice(sorted(SECRET))]
    x, y = rnd.uniform(west, east), rnd.uniform(south, north)
    width, height = rnd.uniform(0.2, 1.5) * (east - west), rnd.uniform(0.2, 1.5) * (north - south)
    box = shapely.box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return shapely.affinity.rotate(box, rnd.uniform(0, 45))
