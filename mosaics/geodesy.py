"""How long pixels are on the ground: geodesic lengths on the ellipsoid, for frames and for files."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer

from mosaics.models import Bounds, Frame

Array = NDArray[np.float64]

GEOD = Geod(ellps="WGS84")
"""The ellipsoid that all lengths are measured on."""
METRES_PER_DEGREE = 2 * np.pi * 6378137.0 / 360
"""Of longitude at the equator; OGC 07-057r7, 6.1."""
SAMPLES = 5
"""Points along each axis where a frame's resolution is sampled."""
STEP = 1 / 16
"""Part of a pixel that is measured, so that a pixel as wide as the world is not seen from behind."""

UPRIGHT = frozenset({"EPSG:3857", "OGC:CRS84", "EPSG:4326"})
"""Systems of which each column has one longitude, and each row one latitude."""
_ALIKE_ALONG_X = frozenset({"EPSG:3857"})
"""Systems in which a place's east or west changes no length: the tiles of a row are measured once."""


@lru_cache(maxsize=256)
def lonlat_transformer(crs: str) -> Transformer:
    """Give the way from a CRS (x east, y north) to longitude and latitude (WGS 84); kept, safe to share.

    Args:
        crs: Anything pyproj understands.

    Raises:
        pyproj.exceptions.ProjError: If it is no CRS, or not one of the Earth.
    """
    return Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)


@lru_cache(maxsize=256)
def metres_per_unit(crs: str) -> float:
    """Give the nominal length of a CRS's unit, metres; a degree counts as at the equator."""
    parsed = CRS.from_user_input(crs)
    if parsed.is_geographic:
        return METRES_PER_DEGREE
    return float(parsed.axis_info[0].unit_conversion_factor) if parsed.axis_info else 1.0


def nominal_pixel_size(frame: Frame) -> float:
    """Give the metres that a frame's CRS takes its pixels to be, the same on all tiles of a zoom."""
    return (frame.bounds.right - frame.bounds.left) / frame.width * metres_per_unit(frame.crs)


def ground_pixel_size(frame: Frame) -> tuple[Array, Array]:
    """Measure the pixels of the centre column on the ground.

    Rows off the Earth get the size of the nearest row that is on it, a frame wholly off the Earth its
    nominal size.

    Args:
        frame: The pixels.

    Returns:
        Metres per pixel along x and along y, shape (height, 1) each; kept, so nobody writes to them.
    """
    return _pixel_size(frame.crs, _placed(frame), frame.width, frame.height)


@lru_cache(maxsize=512)
def _pixel_size(crs: str, bounds: Bounds, width: int, height: int) -> tuple[Array, Array]:
    left, bottom, right, top = bounds
    dx, dy = (right - left) / width, (top - bottom) / height
    x = (left + right) / 2
    edges = top - np.arange(height + 1) * dy
    centres = edges[:-1] - dy / 2
    xs = np.concatenate([np.full(edges.size, x), np.full(height, x - dx / 2), np.full(height, x + dx / 2)])
    lon, lat = _lonlat(crs, xs, np.concatenate([edges, centres, centres]))
    n = height
    along_y = _distance(lon[:n], lat[:n], lon[1 : n + 1], lat[1 : n + 1])
    along_x = _distance(lon[n + 1 : 2 * n + 1], lat[n + 1 : 2 * n + 1], lon[2 * n + 1 :], lat[2 * n + 1 :])
    unit = metres_per_unit(crs)
    sizes = _filled(along_x, dx * unit), _filled(along_y, dy * unit)
    for size in sizes:
        size.flags.writeable = False
    return sizes


def _placed(frame: Frame) -> Bounds:
    """Give a frame's bounds, moved along x to where all that are measured alike are moved."""
    left, bottom, right, top = frame.bounds
    return Bounds(0.0, bottom, right - left, top) if frame.crs in _ALIKE_ALONG_X else frame.bounds


def ground_resolution(frame: Frame) -> float:
    """Give a frame's resolution, metres per pixel: the finest over the frame and both axes.

    Sampled at 5 x 5 pixel centres, those of the corners included; where none is on the Earth, nominal.
    """
    return _resolution(frame.crs, _placed(frame), frame.width, frame.height)


