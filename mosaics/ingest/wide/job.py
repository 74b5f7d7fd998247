"""What it takes to write one overview, as it is handed to the process that does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mosaics.grids import MERCATOR
from mosaics.ingest.profile import PROFILE, Reduction
from mosaics.models import Bounds, Frame, Scene
from mosaics.tiff.scene_files import Sources

WIDE_PROFILE: Final = replace(PROFILE, version=f"{PROFILE.version}-wide", block_size=256)
"""How overviews are laid out: as banked files, in blocks of the size of a tile, down to a single one."""
BLOCK_SIDE: Final = 512
"""Pixels along the side of what is composed at once, and taken or left as it was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """The pixels of an overview: blocks of the plane of Web Mercator, whose borders are the same in all."""

    origin: tuple[float, float]
    """Upper left corner of the plane, metres."""
    cell: float
    """Side of a pixel, metres."""
    side: int
    """Pixels of a block."""
    column: int
    """Of its first block, from the origin."""
    row: int
    """Of its first block, from the origin."""
    columns: int
    """Of blocks."""
    rows: int
    """Of blocks."""

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine (a, b, c, d, e, f)."""
        left, _, _, top = self.bounds
        return self.cell, 0.0, left, 0.0, -self.cell, top

    @property
    def bounds(self) -> Bounds:
        """Around all blocks."""
        (x, y), span = self.origin, self.cell * self.side
        left, top = x + self.column * span, y - self.row * span
        return Bounds(left, top - self.rows * span, left + self.columns * span, top)

    def box(self, column: int, row: int) -> Bounds:
        """Give the outline of one block, which is counted from the first."""
        left, _, _, top = self.bounds
        span = self.cell * self.side
        x, y = left + column * span, top - row * span
        return Bounds(x, y - span, x + span, y)

    def part(self, column: int, row: int, box: NDArray[np.float64]) -> Part | None:
        """Give the pixels of a block that touch a box; None: none does.

        What of a scene lies outside its box is none of it for rights, so it is not read.
        """
        left, _, _, top = self.box(column, row)
        west, south, east, north = box.tolist()
        columns = self._within((west - left) / self.cell, (east - left) / self.cell)
        rows = self._within((top - north) / self.cell, (top - south) / self.cell)
        if columns.start >= columns.stop or rows.start >= rows.stop:
            return None
        bounds = Bounds(
            left + columns.start * self.cell,
            top - rows.stop * self.cell,
            left + columns.stop * self.cell,
            top - rows.start * self.cell,
        )
        frame = Frame(
            crs=MERCATOR,
            bounds=bounds,
            width=columns.stop - columns.start,
            height=rows.stop - rows.start,
        )
        return Part(columns=columns, rows=rows, frame=frame)

    def _within(self, first: float, last: float) -> slice:
        return slice(max(math.floor(first), 0), min(math.ceil(last), self.side))


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Some pixels of a block."""

    columns: slice
    rows: slice
    frame: Frame
    """The same pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Before:
    """The overview as it was."""

    colours: Path
    numbers: Path
    column: int
    """Of its first block, from the origin."""
    row: int
    """Of its first block, from the origin."""
    renumbered: NDArray[np.uint32]
    """The number now of each number then; 0: the scene is no more what it was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """An overview to be written."""

    name: str
    """For messages."""
    scenes: tuple[Scene, ...]
    """In order."""
    boxes: NDArray[np.float64]
    """Around each, metres of Web Mercator: left, bottom, right, top; shape (n, 4)."""
    is_new: NDArray[np.bool_]
    """Which of them the overview did not show before, shape (n,)."""
    blocks: Blocks
    reduction: Reduction
    """How its own overviews are made."""
    sources: Sources
    folder: Path
    """Where it is written; empty."""
    before: Before | None = None
    """None: everything is made anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What was written."""

    colours: Path
    numbers: Path
    unread: tuple[int, ...]
    """Places of scenes that could not be read; nothing of them is in it."""
    composed: int
    """Blocks that were made of scenes."""
    copied: int
    """Blocks that are as they were."""
