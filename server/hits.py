"""Whole answers of tiles, given again to the very same request while nothing that they hang on has changed.

A request is known by the digest of its path, its query and of every header but those that are known to mean
nothing here, so that a header which somebody begins to read tells requests apart by itself. What was
decided, counted and written for it holds while rights, catalogue and clock leave it; then it is asked anew.
Of a tile that was drawn ahead the body is not kept: it is read from its file each time.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from auth.credentials import earliest
from auth.decision import Decision, Principal
from auth.reach import ANYWHERE_FROM
from auth.snapshot import PolicySnapshot
from mosaics.models import EncodedTile
from mosaics.stored import StoredBlocks
from mosaics.visual import StoredBlock
from server.answers import Answer
from server.authentication import Identity
from server.call import KEY_PREFIX, PUBLIC_PREFIX, Call
from server.gateway import HEADERS as PORTAL_HEADERS
from server.identity import Way
from server.routing import Route
from server.settings import Settings
from server.snapshots import Knowledge
from server.usage.meter import Meter, Tally

RawHeaders = tuple[tuple[bytes, bytes], ...]

MEANINGLESS: Final = frozenset(
    {
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"connection",
        b"dnt",
        b"forwarded",
        b"pragma",
        b"priority",
        b"sec-ch-ua",
        b"sec-ch-ua-mobile",
        b"sec-ch-ua-platform",
        b"sec-fetch-dest",
        b"sec-fetch-mode",
        b"sec-fetch-site",
        b"sec-fetch-storage-access",
        b"sec-fetch-user",
        b"sec-gpc",
        b"te",
        b"traceparent",
        b"tracestate",
        b"upgrade-insecure-requests",
        b"user-agent",
        b"via",
        b"x-real-ip",
        b"x-request-id",
    }
)
"""Headers that change no answer that is remembered (languages are those of errors, which never are)."""

FROM: Final = frozenset({b"origin", b"referer", b"x-forwarded-for"})
"""Headers that say from where a request comes: they mean nothing while no right asks it."""

_TILE: Final = re.compile(rb"/(\d{1,10})/(\d{1,10})/(\d{1,10}(?:@2x)?(?:\.[a-z]{2,5})?)\Z")
"""The end of a path that names a tile, every character as it is."""
_GIVEN: Final = frozenset({200, 204, 304})
_SCHEMES: Final = frozenset({"http", "https"})
_OVERHEAD: Final = 2400
"""Bytes that an answer takes beside its body."""


class Asked(NamedTuple):
    """A request that was not known, and what was known when it came."""

    name: bytes
    opening: bytes
    """Its name but for the tile: requests for other tiles that say the same have the same."""
    tile: tuple[str, ...]
    """The three last parts of its path, where they are a tile's; else none."""
    policy: PolicySnapshot
    sequence: int


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer, and how long it holds."""

    status: int
    before: RawHeaders
    """Headers in front of the request's id."""
    after: RawHeaders
    body: bytes
    """Empty where it is `stored`."""
    stored: StoredBlock | None
    size: int
    """Of the body, bytes."""
    route_id: str
    tally: Tally | None
    """What it counts; None: nothing."""
    trusting: bool
    """True where a credential was shown: then the rights must be fresh."""
    since: datetime
    until: datetime


class Found(NamedTuple):
    """An answer that was known, with its body."""

    hit: Hit
    body: bytes


