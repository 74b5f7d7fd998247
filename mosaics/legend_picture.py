"""Draws legends: one layout, written as SVG or painted as PNG; pure."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, ImageDraw

from mosaics.legend import Colour, Entry, Legend, in_hex, number_in_words
from mosaics.lettering import paint_text, text_width
from mosaics.models import Text

WIDTHS: Final = (80, 1000)
"""Least and greatest width, pixels at scale 1."""
HEIGHTS: Final = (40, 2000)
DEFAULT_WIDTH: Final = 240
MOST_ROWS: Final = 256
"""Classes that a picture shows at most."""

_INK: Final[Colour] = (27, 39, 51)
_SOFT: Final[Colour] = (75, 90, 107)
_LINE: Final[Colour] = (117, 135, 154)
_PAPER: Final[Colour] = (255, 255, 255)
_MARGIN: Final = 8.0
_TITLE: Final = 13.0
_BODY: Final = 12.0
_NOTE: Final = 11.0
_LEADING: Final = 1.35
_BASELINE: Final = 0.35
"""How far below the middle of a line its baseline is, in parts of the size."""
_SWATCH: Final = 14.0
_BAR: Final = 14.0
_FEWER: Final = Text(fr="et {count} autres", en="and {count} more")

Language = Literal["fr", "en"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How large a picture is, in pixels at scale 1."""

    width: int = DEFAULT_WIDTH
    """Of the picture."""
    height: int | None = None
    """Of the picture; rows that find no room are left out. None: as high as it needs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Words:
    """A line of text."""

    x: float
    y: float
    """Of the middle of the line."""
    text: str
    size: float
    colour: Colour = _INK
    anchor: Literal["start", "middle", "end"] = "start"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Box:
    """A rectangle of one colour, or of colours from left to right."""

    x: float
    y: float
    width: float
    height: float
    colours: tuple[Colour, ...]


_Shape = _Words | _Box


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A legend laid out, in pixels at scale 1."""

    width: int
    height: int
    title: str
    """For those who don't see it."""
    shapes: tuple[_Shape, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """Part of a legend that is drawn whole or not at all."""

    height: float
    draw: Callable[[float], Iterable[_Shape]]
    """Takes where its top is."""


def draw(legend: Legend, language: Language, size: Size) -> Drawing:
    """Lay a legend out.

    Args:
        legend: What is said.
        language: In which language.
        size: How large.
    """
    inner = size.width - 2 * _MARGIN
    title = _in(legend.title, language) + (f" ({legend.unit})" if legend.unit else "")
    head = _paragraph(title, _TITLE, _INK, inner)
    rows = _rows(legend, language, inner)
    foot = [] if legend.note is None else _paragraph(_in(legend.note, language), _NOTE, _SOFT, inner)
    rows, left_out = _that_fit(rows, size, sum(row.height for row in (*head, *foot)))
    if left_out:
        fewer = _in(_FEWER, language).format(count=left_out)
        foot = [*_paragraph(fewer, _NOTE, _SOFT, inner), *foot]
    shapes: list[_Shape] = []
    top = _MARGIN
    for row in (*head, *rows, *foot):
        shapes += row.draw(top)
        top += row.height
    height = math.ceil(top + _MARGIN) if size.height is None else size.height
    return Drawing(width=size.width, height=height, title=title, shapes=tuple(shapes))


def _that_fit(rows: list[_Row], size: Size, taken: float) -> tuple[list[_Row], int]:
    """Give the rows that there is room for, and how many there is none for."""
    kept = rows[:MOST_ROWS]
    if size.height is not None:
        room = size.height - 2 * _MARGIN - taken
        if sum(row.height for row in kept) > room:
            room -= _NOTE * _LEADING
            while kept and sum(row.height for row in kept) > room:
                kept.pop()
    return kept, len(rows) - len(kept)


def _rows(legend: Legend, language: Language, inner: float) -> list[_Row]:
    if legend.kind == "ramp":
        return [_ramp(legend, language, inner)]
    if legend.kind in {"classes", "composite"}:
        return [row for entry in legend.entries for row in _entry(entry, language, inner)]
    texts = [_in(entry.label, language) for entry in legend.entries]
    return [row for text in texts for row in _paragraph(text, _BODY, _INK, inner)]


def _ramp(legend: Legend, language: Language, inner: float) -> _Row:
    """Give the bar of colours, with its numbers below."""

    def shapes(top: float) -> Iterable[_Shape]:
        yield _Box(x=_MARGIN, y=top + 3, width=inner, height=_BAR, colours=legend.colours)
        middle = top + 3 + _BAR + 4 + _BODY / 2
        last = len(legend.entries) - 1
        right = _MARGIN
        for place, entry in enumerate(legend.entries):
            text = _in(entry.label, language)
            at = _MARGIN + inner * _part(legend, entry, place / max(last, 1))
            half = text_width(text, _BODY) / 2
            if 0 < place < last:
                end = _MARGIN + inner - text_width(_in(legend.entries[-1].label, language), _BODY)
                if at - half < right + 6 or at + half > end - 6:
                    continue  # it would touch its neighbours
            anchor: Literal["start", "middle", "end"] = (
                "start" if place == 0 else "end" if place == last else "middle"
            )
            yield _Words(x=at, y=middle, text=text, size=_BODY, anchor=anchor)
            right = at + (2 * half if place == 0 else half)

    return _Row(height=3 + _BAR + 4 + _BODY + 6, draw=shapes)


def _part(legend: Legend, entry: Entry, otherwise: float) -> float:
    """Say where along a ramp an entry lies, 0 to 1."""
    if legend.span is None or entry.value is None:
        return otherwise
    low, high = legend.span
    return (entry.value - low) / (high - low)


def _entry(entry: Entry, language: Language, inner: float) -> list[_Row]:
    """Give a swatch with its words, and the range of a channel below them."""
    indent = _SWATCH + 8
    words = _paragraph(_in(entry.label, language), _BODY, _INK, inner - indent, indent=indent)
    if entry.values is not None:
        low, high = (
            _in(number_in_words(v, entry.values[1] - entry.values[0]), language) for v in entry.values
        )
        joined = f"{low} à {high}" if language == "fr" else f"{low} to {high}"
        words += _paragraph(joined, _NOTE, _SOFT, inner - indent, indent=indent)

    def shapes(top: float) -> Iterable[_Shape]:
        colours = (entry.colour,) if entry.colour is not None else ()
        if colours:
            yield _Box(x=_MARGIN, y=top + 2, width=_SWATCH, height=_SWATCH, colours=colours)
        at = top + 1
        for row in words:
            yield from row.draw(at)
            at += row.height

    return [_Row(height=max(sum(row.height for row in words), _SWATCH + 2) + 3, draw=shapes)]


def _paragraph(text: str, size: float, colour: Colour, width: float, *, indent: float = 0.0) -> list[_Row]:
    """Give the lines of a text."""
    height = size * _LEADING

    def row(line: str) -> _Row:
        def shapes(top: float) -> Iterable[_Shape]:
            yield _Words(x=_MARGIN + indent, y=top + height / 2, text=line, size=size, colour=colour)

        return _Row(height=height, draw=shapes)

    return [row(line) for line in _wrapped(text, size, width)]


def _wrapped(text: str, size: float, width: float) -> list[str]:
    """Break a text between words; a word that is too long is cut."""
    lines: list[str] = []
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(joined, size) <= width:
            lines[-1] = joined
        else:
            lines.append(_cut(word, size, width))
    return lines


def _cut(word: str, size: float, width: float) -> str:
    if text_width(word, size) <= width:
        return word
    while len(word) > 1 and text_width(f"{word}…", size) > width:
        word = word[:-1]
    return f"{word}…"


def _in(text: Text, language: Language) -> str:
    return text.fr if language == "fr" else text.en


# SVG

_SVG: Final = 'role="img" font-family="system-ui, Arial, sans-serif"'
_EVERY: Final = (64, 32, 16, 8, 4, 2)
_TOLERANCE: Final = 2.0


def as_svg(drawing: Drawing) -> bytes:
    """Write a drawing as SVG; every text is escaped."""
    width, height = drawing.width, drawing.height
    title = _escaped(drawing.title)
    box = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} {_SVG}>',
        f"<title>{title}</title>",
        f'<rect width="{width}" height="{height}" fill="{in_hex(_PAPER)}"/>',
    ]
    for number, shape in enumerate(drawing.shapes):
        parts += _svg_words(shape) if isinstance(shape, _Words) else _svg_box(shape, f"g{number}")
    return "\n".join([*parts, "</svg>", ""]).encode()


