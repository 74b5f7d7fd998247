"""Makes one file on the ground of the image of a band group, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.rpc import RPC
from rasterio.transform import Affine
from rasterio.warp import reproject
from rasterio.windows import Window

from mosaics.errors import IngestError
from mosaics.gdal import deepest_reason, unplaced_files_expected
from mosaics.ingest.deliveries.counts import GroupPixels
from mosaics.ingest.deliveries.parts import PartedImage
from mosaics.ingest.deliveries.placing import (
    GroundGrid,
    PointWarp,
    SensorModel,
    ground_grid,
    outline,
    source_window,
    thinned,
)
from mosaics.ingest.deliveries.terrain import Terrain, cut_terrain
from mosaics.ingest.limits import check_complete
from mosaics.ingest.profile import PROFILE
from mosaics.ingest.source import Progress, windows
from mosaics.ingest.workplace import is_disk_full, no_room
from mosaics.models import Bounds
from mosaics.products.delivery import BandGroup, DeliveryUnreadableError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader, DatasetWriter

_BLOCK: Final = 1024
"""Pixels along a side of what is warped at once."""
_TOLERANCE: Final = 0.125
"""Pixels by which GDAL may be off where it interpolates positions along a row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GroundOptions:
    """How images in sensor geometry are put on the ground."""

    terrain: Path | None = None
    """Elevation model, a GeoTIFF of metres; None: all at the mean height."""
    terrain_offset: float = 0.0
    """Metres added to its heights, such as the geoid's above the ellipsoid."""
    crs: str | None = None
    """Where to; None: the UTM zone."""
    resolution: float | None = None
    """Of the CRS's units; None: the image's own."""
    warp: PointWarp | None = None
    """For images that are placed by points; None: whichever suits them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preparation:
    """What is to be made of a band group."""

    group: BandGroup
    rpc: RPC | None
    """Of the group's own file of coefficients; None: the image has them, or none."""
    options: GroundOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A file on the ground."""

    path: Path
    """GeoTIFF with one kind of pixels, all bands of the group in its order."""
    notes: tuple[str, ...] = ()
    """What was done, for the person who banks and for the item."""
    lineage: tuple[str, ...] = ()
    """The same for the item's processing:lineage, in English."""


def prepare(preparation: Preparation, folder: Path, report: Progress) -> Prepared:
    """Write the image of a band group, placed on the ground.

    Args:
        preparation: What of what.
        folder: Where the file and what it needs meanwhile are written.
        report: Called with ("preparing", 0 to 1).

    Raises:
        IngestError: If the parts make no image, one can't be decoded, or it can't be placed.
    """
    name = preparation.group.metadata.name
    made = _copied if preparation.group.geometry == "ground" else _orthorectified
    with PartedImage(preparation.group) as image, unplaced_files_expected():
        try:
            prepared = made(preparation, image, folder, report)
            check_complete(name, prepared.path)
        except (RasterioError, OSError, IngestError) as error:
            if is_disk_full(error, folder):
                raise no_room(name, folder) from error
            if isinstance(error, IngestError):
                raise
            raise IngestError(f"{name}: {deepest_reason(error)}") from error
    return prepared


def _copied(preparation: Preparation, image: PartedImage, folder: Path, report: Progress) -> Prepared:
    """Put the parts of an image that lies on the ground already into one file."""
    group = preparation.group
    source = image.first
    if source.crs is None or source.transform.is_identity:
        raise DeliveryUnreadableError(
            f"{group.files[0].path.name}: it has no georeference, but its metadata says it is on the ground"
        )
    grid = GroundGrid(
        crs=source.crs.to_wkt(),
        transform=source.transform,
        width=group.width,
        height=group.height,
        resolution=abs(source.transform.a),
    )
    pixels = GroupPixels(group, image)
    path = folder / f"{group.name}.tif"
    done, total = 0, grid.width * grid.height
    with _created(path, grid, pixels) as target:
        for window in windows(grid.width, grid.height, pixels.bytes, PROFILE.block_size):
            values, valid = pixels.read(window)
            target.write(values, window=window)
            if pixels.has_mask:
                target.write_mask(valid, window=window)
            done += int(window.width) * int(window.height)
            report("preparing", done / total)
    return Prepared(path=path, lineage=pixels.lineage)


def _orthorectified(preparation: Preparation, image: PartedImage, folder: Path, report: Progress) -> Prepared:
    group, options = preparation.group, preparation.options
    model, notes = _model(preparation, image.first, folder)
    grid = ground_grid(model, options.crs, options.resolution)
    pixels = GroupPixels(group, image)
    path = folder / f"{group.name}.tif"
    done, total = 0, grid.width * grid.height
    with _created(path, grid, pixels) as target:
        for window in _squares(grid):
            part = source_window(model, grid, window)
            if part is not None:
                _warp(pixels, model, (grid, window), part, target)
            elif pixels.nodata is not None:
                _blank(pixels, window, target)
            done += int(window.width) * int(window.height)
            report("preparing", done / total)
    done_so = "orthorectified" if model.rpc is not None else "geocoded"
    words = f"{done_so} to {grid.crs if grid.crs.startswith('EPSG') else 'the CRS asked for'}"
    notes = (f"{words} at {grid.resolution:g} per pixel, {notes[0]}", *notes[1:])
    return Prepared(path=path, notes=notes, lineage=(*pixels.lineage, *notes))


