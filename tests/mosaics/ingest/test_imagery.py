"""The real imagery: what is banked, what is served in place, what is refused and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely
from rasterio.warp import transform_bounds

from mosaics.catalog.memory import MemoryCatalog
from mosaics.errors import IngestError
from mosaics.gdal import open_raster
from mosaics.ingest.bank import Bank
from mosaics.ingest.options import BankOptions
from mosaics.ingest.sandbox import Sandbox
from mosaics.sensors import load_sensors
from mosaics.styles import load_styles

pytestmark = pytest.mark.imagery

IN_PLACE = (
    "odd/good_jpeg_cog_mask.tif",
    "odd/geostationary_cog_mask.tif",
    "odd/palette_cog.tif",
    "odd/above_31bands_cog.tif",
    "odd/dateline_cog.tif",
    "odd/full_earth_bounds_cog.tif",
    "odd/masked_jpeg_cog.tif",
    "odd/tiny_51px.tif",
    "derived/reunion_img01_pan_ortho_cog.tif",
    "derived/dunkerque_dsm_lerc_zstd_cog.tif",
    "derived/dop_rgb_webp_lossless_cog.tif",
    "optical/aerial/ch_bw_rotated_cog.tif",
    "optical/aerial/hro_colorado_cog_rgba.tif",
    "night/viirs_dnb_201401_sao_tome.tif",
    "mosaic/ngi_area_landsat8_24bands.tif",
)
CONVERTED = (
    "optical/aerial/hro_colorado.tif",
    "optical/aerial/hro_colorado_extmask.tif",
    "optical/pleiades/toulouse_xs_4326.tif",
    "optical/planet/rapideye_20170308_Visual_clip.tif",
    "sar/umbra_yasur_gec_rotated.tif",
    "sar/capella_rotterdam_4pol_db.tif",
    "dem/nrw_dom1_lidar.tif",
    "odd/nan_values_nodata0_cog.tif",
    "odd/bgra_uint16_alpha.tif",
    "odd/palette_no_ovr.tif",
    "odd/unsorted_overviews.tif",
    "odd/tiled_no_overview.tif",
    "timeseries/modis_ndvi_2013-09-14.jp2",
    "derived/rotterdam_pan1_zstd_bigtiff.tif",
)
REFUSED = {
    "optical/pleiades/reunion_img01_pan_rpc.tif": "RPC model.*orthorectify",
    "optical/pleiades/ventoux_left_pan.tif": "no georeference",
    "derived/ventoux_pan_nbits12.tif": "no georeference",
    "sar/s1_grd_gcps_cog.tif": "210 ground control points",
    "sar/s1_slc_cint16_gcps.tif": "complex.*detect",
    "sar/capella_rotterdam_slc_hh.tif": "complex.*detect",
    "odd/mars_hirise_cog.tif": "not on the Earth",
    "odd/europa_non_earth_cog.tif": "not on the Earth",
    "odd/all_nodata_4band.tif": "no valid pixel",
    "odd/lat_inverted_cog.tif": "no valid pixel",
    "odd/corrupt_jpeg_cog.tif": "truncated",
    "derived/truncated_60pct_cog.tif": "truncated",
    "derived/truncated_30pct_strips.tif": "truncated",
    "derived/truncated_header_64_bytes.tif": "truncated",
    "derived/zero_bytes.tif": "empty",
    "night/earth_night_nasa.jpg": "JPEG",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.fixture
def bank(tmp_path: Path, sandbox: Sandbox, imagery: Path) -> Bank:
    return Bank(
        home_data=tmp_path,
        catalog=MemoryCatalog(),
        sensors=load_sensors(),
        styles=load_styles(),
        sandbox=sandbox,
        data_roots=[imagery],
    )


def silent(_stage: str, _fraction: float) -> None:
    """Take progress and do nothing."""


@pytest.mark.parametrize("name", [*IN_PLACE, *CONVERTED])
def test_files_are_banked(bank: Bank, imagery: Path, name: str) -> None:
    result = bank.bank_file(imagery / name, BankOptions(), silent)
    assert result.in_place == (name in IN_PLACE)
    scene = result.scene
    assert scene is not None
    assert scene.styles
    assert scene.footprint.is_valid
    with open_raster(scene.href) as source:
        assert (source.width, source.height) == (scene.width, scene.height)
        crs, bounds = source.crs, source.bounds
        values = source.read(1)
        valid = source.read_masks(1) != 0
    if values.dtype.kind == "f":
        valid &= np.isfinite(values)
    assert (scene.bands[0].minimum, scene.bands[0].maximum) == (values[valid].min(), values[valid].max())
    if "geostationary" not in name and "dateline" not in name:
        frame = shapely.box(*transform_bounds(crs, "OGC:CRS84", *bounds, densify_pts=101))
        assert frame.buffer(1e-3 + frame.length / 1000).contains(scene.footprint)


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_files_are_refused(bank: Bank, imagery: Path, name: str, reason: str) -> None:
    with pytest.raises(IngestError, match=reason) as caught:
        bank.bank_file(imagery / name, BankOptions(), silent)
    assert str(caught.value).startswith(f"{Path(name).name}: ")
    assert list(bank.home_data.rglob("*.tif")) == []
