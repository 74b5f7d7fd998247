"""Kernels that make a picture of values: arrays in, arrays out; no I/O, no settings."""

from __future__ import annotations

import math

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
    centre = elevation[1:-1, 1:-1].astype("float64")
    centre_valid = valid[1:-1, 1:-1]
    height, width = elevation.shape

    def neighbour(dy: int, dx: int) -> NDArray[np.float64]:
        rows, columns = slice(1 + dy, height - 1 + dy), slice(1 + dx, width - 1 + dx)
        return np.where(valid[rows, columns], elevation[rows, columns], centre)

    east = neighbour(-1, 1) + 2 * neighbour(0, 1) + neighbour(1, 1)
    west = neighbour(-1, -1) + 2 * neighbour(0, -1) + neighbour(1, -1)
    north = neighbour(-1, -1) + 2 * neighbour(-1, 0) + neighbour(-1, 1)
    south = neighbour(1, -1) + 2 * neighbour(1, 0) + neighbour(1, 1)
    slope_x = z_factor * (east - west) / (8 * ground[0][1:-1])
    slope_y = z_factor * (north - south) / (8 * ground[1][1:-1])
    light = math.radians(azimuth)
    up = math.sin(math.radians(altitude))
    flat = math.cos(math.radians(altitude))
    # the surface normal is (-slope_x, -slope_y, 1); the light comes from (sin az, cos az) at that altitude
    cosine = (up - flat * (slope_x * math.sin(light) + slope_y * math.cos(light))) / np.sqrt(
        1 + slope_x**2 + slope_y**2
    )
    shade = np.where(centre_valid, np.clip(np.nan_to_num(cosine), 0, 1) * 254 + 1, 0)
    return np.rint(shade).astype("uint8"), centre_valid
