"""Writes pixels where they lie on the ground, window by window."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject
from rasterio.windows import Window

from mosaics.ingest.ahead import in_threads
from mosaics.ingest.deliveries.pieces import FEWEST, STEP, Piece, pieces
from mosaics.ingest.deliveries.placing import GroundGrid, Lattice, SensorModel, lattice_of, source_window
from mosaics.ingest.profile import PROFILE
from mosaics.ingest.source import Progress, windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from rasterio.io import DatasetWriter

_BLOCK: Final = 1024
"""Pixels along a side of what is warped at once."""
_TOLERANCE: Final = 0.125
"""Pixels by which GDAL may be off where it interpolates positions along a row."""


class Pixels(Protocol):
    """An image before it is laid."""

    @property
    def data_type(self) -> np.dtype[Any]:
        """Of its values."""

    @property
    def nodata(self) -> float | None:
        """What means nothing; None: a mask tells what is there."""

    @property
    def resampling(self) -> Resampling:
        """How it is read between pixels."""

    @property
    def descriptions(self) -> Sequence[str]:
        """Of its bands."""

    @property
    def scales(self) -> Sequence[tuple[float, float]]:
        """(scale, offset) of each band; empty: 1 and 0."""

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Give values, shape (bands, rows, columns), and where there is something, (rows, columns)."""


class Placement(Protocol):
    """Where an image lies."""

    def lay(self, pixels: Pixels, path: Path, report: Progress) -> None:
        """Write an image into a GeoTIFF on the ground."""


@dataclass(frozen=True, kw_only=True)
class OnGround:
    """An image that lies on the ground already."""

    grid: GroundGrid

    def lay(self, pixels: Pixels, path: Path, report: Progress) -> None:
        """Write it as it lies."""
        grid = self.grid
        done, total = 0, grid.width * grid.height
        size = pixels.data_type.itemsize * len(pixels.descriptions)
        with _created(path, grid, pixels) as target:
            for window in windows(grid.width, grid.height, size, PROFILE.block_size):
                values, there = pixels.read(window)
                target.write(values, window=window)
                if pixels.nodata is None:
                    target.write_mask(there, window=window)
                done += int(window.width) * int(window.height)
                report("preparing", done / total)


@dataclass(frozen=True, slots=True)
class _Laid:
    """A window of the grid."""

    values: NDArray[Any]
    """Shape (bands, rows, columns)."""
    shown: NDArray[np.uint8] | None
    """Where it shows something, 255 or 0, shape (rows, columns); None: a value tells."""


@dataclass(frozen=True, kw_only=True)
class FromSensor:
    """An image in sensor geometry, and the grid that it is put on."""

    grid: GroundGrid
    model: SensorModel
    threads: int = 1
    """That resample."""

    def lay(self, pixels: Pixels, path: Path, report: Progress) -> None:
        """Resample it onto the grid."""
        grid = self.grid
        done, total = 0, grid.width * grid.height
        turn = Lock()
        making = in_threads(_squares(grid), [partial(self._laid, pixels, turn)] * self.threads)
        with closing(making), _created(path, grid, pixels) as target:
            for window, laid in making:
                if laid is not None:
                    target.write(laid.values, window=window)
                    if laid.shown is not None:
                        target.write_mask(laid.shown, window=window)
                done += int(window.width) * int(window.height)
                report("preparing", done / total)

    def _laid(self, pixels: Pixels, turn: Lock, window: Window) -> _Laid | None:
        """Resample what a window needs of the image; None: there is nothing, and the file need not say so."""
        is_spline = self.model.is_spline
        lattice = lattice_of(self.model, self.grid, window, *((STEP, FEWEST) if is_spline else ()))
        part = source_window(self.model, lattice)
        if part is None:
            return None if pixels.nodata is None else _Laid(_nothing(pixels, window), None)
        with turn:  # the image is open once
            values, there = pixels.read(part)
        found = _nothing(pixels, window)
        shown = np.zeros(found.shape[1:], "uint8") if pixels.nodata is None else None
        crs = CRS.from_user_input(self.grid.crs)
        for piece in self._pieces(window, part, lattice, crs):
            inner = piece.window.toslices()
            origin = self.grid.transform @ Affine.translation(
                window.col_off + piece.window.col_off, window.row_off + piece.window.row_off
            )
            placing = {
                **piece.placing,
                "dst_transform": origin,
                "dst_crs": crs,
                "tolerance": _TOLERANCE,
            }
            found[(slice(None), *inner)] = _warped(pixels, values, piece.window, placing)
            if shown is not None:
                shown[inner] = _warped_mask(there, piece.window, placing)
        return _Laid(found, shown)

    def _pieces(self, window: Window, part: Window, lattice: Lattice, crs: CRS) -> Iterable[Piece]:
        if self.model.is_spline and np.isfinite(lattice.places).all():
            return pieces(lattice, crs, window, part)
        whole = Window(0, 0, window.width, window.height)
        return [Piece(window=whole, placing=self.model.within(part))]


def _warped(pixels: Pixels, values: NDArray[Any], window: Window, placing: dict[str, Any]) -> NDArray[Any]:
    """Resample a part of the image onto a window."""
    found = _nothing(pixels, window)
    nothing = {"src_nodata": pixels.nodata, "dst_nodata": pixels.nodata}
    reproject(values, found, resampling=pixels.resampling, **nothing, **placing)
    return found


def _warped_mask(there: NDArray[np.bool_], window: Window, placing: dict[str, Any]) -> NDArray[np.uint8]:
    """Tell where a window shows something, 255 or 0."""
    shown = np.zeros((int(window.height), int(window.width)), "uint8")
    reproject(there.view("u1") * np.uint8(255), shown, resampling=Resampling.nearest, **placing)
    return shown


def _nothing(pixels: Pixels, window: Window) -> NDArray[Any]:
    shape = len(pixels.descriptions), int(window.height), int(window.width)
    return np.full(shape, 0 if pixels.nodata is None else pixels.nodata, pixels.data_type)


def _squares(grid: GroundGrid) -> list[Window]:
    return [
        Window(left, top, min(_BLOCK, grid.width - left), min(_BLOCK, grid.height - top))
        for top in range(0, grid.height, _BLOCK)
        for left in range(0, grid.width, _BLOCK)
    ]


def _created(path: Path, grid: GroundGrid, pixels: Pixels) -> DatasetWriter:
    """Make the file, with what is known of its bands."""
    count = len(pixels.descriptions)
    target = rasterio.open(
        path,
        "w",
        width=grid.width,
        height=grid.height,
        count=count,
        dtype=pixels.data_type.name,
        crs=CRS.from_user_input(grid.crs),
        transform=grid.transform,
        nodata=pixels.nodata,
        photometric="MINISBLACK",  # else GDAL takes the fourth of four bands of 8 bits for alpha
        **PROFILE.work_options(pixels.data_type.name, count, grid.width * grid.height),
    )
    for place, words in enumerate(pixels.descriptions, start=1):
        target.set_band_description(place, words)
    if pixels.scales:
        target.scales = [scale for scale, _ in pixels.scales]
        target.offsets = [offset for _, offset in pixels.scales]
    return target
