"""What is given again without asking is what would be given now: the same answers, the same counts.

Two applications over copies of one home are asked the same, one that remembers and one that never does. And
each condition of remembering, switched off, is noticed.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import shapely

import auth.credentials
import server.authentication
import server.hits
from auth.credentials import new_key
from auth.models import Caveat, Forbid, Grant, InstitutionStatus, Key, Membership, Quota, Rate
from auth.reach import EVERYWHERE, Conditions, Selector, Window, new_area
from auth.signing import Signed, sign
from auth.snapshot import PolicySnapshot
from mosaics.filters import SceneFilter, SceneRule, SceneSet
from mosaics.models import Bounds, Frame
from mosaics.resolve import ResolvedTile
from server.answers import Answer
from server.dispatcher import Dispatcher
from server.hits import FROM, MEANINGLESS, Hit, Hits
from server.resolutions import Resolutions, Resolved
from server.usage.meter import Meter
from tests.conftest import SCALE, Reply, Town
from tests.server.conftest import TILE, Asgi, copy_home

SECRET = "a shared secret of the portal"
PORTAL = {"x-flux-gateway": SECRET, "sec-username": "marie", "sec-org": "region"}
GRANTED, OPEN = TILE.format("granted"), TILE.format("open")
STEPS = max(600, round(16_000 * SCALE))
SITE = "https://geo.example.org"
BOX = new_area(shapely.to_wkb(shapely.box(1.4175, 43.6045, 1.4187, 43.6061)))
"""Cuts the tile."""


@dataclass
class Clock:
    """A clock that a test moves."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def move(self, by: timedelta) -> None:
        self.ahead += by


