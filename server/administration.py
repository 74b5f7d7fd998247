"""What a caller may read and change of the rights: operators everything, managers their own institution.

Pure: it takes the rights and the caller, and gives documents and edits. Whatever depends on the rights is
checked inside the edit, so under the lock of writers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from auth.audit import Change
from auth.credentials import principal_of
from auth.decision import Principal
from auth.documents import FIELDS, canonical, content_digest, document_of
from auth.edits import Edit
from auth.errors import CredentialInvalidError, InvalidRightError, UnknownIdError
from auth.models import (
    Action,
    Grant,
    GrantKind,
    Institution,
    Key,
    Kind,
    Membership,
    Right,
)
from auth.policy import decide
from auth.snapshot import PolicySnapshot
from server.access import AccessDeniedError
from server.answers import digest
from server.key_documents import LastUsed, key_document

MANAGED_KINDS: Final[frozenset[Kind]] = frozenset({"institution", "membership", "key", "grant"})
"""What a manager sees of its own institution. Groups tell of others, licences of products that may be hidden,
and the reason of a forbid concerns whoever it concerns: `explain` tells a manager what it needs of them."""

_USE: Final = "."


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

    def check_right(self, right: Right | None) -> None:
        """Compare with the right that is there, or with none.

        Raises:
            RightChangedError: If it is not as the caller takes it to be.
        """
        if self != NO_PRECONDITION:  # a large area is not written down for nothing under the lock
            self.check(None if right is None else content_tag(right))

    def check(self, tag: str | None) -> None:
        """Compare with the validator of what is there.

        Args:
            tag: Without quotes; None: nothing is there.

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
    if not isinstance(right, Key):
        return document_of(right)
    document = key_document(right, used)
    for secret in document["secrets"]:
        del secret["pepper_version"]
    return document


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

    That a crisis grant needs two operators would mean nothing if one could act as two. So each gives its own
    approval only, and none makes operators, or credentials of another one: that is done on the command line.

    Raises, when run:
        CredentialInvalidError, AccessDeniedError: If the caller administers no more, or acts for another.
        InvalidRightError: If it approves for another.
    """

    def checked_edit(snapshot: PolicySnapshot) -> Iterable[Change]:
        caller.still(snapshot)
        for change in edit(snapshot):
            held: Right | None = getattr(snapshot, FIELDS[change.kind]).get(change.id)
            if change.right is not None and change.right != held:
                _check_operators(snapshot, held, change.right, caller)
                if isinstance(change.right, Grant):
                    _check_approvals(cast("Grant | None", held), change.right, caller)
            yield change

    return checked_edit


def on(kind: Kind, id_: str, caller: Caller, precondition: Precondition, edit: Edit) -> Edit:
    """Make an edit of one right that the caller may know of.

    Raises, when run:
        RightNotFoundError: If it may not, or there is none.
        RightChangedError: If the right is not as the caller takes it to be.
    """

    def found(snapshot: PolicySnapshot) -> Iterable[Change]:
        precondition.check_right(find(snapshot, kind, id_, caller.realm))
        return edit(snapshot)

    return by(caller, found)


def _check_operators(snapshot: PolicySnapshot, held: Right | None, right: Right, caller: Caller) -> None:
    """Refuse what would let one operator act as another."""
    if isinstance(right, Institution):
        acts = right.operator != (isinstance(held, Institution) and held.operator)
    elif isinstance(right, Membership | Key) and right.institution_id != caller.principal.institution_id:
        institution = snapshot.institutions.get(right.institution_id)
        acts = institution is not None and institution.operator and not _only_limits(held, right)
    else:
        acts = False
    if acts:
        raise AccessDeniedError("another_operator")


def _only_limits(held: Right | None, right: Right) -> bool:
    """Tell whether a key stays whose it is and with secrets that the one who changes it does not know."""
    if not isinstance(held, Key) or not isinstance(right, Key):
        return False
    return (held.institution_id, held.secrets) == (right.institution_id, right.secrets)


def _check_approvals(held: Grant | None, grant: Grant, caller: Caller) -> None:
    if grant.kind is not GrantKind.CRISIS:
        return
    same = held is not None and content_digest(held) == content_digest(grant)
    theirs = frozenset(held.approvals) if held is not None and same else frozenset[str]()
    if not set(grant.approvals) <= theirs | {caller.operator_id}:
        raise InvalidRightError(
            "grant: each operator approves a crisis grant itself, and anew when it was changed"
        )
