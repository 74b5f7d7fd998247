"""CNES' internal format of Pléiades, as its one public document says it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.dimap_internal import find_dimap_internal, read_dimap_internal
from tests.conftest import IMAGERY

REAL = IMAGERY / "skeletons" / "pleiades_real" / "PHRDIMAP_P1BP--2018122638935449CP.XML"
HREF = "<DATA_FILE_PATH>IMG_R1C1.JP2</DATA_FILE_PATH>"

pytestmark = pytest.mark.imagery


def test_what_a_real_document_says() -> None:
    assert find_dimap_internal(REAL.parent) == find_dimap_internal(REAL) == REAL
    delivery = read_dimap_internal(REAL)
    assert (delivery.sensor_id, delivery.platform, delivery.level) == ("pleiades", "Pléiades 1B", "SENSOR")
    assert delivery.acquired == datetime(2018, 12, 26, 10, 48, 56, 855_000, tzinfo=UTC)
    assert delivery.view.incidence == pytest.approx(17.417, abs=1e-3)
    assert delivery.view.off_nadir == pytest.approx(15.753, abs=1e-3)
    assert delivery.view.sun_elevation == pytest.approx(33.694, abs=1e-3)
    (group,) = delivery.groups
    assert (group.name, group.height, group.width, group.rpc) == ("pan", 38248, 40000, REAL)
    assert (group.nodata, group.saturated, group.radiometry) == (0, 4095, "radiance")
    with pytest.raises(DeliveryIncompleteError, match=r"IMG_R1C1\.JP2"):
        check_complete(delivery)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("<NBANDS>1", "<NBANDS>4", "order its 4 bands lie"),
        ("<NROWS>38248</NROWS>", "", "how large its image is"),
        ("<PROCESSING_LEVEL>SENSOR", "<PROCESSING_LEVEL>ORTHO", "not ORTHO; ask for the product in DIMAP 2"),
        (HREF, "", "names no image file"),
        (HREF, HREF + HREF.replace("R1C1", "second"), "where IMG_second.JP2 lies"),
        ("IMG_R1C1.JP2", "../a.jp2", "outside the delivery"),
        ("DIMAP_PHR<", "DIMAP<", "no document of CNES"),
    ],
)  # fmt: skip
def test_what_can_not_be_understood_is_told(tmp_path: Path, before: str, after: str, words: str) -> None:
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_dimap_internal(changed(tmp_path, before, after))


def test_parts_lie_where_their_names_say(tmp_path: Path) -> None:
    path = changed(tmp_path, HREF, HREF + HREF.replace("R1C1", "R2C1"))
    (group,) = read_dimap_internal(path).groups
    assert [(file.path.name, file.row, file.column) for file in group.files] == [
        ("IMG_R1C1.JP2", 1, 1), ("IMG_R2C1.JP2", 2, 1),
    ]  # fmt: skip


def test_what_was_stretched_or_is_of_another_satellite_is_not_claimed(tmp_path: Path) -> None:
    path = changed(tmp_path, "STRETCH>false", "STRETCH>true")
    path.write_text(path.read_text().replace("<PLATFORM_NAME>PHR", "<PLATFORM_NAME>OTHER"))
    delivery = read_dimap_internal(path)
    assert (delivery.sensor_id, delivery.groups[0].radiometry) == ("", "unknown")


def test_several_in_a_folder_are_told(tmp_path: Path) -> None:
    for name in ("a.xml", "b.XML"):
        (tmp_path / name).write_text(REAL.read_text())
    with pytest.raises(DeliveryUnreadableError, match=r"2 products; name the one to bank: a\.xml, b\.XML"):
        find_dimap_internal(tmp_path)
    assert find_dimap_internal(tmp_path / "missing") is None


def changed(folder: Path, before: str, after: str) -> Path:
    text = REAL.read_text()
    assert before in text
    path = folder / "document.xml"
    path.write_text(text.replace(before, after))
    return path
