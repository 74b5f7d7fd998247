"""The request as a value: method, path, query, headers; and the strict parsing of what stands in them."""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from auth.reach import Circumstances
from mosaics.encode import Format

MAX_TARGET = 8192
"""Longest path and query that are answered, bytes."""

EXTENSIONS: Mapping[str, Format] = {
    "png": "png",
    "jpg": "jpg",
    "jpeg": "jpg",
    "webp": "webp",
    "avif": "avif",
}
"""Of pictures -> their format."""

NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
"""Canonical non-negative integers; anything else is another address of the same tile."""


class BadRequestError(Exception):
    """The request is malformed; the message names the part, never its value."""


class TooLargeError(BadRequestError):
    """More was asked for than is ever given; the message says how much is."""


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """What arrived."""

    method: str
    path: str
    """Raw path, still percent-encoded."""
    query: tuple[tuple[str, str], ...]
    """Decoded, in order."""
    headers: Mapping[str, tuple[str, ...]]
    """By lower-case name."""
    scheme: str
    peer: str
    """Address of the socket's other end."""
    body: bytes = b""
    """Of a writing method; empty for others."""

    def header(self, name: str) -> str | None:
        """Give the first value of a header."""
        values = self.headers.get(name)
        return values[0] if values else None


def request_from_scope(scope: Mapping[str, Any]) -> HttpRequest:
    """Read an ASGI scope.

    Raises:
        BadRequestError: If it is too long or not text.
    """
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    raw_query: bytes = scope.get("query_string", b"")
    if len(raw_path) + len(raw_query) > MAX_TARGET:
        raise BadRequestError("the address is too long")
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    try:
        query = parse_qsl(
            raw_query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100
        )
        path = raw_path.partition(b"?")[0].decode("ascii")
    except ValueError as error:
        raise BadRequestError("the address is not well encoded") from error
    return HttpRequest(
        method=scope["method"],
        path=path,
        query=tuple(query),
        headers={name: tuple(values) for name, values in headers.items()},
        scheme=scope.get("scheme", "http"),
        peer=(scope.get("client") or ("", 0))[0],
    )


def segments(path: str) -> tuple[str, ...]:
    """Split a raw path and decode each segment; control characters and bad UTF-8 are refused.

    Raises:
        BadRequestError: If it does not begin with a slash (`*`, a CONNECT target), or is not well encoded.
    """
    if not path.startswith("/"):
        raise BadRequestError("the path must begin with a slash")
    try:
        parts = tuple(unquote(part, errors="strict") for part in path.split("/")[1:])
    except UnicodeDecodeError as error:
        raise BadRequestError("the path is not well encoded") from error
    if any(map(_CONTROL.search, parts)):
        raise BadRequestError("the path is not well encoded")
    return parts


def number(text: str, name: str) -> int:
    """Parse a canonical non-negative integer.

    Raises:
        BadRequestError: If it is anything else, such as `01`, `+1` or `1.0`.
    """
    if not NUMBER.fullmatch(text):
        raise BadRequestError(f"{name} must be a whole number without sign or leading zeros")
    return int(text)


def single(query: Iterable[tuple[str, str]], name: str) -> str | None:
    """Give the value of a query parameter; an empty one counts as absent.

    Raises:
        BadRequestError: If it stands there with two different values.
    """
    values = {value for key, value in query if key == name}
    if len(values) > 1:
        raise BadRequestError(f"{name} is given twice")
    return next(iter(values), None) or None


def bounded(query: Iterable[tuple[str, str]], name: str, default: int, low: int, high: int) -> int:
    """Give a whole number of a query.

    Args:
        query: Of the request.
        name: Of the parameter.
        default: Where it is absent.
        low: Least that it may be.
        high: Greatest that it may be.

    Raises:
        BadRequestError: If it is none, or less.
        TooLargeError: If it is more.
    """
    text = single(query, name)
    value = number(text, name) if text else default
    if value > high:
        raise TooLargeError(f"{name} must be from {low} to {high}")
    if value < low:
        raise BadRequestError(f"{name} must be from {low} to {high}")
    return value


