"""Makes catalogues of many scenes: a grid over France in four dates, real pixels where tiles are asked for.

Four neighbouring scenes in the middle have files of their own, cut from one picture; every other item names
another link to one of them, which nobody opens. The picture itself is a scene of its own, to compare with.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin
from rasterio.windows import Window

from benchmarks.data import copy_as_cog, optical, strips

DATES: Final = 4
"""Scenes of each place, one after the other in time."""
LICENCES: Final = 5
PIXEL: Final = 2.5
"""Metres."""
SIDE: Final = 2_048
"""Columns and rows of a scene."""
STRIDE: Final = 2_000
"""Pixels from one scene to the next: neighbours overlap by 120 m."""
WHOLE: Final = 4_096
"""Columns and rows of the picture that the four are cut from."""
CENTRE: Final = (560_000.0, 6_600_000.0)
"""Where the four meet, metres of EPSG:2154."""
COLLECTION: Final = "many"
ONE: Final = "whole"
"""The collection of the picture as one scene."""
_CELL: Final = STRIDE * PIXEL
_TO_LONLAT: Final = Transformer.from_crs("EPSG:2154", "OGC:CRS84", always_xy=True)
_OPTIONS: Final = {
    "BLOCKSIZE": 512,
    "COMPRESS": "DEFLATE",
    "PREDICTOR": "STANDARD",
    "OVERVIEWS": "IGNORE_EXISTING",
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A place of the grid; the four in the middle are (0, 0), (1, 0), (0, 1) and (1, 1)."""

    column: int
    row: int

    @property
    def corner(self) -> tuple[float, float]:
        """Left and top, metres of EPSG:2154."""
        return CENTRE[0] + (self.column - 1) * _CELL, CENTRE[1] - (self.row - 1) * _CELL

    @property
    def name(self) -> str:
        """Of the link to its file."""
        return f"{self.column}_{self.row}.tif"

    @property
    def source(self) -> str:
        """Of the file among the four that it is."""
        return f"cut-{self.column % 2}{self.row % 2}.tif"


def cells(count: int) -> list[Cell]:
    """Give so many places, those in the middle first: a catalogue of more scenes holds that of fewer."""
    reach = int(count**0.5 / 2) + 2
    found = [Cell(column=c, row=r) for c in range(-reach, reach + 2) for r in range(-reach, reach + 2)]
    found.sort(key=lambda cell: (max(abs(2 * cell.column - 1), abs(2 * cell.row - 1)), cell.row, cell.column))
    return found[:count]


def make_pictures(folder: Path) -> None:
    """Make the picture and the four files that are cut from it, unless they are there."""
    if (folder / "made").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    plain, noise, strip = folder / "plain.tmp", np.random.default_rng(7), optical(WHOLE, "uint16")
    left, top = Cell(column=0, row=0).corner
    profile = {
        "driver": "GTiff",
        "count": 4,
        "dtype": "uint16",
        "crs": "EPSG:2154",
        "photometric": "MINISBLACK",
    }
    tiled = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel"}
    place = from_origin(left, top, PIXEL, PIXEL)
    with rasterio.open(plain, "w", width=WHOLE, height=WHOLE, transform=place, **profile, **tiled) as file:
        for row, rows in strips(WHOLE):
            pixels = strip(row, rows, noise).astype("uint16")
            file.write(pixels, window=Window(0, row, WHOLE, rows))
    copy_as_cog(plain, folder / "whole.tif", dict(_OPTIONS))
    with rasterio.open(plain) as source:
        for cell in (Cell(column=c, row=r) for c in (0, 1) for r in (0, 1)):
            pixels = source.read(window=Window(cell.column * STRIDE, cell.row * STRIDE, SIDE, SIDE))
            part, place = folder / "part.tmp", from_origin(*cell.corner, PIXEL, PIXEL)
            with rasterio.open(
                part, "w", width=SIDE, height=SIDE, transform=place, **profile, **tiled
            ) as file:
                file.write(pixels)
            copy_as_cog(part, folder / cell.source, dict(_OPTIONS))
            part.unlink()
    plain.unlink()
    (folder / "made").touch()


