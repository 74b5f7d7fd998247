"""The store of rights, its Protocol and the one in a database; decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Engine, RowMapping, Table, select, update

from auth import rules, schema
from auth.errors import AlreadyExistsError, PolicyUnavailableError, UnknownIdError
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

_OPTIMISTIC_READS: Final = 5


class PolicyStore(Protocol):
    """Keeps the rights; every change is whole or not at all and makes the epoch grow by one.

    A call that changes nothing leaves the epoch alone. All methods may be called from several threads,
    and raise PolicyUnavailableError when the store does not answer.
    """

    def epoch(self) -> int:
        """Give the number of the last change; cheap, for a poll each second."""
        ...

    def snapshot(self) -> PolicySnapshot:
        """Give all rights as they were at one epoch; grants and forbids in the order of their ids."""
        ...

    def add_institution(self, institution: Institution) -> bool:
        """Add an institution; False when exactly this one is there.

        Raises:
            InvalidIdError: If its id breaks the grammar or is `public`.
            AlreadyExistsError: If the id is taken by one that differs.
        """
        ...

    def set_institution_status(self, institution_id: str, status: InstitutionStatus) -> bool:
        """Change the status of an institution; False when it had that one.

        Raises:
            UnknownIdError: If there is no such institution.
        """
        ...

    def add_licence(self, licence: Licence) -> bool:
        """Add a licence; False when exactly this one is there.

        Raises:
            InvalidIdError: If its id breaks the grammar.
            AlreadyExistsError: If the id is taken by one that differs.
        """
        ...

    def add_grant(self, grant: Grant) -> Grant:
        """Add a grant, or give the one that says the same (whatever its id and date).

        Raises:
            InvalidIdError: If an id breaks its grammar.
            ValueError: If a value is impossible.
            UnknownIdError: If the institution or a licence it names is not there.
            AlreadyExistsError: If the id is taken by one that says something else.
        """
        ...

    def add_forbid(self, forbid: Forbid) -> Forbid:
        """Add a forbid, or give the one that says the same (whatever its id and date).

        Raises:
            InvalidIdError: If its id breaks the grammar.
            ValueError: If a value is impossible.
            UnknownIdError: If a licence it names is not there.
            AlreadyExistsError: If the id is taken by one that says something else.
        """
        ...

    def add_key(self, key: Key) -> None:
        """Add a key.

        Raises:
            InvalidIdError: If its id breaks the grammar.
            ValueError: If a value is impossible.
            UnknownIdError: If its institution is not there.
            AlreadyExistsError: If the id is taken.
        """
        ...

    def revoke_key(self, key_id: str, now: datetime) -> bool:
        """Revoke a key for good; False when it was revoked before (the first date stays).

        Raises:
            UnknownIdError: If there is no such key.
        """
        ...


class _Write:
    """One transaction that has the write lock; it keeps the epoch's growth only if something changed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.changed = False

    def row(self, table: Table, id_: str) -> RowMapping | None:
        return self.connection.execute(select(table).where(table.c.id == id_)).mappings().one_or_none()

    def known(self, what: str, table: Table, id_: str) -> RowMapping:
        row = self.row(table, id_)
        if row is None:
            raise UnknownIdError(what, id_)
        return row

    def insert(self, table: Table, row: dict[str, object]) -> None:
        self.connection.execute(table.insert(), row)
        self.changed = True

    def update(self, table: Table, id_: str, values: dict[str, object]) -> None:
        self.connection.execute(update(table).where(table.c.id == id_).values(values))
        self.changed = True

    def insert_once(self, what: str, table: Table, row: dict[str, object]) -> bool:
        """Insert a row; False when exactly this one is there."""
        there = self.row(table, str(row["id"]))
        if there is None:
            self.insert(table, row)
        elif dict(there) != row:
            raise AlreadyExistsError(what, str(row["id"]))
        return there is None

    def insert_by_content(self, what: str, table: Table, row: dict[str, object]) -> RowMapping | None:
        """Insert a row, or give the one that says the same."""
        same = select(table).where(table.c.digest == row["digest"])
        there = self.connection.execute(same).mappings().one_or_none()
        if there is None:
            if self.row(table, str(row["id"])) is not None:
                raise AlreadyExistsError(what, str(row["id"]))
            self.insert(table, row)
        return there

    def check_licences(self, selector: Selector) -> None:
        for licence_id in sorted(selector.licences or ()):
            self.known("licence", schema.licence_table, licence_id)


