"""Loads modules in less time: nobody looks for cycles among what stays, nor loads what nobody uses."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

_UNUSED: Final = "boto3"
"""rasterio loads it where it is there, for as long as all its own takes; we read objects without it."""


@contextmanager
def loading() -> Iterator[None]:
    """Leave what is loaded within to no collection, then or later."""
    gc.disable()
    is_there = _UNUSED in sys.modules
    if not is_there:
        sys.modules[_UNUSED] = cast("Any", None)  # so it is not looked for
    try:
        yield
        gc.freeze()
    finally:
        if not is_there:
            sys.modules.pop(_UNUSED, None)
        gc.enable()
