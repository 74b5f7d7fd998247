"""The catalogue in a relational database; everything portable between SQLite and PostgreSQL is here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from mosaics.catalog.base import (
    Changes,
    MosaicCheck,
    NewScene,
    Put,
    SummaryCheck,
    data_href,
    none_broken,
    unchecked,
)
from mosaics.catalog.bulk import put_all, remove_all
from mosaics.catalog.schema import (
    advance,
    collections_table,
    mosaics_table,
    overviews_table,
    reading,
    scenes_table,
    sequence_table,
    stretches_table,
    summaries_table,
    translated,
)
from mosaics.catalog.summary import summary_from, summary_of
from mosaics.catalog.table import Gathering
from mosaics.errors import MosaicInvalidError, NameTakenError, SceneUnreadableError
from mosaics.models import Collection, Text
from mosaics.mosaic import Mosaic, mosaic_document, mosaic_from
from mosaics.stretch import Stretch, evenly, stretch_document, stretch_from

_AT_ONCE: Final = 500
"""Items that are read together."""


class SqlCatalog:
    """A `Catalog` over an SQLAlchemy engine whose tables exist (see `mosaics.catalog.migrate`)."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def changes(self, since: int) -> Changes:
        """Give what became different after `since`."""
        with translated(), reading(self._engine) as connection:
            newest = connection.scalar(sa.select(sequence_table.c.value)) or 0
            if newest <= since:
                return Changes(sequence=newest, collections={}, scenes=Gathering().done())
            collections = connection.execute(
                sa.select(collections_table.c.id, collections_table.c.document).where(
                    collections_table.c.sequence > since
                )
            ).all()
            mosaics = connection.execute(_mosaics_since(since)).all()
            stretches = connection.execute(
                sa.select(stretches_table.c.layer_id, stretches_table.c.document).where(
                    stretches_table.c.sequence > since
                )
            ).all()
            gathering, gone, broken = _scenes_since(connection, since)
            overviews = connection.execute(_overviews_since(since)).all()
        return Changes(
            sequence=newest,
            collections={row.id: collection_from(row.document) for row in collections},
            scenes=gathering.done(),
            gone=(*gone, *broken),
            broken=broken,
            mosaics={row.id: _mosaic_from(row.document) for row in mosaics},
            overviews={
                (row.layer_id, row.name): (
                    row.sequence,
                    None if row.document is None else json.loads(row.document),
                )
                for row in overviews
            },
            stretches={
                row.layer_id: found for row in stretches if (found := _stretch_from(row.document)) is not None
            },
        )

    def collections(self) -> dict[str, Collection]:
        """Give all collections."""
        query = sa.select(collections_table.c.id, collections_table.c.document)
        with translated(), self._engine.connect() as connection:
            return {row.id: collection_from(row.document) for row in connection.execute(query)}

    def items(self) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        """Give all items, some at a time."""
        table = scenes_table.c
        query = sa.select(table.collection_id, table.id, table.item).where(table.item.is_not(None))
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(query.execution_options(yield_per=_AT_ONCE))
            for row in rows:
                yield (row.collection_id, row.id), _item_from(row.id, row.item)

    def find_by_digest(self, digest: str) -> tuple[str, str] | None:
        """Give (collection id, scene id) of the scene with this content."""
        with translated(), self._engine.connect() as connection:
            row = connection.execute(
                sa.select(scenes_table.c.collection_id, scenes_table.c.id).where(
                    scenes_table.c.digest == digest
                )
            ).first()
        return (row.collection_id, row.id) if row else None

    def scene_exists(self, collection_id: str, scene_id: str) -> bool:
        """Tell whether the scene id is taken."""
        with translated(), self._engine.connect() as connection:
            return bool(
                connection.scalar(
                    sa.select(sa.func.count())
                    .select_from(scenes_table)
                    .where(_is_scene(collection_id, scene_id), scenes_table.c.item.is_not(None))
                )
            )

    def item(self, collection_id: str, scene_id: str) -> dict[str, Any] | None:
        """Give the item of a scene."""
        with translated(), self._engine.connect() as connection:
            text = connection.scalar(sa.select(scenes_table.c.item).where(_is_scene(collection_id, scene_id)))
        return None if text is None else _item_from(scene_id, text)

    def scenes_at(self, href: str) -> list[tuple[str, str]]:
        """Give (collection id, scene id) of the scenes whose file lies at an address."""
        table = scenes_table.c
        query = sa.select(table.collection_id, table.id, table.item).where(
            table.item.contains(json.dumps(href), autoescape=True)
        )
        with translated(), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [
            (row.collection_id, row.id) for row in rows if data_href(_item_from(row.id, row.item)) == href
        ]

    def collection(self, collection_id: str) -> Collection | None:
        """Give a collection."""
        with translated(), self._engine.connect() as connection:
            document = connection.scalar(
                sa.select(collections_table.c.document).where(collections_table.c.id == collection_id)
            )
        return collection_from(document) if document else None

    def put_collection(self, collection: Collection) -> None:
        """Add or replace a collection."""
        if self.collection(collection.id) == collection:
            return
        with translated(), self._engine.begin() as connection:
            values = {"document": json.dumps(dataclasses.asdict(collection)), "sequence": advance(connection)}
            if _held_mosaic(connection, collection.id) is not None:
                raise NameTakenError(collection.id, "mosaic")
            where = collections_table.c.id == collection.id
            if not connection.execute(sa.update(collections_table).where(where).values(values)).rowcount:
                connection.execute(sa.insert(collections_table).values(id=collection.id, **values))

    def mosaic(self, mosaic_id: str) -> Mosaic | None:
        """Give a named mosaic."""
        with translated(), self._engine.connect() as connection:
            return _mosaic_from(_held_mosaic(connection, mosaic_id))

    def put_mosaic(self, mosaic: Mosaic, check: MosaicCheck = unchecked) -> None:
        """Add or replace a named mosaic."""
        if self.mosaic(mosaic.id) == mosaic:
            check(mosaic)
            return
        text = json.dumps(mosaic_document(mosaic))
        with translated(), self._engine.begin() as connection:
            values = {"document": text, "sequence": advance(connection)}
            check(_mosaic_from(_held_mosaic(connection, mosaic.id)))
            named = sa.select(collections_table.c.id).where(collections_table.c.id == mosaic.id)
            if connection.scalar(named) is not None:
                raise NameTakenError(mosaic.id, "collection")
            where = mosaics_table.c.id == mosaic.id
            if not connection.execute(sa.update(mosaics_table).where(where).values(values)).rowcount:
                connection.execute(sa.insert(mosaics_table).values(id=mosaic.id, **values))

    def remove_mosaic(self, mosaic_id: str, check: MosaicCheck = unchecked) -> bool:
        """Take a named mosaic away; a row without a document stays so that every worker hears of it."""
        with translated(), self._engine.begin() as connection:
            sequence = advance(connection)
            check(_mosaic_from(_held_mosaic(connection, mosaic_id)))
            return bool(
                connection.execute(
                    sa.update(mosaics_table)
                    .where(mosaics_table.c.id == mosaic_id, mosaics_table.c.document.is_not(None))
                    .values(document=None, sequence=sequence)
                ).rowcount
            )

    def overviews(self, layer_id: str) -> dict[str, dict[str, Any]]:
        """Give the overviews of a layer."""
        table = overviews_table.c
        query = sa.select(table.name, table.document).where(
            table.layer_id == layer_id, table.document.is_not(None)
        )
        with translated(), self._engine.connect() as connection:
            return {row.name: json.loads(row.document) for row in connection.execute(query)}

    def put_overview(self, layer_id: str, name: str, document: dict[str, Any]) -> int:
        """Add or replace an overview."""
        with translated(), self._engine.begin() as connection:
            sequence = advance(connection)
            values = {"document": json.dumps(document), "sequence": sequence}
            where = _is_overview(layer_id, name)
            if not connection.execute(sa.update(overviews_table).where(where).values(values)).rowcount:
                row = {"layer_id": layer_id, "name": name, **values}
                connection.execute(sa.insert(overviews_table).values(row))
        return sequence

    def remove_overview(self, layer_id: str, name: str) -> bool:
        """Take an overview away; a row without a document stays so that every worker hears of it."""
        with translated(), self._engine.begin() as connection:
            return bool(
                connection.execute(
                    sa.update(overviews_table)
                    .where(_is_overview(layer_id, name), overviews_table.c.document.is_not(None))
                    .values(document=None, sequence=advance(connection))
                ).rowcount
            )

    def scene_count(self, collection_id: str) -> int:
        """Give the number of scenes of a collection."""
        table = summaries_table.c
        query = (
            sa.select(sa.func.count())
            .select_from(summaries_table)
            .where(table.collection_id == collection_id, table.summary.is_not(None))
        )
        with translated(), self._engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    def some_items(self, collection_id: str, most: int) -> list[dict[str, Any]]:
        """Give the items of some scenes of a collection."""
        table = scenes_table.c
        of_collection = table.collection_id == collection_id
        ids = sa.select(table.id).where(of_collection, table.item.is_not(None)).order_by(table.id)
        with translated(), self._engine.connect() as connection:
            chosen = evenly(connection.scalars(ids).all(), most)
            items = sa.select(table.id, table.item).where(of_collection, table.id.in_(chosen))
            rows = connection.execute(items.order_by(table.id)).all()
        return [_item_from(row.id, row.item) for row in rows]

    def stretch(self, layer_id: str) -> Stretch | None:
        """Give the range of values of a mosaic."""
        query = sa.select(stretches_table.c.document).where(stretches_table.c.layer_id == layer_id)
        with translated(), self._engine.connect() as connection:
            document = connection.scalar(query)
        return None if document is None else _stretch_from(document)

    def put_stretch(self, layer_id: str, stretch: Stretch) -> None:
        """Keep the range of values of a mosaic."""
        document, table = json.dumps(stretch_document(stretch)), stretches_table
        with translated(), self._engine.begin() as connection:
            sequence = advance(connection)
            held = connection.scalar(sa.select(table.c.document).where(table.c.layer_id == layer_id))
            if held == document:
                connection.rollback()
                return
            values = {"document": document, "sequence": sequence}
            where = table.c.layer_id == layer_id
            if not connection.execute(sa.update(table).where(where).values(values)).rowcount:
                connection.execute(sa.insert(table).values(layer_id=layer_id, **values))

    def put_scene(self, collection_id: str, item: dict[str, Any], digest: str) -> int:
        """Add or replace a scene."""
        if self.collection(collection_id) is None:
            raise KeyError(collection_id)
        with translated(), self._engine.begin() as connection:
            sequence = advance(connection)
            key = (collection_id, item["id"])
            values = {"item": json.dumps(item), "digest": digest, "sequence": sequence}
            _put(connection, scenes_table, key, values)
            _put(connection, summaries_table, key, {"sequence": sequence, "summary": _summary_bytes(item)})
        return sequence

    def remove_scene(self, collection_id: str, scene_id: str) -> bool:
        """Take a scene out; a row without an item stays so that every worker hears of it."""
        with translated(), self._engine.begin() as connection:
            sequence = advance(connection)
            removed = connection.execute(
                sa.update(scenes_table)
                .where(_is_scene(collection_id, scene_id), scenes_table.c.item.is_not(None))
                .values(item=None, digest=None, sequence=sequence)
            ).rowcount
            if removed:
                _put(
                    connection,
                    summaries_table,
                    (collection_id, scene_id),
                    {"sequence": sequence, "summary": None},
                )
            return bool(removed)

    def put_scenes(self, scenes: Sequence[NewScene], check: SummaryCheck = none_broken) -> list[Put]:
        """Add or replace scenes."""
        return put_all(self._engine, scenes, check)

    def remove_scenes(self, keys: Sequence[tuple[str, str]]) -> int:
        """Take scenes out."""
        return remove_all(self._engine, keys)


