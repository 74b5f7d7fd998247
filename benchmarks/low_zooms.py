"""Measures tiles of low zooms over a catalogue of many scenes, made of its overviews, against native ones.

`benchmarks/low_zooms.py` prints a table; `--count` takes other than 100 000 scenes, `--json` writes all
figures. Every scene has a file that can be read: the four in the middle real pixels, the others plain colours
in the same layout. Overviews are made once, by the command line; the home is kept in benchmarks/.work.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from rasterio.transform import from_origin

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.catalogue import GRID, WORK, Asking, give_rights, quantile, tell, tile_paths
from benchmarks.catalogue_server import flux, served
from benchmarks.catalogue_world import COLLECTION, DATES, PIXEL, SIDE, Cell, cells, make_pictures, write_items
from benchmarks.data import copy_as_cog
from mosaics.grids import find_grid, load_grids
from mosaics.models import Bounds

ZOOMS: Final = range(3, 11)
TILES: Final = 16
"""Of each zoom, some of them twice where there are fewer."""
EXTENT: Final = Bounds(-3.0, 43.0, 7.0, 50.0)
"""Where tiles are asked for: within the scenes, degrees."""
_COLOURS: Final = 8
_OPTIONS: Final = {"BLOCKSIZE": 512, "COMPRESS": "ZSTD", "OVERVIEWS": "IGNORE_EXISTING"}


def make_files(pictures: Path, folder: Path, count: int) -> None:
    """Give each place of a catalogue its file: one of a few in plain colours, with its own corner in it."""
    if (folder / "made").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    templates = [_template(folder / f"template-{number}.tmp", number) for number in range(_COLOURS)]
    centre = struct.pack("<6d", 0, 0, 0, *Cell(column=0, row=0).corner, 0)
    shutil.copy(pictures / "whole.tif", folder / "whole.tif")
    for cell in cells(-(-count // DATES)):
        if {cell.column, cell.row} <= {0, 1}:
            shutil.copy(pictures / cell.source, folder / cell.name)
            continue
        template = templates[(cell.column * 5 + cell.row * 3) % _COLOURS]
        corner = struct.pack("<6d", 0, 0, 0, *cell.corner, 0)
        (folder / cell.name).write_bytes(template.replace(centre, corner))
    (folder / "made").touch()


def _template(path: Path, number: int) -> bytes:
    """Make a COG of one colour, darker towards its lower right; give its bytes."""
    plain, chance = path.with_suffix(".plain"), np.random.default_rng(number)
    shade = np.linspace(1.0, 0.8, 8).repeat(SIDE // 8)
    pixels = chance.integers(400, 2400, 4)[:, np.newaxis, np.newaxis] * np.minimum.outer(shade, shade)
    place = from_origin(*Cell(column=0, row=0).corner, PIXEL, PIXEL)
    profile = {"driver": "GTiff", "count": 4, "dtype": "uint16", "crs": "EPSG:2154", "transform": place}
    with rasterio.open(plain, "w", width=SIDE, height=SIDE, photometric="MINISBLACK", **profile) as file:
        file.write(pixels.astype("uint16"))
    copy_as_cog(plain, path, dict(_OPTIONS))
    plain.unlink()
    found = path.read_bytes()
    path.unlink()
    return found


def make_home(count: int) -> tuple[Path, Path]:
    """Make the home of a catalogue of so many scenes with its overviews, unless it is there."""
    home, images = WORK / f"home-wide-{count}", WORK / f"images-wide-{count}"
    make_pictures(WORK / "pictures")
    tell("files")
    make_files(WORK / "pictures", images, count)
    if not (home / "imported").exists():
        shutil.rmtree(home, ignore_errors=True)
        items = WORK / f"items-wide-{count}.ndjson"
        write_items(items, count, images)
        give_rights(home, images)
        tell(f"importing {count} items")
        flux(home, images, "scene", "import", str(items))
        (home / "imported").touch()
    tell("overviews, which takes a while")
    begun = time.monotonic()
    tell(flux(home, images, "seed", COLLECTION, "--overviews", "--json")[-500:])
    tell(f"overviews after {time.monotonic() - begun:.0f} s")
    return home, images


def low_tiles(zoom: int) -> list[tuple[int, int, int]]:
    """Give tiles of a zoom that lie within the scenes."""
    grid, chance = find_grid(load_grids(), GRID), random.Random(zoom)  # noqa: S311 - the same every time
    found = []
    for _ in range(TILES):
        x, y = chance.uniform(EXTENT.left, EXTENT.right), chance.uniform(EXTENT.bottom, EXTENT.top)
        tiles = grid.tiles(Bounds(x, y, x + 1e-9, y + 1e-9), zoom)
        assert tiles is not None
        found.append((zoom, tiles.min_col, tiles.min_row))
    return found


def against_native(asking: Asking, rounds: int) -> dict[int, dict[str, float]]:
    """Give how much longer a tile of each zoom takes than a native one, which is asked for beside it."""
    native = tile_paths()["one"]
    wide = {zoom: low_tiles(zoom) for zoom in ZOOMS}
    for tile in [*native, *(tile for tiles in wide.values() for tile in tiles)]:
        asking.tile(COLLECTION, tile)
    found: dict[int, list[tuple[float, float]]] = {zoom: [] for zoom in ZOOMS}
    for number in range(rounds):
        for zoom, tiles in wide.items():
            beside, tile = native[number % len(native)], tiles[number % len(tiles)]
            order = (tile, beside) if number % 2 else (beside, tile)
            took = {each: asking.tile(COLLECTION, each) for each in order}
            found[zoom].append((took[tile], took[beside]))
    return {zoom: _told(pairs) for zoom, pairs in found.items()}


def _told(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    ratios = [wide / native for wide, native in pairs]
    return {
        "ratio": statistics.median(ratios),
        "ms": 1000 * statistics.median(wide for wide, _ in pairs),
        "p99 ms": 1000 * quantile([wide for wide, _ in pairs], 0.99),
        "native, ms": 1000 * statistics.median(native for _, native in pairs),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="scenes")
    parser.add_argument("--rounds", type=int, default=160, help="pairs of each zoom")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    home, images = make_home(options.count)
    load = os.getloadavg()[0]
    with served(home, images) as server:
        found: dict[int, Any] = against_native(Asking(server), options.rounds)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print("| zoom | tile, ms | p99, ms | native, ms | x of native | bar |\n|---|---|---|---|---|---|")
    for zoom, each in found.items():
        shown = " | ".join(f"{each[name]:.3g}" for name in ("ms", "p99 ms", "native, ms", "ratio"))
        print(f"| {zoom} | {shown} | {'<= 2' if zoom == 5 else ''} |")
    print(f"\nLoad of the machine before: {load:.1f}")


if __name__ == "__main__":
    main()
