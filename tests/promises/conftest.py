"""What the promises share: rights changed beside a running server, and figures shown."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auth.edits import Edit
from auth.store import SqlPolicyStore
from server.database import connect
from tests.server.conftest import started  # noqa: F401 - a fixture

Show = Callable[[str], None]


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    """Give a function that shows a figure, whatever pytest captures."""

    def write(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}\n")

    return write


@contextmanager
def rights_of(home: Path) -> Iterator[Callable[[Edit], None]]:
    """Change the rights of a home from this process, as the command line does from another."""
    engine = connect(None, home)
    store = SqlPolicyStore(engine)

    def change(edit: Edit) -> None:
        assert store.change(edit, actor="test", at=datetime.now(UTC)), "it changed nothing"

    with contextlib.ExitStack() as stack:
        stack.callback(engine.dispose)
        yield change
