"""ICEYE as an item of its open data says it, and as its older XML does."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.iceye import find_iceye, read_iceye
from tests.conftest import IMAGERY

REAL = IMAGERY / "skeletons" / "iceye"
NAME = "ICEYE_6Q31WW_20251110T182058Z_7010715_X56_SLEDF_crop_GRD"
FACTOR = 2.3701258619904503e-05
OLD = "ICEYE_X6_GRD_SM_153426_20211026T060946"
LEGACY = """<ICEYE xmlns="http://iceye.example"><product_name>{name}</product_name>
<product_level>GRD</product_level><acquisition_mode>stripmap</acquisition_mode><look_side>right</look_side>
<satellite_name>ICEYE-X6</satellite_name><polarization>VV</polarization>
<orbit_direction>DESCENDING</orbit_direction><carrier_frequency>9.65E9</carrier_frequency>
<number_of_azimuth_samples>200</number_of_azimuth_samples><number_of_range_samples>100</number_of_range_samples>
<acquisition_start_utc>2021-10-26T06:09:44.500</acquisition_start_utc>
<acquisition_end_utc>2021-10-26T06:09:48.500</acquisition_end_utc>
<incidence_near>25</incidence_near><incidence_far>27</incidence_far><avg_scene_height>12.5</avg_scene_height>
<calibration_factor>3.5E-6</calibration_factor><range_spacing>2.5</range_spacing>
<coord_first_near>1 1 41.5 -4.25</coord_first_near><coord_first_far>100 1 41.6 -3.9</coord_first_far>
<coord_last_near>1 200 41.0 -4.0E0</coord_last_near>
<coord_last_far>100 200 41.1 -3.65</coord_last_far></ICEYE>"""

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no product skeletons here")


def test_a_real_item_without_its_pixels() -> None:
    path = find_iceye(REAL)
    assert path is not None
    assert path == find_iceye(path) == REAL / f"{NAME}.stac-excerpt.json"
    delivery = read_iceye(path)
    assert (delivery.name, delivery.sensor_id, delivery.platform) == (NAME, "iceye", "ICEYE-X56")
    assert delivery.acquired == datetime(2025, 11, 10, 18, 21, 11, 676000, tzinfo=UTC)
    assert delivery.view.incidence == pytest.approx(29.033417)
    assert (delivery.view.azimuth, delivery.view.off_nadir) == (281.159013, 26.381096)
    radar = delivery.radar
    assert radar is not None
    assert radar.center_frequency_ghz == 9.6, "the item has hertz, STAC gigahertz"
    assert (radar.instrument_mode, radar.product_type) == ("spotlight", "GRD-COG")
    assert (radar.polarizations, radar.orbit_state) == (("VV",), "descending")
    assert (radar.observation_direction, radar.looks_range, radar.looks_azimuth) == ("left", 1, 10)
    (group,) = delivery.groups
    assert (group.height, group.width, group.geometry) == (1024, 512, "ground")
    assert group.quantity == "amplitude", "the excerpt states no factor"
    with pytest.raises(DeliveryIncompleteError, match=f"1 of 2 .*{NAME}.tif"):
        check_complete(delivery)


@pytest.mark.parametrize(
    ("changed", "quantity", "made"),
    [
        ({}, "sigma0", FACTOR * 2500),
        ({"sar:product_type": "SLC-COG"}, "beta0", FACTOR * 2500),
        ({"sar:instrument_mode": "scan"}, "amplitude", 50),
        ({"iceye:calibration_factor": "template"}, "amplitude", 50),
    ],
)
def test_backscatter_by_hand_from_its_own_factor(
    tmp_path: Path, changed: dict[str, Any], quantity: str, made: float
) -> None:
    path = item(tmp_path, {"iceye:calibration_factor": FACTOR} | changed)
    (group,) = read_iceye(path).groups
    assert group.quantity == quantity
    assert group.calibrations[0](np.array([[50]]), slice(0, 1), slice(0, 1)) == pytest.approx(made)
    is_complex = "SLC" in str(changed)
    assert (group.is_complex, group.files[0].samples) == (
        is_complex,
        "amplitude_phase" if is_complex else "whole",
    )


def test_odd_optional_values_are_left(tmp_path: Path) -> None:
    odd = {"datetime": "soon", "view:azimuth": "east", "sar:center_frequency": 9.6, "sar:looks_range": 1.5}
    odd |= {"sat:orbit_state": 3, "view:off_nadir": float("inf"), "start_datetime": None, "end_datetime": 1}
    delivery = read_iceye(item(tmp_path, odd))
    assert (delivery.acquired, delivery.view.azimuth, delivery.view.off_nadir) == (None, None, None)
    assert delivery.radar is not None
    assert (delivery.radar.center_frequency_ghz, delivery.radar.looks_range) == (9.6, None)
    assert delivery.radar.orbit_state is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"constellation": "other"}, "no item of ICEYE"),
        ({"sar:polarizations": []}, "which one polarization"),
        ({"proj:shape": [1024]}, "how large"),
        ({"proj:shape": [1024, -1]}, "how large"),
    ],
)
def test_what_can_not_be_understood_is_told(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_iceye(item(tmp_path, changed))


@pytest.mark.parametrize(
    ("text", "words"), [("{", "well-formed"), ("[]", "no item"), ("[" * 100_000, "JSON")]
)
def test_broken_items_are_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / f"{NAME}.json"
    path.write_text(text)
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_iceye(path)


def test_the_older_xml(tmp_path: Path) -> None:
    path = tmp_path / f"{OLD}.xml"
    path.write_text(LEGACY.format(name=OLD))
    (tmp_path / f"{OLD}.tif").write_bytes(b"x")
    assert find_iceye(tmp_path) == find_iceye(path) == find_iceye(tmp_path / f"{OLD}.tif") == path
    delivery = read_iceye(path)
    check_complete(delivery)
    assert (delivery.name, delivery.platform, delivery.view.incidence) == (OLD, "ICEYE-X6", 26)
    assert delivery.acquired == datetime(2021, 10, 26, 6, 9, 46, 500000, tzinfo=UTC)
    assert delivery.radar is not None
    assert (delivery.radar.center_frequency_ghz, delivery.radar.orbit_state) == (9.65, "descending")
    (group,) = delivery.groups
    assert (group.quantity, group.geometry) == ("sigma0", "sensor")
    assert group.calibrations[0](np.array([[50]]), slice(0, 1), slice(0, 1)) == pytest.approx(3.5e-6 * 2500)
    assert [(point.row, point.column, point.longitude, point.latitude) for point in group.points] == [
        (0.5, 0.5, -4.25, 41.5),
        (0.5, 99.5, -3.9, 41.6),
        (199.5, 0.5, -4.0, 41.0),
        (199.5, 99.5, -3.65, 41.1),
    ]
    assert {point.height for point in group.points} == {12.5}
    path.write_text(LEGACY.replace("41.6 -3.9", "unknown"))
    assert read_iceye(path).groups[0].points == ()


def test_older_single_looks_are_refused(tmp_path: Path) -> None:
    name = OLD.replace("GRD", "SLC")
    (tmp_path / f"{name}.h5").write_bytes(b"x")
    found = find_iceye(tmp_path)
    assert found == tmp_path / f"{name}.h5"
    with pytest.raises(DeliveryUnreadableError, match="in HDF5 are not read here"):
        read_iceye(found)
    (tmp_path / f"{name}.xml").write_text(LEGACY.replace("GRD<", "SLC<"))
    found = find_iceye(tmp_path)
    assert found == tmp_path / f"{name}.xml"
    with pytest.raises(DeliveryUnreadableError, match="in HDF5 are not read here"):
        read_iceye(found)


def test_several_products_ask_which(tmp_path: Path) -> None:
    shutil.copyfile(REAL / f"{NAME}.stac-excerpt.json", tmp_path / f"{NAME}.json")
    (tmp_path / f"{NAME}.tif").write_bytes(b"x")
    assert find_iceye(tmp_path / f"{NAME}.tif") == tmp_path / f"{NAME}.json"
    (tmp_path / NAME.replace("GRD", "SLC")).with_suffix(".json").write_text("{}")
    with pytest.raises(DeliveryUnreadableError, match="2 products"):
        find_iceye(tmp_path)
    (tmp_path / "ICEYE_X6_QUICKLOOK.tif").write_bytes(b"x")
    for other in ("missing", "ICEYE_X6_QUICKLOOK.tif"):
        assert find_iceye(tmp_path / other) is None


def item(tmp_path: Path, changed: dict[str, Any]) -> Path:
    """Write the real item with other properties."""
    whole = json.loads((REAL / f"{NAME}.stac-excerpt.json").read_text())
    whole["properties"] |= changed
    path = tmp_path / f"{NAME}.json"
    path.write_text(json.dumps(whole))
    return path
