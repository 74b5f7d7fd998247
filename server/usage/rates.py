"""How fast is too fast: the generic cell rate algorithm over a table that all workers of a machine share."""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from auth.models import Rate

TABLE_NAME: Final = "rates.table"

_SLOT: Final = struct.Struct("<Qd")
_SLOTS: Final = 1 << 16
_PROBES: Final = 32


class RateLimiter(Protocol):
    """Says how long to wait."""

    def take(self, subject: str, rate: Rate, cost: float = 1.0) -> float:
        """Take units of a subject's rate.

        Returns:
            0.0: taken. Else the seconds after which it could be; nothing was taken.
        """
        ...

    def give_back(self, subject: str, rate: Rate, cost: float = 1.0) -> None:
        """Undo a `take`."""
        ...


class SharedRateLimiter:
    """Keeps one number a subject, its theoretical arrival time, in a file that workers map together.

    A lock on the subject's own bytes makes it exact between processes. The clock is the machine's monotonic
    one, which all processes share and nobody can set. The table holds 65 536 subjects that are not at rest;
    the place of one at rest is free.
    """

    def __init__(self, folder: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Open the table of a folder, making it if needed; None: one for this process alone."""
        self._clock = clock
        size = _SLOT.size * _SLOTS
        if folder is None:
            self._descriptor, name = tempfile.mkstemp()
            Path(name).unlink()
        else:
            self._descriptor = os.open(folder / TABLE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.posix_fallocate(self._descriptor, 0, size)
        self._map = mmap.mmap(self._descriptor, size)

    def take(self, subject: str, rate: Rate, cost: float = 1.0) -> float:
        """Take units of a subject's rate."""
        interval = 1.0 / rate.per_second
        tolerance = interval * rate.burst
        word = _word(subject)
        with self._locked(word):
            now = self._clock()
            at, arrival = self._find(word, now)
            # one that asks for more than may ever come at once is served when all of it is there
            ahead = max(arrival, now) + interval * min(cost, rate.burst) - now
            if ahead > tolerance * (1 + 1e-9):
                return ahead - tolerance
            _SLOT.pack_into(self._map, at, word, now + ahead)
            return 0.0

    def give_back(self, subject: str, rate: Rate, cost: float = 1.0) -> None:
        """Undo a `take`."""
        word = _word(subject)
        with self._locked(word):
            at, arrival = self._find(word, self._clock())
            if _SLOT.unpack_from(self._map, at)[0] == word:
                _SLOT.pack_into(self._map, at, word, arrival - min(cost, rate.burst) / rate.per_second)

    def close(self) -> None:
        """Let go of the table."""
        self._map.close()
        os.close(self._descriptor)

    @contextmanager
    def _locked(self, word: int) -> Iterator[None]:
        """Lock all places that a subject may have: those with the same home."""
        place = word % (_SLOTS // _PROBES)
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, place)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, place)

    def _find(self, word: int, now: float) -> tuple[int, float]:
        """Give the place of a subject and its arrival time; else the place whose own is soonest at rest."""
        home = (word % (_SLOTS // _PROBES)) * _PROBES
        best, soonest = 0, float("inf")
        for number in range(home, home + _PROBES):
            held, arrival = _SLOT.unpack_from(self._map, number * _SLOT.size)
            if held == word:
                return number * _SLOT.size, arrival
            if arrival < soonest:
                best, soonest = number * _SLOT.size, arrival
        return best, now


def _word(subject: str) -> int:
    digest = hashlib.blake2b(subject.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1
