"""What the tests of the sandbox call in it: little to load, in less time than a call may stall."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from mosaics.errors import IngestError

Report = Callable[[str, float], None]


def double(number: int, report: Report) -> int:
    report("working", 0.5)
    report("working", 1.0)
    return 2 * number


def refuse(reason: str, report: Report) -> None:
    raise IngestError(reason)


def break_down(report: Report) -> None:
    raise LookupError("unforeseen")


def die(number: int, report: Report) -> None:
    os.kill(os.getpid(), number)


def leave(status: int, report: Report) -> None:
    os._exit(status)


def sleep(seconds: float, report: Report) -> str:
    time.sleep(seconds)
    return "awake"


def write_slowly(path: Path, report: Report) -> str:
    with path.open("wb", buffering=0) as file:
        for _ in range(8):
            file.write(b"x")
            time.sleep(0.25)
    return "written"


def devour(size: int, report: Report) -> int:
    return len(bytearray(size))


def environment(name: str, report: Report) -> str | None:
    return os.environ.get(name)


def process_id(report: Report) -> int:
    return os.getpid()


def answer_late(answer: str, report: Report) -> str:
    report("working", 0.0)
    time.sleep(0.5)
    return answer
