"""RADARSAT-2: product.xml, an image for each polarization, and tables of gains beside it.

Source: sensors.md, sections 2 and 4; GDAL frmts/rs2/rs2dataset.cpp 022cf2f: tie points count pixels from 0 at
their middle, complex counts are divided by the gain before they are squared, and products on a map (SSG, SPG)
have no tables that apply.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mosaics.products.calibration import Amplitude, ColumnGains
from mosaics.products.delivery import (
    BandGroup,
    Calibration,
    Delivery,
    DeliveryUnreadableError,
    GroundPoint,
    Quantity,
    Radar,
    View,
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

METADATA: Final = "product.xml"
_MARK: Final = b"/rs2"
"""In the name space of the document: RCM's product.xml has another."""
_HEAD: Final = 4096
_ON_A_MAP: Final = ("SSG", "SPG")
_SIGMA: Final = "Sigma Nought"
_RASTER: Final = "imageAttributes/rasterAttributes"
_PROCESSING: Final = "imageGenerationParameters/sarProcessingInformation"
_SOURCE: Final = "sourceAttributes"


def find_radarsat2(path: Path) -> Path | None:
    """Give the product.xml of a delivery of RADARSAT-2; None: it is none.

    Args:
        path: Its folder, the document, or an image beside it.
    """
    if path.is_dir():
        found = path / METADATA
    elif path.name.lower() == METADATA:
        found = path
    elif path.name.lower().startswith("imagery_"):
        found = path.with_name(METADATA)
    else:
        return None
    if not found.is_file():
        return None
    with found.open("rb") as opened:
        return found if _MARK in opened.read(_HEAD) else None


def read_radarsat2(path: Path) -> Delivery:
    """Read a delivery by its product.xml.

    Detected images become sigma0 = (DN^2 + offset) / gain, complex ones |DN|^2 / gain^2, with the gain of
    each column in the product's sigma table; without a table they stay amplitude.

    Raises:
        DeliveryUnreadableError: If it can't be understood.
    """
    root = plain(parse_xml(path))
    if root.tag != "product" or root.find("imageAttributes") is None:
        raise DeliveryUnreadableError(f"{path.name}: it is no product of RADARSAT-2")
    product_type = (
        text_of(root, "imageGenerationParameters/generalProcessingInformation/productType") or "unknown"
    )
    group = _group(root, path, product_type)
    source = root.find(_SOURCE)
    processing = root.find(_PROCESSING)
    near, far = (number_of(processing, f"incidenceAngle{side}Range") for side in ("Near", "Far"))
    raster = root.find(_RASTER)
    return Delivery(
        name=text_of(root, "productId") or path.resolve().parent.name,
        sensor_id="radarsat-2",
        platform="RADARSAT-2",
        groups=(group,),
        acquired=_acquired(source, processing),
        view=View(incidence=None if near is None or far is None else (near + far) / 2),
        radar=Radar(
            frequency_band="C",
            instrument_mode=text_of(source, "beamModeMnemonic") or "unknown",
            polarizations=tuple(band.id for band in group.bands),
            product_type=product_type,
            center_frequency_ghz=gigahertz(number_of(source, "radarParameters/radarCenterFrequency")),
            pixel_spacing_range=number_of(raster, "sampledPixelSpacing"),
            pixel_spacing_azimuth=number_of(raster, "sampledLineSpacing"),
            looks_range=whole_of(processing, "numberOfRangeLooks"),
            looks_azimuth=whole_of(processing, "numberOfAzimuthLooks"),
            observation_direction=observation_direction(text_of(source, "radarParameters/antennaPointing")),
            orbit_state=orbit_state(text_of(source, "orbitAndAttitude/orbitInformation/passDirection")),
        ),
        copyright=root.get("copyright"),
        level=product_type,
    )


def _acquired(source: Element | None, processing: Element | None) -> datetime | None:
    """Give the middle of the image's lines, else the start of the raw data, which is a little before."""
    first, last = (instant_of(processing, f"zeroDopplerTime{which}Line") for which in ("First", "Last"))
    return middle(first, last) or instant_of(source, "rawDataStartTime")


