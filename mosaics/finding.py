"""Finds layers: what of the catalogue goes by a name, as far as a filter leaves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mosaics.catalog.index import CatalogIndex, Part
from mosaics.catalog.table import Rows
from mosaics.errors import LayerNotFoundError
from mosaics.filters import SceneFilter
from mosaics.layer_part import LayerPart
from mosaics.layers import Layer
from mosaics.models import Collection
from mosaics.mosaic import Mosaic
from mosaics.stretch import Stretch
from mosaics.told import Told


def find_layer(index: CatalogIndex, layer_id: str, scene_filter: SceneFilter) -> Layer:
    """Give the layer as the filter leaves it.

    Args:
        index: The catalogue.
        layer_id: The id of a collection or of a named mosaic, or `collection:scene`.
        scene_filter: What the caller may see.

    Raises:
        LayerNotFoundError: If there is no such layer, or the filter leaves nothing of it.
    """
    name, colon, scene_id = layer_id.partition(":")
    collection = index.collections.get(name)
    if collection is not None:
        parts = _parts(
            index, scene_filter, lambda p: p.row_of(name, scene_id) if colon else p.of_collection(name)
        )
    elif name in index.mosaics and not colon:
        return mosaic_layer(index, index.mosaics[name], scene_filter)
    else:
        parts = ()
    if collection is None or not parts:
        raise LayerNotFoundError(layer_id)
    if not colon:
        return _collection_layer(index, name, parts, scene_filter)
    return Layer(id=layer_id, collection=collection, parts=parts, single=True, rights=scene_filter.digest)


def _collection_layer(
    index: CatalogIndex,
    name: str,
    parts: tuple[LayerPart, ...],
    scene_filter: SceneFilter,
    among: tuple[Told, int] | None = None,
) -> Layer:
    return Layer(
        id=name,
        collection=index.collections[name],
        parts=parts,
        single=False,
        rights=scene_filter.digest,
        standing=index.standing(name),
        stretch=_stretch(index, name),
        among=among,
    )


def mosaic_layer(index: CatalogIndex, mosaic: Mosaic, scene_filter: SceneFilter) -> Layer:
    """Give the layer that a named mosaic is, as the filter leaves it.

    Raises:
        LayerNotFoundError: If the filter leaves nothing of it.
    """
    parts = _parts_of_mosaic(index, mosaic, scene_filter)
    if not parts:
        raise LayerNotFoundError(mosaic.id)
    return _mosaic_layer(index, mosaic, parts, scene_filter)


def _parts_of_mosaic(index: CatalogIndex, mosaic: Mosaic, scene_filter: SceneFilter) -> tuple[LayerPart, ...]:
    return _parts(index, scene_filter, lambda part: part.selected_by(mosaic.where))


def _mosaic_layer(
    index: CatalogIndex,
    mosaic: Mosaic,
    parts: tuple[LayerPart, ...],
    scene_filter: SceneFilter,
    among: tuple[Told, int] | None = None,
) -> Layer:
    return Layer(
        id=mosaic.id,
        collection=Collection(
            id=mosaic.id,
            title=mosaic.title,
            description=mosaic.description,
            attribution=mosaic.attribution,
        ),
        parts=parts,
        single=False,
        rights=scene_filter.digest,
        stretch=_stretch(index, mosaic.id, mosaic),
        mosaic=mosaic,
        standing=index.standing(mosaic.id),
        attributions={id_: each.attribution for id_, each in index.collections.items()},
        among=among,
    )


def _stretch(index: CatalogIndex, layer_id: str, mosaic: Mosaic | None = None) -> Stretch | None:
    """Give the range of values of a collection or a mosaic; None: each scene has its own."""
    if mosaic is not None and mosaic.stretch == "scene":
        return None
    found = index.stretches.get(layer_id)
    if mosaic is not None and mosaic.ranges:
        ranges = tuple((name, each.low, each.high) for name, each in sorted(mosaic.ranges.items()))
        return replace(found or Stretch(), ranges=ranges)
    return None if found is None or found.each else found


def visible_layers(index: CatalogIndex, scene_filter: SceneFilter) -> frozenset[str]:
    """Give the ids of the collections and named mosaics of which the filter leaves something."""
    found: set[str | None] = set()
    for part in index.parts:
        codes, values = part.table.words("collection")
        held = codes[part.seen_by(scene_filter).rows]
        found.update(values[code] for code in np.flatnonzero(np.bincount(held)))
    mosaics = (
        id_
        for id_, mosaic in index.mosaics.items()
        if any(
            len(part.seen_by(scene_filter).among(part.selected_by(mosaic.where)).rows) for part in index.parts
        )
    )
    return frozenset(id_ for id_ in found if id_ in index.collections) | frozenset(mosaics)


def list_layers(index: CatalogIndex, scene_filter: SceneFilter) -> tuple[Layer, ...]:
    """Give the collections and named mosaics of which the filter leaves something, ordered by id."""
    found = _parts_of_collections(index, scene_filter)
    for id_, mosaic in index.mosaics.items():
        if id_ not in index.collections and (parts := _parts_of_mosaic(index, mosaic, scene_filter)):
            found[id_] = parts
    ids = sorted(found)
    told = Told([found[id_] for id_ in ids])
    return tuple(
        _collection_layer(index, id_, found[id_], scene_filter, (told, number))
        if id_ in index.collections
        else _mosaic_layer(index, index.mosaics[id_], found[id_], scene_filter, (told, number))
        for number, id_ in enumerate(ids)
    )


def _parts_of_collections(index: CatalogIndex, scene_filter: SceneFilter) -> dict[str, tuple[LayerPart, ...]]:
    """Give the parts of all collections of which the filter leaves something."""
    found: dict[str, tuple[LayerPart, ...]] = {}
    for part in index.parts:
        seen = part.seen_by(scene_filter)
        codes, values = part.table.words("collection")
        for code, some in seen.grouped(codes[seen.rows]):
            id_ = str(values[code])
            if id_ in index.collections:
                found[id_] = (*found.get(id_, ()), LayerPart(part=part, seen=some))
    return found


def _parts(
    index: CatalogIndex, scene_filter: SceneFilter, rows_of: Callable[[Part], Rows]
) -> tuple[LayerPart, ...]:
    parts = []
    for part in index.parts:
        rows = rows_of(part)
        seen = part.seen_by(scene_filter).among(rows) if len(rows) else None
        if seen is not None and len(seen.rows):
            parts.append(LayerPart(part=part, seen=seen))
    return tuple(parts)
