"""Volumes between two dates of a layer of heights, over a polygon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from shapely.geometry.base import BaseGeometry

from auth.models import Action
from mosaics.errors import ChangeUnsuitableError
from mosaics.filters import SceneFilter
from mosaics.geodesy import ground_pixel_size
from mosaics.lattice import Window
from mosaics.layers import Layer
from mosaics.models import Bounds
from mosaics.times import TimeSpan
from mosaics.values import LayerValues, Subject, layer_window, values_over
from mosaics.volume import Heights, Stable, Volume, stable_of, uncertainty_of, volume_of
from server.access import AccessDeniedError
from server.answers import Answer, json_answer
from server.call import Call
from server.delivery import deliver
from server.features import named_polygons
from server.making import in_turn
from server.requests import BadRequestError, bounded, single
from server.routes.values import MAX_SIZE, note_unreadable, values_goods
from server.services import Services

_METRES = frozenset({None, "m"})
"""Units of heights that are summed up; without one they are taken as metres, as styles of heights do."""


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """Of what a volume is wanted."""

    layer: Layer
    opened: SceneFilter
    subject: Subject
    spans: tuple[TimeSpan, TimeSpan]
    """Later, which is subtracted from, and earlier."""
    areas: tuple[BaseGeometry, ...]
    """The polygon, and perhaps stable ground."""
    max_size: int


@dataclass(frozen=True, kw_only=True)
class _Difference:
    """Two dates of an area."""

    heights: Heights
    asked: float
    """Square metres of the pixels in the area, whether they have heights or not."""
    dates: tuple[LayerValues, LayerValues]


async def volume(call: Call) -> Answer:
    """Serve `POST /volume/{layer}?time=A&compare=B`."""
    layer, opened = call.layer(call.path["layer"], Action.INFO)
    polygon, stable = named_polygons(call.request, "polygon", "stable")
    compare = single(call.query, "compare")
    if compare is None:
        raise BadRequestError("compare is needed: the date that is subtracted")
    corrected = _flag(call, "correct")
    if corrected and stable is None:
        raise BadRequestError("correct takes off the bias that stable ground shows: give stable")
    asked = _Asked(
        layer=layer,
        opened=opened,
        subject=_heights_of(layer),
        spans=(layer.span(single(call.query, "time")), layer.span(compare)),
        areas=(polygon,) if stable is None else (polygon, stable),
        max_size=bounded(call.query, "max_size", MAX_SIZE, 1, MAX_SIZE),
    )
    found = await in_turn(call.services, partial(_differences, call.services, asked), call.client)
    document = _document(found, corrected=corrected) | {"attribution": layer.attribution}
    goods = values_goods([values for each in found for values in each.dates])
    return await deliver(call, json_answer(document), goods)


def _flag(call: Call, name: str) -> bool:
    text = single(call.query, name) or "false"
    if text not in {"true", "false"}:
        raise BadRequestError(f"{name} must be true or false")
    return text == "true"


def _heights_of(layer: Layer) -> Subject:
    """Give the heights of a layer.

    Raises:
        ChangeUnsuitableError: If it has none in metres.
    """
    for scene in layer.examples:
        for band in scene.bands:
            if scene.kind == "elevation" and band.common_name == "elevation" and band.unit in _METRES:
                return Subject(kind=scene.kind, bands=(band,))
    raise ChangeUnsuitableError


def _differences(services: Services, asked: _Asked) -> tuple[_Difference, ...]:
    """Read both dates of each area, all on pixels of one level, in a thread.

    Raises:
        AccessDeniedError: If nothing of the layer is open at any resolution that was tried.
    """
    windows = [
        layer_window(services.grids, asked.layer, Bounds(*area.bounds), asked.max_size)
        for area in asked.areas
    ]
    if any(window is None for window in windows):
        raise BadRequestError("a polygon is outside of the layer")
    known = [window for window in windows if window is not None]
    while True:
        level = min(window.level for window in known)
        known = [window.coarser(window.level - level) for window in known]
        dates = [
            tuple(_read(services, asked, window, area, span) for span in asked.spans)
            for window, area in zip(known, asked.areas, strict=True)
        ]
        read = [values.window for pair in dates for values in pair if values.window is not None]
        coarsest = min(window.level for window in read)
        if coarsest == level == max(window.level for window in read):
            break
        # rights open one of them only coarser: then all are read so
        known = [window.coarser(window.level - coarsest) for window in known]
    return tuple(_difference((later, earlier)) for later, earlier in dates)


def _read(
    services: Services, asked: _Asked, window: Window, area: BaseGeometry, span: TimeSpan
) -> LayerValues:
    values = values_over(
        asked.layer,
        asked.opened,
        services.reader,
        window=window,
        area=area,
        subject=asked.subject,
        span=span,
        styles=services.styles,
        on_unreadable=note_unreadable,
    )
    if values.refused:
        raise AccessDeniedError("zoom_limit")
    return values


def _difference(dates: tuple[LayerValues, LayerValues]) -> _Difference:
    later, earlier = dates
    assert later.window is not None, "it was read"
    along_x, along_y = ground_pixel_size(later.window.frame)
    valid = later.raster.valid & earlier.raster.valid
    data = np.where(valid, later.raster.data[0].astype("float64") - earlier.raster.data[0], 0.0)
    areas = np.broadcast_to(along_x * along_y, data.shape)
    return _Difference(
        heights=Heights(data=data, valid=valid, areas=areas),
        asked=float(areas[later.asked].sum()),
        dates=dates,
    )


def _document(found: Sequence[_Difference], *, corrected: bool) -> dict[str, Any]:
    first = found[0]
    stable = stable_of(found[1].heights) if len(found) > 1 else None
    bias = stable.median if corrected and stable is not None else 0.0
    summed = volume_of(first.heights, bias)
    return {
        "added_m3": summed.added,
        "removed_m3": summed.removed,
        "net_m3": summed.net,
        "area_m2": summed.area,
        "asked_area_m2": first.asked,
        "mean_difference_m": summed.mean,
        "ground_resolution": round(max(values.ground_resolution for values in first.dates), 4),
        "bias_taken_off_m": bias,
        "stable": None if stable is None else _stable(stable),
        "uncertainty_m3": None if stable is None else _uncertainty(summed, stable, corrected=corrected),
        "scenes": {
            name: list(dict.fromkeys(f"{c.scene.collection_id}:{c.scene.id}" for c in values.used))
            for name, values in zip(("time", "compare"), first.dates, strict=True)
        },
    }


def _stable(stable: Stable) -> dict[str, Any]:
    units = {"count": "count", "area": "area_m2", "correlated_area": "correlated_area_m2"}
    return {units.get(name, f"{name}_m"): value for name, value in asdict(stable).items()}


def _uncertainty(summed: Volume, stable: Stable, *, corrected: bool) -> dict[str, float]:
    found = uncertainty_of(summed, stable, corrected=corrected)
    return {"total": found.total, "systematic": found.systematic, "random": found.random}
