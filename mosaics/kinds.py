"""What a filter's rules look at of a scene: scenes that are alike in it are open alike."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class SceneKind(NamedTuple):
    """Scenes that no rule of a filter tells apart; rules take it for one of them."""

    collection_id: str
    licence_id: str | None
    sensor_id: str
    id: str
    """Empty where no rule names the scene."""
    acquired: datetime | None
    """Within the same windows as they are; None: it isn't known of them."""
    pan_resolution: float
    """As rights count it, metres per pixel; 0 where no rule does."""

    @property
    def finest_resolution(self) -> float:
        """What counts where there is no panchromatic resolution: `pan_resolution` is that already."""
        return self.pan_resolution


@dataclass(frozen=True, kw_only=True, eq=False)
class LookedAt:
    """What the rules of a filter look at, but for the collection, the licence and the sensor."""

    windows: NDArray[np.float64]
    """Where windows of acquisition begin or end, ascending, seconds since 1970."""
    instants: tuple[datetime, ...]
    """One before all of these, and these."""
    named: frozenset[str]
    """Ids of scenes that are named."""
    counts_pan: bool
    """Whether a limit is a multiple of the panchromatic resolution."""

    @classmethod
    def of(
        cls, ends: Iterable[datetime | None], named: Iterable[frozenset[str] | None], *, counts_pan: bool
    ) -> LookedAt:
        """Tell what rules look at.

        Args:
            ends: Where windows of acquisition begin or end; None: they do not.
            named: Ids of scenes that are named; None: any.
            counts_pan: Whether a limit is a multiple of the panchromatic resolution.
        """
        known = sorted({each for each in ends if each is not None})
        return cls(
            windows=np.array([each.timestamp() for each in known], float),
            instants=(_BEFORE_ALL, *known),
            named=frozenset().union(*(each for each in named if each is not None)),
            counts_pan=counts_pan,
        )

    def instants_of(self, acquired: NDArray[np.float64]) -> list[datetime | None]:
        """Give instants that are within the same windows as others, seconds since 1970; NaN: not known."""
        if not len(self.windows):
            return [None] * len(acquired)
        after = np.searchsorted(self.windows, acquired, side="right").tolist()
        return [
            None if math.isnan(when) else self.instants[place]
            for when, place in zip(acquired.tolist(), after, strict=True)
        ]
