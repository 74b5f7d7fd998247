"""What of the catalogue one caller may see: the only thing of rights that mosaics knows."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

import shapely
from shapely.geometry.base import BaseGeometry

from mosaics.areas import CLOSED, area_token, common_bounds, less, prepare
from mosaics.kinds import LookedAt, SceneKind
from mosaics.models import Bounds, Scene


@dataclass(frozen=True, kw_only=True)
class SceneSet:
    """Which scenes: AND between kinds, OR within one; None: any."""

    collections: frozenset[str] | None = None
    licences: frozenset[str] | None = None
    sensors: frozenset[str] | None = None
    scenes: frozenset[str] | None = None
    acquired_from: datetime | None = None
    """First instant inside the acquisition window; None: unbounded."""
    acquired_before: datetime | None = None
    """First instant after the acquisition window; None: unbounded."""

    def holds(self, scene: Scene | SceneKind) -> bool:
        """Tell whether the scene is one of these; a scene without a datetime fails a bounded window."""
        return (
            (self.collections is None or scene.collection_id in self.collections)
            and (self.licences is None or scene.licence_id in self.licences)
            and (self.sensors is None or scene.sensor_id in self.sensors)
            and (self.scenes is None or scene.id in self.scenes)
            and self._in_window(scene.acquired)
        )

    def may_hold(self, collection_id: str, licence_id: str | None, sensor_id: str) -> bool:
        """Tell whether it can hold a scene of this kind: False saves looking at each."""
        return (
            (self.collections is None or collection_id in self.collections)
            and (self.licences is None or licence_id in self.licences)
            and (self.sensors is None or sensor_id in self.sensors)
        )

    def _in_window(self, acquired: datetime | None) -> bool:
        if self.acquired_from is None and self.acquired_before is None:
            return True
        if acquired is None:
            return False
        return (self.acquired_from is None or self.acquired_from <= acquired) and (
            self.acquired_before is None or acquired < self.acquired_before
        )

    def token(self) -> str:
        """Write everything that matters in one canonical line."""
        sets = (self.collections, self.licences, self.sensors, self.scenes)
        return repr(
            [None if s is None else sorted(s) for s in sets]
            + [None if t is None else t.isoformat() for t in (self.acquired_from, self.acquired_before)]
        )


@dataclass(frozen=True, kw_only=True)
class Fineness:
    """How fine detail may be: a resolution, a multiple of the scene's own, or the coarser of both."""

    ground_resolution: float | None = None
    """Metres per pixel; None: native."""
    times_pan: float | None = None
    """Multiple of the scene's panchromatic resolution; None: native."""

    def limit(self, scene: Scene | SceneKind) -> float:
        """Give the finest detail of a scene, metres per pixel; 0: native."""
        pan = scene.pan_resolution or scene.finest_resolution
        return max(self.ground_resolution or 0.0, (self.times_pan or 0.0) * pan)


NATIVE = Fineness()
"""No limit."""


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """Scenes, or a part of them, that a rule does not open."""

    scenes: SceneSet
    area: BaseGeometry | None = None
    """Longitude and latitude; None: the whole scene."""
    finer_than: Fineness | None = None
    """Only what is finer is not opened; None: nothing is."""

    def closes(self, scene: Scene, ground_resolution: float) -> bool:
        """Tell whether it takes away from the scene at a resolution."""
        return self.scenes.holds(scene) and _closes(self.floor(scene), ground_resolution)

    def floor(self, scene: Scene | SceneKind) -> float | None:
        """Give the metres per pixel from which it takes nothing from a scene; None: it always does."""
        return None if self.finer_than is None else self.finer_than.limit(scene)

    @cached_property
    def token(self) -> str:
        """Everything that matters, in one canonical line."""
        return repr((self.scenes.token(), area_token(self.area), self.finer_than))


