"""Turns values into a picture by a style; pure: no I/O, no settings, no catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from rio_tiler.colormap import cmap

from mosaics.algorithms import contour_interval, contours, hillshade, lit, slope
from mosaics.levels import Recipe, levels
from mosaics.models import GREYS, Indexed, Picture, Raster
from mosaics.styles import OWN_PALETTE, Style
from mosaics.terrain import ENCODINGS

__all__ = ["Ground", "Recipe", "on_backdrop", "render"]

Ground = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Ground metres per pixel along x and y for each row, shape (height, 1) each."""
_VALUES = 256
"""That a level can have."""
_LINE = (122, 76, 36)
"""Red, green, blue of contours: the brown of topographic maps."""
_HARDLY = 1
"""The alpha of ground between contours: unseen, but there, so that no scene below draws its lines through."""


def render(raster: Raster, recipe: Recipe, ground: Ground | None = None, *, pixel: float = 0.0) -> Picture:
    """Render values by a recipe.

    Args:
        raster: Values with one band per variable; for kernel styles with `style.buffer` more pixels on
            each side than the picture.
        recipe: Style and bands.
        ground: Needed by kernel styles, for the raster's rows.
        pixel: Metres that the grid takes a pixel to be, the same on all tiles of a zoom; 0: not known.

    Returns:
        A picture of the raster's size less the style's buffer; 0 where there is nothing.
    """
    style = recipe.style
    if style.algorithm is not None:
        assert ground is not None, "kernel styles need ground metres"
        return _by_kernel(raster, recipe, ground, pixel)
    if recipe.colormap and style.id == OWN_PALETTE:
        return _palette(raster, recipe)
    found, valid = levels(raster, recipe)
    if style.colormap_name:
        return _mapped(found[..., 0], valid, _colours_of(style), gradual=True)
    if found.shape[2] == 1:
        return _grey(found[..., 0], valid)
    alpha = _opacity(valid)
    return Picture(rgb=_blanked(found[..., :3], alpha), alpha=alpha)


def on_backdrop(picture: Picture, colour: tuple[int, int, int]) -> Picture:
    """Give the picture with a colour wherever it has none."""
    rgb = np.where((picture.alpha > 0)[..., np.newaxis], picture.rgb, np.array(colour, "uint8"))
    return Picture(rgb=rgb, alpha=np.full_like(picture.alpha, 255))


def _by_kernel(raster: Raster, recipe: Recipe, ground: Ground, pixel: float) -> Picture:
    """Render heights by the kernel that the style names."""
    style, heights = recipe.style, raster.data[0]
    if style.algorithm in ENCODINGS:
        return _encoded(raster, style)
    if style.algorithm == "contours":
        return _contoured(raster, style, pixel)
    if style.algorithm == "slope":
        degrees, valid = slope(heights, raster.valid, ground)
        steep = Raster(
            data=_trimmed(degrees, style.buffer - 1)[np.newaxis], valid=_trimmed(valid, style.buffer - 1)
        )
        found, valid = levels(steep, recipe)
        return _mapped(found[..., 0], valid, _colours_of(style), gradual=True)
    shade, valid = hillshade(heights, raster.valid, ground, **_numbers(style.parameters))
    shade, valid = _trimmed(shade, style.buffer - 1), _trimmed(valid, style.buffer - 1)
    if style.algorithm == "hillshade":
        return _grey(shade, valid)
    inner = Raster(data=_trimmed(heights, style.buffer)[np.newaxis], valid=valid)
    found, valid = levels(inner, recipe)
    flat = _mapped(found[..., 0], valid, _colours_of(style), gradual=True)
    return Picture(rgb=lit(flat.rgb, shade, altitude=style.parameters["altitude"]), alpha=flat.alpha)


def _contoured(raster: Raster, style: Style, pixel: float) -> Picture:
    """Draw contours over nothing."""
    told = style.parameters
    covered, valid = contours(
        raster.data[0],
        raster.valid,
        interval=contour_interval(pixel, spacing=told["spacing"], least=told["interval"]),
        index=round(told["index"]),
    )
    covered, valid = _trimmed(covered, style.buffer - 2), _trimmed(valid, style.buffer - 2)
    alpha = np.where(valid, np.maximum(covered, np.uint8(_HARDLY)), np.uint8(0))
    line = np.broadcast_to(np.array(_LINE, "uint8"), (*alpha.shape, 3))
    return Picture(rgb=_blanked(line, alpha), alpha=alpha)


