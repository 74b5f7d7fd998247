"""PlanetScope as it was delivered after a hurricane, and with what other deliveries have."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.planet import find_planet, read_planet
from tests.conftest import IMAGERY

FOLDER = IMAGERY / "optical" / "planet"
NAME = "20170831_172754_101c_3B_AnalyticMS"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no real imagery here")


def test_a_real_delivery() -> None:
    metadata = FOLDER / f"{NAME}_metadata.xml"
    assert find_planet(FOLDER) == find_planet(metadata) == find_planet(FOLDER / f"{NAME}.tif") == metadata
    delivery = read_planet(metadata)
    assert (delivery.name, delivery.sensor_id, delivery.platform) == (NAME, "planetscope", "PlanetScope 101c")
    assert delivery.acquired == datetime(2017, 8, 31, 17, 27, 54, tzinfo=UTC)
    assert (delivery.level, delivery.cloud_cover) == ("L3B", 0.02)
    assert delivery.view.incidence == pytest.approx(0.26945790)
    assert delivery.view.sun_elevation == pytest.approx(65.12005)
    (group,) = delivery.groups
    assert (group.name, group.height, group.width, group.nodata) == ("ms", 3919, 8310, 0)
    assert [band.common_name for band in group.bands] == ["blue", "green", "red", "nir"]
    assert [band.reflectance for band in group.bands] == [
        *(1.81512636125e-05, 1.92266681265e-05, 2.14155262585e-05, 3.22221688359e-05)
    ]
    assert {(band.gain, band.bias) for band in group.bands} == {(100.0, 0.0)}, "0.01 W/m2/sr/um a count"
    assert [(mask.kind, mask.path.name) for mask in delivery.masks] == [("udm", f"{NAME}_DN_udm.tif")]
    check_complete(delivery)


def test_the_newer_mask_wins(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "20170831_172754_101c_3B_udm2.tif").write_bytes(b"x")
    delivery = read_planet(folder / f"{NAME}_metadata.xml")
    assert [(mask.kind, mask.path.name) for mask in delivery.masks] == [
        ("udm2", "20170831_172754_101c_3B_udm2.tif")
    ]


def test_eight_bands_and_surface_reflectance(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    metadata = folder / f"{NAME}_metadata.xml"
    metadata.write_text(metadata.read_text().replace(">4</ps:numBands>", ">8</ps:numBands>"))
    image = folder / f"{NAME}_SR.tif"
    image.write_bytes(b"x")
    assert find_planet(image) == metadata
    (group,) = read_planet(metadata, image).groups
    assert (group.radiometry, group.files[0].path) == ("reflectance", image)
    assert [band.common_name for band in group.bands] == [
        *("coastal", "blue", "green05", "green", "yellow", "red", "rededge", "nir")
    ]
    assert {(band.gain, band.reflectance) for band in group.bands} == {(10_000, None)}


@pytest.mark.parametrize("gone", [f"{NAME}.tif", f"{NAME}_DN_udm.tif"])
def test_a_half_copied_delivery_is_refused(tmp_path: Path, gone: str) -> None:
    folder = copied(tmp_path)
    (folder / gone).unlink()
    with pytest.raises(DeliveryIncompleteError, match=gone):
        check_complete(read_planet(folder / f"{NAME}_metadata.xml"))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (">4</ps:numBands>", ">5</ps:numBands>", "4 or 8"),
        (">PlanetScope<", ">SkySat<", "no metadata of PlanetScope"),
        (f">{NAME}.tif<", ">../a.tif<", "outside the delivery"),
        (">3919</ps:numRows>", ">many</ps:numRows>", "how large"),
    ],
)
def test_what_can_not_be_understood_is_told(tmp_path: Path, before: str, after: str, words: str) -> None:
    metadata = copied(tmp_path) / f"{NAME}_metadata.xml"
    text = metadata.read_text()
    assert before in text
    metadata.write_text(text.replace(before, after))
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_planet(metadata)


def test_several_products_ask_which(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    shutil.copy(folder / f"{NAME}_metadata.xml", folder / f"{NAME}_SR_metadata.xml")
    with pytest.raises(DeliveryUnreadableError, match="2 products"):
        find_planet(folder)
    assert find_planet(tmp_path / "missing") is None
    assert find_planet(folder / f"{NAME}_DN_udm.tif") is None


def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "delivery"
    folder.mkdir()
    for end in (".tif", "_metadata.xml", "_DN_udm.tif"):
        shutil.copy(FOLDER / f"{NAME}{end}", folder)
    return folder
