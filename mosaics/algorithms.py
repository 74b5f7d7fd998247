"""Kernels that make a picture of values: arrays in, arrays out; no I/O, no settings."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_DENSE: Final = 2.0
"""Pixels from line to line at which contours are no longer drawn; twice as many, and they are whole."""
_FLAT: Final = 1 / 5000
"""Part of the step between two contours by which ground must rise per pixel: a lake has no contours."""


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
    valid = _with_height(elevation, valid)
    with np.errstate(all="ignore"):
        slope_x, slope_y = _slopes(elevation, valid, ground, z_factor)
        shade = _cosine(slope_x, slope_y, math.radians(azimuth), math.radians(altitude))
        np.clip(shade, 0, 1, out=shade)
        shade *= 254
        shade += 1
        found = np.rint(shade, out=shade).astype("uint8")
    inner_valid = valid[1:-1, 1:-1]
    found *= inner_valid
    return found, inner_valid


def slope(
    elevation: NDArray[np.float32],
    valid: NDArray[np.bool_],
    ground: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Give the angle between a surface and the horizon, measured in ground metres.

    Args:
        elevation: Heights in metres, shape (height, width).
        valid: True where there is a height, same shape; invalid neighbours count as in `hillshade`.
        ground: Ground metres per pixel along x and along y, each of shape (height, 1).

    Returns:
        Degrees from 0 to 90, shape (height - 2, width - 2), and where they are valid.

    Source: Horn's gradient, as in gdaldem slope.
    """
    valid = _with_height(elevation, valid)
    with np.errstate(all="ignore"):
        slope_x, slope_y = _slopes(elevation, valid, ground, 1.0)
        steepness = np.asarray(cv2.magnitude(slope_x, slope_y), np.float32)
        degrees = np.arctan(steepness, out=steepness)
        degrees *= np.float32(180 / math.pi)
    return degrees, valid[1:-1, 1:-1]


def lit(colours: NDArray[np.uint8], shade: NDArray[np.uint8], *, altitude: float) -> NDArray[np.uint8]:
    """Multiply colours by a hillshade of which level ground keeps its own, and slopes to the light brighten.

    Args:
        colours: Red, green, blue, shape (height, width, 3).
        shade: As `hillshade` gives it, shape (height, width).
        altitude: Height of the light above the horizon, degrees.
    """
    level = 1 + 254 * max(math.sin(math.radians(altitude)), 0.1)
    each = cv2.cvtColor(shade, cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.multiply(colours, each, scale=1 / level), np.uint8)


def contours(
    elevation: NDArray[np.float32], valid: NDArray[np.bool_], *, interval: float, index: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw lines of equal height, antialiased: one pixel wide, every so many of them two.

    How near a line is follows from the height of a pixel and its slope, and a line is drawn only where the
    heights around a pixel reach it. All that takes part lies within two pixels, so tiles that are read with
    so many around them have lines that meet. Where lines would run together they fade out.

    Args:
        elevation: Heights in metres, shape (height, width).
        valid: True where there is a height, same shape.
        interval: Metres from line to line.
        index: Every how many lines one is thick.

    Returns:
        How much of each pixel is covered, 0 to 255, shape (height - 4, width - 4), and where it is valid.
    """
    valid = _with_height(elevation, valid)
    steps = np.where(valid, elevation, 0).astype("float64") / interval
    east, north = (np.asarray(each, np.float64) for each in _rises(steps, valid))
    rise = np.hypot(east, north)[1:-1, 1:-1]
    low, high = _reach(steps, valid)
    here, there = steps[2:-2, 2:-2], valid[2:-2, 2:-2]
    covered = np.zeros(here.shape)
    with np.errstate(all="ignore"):
        for every, half in ((1, 0.5), (max(index, 1), 1.0)):
            line = np.rint(here / every) * every
            distance = np.abs(here - line) / rise
            share = np.clip(half + 0.5 - distance, 0, 1) * np.clip((every / rise - _DENSE) / _DENSE, 0, 1)
            drawn = (low <= line) & (line <= high) & (rise > _FLAT)
            np.maximum(covered, np.where(drawn, share, 0), out=covered)
    return np.rint(covered * there * 255).astype("uint8"), there


def contour_interval(pixel: float, *, spacing: float, least: float) -> float:
    """Choose metres from line to line: 1, 2 or 5 times a power of 10.

    Args:
        pixel: Metres that a pixel is taken to be, the same on all tiles of a zoom.
        spacing: Pixels that lines keep from each other on ground as steep as one metre a metre.
        least: Metres, whatever the pixels.
    """
    wanted = max(spacing * pixel, least) * (1 - 1e-6)
    power = 10.0 ** math.floor(math.log10(wanted))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= wanted), 10 * power)


def _reach(
    steps: NDArray[np.float64], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the least and greatest valid value within two pixels, shape (height - 4, width - 4) each."""
    around = np.ones((5, 5), "uint8")
    low = np.asarray(cv2.erode(np.where(valid, steps, np.inf), around), np.float64)
    high = np.asarray(cv2.dilate(np.where(valid, steps, -np.inf), around), np.float64)
    return low[2:-2, 2:-2], high[2:-2, 2:-2]


def _with_height(elevation: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out heights that are no number."""
    finite = np.isfinite(elevation)
    return valid if finite.all() else valid & finite


def _slopes(
    elevation: NDArray[np.float32],
    valid: NDArray[np.bool_],
    ground: tuple[NDArray[np.float64], NDArray[np.float64]],
    z_factor: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give how much a surface rises eastward and northward per ground metre, of the inner pixels."""
    slope_x, slope_y = _rises(elevation, valid)
    slope_x *= (z_factor / ground[0][1:-1]).astype("float32")
    slope_y *= (z_factor / ground[1][1:-1]).astype("float32")
    return slope_x, slope_y


def _rises(
    elevation: NDArray[np.floating], valid: NDArray[np.bool_]
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
