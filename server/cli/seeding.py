"""Seeds as the command line orders it: what is built for it, and how far it is."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

import shapely
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from shapely.geometry.base import BaseGeometry

from mosaics.encode import MEDIA_TYPES, Format
from mosaics.grids import Grid, find_grid
from mosaics.layers import Layer
from mosaics.models import Bounds
from server.app import build_services, disk_cache
from server.areas import area_of_box, area_of_file
from server.cli.context import USAGE, Context, fail, messages
from server.cli.runners import runners
from server.pipeline import TileRequest
from server.seeding.artists import Artist, Elsewhere, Here
from server.seeding.estimate import estimates
from server.seeding.journal import Journal
from server.seeding.plan import (
    OPERATOR,
    Plan,
    Viewer,
    make_plan,
    seen_layer,
    viewer_of_institution,
    viewer_of_key,
)
from server.seeding.stores import CacheStore, TileStore
from server.seeding.work import Seeder, Tally
from server.services import Services

if TYPE_CHECKING:
    from server.seeding.archive import About, ArchiveStore

MOST_TILES: Final = 250_000
"""That are made without being asked whether they are meant."""
_BATCH_FAR: Final = 64
"""Tiles that are sent to a worker at once: about a second of work."""
_ENTRY_BYTES: Final = 4096
"""That a tile takes in the cache beside its bytes, at most."""
_TOLD: Final = 5
"""Reasons of failures that are told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What was ordered, as it was written."""

    layer_id: str
    bbox: tuple[float, float, float, float] | None
    area: Path | None
    zooms: tuple[int | None, int | None]
    grid_id: str
    style: str | None
    time: str | None
    image_format: str
    """`auto`, or an ending of files."""
    institution: str | None
    key_id: str | None
    everything: bool
    output: Path | None
    """A file; None: the cache."""
    incomplete: bool
    jobs: int | None
    scheduler: str | None
    bounded: bool
    """Refuse more tiles than MOST_TILES, and what finds no room."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of it."""

    tally: Tally
    seconds: float
    output: Path | None = None
    """The file that was written; None: none was."""
    output_bytes: int = 0

    def document(self) -> dict[str, Any]:
        """Write it for programs."""
        tally = self.tally
        document: dict[str, Any] = {
            "made": tally.made,
            "there": tally.there,
            "empty": tally.empty,
            "failed": tally.failed,
            "bytes": tally.size_bytes,
            "seconds": round(self.seconds, 2),
            "reasons": dict(tally.reasons.most_common()),
        }
        if self.output is not None:
            document |= {"file": str(self.output), "file_bytes": self.output_bytes}
        return document


