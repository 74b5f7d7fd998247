"""Real imagery, banked and served, against rasterio's own reading of the delivered file.

The reference is made here from the file's values by plain formulas: GDAL's warper through rasterio onto the
tile's pixels, then the style's arithmetic in numpy. Nothing of the reading, rendering or encoding is shared.
Position: the tile must agree better with the reference at its own place than with one moved by half a
pixel in any direction.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import from_bounds
from rasterio.vrt import WarpedVRT
from rio_tiler.colormap import cmap

from mosaics.grids import Grid, find_grid, load_grids
from mosaics.models import Bounds, Frame
from tests.conformance.levels import open_level, scales
from tests.conftest import IMAGERY, Server, flux, imagery, serving

pytestmark = pytest.mark.imagery

GRIDS = load_grids()
Values = np.ndarray
"""float64, shape (bands, height, width); NaN where there is nothing."""


def display(values: Values, _path: Path, _frame: Frame) -> Values:
    return values[:3]


def stretched(*bands: int, gamma: float = 1.0) -> Callable[[Values, Path, Frame], Values]:
    """Percentiles of the whole file, then gamma."""

    def show(values: Values, path: Path, _frame: Frame) -> Values:
        out = []
        for band in bands:
            low, high = np.percentile(valid_values(path, band), [2, 98], method="nearest")
            unit = np.clip((values[band - 1] - low) / (high - low), 0, 1)
            out.append(255 * unit ** (1 / gamma))
        return np.stack(out)

    return show


def decibels(low: float, high: float, offset: float) -> Callable[[Values, Path, Frame], Values]:
    def show(values: Values, _path: Path, _frame: Frame) -> Values:
        db = 20 * np.log10(np.maximum(values[:1], 1e-3)) + offset
        return np.clip((db - low) / (high - low), 0, 1) * 255

    return show


def night(values: Values, path: Path, _frame: Frame) -> Values:
    low, high = np.log1p(np.maximum(np.percentile(valid_values(path, 1), [50, 99.9]), 0))
    light = np.log1p(np.maximum(values[0], 0))
    steps = np.nan_to_num(np.clip((light - low) / (high - low), 0, 1) * 255)
    table = np.array([cmap.get("inferno")[i][:3] for i in range(256)], float)
    return np.moveaxis(table[np.rint(steps).astype(int)], -1, 0)


def ground_hillshade(values: Values, _path: Path, frame: Frame) -> Values:
    """Light from the north-west at 45 degrees, gradients in ground metres (sphere is near enough here)."""
    left, bottom, right, top = frame.bounds
    along_x, along_y = (right - left) / frame.width, (top - bottom) / frame.height
    if frame.crs == "EPSG:3857":
        along_x /= np.cosh((bottom + top) / 2 / 6378137.0)
        along_y = along_x
    elif frame.crs == "OGC:CRS84":
        along_x *= 111_320 * np.cos(np.radians((bottom + top) / 2))
        along_y *= 111_320
    z = values[0]
    dx = (
        ((z[:-2, 2:] + 2 * z[1:-1, 2:] + z[2:, 2:]) - (z[:-2, :-2] + 2 * z[1:-1, :-2] + z[2:, :-2]))
        / 8
        / along_x
    )
    dy = (
        ((z[:-2, :-2] + 2 * z[:-2, 1:-1] + z[:-2, 2:]) - (z[2:, :-2] + 2 * z[2:, 1:-1] + z[2:, 2:]))
        / 8
        / along_y
    )
    light = np.array([-np.sqrt(0.5), np.sqrt(0.5)]) * np.sqrt(0.5)
    cosine = (np.sqrt(0.5) - dx * light[0] - dy * light[1]) / np.sqrt(1 + dx**2 + dy**2)
    shade = np.full(z.shape, np.nan)
    shade[1:-1, 1:-1] = np.clip(cosine, 0, 1) * 254 + 1
    return shade[None]


@dataclass(frozen=True)
class Case:
    path: str
    sensor: str
    show: Callable[[Values, Path, Frame], Values]
    local: str | None = None
    """The grid of its country, where we have it."""
    nodata: float | None = None
    """What is invalid, where the file does not say so."""
    difference: float = 3.0
    """Greatest mean absolute difference at native zoom, grey levels."""
    half_pixel: bool = True
    """False where the pixels tell nothing at half a pixel (smooth or noise-free)."""
    style: str | None = None
    """The style that is shown, where it isn't the default."""


