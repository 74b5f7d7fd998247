"""What is special to the store in a database: faults, torn reads, lost areas, other dialects, its twin."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pysqlite3
import pytest
from sqlalchemy import create_engine, event, exc, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from auth import edits, rules
from auth.audit import verify
from auth.documents import stored_text
from auth.errors import PolicyUnavailableError
from auth.migrate import migrate
from auth.models import PUBLIC, Institution
from auth.reach import EVERYWHERE, Selector
from auth.schema import epoch_table, metadata, right_table
from auth.store import SqlPolicyStore

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
SPOT = Selector(collections=frozenset({"spot"}))


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(
        f"sqlite:///{tmp_path / 'flux.db'}", module=pysqlite3, connect_args={"timeout": 0.2}
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=wal")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine):
    return SqlPolicyStore(engine)


def institution(id_="ign"):
    return Institution(id=id_, name=id_)


def change(store, right):
    return store.change(edits.add(right), actor="test", at=NOW)


def test_a_database_that_was_not_migrated_is_said_to_be_so(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}", module=pysqlite3)
    store = SqlPolicyStore(engine)
    calls = (store.epoch, store.snapshot, lambda: change(store, institution()))
    for call in calls:
        with pytest.raises(PolicyUnavailableError, match="migrated") as caught:
            call()
        assert isinstance(caught.value.__cause__, exc.OperationalError)
    engine.dispose()


def test_a_database_that_lost_its_epoch_answers_nothing(engine, store):
    with engine.begin() as connection:
        connection.execute(epoch_table.delete())
    for call in (store.epoch, store.snapshot, lambda: change(store, institution())):
        with pytest.raises(PolicyUnavailableError):
            call()


def test_a_file_that_is_no_database_answers_nothing(tmp_path):
    path = tmp_path / "noise.db"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 40)
    engine = create_engine(f"sqlite:///{path}", module=pysqlite3)
    for call in (SqlPolicyStore(engine).snapshot, lambda: migrate(engine)):
        with pytest.raises(PolicyUnavailableError):
            call()
    engine.dispose()


def test_a_writer_that_waits_too_long_is_told_and_changed_nothing(engine, store):
    with engine.connect() as holder:
        holder.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(PolicyUnavailableError) as caught:
            change(store, institution())
        assert isinstance(caught.value.__cause__, exc.OperationalError)
        holder.rollback()
    assert store.epoch() == 0
    assert change(store, institution())


def test_a_snapshot_torn_by_a_writer_is_read_again(engine, store):
    torn = iter(range(2))

    @event.listens_for(engine, "after_cursor_execute")
    def write_between(_connection, _cursor, statement, *_):
        if "FROM auth_right" in statement and next(torn, None) is not None:
            with engine.begin() as other:
                other.execute(epoch_table.update().values(epoch=epoch_table.c.epoch + 1))
                id_ = f"i{other.execute(text('SELECT epoch FROM auth_epoch')).scalar_one()}"
                document = stored_text(institution(id_))
                row = {"kind": "institution", "id": id_, "epoch": int(id_[1:]), "document": document}
                other.execute(right_table.insert(), row)

    rights = store.snapshot()
    assert (rights.epoch, set(rights.institutions)) == (2, {"i1", "i2"})


def test_under_endless_writes_a_snapshot_holds_the_writers_back(engine, store):
    change(store, institution())
    refused = []

    @event.listens_for(engine, "after_cursor_execute")
    def write_between(_connection, _cursor, statement, *_):
        if "FROM auth_right" in statement:
            try:
                with engine.begin() as other:
                    other.execute(epoch_table.update().values(epoch=epoch_table.c.epoch + 1))
            except exc.OperationalError as error:
                refused.append(error)

    rights = store.snapshot()
    assert set(rights.institutions) == {"ign"}
    assert rights.epoch == store.epoch() == 1 + 5
    assert len(refused) == 1


@pytest.mark.parametrize(
    "document",
    ["{}", "[]", "no json", '{"id": "f1", "reason": "x", "created": "2026-01-01T00:00:00Z"}', '{"id": 1}'],
)
def test_a_right_that_cannot_be_read_is_never_left_out(engine, store, document):
    change(store, institution())
    with engine.begin() as connection:
        connection.execute(epoch_table.update().values(epoch=epoch_table.c.epoch + 1))
        row = {"kind": "forbid", "id": "f1", "epoch": 2, "document": document}
        connection.execute(right_table.insert(), row)
    for read in (store, SqlPolicyStore(engine)):
        with pytest.raises(PolicyUnavailableError, match="can't be read"):
            read.snapshot()
    with pytest.raises(PolicyUnavailableError):
        change(store, institution("other"))


def test_a_kind_of_right_that_is_not_known_is_never_left_out(engine, store):
    with engine.begin() as connection:
        connection.execute(epoch_table.update().values(epoch=epoch_table.c.epoch + 1))
        row = {"kind": "embargo", "id": "e1", "epoch": 1, "document": "{}"}
        connection.execute(right_table.insert(), row)
    with pytest.raises(PolicyUnavailableError, match="embargo"):
        store.snapshot()


def test_a_database_from_a_backup_is_read_anew(engine, store):
    change(store, institution("a"))
    change(store, institution("b"))
    assert set(store.snapshot().institutions) == {"a", "b"}
    with engine.begin() as connection:
        connection.execute(epoch_table.update().values(epoch=1))
        connection.execute(right_table.delete().where(right_table.c.id == "b"))
    assert set(store.snapshot().institutions) == {"a"}


@pytest.mark.parametrize("statement", ["UPDATE auth_audit SET actor = 'x'", "DELETE FROM auth_audit"])
def test_the_record_of_changes_is_append_only(engine, store, statement):
    change(store, institution())
    with pytest.raises(exc.IntegrityError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement))
    assert len(store.audit()) == 1


def test_the_zone_of_the_machine_means_nothing(store, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Tahiti")
    time.tzset()
    try:
        granted = rules.new_grant(PUBLIC, SPOT, area=EVERYWHERE, now=NOW)
        store.change(edits.put(granted), actor="test", at=NOW)
        (grant,) = store.snapshot().grants.values()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert grant.created == NOW


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_tables_can_be_made_on_both_databases(table):
    portable = str(CreateTable(table).compile(dialect=postgresql.dialect()))
    assert table.name.startswith("auth_")
    for column in table.columns:
        if type(column.type).__name__ == "Moment":
            assert f"{column.name} TIMESTAMP WITH TIME ZONE" in portable
    assert str(CreateTable(table).compile(dialect=sqlite.dialect()))


WRITER = """
import sys
import pysqlite3
from datetime import UTC, datetime
from sqlalchemy import create_engine
from auth import edits, rules
from auth.migrate import migrate
from auth.models import Institution
from auth.reach import Selector
from auth.store import SqlPolicyStore

