"""Turns values into levels 0..255: formulas, stretch, and tables of what either makes of an integer; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

import cv2
import numexpr
import numpy as np
from color_operations import parse_operations
from numpy.typing import NDArray

from mosaics.models import Band, Raster
from mosaics.styles import Style

Ranges = tuple[tuple[float, float], ...]
"""(low, high) of each channel, in the channel's unit."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A style bound to the bands of a scene."""

    style: Style
    bands: tuple[Band, ...]
    """One per variable of the style, in the style's order; the raster's bands come in this order."""
    colormap: tuple[tuple[int, tuple[int, int, int, int]], ...] = ()
    """The file's own palette, for styles that show it."""


def levels(raster: Raster, recipe: Recipe) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Give the levels of each channel, and where there are any.

    Args:
        raster: Values with one band per variable.
        recipe: Style and bands.

    Returns:
        Levels, shape (height, width, channels), anything where nothing is valid; and where the raster is
        valid and each formula gives a number, shape (height, width).
    """
    style, dtype = recipe.style, raster.data.dtype
    sources = _sources(tuple(style.variables), style.expression)
    few = dtype.kind in "ui" and dtype.itemsize <= 2
    if few and sources is not None and not _mixes_channels(style.color_formula) and not measures(recipe):
        table = _table(dtype.str, _ranges(recipe), style.expression, tuple(style.variables), _formula(recipe))
        return _looked_up(raster, sources, table)
    return _computed(raster, recipe)


def is_stretched(recipe: Recipe) -> bool:
    """Tell whether values are stretched, rather than shown as the provider made them (8-bit display)."""
    rescale = recipe.style.rescale_of(recipe.bands)
    return not (rescale == "display" and all(b.data_type == "uint8" for b in recipe.bands))


def uses_statistics(recipe: Recipe) -> bool:
    """Tell whether what values become depends on what the values of the bands are like."""
    return not isinstance(recipe.style.rescale_of(recipe.bands), tuple) and is_stretched(recipe)


def channels(raster: Raster, recipe: Recipe) -> list[NDArray[np.float32]]:
    """Give what is stretched, shape (height, width) each: bands, or what the style's formulas make of them.

    Args:
        raster: Values with one band per variable.
        recipe: Style and bands.
    """
    values = [band.astype("float32") for band in raster.data]
    bands = dict(zip(recipe.style.variables, _comparable(values, measures(recipe)), strict=True))
    return _channels(bands, recipe.style.expression)


def ranges(recipe: Recipe) -> Ranges:
    """Give which values become 0 and 255, (low, high) of each channel in the channel's unit."""
    return _ranges(recipe)


def measures(recipe: Recipe) -> tuple[tuple[float, float], ...]:
    """Give factor and addend of each band that make its values comparable with those of the others.

    They stay in the unit of the first band, so that constants of formulas keep their meaning: counts of
    Sentinel-2 become reflectance times 10 000.

    Args:
        recipe: Style and bands.

    Returns:
        One pair per variable; none where stored values do: without a formula, or with one scale and no
        offset.
    """
    bands = recipe.bands
    scales = {band.scale for band in bands}
    same = len(scales) == 1 and not any(band.offset for band in bands)
    if not recipe.style.expression or same or not all(scale and isfinite(scale) for scale in scales):
        return ()
    first = bands[0].scale
    return tuple((band.scale / first, band.offset / first) for band in bands)


class _Table(NamedTuple):
    """What becomes of each value of an integer type, in order of its bits."""

    levels: NDArray[np.uint8]
    """Shape (1, values, channels)."""
    known: NDArray[np.uint8] | None
    """255 where the formula gives a number, same shape; None: it does for all values."""
    changes: bool = True
    """False where each value becomes itself."""


@lru_cache(maxsize=256)
def _sources(variables: tuple[str, ...], expression: tuple[str, ...]) -> tuple[int, ...] | None:
    """Give the place of the one variable of each channel; None where a channel is made of several or none."""
    if not expression:
        return tuple(range(len(variables)))
    found = []
    for formula in expression:
        named = set(re.findall(r"[A-Za-z_]\w*", formula))
        used = [place for place, name in enumerate(variables) if name in named]
        if len(used) != 1:
            return None
        found.append(used[0])
    return tuple(found)


