"""Outlines valid data: a decimated picture of where it is, and its polygon in longitude and latitude."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import pyproj
import shapely
from rasterio.features import shapes
from shapely.affinity import affine_transform, scale
from shapely.geometry import MultiPolygon, Polygon, shape

from mosaics.errors import IngestError
from mosaics.ingest.inspect import Inspection
from mosaics.ingest.sphere import outline_on_earth

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

MAX_SIDE: Final = 1024
"""Cells of the longer side of the decimated picture."""
SIMPLIFY_CELLS: Final = 0.5
"""How far the outline may move, cells."""
LEAST_HOLE: Final = 0.01
"""Holes below this part of the polygon's area are dropped."""
MAX_VERTICES: Final = 1500
"""Above this the picture is made coarser by 2, which only ever adds ground."""
MAX_EDGES: Final = 20_000
"""The same for sides of cells, before they are made polygons."""
_STAIRS: Final = 0.75
"""Area between a slanting edge of cells and its hull, cells per cell of length; 0.35 to 0.71 if diagonal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """Where an image has data, decimated so that a cell is set when any of its pixels is."""

    width: int
    """Columns of the image."""
    height: int
    """Rows of the image."""
    factor: int
    """Pixels along each side of a cell."""
    cells: NDArray[np.bool_]
    """True where there is data, shape (rows, columns) of cells; the last ones may reach beyond the image."""

    @classmethod
    def empty(cls, width: int, height: int) -> Coverage:
        """Give a picture without any data."""
        factor = math.ceil(max(width, height) / MAX_SIDE)
        shape_ = (math.ceil(height / factor), math.ceil(width / factor))
        return cls(width=width, height=height, factor=factor, cells=np.zeros(shape_, dtype=bool))

    def add(self, valid: NDArray[np.bool_], row: int, column: int) -> None:
        """Mark the cells of a window.

        Args:
            valid: True where there is data, shape (height, width).
            row: First row of the window in the image.
            column: First column of it.
        """
        rows, first_row = _starts(row, valid.shape[0], self.factor)
        columns, first_column = _starts(column, valid.shape[1], self.factor)
        target = self.cells[first_row : first_row + len(rows), first_column : first_column + len(columns)]
        if valid.all():
            target[:] = True
            return
        target |= np.logical_or.reduceat(np.logical_or.reduceat(valid, rows, axis=0), columns, axis=1)

    def coarser(self) -> Coverage:
        """Give the picture with cells twice as large."""
        down, across = (math.ceil(side / 2) for side in self.cells.shape)
        padded = np.zeros((down * 2, across * 2), dtype=bool)
        padded[: self.cells.shape[0], : self.cells.shape[1]] = self.cells
        cells = np.asarray(padded.reshape(down, 2, across, 2).any(axis=(1, 3)))
        return Coverage(width=self.width, height=self.height, factor=self.factor * 2, cells=cells)

    def without_small_holes(self) -> Coverage:
        """Give the picture with the holes filled that are below `LEAST_HOLE` of what is set."""
        count, labels, sizes, _ = cv2.connectedComponentsWithStats(
            (~self.cells).astype(np.uint8), connectivity=8, ltype=cv2.CV_32S
        )
        area = sizes[:, cv2.CC_STAT_AREA]
        left, top = sizes[:, cv2.CC_STAT_LEFT], sizes[:, cv2.CC_STAT_TOP]
        right, bottom = left + sizes[:, cv2.CC_STAT_WIDTH], top + sizes[:, cv2.CC_STAT_HEIGHT]
        rows, columns = self.cells.shape
        inside = (left > 0) & (top > 0) & (right < columns) & (bottom < rows)
        small = inside & (area < LEAST_HOLE * self.cells.sum())
        small[0] = False  # label 0 is what is set
        return replace(self, cells=self.cells | small[labels]) if count > 1 else self

    def edges(self) -> int:
        """Count the sides between cells that are set and cells that aren't."""
        across = np.count_nonzero(self.cells[:, 1:] != self.cells[:, :-1])
        down = np.count_nonzero(self.cells[1:] != self.cells[:-1])
        return int(across + down)

    def outline(self) -> BaseGeometry:
        """Give the outline of the set cells, simplified, in pixels of the image; (0, 0) is the upper left."""
        parts = [
            _smoothed(shape(geometry))
            for geometry, _ in shapes(self.cells.astype(np.uint8), mask=self.cells, connectivity=4)
        ]
        merged = shapely.unary_union(parts).simplify(SIMPLIFY_CELLS)
        in_pixels = scale(merged, self.factor, self.factor, origin=(0, 0))
        return shapely.make_valid(in_pixels).intersection(shapely.box(0, 0, self.width, self.height))


