"""Work that nobody waits for any more ends: what is asked between its steps."""

from __future__ import annotations

from collections.abc import Callable

from mosaics.errors import NobodyWaitsError

Stop = Callable[[], bool]
"""True: nobody wants what is being made any more. Asked often and from several threads: it must be quick."""


def never() -> bool:
    """Say that somebody waits, whatever happens."""
    return False


def go_on(stop: Stop) -> None:
    """Go on, unless nobody waits.

    Raises:
        NobodyWaitsError: If `stop` says so.
    """
    if stop():
        raise NobodyWaitsError
