"""PlanetScope: an image with its metadata and its mask beside it. Source: sensors.md, sections 1 to 3."""

from __future__ import annotations

import re
from datetime import UTC, datetime
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
from mosaics.products.xml import Element, inside, number_of, parse_xml, plain, text_of

_METADATA: Final = re.compile(r"(?P<image>.+_3[AB]_Analytic.*)_metadata(?P<clip>_clip)?\.xml", re.IGNORECASE)
_IMAGE: Final = re.compile(r".+_3[AB]_Analytic.*\.tif", re.IGNORECASE)
_BANDS: Final = {
    4: (("blue", "blue"), ("green", "green"), ("red", "red"), ("nir", "nir")),
    8: (
        *(("coastal_blue", "coastal"), ("blue", "blue"), ("green_i", "green05"), ("green", "green")),
        *(("yellow", "yellow"), ("red", "red"), ("rededge", "rededge"), ("nir", "nir")),
    ),
}
"""Number of bands -> (Planet's name, STAC's), in file order."""
_SCALE: Final = 100.0
"""Counts of one W/m2/sr/um."""


def find_planet(path: Path) -> Path | None:
    """Give the metadata of a delivery of PlanetScope; None: it is none.

    Args:
        path: A folder, the metadata, or the image beside it.

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
    if not _IMAGE.fullmatch(path.name):
        return None
    stem = re.sub(r"_(SR|harmonized|clip|file_format)+$", "", path.stem, flags=re.IGNORECASE)
    beside = (path.with_name(f"{each}_metadata.xml") for each in (path.stem, stem))
    return next((each for each in beside if each.is_file()), None)


def read_planet(path: Path, image: Path | None = None) -> Delivery:
    """Read a delivery by its metadata.

    Args:
        path: The metadata.
        image: The image that is meant, where it is another than the one that the metadata names: surface
            reflectance has the metadata of the image that it was made of.

    Raises:
        DeliveryUnreadableError: If it can't be understood.
    """
    root = plain(parse_xml(path))
    product = root.find(".//ProductInformation")
    platform = root.find(".//Platform")
    if product is None or text_of(platform, "shortName") != "PlanetScope":
        raise DeliveryUnreadableError(f"{path.name}: it is no metadata of PlanetScope")
    count = int(number_of(product, "numBands") or 0)
    if count not in _BANDS:
        raise DeliveryUnreadableError(
            f"{path.name}: it says {count} bands, and PlanetScope has 4 or 8; name a sensor with --sensor"
        )
    rows, columns = number_of(product, "numRows"), number_of(product, "numColumns")
    if not rows or not columns:
        raise DeliveryUnreadableError(f"{path.name}: it does not say how large its image is")
    where = image if image is not None else inside(path.parent, text_of(product, "fileName"), path)
    radiometry: Radiometry = "reflectance" if re.search(r"_SR(_|\.|$)", where.name) else "radiance"
    group = BandGroup(
        name="ms",
        files=(ImageFile(path=where, row=1, column=1, bands=tuple(name for name, _ in _BANDS[count])),),
        bands=_bands(root, count, radiometry),
        height=int(rows),
        width=int(columns),
        geometry="ground",
        nodata=0,
        radiometry=radiometry,
        metadata=path,
    )
    acquisition = root.find(".//Acquisition")
    return Delivery(
        name=where.stem,
        sensor_id="planetscope",
        platform=" ".join(filter(None, ("PlanetScope", text_of(platform, "serialIdentifier")))),
        groups=(group,),
        acquired=_acquired(text_of(acquisition, "acquisitionDateTime")),
        view=View(
            incidence=number_of(acquisition, "incidenceAngle"),
            azimuth=number_of(acquisition, "azimuthAngle"),
            off_nadir=number_of(acquisition, "spaceCraftViewAngle"),
            sun_elevation=number_of(acquisition, "illuminationElevationAngle"),
            sun_azimuth=number_of(acquisition, "illuminationAzimuthAngle"),
        ),
        masks=_masks(root, path),
        cloud_cover=number_of(root, ".//cloudCoverPercentage"),
        level=text_of(root, ".//productType"),
    )


def _bands(root: Element, count: int, radiometry: Radiometry) -> tuple[ProductBand, ...]:
    factors = {
        int(number_of(each, "bandNumber") or 0): number_of(each, "reflectanceCoefficient")
        for each in root.iter("bandSpecificMetadata")
    }
    is_radiance = radiometry == "radiance"
    return tuple(
        ProductBand(
            id=name,
            common_name=common,
            gain=_SCALE if is_radiance else 10_000,
            bias=0.0 if is_radiance else None,
            reflectance=factors.get(place) if is_radiance else None,
        )
        for place, (name, common) in enumerate(_BANDS[count], 1)
    )


def _acquired(told: str | None) -> datetime | None:
    try:
        return None if told is None else datetime.fromisoformat(told).astimezone(UTC)
    except ValueError:
        return None


def _masks(root: Element, path: Path) -> tuple[Mask, ...]:
    """Give the mask that the metadata names, and the newer one where it lies beside."""
    found = [
        Mask(kind="udm", path=inside(path.parent, name, path))
        for each in root.iter("MaskInformation")
        if (name := text_of(each, "fileName")) is not None and name.lower().endswith("_udm.tif")
    ]
    scene = re.match(r"(.+_3[AB])_", path.name, re.IGNORECASE)
    if scene is not None:
        newer = path.with_name(f"{scene[1]}_udm2.tif")
        if newer.is_file():
            return (Mask(kind="udm2", path=newer),)
    return tuple(found)
