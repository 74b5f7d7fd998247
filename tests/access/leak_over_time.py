"""Asks the routes that look at several dates, and works each date out as if it had been asked for alone."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import shapely

from tests.access.leak_numbers import check_statistics, check_values
from tests.access.leak_requests import draw_layer, draw_place, random_polygon, said
from tests.access.leak_world import DAYS, World

DATES = [day.date().isoformat() for day in DAYS]


def series(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """Each date of a place is what a point of that date is."""
    layer = draw_layer(world, rnd)
    place = tuple(round(v, 9) for v in draw_place(world, rnd))
    target = f"/series/{layer}?at={place[0]:.9f},{place[1]:.9f}"
    said(target)
    reply = world.get(target)
    rows = {row["date"]: row["values"] for row in reply.json["series"]} if reply.status == 200 else {}
    assert rows.keys() <= set(DATES)
    for date in DATES:
        found = list(rows[date].values()) if date in rows else None
        check_values(world, layer, date, place, reply, found=found, seen=seen, name="series")


def feature_series(world: World, rnd: random.Random, seen: Counter[str]) -> None:
    """Each date of a polygon is what statistics of that date are."""
    layer, area = draw_layer(world, rnd), random_polygon(world, rnd)
    body = json.dumps(shapely.geometry.mapping(area)).encode()
    said(f"POST /series/{layer} {body.decode()}")
    reply = world.get(f"/series/{layer}?max_size=100", "POST", body, **{"content-type": "application/json"})
    rows = {row["date"]: row for row in reply.json["series"]} if reply.status == 200 else {}
    for date in DATES:
        told = _statistics(rows[date]) if date in rows else None
        answer = (403 if reply.status == 200 and told is None else reply.status, told)
        check_statistics(world, layer, date, area, 100, answer=answer, seen=seen, name="feature_series")


def _statistics(row: dict[str, Any]) -> dict[str, Any]:
    """Give a row in the shape of statistics."""
    more = {"ground_resolution": row["ground_resolution"]}
    return {
        name: {**band, **more, "valid_pixels": band["count"], "histogram": [[band["count"]]]}
        for name, band in row["values"].items()
    }
