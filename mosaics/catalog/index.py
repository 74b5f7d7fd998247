"""The catalogue as a worker holds it: in memory, frozen, swapped whole when something changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import shapely
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from mosaics.catalog.base import Changes
from mosaics.models import Collection, Scene
from mosaics.mosaic import Mosaic

SceneMaker = Callable[[dict[str, Any], int], Scene | None]
"""Makes a scene of a STAC item and its sequence; None: the item is broken, and is left out alone."""


@dataclass(frozen=True, kw_only=True)
class CollectionScenes:
    """The scenes of one collection, newest first, with a spatial index."""

    scenes: tuple[Scene, ...]

    @cached_property
    def kinds(self) -> frozenset[tuple[str | None, str]]:
        """Licence and sensor of each scene, once each."""
        return frozenset((scene.licence_id, scene.sensor_id) for scene in self.scenes)

    @cached_property
    def _tree(self) -> STRtree:
        return STRtree([scene.footprint for scene in self.scenes])

    def meeting(self, area: BaseGeometry) -> tuple[Scene, ...]:
        """Give the scenes whose footprint meets the area (lon/lat), newest first."""
        return tuple(self.scenes[i] for i in sorted(self._tree.query(area, predicate="intersects")))


@dataclass(frozen=True, kw_only=True)
class CatalogIndex:
    """Everything the catalogue holds at one sequence."""

    sequence: int = 0
    collections: dict[str, Collection] = field(default_factory=dict)
    scenes: dict[tuple[str, str], Scene] = field(default_factory=dict)
    """By (collection id, scene id)."""
    mosaics: dict[str, Mosaic] = field(default_factory=dict)
    """Definitions of named mosaics, by id."""
    by_collection: dict[str, CollectionScenes] = field(default_factory=dict)

    def with_changes(self, changes: Changes, scene_from: SceneMaker) -> CatalogIndex:
        """Give the index after the changes; untouched collections keep their spatial index."""
        if changes.sequence == self.sequence:
            return self
        collections = dict(self.collections)
        for collection_id, collection in changes.collections.items():
            if collection is None:
                collections.pop(collection_id, None)
            else:
                collections[collection_id] = collection
        told = self.mosaics | changes.mosaics
        mosaics = {mosaic_id: mosaic for mosaic_id, mosaic in told.items() if mosaic is not None}
        scenes = dict(self.scenes)
        for key, entry in changes.items.items():
            scene = None if entry is None else scene_from(entry[1], entry[0])
            if scene is None:
                scenes.pop(key, None)
            else:
                scenes[key] = scene
        touched = {collection_id for collection_id, _ in changes.items}
        by_collection = {i: group for i, group in self.by_collection.items() if i not in touched}
        for collection_id in touched:
            group = [scene for key, scene in scenes.items() if key[0] == collection_id]
            if group:
                by_collection[collection_id] = CollectionScenes(scenes=newest_first(group))
        return CatalogIndex(
            sequence=changes.sequence,
            collections=collections,
            scenes=scenes,
            mosaics=mosaics,
            by_collection=by_collection,
        )


def newest_first(scenes: Iterable[Scene]) -> tuple[Scene, ...]:
    """Order scenes by acquisition, newest first; undated ones last; then by banking, newest first, and id."""
    return tuple(
        sorted(
            scenes,
            key=lambda s: (-(s.acquired.timestamp() if s.acquired else float("-inf")), -s.sequence, s.id),
        )
    )


def whole_earth() -> BaseGeometry:
    """Give the rectangle of all longitudes and latitudes."""
    return shapely.box(-180, -90, 180, 90)
