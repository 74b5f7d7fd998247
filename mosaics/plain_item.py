"""Tells at a glance that a scene can be made of an item; what it can't tell is no judgement on the item."""

from __future__ import annotations

from typing import Any, Final

from mosaics.item_assets import COMPARED, DATA, MASK, STATE, is_plain_href

_NAMED: Final = frozenset({"id", "collection"})
_STATED: Final = frozenset({"flux:sensor", "flux:kind"})
_NOTHING: Final[dict[str, Any]] = {}
_NO_ROLES: Final[list[str]] = []


def is_plain(item: Any) -> bool:
    """Tell whether `scene_from_item` makes a scene of an item, whatever its geometry and its date are.

    It makes none here, and takes a sixth of the time. What is seldom, such as an object of the store, a mask
    of clouds or a palette, is not looked into: False leaves all to be found out.
    """
    if type(item) is not dict or not item.keys() >= _NAMED:
        return False
    properties, assets = item.get("properties"), item.get("assets")
    if type(properties) is not dict or type(assets) is not dict or MASK in assets or DATA not in assets:
        return False
    if not properties.keys() >= _STATED or type(properties.get("flux:styles")) is not list:
        return False
    if not _is_pair(properties.get("proj:shape")) or not _is_image(assets[DATA]):
        return False
    return len(assets) == 1 or all(_is_other(asset) for key, asset in assets.items() if key != DATA)


def _is_other(asset: Any) -> bool:
    """Tell whether an asset is another file of the scene that can be understood, or none of its files."""
    if type(asset) is not dict:
        return False
    roles = asset.get("roles", _NO_ROLES)
    if type(roles) is not list:
        return False
    return "data" not in roles or (_is_pair(asset.get("proj:shape")) and _is_image(asset))


def _is_image(asset: Any) -> bool:
    return (
        type(asset) is dict
        and "raster:spatial_resolution" in asset
        and "flux:colormap" not in asset
        and is_plain_href(asset.get("href"))
        and type(asset.get(STATE) or asset.get("file:checksum")) is str
        and _are_bands(asset.get("bands"))
    )


def _are_bands(bands: Any) -> bool:
    if type(bands) is not list:
        return False
    for band in bands:
        if type(band) is not dict or "name" not in band or "data_type" not in band or COMPARED in band:
            return False
        if type(band.get("statistics", _NOTHING)) is not dict:
            return False
        if type(band.get("flux:percentiles", _NOTHING)) is not dict:
            return False
    return True


def _is_pair(value: Any) -> bool:
    return type(value) is list and len(value) == 2
