"""Who may do what: one pure function of the rights, the caller, the action and the clock; default deny."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from auth.decision import REFUSALS, Allowance, Decision, Principal, PrincipalKind, Refusal
from auth.models import (
    PUBLIC,
    TIER_ACTIONS,
    Action,
    Caveat,
    Grant,
    InstitutionStatus,
    Role,
)
from auth.reach import UNKNOWN, Area, Circumstances
from auth.snapshot import PolicySnapshot
from auth.standing import MOST_OPENED, Closures, Given, Opened
from auth.standing import refusal as refusal_of

_GRANT_ID: Final = attrgetter("grant_id")

OPENED: Final = Decision(code="ok")
"""What shows neither pixels nor metadata is open to everybody."""


def decide(
    snapshot: PolicySnapshot,
    principal: Principal,
    action: Action,
    now: datetime,
    *,
    circumstances: Circumstances = UNKNOWN,
    exhausted: frozenset[str] = frozenset(),
) -> Decision:
    """Decide what a caller may do.

    Each grant that holds becomes one allowance, complete in itself: grants are never merged, so the area
    of one can't meet the resolution of another. The forbids that hold hang on every allowance (those that
    a crisis overrides not on a crisis grant's). The caveats of the credential and of all keys above it
    narrow each allowance. A caller whose institution is not active has no rights at all, not even public
    ones.

    Args:
        snapshot: All rights; the order of its grants and forbids means nothing.
        principal: Who asks.
        action: What for.
        now: The clock, with a time zone.
        circumstances: Where the request comes from.
        exhausted: Ids of grants whose quota is used up.

    Returns:
        `ok` with the allowances in the order of their grants' ids (none for OPEN, OPERATE and MANAGE, which
        show no imagery), else the code of the nearest miss.
    """
    if action is Action.OPEN:
        return OPENED
    if action is Action.OPERATE or action is Action.MANAGE:
        return _administration(snapshot, principal, action)
    grantees = _grantees(snapshot, principal)
    if not grantees:
        return Decision(code="suspended")
    barred = _barred(principal, action, circumstances)
    question = _Question(action, circumstances, exhausted, principal.delegations, barred)
    closures = snapshot.standing.closures(now)
    given = [snapshot.standing.given(grantee, action, now) for grantee in grantees]
    made: list[Allowance] = []
    refusals: list[Refusal] = []
    for each in given:
        _, opened, refused = _opened(each, question, closures)
        made += opened
        refusals += each.refused
        refusals += refused
    allowances = _narrowed_all(made, principal.caveats, closures, refusals)
    allowances.sort(key=_GRANT_ID)
    if action in TIER_ACTIONS and barred is None:
        signed_in = principal.kind is PrincipalKind.INSTITUTION and principal.institution_id is not None
        tiers = closures.tiers(snapshot.tiered_licences, signed_in=signed_in)
        allowances += _narrowed_all(tiers, principal.caveats, closures, None)
    refusals.sort(key=_GRANT_ID)
    return Decision(
        code="ok" if allowances else _nearest(refusals),
        allowances=tuple(allowances),
        refusals=tuple(refusals),
        until=snapshot.standing.until(grantees, now),
    )


class _Question:
    """One question to every grant that holds for somebody: does it for this caller, and if not, why."""

    __slots__ = ("action", "barred", "circumstances", "delegations", "exhausted", "plain")

    def __init__(
        self,
        action: Action,
        circumstances: Circumstances,
        exhausted: frozenset[str],
        delegations: tuple[timedelta | None, ...],
        barred: str | None,
    ) -> None:
        self.action = action
        self.circumstances = circumstances
        self.exhausted = exhausted
        self.delegations = delegations
        self.barred = barred
        self.plain = not exhausted and barred is None

    def refuses(self, grant: Grant) -> str | None:
        """Give why a grant does not hold; None: it does."""
        if self.delegations and grant.grantee != PUBLIC and not _reaches(grant, self.delegations):
            return "delegation"
        if not grant.conditions.hold(self.circumstances):
            return "origin"
        if self.barred is not None:
            return self.barred
        if grant.id in self.exhausted and self.action is not Action.CATALOGUE:
            return "quota"
        return None


def _opened(given: Given, question: _Question, closures: Closures) -> Opened:
    """Give what grants that hold open to a caller; the same for all whose keys stand as far below."""
    alike = question.plain and given.unconditional
    key = (id(given), question.delegations)
    kept = closures.opened.get(key) if alike else None
    if kept is None:
        opened: list[Allowance] = []
        refused: list[Refusal] = []
        for grant in given.holding:
            code = question.refuses(grant)
            if code is None:
                opened.append(closures.allowance(grant))
            else:
                refused.append(refusal_of(grant, code))
        kept = (given, tuple(opened), tuple(refused))
        if alike:
            if len(closures.opened) >= MOST_OPENED:
                closures.opened.clear()
            closures.opened[key] = kept
    return kept


def _administration(snapshot: PolicySnapshot, principal: Principal, action: Action) -> Decision:
    """Decide about what shows no imagery: operators may everything, managers in their own institution."""
    institution_id = principal.institution_id
    refused = Decision(code="operator_only" if action is Action.OPERATE else "not_manager")
    if institution_id is None or principal.narrowed or not _active(snapshot, institution_id):
        return refused
    if principal.kind is PrincipalKind.OPERATOR and snapshot.institutions[institution_id].operator:
        return Decision(code="ok")
    if action is Action.MANAGE and principal.role is Role.MANAGER:
        return Decision(code="ok", realm=institution_id)
    return refused


def _grantees(snapshot: PolicySnapshot, principal: Principal) -> tuple[str, ...]:
    """Give the names under which grants may be made to this caller; none where it has no rights at all."""
    if principal.kind is PrincipalKind.ANONYMOUS or principal.institution_id is None:
        return (PUBLIC,)
    institution_id = principal.institution_id
    if not _active(snapshot, institution_id):
        return ()
    if principal.kind is PrincipalKind.OPERATOR:
        return (PUBLIC,)
    return (PUBLIC, institution_id, *snapshot.groups_of.get(institution_id, ()))


def _active(snapshot: PolicySnapshot, institution_id: str) -> bool:
    institution = snapshot.institutions.get(institution_id)
    return institution is not None and institution.status is InstitutionStatus.ACTIVE


def _barred(principal: Principal, action: Action, circumstances: Circumstances) -> str | None:
    """Give why the credential itself does not serve for this, whatever is granted."""
    for caveat in principal.caveats:
        if caveat.actions is not None and action not in caveat.actions:
            return "action"
        if not caveat.conditions.hold(circumstances):
            return "origin"
    return None


def _reaches(grant: Grant, delegations: tuple[timedelta | None, ...]) -> bool:
    """Tell whether a grant reaches a key so many keys, one at least, below the institution's own."""
    if grant.delegable is None or len(delegations) > grant.delegable.depth:
        return False
    days = grant.delegable.longest_days
    return days is None or all(life is not None and life <= timedelta(days=days) for life in delegations)


