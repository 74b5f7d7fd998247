"""PALSAR-2 of ALOS-2 as JAXA delivers it: summary.txt with images in CEOS or GeoTIFF.

sigma0 = DN^2 * 10^(K/10) with K = -83 dB for levels 1.5, 2.1 and 3.1, and 32 dB less for the complex level
1.1; K is the product's own where its leader states one. Single looks of ScanSAR, one file for each beam, are
not read; mosaics of JAXA are plain files and need no reader. Level 1.1 as GeoTIFF is unverified.

Source: sensors.md, section 4 [JX1][PA]; names of products: johntruckenbrodt/pyroSAR e16d63b; how corners of
level 1.1 lie: senbox-org/microwave-toolbox 7b87028.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pyproj import Transformer

from mosaics.products.calibration import Power
from mosaics.products.ceos import Frame, Leader, read_leader
from mosaics.products.delivery import (
    BandGroup,
    Delivery,
    DeliveryUnreadableError,
    Driver,
    Geometry,
    GroundPoint,
    Radar,
    View,
)
from mosaics.products.radar import (
    LIGHT,
    corner_points,
    gigahertz,
    observation_direction,
    orbit_state,
    ordered,
    radar_group,
)
from mosaics.products.xml import inside

METADATA: Final = "summary.txt"
_LINE: Final = re.compile(r'^\s*(\w+)\s*=\s*"?([^"]*)"?\s*$')
_IMAGE: Final = re.compile(r"IMG-(?P<band>[HV]{2})-ALOS2.+", re.IGNORECASE)
_BEAM: Final = re.compile(r"-F\d(\.tiff?)?$", re.IGNORECASE)
_LEADER: Final = re.compile(r"LED-ALOS2.+", re.IGNORECASE)
_PRODUCT: Final = re.compile(
    r"(?P<mode>[A-Z]{3})(?P<look>[LR])(?P<level>1\.1|1\.5|2\.1|3\.1)(?P<placed>[GR_])[UPML_](?P<orbit>[AD])"
)
_GEOCODED: Final = "G"
_COMPLEX: Final = "1.1"
_DECIBELS: Final = -83.0
_COMPLEX_DECIBELS: Final = -32.0
_CORNERS: Final = ("LeftTop", "RightTop", "LeftBottom", "RightBottom")
_STEPS: Final = 8
"""Between points of a map, along each side."""
_LARGEST: Final = 1_000_000
"""Bytes of a summary; a real one has 2,258."""


def find_alos2(path: Path) -> Path | None:
    """Give the summary of a delivery of ALOS-2; None: it is none.

    Args:
        path: Its folder, the summary, or an image or leader beside it.
    """
    if path.is_dir():
        found = path / METADATA
    elif path.name.lower() == METADATA:
        found = path
    elif _IMAGE.fullmatch(path.name) or _LEADER.fullmatch(path.name):
        found = path.with_name(METADATA)
    else:
        return None
    return found if found.is_file() and _summary(found).get("Lbi_Satellite") == "ALOS2" else None


def read_alos2(path: Path) -> Delivery:
    """Read a delivery by its summary.

    Raises:
        DeliveryUnreadableError: If it can't be understood.
    """
    said = _summary(path)
    product = _PRODUCT.fullmatch(said.get("Pds_ProductID", ""))
    if said.get("Lbi_Satellite") != "ALOS2" or product is None:
        raise DeliveryUnreadableError(
            f"{path.name}: it is no summary of an image of ALOS-2 of level 1.1, 1.5, 2.1 or 3.1"
        )
    leader_file = _leader_file(said, path)
    leader = read_leader(leader_file) if leader_file is not None and leader_file.is_file() else Leader()
    group = _group(said, product, path, leader, leader_file)
    spacing = _number(said, "Pds_PixelSpacing")
    frequency = LIGHT / leader.wavelength if leader.wavelength else None
    return Delivery(
        name="-".join(filter(None, (said.get("Scs_SceneID"), said.get("Pds_ProductID")))),
        sensor_id="alos-2",
        platform="ALOS-2",
        groups=(group,),
        acquired=_instant(said.get("Img_SceneCenterDateTime")),
        view=View(incidence=leader.incidence, off_nadir=_number(said, "Img_OffNadirAngle")),
        radar=Radar(
            frequency_band="L",
            instrument_mode=product["mode"],
            polarizations=tuple(band.id for band in group.bands),
            product_type=f"L{product['level']}",
            center_frequency_ghz=gigahertz(frequency),
            pixel_spacing_range=spacing,
            pixel_spacing_azimuth=spacing,
            observation_direction=observation_direction(product["look"]),
            orbit_state=orbit_state(product["orbit"]),
            absolute_orbit=leader.orbit,
        ),
        level=f"L{product['level']}",
    )


def _summary(path: Path) -> dict[str, str]:
    """Read lines of key="value"."""
    try:
        if path.stat().st_size > _LARGEST:
            raise DeliveryUnreadableError(f"{path.name}: it is too large for a summary")
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise DeliveryUnreadableError(f"{path.name}: it can't be read: {error.strerror}") from error
    found = (_LINE.match(line) for line in text.splitlines())
    return {each[1]: each[2].strip() for each in found if each is not None}


def _number(said: Mapping[str, str], key: str) -> float | None:
    try:
        value = float(said[key])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _instant(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%Y%m%d %H:%M:%S.%f").replace(tzinfo=UTC)
    except ValueError:
        return None


def _named(said: Mapping[str, str], path: Path) -> list[Path]:
    """Give the files that the summary names."""
    return [
        inside(path.parent, name, path) for key, name in said.items() if "ProductFileName" in key and name
    ]


def _leader_file(said: Mapping[str, str], path: Path) -> Path | None:
    return next((each for each in _named(said, path) if _LEADER.fullmatch(each.name)), None)


def _group(
    said: Mapping[str, str], product: re.Match[str], path: Path, leader: Leader, leader_file: Path | None
) -> BandGroup:
    images = {
        match["band"].upper(): each
        for each in _named(said, path)
        if (match := _IMAGE.fullmatch(each.name)) is not None
    }
    bands = ordered(images)
    rows, columns = _number(said, "Pdi_NoOfLines_0"), _number(said, "Pdi_NoOfPixels_0")
    if not bands or not rows or not columns:
        raise DeliveryUnreadableError(
            f"{path.name}: it does not say which images it has, or how large they are"
        )
    if any(_BEAM.search(each.name) for each in images.values()):
        raise DeliveryUnreadableError(
            f"{path.name}: its images are single looks of several beams, which are not joined here; "
            "order level 1.5 or 2.1"
        )
    is_complex = product["level"] == _COMPLEX
    bits = _number(said, "Pdi_BitPixel") or 8
    is_ceos = not images[bands[0]].suffix.lower().startswith(".tif")
    driver: Driver = "SAR_CEOS" if is_ceos else "GTiff"
    geometry: Geometry = "ground" if product["placed"] == _GEOCODED and not is_ceos else "sensor"
    decibels = leader.calibration if leader.calibration is not None else _DECIBELS
    power = Power(factor=10 ** ((decibels + (_COMPLEX_DECIBELS if is_complex else 0)) / 10))
    return radar_group(
        name=f"l{product['level']}",
        images=[(band, images[band]) for band in bands],
        calibrations=[power] * len(bands),
        quantity="sigma0",
        height=int(rows),
        width=int(columns),
        geometry=geometry,
        points=_points(said, product, leader, int(rows), int(columns)),
        driver=driver,
        is_complex=is_complex,
        least_bytes=int(rows * columns * bits / 8) if is_ceos else 1,
        tables=() if leader_file is None else (leader_file,),
        metadata=path,
    )


def _grid(frame: Frame, rows: int, columns: int) -> tuple[GroundPoint, ...]:
    """Give points all over a map: between its corners its lines are bent in degrees, by more than pixels."""
    shares = [step / _STEPS for step in range(_STEPS + 1)]
    to_degrees = Transformer.from_crs(frame.crs, "EPSG:4326", always_xy=True)
    found = []
    for down in shares:
        for across in shares:
            longitude, latitude = to_degrees.transform(
                frame.left + across * (frame.right - frame.left),
                frame.top + down * (frame.bottom - frame.top),
            )
            found.append(
                GroundPoint(
                    row=0.5 + down * (rows - 1),
                    column=0.5 + across * (columns - 1),
                    longitude=longitude,
                    latitude=latitude,
                )
            )
    return tuple(found)


def _points(
    said: Mapping[str, str], product: re.Match[str], leader: Leader, rows: int, columns: int
) -> tuple[GroundPoint, ...]:
    """Give the corners of the image: the leader's, which are of pixels, else the summary's, to 0.001 degrees.

    The summary names the corners of level 1.1 as a map has them, while the image begins where the satellite
    did, at near range; those of images on a map are called its frame.
    """
    if leader.frame is not None and product["placed"] == _GEOCODED:
        return _grid(leader.frame, rows, columns)
    if leader.corners and product["level"] != _COMPLEX:
        return corner_points(leader.corners, rows, columns)
    of = "Img_FrameScene" if product["placed"] == _GEOCODED else "Img_ImageScene"
    told = [
        (_number(said, f"{of}{each}Longitude"), _number(said, f"{of}{each}Latitude")) for each in _CORNERS
    ]
    corners = [(x, y) for x, y in told if x is not None and y is not None]
    if len(corners) != len(_CORNERS):
        return ()
    if product["level"] == _COMPLEX:
        if product["orbit"] == "A":
            corners = [*corners[2:], *corners[:2]]
        if (product["orbit"] == "A") == (product["look"] == "L"):
            corners = [corners[1], corners[0], corners[3], corners[2]]
    return corner_points(corners, rows, columns)