NATURAL = stretched(1, 2, 3, gamma=1.3)
CASES = [
    Case("optical/pleiades/toulouse_xs_4326.tif", "pleiades", NATURAL, "2154_50cm"),
    Case("derived/reunion_img01_pan_ortho_cog.tif", "pleiades", stretched(1), "2975_50cm"),
    Case("derived/reunion_img02_pan_ortho_cog.tif", "pleiades", stretched(1), "2975_50cm"),
    Case(
        "dem/reunion_pleiades_dsm.tif", "dsm", ground_hillshade, "2975_50cm", difference=6, style="hillshade"
    ),
    Case("dem/DSM_PHR_Dunkerque.tif", "dsm", ground_hillshade, "2154_50cm", difference=6, style="hillshade"),
    Case("dem/swiss_dem_2056_cog.tif", "dsm", ground_hillshade, None, difference=4, style="hillshade"),
    Case(
        "optical/planet/20170831_172754_101c_3B_AnalyticMS.tif",
        "planetscope",
        stretched(3, 2, 1, gamma=1.3),
    ),
    Case("optical/planet/SkySat_Freeport_s03_20170831T162740Z.tif", "skysat", display),
    Case("optical/planet/rapideye_20170308_Visual_clip.tif", "rapideye", display),
    Case("optical/sentinel2/S2_TCI.tif", "sentinel-2", display),
    Case("optical/sentinel2/S2_pivot_b08.tif", "sentinel-2", stretched(1)),
    Case("sar/alos2_mosaic_N23W161_HH.tif", "alos-2", decibels(-30, 0, -83.0)),
    Case("night/viirs_dnb_201401_sao_tome.tif", "night-lights", night, difference=6),
    Case("optical/aerial/dop_rgb_cog.tif", "aerial", display),
    Case("optical/aerial/noaa_eri_20200307_mask_jpeg.tif", "aerial", display),
    Case("mosaic/ngi_rgb_1.tif", "aerial", display),
    Case("optical/worldview/rotterdam_rgb.tif", "rgb", display),
    Case("optical/aerial/ch_bw_rotated_cog.tif", "grey", stretched(1)),
]
IDS = [Path(case.path).stem for case in CASES]


def valid_values(path: Path, band: int) -> np.ndarray:
    with rasterio.open(path) as source:
        values = source.read(band, masked=True).compressed()
    return values[np.isfinite(values)]


def reference(path: Path, frame: Frame) -> Values:
    """Read a file at its nearest level onto a frame by GDAL's warper; NaN where there is nothing."""
    with (
        open_level(path, frame) as source,
        WarpedVRT(
            source,
            crs=CRS.from_user_input(frame.crs),
            transform=from_bounds(*frame.bounds, frame.width, frame.height),
            width=frame.width,
            height=frame.height,
            resampling=Resampling.bilinear,
            add_alpha=source.nodata is None and "alpha" not in [c.name for c in source.colorinterp],
            dtype=None,
            **scales(source, frame),
        ) as warped,
    ):
        alpha = (
            [c.name for c in warped.colorinterp].index("alpha") + 1
            if "alpha" in [c.name for c in warped.colorinterp]
            else None
        )
        bands = [i for i in range(1, warped.count + 1) if i != alpha]
        values = warped.read(bands, masked=alpha is None).astype("float64")
        values = np.ma.filled(values, np.nan)
        if alpha is not None:
            values[:, warped.read(alpha) == 0] = np.nan
    return values


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("imagery")
    by_sensor: dict[str, list[str]] = {}
    for case in CASES:
        by_sensor.setdefault(case.sensor, []).append(str(imagery(case.path)))
    for sensor, paths in by_sensor.items():
        flux(home, "bank", *paths, "--sensor", sensor, "--collection", sensor, "--public")
    with serving(home) as running:
        yield running


