"""Light pictures of a whole layer."""

from __future__ import annotations

import math

import shapely
from pyproj import Transformer

from auth.models import Action
from mosaics.layers import Layer
from mosaics.models import Bounds, Frame
from server.answers import Answer
from server.call import Call
from server.pipeline import serve_preview
from server.requests import BadRequestError, image_format, number, single
from server.routes.tiles import tile_answer

MAX_WIDTH = 1024
"""Widest and highest preview, pixels."""
DEFAULT_WIDTH = 512
MIN_BYTES = 500
"""Nothing smaller is worth trying."""


class TooSmallError(BadRequestError):
    """The picture can't be made as small as asked."""


async def preview(call: Call) -> Answer:
    """Serve `/preview/{layer}[.ext]?width=&max_bytes=&style=&time=`."""
    layer_id, extension = _split(call.path["layer"])
    width = _bounded(call, "width", DEFAULT_WIDTH, 16, MAX_WIDTH)
    wanted = single(call.query, "max_bytes")
    max_bytes = number(wanted, "max_bytes") if wanted else None
    if max_bytes is not None and max_bytes < MIN_BYTES:
        raise BadRequestError(f"max_bytes must be {MIN_BYTES} or more")
    layer, scene_filter = call.layer(layer_id, Action.PREVIEW)
    served = await serve_preview(
        call.services,
        layer,
        scene_filter,
        layer_frame(layer, width),
        image_format=image_format(extension, call.request.header("accept")),
        style=single(call.query, "style"),
        time=single(call.query, "time"),
        max_bytes=max_bytes,
    )
    if served is None:
        raise TooSmallError("the picture can't be that small; ask for less width or for webp")
    return tile_answer(call, served, layer, negotiated=extension is None)


def _split(name: str) -> tuple[str, str | None]:
    """Split `{layer}.ext`; only known extensions are taken off, since ids may hold dots."""
    stem, dot, extension = name.rpartition(".")
    if dot and extension in {"png", "jpg", "jpeg", "webp"}:
        return stem, extension
    return name, None


def _bounded(call: Call, name: str, default: int, low: int, high: int) -> int:
    text = single(call.query, name)
    value = number(text, name) if text else default
    if not low <= value <= high:
        raise BadRequestError(f"{name} must be from {low} to {high}")
    return value


def preview_frame(bounds: Bounds, width: int) -> Frame:
    """Give the Web Mercator frame around lon/lat bounds, `width` pixels wide, at most as high as allowed."""
    to_mercator = Transformer.from_crs("OGC:CRS84", "EPSG:3857", always_xy=True)
    south, north = max(bounds.bottom, -85.05), min(bounds.top, 85.05)
    turn = 20037508.342789244 * 2
    left, bottom = to_mercator.transform(bounds.left, min(south, north))
    right, top = to_mercator.transform(bounds.right, max(south, north))
    right += turn if right < left else 0.0
    pixel = max((right - left) / width, (top - bottom) / MAX_WIDTH, 1e-6)
    columns = max(1, math.ceil((right - left) / pixel - 1e-6))
    rows = max(1, math.ceil((top - bottom) / pixel - 1e-6))
    return Frame(
        crs="EPSG:3857",
        bounds=Bounds(left, top - rows * pixel, left + columns * pixel, top),
        width=columns,
        height=rows,
    )


def layer_frame(layer: Layer, width: int) -> Frame:
    """Give the preview frame of a layer; one that crosses the antimeridian is shown in one piece."""
    bounds = layer.bounds
    if bounds.right - bounds.left > 180:
        parts = [part.bounds for scene in layer.scenes for part in shapely.get_parts(scene.footprint)]
        west = min(b[0] if b[0] >= 0 else b[0] + 360 for b in parts)
        east = max(b[2] if b[0] >= 0 else b[2] + 360 for b in parts)
        if east - west < bounds.right - bounds.left:
            bounds = Bounds(west, bounds.bottom, east, bounds.top)
    return preview_frame(bounds, width)
