from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def plainly(z: np.ndarray, valid: np.ndarray, pixel: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Horn's formula pixel by pixel, float64; an invalid neighbour has the centre's height."""
    height, width = z.shape
    out = np.zeros((height - 2, width - 2))
    light = np.array([-0.5, 0.5, math.sqrt(0.5)])
    for row, column in np.ndindex(out.shape):
        centre = (row + 1, column + 1)
        if not valid[centre]:
            continue
        rise = np.zeros(2)
        for dy, dx in np.ndindex(3, 3):
            at = (row + dy, column + dx)
            higher = float(z[at]) - float(z[centre]) if valid[at] else 0.0
            rise += [higher * (dx - 1) * (2 - abs(dy - 1)) / 8, higher * (1 - dy) * (2 - abs(dx - 1)) / 8]
        normal = np.array([-rise[0] / pixel[0][row + 1, 0], -rise[1] / pixel[1][row + 1, 0], 1.0])
        shade = max(0.0, float(normal @ light / np.linalg.norm(normal)))
        out[row, column] = shade * 254 + 1
    return out


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(3, 14), st.integers(3, 14)),
    dtype=st.sampled_from(["float32", "float64", "int16", "uint16", "int32"]),
    roughness=st.sampled_from([0.05, 1.0, 40.0]),
    share=st.sampled_from([1.0, 0.9, 0.4, 0.0]),
)
@settings(deadline=None, max_examples=80)
def test_shades_are_those_of_the_plain_formula(
    seed: int, shape: tuple[int, int], dtype: str, roughness: float, share: float
) -> None:
    random = np.random.default_rng(seed)
    start = random.choice([5.0, 4805.0]) if dtype != "uint16" else 9000.0
    z = (start + random.normal(0, roughness, shape).cumsum(0)).astype(dtype)
    known = random.random(shape) < share
    odd = [np.nan, np.inf, -32768.0, 1e30] if np.dtype(dtype).kind == "f" else [0]
    z[~known] = random.choice(odd)
    pixel = (random.uniform(0.3, 30, (shape[0], 1)), random.uniform(0.3, 30, (shape[0], 1)))
    shade, valid = hillshade(z[::-1, ::-1], known[::-1, ::-1], pixel)
    assert np.array_equal(valid, known[::-1, ::-1][1:-1, 1:-1])
    assert np.abs(shade - plainly(z[::-1, ::-1], known[::-1, ::-1], pixel)).max() <= 0.5 + 0.02


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_height_that_is_no_number_is_a_hole(odd: float) -> None:
    heights = plane(0.4, -0.2, 1.0)
    heights[4, 4] = odd
    known = np.ones((9, 9), bool)
    shade, valid = hillshade(heights, known, ground(1.0))
    without = known.copy()
    without[4, 4] = False
    expected, expected_valid = hillshade(plane(0.4, -0.2, 1.0), without, ground(1.0))
    assert np.array_equal(valid, expected_valid)
    assert np.array_equal(shade, expected)
    assert known.all(), "the reader's mask is left alone"


def test_high_ground_is_shaded_as_finely_as_low() -> None:
    heights = np.random.default_rng(1).integers(0, 2000, (60, 60)) / 1024  # exact in four bytes, up to 8192
    low, _ = hillshade(heights.astype("float32"), np.ones((60, 60), bool), ground(0.3, 60))
    high, _ = hillshade((heights + 8000).astype("float32"), np.ones((60, 60), bool), ground(0.3, 60))
    assert np.array_equal(low, high)
