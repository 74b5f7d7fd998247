"""Changes of rights as pure functions: from the rights as they are to what is put and removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from auth.audit import Change
from auth.documents import FIELDS, content_digest, kind_of
from auth.errors import AlreadyExistsError, InvalidRightError, StillNamedError, UnknownIdError
from auth.models import Forbid, Grant, GrantKind, Institution, InstitutionStatus, Key, KeySecret, Kind, Right
from auth.rules import approvals_held, check_fits, check_form, named_by
from auth.snapshot import PolicySnapshot

Edit = Callable[[PolicySnapshot], Iterable[Change]]
"""Looks at the rights as they are, under the lock of writers, and gives the changes to make."""

R = TypeVar("R", bound=Right)

MOST_SECRETS: Final = 2
"""A key answers to its new secret and, while the grace lasts, to the one before."""


def applied(snapshot: PolicySnapshot, changes: Iterable[Change], epoch: int) -> PolicySnapshot:
    """Give the rights after changes that are known to fit."""
    held: dict[Kind, dict[str, Right]] = {}
    for change in changes:
        kind = held.setdefault(change.kind, dict(_all(snapshot, change.kind)))
        if change.right is None:
            kind.pop(change.id, None)
        else:
            kind[change.id] = change.right
    fields: dict[str, Any] = {FIELDS[kind]: dict(sorted(rights.items())) for kind, rights in held.items()}
    return replace(snapshot, epoch=epoch, **fields)


def checked(snapshot: PolicySnapshot, edit: Edit) -> tuple[Change, ...]:
    """Run an edit and check each of its changes against the rights as the ones before leave them.

    Returns:
        The changes that change something.

    Raises:
        AuthError: Whatever forbids one of them; then none is made.
    """
    made: list[Change] = []
    held: dict[Kind, dict[str, Right]] = {}
    for change in edit(snapshot):
        there = _all(snapshot, change.kind).get(change.id)
        if change.right == there:
            continue
        if change.right is not None:
            check_form(change.right)
            check_fits(snapshot, change.right)
        elif there is not None and (other := named_by(snapshot, there)) is not None:
            raise StillNamedError(change.kind, change.id, other)
        made.append(change)
        snapshot = _with(snapshot, change, held)
    return tuple(made)


def _with(snapshot: PolicySnapshot, change: Change, held: dict[Kind, dict[str, Right]]) -> PolicySnapshot:
    """Give the rights after a change; each kind is copied once, into `held`, which is changed in place."""
    kind = held.get(change.kind)
    if kind is None:
        kind = held[change.kind] = dict(_all(snapshot, change.kind))
    if change.right is None:
        kind.pop(change.id, None)
    else:
        kind[change.id] = change.right
    fields: dict[str, Any] = {FIELDS[change.kind]: kind}
    return replace(snapshot, **fields)  # a new value, so that nothing worked out before is kept


def put(right: Right) -> Edit:
    """Put a right, whatever stood in its place.

    Raises, when run:
        InvalidRightError: If a crisis grant names approvals that it has not: only `approve` gives one.
    """

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        if isinstance(right, Grant) and not set(right.approvals) <= set(approvals_held(snapshot, right)):
            raise InvalidRightError("grant: approvals are given one by one, by those who approve")
        return (_putting(right),)

    return edit


def add(right: Right) -> Edit:
    """Add a right; nothing changes when exactly this one is there.

    Raises, when run:
        AlreadyExistsError: If the id is taken by one that differs.
    """

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        kind = kind_of(right)
        there = _all(snapshot, kind).get(right.id)
        if there is not None and there != right:
            raise AlreadyExistsError(kind, right.id)
        return put(right)(snapshot)

    return edit


def add_by_content(right: Grant | Forbid) -> Edit:
    """Add a grant or forbid, unless one that says the same is there (whatever its id and date).

    Raises, when run:
        AlreadyExistsError: If the id is taken by one that says something else.
    """

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        kind = kind_of(right)
        if same_as(snapshot, right) is not None:
            return ()
        if right.id in _all(snapshot, kind):
            raise AlreadyExistsError(kind, right.id)
        return put(right)(snapshot)

    return edit


def same_as(snapshot: PolicySnapshot, right: Grant | Forbid) -> Right | None:
    """Give the right that says the same, if there is one."""
    wanted = content_digest(right)
    held = snapshot.grants.values() if isinstance(right, Grant) else snapshot.forbids.values()
    return next((other for other in held if content_digest(other) == wanted), None)


def remove(kind: Kind, id_: str) -> Edit:
    """Remove a right that nothing else names.

    Raises, when run:
        UnknownIdError: If there is none.
        StillNamedError: If others name it.
    """

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        _known(snapshot, kind, id_)
        return (Change(kind=kind, id=id_, right=None),)

    return edit


def set_status(institution_id: str, status: InstitutionStatus) -> Edit:
    """Change the status of an institution."""

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        institution = _known(snapshot, "institution", institution_id)
        assert isinstance(institution, Institution)
        return put(replace(institution, status=status))(snapshot)

    return edit


def revoke_key(key_id: str, now: datetime) -> Edit:
    """Revoke a key for good; where it was revoked before, the first date stays."""

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        key = _key(snapshot, key_id)
        return () if key.revoked is not None else put(replace(key, revoked=now))(snapshot)

    return edit


def rotate_key(key_id: str, secret: KeySecret, grace_ends: datetime) -> Edit:
    """Give a key a new secret; the one before opens until the grace ends.

    Args:
        key_id: Which key.
        secret: The new secret; its number is set here.
        grace_ends: First instant at which the old secret opens nothing.
    """

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        key = _key(snapshot, key_id)
        if key.revoked is not None:
            raise InvalidRightError("key: a revoked key gets no new secret")
        newest = key.secrets[-1]
        kept = (replace(newest, until=grace_ends), replace(secret, number=newest.number + 1))
        return put(replace(key, secrets=kept[-MOST_SECRETS:]))(snapshot)

    return edit


def approve(grant_id: str, operator_id: str) -> Edit:
    """Add an operator's approval to a crisis grant; a second one of the same operator changes nothing."""

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        grant = _known(snapshot, "grant", grant_id)
        assert isinstance(grant, Grant)
        if grant.kind is not GrantKind.CRISIS:
            raise InvalidRightError("grant: only a crisis grant is approved")
        if operator_id in grant.approvals:
            return ()
        return (_putting(replace(grant, approvals=(*grant.approvals, operator_id))),)

    return edit


