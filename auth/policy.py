"""Who may do what: one pure function of the rights, the caller, the action and the clock; default deny."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from auth.decision import REFUSALS, Allowance, Decision, Exclusion, Principal, PrincipalKind, Refusal
from auth.models import (
    PUBLIC,
    TIER_ACTIONS,
    Action,
    Caveat,
    Forbid,
    Grant,
    GrantKind,
    InstitutionStatus,
    Role,
    Tier,
)
from auth.reach import ALWAYS, UNKNOWN, Area, Circumstances, Selector
from auth.snapshot import PolicySnapshot

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
    question = _Question(action, now, circumstances, exhausted, principal.delegations, barred)
    grants = [grant for grantee in grantees for grant in snapshot.grants_by_grantee.get(grantee, ())]
    ordinary = _exclusions(snapshot, now, crisis=False)
    crisis = _exclusions(snapshot, now, crisis=True)
    allowances: list[Allowance] = []
    refusals: list[Refusal] = []
    for grant in sorted(grants, key=_id):
        code = question.refuses(grant)
        made = None
        if code is None:
            exclusions = crisis if grant.kind is GrantKind.CRISIS else ordinary
            made, code = _narrowed(_allowance(grant, exclusions), principal.caveats)
        if made is not None:
            allowances.append(made)
        else:
            refusals.append(_refusal(grant, code or "no_grant"))
    if action in TIER_ACTIONS and barred is None:
        allowances += _tiers(snapshot, principal, ordinary)
    return Decision(
        code="ok" if allowances else _nearest(refusals),
        allowances=tuple(allowances),
        refusals=tuple(refusals),
        until=_until(now, grants, snapshot.ordered_forbids),
    )


class _Question:
    """One question to every grant: does it hold, and if not, why."""

    __slots__ = ("action", "barred", "circumstances", "delegations", "exhausted", "now")

    def __init__(  # noqa: PLR0917 - private, called once
        self,
        action: Action,
        now: datetime,
        circumstances: Circumstances,
        exhausted: frozenset[str],
        delegations: tuple[timedelta | None, ...],
        barred: str | None,
    ) -> None:
        self.action = action
        self.now = now
        self.circumstances = circumstances
        self.exhausted = exhausted
        self.delegations = delegations
        self.barred = barred

    def refuses(self, grant: Grant) -> str | None:  # noqa: PLR0911 - one line a reason
        """Give why a grant does not hold; None: it does."""
        if self.action not in grant.actions:
            return "action"
        if not grant.approved:
            return "no_grant"
        if not grant.valid.contains(self.now):
            begun = grant.valid.start is None or grant.valid.start <= self.now
            return "expired" if begun else "not_yet"
        if grant.grantee != PUBLIC and not _reaches(grant, self.delegations):
            return "delegation"
        if not grant.conditions.hold(self.circumstances):
            return "origin"
        if self.barred is not None:
            return self.barred
        if grant.id in self.exhausted and self.action is not Action.CATALOGUE:
            return "quota"
        return None


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
    """Tell whether a grant reaches a key so many keys below the institution's own."""
    if not delegations:
        return True
    if grant.delegable is None or len(delegations) > grant.delegable.depth:
        return False
    days = grant.delegable.longest_days
    return days is None or all(life is not None and life <= timedelta(days=days) for life in delegations)


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
        crisis=grant.event_id if grant.kind is GrantKind.CRISIS else None,
    )


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


def _tiers(
    snapshot: PolicySnapshot, principal: Principal, exclusions: tuple[Exclusion, ...]
) -> Iterable[Allowance]:
    """Give the preview tiers of licences that are open to this caller."""
    signed_in = principal.kind is PrincipalKind.INSTITUTION and principal.institution_id is not None
    for licence in snapshot.tiered_licences:
        for name, tier in (("public", licence.public), ("partner", licence.partner if signed_in else None)):
            if tier is None:
                continue
            allowance = Allowance(
                grant_id=f"licence:{licence.id}:{name}",
                selector=Selector(licences=frozenset({licence.id})),
                acquired=ALWAYS,
                areas=(),
                finest_ground_resolution=tier.ground_resolution,
                times_pan=tier.times_pan,
                exclusions=exclusions,
            )
            made, _ = _narrowed(allowance, principal.caveats)
            if made is not None:
                yield made


def _exclusions(snapshot: PolicySnapshot, now: datetime, *, crisis: bool) -> tuple[Exclusion, ...]:
    """Turn the forbids that hold now, and the ceilings of licences, into exclusions, by id."""
    forbids = tuple(
        Exclusion(id=forbid.id, selector=forbid.selector, acquired=forbid.acquired, area=forbid.area)
        for forbid in snapshot.ordered_forbids
        if forbid.valid.contains(now) and not (crisis and forbid.overridable_by_crisis)
    )
    return forbids + tuple(
        _ceiling(licence.id, licence.holder) for licence in snapshot.tiered_licences if licence.holder
    )


def _ceiling(licence_id: str, tier: Tier) -> Exclusion:
    return Exclusion(
        id=f"licence:{licence_id}",
        selector=Selector(licences=frozenset({licence_id})),
        acquired=ALWAYS,
        area=None,
        finer_than=tier,
    )


def _refusal(grant: Grant, code: str) -> Refusal:
    return Refusal(grant_id=grant.id, code=code, selector=grant.selector, acquired=grant.acquired)


def _nearest(refusals: Iterable[Refusal]) -> str:
    codes = {refusal.code for refusal in refusals}
    return next((code for code in REFUSALS if code in codes), "no_grant")


def _until(now: datetime, grants: Iterable[Grant], forbids: Iterable[Forbid]) -> datetime | None:
    """Give the next instant at which a validity begins or ends."""
    windows = [grant.valid for grant in grants] + [forbid.valid for forbid in forbids]
    bounds = [side for window in windows for side in (window.start, window.end) if side and side > now]
    return min(bounds, default=None)


def _id(grant: Grant) -> str:
    return grant.id
