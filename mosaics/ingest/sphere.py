"""Brings polygons to longitude and latitude: over the antimeridian, round a pole, off the Earth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyproj
import shapely
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    Coordinates = NDArray[np.float64]

DECIMALS: Final = 8
"""Of degrees: about 1 mm."""
_TURN: Final = 360.0


def outline_on_earth(polygons: Sequence[Polygon], crs: str, cell: float) -> BaseGeometry | None:
    """Transform polygons to longitude and latitude (WGS 84).

    Args:
        polygons: In the CRS, with vertices close enough that straight lines between them stay true.
        crs: Anything pyproj understands.
        cell: Size of a detail that may be lost, in units of the CRS.

    Returns:
        A valid Polygon or MultiPolygon cut at the antimeridian, or None if nothing lies on the Earth.
    """
    to_lonlat = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    is_degrees = pyproj.CRS.from_user_input(crs).is_geographic
    tolerance = (cell if is_degrees else cell / 111_320) / 10
    parts: list[BaseGeometry] = []
    for polygon in polygons:
        shell = _transformed(polygon.exterior.coords, to_lonlat, is_degrees=is_degrees)
        if shell is None:
            continue
        closed = Polygon(_closed_over_pole(shell))
        for ring in polygon.interiors:
            hole = _transformed(ring.coords, to_lonlat, is_degrees=is_degrees)
            if hole is not None:
                closed = _without(closed, Polygon(_closed_over_pole(hole)))
        parts.extend(_cut(shapely.make_valid(closed)))
    merged = shapely.unary_union(parts).simplify(tolerance) if parts else None
    return None if merged is None else _clean(merged)


def _transformed(coordinates: Iterable[Any], to_lonlat: Any, *, is_degrees: bool) -> Coordinates | None:
    """Transform a ring; vertices off the Earth are dropped. Longitudes run on over the antimeridian."""
    ring = np.asarray(list(coordinates), dtype=np.float64)[:, :2]
    if is_degrees:
        ring[:, 1] = np.clip(ring[:, 1], -90, 90)
    lon, lat = to_lonlat.transform(ring[:, 0], ring[:, 1])
    lonlat = np.column_stack([lon, lat]).astype(np.float64)
    on_earth = np.isfinite(lonlat).all(axis=1) & (np.abs(lonlat[:, 1]) <= 90)
    lonlat = lonlat[on_earth]
    if len(lonlat) < 3:
        return None
    if is_degrees and not _jumps(ring[on_earth, 0]):
        # a plain grid of degrees says itself where it runs on; PROJ may have wrapped it
        turns = np.round((ring[on_earth, 0] - lonlat[:, 0]) / _TURN)
        lonlat[:, 0] += turns * _TURN
    else:
        lonlat[:, 0] = np.unwrap(lonlat[:, 0], period=_TURN)
    return lonlat


def _jumps(longitudes: Coordinates) -> bool:
    return bool(np.abs(np.diff(longitudes)).max(initial=0) > _TURN / 2)


def _closed_over_pole(ring: Coordinates) -> Coordinates:
    """Close a ring; one that went round a pole gets the edge along that pole."""
    turn = ring[-1, 0] - ring[0, 0]
    if abs(turn) < _TURN / 2:
        return ring
    pole = math.copysign(90.0, float(ring[:, 1].mean()))
    end = ring[0, 0] + math.copysign(_TURN, turn)
    edge = [[end, ring[0, 1]], [end, pole], [ring[0, 0], pole], ring[0].tolist()]
    return np.vstack([ring[:-1], edge])


def _without(shell: BaseGeometry, hole: Polygon) -> BaseGeometry:
    """Cut a hole out of a shell, whichever turn of the Earth its longitudes are on."""
    for turn in (-1, 0, 1):
        moved = translate(shapely.make_valid(hole), turn * _TURN)
        shell = shapely.make_valid(shell).difference(moved)
    return shell


def _cut(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Cut at the antimeridian and bring every part to longitudes from -180 to 180."""
    left, _, right, _ = geometry.bounds
    parts = []
    for turn in range(math.floor((left + 180) / _TURN), math.floor((right + 180) / _TURN) + 1):
        strip = shapely.box(-180 + turn * _TURN, -90, 180 + turn * _TURN, 90)
        part = translate(geometry.intersection(strip), -turn * _TURN)
        if part.area > 0:
            parts.append(part)
    return parts


def _clean(geometry: BaseGeometry) -> BaseGeometry | None:
    """Round to millimetres, and keep only areas."""
    rounded = shapely.set_precision(shapely.make_valid(geometry), 10.0**-DECIMALS)
    polygons = [p for p in shapely.get_parts(shapely.get_parts(rounded)) if isinstance(p, Polygon) and p.area]
    if not polygons:
        return None
    return polygons[0] if len(polygons) == 1 else MultiPolygon(polygons)
