"""Which scenes cover a tile, told by points all over it before any of them is made."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from mosaics.geodesy import UPRIGHT, lonlat_transformer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from shapely.geometry.base import BaseGeometry

    from mosaics.candidates import Candidate
    from mosaics.models import Frame
    from mosaics.ordering import Place

_POINTS: Final = 16
"""Along each side of a tile."""
_Points = NDArray[np.intp]
"""Numbers of some of them, ascending."""


def covering(
    pieces: Iterable[Sequence[Candidate]], frame: Frame, most: int, useless: AbstractSet[Place]
) -> list[Candidate]:
    """Choose of candidates, in order, those that show something that none before them covers.

    Those that add nothing fill up what is left of the number, the first first: pixels of those before them
    may be missing after all.

    Args:
        pieces: The candidates, some at a time; no more are taken than are looked at.
        frame: The tile.
        most: How many are chosen at most.
        useless: Where scenes stand that are left out.
    """
    if not most:
        return []
    coverage = _Coverage(frame)
    chosen: list[tuple[int, Candidate]] = []
    spare: list[tuple[int, Candidate]] = []
    for number, (candidate, covered) in enumerate(_with_points(pieces, coverage)):
        adds = coverage.shows(covered)
        if candidate.place in useless or (not adds and len(spare) >= most):
            continue
        (chosen if adds else spare).append((number, candidate))
        coverage.add(covered, candidate.opened.mask)
        if len(chosen) == most or (coverage.is_whole and len(chosen) + len(spare) >= most):
            break
    chosen += spare[: most - len(chosen)]
    return [candidate for _, candidate in sorted(chosen, key=lambda each: each[0])]


def _with_points(
    pieces: Iterable[Sequence[Candidate]], coverage: _Coverage
) -> Iterator[tuple[Candidate, _Points]]:
    """Give candidates with the points that each covers."""
    for some in pieces:
        yield from zip(some, coverage.under([each.footprint for each in some]), strict=True)


class _Coverage:
    """The points of a tile, and which of them something covers; for one thread."""

    def __init__(self, frame: Frame) -> None:
        """Begin with a tile of which nothing is covered."""
        self._longitude, self._latitude = _points(frame)
        self._left = np.ones(self._longitude.shape, bool)
        self._open: dict[int, tuple[BaseGeometry, NDArray[np.bool_]]] = {}
        self.is_whole = False
        """Whether all of the tile is covered."""

    def under(self, outlines: Sequence[BaseGeometry]) -> list[_Points]:
        """Give the points that each of some outlines covers.

        Args:
            outlines: Longitude and latitude, which nobody else uses yet.
        """
        shapes = np.array(outlines, object)
        west, south, east, north = shapely.bounds(shapes).reshape(-1, 4).T[:, :, np.newaxis]
        within = (self._longitude >= west) & (self._longitude <= east)
        within &= (self._latitude >= south) & (self._latitude <= north)
        number, point = np.nonzero(within)
        if len(number):
            shapely.prepare(shapes)
            inside = shapely.contains_xy(shapes[number], self._longitude[point], self._latitude[point])
            shapely.destroy_prepared(shapes)  # which takes more memory than the outline, and is not shared
            number, point = number[inside], point[inside]
        ends = np.searchsorted(number, np.arange(len(outlines) + 1)).tolist()
        return [point[begin:end] for begin, end in itertools.pairwise(ends)]

    def shows(self, points: _Points) -> bool:
        """Tell whether what covers some points shows anything new: some of them, or what lies between all."""
        return not len(points) or bool(self._left[points].any())

    def add(self, points: _Points, mask: BaseGeometry | None) -> None:
        """Cover points, as far as a mask (longitude and latitude) leaves them open."""
        if mask is not None:
            points = points[self._open_by(mask)[points]]
        if len(points):
            self._left[points] = False
            self.is_whole = not self._left.any()

    def _open_by(self, mask: BaseGeometry) -> NDArray[np.bool_]:
        """Tell which points are within a mask, which many scenes have in common."""
        known = self._open.get(id(mask))
        if known is None:  # it is held, so that its identity stays its own
            flags: NDArray[np.bool_] = shapely.contains_xy(mask, self._longitude, self._latitude)
            known = self._open[id(mask)] = (mask, flags)
        return known[1]


def _points(frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give longitudes and latitudes of points all over a frame."""
    left, bottom, right, top = frame.bounds
    parts = (np.arange(_POINTS) + 0.5) / _POINTS
    x, y, to_lonlat = (
        left + (right - left) * parts,
        bottom + (top - bottom) * parts,
        lonlat_transformer(frame.crs),
    )
    if frame.crs in UPRIGHT:
        longitude, latitude = np.meshgrid(*to_lonlat.transform(x, y))
    else:
        longitude, latitude = to_lonlat.transform(*np.meshgrid(x, y))
    return longitude.ravel(), latitude.ravel()
