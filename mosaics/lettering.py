"""Letters for pictures: Pillow's own font, and the accents that it has not, made of what it has; pure."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

from PIL import ImageDraw, ImageFont

_MARKS: Final = {
    "\N{COMBINING ACUTE ACCENT}": ("\N{ACUTE ACCENT}", 1.0, 0.0),
    "\N{COMBINING GRAVE ACCENT}": ("`", 1.0, 0.0),
    "\N{COMBINING CIRCUMFLEX ACCENT}": ("^", 0.62, -0.33),
    "\N{COMBINING TILDE}": ("~", 0.75, -0.38),
    "\N{COMBINING DIAERESIS}": ("..", 0.75, -0.62),
    "\N{COMBINING CEDILLA}": (",", 0.62, 0.2),
}
"""Accents: a glyph that the font has, its size, and how far down it is moved, in parts of the size."""
_CAPITAL_RISE: Final = 0.16
_HELD: Final = frozenset(
    "\N{COPYRIGHT SIGN}\N{DEGREE SIGN}\N{PLUS-MINUS SIGN}\N{MIDDLE DOT}\N{TRADE MARK SIGN}«»…"
)
"""What the font has beside ASCII, as far as legends may need it."""
_INSTEAD: Final = {
    **dict.fromkeys("\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}\N{HYPHEN}\N{NON-BREAKING HYPHEN}", "-"),
    **dict.fromkeys("\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}", " "),
    **dict.fromkeys("\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}", "'"),
    "\N{MULTIPLICATION SIGN}": "x",
    "œ": "oe",
    "Œ": "OE",
    "æ": "ae",
    "µ": "u",
    "²": "2",
    "³": "3",
}
"""Characters that the font has not, and what stands for them."""


def paint_text(
    canvas: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: float, colour: tuple[int, int, int]
) -> None:
    """Paint a line of text.

    Args:
        canvas: Where.
        at: Left end of its baseline, pixels.
        text: What.
        size: Of the letters, pixels.
        colour: Red, green, blue.
    """
    x, baseline = at
    for base, marks in _clusters(text):
        advance = _font(size).getlength(base)
        canvas.text((x, baseline), base, fill=colour, font=_font(size), anchor="ls")
        for mark in marks:
            glyph, part, drop = _MARKS[mark]
            rise = _CAPITAL_RISE if base.isupper() and glyph != "," else 0.0
            font = _font(size * part)
            above = (x + (advance - font.getlength(glyph)) / 2, baseline + (drop - rise) * size)
            canvas.text(above, glyph, fill=colour, font=font, anchor="ls")
        x += advance


def text_width(text: str, size: float) -> float:
    """Give how wide a text is, pixels; in an SVG it is about as wide."""
    # measured at one large size, so that layouts don't depend on how letters are fitted to pixels
    return sum(_font(100.0).getlength(base) for base, _ in _clusters(text)) * size / 100.0


@lru_cache(maxsize=1024)
def _clusters(text: str) -> tuple[tuple[str, str], ...]:
    """Split a text into what the font has and the accents on it."""
    found: list[tuple[str, str]] = []
    plain = "".join(_INSTEAD.get(character, character) for character in text)
    for character in unicodedata.normalize("NFD", plain):
        if unicodedata.combining(character):
            if found and character in _MARKS:
                found[-1] = (found[-1][0], found[-1][1] + character)
        else:
            found.append((character if _has(character) else "?", ""))
    return tuple(found)


def _has(character: str) -> bool:
    return " " <= character <= "~" or character in _HELD


@lru_cache(maxsize=64)
def _font(size: float) -> ImageFont.FreeTypeFont:
    """Give the font that comes with Pillow, Aileron."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow's wheels have FreeType"
    return font
