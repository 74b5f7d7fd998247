"""OpenLayers' own WMTS parser and tile addresses, in Node.js, on the capabilities of the running server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from affine import Affine
from lxml import etree

from tests.clients.commands import MODULES, need_node, need_package
from tests.clients.conftest import Bank
from tests.clients.pictures import GRIDS, Window, assert_same, decoded, warped
from tests.conftest import ROOT, Server

SCRIPT = Path(__file__).with_name("openlayers.mjs")
PROJECTIONS = ROOT / "server" / "viewer" / "src" / "projections.js"


def parsed(element: etree._Element) -> dict[str, Any]:
    """Give an element as the script wants it."""
    name = etree.QName(element)
    children = [element.text or ""]
    for child in element:
        children += [parsed(child), child.tail or ""]
    attributes = [
        (etree.QName(key).namespace or "", etree.QName(key).localname, value)
        for key, value in element.items()
    ]
    return {
        "name": name.localname,
        "namespace": name.namespace,
        "attributes": attributes,
        "children": [child for child in children if child != ""],
    }


def tiles_of(document: bytes) -> list[dict[str, Any]]:
    """Give what OpenLayers would ask for: a tile of each layer in each grid and style."""
    need_package(MODULES, "ol", "scripts/setup builds the map page")
    done = subprocess.run(
        [need_node(), str(SCRIPT), str(MODULES), str(PROJECTIONS)],
        input=json.dumps(parsed(etree.fromstring(document))),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    tiles: list[dict[str, Any]] = json.loads(done.stdout)
    return tiles


@pytest.mark.parametrize("way", ["query", "path"])
def test_every_layer_opens_in_every_grid_and_style(bank: Bank, server: Server, way: str) -> None:
    start = f"/wmts?key={bank.key}" if way == "query" else f"/k/{bank.key}/wmts"
    tiles = tiles_of(server.get(start).body)
    assert {tile["layer"] for tile in tiles} == set(bank.sources) - {"elsewhere"}
    assert {tile["matrixSet"] for tile in tiles if tile["layer"] == "texture"} >= set(GRIDS)
    for tile in tiles:
        assert "refused" not in tile, tile
        assert bank.key in tile["address"]
        assert "undefined" not in tile["address"]
        reply = server.get(tile["address"].removeprefix(server.url))
        assert reply.status == 200, (tile, reply.body)
        assert reply.headers["content-type"] == "image/png"
        picture = decoded(reply.body)
        assert picture.shape[1:] == (tile["size"], tile["size"])
        assert len(picture) == 3 or picture[3].any(), tile


def test_the_tile_is_where_openlayers_draws_it(bank: Bank, server: Server) -> None:
    tiles = tiles_of(server.get(f"/wmts?key={bank.key}").body)
    compared = [t for t in tiles if t["layer"] == "texture" and t["matrixSet"] in GRIDS]
    assert len(compared) == len(GRIDS)
    for tile in compared:
        left, bottom, right, top = tile["extent"]
        size, rule = tile["size"], GRIDS[tile["matrixSet"]]
        cells = Affine((right - left) / size, 0, left, 0, (bottom - top) / size, top)
        expected = warped(bank.sources["texture"], Window(rule.crs, cells, size, size))
        picture = decoded(server.get(tile["address"].removeprefix(server.url)).body)
        assert_same(picture, expected, levels=3)


def test_openlayers_asks_for_no_tile_off_the_layer(bank: Bank, server: Server) -> None:
    """It limits a layer to the bounding box in the CRS of the grid, which saves weak links much asking."""
    for tile in tiles_of(server.get(f"/wmts?key={bank.key}").body):
        left, bottom, right, top = tile["sourceExtent"]
        metre = 1 / 111_320 if "CRS84" in tile["matrixSet"] else 1
        assert max(right - left, top - bottom) < 4000 * metre, tile
