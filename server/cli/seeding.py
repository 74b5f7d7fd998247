"""Builds what an order to seed needs, and has it done."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

import shapely
from shapely.geometry.base import BaseGeometry

from auth.models import Action
from mosaics.encode import MEDIA_TYPES, Format
from mosaics.grids import Grid, find_grid
from mosaics.layers import Layer
from mosaics.models import Bounds
from server.app import build_services, disk_cache
from server.areas import area_of_box, area_of_file
from server.cli.context import Context, messages
from server.cli.runners import runners
from server.cli.seed_order import Order, check_order
from server.cli.seed_progress import Done, progress, tell
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
from server.seeding.stores import CacheStore, NoStore, TileStore
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


class Seeding:
    """One run of the command; a context manager."""

    def __init__(self, context: Context, order: Order, now: datetime) -> None:
        """Check what was ordered; ends with a message where it can't be meant."""
        check_order(order)
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
        seeder = self._seeder(NoStore(), Here(tools=self._services))
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
        with progress(self._order.layer_id, len(self._plan)) as told:
            tally = seeder.run(at_once, told)
        done = self._finished(store, tally, time.monotonic() - began)
        tell(done, quiet=quiet)
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
        # a file leaves the house: that is another right than to look at tiles here
        action = Action.TILE if order.output is None else Action.EXPORT
        if order.institution is not None:
            return viewer_of_institution(self._context.rights(), order.institution, action, self._now)
        if order.key_id is not None:
            return viewer_of_key(self._context.rights(), order.key_id, action, self._now)
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
            if common.area:  # else the area only touches tiles of the layer
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
            begun = output.with_name(f"{output.name}.part")
            room += begun.stat().st_size if begun.exists() else 0
            where = "the disk has left"
        if needed > room:
            raise ValueError(
                f"{len(self._plan)} tiles take about {needed / 1e6:.0f} MB, and {where} {room / 1e6:.0f} MB: "
                "name an area or fewer zooms, or say --yes"
            )


def _processors() -> int:
    return len(os.sched_getaffinity(0))
