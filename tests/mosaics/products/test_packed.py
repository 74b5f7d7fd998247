"""Packed deliveries are refused with words, named or found."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from mosaics.products.delivery import DeliveryUnreadableError
from mosaics.products.recognise import find_deliveries, recognise
from tests.conftest import IMAGERY


def zipped(path: Path, *members: str) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for member in members:
            packed.writestr(member, "x")
    return path


@pytest.mark.parametrize(
    ("member", "product"),
    [
        ("order/IMG_PHR1A_PMS_001/DIM_PHR1A_PMS_1.XML", r"Pléiades, SPOT 6 or 7 or Pléiades Neo \(DIMAP 2\)"),
        ("SCENE01/METADATA.DIM", r"SPOT 1 to 5 \(DIMAP 1\)"),
        ("LED-ALOS2015976960-140909-FBDR1.5GUA", "ALOS-2"),
        ("S2A_X.SAFE/MTD_MSIL2A.xml", "Sentinel-2"),
        ("S1A_X.SAFE/measurement/s1a-iw-grd-vv-2015-001.tiff", "Sentinel-1"),
        ("TSX1_SAR__X/TSX1_SAR__X.xml", "TerraSAR-X"),
        ("lutSigma.xml", "RADARSAT-2"),
        ("a/b.xemt", "SAOCOM"),
        ("ICEYE_X7_GRD_SM_1_2.xml", "ICEYE"),
        ("JL101A_PMS_1_L1_MSS_meta.xml", "Jilin-1"),
        ("20170831_172754_101c_3B_AnalyticMS_metadata.xml", "PlanetScope"),
    ],
)
def test_a_zip_is_told_by_what_it_holds(tmp_path: Path, member: str, product: str) -> None:
    path = zipped(tmp_path / "order.ZIP", "readme.txt", member)
    with pytest.raises(DeliveryUnreadableError, match=rf"packed delivery of {product}.*\(\.zip\); unpack it"):
        recognise(path)
    assert find_deliveries([path]) == find_deliveries([tmp_path]) == (path,)


def test_others_are_told_by_name_and_skipped_among_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as packed:
        packed.addfile(tarfile.TarInfo("DIM_x.XML"))
    for name in ("b.tar", "c.tgz", "broken.zip"):
        (tmp_path / name).write_bytes(b"PK")
    zipped(tmp_path / "notes.zip", "notes.txt")
    for name, ending in (("a.tar.gz", "tar.gz"), ("b.tar", "tar"), ("c.tgz", "tgz"), ("broken.zip", "zip")):
        with pytest.raises(
            DeliveryUnreadableError, match=rf"^{name}: it is a packed file \(\.{ending}\); unp"
        ):
            recognise(tmp_path / name)
        assert find_deliveries([tmp_path / name]) == (tmp_path / name,)
    assert find_deliveries([tmp_path]) == ()
    (tmp_path / "folder.zip").mkdir()
    assert recognise(tmp_path / "folder.zip") is None


def test_what_was_unpacked_beside_is_not_asked_for_again(tmp_path: Path) -> None:
    zipped(tmp_path / "S1A_X.zip", "S1A_X.SAFE/measurement/s1a-iw.tiff")
    (tmp_path / "S1A_X.SAFE").mkdir()
    assert find_deliveries([tmp_path]) == ()


@pytest.mark.imagery
def test_a_real_one() -> None:
    with pytest.raises(
        DeliveryUnreadableError, match=r"a packed delivery of ALOS-2 \(\.zip\); unpack it first"
    ):
        recognise(IMAGERY / "skeletons" / "alos2_ceos" / "ALOS2_PALSAR2_FBDR1.5GUA.zip")
