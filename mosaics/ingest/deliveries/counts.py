"""The pixels of a band group as they are stored: calibrated, detected, and nothing where nothing was seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.enums import Resampling
from rasterio.windows import Window

from mosaics.ingest.deliveries.parts import PartedImage
from mosaics.products.delivery import BandGroup

if TYPE_CHECKING:
    from numpy.typing import NDArray


class GroupPixels:
    """Reads the image of a group as it is stored: calibrated, detected, with what means nothing as nodata."""

    def __init__(self, group: BandGroup, image: PartedImage) -> None:
        self.group = group
        self._image = image
        stored = image.data_type
        self.is_power = bool(group.calibrations) or group.is_complex or stored.kind == "c"
        self.data_type = np.dtype("float32") if self.is_power else stored
        self.nodata = math.nan if self.is_power else group.nodata
        if self.nodata is None and self.data_type.kind == "f":
            self.nodata = math.nan
        self.has_mask = self.nodata is None
        self.fill = 0 if self.nodata is None else self.nodata
        self.bytes = self.data_type.itemsize * len(group.bands)
        is_single_look = group.is_complex or stored.kind == "c"
        self.resampling = Resampling.average if is_single_look else Resampling.bilinear

    @property
    def lineage(self) -> tuple[str, ...]:
        """What is done to counts, for the item."""
        if self.group.calibrations:
            return (f"counts calibrated to {self.group.quantity} (linear)",)
        return ("complex samples detected to intensity",) if self.is_power else ()

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Give values, shape (bands, rows, columns), and where any band says something, (rows, columns)."""
        counts, there = self._image.read(window)
        rows = slice(int(window.row_off), int(window.row_off + window.height))
        columns = slice(int(window.col_off), int(window.col_off + window.width))
        if self.group.calibrations:
            values = np.stack(
                [
                    calibrate(band, rows, columns)
                    for calibrate, band in zip(self.group.calibrations, counts, strict=True)
                ]
            ).astype("float32")
        elif counts.dtype.kind == "c":
            values = counts.real**2 + counts.imag**2
        elif self.group.is_complex:
            values = counts.astype("float32") ** 2  # amplitudes
        else:
            values = counts
        if self.is_power:
            there &= (counts != (0 if self.group.nodata is None else self.group.nodata)).any(axis=0)
        if self.nodata is not None:
            values[:, ~there] = self.nodata
        return values, there
