"""What runs on a worker of a cluster: calls on doubtful files, each in a child process with limits.

Only a process of dask imports this, and `cluster`, which sends it there.
"""

from __future__ import annotations

import hashlib
import pickle
import platform
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from distributed import Worker, WorkerPlugin, get_worker
from distributed.core import Status

import mosaics
from mosaics.errors import IngestError, NobodyWaitsError
from mosaics.ingest.sandbox import Limits, Sandbox
from mosaics.ingest.shared_files import SeenFile, seen_files, trouble_with

TOPIC: Final = "dinamis-flux"
"""Of the messages about progress; they name the call."""
_REPORT_SECONDS: Final = 0.5
_ALIVE: Final = frozenset({Status.running, Status.paused, Status.closing_gracefully})
_COMPARED: Final = ("distributed", "rasterio", "numpy", "shapely")

Answer = tuple[Literal["done", "refused", "lost"], Any]
"""A `Result`; why there is none; the worker is not the one that was asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call on doubtful files."""

    id: str
    """Unique, for messages about its progress."""
    worker_id: str
    """Of the one worker that may do it: the same files are never written by two."""
    name: str
    """Of the file, for messages."""
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    grows: Callable[[], Any]
    """Another sign of life."""
    files: tuple[SeenFile, ...]
    """What the worker has to see too."""
    patience_seconds: float
    """How long it looks for them."""
    limits: Limits
    """What the child process may take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a function gave."""

    value: Any
    files: tuple[SeenFile, ...]
    """Those that it names, as the worker sees them."""


class SandboxPool(WorkerPlugin):  # type: ignore[misc] # the library is not there for all who check
    """Keeps child processes between calls: starting one takes more than a second, mostly for libraries."""

    def __init__(self) -> None:
        self._idle: deque[tuple[Limits, Sandbox]] = deque()
        self._is_open = True

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - the signature is the library's
        """End those that wait for a call; the others end with theirs."""
        self._is_open = False
        self._end()

    @contextmanager
    def lent(self, limits: Limits) -> Iterator[Sandbox]:
        """Give a child process for one call."""
        try:
            known, sandbox = self._idle.pop()
        except IndexError:
            known, sandbox = limits, Sandbox(limits)
        if known != limits:
            sandbox.close()
            sandbox = Sandbox(limits)
        try:
            yield sandbox  # which ends its process itself where a call went wrong
        finally:
            self._idle.append((limits, sandbox))
            if not self._is_open:
                self._end()

    def _end(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()


def identity(known: str | None, dask_worker: Worker) -> tuple[str, dict[str, str]]:
    """Give the id of a worker and the versions of what it runs; none if it is the known one."""
    return dask_worker.id, {} if dask_worker.id == known else versions()


def versions() -> dict[str, str]:
    """Give the versions that have to be the same everywhere: values travel, and COGs have to agree."""
    digest = hashlib.sha256()
    folder = Path(mosaics.__file__).parent
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("data/**/*.json")]):
        digest.update(f"{path.relative_to(folder)}\n".encode())
        digest.update(path.read_bytes())
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    found |= {name: version(name) for name in _COMPARED}
    try:
        release = version("dinamis-flux")
    except PackageNotFoundError:  # run from a tree that is not installed
        release = "unknown"
    return {"dinamis-flux": f"{release} ({digest.hexdigest()[:8]})", **found}


def in_sandbox(packed: bytes) -> Answer:
    """Do a pickled `Call`, as a task of dask.

    Messages tell whoever asked how far it is. When nobody waits any more, the child process ends.

    Raises:
        NobodyWaitsError: If so.
    """
    worker, call = get_worker(), pickle.loads(packed)  # noqa: S301 - dask runs what its clients send anyway
    if worker.id != call.worker_id:
        return "lost", None
    trouble = trouble_with(call.files, call.patience_seconds)
    if trouble is not None:
        return "refused", (
            f"{call.name}: {trouble}, on the worker {worker.address}; all machines of the cluster need the "
            "same files at the same paths, and the same user"
        )
    check = _checker(worker)

    def grows() -> Any:
        check()
        return call.grows()

    pool = worker.plugins.get(TOPIC)
    if not isinstance(pool, SandboxPool):  # another bank took it away when it was done
        pool = SandboxPool()
        pool.teardown(worker)
    try:
        with pool.lent(call.limits) as sandbox:
            report = _reporter(worker, call.id, check)
            result = sandbox.run(call.name, call.function, *call.arguments, report=report, grows=grows)
    except IngestError as error:
        return "refused", str(error)
    return "done", Result(value=result, files=seen_files(result))


def _checker(worker: Worker) -> Callable[[], None]:
    """Give what stops a task that was cancelled, or whose worker or client has gone."""
    key = worker.get_current_task()

    def check() -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state != "executing" or worker.status not in _ALIVE:
            raise NobodyWaitsError(key)

    return check


def _reporter(worker: Worker, call_id: str, check: Callable[[], None]) -> Callable[[str, float], None]:
    stage_before, last = "", 0.0

    def report(stage: str, fraction: float) -> None:
        nonlocal stage_before, last
        check()
        now = time.monotonic()
        if stage != stage_before or now - last >= _REPORT_SECONDS or fraction >= 1:
            stage_before, last = stage, now
            worker.log_event(TOPIC, {"call": call_id, "stage": stage, "done": float(fraction)})

    return report
