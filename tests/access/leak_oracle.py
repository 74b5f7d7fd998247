"""What a caller must be shown, worked out pixel by pixel from the naive model of rights.

Of the code under test it uses reading and rendering of single whole scenes, which have tests of their own; no
filter, no mask, no mosaic.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any

import numpy as np
import rasterio
import shapely
from PIL import Image
from pyproj import Geod, Transformer

from mosaics.compose import compose
from mosaics.fast import FastReader
from mosaics.filters import EVERYTHING
from mosaics.finding import find_layer
from mosaics.layers import ANY_TIME
from mosaics.models import Frame, Scene
from mosaics.read import RioTilerReader
from mosaics.resolve import resolve
from mosaics.tiff.blocks import BlockCache
from tests.access.leak_world import World, grid_document, pan_of
from tests.auth.naive import Point, may

GEOD = Geod(ellps="WGS84")
NEAR = 1e-9
"""Degrees from an edge within which a pixel's centre may count as either side."""
KERNEL_PIXELS = 3


@dataclass(frozen=True)
class Pixels:
    """A rectangle of pixels, by the test's own arithmetic."""

    crs: str
    left: float
    top: float
    dx: float
    dy: float
    width: int
    height: int

    @property
    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Longitude and latitude of the centres, shape (height, width)."""
        return self.at(0.5, 0.5)

    def at(self, column: float, row: float) -> tuple[np.ndarray, np.ndarray]:
        columns, rows = np.meshgrid(np.arange(self.width) + column, np.arange(self.height) + row)
        lon, lat = to_lonlat(self.crs).transform(self.left + columns * self.dx, self.top - rows * self.dy)
        return np.asarray(lon), np.asarray(lat)

    @cached_property
    def detail(self) -> float:
        """Finest ground length of a pixel's side, metres, at every 16th row and column and the last ones."""
        columns = np.array(sorted({*range(0, self.width, 16), self.width - 1}))
        rows = np.array(sorted({*range(0, self.height, 16), self.height - 1}))
        finest = math.inf
        for (x0, y0), (x1, y1) in (((0, 0.5), (1, 0.5)), ((0.5, 0), (0.5, 1))):
            ends = []
            for dx, dy in ((x0, y0), (x1, y1)):
                x, y = np.meshgrid(self.left + (columns + dx) * self.dx, self.top - (rows + dy) * self.dy)
                ends += [np.ravel(v) for v in to_lonlat(self.crs).transform(x, y)]
            finest = min(finest, float(np.min(GEOD.inv(*ends)[2])))
        return finest


@cache
def to_lonlat(crs: str) -> Transformer:
    return Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)


def crs_of(tms_id: str) -> str:
    authority, _, code = grid_document(tms_id)["crs"].split("/")[-3:]
    return f"{authority}:{code}"


@cache
def tile_pixels(tms_id: str, z: int, x: int, y: int, scale: int = 1) -> Pixels:
    matrix = grid_document(tms_id)["tileMatrices"][z]
    cell, size = matrix["cellSize"], matrix["tileWidth"]
    left, top = matrix["pointOfOrigin"]
    span = cell * size
    side = cell / scale
    return Pixels(crs_of(tms_id), left + x * span, top - y * span, side, side, size * scale, size * scale)


def frame_pixels(frame: Frame) -> Pixels:
    left, bottom, right, top = frame.bounds
    dx, dy = (right - left) / frame.width, (top - bottom) / frame.height
    return Pixels(frame.crs, left, top, dx, dy, frame.width, frame.height)


