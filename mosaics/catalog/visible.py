"""Which rows of a table a filter leaves, how far and how fine: as `SceneFilter` says it of one scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mosaics.areas import common_bounds
from mosaics.filters import (
    COARSEST,
    SLACK,
    Combination,
    Fineness,
    Opening,
    SceneFilter,
    SceneRule,
    SceneSet,
)
from mosaics.kinds import SceneKind

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from mosaics.catalog.table import Rows, SceneTable

Flags = NDArray[np.bool_]
_TOLD_APART_BY = ("collection", "license", "flux:sensor")
"""Words that begin a `SceneKind`."""
_MOST_FLAGS = 50
"""Yes or no that fit one whole number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Visible:
    """What a filter leaves of a part."""

    rows: Rows
    """Ascending."""
    extents: NDArray[np.float64]
    """West, south, east, north of what is open of each, degrees, shape (n, 4)."""
    finest: NDArray[np.float64]
    """Finest detail that is open of each anywhere, metres per pixel; 0: native."""

    @property
    def size_bytes(self) -> int:
        """What it takes in memory."""
        return int(self.rows.nbytes + self.extents.nbytes + self.finest.nbytes)

    def rows_among(self, rows: Rows) -> Rows:
        """Give those of some rows, ascending, that it has."""
        if not len(self.rows) or not len(rows):
            return rows[:0]
        if self._is_piece:
            begin, end = np.searchsorted(rows, (self.rows[0], self.rows[-1] + 1))
            return rows[begin:end]
        place = np.searchsorted(self.rows, rows)
        there = place < len(self.rows)
        there[there] = self.rows[place[there]] == rows[there]
        return rows[there]

    def among(self, rows: Rows) -> Visible:
        """Leave only what is among some rows, ascending."""
        found = self.rows_among(rows)
        if len(found) == len(self.rows):
            return self
        kept = found - self.rows[0] if self._is_piece and len(found) else np.searchsorted(self.rows, found)
        if len(kept) and int(kept[-1]) - int(kept[0]) + 1 == len(kept):  # one piece, which need not be copied
            return self._at(slice(int(kept[0]), int(kept[-1]) + 1))
        return self._at(kept)

    def grouped(self, numbers: NDArray[np.int32]) -> list[tuple[int, Visible]]:
        """Part it by a number that each of its rows has; what is one piece is not copied."""
        order = np.argsort(numbers, kind="stable")
        held = numbers[order]
        begins = np.flatnonzero(np.diff(held, prepend=-1))
        counts = np.diff(begins, append=len(order))
        first = order[begins]
        pieces = order[begins + counts - 1] - first + 1 == counts
        scattered = self._at(order[np.repeat(~pieces, counts)])
        # of each number: what holds it, from where on, and how many rows
        begin = np.where(pieces, first, np.cumsum(np.where(pieces, 0, counts)) - counts)
        spans = [
            slice(start, start + count) for start, count in zip(begin.tolist(), counts.tolist(), strict=True)
        ]
        return [
            (number, self._at(span) if piece else scattered._at(span))  # noqa: SLF001 - one of its own
            for number, span, piece in zip(held[begins].tolist(), spans, pieces.tolist(), strict=True)
        ]

    @property
    def _is_piece(self) -> bool:
        """True where its rows are one after the other."""
        return int(self.rows[-1]) - int(self.rows[0]) + 1 == len(self.rows)

    def _at(self, places: Rows | slice) -> Visible:
        return Visible(rows=self.rows[places], extents=self.extents[places], finest=self.finest[places])


def visible(table: SceneTable, rows: Rows, opened: SceneFilter) -> Visible:
    """Give what a filter leaves of some rows of a table.

    Args:
        table: Scenes.
        rows: Those that are asked about, ascending.
        opened: What somebody may see.
    """
    look = _Look(table, opened)
    open_rows, extents = look.opened(rows, np.full(len(rows), COARSEST))
    return Visible(rows=open_rows, extents=extents, finest=look.finest(open_rows))


def openings_of(
    table: SceneTable, rows: Rows, opened: SceneFilter, ground_resolution: float
) -> list[tuple[Rows, Opening | None]]:
    """Give what a filter opens of each of some rows at a resolution.

    Args:
        table: Scenes.
        rows: Those that are asked about.
        opened: What somebody may see.
        ground_resolution: Metres per pixel.

    Returns:
        Places among the rows, and what is open of all that stand there; None: nothing.
    """
    found = _Look(table, opened).combinations(rows, np.full(len(rows), ground_resolution))
    return [(places, opened.opening_of(combination)) for places, combination in found]


