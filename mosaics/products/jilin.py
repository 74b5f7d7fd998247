"""Jilin-1, day and night: `*_meta.xml` beside `*.tif` and `*_rpc.txt`. Source: sensors.md, sections 1 to 3.

Names of files, and that those of 07B tell Beijing time: catalyst.earth, GDB reference, Jilin-1 to JL1GF03. No
document of the metadata is public. That they are <MetaData><ProductInfo> with longitudes of corners is known
from a program that reads them; what is read of them here (angles, clouds) has the names that other Chinese
products use: unverified, optional, and looked for at any depth. Radiometry, nodata and the zone of other
satellites' times are unverified.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from mosaics.products.delivery import (
    BandGroup,
    Delivery,
    DeliveryUnreadableError,
    ImageFile,
    ProductBand,
    View,
)
from mosaics.products.heads import read_head
from mosaics.products.xml import Element, number_of, parse_xml, plain

_METADATA: Final = re.compile(
    r"(?P<scene>(?P<satellite>JL1[0-9A-Z]+)_(?P<camera>[0-9A-Z-]+)_(?P<time>\d{14})_\w*?(?P<level>L\d[0-9A-Z]*))"
    r"(?:_(?P<what>MSS|PAN|PSH))?(?P<order>_\d+)?_meta\.xml",
    re.IGNORECASE,
)
_IMAGE_ENDS: Final = (".tif", ".tiff")
_RPC_ENDS: Final = ("_rpc.txt", ".rpc", ".rpb")
_GROUPS: Final = {"MSS": "ms", "PAN": "pan", "PSH": "pms"}
_DAY: Final = {1: ("pan",), 3: ("blue", "green", "red"), 4: ("blue", "green", "red", "nir")}
"""Number of bands -> colours in file order; the near infrared is unsourced."""
_BAYER: Final = ("red", "green", "blue")
"""Of JL1GF03C and of night lights: order unverified (uses in public scripts agree)."""
_BAYER_SATELLITE: Final = re.compile(r"JL1GF03C", re.IGNORECASE)
_NIGHT: Final = re.compile(r"NTL|NIGHT", re.IGNORECASE)
_BEIJING_TIME: Final = re.compile(r"JL107B", re.IGNORECASE)
_BEIJING: Final = timezone(timedelta(hours=8))
_SUN_ELEVATION: Final = ("SunElevation", "SolarElevation", "SunAltitude")
_SUN_ZENITH: Final = ("SolarZenith", "SunZenith")
_SUN_AZIMUTH: Final = ("SolarAzimuth", "SunAzimuth")
_CLOUD: Final = ("CloudPercent",)


def find_jilin(path: Path) -> Path | None:
    """Give the metadata of a scene: of its multispectral image, else of another one; None: it is none.

    Args:
        path: A folder, metadata, or the image beside them.

    Raises:
        DeliveryUnreadableError: If a folder holds several scenes.
    """
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if _METADATA.fullmatch(each.name))
        scenes = {_scene(each) for each in found}
        if len(scenes) > 1:
            raise DeliveryUnreadableError(
                f"{path.name}: it holds {len(scenes)} scenes; name the metadata of the one to bank: "
                f"{', '.join(each.name for each in found[:5])}"
            )
        return found[0] if found else None
    if path.suffix.lower() in _IMAGE_ENDS:
        path = path.with_name(f"{path.stem}_meta.xml")
    if not path.is_file() or not _METADATA.fullmatch(path.name):
        return None
    return _all(path)[0]


def read_jilin(path: Path) -> Delivery:
    """Read a scene with all images of which the metadata are there.

    Raises:
        DeliveryUnreadableError: If it can't be understood.
    """
    named = _METADATA.fullmatch(path.name)
    if named is None:
        raise DeliveryUnreadableError(f"{path.name}: it is no metadata of Jilin-1")
    files = _all(path)
    documents = [plain(parse_xml(each)) for each in files]
    view = _view(documents[0])
    is_night = bool(_NIGHT.search(path.name)) or (view.sun_elevation is not None and view.sun_elevation < 0)
    is_bayer = is_night or bool(_BAYER_SATELLITE.match(named["satellite"]))
    groups = tuple(_group(each, is_bayer=is_bayer) for each in files)
    names = [group.name for group in groups]
    if len(set(names)) != len(names):
        raise DeliveryUnreadableError(f"{path.name}: the same image is beside it twice; keep one of each")
    return Delivery(
        name=named["scene"],
        sensor_id="jilin-1-night" if is_night else "jilin-1",
        platform=f"Jilin-1 {named['satellite'].upper()}",
        groups=groups,
        acquired=_acquired(named["satellite"], named["time"]),
        view=view,
        cloud_cover=_first(documents[0], _CLOUD),
        level=named["level"].upper(),
    )


def _scene(path: Path) -> str:
    """Name what the images of a scene have in common."""
    named = _METADATA.fullmatch(path.name)
    return "" if named is None else named["scene"].upper()


def _all(path: Path) -> list[Path]:
    """Give the metadata of all images of a scene, the multispectral first."""
    found = [each for each in path.parent.iterdir() if each.is_file() and _scene(each) == _scene(path)]
    return sorted(found, key=lambda each: ("PAN" in each.name.upper(), each.name))


def _group(path: Path, *, is_bayer: bool) -> BandGroup:
    named = _METADATA.fullmatch(path.name)
    stem = path.name[: -len("_meta.xml")]
    image = _beside(path, stem, _IMAGE_ENDS) or path.with_name(f"{stem}.tif")
    head = read_head(image)
    what = "" if named is None or named["what"] is None else named["what"].upper()
    count = head.samples if head is not None else 1 if what == "PAN" else 3
    if count not in _DAY:
        raise DeliveryUnreadableError(
            f"{image.name}: it has {count} bands, and Jilin-1 has 1, 3 or 4; name a sensor with --sensor"
        )
    colours = _BAYER if is_bayer and count == 3 else _DAY[count]
    is_sensor = named is not None and named["level"].upper().startswith("L1")
    return BandGroup(
        name=_GROUPS.get(what, "pan" if count == 1 else "ms"),
        files=(ImageFile(path=image, row=1, column=1, bands=colours),),
        bands=tuple(ProductBand(id=colour, common_name=colour) for colour in colours),
        height=0 if head is None else head.height,
        width=0 if head is None else head.width,
        geometry="sensor" if is_sensor else "ground",
        rpc=_beside(path, stem, _RPC_ENDS) if is_sensor else None,
        metadata=path,
    )


def _beside(path: Path, stem: str, ends: tuple[str, ...]) -> Path | None:
    """Give the file of that stem with the first ending that there is, whatever the case."""
    names = {each.name.casefold(): each for each in sorted(path.parent.iterdir())}
    return next((names[name] for end in ends if (name := f"{stem}{end}".casefold()) in names), None)


def _view(root: Element) -> View:
    elevation, zenith = _first(root, _SUN_ELEVATION), _first(root, _SUN_ZENITH)
    return View(
        sun_elevation=90 - zenith if elevation is None and zenith is not None else elevation,
        sun_azimuth=_first(root, _SUN_AZIMUTH),
    )


def _first(root: Element, names: tuple[str, ...]) -> float | None:
    """Give the first number that is told by one of those names, at any depth."""
    found = (number_of(each, ".") for name in names for each in root.iter(name))
    return next((value for value in found if value is not None), None)


def _acquired(satellite: str, time: str) -> datetime | None:
    zone = _BEIJING if _BEIJING_TIME.match(satellite) else UTC
    try:
        return datetime.strptime(time, "%Y%m%d%H%M%S").replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        return None
