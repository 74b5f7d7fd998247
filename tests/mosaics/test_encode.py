from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mosaics.encode import Format, empty, encode, encode_within
from mosaics.models import Picture


def picture(*, partial: bool) -> Picture:
    y, x = np.mgrid[0:64, 0:64]
    rgb = np.stack([x * 4, y * 4, (x + y) * 2], axis=-1).astype("uint8")
    alpha = np.full((64, 64), 255, "uint8")
    if partial:
        alpha[:, 40:] = 0
        rgb[:, 40:] = 0
    return Picture(rgb=rgb, alpha=alpha)


def decoded(data: bytes, mode: str = "RGBA") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


@pytest.mark.parametrize("partial", [True, False])
def test_png_is_lossless(partial: bool) -> None:
    source = picture(partial=partial)
    tile = encode(source, "png")
    pixels = decoded(tile.data)
    assert tile.media_type == "image/png"
    assert np.array_equal(pixels[..., :3], source.rgb)
    assert np.array_equal(pixels[..., 3], source.alpha)


def test_jpeg_shows_white_where_there_is_nothing() -> None:
    tile = encode(picture(partial=True), "jpg")
    pixels = decoded(tile.data, "RGB").astype(int)
    assert tile.media_type == "image/jpeg"
    assert (pixels[:, 48:] > 250).all()
    assert np.abs(pixels[:, :32] - picture(partial=True).rgb[:, :32]).mean() < 6


def test_webp_hides_no_colour_under_alpha() -> None:
    tile = encode(picture(partial=True), "webp")
    pixels = decoded(tile.data)
    assert tile.media_type == "image/webp"
    assert (pixels[:, 40:, 3] == 0).all()
    assert (pixels[:, :40, 3] == 255).all()


@pytest.mark.parametrize(
    ("image_format", "partial", "media_type"),
    [
        ("auto-webp", False, "image/jpeg"),
        ("auto-webp", True, "image/webp"),
        ("auto-png", False, "image/jpeg"),
        ("auto-png", True, "image/png"),
    ],
)
def test_auto_keeps_alpha_where_it_is_needed(image_format: Format, partial: bool, media_type: str) -> None:
    assert encode(picture(partial=partial), image_format).media_type == media_type


@pytest.mark.parametrize("image_format", ["png", "webp", "auto-png", "auto-webp"])
def test_the_empty_tile_is_transparent_and_small(image_format: Format) -> None:
    tile = empty(image_format, 256, 256)
    assert (decoded(tile.data)[..., 3] == 0).all()
    assert len(tile.data) < 400
    assert tile.contributors == ()


def test_the_best_quality_that_fits() -> None:
    noise = np.random.default_rng(3).integers(0, 255, (128, 128, 3), dtype="uint8")
    source = Picture(rgb=noise, alpha=np.full((128, 128), 255, "uint8"))
    small = encode_within(source, "webp", 4000)
    assert small is not None
    assert len(small.data) <= 4000
    larger = encode_within(source, "webp", 20000)
    assert larger is not None
    assert len(small.data) < len(larger.data) <= 20000
    assert encode_within(source, "png", 500) is None
