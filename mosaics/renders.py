"""Styles of a scene as the STAC extension render writes them, for others that read the item.

Source: STAC extension render v2.0.0; expressions name bands by their place among all that are read, b1 first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mosaics.item_assets import DATA
from mosaics.levels import Recipe, is_stretched, measures, ranges
from mosaics.models import Scene
from mosaics.readings import Reading, bands_read, readings
from mosaics.registry import Registry
from mosaics.styles import Style

_WORD: Final = re.compile(r"[A-Za-z_]\w*")


def renders_of(scene: Scene, styles: Registry[Style]) -> dict[str, dict[str, Any]]:
    """Write the styles of a scene, the default first.

    Those of kernels that no formula says (shades, contours) are named with `flux:algorithm`.

    Args:
        scene: The scene.
        styles: All styles.

    Returns:
        By style id; numbers of ranges are the scene's own.
    """
    keys = dict(
        zip((view.href for view in scene.views), (DATA, *(one.key for one in scene.others)), strict=True)
    )
    found = {}
    for style_id in scene.styles:
        parts = readings(styles.get(style_id), scene) if style_id in styles else None
        if parts is not None:
            found[style_id] = _render(styles.get(style_id), parts, scene, keys)
    if found:
        next(iter(found.values()))["default"] = True
    return found


def _render(style: Style, parts: Sequence[Reading], scene: Scene, keys: Mapping[str, str]) -> dict[str, Any]:
    recipe = Recipe(style=style, bands=bands_read(tuple(parts)), colormap=scene.colormap)
    render: dict[str, Any] = {
        "title": style.title.en,
        "assets": [keys[part.scene.href] for part in parts],
        "resampling": style.resampling,
        "reproject": style.resampling,
    }
    if style.algorithm is not None:
        render["flux:algorithm"] = {"id": style.algorithm, **style.parameters}
    elif style.expression:
        render["expression"] = _expression(recipe, parts)
    else:
        render["asset_bidx"] = _indexes(parts, keys)
    if style.algorithm is None and is_stretched(recipe):
        render["rescale"] = [[float(low), float(high)] for low, high in ranges(recipe)]
    if style.colormap_name is not None:
        render["colormap_name"] = style.colormap_name
    if style.color_formula is not None and is_stretched(recipe):
        render["color_formula"] = style.color_formula
    return render


def _expression(recipe: Recipe, parts: Sequence[Reading]) -> str:
    """Write a formula with the places of bands, counted through all bands of the assets that are read."""
    style, measured = recipe.style, measures(recipe)
    names, places, first = tuple(style.variables), dict[str, str](), 0
    for part in parts:
        for index, place in zip(part.indexes, part.places, strict=True):
            band = f"b{first + index}"
            places[names[place]] = _comparable(band, *measured[place]) if measured else band
        first += len(part.scene.bands)
    return ";".join(
        _WORD.sub(lambda word: places.get(word[0], word[0]), formula) for formula in style.expression
    )


def _comparable(band: str, factor: float, addend: float) -> str:
    return f"({band}*{factor:.9g}{addend:+.9g})"


def _indexes(parts: Sequence[Reading], keys: Mapping[str, str]) -> list[str]:
    return [f"{keys[part.scene.href]}|{','.join(map(str, part.indexes))}" for part in parts]
