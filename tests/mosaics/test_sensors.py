"""Sensors: recognising, laying out and dating files, by their names and headers alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from mosaics.errors import DataFileInvalidError, SensorNotFoundError
from mosaics.registry import BUILT_IN
from mosaics.sensors import acquired_from_name, find_sensor, guess_sensor, load_sensors
from tests.conftest import IMAGERY

SENSORS = load_sensors()
UNDEFINED = ("gray", "undefined", "undefined", "undefined")
RGB = ("red", "green", "blue")


def guess(name, bands=1, data_type="uint16", *, colours=None, palette=False, tags=None):
    return guess_sensor(
        SENSORS,
        file_name=name,
        band_count=bands,
        data_type=data_type,
        colour_interpretation=colours or (UNDEFINED + ("undefined",) * bands)[:bands],
        has_palette=palette,
        tags=tags or {},
    ).id


def commons(sensor_id, bands, data_type="uint16", colours=UNDEFINED, name=""):
    layout = SENSORS.get(sensor_id).layout_for(bands, data_type, colours, name)
    return None if layout is None else [band.common_name for band in layout.bands]


@pytest.mark.parametrize(
    ("name", "sensor_id"),
    [
        ("pleiades", "pleiades"), ("PHR", "pleiades"), ("Spot7", "spot-6-7"), ("PNEO", "pleiades-neo"),
        ("swh", "spot-1-5"), ("MNS", "dsm"), ("dtm", "dsm"), ("CO3D-DSM", "dsm"), ("TanDEM-X", "terrasar-x"),
        ("s2", "sentinel-2"), ("VIIRS", "night-lights"), ("sar", "sar-amplitude"), ("db", "sar-db"),
    ],
)  # fmt: skip
def test_a_sensor_has_names(name, sensor_id):
    assert find_sensor(SENSORS, name).id == sensor_id


def test_an_unknown_name_tells_the_known_ones():
    with pytest.raises(SensorNotFoundError, match="known are: aerial, alos-2") as caught:
        find_sensor(SENSORS, "hubble")
    assert caught.value.known == SENSORS.list()


@pytest.mark.parametrize(
    ("name", "bands", "data_type", "sensor_id"),
    [
        ("IMG_PHR1B_PMS_201308051042194_ORT_690908101-001_R1C1.TIF", 4, "uint16", "pleiades"),
        ("/data/PHR1A_P_201709281038045_SEN_PRG_FC_178608-001.tif", 1, "uint16", "pleiades"),
        ("IMG_PHR1A_PMS-N_201308051042194_ORT_1_R1C1.TIF", 3, "uint8", "pleiades"),
        ("IMG_SPOT6_MS_201308032015087_SEN_1_R1C1.TIF", 4, "uint16", "spot-6-7"),
        ("IMG_SPOT7_PMS_201805051026429_ORT_1_R1C1.tif", 4, "uint16", "spot-6-7"),
        ("IMG_PNEO4_202110011029213_MS-FS_ORT_PWOI_000_RGB_R1C1.JP2", 3, "uint16", "pleiades-neo"),
        ("PNEO3_202110011029213_PMS-FS_ORT.tif", 6, "uint16", "pleiades-neo"),
        ("SPOT5_HRG2_J_20060504.tif", 4, "uint8", "spot-1-5"),
        ("56072770912261636142J0.tif", 4, "uint8", "spot-1-5"),
        ("20190109_015005_1020_3B_AnalyticMS.tif", 4, "uint16", "planetscope"),
        ("20210101_101010_55_2421_3B_AnalyticMS_SR_8b.tif", 8, "uint16", "planetscope"),
        ("20200814_162132_ssc4d3_0021_analytic.tif", 4, "uint16", "skysat"),
        ("1056417_2017-03-08_RE3_3A_Visual_clip.tif", 3, "uint8", "rapideye"),
        ("05JUL11182931-M2AS-005552868010_01_P001.TIF", 4, "uint16", "worldview"),
        ("JL1GF03B_PMS_20200101021530_200020_101_0001_001_L1_MSS.tif", 3, "uint16", "jilin-1"),
        ("JL107B_NTL_20200101021530_1_L1A.tif", 3, "uint16", "jilin-1-night"),
        ("T31TCJ_20200318T105021_B04_10m.jp2", 1, "uint16", "sentinel-2"),
        ("LC08_L1TP_171083_20150923_20200908_02_T1_B4.TIF", 1, "uint16", "landsat"),
        ("ORTHOHR_31-2019_RVB_0M20.jp2", 3, "uint8", "aerial"),
        ("N23W161_20_sl_HH_F02DAR.tif", 1, "uint16", "alos-2"),
        ("2023-02-12-11-09-34_UMBRA-05_GEC.tif", 1, "uint8", "umbra"),
        ("CAPELLA_C02_SM_GEO_HH_20200814052637_20200814052641.tif", 1, "uint16", "capella"),
        ("s1a-iw-grd-vv-20150705t064241-20150705t064306-006672-008ea0-001.tiff", 1, "uint16", "sentinel-1"),
        ("S1A__IW___A_20150309T173017_VV_grd_mli_geo_norm_db.tif", 1, "float32", "sar-db"),
        ("TSX1_SAR__EEC_SE___SM_S_SRA_20080310T133220_20080310T133228.tif", 1, "uint16", "terrasar-x"),
        ("imagery_HH.tif", 1, "uint16", "radarsat-2"),
        ("ICEYE_X6_GRD_SM_153426_20211026T060946.tif", 1, "uint16", "iceye"),
        ("gtc-acqId0000705872-a-sm8-2204211057-vv.tif", 1, "float32", "saocom"),
        ("Dunkerque_MNS_50cm.tif", 1, "float32", "dsm"),
        ("region.DTM.tif", 1, "int16", "dsm"),
        ("N44E005_big_hole.tif", 1, "int16", "dsm"),
        ("s21e055.tif", 1, "int16", "dsm"),
        ("srtm_38_03.tif", 1, "int16", "dsm"),
        ("RGEALTI_FXX_0768_6280_LAMB93_IGN69.tif", 1, "float32", "dsm"),
        ("survey_N44E005.tif", 1, "int16", "grey"),
        ("N44E005.tif", 3, "uint8", "rgb"),
        ("SVDNB_npp_20140101-20140131_75N060W_vcmcfg_v10_avg_rade9.tif", 1, "float32", "night-lights"),
        ("BlackMarble_2016_3km_geo.tif", 3, "uint8", "night-lights"),
    ],
)
def test_product_names_are_recognised_whatever_their_case(name, bands, data_type, sensor_id):
    assert guess(name, bands, data_type) == sensor_id
    assert guess(name.lower(), bands, data_type) == sensor_id
    assert guess(name.upper(), bands, data_type) == sensor_id


@pytest.mark.parametrize(
    ("name", "bands", "data_type", "sensor_id"),
    [
        ("20170831_172754_101c_3B_AnalyticMS_DN_udm.tif", 1, "uint8", "grey"),  # a mask
        ("20210101_101010_55_2421_3B_udm2.tif", 8, "uint8", "multispectral"),  # masks
        ("IMG_PHR1A_PMS-X_201308051042194_ORT_1_R1C1.TIF", 3, "uint8", "rgb"),  # order disputed
        ("MNS_ombrage.tif", 1, "uint8", "grey"),  # a picture of a surface model
        ("Mademoiselle_indemne.tif", 1, "float32", "grey"),  # dem inside a word
        ("BDORTHO_IRC_2019.tif", 3, "uint8", "rgb"),  # infrared first
        ("SPOT_pan.tif", 1, "uint8", "grey"),  # which SPOT?
        ("PHR1B_MNS_20200101.tif", 1, "float32", "dsm"),
        ("debdb.tif", 1, "float32", "grey"),
        ("CAPELLA_C14_SM_SLC_HH_20240626150051_20240626150055.tif", 1, "complex64", "grey"),
        ("T31TCJ_20200318T105021_SCL_20m.jp2", 1, "uint8", "grey"),
        ("DSM_20190109_s1a-iw-grd-vv.tif", 1, "uint16", "dsm"),
        ("anything.tif", 1, "float32", "grey"),
        ("anything.tif", 3, "uint16", "rgb"),
        ("anything.tif", 4, "uint16", "multispectral"),
        ("anything.tif", 2, "int16", "multispectral"),
    ],
)
def test_what_is_not_certain_is_generic(name, bands, data_type, sensor_id):
    assert guess(name, bands, data_type) == sensor_id


def test_two_sensors_in_one_name_are_none():
    assert guess("s1_grd_umbra_x.tif") == "sentinel-1"
    assert guess("umbra_HH_alos.tif") == "umbra"
    assert guess("umbra_DSM.tif") == "grey", "amplitude or elevation?"


def test_colours_decide_among_generic_sensors():
    assert guess("x.tif", 3, colours=(*RGB, "alpha")) == "rgb"
    assert guess("x.tif", 3, colours=("blue", "green", "red", "alpha")) == "rgb"
    assert guess("x.tif", 3, colours=("nir", "red", "green")) == "multispectral"
    assert guess("x.tif", 1, colours=("gray", "alpha")) == "grey"
    assert guess("PHR1B_PMS_x.tif", 1, "uint8", colours=("palette",), palette=True) == "palette"


def test_tags_tell_a_sensor():
    assert guess("x.tif", 3, "uint8", tags={"SPACECRAFT_NAME": "Sentinel-2A"}) == "sentinel-2"
    assert guess("x.tif", tags={"TIFFTAG_IMAGEDESCRIPTION": "Sentinel-1A IW GRD HR L1"}) == "sentinel-1"
    assert guess("x.tif", tags={"TIFFTAG_IMAGEDESCRIPTION": "Sentinel-1A IW SLC L1"}) == "grey"


@pytest.mark.parametrize(
    ("sensor_id", "bands", "data_type", "expected"),
    [
        ("pleiades", 4, "uint16", ["red", "green", "blue", "nir"]),
        ("pleiades", 1, "uint16", ["pan"]),
        ("pleiades", 3, "uint8", ["red", "green", "blue"]),
        ("pleiades", 2, "uint16", None),
        ("pleiades-neo", 6, "uint16", ["red", "green", "blue", "nir", "rededge", "coastal"]),
        ("spot-1-5", 4, "uint8", ["nir", "red", "green", "swir16"]),
        ("planetscope", 4, "uint16", ["blue", "green", "red", "nir"]),
        ("planetscope", 3, "uint8", ["red", "green", "blue"]),
        ("skysat", 4, "uint16", ["blue", "green", "red", "nir"]),
        ("rapideye", 5, "uint16", ["blue", "green", "red", "rededge", "nir"]),
        ("worldview", 4, "float64", ["blue", "green", "red", "nir"]),
        ("jilin-1", 3, "uint16", ["blue", "green", "red"]),
        ("alos-2", 2, "uint16", ["hh", "hv"]),
        ("sar-db", 4, "float32", ["db", None, None, None]),
        ("sar-amplitude", 1, "complex64", None),
        ("dsm", 1, "float32", ["elevation"]),
        ("multispectral", 4, "uint16", [None, None, None, None]),
    ],
)
def test_bands_in_file_order(sensor_id, bands, data_type, expected):
    assert commons(sensor_id, bands, data_type) == expected


def test_the_colour_interpretation_orders_bands_where_the_sensor_is_generic():
    bgra = ("blue", "green", "red", "alpha")
    assert commons("rgb", 3, "uint16", bgra) == ["blue", "green", "red"]
    assert commons("rgb", 3, "uint8", UNDEFINED[:3]) == ["red", "green", "blue"]
    assert commons("multispectral", 4, "uint16", ("blue", "green", "red", "nir")) == [
        "blue",
        "green",
        "red",
        "nir",
    ]
    assert commons("multispectral", 4, "uint16", ("red", "red", "blue", "undefined")) == [
        "red",
        None,
        "blue",
        None,
    ]
    layout = SENSORS.get("multispectral").layout_for(4, "uint16", ("blue", "green", "red", "undefined"))
    assert layout.styles == ("natural", "grey")
    assert SENSORS.get("multispectral").layout_for(4, "uint16", UNDEFINED).styles == ("bands-123", "grey")


@pytest.mark.parametrize("sensor_id", ["capella", "radarsat-2", "sar-amplitude", "umbra"])
def test_radar_images_of_8_bits_are_not_offered_in_decibels(sensor_id):
    sensor = SENSORS.get(sensor_id)
    for name in ("x.tif", "x_HH.tif", "x_HV.tif", "x_VH.tif", "x_VV.tif"):
        eight, more = (sensor.layout_for(1, data_type, UNDEFINED, name) for data_type in ("uint8", "uint16"))
        assert eight.styles == ("sar-amplitude", "grey")
        assert set(more.styles) == {"sar-db", "sar-amplitude", "grey"}
        assert [band.name for band in eight.bands] == [band.name for band in more.bands]


def test_old_planet_files_lie_about_their_colours():
    assert commons("planetscope", 4, "uint16", (*RGB, "undefined")) == ["blue", "green", "red", "nir"]


@pytest.mark.parametrize(
    ("sensor_id", "name", "expected"),
    [
        ("sentinel-2", "T31TCJ_20200318T105021_B8A_20m.jp2", ["nir08"]),
        ("sentinel-2", "S2_b04.tif", ["red"]),
        ("sentinel-2", "S2_other.tif", [None]),
        ("landsat", "LC08_L1TP_171083_20150923_20200908_02_T1_B4.TIF", ["red"]),
        ("landsat", "LT05_L1TP_171083_19950923_20200908_02_T1_B4.TIF", ["nir"]),
        ("landsat", "LC08_L1TP_171083_20150923_20200908_02_T1_B10.TIF", [None]),
        ("alos-2", "N23W161_20_sl_HV_F02DAR.tif", ["hv"]),
        ("alos-2", "x.tif", ["amplitude"]),
    ],
)
def test_the_name_tells_the_band_of_single_files(sensor_id, name, expected):
    assert commons(sensor_id, 1, "uint16", ("gray",), name) == expected


def test_a_file_of_pneo_s_other_bands_is_not_red_green_blue():
    name = "IMG_PNEO4_202110011029213_MS-FS_ORT_PWOI_000_NED_R1C1.JP2"
    assert commons("pleiades-neo", 3, "uint16", RGB, name) == ["nir", "rededge", "coastal"]


def test_bands_carry_wavelength_and_the_file_s_type():
    layout = SENSORS.get("pleiades").layout_for(4, "uint16", UNDEFINED)
    red = layout.bands[0]
    assert (red.name, red.data_type) == ("B2", "uint16")
    assert (red.wavelength_um, red.fwhm_um) == (0.65, 0.12)
    assert layout.band_count == 4


@pytest.mark.parametrize(
    ("sensor_id", "name", "expected"),
    [
        ("pleiades", "IMG_PHR1B_PMS_201308051042194_ORT_690908101-001_R1C1.TIF", (2013, 8, 5, 10, 42, 19)),
        ("spot-6-7", "IMG_SPOT6_MS_201308032015087_SEN_1_R1C1.TIF", (2013, 8, 3, 20, 15, 8)),
        ("pleiades-neo", "IMG_PNEO4_202110011029213_MS-FS_ORT.JP2", (2021, 10, 1, 10, 29, 21)),
        ("spot-1-5", "56072770912261636142J0.tif", (2009, 12, 26, 16, 36, 14)),
        ("spot-1-5", "10402668608221052012X.tif", (1986, 8, 22, 10, 52, 1)),
        ("planetscope", "20190109_015005_1020_3B_AnalyticMS.tif", (2019, 1, 9, 1, 50, 5)),
        ("skysat", "SkySat_Freeport_s03_20170831T162740Z.tif", (2017, 8, 31, 16, 27, 40)),
        ("worldview", "05JUL11182931-M2AS-005552868010_01_P001.TIF", (2005, 7, 11, 18, 29, 31)),
        ("jilin-1", "JL1GF03B_PMS_20200101021530_200020_101.tif", (2020, 1, 1, 2, 15, 30)),
        ("jilin-1", "JL107B_PMS_20200101021530_200020_101.tif", (2019, 12, 31, 18, 15, 30)),
        ("landsat", "LC08_L1TP_171083_20150923_20200908_02_T1_B4.TIF", (2015, 9, 23)),
        ("sentinel-2", "T31TCJ_20200318T105021_B04_10m.jp2", (2020, 3, 18, 10, 50, 21)),
        ("sentinel-1", "s1a-iw-grd-vv-20150705t064241-20150705t064306-006672.tiff", (2015, 7, 5, 6, 42, 41)),
        (
            "terrasar-x",
            "TSX1_SAR__EEC_SE___SM_S_SRA_20080310T133220_20080310T133228.tif",
            (2008, 3, 10, 13, 32, 20),
        ),
        ("capella", "CAPELLA_C02_SM_GEO_HH_20200814052637_20200814052641.tif", (2020, 8, 14, 5, 26, 37)),
        ("umbra", "2023-02-12-11-09-34_UMBRA-05_GEC.tif", (2023, 2, 12, 11, 9, 34)),
        ("alos-2", "IMG-HH-ALOS2015976960-140909-FBDR1.5GUA.tif", (2014, 9, 9)),
        ("alos-2", "N23W161_20_sl_HH_F02DAR.tif", None),
        ("night-lights", "SVDNB_npp_20140101-20140131_75N060W.tif", None),
        ("pleiades", "Toulouse.tif", None),
    ],
)
def test_acquisition_times_are_read_from_names(sensor_id, name, expected):
    found = SENSORS.get(sensor_id).acquired_from(f"/some/20990101/{name}")
    assert found == (None if expected is None else datetime(*expected, tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a_20170831T162740Z.tif", (2017, 8, 31, 16, 27, 40)),
        ("a_20170831_162740_x.tif", (2017, 8, 31, 16, 27, 40)),
        ("a-20170831-162740.tif", (2017, 8, 31, 16, 27, 40)),
        ("a20170831162740.tif", (2017, 8, 31, 16, 27, 40)),
        ("ndvi_2013-09-14.jp2", (2013, 9, 14)),
        ("Houston-East-20170831-3-band.tif", (2017, 8, 31)),
        ("20170831_again_20170831.tif", (2017, 8, 31)),
        ("20170831_or_20170901.tif", None),
        ("20170831T000000_20170901T000000.tif", None),
        ("20171331.tif", None),
        ("20170230.tif", None),
        ("19791231.tif", None),
        ("21010101.tif", None),
        ("tile_120170831.tif", None),
        ("order_690908101-001.tif", None),
        ("20170831_996199.tif", (2017, 8, 31)),
        ("nothing.tif", None),
    ],
)
def test_only_certain_dates_are_read_from_unknown_names(name, expected):
    found = acquired_from_name(name)
    assert found == (None if expected is None else datetime(*expected, tzinfo=UTC))
    assert found is None or found.tzinfo is UTC


def test_copyright_lines_carry_the_year_where_it_is_known():
    day = datetime(2013, 8, 5, tzinfo=UTC)
    cases = {
        "pleiades": (
            "Pléiades © CNES 2013, Distribution Airbus DS",
            "Pléiades © CNES, Distribution Airbus DS",
        ),
        "saocom": ("SAOCOM® product - ©CONAE - 2013", "SAOCOM® product - ©CONAE"),
        "planetscope": ("Image © 2013 Planet Labs PBC", "Image © Planet Labs PBC"),
        "grey": ("", ""),
    }
    for sensor_id, (dated, undated) in cases.items():
        assert SENSORS.get(sensor_id).attribution_for(day) == dated
        assert SENSORS.get(sensor_id).attribution_for(None) == undated
    assert "Inc. - All" in SENSORS.get("radarsat-2").attribution_for(None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(colour="red"), "unknown: colour"),
        (lambda d: d["layouts"][0].update(colour="red"), "unknown: colour"),
        (lambda d: d["layouts"][0]["bands"][0].update(colour="red"), "unknown: colour"),
        (lambda d: d["layouts"][0].update(band_count=5), "a layout of 5 bands lists 4"),
        (lambda d: d["layouts"][0].update(kind="sound"), "kind 'sound'"),
        (lambda d: d["layouts"][0].update(styles=[]), "must have a style"),
        (lambda d: d["layouts"][0]["bands"][1].update(name="B2"), "same name"),
        (lambda d: d["layouts"][0]["bands"][1].update(common_name="red"), "same name"),
        (lambda d: d["layouts"][0]["bands"][1].update(range_nm=[600, 500]), "range_nm"),
        (lambda d: d.update(filename_patterns=["("]), "regular expression"),
        (lambda d: d.update(datetime_patterns=[{"pattern": "("}]), "regular expression"),
        (lambda d: d.update(datetime_patterns=[{"pattern": "(?P<year>....)"}]), "groups year, month and day"),
        (lambda d: d.update(layouts=[]), "layouts must not be empty"),
        (lambda d: d.update(source=""), "source"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(tmp_path, change, says):
    wrong = json.loads((BUILT_IN / "sensors" / "pleiades.json").read_text(encoding="utf-8"))
    change(wrong)
    (tmp_path / "pleiades.json").write_text(json.dumps(wrong))
    with pytest.raises(DataFileInvalidError, match=f"pleiades\\.json: .*{says}"):
        load_sensors(tmp_path)


def test_an_extra_sensor_is_added_and_overrides(tmp_path):
    mine = json.loads((BUILT_IN / "sensors" / "dsm.json").read_text(encoding="utf-8"))
    mine["attribution"] = "Mine"
    (tmp_path / "dsm.json").write_text(json.dumps(mine))
    (tmp_path / "mine.json").write_text(json.dumps({**mine, "id": "mine", "aliases": ["my"]}))
    sensors = load_sensors(tmp_path)
    assert sensors.get("dsm").attribution == "Mine"
    assert find_sensor(sensors, "MY").id == "mine"


@pytest.mark.imagery
@pytest.mark.filterwarnings(
    f"ignore::{NotGeoreferencedWarning.__module__}.{NotGeoreferencedWarning.__name__}"
)
@pytest.mark.parametrize(
    ("path", "sensor_id", "expected"),
    [
        ("dem/DSM_PHR_Dunkerque.tif", "dsm", ["elevation"]),
        ("dem/nrw_dom1_lidar.tif", "dsm", ["elevation"]),
        ("dem/swiss_dem_2056_cog.tif", "dsm", ["elevation"]),
        ("derived/reunion_img01_pan_ortho_cog.tif", "grey", [None]),
        ("mosaic/ngi_area_sentinel2_b432.tif", "sentinel-2", ["red", "green", "blue"]),
        ("mosaic/ngi_rgb_1.tif", "rgb", ["red", "green", "blue"]),
        ("night/viirs_dnb_201401_sao_tome.tif", "night-lights", ["night"]),
        ("derived/earth_night_nasa_cog.tif", "night-lights", ["red", "green", "blue"]),
        ("odd/all_nodata_4band.tif", "multispectral", ["blue", "green", "red", None]),
        ("odd/bgra_uint16_alpha.tif", "rgb", ["blue", "green", "red"]),
        ("odd/palette_cog.tif", "palette", ["classes"]),
        ("odd/s1_cint16_crop_gcps.tif", "grey", None),
        ("optical/aerial/hro_colorado_alpha.tif", "rgb", ["red", "green", "blue"]),
        ("optical/landsat/L8_red.tif", "landsat", ["red"]),
        (
            "optical/planet/20170831_172754_101c_3B_AnalyticMS.tif",
            "planetscope",
            ["blue", "green", "red", "nir"],
        ),
        ("optical/planet/20170831_172754_101c_3b_Visual.tif", "planetscope", ["red", "green", "blue"]),
        ("optical/planet/SkySat_Freeport_s03_20170831T162740Z.tif", "skysat", ["red", "green", "blue"]),
        ("optical/planet/rapideye_20170308_Visual_clip.tif", "rapideye", ["red", "green", "blue"]),
        ("optical/pleiades/toulouse_xs_4326.tif", "multispectral", [None] * 4),
        ("optical/sentinel2/S2_pivot_b08.tif", "sentinel-2", ["nir"]),
        ("optical/spot/spot_pan_chicago_utm.tif", "grey", [None]),
        ("optical/worldview/rotterdam_ms1.tif", "multispectral", [None] * 4),
        ("sar/alos2_mosaic_N23W161_HV.tif", "alos-2", ["hv"]),
        ("sar/alos2_scansar_mask_cog.tif", "grey", [None]),
        ("sar/capella_rotterdam_4pol_db.tif", "sar-db", ["db", None, None, None]),
        ("sar/capella_rotterdam_slc_hh.tif", "grey", None),
        ("sar/s1_grd_gcps_cog.tif", "sentinel-1", ["amplitude"]),
        ("sar/s1_vv_geocoded_db.tif", "sar-db", ["db"]),
        ("sar/umbra_yasur_gec_rotated.tif", "umbra", ["amplitude"]),
    ],
)
def test_real_files(path, sensor_id, expected):
    with rasterio.open(IMAGERY / path) as source:
        colours = tuple(colour.name for colour in source.colorinterp)
        count = source.count - colours.count("alpha")
        data_type, tags = source.dtypes[0], source.tags()
    sensor = guess_sensor(
        SENSORS,
        file_name=path,
        band_count=count,
        data_type=data_type,
        colour_interpretation=colours,
        has_palette="palette" in colours,
        tags=tags,
    )
    assert sensor.id == sensor_id
    layout = sensor.layout_for(count, data_type, colours, path)
    assert (None if layout is None else [band.common_name for band in layout.bands]) == expected
