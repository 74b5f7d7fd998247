"""What is special to the store in a database: faults, torn reads, lost areas, other dialects, its twin."""

import contextlib
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pysqlite3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import StaticPool, create_engine, event, exc, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from auth import rules
from auth.credentials import Peppers, new_key
from auth.errors import AuthError, PolicyUnavailableError
from auth.memory_store import MemoryPolicyStore
from auth.migrate import migrate
from auth.models import EVERYWHERE, PUBLIC, Institution, InstitutionStatus, Licence, Selector, Window
from auth.schema import epoch_table, metadata
from auth.store import SqlPolicyStore

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
SPOT = Selector(collections=frozenset({"spot"}))
PEPPERS = Peppers(by_version={1: b"a pepper for the tests"})


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(
        f"sqlite:///{tmp_path / 'flux.db'}", module=pysqlite3, connect_args={"timeout": 0.2}
    )
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine):
    return SqlPolicyStore(engine)


def institution(id_="ign"):
    return Institution(id=id_, name=id_)


def test_a_database_that_was_not_migrated_is_said_to_be_so(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}", module=pysqlite3)
    store = SqlPolicyStore(engine)
    calls = (store.epoch, store.snapshot, lambda: store.add_institution(institution()))
    for call in calls:
        with pytest.raises(PolicyUnavailableError, match="migrated") as caught:
            call()
        assert isinstance(caught.value.__cause__, exc.OperationalError)
    engine.dispose()


def test_a_database_that_lost_its_epoch_answers_nothing(engine, store):
    with engine.begin() as connection:
        connection.execute(epoch_table.delete())
    for call in (store.epoch, store.snapshot, lambda: store.add_institution(institution())):
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
            store.add_institution(institution())
        assert isinstance(caught.value.__cause__, exc.OperationalError)
        holder.rollback()
    assert store.epoch() == 0
    assert store.add_institution(institution()) is True


def test_a_snapshot_torn_by_a_writer_is_read_again(engine, store):
    torn = iter(range(2))

    @event.listens_for(engine, "after_cursor_execute")
    def write_between(_connection, _cursor, statement, *_):
        if "FROM auth_grant" in statement and next(torn, None) is not None:
            with engine.begin() as other:
                other.execute(epoch_table.update().values(epoch=epoch_table.c.epoch + 1))
                id_ = f"i{other.execute(text('SELECT epoch FROM auth_epoch')).scalar_one()}"
                row = {"id": id_, "name": "", "status": "active", "operator": False}
                other.execute(metadata.tables["auth_institution"].insert(), row)

    rights = store.snapshot()
    assert (rights.epoch, set(rights.institutions)) == (2, {"i1", "i2"})


def test_under_endless_writes_a_snapshot_holds_the_writers_back(engine, store):
    store.add_institution(institution())
    refused = []

    @event.listens_for(engine, "after_cursor_execute")
    def write_between(_connection, _cursor, statement, *_):
        if "FROM auth_grant" in statement:
            try:
                with engine.begin() as other:
                    other.execute(epoch_table.update().values(epoch=epoch_table.c.epoch + 1))
            except exc.OperationalError as error:
                refused.append(error)

    rights = store.snapshot()
    assert set(rights.institutions) == {"ign"}
    assert rights.epoch == store.epoch() == 1 + 5
    assert len(refused) == 1


@pytest.mark.parametrize("column", ["area = 'everywhere'", "area_wkb = NULL", "area = NULL"])
def test_an_area_cannot_get_lost(engine, store, column):
    wkb = b"\1\3\0\0\0\1\0\0\0\0\0\0\0"
    store.add_grant(rules.new_grant(PUBLIC, SPOT, area=rules.new_area(wkb), now=NOW))
    with pytest.raises(exc.IntegrityError), engine.begin() as connection:
        connection.execute(text(f"UPDATE auth_grant SET {column}"))
    (grant,) = store.snapshot().grants
    assert grant.area is not None
    assert grant.area.wkb == wkb


def test_an_area_is_written_as_the_word_or_the_digest(engine, store):
    area = rules.new_area(b"\1\3\0\0\0\1\0\0\0\0\0\0\0")
    store.add_grant(rules.new_grant(PUBLIC, SPOT, area=area, now=NOW))
    store.add_grant(rules.new_grant(PUBLIC, SPOT, area=EVERYWHERE, now=NOW))
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT area, area_wkb FROM auth_grant ORDER BY area")).all()
    assert sorted(rows) == sorted([("everywhere", None), (area.digest, area.wkb)])


