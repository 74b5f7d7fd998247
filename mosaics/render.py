"""Turns values into a picture by a style; pure: no I/O, no settings, no catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numexpr
import numpy as np
from color_operations import parse_operations
from numpy.typing import NDArray
from rio_tiler.colormap import cmap

from mosaics.algorithms import hillshade
from mosaics.models import Band, Picture, Raster
from mosaics.styles import Style

Ground = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Ground metres per pixel along x and y for each row, shape (height, 1) each."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A style bound to the bands of a scene."""

    style: Style
    bands: tuple[Band, ...]
    """One per variable of the style, in the style's order; the raster's bands come in this order."""
    colormap: tuple[tuple[int, tuple[int, int, int, int]], ...] = ()
    """The file's own palette, for styles that show it."""


def render(raster: Raster, recipe: Recipe, ground: Ground | None = None) -> Picture:
    """Render values by a recipe.

    Args:
        raster: Values with one band per variable; for kernel styles with `style.buffer` more pixels on
            each side than the picture.
        recipe: Style and bands.
        ground: Needed by kernel styles, for the raster's rows.

    Returns:
        A picture of the raster's size less the style's buffer; 0 where there is nothing.
    """
    style = recipe.style
    if style.algorithm == "hillshade":
        assert ground is not None, "kernel styles need ground metres"
        shade, valid = hillshade(raster.data[0], raster.valid, ground, **_numbers(style.parameters))
        return _trimmed(_grey(shade, valid), style.buffer - 1)
    if recipe.colormap and style.id == "palette":
        return _palette(raster, recipe)
    if _fits_table(raster, style):
        return _looked_up(raster, recipe)
    channels = _channels(raster, style)
    valid = raster.valid & np.isfinite(channels).all(axis=0)
    stretched = _stretch(channels, _ranges(recipe))
    if style.color_formula and recipe_is_stretched(recipe):
        stretched = _coloured(stretched, style.color_formula)
    if style.colormap_name:
        return _mapped(stretched[0], valid, style.colormap_name)
    if len(stretched) == 1:
        return _grey(stretched[0], valid)
    rgb = np.ascontiguousarray(np.moveaxis(stretched[:3], 0, -1))
    rgb[~valid] = 0
    return Picture(rgb=rgb, alpha=_opacity(valid))


def _fits_table(raster: Raster, style: Style) -> bool:
    """Tell whether each channel is a function of one integer of few bits, so that a table can hold it."""
    few = raster.data.dtype.kind in "ui" and raster.data.dtype.itemsize <= 2
    return few and not style.expression and not _mixes_channels(style.color_formula)


def _mixes_channels(formula: str | None) -> bool:
    """Tell whether a colour formula looks at several channels at once: of rio-color's, one does."""
    return formula is not None and "saturation" in formula.lower()


def _looked_up(raster: Raster, recipe: Recipe) -> Picture:
    """Render integers by a table: what would be computed for each pixel is computed once for each value."""
    style, dtype = recipe.style, raster.data.dtype
    formula = style.color_formula if style.color_formula and recipe_is_stretched(recipe) else None
    table = _value_table(dtype.str, tuple(_ranges(recipe)), formula)
    samples = np.moveaxis(raster.data, 0, -1)
    unsigned = samples.view(f"u{dtype.itemsize}") if dtype.kind == "i" else samples
    shown: NDArray[Any] = np.asarray(cv2.LUT(np.ascontiguousarray(unsigned), table)).reshape(samples.shape)
    valid = raster.valid
    if style.colormap_name:
        return _mapped(shown[..., 0], valid, style.colormap_name)
    if shown.shape[2] == 1:
        return _grey(shown[..., 0], valid)
    rgb = np.ascontiguousarray(shown[..., :3])
    whole = bool(valid.all())
    if not whole:
        rgb[~valid] = 0
    return Picture(rgb=rgb, alpha=_opacity(valid))


