"""Migrations bring the tables of auth to the form the code knows, and touch nothing else."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pysqlite3
import pytest
import shapely
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, inspect, text

from auth import edits
from auth.audit import verify
from auth.credentials import Peppers, authenticate, new_key
from auth.errors import PolicyUnavailableError
from auth.migrate import HEAD, migrate
from auth.models import PUBLIC, Action, Institution, InstitutionStatus, Licence
from auth.reach import EVERYWHERE, Selector, Window, new_area
from auth.schema import VERSION_TABLE, metadata
from auth.store import SqlPolicyStore

NOW = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
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


def add(store, id_):
    return store.change(edits.add(Institution(id=id_, name=id_)), actor="test", at=NOW)


def test_rights_outlive_a_second_migration(engine):
    migrate(engine)
    add(SqlPolicyStore(engine), "ign")
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
    assert add(store, "ign")
    assert not add(store, "ign")
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
        added = list(pool.map(lambda id_: bool(add(store, id_)), names * 2))
    assert sum(added) == 60
    assert (store.epoch(), sorted(store.snapshot().institutions)) == (60, sorted(names))


def home_of_the_first_version(engine):
    """Bring a database to the first revision and put one of everything into it."""
    peppers = Peppers(by_version={1: b"a pepper for the tests"})
    key, text_of_key = new_key("live", "ign", peppers, url_allowed=True, now=NOW, label="SIG")
    dead, _ = new_key("live", "ign", peppers, url_allowed=False, now=NOW, expires=NOW + timedelta(days=1))
    config = Config()
    config.set_main_option("script_location", "auth:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    stamp = "2026-05-01 12:30:15.123456"
    with engine.begin() as connection:
        run = connection.exec_driver_sql
        run("UPDATE auth_epoch SET epoch = 41")
        run("INSERT INTO auth_institution VALUES ('ign', 'Institut géo', 'active', 0)")
        run("INSERT INTO auth_institution VALUES ('ops', 'ops', 'suspended', 1)")
        run("INSERT INTO auth_licence VALUES ('etalab', 'Ouverte', 'CNES', '© CNES', '')")
        for each, revoked in ((key, None), (dead, stamp)):
            run(
                "INSERT INTO auth_key VALUES (?, 'ign', ?, 1, ?, ?, ?, ?, ?)",
                (
                    each.id,
                    each.secrets[0].hmac,
                    each.url_allowed,
                    each.label,
                    stamp,
                    None if each.expires is None else "2026-05-02 12:30:15.123456",
                    revoked,
                ),
            )
        everywhere = "'everywhere', NULL, NULL, NULL, NULL, NULL"
        insert = "INSERT INTO auth_grant VALUES "
        run(
            f"{insert} ('g0', 'd0', 'public', '[\"spot\"]', NULL, NULL, NULL, {everywhere}, "
            'NULL, \'["catalogue", "info", "preview", "tile"]\', ?)',
            (stamp,),
        )
        run(
            f"{insert} ('g1', 'd1', 'ign', NULL, '[\"etalab\"]', NULL, NULL, ?, ?, ?, NULL, "
            "NULL, ?, 1.5, '[\"tile\"]', ?)",
            (SQUARE.digest, SQUARE.wkb, stamp, stamp, stamp),
        )
        run(
            "INSERT INTO auth_forbid VALUES ('f1', 'd2', '[\"spot\"]', NULL, NULL, NULL, "
            f"{everywhere}, 'embargo', ?)",
            (stamp,),
        )
    return peppers, key, dead, text_of_key


SQUARE = new_area(shapely.to_wkb(shapely.box(0.1, 0.2, 2, 2)))


def test_a_home_of_the_first_version_means_the_same_afterwards(engine):
    peppers, key, dead, text_of_key = home_of_the_first_version(engine)
    assert migrate(engine) is True
    store = SqlPolicyStore(engine)
    rights = store.snapshot()
    assert rights.epoch == 42
    assert rights.institutions == {
        "ign": Institution(id="ign", name="Institut géo"),
        "ops": Institution(id="ops", name="ops", status=InstitutionStatus.SUSPENDED, operator=True),
    }
    assert rights.licences == {
        "etalab": Licence(id="etalab", title="Ouverte", provider="CNES", attribution="© CNES")
    }
    assert rights.keys[key.id] == key
    assert rights.keys[dead.id].revoked == NOW
    assert rights.keys[dead.id].expires == NOW + timedelta(days=1)
    shown = authenticate(rights, peppers, text_of_key, in_url=True, now=NOW)
    assert shown.principal.institution_id == "ign"
    public, own = rights.grants["g0"], rights.grants["g1"]
    assert (public.grantee, public.area, public.selector) == (
        PUBLIC,
        EVERYWHERE,
        Selector(collections=frozenset({"spot"})),
    )
    assert (own.area, own.finest_ground_resolution, own.actions) == (SQUARE, 1.5, frozenset({Action.TILE}))
    assert (own.acquired, own.valid) == (Window(start=NOW), Window(end=NOW))
    assert own.selector == Selector(licences=frozenset({"etalab"}))
    forbid = rights.forbids["f1"]
    assert (forbid.reason, forbid.area, forbid.created) == ("embargo", EVERYWHERE, NOW)
    assert verify(store.audit(), rights, store.audit_head()) is None
    assert {record.actor for record in store.audit()} == {"migration:0002"}
    tables = set(inspect(engine).get_table_names())
    assert not tables & {"auth_grant", "auth_key", "auth_institution"}


def test_a_home_of_the_first_version_is_upgraded_by_one_of_many(engine):
    home_of_the_first_version(engine)
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(migrate, [engine] * 4)) == [False, False, False, True]
    assert len(SqlPolicyStore(engine).audit()) == 8
