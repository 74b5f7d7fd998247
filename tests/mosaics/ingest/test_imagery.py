"""The real imagery: what is banked, what is served in place, what is refused and why."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.warp import reproject, transform_bounds

from mosaics.errors import IngestError
from mosaics.gdal import open_raster
from mosaics.ingest.bank import Bank
from mosaics.ingest.deliveries.prepare import GroundOptions
from mosaics.ingest.options import BankOptions
from tests.mosaics.ingest.conftest import silent

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
    "derived/ventoux_pan_nbits12.tif": "no georeference",
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


RAW = {
    "optical/pleiades/reunion_img01_pan_rpc.tif": ("pleiades", "EPSG:32740.*by its RPC at the mean height"),
    "optical/pleiades/ventoux_left_pan.tif": ("pleiades", "EPSG:32631 at 0.5 per pixel, by its RPC"),
    "optical/pleiades/ventoux_lowres_xs.tif": ("pleiades", "EPSG:32631 at 2 per pixel, by its RPC"),
    "optical/pleiades/phr1b_rpc_in_tags.tif": ("pleiades", "by its RPC"),
    "sar/s1_grd_gcps_cog.tif": (None, r"by 210 points \(spline\)"),
    "odd/s1_cint16_crop_gcps.tif": (None, r"by 210 points \(spline\)"),
    "sar/capella_rotterdam_slc_hh.tif": (None, r"image \(hh\)"),
}
"""File in sensor geometry, or complex -> its sensor, if it has to be named, and what is said of it."""


@pytest.fixture
def bank(bank: Bank, imagery: Path) -> Bank:
    return replace(bank, data_roots=[imagery])


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


@pytest.mark.parametrize(("name", "about"), RAW.items())
def test_raw_images_are_put_on_the_ground(
    bank: Bank, imagery: Path, name: str, about: tuple[str | None, str]
) -> None:
    sensor, words = about
    options = BankOptions(sensor=None if sensor is None else bank.sensors.get(sensor))
    result = bank.bank_file(imagery / name, options, silent)
    assert any(re.search(words, message) for message in result.messages), result.messages
    scene = result.scene
    assert scene is not None
    assert scene.styles
    assert scene.bands[0].data_type in {"uint16", "float32"}, "nothing complex is stored"


REUNION_DSM = "dem/reunion_pleiades_dsm.tif"


def ortho(bank: Bank, imagery: Path, view: str) -> np.ndarray:
    """Orthorectify a view of La Réunion; give it on the pixels of the reference, 0 where there is nothing."""
    ground = GroundOptions(terrain=imagery / REUNION_DSM, crs="EPSG:32740", resolution=0.5)
    options = BankOptions(sensor=bank.sensors.get("pleiades"), ground=ground)
    path = imagery / f"optical/pleiades/reunion_{view}_pan_rpc.tif"
    scene = bank.bank_file(path, options, silent).scene
    assert scene is not None
    with open_raster(scene.href) as source, open_raster(reference(imagery, view)) as wanted:
        found = np.zeros(wanted.shape, "uint16")
        reproject(
            rasterio.band(source, 1),
            found,
            dst_transform=wanted.transform,
            dst_crs=wanted.crs,
            src_nodata=0,
            dst_nodata=0,
        )
    return found


def reference(imagery: Path, view: str) -> Path:
    return imagery / f"derived/reunion_{view}_pan_ortho_cog.tif"


def shifts(one: np.ndarray, other: np.ndarray, known: np.ndarray, side: int = 180) -> list[float]:
    """Give how far two pictures lie apart, pixels, in each square of which nearly all is known."""
    found = []
    for top in range(0, one.shape[0] - side + 1, side):
        for left in range(0, one.shape[1] - side + 1, side):
            square = slice(top, top + side), slice(left, left + side)
            if known[square].mean() < 0.85:
                continue
            there = known[square]
            pair = [
                np.where(there, each[square] - each[square][there].mean(), 0).astype("float32")
                for each in (one, other)
            ]
            (x, y), _ = cv2.phaseCorrelate(*pair, cv2.createHanningWindow((side, side), cv2.CV_32F))
            found.append(math.hypot(x, y))
    return found


def test_a_stereo_pair_comes_to_lie_where_its_surface_model_says(bank: Bank, imagery: Path) -> None:
    """Where the model has heights: with the reference within a pixel, with each other within 1.5."""
    with open_raster(imagery / REUNION_DSM) as source:
        known = np.isfinite(source.read(1))
    made = {view: ortho(bank, imagery, view) for view in ("img01", "img02")}
    for view, found in made.items():
        with open_raster(reference(imagery, view)) as source:
            wanted = source.read(1)
        apart = shifts(found, wanted, known & (found > 0) & (wanted > 0))
        assert len(apart) >= 4
        assert max(apart) < 1.0, view
    both = known & (made["img01"] > 0) & (made["img02"] > 0)
    apart = shifts(made["img01"], made["img02"], both)
    assert len(apart) >= 4
    assert max(apart) < 1.5
