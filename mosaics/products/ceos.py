"""The leader file of JAXA's CEOS products: the few fields of its records that are read here.

Records begin with their number, four bytes of type and their length; fields are text at fixed places. Source:
the leader of a real ALOS-2 product, read against GDAL frmts/ceos2/sar_ceosdataset.cpp 0221c26 and the record
definitions of senbox-org/microwave-toolbox 7b87028.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mosaics.products.delivery import DeliveryUnreadableError

_HEADER: Final = struct.Struct(">I4BI")
_SUMMARY: Final = 10
"""Second byte of a record's type: data set summary."""
_MAP: Final = 20
_RADIOMETRY: Final = 50
_LARGEST: Final = 64_000_000
"""Bytes of a leader; that of a real product has 1.6 million."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """Where an image lies on a map of UTM."""

    crs: str
    """Of the map, such as EPSG:32720."""
    left: float
    """Easting of the middles of the first column's pixels, metres."""
    top: float
    """Northing of the first row's."""
    right: float
    """Easting of the last column's."""
    bottom: float
    """Northing of the last row's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leader:
    """What a leader says of its product; None where it says nothing."""

    incidence: float | None = None
    """At the scene's middle, degrees."""
    wavelength: float | None = None
    """Metres."""
    orbit: int | None = None
    """Number since launch."""
    calibration: float | None = None
    """Decibels: sigma0 of a count of 1."""
    corners: tuple[tuple[float, float], ...] = ()
    """Longitude and latitude of the middles of the corner pixels: the first row's first and last column, then
    the last row's; empty: there is no such record."""
    frame: Frame | None = None
    """Of an image on a map of UTM whose rows are of one northing."""


def read_leader(path: Path) -> Leader:
    """Read a leader file.

    Raises:
        DeliveryUnreadableError: If it is cut short or too large.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise DeliveryUnreadableError(f"{path.name}: it is too large for a leader")
        data = path.read_bytes()
    except OSError as error:
        raise DeliveryUnreadableError(f"{path.name}: it can't be read: {error.strerror}") from error
    records = _records(data, path)
    summary, ground, radiometry = (records.get(kind, b"") for kind in (_SUMMARY, _MAP, _RADIOMETRY))
    orbit = _number(summary, 444, 8)
    return Leader(
        incidence=_number(summary, 484, 8),
        wavelength=_number(summary, 500, 16),
        orbit=None if orbit is None else int(orbit),
        calibration=_number(radiometry, 20, 16),
        corners=_corners(ground),
        frame=_frame(ground),
    )


def _records(data: bytes, path: Path) -> dict[int, bytes]:
    """Give the first record of each kind, by the second byte of its type."""
    found: dict[int, bytes] = {}
    place = 0
    while place + _HEADER.size <= len(data):
        _, _, kind, _, _, length = _HEADER.unpack_from(data, place)
        if length < _HEADER.size or place + length > len(data):
            raise DeliveryUnreadableError(f"{path.name}: it is cut short; copy it again")
        found.setdefault(kind, data[place : place + length])
        place += length
    if _SUMMARY not in found:
        raise DeliveryUnreadableError(f"{path.name}: it is no leader of a CEOS product")
    return found


def _number(record: bytes, place: int, length: int) -> float | None:
    try:
        value = float(record[place : place + length].decode("ascii"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _corners(record: bytes) -> tuple[tuple[float, float], ...]:
    """Give the corners; the record goes round: upper left, upper right, lower right, lower left."""
    found = [
        (_number(record, 1088 + 32 * each, 16), _number(record, 1072 + 32 * each, 16)) for each in range(4)
    ]
    known = [(x, y) for x, y in found if x is not None and y is not None]
    if len(set(known)) < 4:
        return ()
    upper_left, upper_right, lower_right, lower_left = known
    return upper_left, upper_right, lower_left, lower_right


def _frame(record: bytes) -> Frame | None:
    """Give the map's corners, where it is UTM and its north is the image's."""
    if record[412:427] != b"UTM-PROJECTION ":
        return None
    zone, false_northing = _number(record, 476, 4), _number(record, 496, 16)
    kilometres = [_number(record, 944 + 16 * each, 16) for each in range(8)]
    known = [each * 1000 for each in kilometres if each is not None]
    if zone is None or false_northing is None or not 1 <= zone <= 60 or len(known) != 8:
        return None
    top, left, same_top, right, bottom, same_right, same_bottom, same_left = known
    if (top, left, bottom, right) != (same_top, same_left, same_bottom, same_right):
        return None
    south = false_northing > 0
    return Frame(
        crs=f"EPSG:{(32700 if south else 32600) + int(zone)}", left=left, top=top, right=right, bottom=bottom
    )