def _scenes_since(
    connection: sa.Connection, since: int
) -> tuple[Gathering, list[tuple[str, str]], dict[tuple[str, str], SceneUnreadableError]]:
    """Read what became of scenes; a summary that is of another version, or missing, is made of the item.

    Returns:
        The scenes, the keys of those that were removed, and what is wrong with those whose item is broken.
    """
    table = summaries_table.c
    query = sa.select(table.collection_id, table.id, table.sequence, table.summary).where(
        table.sequence > since
    )
    if since == 0:
        query = query.where(table.summary.is_not(None))
    gathering = Gathering()
    removed: list[tuple[str, str]] = []
    old: list[tuple[str, str]] = []
    for collection_id, scene_id, sequence, data in connection.execute(query):
        summary = None if data is None else summary_from(data)
        if summary is not None:
            gathering.add(sequence, summary, data)
        else:
            (removed if data is None else old).append((collection_id, scene_id))
    rows = list(connection.execute(_without_summary(since)))
    rows += [connection.execute(sa.select(scenes_table).where(_is_scene(*key))).one() for key in old]
    broken = {}
    for row in rows:
        try:
            gathering.add(row.sequence, summary_of(_item_from(row.id, row.item)))
        except SceneUnreadableError as error:
            broken[row.collection_id, row.id] = error
    made = {(row.collection_id, row.id) for row in rows}
    return gathering, [key for key in removed if key not in made], broken


