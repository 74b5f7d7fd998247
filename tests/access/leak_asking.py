"""Every route that gives pixels or numbers, and what asks it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from tests.access.leak_numbers import feature_info, feature_statistics, point, statistics, wmts_feature_info
from tests.access.leak_oracle import visible
from tests.access.leak_over_time import (
    changed_tile,
    feature_series,
    feature_timelapse,
    series,
    timelapse,
    volume,
)
from tests.access.leak_pictures import ahead_tile, check_tile, own_tile, preview, sign, wmts_tile, xyz_tile
from tests.access.leak_requests import draw_tile, kvp, said
from tests.access.leak_told import (
    check_capabilities,
    info,
    layer,
    layers,
    legend,
    tilejson,
    wmts_capabilities,
)
from tests.access.leak_world import World, draw


def wmts_kvp(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    asked = draw_tile(world, rnd)
    said(kvp(asked, "GetTile"))
    check_tile(world, asked, world.get(kvp(asked, "GetTile")), seen, "wmts_kvp")
    feature_info(world, rnd, seen, by_kvp=True)
    check_capabilities(world, world.get("/wmts?SERVICE=WMTS&REQUEST=GetCapabilities"), seen)


EXERCISED: dict[str, Callable[[World, random.Random, Counter[str]], None]] = {
    "xyz_tile": xyz_tile,
    "tilejson": tilejson,
    "wmts_kvp": wmts_kvp,
    "wmts_capabilities": wmts_capabilities,
    "wmts_tile": wmts_tile,
    "wmts_feature_info": wmts_feature_info,
    "layers": layers,
    "layer": layer,
    "preview": preview,
    "legend": legend,
    "info": info,
    "statistics": statistics,
    "feature_statistics": feature_statistics,
    "point": point,
    "series": series,
    "feature_series": feature_series,
    "volume": volume,
    "timelapse": timelapse,
    "feature_timelapse": feature_timelapse,
    "sign": sign,
}
"""Every route that gives pixels or numbers, and what asks it."""


def check_everything(world: World, seed: int, seen: Counter[str] | None = None) -> None:
    """Draw rights and a caller, and ask every route something."""
    draw(world, random.Random(seed))
    for ask in (*EXERCISED.values(), ahead_tile, own_tile, changed_tile):
        # each draws alone, so that a new route leaves what the others ask as it is
        ask(world, random.Random(f"{seed} {ask.__name__}"), Counter() if seen is None else seen)


def check_hidden(world: World) -> None:
    """What is hidden and what is missing get the same bytes on every route."""
    for hidden, missing in (("town", "none"), ("town:flat", "none:flat"), ("multi:degrees", "multi:none")):
        if any(visible(world, hidden, action) for action in ("tile", "catalogue", "preview", "info")):
            continue
        for target, method in ADDRESSES:
            answers = []
            for name in (hidden, missing):
                reply = world.get(
                    target.format(layer=name), method, b"{}", **{"content-type": "application/json"}
                )
                kept = {k: v for k, v in reply.headers.items() if k != "x-request-id"}
                answers.append((reply.status, kept, reply.body))
            assert answers[0] == answers[1], target
            assert answers[0][0] in ({200, 401} if "layers=" in target else {400, 401, 404})


GET_TILE = "/wmts?service=WMTS&request=GetTile&version=1.0.0&layer={layer}&style=&format=image/png"
ADDRESSES = (
    ("/tiles/{layer}/WebMercatorQuad/17/66052/47859.png", "GET"),
    ("/tiles/{layer}/WebMercatorQuad/17/66052/47859.png?bands=1&rescale=0,9&compare=2024-05-11", "GET"),
    ("/tiles/{layer}/WebMercatorQuad/tilejson.json", "GET"),
    ("/wmts/1.0.0/{layer}/default/default/WebMercatorQuad/17/47859/66052.png", "GET"),
    ("/wmts/1.0.0/{layer}/default/default/WebMercatorQuad/17/47859/66052/9/9.json", "GET"),
    (GET_TILE + "&tilematrixset=WebMercatorQuad&tilematrix=17&tilerow=47859&tilecol=66052", "GET"),
    ("/wmts?layers={layer}", "GET"),
    ("/layers/{layer}", "GET"),
    ("/preview/{layer}.png", "GET"),
    ("/legend/{layer}/default.json", "GET"),
    ("/legend/{layer}/default.png?bands=1", "GET"),
    ("/info/{layer}", "GET"),
    ("/statistics/{layer}", "GET"),
    ("/statistics/{layer}", "POST"),
    ("/point/{layer}/1.4165,43.606", "GET"),
    ("/series/{layer}?at=1.4165,43.606", "GET"),
    ("/series/{layer}", "POST"),
    ("/volume/{layer}?compare=2024-05-11", "POST"),
    ("/timelapse/{layer}", "GET"),
    ("/timelapse/{layer}", "POST"),
)


def run(check: Callable[[int], None], examples: int) -> None:
    """Run a check on random seeds."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32))
    def with_seed(seed: int) -> None:
        note(f"seed {seed}")
        check(seed)

    with_seed()
