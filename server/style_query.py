"""A caller's own style, and the size of a legend, as a query writes them: strict, bounded, in one form."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from typing import Final, cast, get_args
from urllib.parse import urlencode

from rio_tiler.colormap import cmap

from mosaics.errors import ColormapNotFoundError, IndexNotFoundError
from mosaics.legend_picture import DEFAULT_WIDTH, HEIGHTS, WIDTHS, Size
from mosaics.mosaic import PixelSelection
from mosaics.own_style import OwnStyle
from mosaics.styles import Ranges
from server.requests import BadRequestError, TooLargeError, number, single

NAMES: Final = frozenset({"bands", "index", "rescale", "colormap", "gamma"})
"""Parameters that make a style of one's own."""
GAMMA: Final = (0.1, 10.0)
LARGEST: Final = 1e9
"""Of the ends of a range, either side of zero."""
NARROWEST: Final = 1e-6
"""Least width of a range."""
_LONGEST: Final = 200
"""Characters of a parameter."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,9})?")
_CHANNELS: Final = frozenset({1, 3})

Query = Sequence[tuple[str, str]]


def own_style_of(query: Query, indices: Container[str]) -> OwnStyle | None:
    """Read a caller's own style.

    Args:
        query: Of the request; parameters that are not of a style are left alone, empty ones count as absent.
        indices: Ids of the indices that there are.

    Returns:
        None where the query wants none.

    Raises:
        BadRequestError: If a parameter is malformed; the message names it, never its value.
        IndexNotFoundError, ColormapNotFoundError: See their names.
    """
    if not any(name in NAMES and value for name, value in query):
        return None
    if any(name in NAMES and len(value) > _LONGEST for name, value in query):
        raise BadRequestError("a parameter of the style is too long")
    bands, index = single(query, "bands"), single(query, "index")
    colormap, gamma = single(query, "colormap"), single(query, "gamma")
    if bands is not None and index is not None:
        raise BadRequestError("bands and index exclude each other")
    if index is not None and index not in indices:
        raise IndexNotFoundError
    if colormap is not None and colormap not in cmap.data:
        raise ColormapNotFoundError
    return OwnStyle(
        bands=() if bands is None else _bands(bands),
        index=index,
        rescale=_ranges(value for name, value in query if name == "rescale" and value),
        colormap_name=colormap,
        gamma=None if gamma is None else _gamma(gamma),
    )


def pixel_selection(query: Iterable[tuple[str, str]]) -> PixelSelection | None:
    """Read `pixel_selection=`: of the valid pixels at a place the first, their mean or the greatest.

    Raises:
        BadRequestError: If it is another word.
    """
    word = single(query, "pixel_selection")
    if word is not None and word not in get_args(PixelSelection):
        raise BadRequestError(f"pixel_selection must be {', '.join(get_args(PixelSelection))}")
    return cast("PixelSelection | None", word)


def written(own: OwnStyle | None) -> str:
    """Write an own style as a query, encoded: in one order and one form, whatever the request's were."""
    if own is None:
        return ""
    pairs = [
        ("bands", ",".join(own.bands)),
        ("index", own.index or ""),
        *(("rescale", f"{_plain(low)},{_plain(high)}") for low, high in own.rescale),
        ("colormap", own.colormap_name or ""),
        ("gamma", "" if own.gamma is None else _plain(own.gamma)),
    ]
    return urlencode([(name, value) for name, value in pairs if value], safe=",")


def legend_size(query: Query) -> Size:
    """Read the size of a legend.

    Raises:
        BadRequestError: If a number is malformed or too small.
        TooLargeError: If it is too large.
    """
    width = _side(query, "width", WIDTHS)
    return Size(width=DEFAULT_WIDTH if width is None else width, height=_side(query, "height", HEIGHTS))


def _side(query: Query, name: str, bounds: tuple[int, int]) -> int | None:
    text = single(query, name)
    if text is None:
        return None
    low, high = bounds
    value = number(text, name)
    if value > high:
        raise TooLargeError(f"{name} must be from {low} to {high}")
    if value < low:
        raise BadRequestError(f"{name} must be from {low} to {high}")
    return value


def _bands(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if len(names) not in _CHANNELS or not all(names):
        raise BadRequestError("bands must be one or three names or numbers, with commas between")
    return names


def _ranges(texts: Iterable[str]) -> Ranges:
    found = tuple(_range(text) for text in texts)
    if len(found) not in {0, *_CHANNELS}:
        raise BadRequestError("rescale must be given once, or once for each of three channels")
    return found


def _range(text: str) -> tuple[float, float]:
    ends = tuple(_finite(part, "rescale") for part in text.split(","))
    if len(ends) != 2:
        raise BadRequestError("rescale must be LOW,HIGH")
    low, high = ends
    if max(abs(low), abs(high)) > LARGEST or high - low < NARROWEST:
        raise BadRequestError("rescale must be LOW,HIGH with LOW below HIGH, neither beyond 1000000000")
    return low, high


def _gamma(text: str) -> float:
    value = round(_finite(text, "gamma"), 3)
    if not GAMMA[0] <= value <= GAMMA[1]:
        raise BadRequestError("gamma must be from 0.1 to 10")
    return value


def _finite(text: str, name: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise BadRequestError(f"{name} takes decimal numbers such as 0.25 or -30")
    return float(text) + 0.0  # no -0.0, which would be another style of the same look


def _plain(value: float) -> str:
    """Write a number as `_finite` reads it, and as it was."""
    return f"{value:.9f}".rstrip("0").rstrip(".")
