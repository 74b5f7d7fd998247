"""A scene is read for what is missing only, and gives there what it would give in the whole frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.warp import transform_bounds
from scenes import collection, scene

import mosaics.compose
from mosaics.compose import compose
from mosaics.cropping import wanted
from mosaics.fast import FastReader
from mosaics.filters import EVERYTHING
from mosaics.layers import ANY_TIME, Layer
from mosaics.models import Bounds, Frame, Scene
from mosaics.read import RioTilerReader
from mosaics.resolve import resolve
from mosaics.styles import load_styles
from mosaics.tiff.blocks import BlockCache
from tests.conftest import write_raster

FRAME = Frame(crs="EPSG:3857", bounds=Bounds(0, 0, 256, 256), width=256, height=256)
EVERY = slice(0, 256), slice(0, 256)
STYLES = load_styles()


def lonlat(*bounds: float) -> Any:
    return shapely.box(*transform_bounds("EPSG:3857", "OGC:CRS84", *bounds))


def test_only_what_is_missing_and_may_be_there() -> None:
    missing = np.ones((256, 256), bool)
    assert wanted(scene(footprint=lonlat(-9, -9, 300, 300)), FRAME, missing) == EVERY
    corner = wanted(scene(footprint=lonlat(200, 200, 400, 400)), FRAME, missing)
    assert corner is not None
    rows, columns = corner
    assert rows.start == 0
    assert 56 < rows.stop <= 64
    assert 190 <= columns.start < 200
    assert columns.stop == 256
    missing[:, :230] = False
    rows, columns = wanted(scene(footprint=lonlat(-9, -9, 300, 300)), FRAME, missing) or EVERY
    assert (rows, columns) == (slice(0, 256), slice(230, 256))
    assert wanted(scene(footprint=lonlat(0, 0, 100, 100)), FRAME, missing) is None
    missing[:] = False
    assert wanted(scene(footprint=lonlat(-9, -9, 300, 300)), FRAME, missing) is None


def test_a_scene_across_the_antimeridian_is_read_whole() -> None:
    around = shapely.union(shapely.box(-180, -1, -179, 1), shapely.box(179, -1, 180, 1))
    assert wanted(scene(footprint=around), FRAME, np.ones((256, 256), bool)) == EVERY


def made(folder: Path, name: str, origin: tuple[float, float], crs: str, sequence: int) -> Scene:
    rng = np.random.default_rng(sequence)
    smooth = cv2.resize(
        rng.integers(10, 245, (20, 20, 3)).astype("u1"), (300, 300), interpolation=cv2.INTER_CUBIC
    )
    values = np.clip(np.moveaxis(smooth, -1, 0), 1, 255)
    path = write_raster(folder / f"{name}.tif", values, crs=crs, origin=origin, resolution=1.0, nodata=0)
    with rasterio.open(path, "r+") as target:
        target.build_overviews([2, 4], rasterio.enums.Resampling.average)
        footprint = shapely.box(*transform_bounds(crs, "OGC:CRS84", *target.bounds))
    return scene(
        name,
        footprint=footprint,
        href=str(path),
        width=300,
        height=300,
        ground_resolution=1.0,
        sequence=sequence,
    )


@pytest.mark.parametrize("zoom", [1.0, 1.7, 3.0])
def test_what_is_cut_out_is_what_stands_in_the_whole(
    zoom: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four scenes that meet in the midst of the frame, two of them in another system."""
    x, y = 600_000.0, 6_500_000.0
    places = [(x - 290, y + 290), (x - 10, y + 295), (x - 280, y + 15), (x - 5, y + 10)]
    scenes = [made(tmp_path, f"s{n}", place, "EPSG:2154", n) for n, place in enumerate(places)]
    layer = Layer.of("c", scenes, collection=collection())
    side = 128 * zoom
    frame = Frame(
        crs="EPSG:2154", bounds=Bounds(x - side, y - side, x + side, y + side), width=256, height=256
    )
    tile = resolve(
        layer, EVERYTHING, frame, ground_resolution=zoom, span=ANY_TIME, style_id=None, styles=STYLES
    )
    reader = FastReader(reference=RioTilerReader(), blocks=BlockCache(50_000_000))
    cut, used = compose(tile, reader, lambda _error: None)
    monkeypatch.setattr(mosaics.compose, "wanted", lambda *_: EVERY)
    whole, all_used = compose(tile, reader, lambda _error: None)
    assert [each.scene.id for each in used] == [each.scene.id for each in all_used]
    assert len(used) == 4
    assert (cut.alpha == whole.alpha).all()
    assert np.abs(cut.rgb.astype(int) - whole.rgb).max() <= 1
