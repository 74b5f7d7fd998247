"""RADARSAT-2 as a real product of 2008 says it, and small products whose pixels are there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio

from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.radarsat2 import find_radarsat2, read_radarsat2
from tests.conftest import IMAGERY, write_raster

REAL = IMAGERY / "skeletons" / "radarsat2"
TINY = IMAGERY / "skeletons" / "radarsat2_tiny"
SIZE = 20
GAINS = np.linspace(40.0, 97.0, SIZE)

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no product skeletons here")

ORACLE = """
import sys, numpy, rasterio
with rasterio.open("RADARSAT_2_CALIB:SIGMA0:" + sys.argv[1]) as opened:
    numpy.savez(sys.argv[2], values=opened.read(1), points=[(each.row, each.col) for each in opened.gcps[0]])
"""


def test_a_real_product_without_its_pixels() -> None:
    path = find_radarsat2(REAL)
    assert path == find_radarsat2(REAL / "product.xml") == REAL / "product.xml"
    delivery = read_radarsat2(path)
    assert (delivery.name, delivery.sensor_id, delivery.level) == ("PDS_00058860", "radarsat-2", "SLC")
    assert delivery.acquired == datetime(2008, 4, 5, 12, 49, 5, 790459, tzinfo=UTC)
    assert delivery.copyright is not None
    assert delivery.copyright.endswith(
        "MacDonald, Dettwiler and Associates Ltd., 2008 - All Rights Reserved."
    )
    assert delivery.view.incidence == pytest.approx((28.0289745 + 29.8192348) / 2)
    radar = delivery.radar
    assert radar is not None
    assert (radar.frequency_band, radar.instrument_mode, radar.product_type) == ("C", "FQ9", "SLC")
    assert radar.polarizations == ("HH", "VV", "HV", "VH")
    assert radar.center_frequency_ghz == pytest.approx(5.405, abs=1e-5)
    assert (radar.orbit_state, radar.observation_direction) == ("descending", "right")
    assert (radar.looks_range, radar.looks_azimuth) == (1, 1)
    assert radar.pixel_spacing_range == pytest.approx(4.73307896)
    (group,) = delivery.groups
    assert (group.height, group.width, group.geometry, group.is_complex) == (12953, 2822, "sensor", True)
    assert [band.common_name for band in group.bands] == ["hh", "vv", "hv", "vh"]
    assert {file.samples for file in group.files} == {"real_imaginary"}
    assert len(group.points) == 350
    first, last = group.points[0], group.points[-1]
    assert (first.row, first.column) == (0.5, 0.5), "the product counts from 0 at a pixel's middle"
    assert (last.row, last.column) == (12952.5, 2821.5), "its last point is the last pixel's middle"
    assert (first.longitude, first.latitude) == pytest.approx((-97.58568320629588, 49.40392521219377))
    assert first.height == pytest.approx(453.2005615)
    with pytest.raises(DeliveryIncompleteError, match=r"5 of 6 .*lutSigma\.xml, imagery_HH\.tif"):
        check_complete(delivery)


def test_a_product_of_odd_words_is_read() -> None:
    delivery = read_radarsat2(TINY / "product.xml")
    check_complete(delivery)
    assert delivery.acquired == datetime(2009, 3, 13, tzinfo=UTC)
    assert delivery.radar is not None
    assert (delivery.radar.center_frequency_ghz, delivery.radar.orbit_state) == (None, None)
    (group,) = delivery.groups
    assert (group.quantity, [band.id for band in group.bands]) == ("sigma0", ["HH", "HV"])
    assert group.calibrations[0](np.array([[7]]), slice(3, 4), slice(5, 6)) == 49, "its gains are 1"


@pytest.mark.parametrize("kind", ["Mag", "Complex"])
def test_sigma0_is_what_gdal_makes_of_the_same_table(tmp_path: Path, kind: str) -> None:
    folder = product(tmp_path, kind)
    delivery = read_radarsat2(folder / "product.xml")
    check_complete(delivery)
    (group,) = delivery.groups
    with rasterio.open(group.files[0].path) as opened:
        stored = opened.read()
    counts = stored[0] + 1j * stored[1] if kind == "Complex" else stored[0]
    made = group.calibrations[0](counts, slice(0, SIZE), slice(0, SIZE))
    by_hand = np.abs(counts[4, 11]) ** 2
    if kind == "Complex":
        assert made[4, 11] == pytest.approx(by_hand / GAINS[11] ** 2)
    else:
        assert made[4, 11] == pytest.approx((by_hand + 7) / GAINS[11])
    theirs = oracle(folder / "product.xml", tmp_path / "oracle.npz")
    values = np.abs(theirs["values"]) ** 2 if kind == "Complex" else theirs["values"]
    np.testing.assert_allclose(made, values, rtol=1e-6)
    assert [(point.row, point.column) for point in group.points] == [tuple(each) for each in theirs["points"]]


@pytest.mark.parametrize(
    ("product_type", "named", "geometry"), [("SSG", True, "ground"), ("SGF", False, "sensor")]
)
def test_without_a_table_that_applies_it_is_amplitude(
    tmp_path: Path, product_type: str, *, named: bool, geometry: str
) -> None:
    folder = product(tmp_path, "Mag")
    change(folder, "SGF", product_type)
    if not named:
        change(folder, '"Sigma Nought"', '"Another"')
    (group,) = read_radarsat2(folder / "product.xml").groups
    assert (group.quantity, group.geometry, group.tables) == ("amplitude", geometry, ())
    assert group.calibrations[0](np.array([[3]]), slice(0, 1), slice(0, 1)) == 3


def test_words_of_the_product_lead_nowhere(tmp_path: Path) -> None:
    folder = product(tmp_path, "Mag")
    change(folder, "SGF", "../../SGF_x")
    assert read_radarsat2(folder / "product.xml").groups[0].name == "sgfx"


def test_a_table_may_have_steps(tmp_path: Path) -> None:
    folder = product(tmp_path, "Mag")
    (folder / "lut.xml").write_text(
        "<lut><pixelFirstLutValue>0</pixelFirstLutValue><stepSize>10</stepSize><offset>0</offset>"
        "<gains>10 20 40</gains></lut>"
    )
    (group,) = read_radarsat2(folder / "product.xml").groups
    made = group.calibrations[0](np.full((1, SIZE), 6), slice(0, 1), slice(0, SIZE))
    np.testing.assert_allclose(made[0, [0, 5, 15]], [36 / 10, 36 / 15, 36 / 30])


@pytest.mark.parametrize(
    ("gains", "words"), [("1 2 3", "3 gains"), ("1 x", "no numbers"), ("0 " * 20, "gains"), ("", "0 gains")]
)
def test_a_broken_table_is_told(tmp_path: Path, gains: str, words: str) -> None:
    folder = product(tmp_path, "Mag")
    (folder / "lut.xml").write_text(f"<lut><offset>0</offset><gains>{gains}</gains></lut>")
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_radarsat2(folder / "product.xml")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("numberOfLines>20", "numberOfLines>many", "how large"),
        ("numberOfLines>20", "numberOfLines>-20", "20 x -20"),
        ('pole="H', 'pole="X', "known polarization"),
        (">imagery_HH.tif<", ">../imagery_HH.tif<", "outside the delivery"),
        ("imageAttributes", "others", "no product of RADARSAT-2"),
    ],
)
def test_what_can_not_be_understood_is_told(tmp_path: Path, before: str, after: str, words: str) -> None:
    folder = product(tmp_path, "Mag")
    change(folder, before, after)
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_radarsat2(folder / "product.xml")


def test_others_are_not_taken_for_it(tmp_path: Path) -> None:
    assert find_radarsat2(tmp_path) is None
    assert find_radarsat2(tmp_path / "missing") is None
    (tmp_path / "product.xml").write_text('<product xmlns="rcmGsProductSchema"/>')
    assert find_radarsat2(tmp_path) is None, "RADARSAT Constellation has a product.xml too"
    folder = product(tmp_path, "Mag")
    assert find_radarsat2(folder / "imagery_HH.tif") == folder / "product.xml"


def product(tmp_path: Path, kind: str) -> Path:
    """Write a product of one polarization named twice, whose table differs in each column."""
    folder = Path(shutil.copytree(TINY, tmp_path / "delivery"))
    for path in folder.iterdir():
        path.chmod(0o644)
    change(folder, "<dataType>Mag", f"<dataType>{kind}")
    change(folder, "<bitsPerSample>8", "<bitsPerSample>16")
    change(folder, "PRODUCT_TYPE", "SLC" if kind == "Complex" else "SGF")
    change(folder, "byte_scanline.tif", "imagery_HH.tif")
    listed = " ".join(str(each) for each in GAINS)
    (folder / "lut.xml").write_text(f"<lut><offset>7</offset><gains>{listed}</gains></lut>")
    bands = 2 if kind == "Complex" else 1
    numbers = np.arange(1, bands * SIZE * SIZE + 1).reshape(bands, SIZE, SIZE)
    data = (numbers - 400).astype("int16") if kind == "Complex" else numbers.astype("uint16")
    write_raster(folder / "imagery_HH.tif", data)
    return folder


def change(folder: Path, before: str, after: str) -> None:
    path = folder / "product.xml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def oracle(path: Path, to: Path) -> dict[str, np.ndarray]:
    """Let GDAL calibrate in a process of its own: in this one its driver is shut."""
    environment = {key: value for key, value in os.environ.items() if key != "GDAL_SKIP"}
    subprocess.run(
        [sys.executable, "-c", ORACLE, str(path), str(to)], env=environment, check=True, timeout=60
    )
    with np.load(to) as loaded:
        return {key: loaded[key] for key in loaded.files}
