"""The way of a change: two dates of a layer, each resolved for the caller, to encoded bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from mosaics.change import Pair, compose_change
from mosaics.change_look import Look, look_of
from mosaics.encode import Format, empty, encode, encode_within
from mosaics.errors import (
    BandsNotFoundError,
    ChangeUnsuitableError,
    SceneUnreadableError,
    StyleUnsuitableError,
)
from mosaics.filters import SceneFilter
from mosaics.layers import Layer
from mosaics.models import EncodedTile, Frame
from mosaics.own_style import OwnStyle
from mosaics.stopping import Stop
from server.client import Client
from server.making import Wish, granted
from server.pipeline import ServedTile, TileRequest, accounted, as_served, resolved, tile_frame
from server.rendering import credited, noted
from server.services import Made, Services


@dataclass(frozen=True, kw_only=True)
class ChangeRequest:
    """A picture of a change as any protocol asks for it, checked for form."""

    frame: Frame
    style: str | None
    own: OwnStyle | None
    """Bands or an index to compare instead of the style's value; range and colours are of the difference."""
    time: str | None
    """What is subtracted from."""
    compare: str
    """What is subtracted."""
    image_format: Format
    max_bytes: int | None = None
    """Greatest size of the file; None: as large as it is."""


def layer_look(services: Services, layer: Layer, style: str | None, own: OwnStyle | None) -> Look:
    """Give of which value a layer's dates are compared, and how: by its newest scene that has one.

    Raises:
        StyleNotFoundError: If no scene of the layer has the style.
        BandsNotFoundError: If none has the bands.
        ChangeUnsuitableError: If there is no one value, or no range for its differences.
    """
    style_id, value = layer.style_id(style), _of_value(own)
    if own is not None and (own.gamma is not None or len(own.rescale) > 1):
        raise ChangeUnsuitableError
    first: Exception | None = None
    for scene in layer.examples:
        if style_id is not None and style_id not in scene.styles:
            continue
        base = services.styles.get(scene.styles[0] if style_id is None else style_id)
        try:
            shown = base if value is None else services.own_styles.fit(value, base, scene)
            return look_of(
                services.changes,
                shown,
                scene,
                name=(None if value is None else value.index) or shown.id,
                rescale=own.rescale[0] if own is not None and own.rescale else None,
                colormap_name=None if own is None else own.colormap_name,
            )
        except (BandsNotFoundError, StyleUnsuitableError, ChangeUnsuitableError) as error:
            first = first or error
    raise first or ChangeUnsuitableError


def _of_value(own: OwnStyle | None) -> OwnStyle | None:
    """Give what of an own style says which value it is; None: the style's."""
    if own is None or not (own.bands or own.index):
        return None
    return OwnStyle(bands=own.bands, index=own.index)


async def serve_changed_tile(
    services: Services, request: TileRequest, layer: Layer, scene_filter: SceneFilter, client: Client
) -> ServedTile:
    """Serve one tile of the change that a request compares; see `serve_change`."""
    assert request.compare is not None, "else it is a tile"
    change = ChangeRequest(
        frame=tile_frame(services, request),
        style=request.style,
        own=request.own,
        time=request.time,
        compare=request.compare,
        image_format=request.image_format,
    )
    served = await serve_change(services, change, layer, scene_filter, client)
    assert served is not None, "only a bound on its bytes leaves no picture"
    return served


async def serve_change(
    services: Services, request: ChangeRequest, layer: Layer, scene_filter: SceneFilter, client: Client
) -> ServedTile | None:
    """Serve a picture of a change; None if it can't be made as small as is wanted.

    Args:
        services: The server's parts.
        request: What is asked.
        layer: The layer as this caller sees it.
        scene_filter: The filter that made it so; both dates are resolved through it.
        client: Whom it is made for, if it must be made.

    Raises:
        StyleNotFoundError, TimeNotFoundError, BandsNotFoundError, ChangeUnsuitableError: See their names.
        AccessDeniedError: If nothing of the layer is open at the frame's ground resolution.
        SceneUnreadableError: If all files of a date fail.
        OverloadedError, DeadlinePassedError, ClientGoneError: See their names.
    """
    look = layer_look(services, layer, request.style, request.own)
    value = _of_value(request.own)
    later, earlier = (
        resolved(services, layer, scene_filter, request.frame, request.style, layer.span(time), value)
        for time in (request.time, request.compare)
    )
    pair = Pair(later=later, earlier=earlier, look=look)
    image_format, max_bytes = request.image_format, request.max_bytes
    word = services.quality.word(image_format) if max_bytes is None else f"{image_format}<{max_bytes}"
    wish = Wish(key=pair.key(word), make=partial(_make, services, pair, image_format, max_bytes))
    together = replace(later, contributions=later.contributions + earlier.contributions)
    if not (later.contributions and earlier.contributions):
        nothing = empty(image_format, request.frame.width, request.frame.height)
        return accounted(ServedTile(tile=nothing, key=wish.key, cached=True), together)
    made = await granted(services, wish, client)
    return None if made.tile is None else accounted(as_served(wish, made, made.tile), together)


def _make(services: Services, pair: Pair, image_format: Format, max_bytes: int | None, stop: Stop) -> Made:
    """Compose and encode a change, in a thread."""
    failures: list[SceneUnreadableError] = []
    picture, used = compose_change(pair, services.reader, noted(failures), stop)
    if not picture.alpha.any():
        frame = pair.later.frame
        return Made(tile=empty(image_format, frame.width, frame.height), whole=not failures)
    made: EncodedTile | None = (
        encode(picture, image_format, services.quality)
        if max_bytes is None
        else encode_within(picture, image_format, max_bytes)
    )
    return Made(tile=None if made is None else credited(made, used), whole=not failures)
