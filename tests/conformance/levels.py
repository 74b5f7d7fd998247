"""Files at the level that a picture is made of, with overviews by GDAL where banking makes its own."""

from __future__ import annotations

import math
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.shutil import copy
from rasterio.warp import transform

from mosaics.models import Frame

LARGEST = 512
"""Of an image without overviews, in the bank profile."""
FOLDER = tempfile.TemporaryDirectory(prefix="flux-levels-")


@cache
def with_overviews(path: Path, reduction: Resampling) -> Path:
    """Give a copy of a file, for which GDAL makes the overviews of the bank profile."""
    with rasterio.open(path) as source:
        factors = []
        while max(source.shape) / 2 ** len(factors) > LARGEST:
            factors.append(2 ** (len(factors) + 1))
        made = Path(FOLDER.name) / f"{len(list(Path(FOLDER.name).iterdir()))}-{path.name}"
        copy(source, made, driver="GTiff", tiled=True, blockxsize=256, blockysize=256)
    if factors:
        with rasterio.open(made, "r+") as target:
            target.build_overviews(factors, reduction)
    return made


def open_level(path: Path, frame: Frame, reduction: Resampling = Resampling.average) -> DatasetReader:
    """Open the level whose resolution is nearest to a frame's."""
    path = with_overviews(path, reduction)
    with rasterio.open(path) as source:
        overviews = source.overviews(1)
        wanted = math.log(max(1e-9, min(density(source, frame))))
        distances = [abs(math.log(factor) - wanted) for factor in (1, *overviews)]
    level = int(np.argmin(distances))
    # without overviews of its own a warper can't choose another
    return rasterio.open(path, OVERVIEW_LEVEL="NONE" if level == 0 else level - 1)


def density(source: DatasetReader, frame: Frame) -> tuple[float, float]:
    """Give how many stored columns and rows make one output pixel in the middle of a frame."""
    left, bottom, right, top = frame.bounds
    x, y = (left + right) / 2, (bottom + top) / 2
    dx, dy = (right - left) / frame.width, (top - bottom) / frame.height
    xs, ys = transform(frame.crs, source.crs, [x, x + dx, x], [y, y, y + dy])
    columns, rows = zip(*(~source.transform @ point for point in zip(xs, ys, strict=True)), strict=True)
    across = abs(columns[1] - columns[0]) + abs(columns[2] - columns[0])
    along = abs(rows[1] - rows[0]) + abs(rows[2] - rows[0])
    return across, along


def scales(source: DatasetReader, frame: Frame) -> dict[str, float]:
    """Tell GDAL's warper how much smaller pictures become.

    By itself it takes the part of the frame that the image covers for the whole, and does not smooth at all.
    """
    across, along = density(source, frame)
    return {"XSCALE": min(1.0, 1 / across), "YSCALE": min(1.0, 1 / along)}
