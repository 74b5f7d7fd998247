"""Makes one file on the ground of the image of a band group, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rasterio.control import GroundControlPoint
from rasterio.errors import RasterioError
from rasterio.rpc import RPC

from mosaics.errors import IngestError
from mosaics.gdal import deepest_reason, unplaced_files_expected
from mosaics.ingest.deliveries.counts import GroupPixels
from mosaics.ingest.deliveries.laying import FromSensor, OnGround, Placement
from mosaics.ingest.deliveries.masks import RasterMask, VectorMasks, shapes_in_pixels
from mosaics.ingest.deliveries.parts import PartedImage
from mosaics.ingest.deliveries.placing import (
    PointWarp,
    SensorModel,
    grid_of,
    ground_grid,
    outline,
    thinned,
)
from mosaics.ingest.deliveries.terrain import Terrain, cut_terrain
from mosaics.ingest.limits import check_complete
from mosaics.ingest.source import Progress
from mosaics.ingest.workplace import is_disk_full, no_room
from mosaics.models import Bounds
from mosaics.products.delivery import BandGroup, DeliveryUnreadableError, Mask, VectorMask

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader
    from shapely.geometry.base import BaseGeometry


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
    vector_masks: tuple[VectorMask, ...] = ()
    """Of this group."""
    raster_mask: Mask | None = None
    """Of the delivery, where this group leads."""
    keeps_mask: bool = False
    """A mask is written beside the image."""
    threads: int = 1
    """That resample."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A file on the ground."""

    path: Path
    """GeoTIFF with one kind of pixels, all bands of the group in its order."""
    notes: tuple[str, ...] = ()
    """What was done, for the person who banks and for the item."""
    lineage: tuple[str, ...] = ()
    """The same for the item's processing:lineage, in English."""
    mask: Path | None = None
    """GeoTIFF of classes (`masks.CLASSES`) of the same ground; None: the product tells none."""


def prepare(preparation: Preparation, folder: Path, report: Progress) -> Prepared:
    """Write the image of a band group, placed on the ground, and its mask.

    Args:
        preparation: What of what.
        folder: Where the files and what they need meanwhile are written.
        report: Called with ("preparing", 0 to 1).

    Raises:
        IngestError: If the parts make no image, one can't be decoded, or it can't be placed.
    """
    group = preparation.group
    name = group.metadata.name
    with PartedImage(group) as image, unplaced_files_expected():
        try:
            placement, notes = _placement(preparation, image, folder)
            shapes = shapes_in_pixels(preparation.vector_masks, image.first, group)
            pixels = GroupPixels(group, image, seen=shapes.get("roi"))
            path = folder / "image.tif"
            placement.lay(pixels, path, report)
            check_complete(name, path)
            mask = _mask(preparation, shapes, placement, folder) if preparation.keeps_mask else None
        except (RasterioError, OSError, IngestError) as error:
            if is_disk_full(error, folder):
                raise no_room(name, folder) from error
            if isinstance(error, IngestError):
                raise
            raise IngestError(f"{name}: {deepest_reason(error)}") from error
    return Prepared(path=path, notes=notes, lineage=(*pixels.lineage, *notes), mask=mask)


def _mask(
    preparation: Preparation, shapes: Mapping[str, BaseGeometry], placement: Placement, folder: Path
) -> Path | None:
    """Write what the product says of the worth of its pixels."""
    path = folder / "mask.tif"
    if preparation.raster_mask is not None:
        with RasterMask(preparation.raster_mask) as source:
            OnGround(grid=source.grid).lay(source, path, _unheard)
        return path
    if not shapes.keys() - {"roi"}:
        return None
    placement.lay(VectorMasks(shapes, preparation.group), path, _unheard)
    return path


def _unheard(_stage: str, _done: float) -> None:
    """A mask is quickly written."""


def _placement(
    preparation: Preparation, image: PartedImage, folder: Path
) -> tuple[Placement, tuple[str, ...]]:
    """Find out where an image lies, and say how."""
    group, options = preparation.group, preparation.options
    source = image.first
    is_placed = source.crs is not None and not source.transform.is_identity
    if group.geometry == "ground" and (is_placed or not (source.rpcs or source.gcps[0])):
        if not is_placed:
            name = group.files[0].path.name
            raise DeliveryUnreadableError(
                f"{name}: it has no georeference, but its metadata says it is on the ground"
            )
        return OnGround(grid=grid_of(source, image.width, image.height)), image.notes
    model, notes = _model(preparation, source, folder)
    grid = ground_grid(model, options.crs, options.resolution)
    done = "orthorectified" if model.rpc is not None else "geocoded"
    words = f"{done} to {grid.crs if grid.crs.startswith('EPSG') else 'the CRS asked for'}"
    first = f"{words} at {grid.resolution:g} per pixel, {notes[0]}"
    return FromSensor(grid=grid, model=model, threads=preparation.threads), (first, *notes[1:])


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