engine = create_engine(f"sqlite:///{sys.argv[1]}", module=pysqlite3)
sys.stdin.readline()
migrate(engine)
store = SqlPolicyStore(engine)
now = datetime.now(UTC)
store.change(edits.add(Institution(id="shared", name="Shared")), actor="x", at=now)
for number in range(25):
    added = Institution(id=f"i-{sys.argv[2]}-{number}", name="x")
    store.change(edits.add(added), actor="x", at=now)
for number in range(5):
    selector = Selector(collections=frozenset({str(number)}))
    grant = rules.new_grant("shared", selector, area=None, now=now)
    store.change(edits.add_by_content(grant), actor="x", at=now)
engine.dispose()
"""


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_processes_that_start_together_lose_nothing(tmp_path, journal):
    path = tmp_path / "flux.db"
    engine = create_engine(f"sqlite:///{path}", module=pysqlite3)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA journal_mode={journal}")
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, str(path), str(number)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, stderr = writer.communicate(timeout=60)
        assert (writer.returncode, stderr) == (0, "")
    store = SqlPolicyStore(engine)
    rights = store.snapshot()
    assert verify(store.audit(), rights, store.audit_head()) is None
    engine.dispose()
    assert len(rights.institutions) == 1 + 3 * 25
    assert len(rights.grants) == 5
    assert rights.epoch == 1 + 3 * 25 + 5
