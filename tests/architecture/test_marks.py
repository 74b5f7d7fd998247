"""Whoever tells a checker to look away says why: every `noqa`, `type: ignore` and `pragma` has its reason."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = ("auth", "benchmarks", "mosaics", "scripts", "server", "tests")
MARK = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma)\b", re.IGNORECASE)
WITH_REASON = re.compile(
    r"# (?:noqa: [A-Z]+\d+(?:, [A-Z]+\d+)* - |type: ignore\[[a-z, -]+\] # |pragma: [a-z ]+ - )\w.+"
)


def unexplained(text: str) -> Iterator[str]:
    """Give the marks of a module that say no reason."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            for mark in MARK.finditer(token.string):
                if not WITH_REASON.match(token.string, mark.start()):
                    yield f"{token.start[0]}: {token.string[mark.start() :]}"


def modules() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            if not {"node_modules", ".work"} & set(path.parts):
                yield path


def test_every_mark_has_its_reason() -> None:
    found, marked = [], 0
    for path in modules():
        text = path.read_text(encoding="utf-8")
        if MARK.search(text):
            marked += 1
            found += [f"{path.relative_to(ROOT)}:{mark}" for mark in unexplained(text)]
    assert marked > 20, "it looked where there are marks"
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("mark", "explained"),
    [
        ("# noqa: E402", False),
        ("# noqa", False),
        ("# noqa - because", False),
        ("# NOQA:E402", False),
        ("# noqa: E402 -", False),
        ("# noqa: E402 - after the path is set", True),
        ("# noqa: C901, PLR0911 - the rules", True),
        ("# type: ignore", False),
        ("# type: ignore[arg-type]", False),
        ("# type: ignore # mypy is wrong", False),
        ("# type: ignore[no-redef,unused-ignore] # one of the two is there", True),
        ("# pragma: no cover", False),
        ("# pragma: no cover - only on Windows", True),
        ("# a comment about noqa", True),
        ("# type: ignore[arg-type] # as above # noqa: E501", False),
    ],
)
def test_a_mark_without_a_reason_is_found(mark: str, explained: bool) -> None:
    assert bool(list(unexplained(f'"""# noqa"""\nx = 1  {mark}\n'))) is not explained
