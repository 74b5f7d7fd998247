"""The way of one tile, from a parsed request to encoded bytes; every protocol comes through here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import structlog

from mosaics.compose import Used, compose
from mosaics.encode import Format, empty, encode, encode_within
from mosaics.errors import SceneUnreadableError
from mosaics.filters import SceneFilter
from mosaics.geodesy import ground_resolution
from mosaics.grids import find_grid
from mosaics.layers import Layer
from mosaics.models import EncodedTile, Frame
from mosaics.resolve import Contribution, ResolvedTile, resolve
from mosaics.stopping import Stop
from mosaics.stored import Unread
from mosaics.visual import StoredBlock, stored_block
from server.access import AccessDeniedError
from server.cache.single_flight import Flight
from server.client import Client
from server.resolutions import Resolved
from server.services import Made, Services

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TileRequest:
    """A tile as any protocol asks for it, parsed and checked for form."""

    layer_id: str
    tms_id: str
    """Id or alias of a tile matrix set."""
    z: int
    x: int
    y: int
    image_format: Format
    scale: int = 1
    """2 for @2x: twice the pixels of the same rectangle."""
    style: str | None = None
    time: str | None = None


@dataclass(frozen=True, kw_only=True)
class ServedTile:
    """A tile on its way out."""

    tile: EncodedTile
    key: str | None
    """Content key, the strong validator; None where a source file failed, so that nobody keeps it."""
    cached: bool
    """True when no pixel was read for it."""
    stored: StoredBlock | None = None
    """The block that it is, where it was drawn ahead."""
    charged: tuple[str, ...] = ()
    """Ids of the metered grants that its pixels needed."""
    ground_resolution: float = 0.0
    """Metres per pixel, finest over the picture and both axes."""
    pixels: tuple[int, int] = (0, 0)
    """Width and height."""


def tile_frame(services: Services, request: TileRequest) -> Frame:
    """Give the output pixels of a tile.

    Raises:
        GridNotFoundError: If there is no such grid.
        TileOutsideGridError: If the grid has no such matrix, row or column.
    """
    return find_grid(services.grids, request.tms_id).frame(request.z, request.x, request.y, request.scale)


async def serve_tile(
    services: Services, request: TileRequest, layer: Layer, scene_filter: SceneFilter, client: Client
) -> ServedTile:
    """Serve one tile of a layer that `decide` has opened.

    Args:
        services: The server's parts.
        request: What is asked.
        layer: The layer as this caller sees it.
        scene_filter: The filter that made it so.
        client: Whom it is made for, if it must be made.

    Raises:
        GridNotFoundError, TileOutsideGridError, StyleNotFoundError, TimeNotFoundError: See their names.
        AccessDeniedError: If nothing of the layer is open at the tile's ground resolution.
        SceneUnreadableError: If all its files fail.
        OverloadedError, DeadlinePassedError, ClientGoneError: See their names.
    """
    known = services.resolutions.get(layer, scene_filter, request)
    if known is None:
        frame = tile_frame(services, request)
        tile = _resolve(services, layer, scene_filter, frame, request.style, request.time)
        known = Resolved(
            tile,
            tile.key(services.quality.word(request.image_format)),
            stored_block(tile, request.image_format, services.quality),
        )
        services.resolutions.put(layer, scene_filter, request, known)
    made = await _made(services, known, request.image_format, client)
    return _accounted(made, known.tile)


async def serve_preview(
    services: Services,
    layer: Layer,
    scene_filter: SceneFilter,
    frame: Frame,
    client: Client,
    *,
    image_format: Format,
    style: str | None,
    time: str | None,
    max_bytes: int | None,
) -> ServedTile | None:
    """Serve a light picture of a whole layer; None if it can't be made as small as `max_bytes`."""
    tile = _resolve(services, layer, scene_filter, frame, style, time)
    if max_bytes is None:
        known = Resolved(tile, tile.key(services.quality.word(image_format)))
        return _accounted(await _made(services, known, image_format, client), tile)

    def make(stop: Stop) -> Made:
        failures: list[SceneUnreadableError] = []
        picture, used = compose(tile, services.reader, _noted(failures), stop)
        made = encode_within(picture, image_format, max_bytes)
        return Made(tile=None if made is None else _credited(made, used), whole=not failures)

    served = await _kept(services, tile.key(f"{image_format}<{max_bytes}"), make, client)
    return None if served is None else _accounted(served, tile)


def _accounted(served: ServedTile, tile: ResolvedTile) -> ServedTile:
    """Say what the served pixels cost whom: the grants needed for the scenes that are in them."""
    used = {(collection, scene) for collection, scene, _, _ in served.tile.contributors}
    charged = dict.fromkeys(
        label
        for contribution in tile.contributions
        if (contribution.scene.collection_id, contribution.scene.id) in used
        for label in contribution.charged
    )
    return replace(
        served,
        charged=tuple(charged),
        ground_resolution=tile.ground_resolution,
        pixels=(tile.frame.width, tile.frame.height),
    )


