"""Follows pgSTAC: reads what triggers marked, understands it, and keeps that under the next sequences."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar

import sqlalchemy as sa

from mosaics.catalog.pgstac_schema import followed_collections, followed_scenes
from mosaics.catalog.schema import advance, reading, translated
from mosaics.catalog.sql import collection_from
from mosaics.catalog.summary import Summary, summary_of
from mosaics.errors import IngestError, SceneUnreadableError
from mosaics.models import Collection

BROKEN: Final = (
    IngestError,
    SceneUnreadableError,
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
)
"""What an item that others wrote may bring about; it fails alone."""
_AT_ONCE: Final = 500
"""Scenes of one transaction."""
_FOLLOWER: Final = 0x6670_6773
_HYDRATE: Final[sa.ColumnElement[str | None]] = sa.literal_column(
    "pgstac.content_hydrate(items)::text", sa.Text
)
_ITEMS: Final = sa.table("items", sa.column("collection"), sa.column("id"), schema="pgstac").alias("items")
_COLLECTIONS: Final = sa.table("collections", sa.column("id"), sa.column("content"), schema="pgstac")
_JOIN: Final = sa.and_(
    _ITEMS.c.collection == followed_scenes.c.collection_id, _ITEMS.c.id == followed_scenes.c.id
)
HYDRATED: Final = (
    sa.select(
        followed_scenes.c.collection_id,
        followed_scenes.c.id,
        followed_scenes.c.mark,
        sa.case((_ITEMS.c.id.is_not(None), _HYDRATE)).label("item"),
    )
    .select_from(followed_scenes)
    .outerjoin(_ITEMS, _JOIN)
)
"""Whole items by key, as text; NULL: gone."""
_Row = dict[str, Any]
T = TypeVar("T")


class Understanding(Protocol):
    """Makes of what others wrote what a scene needs; an exception of `BROKEN` says what is missing."""

    def collection(self, document: dict[str, Any]) -> Collection:
        """Make a collection of a STAC Collection."""

    def item(self, document: dict[str, Any], collection: Collection) -> dict[str, Any]:
        """Make an item that has all that a scene needs."""

    def check(self, summary: Summary) -> None:
        """Raise where a scene could not be shown."""


@contextmanager
def hydrating(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a connection whose queries all see the same state, and find what pgSTAC's functions call."""
    path = sa.func.concat("pgstac,", sa.func.current_setting("search_path"))
    with translated(), reading(engine) as connection:
        connection.execute(sa.select(sa.func.set_config("search_path", path, True)))  # noqa: FBT003 - until it ends
        yield connection


def follow(engine: sa.Engine, understanding: Understanding, *, seconds: float | None) -> None:
    """Read what changed in pgSTAC; one process at a time does, the others find it done.

    Nobody who writes to pgSTAC waits for more than a moment: while items are read and understood nothing is
    locked, and what changed again meanwhile keeps its mark.

    Args:
        engine: The database.
        understanding: Makes of what others wrote what a scene needs.
        seconds: After how long the rest is left to the next call; None: never.

    Raises:
        CatalogUnavailableError: If the database does not answer.
    """
    end = None if seconds is None else time.monotonic() + seconds
    while _some(engine, understanding) and (end is None or time.monotonic() < end):
        pass


def _some(engine: sa.Engine, understanding: Understanding) -> bool:
    """Read some of what is marked; False: nothing is, or another process reads it."""
    with hydrating(engine) as connection:
        if not connection.scalar(_ANYTHING):
            return False
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(_FOLLOWER))):
            return False
        rows = [_read_collection(row, understanding) for row in connection.execute(_MARKED_COLLECTIONS)]
        if rows:
            return _keep(engine, followed_collections, rows) > 0
        known = {
            row.id: None if row.document is None else collection_from(row.document)
            for row in connection.execute(sa.select(followed_collections))
        }
        marked = connection.execute(_MARKED_SCENES)
        rows = [_read_scene(row, known.get(row.collection_id), understanding) for row in marked]
        return _keep(engine, followed_scenes, rows) > 0


