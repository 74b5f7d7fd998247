"""The real imagery as it is seen: nothing black, saturated, shifted or striped, in any of its styles."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from rasterio.warp import transform_bounds

from mosaics.fast import FastReader
from mosaics.gdal import open_raster, unplaced_files_expected
from mosaics.ingest.bank import Bank
from mosaics.ingest.options import BankOptions
from mosaics.models import Picture, Scene
from mosaics.products.recognise import recognise
from mosaics.products.rpc import read_rpc
from mosaics.read import RioTilerReader
from mosaics.sensors import load_sensors
from mosaics.styles import load_styles
from mosaics.tiff.blocks import BlockCache
from server.quicklook import scene_picture
from tests.mosaics.ingest.conftest import silent

pytestmark = pytest.mark.imagery

SENSORS, STYLES = load_sensors(), load_styles()
WIDTH = 240


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a picture may be at most, and must be at least."""

    black: float = 0.08
    """Share of pixels of which no colour has level 8."""
    white: float = 0.06
    """Share of pixels of which all colours are above level 247."""
    levels: int = 48
    """Distinct colours."""
    spread: float = 5.0
    """Standard deviation of brightness."""
    stripe: float = 0.6
    """How far the mean of a row or column is off the mean of both neighbours, in parts of the spread."""
    collar: bool = False
    """Black from an edge on is no fault: the file does not say that nothing is there."""


@dataclass(frozen=True, kw_only=True)
class Real:
    """A file or delivery, and how it is banked."""

    path: str
    sensor: str | None = None
    """As --sensor names it; None: guessed."""
    styles: tuple[str, ...]
    """That it is offered in, the default first."""
    bounds: Bounds = Bounds()
    model: str | None = None
    """File that says where it lies, where the image itself does not."""


DESERT = Bounds(black=0.15, white=0.15)  # two kinds of ground, dark fields on bright sand
CLOUDS = Bounds(white=0.42, black=0.12)  # the file itself has 255 wherever clouds are
NIGHT = Bounds(black=0.93, levels=60, spread=10, stripe=1.0)
SEA = Bounds(black=0.08, white=0.06, spread=3)
RADAR = Bounds(black=0.08, white=0.06, levels=40)
COLLAR = Bounds(collar=True)
COLOURS_4 = ("natural", "cir", "ndvi", "ndwi", "grey")
HEIGHTS = ("relief", "hillshade", "slope", "contours", "terrain-rgb", "terrarium", "grey")

