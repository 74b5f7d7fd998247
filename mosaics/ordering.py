"""Puts scenes in the order in which they have the say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mosaics.catalog.table import Rows, SceneTable
from mosaics.models import Bounds, Scene
from mosaics.mosaic import Order, order_keys
from mosaics.times import ANY_TIME, TimeSpan

UNKNOWN: Final = int(np.iinfo(np.int32).max)
"""The place in an order of what isn't known."""
_MANY: Final = 1_000
"""Scenes beyond which their ids are no longer compared, which is slow."""
_AT_FIRST: Final = 2_048
"""Scenes whose boxes are looked at one by one, in their order, before those of all at once."""
ScenesOrder = Callable[[SceneTable, Rows], NDArray[np.float64]]
"""Gives for some rows of a table what is less for what comes first; never NaN."""


class Place(NamedTuple):
    """Where a scene stands in the catalogue."""

    table: SceneTable
    row: int

    @property
    def scene(self) -> Scene | None:
        """The scene, made when it is asked for; None: its item is damaged."""
        return self.table.scene(self.row)

    @property
    def key(self) -> tuple[str, str]:
        """Collection id and scene id."""
        return str(self.table.word("collection", self.row)), str(self.table.word("id", self.row))

    @property
    def identity(self) -> str:
        """What changes whenever something of the scene does, in one word."""
        collection, scene = self.key
        return f"{collection}:{scene}:{int(self.table.tokens[self.row]):016x}"

    @property
    def is_sound(self) -> bool:
        """Whether its record is as it was written, so that a scene can be made of it."""
        return self.table.is_sound(self.row)

    @property
    def look(self) -> int:
        """What styles tell scenes of its table apart by, as a number."""
        return int(self.table.words("look")[0][self.row])

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north of its footprint, degrees."""
        return Bounds(*self.table.bounds[self.row].tolist())


def newest_first(table: SceneTable, rows: Rows) -> NDArray[np.float64]:
    """Give what is less for what was acquired later, and most where that is not known."""
    acquired = table.numbers("datetime")[rows]
    return np.where(np.isnan(acquired), np.inf, -acquired)


def by_rule(order: Order) -> ScenesOrder:
    """Give the way to order scenes by the rule of a mosaic."""
    if order == Order():
        return newest_first

    def keys(table: SceneTable, rows: Rows) -> NDArray[np.float64]:
        return order_keys(order, _Some(table, rows))

    return keys


def ranked(table: SceneTable, order: Order) -> Rows:
    """Give all rows of a table as `in_order` puts them, found once for each rule."""
    return table.recall(("ranked", order), lambda: _ranked(table, by_rule(order)), lambda rows: rows.nbytes)


def _ranked(table: SceneTable, order: ScenesOrder) -> Rows:
    rows = np.arange(len(table))
    by: list[NDArray[Any]] = [-table.sequences, newest_first(table, rows)]
    if order is not newest_first:
        by.append(order(table, rows))
    if _has_twins(table.sequences):
        by.insert(0, _tie_breakers([Place(table, row) for row in rows.tolist()]))
    return np.lexsort(by).astype(np.int32)


def first_of(table: SceneTable, ranks: Rows, bounds: Bounds, span: TimeSpan, most: int) -> Rows:
    """Give the first rows whose boxes meet a box, acquired in a span, in their order.

    Args:
        table: Scenes.
        ranks: Rows of it, in order.
        bounds: Longitudes and latitudes.
        span: Acquisition times.
        most: Give no more than so many.
    """
    rows = ranks[:_AT_FIRST]
    rows = within(table, rows[table.meets(bounds, rows)], span)
    if len(rows) < most and len(ranks) > _AT_FIRST:
        others = ranks[_AT_FIRST:]
        others = others[table.meets(bounds).take(others)]
        rows = np.concatenate((rows, within(table, others, span)))
    return rows[:most]


def within(table: SceneTable, rows: Rows, span: TimeSpan) -> Rows:
    """Leave the rows that were acquired in a span."""
    return rows if span == ANY_TIME else rows[span.flags(table.numbers("datetime")[rows])]


def in_order(
    found: Sequence[tuple[SceneTable, Rows]], most: int | None = None, order: ScenesOrder = newest_first
) -> list[Place]:
    """Order scenes by a rule; those that it takes for equal by acquisition, newest first; then by banking.

    Args:
        found: Rows of tables.
        most: Give no more than the first so many.
        order: The rule.
    """
    found = [(table, rows) for table, rows in found if len(rows)]
    if not found:
        return []
    keys = np.concatenate([order(table, rows) for table, rows in found])
    kept = np.arange(len(keys))
    if most is not None and len(keys) > most:
        kept = np.flatnonzero(keys <= np.partition(keys, most - 1)[most - 1])
    number = np.concatenate([np.full(len(rows), n) for n, (_, rows) in enumerate(found)])[kept]
    row = np.concatenate([rows for _, rows in found])[kept]
    newest = np.concatenate([newest_first(table, rows) for table, rows in found])[kept]
    sequences = np.concatenate([table.sequences[rows] for table, rows in found])[kept]
    places = [Place(found[n][0], r) for n, r in zip(number.tolist(), row.tolist(), strict=True)]
    by: tuple[NDArray[Any], ...] = (-sequences, newest, keys[kept])
    if _has_twins(sequences):  # of the catalogue each scene has its own
        by = (_tie_breakers(places), *by)
    ordered = np.lexsort(by)[:most]
    return [places[place] for place in ordered.tolist()]


def _has_twins(sequences: NDArray[np.int64]) -> bool:
    """Tell whether some are the same; np.unique takes four times as long."""
    ascending = np.sort(sequences)
    return bool((ascending[1:] == ascending[:-1]).any())


def _tie_breakers(places: Sequence[Place]) -> NDArray[Any]:
    """Give what decides between scenes of one moment and one change: their ids; of very many their tokens."""
    if len(places) > _MANY:
        return np.array([place.table.tokens[place.row] for place in places])
    return np.array([place.table.word("id", place.row) for place in places])


@dataclass(frozen=True, slots=True)
class _Some:
    """Some rows of a table as columns of their own."""

    table: SceneTable
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def bounds(self) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self.table.bounds[self.rows]
        return found

    def numbers(self, name: str) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self.table.numbers(name)[self.rows]
        return found

    def words(self, name: str) -> tuple[NDArray[np.int32], tuple[str | None, ...]]:
        codes, values = self.table.words(name)
        return codes[self.rows], values

    def footprints(self, rows: Rows) -> NDArray[Any]:
        return self.table.footprints(self.rows[rows])