@dataclass(frozen=True, kw_only=True)
class SceneRule:
    """One way in, complete in itself: its set, area and resolution are never mixed with another's."""

    scenes: SceneSet
    area: BaseGeometry | None = None
    """Longitude and latitude; None: everywhere."""
    fineness: Fineness = NATIVE
    exclusions: tuple[Exclusion, ...] = ()
    label: str = ""
    """Names the rule to whoever made it; means nothing here, and is no part of the digest."""
    metered: bool = False
    """Whether its maker wants to know when it was needed."""

    def token(self) -> str:
        """Write everything that matters in one canonical line."""
        return self.opening_token + closing_token(self.exclusions)

    @cached_property
    def opening_token(self) -> str:
        """The token but for the exclusions, which many rules share."""
        return repr((self.scenes.token(), area_token(self.area), self.fineness))


def closing_token(exclusions: tuple[Exclusion, ...]) -> str:
    """Digest everything that matters of exclusions; their order does not."""
    canonical = "\n".join(sorted({exclusion.token for exclusion in exclusions}))
    return hashlib.blake2b(canonical.encode(), digest_size=12).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Part:
    """What one rule opens of a scene at one resolution."""

    rule: SceneRule
    area: BaseGeometry | None
    """None: the whole scene."""


@dataclass(frozen=True, kw_only=True)
class Opener:
    """A rule that opens a scene at a place."""

    rule: SceneRule
    limit: float
    """Finest detail that it opens there, metres per pixel; 0: native."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How far a scene is open at one resolution."""

    parts: tuple[Part, ...]
    """One for each rule that opens something."""
    area: BaseGeometry | None
    """Union of the parts; None: the whole scene. Prepared, and safe to ask from several threads."""
    digest: str
    """Of the area; empty where it is None."""


