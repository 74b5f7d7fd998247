"""DIMAP 1 as GDAL's tests have it, and with bands that no skeleton has."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.dimap1 import find_dimap1, read_dimap1
from tests.conftest import IMAGERY

SPOT = IMAGERY / "skeletons" / "spot_dimap1"
EMPTY = IMAGERY / "skeletons" / "spot5_dimap1_METADATA.DIM"

pytestmark = pytest.mark.skipif(not SPOT.is_dir(), reason="no product skeletons here")

BAND = (
    "<Spectral_Band_Info><BAND_INDEX>{}</BAND_INDEX><BAND_DESCRIPTION>{}</BAND_DESCRIPTION>"
    "<PHYSICAL_GAIN>{}</PHYSICAL_GAIN></Spectral_Band_Info>"
)


def test_a_panchromatic_scene_of_spot_4() -> None:
    assert find_dimap1(SPOT) == find_dimap1(SPOT / "METADATA.DIM") == SPOT / "METADATA.DIM"
    delivery = read_dimap1(SPOT / "METADATA.DIM")
    assert (delivery.sensor_id, delivery.platform, delivery.level) == ("spot-1-5", "SPOT 4", "1A")
    assert delivery.acquired == datetime(2001, 11, 29, 10, 30, 43, tzinfo=UTC)
    assert delivery.copyright == "COPYRIGHT CNES 29 11 2001 10 H 30 MN 38 S"
    assert delivery.view.incidence == pytest.approx(-19.978, abs=1e-3)
    assert delivery.view.sun_elevation == pytest.approx(23.546, abs=1e-3)
    (group,) = delivery.groups
    assert (group.name, group.height, group.width, group.geometry) == ("pan", 6000, 6000, "sensor")
    assert [(band.id, band.common_name, band.gain) for band in group.bands] == [("PAN", "pan", 4.357726)]
    assert (group.nodata, group.saturated) == (0, 255)
    check_complete(delivery)


@pytest.mark.parametrize("names", [("XS1", "XS2", "XS3"), ("XS1", "XS2", "XS3", "SWIR")])
def test_bands_lie_in_the_file_in_another_order_than_in_the_document(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    folder = changed(tmp_path, names)
    (group,) = read_dimap1(folder / "METADATA.DIM").groups
    assert [band.id for band in group.bands] == ["XS3", "XS2", "XS1", "SWIR"][: len(names)]
    assert [band.common_name for band in group.bands] == ["nir", "red", "green", "swir16"][: len(names)]
    assert [band.gain for band in group.bands] == [3, 2, 1, 4][: len(names)], "each its own"
    assert group.name == "ms"


def test_points_are_those_of_its_location_model() -> None:
    (group,) = read_dimap1(SPOT / "METADATA.DIM").groups
    assert len(group.points) == 81
    by_place = {(point.row, point.column): (point.longitude, point.latitude) for point in group.points}
    told = {
        (0.5, 0.5): (4.3641728203, 44.208225461),
        (0.5, 5999.5): (5.1937875606, 44.105080365),
        (5999.5, 5999.5): (5.0277057238, 43.579069851),
        (5999.5, 0.5): (4.2053233519, 43.681541962),
    }
    for place, corner in told.items():
        assert by_place[place] == pytest.approx(corner, abs=1e-4), "its tie points, which count from 1"
    middle = by_place[(3000.0, 3000.0)]
    assert middle == pytest.approx((4.7036149861, 43.893572795), abs=5e-4), "and the scene's middle"
    straight = sum(x for x, _ in told.values()) / 4
    assert abs(straight - middle[0]) > 0.005, "which corners alone would miss by 400 m"


@pytest.mark.parametrize(
    ("before", "after", "points"),
    [
        ("<lc>+4.3640990841e+00", "<lc>+4.4640990841e+00", 4),
        ("<lc>+4.3640990841e+00", "<lc>many", 4),
        ("Direct_Location_Model", "Other_Model", 4),
    ],
)
def test_a_model_that_misses_the_corners_is_not_believed(
    tmp_path: Path, before: str, after: str, points: int
) -> None:
    folder = changed(tmp_path, ("XS1", "XS2", "XS3"))
    text = (folder / "METADATA.DIM").read_text()
    assert before in text
    (folder / "METADATA.DIM").write_text(text.replace(before, after))
    (group,) = read_dimap1(folder / "METADATA.DIM").groups
    assert len(group.points) == points
    assert (group.points[1].row, group.points[1].column) == (0.5, 5999.5)


def test_what_can_not_be_understood_is_told(tmp_path: Path) -> None:
    for names, words in ((("XS1", "B7"), "'B7' is not known"), (("XS1", "XS1"), "describes 1")):
        folder = changed(tmp_path / words[:3].strip("'"), names)
        with pytest.raises(DeliveryUnreadableError, match=words):
            read_dimap1(folder / "METADATA.DIM")
    (folder / "METADATA.DIM").write_text((SPOT / "METADATA.DIM").read_text().replace(">SPOT<", ">FORMOSAT<"))
    with pytest.raises(DeliveryUnreadableError, match="not one of SPOT 1 to 5"):
        read_dimap1(folder / "METADATA.DIM")


def test_corners_are_points_counted_from_the_middle_of_the_first_pixel() -> None:
    (group,) = read_dimap1(SPOT / "METADATA.DIM").groups
    by_place = {(point.row, point.column): point for point in group.points}
    assert {(0.5, 0.5), (0.5, 5999.5), (5999.5, 5999.5), (5999.5, 0.5)} <= by_place.keys()
    corner = by_place[0.5, 5999.5]
    assert (corner.longitude, corner.latitude) == pytest.approx((5.1937875606, 44.105080365), abs=1e-3)


@pytest.mark.parametrize(
    ("before", "after"),
    [("GEOGRAPHIC", "PROJECTED"), ("<TIE_POINT_DATA_X>+6.0000000000e+03", "<TIE_POINT_DATA_X>?")],
)
def test_points_that_can_not_be_used_are_none(tmp_path: Path, before: str, after: str) -> None:
    text = (SPOT / "METADATA.DIM").read_text()
    assert before in text
    (tmp_path / "METADATA.DIM").write_text(text.replace(before, after, 1))
    (group,) = read_dimap1(tmp_path / "METADATA.DIM").groups
    assert (group.geometry, group.points) == ("ground", ())


def test_what_a_document_leaves_empty_follows_from_its_family() -> None:
    delivery = read_dimap1(EMPTY)
    assert (delivery.sensor_id, delivery.platform, delivery.name) == ("", "", "spot5_dimap1_METADATA")
    (group,) = delivery.groups
    assert [(band.id, band.gain) for band in group.bands] == [("XS3", None), ("XS2", None), ("XS1", None)]
    assert (group.files[0].path, group.radiometry) == (EMPTY.with_name("IMAGERY.TIF"), "unknown")


@pytest.mark.parametrize(
    ("count", "bands"), [(1, ["PAN"]), (4, ["XS3", "XS2", "XS1", "SWIR"]), (2, []), (5, [])]
)
def test_bands_that_are_not_described(tmp_path: Path, count: int, bands: list[str]) -> None:
    path = tmp_path / "scene.dim"
    path.write_text(EMPTY.read_text().replace("<NBANDS>3", f"<NBANDS>{count}"))
    if bands:
        assert [band.id for band in read_dimap1(path).groups[0].bands] == bands
    else:
        with pytest.raises(DeliveryUnreadableError, match=f"what its {count} bands are"):
            read_dimap1(path)


def test_without_its_image_it_is_refused(tmp_path: Path) -> None:
    folder = changed(tmp_path, ("XS1", "XS2", "XS3"))
    (folder / "IMAGERY.TIF").unlink()
    with pytest.raises(DeliveryIncompleteError, match=r"IMAGERY\.TIF"):
        check_complete(read_dimap1(folder / "METADATA.DIM"))


def changed(folder: Path, names: tuple[str, ...]) -> Path:
    """Give a copy that describes other bands."""
    target = Path(shutil.copytree(SPOT, folder / "delivery"))
    text = (target / "METADATA.DIM").read_text()
    listed = "".join(BAND.format(place, name, place) for place, name in enumerate(names, 1))
    text = re.sub(r"<Spectral_Band_Info>.*</Spectral_Band_Info>", listed, text, flags=re.DOTALL)
    text = text.replace("<NBANDS>1", f"<NBANDS>{len(names)}")
    (target / "METADATA.DIM").write_text(text)
    return target
