"""Images in sensor geometry on the ground, at the places that their coefficients say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine

from mosaics.errors import IngestError
from mosaics.ingest.deliveries.prepare import GroundOptions, Preparation, Prepared, prepare
from mosaics.products.delivery import DeliveryUnreadableError, GroundPoint
from tests.mosaics.ingest.deliveries.sensor_images import (
    LEAN,
    MEAN_HEIGHT,
    METRES,
    MIDDLE,
    SIZE,
    UTM,
    group,
    image,
    linear_rpc,
    ramp,
    write,
)


def prepared(tmp_path: Path, given: Any, options: GroundOptions | None = None, rpc: Any = None) -> Prepared:
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    return prepare(
        Preparation(group=given, rpc=rpc, options=options or GroundOptions()), out, lambda *_: None
    )


def dem(tmp_path: Path, height: float, *, hole: bool = False) -> Path:
    """Write a level elevation model around the scene, finer than it."""
    x, y = Transformer.from_crs("OGC:CRS84", UTM, always_xy=True).transform(*MIDDLE)
    values = np.full((1, 600, 600), height, "float32")
    if hole:
        values[:, 250:350, 250:350] = -9999
    return write(
        tmp_path / "dem.tif", values, crs=UTM, transform=Affine(4, 0, x - 1200, 0, -4, y + 1200), nodata=-9999
    )


def expected_at(path: Path, lean: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Give the ramp's values at the centres of a result's pixels, by the linear coefficients, and its own."""
    with rasterio.open(path) as source:
        found = source.read(1).astype("float64")
        rows, columns = np.mgrid[0 : source.height, 0 : source.width]
        xs, ys = source.transform @ (columns + 0.5, rows + 0.5)
        to_lonlat = Transformer.from_crs(source.crs, "OGC:CRS84", always_xy=True)
    longitudes, latitudes = to_lonlat.transform(xs, ys)
    rpc = linear_rpc()
    column = (longitudes - rpc.long_off) / rpc.long_scale * rpc.samp_scale + rpc.samp_off + lean
    row = -(latitudes - rpc.lat_off) / rpc.lat_scale * rpc.line_scale + rpc.line_off
    inside = (column > 2) & (column < SIZE - 3) & (row > 2) & (row < SIZE - 3)
    return np.where(inside, 1000 + 10 * column + row, 0), np.where(inside, found, 0)


def test_an_image_with_coefficients_comes_to_lie_where_they_say(tmp_path: Path) -> None:
    path = write(tmp_path / "raw.tif", ramp()[np.newaxis], rpcs=linear_rpc())
    result = prepared(tmp_path, group(image(path, "P")))
    with rasterio.open(result.path) as source:
        assert source.crs.to_epsg() == 32631
        assert source.res == (METRES, METRES)
        assert source.nodata == 0
    wanted, found = expected_at(result.path)
    assert (found > 0).sum() > 0.9 * SIZE * SIZE
    assert np.abs(wanted - found).max() < 2.0, "a tenth of a pixel is 1 from column to column"
    assert "mean height of 100 m" in result.notes[0]
    assert "without an elevation model" in result.notes[0]


@pytest.mark.parametrize("hole", [False, True])
def test_heights_move_pixels(tmp_path: Path, *, hole: bool) -> None:
    path = write(tmp_path / "raw.tif", ramp()[np.newaxis], rpcs=linear_rpc())
    options = GroundOptions(terrain=dem(tmp_path, MEAN_HEIGHT + 80, hole=hole), terrain_offset=20.0)
    result = prepared(tmp_path, group(image(path, "P")), options)
    wanted, found = expected_at(result.path, lean=LEAN * 100)
    there = (found > 0) & (wanted > 0)
    assert there.sum() > 0.8 * SIZE * SIZE
    assert np.abs(wanted - found)[there].max() < 2.0
    assert "dem.tif" in result.notes[0]


def test_a_model_that_is_elsewhere_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "raw.tif", ramp()[np.newaxis], rpcs=linear_rpc())
    far = write(
        tmp_path / "far.tif",
        np.ones((1, 9, 9), "float32"),
        crs="EPSG:4326",
        transform=Affine(0.1, 0, 50, 0, -0.1, 10),
    )
    with pytest.raises(IngestError, match=r"far.tif: the elevation model does not touch the scene"):
        prepared(tmp_path, group(image(path, "P")), GroundOptions(terrain=far))


def grid_points(step: int) -> list[tuple[float, float, float, float]]:
    """Give row, column, longitude, latitude of a grid of points, by the coefficients."""
    rpc = linear_rpc()
    places = np.arange(0, SIZE + 1, step, dtype="float64")
    return [
        (
            row,
            column,
            rpc.long_off + (column - 0.5 - rpc.samp_off) / rpc.samp_scale * rpc.long_scale,
            rpc.lat_off - (row - 0.5 - rpc.line_off) / rpc.line_scale * rpc.lat_scale,
        )
        for row in places
        for column in places
    ]


