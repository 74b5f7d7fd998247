"""Makes the demo's scenes: `python scripts/make_samples.py FOLDER`.

They are synthetic: a program invents a town and pictures it as four kinds of sensor would. Each file says so
in its tags. The same program always makes the same scenes. They are plain GeoTIFFs, so that banking converts
them.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import Affine, from_origin
from rasterio.warp import calculate_default_transform, reproject
from synthetic_layout import build
from synthetic_town import CELL, SIZE, Place

ORIGIN = (592_000.0, 6_269_500.0)
"""Upper left corner in EPSG:2154, metres: somewhere south-east of Toulouse."""
LAMBERT, UTM = "EPSG:2154", "EPSG:32631"
DESCRIPTION = "Synthetic scene made by a program; it shows no real place. Image de synthèse, aucun lieu réel."
COPYRIGHT = "Image de synthèse / synthetic image, dinamis-flux"
COUNTS = 1100.0
"""Digital numbers of the optical scenes for a reflectance of 1."""
SKY = np.array([0.22, 0.25, 0.30, 0.12], np.float32)
"""Share of the sky in the light of red, green, blue and near infrared."""
HAZE = np.array([0.010, 0.017, 0.030, 0.003], np.float32)
"""Reflectance that the air adds."""
OLDER = np.s_[900:2600, 0:2050]
"""Rows and columns that the earlier date shows."""


@dataclass(frozen=True, kw_only=True)
class Sun:
    """Where light comes from, degrees: azimuth clockwise from north, elevation above the horizon."""

    azimuth: float
    elevation: float

    @property
    def towards(self) -> tuple[float, float, float]:
        """Unit vector to the light: east, north, up."""
        azimuth, elevation = math.radians(self.azimuth), math.radians(self.elevation)
        flat = math.cos(elevation)
        return math.sin(azimuth) * flat, math.cos(azimuth) * flat, math.sin(elevation)


def slopes(surface: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Give the slope to the east and to the north, metres a metre."""
    east = cv2.Sobel(surface, cv2.CV_32F, 1, 0, ksize=3, scale=1 / (8 * cell))
    south = cv2.Sobel(surface, cv2.CV_32F, 0, 1, ksize=3, scale=1 / (8 * cell))
    return east, -south


def shadows(surface: np.ndarray, cell: float, sun: Sun, tallest: float = 42.0) -> np.ndarray:
    """Give the share of shadow, 0..1, float32, of what stands up to `tallest` metres above what it shades."""
    east, north, up = sun.towards
    flat = math.hypot(east, north)
    rise = cell * up / flat
    horizon = np.full_like(surface, -np.inf)
    for step in range(1, int(tallest / rise)):
        column, row = round(east / flat * step), -round(north / flat * step)
        shifted = cv2.warpAffine(
            surface,
            np.float32([[1, 0, -column], [0, 1, -row]]),
            surface.shape[::-1],
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_REPLICATE,
        )
        np.maximum(horizon, shifted - np.float32(rise * step), out=horizon)
    return cv2.GaussianBlur((horizon > surface + 0.4).astype(np.float32), None, 0.7)


def optical(place: Place, sun: Sun, theme: str) -> np.ndarray:
    """Picture the place in red, green, blue and near infrared: (4, SIZE, SIZE), uint16, never 0."""
    random = place.random(theme)
    colour = place.colour * (1 + texture(place, random))[..., None]
    east, north = slopes(cv2.GaussianBlur(place.surface, None, 0.8), CELL)
    to_east, to_north, to_up = sun.towards
    facing = (to_up - east * to_east - north * to_north) / np.sqrt(1 + east**2 + north**2)
    direct = np.clip(facing / to_up, 0.1, 1.45) * (1 - shadows(place.surface, CELL, sun))
    light = SKY + (1 - SKY) * direct[..., None]
    seen = cv2.GaussianBlur(colour * light, None, 0.55) + HAZE
    seen *= 1 + 0.008 * random.standard_normal(seen.shape, np.float32)
    return np.clip(np.rint(seen * COUNTS), 1, 65535).astype(np.uint16).transpose(2, 0, 1)


