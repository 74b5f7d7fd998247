"""What is asked: tiles at random, and the sessions of people at maps. The same seed asks the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

Tile = tuple[int, int, int]
"""z, x, y of WebMercatorQuad."""
Box = tuple[float, float, float, float]
"""Left, bottom, right, top, metres of EPSG:3857."""
_HALF_WORLD = 20_037_508.342789244


@dataclass(frozen=True, kw_only=True)
class Viewport:
    """What a map shows at once."""

    columns: int = 6
    rows: int = 4


def tile_range(box: Box, zoom: int) -> tuple[int, int, int, int]:
    """Give the first and last column, first and last row of the tiles that touch a box."""
    left, bottom, right, top = box
    span = 2 * _HALF_WORLD / 2**zoom
    return (
        int((left + _HALF_WORLD) // span),
        int((right + _HALF_WORLD) // span),
        int((_HALF_WORLD - top) // span),
        int((_HALF_WORLD - bottom) // span),
    )


def random_tiles(box: Box, zooms: Sequence[int], count: int, seed: int) -> list[Tile]:
    """Give tiles in random order, equally many of each zoom, whole rounds of the tiles where they are few."""
    dice = random.Random(seed)  # noqa: S311 - a trace, not a secret
    found: list[Tile] = []
    for zoom in zooms:
        first, last, top, bottom = tile_range(box, zoom)
        if last - first > 3 and bottom - top > 3:  # only whole tiles where there are enough of them
            first, last, top, bottom = first + 1, last - 1, top + 1, bottom - 1
        every = [(zoom, x, y) for x in range(first, last + 1) for y in range(top, bottom + 1)]
        wanted = -(-count // len(zooms))
        while wanted > 0:
            dice.shuffle(every)
            found += every[:wanted]
            wanted -= len(every)
    dice.shuffle(found)
    return found[:count]


def lanes(tiles: Sequence[Tile], connections: int) -> list[list[Tile]]:
    """Deal tiles out to connections."""
    return [list(tiles[number::connections]) for number in range(connections) if tiles[number::connections]]


def sessions(box: Box, zooms: range, users: int, pans: int, *, view: Viewport, seed: int) -> list[list[Tile]]:
    """Give what some users ask, one list each: from far to native on a place of their own, then pans.

    A user asks for the tiles of the view that touch the box, and after a pan only for the new ones,
    as maps do.
    """
    dice = random.Random(seed)  # noqa: S311 - a trace, not a secret
    return [_session(box, zooms, pans, view, dice) for _ in range(users)]


def tours(
    boxes: Sequence[Box], zooms: range, users: int, pans: int, *, view: Viewport, seed: int
) -> list[list[tuple[int, Tile]]]:
    """Give what some users ask who share many places: one list each, of the number of a place and a tile.

    Each place gets one session, of one user, who looks at one place after the other.
    """
    dice = random.Random(seed)  # noqa: S311 - a trace, not a secret
    order = list(range(len(boxes)))
    dice.shuffle(order)
    return [
        [
            (place, tile)
            for place in order[user::users]
            for tile in _session(boxes[place], zooms, pans, view, dice)
        ]
        for user in range(min(users, len(order)))
    ]


def _session(box: Box, zooms: range, pans: int, view: Viewport, dice: random.Random) -> list[Tile]:
    left, bottom, right, top = box
    x = dice.uniform(left, right)
    y = dice.uniform(bottom, top)
    asked: list[Tile] = []
    for zoom in zooms:
        asked += [tile for tile in _view(box, x, y, zoom, view) if tile not in asked]
    native = zooms[-1]
    span = 2 * _HALF_WORLD / 2**native
    for _ in range(pans):
        x = min(max(x + dice.choice((-2, -1, 1, 2)) * span, left), right)
        y = min(max(y + dice.choice((-1, 0, 1)) * span, bottom), top)
        asked += [tile for tile in _view(box, x, y, native, view) if tile not in asked]
    return asked


def _view(box: Box, x: float, y: float, zoom: int, view: Viewport) -> list[Tile]:
    span = 2 * _HALF_WORLD / 2**zoom
    column = round((x + _HALF_WORLD) / span - view.columns / 2)
    row = round((_HALF_WORLD - y) / span - view.rows / 2)
    first, last, top, bottom = tile_range(box, zoom)
    return [
        (zoom, c, r)
        for r in range(max(row, top), min(row + view.rows, bottom + 1))
        for c in range(max(column, first), min(column + view.columns, last + 1))
    ]


def bounds(tile: Tile) -> Box:
    """Give the edges of a tile."""
    zoom, x, y = tile
    span = 2 * _HALF_WORLD / 2**zoom
    left, top = x * span - _HALF_WORLD, _HALF_WORLD - y * span
    return left, top - span, left + span, top
