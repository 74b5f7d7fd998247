"""Kernels that make a picture of values: arrays in, arrays out; no I/O, no settings."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray


def hillshade(
    elevation: NDArray[np.float32],
    valid: NDArray[np.bool_],
    ground: tuple[NDArray[np.float64], NDArray[np.float64]],
    *,
    azimuth: float = 315.0,
    altitude: float = 45.0,
    z_factor: float = 1.0,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Shade a surface as if lit from one side, in ground metres.

    Horn's gradient (GDAL's own): the eight neighbours weighted 1-2-1. A pixel with an invalid neighbour
    is shaded as if that neighbour had its own height, so that holes have no dark rims.

    Args:
        elevation: Heights in metres, shape (height, width); north is up.
        valid: True where there is a height, same shape.
        ground: Ground metres per pixel along x and along y, each of shape (height, 1).
        azimuth: Where the light comes from, degrees clockwise from north.
        altitude: Height of the light above the horizon, degrees.
        z_factor: Exaggeration of heights.

    Returns:
        Shade 0 (dark) to 255, shape (height - 2, width - 2), and where it is valid.

    Source: Horn 1981, "Hill shading and the reflectance map", as in gdaldem hillshade.
    """
    finite = np.isfinite(elevation)
    if not finite.all():
        valid = valid & finite
    with np.errstate(all="ignore"):
        slope_x, slope_y = _rises(elevation, valid)
        slope_x *= (z_factor / ground[0][1:-1]).astype("float32")
        slope_y *= (z_factor / ground[1][1:-1]).astype("float32")
        shade = _cosine(slope_x, slope_y, math.radians(azimuth), math.radians(altitude))
        np.clip(shade, 0, 1, out=shade)
        shade *= 254
        shade += 1
        found = np.rint(shade, out=shade).astype("uint8")
    inner_valid = valid[1:-1, 1:-1]
    found *= inner_valid
    return found, inner_valid


def _rises(
    elevation: NDArray[np.float32], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give how much heights rise eastward and northward per pixel, shape (height - 2, width - 2) each.

    Heights are counted from one of them, so that four bytes are enough. With z the heights where they are
    valid and 0 elsewhere, the sum that takes the centre's height for invalid neighbours is
    S(z) - z S(valid): the weights of S add up to 0.
    """
    start = float(elevation.flat[int(valid.argmax())])
    heights = np.ascontiguousarray(elevation - start, dtype="float32")
    whole = bool(valid.all())
    if not whole:
        heights = np.where(valid, heights, np.float32(0))
    east, south = _differences(heights)
    if not whole:
        of_east, of_south = _differences(valid.astype("float32"))
        centre = heights[1:-1, 1:-1]
        east -= centre * of_east
        south -= centre * of_south
    return east, np.negative(south, out=south)


def _differences(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give Horn's differences per pixel along x and y, shape (height - 2, width - 2) each."""
    along_x, along_y = (
        np.asarray(cv2.Sobel(values, cv2.CV_32F, dx, 1 - dx, ksize=3, scale=1 / 8), np.float32)[1:-1, 1:-1]
        for dx in (1, 0)
    )
    return along_x, along_y


def _cosine(
    slope_x: NDArray[np.float32], slope_y: NDArray[np.float32], azimuth: float, altitude: float
) -> NDArray[np.float32]:
    """Give the cosine between a surface and the light, angles in radians; the slopes are used up.

    The surface normal is (-slope_x, -slope_y, 1); the light comes from (sin azimuth, cos azimuth).
    """
    shade = slope_x * (-math.cos(altitude) * math.sin(azimuth))
    shade -= slope_y * (math.cos(altitude) * math.cos(azimuth))
    shade += math.sin(altitude)
    slope_x *= slope_x
    slope_y *= slope_y
    slope_x += slope_y
    slope_x += 1
    shade /= np.sqrt(slope_x, out=slope_x)
    return shade
