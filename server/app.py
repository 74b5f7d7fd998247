"""Builds the services and the application; the only place that constructs stores, caches and pools."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog

from auth.credentials import Peppers
from auth.models import Rate
from auth.store import SqlPolicyStore
from auth.tokens import TrustedIssuer
from auth.usage import SqlUsageStore, UsageStore
from mosaics.change_look import load_changes
from mosaics.fast import FastReader
from mosaics.grids import load_grids
from mosaics.heap import give_back
from mosaics.indices import load_indices
from mosaics.own_style import OwnStyles
from mosaics.read import RioTilerReader
from mosaics.sensors import load_sensors
from mosaics.stored import StoredBlocks
from mosaics.styles import load_styles
from mosaics.tiff.blocks import BlockCache
from mosaics.tiff.shelf import Shelf
from server.admission import Admission
from server.authentication import Authenticator
from server.cache.base import TileCache
from server.cache.disk import DiskTileCache
from server.cache.layered import LayeredTileCache
from server.cache.memory import MemoryTileCache
from server.cache.single_flight import SingleFlight
from server.catalogue import open_catalogue
from server.decisions import Decisions
from server.dispatcher import Dispatcher
from server.fetch import fetch_json
from server.gateway import Gateway
from server.hits import new_hits
from server.issuers import Issuer, Tokens
from server.metrics import Metrics
from server.pepper import load_peppers
from server.resolutions import Resolutions
from server.routes.health import Readiness
from server.routes.table import routes
from server.routing import Router
from server.scenes import SceneOfItem
from server.services import Services
from server.settings import Settings
from server.shared import ALONE, Shared
from server.snapshots import Knowledge
from server.storage import scene_files
from server.usage.meter import Meter
from server.usage.rates import SharedRateLimiter

log = structlog.get_logger(__name__)

_DESKS = 2
"""Threads for administration and reports."""
_CACHE_THREADS = 2
"""Threads that ask the disk for tiles."""


@dataclass(frozen=True, kw_only=True)
class Application:
    """The ASGI application and the handles its process needs."""

    asgi: Dispatcher
    services: Services
    readiness: Readiness


def build_services(
    settings: Settings, engine: sa.Engine, peppers: Peppers | None = None, shared: Shared = ALONE
) -> Services:
    """Construct what a server, the seeding or a benchmark is made of.

    Args:
        settings: All settings.
        engine: The database, migrated.
        peppers: Secrets of keys; None: from the settings or the home.
        shared: What workers share.
    """
    extra = settings.data_folder
    pool = ThreadPoolExecutor(settings.http.threads, thread_name_prefix="tile")
    desk = ThreadPoolExecutor(_DESKS, thread_name_prefix="desk")
    cache_threads = ThreadPoolExecutor(_CACHE_THREADS, thread_name_prefix="cache")
    cache = MemoryTileCache(settings.tiles.cache_megabytes * 1_000_000)
    sensors = load_sensors(_sub(extra, "sensors"))
    styles, indices = load_styles(_sub(extra, "styles")), load_indices(_sub(extra, "indices"))

    return Services(
        settings=settings,
        knowledge=Knowledge(
            policy_store=SqlPolicyStore(engine),
            catalog=open_catalogue(settings, engine),
            scene_from=SceneOfItem(root=settings.data, sensors=sensors),
            stale_seconds=settings.auth.stale_seconds,
        ),
        peppers=peppers if peppers is not None else load_peppers(settings),
        grids=load_grids(_sub(extra, "grids")),
        sensors=sensors,
        styles=styles,
        indices=indices,
        changes=load_changes(_sub(extra, "changes")),
        own_styles=OwnStyles(styles, indices),
        reader=_reader(settings, shared),
        quality=settings.tiles.quality,
        stored=StoredBlocks(roots=settings.readable_roots, most_files=settings.tiles.open_files),
        decisions=Decisions(),
        resolutions=Resolutions(),
        meter=_meter(settings, SqlUsageStore(engine), desk),
        cache=cache,
        deep_cache=_deep_cache(settings, cache, cache_threads),
        cache_threads=cache_threads,
        flights=SingleFlight(),
        admission=Admission(pool, running=settings.http.threads, queue=settings.http.queue),
        pool=pool,
        desk=desk,
    )


def _deep_cache(settings: Settings, cache: TileCache, executor: Executor) -> TileCache:
    """Put the disk behind the memory, where it is wanted."""
    disk = disk_cache(settings, executor)
    return cache if disk is None else LayeredTileCache(cache, disk)


def disk_cache(settings: Settings, executor: Executor) -> DiskTileCache | None:
    """Build the cache that all workers of a home share; None: none is wanted.

    Args:
        settings: All settings.
        executor: Where tiles are thrown away.
    """
    size = settings.tiles.disk_cache_megabytes * 1_000_000
    return DiskTileCache(settings.tile_cache_folder, size, executor) if size else None


def _reader(settings: Settings, shared: Shared) -> FastReader:
    """Build the reader of this process; its decoded blocks are shared by all threads, and by workers."""
    shelf = None if shared.blocks is None else Shelf(folder=shared.blocks, max_bytes=shared.block_bytes)
    blocks = BlockCache(settings.tiles.block_cache_megabytes * 1_000_000, shelf)
    files = scene_files(settings)
    return FastReader(
        reference=RioTilerReader(files=files),
        blocks=blocks,
        files=files,
        most_files=settings.tiles.open_files,
    )


def _meter(settings: Settings, store: UsageStore, executor: Executor) -> Meter:
    """Build the meter; without a folder to count in it counts in memory."""
    usage = settings.usage
    folder: Path | None = settings.usage_folder
    try:
        settings.usage_folder.mkdir(parents=True, exist_ok=True)
        limiter = SharedRateLimiter(folder)
    except OSError as error:
        log.error("counters_in_memory", error=repr(error))  # noqa: TRY400 - no stack helps a full disk
        folder, limiter = None, SharedRateLimiter(None)
    return Meter(
        store=store,
        limiter=limiter,
        folder=folder,
        executor=executor,
        key_rate=_rate(usage.key_rate, usage.key_burst),
        institution_rate=_rate(usage.institution_rate, usage.institution_burst),
    )


def _rate(per_second: float | None, burst: int) -> Rate | None:
    return None if per_second is None else Rate(per_second=per_second, burst=burst)


def create_app(settings: Settings, engine: sa.Engine, shared: Shared = ALONE) -> Application:
    """Build the application of one worker.

    Args:
        settings: All settings.
        engine: The database, migrated; opened in this process.
        shared: What it shares with other workers.
    """
    services = build_services(settings, engine, shared=shared)
    readiness = Readiness(services)
    metrics = Metrics(shared.metrics)
    issuer_threads = ThreadPoolExecutor(len(settings.auth.issuers) or 1, thread_name_prefix="issuer")
    tokens = _tokens(settings, issuer_threads, metrics)

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(services.pool, services.knowledge.refresh)
        await loop.run_in_executor(services.pool, give_back)
        tasks = [
            loop.create_task(each) for each in (_poll(services, metrics), _fold(services), tokens.prepare())
        ]
        try:
            yield
        finally:
            readiness.draining = True
            for task in tasks:
                task.cancel()
            await loop.run_in_executor(services.pool, services.meter.close)
            services.pool.shutdown(wait=True)
            services.cache_threads.shutdown(wait=True, cancel_futures=True)
            issuer_threads.shutdown(wait=False, cancel_futures=True)
            services.desk.shutdown(wait=True, cancel_futures=True)
            engine.dispose()

    table = routes(metrics, readiness)
    remembering = settings.tiles.memo_entries > 0
    asgi = Dispatcher(
        services,
        Router(routes=table),
        Authenticator(peppers=services.peppers, tokens=tokens, gateway=_gateway(settings, metrics)),
        metrics,
        lifespan,
        hits=new_hits(settings, services.knowledge, services.meter, services.stored, table)
        if remembering
        else None,
    )
    return Application(asgi=asgi, services=services, readiness=readiness)


def _tokens(settings: Settings, executor: Executor, metrics: Metrics) -> Tokens:
    """Build what checks tokens; without issuers it refuses each."""
    return Tokens(
        [
            Issuer(
                trusted=TrustedIssuer(
                    url=each.issuer, audience=each.audience, algorithms=frozenset(each.algorithms)
                ),
                jwks_url=each.jwks_url,
                executor=executor,
                fetch=fetch_json,
                fetched=metrics.issuer_fetched,
                between_seconds=each.refetch_seconds,
                oldest_seconds=each.keys_max_age_seconds,
            )
            for each in settings.auth.issuers
        ]
    )


def _gateway(settings: Settings, metrics: Metrics) -> Gateway:
    """Build what reads a portal's headers; without settings it believes none."""
    gateway = settings.gateway
    if gateway.secret is None:
        return Gateway(dropped=metrics.gateway_dropped)
    return Gateway(
        dropped=metrics.gateway_dropped,
        networks=tuple(gateway.networks),
        secret_header=gateway.secret_header,
        secret=gateway.secret.get_secret_value().encode("ascii"),
    )


async def _poll(services: Services, metrics: Metrics) -> None:
    """Ask each second whether rights or catalogue changed, in a thread of its own."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="poll") as pool:
        while True:
            await asyncio.sleep(services.settings.auth.poll_seconds)
            metrics.flush()
            await loop.run_in_executor(pool, services.knowledge.refresh)


async def _fold(services: Services) -> None:
    """Bring what was counted into the database every few seconds, in a thread of its own."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="fold") as pool:
        while True:
            await asyncio.sleep(services.settings.usage.fold_seconds)
            services.meter.turn_day()
            await loop.run_in_executor(pool, services.meter.fold)


def _sub(folder: Path | None, name: str) -> Path | None:
    return folder / name if folder is not None and (folder / name).is_dir() else None