def footprint(inspection: Inspection, coverage: Coverage) -> BaseGeometry:
    """Give the outline of the valid data in longitude and latitude (WGS 84).

    Args:
        inspection: Where the image lies.
        coverage: Where it has data.

    Returns:
        A valid Polygon or MultiPolygon, never empty, cut at the antimeridian.

    Raises:
        IngestError: If no valid pixel lies on the Earth.
    """
    coverage = _on_earth(inspection, coverage)
    if not coverage.cells.any():
        raise _nowhere(inspection)
    pixels = _simple_outline(coverage)
    a, b, c, d, e, f = inspection.transform
    longest = max(inspection.width, inspection.height)
    polygons = [
        affine_transform(polygon.segmentize(longest / 64), (a, b, d, e, c, f))
        for polygon in _polygons(pixels)
    ]
    cell = coverage.factor * min(math.hypot(a, d), math.hypot(b, e))
    found = outline_on_earth(polygons, inspection.crs, cell)
    if found is None:
        raise _nowhere(inspection)
    return found


def _simple_outline(coverage: Coverage) -> BaseGeometry:
    """Give an outline of few vertices: of a coarser picture where it must be, such as that of noise."""
    while True:
        filled = coverage.without_small_holes()
        is_coarse = max(coverage.cells.shape) <= 16
        if is_coarse or filled.edges() <= MAX_EDGES:
            pixels = filled.outline()
            if is_coarse or shapely.get_num_coordinates(pixels) <= MAX_VERTICES:
                return pixels
        coverage = coverage.coarser()


def _on_earth(inspection: Inspection, coverage: Coverage) -> Coverage:
    """Clear the cells that lie partly off the Earth, such as the corners of a geostationary full disk.

    The border of the image is tried first: where all of it is on the Earth, so is the rest.
    """
    rows, columns = coverage.cells.shape
    across = np.minimum(np.arange(columns + 1) * coverage.factor, inspection.width)
    down = np.minimum(np.arange(rows + 1) * coverage.factor, inspection.height)
    border = (
        np.concatenate([across, across, np.zeros(rows + 1), np.full(rows + 1, inspection.width)]),
        np.concatenate([np.zeros(columns + 1), np.full(columns + 1, inspection.height), down, down]),
    )
    if _are_on_earth(inspection, *border).all():
        return coverage
    corner_columns, corner_rows = np.meshgrid(across, down)
    corners = _are_on_earth(inspection, corner_columns, corner_rows)
    whole = corners[:-1, :-1] & corners[1:, :-1] & corners[:-1, 1:] & corners[1:, 1:]
    return replace(coverage, cells=coverage.cells & whole)


def _are_on_earth(
    inspection: Inspection, columns: NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[np.bool_]:
    a, b, c, d, e, f = inspection.transform
    crs = pyproj.CRS.from_wkt(inspection.crs)
    if crs.is_geographic:
        return np.ones(np.shape(columns), dtype=bool)
    to_lonlat = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    lon, lat = to_lonlat.transform(a * columns + b * rows + c, d * columns + e * rows + f)
    found: NDArray[np.bool_] = np.isfinite(lon) & np.isfinite(lat)
    return found


def _nowhere(inspection: Inspection) -> IngestError:
    return IngestError(
        f"{inspection.path.name}: no valid pixel lies on the Earth; check its CRS and geotransform"
    )


def _starts(first: int, size: int, factor: int) -> tuple[NDArray[np.intp], int]:
    """Give where the cells begin within a window that begins at `first`, and the number of the first cell."""
    cell = first // factor
    starts = np.arange(cell * factor, first + size, factor, dtype=np.intp) - first
    starts[0] = 0
    return starts, cell


def _smoothed(polygon: Polygon) -> Polygon:
    """Drop small holes and take the hull where it differs from the polygon by nothing but stairs of cells."""
    least = LEAST_HOLE * polygon.area
    holes = [ring for ring in polygon.interiors if Polygon(ring).area >= least]
    filled = Polygon(polygon.exterior, holes)
    hull = filled.convex_hull
    if not holes and hull.area - filled.area <= _STAIRS * hull.length:
        return hull.simplify(SIMPLIFY_CELLS)
    return filled


def _polygons(geometry: BaseGeometry) -> list[Polygon]:
    """Give the polygons of any geometry."""
    if isinstance(geometry, Polygon):
        return [] if geometry.is_empty else [geometry]
    if isinstance(geometry, MultiPolygon) or hasattr(geometry, "geoms"):
        return [polygon for part in geometry.geoms for polygon in _polygons(part)]
    return []
