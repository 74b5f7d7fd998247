"""What remembered answers hang on: each scenario changes one thing, and the next request sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from auth.models import Forbid, InstitutionStatus, Quota, Rate
from auth.reach import EVERYWHERE, Conditions, Window
from tests.server.hits.pair import GRANTED, OPEN, PORTAL, SITE, Pair, by_key


def revoked(pair: Pair) -> None:
    pair.warm(GRANTED, by_key(pair))
    key = pair.policy.keys[pair.town.key[9:17]]
    pair.change(keys={key.id: replace(key, revoked=pair.clock())})
    assert pair.get(GRANTED, by_key(pair)).status == 401


def suspended(pair: Pair) -> None:
    pair.warm(GRANTED + f"?key={pair.town.key}")
    region = replace(pair.policy.institutions["region"], status=InstitutionStatus.SUSPENDED)
    pair.change(institutions={"region": region})
    assert pair.get(GRANTED + f"?key={pair.town.key}").status == 401


def forbidden(pair: Pair) -> None:
    pair.warm(OPEN)
    pair.warm(GRANTED, by_key(pair))
    forbid = Forbid(id="f", area=EVERYWHERE, reason="embargo", created=pair.clock())
    pair.change(forbids={"f": forbid})
    assert pair.get(OPEN).status == 401
    assert pair.get(GRANTED, by_key(pair)).status in {403, 404}


def key_ends(pair: Pair) -> None:
    shown = {"x-api-key": pair.keys["ending"][1]}
    pair.warm(GRANTED, shown)
    pair.clock.move(timedelta(hours=2, seconds=1))
    assert pair.get(GRANTED, shown).status == 401


def old_secret_ends(pair: Pair) -> None:
    key = pair.policy.keys[pair.town.key[9:17]]
    ends = pair.clock() + timedelta(minutes=5)
    pair.change(keys={key.id: replace(key, secrets=(replace(key.secrets[0], until=ends),))})
    pair.warm(GRANTED, by_key(pair))
    pair.clock.move(timedelta(minutes=6))
    assert pair.get(GRANTED, by_key(pair)).status == 401


def signature_ends(pair: Pair) -> None:
    signed = GRANTED + "?sig=" + pair.signature("url", 20)
    cookie = {"cookie": "a=b; __Host-flux=" + pair.signature("cookie", 20)}
    pair.warm(signed)
    pair.warm(GRANTED, cookie)
    pair.clock.move(timedelta(minutes=21))
    assert pair.get(signed).status == 401
    assert pair.get(GRANTED, cookie).status == 401


def grant_ends(pair: Pair) -> None:
    pair.change_grants("region", valid=Window(end=pair.clock() + timedelta(minutes=10)))
    pair.warm(GRANTED, by_key(pair))
    pair.clock.move(timedelta(minutes=11))
    assert pair.get(GRANTED, by_key(pair)).status in {403, 404}


def clock_goes_back(pair: Pair) -> None:
    pair.change_grants("region", valid=Window(start=pair.clock() - timedelta(minutes=1)))
    pair.warm(GRANTED, by_key(pair))
    pair.clock.move(-timedelta(minutes=10))
    assert pair.get(GRANTED, by_key(pair)).status in {403, 404}


def day_turns(pair: Pair) -> None:
    pair.warm(GRANTED, by_key(pair))
    pair.clock.move(timedelta(days=1))
    pair.get(GRANTED, by_key(pair))
    days = {name[0] for name in pair.remembering.application.services.meter._counters.values()}
    assert len(days) == 2


def rights_too_old(pair: Pair) -> None:
    pair.warm(GRANTED, by_key(pair))
    pair.warm(OPEN)
    pair.set_stale(1000.0)
    assert pair.get(GRANTED, by_key(pair)).status == 503
    assert pair.get(OPEN).status == 200
    pair.set_stale(0.0)
    assert pair.get(GRANTED, by_key(pair)).status == 200


def catalogue_changes(pair: Pair) -> None:
    pair.warm(OPEN)
    pair.without_scene("open")
    assert pair.get(OPEN).status == 401


def quota(pair: Pair) -> None:
    pair.warm(GRANTED, by_key(pair))
    pair.change_grants("region", quota=Quota(amount=3, period="total"))
    assert [pair.get(GRANTED, by_key(pair)).status for _ in range(5)] == [200] * 3 + [429] * 2


def rate_of_grant(pair: Pair) -> None:
    pair.change_grants("region", rate=Rate(per_second=0.001, burst=3))
    assert [pair.get(GRANTED, by_key(pair)).status for _ in range(5)] == [200] * 3 + [429] * 2


def rate_of_key(pair: Pair) -> None:
    shown = {"x-api-key": pair.keys["fast"][1]}
    # a retry says after how long, and no two clocks agree on that: each is asked alone
    for asgi in pair.both:
        assert [asgi.get(GRANTED, shown).status for _ in range(5)] == [200] * 3 + [429] * 2


def credential_of_a_site(pair: Pair) -> None:
    shown = {"x-api-key": pair.keys["of_site"][1]}
    for _ in range(3):
        assert pair.get(GRANTED, {**shown, "origin": SITE}).status == 200
    assert pair.get(GRANTED, {**shown, "origin": "https://other.example"}).status in {401, 403, 404}
    assert pair.get(GRANTED, shown).status in {401, 403, 404}


def right_of_a_site(pair: Pair) -> None:
    pair.change_grants("public", conditions=Conditions(origins=frozenset({SITE})))
    pair.warm(OPEN, {"origin": SITE})
    pair.warm(OPEN, {"referer": SITE + "/map?a=b"})
    assert pair.get(OPEN).status == 401
    assert pair.get(OPEN, {"origin": "https://other.example"}).status == 401


def right_of_a_network(pair: Pair) -> None:
    pair.change_grants("public", conditions=Conditions(networks=frozenset({"192.0.2.0/24"})))
    pair.warm(OPEN, peer="192.0.2.7")
    assert pair.get(OPEN, peer="198.51.100.1").status == 401


def portal(pair: Pair) -> None:
    pair.warm(GRANTED, PORTAL)
    assert pair.get(GRANTED, PORTAL, peer="192.0.2.7").status == 401
    assert pair.get(GRANTED, {**PORTAL, "x-flux-gateway": "another secret of no portal"}).status == 401
    assert pair.get(GRANTED, PORTAL, again=(("sec_org", "region"),)).status == 401
    assert pair.get(GRANTED, PORTAL, again=(("sec-org", "other"),)).status == 401
    pair.change(memberships={"m1": None})
    assert pair.get(GRANTED, PORTAL).status in {401, 403, 404}


def portal_not_believed(pair: Pair) -> None:
    told: list[list[str]] = []
    for asgi in pair.both:
        reasons: list[str] = []
        gateway = asgi.application.asgi._authenticator.gateway
        object.__setattr__(gateway, "dropped", reasons.append)
        told.append(reasons)
    for _ in range(4):
        assert pair.get(OPEN, {**PORTAL, "x-flux-gateway": "no"}).status == 200
    assert told[0] == told[1] == ["secret"] * 4


def other_callers(pair: Pair) -> None:
    pair.warm(GRANTED, {"cookie": "__Host-flux=" + pair.signature("cookie", 20)})
    pair.warm(GRANTED, by_key(pair))
    pair.warm(GRANTED + f"?key={pair.town.key}")
    assert pair.get(GRANTED).status == 401
    assert pair.get(GRANTED, {"x-api-key": pair.town.other_key}).status == 404
    assert pair.get(GRANTED, {"x-api-key": pair.town.revoked_key}).status == 401
    assert pair.get(GRANTED, {"authorization": "Bearer x", **by_key(pair)}).status == 400
    assert pair.get(GRANTED + f"?key={pair.town.key}", {"x-api-key": pair.town.other_key}).status == 400
    assert pair.get("/public" + GRANTED, by_key(pair)).status == 401
    again = (("x-api-key", pair.town.other_key),)
    assert pair.get(GRANTED, by_key(pair), again=again).status == 400


def changed_meanwhile(pair: Pair) -> None:
    """The key is revoked after it was checked, and others have asked since: its answer is not remembered."""
    dispatcher, key = pair.remembering.application.asgi, pair.policy.keys[pair.town.key[9:17]]
    before, identify = pair.policy, dispatcher._identify
    other_scope = {
        "method": "GET", "scheme": "http", "raw_path": OPEN.encode(), "query_string": b"", "headers": []
    }  # fmt: skip

    async def identify_slowly(request: Any, shown: Any) -> Any:
        found = await identify(request, shown)
        pair.change(keys={key.id: replace(key, revoked=pair.clock())})
        pair.memo.find(other_scope)
        return found

    dispatcher._identify = identify_slowly
    assert pair.remembering.get(GRANTED, by_key(pair)).status == 200, "it was checked before"
    dispatcher._identify = identify
    assert before is not pair.policy
    assert pair.remembering.get(GRANTED, by_key(pair)).status == 401


def validators(pair: Pair) -> None:
    etag = pair.get(GRANTED, by_key(pair)).headers["etag"]
    for said, status in ((etag, 304), ("*", 304), (f'"x", W/{etag}', 304), ('"x"', 200)):
        for _ in range(3):
            reply = pair.get(GRANTED, {**by_key(pair), "if-none-match": said})
            assert reply.status == status
            assert bool(reply.body) == (status == 200)


def negotiation(pair: Pair) -> None:
    target = OPEN.removesuffix(".png")
    for accepted, kind in (("image/webp,*/*", "image/webp"), ("*/*", "image/png")):
        for _ in range(3):
            assert pair.get(target, {"accept": accepted}).headers["content-type"] == kind


SCENARIOS: tuple[Callable[[Pair], None], ...] = (
    revoked, suspended, forbidden, key_ends, old_secret_ends, signature_ends, grant_ends, clock_goes_back,
    day_turns, rights_too_old, catalogue_changes, quota, rate_of_grant, rate_of_key, credential_of_a_site,
    right_of_a_site, right_of_a_network, portal, portal_not_believed, other_callers, changed_meanwhile,
    validators, negotiation,
)  # fmt: skip
