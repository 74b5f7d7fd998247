"""Brings the tables of auth, and only those, to the form this version knows."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select, text

from auth.errors import PolicyUnavailableError
from auth.schema import VERSION_TABLE, answering

HEAD: Final = "0002"
"""The newest revision in the migrations folder."""

_ADVISORY_LOCK: Final = 0x6175_7468
_version: Final = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))


def migrate(engine: Engine) -> bool:
    """Bring the tables of auth to their newest form; safe to call by several processes at once.

    The common case, nothing to do, costs one look at the version and does not load alembic.

    Args:
        engine: A database that other packages may share, each with its own version table.

    Returns:
        False when there was nothing to do.

    Raises:
        PolicyUnavailableError: If the database does not answer, or a newer version of the program made it.
    """
    with answering():
        with engine.connect() as connection:
            if _stored_version(connection) == HEAD:
                return False
        with engine.begin() as connection:
            _lock(connection)
            stored = _stored_version(connection)
            if stored != HEAD:
                _upgrade(connection, stored)
        return stored != HEAD


def _stored_version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.execute(select(_version.c.version_num)).scalar_one_or_none()
    return version


def _lock(connection: Connection) -> None:
    """Wait until no other process migrates, and make the changes of tables one transaction."""
    if connection.dialect.name == "sqlite":
        # The driver begins no transaction for changes of tables; an engine that begins one itself may
        # have begun it without the write lock.
        driver = connection.connection.dbapi_connection
        if driver is not None and driver.in_transaction:
            connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})


def _upgrade(connection: Connection, stored: str | None) -> None:
    from alembic import command  # noqa: PLC0415 - 0.2 s that most starts can do without
    from alembic.config import Config  # noqa: PLC0415 - likewise
    from alembic.util.exc import CommandError  # noqa: PLC0415 - likewise

    config = Config()
    config.set_main_option("script_location", "auth:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise PolicyUnavailableError(
            f"this version does not know revision {stored!r} of the rights' tables: a newer one made them"
        ) from error
