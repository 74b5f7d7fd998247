"""Tile matrix sets as values: where tiles lie, which ones a rectangle touches, which level fits best."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import morecantile
import numpy as np
from pydantic import ValidationError
from pyproj import CRS, Transformer

from mosaics.errors import GridNotFoundError, TileOutsideGridError
from mosaics.geodesy import METRES_PER_DEGREE, lonlat_transformer, metres_per_unit
from mosaics.models import Bounds, Frame, Text
from mosaics.registry import Document, Registry, check_keys, load_registry, parse_source, parse_text

STANDARD_PIXEL = 0.00028
"""Size of a pixel in the definition of a scale denominator, metres; OGC 07-057r7, 6.1."""
LARGEST_SCALES = {
    "GoogleMapsCompatible": 559082264.0287178,
    "GoogleCRS84Quad": 559082264.0287178,
}
"""First scale denominator of each well-known scale set; OGC 07-057r7, Annex E.3 and E.4. A set conforms only
if it has every scale from the largest down (6.2): WorldCRS84Quad, which starts one level later, does not."""
SCALE_SET_CRS = {
    "GoogleMapsCompatible": "urn:ogc:def:crs:EPSG:6.18:3:3857",
    "GoogleCRS84Quad": "urn:ogc:def:crs:OGC:1.3:CRS84",
}
"""The CRS that each well-known scale set demands, as it is written; OGC 07-057r7, Annex E.3 and E.4."""
REQUIRED = frozenset({"id", "titles", "crs", "orderedAxes", "tileMatrices", "source", "area"})
OPTIONAL = frozenset({"title", "uri", "wellKnownScaleSet", "aliases", "description"})
INSET = 1e-6
"""Part of a tile by which a rectangle must reach into it to count, against rounding."""
THUMBNAIL = 128
"""Pixels along the shorter side below which nobody makes a still coarser picture of a layer."""
MERCATOR = "EPSG:3857"


class TileRange(NamedTuple):
    """Columns and rows of a matrix, the last ones included."""

    min_col: int
    max_col: int
    min_row: int
    max_row: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """One level of a grid."""

    id: str
    """Its identifier: the level as a plain integer."""
    cell_size: float
    """Size of a pixel in the CRS's unit."""
    scale_denominator: float
    """cell_size x metres per unit / 0.00028."""
    origin: tuple[float, float]
    """Upper left corner, x (east) before y (north)."""
    tile_size: int
    """Pixels along both sides of a tile."""
    width: int
    """Number of columns."""
    height: int
    """Number of rows."""

    @property
    def span(self) -> float:
        """Side of a tile in the CRS's unit."""
        return self.cell_size * self.tile_size

    @property
    def bounds(self) -> Bounds:
        """Outline of all tiles, in the CRS."""
        left, top = self.origin
        return Bounds(left, top - self.height * self.span, left + self.width * self.span, top)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A tile matrix set: one origin, each level half the cell size of the one before."""

    id: str
    """Its identifier."""
    title: Text
    """Name for people."""
    crs: str
    """Such as EPSG:2154 or OGC:CRS84; coordinates are x (east) before y (north) throughout."""
    crs_urn: str
    """As WMTS writes it in SupportedCRS."""
    well_known_scale_set: str | None
    """Urn of the well-known scale set that it conforms to."""
    matrices: tuple[Matrix, ...]
    """Levels from 0; a level is its place in this tuple."""
    area: Bounds
    """Where the grid is meant to be used, longitude and latitude (WGS 84)."""
    aliases: tuple[str, ...] = ()
    """Other names that give this grid."""

    @property
    def minzoom(self) -> int:
        """First level."""
        return 0

    @property
    def maxzoom(self) -> int:
        """Last level."""
        return len(self.matrices) - 1

    @property
    def tile_size(self) -> int:
        """Pixels along both sides of a tile, on all levels."""
        return self.matrices[0].tile_size

    def matrix(self, z: int) -> Matrix:
        """Give a level.

        Raises:
            TileOutsideGridError: If there is none; part 'matrix'.
        """
        if not 0 <= z <= self.maxzoom:
            raise TileOutsideGridError("matrix")
        return self.matrices[z]

    def frame(self, z: int, x: int, y: int, scale: int = 1) -> Frame:
        """Give the pixels of a tile.

        Args:
            z: Level.
            x: Column, from the left.
            y: Row, from the top.
            scale: 2 gives the same rectangle with twice as many pixels along each side.

        Raises:
            TileOutsideGridError: With part 'matrix', 'col' or 'row'.
        """
        matrix = self.matrix(z)
        if not 0 <= x < matrix.width:
            raise TileOutsideGridError("col")
        if not 0 <= y < matrix.height:
            raise TileOutsideGridError("row")
        (left, top), span = matrix.origin, matrix.span
        return Frame(
            crs=self.crs,
            bounds=Bounds(left + x * span, top - (y + 1) * span, left + (x + 1) * span, top - y * span),
            width=matrix.tile_size * scale,
            height=matrix.tile_size * scale,
        )

    def zoom_for(self, ground_resolution: float, latitude: float = 0.0) -> int:
        """Give the level that shows a ground resolution best.

        Args:
            ground_resolution: Metres per pixel.
            latitude: Degrees, where it is looked at; Web Mercator and degree grids stretch with it.
        """
        shrink = max(math.cos(math.radians(latitude)), 1e-6)
        if self.crs == MERCATOR:
            return self.zoom_for_cell(ground_resolution / shrink)
        if CRS.from_user_input(self.crs).is_geographic:
            return self.zoom_for_cell(ground_resolution / (METRES_PER_DEGREE * shrink))
        return self.zoom_for_cell(ground_resolution / metres_per_unit(self.crs))

    def zoom_for_cell(self, resolution: float) -> int:
        """Give the level whose cell size is nearest in ratio to a resolution in the CRS's unit.

        The rule: round log2(first cell size / resolution), a tie to the finer level, within the levels. So
        pixels of that level are at most 1.42 times larger or smaller than asked.
        """
        level = math.floor(math.log2(self.matrices[0].cell_size / resolution) + 0.5)
        return min(max(level, self.minzoom), self.maxzoom)

    def tiles(self, bounds: Bounds, z: int) -> TileRange | None:
        """Give the tiles of a level that a rectangle touches within the grid's area.

        Args:
            bounds: Longitude and latitude; a rectangle across the antimeridian has left > right and gives the
                range around both its parts.
            z: Level.

        Returns:
            The range, within the matrix; None where the rectangle misses the area.

        Raises:
            TileOutsideGridError: If there is no such level.
        """
        matrix = self.matrix(z)
        parts = [self._range(matrix, part) for part in _parts(bounds)]
        known = [part for part in parts if part is not None]
        if not known:
            return None
        return TileRange(
            min(part.min_col for part in known),
            max(part.max_col for part in known),
            min(part.min_row for part in known),
            max(part.max_row for part in known),
        )

    def intersects(self, bounds: Bounds) -> bool:
        """Tell whether a rectangle (longitude and latitude) touches the grid's area."""
        return any(_clipped(part, self.area) is not None for part in _parts(bounds))

    def extent(self, bounds: Bounds) -> Bounds | None:
        """Give a lon/lat rectangle in the CRS, by less than 1 % widened to whole pixels of all levels.

        Of all where it is no smaller than THUMBNAIL: so a client that stacks levels over one outline, as
        GDAL does, need not move any by a part of a pixel. None off the area and across the antimeridian.
        """
        clipped = _clipped(bounds, self.area) if bounds.left <= bounds.right else None
        if clipped is None:
            return None
        left, bottom, right, top = _projected(self.crs, clipped)
        shorter = min(right - left, top - bottom)
        matrix = next((m for m in self.matrices if shorter >= m.cell_size * THUMBNAIL), self.matrices[-1])
        (x0, y0), cell = matrix.origin, matrix.cell_size
        first_col, last_col = _indexes((left - x0) / cell, (right - x0) / cell)
        first_row, last_row = _indexes((y0 - top) / cell, (y0 - bottom) / cell)
        low, high = x0 + max(first_col, 0) * cell, y0 - max(first_row, 0) * cell
        return Bounds(low, y0 - (last_row + 1) * cell, x0 + (last_col + 1) * cell, high)

    def _range(self, matrix: Matrix, bounds: Bounds) -> TileRange | None:
        """Give the tiles that one rectangle without an antimeridian touches."""
        clipped = _clipped(bounds, self.area)
        if clipped is None:
            return None
        left, bottom, right, top = _projected(self.crs, clipped)
        (x0, y0), span = matrix.origin, matrix.span
        first_col, last_col = _indexes((left - x0) / span, (right - x0) / span)
        first_row, last_row = _indexes((y0 - top) / span, (y0 - bottom) / span)
        if last_col < 0 or last_row < 0 or first_col >= matrix.width or first_row >= matrix.height:
            return None
        return TileRange(
            max(first_col, 0),
            min(last_col, matrix.width - 1),
            max(first_row, 0),
            min(last_row, matrix.height - 1),
        )


