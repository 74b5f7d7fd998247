"""Tells whether a file is a valid Cloud-Optimized GeoTIFF."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mosaics.gdal import open_raster

_UNTILED: Final = re.compile(r"The file is greater than .* not tiled|Overview of index (\d+) is not tiled")
_TILE_STEP: Final = 16
"""Sides of TIFF's tiles are multiples of it."""


def cog_errors(path: Path) -> tuple[str, ...]:
    """Give rio-cogeo's reasons why a file is no valid COG, none if it is one.

    It takes blocks as wide as the image for strips. So they are told from tiles once more: an image of 512
    columns has such tiles too.

    Args:
        path: A GeoTIFF that the guarded opening has shown to be one: rio-cogeo names no driver.
    """
    from rio_cogeo.cogeo import cog_validate  # noqa: PLC0415 - loads much that who only hands files on can spare

    try:
        valid, errors, _ = cog_validate(path, quiet=True)
        return () if valid else tuple(error for error in errors if not _is_tiled_after_all(path, error))
    except (OSError, TypeError, ValueError) as error:
        return (f"it can't be checked: {error}",)


def _is_tiled_after_all(path: Path, error: str) -> bool:
    found = _UNTILED.fullmatch(error)
    if found is None:
        return False
    level = None if found[1] is None else int(found[1])
    with open_raster(path, overview_level=level) as image:
        return all(side % _TILE_STEP == 0 for side in image.block_shapes[0])