def image_format(extension: str | None, accept: str | None) -> Format:
    """Choose the format: by extension, else `auto` by what the client accepts.

    Raises:
        BadRequestError: If the extension is unknown.
    """
    if extension is None:
        return "auto-webp" if accept and "image/webp" in accept else "auto-png"
    if extension not in EXTENSIONS:
        raise BadRequestError("the format must be png, jpg, webp or avif")
    return EXTENSIONS[extension]


def language(query: Iterable[tuple[str, str]], accept_language: str | None) -> str:
    """Choose French or English: by `lang`, else by the client's languages, else French."""
    for name, value in query:
        if name.lower() in {"lang", "language"} and value[:2].lower() in {"fr", "en"}:
            return value[:2].lower()
    for part in (accept_language or "").split(","):
        if part.strip()[:2].lower() in {"fr", "en"}:
            return part.strip()[:2].lower()
    return "fr"


_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


def root_url(
    request: HttpRequest, public_url: str | None, trusted: Iterable[str], allowed: Iterable[str]
) -> str:
    """Give the address of the server's root as the client knows it, without a trailing slash.

    Args:
        request: The request.
        public_url: Wins over everything.
        trusted: Peers (addresses or networks) whose forwarding headers are believed.
        allowed: Host names that are answered; `*` any.

    Raises:
        BadRequestError: If the host is malformed or not allowed.
    """
    if public_url:
        return public_url.rstrip("/")
    hosts = request.headers.get("host", ())
    scheme, host, prefix = request.scheme, hosts[0] if len(hosts) == 1 else "", ""
    if _is_trusted(request.peer, trusted):
        scheme = request.header("x-forwarded-proto") or scheme
        host = request.header("x-forwarded-host") or host
        port = request.header("x-forwarded-port")
        if port and ":" not in host and port != {"http": "80", "https": "443"}.get(scheme):
            host = f"{host}:{port}"
        prefix = (request.header("x-forwarded-prefix") or "").rstrip("/")
    if scheme not in {"http", "https"} or not _HOST.fullmatch(host) or not _PREFIX.fullmatch(prefix):
        raise BadRequestError("the host is not well formed")
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    names = {n.lower() for n in allowed}
    own = name.lower() in _LOOPBACK and _is_trusted(request.peer, _LOOPBACK_NETWORKS)
    if "*" not in names and name.lower() not in names and not own:
        raise BadRequestError("the host is not served here")
    return f"{scheme}://{host}{prefix}"


def circumstances(request: HttpRequest, trusted: Iterable[str]) -> Circumstances:
    """Tell from where a request comes, as far as it can be believed.

    Args:
        request: The request.
        trusted: Peers whose X-Forwarded-For is believed; the address is the last that none of them has.
    """
    said = request.header("origin") or request.header("referer") or ""
    origin = _origin(said)
    hops = [hop.strip() for value in request.headers.get("x-forwarded-for", ()) for hop in value.split(",")]
    address = request.peer
    while hops and _is_trusted(address, trusted):
        address = hops.pop()
    try:
        return Circumstances(origin=origin, address=_address(address))
    except ValueError:
        return Circumstances(origin=origin)


def _origin(said: str) -> str | None:
    try:
        parts = urlsplit(said)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme and parts.netloc else None


def json_body(request: HttpRequest, kinds: Sequence[str] = ("application/json",)) -> Any:
    """Read a JSON body.

    Args:
        request: The request.
        kinds: Media types that it may say it is.

    Raises:
        BadRequestError: If it says that it is something else, is none, or is nested too deeply.
    """
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if kind not in kinds:
        raise BadRequestError(f"the body must be {' or '.join(kinds)}")
    try:
        return json.loads(request.body, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BadRequestError("the body is not well-formed JSON") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    """Read a number; one that is too large for a float would come out as Infinity, which is no JSON."""
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")
"""The machine may always ask itself: health checks do."""


def _is_trusted(peer: str, trusted: Iterable[str]) -> bool:
    try:
        address = _address(peer)
        return any(address in _network(network) for network in trusted)
    except ValueError:
        return False


_address = lru_cache(maxsize=1024)(ipaddress.ip_address)
_network = lru_cache(maxsize=1024)(partial(ipaddress.ip_network, strict=False))
