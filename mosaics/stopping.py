"""Work that nobody waits for any more ends, and work that may not take long: what is asked between steps."""

from __future__ import annotations

from collections.abc import Callable

from mosaics.errors import NobodyWaitsError

Stop = Callable[[], bool]
"""True: nobody wants what is being made any more. Asked often, before whatever takes more than a fraction of
a millisecond, and from several threads: it must be quick."""


def never() -> bool:
    """Say that somebody waits, whatever happens."""
    return False


def at_once() -> bool:
    """Stop before the first step that takes time, or that waits for anything."""
    return True


def go_on(stop: Stop) -> None:
    """Go on, unless nobody waits.

    Raises:
        NobodyWaitsError: If `stop` says so.
    """
    if stop():
        raise NobodyWaitsError