def _group(root: Element, path: Path, product_type: str) -> BandGroup:
    raster = root.find(_RASTER)
    rows, columns = whole_of(raster, "numberOfLines"), whole_of(raster, "numberOfSamplesPerLine")
    if not rows or not columns:
        raise DeliveryUnreadableError(f"{path.name}: it does not say how large its image is")
    named = {
        (each.get("pole") or "").upper(): (each.text or "").strip()
        for each in root.iter("fullResolutionImageData")
    }
    bands = ordered(named)
    if not bands:
        raise DeliveryUnreadableError(f"{path.name}: it names no image of a known polarization")
    is_complex = (text_of(raster, "dataType") or "").lower() == "complex"
    table = None if product_type.startswith(_ON_A_MAP) else _table(root, path)
    calibration, quantity = _calibration(table, columns, is_complex=is_complex)
    on_a_map = root.find("imageAttributes/geographicInformation/mapProjection") is not None
    return radar_group(
        name=product_type.lower(),
        images=[(band, inside(path.parent, named[band], path)) for band in bands],
        calibrations=[calibration] * len(bands),
        quantity=quantity,
        height=rows,
        width=columns,
        geometry="ground" if on_a_map or product_type.startswith(_ON_A_MAP) else "sensor",
        points=_points(root),
        samples="real_imaginary" if is_complex else "whole",
        is_complex=is_complex,
        tables=() if table is None else (table,),
        metadata=path,
    )


def _points(root: Element) -> tuple[GroundPoint, ...]:
    """Give the tie points; they count from 0 at the middle of the first pixel."""
    found = []
    for each in root.iter("imageTiePoint"):
        row, column = (number_of(each, f"imageCoordinate/{name}") for name in ("line", "pixel"))
        ground = each.find("geodeticCoordinate")
        longitude, latitude = number_of(ground, "longitude"), number_of(ground, "latitude")
        if row is None or column is None or longitude is None or latitude is None:
            continue
        found.append(
            GroundPoint(
                row=row + 0.5,
                column=column + 0.5,
                longitude=longitude,
                latitude=latitude,
                height=number_of(ground, "height") or 0.0,
            )
        )
    return tuple(found)


def _table(root: Element, path: Path) -> Path | None:
    """Give the table of sigma0 that the product names."""
    for each in root.iter("lookupTable"):
        if each.get("incidenceAngleCorrection") == _SIGMA:
            return inside(path.parent, (each.text or "").strip(), path)
    return None


def _calibration(table: Path | None, width: int, *, is_complex: bool) -> tuple[Calibration, Quantity]:
    """Read a table; one that is not there leaves amplitude, and `check_complete` misses it."""
    if table is None or not table.is_file():
        return Amplitude(), "amplitude"
    root = plain(parse_xml(table))
    try:
        values = np.array((text_of(root, "gains") or "").split(), dtype=np.float64)
    except ValueError as error:
        raise DeliveryUnreadableError(f"{table.name}: its gains are no numbers; copy it again") from error
    gains = _of_columns(values, whole_of(root, "pixelFirstLutValue"), whole_of(root, "stepSize"), width)
    if gains is None or not np.all(gains > 0):
        raise DeliveryUnreadableError(
            f"{table.name}: its {values.size} gains are not one for each of the image's {width} columns; "
            "copy it again"
        )
    offset = number_of(root, "offset") or 0.0
    return ColumnGains(gains=gains, offset=offset, is_complex=is_complex), "sigma0"


def _of_columns(
    values: NDArray[np.float64], first: int | None, step: int | None, width: int
) -> NDArray[np.float64] | None:
    """Give the gain of each column; None: the table does not reach over all of them."""
    places = (first or 0) + (step or 1) * np.arange(values.size, dtype=np.float64)
    if not values.size or min(places[0], places[-1]) > 0 or max(places[0], places[-1]) < width - 1:
        return None
    order = np.argsort(places)
    return np.asarray(np.interp(np.arange(width), places[order], values[order]), dtype=np.float64)