REAL = (
    Real(path="optical/pleiades/reunion_img01_pan_rpc.tif", sensor="pleiades", styles=("pan",)),
    Real(
        path="optical/pleiades/ventoux_left_pan.tif",
        sensor="pleiades",
        styles=("pan",),
        model="optical/pleiades/ventoux_RPC_PHR1B_P_201308051042194.XML",
    ),
    Real(
        path="optical/pleiades/ventoux_lowres_xs.tif",
        sensor="pleiades",
        styles=COLOURS_4,
        model="optical/pleiades/ventoux_RPC_PHR1B_P_201308051042194.XML",
    ),
    Real(path="optical/pleiades/toulouse_xs_4326.tif", sensor="multispectral", styles=("bands-123", "grey")),
    Real(path="optical/worldview/rotterdam_ms1.tif", sensor="worldview", styles=COLOURS_4),
    Real(path="optical/worldview/rotterdam_pan1.tif", sensor="worldview", styles=("pan",)),
    Real(path="optical/worldview/rotterdam_rgb.tif", styles=("rgb",)),
    Real(path="optical/planet/20170831_172754_101c_3B_AnalyticMS_metadata.xml", styles=COLOURS_4),
    Real(path="optical/planet/20170831_172754_101c_3b_Visual.tif", styles=("natural",), bounds=COLLAR),
    Real(path="optical/planet/SkySat_Freeport_s03_20170831T162740Z.tif", styles=("natural",), bounds=COLLAR),
    Real(path="optical/planet/rapideye_20170308_Visual_clip.tif", styles=("natural",)),
    Real(path="optical/sentinel2/S2_TCI.tif", styles=("natural",), bounds=CLOUDS),
    Real(path="optical/sentinel2/S2_B01.tif", styles=("grey",), bounds=CLOUDS),
    Real(path="optical/sentinel2/S2_pivot_b04.tif", styles=("grey",), bounds=DESERT),
    Real(path="optical/sentinel2/S2_pivot_b08.tif", styles=("grey",), bounds=DESERT),
    Real(path="sar/capella_rotterdam_slc_hh.tif", styles=("sar-intensity",), bounds=RADAR),
    Real(path="sar/capella_rotterdam_4pol_db.tif", styles=("sar-db-stored", "grey"), bounds=RADAR),
    Real(path="sar/umbra_yasur_gec_rotated.tif", styles=("sar-amplitude", "grey"), bounds=RADAR),
    Real(path="sar/alos2_mosaic_N23W161_HH.tif", styles=("alos-db", "sar-db", "grey"), bounds=SEA),
    Real(path="sar/alos2_mosaic_N23W161_HV.tif", styles=("alos-db-cross", "sar-db", "grey"), bounds=SEA),
    Real(path="sar/s1_grd_gcps_cog.tif", styles=("sar-db", "s1-amplitude", "grey"), bounds=RADAR),
    Real(path="sar/s1_vv_geocoded_db.tif", styles=("sar-db-stored", "grey"), bounds=RADAR),
    Real(path="dem/DSM_PHR_Dunkerque.tif", styles=HEIGHTS),
    Real(path="dem/nrw_dom1_lidar.tif", styles=HEIGHTS),
    Real(path="dem/reunion_pleiades_dsm.tif", styles=HEIGHTS),
    Real(path="night/viirs_dnb_201401_sao_tome.tif", styles=("night", "grey"), bounds=NIGHT),
    Real(path="derived/earth_night_nasa_cog.tif", styles=("night-mean", "night-rgb"), bounds=NIGHT),
)


@pytest.fixture
def bank(bank: Bank, imagery: Path) -> Bank:
    return replace(bank, data_roots=[imagery])


def banked(bank: Bank, path: Path, sensor: str | None) -> Scene:
    """Bank as the command line does."""
    options = BankOptions(sensor=None if sensor is None else SENSORS.get(sensor))
    delivery = recognise(path)
    if delivery is None:
        result = bank.bank_file(path, options, silent)
    else:
        result = bank.bank_delivery(delivery, options, silent)
    assert result.scene is not None
    return result.scene


def picture_of(scene: Scene, style: str | None) -> Picture:
    reader = FastReader(reference=RioTilerReader(), blocks=BlockCache(0))
    return scene_picture(scene, style, WIDTH, reader, STYLES)


def faults(picture: Picture, bounds: Bounds) -> list[str]:
    """Tell what is wrong with what is seen."""
    seen = picture.alpha > 1
    if bounds.collar:
        seen &= ~_collar(picture)
    pixels = picture.rgb[seen]
    brightness = picture.rgb.mean(axis=2)
    spread = float(brightness[seen].std())
    measures = {
        "black": ((pixels.max(axis=1) < 8).mean(), "<=", bounds.black),
        "white": ((pixels.min(axis=1) > 247).mean(), "<=", bounds.white),
        "stripe": (
            max(_stripe(brightness, seen), _stripe(brightness.T, seen.T)) / spread,
            "<=",
            bounds.stripe,
        ),
        "levels": (len(np.unique(pixels, axis=0)), ">=", bounds.levels),
        "spread": (spread, ">=", bounds.spread),
    }
    return [
        f"{name} {value:.3f}"
        for name, (value, sense, limit) in measures.items()
        if (value > limit if sense == "<=" else value < limit)
    ]


def _collar(picture: Picture) -> np.ndarray:
    """Tell where all is 0 from an edge of the picture on, along rows."""
    dark = ~picture.rgb.any(axis=2) | (picture.alpha == 0)
    from_left = np.logical_and.accumulate(dark, axis=1)
    from_right = np.logical_and.accumulate(dark[:, ::-1], axis=1)[:, ::-1]
    return from_left | from_right


