"""Nothing leaks: every route that gives pixels or numbers gives what the naive model opens, and no more.

For random rights and requests. A failure names the seed; `check_everything(world, SEED)` repeats it.
"""

from __future__ import annotations

import random
import re
from collections import Counter

from auth.models import Action
from tests.access.leak_asking import ADDRESSES, EXERCISED, check_everything, check_hidden, run
from tests.access.leak_pictures import same_tile
from tests.access.leak_world import World, draw
from tests.conftest import SCALE
from tests.server.conftest import declared_routes

SHOWING = {Action.PREVIEW, Action.TILE, Action.INFO, Action.EXPORT}
EXAMPLES = max(12, round(300 * SCALE))


def test_every_route_that_shows_something_is_asked() -> None:
    declared = declared_routes()
    showing = {route.id for route in declared if route.actions & SHOWING}
    assert showing == EXERCISED.keys(), "a route that gives pixels or numbers is not in the leak test"
    for route in declared:
        if "{layer}" in route.path:
            assert any(_like(route.path, target) for target, _ in ADDRESSES), route.id


def _like(path: str, target: str) -> bool:
    pattern = re.sub(r"\{[^/]+\}", "[^/]+", path)
    return re.fullmatch(pattern, target.partition("?")[0].format(layer="x")) is not None


def test_every_route_gives_what_rights_open_and_no_more(world: World) -> None:
    seen: Counter[str] = Counter()

    def check(seed: int) -> None:
        check_everything(world, seed, seen)
        check_hidden(world)

    run(check, EXAMPLES)
    print(dict(sorted(seen.items())))  # noqa: T201 - the figures of a closing note
    assert seen["on an edge"] <= seen["pixels"] / 10_000 + 5
    shown = {
        "own_tile",
        "legend with numbers",
        "legend without numbers",
        "xyz_tile",
        "wmts_tile",
        "wmts_kvp",
        "preview",
        "statistics",
        "point",
        "series",
        "feature_series",
        "timelapse",
        "feature_timelapse",
        "changed_tile",
        "volume",
        "wmts_feature_info",
    }
    assert all(seen[name] for name in shown), "nothing was compared with these routes"


def test_one_tile_for_several_callers_is_each_ones_own(world: World) -> None:
    seen: Counter[str] = Counter()
    for seed in range(max(8, round(100 * SCALE))):
        rnd = random.Random(seed)
        draw(world, rnd)
        same_tile(world, rnd, seen)
    assert seen["same_tile"]
