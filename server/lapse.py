"""Time-lapses: which dates of a layer show something in an area, and their pictures as one file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

from shapely.geometry.base import BaseGeometry

from mosaics.compose import Used, compose, cut, inside
from mosaics.encode import empty, settled
from mosaics.errors import SceneUnreadableError
from mosaics.filters import SceneFilter
from mosaics.layers import Layer
from mosaics.models import EncodedTile, Frame
from mosaics.own_style import OwnStyle
from mosaics.resolve import ResolvedTile
from mosaics.stopping import Stop, go_on
from mosaics.timelapse import VERSION, Shot, animation, contact_sheet, evenly
from mosaics.times import TimeSpan
from server.access import AccessDeniedError
from server.client import Client
from server.making import Wish, granted
from server.pipeline import ServedTile, accounted, as_served, resolved
from server.rendering import credited, noted
from server.requests import TooLargeError
from server.services import Made, Services

MOST_FRAMES: Final = 60
"""Of one file; of more dates some are taken, evenly."""
MOST_PIXELS: Final = 1 << 24
"""Of all frames together."""
MOST_BYTES: Final = 16_000_000
"""Of the file."""

LapseFormat = Literal["webp", "png"]


@dataclass(frozen=True, kw_only=True)
class LapseRequest:
    """A time-lapse as it is asked for, checked for form."""

    frame: Frame
    days: tuple[tuple[str, TimeSpan], ...]
    """Dates of the layer, and what of each is wanted."""
    area: BaseGeometry | None
    """Longitude and latitude: nothing is shown outside; None: the frame."""
    style: str | None
    own: OwnStyle | None
    """What the caller wants otherwise than the style has it."""
    image_format: LapseFormat
    """webp: an animation; png: a sheet."""
    delay_ms: int
    """How long each frame of an animation is shown."""


@dataclass(frozen=True, kw_only=True)
class ServedLapse:
    """A time-lapse on its way out."""

    served: ServedTile
    shown: int
    """Dates that are in it, or would be if their pictures were not empty."""
    there: int
    """Dates that have something on the frame."""


_Dated = tuple[str, ResolvedTile]


def dated_tiles(
    services: Services, layer: Layer, scene_filter: SceneFilter, request: LapseRequest
) -> list[_Dated]:
    """Resolve each date as if it had been asked for alone, and keep those that have something on the frame.

    Raises:
        StyleNotFoundError, BandsNotFoundError, StyleUnsuitableError, StyleFormatError: See their names.
        AccessDeniedError: If nothing of the layer is open at the frame's ground resolution.
    """
    found: list[_Dated] = []
    refused: AccessDeniedError | None = None
    for date, span in request.days:
        try:
            tile = resolved(services, layer, scene_filter, request.frame, request.style, span, request.own)
        except AccessDeniedError as error:
            refused = error
            continue
        if tile.contributions:
            settled(request.image_format, tile.formats)
            found.append((date, tile))
    if refused is not None and not found:
        raise refused
    return found


async def serve_lapse(
    services: Services, request: LapseRequest, dated: Sequence[_Dated], client: Client
) -> ServedLapse:
    """Serve a time-lapse of dates that were resolved for the caller.

    Args:
        services: The server's parts.
        request: What is asked.
        dated: What `dated_tiles` gave.
        client: Whom it is made for, if it must be made.

    Raises:
        TooLargeError: If it has more pixels or bytes than are ever given.
        SceneUnreadableError: If all files fail.
        OverloadedError, DeadlinePassedError, ClientGoneError: See their names.
    """
    chosen = [dated[place] for place in evenly(len(dated), MOST_FRAMES)]
    frame = request.frame
    if len(chosen) * frame.width * frame.height > MOST_PIXELS:
        raise TooLargeError(
            f"{len(chosen)} frames of this size are too much; ask for less width or for fewer dates by time="
        )
    wish = Wish(key=_key(request, chosen, services), make=partial(_make, services, request, tuple(chosen)))
    if not chosen:
        nothing = empty(request.image_format, frame.width, frame.height)
        served = ServedTile(tile=nothing, key=wish.key, cached=True, pixels=(frame.width, frame.height))
        return ServedLapse(served=served, shown=0, there=0)
    made = await granted(services, wish, client)
    if made.tile is None:
        raise TooLargeError(f"the file has more than {MOST_BYTES} bytes; ask for less width or fewer dates")
    together = replace(chosen[0][1], contributions=tuple(c for _, tile in chosen for c in tile.contributions))
    served = replace(
        accounted(as_served(wish, made, made.tile), together),
        pixels=(frame.width, frame.height * len(chosen)),
    )
    return ServedLapse(served=served, shown=len(chosen), there=len(dated))


def _key(request: LapseRequest, chosen: Sequence[_Dated], services: Services) -> str:
    """Give the content key: of the frames' keys, and of all that puts them together."""
    word = f"lapse{VERSION}:{services.quality.word(request.image_format)}:{request.delay_ms}"
    area = "" if request.area is None else request.area.wkb_hex
    lines = [word, area, *(f"{date} {tile.key(word)}" for date, tile in chosen)]
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=20).hexdigest()


def _make(services: Services, request: LapseRequest, chosen: Sequence[_Dated], stop: Stop) -> Made:
    """Compose each date and put together those that show something, in a thread."""
    failures: list[SceneUnreadableError] = []
    kept = None if request.area is None else inside(request.area, request.frame)
    shots: list[Shot] = []
    used: dict[tuple[str, str], Used] = {}
    for date, tile in chosen:
        go_on(stop)
        try:
            picture, parts = compose(tile, services.reader, noted(failures), stop)
        except SceneUnreadableError:
            continue  # of this date all files fail, and that was noted
        picture = picture if kept is None else cut(picture, kept)
        if picture.alpha.any():
            shots.append(Shot(date=date, picture=picture))
            used |= {(c.scene.collection_id, c.scene.id): (c,) for c in parts}
    if not shots:
        if failures:
            raise failures[0]
        return Made(tile=empty(request.image_format, request.frame.width, request.frame.height))
    go_on(stop)
    if request.image_format == "png":
        made: EncodedTile = contact_sheet(shots)
    else:
        made = animation(shots, delay_ms=request.delay_ms, quality=services.quality.webp)
    if len(made.data) > MOST_BYTES:
        return Made(tile=None)
    return Made(tile=credited(made, tuple(c for part in used.values() for c in part)), whole=not failures)