def _svg_words(words: _Words) -> list[str]:
    baseline = words.y + words.size * _BASELINE
    at = f'x="{_number(words.x)}" y="{_number(baseline)}" text-anchor="{words.anchor}"'
    look = f'font-size="{_number(words.size)}" fill="{in_hex(words.colour)}"'
    return [f"<text {at} {look}>{_escaped(words.text)}</text>"]


def _svg_box(box: _Box, name: str) -> list[str]:
    x, y, width, height = (_number(value) for value in (box.x, box.y, box.width, box.height))
    at = f'x="{x}" y="{y}" width="{width}" height="{height}" stroke="{in_hex(_LINE)}" stroke-width="0.75"'
    if len(box.colours) == 1:
        return [f'<rect {at} fill="{in_hex(box.colours[0])}"/>']
    last = len(box.colours) - 1
    stops = "".join(
        f'<stop offset="{place / last:.4f}" stop-color="{in_hex(box.colours[place])}"/>'
        for place in _stops(box.colours)
    )
    return [f'<linearGradient id="{name}">{stops}</linearGradient>', f'<rect {at} fill="url(#{name})"/>']


def _stops(colours: tuple[Colour, ...]) -> list[int]:
    """Give the fewest even places between which colours change evenly, to a level or two; else all places."""
    table = np.array(colours, dtype=float)
    places = np.arange(len(table))
    for step in _EVERY:
        some = np.unique([*places[::step], places[-1]])
        between = np.column_stack([np.interp(places, some, table[some, part]) for part in range(3)])
        if np.abs(between - table).max() <= _TOLERANCE:
            return [int(place) for place in some]
    return [int(place) for place in places]


