"""Makes the scenes that the engines are compared on: textured noise, made once and kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import rasterio
import rasterio.shutil
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds
from rasterio.windows import Window

FULL_SIZE: Final = 12_288
"""Columns and rows of the scenes, 0.5 m each."""
COLD_SIZE: Final = 2_048
COLD_FILES: Final = 10
"""Small scenes that nobody opened before."""
_ORIGIN: Final = (862_000.0, 6_521_000.0)
"""Left and top, metres of EPSG:2154: where the grid's north is 1.5 degrees off the map's."""
_PIXEL: Final = 0.5
_STRIP: Final = 512
_VERSION: Final = 3
"""Of what is made here; files of another are made anew."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One file that all engines serve."""

    name: str
    """Its file name."""
    path: Path
    sensor: str
    """What it is banked as."""
    collection: str
    """What it is banked into."""
    layer: str
    """What of our server shows it: its collection, or it alone."""
    bounds: tuple[float, float, float, float]
    """Left, bottom, right, top of the largest upright box inside it, metres of EPSG:3857."""


Strip = Callable[[int, int, np.random.Generator], np.ndarray]
"""(first row, rows, noise) -> pixels of shape (bands, rows, columns)."""


def make_scenes(folder: Path, size: int, tell: Callable[[str], None]) -> dict[str, Scene]:
    """Make the scenes that are not there yet.

    Args:
        folder: Where they are kept.
        size: Columns and rows, a multiple of 512.
        tell: Gets a line about each file that is made.

    Returns:
        The scenes by name: rgb-jpeg, uint16-deflate, uint16-zstd, dsm and cold-0 to cold-9.
    """
    place = folder / f"scenes-{size}"
    stamp = place / "made.json"
    if not stamp.exists() or json.loads(stamp.read_text())["version"] != _VERSION:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        _make_all(place, size, tell)
        stamp.write_text(json.dumps({"version": _VERSION, "size": size}))
    return {path.stem: _scene(path) for path in sorted(place.glob("*.tif"))}


def _scene(path: Path) -> Scene:
    name = path.stem
    is_cold = name.startswith("cold-")
    return Scene(
        name=name,
        path=path,
        sensor={"rgb-jpeg": "rgb", "dsm": "dsm"}.get(name, "pleiades"),
        collection="cold" if is_cold else name,
        layer=f"cold:{name}" if is_cold else name,
        bounds=inside(path),
    )


def inside(path: Path) -> tuple[float, float, float, float]:
    """Give the left, bottom, right and top in EPSG:3857 of a box that the file fills, a little less than it.

    The grids are turned against each other by some degrees at most: the box loses what that turns.
    """
    with rasterio.open(path) as file:
        left, bottom, right, top = transform_bounds(file.crs, "EPSG:3857", *file.bounds)
    loss = 0.03 * (right - left)
    return left + loss, bottom + loss, right - loss, top - loss


def _make_all(place: Path, size: int, tell: Callable[[str], None]) -> None:
    plain = place / "plain.tmp"
    options: dict[str, Any] = {"BLOCKSIZE": 512, "NUM_THREADS": 2, "OVERVIEWS": "IGNORE_EXISTING"}
    tell("making uint16-deflate and uint16-zstd")
    _write(plain, size, 4, "uint16", optical(size, "uint16"))
    for codec, level in (("DEFLATE", 6), ("ZSTD", 9)):
        wanted = {"COMPRESS": codec, "LEVEL": level, "PREDICTOR": "STANDARD"}
        copy_as_cog(plain, place / f"uint16-{codec.lower()}.tif", options | wanted)
    tell("making rgb-jpeg")
    _write(plain, size, 3, "uint8", optical(size, "uint8"))
    copy_as_cog(plain, place / "rgb-jpeg.tif", options | {"COMPRESS": "JPEG", "QUALITY": 85})
    tell("making dsm")
    _write(plain, size, 1, "float32", _terrain(size))
    floating = {"COMPRESS": "ZSTD", "LEVEL": 9, "PREDICTOR": "FLOATING_POINT"}
    copy_as_cog(plain, place / "dsm.tif", options | floating)
    tell("making the small scenes")
    for number in range(COLD_FILES):
        _write(plain, COLD_SIZE, 4, "uint16", optical(COLD_SIZE, "uint16", seed=number + 1))
        wanted = {"COMPRESS": "DEFLATE", "PREDICTOR": "STANDARD"}
        copy_as_cog(plain, place / f"cold-{number}.tif", options | wanted)
    plain.unlink()


