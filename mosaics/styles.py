"""Styles as values: which bands make the channels, by which formula, stretched and coloured how."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numexpr
import numpy as np
from color_operations import parse_operations
from rio_tiler.colormap import cmap

from mosaics.models import Band, Kind, Text
from mosaics.registry import Document, Registry, check_keys, load_registry, parse_source, parse_text

Stretch = Literal["display", "percentiles", "symmetric", "night", "night-together"]
"""display: 8-bit values as they are, others between the band's p2 and p98; percentiles: between p2 and p98,
or the formula's values there; symmetric: the same about 0, as far as the farther of them; night: between its
values at the median and at the 99.9th percentile; night-together: the same for all channels, the widest."""
Ranges = tuple[tuple[float, float], ...]
"""(low, high) for each channel, in the channel's unit."""
Resampling = Literal["bilinear", "nearest", "cubic"]

OWN_PALETTE = "palette"
"""Id of the style that shows a file's own colour table."""
NUMBERED_BAND = re.compile(r"\*([1-9][0-9]?)?")
"""As an accepted name: the band of that number, the first without one, whatever it is."""
ALGORITHMS: Mapping[str, frozenset[str]] = {
    "hillshade": frozenset({"azimuth", "altitude", "z_factor"}),
    "relief": frozenset({"azimuth", "altitude", "z_factor"}),
    "slope": frozenset(),
    "contours": frozenset({"interval", "spacing", "index"}),
    "terrain-rgb": frozenset(),
    "terrarium": frozenset(),
}
"""What the renderer can do that a formula can't say, and the parameters it takes."""
LEAST_BUFFER: Mapping[str, int] = {"hillshade": 1, "relief": 1, "slope": 1, "contours": 2}
"""Pixels around each that a kernel looks at; the others look at none."""
COLOURED = frozenset({"relief", "slope"})
"""Algorithms that make values of which levels and colours are made as of any others."""
REQUIRED = frozenset({"id", "title", "variables", "rescale", "resampling", "kinds", "source"})
OPTIONAL = frozenset(
    {
        *("expression", "algorithm", "parameters", "colormap_name", "color_formula", "buffer"),
        *("units", "not_units", "below", "formats"),
    }
)
NAME = re.compile(r"[a-z][a-z0-9_]*")
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
LOSSLESS = ("png",)
"""Formats of image files that keep every pixel, of those that are written."""
LARGEST_BUFFER = 16
"""Pixels; a kernel that needs more is no style of tiles."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RescaleByUnit:
    """Ranges of bands that tell what they measure, such as reflectance, and a stretch of all others."""

    ranges: tuple[tuple[str, Ranges], ...]
    """(unit, ranges), in that unit."""
    otherwise: Stretch | Ranges
    """Where the bands have another unit, or not all the same."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """How bands become a picture."""

    id: str
    """Stable name: lower case, digits, hyphens."""
    title: Text
    """Name for people."""
    variables: Mapping[str, tuple[str, ...]]
    """By variable, in order: common names of bands that it accepts, the best first; *2 is the second."""
    rescale: Stretch | Ranges | RescaleByUnit
    """Which values become black and white."""
    resampling: Resampling
    """How pixels are read between pixels."""
    kinds: tuple[Kind, ...]
    """Kinds of scenes that it makes sense for."""
    source: tuple[str, ...]
    """Where its numbers come from."""
    expression: tuple[str, ...] = ()
    """One numexpr formula of the variables per channel (1 or 3); empty: the variables are the channels."""
    algorithm: str | None = None
    """Kernel that takes the variable's band instead of a formula."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """Of the algorithm."""
    colormap_name: str | None = None
    """Name in rio_tiler.colormap.cmap, for one channel; None: grey, or red, green and blue."""
    color_formula: str | None = None
    """rio-color operations after the stretch."""
    buffer: int = 0
    """Pixels around a tile that its kernel needs."""
    units: tuple[str, ...] = ()
    """Its bands have one of these units; empty: any, or none told."""
    not_units: tuple[str, ...] = ()
    """None of its bands has one of these."""
    below: tuple[int, int, int] | None = None
    """Red, green, blue of values below the range; None: as the least in it."""
    formats: tuple[str, ...] = ()
    """Of image files that may hold its pixels, the preferred first; empty: all."""

    @property
    def channels(self) -> int:
        """Number of channels: 1 or 3."""
        return len(self.expression) or (1 if self.algorithm else len(self.variables))

    @property
    def asks_for_units(self) -> bool:
        """True where it is for bands of some units, or for those of others."""
        return bool(self.units or self.not_units)

    @property
    def stretches_by_unit(self) -> bool:
        """True where its range of values hangs on the units of bands."""
        return isinstance(self.rescale, RescaleByUnit)

    @cached_property
    def digest(self) -> str:
        """Hex digest of everything that changes pixels, 16 characters; not of names, titles and sources."""
        content: dict[str, Any] = {
            "variables": [[name, list(accepted)] for name, accepted in self.variables.items()],
            "rescale": [self.rescale.ranges, self.rescale.otherwise]
            if isinstance(self.rescale, RescaleByUnit)
            else self.rescale,
            "resampling": self.resampling,
            "expression": self.expression,
            "algorithm": self.algorithm,
            "parameters": dict(self.parameters),
            "colormap_name": self.colormap_name,
            "color_formula": self.color_formula,
            "buffer": self.buffer,
            # the renderer shows the file's own colour table for this one style
            "own_palette": self.id == OWN_PALETTE,
        }
        if self.below is not None:
            content["below"] = self.below
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def bind(self, bands: Sequence[Band], kind: Kind) -> tuple[int, ...] | None:
        """Find the bands of the variables.

        Args:
            bands: Of the scene, in file order.
            kind: Of the scene.

        Returns:
            The place in the file of each variable's band, from 1; None where the style doesn't apply.
        """
        if kind not in self.kinds:
            return None
        indexes = []
        for accepted in self.variables.values():
            index = _place(bands, accepted)
            if index is None:
                return None
            indexes.append(index)
        if not all(self._takes(bands[index - 1].unit) for index in indexes):
            return None
        return tuple(indexes)

    def _takes(self, unit: str | None) -> bool:
        return unit not in self.not_units and (not self.units or unit in self.units)

    def rescale_of(self, bands: Sequence[Band]) -> Stretch | Ranges:
        """Give the stretch of the bands that it is bound to."""
        if not isinstance(self.rescale, RescaleByUnit):
            return self.rescale
        units = {band.unit for band in bands}
        return next(
            (ranges for unit, ranges in self.rescale.ranges if units == {unit}), self.rescale.otherwise
        )


