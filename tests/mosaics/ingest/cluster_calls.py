"""What the tests of clusters have workers do, apart: a child process that loads it must be quick."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from mosaics.errors import IngestError

Report = Callable[[str, float], None]


def double(number: int, report: Report) -> int:
    report("working", 0.25)
    report("resting", 1.0)
    return 2 * number


def refuse(reason: str, report: Report) -> None:
    raise IngestError(reason)


def devour(size: int, report: Report) -> int:
    return len(bytearray(size))


def its_log(report: Report) -> Path:
    return Path("/proc/self/fd/1")


def work_for_long(folder: Path, report: Report) -> None:
    """Tell both processes that work, and go on until somebody ends it."""
    note = folder / "note"
    note.write_text(json.dumps({"worker": os.getppid(), "child": os.getpid()}))
    note.rename(folder / "processes")
    while True:
        time.sleep(0.1)
        report("working", 0.5)
