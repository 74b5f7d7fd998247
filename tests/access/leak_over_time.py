"""Asks the routes that look at several dates, and works each date out as if it had been asked for alone."""

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
from mosaics.frames import area_frame
from mosaics.models import Bounds
from mosaics.timelapse import corner_in_sheet
from tests.access.leak_numbers import check_statistics, check_values
from tests.access.leak_oracle import (
    Expected,
    ambiguous,
    check_picture,
    compose_expected,
    frame_pixels,
    in_span,
    rgba,
    visible,
    whole_scene,
)
from tests.access.leak_pictures import is_kernel, own_filter, whole_tile
from tests.access.leak_requests import draw_layer, draw_place, draw_tile, query, random_polygon, said
from tests.access.leak_world import DAYS, World
from tests.conftest import Reply

DATES = [day.date().isoformat() for day in DAYS]


def series(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """A date of a place is what a point of that date is."""
    for _ in range(6):
        one_series(world, rnd, seen)


def one_series(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    layer = draw_layer(world, rnd)
    place = tuple(round(v, 9) for v in draw_place(world, rnd))
    target = f"/series/{layer}?at={place[0]:.9f},{place[1]:.9f}"
    said(target)
    reply = world.get(target)
    rows = {row["date"]: row["values"] for row in reply.json["series"]} if reply.status == 200 else {}
    assert rows.keys() <= set(DATES)
    date = rnd.choice([*DATES, *3 * sorted(rows)])
    found = list(rows[date].values()) if date in rows else None
    check_values(world, layer, date, place, reply, found=found, seen=seen, name="series")


def volume(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """The area of a volume is what two questions of statistics are about, and there alone it has heights."""
    for _ in range(6):
        one_volume(world, rnd, seen)


def one_volume(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    layer, area = rnd.choice(("relief", "relief", "relief:relief", "town")), random_polygon(world, rnd)
    polygon = shapely.geometry.mapping(area)
    said(f"POST /volume/{layer} {json.dumps(polygon)}")
    kind = {"content-type": "application/json"}
    body = json.dumps({"polygon": polygon}).encode()
    reply = world.get(f"/volume/{layer}?compare=latest&max_size=100", "POST", body, **kind)
    if not visible(world, layer, "info"):
        assert reply.status in {401, 403, 404}
        return
    told = world.get(f"/statistics/{layer}?max_size=100", "POST", json.dumps(polygon).encode(), **kind)
    if reply.status != 200:
        assert reply.status in {400, 403}
        assert layer == "town" or told.status != 200 or not _valid(told)
        return
    if not _valid(told):
        assert reply.json["area_m2"] == 0
        return
    # pixels of Lambert-93 are within a hundredth of what they say on the ground here
    detail = told.json["properties"]["statistics"]["b1"]["ground_resolution"]
    assert np.isclose(reply.json["area_m2"], _valid(told) * detail**2, rtol=0.02)
    assert (reply.json["added_m3"], reply.json["removed_m3"]) == (0, 0), "a date less itself"
    seen["volume"] += 1


def _valid(told: Reply) -> float:
    found: float = told.json["properties"]["statistics"]["b1"]["valid_pixels"]
    return found


def feature_series(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """A date of a polygon is what statistics of that date are."""
    for _ in range(3):
        one_feature_series(world, rnd, seen)


def one_feature_series(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    layer, area = draw_layer(world, rnd), random_polygon(world, rnd)
    body = json.dumps(shapely.geometry.mapping(area)).encode()
    said(f"POST /series/{layer} {body.decode()}")
    reply = world.get(f"/series/{layer}?max_size=100", "POST", body, **{"content-type": "application/json"})
    rows = {row["date"]: row for row in reply.json["series"]} if reply.status == 200 else {}
    date = rnd.choice([*DATES, *3 * sorted(rows)])
    told = _statistics(rows[date]) if date in rows else None
    answer = (403 if reply.status == 200 and told is None else reply.status, told)
    check_statistics(world, layer, date, area, 100, answer=answer, seen=seen, name="feature_series")


def timelapse(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """The picture of a date in a box is what the scenes of that date are, cut by the naive model."""
    for _ in range(3):
        one_timelapse(world, rnd, seen, random_polygon(world, rnd).envelope, "timelapse")


def feature_timelapse(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """The same in a polygon; nothing is shown outside."""
    for _ in range(3):
        one_timelapse(world, rnd, seen, random_polygon(world, rnd), "feature_timelapse")


def one_timelapse(world: World, rnd: random.Random, seen: Counter[str], area: Any, name: str) -> None:
    layer, date, width = draw_layer(world, rnd), rnd.choice(DATES), 64
    posted = name == "feature_timelapse"
    bbox = None if posted else ",".join(f"{v:.9f}" for v in area.bounds)
    target = f"/timelapse/{layer}{query(width=str(width), time=date, format='png', bbox=bbox)}"
    body = json.dumps(shapely.geometry.mapping(area)).encode() if posted else b""
    said(f"{target} {body.decode()}")
    if posted:
        reply = world.get(target, "POST", body, **{"content-type": "application/json"})
    else:
        reply = world.get(target)
    if not visible(world, layer, "preview"):
        assert reply.status in {401, 403, 404}
        return
    found = find_layer(
        world.asgi.application.services.knowledge.index, layer, own_filter(world, Action.PREVIEW)
    )
    bounds = Bounds(*(area.bounds if bbox is None else map(float, bbox.split(","))))
    frame = area_frame(found, bounds, width, 1024)
    pixels = frame_pixels(frame)
    if ambiguous(world, pixels.detail):
        return
    stack = [
        (scene, picture, is_kernel(scene, None))
        for scene in world.layer_scenes(layer)
        if in_span(scene, date) and (picture := whole_scene(world, scene, frame, None)) is not None
    ]
    expected = compose_expected(world, stack, "preview", pixels)
    if posted:
        expected.picture[~shapely.contains_xy(area, *pixels.centres)] = 0
    filled = bool(expected.picture[..., 3].any())
    if reply.status != 200:
        assert reply.status in {400, 403}
        assert not filled
        return
    shown = rgba(reply.body)
    if shown.shape != expected.picture.shape:  # a sheet of one; else it has nothing
        left, top = corner_in_sheet(0, 1, frame.width, frame.height)
        shown = shown[top : top + frame.height, left : left + frame.width]
    seen["on an edge"] += check_picture(world, shown, expected, pixels, exact=True)
    seen[name] += filled


def _statistics(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row in the shape of statistics."""
    more = {"ground_resolution": row["ground_resolution"]}
    return {
        name: {**band, **more, "valid_pixels": band["count"], "histogram": [[band["count"]]]}
        for name, band in row["values"].items()
    }


def changed_tile(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """A change shows something only where both of its dates would."""
    asked = replace(draw_tile(world, rnd), style=None, scale=1)
    asked = replace(asked, layer=rnd.choice((asked.layer, "relief", "multi", "town")))
    dates = rnd.sample(DATES, 2) if rnd.random() < 0.5 else [f"{DATES[0]}/{DATES[-1]}"] * 2
    value = "bands=1&rescale=-100,100"
    target = f"/tiles/{asked.layer}/{asked.tms}/{asked.z}/{asked.x}/{asked.y}.png"
    said(f"{target}?{value}&time={dates[0]}&compare={dates[1]}")
    reply = world.get(f"{target}?{value}&time={dates[0]}&compare={dates[1]}")
    if ambiguous(world, asked.pixels.detail):
        return
    masks = []
    for date in dates:
        stack = [
            (scene, picture, False)
            for scene in world.layer_scenes(asked.layer)
            if in_span(scene, date)
            and (picture := whole_tile(world, scene, replace(asked, own="bands=1"))) is not None
        ]
        masks.append(compose_expected(world, stack, "tile", asked.pixels).picture[..., 3] > 0)
    both = masks[0] & masks[1]
    if reply.status != 200:
        assert reply.status in {400, 401, 403, 404}, reply
        assert reply.status == 400 or not both.any()
        return
    shown = rgba(reply.body)
    expected = np.dstack([np.zeros((*both.shape, 3), "uint8"), both.astype("uint8") * 255])
    loose = Expected(expected, np.zeros(both.shape, bool))
    assert not shown[shown[..., 3] == 0].any(), "colours under a transparent alpha"
    seen["on an edge"] += check_picture(world, shown, loose, asked.pixels, exact=False)
    seen["changed_tile"] += bool(both.any())