@dataclass
class Pair:
    """One application that remembers and one that does not, with the same rights, catalogue and clock."""

    remembering: Asgi
    plain: Asgi
    town: Town
    clock: Clock = field(default_factory=Clock)
    epochs: itertools.count[int] = field(default_factory=lambda: itertools.count(1_000_000))
    hits: int = 0
    policy: PolicySnapshot = field(default_factory=PolicySnapshot)
    keys: dict[str, tuple[Key, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for asgi in (self.remembering, self.plain):
            asgi.application.asgi._clock = self.clock
            asgi.application.services.meter.clock = self.clock
        self.memo.clock = self.clock
        find = self.memo.find

        def counted(scope: Any) -> Any:
            found = find(scope)
            self.hits += isinstance(found, Hit)
            return found

        self.memo.find = counted  # type: ignore[method-assign]
        services = self.remembering.application.services
        now, peppers = self.clock(), services.peppers
        self.keys["ending"] = new_key(
            "t", "region", peppers, url_allowed=True, now=now, expires=now + timedelta(hours=2)
        )
        site = Caveat(area=EVERYWHERE, conditions=Conditions(origins=frozenset({SITE})))
        self.keys["of_site"] = new_key("t", "region", peppers, url_allowed=True, now=now, caveat=site)
        self.keys["fast"] = new_key(
            "t", "region", peppers, url_allowed=True, now=now, rate=Rate(per_second=0.001, burst=3)
        )
        member = Membership(id="m1", institution_id="region", issuer="gateway", claim="org", value="region")
        known = services.knowledge.policy
        assert known is not None
        made = {key.id: key for key, _ in self.keys.values()}
        self.set_policy(replace(known, keys={**known.keys, **made}, memberships={"m1": member}))

    @property
    def memo(self) -> Hits:
        hits = self.remembering.application.asgi._hits
        assert hits is not None
        return hits

    @property
    def both(self) -> tuple[Asgi, Asgi]:
        return self.remembering, self.plain

    def set_policy(self, policy: PolicySnapshot) -> None:
        """Make these the rights of both, at a new epoch."""
        self.policy = replace(policy, epoch=next(self.epochs))
        for asgi in self.both:
            knowledge = asgi.application.services.knowledge
            knowledge.policy, knowledge.policy_at = self.policy, time.monotonic()

    def change(self, **kinds: dict[str, Any]) -> None:
        """Put rights of some kinds, by id; None takes one away."""
        held = {
            kind: {id_: right for id_, right in {**getattr(self.policy, kind), **put}.items() if right}
            for kind, put in kinds.items()
        }
        self.set_policy(replace(self.policy, **held))

    def grants_of(self, grantee: str) -> dict[str, Grant]:
        return {id_: grant for id_, grant in self.policy.grants.items() if grant.grantee == grantee}

    def change_grants(self, grantee: str, **what: Any) -> None:
        self.change(grants={id_: replace(g, **what) for id_, g in self.grants_of(grantee).items()})

    def set_stale(self, seconds: float) -> None:
        for asgi in self.both:
            asgi.application.services.knowledge.policy_at = time.monotonic() - seconds

    def without_scene(self, collection: str) -> None:
        """Take the scenes of a collection out of both catalogues."""
        for asgi in self.both:
            knowledge = asgi.application.services.knowledge
            index = knowledge.index
            knowledge.index = replace(
                index,
                sequence=index.sequence + 1000,
                scenes={key: scene for key, scene in index.scenes.items() if key[0] != collection},
                by_collection={k: v for k, v in index.by_collection.items() if k != collection},
            )

    def signature(self, use: Any, minutes: float) -> str:
        """Sign for the key of the region."""
        now = self.clock()
        signed = Signed(use=use, expires=now + timedelta(minutes=minutes), key_id=self.town.key[9:17])
        return sign(self.plain.application.services.peppers, signed, now)

    def get(self, target: str, headers: dict[str, str] | None = None, **more: Any) -> Reply:
        """Ask both, which answer and count alike."""
        replies = [asgi.get(target, headers, **more) for asgi in self.both]
        shown = []
        for reply in replies:
            same = {name: value for name, value in reply.headers.items() if name != "x-request-id"}
            shown.append((reply.status, list(same.items()), reply.body))
        assert shown[0] == shown[1], (target, headers, more, shown[0][:2], shown[1][:2])
        assert replies[0].headers["x-request-id"] != replies[1].headers["x-request-id"]
        self.check_counts()
        return replies[0]

    def check_counts(self) -> None:
        one, other = (asgi.application.services.meter for asgi in self.both)
        used = [{n: c for n, c in m._counters.values().items() if n[0] != "lease"} for m in (one, other)]
        assert used[0] == used[1]
        assert one._uses == other._uses

    def warm(self, target: str, headers: dict[str, str] | None = None, **more: Any) -> None:
        """Ask until the answer is remembered."""
        for _ in range(2):
            assert self.get(target, headers, **more).status == 200
        before = self.hits
        assert self.get(target, headers, **more).status == 200
        assert self.hits == before + 1, "it is remembered"


@pytest.fixture
def pair(town: Town, tmp_path: Path, started: Callable[..., Asgi]) -> Pair:
    settings: dict[str, Any] = {"gateway": {"networks": ["127.0.0.1"], "secret": SECRET}}
    one = started(copy_home(town, tmp_path / "one"), **settings)
    other = started(copy_home(town, tmp_path / "other"), **settings, tiles={"memo_entries": 0})
    assert other.application.asgi._hits is None
    return Pair(one, other, town)


# --- Each change is seen by the next request ---------------------------------------------------------------


def by_key(pair: Pair) -> dict[str, str]:
    return {"x-api-key": pair.town.key}


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

    dispatcher._identify = identify_slowly  # type: ignore[method-assign]
    assert pair.remembering.get(GRANTED, by_key(pair)).status == 200, "it was checked before"
    dispatcher._identify = identify  # type: ignore[method-assign]
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


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_what_is_remembered_ends_with_what_it_hangs_on(pair: Pair, scenario: Callable[[Pair], None]) -> None:
    scenario(pair)


# --- Each condition is needed ------------------------------------------------------------------------------

Patch = pytest.MonkeyPatch


def never_forgets(patch: Patch, _pair: Pair) -> None:
    def begin(self: Hits, policy: PolicySnapshot, sequence: int) -> None:
        self._policy, self._sequence = policy, sequence

    patch.setattr(Hits, "_begin", begin)


def no_look_at_the_clock(patch: Patch, _pair: Pair) -> None:
    patch.setattr(Hits, "_holds", lambda *_: True)


def no_look_at_the_age(patch: Patch, _pair: Pair) -> None:
    patch.setattr(Hits, "_holds", lambda self, hit: hit.since <= self.clock() < hit.until)


def no_beginning(patch: Patch, _pair: Pair) -> None:
    patch.setattr(Hits, "_holds", lambda self, hit: self.clock() < hit.until)


def no_end_of_credentials(patch: Patch, _pair: Pair) -> None:
    patch.setattr(auth.credentials, "earliest", lambda *_: None)
    patch.setattr(server.authentication, "earliest", lambda *_: None)


def no_end_of_decisions(patch: Patch, _pair: Pair) -> None:
    first = server.hits.earliest
    patch.setattr(server.hits, "earliest", lambda *instants: first(*instants[:2]))


def no_midnight(patch: Patch, _pair: Pair) -> None:
    patch.setattr(server.hits, "_midnight_after", lambda now: now + timedelta(days=300))


def rates_forgotten(patch: Patch, _pair: Pair) -> None:
    patch.setattr(Meter, "limits", lambda *_: False)


def free(answer: Answer) -> Answer:
    return replace(answer, goods=answer.goods and replace(answer.goods, charged=()))


def metering_forgotten(patch: Patch, _pair: Pair) -> None:
    may_keep = Hits._may_keep
    patch.setattr(server.hits, "_metered", lambda _: False)
    patch.setattr(
        Hits,
        "_may_keep",
        lambda self, asked, call, who, answer, status: may_keep(self, asked, call, who, free(answer), status),
    )


def conditions_of_credentials_forgotten(patch: Patch, _pair: Pair) -> None:
    patch.setattr(server.hits, "_conditional", lambda _: False)


def sites_forgotten(patch: Patch, _pair: Pair) -> None:
    begin = Hits._begin

    def begins(self: Hits, policy: PolicySnapshot, sequence: int) -> None:
        begin(self, policy, sequence)
        self._skipped = MEANINGLESS | FROM

    patch.setattr(Hits, "_begin", begins)


def peers_forgotten(patch: Patch, _pair: Pair) -> None:
    begin = Hits._begin

    def begins(self: Hits, policy: PolicySnapshot, sequence: int) -> None:
        begin(self, policy, sequence)
        self._with_peer = False

    patch.setattr(Hits, "_begin", begins)


def a_header_forgotten(*names: bytes) -> Callable[[Patch, Pair], None]:
    def switch_off(patch: Patch, _pair: Pair) -> None:
        patch.setattr(server.hits, "MEANINGLESS", MEANINGLESS | set(names))

    return switch_off


def the_query_forgotten(patch: Patch, _pair: Pair) -> None:
    name = Hits._name
    patch.setattr(Hits, "_name", lambda self, scope: name(self, {**scope, "query_string": b""}))


def portals_forgotten(patch: Patch, _pair: Pair) -> None:
    patch.setattr(server.hits, "PORTAL_HEADERS", ())


def no_look_at_what_it_was_asked_by(patch: Patch, _pair: Pair) -> None:
    keep = Hits.keep
    patch.setattr(
        Hits, "keep", lambda self, asked, call, *more: keep(
            self, asked._replace(policy=call.policy, sequence=call.index.sequence), call, *more
        )
    )  # fmt: skip


DEFENCES: tuple[tuple[Callable[[Patch, Pair], None], Callable[[Pair], None]], ...] = (
    (never_forgets, revoked),
    (never_forgets, suspended),
    (never_forgets, forbidden),
    (never_forgets, catalogue_changes),
    (never_forgets, quota),
    (no_look_at_the_clock, key_ends),
    (no_look_at_the_clock, rights_too_old),
    (no_look_at_the_age, rights_too_old),
    (no_beginning, clock_goes_back),
    (no_end_of_credentials, key_ends),
    (no_end_of_credentials, old_secret_ends),
    (no_end_of_credentials, signature_ends),
    (no_end_of_decisions, grant_ends),
    (no_midnight, day_turns),
    (rates_forgotten, rate_of_key),
    (metering_forgotten, quota),
    (metering_forgotten, rate_of_grant),
    (conditions_of_credentials_forgotten, credential_of_a_site),
    (sites_forgotten, right_of_a_site),
    (peers_forgotten, right_of_a_network),
    (peers_forgotten, portal),
    (a_header_forgotten(b"x-api-key"), other_callers),
    (a_header_forgotten(b"authorization"), other_callers),
    (a_header_forgotten(b"cookie"), other_callers),
    (a_header_forgotten(b"x-flux-gateway"), portal),
    (a_header_forgotten(b"sec_org"), portal),
    (a_header_forgotten(b"if-none-match"), validators),
    (a_header_forgotten(b"accept"), negotiation),
    (the_query_forgotten, other_callers),
    (portals_forgotten, portal_not_believed),
    (no_look_at_what_it_was_asked_by, changed_meanwhile),
)


@pytest.mark.parametrize(("switch_off", "scenario"), DEFENCES)
def test_each_condition_switched_off_is_noticed(
    pair: Pair, monkeypatch: Patch, switch_off: Callable[..., None], scenario: Callable[[Pair], None]
) -> None:
    switch_off(monkeypatch, pair)
    with pytest.raises(AssertionError):
        scenario(pair)


# --- Random requests, random changes -----------------------------------------------------------------------


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
    path, query = rnd.choice((
        (TILE.format(layer), ""),
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
def test_random_requests_are_answered_and_counted_as_if_nothing_was_remembered(pair: Pair, seed: int) -> None:
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


# --- Bounds ------------------------------------------------------------------------------------------------


def test_it_is_bounded_in_answers_and_in_bytes_of_different_bodies(pair: Pair) -> None:
    memo = pair.memo
    for number in range(20):
        pair.get(f"{OPEN}?n={number}")
    (tile,) = {hit.body for hit in memo._hits.values()}
    assert memo.size_bytes == 20 * server.hits._OVERHEAD + len(tile), "a body is counted once"
    assert len({id(hit.body) for hit in memo._hits.values()}) == 1, "and held once, as the cache holds it"
    memo.most = 5
    pair.get(f"{OPEN}?n=20")
    assert len(memo._hits) == 5
    pair.get(f"{OPEN}?n=17")
    pair.get(f"{OPEN}?n=21")
    pair.get(f"{OPEN}?n=22")
    before = pair.hits
    pair.get(f"{OPEN}?n=17")
    assert pair.hits == before + 1, "the one that was asked last stays"
    memo.most_bytes = 3 * server.hits._OVERHEAD + len(tile)
    pair.get(f"{OPEN}?n=23")
    assert len(memo._hits) == 3
    memo.most_bytes = 10
    pair.get(f"{OPEN}?n=24")
    assert (len(memo._hits), memo.size_bytes, memo._holders) == (0, 0, {})


def test_no_secret_is_kept(pair: Pair) -> None:
    pair.warm(GRANTED, by_key(pair))
    kept = repr(list(pair.memo._hits.items()))
    assert pair.town.key[18:] not in kept


def test_a_request_that_could_be_read_in_two_ways_is_not_remembered(pair: Pair) -> None:
    scope = {
        "method": "GET",
        "scheme": "http",
        "raw_path": OPEN.encode(),
        "query_string": b"",
        "client": None,
    }
    assert pair.memo._name({**scope, "headers": [(b"a", b"b")]}) is not None
    assert pair.memo._name({**scope, "headers": [(b"a", b"b\nc")]}) is None
    assert isinstance(pair.remembering.application.asgi, Dispatcher)


def test_what_metered_rights_resolve_to_is_not_shared(pair: Pair) -> None:
    services = pair.plain.application.services
    rule = SceneRule(scenes=SceneSet())
    plain, metered = SceneFilter((rule,)), SceneFilter((replace(rule, metered=True, label="g"),))
    assert plain.digest == metered.digest
    layer = services.decisions.layer(services.knowledge.index, "open", plain)
    frame = Frame(crs="EPSG:3857", bounds=Bounds(0, 0, 1, 1), width=256, height=256)
    known, value = Resolutions(), Resolved(ResolvedTile(frame=frame, contributions=()), "key")
    known.put(layer, plain, "tile", value)
    assert known.get(layer, plain, "tile") is value
    assert known.get(layer, plain, "other tile") is None
    assert known.get(replace(layer), plain, "tile") is None, "another layer, however equal"
    assert known.get(layer, metered, "tile") is None
    known.put(layer, metered, "third", value)
    assert known.get(layer, plain, "third") is None
