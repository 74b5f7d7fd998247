"""Trees are made with no collection of garbage meanwhile."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.syntax import tree_of

LONG = Path(ast.__file__)


@pytest.fixture
def eager() -> Iterator[None]:
    """Collect at every turn."""
    before = gc.get_threshold()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)


def test_nothing_is_collected_while_a_tree_is_made(eager: None, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    parse = ast.parse

    def collections_in(text: str) -> int:
        begun.clear()
        gc.callbacks.append(note)
        try:
            parse(text)
        finally:
            gc.callbacks.remove(note)
        return len(begun)

    def note(phase: str, _: object) -> None:
        if phase == "start":
            begun.append(phase)

    assert collections_in(LONG.read_text(encoding="utf-8")) > 10, "otherwise it is"
    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", collections_in)
        found = tree_of(LONG)
    assert found == 0
    assert gc.isenabled()
