"""What lists tell of layers, found in columns: of all layers at once, or of one alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mosaics.catalog.table import Rows
from mosaics.layer_part import LayerPart
from mosaics.looks import styles_of_look
from mosaics.models import Bounds
from mosaics.ordering import Place

if TYPE_CHECKING:
    from mosaics.catalog.table import SceneTable
    from mosaics.filters import SceneFilter

T = TypeVar("T")

_DAY: Final = 86_400
"""Seconds of a day."""
_DENSE: Final = 8
"""A place for each possible value is kept up to so many times the number of values; else they are sorted."""


class _Rows(NamedTuple):
    """All rows that layers have of one table."""

    table: SceneTable
    rows: Rows
    """Layer by layer."""
    places: Rows
    """Where each stands among the rows of all tables."""


@dataclass(frozen=True, eq=False)
class Told:
    """Some layers, and what is told of each, in their order; each column is made when it is asked for."""

    layers: Sequence[Sequence[LayerPart]]
    """The parts of each; none of them is empty."""

    @cached_property
    def bounds(self) -> list[Bounds]:
        """Longitudes and latitudes around all that is open; -180..180 where that crosses the antimeridian."""
        extents = np.concatenate([part.seen.extents for part in self._parts])
        least = np.fmin.reduceat(extents[:, :2], self._starts, axis=0)
        most = np.fmax.reduceat(extents[:, 2:], self._starts, axis=0)
        return [Bounds(*box) for box in np.concatenate((least, most), axis=1).tolist()]

    @cached_property
    def limits(self) -> list[float]:
        """Finest detail that rights open of any scene, metres per pixel; 0: no limit."""
        finest = np.concatenate([part.seen.finest for part in self._parts])
        limits: list[float] = np.minimum.reduceat(finest, self._starts).tolist()
        return limits

    @cached_property
    def times(self) -> list[tuple[str, ...]]:
        """Distinct acquisition dates (UTC), ascending, as YYYY-MM-DD."""
        acquired = self._numbers("datetime")
        dated = ~np.isnan(acquired)
        days = (acquired[dated] // _DAY).astype(np.int64)
        if not len(days):
            return [() for _ in self.layers]
        first, span = int(days.min()), int(days.max() - days.min()) + 1
        found, _ = _distinct(self._owners[dated] * span + (days - first), len(self.layers) * span)
        names = np.datetime_as_string((found % span + first).astype("datetime64[D]")).tolist()
        return self._split(names, found // span)

    @cached_property
    def styles(self) -> list[tuple[str, ...]]:
        """Style ids, the default first: those of the scene banked first, then what others add."""
        codes, looks = self._words("look")
        pairs, places = _distinct(self._owners * len(looks) + codes, len(self.layers) * len(looks))
        banked = np.full(len(pairs), np.iinfo(np.int64).max)
        np.minimum.at(banked, places, self._column(lambda table: table.sequences))
        owners = pairs // len(looks)
        order = np.lexsort((banked, owners))
        names = [looks[code] for code in (pairs[order] % len(looks)).tolist()]
        return [_styles_of(those) for those in self._split(names, owners)]

    @cached_property
    def sensors(self) -> list[tuple[str, ...]]:
        """The distinct sensor ids."""
        return self._distinct("flux:sensor")

    @cached_property
    def licences(self) -> list[tuple[str, ...]]:
        """The distinct licence ids."""
        return self._distinct("license")

    @cached_property
    def lines(self) -> list[tuple[tuple[str | None, str], ...]]:
        """Distinct copyright lines of scenes, those that come first first, with the collections they are of.

        Collections of which scenes have none follow, each with None.
        """
        (own, lines), (of, collections) = self._words("attribution"), self._words("collection")
        bare = np.flatnonzero(~np.array([bool(line) for line in lines], bool)[own])
        found: list[list[tuple[tuple[str | None, str], ...]]] = []
        more = self._firsts("collection", bare) if len(bare) else bare
        for places in (self._firsts("attribution"), more):
            pairs = zip(own[places].tolist(), of[places].tolist(), strict=True)
            told = [(lines[line], str(collections[collection])) for line, collection in pairs]
            found.append(self._split(told, self._owners[places]))
        return [some + others for some, others in zip(*found, strict=True)]

    def _distinct(self, name: str) -> list[tuple[str, ...]]:
        """Give the distinct values of a word, sorted."""
        codes, values = self._words(name)
        pairs, _ = _distinct(self._owners * len(values) + codes, len(self.layers) * len(values))
        words = [values[code] for code in (pairs % len(values)).tolist()]
        return [
            tuple(sorted(word for word in some if word)) for some in self._split(words, pairs // len(values))
        ]

    def firsts(self, name: str) -> list[tuple[Place, ...]]:
        """Give for each value of a word the scene with it that comes first; these in order, newest first."""
        places = self._firsts(name)
        return self._split(self._at(places), self._owners[places])

    def _firsts(self, name: str, among: Rows | None = None) -> Rows:
        """Give where those stand that come first of each value of a word, layer by layer and in order.

        Args:
            name: The word.
            among: Where those stand that are looked at; None: all.
        """
        everywhere = np.arange(sum(self._counts)) if among is None else among
        owners, (codes, values) = self._owners[everywhere], self._words(name)
        pairs, numbers = _distinct(owners * len(values) + codes[everywhere], len(self.layers) * len(values))
        acquired = self._numbers("datetime")[everywhere]
        newest = np.where(np.isnan(acquired), np.inf, -acquired)
        sequences = self._column(lambda table: table.sequences)[everywhere]
        best, last = np.full(len(pairs), np.inf), np.full(len(pairs), np.iinfo(np.int64).min)
        np.minimum.at(best, numbers, newest)
        found = np.flatnonzero(newest == best[numbers])
        np.maximum.at(last, numbers[found], sequences[found])
        found = found[sequences[found] == last[numbers[found]]]
        by: tuple[NDArray[Any], ...] = (-sequences[found], newest[found], owners[found])
        order = np.lexsort(by)
        alike = np.logical_and.reduce([key[order][1:] == key[order][:-1] for key in by])
        if alike.any():  # their ids decide; of the catalogue each scene has a sequence of its own
            ids = np.array([place.table.word("id", place.row) for place in self._at(everywhere[found])])
            order = np.lexsort((ids, *by))
            order = order[np.sort(np.unique(numbers[found[order]], return_index=True)[1])]
        firsts: Rows = everywhere[found[order]]
        return firsts

    def seeing(self, opened: SceneFilter) -> list[bool]:
        """Tell of which a filter leaves any of its scenes."""
        flags = np.zeros(len(self._owners), bool)
        kept: dict[int, NDArray[np.bool_]] = {}
        begin = 0
        for each in self._parts:
            seen = kept.get(id(each.part))
            if seen is None:
                seen = kept[id(each.part)] = np.zeros(len(each.table), bool)
                seen[each.part.seen_by(opened).rows] = True
            flags[begin : begin + len(each.seen.rows)] = seen[each.seen.rows]
            begin += len(each.seen.rows)
        told: list[bool] = np.logical_or.reduceat(flags, self._starts).tolist()
        return told

    @cached_property
    def _parts(self) -> list[LayerPart]:
        """The parts of all layers, one after the other."""
        return [part for parts in self.layers for part in parts]

    @cached_property
    def _counts(self) -> list[int]:
        """The number of rows of each layer."""
        return [sum(len(part.seen.rows) for part in parts) for parts in self.layers]

    @property
    def _starts(self) -> Rows:
        """Where the rows of each layer begin."""
        return np.cumsum([0, *self._counts[:-1]])

    @property
    def _owners(self) -> Rows:
        """The number of the layer that each row is of."""
        return np.repeat(np.arange(len(self.layers)), self._counts)

    def _rows(self) -> list[_Rows]:
        """Give the rows of each table; not held, for they are as many as there are scenes."""
        parts = self._parts
        tables = {id(part.table): part.table for part in parts}
        if len(tables) == 1:
            rows = np.concatenate([part.seen.rows for part in parts])
            return [_Rows(parts[0].table, rows, np.arange(len(rows)))]
        numbers = np.repeat([id(part.table) for part in parts], [len(part.seen.rows) for part in parts])
        return [
            _Rows(
                table,
                np.concatenate([part.seen.rows for part in parts if part.table is table]),
                np.flatnonzero(numbers == number),
            )
            for number, table in tables.items()
        ]

    def _column(self, of: Callable[[SceneTable], NDArray[Any]]) -> NDArray[Any]:
        """Give a column of all rows, layer by layer."""
        held = self._rows()
        columns = [of(table)[rows] for table, rows, _ in held]
        found = np.empty(sum(map(len, columns)), columns[0].dtype)
        for (_, _, places), column in zip(held, columns, strict=True):
            found[places] = column
        return found

    def _numbers(self, name: str) -> NDArray[np.float64]:
        return self._column(lambda table: table.numbers(name))

    def _words(self, name: str) -> tuple[NDArray[np.int64], list[str | None]]:
        """Give a column of words: of each row the place of its value, and the values."""
        known: dict[str | None, int] = {}

        def codes_of(table: SceneTable) -> NDArray[np.int64]:
            codes, values = table.words(name)
            return np.array([known.setdefault(value, len(known)) for value in values], np.int64)[codes]

        return self._column(codes_of), list(known)

    def _at(self, places: Rows) -> list[Place]:
        """Give the scenes that stand at some places."""
        found: dict[int, Place] = {}
        for table, rows, all_places in self._rows():
            there = np.isin(all_places, places)
            at = zip(all_places[there].tolist(), rows[there].tolist(), strict=True)
            found |= {place: Place(table, row) for place, row in at}
        return [found[place] for place in places.tolist()]

    def _split(self, values: Sequence[T], owners: Rows) -> list[tuple[T, ...]]:
        """Give to each layer its values, which stand layer by layer."""
        ends = np.searchsorted(owners, np.arange(len(self.layers)), side="right").tolist()
        return [tuple(values[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]


def _distinct(values: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], Rows]:
    """Give the distinct values, ascending, and of each value its place among them.

    Args:
        values: Whole numbers from 0.
        most: They are less than this.
    """
    if most > _DENSE * len(values):
        found, places = np.unique(values, return_inverse=True)
        return found, places
    there = np.zeros(most, bool)
    there[values] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[values]


@lru_cache(maxsize=4096)
def _styles_of(looks: tuple[str, ...]) -> tuple[str, ...]:
    ordered: dict[str, None] = {}
    for look in looks:
        ordered.update(dict.fromkeys(styles_of_look(look)))
    return tuple(ordered)
