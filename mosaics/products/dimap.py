"""Airbus' DIMAP 2: Pléiades, SPOT 6 and 7, Pléiades Neo. Source: sensors.md, sections 1 to 3.

Documents are known by what they say; by their names only where they can't be read, so that this is told.
GAIN and BIAS are found by BAND_ID: their order is not that of the bands in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mosaics.products.delivery import (
    BandGroup,
    Delivery,
    DeliveryIncompleteError,
    DeliveryUnreadableError,
    Geometry,
    ImageFile,
    ProductBand,
    Radiometry,
    View,
)
from mosaics.products.dimap_heads import DimapKind, dimap_kind
from mosaics.products.dimap_masks import find_masks
from mosaics.products.xml import Element, inside, number_of, parse_xml, text_of

_SENSORS: Final = (
    (re.compile(r"PHR|PLEIADES"), "pleiades", "Pléiades"),
    (re.compile(r"SPOT|S[67]\b|S[67]_"), "spot-6-7", "SPOT"),
    (re.compile(r"PNEO|PLEIADES NEO"), "pleiades-neo", "Pléiades Neo"),
)
_COMMON: Final = {
    "B0": "blue", "B1": "green", "B2": "red", "B3": "nir", "P": "pan", "PAN": "pan",
    "B": "blue", "G": "green", "R": "red", "NIR": "nir", "N": "nir", "RE": "rededge", "DB": "coastal",
}  # fmt: skip
"""BAND_ID -> STAC's common name."""
_RADIOMETRIES: Final[dict[str, Radiometry]] = {
    "BASIC": "radiance",
    "LINEAR_STRETCH": "radiance",
    "REFLECTANCE": "reflectance",
    "DISPLAY": "display",
    "SEAMLESS": "display",
}
"""RADIOMETRIC_PROCESSING -> what the counts are."""
_NANOMETRES: Final = {"nanometer": 1.0, "nanometers": 1.0, "micrometer": 1000.0, "micrometers": 1000.0}
_CHANNELS: Final = ("RED_CHANNEL", "GREEN_CHANNEL", "BLUE_CHANNEL")
_VOLUME: Final = re.compile(r"VOL_.*\.XML", re.IGNORECASE)
_DATASET: Final = re.compile(r"DIM_.*\.XML", re.IGNORECASE)


