"""What was drawn ahead, as decoders of others show it: the tile that is made, and nowhere else."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.windows import Window

from tests.conftest import (
    Server,
    need_program,
    serving,
    tool_environment,
)
from tests.server.visual.world import (
    Drawn,
    X,
    Y,
    Z,
    address,
    texture,
    tile_range,
    visual_of,
)


def pixels_by(name: str, data: bytes, folder: Path, suffix: str) -> np.ndarray:
    if name == "pillow":
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    if name == "opencv":
        return cv2.imdecode(np.frombuffer(data, "u1"), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    program = need_program("gdal_translate")
    source, result = folder / f"a{suffix}", folder / "a.tif"
    source.write_bytes(data)
    subprocess.run([program, "-q", source, result], env=tool_environment(), check=True, timeout=60)
    with rasterio.open(result) as made:
        return np.moveaxis(made.read([1, 2, 3]), 0, -1).astype(int)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("decoder", ["pillow", "opencv", "gdal"])
@pytest.mark.parametrize(("layer", "end"), [("open", ".jpg"), ("webp", ".webp")])
def test_decoders_show_the_tile_that_is_made(
    drawn: Drawn, tmp_path: Path, decoder: str, layer: str, end: str
) -> None:
    for tile in ((Z, X, Y), (18, X * 2, Y * 2), (17, X + 1, Y)):
        reply = drawn.check(address(layer, tile, end), ahead=True)
        exact = np.asarray(Image.open(io.BytesIO(drawn.plain.get(address(layer, tile, ".png")).body)))
        shown = pixels_by(decoder, reply.body, tmp_path, end)
        assert np.abs(shown - exact[..., :3].astype(int)).mean() < 3
        assert shift(shown, exact) < 0.1


def shift(shown: np.ndarray, exact: np.ndarray) -> float:
    """Give by how many pixels two pictures are apart: the move that explains most of their difference."""
    before, after = (image[..., :3].astype(float).mean(axis=2) for image in (exact, shown))
    slopes = np.column_stack([slope.ravel() for slope in np.gradient(before)])
    moved = np.linalg.lstsq(slopes, (before - after).ravel(), rcond=None)[0]
    return float(np.hypot(*moved))


def test_a_shift_is_noticed() -> None:
    picture = np.moveaxis(texture(256, 258, 9), 0, -1)
    assert shift(picture[:, :256], picture[:, :256]) == 0
    assert shift(picture[:, 1:257], picture[:, :256]) > 0.8


@pytest.mark.parametrize("layer", ["open", "webp"])
def test_gdal_reads_the_companion_as_one_picture(drawn: Drawn, layer: str) -> None:
    visual = visual_of(drawn, layer)
    for z in range(visual.zooms[0], visual.zooms[1] + 1):
        level = visual.zooms[1] - z
        options = {"overview_level": level - 1} if level else {}
        with rasterio.open(visual.href, **options) as source:
            for tile in tile_range(drawn, layer):
                if tile[0] != z:
                    continue
                bounds = drawn.services.grids.get("WebMercatorQuad").frame(*tile).bounds
                column, row = ~source.transform * (bounds.left, bounds.top)
                window = Window(round(column), round(row), 256, 256)
                exact = Image.open(io.BytesIO(drawn.plain.get(address(layer, tile, ".png")).body)).convert(
                    "RGBA"
                )
                rgba = np.asarray(exact).astype(int)
                valid = rgba[..., 3] > 0
                assert ((source.dataset_mask(window=window) > 0) == valid).all()
                if valid.all():
                    shown = np.moveaxis(source.read([1, 2, 3], window=window), 0, -1)
                    assert np.abs(shown - rgba[..., :3]).mean() < 3


def test_workers_serve_it_over_http(made: tuple[Path, dict[str, str]], drawn: Drawn) -> None:
    home, keys = made
    server: Server
    with serving(
        home, workers=1, FLUX_TILES__CACHE_MEGABYTES="0", FLUX_TILES__DISK_CACHE_MEGABYTES="0"
    ) as server:
        for tile in ((Z, X, Y), (Z, X, Y), (18, X * 2, Y * 2)):
            reply = server.get(address("granted", tile), {"x-api-key": keys["whole"]})
            assert reply.status == 200
            assert reply.body == drawn.plain.get(address("granted", tile), {"x-api-key": keys["whole"]}).body
