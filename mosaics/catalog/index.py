"""The catalogue as a worker holds it: in memory, frozen, swapped whole when something changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mosaics.catalog.base import Changes
from mosaics.catalog.overview import Overview, definition_of, overview_from
from mosaics.catalog.standing import LayerRows, Standing
from mosaics.catalog.table import Rows, SceneMaker, SceneTable
from mosaics.catalog.visible import Visible, visible
from mosaics.cql2 import Expression, selected
from mosaics.filters import SceneFilter
from mosaics.models import Collection, Scene
from mosaics.mosaic import Mosaic
from mosaics.stretch import Stretch

SceneKey = tuple[str, str]
"""Collection id and scene id."""
_FEW: Final = 4
"""A part that is less than so many times as large as the next one becomes one with it."""


@dataclass(frozen=True, eq=False)
class Part:
    """A table, and which of its rows are still so; known by its identity."""

    table: SceneTable
    gone: NDArray[np.bool_] | None = None
    """True for rows that were removed or replaced; None: none was."""

    def seen_by(self, opened: SceneFilter) -> Visible:
        """Give what a filter leaves of it; remembered, for all filters that are the same."""
        table = self.table
        seen = table.recall(
            ("seen", opened.digest),
            lambda: visible(table, np.arange(len(table)), opened),
            lambda found: found.size_bytes,
        )
        return seen if self.gone is None else seen.among(self.rows)

    def selected_by(self, where: Expression | None) -> Rows:
        """Give the rows that a filter of a mosaic selects, ascending; remembered likewise."""
        table = self.table
        rows = table.recall(
            ("selected", json.dumps(where, sort_keys=True)),
            lambda: np.flatnonzero(selected(where, table)),
            lambda found: int(found.nbytes),
        )
        return self.there(rows)

    @cached_property
    def rows(self) -> Rows:
        """The rows that are there, ascending."""
        return np.arange(len(self.table)) if self.gone is None else np.flatnonzero(~self.gone)

    def there(self, rows: Rows) -> Rows:
        """Leave out the rows that are gone."""
        return rows if self.gone is None else rows[~self.gone[rows]]

    def without(self, rows: Iterable[int]) -> Part:
        """Give the part without some rows."""
        gone = np.zeros(len(self.table), bool) if self.gone is None else self.gone.copy()
        gone[list(rows)] = True
        return Part(self.table, gone)

    def joins(self, other: Part) -> bool:
        """Tell whether it is better to hold both as one."""
        return self.table.make is other.table.make and len(self.rows) < _FEW * len(other.rows)

    def followed_by(self, other: Part) -> Part:
        """Give what is there of two parts as one."""
        tables = [each.table if each.gone is None else each.table.some(each.rows) for each in (self, other)]
        return Part(tables[0].followed_by(tables[1]).prepare())

    def row_of(self, collection_id: str, scene_id: str) -> Rows:
        """Give the row of a scene, if it is there."""
        row = self.table.row_of(collection_id, scene_id)
        return self.there(np.array([] if row is None else [row], np.intp))

    def of_collection(self, collection_id: str) -> Rows:
        """Give the rows of a collection that are there, ascending."""
        return self._groups.get(collection_id, np.array([], np.intp))

    @cached_property
    def _groups(self) -> dict[str, Rows]:
        codes, values = self.table.words("collection")
        held = codes[self.rows]
        order = np.argsort(held, kind="stable")
        borders = np.flatnonzero(np.diff(held[order])) + 1
        groups = np.split(self.rows[order], borders) if len(order) else []
        return {str(values[codes[group[0]]]): group for group in groups}


@dataclass(frozen=True, kw_only=True, eq=False)
class CatalogIndex:
    """Everything the catalogue holds at one sequence."""

    sequence: int = 0
    collections: dict[str, Collection] = field(default_factory=dict)
    mosaics: dict[str, Mosaic] = field(default_factory=dict)
    """Definitions of named mosaics, by id."""
    stretches: dict[str, Stretch] = field(default_factory=dict)
    """Ranges of values of collections and named mosaics, by id."""
    parts: tuple[Part, ...] = ()
    """Large ones first; changes are a small part at the end until they are many."""
    overviews: dict[str, dict[str, Overview]] = field(default_factory=dict)
    """Coarse files in place of many scenes, by layer and name."""

    @classmethod
    def of(
        cls, scenes: Iterable[Scene], collections: Mapping[str, Collection], *, sequence: int = 1
    ) -> CatalogIndex:
        """Make an index of scenes that exist."""
        part = Part(SceneTable.of_scenes(scenes))
        return cls(sequence=sequence, collections=dict(collections), parts=(part,))

    @property
    def scenes(self) -> Scenes:
        """All scenes by their keys."""
        return Scenes(self)

    def newest_first(self, collection_id: str) -> tuple[Scene, ...]:
        """Make all scenes of a collection."""
        return newest_first(scene for key, scene in self.scenes.items() if key[0] == collection_id)

    def standing(self, layer_id: str) -> Standing | None:
        """Give what a layer's overviews are worth now; None: it has none. The same for all who ask."""
        if layer_id not in self._standings:
            self._standings[layer_id] = self._standing_of(layer_id)
        return self._standings[layer_id]

    @cached_property
    def _standings(self) -> dict[str, Standing | None]:
        return {}

    def _standing_of(self, layer_id: str) -> Standing | None:
        mosaic = self.mosaics.get(layer_id)
        definition = definition_of(mosaic)
        made = sorted(self.overviews.get(layer_id, {}).items())
        overviews = tuple(overview for _, overview in made if overview.definition == definition)
        if not overviews:
            return None
        rows = [
            (part, part.of_collection(layer_id) if mosaic is None else part.selected_by(mosaic.where))
            for part in self.parts
        ]
        return Standing(
            parts=tuple(LayerRows(part=part, rows=held) for part, held in rows if len(held)),
            overviews=overviews,
        )

    def place_of(self, key: SceneKey) -> tuple[int, int] | None:
        """Give the part and the row of a scene."""
        for number, part in enumerate(self.parts):
            row = part.table.row_of(*key)
            if row is not None and (part.gone is None or not part.gone[row]):
                return number, row
        return None

    def with_changes(self, changes: Changes, make: SceneMaker) -> CatalogIndex:
        """Give the index after the changes; what is untouched stays the same part."""
        if changes.sequence == self.sequence:
            return self
        collections = dict(self.collections)
        for collection_id, collection in changes.collections.items():
            if collection is None:
                collections.pop(collection_id, None)
            else:
                collections[collection_id] = collection
        told = self.mosaics | changes.mosaics
        return CatalogIndex(
            sequence=changes.sequence,
            collections=collections,
            mosaics={id_: mosaic for id_, mosaic in told.items() if mosaic is not None},
            stretches=self.stretches | changes.stretches,
            parts=self._parts_after(changes, make),
            overviews=self._overviews_after(changes, make),
        )

    def _overviews_after(self, changes: Changes, make: SceneMaker) -> dict[str, dict[str, Overview]]:
        if not changes.overviews:
            return self.overviews
        overviews = {layer_id: dict(known) for layer_id, known in self.overviews.items()}
        for (layer_id, name), (sequence, document) in changes.overviews.items():
            known = overviews.setdefault(layer_id, {})
            known.pop(name, None)
            made = None if document is None else overview_from(layer_id, name, document, make, sequence)
            if made is not None:
                known[name] = made
        return overviews

    def _parts_after(self, changes: Changes, make: SceneMaker) -> tuple[Part, ...]:
        replaced: dict[int, list[int]] = {}
        for key in (*changes.scenes.keys, *changes.gone) if self.parts else ():
            place = self.place_of(key)
            if place is not None:
                replaced.setdefault(place[0], []).append(place[1])
        parts = [
            part.without(replaced[number]) if number in replaced else part
            for number, part in enumerate(self.parts)
        ]
        if len(changes.scenes):
            parts.append(Part(SceneTable.of(changes.scenes, make).prepare()))
        while len(parts) > 1 and parts[-2].joins(parts[-1]):
            last = parts.pop()
            parts[-1] = parts[-1].followed_by(last)
        return tuple(part for part in parts if len(part.rows))


