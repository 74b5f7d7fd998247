"""What a decision opens of places, reading its allowances as their docstrings say."""

from functools import cache

import shapely

from auth.reach import Window
from tests.auth.strategies import WORLD


def opens(decision, point):
    """What a decision opens of a point, reading its allowances as their docstrings say."""
    for allowance in decision.allowances:
        limit = max(allowance.finest_ground_resolution or 0, (allowance.times_pan or 0) * point.pan)
        if point.detail < limit or not reads(allowance, point):
            continue
        if not all(inside(area, point) for area in allowance.areas):
            continue
        if not any(excludes(exclusion, point) for exclusion in allowance.exclusions):
            return True
    return False


def excludes(exclusion, point):
    if not reads(exclusion, point) or not inside(exclusion.area, point):
        return False
    tier = exclusion.finer_than
    return tier is None or point.detail < max(tier.ground_resolution or 0, (tier.times_pan or 0) * point.pan)


def reads(right, point):
    selector = right.selector
    pairs = zip(
        (selector.collections, selector.licences, selector.sensors, selector.scenes),
        (point.collection, point.licence, point.sensor, point.scene),
        strict=True,
    )
    dated = right.acquired == Window() or (
        point.acquired is not None and right.acquired.contains(point.acquired)
    )
    return dated and all(names is None or value in names for names, value in pairs)


def inside(area, point):
    return area is None or holds(area, point.lon, point.lat)


@cache
def holds(area, lon, lat):
    return shapely.contains_xy(shapely.from_wkb(area.wkb), lon, lat)


def shown(decision):
    return {number for number, point in enumerate(WORLD) if opens(decision, point)}
