"""DIMAP 2 as GDAL's tests, CNES and OTB have it, and broken in every way that an operator meets."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mosaics.products.delivery import (
    DeliveryIncompleteError,
    DeliveryUnreadableError,
    check_complete,
)
from mosaics.products.dimap import find_dimap, read_dimap
from tests.conftest import IMAGERY

SKELETONS = IMAGERY / "skeletons"
PHR = SKELETONS / "pleiades_dimap2" / "single_component"
BUNDLE = SKELETONS / "pleiades_dimap2" / "bundle"
PNEO = SKELETONS / "pneo_dimap2" / "vhr2020_ms_fs"

pytestmark = pytest.mark.skipif(not SKELETONS.is_dir(), reason="no product skeletons here")


def test_pleiades_in_parts_and_in_sensor_geometry() -> None:
    found = find_dimap(PHR)
    assert found is not None
    assert found.name == "VOL_PHR.XML"
    delivery = read_dimap(found)
    assert (delivery.sensor_id, delivery.platform, delivery.level) == ("pleiades", "Pléiades 1A", "SENSOR")
    assert delivery.acquired == datetime(2022, 5, 19, 5, 55, 43, 122330, tzinfo=UTC)
    (group,) = delivery.groups
    assert (group.name, group.height, group.width, group.geometry) == ("pms", 30, 20, "sensor")
    assert [band.id for band in group.bands] == ["B2", "B1", "B0", "B3"], "R, G, B, NIR"
    assert [band.common_name for band in group.bands] == ["red", "green", "blue", "nir"]
    assert [(file.path.name, file.row, file.column) for file in group.files] == [
        ("IMG_foo_R1C1.TIF", 1, 1),
        ("IMG_foo_R2C1.TIF", 2, 1),
    ]
    assert (group.nodata, group.saturated, group.radiometry) == (0, 4095, "radiance")
    assert group.rpc is not None
    assert group.rpc.name == "RPC_foo.XML"
    assert group.bands[0].gain is None, "its template holds words"
    check_complete(delivery)


def test_a_bundle_is_two_groups() -> None:
    delivery = read_dimap(BUNDLE / "VOL_PHR.XML")
    assert [(group.name, len(group.bands), group.metadata.name) for group in delivery.groups] == [
        ("pms", 4, "DIM_foo.XML"),
        ("pan", 1, "DIM_foo2.XML"),
    ]
    check_complete(delivery)
    assert [path.name for path in delivery.files] == [
        *("DIM_foo.XML", "RPC_foo.XML", "IMG_foo_R1C1.TIF", "IMG_foo_R2C1.TIF"),
        *("DIM_foo2.XML", "IMG_foo2_R1C1.TIF", "IMG_foo2_R2C1.TIF"),
    ]


def test_one_dataset_of_a_volume_alone() -> None:
    (group,) = read_dimap(BUNDLE / "DIM_foo2.XML").groups
    assert (group.name, [file.path.name for file in group.files]) == (
        "pan",
        ["IMG_foo2_R1C1.TIF", "IMG_foo2_R2C1.TIF"],
    )


def test_pleiades_neo_has_six_bands_in_two_sets_of_files() -> None:
    delivery = read_dimap(PNEO / "MS-FS" / "DIM_MS-FS.XML")
    assert (delivery.sensor_id, delivery.platform) == ("pleiades-neo", "Pléiades Neo 4")
    assert delivery.acquired == datetime(2017, 4, 12, 11, 6, 2, 94000, tzinfo=UTC)
    assert (delivery.copyright, delivery.cloud_cover) == ("Copyright", pytest.approx(77.98, abs=0.01))
    assert delivery.view.incidence == pytest.approx(11.1246, abs=1e-4)
    assert delivery.view.sun_elevation == pytest.approx(52.3271, abs=1e-4)
    assert delivery.view.sun_azimuth == pytest.approx(165.7624, abs=1e-4)
    (group,) = delivery.groups
    assert (group.name, group.height, group.width, group.geometry) == ("ms", 1366, 1663, "ground")
    assert [band.common_name for band in group.bands] == [
        *("red", "green", "blue", "nir", "rededge", "coastal")
    ]
    assert [file.bands for file in group.files] == [("R", "G", "B"), ("NIR", "RE", "DB")]
    assert group.radiometry == "reflectance"
    assert {band.gain for band in group.bands} == {10000}
    assert {band.id: band.irradiance for band in group.bands} == {
        "R": 1553.1, "G": 1817.5, "B": 1975.3, "NIR": 1063.1, "RE": 1350.4, "DB": 1790.8,
    }  # fmt: skip
    assert {band.id: band.range_nm for band in group.bands}["R"] == (619, 690), "nanometres"
    assert {band.id: band.range_nm for band in group.bands}["DB"] == (416, 457), "micrometres"
    check_complete(delivery)


def test_a_volume_that_names_what_is_not_there_is_refused() -> None:
    with pytest.raises(DeliveryIncompleteError, match=r"DIM_PAN\.XML, which is not there"):
        read_dimap(PNEO / "VOL_PNEO.XML")


def test_gains_go_by_the_band_and_not_by_the_place(tmp_path: Path) -> None:
    """GDAL hangs the gain of blue on the first band, which is red (sensors.md, rule 3)."""
    folder = copied(tmp_path)
    text = (folder / "DIM_foo.XML").read_text()
    for place, name in enumerate(("B0", "B1", "B2", "B3")):
        text = re.sub(
            rf"(<Band_Radiance>\s*<BAND_ID>{name}.*?<GAIN>)GAIN(</GAIN>\s*<BIAS>)BIAS",
            rf"\g<1>{place + 9}.5\g<2>{place}",
            text,
            flags=re.DOTALL,
        )
    (folder / "DIM_foo.XML").write_text(text)
    (group,) = read_dimap(folder / "VOL_PHR.XML").groups
    assert [(band.id, band.gain, band.bias) for band in group.bands] == [
        ("B2", 11.5, 2), ("B1", 10.5, 1), ("B0", 9.5, 0), ("B3", 12.5, 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mission", "index", "sensor", "platform"),
    [
        ("SPOT", "6", "spot-6-7", "SPOT 6"),
        ("SPOT", "7", "spot-6-7", "SPOT 7"),
        ("PHR", "1B", "pleiades", "Pléiades 1B"),
        ("WORLDVIEW", "2", "", "WORLDVIEW 2"),
    ],
)
def test_missions(tmp_path: Path, mission: str, index: str, sensor: str, platform: str) -> None:
    folder = changed(
        tmp_path,
        ("<MISSION>PHR</MISSION>", f"<MISSION>{mission}</MISSION>"),
        ("<MISSION_INDEX>1A", f"<MISSION_INDEX>{index}"),
    )
    delivery = read_dimap(folder / "DIM_foo.XML")
    assert (delivery.sensor_id, delivery.platform) == (sensor, platform)


@pytest.mark.parametrize("gone", ["IMG_foo_R2C1.TIF", "RPC_foo.XML"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_half_copied_delivery_names_what_is_missing(tmp_path: Path, gone: str, how: str) -> None:
    folder = copied(tmp_path)
    (folder / gone).unlink()
    if how == "empty":
        (folder / gone).touch()
    with pytest.raises(DeliveryIncompleteError, match=f"1 of 4 files are missing or empty \\({gone}\\)"):
        check_complete(read_dimap(folder / "VOL_PHR.XML"))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("<NBANDS>4", "<NBANDS>5", "order its 5 bands lie; describe it"),
        ("<NROWS>30</NROWS>", "", "how large its image is"),
        ('href="IMG_foo_R1C1.TIF"', 'href="../IMG.TIF"', "outside the delivery"),
        ('href="IMG_foo_R1C1.TIF"', 'href="/etc/passwd"', "outside the delivery"),
        ('href="IMG_foo_R1C1.TIF"', 'href="s3://other/a.tif"', "outside the delivery"),
        ('href="RPC_foo.XML"', 'href="..\\RPC.XML"', "outside the delivery"),
        ('tile_R="1"', 'tile_R="-1"', "has no place"),
        ("</Dimap_Document>", "", "no well-formed XML"),
        ("<Dimap_Document>", "<!DOCTYPE a [<!ENTITY b 'c'>]><Dimap_Document>", "defines entities"),
        (">DIMAP<", ">OTHER<", "no DIMAP 2 document"),
    ],
)
def test_what_can_not_be_understood_is_told(tmp_path: Path, before: str, after: str, words: str) -> None:
    folder = changed(tmp_path, (before, after))
    with pytest.raises(DeliveryUnreadableError, match=re.escape(words)):
        read_dimap(folder / "DIM_foo.XML")


def test_three_bands_are_those_that_are_shown(tmp_path: Path) -> None:
    """Providers disagree on which three there are, so the product has to say (sensors.md, rule 4)."""
    folder = changed(tmp_path, ("<NBANDS>4", "<NBANDS>3"), ("<RED_CHANNEL>B2", "<RED_CHANNEL>B3"))
    (group,) = read_dimap(folder / "DIM_foo.XML").groups
    assert [band.id for band in group.bands] == ["B3", "B1", "B0"]
    text = (folder / "DIM_foo.XML").read_text()
    display = re.search(r"<Band_Display_Order>.*</Band_Display_Order>", text, re.DOTALL)
    assert display is not None
    (folder / "DIM_foo.XML").write_text(text.replace(display[0], ""))
    with pytest.raises(DeliveryUnreadableError, match="in which order"):
        read_dimap(folder / "DIM_foo.XML")


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    outside = tmp_path / "secret.tif"
    outside.write_bytes(b"x")
    (folder / "IMG_foo_R1C1.TIF").unlink()
    (folder / "IMG_foo_R1C1.TIF").symlink_to(outside)
    with pytest.raises(DeliveryUnreadableError, match="leads out of the delivery"):
        read_dimap(folder / "DIM_foo.XML")


def test_what_is_no_delivery_is_left_to_others(tmp_path: Path) -> None:
    assert find_dimap(tmp_path) is None
    assert find_dimap(tmp_path / "missing") is None
    (tmp_path / "a.tif").touch()
    assert find_dimap(tmp_path) is None
    assert find_dimap(tmp_path / "a.tif") is None


def test_two_products_without_a_volume_ask_which(tmp_path: Path) -> None:
    for name in ("DIM_a.XML", "DIM_b.XML"):
        (tmp_path / name).touch()
    with pytest.raises(DeliveryUnreadableError, match="2 products"):
        find_dimap(tmp_path)


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PHR, tmp_path / "delivery"))


def changed(tmp_path: Path, *pairs: tuple[str, str]) -> Path:
    """Give a copy whose dataset says something else."""
    folder = copied(tmp_path)
    text = (folder / "DIM_foo.XML").read_text()
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    (folder / "DIM_foo.XML").write_text(text)
    return folder
