"""The tables of auth and their column types; no decision, no transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    exc,
)

from auth.errors import PolicyUnavailableError
from auth.reach import aware

VERSION_TABLE: Final = "auth_version"
"""Where the migrations of auth keep their revision, apart from any other package's."""


class Moment(TypeDecorator[datetime]):
    """A UTC instant: always with a time zone in Python, whatever the database keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Turn any zone into UTC."""
        return None if value is None else aware(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Give UTC back; a database without zones was given UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""All tables of auth, and none of anyone else."""

epoch_table: Final = Table(
    "auth_epoch",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("audit_sequence", BigInteger, nullable=False, server_default="0"),
    Column("audit_hash", String(64), nullable=False, server_default="0" * 64),
)
"""One row: the number of the last change, and where the record of changes ends."""

right_table: Final = Table(
    "auth_right",
    metadata,
    Column("kind", String(16), nullable=False),
    Column("id", String(64), nullable=False),
    Column("epoch", BigInteger, nullable=False, index=True),
    Column("document", Text),
    PrimaryKeyConstraint("kind", "id"),
)
"""Every right by kind and id, with the epoch that last changed it; no document: it was removed then."""

audit_table: Final = Table(
    "auth_audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("document", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""Append-only; triggers refuse to change or delete a row."""

usage_table: Final = Table(
    "auth_usage",
    metadata,
    Column("day", Date, nullable=False),
    Column("institution_id", String(64), nullable=False),
    Column("key_id", String(8), nullable=False),
    Column("collection", String(64), nullable=False),
    Column("sensor", String(64), nullable=False),
    Column("resolution_band", String(16), nullable=False),
    Column("answers", BigInteger, nullable=False),
    Column("appearances", BigInteger, nullable=False),
    Column("milliunits", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    PrimaryKeyConstraint("day", "institution_id", "key_id", "collection", "sensor", "resolution_band"),
)
"""What was shown to whom, by day."""

usage_folded_table: Final = Table(
    "auth_usage_folded",
    metadata,
    Column("source", String(64), nullable=False),
    Column("record", Text, nullable=False),
    Column("counts", Text, nullable=False),
    PrimaryKeyConstraint("source", "record"),
)
"""How much of each worker's counters is in the usage already, so that folding twice adds nothing twice."""

key_use_table: Final = Table(
    "auth_key_use",
    metadata,
    Column("key_id", String(8), nullable=False),
    Column("secret", Integer, nullable=False),
    Column("day", Date, nullable=False),
    PrimaryKeyConstraint("key_id", "secret"),
)
"""The day each secret of a key was last used."""

quota_table: Final = Table(
    "auth_quota",
    metadata,
    Column("grant_id", String(64), nullable=False),
    Column("period", String(16), nullable=False),
    Column("leased", BigInteger, nullable=False),
    PrimaryKeyConstraint("grant_id", "period"),
)
"""Thousandths of units that workers have taken of a grant's quota in a period."""


counting_table: Final = Table(
    "auth_counting",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    Column("turn", BigInteger, nullable=False),
)
"""One row: the lock of those who count, apart from the rights' so that neither waits for the other."""


@contextmanager
def answering() -> Iterator[None]:
    """Say in auth's words that the database does not answer, or has no tables of rights.

    Raises:
        PolicyUnavailableError: In place of the driver's error, which is its cause.
    """
    try:
        yield
    except (exc.IntegrityError, exc.DataError):
        raise
    except (exc.DatabaseError, exc.InterfaceError, exc.TimeoutError, exc.NoResultFound) as error:
        raise PolicyUnavailableError(
            "the database of rights does not answer, or has not been migrated"
        ) from error
