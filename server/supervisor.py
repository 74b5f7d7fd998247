"""Starts the workers, brings a dead one back, and stops or reloads them; it never gives up on one.

It imports everything before it forks, so that a new worker serves within a fraction of a second; it has no
thread and no event loop of its own.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from server.settings import Settings
from server.shared import Shared

log = structlog.get_logger(__name__)

STOP_SECONDS = 9.0
"""After this long a worker that does not stop is killed."""
_STABLE_SECONDS = 1.0
"""A worker that lived shorter is brought back a little slower, so that a loop of crashes can't spin."""
_SLOW_SECONDS = 0.3
_SETTLE_SECONDS = 1.0
"""At a reload, how long old and new workers serve side by side, and new ones may fail."""
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

Run = Callable[[Settings, int, Shared], None]
"""Serves until told to stop."""


class PortTakenError(Exception):
    """The address can't be listened on."""


@dataclass
class Supervisor:
    """Keeps a number of worker processes alive."""

    settings: Settings
    reload: Callable[[], Settings]
    """Reads the settings anew; raises ValueError if they are wrong."""
    run: Run
    shared: Shared
    """What the workers share."""
    _started: dict[int, float] = field(default_factory=dict, init=False)
    """When each living worker was started, by process id."""
    _leaving: set[int] = field(default_factory=set, init=False)
    """Workers that were told to stop."""
    _due: list[float] = field(default_factory=list, init=False)
    """When workers that died young are to be brought back."""

    def serve(self) -> int:
        """Serve until SIGTERM or SIGINT and give the exit status."""
        port = free_port(self.settings.http.host, self.settings.http.port)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        gc.collect()
        gc.freeze()
        log.info(
            "listening",
            address=f"http://{self.settings.http.host}:{port}",
            workers=self.settings.http.workers,
        )
        for _ in range(self.settings.http.workers):
            self._start(port)
        self._watch(port)
        self._stop_all()
        return 0

    def _watch(self, port: int) -> None:
        while True:
            wait = max(0.0, min(self._due) - time.monotonic()) if self._due else 3600.0
            received = signal.sigtimedwait(_SIGNALS, wait)
            self._reap()
            while self._due and min(self._due) <= time.monotonic():
                self._due.remove(min(self._due))
                self._start(port)
            if received is None:
                continue
            if received.si_signo in {signal.SIGTERM, signal.SIGINT}:
                return
            if received.si_signo == signal.SIGHUP:
                self._reload(port)

    def _start(self, port: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._become_worker(port)
        self._started[pid] = time.monotonic()

    def _become_worker(self, port: int) -> None:
        status = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL if number != signal.SIGHUP else signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self.run(self.settings, port, self.shared)
            status = 0
        except BaseException:
            log.exception("worker_failed")
        finally:
            os._exit(status)

    def _reap(self) -> None:
        """Take note of workers that ended and bring back those that were not told to."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            started = self._started.pop(pid, None)
            if started is None:
                continue
            if pid in self._leaving:
                self._leaving.discard(pid)
                continue
            young = time.monotonic() - started < _STABLE_SECONDS
            log.warning("worker_died", pid=pid, code=os.waitstatus_to_exitcode(status))
            self._due.append(time.monotonic() + (_SLOW_SECONDS if young else 0.0))

    def _reload(self, port: int) -> None:
        """Start workers with the new settings, then let the old ones go; wrong settings change nothing."""
        try:
            fresh = self.reload()
        except ValueError as error:
            log.error("settings_refused", error=str(error))  # noqa: TRY400 - the message says it all
            return
        old, before = set(self._started), self.settings
        self.settings = fresh
        for _ in range(fresh.http.workers):
            self._start(port)
        time.sleep(_SETTLE_SECONDS)
        self._reap()
        self._due.clear()
        new = set(self._started) - old
        if len(new) < fresh.http.workers:
            log.error("settings_refused", error="no worker can start with them")
            self.settings, old = before, new
            for _ in range(before.http.workers - len(set(self._started) - new)):
                self._start(port)
        else:
            log.info("reloaded", workers=fresh.http.workers)
        for pid in old & set(self._started):
            self._leave(pid)

    def _leave(self, pid: int) -> None:
        self._leaving.add(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    def _stop_all(self) -> None:
        for pid in list(self._started):
            self._leave(pid)
        deadline = time.monotonic() + STOP_SECONDS
        while self._started and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.02)
        for pid in self._started:
            log.warning("worker_killed", pid=pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def free_port(host: str, port: int) -> int:
    """Check that the address can be listened on and give the port, a free one for 0.

    Raises:
        PortTakenError: If it can't.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTakenError(f"can't listen on {host} port {port}: {error.strerror}") from error
        return int(probe.getsockname()[1])
