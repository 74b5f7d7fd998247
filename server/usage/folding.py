"""Brings the workers' counters into the store, each increment exactly once, whoever dies when."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

from auth.usage import Counts, LeaseKey, UsageRecord, UsageStore
from server.usage.counters import (
    SUFFIX,
    CounterFile,
    CounterFileDamagedError,
    Four,
    Name,
    abandoned,
    read_counters,
)

log = structlog.get_logger(__name__)

LEASE: Final = "lease"
"""First word of the names whose first counter is what is left of a lease; the others are usage."""

DAMAGED_SUFFIX: Final = ".damaged"


def fold_own(counters: CounterFile, store: UsageStore, *, last: bool = False) -> None:
    """Fold the counters of this process; `last`: they end here, so what was leased is given back.

    Raises:
        PolicyUnavailableError: If the store does not answer; nothing is lost, it is folded next time.
    """
    _fold(counters.source, counters.values(), store, last=last)


def fold_abandoned(folder: Path, store: UsageStore) -> int:
    """Fold the files of workers that are no more, and remove them; gives how many.

    Killed at any moment, it can be done again: the store knows how far each file was folded, and forgets
    that only after the file is gone.

    Raises:
        PolicyUnavailableError: If the store does not answer.
        OSError: If the folder can't be read.
    """
    ended = 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with abandoned(path) as ours:
            if ours:
                _end(path, store)
                ended += 1
    return ended


def _end(path: Path, store: UsageStore) -> None:
    try:
        source, values = read_counters(path)
    except CounterFileDamagedError as error:
        log.error("counters_damaged", file=path.name, sound=len(error.values))  # noqa: TRY400 - the fault is in the file
        _fold(error.source, error.values, store, last=True)
        path.rename(path.with_name(path.name + DAMAGED_SUFFIX))
        return
    _fold(source, values, store, last=True)
    path.unlink()
    store.forget(source)


def _fold(source: str, values: Mapping[Name, Four], store: UsageStore, *, last: bool) -> None:
    totals = {
        UsageRecord(*name): Counts(*counts)
        for name, counts in values.items()
        if name[0] != LEASE and len(name) == len(UsageRecord._fields)
    }
    unspent = {
        LeaseKey(*name[1:]): counts[0]
        for name, counts in values.items()
        if name[0] == LEASE and len(name) == 3 and counts[0]
    }
    store.fold(source, totals, unspent if last else None)
