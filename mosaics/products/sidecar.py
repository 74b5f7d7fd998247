"""A product that a file of ours describes, `*.flux.json`: of no public format (CO3D), or a derived one.

Its keys are told in docs/guides/sidecar.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

from mosaics.models import Kind
from mosaics.products.delivery import (
    BandGroup,
    Delivery,
    DeliveryUnreadableError,
    Driver,
    Geometry,
    ImageFile,
    ProductBand,
    Radiometry,
    View,
    check_single,
)
from mosaics.products.documents import Document, json_number, json_text, parse_json
from mosaics.products.heads import read_head
from mosaics.products.xml import inside

ENDING: Final = ".flux.json"
_DOCUMENT: Final = frozenset({"product", "sensor", "files"})
_DOCUMENT_OPTIONAL: Final = frozenset(
    {
        *("name", "platform", "datetime", "copyright", "cloud_cover", "snow_cover", "level"),
        *("processing_version", "kind", "view"),
    }
)
_FILE: Final = frozenset({"path", "bands"})
_FILE_OPTIONAL: Final = frozenset({"nodata", "saturated", "radiometry", "geometry", "rpc"})
_BAND: Final = frozenset({"id"})
_BAND_OPTIONAL: Final = frozenset({"common_name", "gain", "bias", "reflectance", "irradiance", "range_nm"})
_COMMON: Final = frozenset(
    {
        *("coastal", "blue", "green", "green05", "yellow", "red", "rededge", "rededge071", "rededge075"),
        *("rededge078", "nir", "nir08", "nir09", "cirrus", "swir16", "swir22", "pan", "elevation"),
    }
)
"""Names of bands that are also common names, of STAC's extension eo and of sensor files."""
_DRIVERS: Final[dict[str, Driver]] = {".jp2": "JP2OpenJPEG", ".ntf": "NITF", ".nitf": "NITF"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """An object of the document, and where it stands."""

    document: Document
    place: str
    """Such as files.ms; empty for the whole."""
    path: Path

    def error(self, key: str, reason: str) -> DeliveryUnreadableError:
        """Give the error of a key: file, place, reason."""
        place = ".".join(filter(None, (self.place, key)))
        return DeliveryUnreadableError(f"{self.path.name}: {place}: {reason}")

    def check(self, required: frozenset[str], optional: frozenset[str]) -> None:
        """Refuse keys that are missing or unknown."""
        for key in sorted(required - self.document.keys()):
            raise self.error(key, "it is missing")
        for key in sorted(self.document.keys() - required - optional):
            known = ", ".join(sorted(required | optional))
            raise self.error(key, f"no such key; known here are {known}")

    def part(self, key: str) -> _Part:
        """Give an object below this one; an empty one where the key is not there."""
        value = self.document.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, "it must be an object")
        return _Part(document=value, place=".".join(filter(None, (self.place, key))), path=self.path)

    def text(self, key: str) -> str | None:
        """Give a text; None where the key is not there."""
        if key not in self.document:
            return None
        found = json_text(self.document[key])
        if found is None:
            raise self.error(key, "it must be a text")
        return found

    def number(self, key: str, low: float = float("-inf"), high: float = float("inf")) -> float | None:
        """Give a number within limits; None where the key is not there."""
        if key not in self.document:
            return None
        found = json_number(self.document[key])
        if found is None or not low <= found <= high:
            within = "" if low == float("-inf") else f" from {low:g} to {high:g}"
            raise self.error(key, f"it must be a number{within}")
        return found

    def one_of(self, key: str, known: Iterable[str]) -> Any:
        """Give a text that is one of those; None where the key is not there."""
        found, words = self.text(key), tuple(known)
        if found is not None and found not in words:
            raise self.error(key, f"it must be one of {', '.join(words)}")
        return found


def find_sidecar(path: Path) -> Path | None:
    """Give the description of a product; None: it has none.

    Args:
        path: A folder, the description, or an image beside its own: `a.tif` beside `a.tif.flux.json` or
            `a.flux.json`.

    Raises:
        DeliveryUnreadableError: If a folder holds several.
    """
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if _is_sidecar(each))
        check_single(path, found)
        return found[0] if found else None
    if not path.is_file():
        return None
    if _is_sidecar(path):
        return path
    beside = (path.with_name(f"{name}{ENDING}") for name in (path.name, path.stem))
    return next((each for each in beside if each.is_file()), None)


def _is_sidecar(path: Path) -> bool:
    return path.name.lower().endswith(ENDING) and not path.name.startswith(".")


