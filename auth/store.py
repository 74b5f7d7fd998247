"""The store of rights, its Protocol and the one in a database; decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Final, Protocol

from sqlalchemy import Connection, Engine, insert, select, update

from auth import schema
from auth.audit import AuditFault, AuditRecord, Change, record_of, verify
from auth.documents import right_of_stored, stored_text
from auth.edits import Edit, applied, checked
from auth.errors import InvalidRightError, PolicyUnavailableError
from auth.snapshot import PolicySnapshot

_OPTIMISTIC_READS: Final = 5
_QUIET_READS: Final = 100


class PolicyStore(Protocol):
    """Keeps the rights; every change is whole or not at all and makes the epoch grow by one.

    All methods may be called from several threads, and raise PolicyUnavailableError when the store does
    not answer.
    """

    def epoch(self) -> int:
        """Give the number of the last change; cheap, for a poll each second."""
        ...

    def snapshot(self) -> PolicySnapshot:
        """Give all rights as they were at one epoch, each kind in the order of ids."""
        ...

    def change(self, edit: Edit, *, actor: str, at: datetime) -> tuple[Change, ...]:
        """Change rights, and record each change.

        Args:
            edit: Run while no other change can come between.
            actor: Who does it, such as `cli:alice` or `key:AbCdEfGh`.
            at: When, with a time zone.

        Returns:
            What was changed; where that is nothing, the epoch stays and nothing is recorded.

        Raises:
            AuthError: What the edit raises, or a change that does not fit; then nothing is changed.
        """
        ...

    def audit(self, after: int = 0, limit: int | None = None) -> Sequence[AuditRecord]:
        """Give the records of changes with a greater number, ascending."""
        ...

    def audit_head(self) -> tuple[int, str]:
        """Give the number and the hash of the last record."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """What was found when the record of a store was verified."""

    head: tuple[int, str]
    """Number and hash of the last record."""
    records: Sequence[AuditRecord]
    fault: AuditFault | None

    def holds(self, noted: tuple[int, str]) -> bool:
        """Tell whether a head that was noted before is still the record of that number."""
        sequence, hash_ = noted
        return any(record.sequence == sequence and record.hash == hash_ for record in self.records)


def examine(store: PolicyStore) -> Examination:
    """Verify the record of a store, all of it as it was at one moment.

    Raises:
        PolicyUnavailableError: If the store does not answer, or is never quiet for the time of one read.
    """
    head = store.audit_head()
    for _ in range(_QUIET_READS):
        records, snapshot, before = store.audit(), store.snapshot(), head
        head = store.audit_head()
        if head == before:
            return Examination(head=head, records=records, fault=verify(records, snapshot, head))
    raise PolicyUnavailableError("the rights change too often to be verified")


class SqlPolicyStore:
    """Rights kept in a database that `auth.migrate` has brought to its head.

    The row of the epoch is the lock of all writers: each write begins by raising it, so writers queue
    there and see what the one before did, whatever the isolation of the engine. A reader takes no lock;
    it reads the epoch before and after, and again when they differ. It reads only what changed since it
    last looked.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = Lock()
        self._known = PolicySnapshot(epoch=-1)

    def epoch(self) -> int:
        """Give the number of the last change."""
        with schema.answering(), self._engine.connect() as connection:
            return _read_epoch(connection)

    def snapshot(self) -> PolicySnapshot:
        """Give all rights as they were at one epoch."""
        with self._lock, schema.answering():
            for _ in range(_OPTIMISTIC_READS):
                with self._engine.connect() as connection:
                    before = _read_epoch(connection)
                    snapshot = _read_since(connection, self._known, before)
                    if _read_epoch(connection) == before:
                        self._known = snapshot
                        return snapshot
        # So many writes that no quiet moment was found: hold them back for the time of one read.
        with self._writing() as (connection, epoch):
            return _read_since(connection, self._known, epoch - 1)

    def change(self, edit: Edit, *, actor: str, at: datetime) -> tuple[Change, ...]:
        """Change rights, and record each change."""
        with self._writing() as (connection, epoch):
            before = _read_since(connection, self._known, epoch - 1)
            changes = checked(before, edit)
            if changes:
                for change in changes:
                    _write(connection, change, epoch)
                _record(connection, changes, actor, at)
                connection.commit()
        return changes

    def audit(self, after: int = 0, limit: int | None = None) -> Sequence[AuditRecord]:
        """Give the records of changes with a greater number, ascending."""
        table = schema.audit_table
        wanted = select(table).where(table.c.sequence > after).order_by(table.c.sequence).limit(limit)
        with schema.answering(), self._engine.connect() as connection:
            return [
                AuditRecord(
                    sequence=row["sequence"],
                    at=row["at"],
                    actor=row["actor"],
                    kind=row["kind"],
                    id=row["subject"],
                    document=row["document"],
                    previous=row["previous"],
                    hash=row["hash"],
                )
                for row in connection.execute(wanted).mappings()
            ]

    def audit_head(self) -> tuple[int, str]:
        """Give the number and the hash of the last record."""
        with schema.answering(), self._engine.connect() as connection:
            return _audit_head(connection)

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection, int]]:
        """Begin a transaction by raising the epoch; what is not committed within is undone."""
        raised = update(schema.epoch_table).values(epoch=schema.epoch_table.c.epoch + 1)
        with schema.answering(), self._engine.connect() as connection:
            if connection.execute(raised).rowcount != 1:
                raise PolicyUnavailableError("the database of rights has no epoch: migrate it first")
            yield connection, _read_epoch(connection)


