"""Nothing leaks: every route that gives pixels or numbers gives what the naive model opens, and no more.

For random rights and requests; and each defence, switched off, is noticed.

A failure names the seed; `check_everything(world, SEED)` repeats it.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import HealthCheck, Phase, currently_in_test_context, given, note, settings
from hypothesis import strategies as st
from lxml import etree

import mosaics.compose
import mosaics.filters
import mosaics.resolve
import mosaics.values
from auth.credentials import authenticate
from auth.decision import ANONYMOUS
from auth.models import Action, Grant
from auth.policy import decide
from auth.reach import EVERYWHERE
from auth.snapshot import PolicySnapshot
from mosaics.filters import SceneFilter
from mosaics.frames import layer_frame
from mosaics.geodesy import ground_resolution
from mosaics.lattice import grid_for, window_around
from mosaics.layers import find_layer, zoom_range
from mosaics.models import Bounds, Scene
from server.access import scene_filter
from server.metrics import Metrics
from server.routes.health import Readiness
from server.routes.table import routes
from tests.access.leak_oracle import (
    Pixels,
    ambiguous,
    block_mean,
    check_picture,
    compose_expected,
    finest_in,
    finest_of,
    frame_pixels,
    in_span,
    may_at,
    may_mask,
    regions,
    rgba,
    tile_at,
    tile_pixels,
    to_lonlat,
    visible,
    whole_scene,
)
from tests.access.leak_world import (
    ALL,
    COLLECTIONS,
    DAYS,
    TO_LONLAT,
    X0,
    Y0,
    World,
    ask_as,
    bank_scenes,
    draw,
    grid_document,
)
from tests.conftest import SCALE, Reply
from tests.server.conftest import Asgi

GRIDS = (
    "WebMercatorQuad",
    "WebMercatorQuad_512",
    "WorldCRS84Quad",
    "WorldCRS84Quad_512",
    "2154_50cm",
    "2154_50cm_512",
)
KERNELS = ("hillshade",)
SHOWING = {Action.PREVIEW, Action.TILE, Action.INFO, Action.EXPORT}
EXAMPLES = max(12, round(300 * SCALE))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bank_scenes(tmp_path_factory.mktemp("leak"))


@pytest.fixture
def world(home: Path, started: Callable[..., Asgi]) -> World:
    """A server of its own: what a test with a defence switched off has cached must not be found by others."""
    return World(started(home))


@dataclass(frozen=True)
class Asked:
    """A tile, as any protocol may ask for it."""

    layer: str
    tms: str
    z: int
    x: int
    y: int
    scale: int
    style: str | None
    time: str | None

    @property
    def pixels(self) -> Pixels:
        return tile_pixels(self.tms, self.z, self.x, self.y, self.scale)


def said(target: str) -> None:
    """Tell what is asked, where Hypothesis would show it."""
    if currently_in_test_context():
        note(target)


def draw_place(world: World, rnd: random.Random) -> tuple[float, float]:
    """Draw a place: somewhere on the scenes, or on an edge of an area."""
    areas = world.areas()
    if areas and rnd.random() < 0.5:
        edge = shapely.from_wkb(rnd.choice(areas).wkb).boundary
        at = edge.interpolate(rnd.random(), normalized=True)
        return at.x, at.y
    lon, lat = TO_LONLAT.transform(X0 + rnd.uniform(-30, 330), Y0 - rnd.uniform(-30, 330))
    return lon, lat


def draw_layer(world: World, rnd: random.Random) -> str:
    names = [*COLLECTIONS, "town", *(f"{s.collection_id}:{s.id}" for s in world.scenes.values())]
    shown = [name for name in names if visible(world, name, "tile") or visible(world, name, "info")]
    return rnd.choice(shown if shown and rnd.random() < 0.7 else names)


def draw_time(rnd: random.Random) -> str | None:
    days = [day.date().isoformat() for day in DAYS]
    return rnd.choice((None, None, None, rnd.choice(days), f"{days[0]}/{days[1]}"))


def draw_tile(world: World, rnd: random.Random, *, scales: tuple[int, ...] = (1,)) -> Asked:
    layer = draw_layer(world, rnd)
    tms = rnd.choice(GRIDS)
    matrices = grid_document(tms)["tileMatrices"]
    degrees = tms.startswith("World")
    native = next(z for z, m in enumerate(matrices) if m["cellSize"] * (111_320 if degrees else 0.75) < 0.9)
    z = min(len(matrices) - 1, max(0, native + rnd.choice((-6, -4, -3, -2, -1, -1, 0, 0, 1, 2))))
    lon, lat = draw_place(world, rnd)
    x, y = tile_at(tms, z, lon, lat)
    styles = [style for scene in world.layer_scenes(layer) for style in scene.styles]
    return Asked(
        layer,
        tms,
        z,
        x,
        y,
        rnd.choice(scales),
        rnd.choice((None, None, rnd.choice(styles))),
        draw_time(rnd),
    )


def whole_tile(world: World, scene: Scene, asked: Asked) -> np.ndarray | None:
    """Ask for the tile of one scene as somebody who may see all; None where it has not the style."""
    key = (scene.collection_id, scene.id, asked.tms, asked.z, asked.x, asked.y, asked.scale, asked.style)
    if key not in world.references:
        at = "@2x" if asked.scale == 2 else ""
        query = f"?style={asked.style}" if asked.style else ""
        layer = f"{scene.collection_id}:{scene.id}"
        reply = world.seeing_all(f"/tiles/{layer}/{asked.tms}/{asked.z}/{asked.x}/{asked.y}{at}.png{query}")
        assert reply.status in {200, 400}
        world.references[key] = rgba(reply.body) if reply.status == 200 else None
    found: np.ndarray | None = world.references[key]
    return found


def is_kernel(scene: Scene, style: str | None) -> bool:
    return (style or scene.styles[0]) in KERNELS


def check_tile(world: World, asked: Asked, reply: Reply, seen: Counter[str], name: str) -> None:
    """Compare a tile with the scenes' own pictures, cut by the naive model and laid over each other."""
    pixels = asked.pixels
    if ambiguous(world, pixels.detail):
        seen["ambiguous"] += 1
        return
    stack = [
        (scene, picture, is_kernel(scene, asked.style))
        for scene in world.layer_scenes(asked.layer)
        if in_span(scene, asked.time) and (picture := whole_tile(world, scene, asked)) is not None
    ]
    expected = compose_expected(world, stack, "tile", pixels)
    filled = bool(expected.picture[..., 3].any())
    if reply.status != 200:
        assert reply.status in {400, 401, 403, 404}, reply
        assert not filled, f"{name} {reply.status}, though something is open"
        seen[f"{name} refused"] += 1
        return
    kind = reply.headers["content-type"]
    if kind == "image/jpeg":
        check_jpeg(reply, expected.picture)
    else:
        seen["on an edge"] += check_picture(
            world, rgba(reply.body), expected, pixels, exact=kind == "image/png"
        )
    seen["pixels"] += pixels.width * pixels.height
    seen[name] += filled
    cut = [picture[..., 3] > 0 for _, picture, _ in stack]
    seen[f"{name} cut"] += filled and bool((np.any(cut, axis=0) & (expected.picture[..., 3] == 0)).any())


