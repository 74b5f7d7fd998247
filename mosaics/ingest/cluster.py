"""Has doubtful files read by the workers of a dask cluster; naming and registering stay here.

Imported only where a scheduler is named: `distributed` is an optional library (the extra `cluster`).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError
from queue import Empty, SimpleQueue
from threading import Lock
from types import TracebackType
from typing import Any, Final, Self

from distributed import Future

from mosaics.errors import IngestError
from mosaics.ingest.cluster_link import ChosenWorker, ClusterLink, first_line
from mosaics.ingest.cluster_worker import Answer, Call
from mosaics.ingest.sandbox import Limits
from mosaics.ingest.shared_files import seen_files, trouble_with
from mosaics.ingest.source import Progress

_LOG = logging.getLogger(__name__)
_RESULT_SECONDS: Final = 60.0
"""Longest way of a finished result to here."""
_LOOK_SECONDS: Final = 1.0

_Said = tuple[str, float] | None
"""A stage and how far it is; None: the call is over."""


class ClusterRunner:
    """A `Runner` whose calls are done by workers that see the same files; for many threads at once.

    A call belongs to one worker. If that dies the call is refused, and never done again by itself: what is
    left of it may still be writing.
    """

    def __init__(
        self,
        address: str,
        limits: Limits | None = None,
        *,
        connect_seconds: float = 10.0,
        patience_seconds: float = 5.0,
    ) -> None:
        """Connect; certificates are taken from dask's own configuration.

        Args:
            address: Of the scheduler, such as tls://scheduler.example.org:8786.
            limits: What a call may take on a worker.
            connect_seconds: How long to try.
            patience_seconds: How long a machine may take to see what another one wrote.

        Raises:
            ClusterUnavailableError: If there is no scheduler, no worker, or one that runs something else.
        """
        self._limits = limits or Limits()
        self._patience_seconds = patience_seconds
        self._listeners: dict[str, Callable[[_Said], None]] = {}
        self._running: dict[str, Future] = {}
        self._closing, self._is_closed = Lock(), False
        self._link = ClusterLink(address, connect_seconds)
        self._link.listen(self._hear)

    @property
    def threads(self) -> int:
        """How many one call may use to compress."""
        return self._limits.threads

    @property
    def slots(self) -> int:
        """How many calls the workers do at the same time."""
        return sum(self._link.workers().values())

    def __enter__(self) -> Self:
        """It is connected already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel what is still running, and leave."""
        self.close()

    def close(self) -> None:
        """Cancel what is still running, and leave; once more does nothing."""
        with self._closing:
            if not self._is_closed:
                self._is_closed = True
                self._link.close(list(self._running.values()))

    def run(
        self,
        name: str,
        function: Callable[..., Any],
        *arguments: Any,
        report: Progress,
        grows: Callable[[], Any] = int,
    ) -> Any:
        """Call `function(*arguments, report)` on a worker; see `Runner.run`.

        Raises:
            IngestError: The function's own, that the call died, hung or passed a limit, or that its worker is
                gone or sees other files.
            ClusterUnavailableError: If the scheduler does not answer, or no worker is left.
        """
        with self._link.chosen() as worker:
            call = Call(
                id=uuid.uuid4().hex,
                worker_id=worker.id,
                name=name,
                function=function,
                arguments=arguments,
                grows=grows,
                files=seen_files(arguments),
                patience_seconds=self._patience_seconds,
                limits=self._limits,
            )
            status, payload = self._done(call, worker, report)
        if status == "refused":
            raise IngestError(payload)
        if status == "lost":
            raise _worker_lost(name, worker)
        trouble = trouble_with(payload.files, self._patience_seconds)
        if trouble is not None:
            raise IngestError(f"{name}: what the worker {worker.address} wrote is not here: {trouble}")
        return payload.value

    def _done(self, call: Call, worker: ChosenWorker, report: Progress) -> Answer:
        """Have a call done, handing on its progress."""
        said = SimpleQueue[_Said]()
        self._listeners[call.id] = said.put
        try:
            future = self._running[call.id] = self._link.submit(call, worker)
            future.add_done_callback(lambda _: said.put(None))
            self._await(said, call.name, worker, report)
            return self._result(future, call.name, worker)
        except BaseException:
            if call.id in self._running:
                self._link.cancel([self._running[call.id]])
            raise
        finally:
            self._listeners.pop(call.id)
            self._running.pop(call.id, None)

    def _await(self, said: SimpleQueue[_Said], name: str, worker: ChosenWorker, report: Progress) -> None:
        """Hand on progress until the call is over."""
        while True:
            try:
                heard = said.get(timeout=_LOOK_SECONDS)
            except Empty:
                if worker.address not in self._link.workers():
                    raise _worker_lost(name, worker) from None
                continue
            if heard is None:
                return
            report(*heard)

    def _result(self, future: Future, name: str, worker: ChosenWorker) -> Answer:
        try:
            answer: Answer = future.result(timeout=_RESULT_SECONDS)
        except (CancelledError, OSError) as error:
            if worker.address not in self._link.workers():
                raise _worker_lost(name, worker) from error
            raise self._link.gone() from error
        except Exception as error:
            _LOG.exception("unexpected error with %s on %s", name, worker.address)
            raise IngestError(f"{name}: it can't be handled: {first_line(error)}") from error
        return answer

    def _hear(self, message: dict[str, Any]) -> None:
        """Take a message of a worker; some are for others, or come late."""
        listener = self._listeners.get(message["call"])
        if listener is not None:
            listener((message["stage"], message["done"]))


def _worker_lost(name: str, worker: ChosenWorker) -> IngestError:
    return IngestError(
        f"{name}: the worker {worker.address} that had it is gone, perhaps for lack of memory; bank it again"
    )
