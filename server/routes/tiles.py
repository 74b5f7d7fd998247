"""XYZ tiles and their TileJSON."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from auth.models import Action
from mosaics.grids import find_grid
from mosaics.layers import DEFAULT, Layer
from mosaics.zooms import overview_zoom, zoom_range
from server.answers import Answer, Goods, json_answer
from server.call import Call
from server.changes import layer_look, serve_changed_tile
from server.delivery import deliver, price_of_pixels
from server.pipeline import ServedTile, TileRequest, serve_tile
from server.requests import BadRequestError, image_format, number, single
from server.routes.legend import legend_link
from server.style_query import own_style_of, pixel_selection, written

_LAST = re.compile(r"(?P<y>[^@.]*)(?P<scale>@2x)?(?:\.(?P<extension>[a-z]{2,5}))?")


async def xyz(call: Call) -> Answer:
    """Serve `/tiles/{layer}/{tms}/{z}/{x}/{y}[@2x][.ext]`."""
    last = _LAST.fullmatch(call.path["y"])
    if last is None:
        raise BadRequestError("the tile must end in {y}, {y}@2x or {y}.png|jpg|webp|avif")
    request = TileRequest(
        layer_id=call.path["layer"],
        tms_id=call.path["tms"],
        z=number(call.path["z"], "z"),
        x=number(call.path["x"], "x"),
        y=number(last["y"], "y"),
        scale=2 if last["scale"] else 1,
        image_format=image_format(last["extension"], call.request.header("accept")),
        style=single(call.query, "style"),
        time=single(call.query, "time"),
        own=own_style_of(call.query, call.services.indices),
        pixels=pixel_selection(call.query),
        compare=single(call.query, "compare"),
    )
    layer, scene_filter = call.layer(request.layer_id, Action.TILE)
    serve = serve_tile if request.compare is None else serve_changed_tile
    served = await serve(call.services, request, layer, scene_filter, call.client)
    return await tile_answer(call, served, layer, negotiated=last["extension"] is None)


async def tile_answer(call: Call, served: ServedTile, layer: Layer, *, negotiated: bool) -> Answer:
    """Give the answer of a tile, paid for and counted; an empty one as the settings want it."""
    empty = call.services.settings.tiles.empty
    goods = Goods(
        contributors=served.tile.contributors,
        charged=served.charged,
        ground_resolution=served.ground_resolution,
        milliunits=price_of_pixels(*served.pixels),
    )
    if not served.tile.contributors and empty != "transparent" and call.route.protocol != "ows":
        return Answer(
            status=int(empty),
            etag=served.key,
            cacheable=empty == "204",
            by_address=not negotiated,
            goods=goods,
        )
    answer = Answer(
        body=served.tile.data,
        media_type=served.tile.media_type,
        etag=served.key,
        cacheable=served.key is not None,
        immutable=single(call.query, "g") == layer.generation,
        by_address=not negotiated,
        headers=(("Vary", "Accept"),) if negotiated else (),
        goods=goods,
        stored=served.stored,
    )
    return await deliver(call, answer, goods)


async def tilejson(call: Call) -> Answer:
    """Serve `/tiles/{layer}/{tms}/tilejson.json`, TileJSON 3.0."""
    own = own_style_of(call.query, call.services.indices)
    layer, _ = call.layer(call.path["layer"], Action.TILE)
    grid = find_grid(call.services.grids, call.path["tms"])
    style = layer.style_id(single(call.query, "style"))
    time = single(call.query, "time")
    layer.span(time)
    compare = single(call.query, "compare")
    if compare is not None:
        layer.span(compare)
        layer_look(call.services, layer, style, own)
    elif own is not None:
        call.services.own_styles.check(own, layer, style)
    named = {"style": style, "time": time, "compare": compare, "g": layer.generation}
    query = _joined(written(own), _written(named))
    minzoom, maxzoom = zoom_range(grid, layer)
    west, south, east, north = layer.bounds
    return json_answer(
        {
            "tilejson": "3.0.0",
            "name": getattr(layer.title, call.language),
            "description": getattr(layer.collection.description, call.language),
            "attribution": layer.attribution,
            "version": "1.0.0",
            "scheme": "xyz",
            "tiles": [call.href(f"tiles/{layer.id}/{grid.id}/{{z}}/{{x}}/{{y}}", query)],
            "bounds": [west, south, east, north],
            "center": [(west + east) / 2, (south + north) / 2, overview_zoom(grid, layer.bounds, maxzoom)],
            "minzoom": minzoom,
            "maxzoom": maxzoom,
            "style": style or DEFAULT,
            "links": [
                legend_link(
                    call, layer, style or DEFAULT, _joined(written(own), _written({"compare": compare}))
                )
            ],
        }
    )


def _written(named: dict[str, str | None]) -> str:
    return urlencode({name: value for name, value in named.items() if value}, safe="/:")


def _joined(*queries: str) -> str:
    return "&".join(query for query in queries if query)
