"""SAOCOM 1: an .xemt document, and in Data an image without suffix for each polarization, with its XML.

Images come calibrated, so nothing is calibrated twice. Single looks (L1A) become |DN|^2, and what they
measure is said to be sigma0 (sensors.md, section 4 [E42]); SNAP differs, it looks for tables that no public
document describes. Detected images (L1B to L1D) are sigma0 as linear power already, as SNAP reads them; no
document of CONAE was found that says so, so that is unverified. Single looks of TOPSAR, in bursts, are not
read.

Source: sensors.md, section 2; the documents' layout from isce-framework/isce2 SAOCOM_SLC.py 02f6af6,
senbox-org/microwave-toolbox 7b87028 (corners, names of bands) and sertit/eoreader de56af6.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mosaics.products.calibration import Linear, Power
from mosaics.products.delivery import (
    BandGroup,
    Calibration,
    Delivery,
    DeliveryIncompleteError,
    DeliveryUnreadableError,
    GroundPoint,
    Radar,
    check_single,
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
    inside,
    instant_of,
    number_of,
    parse_xml,
    plain,
    text_of,
    whole_of,
)

_DOCUMENT: Final = re.compile(r"S1[AB]_OPER_SAR_.+_L1[ABCD]_.+\.xemt", re.IGNORECASE)
_CHANNEL: Final = re.compile(r"(?P<type>slc|di|gec|gtc)-.+-(?P<band>[hv]{2})(-[vlmh])?\.xml", re.IGNORECASE)
_DATA: Final = "Data"
_ON_GROUND: Final = ("GEC", "GTC")
_PLATFORMS: Final = {"SAO1A": "SAOCOM 1A", "SAO1B": "SAOCOM 1B"}
_STRIPMAP: Final = "SM"
_VERTICES: Final = {
    ("ascending", "right"): (0, 3, 1, 2),
    ("ascending", "left"): (3, 0, 2, 1),
    ("descending", "right"): (2, 1, 3, 0),
    ("descending", "left"): (1, 2, 0, 3),
}
"""Orbit and side -> which vertices of the frame lie at the first row's near and far range, then the last's:
SNAP's, checked there against real single looks; of detected images in ground range unverified."""


def find_saocom(path: Path) -> Path | None:
    """Give the document of a delivery of SAOCOM; None: it is none.

    Args:
        path: The folder that holds it, the folder of its data, or the document.

    Raises:
        DeliveryUnreadableError: If a folder holds several.
    """
    if path.is_file():
        return path if _DOCUMENT.fullmatch(path.name) else None
    if not path.is_dir():
        return None
    found = sorted(each for each in path.iterdir() if _DOCUMENT.fullmatch(each.name))
    check_single(path, found)
    if found:
        return found[0]
    beside = path.with_name(f"{path.name}.xemt")
    return beside if _DOCUMENT.fullmatch(beside.name) and beside.is_file() else None


def read_saocom(path: Path) -> Delivery:
    """Read a delivery by its document.

    Raises:
        DeliveryUnreadableError: If it can't be understood.
        DeliveryIncompleteError: If its data are not there, or still packed.
    """
    root = plain(parse_xml(path))
    if root.find(".//product") is None and root.tag != "product":
        raise DeliveryUnreadableError(f"{path.name}: it is no document of SAOCOM")
    channels = _channels(path)
    level, mode = text_of(root, ".//procLevel"), text_of(root, ".//acqMode") or "unknown"
    first = plain(parse_xml(next(iter(channels.values()))))
    product_type = _type_of(next(iter(channels.values())))
    if product_type == "SLC" and mode != _STRIPMAP:
        raise DeliveryUnreadableError(
            f"{path.name}: its single looks of mode {mode} come in bursts, which are not joined here; "
            "order level L1B, L1C or L1D"
        )
    channel = first if first.tag == "Channel" else first.find(".//Channel")
    radar = _radar(root, channel, product_type, ordered(channels))
    sensor = text_of(channel, "DataSetInfo/SensorName") or ""
    period = root.find(".//timePeriod")
    return Delivery(
        name=path.stem,
        sensor_id="saocom",
        platform=_PLATFORMS.get(sensor, sensor or "SAOCOM 1"),
        groups=(_group(root, path, channels, channel, radar),),
        acquired=middle(instant_of(period, "startTime"), instant_of(period, "endTime")),
        radar=radar,
        level=level or product_type,
    )