def load_grids(extra: Path | None = None) -> Registry[Grid]:
    """Read the package's grids and those of an optional folder.

    Raises:
        DataFileInvalidError: If a file breaks a rule of mosaics/data/grids/README.md.
    """
    return load_registry("grids", parse_grid, extra)


def find_grid(registry: Registry[Grid], name: str) -> Grid:
    """Give the grid of an id or alias, as it is written.

    Raises:
        GridNotFoundError: If there is none.
    """
    if name in registry:
        return registry.get(name)
    for grid in registry.values():
        if name in grid.aliases:
            return grid
    raise GridNotFoundError(name)


def parse_grid(document: Document) -> Grid:
    """Make a grid of an OGC TMS 2.0 document with our members (titles, area, aliases, source).

    Raises:
        ValueError: If it breaks a rule of mosaics/data/grids/README.md.
    """
    check_keys(document, REQUIRED, OPTIONAL)
    parse_source(document["source"])
    try:
        standard = morecantile.TileMatrixSet.model_validate(document)
    except ValidationError as error:
        raise ValueError(f"it is no OGC tile matrix set: {error}") from error
    if standard.crs.srs is None or standard.id is None:
        raise ValueError("crs and id must be given")
    crs = _crs_name(standard.crs.srs)
    matrices = tuple(_matrix(entry, crs) for entry in standard.tileMatrices)
    if not matrices:
        raise ValueError("tileMatrices must not be empty")
    _check_rule(matrices)
    scale_set = _scale_set(standard.wellKnownScaleSet, matrices)
    return Grid(
        id=standard.id,
        title=parse_text(document["titles"]),
        crs=crs,
        crs_urn=SCALE_SET_CRS[scale_set] if scale_set else _crs_urn(crs),
        well_known_scale_set=f"urn:ogc:def:wkss:OGC:1.0:{scale_set}" if scale_set else None,
        matrices=matrices,
        area=_area(document["area"]),
        aliases=tuple(document.get("aliases", ())),
    )


