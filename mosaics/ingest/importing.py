"""Imports STAC items into the catalogue, batch by batch; safe to repeat, and to interrupt between batches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mosaics.catalog.base import CatalogWriter, NewScene, Put
from mosaics.errors import IngestError, NameTakenError
from mosaics.ingest.collection_documents import collection_from_document
from mosaics.ingest.foreign import Completing
from mosaics.ingest.item_files import Entry, read_items
from mosaics.ingest.naming import check_collection_id
from mosaics.ingest.whole_items import check_outlines, whole_item
from mosaics.models import Collection, Text

_BATCH: Final = 400
"""Scenes of one transaction: some hundredths of a second, in which no other writer gets in."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MOST_REASONS: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An item that is not imported."""

    place: str
    """Where it stands, such as `items.ndjson, line 12`."""
    scene_id: str | None
    """Its id, if it has one."""
    reason: str
    """Why."""


@dataclass(kw_only=True, slots=True)
class Report:
    """What became of the items so far."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    refused: int = 0
    reasons: list[Refusal] = field(default_factory=list)
    """Of the first that were refused."""
    made: list[str] = field(default_factory=list)
    """Collections that were not there before."""
    touched: set[str] = field(default_factory=set)
    """Collections of the scenes that are new or other than they were."""
    licences: set[str] = field(default_factory=set)
    """Ids of licences that items are under."""

    @property
    def done(self) -> int:
        """Items that were dealt with."""
        return self.added + self.replaced + self.unchanged + self.refused

    def refuse(self, place: str, scene_id: Any, reason: str) -> None:
        """Note one that is not imported."""
        self.refused += 1
        if len(self.reasons) < _MOST_REASONS:
            named = scene_id if isinstance(scene_id, str) else None
            self.reasons.append(Refusal(place=place, scene_id=named, reason=reason))


@dataclass(kw_only=True)
class Importing:
    """Imports files of items; made anew for each run."""

    catalog: CatalogWriter
    completing: Completing
    """Completes foreign items, and knows where files may lie."""
    collection_id: str | None = None
    """Collection of all items; None: the one that each names."""
    licence_id: str | None = None
    """Licence of all items; None: our own keep theirs, others have that of their collection."""
    report: Report = field(default_factory=Report)
    _known: dict[str, str | None] = field(default_factory=dict)
    """Licences of the collections that are there."""
    _batch: list[tuple[str, NewScene]] = field(default_factory=list)

    def run(self, path: Path, progress: Callable[[float, Report], None]) -> None:
        """Import a file.

        Whoever interrupts it, or ends the process, leaves whole batches in the catalogue; the same again goes
        through what is there quickly, and on.

        Args:
            path: See `read_items`.
            progress: Called after each batch, with how much of the file is done (0 to 1).

        Raises:
            IngestError: If the file can't be read further; what was read before is imported.
            CatalogUnavailableError: If the catalogue does not answer.
        """
        start = path.parent.resolve()
        try:
            for entry in read_items(path):
                self._take(entry, f"{path.name}, {entry.place}", start)
                if len(self._batch) >= _BATCH:
                    self._write()
                    progress(entry.done, self.report)
        except IngestError:
            self._write()
            raise
        self._write()
        progress(1.0, self.report)

    def _take(self, entry: Entry, place: str, start: Path) -> None:
        if entry.document is None:
            self.report.refuse(place, None, entry.reason)
            return
        try:
            if entry.document["type"] == "Collection":
                if self.collection_id is None:
                    self._make(collection_from_document(entry.document))
            else:
                self._batch.append((place, self._scene(entry.document, start)))
        except (IngestError, NameTakenError) as error:
            self.report.refuse(place, entry.document.get("id"), str(error))
        except (
            ArithmeticError,
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
        ) as error:  # whatever else others wrote
            self.report.refuse(place, entry.document.get("id"), f"it can't be understood: {error!r}")

    def _scene(self, document: Mapping[str, Any], start: Path) -> NewScene:
        """Make what is written of an item.

        Raises:
            IngestError: If it can't be imported.
        """
        item, whole = whole_item(document, self.completing, start)
        collection_id = self.collection_id or item.get("collection")
        if collection_id is None:
            raise IngestError("it names no collection: name one with --collection")
        item["collection"] = collection_id
        properties = item["properties"]
        if check_collection_id(str(collection_id)) != collection_id:
            raise IngestError("its collection is no word")
        self._make_new(collection_id)
        if self.licence_id is not None:
            properties["license"] = self.licence_id
        elif not whole and self._known[collection_id] is not None:
            properties["license"] = self._known[collection_id]
        if properties.get("license"):
            self.report.licences.add(properties["license"])
        digest = properties.get("flux:digest")
        known = isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None
        return NewScene(collection_id=collection_id, item=item, digest=digest if known else None)

    def _make_new(self, collection_id: str) -> None:
        """Make the collection of an item, if it is not there."""
        if collection_id not in self._known:
            text = Text(fr=collection_id, en=collection_id)
            nothing = Text(fr="", en="")
            self._make(
                Collection(id=collection_id, title=text, description=nothing, licence_id=self.licence_id)
            )

    def _make(self, collection: Collection) -> None:
        """Make a collection; one that is there stays as it is."""
        held = self.catalog.collection(collection.id)
        if held is None:
            self.catalog.put_collection(collection)
            self.report.made.append(collection.id)
        self._known[collection.id] = (held or collection).licence_id

    def _write(self) -> None:
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        puts = self.catalog.put_scenes([scene for _, scene in batch], check_outlines)
        for (place, scene), put in zip(batch, puts, strict=True):
            self._count(place, scene, put)

    def _count(self, place: str, scene: NewScene, put: Put) -> None:
        report = self.report
        if put.status == "added":
            report.added += 1
        elif put.status == "replaced":
            report.replaced += 1
        elif put.status == "unchanged":
            report.unchanged += 1
        elif put.holder is not None:
            report.refuse(place, scene.key[1], f"the same content is {':'.join(put.holder)} already")
        else:
            cause = None if put.error is None else put.error.__cause__
            said = str(cause) if isinstance(cause, IngestError) else f"it lacks what a scene needs: {cause!r}"
            report.refuse(place, scene.key[1], said)
        if put.status in {"added", "replaced"}:
            report.touched.add(scene.collection_id)
