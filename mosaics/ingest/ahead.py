"""Does something with one item after the other in threads, a little further than the caller has come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_threads(
    items: Iterable[Item], workers: Sequence[Callable[[Item], Made]]
) -> Generator[tuple[Item, Made]]:
    """Give what workers make of items, in the order of these.

    Args:
        items: What there is to do.
        workers: One for each thread, so that it need not be safe between threads; they take turns.

    Yields:
        Each item and what was made of it. By then its worker may be at its next item, but not at the one
        after that.
    """
    with ExitStack() as stack:
        threads = cycle(
            [
                (worker, stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="ahead")))
                for worker in workers
            ]
        )
        coming: deque[tuple[Item, Future[Made]]] = deque()
        for item in items:
            worker, thread = next(threads)
            coming.append((item, thread.submit(worker, item)))
            if len(coming) > len(workers):
                before, making = coming.popleft()
                yield before, making.result()
        for before, making in coming:
            yield before, making.result()