def check_jpeg(reply: Reply, expected: np.ndarray) -> None:
    """Where nothing is open a JPEG is white, apart from ringing in blocks that have something."""
    shown = rgba(reply.body)[..., :3]
    blocks = expected[..., 3].reshape(shown.shape[0] // 16, 16, -1, 16).any(axis=(1, 3))
    padded = np.pad(blocks, 1)
    rows, columns = blocks.shape
    near = np.any([padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3)], axis=0)
    assert (shown[~near.repeat(16, axis=0).repeat(16, axis=1)] >= 254).all()


def query(**values: str | None) -> str:
    pairs = [f"{name}={value}" for name, value in values.items() if value is not None]
    return f"?{'&'.join(pairs)}" if pairs else ""


def xyz_tile(world: World, rnd: random.Random, seen: Counter[str], more: str = "") -> None:
    asked = draw_tile(world, rnd, scales=(1, 1, 2))
    if asked.scale == 2 and asked.tms.endswith("_512"):
        asked = replace(asked, scale=1)
    extension = rnd.choice((".png", ".png", ".png", ".webp", ".jpg", ""))
    at = "@2x" if asked.scale == 2 else ""
    target = f"/tiles/{asked.layer}/{asked.tms}/{asked.z}/{asked.x}/{asked.y}{at}{extension}"
    target += query(style=asked.style, time=asked.time)
    if more:
        target += ("&" if "?" in target else "?") + more
    said(target)
    accept = {"accept": "image/webp"} if not extension and rnd.random() < 0.5 else {}
    reply = world.asgi.get(target) if more else world.get(target, **accept)
    check_tile(world, asked, reply, seen, "sign" if more else "xyz_tile")


