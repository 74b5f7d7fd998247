"""Values of a place or of a polygon over time, as JSON or CSV."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import shapely
from shapely.geometry.base import BaseGeometry

from auth.models import Action
from mosaics.errors import IndexNotFoundError
from mosaics.filters import SceneFilter
from mosaics.layers import Layer
from mosaics.models import Bounds
from mosaics.series import (
    Measure,
    Moment,
    Numbers,
    frame_around,
    measure_of,
    moment_at,
    moment_over,
    near_scenes,
)
from mosaics.times import TimeSpan
from mosaics.values import layer_window
from server.answers import Answer, Goods, digest, json_answer
from server.call import Call
from server.delivery import MILLIUNITS_PER_POINT, deliver
from server.features import box_of, features_of, place_of
from server.making import in_turn
from server.requests import BadRequestError, TooLargeError, bounded, single
from server.routes.values import MAX_SIZE, note_unreadable

MOST_DATES: Final = 500
"""Of a layer, within the time that is asked for."""
DEFAULT_SIZE: Final = 256
"""Most columns and rows that are read on each date, where nothing else is said."""
_TOGETHER: Final = 20
"""Dates of a place that are read in one turn."""

_Day = tuple[str, TimeSpan]


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What a series is wanted of."""

    layer: Layer
    opened: SceneFilter
    measure: Measure
    days: tuple[_Day, ...]


async def series(call: Call) -> Answer:
    """Serve `GET /series/{layer}?at=LON,LAT` or `?bbox=W,S,E,N`."""
    asked = _asked(call)
    at, bbox = single(call.query, "at"), single(call.query, "bbox")
    if (at is None) == (bbox is None):
        raise BadRequestError("either at=LON,LAT or bbox=W,S,E,N is needed")
    if at is not None:
        place = place_of(at)
        moments = await _moments(call, asked.days, _place_reader(call, asked, place), together=_TOGETHER)
        return await _answer(call, asked, {"at": list(place)}, moments)
    assert bbox is not None
    bounds = box_of(bbox)
    moments = await _moments(call, asked.days, _area_reader(call, asked, shapely.box(*bounds)))
    return await _answer(call, asked, {"bbox": list(bounds)}, moments)


async def feature_series(call: Call) -> Answer:
    """Serve `POST /series/{layer}`: of the one polygon of the body."""
    asked = _asked(call)
    found = features_of(call.request)
    if len(found.features) != 1:
        raise TooLargeError("a series is of one polygon")
    feature = found.features[0]
    moments = await _moments(call, asked.days, _area_reader(call, asked, feature.geometry))
    return await _answer(call, asked, {"geometry": feature.document["geometry"]}, moments)


def _asked(call: Call) -> _Asked:
    """Read what both ways of asking have in common."""
    layer, opened = call.layer(call.path["layer"], Action.INFO)
    style_id, index_id = layer.style_id(single(call.query, "style")), single(call.query, "index")
    if style_id is not None and index_id is not None:
        raise BadRequestError("style and index exclude each other")
    if index_id is not None and index_id not in call.services.indices:
        raise IndexNotFoundError
    span = layer.span(single(call.query, "time"))
    if span.nearest is not None:
        raise BadRequestError("time must be a date or an interval A/B here")
    _wants_csv(call)
    days = span.days(layer.times)
    if len(days) > MOST_DATES:
        raise TooLargeError(f"a series has at most {MOST_DATES} dates; ask for less with time=A/B")
    measure = measure_of(
        layer,
        None if style_id is None else call.services.styles.get(style_id),
        None if index_id is None else call.services.indices.get(index_id),
    )
    return _Asked(layer=layer, opened=opened, measure=measure, days=days)


def _place_reader(
    call: Call, asked: _Asked, place: tuple[float, float]
) -> Callable[[_Day], Moment | None] | None:
    """Give what reads a place on a day."""
    services = call.services
    frame = frame_around(services.grids, asked.layer, place)

    def read(day: _Day) -> Moment | None:
        assert frame is not None, "else nothing is read"
        found = near_scenes(asked.layer, asked.opened, frame, day[1], services.styles)
        return moment_at(found, asked.opened, services.reader, asked.measure, date=day[0], place=place)

    return None if frame is None else read