def ask_crisis(grant: Grant, operator_id: str) -> Edit:
    """Add a crisis grant with the approval of the operator that asks for it, unless it is there.

    Args:
        grant: Without approvals.
        operator_id: Who asks.
    """

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        changes = tuple(add_by_content(grant)(snapshot))
        return (_putting(replace(grant, approvals=(operator_id,))),) if changes else ()

    return edit


def together(*edits: Edit) -> Edit:
    """Make several edits one; each sees what those before it did."""

    def edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        for each in edits:
            changes = checked(snapshot, each)
            snapshot = applied(snapshot, changes, snapshot.epoch)
            yield from changes

    return edit


def _putting(right: Right) -> Change:
    return Change(kind=kind_of(right), id=right.id, right=right)


def _all(snapshot: PolicySnapshot, kind: Kind) -> Mapping[str, Right]:
    held: Mapping[str, Right] = getattr(snapshot, FIELDS[kind])
    return held


def _known(snapshot: PolicySnapshot, kind: Kind, id_: str) -> Right:
    right = _all(snapshot, kind).get(id_)
    if right is None:
        raise UnknownIdError(kind, id_)
    return right


def _key(snapshot: PolicySnapshot, key_id: str) -> Key:
    key = _known(snapshot, "key", key_id)
    assert isinstance(key, Key)
    return key
