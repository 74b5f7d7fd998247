"""Where the pixels of an image in sensor geometry lie on the ground, and the grid that it is put on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info
from pyproj.exceptions import CRSError, ProjError
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import Affine, GCPTransformer, RPCTransformer, TransformerBase
from rasterio.windows import Window

from mosaics.errors import IngestError
from mosaics.models import Bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

PointWarp = Literal["polynomial", "spline"]
"""How what lies between points is found: one polynomial for all, or a thin plate through each."""

LONLAT: Final = "EPSG:4326"
_FEWEST_FOR_SPLINE: Final = 16
_MOST_POINTS: Final = 400
"""Of a spline, whose cost grows with the cube of them."""
_STEPS: Final = 32
"""Of a side, at which positions are computed to find what part of the image a window needs."""
_MARGIN: Final = 48
"""Pixels of the image that are read around that part: relief between the steps, and the kernel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SensorModel:
    """Tells where pixels of an image lie: by rational polynomials and heights, or by points."""

    height: int
    """Rows of the image."""
    width: int
    """Columns of the image."""
    rpc: RPC | None = None
    points: tuple[GroundControlPoint, ...] = ()
    """Longitudes and latitudes (x, y) of places of the image; none where there is an RPC."""
    warp: PointWarp = "polynomial"
    """For points."""
    terrain: Path | None = None
    """GeoTIFF of heights above the ellipsoid, metres; without it all lies at `mean_height`."""
    mean_height: float = 0.0
    """Metres above the ellipsoid."""

    @property
    def is_spline(self) -> bool:
        """A thin plate through its points places it."""
        return self.rpc is None and self.warp == "spline"

    def to_lonlat(self, rows: Iterable[float], columns: Iterable[float]) -> NDArray[np.float64]:
        """Give longitudes and latitudes of places of the image, shape (places, 2)."""
        with self._transformer() as transformer:
            found = transformer.xy(list(rows), list(columns), offset="ul")
        return np.column_stack(found).astype("float64")

    def to_pixels(self, longitudes: NDArray[Any], latitudes: NDArray[Any]) -> NDArray[np.float64]:
        """Give rows and columns of places on the ground, shape (places, 2)."""
        with self._transformer() as transformer:
            found = transformer.rowcol(longitudes.tolist(), latitudes.tolist(), op=_itself)
        return np.column_stack(found).astype("float64")

    def within(self, window: Window) -> dict[str, Any]:
        """Give rasterio.warp.reproject's arguments for a part of the image."""
        row, column = window.row_off, window.col_off
        if self.rpc is not None:
            moved = moved_rpc(self.rpc, row, column)
            return {"rpcs": moved, "src_crs": LONLAT, **self._options()}
        moved_points = [
            GroundControlPoint(row=point.row - row, col=point.col - column, x=point.x, y=point.y, z=point.z)
            for point in self.points
        ]
        method = "GCP_TPS" if self.warp == "spline" else "GCP_POLYNOMIAL"
        return {"gcps": moved_points, "src_crs": LONLAT, "SRC_METHOD": method}

    def _options(self) -> dict[str, Any]:
        if self.terrain is None:
            return {"RPC_HEIGHT": self.mean_height}
        return {
            "RPC_DEM": str(self.terrain),
            "RPC_DEMINTERPOLATION": "bilinear",
            "RPC_DEM_MISSING_VALUE": self.mean_height,
        }

    def _transformer(self) -> TransformerBase:
        if self.rpc is not None:
            return RPCTransformer(self.rpc, **self._options())
        return GCPTransformer(list(self.points), tps=self.warp == "spline")


@dataclass(frozen=True, kw_only=True, slots=True)
class GroundGrid:
    """The pixels that an image is put on."""

    crs: str
    """WKT 2, or EPSG:CODE."""
    transform: Affine
    """North up."""
    width: int
    height: int
    resolution: float
    """Of the CRS's units per pixel."""

    def bounds_of(self, window: Window) -> Bounds:
        """Give the rectangle around a window of it."""
        left, top = self.transform @ (window.col_off, window.row_off)
        right, bottom = self.transform @ (window.col_off + window.width, window.row_off + window.height)
        return Bounds(left, bottom, right, top)


