"""Imports STAC items into the catalogue, batch by batch; safe to repeat, and to interrupt between batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from mosaics.catalog.base import CatalogWriter, NewScene, Put
from mosaics.errors import IngestError, NameTakenError
from mosaics.ingest.item_files import comes_in_parts
from mosaics.ingest.preparing import Begin, Chunk, Found, Preparing, Ready, Refusal, Task, Wish
from mosaics.ingest.second_process import SecondProcess
from mosaics.ingest.whole_items import check_outlines
from mosaics.models import Collection, Text

_MOST_REASONS: Final = 20
_LARGE_BYTES: Final = 40_000_000
"""Of a file that is worth a second process: starting it takes about a second."""
_MOST_TOLD: Final = 200
"""Licences of one wish, which fits into a pipe that nobody reads yet."""


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

    def refuse(self, refusal: Refusal) -> None:
        """Note one that is not imported."""
        self.refused += 1
        if len(self.reasons) < _MOST_REASONS:
            self.reasons.append(refusal)


@dataclass(kw_only=True)
class Importing:
    """Imports files of items; made anew for each run."""

    catalog: CatalogWriter
    task: Task
    """What is asked for."""
    second: SecondProcess | None = None
    """Prepares large files as soon as it is ready, while this one writes; None: all is done here."""
    report: Report = field(default_factory=Report)
    _known: dict[str, str | None] = field(default_factory=dict)
    """Licences of the collections that are there."""
    _untold: dict[str, str] = field(default_factory=dict)
    """Those that whoever prepares has not heard of."""
    _packs: bool = True
    """Whether the last batch was new for the better part."""

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
        for chunk in self._chunks(path):
            self._write(chunk)
            progress(chunk.done, self.report)
            if chunk.error:
                raise IngestError(chunk.error)

    def _chunks(self, path: Path) -> Iterator[Chunk]:
        """Prepare a file here, and let the second process go on where this one is when that is ready."""
        here, second = Preparing(self.task, Begin(path=path)), self._second_for(path)
        self._tell_all()
        while second is None or not second.is_ready():
            chunk = here.take(self._wish())
            yield chunk
            if chunk.is_last:
                return
        self._tell_all()
        second.begin(Begin(path=path, passed=here.passed), self._wish())
        del here
        while True:
            chunk = second.take(self._wish())
            yield chunk
            if chunk.is_last:
                return

    def _second_for(self, path: Path) -> SecondProcess | None:
        """Start the second process where it is worth it; of a document both would hold all."""
        if self.second is None or path.stat().st_size < _LARGE_BYTES or not comes_in_parts(path):
            return None
        self.second.start()
        return self.second

    def _tell_all(self) -> None:
        self._untold = {key: licence for key, licence in self._known.items() if licence is not None}

    def _wish(self) -> Wish:
        told = dict(islice(self._untold.items(), _MOST_TOLD))
        for collection_id in told:
            del self._untold[collection_id]
        return Wish(licences=told, packs=self._packs)

    def _write(self, chunk: Chunk) -> None:
        """Write what was prepared; what hangs on the catalogue is done here."""
        batch: list[Ready] = []
        for step in chunk.steps:
            if isinstance(step, Refusal):
                self.report.refuse(step)
                continue
            try:
                if isinstance(step, Found):
                    self._make(step.collection)
                else:
                    batch.append(self._licensed(step))
            except NameTakenError as error:
                named = step.collection.id if isinstance(step, Found) else step.scene.key[1]
                self.report.refuse(Refusal(place=step.place, scene_id=named, reason=str(error)))
        if not batch:
            return
        puts = self.catalog.put_scenes([ready.scene for ready in batch], check_outlines)
        for ready, put in zip(batch, puts, strict=True):
            self._count(ready, put)
        self._packs = 2 * sum(put.status == "unchanged" for put in puts) < len(puts)

    def _licensed(self, ready: Ready) -> Ready:
        """Give a scene under the licence it is to have, once its collection is there.

        Raises:
            NameTakenError: If a mosaic has the id of its collection.
        """
        collection_id, licence_id = ready.scene.key[0], ready.licence_id
        self._make_new(collection_id)
        if ready.inherits and self._known[collection_id] != licence_id:
            licence_id, item = self._known[collection_id], ready.scene.item
            item["properties"].pop("license", None)
            if licence_id is not None:
                item["properties"]["license"] = licence_id
            ready = ready._replace(scene=NewScene.of(item, ready.scene.digest), licence_id=licence_id)
        if licence_id:
            self.report.licences.add(licence_id)
        return ready

    def _make_new(self, collection_id: str) -> None:
        """Make the collection of an item, if it is not there."""
        if collection_id not in self._known:
            text = Text(fr=collection_id, en=collection_id)
            nothing = Text(fr="", en="")
            self._make(
                Collection(id=collection_id, title=text, description=nothing, licence_id=self.task.licence_id)
            )

    def _make(self, collection: Collection) -> None:
        """Make a collection; one that is there stays as it is."""
        held = self.catalog.collection(collection.id)
        if held is None:
            self.catalog.put_collection(collection)
            self.report.made.append(collection.id)
        licence_id = self._known[collection.id] = (held or collection).licence_id
        if licence_id is not None:
            self._untold[collection.id] = licence_id

    def _count(self, ready: Ready, put: Put) -> None:
        report, (collection_id, scene_id) = self.report, ready.scene.key
        if put.status == "added":
            report.added += 1
        elif put.status == "replaced":
            report.replaced += 1
        elif put.status == "unchanged":
            report.unchanged += 1
        else:
            report.refuse(Refusal(place=ready.place, scene_id=scene_id, reason=_reason(put)))
        if put.status in {"added", "replaced"}:
            report.touched.add(collection_id)


def _reason(put: Put) -> str:
    """Say why a scene was not written."""
    if put.holder is not None:
        return f"the same content is {':'.join(put.holder)} already"
    cause = None if put.error is None else put.error.__cause__
    return str(cause) if isinstance(cause, IngestError) else f"it lacks what a scene needs: {cause!r}"
