"""Images that many points place come to lie where the spline through them says, though it is asked seldom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.windows import Window

from mosaics.ingest.deliveries.laying import FromSensor
from mosaics.ingest.deliveries.pieces import FEWEST, STEP, pieces
from mosaics.ingest.deliveries.placing import SensorModel, ground_grid, lattice_of, thinned

HEIGHT, WIDTH = 500, 340


def bent(*, rows: int = 15, columns: int = 14, bend: float) -> tuple[GroundControlPoint, ...]:
    """Give points all over an image of pixels of 8 m x 4 m, bent by some metres as relief bends a radar's."""
    return tuple(
        GroundControlPoint(
            row=row,
            col=column,
            x=2.5 + (column * 8 + row * 0.3 + bend * np.sin(row / 70) * np.cos(column / 60)) / 78_000,
            y=46.5 - (row * 4 - column * 0.4) / 111_000,
        )
        for row in np.linspace(0.5, HEIGHT - 0.5, rows)
        for column in np.linspace(0.5, WIDTH - 0.5, columns)
    )


class Places:
    """An image whose values are the rows and columns of its pixels."""

    data_type = np.dtype("float32")
    resampling = Resampling.bilinear
    descriptions = ("row", "column")
    scales = ()

    def __init__(self, nodata: float | None = float("nan")) -> None:
        self.nodata = nodata

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = np.mgrid[window.toslices()]
        return np.stack([rows, columns]).astype("float32"), np.ones(rows.shape, bool)


def laid(tmp_path: Path, model: SensorModel, pixels: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give rows and columns as laid, as the spline has them, and where both lie well inside the image."""
    grid = ground_grid(model, None, None)
    FromSensor(grid=grid, model=model).lay(pixels, tmp_path / "laid.tif", lambda *_: None)
    with rasterio.open(tmp_path / "laid.tif") as source:
        found, shown = source.read() + 0.5, source.dataset_mask() > 0
    rows, columns = np.mgrid[0 : grid.height, 0 : grid.width]
    xs, ys = grid.transform @ (columns.ravel() + 0.5, rows.ravel() + 0.5)
    lonlat = Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True).transform(xs, ys)
    wanted = model.to_pixels(*lonlat).T.reshape(2, grid.height, grid.width)
    size = np.array([HEIGHT, WIDTH])[:, np.newaxis, np.newaxis]
    inside = ((wanted > 1) & (wanted < size - 1)).all(axis=0)
    assert shown[inside].all()
    return found, wanted, inside


@pytest.mark.parametrize("bend", [0.0, 15.0, 30.0])
def test_pixels_lie_where_the_spline_says(tmp_path: Path, bend: float) -> None:
    model = SensorModel(height=HEIGHT, width=WIDTH, points=bent(bend=bend), warp="spline")
    found, wanted, inside = laid(tmp_path, model, Places())
    assert inside.sum() > 150_000
    off = np.abs(found - wanted)[:, inside]
    assert off.max() < 0.25, "the warper's tolerance is an eighth of a pixel, a piece's a twentieth"
    assert off.mean() < 0.05


def test_a_mask_lies_as_the_image_does(tmp_path: Path) -> None:
    model = SensorModel(height=HEIGHT, width=WIDTH, points=bent(bend=15), warp="spline")
    found, wanted, inside = laid(tmp_path, model, Places(nodata=None))
    assert np.abs(found - wanted)[:, inside].max() < 0.25


@pytest.mark.parametrize("nodata", [None, -1.0])
def test_any_number_of_threads_lays_the_same(tmp_path: Path, nodata: float | None) -> None:
    model = SensorModel(height=HEIGHT, width=WIDTH, points=bent(bend=15), warp="spline")
    grid = ground_grid(model, None, None)
    found = []
    for threads in (1, 3):
        path = tmp_path / f"{threads}.tif"
        FromSensor(grid=grid, model=model, threads=threads).lay(Places(nodata), path, lambda *_: None)
        with rasterio.open(path) as source:
            found.append((source.read(), source.dataset_mask()))
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])
    assert 0 < found[0][1].mean() < 255


@pytest.mark.parametrize("size", [(1024, 1024), (1000, 7), (3, 1000), (1, 1), (130, 200)])
def test_pieces_cover_a_window_once(size: tuple[int, int]) -> None:
    model = SensorModel(height=HEIGHT, width=WIDTH, points=bent(bend=60), warp="spline")
    grid = ground_grid(model, None, None)
    window = Window.from_slices((40, 40 + size[0]), (90, 90 + size[1]))
    lattice = lattice_of(model, grid, window, STEP, FEWEST)
    times = np.zeros(size, int)
    for piece in pieces(lattice, rasterio.crs.CRS.from_string(grid.crs), window, Window(0, 0, WIDTH, HEIGHT)):
        times[piece.window.toslices()] += 1
        assert len(piece.placing["gcps"]) >= (FEWEST + 1) ** 2
    assert (times == 1).all()


def test_of_thousands_of_points_those_stay_that_lie_apart() -> None:
    points = bent(rows=100, columns=60, bend=15)
    kept, warp = thinned(points, None)
    assert (len(kept), warp) == (400, "spline")
    assert {point.id for point in kept} <= {point.id for point in points}
    places = np.array([(point.row / HEIGHT, point.col / WIDTH) for point in kept])
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert np.abs(places - corner).max(axis=1).min() < 0.01
    everywhere = np.stack(np.meshgrid(np.linspace(0, 1, 50), np.linspace(0, 1, 50)), axis=-1).reshape(
        -1, 1, 2
    )
    assert np.linalg.norm(everywhere - places, axis=2).min(axis=1).max() < 0.06, "no hole is left"
    assert thinned(points[:15], None) == (points[:15], "polynomial")
