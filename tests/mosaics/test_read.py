"""Reading against rasterio on files whose pixels tell where they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.warp
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_bounds
from rasterio.vrt import WarpedVRT
from scenes import scene

from mosaics.errors import SceneUnreadableError
from mosaics.fast import FastReader
from mosaics.geodesy import lonlat_transformer
from mosaics.grids import find_grid, load_grids
from mosaics.models import Band, Bounds, Frame
from mosaics.read import RioTilerReader, SceneReader
from mosaics.tiff.blocks import BlockCache
from mosaics.tiff.scene_files import SceneFiles
from tests.conftest import position_pixels, write_raster

ORIGIN = (572_000.0, 6_280_000.0)
SAME = Frame(crs="EPSG:2154", bounds=Bounds(572_000, 6_279_936, 572_064, 6_280_000), width=128, height=128)
"""Pixel by pixel the upper left of the files."""


class Nobody:
    """Stands behind the fast reader where it must not hand on."""

    def read(self, *_: object) -> Any:
        raise AssertionError("handed to the reference")

    sample = read


@pytest.fixture(params=["reference", "fast"])
def reader(request: pytest.FixtureRequest) -> SceneReader:
    if request.param == "reference":
        return RioTilerReader()
    return FastReader(reference=Nobody(), blocks=BlockCache(64_000_000))


def write(path: Path, data: np.ndarray, **more: Any) -> Any:
    write_raster(path, data, **more)
    bands = tuple(Band(name=str(i)) for i in range(1, len(data) + 1))
    height, width = data.shape[1:]
    return scene(href=str(path), bands=bands, height=height, width=width)


def test_on_its_own_grid_nothing_is_resampled(reader: SceneReader, tmp_path: Path) -> None:
    data = position_pixels(256, 256, 4, "uint16")
    found = reader.read(write(tmp_path / "a.tif", data), (1, 2, 3, 4), SAME, "bilinear")
    assert np.array_equal(found.data, data[:, :128, :128])
    assert found.data.dtype == np.uint16
    assert found.valid.all()


def test_bands_come_in_the_order_asked(reader: SceneReader, tmp_path: Path) -> None:
    data = position_pixels(256, 256, 4, "uint16")
    found = reader.read(write(tmp_path / "a.tif", data), (4, 1), SAME, "nearest")
    assert np.array_equal(found.data, data[[3, 0], :128, :128])


def test_outside_of_the_file_is_nothing(reader: SceneReader, tmp_path: Path) -> None:
    left = Frame(
        crs="EPSG:2154", bounds=Bounds(571_968, 6_279_936, 572_032, 6_280_000), width=128, height=128
    )
    for nodata, dtype in ((None, "uint8"), (0, "uint16"), (-9999.0, "float32"), (float("nan"), "float32")):
        data = position_pixels(256, 256, 1, "uint16").astype(dtype)
        one = write(tmp_path / f"{nodata}{dtype}.tif", data, nodata=nodata)
        found = reader.read(one, (1,), left, "bilinear")
        assert not found.valid[:, :64].any(), (nodata, dtype)
        assert found.valid[:, 64:].all(), (nodata, dtype)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", 0), ("uint16", 0), ("int16", -32768), ("float32", -9999.0), ("float64", float("nan"))],
)
def test_nodata_never_bleeds_into_what_is_valid(
    reader: SceneReader, tmp_path: Path, dtype: str, nodata: float
) -> None:
    data = np.full((1, 256, 256), 100).astype(dtype)
    data[:, 60:70, 60:70] = nodata
    data[:, :, 200:] = nodata
    one = write(tmp_path / "a.tif", data, nodata=nodata)
    shifted = Frame(
        crs="EPSG:2154",
        bounds=Bounds(572_000.17, 6_279_900.13, 572_100.17, 6_280_000.13),
        width=170,
        height=170,
    )
    found = reader.read(one, (1,), shifted, "bilinear")
    assert np.allclose(found.data[0][found.valid], 100)
    assert not found.valid[53:57, 53:57].any()


def test_an_internal_mask_never_bleeds(reader: SceneReader, tmp_path: Path) -> None:
    data = np.full((3, 256, 256), 100, "uint8")
    data[:, 100:, :] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        one = write(tmp_path / "a.tif", data)
        with rasterio.open(one.href, "r+") as target:
            mask = np.full((256, 256), 255, "uint8")
            mask[100:] = 0
            target.write_mask(mask)
    shifted = Frame(
        crs="EPSG:2154",
        bounds=Bounds(572_000.17, 6_279_936.13, 572_064.17, 6_280_000.13),
        width=100,
        height=100,
    )
    found = reader.read(one, (1, 2, 3), shifted, "bilinear")
    assert (found.data[:, found.valid] == 100).all()
    assert not found.valid[79:].any()
    assert found.valid[2:76, :].all()


def test_an_alpha_band_is_a_mask_and_no_channel(reader: SceneReader, tmp_path: Path) -> None:
    data = np.full((4, 256, 256), 100, "uint8")
    data[3] = 255
    data[:, :, 50:60] = 0
    one = write(tmp_path / "a.tif", data, photometric="RGB")
    with rasterio.open(one.href, "r+") as target:
        target.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    found = reader.read(one, (1, 2, 3), SAME, "bilinear")
    assert found.data.shape == (3, 128, 128)
    assert not found.valid[:, 50:60].any()
    assert found.valid[:, 61:].all()


@pytest.mark.parametrize("tms_id", ["WebMercatorQuad", "2154_50cm", "WorldCRS84Quad", "2154_50cm_512"])
@pytest.mark.parametrize("turn", [0.0, 27.0])
def test_positions_are_true_in_every_grid(
    reader: SceneReader, tmp_path: Path, tms_id: str, turn: float
) -> None:
    """Values are the coordinates of pixel centres, so a read value says where its pixel is."""
    size = 600
    transform = Affine.translation(*ORIGIN) @ Affine.rotation(turn) @ Affine.scale(0.5, -0.5)
    columns, rows = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    xs, ys = transform @ (columns, rows)
    data = np.stack([xs - ORIGIN[0], ys - ORIGIN[1]]).astype("float64")
    path = tmp_path / "a.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=size,
        height=size,
        count=2,
        dtype="float64",
        crs="EPSG:2154",
        transform=transform,
        nodata=float("nan"),
    ) as target:
        target.write(data)
    one = scene(href=str(path), bands=(Band(name="x"), Band(name="y")), width=size, height=size)
    grid = find_grid(load_grids(), tms_id)
    lon, lat = lonlat_transformer("EPSG:2154").transform(*(transform @ (size / 2, size / 2)))
    z = grid.zoom_for(0.5, lat)
    here = grid.tiles(Bounds(lon, lat, lon, lat), z)
    assert here is not None
    frame = grid.frame(z, here.min_col, here.min_row)
    found = reader.read(one, (1, 2), frame, "bilinear")
    left, bottom, right, top = frame.bounds
    px, py = np.meshgrid(
        left + (np.arange(frame.width) + 0.5) * (right - left) / frame.width,
        top - (np.arange(frame.height) + 0.5) * (top - bottom) / frame.height,
    )
    true_x, true_y = rasterio.warp.transform(
        CRS.from_user_input(frame.crs), CRS.from_epsg(2154), px.ravel(), py.ravel()
    )
    assert found.valid.sum() > 1000
    for band, true, origin in ((0, true_x, ORIGIN[0]), (1, true_y, ORIGIN[1])):
        error = found.data[band] - (np.array(true).reshape(px.shape) - origin)
        inner = found.valid & np.roll(found.valid, 3, 0) & np.roll(found.valid, -3, 0)
        inner &= np.roll(found.valid, 3, 1) & np.roll(found.valid, -3, 1)
        assert np.abs(error[inner]).max() < 0.5 * 0.25, "more than a quarter of a pixel off"


def test_coarse_reads_use_overviews_and_stay_in_place(reader: SceneReader, tmp_path: Path) -> None:
    data = position_pixels(2048, 2048, 1, "uint16")
    one = write(tmp_path / "a.tif", data, nodata=0, tiled=True, blockxsize=256, blockysize=256)
    with rasterio.open(one.href, "r+") as target:
        target.build_overviews([2, 4, 8], rasterio.enums.Resampling.average)
    coarse = Frame(
        crs="EPSG:2154", bounds=Bounds(572_000, 6_278_976, 573_024, 6_280_000), width=256, height=256
    )
    found = reader.read(one, (1,), coarse, "bilinear")
    expected = data[0].reshape(256, 8, 256, 8).mean(axis=(1, 3))
    assert np.abs(found.data[0].astype(float) - expected)[4:-4, 4:-4].max() <= 2


@pytest.mark.parametrize(
    ("point", "value"),
    [((0.25, -0.25), (0, 0)), ((10.4, -20.6), (20, 41)), ((127.9, -127.9), (255, 255))],
)
def test_a_sample_is_the_pixel_it_falls_into(
    reader: SceneReader, tmp_path: Path, point: tuple[float, float], value: tuple[int, int]
) -> None:
    rows, columns = np.mgrid[0:256, 0:256]
    one = write(tmp_path / "a.tif", np.stack([columns, rows]).astype("uint16"))
    lon, lat = lonlat_transformer("EPSG:2154").transform(ORIGIN[0] + point[0], ORIGIN[1] + point[1])
    assert reader.sample(one, lon, lat, 0.0) == value


def test_a_sample_is_no_finer_than_allowed(reader: SceneReader, tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:256, 0:256]
    one = write(tmp_path / "a.tif", np.stack([columns, rows]).astype("uint16"))
    lon, lat = lonlat_transformer("EPSG:2154").transform(ORIGIN[0] + 10.4, ORIGIN[1] - 20.6)
    assert reader.sample(one, lon, lat, 4.0) == (19.5, 43.5)  # the mean over its 8 x 8 pixels


@pytest.mark.parametrize("kind", ["phase", "classes"])
def test_a_sample_of_what_can_not_be_averaged_is_a_pixel_of_it(
    reader: SceneReader, tmp_path: Path, kind: Any
) -> None:
    rows, columns = np.mgrid[0:256, 0:256]
    one = replace(write(tmp_path / "a.tif", np.stack([columns, rows]).astype("uint16")), kind=kind)
    lon, lat = lonlat_transformer("EPSG:2154").transform(ORIGIN[0] + 10.4, ORIGIN[1] - 20.6)
    value = reader.sample(one, lon, lat, 4.0)
    assert value is not None
    column, row = value
    assert column in range(16, 24)
    assert row in range(40, 48)


def test_a_sample_outside_or_on_nodata_is_nothing(reader: SceneReader, tmp_path: Path) -> None:
    data = np.full((1, 256, 256), 7, "uint8")
    data[:, :10, :10] = 0
    one = write(tmp_path / "a.tif", data, nodata=0)
    for x, y in ((-1.0, -1.0), (1.0, -1.0), (1e6, 0.0)):
        lon, lat = lonlat_transformer("EPSG:2154").transform(ORIGIN[0] + x, ORIGIN[1] + y)
        assert reader.sample(one, lon, lat, 0.0) is None


def test_a_broken_file_is_told_as_its_scene(reader: SceneReader, tmp_path: Path) -> None:
    one = write(tmp_path / "a.tif", position_pixels(256, 256, 1))
    Path(one.href).write_bytes(Path(one.href).read_bytes()[:5000])
    with pytest.raises(SceneUnreadableError) as told:
        reader.read(one, (1,), SAME, "bilinear")
    assert told.value.scene_id == one.id
    Path(one.href).unlink()
    with pytest.raises(SceneUnreadableError):
        reader.read(one, (1,), SAME, "bilinear")


def test_nothing_is_opened_outside_the_folders(reader: SceneReader, tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    one = write(inside / "a.tif", position_pixels(256, 256, 1))
    other = write(outside / "a.tif", position_pixels(256, 256, 1))
    (inside / "link.tif").symlink_to(outside / "a.tif")
    files = SceneFiles(roots=(inside.resolve(),))
    assert isinstance(reader, RioTilerReader | FastReader)
    guarded = replace(reader, files=files)
    assert guarded.read(one, (1,), SAME, "bilinear").valid.all()
    for href in (other.href, str(inside / "link.tif"), str(inside / ".." / "out" / "a.tif")):
        with pytest.raises(SceneUnreadableError):
            guarded.read(scene(href=href), (1,), SAME, "bilinear")
        with pytest.raises(SceneUnreadableError):
            guarded.sample(scene(href=href), 1.4, 43.6, 0.0)
    Path(one.href).unlink()
    Path(one.href).symlink_to(outside / "a.tif")  # it was open, and is another now
    with pytest.raises(SceneUnreadableError):
        guarded.read(one, (1,), SAME, "bilinear")
    assert reader.read(one, (1,), SAME, "bilinear").valid.all(), "else it could be read"


def test_the_pixels_are_those_of_rasterios_own_warper(reader: SceneReader, tmp_path: Path) -> None:
    data = position_pixels(600, 600, 3)
    one = write(tmp_path / "a.tif", data)
    grid = find_grid(load_grids(), "WebMercatorQuad")
    lon, lat = lonlat_transformer("EPSG:2154").transform(ORIGIN[0] + 150, ORIGIN[1] - 150)
    here = grid.tiles(Bounds(lon, lat, lon, lat), 18)
    assert here is not None
    frame = grid.frame(18, here.min_col, here.min_row)
    found = reader.read(one, (1, 2, 3), frame, "bilinear")
    with (
        rasterio.open(one.href) as source,
        WarpedVRT(
            source,
            crs="EPSG:3857",
            transform=from_bounds(*frame.bounds, 256, 256),
            width=256,
            height=256,
            resampling=rasterio.enums.Resampling.bilinear,
            add_alpha=True,
        ) as warped,
    ):
        values = warped.read()
    apart = np.abs(found.data.astype(int) - values[:3])
    assert apart.max() <= (0 if isinstance(reader, RioTilerReader) else 1)
    assert apart.mean() < 0.05
    assert np.array_equal(found.valid, values[3] == 255)