class SqlPolicyStore:
    """Rights kept in a database that `auth.migrate` has brought to its head.

    The row of the epoch is the lock of all writers: each write begins by raising it, so writers queue
    there and see what the one before did, whatever the isolation of the engine. A reader takes no lock;
    it reads the epoch before and after, and again when they differ.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def epoch(self) -> int:
        """Give the number of the last change."""
        with schema.answering(), self._engine.connect() as connection:
            return _read_epoch(connection)

    def snapshot(self) -> PolicySnapshot:
        """Give all rights as they were at one epoch."""
        with schema.answering():
            for _ in range(_OPTIMISTIC_READS):
                with self._engine.connect() as connection:
                    before = _read_epoch(connection)
                    snapshot = _read_all(connection, before)
                    if _read_epoch(connection) == before:
                        return snapshot
        # So many writes that no quiet moment was found: hold them back for the time of one read.
        with self._writing() as write:
            return _read_all(write.connection, _read_epoch(write.connection) - 1)

    def add_institution(self, institution: Institution) -> bool:
        """Add an institution; False when exactly this one is there."""
        rules.check_institution(institution)
        with self._writing() as write:
            return write.insert_once(
                "institution", schema.institution_table, schema.institution_row(institution)
            )

    def set_institution_status(self, institution_id: str, status: InstitutionStatus) -> bool:
        """Change the status of an institution; False when it had that one."""
        with self._writing() as write:
            row = write.known("institution", schema.institution_table, institution_id)
            if row["status"] != status.value:
                write.update(schema.institution_table, institution_id, {"status": status.value})
            return write.changed

    def add_licence(self, licence: Licence) -> bool:
        """Add a licence; False when exactly this one is there."""
        rules.check_licence(licence)
        with self._writing() as write:
            return write.insert_once("licence", schema.licence_table, schema.licence_row(licence))

    def add_grant(self, grant: Grant) -> Grant:
        """Add a grant, or give the one that says the same."""
        rules.check_grant(grant)
        with self._writing() as write:
            if grant.grantee != PUBLIC:
                write.known("institution", schema.institution_table, grant.grantee)
            write.check_licences(grant.selector)
            there = write.insert_by_content("grant", schema.grant_table, schema.grant_row(grant))
            return grant if there is None else schema.grant_of(there)

    def add_forbid(self, forbid: Forbid) -> Forbid:
        """Add a forbid, or give the one that says the same."""
        rules.check_forbid(forbid)
        with self._writing() as write:
            write.check_licences(forbid.selector)
            there = write.insert_by_content("forbid", schema.forbid_table, schema.forbid_row(forbid))
            return forbid if there is None else schema.forbid_of(there)

    def add_key(self, key: Key) -> None:
        """Add a key."""
        rules.check_key(key)
        with self._writing() as write:
            write.known("institution", schema.institution_table, key.institution_id)
            if write.row(schema.key_table, key.id) is not None:
                raise AlreadyExistsError("key", key.id)
            write.insert(schema.key_table, schema.key_row(key))

    def revoke_key(self, key_id: str, now: datetime) -> bool:
        """Revoke a key for good; False when it was revoked before."""
        rules.check_instant(now)
        with self._writing() as write:
            if write.known("key", schema.key_table, key_id)["revoked"] is None:
                write.update(schema.key_table, key_id, {"revoked": now})
            return write.changed

    @contextmanager
    def _writing(self) -> Iterator[_Write]:
        """Begin a transaction by raising the epoch; undo that where nothing changed or an error came."""
        raised = update(schema.epoch_table).values(epoch=schema.epoch_table.c.epoch + 1)
        with schema.answering(), self._engine.connect() as connection:
            if connection.execute(raised).rowcount != 1:
                raise PolicyUnavailableError("the database of rights has no epoch: migrate it first")
            write = _Write(connection)
            yield write
            # Leaving without a commit rolls back.
            if write.changed:
                connection.commit()


def _read_epoch(connection: Connection) -> int:
    epoch: int = connection.execute(select(schema.epoch_table.c.epoch)).scalar_one()
    return epoch


def _read_all(connection: Connection, epoch: int) -> PolicySnapshot:
    def values(table: Table, value_of: Callable[[RowMapping], Any]) -> dict[str, Any]:
        return rules.in_order(
            {row["id"]: value_of(row) for row in connection.execute(select(table)).mappings()}
        )

    return PolicySnapshot(
        epoch=epoch,
        institutions=values(schema.institution_table, schema.institution_of),
        licences=values(schema.licence_table, schema.licence_of),
        keys=values(schema.key_table, schema.key_of),
        grants=tuple(values(schema.grant_table, schema.grant_of).values()),
        forbids=tuple(values(schema.forbid_table, schema.forbid_of).values()),
    )
