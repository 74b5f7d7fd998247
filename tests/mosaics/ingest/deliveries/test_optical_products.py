"""Optical deliveries but DIMAP banked from end to end: order and numbers of bands, masks, styles, items."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import warp
from rasterio.transform import from_origin
from rio_tiler.colormap import cmap
from rio_tiler.models import ImageData

from mosaics.errors import IngestError
from mosaics.gdal import RasterOpenError, open_raster
from mosaics.ingest.deliveries.groups import asset_keys
from mosaics.ingest.sandbox import Sandbox
from tests.mosaics.ingest.deliveries.banked import Banked, banked, opened
from tests.mosaics.ingest.deliveries.optical_images import (
    COLUMNS,
    LOSSLESS,
    PLACE,
    ROWS,
    edited,
    rpc_text,
    told,
)
from tests.mosaics.ingest.deliveries.sensor_images import MIDDLE, SIZE, linear_rpc, write
from tests.mosaics.products import test_jilin as jilin
from tests.mosaics.products import test_planet as planet
from tests.mosaics.products import test_sentinel2 as sentinel2
from tests.mosaics.products import test_sidecar as sidecar
from tests.mosaics.products import test_skysat as skysat

pytestmark = pytest.mark.skipif(not planet.FOLDER.is_dir(), reason="no real imagery here")


def test_planetscope_of_eight_bands_with_its_mask(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = planet.copied(tmp_path)
    metadata = folder / f"{planet.NAME}_metadata.xml"
    edited(metadata, (">4</ps:numBands>", ">8</ps:numBands>"))
    values = told(8)
    values[:, :10] = 0
    write(folder / f"{planet.NAME}.tif", values, nodata=0, **PLACE)
    write(folder / "20170831_172754_101c_3B_udm2.tif", udm2(), **PLACE)
    (folder / f"{planet.NAME}_DN_udm.tif").unlink()
    made = banked(tmp_path / "home", sandbox, metadata)
    assert [band["eo:common_name"] for band in made.bands()] == [
        *("coastal", "blue", "green05", "green", "yellow", "red", "rededge", "nir")
    ]
    assert not np.isfinite(made.values()[:, :10]).any()
    np.testing.assert_array_equal(made.values()[:, 10:], values[:, 10:])
    check_udm2(made)
    assert {"natural", "ndre", "coastal"} <= set(made.scene.styles)
    assert {band["raster:scale"] for band in made.bands()} == {0.01}


def udm2() -> np.ndarray:
    """Give Planet's eight bands: clear, but for a cloud, some snow, and rows where nothing was seen."""
    bands = np.zeros((8, ROWS, COLUMNS), "uint8")
    bands[0, 10:] = 1
    bands[0, 30:40, 30:40], bands[5, 30:40, 30:40] = 0, 1
    bands[0, 60:70, 60:70], bands[1, 60:70, 60:70] = 0, 1
    bands[6], bands[7, :10] = 95, 1
    return bands


def check_udm2(made: Banked) -> None:
    mask = made.values("mask")[0]
    assert (mask[30:40, 30:40] == 6).all()
    assert (mask[60:70, 60:70] == 2).all()
    assert (mask[80:] == 1).all()
    assert np.isnan(mask[:10]).all()
    names = {each["name"] for each in made.item["assets"]["mask"]["classification:classes"]}
    assert {"clear", "cloud", "snow"} <= names


