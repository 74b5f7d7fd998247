"""The scenes that meet a wide tile: of which overviews they are, and whether all of those is open there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from mosaics.catalog.standing import NONE, LayerRows, Standing
from mosaics.catalog.table import Rows, SceneTable
from mosaics.catalog.visible import limits_of, openings_of
from mosaics.filters import Opening, SceneFilter
from mosaics.models import Bounds


class Vicinity(NamedTuple):
    """A tile, and what lies around it."""

    box: Bounds
    """Of both, degrees."""
    margin: tuple[float, float]
    """How far beyond its outline something of a scene may come into the tile, degrees."""
    ground_resolution: float
    """Of the tile, metres per pixel."""


class Members:
    """The scenes of one part of a layer that meet a tile, whoever may see them."""

    def __init__(self, standing: Standing, part: LayerRows, opened: SceneFilter, vicinity: Vicinity) -> None:
        """Look at a part.

        Args:
            standing: The overviews of its layer.
            part: The part.
            opened: What the caller may see.
            vicinity: Of the tile.
        """
        self.part = part
        self._vicinity = vicinity
        self._groups = _groups(standing, part, opened, vicinity.ground_resolution)
        self._there = self._groups.met(part.table, vicinity.box)

    @property
    def overviews(self) -> Rows:
        """Those that hold a scene here."""
        return np.flatnonzero(self._there[:-1].any(axis=1))

    @property
    def closed(self) -> Rows:
        """Those that hold a scene here of which not all is open."""
        shut = [
            not _is_whole(opening, box, self._vicinity)
            for opening, box in zip(self._groups.openings, self._groups.boxes.tolist(), strict=True)
        ]
        return np.flatnonzero(self._there[:-1, shut].any(axis=1))

    def openings(self, number: int) -> list[Opening]:
        """Give what opens the scenes of an overview here."""
        openings = (self._groups.openings[group] for group in np.flatnonzero(self._there[number]).tolist())
        return [opening for opening in openings if opening is not None]

    def without(self, usable: NDArray[np.bool_]) -> Rows:
        """Give the rows that none of some overviews shows."""
        wanted = self._there & ~np.append(usable, False)[:, np.newaxis]  # NONE is the last
        if not wanted.any():
            return np.zeros(0, np.intp)
        rows = self.part.table.near(self._vicinity.box)
        left: Rows = rows[np.append(wanted.ravel(), False)[self._groups.pairs[rows]]]
        return left


@dataclass(frozen=True, kw_only=True, eq=False)
class _Groups:
    """Scenes of a part by the overview that they are in, and by what opens them at some resolution."""

    opened: SceneFilter
    """Whose rules these are; held, so that its identity stays its own."""
    pairs: NDArray[np.int32]
    """Of each row of the table the place among all pairs of an overview, the last of which is none, and a
    group; beyond them where it is not of the layer."""
    overviews: int
    """How many there are."""
    openings: tuple[Opening | None, ...]
    """Of each group; None: nothing is open."""
    boxes: NDArray[np.float64]
    """Around the scenes of each group, degrees, shape (groups, 4)."""

    def met(self, table: SceneTable, box: Bounds) -> NDArray[np.bool_]:
        """Tell which pairs there are among scenes whose boxes meet a box, shape (overviews + 1, groups)."""
        shape = self.overviews + 1, len(self.openings)
        met = self.pairs[table.near(box)] if table.is_small(box) else self.pairs[table.meets(box)]
        counts = np.bincount(met, minlength=shape[0] * shape[1] + 1)[:-1]
        return counts.reshape(shape) > 0


def _groups(standing: Standing, part: LayerRows, opened: SceneFilter, ground_resolution: float) -> _Groups:
    table = part.table
    limits = table.recall(
        ("limits", id(opened)), lambda: (opened, limits_of(table, opened)), lambda found: found[1].nbytes
    )[1]
    state = int(np.searchsorted(limits, ground_resolution, side="right"))

    def find() -> _Groups:
        of = np.zeros(len(part.rows), np.int32)
        openings: list[Opening | None] = []
        boxes = []
        for places, opening in openings_of(table, part.rows, opened, ground_resolution):
            of[places] = len(openings)
            openings.append(opening)
            boxes.append(_box_around(table.bounds[part.rows[places]]))
        held = standing.held(table).overview[part.rows]
        none = len(standing.overviews)
        pairs = np.full(len(table), (none + 1) * len(openings), np.int32)
        pairs[part.rows] = np.where(held == NONE, none, held) * len(openings) + of
        return _Groups(
            opened=opened,
            pairs=pairs,
            overviews=none,
            openings=tuple(openings),
            boxes=np.array(boxes, float).reshape(-1, 4),
        )

    key = ("groups", standing.named, id(opened), state)
    return table.recall(key, find, lambda found: int(found.pairs.nbytes))


def _box_around(boxes: NDArray[np.float64]) -> list[float]:
    least, most = np.fmin.reduce(boxes), np.fmax.reduce(boxes)  # NaN is of no scene
    return [*least[:2].tolist(), *most[2:].tolist()]


def _is_whole(opening: Opening | None, box: Sequence[float], vicinity: Vicinity) -> bool:
    """Tell whether all of some scenes that may come into a tile is open.

    Args:
        opening: What is open of them.
        box: Around them, degrees.
        vicinity: Of the tile.
    """
    if opening is None or opening.area is None:
        return opening is not None
    (west, south, east, north), (dx, dy), around = box, vicinity.margin, vicinity.box
    here = shapely.box(
        max(west - dx, around.left),
        max(south - dy, around.bottom),
        min(east + dx, around.right),
        min(north + dy, around.top),
    )
    return bool(shapely.covers(opening.area, here))
