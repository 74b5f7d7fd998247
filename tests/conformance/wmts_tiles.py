"""The suite's assertions on GetTile, by key-value pairs and by resources.

The suite asks for every tile of every matrix; here it is the tile in the middle of each layer at one level
of each grid, in each style and format.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.clients.pictures import decoded
from tests.conformance.wmts_suite import Service, Tile, asserts, refused, without
from tests.conftest import Reply

BOGUS = "BOGUS"
MANDATORY = (
    *("service", "request", "version", "layer", "style", "format"),
    *("TileMatrixSet", "TileMatrix", "TileRow", "TileCol"),
)


def assert_image(reply: Reply, media_type: str) -> np.ndarray:
    assert (reply.status, reply.headers["content-type"]) == (200, media_type), reply.body[:400]
    return decoded(reply.body)


def choices(service: Service) -> Iterator[tuple[Tile, str, str]]:
    """Give each tile in each style and format."""
    for tile in service.tiles():
        for style in service.styles(tile.layer):
            for media_type in service.formats(tile.layer):
                yield tile, style, media_type


def far(tile: Tile) -> Tile:
    """Give a tile of the same matrix where nothing is."""
    return tile._replace(row=0, column=0)


def beyond(service: Service, tile: Tile, side: str) -> str:
    """Give the first row or column that a matrix does not have."""
    grid = f"//w:TileMatrixSet[ows:Identifier='{tile.grid}']"
    (count,) = service.texts(f"{grid}/w:TileMatrix[ows:Identifier='{tile.matrix}']/w:Matrix{side}")
    return count


@asserts("KVP.GET.GetTile.Valid.Tile.Format")
def kvp_formats(service: Service) -> None:
    for tile in service.one_each():
        for media_type in service.formats(tile.layer):
            assert_image(service.kvp(service.tile_request(tile, format=media_type)), media_type)


@asserts("RESTful.GetTile.Valid.Tile.Format")
def rest_formats(service: Service) -> None:
    for tile in service.one_each():
        for media_type in service.formats(tile.layer):
            assert_image(service.ask(service.resource(tile, media_type=media_type)), media_type)


@asserts("KVP.GET.GetTile.Mandatory")
def kvp_tiles(service: Service) -> None:
    for tile, style, media_type in choices(service):
        reply = service.kvp(service.tile_request(tile, style=style, format=media_type))
        assert assert_image(reply, media_type)[:3].any()


@asserts("RESTful.GetTile.Mandatory")
def rest_tiles(service: Service) -> None:
    for tile, style, media_type in choices(service):
        reply = service.ask(service.resource(tile, media_type=media_type, Style=style))
        by_kvp = service.kvp(service.tile_request(tile, style=style, format=media_type))
        assert np.array_equal(assert_image(reply, media_type), decoded(by_kvp.body))


@asserts("KVP.GET.GetTile.Optional")
def kvp_dimension(service: Service) -> None:
    tile = service.dated()
    pictures = {service.kvp(service.tile_request(tile, Time=time)).body for time in service.times(tile.layer)}
    assert len(pictures) == len(service.times(tile.layer)) - 1  # `latest` is one of the dates


@asserts("RESTful.GetTile.Optional")
def rest_dimension(service: Service) -> None:
    tile = service.dated()
    for time in service.times(tile.layer):
        reply = service.ask(service.resource(tile, Time=time))
        assert reply.body == service.kvp(service.tile_request(tile, Time=time)).body
        assert_image(reply, "image/png")


@asserts("KVP.GET.GetTile.Missing")
def kvp_missing(service: Service) -> None:
    for tile in service.tiles():
        for name in MANDATORY:
            refused(service.kvp(without(service.tile_request(tile), name)), "MissingParameterValue", name)


def kvp_invalid(id_: str, name: str, locator: str) -> None:
    """Register that an unknown value of a parameter is refused, with the locator that the suite expects."""

    @asserts(f"KVP.GET.GetTile.Invalid.{id_}")
    def check(service: Service) -> None:
        for tile in service.tiles():
            reply = service.kvp(service.tile_request(tile, **{name: BOGUS}))
            refused(reply, "InvalidParameterValue", locator)


kvp_invalid("Layer", "layer", "layer")
kvp_invalid("TileMatrixSet", "TileMatrixSet", "TileMatrixSet")
kvp_invalid("TileMatrix", "TileMatrix", "TileMatrix")
kvp_invalid("Tile.Style", "style", "Style")
kvp_invalid("Tile.Format", "format", "format")


@asserts("KVP.GET.GetTile.Invalid.Tile.Row.TileMatrixSetLimits")
def kvp_row(service: Service) -> None:
    for tile in service.tiles():
        request = service.tile_request(tile, TileRow=beyond(service, tile, "Height"))
        refused(service.kvp(request), "TileOutOfRange", "TileRow")


@asserts("KVP.GET.GetTile.Invalid.Tile.Col.TileMatrixSetLimits")
def kvp_column(service: Service) -> None:
    for tile in service.tiles():
        request = service.tile_request(tile, TileCol=beyond(service, tile, "Width"))
        refused(service.kvp(request), "TileOutOfRange", "TileCol")


@asserts("KVP.GET.GetTile.Invalid.SampleDimension.Value")
def kvp_time(service: Service) -> None:
    for time in (BOGUS, "1900-01-01"):
        request = service.tile_request(service.dated(), Time=time)
        refused(service.kvp(request), "InvalidParameterValue", "Time")


@asserts("KVP.GET.GetTile.Default.SampleDimension", "KVP.GET.GetTile.Current.SampleDimension")
def kvp_keywords(service: Service) -> None:
    tile = service.dated()
    newest = service.kvp(service.tile_request(tile, Time=service.times(tile.layer)[-1]))
    assert_image(newest, "image/png")
    for word in ("default", "current"):
        assert service.kvp(service.tile_request(tile, Time=word)).body == newest.body


@asserts("RESTful.GetTile.Default.SampleDimension", "RESTful.GetTile.Current.SampleDimension")
def rest_keywords(service: Service) -> None:
    tile = service.dated()
    newest = service.ask(service.resource(tile, Time=service.times(tile.layer)[-1]))
    assert_image(newest, "image/png")
    for word in ("default", "current"):
        assert service.ask(service.resource(tile, Time=word)).body == newest.body


def tile_size(service: Service, tile: Tile) -> tuple[int, int]:
    """Give the height and width that the document states."""
    matrix = f"//w:TileMatrixSet[ows:Identifier='{tile.grid}']/w:TileMatrix[ows:Identifier='{tile.matrix}']"
    (width,), (height,) = (service.texts(f"{matrix}/w:{name}") for name in ("TileWidth", "TileHeight"))
    return int(height), int(width)


@asserts("KVP.GET.GetTile.Valid.Tile.Size")
def kvp_size(service: Service) -> None:
    for tile in service.tiles():
        picture = assert_image(service.kvp(service.tile_request(tile)), "image/png")
        assert picture.shape[1:] == tile_size(service, tile)


@asserts("RESTful.GetTile.Valid.Tile.Size")
def rest_size(service: Service) -> None:
    for tile in service.tiles():
        picture = assert_image(service.ask(service.resource(tile)), "image/png")
        assert picture.shape[1:] == tile_size(service, tile)


@asserts("KVP.GET.GetTile.Valid.Tile.Transparency")
def kvp_nothing(service: Service) -> None:
    for tile in service.tiles():
        picture = assert_image(service.kvp(service.tile_request(far(tile))), "image/png")
        assert len(picture) == 4
        assert not picture.any()


@asserts("RESTful.GetTile.Valid.Tile.Transparency")
def rest_nothing(service: Service) -> None:
    for tile in service.tiles():
        picture = assert_image(service.ask(service.resource(far(tile))), "image/png")
        assert len(picture) == 4
        assert not picture.any()


@asserts("RESTful.GetTile.Missing")
def rest_missing(service: Service) -> None:
    for tile in service.tiles():
        address = service.resource(tile)
        assert service.ask(address.replace(f"/{tile.layer}/", "//")).status >= 400
        for name in ("Style", "TileMatrixSet", "TileMatrix", "TileRow", "TileCol"):
            assert service.ask(service.resource(tile, **{name: ""})).status >= 400, name


@asserts("RESTful.GetTile.Invalid.Layer")
def rest_layer(service: Service) -> None:
    for tile in service.tiles():
        address = service.resource(tile).replace(f"/{tile.layer}/", f"/{BOGUS.lower()}/")
        assert service.ask(address).status >= 400


def rest_invalid(id_: str, name: str) -> None:
    """Register that an unknown value in a resource's address is refused."""

    @asserts(f"RESTful.GetTile.Invalid.{id_}")
    def check(service: Service) -> None:
        for tile in service.tiles():
            value = (
                beyond(service, tile, {"TileRow": "Height", "TileCol": "Width"}[name])
                if id_.startswith("Tile.") and name != "Style"
                else BOGUS
            )
            assert service.ask(service.resource(tile, **{name: value})).status >= 400


rest_invalid("TileMatrixSet", "TileMatrixSet")
rest_invalid("TileMatrix", "TileMatrix")
rest_invalid("Tile.Style", "Style")
rest_invalid("Tile.Row.TileMatrixSetLimits", "TileRow")
rest_invalid("Tile.Col.TileMatrixSetLimits", "TileCol")


@asserts("RESTful.GetTile.Invalid.SampleDimension.Value")
def rest_time(service: Service) -> None:
    for time in (BOGUS, "1900-01-01"):
        assert service.ask(service.resource(service.dated(), Time=time)).status >= 400
