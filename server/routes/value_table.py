"""The lines of the ROUTES table that give numbers."""

from __future__ import annotations

from typing import Final

from auth.models import Action
from server.routes import series, values, volume
from server.routes.parameters import LAYER, LAYER_ANSWERS, STYLE, TIME, in_path
from server.routing import Parameter, Route

_ACTIONS: Final = frozenset({Action.CATALOGUE, Action.INFO})
_SIZE: Final = Parameter(
    name="max_size", where="query", description="Most pixels along a side; 1024 without."
)
_TOO_LARGE: Final = (422, "More is asked for than is ever read.")


def value_routes() -> tuple[Route, ...]:
    """Give all routes that give numbers."""
    return _area_routes() + _series_routes() + _volume_routes()


def _area_routes() -> tuple[Route, ...]:
    return (
        Route(
            id="info",
            path="/info/{layer}",
            actions=_ACTIONS,
            handler=values.info,
            summary="What a layer is: bounds, bands, resolution, as far as its values are open; as titiler.",
            parameters=(LAYER, STYLE),
            answers=((200, "Info."), *LAYER_ANSWERS),
        ),
        Route(
            id="statistics",
            path="/statistics/{layer}",
            actions=_ACTIONS,
            handler=values.area_statistics,
            summary="Statistics of the stored values of a layer, or of a box of it; as titiler.",
            parameters=(
                LAYER,
                Parameter(name="bbox", where="query", description="W,S,E,N in degrees; the layer without."),
                _SIZE,
                STYLE,
                TIME,
            ),
            answers=((200, "Statistics."), (400, "A malformed parameter."), *LAYER_ANSWERS, _TOO_LARGE),
        ),
        Route(
            id="feature_statistics",
            path="/statistics/{layer}",
            methods=frozenset({"POST"}),
            actions=_ACTIONS,
            handler=values.feature_statistics,
            summary="Statistics of the stored values in each polygon of a GeoJSON body; as titiler.",
            parameters=(LAYER, _SIZE, STYLE, TIME),
            answers=((200, "The body, with statistics."), (400, "No polygons."), *LAYER_ANSWERS, _TOO_LARGE),
        ),
        Route(
            id="point",
            path="/point/{layer}/{place}",
            actions=_ACTIONS,
            handler=values.point,
            summary="The stored values at a place; as titiler.",
            parameters=(LAYER, in_path("place", "LON,LAT in degrees."), TIME),
            answers=((200, "Values."), (400, "A malformed parameter."), *LAYER_ANSWERS),
        ),
    )


def _series_routes() -> tuple[Route, ...]:
    asked = (
        Parameter(
            name="time",
            where="query",
            description="A date or an interval A/B of at most 500 dates of the layer; all without.",
        ),
        Parameter(
            name="style",
            where="query",
            description="A style of the layer: what its formula gives, else its bands; all bands without.",
        ),
        Parameter(name="index", where="query", description="An index instead of a style, such as ndvi."),
        Parameter(name="format", where="query", description="json or csv; json without."),
    )
    size = Parameter(
        name="max_size", where="query", description="Most pixels of a polygon along a side; 256 without."
    )
    return (
        Route(
            id="series",
            path="/series/{layer}",
            actions=_ACTIONS,
            handler=series.series,
            summary="The values of a place, or statistics of a box, on each date of a layer.",
            parameters=(
                LAYER,
                Parameter(name="at", where="query", description="LON,LAT in degrees: stored values there."),
                Parameter(name="bbox", where="query", description="W,S,E,N in degrees, instead of at."),
                size,
                *asked,
            ),
            answers=((200, "A row a date."), (400, "A malformed parameter."), *LAYER_ANSWERS, _TOO_LARGE),
        ),
        Route(
            id="feature_series",
            path="/series/{layer}",
            methods=frozenset({"POST"}),
            actions=_ACTIONS,
            handler=series.feature_series,
            summary="Statistics of the polygon of a GeoJSON body on each date of a layer.",
            parameters=(LAYER, size, *asked),
            answers=((200, "A row a date."), (400, "No polygon."), *LAYER_ANSWERS, _TOO_LARGE),
        ),
    )


def _volume_routes() -> tuple[Route, ...]:
    return (
        Route(
            id="volume",
            path="/volume/{layer}",
            methods=frozenset({"POST"}),
            actions=_ACTIONS,
            handler=volume.volume,
            summary="What was added to and taken from a polygon between two dates of a layer of heights, m3. "
            'Body: {"polygon": GeoJSON, "stable": GeoJSON of ground that did not change}.',
            parameters=(
                LAYER,
                TIME,
                Parameter(
                    name="compare", where="query", description="The time that is subtracted.", required=True
                ),
                Parameter(
                    name="correct",
                    where="query",
                    description="true: the median difference on stable ground is taken off first.",
                ),
                _SIZE,
            ),
            answers=((200, "A volume."), (400, "No polygon, or no heights."), *LAYER_ANSWERS, _TOO_LARGE),
        ),
    )