def _area_reader(call: Call, asked: _Asked, area: BaseGeometry) -> Callable[[_Day], Moment | None] | None:
    """Give what reads an area on a day."""
    services = call.services
    window = layer_window(
        services.grids,
        asked.layer,
        Bounds(*area.bounds),
        bounded(call.query, "max_size", DEFAULT_SIZE, 1, MAX_SIZE),
    )

    def read(day: _Day) -> Moment | None:
        assert window is not None, "else nothing is read"
        return moment_over(
            asked.layer,
            asked.opened,
            services.reader,
            asked.measure,
            day=day,
            window=window,
            area=area,
            styles=services.styles,
            on_unreadable=note_unreadable,
        )

    return None if window is None else read


async def _moments(
    call: Call, days: Sequence[_Day], read: Callable[[_Day], Moment | None] | None, *, together: int = 1
) -> list[Moment]:
    """Read each day, some in a turn: others have theirs between, and all ends when the client has gone."""
    found: list[Moment] = []
    for first in range(0, len(days) if read is not None else 0, together):
        assert read is not None
        work = functools.partial(_read_all, read, days[first : first + together])
        found += await in_turn(call.services, work, call.client)
    return found


def _read_all(read: Callable[[_Day], Moment | None], days: Sequence[_Day]) -> list[Moment]:
    return [moment for day in days if (moment := read(day)) is not None]


def _wants_csv(call: Call) -> bool:
    form = single(call.query, "format")
    if form not in {None, "json", "csv"}:
        raise BadRequestError("format must be json or csv")
    return form == "csv"


async def _answer(call: Call, asked: _Asked, where: dict[str, Any], moments: Sequence[Moment]) -> Answer:
    if _wants_csv(call):
        body = _csv(asked.measure.names, moments, summed="at" not in where).encode()
        answer = Answer(body=body, media_type="text/csv; charset=utf-8", etag=digest(body))
    else:
        answer = json_answer(_document(asked, where, moments))
    return await deliver(call, answer, _goods(moments))


def _document(asked: _Asked, where: dict[str, Any], moments: Sequence[Moment]) -> dict[str, Any]:
    measure = asked.measure
    bands = measure.bands or (None,) * len(measure.names)
    return {
        "layer": asked.layer.id,
        **where,
        "measures": [
            {
                "name": name,
                "formula": None if measure.formula is None else measure.formula.expression[place],
                "description": None if band is None else band.common_name or band.name,
                "unit": None if band is None else band.unit,
            }
            for place, (name, band) in enumerate(zip(measure.names, bands, strict=True))
        ],
        "dates_looked_at": len(asked.days),
        "series": [
            {
                "date": moment.date,
                "datetime": _instant(moment),
                "scenes": [f"{scene.collection_id}:{scene.id}" for scene in moment.scenes],
                "ground_resolution": round(moment.ground_resolution, 4),
                "values": {name: _told(value) for name, value in moment.values.items()},
            }
            for moment in moments
        ],
        "attribution": asked.layer.attribution,
    }


def _told(value: float | Numbers | None) -> Any:
    if not isinstance(value, Numbers):
        return value
    return {name: getattr(value, field) for name, field in _COLUMNS.items()}


_COLUMNS: Final = {"mean": "mean", "min": "minimum", "max": "maximum", "std": "std", "count": "count"}


def _csv(names: Sequence[str], moments: Sequence[Moment], *, summed: bool) -> str:
    """Write a row a date with a head (RFC 4180); names are ours or ids, so that no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    parts = tuple(_COLUMNS) if summed else ()
    columns = [f"{name}_{part}" for name in names for part in parts] if summed else list(names)
    writer.writerow(["date", "datetime", "scenes", "ground_resolution", *columns])
    for moment in moments:
        cells: list[Any] = []
        for name in names:
            told = _told(moment.values[name])
            cells += [None if told is None else told[part] for part in parts] if summed else [told]
        scenes = " ".join(f"{scene.collection_id}:{scene.id}" for scene in moment.scenes)
        writer.writerow(
            [moment.date, _instant(moment), scenes, round(moment.ground_resolution, 4), *cells],
        )
    return text.getvalue()


def _instant(moment: Moment) -> str | None:
    acquired = moment.scenes[0].acquired
    return None if acquired is None else acquired.isoformat()


def _goods(moments: Sequence[Moment]) -> Goods:
    """Say what a series costs: each date that had something as much as a point."""
    scenes = [scene for moment in moments for scene in moment.scenes]
    return Goods(
        contributors=tuple(dict.fromkeys((s.collection_id, s.id, s.sensor_id, s.licence_id) for s in scenes)),
        charged=tuple(dict.fromkeys(label for moment in moments for label in moment.charged)),
        ground_resolution=min((moment.ground_resolution for moment in moments), default=0.0),
        milliunits=MILLIUNITS_PER_POINT * len(moments),
    )
