"""Migrations bring the tables of auth to the form the code knows, and touch nothing else."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pysqlite3
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, inspect, text

from auth.errors import PolicyUnavailableError
from auth.migrate import HEAD, migrate
from auth.models import Institution
from auth.schema import VERSION_TABLE, metadata
from auth.store import SqlPolicyStore

ROOT = Path(__file__).parents[2]


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'flux.db'}", module=pysqlite3)
    yield engine
    engine.dispose()


def test_the_head_is_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", "auth:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def described(engine, table):
    """All that a database tells of a table, constraints and their names included."""
    there = inspect(engine)
    return [
        [(c["name"], repr(c["type"]), c["nullable"], c["default"]) for c in there.get_columns(table)],
        there.get_pk_constraint(table),
        there.get_foreign_keys(table),
        there.get_unique_constraints(table),
        sorted(map(str, there.get_check_constraints(table))),
        there.get_indexes(table),
    ]


def test_migrated_tables_are_those_of_the_code(engine, tmp_path):
    assert migrate(engine) is True
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    from_code = create_engine(f"sqlite:///{tmp_path / 'code.db'}", module=pysqlite3)
    metadata.create_all(from_code)
    for table in metadata.tables:
        assert described(engine, table) == described(from_code, table)
    from_code.dispose()


def test_migrating_again_changes_nothing_and_does_not_load_alembic(engine, tmp_path):
    migrate(engine)
    assert migrate(engine) is False
    script = (
        "import sys, pysqlite3\n"
        "from sqlalchemy import create_engine\n"
        "from auth.migrate import migrate\n"
        "engine = create_engine(f'sqlite:///{sys.argv[1]}', module=pysqlite3)\n"
        "assert migrate(engine) is False\n"
        "assert 'alembic' not in sys.modules\n"
        "engine.dispose()\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path / "flux.db")]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_tables_of_others_are_left_alone(engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(text("CREATE TABLE mosaics_version (version_num TEXT)"))
        connection.execute(text("INSERT INTO mosaics_version VALUES ('0042')"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('other')"))
    before = {name: inspect(engine).get_columns(name) for name in ("alembic_version", "mosaics_version")}
    migrate(engine)
    tables = set(inspect(engine).get_table_names())
    assert tables == {*metadata.tables, VERSION_TABLE, *before}
    assert all(name.startswith("auth_") for name in tables - set(before))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM mosaics_version")).scalar_one() == "0042"
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "other"


def test_rights_outlive_a_second_migration(engine):
    migrate(engine)
    SqlPolicyStore(engine).add_institution(Institution(id="ign", name="IGN"))
    migrate(engine)
    assert set(SqlPolicyStore(engine).snapshot().institutions) == {"ign"}


def test_a_migration_that_fails_leaves_nothing_behind(engine):
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE auth_grant (id TEXT)"))
    with pytest.raises(PolicyUnavailableError):
        migrate(engine)
    assert inspect(engine).get_table_names() == ["auth_grant"]


def test_a_database_of_a_newer_version_is_refused(engine):
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE auth_version SET version_num = '9999'"))
    with pytest.raises(PolicyUnavailableError, match="9999"):
        migrate(engine)


@pytest.fixture(params=[None, "BEGIN", "BEGIN IMMEDIATE"])
def any_engine(request, engine):
    """An engine that leaves transactions to the driver, or begins them itself in either way."""
    if request.param is not None:

        @event.listens_for(engine, "connect")
        def no_implicit_begin(connection, _record):
            connection.isolation_level = None

        @event.listens_for(engine, "begin")
        def begin(connection):
            connection.exec_driver_sql(request.param)

    return engine


def test_however_the_engine_begins_its_transactions_it_is_served(any_engine):
    assert migrate(any_engine) is True
    store = SqlPolicyStore(any_engine)
    store.add_institution(Institution(id="ign", name="IGN"))
    assert store.add_institution(Institution(id="ign", name="IGN")) is False
    assert (store.epoch(), set(store.snapshot().institutions)) == (1, {"ign"})


def test_of_those_who_migrate_at_once_one_does_it(any_engine):
    with any_engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
    with ThreadPoolExecutor(4) as pool:
        done = sorted(pool.map(migrate, [any_engine] * 4))
    assert done == [False, False, False, True]
    assert SqlPolicyStore(any_engine).epoch() == 0


def test_however_the_engine_begins_writers_lose_nothing(any_engine):
    migrate(any_engine)
    store = SqlPolicyStore(any_engine)
    names = [f"i{number}" for number in range(60)]
    with ThreadPoolExecutor(3) as pool:
        added = list(pool.map(lambda id_: store.add_institution(Institution(id=id_, name="")), names * 2))
    assert sum(added) == 60
    assert (store.epoch(), sorted(store.snapshot().institutions)) == (60, sorted(names))
