"""From stored samples to output pixels; pure: arrays in and out. Invalid samples never bleed into valid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mosaics.channels import blanked, chosen

Resampling = Literal["nearest", "bilinear", "cubic"]
Positions = NDArray[np.float32]
"""Column and row of each output pixel, shape (height, width, 2); the centre of the first sample is 0, NaN
lies nowhere."""

_FLAGS: Final = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
_WIDER: Final = {"i1": "f4", "i2": "f4"}
"""Small types that OpenCV interpolates not at all, or to a 32nd of a sample only, and what holds them."""
_CHANNELS: Final = 4
"""Bands that OpenCV takes at once, and the number that it is quickest with."""
_PLAIN_UP_TO: Final = 1 / 0.95
"""Samples in an output pixel up to which GDAL's warper interpolates between four and widens nothing."""
_SNAP: Final = 0.05
"""How near to a whole number a width is taken for that, by GDAL's warper."""
_FURTHEST: Final = 16.0
"""Samples that a triangle reaches at most, where pixels are so many times fewer along one axis than along the
other: each two more are a look more at all pixels."""
_OUTSIDE: Final = -1e6
"""A position that lies nowhere."""
_EXACT: Final = 1e6
"""Whole numbers up to which positions are exact, and a frame further."""
Part = tuple[slice, slice]
"""Rows and columns."""
_EVERYWHERE: Final[Part] = (slice(None), slice(None))


