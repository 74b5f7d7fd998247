"""A catalogue that is kept in pgSTAC: followed, and never written to; mosaics and ranges of values are ours.

pgSTAC numbers no changes. Triggers mark in tables of ours what has changed (`pgstac_schema`); whoever asks
first reads it, understands it and keeps its summary there under the next number of our own sequence
(`pgstac_follow`): each item is understood once, and a worker starts from summaries. Decision 21 says why.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from mosaics.catalog.base import Changes, MosaicCheck, NewScene, Put, SummaryCheck, none_broken, unchecked
from mosaics.catalog.pgstac_follow import BROKEN, HYDRATED, Understanding, follow, hydrating
from mosaics.catalog.pgstac_schema import followed_collections, followed_scenes
from mosaics.catalog.schema import reading, translated
from mosaics.catalog.sql import SqlCatalog, collection_from
from mosaics.catalog.summary import summary_from
from mosaics.catalog.table import Gathering
from mosaics.errors import CatalogReadOnlyError, IngestError, NameTakenError, SceneUnreadableError
from mosaics.models import Collection
from mosaics.mosaic import Mosaic
from mosaics.stretch import Stretch, evenly

_AT_ONCE: Final = 500
"""Items that are read together."""
_LONGEST_SECONDS: Final = 2.0
"""Of one look at what changed; the rest is for the next."""


@dataclass(frozen=True)
class PgstacCatalog:
    """A `Catalog` over a database that was prepared (`prepare`), whose scenes are others' to write."""

    engine: sa.Engine
    understanding: Understanding
    """Makes of what others wrote what a scene needs."""

    def follow_all(self) -> None:
        """Read all that changed, however long it takes: 100 000 items are a minute or two.

        Raises:
            CatalogUnavailableError: If the database does not answer.
        """
        follow(self.engine, self.understanding, seconds=None)

    def changes(self, since: int) -> Changes:
        """Give what became different after `since`."""
        follow(self.engine, self.understanding, seconds=_LONGEST_SECONDS)
        own = self._own.changes(since)
        with translated(), reading(self.engine) as connection:
            collections = connection.execute(_collections_since(since)).all()
            gathering, gone, broken = _scenes_since(connection, since)
        return replace(
            own,
            collections={
                row.id: None if row.document is None else collection_from(row.document) for row in collections
            },
            scenes=gathering.done(),
            gone=(*gone, *broken),
            broken=broken,
        )

    def collections(self) -> dict[str, Collection]:
        """Give all collections."""
        with translated(), self.engine.connect() as connection:
            rows = connection.execute(_collections_since(0)).all()
        return {row.id: collection_from(row.document) for row in rows}

    def items(self) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        """Give all items as they are understood, some at a time."""
        collections, table = self.collections(), followed_scenes.c
        query = HYDRATED.where(table.summary.is_not(None))
        with hydrating(self.engine) as connection:
            for row in connection.execution_options(yield_per=_AT_ONCE).execute(query):
                item = self._understood(row.item, collections.get(row.collection_id))
                if item is not None:
                    yield (row.collection_id, row.id), item

    def find_by_digest(self, digest: str) -> tuple[str, str] | None:  # noqa: ARG002 - nothing is banked here
        """Find nothing: contents are not known."""
        return None

    def scene_exists(self, collection_id: str, scene_id: str) -> bool:
        """Tell whether the scene id is taken."""
        return self.item(collection_id, scene_id) is not None

    def item(self, collection_id: str, scene_id: str) -> dict[str, Any] | None:
        """Give the item of a scene as it is understood."""
        table = followed_scenes.c
        query = HYDRATED.where(table.collection_id == collection_id, table.id == scene_id)
        with hydrating(self.engine) as connection:
            row = connection.execute(query).first()
        collection = None if row is None else self.collection(collection_id)
        return None if row is None else self._understood(row.item, collection)

    def scenes_at(self, href: str) -> list[tuple[str, str]]:
        """Find the scenes whose file lies at an address."""
        return [key for key, item in self.items() if item["assets"]["data"]["href"] == href]

    def collection(self, collection_id: str) -> Collection | None:
        """Give a collection."""
        table = followed_collections.c
        query = sa.select(table.document).where(table.id == collection_id)
        with translated(), self.engine.connect() as connection:
            document = connection.scalar(query)
        return None if document is None else collection_from(document)

    def put_collection(self, collection: Collection) -> None:
        """Refuse: pgSTAC has its own tools; an equal one changes nothing."""
        if self.collection(collection.id) != collection:
            raise CatalogReadOnlyError

    def mosaic(self, mosaic_id: str) -> Mosaic | None:
        """Give a named mosaic."""
        return self._own.mosaic(mosaic_id)

    def put_mosaic(self, mosaic: Mosaic, check: MosaicCheck = unchecked) -> None:
        """Add or replace a named mosaic."""
        if self.collection(mosaic.id) is not None:
            raise NameTakenError(mosaic.id, "collection")
        self._own.put_mosaic(mosaic, check)

    def remove_mosaic(self, mosaic_id: str, check: MosaicCheck = unchecked) -> bool:
        """Take a named mosaic away."""
        return self._own.remove_mosaic(mosaic_id, check)

    def overviews(self, layer_id: str) -> dict[str, dict[str, Any]]:
        """Give the overviews of a layer, which are ours."""
        return self._own.overviews(layer_id)

    def put_overview(self, layer_id: str, name: str, document: dict[str, Any]) -> int:
        """Add or replace an overview."""
        return self._own.put_overview(layer_id, name, document)

    def remove_overview(self, layer_id: str, name: str) -> bool:
        """Take an overview away."""
        return self._own.remove_overview(layer_id, name)

    def scene_count(self, collection_id: str) -> int:
        """Give the number of scenes of a collection."""
        table = followed_scenes.c
        query = sa.select(sa.func.count()).where(
            table.collection_id == collection_id, table.summary.is_not(None)
        )
        with translated(), self.engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    def some_items(self, collection_id: str, most: int) -> list[dict[str, Any]]:
        """Give the items of some scenes of a collection as they are understood."""
        table, collection = followed_scenes.c, self.collection(collection_id)
        known = table.collection_id == collection_id, table.summary.is_not(None)
        with hydrating(self.engine) as connection:
            ids = connection.scalars(sa.select(table.id).where(*known).order_by(table.id)).all()
            chosen = HYDRATED.where(*known, table.id.in_(evenly(ids, most))).order_by(table.id)
            rows = connection.execute(chosen).all()
        understood = (self._understood(row.item, collection) for row in rows)
        return [item for item in understood if item is not None]

    def stretch(self, layer_id: str) -> Stretch | None:
        """Give the range of values of a mosaic."""
        return self._own.stretch(layer_id)

    def put_stretch(self, layer_id: str, stretch: Stretch) -> None:
        """Keep the range of values of a mosaic."""
        self._own.put_stretch(layer_id, stretch)

    def put_scene(self, collection_id: str, item: dict[str, Any], digest: str) -> int:  # noqa: ARG002 - it is refused
        """Refuse: pgSTAC has its own tools."""
        raise CatalogReadOnlyError

    def remove_scene(self, collection_id: str, scene_id: str) -> bool:  # noqa: ARG002 - it is refused
        """Refuse: pgSTAC has its own tools."""
        raise CatalogReadOnlyError

    def put_scenes(
        self,
        scenes: Sequence[NewScene],  # noqa: ARG002 - it is refused
        check: SummaryCheck = none_broken,  # noqa: ARG002 - likewise
    ) -> list[Put]:
        """Refuse: pgSTAC has its own tools."""
        raise CatalogReadOnlyError

    def remove_scenes(self, keys: Sequence[tuple[str, str]]) -> int:  # noqa: ARG002 - it is refused
        """Refuse: pgSTAC has its own tools."""
        raise CatalogReadOnlyError

    @property
    def _own(self) -> SqlCatalog:
        return SqlCatalog(self.engine)

    def _understood(self, text: str | None, collection: Collection | None) -> dict[str, Any] | None:
        try:
            return (
                None
                if text is None or collection is None
                else self.understanding.item(json.loads(text), collection)
            )
        except BROKEN:
            return None


