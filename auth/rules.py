"""What may enter the store of rights: making grants and forbids, and whether they fit the rest; pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, TypeVar

from auth.documents import content_digest, document_of, kind_of, right_of, rights_of
from auth.errors import InvalidIdError, InvalidRightError, UnknownIdError
from auth.models import (
    GATEWAY,
    GATEWAY_CLAIMS,
    GROUP_PREFIX,
    LONGEST_CRISIS,
    PUBLIC,
    Forbid,
    Grant,
    GrantKind,
    Group,
    Institution,
    InstitutionStatus,
    Key,
    Licence,
    Membership,
    Right,
    Role,
)
from auth.reach import Area, Selector, written_instant
from auth.snapshot import PolicySnapshot

ID_GRAMMAR: Final = "[a-z0-9][a-z0-9._-]{0,63}"
"""What the ids of institutions, licences, grants and forbids look like."""

KEY_ID_GRAMMAR: Final = "[0-9A-Za-z]{8}"
"""What the id of a key looks like."""

_ID: Final = re.compile(ID_GRAMMAR)
_KEY_ID: Final = re.compile(KEY_ID_GRAMMAR)

G = TypeVar("G", Grant, Forbid)

DEEPEST_KEY: Final = 4
"""Keys that may stand above one."""


def new_grant(grantee: str, selector: Selector, *, area: Area | None, now: datetime, **more: Any) -> Grant:
    """Make a grant; its id is a digest of its content, so the same right has the same id everywhere.

    Args:
        grantee: Institution id, `group:ID` or PUBLIC.
        selector: Which scenes.
        area: Where; EVERYWHERE must be said.
        now: When it is made, with a time zone.
        more: Further fields of a Grant.

    Raises:
        InvalidRightError: If a value is impossible.
    """
    return identified(Grant(id="g", grantee=grantee, selector=selector, area=area, created=now, **more))


def new_forbid(selector: Selector, *, area: Area | None, reason: str, now: datetime, **more: Any) -> Forbid:
    """Make a forbid; its id is a digest of its content.

    Args:
        selector: Which scenes.
        area: Where; EVERYWHERE must be said.
        reason: Why, for the record.
        now: When it is made, with a time zone.
        more: Further fields of a Forbid.

    Raises:
        InvalidRightError: If a value is impossible.
    """
    return identified(Forbid(id="f", selector=selector, area=area, reason=reason, created=now, **more))


def identified(made: G) -> G:
    """Give a grant or forbid the id that is a digest of its content.

    Raises:
        InvalidRightError: If a value is impossible.
    """
    check_form(made)
    prefix = "g" if isinstance(made, Grant) else "f"
    return replace(made, id=f"{prefix}{content_digest(made)[:16]}")


def new_membership(institution_id: str, issuer: str, claim: str, value: str, **more: Any) -> Membership:
    """Make a membership; its id is a digest of what it is found by.

    Raises:
        InvalidRightError: If a value is impossible.
    """
    digest = hashlib.sha256(f"{issuer}\0{claim}\0{value}".encode()).hexdigest()[:16]
    made = Membership(
        id=f"m{digest}", institution_id=institution_id, issuer=issuer, claim=claim, value=value, **more
    )
    check_form(made)
    return made


def check_form(right: Right) -> None:
    """Refuse a right that could never mean what was meant, whatever else there is.

    Raises:
        InvalidIdError: If its id breaks its grammar.
        InvalidRightError: If a value is impossible.
    """
    kind = kind_of(right)
    pattern, grammar = (_KEY_ID, KEY_ID_GRAMMAR) if isinstance(right, Key) else (_ID, ID_GRAMMAR)
    if pattern.fullmatch(right.id) is None:
        raise InvalidIdError(kind, right.id, grammar)
    if isinstance(right, Institution) and right.id == PUBLIC:
        raise InvalidIdError(kind, right.id, f"{ID_GRAMMAR} and not be {PUBLIC!r}")
    try:
        document = document_of(right)
    except ValueError as error:
        raise InvalidRightError(f"{kind}: {error}") from error
    right_of(kind, document)
    if isinstance(right, Grant):
        _check_crisis(right)
    elif isinstance(right, Key):
        _check_secrets(right)
    elif isinstance(right, Membership):
        _check_words(right)


def check_fits(snapshot: PolicySnapshot, right: Right) -> None:
    """Refuse a right that names what is not there, or opens more than it may beside the others.

    Raises:
        UnknownIdError: If it names an institution, group, licence or key that is not there.
        InvalidRightError: If it can't stand beside the others.
    """
    if isinstance(right, Grant):
        _known_grantee(snapshot, right.grantee)
        _known_licences(snapshot, right.selector)
        _check_approvals(snapshot, right)
    elif isinstance(right, Forbid):
        _known_licences(snapshot, right.selector)
    elif isinstance(right, Key):
        _known("institution", snapshot.institutions, right.institution_id)
        _check_same_key(snapshot, right)
        _check_parent(snapshot, right)
    elif isinstance(right, Membership):
        _known("institution", snapshot.institutions, right.institution_id)
    elif isinstance(right, Group):
        for member in sorted(right.members):
            _known("institution", snapshot.institutions, member)


def named_by(snapshot: PolicySnapshot, right: Right) -> str | None:
    """Give a right that names this one, in words; None: it may go."""
    if isinstance(right, Key):
        children = snapshot.children.get(right.id, ())
        return f"key {children[0]}" if children else None
    for other in rights_of(snapshot):
        if _names(other, right):
            return f"{kind_of(other)} {other.id}"
    return None


def key_chain(snapshot: PolicySnapshot, key: Key) -> tuple[Key, ...]:
    """Give a key and the keys above it, the lowest first.

    Raises:
        UnknownIdError: If one of them is not there, or they are more than may be.
    """
    chain = [key]
    while (parent_id := chain[-1].parent_id) is not None:
        parent = snapshot.keys.get(parent_id)
        if parent is None or len(chain) > DEEPEST_KEY:
            raise UnknownIdError("key", parent_id)
        chain.append(parent)
    return tuple(chain)


def _check_crisis(grant: Grant) -> None:
    if grant.kind is GrantKind.NORMAL:
        if grant.event_id is not None or grant.approvals:
            raise InvalidRightError("grant: only a crisis grant has an event and approvals")
        return
    if not grant.event_id:
        raise InvalidRightError("grant: a crisis grant names its event")
    if grant.area is None:
        raise InvalidRightError("grant: a crisis grant has an area, not everywhere")
    if grant.selector.collections is None and grant.selector.sensors is None:
        raise InvalidRightError("grant: a crisis grant names collections or sensors")
    start, end = grant.valid.start, grant.valid.end
    if start is None or end is None or end - start > LONGEST_CRISIS:
        raise InvalidRightError("grant: a crisis grant begins, and ends within 72 hours")
    if len(set(grant.approvals)) != len(grant.approvals):
        raise InvalidRightError("grant: the approvals must be of different operators")


def _check_words(membership: Membership) -> None:
    if not (membership.issuer and membership.claim and membership.value):
        raise InvalidRightError("membership: issuer, claim and value can't be empty")
    if membership.issuer == GATEWAY and membership.claim not in GATEWAY_CLAIMS:
        raise InvalidRightError(f"membership: of a gateway the claim is {', '.join(sorted(GATEWAY_CLAIMS))}")


def approvals_held(snapshot: PolicySnapshot, grant: Grant) -> tuple[str, ...]:
    """Give the approvals that a crisis grant has: those of exactly what it says.

    Args:
        snapshot: The rights as they are.
        grant: As it is to be; the approvals that stand in it are not looked at.
    """
    there = snapshot.grants.get(grant.id)
    if there is None or content_digest(there) != content_digest(grant):
        return ()
    return there.approvals


def _check_approvals(snapshot: PolicySnapshot, grant: Grant) -> None:
    """Refuse approvals that come several at once, or of somebody who is no operator now."""
    fresh = set(grant.approvals) - set(approvals_held(snapshot, grant))
    if len(fresh) > 1:
        raise InvalidRightError(
            "grant: operators approve a crisis grant one by one, and anew when it says something else"
        )
    for approver in fresh:
        institution = snapshot.institutions.get(approver)
        if institution is None or not institution.operator:
            raise InvalidRightError(f"only operators approve a crisis grant, and {approver!r} is none")
        if institution.status is not InstitutionStatus.ACTIVE:
            raise InvalidRightError(f"the operator {approver!r} is not active")


def _check_same_key(snapshot: PolicySnapshot, key: Key) -> None:
    """A key stays its institution's, and dead once it is revoked."""
    there = snapshot.keys.get(key.id)
    if there is None:
        return
    if there.institution_id != key.institution_id:
        raise InvalidRightError("key: a key stays with its institution")
    if there.revoked is not None and key.revoked is None:
        raise InvalidRightError("key: a revoked key stays revoked")


