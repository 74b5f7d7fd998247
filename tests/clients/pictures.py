"""What a client should have shown: the source file itself, warped by GDAL onto the same pixels."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds


class Window(NamedTuple):
    """A rectangle of a grid's pixels."""

    crs: str
    transform: Affine
    width: int
    height: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top in the CRS."""
        left, top = self.transform @ (0, 0)
        right, bottom = self.transform @ (self.width, self.height)
        return left, bottom, right, top


class Rule(NamedTuple):
    """Where the pixels of a grid are: its CRS, upper left corner and the cell of level 0."""

    crs: str
    left: float
    top: float
    cell: float


# OGC 17-083r4, Annex D, and rok4/tilematrixsets 2154_50cm.json: not read from our own files
GRIDS = {
    "WebMercatorQuad": Rule("EPSG:3857", -20037508.342789244, 20037508.342789244, 156543.03392804097),
    "WebMercatorQuad_512": Rule("EPSG:3857", -20037508.342789244, 20037508.342789244, 156543.03392804097 / 2),
    "2154_50cm": Rule("EPSG:2154", 0, 12_000_000, 131072),
    "2154_50cm_512": Rule("EPSG:2154", 0, 12_000_000, 131072 / 2),
    "WorldCRS84Quad": Rule("OGC:CRS84", -180, 90, 0.703125),
}


def window_inside(path: Path, grid: str, level: int, size: tuple[int, int]) -> Window:
    """Give `size` (columns, rows) pixels of a grid's level around the middle of a file."""
    rule = GRIDS[grid]
    with rasterio.open(path) as source:
        left, bottom, right, top = transform_bounds(source.crs, rule.crs, *source.bounds)
    cell = rule.cell / 2**level
    column = round(((left + right) / 2 - rule.left) / cell) - size[0] // 2
    row = round((rule.top - (bottom + top) / 2) / cell) - size[1] // 2
    transform = Affine(cell, 0, rule.left + column * cell, 0, -cell, rule.top - row * cell)
    return Window(rule.crs, transform, *size)


def warped(path: Path, window: Window, bands: tuple[int, ...] = (1, 2, 3)) -> np.ndarray:
    """Resample bands of a file bilinearly onto a window: float64, (bands, height, width), NaN outside."""
    with (
        rasterio.open(path) as source,
        WarpedVRT(
            source,
            crs=window.crs,
            transform=window.transform,
            width=window.width,
            height=window.height,
            resampling=Resampling.bilinear,
            add_alpha=True,
        ) as picture,
    ):
        values = picture.read(bands).astype("float64")
        values[:, picture.dataset_mask() == 0] = np.nan
    return values


def natural(path: Path, values: np.ndarray) -> np.ndarray:
    """Show values as the style `natural` does: the file's 2nd to 98th percentile, then gamma 1.3."""
    with rasterio.open(path) as source:
        stored = source.read((1, 2, 3), masked=True)
    shown = np.empty_like(values)
    for band, raw, target in zip(stored, values, shown, strict=True):
        low, high = np.percentile(band.compressed(), (2, 98))
        target[...] = np.clip((raw - low) / (high - low), 0, 1) ** (1 / 1.3) * 255
    return shown


def shift_between(picture: np.ndarray, expected: np.ndarray) -> float:
    """Give how far apart two pictures (3, height, width) lie, in pixels, by phase correlation."""
    first, second = (
        np.nan_to_num(np.asarray(image, dtype="float64")).mean(axis=0) for image in (picture, expected)
    )
    hann = cv2.createHanningWindow(first.shape[::-1], cv2.CV_64F)
    (dx, dy), response = cv2.phaseCorrelate(first, second, hann)
    assert response > 0.3, "the pictures have nothing in common"
    return float(np.hypot(dx, dy))


def assert_same(picture: np.ndarray, expected: np.ndarray, *, levels: float, pixels: float = 0.1) -> None:
    """Compare an RGB or RGBA picture with what is expected.

    Args:
        picture: uint8, shape (3 or 4, height, width).
        expected: Shape (3, height, width), NaN where there is nothing.
        levels: How many grey levels they may differ on average.
        pixels: How far apart they may lie.
    """
    valid = np.isfinite(expected).all(axis=0)
    assert valid.any()
    if len(picture) == 4:
        assert np.mean((picture[3] > 0) == valid) > 0.99
        valid &= picture[3] > 0
    difference = np.abs(picture[:3].astype("float64") - expected)[:, valid]
    assert difference.mean() < levels, f"{difference.mean():.2f} grey levels apart"
    assert shift_between(picture[:3], expected) < pixels


def decoded(data: bytes) -> np.ndarray:
    """Decode a PNG, JPEG or WebP: uint8, (3 or 4, height, width), red first."""
    image = cv2.imdecode(np.frombuffer(data, "uint8"), cv2.IMREAD_UNCHANGED)
    assert image is not None, data[:200]
    order = cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.moveaxis(cv2.cvtColor(image, order), -1, 0)