def test_skysat_with_all_its_images(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = tmp_path / "in"
    metadata = skysat.item(folder, "analytic", "analytic_sr", "panchromatic", "visual", "analytic_udm2")
    for end in ("analytic", "analytic_sr"):
        write(folder / f"{skysat.ID}_{end}.tif", told(4), nodata=0, **PLACE)
    write(folder / f"{skysat.ID}_panchromatic.tif", told(1), nodata=0, **PLACE)
    alpha = np.full((1, ROWS, COLUMNS), 255, "uint8")
    alpha[:, :, :15] = 0
    colours = np.concatenate([told(3, dtype="uint8"), alpha])
    write(folder / f"{skysat.ID}_visual.tif", colours, photometric="RGB", alpha="YES", **PLACE)
    write(folder / f"{skysat.ID}_analytic_udm2.tif", udm2(), **PLACE)
    made = banked(tmp_path / "home", sandbox, metadata)
    assert set(made.item["assets"]) == {"data", "mssr", "pan", "rgb", "mask", "thumbnail"}
    assert {band["raster:scale"] for band in made.bands()} == {0.01}
    assert {band["raster:scale"] for band in made.bands("mssr")} == {1e-4}
    assert not np.isfinite(made.values("rgb")[:, :, :15]).any()
    np.testing.assert_array_equal(made.values("rgb")[:, :, 15:], colours[:3, :, 15:])
    check_udm2(made)
    assert {"natural", "pansharp", "pan"} <= set(made.scene.styles)
    assert made.properties["eo:cloud_cover"] == pytest.approx(6)


@pytest.mark.parametrize("night", [False, True])
def test_jilin(tmp_path: Path, sandbox: Sandbox, *, night: bool) -> None:
    name = "JL1GF03C01_NTL_20220701134020_200091_101_0001_001_L1" if night else jilin.GF03
    folder = jilin.scene(tmp_path / "in", name, **({"alone": 3} if night else {}))
    for image in folder.glob("*.tif"):
        count = 1 if "PAN" in image.name else 3 if night else 4
        write(image, told(count, 400, 400))
        image.with_name(f"{image.stem}_rpc.txt").write_text(rpc_text())
    made = banked(tmp_path / "home", sandbox, folder)
    if night:
        assert (made.scene.kind, made.scene.styles[0]) == ("night", "night-mean")
        assert [band["eo:common_name"] for band in made.bands()] == ["red", "green", "blue"]
    else:
        assert made.scene.styles[0] == "natural"
        assert "pansharp" not in made.scene.styles or made.scene.others
        assert [band["eo:common_name"] for band in made.bands()] == ["blue", "green", "red", "nir"]
        assert [other.key for other in made.scene.others] == ["pan"]
    assert "orthorectified to EPSG:32631" in made.properties["processing:lineage"]


def test_sentinel2_is_one_scene_of_three_resolutions(tmp_path: Path, sandbox: Sandbox) -> None:
    safe = sentinel2.product(tmp_path)
    for path in safe.rglob("*.jp2"):
        band = re.search("_(B..|SCL|TCI)_", path.stem)[1]
        tile(path, band, int(path.stem.rpartition("_")[2][:2]))
    made = banked(tmp_path / "home", sandbox, safe)
    assert set(made.item["assets"]) == {"data", "r10m", "r60m", "mask", "thumbnail"}
    assert [band["name"] for band in made.bands("r10m")] == ["B02", "B03", "B04", "B08"]
    assert [band["name"] for band in made.bands()] == ["B05", "B06", "B07", "B8A", "B11", "B12"]
    for key in ("data", "r10m", "r60m"):
        for band in made.bands(key):
            assert (band["raster:scale"], band["raster:offset"]) == (1e-4, pytest.approx(-0.1))
            assert "unit" not in band, "fixed ranges are those of reflectance without an offset"
    assert {(band.scale, round(band.offset, 9)) for band in made.scene.all_bands} == {(1e-4, -0.1)}
    red, nir = made.values("r10m")[2:] - 1000
    render = made.properties["renders"]["ndvi"]
    theirs = ImageData(np.ma.masked_invalid(made.values("r10m"))).apply_expression(render["expression"])
    np.testing.assert_allclose(theirs.array.data[0], (nir - red) / (nir + red), atol=1e-6)
    check_ndvi(made.picture_in("ndvi"), float(np.nanmean((nir - red) / (nir + red))))
    assert {"natural", "swir", "agri", "moisture", "ndvi", "cir"} <= set(made.scene.styles)
    assert made.scene.styles[0] == "natural"
    for style in ("swir", "agri", "moisture"):
        picture = made.picture_in(style)
        assert (picture[..., 3] > 0).mean() > 0.9
        assert picture[..., :3].std() > 5, f"{style} shows what lies in files of two resolutions"
    mask = made.values("mask")[0]
    assert mask[10, 10] == 6
    assert mask[-10, -10] == 1


def tile(path: Path, band: str, metres: int) -> None:
    """Write a band of a tile that tells its number and its place, or the classes."""
    size = 360 // metres * 10
    place = {"crs": "EPSG:32631", "transform": from_origin(300_000, 4_900_020, metres, metres)}
    if band == "SCL":
        values = np.full((1, size, size), 4, "uint8")
        values[:, : size // 2, : size // 2] = 9
    else:
        number = 5 if band == "B8A" else int(band[1:]) if band != "TCI" else 1
        values = told(1, size, size) + np.uint16(1000 + 100 * number)
    write(path, values, **place, **LOSSLESS)


def test_sentinel2_of_level_1c(tmp_path: Path, sandbox: Sandbox) -> None:
    """Above the atmosphere: with cirrus, without classes, each band in its own resolution only."""
    safe = sentinel2.product(tmp_path, level="1C", baseline="03.01")
    for path in safe.rglob("*.jp2"):
        band = path.stem.rpartition("_")[2]
        metres = {"B01": 60, "B09": 60, "B10": 60, "B02": 10, "B03": 10, "B04": 10, "B08": 10}.get(band, 20)
        tile(path, band, metres)
    made = banked(tmp_path / "home", sandbox, safe)
    assert set(made.item["assets"]) == {"data", "r10m", "r60m", "thumbnail"}
    assert [band["name"] for band in made.bands("r60m")] == ["B01", "B09", "B10"]
    assert made.bands("r60m")[2]["eo:common_name"] == "cirrus"
    for key in ("data", "r10m", "r60m"):
        for band in made.bands(key):
            assert (band["raster:scale"], band.get("raster:offset", 0)) == (1e-4, 0)
            assert band["unit"] == "1e-4", "before baseline 04.00 there is no offset"
    assert made.properties["processing:level"] == "Level-1C"
    assert made.scene.styles[0] == "natural"
    red, nir = made.values("r10m")[2:]
    check_ndvi(made.picture_in("ndvi"), float(np.nanmean((nir - red) / (nir + red))))


def test_skysat_before_it_is_put_on_the_ground(tmp_path: Path, sandbox: Sandbox) -> None:
    folder = tmp_path / "in"
    metadata = skysat.item(folder, "basic_analytic_dn", "basic_panchromatic_dn")
    for end, count in (("basic_analytic_dn", 4), ("basic_panchromatic_dn", 1)):
        write(folder / f"{skysat.ID}_{end}.tif", told(count, SIZE, SIZE))
        (folder / f"{skysat.ID}_{end}_RPC.TXT").write_text(rpc_text())
    made = banked(tmp_path / "home", sandbox, metadata)
    assert [band["eo:common_name"] for band in made.bands()] == ["blue", "green", "red", "nir"]
    assert "orthorectified to EPSG:32631" in made.properties["processing:lineage"]
    assert [other.bands[0].common_name for other in made.scene.others] == ["pan"]
    assert {"natural", "pan", "pansharp"} <= set(made.scene.styles)
    check_middle(made)


def check_middle(made: Banked) -> None:
    """See that the middle of the image lies where its coefficients say."""
    with rasterio.open(made.path()) as source:
        (x,), (y,) = warp.transform("EPSG:4326", source.crs, [MIDDLE[0]], [MIDDLE[1]])
        found = source.read()[(slice(None), *source.index(x, y))]
    wanted = told(source.count, SIZE, SIZE, source.dtypes[0])[:, SIZE // 2, SIZE // 2]
    np.testing.assert_allclose(found, wanted, atol=2)


def check_ndvi(picture: np.ndarray, mean: float) -> None:
    """See that the colours of an index are, on the whole, those of its mean."""
    place = round((mean + 0.2) / 1.1 * 255)
    expected = np.array(cmap.get("rdylgn")[place])
    shown = picture[picture[..., 3] == 255].mean(axis=0)
    np.testing.assert_allclose(shown, expected, atol=6)


MAKE_NITF = """
import sys, warnings
import numpy as np, rasterio
warnings.simplefilter("ignore")
values = np.load(sys.argv[1])
place = {"crs": "EPSG:32631", "transform": rasterio.transform.from_origin(500000, 5150000, 2, 2)}
size = {"count": values.shape[0], "height": values.shape[1], "width": values.shape[2]}
said = {"ICORDS": "N", "IDATIM": "20210304050607", **({"IREP": "RGB"} if len(values) == 3 else {})}
with rasterio.open(sys.argv[2], "w", driver="NITF", dtype="uint8", **place, **size, **said) as target:
    target.write(values)
"""


@pytest.mark.parametrize(("count", "style"), [(1, "grey"), (3, "rgb"), (4, "bands-123")])
def test_nitf(tmp_path: Path, sandbox: Sandbox, count: int, style: str) -> None:
    path, values = tmp_path / "a.ntf", told(count, dtype="uint8")
    np.save(tmp_path / "a.npy", values)
    subprocess.run(
        [sys.executable, "-c", MAKE_NITF, str(tmp_path / "a.npy"), str(path)],
        check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("GDAL")},
    )
    made = banked(tmp_path / "home", sandbox, path)
    np.testing.assert_array_equal(made.values(), values)
    named = ["red", "green", "blue"] if count == 3 else [None] * count
    assert [band.get("eo:common_name") for band in made.bands()] == named
    assert made.scene.styles[0] == style
    assert made.properties["datetime"] == "2021-03-04T05:06:07Z"
    assert made.properties["proj:code"] == "EPSG:32631"
    assert sandbox.run("a", opened, path, "NITF", report=lambda *_: None) == (count, ROWS, COLUMNS)
    with pytest.raises(RasterOpenError):
        open_raster(path, driver="NITF")


COPY_NITF = """
import sys
from rasterio.shutil import copy
copy(sys.argv[1], sys.argv[2], driver="NITF", IDATIM="20210304050607")
"""


def test_nitf_in_sensor_geometry(tmp_path: Path, sandbox: Sandbox) -> None:
    """Its own coefficients (RPC00B) place it, as WorldView's level 1B has them."""
    path = tmp_path / "a.ntf"
    source = write(tmp_path / "a.tif", told(4, SIZE, SIZE), rpcs=linear_rpc())
    subprocess.run(
        [sys.executable, "-c", COPY_NITF, str(source), str(path)],
        check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("GDAL")},
    )
    assert b"RPC00B" in path.read_bytes()[:4096]
    made = banked(tmp_path / "home", sandbox, path)
    assert "orthorectified to EPSG:32631" in made.properties["processing:lineage"]
    check_middle(made)


def test_a_description_says_what_numbers_mean(tmp_path: Path, sandbox: Sandbox) -> None:
    """Night lights are the brightest of what lies under a coarse pixel, not their average."""
    path = sidecar.product(tmp_path / "in", kind="night")
    lamps = np.zeros((4, 700, 600), "uint16")
    lamps[:, ::16, ::16] = 1000
    write(tmp_path / "in" / "ms.tif", lamps + np.uint16(1), **PLACE)
    write(tmp_path / "in" / "pan.tif", told(1), **PLACE)
    made = banked(tmp_path / "home", sandbox, path)
    assert made.scene.kind == "night"
    with rasterio.open(made.path(), overview_level=0) as source:
        assert source.read(1).max() == 1001


def test_a_description_of_an_unknown_sensor_is_refused_alone(tmp_path: Path, sandbox: Sandbox) -> None:
    path = sidecar.product(tmp_path / "in", sensor="sputnik")
    with pytest.raises(IngestError, match="TOULOUSE: unknown sensor 'sputnik'; known are"):
        banked(tmp_path / "home", sandbox, path)


def test_keys_of_assets_are_plain_and_mean_nothing_else() -> None:
    names = ("ms", "pan", "ms_sr", "MS-SR", "visual", "10m", "mask", "data")
    assert asset_keys(names) == (
        *("data", "pan", "mssr", "mssrx", "imagevisual", "image10m", "imagemask", "imagedata"),
    )


@pytest.mark.parametrize("sensor", ["multispectral", "co3d"])
def test_a_description_of_our_own(tmp_path: Path, sandbox: Sandbox, sensor: str) -> None:
    path = sidecar.product(tmp_path / "in", sensor=sensor)
    write(tmp_path / "in" / "ms.tif", told(4), **PLACE)
    fine = {**PLACE, "transform": PLACE["transform"] @ rasterio.Affine.scale(0.5)}
    write(tmp_path / "in" / "pan.tif", told(1, 2 * ROWS, 2 * COLUMNS), **fine)
    made = banked(tmp_path / "home", sandbox, path)
    assert made.scene.sensor_id == sensor
    assert [band["eo:common_name"] for band in made.bands()] == ["red", "green", "blue", "nir"]
    assert {"natural", "pan"} <= set(made.scene.styles)
    np.testing.assert_array_equal(made.values("pan"), told(1, 2 * ROWS, 2 * COLUMNS))
