"""Objects of an S3-compatible store as ranges of bytes: few requests, all of one state, none for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Any, Final, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, PreconditionError, UnauthenticatedError
from obstore.store import S3Store

from mosaics.errors import MosaicsError
from mosaics.places import ObjectAddress
from mosaics.stopping import Stop, go_on, never
from mosaics.tiff.files import FileChangedError, Range

T = TypeVar("T")

FIRST_BYTES: Final = 64 << 10
"""Read when an object is opened, and remembered: a COG has its directories there, or their better part."""

MERGE_GAP: Final = 256 << 10
"""Ranges this far apart are one request, what lies between being thrown away: it comes, at 100 Mbit/s, in the
20 ms that a store takes to begin another answer. Blocks beside one another in a COG have no gap at all."""

LARGEST_REQUEST: Final = 8 << 20
"""Ranges are merged up to here, so that much comes over several connections at once and little is lost with
one that is cut; a single block may be larger."""

CONNECTIONS: Final = 8
"""Most requests at the same time for reads of several, all threads together."""

CHECK_SECONDS: Final = 5.0
"""How often an object in use is asked whether it is still the same: as soon as a change of rights holds. What
is read from the store in between is of the state that was opened, or refused."""

RETRIES: Final = 2
"""Tries more, within the time of one request, where a connection breaks or the store answers 5xx."""

MOST_FAILURES: Final = 3
"""After so many requests in a row without an answer the store counts as silent."""

SILENT_SECONDS: Final = 5.0
"""So long requests to a silent store fail at once, so that threads don't wait for it one after the other."""


class ObjectUnreadableError(MosaicsError, OSError):
    """An object can't be read; the message gives its name and the reason."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """Where the store is, and as whom it is asked."""

    endpoint: str | None = None
    """Address without a path; None: that of AWS in the region."""
    region: str = "us-east-1"
    """What requests are signed for."""
    access_key: str | None = None
    """Name of the key; None: requests are not signed."""
    secret_key: str | None = field(default=None, repr=False)
    """The key."""
    path_style: bool = True
    """The bucket stands in the path rather than in front of the host's name."""
    timeout_seconds: float = 10.0
    """Longest time for one request, from connecting to its last byte."""


class ObjectStore:
    """A store; connects when something is first read from it, so that processes may be forked before."""

    def __init__(self, options: StoreOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self.clock = clock
        self._lock = Lock()
        self._buckets: dict[str, S3Store] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._failures = 0
        self._silent_until = 0.0

    def __reduce__(self) -> tuple[type[Self], tuple[StoreOptions]]:
        """Let another process have one like it, with connections of its own."""
        return type(self), (self._options,)

    def open(self, address: ObjectAddress) -> ObjectFile:
        """Open an object, which costs one request.

        Raises:
            ObjectUnreadableError: If it is not there, access is refused, or the store does not answer.
        """
        part = self._part(address, Range(0, FIRST_BYTES), None)
        if part.etag is None or part.etag.startswith("W/"):
            raise ObjectUnreadableError(
                address.name, "the store gives no strong ETag, so a change could not be noticed"
            )
        return ObjectFile(self, address, part)

    def read(self, address: ObjectAddress, requests: Sequence[Range], etag: str, stop: Stop) -> list[bytes]:
        """Read ranges of one state of an object, one request each, at the same time as far as there is room.

        Raises:
            FileChangedError: If the object is in another state.
            ObjectUnreadableError: If it can't be read.
            NobodyWaitsError: If `stop`, asked before each request, said so.
        """

        def one(request: Range) -> bytes:
            go_on(stop)
            return self._part(address, request, etag).data

        if len(requests) == 1:
            return [one(requests[0])]
        coming = [self._threads().submit(one, request) for request in requests]
        try:
            return [each.result() for each in coming]
        finally:
            for each in coming:
                each.cancel()

    def state(self, address: ObjectAddress) -> str | None:
        """Give the ETag that an object has now.

        Raises:
            ObjectUnreadableError: If it is not there, access is refused, or the store does not answer.
        """
        meta = self._asked(address, lambda bucket: obstore.head(bucket, address.key))
        return meta["e_tag"]

    def _part(self, address: ObjectAddress, request: Range, etag: str | None) -> _Part:
        """Read a range in one request; shorter where the object ends."""
        wanted: dict[str, Any] = {"range": (request.offset, request.offset + request.length)}
        if etag is not None:
            wanted["if_match"] = etag

        def get(bucket: S3Store) -> _Part:
            answer = obstore.get(bucket, address.key, options=wanted)  # type: ignore[arg-type] # a TypedDict
            return _Part(bytes(answer.bytes()), answer.meta["size"], answer.meta["e_tag"])

        part = self._asked(address, get)
        if etag is not None and part.etag != etag:  # a store that knows no If-Match
            raise FileChangedError(address.name)
        if len(part.data) != max(0, min(request.length, part.size - request.offset)):
            raise ObjectUnreadableError(address.name, "the store sends fewer bytes than the object has")
        return part

    def _asked(self, address: ObjectAddress, ask: Callable[[S3Store], T]) -> T:
        """Ask the store; its errors become ours, and one that is silent is left alone for a while."""
        if self.clock() < self._silent_until:
            raise ObjectUnreadableError(address.name, "the store did not answer a moment ago")
        try:
            answer = ask(self._bucket(address.bucket))
        except PreconditionError as error:
            self._failures = 0
            raise FileChangedError(address.name) from error
        except FileNotFoundError as error:
            self._failures = 0
            raise ObjectUnreadableError(address.name, "there is no such object") from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            self._failures = 0
            raise ObjectUnreadableError(address.name, "the store refuses access to it") from error
        except (BaseError, OSError) as error:
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                self._silent_until = self.clock() + SILENT_SECONDS
            reason = str(error).partition("\n")[0]
            raise ObjectUnreadableError(address.name, f"the store gives no good answer: {reason}") from error
        self._failures = 0
        return answer

    def _bucket(self, name: str) -> S3Store:
        with self._lock:
            if name not in self._buckets:
                self._buckets[name] = _connected(self._options, name)
            return self._buckets[name]

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="object")
            return self._pool


