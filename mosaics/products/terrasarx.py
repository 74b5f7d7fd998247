"""TerraSAR-X, TanDEM-X and PAZ: an annotation in XML, and an image for each polarization.

Single looks (SSC), ground range images (MGD) and images on the ground (GEC, EEC). Radar brightness is
beta0 = calFactor * DN^2 with the factor of the layer; sigma0 = beta0 * sin(incidence). Three limits:

- The noise (NEBN) is not subtracted: whether it is to be is unverified (sensors.md, section 4).
- Incidence is a smooth surface through the angles that the annotation states, so it is that of the scene's
  average height, not of a slope; the angles of the GIM raster of EEC products are not used.
- Without such angles images stay beta0.

Source: sensors.md, sections 2 and 4; GDAL frmts/tsx/tsxdataset.cpp 0bfd41a: components, and that only some
grids have rows and columns; senbox-org/microwave-toolbox 7b87028: rows and columns count from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from mosaics.products.calibration import Amplitude, BrightnessBySine, Incidence, Power
from mosaics.products.delivery import (
    BandGroup,
    Calibration,
    Delivery,
    DeliveryUnreadableError,
    Geometry,
    GroundPoint,
    Quantity,
    Radar,
    View,
    check_single,
)
from mosaics.products.radar import gigahertz, middle, observation_direction, orbit_state, ordered, radar_group
from mosaics.products.xml import (
    Element,
    inside,
    instant_of,
    number_of,
    parse_xml,
    plain,
    text_of,
    whole_of,
)

_ANNOTATION: Final = re.compile(r"(TSX|TDX|PAZ)1_SAR__.+\.xml", re.IGNORECASE)
_PAIR: Final = re.compile(r"TDM1_SAR__COS.*\.xml", re.IGNORECASE)
_IMAGE: Final = re.compile(r"IMAGE_[HV]{2}_.+\.(cos|tiff?)", re.IGNORECASE)
_PLATFORMS: Final = {"TSX-1": "TerraSAR-X", "TDX-1": "TanDEM-X", "PAZ-1": "PAZ"}
_ON_GROUND: Final = ("GEC", "EEC")
_SPACING: Final = "productSpecific/complexImageInfo/projectedSpacing"
_CORNERS: Final = ("upperLeft", "upperRight", "lowerLeft", "lowerRight")
_SCENE: Final = "productInfo/sceneInfo"
_RASTER: Final = "productInfo/imageDataInfo/imageRaster"


def find_terrasarx(path: Path) -> Path | None:
    """Give the annotation of a delivery; None: it is none.

    Args:
        path: The folder that holds it or, above that, the only one; the annotation; or one of its images.

    Raises:
        DeliveryUnreadableError: If there are several, or it is a pair of two satellites.
    """
    if path.is_file():
        if _ANNOTATION.fullmatch(path.name):
            return path
        return find_terrasarx(path.parent.parent) if _IMAGE.fullmatch(path.name) else None
    if not path.is_dir():
        return None
    if any(_PAIR.fullmatch(each.name) for each in path.iterdir()):
        raise DeliveryUnreadableError(
            f"{path.name}: it is a pair that two satellites saw together; bank the folder TSX1_SAR or "
            "TDX1_SAR in it that is meant"
        )
    for pattern in ("*.xml", "*/*.xml", "*/*/*.xml"):
        found = sorted(each for each in path.glob(pattern) if _ANNOTATION.fullmatch(each.name))
        check_single(path, found)
        if found:
            return found[0]
    return None


def read_terrasarx(path: Path) -> Delivery:
    """Read a delivery by its annotation.

    Raises:
        DeliveryUnreadableError: If it can't be understood.
    """
    root = plain(parse_xml(path))
    if root.tag != "level1Product":
        raise DeliveryUnreadableError(f"{path.name}: it is no annotation of TerraSAR-X")
    info = root.find("productInfo")
    mission = text_of(info, "missionInfo/mission") or text_of(root, "generalHeader/mission") or ""
    variant = text_of(info, "productVariantInfo/productVariant") or "unknown"
    group = _group(root, path, variant)
    return Delivery(
        name=path.stem,
        sensor_id="terrasar-x",
        platform=_PLATFORMS.get(mission, mission or "TerraSAR-X"),
        groups=(group,),
        acquired=_acquired(root),
        view=View(incidence=number_of(root, f"{_SCENE}/sceneCenterCoord/incidenceAngle")),
        radar=Radar(
            frequency_band="X",
            instrument_mode=text_of(info, "acquisitionInfo/imagingMode") or "unknown",
            polarizations=tuple(band.id for band in group.bands),
            product_type=variant,
            center_frequency_ghz=gigahertz(number_of(root, "instrument/radarParameters/centerFrequency")),
            pixel_spacing_range=number_of(root, f"{_SPACING}Range/slantRange"),
            pixel_spacing_azimuth=number_of(root, f"{_SPACING}Azimuth"),
            looks_range=whole_of(root, f"{_RASTER}/rangeLooks"),
            looks_azimuth=whole_of(root, f"{_RASTER}/azimuthLooks"),
            observation_direction=observation_direction(text_of(info, "acquisitionInfo/lookDirection")),
            orbit_state=orbit_state(text_of(info, "missionInfo/orbitDirection")),
            relative_orbit=whole_of(info, "missionInfo/relOrbit"),
            absolute_orbit=whole_of(info, "missionInfo/absOrbit"),
        ),
        copyright=text_of(info, "generationInfo/copyrightInfo"),
        level=text_of(info, "productVariantInfo/productType") or variant,
    )


def _acquired(root: Element) -> datetime | None:
    start, stop = (instant_of(root, f"{_SCENE}/{which}/timeUTC") for which in ("start", "stop"))
    return instant_of(root, f"{_SCENE}/sceneCenterCoord/azimuthTimeUTC") or middle(start, stop)


def _group(root: Element, path: Path, variant: str) -> BandGroup:
    rows, columns = (whole_of(root, f"{_RASTER}/numberOf{name}") for name in ("Rows", "Columns"))
    if not rows or not columns:
        raise DeliveryUnreadableError(f"{path.name}: it does not say how large its image is")
    layers = _layers(root, path)
    bands = ordered(layers)
    geometry: Geometry = "ground" if variant in _ON_GROUND else "sensor"
    is_complex = text_of(root, "productInfo/imageDataInfo/imageDataType") == "COMPLEX"
    grid = _grid(root, path)
    known = list(grid.iter("gridPoint")) if grid is not None else []
    points = [*_points(known, ("row", "col"))] or [*_scene_points(root)]
    angles = _on_ground(root, rows, columns) if geometry == "ground" else points
    calibrations, quantity = _calibrations(root, bands, _incidence(angles, rows, columns))
    return radar_group(
        name=variant.lower(),
        images=[(band, layers[band]) for band in bands],
        calibrations=calibrations,
        quantity=quantity,
        height=rows,
        width=columns,
        geometry=geometry,
        points=tuple(point for point, _ in points),
        driver="COSAR" if text_of(root, "productInfo/imageDataInfo/imageDataFormat") == "COSAR" else "GTiff",
        is_complex=is_complex,
        metadata=path,
    )


def _located(component: Element, path: Path) -> Path:
    """Give the file of a component; its folder is told apart from its name."""
    place = component.find("file/location")
    folder, name = text_of(place, "path"), text_of(place, "filename")
    return inside(path.parent, "/".join(filter(None, (folder, name))), path)


def _layers(root: Element, path: Path) -> dict[str, Path]:
    """Give the image of each polarization."""
    found: dict[str, Path] = {}
    for each in root.findall("productComponents/imageData"):
        polarization = (text_of(each, "polLayer") or "").upper()
        if polarization in found:
            raise DeliveryUnreadableError(
                f"{path.name}: it has several images of {polarization}, one for each beam, which are not "
                "joined here; order it as MGD, GEC or EEC"
            )
        found[polarization] = _located(each, path)
    if not ordered(found):
        raise DeliveryUnreadableError(f"{path.name}: it names no image of a known polarization")
    return found


def _grid(root: Element, path: Path) -> Element | None:
    """Give the grid of places, if that component is there."""
    for each in root.findall("productComponents/annotation"):
        if text_of(each, "type") == "GEOREF":
            file = _located(each, path)
            return plain(parse_xml(file)) if file.is_file() else None
    return None


def _scene_points(root: Element) -> list[tuple[GroundPoint, float]]:
    """Give the corners and the middle of the scene, if they are said to lie at different pixels."""
    height = number_of(root, f"{_SCENE}/sceneAverageHeight") or 0.0
    found = _points(_scene_places(root), ("refRow", "refColumn"), height)
    distinct = {(point.row, point.column) for point, _ in found}
    return found if len(distinct) == len(found) else []


def _scene_places(root: Element) -> list[Element]:
    return [*root.findall(f"{_SCENE}/sceneCornerCoord"), *root.findall(f"{_SCENE}/sceneCenterCoord")]


def _points(
    places: Iterable[Element], names: tuple[str, str], height: float = 0.0
) -> list[tuple[GroundPoint, float]]:
    """Give points with their incidence; rows and columns count from 1, so the first one's middle is 0.5."""
    found = []
    for each in places:
        row, column = number_of(each, names[0]), number_of(each, names[1])
        longitude, latitude = number_of(each, "lon"), number_of(each, "lat")
        angle = number_of(each, "inc") or number_of(each, "incidenceAngle")
        if row is None or column is None or longitude is None or latitude is None or angle is None:
            continue
        point = GroundPoint(
            row=row - 0.5,
            column=column - 0.5,
            longitude=longitude,
            latitude=latitude,
            height=number_of(each, "height") or height,
        )
        found.append((point, angle))
    return found


