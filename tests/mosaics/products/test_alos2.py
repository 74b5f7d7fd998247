"""ALOS-2 as a real product of 2014 says it, unpacked, and with what other levels have."""

from __future__ import annotations

import shutil
import struct
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mosaics.geodesy import GEOD
from mosaics.products.alos2 import find_alos2, read_alos2
from mosaics.products.ceos import read_leader
from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from tests.conftest import IMAGERY

PACKED = IMAGERY / "skeletons" / "alos2_ceos" / "ALOS2_PALSAR2_FBDR1.5GUA.zip"
ID = "ALOS2015976960-140909-FBDR1.5GUA"

pytestmark = pytest.mark.skipif(not PACKED.is_file(), reason="no product skeletons here")


def test_a_real_product_without_its_pixels(tmp_path: Path) -> None:
    folder = product(tmp_path)
    summary = folder / "summary.txt"
    assert find_alos2(folder) == find_alos2(summary) == find_alos2(folder / f"LED-{ID}") == summary
    assert find_alos2(folder / f"IMG-HV-{ID}") == summary
    delivery = read_alos2(summary)
    assert (delivery.name, delivery.sensor_id, delivery.platform) == (ID, "alos-2", "ALOS-2")
    assert delivery.acquired == datetime(2014, 9, 9, 4, 33, 47, 52000, tzinfo=UTC)
    assert (delivery.view.incidence, delivery.view.off_nadir) == (40.573, 36.6)
    radar = delivery.radar
    assert radar is not None
    assert (radar.frequency_band, radar.instrument_mode, radar.product_type) == ("L", "FBD", "L1.5")
    assert (radar.orbit_state, radar.observation_direction) == ("ascending", "right")
    assert radar.center_frequency_ghz == pytest.approx(1.2365, abs=1e-4)
    assert (radar.pixel_spacing_range, radar.absolute_orbit) == (6.25, 1597)
    (group,) = delivery.groups
    assert (group.height, group.width, group.quantity, group.is_complex) == (13161, 12870, "sigma0", False)
    assert [(file.path.name, file.driver) for file in group.files] == [
        (f"IMG-HH-{ID}", "SAR_CEOS"),
        (f"IMG-HV-{ID}", "SAR_CEOS"),
    ]
    with pytest.raises(DeliveryIncompleteError, match=f"2 of 4 files are missing or cut short .IMG-HH-{ID}"):
        check_complete(delivery)


def test_its_points_are_those_of_its_map(tmp_path: Path) -> None:
    (group,) = read_alos2(product(tmp_path) / "summary.txt").groups
    by_place = {(point.row, point.column): (point.longitude, point.latitude) for point in group.points}
    told = {
        (0.5, 0.5): (-62.9005207, -10.6794393),
        (0.5, 12869.5): (-62.1650802, -10.6783401),
        (13160.5, 12869.5): (-62.1629744, -11.4221274),
        (13160.5, 0.5): (-62.9002697, -11.4233051),
    }
    for place, corner in told.items():
        assert by_place[place] == pytest.approx(corner, abs=1e-7), "as the leader tells its corners"
    row = [by_place[(0.5, 0.5 + share * 12869)] for share in (0, 0.5, 1)]
    straight = tuple((row[0][axis] + row[2][axis]) / 2 for axis in (0, 1))
    assert GEOD.inv(*row[1], *straight)[2] > 6.25, "a straight line in degrees is off by more than a pixel"


@pytest.mark.parametrize(("level", "decibels"), [("1.5", -83.0), ("2.1", -83.0), ("1.1", -115.0)])
def test_sigma0_by_hand_from_its_own_constant(tmp_path: Path, level: str, decibels: float) -> None:
    folder = product(tmp_path)
    change(folder, 'Pds_ProductID="FBDR1.5GUA"', f'Pds_ProductID="FBDR{level}GUA"')
    (group,) = read_alos2(folder / "summary.txt").groups
    is_complex = level == "1.1"
    counts = (
        np.array([[3000 - 4000j]], dtype="complex64") if is_complex else np.array([[5000]], dtype="uint16")
    )
    made = 10 * np.log10(group.calibrations[1](counts, slice(0, 1), slice(0, 1)))
    assert made[0, 0] == pytest.approx(20 * np.log10(5000) + decibels, abs=1e-4)
    assert group.is_complex == is_complex


def test_the_constant_of_the_leader_wins(tmp_path: Path) -> None:
    folder = product(tmp_path)
    leader = folder / f"LED-{ID}"
    data = leader.read_bytes()
    assert data.count(b"     -83.0000000") == 1
    leader.write_bytes(data.replace(b"     -83.0000000", b"     -80.0000000"))
    (group,) = read_alos2(folder / "summary.txt").groups
    made = group.calibrations[0](np.array([[10]]), slice(0, 1), slice(0, 1))
    assert made[0, 0] == pytest.approx(100 * 10**-8.0)


