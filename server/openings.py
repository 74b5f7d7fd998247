"""What a request means but for its tile, remembered for the next tile that is asked for in the same words.

Who pans asks for tile after tile of one layer with one credential. To read the words again, check the
credential's digest and find the route costs more than to find a tile that is ready. What depends on the tile,
the clock or a quota is decided, paid for and counted for each tile as ever.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple

from auth.snapshot import PolicySnapshot
from server.authentication import Identity
from server.call import Call
from server.client import Client
from server.hits import Asked, is_settled
from server.identity import Way
from server.requests import HttpRequest
from server.routing import variables
from server.snapshots import Knowledge

_LONGEST: Final = 4096
"""Characters of a request that is remembered; browsers send less than half of that."""


class Opening(NamedTuple):
    """A request as its handler saw it, to be asked again for another tile."""

    call: Call
    """Without the path of its request, which was another tile's; headers that `Hits` calls meaningless are
    those of then."""
    identity: Identity
    names: tuple[str, ...]
    """Of the route's variables that are the tile."""
    since: datetime
    until: datetime | None
    """Before this instant the credential means the same; None: always."""


@dataclass(kw_only=True, eq=False)
class Openings:
    """Remembers what requests mean, least recently used go first; used on the event loop only."""

    knowledge: Knowledge
    most: int = 4096
    """Each takes some 4 kB, and no more than 10."""
    _kept: OrderedDict[bytes, Opening] = field(default_factory=OrderedDict, init=False)
    _policy: PolicySnapshot | None = field(default=None, init=False)
    _sequence: int = field(default=-1, init=False)

    def find(self, asked: Asked, now: datetime) -> Opening | None:
        """Give what a request means, if that is known and still holds."""
        if asked.policy is not self._policy or asked.sequence != self._sequence:
            self._kept.clear()
            self._policy, self._sequence = asked.policy, asked.sequence
        opening = self._kept.get(asked.opening) if asked.tile else None
        if opening is None:
            return None
        if not self._holds(opening, now):
            del self._kept[asked.opening]
            return None
        self._kept.move_to_end(asked.opening)
        return opening

    def keep(self, asked: Asked, call: Call, identity: Identity) -> None:
        """Remember what a request means, if that may be so for another tile.

        Args:
            asked: The request, as `Hits.find` knew it.
            call: What its handler is given.
            identity: Who asks.
        """
        if not asked.tile or asked.opening in self._kept:
            return
        names = variables(call.route.path)[-len(asked.tile) :]
        if not call.route.memoised or tuple(call.path[name] for name in names) != asked.tile:
            return
        # the credential was checked between the two looks at the rights, so by the same rights
        same = call.policy is asked.policy is self._policy
        if not same or not call.index.sequence == asked.sequence == self._sequence:
            return
        if call.request.header("if-none-match") is not None or not is_settled(call, identity):
            return
        if _length(call.request) > _LONGEST:
            return
        self._kept[asked.opening] = Opening(
            call=replace(call, request=replace(call.request, path=""), client=Client()),
            identity=identity,
            names=names,
            since=call.now,
            until=identity.sure_until,
        )
        while len(self._kept) > self.most:
            self._kept.popitem(last=False)

    def _holds(self, opening: Opening, now: datetime) -> bool:
        """Tell whether the clock and the age of the rights leave a request what it was."""
        if now < opening.since or (opening.until is not None and now >= opening.until):
            return False
        known = self.knowledge
        return opening.identity.way is Way.NONE or known.clock() - known.policy_at <= known.stale_seconds


def _length(request: HttpRequest) -> int:
    """Give the characters of a request: what anybody may send is bounded before it is kept."""
    words = [request.path]
    for name, value in request.query:
        words += (name, value)
    for header, values in request.headers.items():
        words += (header, *values)
    return sum(map(len, words))
