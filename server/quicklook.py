"""Renders the quicklook of a scene for banking, by the same path as a preview."""

from __future__ import annotations

from collections.abc import Callable

from mosaics.compose import compose
from mosaics.encode import Quality, encode
from mosaics.errors import SceneUnreadableError
from mosaics.filters import EVERYTHING
from mosaics.frames import layer_frame
from mosaics.layers import ANY_TIME, Layer
from mosaics.models import Collection, Scene, Text
from mosaics.read import RioTilerReader
from mosaics.resolve import resolve
from mosaics.styles import load_styles
from server.settings import Settings
from server.storage import scene_files

WIDTH = 320
"""Pixels."""


def quicklook_maker(settings: Settings) -> Callable[[Scene], bytes]:
    """Give the function that renders a scene in its default style as a small WebP picture."""
    reader = RioTilerReader(files=scene_files(settings))
    styles = load_styles(settings.data_folder)

    def quicklook(scene: Scene) -> bytes:
        nothing = Text(fr="", en="")
        collection = Collection(id=scene.collection_id, title=nothing, description=nothing)
        layer = Layer(id=scene.id, collection=collection, scenes=(scene,), single=True)
        tile = resolve(
            layer,
            EVERYTHING,
            layer_frame(layer, WIDTH, WIDTH),
            ground_resolution=float("inf"),
            span=ANY_TIME,
            style_id=None,
            styles=styles,
        )
        picture, _ = compose(tile, reader, _ignored)
        return encode(picture, "webp", Quality(webp=settings.tiles.webp_quality)).data

    return quicklook


def _ignored(_error: SceneUnreadableError) -> None:
    """Compose raises it by itself, since the scene is the only one."""
