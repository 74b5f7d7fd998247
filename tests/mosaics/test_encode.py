from __future__ import annotations

import io
import sys
import threading
import time
from typing import get_args

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from mosaics.compose import cut
from mosaics.encode import MEDIA_TYPES, Format, Quality, empty, encode, encode_within, settled
from mosaics.errors import StyleFormatError
from mosaics.models import GREYS, Indexed, Picture


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


@pytest.mark.parametrize("between", [False, True])
def test_jpeg_is_of_the_picture_laid_on_white_paper(between: bool) -> None:
    dice = np.random.default_rng(3)
    alpha = dice.choice([0, 128, 255] if between else [0, 255], (40, 56)).astype("uint8")
    rgb = dice.integers(0, 256, (40, 56, 3), "uint8")
    rgb[alpha == 0] = 0
    share = alpha[..., np.newaxis] / 255
    laid = np.floor(rgb * share + 255 * (1 - share) + 0.5).astype("uint8")
    plain = Picture(rgb=laid, alpha=np.full(alpha.shape, 255, "uint8"))
    assert encode(Picture(rgb=rgb, alpha=alpha), "jpg").data == encode(plain, "jpg").data


@pytest.mark.parametrize("partial", [True, False])
def test_a_png_that_must_be_small_is_as_small_as_libpng_makes_it(partial: bool) -> None:
    source = picture(partial=partial)
    quick, small = encode(source, "png").data, encode(source, "png", thorough=True).data
    assert np.array_equal(decoded(quick), decoded(small))
    assert encode_within(source, "png", len(small)) is not None
    assert encode_within(source, "png", len(small) - 1) is None
    assert len(small) < len(quick) * 0.8


@pytest.mark.parametrize("image_format", ["webp", "avif"])
@pytest.mark.parametrize("partial", [True, False])
def test_what_is_shown_and_what_is_not(image_format: Format, partial: bool) -> None:
    source = picture(partial=partial)
    tile = encode(source, image_format)
    pixels = decoded(tile.data)
    shown = source.alpha > 0
    assert tile.media_type == MEDIA_TYPES[image_format]
    assert np.array_equal(pixels[..., 3], source.alpha)
    assert np.abs(pixels[..., :3].astype(int) - source.rgb)[shown].mean() < 4


def test_avif_by_another_decoder() -> None:
    source = picture(partial=True)
    pixels = imagecodecs.avif_decode(encode(source, "avif").data)
    assert np.array_equal(pixels[..., 3], source.alpha)
    assert np.abs(pixels[:, :40, :3].astype(int) - source.rgb[:, :40]).mean() < 4


@pytest.mark.parametrize("image_format", ["png", "webp", "avif", "jpg"])
def test_nothing_of_a_hidden_pixel_leaves(image_format: Format) -> None:
    """Bright pixels beside dark ones, cut away as compose does: no decoder finds them, however it looks."""
    random = np.random.default_rng(4)
    values = random.integers(20, 40, (64, 64)).astype("uint8")
    values[:, 32:] = random.integers(200, 250, (64, 32))
    keep = np.zeros((64, 64), bool)
    keep[:, :32] = True
    keep[5:9, 5:9] = False
    rgb = np.repeat(values[..., np.newaxis], 3, axis=2)
    indexed = Indexed(values=values, colours=GREYS, gradual=True)
    whole = Picture(rgb=rgb, alpha=np.full((64, 64), 255, "uint8"), indexed=indexed)
    rest = cut(whole, keep)
    assert rest.indexed is not None
    assert not rest.indexed.values[~keep].any()
    tile = encode(rest, image_format)
    pixels = decoded(tile.data).astype(int)
    hidden = pixels[~keep]
    if image_format == "jpg":
        assert (hidden[:, :3] > 200).all(), "white"
        assert np.ptp(hidden[-32:, :3]) < 60
    else:
        assert (hidden[:, 3] == 0).all()
        assert hidden[:, :3].max() < 60, "colours under alpha 0 are those of visible neighbours, or none"


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


@pytest.mark.parametrize(
    ("image_format", "most"),
    [("png", 400), ("webp", 400), ("auto-png", 400), ("auto-webp", 400), ("avif", 600)],
)
def test_the_empty_tile_is_transparent_and_small(image_format: Format, most: int) -> None:
    tile = empty(image_format, 256, 256)
    assert (decoded(tile.data)[..., 3] == 0).all()
    assert len(tile.data) < most
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


