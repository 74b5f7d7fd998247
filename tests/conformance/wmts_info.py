"""The suite's assertions on GetFeatureInfo, by key-value pairs and by resources."""

from __future__ import annotations

import json

from tests.conformance.wmts_suite import Service, Tile, asserts, refused, without
from tests.conformance.wmts_tiles import BOGUS, MANDATORY, beyond, tile_size
from tests.conftest import Reply


def assert_info(reply: Reply, media_type: str) -> None:
    assert reply.status == 200, reply.body[:400]
    assert reply.headers["content-type"].partition(";")[0] == media_type
    if media_type == "application/json":
        assert len(json.loads(reply.body)["features"]) == 1
    else:
        assert len(reply.body.splitlines()) > 4


def outside(service: Service, tile: Tile, name: str) -> str:
    """Give the first pixel index that a tile does not have."""
    return str(tile_size(service, tile)[0 if name == "J" else 1])


@asserts("KVP.GET.GetFeatureInfo.Valid.InfoFormat")
def kvp_formats(service: Service) -> None:
    for tile in service.one_each():
        for media_type in service.info_formats(tile.layer):
            assert_info(service.kvp(service.info_request(tile, infoFormat=media_type)), media_type)


@asserts("RESTful.GetFeatureInfo.Valid.InfoFormat")
def rest_formats(service: Service) -> None:
    for tile in service.one_each():
        for media_type in service.info_formats(tile.layer):
            assert_info(service.ask(service.resource(tile, "FeatureInfo", media_type)), media_type)


@asserts("KVP.GET.GetFeatureInfo.Mandatory")
def kvp_info(service: Service) -> None:
    for tile in service.tiles():
        for style in service.styles(tile.layer):
            for media_type in service.info_formats(tile.layer):
                request = service.info_request(tile, style=style, infoFormat=media_type)
                assert_info(service.kvp(request), media_type)


@asserts("RESTful.GetFeatureInfo.Mandatory")
def rest_info(service: Service) -> None:
    for tile in service.tiles():
        for style in service.styles(tile.layer):
            for media_type in service.info_formats(tile.layer):
                reply = service.ask(service.resource(tile, "FeatureInfo", media_type, Style=style))
                assert_info(reply, media_type)
                request = service.info_request(tile, style=style, infoFormat=media_type)
                assert reply.body == service.kvp(request).body


@asserts("KVP.GET.GetFeatureInfo.Optional")
def kvp_dimension(service: Service) -> None:
    tile = service.dated()
    bodies = {service.kvp(service.info_request(tile, Time=time)).body for time in service.times(tile.layer)}
    assert len(bodies) == len(service.times(tile.layer)) - 1


@asserts("RESTful.GetFeatureInfo.Optional")
def rest_dimension(service: Service) -> None:
    tile = service.dated()
    for time in service.times(tile.layer):
        reply = service.ask(service.resource(tile, "FeatureInfo", "application/json", Time=time))
        assert_info(reply, "application/json")
        assert reply.body == service.kvp(service.info_request(tile, Time=time)).body


@asserts("KVP.GET.GetFeatureInfo.Missing")
def kvp_missing(service: Service) -> None:
    for tile in service.tiles():
        for name in (*MANDATORY, "infoFormat", "I", "J"):
            refused(service.kvp(without(service.info_request(tile), name)), "MissingParameterValue", name)


def kvp_invalid(id_: str, name: str, locator: str) -> None:
    """Register that an unknown value of a parameter is refused, with the locator that the suite expects."""

    @asserts(f"KVP.GET.GetFeatureInfo.Invalid.{id_}")
    def check(service: Service) -> None:
        for tile in service.tiles():
            reply = service.kvp(service.info_request(tile, **{name: BOGUS}))
            refused(reply, "InvalidParameterValue", locator)


kvp_invalid("Layer", "layer", "layer")
kvp_invalid("TileMatrixSet", "TileMatrixSet", "TileMatrixSet")
kvp_invalid("TileMatrix", "TileMatrix", "TileMatrix")
kvp_invalid("Tile.Style", "style", "Style")
kvp_invalid("InfoFormat", "infoFormat", "InfoFormat")