def _type_of(channel: Path) -> str:
    match = _CHANNEL.fullmatch(channel.name)
    return "" if match is None else match["type"].upper()


def _channels(path: Path) -> dict[str, Path]:
    """Give the document of each polarization's image, which lies beside that."""
    folders = (path.parent / path.stem / _DATA, path.parent / _DATA)
    folder = next((each for each in folders if each.is_dir()), None)
    if folder is None:
        packed = path.with_suffix(".zip").is_file()
        raise DeliveryIncompleteError(
            f"{path.name}: its folder {_DATA} is not there; "
            + ("unpack the zip beside it first" if packed else "copy the whole delivery and bank it again")
        )
    found: dict[str, Path] = {}
    for each in sorted(folder.iterdir()):
        match = _CHANNEL.fullmatch(each.name)
        if match is None:
            continue
        band = match["band"].upper()
        if band in found:
            raise DeliveryUnreadableError(
                f"{path.name}: it has several images of {band}, which are not joined here"
            )
        found[band] = inside(folder, each.name, path)
    if not ordered(found):
        raise DeliveryIncompleteError(
            f"{path.name}: no image is described in its folder {_DATA}; copy the whole delivery and bank it "
            "again"
        )
    return found


def _radar(root: Element, channel: Element | None, product_type: str, bands: tuple[str, ...]) -> Radar:
    side = text_of(root, ".//sideLooking") or text_of(channel, "DataSetInfo/SideLooking")
    direction = text_of(root, ".//OrbitDirection") or text_of(channel, "StateVectorData/OrbitDirection")
    return Radar(
        frequency_band="L",
        instrument_mode=" ".join(
            filter(None, (text_of(root, ".//acqMode") or "unknown", text_of(root, ".//beamID")))
        ),
        polarizations=bands,
        product_type=product_type,
        center_frequency_ghz=gigahertz(number_of(channel, "DataSetInfo/fc_hz")),
        pixel_spacing_range=number_of(channel, "SamplingConstants/PSrg_m"),
        pixel_spacing_azimuth=number_of(channel, "SamplingConstants/PSaz_m"),
        observation_direction=observation_direction(side),
        orbit_state=orbit_state(direction),
        relative_orbit=whole_of(channel, "StateVectorData/Track"),
        absolute_orbit=whole_of(channel, "StateVectorData/OrbitNumber"),
    )


def _group(
    root: Element, path: Path, channels: dict[str, Path], channel: Element | None, radar: Radar
) -> BandGroup:
    rows, columns = whole_of(channel, "RasterInfo/Lines"), whole_of(channel, "RasterInfo/Samples")
    if not rows or not columns:
        raise DeliveryUnreadableError(f"{path.name}: it is not said how large its images are")
    is_complex = radar.product_type == "SLC"
    calibration: Calibration = Power() if is_complex else Linear()
    return radar_group(
        name=radar.product_type.lower(),
        images=[(band, channels[band].with_suffix("")) for band in radar.polarizations],
        calibrations=[calibration] * len(radar.polarizations),
        quantity="sigma0",
        height=rows,
        width=columns,
        geometry="ground" if radar.product_type in _ON_GROUND else "sensor",
        points=_points(root, radar, rows, columns),
        is_complex=is_complex,
        metadata=path,
    )


def _points(root: Element, radar: Radar, rows: int, columns: int) -> tuple[GroundPoint, ...]:
    """Give the corners of the frame; which of them is where hangs on the orbit and the side."""
    told = [(number_of(each, "lon"), number_of(each, "lat")) for each in root.findall(".//frame/vertex")]
    vertices = [(x, y) for x, y in told if x is not None and y is not None]
    order = _VERTICES.get((radar.orbit_state or "", radar.observation_direction or ""))
    if order is None or len(vertices) < 4:
        return ()
    return corner_points([vertices[each] for each in order], rows, columns)
