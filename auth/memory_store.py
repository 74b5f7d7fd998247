"""The store of rights in memory: the twin of the one in a database, for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from threading import Lock

from auth.audit import BEGINNING, AuditRecord, Change, record_of
from auth.edits import Edit, applied, checked
from auth.snapshot import PolicySnapshot


class MemoryPolicyStore:
    """Rights kept in memory, for tests and for trying things out."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._snapshot = PolicySnapshot()
        self._records: list[AuditRecord] = []

    def epoch(self) -> int:
        """Give the number of the last change."""
        return self._snapshot.epoch

    def snapshot(self) -> PolicySnapshot:
        """Give all rights as they are now."""
        return self._snapshot

    def change(self, edit: Edit, *, actor: str, at: datetime) -> tuple[Change, ...]:
        """Change rights, and record each change."""
        with self._lock:
            changes = checked(self._snapshot, edit)
            if changes:
                records = list(self._records)
                for change in changes:
                    sequence, previous = _head(records)
                    records.append(
                        record_of(change, sequence=sequence + 1, previous=previous, actor=actor, at=at)
                    )
                self._records = records
                self._snapshot = applied(self._snapshot, changes, self._snapshot.epoch + 1)
            return changes

    def audit(self, after: int = 0, limit: int | None = None) -> Sequence[AuditRecord]:
        """Give the records of changes with a greater number, ascending."""
        found = [record for record in self._records if record.sequence > after]
        return found[:limit]

    def audit_head(self) -> tuple[int, str]:
        """Give the number and the hash of the last record."""
        return _head(self._records)


def _head(records: Sequence[AuditRecord]) -> tuple[int, str]:
    return (records[-1].sequence, records[-1].hash) if records else (0, BEGINNING)
