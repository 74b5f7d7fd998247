"""Answers of GetFeatureInfo: the values under a pixel, as GeoJSON, HTML or plain text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from mosaics.models import Text
from server.wmts.language import Language, in_language
from server.wmts.templating import render


class BandValue(NamedTuple):
    """The value of one band at the point."""

    name: str
    common_name: str | None
    value: float | None
    """In the unit; None: no data."""
    unit: str | None


class SceneValues(NamedTuple):
    """What one scene has at the point."""

    collection: str
    scene: str
    acquired: datetime | None
    """UTC; None: not known."""
    sensor: str
    values: tuple[BandValue, ...]
    """In file order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureInfo:
    """What a layer has at a point."""

    layer: str
    lon: float
    """Degrees (WGS 84)."""
    lat: float
    """Degrees (WGS 84)."""
    features: tuple[SceneValues, ...]
    """The scene on top first; empty where there is no data."""
    attribution: str = ""
    """The copyright lines of what is shown."""


_TITLE = Text(fr="Valeurs de la couche", en="Values of the layer")
_NO_DATA = Text(fr="pas de donnée", en="no data")
_NOTHING = Text(fr="Aucune donnée en ce point.", en="No data at this point.")
_LABELS = {
    "lon": Text(fr="Longitude", en="Longitude"),
    "lat": Text(fr="Latitude", en="Latitude"),
    "scene": Text(fr="Scène", en="Scene"),
    "collection": Text(fr="Collection", en="Collection"),
    "acquired": Text(fr="Acquisition (UTC)", en="Acquired (UTC)"),
    "sensor": Text(fr="Capteur", en="Sensor"),
    "band": Text(fr="Bande", en="Band"),
    "value": Text(fr="Valeur", en="Value"),
    "unit": Text(fr="Unité", en="Unit"),
}


def render_json(info: FeatureInfo, _language: Language) -> bytes:
    """Render a GeoJSON FeatureCollection, one point feature a scene; the same in any language.

    Properties are flat, as GIS platforms show them: the scene's, then one a band under the band's name.
    `bands` repeats the bands with their common names and units.

    Source: RFC 7946.
    """
    point = {"type": "Point", "coordinates": [round(info.lon, 8), round(info.lat, 8)]}
    features = [
        {
            "type": "Feature",
            "id": f"{feature.collection}:{feature.scene}",
            "geometry": point,
            "properties": _properties(info, feature),
        }
        for feature in info.features
    ]
    document = {"type": "FeatureCollection", "features": features}
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def render_html(info: FeatureInfo, language: Language) -> bytes:
    """Render a small HTML page without scripts; everything is escaped."""
    return render("feature_info.html", **_context(info, language))


def render_text(info: FeatureInfo, language: Language) -> bytes:
    """Render `name: value` lines, an empty line before each scene; control characters become spaces."""
    label = {key: in_language(text, language) for key, text in _LABELS.items()}
    lines = [
        f"{in_language(_TITLE, language)} {info.layer}",
        f"{label['lon']}: {info.lon:.7f}",
        f"{label['lat']}: {info.lat:.7f}",
    ]
    for feature in info.features:
        lines += [
            "",
            f"{label['scene']}: {feature.scene}",
            f"{label['collection']}: {feature.collection}",
            f"{label['acquired']}: {_instant(feature.acquired) or '-'}",
            f"{label['sensor']}: {feature.sensor}",
            *(f"{_band_name(band)}: {_shown(band, language)}" for band in feature.values),
        ]
    if not info.features:
        lines += ["", in_language(_NOTHING, language)]
    if info.attribution:
        lines += ["", info.attribution]
    return ("\n".join(_one_line(line) for line in lines) + "\n").encode()


RENDERERS: Mapping[str, Callable[[FeatureInfo, Language], bytes]] = MappingProxyType(
    {"application/json": render_json, "text/html": render_html, "text/plain": render_text}
)
"""Media type, as in InfoFormat -> its renderer; the bytes are UTF-8."""


def _properties(info: FeatureInfo, feature: SceneValues) -> dict[str, object]:
    own: dict[str, object] = {
        "layer": info.layer,
        "collection": feature.collection,
        "scene": feature.scene,
        "datetime": _instant(feature.acquired),
        "sensor": feature.sensor,
    }
    # The scene's own words win over a band that happens to be called the same.
    flat = {band.name: _finite(band.value) for band in feature.values} | own
    order = [*own, *(name for name in flat if name not in own)]
    bands = [
        {
            "name": band.name,
            "common_name": band.common_name,
            "value": _finite(band.value),
            "unit": band.unit,
        }
        for band in feature.values
    ]
    return {name: flat[name] for name in order} | {"bands": bands, "attribution": info.attribution}


def _context(info: FeatureInfo, language: Language) -> dict[str, object]:
    return {
        "language": language,
        "title": in_language(_TITLE, language),
        "nothing": in_language(_NOTHING, language),
        "label": {key: in_language(text, language) for key, text in _LABELS.items()},
        "layer": info.layer,
        "lon": f"{info.lon:.7f}",
        "lat": f"{info.lat:.7f}",
        "attribution": info.attribution,
        "features": [
            {
                "collection": feature.collection,
                "scene": feature.scene,
                "acquired": _instant(feature.acquired) or "-",
                "sensor": feature.sensor,
                "bands": [
                    (_band_name(band), _value(band, language), band.unit or "") for band in feature.values
                ],
            }
            for feature in info.features
        ],
    }


def _band_name(band: BandValue) -> str:
    return f"{band.name} ({band.common_name})" if band.common_name else band.name


def _finite(value: float | None) -> float | None:
    """Give None for what JSON can't write: NaN and the infinities."""
    return value if value is not None and abs(value) < float("inf") else None


def _value(band: BandValue, language: Language) -> str:
    value = _finite(band.value)
    return in_language(_NO_DATA, language) if value is None else f"{value:.10g}"


def _shown(band: BandValue, language: Language) -> str:
    unit = f" {band.unit}" if band.unit and _finite(band.value) is not None else ""
    return _value(band, language) + unit


def _instant(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
