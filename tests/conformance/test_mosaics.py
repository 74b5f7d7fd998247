"""Mosaics of real and built files against gdalwarp's of the same files in the same order.

gdalwarp lets the last file on top, so it is given the order backwards. Away from seams (where another file
begins or ends within two pixels) pixels differ by one grey level at most; at seams nothing is black or
missing that both neighbours have.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.warp import transform_bounds

from mosaics.catalog.index import CatalogIndex
from mosaics.catalog.sql import SqlCatalog
from mosaics.compose import compose
from mosaics.fast import FastReader
from mosaics.filters import EVERYTHING, SceneFilter, SceneRule, SceneSet
from mosaics.finding import find_layer
from mosaics.geodesy import ground_resolution
from mosaics.grids import find_grid, load_grids
from mosaics.layers import ANY_TIME
from mosaics.models import Bounds, Frame, Picture
from mosaics.read import RioTilerReader
from mosaics.resolve import resolve
from mosaics.sensors import load_sensors
from mosaics.styles import load_styles
from mosaics.tiff.blocks import BlockCache
from server.database import connect
from server.scenes import SceneOfItem
from tests.conftest import flux, imagery, need_program, write_raster

GRIDS, STYLES = load_grids(), load_styles()
SEAM = 2
"""Pixels around where a file begins or ends."""


@dataclass(frozen=True)
class Banked:
    """Files that were banked, and the mosaic of them."""

    files: tuple[Path, ...]
    """In the order of the mosaic, the first on top."""
    index: CatalogIndex

    def shown(self, frame: Frame, opened: SceneFilter = EVERYTHING) -> Picture:
        """Compose a frame."""
        tile = resolve(
            find_layer(self.index, "all", opened),
            opened,
            frame,
            ground_resolution=ground_resolution(frame),
            span=ANY_TIME,
            style_id=None,
            styles=STYLES,
        )
        reader = FastReader(reference=RioTilerReader(), blocks=BlockCache(50_000_000))
        return compose(tile, reader, lambda _error: None)[0]


def banked(folder: Path, files: Sequence[Path]) -> Banked:
    """Bank files, the first acquired last, so that it is on top."""
    home = folder / "home"
    for number, path in enumerate(files):
        date = f"2024-01-{28 - number:02d}"
        flux(home, "bank", str(path), "--collection", "parts", "--datetime", date)
    flux(home, "mosaic", "create", "all", "--collection", "parts")
    engine = connect(None, home)
    make = SceneOfItem(root=(home / "data").resolve(), sensors=load_sensors())
    index = CatalogIndex().with_changes(SqlCatalog(engine).changes(0), make)
    engine.dispose()
    return Banked(tuple(files), index)


def warped(files: Sequence[Path], frame: Frame, folder: Path) -> np.ndarray:
    """Mosaic by gdalwarp; bands, then alpha, shape (bands + 1, height, width).

    A pixel is nothing where all its bands are nodata: one that is 0 in red alone is dark red.
    """
    target = folder / "warped.tif"
    target.unlink(missing_ok=True)
    command = [need_program("gdalwarp"), "-q", "-r", "bilinear", "-et", "0", "-dstalpha", "-t_srs", frame.crs]
    command += ["-wo", "UNIFIED_SRC_NODATA=YES"]
    command += ["-te", *map(repr, frame.bounds), "-ts", str(frame.width), str(frame.height)]
    subprocess.run([*command, *map(str, files), str(target)], check=True, capture_output=True)
    with rasterio.open(target) as made:
        return made.read()


def seams(files: Sequence[Path], frame: Frame, folder: Path) -> np.ndarray:
    """Tell where a file begins or ends, shape (height, width)."""
    near = np.zeros((frame.height, frame.width), bool)
    kernel = np.ones((2 * SEAM + 1, 2 * SEAM + 1), np.uint8)
    for path in files:
        there = (warped([path], frame, folder)[-1] > 0).astype(np.uint8)
        near |= cv2.dilate(there, kernel) != cv2.erode(there, kernel, borderType=cv2.BORDER_REPLICATE)
    return near


def frames_over(files: Sequence[Path], grid_id: str, count: int) -> list[Frame]:
    """Give tiles of the native zoom where most files meet, and in the midst of some."""
    boxes = []
    for path in files:
        with rasterio.open(path) as source:
            boxes.append(transform_bounds(source.crs, "OGC:CRS84", *source.bounds))
            metres = abs(source.transform.a)
    grid = find_grid(GRIDS, grid_id)
    west, south = (min(box[side] for box in boxes) for side in (0, 1))
    east, north = (max(box[side] for box in boxes) for side in (2, 3))
    zoom = grid.zoom_for(metres, (south + north) / 2)
    tiles = grid.tiles(Bounds(west, south, east, north), zoom)
    assert tiles is not None
    places = [
        (column, row)
        for column in range(tiles.min_col, tiles.max_col + 1)
        for row in range(tiles.min_row, tiles.max_row + 1)
    ]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(count, len(places))).round().astype(int))
    return [grid.frame(zoom, *places[place]) for place in chosen]


def check(made: Banked, frame: Frame, folder: Path) -> int:
    """Compare a frame; gives how many pixels were compared away from seams."""
    expected = warped(made.files[::-1], frame, folder)
    if not (expected[-1] > 0).any():
        return 0
    near, picture = seams(made.files, frame, folder), made.shown(frame)
    valid = expected[-1] > 0
    away = ~near
    assert ((picture.alpha > 0) == valid)[away].all()
    shown = np.moveaxis(picture.rgb, -1, 0).astype(int)
    colours = expected[:3] if len(expected) > 3 else expected[:1].repeat(3, axis=0)
    difference = np.abs(shown - colours).max(axis=0)
    assert difference[valid & away].max(initial=0) <= 1
    _no_line(shown, picture.alpha > 0, colours, valid)
    return int((valid & away).sum())


def _no_line(shown: np.ndarray, there: np.ndarray, colours: np.ndarray, valid: np.ndarray) -> None:
    """Find no pixel that is missing or darker than all around it in the midst of what is valid."""
    kernel = np.ones((2 * SEAM + 1, 2 * SEAM + 1), np.uint8)
    midst = cv2.erode(valid.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE) > 0
    assert there[midst].all()
    for mine, theirs in zip(shown, colours, strict=True):
        least = cv2.erode(theirs.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE)
        assert (mine[midst] >= least[midst].astype(int) - 1).all()


SETS = {
    "ngi": [f"mosaic/ngi_rgb_{n}.tif" for n in (1, 2, 3, 4)],
    "bahamas": [f"mosaic/bahamas_{n}.tif" for n in (1, 2, 3, 4)],
}


@pytest.mark.imagery
@pytest.mark.parametrize("name", SETS)
def test_real_files_as_gdalwarp_puts_them_together(name: str, tmp_path: Path) -> None:
    files = [imagery(path) for path in SETS[name]]
    made = banked(tmp_path, files)
    compared = 0
    for frame in frames_over(files, "WebMercatorQuad", 12):
        compared += check(made, frame, tmp_path)
    assert compared > 100_000


def test_the_order_of_the_mosaic_decides(tmp_path: Path) -> None:
    """Overlapping files in two systems, the first on top; the hidden one lets the next show."""
    rng, to_utm = np.random.default_rng(5), Transformer.from_crs("EPSG:2154", "EPSG:32631").transform
    files = []
    for number, (crs, left, top) in enumerate(
        [
            ("EPSG:2154", 600_000, 6_500_000),
            ("EPSG:2154", 600_200, 6_500_100),
            ("EPSG:32631", *to_utm(599_900, 6_500_250)),
        ]
    ):
        smooth = cv2.resize(
            rng.integers(20, 235, (12, 12, 3)).astype(np.uint8), (400, 400), interpolation=cv2.INTER_CUBIC
        )
        values = np.clip(np.moveaxis(smooth, -1, 0), 1, 255)
        files.append(
            write_raster(
                tmp_path / f"part{number}.tif", values, crs=crs, origin=(left, top), resolution=1.0, nodata=0
            )
        )
    made = banked(tmp_path, files)
    compared = sum(check(made, frame, tmp_path) for frame in frames_over(files, "WebMercatorQuad", 9))
    assert compared > 50_000
    top = next(key[1] for key, scene in made.index.scenes.items() if "part0" in scene.id)
    others = frozenset(key[1] for key in made.index.scenes if key[1] != top)
    opened = SceneFilter((SceneRule(scenes=SceneSet(scenes=others)),))
    for frame in frames_over(files, "WebMercatorQuad", 4):
        without = warped(made.files[:0:-1], frame, tmp_path)
        picture = made.shown(frame, opened) if (without[-1] > 0).any() else None
        if picture is not None:
            away = ~seams(made.files[1:], frame, tmp_path) & (without[-1] > 0)
            assert (
                np.abs(np.moveaxis(picture.rgb, -1, 0).astype(int) - without[:3])[:, away].max(initial=0) <= 1
            )
