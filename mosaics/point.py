"""The stored values under a point, as far as the caller's rights let them be read."""

from __future__ import annotations

from dataclasses import dataclass

from mosaics.filters import SceneFilter
from mosaics.layers import Layer, TimeSpan
from mosaics.models import FOOTPRINT_SLACK, Bounds, Scene
from mosaics.ordering import Place
from mosaics.read import SceneReader


@dataclass(frozen=True, kw_only=True)
class PointValues:
    """What one scene has at a point."""

    scene: Scene
    values: tuple[float | None, ...]
    """One per band of all files of the scene, in stored units; None where that band has no number."""
    ground_resolution: float
    """Detail that was read, metres per pixel."""
    charged: tuple[str, ...] = ()
    """Labels of the metered rules that were needed; none where an unmetered one opens as much."""


def values_at(
    layer: Layer,
    scene_filter: SceneFilter,
    reader: SceneReader,
    *,
    longitude: float,
    latitude: float,
    span: TimeSpan,
) -> PointValues | None:
    """Read the scene that a tile shows at a point: the first that is open and valid there.

    Args:
        layer: The layer as the caller sees it.
        scene_filter: What the caller may read; a limit of resolution averages what is finer.
        reader: How scenes are read.
        longitude: Degrees east.
        latitude: Degrees north.
        span: Acquisition times asked for.

    Raises:
        SceneUnreadableError: If the scene that has the say can't be read.
    """
    slack = layer.widest * FOOTPRINT_SLACK
    box = Bounds(longitude - slack, latitude - slack, longitude + slack, latitude + slack)
    for place in layer.places(box, span):
        scene = place.scene if _near(place, longitude, latitude) else None
        if scene is None:
            continue
        found = value_of(scene, scene_filter, reader, longitude=longitude, latitude=latitude)
        if found is not None:
            return found
    return None


def value_of(
    scene: Scene, scene_filter: SceneFilter, reader: SceneReader, *, longitude: float, latitude: float
) -> PointValues | None:
    """Read what one scene has at a point, as finely as some rule opens it there; None: nothing, or not open.

    Raises:
        SceneUnreadableError: If it can't be read.
    """
    openers = scene_filter.openers_at(scene, longitude, latitude)
    if not openers:
        return None
    finest = openers[0].limit
    values = reader.sample(scene, longitude, latitude, finest)
    if values is None:
        return None
    best = [opener.rule for opener in openers if opener.limit == finest]
    return PointValues(
        scene=scene,
        values=values + _of_others(scene, reader, (longitude, latitude), finest),
        ground_resolution=max(finest, scene.finest_resolution),
        charged=() if any(not rule.metered for rule in best) else (best[0].label,),
    )


def _of_others(
    scene: Scene, reader: SceneReader, place: tuple[float, float], finest: float
) -> tuple[float | None, ...]:
    """Read the other files of a scene at the same place."""
    found: list[float | None] = []
    for view in scene.views[1:]:
        values = reader.sample(view, *place, finest)
        found += [None] * len(view.bands) if values is None else values
    return tuple(found)


def _near(place: Place, longitude: float, latitude: float) -> bool:
    """Tell whether the point is within the footprint's box (the outline itself is simplified)."""
    west, south, east, north = place.bounds
    slack = max(east - west, north - south) * FOOTPRINT_SLACK
    return bool(west - slack <= longitude <= east + slack and south - slack <= latitude <= north + slack)