def _narrowed_all(
    allowances: Iterable[Allowance],
    caveats: tuple[Caveat, ...],
    closures: Closures,
    refusals: list[Refusal] | None,
) -> list[Allowance]:
    """Give what the caveats leave of allowances, and add to the refusals those that nothing is left of."""
    if not caveats:
        return list(allowances)
    known = closures.left(caveats)
    left: list[Allowance] = []
    for allowance in allowances:
        kept = known.get(allowance.grant_id)
        if kept is None:
            kept = known[allowance.grant_id] = _narrowed(allowance, caveats)
        made, code = kept
        if made is not None:
            left.append(made)
        elif refusals is not None and code is not None:
            refusals.append(
                Refusal(
                    grant_id=allowance.grant_id,
                    code=code,
                    selector=allowance.selector,
                    acquired=allowance.acquired,
                )
            )
    return left


def _narrowed(allowance: Allowance, caveats: Iterable[Caveat]) -> tuple[Allowance | None, str | None]:
    """Take away what the caveats do not leave: what is left, or why nothing is."""
    for caveat in caveats:
        selector = allowance.selector.within(caveat.selector)
        if selector is None:
            return None, "no_grant"
        acquired = allowance.acquired.within(caveat.acquired)
        if acquired is None:
            return None, "date_window"
        allowance = replace(
            allowance,
            selector=selector,
            acquired=acquired,
            areas=_common(allowance.areas, caveat.area),
            finest_ground_resolution=_coarser(
                allowance.finest_ground_resolution, caveat.finest_ground_resolution
            ),
        )
    return allowance, None


def _common(areas: tuple[Area, ...], area: Area | None) -> tuple[Area, ...]:
    return areas if area is None or area in areas else (*areas, area)


def _coarser(one: float | None, other: float | None) -> float | None:
    """Give the limit that leaves less; None limits nothing."""
    return max((limit for limit in (one, other) if limit is not None), default=None)


def _nearest(refusals: Iterable[Refusal]) -> str:
    codes = {refusal.code for refusal in refusals}
    return next((code for code in REFUSALS if code in codes), "no_grant")
