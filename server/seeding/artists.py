"""Who draws the tiles that are missing: threads of this process, or the workers of a cluster."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import structlog

from mosaics.encode import Format, Quality
from mosaics.errors import IngestError, MosaicsError, NobodyWaitsError
from mosaics.fast import FastReader
from mosaics.ingest.runner import Runner
from mosaics.ingest.source import Progress
from mosaics.places import is_object
from mosaics.read import RioTilerReader
from mosaics.resolve import ResolvedTile
from mosaics.stopping import Stop, never
from mosaics.tiff.blocks import BlockCache
from mosaics.tiff.scene_files import SceneFiles
from server.rendering import Tools, make_tile
from server.services import Made

log = structlog.get_logger(__name__)

_MOST_FILES: Final = 512
"""Kept open by a process of a worker."""


class Wanted(NamedTuple):
    """A tile that is to be drawn."""

    tile: ResolvedTile
    image_format: Format
    """What it becomes."""


Drawn = Made | str
"""A tile, or why there is none."""


class Artist(Protocol):
    """Draws tiles; may be asked by several threads at once."""

    def draw(self, wanted: Sequence[Wanted], stop: Stop) -> list[Drawn]:
        """Draw tiles, each by itself: one that fails says why and leaves the others be.

        Raises:
            NobodyWaitsError: If `stop` said so.
            ClusterUnavailableError: If there is nobody to draw any more.
        """


@dataclass(frozen=True, kw_only=True)
class Here:
    """Draws in the thread that asks."""

    tools: Tools
    """What with; blocks that are decoded once are there for all threads."""

    def draw(self, wanted: Sequence[Wanted], stop: Stop) -> list[Drawn]:
        """Draw tiles."""
        return [_drawn(self.tools, each, stop) for each in wanted]


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Has tiles drawn by a `Runner`: it is sent what they are made of, and gives back what they became.

    So workers need the files of scenes, at the same paths, and neither rights nor catalogue.
    """

    runner: Runner
    roots: tuple[Path, ...]
    """Folders, resolved, below which the worker may open files."""
    quality: Quality
    """What pictures lose."""
    block_megabytes: int
    """For decoded blocks, in each process of a worker."""
    here: Here
    """Draws what lies in a store of objects, whose secrets stay here."""

    def draw(self, wanted: Sequence[Wanted], stop: Stop) -> list[Drawn]:
        """Draw tiles."""
        far = [each for each in wanted if not _in_store(each.tile)]
        drawn = dict(zip(map(id, far), self._sent(far), strict=True)) if far else {}
        near = [each for each in wanted if id(each) not in drawn]
        drawn |= dict(zip(map(id, near), self.here.draw(near, stop), strict=True))
        return [drawn[id(each)] for each in wanted]

    def _sent(self, wanted: Sequence[Wanted]) -> list[Drawn]:
        files = {Path(href) for each in wanted for href in _hrefs(each.tile)}
        commission = Commission(
            packed=pickle.dumps([(each.tile.made(), each.image_format) for each in wanted]),
            files=tuple(sorted(files)),
            roots=self.roots,
            quality=self.quality,
            block_megabytes=self.block_megabytes,
        )
        name = f"{len(wanted)} tiles"
        try:
            drawn: list[Drawn] = self.runner.run(name, draw_there, commission, report=_unheard)
        except IngestError as error:
            return [str(error)] * len(wanted)
        return drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class Commission:
    """What a worker is to draw."""

    packed: bytes
    """Pickled tiles with their formats."""
    files: tuple[Path, ...]
    """Of their scenes: the worker must see the same ones."""
    roots: tuple[Path, ...]
    """As `Elsewhere.roots`."""
    quality: Quality
    """As `Elsewhere.quality`."""
    block_megabytes: int
    """As `Elsewhere.block_megabytes`."""


@dataclass(frozen=True, kw_only=True)
class _Tools:
    """What a worker draws with."""

    reader: FastReader
    quality: Quality


def draw_there(commission: Commission, report: Progress) -> list[Drawn]:
    """Draw what was commissioned; runs on a worker."""
    tools = _Tools(reader=_reader(commission.roots, commission.block_megabytes), quality=commission.quality)
    wanted = [Wanted(*each) for each in pickle.loads(commission.packed)]  # noqa: S301 - of our own client
    drawn = []
    for number, each in enumerate(wanted):
        report("drawing", number / len(wanted))
        drawn.append(_drawn(tools, each, never))
    return drawn


@lru_cache(maxsize=1)
def _reader(roots: tuple[Path, ...], block_megabytes: int) -> FastReader:
    """Give the reader of this process: batches that follow one another share their blocks."""
    files = SceneFiles(roots=roots)
    return FastReader(
        reference=RioTilerReader(files=files),
        blocks=BlockCache(block_megabytes * 1_000_000),
        files=files,
        most_files=_MOST_FILES,
    )


def _drawn(tools: Tools, wanted: Wanted, stop: Stop) -> Drawn:
    try:
        return make_tile(tools, wanted.tile, wanted.image_format, stop)
    except NobodyWaitsError:
        raise
    except MosaicsError as error:
        return str(error) or type(error).__name__
    except Exception as error:
        log.exception("tile_not_drawn")
        return f"unexpected: {type(error).__name__}"


def _in_store(tile: ResolvedTile) -> bool:
    """Tell whether any file of a tile's scenes is an object."""
    return any(map(is_object, _hrefs(tile)))


def _hrefs(tile: ResolvedTile) -> list[str]:
    """Give where the files of a tile's scenes are."""
    return [view.href for contribution in tile.contributions for view in contribution.scene.views]


def _unheard(_stage: str, _done: float) -> None:
    """Progress is told by tiles that are done."""
