"""One worker process: an event loop, the HTTP server and the application."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import cv2
import numexpr
import structlog
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from mosaics.heap import steady_heap
from server.app import create_app
from server.database import connect
from server.settings import Settings
from server.shared import Shared

log = structlog.get_logger(__name__)

UNREADY_SECONDS = 0.3
"""How long a worker that was told to stop still answers everything, but says that it is not ready."""


def run(settings: Settings, port: int, shared: Shared) -> None:
    """Serve until SIGTERM; every worker listens on the same port (SO_REUSEPORT)."""
    steady_heap()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, port, shared))


def one_thread_each() -> None:
    """Keep libraries from starting threads of their own: tiles are made in several threads already."""
    cv2.setNumThreads(1)
    numexpr.set_num_threads(1)


def server_of(asgi: Callable[[Any, Any, Any], Awaitable[None]], address: str, port: int) -> Server:
    """Give the HTTP server of one process over an ASGI application; others may listen on the same port."""
    return Server(
        asgi,
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.auto,
        http1_settings=HTTP1Settings(header_read_timeout=10_000),
        websockets=False,
        log_enabled=False,
        backlog=1024,
    )


async def _serve(settings: Settings, port: int, shared: Shared) -> None:
    one_thread_each()
    engine = connect(settings.database_url, settings.home)
    application = create_app(settings, engine, shared)
    server = server_of(application.asgi, settings.http.host, port)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        application.readiness.draining = True
        loop.call_later(UNREADY_SECONDS, server.stop)

    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the supervisor says when
    orphan = loop.create_task(_stop_without_parent(stop))
    try:
        await server.serve()
    finally:
        orphan.cancel()


async def _stop_without_parent(stop: Callable[[], None]) -> None:
    """Stop when the supervisor is gone, so that no worker outlives it."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells us but looking
        await asyncio.sleep(1)
    stop()
