from __future__ import annotations

import math
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from mosaics.algorithms import contour_interval, contours, hillshade, slope
from mosaics.geodesy import ground_pixel_size, lonlat_transformer, nominal_pixel_size
from mosaics.grids import load_grids
from mosaics.models import Bounds, Frame
from tests.conftest import need_program, write_raster


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


@pytest.mark.parametrize("slopes", [(0, 0), (1, 0), (0, 1), (-0.5, 0.3), (0.2, -2.0), (3, -3)])
def test_a_plane_has_the_slope_that_it_has(slopes: tuple[float, float]) -> None:
    degrees, valid = slope(plane(*slopes, 2.0), np.ones((9, 9), bool), ground(2.0))
    assert valid.all()
    assert np.allclose(degrees, math.degrees(math.atan(math.hypot(*slopes))), atol=1e-3)


@pytest.mark.parametrize("latitude", [0.5, 21.0, 45.0, 60.0, 75.0])
@pytest.mark.parametrize("zoom", [11, 14, 18])
@pytest.mark.parametrize("tms_id", ["WebMercatorQuad", "WorldCRS84Quad"])
def test_45_degrees_are_45_degrees_at_every_zoom_and_latitude(
    latitude: float, zoom: int, tms_id: str
) -> None:
    """A plane that rises a metre for a metre to the south-west, in metres of the ground there."""
    grid = load_grids().get(tms_id)
    tiles = grid.tiles(Bounds(12.3, latitude, 12.3, latitude), zoom)
    assert tiles is not None
    frame = grid.frame(zoom, tiles.min_col, tiles.min_row).padded(1)
    left, bottom, right, top = frame.bounds
    xs = left + (np.arange(frame.width) + 0.5) * ((right - left) / frame.width)
    ys = top - (np.arange(frame.height) + 0.5) * ((top - bottom) / frame.height)
    longitude, at = lonlat_transformer(frame.crs).transform(*np.meshgrid(xs, ys))
    middle = float(longitude.mean()), float(at.mean())
    local = Transformer.from_crs(
        "OGC:CRS84", f"+proj=aeqd +lon_0={middle[0]} +lat_0={middle[1]} +ellps=WGS84", always_xy=True
    )
    east, north = local.transform(longitude, at)
    heights = (-(east + north) / math.sqrt(2)).astype("float32")
    everywhere = np.ones(heights.shape, bool)
    degrees, _ = slope(heights, everywhere, ground_pixel_size(frame))
    near = np.s_[96:160, 96:160]
    assert np.abs(degrees[near] - 45).max() < (0.3 if zoom == 11 else 0.06)
    shade, _ = hillshade(heights, everywhere, ground_pixel_size(frame))
    assert np.abs(shade[near] - shade_of(-math.sqrt(0.5), -math.sqrt(0.5))).max() <= 1.5


def bumps(size: tuple[int, int], pixel: float) -> np.ndarray:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]] * pixel
    return (1200 + 90 * np.sin(columns / 60) + 70 * np.cos(rows / 45) + columns / 7).astype("float32")


def test_slopes_and_shades_are_those_of_gdaldem(tmp_path: Path) -> None:
    program = need_program("gdaldem")
    heights = bumps((80, 90), 3.0)
    path = write_raster(tmp_path / "dem.tif", heights[None], resolution=3.0)
    for kind, more in (("slope", []), ("hillshade", ["-az", "315", "-alt", "45"])):
        made = tmp_path / f"{kind}.tif"
        subprocess.run([program, kind, path, made, "-q", *more], check=True)
        with rasterio.open(made) as source:
            theirs = source.read(1)[1:-1, 1:-1].astype("float64")
        kernel = slope if kind == "slope" else hillshade
        ours, _ = kernel(heights, np.ones(heights.shape, bool), (np.full((80, 1), 3.0),) * 2)
        assert np.abs(ours - theirs).max() <= (0.01 if kind == "slope" else 1), kind


def cover(
    heights: np.ndarray, interval: float, index: int = 5, valid: np.ndarray | None = None
) -> np.ndarray:
    known = np.ones(heights.shape, bool) if valid is None else valid
    return contours(heights, known, interval=interval, index=index)[0]


