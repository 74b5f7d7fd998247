"""How a process keeps memory and gives it back: settings of glibc; other C libraries are left alone."""

from __future__ import annotations

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of glibc's malloc.h."""
_KEPT_BYTES = 64 << 20
"""Free memory at the end of the heap that is not given back."""
_LARGEST_KEPT_BYTES = 32 << 20
"""Arrays of up to so many bytes are taken from the heap; the most that glibc allows."""


def steady_heap() -> None:
    """Let all threads allocate from one heap that keeps its pages; called before the first thread starts.

    With an arena of glibc's for each thread, decoded blocks come and go between tiles that stay, and each
    keeps the holes: 100 MB and more (docs/benchmarks.md). And arrays of a tile, some megabytes each, would be
    mapped and given back every time: clearing their pages takes as long as the tile. glibc keeps them by
    itself only once a larger array was freed, as in workers with large catalogues.
    """
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """Give back what is free within the heaps of all threads.

    Reading a large catalogue leaves tens of megabytes of it, a step of banking hundreds, in heaps of threads
    that the next step does not use.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
