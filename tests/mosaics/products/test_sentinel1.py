"""Sentinel-1 as GDAL's tests have it, and small products with calibration vectors and swaths."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.sentinel1 import find_sentinel1, read_sentinel1
from tests.conftest import IMAGERY

FAKE = IMAGERY / "skeletons" / "sentinel1_fake_safe"
STEM = "s1a-iw-grd-{}-20150705t064241-20150705t064306-006672-008ea0-{}"
VV, VH = STEM.format("vv", "001"), STEM.format("vh", "002")
VECTOR = (
    "<calibrationVector><line>{}</line><pixel count='3'>0 100 255</pixel>"
    "<sigmaNought count='3'>{}</sigmaNought></calibrationVector>"
)
POINT = (
    "<geolocationGridPoint><line>{}</line><pixel>{}</pixel><latitude>{}</latitude><longitude>{}</longitude>"
    "<height>12</height></geolocationGridPoint>"
)

pytestmark = pytest.mark.skipif(not FAKE.is_dir(), reason="no product skeletons here")


def test_a_ground_range_product() -> None:
    manifest = FAKE / "test.SAFE" / "manifest.safe"
    image = manifest.parent / "measurement" / f"{VV}.tiff"
    assert find_sentinel1(FAKE) == find_sentinel1(manifest.parent) == find_sentinel1(manifest) == manifest
    assert find_sentinel1(image) == manifest
    delivery = read_sentinel1(manifest)
    check_complete(delivery)
    assert (delivery.sensor_id, delivery.platform, delivery.level) == ("sentinel-1", "Sentinel-1A", "L1 GRD")
    assert delivery.acquired == datetime(2015, 7, 5, 6, 42, 54, 4185, tzinfo=UTC)
    assert delivery.view.incidence == pytest.approx(39.01775013707726)
    radar = delivery.radar
    assert radar is not None
    assert (radar.instrument_mode, radar.product_type, radar.frequency_band) == ("IW", "GRD", "C")
    assert (radar.orbit_state, radar.relative_orbit, radar.absolute_orbit) == ("descending", 125, 6672)
    assert radar.center_frequency_ghz == pytest.approx(5.405, abs=1e-5)
    assert radar.pixel_spacing_azimuth == pytest.approx(10.00655)
    (group,) = delivery.groups
    assert (group.name, group.height, group.width) == ("grd", 167, 256)
    assert [band.id for band in group.bands] == ["VV", "VH"], "what comes back as it was sent is first"
    assert [file.path.stem for file in group.files] == [VV, VH]
    assert group.quantity == "amplitude", "its calibration has no vectors"
    assert group.points == (), "one point places nothing; the image's own are used"


def test_sigma0_by_hand_from_the_vectors(tmp_path: Path) -> None:
    manifest = product(tmp_path)
    (group,) = read_sentinel1(manifest).groups
    assert group.quantity == "sigma0"
    rows, columns = slice(0, 167), slice(0, 256)
    counts = (np.arange(167 * 256).reshape(167, 256) % 1000 + 1).astype("uint16")
    vv, vh = (each(counts, rows, columns) for each in group.calibrations)
    assert vv[0, 100] == pytest.approx(counts[0, 100].astype(float) ** 2 / 500.0**2)
    assert vv[100, 255] == pytest.approx(counts[100, 255].astype(float) ** 2 / 400.0**2)
    gain = ((400 + 0.3 * (500 - 400)) * 3 + (300 + 0.3 * (350 - 300))) / 4
    assert vv[25, 30] == pytest.approx(counts[25, 30].astype(float) ** 2 / gain**2)
    assert vh[25, 30] == pytest.approx(counts[25, 30].astype(float) ** 2 / 1000**2), "each by its own table"


def test_points_lie_in_the_middle_of_samples(tmp_path: Path) -> None:
    (group,) = read_sentinel1(product(tmp_path)).groups
    assert [(point.row, point.column) for point in group.points] == [(0.5, 0.5), (0.5, 255.5), (166.5, 0.5)]
    assert [(point.longitude, point.latitude) for point in group.points] == [(-8, 39), (-9, 39.1), (-8.1, 38)]
    assert {point.height for point in group.points} == {12}


def single_looks(tmp_path: Path, mode: str) -> Path:
    manifest = product(tmp_path)
    for stem in (VV, VH):
        annotation = manifest.parent / "annotation" / f"{stem}.xml"
        annotation.write_text(annotation.read_text().replace("Detected</pixelValue>", "Complex</pixelValue>"))
    change(manifest, "productType>GRD<", "productType>SLC<")
    change(manifest, "mode>IW<", f"mode>{mode}<")
    return manifest


def test_single_looks_of_a_stripmap(tmp_path: Path) -> None:
    (group,) = read_sentinel1(single_looks(tmp_path, "SM")).groups
    assert (group.name, group.is_complex) == ("slc", True)
    assert [file.path.stem for file in group.files] == [VV, VH]
    counts = np.full((1, 1), 3 + 4j, dtype="complex64")
    made = group.calibrations[1](counts, slice(9, 10), slice(9, 10))
    assert made[0, 0] == pytest.approx(25 / 1000**2)


@pytest.mark.parametrize("mode", ["IW", "EW"])
def test_single_looks_in_bursts_are_refused(tmp_path: Path, mode: str) -> None:
    words = f"manifest.safe: its single looks of mode {mode} come in bursts, .* bank the same scene as GRD"
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_sentinel1(single_looks(tmp_path, mode))


@pytest.mark.parametrize(
    "gone",
    [f"measurement/{VH}.tiff", f"annotation/calibration/calibration-{VV}.xml", f"annotation/{VV}.xml"],
)
def test_a_half_copied_delivery_is_refused(tmp_path: Path, gone: str) -> None:
    manifest = product(tmp_path)
    (manifest.parent / gone).unlink()
    with pytest.raises(DeliveryIncompleteError, match=Path(gone).stem):
        check_complete(read_sentinel1(manifest))


def test_what_can_not_be_understood_is_told(tmp_path: Path) -> None:
    manifest = product(tmp_path)
    table = manifest.parent / "annotation" / "calibration" / f"calibration-{VV}.xml"
    table.write_text(table.read_text().replace("500", "many", 1))
    with pytest.raises(DeliveryUnreadableError, match="no numbers"):
        read_sentinel1(manifest)
    table.write_text(table.read_text().replace("many", "", 1))
    with pytest.raises(DeliveryUnreadableError, match="cut short"):
        read_sentinel1(manifest)
    annotation = manifest.parent / "annotation" / f"{VV}.xml"
    annotation.write_text(annotation.read_text().replace(">167<", ">168<"))
    with pytest.raises(DeliveryUnreadableError, match="how large"):
        read_sentinel1(manifest)
    change(manifest, "productType>GRD<", "productType>OCN<")
    with pytest.raises(DeliveryUnreadableError, match="only GRD and SLC"):
        read_sentinel1(manifest)
    change(manifest, 'href="./measurement', 'href="../measurement')
    change(manifest, "productType>OCN<", "productType>GRD<")
    with pytest.raises(DeliveryUnreadableError, match="outside the delivery"):
        read_sentinel1(manifest)


def test_several_products_ask_which(tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(FAKE / "test.SAFE", tmp_path / f"{name}.SAFE")
    with pytest.raises(DeliveryUnreadableError, match="2 products"):
        find_sentinel1(tmp_path)
    assert find_sentinel1(tmp_path / "missing") is None
    (tmp_path / "manifest.safe").write_text("<xfdu:XFDU xmlns:safe='http://www.esa.int/safe/sentinel/1.1'/>")
    assert find_sentinel1(tmp_path / "manifest.safe") is None, "Sentinel-2 has a manifest too"


def product(tmp_path: Path) -> Path:
    """Give a copy that has calibration vectors and a grid of places."""
    folder = Path(shutil.copytree(FAKE / "test.SAFE", tmp_path / "test.SAFE"))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    vectors = {
        VV: VECTOR.format(0, "400 500 600") + VECTOR.format(100, "300 350 400"),
        VH: VECTOR.format(0, "1000 1000 1000"),
    }
    grid = POINT.format(0, 0, 39, -8) + POINT.format(0, 255, 39.1, -9) + POINT.format(166, 0, 38, -8.1)
    for stem, listed in vectors.items():
        table = folder / "annotation" / "calibration" / f"calibration-{stem}.xml"
        table.write_text(
            f"<calibration><calibrationVectorList>{listed}</calibrationVectorList></calibration>"
        )
        annotation = folder / "annotation" / f"{stem}.xml"
        text = annotation.read_text()
        before, _, rest = text.partition("<geolocationGridPoint>")
        after = rest.partition("</geolocationGridPoint>")[2]
        annotation.write_text(before + grid + after)
    return folder / "manifest.safe"


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
