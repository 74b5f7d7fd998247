"""A catalogue in memory: the twin of the SQL one, for tests and for trying things."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

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
from mosaics.catalog.summary import summary_of
from mosaics.catalog.table import Gathering
from mosaics.errors import NameTakenError, SceneUnreadableError
from mosaics.models import Collection
from mosaics.mosaic import Mosaic
from mosaics.stretch import Stretch, evenly


class MemoryCatalog:
    """A `Catalog` that forgets everything when it goes."""

    def __init__(self) -> None:
        self._sequence = 0
        self._collections: dict[str, tuple[int, Collection]] = {}
        self._mosaics: dict[str, tuple[int, Mosaic | None]] = {}
        self._items: dict[tuple[str, str], tuple[int, dict[str, Any] | None]] = {}
        self._stretches: dict[str, tuple[int, Stretch]] = {}
        self._digests: dict[str, tuple[str, str]] = {}
        self._overviews: dict[tuple[str, str], tuple[int, dict[str, Any] | None]] = {}

    def changes(self, since: int) -> Changes:
        """Give what became different after `since`."""
        gathering, gone, broken = Gathering(), [], {}
        for key, (sequence, item) in self._items.items():
            if sequence <= since:
                continue
            try:
                if item is not None:
                    gathering.add(sequence, summary_of(item))
                elif since > 0:
                    gone.append(key)
            except SceneUnreadableError as error:
                broken[key] = error
        return Changes(
            sequence=self._sequence,
            collections={i: c for i, (n, c) in self._collections.items() if n > since},
            scenes=gathering.done(),
            stretches={i: stretch for i, (n, stretch) in self._stretches.items() if n > since},
            gone=(*gone, *broken),
            broken=broken,
            mosaics={
                i: mosaic
                for i, (n, mosaic) in self._mosaics.items()
                if n > since and not (since == 0 and mosaic is None)
            },
            overviews={
                key: (n, document)
                for key, (n, document) in self._overviews.items()
                if n > since and not (since == 0 and document is None)
            },
        )

    def collections(self) -> dict[str, Collection]:
        """Give all collections."""
        return {i: c for i, (_, c) in self._collections.items()}

    def items(self) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        """Give all items."""
        yield from [(key, item) for key, (_, item) in self._items.items() if item is not None]

    def find_by_digest(self, digest: str) -> tuple[str, str] | None:
        """Give (collection id, scene id) of the scene with this content."""
        return self._digests.get(digest)

    def scene_exists(self, collection_id: str, scene_id: str) -> bool:
        """Tell whether the scene id is taken."""
        return self._items.get((collection_id, scene_id), (0, None))[1] is not None

    def item(self, collection_id: str, scene_id: str) -> dict[str, Any] | None:
        """Give the item of a scene."""
        return self._items.get((collection_id, scene_id), (0, None))[1]

    def scenes_at(self, href: str) -> list[tuple[str, str]]:
        """Give (collection id, scene id) of the scenes whose file lies at an address."""
        return [key for key, (_, item) in self._items.items() if item is not None and data_href(item) == href]

    def collection(self, collection_id: str) -> Collection | None:
        """Give a collection."""
        found = self._collections.get(collection_id)
        return found[1] if found else None

    def put_collection(self, collection: Collection) -> None:
        """Add or replace a collection."""
        if self.mosaic(collection.id) is not None:
            raise NameTakenError(collection.id, "mosaic")
        if self.collection(collection.id) != collection:
            self._sequence += 1
            self._collections[collection.id] = (self._sequence, collection)

    def mosaic(self, mosaic_id: str) -> Mosaic | None:
        """Give a named mosaic."""
        return self._mosaics.get(mosaic_id, (0, None))[1]

    def put_mosaic(self, mosaic: Mosaic, check: MosaicCheck = unchecked) -> None:
        """Add or replace a named mosaic."""
        held = self.mosaic(mosaic.id)
        check(held)
        if self.collection(mosaic.id) is not None:
            raise NameTakenError(mosaic.id, "collection")
        if held != mosaic:
            self._sequence += 1
            self._mosaics[mosaic.id] = (self._sequence, mosaic)

    def remove_mosaic(self, mosaic_id: str, check: MosaicCheck = unchecked) -> bool:
        """Take a named mosaic away."""
        held = self.mosaic(mosaic_id)
        check(held)
        if held is None:
            return False
        self._sequence += 1
        self._mosaics[mosaic_id] = (self._sequence, None)
        return True

    def overviews(self, layer_id: str) -> dict[str, dict[str, Any]]:
        """Give the overviews of a layer."""
        return {
            name: document
            for (layer, name), (_, document) in self._overviews.items()
            if layer == layer_id and document is not None
        }

    def put_overview(self, layer_id: str, name: str, document: dict[str, Any]) -> int:
        """Add or replace an overview."""
        self._sequence += 1
        self._overviews[layer_id, name] = (self._sequence, document)
        return self._sequence

    def remove_overview(self, layer_id: str, name: str) -> bool:
        """Take an overview away."""
        if self._overviews.get((layer_id, name), (0, None))[1] is None:
            return False
        self._sequence += 1
        self._overviews[layer_id, name] = (self._sequence, None)
        return True

    def scene_count(self, collection_id: str) -> int:
        """Give the number of scenes of a collection."""
        return sum(key[0] == collection_id and item is not None for key, (_, item) in self._items.items())

    def some_items(self, collection_id: str, most: int) -> list[dict[str, Any]]:
        """Give the items of some scenes of a collection."""
        held = sorted(
            (key[1], item)
            for key, (_, item) in self._items.items()
            if key[0] == collection_id and item is not None
        )
        return [deepcopy(item) for _, item in evenly(held, most)]

    def stretch(self, layer_id: str) -> Stretch | None:
        """Give the range of values of a mosaic."""
        return self._stretches.get(layer_id, (0, None))[1]

    def put_stretch(self, layer_id: str, stretch: Stretch) -> None:
        """Keep the range of values of a mosaic."""
        if self._stretches.get(layer_id, (0, None))[1] != stretch:
            self._sequence += 1
            self._stretches[layer_id] = (self._sequence, stretch)

    def put_scene(self, collection_id: str, item: dict[str, Any], digest: str) -> int:
        """Add or replace a scene."""
        if collection_id not in self._collections:
            raise KeyError(collection_id)
        self._sequence += 1
        self._forget_digest(collection_id, item["id"])
        self._items[collection_id, item["id"]] = (self._sequence, item)
        self._digests[digest] = (collection_id, item["id"])
        return self._sequence

    def remove_scene(self, collection_id: str, scene_id: str) -> bool:
        """Take a scene out."""
        if not self.scene_exists(collection_id, scene_id):
            return False
        self._sequence += 1
        self._items[collection_id, scene_id] = (self._sequence, None)
        self._forget_digest(collection_id, scene_id)
        return True

    def put_scenes(self, scenes: Sequence[NewScene], check: SummaryCheck = none_broken) -> list[Put]:
        """Add or replace scenes."""
        for scene in scenes:
            if scene.key[0] not in self._collections:
                raise KeyError(scene.key[0])
        return [self._put(scene, check) for scene in scenes]

    def _put(self, scene: NewScene, check: SummaryCheck) -> Put:
        held, holder, item = self.item(*scene.key), self._digests.get(scene.digest or ""), scene.item
        if held == item:
            return Put(status="unchanged")
        try:
            (broken,) = check([summary_of(item)])
        except SceneUnreadableError as error:
            broken = error
        if broken is not None:
            return Put(status="broken", error=broken)
        if holder not in {None, scene.key}:
            return Put(status="taken", holder=holder)
        self._sequence += 1
        self._forget_digest(*scene.key)
        self._items[scene.key] = (self._sequence, item)
        if scene.digest is not None:
            self._digests[scene.digest] = scene.key
        return Put(status="added" if held is None else "replaced")

    def remove_scenes(self, keys: Sequence[tuple[str, str]]) -> int:
        """Take scenes out."""
        return sum(self.remove_scene(*key) for key in keys)

    def _forget_digest(self, collection_id: str, scene_id: str) -> None:
        gone = [d for d, key in self._digests.items() if key == (collection_id, scene_id)]
        for digest in gone:
            del self._digests[digest]
