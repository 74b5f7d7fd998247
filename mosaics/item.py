"""Scenes as STAC 1.1 items, and back; our own fields begin with `flux:`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pystac
import shapely
from shapely.geometry import shape

from mosaics.errors import SceneUnreadableError
from mosaics.models import VISUAL_BLOCK, Band, Scene, Visual
from mosaics.places import ObjectAddress, is_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shapely.geometry.base import BaseGeometry

STAC_EXTENSIONS: Final = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
)
EO_COMMON_NAMES: Final = frozenset(
    {
        *("pan", "coastal", "blue", "green", "green05", "yellow", "red", "rededge", "cirrus"),
        *("rededge071", "rededge075", "rededge078", "nir", "nir08", "nir09", "swir16", "swir22"),
        *("lwir", "lwir11", "lwir12"),
    }
)
"""Words that eo:common_name may have (extension eo, v2.0.0); our others stand in flux:common_name."""
COG_MEDIA_TYPE: Final = "image/tiff; application=geotiff; profile=cloud-optimized"
UNDATED: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Start of the interval that STAC asks for where the acquisition time isn't known."""
_SHA256_MULTIHASH: Final = "1220"
_ETAG: Final = "flux:etag"
"""Field of an asset in the store: what the state that was banked is called there."""
_PERCENTILES: Final = {"p2": "2", "p50": "50", "p98": "98", "p999": "99.9"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AssetFacts:
    """What the item says of the file beyond what a scene holds."""

    crs: str
    """WKT 2."""
    epsg: int | None
    """EPSG code of the CRS."""
    transform: tuple[float, float, float, float, float, float]
    """Affine (a, b, c, d, e, f)."""
    nodata: float | None
    """Nodata value of the file."""
    scales: Sequence[float]
    """Scale of each band."""
    offsets: Sequence[float]
    """Offset of each band."""
    sample_steps: Sequence[int]
    """Of each band: 1 if its percentiles are exact, n if from every n-th value."""
    file_size: int
    """Bytes."""
    sha256: str
    """Hex digest of the file."""
    source_digest: str
    """Hex digest of what was handed in: the scene's identity."""
    profile: str | None
    """Version of the bank profile; None for a file served as it was handed in."""
    thumbnail: Path | None
    """Quicklook (WebP)."""


def scene_to_item(scene: Scene, facts: AssetFacts, *, root: Path, banked: datetime) -> dict[str, Any]:
    """Write a scene as a STAC item.

    Args:
        scene: The scene.
        facts: Its file.
        root: The home's data folder; hrefs of files inside it are relative to it.
        banked: When, UTC.

    Returns:
        The item, ready for JSON.
    """
    properties: dict[str, Any] = {
        "created": pystac.utils.datetime_to_str(banked),
        "gsd": scene.ground_resolution,
        "proj:code": f"EPSG:{facts.epsg}" if facts.epsg else None,
        "proj:wkt2": facts.crs,
        "proj:shape": [scene.height, scene.width],
        "proj:transform": list(facts.transform),
        "flux:sensor": scene.sensor_id,
        "flux:kind": scene.kind,
        "flux:styles": list(scene.styles),
        "flux:digest": facts.source_digest,
    }
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
        stac_extensions=list(STAC_EXTENSIONS),
        collection=scene.collection_id,
    )
    item.add_asset("data", _data_asset(scene, facts, root))
    if facts.thumbnail is not None:
        href = _href(str(facts.thumbnail), root)
        item.add_asset("thumbnail", pystac.Asset(href=href, media_type="image/webp", roles=["thumbnail"]))
    document: dict[str, Any] = item.to_dict(include_self_link=False, transform_hrefs=False)
    return document


