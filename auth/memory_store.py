"""The store of rights in memory: the twin of the one in a database, for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from threading import Lock
from typing import TypeVar

from auth import rules
from auth.errors import AlreadyExistsError, UnknownIdError
from auth.models import (
    PUBLIC,
    Forbid,
    Grant,
    Institution,
    InstitutionStatus,
    Key,
    Licence,
    PolicySnapshot,
    Selector,
)

T = TypeVar("T")
R = TypeVar("R", Grant, Forbid)


class MemoryPolicyStore:
    """Rights kept in memory, for tests and for trying things out."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._epoch = 0
        self._institutions: dict[str, Institution] = {}
        self._licences: dict[str, Licence] = {}
        self._keys: dict[str, Key] = {}
        self._grants: dict[str, Grant] = {}
        self._forbids: dict[str, Forbid] = {}

    def epoch(self) -> int:
        """Give the number of the last change."""
        return self._epoch

    def snapshot(self) -> PolicySnapshot:
        """Give all rights as they are now."""
        with self._lock:
            return PolicySnapshot(
                epoch=self._epoch,
                institutions=rules.in_order(self._institutions),
                licences=rules.in_order(self._licences),
                keys=rules.in_order(self._keys),
                grants=tuple(rules.in_order(self._grants).values()),
                forbids=tuple(rules.in_order(self._forbids).values()),
            )

    def add_institution(self, institution: Institution) -> bool:
        """Add an institution; False when exactly this one is there."""
        rules.check_institution(institution)
        return self._add_once("institution", self._institutions, institution.id, institution)

    def set_institution_status(self, institution_id: str, status: InstitutionStatus) -> bool:
        """Change the status of an institution; False when it had that one."""
        with self._lock:
            institution = self._known("institution", self._institutions, institution_id)
            if institution.status is status:
                return False
            self._institutions[institution_id] = replace(institution, status=status)
            self._epoch += 1
            return True

    def add_licence(self, licence: Licence) -> bool:
        """Add a licence; False when exactly this one is there."""
        rules.check_licence(licence)
        return self._add_once("licence", self._licences, licence.id, licence)

    def add_grant(self, grant: Grant) -> Grant:
        """Add a grant, or give the one that says the same."""
        rules.check_grant(grant)
        with self._lock:
            if grant.grantee != PUBLIC:
                self._known("institution", self._institutions, grant.grantee)
            self._check_licences(grant.selector)
            return self._add_by_content("grant", self._grants, grant, rules.grant_digest)

    def add_forbid(self, forbid: Forbid) -> Forbid:
        """Add a forbid, or give the one that says the same."""
        rules.check_forbid(forbid)
        with self._lock:
            self._check_licences(forbid.selector)
            return self._add_by_content("forbid", self._forbids, forbid, rules.forbid_digest)

    def add_key(self, key: Key) -> None:
        """Add a key."""
        rules.check_key(key)
        with self._lock:
            self._known("institution", self._institutions, key.institution_id)
            if key.id in self._keys:
                raise AlreadyExistsError("key", key.id)
            self._keys[key.id] = key
            self._epoch += 1

    def revoke_key(self, key_id: str, now: datetime) -> bool:
        """Revoke a key for good; False when it was revoked before."""
        rules.check_instant(now)
        with self._lock:
            key = self._known("key", self._keys, key_id)
            if key.revoked is not None:
                return False
            self._keys[key_id] = replace(key, revoked=now)
            self._epoch += 1
            return True

    def _add_once(self, what: str, held: dict[str, T], id_: str, value: T) -> bool:
        with self._lock:
            if id_ in held:
                if held[id_] != value:
                    raise AlreadyExistsError(what, id_)
                return False
            held[id_] = value
            self._epoch += 1
            return True

    def _add_by_content(self, what: str, held: dict[str, R], right: R, digest: Callable[[R], str]) -> R:
        wanted = digest(right)
        for other in held.values():
            if digest(other) == wanted:
                return other
        if right.id in held:
            raise AlreadyExistsError(what, right.id)
        held[right.id] = right
        self._epoch += 1
        return right

    def _check_licences(self, selector: Selector) -> None:
        for licence_id in sorted(selector.licences or ()):
            self._known("licence", self._licences, licence_id)

    @staticmethod
    def _known(what: str, held: dict[str, T], id_: str) -> T:
        try:
            return held[id_]
        except KeyError:
            raise UnknownIdError(what, id_) from None
