"""Random requests under random changes are answered and counted as if nothing was remembered."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import shapely

from auth.models import Forbid, InstitutionStatus, Quota, Rate
from auth.reach import EVERYWHERE, Conditions, Selector, Window, new_area
from tests.conftest import SCALE
from tests.server.conftest import TILE
from tests.server.hits.pair import PORTAL, SITE, Pair

STEPS = max(600, round(16_000 * SCALE))
BOX = new_area(shapely.to_wkb(shapely.box(1.4175, 43.6045, 1.4187, 43.6061)))
"""Cuts the tile."""


def credentials(pair: Pair) -> list[tuple[str, str, dict[str, str]]]:
    """Give ways to ask: a prefix of the path, a query and headers."""
    town = pair.town
    return [
        ("", "", {}),
        ("/public", "", {}),
        ("/public", f"key={town.key}", {}),
        ("", "", {"x-api-key": town.key}),
        ("", "", {"authorization": f"Bearer {town.key}"}),
        ("", f"key={town.key}", {}),
        ("", f"apikey={town.key}&key={town.key}", {}),
        (f"/k/{town.key}", "", {}),
        ("", "", {"x-api-key": town.other_key}),
        ("", "", {"x-api-key": town.revoked_key}),
        ("", "", {"x-api-key": town.operator_key}),
        ("", f"key={town.other_key}", {"x-api-key": town.key}),
        ("", "", {"x-api-key": pair.keys["ending"][1]}),
        ("", "", {"x-api-key": pair.keys["of_site"][1]}),
        ("", "sig=" + pair.signature("url", 30), {}),
        ("", "", {"cookie": "__Host-flux=" + pair.signature("cookie", 30)}),
        ("", "", {"cookie": "__Host-flux=" + pair.signature("url", 30)}),
        ("", "", PORTAL),
        ("", "", {**PORTAL, "x-flux-gateway": "wrong"}),
    ]


def draw_request(pair: Pair, rnd: random.Random) -> dict[str, Any]:
    layer = rnd.choices(("open", "granted", "hidden", "none"), (4, 6, 1, 1))[0]
    kvp = "&".join((
        "SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&STYLE=default&TILEMATRIXSET=WebMercatorQuad",
        f"LAYER={layer}&FORMAT=image/png&TILEMATRIX=17&TILEROW=47859&TILECOL={rnd.choice((66052, 66053, 1))}",
    ))  # fmt: skip
    beside = TILE.format(layer).replace("66052", rnd.choice(("66051", "66053", "1")))
    path, query = rnd.choice((
        (TILE.format(layer), ""),
        (beside, rnd.choice(("", "", "style=default"))),
        (TILE.format(layer), rnd.choice(("style=default", "time=latest", "time=2024-05-17", "g=x", "a=b"))),
        (TILE.format(layer).replace(".png", rnd.choice(("", ".jpg", "@2x.webp", ".gif"))), ""),
        (f"/tiles/{layer}/WebMercatorQuad/17/1/2.png", ""),
        (f"/wmts/1.0.0/{layer}/default/default/WebMercatorQuad/17/47859/66052.png", ""),
        ("/wmts", kvp),
        (f"/tiles/{layer}/WebMercatorQuad/tilejson.json", ""),
        ("/whoami", ""),
    ))  # fmt: skip
    prefix, shown, headers = rnd.choice(credentials(pair)[: rnd.choice((8, 8, None))])
    target = prefix + path + "?" + "&".join(part for part in (query, shown) if part)
    more = rnd.choice((
        {}, {}, {}, {"user-agent": "a"}, {"accept-language": "en"}, {"origin": SITE},
        {"referer": SITE + "/a"}, {"accept": "image/webp"}, {"x-forwarded-for": "192.0.2.7"},
        {"if-none-match": "*"}, {"host": "bad host"}, {"x-unheard-of": "1"}, {"sec_org": "region"},
        {"cache-control": "no-cache"},
    ))  # fmt: skip
    return {
        "target": target.rstrip("?"),
        "headers": {**headers, **more},
        "method": rnd.choice(("GET",) * 15 + ("HEAD", "OPTIONS", "POST")),
        "peer": rnd.choice(("127.0.0.1", "127.0.0.1", "192.0.2.7")),
    }


def change_something(pair: Pair, rnd: random.Random) -> str:
    region = pair.policy.institutions["region"]
    key = pair.policy.keys[pair.town.key[9:17]]
    now = pair.clock()
    changes: dict[str, Callable[[], None]] = {
        "epoch": lambda: pair.set_policy(pair.policy),
        "status": lambda: pair.change(
            institutions={
                "region": replace(
                    region, status=rnd.choice((InstitutionStatus.ACTIVE, InstitutionStatus.SUSPENDED))
                )
            }
        ),
        "revoked": lambda: pair.change(
            keys={key.id: replace(key, revoked=rnd.choice((None, None, now)), rate=None)}
        ),
        "key rate": lambda: pair.change(
            keys={key.id: replace(key, rate=rnd.choice((None, Rate(per_second=1e5, burst=10**6))))}
        ),
        "forbid": lambda: pair.change(
            forbids={
                "f": rnd.choice((
                    None,
                    Forbid(
                        id="f",
                        area=rnd.choice((EVERYWHERE, BOX)),
                        reason="embargo",
                        created=now,
                        selector=Selector(collections=frozenset({rnd.choice(("open", "granted"))})),
                    ),
                ))
            }
        ),
        "area": lambda: pair.change_grants("region", area=rnd.choice((EVERYWHERE, BOX))),
        "quota": lambda: pair.change_grants("region", quota=rnd.choice((None, Quota(amount=10**9)))),
        "valid": lambda: pair.change_grants(
            "region", valid=rnd.choice((Window(), Window(end=now + timedelta(minutes=rnd.randint(1, 40)))))
        ),
        "conditions": lambda: pair.change_grants(
            "public",
            conditions=rnd.choice((
                Conditions(),
                Conditions(origins=frozenset({SITE})),
                Conditions(networks=frozenset({"192.0.2.0/24"})),
            )),
        ),
        "stale": lambda: pair.set_stale(rnd.choice((0.0, 0.0, 1000.0))),
        "later": lambda: pair.clock.move(timedelta(minutes=rnd.randint(1, 50))),
        "tomorrow": lambda: pair.clock.move(timedelta(days=1)),
        "earlier": lambda: pair.clock.move(-timedelta(minutes=5)),
    }  # fmt: skip
    name = rnd.choice(list(changes))
    changes[name]()
    return name


@pytest.mark.parametrize("seed", range(4))
def test_random_requests_are_answered_and_counted_as_if_nothing_was_remembered(
    either: Pair, seed: int
) -> None:
    pair = either
    rnd = random.Random(seed)
    asked = [draw_request(pair, rnd) for _ in range(10)]
    done: list[str] = []
    rights = pair.policy
    for _ in range(STEPS):
        if rnd.random() < 0.05:
            done.append(change_something(pair, rnd))
        if rnd.random() < 0.03:
            pair.set_policy(rights)
        if rnd.random() < 0.05:
            asked[rnd.randrange(len(asked))] = draw_request(pair, rnd)
        request = dict(rnd.choice(asked))
        reply = pair.get(request.pop("target"), request.pop("headers"), **request)
        assert reply.status < 500 or reply.status == 503, done
    assert pair.hits > STEPS // 40, pair.hits
