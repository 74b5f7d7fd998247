"""Brings the tables of mosaics, and only those, to the form this version knows."""

from __future__ import annotations

import sqlalchemy as sa

from mosaics.errors import CatalogUnavailableError

VERSION_TABLE = "mosaics_version"
HEAD = "0005"
"""Newest revision in mosaics/migrations/versions; a test compares it with alembic's own answer."""

_LOCK = 0x6D6F_7361
_version = sa.Table(VERSION_TABLE, sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def migrate(engine: sa.Engine) -> bool:
    """Upgrade the mosaics tables; True if something was done. Several processes may call it at once.

    Alembic is imported only when there is work, since that costs 0.2 s of start-up.

    Raises:
        CatalogUnavailableError: If a newer version of the program made the tables.
    """
    with engine.connect() as connection:
        if _stored(connection) == HEAD:
            return False
    with engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if _stored(connection) == HEAD:
            return False
        _upgrade(connection)
    return True


def _stored(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(sa.select(_version.c.version_num))


def _upgrade(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 0.2 s that most starts can do without
    from alembic.config import Config  # noqa: PLC0415 - likewise
    from alembic.util.exc import CommandError  # noqa: PLC0415 - likewise

    config = Config()
    config.set_main_option("script_location", "mosaics:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise CatalogUnavailableError("a newer version of the program made the catalogue") from error