def layer_of(case: Case) -> str:
    return f"{case.sensor}:{Path(case.path).stem}"


def middle_tile(server: Server, case: Case, grid: Grid, coarser: int) -> tuple[int, int, int]:
    """Choose the tile at the middle of the scene, at its native zoom or coarser."""
    layer = server.get(f"/layers/{layer_of(case)}").json
    west, south, east, north = layer["extent"]
    longitude, latitude = (west + east) / 2, (south + north) / 2
    if "alos2" in case.path:  # the middle of the tile is empty sea
        latitude = north - (north - south) * 0.3
        longitude = east - (east - west) * 0.2
    native = grid.zoom_for(layer["scenes"][0]["ground_resolution"], latitude)
    z = max(grid.minzoom, native - coarser)
    here = grid.tiles(Bounds(longitude, latitude, longitude, latitude), z)
    assert here is not None
    return z, here.min_col, here.min_row


def picture(server: Server, path: str) -> tuple[np.ndarray, np.ndarray]:
    reply = server.get(path)
    assert reply.status == 200, reply.body
    pixels = np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA"))
    return np.moveaxis(pixels[..., :3], -1, 0).astype("float64"), pixels[..., 3] > 0


def difference(shown: np.ndarray, alpha: np.ndarray, expected: Values) -> float:
    both = alpha & np.isfinite(expected).all(axis=0)
    if both.sum() < 40:
        pytest.fail("tile and reference have almost nothing in common")
    return float(np.abs(shown - expected)[:, both].mean())


def moved(frame: Frame, columns: float, rows: float) -> Frame:
    dx = (frame.bounds.right - frame.bounds.left) / frame.width * columns
    dy = (frame.bounds.top - frame.bounds.bottom) / frame.height * rows
    left, bottom, right, top = frame.bounds
    return Frame(
        crs=frame.crs,
        bounds=Bounds(left + dx, bottom + dy, right + dx, top + dy),
        width=frame.width,
        height=frame.height,
    )


def check(server: Server, case: Case, tms_id: str, coarser: int) -> None:
    grid = find_grid(GRIDS, tms_id)
    z, x, y = middle_tile(server, case, grid, coarser)
    frame = grid.frame(z, x, y)
    path = imagery(case.path)
    style = "" if case.style is None else f"?style={case.style}"
    shown, alpha = picture(server, f"/tiles/{layer_of(case)}/{tms_id}/{z}/{x}/{y}.png{style}")
    values = reference(path, frame)
    expected = case.show(values, path, frame)
    if len(expected) == 1:
        expected = np.repeat(expected, 3, axis=0)
    here = difference(shown, alpha, expected)
    if coarser == 0:
        assert here <= case.difference, f"differs by {here:.2f} grey levels"
        agree = alpha == np.isfinite(values).any(axis=0)
        assert agree[2:-2, 2:-2].mean() > 0.97, "valid pixels differ"
    for columns, rows in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)):
        other = moved(frame, columns, rows)
        elsewhere = case.show(reference(path, other), path, other)
        if len(elsewhere) == 1:
            elsewhere = np.repeat(elsewhere, 3, axis=0)
        there = difference(shown, alpha, elsewhere)
        assert here < there, f"agrees better with a place {columns}, {rows} pixels away: {there} < {here}"


@pytest.mark.parametrize("coarser", [0, 2])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_web_mercator(server: Server, case: Case, coarser: int) -> None:
    check(server, case, "WebMercatorQuad", coarser)


