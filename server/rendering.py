"""From a resolved tile to encoded bytes: what a thread does, or the event loop where that is quick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

import structlog

from mosaics.compose import Used, compose, compose_at_once
from mosaics.contribution import Contribution
from mosaics.encode import Format, Quality, empty, encode, encode_within
from mosaics.errors import SceneUnreadableError
from mosaics.models import EncodedTile, Picture
from mosaics.own_style import OWN
from mosaics.places import is_object
from mosaics.read import SceneReader
from mosaics.render import on_backdrop
from mosaics.resolve import ResolvedTile
from mosaics.stopping import Stop
from server.services import Made, Services

log = structlog.get_logger(__name__)

_LIGHT_FORMATS: Final = frozenset({"jpg", "auto-webp", "auto-png"})
"""That take a fraction of a millisecond to encode, `auto` where the scene is whole."""
_LIGHT_PIXELS: Final = 65_536


class Tools(Protocol):
    """What pictures are made with; `Services` are such."""

    @property
    def reader(self) -> SceneReader:
        """Reads the pixels."""

    @property
    def quality(self) -> Quality:
        """What they lose in each format."""


def make_tile(tools: Tools, tile: ResolvedTile, image_format: Format, stop: Stop) -> Made:
    """Read, compose, render and encode a tile.

    Args:
        tools: What it is made with.
        tile: Its scenes and its frame.
        image_format: What it becomes.
        stop: Asked between scenes and blocks whether nobody wants it any more.

    Raises:
        SceneUnreadableError: If all its files fail.
        NobodyWaitsError: If `stop` said so.
    """
    failures: list[SceneUnreadableError] = []
    picture, used = compose(tile, tools.reader, noted(failures), stop)
    return replace(_finished(tools, tile, image_format, picture, used), whole=not failures)


def _finished(tools: Tools, tile: ResolvedTile, image_format: Format, picture: Picture, used: Used) -> Made:
    if not picture.alpha.any():
        made = empty(image_format, tile.frame.width, tile.frame.height, tile.backdrop)
        return Made(tile=EncodedTile(data=made.data, media_type=made.media_type))
    if tile.backdrop is not None:
        picture = on_backdrop(picture, tile.backdrop)
    return Made(tile=credited(encode(picture, image_format, tools.quality), used))


def make_within(
    services: Services, tile: ResolvedTile, image_format: Format, max_bytes: int, stop: Stop
) -> Made:
    """Make a picture of at most so many bytes; none where it can't be made so small."""
    failures: list[SceneUnreadableError] = []
    picture, used = compose(tile, services.reader, noted(failures), stop)
    if tile.backdrop is not None:
        picture = on_backdrop(picture, tile.backdrop)
    made = encode_within(picture, image_format, max_bytes)
    return Made(tile=None if made is None else credited(made, used), whole=not failures)


def is_light(tile: ResolvedTile, image_format: Format) -> bool:
    """Tell whether a tile takes about a millisecond once its blocks are decoded, and waits for nothing.

    One in a caller's own style doesn't: the table of levels of 16-bit values takes several.
    """
    if len(tile.contributions) != 1 or image_format not in _LIGHT_FORMATS:
        return False
    contribution, frame = tile.contributions[0], tile.frame
    return (
        contribution.mask is None
        and contribution.style.algorithm is None
        and contribution.style.id != OWN
        and frame.width * frame.height <= _LIGHT_PIXELS
        and not is_object(contribution.scene.href)
    )


def make_at_once(services: Services, tile: ResolvedTile, image_format: Format) -> Made | None:
    """Make a light tile of what is in memory; None: a thread must."""
    found = compose_at_once(tile, services.reader)
    return None if found is None else _finished(services, tile, image_format, *found)


def credited(made: EncodedTile, used: Used) -> EncodedTile:
    """Say which scenes gave its pixels."""
    return replace(made, contributors=tuple(_contributor(c) for c in used))


def noted(failures: list[SceneUnreadableError]) -> Callable[[SceneUnreadableError], None]:
    """Give what takes down each scene that can't be read, and logs it."""

    def note(error: SceneUnreadableError) -> None:
        failures.append(error)
        log.error("scene_unreadable", scene=error.scene_id, cause=repr(error.__cause__))

    return note


def _contributor(contribution: Contribution) -> tuple[str, str, str, str | None]:
    scene = contribution.scene
    return scene.collection_id, scene.id, scene.sensor_id, scene.licence_id
