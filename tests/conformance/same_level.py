"""What rio-tiler makes of the very level of a file that the fast reader has read, by the same kernel."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Hashable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from PIL import Image
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_bounds
from rio_tiler.reader import read as rio_tiler_read

from mosaics.models import Frame
from mosaics.tiff.block import Block
from mosaics.tiff.blocks import BlockCache
from mosaics.tiff.layout import Level, parse_layout

PLAIN_UP_TO = 1 / 0.95
"""Samples in an output pixel up to which GDAL's warper interpolates between four and smooths nothing."""
SNAP = 0.05
"""How near to a whole number GDAL takes the width of its kernel for that."""
FOLDER = tempfile.TemporaryDirectory(prefix="flux-same-level-")
Pixels = tuple[np.ndarray, np.ndarray]
"""Values, shape (bands, height, width), and where they are valid, shape (height, width)."""


class NotingCache(BlockCache):
    """Notes which level of the image was read."""

    def __init__(self) -> None:
        super().__init__(64_000_000)
        self.levels: set[int] = set()

    def get(self, keys: Sequence[Hashable], *more: Any, **named: Any) -> list[Block]:
        for key in keys:
            assert isinstance(key, tuple)
            if key[1] == "i":
                self.levels.add(key[2])
        return super().get(keys, *more, **named)


def reference(
    path: Path,
    number: int,
    factor: int,
    indexes: Sequence[int],
    *,
    frame: Frame,
    resampling: str,
    spread: tuple[float, float],
) -> Pixels:
    """Let rio-tiler resample a level onto a frame: positions exact, the kernel as wide as an output pixel.

    Args:
        path: Of the file.
        number: Of the level, 0 is the finest.
        factor: Side of the squares that are averaged first, where the file has no overview near; 1: none.
        indexes: Of the bands, from 1.
        frame: The output pixels.
        resampling: nearest or bilinear.
        spread: Columns and rows, of the level or of squares of it, in an output pixel. By itself GDAL takes
            the part of the frame that the image covers for the whole, and another width where that is turned.
    """
    level = levels(path)[number]
    if factor > 1 or _halves_colours(level):
        path, name = _rewritten(path, number, factor, tuple(indexes)), "NONE"
        indexes = range(1, len(indexes) + 1)
    else:
        name = overview_name(path, number)
    with rasterio.open(path, OVERVIEW_LEVEL=name) as source:
        image = rio_tiler_read(
            source,
            indexes=list(indexes),
            vrt_options={
                "crs": CRS.from_user_input(frame.crs),
                "transform": from_bounds(*frame.bounds, frame.width, frame.height),
                "width": frame.width,
                "height": frame.height,
                "tolerance": 0.001,
                **kernel(spread),
            },
            resampling_method=resampling,
            reproject_method=resampling,
        )
    data = np.asarray(image.array.data)
    valid = np.any(~np.ma.getmaskarray(image.array), axis=0)
    if image.alpha_mask is not None:
        alpha = np.asarray(image.alpha_mask)
        valid = alpha >= (np.iinfo(alpha.dtype).max if alpha.dtype.kind in "ui" else 1) / 2
    if data.dtype.kind == "f":
        valid &= np.isfinite(data).all(axis=0)
    return data, valid


def kernel(spread: tuple[float, float]) -> dict[str, float]:
    """Give the scales of GDAL's kernel, as its warper chooses them for a frame that is covered wholly."""
    if max(spread) <= PLAIN_UP_TO:
        return {"XSCALE": 1.0, "YSCALE": 1.0}
    widths = [round(width) if abs(width - round(width)) < SNAP else width for width in spread]
    return dict(zip(("XSCALE", "YSCALE"), (min(1.0, 1 / max(1, width)) for width in widths), strict=True))


@lru_cache(maxsize=4)
def levels(path: Path) -> tuple[Level, ...]:
    """Give the levels of a file, finest first."""
    data = path.read_bytes()
    return parse_layout(lambda offset, length: data[offset : offset + length]).levels


def overview_name(path: Path, number: int) -> Any:
    """Give GDAL's name of a level: an overview by its place in the file, which may be out of order."""
    if number == 0:
        return "NONE"
    level = levels(path)[number]
    with rasterio.open(path) as source:
        count = len(source.overviews(1))
    for place in range(count):
        with rasterio.open(path, OVERVIEW_LEVEL=place) as source:
            if source.shape == (level.height, level.width):
                return place
    raise AssertionError(f"GDAL has no level of {level.width} x {level.height} pixels")


