"""Invents a small French town: heights and reflectances on a grid of 0.5 m. It shows no real place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

SIZE = 2600
"""Rows and columns of the whole place."""
CELL = 0.5
"""Metres."""
CENTRE = np.array([1330.0, 1150.0])
"""Column and row of the church square."""

Colour = tuple[float, float, float, float]
"""Reflectance in red, green, blue, near infrared, 0..1."""

SOIL: Colour = (0.225, 0.18, 0.14, 0.28)
PALE_SOIL: Colour = (0.3, 0.26, 0.215, 0.34)
WHEAT: Colour = (0.112, 0.155, 0.074, 0.44)
STRAW: Colour = (0.32, 0.275, 0.19, 0.4)
MEADOW: Colour = (0.145, 0.168, 0.088, 0.38)
RAPE: Colour = (0.25, 0.245, 0.095, 0.46)
LAWN: Colour = (0.145, 0.17, 0.088, 0.36)
LEAVES: Colour = (0.082, 0.099, 0.048, 0.36)
ASPHALT: Colour = (0.178, 0.16, 0.138, 0.17)
PAVING: Colour = (0.295, 0.255, 0.208, 0.32)
CONCRETE: Colour = (0.36, 0.325, 0.28, 0.38)
TILES: Colour = (0.335, 0.205, 0.14, 0.38)
SLATE: Colour = (0.15, 0.145, 0.14, 0.16)
METAL: Colour = (0.46, 0.435, 0.4, 0.46)
WATER: Colour = (0.078, 0.1, 0.078, 0.03)
POOL: Colour = (0.10, 0.34, 0.42, 0.05)
TRACK: Colour = (0.36, 0.16, 0.11, 0.34)
WHITE: Colour = (0.62, 0.61, 0.58, 0.6)

CROPS = {
    "spring": ((WHEAT, 6), (SOIL, 3), (PALE_SOIL, 2), (MEADOW, 3), (RAPE, 2)),
    "summer": ((STRAW, 6), (SOIL, 2), (PALE_SOIL, 3), (MEADOW, 2), (WHEAT, 2)),
}
"""What grows in a field, and how often."""


@dataclass
class Place:
    """Arrays of (SIZE, SIZE) that are painted in turn, from the ground up."""

    seed: int
    ground: np.ndarray = field(init=False)
    """Terrain, metres, float32."""
    surface: np.ndarray = field(init=False)
    """Terrain and all that stands on it, metres, float32."""
    colour: np.ndarray = field(init=False)
    """Reflectance, (SIZE, SIZE, 4), float32."""
    taken: np.ndarray = field(init=False)
    """1 where no house or tree may come any more, uint8."""
    water: np.ndarray = field(init=False)
    """1 on the river, uint8."""
    built: np.ndarray = field(init=False)
    """1 on roofs, uint8."""
    lamps: list[tuple[float, float, float]] = field(default_factory=list)
    """Column, row and strength of the street lamps."""

    def __post_init__(self) -> None:
        """Start with rolling ground."""
        self.ground = 160 + 9 * self.noise("hills", 700) + 2.0 * self.noise("knolls", 160)
        self.colour = np.empty((SIZE, SIZE, 4), np.float32)
        self.taken, self.water, self.built = (np.zeros((SIZE, SIZE), np.uint8) for _ in range(3))

    def random(self, theme: str) -> np.random.Generator:
        """Give a generator of its own to each theme, so that changing one leaves the others."""
        return np.random.default_rng([self.seed, *theme.encode()])

    def noise(self, theme: str, period: int) -> np.ndarray:
        """Give smooth noise of mean 0 and deviation 1, features of `period` cells."""
        coarse = self.random(theme).standard_normal((SIZE // period + 4,) * 2).astype(np.float32)
        smooth = cv2.resize(coarse, None, fx=period, fy=period, interpolation=cv2.INTER_CUBIC)
        smooth = smooth[period : period + SIZE, period : period + SIZE]
        return (smooth - smooth.mean()) / smooth.std()

    def line(self, points: np.ndarray, width: float, colour: Colour) -> None:
        """Draw a road along points of (column, row)."""
        path = [np.round(points * 16).astype(np.int32)]
        cv2.polylines(self.colour, path, isClosed=False, color=colour, thickness=round(width), shift=4)
        cv2.polylines(self.taken, path, isClosed=False, color=1, thickness=round(width) + 3, shift=4)

    def polygon(self, points: np.ndarray, colour: Colour) -> None:
        """Fill a polygon of (column, row)."""
        path = [np.round(points * 16).astype(np.int32)]
        cv2.fillPoly(self.colour, path, colour, shift=4)
        cv2.fillPoly(self.taken, path, 1, shift=4)

    def ground_cover(self, points: np.ndarray, colour: Colour) -> None:
        """Cover what is not taken in a polygon of (column, row); it can still be built on."""
        inside = np.zeros((SIZE, SIZE), np.uint8)
        cv2.fillPoly(inside, [np.round(points).astype(np.int32)], 1)
        kept = (inside == 1) & (self.taken == 0)
        patches = 1 + 0.12 * self.noise(f"cover {points[0]}", 70)
        self.colour[kept] = np.float32(colour) * patches[kept][:, None]

    def free(self, points: np.ndarray) -> bool:
        """Tell whether a convex polygon lies inside the place on ground that is not taken."""
        left, top = np.floor(points.min(axis=0)).astype(int) - 1
        right, bottom = np.ceil(points.max(axis=0)).astype(int) + 2
        if left < 0 or top < 0 or right > SIZE or bottom > SIZE:
            return False
        shape = np.zeros((bottom - top, right - left), np.uint8)
        cv2.fillConvexPoly(shape, np.round(points - (left, top)).astype(np.int32), 1)
        return not (shape & self.taken[top:bottom, left:right]).any()


def box(at: Sequence[float], angle: float, length: float, width: float) -> np.ndarray:
    """Give the corners of a turned rectangle, (4, 2), columns and rows."""
    along = np.array([math.cos(angle), math.sin(angle)]) * length / 2
    across = np.array([-math.sin(angle), math.cos(angle)]) * width / 2
    return np.array([along + across, along - across, -along - across, -along + across]) + np.asarray(at)


def curve(points: Sequence[Sequence[float]], step: float = 6.0) -> np.ndarray:
    """Join points by a smooth line, sampled about every `step` cells: (n, 2)."""
    knots = np.asarray(points, float)
    for _ in range(4):  # Chaikin's corner cutting
        inner = np.stack([0.75 * knots[:-1] + 0.25 * knots[1:], 0.25 * knots[:-1] + 0.75 * knots[1:]], axis=1)
        knots = np.vstack([knots[:1], inner.reshape(-1, 2), knots[-1:]])
    run = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(knots, axis=0).T))])
    at = np.linspace(0, run[-1], max(2, int(run[-1] / step)))
    return np.stack([np.interp(at, run, knots[:, 0]), np.interp(at, run, knots[:, 1])], axis=1)


def walk(path: np.ndarray, step: float) -> list[tuple[np.ndarray, float]]:
    """Give positions along a path and the direction there, every `step` cells."""
    run = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    found = []
    for at in np.arange(step / 2, run[-1], step):
        i = min(int(np.searchsorted(run, at)), len(path) - 1)
        delta = path[i] - path[i - 1]
        share = (at - run[i - 1]) / max(run[i] - run[i - 1], 1e-6)
        found.append((path[i - 1] + share * delta, math.atan2(delta[1], delta[0])))
    return found


def shade_of(colour: Colour, factor: float, warmth: float = 0.0) -> Colour:
    """Make a colour brighter and warmer."""
    red, green, blue, nir = colour
    return (red * factor * (1 + warmth), green * factor, blue * factor * (1 - warmth), nir * factor)


def roof(
    place: Place,
    at: Sequence[float],
    angle: float,
    size: tuple[float, float],
    eaves: float,
    *,
    colour: Colour,
    rise: float = 1.6,
    hipped: bool = False,
) -> None:
    """Put up a building: eaves and rise of the roof in metres above the ground, size in cells."""
    length, width = size
    reach = math.hypot(length, width) / 2 + 2
    left, top = (max(0, int(v - reach)) for v in at)
    right, bottom = (min(SIZE, int(v + reach) + 1) for v in at)
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    along = np.abs((x - at[0]) * math.cos(angle) + (y - at[1]) * math.sin(angle))
    across = np.abs((y - at[1]) * math.cos(angle) - (x - at[0]) * math.sin(angle))
    inside = (along <= length / 2) & (across <= width / 2)
    if not inside.any():
        return
    slope = 1 - across / (width / 2)
    if hipped:
        slope = np.minimum(slope, (length / 2 - along) / (width / 2))
    patch = np.s_[top:bottom, left:right]
    base = float(place.ground[patch][inside].mean())
    place.surface[patch][inside] = (base + eaves + rise * slope)[inside]
    place.colour[patch][inside] = colour
    place.taken[patch][inside] = 1
    place.built[patch][inside] = 1


def tree(place: Place, at: Sequence[float], radius: float, height: float, colour: Colour) -> None:
    """Plant a round tree: radius in cells, height in metres."""
    left, top = (max(0, int(v - radius)) for v in at)
    right, bottom = (min(SIZE, int(v + radius) + 2) for v in at)
    if right <= left or bottom <= top:
        return
    y, x = np.ogrid[top:bottom, left:right]
    far = ((x - at[0]) ** 2 + (y - at[1]) ** 2) / radius**2
    patch = np.s_[top:bottom, left:right]
    inside = (far < 1) & (place.built[patch] == 0)
    crown = place.ground[patch] + height * (0.45 + 0.55 * np.sqrt(np.maximum(0, 1 - far)))
    place.surface[patch] = np.where(inside, np.maximum(place.surface[patch], crown), place.surface[patch])
    place.colour[patch][inside] = colour


def fields(place: Place, season: str) -> np.ndarray:
    """Lay out parcels, plough and sow them; give the line of hedges between some, as uint8."""
    random = place.random("parcels")
    x, y = np.meshgrid(*(np.arange(SIZE, dtype=np.float32),) * 2)
    x += 14 * place.noise("bend x", 240)
    y += 14 * place.noise("bend y", 240)
    seeds = np.ones((SIZE, SIZE), np.uint8)
    spots = random.integers(0, SIZE, (16, 2))
    seeds[spots[:, 1], spots[:, 0]] = 0
    _, blocks = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5)
    angles = random.uniform(0, math.pi, blocks.max() + 1).astype(np.float32)
    widths = random.uniform(110, 230, blocks.max() + 1).astype(np.float32)
    cos, sin = np.cos(angles)[blocks], np.sin(angles)[blocks]
    u, v = x * cos + y * sin, y * cos - x * sin
    strip = np.floor(u / widths[blocks])
    piece = np.floor(v / (widths * 2.1)[blocks] + 0.37 * strip)
    parcel = np.mod(blocks * 7919 + strip * 131 + piece * 17, 4093).astype(np.int32)
    crops, odds = zip(*CROPS[season], strict=True)
    sown = place.random("crops " + season).choice(len(crops), 4093, p=np.array(odds) / sum(odds))
    colours = np.array(crops, np.float32)[sown]
    colours *= place.random("vigour " + season).uniform(0.85, 1.15, (4093, 1)).astype(np.float32)
    place.colour[:] = colours[parcel]
    rows = 1 + 0.045 * np.sin(u * (2 * np.pi / 7)) + 0.05 * (np.mod(u, 44) < 2.2)
    place.colour *= (rows * (1 + 0.06 * place.noise("moisture", 90)))[..., None]
    edges = np.zeros((SIZE, SIZE), np.uint8)
    edges[:, 1:] |= parcel[:, 1:] != parcel[:, :-1]
    edges[1:] |= parcel[1:] != parcel[:-1]
    return edges


def hedges(place: Place, edges: np.ndarray) -> None:
    """Grow grass and trees along some edges of parcels."""
    grass = cv2.dilate(edges, np.ones((5, 5), np.uint8)) & (place.taken == 0)
    place.colour[grass == 1] = MEADOW
    random = place.random("hedges")
    wooded = (edges == 1) & (place.noise("hedge", 130) > 0.45) & (place.taken == 0)
    rows, columns = np.nonzero(wooded)
    for i in random.permutation(len(rows))[: len(rows) // 7]:
        tree(place, (columns[i], rows[i]), random.uniform(4, 8), random.uniform(4, 10), foliage(random))


def foliage(random: np.random.Generator) -> Colour:
    """Give the colour of one tree."""
    return shade_of(LEAVES, random.uniform(0.8, 1.45), random.uniform(-0.1, 0.25))


def woods(place: Place) -> None:
    """Plant woods on the hills and along the river."""
    random = place.random("woods")
    near_river = cv2.dilate(place.water, np.ones((41, 41), np.uint8)) == 1
    away = np.hypot(*(np.mgrid[:SIZE, :SIZE] - CENTRE[::-1, None, None])) > 1120
    dense = (place.noise("forest", 300) > 1.25) & away
    dense |= near_river & (place.noise("bank", 60) > -0.5)
    dense &= (place.taken == 0) & (place.water == 0)
    rows, columns = np.nonzero(dense)
    for i in random.permutation(len(rows))[: len(rows) // 55]:
        tree(place, (columns[i], rows[i]), random.uniform(5, 11), random.uniform(8, 17), foliage(random))