_ANYTHING: Final = sa.select(
    sa.or_(
        *(
            sa.exists().where(table.c.mark != table.c.done)
            for table in (followed_collections, followed_scenes)
        )
    )
)
_MARKED_COLLECTIONS: Final = (
    sa.select(
        followed_collections.c.id,
        followed_collections.c.mark,
        sa.cast(_COLLECTIONS.c.content, sa.Text).label("content"),
    )
    .outerjoin(_COLLECTIONS, _COLLECTIONS.c.id == followed_collections.c.id)
    .where(followed_collections.c.mark != followed_collections.c.done)
)
_MARKED_SCENES: Final = (
    HYDRATED.where(followed_scenes.c.mark != followed_scenes.c.done)
    .order_by(followed_scenes.c.mark)
    .limit(_AT_ONCE)
)


def _read_collection(row: Any, understanding: Understanding) -> _Row:
    document, reason = None, None
    if row.content is not None:
        document, reason = _tried(lambda: _text_of(understanding.collection(json.loads(row.content))))
    return {"id": row.id, "mark": row.mark, "document": document, "reason": reason}


def _read_scene(row: Any, collection: Collection | None, understanding: Understanding) -> _Row:
    def summary() -> bytes:
        if collection is None:
            raise IngestError("its collection can't be used")
        found = summary_of(understanding.item(json.loads(row.item), collection))
        understanding.check(found)
        return bytes(found)

    data, reason = (None, None) if row.item is None else _tried(summary)
    key = {"collection_id": row.collection_id, "id": row.id}
    return {**key, "mark": row.mark, "summary": data, "reason": reason}


def _tried(work: Callable[[], T]) -> tuple[T | None, str | None]:
    """Give what work makes, or why it can't be made."""
    try:
        return work(), None
    except BROKEN as error:
        cause = error.__cause__ if isinstance(error, SceneUnreadableError) and error.__cause__ else error
        return None, str(cause) if isinstance(cause, IngestError) else f"it can't be understood: {cause!r}"


def _keep(engine: sa.Engine, table: sa.Table, rows: list[_Row]) -> int:
    """Keep what was understood, but of what changed meanwhile or is being changed; tell how much was kept.

    What is as it was gets no new sequence.
    """
    keys = [column.name for column in table.primary_key]
    said = [column for column in table.c if column.name in {"document", "summary", "reason"}]
    wanted = {tuple(row[key] for key in keys): row for row in rows}
    query = sa.select(*table.primary_key, table.c.mark, *said).where(
        sa.tuple_(*table.primary_key).in_(wanted), table.c.mark != table.c.done
    )
    with translated(), engine.begin() as connection:
        held = connection.execute(query.with_for_update(skip_locked=True)).mappings().all()
        pairs = [(each, wanted[tuple(each[key] for key in keys)]) for each in held]
        pairs = [(each, row) for each, row in pairs if each["mark"] == row["mark"]]
        changed = [row for each, row in pairs if any(each[one.name] != row[one.name] for one in said)]
        _update(connection, table, [{"done": row["mark"], **row} for _, row in pairs], ("done",))
        if changed:
            first = advance(connection, len(changed)) - len(changed) + 1
            numbered = [{**row, "sequence": number} for number, row in enumerate(changed, start=first)]
            _update(connection, table, numbered, ("sequence", *(column.name for column in said)))
    return len(pairs)


def _update(connection: sa.Connection, table: sa.Table, rows: list[_Row], names: Sequence[str]) -> None:
    """Write some columns of rows."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    where = sa.and_(*(table.c[key] == sa.bindparam(f"of_{key}") for key in keys))
    statement = sa.update(table).where(where).values({name: sa.bindparam(f"new_{name}") for name in names})
    connection.execute(
        statement,
        [
            {f"of_{key}": row[key] for key in keys} | {f"new_{name}": row[name] for name in names}
            for row in rows
        ],
    )


def _text_of(collection: Collection) -> str:
    return json.dumps(dataclasses.asdict(collection))
