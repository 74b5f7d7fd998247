"""Jilin-1 as its files are documented to be named, made here: no real one is public, nor is its metadata."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.jilin import find_jilin, read_jilin
from tests.conftest import write_raster

GF03 = "JL1GF03B02_PMS_20220516095811_200084559_101_0008_001_L1"
META = "<MetaData><ProductInfo><UpperLeftLongitude>1</UpperLeftLongitude>{}</ProductInfo></MetaData>"


def scene(folder: Path, name: str = GF03, told: str = "", **counts: int) -> Path:
    """Make a scene; `counts` are bands by MSS, PAN or nothing."""
    folder.mkdir(exist_ok=True, parents=True)
    for what, count in (counts or {"MSS": 4, "PAN": 1}).items():
        stem = f"{name}_{what}" if what != "alone" else name
        write_raster(folder / f"{stem}.tif", np.ones((count, 5, 6), "uint16"))
        (folder / f"{stem}_meta.xml").write_text(META.format(told))
        (folder / f"{stem}_rpc.txt").write_text("LINE_OFF: 1")
        (folder / f"{stem}_thumb.jpg").touch()
    return folder


def test_a_scene_by_day(tmp_path: Path) -> None:
    told = "<SolarZenith>40</SolarZenith><SolarAzimuth>150.5</SolarAzimuth><CloudPercent>7</CloudPercent>"
    scene(tmp_path, told=told)
    metadata = tmp_path / f"{GF03}_MSS_meta.xml"
    for named in ("", f"{GF03}_MSS_meta.xml", f"{GF03}_PAN_meta.xml", f"{GF03}_MSS.tif", f"{GF03}_PAN.tif"):
        assert find_jilin(tmp_path / named) == metadata
    delivery = read_jilin(metadata)
    assert (delivery.name, delivery.sensor_id, delivery.platform) == (GF03, "jilin-1", "Jilin-1 JL1GF03B02")
    assert delivery.acquired == datetime(2022, 5, 16, 9, 58, 11, tzinfo=UTC)
    assert (delivery.level, delivery.cloud_cover) == ("L1", 7)
    assert (delivery.view.sun_elevation, delivery.view.sun_azimuth) == (50, 150.5)
    colours, pan = delivery.groups
    assert (colours.name, colours.height, colours.width) == ("ms", 5, 6)
    assert [band.common_name for band in colours.bands] == ["blue", "green", "red", "nir"]
    assert (pan.name, [band.common_name for band in pan.bands]) == ("pan", ["pan"])
    for group in delivery.groups:
        assert (group.geometry, group.radiometry, group.nodata) == ("sensor", "unknown", None)
        assert group.rpc is not None
        assert group.rpc.name == group.files[0].path.name.replace(".tif", "_rpc.txt")
    check_complete(delivery)


@pytest.mark.parametrize(
    ("name", "hour"),
    [
        ("JL107B_PMS1_20200103112233_000123456_0101_0003_001_L1", 3),
        ("JL101A_PMS_20170525190937_000019751_103_0013_006_L1", 19),
    ],
)
def test_the_time_of_one_satellite_is_that_of_beijing(tmp_path: Path, name: str, hour: int) -> None:
    scene(tmp_path, name, MSS=3)
    delivery = read_jilin(tmp_path / f"{name}_MSS_meta.xml")
    assert delivery.acquired is not None
    assert (delivery.acquired.hour, delivery.acquired.tzinfo) == (hour, UTC)
    assert [band.id for band in delivery.groups[0].bands] == ["blue", "green", "red"]


@pytest.mark.parametrize(
    ("name", "told", "sensor"),
    [
        ("JL1GF03C01_NTL_20220701134020_200091_101_0001_001_L1", "", "jilin-1-night"),
        (
            "JL103B_PMS_20220701134020_200091_101_0001_001_L1A",
            "<SunElevation>-20</SunElevation>",
            "jilin-1-night",
        ),
        ("JL1GF03C01_PMS_20220701134020_200091_101_0001_001_L1", "", "jilin-1"),
    ],
)
def test_night_is_told_by_the_name_or_by_the_sun(tmp_path: Path, name: str, told: str, sensor: str) -> None:
    scene(tmp_path, name, told, alone=3)
    found = find_jilin(tmp_path)
    assert found is not None
    delivery = read_jilin(found)
    assert delivery.sensor_id == sensor
    assert [band.id for band in delivery.groups[0].bands] == ["red", "green", "blue"]


def test_an_ortho_product_lies_on_the_ground_and_may_have_an_order_number(tmp_path: Path) -> None:
    name = "JL1KF01C_PMSL2_20231218114103_200220439_101_0022_001_L3D_PSH_978899"
    scene(tmp_path, name, alone=4)
    delivery = read_jilin(tmp_path / f"{name}_meta.xml")
    (group,) = delivery.groups
    assert (group.name, group.geometry, group.rpc, delivery.level) == ("pms", "ground", None, "L3D")


def test_several_scenes_ask_which(tmp_path: Path) -> None:
    scene(tmp_path)
    scene(tmp_path, GF03.replace("0008", "0009"))
    with pytest.raises(DeliveryUnreadableError, match="2 scenes"):
        find_jilin(tmp_path)
    assert len(read_jilin(tmp_path / f"{GF03}_MSS_meta.xml").groups) == 2


def test_missing_images_are_named(tmp_path: Path) -> None:
    scene(tmp_path)
    (tmp_path / f"{GF03}_PAN.tif").unlink()
    with pytest.raises(DeliveryIncompleteError, match=r"_PAN\.tif"):
        check_complete(read_jilin(tmp_path / f"{GF03}_MSS_meta.xml"))


def test_what_can_not_be_understood_is_told(tmp_path: Path) -> None:
    scene(tmp_path, MSS=5)
    with pytest.raises(DeliveryUnreadableError, match="5 bands, and Jilin-1 has 1, 3 or 4"):
        read_jilin(tmp_path / f"{GF03}_MSS_meta.xml")
    (tmp_path / "other_meta.xml").touch()
    assert find_jilin(tmp_path / "other_meta.xml") is None
    assert find_jilin(tmp_path / "missing") is None
    with pytest.raises(DeliveryUnreadableError, match="no metadata of Jilin-1"):
        read_jilin(tmp_path / "other_meta.xml")