@pytest.mark.parametrize("angle", [0, 20, 45, 90, 200])
@pytest.mark.parametrize("rise", [0.4, 1.0])
def test_contours_of_a_plane_lie_where_its_heights_are(angle: float, rise: float) -> None:
    rows, columns = np.mgrid[0:120, 0:120]
    along = columns * math.cos(math.radians(angle)) - rows * math.sin(math.radians(angle))
    heights = (1003 + rise * along).astype("float32")
    inner = heights[2:-2, 2:-2].astype("float64")
    distance = np.abs(inner / 10 - np.rint(inner / 10)) * 10 / rise
    thick = np.rint(inner / 10) % 5 == 0
    expected = np.clip(np.where(thick, 1.5, 1.0) - distance, 0, 1) * 255
    assert np.abs(cover(heights, 10) - expected).max() <= 1.5


def test_contours_of_a_hill_are_circles() -> None:
    rows, columns = np.mgrid[-100:101, -100:101]
    radius = np.hypot(rows, columns)
    heights = (500 - radius).astype("float32")
    drawn = cover(heights, 20, index=1000) > 127
    found = radius[2:-2, 2:-2]
    for circle in (20, 40, 60, 80):
        near = drawn & (np.abs(found - circle) < 5)
        assert np.abs(found[near] - circle).max() <= 0.75
        assert near.sum() == pytest.approx(2 * math.pi * circle, rel=0.3)
    assert not drawn[(np.abs(found % 20 - 10) < 8)].any()


def test_contours_meet_at_the_edge_of_two_tiles() -> None:
    heights = bumps((260, 520), 5.0)
    whole = cover(heights, 10)
    left, right = cover(heights[:, :262], 10), cover(heights[:, 258:], 10)
    assert whole.any()
    assert left.shape[1] + right.shape[1] == whole.shape[1]
    assert np.abs(np.hstack([left, right]).astype(int) - whole).max() <= 1


def test_a_lake_and_a_hole_have_no_contours() -> None:
    level = np.full((40, 40), 400.0, "float32")
    assert not cover(level, 10).any()
    ripples = np.random.default_rng(3).normal(0, 1e-4, level.shape)
    assert not cover((level + ripples).astype("float32"), 10).any()
    step = level.copy()
    step[:, 20:] = -32768
    valid = np.ones(step.shape, bool)
    valid[:, 20:] = False
    assert not cover(step, 10, valid=valid).any(), "no line around what is not there"
    step[:, 20:] = np.nan
    assert not cover(step, 10).any()


def test_lines_that_would_run_together_fade() -> None:
    columns = np.mgrid[0:60, 0:60][1]
    spaced = [cover((columns * 10 / pixels).astype("float32"), 10, index=10**6) for pixels in (8, 4, 3, 2, 1)]
    most = [int(each.max()) for each in spaced]
    assert most[:2] == [255, 255]
    assert 100 < most[2] < 200
    assert most[3:] == [0, 0]


@pytest.mark.parametrize(
    ("pixel", "expected"), [(9.55, 50), (10.0, 50), (2.39, 20), (0.597, 5), (0.01, 1), (156543.0, 1_000_000)]
)
def test_the_interval_follows_the_pixel(pixel: float, expected: float) -> None:
    assert contour_interval(pixel, spacing=5, least=1) == expected
    assert contour_interval(pixel, spacing=0, least=25) == 50, "25 is no step of 1, 2 or 5"


@pytest.mark.parametrize("tms_id", ["WebMercatorQuad", "WorldCRS84Quad", "2154_50cm"])
def test_the_interval_is_the_same_on_all_tiles_of_a_zoom(tms_id: str) -> None:
    grid = load_grids().get(tms_id)
    for zoom in (grid.maxzoom - 1, grid.maxzoom):
        found = {
            contour_interval(nominal_pixel_size(grid.frame(zoom, column, row)), spacing=5, least=1)
            for column in range(5)
            for row in range(5)
        }
        assert len(found) == 1
    frame = Frame(crs="EPSG:2154", bounds=Bounds(0, 0, 2560, 2560), width=256, height=256)
    assert nominal_pixel_size(frame) == 10