class Seeding:
    """One run of the command; a context manager."""

    def __init__(self, context: Context, order: Order, now: datetime) -> None:
        """Check what was ordered; ends with a message where it can't be meant."""
        _check(order)
        self._context, self._order, self._now = context, order, now
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Nothing is open yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of what was opened."""
        self._open.close()

    def estimate(self) -> list[dict[str, Any]]:
        """Tell tiles and bytes of each zoom."""
        seeder = self._seeder(_Nowhere(), Here(tools=self._services))
        return [
            {"zoom": each.zoom, "tiles": each.tiles, "bytes": each.size_bytes} for each in estimates(seeder)
        ]

    def run(self, *, quiet: bool) -> Done:
        """Make what is missing, and tell of it."""
        if self._order.bounded:
            self._check_room()
        began = time.monotonic()
        store = self._store()
        tools = Here(tools=self._services)
        if self._order.scheduler is None:
            at_once, artist, batch = self._order.jobs or _processors(), cast("Artist", tools), 16
        else:
            make, at_once = self._open.enter_context(runners(self._order.scheduler, self._order.jobs))
            artist, batch = self._elsewhere(make(), tools), _BATCH_FAR
        seeder = self._seeder(store, artist, batch)
        with _progress(self._order.layer_id, len(self._plan)) as told:
            tally = seeder.run(at_once, told)
        done = self._finished(store, tally, time.monotonic() - began)
        _tell(done, quiet=quiet)
        return done

    @cached_property
    def _services(self) -> Services:
        services = build_services(self._context.settings, self._context.engine)
        for pool in (services.pool, services.desk, services.cache_threads):
            self._open.callback(pool.shutdown)
        return services

    @cached_property
    def _grid(self) -> Grid:
        return find_grid(self._services.grids, self._order.grid_id)

    @cached_property
    def _area(self) -> BaseGeometry | None:
        order = self._order
        if order.bbox is not None:
            return shapely.from_wkb(area_of_box(*order.bbox).wkb)
        return None if order.area is None else shapely.from_wkb(area_of_file(order.area).wkb)

    @cached_property
    def _viewer(self) -> Viewer:
        order = self._order
        if order.institution is not None:
            return viewer_of_institution(self._context.rights(), order.institution, self._now)
        if order.key_id is not None:
            return viewer_of_key(self._context.rights(), order.key_id, self._now)
        return OPERATOR

    @cached_property
    def _layer(self) -> Layer:
        return seen_layer(self._context.index, self._viewer, self._order.layer_id)

    @cached_property
    def _plan(self) -> Plan:
        order = self._order
        template = TileRequest(
            layer_id=order.layer_id,
            tms_id=self._grid.id,
            z=0,
            x=0,
            y=0,
            image_format=self._image_format,
            style=order.style,
            time=order.time,
        )
        return make_plan(
            self._layer,
            self._viewer,
            self._grid,
            template,
            zooms=order.zooms,
            area=self._area,
            most=MOST_TILES if order.bounded else None,
        )

    @cached_property
    def _image_format(self) -> Format:
        """What is asked for; a file is of one format, `auto` has two."""
        if self._order.image_format != "auto":
            return cast("Format", self._order.image_format)
        if self._order.output is None:
            return "auto-webp"
        styles = self._services.styles
        name = self._layer.style_id(self._order.style) or self._layer.styles[0]
        formats = styles.get(name).formats if name in styles else ()
        return "webp" if not formats or "webp" in formats else cast("Format", formats[0])

    def _seeder(self, store: TileStore, artist: Artist, batch: int = 16) -> Seeder:
        return Seeder(services=self._services, plan=self._plan, store=store, artist=artist, batch=batch)

    def _elsewhere(self, runner: Any, here: Here) -> Elsewhere:
        settings = self._context.settings
        return Elsewhere(
            runner=runner,
            roots=tuple(root for root in settings.readable_roots if isinstance(root, Path)),
            quality=settings.tiles.quality,
            block_megabytes=settings.tiles.block_cache_megabytes,
            here=here,
        )

    def _store(self) -> TileStore:
        settings, output = self._context.settings, self._order.output
        if output is None:
            cache = disk_cache(settings, self._services.cache_threads)
            if cache is None:
                raise ValueError("there is no cache on disk: tiles.disk_cache_megabytes is 0")
            return CacheStore(cache=cache, folder=settings.tile_cache_folder)
        return self._archive(output)

    def _archive(self, output: Path) -> ArchiveStore:
        from server.seeding.archive import ArchiveStore  # noqa: PLC0415 - the library is optional

        about = {
            "layer": self._order.layer_id,
            "style": self._order.style,
            "time": self._order.time,
            "format": self._services.quality.word(self._image_format),
            "for": self._viewer.label,
        }
        journal = Journal(output.absolute(), about)
        self._open.callback(journal.close)
        return ArchiveStore(journal, MEDIA_TYPES[self._image_format])

    def _finished(self, store: TileStore, tally: Tally, seconds: float) -> Done:
        output = self._order.output
        if output is None:
            return Done(tally=tally, seconds=seconds)
        if tally.failed and not self._order.incomplete:
            messages.print(
                f"{output} is not written: {tally.failed} tiles failed. The same again makes only these; "
                "with --incomplete it is written without them",
                style="red",
                markup=False,
                soft_wrap=True,
            )
            return Done(tally=tally, seconds=seconds)
        size = cast("ArchiveStore", store).finish(self._about())
        return Done(tally=tally, seconds=seconds, output=output if size else None, output_bytes=size)

    def _about(self) -> About:
        from server.seeding.archive import About  # noqa: PLC0415 - the library is optional

        layer, order = self._plan.layer, self._order
        bounds = layer.bounds
        if self._area is not None:
            common = shapely.intersection(shapely.box(*bounds), shapely.box(*self._area.bounds))
            bounds = Bounds(*common.bounds)
        zooms = [each.zoom for each in self._plan.tiles if len(each)]
        metadata = {
            "name": layer.title.fr,
            "name:en": layer.title.en,
            "description": layer.collection.description.fr,
            "attribution": layer.attribution,
            "type": "overlay",
            "version": "1.0.0",
            "format": self._image_format,
            "bounds": ",".join(f"{side:.7f}" for side in bounds),
            "minzoom": str(zooms[0]),
            "maxzoom": str(zooms[-1]),
            "flux:layer": order.layer_id,
            "flux:style": order.style or "default",
            "flux:time": order.time,
            "flux:for": self._viewer.label,
            "flux:licences": list(layer.licences),
            "flux:made": self._now.isoformat(timespec="seconds"),
        }
        return About(metadata=metadata, bounds=bounds)

    def _check_room(self) -> None:
        """Refuse what finds no room.

        Raises:
            ValueError: If so.
        """
        settings, output = self._context.settings, self._order.output
        rows = self.estimate()
        size = sum(row["bytes"] for row in rows)
        if output is None:
            needed = size + _ENTRY_BYTES * len(self._plan) if size else 0
            room = settings.tiles.disk_cache_megabytes * 1_000_000
            where = "the cache (tiles.disk_cache_megabytes) holds"
        else:
            needed, room = size, shutil.disk_usage(output.absolute().parent).free
            where = "the disk has left"
        if needed > room:
            raise ValueError(
                f"{len(self._plan)} tiles take about {needed / 1e6:.0f} MB, and {where} {room / 1e6:.0f} MB: "
                "name an area or fewer zooms, or say --yes"
            )


class _Nowhere:
    """Keeps nothing, for estimates."""

    media_type = None
    keeps_ahead = True

    def has(self, place: Any, key: str) -> bool:  # noqa: ARG002 - the signature is that of stores
        """Tell that nothing is kept."""
        return False

    def is_there(self, place: Any) -> None:
        """Do nothing."""

    def keep(self, place: Any, key: str, tile: Any) -> int:  # noqa: ARG002 - the signature is that of stores
        """Keep nothing."""
        return 0


def _check(order: Order) -> None:
    """End with a message where an order can't be meant."""
    if order.bbox is not None and order.area is not None:
        fail("--bbox and --area: one of both", USAGE)
    viewers = (order.institution is not None, order.key_id is not None, order.everything)
    if sum(viewers) > 1:
        fail("--for, --as-key and --everything: one of them", USAGE)
    if order.output is None:
        return
    if not any(viewers):
        fail(
            "--pmtiles needs --for INSTITUTION, --as-key ID or --everything: nothing checks rights once the "
            "file is copied",
            USAGE,
        )
    try:
        from server.seeding.archive import GRID  # noqa: PLC0415 - the library is optional
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pmtiles":
            raise
        fail(
            "--pmtiles needs the library pmtiles, which is not installed: "
            "pip install 'dinamis-flux[pmtiles]'",
            USAGE,
        )
    if order.grid_id != GRID:
        fail(f"--grid {order.grid_id}: PMTiles knows only {GRID}", USAGE)
    if order.output.exists():
        fail(f"{order.output} is there already: remove it, or name another")
    if not order.output.absolute().parent.is_dir():
        fail(f"there is no folder {order.output.parent}")