@pytest.mark.parametrize("image_format", ["jpg", "webp", "avif"])
def test_the_best_quality_that_fits_in_each_format(image_format: Format) -> None:
    source = picture(partial=False)
    least, most = (len(encode(source, image_format, Quality(**{image_format: q})).data) for q in (20, 95))
    tile = encode_within(source, image_format, (least + most) // 2)
    assert tile is not None
    assert least <= len(tile.data) <= (least + most) // 2
    assert tile.media_type == MEDIA_TYPES[image_format]


@pytest.mark.parametrize("image_format", ["jpg", "webp", "avif"])
def test_quality_costs_bytes_and_saves_error(image_format: Format) -> None:
    noise = np.random.default_rng(3).integers(90, 160, (96, 96, 3), dtype="uint8")
    source = Picture(rgb=noise, alpha=np.full((96, 96), 255, "uint8"))
    poor, good = (encode(source, image_format, Quality(**{image_format: q})).data for q in (30, 95))
    errors = [np.abs(decoded(data, "RGB").astype(int) - noise).mean() for data in (poor, good)]
    assert len(poor) < len(good)
    assert errors[1] < errors[0]


@pytest.mark.parametrize("image_format", get_args(Format))
def test_the_word_of_a_format_says_all_that_changes_its_bytes(image_format: Format) -> None:
    full, partial = picture(partial=False), picture(partial=True)
    others = [Quality(jpg=40), Quality(webp=40), Quality(avif=40)]
    for other in others:
        same = all(
            encode(each, image_format) == encode(each, image_format, other) for each in (full, partial)
        )
        assert same == (Quality().word(image_format) == other.word(image_format))
    words = {one.word(f) for one in (Quality(), *others) for f in get_args(Format)}
    assert len(words) == 2 + 2 + 2 + 1 + 3 + 2  # jpg, webp, avif, png, auto-webp, auto-png


@pytest.mark.parametrize("colours", [2, 200, 255, 256])
@pytest.mark.parametrize("partial", [True, False])
def test_an_index_is_written_as_one_and_loses_nothing(colours: int, partial: bool) -> None:
    random = np.random.default_rng(colours)
    table = random.integers(1, 256, (256, 3)).astype("uint8")
    values = random.permutation(np.resize(np.arange(colours), 64 * 64)).reshape(64, 64).astype("uint8")
    keep = random.random((64, 64)) < (0.9 if partial else 2)
    whole = Picture(
        rgb=table[values],
        alpha=np.full((64, 64), 255, "uint8"),
        indexed=Indexed(values=values, colours=table, gradual=False),
    )
    source = cut(whole, keep)
    tile = encode(source, "png")
    assert np.array_equal(decoded(tile.data), np.dstack([source.rgb, source.alpha]))
    with_all_used = partial and colours == 256
    assert Image.open(io.BytesIO(tile.data)).mode == ("RGBA" if with_all_used else "P")


def test_two_values_of_one_colour_need_one_place() -> None:
    colours = GREYS.copy()
    colours[200] = colours[100]
    values = np.arange(1024, dtype="int").astype("uint8").reshape(32, 32)
    keep = np.ones((32, 32), bool)
    keep[5, 5:9] = False
    indexed = Indexed(values=values, colours=colours, gradual=True)
    whole = Picture(rgb=colours[values], alpha=np.full((32, 32), 255, "uint8"), indexed=indexed)
    source = cut(whole, keep)
    tile = encode(source, "png")
    assert Image.open(io.BytesIO(tile.data)).mode == "P"
    assert np.array_equal(decoded(tile.data), np.dstack([source.rgb, source.alpha]))


def test_what_only_hidden_pixels_hold_is_free_for_nothing() -> None:
    values = np.arange(256, dtype="uint8").reshape(16, 16)
    alpha = (values > 0) * np.uint8(255)
    indexed = Indexed(values=values, colours=GREYS, gradual=True)
    tile = encode(Picture(rgb=GREYS[values], alpha=alpha, indexed=indexed), "png")
    assert Image.open(io.BytesIO(tile.data)).mode == "P"
    assert np.array_equal(decoded(tile.data)[..., 3], alpha)


ENCODERS = {"png": "deflate_encode", "jpg": "jpeg8_encode", "webp": "webp_encode", "avif": "avif_encode"}


@pytest.mark.parametrize("image_format", ENCODERS)
def test_other_threads_go_on_while_a_picture_is_encoded(
    image_format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that counts gets on within the call of the encoder, though nobody is made to give way."""
    counted, within, stop = [0], [0], threading.Event()
    encoder = getattr(imagecodecs, ENCODERS[image_format])

    def watched(*arguments: object, **named: object) -> object:
        before = counted[0]
        found = encoder(*arguments, **named)
        within[0] += counted[0] - before
        return found

    def count() -> None:
        while not stop.is_set():
            counted[0] += 1
            time.sleep(0)

    monkeypatch.setattr(imagecodecs, ENCODERS[image_format], watched)
    interval = sys.getswitchinterval()
    counting = threading.Thread(target=count)
    sys.setswitchinterval(600)
    counting.start()
    try:
        rgb = np.random.default_rng(3).integers(0, 255, (300, 300, 3), dtype="uint8")
        source = Picture(rgb=rgb, alpha=np.full((300, 300), 255, "uint8"))
        tries = 0
        while not within[0] and tries < 200:
            encode(source, image_format)
            tries += 1
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        counting.join()
    assert within[0] > 0


def test_a_style_may_ask_for_formats() -> None:
    assert settled("webp", ()) == "webp"
    assert settled("auto-webp", ()) == "auto-webp"
    for asked in ("png", "auto-webp", "auto-png"):
        assert settled(asked, ("png",)) == "png"
    for asked in ("jpg", "webp", "avif"):
        with pytest.raises(StyleFormatError) as caught:
            settled(asked, ("png",))
        assert caught.value.formats == ("png",)


def test_nothing_may_have_a_colour() -> None:
    tile = empty("png", 64, 32, (1, 134, 160))
    pixels = np.asarray(Image.open(io.BytesIO(tile.data)).convert("RGBA"))
    assert pixels.shape == (32, 64, 4)
    assert (pixels == (1, 134, 160, 255)).all()
