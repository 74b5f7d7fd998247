"""Opens the database that auth and mosaics share, and brings both to their newest form."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from auth.migrate import migrate as migrate_auth
from mosaics.catalog.migrate import migrate as migrate_mosaics

try:
    import pysqlite3 as sqlite_module
except ImportError:  # no wheel for this platform: the interpreter's own, see docs/decisions/0002
    import sqlite3 as sqlite_module  # type: ignore[no-redef,unused-ignore] # one of the two is there


_WAL_SECONDS: Final = 10.0
"""How long to wait for another process that makes the database."""


def open_database(url: str | None, home: Path) -> sa.Engine:
    """Open the database and migrate it.

    Args:
        url: SQLAlchemy address; None: SQLite in the home.
        home: The home folder, made if needed.
    """
    engine = connect(url, home)
    migrate_auth(engine)
    migrate_mosaics(engine)
    return engine


def connect(url: str | None, home: Path) -> sa.Engine:
    """Open the database as it is; workers do this after the supervisor has migrated it."""
    if url is not None and not url.startswith("sqlite"):
        return _connect_to_server(url)
    if url is None:
        home.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{(home / 'flux.db').resolve()}"
    engine = sa.create_engine(url, module=sqlite_module, connect_args={"timeout": 30.0})
    sa.event.listen(engine, "connect", _on_connect)
    file = engine.url.database
    if file and file != ":memory:" and not file.startswith("file:"):
        _watch(engine, Path(file))
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def keep_pages(engine: sa.Engine, megabytes: int) -> None:
    """Let connections to SQLite hold so much of it: for who writes all over its indices, and soon ends.

    By default they hold 2 MB, and read the others again from the system's memory each time.
    """
    if engine.dialect.name == "sqlite":
        engine.dispose()
        sa.event.listen(engine, "connect", lambda connection, _: _keep(connection, megabytes))


def _keep(connection: Any, megabytes: int) -> None:
    connection.execute(f"PRAGMA cache_size={-1024 * megabytes}").close()


def _connect_to_server(url: str) -> sa.Engine:
    """Open a database that is a server's."""
    address = sa.make_url(url)
    if address.drivername in {"postgresql", "postgres"}:  # whatever SQLAlchemy's own choice is
        address = address.set(drivername="postgresql+psycopg")
    return sa.create_engine(address, pool_pre_ping=True)


def _watch(engine: sa.Engine, file: Path) -> None:
    """Let no connection outlive its file: one that was moved, or put in the place of another, is noticed.

    SQLite would go on with the old file, whatever rights the new one takes away, and make an empty one where
    none is.
    """
    known = False
    left: list[Any] = []

    def before(_dialect: Any, _record: Any, _arguments: Any, _parameters: Any) -> None:
        if known and not file.exists():
            raise sqlite_module.OperationalError("the database file is gone")

    def opened(_connection: Any, record: Any) -> None:
        nonlocal known
        known, record.info["file"] = True, _identity(file)

    def taken(connection: Any, record: Any, _proxy: Any) -> None:
        if record.info.get("file") != _identity(file):
            # not closed: SQLite would remove the log beside its file by name, which may be the new one's
            left.append(connection)
            record.dbapi_connection = None
            raise sa.exc.DisconnectionError("the database file is another one")

    sa.event.listen(engine, "do_connect", before)
    sa.event.listen(engine, "connect", opened)
    sa.event.listen(engine, "checkout", taken)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _on_connect(connection: Any, _record: Any) -> None:
    """WAL, so that readers never wait for writers; transactions are opened by us, not by the driver."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("busy_timeout=30000", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    _use_wal(cursor)
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Turn a new database to WAL; SQLite does not wait for another that does the same, so we do."""
    deadline = time.monotonic() + _WAL_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite_module.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _on_begin(connection: sa.Connection) -> None:
    """Open a transaction ourselves; each writer's first statement raises a counter and so takes the lock."""
    connection.exec_driver_sql("BEGIN")
