"""Makes of what stands in a file of items what is written, chunk by chunk; asks no catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from mosaics.catalog.base import NewScene
from mosaics.catalog.bulk import checked_summaries
from mosaics.errors import IngestError
from mosaics.ingest.collection_documents import collection_from_document
from mosaics.ingest.foreign import Completing
from mosaics.ingest.item_files import Entry, read_items
from mosaics.ingest.naming import check_collection_id
from mosaics.ingest.whole_items import check_outlines, whole_item
from mosaics.models import Collection

_MOST_STEPS: Final = 400
"""Of a chunk, whose scenes are one transaction: some hundredths of a second, in which nobody else writes."""
_MOST_CHARACTERS: Final = 8_000_000
"""Of the items of a chunk; one more may be as long as a line."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is asked for, of all files."""

    completing: Completing
    """Completes foreign items, and knows where files may lie."""
    collection_id: str | None = None
    """Collection of all items; None: the one that each names."""
    licence_id: str | None = None
    """Licence of all items; None: our own keep theirs, others have that of their collection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An item that is not imported."""

    place: str
    """Where it stands, such as `items.ndjson, line 12`."""
    scene_id: str | None
    """Its id, if it has one."""
    reason: str
    """Why."""

    @classmethod
    def of(cls, place: str, scene_id: Any, reason: str) -> Refusal:
        """Refuse what may have anything in place of an id."""
        return cls(place=place, scene_id=scene_id if isinstance(scene_id, str) else None, reason=reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A collection that stands in the file."""

    place: str
    """Where."""
    collection: Collection
    """As it stands there."""


class Ready(NamedTuple):
    """A scene that can be written; a tuple, which is sent between processes in less time."""

    place: str
    """Where its item stands."""
    scene: NewScene
    """What is written."""
    licence_id: str | None
    """The licence in it."""
    inherits: bool
    """Whether it is to have the licence of its collection, which may be another than was known."""


Step = Refusal | Found | Ready


@dataclass(frozen=True, kw_only=True, slots=True)
class Begin:
    """Which file comes next."""

    path: Path
    """See `read_items`."""
    passed: int = 0
    """How many entries at its beginning are passed over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What whoever writes knows when it asks for a chunk."""

    licences: Mapping[str, str] = field(default_factory=dict)
    """Of collections, beside those of earlier wishes."""
    packs: bool = True
    """Whether to make summaries: most of what comes is new to the catalogue."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """What comes next of a file."""

    steps: tuple[Step, ...]
    """In its order."""
    done: float
    """How much of the file was read with them, 0 to 1."""
    is_last: bool
    """Whether nothing comes after it."""
    error: str = ""
    """Why the file can't be read further."""


class _Draft(NamedTuple):
    """A scene whose summary is not made yet."""

    ready: Ready
    item: dict[str, Any]


class Preparing:
    """Prepares a file."""

    def __init__(self, task: Task, begin: Begin) -> None:
        """Open nothing yet."""
        self.passed = begin.passed
        """Entries that were passed over or taken."""
        self._task, self._name = task, begin.path.name
        self._start = begin.path.parent.resolve()
        self._entries: Iterator[Entry] = read_items(begin.path, begin.passed)
        self._licences: dict[str, str] = {}

    def take(self, wish: Wish) -> Chunk:
        """Give the next chunk."""
        self._licences.update(wish.licences)
        steps: list[Step | _Draft] = []
        size, done = 0, 1.0
        try:
            for entry in self._entries:
                self.passed += 1
                step = self._step(entry)
                if step is None:
                    continue
                steps.append(step)
                size += len(step.ready.scene.text) if isinstance(step, _Draft) else 0
                if len(steps) == _MOST_STEPS or size > _MOST_CHARACTERS:
                    done = entry.done
                    return Chunk(steps=_finished(steps, packs=wish.packs), done=done, is_last=False)
        except IngestError as error:
            return Chunk(steps=_finished(steps, packs=wish.packs), done=done, is_last=True, error=str(error))
        return Chunk(steps=_finished(steps, packs=wish.packs), done=done, is_last=True)

    def _step(self, entry: Entry) -> Step | _Draft | None:
        """Give what becomes of an entry; None: nothing."""
        place = f"{self._name}, {entry.place}"
        if entry.document is None:
            return Refusal(place=place, scene_id=None, reason=entry.reason)
        try:
            if entry.document["type"] != "Collection":
                return self._draft(entry.document, place)
            if self._task.collection_id is not None:
                return None
            return Found(place=place, collection=collection_from_document(entry.document))
        except IngestError as error:
            return Refusal.of(place, entry.document.get("id"), str(error))
        except (
            ArithmeticError,
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
        ) as error:  # whatever else others wrote
            return Refusal.of(place, entry.document.get("id"), f"it can't be understood: {error!r}")

    def _draft(self, document: Mapping[str, Any], place: str) -> _Draft:
        """Make what is written of an item.

        Raises:
            IngestError: If it can't be imported.
        """
        task = self._task
        item, whole = whole_item(document, task.completing, self._start)
        collection_id = task.collection_id or item.get("collection")
        if collection_id is None:
            raise IngestError("it names no collection: name one with --collection")
        item["collection"] = collection_id
        if check_collection_id(str(collection_id)) != collection_id:
            raise IngestError("its collection is no word")
        properties = item["properties"]
        inherits = task.licence_id is None and not whole
        licence_id = self._licences.get(collection_id) if inherits else task.licence_id
        if licence_id is not None:
            properties["license"] = licence_id
        digest = properties.get("flux:digest")
        known = isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None
        ready = Ready(
            place=place,
            scene=NewScene.of(item, digest if known else None),
            licence_id=properties.get("license"),
            inherits=inherits,
        )
        return _Draft(ready=ready, item=item)


def _finished(steps: Sequence[Step | _Draft], *, packs: bool) -> tuple[Step, ...]:
    """Make the summaries of what can be written; a broken one is left to the store, which finds out why."""
    items = [step.item for step in steps if isinstance(step, _Draft)]
    summaries = iter(checked_summaries(items, check_outlines) if packs and items else ())
    return tuple(
        _packed(step.ready, next(summaries, None)) if isinstance(step, _Draft) else step for step in steps
    )


def _packed(ready: Ready, summary: object) -> Ready:
    if not isinstance(summary, bytes):
        return ready
    place, (key, text, digest, _), licence_id, inherits = ready
    return Ready(place, NewScene(key, text, digest, summary), licence_id, inherits)
