"""A connection to a dask cluster of which every question has a time-out: its workers, and what they are."""

from __future__ import annotations

import logging
import pickle
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pkgutil import resolve_name
from threading import Lock, RLock
from typing import Any, Final

from distributed import Client, Future, Security

from mosaics.errors import ClusterUnavailableError
from mosaics.ingest.cluster_worker import TOPIC, Call, SandboxPool, identity, in_sandbox, versions

_LOG = logging.getLogger(__name__)
_ANSWER_SECONDS: Final = 20.0
_FIRST_ANSWER_SECONDS: Final = 90.0
"""Of a worker that has to load our libraries before it can say anything."""
_WORKER_SECONDS: Final = 20.0
"""How long to wait for a worker where there is none; one that died is back by then."""
_LOOK_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenWorker:
    """A worker that is to do a call."""

    address: str
    id: str
    """Another one when it is started again, be it at the same address."""


class ClusterLink:
    """A client of a scheduler; for many threads at once."""

    def __init__(self, address: str, connect_seconds: float) -> None:
        """Connect; certificates are taken from dask's own configuration.

        Args:
            address: Of the scheduler, such as tls://scheduler.example.org:8786.
            connect_seconds: How long to try.

        Raises:
            ClusterUnavailableError: If there is no scheduler, no worker, or one that runs something else.
        """
        self._address = address
        self._ours = versions()
        self._ids: dict[str, str] = {}
        self._given = Counter[str]()
        self._choosing, self._looking = RLock(), Lock()
        self._looked, self._threads = 0.0, dict[str, int]()
        self._client = _connected(address, connect_seconds)
        try:
            self._check_scheduler()
            self._wait_for_workers()
            self._check_workers()
            self._asked(self._client.register_plugin, SandboxPool(), name=TOPIC)
        except BaseException:
            self.close([])
            raise

    def workers(self) -> dict[str, int]:
        """Give the addresses of the workers and their numbers of threads, as of a second ago at most.

        Raises:
            ClusterUnavailableError: If the scheduler does not answer.
        """
        with self._looking:
            if self._client.status != "running":
                raise self.gone()
            if time.monotonic() - self._looked > _LOOK_SECONDS:
                self._threads = dict(self._asked(self._client.nthreads))
                self._looked = time.monotonic()
            return self._threads

    @contextmanager
    def chosen(self) -> Iterator[ChosenWorker]:
        """Give the worker that has least to do, from us or others, and count it as busy meanwhile.

        Raises:
            ClusterUnavailableError: If the scheduler does not answer, or no worker is left.
        """
        with self._choosing:
            worker = self._least_busy()
            self._given[worker.address] += 1
        try:
            yield worker
        finally:
            with self._choosing:
                self._given[worker.address] -= 1

    def listen(self, listener: Callable[[Any], None]) -> None:
        """Have a function called, in another thread, with each message of a worker."""
        self._client.subscribe_topic(TOPIC, lambda event: listener(event[1]))

    def submit(self, call: Call, worker: ChosenWorker) -> Future:
        """Let a worker, and no other, do a call."""
        packed = pickle.dumps(call)  # so that dask does not look into it
        return self._client.submit(
            in_sandbox,
            packed,
            key=f"bank-{call.id}",
            workers=[worker.address],
            allow_other_workers=False,
            pure=False,
        )

    def cancel(self, futures: Sequence[Future]) -> None:
        """Cancel calls, as far as the cluster can be told."""
        with suppress(Exception):
            self._client.sync(self._client.cancel, list(futures), force=True, callback_timeout=_CLOSE_SECONDS)

    def close(self, futures: Sequence[Future]) -> None:
        """Cancel calls, have the workers' waiting processes ended, and leave."""
        if self._client.status == "running":
            self.cancel(futures)
            with suppress(Exception):  # if it is gone, so are they
                self._client.sync(
                    self._client.unregister_worker_plugin, name=TOPIC, callback_timeout=_CLOSE_SECONDS
                )
        with suppress(Exception):
            self._client.close(timeout=_CLOSE_SECONDS)

    def gone(self) -> ClusterUnavailableError:
        """Give the error that says so."""
        return ClusterUnavailableError(
            f"the scheduler at {self._address} does not answer any more; start it and bank the same again: "
            "what is banked stays so"
        )

    def _asked(self, question: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return self._client.sync(question, *arguments, callback_timeout=_ANSWER_SECONDS, **named)
        except (OSError, RuntimeError, AttributeError) as error:  # the last two: the client has closed
            raise self.gone() from error

    def _asked_worker(self, address: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Give what a function gives on a worker, or the error that it met."""
        seconds = _ANSWER_SECONDS if address in self._ids else _FIRST_ANSWER_SECONDS
        try:
            found = self._client.sync(
                self._client.run,
                function,
                *arguments,
                workers=[address],
                on_error="return",
                callback_timeout=seconds,
            )
        except (OSError, RuntimeError, AttributeError) as error:
            return error
        return found.get(address)

    def _wait_for_workers(self) -> None:
        deadline = time.monotonic() + _WORKER_SECONDS
        while not self.workers():
            if time.monotonic() >= deadline:
                raise ClusterUnavailableError(
                    f"the scheduler at {self._address} has no worker; start some with: dask worker "
                    f"{self._address}"
                )
            time.sleep(_LOOK_SECONDS)

    def _least_busy(self) -> ChosenWorker:
        self._wait_for_workers()
        busy = self._asked(self._client.processing)
        threads = self.workers()

        def load(address: str) -> float:
            return max(len(busy.get(address, ())), self._given[address]) / max(1, threads[address])

        for address in sorted(threads, key=load):
            objection = self._objection(address)
            if objection is None:
                return ChosenWorker(address=address, id=self._ids[address])
            _LOG.warning("%s", objection)  # it came later
        raise ClusterUnavailableError(
            f"no worker of {self._address} runs what this machine runs; all need the same versions"
        )

    def _check_scheduler(self) -> None:
        found = self._asked(self._client.get_versions)["scheduler"]["packages"]["distributed"]
        if found != self._ours["distributed"]:
            raise ClusterUnavailableError(
                f"the scheduler at {self._address} runs distributed {found}, this machine "
                f"{self._ours['distributed']}; all need the same version"
            )

    def _check_workers(self) -> None:
        for worker in self.workers():
            objection = self._objection(worker)
            if objection is not None:
                raise ClusterUnavailableError(f"{objection}; all need the same versions")

    def _objection(self, address: str) -> str | None:
        """Look at a worker unless it is known, and say why it can't be used."""
        answer = None
        if address not in self._ids:  # dask can't tell that what it is sent is not installed
            answer = self._asked_worker(address, resolve_name, f"{identity.__module__}:{identity.__name__}")
        if not isinstance(answer, BaseException):
            answer = self._asked_worker(address, identity, self._ids.get(address))
        if isinstance(answer, ModuleNotFoundError):
            return f"the worker {address} can't be used: {answer.name or answer} is not installed there"
        if isinstance(answer, BaseException) or answer is None:
            return f"the worker {address} can't be used: {first_line(answer)}"
        worker_id, theirs = answer
        other = {name: theirs.get(name) for name, ours in self._ours.items() if theirs.get(name) != ours}
        if theirs and other:
            return f"the worker {address} runs {_words(other)}, this machine {_words(self._ours, other)}"
        self._ids[address] = worker_id
        return None


def _connected(address: str, seconds: float) -> Client:
    try:
        security = Security()
        context = security.get_connection_args("client").get("ssl_context")
    except (OSError, ValueError, TypeError) as error:
        raise ClusterUnavailableError(f"dask's configuration of TLS can't be used: {error}") from error
    if address.startswith("tls:") and context is None:
        raise ClusterUnavailableError(
            "for tls:// dask's configuration has to name certificates: distributed.comm.tls.ca-file, and "
            "cert and key of distributed.comm.tls.client"
        )
    if security.require_encryption and not address.startswith("tls:"):
        raise ClusterUnavailableError(f"dask's configuration requires encryption: {address} has none")
    try:
        return Client(address, timeout=seconds, set_as_default=False, security=security, name="bank")
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        raise ClusterUnavailableError(
            f"no scheduler of a dask cluster answers at {address}: {first_line(error)}"
        ) from error


def _words(found: Mapping[str, str | None], names: Iterable[str] | None = None) -> str:
    return ", ".join(f"{name} {found[name]}" for name in names or found)


def first_line(error: object) -> str:
    """Give an error as one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