def grid_of(source: DatasetReader, width: int, height: int) -> GroundGrid:
    """Give the grid of an image on the ground whose upper left part is `source`."""
    return GroundGrid(
        crs=source.crs.to_wkt(),
        transform=source.transform,
        width=width,
        height=height,
        resolution=abs(source.transform.a),
    )


def thinned(
    points: tuple[GroundControlPoint, ...], warp: PointWarp | None
) -> tuple[tuple[GroundControlPoint, ...], PointWarp]:
    """Choose the warp that suits points, and leave out what a spline could not bear.

    Those that stay lie all over the image: each is the one that is farthest from all that were chosen before.

    Args:
        points: All there are.
        warp: What was asked for; None to choose.
    """
    chosen: PointWarp = warp or ("spline" if len(points) >= _FEWEST_FOR_SPLINE else "polynomial")
    if chosen == "polynomial" or len(points) <= _MOST_POINTS:
        return points, chosen
    places = np.array([(point.row, point.col) for point in points], dtype=np.float64)
    places = (places - places.min(axis=0)) / np.maximum(np.ptp(places, axis=0), 1e-9)
    kept = [int(places.sum(axis=1).argmin())]
    distances = np.full(len(points), np.inf)
    while len(kept) < _MOST_POINTS:
        distances = np.minimum(distances, ((places - places[kept[-1]]) ** 2).sum(axis=1))
        kept.append(int(distances.argmax()))
    return tuple(points[place] for place in sorted(kept)), chosen


def outline(model: SensorModel) -> NDArray[np.float64]:
    """Give longitudes and latitudes around an image, shape (places, 2)."""
    steps = np.linspace(0, 1, _STEPS + 1)
    rows, columns = steps * model.height, steps * model.width
    edge = [
        *((0.0, column) for column in columns),
        *((row, float(model.width)) for row in rows),
        *((float(model.height), column) for column in columns),
        *((row, 0.0) for row in rows),
    ]
    found = model.to_lonlat(*zip(*edge, strict=True))
    known = found[np.isfinite(found).all(axis=1)]
    if len(known) < len(found) / 2:
        raise IngestError("its coefficients or points place most of its edge nowhere on the Earth")
    return known


def ground_grid(model: SensorModel, crs: str | None, resolution: float | None) -> GroundGrid:
    """Choose the grid that an image is put on.

    Args:
        model: Where its pixels lie.
        crs: Anything pyproj understands; None: the UTM zone of its middle.
        resolution: Units of the CRS per pixel; None: as the image has at its middle, to two digits.

    Raises:
        IngestError: If the CRS is none, or the image lies nowhere.
    """
    lonlat = outline(model)
    middle = model.to_lonlat([model.height / 2], [model.width / 2])[0]
    chosen = _crs(crs) if crs is not None else _utm(*middle)
    to_ground = Transformer.from_crs("OGC:CRS84", chosen, always_xy=True)
    xs, ys = to_ground.transform(lonlat[:, 0], lonlat[:, 1])
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise IngestError(f"the image can't be put into {chosen.name}; name another CRS with --crs")
    step = resolution or _two_digits(_spacing(model, to_ground))
    left, top = math.floor(xs.min() / step) * step, math.ceil(ys.max() / step) * step
    width, height = math.ceil((xs.max() - left) / step), math.ceil((top - ys.min()) / step)
    name = chosen.to_epsg()
    return GroundGrid(
        crs=f"EPSG:{name}" if name else chosen.to_wkt(),
        transform=Affine(step, 0, left, 0, -step, top),
        width=width,
        height=height,
        resolution=step,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lattice:
    """Where an image shows places that lie regularly in a window of the grid."""

    xs: NDArray[np.float64]
    """In the grid's CRS, of its columns, from the window's left edge."""
    ys: NDArray[np.float64]
    """Of its rows, from the window's upper edge."""
    places: NDArray[np.float64]
    """Rows and columns of the image, shape (rows, columns, 2)."""


def lattice_of(
    model: SensorModel, grid: GroundGrid, window: Window, step: float | None = None, fewest: int = 0
) -> Lattice:
    """Ask a model where the image shows a window.

    Args:
        model: Where its pixels lie.
        grid: What it is put on.
        window: Of the grid.
        step: Pixels of the grid between places; the last may lie beyond the window. None: 32 steps a side.
        fewest: Steps along a side, at least.
    """
    sides = []
    for size in (window.width, window.height):
        steps = _STEPS if step is None else max(math.ceil(size / step), fewest)
        sides.append(np.arange(steps + 1) * (size / steps if step is None else step))
    xs, _ = grid.transform @ (window.col_off + sides[0], np.zeros_like(sides[0]))
    _, ys = grid.transform @ (np.zeros_like(sides[1]), window.row_off + sides[1])
    to_lonlat = Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True)
    longitudes, latitudes = to_lonlat.transform(*(each.ravel() for each in np.meshgrid(xs, ys)))
    places = model.to_pixels(np.asarray(longitudes), np.asarray(latitudes))
    return Lattice(xs=xs, ys=ys, places=places.reshape(len(ys), len(xs), 2))


