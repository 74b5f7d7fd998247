"""Reads areas of rights from GeoJSON files and boxes."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Final

import shapely
from shapely.errors import ShapelyError
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from auth.errors import InvalidRightError
from auth.reach import Area, check_geometry, new_area

LARGEST_FILE: Final = 50_000_000
"""Bytes."""
SAME_VERTEX: Final = 1e-7
"""Degrees: about a centimetre; vertices nearer than this to the outline say nothing."""
_WGS84: Final = re.compile(r"(?:.*[:/])?(?:CRS84|4326)")


def area_of_box(west: float, south: float, east: float, north: float) -> Area:
    """Make the area of a box in degrees; one that crosses the antimeridian has its west east of its east.

    Raises:
        InvalidRightError: If it is empty or not on the Earth.
    """
    if not all(math.isfinite(side) for side in (west, south, east, north)):
        raise InvalidRightError("the area is none: W,S,E,N are four numbers")
    if west > east:
        box = shapely.union(shapely.box(west, south, 180, north), shapely.box(-180, south, east, north))
    else:
        box = shapely.box(west, south, east, north)
    if south >= north or west == east:
        raise InvalidRightError("the area is empty: W,S,E,N has its south below its north")
    return _area(box)


def area_of_file(path: Path) -> Area:
    """Read the polygons of a GeoJSON file: a geometry, a Feature, or the union of a FeatureCollection.

    Raises:
        InvalidRightError: If it is none, holds no polygon, or states another CRS than WGS 84.
        OSError: If it can't be read.
    """
    if path.stat().st_size > LARGEST_FILE:
        raise InvalidRightError(f"{path.name} has more than {LARGEST_FILE // 10**6} MB: simplify it")
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidRightError(f"{path.name} is no GeoJSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidRightError(f"{path.name} is no GeoJSON")
    _check_crs(document, path)
    geometries = [_geometry(part, path) for part in _parts(document)]
    if not geometries:
        raise InvalidRightError(f"{path.name} holds no geometry")
    try:
        return _area(geometries[0] if len(geometries) == 1 else shapely.union_all(geometries))
    except InvalidRightError as error:
        raise InvalidRightError(f"{path.name}: {error}") from None


def _parts(document: dict[str, Any]) -> list[Any]:
    if document.get("type") == "FeatureCollection":
        features = document.get("features")
        found = features if isinstance(features, list) else []
        return [feature.get("geometry") for feature in found if isinstance(feature, dict)]
    return [document.get("geometry")] if document.get("type") == "Feature" else [document]


def _geometry(part: Any, path: Path) -> BaseGeometry:
    try:
        geometry = shape(part)
    except Exception as error:  # shapely and numpy raise many kinds for coordinates that are none
        raise InvalidRightError(f"{path.name} holds a geometry that is none") from error
    flat = shapely.force_2d(geometry)
    _check(flat, path.name)
    return flat


def _check(geometry: BaseGeometry, name: str) -> None:
    try:
        check_geometry(geometry)
    except ValueError as error:
        raise InvalidRightError(f"{name}: {error}") from None


def _check_crs(document: dict[str, Any], path: Path) -> None:
    """Refuse the old `crs` member where it says anything but longitude and latitude."""
    crs = document.get("crs")
    if crs is None:
        return
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = str(properties.get("name", "")) if isinstance(properties, dict) else ""
    if _WGS84.fullmatch(name) is None:
        raise InvalidRightError(
            f"{path.name} is in {name or 'an unknown CRS'}: bring it to longitude and latitude (WGS 84)"
        )


def _area(geometry: BaseGeometry) -> Area:
    try:
        simple = shapely.simplify(geometry, SAME_VERTEX)
    except ShapelyError as error:
        raise InvalidRightError("the area can't be simplified") from error
    kept = simple if simple.is_valid and not simple.is_empty else geometry
    try:
        return new_area(shapely.to_wkb(kept))
    except ValueError as error:
        raise InvalidRightError(str(error)) from None
