"""The filters that people ask for most, in a few words each, as CQL2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mosaics.cql2 import Expression, compare, every, one_of
from mosaics.cql2_terms import Span, box_of
from mosaics.errors import FilterInvalidError


@dataclass(frozen=True, kw_only=True, slots=True)
class Shorthands:
    """What scenes have to be; what isn't said does not matter, and what isn't known of a scene fails."""

    collections: tuple[str, ...] = ()
    """Ids: one of these."""
    sensors: tuple[str, ...] = ()
    """Ids: one of these."""
    first: str | None = None
    """Date (its whole day) or time from which they were acquired."""
    last: str | None = None
    """Date (its whole day) or time until which they were acquired."""
    most_cloud: float | None = None
    """Percent."""
    most_incidence: float | None = None
    """Degrees of the incidence angle; where that isn't known, of the off-nadir angle."""
    bbox: tuple[float, float, float, float] | None = None
    """West, south, east, north, degrees: what they meet; across the antimeridian west is the greater."""

    def expression(self) -> Expression | None:
        """Write it as CQL2 JSON; None: every scene.

        Raises:
            FilterInvalidError: If a date or the box is none.
        """
        return every(
            one_of("collection", list(self.collections)) if self.collections else None,
            one_of("flux:sensor", list(self.sensors)) if self.sensors else None,
            self._acquired(),
            None if self.most_cloud is None else compare("<=", "eo:cloud_cover", self.most_cloud),
            None if self.most_incidence is None else _inclined(self.most_incidence),
            None if self.bbox is None else meeting(self.bbox),
        )

    def _acquired(self) -> Expression | None:
        if self.first is None and self.last is None:
            return None
        return acquired_within(self.first, self.last)


def acquired_within(first: str | None, last: str | None) -> Expression:
    """Write that scenes were acquired from one date or time to another, both inside; None: no end.

    Raises:
        FilterInvalidError: If one is none, or they are in the wrong order.
    """
    interval = {"interval": [first or "..", last or ".."]}
    Span.parse(interval)
    return compare("t_intersects", "datetime", interval)


def meeting(bbox: Any) -> Expression:
    """Write that footprints meet a box.

    Raises:
        FilterInvalidError: If it is none.
    """
    box_of(bbox)
    return compare("s_intersects", "geometry", {"bbox": list(bbox)})


def _inclined(most: float) -> Expression:
    if not 0 <= most <= 90:
        raise FilterInvalidError("an incidence angle is from 0 to 90 degrees")
    incidence, off_nadir = "view:incidence_angle", "view:off_nadir"
    unknown = {"op": "and", "args": [compare("isNull", incidence), compare("<=", off_nadir, most)]}
    return {"op": "or", "args": [compare("<=", incidence, most), unknown]}