@pytest.mark.parametrize(("step", "warp"), [(400, "polynomial"), (50, "spline")])
def test_points_place_an_image(tmp_path: Path, step: int, warp: str) -> None:
    path = write(tmp_path / "raw.tif", ramp()[np.newaxis])
    points = tuple(GroundPoint(row=r, column=c, longitude=x, latitude=y) for r, c, x, y in grid_points(step))
    result = prepared(tmp_path, group(image(path, "P"), points=points))
    wanted, found = expected_at(result.path)
    assert (found > 0).sum() > 0.9 * SIZE * SIZE
    assert np.abs(wanted - found).max() < 2.0
    assert f"by {len(points)} points ({warp})" in result.notes[0]


def test_the_points_of_the_file_are_used_where_the_metadata_has_none(tmp_path: Path) -> None:
    gcps = [GroundControlPoint(row=r, col=c, x=x, y=y, z=0) for r, c, x, y in grid_points(100)]
    path = write(tmp_path / "raw.tif", ramp()[np.newaxis], gcps=gcps, crs="EPSG:4326")
    wanted, found = expected_at(prepared(tmp_path, group(image(path, "P"))).path)
    assert np.abs(wanted - found).max() < 2.0


def test_an_image_that_is_said_to_lie_on_the_ground_may_have_points_only(tmp_path: Path) -> None:
    gcps = [GroundControlPoint(row=r, col=c, x=x, y=y) for r, c, x, y in grid_points(200)]
    path = write(tmp_path / "raw.tif", ramp()[np.newaxis], gcps=gcps, crs="EPSG:4326")
    result = prepared(tmp_path, group(image(path, "P"), geometry="ground"))
    wanted, found = expected_at(result.path)
    assert np.abs(wanted - found).max() < 2.0
    bare = write(tmp_path / "bare.tif", ramp()[np.newaxis])
    with pytest.raises(DeliveryUnreadableError, match="it has no georeference"):
        prepared(tmp_path, group(image(bare, "P"), geometry="ground"))


def test_an_image_that_nothing_places_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "raw.tif", ramp()[np.newaxis])
    with pytest.raises(DeliveryUnreadableError, match="nothing says where it lies"):
        prepared(tmp_path, group(image(path, "P")))


def test_a_large_image_is_done_square_by_square_without_a_seam(tmp_path: Path) -> None:
    path = write(tmp_path / "raw.tif", ramp()[np.newaxis], rpcs=linear_rpc())
    result = prepared(tmp_path, group(image(path, "P")), GroundOptions(resolution=0.5, crs="EPSG:2154"))
    with rasterio.open(result.path) as source:
        assert min(source.shape) > 1500
        assert source.crs.to_epsg() == 2154
    wanted, found = expected_at(result.path)
    assert np.abs(wanted - found).max() < 2.0


def test_without_a_value_for_nothing_there_is_a_mask(tmp_path: Path) -> None:
    path = write(tmp_path / "raw.tif", np.zeros((1, SIZE, SIZE), "uint8"), rpcs=linear_rpc())
    result = prepared(tmp_path, group(image(path, "P"), nodata=None), GroundOptions(crs="EPSG:2154"))
    with rasterio.open(result.path) as source:
        mask = source.dataset_mask()
        assert source.nodata is None
    assert 0.8 < (mask > 0).mean() < 1.0, "black pixels are there, the corners are not"
    assert not mask[0, 0]


def test_complex_samples_become_intensity_before_anything_is_averaged(tmp_path: Path) -> None:
    phase = np.random.default_rng(1).uniform(0, 2 * math.pi, (1, SIZE, SIZE))
    path = write(tmp_path / "slc.tif", (3.0 * np.exp(1j * phase)).astype("complex64"), rpcs=linear_rpc())
    result = prepared(tmp_path, group(image(path, "HH"), is_complex=True), GroundOptions(resolution=8.0))
    with rasterio.open(result.path) as source:
        values = source.read(1)
        assert source.dtypes[0] == "float32"
        assert math.isnan(source.nodata)
    assert np.nanmax(np.abs(values[5:-5, 5:-5] - 9.0)) < 0.01
    assert "detected to intensity" in result.lineage[0]


class Doubled:
    """A calibration that shows where it is asked."""

    def __call__(self, counts: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        assert counts.shape == (rows.stop - rows.start, columns.stop - columns.start)
        return (counts.astype("float32") * 2 + np.arange(columns.start, columns.stop)).astype("float32")


def test_counts_are_calibrated_where_they_lie_in_the_image(tmp_path: Path) -> None:
    path = write(
        tmp_path / "grd.tif",
        np.full((1, 700, 900), 7, "uint16"),
        crs=UTM,
        transform=Affine(10, 0, 500_000, 0, -10, 5_000_000),
    )
    more = {"geometry": "ground", "calibrations": (Doubled(),), "quantity": "sigma0"}
    given = group(image(path, "VV"), height=700, width=900, **more)
    with rasterio.open(prepared(tmp_path, given).path) as source:
        values = source.read(1)
        assert source.transform.c == 500_000
    assert np.array_equal(values, np.broadcast_to(14.0 + np.arange(900), (700, 900)))
