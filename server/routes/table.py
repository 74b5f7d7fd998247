"""The ROUTES table: every address that is served, with its action; nothing else is reachable.

It makes the dispatcher, the OpenAPI document, the `/k/{key}/...` and `/public/...` forms and the tests of
access.
"""

from __future__ import annotations

import functools

from auth.models import Action
from server.metrics import Metrics
from server.routes import layers, legend, preview, self_service, tiles, values, wmts
from server.routes.admin_table import admin_routes
from server.routes.capabilities import CapabilitiesCache
from server.routes.health import MetricsRoute, Readiness, live
from server.routes.openapi import OpenApi
from server.routes.page import PAGE_FILES, Page
from server.routes.schemas import schemas
from server.routing import Parameter, Route

_LAYER = Parameter(
    name="layer", where="path", description="Collection id, or `collection:scene`.", required=True
)
_TMS = Parameter(
    name="tms",
    where="path",
    description="Tile matrix set, such as WebMercatorQuad (aliases PM, EPSG:3857) or 2154_50cm.",
    required=True,
)
_STYLE = Parameter(name="style", where="query", description="A style of the layer; its default without.")
_TIME = Parameter(
    name="time",
    where="query",
    description="`latest` (the default), a date YYYY-MM-DD of the layer, an interval A/B, or nearest:DATE: at"
    " each place the scene nearest to it.",
)
_OWN = (
    Parameter(
        name="bands",
        where="query",
        description="Bands to show as they are: one, or three with commas between, by common name, by their"
        " own name, or by number from 1.",
    ),
    Parameter(
        name="index",
        where="query",
        description="An index to show instead, such as ndvi: those of a layer stand in `/layers/{layer}`.",
    ),
    Parameter(
        name="rescale",
        where="query",
        description="LOW,HIGH: the values that become dark and bright; once, or once a channel.",
    ),
    Parameter(
        name="colormap",
        where="query",
        description="A colour map of rio-tiler, such as viridis; for one channel.",
    ),
    Parameter(
        name="gamma",
        where="query",
        description="0.1 to 10; above 1 brightens what is between dark and bright.",
    ),
)
"""A style of one's own, over `style`."""
_GENERATION = Parameter(
    name="g", where="query", description="The layer's generation; makes the answer immutable."
)


def _path(name: str, description: str) -> Parameter:
    return Parameter(name=name, where="path", description=description, required=True)


_ZXY = (
    _path("z", "Level."),
    _path("x", "Column."),
    _path("y", "Row, then optionally @2x and .png|jpg|webp|avif."),
)
_REST = (
    _LAYER,
    _path("style", "A style, or `default`."),
    _path("time", "`default`, `latest`, a date, A--B or nearest:DATE."),
    _TMS,
    _path("z", "Identifier of the tile matrix."),
    _path("y", "Row."),
    _path("x", "Column, with .png|jpg|webp|avif."),
)
_READS = frozenset({Action.CATALOGUE, Action.TILE})
_ALL_WMTS = frozenset({Action.CATALOGUE, Action.TILE, Action.INFO})
_OPEN = frozenset({Action.OPEN})
_LAYER_ANSWERS = (
    (401, "A key is needed, or the key is not valid."),
    (403, "Your rights do not open this."),
    (404, "No such layer, or hidden from you."),
)
_TILE_ANSWERS = ((200, "An image."), (400, "A malformed parameter."), *_LAYER_ANSWERS)


