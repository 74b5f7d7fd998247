"""Sentinel-1 in the SAFE format: ground range detected images, and single looks of stripmaps.

Single looks of the wide modes (IW, EW) lie as the satellite took them, in bursts that show some ground twice
and have nothing between them. Joining bursts is not done here, so these are refused.

sigma0 = DN^2 / A^2 with A of the product's calibration vectors, bilinear in line and pixel; the noise vectors
are not subtracted. Source: sensors.md, sections 2 and 4 [AU]; GDAL's SAFE_FAKE for the manifest's layout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from mosaics.products.calibration import Amplitude, LookUpTable
from mosaics.products.delivery import (
    BandGroup,
    Calibration,
    Delivery,
    DeliveryIncompleteError,
    DeliveryUnreadableError,
    GroundPoint,
    Radar,
    View,
    check_single,
)
from mosaics.products.radar import gigahertz, middle, orbit_state, ordered, radar_group
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

METADATA: Final = "manifest.safe"
_MARK: Final = b"sentinel-1.0/sentinel-1"
"""In the name spaces of the manifest: that of Sentinel-2 has others."""
_HEAD: Final = 4096
_TYPES: Final = ("GRD", "SLC")
_IN_BURSTS: Final = frozenset({"IW", "EW"})
"""Modes whose single looks come in bursts."""
_ANNOTATION: Final = "s1Level1ProductSchema"
_CALIBRATION: Final = "s1Level1CalibrationSchema"
_MEASUREMENT: Final = "s1Level1MeasurementSchema"
_IMAGE_NAME: Final = re.compile(r"s1[a-d]-.+\.tiff?", re.IGNORECASE)
_IMAGE: Final = "imageAnnotation/imageInformation"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Image:
    """One measurement with what is said of it."""

    measurement: Path
    annotation: Path
    root: Element
    """Of the annotation."""
    table: Path | None
    """Its calibration vectors."""

    @property
    def polarization(self) -> str:
        return (text_of(self.root, "adsHeader/polarisation") or "").upper()


def find_sentinel1(path: Path) -> Path | None:
    """Give the manifest of a delivery of Sentinel-1; None: it is none.

    Args:
        path: The folder that ends in .SAFE, one that holds only such a folder, the manifest, or an image.

    Raises:
        DeliveryUnreadableError: If a folder holds several.
    """
    if path.is_file():
        above = path if path.name.lower() == METADATA else path.parent.with_name(METADATA)
        found = above if above == path or (_IMAGE_NAME.fullmatch(path.name) and above.is_file()) else None
    elif (path / METADATA).is_file():
        found = path / METADATA
    else:
        held = sorted(path.glob(f"*.SAFE/{METADATA}")) if path.is_dir() else []
        check_single(path, [each.parent for each in held])
        found = held[0] if held else None
    if found is None:
        return None
    with found.open("rb") as opened:
        return found if _MARK in opened.read(_HEAD) else None


def read_sentinel1(path: Path) -> Delivery:
    """Read a delivery by its manifest.

    Raises:
        DeliveryUnreadableError: If it can't be understood.
        DeliveryIncompleteError: If an annotation that it names is not there.
    """
    root = plain(parse_xml(path))
    product_type = text_of(root, ".//productType") or "unknown"
    if product_type not in _TYPES:
        raise DeliveryUnreadableError(
            f"{path.name}: its images are {product_type}; only {' and '.join(_TYPES)} of Sentinel-1 are read"
        )
    mode = text_of(root, ".//instrumentMode/mode") or "unknown"
    if product_type == "SLC" and mode.upper() in _IN_BURSTS:
        raise DeliveryUnreadableError(
            f"{path.name}: its single looks of mode {mode} come in bursts, which are not joined here; bank "
            "the same scene as GRD"
        )
    images = _images(root, path)
    group = _group(images, product_type)
    first = images[0].root
    platform = root.find(".//platform")
    return Delivery(
        name=path.resolve().parent.name.removesuffix(".SAFE"),
        sensor_id="sentinel-1",
        platform=f"Sentinel-1{text_of(platform, 'number') or ''}",
        groups=(group,),
        acquired=_acquired(root),
        view=View(incidence=_incidence(images)),
        radar=_radar(root, first, (product_type, mode), tuple(band.id for band in group.bands)),
        level=f"L1 {product_type}",
    )


def _acquired(root: Element) -> datetime | None:
    period = root.find(".//acquisitionPeriod")
    return middle(instant_of(period, "startTime"), instant_of(period, "stopTime"))


def _incidence(images: list[_Image]) -> float | None:
    """Give the middle of the swaths."""
    found = [number_of(each.root, f"{_IMAGE}/incidenceAngleMidSwath") for each in images]
    known = [each for each in found if each is not None]
    return sum(known) / len(known) if known else None


def _radar(root: Element, annotation: Element, kind: tuple[str, str], bands: tuple[str, ...]) -> Radar:
    """Say how it was seen; `kind` is the type of the product and the mode."""
    reference = root.find(".//orbitReference")
    looks = annotation.find(".//swathProcParams")
    return Radar(
        frequency_band="C",
        instrument_mode=kind[1],
        polarizations=bands,
        product_type=kind[0],
        center_frequency_ghz=gigahertz(
            number_of(annotation, "generalAnnotation/productInformation/radarFrequency")
        ),
        pixel_spacing_range=number_of(annotation, f"{_IMAGE}/rangePixelSpacing"),
        pixel_spacing_azimuth=number_of(annotation, f"{_IMAGE}/azimuthPixelSpacing"),
        looks_range=whole_of(looks, "rangeProcessing/numberOfLooks"),
        looks_azimuth=whole_of(looks, "azimuthProcessing/numberOfLooks"),
        observation_direction="right",
        orbit_state=orbit_state(text_of(reference, ".//pass")),
        relative_orbit=whole_of(reference, "relativeOrbitNumber"),
        absolute_orbit=whole_of(reference, "orbitNumber"),
    )


def _images(root: Element, path: Path) -> list[_Image]:
    """Give all measurements, each with the annotation and the calibration of the same name."""
    annotations = _files(root, path, _ANNOTATION)
    tables = {each.stem.removeprefix("calibration-"): each for each in _files(root, path, _CALIBRATION)}
    measurements = {each.stem: each for each in _files(root, path, _MEASUREMENT)}
    missing = [each.name for each in annotations if not each.is_file()]
    if missing:
        raise DeliveryIncompleteError(
            f"{path.name}: it names {', '.join(missing)}, which is not there; copy the whole delivery and "
            "bank it again"
        )
    found = [
        _Image(
            measurement=measurements[each.stem],
            annotation=each,
            root=plain(parse_xml(each)),
            table=tables.get(each.stem),
        )
        for each in annotations
        if each.stem in measurements
    ]
    if not found:
        raise DeliveryUnreadableError(f"{path.name}: it names no image that it describes")
    return sorted(found, key=lambda each: each.annotation.name)


def _files(root: Element, path: Path, kind: str) -> list[Path]:
    """Give the files of a kind that the manifest names."""
    places = (
        each.find("byteStream/fileLocation") for each in root.iter("dataObject") if each.get("repID") == kind
    )
    return [inside(path.parent, place.get("href"), path) for place in places if place is not None]


def _group(images: list[_Image], name: str) -> BandGroup:
    by_band = {each.polarization: each for each in images}
    bands = ordered(by_band)
    if len(bands) != len(images):
        raise DeliveryUnreadableError(
            f"{images[0].annotation.name}: the images of {name} are not one for each polarization"
        )
    first = by_band[bands[0]]
    sizes = {
        (whole_of(each.root, f"{_IMAGE}/numberOfLines"), whole_of(each.root, f"{_IMAGE}/numberOfSamples"))
        for each in images
    }
    rows, columns = next(iter(sizes))
    if len(sizes) != 1 or not rows or not columns:
        raise DeliveryUnreadableError(f"{first.annotation.name}: it does not say how large its image is")
    is_complex = (text_of(first.root, f"{_IMAGE}/pixelValue") or "").lower() == "complex"
    tables = [_calibration(by_band[band].table) for band in bands]
    known = [each for each in tables if each is not None]
    calibrations: list[Calibration] = [*known] if len(known) == len(bands) else [Amplitude() for _ in bands]
    return radar_group(
        name=name.lower(),
        images=[(band, by_band[band].measurement) for band in bands],
        calibrations=calibrations,
        quantity="sigma0" if len(known) == len(bands) else "amplitude",
        height=rows,
        width=columns,
        geometry="sensor",
        points=_points(first.root),
        is_complex=is_complex,
        tables=tuple(each.table for each in images if each.table is not None),
        metadata=first.annotation,
    )


def _points(annotation: Element) -> tuple[GroundPoint, ...]:
    """Give the grid of places; its lines and pixels are those of samples, which lie at a pixel's middle."""
    found = []
    for each in annotation.iter("geolocationGridPoint"):
        row, column, longitude, latitude = (
            number_of(each, name) for name in ("line", "pixel", "longitude", "latitude")
        )
        if row is None or column is None or longitude is None or latitude is None:
            continue
        found.append(
            GroundPoint(
                row=row + 0.5,
                column=column + 0.5,
                longitude=longitude,
                latitude=latitude,
                height=number_of(each, "height") or 0.0,
            )
        )
    return tuple(found)


def _calibration(table: Path | None) -> LookUpTable | None:
    """Read the vectors of sigma0; None where there are none."""
    if table is None or not table.is_file():
        return None
    root = plain(parse_xml(table))
    vectors = []
    for each in root.iter("calibrationVector"):
        line = number_of(each, "line")
        try:
            pixels, values = (
                np.array((text_of(each, name) or "").split(), dtype=np.float64)
                for name in ("pixel", "sigmaNought")
            )
        except ValueError as error:
            raise DeliveryUnreadableError(
                f"{table.name}: its vectors are no numbers; copy it again"
            ) from error
        if line is None or not pixels.size or pixels.size != values.size or not np.all(values > 0):
            raise DeliveryUnreadableError(f"{table.name}: a vector of it is cut short; copy it again")
        vectors.append((line, pixels, values))
    if not vectors:
        return None
    vectors.sort(key=lambda each: each[0])
    return LookUpTable(
        lines=np.array([line for line, _, _ in vectors]),
        pixels=tuple(pixels for _, pixels, _ in vectors),
        values=tuple(values for _, _, values in vectors),
    )
