"""A STAC Collection as the definition of a mosaic: its extent, its summaries and its id become a filter.

Taken are: `id`, where a collection of that name is banked; `title` and `description`; `extent.spatial.bbox`
(scenes that meet it; of several boxes the first is around the others, which count) but for the whole Earth;
`extent.temporal.interval` in the same way; of `summaries` those that can be asked for, lists as `in` and
ranges as `between`. A scene of which such a property isn't known is not selected. Nothing else is taken: no
licence (the id of ours is no SPDX identifier), no links, no assets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from mosaics.cql2 import Expression, compare, every, one_of
from mosaics.errors import MosaicInvalidError
from mosaics.queryables import DATETIME, QUERYABLE_NUMBERS, QUERYABLE_WORDS
from mosaics.shorthands import acquired_within, meeting

_WHOLE_EARTH: Final = [-180, -90, 180, 90]
_NUMBERS: Final = frozenset(QUERYABLE_NUMBERS) - {DATETIME}
_WORDS: Final = frozenset(QUERYABLE_WORDS) - {"id", "collection", "license"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionFilter:
    """What was taken of a STAC Collection."""

    where: Expression | None
    """CQL2 JSON; None: every scene."""
    left_out: tuple[str, ...]
    """What was not taken although it says something of scenes, in words."""


def filter_of_collection(document: dict[str, Any], banked: Collection[str]) -> CollectionFilter:
    """Take the filter of a STAC Collection.

    Args:
        document: The Collection.
        banked: Ids of the collections that are banked.

    Raises:
        MosaicInvalidError: If its extent or a summary is not as STAC has it.
        FilterInvalidError: If a box or date of it is none.
    """
    left_out = []
    id_, extent = document.get("id"), document.get("extent", {})
    parts: list[Expression | None] = []
    if id_ in banked:
        parts.append(compare("=", "collection", id_))
    else:
        left_out.append(f"id: no collection {id_!r} is banked, so scenes of all collections are looked at")
    parts.append(_any(_extents(extent, "spatial", "bbox"), _box))
    parts.append(_any(_extents(extent, "temporal", "interval"), _interval))
    summaries = document.get("summaries", {})
    if not isinstance(summaries, dict):
        raise MosaicInvalidError("summaries is an object")
    for name, summary in summaries.items():
        found = _summarised(name, summary)
        if found is None:
            left_out.append(f"summaries: {name}")
        parts.append(found)
    return CollectionFilter(where=every(*parts), left_out=tuple(left_out))


def _extents(extent: Any, kind: str, name: str) -> list[Any]:
    """Give the boxes or intervals that count."""
    held = extent.get(kind, {}) if isinstance(extent, dict) else None
    found = held.get(name, []) if isinstance(held, dict) else None
    if not isinstance(found, list):
        raise MosaicInvalidError(f"extent.{kind}.{name} is a list")
    return found[1:] or found


def _any(extents: list[Any], written: Callable[[Any], Expression | None]) -> Expression | None:
    """Give the filter of what is in some extent; None: one of them is everything, or there is none."""
    found = [written(each) for each in extents]
    known = [each for each in found if each is not None]
    if not known or len(known) < len(found):
        return None
    return known[0] if len(known) == 1 else {"op": "or", "args": known}


def _box(bbox: Any) -> Expression | None:
    flat = [*bbox[:2], *bbox[3:5]] if isinstance(bbox, list) and len(bbox) == 6 else bbox
    return None if flat == _WHOLE_EARTH else meeting(flat)


def _interval(ends: Any) -> Expression | None:
    if not isinstance(ends, list) or len(ends) != 2:
        raise MosaicInvalidError("extent.temporal.interval has pairs of times")
    first, last = ends
    return None if first is None and last is None else acquired_within(first, last)


def _summarised(name: str, summary: Any) -> Expression | None:
    """Give the filter of one summary; None: it can't be asked for."""
    kind: type | tuple[type, ...]
    if name in _NUMBERS:
        kind = (int, float)
    elif name in _WORDS:
        kind = str
    else:
        return None
    if isinstance(summary, list) and summary and all(isinstance(each, kind) for each in summary):
        return one_of(name, summary)
    if isinstance(summary, dict) and {"minimum", "maximum"} <= summary.keys():
        ends = [summary["minimum"], summary["maximum"]]
        if all(isinstance(each, kind) for each in ends):
            return compare("between", name, *ends)
    return None