def _read_epoch(connection: Connection) -> int:
    epoch: int = connection.execute(select(schema.epoch_table.c.epoch)).scalar_one()
    return epoch


def _read_since(connection: Connection, known: PolicySnapshot, epoch: int) -> PolicySnapshot:
    """Bring a snapshot up to an epoch; one of another database, or from the future, is read anew."""
    if known.epoch > epoch:
        known = PolicySnapshot(epoch=-1)
    if known.epoch == epoch:
        return known
    table = schema.right_table
    rows = connection.execute(
        select(table.c.kind, table.c.id, table.c.document).where(table.c.epoch > known.epoch)
    )
    try:
        changes = [
            Change(kind=kind, id=id_, right=None if text is None else right_of_stored(kind, text))
            for kind, id_, text in rows
        ]
    except InvalidRightError as error:
        # what can't be read may be a forbid: no rights at all are better than all but one
        raise PolicyUnavailableError(f"the rights can't be read: {error}") from error
    return replace(applied(known, changes, epoch), epoch=epoch)


def _write(connection: Connection, change: Change, epoch: int) -> None:
    table = schema.right_table
    values = {
        "epoch": epoch,
        "document": None if change.right is None else stored_text(change.right),
    }
    there = update(table).where(table.c.kind == change.kind, table.c.id == change.id).values(values)
    if connection.execute(there).rowcount == 0:
        connection.execute(insert(table).values(kind=change.kind, id=change.id, **values))


def _record(connection: Connection, changes: Sequence[Change], actor: str, at: datetime) -> None:
    sequence, previous = _audit_head(connection)
    for change in changes:
        sequence += 1
        record = record_of(change, sequence=sequence, previous=previous, actor=actor, at=at)
        previous = record.hash
        connection.execute(
            insert(schema.audit_table).values(
                sequence=record.sequence,
                at=record.at,
                actor=record.actor,
                kind=record.kind,
                subject=record.id,
                document=record.document,
                previous=record.previous,
                hash=record.hash,
            )
        )
    connection.execute(update(schema.epoch_table).values(audit_sequence=sequence, audit_hash=previous))


def _audit_head(connection: Connection) -> tuple[int, str]:
    table = schema.epoch_table
    sequence, hash_ = connection.execute(select(table.c.audit_sequence, table.c.audit_hash)).one()
    return sequence, hash_
