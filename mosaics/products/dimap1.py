"""CNES' and Spot Image's DIMAP 1: SPOT 1 to 5.

A document may leave fields empty: what then follows from the family alone (file and order of the bands) is
taken from there, and which satellite it was whoever banks it must say. Tie points are counted as GDAL does.
Sources: sensors.md, sections 1 to 3; GDAL frmts/dimap/dimapdataset.cpp.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from operator import mul
from pathlib import Path
from typing import Final

from mosaics.products.delivery import (
    BandGroup,
    Delivery,
    DeliveryUnreadableError,
    GroundPoint,
    ImageFile,
    ProductBand,
    View,
    check_single,
)
from mosaics.products.dimap_heads import dimap_kind
from mosaics.products.xml import Element, inside, number_of, parse_xml, text_of

METADATA: Final = "METADATA.DIM"
_IMAGE: Final = "IMAGERY.TIF"
"""As the image of every SPOT scene is called, for documents that leave it out."""
_IN_FILE: Final = ("XS3", "XS2", "XS1", "SWIR")
"""Order of the bands in IMAGERY.TIF, which is not that of the document."""
_COMMON: Final = {"XS1": "green", "XS2": "red", "XS3": "nir", "SWIR": "swir16"}
_PAN: Final = re.compile(r"PAN|P|M|HM|HMA|HMB|HX|HI|THR|SUPERMODE")
_TERMS: Final = 6
"""Of the location model: 1, row, column, row x column, row^2, column^2. No document of it was at hand; the
tie points of a real scene of SPOT 4 confirm it to 5 m."""
_STEPS: Final = 8
"""Between places, along each side."""
_AGREE: Final = 0.001
"""Degrees by which the location model may miss a tie point."""
_MISSIONS: Final = re.compile(r"[1-5]")


def find_dimap1(path: Path) -> Path | None:
    """Give the document of a delivery; None: it is none.

    Args:
        path: Its folder, or the document, whatever it is called.

    Raises:
        DeliveryUnreadableError: If a folder holds several.
    """
    if path.is_file():
        return path if _is_document(path) else None
    found = sorted(each for each in path.iterdir() if _is_document(each)) if path.is_dir() else []
    check_single(path, found)
    return found[0] if found else None


def _is_document(path: Path) -> bool:
    """Ask what a file says; its name counts where it says nothing, or is another family's scene."""
    said = dimap_kind(path)
    return said == "scene" or (said in {None, "part"} and path.name.upper() == METADATA and path.is_file())


def read_dimap1(path: Path) -> Delivery:
    """Read a delivery by its document.

    Raises:
        DeliveryUnreadableError: If it can't be understood.
    """
    root = parse_xml(path)
    if text_of(root, "Metadata_Id/METADATA_FORMAT") != "DIMAP":
        raise DeliveryUnreadableError(f"{path.name}: it is no DIMAP 1 document")
    source = root.find("Dataset_Sources/Source_Information/Scene_Source")
    mission, index = text_of(source, "MISSION"), text_of(source, "MISSION_INDEX")
    is_said = mission is not None or index is not None
    if is_said and (mission != "SPOT" or index is None or not _MISSIONS.fullmatch(index)):
        raise DeliveryUnreadableError(f"{path.name}: its mission is not one of SPOT 1 to 5")
    named = path.parent.name if path.name.upper() == METADATA else path.stem
    return Delivery(
        name=text_of(root, "Dataset_Id/DATASET_NAME") or named,
        sensor_id="spot-1-5" if is_said else "",
        platform=f"SPOT {index}" if is_said else "",
        groups=(_group(root, path),),
        acquired=_acquired(source),
        view=View(
            incidence=number_of(source, "INCIDENCE_ANGLE"),
            off_nadir=number_of(source, "VIEWING_ANGLE"),
            sun_elevation=number_of(source, "SUN_ELEVATION"),
            sun_azimuth=number_of(source, "SUN_AZIMUTH"),
        ),
        copyright=text_of(root, "Dataset_Id/COPYRIGHT"),
        level=text_of(root, "Data_Processing/PROCESSING_LEVEL"),
    )


def _acquired(source: Element | None) -> datetime | None:
    day, time = text_of(source, "IMAGING_DATE"), text_of(source, "IMAGING_TIME")
    try:
        return datetime.fromisoformat(f"{day}T{time or '00:00:00'}").replace(tzinfo=UTC) if day else None
    except ValueError:
        return None


def _group(root: Element, path: Path) -> BandGroup:
    rows, columns, count = (
        number_of(root, f"Raster_Dimensions/{name}") for name in ("NROWS", "NCOLS", "NBANDS")
    )
    place = root.find("Data_Access/Data_File/DATA_FILE_PATH")
    if not rows or not columns or not count:
        raise DeliveryUnreadableError(f"{path.name}: it does not say how large its image is")
    href = _IMAGE if place is None else place.get("href")
    bands = _bands(root, path, int(count))
    special = {
        text_of(each, "SPECIAL_VALUE_TEXT"): number_of(each, "SPECIAL_VALUE_INDEX")
        for each in root.iter("Special_Value")
    }
    names = tuple(band.id for band in bands)
    points = _points(root, int(rows), int(columns))
    # one that says nothing of its place leaves that to the image, which is refused if it does not say either
    is_placed = root.find("Geoposition/Geoposition_Insert") is not None or not points
    return BandGroup(
        name="pan" if len(bands) == 1 else "ms",
        files=(ImageFile(path=inside(path.parent, href, path), row=1, column=1, bands=names),),
        bands=bands,
        height=int(rows),
        width=int(columns),
        geometry="ground" if is_placed else "sensor",
        nodata=special.get("NODATA"),
        saturated=special.get("SATURATED"),
        points=() if is_placed else points,
        radiometry="radiance" if any(band.gain for band in bands) else "unknown",
        metadata=path,
    )


