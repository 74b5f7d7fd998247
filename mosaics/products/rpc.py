"""Rational polynomial coefficients as providers write them, as GDAL counts pixels.

GDAL's line and sample 0 are the middle of the first pixel. Sources: GDAL gcore/mdreader/reader_pleiades.cpp
and gcore/gdal_mdreader.cpp, GDAL issue 5716 (Pléiades Neo), OTB otbGeomMetadataSupplier; of CNES' internal
format of Pléiades: CNES/shareloc 50042a3 (shareloc/geomodels/rpc_readers.py), checked on a real document, of
which both directions agree within 0.05 pixel.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rasterio.rpc import RPC

from mosaics.products.delivery import DeliveryUnreadableError
from mosaics.products.xml import Element, parse_xml, plain, text_of

_LARGEST: Final = 1_000_000
"""Bytes of a text file of coefficients; they have less than ten thousand."""
_OFFSETS: Final = ("LINE", "SAMP", "LAT", "LONG", "HEIGHT")
_POLYNOMIALS: Final = ("LINE_NUM_COEFF", "LINE_DEN_COEFF", "SAMP_NUM_COEFF", "SAMP_DEN_COEFF")
_GROUND_TO_IMAGE: Final = ("Inverse_Model", "GroundtoImage_Values")
"""The direction that is asked for here, of DIMAP 2 and of Pléiades Neo; the other leads to the ground."""
_IMAGE_DOMAIN: Final = "ImagetoGround_Validity_Domain"
_DIMAP2_FIRST: Final = 1.0
"""Line and sample of the middle of the first pixel of Pléiades and SPOT 6 and 7."""
_INTERNAL_OFFSETS: Final = {"LINE": "Row", "SAMP": "Col", "LAT": "Lat", "LONG": "Lon", "HEIGHT": "Alt"}
_RPB_NAMES: Final = {
    "LINE_OFF": "lineOffset", "SAMP_OFF": "sampOffset", "LAT_OFF": "latOffset", "LONG_OFF": "longOffset",
    "HEIGHT_OFF": "heightOffset", "LINE_SCALE": "lineScale", "SAMP_SCALE": "sampScale",
    "LAT_SCALE": "latScale", "LONG_SCALE": "longScale", "HEIGHT_SCALE": "heightScale",
    "LINE_NUM_COEFF": "lineNumCoef", "LINE_DEN_COEFF": "lineDenCoef",
    "SAMP_NUM_COEFF": "sampNumCoef", "SAMP_DEN_COEFF": "sampDenCoef",
    "ERR_BIAS": "errBias", "ERR_RAND": "errRand",
}  # fmt: skip
_ERRORS: Final = {"ERR_BIAS": "bias_error", "ERR_RAND": "rand_error"}
"""Errors, optional everywhere -> their names in keyword lists."""
_ASSIGNMENT: Final = re.compile(r"(\w+)\s*=\s*(\([^)]*\)|[^;\n]*)")
_LINE: Final = re.compile(r"^[ \t]*([\w.]+)[ \t]*[:=][ \t]*(\S+)", re.MULTILINE)


def read_rpc(path: Path) -> RPC:
    """Read the model that leads from the ground to a whole image, not to one of its parts.

    Args:
        path: DIMAP's `RPC_*.XML` of Pléiades, SPOT 6 and 7 or Pléiades Neo, or a document of CNES' internal
            format; `*.RPB`; `*_RPC.TXT` and
            its like; OTB's `*.geom`. What a file is, its content tells.

    Returns:
        Offsets and scales in pixels and degrees of WGS 84, heights in metres above the ellipsoid; line and
        sample 0 are the middle of the first pixel. Text files are taken as GDAL takes them, as they stand.

    Raises:
        DeliveryUnreadableError: If it has no such model, or numbers of it are missing.
    """
    if path.suffix.lower() in {".xml", ".dim"}:
        values = _dimap(plain(parse_xml(path)), path)
    else:
        text = _text(path)
        if re.search(r"\blineOffset\b", text):
            values = _rpb(text)
        elif re.search(r"^polynomial_format\s*:", text, re.MULTILINE):
            values = _geom(text)
        else:
            values = {name.upper(): found for name, found in _LINE.findall(text)}
    return _model(values, path)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise DeliveryUnreadableError(f"{path.name}: it is too large for coefficients")
        return path.read_text(encoding="latin-1")
    except OSError as error:
        raise DeliveryUnreadableError(f"{path.name}: it can't be read: {error.strerror}") from error


def _dimap(root: Element, path: Path) -> dict[str, str]:
    """Read DIMAP's names, which are those asked for here but for the first pixel."""
    model = next(root.iter("Global_RFM"), None)
    if model is None:
        raise DeliveryUnreadableError(f"{path.name}: it has no rational polynomial coefficients")
    if model.find("Inverse_Model/F_COL") is not None:
        return _internal(model)
    values = {
        each.tag: (each.text or "").strip()
        for tag in ("RFM_Validity", *_GROUND_TO_IMAGE)
        for part in model.findall(tag)
        for each in part
        if len(each) == 0
    }
    for name, place in (("LINE_OFF", "FIRST_ROW"), ("SAMP_OFF", "FIRST_COL")):
        found = _number(values.get(name))
        if found is not None:
            values[name] = repr(found - _first(model, place))
    return values