def _model(
    preparation: Preparation, source: DatasetReader, folder: Path
) -> tuple[SensorModel, tuple[str, ...]]:
    """Find out where pixels lie, and say how."""
    group, options = preparation.group, preparation.options
    rpc = preparation.rpc or source.rpcs
    if rpc is not None:
        flat = SensorModel(height=group.height, width=group.width, rpc=rpc, mean_height=rpc.height_off)
        if options.terrain is None:
            return flat, (
                f"by its RPC at the mean height of {rpc.height_off:.0f} m, without an elevation model",
            )
        terrain = _terrain(options, outline(flat), folder)
        placed = SensorModel(
            height=group.height, width=group.width, rpc=rpc, terrain=terrain.path, mean_height=terrain.mean
        )
        notes = (f"by its RPC with the elevation model {options.terrain.name}",)
        if terrain.covered < 0.995:
            words = f"the elevation model has heights for {terrain.covered:.0%} of its surroundings"
            return placed, (
                *notes,
                f"{words}; elsewhere they were filled in, by {terrain.mean:.0f} m far away",
            )
        return placed, notes
    points = tuple(
        GroundControlPoint(row=p.row, col=p.column, x=p.longitude, y=p.latitude, z=p.height)
        for p in group.points
    ) or _points_of(source)
    if not points:
        raise DeliveryUnreadableError(
            f"{group.files[0].path.name}: it is in sensor geometry, and nothing says where it lies: no RPC, "
            "no points"
        )
    used, warp = thinned(points, options.warp)
    model = SensorModel(height=group.height, width=group.width, points=used, warp=warp)
    return model, (f"by {len(used)} points ({warp}), without regard to relief",)


def _points_of(source: DatasetReader) -> tuple[GroundControlPoint, ...]:
    points, crs = source.gcps
    if points and crs is not None and not crs.is_geographic:
        raise DeliveryUnreadableError(
            f"{Path(source.name).name}: its points are not in longitude and latitude"
        )
    return tuple(points)


def _terrain(options: GroundOptions, lonlat: NDArray[np.float64], folder: Path) -> Terrain:
    assert options.terrain is not None, "asked only with a model"
    west, south = lonlat.min(axis=0)
    east, north = lonlat.max(axis=0)
    return cut_terrain(options.terrain, options.terrain_offset, Bounds(west, south, east, north), folder)


def _squares(grid: GroundGrid) -> list[Window]:
    return [
        Window(left, top, min(_BLOCK, grid.width - left), min(_BLOCK, grid.height - top))
        for top in range(0, grid.height, _BLOCK)
        for left in range(0, grid.width, _BLOCK)
    ]


def _warp(
    pixels: GroupPixels,
    model: SensorModel,
    to: tuple[GroundGrid, Window],
    part: Window,
    target: DatasetWriter,
) -> None:
    """Resample what a window needs of the image onto it."""
    grid, window = to
    values, valid = pixels.read(part)
    shape = int(window.height), int(window.width)
    placing = {
        **model.within(part),
        "dst_transform": grid.transform @ Affine.translation(window.col_off, window.row_off),
        "dst_crs": CRS.from_user_input(grid.crs),
        "tolerance": _TOLERANCE,
    }
    found = np.full((len(values), *shape), pixels.fill, values.dtype)
    reproject(
        values,
        found,
        src_nodata=pixels.nodata,
        dst_nodata=pixels.nodata,
        resampling=pixels.resampling,
        **placing,
    )
    target.write(found, window=window)
    if pixels.has_mask:
        shown = np.zeros(shape, "uint8")
        reproject(valid.view("u1") * np.uint8(255), shown, resampling=Resampling.nearest, **placing)
        target.write_mask(shown, window=window)


def _blank(pixels: GroupPixels, window: Window, target: DatasetWriter) -> None:
    shape = len(pixels.group.bands), int(window.height), int(window.width)
    target.write(np.full(shape, pixels.fill, pixels.data_type), window=window)


def _created(path: Path, grid: GroundGrid, pixels: GroupPixels) -> DatasetWriter:
    """Make the file, with what the product says of its bands."""
    group = pixels.group
    target = rasterio.open(
        path,
        "w",
        width=grid.width,
        height=grid.height,
        count=len(group.bands),
        dtype=pixels.data_type.name,
        crs=CRS.from_user_input(grid.crs),
        transform=grid.transform,
        nodata=pixels.nodata,
        **PROFILE.work_options(pixels.data_type.name, len(group.bands), grid.width * grid.height),
    )
    for place, band in enumerate(group.bands, start=1):
        target.set_band_description(place, band.id)
    return target