def _crs_name(uri: str) -> str:
    """Shorten the URI of a CRS: http://www.opengis.net/def/crs/EPSG/0/2154 is EPSG:2154."""
    match = re.search(r"(EPSG|OGC)[/:](?:[\d.]*[/:])?(\w+)$", uri)
    if match is None:
        raise ValueError(f"crs {uri!r} is neither of EPSG nor of OGC")
    return f"{match[1]}:{match[2]}"


def _crs_urn(crs: str) -> str:
    """Write a CRS as an urn."""
    authority, code = crs.split(":")
    return f"urn:ogc:def:crs:{authority}:{'1.3' if authority == 'OGC' else ''}:{code}"


def _matrix(entry: Any, crs: str) -> Matrix:
    """Make a level, and check its scale."""
    if entry.tileWidth != entry.tileHeight or entry.cornerOfOrigin != "topLeft" or entry.variableMatrixWidths:
        raise ValueError(f"matrix {entry.id} must have square tiles counted from the upper left")
    scale = entry.cellSize * metres_per_unit(crs) / STANDARD_PIXEL
    if not math.isclose(scale, entry.scaleDenominator, rel_tol=1e-12):
        raise ValueError(
            f"matrix {entry.id} has scale {entry.scaleDenominator}, its cell size makes it {scale}"
        )
    return Matrix(
        id=entry.id,
        cell_size=entry.cellSize,
        scale_denominator=entry.scaleDenominator,
        origin=(entry.pointOfOrigin[0], entry.pointOfOrigin[1]),
        tile_size=entry.tileWidth,
        width=entry.matrixWidth,
        height=entry.matrixHeight,
    )