def scene_from_item(item: dict[str, Any], *, root: Path, sequence: int) -> Scene:
    """Read a scene of a STAC item that `scene_to_item` wrote.

    Args:
        item: The item.
        root: The home's data folder, which relative hrefs start from.
        sequence: Catalogue sequence of its last change.

    Returns:
        The scene, without what only the item holds.

    Raises:
        SceneUnreadableError: If the item lacks what a scene needs, or its relative href leaves the root.
    """
    try:
        properties, asset = item["properties"], item["assets"]["data"]
        href = _path(asset["href"], root)
        undated = properties.get("datetime") is None
        height, width = properties["proj:shape"]
        return Scene(
            id=item["id"],
            collection_id=item["collection"],
            licence_id=properties.get("license"),
            sensor_id=properties["flux:sensor"],
            kind=properties["flux:kind"],
            acquired=None
            if undated
            else pystac.utils.str_to_datetime(properties["datetime"]).astimezone(UTC),
            footprint=shape(item["geometry"]),
            href=href,
            generation=asset[_ETAG]
            if is_object(href)
            else asset["file:checksum"].removeprefix(_SHA256_MULTIHASH),
            width=width,
            height=height,
            ground_resolution=properties["gsd"],
            bands=tuple(_band_from(band) for band in asset["bands"]),
            styles=tuple(properties["flux:styles"]),
            attribution=properties.get("flux:attribution", ""),
            colormap=tuple((value, (r, g, b, a)) for value, (r, g, b, a) in asset.get("flux:colormap", ())),
            sequence=sequence,
            visual=_visual_from(item, root),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        named = item.get("id") if isinstance(item, dict) else None
        raise SceneUnreadableError(str(named)) from error


def of_new_state(item: dict[str, Any], href: str, etag: str) -> dict[str, Any] | None:
    """Give the item of an object that was written anew with the same content.

    Args:
        item: As it is.
        href: Address of the object.
        etag: What its state is called now.

    Returns:
        The item as it should be; None: it is of another file, or of this state already.
    """
    asset = item.get("assets", {}).get("data", {})
    if asset.get("href") != href or asset.get(_ETAG) == etag:
        return None
    return {**item, "assets": {**item["assets"], "data": {**asset, _ETAG: etag}}}


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
        "href": _href(visual.href, root),
        "type": COG_MEDIA_TYPE,
        "roles": ["visual"],
        "proj:code": visual.crs,
        "proj:shape": [side * VISUAL_BLOCK * 2**levels for side in (visual.rows, visual.columns)],
        "proj:transform": [cell, 0.0, left, 0.0, -cell, top],
        "file:size": visual.file_size,
        "file:checksum": _SHA256_MULTIHASH + sha256,
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
        if asset["flux:format"] not in {"jpg", "webp"}:
            return None
        side = VISUAL_BLOCK * 2 ** (finest - coarsest)
        state = asset.get("flux:source_state")
        height, width = asset["proj:shape"]
        return Visual(
            href=_path(asset["href"], root),
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
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        return None


def _bands_digest(item: dict[str, Any]) -> str:
    """Digest what rendering takes of the item beside the style: bands with their ranges, palette, kind."""
    data = item["assets"]["data"]
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


def _data_asset(scene: Scene, facts: AssetFacts, root: Path) -> pystac.Asset:
    extra: dict[str, Any] = {
        "bands": [_band_to(band, facts, place) for place, band in enumerate(scene.bands)],
        "raster:spatial_resolution": scene.ground_resolution,
        "file:size": facts.file_size,
        "file:checksum": _SHA256_MULTIHASH + facts.sha256,
    }
    if is_object(scene.href):
        extra[_ETAG] = scene.generation
    if facts.nodata is not None:
        extra["nodata"] = "nan" if math.isnan(facts.nodata) else facts.nodata
    if facts.profile is not None:
        extra["flux:bank_profile"] = facts.profile
    if scene.colormap:
        extra["flux:colormap"] = [[value, list(colour)] for value, colour in scene.colormap]
    return pystac.Asset(
        href=_href(scene.href, root), media_type=COG_MEDIA_TYPE, roles=["data"], extra_fields=extra
    )


def _band_to(band: Band, facts: AssetFacts, place: int) -> dict[str, Any]:
    """Write a band in the core fields of STAC 1.1, eo and raster."""
    document: dict[str, Any] = {"name": band.name, "data_type": band.data_type}
    if band.unit:
        document["unit"] = band.unit
    if band.minimum is not None and band.maximum is not None:
        document["statistics"] = {"minimum": band.minimum, "maximum": band.maximum}
    if facts.scales[place] != 1 or facts.offsets[place] != 0:
        document["raster:scale"], document["raster:offset"] = facts.scales[place], facts.offsets[place]
    if band.common_name:
        prefix = "eo" if band.common_name in EO_COMMON_NAMES else "flux"
        document[f"{prefix}:common_name"] = band.common_name
    if band.wavelength_um is not None:
        document["eo:center_wavelength"] = band.wavelength_um
    if band.fwhm_um is not None:
        document["eo:full_width_half_max"] = band.fwhm_um
    percentiles = {
        word: getattr(band, name) for name, word in _PERCENTILES.items() if getattr(band, name) is not None
    }
    if percentiles:
        document["flux:percentiles"] = percentiles
        if facts.sample_steps[place] > 1:
            document["flux:sample_step"] = facts.sample_steps[place]
    return document


def _band_from(document: dict[str, Any]) -> Band:
    percentiles = document.get("flux:percentiles", {})
    statistics = document.get("statistics", {})
    band = Band(
        name=document["name"],
        common_name=document.get("eo:common_name") or document.get("flux:common_name"),
        data_type=document["data_type"],
        unit=document.get("unit"),
        minimum=statistics.get("minimum"),
        maximum=statistics.get("maximum"),
        wavelength_um=document.get("eo:center_wavelength"),
        fwhm_um=document.get("eo:full_width_half_max"),
    )
    return dataclasses.replace(band, **{name: percentiles.get(word) for name, word in _PERCENTILES.items()})


def _href(href: str, root: Path) -> str:
    path = Path(href)
    if is_object(href) or not path.is_relative_to(root):
        return href
    return path.relative_to(root).as_posix()


def _path(href: str, root: Path) -> str:
    """Give the absolute path or address of an href; a relative one may not leave the root."""
    if href.startswith("/"):
        return href
    if is_object(href):
        return str(ObjectAddress.parse(href))
    if ".." in Path(href).parts or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href):
        raise ValueError(href)
    return str(root / href)
