"""Pictures of one place on several dates as one file: an animation, or a sheet of all of them; pure."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from mosaics.encode import MEDIA_TYPES, encode
from mosaics.lettering import paint_text, text_width
from mosaics.models import EncodedTile, Picture

VERSION: Final = 1
"""Raised with every change of how frames are put together."""
LETTERS: Final = (9.0, 22.0)
"""Least and greatest size of letters, pixels."""
_PART: Final = 1 / 20
"""Of a picture's width that letters are high."""
_STRIP: Final = 1.8
"""How high the strip of a date is, in sizes of its letters."""
_INSET: Final = 0.5
"""Between letters and the edge of what they stand on, in their size."""
_BASELINE: Final = 0.35
"""How far below the middle of a strip its baseline is, in sizes of the letters."""
_GAP: Final = 4
"""Pixels between the pictures of a sheet."""
_INK: Final = (27, 39, 51)
_PAPER: Final = (255, 255, 255)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """A picture and the date that is written on it."""

    date: str
    """YYYY-MM-DD."""
    picture: Picture
    """All shots of a file have one size."""


def animation(shots: Sequence[Shot], *, delay_ms: int, quality: int) -> EncodedTile:
    """Make an animated WebP that repeats for ever, the date in the lower left corner of each frame.

    Args:
        shots: At least one, in order.
        delay_ms: How long each is shown, milliseconds.
        quality: 1 (most is lost) to 100.
    """
    frames = [_dated(shot) for shot in shots]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        "webp",
        save_all=True,
        append_images=frames[1:],
        duration=delay_ms,
        loop=0,
        quality=quality,
        method=2,
    )
    return EncodedTile(data=buffer.getvalue(), media_type=MEDIA_TYPES["webp"])


def contact_sheet(shots: Sequence[Shot]) -> EncodedTile:
    """Make a PNG of all pictures as they are, in rows, the date of each below it."""
    height, width = shots[0].picture.alpha.shape
    columns, size = sheet_columns(len(shots), width, height), _letters(width)
    strip = math.ceil(size * _STRIP)
    rows = -(-len(shots) // columns)
    sheet = Image.new(
        "RGBA",
        (columns * (width + _GAP) + _GAP, rows * (height + strip + _GAP) + _GAP),
        (*_PAPER, 255),
    )
    canvas = ImageDraw.Draw(sheet)
    for place, shot in enumerate(shots):
        left, top = corner_in_sheet(place, columns, width, height)
        sheet.paste(_image(shot.picture), (left, top))
        middle = top + height + strip / 2
        paint_text(canvas, (left, middle + _BASELINE * size), shot.date, size, _INK)
    pixels = np.asarray(sheet)
    return encode(
        Picture(rgb=np.ascontiguousarray(pixels[..., :3]), alpha=np.ascontiguousarray(pixels[..., 3])), "png"
    )


def sheet_columns(count: int, width: int, height: int) -> int:
    """Give how many pictures stand beside each other in a sheet that is about as wide as high."""
    return max(1, min(count, round(math.sqrt(count * height / width))))


def corner_in_sheet(place: int, columns: int, width: int, height: int) -> tuple[int, int]:
    """Give where a picture's left and top are in a sheet, pixels; the first has place 0."""
    row, column = divmod(place, columns)
    strip = math.ceil(_letters(width) * _STRIP)
    return _GAP + column * (width + _GAP), _GAP + row * (height + strip + _GAP)


def _letters(width: int) -> float:
    return min(max(width * _PART, LETTERS[0]), LETTERS[1])


def _dated(shot: Shot) -> Image.Image:
    """Give a picture with its date on paper in a corner, so that it can be read on any ground."""
    image = _image(shot.picture)
    size = _letters(image.width)
    top = max(0, image.height - math.ceil(size * _STRIP))
    right = min(image.width, math.ceil(text_width(shot.date, size) + 2 * _INSET * size))
    canvas = ImageDraw.Draw(image)
    canvas.rectangle((0, top, right - 1, image.height - 1), fill=(*_PAPER, 255))
    middle = (top + image.height) / 2
    paint_text(canvas, (_INSET * size, middle + _BASELINE * size), shot.date, size, _INK)
    return image


def _image(picture: Picture) -> Image.Image:
    return Image.fromarray(np.dstack((picture.rgb, picture.alpha)))


def evenly(count: int, most: int) -> tuple[int, ...]:
    """Give which of `count` things to take where `most` may be: the first, the last, and as evenly between.

    Args:
        count: How many there are.
        most: How many may be taken; 1 or more.
    """
    if count <= most:
        return tuple(range(count))
    if most == 1:
        return (count - 1,)
    return tuple(round(place * (count - 1) / (most - 1)) for place in range(most))
