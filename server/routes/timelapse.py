"""Time-lapses of an area: an animation, or a sheet of its dates."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final, cast

from shapely.geometry.base import BaseGeometry

from auth.models import Action
from mosaics.frames import area_frame, layer_frame
from mosaics.models import Bounds
from server.answers import Answer
from server.call import Call
from server.features import box_of, features_of
from server.lapse import LapseFormat, LapseRequest, dated_tiles, serve_lapse
from server.requests import BadRequestError, TooLargeError, bounded, single
from server.routes.tiles import tile_answer
from server.style_query import own_style_of

WIDTHS: Final = (64, 1024)
"""Least and greatest width, and the greatest height, pixels."""
DEFAULT_WIDTH: Final = 512
DELAYS: Final = (20, 10_000)
"""Shortest and longest that a frame is shown, milliseconds."""
DEFAULT_DELAY: Final = 700
MOST_DATES: Final = 2000
"""Of a layer, within the time that is asked for, that are looked at."""
DATES_HEADER: Final = "Flux-Dates"
"""How many dates are shown, and how many there are: `60/143`."""


async def timelapse(call: Call) -> Answer:
    """Serve `GET /timelapse/{layer}`: of a box, or of the whole layer."""
    text = single(call.query, "bbox")
    return await _answer(call, None if text is None else box_of(text), None)


async def feature_timelapse(call: Call) -> Answer:
    """Serve `POST /timelapse/{layer}`: of the one polygon of the body."""
    call.layer(call.path["layer"], Action.PREVIEW)  # bodies are looked at for those who may see the layer
    found = features_of(call.request)
    if len(found.features) != 1:
        raise TooLargeError("a time-lapse is of one polygon")
    area = found.features[0].geometry
    return await _answer(call, Bounds(*area.bounds), area)


async def _answer(call: Call, bounds: Bounds | None, area: BaseGeometry | None) -> Answer:
    width = bounded(call.query, "width", DEFAULT_WIDTH, *WIDTHS)
    delay, image_format = _delay(call), _format(call)
    own = own_style_of(call.query, call.services.indices)
    layer, opened = call.layer(call.path["layer"], Action.PREVIEW)
    span = layer.span(single(call.query, "time"))
    if span.nearest is not None:
        raise BadRequestError("time must be a date or an interval A/B here")
    days = span.days(layer.times)
    if len(days) > MOST_DATES:
        raise TooLargeError(f"of at most {MOST_DATES} dates; ask for less with time=A/B")
    if bounds is None:
        frame = layer_frame(layer, width, WIDTHS[1])
    else:
        frame = area_frame(layer, bounds, width, WIDTHS[1])
    request = LapseRequest(
        frame=frame,
        days=days,
        area=area,
        style=single(call.query, "style"),
        own=own,
        image_format=image_format,
        delay_ms=delay,
    )
    dated = await call.elsewhere(partial(dated_tiles, call.services, layer, opened, request))
    lapse = await serve_lapse(call.services, request, dated, call.client)
    answer = await tile_answer(call, lapse.served, layer, negotiated=False)
    return replace(answer, headers=(*answer.headers, (DATES_HEADER, f"{lapse.shown}/{lapse.there}")))


def _format(call: Call) -> LapseFormat:
    text = single(call.query, "format") or "webp"
    if text not in {"webp", "png"}:
        raise BadRequestError("format must be webp (an animation) or png (a sheet)")
    return cast("LapseFormat", text)


def _delay(call: Call) -> int:
    """Read how long a frame is shown, by either word."""
    fps = single(call.query, "fps")
    if fps is None:
        return bounded(call.query, "delay_ms", DEFAULT_DELAY, *DELAYS)
    if single(call.query, "delay_ms") is not None:
        raise BadRequestError("fps and delay_ms exclude each other")
    return round(1000 / bounded(call.query, "fps", 1, 1, 50))
