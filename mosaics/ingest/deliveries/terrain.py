"""Heights under a scene, cut out of an elevation model and without holes, as the warper wants them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyproj
import rasterio
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.fill import fillnodata
from rasterio.transform import Affine
from rasterio.windows import Window

from mosaics.errors import IngestError
from mosaics.gdal import RasterOpenError, open_raster
from mosaics.models import Bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

_MOST_SAMPLES: Final = 48_000_000
"""Heights that are held at once; a finer model is averaged until it has no more."""
_MARGIN: Final = 0.05
"""Of the scene's size, that is cut out around it: relief leans."""
_SEARCH_PIXELS: Final = 200.0
"""How far a hole is filled from its rim."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terrain:
    """Heights for one scene."""

    path: Path
    """GeoTIFF of heights in metres above the ellipsoid, without nodata."""
    mean: float
    """Metres."""
    covered: float
    """Share of the scene's box that the model says something of, 0 to 1; elsewhere the mean stands."""


def cut_terrain(model: Path, offset: float, bounds: Bounds, folder: Path) -> Terrain:
    """Cut the heights under a scene out of an elevation model.

    Args:
        model: A GeoTIFF of heights in metres.
        offset: Metres added to them, such as the height of the geoid above the ellipsoid.
        bounds: Longitudes and latitudes around the scene.
        folder: Where the result is written.

    Raises:
        IngestError: If the model can't be read or does not touch the scene.
    """
    try:
        with open_raster(model) as source:
            if source.crs is None or source.count != 1 or source.dtypes[0].startswith("complex"):
                raise IngestError(f"{model.name}: it is no elevation model: one band of heights in a CRS is")
            found = _window(source, bounds)
            if found is None:
                raise IngestError(f"{model.name}: the elevation model does not touch the scene")
            window, share = found
            heights, transform = _heights(source, window)
            crs = source.crs.to_wkt()
    except RasterOpenError as error:
        raise IngestError(f"{model.name}: the elevation model can't be opened: {error.reason}") from error
    except (RasterioError, OSError) as error:
        raise IngestError(f"{model.name}: the elevation model can't be read: {error}") from error
    known = np.isfinite(heights)
    if not known.any():
        raise IngestError(f"{model.name}: the elevation model has no heights under the scene")
    mean = float(heights[known].mean()) + offset
    filled = _filled(heights, known) + offset
    path = folder / "terrain.tif"
    plane = pyproj.CRS.from_wkt(crs).to_2d().to_wkt()  # so that nobody shifts the heights once more
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "crs": plane, "transform": transform}
    with rasterio.open(
        path, "w", height=filled.shape[0], width=filled.shape[1], tiled=True, **profile
    ) as target:
        target.write(filled.astype("float32"), 1)
    return Terrain(path=path, mean=mean, covered=share * float(known.mean()))


def _window(source: DatasetReader, bounds: Bounds) -> tuple[Window, float] | None:
    """Find the pixels around the scene, and which share of it the model covers."""
    to_model = Transformer.from_crs("OGC:CRS84", source.crs.to_wkt(), always_xy=True)
    grown = _grown(bounds)
    left, bottom, right, top = to_model.transform_bounds(*grown, densify_pts=21)
    if not all(math.isfinite(side) for side in (left, bottom, right, top)):
        return None
    corners = [~source.transform @ (x, y) for x in (left, right) for y in (bottom, top)]
    columns, rows = zip(*corners, strict=True)
    left, right, top, bottom = (
        math.floor(min(columns)), math.ceil(max(columns)), math.floor(min(rows)), math.ceil(max(rows))
    )  # fmt: skip
    first_column, last_column = max(0, left), min(source.width, right)
    first_row, last_row = max(0, top), min(source.height, bottom)
    if first_column >= last_column or first_row >= last_row:
        return None
    share = (last_column - first_column) * (last_row - first_row) / ((right - left) * (bottom - top))
    return Window.from_slices((first_row, last_row), (first_column, last_column)), share


def _grown(bounds: Bounds) -> Bounds:
    across, along = (bounds.right - bounds.left) * _MARGIN, (bounds.top - bounds.bottom) * _MARGIN
    return Bounds(bounds.left - across, bounds.bottom - along, bounds.right + across, bounds.top + along)


def _heights(source: DatasetReader, window: Window) -> tuple[NDArray[np.float64], Affine]:
    """Read heights, NaN where there are none, averaged where they would be too many."""
    step = max(1.0, math.sqrt(window.width * window.height / _MOST_SAMPLES))
    shape = math.ceil(window.height / step), math.ceil(window.width / step)
    read = source.read(1, window=window, out_shape=shape, masked=True, resampling=Resampling.average)
    values = np.asarray(np.ma.filled(read.astype("float64"), np.nan), "float64")
    scale = Affine.scale(window.width / shape[1], window.height / shape[0])
    return values, source.window_transform(window) @ scale


def _filled(heights: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Fill holes from their rims, and what is far from any height with the mean."""
    if known.all():
        return heights
    start = np.where(known, heights, 0.0).astype("float32")
    filled = fillnodata(start, mask=known.astype("uint8"), max_search_distance=_SEARCH_PIXELS)
    reached = fillnodata(
        known.astype("float32"), mask=known.astype("uint8"), max_search_distance=_SEARCH_PIXELS
    )
    found: NDArray[np.float64] = np.where(reached > 0, filled, heights[known].mean()).astype("float64")
    return found
