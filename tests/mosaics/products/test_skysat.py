"""SkySat items as Planet documents them, made here: no real one is public."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mosaics.products.delivery import DeliveryUnreadableError, check_complete
from mosaics.products.skysat import find_skysat, read_skysat
from tests.conftest import IMAGERY, write_raster

ID = "20200505_193841_ssc4d1_0018"
PROPERTIES = {
    "acquired": "2020-05-05T19:38:41.5Z",
    "cloud_cover": 0.06,
    "ground_control": True,
    "gsd": 0.72,
    "item_type": "SkySatScene",
    "satellite_azimuth": 121.3,
    "satellite_id": "SSC4",
    "sun_azimuth": 122.0,
    "sun_elevation": 56.3,
    "view_angle": 27.2,
}
FACTORS = [0.00181, 0.00192, 0.00214, 0.00322]


def item(folder: Path, *ends: str, bands: int = 4, **properties: object) -> Path:
    """Make an item with images and masks of those names."""
    folder.mkdir(exist_ok=True, parents=True)
    for end in ends:
        count = 1 if "panchromatic" in end or "udm" in end else bands
        described = json.dumps({"properties": {"reflectance_coefficients": FACTORS[:count]}})
        write_raster(
            folder / f"{ID}_{end}.tif",
            np.ones((count, 5, 6), "uint16"),
            tags={"TIFFTAG_IMAGEDESCRIPTION": described},
        )
    metadata = folder / f"{ID}_metadata.json"
    document = {"id": ID, "type": "Feature", "properties": {**PROPERTIES, **properties}}
    metadata.write_text(json.dumps(document))
    return metadata


def test_an_item(tmp_path: Path) -> None:
    metadata = item(tmp_path, "analytic", "panchromatic", "analytic_udm2", "analytic_udm")
    assert find_skysat(tmp_path) == find_skysat(metadata) == metadata
    assert find_skysat(tmp_path / f"{ID}_analytic.tif") == metadata
    assert find_skysat(tmp_path / f"{ID}_analytic_udm2.tif") is None
    delivery = read_skysat(metadata)
    assert (delivery.name, delivery.sensor_id, delivery.platform) == (ID, "skysat", "SkySat SSC4")
    assert (delivery.level, delivery.cloud_cover) == ("SkySatScene", pytest.approx(6))
    assert delivery.acquired == datetime(2020, 5, 5, 19, 38, 41, 500000, tzinfo=UTC)
    assert (delivery.view.off_nadir, delivery.view.azimuth) == (27.2, 121.3)
    assert (delivery.view.sun_elevation, delivery.view.sun_azimuth) == (56.3, 122)
    colours, pan = delivery.groups
    assert (colours.name, colours.height, colours.width, colours.nodata) == ("ms", 5, 6, 0)
    assert [band.common_name for band in colours.bands] == ["blue", "green", "red", "nir"]
    assert [band.reflectance for band in colours.bands] == FACTORS
    assert {(band.gain, band.bias) for band in colours.bands} == {(100, 0)}
    assert (colours.radiometry, colours.geometry) == ("radiance", "ground")
    assert (pan.name, [band.common_name for band in pan.bands]) == ("pan", ["pan"])
    assert [(mask.kind, mask.path.name) for mask in delivery.masks] == [("udm2", f"{ID}_analytic_udm2.tif")]
    check_complete(delivery)


def test_all_ways_of_the_same_bands_are_groups_of_their_own(tmp_path: Path) -> None:
    ends = ("analytic_sr", "analytic_dn", "analytic", "pansharpened", "panchromatic_dn")
    groups = {group.name: group for group in read_skysat(item(tmp_path, *ends)).groups}
    assert {name: group.radiometry for name, group in groups.items()} == {
        "ms": "radiance", "ms_dn": "unknown", "ms_sr": "reflectance", "pan_dn": "unknown", "pms": "unknown",
    }  # fmt: skip
    assert {band.gain for band in groups["ms_sr"].bands} == {10000}
    assert {band.reflectance for name in ("ms_sr", "ms_dn", "pms") for band in groups[name].bands} == {None}
    assert {band.gain for band in groups["pms"].bands} == {None}


@pytest.mark.parametrize("bands", [3, 4])
def test_a_picture_is_red_green_blue_with_or_without_alpha(tmp_path: Path, bands: int) -> None:
    (group,) = read_skysat(item(tmp_path, "visual", bands=bands)).groups
    assert [band.id for band in group.bands] == ["red", "green", "blue"]
    assert (group.name, group.radiometry) == ("rgb", "display")


def test_basic_images_are_in_sensor_geometry(tmp_path: Path) -> None:
    metadata = item(tmp_path, "basic_analytic", "basic_l1a_panchromatic_dn")
    (tmp_path / f"{ID}_basic_analytic_RPC.TXT").write_text("LINE_OFF: 1")
    by_name = {group.name: group for group in read_skysat(metadata).groups}
    assert set(by_name) == {"ms_basic", "pan_dn_basic"}
    found = by_name["ms_basic"]
    assert found.geometry == "sensor"
    assert found.rpc is not None
    assert found.rpc.name == f"{ID}_basic_analytic_RPC.TXT"
    assert by_name["pan_dn_basic"].rpc is None


def test_the_percentage_wins_over_the_ratio(tmp_path: Path) -> None:
    assert read_skysat(item(tmp_path, "analytic", cloud_percent=8)).cloud_cover == 8


@pytest.mark.parametrize(
    ("ends", "bands", "properties", "words"),
    [
        ((), 4, {}, "no image of it is there"),
        (("analytic",), 2, {}, "it has 2 bands, and its kind has 4"),
        (("analytic",), 4, {"item_type": "PSScene"}, "describes a PSScene"),
        (("analytic", "analytic_clip"), 4, {}, "beside it twice"),
    ],
)
def test_what_can_not_be_understood_is_told(
    tmp_path: Path, ends: tuple[str, ...], bands: int, properties: dict[str, object], words: str
) -> None:
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_skysat(item(tmp_path, *ends, bands=bands, **properties))


@pytest.mark.parametrize(
    ("content", "words"),
    [("{", "no JSON"), ("[]", "no JSON object"), ("{}", "no metadata of SkySat"), ('{"a":1,"a":2}', "twice")],
)
def test_metadata_that_are_none(tmp_path: Path, content: str, words: str) -> None:
    metadata = item(tmp_path, "analytic")
    metadata.write_text(content)
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_skysat(metadata)


def test_numbers_that_are_none_are_left_out(tmp_path: Path) -> None:
    metadata = item(
        tmp_path, "analytic", sun_azimuth="high", view_angle=None, acquired="soon", cloud_cover=True
    )
    delivery = read_skysat(metadata)
    assert (delivery.view.sun_azimuth, delivery.view.off_nadir) == (None, None)
    assert (delivery.acquired, delivery.cloud_cover) == (None, None)


@pytest.mark.imagery
def test_a_picture_without_metadata_is_a_plain_file() -> None:
    assert find_skysat(IMAGERY / "optical" / "planet" / "SkySat_Freeport_s03_20170831T162740Z.tif") is None
