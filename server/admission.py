"""Who may render next: so many at once, a short queue, and turns that go around between institutions.

A flood of one institution fills its own share of the queue and is refused there; others still find room, and
each turn goes to another who waits. Cached answers never come here.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

_SMOOTHING = 0.1
"""Weight of the newest work in the mean that Retry-After is told from."""
_LONGEST = 30
"""Largest Retry-After, seconds."""


class OverloadedError(Exception):
    """There is no room in the queue."""

    def __init__(self, seconds: int) -> None:
        super().__init__("no room in the queue")
        self.seconds = seconds
        """After so long there should be."""


class DeadlinePassedError(Exception):
    """The request waited as long as it may."""


class _Ticket:
    """One piece of work and where its outcome goes."""

    __slots__ = ("at_once", "outcome", "partition", "work")

    def __init__(
        self,
        partition: str,
        work: Callable[[], Any],
        outcome: asyncio.Future[Any],
        at_once: Callable[[], Any] | None,
    ) -> None:
        self.partition = partition
        self.work = work
        self.outcome = outcome
        self.at_once = at_once


class Admission:
    """Gives threads to work, in turns; of one event loop."""

    def __init__(self, executor: Executor, *, running: int, queue: int) -> None:
        """Start with nothing to do.

        Args:
            executor: With `running` threads or more.
            running: Most work at once.
            queue: Most work that waits.
        """
        self._executor = executor
        self._most_running = running
        self._most_waiting = queue
        self._running = 0
        self._waiting = 0
        self._turns: OrderedDict[str, deque[_Ticket]] = OrderedDict()
        """What waits by partition, none empty; the first has the next turn."""
        self._mean_seconds = 0.0

    @property
    def running(self) -> int:
        """Work in threads now."""
        return self._running

    @property
    def waiting(self) -> int:
        """Work in the queue now."""
        return self._waiting

    async def run(
        self,
        partition: str,
        work: Callable[[], T],
        *,
        at_once: Callable[[], T | None] | None = None,
        begin_by: float | None = None,
    ) -> T:
        """Do work in a thread when its turn comes; who is cancelled before that leaves the queue.

        Args:
            partition: Whose turn it takes.
            work: What to do; once begun it is done to its end.
            at_once: Does the same on the event loop, when the turn comes, in about a millisecond and without
                waiting for anything; or gives None, and then `work` does it.
            begin_by: When it is dropped if it has not begun, seconds of the loop's clock; None: never.

        Raises:
            OverloadedError: If there is no room, or it had to make room for somebody who has less.
            DeadlinePassedError: If it was dropped.
        """
        loop = asyncio.get_running_loop()
        ticket = _Ticket(partition, work, loop.create_future(), at_once)
        if self._running < self._most_running:
            self._start(ticket)
        else:
            self._queue(ticket)
        late = (
            None if begin_by is None else loop.call_at(begin_by, self._refuse, ticket, DeadlinePassedError())
        )
        try:
            outcome: T = await ticket.outcome
            return outcome
        finally:
            self._withdraw(ticket)
            if late is not None:
                late.cancel()

    def _queue(self, ticket: _Ticket) -> None:
        mine = self._turns.get(ticket.partition, ())
        others_wait = self._waiting > len(mine)
        if others_wait and len(mine) >= max(1, self._most_waiting // 2):
            raise OverloadedError(self._seconds())
        if self._waiting >= self._most_waiting:
            self._make_room(len(mine))
        self._turns.setdefault(ticket.partition, deque()).append(ticket)
        self._waiting += 1

    def _make_room(self, mine: int) -> None:
        """Refuse the newest of whoever has most in the queue, for somebody who has clearly less."""
        most = max(self._turns.values(), key=len, default=None)
        if most is None or len(most) <= mine + 1:
            raise OverloadedError(self._seconds())
        self._refuse(most[-1], OverloadedError(self._seconds()))

    def _refuse(self, ticket: _Ticket, error: Exception) -> None:
        """Drop a ticket that has not begun."""
        if self._withdraw(ticket) and not ticket.outcome.done():
            ticket.outcome.set_exception(error)

    def _withdraw(self, ticket: _Ticket) -> bool:
        """Take a ticket out of the queue; False if it is no longer there."""
        waiting = self._turns.get(ticket.partition)
        if waiting is None or ticket not in waiting:
            return False
        waiting.remove(ticket)
        self._waiting -= 1
        if not waiting:
            del self._turns[ticket.partition]
        return True

    def _start(self, ticket: _Ticket) -> None:
        """Begin work whose turn it is.

        What is done on the loop begins with the loop's next round, so that whoever has come by then has a
        place in the queue: turns go around as they do between threads.
        """
        loop = asyncio.get_running_loop()
        self._running += 1
        if ticket.at_once is None:
            self._start_thread(ticket)
        else:
            loop.call_soon(self._do_at_once, ticket, ticket.at_once)

    def _do_at_once(self, ticket: _Ticket, at_once: Callable[[], Any]) -> None:
        if ticket.outcome.done():  # nobody waits for it any more
            self._running -= 1
            self._start_next()
            return
        loop = asyncio.get_running_loop()
        started, done = loop.time(), loop.create_future()
        try:
            found = at_once()
        except Exception as error:  # noqa: BLE001 - it is the outcome, as that of a thread is
            done.set_exception(error)
        else:
            if found is None:
                self._start_thread(ticket)
                return
            done.set_result(found)
        self._ended(ticket, started, done)

    def _start_thread(self, ticket: _Ticket) -> None:
        loop = asyncio.get_running_loop()
        try:
            done = loop.run_in_executor(self._executor, ticket.work)
        except RuntimeError:  # the server is stopping
            self._running -= 1
            if not ticket.outcome.done():
                ticket.outcome.set_exception(OverloadedError(self._seconds()))
            return
        done.add_done_callback(partial(self._ended, ticket, loop.time()))

    def _ended(self, ticket: _Ticket, started: float, done: asyncio.Future[Any]) -> None:
        self._running -= 1
        seconds = asyncio.get_running_loop().time() - started
        self._mean_seconds += _SMOOTHING * (seconds - self._mean_seconds)
        if done.cancelled():
            ticket.outcome.cancel()
        else:
            error = done.exception()
            if ticket.outcome.done():
                pass  # nobody waits for it
            elif error is not None:
                ticket.outcome.set_exception(error)
            else:
                ticket.outcome.set_result(done.result())
        self._start_next()

    def _start_next(self) -> None:
        while self._turns and self._running < self._most_running:
            self._start(self._next())

    def _next(self) -> _Ticket:
        """Take the oldest of the partition whose turn it is, which then waits behind the others."""
        partition, waiting = self._turns.popitem(last=False)
        ticket = waiting.popleft()
        self._waiting -= 1
        if waiting:
            self._turns[partition] = waiting
        return ticket

    def _seconds(self) -> int:
        """Guess when there will be room: when what waits now is done."""
        wait = self._waiting * self._mean_seconds / self._most_running
        return min(_LONGEST, max(1, math.ceil(wait)))
