"""What the rights of one epoch come to at an instant, worked out once for all who ask; pure.

Between two instants at which a validity begins or ends nothing changes, so it is kept until the next one.
Nothing here knows a caller but by what narrows its credential.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from auth.decision import Allowance, Exclusion, Refusal
from auth.models import Action, Caveat, Forbid, Grant, GrantKind, Licence, Tier
from auth.reach import ALWAYS, ANYWHERE_FROM, Area, Selector, Window

_MOST_CAVEATS: Final = 4096
"""How many ways of narrowing are remembered, so that an endless row of them can't fill the memory."""

MOST_OPENED: Final = 4096
"""How many entries `Closures.opened` may have."""

Narrowed = tuple[Allowance | None, str | None]
"""What the caveats of a credential leave of an allowance, or why they leave nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """The grants to one grantee, for an action, at an instant."""

    holding: tuple[Grant, ...]
    """By what they say of action and validity; conditions and credentials are another matter."""
    refused: tuple[Refusal, ...]
    """The others, and why."""
    unconditional: bool
    """True where none of those that hold asks from where a request comes."""


Opened = tuple[Given, tuple[Allowance, ...], tuple[Refusal, ...]]
"""Grants, what they open, and which of them open nothing."""


@dataclass(kw_only=True, slots=True)
class Closures:
    """The forbids and ceilings that hold at an instant, and the allowances that they hang on."""

    ordinary: tuple[Exclusion, ...]
    crisis: tuple[Exclusion, ...]
    """Those that a crisis grant does not override."""
    _allowances: dict[str, Allowance] = field(default_factory=dict)
    opened: dict[tuple[object, ...], Opened] = field(default_factory=dict)
    """What grants open to callers alike, by the identity of a Given (which is held in it) and what else
    matters; the asker adds to it."""
    _tiers: dict[bool, tuple[Allowance, ...]] = field(default_factory=dict)
    _narrowed: dict[tuple[Caveat, ...], dict[str, Narrowed]] = field(default_factory=dict)

    def allowance(self, grant: Grant) -> Allowance:
        """Give what a grant opens to those whose credential narrows nothing."""
        made = self._allowances.get(grant.id)
        if made is None:
            exclusions = self.crisis if grant.kind is GrantKind.CRISIS else self.ordinary
            made = self._allowances[grant.id] = _allowance(grant, exclusions)
        return made

    def tiers(self, licences: Iterable[Licence], *, signed_in: bool) -> tuple[Allowance, ...]:
        """Give what the preview tiers of licences open to nobody, or to a signed-in institution."""
        made = self._tiers.get(signed_in)
        if made is None:
            made = self._tiers[signed_in] = tuple(_tiers(licences, self.ordinary, signed_in=signed_in))
        return made

    def left(self, caveats: tuple[Caveat, ...]) -> dict[str, Narrowed]:
        """Give what is known of allowances under caveats, by the id of the grant; the asker adds to it."""
        found = self._narrowed.get(caveats)
        if found is None:
            if len(self._narrowed) >= _MOST_CAVEATS:
                self._narrowed.clear()
            found = self._narrowed[caveats] = {}
        return found


class Standing:
    """The rights of one epoch, by the time."""

    def __init__(
        self,
        grants_by_grantee: Mapping[str, tuple[Grant, ...]],
        forbids: tuple[Forbid, ...],
        licences: tuple[Licence, ...],
    ) -> None:
        """Take the rights.

        Args:
            grants_by_grantee: Each grantee's in the order of their ids.
            forbids: In the order of their ids.
            licences: Those with any tier, in the order of their ids.
        """
        self._grants = grants_by_grantee
        self._forbids = forbids
        self._licences = licences
        self._forbid_bounds = _bounds(forbid.valid for forbid in forbids)
        self._grant_bounds: dict[str, Sequence[datetime]] = {}
        self._closures: tuple[int, Closures] | None = None
        self._given: dict[tuple[str, Action], tuple[int, Given]] = {}

    def closures(self, now: datetime) -> Closures:
        """Give what is closed at an instant."""
        place = bisect_right(self._forbid_bounds, now)
        kept = self._closures
        if kept is None or kept[0] != place:
            kept = self._closures = (place, self._closed(now))
        return kept[1]

    def given(self, grantee: str, action: Action, now: datetime) -> Given:
        """Give what a grantee may do at an instant."""
        place = bisect_right(self._bounds_of(grantee), now)
        kept = self._given.get((grantee, action))
        if kept is None or kept[0] != place:
            kept = (place, _given(self._grants.get(grantee, ()), action, now))
            if grantee in self._grants:
                self._given[grantee, action] = kept
        return kept[1]

    def until(self, grantees: Iterable[str], now: datetime) -> datetime | None:
        """Give the next instant at which a forbid, or a grant to one of these, begins or ends."""
        bounds = (self._forbid_bounds, *map(self._bounds_of, grantees))
        nexts = [held[place] for held in bounds if (place := bisect_right(held, now)) < len(held)]
        return min(nexts, default=None)

    def _bounds_of(self, grantee: str) -> Sequence[datetime]:
        found = self._grant_bounds.get(grantee)
        if found is None:
            grants = self._grants.get(grantee)
            if not grants:
                return ()
            found = self._grant_bounds[grantee] = _bounds(grant.valid for grant in grants)
        return found

    def _closed(self, now: datetime) -> Closures:
        ceilings = tuple(_ceiling(licence.id, licence.holder) for licence in self._licences if licence.holder)
        held = [forbid for forbid in self._forbids if forbid.valid.contains(now)]
        return Closures(
            ordinary=tuple(map(_exclusion, held)) + ceilings,
            crisis=tuple(_exclusion(f) for f in held if not f.overridable_by_crisis) + ceilings,
        )


def _bounds(windows: Iterable[Window]) -> Sequence[datetime]:
    """Give all instants at which one of the windows begins or ends, ascending."""
    return sorted({side for window in windows for side in (window.start, window.end) if side is not None})


def _given(grants: Iterable[Grant], action: Action, now: datetime) -> Given:
    holding: list[Grant] = []
    refused: list[Refusal] = []
    for grant in grants:
        code = _refuses(grant, action, now)
        if code is None:
            holding.append(grant)
        else:
            refused.append(refusal(grant, code))
    return Given(
        holding=tuple(holding),
        refused=tuple(refused),
        unconditional=all(grant.conditions == ANYWHERE_FROM for grant in holding),
    )


def _refuses(grant: Grant, action: Action, now: datetime) -> str | None:
    """Give why a grant holds for nobody; None: it may."""
    if action not in grant.actions:
        return "action"
    if not grant.approved:
        return "no_grant"
    if not grant.valid.contains(now):
        begun = grant.valid.start is None or grant.valid.start <= now
        return "expired" if begun else "not_yet"
    return None


def refusal(grant: Grant, code: str) -> Refusal:
    """Say that a grant opens nothing."""
    return Refusal(grant_id=grant.id, code=code, selector=grant.selector, acquired=grant.acquired)


def _allowance(grant: Grant, exclusions: tuple[Exclusion, ...]) -> Allowance:
    return Allowance(
        grant_id=grant.id,
        selector=grant.selector,
        acquired=grant.acquired,
        areas=() if grant.area is None else (grant.area,),
        finest_ground_resolution=grant.finest_ground_resolution,
        exclusions=exclusions,
        quota=grant.quota,
        rate=grant.rate,
        crisis=grant.event_id,
    )


def _tiers(
    licences: Iterable[Licence], exclusions: tuple[Exclusion, ...], *, signed_in: bool
) -> Iterator[Allowance]:
    for licence in licences:
        for name, tier in (("public", licence.public), ("partner", licence.partner if signed_in else None)):
            if tier is not None:
                yield Allowance(
                    grant_id=f"licence:{licence.id}:{name}",
                    selector=Selector(licences=frozenset({licence.id})),
                    acquired=ALWAYS,
                    areas=(),
                    finest_ground_resolution=tier.ground_resolution,
                    times_pan=tier.times_pan,
                    exclusions=exclusions,
                )


def _exclusion(forbid: Forbid) -> Exclusion:
    area: Area | None = forbid.area
    return Exclusion(id=forbid.id, selector=forbid.selector, acquired=forbid.acquired, area=area)


def _ceiling(licence_id: str, tier: Tier) -> Exclusion:
    return Exclusion(
        id=f"licence:{licence_id}",
        selector=Selector(licences=frozenset({licence_id})),
        acquired=ALWAYS,
        area=None,
        finer_than=tier,
    )
