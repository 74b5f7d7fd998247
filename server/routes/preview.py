"""Light pictures of a whole layer."""

from __future__ import annotations

from auth.models import Action
from mosaics.frames import layer_frame
from mosaics.layers import Layer
from server.answers import Answer
from server.call import Call
from server.changes import ChangeRequest, serve_change
from server.pipeline import ServedTile, serve_preview
from server.requests import EXTENSIONS, BadRequestError, TooLargeError, bounded, image_format, number, single
from server.routes.tiles import tile_answer
from server.style_query import own_style_of

MAX_WIDTH = 1024
"""Widest and highest preview, pixels."""
DEFAULT_WIDTH = 512
MIN_BYTES = 500
"""Nothing smaller is worth trying."""


async def preview(call: Call) -> Answer:
    """Serve `/preview/{layer}[.ext]?width=&max_bytes=&style=&time=&compare=`, and an own style."""
    layer_id, extension = _split(call.path["layer"])
    width = bounded(call.query, "width", DEFAULT_WIDTH, 16, MAX_WIDTH)
    wanted = single(call.query, "max_bytes")
    max_bytes = number(wanted, "max_bytes") if wanted else None
    if max_bytes is not None and max_bytes < MIN_BYTES:
        raise BadRequestError(f"max_bytes must be {MIN_BYTES} or more")
    own = own_style_of(call.query, call.services.indices)
    layer, scene_filter = call.layer(layer_id, Action.PREVIEW)
    compare = single(call.query, "compare")
    if compare is not None:
        change = ChangeRequest(
            frame=layer_frame(layer, width, MAX_WIDTH),
            style=single(call.query, "style"),
            own=own,
            time=single(call.query, "time"),
            compare=compare,
            image_format=image_format(extension, call.request.header("accept")),
            max_bytes=max_bytes,
        )
        changed = await serve_change(call.services, change, layer, scene_filter, call.client)
        return await _answer(call, changed, layer, negotiated=extension is None)
    served = await serve_preview(
        call.services,
        layer,
        scene_filter,
        layer_frame(layer, width, MAX_WIDTH),
        call.client,
        image_format=image_format(extension, call.request.header("accept")),
        style=single(call.query, "style"),
        time=single(call.query, "time"),
        own=own,
        max_bytes=max_bytes,
    )
    return await _answer(call, served, layer, negotiated=extension is None)


async def _answer(call: Call, served: ServedTile | None, layer: Layer, *, negotiated: bool) -> Answer:
    if served is None:
        raise TooLargeError("the picture can't be that small; ask for less width, or for webp or avif")
    return await tile_answer(call, served, layer, negotiated=negotiated)


def _split(name: str) -> tuple[str, str | None]:
    """Split `{layer}.ext`; only known extensions are taken off, since ids may hold dots."""
    stem, dot, extension = name.rpartition(".")
    if dot and extension in EXTENSIONS:
        return stem, extension
    return name, None
