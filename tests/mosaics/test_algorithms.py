from __future__ import annotations

import math

import numpy as np
import pytest

from mosaics.algorithms import hillshade


def plane(slope_x: float, slope_y: float, pixel: float, size: int = 9) -> np.ndarray:
    """Heights that rise by slope_x metres per metre eastward and slope_y northward."""
    rows, columns = np.mgrid[0:size, 0:size]
    return (columns * pixel * slope_x - rows * pixel * slope_y).astype("float32")


def ground(pixel: float, size: int = 9) -> tuple[np.ndarray, np.ndarray]:
    return np.full((size, 1), pixel), np.full((size, 1), pixel)


def shade_of(slope_x: float, slope_y: float, azimuth: float = 315.0, altitude: float = 45.0) -> float:
    """The cosine between the surface's normal and the light, by vectors."""
    normal = np.array([-slope_x, -slope_y, 1.0])
    az, alt = math.radians(azimuth), math.radians(altitude)
    light = np.array([math.cos(alt) * math.sin(az), math.cos(alt) * math.cos(az), math.sin(alt)])
    return max(0.0, float(normal @ light / np.linalg.norm(normal))) * 254 + 1


@pytest.mark.parametrize("slopes", [(0, 0), (1, 0), (0, 1), (-0.5, 0.3), (0.2, -2.0), (-1, 1), (3, -3)])
@pytest.mark.parametrize("pixel", [0.3, 1.0, 25.0])
def test_a_plane_is_shaded_by_its_true_angle_at_any_pixel_size(
    slopes: tuple[float, float], pixel: float
) -> None:
    shade, valid = hillshade(plane(*slopes, pixel), np.ones((9, 9), bool), ground(pixel))
    assert valid.all()
    assert shade.shape == (7, 7)
    assert np.allclose(shade, shade_of(*slopes), atol=0.51)


def test_pixels_that_are_not_square_on_the_ground() -> None:
    heights = plane(1.0, 0.0, 2.0)
    wide = (np.full((9, 1), 2.0), np.full((9, 1), 1.0))
    shade, _ = hillshade(heights, np.ones((9, 9), bool), wide)
    assert np.allclose(shade, shade_of(1.0, 0.0), atol=0.51)


def test_the_slope_that_faces_the_light_is_the_brighter() -> None:
    towards, _ = hillshade(plane(0.5, -0.5, 1.0), np.ones((9, 9), bool), ground(1.0))
    away, _ = hillshade(plane(-0.5, 0.5, 1.0), np.ones((9, 9), bool), ground(1.0))
    assert towards.mean() > 240
    assert away.mean() < 150


def test_a_hole_has_no_rim() -> None:
    heights, valid = plane(0.0, 0.0, 1.0), np.ones((9, 9), bool)
    valid[4, 4] = False
    heights[4, 4] = -32768
    shade, inside = hillshade(heights, valid, ground(1.0))
    assert not inside[3, 3]
    assert shade[3, 3] == 0
    assert np.ptp(shade[inside]) == 0
