"""SkySat: an item's images with its metadata and masks beside them. Source: sensors.md, sections 1 to 3.

Properties: developers.planet.com (SkySatCollect, SkySatScene) and stactools-packages/planet (cloud_cover is a
ratio); names of assets: sertit/eoreader (sky_product.py). Names of RPC files are unverified.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mosaics.products.delivery import (
    BandGroup,
    Delivery,
    DeliveryUnreadableError,
    ImageFile,
    Mask,
    ProductBand,
    Radiometry,
    View,
    check_single,
)
from mosaics.products.documents import Document, json_number, json_text, parse_json, utc
from mosaics.products.heads import Head, read_head

_ID: Final = r"\d{8}_\d{6}_ss[0-9a-z]+_[0-9a-z]+"
_METADATA: Final = re.compile(rf"(?P<id>{_ID})_metadata\.json", re.IGNORECASE)
_FILE: Final = re.compile(rf"(?P<id>{_ID})_(?P<rest>.+)\.tiff?", re.IGNORECASE)
_IMAGE: Final = re.compile(
    r"(?:ortho_)?(?P<basic>basic_)?(?:l1a_)?(?P<what>analytic|panchromatic|pansharpened|visual)"
    r"(?P<how>_dn|_sr)?(?:_(?:clip|reproject|file_format))*",
    re.IGNORECASE,
)
_MASK: Final = re.compile(r"(?:.*_)?(?P<kind>udm2?)(?:_.*)?", re.IGNORECASE)
_GROUPS: Final = {"analytic": "ms", "panchromatic": "pan", "pansharpened": "pms", "visual": "rgb"}
_COLOURS: Final = {
    "analytic": ("blue", "green", "red", "nir"),
    "panchromatic": ("pan",),
    "pansharpened": ("blue", "green", "red", "nir"),
    "visual": ("red", "green", "blue"),
}
"""Bands in file order; an alpha band may come after them."""
_SCALE: Final = 100.0
"""Counts of one W/m2/sr/um."""
_REFLECTANCE: Final = 10_000.0
"""Counts of surface reflectance 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asset:
    """An image of an item."""

    path: Path
    what: str
    """Analytic, panchromatic, pansharpened or visual, in small letters."""
    how: str
    """dn, sr, or nothing: calibrated radiance where there is such a thing."""
    basic: bool
    """In sensor geometry."""

    @property
    def group(self) -> str:
        """Name its band group: a delivery may hold the same bands in several ways."""
        return "_".join(filter(None, (_GROUPS[self.what], self.how, "basic" if self.basic else "")))


def find_skysat(path: Path) -> Path | None:
    """Give the metadata of an item; None: it is none.

    Args:
        path: A folder, the metadata, or an image beside it.

    Raises:
        DeliveryUnreadableError: If a folder holds several.
    """
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if _METADATA.fullmatch(each.name))
        check_single(path, found)
        return found[0] if found else None
    if not path.is_file():
        return None
    if _METADATA.fullmatch(path.name):
        return path
    file = _FILE.fullmatch(path.name)
    if file is None or not _IMAGE.fullmatch(file["rest"]):
        return None
    beside = path.with_name(f"{file['id']}_metadata.json")
    return beside if beside.is_file() else None


def read_skysat(path: Path) -> Delivery:
    """Read an item with all its images by its metadata.

    Raises:
        DeliveryUnreadableError: If it can't be understood, or no image of it is there.
    """
    named = _METADATA.fullmatch(path.name)
    document = parse_json(path)
    properties = document.get("properties")
    if named is None or not isinstance(properties, dict):
        raise DeliveryUnreadableError(f"{path.name}: it is no metadata of SkySat")
    item_type = json_text(properties.get("item_type"))
    if item_type is not None and not item_type.startswith("SkySat"):
        raise DeliveryUnreadableError(f"{path.name}: it describes a {item_type}, not SkySat")
    assets = sorted(
        _assets(path, named["id"]), key=lambda asset: (list(_GROUPS).index(asset.what), asset.group)
    )
    names = [asset.group for asset in assets]
    if not assets:
        raise DeliveryUnreadableError(
            f"{path.name}: no image of it is there; copy the whole delivery and bank it again"
        )
    if len(set(names)) != len(names):
        raise DeliveryUnreadableError(f"{path.name}: the same image is beside it twice; keep one of each")
    return Delivery(
        name=json_text(document.get("id")) or named["id"],
        sensor_id="skysat",
        platform=" ".join(filter(None, ("SkySat", json_text(properties.get("satellite_id"))))),
        groups=tuple(_group(asset, path) for asset in assets),
        acquired=utc(json_text(properties.get("acquired"))),
        view=View(
            off_nadir=json_number(properties.get("view_angle")),
            azimuth=json_number(properties.get("satellite_azimuth")),
            sun_elevation=json_number(properties.get("sun_elevation")),
            sun_azimuth=json_number(properties.get("sun_azimuth")),
        ),
        masks=_masks(path, named["id"]),
        cloud_cover=_cloud(properties),
        level=item_type,
    )