def texture(place: Place, random: np.random.Generator) -> np.ndarray:
    """Give the grain of the ground, of deviation 0.05 or so, less on water and roads."""
    grain = cv2.GaussianBlur(random.standard_normal((SIZE, SIZE), np.float32), None, 1.1) * 3
    patches = place.noise("patches", 25)
    strength = np.where(place.water == 1, 0.015, np.where(place.taken == 1, 0.03, 0.055)).astype(np.float32)
    return strength * (0.6 * grain + 0.6 * patches)


def swath(shape: tuple[int, int]) -> np.ndarray:
    """Tell which pixels the slanted path of the satellite saw: (rows, columns), bool."""
    row, column = np.ogrid[: shape[0], : shape[1]]
    return (column > 0.085 * (shape[0] - row)) & (column < shape[1] - 0.085 * row)


def elevation(place: Place) -> np.ndarray:
    """Give the surface model at 1 m: (1, SIZE / 2, SIZE / 2), float32 metres, NaN where matching failed."""
    random = place.random("dsm")
    model = halved(place.surface)
    model = cv2.GaussianBlur(model, None, 0.6) + 0.06 * random.standard_normal(model.shape, np.float32)
    doubt = halved(place.noise("doubt", 36))
    model[(halved(place.water.astype(np.float32)) > 0.5) & (doubt > 0.35)] = np.nan
    model[doubt > 2.9] = np.nan
    return np.round(model, 2)[None]


