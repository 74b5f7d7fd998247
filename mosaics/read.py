"""Reads stored values for a frame; the seam behind which readers may differ.

With `mosaics.ingest` this is the only room that opens a raster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import from_bounds
from rasterio.windows import Window
from rio_tiler.reader import read as rio_tiler_read

from mosaics.errors import SceneUnreadableError
from mosaics.models import UNMIXED_KINDS, Frame, Kind, Raster, Scene
from mosaics.stopping import Stop, go_on, never
from mosaics.tiff.files import FileChangedError
from mosaics.tiff.raster import opened_by_gdal
from mosaics.tiff.scene_files import SceneFiles
from mosaics.tiff.streams import RangeStream
from mosaics.warp import inverted, mesh, nearest_level

Resampling = Literal["nearest", "bilinear", "cubic"]


class SceneReader(Protocol):
    """Reads scenes; any implementation gives the pixels of the rio-tiler one."""

    def read(
        self,
        scene: Scene,
        indexes: Sequence[int],
        frame: Frame,
        resampling: Resampling,
        stop: Stop = never,
    ) -> Raster:
        """Read bands of a scene, resampled onto a frame.

        Args:
            scene: What to read.
            indexes: 1-based band numbers in the file.
            frame: Output pixels; it may lie partly or wholly outside the scene.
            resampling: How stored pixels become output pixels.
            stop: Asked between steps as small as the reader has.

        Returns:
            Values of shape (len(indexes), height, width) and where they are valid.

        Raises:
            SceneUnreadableError: If the file can't be read.
            NobodyWaitsError: If `stop` said so.
        """

    def sample(
        self, scene: Scene, longitude: float, latitude: float, ground_resolution: float
    ) -> tuple[float | None, ...] | None:
        """Read the stored values at a place, at a level no finer than a resolution.

        Args:
            scene: What to read.
            longitude: Degrees east, WGS 84.
            latitude: Degrees north, WGS 84.
            ground_resolution: Metres per pixel; 0 for native.

        Returns:
            One value per band (None where that band alone is not finite), or None where the scene has no
            valid pixel there.

        Raises:
            SceneUnreadableError: If the file can't be read.
        """


@dataclass(frozen=True, kw_only=True)
class RioTilerReader:
    """The reference: rio-tiler over GDAL's warper, one open per read."""

    tolerance: float = 0.125
    """Stored pixels by which the warper may be off when it interpolates positions; above 0."""
    files: SceneFiles = field(default_factory=SceneFiles)
    """Where files are opened."""

    def read(
        self,
        scene: Scene,
        indexes: Sequence[int],
        frame: Frame,
        resampling: Resampling,
        stop: Stop = never,
    ) -> Raster:
        """Read bands of a scene, resampled onto a frame."""
        go_on(stop)
        transform = from_bounds(*frame.bounds, frame.width, frame.height)
        crs = CRS.from_user_input(frame.crs)
        try:
            with self._level_of(scene, frame, stop) as source:
                image = rio_tiler_read(
                    source,
                    indexes=list(indexes),
                    vrt_options={
                        "crs": crs,
                        "transform": transform,
                        "width": frame.width,
                        "height": frame.height,
                        "tolerance": self.tolerance,
                    },
                    resampling_method=resampling,
                    reproject_method=resampling,
                )
        except (RasterioError, OSError, FileChangedError, ValueError, IndexError) as error:
            raise SceneUnreadableError(scene.id) from error
        data = np.asarray(image.array.data)
        # not image.mask, whose "nothing" is the least value of the type rather than 0
        valid: NDArray[np.bool_] = np.any(~np.ma.getmaskarray(image.array), axis=0)
        if image.alpha_mask is not None:
            valid = np.asarray(image.alpha_mask) >= _opaque(image.alpha_mask.dtype) / 2
        if np.issubdtype(data.dtype, np.floating):
            valid &= np.isfinite(data).all(axis=0)
        return Raster(data=data, valid=valid)

    def sample(
        self, scene: Scene, longitude: float, latitude: float, ground_resolution: float
    ) -> tuple[float | None, ...] | None:
        """Read the stored values at a place."""
        try:
            file = self.files.open(scene)
            with opened_by_gdal(file, RangeStream(file)) as source:
                to_scene = Transformer.from_crs("OGC:CRS84", source.crs.to_wkt(), always_xy=True)
                x, y = to_scene.transform(longitude, latitude)
                if not (np.isfinite(x) and np.isfinite(y)):
                    return None
                column, row = ~source.transform @ (x, y)
                factor = max(1, int(np.ceil(ground_resolution / scene.ground_resolution - 1e-6)))
                column, row = int(column // factor) * factor, int(row // factor) * factor
                if not (0 <= column < source.width and 0 <= row < source.height):
                    return None
                window = Window(
                    column, row, min(factor, source.width - column), min(factor, source.height - row)
                )
                count = len(scene.bands)
                values = source.read(list(range(1, count + 1)), window=window).astype("float64")
                inside = (source.dataset_mask(window=window) != 0) & np.isfinite(values).any(axis=0)
        except (RasterioError, OSError, FileChangedError, ValueError, IndexError) as error:
            raise SceneUnreadableError(scene.id) from error
        if not inside.any():
            return None
        return of_square(values, inside, scene.kind)

    @contextmanager
    def _level_of(self, scene: Scene, frame: Frame, stop: Stop) -> Iterator[DatasetReader]:
        """Open the level of a file whose resolution is nearest to a frame's.

        A warper left alone reads the finest one whatever is asked: slowly, and single pixels of it where
        nothing is averaged.
        """
        file = self.files.open(scene)
        stream = RangeStream(file, stop)
        with opened_by_gdal(file, stream) as source:
            chosen = _nearest_level(source, frame)
            if chosen == 0:
                yield source
                return
        with opened_by_gdal(file, stream, chosen - 1) as source:
            yield source


def of_square(values: NDArray[np.float64], inside: NDArray[np.bool_], kind: Kind) -> tuple[float | None, ...]:
    """Give one value per band for a square of pixels: their mean, or the middle one of what has none.

    Args:
        values: Shape (bands, rows, columns).
        inside: Which pixels are valid, shape (rows, columns).
        kind: What the numbers mean.
    """
    held = [band[inside & np.isfinite(band)] for band in values]
    if kind in UNMIXED_KINDS:
        return tuple(float(band[band.size // 2]) if band.size else None for band in held)
    return tuple(float(band.mean()) if band.size else None for band in held)


def _nearest_level(source: DatasetReader, frame: Frame) -> int:
    overviews: list[int] = source.overviews(1)
    if not overviews or source.crs is None:
        return 0
    found = mesh(frame, source.crs.to_wkt(), inverted(tuple(source.transform[:6])), 1.0)
    return nearest_level([1.0, *map(float, overviews)], found.density)


def _opaque(dtype: np.dtype[Any]) -> float:
    """Give the alpha that means opaque: the greatest integer of the type, 1 for floats."""
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0
