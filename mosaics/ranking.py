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
    from mosaics.resolve import Contribution

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
        shape = (self.frame.height, self.frame.width)
        many = np.sum([picture.alpha > 0 for _, picture in pictures], axis=0, dtype=np.int32)
        least, first = np.full((_KEYS, *shape), np.inf), np.full(shape, -1)
        for number, (contribution, picture) in enumerate(pictures):
            there = picture.alpha > 0
            try:
                # who is alone at all its pixels need not be compared
                keys = self._keys(contribution.rank) if (there & (many > 1)).any() else _alone(shape)
            except SceneUnreadableError as error:
                self._made[id(contribution)] = error
                continue
            before = there & ((first < 0) | _less(keys, least))
            least[:, before] = keys[:, before]
            first[before] = number
        for number, (contribution, picture) in enumerate(pictures):
            self._made.setdefault(id(contribution), self.cut(picture, first == number))

    def _keys(self, rank: Rank | None) -> NDArray[np.float64]:
        """Give what each pixel's scene is ordered by, shape (3, height, width)."""
        assert rank is not None, "else it is not compared"
        shape = (self.frame.height, self.frame.width)
        if rank.numbers is None:
            return np.broadcast_to(rank.keys[0][:, np.newaxis, np.newaxis], (_KEYS, *shape))
        raster = self.reader.read(rank.numbers, [1], self.frame, "nearest", self.stop)
        numbers = np.where(raster.valid, raster.data[0], 0).astype(np.intp)
        numbers[numbers >= len(rank.keys)] = 0
        return np.moveaxis(rank.keys[numbers], -1, 0)


def _alone(shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.broadcast_to(np.inf, (_KEYS, *shape))


def _less(keys: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Compare the first numbers, where they are equal the second, and so on."""
    found = np.zeros(keys.shape[1:], bool)
    for mine, theirs in zip(keys[::-1], others[::-1], strict=True):
        found = (mine < theirs) | ((mine == theirs) & found)
    return found