def test_the_zone_of_the_machine_means_nothing(store, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Tahiti")
    time.tzset()
    try:
        store.add_grant(rules.new_grant(PUBLIC, SPOT, area=EVERYWHERE, now=NOW))
        (grant,) = store.snapshot().grants
    finally:
        monkeypatch.undo()
        time.tzset()
    assert grant.created == NOW


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_tables_can_be_made_on_both_databases(table):
    portable = str(CreateTable(table).compile(dialect=postgresql.dialect()))
    assert table.name.startswith("auth_")
    for column in table.columns:
        if type(column.type).__name__ == "Instant":
            assert f"{column.name} TIMESTAMP WITH TIME ZONE" in portable
    assert str(CreateTable(table).compile(dialect=sqlite.dialect()))


WRITER = """
import sys
import pysqlite3
from datetime import UTC, datetime
from sqlalchemy import create_engine
from auth import rules
from auth.migrate import migrate
from auth.models import Institution, Selector
from auth.store import SqlPolicyStore

engine = create_engine(f"sqlite:///{sys.argv[1]}", module=pysqlite3)
sys.stdin.readline()
migrate(engine)
store = SqlPolicyStore(engine)
store.add_institution(Institution(id="shared", name="Shared"))
for number in range(25):
    store.add_institution(Institution(id=f"i-{sys.argv[2]}-{number}", name="x"))
now = datetime.now(UTC)
for number in range(5):
    selector = Selector(collections=frozenset({str(number)}))
    store.add_grant(rules.new_grant("shared", selector, area=None, now=now))
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
    rights = SqlPolicyStore(engine).snapshot()
    engine.dispose()
    assert len(rights.institutions) == 1 + 3 * 25
    assert len(rights.grants) == 5
    assert rights.epoch == 1 + 3 * 25 + 5


# --- the store in a database and its twin in memory, by the same random calls

ids = st.sampled_from(["a", "b", "public", "Bad"])
selectors = st.builds(
    Selector,
    collections=st.none() | st.just(frozenset({"spot"})),
    licences=st.none() | st.sampled_from([frozenset({"a"}), frozenset({"a", "b"}), frozenset()]),
)
windows = st.sampled_from([Window(), Window(start=NOW), Window(start=NOW, end=NOW)])
instants = st.sampled_from([NOW, NOW.replace(year=2027)])
statuses = st.sampled_from(InstitutionStatus)
KEYS = [
    new_key("test", id_, PEPPERS, label="", url_allowed=False, expires=None, now=NOW)[0]
    for id_ in ("a", "b", "c")
]


def granting(grantee, selector, valid, now):
    return lambda store: store.add_grant(
        rules.new_grant(grantee, selector, area=EVERYWHERE, valid=valid, now=now)
    )


def forbidding(selector, valid, now):
    return lambda store: store.add_forbid(
        rules.new_forbid(selector, area=EVERYWHERE, valid=valid, reason="", now=now)
    )


calls = st.one_of(
    st.builds(
        lambda id_, name: lambda store: store.add_institution(Institution(id=id_, name=name)),
        ids,
        st.sampled_from("xy"),
    ),
    st.builds(
        lambda id_, title: lambda store: store.add_licence(Licence(id=id_, title=title)),
        ids,
        st.sampled_from("xy"),
    ),
    st.builds(lambda id_, status: lambda store: store.set_institution_status(id_, status), ids, statuses),
    st.builds(lambda key: lambda store: store.add_key(key), st.sampled_from(KEYS)),
    st.builds(lambda key, now: lambda store: store.revoke_key(key.id, now), st.sampled_from(KEYS), instants),
    st.builds(granting, ids, selectors, windows, instants),
    st.builds(forbidding, selectors, windows, instants),
)


def outcome(call, store):
    try:
        return call(store)
    except (AuthError, ValueError) as error:
        return type(error), str(error)


@settings(max_examples=60, deadline=None)
@given(st.lists(calls, max_size=25))
def test_it_does_what_its_twin_in_memory_does(random_calls):
    engine = create_engine("sqlite://", module=pysqlite3, poolclass=StaticPool)
    with contextlib.closing(engine.raw_connection()):
        metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(epoch_table.insert(), {"id": 1, "epoch": 0})
        memory, sql = MemoryPolicyStore(), SqlPolicyStore(engine)
        for call in random_calls:
            assert outcome(call, sql) == outcome(call, memory)
            assert sql.snapshot() == memory.snapshot()
    engine.dispose()