def copy_as_cog(plain: Path, path: Path, options: dict[str, Any]) -> None:
    """Write a raster as a COG whose overviews are averages, with more of GDAL's options."""
    rasterio.shutil.copy(plain, path, driver="COG", RESAMPLING="AVERAGE", BIGTIFF="IF_SAFER", **options)


def _write(path: Path, size: int, bands: int, data_type: str, strip: Strip) -> None:
    noise = np.random.default_rng(7)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=size,
        height=size,
        count=bands,
        dtype=data_type,
        crs="EPSG:2154",
        transform=from_origin(*_ORIGIN, _PIXEL, _PIXEL),
        tiled=True,
        blockxsize=512,
        blockysize=512,
        interleave="pixel",
        photometric="RGB" if bands == 3 else "MINISBLACK",
    ) as file:
        for row, rows in strips(size):
            file.write(strip(row, rows, noise).astype(data_type), window=Window(0, row, size, rows))


def strips(size: int) -> Iterator[tuple[int, int]]:
    """Give first row and number of rows of the strips that scenes are made in."""
    for row in range(0, size, _STRIP):
        yield row, min(_STRIP, size - row)


def _clouds(size: int, seed: int) -> np.ndarray:
    """Give a smooth field of about 0 to 1, shape (size / 8, size / 8), with structure of all scales."""
    noise = np.random.default_rng(seed)
    side = size // 8
    field = np.zeros((side, side), np.float32)
    for cells, weight in ((6, 0.4), (24, 0.25), (96, 0.2), (384, 0.15)):
        coarse = noise.random((min(cells, side), min(cells, side)), np.float32)
        field += weight * cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return field


def optical(size: int, data_type: str, seed: int = 0) -> Strip:
    """Give what makes the strips of a picture: four bands of uint16, or three of uint8."""
    ground, green = _clouds(size, seed), _clouds(size, seed + 100)
    low, high, grain = (300.0, 2600.0, 12.0) if data_type == "uint16" else (20.0, 235.0, 4.0)
    shares = ((1.0, -0.2), (0.9, 0.1), (0.8, -0.1), (0.5, 0.9))
    bands = 4 if data_type == "uint16" else 3

    def strip(row: int, rows: int, noise: np.random.Generator) -> np.ndarray:
        part = np.s_[row // 8 : (row + rows) // 8]
        shape = (size, rows)
        base = cv2.resize(ground[part], shape, interpolation=cv2.INTER_LINEAR)
        leaves = cv2.resize(green[part], shape, interpolation=cv2.INTER_LINEAR)
        detail = cv2.GaussianBlur(noise.standard_normal((rows, size), np.float32), (3, 3), 0)
        pixels = np.empty((bands, rows, size), np.float32)
        for band, (of_ground, of_leaves) in enumerate(shares[:bands]):
            own = noise.standard_normal((rows, size), np.float32)
            value = of_ground * base + of_leaves * leaves
            pixels[band] = low + (high - low) * value + grain * (3 * detail + 0.5 * own)
        return np.clip(pixels, 1, 255 if data_type == "uint8" else 4095)

    return strip


def _terrain(size: int) -> Strip:
    hills = _clouds(size, 50)

    def strip(row: int, rows: int, noise: np.random.Generator) -> np.ndarray:
        height = cv2.resize(hills[row // 8 : (row + rows) // 8], (size, rows), interpolation=cv2.INTER_CUBIC)
        rough = cv2.GaussianBlur(noise.standard_normal((rows, size), np.float32), (5, 5), 0)
        return (200 + 300 * height + 0.3 * rough)[np.newaxis]

    return strip