@dataclass(frozen=True)
class SceneFilter:
    """A union of rules; no rule: nothing is visible."""

    rules: tuple[SceneRule, ...] = field(default=())

    @cached_property
    def digest(self) -> str:
        """Hex digest that is equal exactly when the same scenes are open in the same way."""
        shared = {id(rule.exclusions): rule.exclusions for rule in self.rules}
        closing = {known: closing_token(exclusions) for known, exclusions in shared.items()}
        tokens = {rule.opening_token + closing[id(rule.exclusions)] for rule in self.rules}
        canonical = "\n".join(sorted(tokens))
        return hashlib.blake2b(canonical.encode(), digest_size=12).hexdigest()

    @cached_property
    def metered(self) -> bool:
        """True where some rule wants to know when it was needed."""
        return any(rule.metered for rule in self.rules)

    def sees(self, scene: Scene) -> bool:
        """Tell whether some part of the scene is open at some resolution that a grid has a level for."""
        return self.extent(scene) is not None

    def extent(self, scene: Scene) -> Bounds | None:
        """Give the longitudes and latitudes around what is open of a scene's footprint; None: nothing."""
        opening = self.opening(scene, COARSEST)
        if opening is None:
            return None
        if opening.area is None:
            return Bounds(*(float(v) for v in scene.footprint.bounds))
        key = (scene.collection_id, scene.id, scene.generation, scene.sequence)
        if key not in self._extents:
            self._extents[key] = common_bounds(scene.footprint, opening.area)
        return self._extents[key]

    def opening(self, scene: Scene, ground_resolution: float) -> Opening | None:
        """Say how far the scene is open at a resolution.

        Args:
            scene: The scene.
            ground_resolution: Metres per pixel of what is to be read, finest over both axes.

        Returns:
            The opening, or None where nothing of the scene is open.
        """
        return self.opening_of(_combined(self._holding(scene), ground_resolution))

    def opening_of_kind(self, kind: SceneKind, ground_resolution: float) -> Opening | None:
        """Say how far each scene of a kind is open at a resolution, as `opening` does of one; remembered.

        Args:
            kind: As `looked_at` tells kinds apart.
            ground_resolution: Metres per pixel.
        """
        known = self._kinds.get(kind)
        if known is None:
            holding = self._held_by(kind)
            limits = {limit for _, limit, _ in holding}
            floors = {floor for _, _, each in holding for _, floor in each if floor is not None}
            if len(self._kinds) >= _MOST_HOLDINGS:
                self._kinds.clear()
            known = self._kinds[kind] = _Known(holding, sorted(SLACK * each for each in limits | floors), {})
        # between two steps the same holds
        step = bisect_right(known.steps, ground_resolution)
        if step not in known.openings:
            known.openings[step] = self.opening_of(_combined(known.holding, ground_resolution))
        return known.openings[step]

    @cached_property
    def looked_at(self) -> LookedAt:
        """What tells kinds of scenes apart."""
        shared = {id(rule.exclusions): rule.exclusions for rule in self.rules}
        closing = [exclusion for exclusions in shared.values() for exclusion in exclusions]
        sets = [*(rule.scenes for rule in self.rules), *(each.scenes for each in closing)]
        limits = [*(rule.fineness for rule in self.rules), *(each.finer_than for each in closing)]
        return LookedAt.of(
            ends=[end for held in sets for end in (held.acquired_from, held.acquired_before)],
            named=[held.scenes for held in sets],
            counts_pan=any(limit is not None and bool(limit.times_pan) for limit in limits),
        )

    def opening_of(self, combination: Combination) -> Opening | None:
        """Say what rules open together, each less some of its exclusions; remembered.

        Args:
            combination: Numbers of rules, each with the numbers of its exclusions that close.
        """
        if combination not in self._openings:
            self._openings[combination] = self._open(combination)
        return self._openings[combination]

    def finest_at(self, scene: Scene, longitude: float, latitude: float) -> float | None:
        """Give the finest resolution that a single rule opens at a place.

        Args:
            scene: The scene.
            longitude: Degrees east.
            latitude: Degrees north.

        Returns:
            Metres per pixel, 0 for native; None where nothing of the scene is open there.
        """
        openers = self.openers_at(scene, longitude, latitude)
        return openers[0].limit if openers else None

    def openers_at(self, scene: Scene, longitude: float, latitude: float) -> tuple[Opener, ...]:
        """Give the rules that open a scene at a place, each with how fine; the finest first."""
        openers = [
            Opener(rule=rule, limit=limit)
            for rule in self.rules
            if rule.scenes.holds(scene) and (limit := _limit_at(rule, scene, longitude, latitude)) is not None
        ]
        return tuple(sorted(openers, key=lambda opener: opener.limit))

    def finest(self, scene: Scene) -> float:
        """Give the finest resolution that is open of a scene anywhere, metres per pixel; 0: native."""
        key = (scene.collection_id, scene.id, scene.generation, scene.sequence)
        if key not in self._finest:
            self._finest[key] = self._finest_of(scene)
        return self._finest[key]

    def _finest_of(self, scene: Scene) -> float:
        """Try every limit that some rule or exclusion has, the finest first."""
        holding = [rule for rule in self.rules if rule.scenes.holds(scene)]
        ceilings = {e.finer_than for rule in holding for e in rule.exclusions if e.finer_than is not None}
        limits = sorted({0.0, *(each.limit(scene) for each in (*(r.fineness for r in holding), *ceilings))})
        for limit in limits:
            opening = self.opening(scene, limit)
            if opening is not None and (
                opening.area is None or common_bounds(scene.footprint, opening.area) is not None
            ):
                return limit
        return limits[-1]

    def _holding(self, scene: Scene) -> _Holding:
        """Give the rules that hold a scene, remembered: most of many rules are about others."""
        kept = self._holdings.get(id(scene))
        if kept is None:
            if len(self._holdings) >= _MOST_HOLDINGS:
                self._holdings.clear()
            # by its identity, which is its own as long as it is held here
            kept = self._holdings[id(scene)] = (scene, self._held_by(scene))
        return kept[1]

    def _held_by(self, scene: Scene | SceneKind) -> _Holding:
        floors: dict[int, tuple[tuple[int, float | None], ...]] = {}
        made = []
        for number, rule in enumerate(self.rules):
            if not rule.scenes.holds(scene):
                continue
            shared = id(rule.exclusions)
            if shared not in floors:
                floors[shared] = tuple(
                    (n, e.floor(scene)) for n, e in enumerate(rule.exclusions) if e.scenes.holds(scene)
                )
            made.append((number, rule.fineness.limit(scene), floors[shared]))
        return tuple(made)

    @cached_property
    def _kinds(self) -> dict[SceneKind, _Known]:
        return {}

    @cached_property
    def _holdings(self) -> dict[int, tuple[Scene, _Holding]]:
        return {}

    @cached_property
    def _openings(self) -> dict[Combination, Opening | None]:
        return {}

    @cached_property
    def _finest(self) -> dict[tuple[str, str, str, int], float]:
        return {}

    @cached_property
    def _extents(self) -> dict[tuple[str, str, str, int], Bounds | None]:
        return {}

    def _open(self, combination: Combination) -> Opening | None:
        parts = []
        for number, closing in combination:
            rule = self.rules[number]
            area = less(rule.area, [rule.exclusions[n].area for n in closing])
            if area is not CLOSED:
                parts.append(Part(rule=rule, area=area))
        if not parts:
            return None
        areas = [part.area for part in parts]
        if any(area is None for area in areas):
            return Opening(parts=tuple(parts), area=None, digest="")
        union = areas[0] if len(areas) == 1 else shapely.union_all(areas)
        prepare(union)
        for area in areas:
            prepare(area)
        return Opening(parts=tuple(parts), area=union, digest=area_token(union))