@lru_cache(maxsize=128)
def _value_table(
    kind: str, ranges: tuple[tuple[float, float], ...], formula: str | None
) -> NDArray[np.uint8]:
    """Give 0..255 for every value of an integer type, shape (1, values, channels), in order of its bits."""
    dtype = np.dtype(kind)
    values = np.arange(2 ** (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}").view(dtype)
    channels = np.broadcast_to(values.astype("float32"), (len(ranges), values.size))[:, np.newaxis, :]
    stretched = _stretch(channels, ranges)
    if formula is not None:
        stretched = _coloured(stretched, formula)
    return np.ascontiguousarray(np.moveaxis(stretched, 0, -1))


def _opacity(valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Give the alpha of a mask."""
    return valid.view("u1") * np.uint8(255)


def recipe_is_stretched(recipe: Recipe) -> bool:
    """Tell whether values are stretched, rather than shown as the provider made them (8-bit display)."""
    return not (recipe.style.rescale == "display" and all(b.data_type == "uint8" for b in recipe.bands))


def _channels(raster: Raster, style: Style) -> NDArray[np.float32]:
    """Give the channels to be stretched, shape (1 or 3, height, width), float32."""
    if not style.expression:
        return raster.data.astype("float32")
    values = {name: raster.data[i].astype("float32") for i, name in enumerate(style.variables)}
    return np.stack([evaluate(expression, values) for expression in style.expression])


def evaluate(expression: str, values: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Evaluate a formula of a style file (never one from outside) on arrays of one shape, float32."""
    with np.errstate(all="ignore"):
        result = numexpr.evaluate(expression, local_dict=dict(values), global_dict={})
    shape = next(iter(values.values())).shape
    return np.broadcast_to(result, shape).astype("float32")


def _ranges(recipe: Recipe) -> list[tuple[float, float]]:
    """Give (low, high) per channel, in the channel's unit."""
    style, bands = recipe.style, recipe.bands
    if isinstance(style.rescale, tuple):
        return [(float(low), float(high)) for low, high in style.rescale]
    if style.rescale == "night":
        return _expression_ranges(style, bands, "p50", "p999")
    if style.expression:
        return _expression_ranges(style, bands, "p2", "p98")
    if style.rescale == "display" and not recipe_is_stretched(recipe):
        return [(0.0, 255.0)] * len(bands)
    return [_widened(_statistic(band, "p2"), _statistic(band, "p98")) for band in bands]


def _expression_ranges(style: Style, bands: Sequence[Band], low: str, high: str) -> list[tuple[float, float]]:
    """Evaluate each formula where all its bands are low and where all are high."""
    ends = []
    for which in (low, high):
        values = {
            name: np.array([_statistic(band, which)], dtype="float32")
            for name, band in zip(style.variables, bands, strict=True)
        }
        ends.append([float(evaluate(expression, values)[0]) for expression in style.expression])
    return [_widened(min(a, b), max(a, b)) for a, b in zip(*ends, strict=True)]


def _statistic(band: Band, name: str) -> float:
    value = getattr(band, name)
    if value is None:
        value = {"p2": band.minimum, "p50": band.minimum}.get(name, band.maximum)
    return float(value) if value is not None else 0.0


def _widened(low: float, high: float) -> tuple[float, float]:
    """Keep a constant image from dividing by zero: it is shown in mid grey."""
    slack = max(abs(low) * 1e-3, 1e-6)
    return (low, high) if high > low else (low - slack, low + slack)


def _stretch(channels: NDArray[np.float32], ranges: Sequence[tuple[float, float]]) -> NDArray[np.uint8]:
    """Map each channel linearly from its range onto 0..255, clipped and rounded."""
    out = np.empty(channels.shape, dtype="uint8")
    for channel, (low, high), target in zip(channels, ranges, out, strict=True):
        scaled = np.nan_to_num((channel - low) * (255.0 / (high - low)), posinf=255, neginf=0)
        np.rint(np.clip(scaled, 0, 255), out=scaled)
        target[...] = scaled.astype("uint8")
    return out


def _coloured(channels: NDArray[np.uint8], formula: str) -> NDArray[np.uint8]:
    """Apply a rio-color formula to 8-bit channels, shape (bands, height, width)."""
    unit = channels.astype("float32") / 255
    for operation in parse_operations(formula):
        unit = operation(unit)
    result: NDArray[np.uint8] = np.rint(np.clip(unit, 0, 1) * 255).astype("uint8")
    return result


def _grey(values: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Picture:
    shown = np.where(valid, values, 0).astype("uint8")
    rgb = np.ascontiguousarray(np.broadcast_to(shown[..., None], (*shown.shape, 3)))
    return Picture(rgb=rgb, alpha=_opacity(valid))


@lru_cache(maxsize=64)
def _table(name: str) -> NDArray[np.uint8]:
    """Give a named colour map as a table, shape (256, 4)."""
    colours = cmap.get(name)
    return np.array([colours[i] for i in range(256)], dtype="uint8")


def _mapped(values: NDArray[np.uint8], valid: NDArray[np.bool_], name: str) -> Picture:
    return _masked(_table(name)[values], valid)


def _palette(raster: Raster, recipe: Recipe) -> Picture:
    """Show class values by the file's own colours; a value without a colour is nothing."""
    values = raster.data[0].astype("int64")
    table = np.zeros((max(value for value, _ in recipe.colormap) + 1, 4), dtype="uint8")
    for value, colour in recipe.colormap:
        table[value] = colour
    known = (values >= 0) & (values < len(table))
    return _masked(table[np.where(known, values, 0)], raster.valid & known)


def _masked(rgba: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Picture:
    alpha = np.where(valid, rgba[..., 3], 0).astype("uint8")
    rgb = np.where(alpha[..., None] > 0, rgba[..., :3], 0).astype("uint8")
    return Picture(rgb=np.ascontiguousarray(rgb), alpha=alpha)


def _trimmed(picture: Picture, pixels: int) -> Picture:
    if pixels <= 0:
        return picture
    inner = slice(pixels, -pixels)
    return Picture(
        rgb=np.ascontiguousarray(picture.rgb[inner, inner]),
        alpha=np.ascontiguousarray(picture.alpha[inner, inner]),
    )


def _numbers(parameters: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in parameters.items()}