def _processors() -> int:
    return len(os.sched_getaffinity(0))


@contextmanager
def _progress(name: str, total: int) -> Iterator[Callable[[Tally], None]]:
    """Show how far it is, how fast and for how long; give what is told of it."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with Progress(*columns, console=messages, transient=True, disable=not sys.stderr.isatty()) as bars:
        bar = bars.add_task(name, total=total, rate="")

        def told(tally: Tally) -> None:
            rate = tally.total / max(time.monotonic() - began, 1e-3)
            failed = f", {tally.failed} failed" if tally.failed else ""
            bars.update(bar, completed=tally.total, rate=f"{rate:.0f}/s{failed}")

        yield told


def _tell(done: Done, *, quiet: bool) -> None:
    tally = done.tally
    for reason, count in tally.reasons.most_common(_TOLD):
        messages.print(f"{count} tiles failed: {reason}", style="red", markup=False, soft_wrap=True)
    if quiet:
        return
    messages.print(
        f"{tally.made} tiles made ({tally.size_bytes / 1e6:.1f} MB), {tally.there} there already, "
        f"{tally.empty} empty, {tally.failed} failed, in {done.seconds:.0f} s",
        markup=False,
        soft_wrap=True,
    )
    if done.output is not None:
        messages.print(
            f"{done.output} written, {done.output_bytes / 1e6:.1f} MB", markup=False, soft_wrap=True
        )
