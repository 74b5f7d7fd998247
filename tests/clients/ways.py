"""The ways a credential travels, one table for the tests of all clients and for docs/clients.md.

A new way (a token of an identity provider, the headers of a gateway) is a row of WAYS, and a field of
Credential where what travels is new. Each client's tests take the rows that name it, each for all holders.
"""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

import pytest

QGIS, GDAL, OWSLIB, OPENLAYERS, MAPLIBRE = CLIENTS = ("QGIS", "GDAL", "OWSLib", "OpenLayers", "MapLibre")

USER = "any"
"""The user name of Basic, which the server does not look at."""

COOKIE = "__Host-flux"

REFUSED = ("other", "revoked", "nobody")
"""Holders who may not see the layer of `mine`."""


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What one holder has to show."""

    key: str
    signature: str
    """Made with the key by `POST /sign`."""
    cookie: str
    """The value of the cookie that `POST /sign` set."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What a client is told, so that it shows a credential."""

    prefix: str = ""
    """Before the path of every address."""
    query: str = ""
    """In the query of the first address; capabilities and TileJSON hand it on."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """With every request, for clients that can."""
    password: str | None = None
    """The same as the header Authorization: Basic, for clients that ask for user name and password."""
    cookie: str | None = None
    """The same as the header Cookie."""

    def address(self, root: str, path: str, query: str = "") -> str:
        """Write an address: root, prefix, path and both queries."""
        whole = "&".join(part for part in (query, self.query) if part)
        return f"{root}{self.prefix}{path}" + (f"?{whole}" if whole else "")


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way a credential travels."""

    id: str
    """As docs/clients.md has it."""
    sent: Callable[[Credential], Sent]
    clients: frozenset[str]
    """Clients that can go it."""


NOTHING = Sent()


def _query(name: str) -> Callable[[Credential], Sent]:
    return lambda shown: Sent(query=f"{name}={shown.key}")


def _basic(shown: Credential) -> Sent:
    encoded = base64.b64encode(f"{USER}:{shown.key}".encode()).decode()
    return Sent(headers={"Authorization": f"Basic {encoded}"}, password=shown.key)


def _cookie(shown: Credential) -> Sent:
    return Sent(headers={"Cookie": f"{COOKIE}={shown.cookie}"}, cookie=shown.cookie)


_ALL = frozenset(CLIENTS)
_WITH_HEADERS = _ALL - {QGIS}

WAYS = (
    Way(id="key", sent=_query("key"), clients=_ALL),
    Way(id="apikey", sent=_query("apikey"), clients=_ALL),
    Way(id="api_key", sent=_query("api_key"), clients=_ALL),
    Way(id="authkey", sent=_query("authkey"), clients=_ALL),
    Way(id="path", sent=lambda shown: Sent(prefix=f"/k/{shown.key}"), clients=_ALL),
    Way(id="Basic", sent=_basic, clients=_ALL),
    Way(
        id="X-API-Key",
        sent=lambda shown: Sent(headers={"X-API-Key": shown.key}),
        clients=_WITH_HEADERS,
    ),
    Way(
        id="Bearer",
        sent=lambda shown: Sent(headers={"Authorization": f"Bearer {shown.key}"}),
        clients=_WITH_HEADERS,
    ),
    Way(id="sig", sent=lambda shown: Sent(query=f"sig={shown.signature}"), clients=_ALL),
    Way(id="cookie", sent=_cookie, clients=_WITH_HEADERS),
)


def ways_of(client: str) -> list[object]:
    """Give the rows that name a client, as parameters of a test."""
    return [pytest.param(way, id=way.id) for way in WAYS if client in way.clients]


def signed(root: str, key: str) -> Credential:
    """Have the server sign what stands for a key: as an address and as a cookie."""
    query = json.load(_post_sign(root, key, "url"))["query"]
    cookie = _post_sign(root, key, "cookie").headers["Set-Cookie"].partition(";")[0]
    return Credential(
        key=key,
        signature=unquote(query.removeprefix("sig=")),
        cookie=cookie.removeprefix(f"{COOKIE}="),
    )


def _post_sign(root: str, key: str, use: str):
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    body = json.dumps({"as": use, "minutes": 30}).encode()
    return urllib.request.urlopen(
        urllib.request.Request(f"{root}/sign", data=body, headers=headers, method="POST"),
        timeout=10,
    )