def load_styles(extra: Path | None = None) -> Registry[Style]:
    """Read the package's styles and those of an optional folder.

    Raises:
        DataFileInvalidError: If a file breaks a rule of mosaics/data/styles/README.md.
    """
    return load_registry("styles", parse_style, extra)


def parse_style(document: Document) -> Style:
    """Make a style of its document.

    Raises:
        ValueError: If it breaks a rule of mosaics/data/styles/README.md.
    """
    check_keys(document, REQUIRED, OPTIONAL)
    if not ID.fullmatch(document["id"]):
        raise ValueError(f"id {document['id']!r} must match {ID.pattern}")
    expression = document.get("expression")
    style = Style(
        id=document["id"],
        title=parse_text(document["title"]),
        variables={name: tuple(accepted) for name, accepted in document["variables"].items()},
        rescale=_rescale(document["rescale"]),
        resampling=_one_of("resampling", document["resampling"], get_args(Resampling)),
        kinds=tuple(_one_of("kinds", kind, get_args(Kind)) for kind in document["kinds"]),
        source=parse_source(document["source"]),
        expression=tuple(part.strip() for part in expression.split(";")) if expression else (),
        algorithm=document.get("algorithm"),
        parameters={name: float(value) for name, value in document.get("parameters", {}).items()},
        colormap_name=document.get("colormap_name"),
        color_formula=document.get("color_formula"),
        buffer=document.get("buffer", 0),
        units=_words("units", document.get("units", ())),
        not_units=_words("not_units", document.get("not_units", ())),
        below=_colour(document.get("below")),
        formats=tuple(_one_of("formats", word, LOSSLESS) for word in document.get("formats", ())),
    )
    _check_variables(style)
    _check_channels(style)
    _check_algorithm(style)
    _check_colours(style)
    return style


def _place(bands: Sequence[Band], accepted: tuple[str, ...]) -> int | None:
    """Give the place, from 1, of the band with the first accepted name that a band has."""
    for name in accepted:
        numbered = NUMBERED_BAND.fullmatch(name)
        if numbered and int(numbered[1] or 1) <= len(bands):
            return int(numbered[1] or 1)
        for place, band in enumerate(bands, start=1):
            if name == band.common_name:
                return place
    return None


def _one_of(what: str, value: Any, known: tuple[Any, ...]) -> Any:
    """Refuse a word that is not known."""
    if value not in known:
        raise ValueError(f"{what}: {value!r} is none of {', '.join(known)}")
    return value


def _words(what: str, document: Any) -> tuple[str, ...]:
    words = tuple(document)
    if isinstance(document, str) or not all(isinstance(word, str) and word for word in words):
        raise ValueError(f"{what} must be a list of words")
    return words


def _colour(document: Any) -> tuple[int, int, int] | None:
    """Read [red, green, blue]."""
    if document is None:
        return None
    colour = tuple(document)
    if len(colour) != 3 or not all(type(part) is int and 0 <= part <= 255 for part in colour):
        raise ValueError("below must be [red, green, blue], each from 0 to 255")
    return colour