def _collections_since(since: int) -> sa.Select[tuple[str, str | None]]:
    table = followed_collections.c
    query = sa.select(table.id, table.document).where(table.sequence > since)
    return query.where(table.document.is_not(None)) if since == 0 else query


def _scenes_since(
    connection: sa.Connection, since: int
) -> tuple[Gathering, list[tuple[str, str]], dict[tuple[str, str], SceneUnreadableError]]:
    """Read what became of scenes: those that are there, keys of those that are gone, and what is wrong."""
    table = followed_scenes.c
    query = sa.select(table.collection_id, table.id, table.sequence, table.summary, table.reason).where(
        table.sequence > since
    )
    if since == 0:
        query = query.where(sa.or_(table.summary.is_not(None), table.reason.is_not(None)))
    gathering = Gathering()
    gone: list[tuple[str, str]] = []
    broken: dict[tuple[str, str], SceneUnreadableError] = {}
    for collection_id, scene_id, sequence, data, reason in connection.execute(query):
        summary = None if data is None else summary_from(data)
        if summary is not None:
            gathering.add(sequence, summary, data)
        elif data is None and reason is None:
            gone.append((collection_id, scene_id))
        else:
            error = SceneUnreadableError(scene_id)
            error.__cause__ = IngestError(
                reason or "its summary is of another version: start the server anew"
            )
            broken[collection_id, scene_id] = error
    return gathering, gone, broken
