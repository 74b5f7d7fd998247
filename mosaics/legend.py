"""What the colours of a style mean: ranges, classes and bands as a value; pure, and no pixel is read.

Numbers that were measured on a whole scene are told only where the caller may read all of it, and only where
all scenes have the same; else words say that each scene is stretched for itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal

from rio_tiler.colormap import cmap

from mosaics.band_words import meaning
from mosaics.change_look import Look
from mosaics.levels import Recipe, is_stretched, ranges
from mosaics.models import Scene, Text
from mosaics.readings import bands_bound
from mosaics.styles import COLOURED, OWN_PALETTE, Ranges, Style

LegendKind = Literal["ramp", "classes", "composite", "encoding", "title"]
"""ramp: colours along values; classes: a colour each; composite: bands as red, green and blue; encoding:
colours that are numbers; title: nothing but the style's name is known."""
Colour = tuple[int, int, int]

STRETCHED: Final = Text(fr="Contraste ajusté scène par scène", en="Stretched per scene")
AS_MADE: Final = Text(fr="Valeurs affichées telles quelles", en="Values shown as they are")
OTHERS_DIFFER: Final = Text(
    fr="D'autres scènes de la couche ont d'autres classes", en="Other scenes of the layer have other classes"
)
LOW: Final = Text(fr="faible", en="low")
HIGH: Final = Text(fr="élevé", en="high")
_CHANNELS: Final = (
    (Text(fr="Rouge", en="Red"), (200, 30, 30)),
    (Text(fr="Vert", en="Green"), (30, 140, 50)),
    (Text(fr="Bleu", en="Blue"), (30, 70, 200)),
)
_ENCODINGS: Final = {
    "terrain-rgb": Text(
        fr="Altitude (m) = 0,1 (65536 R + 256 V + B) - 10000",
        en="Elevation (m) = 0.1 (65536 R + 256 G + B) - 10000",
    ),
    "terrarium": Text(
        fr="Altitude (m) = 256 R + V + B / 256 - 32768", en="Elevation (m) = 256 R + G + B / 256 - 32768"
    ),
}
"""What the colours of an algorithm stand for. Source: Mapbox Terrain-RGB; Mapzen terrain tiles, terrarium."""
_OF_HEIGHTS: Final = "relief"
"""The algorithm whose colours stand for the band's own values."""
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_BETWEEN: Final = 4
"""Steps that a ramp has about."""
_NEAR: Final = 0.12
"""Part of a ramp within which a number would touch that of its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A scene in the style that it is shown in."""

    style: Style
    """It has the bands for it."""
    scene: Scene
    told: bool
    """Whether the caller may read all values of the scene, and so be told numbers of the whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of a legend."""

    label: Text
    colour: Colour | None = None
    value: float | None = None
    """Of the colour, in the legend's unit; a class's number."""
    values: tuple[float, float] | None = None
    """Of a channel: what is dark and what is bright in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Legend:
    """What a style's colours mean."""

    kind: LegendKind
    title: Text
    unit: str | None = None
    """Of the values; None: none, or not known."""
    colours: tuple[Colour, ...] = ()
    """Of a ramp, from its low end to its high end, 256."""
    span: tuple[float, float] | None = None
    """Of a ramp: the values at its ends; None: they differ, or are not told."""
    entries: tuple[Entry, ...] = ()
    note: Text | None = None
    """What else is to be known."""


def legend_of(first: Shown, others: Iterable[Shown], title: Text) -> Legend:
    """Give the legend of a style.

    Args:
        first: A scene that is shown in it: the example.
        others: All others; asked for only as far as it matters whether they differ.
        title: Of the style, for people.
    """
    style = first.style
    if style.id == OWN_PALETTE and first.scene.colormap:
        return _classes(first, others, title)
    encoding = _ENCODINGS.get((style.algorithm or "").replace("_", "-"))
    if encoding is not None:
        return Legend(kind="encoding", title=title, entries=(Entry(label=encoding),))
    if style.algorithm is not None and not _is_coloured_range(style):
        return Legend(kind="title", title=title)
    known = _ranges(chain((first,), others))
    return _ramp(first, known, title) if style.channels == 1 else _composite(first, known, title)


def legend_of_change(look: Look) -> Legend:
    """Give the legend of the difference of two dates."""
    ramp = _named_colours(look.colormap_name)
    return _between(ramp, look.rescale, title=look.title, unit=look.value.unit)


def document_of(legend: Legend) -> dict[str, Any]:
    """Give a legend as JSON; colours are #rrggbb."""
    return {
        "kind": legend.kind,
        "title": _text(legend.title),
        "unit": legend.unit,
        "range": list(legend.span) if legend.span else None,
        "colours": [in_hex(colour) for colour in legend.colours],
        "entries": [
            {
                "label": _text(entry.label),
                "colour": None if entry.colour is None else in_hex(entry.colour),
                "value": entry.value,
                "range": list(entry.values) if entry.values else None,
            }
            for entry in legend.entries
        ],
        "note": None if legend.note is None else _text(legend.note),
    }