def _encoded(raster: Raster, style: Style) -> Picture:
    """Write heights as colours."""
    assert style.algorithm is not None
    heights = _trimmed(raster.data[0], style.buffer)
    alpha = _opacity(_trimmed(raster.valid & np.isfinite(raster.data[0]), style.buffer))
    return Picture(rgb=_blanked(ENCODINGS[style.algorithm].encode(heights), alpha), alpha=alpha)


def _opacity(valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Give the alpha of a mask."""
    return valid.view("u1") * np.uint8(255)


def _blanked(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give pixels, in one piece, that are 0 wherever alpha is."""
    held = np.ascontiguousarray(pixels)
    return held if alpha.all() else np.asarray(cv2.copyTo(held, alpha), np.uint8)


def _grey(shades: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Picture:
    alpha = _opacity(valid)
    shown = _blanked(shades, alpha)
    rgb = np.asarray(cv2.cvtColor(shown, cv2.COLOR_GRAY2RGB), np.uint8)
    return Picture(rgb=rgb, alpha=alpha, indexed=Indexed(values=shown, colours=GREYS, gradual=True))


class _Colours(NamedTuple):
    """The colours of values."""

    rgb: NDArray[np.uint8]
    """Shape (256, 3), or more rows where values are larger."""
    opacities: NDArray[np.uint8] | None
    """Shape (256,) or more; None: all are 255."""
    solid: bool
    """True where each opacity is 0 or 255."""


def _mapped(
    values: NDArray[np.uint8], valid: NDArray[np.bool_], colours: _Colours, *, gradual: bool
) -> Picture:
    """Colour values."""
    held, alpha, table = np.ascontiguousarray(values), _opacity(valid), colours.rgb[:_VALUES]
    if colours.opacities is not None:
        alpha = _blanked(np.asarray(cv2.LUT(held, colours.opacities[:_VALUES]), np.uint8), alpha)
    rgb = np.asarray(cv2.applyColorMap(held, table[:, np.newaxis]), np.uint8)
    indexed = Indexed(values=_blanked(held, alpha), colours=table, gradual=gradual) if colours.solid else None
    return Picture(rgb=_blanked(rgb, alpha), alpha=alpha, indexed=indexed)


def _colours_of(style: Style) -> _Colours:
    assert style.colormap_name is not None, "parse_style saw to it"
    return _named_colours(style.colormap_name, style.below)


@lru_cache(maxsize=64)
def _named_colours(name: str, below: tuple[int, int, int] | None = None) -> _Colours:
    """Give a named colour map; with a colour of what is below the range, that of level 0 is left to it."""
    colours = cmap.get(name)
    table = np.array([colours[i] for i in range(_VALUES)], dtype="uint8")
    if below is not None:
        table[1:] = table[np.rint(np.linspace(0, _VALUES - 1, _VALUES - 1)).astype(int)]
        table[0] = (*below, 255)
    return _as_colours(table)


@lru_cache(maxsize=64)
def _own_colours(colormap: tuple[tuple[int, tuple[int, int, int, int]], ...]) -> _Colours:
    """Give a file's palette; a value without a colour is nothing."""
    table = np.zeros((max(_VALUES, max(value for value, _ in colormap) + 1), 4), dtype="uint8")
    for value, colour in colormap:
        table[value] = colour
    return _as_colours(table)


def _as_colours(table: NDArray[np.uint8]) -> _Colours:
    opacities = np.ascontiguousarray(table[:, 3])
    return _Colours(
        rgb=np.ascontiguousarray(table[:, :3]),
        opacities=None if (opacities == 255).all() else opacities,
        solid=bool(np.isin(opacities, (0, 255)).all()),
    )


def _palette(raster: Raster, recipe: Recipe) -> Picture:
    """Show class values by the file's own colours; a value without a colour is nothing."""
    values, colours = raster.data[0], _own_colours(recipe.colormap)
    if values.dtype == np.uint8:
        return _mapped(values, raster.valid, colours, gradual=False)
    values = values.astype("int64")
    known = (values >= 0) & (values < len(colours.rgb))
    places = np.where(known, values, 0)
    alpha = _opacity(raster.valid & known)
    if colours.opacities is not None:
        alpha = _blanked(colours.opacities[places], alpha)
    return Picture(rgb=_blanked(colours.rgb[places], alpha), alpha=alpha)


def _trimmed(pixels: NDArray[Any], border: int) -> NDArray[Any]:
    return pixels[border:-border, border:-border] if border > 0 else pixels


def _numbers(parameters: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in parameters.items()}