def kvp_outside(id_: str, name: str) -> None:
    """Register that a row, column or pixel beyond the last is an invalid value, as the suite has it."""

    @asserts(f"KVP.GET.GetFeatureInfo.Invalid.{id_}")
    def check(service: Service) -> None:
        for tile in service.tiles():
            reply = service.kvp(service.info_request(tile, **{name: past(service, tile, name)}))
            refused(reply, "InvalidParameterValue", name)


def past(service: Service, tile: Tile, name: str) -> str:
    """Give the first value of an index that does not exist."""
    if name in {"I", "J"}:
        return outside(service, tile, name)
    return beyond(service, tile, {"TileRow": "Height", "TileCol": "Width"}[name])


kvp_outside("Tile.Row.TileMatrixSetLimits", "TileRow")
kvp_outside("Tile.Col.TileMatrixSetLimits", "TileCol")
kvp_outside("Pixel.Row.J", "J")
kvp_outside("Pixel.Col.I", "I")


@asserts("KVP.GET.GetFeatureInfo.Invalid.SampleDimension.Value")
def kvp_time(service: Service) -> None:
    for time in (BOGUS, "1900-01-01"):
        request = service.info_request(service.dated(), Time=time)
        refused(service.kvp(request), "InvalidParameterValue", "Time")


@asserts(
    "KVP.GET.GetFeatureInfo.Default.SampleDimension",
    "KVP.GET.GetFeatureInfo.Current.SampleDimension",
    "RESTful.GetFeatureInfo.Default.SampleDimension",
    "RESTful.GetFeatureInfo.Current.SampleDimension",
)
def keywords(service: Service) -> None:
    tile = service.dated()
    newest = service.kvp(service.info_request(tile, Time=service.times(tile.layer)[-1]))
    assert_info(newest, "application/json")
    for word in ("default", "current"):
        assert service.kvp(service.info_request(tile, Time=word)).body == newest.body
        address = service.resource(tile, "FeatureInfo", "application/json", Time=word)
        assert service.ask(address).body == newest.body


@asserts("KVP.GET.GetFeatureInfo.NonQueryable.Layer")
def every_layer_is_queryable(service: Service) -> None:
    """The suite looks for a layer without InfoFormat; there is none."""
    assert all(service.info_formats(layer) for layer in service.layers())


@asserts("RESTful.GetFeatureInfo.Missing")
def rest_missing(service: Service) -> None:
    for tile in service.tiles():
        for name in ("Style", "TileMatrixSet", "TileMatrix", "TileRow", "TileCol", "I", "J"):
            address = service.resource(tile, "FeatureInfo", "application/json", **{name: ""})
            assert service.ask(address).status >= 400, name


@asserts("RESTful.GetFeatureInfo.Invalid.Layer")
def rest_layer(service: Service) -> None:
    for tile in service.tiles():
        address = service.resource(tile, "FeatureInfo", "application/json")
        assert service.ask(address.replace(f"/{tile.layer}/", "/bogus/")).status >= 400


def rest_invalid(id_: str, name: str) -> None:
    """Register that a wrong value in a resource's address is refused."""

    @asserts(f"RESTful.GetFeatureInfo.Invalid.{id_}")
    def check(service: Service) -> None:
        for tile in service.tiles():
            indexes = {"TileRow", "TileCol", "I", "J"}
            value = past(service, tile, name) if name in indexes else BOGUS
            address = service.resource(tile, "FeatureInfo", "application/json", **{name: value})
            assert service.ask(address).status >= 400


rest_invalid("TileMatrixSet", "TileMatrixSet")
rest_invalid("TileMatrix", "TileMatrix")
rest_invalid("Tile.Style", "Style")
rest_invalid("Tile.Row.TileMatrixSetLimits", "TileRow")
rest_invalid("Tile.Col.TileMatrixSetLimits", "TileCol")
rest_invalid("Pixel.Row.J", "J")
rest_invalid("Pixel.Col.I", "I")


@asserts("RESTful.GetFeatureInfo.Invalid.SampleDimension.Value")
def rest_time(service: Service) -> None:
    for time in (BOGUS, "1900-01-01"):
        address = service.resource(service.dated(), "FeatureInfo", "application/json", Time=time)
        assert service.ask(address).status >= 400
