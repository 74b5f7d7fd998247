"""Without its database a server goes on for those it knows, for a while; it opens and loses nothing."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auth.credentials import Peppers, new_key
from auth.edits import add, revoke_key
from server.database import sqlite_module
from tests.conftest import Reply, Server, Town, flux, serving, wait_until
from tests.promises.conftest import Show, rights_of
from tests.server.conftest import copy_home

STALE = 6.0
"""Seconds that rights are trusted without their store, in these tests."""
GRANTED = "/tiles/granted/WebMercatorQuad/17/66052/47859.png"
OPEN = "/tiles/open/WebMercatorQuad/17/66052/47859.png"
SWEEP = 24
FILES = ("flux.db", "flux.db-wal", "flux.db-shm")


@pytest.fixture
def server(town: Town, tmp_path: Path) -> Iterator[Server]:
    home = copy_home(town, tmp_path / "home")
    patience = {"FLUX_AUTH__STALE_SECONDS": str(STALE), "FLUX_USAGE__FOLD_SECONDS": "0.5"}
    with serving(home, workers=2, **patience) as running:
        yield running


def sweep(server: Server, path: str, key: str | None) -> list[Reply]:
    return [server.get(path, {"X-API-Key": key} if key else {}) for _ in range(SWEEP)]


def statuses(server: Server, path: str, key: str | None) -> set[int]:
    return {reply.status for reply in sweep(server, path, key)}


@contextmanager
def moved_away(home: Path) -> Iterator[None]:
    """Take the database away, as a lost mount does."""
    aside = home / "aside"
    aside.mkdir()
    for name in FILES:
        if (home / name).exists():
            (home / name).rename(aside / name)
    yield
    for path in aside.iterdir():
        path.rename(home / path.name)


@contextmanager
def spoiled(home: Path) -> Iterator[None]:
    """Put something else in the place of the database."""
    with moved_away(home):
        for name in FILES:
            (home / name).write_bytes(b"this is no database" * 500)
        yield
        for name in FILES:
            (home / name).unlink(missing_ok=True)


@contextmanager
def unreadable(home: Path) -> Iterator[None]:
    """Put a right into the database that nobody can read: it may be a forbid."""
    line = "INSERT INTO auth_right (kind, id, epoch, document) VALUES ('forbid', 'f', ?, '{}')"
    with closing(sqlite_module.connect(home / "flux.db", isolation_level=None)) as database:
        (epoch,) = database.execute("SELECT epoch FROM auth_epoch").fetchone()
        database.execute(line, (epoch + 1,))
        database.execute("UPDATE auth_epoch SET epoch = epoch + 1")
        yield
        database.execute("DELETE FROM auth_right WHERE id = 'f'")
        database.execute("UPDATE auth_epoch SET epoch = epoch + 1")


@pytest.mark.parametrize("down", [moved_away, spoiled, unreadable], ids=lambda down: down.__name__)
def test_known_keys_go_on_for_a_while_and_nothing_opens(
    town: Town, server: Server, down: object, show: Show
) -> None:
    home, answers = server.home, 0
    peppers = Peppers(by_version={1: (home / "pepper").read_text().strip().encode()})
    unknown, text = new_key("live", "region", peppers, url_allowed=True, now=datetime.now(UTC))
    assert statuses(server, GRANTED, town.key) == {200}
    answers += SWEEP
    with down(home):
        begun = time.monotonic()
        while time.monotonic() - begun < STALE - 2:
            known, strange, nobody = (statuses(server, GRANTED, key) for key in (town.key, text, None))
            if time.monotonic() - begun > STALE - 2:
                break  # a slow machine: part of this was perhaps asked too late
            assert (known, strange, nobody) == ({200}, {401}, {401}), "who is known goes on, nobody else"
            answers += SWEEP
        wait_until(lambda: statuses(server, GRANTED, town.key) == {503}, seconds=STALE + 15)
        took = time.monotonic() - begun
        for key in (town.key, text, town.revoked_key, town.operator_key):
            for reply in sweep(server, GRANTED, key):
                assert reply.status == 503
                assert reply.headers["retry-after"].isdecimal()
                assert reply.headers["cache-control"] == "no-store"
        assert statuses(server, OPEN, None) == {200}, "what is public stays so"
        assert statuses(server, f"/public{OPEN}", town.key) == {200}
        assert statuses(server, GRANTED, None) == {401}
        assert statuses(server, "/health/live", None) == {200}
    healed = wait_until(lambda: statuses(server, GRANTED, town.key) == {200}, seconds=10)
    assert statuses(server, GRANTED, text) == {401}
    now = datetime.now(UTC)
    with rights_of(home) as change:
        change(add(unknown))
        wait_until(lambda: statuses(server, GRANTED, text) == {200}, seconds=5)
        change(revoke_key(unknown.id, now))
        wait_until(lambda: statuses(server, GRANTED, text) == {401}, seconds=5)
    wait_until(lambda: counted(home, town.key) >= answers, seconds=10)
    show(f"store {down.__name__}: closed after {took:.1f} s of {STALE}, open again after {healed:.1f} s")
    assert "Traceback" not in server.log.read_text()


def counted(home: Path, key: str) -> int:
    rows = json.loads(flux(home, "usage", "--by", "key", "--json").stdout)
    return sum(row["answers"] for row in rows if row["key"] == key.split("_")[2])


def test_a_database_put_in_the_place_of_another_is_seen(town: Town, server: Server) -> None:
    home = server.home
    with closing(sqlite_module.connect(home / "flux.db")) as source:
        source.execute("VACUUM INTO ?", (str(home / "backup.db"),))
    with rights_of(home) as change:
        change(revoke_key(town.key.split("_")[2], datetime.now(UTC)))
    wait_until(lambda: statuses(server, GRANTED, town.key) == {401}, seconds=5)
    for name in FILES[1:]:
        (home / name).unlink(missing_ok=True)
    shutil.move(home / "backup.db", home / "flux.db")
    wait_until(lambda: statuses(server, GRANTED, town.key) == {200}, seconds=5)


def test_a_long_writer_holds_up_nobody_who_looks(town: Town, server: Server) -> None:
    """Such as an import of all rights: the write lock is held, and new and kept pictures are still made."""
    with closing(sqlite_module.connect(server.home / "flux.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        for width in range(100, 140):
            assert server.get(f"/preview/granted.webp?width={width}", {"X-API-Key": town.key}).status == 200
        took = time.monotonic() - begun
        writer.execute("ROLLBACK")
    assert took < 20, "it did not wait for the writer"
