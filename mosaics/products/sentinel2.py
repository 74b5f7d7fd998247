"""Sentinel-2's SAFE, L1C and L2A: one tile, each band in its own file. Source: sensors.md, sections 1 to 3.

The tags of the former layout (before December 2016), of which GDAL's tests have a product, are read too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

from mosaics.products.delivery import (
    BandGroup,
    Delivery,
    DeliveryIncompleteError,
    DeliveryUnreadableError,
    ImageFile,
    Mask,
    ProductBand,
    View,
)
from mosaics.products.documents import utc
from mosaics.products.xml import Element, inside, number_of, parse_xml, plain, text_of

_PRODUCT: Final = re.compile(
    r"MTD_MSIL(?:1C|2A)\.xml|S2[A-D]_\w{4}_MTD_SAFL(?:1C|2A)(?:_\w+)?\.xml", re.IGNORECASE
)
_TILE: Final = re.compile(r"MTD_TL\.xml|S2[A-D]_\w{4}_MTD_(?:L1C|L2A)_\w+\.xml", re.IGNORECASE)
_IMAGE: Final = re.compile(r"_(?P<band>B\d\d|B8A|SCL)(?:_L2A_\w+?)?(?:_(?P<metres>[126]0)m)?$")
_NATIVE: Final = {
    10: ("B02", "B03", "B04", "B08"),
    20: ("B05", "B06", "B07", "B8A", "B11", "B12"),
    60: ("B01", "B09", "B10"),
}
"""Metres of a pixel -> bands that are seen so."""
_COMMON: Final = {
    "B01": "coastal", "B02": "blue", "B03": "green", "B04": "red", "B05": "rededge071", "B06": "rededge075",
    "B07": "rededge078", "B08": "nir", "B8A": "nir08", "B09": "nir09", "B10": "cirrus", "B11": "swir16",
    "B12": "swir22",
}  # fmt: skip
_BAND_IDS: Final = (
    *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"),
)
"""In the order of the product's numbers, from 0."""
_OFFSET_BASELINE: Final = 4.0
_OFFSET: Final = -1000.0
"""Added to counts since that baseline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Image:
    """A file that the product names."""

    path: Path
    band: str
    metres: int


def find_sentinel2(path: Path) -> Path | None:
    """Give the product's metadata; None: it is none.

    Args:
        path: The SAFE folder, or the metadata.
    """
    if path.is_file():
        return path if _PRODUCT.fullmatch(path.name) else None
    found = sorted(each for each in path.iterdir() if _PRODUCT.fullmatch(each.name)) if path.is_dir() else []
    return found[0] if found else None


def read_sentinel2(path: Path) -> Delivery:
    """Read a product of one tile.

    Raises:
        DeliveryUnreadableError: If it can't be understood, or has several tiles.
        DeliveryIncompleteError: If its tile's metadata are not there.
    """
    root = plain(parse_xml(path))
    granule = _granule(root, path)
    images = _images(granule, path)
    folder = _granule_folder(granule, images, path)
    tile = _tile(folder, path)
    chosen = _chosen(images)
    scl = sorted((each for each in images if each.band == "SCL"), key=lambda image: image.metres)
    spacecraft = text_of(root, ".//SPACECRAFT_NAME") or "Sentinel-2"
    return Delivery(
        name=(text_of(root, ".//PRODUCT_URI") or path.parent.name).removesuffix(".SAFE"),
        sensor_id="sentinel-2",
        platform=spacecraft,
        groups=tuple(
            _group(root, tile, path, metres, chosen[metres]) for metres in _NATIVE if chosen[metres]
        ),
        acquired=utc(text_of(tile, ".//SENSING_TIME") or text_of(root, ".//PRODUCT_START_TIME")),
        view=_view(tile),
        masks=tuple(Mask(kind="scl", path=each.path) for each in scl[:1]),
        cloud_cover=number_of(root, ".//Cloud_Coverage_Assessment"),
        snow_cover=number_of(tile, ".//SNOW_ICE_PERCENTAGE"),
        level=text_of(root, ".//PROCESSING_LEVEL"),
        processing_version=text_of(root, ".//PROCESSING_BASELINE"),
    )


def _granule(root: Element, path: Path) -> Element:
    found = [each for name in ("Granule", "Granules") for each in root.iter(name)]
    if not found:
        raise DeliveryUnreadableError(f"{path.name}: it names no tile")
    if len({each.get("granuleIdentifier") for each in found}) > 1:
        raise DeliveryUnreadableError(
            f"{path.name}: it holds {len(found)} tiles, as products before December 2016 do; "
            "bank its tiles as products of one tile each"
        )
    return found[0]


def _images(granule: Element, path: Path) -> tuple[_Image, ...]:
    """Give the bands and the scene classes of all resolutions; the other files are not served."""
    found: list[_Image] = []
    for each in granule:
        name = (each.text or "").strip()
        match = _IMAGE.search(name)
        if match is None:
            continue
        metres = int(match["metres"] or _metres(match["band"]))
        if each.tag == "IMAGE_FILE":
            place = inside(path.parent, f"{name}.jp2", path)
        else:
            place = _former_place(granule, name, metres, path)
        found.append(_Image(path=place, band=match["band"], metres=metres))
    if not any(each.band != "SCL" for each in found):
        raise DeliveryUnreadableError(f"{path.name}: it names no image")
    return tuple(found)


def _metres(band: str) -> int:
    return next((metres for metres, bands in _NATIVE.items() if band in bands), 20)


def _former_place(granule: Element, name: str, metres: int, path: Path) -> Path:
    """Give where an image lies of which the former layout tells the name only."""
    folder = f"GRANULE/{granule.get('granuleIdentifier')}/IMG_DATA"
    places = [inside(path.parent, f"{folder}/{below}{name}.jp2", path) for below in (f"R{metres}m/", "")]
    return next((each for each in places if each.is_file()), places[0])


def _granule_folder(granule: Element, images: tuple[_Image, ...], path: Path) -> Path:
    """Give the tile's folder: the one below GRANULE in which its images lie."""
    base = path.parent / "GRANULE"
    for each in images:
        if each.path.is_relative_to(base):
            return base / each.path.relative_to(base).parts[0]
    return inside(path.parent, f"GRANULE/{granule.get('granuleIdentifier')}", path)


