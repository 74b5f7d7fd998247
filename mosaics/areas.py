"""Areas of rights, longitude and latitude: cut, compared, prepared, and told apart."""

from __future__ import annotations

import hashlib

import shapely
from shapely.geometry.base import BaseGeometry

from mosaics.models import Bounds

CLOSED = shapely.Point()
"""Stands for no area at all, where None is everywhere."""
_EARTH = shapely.box(-180, -90, 180, 90)


def less(area: BaseGeometry | None, holes: list[BaseGeometry | None]) -> BaseGeometry | None:
    """Give an area less its holes: None everywhere, CLOSED nowhere."""
    if any(hole is None for hole in holes):
        return CLOSED
    if not holes:
        return CLOSED if area is not None and area.is_empty else area
    whole = _EARTH if area is None else area
    part = shapely.difference(whole, shapely.union_all(holes))
    return CLOSED if part.is_empty else part


def common_bounds(footprint: BaseGeometry, area: BaseGeometry) -> Bounds | None:
    """Give the bounds of what two outlines share; None where that has no surface."""
    common = shapely.intersection(footprint, area)
    if common.area <= 0.0:
        return None
    polygons = [part for part in shapely.get_parts(common) if part.area > 0.0]
    return Bounds(*(float(v) for v in shapely.total_bounds(polygons)))


def prepare(area: BaseGeometry) -> None:
    """Prepare an area and use each kind of index once: GEOS builds them at the first use, unguarded."""
    shapely.prepare(area)
    point = area.representative_point()
    shapely.contains_xy(area, point.x, point.y)
    shapely.intersects(area, point.buffer(1e-9))
    shapely.covers(area, point.buffer(1e-9))


def area_token(area: BaseGeometry | None) -> str:
    """Write everything that matters of an area: a digest; None: everywhere."""
    if area is None:
        return "everywhere"
    return hashlib.blake2b(shapely.to_wkb(area), digest_size=12).hexdigest()
