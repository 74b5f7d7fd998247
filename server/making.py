"""A picture under its content key: of memory, drawn ahead, of the disk, or made now, once for all who ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from mosaics.models import EncodedTile
from mosaics.stopping import Stop
from mosaics.stored import Unread
from mosaics.visual import StoredBlock
from server.cache.single_flight import Flight
from server.client import Client
from server.services import Made, Services

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A picture that is wished for."""

    key: str
    """Names its content."""
    make: Callable[[Stop], Made]
    """Makes it, in a thread."""
    at_once: Callable[[], Made | None] | None = None
    """Makes it on the event loop, in about a millisecond and without waiting for anything; or gives None."""
    block: StoredBlock | None = None
    """That it may be, drawn ahead. Then it is kept nowhere else: the system holds its file's pages."""


async def granted(services: Services, wish: Wish, client: Client) -> Made:
    """Give what is kept under a content key, or make it and keep it.

    Raises:
        OverloadedError, DeadlinePassedError, ClientGoneError: See their names.
        Exception: What its making raises.
    """
    found = services.cache.get(wish.key)
    if found is not None:
        return Made(tile=found, cached=True)
    later = wish.block
    if wish.block is not None:
        ahead = services.stored.at_once(wish.block)
        if isinstance(ahead, EncodedTile):
            return Made(tile=ahead, cached=True, stored=True)
        later = wish.block if ahead is Unread.LATER else None
    look = _look(services, wish.key, later)

    async def look_or_make(flight: Flight) -> Made:
        if look is not None:
            kept = await asyncio.get_running_loop().run_in_executor(services.cache_threads, look)
            if kept is not None:
                return kept
        return await _in_its_turn(services, wish, client, flight)

    return await client.wait_for(services.flights.do(wish.key, look_or_make, deadline=client.deadline))


async def in_turn(services: Services, work: Callable[[], T], client: Client) -> T:
    """Do other work on pixels in a thread, when the client's turn comes.

    Raises:
        OverloadedError, DeadlinePassedError, ClientGoneError: See their names.
    """
    turn = services.admission.run(client.partition, work, begin_by=client.deadline)
    return await client.wait_for(turn)


async def _in_its_turn(services: Services, wish: Wish, client: Client, flight: Flight) -> Made:
    def work() -> Made:
        flight.begin()
        made = wish.make(flight.is_stopped)
        if made.tile is not None and made.whole:
            services.deep_cache.put(wish.key, made.tile)
        return made

    def work_at_once() -> Made | None:
        assert wish.at_once is not None, "else nobody asks"
        flight.begin()
        made = wish.at_once()
        if made is not None and made.tile is not None:
            _keep_from_loop(services, wish.key, made.tile)
        return made

    light = None if wish.at_once is None else work_at_once
    return await services.admission.run(client.partition, work, at_once=light)


def _keep_from_loop(services: Services, key: str, tile: EncodedTile) -> None:
    """Keep a tile in memory now and on the disk soon; where that is slow, so were looks before this tile."""
    services.cache.put(key, tile)
    if services.deep_cache is not services.cache:
        with suppress(RuntimeError):  # the server is stopping
            services.cache_threads.submit(services.deep_cache.put, key, tile)


def _look(services: Services, key: str, block: StoredBlock | None) -> Callable[[], Made | None] | None:
    """Give what looks a tile up where that may take a moment; None: there is nowhere to look."""
    deep = services.deep_cache.get if services.deep_cache is not services.cache else None
    if block is None and deep is None:
        return None

    def look() -> Made | None:
        ahead = None if block is None else services.stored.read(block)
        if ahead is not None:
            return Made(tile=ahead, cached=True, stored=True)
        kept = None if deep is None else deep(key)
        return None if kept is None else Made(tile=kept, cached=True)

    return look
