"""What the caller may see, as JSON."""

from __future__ import annotations

import contextlib
from typing import Any, Final, Literal
from urllib.parse import urlencode

import shapely
from shapely.geometry import mapping

from auth.models import Action
from mosaics.encode import MEDIA_TYPES
from mosaics.errors import LayerNotFoundError
from mosaics.grids import grids_meeting
from mosaics.layers import Layer, Listed
from mosaics.models import Text
from mosaics.zooms import zoom_range
from server.access import AccessDeniedError, is_tier
from server.answers import Answer, json_answer
from server.call import Call
from server.requests import BadRequestError, number, single
from server.routes.legend import legend_link
from server.usage.meter import QuotaExceededError

_MOST_SCENES: Final = 1000
"""Scenes that are listed at once."""
_SHOWN = (Action.TILE, Action.CATALOGUE, Action.PREVIEW, Action.INFO)
"""Actions by which a layer is known, the one that shows most first."""


async def layers(call: Call) -> Answer:
    """Serve `/layers`: what is open to the caller in any way, seen or only known of."""
    found: dict[str, Layer] = {}
    for action in _SHOWN:
        for layer in call.layers(action):
            found.setdefault(layer.id, layer)
    return json_answer({"layers": [describe(call, found[layer_id]) for layer_id in sorted(found)]})


async def layer(call: Call) -> Answer:
    """Serve `/layers/{layer}`, with the scenes of a collection."""
    found = _known(call, call.path["layer"])
    document = describe(call, found)
    first, most = _page(call)
    document["scenes"] = [_scene(listed) for listed in found.listed(first, most)]
    document["scene_count"] = len(found)
    if first + most < len(found):
        following = urlencode({"offset": first + most, "limit": most})
        document["links"].append({"rel": "next", "href": call.href(f"layers/{found.id}", following)})
    document["indices"] = [
        {"id": index.id, "title": _text(index.title)} for index in call.services.own_styles.indices_of(found)
    ]
    document["footprint"] = _footprint(found)
    return json_answer(document)


def _page(call: Call) -> tuple[int, int]:
    """Give the number of the first scene that is listed, and how many are.

    Raises:
        BadRequestError: If they are no whole numbers, or too many are wanted.
    """
    first = number(single(call.query, "offset") or "0", "offset")
    most = number(single(call.query, "limit") or str(_MOST_SCENES), "limit")
    if not 1 <= most <= _MOST_SCENES:
        raise BadRequestError(f"limit must be 1 to {_MOST_SCENES}")
    return first, most


def _scene(listed: Listed) -> dict[str, Any]:
    """Describe a scene of a layer."""
    return {
        "id": listed.id,
        "layer": f"{listed.collection_id}:{listed.id}",
        "datetime": listed.acquired.isoformat() if listed.acquired else None,
        "sensor": listed.sensor_id,
        "ground_resolution": round(listed.ground_resolution, 4),
        "bbox": [round(v, 7) for v in listed.extent],
    }


def _known(call: Call, layer_id: str) -> Layer:
    """Give a layer as far as it is open in any way.

    Raises:
        LayerNotFoundError: If it is missing or hidden.
    """
    for action in _SHOWN:
        with contextlib.suppress(LayerNotFoundError, AccessDeniedError, QuotaExceededError):
            return call.layer(layer_id, action)[0]
    raise LayerNotFoundError(layer_id)


def _access(call: Call, layer: Layer) -> Literal["full", "preview", "listed"]:
    """Tell how a layer is open: by a grant, by the preview tier of its licence only, or only known of."""
    rules = layer.rules_of(call.filter(Action.TILE))
    if not rules:
        return "listed"
    return "preview" if all(is_tier(rule.label) for rule in rules) else "full"


def _footprint(layer: Layer) -> dict[str, Any]:
    """Give the outline of what is open of a layer, GeoJSON, within a metre or so."""
    west, south, east, north = layer.bounds
    clipped = shapely.intersection(layer.outline, shapely.box(west, south, east, north))
    return dict(mapping(shapely.simplify(clipped, 1e-5)))


def _style(call: Call, style_id: str) -> dict[str, Any]:
    """Describe a style; with the formats of its tiles, where others are refused."""
    style = call.services.styles.get(style_id)
    told: dict[str, Any] = {"id": style_id, "title": _text(style.title)}
    if style.formats:
        told["formats"] = [MEDIA_TYPES[name] for name in style.formats]
    return told


def describe(call: Call, layer: Layer) -> dict[str, Any]:
    """Describe a layer to the caller."""
    grids = grids_meeting(call.services.grids, layer.bounds)
    main = grids[0]
    minzoom, maxzoom = zoom_range(main, layer)
    access = _access(call, layer)
    described = {
        "id": layer.id,
        "title": _text(layer.title),
        "description": _text(layer.collection.description),
        "access": access,
        "extent": [round(v, 7) for v in layer.bounds],
        "times": list(layer.times),
        "styles": [_style(call, style_id) for style_id in layer.styles],
        "sensors": list(layer.sensors),
        "sensor_titles": {
            sensor_id: _text(call.services.sensors.get(sensor_id).title)
            for sensor_id in layer.sensors
            if sensor_id in call.services.sensors
        },
        "licences": list(layer.licences),
        "attribution": layer.attribution,
        "grids": [grid.id for grid in grids],
        "minzoom": minzoom,
        "maxzoom": maxzoom,
        "generation": layer.generation,
        "links": _links(call, layer, main.id, access),
    }
    if access == "listed":
        described["footprint"] = _footprint(layer)
    return described


def _opens(call: Call, layer: Layer, action: Action) -> bool:
    try:
        call.layer(layer.id, action)
    except (LayerNotFoundError, AccessDeniedError, QuotaExceededError):
        return False
    return True


def _text(text: Text) -> dict[str, str]:
    return {"fr": text.fr, "en": text.en}


def _links(call: Call, layer: Layer, tms_id: str, access: str) -> list[dict[str, Any]]:
    """Give where it is served, and where the rest of it can be asked for."""
    links = _tile_links(call, layer, tms_id) if access != "listed" else []
    if _opens(call, layer, Action.PREVIEW):
        links.append({"rel": "preview", "href": call.href(f"preview/{layer.id}"), "type": "image/*"})
    service = call.services.settings.service
    request = service.access_request_url or (f"mailto:{service.contact_mail}" if service.contact_mail else "")
    if access != "full" and request:
        links.append({"rel": "request-access", "href": request})
    return links


def _tile_links(call: Call, layer: Layer, tms_id: str) -> list[dict[str, Any]]:
    tiles = f"tiles/{layer.id}/{tms_id}"
    return [
        {
            "rel": "xyz",
            "href": call.href(f"{tiles}/{{z}}/{{x}}/{{y}}"),
            "templated": True,
            "type": "image/*",
        },
        {"rel": "tilejson", "href": call.href(f"{tiles}/tilejson.json"), "type": "application/json"},
        {"rel": "wmts", "href": call.href("wmts"), "type": "application/xml"},
        {**legend_link(call, layer, "{style}"), "templated": True},
    ]
