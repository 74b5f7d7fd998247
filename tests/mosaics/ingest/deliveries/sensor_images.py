"""Images in sensor geometry whose place is known: coefficients that are linear in place and height."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.rpc import RPC

from mosaics.gdal import unplaced_files_expected
from mosaics.products.delivery import BandGroup, ImageFile, ProductBand

SIZE = 400
METRES = 2.0
"""Between pixels."""
LEAN = 0.25
"""Pixels towards greater columns per metre of height."""
MEAN_HEIGHT = 100.0
MIDDLE = 2.5, 46.5
"""Longitude and latitude."""
UTM = "EPSG:32631"
"""In which the pixels lie along rows and columns, nearly: the zone's meridian is not far."""


def linear_rpc() -> RPC:
    """Give coefficients that place pixel centres 2 m apart around the middle, north up."""
    to_utm = Transformer.from_crs("OGC:CRS84", UTM, always_xy=True)
    x, y = to_utm.transform(*MIDDLE)
    east = to_utm.transform(MIDDLE[0] + 0.001, MIDDLE[1])[0] - x
    north = to_utm.transform(MIDDLE[0], MIDDLE[1] + 0.001)[1] - y
    half = SIZE / 2
    none = [0.0] * 20
    line, samp = none.copy(), none.copy()
    line[2], samp[1], samp[3] = -1.0, 1.0, LEAN * 100 / half
    return RPC(
        height_off=MEAN_HEIGHT,
        height_scale=100.0,
        lat_off=MIDDLE[1],
        lat_scale=0.001 / north * METRES * half,
        long_off=MIDDLE[0],
        long_scale=0.001 / east * METRES * half,
        line_off=half - 0.5,
        line_scale=half,
        samp_off=half - 0.5,
        samp_scale=half,
        line_num_coeff=line,
        line_den_coeff=[1.0, *none[1:]],
        samp_num_coeff=samp,
        samp_den_coeff=[1.0, *none[1:]],
    )


def ramp() -> np.ndarray:
    """Values that rise by 10 from column to column and by 1 from row to row."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    return (1000 + 10 * columns + rows).astype("uint16")


def write(path: Path, values: np.ndarray, **more: Any) -> Path:
    """Write bands, shape (bands, rows, columns)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    profile = {"driver": "GTiff", "dtype": values.dtype.name, **more}
    with (
        unplaced_files_expected(),
        rasterio.open(path, "w", count=count, height=height, width=width, **profile) as target,
    ):
        target.write(values)
    return path


def group(*files: ImageFile, height: int = SIZE, width: int = SIZE, **more: Any) -> BandGroup:
    """Give a group of the bands that the files have."""
    names = dict.fromkeys(band for file in files for band in file.bands)
    values: dict[str, Any] = {
        "name": "ms",
        "bands": tuple(ProductBand(id=name) for name in names),
        "geometry": "sensor",
        "nodata": 0,
        "metadata": files[0].path,
    }
    return BandGroup(files=files, height=height, width=width, **{**values, **more})


def image(path: Path, *bands: str, row: int = 1, column: int = 1) -> ImageFile:
    """Give one file of a group."""
    return ImageFile(path=path, row=row, column=column, bands=bands)
