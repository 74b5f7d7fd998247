"""Finds the range of values of a mosaic, when it is made and as it grows."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from mosaics.catalog.base import CatalogWriter
from mosaics.catalog.index import CatalogIndex
from mosaics.errors import LayerNotFoundError, SceneUnreadableError
from mosaics.filters import EVERYTHING
from mosaics.finding import find_layer
from mosaics.item import scene_from_item
from mosaics.layers import Layer
from mosaics.models import Scene
from mosaics.stretch import Stretch, evenly, stretch_of

_LOOKED_AT: Final = 500
"""Scenes of a mosaic of which its range is found, evenly chosen."""
_ANYWHERE: Final = Path("/")
"""Where files lie is nothing to a range."""


def find_stretch(layer: Layer) -> Stretch:
    """Find the range of values of a layer."""
    places = layer.places()
    scenes = (place.scene for place in evenly(places, _LOOKED_AT))
    return stretch_of([scene for scene in scenes if scene is not None], len(places))


def is_due(catalog: CatalogWriter, collection_id: str) -> bool:
    """Tell whether the range of a collection was never found, or it has grown to twice its size since."""
    held = catalog.stretch(collection_id)
    return (held or Stretch()).is_due(catalog.scene_count(collection_id))


def keep_stretch(catalog: CatalogWriter, index: CatalogIndex, layer_id: str) -> None:
    """Find the range of a collection or a named mosaic, and keep it; of one without scenes there is none.

    Args:
        catalog: Where it is kept.
        index: What the catalogue holds.
        layer_id: Its id.
    """
    with suppress(LayerNotFoundError):
        catalog.put_stretch(layer_id, find_stretch(find_layer(index, layer_id, EVERYTHING)))


def keep_stretch_of_items(catalog: CatalogWriter, collection_id: str) -> None:
    """Find the range of a collection of its items alone, where no index of all scenes is at hand; keep it."""
    count = catalog.scene_count(collection_id)
    if count:
        scenes: list[Scene] = []
        for item in catalog.some_items(collection_id, _LOOKED_AT):
            with suppress(SceneUnreadableError):
                scenes.append(scene_from_item(item, root=_ANYWHERE, sequence=0))
        catalog.put_stretch(collection_id, stretch_of(scenes, count))
