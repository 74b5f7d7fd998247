"""Where `bank` has doubtful files read: in child processes of its own, or by the workers of a cluster."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mosaics.ingest.sandbox import Limits, Sandbox
from server.cli.context import USAGE, fail

if TYPE_CHECKING:
    from mosaics.ingest.runner import Runner

_ADDRESS: Final = re.compile(r"(tcp|tls)://([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")


_MOST_THREADS: Final = 4
"""For one image: each takes some of the memory that its process may have."""


def here(jobs: int | None) -> Sandbox:
    """Give what reads files on this machine; a context manager, which starts it.

    Args:
        jobs: How many files are read at the same time, each by one of these; None: one.
    """
    share = max(1, min(len(os.sched_getaffinity(0)) // (jobs or 1), _MOST_THREADS))
    return Sandbox(Limits(threads=share))


@contextmanager
def runners(scheduler: str | None, jobs: int | None) -> Iterator[tuple[Callable[[], Runner], int]]:
    """Give what makes runners, and how many jobs to do at the same time.

    Args:
        scheduler: Address of a dask cluster's scheduler; None: files are read on this machine.
        jobs: How many were asked for; None: one here, or as many as the cluster has threads.

    Raises:
        ClusterUnavailableError: If the cluster can't be used.
    """
    if scheduler is None:
        yield lambda: here(jobs), jobs or 1
        return
    if not _ADDRESS.fullmatch(scheduler):
        fail(f"--scheduler {scheduler!r} is not like tls://scheduler.example.org:8786, or tcp://...", USAGE)
    try:
        from mosaics.ingest.cluster import ClusterRunner  # noqa: PLC0415 - the library is optional
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"dask", "distributed"}:
            raise
        fail("--scheduler needs dask, which is not installed: pip install 'dinamis-flux[cluster]'", USAGE)
    with ClusterRunner(scheduler) as runner:
        yield lambda: runner, jobs or runner.slots
