"""Lays out the invented town: river, roads, old centre, suburbs, works, sports ground, woods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import synthetic_town as town
from synthetic_town import CENTRE, SIZE, Place, box, curve, roof, shade_of, tree, walk

RIVER = ((-80, 1990), (450, 1850), (900, 1620), (1350, 1545), (1750, 1450), (2150, 1180), (2700, 1060))
ROADS = (
    (16, ((-20, 900), (480, 1010), (930, 1110), (1330, 1150), (1700, 1070), (2100, 890), (2620, 740))),
    (16, ((1130, -20), (1200, 380), (1290, 800), (1330, 1150), (1385, 1500), (1490, 1800), (1660, 2620))),
    (12, ((-20, 330), (420, 300), (800, 330), (1195, 370), (1600, 330), (2000, 480), (2620, 330))),
    (10, ((480, 1010), (430, 700), (420, 300))),
    (10, ((1490, 1800), (1050, 1990), (520, 2130), (150, 2620))),
    (9, ((2100, 890), (2240, 1400), (2180, 1900), (2330, 2620))),
    (7, ((1490, 1800), (1900, 1990), (2200, 1960), (2620, 2080))),
)
"""Width in cells and the points of each road."""
SPORTS = (1010, 480)
"""Middle of the sports ground."""
SUBURBS = (
    ((800, 690), 0.28, 4, 3, False),
    ((1740, 700), -0.32, 4, 3, False),
    ((880, 1340), 0.05, 3, 2, False),
    ((1890, 1180), -0.55, 3, 2, False),
    ((1700, 2060), 0.22, 3, 3, True),
)
"""Centre, direction, streets along and across, and whether it was built between the two dates."""


def build(season: str, *, before: bool, seed: int = 2154) -> Place:
    """Make the place.

    Args:
        season: `spring` or `summer`; what grows in the fields.
        before: Leave out what was built between the two dates.
        seed: The same seed gives the same place.
    """
    place = Place(seed)
    edges = town.fields(place, season)
    river(place)
    place.surface = place.ground.copy()
    sports_ground(place, SPORTS, 0.2)
    paths = roads(place)
    old_centre(place)
    for at, angle, along, across, new in SUBURBS:
        if not (new and before):
            suburb(place, at, angle, along, across)
    works(place, before=before)
    roadside(place, paths)
    farms(place)
    town.hedges(place, edges)
    town.woods(place)
    bridge(place)
    return place


def river(place: Place) -> None:
    """Dig the valley and fill the river."""
    course = np.ones((SIZE, SIZE), np.uint8)
    cv2.polylines(course, [np.round(curve(RIVER)).astype(np.int32)], isClosed=False, color=0, thickness=1)
    away = cv2.distanceTransform(course, cv2.DIST_L2, 5) + 3 * place.noise("bank line", 50)
    place.ground -= 11 * np.exp(-((away / 520) ** 2))
    place.ground -= 3.5 * np.clip((46 - away) / 14, 0, 1)
    place.water[away < 36] = 1
    ripples = 1 + 0.05 * place.noise("water", 120)
    place.colour[place.water == 1] = (np.float32(town.WATER) * ripples[..., None])[place.water == 1]
    sand = (away >= 36) & (away < 42 + 5 * place.noise("sand", 70))
    place.colour[sand] = town.PALE_SOIL
    place.taken[away < 44] = 1


def roads(place: Place) -> list[np.ndarray]:
    """Draw the roads, the boulevard and a roundabout."""
    paths = []
    for width, points in ROADS:
        path = curve(points)
        place.line(path, width + 5, town.MEADOW)
        paths.append(path)
    for (width, _), path in zip(ROADS, paths, strict=True):
        place.line(path, width, town.ASPHALT)
    for path in paths[:3]:
        place.line(path, 1, shade_of(town.ASPHALT, 1.7))
        place.lamps += [(*at, 1.0) for at, _ in walk(path, 70) if np.hypot(*(at - CENTRE)) < 900]
    ring = circle(CENTRE, 272, wobble=14)
    place.line(ring, 20, town.ASPHALT)
    place.line(ring, 2, town.LAWN)
    place.lamps += [(*at, 1.6) for at, _ in walk(ring, 44)]
    for radius, colour in ((42, town.ASPHALT), (24, town.LAWN), (9, town.PALE_SOIL)):
        place.polygon(circle((1197, 369), radius), colour)
    return [*paths, ring]


def circle(at: Sequence[float], radius: float, *, wobble: float = 0.0) -> np.ndarray:
    """Give a closed ring of points, uneven by `wobble` cells."""
    turn = np.linspace(0, 2 * math.pi, 97)
    reach = radius + wobble * (np.sin(3 * turn + 1) + 0.6 * np.sin(5 * turn))
    return np.stack([at[0] + reach * np.cos(turn), at[1] + reach * np.sin(turn)], axis=1)


def tiles(random: np.random.Generator) -> town.Colour:
    """Give the colour of a clay roof."""
    return shade_of(town.TILES, random.uniform(0.72, 1.2), random.uniform(-0.1, 0.16))


def old_centre(place: Place) -> None:
    """Build the centre: a square with the church, lanes around it, and houses wall to wall."""
    random = place.random("centre")
    place.polygon(circle(CENTRE, 262, wobble=12), shade_of(town.PAVING, 0.82))
    place.taken[:] = np.where(_disc(CENTRE, 255), 0, place.taken)
    lanes = [circle(CENTRE, 150, wobble=9)]
    for turn in np.linspace(0, 2 * math.pi, 10)[:-1] + 0.2:
        bend = turn + random.uniform(-0.12, 0.12)
        lanes.append(
            curve(
                [
                    CENTRE + r * np.array([math.cos(a), math.sin(a)])
                    for r, a in ((50, turn), (150, bend), (268, turn))
                ]
            )
        )
    for lane in lanes:
        place.line(lane, 9, town.PAVING)
        place.lamps += [(*at, 1.1) for at, _ in walk(lane, 36)]
    place.polygon(circle(CENTRE, 56, wobble=4), shade_of(town.PAVING, 1.1))
    for points in (circle(CENTRE, 254, wobble=12), circle(CENTRE, 72, wobble=4), *lanes):
        terrace(place, points, random)
    for reach, turn in zip(random.uniform(75, 255, 2600), random.uniform(0, 2 * math.pi, 2600), strict=True):
        at, angle = CENTRE + _ahead(turn, reach), turn + math.pi / 2 + random.normal(0, 0.05)
        if place.free(box(at, angle, 10, 11)):
            roof(place, at, angle, (14, 15), random.uniform(5, 8), colour=tiles(random))
    place.lamps.append((*CENTRE, 4.0))
    church = CENTRE + np.array((-8, -4))
    place.taken[:] = np.where(_disc(church, 50), 0, place.taken)
    roof(place, church, 0.1, (66, 26), 13, colour=shade_of(town.TILES, 0.9), rise=5)
    roof(
        place,
        church + np.array((14, 1.5)),
        0.1 + math.pi / 2,
        (48, 16),
        12,
        colour=shade_of(town.TILES, 0.9),
        rise=4,
    )
    roof(place, church + np.array((-34, -3.5)), 0.1, (17, 17), 26, colour=town.SLATE, rise=11, hipped=True)
    for at, _ in walk(circle(CENTRE, 47), 17):
        tree(place, at, 6, 7, town.foliage(random))


def _disc(at: Sequence[float], radius: float) -> np.ndarray:
    disc = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(disc, (round(at[0]), round(at[1])), round(radius), 1, -1)
    return disc == 1


def terrace(place: Place, path: np.ndarray, random: np.random.Generator) -> None:
    """Build houses wall to wall on both sides of a lane."""
    at_each = walk(path, 15)
    for side in (-1, 1):
        for at, angle in at_each:
            depth = random.uniform(19, 27)
            normal = np.array([-math.sin(angle), math.cos(angle)]) * side
            middle = at + normal * (6 + depth / 2)
            if random.random() < 0.04 or not place.free(box(middle, angle, 10, depth * 0.85)):
                continue
            roof(place, middle, angle, (15.5, depth), random.uniform(6, 10.5), colour=tiles(random), rise=2.2)


def suburb(place: Place, at: Sequence[float], angle: float, along: int, across: int) -> None:
    """Build a quarter of houses with gardens on a bent grid of streets."""
    random = place.random(f"suburb {at}")
    bend_x, bend_y = (28 * place.noise(f"bend {axis} {at}", 420) for axis in "xy")

    def bent(points: np.ndarray) -> np.ndarray:
        turned = points @ np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        placed = turned + np.asarray(at)
        column, row = np.clip(placed, 0, SIZE - 1).astype(int).T
        return placed + np.stack([bend_x[row, column], bend_y[row, column]], axis=1)

    wide, deep = along * 150.0, across * 118.0
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * (wide / 2 + 60, deep / 2 + 62)
    green = bent(np.vstack([np.linspace(a, b, 30) for a, b in pairwise(corners)]))
    place.ground_cover(green, shade_of(town.LAWN, 1.05))
    streets = [
        bent(np.stack([np.linspace(-wide / 2, wide / 2, 60), np.full(60, v)], axis=1))
        for v in np.linspace(-deep / 2, deep / 2, across + 1)
    ]
    links = [
        bent(np.stack([np.full(40, u), np.linspace(-deep / 2, deep / 2, 40)], axis=1))
        for u in np.linspace(-wide / 2, wide / 2, max(2, along // 2 + 1))
    ]
    for path in (*streets, *links):
        kept = path[[not _blocked(place, point) for point in path]]
        if len(kept) > 1:
            place.line(kept, 12, town.CONCRETE)
            place.line(kept, 9, town.ASPHALT)
            place.lamps += [(*spot, 0.7) for spot, _ in walk(kept, 60)]
    for path in streets:
        houses(place, path, random)


def _blocked(place: Place, point: np.ndarray) -> bool:
    """Tell whether a street may not come here: water, the centre, the sports ground."""
    column, row = np.clip(np.round(point), 0, SIZE - 1).astype(int)
    near = place.water[max(0, row - 12) : row + 13, max(0, column - 12) : column + 13]
    pitch = float(np.hypot(*(point - SPORTS))) < 210
    return bool(near.any()) or pitch or float(np.hypot(*(point - CENTRE))) < 275


def houses(place: Place, street: np.ndarray, random: np.random.Generator) -> None:
    """Build detached houses along a street, with lawn, pool and trees."""
    for spot, angle in walk(street, 38.5):
        for side in (-1, 1):
            normal = np.array([-math.sin(angle), math.cos(angle)]) * side
            lot = box(spot + normal * 33, angle, 32, 42)
            if not place.free(lot) or random.random() < 0.06:
                continue
            place.polygon(
                box(spot + normal * 31, angle, 36, 50), shade_of(town.LAWN, random.uniform(0.8, 1.25))
            )
            place.polygon(box(spot + normal * 14 + _ahead(angle, 9), angle, 7, 17), town.CONCRETE)
            turn = angle + random.choice([0.0, math.pi / 2]) + random.normal(0, 0.04)
            at = spot + normal * random.uniform(24, 29) + _ahead(angle, random.uniform(-4, 4))
            size = (random.uniform(21, 28), random.uniform(15, 19))
            roof(
                place,
                at,
                turn,
                size,
                random.uniform(2.6, 5.2),
                colour=tiles(random),
                hipped=random.random() < 0.4,
            )
            if random.random() < 0.4:
                place.polygon(
                    box(spot + normal * 48 + _ahead(angle, random.uniform(-8, 8)), angle, 16, 8), town.POOL
                )
            for _ in range(random.integers(1, 5)):
                corner = spot + normal * random.uniform(36, 54) + _ahead(angle, random.choice([-17, 17]))
                tree(place, corner, random.uniform(3, 6), random.uniform(3, 8), town.foliage(random))


def _ahead(angle: float, distance: float) -> np.ndarray:
    return np.array([math.cos(angle), math.sin(angle)]) * distance


def works(place: Place, *, before: bool) -> None:
    """Build a zone of halls with car parks west of the town."""
    random = place.random("works")
    halls = (
        ((240, 800), 0.24, 190, 96),
        ((300, 1110), 0.22, 150, 80),
        ((620, 930), 0.22, 110, 60),
        ((90, 1010), 0.24, 120, 70),
        ((560, 1190), 0.2, 170, 90),
    )
    for number, (at, angle, length, width) in enumerate(halls):
        if before and number in {1, 4}:
            continue
        yard = box(at, angle, length + 70, width + 74)
        place.polygon(yard, shade_of(town.ASPHALT, 1.15))
        colour = shade_of(town.METAL, random.uniform(0.75, 1.2), random.uniform(-0.08, 0.02))
        roof(place, at, angle, (length, width), random.uniform(7, 11), colour=colour, rise=0.8)
        for u in np.arange(-length / 2, length / 2, 22):  # skylights
            place.polygon(box(np.array(at) + _ahead(angle, u + 11), angle, 4, width * 0.8), town.WHITE)
        place.lamps += [(*corner, 2.2) for corner in yard]
        park(place, np.array(at) + _ahead(angle + math.pi / 2, width / 2 + 20), angle, length, random)


def park(place: Place, at: np.ndarray, angle: float, length: float, random: np.random.Generator) -> None:
    """Park a row of cars."""
    for u in np.arange(-length / 2, length / 2, 5.4):
        if random.random() < 0.6:
            car(place, at + _ahead(angle, u), angle + math.pi / 2, random)


def car(place: Place, at: np.ndarray, angle: float, random: np.random.Generator) -> None:
    """Set down a car."""
    paint = [town.WHITE, town.METAL, town.SLATE, (0.3, 0.05, 0.04, 0.3), (0.05, 0.09, 0.2, 0.2)]
    body = box(at, angle, 9, 4)
    place.polygon(body, paint[random.choice(5, p=[0.3, 0.25, 0.25, 0.1, 0.1])])
    cv2.fillConvexPoly(
        place.surface,
        np.round(body).astype(np.int32),
        float(cv2.getRectSubPix(place.ground, (1, 1), tuple(at.astype(float)))[0, 0]) + 1.4,
    )


def roadside(place: Place, paths: list[np.ndarray]) -> None:
    """Line the two main roads and the boulevard with plane trees; let cars drive."""
    random = place.random("roadside")
    for path in (paths[0], paths[1], paths[-1]):
        for at, angle in walk(path, 19):
            for side in (-15, 15):
                spot = at + _ahead(angle + math.pi / 2, side)
                column, row = np.clip(spot, 0, SIZE - 1).astype(int)
                if not place.water[row, column] and not place.built[row, column] and random.random() < 0.8:
                    tree(place, spot, random.uniform(5.5, 8), random.uniform(9, 13), town.foliage(random))
    for path in paths:
        for at, angle in walk(path, 37):
            if random.random() < 0.3 and (at > 8).all() and (at < SIZE - 8).all():
                car(place, at + _ahead(angle + math.pi / 2, random.choice([-3.5, 3.5])), angle, random)


def sports_ground(place: Place, at: Sequence[float], angle: float) -> None:
    """Lay a running track around a pitch."""
    place.polygon(box(at, angle, 370, 230), town.MEADOW)
    for outer, colour in ((92, town.TRACK), (73, town.LAWN)):
        for end in (-84, 84):
            place.polygon(circle(np.array(at) + _ahead(angle, end), outer), colour)
        place.polygon(box(at, angle, 168, 2 * outer), colour)
    for band in range(-8, 8):
        green = shade_of(town.LAWN, 1.12 if band % 2 else 0.9)
        place.polygon(box(np.array(at) + _ahead(angle, band * 13 + 6.5), angle, 13, 130), green)
    pitch = box(at, angle, 206, 128)
    place.line(np.vstack([pitch, pitch[:1]]), 1, town.WHITE)
    place.line(np.array([at + _ahead(angle + math.pi / 2, s) for s in (-64, 64)]), 1, town.WHITE)
    place.line(circle(at, 18), 1, town.WHITE)


def farms(place: Place) -> None:
    """Set some farmsteads among the fields."""
    random = place.random("farms")
    for at in random.uniform(60, SIZE - 60, (26, 2)):
        angle = random.uniform(0, math.pi)
        if np.hypot(*(at - CENTRE)) < 650 or not place.free(box(at, angle, 110, 90)):
            continue
        place.polygon(box(at, angle, 96, 76), shade_of(town.PALE_SOIL, 0.9))
        roof(place, at + _ahead(angle + 1.57, 24), angle, (70, 20), 5, colour=tiles(random), rise=2.5)
        roof(place, at + _ahead(angle, 34), angle + 1.57, (44, 22), 6, colour=shade_of(town.METAL, 0.8))
        roof(place, at + _ahead(angle + 1.57, -22), angle, (26, 17), 4, colour=tiles(random), hipped=True)
        place.lamps.append((*at, 0.8))
        for turn in random.uniform(0, 6.28, 9):
            tree(
                place,
                at + _ahead(turn, 60),
                random.uniform(5, 9),
                random.uniform(6, 12),
                town.foliage(random),
            )


def bridge(place: Place) -> None:
    """Carry the road over the river."""
    path = curve(ROADS[1][1], 2.0)
    wet = [
        i for i, (x, y) in enumerate(path) if 0 <= x < SIZE and 0 <= y < SIZE and place.water[int(y), int(x)]
    ]
    ends = path[wet[0] - 6], path[wet[-1] + 6]
    level = max(float(place.ground[int(y), int(x)]) for x, y in ends)
    deck = np.zeros((SIZE, SIZE), np.uint8)
    cv2.line(deck, *(tuple(np.round(e).astype(int).tolist()) for e in ends), 1, 19)
    place.surface[deck == 1] = level
    place.colour[deck == 1] = town.CONCRETE
    cv2.line(deck, *(tuple(np.round(e).astype(int).tolist()) for e in ends), 2, 14)
    place.colour[deck == 2] = town.ASPHALT
    place.water[deck > 0] = 0