@pytest.mark.parametrize("coarser", [0, 2])
@pytest.mark.parametrize(
    "case", [c for c in CASES if c.local], ids=[i for i, c in zip(IDS, CASES, strict=True) if c.local]
)
def test_local_grid(server: Server, case: Case, coarser: int) -> None:
    assert case.local is not None
    check(server, case, case.local, coarser)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_plate_carree(server: Server, case: Case) -> None:
    check(server, case, "WorldCRS84Quad", 0)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_values_under_a_pixel_are_the_files(server: Server, case: Case) -> None:
    grid = find_grid(GRIDS, "WebMercatorQuad")
    z, x, y = middle_tile(server, case, grid, 0)
    frame = grid.frame(z, x, y)
    layer = layer_of(case)
    column, row = 100, 140
    reply = server.get(f"/wmts/1.0.0/{layer}/default/default/WebMercatorQuad/{z}/{y}/{x}/{row}/{column}.json")
    assert reply.status == 200
    features = reply.json["features"]
    left, bottom, right, top = frame.bounds
    px = left + (column + 0.5) * (right - left) / 256
    py = top - (row + 0.5) * (top - bottom) / 256
    with rasterio.open(imagery(case.path)) as source:
        xs, ys = rasterio.warp.transform("EPSG:3857", source.crs, [px], [py])
        indexes = [i for i, c in enumerate(source.colorinterp, 1) if c.name != "alpha"]
        values = next(source.sample([(xs[0], ys[0])], indexes=indexes, masked=True)).astype("float64")
        inside = source.bounds.left <= xs[0] <= source.bounds.right
    if not inside or values.mask.all() or not np.isfinite(values.filled(np.nan)).any():
        assert features == []
        return
    told = [band["value"] for band in features[0]["properties"]["bands"]]
    assert told == pytest.approx([float(v) for v in values], rel=1e-6, abs=1e-6)
    assert features[0]["properties"]["scene"] == Path(case.path).stem
    assert features[0]["properties"]["sensor"] == case.sensor


def test_every_real_file_named_in_the_issue_is_here() -> None:
    assert all((IMAGERY / case.path).is_file() for case in CASES)


NGI = tuple(f"mosaic/ngi_rgb_{n}.tif" for n in (1, 2, 3, 4))


@pytest.mark.parametrize("tms_id", ["WebMercatorQuad", "WorldCRS84Quad"])
def test_an_aerial_mosaic_is_one_layer(ngi_server: Server, tms_id: str) -> None:
    """Four overlapping tiles: the first valid pixel has the say, in the order that the layer tells."""
    layer = ngi_server.get("/layers/ngi").json
    order = [IMAGERY / "mosaic" / f"{scene['id']}.tif" for scene in layer["scenes"]]
    assert len(order) == 4
    west, south, east, north = layer["extent"]
    grid = find_grid(GRIDS, tms_id)
    latitude = (south + north) / 2
    z = grid.zoom_for(layer["scenes"][0]["ground_resolution"], latitude) - 3
    here = grid.tiles(Bounds((west + east) / 2, latitude, (west + east) / 2, latitude), z)
    assert here is not None
    frame = grid.frame(z, here.min_col, here.min_row)
    expected = np.full((3, 256, 256), np.nan)
    contributing = 0
    for path in order:
        values = reference(path, frame)
        fresh = np.isnan(expected).all(axis=0) & np.isfinite(values).any(axis=0)
        expected[:, fresh] = np.nan_to_num(values[:, fresh])
        contributing += bool(fresh.any())
    assert contributing >= 2, "the tile must show a seam"
    shown, alpha = picture(ngi_server, f"/tiles/ngi/{tms_id}/{z}/{here.min_col}/{here.min_row}.png")
    assert difference(shown, alpha, expected) < 3
    assert (alpha == np.isfinite(expected).all(axis=0)).mean() > 0.99


@pytest.fixture(scope="module")
def ngi_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("ngi")
    paths = [str(imagery(path)) for path in NGI]
    flux(home, "bank", *paths, "--sensor", "aerial", "--collection", "ngi", "--public")
    with serving(home) as running:
        yield running