@dataclass(kw_only=True, eq=False)
class Hits:
    """Remembers answers, least recently used go first; used on the event loop only."""

    knowledge: Knowledge
    meter: Meter
    stored: StoredBlocks
    """Tiles that were drawn ahead."""
    prefixes: tuple[bytes, ...]
    """What the raw paths of the routes that take part begin with."""
    peer_matters: bool
    """Whether the other end of the socket may change what a request means."""
    most: int
    """Answers."""
    most_bytes: int
    """Of all their different bodies, and what comes with each answer."""
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _hits: OrderedDict[bytes, Hit] = field(default_factory=OrderedDict, init=False)
    _holders: dict[int, int] = field(default_factory=dict, init=False)
    """How many answers have a body, by its identity: it is counted once, and often the tile cache's own."""
    _size: int = field(default=0, init=False)
    _policy: PolicySnapshot | None = field(default=None, init=False)
    _sequence: int = field(default=-1, init=False)
    _with_peer: bool = field(default=False, init=False)
    _skipped: frozenset[bytes] = field(default=MEANINGLESS, init=False)
    _salt: bytes = field(default_factory=lambda: os.urandom(16), init=False, repr=False)

    def find(self, scope: Mapping[str, Any]) -> Found | Asked | None:
        """Look a request up, and count it where it is known.

        Args:
            scope: Its ASGI scope.

        Returns:
            The answer; or what to keep one by; None: this request is never remembered.
        """
        if scope["method"] != "GET" or not (scope.get("raw_path") or b"").startswith(self.prefixes):
            return None
        policy, sequence = self.knowledge.policy, self.knowledge.index.sequence
        if policy is None:
            return None
        if policy is not self._policy or sequence != self._sequence:
            self._begin(policy, sequence)
        tile = _TILE.search(scope["raw_path"])
        opening = self._name(scope, None if tile is None else tile.start())
        if opening is None:
            return None
        name = opening if tile is None else opening + tile[0]
        hit = self._hits.get(name)
        body = self._body(hit) if hit is not None and self._holds(hit) else None
        if hit is None or body is None:
            parts = () if tile is None else tuple(part.decode() for part in tile.groups())
            return Asked(name, opening, parts, policy, sequence)
        self._hits.move_to_end(name)
        if hit.tally is not None:
            self.meter.add(hit.tally)
        return Found(hit, body)

    def keep(  # noqa: PLR0917 - private to the dispatcher, the values of one exchange
        self,
        asked: Asked,
        call: Call,
        identity: Identity,
        answer: Answer,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
    ) -> None:
        """Remember an answer for the same request, if it may be given again.

        Args:
            asked: What `find` gave.
            call: The request, as its handler saw it.
            identity: Who asked.
            answer: What the handler gave.
            status: What it came to, 304 included.
            headers: As they were sent.
        """
        if self.most_bytes < _OVERHEAD or not self._may_keep(asked, call, identity, answer, status):
            return
        decisions = [call.decision(action) for action in call.route.actions]
        if any(_metered(decision) for decision in decisions):
            return
        until = earliest(
            _midnight_after(call.now), identity.sure_until, *(decision.until for decision in decisions)
        )
        assert until is not None, "midnight comes"
        sent = tuple(headers)
        stored = answer.stored if status == 200 else None
        place = next(number for number, (name, _) in enumerate(sent) if name == b"x-request-id")
        self._put(
            asked.name,
            Hit(
                status=status,
                before=sent[:place],
                after=sent[place + 1 :],
                body=answer.body if status == 200 and stored is None else b"",
                stored=stored,
                size=len(answer.body) if status == 200 else 0,
                route_id=call.route.id,
                tally=self._tally(call, answer) if status == 200 else None,
                trusting=identity.way is not Way.NONE,
                since=call.now,
                until=until,
            ),
        )

    @property
    def size_bytes(self) -> int:
        """What is held now."""
        return self._size

    def _holds(self, hit: Hit) -> bool:
        """Tell whether the clock and the age of the rights leave an answer as it is."""
        if not hit.since <= self.clock() < hit.until:
            return False
        known = self.knowledge
        return not hit.trusting or known.clock() - known.policy_at <= known.stale_seconds

    def _body(self, hit: Hit) -> bytes | None:
        """Give the body of an answer; None: it would have to be waited for, or is another now."""
        if hit.stored is None:
            return hit.body
        tile = self.stored.at_once(hit.stored)
        return tile.data if isinstance(tile, EncodedTile) and len(tile.data) == hit.size else None

    def _name(self, scope: Mapping[str, Any], end: int | None = None) -> bytes | None:
        """Digest all of a request that may mean something; what it holds may be a secret, so no more is kept.

        Args:
            scope: The request.
            end: Where the part of its path begins that is not digested.

        Returns:
            None for a request that can't be written unambiguously.
        """
        if scope["scheme"] not in _SCHEMES:
            return None
        parts = [scope["raw_path"][:end], scope["query_string"]]
        skipped = self._skipped
        for pair in scope["headers"]:
            if pair[0] not in skipped:
                parts += pair
        if self._with_peer:
            parts.append((scope.get("client") or ("", 0))[0].encode())
        whole = b"\n".join(parts)
        if whole.count(b"\n") != len(parts) - 1:
            return None
        return blake2b(whole, digest_size=16, salt=self._salt).digest()

    def _begin(self, policy: PolicySnapshot, sequence: int) -> None:
        """Forget everything: rights or catalogue are others."""
        self._hits.clear()
        self._holders.clear()
        self._size = 0
        self._policy, self._sequence = policy, sequence
        self._with_peer = self.peer_matters or policy.conditional
        self._skipped = MEANINGLESS if policy.conditional else MEANINGLESS | FROM

    def _may_keep(self, asked: Asked, call: Call, identity: Identity, answer: Answer, status: int) -> bool:
        if not call.route.memoised or answer.goods is None or answer.goods.charged:
            return False
        if status not in _GIVEN or answer.etag is None or not answer.cacheable:
            return False
        # the credential was checked between the two looks at the rights, so by the same rights
        same = call.policy is asked.policy is self._policy
        if not same or not call.index.sequence == asked.sequence == self._sequence:
            return False
        if call.exhausted or self.meter.limits(call.principal):
            return False
        return is_settled(call, identity)

    def _tally(self, call: Call, answer: Answer) -> Tally | None:
        goods = answer.goods
        if goods is None or not goods.contributors:
            return None
        return self.meter.tally(
            call.principal,
            call.secret,
            goods.contributors,
            ground_resolution=goods.ground_resolution,
            milliunits=goods.milliunits,
            size=len(answer.body),
        )

    def _put(self, name: bytes, hit: Hit) -> None:
        self._drop(name)
        self._hits[name] = hit
        holders = self._holders.get(id(hit.body), 0)
        self._holders[id(hit.body)] = holders + 1
        self._size += _OVERHEAD + (0 if holders else len(hit.body))
        while self._hits and (len(self._hits) > self.most or self._size > self.most_bytes):
            self._drop(next(iter(self._hits)))

    def _drop(self, name: bytes) -> None:
        hit = self._hits.pop(name, None)
        if hit is None:
            return
        holders = self._holders.pop(id(hit.body)) - 1
        if holders:
            self._holders[id(hit.body)] = holders
        self._size -= _OVERHEAD + (0 if holders else len(hit.body))


