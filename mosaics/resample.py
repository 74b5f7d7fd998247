"""From stored samples to output pixels; pure: arrays in and out. Invalid samples never bleed into valid."""

from __future__ import annotations

from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Resampling = Literal["nearest", "bilinear", "cubic"]
Positions = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Column and row of each output pixel, shape (height, width) each; the centre of the first sample is 0, NaN
lies nowhere."""

_FLAGS: Final = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
_WIDER: Final = {"i1": "i2", "i4": "f8", "u4": "f8", "i8": "f8", "u8": "f8"}
"""Types that OpenCV does not interpolate, and what holds them."""
_CHANNELS: Final = 4
"""Bands that OpenCV takes at once; it is quicker with four than with three."""
_NEGLIGIBLE: Final = 0.004
"""Share of a neighbour below which nothing is smoothed: pixels that are a fortieth fewer."""
_OUTSIDE: Final = -1e6
"""A position that lies nowhere."""


def resample(
    samples: NDArray[Any],
    valid: NDArray[np.uint8] | None,
    at: Positions,
    resampling: Resampling,
    *,
    spread: tuple[float, float] = (1.0, 1.0),
    within: bool = False,
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Resample a window of samples.

    A pixel is valid where the sample that it lies on is; its value is weighted over the valid samples around.

    Args:
        samples: Shape (rows, columns, bands).
        valid: 255 where there is data, 0 elsewhere, shape (rows, columns); None: everywhere.
        at: Where the pixels lie.
        resampling: How.
        spread: Columns and rows of samples in an output pixel, 1 to 2.
        within: All positions are known to lie on samples.

    Returns:
        Values of the samples' type, shape (height, width, bands), 0 where there is nothing; and where there
        is something, shape (height, width), None: everywhere.
    """
    there = None if within else _inside(samples.shape, at)
    if valid is not None:
        on_data = _nearest(valid, at) > 0
        there = on_data if there is None else there & on_data
    if resampling == "nearest":
        out = _nearest(samples, at)
    elif samples.shape[2] <= _CHANNELS:
        out = _interpolated(samples, valid, at, resampling, spread)
    else:
        parts = [
            _interpolated(samples[..., first : first + _CHANNELS], valid, at, resampling, spread)
            for first in range(0, samples.shape[2], _CHANNELS)
        ]
        out = np.concatenate(parts, axis=2)
    if there is None or there.all():
        return out, None
    if not out.flags.writeable:
        out = out.copy()
    out[~there] = 0
    return out, there


def averaged(
    samples: NDArray[Any], valid: NDArray[np.uint8] | None, factor: int
) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    """Average squares of samples, as an overview would hold them; those at the far edges may be smaller.

    Args:
        samples: Shape (rows, columns, bands).
        valid: 255 where there is data, 0 elsewhere; None: everywhere.
        factor: Side of a square.

    Returns:
        Samples of the same type and where at least one sample of a square was valid.
    """
    height, width = samples.shape[:2]
    rows, columns = -(-height // factor), -(-width // factor)
    pad = ((0, rows * factor - height), (0, columns * factor - width))
    known = np.ones((height, width), "f4") if valid is None else (valid > 0).astype("f4")
    held = np.pad(known, pad).reshape(rows, factor, columns, factor)
    counts = held.sum(axis=(1, 3))
    kind = "f8" if samples.dtype.itemsize > 2 else "f4"
    weighted = np.where(known[..., np.newaxis] > 0, samples, 0).astype(kind)
    squares = np.pad(weighted, (*pad, (0, 0))).reshape(rows, factor, columns, factor, -1)
    means = squares.sum(axis=(1, 3)) / np.maximum(counts, 1)[..., np.newaxis]
    there = counts > 0
    return _as(samples.dtype, means), None if there.all() else there.astype("u1") * np.uint8(255)


def _inside(shape: tuple[int, ...], at: Positions) -> NDArray[np.bool_]:
    """Tell which positions lie on samples."""
    columns, rows = at
    inside: NDArray[np.bool_] = (columns >= -0.5) & (columns < shape[1] - 0.5)
    inside &= (rows >= -0.5) & (rows < shape[0] - 0.5)
    return inside


def _nearest(samples: NDArray[Any], at: Positions) -> NDArray[Any]:
    """Give the samples on which the positions lie; of positions outside, those at the edge."""
    places = []
    for values, length in zip(at, (samples.shape[1], samples.shape[0]), strict=True):
        known = np.nan_to_num(values, nan=_OUTSIDE, posinf=_OUTSIDE, neginf=_OUTSIDE)
        places.append(np.floor(known + np.float32(0.5)).clip(0, length - 1).astype("intp"))
    found: NDArray[Any] = samples[places[1], places[0]]
    return found


def _interpolated(
    samples: NDArray[Any],
    valid: NDArray[np.uint8] | None,
    at: Positions,
    resampling: Resampling,
    spread: tuple[float, float],
) -> NDArray[Any]:
    """Interpolate up to four bands; shape (height, width, bands), of the samples' type."""
    dtype, flag = samples.dtype, _FLAGS[resampling]
    if valid is None:
        held = np.ascontiguousarray(samples, _WIDER.get(dtype.str[1:]))
        return _as(dtype, _remapped(_smoothed(held, spread), at, flag))
    kind = "f8" if (dtype.itemsize > 2 and dtype.kind != "f") or dtype.itemsize == 8 else "f4"
    weights = (valid > 0).astype(kind)[..., np.newaxis]
    weighted = np.where(valid[..., np.newaxis] > 0, samples, 0).astype(kind)
    sums = _remapped(_smoothed(weighted, spread), at, flag)
    shares = _remapped(_smoothed(weights, spread), at, flag)
    return _as(dtype, np.where(shares > 1e-5, sums / np.maximum(shares, 1e-5), 0))


def _smoothed(samples: NDArray[Any], spread: tuple[float, float]) -> NDArray[Any]:
    """Widen what each sample reaches: with the interpolation after it, like a triangle `spread` samples wide.

    That is what GDAL's warper does where pixels become fewer, so that fine detail does not turn into noise.
    The sum of both filters has the variance of the wider triangle.
    """
    sides = [max(0.0, (width * width - 1) / 12) for width in spread]
    if max(sides) <= _NEGLIGIBLE:
        return samples
    kernels = [np.array([side, 1 - 2 * side, side], "f4") for side in sides]
    found: NDArray[Any] = cv2.sepFilter2D(
        samples, -1, kernels[0], kernels[1], borderType=cv2.BORDER_REPLICATE
    )
    return found.reshape(samples.shape)


def _remapped(samples: NDArray[Any], at: Positions, flag: int) -> NDArray[Any]:
    found: NDArray[Any] = cv2.remap(samples, at[0], at[1], flag, borderMode=cv2.BORDER_REPLICATE)
    return found[..., np.newaxis] if found.ndim == 2 else found


def _as(dtype: np.dtype[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Give values of a type, rounded and kept within its limits where it is an integer."""
    if values.dtype == dtype or dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    rounded: NDArray[Any] = np.rint(values).clip(limits.min, limits.max).astype(dtype)
    return rounded
