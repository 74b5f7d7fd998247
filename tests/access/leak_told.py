"""Asks the routes that tell of layers: names, extents, levels and resolutions, no more than what is open."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import shapely
from lxml import etree

from tests.access.leak_oracle import finest_in, finest_of, regions, rgba, tile_at, tile_pixels, visible
from tests.access.leak_requests import GRIDS, draw_layer
from tests.access.leak_world import COLLECTIONS, LIMITS, World, grid_document
from tests.conftest import Reply


def info(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    layer = draw_layer(world, rnd)
    reply = world.get(f"/info/{layer}")
    if not visible(world, layer, "info"):
        assert reply.status in {401, 403, 404}
        return
    told = reply.json
    check_detail(world, layer, ("info",), told["ground_resolution"])
    check_zoom(world, layer, ("info",), told["tms"], told["maxzoom"], told["bounds"])
    check_bounds(world, layer, ("info",), told["bounds"])
    assert ".tif" not in reply.body.decode()
    seen["info"] += 1


def tilejson(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    layer, tms = draw_layer(world, rnd), rnd.choice(GRIDS)
    reply = world.get(f"/tiles/{layer}/{tms}/tilejson.json")
    if not visible(world, layer, "tile"):
        assert reply.status in {401, 403, 404}
        return
    check_zoom(world, layer, ("tile",), tms, reply.json["maxzoom"], reply.json["bounds"])
    check_bounds(world, layer, ("tile",), reply.json["bounds"])
    seen["tilejson"] += 1


def check_detail(world: World, layer: str, actions: tuple[str, ...], told: float) -> None:
    """A resolution that is told is no finer than what is open somewhere, nor than what there is."""
    for scene in world.layer_scenes(layer):
        found = [d for action in actions if (d := finest_of(world, scene, action)) is not None]
        if found and told >= max(min(found), scene.ground_resolution) * 0.999 - 1e-4:
            return
    raise AssertionError(f"{told} m per pixel is told, finer than anything that is open")


def check_zoom(  # noqa: PLR0917 - what was told, and of what
    world: World, layer: str, actions: tuple[str, ...], tms: str, zoom: int, bounds: list[float]
) -> None:
    """The last zoom that is told shows something: its tiles are open at their detail somewhere."""
    if zoom == 0:
        return
    corners = [(bounds[0], bounds[1]), (bounds[2], bounds[3])]
    details = [tile_pixels(tms, zoom, *tile_at(tms, zoom, *corner)).detail for corner in corners]
    finest = min(
        d
        for scene in world.layer_scenes(layer)
        for action in actions
        if (d := finest_of(world, scene, action)) is not None
    )
    assert min(details) >= finest * 0.998, f"zoom {zoom} is told, finer than anything that is open"


def check_bounds(world: World, layer: str, actions: tuple[str, ...], told: list[float]) -> None:
    """Bounds go around what is open, and no further."""
    parts = [
        region
        for scene in world.layer_scenes(layer)
        for region in regions(world, scene)
        if any(finest_in(world, scene, action, region) is not None for action in actions)
    ]
    assert np.allclose(told, shapely.total_bounds(parts), atol=2e-7)


def layers(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """A layer stands in the list if something of it is open in any way, and as shown only if tiles are."""
    told = {each["id"]: each for each in world.get("/layers").json["layers"]}
    for name in COLLECTIONS:
        open_to = [a for a in ("tile", "catalogue", "preview", "info") if visible(world, name, a)]
        assert (name in told) == bool(open_to)
        if not open_to:
            continue
        assert (told[name]["access"] in {"full", "preview"}) == ("tile" in open_to)
        check_bounds(world, name, (open_to[0],), told[name]["extent"])
        check_zoom(
            world, name, (open_to[0],), told[name]["grids"][0], told[name]["maxzoom"], told[name]["extent"]
        )
        if "tile" in open_to:
            check_fetchable(world, name, seen)
        seen["layers"] += 1


def check_fetchable(world: World, layer: str, seen: Counter[str]) -> None:
    """Some tile of a layer that is shown has a picture: look at the widest part that is open."""
    found = [
        (region, detail, scene)
        for scene in world.layer_scenes(layer)
        for region in regions(world, scene)
        if (detail := finest_in(world, scene, "tile", region)) is not None
    ]
    best: tuple[float, Any] = (0.0, None)
    for region, detail, _ in found:
        circle = shapely.maximum_inscribed_circle(region.simplify(1e-7))
        pixels = shapely.length(circle) * 80_000 / max(detail, 0.5)  # radius, metres, at this latitude
        best = max(best, (pixels, (circle.coords[0], detail)), key=lambda each: each[0])
    if best[0] < 3:
        seen["too narrow for a pixel"] += 1
        return
    (lon, lat), detail = best[1]
    for tms in ("WebMercatorQuad", "2154_50cm"):
        for z in range(len(grid_document(tms)["tileMatrices"]) - 1, -1, -1):
            x, y = tile_at(tms, z, lon, lat)
            if tile_pixels(tms, z, x, y).detail >= max(detail * 1.001, 0.3):
                reply = world.get(f"/tiles/{layer}/{tms}/{z}/{x}/{y}.png")
                if reply.status == 200 and rgba(reply.body)[..., 3].any():
                    seen["fetchable"] += 1
                    return
                break
    raise AssertionError(f"{layer} is shown, but no tile of it has a picture")


def layer(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    name = draw_layer(world, rnd)
    reply = world.get(f"/layers/{name}")
    open_to = [a for a in ("tile", "catalogue", "preview", "info") if visible(world, name, a)]
    assert (reply.status == 200) == bool(open_to)
    if not open_to:
        return
    shown = {scene["id"]: scene for scene in reply.json["scenes"]}
    for scene in world.layer_scenes(name):
        assert (scene.id in shown) == (finest_of(world, scene, open_to[0]) is not None)
        if scene.id in shown:
            one = f"{scene.collection_id}:{scene.id}"
            check_detail(world, one, (open_to[0],), shown[scene.id]["ground_resolution"])
            check_bounds(world, one, (open_to[0],), shown[scene.id]["bbox"])
    seen["layer"] += 1


def wmts_capabilities(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    check_capabilities(world, world.get("/wmts/1.0.0/WMTSCapabilities.xml"), seen)


def legend(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """Numbers that were measured on whole scenes are told to who may read every value of them; else words."""
    layers = {*COLLECTIONS, *(f"{s.collection_id}:{s.id}" for s in world.scenes.values())}
    for layer in sorted(layers):
        asked = rnd.choice(("default.json", "grey.json", "default.json?bands=1", "default.json?index=ndvi"))
        check_legend(world, layer, world.get(f"/legend/{layer}/{asked}"), seen)


def check_legend(world: World, layer: str, reply: Reply, seen: Counter[str]) -> None:
    if not visible(world, layer, "tile"):
        assert reply.status in {401, 403, 404}
        return
    if reply.status == 400:
        return
    told = [reply.json["range"], *(entry["range"] for entry in reply.json["entries"])]
    measured = [span for span in told if span not in (None, [0, 255], [-0.2, 0.9])]
    shown = [s for s in world.layer_scenes(layer) if finest_of(world, s, "tile") is not None]
    readable = all(
        finest_in(world, scene, "info", region) in {0.0, *(d for d in LIMITS if d <= scene.ground_resolution)}
        for scene in shown
        for region in regions(world, scene)
    )
    assert readable or not measured, "numbers of what may not be read"
    seen["legend"] += 1
    seen["legend with numbers"] += bool(measured)
    seen["legend without numbers"] += reply.json["note"] is not None and not measured


NAMES = {"w": "http://www.opengis.net/wmts/1.0", "o": "http://www.opengis.net/ows/1.1"}


def check_capabilities(world: World, reply: Reply, seen: Counter[str]) -> None:
    """Exactly the layers that tiles are open of, with levels that are open."""
    expected = {name for name in COLLECTIONS if visible(world, name, "tile")}
    if reply.status == 401:
        assert not expected
        return
    document = etree.fromstring(reply.body)
    found = document.findall("w:Contents/w:Layer", NAMES)
    assert {each.findtext("o:Identifier", namespaces=NAMES) for each in found} == expected
    for each in found:
        name = str(each.findtext("o:Identifier", namespaces=NAMES))
        corners = [
            each.findtext(f"o:WGS84BoundingBox/o:{c}Corner", namespaces=NAMES) for c in ("Lower", "Upper")
        ]
        check_bounds(world, name, ("tile",), [float(v) for corner in corners for v in str(corner).split()])
        details = (finest_of(world, scene, "tile") for scene in world.layer_scenes(name))
        finest = min(detail for detail in details if detail is not None)
        for link in each.findall("w:TileMatrixSetLink", NAMES):
            tms = str(link.findtext("w:TileMatrixSet", namespaces=NAMES))
            for limit in link.findall("w:TileMatrixSetLimits/w:TileMatrixLimits", NAMES):
                zoom, row, column = (
                    int(str(limit.findtext(f"w:{tag}", namespaces=NAMES)))
                    for tag in ("TileMatrix", "MinTileRow", "MinTileCol")
                )
                detail = tile_pixels(tms, zoom, column, row).detail
                assert detail >= finest * 0.998, f"level {zoom} of {tms} is listed, finer than what is open"
                seen["limits"] += 1
    seen["wmts_capabilities"] += 1
