"""One small JSON document from a configured address: bounded in time and size, no redirect; for a thread."""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time
from typing import Any
from urllib.parse import urlsplit

SECONDS = 8.0
"""Longest time for one document, from connecting to its last byte."""

MOST_BYTES = 500_000
"""Longest document."""


class DocumentNotFetchedError(Exception):
    """The document did not come; the message says why, and nothing of what came instead."""


def fetch_json(address: str, *, seconds: float = SECONDS) -> Any:
    """Fetch a document over https, or over http from this machine.

    Args:
        address: As `is_safe` allows it.
        seconds: Longest time.

    Raises:
        DocumentNotFetchedError: If it does not come whole, in time, with status 200, and as JSON.
    """
    if not is_safe(address):
        raise DocumentNotFetchedError("the address is neither https nor of this machine")
    connection = _connection(address, seconds)
    deadline = time.monotonic() + seconds
    timer = threading.Timer(seconds, _cut, (connection,))
    timer.daemon = True
    timer.start()
    try:
        connection.connect()
        if time.monotonic() >= deadline:
            raise DocumentNotFetchedError("too slow")
        body = _body(connection, address)
    except (OSError, http.client.HTTPException) as error:
        raise DocumentNotFetchedError(type(error).__name__) from error
    finally:
        timer.cancel()
        connection.close()
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DocumentNotFetchedError("no JSON") from error


def is_safe(address: str) -> bool:
    """Tell whether an address is https, or http of this machine, without user, fragment or odd signs."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = address.isascii() and address.isprintable() and " " not in address
    if not plain or not host or parts.fragment or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(address))


def is_loopback(address: str) -> bool:
    """Tell whether an address is of this machine, by its name."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _connection(address: str, seconds: float) -> http.client.HTTPConnection:
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=context)
    return http.client.HTTPConnection(host, parts.port, timeout=seconds)


def _body(connection: http.client.HTTPConnection, address: str) -> bytes:
    parts = urlsplit(address)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers={"Accept": "application/json", "User-Agent": "dinamis-flux"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise DocumentNotFetchedError(f"status {answer.status}")
    body = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise DocumentNotFetchedError("too long")
    if answer.length:  # cut before its announced end
        raise DocumentNotFetchedError("incomplete")
    return body


def _cut(connection: http.client.HTTPConnection) -> None:
    """End a connection that takes too long, however slowly it goes on."""
    sock = connection.sock
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return
