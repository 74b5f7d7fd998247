"""The pixels of a band group as they are stored: calibrated, detected, and nothing where nothing was seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.enums import Resampling
from rasterio.windows import Window

from mosaics.ingest.deliveries.masks import drawn
from mosaics.ingest.deliveries.parts import PartedImage
from mosaics.products.delivery import BandGroup

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry


class GroupPixels:
    """Reads the image of a group: calibrated, detected, and nothing where nothing was seen."""

    def __init__(self, group: BandGroup, image: PartedImage, seen: BaseGeometry | None = None) -> None:
        """Wrap an open image.

        Args:
            group: What the product says of it.
            image: The same, open.
            seen: Where it is valid, in columns and rows; None: wherever its pixels say so.
        """
        stored = image.data_type
        is_single_look = group.is_complex or stored.kind == "c"
        self._group, self._image, self._seen = group, image, seen
        self._is_power = bool(group.calibrations) or is_single_look
        self.data_type = np.dtype("float32") if self._is_power else stored
        self.nodata = math.nan if self.data_type.kind == "f" and group.nodata is None else group.nodata
        if self._is_power:
            self.nodata = math.nan
        self.resampling = Resampling.average if is_single_look else Resampling.bilinear
        self.descriptions = tuple(band.id for band in group.bands)
        self.scales = () if self._is_power else _scales(group)

    @property
    def lineage(self) -> tuple[str, ...]:
        """What is done to counts, for the item."""
        if self._group.calibrations:
            return (f"counts calibrated to {self._group.quantity} (linear)",)
        return ("complex samples detected to intensity",) if self._is_power else ()

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Give values, shape (bands, rows, columns), and where any band says something, (rows, columns)."""
        counts, there = self._image.read(window)
        rows = slice(int(window.row_off), int(window.row_off + window.height))
        columns = slice(int(window.col_off), int(window.col_off + window.width))
        if self._group.calibrations:
            values = np.stack(
                [
                    calibrate(band, rows, columns)
                    for calibrate, band in zip(self._group.calibrations, counts, strict=True)
                ]
            ).astype("float32")
        elif counts.dtype.kind == "c":
            values = counts.real**2 + counts.imag**2
        elif self._group.is_complex:
            values = counts.astype("float32") ** 2  # amplitudes
        else:
            values = counts
        if self._seen is not None:
            there &= drawn(self._seen, window)
        if self._is_power:
            there &= (counts != (0 if self._group.nodata is None else self._group.nodata)).any(axis=0)
        if self.nodata is not None:
            values[:, ~there] = self.nodata
        return values, there


def reflectances(group: BandGroup) -> tuple[tuple[float, float], ...]:
    """Give what makes counts of radiance reflectance, but for a factor that all bands share.

    That factor hangs on the sun's height and distance, and indices are the same for any.

    Returns:
        Scale and offset of each band; none where the product does not say it of all bands, or where its
        counts are no radiance.

    Source: DIMAP 2, rho = pi (counts / gain + bias) d^2 / (E0 cos(zenith)); Planet, rho = counts times the
    reflectanceCoefficient.
    """
    if group.radiometry != "radiance":
        return ()
    if all(band.reflectance for band in group.bands):
        return tuple((band.reflectance, 0.0) for band in group.bands if band.reflectance)
    if all(band.gain and band.irradiance for band in group.bands):
        return tuple(
            (1 / (band.gain * band.irradiance), (band.bias or 0.0) / band.irradiance)
            for band in group.bands
            if band.gain and band.irradiance
        )
    return ()


def _scales(group: BandGroup) -> tuple[tuple[float, float], ...]:
    """Give scale and offset of each band, where the product states them of all; pictures measure nothing."""
    if group.radiometry == "display" or not all(band.gain for band in group.bands):
        return ()
    return tuple((1 / band.gain, band.bias or 0.0) for band in group.bands if band.gain)
