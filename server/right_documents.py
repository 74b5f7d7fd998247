"""Documents of rights as callers write them: read strictly, completed by what the server makes, put."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from auth.audit import Change
from auth.documents import FIELDS, right_of
from auth.edits import Edit, add, add_by_content, ask_crisis, same_as
from auth.errors import InvalidRightError
from auth.models import UNNARROWED, Forbid, Grant, GrantKind, Key, KeySecret, Kind, Membership, Right
from auth.reach import ANY_SCENE, written_instant
from auth.rules import identified, new_membership
from auth.snapshot import PolicySnapshot
from server.administration import Caller, Precondition, by, find

_MADE_HERE: Final = frozenset({"id", "created", "created_by"})
NO_SECRET: Final = KeySecret(number=1, hmac=bytes(32), pepper_version=1)
"""Stands in a document of a key while it is read; no key is ever kept with it."""
_FIXED_OF_KEYS: Final = ("institution_id", "parent_id", "created", "revoked")


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
            self._precondition.check_right(held)
            self.right = _in_place(snapshot, cast("Key", held), right, self._caller)
        else:
            there: Right | None = getattr(snapshot, FIELDS[kind]).get(right.id)
            self._precondition.check_right(there)
            self.created = there is None
            if there is None:
                _refuse_boundless(right)
            else:
                self.right = replace(right, **{name: getattr(there, name) for name in self._unsaid})
        return (Change(kind=kind, id=right.id, right=self.right),)


def read_new(kind: Kind, body: object, caller: Caller) -> Grant | Forbid | Membership:
    """Read a right whose id is made here.

    Args:
        kind: grant, forbid or membership.
        body: Its document, without id, created and created_by.
        caller: Who makes it.

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
    _refuse_boundless(right)
    if isinstance(right, Forbid):
        return identified(right)
    if right.approvals:
        raise InvalidRightError("grant: approvals are given one by one, by those who approve")
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
        operator_id = self._caller.operator_id
        if isinstance(added, Grant) and added.kind is GrantKind.CRISIS and operator_id is not None:
            changes = tuple(ask_crisis(added, operator_id)(snapshot))  # who makes it is the first to approve
        else:
            changes = tuple(add_by_content(added)(snapshot))
        self.right = changes[0].right or added if changes else same_as(snapshot, added) or added
        return changes


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


def _refuse_boundless(right: Right) -> None:
    """Refuse a new grant of everything, or forbid of everything everywhere: more likely an oversight."""
    selected = isinstance(right, Grant | Forbid) and right.selector != ANY_SCENE
    if isinstance(right, Grant) and not selected:
        raise InvalidRightError("grant: selector: name a collection, licence, sensor or scene")
    if isinstance(right, Forbid) and not selected and right.area is None:
        raise InvalidRightError("forbid: selector: name a collection, licence, sensor or scene, or an area")


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
