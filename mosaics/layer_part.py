"""Some scenes of a layer: rows of one table, as far as one caller sees them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mosaics.catalog.table import Rows, SceneTable
from mosaics.models import Bounds
from mosaics.mosaic import Order
from mosaics.ordering import Place, first_of, ranked, within
from mosaics.times import TimeSpan

if TYPE_CHECKING:
    from mosaics.catalog.index import Part
    from mosaics.catalog.visible import Visible


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerPart:
    """Some scenes of a layer."""

    part: Part
    seen: Visible
    """Those of its rows that the caller sees."""

    @property
    def table(self) -> SceneTable:
        """The columns of all its rows."""
        return self.part.table

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Give a column of numbers for the rows that are seen."""
        return self.table.numbers(name)[self.seen.rows]

    def near(self, bounds: Bounds, span: TimeSpan) -> Rows:
        """Give the rows that are seen whose boxes meet a box, acquired in a span, ascending."""
        return within(self.table, self.seen.rows_among(self.table.near(bounds)), span)

    def first(self, bounds: Bounds, span: TimeSpan, order: Order, most: int) -> First:
        """Give of what `near` gives the first so many in an order; of a small box all, as they stand."""
        if self.table.is_small(bounds):
            return First(self.table, self.near(bounds, span), in_order=False)
        if order not in self._ranks:
            ranks = ranked(self.table, order)
            if len(self.seen.rows) < len(ranks):
                seen = np.zeros(len(ranks), bool)
                seen[self.seen.rows] = True
                ranks = ranks[seen[ranks]]
            self._ranks[order] = ranks
        rows = first_of(self.table, self._ranks[order], bounds, span, most)
        return First(self.table, rows, in_order=True)

    @cached_property
    def _ranks(self) -> dict[Order, Rows]:
        """The rows that are seen, in orders that were asked for."""
        return {}

    def among(self, rows: Rows) -> LayerPart:
        """Leave only what is among some rows, ascending."""
        seen = self.seen.among(rows)
        return self if seen is self.seen else LayerPart(part=self.part, seen=seen)


class First(NamedTuple):
    """Rows of a table, among which are the first in an order."""

    table: SceneTable
    rows: Rows
    in_order: bool
    """Whether they stand in it."""

    @property
    def places(self) -> list[Place]:
        """Where they stand."""
        return [Place(self.table, row) for row in self.rows.tolist()]
