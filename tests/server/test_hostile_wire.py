"""Whatever is sent over a socket: one answer and no other, no waiting for others, no secret in the log."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import Server, Town, serving
from tests.server.conftest import TILE
from tests.server.hostile import MARK


def exchange(server: Server, sent: bytes, seconds: float = 5) -> bytes:
    """Send bytes over a connection of their own and read until the other side closes it or says no more."""
    got = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as line:
        line.sendall(sent)
        try:
            while chunk := line.recv(65536):
                got += chunk
        except TimeoutError:
            pass
        except ConnectionResetError:
            pass
    return got


CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"
RAW = {
    "asterisk": (b"OPTIONS * HTTP/1.1\r\n" + CLOSE, {400}),
    "asterisk get": (b"GET * HTTP/1.1\r\n" + CLOSE, {400}),
    "connect": (b"CONNECT a:80 HTTP/1.1\r\n" + CLOSE, {400}),
    "absolute form": (b"GET http://evil.example/layers HTTP/1.1\r\n" + CLOSE, {200}),
    "absolute form elsewhere": (b"GET http://evil.example/zqmark HTTP/1.1\r\n" + CLOSE, {404}),
    "no slash": (b"GET layers HTTP/1.1\r\n" + CLOSE, {400}),
    "http 1.0": (b"GET /layers HTTP/1.0\r\nHost: a\r\n\r\n", {200}),
    "http 1.0 without host": (b"GET /layers HTTP/1.0\r\n\r\n", {400}),
    "http 1.1 without host": (b"GET /layers HTTP/1.1\r\nConnection: close\r\n\r\n", {400}),
    "two hosts": (b"GET /layers HTTP/1.1\r\nHost: a\r\n" + CLOSE, {400}),
    "http 9.9": (b"GET /layers HTTP/9.9\r\n" + CLOSE, {400, 505}),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}),
    "unknown method": (b"BREW /layers HTTP/1.1\r\n" + CLOSE, {405}),
    "trace": (b"TRACE /layers HTTP/1.1\r\n" + CLOSE, {405}),
    "post": (b"POST /layers HTTP/1.1\r\nContent-Length: 2\r\n" + CLOSE + b"{}", {405}),
    "two lengths": (b"GET /layers HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n" + CLOSE, {400}),
    "negative length": (b"GET /layers HTTP/1.1\r\nContent-Length: -1\r\n" + CLOSE, {400}),
    "odd coding": (b"GET /layers HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n" + CLOSE, {400}),
    "long address": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + CLOSE, {414}),
    "long query": (b"GET /layers?" + b"a" * 60_000 + b" HTTP/1.1\r\n" + CLOSE, {400, 414}),
    "long header": (b"GET /layers HTTP/1.1\r\nX: " + b"a" * 600_000 + b"\r\n" + CLOSE, {431}),
    "many headers": (b"GET /layers HTTP/1.1\r\n" + b"X: a\r\n" * 500 + CLOSE, {431}),
    "space in the path": (b"GET /lay ers HTTP/1.1\r\n" + CLOSE, {400}),
    "space before the colon": (b"GET /layers HTTP/1.1\r\nX : a\r\n" + CLOSE, {400}),
    "null in a header": (b"GET /layers HTTP/1.1\r\nX-API-Key: a\0b\r\n" + CLOSE, {400}),
    "latin-1 in a key": (b"GET /layers HTTP/1.1\r\nX-API-Key: \xff\xfe\r\n" + CLOSE, {401}),
    "bytes in the path": (b"GET /lay\xffers HTTP/1.1\r\n" + CLOSE, {400}),
    "empty key in the path": (b"GET /k/ HTTP/1.1\r\n" + CLOSE, {404}),
    "two slashes": (b"GET //layers HTTP/1.1\r\n" + CLOSE, {404}),
}


@pytest.mark.parametrize("name", RAW)
def test_requests_that_are_odd_on_the_wire(town_server: Server, name: str) -> None:
    sent, expected = RAW[name]
    got = exchange(town_server, sent)
    assert int(got.split(b" ", 2)[1]) in expected, got[:200]
    assert got.count(b"HTTP/1.") == 1
    assert MARK.encode() not in got
    assert b"Traceback" not in got


SMUGGLED = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("method", [b"GET", b"POST"])
@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding:\tchunked\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: identity, chunked\r\n",
    ],
)
def test_no_request_hides_in_another(town_server: Server, method: bytes, headers: bytes) -> None:
    begin = method + b" /layers HTTP/1.1\r\nHost: a\r\n"
    got = exchange(town_server, begin + headers + b"\r\n0\r\n\r\n" + SMUGGLED)
    assert got.count(b"HTTP/1.1 ") == 1, "two framings: one answer at most, then the line is closed"
    assert b'"live"' not in got


def test_a_web_socket_is_not_opened(town_server: Server) -> None:
    got = exchange(
        town_server,
        b"GET /layers HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        seconds=0.5,
    )
    assert b" 101 " not in got.split(b"\r\n", 1)[0]
    assert int(got.split(b" ", 2)[1]) < 500


@pytest.fixture(scope="module")
def slow_senders(town_server: Server) -> Iterator[tuple[float, list[socket.socket]]]:
    """Open 200 connections that never finish the head of a request; every fourth says nothing at all."""
    begun = time.monotonic()
    lines = [socket.create_connection(("127.0.0.1", town_server.port), timeout=20) for _ in range(200)]
    for number, line in enumerate(lines):
        if number % 4:
            line.sendall(b"GET /layers HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    yield begun, lines
    for line in lines:
        line.close()


def test_200_slow_senders_do_not_block_a_fast_one(
    town_server: Server, slow_senders: tuple[float, list[socket.socket]]
) -> None:
    times = []
    for turn in range(20):
        asked = time.monotonic()
        assert town_server.get(f"{TILE.format('open')}?_={turn}").status == 200
        times.append(time.monotonic() - asked)
    assert max(times) < 2, times
    for number, line in enumerate(slow_senders[1]):
        if number % 4:
            with suppress(BrokenPipeError, ConnectionResetError):  # a slow machine: it is cut off already
                line.sendall(b"a")
    assert town_server.get("/health/ready").status == 200


def test_no_secret_ever_stands_in_the_log(town: Town, own_home: Path) -> None:
    with serving(own_home) as server:
        keys = [town.key, town.revoked_key, town.operator_key]
        keys += [
            town.key[:-1] + ("A" if town.key[-1] != "A" else "B"),
            "flx_live_AAAAAAAA_" + "s3cr3t" * 6 + "ab",
        ]
        for key in keys:
            basic = base64.b64encode(f"me:{key}".encode()).decode()
            for path in (
                TILE.format("granted"),
                "/layers",
                "/nothing",
                TILE.format("granted") + "/x",
                "/wmts",
            ):
                mark = "&" if "?" in path else "?"
                for headers in (
                    {},
                    {"X-API-Key": key},
                    {"Authorization": f"Bearer {key}"},
                    {"Authorization": f"Basic {basic}"},
                    {"Authorization": f"Odd {key}"},
                    {"Referer": f"http://a/?key={key}", "User-Agent": key, "Cookie": key, "Accept": key},
                    {"X-API-Key": key, "Authorization": "Bearer other"},
                ):
                    server.get(path, headers)
                server.get(f"{path}{mark}key={key}")
                server.get(f"{path}{mark}api_key={key}&key={key}x")
                server.get(f"/k/{key}{path}")
                server.get(f"/k/{key}x{path}")
            server.get(f"/layers/{key}")
            server.get(f"/preview/{key}.png?style={key}&time={key}&width={key}")
            server.get(f"/wmts?service=WMTS&request={key}&layer={key}")
            server.get(f"/k/{key}")
        for broken in (own_home / "data" / "cogs").rglob("*.tif"):
            broken.write_bytes(b"broken")  # errors are logged too, and tell no more
        for key in keys[:1]:
            assert server.get(f"/preview/granted?key={key}").status == 502
            assert server.get(f"/k/{key}/preview/granted?width=100").status == 502
    log = server.log.read_text()
    assert "credential_refused" in log
    assert "scene_unreadable" in log
    stored = (own_home / "flux.db").read_bytes()
    for key in keys:
        secret = key.split("_")[3]
        assert secret[:16] not in log
        assert secret[:32] not in log
        assert base64.b64encode(key.encode()).decode()[24:40] not in log
        assert secret[:16].encode() not in stored


def test_slow_senders_were_cut_off(
    town_server: Server, slow_senders: tuple[float, list[socket.socket]]
) -> None:
    begun, lines = slow_senders
    for number, line in enumerate(lines):
        if number % 4:
            line.settimeout(max(0.1, begun + 20 - time.monotonic()))
            with suppress(ConnectionResetError):
                while line.recv(4096):
                    pass
    assert town_server.get("/health/ready").status == 200