@pytest.mark.parametrize(
    ("product_id", "first_corners"),
    [
        ("FBDR1.1__A", [(-62.764, -11.423), (-62.163, -11.290)]),
        ("FBDL1.1__A", [(-62.163, -11.290), (-62.764, -11.423)]),
        ("FBDR1.1__D", [(-62.301, -10.679), (-62.900, -10.812)]),
        ("FBDL1.1__D", [(-62.900, -10.812), (-62.301, -10.679)]),
    ],
)
def test_single_looks_begin_where_the_satellite_did(
    tmp_path: Path, product_id: str, first_corners: list[tuple[float, float]]
) -> None:
    folder = product(tmp_path)
    change(folder, 'Pds_ProductID="FBDR1.5GUA"', f'Pds_ProductID="{product_id}"')
    (group,) = read_alos2(folder / "summary.txt").groups
    assert [(point.row, point.column) for point in group.points[:2]] == [(0.5, 0.5), (0.5, 12869.5)]
    assert [(point.longitude, point.latitude) for point in group.points[:2]] == first_corners


def test_geotiff_on_a_map_places_itself(tmp_path: Path) -> None:
    folder = product(tmp_path)
    for band in ("HH", "HV"):
        (folder / f"IMG-{band}-{ID}").rename(folder / f"IMG-{band}-{ID}.tif")
        change(folder, f'"IMG-{band}-{ID}"', f'"IMG-{band}-{ID}.tif"')
    change(folder, f'"LED-{ID}"', '""')
    delivery = read_alos2(folder / "summary.txt")
    (group,) = delivery.groups
    assert (group.geometry, group.points, group.tables) == ("ground", (), ())
    assert {file.driver for file in group.files} == {"GTiff"}
    made = group.calibrations[0](np.array([[100]]), slice(0, 1), slice(0, 1))
    assert made[0, 0] == pytest.approx(1e4 * 10**-8.3), "without a leader it is JAXA's constant"
    check_complete(delivery)


def test_without_a_leader_the_summary_places_it(tmp_path: Path) -> None:
    folder = product(tmp_path)
    (folder / f"LED-{ID}").unlink()
    delivery = read_alos2(folder / "summary.txt")
    corners = [(point.longitude, point.latitude) for point in delivery.groups[0].points]
    assert corners == [(-62.901, -10.679), (-62.165, -10.678), (-62.900, -11.423), (-62.163, -11.422)]
    with pytest.raises(DeliveryIncompleteError, match="LED-ALOS2"):
        check_complete(delivery)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('Satellite="ALOS2"', 'Satellite="ALOS"', "no summary"),
        ('ProductID="FBDR1.5GUA"', 'ProductID="FBDR1.0"', "no summary"),
        ('NoOfLines_0="13161"', 'NoOfLines_0="many"', "how large"),
        ('NoOfLines_0="13161"', 'NoOfLines_0="inf"', "how large"),
        (f'"IMG-HH-{ID}"', f'"IMG-HH-{ID}\0"', "outside the delivery"),
        (f'"IMG-HH-{ID}"', f'"../IMG-HH-{ID}"', "outside the delivery"),
        (f'"IMG-HV-{ID}"', f'"IMG-HV-{ID}-F2"', "several beams"),
    ],
)
def test_what_can_not_be_understood_is_told(tmp_path: Path, before: str, after: str, words: str) -> None:
    folder = product(tmp_path)
    change(folder, before, after)
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_alos2(folder / "summary.txt")


def test_foreign_deliveries(tmp_path: Path) -> None:
    (tmp_path / "summary.txt").write_text("A summary of something else.")
    for path in (PACKED, tmp_path, tmp_path / "summary.txt", tmp_path / "missing"):
        assert find_alos2(path) is None


def test_a_leader_that_is_cut_short_is_told(tmp_path: Path) -> None:
    leader = product(tmp_path) / f"LED-{ID}"
    whole = leader.read_bytes()
    for data in (whole[:5000], struct.pack(">I4BI", 1, 18, 10, 18, 20, 0) * 9):
        leader.write_bytes(data)
        with pytest.raises(DeliveryUnreadableError, match="cut short"):
            read_leader(leader)
    leader.write_bytes(b"")
    with pytest.raises(DeliveryUnreadableError, match="no leader"):
        read_leader(leader)
    shutil.rmtree(leader.parent)
    with pytest.raises(DeliveryUnreadableError, match="can't be read"):
        read_leader(leader)


def product(tmp_path: Path) -> Path:
    folder = tmp_path / "delivery"
    with zipfile.ZipFile(PACKED) as packed:
        names = [
            each for each in packed.namelist() if each.rpartition("/")[2][:4] in ("summ", "LED-", "IMG-")
        ]
        folder.mkdir()
        for name in names:
            (folder / name.rpartition("/")[2]).write_bytes(packed.read(name))
    return folder


def change(folder: Path, before: str, after: str) -> None:
    path = folder / "summary.txt"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
