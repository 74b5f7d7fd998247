"""Two applications over copies of one home that are asked the same: one remembers, one never does."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from auth.credentials import new_key
from auth.models import Caveat, Grant, Key, Membership, Rate
from auth.reach import EVERYWHERE, Conditions
from auth.signing import Signed, sign
from auth.snapshot import PolicySnapshot
from mosaics.catalog.index import CatalogIndex
from server.hits import Found, Hits
from server.openings import Openings
from tests.conftest import Reply, Town
from tests.server.conftest import TILE, Asgi

SECRET = "a shared secret of the portal"
PORTAL = {"x-flux-gateway": SECRET, "sec-username": "marie", "sec-org": "region"}
GRANTED, OPEN = TILE.format("granted"), TILE.format("open")
SITE = "https://geo.example.org"


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
            self.hits += isinstance(found, Found)
            return found

        self.memo.find = counted
        opening = self.openings.find

        def opened(asked: Any, now: datetime) -> Any:
            found = opening(asked, now)
            self.hits += found is not None
            return found

        self.openings.find = opened
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
    def openings(self) -> Openings:
        return self.remembering.application.asgi._openings

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
            left = [scene for key, scene in index.scenes.items() if key[0] != collection]
            knowledge.index = CatalogIndex.of(left, index.collections, sequence=index.sequence + 1000)

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


def by_key(pair: Pair) -> dict[str, str]:
    return {"x-api-key": pair.town.key}