def wmts_tile(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    asked = draw_tile(world, rnd)
    when = (asked.time or "default").replace("/", "--")
    target = f"/wmts/1.0.0/{asked.layer}/{asked.style or 'default'}/{when}/{asked.tms}"
    target += f"/{asked.z}/{asked.y}/{asked.x}.png"
    said(target)
    check_tile(world, asked, world.get(target), seen, "wmts_tile")


def kvp(asked: Asked, request: str, more: str = "") -> str:
    text = f"/wmts?SERVICE=WMTS&REQUEST={request}&VERSION=1.0.0&LAYER={asked.layer}&STYLE={asked.style or ''}"
    text += f"&FORMAT=image/png&TILEMATRIXSET={asked.tms}&TILEMATRIX={asked.z}&TILEROW={asked.y}"
    text += f"&TILECOL={asked.x}" + (f"&TIME={asked.time}" if asked.time else "")
    return text + more


def wmts_kvp(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    asked = draw_tile(world, rnd)
    said(kvp(asked, "GetTile"))
    check_tile(world, asked, world.get(kvp(asked, "GetTile")), seen, "wmts_kvp")
    feature_info(world, rnd, seen, by_kvp=True)
    check_capabilities(world, world.get("/wmts?SERVICE=WMTS&REQUEST=GetCapabilities"), seen)


def wmts_feature_info(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    feature_info(world, rnd, seen, by_kvp=False)


def feature_info(world: World, rnd: random.Random, seen: Counter[str], *, by_kvp: bool) -> None:
    for _ in range(3):
        one_feature_info(world, rnd, seen, by_kvp=by_kvp)


def one_feature_info(world: World, rnd: random.Random, seen: Counter[str], *, by_kvp: bool) -> None:
    lon, lat = draw_place(world, rnd)
    asked = draw_tile(world, rnd)
    asked = replace(asked, style=None, x=tile_at(asked.tms, asked.z, lon, lat)[0])
    asked = replace(asked, y=tile_at(asked.tms, asked.z, lon, lat)[1])
    pixels = asked.pixels
    x, y = to_lonlat(pixels.crs).transform(lon, lat, direction="INVERSE")
    i, j = int((x - pixels.left) // pixels.dx), int((pixels.top - y) // pixels.dy)
    when = (asked.time or "default").replace("/", "--")
    rest = f"/wmts/1.0.0/{asked.layer}/default/{when}/{asked.tms}/{asked.z}/{asked.y}/{asked.x}/{j}/{i}.json"
    target = kvp(asked, "GetFeatureInfo", f"&I={i}&J={j}&INFOFORMAT=application/json") if by_kvp else rest
    said(target)
    reply = world.get(target)
    longitude, latitude = (float(v[j, i]) for v in pixels.centres)
    found = None
    if reply.status == 200:
        features = reply.json["features"]
        found = [band["value"] for band in features[0]["properties"]["bands"]] if features else None
    name = "wmts_kvp info" if by_kvp else "wmts_feature_info"
    check_values(
        world, asked.layer, asked.time, (longitude, latitude), reply, found=found, seen=seen, name=name
    )


def point(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    for _ in range(4):
        one_point(world, rnd, seen)


def one_point(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    layer, when = draw_layer(world, rnd), draw_time(rnd)
    place = tuple(round(v, 9) for v in draw_place(world, rnd))
    target = f"/point/{layer}/{place[0]:.9f},{place[1]:.9f}{query(time=when)}"
    said(target)
    reply = world.get(target)
    found = reply.json["values"] if reply.status == 200 and "assets" in reply.json else None
    check_values(world, layer, when, place, reply, found=found, seen=seen, name="point")


def check_values(
    world: World,
    layer: str,
    when: str | None,
    place: tuple[float, ...],
    reply: Reply,
    *,
    found: list[float] | None,
    seen: Counter[str],
    name: str,
) -> None:
    """The first scene that is open and valid there says the mean of a block as wide as its own limit."""
    at = shapely.Point(place)
    if any(shapely.from_wkb(area.wkb).boundary.distance(at) < 1e-8 for area in world.areas()):
        seen["on an edge"] += 1
        return
    expected = None
    for scene in world.layer_scenes(layer):
        if not in_span(scene, when):
            continue
        details = [d for d in (1e-9, *sorted(world.limits())) if may_at(world, scene, "info", *place, d)]
        if details and (expected := block_mean(scene, *place, details[0])) is not None:
            break
    if reply.status != 200:
        assert reply.status in {400, 401, 403, 404}
        assert expected is None
        seen[f"{name} refused"] += 1
        return
    assert (found is None) == (expected is None), (found, expected)
    if expected is not None:
        assert np.allclose(found, expected, rtol=1e-6)
        seen[name] += 1


def own_filter(world: World, action: Action) -> SceneFilter:
    """The filter that the server makes, to know which rectangle it answers for; not what is in it."""
    principal = ANONYMOUS
    if world.headers:
        peppers, text = world.asgi.application.services.peppers, world.headers["x-api-key"]
        principal = authenticate(world.rights, peppers, text, in_url=False, now=world.now).principal
    return scene_filter(decide(world.rights, principal, action, world.now))


def preview(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    layer, when = draw_layer(world, rnd), draw_time(rnd)
    width = rnd.choice((16, 57, 200))
    styles = [style for scene in world.layer_scenes(layer) for style in scene.styles]
    style = rnd.choice((None, None, rnd.choice(styles)))
    target = f"/preview/{layer}.png{query(width=str(width), style=style, time=when)}"
    said(target)
    reply = world.get(target)
    if not visible(world, layer, "preview"):
        assert reply.status in {401, 403, 404}
        seen["preview refused"] += 1
        return
    index = world.asgi.application.services.knowledge.index
    frame = layer_frame(find_layer(index, layer, own_filter(world, Action.PREVIEW)), width, 1024)
    pixels = frame_pixels(frame)
    if ambiguous(world, pixels.detail):
        return
    stack = [
        (scene, picture, is_kernel(scene, style))
        for scene in world.layer_scenes(layer)
        if in_span(scene, when) and (picture := whole_scene(world, scene, frame, style)) is not None
    ]
    expected = compose_expected(world, stack, "preview", pixels)
    if reply.status != 200:
        assert reply.status in {400, 401, 403, 404}
        assert not expected.picture[..., 3].any()
        seen["preview refused"] += 1
        return
    seen["on an edge"] += check_picture(world, rgba(reply.body), expected, pixels, exact=True)
    seen["preview"] += bool(expected.picture[..., 3].any())


def random_polygon(world: World, rnd: random.Random) -> Any:
    lon, lat = draw_place(world, rnd)
    size = rnd.choice((2e-5, 3e-4, 2e-3))
    box = shapely.box(lon - size, lat - size * 0.7, lon + size, lat + size * 0.6)
    return shapely.affinity.rotate(box, rnd.uniform(0, 90)) - shapely.affinity.scale(box, 0.3, 0.3)


def statistics(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    layer, when = draw_layer(world, rnd), draw_time(rnd)
    size = rnd.choice(("40", "100", "160"))
    bbox = None
    if rnd.random() < 0.6:
        bbox = ",".join(f"{v:.9f}" for v in random_polygon(world, rnd).bounds)
    target = f"/statistics/{layer}{query(bbox=bbox, max_size=size, time=when)}"
    said(target)
    reply = world.get(target)
    area = None if bbox is None else shapely.box(*(float(v) for v in bbox.split(",")))
    told = reply.json if reply.status == 200 else None
    check_statistics(
        world, layer, when, area, int(size), answer=(reply.status, told), seen=seen, name="statistics"
    )


def feature_statistics(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    layer = draw_layer(world, rnd)
    areas = [random_polygon(world, rnd) for _ in range(2)]
    features = [{"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(a)} for a in areas]
    body = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    said(f"POST /statistics/{layer} {body.decode()}")
    reply = world.get(
        f"/statistics/{layer}?max_size=100", "POST", body, **{"content-type": "application/json"}
    )
    told: list[Any] = [None, None]
    if reply.status == 200:
        told = [feature["properties"]["statistics"] for feature in reply.json["features"]]
    for area, one in zip(areas, told, strict=True):
        if reply.status == 403:  # one area may be refused where the other is not
            continue
        check_statistics(
            world, layer, None, area, 100, answer=(reply.status, one), seen=seen, name="feature_statistics"
        )


def check_statistics(
    world: World,
    layer: str,
    when: str | None,
    area: Any,
    size: int,
    *,
    answer: tuple[int, Any],
    seen: Counter[str],
    name: str,
) -> None:
    """Read each scene pixel by pixel at each level, as far as the naive model opens it, and sum up."""
    status, told = answer
    if not visible(world, layer, "info"):
        assert status in {401, 403, 404}
        seen[f"{name} refused"] += 1
        return
    if status == 400 and when is not None:
        return
    assert status in {200, 403}
    services = world.asgi.application.services
    seen_layer = find_layer(services.knowledge.index, layer, own_filter(world, Action.INFO))
    bounds = seen_layer.bounds if area is None else Bounds(*area.bounds)
    near = Bounds(
        *np.maximum(bounds[:2], seen_layer.bounds[:2]), *np.minimum(bounds[2:], seen_layer.bounds[2:])
    )
    if near.left > near.right or near.bottom > near.top:
        assert told is None or told["b1"]["valid_pixels"] == 0
        return
    grid = grid_for(services.grids, near)
    window = window_around(grid, near, finest=zoom_range(grid, seen_layer)[1], max_size=size)
    assert window is not None
    levels = [window.coarser(n) for n in range(window.level + 1)]
    levels = [
        each for n, each in enumerate(levels) if n == 0 or max(window.width, window.height) >> (n - 1) > 1
    ]
    if any(ambiguous(world, frame_pixels(each.frame).detail) for each in levels):
        seen["ambiguous"] += 1
        return
    if told is not None:
        first = next(iter(told.values()))
        if first["ground_resolution"] is None:
            return
        base = next(
            n
            for n, each in enumerate(levels)
            if round(ground_resolution(each.frame), 4) == first["ground_resolution"]
        )
        levels = levels[base:]
    values, valid = naive_values(world, layer, when, area, levels)
    if told is None:
        assert not valid.any(), "refused, though something is open"
        seen[f"{name} refused"] += 1
        return
    for place, band in enumerate(told.values()):
        numbers = values[place][valid]
        assert band["valid_pixels"] == numbers.size, (numbers.size, band, len(levels))
        if numbers.size:
            assert np.isclose(band["mean"], numbers.mean(), rtol=1e-3)
            assert np.isclose(band["std"], numbers.std(), rtol=1e-2, atol=1e-2)
            assert (band["min"], band["max"]) == (numbers.min(), numbers.max())
            assert sum(band["histogram"][0]) == numbers.size
    seen[name] += bool(valid.any())


def naive_values(
    world: World, layer: str, when: str | None, area: Any, levels: list[Any]
) -> tuple[np.ndarray, np.ndarray]:
    base = levels[0]
    pixels = frame_pixels(base.frame)
    lon, lat = pixels.centres
    asked = np.ones(lon.shape, bool) if area is None else shapely.contains_xy(area, lon, lat)
    scenes = world.layer_scenes(layer)
    leading = next(scene for scene in scenes if finest_of(world, scene, "info") is not None)
    values = np.zeros((len(leading.bands), *lon.shape))
    valid = np.zeros(lon.shape, bool)
    for scene in scenes:
        means = [(b.common_name, b.data_type) for b in scene.bands]
        if not in_span(scene, when) or means != [(b.common_name, b.data_type) for b in leading.bands]:
            continue
        finer = np.zeros(lon.shape, bool)
        for factor, level in enumerate(levels):
            coarse = frame_pixels(level.frame)
            raster = world.asgi.application.services.reader.read(
                scene, range(1, len(means) + 1), level.frame, "bilinear"
            )
            allowed = may_mask(world, scene, "info", *coarse.centres, coarse.detail)
            rows = (np.arange(base.height) + base.rows[0] >> factor) - level.rows[0]
            columns = (np.arange(base.width) + base.columns[0] >> factor) - level.columns[0]
            here = np.ix_(rows, columns)
            own = may_mask(world, scene, "info", lon, lat, coarse.detail)
            fresh = asked & ~valid & ~finer & own & allowed[here] & raster.valid[here]
            finer |= own
            values[:, fresh] = raster.data[:, rows][:, :, columns][:, fresh]
            valid |= fresh
    return values, valid


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


def sign(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """A signed address opens what the key opens."""
    reply = world.get("/sign", "POST", b"{}", **{"content-type": "application/json"})
    if not world.headers:
        assert reply.status == 401
        return
    xyz_tile(world, rnd, seen, more=reply.json["query"])


EXERCISED: dict[str, Callable[[World, random.Random, Counter[str]], None]] = {
    "xyz_tile": xyz_tile,
    "tilejson": tilejson,
    "wmts_kvp": wmts_kvp,
    "wmts_capabilities": wmts_capabilities,
    "wmts_tile": wmts_tile,
    "wmts_feature_info": wmts_feature_info,
    "layers": layers,
    "layer": layer,
    "preview": preview,
    "info": info,
    "statistics": statistics,
    "feature_statistics": feature_statistics,
    "point": point,
    "sign": sign,
}
"""Every route that gives pixels or numbers, and what asks it."""


def check_everything(world: World, seed: int, seen: Counter[str] | None = None) -> None:
    """Draw rights and a caller, and ask every route something."""
    rnd = random.Random(seed)
    draw(world, rnd)
    for ask in EXERCISED.values():
        ask(world, rnd, Counter() if seen is None else seen)


def check_hidden(world: World) -> None:
    """What is hidden and what is missing get the same bytes on every route."""
    for hidden, missing in (("town", "none"), ("town:flat", "none:flat"), ("multi:degrees", "multi:none")):
        if any(visible(world, hidden, action) for action in ("tile", "catalogue", "preview", "info")):
            continue
        for target, method in ADDRESSES:
            answers = []
            for name in (hidden, missing):
                reply = world.get(
                    target.format(layer=name), method, b"{}", **{"content-type": "application/json"}
                )
                kept = {k: v for k, v in reply.headers.items() if k != "x-request-id"}
                answers.append((reply.status, kept, reply.body))
            assert answers[0] == answers[1], target
            assert answers[0][0] in ({200, 401} if "layers=" in target else {400, 401, 404})


GET_TILE = "/wmts?service=WMTS&request=GetTile&version=1.0.0&layer={layer}&style=&format=image/png"
ADDRESSES = (
    ("/tiles/{layer}/WebMercatorQuad/17/66052/47859.png", "GET"),
    ("/tiles/{layer}/WebMercatorQuad/tilejson.json", "GET"),
    ("/wmts/1.0.0/{layer}/default/default/WebMercatorQuad/17/47859/66052.png", "GET"),
    ("/wmts/1.0.0/{layer}/default/default/WebMercatorQuad/17/47859/66052/9/9.json", "GET"),
    (GET_TILE + "&tilematrixset=WebMercatorQuad&tilematrix=17&tilerow=47859&tilecol=66052", "GET"),
    ("/wmts?layers={layer}", "GET"),
    ("/layers/{layer}", "GET"),
    ("/preview/{layer}.png", "GET"),
    ("/info/{layer}", "GET"),
    ("/statistics/{layer}", "GET"),
    ("/statistics/{layer}", "POST"),
    ("/point/{layer}/1.4165,43.606", "GET"),
)


def run(check: Callable[[int], None], examples: int) -> None:
    """Run a check on random seeds."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32))
    def with_seed(seed: int) -> None:
        note(f"seed {seed}")
        check(seed)

    with_seed()


def test_every_route_that_shows_something_is_asked() -> None:
    declared = routes(Metrics(None), Readiness(cast("Any", None)))
    showing = {route.id for route in declared if route.actions & SHOWING}
    assert showing == EXERCISED.keys(), "a route that gives pixels or numbers is not in the leak test"
    for route in declared:
        if "{layer}" in route.path:
            assert any(_like(route.path, target) for target, _ in ADDRESSES), route.id


def _like(path: str, target: str) -> bool:
    pattern = re.sub(r"\{[^/]+\}", "[^/]+", path)
    return re.fullmatch(pattern, target.partition("?")[0].format(layer="x")) is not None


def test_every_route_gives_what_rights_open_and_no_more(world: World) -> None:
    seen: Counter[str] = Counter()

    def check(seed: int) -> None:
        check_everything(world, seed, seen)
        check_hidden(world)

    run(check, EXAMPLES)
    print(dict(sorted(seen.items())))  # noqa: T201 - the figures of a closing note
    assert seen["on an edge"] <= seen["pixels"] / 10_000 + 5
    shown = {"xyz_tile", "wmts_tile", "wmts_kvp", "preview", "statistics", "point", "wmts_feature_info"}
    assert all(seen[name] for name in shown), "nothing was compared with these routes"


def same_tile(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """One tile for several callers in turn, so that one may meet what was kept for another."""
    asked = draw_tile(world, rnd)
    target = f"/tiles/{asked.layer}/{asked.tms}/{asked.z}/{asked.x}/{asked.y}.png"
    for who in ("root", "child", None):
        ask_as(world, who)
        reply = world.get(target + query(style=asked.style, time=asked.time))
        check_tile(world, asked, reply, seen, "same_tile")


DEFENCES: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], tuple[Any, ...]]] = {
    "the cut at pixel centres": (
        lambda p: p.setattr(mosaics.compose, "cut", lambda _picture, _keep: None),
        (xyz_tile, wmts_tile),
    ),
    "the mask of previews": (
        lambda p: p.setattr(mosaics.compose, "cut", lambda _picture, _keep: None),
        (preview,),
    ),
    "the mask of numbers": (
        lambda p: p.setattr(
            mosaics.values, "inside", lambda _area, frame: np.ones((frame.height, frame.width), bool)
        ),
        (statistics, feature_statistics),
    ),
    "the limit of resolution of tiles": (
        lambda p: p.setattr(mosaics.filters, "_coarse_enough", lambda *_: True),
        (wmts_tile,),
    ),
    "the limit of resolution of numbers": (
        lambda p: p.setattr(mosaics.filters, "_coarse_enough", lambda *_: True),
        (statistics,),
    ),
    "the limit at a point": (
        lambda p: p.setattr(mosaics.filters.Fineness, "limit", lambda *_: 0.0),
        (point, wmts_feature_info),
    ),
    "the area at a point": (
        lambda p: p.setattr(mosaics.filters, "_holds_point", lambda *_: True),
        (point, wmts_feature_info),
    ),
    "forbids": (lambda p: p.setattr(mosaics.filters, "_closes", lambda *_: False), (wmts_tile,)),
    "the window of dates": (
        lambda p: p.setattr(mosaics.filters.SceneSet, "_in_window", lambda *_: True),
        (wmts_tile,),
    ),
    "the mask in the key of the cache": (
        lambda p: p.setattr(
            mosaics.resolve.Contribution,
            "token",
            lambda c: f"{c.scene.collection_id}:{c.scene.id}:{c.scene.sequence}:{c.style.digest}",
        ),
        (same_tile,),
    ),
    "the limit of what is told": (
        lambda p: p.setattr(SceneFilter, "finest", lambda *_: 0.0),
        (info, tilejson, layer),
    ),
    "the extent of what is told": (
        lambda p: p.setattr(SceneFilter, "extent", lambda _, scene: Bounds(*scene.footprint.bounds)),
        (info, tilejson, layers),
    ),
}
"""Each defence: how it is switched off, and which routes must notice."""


@pytest.mark.parametrize("defence", DEFENCES)
def test_a_defence_that_is_off_is_noticed(
    world: World, defence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_off, asks = DEFENCES[defence]
    switch_off(monkeypatch)

    def ask_on() -> None:
        for seed in range(200):
            rnd = random.Random(seed)
            draw(world, rnd)
            for ask in asks:
                ask(world, rnd, Counter())

    with pytest.raises(AssertionError):
        ask_on()


def test_one_tile_for_several_callers_is_each_ones_own(world: World) -> None:
    seen: Counter[str] = Counter()
    for seed in range(max(8, round(100 * SCALE))):
        rnd = random.Random(seed)
        draw(world, rnd)
        same_tile(world, rnd, seen)
    assert seen["same_tile"]


def with_noise(scene: Scene, folder: Path) -> Scene:
    """Give a scene whose pixels differ one by one, and whose blocks of 2 x 2 have the same means."""
    path = folder / f"{scene.id}-noise.tif"
    with rasterio.open(scene.href) as source:
        data = source.read().astype(float)
        profile = {**source.profile, "compress": "deflate", "photometric": "RGB"}
    sign = np.indices(data.shape[1:]).sum(axis=0) % 2 * 2 - 1
    plain = np.clip(data[:, ::2, ::2], 20, 230).repeat(2, axis=1).repeat(2, axis=2)
    for name, wanted in ((path, plain + 9 * sign), (folder / f"{scene.id}-plain.tif", plain)):
        with rasterio.open(name, "w", **profile) as target:
            target.write(wanted.astype(data.dtype))
            target.build_overviews([2, 4, 8], rasterio.enums.Resampling.average)
    return replace(scene, href=str(path), generation="noise")


def answers(world: World) -> dict[str, bytes]:
    """Ask every route for the numbers and pixels of one scene, at all levels that may be open."""
    lon, lat = TO_LONLAT.transform(X0 + 150, Y0 - 150)
    targets = [f"/preview/town:flat.png?width={width}" for width in (64, 512)] + [
        "/info/town:flat",
        "/statistics/town:flat",
        f"/point/town:flat/{lon:.9f},{lat:.9f}",
    ]
    targets.append(f"/statistics/town:flat?bbox={lon - 1e-4:.9f},{lat - 1e-4:.9f},{lon:.9f},{lat:.9f}")
    for tms in GRIDS:
        for z in range(8, len(grid_document(tms)["tileMatrices"])):
            x, y = tile_at(tms, z, lon, lat)
            targets.append(f"/tiles/town:flat/{tms}/{z}/{x}/{y}.png")
            targets.append(f"/tiles/town:flat/{tms}/{z}/{x}/{y}@2x.png")
            targets.append(f"/wmts/1.0.0/town:flat/default/default/{tms}/{z}/{y}/{x}/9/9.json")
    return {target: world.get(target).body for target in targets}


def numbers_of(body: bytes) -> np.ndarray:
    """Give the colours of a picture, or the numbers of a document that are values of pixels."""
    if body.startswith(b"\x89PNG"):
        return rgba(body).astype(float).ravel()
    document = json.loads(body)
    found: list[float] = []
    names = ("min", "max", "mean", "median", "std", "percentile_2", "percentile_98")
    for band in document.values() if "b1" in document else ():
        found += [band[name] for name in names]
    found += [value for value in document.get("values") or () if value is not None]
    for feature in document.get("features", ()):
        found += [band["value"] for band in feature["properties"]["bands"]]
    return np.array(found)


@pytest.mark.parametrize("limit", [2.7, None])
def test_no_answer_shows_what_is_finer_than_allowed(world: World, home: Path, limit: float | None) -> None:
    """Pixels that go up and down by 9 one by one, with the same means in blocks, are averaged away.

    Not to the last bit: the reader averages stored pixels over the output pixel, weighted by a kernel.
    """
    flat = world.scenes["flat"]
    noisy = with_noise(flat, home / "data")
    plain = replace(flat, href=str(home / "data" / "flat-plain.tif"), generation="plain")
    grant = Grant(
        id="g",
        grantee="public",
        area=EVERYWHERE,
        created=DAYS[0],
        actions=ALL,
        finest_ground_resolution=limit,
    )
    world.set_rights(PolicySnapshot(grants={"g": grant}))
    found = []
    for scene in (plain, noisy):
        world.set_scenes({"flat": scene})
        found.append({t: body for t, body in answers(world).items() if body[:1] in {b"{", b"\x89"}})
    apart = {
        target: float(np.abs(numbers_of(body) - numbers_of(found[1][target])).max(initial=0.0))
        for target, body in found[0].items()
        if b'"status"' not in body
    }
    assert len(apart) > 40, "they are pictures and numbers, not refusals"
    worst = max(apart, key=lambda target: apart[target])
    if limit is None:
        assert apart[worst] >= 9, "natively it is there to be seen"
    else:
        assert apart[worst] <= 3, worst