def link_files(pictures: Path, folder: Path, count: int) -> None:
    """Give each place of a catalogue of so many scenes its file: a link to one of the four."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "whole.tif").exists():
        os.link(pictures / "whole.tif", folder / "whole.tif")
    for cell in cells(-(-count // DATES)):
        if not (folder / cell.name).exists():
            _link(pictures / cell.source, folder / cell.name)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # file systems allow so many links of one file, 65 000 and fewer
        target.symlink_to(source)


def items(count: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Give the picture's item, and so many of the grid: the same each time."""
    chance = random.Random(3)  # noqa: S311 - the same every time
    yield _item((ONE, ONE), folder / "whole.tif", Cell(column=0, row=0), "2024-07-01", chance)
    places = cells(-(-count // DATES))
    for number in range(count):
        cell = places[number % len(places)]
        year, month, day = 2020 + number // len(places), 1 + number % 12, 1 + number % 28
        name = f"S_{cell.column:+05d}{cell.row:+05d}_{year}".replace("+", "E").replace("-", "W")
        date = f"{year}-{month:02d}-{day:02d}"
        yield _item((COLLECTION, name), folder / cell.name, cell, date, chance)


def _item(key: tuple[str, str], path: Path, cell: Cell, date: str, chance: random.Random) -> dict[str, Any]:
    """Write an item as banking does."""
    (collection, name), (left, top) = key, cell.corner
    side = WHOLE if collection == ONE else SIDE
    right, bottom = left + side * PIXEL, top - side * PIXEL
    xs, ys = _TO_LONLAT.transform([left, right, right, left, left], [bottom, bottom, top, top, bottom])
    ring = [[round(x, 7), round(y, 7)] for x, y in zip(xs, ys, strict=True)]
    names = (("B2", "red"), ("B1", "green"), ("B0", "blue"), ("B3", "nir"))
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": name,
        "collection": collection,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [min(xs), min(ys), max(xs), max(ys)],
        "properties": {
            "datetime": f"{date}T10:{chance.randrange(60):02d}:00Z",
            "platform": "phr1a",
            "gsd": PIXEL,
            "license": f"bench-{chance.randrange(LICENCES)}",
            "eo:cloud_cover": round(chance.random() * 100, 1),
            "view:incidence_angle": round(chance.random() * 30, 2),
            "proj:code": "EPSG:2154",
            "proj:shape": [side, side],
            "proj:transform": [PIXEL, 0, left, 0, -PIXEL, top],
            "flux:sensor": "pleiades",
            "flux:kind": "optical",
            "flux:styles": ["natural", "cir", "ndvi", "ndwi", "grey"],
            "flux:digest": f"{chance.getrandbits(256):064x}",
            "flux:attribution": f"Pléiades © CNES {date[:4]}, Distribution Airbus DS",
        },
        "assets": {
            "data": {
                "href": str(path),
                "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                "roles": ["data"],
                "raster:spatial_resolution": PIXEL,
                "file:checksum": f"1220{chance.getrandbits(256):064x}",
                "bands": [_band(band, common, chance) for band, common in names],
            }
        },
        "links": [],
    }


def _band(name: str, common: str, chance: random.Random) -> dict[str, Any]:
    low = chance.randint(200, 400)
    return {
        "name": name,
        "data_type": "uint16",
        "eo:common_name": common,
        "statistics": {"minimum": chance.randint(1, 100), "maximum": chance.randint(3000, 4095)},
        "flux:percentiles": {"2": low, "50": low + 700, "98": low + 2000, "99.9": low + 2600},
        "flux:sample_step": 4,
    }


def write_items(path: Path, count: int, folder: Path) -> None:
    """Write the items of a catalogue of so many scenes, one per line."""
    with path.open("w", encoding="utf-8") as file:
        for item in items(count, folder):
            file.write(json.dumps(item) + "\n")
