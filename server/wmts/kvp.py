"""WMTS requests in KVP form: query parameters in; a frozen request out, or an OwsError saying what is wrong.

What exists (layers, styles, grids, dates) is not known here; the caller checks it and raises
`exceptions.invalid`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from server.wmts.exceptions import contradictory, invalid, missing, version_negotiation_failed
from server.wmts.language import DEFAULT_LANGUAGE, Language, find_language

VERSION = "1.0.0"
"""The version of WMTS that is spoken."""

SECTIONS = ("ServiceIdentification", "ServiceProvider", "OperationsMetadata", "Contents", "Themes")
"""The sections of a capabilities document, in its order."""

LATEST = "latest"
"""The time that stands for the newest data."""

_OWS_NAMES = {
    "service": "service",
    "request": "request",
    "version": "version",
    "acceptversions": "acceptVersions",
    "acceptformats": "acceptFormats",
    "sections": "sections",
    "updatesequence": "updateSequence",
    "layer": "layer",
    "style": "style",
    "format": "format",
    "tilematrixset": "TileMatrixSet",
    "tilematrix": "TileMatrix",
    "tilerow": "TileRow",
    "tilecol": "TileCol",
    "infoformat": "infoFormat",
    "i": "I",
    "j": "J",
    "time": "Time",
}
"""Parameters of the standard in lower case, and how a locator spells them. Any of them makes us strict."""

_FILTER_NAMES = {"layers": "layers", "tms": "tms", "lang": "lang", "language": "language"}
"""Our own parameters, which narrow the capabilities down."""

_CANONICAL_INTEGER = re.compile(r"0|[1-9][0-9]{0,9}")


@dataclass(frozen=True, kw_only=True, slots=True)
class GetCapabilities:
    """A request for the capabilities document."""

    sections: frozenset[str] | None = None
    """Names out of SECTIONS; None: all of the document."""
    update_sequence: str | None = None
    """The updateSequence that the client holds."""
    layers: frozenset[str] | None = None
    """Only layers of these ids, known or not; None: all."""
    grids: frozenset[str] | None = None
    """Only tile matrix sets of these ids or aliases, known or not; None: all."""
    language: Language = DEFAULT_LANGUAGE
    """Language of titles and abstracts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GetTile:
    """A request for one tile; ids are as sent."""

    layer: str
    style: str | None
    """None: the default style."""
    format: str
    """Media type of the image."""
    tile_matrix_set: str
    tile_matrix: str
    row: int
    """0 to 9 999 999 999; whether the matrix has it is not checked."""
    col: int
    """0 to 9 999 999 999; whether the matrix has it is not checked."""
    time: str | None
    """As sent; None: the layer's default; `current` reads as `latest`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GetFeatureInfo:
    """A request for the values under one pixel of a tile."""

    tile: GetTile
    """The tile that was clicked."""
    info_format: str
    """Media type of the answer."""
    i: int
    """Pixel column from the left of the tile; whether the tile has it is not checked."""
    j: int
    """Pixel row from the top of the tile; whether the tile has it is not checked."""
    language: Language = DEFAULT_LANGUAGE
    """Language of the answer."""


def parse_kvp(query: Sequence[tuple[str, str]]) -> GetCapabilities | GetTile | GetFeatureInfo:
    """Parse the query of a request to the KVP address.

    Without a single parameter of the standard it is a GetCapabilities with our filters, so that the bare
    address can be given to a client; one of them makes it strict.

    Args:
        query: Decoded (name, value) pairs without credentials; names in any case, unknown ones ignored.

    Raises:
        OwsError: For a parameter that is missing, malformed, or given twice with two values.

    Source: OGC 07-057r7 (WMTS 1.0.0) tables 11, 22, 29; OGC 06-121r3 7.2 and 7.3.
    """
    values = _by_name(query)
    if values.keys().isdisjoint(_OWS_NAMES):
        return _capabilities(values)
    service = _mandatory(values, "service")
    if service == "WMS" and values.get("request") == "GetCapabilities":
        # QGIS asks so of every address that does not say SERVICE=WMTS itself, and takes a WMTS document.
        return _capabilities(values)
    if service != "WMTS":
        raise invalid("service")
    match _mandatory(values, "request"):
        case "GetCapabilities":
            return _capabilities(values)
        case "GetTile":
            _check_version(values)
            return _tile(values)
        case "GetFeatureInfo":
            _check_version(values)
            return _feature_info(values)
        case _:
            raise invalid("request")


def normal_time(time: str) -> str | None:
    """Read the keywords that the standard gives to a dimension.

    Args:
        time: Value of the parameter Time, or of the `{Time}` segment of a resource.

    Returns:
        None for the default (empty or `default`), `latest` for `current`, else the value itself.

    Source: OGC 07-057r7 table 9 (Default and Current of a Dimension).
    """
    if time in {"", "default"}:
        return None
    return LATEST if time == "current" else time


def normal_style(style: str) -> str | None:
    """Read a style id: None for the default one (empty or `default`)."""
    return None if style in {"", "default"} else style


def parse_index(text: str, locator: str) -> int:
    """Parse a row, column or pixel index in its one canonical form.

    Args:
        text: Digits without sign, space or leading zero.
        locator: Its name in the report.

    Raises:
        OwsError: If it has another form.
    """
    if not _CANONICAL_INTEGER.fullmatch(text):
        raise invalid(locator)
    return int(text)


def _by_name(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    known = _OWS_NAMES | _FILTER_NAMES
    values: dict[str, str] = {}
    for name, value in query:
        key = name.lower()
        if key in known and values.setdefault(key, value) != value:
            raise contradictory(known[key])
    return values


def _mandatory(values: Mapping[str, str], key: str) -> str:
    value = values.get(key)
    if not value:
        raise missing(_OWS_NAMES[key])
    return value


def _check_version(values: Mapping[str, str]) -> None:
    if _mandatory(values, "version") != VERSION:
        raise invalid("version")


def _capabilities(values: Mapping[str, str]) -> GetCapabilities:
    # `version` is no parameter of GetCapabilities: clients that send one mean AcceptVersions, and there is
    # but one version. An unknown AcceptFormats gets application/xml all the same (06-121r3, 7.3.5).
    accepted = values.get("acceptversions", "")
    if accepted and VERSION not in _listed(accepted):
        raise version_negotiation_failed()
    return GetCapabilities(
        sections=_sections(values.get("sections")),
        update_sequence=values.get("updatesequence") or None,
        layers=_filter(values, "layers"),
        grids=_filter(values, "tms"),
        language=_language(values),
    )


def _sections(text: str | None) -> frozenset[str] | None:
    if text is None:
        return None
    names = _listed(text)
    if not names:
        raise missing("sections")
    # The conformance suite writes `all`, the standard `All`.
    if any(name.lower() == "all" for name in names):
        return None
    if not names <= frozenset(SECTIONS):
        raise invalid("sections")
    return names


def _filter(values: Mapping[str, str], key: str) -> frozenset[str] | None:
    if key not in values:
        return None
    names = _listed(values[key])
    if not names:
        raise missing(_FILTER_NAMES[key])
    return names


def _listed(text: str) -> frozenset[str]:
    return frozenset(name for part in text.split(",") if (name := part.strip()))


def _language(values: Mapping[str, str]) -> Language:
    asked = {key: find_language(values[key]) for key in ("lang", "language") if key in values}
    for key, language in asked.items():
        if language is None:
            raise invalid(key)
    found = {language for language in asked.values() if language is not None}
    if len(found) > 1:
        raise contradictory("lang")
    return found.pop() if found else DEFAULT_LANGUAGE


def _tile(values: Mapping[str, str]) -> GetTile:
    layer = _mandatory(values, "layer")
    if "style" not in values:
        raise missing("style")
    return GetTile(
        layer=layer,
        style=normal_style(values["style"]),
        format=_mandatory(values, "format"),
        tile_matrix_set=_mandatory(values, "tilematrixset"),
        tile_matrix=_mandatory(values, "tilematrix"),
        row=parse_index(_mandatory(values, "tilerow"), "TileRow"),
        col=parse_index(_mandatory(values, "tilecol"), "TileCol"),
        time=normal_time(values.get("time", "")),
    )


def _feature_info(values: Mapping[str, str]) -> GetFeatureInfo:
    return GetFeatureInfo(
        tile=_tile(values),
        info_format=_mandatory(values, "infoformat"),
        i=parse_index(_mandatory(values, "i"), "I"),
        j=parse_index(_mandatory(values, "j"), "J"),
        language=_language(values),
    )
