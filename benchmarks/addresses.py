"""The same picture as each engine is asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from benchmarks.data import Scene
from benchmarks.traces import Tile, bounds


@dataclass(frozen=True, kw_only=True)
class Look:
    """How pixels become a picture, in the words of each engine."""

    style: str
    """Ours."""
    extension: str
    """jpg or webp."""
    titiler: tuple[tuple[str, str], ...]
    mapserver: tuple[str, ...] | None
    """PROCESSING lines; None: it can't."""


COLOUR: Final = Look(
    style="rgb",
    extension="jpg",
    titiler=(("bidx", "1"), ("bidx", "2"), ("bidx", "3"), ("resampling", "bilinear")),
    mapserver=("BANDS=1,2,3", "RESAMPLE=BILINEAR"),
)
STRETCHED: Final = Look(
    style="natural",
    extension="jpg",
    titiler=(*COLOUR.titiler, ("rescale", "300,2600")),
    mapserver=("BANDS=1,2,3", "SCALE=300,2600", "RESAMPLE=BILINEAR"),
)
NDVI: Final = Look(
    style="ndvi",
    extension="webp",
    titiler=(
        ("expression", "(b4-b1)/(b4+b1)"),
        ("rescale", "-0.2,0.9"),
        ("colormap_name", "rdylgn"),
        ("resampling", "bilinear"),
    ),
    mapserver=None,
)
HILLSHADE: Final = Look(
    style="hillshade",
    extension="jpg",
    titiler=(("algorithm", "hillshade"), ("buffer", "3"), ("resampling", "bilinear")),
    mapserver=None,
)


def address(engine: str, scene: Scene, look: Look, tile: Tile) -> str:
    """Give the path and query of a tile.

    Args:
        engine: flux, titiler or mapserver.
        scene: What is shown.
        look: How.
        tile: Where.
    """
    zoom, x, y = tile
    place = f"WebMercatorQuad/{zoom}/{x}/{y}.{look.extension}"
    if engine == "flux":
        return f"/tiles/{quote(scene.layer)}/{place}?style={look.style}"
    if engine == "titiler":
        query = (("url", str(scene.path)), ("tilesize", "256"), *look.titiler)
        return f"/cog/tiles/{place}?{urlencode(query)}"
    box = ",".join(f"{edge:.6f}" for edge in bounds(tile))
    query = (
        *(("SERVICE", "WMS"), ("VERSION", "1.3.0"), ("REQUEST", "GetMap"), ("LAYERS", scene.name)),
        *(("STYLES", ""), ("CRS", "EPSG:3857"), ("BBOX", box), ("WIDTH", "256"), ("HEIGHT", "256")),
        ("FORMAT", "image/jpeg"),
    )
    return f"/?{urlencode(query)}"


_MAP = """MAP
  NAME "bench"
  SIZE 256 256
  EXTENT 860000 6500000 880000 6530000
  MAXSIZE 4096
  CONFIG "MS_ERRORFILE" "stderr"
  CONFIG "GDAL_CACHEMAX" "200"
  PROJECTION "init=epsg:3857" END
  OUTPUTFORMAT
    NAME "jpeg"
    DRIVER AGG/JPEG
    MIMETYPE "image/jpeg"
    IMAGEMODE RGB
    FORMATOPTION "QUALITY=85"
  END
  WEB METADATA
    "ows_enable_request" "*"
    "ows_srs" "EPSG:3857 EPSG:2154"
    "ows_title" "bench"
    "ows_onlineresource" "http://127.0.0.1/?"
  END END
{layers}END
"""
_LAYER = """  LAYER
    NAME "{name}"
    TYPE RASTER
    STATUS ON
    DATA "{path}"
    PROJECTION "init=epsg:2154" END
    METADATA "ows_title" "{name}" END
{processing}
    PROCESSING "CLOSE_CONNECTION=DEFER"
  END
"""


def mapfile(scenes: list[tuple[Scene, Look]]) -> str:
    """Give the map file of the scenes; files stay open between requests, as its handbook advises."""
    layers = "".join(
        _LAYER.format(
            name=scene.name,
            path=scene.path,
            processing="\n".join(f'    PROCESSING "{line}"' for line in look.mapserver or ()),
        )
        for scene, look in scenes
    )
    return _MAP.format(layers=layers)