def source_window(model: SensorModel, lattice: Lattice) -> Window | None:
    """Give the part of the image that a window of the grid needs; None: the image has nothing there."""
    places = lattice.places.reshape(-1, 2)
    known = places[np.isfinite(places).all(axis=1)]
    if not len(known):
        return None
    (first_row, first_column), (last_row, last_column) = known.min(axis=0), known.max(axis=0)
    rows = max(0, math.floor(first_row) - _MARGIN), min(model.height, math.ceil(last_row) + _MARGIN)
    columns = max(0, math.floor(first_column) - _MARGIN), min(model.width, math.ceil(last_column) + _MARGIN)
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        return None
    return Window.from_slices(rows, columns)


def moved_rpc(rpc: RPC, row: float, column: float) -> RPC:
    """Give coefficients for an image that begins at a row and a column of this one."""
    moved = copy(rpc)
    moved.line_off -= row
    moved.samp_off -= column
    return moved


def _itself(value: Any) -> Any:
    return value


def _crs(text: str) -> CRS:
    try:
        found = CRS.from_user_input(text)
    except CRSError as error:
        raise IngestError(f"no CRS is called {text!r}; name one such as EPSG:2154") from error
    if not (found.is_projected or found.is_geographic):
        raise IngestError(f"{found.name} is no CRS of maps; name one such as EPSG:2154")
    return found


def _utm(longitude: float, latitude: float) -> CRS:
    if not (math.isfinite(longitude) and math.isfinite(latitude)):
        raise IngestError("its coefficients or points place its middle nowhere on the Earth")
    zones = query_utm_crs_info(
        datum_name="WGS 84",
        area_of_interest=AreaOfInterest(longitude, latitude, longitude, latitude),
    )
    if not zones:
        raise IngestError("it lies in no UTM zone; name a CRS with --crs")
    return CRS.from_epsg(int(zones[0].code))


def _spacing(model: SensorModel, to_ground: Transformer) -> float:
    """Give how far neighbouring pixels are apart at the middle, the nearer of rows and columns."""
    row, column = model.height / 2, model.width / 2
    far = min(32.0, model.height / 4, model.width / 4)
    lonlat = model.to_lonlat([row, row, row + far], [column, column + far, column])
    try:
        xs, ys = to_ground.transform(lonlat[:, 0], lonlat[:, 1], errcheck=True)
    except ProjError as error:
        raise IngestError("its coefficients or points place its middle nowhere on the Earth") from error
    along = (math.hypot(xs[place] - xs[0], ys[place] - ys[0]) / far for place in (1, 2))
    return min(along)


def _two_digits(value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise IngestError("its coefficients or points say nothing of the size of its pixels")
    return float(f"{value:.2g}")
