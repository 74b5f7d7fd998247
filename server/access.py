"""Translates a decision of auth into the filter that mosaics understands: the one place where they meet."""

from __future__ import annotations

import shapely
from shapely.geometry.base import BaseGeometry

from auth.models import Allowance, Area, Decision, Selector, Window
from mosaics.filters import Exclusion, SceneFilter, SceneRule, SceneSet


class AccessDeniedError(Exception):
    """The caller may know the layer, but not this action, date or resolution of it."""

    def __init__(self, code: str) -> None:
        super().__init__("not allowed")
        self.code = code
        """Stable word: no_grant, resolution_limit, operator_only."""


def scene_filter(decision: Decision) -> SceneFilter:
    """Give the filter of a decision; one that is not ok opens nothing."""
    if not decision.allowed:
        return SceneFilter()
    return SceneFilter(tuple(_rule(allowance) for allowance in decision.allowances))


def _rule(allowance: Allowance) -> SceneRule:
    return SceneRule(
        scenes=_scenes(allowance.selector, allowance.acquired),
        area=_geometry(allowance.area),
        finest_ground_resolution=allowance.finest_ground_resolution,
        exclusions=tuple(
            Exclusion(scenes=_scenes(e.selector, e.acquired), area=_geometry(e.area))
            for e in allowance.exclusions
        ),
    )


def _scenes(selector: Selector, acquired: Window) -> SceneSet:
    return SceneSet(
        collections=selector.collections,
        licences=selector.licences,
        sensors=selector.sensors,
        scenes=selector.scenes,
        acquired_from=acquired.start,
        acquired_before=acquired.end,
    )


def _geometry(area: Area | None) -> BaseGeometry | None:
    return None if area is None else shapely.from_wkb(area.wkb)
