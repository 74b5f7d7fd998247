"""What the map shows against what the file holds, in colour and in place."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from PIL import Image
from playwright.sync_api import Page
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform

MARGINS = (60, 70, 60, 110)
"""CSS pixels at the top, right, bottom and left of the map where controls and labels lie."""


@dataclass(frozen=True)
class View:
    """What the map shows, as the page says it, and the picture of it."""

    projection: str
    left: float
    top: float
    resolution: float
    pixels: np.ndarray
    """RGB of the whole map, (height, width, 3), float."""
    x: float
    y: float
    """Upper left of the map on the page, CSS pixels."""

    @classmethod
    def of(cls, page: Page) -> View:
        said = page.evaluate("({...document.getElementById('map').dataset})")
        left, _, _, top = (float(part) for part in said["extent"].split(","))
        box = page.locator("#map").bounding_box()
        assert box is not None
        png = page.screenshot(clip=box)
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float)
        return cls(said["projection"], left, top, float(said["resolution"]), pixels, box["x"], box["y"])

    def truth(self, source: Path) -> tuple[np.ndarray, np.ndarray]:
        """What rasterio gives for the same pixels: (height, width, bands) and where it is valid."""
        height, width = self.pixels.shape[:2]
        with (
            rasterio.open(source) as dataset,
            WarpedVRT(
                dataset,
                crs=self.projection,
                transform=from_origin(self.left, self.top, self.resolution, self.resolution),
                width=width,
                height=height,
                resampling=Resampling.bilinear,
                add_alpha=True,
            ) as warped,
        ):
            data = warped.read()
        return np.moveaxis(data[:-1], 0, -1).astype(float), data[-1] > 0

    def inside(self, valid: np.ndarray) -> tuple[slice, slice]:
        """The largest clear rectangle that the scene surely fills."""
        top, right, bottom, left = MARGINS
        clear = np.zeros_like(valid)
        clear[top:-bottom, left:-right] = True
        rows, columns = np.nonzero(valid & clear)
        area = (slice(rows.min() + 4, rows.max() - 3), slice(columns.min() + 4, columns.max() - 3))
        keep = [12, 12, 12, 12] if self.projection != "EPSG:3857" else [30, 30, 30, 30]
        inner = (
            slice(area[0].start + keep[0], area[0].stop - keep[2]),
            slice(area[1].start + keep[3], area[1].stop - keep[1]),
        )
        assert valid[inner].all()
        assert min(inner[0].stop - inner[0].start, inner[1].stop - inner[1].start) > 200
        return inner

    def screen(self, x: float, y: float, crs: str = "EPSG:2154") -> tuple[float, float]:
        """Where a place is on the page."""
        (px,), (py,) = transform(crs, self.projection, [x], [y])
        return self.x + (px - self.left) / self.resolution, self.y + (self.top - py) / self.resolution


def shift(one: np.ndarray, other: np.ndarray) -> float:
    """How far two pictures lie apart, pixels."""
    grey = [np.ascontiguousarray(picture.mean(axis=-1), np.float64) for picture in (one, other)]
    window = cv2.createHanningWindow(grey[0].shape[::-1], cv2.CV_64F)
    (dx, dy), _ = cv2.phaseCorrelate(*(picture - picture.mean() for picture in grey), window)
    return float(np.hypot(dx, dy))


def assert_shows(page: Page, source: Path) -> None:
    """The picture on the screen is the file's: in colour and in place."""
    view = View.of(page)
    truth, valid = view.truth(source)
    inner = view.inside(valid)
    assert np.abs(view.pixels[inner] - truth[inner]).mean() < 3
    assert shift(view.pixels[inner], truth[inner]) < 0.5
    moved = np.roll(truth, 2, axis=1)[inner]
    assert shift(view.pixels[inner], moved) > 1.5, "the measure sees two pixels"
