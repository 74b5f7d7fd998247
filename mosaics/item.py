"""Scenes as STAC 1.1 items, and back; our own fields begin with `flux:`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pystac
import shapely
from shapely.geometry import shape

from mosaics.errors import SceneUnreadableError
from mosaics.item_assets import (
    COG_MEDIA_TYPE,
    DATA,
    ETAG,
    SHA256_MULTIHASH,
    AssetFacts,
    assets_of,
    bands_from,
    generation_of,
    href_of,
    mask_from,
    others_from,
    path_of,
    projection_of,
)
from mosaics.models import VISUAL_BLOCK, Scene, Visual

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shapely.geometry.base import BaseGeometry

STAC_EXTENSIONS: Final = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
)
"""Schemas of fields that every item has."""
_EO: Final = "https://stac-extensions.github.io/eo/v2.0.0/schema.json"
RENDER_SCHEMA: Final = "https://stac-extensions.github.io/render/v2.0.0/schema.json"
_COLLECTION_LINK: Final = {"rel": "collection", "href": "./collection.json", "type": "application/json"}
"""STAC asks for one of every item that names its collection."""
_MOST_LEVELS: Final = 64
"""Of a companion; no grid has as many."""
UNDATED: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Start of the interval that STAC asks for where the acquisition time isn't known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemFacts:
    """What the item says of a scene beyond what a scene holds."""

    files: Mapping[str, AssetFacts]
    """Of each of its files, by key; `data` is the leading one."""
    source_digest: str
    """Hex digest of what was handed in: the scene's identity."""
    thumbnail: Path | None
    """Quicklook (WebP)."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """What the product says of itself, in the fields of the extensions below."""
    extensions: tuple[str, ...] = ()
    """Addresses of the schemas of those fields."""
    renders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Its styles, as `renders_of` gives them."""
    more_assets: Mapping[str, pystac.Asset] = field(default_factory=dict)
    """Files that no style reads, such as a mask, by key."""


def scene_to_item(scene: Scene, facts: ItemFacts, *, root: Path, banked: datetime) -> dict[str, Any]:
    """Write a scene as a STAC item.

    Args:
        scene: The scene.
        facts: What else is known of it.
        root: The home's data folder; hrefs of files inside it are relative to it.
        banked: When, UTC.

    Returns:
        The item, ready for JSON.
    """
    properties: dict[str, Any] = {
        **facts.properties,
        "created": pystac.utils.datetime_to_str(banked),
        "gsd": scene.finest_resolution,
        **projection_of(scene, facts.files[DATA]),
        "flux:sensor": scene.sensor_id,
        "flux:kind": scene.kind,
        "flux:styles": list(scene.styles),
        "flux:digest": facts.source_digest,
    }
    if facts.renders:
        properties["renders"] = dict(facts.renders)
    if scene.licence_id is not None:
        properties["license"] = scene.licence_id
    if scene.attribution:
        properties["flux:attribution"] = scene.attribution
    item = pystac.Item(
        id=scene.id,
        geometry=json.loads(shapely.to_geojson(scene.footprint)),
        bbox=bounding_box(scene.footprint),
        datetime=scene.acquired,
        start_datetime=None if scene.acquired else UNDATED,
        end_datetime=None if scene.acquired else banked,
        properties=properties,
        stac_extensions=[*STAC_EXTENSIONS, *facts.extensions],
        collection=scene.collection_id,
    )
    for key, asset in assets_of(scene, facts.files, root).items():
        item.add_asset(key, asset)
    for key, asset in facts.more_assets.items():
        item.add_asset(key, asset)
    if facts.thumbnail is not None:
        href = href_of(str(facts.thumbnail), root)
        item.add_asset("thumbnail", pystac.Asset(href=href, media_type="image/webp", roles=["thumbnail"]))
    document: dict[str, Any] = item.to_dict(include_self_link=False, transform_hrefs=False)
    document["links"] = [dict(_COLLECTION_LINK)]
    if facts.renders:
        document["stac_extensions"].append(RENDER_SCHEMA)
    if '"eo:' in json.dumps(document):
        document["stac_extensions"].append(_EO)
    return document


