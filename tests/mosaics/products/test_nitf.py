"""NITF as GDAL writes it, in a process of its own: this one keeps its driver switched off."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mosaics.products.delivery import DeliveryUnreadableError
from mosaics.products.nitf import find_nitf, read_nitf

MAKE = """
import sys, warnings
import numpy as np, rasterio, rasterio.shutil
from rasterio.rpc import RPC
from rasterio.transform import from_origin
warnings.simplefilter("ignore")

def make(name, bands=3, placed=True, **options):
    options |= {"width": 90, "height": 70, "count": bands, "dtype": "uint8", "driver": "NITF"}
    if placed:
        options |= {"crs": "EPSG:32631", "transform": from_origin(5e5, 48e5, 2, 2), "ICORDS": "N"}
    with rasterio.open(f"{sys.argv[1]}/{name}.ntf", "w", **options) as target:
        target.write(np.ones((bands, 70, 90), "uint8"))

told = {"IDATIM": "20210304050607", "ISORCE": "GEOEYE-1"}
make("rgb", IREP="RGB", **told)
make("grey", 1, **told)
make("four", 4, ICOM="x" * 170, **told)
make("twelve", 12, **told)
folder = sys.argv[1]
rasterio.shutil.copy(f"{folder}/rgb.ntf", f"{folder}/packed.ntf", driver="NITF", IC="C3", ICORDS="N", **told)
make("bare", 1, placed=False)
one = [1.0] + [0.0] * 19
model = RPC(height_off=100, height_scale=500, lat_off=43, lat_scale=0.1, long_off=3, long_scale=0.1,
            line_off=35, line_scale=35, samp_off=45, samp_scale=45, err_bias=0, err_rand=0,
            line_num_coeff=[0, 0, 1] + [0] * 17, line_den_coeff=one,
            samp_num_coeff=[0, 1] + [0] * 18, samp_den_coeff=one)
place = {"crs": "EPSG:32631", "transform": from_origin(5e5, 48e5, 2, 2)}
size = {"width": 90, "height": 70, "count": 1, "dtype": "uint8"}
with rasterio.open(f"{folder}/rpc.tif", "w", driver="GTiff", rpcs=model, **place, **size) as target:
    target.write(np.ones((1, 70, 90), "uint8"))
rasterio.shutil.copy(f"{folder}/rpc.tif", f"{folder}/rpc.ntf", driver="NITF", ICORDS="N")
with rasterio.open(f"{folder}/rpc.ntf") as source:
    print(source.rpcs is not None)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("nitf")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GDAL")}
    done = subprocess.run(
        [sys.executable, "-c", MAKE, str(made)], check=True, capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "True", "its coefficients are in the file, where GDAL finds them"
    return made


@pytest.mark.parametrize(
    ("name", "sensor", "colours"),
    [
        ("rgb", "rgb", ["red", "green", "blue"]),
        ("grey", "grey", [None]),
        ("four", "multispectral", [None] * 4),
        ("twelve", "multispectral", [None] * 12),
        ("packed", "rgb", ["red", "green", "blue"]),
    ],
)
def test_what_the_header_says(folder: Path, name: str, sensor: str, colours: list[str | None]) -> None:
    path = folder / f"{name}.ntf"
    assert find_nitf(path) == path
    delivery = read_nitf(path)
    (group,) = delivery.groups
    assert (group.height, group.width) == (70, 90)
    assert [band.common_name for band in group.bands] == colours
    assert (group.geometry, group.files[0].driver, delivery.sensor_id) == ("ground", "NITF", sensor)
    assert (delivery.name, delivery.platform) == (name, "GEOEYE-1")
    assert delivery.acquired == datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_without_corners_it_is_in_sensor_geometry(folder: Path) -> None:
    delivery = read_nitf(folder / "bare.ntf")
    assert (delivery.groups[0].geometry, delivery.acquired) == ("sensor", None)


def test_coefficients_come_before_corners(folder: Path) -> None:
    (group,) = read_nitf(folder / "rpc.ntf").groups
    assert (group.geometry, group.rpc, group.points) == ("sensor", None, ())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.replace(b"NITF02.10", b"NITF02.00", 1), "older NITF"),
        (lambda data: b"II*\0" + data, "no NITF"),
        (lambda data: data[:360] + b"002" + data[363:], "2 images"),
        (lambda data: data[:360] + b"000" + data[363:], "0 images"),
        (lambda data: data[:360] + b"abc" + data[363:], "header can't be read"),
        (lambda data: data[:500], "header can't be read"),
        (lambda data: data[:354] + b"000400" + data[360:], "header can't be read"),
        (lambda data: b"", "no NITF"),
    ],
)
def test_what_is_not_read_is_told(folder: Path, tmp_path: Path, change, words: str) -> None:
    path = tmp_path / "a.ntf"
    path.write_bytes(change((folder / "rgb.ntf").read_bytes()))
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_nitf(path)


def test_other_files_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    assert find_nitf(tmp_path / "a.tif") is None
    assert find_nitf(tmp_path) is None