def _escaped(text: str) -> str:
    """Escape a text, without what XML can't hold."""
    return escape("".join(c for c in text if c.isprintable()), {'"': "&quot;"})


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


# PNG


def as_png(drawing: Drawing, scale: int = 1) -> bytes:
    """Paint a drawing.

    Args:
        drawing: What is painted.
        scale: Pixels for each pixel of the layout.
    """
    image = Image.new("RGB", (drawing.width * scale, drawing.height * scale), _PAPER)
    canvas = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        if isinstance(shape, _Words):
            _paint_words(canvas, shape, scale)
        else:
            _paint_box(image, canvas, shape, scale)
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def _paint_box(image: Image.Image, canvas: ImageDraw.ImageDraw, box: _Box, scale: int) -> None:
    left, top = round(box.x * scale), round(box.y * scale)
    width, height = round(box.width * scale), round(box.height * scale)
    row = Image.new("RGB", (width, 1))
    last = len(box.colours) - 1
    row.putdata([box.colours[round(column / max(width - 1, 1) * last)] for column in range(width)])
    image.paste(row.resize((width, height), Image.Resampling.NEAREST), (left, top))
    canvas.rectangle((left - 1, top - 1, left + width, top + height), outline=_LINE)


def _paint_words(canvas: ImageDraw.ImageDraw, words: _Words, scale: int) -> None:
    size = words.size * scale
    width = text_width(words.text, words.size) * scale
    x = words.x * scale - {"start": 0.0, "middle": width / 2, "end": width}[words.anchor]
    paint_text(canvas, (x, (words.y + words.size * _BASELINE) * scale), words.text, size, words.colour)
