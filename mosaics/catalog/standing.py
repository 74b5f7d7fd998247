"""Which of a layer's overviews hold now: those whose scenes are all as they were when they were made."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mosaics.catalog.overview import period_bounds

if TYPE_CHECKING:
    from mosaics.catalog.index import Part
    from mosaics.catalog.overview import Overview
    from mosaics.catalog.table import Rows, SceneTable

_KEY_WORDS: Final = ("collection", "license", "flux:sensor", "look")
NONE: Final = -1
"""Stands for no overview."""


class Held(NamedTuple):
    """Of each row of a table the overview that it was made into."""

    overview: NDArray[np.int32]
    """Its place among the overviews; NONE: it is in none."""
    member: NDArray[np.int32]
    """The row's number in it, from 1; 0: none."""

    @property
    def size_bytes(self) -> int:
        """What it takes in memory."""
        return int(self.overview.nbytes + self.member.nbytes)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerRows:
    """All scenes of a layer that are in one part, whoever asks."""

    part: Part
    rows: Rows
    """Ascending."""

    @property
    def table(self) -> SceneTable:
        """The columns of all rows of the part."""
        return self.part.table


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """A layer's overviews against what the catalogue holds now, found out when it is first asked for."""

    parts: tuple[LayerRows, ...]
    overviews: tuple[Overview, ...]
    """Those that were made as the layer is defined now."""

    def held(self, table: SceneTable) -> Held:
        """Tell for each row of a table which overview it is in; remembered with the table."""
        return table.recall(
            ("overviews", self.named), lambda: self._find(table), lambda held: held.size_bytes
        )

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """Whether each overview shows what it should: none of its scenes was changed or taken away."""
        there = np.zeros(len(self.overviews), np.int64)
        for part in self.parts:
            overview = self.held(part.table).overview[part.rows]
            there += np.bincount(overview[overview != NONE], minlength=len(there))
        return np.equal(there, [overview.count for overview in self.overviews])

    @cached_property
    def token(self) -> str:
        """What changes whenever other overviews hold."""
        return repr([name for name, holds in zip(self.named, self.valid, strict=True) if holds])

    @cached_property
    def touched(self) -> NDArray[np.bool_]:
        """Whether there are scenes that would be in an overview if it were made now, and are in none."""
        found = np.zeros(len(self.overviews), bool)
        for part in self.parts:
            rows = part.rows[self.held(part.table).overview[part.rows] == NONE]
            if len(rows):
                found |= [_would_hold(overview, part.table, rows) for overview in self.overviews]
        return found

    def recall(self, key: Hashable, find: Callable[[], Any]) -> Any:
        """Give what was found out before about this state, or find it out and remember it."""
        if key not in self._found:
            self._found[key] = find()
        return self._found[key]

    @cached_property
    def _found(self) -> dict[Hashable, Any]:
        return {}

    @cached_property
    def named(self) -> tuple[tuple[str, str], ...]:
        """What tells these overviews from others: name and content of each."""
        return tuple((each.name, each.numbers.generation) for each in self.overviews)

    def _find(self, table: SceneTable) -> Held:
        tokens = _together([overview.tokens for overview in self.overviews], np.uint64)
        places = _together([np.full(len(each.tokens), n) for n, each in enumerate(self.overviews)], np.int32)
        members = _together([np.arange(1, len(each.tokens) + 1) for each in self.overviews], np.int32)
        kept = tokens != 0
        tokens, places, members = tokens[kept], places[kept], members[kept]
        order = np.argsort(tokens, kind="stable")
        tokens, places, members = tokens[order], places[order], members[order]
        overview, member = np.full(len(table), NONE, np.int32), np.zeros(len(table), np.int32)
        if len(tokens):
            at = np.minimum(np.searchsorted(tokens, table.tokens), len(tokens) - 1)
            same = tokens[at] == table.tokens
            overview[same], member[same] = places[at[same]], members[at[same]]
        return Held(overview, member)


def _together(arrays: Sequence[NDArray[Any]], kind: Any) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *(array.astype(kind) for array in arrays)])


def _would_hold(overview: Overview, table: SceneTable, rows: Rows) -> bool:
    """Tell whether any of some rows has what the scenes of an overview have in common."""
    fit = np.ones(len(rows), bool)
    for name, wanted in zip(_KEY_WORDS, overview.key, strict=False):
        codes, values = table.words(name)
        fit &= np.array([value == wanted for value in values], bool)[codes[rows]]
    begin, end = period_bounds(overview.key.period)
    acquired = table.numbers("datetime")[rows]
    fit &= np.isnan(acquired) if math.isnan(begin) else (acquired >= begin) & (acquired < end)
    return bool(fit.any())
