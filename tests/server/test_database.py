"""The embedded database: readers never wait for writers, writers wait their turn, several may migrate."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from auth.edits import add
from auth.errors import PolicyUnavailableError
from auth.models import Institution
from auth.store import SqlPolicyStore
from mosaics.catalog.sql import SqlCatalog
from mosaics.errors import CatalogUnavailableError
from mosaics.models import Collection, Text
from server.database import connect, keep_pages, open_database, sqlite_module
from tests.items import item


def test_it_is_where_the_home_is_and_set_up_for_many(tmp_path: Path) -> None:
    engine = open_database(None, tmp_path / "new" / "home")
    assert (tmp_path / "new" / "home" / "flux.db").is_file()
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30000}
    assert set(sa.inspect(engine).get_table_names()) >= {"auth_version", "mosaics_version", "mosaics_scenes"}
    engine.dispose()


def test_who_writes_much_may_hold_more_of_it(tmp_path: Path) -> None:
    engine, other = (open_database(None, tmp_path) for _ in range(2))
    keep_pages(engine, 5)
    sizes = []
    for each in (engine, other):
        with each.connect() as connection:
            sizes.append(connection.exec_driver_sql("PRAGMA cache_size").scalar())
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
        each.dispose()
    assert sizes == [-5 * 1024, -2000]


def test_the_sqlite_is_one_without_the_wal_race() -> None:
    assert sqlite_module.sqlite_version_info >= (3, 51, 3)


def test_several_may_migrate_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(lambda _: open_database(None, tmp_path), range(4)))
    for engine in engines:
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT COUNT(*) FROM mosaics_sequence")) == 1
        engine.dispose()


def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    engine, other = open_database(None, tmp_path), connect(None, tmp_path)
    with engine.begin() as writing:
        writing.execute(sa.text("UPDATE mosaics_sequence SET value = 99"))
        # who waited would wait in vain, and be told that the database is locked
        assert SqlCatalog(other).changes(0).sequence == 0
        assert SqlPolicyStore(other).epoch() == SqlPolicyStore(other).snapshot().epoch
    assert SqlCatalog(other).changes(0).sequence == 99
    engine.dispose()
    other.dispose()


def test_writers_wait_for_each_other_and_lose_nothing(tmp_path: Path) -> None:
    engines = [open_database(None, tmp_path) for _ in range(4)]
    nothing = Text(fr="", en="")

    def write(number: int) -> None:
        SqlPolicyStore(engines[number]).change(
            add(Institution(id=f"i{number}", name="x")), actor="test", at=datetime.now(UTC)
        )
        catalog = SqlCatalog(engines[number])
        catalog.put_collection(Collection(id="town", title=nothing, description=nothing))
        for part in range(5):
            catalog.put_scene("town", item(f"s{number}-{part}", "town"), f"digest-{number}-{part}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    changes = SqlCatalog(engines[0]).changes(0)
    assert len(changes.scenes) == 20
    assert len(set(changes.scenes.sequences.tolist())) == 20, "each change has its number"
    assert len(SqlPolicyStore(engines[0]).snapshot().institutions) == 4
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("damage", [b"", b"this is no database " * 400])
def test_a_broken_file_is_said_in_the_words_of_each_package(tmp_path: Path, damage: bytes) -> None:
    open_database(None, tmp_path).dispose()
    for left in tmp_path.iterdir():
        left.unlink()
    (tmp_path / "flux.db").write_bytes(damage)
    engine = connect(None, tmp_path)
    with pytest.raises(PolicyUnavailableError):
        SqlPolicyStore(engine).epoch()
    with pytest.raises(CatalogUnavailableError):
        SqlCatalog(engine).changes(0)
    engine.dispose()


def test_another_address_is_taken_as_it_is(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'elsewhere.db'}", tmp_path / "home")
    assert (tmp_path / "elsewhere.db").is_file()
    assert not (tmp_path / "home").exists()
    engine.dispose()


def test_a_file_that_is_gone_is_an_error_and_not_a_new_one(tmp_path: Path) -> None:
    engine = open_database(None, tmp_path)
    store = SqlPolicyStore(engine)
    assert store.epoch() == 0
    for name in ("flux.db", "flux.db-wal", "flux.db-shm"):
        if (tmp_path / name).exists():
            (tmp_path / name).rename(tmp_path / f"aside-{name}")
    for _ in range(3):
        with pytest.raises(PolicyUnavailableError):
            store.epoch()
    assert not (tmp_path / "flux.db").exists()
    for name in ("flux.db", "flux.db-wal", "flux.db-shm"):
        if (tmp_path / f"aside-{name}").exists():
            (tmp_path / f"aside-{name}").rename(tmp_path / name)
    assert store.epoch() == 0
    engine.dispose()


def test_another_file_in_its_place_is_read(tmp_path: Path) -> None:
    engine, other = open_database(None, tmp_path / "a"), open_database(None, tmp_path / "b")
    store, changed = SqlPolicyStore(engine), SqlPolicyStore(other)
    now = datetime.now(UTC)
    for name in ("one", "two"):
        changed.change(add(Institution(id=name, name=name)), actor="test", at=now)
    other.dispose()
    assert store.epoch() == 0
    for name in ("flux.db-wal", "flux.db-shm"):
        (tmp_path / "a" / name).unlink(missing_ok=True)
    (tmp_path / "b" / "flux.db").rename(tmp_path / "a" / "flux.db")
    assert store.epoch() == 2
    assert set(store.snapshot().institutions) == {"one", "two"}
    engine.dispose()


def test_the_log_of_another_file_in_its_place_stays(tmp_path: Path) -> None:
    engine, other = open_database(None, tmp_path / "a"), open_database(None, tmp_path / "b")
    store, changed = SqlPolicyStore(engine), SqlPolicyStore(other)
    with engine.connect() as one, engine.connect() as two:  # several connections of the pool
        assert one is not two
    changed.change(add(Institution(id="one", name="one")), actor="test", at=datetime.now(UTC))
    (tmp_path / "a").rename(tmp_path / "old")
    (tmp_path / "b").rename(tmp_path / "a")
    log = (tmp_path / "a" / "flux.db-wal").stat().st_ino
    assert store.epoch() == 1
    assert set(store.snapshot().institutions) == {"one"}
    engine.dispose()
    assert (tmp_path / "a" / "flux.db-wal").stat().st_ino == log
    other.dispose()
