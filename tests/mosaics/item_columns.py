"""STAC items as columns: what filters and orders need of them, made anew each time it is asked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from mosaics.cql2_terms import parse_instant
from mosaics.queryables import DATETIME

_OF_THE_ITEM = frozenset({"id", "collection"})


class ItemColumns:
    """`Columns` of items; one that lacks a geometry is left out alone, as no scene can be made of it."""

    def __init__(self, items: Iterable[dict[str, Any]]) -> None:
        """Take items, as the catalogue keeps them."""
        read = [(item, _footprint(item)) for item in items]
        self.items = tuple(item for item, footprint in read if footprint is not None)
        """Those that were not left out, row by row."""
        self._footprints = np.empty(len(self.items), object)
        self._footprints[:] = [footprint for _, footprint in read if footprint is not None]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Give a number of each item."""
        read = _seconds if name == DATETIME else _number
        return np.array([read(_value(item, name)) for item in self.items], "float64")

    def words(self, name: str) -> tuple[NDArray[np.int32], tuple[str | None, ...]]:
        """Give a word of each item."""
        places: dict[str | None, int] = {}
        codes = [places.setdefault(_word(_value(item, name)), len(places)) for item in self.items]
        return np.array(codes, "int32"), tuple(places)

    def footprints(self, rows: NDArray[np.intp]) -> NDArray[np.object_]:
        """Give the geometries of some items."""
        found: NDArray[np.object_] = self._footprints[rows]
        return found

    @property
    def bounds(self) -> NDArray[np.float64]:
        """What is around each geometry."""
        found: NDArray[np.float64] = shapely.bounds(self._footprints).reshape(-1, 4)
        return found

    def __len__(self) -> int:
        return len(self.items)


def _footprint(item: dict[str, Any]) -> BaseGeometry | None:
    try:
        found = shape(item["geometry"])
    except Exception:  # noqa: BLE001 - shapely and numpy raise many kinds for coordinates that are none
        return None
    return None if found.is_empty else found


def _value(item: dict[str, Any], name: str) -> Any:
    held = item if name in _OF_THE_ITEM else item.get("properties")
    return held.get(name) if isinstance(held, dict) else None


def _number(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known else math.nan


def _seconds(value: Any) -> float:
    try:
        return parse_instant(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None
