"""CNES' internal format of Pléiades, DIMAP_PHR: one document, its coefficients within.

It has no public description: what is read here is what a real panchromatic document of version 1.4 says.
Unverified: gains are taken as those of DIMAP 2 (counts / gain + bias), being of the same size; PSI_XY is
taken for the angle off nadir, being both pointing angles in one (tan2 = tan2 x + tan2 y) and fitting the
incidence at the ground. CLOUD_NOTATION has no unit, and is left out. In which order several bands lie is not
known, so these are refused. Source of the coefficients: see `rpc`.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Final

from mosaics.products.delivery import (
    BandGroup,
    Delivery,
    DeliveryUnreadableError,
    ImageFile,
    ProductBand,
    Radiometry,
    View,
    check_single,
)
from mosaics.products.dimap_heads import dimap_kind
from mosaics.products.xml import Element, inside, instant_of, number_of, parse_xml, text_of

_LEVEL: Final = "SENSOR"
_PAN: Final = frozenset({"PA", "P", "PAN"})
_PLACE: Final = re.compile(r".*_R(?P<row>[1-9]\d{0,3})C(?P<column>[1-9]\d{0,3})\.\w+", re.IGNORECASE)
_RANGES: Final = (
    "Geometric_Data/Sensor_Model_Characteristics/UTC_Sensor_Model_Range",
    "Data_Strip/UTC_Acquisition_Range",
)
"""Of the image itself, else of the strip that it is cut of."""


def find_dimap_internal(path: Path) -> Path | None:
    """Give the document of a delivery; None: it is none.

    Args:
        path: Its folder, or the document.

    Raises:
        DeliveryUnreadableError: If a folder holds several.
    """
    if path.is_file():
        return path if dimap_kind(path) == "internal" else None
    if not path.is_dir():
        return None
    found = [each for each in sorted(path.iterdir()) if each.is_file() and dimap_kind(each) == "internal"]
    check_single(path, found)
    return found[0] if found else None


def read_dimap_internal(path: Path) -> Delivery:
    """Read a delivery by its document.

    Raises:
        DeliveryUnreadableError: If it can't be understood.
    """
    root = parse_xml(path)
    if text_of(root, "Metadata_Identification/METADATA_FORMAT") != "DIMAP_PHR":
        raise DeliveryUnreadableError(f"{path.name}: it is no document of CNES' internal format of Pléiades")
    level = text_of(root, "Product_Characteristics/PROCESSING_LEVEL")
    if level != _LEVEL:
        raise DeliveryUnreadableError(
            f"{path.name}: of CNES' internal format only the level {_LEVEL} is known here, not {level}; "
            "ask for the product in DIMAP 2"
        )
    strip = root.find("Data_Strip/Data_Strip_Identification")
    acquired = _acquired(root)
    return Delivery(
        name=text_of(root, "Dataset_Identification/DATASET_NAME") or path.stem,
        sensor_id="pleiades" if text_of(strip, "PLATFORM_NAME") == "PHR" else "",
        platform=" ".join(filter(None, ("Pléiades", text_of(strip, "PLATFORM_SERIAL_NUMBER")))),
        groups=(_group(root, path),),
        acquired=acquired,
        view=_view(root, acquired),
        copyright=text_of(root, "Dataset_Identification/COPYRIGHT"),
        level=level,
    )


def _acquired(root: Element) -> datetime | None:
    """Give when the middle of the image was seen."""
    for place in _RANGES:
        start, end = (instant_of(root, f"{place}/{name}") for name in ("START", "END"))
        if start is not None and end is not None:
            return start + (end - start) / 2
    return None


def _view(root: Element, acquired: datetime | None) -> View:
    """Give the angles at the listed instant that is nearest to the middle of the image."""
    told = [
        (instant, each)
        for each in root.findall("Data_Strip/Geometric_Header_List/Located_Geometric_Header")
        if (instant := instant_of(each, "UTC_TIME")) is not None
    ]
    if acquired is None or not told:
        return View()
    _, middle = min(told, key=lambda each: abs(each[0] - acquired))
    return View(
        incidence=number_of(middle, "Incidences/GLOBAL_INCIDENCE"),
        off_nadir=number_of(middle, "Pointing_Angles/PSI_XY"),
        sun_elevation=number_of(middle, "Solar_Incidences/SUN_ELEVATION"),
        sun_azimuth=number_of(middle, "Solar_Incidences/SUN_AZIMUTH"),
    )


def _group(root: Element, path: Path) -> BandGroup:
    rows, columns, count = (
        number_of(root, f"Raster_Dimensions/{name}") for name in ("NROWS", "NCOLS", "NBANDS")
    )
    if not rows or not columns or not count:
        raise DeliveryUnreadableError(f"{path.name}: it does not say how large its image is")
    bands = tuple(_band(each) for each in root.findall("Image_Interpretation/Spectral_Band_Info"))
    if count != 1 or len(bands) != 1:
        raise DeliveryUnreadableError(
            f"{path.name}: it does not say in which order its {int(count)} bands lie, and CNES' internal "
            "format has no public description; ask for the product in DIMAP 2, or describe it in a file of "
            "your own (docs/guides/sidecar.md)"
        )
    image = root.find("Product_Characteristics/Product_Image_Characteristics")
    special = {
        text_of(each, "SPECIAL_VALUE_TEXT"): number_of(each, "SPECIAL_VALUE_INDEX")
        for each in root.iter("Special_Values")
    }
    return BandGroup(
        name="pan",
        files=_files(image, path, tuple(band.id for band in bands)),
        bands=bands,
        height=int(rows),
        width=int(columns),
        geometry="sensor",
        nodata=special.get("NODATA"),
        saturated=special.get("SATURATED"),
        rpc=path if root.find("Geoposition/Rational_Sensor_Model/Global_RFM") is not None else None,
        radiometry=_radiometry(root),
        metadata=path,
    )


def _band(told: Element) -> ProductBand:
    name = text_of(told, "BAND_ID") or "PA"
    return ProductBand(
        id=name,
        common_name="pan" if name.upper() in _PAN else None,
        gain=number_of(told, "PHYSICAL_GAIN"),
        bias=number_of(told, "PHYSICAL_BIAS"),
    )


def _files(image: Element | None, path: Path, bands: tuple[str, ...]) -> tuple[ImageFile, ...]:
    """Give the parts; where they lie only their names tell."""
    listed = [] if image is None else image.findall("Data_Access/Data_File/DATA_FILE_PATH")
    found = []
    for each in listed:
        file = inside(path.parent, each.get("href") or (each.text or "").strip(), path)
        place = _PLACE.fullmatch(file.name) if len(listed) > 1 else None
        if place is None and len(listed) > 1:
            raise DeliveryUnreadableError(f"{path.name}: it does not say where {file.name} lies in its image")
        row, column = (1, 1) if place is None else (int(place["row"]), int(place["column"]))
        found.append(ImageFile(path=file, row=row, column=column, bands=bands))
    if not found:
        raise DeliveryUnreadableError(f"{path.name}: it names no image file")
    return tuple(found)


def _radiometry(root: Element) -> Radiometry:
    """Counts are radiance unless they were stretched for the eye, or nothing is said of it."""
    stretched = text_of(root, "Radiometric_Data/Processing_Options/RADIOMETRIC_STRETCH")
    return "radiance" if stretched == "false" else "unknown"