def find_dimap(path: Path) -> Path | None:
    """Give the file of a DIMAP 2 delivery that says most: the volume, else the one dataset; None: it is none.

    Args:
        path: A folder, or a file that is such a document.

    Raises:
        DeliveryUnreadableError: If a folder holds several.
    """
    if path.is_file():
        return path if _kind(path) is not None else None
    if not path.is_dir():
        return None
    kinds = [(each, _kind(each)) for each in sorted(path.iterdir()) if each.is_file()]
    for wanted in ("volume", "dataset"):
        found = [each for each, kind in kinds if kind == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            raise DeliveryUnreadableError(
                f"{path.name}: it holds {len(found)} products; name the one to bank: "
                f"{', '.join(each.name for each in found[:5])}"
            )
    return None


def _kind(path: Path) -> DimapKind | None:
    """Tell whether a file is a volume or a dataset: what it says counts, and its name if it says nothing."""
    said = dimap_kind(path)
    if said is not None:
        return said if said in {"volume", "dataset"} else None
    if _VOLUME.fullmatch(path.name):
        return "volume"
    return "dataset" if _DATASET.fullmatch(path.name) else None


def read_dimap(path: Path) -> Delivery:
    """Read a delivery by its volume or one of its datasets.

    Raises:
        DeliveryUnreadableError: If it can't be understood.
        DeliveryIncompleteError: If a dataset that the volume names is not there.
    """
    root = parse_xml(path)
    if text_of(root, "Metadata_Identification/METADATA_FORMAT") != "DIMAP":
        raise DeliveryUnreadableError(f"{path.name}: it is no DIMAP 2 document")
    profile = text_of(root, "Metadata_Identification/METADATA_PROFILE") or ""
    files = _datasets(root, path) if profile == "VOLUME" else (path,)
    documents = [(each, root if each == path else parse_xml(each)) for each in files]
    groups = tuple(_group(document, each) for each, document in documents)
    masks = tuple(
        mask
        for (each, document), group in zip(documents, groups, strict=True)
        for mask in find_masks(document, each, group.name, in_pixels=_has_pixel_masks(document))
    )
    names = [group.name for group in groups]
    if len(set(names)) != len(names):
        raise DeliveryUnreadableError(
            f"{path.name}: it holds several images of the same bands; bank each by its DIM file"
        )
    first, document = documents[0]
    return replace(_delivery(document, first, groups), vector_masks=masks)


def _datasets(root: Element, path: Path) -> tuple[Path, ...]:
    """Give the datasets that a volume names; of volumes in it their datasets."""
    found: list[Path] = []
    for component in root.findall("Dataset_Content/Dataset_Components/Component"):
        place = component.find("COMPONENT_PATH")
        href = None if place is None else place.get("href")
        if text_of(component, "COMPONENT_TYPE") != "DIMAP" or href is None:
            continue
        each = inside(path.parent, href, path)
        if each.is_file() and _kind(each) == "volume":
            found += _datasets(parse_xml(each), each)
        else:
            found.append(each)
    missing = [each.name for each in found if not each.is_file()]
    if missing:
        raise DeliveryIncompleteError(
            f"{path.name}: it names {', '.join(missing)}, which is not there; copy the whole delivery and "
            "bank it again, or bank one of its DIM files alone"
        )
    if not found:
        raise DeliveryUnreadableError(f"{path.name}: it names no product")
    return tuple(found)


def _has_pixel_masks(root: Element) -> bool:
    """Tell whether masks are in pixels: those of what was not put on the ground, or at one height only."""
    level = text_of(root, "Processing_Information/Product_Settings/PROCESSING_LEVEL") or ""
    return level.upper() in {"SENSOR", "PROJECTED"}


def _delivery(root: Element, path: Path, groups: tuple[BandGroup, ...]) -> Delivery:
    source = root.find(".//Strip_Source")
    mission = text_of(source, "MISSION") or text_of(root, "Metadata_Identification/METADATA_PROFILE") or ""
    sensor = next((each for each in reversed(_SENSORS) if each[0].search(mission.upper())), None)
    _, sensor_id, family = sensor or (None, "", mission)
    constraints = root.find("Dataset_Identification/Legal_Constraints")
    return Delivery(
        name=text_of(root, "Dataset_Identification/DATASET_NAME") or path.stem.removeprefix("DIM_"),
        sensor_id=sensor_id,
        platform=" ".join(filter(None, (family, text_of(source, "MISSION_INDEX")))),
        groups=groups,
        acquired=_acquired(root, source),
        view=_view(root),
        copyright=text_of(constraints, "COPYRIGHT"),
        cloud_cover=number_of(root, "Dataset_Content/CLOUD_COVERAGE"),
        snow_cover=number_of(root, "Dataset_Content/SNOW_COVERAGE"),
        level=text_of(root, "Processing_Information/Product_Settings/PROCESSING_LEVEL"),
    )


def _acquired(root: Element, source: Element | None) -> datetime | None:
    """Give when the middle of the image was seen, else when its strip began."""
    told = text_of(_centre(root), "TIME")
    if told is None and source is not None:
        day, time = text_of(source, "IMAGING_DATE"), text_of(source, "IMAGING_TIME")
        told = f"{day}T{time or '00:00:00'}" if day else None
    try:
        found = datetime.fromisoformat(told) if told else None
    except ValueError:
        return None
    if found is None:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _centre(root: Element) -> Element | None:
    """Give the values at the middle of the image."""
    places = root.findall(".//Located_Geometric_Values")
    return next((each for each in places if (text_of(each, "LOCATION_TYPE") or "").upper() == "CENTER"), None)


def _view(root: Element) -> View:
    centre = _centre(root)
    return View(
        incidence=number_of(centre, "Acquisition_Angles/INCIDENCE_ANGLE"),
        azimuth=number_of(centre, "Acquisition_Angles/AZIMUTH_ANGLE"),
        off_nadir=number_of(centre, "Acquisition_Angles/VIEWING_ANGLE"),
        sun_elevation=number_of(centre, "Solar_Incidences/SUN_ELEVATION"),
        sun_azimuth=number_of(centre, "Solar_Incidences/SUN_AZIMUTH"),
    )


def _group(root: Element, path: Path) -> BandGroup:
    """Read one dataset."""
    dimensions = root.find("Raster_Data/Raster_Dimensions")
    rows, columns, count = (number_of(dimensions, name) for name in ("NROWS", "NCOLS", "NBANDS"))
    if not rows or not columns or not count:
        raise DeliveryUnreadableError(f"{path.name}: it does not say how large its image is")
    files = _files(root, path, int(count))
    order = tuple(dict.fromkeys(band for file in files for band in file.bands))
    if len(order) != int(count):
        raise DeliveryUnreadableError(
            f"{path.name}: it says {int(count)} bands and names {', '.join(order) or 'none'}"
        )
    radiometry = _radiometry(root)
    geometry: Geometry = (
        "sensor" if text_of(root, "Geoposition/Raster_CRS/RASTER_GEOMETRY") == "SENSOR" else "ground"
    )
    special = {
        text_of(each, "SPECIAL_VALUE_TEXT"): number_of(each, "SPECIAL_VALUE_COUNT")
        for each in root.iter("Special_Value")
    }
    return BandGroup(
        name=_name(root, order),
        files=files,
        bands=tuple(_band(root, each, radiometry) for each in order),
        height=int(rows),
        width=int(columns),
        geometry=geometry,
        nodata=special.get("NODATA"),
        saturated=special.get("SATURATED"),
        rpc=_rpc(root, path) if geometry == "sensor" else None,
        radiometry=radiometry,
        metadata=path,
    )


def _name(root: Element, order: tuple[str, ...]) -> str:
    """Name the group as the product does: MS and MS-FS are ms, PMS and PMS-FS pms; one band is pan."""
    if len(order) == 1:
        return "pan"
    said = text_of(root, "Processing_Information/Product_Settings/SPECTRAL_PROCESSING") or "MS"
    return said.lower().partition("-")[0]


def _files(root: Element, path: Path, count: int) -> tuple[ImageFile, ...]:
    """Give all parts with their bands; Pléiades Neo has its six in two sets of files, each with its list."""
    sets = root.findall("Raster_Data/Data_Access/Data_Files")
    found: list[ImageFile] = []
    for each in sets:
        listed = (
            _listed(each) or _listed(root.find("Raster_Data")) if len(sets) > 1 else _order(root, path, count)
        )
        if not listed:
            raise DeliveryUnreadableError(f"{path.name}: it does not say which bands its files hold")
        for file in each.findall("Data_File"):
            place = file.find("DATA_FILE_PATH")
            found.append(
                ImageFile(
                    path=inside(path.parent, None if place is None else place.get("href"), path),
                    row=_whole(file.get("tile_R"), path),
                    column=_whole(file.get("tile_C"), path),
                    bands=tuple(listed),
                )
            )
    if not found:
        raise DeliveryUnreadableError(f"{path.name}: it names no image file")
    return tuple(found)


def _whole(text: str | None, path: Path) -> int:
    if text is None:
        return 1
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text):
        raise DeliveryUnreadableError(f"{path.name}: a part of its image has no place")
    return int(text)


