"""Pieces of ground in which a spline is as good as a polynomial, which costs less for each pixel.

A thin plate through hundreds of points is a sum over all of them wherever it is asked. So it is asked on a
lattice only, and what lies between is left to polynomials through it, in pieces so small that they agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.windows import Window

from mosaics.ingest.deliveries.placing import Lattice

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ORDER: Final = 3
"""Of the polynomials."""
STEP: Final = 16
"""Pixels of the grid between the places of the lattice."""
FEWEST: Final = 4
"""Steps along a side of any piece: a cubic polynomial wants as many, and one more place."""
_FITTED: Final = 6
"""Places along a side of a piece that its polynomial is found by; all of them are looked at afterwards."""
_AGREE: Final = 0.05
"""Pixels of the image by which a polynomial may miss the spline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A part of a window of the grid, and what places it."""

    window: Window
    """In pixels of the window that is cut into pieces."""
    placing: dict[str, Any]
    """rasterio.warp.reproject's arguments."""


def pieces(lattice: Lattice, crs: CRS, window: Window, part: Window) -> Iterator[Piece]:
    """Cut a window of the grid into pieces.

    Args:
        lattice: Where the image shows the window, every `STEP` pixels.
        crs: Of the grid.
        window: Of the grid.
        part: Of the image, which is resampled onto the window.
    """
    moved = replace(lattice, places=lattice.places - np.array([part.row_off, part.col_off]))
    rows, columns = lattice.places.shape[0] - 1, lattice.places.shape[1] - 1
    for down, across in _cut(moved, slice(0, rows), slice(0, columns)):
        yield Piece(
            window=Window.from_slices(
                (down.start * STEP, min(down.stop * STEP, int(window.height))),
                (across.start * STEP, min(across.stop * STEP, int(window.width))),
            ),
            placing={
                "gcps": _points(moved, _chosen(down), _chosen(across)),
                "src_crs": crs,
                "SRC_METHOD": "GCP_POLYNOMIAL",
                "MAX_GCP_ORDER": str(_ORDER),
            },
        )


def _cut(lattice: Lattice, down: slice, across: slice) -> Iterator[tuple[slice, slice]]:
    """Give a part of a lattice as it is, or cut in two along its longer side."""
    if _agrees(lattice, down, across):
        yield down, across
    elif _length(down) >= _length(across):
        for half in _halves(down):
            yield from _cut(lattice, half, across)
    else:
        for half in _halves(across):
            yield from _cut(lattice, down, half)


def _length(part: slice) -> int:
    return int(part.stop - part.start)


def _halves(part: slice) -> tuple[slice, slice]:
    middle = (part.start + part.stop) // 2
    return slice(part.start, middle), slice(middle, part.stop)


def _agrees(lattice: Lattice, down: slice, across: slice) -> bool:
    """Tell whether one polynomial is as good as the spline, or the part can't be cut any more."""
    if max(_length(down), _length(across)) < 2 * FEWEST:
        return True
    rows, columns = np.arange(down.start, down.stop + 1), np.arange(across.start, across.stop + 1)
    every = _terms((rows - down.start) / _length(down), (columns - across.start) / _length(across))
    wanted = lattice.places[np.ix_(rows, columns)].reshape(-1, 2)
    fitted = np.isin(rows, _chosen(down))[:, np.newaxis] & np.isin(columns, _chosen(across))
    found = np.linalg.lstsq(every[fitted.ravel()], wanted[fitted.ravel()], rcond=None)[0]
    return bool(np.abs(every @ found - wanted).max() <= _AGREE)


def _points(
    lattice: Lattice, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> list[GroundControlPoint]:
    return [
        GroundControlPoint(
            row=lattice.places[row, column, 0],
            col=lattice.places[row, column, 1],
            x=lattice.xs[column],
            y=lattice.ys[row],
        )
        for row in rows
        for column in columns
    ]


def _chosen(part: slice) -> NDArray[np.int64]:
    count = min(_FITTED, part.stop - part.start + 1)
    return np.unique(np.linspace(part.start, part.stop, count).round().astype(np.int64))


def _terms(v: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the powers of a cubic polynomial of rows v and columns u, shape (places, 10)."""
    vs, us = np.meshgrid(v, u, indexing="ij")
    powers = [vs**i * us**j for i in range(_ORDER + 1) for j in range(_ORDER + 1 - i)]
    return np.stack([each.ravel() for each in powers], axis=1)