@lru_cache(maxsize=4096)
def _resolution(crs: str, bounds: Bounds, width: int, height: int) -> float:
    left, bottom, right, top = bounds
    dx, dy = (right - left) / width, (top - bottom) / height
    xs = np.linspace(left + dx / 2, right - dx / 2, SAMPLES)
    ys = np.linspace(bottom + dy / 2, top - dy / 2, SAMPLES)
    grid_x, grid_y = (grid.ravel() for grid in np.meshgrid(xs, ys))
    finest = _finest(crs, (grid_x, grid_y), ((dx, 0.0), (0.0, dy)))
    return finest if math.isfinite(finest) else min(dx, dy) * metres_per_unit(crs)


def scene_ground_resolution(
    crs: str, transform: tuple[float, float, float, float, float, float], width: int, height: int
) -> float:
    """Give a file's native resolution, metres per pixel: the finer axis at its centre, however it is turned.

    Where the centre is off the Earth, the finest over the file.

    Args:
        crs: Anything pyproj understands.
        transform: Affine (a, b, c, d, e, f): x = a col + b row + c, y = d col + e row + f.
        width: Columns.
        height: Rows.
    """
    a, b, c, d, e, f = transform
    steps = ((a, d), (b, e))
    column, row = np.array([width / 2]), np.array([height / 2])
    centre = (a * column + b * row + c, d * column + e * row + f)
    finest = _finest(crs, centre, steps)
    if not np.isfinite(finest):
        columns, rows = np.meshgrid(
            np.linspace(0.5, width - 0.5, SAMPLES), np.linspace(0.5, height - 0.5, SAMPLES)
        )
        everywhere = ((a * columns + b * rows + c).ravel(), (d * columns + e * rows + f).ravel())
        finest = _finest(crs, everywhere, steps)
    if not np.isfinite(finest):
        finest = min(float(np.hypot(*step)) for step in steps) * metres_per_unit(crs)
    return finest


def _finest(crs: str, centres: tuple[Array, Array], steps: tuple[tuple[float, float], ...]) -> float:
    """Give the least ground length of a pixel's steps at the points; infinite if none can be measured."""
    x, y = centres
    ends = [(sign * step_x, sign * step_y) for sign in (-STEP / 2, STEP / 2) for step_x, step_y in steps]
    lon, lat = _lonlat(
        crs, np.concatenate([x + dx for dx, _ in ends]), np.concatenate([y + dy for _, dy in ends])
    )
    half = lon.size // 2
    lengths = _distance(lon[:half], lat[:half], lon[half:], lat[half:])
    lengths = lengths[np.isfinite(lengths) & (lengths > 0)]
    return float(lengths.min()) / STEP if lengths.size else math.inf


def _lonlat(crs: str, xs: Array, ys: Array) -> tuple[Array, Array]:
    """Transform points; those off the Earth become NaN."""
    lon, lat = lonlat_transformer(crs).transform(xs, ys)
    lon, lat = np.asarray(lon, dtype="float64"), np.asarray(lat, dtype="float64")
    on_earth = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90) & (np.abs(lon) <= 540)
    return np.where(on_earth, lon, np.nan), np.where(on_earth, lat, np.nan)


def _distance(lon0: Array, lat0: Array, lon1: Array, lat1: Array) -> Array:
    """Measure geodesics, metres; NaN where an end is NaN."""
    known = np.isfinite(lon0) & np.isfinite(lon1)
    lengths = np.full(lon0.shape, np.nan)
    if known.any():
        lengths[known] = GEOD.inv(lon0[known], lat0[known], lon1[known], lat1[known])[2]
    return lengths


def _filled(lengths: Array, nominal: float) -> Array:
    """Fill rows without a length from the nearest with one, else with the nominal length; as a column."""
    known = np.flatnonzero(np.isfinite(lengths) & (lengths > 0))
    if known.size == 0:
        return np.full((lengths.size, 1), nominal)
    filled: Array = np.interp(np.arange(lengths.size), known, lengths[known])
    return filled[:, np.newaxis]