Combination = tuple[tuple[int, tuple[int, ...]], ...]
"""Numbers of rules, each with the numbers of its exclusions that close."""
_Holding = tuple[tuple[int, float, tuple[tuple[int, float | None], ...]], ...]
"""Of each rule that holds a scene: number, limit, and number and floor of each exclusion that does."""

_MOST_HOLDINGS = 4096
"""Scenes that a filter remembers this of, and kinds."""


class _Known(NamedTuple):
    """What a filter remembers of a kind of scenes."""

    holding: _Holding
    steps: list[float]
    """Where what is open of it changes, ascending, metres per pixel."""
    openings: dict[int, Opening | None]
    """By the number of steps that a resolution reaches."""


def _combined(holding: _Holding, ground_resolution: float) -> Combination:
    """Give the rules that open something at a resolution, each with the exclusions that take from it.

    That is all that an opening depends on, so each combination is made once.
    """
    return tuple(
        (number, tuple(n for n, floor in floors if _closes(floor, ground_resolution)))
        for number, limit, floors in holding
        if _coarse_enough(ground_resolution, limit)
    )


COARSEST = 10_000.0
"""The coarsest resolution, metres per pixel, that is sure to be served in some grid at any latitude."""

SLACK = 1 - 1e-6
"""A limit equal to the resolution opens it, whatever the last digits are."""


def _coarse_enough(ground_resolution: float, limit: float) -> bool:
    """Compare with a millionth of slack, so that a limit equal to the resolution opens it."""
    return ground_resolution >= limit * SLACK


def _closes(floor: float | None, ground_resolution: float) -> bool:
    """Tell whether an exclusion with such a floor takes away at a resolution."""
    return floor is None or not _coarse_enough(ground_resolution, floor)


def _limit_at(rule: SceneRule, scene: Scene, longitude: float, latitude: float) -> float | None:
    """Give the finest resolution that a rule opens at a place; None: nothing is open there."""
    limit = rule.fineness.limit(scene)
    if rule.area is not None and not _holds_point(rule.area, longitude, latitude):
        return None
    for exclusion in rule.exclusions:
        if not exclusion.scenes.holds(scene):
            continue
        if exclusion.area is not None and not shapely.intersects_xy(exclusion.area, longitude, latitude):
            continue
        if exclusion.finer_than is None:
            return None
        limit = max(limit, exclusion.finer_than.limit(scene))
    return limit


def _holds_point(area: BaseGeometry, longitude: float, latitude: float) -> bool:
    return bool(shapely.contains_xy(area, longitude, latitude))


EVERYTHING = SceneFilter((SceneRule(scenes=SceneSet()),))
"""Sees every scene whole: for banking and seeding, never for a caller."""
