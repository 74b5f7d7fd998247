"""The table of ways: what docs/clients.md says is what the tests run; and each way by plain HTTP."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.clients.ways import CLIENTS, NOTHING, WAYS, Credential, Way
from tests.conftest import ROOT, Server

TILE = "/tiles/texture/WebMercatorQuad/17/66053/47860.png"


def test_the_docs_tell_which_client_goes_which_way() -> None:
    lines = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8").splitlines()
    (start,) = (number for number, line in enumerate(lines) if line.startswith("| way | QGIS"))
    heads, _, *rows = [_cells(line) for line in lines[start : start + 2 + len(WAYS)]]
    assert [head.split()[0] for head in heads[1:]] == list(CLIENTS)
    told = {
        way: {client for client, cell in zip(CLIENTS, cells, strict=True) if cell == "yes"}
        for way, *cells in rows
    }
    assert told == {way.id: set(way.clients) for way in WAYS}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.id)
def test_every_way_opens_the_own_and_nothing_else(
    server: Server, credentials: Mapping[str, Credential], way: Way
) -> None:
    for holder, status in {"mine": 200, "other": 404, "revoked": 401, "nobody": 401}.items():
        sent = way.sent(credentials[holder]) if holder in credentials else NOTHING
        reply = server.get(sent.address("", TILE), dict(sent.headers))
        assert reply.status == status, holder


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_another_origin_may_send_the_headers(server: Server, header: str) -> None:
    asked = {
        "Origin": "https://portal.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": header,
    }
    for path in (TILE, "/wmts", "/tiles/texture/WebMercatorQuad/tilejson.json"):
        reply = server.get(path, asked, method="OPTIONS")
        assert reply.status == 204
        assert reply.headers["access-control-allow-origin"] == "*"
        allowed = reply.headers["access-control-allow-headers"].lower().split(", ")
        assert header in allowed