def resample(
    samples: NDArray[Any],
    bands: Sequence[int],
    valid: NDArray[np.uint8] | None,
    at: Positions,
    resampling: Resampling,
    *,
    spread: tuple[float, float] = (1.0, 1.0),
    there: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Resample a window of samples.

    A pixel is valid where the sample that it lies on is; its value is weighted over the valid samples around.

    Args:
        samples: Shape (rows, columns, bands).
        bands: Which of them, from 0.
        valid: 255 where there is data, 0 elsewhere, shape (rows, columns); None: everywhere.
        at: Where the pixels lie.
        resampling: How.
        spread: Columns and rows of samples in an output pixel, 1 to 2.
        there: Which positions lie on the image; None: all.

    Returns:
        Values of the samples' type, shape (height, width, len(bands)), 0 where there is nothing; and where
        there is something, shape (height, width), None: everywhere.
    """
    if resampling == "nearest" or not becomes_fewer(spread):
        moved = _moved(samples, bands, valid, at, there)
        if moved is not None:
            return moved
    shape, part = at.shape[:2], _EVERYWHERE
    if there is not None:
        part = _around(there)
        at, there = at[part], there[part]
    places = None
    if valid is not None or resampling == "nearest":
        places = _places(samples.shape, at)
    if valid is not None and places is not None:
        on_data = valid[places] > 0
        there = on_data if there is None else there & on_data
        inner = _around(there)
        part = _part_of(part, inner)
        at, there, places = at[inner], there[inner], (places[0][inner], places[1][inner])
    if not at.size:
        return np.zeros((*shape, len(bands)), samples.dtype), np.zeros(shape, bool)
    out, there = _resampled(samples, bands, valid, at, places, resampling, spread, there)
    if at.shape[:2] == shape:
        return out, there
    data, known = np.zeros((*shape, len(bands)), samples.dtype), np.zeros(shape, bool)
    data[part], known[part] = out, True if there is None else there
    return data, known


def _moved(
    samples: NDArray[Any],
    bands: Sequence[int],
    valid: NDArray[np.uint8] | None,
    at: Positions,
    there: NDArray[np.bool_] | None,
) -> tuple[NDArray[Any], NDArray[np.bool_] | None] | None:
    """Copy samples whose pixels lie on one sample each, side by side, as `copied` does.

    Returns:
        As `resample`; None: they lie otherwise, beyond the samples, or kernels make something else of them.
    """
    first = _first_of_steps(at) if stays_as_it_is(samples.dtype) else None
    if first is None:
        return None
    part, _ = _overlap(samples.shape, first, at.shape)
    known = np.ones(at.shape[:2], bool) if there is None else there
    if np.count_nonzero(known[part]) != np.count_nonzero(known):
        return None  # some lie at the edges
    return copied(samples, bands, valid, first, (at.shape[0], at.shape[1]), there=there)


def stays_as_it_is(dtype: np.dtype[Any]) -> bool:
    """Tell whether kernels keep all bits of a type where a pixel lies on one sample."""
    return dtype.itemsize <= 2 or dtype == np.float32


def copied(
    samples: NDArray[Any],
    bands: Sequence[int],
    valid: NDArray[np.uint8] | None,
    first: tuple[int, int],
    shape: tuple[int, int],
    *,
    there: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[Any], NDArray[np.bool_] | None] | None:
    """Copy samples whose pixels lie on one sample each, side by side: no kernel makes anything else of them.

    So do tiles of files that were made in their grid.

    Args:
        samples: Shape (rows, columns, bands).
        bands: Which of them, from 0.
        valid: 255 where there is data, 0 elsewhere, shape (rows, columns); None: everywhere.
        first: Row and column of the sample that the first pixel lies on, which need not be there.
        shape: Of the pixels.
        there: Which pixels lie on the image; None: all that lie on samples.

    Returns:
        As `resample`; None: no pixel lies on a sample.
    """
    part, source = _overlap(samples.shape, first, shape)
    if any(each.start >= each.stop for each in part):
        return None
    found = chosen(samples[source], bands)
    if valid is None and there is None and found.shape[:2] == shape:
        return (found.copy() if np.may_share_memory(found, samples) else found), None
    known = np.zeros(shape, bool)
    known[part] = True if valid is None else valid[source] > 0
    if there is not None:
        known &= there
    if known.all():
        return (found.copy() if np.may_share_memory(found, samples) else found), None
    data = np.zeros((*shape, len(bands)), samples.dtype)
    data[part] = blanked(found, known[part])
    return data, known


def _overlap(held: tuple[int, ...], first: tuple[int, int], shape: tuple[int, ...]) -> tuple[Part, Part]:
    """Give the pixels of a shape that lie on samples of another, and these samples; empty: none does."""
    pixels, samples = [], []
    for at, have, want in zip(first, held, shape, strict=False):
        begin, end = max(-at, 0), max(min(have - at, want), -at, 0)
        pixels.append(slice(begin, end))
        samples.append(slice(at + begin, at + end))
    return (pixels[0], pixels[1]), (samples[0], samples[1])


def _first_of_steps(at: Positions) -> tuple[int, int] | None:
    """Give row and column of the first position, if all are whole and a sample apart; None: they are not."""
    height, width = at.shape[:2]
    column, row = float(at[0, 0, 0]), float(at[0, 0, 1])
    if not (column.is_integer() and row.is_integer() and abs(column) + abs(row) < _EXACT):
        return None
    columns, rows = column + np.arange(width), row + np.arange(height)
    apart = (at[0, :, 0] == columns).all() and (at[:, 0, 1] == rows).all()
    if not (apart and (at[..., 0] == columns).all() and (at[..., 1] == rows[:, np.newaxis]).all()):
        return None
    return int(row), int(column)


def _around(there: NDArray[np.bool_]) -> Part:
    """Give the rows and columns in which anything is."""
    spans = []
    for axis in (1, 0):
        found = np.flatnonzero(there.any(axis=axis))
        spans.append(slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0))
    return spans[0], spans[1]


def _part_of(outer: Part, inner: Part) -> Part:
    """Give a part of a part."""
    rows, columns = (
        slice((large.start or 0) + small.start, (large.start or 0) + small.stop)
        for large, small in zip(outer, inner, strict=True)
    )
    return rows, columns


def _resampled(  # noqa: PLR0917 - private, called once
    samples: NDArray[Any],
    bands: Sequence[int],
    valid: NDArray[np.uint8] | None,
    at: Positions,
    places: tuple[NDArray[np.intp], NDArray[np.intp]] | None,
    resampling: Resampling,
    spread: tuple[float, float],
    there: NDArray[np.bool_] | None,
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Resample what is worth a look, as `resample` does."""
    if there is not None and there.all():
        there = None
    if resampling == "nearest" and places is not None:
        out: NDArray[Any] = chosen(samples, bands)[places]
        return (out, None) if there is None else (blanked(out, there), there)
    # what lies elsewhere or nowhere is blanked in the end; until then it lies on the first sample: OpenCV
    # takes five times as long for what it must look for outside
    at = np.ascontiguousarray(at) if there is None else blanked(at, there)
    if valid is None:
        out = _interpolated(samples, bands, at, resampling, spread)
    else:
        out = _weighted(samples, bands, valid, at, resampling, spread)
    return (out, None) if there is None else (blanked(out, there), there)


def becomes_fewer(spread: tuple[float, float]) -> bool:
    """Tell whether pixels are resampled by a wider kernel, which takes several times as long.

    Args:
        spread: Columns and rows of samples in an output pixel.
    """
    return max(spread) > _PLAIN_UP_TO


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


def inside(shape: tuple[int, ...], at: Positions) -> NDArray[np.bool_]:
    """Tell which positions lie on samples of a shape (rows, columns ...)."""
    columns, rows = at[..., 0], at[..., 1]
    found: NDArray[np.bool_] = (columns >= -0.5) & (columns < shape[1] - 0.5)
    found &= (rows >= -0.5) & (rows < shape[0] - 0.5)
    return found


def _places(shape: tuple[int, ...], at: Positions) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give row and column of the samples on which positions lie; of those outside, of those at the edge."""
    known = (
        at
        if math.isfinite(float(at.sum()))
        else np.nan_to_num(at, nan=_OUTSIDE, posinf=_OUTSIDE, neginf=_OUTSIDE)
    )
    columns, rows = (
        np.floor(known[..., axis] + np.float32(0.5)).clip(0, shape[1 - axis] - 1).astype(np.intp)
        for axis in (0, 1)
    )
    return rows, columns


def _interpolated(
    samples: NDArray[Any],
    bands: Sequence[int],
    at: Positions,
    resampling: Resampling,
    spread: tuple[float, float],
) -> NDArray[Any]:
    """Interpolate samples that all hold data; shape (height, width, len(bands)), of the samples' type."""
    if len(bands) > _CHANNELS:
        parts = [
            _interpolated(samples, bands[first : first + _CHANNELS], at, resampling, spread)
            for first in range(0, len(bands), _CHANNELS)
        ]
        return np.concatenate(parts, axis=2)
    if samples.shape[2] not in {1, _CHANNELS}:
        samples = chosen(samples, bands, room=_CHANNELS if len(bands) > 1 else 1)
        bands = range(len(bands))
    if samples.dtype.itemsize > 2:
        held, middle = _about_zero(samples)
    else:
        held, middle = samples.astype(_WIDER.get(samples.dtype.str[1:], samples.dtype), copy=False), 0.0
    found = chosen(_widened(held, at, resampling, spread), bands)
    return _as(samples.dtype, found.astype("f8") + middle if middle else found)


def _about_zero(
    samples: NDArray[Any], known: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float32], float]:
    """Give samples as floats of 32 bits, which OpenCV interpolates exactly, less a value from among them.

    Without that, numbers of more bits would lose what they differ by. It is 0 where 32 bits hold them.

    Args:
        samples: Shape (rows, columns, bands).
        known: Where they hold data, shape (rows, columns); None: everywhere.
    """
    if samples.dtype.itemsize <= 2 or samples.dtype == np.float32:
        return samples.astype("f4", copy=known is not None), 0.0
    some = samples if known is None else samples[known]
    if not some.size:
        return np.zeros(samples.shape, "f4"), 0.0
    middle = float(some.flat[some.size // 2])
    wide = samples.astype("f8") - middle
    return (wide if known is None else np.where(known[..., np.newaxis], wide, 0)).astype("f4"), middle


def _weighted(  # noqa: PLR0917 - private, called once
    samples: NDArray[Any],
    bands: Sequence[int],
    valid: NDArray[np.uint8],
    at: Positions,
    resampling: Resampling,
    spread: tuple[float, float],
) -> NDArray[Any]:
    """Interpolate over the samples that hold data; shape (height, width, len(bands)), of their type."""
    dtype = samples.dtype
    room, known = _CHANNELS - 1, valid > 0
    parts = []
    for first in range(0, len(bands), room):
        some = bands[first : first + room]
        held, middle = _about_zero(chosen(samples, some, room=_CHANNELS), known)
        held[..., room] = 1
        found = _widened(blanked(held, known), at, resampling, spread)
        shares = np.maximum(found[..., room:], np.float32(1e-5))
        sums = chosen(found, range(len(some)))
        means = np.divide(sums, shares, out=sums)
        parts.append(_as(dtype, means.astype("f8") + middle if middle else means))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _widened(
    samples: NDArray[Any], at: Positions, resampling: Resampling, spread: tuple[float, float]
) -> NDArray[Any]:
    """Interpolate with a triangle as wide as an output pixel, as GDAL's warper does where they become fewer.

    So fine detail does not turn into noise. Two neighbours at a time are read by one bilinear look between
    them, in the ratio of their weights: four looks where a triangle reaches up to two samples.
    """
    if resampling != "bilinear" or not becomes_fewer(spread):
        return _remapped(samples, at, resampling)
    held = samples.astype("f4", copy=False)
    across, along = (_looks(at[..., axis], _reach(spread[axis])) for axis in (0, 1))
    lines = []
    for row, weight in along:
        parts = [
            (_remapped(held, np.asarray(cv2.merge((column, row)), "float32"), resampling), each)
            for column, each in across
        ]
        lines.append((_averaged_by(parts), weight))
    return _averaged_by(lines)


_Weighed = tuple[NDArray[Any], NDArray[np.float32]]
"""A picture, and the weight of each of its pixels."""


def _averaged_by(parts: Sequence[_Weighed]) -> NDArray[Any]:
    """Average pictures by their weights."""
    found, so_far = parts[0]
    for part, weight in parts[1:]:
        found = cv2.blendLinear(found, part, so_far, weight).reshape(part.shape)
        so_far = so_far + weight
    return found


def _reach(width: float) -> float:
    """Give how many samples away a triangle ends, from the samples in an output pixel."""
    whole = float(round(width))
    return min(max(1.0, whole if abs(width - whole) < _SNAP else width), _FURTHEST)


def _looks(at: NDArray[np.float32], reach: float) -> list[_Weighed]:
    """Give where to look between two neighbours along an axis, and with which weight."""
    if reach == 1.0:
        return [(np.ascontiguousarray(at), np.ones(at.shape, "f4"))]
    before = np.floor(at)
    part, steep, furthest = at - before, np.float32(1 / reach), math.ceil(reach)
    found = []
    for first in range(1 - furthest, furthest + 1, 2):
        near = np.maximum(0, 1 - np.abs(part - np.float32(first)) * steep)
        far = np.maximum(0, 1 - np.abs(np.float32(first + 1) - part) * steep)
        weight = near + far
        found.append((before + np.float32(first) + far / np.maximum(weight, np.float32(1e-9)), weight))
    return found


def _remapped(samples: NDArray[Any], at: Positions, resampling: Resampling) -> NDArray[Any]:
    whole: Any = None  # columns and rows stand together in the first map
    found: NDArray[Any] = cv2.remap(samples, at, whole, _FLAGS[resampling], borderMode=cv2.BORDER_REPLICATE)
    return found[..., np.newaxis] if found.ndim == 2 else found


def _as(dtype: np.dtype[Any], values: NDArray[Any]) -> NDArray[Any]:
    """Give values of a type, rounded and kept within its limits where it is an integer."""
    if values.dtype == dtype or dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    rounded: NDArray[Any] = np.rint(values)
    np.clip(rounded, limits.min, limits.max, out=rounded)
    found: NDArray[Any] = rounded.astype(dtype)
    return found
