"""How many bytes the tiles of a plan would take, told by a few of each zoom; nothing is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from server.seeding.plan import Place
from server.seeding.work import Seeder

_SAMPLES: Final = 8
"""Tiles of each zoom that are drawn."""


class ZoomEstimate(NamedTuple):
    """One zoom of a plan."""

    zoom: int
    tiles: int
    size_bytes: int
    """Of all, if they are like those that were drawn."""


def estimates(seeder: Seeder) -> Iterable[ZoomEstimate]:
    """Give what each zoom would take.

    Tiles that are kept already, or cannot be drawn, count as nothing.

    Args:
        seeder: What would make them.
    """
    for each in seeder.plan.tiles:
        chosen = np.unique(np.linspace(0, len(each) - 1, min(_SAMPLES, len(each)), dtype=np.int64))
        places = [Place(each.zoom, int(each.columns[number]), int(each.rows[number])) for number in chosen]
        sizes = [
            len(found.tile.data)
            for found in (seeder.look(places) if places else ())
            if found.state == "made" and found.tile is not None
        ]
        size = round(sum(sizes) / len(places) * len(each)) if places else 0
        yield ZoomEstimate(each.zoom, len(each), size)