def _check_secrets(key: Key) -> None:
    for older, newer in pairwise(key.secrets):
        if older.until is None or newer.number <= older.number:
            raise InvalidRightError("key: of two secrets the older one ends, and has the lower number")
    if key.secrets[-1].until is not None:
        raise InvalidRightError("key: its newest secret has no end of its own")
    if key.expires is not None and key.expires <= key.created:
        raise InvalidRightError("key: a key must end after it begins")
    if key.parent_id == key.id:
        raise InvalidRightError("key: a key can't be made by itself")


def _check_parent(snapshot: PolicySnapshot, key: Key) -> None:
    """A key made by another can't do, nor outlive, what that one can't."""
    if key.parent_id is None:
        return
    parent = snapshot.keys.get(key.parent_id)
    if parent is None:
        raise UnknownIdError("key", key.parent_id)
    above = key_chain(snapshot, parent)
    if key.id in {each.id for each in above}:
        raise InvalidRightError("key: a key can't stand above itself")
    if len(above) >= DEEPEST_KEY:
        raise InvalidRightError(f"key: at most {DEEPEST_KEY} keys stand one below the other")
    if parent.institution_id != key.institution_id:
        raise InvalidRightError("key: a key belongs to the institution of the key that made it")
    if parent.revoked is not None and key.revoked is None:
        raise InvalidRightError("key: the key above it is revoked")
    if parent.expires is not None and (key.expires is None or key.expires > parent.expires):
        raise InvalidRightError(f"key: it must end by {written_instant(parent.expires)}, as the key above it")
    if key.url_allowed and not parent.url_allowed:
        raise InvalidRightError("key: the key above it may not stand in addresses")
    if key.role is Role.MANAGER:
        raise InvalidRightError("key: a key made by another can't manage")
    _check_narrower(parent, key)


