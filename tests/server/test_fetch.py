"""One document from a configured address: whole, in time, small, from there and from nowhere else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from server.fetch import MOST_BYTES, DocumentNotFetchedError, fetch_json, is_safe

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Scripted:
    """Answers each connection by a script, and keeps what was asked."""

    def __init__(self, script: Callable[[socket.socket], None]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(65536))
                try:
                    self._script(connection)
                except OSError:
                    continue

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def scripted() -> Iterator[Callable[[Callable[[socket.socket], None]], Scripted]]:
    made: list[Scripted] = []

    def make(script: Callable[[socket.socket], None]) -> Scripted:
        made.append(Scripted(script))
        return made[-1]

    yield make
    for each in made:
        each.close()


def saying(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(answer)


def test_a_document_comes(scripted) -> None:
    server = scripted(saying(OK + b'Content-Length: 11\r\n\r\n{"keys":[]}'))
    assert fetch_json(f"{server.url}/a/jwks?x=1") == {"keys": []}
    assert server.asked[0].startswith(b"GET /a/jwks?x=1 HTTP/1.1\r\n")


def test_a_chunked_document_comes(scripted) -> None:
    server = scripted(saying(OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\n[1,2\r\n1\r\n]\r\n0\r\n\r\n"))
    assert fetch_json(server.url) == [1, 2]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 500 no\r\nContent-Length: 2\r\n\r\n{}", "status 500"),
        (b"HTTP/1.1 204 no\r\n\r\n", "status 204"),
        (OK + b"Content-Length: 4\r\n\r\n<ht>", "no JSON"),
        (OK + b"Content-Length: 9000\r\n\r\n" + b"[" * 9000, "no JSON"),
        (OK + b"Content-Length: 90\r\n\r\n{}", "incomplete"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\n{}", "IncompleteRead"),
        (OK + b"\r\n[" + b"1," * MOST_BYTES, "too long"),
        (b"garbage\r\n\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500, "HTTPException"),
    ],
)
def test_what_is_wrong_is_told_without_what_came(scripted, answer: bytes, why: str) -> None:
    with pytest.raises(DocumentNotFetchedError, match=f"^{why}$"):
        fetch_json(scripted(saying(answer)).url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(scripted, status: int) -> None:
    other = scripted(saying(OK + b"Content-Length: 2\r\n\r\n{}"))
    server = scripted(
        saying(f"HTTP/1.1 {status} x\r\nLocation: {other.url}/\r\nContent-Length: 0\r\n\r\n".encode())
    )
    with pytest.raises(DocumentNotFetchedError, match=f"status {status}"):
        fetch_json(server.url)
    assert other.asked == []


def drip(connection: socket.socket) -> None:
    for _ in range(600):
        connection.sendall(b" ")
        time.sleep(0.05)


def drip_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    drip(connection)


def drip_body(connection: socket.socket) -> None:
    connection.sendall(OK + b"Content-Length: 1000\r\n\r\n")
    drip(connection)


def silence(connection: socket.socket) -> None:
    connection.recv(1)


@pytest.mark.parametrize("script", [drip_head, drip_body, silence])
def test_a_slow_answer_is_ended(scripted, script: Callable[[socket.socket], None]) -> None:
    begun = time.monotonic()
    with pytest.raises(DocumentNotFetchedError):
        fetch_json(scripted(script).url, seconds=0.5)
    assert time.monotonic() - begun < 10  # liveness: the script itself would take 30 s


def test_nobody_there(scripted) -> None:
    server = scripted(saying(b""))
    server.close()
    with pytest.raises(DocumentNotFetchedError):
        fetch_json(server.url, seconds=2)


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://sso.example.org/realms/geo", True),
        ("https://sso.example.org:8443", True),
        ("http://127.0.0.1:8080/x", True),
        ("http://[::1]:8080", True),
        ("http://localhost/x", True),
        ("http://sso.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http://0.0.0.0", False),
        ("http://localhost.example.org", False),
        ("https://user:word@sso.example.org", False),
        ("http://127.0.0.1@sso.example.org", False),
        ("https://sso.example.org/#x", False),
        ("https://sso.example.org:x", False),
        ("https://", False),
        ("https://[::1", False),
        ("https://sso.example.org/a b", False),
        ("https://sso.example.org/\r\nX: y", False),
        ("https://sso.éxample.org", False),
        ("file:///etc/passwd", False),
        ("ftp://127.0.0.1", False),
        ("//sso.example.org", False),
        ("", False),
    ],
)
def test_only_https_and_this_machine_are_asked(address: str, safe: bool) -> None:
    assert is_safe(address) is safe
    if not safe:
        with pytest.raises(DocumentNotFetchedError, match="neither"):
            fetch_json(address)
