"""Why a decision does not open one place of a scene: each grant, tier and forbid with its reason; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from auth.decision import REFUSALS, Allowance, Decision, Refusal
from auth.models import Action, Grant, GrantKind
from auth.reach import ALWAYS, Circumstances
from auth.snapshot import PolicySnapshot
from mosaics.filters import Fineness, SceneFilter, SceneRule
from mosaics.geodesy import GEOD
from mosaics.models import Scene
from server.access import is_tier
from server.reasons import Reason, Source

_AT_THE_PLACE: Final = ("forbidden", "zoom_limit", "outside_area")

Order = tuple[int, ...]
"""Sorts misses, the nearest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where, and how fine."""

    longitude: float
    """Degrees."""
    latitude: float
    """Degrees."""
    ground_resolution: float
    """Of what would be shown, metres per pixel."""

    def inside(self, area: BaseGeometry | None) -> bool:
        """Tell whether the place is inside of an area; None is everywhere."""
        return area is None or bool(shapely.contains_xy(area, self.longitude, self.latitude))

    def meets(self, area: BaseGeometry | None) -> bool:
        """Tell whether the place is inside of an area or on its edge; None is everywhere."""
        return area is None or bool(shapely.intersects_xy(area, self.longitude, self.latitude))

    def way_to(self, area: BaseGeometry | None) -> tuple[float | None, int]:
        """Give the way to an area.

        Returns:
            Metres (None where there is no way), and the direction in eighths of a turn from north.
        """
        if area is None or area.is_empty:
            return None, 0
        scale = np.array([max(np.cos(np.radians(self.latitude)), 1e-6), 1.0])
        here = shapely.Point(np.array([self.longitude, self.latitude]) * scale)
        flat = shapely.transform(area, lambda points: points * scale)
        near = shapely.get_coordinates(shapely.shortest_line(flat, here))[0] / scale
        azimuth, _, metres = GEOD.inv(self.longitude, self.latitude, *near)
        return (float(metres), round(azimuth / 45) % 8) if metres > 0 else (None, 0)


class Misses:
    """A decision that does not open a place, asked why."""

    def __init__(
        self,
        snapshot: PolicySnapshot,
        decision: Decision,
        opened: SceneFilter,
        place: Place,
        *,
        action: Action,
        circumstances: Circumstances,
    ) -> None:
        self._snapshot = snapshot
        self._decision = decision
        self._filter = opened
        self._place = place
        self._action = action
        self._circumstances = circumstances

    def of(self, scene: Scene) -> Iterator[tuple[Order, Reason]]:
        """Give why each grant and tier that could does not open the place of a scene, unordered."""
        yield from self._missed_rules(scene)
        yield from self._missed_grants(scene)

    def reason(self, code: str, label: str, **more: Any) -> Reason:
        """Make a reason that names a grant, a tier or a ceiling by its label."""
        grant = self._snapshot.grants.get(label)
        source: Source = "grant"
        event = None
        if grant is not None:
            id_ = grant.id
            if grant.kind is GrantKind.CRISIS:
                source, event = "crisis", grant.event_id
        else:
            _, id_, *tier = label.split(":")
            source = "licence" if not tier else "public" if tier == ["public"] else "partner"
        return Reason(code=code, id=id_, source=source, event=event, action=self._action, **more)

    def _missed_rules(self, scene: Scene) -> Iterator[tuple[Order, Reason]]:
        """Tell of each grant and tier that holds, why it does not open the place of a scene."""
        for allowance, rule in zip(self._decision.allowances, self._filter.rules, strict=True):
            tier = int(is_tier(rule.label))
            if rule.scenes.holds(scene):
                reasons = list(self._at_the_place(allowance, rule, scene))
                reasons.sort(key=lambda reason: _AT_THE_PLACE.index(reason.code))
                yield (0, len(reasons), tier, _AT_THE_PLACE.index(reasons[0].code)), reasons[0]
            elif replace(rule.scenes, acquired_from=None, acquired_before=None).holds(scene):
                grant = self._snapshot.grants.get(rule.label)
                window = ALWAYS if grant is None else grant.acquired
                by_key = window == ALWAYS or (scene.acquired is not None and window.contains(scene.acquired))
                reason = self.reason("date_window", rule.label, by_key=by_key, at=scene.acquired)
                yield (1, REFUSALS.index("date_window"), tier, 0), reason
            elif self._granted(rule.label, scene):
                yield (
                    (1, REFUSALS.index("no_grant"), tier, 0),
                    self.reason("no_grant", rule.label, by_key=True),
                )

    def _at_the_place(self, allowance: Allowance, rule: SceneRule, scene: Scene) -> Iterator[Reason]:
        """Give everything that keeps a rule which holds a scene from opening the place of it."""
        place, asked, made = self._place, self._place.ground_resolution, False
        for exclusion, cut in zip(allowance.exclusions, rule.exclusions, strict=True):
            if not cut.closes(scene, asked) or not place.meets(cut.area):
                continue
            made = True
            if cut.finer_than is None:
                yield Reason(code="forbidden", id=exclusion.id, source="forbid", action=self._action)
            else:
                limit = cut.finer_than.limit(scene)
                yield self.reason("zoom_limit", exclusion.id, limit=limit, asked=asked)
        if SceneFilter((replace(rule, area=None, exclusions=()),)).opening(scene, asked) is None:
            made = True
            by_key = not _too_fine(self._own_limit(rule.label, scene), asked)
            limit = rule.fineness.limit(scene)
            yield self.reason("zoom_limit", rule.label, by_key=by_key, limit=limit, asked=asked)
        if not place.inside(rule.area) or not made:
            grant = self._snapshot.grants.get(rule.label)
            own = None if grant is None or grant.area is None else shapely.from_wkb(grant.area.wkb)
            distance, direction = place.way_to(rule.area)
            yield self.reason(
                "outside_area",
                rule.label,
                by_key=place.inside(own),
                distance=distance,
                direction=direction,
            )

    def _missed_grants(self, scene: Scene) -> Iterator[tuple[Order, Reason]]:
        """Tell of each grant that opens nothing now, though it names the scene, why."""
        for refusal in self._decision.refusals:
            if self._granted(refusal.grant_id, scene):
                yield (1, REFUSALS.index(refusal.code), 0, 0), self._of_refusal(refusal)

    def _of_refusal(self, refusal: Refusal) -> Reason:
        code, grant = refusal.code, self._snapshot.grants[refusal.grant_id]
        more: dict[str, Any] = {}
        if code == "action":
            more["by_key"] = self._action in grant.actions
        elif code == "origin":
            more["by_key"] = grant.conditions.hold(self._circumstances)
        elif code in {"expired", "not_yet"}:
            more["at"] = grant.valid.end if code == "expired" else grant.valid.start
        elif code == "date_window" or (code == "no_grant" and grant.approved):
            more["by_key"] = True
        elif code == "quota" and grant.quota is not None:
            more["amount"] = f"{grant.quota.amount}/{grant.quota.period}"
        return self.reason(code, grant.id, **more)

    def _granted(self, grant_id: str, scene: Scene) -> bool:
        """Tell whether a grant names a scene, whatever the key leaves of it."""
        grant = self._snapshot.grants.get(grant_id)
        return grant is not None and _names(grant, scene)

    def _own_limit(self, label: str, scene: Scene) -> float:
        """Give the limit of a grant or tier itself, without what narrows the key."""
        grant = self._snapshot.grants.get(label)
        if grant is not None:
            return grant.finest_ground_resolution or 0.0
        _, licence_id, name = label.split(":")
        tier = getattr(self._snapshot.licences[licence_id], name)
        return Fineness(ground_resolution=tier.ground_resolution, times_pan=tier.times_pan).limit(scene)


def _names(grant: Grant, scene: Scene) -> bool:
    selector = grant.selector
    return all(
        names is None or value in names
        for names, value in (
            (selector.collections, scene.collection_id),
            (selector.licences, scene.licence_id),
            (selector.sensors, scene.sensor_id),
            (selector.scenes, scene.id),
        )
    )


def _too_fine(limit: float, asked: float) -> bool:
    return asked < limit * (1 - 1e-6)
