"""The way of one tile, from a parsed request to encoded bytes; every protocol comes through here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

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
from server.access import AccessDeniedError
from server.resolutions import Resolved
from server.services import Services

log = structlog.get_logger(__name__)


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
    services: Services, request: TileRequest, layer: Layer, scene_filter: SceneFilter
) -> ServedTile:
    """Serve one tile of a layer that `decide` has opened.

    Args:
        services: The server's parts.
        request: What is asked.
        layer: The layer as this caller sees it.
        scene_filter: The filter that made it so.

    Raises:
        GridNotFoundError, TileOutsideGridError, StyleNotFoundError, TimeNotFoundError: See their names.
        AccessDeniedError: If nothing of the layer is open at the tile's ground resolution.
        SceneUnreadableError: If all its files fail.
    """
    known = services.resolutions.get(layer, scene_filter, request)
    if known is None:
        frame = tile_frame(services, request)
        tile = _resolve(services, layer, scene_filter, frame, request.style, request.time)
        known = Resolved(tile, tile.key(request.image_format))
        services.resolutions.put(layer, scene_filter, request, known)
    made = await _made(services, known.tile, request.image_format, known.key)
    return _accounted(made, known.tile)


async def serve_preview(
    services: Services,
    layer: Layer,
    scene_filter: SceneFilter,
    frame: Frame,
    *,
    image_format: Format,
    style: str | None,
    time: str | None,
    max_bytes: int | None,
) -> ServedTile | None:
    """Serve a light picture of a whole layer; None if it can't be made as small as `max_bytes`."""
    tile = _resolve(services, layer, scene_filter, frame, style, time)
    if max_bytes is None:
        return _accounted(await _made(services, tile, image_format, tile.key(image_format)), tile)
    key = tile.key(f"{image_format}<{max_bytes}")
    found = services.cache.get(key)
    if found is not None:
        return _accounted(ServedTile(tile=found, key=key, cached=True), tile)

    def make() -> tuple[EncodedTile | None, bool]:
        failures: list[SceneUnreadableError] = []
        picture, used = compose(tile, services.reader, _noted(failures))
        made = encode_within(picture, image_format, max_bytes)
        return None if made is None else _credited(made, used), not failures

    made, whole = await asyncio.get_running_loop().run_in_executor(services.pool, make)
    if made is None:
        return None
    if whole:
        services.cache.put(key, made)
    return _accounted(ServedTile(tile=made, key=key if whole else None, cached=False), tile)


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


async def _made(services: Services, tile: ResolvedTile, image_format: Format, key: str) -> ServedTile:
    """Look the tile up by its content, or make it in the pool and keep it."""
    if not tile.contributions:
        nothing = empty(image_format, tile.frame.width, tile.frame.height)
        return ServedTile(tile=nothing, key=key, cached=True)
    found = services.cache.get(key)
    if found is not None:
        return ServedTile(tile=found, key=key, cached=True)
    loop = asyncio.get_running_loop()
    made, whole = await loop.run_in_executor(services.pool, make_tile, services, tile, image_format)
    if whole:
        services.cache.put(key, made)
    return ServedTile(tile=made, key=key if whole else None, cached=False)


def make_tile(services: Services, tile: ResolvedTile, image_format: Format) -> tuple[EncodedTile, bool]:
    """Read, compose, render and encode a tile.

    Returns:
        The tile, and whether all its sources could be read (only then may it be kept).
    """
    failures: list[SceneUnreadableError] = []
    picture, used = compose(tile, services.reader, _noted(failures))
    if not picture.alpha.any():
        made = empty(image_format, tile.frame.width, tile.frame.height)
        return EncodedTile(data=made.data, media_type=made.media_type), not failures
    return _credited(encode(picture, image_format), used), not failures


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
