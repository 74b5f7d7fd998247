"""Sentinel-2 as GDAL's tests have it, and made as products have been since December 2016."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mosaics.products.delivery import DeliveryIncompleteError, DeliveryUnreadableError, check_complete
from mosaics.products.sentinel2 import find_sentinel2, read_sentinel2
from tests.conftest import IMAGERY, write_raster

FORMER = IMAGERY / "skeletons" / "sentinel2_fake_l2a" / "S2A_USER_PRD_MSIL2A.SAFE"
GRANULE = "L2A_T31TCJ_A039000_20221203T105421"
NAME = "S2A_MSIL2A_20221203T105421_N0400_R051_T31TCJ_20221203T150000"
ALL = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
FINEST = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B01": 20, "B09": 60}
"""Of L2A; the others are of 20 m."""


def product(folder: Path, *, level: str = "2A", baseline: str = "04.00", offset: str | None = None) -> Path:
    """Make a product with its images; `offset` is what the offset's list says, None: as its baseline."""
    safe = folder / f"{NAME}.SAFE"
    names = []
    bands = (*ALL, "B10") if level == "1C" else ALL
    for band in bands:
        native = FINEST.get(band, 20)
        for metres in (10, 20, 60) if level == "2A" else (0,):
            if level == "2A" and (metres < native or (band == "B08" and metres > 10)):
                continue
            end = f"R{metres}m/T31TCJ_20221203T105421_{band}_{metres}m" if metres else f"T31TCJ_x_{band}"
            names.append(f"GRANULE/{GRANULE}/IMG_DATA/{end}")
    if level == "2A":
        names += [f"GRANULE/{GRANULE}/IMG_DATA/R{m}m/T31TCJ_20221203T105421_SCL_{m}m" for m in (20, 60)]
        names += [f"GRANULE/{GRANULE}/IMG_DATA/R10m/T31TCJ_20221203T105421_TCI_10m"]
    first = write_raster(safe / f"{names[0]}.jp2", np.ones((1, 8, 8), "uint16"), driver="JP2OpenJPEG")
    for name in names[1:]:
        (safe / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(first, safe / f"{name}.jp2")
    tag = "BOA_ADD_OFFSET" if level == "2A" else "RADIO_ADD_OFFSET"
    if offset is None:
        offset = "-1000" if float(baseline) >= 4 else ""
    listed = "".join(f'<{tag} band_id="{place}">{offset}</{tag}>' for place in range(13)) if offset else ""
    files = "".join(f"<IMAGE_FILE>{name}</IMAGE_FILE>" for name in names)
    quantification = "BOA_QUANTIFICATION_VALUE" if level == "2A" else "QUANTIFICATION_VALUE"
    (safe / f"MTD_MSIL{level}.xml").write_text(f"""<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-{level}_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd">
<n1:General_Info><Product_Info><PRODUCT_START_TIME>2022-12-03T10:54:21.024Z</PRODUCT_START_TIME>
<PRODUCT_URI>{NAME}.SAFE</PRODUCT_URI><PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>
<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
<Datatake><SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME></Datatake>
<Product_Organisation><Granule_List><Granule granuleIdentifier="S2A_OPER_MSI_L2A_TL_x_T31TCJ_N04.00">{files}
</Granule></Granule_List></Product_Organisation></Product_Info>
<Product_Image_Characteristics>
<Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>
</Special_Values><Special_Values><SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
<SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX></Special_Values>
<{quantification} unit="none">10000</{quantification}>{listed}
<Solar_Irradiance_List><SOLAR_IRRADIANCE bandId="8" unit="W/m2/um">953.93</SOLAR_IRRADIANCE>
</Solar_Irradiance_List><Spectral_Information_List>
<Spectral_Information bandId="8" physicalBand="B8A"><Wavelength>
<MIN unit="nm">848</MIN><MAX unit="nm">881</MAX>
</Wavelength></Spectral_Information></Spectral_Information_List>
</Product_Image_Characteristics></n1:General_Info><n1:Quality_Indicators_Info>
<Cloud_Coverage_Assessment>12.5</Cloud_Coverage_Assessment></n1:Quality_Indicators_Info>
</n1:Level-{level}_User_Product>""")
    (safe / "GRANULE" / GRANULE / "MTD_TL.xml").write_text("""<?xml version="1.0" encoding="UTF-8"?>
<n1:Tile xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-2A_Tile_Metadata.xsd"><n1:General_Info>
<SENSING_TIME>2022-12-03T10:57:31.123456Z</SENSING_TIME></n1:General_Info><n1:Geometric_Info><Tile_Geocoding>
<Size resolution="10"><NROWS>24</NROWS><NCOLS>48</NCOLS></Size>
<Size resolution="20"><NROWS>12</NROWS><NCOLS>24</NCOLS></Size>
<Size resolution="60"><NROWS>4</NROWS><NCOLS>8</NCOLS></Size></Tile_Geocoding><Tile_Angles>
<Mean_Sun_Angle><ZENITH_ANGLE>66.5</ZENITH_ANGLE><AZIMUTH_ANGLE>170</AZIMUTH_ANGLE></Mean_Sun_Angle>
<Mean_Viewing_Incidence_Angle_List>
<Mean_Viewing_Incidence_Angle bandId="0"><ZENITH_ANGLE>3</ZENITH_ANGLE></Mean_Viewing_Incidence_Angle>
<Mean_Viewing_Incidence_Angle bandId="9"><ZENITH_ANGLE>4</ZENITH_ANGLE></Mean_Viewing_Incidence_Angle>
</Mean_Viewing_Incidence_Angle_List></Tile_Angles></n1:Geometric_Info><n1:Quality_Indicators_Info>
<SNOW_ICE_PERCENTAGE>1.5</SNOW_ICE_PERCENTAGE></n1:Quality_Indicators_Info></n1:Tile>""")
    return safe


def test_a_product_of_level_2a(tmp_path: Path) -> None:
    safe = product(tmp_path)
    metadata = safe / "MTD_MSIL2A.xml"
    assert find_sentinel2(safe) == find_sentinel2(metadata) == metadata
    delivery = read_sentinel2(metadata)
    assert (delivery.name, delivery.sensor_id, delivery.platform) == (NAME, "sentinel-2", "Sentinel-2A")
    assert (delivery.level, delivery.processing_version) == ("Level-2A", "04.00")
    assert (delivery.cloud_cover, delivery.snow_cover) == (12.5, 1.5)
    assert delivery.acquired == datetime(2022, 12, 3, 10, 57, 31, 123456, tzinfo=UTC)
    assert (delivery.view.sun_elevation, delivery.view.sun_azimuth, delivery.view.incidence) == (
        23.5,
        170,
        3.5,
    )
    assert [(group.name, group.height, group.width) for group in delivery.groups] == [
        ("r10m", 24, 48),
        ("r20m", 12, 24),
        ("r60m", 4, 8),
    ]
    by_name = {group.name: group for group in delivery.groups}
    assert [band.id for band in by_name["r10m"].bands] == ["B02", "B03", "B04", "B08"]
    assert [band.id for band in by_name["r20m"].bands] == ["B05", "B06", "B07", "B8A", "B11", "B12"]
    assert [band.id for band in by_name["r60m"].bands] == ["B01", "B09"]
    for group in delivery.groups:
        assert (group.nodata, group.saturated, group.radiometry, group.geometry) == (
            *(0, 65535, "reflectance", "ground"),
        )
        assert [file.bands for file in group.files] == [(band.id,) for band in group.bands]
        assert {(file.row, file.column, file.driver) for file in group.files} == {(1, 1, "JP2OpenJPEG")}
        assert all(f"_{group.name[1:]}.jp2" in file.path.name for file in group.files)
    assert [(mask.kind, mask.path.name[-11:]) for mask in delivery.masks] == [("scl", "SCL_20m.jp2")]
    narrow = next(band for band in by_name["r20m"].bands if band.id == "B8A")
    assert (narrow.common_name, narrow.irradiance, narrow.range_nm) == ("nir08", 953.93, (848, 881))
    check_complete(delivery)


@pytest.mark.parametrize("level", ["1C", "2A"])
@pytest.mark.parametrize(
    ("baseline", "offset", "bias"),
    [
        ("04.00", None, -0.1),
        ("05.11", None, -0.1),
        ("03.01", None, None),
        ("02.14", "-1000", -0.1),
        ("05.00", "", -0.1),
        ("05.00", "-500", -0.05),
    ],
)
def test_reflectance_goes_by_the_baseline_and_by_what_the_product_says(
    tmp_path: Path, level: str, baseline: str, offset: str | None, bias: float | None
) -> None:
    """Whatever the date: archives are processed anew."""
    safe = product(tmp_path, level=level, baseline=baseline, offset=offset)
    bands = [band for group in read_sentinel2(safe / f"MTD_MSIL{level}.xml").groups for band in group.bands]
    assert {band.gain for band in bands} == {10000}
    assert {band.bias for band in bands} == {bias}
    if bias == -0.1:
        assert 1000 / bands[0].gain + bands[0].bias == pytest.approx(0), "black since then"


def test_level_1c_has_cirrus_and_no_classes(tmp_path: Path) -> None:
    delivery = read_sentinel2(product(tmp_path, level="1C") / "MTD_MSIL1C.xml")
    assert [band.id for band in delivery.groups[2].bands] == ["B01", "B09", "B10"]
    assert delivery.masks == ()
    check_complete(delivery)


def test_missing_files_are_named(tmp_path: Path) -> None:
    safe = product(tmp_path)
    next(safe.rglob("*_B08_10m.jp2")).unlink()
    with pytest.raises(DeliveryIncompleteError, match=r"1 of 14 files .*B08_10m\.jp2"):
        check_complete(read_sentinel2(safe / "MTD_MSIL2A.xml"))
    next(safe.rglob("MTD_TL.xml")).unlink()
    with pytest.raises(DeliveryIncompleteError, match=r"MTD_TL\.xml"):
        read_sentinel2(safe / "MTD_MSIL2A.xml")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("</Granule_List>", '<Granule granuleIdentifier="b"/></Granule_List>', "2 tiles"),
        ("<IMAGE_FILE>GRANULE", "<IMAGE_FILE>../GRANULE", "outside the delivery"),
        ("m</IMAGE_FILE>", "k</IMAGE_FILE>", "names no image"),
        ("Granule", "Nothing", "names no tile"),
    ],
)
def test_what_can_not_be_understood_is_told(tmp_path: Path, before: str, after: str, words: str) -> None:
    metadata = product(tmp_path) / "MTD_MSIL2A.xml"
    text = metadata.read_text()
    assert before in text
    metadata.write_text(text.replace(before, after))
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_sentinel2(metadata)


