"""Bands of interleaved samples, moved by OpenCV: numpy takes fifty times as long for pixels of few bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

_HOLDERS: Final = {1: "u1", 2: "u2", 4: "i4", 8: "f8"}
"""Bytes of a sample -> a type of OpenCV that is as long; bits are moved, not numbers."""


def chosen(samples: NDArray[Any], bands: Sequence[int], *, room: int = 0) -> NDArray[Any]:
    """Copy some bands.

    Args:
        samples: Shape (rows, columns, bands).
        bands: Which, from 0; one may come twice.
        room: So many bands at least, the first of them again behind the others.

    Returns:
        Shape (rows, columns, max(len(bands), room)), contiguous.
    """
    wanted = [*bands, *(bands[0] for _ in range(room - len(bands)))]
    if wanted == list(range(samples.shape[2])):
        return np.ascontiguousarray(samples)
    out: NDArray[Any] = np.empty((*samples.shape[:2], len(wanted)), samples.dtype)
    if out.size:
        holder = _HOLDERS[samples.dtype.itemsize]
        route = [place for to, band in enumerate(wanted) for place in (band, to)]
        cv2.mixChannels([_held(samples).view(holder)], [out.view(holder)], route)
    return out


def blanked(samples: NDArray[Any], there: NDArray[np.bool_]) -> NDArray[Any]:
    """Copy samples, 0 where there is nothing.

    Args:
        samples: Shape (rows, columns, bands).
        there: Shape (rows, columns).
    """
    holder = _HOLDERS[samples.dtype.itemsize]
    found = cv2.copyTo(_held(samples).view(holder), there.view("u1"))
    return np.asarray(found).view(samples.dtype).reshape(samples.shape)


def _held(samples: NDArray[Any]) -> NDArray[Any]:
    """Give samples whose pixels are in one piece, as OpenCV wants them; rows may lie apart."""
    _, columns, bands = samples.shape
    size = samples.dtype.itemsize
    whole = samples.strides[2] == size and (columns == 1 or samples.strides[1] == bands * size)
    return samples if whole else np.ascontiguousarray(samples)
