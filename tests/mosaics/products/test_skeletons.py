"""Every layout of a product at hand: what it says of itself, and how it is refused without its pixels."""

from __future__ import annotations

import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from mosaics.errors import IngestError
from mosaics.products.delivery import BandGroup, Delivery, check_complete
from mosaics.products.recognise import find_deliveries, recognise
from tests.conftest import IMAGERY

SKELETONS = IMAGERY / "skeletons"
ALOS = "ALOS2015976960-140909-FBDR1.5GUA"
S1 = "s1a-iw-grd-{}-20150705t064241-20150705t064306-006672-008ea0-00{}.tiff"
TSX = "TSX1_SAR__SSC______SM_S_SRA_20080310T133220_20080310T133228"
ICEYE = "ICEYE_6Q31WW_20251110T182058Z_7010715_X56_SLEDF_crop_GRD"
NO_ANGLES = (None, None, None)

pytestmark = pytest.mark.imagery


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What a skeleton says."""

    folder: str
    key: str
    """File that it is recognised by."""
    platform: str
    bands: tuple[str, ...]
    """group: ids, in the order of groups."""
    values: str
    """What counts become: gains by band, or the quantity of a radar and how."""
    angles: tuple[float | None, float | None, float | None]
    """Incidence, off nadir, elevation of the sun; degrees."""
    acquired: str | None
    copyright: str | None = None
    refused: str
    """Words, without its pixels."""
    sensor: str | None = None
    """As whoever banks it has to say."""


ROWS = (
    Row(
        folder="pleiades_dimap2/bundle",
        key="VOL_PHR.XML",
        platform="Pléiades 1A",
        bands=("pms: B2 B1 B0 B3", "pan: B0"),
        values="radiance",
        angles=NO_ANGLES,
        acquired="2016-06-17T12:34:56+00:00",
        refused=r"foo: 4 of 7 files .*\(IMG_foo_R1C1.TIF, IMG_foo_R2C1.TIF, IMG_foo2_R1C1.TIF, IMG_foo2_R2C1",
    ),
    Row(
        folder="pleiades_dimap2/single_component",
        key="VOL_PHR.XML",
        platform="Pléiades 1A",
        bands=("pms: B2 B1 B0 B3",),
        values="radiance",
        angles=NO_ANGLES,
        acquired="2022-05-19T05:55:43.122330+00:00",
        refused=r"foo: 2 of 4 files are missing or empty \(IMG_foo_R1C1.TIF, IMG_foo_R2C1.TIF\)",
    ),
    Row(
        folder="pleiades_real",
        key="PHRDIMAP_P1BP--2018122638935449CP.XML",
        platform="Pléiades 1B",
        bands=("pan: PA",),
        values="radiance PA 11.86",
        angles=(17.417, 15.753, 33.694),
        acquired="2018-12-26T10:48:56.855000+00:00",
        copyright="Copyright@2018 CNES",
        refused=r"1 of 2 files are missing or empty \(IMG_R1C1.JP2\); copy the whole delivery",
    ),
    Row(
        folder="pneo_dimap2/vhr2020_ms_fs/MS-FS",
        key="DIM_MS-FS.XML",
        platform="Pléiades Neo 4",
        bands=("ms: R G B NIR RE DB",),
        values="reflectance R 10000 G 10000 B 10000 NIR 10000 RE 10000 DB 10000",
        angles=(11.125, 10.123, 52.327),
        acquired="2017-04-12T11:06:02.094000+00:00",
        copyright="Copyright",
        refused=r"FOO_MS-FS_ORT: 2 of 3 files are missing or empty \(IMG_RGB_R1C1.TIF, IMG_NED_R1C1.TIF\)",
    ),
    Row(
        folder="spot_dimap1",
        key="METADATA.DIM",
        platform="SPOT 4",
        bands=("pan: PAN",),
        values="radiance PAN 4.357726",
        angles=(-19.978, None, 23.546),
        acquired="2001-11-29T10:30:43+00:00",
        copyright="COPYRIGHT CNES 29 11 2001 10 H 30 MN 38 S",
        refused=r"1 of 2 files are missing or empty \(IMAGERY.TIF\)",
    ),
    Row(
        folder=".",
        key="spot5_dimap1_METADATA.DIM",
        platform="",
        bands=("ms: XS3 XS2 XS1",),
        values="unknown",
        angles=NO_ANGLES,
        acquired=None,
        copyright="COPYRIGHT CNES",
        refused=r"spot5_dimap1_METADATA: 1 of 2 files are missing or empty \(IMAGERY.TIF\)",
        sensor="spot-1-5",
    ),
    Row(
        folder="sentinel2_fake_l2a/S2A_USER_PRD_MSIL2A.SAFE",
        key="S2A_USER_MTD_SAFL2A.xml",
        platform="Sentinel-2A",
        bands=("r60m: B01 B02 B03 B04 B05 B06 B07 B8A B09 B10 B11 B12",),
        values="reflectance "
        "B01 1000 B02 1000 B03 1000 B04 1000 B05 1000 B06 1000 B07 1000 B8A 1000 B09 1000 B10 1000 B11 1000 "
        "B12 1000",
        angles=(9, None, 64),
        acquired="2015-12-31T23:59:59.999000+00:00",
        refused=r"12 of \d+ files are missing or empty \(S2A_USER_MSI_L2A_T32TQR_B01_60m.jp2, .* \.\.\.\)",
    ),
    Row(
        folder="sentinel1_fake_safe/test.SAFE",
        key="manifest.safe",
        platform="Sentinel-1A",
        bands=("grd: VV VH",),
        values="amplitude Amplitude",
        angles=(39.018, None, None),
        acquired="2015-07-05T06:42:54.004185+00:00",
        refused=rf"2 of \d files are missing or empty \({S1.format('vv', 1)}, {S1.format('vh', 2)}\)",
    ),
    Row(
        folder="radarsat2",
        key="product.xml",
        platform="RADARSAT-2",
        bands=("slc: HH VV HV VH",),
        values="amplitude Amplitude",
        angles=(28.924, None, None),
        acquired="2008-04-05T12:49:05.790459+00:00",
        copyright="RADARSAT-2 Data and Products (c) MacDonald, Dettwiler and Associates Ltd., 2008 - All "
        "Rights Reserved.",
        refused=r"5 of 6 files are missing or empty \(lutSigma.xml, imagery_HH.tif, imagery_VV.tif",
    ),
    Row(
        folder="radarsat2_tiny",
        key="product.xml",
        platform="RADARSAT-2",
        bands=("producttype: HH HV",),
        values="sigma0 ColumnGains",
        angles=(15, None, None),
        acquired="2009-03-13T00:00:00+00:00",
        refused=r"1 of 3 files are missing or empty \(byte_scanline.tif\)",
    ),
    Row(
        folder="terrasarx",
        key=f"{TSX}.xml",
        platform="TerraSAR-X",
        bands=("ssc: HH",),
        values="sigma0 BrightnessBySine",
        angles=(39.155, None, None),
        acquired="2008-03-10T13:32:24.350454+00:00",
        copyright="TerraSAR-X project",
        refused=rf"{TSX}: 1 of 2 files are missing or empty \(IMAGE_HH_SRA_strip_011.cos\)",
    ),
    Row(
        folder="alos2_ceos",
        key="summary.txt",
        platform="ALOS-2",
        bands=("l15: HH HV",),
        values="sigma0 Power",
        angles=(40.573, 36.6, None),
        acquired="2014-09-09T04:33:47.052000+00:00",
        refused=rf"2 of 4 files are missing or empty \(IMG-HH-{ALOS}, IMG-HV-{ALOS}\)",
    ),
    Row(
        folder="iceye",
        key=f"{ICEYE}.stac-excerpt.json",
        platform="ICEYE-X56",
        bands=("grd: VV",),
        values="amplitude Amplitude",
        angles=(29.033, 26.381, None),
        acquired="2025-11-10T18:21:11.676000+00:00",
        refused=rf"{ICEYE}: 1 of 2 files are missing or empty \({ICEYE}.tif\)",
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.folder}/{row.key}")
def test_what_it_says_and_how_it_is_refused_without_pixels(row: Row, tmp_path: Path) -> None:
    folder = copied(row, tmp_path)
    assert find_deliveries([folder]) == (folder / row.key,), "once, and nothing else of the folder"
    delivery = recognise(folder / row.key, row.sensor)
    assert delivery is not None
    assert delivery.platform == row.platform
    assert tuple(f"{g.name}: {' '.join(band.id for band in g.bands)}" for g in delivery.groups) == row.bands
    assert values(delivery.groups[0]) == row.values
    assert angles(delivery) == pytest.approx(row.angles, abs=1e-3)
    assert (delivery.acquired and delivery.acquired.isoformat()) == row.acquired
    assert delivery.copyright == row.copyright
    for group in delivery.groups:
        for file in group.files:
            file.path.unlink(missing_ok=True)
    with pytest.raises(IngestError, match=row.refused):
        check_complete(delivery)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "pneo_dimap2/vhr2020_ms_fs",
            r"VOL_PNEO\.XML: it names DIM_PAN\.XML, which is not there; copy the who",
        ),
        ("pneo_pleiades_jp2/DIM_md_ple.XML", "does not say how large its image is"),
        ("pneo_pleiades_jp2/DIM_md_pneo.XML", "does not say how large its image is"),
        ("spot5_dimap1_METADATA.DIM", "which satellite took it.* mission are empty.* --sensor spot-1-5$"),
        ("alos2_ceos/ALOS2_PALSAR2_FBDR1.5GUA.zip", r"packed delivery of ALOS-2 \(\.zip\); unpack it first"),
    ],
)
def test_what_says_too_little_is_refused(path: str, words: str) -> None:
    with pytest.raises(IngestError, match=words):
        recognise(SKELETONS / path)


def test_another_sensor_than_the_family_has_is_no_answer() -> None:
    with pytest.raises(IngestError, match="--sensor spot-1-5"):
        recognise(SKELETONS / "spot5_dimap1_METADATA.DIM", "multispectral")


@pytest.mark.parametrize("folder", ["snap_expected", "spot6"])
def test_what_belongs_to_a_product_alone_is_none(folder: str) -> None:
    assert find_deliveries([SKELETONS / folder]) == ()
    assert all(recognise(each) is None for each in (SKELETONS / folder).iterdir())


def test_no_skeleton_is_left_out() -> None:
    told = {row.folder.partition("/")[0] for row in ROWS} | {row.key for row in ROWS}
    told |= {"pneo_pleiades_jp2", "snap_expected", "spot6"}
    assert {each.name for each in SKELETONS.iterdir()} <= told


def copied(row: Row, target: Path) -> Path:
    """Give a copy that can be changed; of ALOS-2 one that is unpacked, of a single document it alone."""
    source = SKELETONS / row.folder
    if row.folder == "alos2_ceos":
        with zipfile.ZipFile(next(source.glob("*.zip"))) as packed:
            for name in packed.namelist():
                if re.match(r"summ|LED-|IMG-", name.rpartition("/")[2]):
                    (target / name.rpartition("/")[2]).write_bytes(packed.read(name))
    elif row.folder == ".":
        shutil.copyfile(source / row.key, target / row.key)
    else:
        shutil.copytree(source, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
        for each in (target, *target.rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)
    return target


def values(group: BandGroup) -> str:
    """Say what counts become."""
    if group.calibrations:
        return f"{group.quantity} {type(group.calibrations[0]).__name__}"
    gains = [f"{band.id} {band.gain:.7g}" for band in group.bands if band.gain is not None]
    return " ".join([group.radiometry, *gains])


def angles(delivery: Delivery) -> tuple[float | None, float | None, float | None]:
    view = delivery.view
    return view.incidence, view.off_nadir, view.sun_elevation
