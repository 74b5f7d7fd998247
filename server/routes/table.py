"""The ROUTES table: every address that is served, with its action; nothing else is reachable.

It makes the dispatcher, the OpenAPI document, the `/k/{key}/...` and `/public/...` forms and the tests of
access.
"""

from __future__ import annotations

import functools

from auth.models import Action
from server.metrics import Metrics
from server.routes import layers, legend, preview, self_service, tiles, timelapse, wmts
from server.routes.admin_table import admin_routes
from server.routes.capabilities import CapabilitiesCache
from server.routes.health import MetricsRoute, Readiness, live
from server.routes.openapi import OpenApi
from server.routes.page import PAGE_FILES, Page
from server.routes.parameters import (
    COMPARE,
    GENERATION,
    LAYER,
    LAYER_ANSWERS,
    OWN,
    PIXELS,
    STYLE,
    TILE_ANSWERS,
    TIME,
    TMS,
    in_path,
)
from server.routes.schemas import schemas
from server.routes.value_table import value_routes
from server.routing import Parameter, Route

_ZXY = (
    in_path("z", "Level."),
    in_path("x", "Column."),
    in_path("y", "Row, then optionally @2x and .png|jpg|webp|avif."),
)
_REST = (
    LAYER,
    in_path("style", "A style, or `default`."),
    in_path("time", "`default`, `latest`, a date, A--B or nearest:DATE."),
    TMS,
    in_path("z", "Identifier of the tile matrix."),
    in_path("y", "Row."),
    in_path("x", "Column, with .png|jpg|webp|avif."),
)
_READS = frozenset({Action.CATALOGUE, Action.TILE})
_ALL_WMTS = frozenset({Action.CATALOGUE, Action.TILE, Action.INFO})
_OPEN = frozenset({Action.OPEN})


def routes(metrics: Metrics, readiness: Readiness) -> tuple[Route, ...]:
    """Give all routes of a worker."""
    page, service = Page(), wmts.Wmts(CapabilitiesCache())
    described = (
        _tile_routes()
        + _wmts_routes(service)
        + _layer_routes()
        + _lapse_routes()
        + value_routes()
        + _own_routes()
        + _operating(metrics, readiness)
        + admin_routes()
    )
    return (
        *described,
        Route(
            id="index",
            path="/",
            actions=_OPEN,
            handler=page.index,
            summary="Map page, or landing document.",
            shown_when_refused=True,
        ),
        *(
            Route(
                id=f"page_{name.replace('.', '_')}",
                path=f"/{name}",
                actions=_OPEN,
                handler=functools.partial(page.file, name),
                summary="A file of the map page.",
                ignores_credentials=True,
            )
            for name in PAGE_FILES
        ),
        Route(
            id="openapi",
            path="/openapi.json",
            actions=_OPEN,
            handler=OpenApi(described, schemas()).document,
            summary="This interface, OpenAPI 3.1.",
        ),
    )


def _tile_routes() -> tuple[Route, ...]:
    return (
        Route(
            id="xyz_tile",
            path="/tiles/{layer}/{tms}/{z}/{x}/{y}",
            actions=_READS,
            handler=tiles.xyz,
            memoised=True,
            summary="One XYZ tile, 256 px or 512 px with @2x.",
            parameters=(LAYER, TMS, *_ZXY, STYLE, *OWN, PIXELS, TIME, COMPARE, GENERATION),
            answers=TILE_ANSWERS,
        ),
        Route(
            id="tilejson",
            path="/tiles/{layer}/{tms}/tilejson.json",
            actions=_READS,
            handler=tiles.tilejson,
            summary="TileJSON 3.0 of a layer.",
            parameters=(LAYER, TMS, STYLE, *OWN, TIME, COMPARE),
            answers=((200, "TileJSON."), (400, "A malformed parameter."), *LAYER_ANSWERS),
        ),
    )


