"""Frames around whole layers, for previews and quicklooks."""

from __future__ import annotations

import math

import shapely
from pyproj import Transformer

from mosaics.geodesy import ground_resolution
from mosaics.layers import Layer
from mosaics.models import Bounds, Frame

WEB_MERCATOR_LATITUDE = 85.05
"""Web Mercator ends a little north of this, degrees."""
_TURN = 2 * math.pi * 6378137.0
"""Circumference of the equator in Web Mercator, metres."""


def layer_frame(layer: Layer, width: int, max_height: int) -> Frame:
    """Give the Web Mercator frame around a layer; one that crosses the antimeridian is shown in one piece.

    Args:
        layer: The layer.
        width: Columns; fewer where the layer is too high for them, or where rights open only coarser ones.
        max_height: Most rows.
    """
    bounds = layer.bounds
    if bounds.right - bounds.left > 180:
        parts = [part.bounds for part in shapely.get_parts(layer.footprints())]
        west = min(part[0] if part[0] >= 0 else part[0] + 360 for part in parts)
        east = max(part[2] if part[0] >= 0 else part[2] + 360 for part in parts)
        if east - west < bounds.right - bounds.left:
            bounds = Bounds(west, bounds.bottom, east, bounds.top)
    return area_frame(layer, bounds, width, max_height)


def area_frame(layer: Layer, bounds: Bounds, width: int, max_height: int) -> Frame:
    """Give the Web Mercator frame around lon/lat bounds, no finer than rights open the layer.

    Args:
        layer: The layer.
        bounds: Longitudes and latitudes; the east may be beyond 180 degrees.
        width: Columns; fewer where the bounds are too high for them, or where rights open only coarser ones.
        max_height: Most rows.
    """
    frame = bounds_frame(bounds, width, max_height)
    while max(frame.width, frame.height) > 1 and ground_resolution(frame) < layer.limit:
        part = min(ground_resolution(frame) / layer.limit, 1 - 1 / max(frame.width, frame.height))
        frame = bounds_frame(bounds, max(1, int(frame.width * part)), max(1, int(frame.height * part)))
    return frame


def bounds_frame(bounds: Bounds, width: int, max_height: int) -> Frame:
    """Give the Web Mercator frame around lon/lat bounds; the east may be beyond 180 degrees.

    Args:
        bounds: Longitudes and latitudes.
        width: Columns; fewer where the bounds are too high for them.
        max_height: Most rows.
    """
    to_mercator = Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True)
    south = min(max(bounds.bottom, -WEB_MERCATOR_LATITUDE), WEB_MERCATOR_LATITUDE)
    north = min(max(bounds.top, -WEB_MERCATOR_LATITUDE), WEB_MERCATOR_LATITUDE)
    left, bottom = to_mercator.transform(bounds.left, south)
    right, top = to_mercator.transform(bounds.right, north)
    right += _TURN if right < left else 0.0
    pixel = max((right - left) / width, (top - bottom) / max_height, 1e-6)
    columns = max(1, math.ceil((right - left) / pixel - 1e-6))
    rows = max(1, math.ceil((top - bottom) / pixel - 1e-6))
    return Frame(
        crs="EPSG:3857",
        bounds=Bounds(left, top - rows * pixel, left + columns * pixel, top),
        width=columns,
        height=rows,
    )