def _without_summary(since: int) -> sa.Select[Any]:
    """Give the scenes that are there, but whose item was broken when it was written."""
    table = summaries_table.c
    return sa.select(scenes_table).join(
        summaries_table,
        sa.and_(
            table.collection_id == scenes_table.c.collection_id,
            table.id == scenes_table.c.id,
            table.summary.is_(None),
            scenes_table.c.item.is_not(None),
            table.sequence > since,
        ),
    )


def _put(connection: sa.Connection, table: sa.Table, key: tuple[str, str], values: dict[str, Any]) -> None:
    """Write a row, in place of one with the same key."""
    where = sa.and_(table.c.collection_id == key[0], table.c.id == key[1])
    if not connection.execute(sa.update(table).where(where).values(values)).rowcount:
        connection.execute(sa.insert(table).values(collection_id=key[0], id=key[1], **values))


def _summary_bytes(item: dict[str, Any]) -> bytes | None:
    """Give the summary of an item for the store; None: it is broken, which is told when it is read."""
    try:
        return bytes(summary_of(item))
    except SceneUnreadableError:
        return None


def _is_scene(collection_id: str, scene_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(scenes_table.c.collection_id == collection_id, scenes_table.c.id == scene_id)


def _is_overview(layer_id: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(overviews_table.c.layer_id == layer_id, overviews_table.c.name == name)


def _overviews_since(since: int) -> sa.Select[Any]:
    table = overviews_table.c
    query = sa.select(overviews_table).where(table.sequence > since)
    return query.where(table.document.is_not(None)) if since == 0 else query


def _mosaics_since(since: int) -> sa.Select[tuple[str, str | None]]:
    table = mosaics_table.c
    query = sa.select(table.id, table.document).where(table.sequence > since)
    return query.where(table.document.is_not(None)) if since == 0 else query


def _held_mosaic(connection: sa.Connection, mosaic_id: str) -> str | None:
    return connection.scalar(sa.select(mosaics_table.c.document).where(mosaics_table.c.id == mosaic_id))


def _mosaic_from(text: str | None) -> Mosaic | None:
    """Read a mosaic; one that a newer version wrote, and that can't be read here, fails alone."""
    try:
        return None if text is None else mosaic_from(json.loads(text))
    except (MosaicInvalidError, ValueError):
        return None


def _item_from(scene_id: str, text: str) -> Any:
    """Read an item; one that is not even JSON has nothing but its id, so it fails alone as a scene."""
    try:
        return json.loads(text)
    except ValueError:
        return {"id": scene_id}


def _stretch_from(document: str) -> Stretch | None:
    """Read a stretch; one that can't be read is none: scenes are shown each by itself."""
    try:
        return stretch_from(json.loads(document))
    except ValueError:
        return None


def collection_from(document: str) -> Collection:
    """Read a collection as this store keeps it."""
    values = json.loads(document)
    values["title"] = Text(**values["title"])
    values["description"] = Text(**values["description"])
    return Collection(**values)