@pytest.mark.imagery
def test_the_former_layout_with_one_resolution() -> None:
    found = find_sentinel2(FORMER)
    assert found is not None
    assert found.name == "S2A_USER_MTD_SAFL2A.xml"
    delivery = read_sentinel2(found)
    assert (delivery.name, delivery.platform) == ("S2A_USER_PRD_MSIL2A", "Sentinel-2A")
    assert (delivery.level, delivery.processing_version) == ("Level-2Ap", "01.03")
    assert delivery.acquired == datetime(2015, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    assert (delivery.view.sun_elevation, delivery.view.sun_azimuth, delivery.view.incidence) == (64, 135, 9)
    (group,) = delivery.groups
    assert (group.name, group.height, group.width) == ("r60m", 1830, 1830)
    assert [band.id for band in group.bands] == [
        *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B8A", "B09", "B10", "B11", "B12"),
    ]
    assert group.nodata == 1, "what this one says"
    assert {(band.gain, band.bias) for band in group.bands} == {(1000, None)}
    assert [mask.path.parent.name for mask in delivery.masks] == ["IMG_DATA"]
    check_complete(delivery)


def test_what_is_no_product_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "MTD_TL.xml").touch()
    assert find_sentinel2(tmp_path) is None
    assert find_sentinel2(tmp_path / "MTD_TL.xml") is None
    assert find_sentinel2(tmp_path / "missing") is None
