"""One making for all who ask for the same at the same time; it lasts as long as somebody waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from server.admission import DeadlinePassedError, OverloadedError

T = TypeVar("T")

_REMEMBERED_SECONDS = 1.0


@dataclass
class Flight:
    """What the work knows of those who wait for it."""

    begun: bool = False
    """Set by the work when it no longer only waits for its turn."""
    stopped: bool = False
    """True when nobody waits any more; looked at between scenes, in another thread."""
    waiting: int = 0

    def begin(self) -> None:
        """Say that the work goes on from here."""
        self.begun = True

    def is_stopped(self) -> bool:
        """Tell whether nobody wants the result any more."""
        return self.stopped


Make = Callable[[Flight], Coroutine[Any, Any, T]]


@dataclass
class SingleFlight(Generic[T]):
    """Of one event loop; keys are content keys."""

    clock: Callable[[], float] = time.monotonic
    _flights: dict[str, tuple[Flight, asyncio.Task[T]]] = field(default_factory=dict)
    _failed: dict[str, tuple[float, Exception]] = field(default_factory=dict)
    """When and how work failed, oldest first."""

    async def do(self, key: str, make: Make[T], *, deadline: float | None = None) -> T:
        """Give what `make` makes, or what somebody else is having made under the same key.

        Who is cancelled leaves the others their work. When the last one leaves, work that has not begun is
        dropped and work that has is told to stop; only a deadline lets begun work end, so that who asks again
        finds it.

        Args:
            key: What is made.
            make: Makes it; runs at most once at a time for a key.
            deadline: When this caller no longer waits, seconds of the loop's clock; None: it does.

        Raises:
            DeadlinePassedError: If the deadline came first.
            Exception: What `make` raises, also to who asks within a second.
        """
        while True:
            task = self._flights.get(key)
            led = task is None
            try:
                return await self._wait(key, *(task or self._begun(key, make)), deadline)
            except OverloadedError:
                # the leader's institution had no room; a follower's may have
                if led:
                    raise

    def _begun(self, key: str, make: Make[T]) -> tuple[Flight, asyncio.Task[T]]:
        failed = self._failed.get(key)
        if failed is not None and self.clock() - failed[0] < _REMEMBERED_SECONDS:
            raise failed[1].with_traceback(None)
        flight = Flight()
        task = asyncio.get_running_loop().create_task(make(flight))
        self._flights[key] = flight, task
        task.add_done_callback(partial(self._landed, key))
        return flight, task

    async def _wait(self, key: str, flight: Flight, task: asyncio.Task[T], deadline: float | None) -> T:
        late = False
        flight.waiting += 1
        try:
            left = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
            await asyncio.wait((task,), timeout=left)
            late = not task.done()
        finally:
            flight.waiting -= 1
            if not flight.waiting and not task.done() and not (late and flight.begun):
                flight.stopped = True
                task.cancel()
                self._forget(key, task)
        if late:
            raise DeadlinePassedError
        return task.result()

    def _landed(self, key: str, task: asyncio.Task[T]) -> None:
        self._forget(key, task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception) and not isinstance(error, OverloadedError):
            now = self.clock()
            for old in [k for k, (at, _) in self._failed.items() if now - at >= _REMEMBERED_SECONDS]:
                del self._failed[old]
            self._failed[key] = now, error

    def _forget(self, key: str, task: asyncio.Task[T]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight[1] is task:
            del self._flights[key]
