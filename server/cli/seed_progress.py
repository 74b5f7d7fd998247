"""How far seeding is, and what came of it, told to people and programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from server.cli.context import messages
from server.seeding.work import Tally

_TOLD: Final = 5
"""Reasons of failures that are told."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of it."""

    tally: Tally
    """What became of the tiles."""
    seconds: float
    """How long it took."""
    output: Path | None = None
    """The file that was written; None: none was."""
    output_bytes: int = 0
    """Of the file."""

    def document(self) -> dict[str, Any]:
        """Write it for programs."""
        tally = self.tally
        document: dict[str, Any] = {
            "made": tally.made,
            "there": tally.there,
            "empty": tally.empty,
            "failed": tally.failed,
            "bytes": tally.size_bytes,
            "seconds": round(self.seconds, 2),
            "reasons": dict(tally.reasons.most_common()),
        }
        if self.output is not None:
            document |= {"file": str(self.output), "file_bytes": self.output_bytes}
        return document


@contextmanager
def progress(name: str, total: int) -> Iterator[Callable[[Tally], None]]:
    """Show how far it is, how fast and for how long; give what is told of it."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with Progress(*columns, console=messages, transient=True, disable=not sys.stderr.isatty()) as bars:
        bar = bars.add_task(name, total=total, rate="")

        def told(tally: Tally) -> None:
            rate = tally.total / max(time.monotonic() - began, 1e-3)
            failed = f", {tally.failed} failed" if tally.failed else ""
            bars.update(bar, completed=tally.total, rate=f"{rate:.0f}/s{failed}")

        yield told


def tell(done: Done, *, quiet: bool) -> None:
    """Say what came of it; where a program reads it, only why tiles failed."""
    tally = done.tally
    for reason, count in tally.reasons.most_common(_TOLD):
        messages.print(f"{count} tiles failed: {reason}", style="red", markup=False, soft_wrap=True)
    if quiet:
        return
    messages.print(
        f"{tally.made} tiles made ({tally.size_bytes / 1e6:.1f} MB), {tally.there} there already, "
        f"{tally.empty} empty, {tally.failed} failed, in {done.seconds:.0f} s",
        markup=False,
        soft_wrap=True,
    )
    if done.output is not None:
        messages.print(
            f"{done.output} written, {done.output_bytes / 1e6:.1f} MB", markup=False, soft_wrap=True
        )