class ObjectFile:
    """One state of an object; safe to use from several threads at once."""

    def __init__(self, store: ObjectStore, address: ObjectAddress, first: _Part) -> None:
        self._store = store
        self._address = address
        self._head = first.data
        self._checked = store.clock()
        self._changed = False
        self.size = first.size
        """Bytes of the object."""
        self.etag = first.etag or ""
        """What its state is called by the store, quotes included."""

    @property
    def name(self) -> str:
        """Its name, for messages."""
        return self._address.name

    @property
    def identity(self) -> str:
        """Give its address and ETag."""
        return f"{self._address}#{self.etag}"

    def read(self, ranges: Sequence[Range], stop: Stop = never) -> list[bytes]:
        """Read ranges, those that lie near one another in one request; short at the end of the object."""
        self.check()
        known = len(self._head)
        requests = merged(
            [each for each in ranges if each.offset + each.length > known and 0 <= each.offset < self.size]
        )
        parts = self._of_this_state(requests, stop) if requests else []
        found = []
        for offset, length in ranges:
            first, data = 0, self._head
            if offset + length > known:
                first, data = next(
                    ((start, part) for (start, size), part in zip(requests, parts, strict=True)
                     if start <= offset and offset + length <= start + size),
                    (0, b""),
                )  # fmt: skip
            found.append(data[offset - first : offset - first + length])
        return found

    def check(self) -> None:
        """Refuse to go on with an object that is no longer the one that was opened; asked now and then.

        Raises:
            FileChangedError: If it is another.
            ObjectUnreadableError: If it can't be told.
        """
        if not self._changed and self._store.clock() - self._checked > CHECK_SECONDS:
            self._checked = self._store.clock()  # others go on while this thread asks
            self._changed = self._store.state(self._address) != self.etag
        if self._changed:
            raise FileChangedError(self.name)

    def _of_this_state(self, requests: Sequence[Range], stop: Stop) -> list[bytes]:
        try:
            return self._store.read(self._address, requests, self.etag, stop)
        except FileChangedError:
            self._changed = True
            raise


def merged(ranges: Sequence[Range]) -> list[Range]:
    """Join ranges into the requests that they cost, in the order of the object."""
    requests: list[Range] = []
    for offset, length in sorted(ranges):
        if requests:
            first, size = requests[-1]
            end = max(first + size, offset + length)
            if offset <= first + size + MERGE_GAP and (
                end - first <= LARGEST_REQUEST or offset + length <= first + size
            ):
                requests[-1] = Range(first, end - first)
                continue
        requests.append(Range(offset, length))
    return requests


class _Part(NamedTuple):
    """What one request brought."""

    data: bytes
    size: int
    """Bytes of the whole object."""
    etag: str | None


def _connected(options: StoreOptions, bucket: str) -> S3Store:
    """Make the client of a bucket; all is said, since what is not would be taken from the environment."""
    endpoint = options.endpoint or f"https://s3.{options.region}.amazonaws.com"
    scheme, host = urlsplit(endpoint)[:2]
    if not options.path_style:
        endpoint = f"{scheme}://{bucket}.{host}"
    seconds = options.timeout_seconds
    key, secret = options.access_key, options.secret_key
    signing: dict[str, Any] = {"skip_signature": True}
    if key is not None:
        signing = {
            "skip_signature": False,
            "credential_provider": lambda: {
                "access_key_id": key, "secret_access_key": secret, "token": None, "expires_at": None
            },
        }  # fmt: skip
    return S3Store(
        bucket,
        endpoint=endpoint,
        region=options.region,
        virtual_hosted_style_request=not options.path_style,
        request_payer=False,
        client_options={
            "allow_http": scheme == "http",
            "timeout": timedelta(seconds=seconds),
            "connect_timeout": timedelta(seconds=min(3.0, seconds)),
            "user_agent": "dinamis-flux",
        },
        retry_config={
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=seconds),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2
            },
        },
        **signing,
    )  # fmt: skip
