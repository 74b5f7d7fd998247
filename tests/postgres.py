"""A PostgreSQL server of the tests' own, started once; databases are emptied between tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
import pytest

from mosaics.catalog.pgstac_schema import prepare
from server.database import open_database
from tests.loaded import ROOT

_PROGRAMS = Path("/usr/lib/postgresql")
"""Where Debian keeps what PATH does not name, by version."""
PGSTAC = ROOT / ".venv" / "share" / "pgstac"
"""Where scripts/test puts pypgstac, for the tables that it brings."""
_CONFIGURATION = """
listen_addresses = ''
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 60
shared_buffers = 64MB
timezone = 'UTC'
lock_timeout = '10s'
"""


@dataclass(frozen=True)
class Postgres:
    """A running server, reached by a socket in its own folder."""

    folder: Path

    def address(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def made(self, name: str, fill: Callable[[str], object]) -> str:
        """Make a database, once, and give its address."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(f"CREATE DATABASE {name}".encode())
                fill(self.address(name))
        return self.address(name)

    def emptied(self, name: str, fill: Callable[[str], object]) -> str:
        """Make a database, or bring its public tables back to what they were: quicker than another."""
        address = self.made(name, lambda address: (fill(address), self._remember(address)))
        with psycopg.connect(address) as connection:
            connection.execute(_TO_EMPTY)
        return address

    def with_pgstac(self, home: Path) -> str:
        """Give the address of a database with pgSTAC, which is followed, and our own tables; both empty."""

        def fill(address: str) -> None:
            install_pgstac(address)
            engine = open_database(address, home)
            prepare(engine)
            engine.dispose()

        address = self.made("pgstac", lambda address: (fill(address), self._remember(address)))
        with psycopg.connect(address, options="-csearch_path=pgstac,public") as connection:
            connection.execute("DELETE FROM collections")
        return self.emptied("pgstac", fill)

    def _remember(self, address: str) -> None:
        with psycopg.connect(address) as connection:
            connection.execute(_TO_REMEMBER)


_TO_REMEMBER = """
CREATE SCHEMA remembered;
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
    AND tablename <> 'spatial_ref_sys' LOOP
    EXECUTE format('CREATE TABLE remembered.%I AS SELECT * FROM public.%I', name, name);
  END LOOP;
END $$
"""
_TO_EMPTY = """
SET LOCAL session_replication_role = replica; -- the record of changes is append-only, by a trigger
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'remembered' LOOP
    EXECUTE format('DELETE FROM public.%I', name);
  END LOOP;
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'remembered' LOOP
    EXECUTE format('INSERT INTO public.%I SELECT * FROM remembered.%I', name, name);
  END LOOP;
END $$
"""


@cache
def _folder_of_programs() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).parent
    return max((path.parent for path in _PROGRAMS.glob("*/bin/initdb")), default=None)


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server until the block ends; skip where it is not installed, or fail where CI promises it."""
    programs = _folder_of_programs()
    if programs is None:
        missing("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path has 107 bytes
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    data = folder / "data"
    try:
        _run([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"])
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"{_CONFIGURATION}unix_socket_directories = '{folder}'\n")
        _run([programs / "pg_ctl", "-D", data, "-l", folder / "log", "-w", "start"])
        try:
            yield Postgres(folder)
        finally:
            _run([programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def install_pgstac(address: str) -> None:
    """Make pgSTAC's tables in a database."""
    files = sorted((PGSTAC / "pypgstac" / "migrations").glob("pgstac.[0-9]*.sql"), key=_version_of)
    wholes = [file for file in files if "-" not in file.stem]
    if not wholes:
        missing("pypgstac is not in .venv/share/pgstac, where scripts/test puts it")
    with psycopg.connect(address, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'").fetchone():
            missing("PostGIS is not installed")
        connection.execute(wholes[-1].read_bytes())


def _version_of(file: Path) -> list[int]:
    return [int(part) for part in file.stem.removeprefix("pgstac.").split("-")[0].split(".")]


def missing(message: str) -> None:
    """Skip, or fail where CI promises that everything is there."""
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def _run(command: Sequence[str | Path]) -> None:
    """Run one of PostgreSQL's programs, which refuse to be root."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*user, *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{command[0]}: {done.stderr}")