def read_sidecar(path: Path) -> Delivery:
    """Read a product by its description.

    Raises:
        DeliveryUnreadableError: If it is not as docs/guides/sidecar.md has it; it names key and reason.
    """
    whole = _Part(document=parse_json(path), place="", path=path)
    whole.check(_DOCUMENT, _DOCUMENT_OPTIONAL)
    files = whole.part("files")
    if not files.document:
        raise whole.error("files", "it must name at least one image")
    product = whole.text("product") or ""
    view = whole.part("view")
    view.check(frozenset(), frozenset(each.name for each in fields(View)))
    return Delivery(
        name=whole.text("name") or path.name[: -len(ENDING)],
        sensor_id=whole.text("sensor") or "",
        platform=whole.text("platform") or product.upper(),
        groups=tuple(_group(files.part(name), name) for name in files.document),
        acquired=_instant(whole),
        view=View(
            incidence=view.number("incidence", 0, 90),
            azimuth=view.number("azimuth", 0, 360),
            off_nadir=view.number("off_nadir", -90, 90),
            sun_elevation=view.number("sun_elevation", -90, 90),
            sun_azimuth=view.number("sun_azimuth", 0, 360),
        ),
        copyright=whole.text("copyright"),
        cloud_cover=whole.number("cloud_cover", 0, 100),
        snow_cover=whole.number("snow_cover", 0, 100),
        level=whole.text("level"),
        processing_version=whole.text("processing_version"),
        kind=whole.one_of("kind", get_args(Kind)),
    )


def _instant(whole: _Part) -> datetime | None:
    told = whole.text("datetime")
    if told is None:
        return None
    try:
        found = datetime.fromisoformat(told)
    except ValueError as error:
        raise whole.error("datetime", "it must be a time such as 2026-03-14T10:52:07Z") from error
    if found.tzinfo is None:
        raise whole.error("datetime", "it must tell its zone, such as Z for UTC")
    return found.astimezone(UTC)


def _group(part: _Part, name: str) -> BandGroup:
    part.check(_FILE, _FILE_OPTIONAL)
    if not name.replace("_", "").replace("-", "").isalnum():
        raise part.error("", "a name has letters, digits, _ and - only")
    image = inside(part.path.parent, part.text("path"), part.path)
    bands = _bands(part)
    head = read_head(image)
    if head is not None and head.samples not in {len(bands), len(bands) + 1}:
        raise part.error("bands", f"they are {len(bands)}, and {image.name} has {head.samples}")
    geometry: Geometry = part.one_of("geometry", get_args(Geometry)) or "ground"
    rpc = part.text("rpc")
    if rpc is not None and geometry == "ground":
        raise part.error("rpc", 'only an image whose geometry is "sensor" has coefficients')
    radiometry: Radiometry = part.one_of("radiometry", get_args(Radiometry)) or "unknown"
    return BandGroup(
        name=name,
        files=(
            ImageFile(
                path=image,
                row=1,
                column=1,
                bands=tuple(band.id for band in bands),
                driver=_DRIVERS.get(image.suffix.lower(), "GTiff"),
            ),
        ),
        bands=bands,
        height=0 if head is None else head.height,
        width=0 if head is None else head.width,
        geometry=geometry,
        nodata=part.number("nodata"),
        saturated=part.number("saturated"),
        rpc=None if rpc is None else inside(part.path.parent, rpc, part.path),
        radiometry=radiometry,
        metadata=part.path,
    )


def _bands(part: _Part) -> tuple[ProductBand, ...]:
    listed = part.document["bands"]
    if not isinstance(listed, list) or not listed:
        raise part.error("bands", "it must be a list of bands in file order, alpha left out")
    found = tuple(_band(part, place, each) for place, each in enumerate(listed))
    if len({band.id for band in found}) != len(found):
        raise part.error("bands", "two of them have the same name")
    return found


def _band(part: _Part, place: int, listed: object) -> ProductBand:
    """Read a band: a name, or an object that tells more."""
    document = {"id": listed} if isinstance(listed, str) else listed
    if not isinstance(document, dict):
        raise part.error(f"bands.{place}", "it must be a name or an object")
    band = _Part(document=document, place=f"{part.place}.bands.{place}", path=part.path)
    band.check(_BAND, _BAND_OPTIONAL)
    name = band.text("id") or ""
    gain = band.number("gain")
    if gain == 0:
        raise band.error("gain", "counts can't be divided by 0")
    return ProductBand(
        id=name,
        common_name=band.text("common_name") or (name if name in _COMMON else None),
        gain=gain,
        bias=band.number("bias"),
        reflectance=band.number("reflectance"),
        irradiance=band.number("irradiance"),
        range_nm=_range(band),
    )


def _range(band: _Part) -> tuple[float, float] | None:
    if "range_nm" not in band.document:
        return None
    listed = band.document["range_nm"]
    low, high = map(json_number, listed) if isinstance(listed, list) and len(listed) == 2 else (None, None)
    if low is None or high is None or not 0 < low < high:
        raise band.error("range_nm", "it must be two numbers, such as [450, 520]")
    return low, high
