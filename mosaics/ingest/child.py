"""The child process of the sandbox, `python -m mosaics.ingest.child`: limits itself and answers calls."""

from __future__ import annotations

import importlib
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from mosaics.loading import loading

with loading():
    from mosaics.errors import IngestError
    from mosaics.gdal import DELIVERED_DRIVERS, configure
    from mosaics.heap import give_back
    from mosaics.ingest.processes import end_with_parent

if TYPE_CHECKING:
    from mosaics.ingest.source import Progress

_REPORT_SECONDS: Final = 0.1
_CALLED: Final = (
    "mosaics.ingest.convert",
    "mosaics.ingest.deliveries.raw",
    "mosaics.ingest.examine",
    "rio_cogeo.cogeo",
)
"""Modules of what most children are called for, which they load before the first call comes."""


def serve(connection: Connection) -> None:
    """Answer calls until the other side closes; the child's main loop."""
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        connection.send(_answer(function, arguments, _reporter(connection)))
        give_back()


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...], report: Progress) -> tuple[str, Any]:
    try:
        return "done", function(*arguments, report)
    except IngestError as error:
        return "refused", str(error)
    except MemoryError:
        return "memory", None
    except Exception:  # noqa: BLE001 - whatever it is, the parent must hear of it
        return "failed", traceback.format_exc()


def _reporter(connection: Connection) -> Progress:
    last = 0.0

    def report(stage: str, fraction: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _REPORT_SECONDS or fraction >= 1:
            last = now
            connection.send(("progress", (stage, fraction)))

    return report


def main(arguments: list[str]) -> None:
    """Limit this process and serve calls.

    Args:
        arguments: File descriptor of the connection, bytes of memory, megabytes of GDAL's cache.
    """
    descriptor, memory_bytes, cache_megabytes = (int(argument) for argument in arguments)
    end_with_parent()
    # a Ctrl-C at the terminal reaches both; the parent decides and ends this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    configure(cache_megabytes, DELIVERED_DRIVERS)
    with loading():
        for module in _CALLED:
            importlib.import_module(module)
    connection = Connection(descriptor)
    try:
        connection.send("ready")
        serve(connection)
    except (BrokenPipeError, ConnectionResetError):
        return  # the parent is gone


if __name__ == "__main__":
    main(sys.argv[1:])
