"""Translates a decision of auth into the filter that mosaics understands: the one place where they meet."""

from __future__ import annotations

from functools import lru_cache

import shapely
from shapely.geometry.base import BaseGeometry

from auth.decision import REFUSALS, Allowance, Decision, Refusal
from auth.decision import Exclusion as Excluded
from auth.models import Tier
from auth.reach import Area, Selector, Window
from mosaics.filters import Exclusion, Fineness, SceneFilter, SceneRule, SceneSet
from mosaics.layers import Layer


class AccessDeniedError(Exception):
    """The caller may know the layer, but not this action, date or resolution of it."""

    def __init__(self, code: str) -> None:
        super().__init__("not allowed")
        self.code = code
        """Stable word, as in `auth.decision.Decision.code`."""


class Rules:
    """Rules by the allowances that they were made of, for allowances that are shared; for one thread.

    Decisions of one epoch share their allowances, and an allowance is much to look at: it is known by its
    identity, and held, so that its identity is nobody else's.
    """

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._made: dict[int, tuple[Allowance, SceneRule]] = {}
        self._exclusions: dict[int, tuple[tuple[Excluded, ...], tuple[Exclusion, ...]]] = {}

    def filter(self, decision: Decision) -> SceneFilter:
        """Give the filter of a decision, as `scene_filter` does."""
        if not decision.allowed:
            return SceneFilter()
        if len(self._made) > self._size:
            self._made.clear()
            self._exclusions.clear()
        return SceneFilter(tuple(self._rule(allowance) for allowance in decision.allowances))

    def _rule(self, allowance: Allowance) -> SceneRule:
        kept = self._made.get(id(allowance))
        if kept is None:
            shared = self._exclusions.get(id(allowance.exclusions))
            if shared is None:
                made = exclusions_of(allowance)
                shared = self._exclusions[id(allowance.exclusions)] = (allowance.exclusions, made)
            kept = self._made[id(allowance)] = (allowance, rule_of(allowance, shared[1]))
        return kept[1]


def scene_filter(decision: Decision) -> SceneFilter:
    """Give the filter of a decision; one that is not ok opens nothing."""
    return Rules().filter(decision)


def is_tier(label: str) -> bool:
    """Tell whether a rule came of the preview tier of a licence, and of no grant."""
    return label.startswith("licence:")


def nearest_miss(decision: Decision, layer: Layer) -> Refusal | None:
    """Give the grant that comes nearest to opening one of a layer's scenes, and why it does not.

    Args:
        decision: Opens none of them.
        layer: As far as the caller may know of it.

    Returns:
        None where no grant to the caller would open any.
    """
    missed = {
        refusal.code: refusal
        for refusal in reversed(decision.refusals)
        if layer.holds_any(scenes_of(refusal.selector, refusal.acquired))
    }
    return next((missed[code] for code in REFUSALS if code in missed), None)


def rule_of(allowance: Allowance, exclusions: tuple[Exclusion, ...] | None = None) -> SceneRule:
    """Give the rule of an allowance.

    Args:
        allowance: The allowance.
        exclusions: Its exclusions, where they were translated before.
    """
    return SceneRule(
        scenes=scenes_of(allowance.selector, allowance.acquired),
        area=common_area(allowance.areas),
        fineness=Fineness(
            ground_resolution=allowance.finest_ground_resolution, times_pan=allowance.times_pan
        ),
        exclusions=exclusions_of(allowance) if exclusions is None else exclusions,
        label=allowance.grant_id,
        metered=allowance.quota is not None or allowance.rate is not None,
    )


def exclusions_of(allowance: Allowance) -> tuple[Exclusion, ...]:
    """Give what an allowance does not open."""
    return tuple(
        Exclusion(
            scenes=scenes_of(e.selector, e.acquired),
            area=geometry_of(e.area),
            finer_than=_fineness(e.finer_than),
        )
        for e in allowance.exclusions
    )


def scenes_of(selector: Selector, acquired: Window) -> SceneSet:
    """Give the set of scenes that a selector and a window of acquisition dates mean."""
    return SceneSet(
        collections=selector.collections,
        licences=selector.licences,
        sensors=selector.sensors,
        scenes=selector.scenes,
        acquired_from=acquired.start,
        acquired_before=acquired.end,
    )


def _fineness(tier: Tier | None) -> Fineness | None:
    if tier is None:
        return None
    return Fineness(ground_resolution=tier.ground_resolution, times_pan=tier.times_pan)


@lru_cache(maxsize=4096)
def common_area(areas: tuple[Area, ...]) -> BaseGeometry | None:
    """Give the common part of areas: None where there are none, an empty polygon where nothing is common."""
    if not areas:
        return None
    common = shapely.intersection_all([geometry_of(area) for area in areas])
    polygons = [part for part in shapely.get_parts(common) if part.area > 0.0]
    return shapely.union_all(polygons) if polygons else shapely.Polygon()


@lru_cache(maxsize=4096)
def geometry_of(area: Area | None) -> BaseGeometry | None:
    """Give the polygon of an area; None: everywhere."""
    return None if area is None else shapely.from_wkb(area.wkb)
