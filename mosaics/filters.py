"""What of the catalogue one caller may see: the only thing of rights that mosaics knows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import shapely
from shapely.geometry.base import BaseGeometry

from mosaics.models import Scene


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

    def holds(self, scene: Scene) -> bool:
        """Tell whether the scene is one of these; a scene without a datetime fails a bounded window."""
        return (
            (self.collections is None or scene.collection_id in self.collections)
            and (self.licences is None or scene.licence_id in self.licences)
            and (self.sensors is None or scene.sensor_id in self.sensors)
            and (self.scenes is None or scene.id in self.scenes)
            and self._in_window(scene.acquired)
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
class Exclusion:
    """Scenes, or a part of them, that a rule does not open."""

    scenes: SceneSet
    area: BaseGeometry | None = None
    """Longitude and latitude; None: the whole scene."""


@dataclass(frozen=True, kw_only=True)
class SceneRule:
    """One way in, complete in itself: its set, area and resolution are never mixed with another's."""

    scenes: SceneSet
    area: BaseGeometry | None = None
    """Longitude and latitude; None: everywhere."""
    finest_ground_resolution: float | None = None
    """Finest detail that may be read, metres per pixel; None: native."""
    exclusions: tuple[Exclusion, ...] = ()

    def token(self) -> str:
        """Write everything that matters in one canonical line."""
        return repr(
            (
                self.scenes.token(),
                _area_token(self.area),
                self.finest_ground_resolution,
                sorted((e.scenes.token(), _area_token(e.area)) for e in self.exclusions),
            )
        )


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How far a scene is open at one resolution."""

    area: BaseGeometry | None
    """Union of the areas that match in everything else, minus exclusions; None: the whole scene."""


@dataclass(frozen=True)
class SceneFilter:
    """A union of rules; no rule: nothing is visible."""

    rules: tuple[SceneRule, ...] = field(default=())

    @cached_property
    def digest(self) -> str:
        """Hex digest that is equal exactly when the same scenes are open in the same way."""
        canonical = "\n".join(sorted({rule.token() for rule in self.rules}))
        return hashlib.blake2b(canonical.encode(), digest_size=12).hexdigest()

    def sees(self, scene: Scene) -> bool:
        """Tell whether some part of the scene is open at some resolution."""
        return any(_open_part(rule, scene) is not _CLOSED for rule in self.rules if rule.scenes.holds(scene))

    def opening(self, scene: Scene, ground_resolution: float) -> Opening | None:
        """Say how far the scene is open at a resolution.

        Args:
            scene: The scene.
            ground_resolution: Metres per pixel of what is to be read, finest over both axes.

        Returns:
            The opening, or None where nothing of the scene is open.
        """
        areas: list[BaseGeometry] = []
        for rule in self.rules:
            if not rule.scenes.holds(scene) or not _coarse_enough(rule, ground_resolution):
                continue
            part = _open_part(rule, scene)
            if part is None:
                return Opening(area=None)
            if part is not _CLOSED:
                areas.append(part)
        return Opening(area=shapely.union_all(areas)) if areas else None

    def finest_at(self, scene: Scene, longitude: float, latitude: float) -> float | None:
        """Give the finest resolution that a single rule opens at a place.

        Args:
            scene: The scene.
            longitude: Degrees east.
            latitude: Degrees north.

        Returns:
            Metres per pixel, 0 for native; None where nothing of the scene is open there.
        """
        limits = []
        for rule in self.rules:
            if not rule.scenes.holds(scene):
                continue
            part = _open_part(rule, scene)
            if part is None or bool(shapely.contains_xy(part, longitude, latitude)):
                limits.append(rule.finest_ground_resolution or 0.0)
        return min(limits) if limits else None


_CLOSED = shapely.Point()
_EARTH = shapely.box(-180, -90, 180, 90)


def _coarse_enough(rule: SceneRule, ground_resolution: float) -> bool:
    """Compare with a millionth of slack, so that a limit equal to the resolution opens it."""
    limit = rule.finest_ground_resolution
    return limit is None or ground_resolution >= limit * (1 - 1e-6)


def _open_part(rule: SceneRule, scene: Scene) -> BaseGeometry | None:
    """Give the rule's area less its exclusions: None everywhere, _CLOSED nowhere."""
    holes: list[BaseGeometry] = []
    for exclusion in rule.exclusions:
        if not exclusion.scenes.holds(scene):
            continue
        if exclusion.area is None:
            return _CLOSED
        holes.append(exclusion.area)
    if not holes:
        return rule.area
    whole = rule.area if rule.area is not None else _EARTH
    part = shapely.difference(whole, shapely.union_all(holes))
    return _CLOSED if part.is_empty else part


def _area_token(area: BaseGeometry | None) -> str:
    if area is None:
        return "everywhere"
    return hashlib.blake2b(shapely.to_wkb(area), digest_size=12).hexdigest()


EVERYTHING = SceneFilter((SceneRule(scenes=SceneSet()),))
"""Sees every scene whole: for banking and seeding, never for a caller."""
