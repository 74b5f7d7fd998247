"""Folders that the workers of one server share while it runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from mosaics.tiff.shelf import LOCK
from server.settings import Settings

log = structlog.get_logger(__name__)

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - each server makes a folder of its own in it, for its user alone
"""A file system that lies in memory, on Linux."""
CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
"""Where a container reads how much memory it may use."""
_PREFIX: Final = "flux-blocks-"
_LEAST_MEGABYTES: Final = 64
"""Room below which sharing blocks is not worth its while."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What workers share; a worker that is alone shares nothing."""

    metrics: Path | None = None
    """Where they count."""
    blocks: Path | None = None
    """Where decoded blocks of scenes are; None: each worker has its own."""
    block_bytes: int = 0
    """Room for them."""


ALONE: Final = Shared()


@contextlib.contextmanager
def shared_folders(settings: Settings, memory: Path = MEMORY) -> Iterator[Shared]:
    """Make the folders, and take them away in the end; those of servers that died are taken away now."""
    metrics = make_metrics_folder(settings.home)
    try:
        with _block_folder(settings, memory) as (blocks, size):
            yield Shared(metrics=metrics, blocks=blocks, block_bytes=size)
    finally:
        shutil.rmtree(metrics, ignore_errors=True)


def make_metrics_folder(home: Path) -> Path:
    """Make an empty folder for this server's counters, and clear what dead servers left."""
    parent = home / "run"
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob("metrics-*"):
        if not Path(f"/proc/{left.name.removeprefix('metrics-')}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = parent / f"metrics-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def _block_folder(settings: Settings, memory: Path) -> Iterator[tuple[Path | None, int]]:
    """Make a folder for decoded blocks, and give the room for them; none where there is too little.

    Its lock is held by this process and by all that it forks, so that nobody takes it away while one lives.
    """
    wanted = settings.tiles.shared_block_megabytes
    if not wanted or settings.http.workers < 2 or not memory.is_dir():
        yield None, 0
        return
    clear_abandoned(memory)
    room = room_megabytes(memory)
    megabytes = min(wanted, room)
    if megabytes < wanted:
        log.warning("little_shared_memory", folder=str(memory), megabytes=room, wanted=wanted)
    if megabytes < _LEAST_MEGABYTES:
        yield None, 0
        return
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=memory))
    with (folder / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield folder, megabytes * 1_000_000
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def room_megabytes(memory: Path) -> int:
    """Give what may be used of a file system in memory.

    That is what is free, less a fifth for others, and no more than an eighth of what this machine, or this
    container, has: it is taken from there.
    """
    free = os.statvfs(memory)
    return int(min(free.f_bavail * free.f_frsize * 0.8, memory_bytes() / 8) / 1_000_000)


def memory_bytes(limit: Path = CGROUP_LIMIT) -> int:
    """Give the memory of the machine, or what its control group (version 2) leaves of it."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # no such group, or it says max
        return min(whole, int(limit.read_text()))
    return whole


def clear_abandoned(memory: Path) -> None:
    """Take away the folders of servers of this user of which no process lives."""
    for folder in memory.glob(f"{_PREFIX}*"):
        try:
            with (folder / LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # somebody lives, or it is another user's
            continue