def openings_at(
    table: SceneTable, rows: Rows, opened: SceneFilter, ground_resolution: float
) -> list[Opening | None]:
    """Give what a filter opens of each of a few rows at a resolution; None: nothing.

    Args:
        table: Scenes.
        rows: Those that are asked about.
        opened: What somebody may see.
        ground_resolution: Metres per pixel.
    """
    looked_at, columns = opened.looked_at, [_words(table, name, rows) for name in _TOLD_APART_BY]
    if looked_at.named:
        columns.append([name if name in looked_at.named else "" for name in _words(table, "id", rows)])
    else:
        columns.append([""] * len(rows))
    columns.append(looked_at.instants_of(table.numbers("datetime")[rows]))
    columns.append(table.pan[rows].tolist() if looked_at.counts_pan else [0.0] * len(rows))
    kinds = list(zip(*columns, strict=True))
    found = {kind: opened.opening_of_kind(SceneKind(*kind), ground_resolution) for kind in set(kinds)}
    return [found[kind] for kind in kinds]


def _words(table: SceneTable, name: str, rows: Rows) -> list[Any]:
    codes, values = table.words(name)
    return [values[code] for code in codes[rows].tolist()]


def limits_of(table: SceneTable, opened: SceneFilter) -> NDArray[np.float64]:
    """Give the resolutions at which what is open of any row changes, ascending, metres per pixel.

    Between two of them the same is open of every row; so it is from one on, a millionth of it included.
    """
    return _Look(table, opened).limits()


def rules_open(table: SceneTable, rows: Rows, opened: SceneFilter) -> list[SceneRule]:
    """Give the rules that open anything of some rows at the coarsest resolution."""
    look = _Look(table, opened)
    found: dict[int, SceneRule] = {}
    for _, combination in look.combinations(rows, np.full(len(rows), COARSEST)):
        opening = opened.opening_of(combination)
        for part in () if opening is None else opening.parts:
            found[id(part.rule)] = part.rule
    return list(found.values())


def rows_held(held: SceneSet, table: SceneTable) -> Flags:
    """Tell of each row whether its scene is one of a set; one without a datetime fails a bounded window."""
    flags = np.ones(len(table), bool)
    for name, wanted in (
        ("collection", held.collections),
        ("license", held.licences),
        ("flux:sensor", held.sensors),
    ):
        if wanted is not None:
            codes, values = table.words(name)
            flags &= np.array([value in wanted for value in values], bool)[codes]
    if held.scenes is not None:
        named = np.zeros(len(table), bool)
        named[table.rows_named(held.scenes)] = True
        flags &= named
    if held.acquired_from is not None or held.acquired_before is not None:
        acquired = table.numbers("datetime")
        flags &= ~np.isnan(acquired)
        if held.acquired_from is not None:
            flags &= acquired >= held.acquired_from.timestamp()
        if held.acquired_before is not None:
            flags &= acquired < held.acquired_before.timestamp()
    return flags