def in_hex(colour: Colour) -> str:
    """Write a colour as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def number_in_words(value: float, span: float) -> Text:
    """Write a number with as many decimals as a range of that width needs."""
    if value != 0 and not 1e-4 <= abs(value) < 1e7:
        plain = f"{value:.3g}"
    else:
        decimals = max(0, 2 - math.floor(math.log10(span))) if span > 0 else 2
        plain = f"{value:.{min(decimals, 6)}f}"
        plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    plain = "0" if plain == "-0" else plain.replace("-", "\N{MINUS SIGN}")
    return Text(fr=plain.replace(".", ","), en=plain)


def _is_coloured_range(style: Style) -> bool:
    """Tell whether an algorithm's values are coloured along a range, its own or the scene's."""
    return style.algorithm in COLOURED and style.channels == 1 and style.colormap_name is not None


def _recipe(each: Shown) -> Recipe | None:
    bands = bands_bound(each.style, each.scene)
    return None if bands is None else Recipe(style=each.style, bands=bands)


def _ranges(shown: Iterable[Shown]) -> Ranges | None:
    """Give the ranges of the channels; None: they differ between scenes, or are not to be told."""
    found: Ranges | None = None
    for each in shown:
        if isinstance(each.style.rescale, tuple):
            known = ranges(Recipe(style=each.style, bands=()))
        else:
            recipe = _recipe(each)
            if recipe is None:
                continue
            rescale = each.style.rescale_of(recipe.bands)
            # what log1p makes of light is no number for people
            if rescale in {"night", "night-together"}:
                return None
            if not isinstance(rescale, tuple) and is_stretched(recipe) and not each.told:
                return None
            known = ranges(recipe)
        if found is not None and known != found:
            return None
        found = known
    return found


def _ramp(first: Shown, known: Ranges | None, title: Text) -> Legend:
    colours = _colours(first.style)
    if known is None:
        ends = (Entry(label=LOW, colour=colours[0]), Entry(label=HIGH, colour=colours[-1]))
        return Legend(kind="ramp", title=title, colours=colours, entries=ends, note=STRETCHED)
    (span,) = known
    return _between(colours, span, title=title, unit=_unit(first))


def _between(
    colours: tuple[Colour, ...], span: tuple[float, float], *, title: Text, unit: str | None
) -> Legend:
    """Give a ramp whose ends have values."""
    low, high = span
    entries = tuple(
        Entry(
            label=number_in_words(value, high - low),
            colour=colours[round((value - low) / (high - low) * (len(colours) - 1))],
            value=value,
        )
        for value in _ticks(low, high)
    )
    return Legend(kind="ramp", title=title, unit=unit, colours=colours, span=span, entries=entries)


def _unit(each: Shown) -> str | None:
    """Give the unit of a band that is shown as it is; a formula's is not known."""
    recipe = _recipe(each)
    if recipe is None or each.style.expression or each.style.algorithm not in {None, _OF_HEIGHTS}:
        return None
    return recipe.bands[0].unit


def _colours(style: Style) -> tuple[Colour, ...]:
    if style.colormap_name is None:
        return tuple((level, level, level) for level in range(256))
    return _named_colours(style.colormap_name)


def _named_colours(name: str) -> tuple[Colour, ...]:
    named: Any = cmap.get(name)
    return tuple((int(r), int(g), int(b)) for r, g, b, _ in (named[level] for level in range(256)))


def _ticks(low: float, high: float) -> tuple[float, ...]:
    """Give the ends of a range and round numbers between them, ascending."""
    rough = (high - low) / _BETWEEN
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(part for part in _STEPS if part * size >= rough * (1 - 1e-9)) * size
    margin = (high - low) * _NEAR
    first, last = math.ceil((low + margin) / step), math.floor((high - margin) / step)
    return (low, *(number * step for number in range(first, last + 1)), high)


def _composite(first: Shown, known: Ranges | None, title: Text) -> Legend:
    recipe = _recipe(first)
    as_made = recipe is not None and not is_stretched(recipe)
    names = first.style.expression
    labels = [Text(fr=name, en=name) for name in names]
    if not names and recipe is not None:
        labels = [meaning(band) for band in recipe.bands]
    entries = []
    for place, (label, (channel, colour)) in enumerate(zip(labels, _CHANNELS, strict=False)):
        entries.append(
            Entry(
                label=Text(fr=f"{channel.fr} : {label.fr}", en=f"{channel.en}: {label.en}"),
                colour=colour,
                values=known[place] if known is not None and not as_made else None,
            )
        )
    note = STRETCHED if known is None else AS_MADE if as_made else None
    return Legend(kind="composite", title=title, entries=tuple(entries), note=note)


def _classes(first: Shown, others: Iterable[Shown], title: Text) -> Legend:
    """Give the classes of the first scene: those that it has where that is told, else its colour table."""
    table = [(value, colour[:3]) for value, colour in first.scene.colormap if colour[3] > 0]
    band = first.scene.bands[0]
    if first.told and band.minimum is not None and band.maximum is not None:
        table = [each for each in table if band.minimum <= each[0] <= band.maximum]
    else:
        while len(table) > 1 and table[-1][1] == (0, 0, 0):
            table.pop()  # a colour table has 256 rows, and those that nobody filled are black
    differ = any(each.scene.colormap != first.scene.colormap for each in others)
    return Legend(
        kind="classes",
        title=title,
        entries=tuple(
            Entry(label=Text(fr=str(value), en=str(value)), colour=colour, value=value)
            for value, colour in table
        ),
        note=OTHERS_DIFFER if differ else None,
    )


def _text(text: Text) -> dict[str, str]:
    return {"fr": text.fr, "en": text.en}
