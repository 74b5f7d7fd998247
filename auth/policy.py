"""Who may do what: one pure function of the rights, the caller, the action and the clock; default deny."""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter

from auth.models import (
    PUBLIC,
    Action,
    Allowance,
    Decision,
    Exclusion,
    InstitutionStatus,
    PolicySnapshot,
    Principal,
    PrincipalKind,
)


def decide(snapshot: PolicySnapshot, principal: Principal, action: Action, now: datetime) -> Decision:
    """Decide what a caller may do.

    Each grant that holds becomes one allowance, complete in itself: grants are never merged, so the area
    of one can't meet the resolution of another. The forbids that hold hang on every allowance. A caller
    who is no longer an active institution of the snapshot has no rights at all, not even public ones.

    Args:
        snapshot: All rights; the order of its grants and forbids means nothing.
        principal: Who asks.
        action: What for.
        now: The clock, with a time zone.

    Returns:
        `ok` with the allowances in the order of their grants' ids (none for OPEN and OPERATE, which show
        no imagery), else `operator_only` or `no_grant` with none.
    """
    if action is Action.OPEN:
        return Decision(code="ok", allowances=())
    if action is Action.OPERATE:
        return Decision(code="ok" if _operates(snapshot, principal) else "operator_only", allowances=())
    grantees = _grantees(snapshot, principal)
    grants = [
        grant
        for grant in snapshot.grants
        if grant.grantee in grantees and action in grant.actions and grant.valid.contains(now)
    ]
    if not grants:
        return Decision(code="no_grant", allowances=())
    exclusions = _exclusions(snapshot, now)
    return Decision(
        code="ok",
        allowances=tuple(
            Allowance(
                grant_id=grant.id,
                selector=grant.selector,
                acquired=grant.acquired,
                area=grant.area,
                finest_ground_resolution=grant.finest_ground_resolution,
                exclusions=exclusions,
            )
            for grant in sorted(grants, key=attrgetter("id"))
        ),
    )


def _grantees(snapshot: PolicySnapshot, principal: Principal) -> frozenset[str]:
    """Give the names under which grants may be made to this caller."""
    if principal.kind is PrincipalKind.ANONYMOUS:
        return frozenset({PUBLIC})
    institution_id = principal.institution_id
    if institution_id is None or not _active(snapshot, institution_id):
        return frozenset()
    if principal.kind is PrincipalKind.INSTITUTION:
        return frozenset({PUBLIC, institution_id})
    return frozenset({PUBLIC})


def _operates(snapshot: PolicySnapshot, principal: Principal) -> bool:
    """Tell whether the caller is an operator, and still is one in the snapshot."""
    institution_id = principal.institution_id
    return (
        principal.kind is PrincipalKind.OPERATOR
        and institution_id is not None
        and _active(snapshot, institution_id)
        and snapshot.institutions[institution_id].operator
    )


def _active(snapshot: PolicySnapshot, institution_id: str) -> bool:
    institution = snapshot.institutions.get(institution_id)
    return institution is not None and institution.status is InstitutionStatus.ACTIVE


def _exclusions(snapshot: PolicySnapshot, now: datetime) -> tuple[Exclusion, ...]:
    """Turn the forbids that hold now into exclusions, in the order of their ids."""
    forbids = sorted(
        (forbid for forbid in snapshot.forbids if forbid.valid.contains(now)), key=attrgetter("id")
    )
    return tuple(
        Exclusion(id=forbid.id, selector=forbid.selector, acquired=forbid.acquired, area=forbid.area)
        for forbid in forbids
    )
