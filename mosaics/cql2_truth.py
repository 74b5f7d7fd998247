"""Parts of a filter, evaluated over columns: each says yes, no, or nothing where a value isn't known.

Source: OGC 21-065r2 (CQL2); unknown values as in SQL: what is compared with them is neither true nor false.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mosaics.queryables import GEOMETRY, QUERYABLE_NUMBERS, Columns

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What is known of each scene; both False: nothing is."""

    yes: Flags
    """True where it holds, shape (n,)."""
    no: Flags
    """True where it does not hold, shape (n,)."""


class Part(Protocol):
    """A filter, or a part of one."""

    def truth(self, columns: Columns) -> Truth:
        """Evaluate it."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """The same for all."""

    value: bool

    def truth(self, columns: Columns) -> Truth:
        """Evaluate it."""
        holds = np.full(len(columns), self.value)
        return Truth(yes=holds, no=~holds)


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold."""

    parts: tuple[Part, ...]

    def truth(self, columns: Columns) -> Truth:
        """Evaluate it."""
        found = [part.truth(columns) for part in self.parts]
        return Truth(
            yes=reduce(np.logical_and, [each.yes for each in found]),
            no=reduce(np.logical_or, [each.no for each in found]),
        )


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds."""

    parts: tuple[Part, ...]

    def truth(self, columns: Columns) -> Truth:
        """Evaluate it."""
        found = [part.truth(columns) for part in self.parts]
        return Truth(
            yes=reduce(np.logical_or, [each.yes for each in found]),
            no=reduce(np.logical_and, [each.no for each in found]),
        )


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold; what isn't known stays so."""

    part: Part

    def truth(self, columns: Columns) -> Truth:
        """Evaluate it."""
        found = self.part.truth(columns)
        return Truth(yes=found.no, no=found.yes)


@dataclass(frozen=True, slots=True)
class NumberTest:
    """Something of a number, or of an instant."""

    name: str
    holds: Callable[[NDArray[np.float64]], Flags]
    """Of values, which are known."""

    def truth(self, columns: Columns) -> Truth:
        """Evaluate it."""
        values = columns.numbers(self.name)
        known = ~np.isnan(values)
        holds = self.holds(values)
        return Truth(yes=known & holds, no=known & ~holds)


@dataclass(frozen=True, slots=True)
class WordTest:
    """Something of a word; asked once for each word that there is."""

    name: str
    holds: Callable[[str], bool]

    def truth(self, columns: Columns) -> Truth:
        """Evaluate it."""
        codes, words = columns.words(self.name)
        held = [None if word is None else self.holds(word) for word in words]
        yes = np.fromiter((each is True for each in held), bool, len(held))
        no = np.fromiter((each is False for each in held), bool, len(held))
        return Truth(yes=yes[codes], no=no[codes])


@dataclass(frozen=True, slots=True)
class NullTest:
    """A value isn't known."""

    name: str

    def truth(self, columns: Columns) -> Truth:
        """Evaluate it."""
        if self.name == GEOMETRY:
            unknown = np.zeros(len(columns), bool)
        elif self.name in QUERYABLE_NUMBERS:
            unknown = np.isnan(columns.numbers(self.name))
        else:
            codes, words = columns.words(self.name)
            unknown = np.fromiter((word is None for word in words), bool, len(words))[codes]
        return Truth(yes=unknown, no=~unknown)


@dataclass(frozen=True, slots=True)
class ShapeTest:
    """How footprints lie to an area."""

    area: BaseGeometry
    """Longitude and latitude, prepared."""
    holds: Callable[[BaseGeometry, NDArray[np.object_]], Flags]
    """A predicate of shapely, the area first; it is False for footprints apart from the area."""

    def truth(self, columns: Columns) -> Truth:
        """Evaluate it; only footprints whose bounds meet those of a part of the area are looked at."""
        bounds = columns.bounds
        near = np.zeros(len(columns), bool)
        for west, south, east, north in shapely.bounds(shapely.get_parts(self.area)):
            near |= (
                (bounds[:, 0] <= east)
                & (bounds[:, 2] >= west)
                & (bounds[:, 1] <= north)
                & (bounds[:, 3] >= south)
            )
        rows = np.flatnonzero(near)
        yes = np.zeros(len(columns), bool)
        yes[rows] = self.holds(self.area, columns.footprints(rows))
        return Truth(yes=yes, no=~yes)
