"""Chromium shows a tile that was drawn ahead as it shows the one that is made."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mosaics.tiff.files import LocalFile, Range
from mosaics.tiff.jpeg import standalone
from mosaics.tiff.layout import parse_layout
from tests.conftest import Server, serving, write_raster
from tests.viewer.browsing import Browsers, commands

TILE = 17, 66052, 47859
"""Wholly within the scene."""
EDGE = 17, 66051, 47858
DECODE = """async (address) => {
  const bitmap = await createImageBitmap(await (await fetch(address)).blob(), {colorSpaceConversion: "none"});
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return Array.from(context.getImageData(0, 0, bitmap.width, bitmap.height).data);
}"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bank one scene with JPEG tiles and one with WebP tiles."""
    folder = tmp_path_factory.mktemp("drawn")
    noise = np.random.default_rng(4).integers(1, 256, (34, 44, 3)).astype("u1")
    pixels = np.moveaxis(np.maximum(cv2.resize(noise, (1300, 1000), interpolation=cv2.INTER_CUBIC), 1), -1, 0)
    lines = []
    for image_format in ("jpg", "webp"):
        pixels[0, 0, 0] += 1  # another content
        path = write_raster(folder / f"{image_format}_20240517.tif", pixels, photometric="RGB")
        shown = ["--visual", "--visual-format", image_format, "--collection", image_format, "--public"]
        lines.append(["bank", str(path), *shown])
    commands(folder / "home", *lines)
    return folder / "home"


def shown(browser: Browsers, server: Server, path: str) -> np.ndarray:
    """Give red, green, blue and alpha as Chromium decodes an image of the server."""
    page = browser.context("fr-FR").new_page()
    try:
        page.goto(server.url + "/health/live")
        pixels = page.evaluate(DECODE, path)
    finally:
        page.close()
    return np.array(pixels, dtype="u1").reshape(256, 256, 4).astype(int)


@pytest.mark.parametrize(("layer", "tile"), [("jpg", TILE), ("webp", TILE), ("webp", EDGE)])
def test_chromium_shows_it(browser: Browsers, drawn: Path, layer: str, tile: tuple[int, int, int]) -> None:
    (stored,) = (drawn / "data" / "visuals" / layer).glob("*.tif")
    path = "/tiles/{}/WebMercatorQuad/{}/{}/{}".format(layer, *tile)
    with serving(drawn, workers=1) as server:
        body = server.get(f"{path}.{layer}").body
        assert body in stored.read_bytes()
        found = shown(browser, server, f"{path}.{layer}")
        exact = np.asarray(Image.open(io.BytesIO(server.get(f"{path}.png").body)).convert("RGBA")).astype(int)
    assert (found[..., 3] == exact[..., 3]).all()
    assert (exact[..., 3] == 255).all() == (tile == TILE)
    valid = exact[..., 3] > 0
    assert np.abs(found - exact)[valid].mean() < 3
    decoded = np.asarray(Image.open(io.BytesIO(body)).convert("RGBA")).astype(int)
    assert np.abs(found - decoded)[valid].max() <= 4


@pytest.mark.parametrize("photometric", ["YCBCR", "RGB"])
def test_chromium_shows_a_block_that_got_its_tables(
    browser: Browsers, drawn: Path, tmp_path: Path, photometric: str
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (3, 8, 8)).astype("u1").repeat(32, 1).repeat(32, 2)
    size = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    path = write_raster(
        tmp_path / "a.tif", pixels, compress="JPEG", jpeg_quality=95, photometric=photometric, **size
    )
    file = LocalFile(str(path))
    (level,) = parse_layout(lambda offset, length: file.read([Range(offset, length)])[0]).levels
    assert level.jpeg_tables is not None
    data = file.read([Range(int(level.offsets[0, 0, 0]), int(level.lengths[0, 0, 0]))])[0]
    made = standalone(data, level.jpeg_tables, level.photometric)
    address = "data:image/jpeg;base64," + base64.b64encode(made).decode()
    with serving(drawn, workers=1) as server:
        found = shown(browser, server, address)
    assert np.abs(found[..., :3] - np.moveaxis(pixels, 0, -1)).mean() < 4
    assert (found[..., 3] == 255).all()
