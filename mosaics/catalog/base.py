"""What a catalogue store can do; each implementation passes tests/contracts/test_catalog.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, Self

import pydantic_core

from mosaics.catalog.summary import Summary
from mosaics.catalog.table import SceneColumns
from mosaics.errors import SceneUnreadableError
from mosaics.models import Collection
from mosaics.mosaic import Mosaic
from mosaics.stretch import Stretch

MosaicCheck = Callable[[Mosaic | None], None]
"""Is given the mosaic that is there, or None, while nobody else can write; what it raises ends the change."""

SummaryCheck = Callable[[Sequence[Summary]], Sequence[SceneUnreadableError | None]]
"""Is given what the index would hold of some scenes, and gives of each why it is broken, or None."""


def unchecked(_held: Mosaic | None) -> None:
    """Take whatever is there."""


def none_broken(summaries: Sequence[Summary]) -> list[SceneUnreadableError | None]:
    """Take whatever can be read."""
    return [None] * len(summaries)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What became different after a sequence number."""

    sequence: int
    """The newest sequence included."""
    collections: dict[str, Collection | None]
    """Collections by id; None: removed."""
    scenes: SceneColumns
    """Those that are new or other than they were."""
    gone: tuple[tuple[str, str], ...] = ()
    """(collection id, scene id) of those that were removed."""
    broken: dict[tuple[str, str], SceneUnreadableError] = field(default_factory=dict)
    """Why those are left out whose item is broken; they are gone too."""
    stretches: dict[str, Stretch] = field(default_factory=dict)
    """By the id of a collection or a named mosaic."""
    mosaics: dict[str, Mosaic | None] = field(default_factory=dict)
    """Named mosaics by id; None: removed, or written so that it can't be read here."""
    overviews: dict[tuple[str, str], tuple[int, dict[str, Any] | None]] = field(default_factory=dict)
    """Of mosaic overviews by layer and name: sequence and document; no document: removed."""


class NewScene(NamedTuple):
    """A scene that is to be written among others; a tuple, which is sent between processes in less time."""

    key: tuple[str, str]
    """Its collection, which must exist, and its id."""
    text: str
    """Its STAC item, JSON."""
    digest: str | None
    """Of its content; None: not known."""
    summary: bytes | None = None
    """What the index will hold of it, if that was made and checked before; None: the store does so."""

    @classmethod
    def of(cls, item: Mapping[str, Any], digest: str | None) -> Self:
        """Make one of an item that has its id and names its collection.

        Raises:
            ValueError: If it holds what JSON can't say.
        """
        text = pydantic_core.to_json(item).decode()
        return cls(key=(item["collection"], item["id"]), text=text, digest=digest)

    @property
    def item(self) -> Any:
        """Its STAC item, read anew."""
        return pydantic_core.from_json(self.text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Put:
    """What became of a scene that was to be written."""

    status: Literal["added", "replaced", "unchanged", "taken", "broken"]
    """taken: another scene has its content; broken: the item lacks what a scene needs. Neither is written."""
    holder: tuple[str, str] | None = None
    """Key of the scene that has its content."""
    error: SceneUnreadableError | None = None
    """Why it is broken."""


class CatalogReader(Protocol):
    """Feeds the index of a worker."""

    def changes(self, since: int) -> Changes:
        """Give what became different after `since`; 0 gives everything.

        Raises:
            CatalogUnavailableError: If the store does not answer.
        """

    def collections(self) -> dict[str, Collection]:
        """Give all collections, by id."""

    def items(self) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        """Give the STAC item of each scene by its key, one after the other."""


class CatalogWriter(Protocol):
    """What banking needs."""

    def find_by_digest(self, digest: str) -> tuple[str, str] | None:
        """Give (collection id, scene id) of the scene with this content, if there is one."""

    def scene_exists(self, collection_id: str, scene_id: str) -> bool:
        """Tell whether the scene id is taken in the collection."""

    def item(self, collection_id: str, scene_id: str) -> dict[str, Any] | None:
        """Give the STAC item of a scene, if there is one."""

    def scenes_at(self, href: str) -> list[tuple[str, str]]:
        """Give (collection id, scene id) of the scenes whose file lies at an address; reads all items."""

    def collection(self, collection_id: str) -> Collection | None:
        """Give a collection, if there is one."""

    def put_collection(self, collection: Collection) -> None:
        """Add or replace a collection; an equal one again changes nothing.

        Raises:
            NameTakenError: If a mosaic has its id.
        """

    def mosaic(self, mosaic_id: str) -> Mosaic | None:
        """Give a named mosaic, if there is one that can be read."""

    def put_mosaic(self, mosaic: Mosaic, check: MosaicCheck = unchecked) -> None:
        """Add or replace a named mosaic; an equal one again changes nothing.

        Raises:
            NameTakenError: If a collection has its id.
        """

    def remove_mosaic(self, mosaic_id: str, check: MosaicCheck = unchecked) -> bool:
        """Take a named mosaic away; False where there was none."""

    def overviews(self, layer_id: str) -> dict[str, dict[str, Any]]:
        """Give the documents of a layer's mosaic overviews, by name."""

    def put_overview(self, layer_id: str, name: str, document: dict[str, Any]) -> int:
        """Add or replace a mosaic overview, and give its sequence."""

    def remove_overview(self, layer_id: str, name: str) -> bool:
        """Take a mosaic overview away; False where there was none."""

    def scene_count(self, collection_id: str) -> int:
        """Give the number of scenes of a collection."""

    def some_items(self, collection_id: str, most: int) -> list[dict[str, Any]]:
        """Give the STAC items of at most so many scenes of a collection, evenly chosen by their ids."""

    def stretch(self, layer_id: str) -> Stretch | None:
        """Give the range of values of a collection or a named mosaic, if one was kept."""

    def put_stretch(self, layer_id: str, stretch: Stretch) -> None:
        """Keep the range of values of a collection or a named mosaic; an equal one again changes nothing."""

    def put_scene(self, collection_id: str, item: dict[str, Any], digest: str) -> int:
        """Add or replace a scene by its STAC item and give its sequence; the collection must exist."""

    def put_scenes(self, scenes: Sequence[NewScene], check: SummaryCheck = none_broken) -> list[Put]:
        """Add or replace some hundred scenes in one short transaction; an equal one again changes nothing.

        Each that is written has a sequence of its own, ascending in their order. Of several with one key the
        last counts.

        Args:
            scenes: With their items; more at once hold up other writers for longer.
            check: Looks at those that are new or other than they were, some hundred at a time; not at those
                that come with their summary.

        Returns:
            What became of each, in their order.

        Raises:
            KeyError: If a collection does not exist; none is written that is not written yet.
        """

    def remove_scene(self, collection_id: str, scene_id: str) -> bool:
        """Take a scene out of the catalogue (its file stays); False where there was none."""

    def remove_scenes(self, keys: Sequence[tuple[str, str]]) -> int:
        """Take scenes out of the catalogue, some hundred in a transaction, and give how many there were."""


def data_href(item: dict[str, Any]) -> str | None:
    """Give where an item says that its file lies, if it does."""
    try:
        return str(item["assets"]["data"]["href"])
    except (KeyError, TypeError):
        return None


class Catalog(CatalogReader, CatalogWriter, Protocol):
    """A whole store."""