def _beside(path: Path, item: str) -> Iterator[tuple[Path, str]]:
    """Give the images and masks of an item, each with what follows the item's id in its name."""
    for each in sorted(path.parent.iterdir()):
        file = _FILE.fullmatch(each.name)
        if file is not None and file["id"].casefold() == item.casefold() and each.is_file():
            yield each, file["rest"]


def _assets(path: Path, item: str) -> Iterator[_Asset]:
    for each, rest in _beside(path, item):
        image = _IMAGE.fullmatch(rest)
        if image is not None:
            yield _Asset(
                path=each,
                what=image["what"].lower(),
                how=(image["how"] or "").strip("_").lower(),
                basic=image["basic"] is not None,
            )


def _masks(path: Path, item: str) -> tuple[Mask, ...]:
    """Give the newer mask where there is one; all of an item's images show the same ground."""
    kinds = {"udm2": None, "udm": None, **_mask_files(path, item)}
    if kinds["udm2"] is not None:
        return (Mask(kind="udm2", path=kinds["udm2"]),)
    return () if kinds["udm"] is None else (Mask(kind="udm", path=kinds["udm"]),)


def _mask_files(path: Path, item: str) -> dict[str, Path]:
    """Give the first mask of each kind."""
    found: dict[str, Path] = {}
    for each, rest in _beside(path, item):
        match = _MASK.fullmatch(rest)
        if match is not None and not _IMAGE.fullmatch(rest):
            found.setdefault(match["kind"].lower(), each)
    return found


def _cloud(properties: Document) -> float | None:
    percent, ratio = (json_number(properties.get(name)) for name in ("cloud_percent", "cloud_cover"))
    if percent is not None:
        return percent
    return None if ratio is None else 100 * ratio


def _group(asset: _Asset, path: Path) -> BandGroup:
    head = read_head(asset.path)
    colours = _COLOURS[asset.what]
    if head is not None and head.samples not in {len(colours), len(colours) + 1}:
        raise DeliveryUnreadableError(
            f"{asset.path.name}: it has {head.samples} bands, and its kind has {len(colours)}"
        )
    radiometry: Radiometry = "unknown"
    if asset.what == "visual":
        radiometry = "display"
    elif asset.how == "sr":
        radiometry = "reflectance"
    elif not asset.how and asset.what != "pansharpened":
        radiometry = "radiance"
    return BandGroup(
        name=asset.group,
        files=(ImageFile(path=asset.path, row=1, column=1, bands=colours),),
        bands=_bands(colours, radiometry, head),
        height=0 if head is None else head.height,
        width=0 if head is None else head.width,
        geometry="sensor" if asset.basic else "ground",
        nodata=0,
        rpc=_rpc(asset.path) if asset.basic else None,
        radiometry=radiometry,
        metadata=path,
    )


def _bands(colours: tuple[str, ...], radiometry: Radiometry, head: Head | None) -> tuple[ProductBand, ...]:
    factors = _factors(head) if radiometry == "radiance" else ()
    gain = {"radiance": _SCALE, "reflectance": _REFLECTANCE}.get(radiometry)
    return tuple(
        ProductBand(
            id=colour,
            common_name=colour,
            gain=gain,
            bias=0.0 if radiometry == "radiance" else None,
            reflectance=factors[place] if len(factors) == len(colours) else None,
        )
        for place, colour in enumerate(colours)
    )


def _factors(head: Head | None) -> tuple[float, ...]:
    """Give what makes counts reflectance above the atmosphere, from the image's description."""
    try:
        described = json.loads(head.description) if head is not None and head.description else {}
        listed = described["properties"]["reflectance_coefficients"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    values = [json_number(each) for each in listed] if isinstance(listed, list) else []
    return tuple(value for value in values if value is not None and value > 0)


def _rpc(path: Path) -> Path | None:
    names = {f"{path.stem}{end}".casefold() for end in ("_rpc.txt", ".rpc", ".rpb")}
    return next((each for each in sorted(path.parent.iterdir()) if each.name.casefold() in names), None)
