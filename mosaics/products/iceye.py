"""ICEYE: images with a STAC item beside them, and before 2027 ground range images with XML.

GRD: sigma0 = CF * DN^2, since the ellipsoid's incidence is applied already; SLC: beta0 = CF * |DN|^2, from
the amplitude that its files hold beside the phase; Scan is not calibrated, so it stays amplitude.

Source: sensors.md, section 4 [I][I3]; iceye-ltd/product-documentation 7f45103; names of the XML:
sertit/eoreader de56af6 and senbox-org/microwave-toolbox 7b87028.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mosaics.products.calibration import Amplitude, Power
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
from mosaics.products.radar import (
    corner_points,
    gigahertz,
    middle,
    observation_direction,
    orbit_state,
    ordered,
    radar_group,
)
from mosaics.products.xml import (
    Element,
    instant,
    instant_of,
    number_of,
    parse_xml,
    plain,
    text_of,
    whole_of,
)

_ITEM: Final = re.compile(r"ICEYE_.+_(GRD|SLC)(\.[^.]+)?\.json", re.IGNORECASE)
_LEGACY: Final = re.compile(r"ICEYE_.+_(GRD|SLC)_.+\.(xml|h5)", re.IGNORECASE)
_IMAGE: Final = re.compile(r"ICEYE_.+\.tiff?", re.IGNORECASE)
_LARGEST: Final = 16_000_000
"""Bytes of an item."""
_NUMBER: Final = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_CORNERS: Final = ("first_near", "first_far", "last_near", "last_far")
_SLC: Final = "SLC"


def find_iceye(path: Path) -> Path | None:
    """Give the metadata of a delivery of ICEYE; None: it is none.

    Args:
        path: Its folder, the metadata, or the image beside it.

    Raises:
        DeliveryUnreadableError: If a folder holds several.
    """
    if path.is_dir():
        for pattern in (_ITEM, _LEGACY):
            found = sorted(each for each in path.iterdir() if pattern.fullmatch(each.name))
            stems = {each.name.partition(".")[0] for each in found}
            if len(stems) > 1:
                raise DeliveryUnreadableError(
                    f"{path.name}: it holds {len(stems)} products; name the one to bank: "
                    f"{', '.join(each.name for each in found[:5])}"
                )
            if found:
                return found[-1]
        return None
    if not path.is_file():
        return None
    if _ITEM.fullmatch(path.name) or _LEGACY.fullmatch(path.name):
        return path
    if not _IMAGE.fullmatch(path.name):
        return None
    beside = (path.with_suffix(suffix) for suffix in (".json", ".xml"))
    return next(
        (
            each
            for each in beside
            if each.is_file() and (_ITEM.fullmatch(each.name) or _LEGACY.fullmatch(each.name))
        ),
        None,
    )


def read_iceye(path: Path) -> Delivery:
    """Read a delivery by its metadata.

    Raises:
        DeliveryUnreadableError: If it can't be understood.
    """
    if path.suffix.lower() == ".json":
        return _read_item(path)
    if path.suffix.lower() == ".h5":
        raise DeliveryUnreadableError(_packed(path))
    return _read_legacy(path)


def _packed(path: Path) -> str:
    return (
        f"{path.name}: single looks of ICEYE in HDF5 are not read here; order them as Cloud Optimized "
        "GeoTIFF with JSON, or as GRD"
    )


def _image(path: Path) -> Path:
    """Give the image beside the metadata: both have one name up to the first dot."""
    stem = path.name.partition(".")[0]
    return next(
        (each for suffix in (".tiff", ".TIF") if (each := path.with_name(stem + suffix)).is_file()),
        path.with_name(f"{stem}.tif"),
    )


def _read_item(path: Path) -> Delivery:
    said = _properties(path)
    product_type = str(said.get("sar:product_type") or said.get("product:type") or "unknown")
    group = _item_group(said, path, product_type)
    number = str(said.get("platform") or "ICEYE")
    return Delivery(
        name=path.name.partition(".")[0],
        sensor_id="iceye",
        platform=number,
        groups=(group,),
        acquired=instant(_text(said, "datetime"))
        or middle(instant(_text(said, "start_datetime")), instant(_text(said, "end_datetime"))),
        view=View(
            incidence=_number(said, "view:incidence_angle"),
            azimuth=_number(said, "view:azimuth"),
            off_nadir=_number(said, "view:off_nadir"),
        ),
        radar=Radar(
            frequency_band="X",
            instrument_mode=_text(said, "sar:instrument_mode") or "unknown",
            polarizations=tuple(band.id for band in group.bands),
            product_type=product_type,
            center_frequency_ghz=_frequency(said),
            pixel_spacing_range=_number(said, "sar:pixel_spacing_range"),
            pixel_spacing_azimuth=_number(said, "sar:pixel_spacing_azimuth"),
            looks_range=_whole(said, "sar:looks_range"),
            looks_azimuth=_whole(said, "sar:looks_azimuth"),
            observation_direction=observation_direction(_text(said, "sar:observation_direction")),
            orbit_state=orbit_state(_text(said, "sat:orbit_state")),
            relative_orbit=_whole(said, "sat:relative_orbit"),
            absolute_orbit=_whole(said, "sat:absolute_orbit"),
        ),
        level=product_type,
    )


def _properties(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise DeliveryUnreadableError(f"{path.name}: it is too large for metadata")
        item = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DeliveryUnreadableError(f"{path.name}: it is no well-formed JSON; copy it again") from error
    except OSError as error:
        raise DeliveryUnreadableError(f"{path.name}: it can't be read: {error.strerror}") from error
    said = item.get("properties") if isinstance(item, dict) else None
    if not isinstance(said, dict) or said.get("constellation") != "ICEYE":
        raise DeliveryUnreadableError(f"{path.name}: it is no item of ICEYE")
    return said


def _text(said: Mapping[str, Any], key: str) -> str | None:
    value = said.get(key)
    return value if isinstance(value, str) and value else None


def _number(said: Mapping[str, Any], key: str) -> float | None:
    value = said.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _whole(said: Mapping[str, Any], key: str) -> int | None:
    value = _number(said, key)
    return int(value) if value is not None and value == int(value) else None


def _frequency(said: Mapping[str, Any]) -> float | None:
    """Give gigahertz: ICEYE writes hertz where STAC has gigahertz, and may mend that one day."""
    value = _number(said, "sar:center_frequency")
    return value if value is None or value < 1000 else gigahertz(value)


def _item_group(said: Mapping[str, Any], path: Path, product_type: str) -> BandGroup:
    shape, named = said.get("proj:shape"), said.get("sar:polarizations")
    bands = ordered(str(each) for each in named) if isinstance(named, list) else ()
    if len(bands) != 1:
        raise DeliveryUnreadableError(f"{path.name}: it does not say which one polarization its image has")
    if (
        not isinstance(shape, list)
        or len(shape) != 2
        or not all(isinstance(each, int) and each > 0 for each in shape)
    ):
        raise DeliveryUnreadableError(f"{path.name}: it does not say how large its image is")
    is_complex = product_type.upper().startswith(_SLC)
    calibration, quantity = _calibration(
        _number(said, "iceye:calibration_factor"), _text(said, "sar:instrument_mode"), is_complex=is_complex
    )
    return radar_group(
        name="slc" if is_complex else "grd",
        images=[(bands[0], _image(path))],
        calibrations=[calibration],
        quantity=quantity,
        height=shape[0],
        width=shape[1],
        geometry="ground",
        samples="amplitude_phase" if is_complex else "whole",
        is_complex=is_complex,
        metadata=path,
    )


def _calibration(factor: float | None, mode: str | None, *, is_complex: bool) -> tuple[Calibration, Quantity]:
    if factor is None or factor <= 0 or "scan" in (mode or "").lower():
        return Amplitude(), "amplitude"
    return Power(factor=factor), "beta0" if is_complex else "sigma0"


def _read_legacy(path: Path) -> Delivery:
    root = plain(parse_xml(path))
    level = (text_of(root, ".//product_level") or "").upper()
    if level == _SLC:
        raise DeliveryUnreadableError(_packed(path))
    if level != "GRD":
        raise DeliveryUnreadableError(f"{path.name}: it is no metadata of ICEYE")
    group = _legacy_group(root, path)
    near, far = (number_of(root, f".//incidence_{side}") for side in ("near", "far"))
    return Delivery(
        name=text_of(root, ".//product_name") or path.stem,
        sensor_id="iceye",
        platform=text_of(root, ".//satellite_name") or "ICEYE",
        groups=(group,),
        acquired=middle(*(instant_of(root, f".//acquisition_{which}_utc") for which in ("start", "end"))),
        view=View(incidence=None if near is None or far is None else (near + far) / 2),
        radar=Radar(
            frequency_band="X",
            instrument_mode=text_of(root, ".//acquisition_mode") or "unknown",
            polarizations=tuple(band.id for band in group.bands),
            product_type=level,
            center_frequency_ghz=gigahertz(number_of(root, ".//carrier_frequency")),
            pixel_spacing_range=number_of(root, ".//range_spacing"),
            pixel_spacing_azimuth=number_of(root, ".//azimuth_spacing"),
            looks_range=whole_of(root, ".//range_looks"),
            looks_azimuth=whole_of(root, ".//azimuth_looks"),
            observation_direction=observation_direction(text_of(root, ".//look_side")),
            orbit_state=orbit_state(text_of(root, ".//orbit_direction")),
            relative_orbit=whole_of(root, ".//orbit_relative_number"),
            absolute_orbit=whole_of(root, ".//orbit_absolute_number"),
        ),
        level=level,
    )


def _legacy_group(root: Element, path: Path) -> BandGroup:
    rows, columns = (whole_of(root, f".//number_of_{name}_samples") for name in ("azimuth", "range"))
    bands = ordered([text_of(root, ".//polarization") or ""])
    if not rows or not columns or len(bands) != 1:
        raise DeliveryUnreadableError(
            f"{path.name}: it does not say how large its image is, or which polarization it has"
        )
    calibration, quantity = _calibration(
        number_of(root, ".//calibration_factor"), text_of(root, ".//acquisition_mode"), is_complex=False
    )
    return radar_group(
        name="grd",
        images=[(bands[0], _image(path))],
        calibrations=[calibration],
        quantity=quantity,
        height=rows,
        width=columns,
        geometry="sensor",
        points=_points(root, rows, columns),
        metadata=path,
    )


def _points(root: Element, rows: int, columns: int) -> tuple[GroundPoint, ...]:
    """Give the corners: each is told as two indexes, latitude, longitude."""
    found = []
    for name in _CORNERS:
        numbers = [float(each) for each in _NUMBER.findall(text_of(root, f".//coord_{name}") or "")]
        if len(numbers) != 4:
            return ()
        found.append((numbers[3], numbers[2]))
    return corner_points(found, rows, columns, number_of(root, ".//avg_scene_height") or 0.0)
