from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mosaics.terrain import ENCODINGS, backdrop

HEIGHTS = arrays.arrays(np.float32, (3, 4), elements=st.floats(-9999, 9000, width=32))


@given(heights=HEIGHTS)
def test_terrain_rgb_is_right_to_5_centimetres(heights: np.ndarray) -> None:
    colours = ENCODINGS["terrain-rgb"].encode(heights)
    red, green, blue = np.moveaxis(colours.astype(int), -1, 0)
    decoded = -10000 + (red * 256 * 256 + green * 256 + blue) * 0.1
    assert np.abs(decoded - heights).max() <= 0.05 + 1e-6
    assert np.allclose(ENCODINGS["terrain-rgb"].decode(colours), decoded)


@given(heights=HEIGHTS)
def test_terrarium_is_right_to_a_256th_of_a_metre(heights: np.ndarray) -> None:
    colours = ENCODINGS["terrarium"].encode(heights)
    red, green, blue = np.moveaxis(colours.astype(int), -1, 0)
    decoded = red * 256 + green + blue / 256 - 32768
    assert np.abs(decoded - heights).max() <= 1 / 512
    assert np.allclose(ENCODINGS["terrarium"].decode(colours), decoded)


@pytest.mark.parametrize(
    ("name", "height", "colour"),
    [
        ("terrain-rgb", -10000, (0, 0, 0)),
        ("terrain-rgb", 0, (1, 134, 160)),
        ("terrain-rgb", 8848.8, (2, 224, 72)),
        ("terrarium", 0, (128, 0, 0)),
        ("terrarium", 100.5, (128, 100, 128)),
        ("terrarium", -1, (127, 255, 0)),
    ],
)
def test_known_colours(name: str, height: float, colour: tuple[int, int, int]) -> None:
    assert tuple(ENCODINGS[name].encode(np.array(height)).tolist()) == colour


@pytest.mark.parametrize("name", ["terrain-rgb", "terrarium"])
def test_what_can_not_be_written_becomes_the_nearest_that_can(name: str) -> None:
    encoding = ENCODINGS[name]
    colours = encoding.encode(np.array([-1e9, 1e9, np.nan, np.inf]))
    decoded = encoding.decode(colours)
    assert decoded[0] == encoding.base
    assert colours[1].tolist() == [255, 255, 255]
    assert decoded[2] == pytest.approx(0)
    assert np.isfinite(decoded).all()


def test_only_encodings_have_a_backdrop() -> None:
    assert backdrop("terrain-rgb") == (1, 134, 160)
    assert backdrop("terrarium") == (128, 0, 0)
    assert backdrop("hillshade") is None
    assert backdrop(None) is None
