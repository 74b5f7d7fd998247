"""Outlines: exact where the data is, right where the Earth is round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
from rasterio.transform import Affine
from shapely.geometry import Point, Polygon

from mosaics.errors import IngestError
from mosaics.ingest.footprint import Coverage, footprint
from mosaics.ingest.inspect import inspect
from mosaics.ingest.statistics import measure
from tests.mosaics.ingest.conftest import silent


@pytest.fixture
def outline(make_image: Callable[..., Path]) -> Callable[..., shapely.Geometry]:
    """Give the footprint of an image that has data where an array is true."""

    def make(valid: np.ndarray, crs: str, transform: Affine, name: str = "image.tif") -> shapely.Geometry:
        path = make_image(valid[np.newaxis].astype("uint8"), name, crs=crs, transform=transform, nodata=0)
        inspection = inspect(path)
        found = footprint(inspection, measure(inspection, silent).coverage)
        assert found.is_valid
        assert not found.is_empty
        assert found.geom_type in {"Polygon", "MultiPolygon"}
        west, south, east, north = found.bounds
        assert -180 <= west <= east <= 180
        assert -90 <= south <= north <= 90
        return found

    return make


def in_lonlat(crs: str, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    to_lonlat = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    return [to_lonlat.transform(*point) for point in points]


def test_full_image_is_its_rectangle(outline: Callable[..., shapely.Geometry]) -> None:
    found = outline(np.ones((300, 200)), "EPSG:2154", Affine(2, 0, 650_000, 0, -2, 6_860_000))
    corners = [(650_000, 6_860_000), (650_400, 6_860_000), (650_400, 6_859_400), (650_000, 6_859_400)]
    expected = Polygon(in_lonlat("EPSG:2154", corners))
    assert found.symmetric_difference(expected).area < expected.area * 1e-4
    assert len(found.exterior.coords) <= 9


def test_rotation_is_exact(outline: Callable[..., shapely.Geometry]) -> None:
    transform = Affine.translation(650_000, 6_860_000) * Affine.rotation(30) * Affine.scale(3, -3)
    found = outline(np.ones((100, 150)), "EPSG:2154", transform)
    corners = [transform * corner for corner in ((0, 0), (150, 0), (150, 100), (0, 100))]
    expected = Polygon(in_lonlat("EPSG:2154", corners))
    assert found.symmetric_difference(expected).area < expected.area * 1e-4


def test_slanting_edge_of_a_warped_scene_is_straight(outline: Callable[..., shapely.Geometry]) -> None:
    rows, columns = np.mgrid[0:600, 0:600]
    valid = (columns + rows * 0.31 > 200) & (columns + rows * 0.31 < 560)
    found = outline(valid, "EPSG:2154", Affine(1, 0, 650_000, 0, -1, 6_860_000))
    assert len(found.exterior.coords) < 20
    area = abs(pyproj.Geod(ellps="GRS80").geometry_area_perimeter(found)[0])
    assert area == pytest.approx(valid.sum(), rel=0.01)


def test_every_valid_pixel_is_inside(outline: Callable[..., shapely.Geometry]) -> None:
    valid = np.zeros((400, 500), dtype=bool)
    valid[50:60, 20:480] = True
    valid[200:390, 100:300] = True
    valid[10, 490] = True
    transform = Affine(5, 0, 400_000, 0, -5, 5_000_000)
    found = outline(valid, "EPSG:32631", transform)
    assert found.geom_type == "MultiPolygon"
    rows, columns = np.nonzero(valid)
    corners = [transform * (c + 0.5, r + 0.5) for r, c in zip(rows[::97], columns[::97], strict=True)]
    inside = shapely.contains_xy(found, np.array(in_lonlat("EPSG:32631", corners)))
    assert inside.all()
    assert shapely.contains_xy(found, *in_lonlat("EPSG:32631", [transform * (490.5, 10.5)])[0])
    assert not shapely.contains_xy(found, *in_lonlat("EPSG:32631", [transform * (250, 120)])[0])


def test_a_thin_strip_of_a_large_image_is_not_lost() -> None:
    coverage = Coverage.empty(50_000, 40_000)
    assert max(coverage.cells.shape) <= 1024
    strip = np.zeros((512, 1024), dtype=bool)
    strip[100, 700] = True
    coverage.add(strip, 3 * 512, 7 * 1024)
    assert coverage.cells.sum() == 1
    row, column = np.argwhere(coverage.cells)[0]
    assert row == (3 * 512 + 100) // coverage.factor
    assert column == (7 * 1024 + 700) // coverage.factor


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
def test_coverage_does_not_depend_on_windows(factor: int) -> None:
    valid = np.random.default_rng(3).random((100, 130)) > 0.98
    cells = np.zeros((-(-100 // factor), -(-130 // factor)), dtype=bool)
    parts = Coverage(width=130, height=100, factor=factor, cells=cells)
    for row in range(0, 100, 33):
        for column in range(0, 130, 41):
            parts.add(valid[row : row + 33, column : column + 41], row, column)
    for row, column in np.ndindex(cells.shape):
        area = valid[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
        assert parts.cells[row, column] == area.any()


def test_small_holes_go_and_large_ones_stay(outline: Callable[..., shapely.Geometry]) -> None:
    valid = np.ones((200, 200), dtype=bool)
    valid[50:52, 50:52] = False
    valid[100:160, 100:160] = False
    transform = Affine(5, 0, 400_000, 0, -5, 5_000_000)
    found = outline(valid, "EPSG:32631", transform)
    assert len(found.interiors) == 1
    assert not found.contains(Point(in_lonlat("EPSG:32631", [transform * (130, 130)])[0]))
    assert found.contains(Point(in_lonlat("EPSG:32631", [transform * (51, 51)])[0]))


def test_noise_gives_few_vertices(outline: Callable[..., shapely.Geometry]) -> None:
    valid = np.random.default_rng(5).random((700, 700)) > 0.6
    found = outline(valid, "EPSG:32631", Affine(5, 0, 400_000, 0, -5, 5_000_000))
    assert shapely.get_num_coordinates(found) <= 1600


@pytest.mark.parametrize(
    ("crs", "transform", "size"),
    [
        ("EPSG:32660", Affine(100, 0, 600_000, 0, -100, 5_700_000), (2000, 2300)),
        ("EPSG:4326", Affine(0.01, 0, 177, 0, -0.01, 53), (200, 600)),
        ("EPSG:3832", Affine(1000, 0, 2_800_000, 0, -1000, 5_000_000), (300, 800)),
    ],
)
def test_antimeridian_is_cut(
    outline: Callable[..., shapely.Geometry], crs: str, transform: Affine, size: tuple[int, int]
) -> None:
    found = outline(np.ones(size), crs, transform)
    west, _, east, _ = found.bounds
    assert (west, east) == (-180, 180)
    assert found.geom_type == "MultiPolygon"
    area = sum(abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(part)[0]) for part in found.geoms)
    assert area < 3e12
    middle = in_lonlat(crs, [transform * (size[1] / 2 + 3, size[0] / 2)])[0]
    assert found.contains(Point((middle[0] + 180) % 360 - 180, middle[1]))
    assert not found.contains(Point(0, middle[1]))


@pytest.mark.parametrize(
    ("crs", "transform", "size", "area"),
    [
        ("EPSG:4326", Affine(1, 0, -180, 0, -1, 90), (180, 360), 64_800),
        ("EPSG:4326", Affine(1, 0, 0, 0, -1, 90), (180, 360), 64_800),
        ("EPSG:4326", Affine(1, 0, -180.5, 0, -1, 90.5), (181, 360), 64_800),
        (
            "EPSG:3857",
            Affine(156543.03392804097, 0, -20037508.342789244, 0, -156543.03392804097, 20037508.342789244),
            (256, 256),
            360 * 2 * 85.0511287798066,
        ),
    ],
    ids=["degrees", "0 to 360", "pixel centres", "mercator"],
)
def test_whole_earth(
    outline: Callable[..., shapely.Geometry],
    crs: str,
    transform: Affine,
    size: tuple[int, int],
    area: float,
) -> None:
    assert outline(np.ones(size), crs, transform).area == pytest.approx(area, rel=1e-3)


def test_pole_is_inside(outline: Callable[..., shapely.Geometry]) -> None:
    found = outline(np.ones((200, 200)), "EPSG:3413", Affine(20_000, 0, -2_000_000, 0, -20_000, 2_000_000))
    assert found.contains(Point(12, 89.9))
    assert found.contains(Point(-150, 85))
    assert not found.contains(Point(0, 60))
    south = outline(
        np.ones((200, 200)), "EPSG:3031", Affine(20_000, 0, -2_000_000, 0, -20_000, 2_000_000), "south.tif"
    )
    assert south.contains(Point(100, -89.9))
    assert south.bounds[1] == -90


def test_hole_over_the_pole_stays(outline: Callable[..., shapely.Geometry]) -> None:
    valid = np.ones((200, 200))
    valid[70:130, 70:130] = 0
    found = outline(valid, "EPSG:3413", Affine(20_000, 0, -2_000_000, 0, -20_000, 2_000_000))
    assert not found.contains(Point(12, 89.9))
    assert found.contains(Point(12, 80))


def test_full_disk_keeps_its_earthly_part(outline: Callable[..., shapely.Geometry]) -> None:
    crs = "+proj=geos +lon_0=0 +h=35785831 +ellps=WGS84 +units=m +sweep=y"
    found = outline(np.ones((200, 200)), crs, Affine(57_000, 0, -5_700_000, 0, -57_000, 5_700_000))
    assert found.contains(Point(0, 0))
    assert found.contains(Point(60, 30))
    assert not found.contains(Point(120, 0))
    west, south, east, north = found.bounds
    assert -82 < west < -70
    assert 70 < east < 82
    assert (south, north) == pytest.approx((-north, north), abs=2)


def test_data_off_the_earth_is_refused(outline: Callable[..., shapely.Geometry]) -> None:
    crs = "+proj=geos +lon_0=0 +h=35785831 +ellps=WGS84 +units=m +sweep=y"
    with pytest.raises(IngestError, match="on the Earth"):
        outline(np.ones((20, 20)), crs, Affine(1000, 0, 7_000_000, 0, -1000, 7_000_000))
