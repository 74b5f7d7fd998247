"""What the assertions of OGC's WMTS 1.0 suite need: a service, its document, its schemas, a register."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from lxml import etree

from tests.conftest import Reply, Server

NAMES = {
    "w": "http://www.opengis.net/wmts/1.0",
    "ows": "http://www.opengis.net/ows/1.1",
    "xlink": "http://www.w3.org/1999/xlink",
}
SCHEMA_OF_DOCUMENTS = "wmts/1.0/wmtsGetCapabilities_response.xsd"
SCHEMA_OF_REPORTS = "ows/1.1.0/owsExceptionReport.xsd"
LEVEL = 15
"""Where tiles are asked for; pixels of 1 to 5 m."""


class Tile(NamedTuple):
    """The tile in the middle of a layer, and the pixel of it that is there."""

    layer: str
    grid: str
    matrix: str
    row: int
    column: int
    i: int
    j: int


@dataclass(frozen=True)
class Service:
    """A running service and its capabilities."""

    server: Server
    start: str
    """Path and query of the address that a client is given."""
    headers: dict[str, str] = field(default_factory=dict)
    """What goes with every request."""

    @functools.cached_property
    def document(self) -> etree._Element:
        return valid(self.server.get(self.start, self.headers), SCHEMA_OF_DOCUMENTS)

    def find(self, path: str) -> list[etree._Element]:
        found: list[etree._Element] = self.document.xpath(path, namespaces=NAMES)
        return found

    def texts(self, path: str) -> list[str]:
        return [str(text) for text in self.document.xpath(f"{path}/text()", namespaces=NAMES)]

    def values(self, path: str) -> list[str]:
        """Give the attributes that a path ends in."""
        return [str(value) for value in self.document.xpath(path, namespaces=NAMES)]

    def prefix(self, operation: str) -> str:
        """Give where the KVP requests of an operation begin."""
        (href,) = self.values(
            f"//ows:Operation[@name='{operation}']//ows:Get"
            "[ows:Constraint[@name='GetEncoding']//ows:Value='KVP']/@xlink:href"
        )
        return href

    def ask(self, address: str, **headers: str) -> Reply:
        """Follow an address of the document."""
        assert address.startswith(self.server.url), address
        return self.server.get(address.removeprefix(self.server.url), self.headers | headers)

    def kvp(self, parameters: dict[str, str]) -> Reply:
        """Send a request by key-value pairs to the address that the document names for it."""
        operation = parameters.get("request", "GetCapabilities")
        known = operation if operation in {"GetTile", "GetFeatureInfo"} else "GetCapabilities"
        return self.ask(self.prefix(known) + urlencode(parameters))

    def tile_request(self, tile: Tile, **more: str) -> dict[str, str]:
        """Give a valid GetTile request, or with `request` another."""
        request = {"service": "WMTS", "request": "GetTile", "version": "1.0.0", "layer": tile.layer}
        request |= {"style": self.styles(tile.layer)[0], "format": "image/png", "TileMatrixSet": tile.grid}
        request |= {"TileMatrix": tile.matrix, "TileRow": str(tile.row), "TileCol": str(tile.column)}
        return request | more

    def info_request(self, tile: Tile, **more: str) -> dict[str, str]:
        """Give a valid GetFeatureInfo request."""
        asked = {"request": "GetFeatureInfo", "infoFormat": "application/json"}
        asked |= {"I": str(tile.i), "J": str(tile.j)}
        return self.tile_request(tile, **(asked | more))

    def layers(self) -> list[str]:
        return self.texts("//w:Layer/ows:Identifier")

    def of_layer(self, layer: str, path: str) -> list[str]:
        return self.texts(f"//w:Layer[ows:Identifier='{layer}']/{path}")

    def styles(self, layer: str) -> list[str]:
        return self.of_layer(layer, "w:Style/ows:Identifier")

    def formats(self, layer: str) -> list[str]:
        return self.of_layer(layer, "w:Format")

    def info_formats(self, layer: str) -> list[str]:
        return self.of_layer(layer, "w:InfoFormat")

    def times(self, layer: str) -> list[str]:
        return self.of_layer(layer, "w:Dimension[ows:Identifier='Time']/w:Value")

    def dated(self) -> Tile:
        """Give a tile of a layer with a dimension."""
        return next(tile for tile in self.tiles() if self.times(tile.layer))

    def tiles(self) -> tuple[Tile, ...]:
        """Give the tile in the middle of each layer, at one level of each of its grids."""
        return self._tiles

    def one_each(self) -> tuple[Tile, ...]:
        """Give one tile of each layer."""
        return tuple({tile.layer: tile for tile in self.tiles()}.values())

    @functools.cached_property
    def _tiles(self) -> tuple[Tile, ...]:
        tiles = []
        for layer in self.layers():
            boxes = {
                box.get("crs"): [float(number) for corner in box for number in corner.text.split()]
                for box in self.find(f"//w:Layer[ows:Identifier='{layer}']/ows:BoundingBox")
            }
            for grid in self.of_layer(layer, "w:TileMatrixSetLink/w:TileMatrixSet"):
                (entry,) = self.find(f"//w:Contents/w:TileMatrixSet[ows:Identifier='{grid}']")
                crs = str(entry.findtext("ows:SupportedCRS", namespaces=NAMES))
                left, bottom, right, top = boxes[crs]
                middle = ((left + right) / 2, (bottom + top) / 2)
                metres_per_unit = 111319.49079327358 if crs.endswith("CRS84") else 1
                matrix = entry.findall("w:TileMatrix", NAMES)[LEVEL]
                tiles.append(Tile(layer, grid, *place(matrix, middle, metres_per_unit)))
        return tuple(tiles)

    def resource(self, tile: Tile, kind: str = "tile", media_type: str = "image/png", **filled: str) -> str:
        """Fill the template of a resource."""
        (template,) = self.values(
            f"//w:Layer[ows:Identifier='{tile.layer}']/w:ResourceURL"
            f"[@resourceType='{kind}'][@format='{media_type}']/@template"
        )
        values = {"Style": self.styles(tile.layer)[0], "TileMatrixSet": tile.grid, "TileMatrix": tile.matrix}
        values |= {"TileRow": str(tile.row), "TileCol": str(tile.column), "Time": "latest"}
        values |= {"I": str(tile.i), "J": str(tile.j)}
        for name, value in (values | filled).items():
            template = template.replace(f"{{{name}}}", value)
        assert "{" not in template
        return template


def place(
    matrix: etree._Element, point: tuple[float, float], metres_per_unit: float
) -> tuple[str, int, int, int, int]:
    """Give a matrix's identifier, and row, column, I and J of a point of its CRS (x, y)."""
    words = {child.tag.rpartition("}")[2]: str(child.text) for child in matrix}
    left, top = (float(number) for number in words["TopLeftCorner"].split())
    size, cell = int(words["TileWidth"]), float(words["ScaleDenominator"]) * 0.00028 / metres_per_unit
    column, i = divmod(int((point[0] - left) // cell), size)
    row, j = divmod(int((top - point[1]) // cell), size)
    return words["Identifier"], row, column, i, j


Check = Callable[[Service], None]
ASSERTIONS: dict[str, Check] = {}
"""Id in the suite -> what it asserts."""


def asserts(*ids: str) -> Callable[[Check], Check]:
    """Register what these assertions of the suite say."""

    def keep(check: Check) -> Check:
        for id_ in ids:
            assert id_ not in ASSERTIONS
            ASSERTIONS[id_] = check
        return check

    return keep


@functools.cache
def schema(name: str) -> etree.XMLSchema:
    """Load one of the OGC schemas that MapProxy's wheel carries; nothing of it is imported."""
    found = importlib.util.find_spec("mapproxy")
    assert found is not None, "the OGC schemas are missing: install the development dependencies"
    assert found.submodule_search_locations is not None
    path = Path(found.submodule_search_locations[0]) / "test" / "schemas" / name
    return etree.XMLSchema(etree.parse(path, etree.XMLParser(no_network=True)))


def valid(reply: Reply, schema_name: str) -> etree._Element:
    """Check that an answer is XML and keeps its schema; give its root."""
    assert reply.headers["content-type"].partition(";")[0] in {"application/xml", "text/xml"}
    root = etree.fromstring(reply.body)
    schema(schema_name).assertValid(root)
    return root


def refused(reply: Reply, code: str, locator: str | None, status: int = 400) -> None:
    """Check that an answer is the exception report that is asserted."""
    root = valid(reply, SCHEMA_OF_REPORTS)
    (exception,) = root.findall("ows:Exception", NAMES)
    assert (exception.get("exceptionCode"), exception.get("locator")) == (code, locator)
    assert reply.status == status


def without(parameters: dict[str, str], name: str) -> dict[str, str]:
    """Leave a parameter out."""
    return {key: value for key, value in parameters.items() if key != name}
