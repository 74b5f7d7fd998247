"""What the caller may see, as JSON."""

from __future__ import annotations

import contextlib
from typing import Any, Literal

import shapely
from shapely.geometry import mapping

from auth.models import Action
from mosaics.encode import MEDIA_TYPES
from mosaics.errors import LayerNotFoundError
from mosaics.filters import COARSEST
from mosaics.grids import grids_meeting
from mosaics.layers import Layer, zoom_range
from mosaics.models import Bounds, Text
from server.access import AccessDeniedError, is_tier
from server.answers import Answer, json_answer
from server.call import Call
from server.routes.legend import legend_link
from server.usage.meter import QuotaExceededError

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
    extents = found.extents or tuple(Bounds(*scene.footprint.bounds) for scene in found.scenes)
    resolutions = found.resolutions or tuple(scene.finest_resolution for scene in found.scenes)
    document["scenes"] = [
        {
            "id": scene.id,
            "layer": f"{scene.collection_id}:{scene.id}",
            "datetime": scene.acquired.isoformat() if scene.acquired else None,
            "sensor": scene.sensor_id,
            "ground_resolution": round(resolution, 4),
            "bbox": [round(v, 7) for v in extent],
        }
        for scene, extent, resolution in zip(found.scenes, extents, resolutions, strict=True)
    ]
    document["indices"] = [
        {"id": index.id, "title": _text(index.title)} for index in call.services.own_styles.indices_of(found)
    ]
    document["footprint"] = _footprint(found)
    return json_answer(document)


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
    opened = call.filter(Action.TILE)
    parts = [
        part
        for scene in layer.scenes
        if opened.sees(scene) and (opening := opened.opening(scene, COARSEST)) is not None
        for part in opening.parts
    ]
    if not parts:
        return "listed"
    return "preview" if all(is_tier(part.rule.label) for part in parts) else "full"


def _footprint(layer: Layer) -> dict[str, Any]:
    """Give the outline of what is open of a layer, GeoJSON, within a metre or so."""
    west, south, east, north = layer.bounds
    outline = shapely.union_all([scene.footprint for scene in layer.scenes])
    clipped = shapely.intersection(outline, shapely.box(west, south, east, north))
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