class _Look:
    """A filter looked at for all rows of a table."""

    def __init__(self, table: SceneTable, opened: SceneFilter) -> None:
        self._table, self._filter = table, opened
        self._sets: dict[int, Flags] = {}
        rules = ((number, rule, self._held(rule.scenes)) for number, rule in enumerate(opened.rules))
        self._rules = [(number, rule, held) for number, rule, held in rules if held.any()]

    def _held(self, held: SceneSet) -> Flags:
        """Give the rows of a set; sets that rules share are looked at once."""
        if id(held) not in self._sets:
            self._sets[id(held)] = rows_held(held, self._table)
        return self._sets[id(held)]

    def opened(self, rows: Rows, ground_resolution: NDArray[np.float64]) -> tuple[Rows, NDArray[np.float64]]:
        """Give those of some rows that are open at a resolution each, and the boxes of what is."""
        extents = self._table.bounds[rows].copy()
        there = np.zeros(len(rows), bool)
        for places, combination in self.combinations(rows, ground_resolution):
            opening = self._filter.opening_of(combination)
            if opening is None:
                continue
            if opening.area is None:
                there[places] = True
            else:
                there[places] = self._cut(rows[places], opening.area, extents, places)
        return rows[there], extents[there]

    def limits(self) -> NDArray[np.float64]:
        """Give all limits of rules and exclusions, for all rows, each once."""
        finenesses = {rule.fineness for _, rule, _ in self._rules} | {
            exclusion.finer_than
            for _, rule, _ in self._rules
            for exclusion in rule.exclusions
            if exclusion.finer_than is not None
        }
        found: NDArray[np.float64] = np.unique(
            np.concatenate([np.zeros(0), *(self._limit(each) for each in finenesses)])
        )
        return found * SLACK

    def finest(self, rows: Rows) -> NDArray[np.float64]:
        """Give the finest resolution at which something of each of some rows is open."""
        finenesses = {rule.fineness for _, rule, _ in self._rules} | {
            exclusion.finer_than
            for _, rule, _ in self._rules
            for exclusion in rule.exclusions
            if exclusion.finer_than is not None
        }
        limits = [np.zeros(len(rows)), *(self._limit(each)[rows] for each in finenesses)]
        steps = np.sort(np.stack(limits, axis=1), axis=1)
        found = steps[:, -1].copy() if len(rows) else np.zeros(0)
        left = np.arange(len(rows))
        for step in steps.T:
            if not len(left):
                break
            open_rows, _ = self.opened(rows[left], step[left])
            hit = np.isin(rows[left], open_rows, assume_unique=True)
            found[left[hit]] = step[left[hit]]
            left = left[~hit]
        return found

    def combinations(
        self, rows: Rows, ground_resolution: NDArray[np.float64]
    ) -> list[tuple[Rows, Combination]]:
        """Give the places, among some rows, of those that the same rules open, less the same exclusions."""
        flags: list[Flags] = []
        meanings: list[tuple[int, int | None]] = []
        closing: dict[tuple[int, int], Flags] = {}
        for number, rule, held in self._rules:
            holds = held[rows] & (ground_resolution >= self._limit(rule.fineness)[rows] * SLACK)
            if not holds.any():
                continue
            flags.append(holds)
            meanings.append((number, None))
            for place in range(len(rule.exclusions)):
                key = (id(rule.exclusions), place)
                if key not in closing:
                    closing[key] = self._closes(rule, place, rows, ground_resolution)
                if closing[key].any():
                    flags.append(closing[key])
                    meanings.append((number, place))
        return [
            (places, _combination(meanings, [flag[places[0]] for flag in flags]))
            for places in _alike(flags, len(rows))
        ]

    def _closes(
        self, rule: SceneRule, place: int, rows: Rows, ground_resolution: NDArray[np.float64]
    ) -> Flags:
        exclusion = rule.exclusions[place]
        closes = self._held(exclusion.scenes)[rows]
        if exclusion.finer_than is not None:
            closes = closes & (ground_resolution < self._limit(exclusion.finer_than)[rows] * SLACK)
        return closes

    def _limit(self, fineness: Fineness) -> NDArray[np.float64]:
        """Give what `Fineness.limit` gives for each row."""
        least = np.full(len(self._table), fineness.ground_resolution or 0.0)
        return np.maximum(least, fineness.times_pan * self._table.pan) if fineness.times_pan else least

    def _cut(self, rows: Rows, area: BaseGeometry, extents: NDArray[np.float64], places: Rows) -> Flags:
        """Tell which rows share a surface with an area, and write the box of it to `extents`."""
        boxes = self._table.bounds[rows]
        whole = shapely.covers(area, shapely.box(*boxes.T))
        there: Flags = whole.copy()
        west, south, east, north = area.bounds
        near = ~whole & (boxes[:, 0] <= east) & (boxes[:, 2] >= west)
        near &= (boxes[:, 1] <= north) & (boxes[:, 3] >= south)
        for place in np.flatnonzero(near):
            common = common_bounds(self._table.footprint(int(rows[place])), area)
            if common is not None:
                there[place] = True
                extents[places[place]] = common
        return there


def _combination(meanings: list[tuple[int, int | None]], flags: list[Any]) -> Combination:
    """Put together what holds: rules, each before its exclusions, which close only what is open."""
    holding: dict[int, list[int]] = {}
    for (number, exclusion), flag in zip(meanings, flags, strict=True):
        if flag and exclusion is None:
            holding[number] = []
        elif flag and exclusion is not None and number in holding:
            holding[number].append(exclusion)
    return tuple((number, tuple(closed)) for number, closed in holding.items())


def _alike(flags: list[Flags], count: int) -> list[Rows]:
    """Give the places at which all flags are the same, for each combination that there is."""
    codes: NDArray[Any] = np.zeros(count, np.int64)
    for number, flag in enumerate(flags, start=1):
        codes = codes * 2 + flag
        if number % _MOST_FLAGS == 0:
            codes = np.unique(codes, return_inverse=True)[1]
    if not count:
        return []
    order = np.argsort(codes, kind="stable")
    borders = np.flatnonzero(np.diff(codes[order])) + 1
    return list(np.split(order, borders))