@dataclass(frozen=True)
class Scenes(Mapping[SceneKey, Scene]):
    """All scenes of an index, each made when it is asked for."""

    index: CatalogIndex

    def __getitem__(self, key: SceneKey) -> Scene:
        """Make one."""
        place = self.index.place_of(key)
        scene = None if place is None else self.index.parts[place[0]].table.scene(place[1])
        if scene is None:
            raise KeyError(key)
        return scene

    def __iter__(self) -> Iterator[SceneKey]:
        """Give the keys."""
        for part in self.index.parts:
            for row in part.rows:
                yield str(part.table.word("collection", row)), str(part.table.word("id", row))

    def __len__(self) -> int:
        """Give their number."""
        return sum(len(part.rows) for part in self.index.parts)

    def last_changed(self, most: int) -> list[Scene]:
        """Make the scenes that were changed last, the last first."""
        found = [
            (int(part.table.sequences[row]), part.table, int(row))
            for part in self.index.parts
            for row in part.rows[np.argsort(part.table.sequences[part.rows])[-most:]]
        ]
        found.sort(key=lambda each: each[0], reverse=True)
        made = (table.scene(row) for _, table, row in found[:most])
        return [scene for scene in made if scene is not None]


def newest_first(scenes: Iterable[Scene]) -> tuple[Scene, ...]:
    """Order scenes by acquisition, newest first; undated ones last; then by banking, newest first, and id."""
    return tuple(
        sorted(
            scenes,
            key=lambda s: (-(s.acquired.timestamp() if s.acquired else float("-inf")), -s.sequence, s.id),
        )
    )


def whole_earth() -> BaseGeometry:
    """Give the rectangle of all longitudes and latitudes."""
    return shapely.box(-180, -90, 180, 90)
