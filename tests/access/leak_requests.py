"""What is asked in the leak test: layers, places, times, areas and tiles, drawn at random."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import shapely
from hypothesis import currently_in_test_context, note

from tests.access.leak_oracle import Pixels, tile_at, tile_pixels, visible
from tests.access.leak_world import COLLECTIONS, DAYS, TO_LONLAT, X0, Y0, World, grid_document

GRIDS = (
    "WebMercatorQuad",
    "WebMercatorQuad_512",
    "WorldCRS84Quad",
    "WorldCRS84Quad_512",
    "2154_50cm",
    "2154_50cm_512",
)


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
    own: str | None = None
    """A style of the caller's own, as a query."""

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


def draw_tile(
    world: World,
    rnd: random.Random,
    *,
    scales: tuple[int, ...] = (1,),
    grids: tuple[str, ...] = GRIDS,
) -> Asked:
    layer = draw_layer(world, rnd)
    tms = rnd.choice(grids)
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


def random_polygon(world: World, rnd: random.Random) -> Any:
    lon, lat = draw_place(world, rnd)
    size = rnd.choice((2e-5, 3e-4, 2e-3))
    box = shapely.box(lon - size, lat - size * 0.7, lon + size, lat + size * 0.6)
    return shapely.affinity.rotate(box, rnd.uniform(0, 90)) - shapely.affinity.scale(box, 0.3, 0.3)


def query(**values: str | None) -> str:
    pairs = [f"{name}={value}" for name, value in values.items() if value is not None]
    return f"?{'&'.join(pairs)}" if pairs else ""


def kvp(asked: Asked, request: str, more: str = "") -> str:
    text = f"/wmts?SERVICE=WMTS&REQUEST={request}&VERSION=1.0.0&LAYER={asked.layer}&STYLE={asked.style or ''}"
    text += f"&FORMAT=image/png&TILEMATRIXSET={asked.tms}&TILEMATRIX={asked.z}&TILEROW={asked.y}"
    text += f"&TILECOL={asked.x}" + (f"&TIME={asked.time}" if asked.time else "")
    return text + more
