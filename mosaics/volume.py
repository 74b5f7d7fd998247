"""Volumes between two surfaces, and how far stable ground says that they can be trusted; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NORMAL: Final = 1.4826
"""What turns the median of absolute deviations into a standard deviation of normal errors."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heights:
    """Differences of height over an area, later less earlier."""

    data: Array
    """Metres, shape (height, width)."""
    valid: NDArray[np.bool_]
    """Where both dates have a height and the pixel is in the area."""
    areas: Array
    """Of each pixel on the ground, square metres, of a shape that broadcasts to that of `data`."""

    @property
    def area(self) -> float:
        """Square metres of what is valid."""
        return float(np.broadcast_to(self.areas, self.data.shape)[self.valid].sum())


@dataclass(frozen=True, kw_only=True, slots=True)
class Stable:
    """Differences on ground that did not change."""

    median: float
    """Metres; the bias."""
    mean: float
    """Metres."""
    nmad: float
    """1.4826 times the median of the absolute deviations from the median, metres."""
    std: float
    """Metres."""
    count: int
    """Pixels."""
    area: float
    """Square metres."""
    correlated_area: float
    """Square metres over which errors go together: the integral of their autocorrelation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Uncertainty:
    """One standard deviation of a net volume, cubic metres."""

    systematic: float
    """Of what is wrong everywhere alike."""
    random: float
    """Of what differs from place to place."""

    @property
    def total(self) -> float:
        """Both together."""
        return float(np.hypot(self.systematic, self.random))


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """What was added to and taken from an area."""

    added: float
    """Cubic metres, where it is higher than before."""
    removed: float
    """Cubic metres, where it is lower; positive."""
    area: float
    """Square metres that both dates have."""

    @property
    def net(self) -> float:
        """Cubic metres, added less removed."""
        return self.added - self.removed

    @property
    def mean(self) -> float | None:
        """Mean difference of height, metres; None: there is no area."""
        return self.net / self.area if self.area else None


def volume_of(heights: Heights, bias: float = 0.0) -> Volume:
    """Sum up the differences of height times the ground area of their pixels.

    Args:
        heights: Differences over the area.
        bias: Metres that are taken from each difference first.
    """
    areas = np.broadcast_to(heights.areas, heights.data.shape)[heights.valid]
    parts = (heights.data[heights.valid] - bias) * areas
    return Volume(
        added=float(parts[parts > 0].sum()), removed=float(-parts[parts < 0].sum()), area=float(areas.sum())
    )


def stable_of(heights: Heights) -> Stable | None:
    """Describe the differences on ground that did not change; None where there are fewer than two pixels.

    Source: NMAD after Höhle and Höhle (2009), ISPRS J. Photogramm. 64(4), 398-406.
    """
    held = heights.data[heights.valid]
    if held.size < 2:
        return None
    median = float(np.median(held))
    return Stable(
        median=median,
        mean=float(held.mean()),
        nmad=float(_NORMAL * np.median(np.abs(held - median))),
        std=float(held.std()),
        count=int(held.size),
        area=heights.area,
        correlated_area=_correlated_area(heights),
    )


def uncertainty_of(volume: Volume, stable: Stable, *, corrected: bool) -> Uncertainty:
    """Tell how far a net volume can be trusted, by the differences on stable ground.

    With A the area of the volume, A_s that of the stable ground, A_c the correlated area, b the bias and s
    the larger of standard deviation and NMAD of the differences there:

        total = sqrt(systematic**2 + random**2)
        random = A * s * sqrt(min(1, A_c / A))
        systematic = A * |b|, or where the bias was taken off A * s * sqrt(min(1, A_c / A_s)),
            which is how well a bias is known that was measured on A_s

    It assumes that errors on the area are as on the stable ground, which holds for ground of like slope and
    cover alone.

    Args:
        volume: Of the area.
        stable: Of ground that did not change.
        corrected: Whether the bias was taken off.

    Source: the variance of a mean over an area of correlated errors, Rolstad et al. (2009), J. Glaciol.
    55(192), 666-680, with the integral of the measured autocorrelation in the place of a fitted variogram's
    (Vanmarcke 1983, Random Fields: variance function and scale of fluctuation).
    """
    spread = max(stable.std, stable.nmad)
    random = volume.area * spread * _share(stable.correlated_area, volume.area)
    known = spread * _share(stable.correlated_area, stable.area) if corrected else abs(stable.median)
    return Uncertainty(systematic=volume.area * known, random=random)


def _share(correlated: float, area: float) -> float:
    """Give by how much errors average out over an area."""
    return float(np.sqrt(min(1.0, correlated / area))) if area > 0 else 1.0


def _correlated_area(heights: Heights) -> float:
    """Integrate the autocorrelation of differences, as far as it is positive; one pixel at least.

    It is averaged around, and taken as zero from the first distance on at which it is no longer positive.
    """
    valid = heights.valid
    pixel = heights.area / int(valid.sum())
    held = np.where(valid, heights.data - heights.data[valid].mean(), 0.0)
    size = [2 * side for side in held.shape]
    products = np.fft.irfft2(np.abs(np.fft.rfft2(held, size)) ** 2, size)
    pairs = np.rint(np.fft.irfft2(np.abs(np.fft.rfft2(valid.astype("float64"), size)) ** 2, size))
    if products[0, 0] <= 0:
        return pixel
    rows, columns = (np.minimum(np.arange(side), side - np.arange(side)) for side in size)
    rings = np.rint(np.hypot(*np.meshgrid(rows, columns, indexing="ij"))).astype("int64")
    # of far pairs there are few, and all of the same ends
    known = (pairs > pairs[0, 0] / 4) & (rings <= min(held.shape) // 2)
    variance = products[0, 0] / pairs[0, 0]
    sums = np.bincount(rings[known], products[known] / pairs[known] / variance)
    counts = np.bincount(rings[known])
    means = sums / np.maximum(counts, 1)
    end = next((ring for ring, mean in enumerate(means) if mean <= 0), means.size)
    return pixel * max(1.0, float(sums[:end].sum()))
