"""Runs command lines that must be fine, and reads what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.server.conftest import Done, run_all


def fine(home: Path, *lines: list[str]) -> list[Done]:
    done = run_all(home, *lines)
    for line, each in zip(lines, done, strict=True):
        assert (each.status, each.stack) == (0, None), (line, each)
    return done


def rows(done: Done) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def id_in(done: Done) -> str:
    """Give the id that a message ends with."""
    return done.stderr.strip().splitlines()[0].rsplit(" ", 1)[1]
