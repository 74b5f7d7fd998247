"""Pictures of what a tile is made of, each cut to where it has the say among those it is interleaved with.

Scenes of one overview may come before and behind those of another. So of each pixel that several have,
the one has the say whose scene comes first; which scene that is stands in the file of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mosaics.errors import SceneUnreadableError
from mosaics.models import Frame, Picture
from mosaics.read import SceneReader
from mosaics.stopping import Stop

if TYPE_CHECKING:
    from mosaics.coarse import Rank
    from mosaics.contribution import Contribution

Render = Callable[["Contribution"], Picture]
"""Gives the picture of a contribution alone.

Raises:
    SceneUnreadableError: If its file can't be read.
"""
_KEYS: Final = 3
"""Numbers that scenes are ordered by."""


@dataclass(kw_only=True)
class Ranked:
    """Gives pictures one after the other; those that are interleaved are made together."""

    contributions: Sequence[Contribution]
    """In order."""
    frame: Frame
    reader: SceneReader
    render: Render
    cut: Callable[[Picture, NDArray[np.bool_]], Picture]
    """Blanks a picture where it is told False."""
    stop: Stop
    _made: dict[int, Picture | SceneUnreadableError] = field(default_factory=dict, init=False)

    def picture(self, contribution: Contribution) -> Picture:
        """Give the picture of a contribution, blank where one that it is interleaved with comes first.

        Raises:
            SceneUnreadableError: If its file can't be read.
            NobodyWaitsError: If `stop` said so.
        """
        if contribution.rank is None:
            return self.render(contribution)
        if id(contribution) not in self._made:
            group = contribution.rank.group
            self._make([e for e in self.contributions if e.rank is not None and e.rank.group == group])
        made = self._made.pop(id(contribution))
        if isinstance(made, SceneUnreadableError):
            raise made
        return made

    def _make(self, together: Sequence[Contribution]) -> None:
        pictures: list[tuple[Contribution, Picture]] = []
        for contribution in together:
            try:
                pictures.append((contribution, self.render(contribution)))
            except SceneUnreadableError as error:
                self._made[id(contribution)] = error
        counts = np.zeros((self.frame.height, self.frame.width), np.uint8)
        for _, picture in pictures:
            counts += picture.alpha > 0
        several = counts > 1
        at = np.flatnonzero(several)
        least, first = np.full((_KEYS, len(at)), np.inf), np.full(len(at), -1)
        for number, (contribution, picture) in enumerate(pictures):
            there = picture.alpha.ravel()[at] > 0
            if not there.any():  # who is alone at all its pixels need not be compared
                continue
            try:
                keys = self._keys(contribution.rank, at)
            except SceneUnreadableError as error:
                self._made[id(contribution)] = error
                continue
            before = there & ((first < 0) | _less(keys, least))
            np.copyto(least, keys, where=before)
            first[before] = number
        keep = np.empty(several.shape, bool)
        for number, (contribution, picture) in enumerate(pictures):
            np.logical_not(several, out=keep)
            keep.ravel()[at] = first == number
            self._made.setdefault(id(contribution), self.cut(picture, keep) if len(at) else picture)

    def _keys(self, rank: Rank | None, at: NDArray[np.intp]) -> NDArray[np.float64]:
        """Give what the scenes of some pixels are ordered by, shape (3, n)."""
        assert rank is not None, "else it is not compared"
        if rank.numbers is None:
            return np.broadcast_to(rank.keys[0][:, np.newaxis], (_KEYS, len(at)))
        raster = self.reader.read(rank.numbers, [1], self.frame, "nearest", self.stop)
        numbers = np.where(raster.valid.ravel()[at], raster.data[0].ravel()[at], 0).astype(np.intp)
        numbers[numbers >= len(rank.keys)] = 0
        return rank.columns.take(numbers, axis=1)


def _less(keys: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Compare the first numbers, where they are equal the second, and so on."""
    found = np.zeros(keys.shape[1:], bool)
    for mine, theirs in zip(keys[::-1], others[::-1], strict=True):
        found = (mine < theirs) | ((mine == theirs) & found)
    return found
