"""What instruments of each kind measure of the invented town: arrays of one crop of it, at 2.5 m."""

from __future__ import annotations

from functools import cache

import cv2
import make_samples
import numpy as np
from make_samples import ORIGIN, SKY, Sun
from rasterio.transform import Affine, from_origin
from synthetic_layout import build
from synthetic_town import CELL

STEP = 5
"""Cells of the town along a side of a pixel."""
CROP = np.s_[420:1640, 100:2500]
"""Cells that are shown: the centre, the works, the sports ground and the river."""
HAZE = {"coastal": 0.045, "blue": 0.030, "green05": 0.020, "green": 0.017, "yellow": 0.012, "red": 0.010}
"""Reflectance that the air adds; 0.003 to all others."""
RED, GREEN, BLUE, NIR = range(4)


class Ground:
    """The crop of the town as fields of (rows, columns), float32."""

    def __init__(self) -> None:
        """Build the town."""
        self.place = build("spring", before=False)
        place = self.place
        self.colour = np.stack([averaged(place.colour[..., band]) for band in range(4)])
        self.water, self.built = averaged(place.water), averaged(place.built)
        self.surface, self.terrain = averaged(place.surface), averaged(place.ground)
        self.green = np.clip((self.ndvi - 0.1) / 0.6, 0, 1)
        self.light = self._light()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.water.shape

    @property
    def transform(self) -> Affine:
        """From pixels to EPSG:2154."""
        rows, columns = CROP
        left, top = ORIGIN[0] + columns.start * CELL, ORIGIN[1] - rows.start * CELL
        return from_origin(left, top, STEP * CELL, STEP * CELL)

    @property
    def ndvi(self) -> np.ndarray:
        """Vegetation index of the ground itself."""
        return (self.colour[NIR] - self.colour[RED]) / (self.colour[NIR] + self.colour[RED])

    def _light(self) -> np.ndarray:
        """Give the share of the light that falls on flat ground without shadow."""
        sun = Sun(azimuth=151, elevation=58)
        surface = cv2.GaussianBlur(self.place.surface, None, 0.8)
        east, north = make_samples.slopes(surface, CELL)
        to_east, to_north, to_up = sun.towards
        facing = (to_up - east * to_east - north * to_north) / np.sqrt(1 + east**2 + north**2)
        shade = make_samples.shadows(self.place.surface, CELL, sun)
        return averaged((np.clip(facing / to_up, 0.1, 1.45) * (1 - shade)).astype(np.float32))

    def noise(self, theme: str, period: int) -> np.ndarray:
        """Give smooth noise of deviation 1 or so, features of `period` cells."""
        return averaged(self.place.noise(theme, period))

    def grain(self, theme: str) -> np.ndarray:
        """Give noise of deviation 1, each pixel by itself."""
        return self.place.random(theme).standard_normal(self.shape, np.float32)

    @cache  # noqa: B019 - there is one ground, as long as the program runs
    def reflectance(self, common_name: str) -> np.ndarray:
        """Picture it in a band of sunlight, by its STAC common name."""
        sky = float(SKY[NIR]) if common_name in {"nir", "nir08", "nir09", "swir16", "swir22"} else 0.25
        seen = self._material(common_name) * (sky + (1 - sky) * self.light) + HAZE.get(common_name, 0.003)
        return np.clip(seen * (1 + 0.006 * self.grain(common_name)), 0.001, 1.2)

    def _material(self, common_name: str) -> np.ndarray:
        """Make a band of the four that materials are invented in: plants rise to the near infrared."""
        red, green, blue, nir = self.colour
        dry = 1 - self.water
        bands = {
            "coastal": 0.9 * blue,
            "blue": blue,
            "green05": (blue + green) / 2,
            "green": green,
            "yellow": (green + red) / 2,
            "red": red,
            "rededge": red + 0.3 * (nir - red),
            "rededge071": red + 0.3 * (nir - red),
            "rededge075": red + 0.75 * (nir - red),
            "rededge078": red + 0.93 * (nir - red),
            "nir": nir,
            "nir08": 1.02 * nir,
            "nir09": 0.95 * nir,
            "swir16": dry * nir * (1.25 - 0.75 * self.green) + 0.004,
            "swir22": dry * nir * (1.1 - 0.85 * self.green) + 0.003,
            "cirrus": 0.004 + 0.002 * np.clip(self.noise("cirrus", 420), 0, 3),
            "pan": (red + green + blue + nir / 2) / 3.5,
        }
        return bands[common_name]

    def under_water(self, common_name: str) -> np.ndarray:
        """Picture it as if a clear sea had come over it, 1 to 9 m deep; long waves go the least deep."""
        depth = np.clip(9 - 0.28 * (self.terrain - self.terrain.min()), 1, 9)
        reach = {"coastal": 0.045, "blue": 0.06, "green": 0.09}.get(common_name, 0.5)
        deep = {"coastal": 0.03, "blue": 0.028, "green": 0.015}.get(common_name, 0.004)
        bottom = 0.55 * self.reflectance(common_name)
        return deep + (bottom - deep) * np.exp(-2 * reach * depth) + HAZE.get(common_name, 0.003)

    @cache  # noqa: B019 - as above
    def backscatter(self, polarisation: str) -> np.ndarray:
        """Give linear power with the speckle of 32 looks; of `cross` what was turned on its way."""
        power = self._power()
        if polarisation == "cross":
            power = power * (0.09 + 0.22 * self.green) + 0.0006
        looks = self.place.random(f"speckle {polarisation}").standard_gamma(32, self.shape) / 32
        return (power * looks).astype(np.float32)

    @cache  # noqa: B019 - as above
    def _power(self) -> np.ndarray:
        return averaged(cv2.resize(make_samples.backscatter(self.place), None, fx=2, fy=2))

    @cache  # noqa: B019 - as above
    def lights(self) -> np.ndarray:
        """Give the radiance of the night."""
        return averaged(cv2.resize(make_samples.night(self.place)[0], None, fx=2, fy=2))

    def deformation(self) -> np.ndarray:
        """Give a bowl that sinks below the works and a hill that rises beyond the river, mm a year."""
        rows, columns = np.mgrid[: self.shape[0], : self.shape[1]].astype(np.float32)

        def bump(row: float, column: float, reach: float) -> np.ndarray:
            return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * reach**2))

        moved = -8.5 * bump(130, 110, 55) + 6 * bump(210, 390, 60) + 0.5 * self.noise("drift", 300)
        return (moved + 0.35 * self.grain("velocity")).astype(np.float32)

    def coherence(self) -> np.ndarray:
        """Tell how alike two radar images are: roofs remain, leaves move, water is never the same."""
        found = 0.78 + 0.15 * self.built - 0.4 * self.green + 0.05 * self.noise("coherence", 60)
        found = np.where(self.water > 0.5, 0.1, found) + 0.04 * self.grain("coherence")
        return np.clip(found, 0.02, 0.99).astype(np.float32)

    def phase(self) -> np.ndarray:
        """Give the wrapped phase of the deformation of five years at 5.6 cm, over a ramp; radians."""
        ramp = np.linspace(0, 9, self.shape[1], dtype=np.float32)
        turned = 4 * np.pi / 56 * 5 * self.deformation() * 0.7 + ramp
        turned = cv2.GaussianBlur(turned, None, 1.5) + 0.5 * (1 - self.coherence()) * self.grain("phase")
        return np.angle(np.exp(1j * turned)).astype(np.float32)

    def change(self) -> tuple[np.ndarray, np.ndarray]:
        """Give how heights changed and how wrong that may be, metres: a quarry, a heap, new buildings."""
        moved = 5.5 * self.noise("earthworks", 340) * np.exp(-((self.noise("site", 500) - 0.6) ** 2))
        error = 0.5 + 1.4 * self.green + 0.4 * np.abs(self.noise("error", 80))
        moved = moved + 5 * (self.built > 0.6) * (self.noise("new", 240) > 0.9) + 0.3 * self.grain("change")
        return moved.astype(np.float32), error.astype(np.float32)

    def snow(self) -> tuple[np.ndarray, np.ndarray]:
        """Give the height of snow and how wrong it may be, metres; noise makes some of it negative."""
        height = 1.6 + 1.1 * self.noise("drifts", 200) + 0.5 * self.noise("gusts", 45)
        height = np.where(self.water + self.built > 0.5, 0.15, np.maximum(height, 0.05))
        height = height + 0.15 * self.grain("snow")
        error = 0.5 + 0.35 * np.abs(self.noise("snow error", 90)) + 0.4 * self.green
        return height.astype(np.float32), error.astype(np.float32)

    def classes(self) -> np.ndarray:
        """Tell land cover: 1 water, 2 roofs, 3 bare or paved, 4 grass and crops, 5 trees; uint8."""
        found = np.where(self.ndvi > 0.33, 4, 3)
        found[(self.ndvi > 0.3) & (self.surface - self.terrain > 2)] = 5
        found[self.built > 0.5] = 2
        found[self.water > 0.5] = 1
        return found.astype(np.uint8)

    def seen(self) -> np.ndarray:
        """Tell which pixels the slanted path of a satellite saw, bool."""
        row, column = np.ogrid[: self.shape[0], : self.shape[1]]
        return (column > 0.06 * (self.shape[0] - row)) & (column < self.shape[1] - 0.06 * row)


def averaged(cells: np.ndarray) -> np.ndarray:
    """Average the cells of the crop to pixels, float32."""
    part = np.ascontiguousarray(cells[CROP]).astype(np.float32)
    return cv2.resize(part, None, fx=1 / STEP, fy=1 / STEP, interpolation=cv2.INTER_AREA)