def _check_rule(matrices: tuple[Matrix, ...]) -> None:
    """Refuse levels that are not 0, 1, 2 ... of one origin, one tile size and exact factor 2."""
    first = matrices[0]
    for z, matrix in enumerate(matrices):
        if matrix.id != str(z):
            raise ValueError(f"matrix {matrix.id} must have the id {z}")
        if (matrix.origin, matrix.tile_size) != (first.origin, first.tile_size):
            raise ValueError(f"matrix {z} must have the origin and tile size of matrix 0")
        if matrix.cell_size * 2**z != first.cell_size:
            raise ValueError(f"the cell of matrix {z} must be that of matrix 0 divided by exactly 2**{z}")


def _scale_set(uri: object, matrices: tuple[Matrix, ...]) -> str | None:
    """Give the name of the well-known scale set that the grid claims, if it conforms to it."""
    name = str(uri).rpartition("/")[2]
    conforms = name in LARGEST_SCALES and math.isclose(
        LARGEST_SCALES[name], matrices[0].scale_denominator, rel_tol=1e-9
    )
    return name if conforms else None


def _area(document: Any) -> Bounds:
    """Read the area of use."""
    left, bottom, right, top = (float(number) for number in document)
    if not (-180 <= left < right <= 180 and -90 <= bottom < top <= 90):
        raise ValueError("area must be [west, south, east, north] in degrees")
    return Bounds(left, bottom, right, top)


def _parts(bounds: Bounds) -> tuple[Bounds, ...]:
    """Split a rectangle at the antimeridian."""
    left, bottom, right, top = bounds
    if left <= right:
        return (Bounds(left, bottom, right, top),)
    return (Bounds(left, bottom, 180.0, top), Bounds(-180.0, bottom, right, top))


def _clipped(bounds: Bounds, area: Bounds) -> Bounds | None:
    """Cut a rectangle to an area; None where they are apart."""
    left, bottom = max(bounds.left, area.left), max(bounds.bottom, area.bottom)
    right, top = min(bounds.right, area.right), min(bounds.top, area.top)
    return Bounds(left, bottom, right, top) if left <= right and bottom <= top else None


def _projected(crs: str, bounds: Bounds) -> Bounds:
    """Give the outline, in the CRS, of a rectangle of longitude and latitude."""
    transformer: Transformer = lonlat_transformer(crs)
    return Bounds(*transformer.transform_bounds(*bounds, densify_pts=21, direction="INVERSE"))


def _indexes(first: float, last: float) -> tuple[int, int]:
    """Give the first and last tile (or pixel) that a span touches, counted from the origin; one at least."""
    start = math.floor(first + INSET)
    return start, max(start, math.ceil(last - INSET) - 1)


def grids_meeting(registry: Registry[Grid], bounds: Bounds) -> tuple[Grid, ...]:
    """Give the grids that have something of lon/lat bounds, the most widely understood first.

    Web Mercator, then the local grids, then plate carrée, and those with 512 px tiles after all others.
    """
    return grids_meeting_each(registry, [bounds])[0]


def grids_meeting_each(registry: Registry[Grid], bounds: Sequence[Bounds]) -> list[tuple[Grid, ...]]:
    """Give what `grids_meeting` gives for each of many bounds."""
    first = {"WebMercatorQuad": 0, "WorldCRS84Quad": 2}

    def order(grid: Grid) -> tuple[bool, int, str]:
        return grid.tile_size != 256, first.get(grid.id.removesuffix("_512"), 1), grid.id

    grids = sorted(registry.values(), key=order)
    boxes = np.array(bounds, float).reshape(-1, 4, 1)
    west, south, east, north = boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3]
    left, bottom, right, top = np.array([grid.area for grid in grids], float).reshape(-1, 4).T
    from_west, from_east = west <= right, left <= east
    beside = np.where(west <= east, from_west & from_east, from_west | from_east)
    meeting = beside & (south <= top) & (bottom <= north) & (south <= north)
    known: dict[bytes, tuple[Grid, ...]] = {}
    for flags in meeting:
        if flags.tobytes() not in known:
            known[flags.tobytes()] = tuple(grids[number] for number in np.flatnonzero(flags))
    return [known[flags.tobytes()] for flags in meeting]
