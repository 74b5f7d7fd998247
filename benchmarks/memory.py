"""How much memory workers take while maps are looked at for long: samples of it, and what they come to."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.addresses import NDVI, STRETCHED, address
from benchmarks.data import Scene
from benchmarks.load import replay
from benchmarks.servers import Engine
from benchmarks.traces import Viewport, tours

BAR_MEGABYTES: Final = 700
"""What no worker may ever hold."""
FLAT: Final = 0.5
"""Megabytes a minute: a line that rises less, fitted to what comes after warm-up, is flat."""
WARM_UP: Final = 1 / 3
"""Share of the time in which caches may fill."""
EVERY_SECONDS: Final = 5.0
ZOOMS: Final = range(12, 20)
"""A scene is some pixels of a tile at the first, native at the last but one."""
LOOKS: Final = (
    STRETCHED,
    NDVI,
    replace(STRETCHED, extension="webp"),
    replace(STRETCHED, style="cir"),
)
"""What users look at in turns: so many different tiles that no cache holds them all."""
_MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What one worker held at an instant."""

    seconds: float
    """Since the first request."""
    pid: int
    resident: int
    """Bytes of RSS: every page in memory that it maps, those it shares with others in full."""
    proportional: int
    """Bytes of PSS: shared pages divided by those who share them."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What the samples of one worker come to; megabytes of RSS unless said."""

    pid: int
    warm: float
    """At the end of the warm-up: median of the five samples around it."""
    end: float
    """Median of the last five samples."""
    largest: float
    slope: float
    """Megabytes a minute after the warm-up (Theil-Sen)."""
    proportional: float
    """PSS, median of the last five samples."""


@dataclass(frozen=True, kw_only=True)
class Endurance:
    """One long session."""

    scenes: int
    minutes: float
    answered: int
    failed: int
    died: int
    """Workers that were gone at the end: what they held is not known."""
    samples: tuple[Sample, ...]

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Sum up each worker, in the order of their process ids."""
        return tuple(
            _summed([each for each in self.samples if each.pid == pid], self.minutes * 60)
            for pid in sorted({each.pid for each in self.samples})
        )

    @property
    def passed(self) -> bool:
        """Tell whether no worker held more than the bar, all stayed flat, and nothing failed."""
        return not (self.failed or self.died) and all(
            worker.largest <= BAR_MEGABYTES and worker.slope <= FLAT for worker in self.workers
        )


def slope(seconds: Sequence[float], values: Sequence[float]) -> float:
    """Fit a line that a few wild samples do not turn: the median of the slopes of all pairs (Theil-Sen).

    Args:
        seconds: When, ascending, no instant twice.
        values: How much.

    Returns:
        By how much values rise in a minute; 0 of fewer than two samples.
    """
    at, held = np.asarray(seconds, float), np.asarray(values, float)
    first, second = np.triu_indices(len(at), 1)
    if not len(first):
        return 0.0
    return 60 * float(np.median((held[second] - held[first]) / (at[second] - at[first])))


def _summed(samples: Sequence[Sample], seconds: float) -> Worker:
    later = [each for each in samples if each.seconds >= seconds * WARM_UP] or samples[-1:]
    before = [each for each in samples if each.seconds < seconds * WARM_UP]
    return Worker(
        pid=samples[0].pid,
        warm=_median([each.resident for each in (*before[-2:], *later[:3])]),
        end=_median([each.resident for each in samples[-5:]]),
        largest=max(each.resident for each in samples) / _MEGABYTE,
        slope=slope([each.seconds for each in later], [each.resident / _MEGABYTE for each in later]),
        proportional=_median([each.proportional for each in samples[-5:]]),
    )


def _median(sizes: Sequence[int]) -> float:
    return statistics.median(sizes) / _MEGABYTE


def held(pid: int) -> tuple[int, int] | None:
    """Give the bytes of RSS and of PSS of a process; None: it is gone.

    The kernel walks the whole address space for it, so both are exact; VmRSS of `status` may lag.
    """
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    found = {
        name: int(value.split()[0]) * 1024
        for name, colon, value in (line.partition(":") for line in text.splitlines())
        if colon and name in {"Rss", "Pss"}
    }
    return (found["Rss"], found["Pss"]) if len(found) == 2 else None


@contextlib.contextmanager
def _sampled(pids: Sequence[int], every: float, began: float) -> Iterator[list[Sample]]:
    """Take samples in a thread until the block ends."""
    samples: list[Sample] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(every):
            for pid in pids:
                now = held(pid)
                if now is not None:
                    at = time.monotonic() - began
                    samples.append(Sample(seconds=at, pid=pid, resident=now[0], proportional=now[1]))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def endure(
    engine: Engine,
    scenes: Sequence[Scene],
    *,
    minutes: float,
    users: int,
    pans: int,
    view: Viewport,
    tell: Callable[[str], None],
) -> Endurance:
    """Look at maps of all scenes, one after the other, again and again at other places.

    Args:
        engine: Our server, new, with its caches as they are by default.
        scenes: What is looked at.
        minutes: How long.
        users: At the same time, each over a connection of its own.
        pans: Of a user at each scene, after zooming in.
        view: What a map shows at once.
        tell: Gets a line each round.
    """
    seconds, began = minutes * 60, time.monotonic()
    pids = engine.workers()
    boxes = [scene.bounds for scene in scenes]
    answered = failed = turn = 0
    with _sampled(pids, min(EVERY_SECONDS, seconds / 30), began) as samples:
        while (left := seconds - (time.monotonic() - began)) > 0:
            turn += 1
            asked = [
                [
                    address("flux", scenes[place], LOOKS[(place + turn) % len(LOOKS)], tile)
                    for place, tile in lane
                ]
                for lane in tours(boxes, ZOOMS, users, pans, view=view, seed=turn)
            ]
            run = replay(engine.port, asked, engine.headers, at_most=left)
            answered, failed = answered + run.answered, failed + run.failed
            latest = [now[0] // _MEGABYTE for pid in pids if (now := held(pid)) is not None]
            tell(f"round {turn}: {run.rate:.0f}/s, {run.failed} failed, workers hold {latest} MB")
    return Endurance(
        scenes=len(scenes),
        minutes=minutes,
        answered=answered,
        failed=failed,
        died=sum(held(pid) is None for pid in pids),
        samples=tuple(samples),
    )