def _rescale(document: Any) -> Stretch | Ranges | RescaleByUnit:
    """Read a word, [[low, high], ...], or an object of these by unit."""
    if not isinstance(document, dict):
        return _one_rescale(document)
    if document.keys() != {"unit", "otherwise"} or not document["unit"]:
        raise ValueError('rescale must be a word, ranges, or {"unit": {unit: ranges}, "otherwise": ...}')
    by_unit = tuple((unit, _ranges(ranges)) for unit, ranges in document["unit"].items())
    return RescaleByUnit(ranges=by_unit, otherwise=_one_rescale(document["otherwise"]))


def _one_rescale(document: Any) -> Stretch | Ranges:
    """Read a word or [[low, high], ...]."""
    if isinstance(document, str):
        stretch: Stretch = _one_of("rescale", document, get_args(Stretch))
        return stretch
    return _ranges(document)


def _ranges(document: Any) -> Ranges:
    """Read [[low, high], ...]."""
    ranges = tuple((float(low), float(high)) for low, high in document)
    if not ranges or any(not low < high for low, high in ranges):
        raise ValueError("rescale must be [[low, high], ...] with low < high")
    return ranges


def _check_variables(style: Style) -> None:
    """Refuse names that are no names, and formulas that don't evaluate or leave a variable out."""
    if not style.variables or not style.kinds:
        raise ValueError("variables and kinds must not be empty")
    for name, accepted in style.variables.items():
        if not NAME.fullmatch(name) or not accepted:
            raise ValueError(f"variable {name!r} must match {NAME.pattern} and accept a band")
    used: set[str] = set()
    for formula in style.expression:
        words = set(re.findall(r"[A-Za-z_]\w*", formula))
        used |= words & style.variables.keys()
        # the formula comes from an operator's file, never from a request
        samples = {name: np.ones(2, dtype="float32") for name in style.variables}
        try:
            result = numexpr.evaluate(formula, local_dict=samples, global_dict={})
        except Exception as error:
            raise ValueError(f"formula {formula!r} can't be evaluated: {error}") from error
        if result.shape != (2,):
            raise ValueError(f"formula {formula!r} must give a value per pixel")
    if style.expression and used != style.variables.keys():
        raise ValueError(f"no formula uses {', '.join(sorted(style.variables.keys() - used))}")


def _check_channels(style: Style) -> None:
    """Refuse channels and parts that don't go together."""
    if style.channels not in (1, 3):
        raise ValueError(f"{style.channels} channels make no picture: 1 or 3 do")
    by_unit = style.rescale if isinstance(style.rescale, RescaleByUnit) else None
    told = [style.rescale] if by_unit is None else [by_unit.otherwise, *(each for _, each in by_unit.ranges)]
    for rescale in told:
        if isinstance(rescale, tuple) and len(rescale) != style.channels:
            raise ValueError(f"rescale has {len(rescale)} ranges for {style.channels} channels")
        if rescale in {"night", "night-together"} and not style.expression:
            raise ValueError(f"rescale {rescale} needs an expression, such as log1p(light)")
        if rescale == "display" and style.expression:
            raise ValueError("rescale display is for bands as they are, not for an expression")


def _check_algorithm(style: Style) -> None:
    """Refuse an algorithm that the renderer doesn't have, or that gets too much or too little."""
    if type(style.buffer) is not int or not 0 <= style.buffer <= LARGEST_BUFFER:
        raise ValueError(f"buffer must be a whole number from 0 to {LARGEST_BUFFER}")
    if style.algorithm is None:
        if style.parameters or style.buffer:
            raise ValueError("parameters and buffer are for an algorithm")
        return
    if style.algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm {style.algorithm!r} is none of {', '.join(ALGORITHMS)}")
    if style.parameters.keys() != ALGORITHMS[style.algorithm]:
        raise ValueError(f"{style.algorithm} takes {', '.join(sorted(ALGORITHMS[style.algorithm]))}")
    if style.expression or len(style.variables) != 1:
        raise ValueError("an algorithm takes one variable and no expression")
    if style.buffer < LEAST_BUFFER.get(style.algorithm, 0):
        raise ValueError(
            f"{style.algorithm} needs a buffer of {LEAST_BUFFER[style.algorithm]} pixels or more"
        )
    if style.color_formula is not None or (style.colormap_name is not None) != (style.algorithm in COLOURED):
        raise ValueError(f"of algorithms {', '.join(sorted(COLOURED))} take a colormap_name, and no other")


def _check_colours(style: Style) -> None:
    """Refuse colours that the renderer doesn't know."""
    if style.colormap_name is not None:
        if style.channels != 1:
            raise ValueError("colormap_name is for one channel")
        if style.colormap_name not in cmap.list():
            raise ValueError(f"no colormap is called {style.colormap_name!r}")
    if style.below is not None and style.colormap_name is None:
        raise ValueError("below is for a colormap_name")
    if style.color_formula is not None:
        try:
            operations = list(parse_operations(style.color_formula))
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            raise ValueError(f"color_formula {style.color_formula!r} can't be read: {error}") from error
        if not operations:
            raise ValueError("color_formula says nothing")