def _wmts_routes(service: wmts.Wmts) -> tuple[Route, ...]:
    base = "/wmts/1.0.0/{layer}/{style}/{time}/{tms}/{z}/{y}/{x}"
    return (
        Route(
            id="wmts_kvp",
            path="/wmts",
            actions=_ALL_WMTS,
            handler=service.kvp,
            memoised=True,
            summary="WMTS 1.0.0 by key-value pairs; without any, the capabilities.",
            protocol="ows",
            parameters=(
                Parameter(name="service", where="query", description="WMTS."),
                Parameter(
                    name="request",
                    where="query",
                    description="GetCapabilities, GetTile or GetFeatureInfo, with their parameters.",
                ),
                Parameter(
                    name="compare", where="query", description="Of GetTile, ours: as `compare` of XYZ tiles."
                ),
            ),
            answers=((200, "A document, an image or values."), (400, "An exception report.")),
        ),
        Route(
            id="wmts_capabilities",
            path="/wmts/1.0.0/WMTSCapabilities.xml",
            actions=_ALL_WMTS,
            handler=service.rest_capabilities,
            summary="WMTS capabilities: the layers that the caller may see.",
            protocol="ows",
        ),
        Route(
            id="wmts_tile",
            path=base,
            actions=_READS,
            handler=wmts.rest_tile,
            memoised=True,
            summary="One WMTS tile.",
            protocol="ows",
            parameters=_REST,
            answers=TILE_ANSWERS,
        ),
        Route(
            id="wmts_feature_info",
            path=base + "/{j}/{i}",
            actions=_ALL_WMTS,
            handler=wmts.rest_feature_info,
            summary="Values under a pixel of a tile.",
            protocol="ows",
            parameters=(
                *_REST,
                in_path("j", "Pixel row."),
                in_path("i", "Pixel column, with .json|html|txt."),
            ),
            answers=((200, "Values of the scene on top."), *LAYER_ANSWERS),
        ),
    )


def _layer_routes() -> tuple[Route, ...]:
    catalogue = frozenset({Action.CATALOGUE, Action.TILE, Action.PREVIEW, Action.INFO})
    return (
        Route(
            id="layers",
            path="/layers",
            actions=catalogue,
            handler=layers.layers,
            summary="The layers that the caller may see.",
            answers=((200, "Layers."), (401, "The key is not valid.")),
        ),
        Route(
            id="layer",
            path="/layers/{layer}",
            actions=catalogue,
            handler=layers.layer,
            summary="One layer and its scenes.",
            parameters=(LAYER,),
            answers=((200, "A layer."), *LAYER_ANSWERS),
        ),
        Route(
            id="preview",
            path="/preview/{layer}",
            actions=frozenset({Action.CATALOGUE, Action.PREVIEW}),
            handler=preview.preview,
            summary="A light picture of a whole layer.",
            parameters=(
                LAYER,
                Parameter(name="width", where="query", description="Pixels, 16 to 1024; 512 without."),
                Parameter(name="max_bytes", where="query", description="Greatest size of the file."),
                STYLE,
                *OWN,
                TIME,
                COMPARE,
            ),
            answers=(*TILE_ANSWERS, (422, "Larger than is given, or not as small as asked.")),
        ),
        Route(
            id="legend",
            path="/legend/{layer}/{picture}",
            actions=frozenset({Action.CATALOGUE, Action.TILE, Action.INFO}),
            handler=legend.legend,
            summary="What the colours of a style mean; numbers of whole scenes only to who may read them.",
            parameters=(
                LAYER,
                in_path("picture", "A style, or `default`, then .png, @2x.png, .svg or .json."),
                *OWN,
                COMPARE,
                Parameter(name="lang", where="query", description="fr or en, of a picture."),
                Parameter(name="width", where="query", description="Pixels, 80 to 1000; 240 without."),
                Parameter(
                    name="height",
                    where="query",
                    description="Pixels, 40 to 2000; without, as high as it needs.",
                ),
            ),
            answers=((200, "A picture, or JSON."), (400, "A malformed parameter."), *LAYER_ANSWERS),
            gives="Legend",
        ),
    )