def _mixes_channels(formula: str | None) -> bool:
    """Tell whether a colour formula looks at several channels at once: of rio-color's, one does."""
    return formula is not None and "saturation" in formula.lower()


def _formula(recipe: Recipe) -> str | None:
    """Give the colour formula, where it is used."""
    return recipe.style.color_formula if is_stretched(recipe) else None


def _looked_up(
    raster: Raster, sources: tuple[int, ...], table: _Table
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Look integers up: what would be computed for each pixel was computed once for each value."""
    data = raster.data
    if sources != tuple(range(len(data))):
        data = data[list(sources)]
    samples = np.moveaxis(data, 0, -1)
    unsigned = samples.view(f"u{samples.dtype.itemsize}") if samples.dtype.kind == "i" else samples
    unsigned = np.ascontiguousarray(unsigned)
    if not table.changes:
        return unsigned, raster.valid
    found = np.asarray(cv2.LUT(unsigned, table.levels), np.uint8).reshape(samples.shape)
    if table.known is None:
        return found, raster.valid
    known = np.asarray(cv2.LUT(unsigned, table.known)).reshape(samples.shape)
    return found, raster.valid & (known != 0).all(axis=-1)


@lru_cache(maxsize=128)
def _table(
    kind: str, ranges: Ranges, expression: tuple[str, ...], variables: tuple[str, ...], formula: str | None
) -> _Table:
    """Make the table of channels that are a function of one integer of few bits each."""
    dtype = np.dtype(kind)
    integers = np.arange(2 ** (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}").view(dtype)
    values = {name: integers.astype("float32")[np.newaxis] for name in variables}
    found, known = _stretched(_channels(values, expression), ranges)
    if formula is not None:
        found = _coloured(found, formula)
    if known.all():
        same = dtype == np.uint8 and (found == integers[np.newaxis, :, np.newaxis]).all()
        return _Table(found, None, changes=not same)
    each = [np.isfinite(channel) for channel in _channels(values, expression)]
    return _Table(found, np.stack(each, axis=-1).view("u1") * np.uint8(255))


def _computed(raster: Raster, recipe: Recipe) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Compute each pixel."""
    style = recipe.style
    values = [band.astype("float32", copy=False) for band in raster.data]
    bands = dict(zip(style.variables, _comparable(values, measures(recipe)), strict=True))
    found, known = _stretched(_channels(bands, style.expression), _ranges(recipe))
    formula = _formula(recipe)
    if formula is not None:
        found = _coloured(found, formula)
    return found, raster.valid & known


def _comparable(
    values: Sequence[NDArray[np.float32]], measured: tuple[tuple[float, float], ...]
) -> Sequence[NDArray[np.float32]]:
    """Give values that formulas may compare, one array a band."""
    if not measured:
        return values
    pairs = zip(values, measured, strict=True)
    return [band * np.float32(factor) + np.float32(addend) for band, (factor, addend) in pairs]


def _channels(
    bands: Mapping[str, NDArray[np.float32]], expression: Sequence[str]
) -> list[NDArray[np.float32]]:
    """Give the channels to be stretched: the bands as they are, or what the formulas make of them."""
    return [evaluate(each, bands) for each in expression] if expression else list(bands.values())


def evaluate(expression: str, values: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Evaluate a formula of a style file (never one from outside) on arrays of one shape, float32.

    numexpr computes it in blocks that stay in the processor's cache, without temporaries. The stretch that
    comes after it is quicker in numpy: numexpr branches for each pixel.
    """
    with np.errstate(all="ignore"):
        result = numexpr.evaluate(expression, local_dict=dict(values), global_dict={})
        shape = next(iter(values.values())).shape
        return np.broadcast_to(result, shape).astype("float32", copy=False)


def _stretched(
    channels: Sequence[NDArray[np.float32]], ranges: Ranges
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Map each channel linearly from its range onto 0..255, clipped and rounded.

    Returns:
        Levels, shape (height, width, channels), and where all channels are finite; else they mean nothing.
    """
    shape = channels[0].shape
    out = np.empty((*shape, len(channels)), dtype="uint8")
    known = np.ones(shape, dtype=bool)
    with np.errstate(all="ignore"):
        for place, (channel, (low, high)) in enumerate(zip(channels, ranges, strict=True)):
            known &= np.isfinite(channel)
            scaled = channel - low
            scaled *= 255.0 / (high - low)
            np.clip(scaled, 0, 255, out=scaled)
            np.rint(scaled, out=scaled)
            np.copyto(out[..., place], scaled, casting="unsafe")
    return out, known


def _coloured(found: NDArray[np.uint8], formula: str) -> NDArray[np.uint8]:
    """Apply a rio-color formula to levels, shape (height, width, channels)."""
    unit = np.moveaxis(found, -1, 0).astype("float32") / 255
    for operation in parse_operations(formula):
        unit = operation(unit)
    result = np.rint(np.clip(unit, 0, 1) * 255).astype("uint8")
    return np.ascontiguousarray(np.moveaxis(result, 0, -1))


def _ranges(recipe: Recipe) -> Ranges:
    """Give (low, high) per channel, in the channel's unit."""
    found = _told_ranges(recipe)
    return found if recipe.style.below is None else tuple(_above_first(*each) for each in found)


def _told_ranges(recipe: Recipe) -> Ranges:
    style, bands = recipe.style, recipe.bands
    rescale = style.rescale_of(bands)
    if isinstance(rescale, tuple):
        return tuple((float(low), float(high)) for low, high in rescale)
    if rescale == "display" and not is_stretched(recipe):
        return ((0.0, 255.0),) * len(bands)
    if rescale in {"night", "night-together"}:
        found = _expression_ranges(recipe, "p50", "p999")
        widest = min(low for low, _ in found), max(high for _, high in found)
        return found if rescale == "night" else (widest,) * len(found)
    if style.expression:
        found = _expression_ranges(recipe, "p2", "p98")
    else:
        found = tuple(_widened(_statistic(band, "p2"), _statistic(band, "p98")) for band in bands)
    return tuple(_about_zero(*each) for each in found) if rescale == "symmetric" else found


def _about_zero(low: float, high: float) -> tuple[float, float]:
    """Give the range as far on both sides of 0 as the farther end."""
    reach = max(abs(low), abs(high))
    return -reach, reach


def _above_first(low: float, high: float) -> tuple[float, float]:
    """Leave level 0 to what is below a range, and only that: its least value becomes 1, its greatest 255.

    A level is rounded to: the range begins where 0.5 is, or a hair above, since halves are rounded to 0.
    """
    level = (high - low) / 254.5
    return low - level * (0.5 + 1e-4), high


def _expression_ranges(recipe: Recipe, low: str, high: str) -> Ranges:
    """Evaluate each formula where all its bands are low and where all are high."""
    style, measured = recipe.style, measures(recipe)
    ends = []
    for which in (low, high):
        stored = [np.array([_statistic(band, which)], dtype="float32") for band in recipe.bands]
        values = dict(zip(style.variables, _comparable(stored, measured), strict=True))
        ends.append([float(evaluate(expression, values)[0]) for expression in style.expression])
    return tuple(_widened(min(a, b), max(a, b)) for a, b in zip(*ends, strict=True))


def _statistic(band: Band, name: str) -> float:
    value = getattr(band, name)
    if value is None:
        value = {"p2": band.minimum, "p50": band.minimum}.get(name, band.maximum)
    return float(value) if value is not None else 0.0


def _widened(low: float, high: float) -> tuple[float, float]:
    """Keep a constant image from dividing by zero: it is shown in mid grey."""
    slack = max(abs(low) * 1e-3, 1e-6)
    return (low, high) if high > low else (low - slack, low + slack)