def _points(root: Element, rows: int, columns: int) -> tuple[GroundPoint, ...]:
    """Give places all over the image by its location model, else the tie points, which are its corners.

    Both count rows and columns from 1 at the middle of the first pixel. By its corners alone a scene of
    60 km would be off by hundreds of metres. A model that misses the corners is not believed.
    """
    ties = _ties(root)
    model = root.find("Geoposition/Simplified_Location_Model/Direct_Location_Model")
    terms = [_numbers(model, f"{name}_List/{name}") for name in ("lc", "pc")]
    are_unusable = not ties and root.find("Geoposition/Geoposition_Points/Tie_Point") is not None
    if are_unusable or any(len(each) != _TERMS for each in terms):
        return ties
    places = [
        (1 + down * (rows - 1) / _STEPS, 1 + across * (columns - 1) / _STEPS)
        for down in range(_STEPS + 1)
        for across in range(_STEPS + 1)
    ]
    if any(
        max(abs(x - each.longitude), abs(y - each.latitude)) > _AGREE
        for each in ties
        for x, y in [_located(terms, each.row + 0.5, each.column + 0.5)]
    ):
        return ties
    return tuple(_point(row, column, *_located(terms, row, column)) for row, column in places)


def _ties(root: Element) -> tuple[GroundPoint, ...]:
    """Give the corners of an image in sensor geometry; PIXEL_ORIGIN is the middle of its first pixel."""
    kind = text_of(root, "Coordinate_Reference_System/Horizontal_CS/HORIZONTAL_CS_TYPE")
    if kind is not None and kind.upper() != "GEOGRAPHIC":
        return ()
    first = number_of(root, "Raster_CS/PIXEL_ORIGIN")
    move = 0.5 - (1.0 if first is None else first)
    found = []
    for each in root.findall("Geoposition/Geoposition_Points/Tie_Point"):
        x, y, column, row = (
            number_of(each, f"TIE_POINT_{name}") for name in ("CRS_X", "CRS_Y", "DATA_X", "DATA_Y")
        )
        if x is None or y is None or column is None or row is None:
            return ()
        height = number_of(each, "TIE_POINT_CRS_Z") or 0.0
        found.append(
            GroundPoint(row=row + move, column=column + move, longitude=x, latitude=y, height=height)
        )
    return tuple(found)


def _point(row: float, column: float, longitude: float, latitude: float) -> GroundPoint:
    return GroundPoint(row=row - 0.5, column=column - 0.5, longitude=longitude, latitude=latitude)


def _located(terms: list[tuple[float, ...]], row: float, column: float) -> tuple[float, float]:
    """Give longitude and latitude of a place of the image, whose first pixel's middle is 1, 1."""
    powers = (1.0, row, column, row * column, row**2, column**2)
    x, y = (sum(map(mul, each, powers)) for each in terms)
    return x, y


def _numbers(root: Element | None, path: str) -> tuple[float, ...]:
    """Give all numbers at a path; none at all where one is none."""
    found = [number_of(each, ".") for each in (() if root is None else root.findall(path))]
    return tuple(each for each in found if each is not None) if None not in found else ()


def _bands(root: Element, path: Path, count: int) -> tuple[ProductBand, ...]:
    """Give the bands in the order of the file: near infrared, red, green and, if any, short wave.

    A document that describes none has those of its family, without gains.
    """
    found: dict[str, ProductBand] = {}
    described = root.findall("Image_Interpretation/Spectral_Band_Info")
    if not any(text_of(each, "BAND_DESCRIPTION") for each in described):
        unsaid = ("PAN",) if count == 1 else _IN_FILE[:count]
        if count == 2 or len(unsaid) != count:
            raise DeliveryUnreadableError(f"{path.name}: it does not say what its {count} bands are")
        return tuple(ProductBand(id=name, common_name=_COMMON.get(name, "pan")) for name in unsaid)
    for each in described:
        name = (text_of(each, "BAND_DESCRIPTION") or "").upper()
        if name not in _COMMON and not (count == 1 and _PAN.fullmatch(name)):
            raise DeliveryUnreadableError(f"{path.name}: its band {name!r} is not known here")
        found[name] = ProductBand(
            id=name,
            common_name=_COMMON.get(name, "pan"),
            gain=number_of(each, "PHYSICAL_GAIN"),
            bias=number_of(each, "PHYSICAL_BIAS"),
        )
    if len(found) != count:
        raise DeliveryUnreadableError(f"{path.name}: it says {count} bands and describes {len(found)}")
    ordered = tuple(found[name] for name in _IN_FILE if name in found)
    return ordered or tuple(found.values())
