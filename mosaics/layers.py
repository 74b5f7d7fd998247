"""What a layer is for one caller: the scenes, extent, dates and styles that the filter leaves."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from mosaics.catalog.index import Part
from mosaics.catalog.standing import Standing
from mosaics.catalog.table import SceneTable
from mosaics.catalog.visible import rows_held, rules_open
from mosaics.errors import StyleNotFoundError, TimeNotFoundError
from mosaics.filters import EVERYTHING, SLACK, SceneFilter, SceneRule, SceneSet
from mosaics.layer_part import LayerPart
from mosaics.models import Bounds, Collection, Scene, Text
from mosaics.mosaic import Mosaic, Order
from mosaics.ordering import Place, ScenesOrder, by_rule, in_order, within
from mosaics.outlines import raster_outline
from mosaics.stretch import Stretch
from mosaics.times import ANY_TIME, DEFAULT, LATEST, TimeSpan, parse_time
from mosaics.told import Told

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

__all__ = ["ANY_TIME", "COLLECTION_ID", "DEFAULT", "LATEST", "SCENE_ID", "Layer", "TimeSpan"]

COLLECTION_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SCENE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MANY: Final = 1_000
"""Scenes beyond which their outlines are no longer exact, which is slow."""


class Listed(NamedTuple):
    """A scene as lists tell of it."""

    collection_id: str
    id: str
    sensor_id: str
    acquired: datetime | None
    extent: Bounds
    """Longitudes and latitudes around what is open of it."""
    ground_resolution: float
    """Finest detail there is to see of it, native or as far as rights open it, metres per pixel."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A collection, or one scene of it, as a caller sees it; never empty."""

    id: str
    collection: Collection
    """What people read about it."""
    parts: tuple[LayerPart, ...]
    """The scenes that the filter sees; none of the parts is empty."""
    single: bool
    """True for a layer of one scene (`collection:scene`)."""
    rights: str = ""
    """Digest of the filter that made it so."""
    stretch: Stretch | None = None
    """The range of values that all its scenes are shown in; None: each has its own."""
    mosaic: Mosaic | None = None
    """How a named mosaic is defined."""
    attributions: Mapping[str, str] = field(default_factory=dict)
    """Copyright lines of the collections that a named mosaic may be of, by their ids."""
    standing: Standing | None = None
    """The coarse files that may stand for its scenes at low zooms; None: there are none."""
    among: tuple[Told, int] | None = None
    """Layers that are told of together, and its number among them; None: it alone."""

    @classmethod
    def of(
        cls,
        layer_id: str,
        scenes: Iterable[Scene],
        *,
        collection: Collection,
        single: bool = False,
        opened: SceneFilter = EVERYTHING,
    ) -> Layer:
        """Make a layer of scenes that exist.

        Args:
            layer_id: Its id.
            scenes: The scenes.
            collection: What people read about it.
            single: Whether it is a layer of one scene.
            opened: What is seen of them.
        """
        part = Part(SceneTable.of_scenes(scenes))
        seen = part.seen_by(opened)
        return cls(
            id=layer_id, collection=collection, parts=(LayerPart(part=part, seen=seen),), single=single
        )

    def __len__(self) -> int:
        """Give the number of its scenes."""
        return sum(len(part.seen.rows) for part in self.parts)

    @cached_property
    def title(self) -> Text:
        """Title of the collection, with the scene's id for a layer of one scene."""
        if not self.single:
            return self.collection.title
        scene = self.parts[0].table.word("id", int(self.parts[0].seen.rows[0]))
        return Text(fr=f"{self.collection.title.fr} : {scene}", en=f"{self.collection.title.en}: {scene}")

    @cached_property
    def bounds(self) -> Bounds:
        """Longitudes and latitudes around all that is open; -180..180 where that crosses the antimeridian."""
        return self._told.bounds[self._number]

    @cached_property
    def widest(self) -> float:
        """The longest side of the box of any of its scenes, degrees."""
        boxes = np.concatenate([part.table.bounds[part.seen.rows] for part in self.parts])
        return float(np.nanmax(boxes[:, 2:] - boxes[:, :2]))

    @cached_property
    def times(self) -> tuple[str, ...]:
        """Distinct acquisition dates (UTC), ascending, as YYYY-MM-DD."""
        return self._told.times[self._number]

    @cached_property
    def styles(self) -> tuple[str, ...]:
        """Style ids, the default first: those of the scene banked first, then what others add."""
        found = self._told.styles[self._number]
        chosen = () if self.mosaic is None else self.mosaic.styles
        return tuple(style for style in chosen if style in found) or found

    @cached_property
    def examples(self) -> tuple[Scene, ...]:
        """One scene, the newest, of each sort that styles tell apart: by kind, bands and styles."""
        found: dict[str, None] = {}
        scenes = []
        for place in self._alone.firsts("look")[0]:
            look = str(place.table.word("look", place.row))
            scene = place.scene
            if look not in found and scene is not None:
                found[look] = None
                scenes.append(scene)
        return tuple(scenes)

    @cached_property
    def limit(self) -> float:
        """Finest detail that rights open of any of its scenes, metres per pixel; 0: no limit."""
        return self._told.limits[self._number]

    @cached_property
    def ground_resolution(self) -> float:
        """Finest ground sample distance that is shown of it, metres per pixel: native, or as rights open."""
        return min(float(np.maximum(part.numbers("gsd"), part.seen.finest).min()) for part in self.parts)

    @cached_property
    def attribution(self) -> str:
        """The distinct copyright lines of its scenes and collection."""
        own, others = self.collection.attribution, self.attributions
        lines = dict.fromkeys(
            line or own or others.get(collection, "") for line, collection in self._told.lines[self._number]
        )
        return " · ".join(line for line in lines if line)

    @cached_property
    def licences(self) -> tuple[str, ...]:
        """The distinct licence ids of its scenes."""
        return self._told.licences[self._number]

    @cached_property
    def sensors(self) -> tuple[str, ...]:
        """The distinct sensor ids of its scenes."""
        return self._told.sensors[self._number]

    @cached_property
    def generation(self) -> str:
        """Changes whenever something that this caller sees of the layer does; 16 hex characters."""
        total = sum(int(part.table.tokens[part.seen.rows].sum()) for part in self.parts)
        stretch = "" if self.stretch is None else self.stretch.digest
        coarse = "" if self.standing is None else self.standing.token
        canonical = f"{self.rights}|{len(self)}|{total % 2**64}|{self.mosaic!r}|{stretch}|{coarse}"
        return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()

    @cached_property
    def scenes(self) -> tuple[Scene, ...]:
        """All its scenes in order: for layers that are known to be small."""
        made = (place.scene for place in self.places())
        return tuple(scene for scene in made if scene is not None)

    @cached_property
    def first(self) -> Scene:
        """The scene that comes first."""
        return next(scene for scene in (place.scene for place in self.places()) if scene is not None)

    def places(
        self, bounds: Bounds | None = None, span: TimeSpan = ANY_TIME, most: int | None = None
    ) -> list[Place]:
        """Give where its scenes stand, in order: those whose box meets a box, acquired in a span.

        Args:
            bounds: Longitudes and latitudes; None: everywhere.
            span: Acquisition times.
            most: Give no more than the first so many.
        """
        rule = self.rule if span.nearest is None else Order(rule="nearest", date=span.nearest)
        if bounds is None:
            found = [(part.table, within(part.table, part.seen.rows, span)) for part in self.parts]
        elif most is None or span.nearest is not None:  # an order of each date is not worth remembering
            found = [(part.table, part.near(bounds, span)) for part in self.parts]
        else:
            firsts = [part.first(bounds, span, rule, most) for part in self.parts]
            if len(firsts) == 1 and firsts[0].in_order:
                return firsts[0].places
            found = [(first.table, first.rows) for first in firsts]
        return in_order(found, most, by_rule(rule))

    @property
    def rule(self) -> Order:
        """By what its scenes are ordered."""
        return Order() if self.mosaic is None else self.mosaic.order

    @cached_property
    def order(self) -> ScenesOrder:
        """How its scenes are ordered."""
        return by_rule(self.rule)

    def stretched(self, scene: Scene) -> Scene:
        """Give a scene of it as if its values were those of a typical scene, where all are shown alike."""
        if self.stretch is None:
            return scene
        others = tuple(replace(each, bands=self.stretch.of(each.bands)) for each in scene.others)
        return replace(scene, bands=self.stretch.of(scene.bands), others=others)

    def listed(self, first: int, most: int) -> Iterator[Listed]:
        """Tell of some of its scenes, in order.

        Args:
            first: Number of the first of them, from 0.
            most: How many, at most.
        """
        seen = {id(part.table): part.seen for part in self.parts}
        for table, row in self._in_order[first : first + most]:
            place = int(np.searchsorted(seen[id(table)].rows, row))
            acquired = float(table.numbers("datetime")[row])
            yield Listed(
                collection_id=str(table.word("collection", row)),
                id=str(table.word("id", row)),
                sensor_id=str(table.word("flux:sensor", row)),
                acquired=None if math.isnan(acquired) else datetime.fromtimestamp(acquired, UTC),
                extent=Bounds(*seen[id(table)].extents[place].tolist()),
                ground_resolution=max(float(table.numbers("gsd")[row]), float(seen[id(table)].finest[place])),
            )

    @cached_property
    def _in_order(self) -> list[Place]:
        return self.places()

    def rules_of(self, opened: SceneFilter) -> list[SceneRule]:
        """Give the rules of a filter by which anything of the layer is open, at any resolution."""
        found: dict[int, SceneRule] = {}
        for each in self.parts:
            rows = each.part.seen_by(opened).among(each.seen.rows).rows
            for rule in rules_open(each.table, rows, opened):
                found[id(rule)] = rule
        return list(found.values())

    @cached_property
    def outline(self) -> BaseGeometry:
        """Outline of all its scenes, longitude and latitude; of very many their boxes on a raster."""
        if len(self) <= _MANY:
            return shapely.union_all(self.footprints())
        boxes = np.concatenate([part.seen.extents for part in self.parts])
        return raster_outline(boxes, self.bounds)

    def meeting(self, area: BaseGeometry) -> Layer | None:
        """Give the layer of those of its scenes whose footprint meets an area (lon/lat); None: none does."""
        parts = []
        for part in self.parts:
            rows = part.seen.among(part.table.near(Bounds(*area.bounds))).rows
            met = rows[shapely.intersects(part.table.footprints(rows), area)]
            if len(met):
                parts.append(part.among(met))
        return replace(self, parts=tuple(parts), standing=None, among=None) if parts else None

    def holds_any(self, held: SceneSet) -> bool:
        """Tell whether any of its scenes is one of a set."""
        return any(bool(rows_held(held, part.table)[part.seen.rows].any()) for part in self.parts)

    def has(self, span: TimeSpan) -> bool:
        """Tell whether any of its scenes was acquired in a span."""
        return any(bool(span.flags(part.numbers("datetime")).any()) for part in self.parts)

    def footprints(self) -> NDArray[Any]:
        """Give the outlines of all its scenes, longitude and latitude."""
        return np.concatenate([part.table.footprints(part.seen.rows) for part in self.parts])

    def opens_at(self, ground_resolution: float) -> bool:
        """Tell whether anything of it is open at a resolution, metres per pixel."""
        return ground_resolution >= self.limit * SLACK

    @property
    def _told(self) -> Told:
        return self._alone if self.among is None else self.among[0]

    @property
    def _number(self) -> int:
        return 0 if self.among is None else self.among[1]

    @cached_property
    def _alone(self) -> Told:
        return Told((self.parts,))

    def style_id(self, asked: str | None) -> str | None:
        """Check a style name; None stands for each scene's default.

        Raises:
            StyleNotFoundError: If no scene of the layer has it.
        """
        if asked in {None, "", DEFAULT}:
            return None
        assert asked is not None
        if asked not in self.styles:
            raise StyleNotFoundError(asked)
        return asked

    def span(self, asked: str | None) -> TimeSpan:
        """Parse a time as `parse_time` does; a single date or instant must be one of the layer.

        Raises:
            TimeNotFoundError: If it can't be parsed, or is a single date without a scene.
        """
        span = parse_time(asked)
        if span.single and not self.has(span):
            raise TimeNotFoundError(asked or "")
        return span