def _tile(folder: Path, path: Path) -> Element:
    found = sorted(each for each in folder.iterdir() if _TILE.fullmatch(each.name)) if folder.is_dir() else []
    if not found:
        raise DeliveryIncompleteError(
            f"{path.name}: the metadata of its tile (GRANULE/{folder.name}/MTD_TL.xml) are not there; "
            "copy the whole delivery and bank it again"
        )
    return plain(parse_xml(found[0]))


def _chosen(images: tuple[_Image, ...]) -> dict[int, dict[str, Path]]:
    """Give each band's file, by resolution: the band's own, else the next finer, else the next coarser."""
    chosen: dict[int, dict[str, Path]] = {metres: {} for metres in _NATIVE}
    for band in _BAND_IDS:
        native = _metres(band)
        of_band = {each.metres: each.path for each in images if each.band == band}
        if of_band:
            metres = min(of_band, key=lambda each: (each > native, abs(each - native)))
            chosen[metres][band] = of_band[metres]
    return chosen


def _group(root: Element, tile: Element, path: Path, metres: int, files: dict[str, Path]) -> BandGroup:
    size = next((each for each in tile.iter("Size") if each.get("resolution") == str(metres)), None)
    rows, columns = number_of(size, "NROWS"), number_of(size, "NCOLS")
    if not rows or not columns:
        raise DeliveryUnreadableError(
            f"{path.name}: its tile does not say how large its {metres} m images are"
        )
    special = {
        text_of(each, "SPECIAL_VALUE_TEXT"): number_of(each, "SPECIAL_VALUE_INDEX")
        for each in root.iter("Special_Values")
    }
    bands = tuple(_band(root, name) for name in files)
    return BandGroup(
        name=f"r{metres}m",
        files=tuple(
            ImageFile(path=each, row=1, column=1, bands=(name,), driver="JP2OpenJPEG")
            for name, each in files.items()
        ),
        bands=bands,
        height=int(rows),
        width=int(columns),
        geometry="ground",
        nodata=special.get("NODATA", 0.0),
        saturated=special.get("SATURATED"),
        radiometry="reflectance" if all(band.gain for band in bands) else "unknown",
        metadata=path,
    )


def _band(root: Element, name: str) -> ProductBand:
    number = str(_BAND_IDS.index(name))
    quantification = next(
        (
            value
            for tag in ("QUANTIFICATION_VALUE", "BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")
            if (value := number_of(root, f".//{tag}")) is not None
        ),
        None,
    )
    offset = _offset(root, number)
    spectral = next(
        (each for each in root.iter("Spectral_Information") if each.get("bandId") == number), None
    )
    sun = next((each for each in root.iter("SOLAR_IRRADIANCE") if each.get("bandId") == number), None)
    low, high = number_of(spectral, "Wavelength/MIN"), number_of(spectral, "Wavelength/MAX")
    return ProductBand(
        id=name,
        common_name=_COMMON[name],
        gain=quantification,
        bias=offset / quantification if offset and quantification else None,
        irradiance=number_of(sun, "."),
        range_nm=(low, high) if low is not None and high is not None and 0 < low < high else None,
    )


def _offset(root: Element, number: str) -> float:
    """Give what is added to counts: as the product says, else as its baseline does, whatever its date."""
    for tag in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET"):
        for each in root.iter(tag):
            told = number_of(each, ".") if each.get("band_id") == number else None
            if told is not None:
                return told
    baseline = number_of(root, ".//PROCESSING_BASELINE")
    return _OFFSET if baseline is not None and baseline >= _OFFSET_BASELINE else 0.0


def _view(tile: Element) -> View:
    zenith = number_of(tile, ".//Mean_Sun_Angle/ZENITH_ANGLE")
    seen = [
        value
        for each in tile.iter("Mean_Viewing_Incidence_Angle")
        if (value := number_of(each, "ZENITH_ANGLE")) is not None
    ]
    return View(
        incidence=fmean(seen) if seen else None,
        sun_elevation=None if zenith is None else 90 - zenith,
        sun_azimuth=number_of(tile, ".//Mean_Sun_Angle/AZIMUTH_ANGLE"),
    )