def scene_from_item(
    item: dict[str, Any],
    *,
    root: Path,
    sequence: int,
    footprint: BaseGeometry | None = None,
    pan_resolution: float | None = None,
) -> Scene:
    """Read a scene of a STAC item that `scene_to_item` wrote.

    Args:
        item: The item.
        root: The home's data folder, which relative hrefs start from.
        sequence: Catalogue sequence of its last change.
        footprint: Its outline, where that is known already; None: the item's geometry.
        pan_resolution: Of its sensor, metres per pixel.

    Returns:
        The scene, without what only the item holds.

    Raises:
        SceneUnreadableError: If the item lacks what a scene needs, or its relative href leaves the root.
    """
    try:
        properties, asset = item["properties"], item["assets"][DATA]
        href = path_of(asset["href"], root)
        undated = properties.get("datetime") is None
        height, width = properties["proj:shape"]
        return Scene(
            id=item["id"],
            collection_id=item["collection"],
            licence_id=properties.get("license"),
            sensor_id=properties["flux:sensor"],
            kind=properties["flux:kind"],
            acquired=None if undated else instant_of(properties["datetime"]),
            footprint=shape(item["geometry"]) if footprint is None else footprint,
            href=href,
            generation=generation_of(asset, href),
            width=width,
            height=height,
            ground_resolution=asset["raster:spatial_resolution"],
            pan_resolution=pan_resolution,
            bands=bands_from(asset),
            styles=tuple(properties["flux:styles"]),
            attribution=properties.get("flux:attribution", ""),
            colormap=tuple((value, (r, g, b, a)) for value, (r, g, b, a) in asset.get("flux:colormap", ())),
            sequence=sequence,
            visual=_visual_from(item, root),
            others=others_from(item["assets"], root),
            mask=mask_from(item["assets"], root),
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        named = item.get("id") if isinstance(item, dict) else None
        raise SceneUnreadableError(str(named)) from error


def instant_of(text: str) -> datetime:
    """Read a date and time of an item, UTC; one without a zone is UTC.

    Raises:
        ValueError: If it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:  # forms of ISO 8601 that Python does not read
        found = pystac.utils.str_to_datetime(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def of_new_state(item: dict[str, Any], href: str, etag: str) -> dict[str, Any] | None:
    """Give the item of an object that was written anew with the same content.

    Args:
        item: As it is.
        href: Address of the object.
        etag: What its state is called now.

    Returns:
        The item as it should be; None: it is of another file, or of this state already.
    """
    asset = item.get("assets", {}).get(DATA, {})
    if asset.get("href") != href or asset.get(ETAG) == etag:
        return None
    return {**item, "assets": {**item["assets"], DATA: {**asset, ETAG: etag}}}


def with_visual(item: dict[str, Any], visual: Visual, *, sha256: str, root: Path) -> dict[str, Any]:
    """Give a scene's item with its companion, in place of one that it had.

    Args:
        item: As `scene_to_item` wrote it.
        visual: The companion.
        sha256: Hex digest of its file.
        root: The home's data folder.
    """
    levels = visual.zooms[1] - visual.zooms[0]
    cell = visual.span / VISUAL_BLOCK / 2**levels
    left, top = visual.origin
    asset = {
        "href": href_of(visual.href, root),
        "type": COG_MEDIA_TYPE,
        "roles": ["visual"],
        "proj:code": visual.crs,
        "proj:shape": [side * VISUAL_BLOCK * 2**levels for side in (visual.rows, visual.columns)],
        "proj:transform": [cell, 0.0, left, 0.0, -cell, top],
        "file:size": visual.file_size,
        "file:checksum": SHA256_MULTIHASH + sha256,
        "flux:grid": visual.grid_id,
        "flux:zooms": list(visual.zooms),
        "flux:style": visual.style_id,
        "flux:style_digest": visual.style_digest,
        "flux:renderer_version": visual.renderer_version,
        "flux:format": visual.image_format,
        "flux:quality": visual.quality,
        "flux:source_generation": visual.source_generation,
        "flux:source_bands": _bands_digest(item),
    }
    if visual.source_state is not None:
        asset["flux:source_state"] = list(visual.source_state)
    return {**item, "assets": {**item["assets"], "visual": asset}}


def _visual_from(item: dict[str, Any], root: Path) -> Visual | None:
    """Read the companion; one that is not of these bands, or not written as we do, is none."""
    asset = item["assets"].get("visual")
    try:
        if asset is None or asset["flux:source_bands"] != _bands_digest(item):
            return None
        cell, _, left, _, _, top = asset["proj:transform"]
        coarsest, finest = asset["flux:zooms"]
        if asset["flux:format"] not in {"jpg", "webp"} or not 0 <= finest - coarsest < _MOST_LEVELS:
            return None
        side = VISUAL_BLOCK * 2 ** (finest - coarsest)
        state = asset.get("flux:source_state")
        height, width = asset["proj:shape"]
        return Visual(
            href=path_of(asset["href"], root),
            file_size=asset["file:size"],
            source_generation=asset["flux:source_generation"],
            source_state=None if state is None else (state[0], state[1]),
            style_id=asset["flux:style"],
            style_digest=asset["flux:style_digest"],
            renderer_version=asset["flux:renderer_version"],
            image_format=asset["flux:format"],
            quality=asset["flux:quality"],
            grid_id=asset["flux:grid"],
            zooms=(coarsest, finest),
            crs=asset["proj:code"],
            origin=(left, top),
            span=cell * side,
            columns=width // side,
            rows=height // side,
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, IndexError):
        return None


def _bands_digest(item: dict[str, Any]) -> str:
    """Digest what rendering takes of the item beside the style: bands with their ranges, palette, kind."""
    data = item["assets"][DATA]
    looks = [item["properties"].get("flux:kind"), data.get("bands"), data.get("flux:colormap")]
    return hashlib.sha256(json.dumps(looks, sort_keys=True).encode()).hexdigest()[:16]


def bounding_box(footprint: BaseGeometry) -> list[float]:
    """Give west, south, east, north; west is greater than east where the antimeridian is crossed.

    Source: RFC 7946, 5.2.
    """
    west, south, east, north = footprint.bounds
    if west <= -180 and east >= 180:
        spans = sorted((part.bounds[0], part.bounds[2]) for part in shapely.get_parts(footprint))
        reach, gap = spans[0][1], (0.0, east, west)
        for left, right in spans[1:]:
            gap = max(gap, (left - reach, reach, left))
            reach = max(reach, right)
        if gap[0] > 0:
            east, west = gap[1], gap[2]
    return [west, south, east, north]
