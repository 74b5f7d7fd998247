"""What coarse files show of a wide tile, and which scenes are left to be shown as they are.

An overview stands for its scenes where they are all as they were when it was made, all are of the time that
is asked for, and all that meet the tile are open to the caller wherever they do, whatever is cut from others.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mosaics.catalog.overview import Overview
from mosaics.catalog.standing import NONE, Standing
from mosaics.catalog.table import Rows, SceneTable
from mosaics.filters import Opening, SceneFilter
from mosaics.geodesy import lonlat_transformer
from mosaics.grids import MERCATOR
from mosaics.layers import Layer
from mosaics.members import Members, Vicinity
from mosaics.models import Bounds, Frame, Scene
from mosaics.ordering import UNKNOWN, Place, in_order, newest_first
from mosaics.times import ANY_TIME, TimeSpan

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_FINER: Final = math.sqrt(2) * (1 + 1e-6)
"""How much coarser than a tile's pixels an overview's may be: half a level."""
_MARGIN: Final = 16
"""Pixels around a tile from which something may come into it when files are resampled, with room to spare."""
T = TypeVar("T")
Key = tuple[float, ...]
"""What a scene is ordered by."""
Keys = NDArray[np.float64]
"""What scenes are ordered by, shape (n, 3): the rule, then acquisition, then banking; less comes first."""
_LAST: Final = (math.inf, math.inf, math.inf)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rank:
    """Where the scenes behind a contribution stand in the order, as far as another one's lie between them."""

    keys: Keys
    """Of each of its scenes, by its number in the file, infinite for number 0, which is none; without a file
    of its only one."""
    order: NDArray[np.int32]
    """Where each of them stands among the scenes of all overviews of the layer, less comes first; UNKNOWN:
    there is none."""
    numbers: Scene | None
    """The file that tells which scene a pixel is of; None: there is one scene."""
    group: int = 0
    """The same for all that are to be compared with each other."""

    @cached_property
    def ends(self) -> tuple[Key, Key]:
        """The keys of the first and of the last of its scenes."""
        known = self.keys[~np.isinf(self.keys[:, 2])]
        return _least(known), tuple(-value for value in _least(-known))

    @property
    def files(self) -> int:
        """How many more files are read because of it."""
        return 0 if self.numbers is None else 1


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenOverview:
    """An overview as it is open to a caller on a tile."""

    overview: Overview
    sample: Scene
    """One of its scenes, which all look alike."""
    rank: Rank
    """Where its scenes stand in the order."""
    openings: tuple[Opening, ...]
    """What opens its scenes on the tile."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """What a tile is made of."""

    overviews: tuple[OpenOverview, ...]
    """Those that the caller may have here."""
    natives: tuple[Place, ...]
    """The first scenes, in order, that none of the overviews shows."""


class Wanted(NamedTuple):
    """What is wanted of a layer."""

    opened: SceneFilter
    """What the caller may see."""
    frame: Frame
    outline: BaseGeometry
    """Of the frame, longitude and latitude."""
    ground_resolution: float
    """Of the frame, metres per pixel."""
    span: TimeSpan
    fits: Callable[[Overview, Scene], bool]
    """Tells whether an overview shows what its scenes would, one of which it is given."""


class Limits(NamedTuple):
    """How much a tile may be made of."""

    files: int
    looked_at: int
    """Scenes that are given, at most."""


def choose(layer: Layer, wanted: Wanted, limits: Limits) -> Choice | None:
    """Choose the overviews of a tile, and the scenes that are left.

    Args:
        layer: As the caller sees it.
        wanted: What is wanted of it.
        limits: How much the tile may be made of.

    Returns:
        None: no overview is of use.
    """
    standing = layer.standing
    if standing is None or wanted.span.nearest is not None:  # which orders scenes otherwise than they do
        return None
    if not any(_is_coarse_enough(each, wanted) for each in standing.overviews):
        return None
    vicinity = _vicinity(wanted)
    looks = [Members(standing, part, wanted.opened, vicinity) for part in standing.parts]
    usable = _usable(layer, standing, wanted, looks)
    left = _left(layer, looks, usable, wanted)
    if sum(len(rows) for _, rows in left) > limits.files - int(usable.sum()):
        # scenes that should be in them can't all be shown: rather nothing than what those would hide
        usable &= ~standing.touched
        left = _left(layer, looks, usable, wanted)
    opened = [_opened(layer, standing, number, looks) for number in np.flatnonzero(usable).tolist()]
    if not opened:
        return None
    return Choice(overviews=tuple(opened), natives=tuple(in_order(left, limits.looked_at, layer.order)))


def rank_of(layer: Layer, place: Place) -> Rank:
    """Give where one scene stands in the order of a layer."""
    keys = _keys(layer, place.table, np.array([place.row]))
    standing = layer.standing
    assert standing is not None, "else it stands beside no overview"
    held = _orders(layer, standing).keys
    before = bisect_left(range(len(held)), tuple(keys[0].tolist()), key=lambda at: tuple(held[at].tolist()))
    return Rank(keys=keys, order=np.array([2 * before - 1], np.int32), numbers=None)


def woven(
    coarse: Sequence[tuple[Rank, T]], natives: Sequence[tuple[Rank, T]], most: int
) -> list[tuple[Rank | None, T]]:
    """Put overviews and scenes in order, and tell which are to be compared pixel by pixel.

    Args:
        coarse: Overviews.
        natives: Scenes, in order.
        most: Files that they may have; the last scenes are left out, and then the last overviews.

    Returns:
        In order of their first scenes; without a rank where no scenes of others lie between its own.
    """
    coarse, natives = sorted(coarse, key=lambda each: each[0].ends), list(natives)
    while True:
        together = sorted([*coarse, *natives], key=lambda each: each[0].ends)
        groups = _groups_of([rank.ends for rank, _ in together])
        many = Counter(groups)
        compared = [
            replace(rank, group=group) if many[group] > 1 else None
            for (rank, _), group in zip(together, groups, strict=True)
        ]
        if len(together) + sum(rank.files for rank in compared if rank is not None) <= most:
            return [(rank, each) for rank, (_, each) in zip(compared, together, strict=True)]
        (natives or coarse).pop()


def _least(keys: Keys) -> Key:
    """Give the first of keys."""
    for column in range(keys.shape[1]):
        keys = keys[keys[:, column] == keys[:, column].min()]
    return tuple(keys[0].tolist())


def _groups_of(ends: Sequence[tuple[Key, Key]]) -> list[int]:
    """Number ranges, in order of their beginnings; those that have something in common alike."""
    found: list[int] = []
    last: Key = ()
    for begin, end in ends:
        apart = not found or begin > last
        found.append((found[-1] if found else -1) + apart)
        last = end if apart else max(last, end)
    return found


def _usable(layer: Layer, standing: Standing, wanted: Wanted, looks: Sequence[Members]) -> NDArray[np.bool_]:
    """Tell which overviews show on a tile what their scenes would."""
    usable = np.zeros(len(standing.overviews), bool)
    for look in looks:
        usable[look.overviews] = True
    usable &= standing.valid
    for number in np.flatnonzero(usable).tolist():
        overview, sample = standing.overviews[number], _members(layer, standing, number).sample
        usable[number] = (
            sample is not None
            and _is_coarse_enough(overview, wanted)
            and _is_of_time(standing, number, wanted.span)
            and wanted.fits(overview, sample)
        )
    for look in looks:
        usable[look.closed] = False
    return usable


def _left(
    layer: Layer, looks: Sequence[Members], usable: NDArray[np.bool_], wanted: Wanted
) -> list[tuple[SceneTable, Rows]]:
    """Give the scenes that the caller sees, of the time that is asked for, in none of some overviews."""
    seen = {id(each.table): each.seen for each in layer.parts}
    found = []
    for look in looks:
        table = look.part.table
        if id(table) in seen:
            rows = seen[id(table)].among(look.without(usable)).rows
            boxes, (west, south, east, north) = table.bounds[rows], wanted.outline.bounds
            rows = rows[
                (boxes[:, 0] <= east)
                & (boxes[:, 2] >= west)
                & (boxes[:, 1] <= north)
                & (boxes[:, 3] >= south)
            ]
            found.append((table, rows[wanted.span.flags(table.numbers("datetime")[rows])]))
    return found


def _opened(layer: Layer, standing: Standing, number: int, looks: Sequence[Members]) -> OpenOverview:
    overview, members = standing.overviews[number], _members(layer, standing, number)
    assert members.sample is not None, "else it is of no use"
    openings = {id(each): each for look in looks for each in look.openings(number)}
    return OpenOverview(
        overview=overview,
        sample=members.sample,
        rank=members.rank,
        openings=tuple(openings.values()),
    )


class _Members(NamedTuple):
    """The scenes of an overview."""

    rank: Rank
    """Where they stand in the order."""
    sample: Scene | None
    """One of them; None: its item is damaged."""


def _members(layer: Layer, standing: Standing, number: int) -> _Members:
    """Give the scenes of an overview, found once for each state of the catalogue."""

    def find() -> _Members:
        sample = None
        for part in standing.parts:
            rows = part.rows[standing.held(part.table).overview[part.rows] == number]
            if len(rows) and sample is None:
                sample = part.table.scene(int(rows[0]))
        orders = _orders(layer, standing)
        begin, end = orders.ends[number : number + 2]
        rank = Rank(
            keys=orders.of[begin:end],
            order=orders.places[begin:end],
            numbers=standing.overviews[number].numbers,
        )
        return _Members(rank, sample)

    found: _Members = standing.recall(("members", number), find)
    return found


class _Orders(NamedTuple):
    """The scenes of all overviews of a layer, one overview after the other."""

    ends: list[int]
    """Where each overview begins, and where the last ends."""
    of: Keys
    """Of each overview those of its scenes, by number, that of number 0 infinite."""
    places: NDArray[np.int32]
    """Of each of them twice its place among all; UNKNOWN where there is none."""
    keys: Keys
    """All in order."""


def _orders(layer: Layer, standing: Standing) -> _Orders:
    """Put the scenes of all overviews in order, once for each state of the catalogue."""

    def find() -> _Orders:
        ends = [0, *np.cumsum([len(each.tokens) + 1 for each in standing.overviews]).tolist()]
        keys = np.full((ends[-1], len(_LAST)), _LAST)
        for part in standing.parts:
            held = standing.held(part.table)
            rows = part.rows[held.overview[part.rows] != NONE]
            begins = np.array(ends)[held.overview[rows]]
            keys[begins + held.member[rows]] = _keys(layer, part.table, rows)
        ordered = np.lexsort(keys.T[::-1])
        places = np.empty(len(keys), np.int32)
        places[ordered] = 2 * np.arange(len(keys), dtype=np.int32)
        places[np.isinf(keys[:, 2])] = UNKNOWN
        return _Orders(ends=ends, of=keys, places=places, keys=keys[ordered])

    found: _Orders = standing.recall("orders", find)
    return found


def _keys(layer: Layer, table: SceneTable, rows: Rows) -> Keys:
    columns = layer.order(table, rows), newest_first(table, rows), -table.sequences[rows].astype(float)
    return np.stack(columns, axis=1)


def _is_of_time(standing: Standing, number: int, span: TimeSpan) -> bool:
    """Tell whether all scenes of an overview were acquired in a span."""
    if span == ANY_TIME:
        return True
    times = standing.recall(("times", number), lambda: _times(standing, number))
    return not np.isnan(times).any() and bool(span.flags(times).all())


def _times(standing: Standing, number: int) -> NDArray[np.float64]:
    """Give the first and the last acquisition of an overview's scenes; NaN: of some it isn't known."""
    acquired = [
        part.table.numbers("datetime")[part.rows[standing.held(part.table).overview[part.rows] == number]]
        for part in standing.parts
    ]
    found = np.concatenate(acquired)
    return np.array([found.min(), found.max()])


def _is_coarse_enough(overview: Overview, wanted: Wanted) -> bool:
    """Tell whether a tile's pixels are as large as an overview's, or nearly."""
    frame = wanted.frame
    left, bottom, right, top = frame.bounds
    if frame.crs == MERCATOR:
        cell = (right - left) / frame.width
    else:
        _, latitude = lonlat_transformer(frame.crs).transform((left + right) / 2, (bottom + top) / 2)
        if not math.isfinite(latitude):
            return False
        cell = wanted.ground_resolution / max(math.cos(math.radians(latitude)), 1e-6)
    return cell * _FINER >= overview.cell


def _vicinity(wanted: Wanted) -> Vicinity:
    """Give what lies around a tile, within the Earth."""
    west, south, east, north = wanted.outline.bounds
    dx, dy = ((east - west) * _MARGIN / wanted.frame.width, (north - south) * _MARGIN / wanted.frame.height)
    box = Bounds(max(west - dx, -180.0), max(south - dy, -90.0), min(east + dx, 180.0), min(north + dy, 90.0))
    return Vicinity(box=box, margin=(dx, dy), ground_resolution=wanted.ground_resolution)
