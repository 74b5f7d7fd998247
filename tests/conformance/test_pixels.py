"""The fast reader against rio-tiler on every real file, at all zooms and in three grids.

Both read the same level with the same kernel, so that nothing may differ but rounding. A grey level is one of
the 255 that the picture has: of bytes their own, of other numbers those between the file's 2nd and 98th
percentile. Positions are compared by registration too: a picture may lie a tenth of a pixel beside, no more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from pyproj.exceptions import ProjError

from mosaics.errors import MosaicsError
from mosaics.fast import FastReader
from mosaics.gdal import unplaced_files_expected
from mosaics.geodesy import lonlat_transformer, scene_ground_resolution
from mosaics.grids import Grid, Matrix, find_grid, load_grids
from mosaics.models import Band, Bounds, Frame, Raster, Scene, Text
from mosaics.warp import inverted, mesh
from tests.conformance.levels import density
from tests.conformance.same_level import NotingCache, Pixels, levels, reference, shift, shown_indexes
from tests.conftest import IMAGERY, SCALE
from tests.mosaics.scenes import scene

pytestmark = pytest.mark.imagery

TILES = max(1, round(400 * SCALE * SCALE))
"""Most tiles of a file at a zoom: at full scale all there are, but of a few large files."""
LEAST = 32
"""Pixels along the longer side of a file below which no coarser zoom tells anything."""
GROUPS = ("more", "fewer", "averaged")
"""What becomes of a file's pixels: more of them, fewer, or so few that no overview is near and squares are
averaged first."""
APART = {"more": 0.001, "fewer": 0.01, "averaged": 0.05}
"""Share of pixels that may be valid for one reader only; the last squares that are averaged reach beyond the
image, and count as whole ones here."""
GRIDS = load_grids()
LOCAL = ("2154_50cm", "2972_50cm", "2975_50cm", "4467_50cm", "4471_50cm", "5490_50cm")
UNREAL = {"skeletons"}
"""Folders of dummy rasters, whose README says that they hold no usable pixels."""


class HandedOnError(Exception):
    """The fast reader gave a file to the reference."""


class Other:
    """Stands where the reference does, to know when it is asked."""

    def read(self, *_: object, **__: object) -> Raster:
        raise HandedOnError

    sample: Any = read


def files() -> list[Path]:
    """Give the real files that the fast reader may read."""
    if not IMAGERY.is_dir():
        return []
    found = [path for path in sorted(IMAGERY.rglob("*")) if path.suffix.lower() in {".tif", ".tiff", ".jp2"}]
    return [path for path in found if path.relative_to(IMAGERY).parts[0] not in UNREAL]


FILES = files()


@dataclass(frozen=True)
class Known:
    """A file that both can read."""

    path: Path
    one: Scene
    indexes: list[int]
    is_classes: bool
    crs: str
    transform: tuple[float, float, float, float, float, float]
    outline: Bounds
    """Longitudes and latitudes around it."""
    middle: tuple[float, float]
    ranges: np.ndarray
    """What is shown as 0 and as 255, shape (bands, 2)."""
    may_hide_nan: bool
    """Floats without a value for nothing: beside a NaN GDAL gives another, we what is left of the values."""


def known(path: Path) -> Known | None:
    """Look at a file; None: it is no picture of a place on Earth, or holds nothing."""
    try:
        with unplaced_files_expected(), rasterio.open(path) as source:
            placed = source.crs is not None and not source.transform.is_identity and not source.gcps[0]
            if not placed or source.dtypes[0].startswith("complex"):
                return None
            may_hide_nan = source.dtypes[0].startswith("float") and source.nodata is None
            crs, transform = source.crs.to_wkt(), source.transform
            height, width = source.shape
            indexes, is_classes = shown_indexes(path)
            small = source.read(
                indexes, out_shape=(len(indexes), min(height, 800), min(width, 800)), masked=True
            )
        to_lonlat = lonlat_transformer(crs)
    except (rasterio.errors.RasterioError, ProjError):
        return None
    steps = np.linspace(0, 1, 9)
    columns, rows = (grid.ravel() for grid in np.meshgrid(width * steps, height * steps))
    longitudes, latitudes = to_lonlat.transform(*(transform @ (columns, rows)))
    there = np.isfinite(longitudes) & np.isfinite(latitudes)
    if np.ptp(longitudes[there]) > 350 and crs.startswith("PROJCS"):  # both sides of the antimeridian
        longitudes = longitudes % 360
    ranges = [_range(band) for band in small]
    if not there.any() or None in ranges:
        return None
    longitudes, latitudes = longitudes[there], latitudes[there]
    affine: Any = tuple(float(number) for number in transform[:6])
    return Known(
        path=path,
        one=scene(
            href=str(path),
            bands=tuple(Band(name=str(index)) for index in indexes),
            width=width,
            height=height,
            ground_resolution=scene_ground_resolution(crs, affine, width, height),
        ),
        indexes=indexes,
        is_classes=is_classes,
        crs=crs,
        transform=affine,
        outline=Bounds(longitudes.min(), latitudes.min(), longitudes.max(), latitudes.max()),
        middle=(float(np.median(longitudes)), float(np.median(latitudes))),
        ranges=np.array(ranges, float),
        may_hide_nan=may_hide_nan,
    )


def _range(band: np.ma.MaskedArray) -> tuple[float, float] | None:
    values = band.compressed()
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    if band.dtype == np.uint8:
        return 0.0, 255.0
    low, high = np.percentile(values, [2, 98])
    return low, max(high, low + 1e-6)


def local_grid(place: Known) -> Grid:
    """Give the grid of the country, or one of the UTM zone by the same rule."""
    box = place.outline
    for name in LOCAL:
        area = GRIDS.get(name).area
        if (
            area.left < box.left
            and box.right < area.right
            and area.bottom < box.bottom
            and box.top < area.top
        ):
            return GRIDS.get(name)
    return utm_grid(*place.middle)


@cache
def utm_grid(longitude: float, latitude: float) -> Grid:
    zone = min(60, max(1, int((longitude + 180) // 6 % 60) + 1))
    code = (32600 if latitude >= 0 else 32700) + zone
    cells = [8192 / 2**z for z in range(18)]
    matrices = tuple(
        Matrix(
            id=str(z), cell_size=cell, scale_denominator=cell / 0.00028, origin=(-6_000_000.0, 16_000_000.0),
            tile_size=256, width=math.ceil(24e6 / cell / 256), height=math.ceil(32e6 / cell / 256),
        )
        for z, cell in enumerate(cells)
    )  # fmt: skip
    text = Text(fr="", en="")
    return Grid(
        id=f"utm-{code}", title=text, crs=f"EPSG:{code}", crs_urn="", well_known_scale_set=None,
        matrices=matrices, area=Bounds(-180, -85, 180, 85),
    )  # fmt: skip


def frames(place: Known, grid: Grid) -> Iterator[Frame]:
    """Give tiles of all zooms, from twice as large as native until the file is a spot."""
    native = grid.zoom_for(place.one.ground_resolution, place.middle[1])
    for z in range(min(native + 1, grid.maxzoom), grid.minzoom - 1, -1):
        there, middle = grid.tiles(place.outline, z), grid.tiles(Bounds(*place.middle, *place.middle), z)
        if there is None or max(place.one.width, place.one.height) / 2 ** max(0, native - z) < LEAST:
            return
        every = (
            [
                (x, y)
                for x in range(there.min_col, there.max_col + 1)
                for y in range(there.min_row, there.max_row + 1)
            ]
            if (there.max_col - there.min_col) * (there.max_row - there.min_row) < 100_000
            else []
        )
        random.Random(f"{place.path.name} {grid.id} {z}").shuffle(every)
        if middle is not None:  # it is sure to show something
            every.insert(0, (middle.min_col, middle.min_row))
        for x, y in dict.fromkeys(every[:TILES]):
            yield grid.frame(z, x, y)


@dataclass
class Tally:
    """What was found of one file."""

    may_hide_nan: bool
    pixels: int = 0
    near: int = 0
    """Pixels that differ by less than a grey level."""
    difference: float = 0.0
    """Sum, grey levels."""
    shifts: list[tuple[float, Frame]] = field(default_factory=list)
    apart: int = 0
    """Pixels that are valid for one reader only."""

    def add(self, place: Known, frame: Frame, ours: Raster, theirs: Pixels, number: int) -> None:
        """Take a tile in, of a level."""
        data, valid = theirs
        low, span = place.ranges[:, :1, np.newaxis], np.diff(place.ranges)[:, :, np.newaxis]
        one, other = (
            np.clip((np.nan_to_num(each.astype("f8")) - low) * (255 / span), 0, 255)
            for each in (ours.data, data)
        )
        both = ours.valid & valid
        differ = np.abs(one - other).mean(axis=0)[both]
        self.pixels += differ.size
        self.near += int((differ < 1).sum())
        self.difference += float(differ.sum())
        apart = ours.valid != valid
        if apart.mean() > 0.001:  # GDAL shows half a stored pixel more, which is wide at the edge of a globe
            shown = under_centres(place, frame, number)
            apart &= ours.valid != shown
        self.apart += int(apart.sum())
        moved = shift(one.mean(axis=0), other.mean(axis=0), both)
        if moved is not None:
            self.shifts.append((moved, frame))

    @property
    def share(self) -> float:
        return self.near / self.pixels

    @property
    def mean(self) -> float:
        return self.difference / self.pixels


def compare(place: Known, grids: list[Grid]) -> dict[str, Tally]:
    """Compare tiles of a file, apart by what becomes of its pixels."""
    found = {group: Tally(may_hide_nan=place.may_hide_nan) for group in GROUPS}
    resampling: Any = "nearest" if place.is_classes else "bilinear"
    for frame in (frame for grid in grids for frame in frames(place, grid)):
        noting = NotingCache()
        ours = FastReader(reference=Other(), blocks=noting).read(place.one, place.indexes, frame, resampling)
        if not noting.levels:
            assert not ours.valid.any()
            continue
        (number,) = noting.levels
        check_level(place, frame, number)
        spread, factor = spread_of(place, frame, number)
        theirs = reference(
            place.path, number, factor, place.indexes, frame=frame, resampling=resampling, spread=spread
        )
        group = "averaged" if factor > 1 else "fewer" if max(spread) > 1 else "more"
        found[group].add(place, frame, ours, theirs, number)
    return found


def under_centres(place: Known, frame: Frame, number: int) -> np.ndarray:
    """Tell where the stored pixel of a level under the centre of an output pixel is valid."""
    options = {"overview_level": number - 1} if number else {}
    with rasterio.open(place.path, **options) as source:
        mask, transform = source.dataset_mask() > 0, source.transform
    left, bottom, right, top = frame.bounds
    xs = left + (np.arange(frame.width) + 0.5) * (right - left) / frame.width
    ys = top - (np.arange(frame.height) + 0.5) * (top - bottom) / frame.height
    to_file = Transformer.from_crs(frame.crs, place.crs, always_xy=True)
    x, y = to_file.transform(*np.meshgrid(xs, ys))
    a, b, c, d, e, f = (~transform)[:6]
    height, width = mask.shape
    with np.errstate(invalid="ignore"):
        columns, rows = a * x + b * y + c, d * x + e * y + f
        there = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    found = np.zeros(there.shape, bool)
    found[there] = mask[rows[there].astype(int), columns[there].astype(int)]
    return found


def spread_of(place: Known, frame: Frame, number: int) -> tuple[tuple[float, float], int]:
    """Give the samples in an output pixel, and how many are averaged first as no overview is near."""
    full, level = levels(place.path)[0], levels(place.path)[number]
    across, along = mesh(frame, place.crs, inverted(place.transform), 1.0).density
    spread = across * level.width / full.width, along * level.height / full.height
    factor = 1 if place.is_classes else max(1, min(round(min(spread)), max(level.width, level.height)))
    return (spread[0] / factor, spread[1] / factor), factor


def check_level(place: Known, frame: Frame, number: int) -> None:
    """The level is the nearest in resolution; by how much is asked in the middle of the frame."""
    full = levels(place.path)[0]
    if place.outline.right - place.outline.left > 60:  # tiles of half the Earth have no one resolution
        return
    with rasterio.open(place.path) as source:
        wanted = min(density(source, frame))
    if math.isfinite(wanted):
        far = [abs(math.log(full.width / level.width / wanted)) for level in levels(place.path)]
        assert far[number] < min(far) + 0.2


@cache
def compared(path: Path) -> dict[str, Tally] | str:
    """Compare tiles of a file in three grids; where there is nothing to compare, say why."""
    place = known(path)
    if place is None:
        return "it is no picture of a place on Earth"
    grids = [find_grid(GRIDS, "WebMercatorQuad"), find_grid(GRIDS, "WorldCRS84Quad"), local_grid(place)]
    try:
        return compare(place, grids)
    except HandedOnError:
        return "rio-tiler reads it itself"
    except MosaicsError:
        return "it can't be read"


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(IMAGERY)) for path in FILES])
def test_tiles_are_those_of_rio_tiler(path: Path, group: str) -> None:
    found = compared(path)
    if isinstance(found, str):
        pytest.skip(found)
    tally = found[group]
    if not tally.pixels:
        pytest.skip("none of its zooms is of this kind")
    told = f"{tally.share:.4f} near, mean {tally.mean:.3f}, {tally.apart} valid for one only"
    assert tally.share >= 0.99, told
    assert tally.apart <= (0.03 if tally.may_hide_nan else APART[group]) * tally.pixels + 5, told
    for moved, frame in tally.shifts:
        assert moved <= 0.1, frame


def test_nearly_all_files_are_compared() -> None:
    """Of the real files 86 are pictures of a place on Earth that the fast reader reads."""
    found = [compared(path) for path in FILES]
    assert sum(not isinstance(each, str) for each in found) >= 75
    pixels = {
        group: sum(each[group].pixels for each in found if not isinstance(each, str)) for group in GROUPS
    }
    assert min(pixels.values()) > 3_000_000