def new_hits(
    settings: Settings, knowledge: Knowledge, meter: Meter, stored: StoredBlocks, routes: Iterable[Route]
) -> Hits:
    """Make the memory of answers for the routes that take part."""
    http = settings.http
    first = {route.path.split("/")[1] for route in routes if route.memoised} | {KEY_PREFIX, PUBLIC_PREFIX}
    return Hits(
        knowledge=knowledge,
        meter=meter,
        stored=stored,
        prefixes=tuple(f"/{word}".encode() for word in sorted(first)),
        peer_matters=bool(http.trusted_proxies or settings.gateway.networks) or "*" not in http.allowed_hosts,
        most=settings.tiles.memo_entries,
        most_bytes=settings.tiles.cache_megabytes * 1_000_000,
    )


def is_settled(call: Call, identity: Identity) -> bool:
    """Tell whether the same words again need not be looked at.

    Where from a credential is shown may matter to it alone; and a portal that is not believed is counted.
    """
    if _conditional(call.principal):
        return False
    portal = any(name.replace("_", "-") in PORTAL_HEADERS for name in call.request.headers)
    return not portal or identity.way is Way.GATEWAY


def _metered(decision: Decision) -> bool:
    return any(each.quota is not None or each.rate is not None for each in decision.allowances)


def _conditional(principal: Principal) -> bool:
    return any(caveat.conditions != ANYWHERE_FROM for caveat in principal.caveats)


def _midnight_after(now: datetime) -> datetime:
    """Give the end of the day that answers are counted on."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
