"""What is to be seeded: as whom, of which layer, and which tiles that are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from auth.credentials import principal_of
from auth.decision import ANONYMOUS, Principal, PrincipalKind
from auth.errors import UnknownIdError
from auth.models import PUBLIC, Action
from auth.policy import decide
from auth.snapshot import PolicySnapshot
from mosaics.catalog.index import CatalogIndex
from mosaics.errors import LayerNotFoundError
from mosaics.filters import EVERYTHING, SceneFilter
from mosaics.finding import find_layer
from mosaics.grids import Grid
from mosaics.layers import Layer, TimeSpan
from mosaics.tile_walk import ZoomTiles, tiles_on
from mosaics.zooms import zoom_range
from server.access import scene_filter
from server.pipeline import TileRequest


class TooManyTilesError(ValueError):
    """More tiles than were allowed."""

    def __init__(self, count: int, zoom: int, most: int) -> None:
        super().__init__(
            f"up to zoom {zoom} there are {count} tiles already, and {most} are allowed: name an area or "
            "fewer zooms, or say --yes"
        )
        self.count = count
        """Up to the zoom at which counting ended."""


class NothingToSeedError(ValueError):
    """No tile has anything on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Viewer:
    """As whom tiles are made."""

    label: str
    """`everything`, `institution:ID`, `key:ID` or `public`."""
    opened: SceneFilter
    """What they may see."""


OPERATOR: Final = Viewer(label="everything", opened=EVERYTHING)
"""Sees all that is banked."""


class Place(NamedTuple):
    """Where a tile is in its grid."""

    z: int
    x: int
    y: int


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Plan:
    """Tiles to be made of a layer as somebody sees it."""

    layer: Layer
    viewer: Viewer
    grid: Grid
    template: TileRequest
    """The request that each tile answers, but for its place."""
    tiles: tuple[ZoomTiles, ...]
    """By zoom, the coarsest first; a tile may still prove empty."""

    def __len__(self) -> int:
        """Give the number of tiles."""
        return sum(len(each) for each in self.tiles)

    def request(self, place: Place) -> TileRequest:
        """Give the request of a tile."""
        return replace(self.template, z=place.z, x=place.x, y=place.y)

    def batches(self, most: int) -> Iterator[tuple[Place, ...]]:
        """Give all tiles, so many at once, neighbours together: their blocks are decoded once."""
        for each in self.tiles:
            for begin in range(0, len(each), most):
                part = slice(begin, begin + most)
                pairs = zip(each.columns[part].tolist(), each.rows[part].tolist(), strict=True)
                yield tuple(Place(each.zoom, x, y) for x, y in pairs)


def viewer_of_institution(
    snapshot: PolicySnapshot, institution_id: str, action: Action, now: datetime
) -> Viewer:
    """Give what is open to an institution for an action; `public`: to everybody.

    Rights that hold only from some network or web site open nothing here.

    Raises:
        UnknownIdError: If there is no such institution.
    """
    if institution_id == PUBLIC:
        return _viewer(snapshot, ANONYMOUS, PUBLIC, action, now)
    if institution_id not in snapshot.institutions:
        raise UnknownIdError("institution", institution_id)
    principal = Principal(kind=PrincipalKind.INSTITUTION, institution_id=institution_id)
    return _viewer(snapshot, principal, f"institution:{institution_id}", action, now)


def viewer_of_key(snapshot: PolicySnapshot, key_id: str, action: Action, now: datetime) -> Viewer:
    """Give what is open to a key for an action.

    Raises:
        UnknownIdError: If there is no such key.
        CredentialInvalidError: If it is dead; its leaves say how.
    """
    key = snapshot.keys.get(key_id)
    if key is None:
        raise UnknownIdError("key", key_id)
    return _viewer(snapshot, principal_of(snapshot, key, now), f"key:{key_id}", action, now)


def _viewer(
    snapshot: PolicySnapshot, principal: Principal, label: str, action: Action, now: datetime
) -> Viewer:
    return Viewer(label=label, opened=scene_filter(decide(snapshot, principal, action, now)))


def seen_layer(index: CatalogIndex, viewer: Viewer, layer_id: str) -> Layer:
    """Give a layer as somebody sees it.

    Raises:
        NothingToSeedError: If there is none, or they may see nothing of it.
    """
    try:
        return find_layer(index, layer_id, viewer.opened)
    except LayerNotFoundError as error:
        raise NothingToSeedError(
            f"there is no layer {layer_id}, or nothing of it is open to {viewer.label}: grants open tiles by "
            "the action tile, files by export"
        ) from error


def make_plan(
    layer: Layer,
    viewer: Viewer,
    grid: Grid,
    template: TileRequest,
    *,
    zooms: tuple[int | None, int | None],
    area: BaseGeometry | None,
    most: int | None,
) -> Plan:
    """Find the tiles on which something of a layer lies that somebody may see.

    Args:
        layer: As they see it.
        viewer: As whom.
        grid: Of `template.tms_id`.
        template: The request of each tile; its place means nothing.
        zooms: The first and the last; None: where the layer's own begin or end.
        area: Tiles must touch it, longitude and latitude; None: any.
        most: Tiles that are allowed; None: any number.

    Raises:
        TimeNotFoundError, StyleNotFoundError: See their names.
        NothingToSeedError: If no tile has anything on it.
        TooManyTilesError: If there are more.
    """
    layer.style_id(template.style)
    first, last = _zooms(grid, layer, zooms)
    outlines = _outlines(layer, layer.span(template.time))
    tiles, count = [], 0
    for each in tiles_on(grid, outlines, area, (first, last)):
        tiles.append(each)
        count += len(each)
        if most is not None and count > most:
            raise TooManyTilesError(count, each.zoom, most)
    if not count:
        raise NothingToSeedError(f"nothing of {layer.id} lies in the area, in {grid.id}")
    return Plan(layer=layer, viewer=viewer, grid=grid, template=template, tiles=tuple(tiles))


def _zooms(grid: Grid, layer: Layer, wanted: tuple[int | None, int | None]) -> tuple[int, int]:
    coarsest, finest = zoom_range(grid, layer)
    first = coarsest if wanted[0] is None else wanted[0]
    last = finest if wanted[1] is None else wanted[1]
    if not grid.minzoom <= first <= last <= grid.maxzoom:
        raise NothingToSeedError(
            f"zooms {first} to {last} are none: {grid.id} has {grid.minzoom} to {grid.maxzoom}, and "
            f"{layer.id} is shown there from {coarsest} to {finest}"
        )
    return first, last


def _outlines(layer: Layer, span: TimeSpan) -> NDArray[Any]:
    """Give the outlines of what is open of the scenes that were acquired in a span, as far as boxes tell."""
    found = []
    for part in layer.parts:
        there = span.flags(part.numbers("datetime"))
        rows, extents = part.seen.rows[there], part.seen.extents[there]
        outlines = part.table.footprints(rows)
        cut = np.flatnonzero((extents != part.table.bounds[rows]).any(axis=1))
        outlines[cut] = shapely.intersection(outlines[cut], shapely.box(*extents[cut].T))
        found.append(outlines)
    return np.concatenate(found)
