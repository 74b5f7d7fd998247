"""Numbers of a layer, in the JSON shapes of titiler: what it is, statistics of an area, values of a point."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import shapely
import structlog
from shapely.geometry.base import BaseGeometry

from auth.models import Action
from mosaics.errors import SceneUnreadableError
from mosaics.filters import SceneFilter
from mosaics.grids import grids_meeting
from mosaics.layers import Layer
from mosaics.models import Band, Bounds
from mosaics.point import values_at
from mosaics.values import (
    LayerValues,
    Subject,
    layer_window,
    no_values,
    statistics,
    subject_of,
    values_over,
)
from mosaics.zooms import zoom_range
from server.access import AccessDeniedError
from server.answers import Answer, Goods, json_answer
from server.call import Call
from server.delivery import MILLIUNITS_PER_POINT, deliver, point_goods
from server.features import Feature, box_of, features_of, place_of
from server.making import in_turn
from server.requests import bounded, single

log = structlog.get_logger(__name__)

T = TypeVar("T")

MAX_SIZE = 1024
"""Most columns and rows that are read for one area."""
GEOJSON = "application/geo+json"
_CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


@dataclass(frozen=True, kw_only=True)
class _Found:
    """An area, read and summed up."""

    values: LayerValues
    told: dict[str, Any]
    """Statistics by band."""


async def info(call: Call) -> Answer:
    """Serve `/info/{layer}`: rio-tiler's Info, of what is open to the caller."""
    layer, _ = call.layer(call.path["layer"], Action.INFO)
    subject = _subject(call, layer)
    grid = grids_meeting(call.services.grids, layer.bounds)[0]
    minzoom, maxzoom = zoom_range(grid, layer)
    types = dict.fromkeys(band.data_type for band in subject.bands)
    palette = layer.first.colormap
    return json_answer(
        {
            "bounds": [round(side, 7) for side in layer.bounds],
            "crs": _CRS84,
            "band_metadata": [[name, _described(band)] for name, band in _named(subject.bands)],
            "band_descriptions": [
                [name, band.common_name or band.name] for name, band in _named(subject.bands)
            ],
            "dtype": next(iter(types)) if len(types) == 1 else "float64",
            "nodata_type": "Mask",
            "count": len(subject.bands),
            "colormap": {str(value): list(colour) for value, colour in palette} or None,
            "ground_resolution": round(layer.ground_resolution, 4),
            "tms": grid.id,
            "minzoom": minzoom,
            "maxzoom": maxzoom,
            "times": list(layer.times),
            "attribution": layer.attribution,
        }
    )


async def area_statistics(call: Call) -> Answer:
    """Serve `GET /statistics/{layer}?bbox=W,S,E,N`: of the whole layer, or of a box."""
    layer, opened = call.layer(call.path["layer"], Action.INFO)
    text = single(call.query, "bbox")
    bounds = layer.bounds if text is None else box_of(text)
    area = None if text is None else shapely.box(*bounds)
    subject = _subject(call, layer)
    found = await _pooled(call, _look(call, layer, opened, subject, bounds, area))
    return await deliver(call, json_answer(found.told), values_goods([found.values]))


async def feature_statistics(call: Call) -> Answer:
    """Serve `POST /statistics/{layer}`: of each polygon of the body, in its properties."""
    layer, opened = call.layer(call.path["layer"], Action.INFO)
    asked = features_of(call.request)
    subject = _subject(call, layer)
    looks = [
        _look(call, layer, opened, subject, Bounds(*feature.geometry.bounds), feature.geometry)
        for feature in asked.features
    ]
    found = [await _pooled(call, look) for look in looks]
    told = [_with_statistics(*pair) for pair in zip(asked.features, found, strict=True)]
    document = {"type": "FeatureCollection", "features": told} if asked.collected else told[0]
    return await deliver(
        call, json_answer(document, media_type=GEOJSON), values_goods([each.values for each in found])
    )


