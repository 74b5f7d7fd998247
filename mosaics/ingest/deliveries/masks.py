"""What a product says of the worth of its pixels, as classes, and where it was seen at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import shapely
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.windows import Window

from mosaics.gdal import deepest_reason, open_raster
from mosaics.ingest.deliveries.placing import GroundGrid, grid_of
from mosaics.ingest.limits import check_blocks, check_size
from mosaics.products.delivery import BandGroup, DeliveryUnreadableError, Mask, VectorMask
from mosaics.products.dimap_masks import edges_of_pixels, ordered, read_gml_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.io import DatasetReader
    from shapely.geometry.base import BaseGeometry

NOTHING: Final = 0
CLASSES: Final = {
    NOTHING: ("nothing", "no data"),
    1: ("clear", "nothing lies over the ground"),
    2: ("snow", "snow or ice"),
    3: ("shadow", "shadow of a cloud, or hidden by relief"),
    4: ("haze_light", "light haze or thin cirrus"),
    5: ("haze_heavy", "heavy haze"),
    6: ("cloud", "cloud"),
    7: ("doubtful", "saturated, defective or in doubt"),
}
"""Value -> (name, words); those of UDM2's bands where it has them."""
_OF_SCL: Final = (0, 7, 3, 3, 1, 1, 1, 1, 6, 6, 4, 2)
"""Sentinel-2's scene classes, in their order, as ours. Source: ESA, Sen2Cor scene classification."""
_DRAWN: Final = (
    ("quality", 7),
    ("straylight", 7),
    ("detectors", 7),
    ("hidden", 3),
    ("snow", 2),
    ("cloud", 6),
)
"""Polygons in the order in which they are drawn, the last on top."""
_UDM_BLACKFILL, _UDM_CLOUD = 1, 2
_UDM2_UNUSABLE: Final = 8
"""Number of the band of bits."""


def classes() -> list[dict[str, Any]]:
    """Give the classes as the STAC extension classification writes them."""
    return [{"value": value, "name": name, "description": words} for value, (name, words) in CLASSES.items()]


def shapes_in_pixels(
    masks: Sequence[VectorMask], source: DatasetReader, group: BandGroup
) -> dict[str, BaseGeometry]:
    """Read polygons, by kind, in columns and rows of the whole image; the first pixel's corner is 0, 0.

    Args:
        masks: Of the group.
        source: Its upper left part, which says where an image on the ground lies.
        group: The group.
    """
    found = {}
    for mask in masks:
        shape = read_gml_mask(mask.path)
        if mask.in_pixels:
            found[mask.kind] = edges_of_pixels(shape, mask)
        elif group.geometry == "ground":
            right, bottom = source.transform @ (group.width, group.height)
            bounds = (source.transform.c, bottom, right, source.transform.f)
            found[mask.kind] = _to_pixels(ordered(shape, bounds), ~source.transform)
    return {kind: shape for kind, shape in found.items() if kind != "roi" or not shape.is_empty}


def _to_pixels(shape: BaseGeometry, to_pixels: Affine) -> BaseGeometry:
    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        columns, rows = to_pixels @ (points[:, 0], points[:, 1])
        return np.column_stack((columns, rows))

    moved_shape: BaseGeometry = shapely.transform(shape, moved)
    return moved_shape


def drawn(shape: BaseGeometry, window: Window) -> NDArray[np.bool_]:
    """Tell which pixels of a window a shape of columns and rows touches, shape (rows, columns).

    Corners of polygons are middles of pixels, which belong to them.
    """
    size = int(window.height), int(window.width)
    box = shapely.box(
        window.col_off, window.row_off, window.col_off + window.width, window.row_off + window.height
    )
    if shape.is_empty or not shape.intersects(box):
        return np.zeros(size, bool)
    if shape.contains(box):
        return np.ones(size, bool)
    transform = Affine.translation(window.col_off, window.row_off)
    burnt = rasterize(
        [(shape.intersection(box), 1)], out_shape=size, transform=transform, all_touched=True, dtype="uint8"
    )
    return np.asarray(burnt, "uint8") > 0


@dataclass(frozen=True)
class VectorMasks:
    """Polygons as classes, in the geometry of the image."""

    shapes: Mapping[str, BaseGeometry]
    group: BandGroup

    data_type = np.dtype("uint8")
    nodata = float(NOTHING)
    resampling = Resampling.nearest
    descriptions = ("mask",)
    scales = ()

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Give classes."""
        size = int(window.height), int(window.width)
        there = drawn(self.shapes["roi"], window) if "roi" in self.shapes else np.ones(size, bool)
        values = there.astype("uint8")
        for kind, value in _DRAWN:
            if kind in self.shapes:
                values[there & drawn(self.shapes[kind], window)] = value
        return values[np.newaxis], there


class RasterMask:
    """A raster as classes; a context manager for one thread."""

    data_type = np.dtype("uint8")
    nodata = float(NOTHING)
    resampling = Resampling.nearest
    descriptions = ("mask",)
    scales = ()

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._source: DatasetReader

    def __enter__(self) -> Self:
        """Open it.

        Raises:
            DeliveryUnreadableError: If it is none, or not as its kind says.
        """
        name = self._mask.path.name
        try:
            self._source = open_raster(self._mask.path, jp2=True)
        except OSError as error:
            raise DeliveryUnreadableError(f"{name}: the mask can't be opened: {error}") from error
        source = self._source
        check_size(name, source.width, source.height, source.count)
        check_blocks(name, source)
        wanted = _UDM2_UNUSABLE if self._mask.kind == "udm2" else 1
        if source.count < wanted or source.crs is None:
            raise DeliveryUnreadableError(f"{name}: it is no mask of the kind {self._mask.kind}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._source.close()

    @property
    def grid(self) -> GroundGrid:
        """Where it lies."""
        return grid_of(self._source, self._source.width, self._source.height)

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Give classes."""
        try:
            stored = self._source.read(window=window)
        except (RasterioError, OSError) as error:
            raise DeliveryUnreadableError(
                f"{self._mask.path.name}: damaged: it can't be decoded ({deepest_reason(error)})"
            ) from error
        values = _READ[self._mask.kind](stored)
        return values[np.newaxis], values != NOTHING


def _of_udm(stored: NDArray[Any]) -> NDArray[np.uint8]:
    """Read Planet's bits: 1 where nothing was seen, 2 cloud, the others bands that are missing or suspect."""
    bits = stored[0].astype("uint8")
    values = np.ones(bits.shape, "uint8")
    values[bits > _UDM_CLOUD] = 7
    values[bits & _UDM_CLOUD != 0] = 6
    values[bits & _UDM_BLACKFILL != 0] = NOTHING
    return values


def _of_udm2(stored: NDArray[Any]) -> NDArray[np.uint8]:
    """Read Planet's eight bands: clear, snow, shadow, light haze, heavy haze, cloud, confidence, unusable."""
    values = np.full(stored.shape[1:], 7, "uint8")
    for value in (1, 2, 3, 4, 5, 6):
        values[stored[value - 1] > 0] = value
    values[stored[_UDM2_UNUSABLE - 1] & _UDM_BLACKFILL != 0] = NOTHING
    return values


def _of_scl(stored: NDArray[Any]) -> NDArray[np.uint8]:
    table = np.full(256, 7, "uint8")
    table[: len(_OF_SCL)] = _OF_SCL
    return np.asarray(table[stored[0].astype("uint8")])


_READ: Final[Mapping[str, Callable[[NDArray[Any]], NDArray[np.uint8]]]] = {
    "udm": _of_udm,
    "udm2": _of_udm2,
    "scl": _of_scl,
}
