"""A home with tiles drawn ahead, asked in this process beside itself without them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mosaics.models import EncodedTile
from mosaics.stored import StoredBlocks, Unread
from mosaics.visual import StoredBlock
from tests.conftest import (
    Reply,
)
from tests.server.conftest import Asgi

Z, X, Y = 17, 66052, 47859
"""A tile wholly within the scenes; its children are at their native zoom."""
EDGE = 17, 66051, 47858
"""A tile that the scenes reach into, at their upper left corner."""


def address(
    layer: str = "open",
    tile: tuple[int, int, int] = (Z, X, Y),
    end: str = ".jpg",
    grid: str = "WebMercatorQuad",
) -> str:
    z, x, y = tile
    return f"/tiles/{layer}/{grid}/{z}/{x}/{y}{end}"


@dataclass
class Recorded(StoredBlocks):
    """Notes what was given."""

    given: list[StoredBlock] = dataclasses.field(default_factory=list)
    asked: list[StoredBlock] = dataclasses.field(default_factory=list)

    def at_once(self, block: StoredBlock) -> EncodedTile | Unread:
        self.asked.append(block)
        found = super().at_once(block)
        if isinstance(found, EncodedTile):
            self.given.append(block)
        return found

    def read(self, block: StoredBlock) -> EncodedTile | None:
        found = super().read(block)
        if found is not None:
            self.given.append(block)
        return found


@dataclass(frozen=True)
class Drawn:
    """A home with companions, asked in this process."""

    home: Path
    asgi: Asgi
    plain: Asgi
    """The same home, where all tiles are made."""
    stored: Recorded
    keys: dict[str, str]

    def ask(self, path: str, key: str | None = None, **headers: str) -> tuple[Reply, bool]:
        """Give the answer, and whether its pixels were drawn ahead."""
        self.stored.given.clear()
        shown = {"x-api-key": self.keys[key]} if key else {}
        reply = self.asgi.get(path, {**shown, **headers})
        return reply, bool(self.stored.given)

    def check(
        self, path: str, key: str | None = None, *, ahead: bool, tagged: bool = True, **headers: str
    ) -> Reply:
        """Ask, and compare with the home where all tiles are made; `tagged`: the ETag, too."""
        reply, found = self.ask(path, key, **headers)
        shown = {"x-api-key": self.keys[key]} if key else {}
        made = self.plain.get(path, {**shown, **headers})
        assert (reply.status, reply.body) == (made.status, made.body)
        assert reply.status == 200
        assert not tagged or reply.headers["etag"] == made.headers["etag"]
        assert found == ahead
        return reply

    @property
    def services(self) -> Any:
        return self.asgi.application.services


def area(path: Path, west: float, east: float) -> str:
    ring = [[west, 40], [east, 40], [east, 50], [west, 50], [west, 40]]
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    return str(path)


def texture(rows: int, columns: int, seed: int) -> np.ndarray:
    """Give three bands of blobs of some 30 pixels, like nowhere else."""
    noise = np.random.default_rng(seed).integers(1, 256, (rows // 30 + 2, columns // 30 + 2, 3)).astype("u1")
    smooth = cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.moveaxis(np.maximum(smooth, 1), -1, 0)


def visual_of(drawn: Drawn, collection: str) -> Any:
    index = drawn.services.knowledge.index
    return next(scene.visual for key, scene in index.scenes.items() if key[0] == collection)


def tile_range(drawn: Drawn, collection: str) -> Iterator[tuple[int, int, int]]:
    """Give all tiles of a companion, those beside the scene included."""
    visual = visual_of(drawn, collection)
    grid = drawn.services.grids.get("WebMercatorQuad")
    for z in range(visual.zooms[0], visual.zooms[1] + 1):
        matrix = grid.matrix(z)
        many = 2 ** (z - visual.zooms[0])
        x0 = round((visual.origin[0] - matrix.origin[0]) / matrix.span)
        y0 = round((matrix.origin[1] - visual.origin[1]) / matrix.span)
        for y in range(y0, y0 + visual.rows * many):
            for x in range(x0, x0 + visual.columns * many):
                yield z, x, y