async def point(call: Call) -> Answer:
    """Serve `/point/{layer}/{lon},{lat}`: what feature info tells of a place."""
    layer, opened = call.layer(call.path["layer"], Action.INFO)
    longitude, latitude = place_of(call.path["place"])
    look = functools.partial(
        values_at,
        layer,
        opened,
        call.services.reader,
        longitude=longitude,
        latitude=latitude,
        span=layer.span(single(call.query, "time")),
    )
    found = await _pooled(call, look)
    bands = (layer.first if found is None else found.scene).all_bands
    values = [None] * len(bands) if found is None else list(found.values)
    told: dict[str, Any] = {
        "coordinates": [longitude, latitude],
        "values": values,
        "band_names": [name for name, _ in _named(bands)],
        "band_descriptions": [band.common_name or band.name for band in bands],
    }
    if found is not None:
        told |= {
            "assets": [f"{found.scene.collection_id}:{found.scene.id}"],
            "datetime": found.scene.acquired.isoformat() if found.scene.acquired else None,
            "ground_resolution": round(found.ground_resolution, 4),
        }
    return await deliver(call, json_answer(told), point_goods(found))


def _subject(call: Call, layer: Layer) -> Subject:
    style_id = layer.style_id(single(call.query, "style"))
    return subject_of(layer, None if style_id is None else call.services.styles.get(style_id))


def _look(  # noqa: PLR0917 - private, the parts of one question
    call: Call,
    layer: Layer,
    opened: SceneFilter,
    subject: Subject,
    bounds: Bounds,
    area: BaseGeometry | None,
) -> Callable[[], _Found]:
    """Give the work of reading an area and summing it up, for a thread."""
    span = layer.span(single(call.query, "time"))
    max_size = bounded(call.query, "max_size", MAX_SIZE, 1, MAX_SIZE)
    window = layer_window(call.services.grids, layer, bounds, max_size)

    def look() -> _Found:
        values = no_values(subject)
        if window is not None:
            values = values_over(
                layer,
                opened,
                call.services.reader,
                window=window,
                area=area,
                subject=subject,
                span=span,
                styles=call.services.styles,
                on_unreadable=note_unreadable,
            )
        if values.refused:
            raise AccessDeniedError("zoom_limit")
        detail = round(values.ground_resolution, 4) or None
        told = statistics(values, subject.bands)
        return _Found(
            values=values,
            told={name: {**numbers, "ground_resolution": detail} for name, numbers in told.items()},
        )

    return look


def _with_statistics(feature: Feature, found: _Found) -> dict[str, Any]:
    properties = {**(feature.document.get("properties") or {}), "statistics": found.told}
    return {**feature.document, "properties": properties}


def values_goods(found: Sequence[LayerValues]) -> Goods:
    """Say what values of areas cost: each area that had something as much as a point."""
    filled = [values for values in found if values.used]
    used = [contribution for values in filled for contribution in values.used]
    return Goods(
        contributors=tuple(
            dict.fromkeys(
                (c.scene.collection_id, c.scene.id, c.scene.sensor_id, c.scene.licence_id) for c in used
            )
        ),
        charged=tuple(dict.fromkeys(label for c in used for label in c.charged)),
        ground_resolution=min((values.ground_resolution for values in filled), default=0.0),
        milliunits=MILLIUNITS_PER_POINT * len(filled),
    )


def _named(bands: Sequence[Band]) -> list[tuple[str, Band]]:
    return [(f"b{place}", band) for place, band in enumerate(bands, start=1)]


def _described(band: Band) -> dict[str, Any]:
    """Say what is known of a band, and nothing of its values: those are of the whole scene."""
    described = {
        "name": band.name,
        "common_name": band.common_name,
        "unit": band.unit,
        "data_type": band.data_type,
        "wavelength_um": band.wavelength_um,
        "fwhm_um": band.fwhm_um,
    }
    return {name: value for name, value in described.items() if value is not None}


def note_unreadable(error: SceneUnreadableError) -> None:
    """Log a scene whose file fails."""
    log.error("scene_unreadable", scene=error.scene_id, cause=repr(error.__cause__))


async def _pooled(call: Call, work: Callable[[], T]) -> T:
    return await in_turn(call.services, work, call.client)
