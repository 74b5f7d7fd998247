"""Files of a scene as assets of its STAC item, and back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import pystac

from mosaics.models import Asset, Band, CloudMask, Scene
from mosaics.places import ObjectAddress, is_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EO_COMMON_NAMES: Final = frozenset(
    {
        *("pan", "coastal", "blue", "green", "green05", "yellow", "red", "rededge", "cirrus"),
        *("rededge071", "rededge075", "rededge078", "nir", "nir08", "nir09", "swir16", "swir22"),
        *("lwir", "lwir11", "lwir12"),
    }
)
"""Words that eo:common_name may have (extension eo, v2.0.0); our others stand in flux:common_name."""
COG_MEDIA_TYPE: Final = "image/tiff; application=geotiff; profile=cloud-optimized"
SHA256_MULTIHASH: Final = "1220"
ETAG: Final = "flux:etag"
"""Field of an asset in the store: what the state that was banked is called there."""
STATE: Final = "flux:state"
"""Field of an asset whose file was never hashed: its size and time of writing, `BYTES-NANOSECONDS`."""
DATA: Final = "data"
"""Key of the leading asset."""
COMPARED: Final = "flux:relative_reflectance"
"""Field of a band: what makes its values reflectance but for a factor of all bands, if not raster:scale."""
MASK: Final = "mask"
"""Key of the asset that tells of clouds."""
CLASSES: Final = "classification:classes"
"""Field of it: what its values mean."""
CLOUDY: Final = frozenset({"cloud", "clouds", "cloud_shadow", "haze_heavy", "shadow"})
"""Names of classes that hide the ground or darken it."""
_PERCENTILES: Final = {"p2": "2", "p50": "50", "p98": "98", "p999": "99.9"}
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
"""Relative paths that need no second look."""


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
    profile: str | None
    """Version of the bank profile; None for a file served as it was handed in."""


def assets_of(scene: Scene, facts: Mapping[str, AssetFacts], root: Path) -> dict[str, pystac.Asset]:
    """Write the files of a scene as assets.

    Args:
        scene: The scene.
        facts: Of each of its files, by key; `data` is the leading one.
        root: The home's data folder; hrefs of files inside it are relative to it.
    """
    keys = (DATA, *(other.key for other in scene.others))
    return {
        key: _asset(view, facts[key], root, is_leading=key == DATA)
        for key, view in zip(keys, scene.views, strict=True)
    }


def others_from(assets: Mapping[str, Any], root: Path) -> tuple[Asset, ...]:
    """Read the files beside the leading one of an item's assets."""
    found = []
    for key, asset in assets.items():
        if key == DATA or "data" not in asset.get("roles", ()):
            continue
        height, width = asset["proj:shape"]
        href = path_of(asset["href"], root)
        found.append(
            Asset(
                key=key,
                href=href,
                generation=generation_of(asset, href),
                width=width,
                height=height,
                ground_resolution=asset["raster:spatial_resolution"],
                bands=bands_from(asset),
            )
        )
    return tuple(found)


def mask_from(assets: Mapping[str, Any], root: Path) -> CloudMask | None:
    """Read the mask of an item's assets; one that is not written as we do, or tells of no cloud, is none."""
    asset = assets.get(MASK)
    if asset is None:
        return None
    try:
        cloudy = tuple(int(each["value"]) for each in asset[CLASSES] if each["name"] in CLOUDY)
        height, width = asset["proj:shape"]
        href = path_of(asset["href"], root)
        file = Asset(
            key=MASK,
            href=href,
            generation=generation_of(asset, href),
            width=width,
            height=height,
            ground_resolution=asset["raster:spatial_resolution"],
            bands=(Band(name=MASK),),
        )
    except (KeyError, TypeError, ValueError):
        return None
    return CloudMask(asset=file, cloudy=cloudy) if cloudy else None