def _check_narrower(parent: Key, key: Key) -> None:
    """Refuse what is plainly wider; what is only partly so, evaluation cuts."""
    allowed = parent.caveat.actions if parent.caveat else None
    asked = key.caveat.actions if key.caveat else None
    if allowed is not None and asked is not None and not asked <= allowed:
        raise InvalidRightError("key: the key above it may not do all of these actions")


def _known_grantee(snapshot: PolicySnapshot, grantee: str) -> None:
    if grantee == PUBLIC:
        return
    if grantee.startswith(GROUP_PREFIX):
        _known("group", snapshot.groups, grantee.removeprefix(GROUP_PREFIX))
    else:
        _known("institution", snapshot.institutions, grantee)


def _known_licences(snapshot: PolicySnapshot, selector: Selector) -> None:
    for licence_id in sorted(selector.licences or ()):
        _known("licence", snapshot.licences, licence_id)


def _known(what: str, held: Mapping[str, object], id_: str) -> None:
    if id_ not in held:
        raise UnknownIdError(what, id_)


def _names(other: Right, right: Right) -> bool:
    if isinstance(right, Institution):
        return (
            (isinstance(other, Key | Membership) and other.institution_id == right.id)
            or (isinstance(other, Grant) and (other.grantee == right.id or right.id in other.approvals))
            or (isinstance(other, Group) and right.id in other.members)
        )
    if isinstance(right, Group):
        return isinstance(other, Grant) and other.grantee == GROUP_PREFIX + right.id
    if isinstance(right, Licence):
        return isinstance(other, Grant | Forbid) and right.id in (other.selector.licences or ())
    return False