def _internal(model: Element) -> dict[str, str]:
    """Read CNES' internal names: numerator and denominator in one list, scale A and offset B of each."""
    values = {}
    for name, place in _INTERNAL_OFFSETS.items():
        values[f"{name}_SCALE"] = text_of(model, f"RFM_Validity/{place}/A") or ""
        values[f"{name}_OFF"] = text_of(model, f"RFM_Validity/{place}/B") or ""
    for name in ("LINE_OFF", "SAMP_OFF"):
        found = _number(values[name])
        if found is not None:
            values[name] = repr(found - _DIMAP2_FIRST)
    for names, place in ((_POLYNOMIALS[:2], "F_ROW"), (_POLYNOMIALS[2:], "F_COL")):
        words = (text_of(model, f"Inverse_Model/{place}") or "").split()
        if len(words) == 40:
            for number, word in enumerate(words):
                values[f"{names[number // 20]}_{number % 20 + 1}"] = word
    return values


def _first(model: Element, place: str) -> float:
    """Give the line or sample of the middle of the first pixel.

    Pléiades Neo begins at 0 and says so by its domain; others begin at 1, whatever their domain, which may
    begin outside of the image.
    """
    domain = model.find(f".//{_IMAGE_DOMAIN}")
    if domain is None:
        return _DIMAP2_FIRST
    return 1.0 if _number(text_of(domain, place)) == 1 else 0.0


def _rpb(text: str) -> dict[str, str]:
    found = {name: value.strip(" ()\t\r\n") for name, value in _ASSIGNMENT.findall(text)}
    values = {ours: found[theirs] for ours, theirs in _RPB_NAMES.items() if theirs in found}
    for name in _POLYNOMIALS:
        for place, value in enumerate(re.split(r"[,\s]+", values.pop(name, "")), 1):
            values[f"{name}_{place}"] = value
    return values


def _geom(text: str) -> dict[str, str]:
    """Read a keyword list, whose coefficients are counted from 0 and whose first pixel is 0 already."""
    found = dict(_LINE.findall(text))
    values = {name: found[theirs] for name, theirs in _ERRORS.items() if theirs in found}
    for name in (f"{each}_{what}" for each in _OFFSETS for what in ("OFF", "SCALE")):
        values[name] = found.get(name.lower(), "")
    for name in _POLYNOMIALS:
        for place in range(20):
            values[f"{name}_{place + 1}"] = found.get(f"{name.lower()}_{place:02}", "")
    return values


def _model(values: Mapping[str, str], path: Path) -> RPC:
    names = [f"{name}_{what}" for name in _OFFSETS for what in ("OFF", "SCALE")]
    singles = {name: _needed(values, name, path) for name in names}
    for name, value in singles.items():
        if name.endswith("SCALE") and value == 0:
            raise DeliveryUnreadableError(f"{path.name}: its {name} is 0")
    lists = {
        name: [_needed(values, f"{name}_{place}", path) for place in range(1, 21)] for name in _POLYNOMIALS
    }
    return RPC(
        **{name.lower(): value for name, value in singles.items()},
        **{name.lower(): value for name, value in lists.items()},
        err_bias=_number(values.get("ERR_BIAS")),
        err_rand=_number(values.get("ERR_RAND")),
    )


def _needed(values: Mapping[str, str], name: str, path: Path) -> float:
    found = _number(values.get(name))
    if found is None:
        raise DeliveryUnreadableError(f"{path.name}: it says no {name}; ask for its coefficients again")
    return found


def _number(text: str | None) -> float | None:
    try:
        found = float(text) if text else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None
