"""What stands beside pgSTAC's tables in its database: tables of ours, and triggers that mark what changes."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from mosaics.catalog.schema import translated
from mosaics.catalog.summary import VERSION
from mosaics.errors import CatalogUnavailableError

_LOCK: Final = 0x7067_7374
_TRIGGER: Final = "flux_follow_1"
"""Name of the triggers; the number is raised when they become others."""
_MARKED: Final = sa.text("mark <> done")

metadata = sa.MetaData()
marks: Final = sa.Sequence("mosaics_pgstac_marks", data_type=sa.BigInteger, metadata=metadata)

followed_collections = sa.Table(
    "mosaics_pgstac_collections",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("mark", sa.BigInteger, nullable=False, comment="another one with each change"),
    sa.Column("done", sa.BigInteger, nullable=False, server_default="0", comment="the mark as it was read"),
    sa.Column("sequence", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("document", sa.Text, comment="as it is understood here; NULL: gone, or not understood"),
    sa.Column("reason", sa.Text, comment="why it is not understood"),
)

followed_scenes = sa.Table(
    "mosaics_pgstac_scenes",
    metadata,
    sa.Column("collection_id", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("mark", sa.BigInteger, nullable=False, comment="another one with each change"),
    sa.Column("done", sa.BigInteger, nullable=False, server_default="0", comment="the mark as it was read"),
    sa.Column("sequence", sa.BigInteger, nullable=False, server_default="0", index=True),
    sa.Column("summary", sa.LargeBinary, comment="NULL: gone, or not understood"),
    sa.Column("reason", sa.Text, comment="why it is not understood"),
    sa.Index("ix_mosaics_pgstac_scenes_marked", "mark", postgresql_where=_MARKED),
)

_FUNCTIONS: Final = """
CREATE OR REPLACE FUNCTION {schema}.mosaics_pgstac_mark(collection_id text, id text) RETURNS void
LANGUAGE sql SET search_path = {schema}, pg_temp AS $$
  INSERT INTO mosaics_pgstac_scenes (collection_id, id, mark)
  VALUES (collection_id, id, nextval('mosaics_pgstac_marks'))
  ON CONFLICT ON CONSTRAINT mosaics_pgstac_scenes_pkey DO UPDATE SET mark = excluded.mark
$$;

CREATE OR REPLACE FUNCTION {schema}.mosaics_pgstac_items_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    UPDATE mosaics_pgstac_scenes SET mark = nextval('mosaics_pgstac_marks');
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    PERFORM mosaics_pgstac_mark(OLD.collection, OLD.id);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    PERFORM mosaics_pgstac_mark(NEW.collection, NEW.id);
  END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION {schema}.mosaics_pgstac_collections_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE changed text;
BEGIN
  FOR changed IN SELECT OLD.id WHERE TG_OP <> 'INSERT' UNION SELECT NEW.id WHERE TG_OP <> 'DELETE' LOOP
    INSERT INTO mosaics_pgstac_collections (id, mark) VALUES (changed, nextval('mosaics_pgstac_marks'))
    ON CONFLICT (id) DO UPDATE SET mark = excluded.mark;
    -- pgSTAC drops the tables of a collection that goes, so no item's trigger is called; of one that stays,
    -- what its items have in common is part of each
    UPDATE mosaics_pgstac_scenes SET mark = nextval('mosaics_pgstac_marks') WHERE collection_id = changed;
  END LOOP;
  RETURN NULL;
END $$;
"""
_TRIGGERS: Final = """
CREATE OR REPLACE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON pgstac.items
  FOR EACH ROW EXECUTE FUNCTION {schema}.mosaics_pgstac_items_changed();
CREATE OR REPLACE TRIGGER {trigger}_truncate AFTER TRUNCATE ON pgstac.items
  FOR EACH STATEMENT EXECUTE FUNCTION {schema}.mosaics_pgstac_items_changed();
CREATE OR REPLACE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON pgstac.collections
  FOR EACH ROW EXECUTE FUNCTION {schema}.mosaics_pgstac_collections_changed();
"""
_ALL: Final = """
INSERT INTO mosaics_pgstac_collections (id, mark)
  SELECT id, nextval('mosaics_pgstac_marks') FROM pgstac.collections
  ON CONFLICT (id) DO NOTHING;
INSERT INTO mosaics_pgstac_scenes (collection_id, id, mark)
  SELECT collection, id, nextval('mosaics_pgstac_marks') FROM pgstac.items
  ON CONFLICT (collection_id, id) DO NOTHING;
UPDATE mosaics_pgstac_collections SET mark = nextval('mosaics_pgstac_marks') WHERE mark = done;
UPDATE mosaics_pgstac_scenes SET mark = nextval('mosaics_pgstac_marks') WHERE mark = done;
"""
"""What triggers did not see is marked too: all that is there now, and all that was there."""


def prepare(engine: sa.Engine) -> None:
    """Make our tables and the triggers where they are missing; then everything is marked.

    Several processes may call it at once. pgSTAC's own rows are never written.

    Args:
        engine: The database, whose own tables of ours are there already.

    Raises:
        CatalogUnavailableError: If it holds no pgSTAC, or the role may not make triggers.
    """
    with translated(), engine.begin() as connection:
        if engine.dialect.name != "postgresql" or not _has_pgstac(connection):
            raise CatalogUnavailableError("the database holds no pgSTAC (the tables of the schema pgstac)")
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        metadata.create_all(connection)
        if not _has_triggers(connection):
            _install(connection)


def mark_anew(engine: sa.Engine) -> None:
    """Mark what was not understood, since sensors and files change, and summaries of former versions.

    Raises:
        CatalogUnavailableError: If the database does not answer.
    """
    for table, anew in (
        (followed_collections, followed_collections.c.reason.is_not(None)),
        (
            followed_scenes,
            sa.or_(
                followed_scenes.c.reason.is_not(None),
                sa.func.get_byte(followed_scenes.c.summary, 0) != VERSION,
            ),
        ),
    ):
        unmarked = table.c.mark == table.c.done
        with translated(), engine.begin() as connection:
            connection.execute(sa.update(table).where(unmarked, anew).values(mark=marks.next_value()))


def _has_pgstac(connection: sa.Connection) -> bool:
    return sa.inspect(connection).has_table("items", schema="pgstac")


def _has_triggers(connection: sa.Connection) -> bool:
    query = sa.text(
        "SELECT count(*) FROM pg_trigger WHERE tgname LIKE :name AND tgenabled <> 'D'"
        " AND tgrelid IN ('pgstac.items'::regclass, 'pgstac.collections'::regclass)"
    )
    return int(connection.scalar(query, {"name": f"{_TRIGGER}%"}) or 0) == 3


def _install(connection: sa.Connection) -> None:
    """Make the triggers; that waits for whoever writes to pgSTAC, and nobody writes until all is marked."""
    schema = connection.scalar(sa.select(sa.func.quote_ident(sa.func.current_schema())))
    statements = (_FUNCTIONS + _TRIGGERS).format(schema=schema, trigger=_TRIGGER) + _ALL
    try:
        connection.exec_driver_sql(statements)
    except exc.ProgrammingError as error:
        raise CatalogUnavailableError(
            "pgSTAC can't be followed: the role may make no triggers on its tables; let their owner say "
            "GRANT TRIGGER ON ALL TABLES IN SCHEMA pgstac"
        ) from error
