"""Pictures of what a tile is made of, each cut to where it has the say among those it is interleaved with.

Scenes of one overview may come before and behind those of another. So of each pixel that several have,
the one has the say whose scene comes first; which scene that is stands in the file of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mosaics.errors import SceneUnreadableError
from mosaics.models import Frame, Picture
from mosaics.ordering import UNKNOWN
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
        shape = self.frame.height, self.frame.width
        several = np.add.reduce([picture.alpha > 0 for _, picture in pictures], dtype=np.uint8) > 1
        least, first = np.full(shape, UNKNOWN, np.int32), np.full(shape, -1, np.int8)
        for number, (contribution, picture) in enumerate(pictures):
            there = picture.alpha > 0
            if (there & several).any():  # who is alone at all its pixels need not be compared
                try:
                    order = self._order(contribution.rank)
                except SceneUnreadableError as error:
                    self._made[id(contribution)] = error
                    continue
                before = there & ((first < 0) | (order < least))
                np.copyto(least, order, where=before)
            else:
                before = there
            np.copyto(first, np.int8(number), where=before)
        for number, (contribution, picture) in enumerate(pictures):
            made = self.cut(picture, first == number) if several.any() else picture
            self._made.setdefault(id(contribution), made)

    def _order(self, rank: Rank | None) -> NDArray[np.int32]:
        """Give where the scene of each pixel stands in the order, shape (height, width) or (1, 1)."""
        assert rank is not None, "else it is not compared"
        if rank.numbers is None:
            return rank.order[:1, np.newaxis]
        raster = self.reader.read(rank.numbers, [1], self.frame, "nearest", self.stop)
        numbers = raster.data[0]
        known = raster.valid & (numbers < len(rank.order))
        if not known.all():
            numbers = np.where(known, numbers, 0)
        found: NDArray[np.int32] = rank.order.take(numbers)
        return found
