"""Lengths of pixels on the ground."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from pyproj import Transformer
from pyproj.exceptions import ProjError

from mosaics.geodesy import (
    ground_pixel_size,
    ground_resolution,
    lonlat_transformer,
    metres_per_unit,
    scene_ground_resolution,
)
from mosaics.models import Bounds, Frame


def frame_at(crs, lon, lat, cell):
    """Give a frame of 256 x 256 pixels whose centre is at lon, lat."""
    x, y = Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(lon, lat)
    half = cell * 128
    return Frame(crs=crs, bounds=Bounds(x - half, y - half, x + half, y + half), width=256, height=256)


@pytest.mark.parametrize("latitude", [0, 21, 46, -46, 60, 80])
def test_web_mercator_shrinks_with_the_cosine_of_latitude(latitude):
    frame = frame_at("EPSG:3857", 2, latitude, 0.6)
    expected = 0.6 * math.cos(math.radians(latitude))
    along_x, along_y = ground_pixel_size(frame)
    assert along_x.shape == along_y.shape == (256, 1)
    assert along_x == pytest.approx(np.full((256, 1), expected), rel=0.01)
    assert along_y == pytest.approx(np.full((256, 1), expected), rel=0.01)
    assert ground_resolution(frame) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("crs", "lon", "lat"),
    [
        ("EPSG:2154", 3, 46.5),
        ("EPSG:2154", -4.4, 48.4),
        ("EPSG:2972", -52.3, 4.9),
        ("EPSG:2975", 55.5, -21.1),
        ("EPSG:4471", 45.2, -12.8),
        ("EPSG:5490", -61, 14.6),
        ("EPSG:4467", -56.2, 46.8),
    ],
)
def test_national_grids_are_true_to_length(crs, lon, lat):
    frame = frame_at(crs, lon, lat, 0.5)
    assert ground_resolution(frame) == pytest.approx(0.5, rel=0.003)


def test_rows_of_a_degree_frame_narrow_towards_the_pole():
    frame = Frame(crs="OGC:CRS84", bounds=Bounds(0, 0, 80, 80), width=8, height=8)
    along_x, along_y = ground_pixel_size(frame)
    assert np.all(np.diff(along_x[:, 0]) > 0), "the first row is the northern one"
    # a degree of meridian on WGS 84 at the equator is 110 574 m; Snyder, Map Projections (1987), table 3
    assert along_y[-1, 0] / 10 == pytest.approx(110_574, rel=0.001)
    assert ground_resolution(frame) == pytest.approx(along_x[0, 0], rel=0.01)


def test_the_finest_corner_counts():
    frame = Frame(crs="EPSG:3857", bounds=Bounds(0, 0, 8e6, 8e6), width=256, height=256)
    top = math.degrees(math.atan(math.sinh(8e6 / 6378137)))
    assert ground_resolution(frame) == pytest.approx(8e6 / 256 * math.cos(math.radians(top)), rel=0.01)


def test_one_pixel_around_the_world_is_not_zero():
    frame = Frame(crs="EPSG:3857", bounds=Bounds(-2e7, -1e5, 2e7, 1e5), width=1, height=1)
    assert ground_resolution(frame) == pytest.approx(2e5, rel=0.02)
    wide = Frame(crs="OGC:CRS84", bounds=Bounds(-180, -1e-9, 180, 1e-9), width=1, height=1)
    assert 0 < ground_resolution(wide) < 1


def test_rows_off_the_earth_take_the_nearest_known_size():
    frame = Frame(crs="OGC:CRS84", bounds=Bounds(0, 80, 10, 100), width=10, height=20)
    along_x, along_y = ground_pixel_size(frame)
    assert np.isfinite(along_x).all()
    assert np.isfinite(along_y).all()
    assert (along_x > 0).all()
    assert (along_x[:10] == along_x[10]).all()


def test_a_disk_seen_from_space_has_sizes_everywhere():
    crs = "+proj=geos +h=35785831 +lon_0=0 +ellps=WGS84 +sweep=x"
    frame = Frame(crs=crs, bounds=Bounds(-6e6, -6e6, 6e6, 6e6), width=60, height=60)
    for lengths in ground_pixel_size(frame):
        assert np.isfinite(lengths).all()
        assert (lengths > 0).all()
    # below the satellite the view's metres are the ground's
    assert ground_resolution(frame) == pytest.approx(2e5, rel=0.02)


def test_a_frame_wholly_off_the_earth_has_its_nominal_size():
    frame = Frame(crs="OGC:CRS84", bounds=Bounds(0, 100, 10, 110), width=10, height=10)
    along_x, along_y = ground_pixel_size(frame)
    assert along_x == pytest.approx(np.full((10, 1), metres_per_unit("OGC:CRS84")))
    assert along_y == pytest.approx(along_x)
    assert ground_resolution(frame) == pytest.approx(metres_per_unit("OGC:CRS84"))


def test_a_turned_file_has_the_length_of_its_own_axes():
    x, y = Transformer.from_crs("OGC:CRS84", "EPSG:2154", always_xy=True).transform(3, 46.5)
    angle = math.radians(30)
    column = (0.5 * math.cos(angle), 0.5 * math.sin(angle))
    row = (0.8 * math.sin(angle), -0.8 * math.cos(angle))
    transform = (column[0], row[0], x, column[1], row[1], y)
    assert scene_ground_resolution("EPSG:2154", transform, 1000, 1000) == pytest.approx(0.5, rel=0.003)


def test_a_file_in_degrees_has_its_finer_axis():
    transform = (1e-5, 0.0, 2.0, 0.0, -1e-5, 46.0)
    expected = 1e-5 * 111_320 * math.cos(math.radians(46))
    assert scene_ground_resolution("EPSG:4326", transform, 100, 100) == pytest.approx(expected, rel=0.005)


def test_a_file_whose_centre_is_off_the_earth_is_measured_where_it_is_on():
    crs = "+proj=geos +h=35785831 +lon_0=0 +ellps=WGS84 +sweep=x"
    transform = (1000.0, 0.0, 0.0, 0.0, -1000.0, 0.0)
    resolution = scene_ground_resolution(crs, transform, 14000, 14000)
    assert 900 < resolution < 1200


@pytest.mark.parametrize("crs", ["IAU_2015:49900", "+proj=eqc +R=3396190 +units=m"])
def test_another_planet_is_refused(crs):
    with pytest.raises(ProjError, match="celestial body"):
        lonlat_transformer(crs)


def test_no_crs_is_refused():
    with pytest.raises(ProjError):
        lonlat_transformer("EPSG:0")


def test_transformers_are_made_once():
    assert lonlat_transformer("EPSG:2154") is lonlat_transformer("EPSG:2154")


def test_measuring_a_tile_is_quick():
    frame = frame_at("EPSG:2154", 3, 46.5, 0.5)
    ground_pixel_size(frame)
    spent = []
    for _ in range(20):
        start = time.perf_counter()
        ground_pixel_size(frame)
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.005
