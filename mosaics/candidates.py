"""Which of some scenes meet a tile and are open on it: told of many at once, before any of them is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from mosaics.catalog.visible import openings_at
from mosaics.filters import Opening, SceneFilter

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from mosaics.models import Scene
    from mosaics.ordering import Place


class OpenHere(NamedTuple):
    """What is open on a tile of the scenes that one opening is of."""

    mask: BaseGeometry | None
    """Where, longitude and latitude; None: on the whole tile."""
    digest: str
    """Of the mask; empty where it is None."""
    charged: tuple[str, ...]
    """Labels of the metered rules that are needed."""


class Candidate(NamedTuple):
    """A scene that meets a tile and is open on it."""

    place: Place
    footprint: BaseGeometry
    opened: OpenHere

    @property
    def scene(self) -> Scene | None:
        """The scene, made when it is asked for; None: its item is damaged."""
        return self.place.table.scene(self.place.row, self.footprint)


class OpenOnTile:
    """Tells which scenes meet one tile and are open on it; for one thread."""

    def __init__(self, opened: SceneFilter, outline: BaseGeometry, ground_resolution: float) -> None:
        """Begin with a tile.

        Args:
            opened: What the caller may see.
            outline: Of the tile, longitude and latitude.
            ground_resolution: Of the tile, metres per pixel.
        """
        self._filter, self._outline, self._ground_resolution = opened, outline, ground_resolution
        self._here: dict[int, tuple[Opening, OpenHere | None]] = {}

    def among(self, places: Sequence[Place]) -> list[Candidate]:
        """Give the candidates among some places, in their order."""
        found: list[tuple[int, Candidate]] = []
        tables = {id(place.table): place.table for place in places}
        for table in tables.values():
            here = [(number, place) for number, place in enumerate(places) if place.table is table]
            rows = np.array([place.row for _, place in here], np.intp)
            openings = openings_at(table, rows, self._filter, self._ground_resolution)
            footprints = table.footprints(rows)
            meet = shapely.intersects(footprints, self._outline).tolist()
            for (number, place), opening, footprint, meets in zip(
                here, openings, footprints, meet, strict=True
            ):
                opened = None if opening is None or not meets else self._on_the_tile(opening)
                if opened is not None:
                    found.append((number, Candidate(place, footprint, opened)))
        if len(tables) > 1:
            found.sort(key=lambda each: each[0])
        return [candidate for _, candidate in found]

    def _on_the_tile(self, opening: Opening) -> OpenHere | None:
        known = self._here.get(id(opening))
        if known is None:  # it is held, so that its identity stays its own
            known = self._here[id(opening)] = (opening, self._looked_at(opening))
        return known[1]

    def _looked_at(self, opening: Opening) -> OpenHere | None:
        mask = opening.area
        if mask is not None:
            if shapely.covers(mask, self._outline):
                mask = None
            elif not shapely.intersects(mask, self._outline):
                return None
        charged = charged_for(opening, self._outline) if self._filter.metered else ()
        return OpenHere(mask, "" if mask is None else opening.digest, charged)


def charged_for(opening: Opening, outline: BaseGeometry) -> tuple[str, ...]:
    """Give the labels of the metered rules that a scene needs on a tile.

    Args:
        opening: Of the scene.
        outline: Of the tile, longitude and latitude.

    Returns:
        None of them where another rule opens the tile, one that covers it, or all that meet it.
    """
    covering = [part for part in opening.parts if part.area is None or shapely.covers(part.area, outline)]
    if any(not part.rule.metered for part in covering):
        return ()
    if covering:
        return (covering[0].rule.label,)
    return tuple(
        part.rule.label
        for part in opening.parts
        if part.rule.metered and part.area is not None and shapely.intersects(part.area, outline)
    )
