"""Reads what numbers are asked of: polygons in the body of a request, and boxes, points in its address."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from mosaics.models import Bounds
from server.requests import BadRequestError, HttpRequest, TooLargeError, json_body

LARGEST_BODY: Final = 2_000_000
"""Bytes."""
MOST_FEATURES: Final = 16
"""In one request; each is read as an answer of its own."""
MOST_VERTICES: Final = 10_000
"""Of all features of a request."""
_KINDS: Final = ("application/json", "application/geo+json")
_POLYGONS: Final = frozenset({"Polygon", "MultiPolygon"})
_NUMBER: Final = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,20})?")


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A polygon, and the GeoJSON Feature that it came as."""

    document: dict[str, Any]
    geometry: BaseGeometry
    """Longitude and latitude."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """What a body holds."""

    features: tuple[Feature, ...]
    collected: bool
    """True where it was a FeatureCollection."""


def features_of(request: HttpRequest) -> Features:
    """Read a GeoJSON Feature, FeatureCollection, Polygon or MultiPolygon, longitude and latitude.

    Raises:
        BadRequestError: If it is none.
        TooLargeError: If it is longer, has more features or more vertices than is ever answered.
    """
    if len(request.body) > LARGEST_BODY:
        raise TooLargeError(f"the body has at most {LARGEST_BODY} bytes")
    document = json_body(request, _KINDS)
    if not isinstance(document, dict):
        raise BadRequestError("the body must be a GeoJSON object")
    _check_text(document)
    collected = document.get("type") == "FeatureCollection"
    parts = document.get("features") if collected else [document]
    if not isinstance(parts, list) or not parts:
        raise BadRequestError("features must be a list of Features")
    if len(parts) > MOST_FEATURES:
        raise TooLargeError(f"at most {MOST_FEATURES} features")
    features = tuple(_feature(part) for part in parts)
    if sum(int(shapely.get_num_coordinates(f.geometry)) for f in features) > MOST_VERTICES:
        raise TooLargeError(f"at most {MOST_VERTICES} vertices")
    for feature in features:
        _check(feature.geometry)
    return Features(features=features, collected=collected)


def named_polygons(request: HttpRequest, needed: str, other: str) -> tuple[BaseGeometry, BaseGeometry | None]:
    """Read a JSON object of a polygon and perhaps another, each a GeoJSON geometry or Feature.

    Args:
        request: Whose body it is.
        needed: Name of the one that must be there.
        other: Name of the one that may.

    Raises:
        BadRequestError: If it is none.
        TooLargeError: If it is longer, or has more vertices than is ever answered.
    """
    if len(request.body) > LARGEST_BODY:
        raise TooLargeError(f"the body has at most {LARGEST_BODY} bytes")
    document = json_body(request, _KINDS)
    if not isinstance(document, dict) or not {needed} <= document.keys() <= {needed, other}:
        raise BadRequestError(f"the body must be an object of {needed} and, if you like, {other}")
    _check_text(document)
    found = {name: _feature(part).geometry for name, part in document.items() if part is not None}
    if needed not in found:
        raise BadRequestError(f"{needed} is needed")
    if sum(int(shapely.get_num_coordinates(geometry)) for geometry in found.values()) > MOST_VERTICES:
        raise TooLargeError(f"at most {MOST_VERTICES} vertices")
    for geometry in found.values():
        _check(geometry)
    return found[needed], found.get(other)


def box_of(text: str) -> Bounds:
    """Read W,S,E,N in degrees.

    Raises:
        BadRequestError: If it is none, is empty, or leaves the Earth.
    """
    west, south, east, north = _numbers(text, 4, "bbox must be W,S,E,N in degrees")
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise BadRequestError("bbox must have its west below its east and its south below its north")
    return Bounds(west, south, east, north)


def place_of(text: str) -> tuple[float, float]:
    """Read LON,LAT in degrees.

    Raises:
        BadRequestError: If it is none.
    """
    longitude, latitude = _numbers(text, 2, "a point must be LON,LAT in degrees")
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise BadRequestError("a point must be LON,LAT in degrees")
    return longitude, latitude


def _numbers(text: str, count: int, message: str) -> tuple[float, ...]:
    parts = text.split(",")
    if len(parts) != count or not all(_NUMBER.fullmatch(part) for part in parts):
        raise BadRequestError(message)
    return tuple(float(part) for part in parts)


def _feature(part: Any) -> Feature:
    if not isinstance(part, dict):
        raise BadRequestError("a Feature must be an object")
    if part.get("type") != "Feature":
        part = {"type": "Feature", "properties": {}, "geometry": part}
    properties = part.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise BadRequestError("properties must be an object")
    geometry = part.get("geometry")
    if not isinstance(geometry, dict) or geometry.get("type") not in _POLYGONS:
        raise BadRequestError("a geometry must be a Polygon or MultiPolygon")
    try:
        polygon = shapely.force_2d(shape(geometry))
    except Exception as error:  # shapely and numpy raise many kinds for coordinates that are none
        raise BadRequestError("the geometry is not well formed") from error
    return Feature(document=part, geometry=polygon)


def _check(geometry: BaseGeometry) -> None:
    if geometry.is_empty or geometry.geom_type not in _POLYGONS:
        raise BadRequestError("the geometry is empty")
    west, south, east, north = geometry.bounds
    if not (west >= -180 and south >= -90 and east <= 180 and north <= 90):
        raise BadRequestError("the geometry must be in longitude and latitude (WGS 84)")
    if not geometry.is_valid:
        raise BadRequestError("the geometry is not a valid polygon")


def _check_text(document: dict[str, Any]) -> None:
    """Refuse text that can't be written back: half of a surrogate pair."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise BadRequestError("the body is not well-formed JSON") from error