def _halves_colours(level: Level) -> bool:
    """Tell whether its blocks are JPEG in YCbCr.

    Where colours are stored at half the resolution decoders differ in how they enlarge them: libjpeg-turbo
    (of browsers, Pillow, OpenCV and the fast reader) in one way, the library in rasterio's GDAL in another.
    """
    return level.compression == 7 and level.photometric == 6


@lru_cache(maxsize=8)
def _rewritten(path: Path, number: int, factor: int, indexes: tuple[int, ...]) -> Path:
    """Write a level, or the averages of squares of it, as a file of its own for GDAL."""
    level = levels(path)[number]
    with rasterio.open(path) as full:
        crs, whole = full.crs, full.shape
        transform = full.transform @ Affine.scale(whole[1] / level.width, whole[0] / level.height)
    with rasterio.open(path, OVERVIEW_LEVEL=overview_name(path, number)) as source:
        values = source.read(list(indexes))
        valid = source.dataset_mask() >= 128  # alpha counts from half on
    if _halves_colours(level):
        values = by_pillow(path, level)[[index - 1 for index in indexes]]
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    values = np.where(valid, values, 0)
    if factor > 1:
        values, valid = _averaged(values, valid, factor)
    made = Path(FOLDER.name) / f"{abs(hash((path, number, factor, indexes)))}.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
        made, "w", driver="GTiff", width=valid.shape[1], height=valid.shape[0], count=len(values),
        dtype=values.dtype, crs=crs, transform=transform @ Affine.scale(factor), photometric="MINISBLACK",
        alpha="NO",
    ) as target:  # fmt: skip
        target.write(values)
        if not valid.all():
            target.write_mask(np.where(valid, 255, 0).astype("u1"))
    return made


def _averaged(values: np.ndarray, valid: np.ndarray, factor: int) -> Pixels:
    """Give what an overview would hold that joins squares of pixels, the last ones being smaller."""
    height, width = valid.shape
    rows, columns = -(-height // factor), -(-width // factor)
    known, held = (
        np.zeros((rows * factor, columns * factor)),
        np.zeros((len(values), rows * factor, columns * factor)),
    )
    known[:height, :width] = valid
    held[:, :height, :width] = values
    counts = known.reshape(rows, factor, columns, factor).sum((1, 3))
    means = held.reshape(-1, rows, factor, columns, factor).sum((2, 4)) / np.maximum(counts, 1)
    return (np.rint(means) if values.dtype.kind in "ui" else means).astype(values.dtype), counts > 0


def by_pillow(path: Path, level: Level) -> np.ndarray:
    """Decode the JPEG blocks of a level with Pillow, shape (3, rows, columns)."""
    data = path.read_bytes()
    out = np.zeros((level.height, level.width, 3), "u1")
    for row, column in np.ndindex(*level.offsets.shape[1:]):
        offset, length = int(level.offsets[0, row, column]), int(level.lengths[0, row, column])
        if length:
            block = data[offset : offset + length]
            if level.jpeg_tables:
                block = level.jpeg_tables[:-2] + block[2:]
            top, left = row * level.block_height, column * level.block_width
            part = out[top : top + level.block_height, left : left + level.block_width]
            colours = np.asarray(Image.open(io.BytesIO(block)).convert("RGB"))
            part[...] = colours[: part.shape[0], : part.shape[1]]
    return np.moveaxis(out, -1, 0)


def shift(one: np.ndarray, other: np.ndarray, both: np.ndarray) -> float | None:
    """Measure by how many pixels a grey picture lies beside another one, by least squares on their gradients.

    Args:
        one: Shape (height, width).
        other: The same.
        both: Where both are valid.

    Returns:
        None where there are too few pixels, or they tell nothing: flat, or alike along a line.
    """
    first, second = (cv2.GaussianBlur(np.where(both, each, 0.0), (0, 0), 1.5) for each in (one, other))
    along_y, along_x = np.gradient((first + second) / 2)
    inner = cv2.erode(np.pad(both, 1).astype("u1"), np.ones((13, 13)))[1:-1, 1:-1] > 0
    if inner.sum() < 400:
        return None
    slopes = np.stack([along_x[inner], along_y[inner]], axis=1)
    power = slopes.T @ slopes
    weakest, strongest = np.linalg.eigvalsh(power)
    if weakest < 0.02 * strongest or weakest / inner.sum() < 0.05:
        return None
    return float(np.hypot(*np.linalg.solve(power, slopes.T @ (second - first)[inner])))


def shown_indexes(path: Path) -> tuple[list[int], bool]:
    """Give the first three bands that are no alpha, and whether they are classes."""
    with rasterio.open(path) as source:
        words = source.colorinterp
    kept = [index for index, word in enumerate(words, 1) if word is not ColorInterp.alpha]
    return kept[:3], words[0] is ColorInterp.palette
