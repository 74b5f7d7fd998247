"""Time-lapses: every frame is there, in order, with its date; and a sheet changes no pixel."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mosaics.models import Picture
from mosaics.timelapse import Shot, animation, contact_sheet, corner_in_sheet, evenly, sheet_columns

COLOURS = {"2023-05-01": (200, 30, 30), "2023-06-01": (30, 180, 30), "2024-01-15": (30, 30, 210)}


def shots(width: int = 200, height: int = 120) -> list[Shot]:
    """Frames of one colour each, the left quarter of the second empty."""
    found = []
    for date, colour in COLOURS.items():
        rgb = np.full((height, width, 3), colour, "uint8")
        alpha = np.full((height, width), 255, "uint8")
        if date == "2023-06-01":
            rgb[:, : width // 4], alpha[:, : width // 4] = 0, 0
        found.append(Shot(date=date, picture=Picture(rgb=rgb, alpha=alpha)))
    return found


def test_an_animation_has_each_frame_in_order() -> None:
    made = animation(shots(), delay_ms=250, quality=80)
    image = Image.open(io.BytesIO(made.data))
    assert (made.media_type, getattr(image, "n_frames", 1), image.size) == ("image/webp", 3, (200, 120))
    assert image.info["loop"] == 0
    for number, colour in enumerate(COLOURS.values()):
        image.seek(number)
        image.load()
        assert image.info["duration"] == 250
        pixels = np.asarray(image.convert("RGBA")).astype(int)
        assert np.abs(pixels[20, 150, :3] - colour).max() < 12
    image.seek(1)
    second = np.asarray(image.convert("RGBA"))
    assert (second[:80, :45, 3] == 0).all(), "what is empty shows nothing of the frame before"


def test_the_date_stands_in_the_corner() -> None:
    image = Image.open(io.BytesIO(animation(shots()[:1], delay_ms=100, quality=90).data))
    corner = np.asarray(image.convert("RGB"))[-14:, :40].astype(int)
    assert (corner.min(axis=-1) > 200).mean() > 0.3, "paper"
    assert (corner.max(axis=-1) < 120).any(), "ink"


@pytest.mark.parametrize(("width", "height"), [(200, 120), (64, 300), (300, 64), (16, 16)])
def test_a_sheet_holds_each_picture_as_it_is(width: int, height: int) -> None:
    given = shots(width, height)
    made = contact_sheet(given)
    sheet = np.asarray(Image.open(io.BytesIO(made.data)).convert("RGBA"))
    columns = sheet_columns(3, width, height)
    for place, shot in enumerate(given):
        left, top = corner_in_sheet(place, columns, width, height)
        cell = sheet[top : top + height, left : left + width]
        assert (cell[..., :3] == shot.picture.rgb).all()
        assert (cell[..., 3] == shot.picture.alpha).all()
    assert made.media_type == "image/png"


def test_dates_are_chosen_evenly() -> None:
    assert evenly(3, 60) == (0, 1, 2)
    assert evenly(0, 60) == ()
    assert evenly(5, 1) == (4,)
    taken = evenly(143, 60)
    assert (len(set(taken)), taken[0], taken[-1]) == (60, 0, 142)
    steps = np.diff(taken)
    assert steps.max() - steps.min() <= 1
