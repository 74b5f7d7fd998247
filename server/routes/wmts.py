"""WMTS 1.0.0, by key-value pairs and by resource addresses; both end in the one tile path."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace

from auth.models import Action
from mosaics.errors import TileOutsideGridError
from mosaics.geodesy import lonlat_transformer
from mosaics.grids import find_grid
from mosaics.models import Frame
from mosaics.point import PointValues, values_at
from server.answers import Answer, digest
from server.call import Call
from server.changes import serve_changed_tile
from server.delivery import deliver, point_goods
from server.errors import RouteNotFoundError
from server.making import in_turn
from server.pipeline import TileRequest, serve_tile, tile_frame
from server.requests import BadRequestError, image_format, single
from server.routes.capabilities import CapabilitiesCache
from server.routes.tiles import tile_answer
from server.wmts.capabilities import INFO_EXTENSIONS, TILE_EXTENSIONS
from server.wmts.exceptions import contradictory, invalid, not_acceptable
from server.wmts.feature_info import RENDERERS, BandValue, FeatureInfo, SceneValues
from server.wmts.kvp import (
    GetCapabilities,
    GetFeatureInfo,
    GetTile,
    normal_style,
    normal_time,
    parse_index,
    parse_kvp,
)
from server.wmts.language import Language

_LAST = re.compile(r"(?P<number>[^.]*)\.(?P<extension>[a-z]{2,5})")
_FILTERS = frozenset({"layers", "tms", "lang", "language"})
_XML_ACCEPTED = ("*/*", "xml", "text/html", "text/*", "application/*")
_TILE_MEDIA_TYPES = {extension: media_type for media_type, extension in TILE_EXTENSIONS.items()}
_INFO_MEDIA_TYPES = {extension: media_type for media_type, extension in INFO_EXTENSIONS.items()}


@dataclass(frozen=True)
class Wmts:
    """The WMTS routes of a worker."""

    documents: CapabilitiesCache

    async def kvp(self, call: Call) -> Answer:
        """Serve `/wmts`."""
        request = parse_kvp(call.query)
        if isinstance(request, GetCapabilities):
            return self.documents.answer(call, request)
        tile = request if isinstance(request, GetTile) else request.tile
        if tile.format not in TILE_EXTENSIONS:
            raise invalid("format")
        if isinstance(request, GetTile):
            return await _tile(call, request, _compared(call))
        return await _feature_info(call, request)

    async def rest_capabilities(self, call: Call) -> Answer:
        """Serve `/wmts/1.0.0/WMTSCapabilities.xml`."""
        accepted = call.request.header("accept")
        if accepted and not any(word in accepted for word in _XML_ACCEPTED):
            raise not_acceptable()
        request = parse_kvp(tuple(pair for pair in call.query if pair[0].lower() in _FILTERS))
        assert isinstance(request, GetCapabilities), "filters alone are always GetCapabilities"
        return self.documents.answer(call, request)


async def rest_tile(call: Call) -> Answer:
    """Serve `/wmts/1.0.0/{layer}/{style}/{time}/{tms}/{z}/{y}/{x}.{ext}`."""
    last = _LAST.fullmatch(call.path["x"])
    if last is None or last["extension"] not in _TILE_MEDIA_TYPES:
        raise RouteNotFoundError
    return await _tile(call, _rest_request(call, last["number"], last["extension"]))


async def rest_feature_info(call: Call) -> Answer:
    """Serve `/wmts/1.0.0/{layer}/{style}/{time}/{tms}/{z}/{y}/{x}/{j}/{i}.{ext}`."""
    last = _LAST.fullmatch(call.path["i"])
    if last is None or last["extension"] not in _INFO_MEDIA_TYPES:
        raise RouteNotFoundError
    language: Language = "en" if call.language == "en" else "fr"
    request = GetFeatureInfo(
        tile=_rest_request(call, call.path["x"], "png"),
        info_format=_INFO_MEDIA_TYPES[last["extension"]],
        i=parse_index(last["number"], "I"),
        j=parse_index(call.path["j"], "J"),
        language=language,
    )
    return await _feature_info(call, request)


def _rest_request(call: Call, column: str, extension: str) -> GetTile:
    return GetTile(
        layer=call.path["layer"],
        style=normal_style(call.path["style"]),
        format=_TILE_MEDIA_TYPES[extension],
        tile_matrix_set=call.path["tms"],
        tile_matrix=call.path["z"],
        row=parse_index(call.path["y"], "TileRow"),
        col=parse_index(column, "TileCol"),
        time=normal_time(call.path["time"]),
    )


def _compared(call: Call) -> str | None:
    """Read our own parameter COMPARE: the date that is subtracted from that of TIME."""
    found = [(name.lower(), value) for name, value in call.query if name.lower() == "compare"]
    try:
        return single(found, "compare")
    except BadRequestError:
        raise contradictory("compare") from None


async def _tile(call: Call, asked: GetTile, compare: str | None = None) -> Answer:
    layer, scene_filter = call.layer(asked.layer, Action.TILE)
    request = replace(_tile_request(call, asked), compare=compare)
    serve = serve_tile if compare is None else serve_changed_tile
    served = await serve(call.services, request, layer, scene_filter, call.client)
    return await tile_answer(call, served, layer, negotiated=False)


def _tile_request(call: Call, asked: GetTile) -> TileRequest:
    """Find grid and matrix by their identifiers; a matrix may be named with its set (`EPSG:3857:12`)."""
    grid = find_grid(call.services.grids, asked.tile_matrix_set)
    name = asked.tile_matrix.rpartition(":")[2]
    levels = {matrix.id: grid.minzoom + n for n, matrix in enumerate(grid.matrices)}
    if name not in levels:
        raise TileOutsideGridError("matrix")
    return TileRequest(
        layer_id=asked.layer,
        tms_id=grid.id,
        z=levels[name],
        x=asked.col,
        y=asked.row,
        image_format=image_format(TILE_EXTENSIONS[asked.format], None),
        style=asked.style,
        time=asked.time,
    )


async def _feature_info(call: Call, asked: GetFeatureInfo) -> Answer:
    if asked.info_format not in RENDERERS:
        raise invalid("InfoFormat")
    layer, scene_filter = call.layer(asked.tile.layer, Action.INFO)
    frame = _info_frame(call, asked)
    layer.style_id(asked.tile.style)
    longitude, latitude = _pixel_centre(frame, asked.i, asked.j)
    look = functools.partial(
        values_at,
        layer,
        scene_filter,
        call.services.reader,
        longitude=longitude,
        latitude=latitude,
        span=layer.span(asked.tile.time),
    )
    found = await in_turn(call.services, look, call.client)
    info = FeatureInfo(
        layer=layer.id,
        lon=longitude,
        lat=latitude,
        features=(_scene_values(found),) if found else (),
        attribution=found.scene.attribution or layer.collection.attribution if found else "",
    )
    body = RENDERERS[asked.info_format](info, asked.language)
    charset = "" if asked.info_format == "application/json" else "; charset=utf-8"
    answer = Answer(body=body, media_type=asked.info_format + charset, etag=digest(body))
    return await deliver(call, answer, point_goods(found))


def _info_frame(call: Call, asked: GetFeatureInfo) -> Frame:
    """Check tile and pixel as the conformance suite wants: wrong values, never TileOutOfRange."""
    try:
        frame = tile_frame(call.services, _tile_request(call, asked.tile))
    except TileOutsideGridError as error:
        raise invalid({"matrix": "TileMatrix", "row": "TileRow", "col": "TileCol"}[error.part]) from error
    if asked.i >= frame.width:
        raise invalid("I")
    if asked.j >= frame.height:
        raise invalid("J")
    return frame


def _pixel_centre(frame: Frame, column: int, row: int) -> tuple[float, float]:
    left, bottom, right, top = frame.bounds
    x = left + (column + 0.5) * (right - left) / frame.width
    y = top - (row + 0.5) * (top - bottom) / frame.height
    longitude, latitude = lonlat_transformer(frame.crs).transform(x, y)
    return float(longitude), float(latitude)


def _scene_values(found: PointValues) -> SceneValues:
    scene = found.scene
    return SceneValues(
        collection=scene.collection_id,
        scene=scene.id,
        acquired=scene.acquired,
        sensor=scene.sensor_id,
        values=tuple(
            BandValue(band.name, band.common_name, value, band.unit)
            for band, value in zip(scene.all_bands, found.values, strict=True)
        ),
    )