def _on_ground(root: Element, rows: int, columns: int) -> list[tuple[GroundPoint, float]]:
    """Give the scene's corners and middle with the pixels at which an image on the ground shows them."""
    frame = root.find("productSpecific/geocodedImageInfo/geoParameter/sceneCoordsGeographic")
    corners = [
        (number_of(frame, f"{name}Longitude"), number_of(frame, f"{name}Latitude")) for name in _CORNERS
    ]
    if any(value is None for corner in corners for value in corner):
        return []
    ground = np.array([(1.0, *corner) for corner in corners], dtype=np.float64)
    pixels = np.array([(0, 0), (0, columns), (rows, 0), (rows, columns)], dtype=np.float64)
    to_pixels = np.linalg.lstsq(ground, pixels, rcond=None)[0]
    found = []
    for each in _scene_places(root):
        longitude, latitude, angle = (number_of(each, name) for name in ("lon", "lat", "incidenceAngle"))
        if longitude is None or latitude is None or angle is None:
            continue
        row, column = (float(value) for value in np.array([1.0, longitude, latitude]) @ to_pixels)
        found.append((GroundPoint(row=row, column=column, longitude=longitude, latitude=latitude), angle))
    return found


def _incidence(angles: list[tuple[GroundPoint, float]], rows: int, columns: int) -> Incidence | None:
    if len(angles) < 4:
        return None
    places = np.array([(point.row, point.column) for point, _ in angles])
    return Incidence.fitted(places, np.array([angle for _, angle in angles]), rows, columns)


def _calibrations(
    root: Element, bands: tuple[str, ...], incidence: Incidence | None
) -> tuple[list[Calibration], Quantity]:
    """Give what turns each layer's counts into backscatter, by its own factor."""
    factors = {
        (text_of(each, "polLayer") or "").upper(): number_of(each, "calFactor")
        for each in root.iter("calibrationConstant")
    }
    known = [factor for band in bands if (factor := factors.get(band)) is not None and factor > 0]
    corrected = text_of(root, "productInfo/productVariantInfo/radiometricCorrection")
    if len(known) != len(bands) or corrected != "CALIBRATED":
        return [Amplitude() for _ in bands], "amplitude"
    if incidence is None:
        return [Power(factor=factor) for factor in known], "beta0"
    return [BrightnessBySine(factor=factor, incidence=incidence) for factor in known], "sigma0"
