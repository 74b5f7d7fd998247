"""Modules as syntax trees, for tests that read the code."""

from __future__ import annotations

import ast
import gc
from pathlib import Path


def tree_of(path: Path) -> ast.Module:
    """Parse a module, with no collection of garbage meanwhile.

    Before Python 3.11.8 the depth of a tree under construction is counted in one place for all threads. A
    collection in between may run a finalizer, or let another thread run; where that parses too, as printing a
    traceback does, the count is wrong and a SystemError says so (CPython's issue 106905).
    """
    text = path.read_text(encoding="utf-8")
    collecting = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(text)
    finally:
        if collecting:
            gc.enable()
