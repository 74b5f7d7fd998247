"""Banks many files and deliveries, some at the same time, and shows how far they are."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from mosaics.errors import IngestError
from mosaics.ingest.bank import Bank
from mosaics.ingest.options import BankOptions, BankResult
from mosaics.ingest.runner import Runner
from mosaics.ingest.visual import VisualMaker
from mosaics.places import ObjectAddress
from mosaics.products.delivery import Delivery
from server.cli.context import messages

_INTERRUPTED: Final = 130
"""Exit status after Ctrl-C."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something to be banked."""

    path: Path | ObjectAddress
    """What was named, or found in a folder."""
    delivery: Delivery | None = None
    """None: a plain image."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one file or delivery."""

    path: Path | ObjectAddress | str
    """Text: what can't be an address."""
    result: BankResult | None
    """None: refused."""
    reason: str = ""
    """Why it was refused, or why its tiles were not drawn."""
    visual: Literal["made", "unchanged", "failed"] | None = None
    """What became of its tiles; None: none were asked for."""

    @property
    def failed(self) -> bool:
        """Something that was asked for was not done."""
        return self.result is None or self.visual == "failed"

    def row(self) -> dict[str, Any]:
        """Give the outcome for programs."""
        result = self.result
        if result is None:
            return {"path": str(self.path), "status": "refused", "reason": self.reason}
        visual: dict[str, str] = {} if self.visual is None else {"visual": self.visual}
        if self.visual == "failed":
            visual["reason"] = self.reason
        return {
            "path": str(self.path),
            "status": result.status,
            "layer": f"{result.collection_id}:{result.scene_id}",
            "collection": result.collection_id,
            "scene": result.scene_id,
            "in_place": result.in_place if result.status == "banked" else None,
            "messages": list(result.messages),
            **visual,
        }


@dataclass(frozen=True, kw_only=True)
class Banking:
    """How jobs are done."""

    bank: Bank
    options: BankOptions
    maker: VisualMaker | None = None
    """Draws tiles ahead; None: none are drawn."""
    tell: Callable[[Outcome], None]
    """Told of each outcome, one at a time."""
    turn: Lock = field(default_factory=Lock)
    """One job at a time draws tiles ahead, which uses all threads by itself, or is told of."""

    def run(self, jobs: Sequence[Job], at_once: int, sandboxes: Callable[[], Runner]) -> Iterator[Outcome]:
        """Do jobs, and give what became of each as it is done.

        Args:
            jobs: The jobs.
            at_once: How many at the same time.
            sandboxes: Makes where the files of one job after the other are read; the bank's own is the first.
        """
        with progress_bars(len(jobs)) as bars:
            if at_once == 1 or len(jobs) == 1:
                with self.bank.sandbox:
                    for job in jobs:
                        yield self._done(job, self.bank, bars)
            else:
                yield from self._run_together(jobs, at_once, sandboxes, bars)

    def _run_together(
        self, jobs: Sequence[Job], at_once: int, sandboxes: Callable[[], Runner], bars: Bars
    ) -> Iterator[Outcome]:
        free = [self.bank.sandbox, *(sandboxes() for _ in range(at_once - 1))]
        every = tuple(free)
        waiting, running = list(reversed(jobs)), dict[Future[Outcome], Runner]()
        pool = ThreadPoolExecutor(at_once, thread_name_prefix="bank")
        try:
            while waiting or running:
                while waiting and free:
                    sandbox = free.pop()
                    bank = replace(self.bank, sandbox=sandbox)
                    running[pool.submit(self._done, waiting.pop(), bank, bars)] = sandbox
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    free.append(running.pop(future))
                    yield future.result()
        except KeyboardInterrupt:
            for sandbox in every:
                sandbox.close()
            os._exit(_INTERRUPTED)  # threads would go on, and clear away what the next run can use
        finally:
            pool.shutdown(cancel_futures=True)
            for sandbox in every:
                sandbox.close()

    def _done(self, job: Job, bank: Bank, bars: Bars) -> Outcome:
        with bars.one(job.path.name) as report:
            outcome = self._banked(job, bank, report)
            if self.maker is not None and outcome.result is not None:
                with self.turn:
                    outcome = _drawn(outcome, outcome.result, self.maker, report)
        with self.turn:
            self.tell(outcome)
        return outcome

    def _banked(self, job: Job, bank: Bank, report: Callable[[str, float], None]) -> Outcome:
        try:
            if job.delivery is not None:
                result = bank.bank_delivery(job.delivery, self.options, report)
            elif isinstance(job.path, ObjectAddress):
                result = bank.bank_object(job.path, self.options, report)
            else:
                result = bank.bank_file(job.path, self.options, report)
        except IngestError as error:
            return Outcome(path=job.path, result=None, reason=str(error))
        return Outcome(path=job.path, result=result)


def _drawn(
    outcome: Outcome, result: BankResult, maker: VisualMaker, report: Callable[[str, float], None]
) -> Outcome:
    """Draw a scene's tiles; where that fails the scene is banked all the same."""
    try:
        visual = maker.make(result.collection_id, result.scene_id, report)
    except IngestError as error:
        return replace(outcome, visual="failed", reason=str(error))
    return replace(outcome, visual=visual)


class Bars:
    """Shows how far the jobs are: one bar for all, one for each at hand."""

    def __init__(self, bars: Progress, count: int) -> None:
        self._bars = bars
        self._all = bars.add_task("all files", total=count, visible=count > 1)

    @contextmanager
    def one(self, name: str) -> Iterator[Callable[[str, float], None]]:
        """Show a bar for one job; give what tells its stage and how far it is."""
        task = self._bars.add_task(f"{name}: starting", total=1.0)

        def report(stage: str, done: float) -> None:
            self._bars.update(task, description=f"{name}: {stage}", completed=done)

        try:
            yield report
        finally:
            self._bars.remove_task(task)
            self._bars.advance(self._all)


@contextmanager
def progress_bars(count: int) -> Iterator[Bars]:
    """Show how far jobs are, where a person is looking."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=messages, transient=True, disable=not sys.stderr.isatty()) as bars:
        yield Bars(bars, count)