def _lapse_routes() -> tuple[Route, ...]:
    actions = frozenset({Action.CATALOGUE, Action.PREVIEW})
    asked = (
        Parameter(name="width", where="query", description="Pixels of a frame, 64 to 1024; 512 without."),
        Parameter(
            name="time",
            where="query",
            description="An interval A/B; all dates without. Of more than 60 some are shown, evenly chosen,"
            " and the header Flux-Dates says how many of how many.",
        ),
        STYLE,
        *OWN,
        Parameter(
            name="format", where="query", description="webp, an animation, or png, a sheet; webp without."
        ),
        Parameter(
            name="delay_ms", where="query", description="Milliseconds of a frame, 20 to 10000; 700 without."
        ),
        Parameter(name="fps", where="query", description="Frames a second, 1 to 50, instead of delay_ms."),
    )
    answers = (*TILE_ANSWERS, (422, "Larger than is given."))
    return (
        Route(
            id="timelapse",
            path="/timelapse/{layer}",
            actions=actions,
            handler=timelapse.timelapse,
            summary="A layer, or a box of it, on each of its dates.",
            parameters=(
                LAYER,
                Parameter(name="bbox", where="query", description="W,S,E,N in degrees; the layer without."),
                *asked,
            ),
            answers=answers,
        ),
        Route(
            id="feature_timelapse",
            path="/timelapse/{layer}",
            methods=frozenset({"POST"}),
            actions=actions,
            handler=timelapse.feature_timelapse,
            summary="The polygon of a GeoJSON body on each date of a layer.",
            parameters=(LAYER, *asked),
            answers=answers,
        ),
    )


def _own_routes() -> tuple[Route, ...]:
    seen = frozenset({Action.CATALOGUE, Action.TILE, Action.PREVIEW})
    managed = frozenset({Action.MANAGE})
    refused = (
        (401, "A manager's key is needed."),
        (403, "Neither a manager of this institution nor an operator."),
    )
    return (
        Route(
            id="whoami",
            path="/whoami",
            actions=_OPEN,
            handler=self_service.whoami,
            summary="Who the credential says that you are.",
            answers=((200, "You, or nobody."), (401, "The key is not valid.")),
        ),
        Route(
            id="sign",
            path="/sign",
            methods=frozenset({"POST"}),
            actions=seen,
            handler=self_service.sign_credential,
            summary="A signed, expiring credential for a layer or for all that you see, for portals. "
            'Body: {"layer", "minutes", "as": "url" or "cookie"}.',
            answers=((200, "The signature, or a cookie."), (400, "A malformed body."), *LAYER_ANSWERS),
        ),
        Route(
            id="unsign",
            path="/sign",
            methods=frozenset({"DELETE"}),
            actions=_OPEN,
            handler=self_service.drop_cookie,
            summary="Forget the cookie.",
        ),
        Route(
            id="usage",
            path="/usage",
            actions=managed,
            handler=self_service.usage,
            summary="What was shown to whom; a manager's own institution, an operator's all.",
            parameters=(
                Parameter(name="from", where="query", description="First day; 1 January without."),
                Parameter(name="to", where="query", description="Last day; today without."),
                Parameter(
                    name="by",
                    where="query",
                    description="Some of day, month, institution, key, collection, sensor, resolution_band.",
                ),
                Parameter(name="institution", where="query", description="Only this one's."),
                Parameter(name="format", where="query", description="json or csv."),
            ),
            answers=((200, "Rows."), (400, "A malformed parameter."), *refused),
        ),
        Route(
            id="explain",
            path="/explain",
            actions=managed,
            handler=self_service.explain_question,
            summary="Which grant or forbid decides whether a key sees a place.",
            parameters=(
                Parameter(name="key_id", where="query", description="Id of a key.", required=True),
                Parameter(name="layer", where="query", description="A layer.", required=True),
                Parameter(name="at", where="query", description="LON,LAT in degrees.", required=True),
                Parameter(name="gsd", where="query", description="Metres per pixel; native without."),
                Parameter(name="action", where="query", description="tile without."),
            ),
            answers=((200, "The reason."), (400, "A malformed parameter."), (404, "No such key."), *refused),
        ),
    )


def _operating(metrics: Metrics, readiness: Readiness) -> tuple[Route, ...]:
    return (
        Route(
            id="health_live",
            path="/health/live",
            actions=_OPEN,
            handler=live,
            summary="200 while the process answers.",
            ignores_credentials=True,
        ),
        Route(
            id="health_ready",
            path="/health/ready",
            actions=_OPEN,
            handler=readiness.ready,
            summary="200 while a tile can be rendered.",
            ignores_credentials=True,
            answers=((200, "Ready."), (503, "Not ready.")),
        ),
        Route(
            id="metrics",
            path="/metrics",
            actions=frozenset({Action.OPERATE}),
            handler=MetricsRoute(metrics).text,
            summary="Prometheus metrics; for operators.",
            answers=((200, "Text."), (401, "An operator's key is needed."), (403, "Not an operator.")),
        ),
    )
