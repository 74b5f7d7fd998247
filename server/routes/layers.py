"""What the caller may see, as JSON."""

from __future__ import annotations

from typing import Any

from auth.models import Action
from mosaics.errors import LayerNotFoundError
from mosaics.grids import grids_meeting
from mosaics.layers import Layer, find_layer, list_layers, zoom_range
from mosaics.models import Text
from server.answers import Answer, json_answer
from server.call import Call


async def layers(call: Call) -> Answer:
    """Serve `/layers`."""
    found = list_layers(call.index, call.filter(Action.CATALOGUE))
    return json_answer({"layers": [describe(call, layer) for layer in found]})


async def layer(call: Call) -> Answer:
    """Serve `/layers/{layer}`, with the scenes of a collection."""
    found, _ = call.layer(call.path["layer"], Action.CATALOGUE)
    document = describe(call, found)
    document["scenes"] = [
        {
            "id": scene.id,
            "layer": f"{scene.collection_id}:{scene.id}",
            "datetime": scene.acquired.isoformat() if scene.acquired else None,
            "sensor": scene.sensor_id,
            "ground_resolution": round(scene.ground_resolution, 4),
            "bbox": [round(v, 7) for v in scene.footprint.bounds],
        }
        for scene in found.scenes
    ]
    return json_answer(document)


def describe(call: Call, layer: Layer) -> dict[str, Any]:
    """Describe a layer to the caller."""
    grids = grids_meeting(call.services.grids, layer.bounds)
    main = grids[0]
    minzoom, maxzoom = zoom_range(main, layer.ground_resolution, layer.bounds)
    full = _opens(call, layer, Action.TILE)
    return {
        "id": layer.id,
        "title": _text(layer.title),
        "description": _text(layer.collection.description),
        "access": "full" if full else "preview" if _opens(call, layer, Action.PREVIEW) else "listed",
        "extent": [round(v, 7) for v in layer.bounds],
        "times": list(layer.times),
        "styles": [
            {"id": style_id, "title": _text(call.services.styles.get(style_id).title)}
            for style_id in layer.styles
        ],
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
        "links": _links(call, layer, main.id) if full else [],
    }


def _opens(call: Call, layer: Layer, action: Action) -> bool:
    try:
        find_layer(call.index, layer.id, call.filter(action))
    except LayerNotFoundError:
        return False
    return True


def _text(text: Text) -> dict[str, str]:
    return {"fr": text.fr, "en": text.en}


def _links(call: Call, layer: Layer, tms_id: str) -> list[dict[str, Any]]:
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
        {"rel": "preview", "href": call.href(f"preview/{layer.id}"), "type": "image/*"},
    ]