def tile_at(tms_id: str, z: int, lon: float, lat: float) -> tuple[int, int]:
    matrix = grid_document(tms_id)["tileMatrices"][z]
    x, y = to_lonlat(crs_of(tms_id)).transform(lon, lat, direction="INVERSE")
    span = matrix["cellSize"] * matrix["tileWidth"]
    left, top = matrix["pointOfOrigin"]
    return int((x - left) // span), int((top - y) // span)


def point_of(scene: Scene, lon: float, lat: float, detail: float) -> Point:
    return Point(
        scene.collection_id,
        scene.licence_id,
        scene.sensor_id,
        scene.id,
        pan_of(scene),
        scene.acquired,
        lon,
        lat,
        detail,
    )


def may_at(  # noqa: PLR0917 - the question
    world: World, scene: Scene, action: str, lon: float, lat: float, detail: float
) -> bool:
    return may(world.rights, world.caller, action, world.now, point_of(scene, lon, lat, detail))


def may_mask(  # noqa: PLR0917 - the question
    world: World, scene: Scene, action: str, lon: np.ndarray, lat: np.ndarray, detail: float
) -> np.ndarray:
    """Ask the naive model about every pixel: once for all that lie in the same areas."""
    signature = np.zeros(lon.shape, np.int64)
    for bit, area in enumerate(world.areas()):
        signature |= shapely.contains_xy(shapely.from_wkb(area.wkb), lon, lat).astype(np.int64) << bit
    allowed = np.zeros(lon.shape, bool)
    for value in np.unique(signature):
        same = signature == value
        row, column = np.argwhere(same)[0]
        allowed[same] = may_at(world, scene, action, float(lon[row, column]), float(lat[row, column]), detail)
    return allowed


def ambiguous(world: World, detail: float) -> bool:
    """Tell whether a limit is so near to the detail that a rounding decides."""
    return any(abs(detail / limit - 1) < 2e-3 for limit in world.limits())


def near_edges(world: World, lon: np.ndarray, lat: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Tell which of some pixels lie on an edge of an area, as far as numbers go."""
    found = np.zeros(where.shape, bool)
    points = shapely.points(lon[where], lat[where])
    close = np.zeros(points.shape, bool)
    for area in world.areas():
        close |= shapely.distance(shapely.from_wkb(area.wkb).boundary, points) < NEAR
    found[where] = close
    return found


def rgba(body: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(body)).convert("RGBA"))


def in_span(scene: Scene, span: str | None) -> bool:
    """Read a time as the interface says it: a day, or two days with both inside."""
    if span is None:
        return True
    if scene.acquired is None:
        return False
    first, _, last = span.partition("/")
    begin = datetime.fromisoformat(first).replace(tzinfo=UTC)
    end = datetime.fromisoformat(last or first).replace(tzinfo=UTC) + timedelta(days=1)
    return begin <= scene.acquired < end


@dataclass(frozen=True)
class Expected:
    """What must be there."""

    picture: np.ndarray
    """RGBA, shape (height, width, 4)."""
    loose: np.ndarray
    """True where a kernel may differ, shape (height, width)."""


def compose_expected(
    world: World, scenes: Iterable[tuple[Scene, np.ndarray, bool]], action: str, pixels: Pixels
) -> Expected:
    """Lay whole pictures of scenes over each other, each cut by what the naive model says.

    Args:
        world: Rights and caller.
        scenes: Scene, its whole picture, and whether a kernel made it; the first on top.
        action: What for.
        pixels: Where the pixels are.
    """
    lon, lat = pixels.centres
    detail = pixels.detail
    out = np.zeros((pixels.height, pixels.width, 4), "uint8")
    loose = np.zeros(out.shape[:2], bool)
    for scene, picture, kernel in scenes:
        allowed = may_mask(world, scene, action, lon, lat, detail)
        if kernel:
            loose |= _border(allowed)
        fresh = (out[..., 3] == 0) & allowed & (picture[..., 3] > 0)
        out[fresh] = picture[fresh]
    return Expected(out, loose)


def _border(mask: np.ndarray) -> np.ndarray:
    """Give the pixels inside a mask that are within a few pixels of its outside."""
    padded = np.pad(mask, KERNEL_PIXELS, mode="edge")
    inner = np.ones(mask.shape, bool)
    size = 2 * KERNEL_PIXELS + 1
    for dy in range(size):
        for dx in range(size):
            inner &= padded[dy : dy + mask.shape[0], dx : dx + mask.shape[1]]
    return mask & ~inner


def check_picture(world: World, shown: np.ndarray, expected: Expected, pixels: Pixels, *, exact: bool) -> int:
    """Compare a picture with what must be there; give how many pixels were on an edge.

    A level more or less counts as that too: parts of files are resampled with other roundings than the whole.

    Raises:
        AssertionError: With the place of the first pixel that differs.
    """
    assert shown.shape == expected.picture.shape
    hidden = shown[shown[..., 3] == 0]
    if exact:
        assert not hidden.any(), "colours under a transparent alpha"
        wrong = (shown != expected.picture).any(axis=-1)
        wrong &= ~(expected.loose & (shown[..., 3] == expected.picture[..., 3]))
    else:
        wrong = (shown[..., 3] > 0) != (expected.picture[..., 3] > 0)
    if not wrong.any():
        return 0
    lon, lat = pixels.centres
    edge = near_edges(world, lon, lat, wrong)
    both = (shown[..., 3] == 255) & (expected.picture[..., 3] == 255)
    levels = np.abs(shown.astype(int) - expected.picture).max(axis=-1)
    edge |= wrong & both & (levels <= 1)
    left = wrong & ~edge
    if left.any():
        row, column = np.argwhere(left)[0]
        raise AssertionError(
            f"{left.sum()} pixels differ, first row {row} column {column}: "
            f"{shown[row, column].tolist()} shown, {expected.picture[row, column].tolist()} expected"
        )
    return int(edge.sum())


def regions(world: World, scene: Scene) -> list[Any]:
    """Cut a scene's footprint by the outlines of all areas; within each part one decision holds."""
    found = [scene.footprint]
    for area in world.areas():
        polygon = shapely.from_wkb(area.wkb)
        cut = [piece for part in found for piece in (part & polygon, part - polygon)]
        found = [piece for part in cut for piece in shapely.get_parts(part) if piece.area > 1e-15]
    return found


def finest_in(world: World, scene: Scene, action: str, region: Any) -> float | None:
    """Give the finest detail that is open in a region, 0 for native; None: nothing is."""
    place = region.representative_point()
    for detail in (1e-9, *sorted(world.limits())):
        if may_at(world, scene, action, place.x, place.y, detail):
            return 0.0 if detail == 1e-9 else detail
    return None


def finest_of(world: World, scene: Scene, action: str) -> float | None:
    """Give the finest detail that is open of a scene anywhere, 0 for native; None: nothing is."""
    found = [finest_in(world, scene, action, region) for region in regions(world, scene)]
    return min((detail for detail in found if detail is not None), default=None)


def visible(world: World, layer: str, action: str) -> bool:
    return any(finest_of(world, scene, action) is not None for scene in world.layer_scenes(layer))


def whole_scene(world: World, scene: Scene, frame: Frame, style: str | None) -> np.ndarray | None:
    """Render a whole scene on a frame, as rights never cut it; None where it has not the style."""
    services = world.asgi.application.services
    if style is not None and style not in scene.styles:
        return None
    layer = find_layer(services.knowledge.index, f"{scene.collection_id}:{scene.id}", EVERYTHING)
    tile = resolve(
        layer,
        EVERYTHING,
        frame,
        ground_resolution=1.0,
        span=ANY_TIME,
        style_id=style,
        styles=services.styles,
    )
    reader = FastReader(reference=RioTilerReader(), blocks=BlockCache(0))
    picture, _ = compose(tile, reader, lambda _error: None)
    return np.dstack([picture.rgb, picture.alpha])


def block_mean(scene: Scene, lon: float, lat: float, detail: float) -> list[float] | None:
    """Average the stored pixels of the block that a place falls into, at least as wide as the detail."""
    with rasterio.open(scene.href) as source:
        x, y = to_lonlat(source.crs.to_wkt()).transform(lon, lat, direction="INVERSE")
        column, row = ~source.transform * (x, y)
        factor = max(1, math.ceil(detail / scene.ground_resolution - 1e-6))
        column, row = math.floor(column / factor) * factor, math.floor(row / factor) * factor
        data, valid = source.read().astype(float), source.dataset_mask() > 0
    if not (0 <= column < data.shape[2] and 0 <= row < data.shape[1]):
        return None
    block = data[: len(scene.bands), row : row + factor, column : column + factor]
    good = valid[row : row + factor, column : column + factor]
    return [float(band[good].mean()) for band in block] if good.any() else None