def _listed(element: Element | None) -> tuple[str, ...]:
    """Give the bands of an index list, in its order, which is the file's."""
    places = [] if element is None else element.findall(".//Raster_Index_List/Raster_Index")
    return tuple(name for each in places if (name := text_of(each, "BAND_ID")) is not None)


def _order(root: Element, path: Path, count: int) -> tuple[str, ...]:
    """Give the order of the bands in the file.

    A list of indexes says so. Without one it is red, green, blue and near infrared where there are four;
    three are those that are shown as red, green and blue (providers disagree on which these are, so nothing
    is guessed); one is the one that is described.

    Raises:
        DeliveryUnreadableError: If nothing tells.
    """
    listed = _listed(root.find("Raster_Data"))
    if listed:
        return listed
    described = _described(root)
    if count == 1:
        return described[:1] or ("P",)
    shown = tuple(
        name
        for channel in _CHANNELS
        if (name := text_of(root, f"Raster_Data/Raster_Display/Band_Display_Order/{channel}")) is not None
    )
    if count == 4 and {"B0", "B1", "B2", "B3"} <= {*described, *shown, "B3"}:
        return "B2", "B1", "B0", "B3"
    if count == 3 and len(shown) == 3:
        return shown
    raise DeliveryUnreadableError(
        f"{path.name}: it does not say in which order its {count} bands lie; describe it in a file of your "
        "own beside it (docs/guides/sidecar.md)"
    )


def _described(root: Element) -> tuple[str, ...]:
    measures = root.iter("Band_Radiance")
    names: Iterable[str | None] = (text_of(each, "BAND_ID") for each in measures)
    return tuple(dict.fromkeys(name for name in names if name))


def _radiometry(root: Element) -> Radiometry:
    for settings in root.iter("Radiometric_Settings"):
        said = text_of(settings, "RADIOMETRIC_PROCESSING")
        if said is not None:
            return _RADIOMETRIES.get(said.upper(), "unknown")
    return "unknown"


def _band(root: Element, name: str, radiometry: Radiometry) -> ProductBand:
    """Read what is said of a band, by its id."""
    which = "Band_Reflectance" if radiometry == "reflectance" else "Band_Radiance"
    measure, sun, spectral = (
        next((each for each in root.iter(tag) if text_of(each, "BAND_ID") == name), None)
        for tag in (which, "Band_Solar_Irradiance", "Band_Spectral_Range")
    )
    return ProductBand(
        id=name,
        common_name=_COMMON.get(name.upper()),
        gain=number_of(measure, "GAIN"),
        bias=number_of(measure, "BIAS"),
        irradiance=number_of(sun, "VALUE"),
        range_nm=_range(spectral),
    )


def _range(spectral: Element | None) -> tuple[float, float] | None:
    """Give the limits of a band; one product states them in two units."""
    place = "FWHM/" if spectral is not None and spectral.find("FWHM/MIN") is not None else ""
    low, high = number_of(spectral, f"{place}MIN"), number_of(spectral, f"{place}MAX")
    unit = _NANOMETRES.get((text_of(spectral, "MEASURE_UNIT") or "").lower())
    if low is None or high is None or unit is None or not 0 < low < high:
        return None
    return round(low * unit, 3), round(high * unit, 3)


def _rpc(root: Element, path: Path) -> Path | None:
    model = root.find("Geoposition/Geoposition_Models/Rational_Function_Model")
    place = None if model is None else model.find(".//COMPONENT_PATH")
    return None if place is None else inside(path.parent, place.get("href"), path)
