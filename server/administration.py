"""What a caller may read and change of the rights: operators everything, managers their own institution.

Pure: it takes the rights and the caller, and gives documents and edits. Whatever depends on the rights is
checked inside the edit, so under the lock of writers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar, cast

from auth.audit import Change
from auth.credentials import principal_of
from auth.decision import Principal
from auth.documents import FIELDS, canonical, content_digest, document_of, right_of
from auth.edits import Edit, add, add_by_content, same_as
from auth.errors import CredentialInvalidError, InvalidRightError, UnknownIdError
from auth.models import (
    UNNARROWED,
    Action,
    Forbid,
    Grant,
    GrantKind,
    Institution,
    Key,
    KeySecret,
    Kind,
    Membership,
    Right,
)
from auth.policy import decide
from auth.reach import written_instant
from auth.rules import identified, new_membership
from auth.snapshot import PolicySnapshot
from server.access import AccessDeniedError
from server.answers import digest
from server.key_documents import LastUsed, key_document

MANAGED_KINDS: Final[frozenset[Kind]] = frozenset({"institution", "membership", "key", "grant"})
"""What a manager sees of its own institution. Groups tell of others, licences of products that may be hidden,
and the reason of a forbid concerns whoever it concerns: `explain` tells a manager what it needs of them."""

_MADE_HERE: Final = frozenset({"id", "created", "created_by"})
NO_SECRET: Final = KeySecret(number=1, hmac=bytes(32), pepper_version=1)
"""Stands in a document of a key while it is read; no key is ever kept with it."""
_FIXED_OF_KEYS: Final = ("institution_id", "parent_id", "created", "revoked")
_USE: Final = "."

A = TypeVar("A", Grant, Forbid)


class RightNotFoundError(UnknownIdError):
    """No such right, or one that is hidden from the caller: one answer."""


class RightChangedError(Exception):
    """The right is not what the caller has seen of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who administers, as it was decided."""

    principal: Principal
    action: Action
    """MANAGE or OPERATE: what was decided."""
    realm: str | None
    """The institution within which; None: everywhere."""
    now: datetime

    @property
    def actor(self) -> str:
        """Who is recorded with a change."""
        principal = self.principal
        if principal.key_id is not None:
            return f"key:{principal.key_id}"
        return f"user:{principal.subject or principal.institution_id}"

    @property
    def operator_id(self) -> str | None:
        """The operator that the caller is; None: a manager."""
        return self.principal.institution_id if self.realm is None else None

    def still(self, snapshot: PolicySnapshot) -> None:
        """Check again, by the rights as they are under the lock, that the caller may administer.

        Raises:
            CredentialInvalidError: If its key was revoked meanwhile.
            AccessDeniedError: If it manages no more.
        """
        principal = self.principal
        if principal.key_id is not None:
            key = snapshot.keys.get(principal.key_id)
            if key is None:
                raise CredentialInvalidError(principal.key_id)
            principal = principal_of(snapshot, key, self.now)
        decision = decide(snapshot, principal, self.action, self.now)
        if not decision.allowed:
            raise AccessDeniedError(decision.code)
        if decision.realm not in {None, self.realm}:
            raise AccessDeniedError("not_manager")


@dataclass(frozen=True, kw_only=True, slots=True)
class Precondition:
    """What the caller takes for given, RFC 9110 §13.1; strong comparison."""

    if_match: str | None = None
    if_none_match: str | None = None

    def check(self, tag: str | None) -> None:
        """Compare with what is there.

        Args:
            tag: Validator of what is there, without quotes; None: nothing is.

        Raises:
            RightChangedError: If it is not as the caller takes it to be.
        """
        if self.if_match is not None and not _names(self.if_match, tag):
            raise RightChangedError
        if self.if_none_match is not None and _names(self.if_none_match, tag):
            raise RightChangedError


NO_PRECONDITION: Final = Precondition()


def _names(header: str, tag: str | None) -> bool:
    """Tell whether a list of validators holds a tag; the part that tells of use only is not compared."""
    if tag is None:
        return False
    names = [name.strip() for name in header.split(",")]
    return "*" in names or any(
        name.startswith('"') and name.strip('"').partition(_USE)[0] == tag for name in names
    )


def belongs(snapshot: PolicySnapshot, right: Right, realm: str | None) -> bool:
    """Tell whether a right is one that may be known within a realm."""
    if realm is None:
        return True
    if isinstance(right, Institution):
        return right.id == realm
    if isinstance(right, Key | Membership):
        return right.institution_id == realm
    if isinstance(right, Grant):
        return right.grantee == realm or right.grantee in snapshot.groups_of.get(realm, ())
    return False


def find(snapshot: PolicySnapshot, kind: Kind, id_: str, realm: str | None) -> Right:
    """Give a right that may be known within a realm.

    Raises:
        RightNotFoundError: If there is none, or it is another's.
    """
    held: Mapping[str, Right] = getattr(snapshot, FIELDS[kind])
    right = held.get(id_)
    if right is None or not belongs(snapshot, right, realm):
        raise RightNotFoundError(kind, id_)
    return right


def known(snapshot: PolicySnapshot, kind: Kind, realm: str | None) -> list[Right]:
    """Give all rights of a kind that may be known within a realm, by id."""
    held: Mapping[str, Right] = getattr(snapshot, FIELDS[kind])
    return [held[id_] for id_ in sorted(held) if belongs(snapshot, held[id_], realm)]


def shown(right: Right, used: LastUsed) -> dict[str, Any]:
    """Write a right down for those who may know of it: never a secret, nor the hash of one."""
    return key_document(right, used) if isinstance(right, Key) else document_of(right)


def content_tag(right: Right) -> str:
    """Give the validator of what a right says; of a key without its use."""
    return digest(canonical(shown(right, {})).encode())


def tag_of(right: Right, used: LastUsed) -> str:
    """Give the validator of a document as it is shown; the part before the dot is `content_tag`."""
    if not isinstance(right, Key):
        return content_tag(right)
    days = [used.get((right.id, secret.number)) for secret in right.secrets]
    return f"{content_tag(right)}{_USE}{digest(repr(days).encode())[:8]}"


def by(caller: Caller, edit: Edit) -> Edit:
    """Make an edit one that this caller may make, whatever the rights have become meanwhile.

    Approvals of a crisis grant are given by the operators themselves: whoever changes one keeps its own only.

    Raises, when run:
        CredentialInvalidError, AccessDeniedError: If the caller administers no more.
        InvalidRightError: If it approves for others.
    """

    def checked_edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        caller.still(snapshot)
        for change in edit(snapshot):
            if isinstance(change.right, Grant):
                _check_approvals(snapshot.grants.get(change.id), change.right, caller)
            yield change

    return checked_edit


def on(kind: Kind, id_: str, caller: Caller, precondition: Precondition, edit: Edit) -> Edit:
    """Make an edit of one right that the caller may know of.

    Raises, when run:
        RightNotFoundError: If it may not, or there is none.
        RightChangedError: If the right is not as the caller takes it to be.
    """

    def found(snapshot: PolicySnapshot) -> Iterable[Change]:
        precondition.check(content_tag(find(snapshot, kind, id_, caller.realm)))
        return edit(snapshot)

    return by(caller, found)


class Document:
    """A right as a document says it, whole; what the server makes itself may be left out."""

    def __init__(
        self, kind: Kind, id_: str, body: object, caller: Caller, precondition: Precondition
    ) -> None:
        """Read a document.

        Args:
            kind: What it is.
            id_: Its id, as the address says it.
            body: The document.
            caller: Who puts it.
            precondition: What it takes to be there.

        Raises:
            InvalidRightError: If the document is none of this kind, or of another id.
        """
        document = object_of(body)
        if document.setdefault("id", id_) != id_:
            raise InvalidRightError(f"{kind}: id: it is not the one of the address")
        self._unsaid: frozenset[str] = frozenset()
        if kind in {"grant", "forbid"}:
            self._unsaid = frozenset({"created", "created_by"} - document.keys())
            document = {"created": written_instant(caller.now), "created_by": caller.actor, **document}
        if kind == "key":
            document["secrets"] = [NO_SECRET]  # it keeps its own, whatever is said of them
        self.right = right_of(kind, document)
        self.created = False
        """Whether there was none, once the edit was made."""
        self._caller = caller
        self._precondition = precondition
        self._kind: Kind = kind

    @property
    def edit(self) -> Edit:
        """Put it; `right` is what was put, once it was.

        Raises, when run:
            RightNotFoundError: If it is a key that is not there, or another's.
            RightChangedError: If what is there is not as the caller takes it to be.
        """
        return by(self._caller, self._edit)

    def _edit(self, snapshot: PolicySnapshot) -> Iterable[Change]:
        kind, right = self._kind, self.right
        if isinstance(right, Key):  # a secret is made by POST only
            held = find(snapshot, kind, right.id, self._caller.realm)
            self._precondition.check(content_tag(held))
            self.right = _in_place(snapshot, cast("Key", held), right, self._caller)
        else:
            there: Right | None = getattr(snapshot, FIELDS[kind]).get(right.id)
            self._precondition.check(None if there is None else content_tag(there))
            self.created = there is None
            if there is not None:
                self.right = replace(right, **{name: getattr(there, name) for name in self._unsaid})
        return (Change(kind=kind, id=right.id, right=self.right),)


def read_new(kind: Kind, body: object, caller: Caller) -> Grant | Forbid | Membership:
    """Read a right whose id is made here.

    Args:
        kind: grant, forbid or membership.
        body: Its document, without id, created and created_by.
        caller: Who makes it; of a crisis grant it is the first to approve.

    Raises:
        InvalidRightError: If the document is none of this kind.
    """
    document = object_of(body)
    refuse_said(kind, document, _MADE_HERE)
    if kind == "membership":
        read = cast("Membership", right_of(kind, {**document, "id": "m"}))
        return new_membership(read.institution_id, read.issuer, read.claim, read.value, role=read.role)
    document |= {"id": "new", "created": written_instant(caller.now), "created_by": caller.actor}
    right = cast("Grant | Forbid", right_of(kind, document))
    if isinstance(right, Forbid):
        return identified(right)
    if right.kind is GrantKind.CRISIS and caller.operator_id is not None:
        right = replace(right, approvals=right.approvals or (caller.operator_id,))
    return identified(right)


class Addition:
    """Adds a right unless it is there, and tells which right stands there then."""

    def __init__(self, right: Grant | Forbid | Membership, caller: Caller) -> None:
        self.right: Right = right
        """What is there once the edit was made."""
        self._added = right
        self._caller = caller

    @property
    def edit(self) -> Edit:
        """Add it; grants and forbids that say the same count as it."""
        return by(self._caller, self._edit)

    def _edit(self, snapshot: PolicySnapshot) -> Iterable[Change]:
        added = self._added
        if isinstance(added, Membership):
            return add(added)(snapshot)
        self.right = same_as(snapshot, added) or added
        return add_by_content(added)(snapshot)


def _in_place(snapshot: PolicySnapshot, held: Key, asked: Key, caller: Caller) -> Key:
    """Give a key as it becomes: it keeps its secrets, and stays where it stands."""
    for name in _FIXED_OF_KEYS:
        if getattr(held, name) != getattr(asked, name):
            raise InvalidRightError(f"key: {name} can't be changed here: revoke the key, or make another one")
    whole = replace(asked, secrets=held.secrets, caveat=None if asked.caveat == UNNARROWED else asked.caveat)
    if caller.realm is None:
        return whole
    if held.parent_id is not None:
        check_rate(snapshot.keys.get(held.parent_id), whole)
    elif replace(whole, label=held.label) != held:
        raise InvalidRightError("key: of a key that no other made, a manager may change the label only")
    return whole


def check_rate(parent: Key | None, key: Key) -> None:
    """Refuse a key that may be used faster than the key above it.

    Raises:
        InvalidRightError: If it may.
    """
    if parent is None or parent.rate is None:
        return
    if key.rate is None or key.rate.per_second > parent.rate.per_second or key.rate.burst > parent.rate.burst:
        raise InvalidRightError("key: rate: it may not be faster than the key above it")


def _check_approvals(held: Grant | None, grant: Grant, caller: Caller) -> None:
    if grant.kind is not GrantKind.CRISIS:
        return
    same = held is not None and content_digest(held) == content_digest(grant)
    theirs = frozenset(held.approvals) if held is not None and same else frozenset[str]()
    if not set(grant.approvals) <= theirs | {caller.operator_id}:
        raise InvalidRightError(
            "grant: each operator approves a crisis grant itself, and anew when it was changed"
        )


def object_of(body: object) -> dict[str, Any]:
    """Read a body that has to be a JSON object.

    Raises:
        InvalidRightError: If it is none.
    """
    if not isinstance(body, dict):
        raise InvalidRightError("the body must be a JSON object")
    return dict(body)


def refuse_said(kind: Kind, document: Mapping[str, Any], names: frozenset[str]) -> None:
    """Refuse a document that says what the server makes.

    Raises:
        InvalidRightError: If it does.
    """
    said = sorted(names & document.keys())
    if said:
        raise InvalidRightError(f"{kind}: {said[0]} is made here: leave it out")
