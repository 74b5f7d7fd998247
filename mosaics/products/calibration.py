"""What counts of a radar image measure: frozen values that turn windows of counts into backscatter.

In every product read here a count of 0 is where the radar saw nothing, so it becomes NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


def intensity(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Give the square of the magnitude of real or complex counts; NaN where a count is 0."""
    if np.iscomplexobj(counts):
        found = counts.real.astype(np.float64) ** 2 + counts.imag.astype(np.float64) ** 2
    else:
        found = counts.astype(np.float64) ** 2
    found[found == 0] = np.nan
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Amplitude:
    """Magnitude of the count, where no formula is sourced that says more."""

    def __call__(self, counts: NDArray[Any], rows: slice, columns: slice) -> NDArray[np.float32]:  # noqa: ARG002 - all alike
        """Give the magnitude of counts."""
        return np.sqrt(intensity(counts)).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Power:
    """One factor for a whole image: factor * |DN|^2."""

    factor: float = 1.0
    """Backscatter of a count of 1, linear."""

    def __call__(self, counts: NDArray[Any], rows: slice, columns: slice) -> NDArray[np.float32]:  # noqa: ARG002 - all alike
        """Give factor * |DN|^2."""
        return (self.factor * intensity(counts)).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear:
    """Counts that are backscatter already, written as linear power."""

    def __call__(self, counts: NDArray[Any], rows: slice, columns: slice) -> NDArray[np.float32]:  # noqa: ARG002 - all alike
        """Give counts as they are; NaN where they are 0."""
        return np.where(counts == 0, np.nan, counts).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ColumnGains:
    """A gain for each column: (DN^2 + offset) / gain, of complex counts |DN|^2 / gain^2."""

    gains: NDArray[np.float64]
    """Shape (columns,) of the whole image."""
    offset: float = 0.0
    """Of detected counts, before they are divided."""
    is_complex: bool = False
    """Counts are complex numbers, which are divided by the gain before they are squared."""

    def __call__(self, counts: NDArray[Any], rows: slice, columns: slice) -> NDArray[np.float32]:  # noqa: ARG002 - all rows alike
        """Give backscatter by the gains of the window's columns."""
        gains = self.gains[columns]
        if self.is_complex:
            return (intensity(counts) / gains**2).astype(np.float32)
        return ((intensity(counts) + self.offset) / gains).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class BrightnessBySine:
    """factor * |DN|^2 * sin(incidence), where incidence is a polynomial of the place in the image."""

    factor: float
    """Radar brightness beta0 of a count of 1."""
    incidence: Incidence

    def __call__(self, counts: NDArray[Any], rows: slice, columns: slice) -> NDArray[np.float32]:
        """Give sigma0 on the surface that the incidence angles are of."""
        sine = np.sin(np.radians(self.incidence.at(rows, columns)))
        return (self.factor * intensity(counts) * sine).astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Incidence:
    """Incidence angles over an image: a + b v + c u + d u v + e u^2, u and v from 0 to 1 over it."""

    coefficients: tuple[float, float, float, float, float]
    """a to e, degrees."""
    height: int
    """Rows of the image."""
    width: int
    """Columns of the image."""

    def at(self, rows: slice, columns: slice) -> NDArray[np.float64]:
        """Give the angle at the middle of each pixel of a window, degrees."""
        v = ((np.arange(rows.start, rows.stop) + 0.5) / self.height)[:, np.newaxis]
        u = ((np.arange(columns.start, columns.stop) + 0.5) / self.width)[np.newaxis, :]
        a, b, c, d, e = self.coefficients
        return np.asarray(a + b * v + c * u + d * u * v + e * u**2, dtype=np.float64)

    @staticmethod
    def fitted(
        places: NDArray[np.float64], angles: NDArray[np.float64], height: int, width: int
    ) -> Incidence:
        """Fit it to known angles, by least squares.

        Args:
            places: Rows and columns in pixels from the upper left corner, shape (n, 2).
            angles: Degrees, shape (n,).
            height: Rows of the image.
            width: Columns of the image.
        """
        v, u = places[:, 0] / height, places[:, 1] / width
        terms = np.stack([np.ones_like(u), v, u, u * v, u**2], axis=1)
        kept = 5 if len(angles) > 4 else 4
        found = np.linalg.lstsq(terms[:, :kept], angles, rcond=None)[0]
        a, b, c, d, e = (*(float(each) for each in found), *(0.0,) * (5 - kept))
        return Incidence(coefficients=(a, b, c, d, e), height=height, width=width)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LookUpTable:
    """A table of A at some lines and columns: |DN|^2 / A^2, A bilinear between them."""

    lines: NDArray[np.float64]
    """Rows that vectors of the table are of, increasing, shape (vectors,)."""
    pixels: tuple[NDArray[np.float64], ...]
    """Columns of each vector's values, increasing."""
    values: tuple[NDArray[np.float64], ...]
    """A at these."""

    def __call__(self, counts: NDArray[Any], rows: slice, columns: slice) -> NDArray[np.float32]:
        """Give |DN|^2 / A^2."""
        wanted = np.clip(np.arange(rows.start, rows.stop), self.lines[0], self.lines[-1])
        below = np.clip(np.searchsorted(self.lines, wanted, side="right") - 1, 0, max(len(self.lines) - 2, 0))
        above = np.minimum(below + 1, len(self.lines) - 1)
        span = np.where(above > below, self.lines[above] - self.lines[below], 1.0)
        share = ((wanted - self.lines[below]) / span)[:, np.newaxis]
        across = {
            int(each): np.interp(np.arange(columns.start, columns.stop), self.pixels[each], self.values[each])
            for each in {*below.tolist(), *above.tolist()}
        }
        lower = np.stack([across[int(each)] for each in below])
        upper = np.stack([across[int(each)] for each in above])
        table = lower * (1 - share) + upper * share
        return (intensity(counts) / table**2).astype(np.float32)
