"""Which overviews a layer should have: of which scenes each is, and how fine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mosaics.catalog.overview import BucketKey, Overview, period_of
from mosaics.catalog.table import Rows, SceneTable
from mosaics.geodesy import METRES_PER_DEGREE
from mosaics.grids import Grid
from mosaics.layers import Layer
from mosaics.models import Scene
from mosaics.ordering import Place, in_order

MOST_FILES: Final = 24
"""Files that a layer's overviews may have over one place: 8 of the 32 of a tile are left to scenes."""
FEWEST_SCENES: Final = 32
"""A layer of no more needs no overviews: any tile can be made of all its scenes."""
_ACROSS: Final = 4
"""Scenes of the usual size that lie side by side on a tile of the overviews' finest zoom."""
_LENGTHS: Final = ("month", "quarter", "year", "all")
_BY_TIME: Final = frozenset({"most-recent", "oldest"})
_HIGHEST: Final = 85.0
"""Degrees of latitude to which Web Mercator reaches."""
_WIDEST: Final = 180.0
"""Degrees beyond which a box is one of a scene across the antimeridian."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """Scenes that become one overview."""

    key: BucketKey
    form: str
    """Digest of what else they must share: units and scales of bands, palette, other files."""
    members: tuple[Place, ...]
    """In the layer's order."""

    @property
    def name(self) -> str:
        """Of the overview, within its layer."""
        digest = hashlib.blake2b(repr((self.key, self.form)).encode(), digest_size=6).hexdigest()
        return f"{self.key.period}.{digest}"

    @property
    def tokens(self) -> NDArray[np.uint64]:
        """Of its members, in their order."""
        return np.array([place.table.tokens[place.row] for place in self.members], np.uint64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The overviews that a layer should have."""

    zoom: int
    """Of the grid, whose pixels are theirs."""
    buckets: tuple[Bucket, ...]
    """Ordered by name."""
    left_out: int
    """Scenes across the antimeridian or near a pole, which are in none."""


def plan_of(layer: Layer, grid: Grid, before: Sequence[Overview] = ()) -> Plan:
    """Say which overviews a layer should have.

    Zoom and length of periods stay what they were while they are right but for a level, or as long as the
    files are few enough: otherwise one more scene could mean to make everything anew.

    Args:
        layer: All its scenes.
        grid: Web Mercator.
        before: The overviews that it has.
    """
    kept = [(part.table, _placeable(part.table, part.seen.rows)) for part in layer.parts]
    count = sum(len(rows) for _, rows in kept)
    left_out = len(layer) - count
    if count <= FEWEST_SCENES:
        return Plan(zoom=0, buckets=(), left_out=left_out)
    zoom = grid.zoom_for_cell(_side(kept) * _ACROSS / grid.tile_size)
    zooms = {overview.zoom for overview in before}
    if len(zooms) == 1 and abs(zoom - min(zooms)) <= 1:
        zoom = min(zooms)
    groups: dict[tuple[str, ...], list[tuple[Place, Scene]]] = {}
    for place in in_order(kept, None, layer.order):
        scene = place.scene
        if scene is not None:
            groups.setdefault((*_words(place), form_of(scene)), []).append((place, scene))
    is_by_time = layer.mosaic is None or layer.mosaic.order.rule in _BY_TIME
    length = _length(groups, before, files_each=1 if is_by_time and len(groups) == 1 else 2)
    buckets: dict[tuple[BucketKey, str], list[Place]] = {}
    for (*words, form), held in groups.items():
        for place, scene in held:
            key = BucketKey(*_absent(words), period=period_of(scene.acquired, length))
            buckets.setdefault((key, form), []).append(place)
    made = (Bucket(key=key, form=form, members=tuple(held)) for (key, form), held in buckets.items())
    return Plan(zoom=zoom, buckets=tuple(sorted(made, key=lambda each: each.name)), left_out=left_out)


def form_of(scene: Scene) -> str:
    """Digest what scenes of one look must share besides, to be one file in their stead."""
    bands = [(band.unit, band.scale, band.offset) for band in scene.bands]
    others = [[(b.name, b.common_name, b.data_type) for b in other.bands] for other in scene.others]
    return hashlib.blake2b(repr((bands, others, scene.colormap)).encode(), digest_size=6).hexdigest()


_ABSENT: Final = "\x00"


def _words(place: Place) -> list[str]:
    names = ("collection", "license", "flux:sensor", "look")
    return [place.table.word(name, place.row) or _ABSENT for name in names]


def _absent(words: Sequence[str]) -> tuple[str, str | None, str | None, str]:
    collection, licence, sensor, look = words
    return collection, None if licence == _ABSENT else licence, None if sensor == _ABSENT else sensor, look


def _placeable(table: SceneTable, rows: Rows) -> Rows:
    west, south, east, north = table.bounds[rows].T
    with np.errstate(invalid="ignore"):
        fit: NDArray[np.bool_] = (south > -_HIGHEST) & (north < _HIGHEST) & (east - west < _WIDEST)
    return rows[fit]


def _side(kept: Sequence[tuple[SceneTable, Rows]]) -> float:
    """Give the usual side of a scene's box, metres of Web Mercator."""
    west, south, east, north = np.concatenate([table.bounds[rows] for table, rows in kept]).T
    stretch = 1 / np.cos(np.radians((south + north) / 2))
    sides = np.sqrt(np.maximum((east - west) * (north - south) * stretch, 1e-12)) * METRES_PER_DEGREE
    return float(np.median(sides))


def _length(
    groups: dict[tuple[str, ...], list[tuple[Place, Scene]]], before: Sequence[Overview], files_each: int
) -> str:
    """Give the shortest length of periods that makes few enough files, or what it was if it still does."""
    counts = {
        length: len({(key, period_of(s.acquired, length)) for key, held in groups.items() for _, s in held})
        for length in _LENGTHS
    }
    known = {length for length in _LENGTHS if any(_is_of(each.key.period, length) for each in before)}
    fitting = [length for length in _LENGTHS if counts[length] * files_each <= MOST_FILES]
    if len(known) == 1 and known <= set(fitting):
        return known.pop()
    return fitting[0] if fitting else "all"


def _is_of(period: str, length: str) -> bool:
    """Tell whether a period is one of that length."""
    shapes = {"month": len("2024-05"), "quarter": len("2024-Q2"), "year": len("2024"), "all": len("all")}
    return len(period) == shapes[length] and ("Q" in period) == (length == "quarter") and period[0] != "u"
