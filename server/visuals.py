"""What banking draws tiles ahead with: the reader, the styles and the grid that tiles are served by."""

from __future__ import annotations

from typing import Literal, cast

from mosaics.catalog.base import CatalogWriter
from mosaics.fast import FastReader
from mosaics.grids import load_grids
from mosaics.ingest.visual import GRID, VisualMaker
from mosaics.read import RioTilerReader
from mosaics.styles import load_styles
from mosaics.tiff.blocks import BlockCache
from server.settings import Settings
from server.storage import scene_files


def visual_maker(settings: Settings, catalog: CatalogWriter, image_format: str) -> VisualMaker:
    """Give what draws the tiles of banked scenes.

    Args:
        settings: All settings.
        catalog: Where scenes are registered.
        image_format: `jpg` or `webp`.
    """
    files = scene_files(settings)
    reader = FastReader(
        reference=RioTilerReader(files=files),
        blocks=BlockCache(settings.tiles.block_cache_megabytes * 1_000_000),
        files=files,
    )
    return VisualMaker(
        home_data=settings.data,
        catalog=catalog,
        styles=load_styles(settings.data_folder),
        grid=load_grids(settings.data_folder).get(GRID),
        reader=reader,
        image_format=cast("Literal['jpg', 'webp']", image_format),
        quality=settings.tiles.quality,
        threads=settings.http.threads,
    )