def routes(metrics: Metrics, readiness: Readiness) -> tuple[Route, ...]:
    """Give all routes of a worker."""
    page, service = Page(), wmts.Wmts(CapabilitiesCache())
    described = (
        _tile_routes()
        + _wmts_routes(service)
        + _layer_routes()
        + _value_routes()
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
            parameters=(_LAYER, _TMS, *_ZXY, _STYLE, *_OWN, _TIME, _GENERATION),
            answers=_TILE_ANSWERS,
        ),
        Route(
            id="tilejson",
            path="/tiles/{layer}/{tms}/tilejson.json",
            actions=_READS,
            handler=tiles.tilejson,
            summary="TileJSON 3.0 of a layer.",
            parameters=(_LAYER, _TMS, _STYLE, *_OWN, _TIME),
            answers=((200, "TileJSON."), (400, "A malformed parameter."), *_LAYER_ANSWERS),
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
            answers=_TILE_ANSWERS,
        ),
        Route(
            id="wmts_feature_info",
            path=base + "/{j}/{i}",
            actions=_ALL_WMTS,
            handler=wmts.rest_feature_info,
            summary="Values under a pixel of a tile.",
            protocol="ows",
            parameters=(*_REST, _path("j", "Pixel row."), _path("i", "Pixel column, with .json|html|txt.")),
            answers=((200, "Values of the scene on top."), *_LAYER_ANSWERS),
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
            parameters=(_LAYER,),
            answers=((200, "A layer."), *_LAYER_ANSWERS),
        ),
        Route(
            id="preview",
            path="/preview/{layer}",
            actions=frozenset({Action.CATALOGUE, Action.PREVIEW}),
            handler=preview.preview,
            summary="A light picture of a whole layer.",
            parameters=(
                _LAYER,
                Parameter(name="width", where="query", description="Pixels, 16 to 1024; 512 without."),
                Parameter(name="max_bytes", where="query", description="Greatest size of the file."),
                _STYLE,
                *_OWN,
                _TIME,
            ),
            answers=(*_TILE_ANSWERS, (422, "Larger than is given, or not as small as asked.")),
        ),
        Route(
            id="legend",
            path="/legend/{layer}/{picture}",
            actions=frozenset({Action.CATALOGUE, Action.TILE, Action.INFO}),
            handler=legend.legend,
            summary="What the colours of a style mean; numbers of whole scenes only to who may read them.",
            parameters=(
                _LAYER,
                _path("picture", "A style, or `default`, then .png, @2x.png, .svg or .json."),
                *_OWN,
                Parameter(name="lang", where="query", description="fr or en, of a picture."),
                Parameter(name="width", where="query", description="Pixels, 80 to 1000; 240 without."),
                Parameter(
                    name="height",
                    where="query",
                    description="Pixels, 40 to 2000; without, as high as it needs.",
                ),
            ),
            answers=((200, "A picture, or JSON."), (400, "A malformed parameter."), *_LAYER_ANSWERS),
            gives="Legend",
        ),
    )


def _value_routes() -> tuple[Route, ...]:
    actions = frozenset({Action.CATALOGUE, Action.INFO})
    size = Parameter(name="max_size", where="query", description="Most pixels along a side; 1024 without.")
    too_large = (422, "More is asked for than is ever read.")
    return (
        Route(
            id="info",
            path="/info/{layer}",
            actions=actions,
            handler=values.info,
            summary="What a layer is: bounds, bands, resolution, as far as its values are open; as titiler.",
            parameters=(_LAYER, _STYLE),
            answers=((200, "Info."), *_LAYER_ANSWERS),
        ),
        Route(
            id="statistics",
            path="/statistics/{layer}",
            actions=actions,
            handler=values.area_statistics,
            summary="Statistics of the stored values of a layer, or of a box of it; as titiler.",
            parameters=(
                _LAYER,
                Parameter(name="bbox", where="query", description="W,S,E,N in degrees; the layer without."),
                size,
                _STYLE,
                _TIME,
            ),
            answers=((200, "Statistics."), (400, "A malformed parameter."), *_LAYER_ANSWERS, too_large),
        ),
        Route(
            id="feature_statistics",
            path="/statistics/{layer}",
            methods=frozenset({"POST"}),
            actions=actions,
            handler=values.feature_statistics,
            summary="Statistics of the stored values in each polygon of a GeoJSON body; as titiler.",
            parameters=(_LAYER, size, _STYLE, _TIME),
            answers=((200, "The body, with statistics."), (400, "No polygons."), *_LAYER_ANSWERS, too_large),
        ),
        Route(
            id="point",
            path="/point/{layer}/{place}",
            actions=actions,
            handler=values.point,
            summary="The stored values at a place; as titiler.",
            parameters=(_LAYER, _path("place", "LON,LAT in degrees."), _TIME),
            answers=((200, "Values."), (400, "A malformed parameter."), *_LAYER_ANSWERS),
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
            answers=((200, "The signature, or a cookie."), (400, "A malformed body."), *_LAYER_ANSWERS),
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