def halved(values: np.ndarray) -> np.ndarray:
    """Average 2 x 2 cells."""
    return cv2.resize(values, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def radar(place: Place) -> tuple[np.ndarray, Affine]:
    """Give the amplitude that a radar looking east would see: (1, rows, columns) uint16 at 1 m in UTM."""
    return speckled(place, backscatter(place))


def backscatter(place: Place) -> np.ndarray:
    """Give the power that comes back to a radar looking east: (SIZE / 2, SIZE / 2), float32 at 1 m."""
    look = Sun(azimuth=280, elevation=52)
    surface = halved(place.surface)
    east, north = slopes(surface, 1.0)
    to_east, to_north, to_up = look.towards
    facing = (to_up - east * to_east - north * to_north) / np.sqrt(1 + east**2 + north**2)
    rough = np.clip(halved(np.ascontiguousarray(place.colour[..., 3])), 0.02, 0.5)
    power = 0.10 * np.clip(facing, 0.05, 1) ** 3 * (0.3 + 2 * rough)
    power *= np.where(halved(place.built.astype(np.float32)) > 0.5, 1.6, 1.0)
    wall = np.clip(east - 1.2, 0, 5)  # walls and the ground before them answer together
    power += 0.55 * cv2.GaussianBlur(wall, None, 0.8)
    power *= 1 - 0.93 * shadows(surface, 1.0, look)
    power[halved(place.water.astype(np.float32)) > 0.5] = 0.0035
    return power.astype(np.float32)


def speckled(place: Place, power: np.ndarray) -> tuple[np.ndarray, Affine]:
    """Warp power at 1 m to UTM and give its amplitude with the speckle of three looks."""
    bounds = (ORIGIN[0], ORIGIN[1] - SIZE * CELL, ORIGIN[0] + SIZE * CELL, ORIGIN[1])
    rows, columns = power.shape
    transform, width, height = calculate_default_transform(
        LAMBERT, UTM, columns, rows, *bounds, resolution=1.0
    )
    warped = np.zeros((height, width), np.float32)
    reproject(
        power,
        warped,
        src_transform=from_origin(*ORIGIN, 1, 1),
        src_crs=LAMBERT,
        dst_transform=transform,
        dst_crs=UTM,
        resampling=Resampling.bilinear,
    )
    looks = place.random("speckle").standard_gamma(3, warped.shape) / 3
    amplitude = np.rint(np.sqrt(warped * looks) * 900)
    return np.where(warped > 0, np.clip(amplitude, 1, 65535), 0).astype(np.uint16)[None], transform


def night(place: Place) -> np.ndarray:
    """Give the lights at night at 1 m: (1, SIZE / 2, SIZE / 2), float32 radiance."""
    random = place.random("night")
    points = np.zeros((SIZE // 2, SIZE // 2), np.float32)
    homes = np.argwhere(place.built == 1)
    lit = random.choice(len(homes), 700, replace=False)
    lamps = [*place.lamps, *((c, r, random.uniform(0.05, 0.3)) for r, c in homes[lit])]
    for column, row, strength in lamps:
        if 0 <= column < SIZE and 0 <= row < SIZE:
            points[int(row / 2), int(column / 2)] += strength * random.uniform(0.7, 1.3)
    glow = 60 * cv2.GaussianBlur(points, None, 1.6) + 260 * cv2.GaussianBlur(points, None, 8)
    glow += 500 * cv2.GaussianBlur(points, None, 45)
    lightness = halved(np.ascontiguousarray(place.colour[..., :3].mean(axis=2)))
    seen = glow * (0.35 + 3 * lightness) + 0.25 * (0.5 + lightness)
    seen *= 1 + 0.02 * random.standard_normal(seen.shape, np.float32)
    return (np.round(seen * 16) / 16)[None].astype(np.float32)


def write(
    path: Path,
    values: np.ndarray,
    transform: Affine,
    *,
    crs: str = LAMBERT,
    nodata: float | None = None,
    acquired: str,
) -> None:
    """Write (bands, rows, columns) as a plain tiled GeoTIFF, whole or not at all."""
    count, height, width = values.shape
    part = path.with_suffix(".part")
    predictor = 3 if values.dtype.kind == "f" else 2
    with rasterio.open(
        part,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=count,
        dtype=values.dtype,
        crs=crs,
        transform=transform,
        nodata=nodata,
        tiled=True,
        blockxsize=512,
        blockysize=512,
        compress="deflate",
        predictor=predictor,
    ) as target:
        target.write(values)
        if count == 4:
            target.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.nir)
            for number, name in enumerate(("red", "green", "blue", "nir"), start=1):
                target.set_band_description(number, name)
        target.update_tags(
            TIFFTAG_IMAGEDESCRIPTION=DESCRIPTION, TIFFTAG_COPYRIGHT=COPYRIGHT, TIFFTAG_DATETIME=acquired
        )
    part.replace(path)


def make(folder: Path) -> None:
    """Make all scenes in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = from_origin(*ORIGIN, CELL, CELL)
    metre = from_origin(*ORIGIN, 2 * CELL, 2 * CELL)

    place = build("spring", before=False)
    seen = optical(place, Sun(azimuth=151, elevation=58), "spring light")
    seen[:, ~swath(seen.shape[1:])] = 0
    name = "SYNTHETIC_PHR1A_PMS_202605121105000_ORT.tif"
    write(folder / name, seen, whole, nodata=0, acquired="2026:05:12 11:05:00")
    dsm = elevation(place)
    write(folder / "SYNTHETIC_DSM_20260512_1m.tif", dsm, metre, nodata=np.nan, acquired="2026:05:12 11:05:00")
    amplitude, transform = radar(place)
    name = "SYNTHETIC_SAR_HH_20260518T054500_1m.tif"
    write(folder / name, amplitude, transform, crs=UTM, nodata=0, acquired="2026:05:18 05:45:00")
    lights = night(place)
    write(folder / "SYNTHETIC_NIGHT_20260520T2210_1m.tif", lights, metre, acquired="2026:05:20 22:10:00")
    del place, seen

    earlier = build("summer", before=True)
    seen = optical(earlier, Sun(azimuth=143, elevation=51), "summer light")[:, *OLDER].copy()
    seen[:, ~swath(seen.shape[1:])[:, ::-1]] = 0
    corner = whole @ Affine.translation(OLDER[1].start, OLDER[0].start)
    name = "SYNTHETIC_PHR1B_PMS_202508241058000_ORT.tif"
    write(folder / name, seen, corner, nodata=0, acquired="2025:08:24 10:58:00")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/make_samples.py FOLDER")
    make(Path(sys.argv[1]))
