"""Asks the routes that give numbers, and works each out from the pixels that the naive model opens."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from auth.models import Action
from mosaics.finding import find_layer
from mosaics.geodesy import ground_resolution
from mosaics.lattice import grid_for, window_around
from mosaics.models import Bounds, Scene
from mosaics.zooms import zoom_range
from tests.access.leak_oracle import (
    ambiguous,
    block_mean,
    finest_of,
    frame_pixels,
    in_span,
    may_at,
    may_mask,
    tile_at,
    to_lonlat,
    visible,
)
from tests.access.leak_pictures import own_filter
from tests.access.leak_requests import (
    draw_layer,
    draw_place,
    draw_tile,
    draw_time,
    kvp,
    query,
    random_polygon,
    said,
)
from tests.access.leak_world import World
from tests.conftest import Reply


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
        if not in_span(scene, when) or not in_reach(scene, at):
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


def in_reach(scene: Scene, at: shapely.Point) -> bool:
    """A scene says nothing of places far beyond its box, however wide a block of it is."""
    west, south, east, north = scene.footprint.bounds
    slack = max(east - west, north - south) / 100
    return bool(shapely.box(west - slack, south - slack, east + slack, north + slack).covers(at))


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
