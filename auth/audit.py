"""The record of every change of rights: append-only, each record holding the hash of the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from auth.documents import canonical, document_of, kind_of, rights_of
from auth.models import Kind, Right
from auth.reach import written_instant
from auth.snapshot import PolicySnapshot

BEGINNING: Final = "0" * 64
"""The hash before the first record."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One right put, or removed."""

    kind: Kind
    id: str
    right: Right | None
    """What it is now; None: removed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditRecord:
    """Who changed which right, when, and into what."""

    sequence: int
    """From 1, without gaps."""
    at: datetime
    actor: str
    """Such as `cli:alice` or `key:AbCdEfGh`."""
    kind: Kind
    id: str
    document: str
    """What the right is from then on, canonical JSON without secrets; `null`: removed."""
    previous: str
    """Hash of the record before."""
    hash: str
    """SHA-256 over all of this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditFault:
    """What verification found."""

    sequence: int
    """The first record that is not as it was written, or is missing; 0: the rights themselves."""
    reason: str


def record_of(change: Change, *, sequence: int, previous: str, actor: str, at: datetime) -> AuditRecord:
    """Make the record that follows another.

    Args:
        change: What was done.
        sequence: Number of the record.
        previous: Hash of the record before, BEGINNING for the first.
        actor: Who did it.
        at: When, with a time zone.
    """
    document = audited(change.right)
    return AuditRecord(
        sequence=sequence,
        at=at,
        actor=actor,
        kind=change.kind,
        id=change.id,
        document=document,
        previous=previous,
        hash=_hash(sequence, at, actor, change.kind, change.id, document, previous),
    )


def record_document(record: AuditRecord) -> dict[str, Any]:
    """Write a record down for a person or a program."""
    return {
        "sequence": record.sequence,
        "at": record.at.isoformat(timespec="seconds"),
        "actor": record.actor,
        "what": "removed" if record.document == "null" else "put",
        "kind": record.kind,
        "id": record.id,
        "document": json.loads(record.document),
        "hash": record.hash,
    }


def audited(right: Right | None) -> str:
    """Write a right down as the record keeps it: a secret's hash is only told apart, not told."""
    if right is None:
        return "null"
    document = document_of(right)
    for secret in document.get("secrets", ()) if kind_of(right) == "key" else ():
        secret["hmac"] = hashlib.sha256(str(secret["hmac"]).encode()).hexdigest()[:16]
    return canonical(document)


def verify(
    records: Iterable[AuditRecord], snapshot: PolicySnapshot, head: tuple[int, str]
) -> AuditFault | None:
    """Look for a record that was touched, and for rights that changed without one.

    Args:
        records: All records, ascending.
        snapshot: The rights as they are kept.
        head: Number and hash of the last record, as the store knows it.

    Returns:
        The first fault; None: every record is as it was written, and the rights are what they say.
    """
    previous, expected = BEGINNING, 1
    state: dict[tuple[Kind, str], str] = {}
    for record in records:
        if record.sequence != expected:
            return AuditFault(sequence=expected, reason="the record is missing")
        if record.previous != previous:
            return AuditFault(sequence=record.sequence, reason="it does not follow the record before it")
        if _hash_of(record) != record.hash:
            return AuditFault(sequence=record.sequence, reason="it is not as it was written")
        state[record.kind, record.id] = record.document
        previous, expected = record.hash, expected + 1
    if head != (expected - 1, previous):
        return AuditFault(sequence=expected, reason="records after the last one are missing")
    return _unrecorded(state, snapshot)


def _unrecorded(state: dict[tuple[Kind, str], str], snapshot: PolicySnapshot) -> AuditFault | None:
    kept = {(kind_of(right), right.id): audited(right) for right in rights_of(snapshot)}
    recorded = {key: document for key, document in state.items() if document != "null"}
    for kind, id_ in sorted(kept.keys() | recorded.keys()):
        if kept.get((kind, id_)) != recorded.get((kind, id_)):
            return AuditFault(sequence=0, reason=f"{kind} {id_} was changed without a record")
    return None


def _hash_of(record: AuditRecord) -> str:
    return _hash(
        record.sequence, record.at, record.actor, record.kind, record.id, record.document, record.previous
    )


def _hash(*parts: Any) -> str:
    plain = [written_instant(part) if isinstance(part, datetime) else part for part in parts]
    return hashlib.sha256(canonical(plain).encode()).hexdigest()
