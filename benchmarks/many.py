"""Makes many small scenes that lie all over the world: what a long session of maps goes through."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import rasterio
from rasterio.transform import from_origin

from benchmarks.data import Scene, copy_as_cog, inside, optical, strips

MANY: Final = 200
SMALL_SIZE: Final = 2_048
"""Columns and rows of each, of about 0.5 m."""
_BASES: Final = 4
"""Different textures; a scene is one of them, moved round and brightened."""
_STRIDE: Final = 0.9
"""Of a scene's width, from one to the next: neighbours overlap."""
_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where some of the scenes lie, side by side."""

    name: str
    crs: str
    left: float
    top: float
    pixel: float
    """In the unit of the CRS."""

    def at(self, column: int, row: int, size: int) -> Place:
        """Give the place of a scene in a column and row of scenes."""
        step = _STRIDE * size * self.pixel
        return replace(self, left=self.left + column * step, top=self.top - row * step)


PLACES: Final = (
    Place(name="lyon", crs="EPSG:2154", left=840_000.0, top=6_520_000.0, pixel=0.5),
    Place(name="toulouse", crs="EPSG:32631", left=372_000.0, top=4_830_000.0, pixel=0.5),
    Place(name="corse", crs="EPSG:4326", left=9.0, top=42.2, pixel=5e-6),
    Place(name="guadeloupe", crs="EPSG:5490", left=640_000.0, top=1_800_000.0, pixel=0.5),
    Place(name="guyane", crs="EPSG:2972", left=350_000.0, top=545_000.0, pixel=0.5),
    Place(name="reunion", crs="EPSG:2975", left=340_000.0, top=7_650_000.0, pixel=0.5),
    Place(name="mayotte", crs="EPSG:4471", left=515_000.0, top=8_590_000.0, pixel=0.5),
    Place(name="noumea", crs="EPSG:3163", left=440_000.0, top=220_000.0, pixel=0.5),
)
"""Eight of the grids in which French imagery is delivered; in each the scenes make one mosaic."""


def make_many(folder: Path, count: int, size: int, tell: Callable[[str], None]) -> dict[str, Scene]:
    """Make the scenes that are not there yet.

    Args:
        folder: Where they are kept.
        count: How many, dealt out to the places.
        size: Columns and rows of each, a multiple of 512.
        tell: Gets a line about each place whose scenes are made.

    Returns:
        The scenes by name; each place is a collection, and a layer.
    """
    home = folder / f"many-{count}-{size}"
    stamp = home / "made.json"
    if not stamp.exists() or json.loads(stamp.read_text())["version"] != _VERSION:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        bases = [_texture(size, seed) for seed in range(_BASES)]
        for place, numbers in _dealt(count):
            tell(f"making {len(numbers)} scenes in {place.name}")
            side = int(np.ceil(np.sqrt(len(numbers))))
            for nth, number in enumerate(numbers):
                spot = place.at(nth % side, nth // side, size)
                _make(home / f"{place.name}-{number:03}.tif", spot, bases[nth % _BASES], number)
        stamp.write_text(json.dumps({"version": _VERSION}))
    return {path.stem: _scene(path) for path in sorted(home.glob("*.tif"))}


def _dealt(count: int) -> Iterator[tuple[Place, range]]:
    for first, place in enumerate(PLACES):
        numbers = range(first, count, len(PLACES))
        if numbers:
            yield place, numbers


def _scene(path: Path) -> Scene:
    place = path.stem.rpartition("-")[0]
    return Scene(
        name=path.stem, path=path, sensor="pleiades", collection=place, layer=place, bounds=inside(path)
    )


def _texture(size: int, seed: int) -> np.ndarray:
    """Give four bands of uint16, shape (4, size, size), in steps of 8: 200 scenes fit into 3 GB."""
    strip, noise = optical(size, "uint16", seed), np.random.default_rng(seed)
    parts = [strip(row, rows, noise).astype("uint16") // 8 * 8 for row, rows in strips(size)]
    return np.concatenate(parts, axis=1)


def _make(path: Path, place: Place, base: np.ndarray, number: int) -> None:
    """Write one scene, whose upper left corner is that of the place."""
    size = base.shape[1]
    pixels = np.roll(base, (61 * number % size, 37 * number % size), axis=(1, 2)) + np.uint16(2 * number)
    plain = path.with_suffix(".tmp")
    with rasterio.open(
        plain, "w", driver="GTiff", width=size, height=size, count=4, dtype="uint16", crs=place.crs,
        transform=from_origin(place.left, place.top, place.pixel, place.pixel), interleave="pixel",
        photometric="MINISBLACK",
    ) as file:  # fmt: skip
        file.write(pixels)
    options = {"COMPRESS": "ZSTD", "LEVEL": 1, "PREDICTOR": "STANDARD", "BLOCKSIZE": 512, "NUM_THREADS": 2}
    copy_as_cog(plain, path, {**options, "OVERVIEWS": "IGNORE_EXISTING"})
    plain.unlink()
