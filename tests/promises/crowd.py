"""Many clients at once, each on a kept line that it makes anew when it breaks; all is written down."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

PATIENCE = 30.0
"""Seconds that a client waits for an answer, or for a server that can be reached again."""


@dataclass(frozen=True)
class Shown:
    """Whom an answer is counted for, and how it is asked for."""

    institution: str
    key: str
    """The id of the key, or `-`."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Tally:
    """What clients got, by whom it is counted for."""

    complete: Counter[Shown] = field(default_factory=Counter)
    """Whole answers of status 200."""
    broken: Counter[Shown] = field(default_factory=Counter)
    """Asked, and the line broke before the answer was whole: nobody knows whether it was counted."""
    refused: Counter[int] = field(default_factory=Counter)
    """Other answers by status."""
    retry_after: set[str | None] = field(default_factory=set)
    """What those of 429 and 503 said."""
    size: int = 0
    """Bytes of whole answers."""

    @property
    def asked(self) -> int:
        return sum(map(sum, (self.complete.values(), self.broken.values(), self.refused.values())))


class Crowd:
    """Clients that ask until they are told to stop, or have asked enough."""

    def __init__(
        self, port: int, wishes: Sequence[tuple[Shown, str]], *, clients: int, limit: int | None = None
    ) -> None:
        self.port = port
        self.wishes = wishes
        self.limit = limit
        self.tally = Tally()
        self.clients = clients
        self.in_vain = [0] * clients
        """How often each client was refused since it last got something."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._given_out = 0
        self.failures: list[BaseException] = []

    @contextmanager
    def asking(self) -> Iterator[Crowd]:
        """Let them ask until the block ends."""
        threads = [threading.Thread(target=self._client, args=(n,)) for n in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(PATIENCE * 2)
        assert not self.failures, self.failures

    @property
    def done(self) -> bool:
        return self.limit is not None and self.tally.asked >= self.limit

    def wait(self, until: Callable[[], bool], seconds: float) -> None:
        """Wait until something is so, or the clients have asked enough."""
        deadline = time.monotonic() + seconds
        while not until() and not self.done:
            assert time.monotonic() < deadline, f"only {self.tally.asked} requests in {seconds} s"
            time.sleep(0.01)

    def stop(self) -> None:
        """Let nobody ask any more; who is on a broken line gives up."""
        self._stop.set()

    def _next(self) -> bool:
        with self._lock:
            self._given_out += 1
            return not self._stop.is_set() and (self.limit is None or self._given_out <= self.limit)

    def _client(self, number: int) -> None:
        chance = random.Random(number)
        line: http.client.HTTPConnection | None = None
        try:
            while self._next():
                shown, path = chance.choice(self.wishes)
                line = line or self._connect()
                if line is None:
                    return
                if not self._ask(line, number, shown, path):
                    line.close()
                    line = None
        except BaseException as error:  # noqa: BLE001 - told by the block
            self.failures.append(error)
        finally:
            if line is not None:
                line.close()

    def _connect(self) -> http.client.HTTPConnection | None:
        """Reach the server, however long it is down; None: it was told to stop meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while True:
            line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            try:
                line.connect()
            except OSError:
                if self._stop.is_set():
                    return None
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return line

    def _ask(self, line: http.client.HTTPConnection, number: int, shown: Shown, path: str) -> bool:
        try:
            line.request("GET", path, headers=dict(shown.headers))
            reply = line.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException):
            with self._lock:
                self.tally.broken[shown] += 1
            return False
        whole = len(body) == int(reply.getheader("Content-Length") or -1)
        with self._lock:
            if reply.status == 200 and whole:
                self.in_vain[number] = 0
                self.tally.complete[shown] += 1
                self.tally.size += len(body)
            elif whole:
                self.in_vain[number] += 1
                self.tally.refused[reply.status] += 1
                if reply.status in {429, 503}:
                    self.tally.retry_after.add(reply.getheader("Retry-After"))
            else:
                self.tally.broken[shown] += 1
        return whole and not reply.will_close
