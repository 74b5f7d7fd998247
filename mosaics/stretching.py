"""Finds the range of values of a mosaic, when it is made and as it grows."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import numpy as np

from mosaics.catalog.base import CatalogWriter
from mosaics.catalog.index import CatalogIndex
from mosaics.errors import LayerNotFoundError
from mosaics.filters import EVERYTHING
from mosaics.finding import find_layer
from mosaics.layers import Layer
from mosaics.stretch import Stretch, stretch_of

_LOOKED_AT: Final = 500
"""Scenes of a mosaic of which its range is found, evenly chosen."""


def find_stretch(layer: Layer) -> Stretch:
    """Find the range of values of a layer."""
    places = layer.places()
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), _LOOKED_AT)).round().astype(int))
    scenes = (places[place].scene for place in chosen.tolist())
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
