"""PNG files against three decoders that share nothing with the writer: Pillow, OpenCV, libpng."""

from __future__ import annotations

import io

import cv2
import imagecodecs
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mosaics.png import colour_png, palette_png

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def by_pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def by_opencv(data: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(data, "uint8"), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(found, cv2.COLOR_BGR2RGBA if found.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def by_libpng(data: bytes) -> np.ndarray:
    found = imagecodecs.png_decode(data)
    return found if found.shape[2] == 4 else np.dstack([found, np.full(found.shape[:2], 255, "uint8")])


def assert_decoded(data: bytes, expected: np.ndarray) -> None:
    """All decoders give the pixels; where alpha is 0, colours mean nothing."""
    for decode in (by_pillow, by_opencv, by_libpng):
        found = decode(data).copy()
        found[found[..., 3] == 0] = 0
        assert np.array_equal(found, expected), decode.__name__


@given(seed=SEEDS, shape=SHAPES, channels=st.sampled_from([3, 4]), smooth=st.booleans(), few=st.booleans())
@settings(deadline=None, max_examples=60)
def test_colours(seed: int, shape: tuple[int, int], channels: int, smooth: bool, few: bool) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (*shape, channels)).astype("uint8")
    if smooth:
        pixels = np.cumsum(pixels % 3, axis=1).astype("uint8")
    if channels == 4:
        pixels[..., 3] |= 1
    opaque = np.full((*shape, 1), 255, "uint8")
    assert_decoded(colour_png(pixels, few=few), pixels if channels == 4 else np.dstack([pixels, opaque]))


@given(
    seed=SEEDS,
    shape=SHAPES,
    count=st.integers(1, 256),
    transparent=st.one_of(st.none(), st.integers(0, 255)),
    gradual=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_palettes(
    seed: int, shape: tuple[int, int], count: int, transparent: int | None, gradual: bool
) -> None:
    random = np.random.default_rng(seed)
    colours = random.integers(0, 256, (256, 3)).astype("uint8")
    values = random.integers(0, count, shape).astype("uint8")
    expected = np.dstack([colours[values], np.full(shape, 255, "uint8")])
    if transparent is not None:
        expected[values == transparent] = 0
    assert_decoded(palette_png(values, colours, transparent, gradual=gradual), expected)