def _resolve(  # noqa: PLR0917 - private, called twice
    services: Services,
    layer: Layer,
    scene_filter: SceneFilter,
    frame: Frame,
    style: str | None,
    time: str | None,
) -> ResolvedTile:
    tile = resolve(
        layer,
        scene_filter,
        frame,
        ground_resolution=ground_resolution(frame),
        span=layer.span(time),
        style_id=layer.style_id(style),
        styles=services.styles,
    )
    if tile.resolution_refused:
        raise AccessDeniedError("zoom_limit")
    return tile


async def _made(services: Services, known: Resolved, image_format: Format, client: Client) -> ServedTile:
    """Look the tile up by its content, or make it and keep it."""
    tile = known.tile
    if not tile.contributions:
        nothing = empty(image_format, tile.frame.width, tile.frame.height)
        return ServedTile(tile=nothing, key=known.key, cached=True)
    make = partial(make_tile, services, tile, image_format)
    served = await _kept(services, known.key, make, client, known.block)
    assert served is not None, "only a bound on its bytes leaves no tile"
    return served


async def _kept(
    services: Services,
    key: str,
    make: Callable[[Stop], Made],
    client: Client,
    block: StoredBlock | None = None,
) -> ServedTile | None:
    """Give what is kept under a content key: of memory, drawn ahead, of the disk, or made now, once for all.

    A block that was drawn ahead is kept nowhere else: the system holds its file's pages.
    """
    found = services.cache.get(key)
    if found is not None:
        return ServedTile(tile=found, key=key, cached=True)
    later = block
    if block is not None:
        ahead = services.stored.at_once(block)
        if isinstance(ahead, EncodedTile):
            return ServedTile(tile=ahead, key=key, cached=True, stored=block)
        later = block if ahead is Unread.LATER else None
    look = _look(services, key, later)

    async def look_or_make(flight: Flight) -> Made:
        if look is not None:
            kept = await asyncio.get_running_loop().run_in_executor(services.cache_threads, look)
            if kept is not None:
                return kept

        def work() -> Made:
            flight.begin()
            made = make(flight.is_stopped)
            if made.tile is not None and made.whole:
                services.deep_cache.put(key, made.tile)
            return made

        return await services.admission.run(client.partition, work)

    made = await client.wait_for(services.flights.do(key, look_or_make, deadline=client.deadline))
    if made.tile is None:
        return None
    return ServedTile(
        tile=made.tile,
        key=key if made.whole else None,
        cached=made.cached,
        stored=block if made.stored else None,
    )


def _look(services: Services, key: str, block: StoredBlock | None) -> Callable[[], Made | None] | None:
    """Give what looks a tile up where that may take a moment; None: there is nowhere to look."""
    deep = services.deep_cache.get if services.deep_cache is not services.cache else None
    if block is None and deep is None:
        return None

    def look() -> Made | None:
        ahead = None if block is None else services.stored.read(block)
        if ahead is not None:
            return Made(tile=ahead, cached=True, stored=True)
        kept = None if deep is None else deep(key)
        return None if kept is None else Made(tile=kept, cached=True)

    return look


async def in_turn(services: Services, work: Callable[[], T], client: Client) -> T:
    """Do other work on pixels in a thread, when the client's turn comes.

    Raises:
        OverloadedError, DeadlinePassedError, ClientGoneError: See their names.
    """
    turn = services.admission.run(client.partition, work, begin_by=client.deadline)
    return await client.wait_for(turn)


def make_tile(services: Services, tile: ResolvedTile, image_format: Format, stop: Stop) -> Made:
    """Read, compose, render and encode a tile.

    Args:
        services: The server's parts.
        tile: Its scenes and its frame.
        image_format: What it becomes.
        stop: Asked between scenes and blocks whether nobody wants it any more.

    Raises:
        SceneUnreadableError: If all its files fail.
        NobodyWaitsError: If `stop` said so.
    """
    failures: list[SceneUnreadableError] = []
    picture, used = compose(tile, services.reader, _noted(failures), stop)
    if not picture.alpha.any():
        made = empty(image_format, tile.frame.width, tile.frame.height)
        return Made(tile=EncodedTile(data=made.data, media_type=made.media_type), whole=not failures)
    return Made(tile=_credited(encode(picture, image_format, services.quality), used), whole=not failures)


def _credited(made: EncodedTile, used: Used) -> EncodedTile:
    return replace(made, contributors=tuple(_contributor(c) for c in used))


def _noted(failures: list[SceneUnreadableError]) -> Callable[[SceneUnreadableError], None]:
    """Give what takes down each scene that can't be read, and logs it."""

    def note(error: SceneUnreadableError) -> None:
        failures.append(error)
        log.error("scene_unreadable", scene=error.scene_id, cause=repr(error.__cause__))

    return note


def _contributor(contribution: Contribution) -> tuple[str, str, str, str | None]:
    scene = contribution.scene
    return scene.collection_id, scene.id, scene.sensor_id, scene.licence_id
