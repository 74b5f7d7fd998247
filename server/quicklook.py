"""Renders pictures of whole scenes by the same path as a preview, such as the quicklook for banking."""

from __future__ import annotations

from collections.abc import Callable

from mosaics.compose import compose
from mosaics.encode import Quality, encode
from mosaics.errors import SceneUnreadableError
from mosaics.filters import EVERYTHING
from mosaics.frames import layer_frame
from mosaics.layers import ANY_TIME, Layer
from mosaics.models import Collection, Picture, Scene, Text
from mosaics.read import RioTilerReader, SceneReader
from mosaics.registry import Registry
from mosaics.render import on_backdrop
from mosaics.resolve import resolve
from mosaics.styles import Style, load_styles
from server.settings import Settings
from server.storage import scene_files

WIDTH = 320
"""Pixels."""


def quicklook_maker(settings: Settings) -> Callable[[Scene], bytes]:
    """Give the function that renders a scene in its default style as a small WebP picture."""
    reader = RioTilerReader(files=scene_files(settings))
    styles = load_styles(settings.data_folder)

    def quicklook(scene: Scene) -> bytes:
        picture = scene_picture(scene, None, WIDTH, reader, styles)
        return encode(picture, "webp", Quality(webp=settings.tiles.webp_quality)).data

    return quicklook


def scene_picture(
    scene: Scene, style_id: str | None, width: int, reader: SceneReader, styles: Registry[Style]
) -> Picture:
    """Render a whole scene.

    Args:
        scene: As it was banked.
        style_id: One of its styles; None: the default.
        width: Pixels, of its longer side.
        reader: How files are read.
        styles: All styles.

    Raises:
        SceneUnreadableError: If its file can't be read.
    """
    nothing = Text(fr="", en="")
    collection = Collection(id=scene.collection_id, title=nothing, description=nothing)
    layer = Layer.of(scene.id, (scene,), collection=collection, single=True)
    tile = resolve(
        layer,
        EVERYTHING,
        layer_frame(layer, width, width),
        ground_resolution=float("inf"),
        span=ANY_TIME,
        style_id=style_id,
        styles=styles,
    )
    picture, _ = compose(tile, reader, _ignored)
    return picture if tile.backdrop is None else on_backdrop(picture, tile.backdrop)


def _ignored(_error: SceneUnreadableError) -> None:
    """Compose raises it by itself, since the scene is the only one."""