def generation_of(asset: Mapping[str, Any], href: str) -> str:
    """Give what changes whenever the bytes of an asset's file do."""
    stated: str = asset[ETAG] if is_object(href) else asset.get(STATE) or asset["file:checksum"]
    return stated if is_object(href) else stated.removeprefix(SHA256_MULTIHASH)


def bands_from(asset: Mapping[str, Any]) -> tuple[Band, ...]:
    """Read the bands of an asset."""
    return tuple(_band_from(band) for band in asset["bands"])


def projection_of(scene: Scene, facts: AssetFacts) -> dict[str, Any]:
    """Give the fields of the projection extension."""
    return {
        "proj:code": f"EPSG:{facts.epsg}" if facts.epsg else None,
        "proj:wkt2": facts.crs,
        "proj:shape": [scene.height, scene.width],
        "proj:transform": list(facts.transform),
    }


def _asset(scene: Scene, facts: AssetFacts, root: Path, *, is_leading: bool) -> pystac.Asset:
    extra: dict[str, Any] = {
        "bands": [_band_to(band, facts, place) for place, band in enumerate(scene.bands)],
        "raster:spatial_resolution": scene.ground_resolution,
        "file:size": facts.file_size,
        "file:checksum": SHA256_MULTIHASH + facts.sha256,
    }
    if not is_leading:
        extra |= {"gsd": scene.ground_resolution, **projection_of(scene, facts)}
    if is_object(scene.href):
        extra[ETAG] = scene.generation
    if facts.nodata is not None:
        extra["nodata"] = "nan" if math.isnan(facts.nodata) else facts.nodata
    if facts.profile is not None:
        extra["flux:bank_profile"] = facts.profile
    if scene.colormap:
        extra["flux:colormap"] = [[value, list(colour)] for value, colour in scene.colormap]
    return pystac.Asset(
        href=href_of(scene.href, root), media_type=COG_MEDIA_TYPE, roles=["data"], extra_fields=extra
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
    if (band.scale, band.offset) not in {(1.0, 0.0), (facts.scales[place], facts.offsets[place])}:
        document[COMPARED] = {"scale": band.scale, "offset": band.offset}
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
    get, compared = document.get, document.get(COMPARED)
    statistics, percentiles = get("statistics", _NOTHING), get("flux:percentiles", _NOTHING)
    return Band(  # by place: names would take four times as long, and wide tiles make a hundred bands
        document["name"],
        get("eo:common_name") or get("flux:common_name"),
        document["data_type"],
        get("unit"),
        statistics.get("minimum"),
        statistics.get("maximum"),
        percentiles.get(_PERCENTILES["p2"]),
        percentiles.get(_PERCENTILES["p98"]),
        percentiles.get(_PERCENTILES["p50"]),
        percentiles.get(_PERCENTILES["p999"]),
        get("eo:center_wavelength"),
        get("eo:full_width_half_max"),
        get("raster:scale", 1.0) if compared is None else compared["scale"],
        get("raster:offset", 0.0) if compared is None else compared["offset"],
    )


def href_of(href: str, root: Path) -> str:
    """Give the href of an absolute path or an address; of a file inside the root, relative to it."""
    path = Path(href)
    if is_object(href) or not path.is_relative_to(root):
        return href
    return path.relative_to(root).as_posix()


def is_plain_href(href: Any) -> bool:
    """Tell whether an href is an absolute path, or a relative one that leaves no folder."""
    return isinstance(href, str) and (href.startswith("/") or _PLAIN.fullmatch(href) is not None)


def path_of(href: str, root: Path) -> str:
    """Give the absolute path or address of an href; a relative one may not leave the root."""
    if href.startswith("/"):
        return href
    if _PLAIN.fullmatch(href):
        return f"{str(root).rstrip('/')}/{href}"
    if is_object(href):
        return str(ObjectAddress.parse(href))
    if ".." in Path(href).parts or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href):
        raise ValueError(href)
    return str(root / href)
