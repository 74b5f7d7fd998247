"""The way of one tile, from a parsed request to encoded bytes; every protocol comes through here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from mosaics.encode import Format, empty, settled
from mosaics.filters import SceneFilter
from mosaics.geodesy import ground_resolution
from mosaics.grids import find_grid
from mosaics.layers import Layer, TimeSpan
from mosaics.models import EncodedTile, Frame
from mosaics.mosaic import PixelSelection
from mosaics.own_style import OwnStyle
from mosaics.resolve import ResolvedTile, resolve
from mosaics.visual import StoredBlock, stored_block
from server.access import AccessDeniedError
from server.client import Client
from server.making import Wish, granted
from server.rendering import is_light, make_at_once, make_tile, make_within
from server.resolutions import Resolved
from server.services import Made, Services


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
    own: OwnStyle | None = None
    """What the caller wants otherwise than the style has it."""
    pixels: PixelSelection | None = None
    """Of the valid pixels at a place; None: as the mosaic has it."""
    compare: str | None = None
    """The date that is subtracted; None: none, it is no change."""


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
        StyleFormatError: If the style may not be given in that format.
        BandsNotFoundError, StyleUnsuitableError: If no scene of the layer can be shown as it is wanted.
        AccessDeniedError: If nothing of the layer is open at the tile's ground resolution.
        SceneUnreadableError: If all its files fail.
        OverloadedError, DeadlinePassedError, ClientGoneError: See their names.
    """
    known = services.resolutions.get(layer, scene_filter, request)
    if known is None:
        known = resolved_request(services, request, layer, scene_filter)
        services.resolutions.put(layer, scene_filter, request, known)
    made = await _made(services, known, settled(request.image_format, known.tile.formats), client)
    return accounted(made, known.tile)


def resolved_request(
    services: Services, request: TileRequest, layer: Layer, scene_filter: SceneFilter
) -> Resolved:
    """Find what a tile is made of, its content key, and the block drawn ahead that it may be.

    Raises:
        What `serve_tile` raises before it makes anything.
    """
    frame = tile_frame(services, request)
    tile = resolved(
        services,
        layer,
        scene_filter,
        frame,
        request.style,
        layer.span(request.time),
        request.own,
        overviews=request.pixels in {None, "first"},
    )
    if request.pixels is not None:
        tile = replace(tile, pixel_selection=request.pixels)
    image_format = settled(request.image_format, tile.formats)
    return Resolved(
        tile,
        tile.key(services.quality.word(image_format)),
        stored_block(tile, image_format, services.quality),
    )


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
    own: OwnStyle | None = None,
    max_bytes: int | None,
) -> ServedTile | None:
    """Serve a light picture of a whole layer; None if it can't be made as small as `max_bytes`."""
    tile = resolved(services, layer, scene_filter, frame, style, layer.span(time), own, overviews=True)
    image_format = settled(image_format, tile.formats)
    if max_bytes is None:
        known = Resolved(tile, tile.key(services.quality.word(image_format)))
        return accounted(await _made(services, known, image_format, client), tile)
    key = tile.key(f"{image_format}<{max_bytes}")
    wish = Wish(key=key, make=partial(make_within, services, tile, image_format, max_bytes))
    made = await granted(services, wish, client)
    return None if made.tile is None else accounted(as_served(wish, made, made.tile), tile)


def accounted(served: ServedTile, tile: ResolvedTile) -> ServedTile:
    """Say what the served pixels cost whom: the grants needed for the scenes that are in them."""
    used = {(collection, scene) for collection, scene, _, _ in served.tile.contributors}
    charged = dict.fromkeys(
        label
        for contribution in tile.contributions
        if contribution.source.key in used
        for label in contribution.charged
    )
    return replace(
        served,
        charged=tuple(charged),
        ground_resolution=tile.ground_resolution,
        pixels=(tile.frame.width, tile.frame.height),
    )


def resolved(  # noqa: PLR0917 - the parts of one question
    services: Services,
    layer: Layer,
    scene_filter: SceneFilter,
    frame: Frame,
    style: str | None,
    span: TimeSpan,
    own: OwnStyle | None,
    *,
    overviews: bool = False,
) -> ResolvedTile:
    """Find what a picture is made of, in a style as any protocol names it.

    Args:
        services: The server's parts.
        layer: The layer as the caller sees it.
        scene_filter: The filter that made it so.
        frame: The output pixels.
        style: Of the layer; None: the default.
        span: Acquisition times asked for.
        own: What the caller wants otherwise.
        overviews: Coarse files may stand for many scenes. In a style of one's own only where all are shown in
            one range of values, since it is not known yet whether that style asks for the scenes' own.

    Raises:
        StyleNotFoundError, BandsNotFoundError, StyleUnsuitableError: See their names.
        AccessDeniedError: If nothing of the layer is open at the frame's ground resolution.
    """
    style_id = layer.style_id(style)
    if own is not None:
        services.own_styles.check(own, layer, style_id)
    tile = resolve(
        layer,
        scene_filter,
        frame,
        ground_resolution=ground_resolution(frame),
        span=span,
        style_id=style_id,
        styles=services.styles,
        overviews=overviews and (own is None or layer.stretch is not None),
    )
    if tile.resolution_refused:
        raise AccessDeniedError("zoom_limit")
    return tile if own is None else services.own_styles.restyled(tile, own)


async def _made(services: Services, known: Resolved, image_format: Format, client: Client) -> ServedTile:
    """Look the tile up by its content, or make it and keep it."""
    tile = known.tile
    if not tile.contributions:
        nothing = empty(image_format, tile.frame.width, tile.frame.height, tile.backdrop)
        return ServedTile(tile=nothing, key=known.key, cached=True)
    wish = Wish(
        key=known.key,
        make=partial(make_tile, services, tile, image_format),
        at_once=partial(make_at_once, services, tile, image_format) if is_light(tile, image_format) else None,
        block=known.block,
    )
    made = await granted(services, wish, client)
    assert made.tile is not None, "only a bound on its bytes leaves no tile"
    return as_served(wish, made, made.tile)


def as_served(wish: Wish, made: Made, tile: EncodedTile) -> ServedTile:
    """Give what was made of a wish, as it is served."""
    return ServedTile(
        tile=tile,
        key=wish.key if made.whole else None,
        cached=made.cached,
        stored=wish.block if made.stored else None,
    )
