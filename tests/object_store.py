"""A real S3 server (moto) on loopback, and a gate before it that counts requests and can be made to fail."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import obstore
import pytest
from obstore.store import S3Store

from mosaics.places import ObjectAddress
from mosaics.tiff.objects import ObjectStore, StoreOptions
from tests.conftest import free_port, wait_until

BUCKET = "imagery"
KEY, SECRET = "tests", "no secret at all"

Fault = Literal["cut", "short", "stall", "dribble", "no-if-match"] | int
"""What the gate does to a request; a number is the status it answers."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""

    @property
    def range(self) -> tuple[int, int] | None:
        """First and last byte that are asked for."""
        said = self.headers.get("range")
        return None if said is None else tuple(map(int, said.removeprefix("bytes=").split("-")))


@dataclass
class Store:
    """The server, holding one bucket."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bucket(self) -> S3Store:
        return S3Store(
            BUCKET,
            endpoint=self.url,
            access_key_id=KEY,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
        )

    def put(self, key: str, file: Path | bytes) -> str:
        """Store an object and give its ETag."""
        data = file if isinstance(file, bytes) else file.read_bytes()
        etag = obstore.put(self.bucket, key, data, use_multipart=False)["e_tag"]
        assert etag is not None
        return etag

    def put_in_parts(self, key: str, file: Path) -> None:
        """Store an object in parts of 5 MB, which gives it an ETag of another kind."""
        obstore.put(self.bucket, key, file.read_bytes(), use_multipart=True, chunk_size=5 << 20)


@contextlib.contextmanager
def storing(log: Path) -> Iterator[Store]:
    """Run moto's server until the block ends."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
    store = Store(port)

    def answers() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("PUT", f"/{BUCKET}", headers={"Authorization": _ANYBODY})
            return connection.getresponse().status == 200
        return False

    try:
        wait_until(answers, seconds=60, what=log.read_text)
        yield store
    finally:
        process.terminate()
        process.wait(15)


_ANYBODY = (
    "AWS4-HMAC-SHA256 Credential=tests/20240101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)
"""The server believes every signature until it is told not to."""


@dataclass
class Gate:
    """Stands before a store: takes down what is asked, and does what `fault` says to it."""

    store: Store
    requests: list[Request] = field(default_factory=list)
    fault: Callable[[Request], Fault | None] = lambda _: None
    over: threading.Event = field(default_factory=threading.Event)
    """Ends what stalls."""
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def options(self, **more: Any) -> StoreOptions:
        keys = {"access_key": KEY, "secret_key": SECRET}
        return StoreOptions(**{"endpoint": self.url, "timeout_seconds": 3.0, **keys, **more})

    def objects(self, clock: Callable[[], float] = time.monotonic, **more: Any) -> ObjectStore:
        return ObjectStore(self.options(**more), clock)

    def asked(self) -> list[str]:
        """Give the methods asked since the last time."""
        methods = [request.method for request in self.requests]
        self.requests.clear()
        return methods


@contextlib.contextmanager
def gated(store: Store) -> Iterator[Gate]:
    gate = Gate(store)

    class Handler(_Handler):
        pass

    Handler.gate = gate
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    gate.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield gate
    finally:
        gate.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    gate: Gate
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers)
        self.gate.requests.append(request)
        fault = self.gate.fault(request)
        if isinstance(fault, int):
            self._answer(fault, [("Content-Length", "0")], b"")
            return
        if fault == "stall":
            self.gate.over.wait(60)
            self.close_connection = True
            return
        if fault == "no-if-match":
            headers.pop("if-match", None)
        upstream = http.client.HTTPConnection("127.0.0.1", self.gate.store.port, timeout=20)
        upstream.request(self.command, self.path, headers=headers)
        reply = upstream.getresponse()
        body = reply.read()
        upstream.close()
        kept = [(n, v) for n, v in reply.getheaders() if n.lower() not in {"connection", "date", "server"}]
        if fault == "short":  # says so, and is consistent: but not what was asked for
            body = body[: len(body) // 2]
            kept = [(n, v) for n, v in kept if n.lower() != "content-length"]
            kept.append(("Content-Length", str(len(body))))
        self._answer(reply.status, kept, body, fault)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, fault: Fault | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            if fault == "cut":
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            elif fault == "dribble":
                for place in range(len(body)):
                    if self.gate.over.wait(0.2):
                        break
                    self.wfile.write(body[place : place + 1])
                self.close_connection = True
            else:
                self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Give a server of objects that all tests may put things into."""
    with storing(tmp_path_factory.mktemp("store") / "log") as running:
        yield running


@pytest.fixture
def gate(store: Store) -> Iterator[Gate]:
    with gated(store) as opened:
        yield opened


def address(key: str) -> ObjectAddress:
    return ObjectAddress(BUCKET, key)
