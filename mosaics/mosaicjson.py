"""MosaicJSON 0.0.3: scenes of a mosaic written as one, and the assets that one names.

Source: github.com/developmentseed/mosaicjson-spec, 0.0.3; quadkeys as in the Bing Maps Tile System.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mosaics.errors import MosaicInvalidError
from mosaics.grids import Grid
from mosaics.models import Bounds
from mosaics.mosaic import Mosaic

VERSION: Final = "0.0.3"
_READ: Final = frozenset({"0.0.1", "0.0.2", VERSION})
_FINEST: Final = 30
"""The last zoom that the specification has."""
_MOST_TILES: Final = 64
"""That a scene has on average."""
_HIGHEST: Final = 85.0511287798066
"""Latitude, degrees, where Web Mercator ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One scene as a MosaicJSON names it."""

    href: str
    """Absolute path or address of its leading file."""
    footprint: BaseGeometry
    """Longitude and latitude, split at the antimeridian."""
    ground_resolution: float
    """Metres per pixel; NaN: not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """What a MosaicJSON says."""

    name: str
    """Title; may be empty."""
    description: str
    """May be empty."""
    attribution: str
    """May be empty."""
    assets: tuple[str, ...]
    """Each once, as they come, with the prefix."""


def mosaicjson_of(mosaic: Mosaic, members: Sequence[Member], grid: Grid) -> dict[str, Any]:
    """Write the scenes of a mosaic as MosaicJSON.

    Its tiles are those of the zoom at which the middle one of the scenes, by width, is no wider than a tile,
    or of a coarser one where others are so much wider; the assets of each are in the mosaic's order. What
    MosaicJSON has no word for is left out: how pixels are chosen, stretch, styles, clouds.

    Args:
        mosaic: The mosaic.
        members: Its scenes, the first in the mosaic's order first.
        grid: WebMercatorQuad.

    Raises:
        MosaicInvalidError: If none of the scenes lies in the grid.
    """
    footprints = [member.footprint for member in members]
    if not footprints:
        raise MosaicInvalidError(f"{mosaic.id} selects no scene: there is nothing to write")
    zooms = _zooms(members, grid)
    tiles: dict[str, dict[str, None]] = {}
    for member in members:
        for column, row in _tiles(member.footprint, grid, zooms[0]):
            tiles.setdefault(quadkey(column, row, zooms[0]), {})[member.href] = None
    if not tiles:
        raise MosaicInvalidError(f"no scene of {mosaic.id} lies where Web Mercator reaches")
    west, south, east, north = (float(side) for side in shapely.total_bounds(footprints))
    return {
        "mosaicjson": VERSION,
        "name": mosaic.title.en or mosaic.id,
        "description": mosaic.description.en,
        "version": "1.0.0",
        "attribution": mosaic.attribution,
        "minzoom": zooms[0],
        "maxzoom": zooms[1],
        "quadkey_zoom": zooms[0],
        "bounds": [west, south, east, north],
        "center": [(west + east) / 2, (south + north) / 2, zooms[0]],
        "tiles": {key: list(assets) for key, assets in sorted(tiles.items())},
        "asset_type": "COG",
    }


def read_mosaicjson(document: dict[str, Any]) -> Named:
    """Read a MosaicJSON: which assets, and what is said of them; which tile has which is left out.

    Raises:
        MosaicInvalidError: If it is none, of a version that isn't known, or names no asset.
    """
    version = document.get("mosaicjson")
    if version not in _READ:
        raise MosaicInvalidError(f"the version of MosaicJSON is none of {', '.join(sorted(_READ))}", version)
    tiles, prefix = document.get("tiles"), document.get("asset_prefix") or ""
    lists = list(tiles.values()) if isinstance(tiles, dict) else [None]
    if not isinstance(prefix, str) or not all(isinstance(assets, list) for assets in lists):
        raise MosaicInvalidError("tiles of a MosaicJSON has lists of assets by quadkey")
    assets = [asset for listed in lists for asset in listed or ()]
    if not all(isinstance(asset, str) for asset in assets):
        raise MosaicInvalidError("assets of a MosaicJSON are texts")
    if not assets:
        raise MosaicInvalidError("the MosaicJSON names no asset")
    return Named(
        name=_text(document, "name"),
        description=_text(document, "description"),
        attribution=_text(document, "attribution"),
        assets=tuple(dict.fromkeys(prefix + asset for asset in assets)),
    )


def quadkey(column: int, row: int, zoom: int) -> str:
    """Give the quadkey of a Web Mercator tile."""
    places = range(zoom - 1, -1, -1)
    return "".join(str((column >> place & 1) + 2 * (row >> place & 1)) for place in places)


def _zooms(members: Sequence[Member], grid: Grid) -> tuple[int, int]:
    """Give the zoom of the quadkeys, which is also the coarsest, and the finest."""
    known = [member.ground_resolution for member in members if member.ground_resolution > 0]
    latitudes = shapely.total_bounds([member.footprint for member in members])[1::2]
    finest = grid.zoom_for(min(known), float(latitudes.mean())) if known else grid.maxzoom
    finest = min(finest, _FINEST)
    sides = _sides(members)
    middle = float(np.median(sides[:, 0]))
    coarsest = finest if middle <= 0 else min(math.floor(-math.log2(middle)), finest)
    while coarsest > 0 and (sides * 2.0**coarsest + 2).prod(axis=1).sum() > _MOST_TILES * len(sides):
        coarsest -= 1
    return coarsest, finest


def _sides(members: Sequence[Member]) -> NDArray[np.float64]:
    """Give width and height of each part of the footprints, in parts of Web Mercator's, shape (n, 2)."""
    bounds = shapely.bounds(shapely.get_parts([member.footprint for member in members]))
    ys = np.arcsinh(np.tan(np.radians(np.clip(bounds[:, 1::2], -_HIGHEST, _HIGHEST)))) / (2 * math.pi)
    return np.column_stack(((bounds[:, 2] - bounds[:, 0]) / 360, ys[:, 1] - ys[:, 0]))


def _tiles(footprint: BaseGeometry, grid: Grid, zoom: int) -> list[tuple[int, int]]:
    """Give columns and rows of the tiles that a footprint meets."""
    found: dict[tuple[int, int], None] = {}
    for part in shapely.get_parts(footprint):
        reach = grid.tiles(Bounds(*(float(side) for side in part.bounds)), zoom)
        if reach is None:
            continue
        columns = range(reach.min_col, reach.max_col + 1)
        rows = range(reach.min_row, reach.max_row + 1)
        places = [(column, row) for column in columns for row in rows]
        meets = shapely.intersects(part, [_tile_box(column, row, zoom) for column, row in places])
        found |= {place: None for place, met in zip(places, meets, strict=True) if met}
    return list(found)


def _tile_box(column: int, row: int, zoom: int) -> BaseGeometry:
    count = 1 << zoom
    south, north = (math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * y / count)))) for y in (row + 1, row))
    return shapely.box(360 * column / count - 180, south, 360 * (column + 1) / count - 180, north)


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    return value if isinstance(value, str) else ""