def _stripe(brightness: np.ndarray, seen: np.ndarray) -> float:
    """Give how far, at most, the mean of a row is off those of its neighbours; short rows are not asked."""
    counts = seen.sum(axis=1)
    full = counts > 0.3 * seen.shape[1]
    if full.sum() < 5:
        return 0.0
    means = np.where(seen, brightness, 0).sum(axis=1)[full] / counts[full]
    return float(np.abs(means[1:-1] - (means[:-2] + means[2:]) / 2).max())


def extent(imagery: Path, real: Real) -> shapely.Geometry:
    """Give where a file says that it lies, longitudes and latitudes."""
    if real.model is not None:
        rpc = read_rpc(imagery / real.model)
    else:
        path = imagery / real.path.replace("_metadata.xml", ".tif")
        with unplaced_files_expected(), open_raster(path) as source:
            points, rpc = source.gcps[0], source.rpcs
            if points:
                return shapely.box(*shapely.MultiPoint([(p.x, p.y) for p in points]).bounds)
            if source.crs is not None:
                west, south, east, north = transform_bounds(source.crs, "OGC:CRS84", *source.bounds)
                return shapely.box(west, south, east, north)
    assert rpc is not None
    reach = rpc.long_scale, rpc.lat_scale
    return shapely.box(
        rpc.long_off - reach[0], rpc.lat_off - reach[1], rpc.long_off + reach[0], rpc.lat_off + reach[1]
    )


@pytest.mark.parametrize("real", REAL, ids=lambda real: Path(real.path).stem)
def test_real_pixels_are_seen_as_they_should(bank: Bank, imagery: Path, real: Real) -> None:
    scene = banked(bank, imagery / real.path, real.sensor)
    assert scene.styles == real.styles
    assert extent(imagery, real).contains(scene.footprint.centroid)
    default = picture_of(scene, None)
    assert (default.rgb == picture_of(scene, real.styles[0]).rgb).all()
    wrong = {}
    for style in real.styles:
        picture = picture_of(scene, style)
        if style == "contours":
            assert 0 < (picture.alpha == 255).mean() < 0.3, "lines, and nothing between them"
        elif found := faults(picture, bounds_of(style, real)):
            wrong[style] = found
    assert not wrong


def bounds_of(style: str, real: Real) -> Bounds:
    """Give what is asked of a style: heights that are written as numbers jump where a byte is full."""
    if style in {"terrain-rgb", "terrarium"}:
        return replace(real.bounds, stripe=math.inf)
    return real.bounds


@pytest.mark.parametrize(
    ("known", "fault"),
    [
        (("derived/earth_night_nasa_cog.tif", "rgb", "rgb"), "black"),
        (("sar/alos2_mosaic_N23W161_HV.tif", "sar-amplitude", "alos-db"), "black"),
        (("optical/pleiades/toulouse_xs_4326.tif", "pleiades", "ndvi"), "stripe"),
    ],
)
def test_what_is_wrong_would_be_noticed(
    bank: Bank, imagery: Path, known: tuple[str, str, str], fault: str
) -> None:
    """Lights without a logarithm, the range of land on sea, and lines that fell out in one band."""
    path, sensor, style = known
    scene = replace(banked(bank, imagery / path, sensor), styles=(style,))
    bounds = next(real.bounds for real in REAL if real.path == path)
    assert any(found.startswith(fault) for found in faults(picture_of(scene, style), bounds))


def test_a_stretch_of_the_wrong_range_would_be_noticed() -> None:
    ramp = np.tile(np.linspace(0, 255, 240).astype("uint8")[:, None], (1, 240))
    good = Picture(rgb=np.dstack([ramp] * 3), alpha=np.full(ramp.shape, 255, "uint8"))
    assert faults(good, Bounds()) == []
    bright = Picture(rgb=np.clip(good.rgb.astype(int) * 3, 0, 255).astype("uint8"), alpha=good.alpha)
    assert [fault.split()[0] for fault in faults(bright, Bounds())] == ["white"]
