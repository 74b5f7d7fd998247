"""Whatever is sent: never a 5xx, never a stack, a path or an echoed name, never a secret in the log."""

from __future__ import annotations

import base64
import itertools
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth.edits import revoke_key
from auth.store import SqlPolicyStore
from server.database import connect, sqlite_module
from server.metrics import Metrics
from server.routes.health import Readiness
from server.routes.table import routes
from server.routing import variables
from tests.conftest import (
    SCALE,
    Reply,
    Server,
    Town,
    flux,
    position_pixels,
    serving,
    wait_until,
    write_raster,
)
from tests.server.conftest import TILE, Asgi

MARK = "zqmark"
"""Stands in everything that is asked for and isn't there; no answer may repeat it."""

NEVER = (
    *("Traceback", 'File "', "/tmp/", "/root", "/home", ".tif", "flux.db", "pepper", "rasterio", "GDAL"),
    *("sqlite", "s3://", "/vsi", "Error(", MARK),
)
"""Words that no answer may hold, whoever asked for what."""

ROUTES = {route.id: route for route in routes(Metrics(None), Readiness(cast("Any", None)))}

GOOD = {
    "layer": "open",
    "tms": "WebMercatorQuad",
    "style": "default",
    "time": "default",
    "z": "17",
    "x": "66052",
    "y": "47859",
    "i": "128.json",
    "j": "128",
    "id": "open",
    "place": "1.4178,43.606",
}
ADMINISTRATION = {id_ for id_, route in ROUTES.items() if route.path.startswith(("/admin/", "/keys"))}
WHOLE_NUMBERS = {"z", "x", "y", "i", "j"}

NUMBERS = [
    *("01", "+1", "-1", "1.0", "1e3", "1_0", "%201", "1%20", "0x1", "00", "-0", "%2B1", "%31%00", "1,5"),
    *("99999999999", "9" * 40, "2147483648", "9999999999", "NaN", "inf", "", "%D9%A1", "%EF%BC%91", "%C2%B2"),
]
"""What is no number that we know, or one that is in no grid."""

NAMES = [
    *("%2e%2e", "..", ".", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%2fetc%2fpasswd", "%5c%5chost", "a%00b", "%00"),
    *(
        "%c0%af",
        "%c0%ae%c0%ae",
        "%e0%80%af",
        "%ff%fe",
        "%ed%a0%80",
        "%",
        "%zz",
        "%u0041",
        "%0d%0aX-A:b",
        "%7f",
    ),
    *(
        "%2e",
        "open%00",
        "open%2f",
        "open/",
        "open%20",
        "%20open",
        "OPEN",
        "open:",
        ":open",
        "open::a",
        "op%65n%2e",
    ),
    *("open:..", "open:open_20240517%00", "*", "%25", "%27%20or%201=1--", "{{7*7}}", "$(id)", "%3Cscript%3E"),
    *("http:%2f%2f127.0.0.1:1%2fx.tif", "%2fvsicurl%2fhttp:%2f%2fx", "file:%2f%2f%2fetc%2fpasswd", "a" * 300),
    *("é", "%E2%80%AE", "\u202e", "con", "constructor", "__proto__", "_filter"),
]
"""Layers, grids, styles and times that are none."""


def fill(path: str, values: dict[str, str]) -> str:
    """Write a route's address; the last variable of an image gets its extension."""
    for name in variables(path):
        path = path.replace(f"{{{name}}}", values[name])
    return path


def addresses() -> Iterator[tuple[str, str, str]]:
    """Give (route, variable, address) for each route with one variable attacked."""
    for route in ROUTES.values():
        names = variables(route.path)
        good = dict(GOOD)
        if route.id == "wmts_tile":
            good["x"] += ".png"
        for name in names:
            suffix = ".png" if route.id in {"wmts_tile", "xyz_tile"} and name == names[-1] else ""
            suffix = ".json" if name == "i" else suffix
            attacks = NUMBERS + NAMES if name in WHOLE_NUMBERS else NAMES
            for attack in attacks:
                yield route.id, name, fill(route.path, {**good, name: attack + suffix})


def check(reply: Reply, asked: str) -> None:
    """Hold an answer against what no answer may be."""
    assert reply.status < 500, (asked, reply.body[:300])
    assert reply.headers["x-content-type-options"] == "nosniff"
    if re.match(r"image/|text/(javascript|css)", reply.headers.get("content-type", "")):
        return
    text = reply.body.decode() + str({k: v for k, v in reply.headers.items() if k != "location"})
    found = [word for word in NEVER if word in text]
    assert not found, (asked, found, text[:300])


@pytest.mark.parametrize("caller", ["anonymous", "right"])
@pytest.mark.parametrize("prefix", ["", "/public", "/k/{key}"])
def test_one_form_of_each_address_and_nothing_else(
    town: Town, town_asgi: Asgi, caller: str, prefix: str
) -> None:
    key = {"anonymous": None, "right": town.key}[caller]
    headers = {} if key is None or prefix else {"X-API-Key": key}
    begin = prefix.format(key=town.key)
    count = 0
    for route, name, address in addresses():
        reply = town_asgi.get(begin + address, headers)
        check(reply, address)
        refused = {400, 401, 403, 404, 405} if route in ADMINISTRATION else {400, 401, 404}
        assert reply.status in refused, (route, name, address, reply.status)
        count += 1
    assert count > 500


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_no_name_is_another_right_to_those_who_administer(town: Town, town_asgi: Asgi, method: str) -> None:
    headers = {"X-API-Key": town.operator_key, "Content-Type": "application/json"}
    count = 0
    for route, name, address in addresses():
        if route in ADMINISTRATION and method in ROUTES[route].methods:
            reply = town_asgi.get(address, headers, method, b"{}")
            check(Reply(reply.status, reply.headers, b""), address)  # a body's fault is told with its words
            assert reply.status in {400, 404, 422}, (route, name, address, reply.status)
            count += 1
    assert count > 100


ADMINISTERED = ("/admin/institutions/region", "/admin/licences/region-only")


def good_address(route: str, town: Town) -> str:
    """Give an address of a reading route that an operator is answered at."""
    good = {**GOOD, "x": "66052.png"} if route == "wmts_tile" else GOOD
    path = ROUTES[route].path
    if path.endswith("/{id}"):
        return next((known for known in ADMINISTERED if known.startswith(path.removesuffix("{id}"))), path)
    return fill(path, good) + (
        "?key_id={}&layer=open&at=1,44".format(town.key.split("_")[2]) if route == "explain" else ""
    )


def test_the_good_form_of_each_address_is_answered(town: Town, town_asgi: Asgi) -> None:
    for route in ROUTES.values():
        if "GET" not in route.methods:
            continue  # its own tests send it what it wants
        address = good_address(route.id, town)
        reply = town_asgi.get(address, {"X-API-Key": town.operator_key})
        absent = route.id.startswith("page_") or "{id}" in address
        assert reply.status in ({200, 404} if absent else {200}), route.id


QUERY_NAMES = (
    "style",
    "after",
    "limit",
    "expect",
    "institution",
    "dry_run",
    "prune",
    "time",
    "width",
    "max_bytes",
    "g",
    "lang",
    "format",
    "url",
    "expression",
    "bidx",
    "z",
)
"""What our routes read, and what others' would."""


@pytest.mark.parametrize("route", ROUTES)
def test_queries_of_all_sorts(town: Town, town_asgi: Asgi, route: str) -> None:
    good = {**GOOD, "x": "66052.png"} if route == "wmts_tile" else GOOD
    path = fill(ROUTES[route].path, good)
    for turn, (name, value) in enumerate(itertools.product(QUERY_NAMES, (MARK, *NUMBERS, *NAMES))):
        if turn % 3:  # every value comes by with every third name, or so
            continue
        forms = (f"{name}={value}", f"{name}={value}&{name}={MARK}", f"{name}[]={value}", f"{value}")
        asked = f"{path}?{forms[turn % len(forms)]}"
        if route == "wmts_kvp":
            asked += f"&service=WMTS&request=GetTile&version=1.0.0&layer={MARK}"
        check(town_asgi.get(asked, {"X-API-Key": town.key}), asked)
        if route in ADMINISTRATION:
            (method,) = ROUTES[route].methods - {"HEAD"}
            administers = {"X-API-Key": town.operator_key, "Content-Type": "application/json"}
            reply = town_asgi.get(asked, administers, method, b"[]")
            assert reply.status in {200, 400, 404, 422}, asked


@pytest.mark.parametrize("name", ["style", "time", "width", "max_bytes"])
def test_a_parameter_with_two_values_is_refused(town_asgi: Asgi, name: str) -> None:
    route = "/preview/open"
    good = {"style": "rgb", "time": "2024-05-17", "width": "64", "max_bytes": "90000"}[name]
    assert town_asgi.get(f"{route}?{name}={good}").status == 200
    assert town_asgi.get(f"{route}?{name}={good}&{name}={good}").status == 200
    assert town_asgi.get(f"{route}?{name}={good}&{name}=1").status == 400


def test_an_unknown_parameter_makes_no_other_tile(town_asgi: Asgi) -> None:
    plain = town_asgi.get(TILE.format("open"))
    busted = town_asgi.get(TILE.format("open") + "?_=17&url=x&bidx=1")
    assert (busted.status, busted.headers["etag"]) == (200, plain.headers["etag"])


KVP = {
    "service": "WMTS",
    "request": "GetFeatureInfo",
    "version": "1.0.0",
    "layer": "open",
    "style": "",
    "format": "image/png",
    "tilematrixset": "WebMercatorQuad",
    "tilematrix": "17",
    "tilerow": "47859",
    "tilecol": "66052",
    "infoformat": "application/json",
    "i": "1",
    "j": "1",
    "time": "default",
}


@pytest.mark.parametrize("request_name", ["GetTile", "GetFeatureInfo", "GetCapabilities"])
def test_kvp_of_all_sorts(town_asgi: Asgi, request_name: str) -> None:
    def ask(values: dict[str, str], more: str = "") -> Reply:
        query = "&".join(f"{name}={value}" for name, value in values.items())
        return town_asgi.get(f"/wmts?{query}{more}")

    good = {**KVP, "request": request_name}
    assert ask(good).status == 200
    for name in good:
        check(ask({k: v for k, v in good.items() if k != name}), f"without {name}")
        check(ask(good, f"&{name.upper()}={MARK}"), f"{name} twice")
        for value in (*NUMBERS, *NAMES, MARK):
            reply = ask({**good, name: value})
            check(reply, f"{name}={value}")
            read = {"GetTile": {"tilerow", "tilecol"}, "GetFeatureInfo": {"tilerow", "tilecol", "i", "j"}}
            assert reply.status == 400 or name not in read.get(request_name, ()), (name, value)
    for query in (f"layers={MARK}", f"tms={MARK}", f"layers=open,{MARK}", f"lang={MARK}", f"sections={MARK}"):
        check(town_asgi.get(f"/wmts?{query}"), query)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(
            (host, 400)
            for host in ("", "a b", "a/b", "a?b", "a#b", "@a", "a@b", 'a"b', "<a>", "a:99999999", "a:b")
        ),
        *((host, 200) for host in ("a", "a.b:1", "[::1]:80", "127.0.0.1")),
    ],
)
@pytest.mark.parametrize("path", ["/layers", "/", "/wmts", "/openapi.json"])
def test_bad_hosts(town: Town, town_asgi: Asgi, host: str, status: int, path: str) -> None:
    reply = town_asgi.get(path, {"Host": host, "X-API-Key": town.key})
    assert reply.status == status
    check(reply, path)


def test_forwarding_headers_of_strangers_change_nothing(town_asgi: Asgi) -> None:
    plain = town_asgi.get("/layers").body
    for name in ("Host", "Proto", "Port", "Prefix", "Uri", "Server", "For"):
        assert town_asgi.get("/layers", {f"X-Forwarded-{name}": f"{MARK}.example"}).body == plain
    for name in ("X-Original-URL", "X-Rewrite-URL", "Forwarded", "X-HTTP-Method-Override", "Sec-Username"):
        assert town_asgi.get("/layers", {name: f"/{MARK}"}).body == plain


ODD_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
PERCENT = st.binary(max_size=6).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw))
SEGMENT = st.one_of(
    st.sampled_from(
        [*GOOD.values(), *NAMES, *NUMBERS, "granted", "hidden", "open:open_20240517", "tilejson.json"]
    ),
    st.sampled_from(sorted({part for route in ROUTES.values() for part in route.path.split("/")[1:]})),
    st.sampled_from(
        ["k", "public", "latest", "2024-05-17", "2024-05-17--..", "0.png", "0@2x.webp", "1.jpeg"]
    ),
    ODD_TEXT,
    PERCENT,
)
QUERY_NAME = st.one_of(
    st.sampled_from([*KVP, "key", "API_KEY", "width", "max_bytes", "g", "lang", "layers", "tms", "sections"]),
    ODD_TEXT,
)
PATHS = st.one_of(
    st.lists(SEGMENT, max_size=10).map(lambda parts: "/" + "/".join(parts)),
    st.sampled_from(sorted(ROUTES)).flatmap(
        lambda id_: st.fixed_dictionaries(dict.fromkeys(GOOD, SEGMENT)).map(
            lambda values: fill(ROUTES[id_].path, values)
        )
    ),
)


@settings(
    max_examples=int(200 + 10_000 * SCALE),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    path=PATHS,
    query=st.lists(st.tuples(QUERY_NAME, SEGMENT), max_size=6),
    method=st.sampled_from(["GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "X"]),
    accept=st.one_of(st.just("*/*"), st.sampled_from(["text/html", "image/webp", "x"]), ODD_TEXT),
    known=st.booleans(),
)
def test_no_random_request_is_a_server_error(
    town: Town,
    town_asgi: Asgi,
    *,
    path: str,
    query: list[tuple[str, str]],
    method: str,
    accept: str,
    known: bool,
) -> None:
    headers = {"Accept": accept.encode("utf-8").decode("latin-1")}
    if known:
        headers["X-API-Key"] = town.key
    asked = path + "?" + "&".join(f"{name}={value}" for name, value in query)
    reply = town_asgi.get(asked, headers, method)
    page_unbuilt = reply.status == 503 and b"map page is not built" in reply.body
    assert reply.status < 500 or page_unbuilt, asked
    assert b"Traceback" not in reply.body


@settings(max_examples=int(100 + 5_000 * SCALE), deadline=None)
@given(target=st.binary(max_size=60), slash=st.booleans(), header=st.binary(max_size=30))
def test_no_random_bytes_are_a_server_error(
    town_asgi: Asgi, target: bytes, slash: bool, header: bytes
) -> None:
    text = header.decode("latin-1")
    headers = {"Authorization": text, "If-None-Match": text, "Accept-Language": text, "Accept": text}
    assert town_asgi.get((b"/" if slash else b"") + target, headers).status < 500


# From here on over real sockets.


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


def tile_of(server: Server, town: Town, layer: str) -> Reply:
    return server.get(TILE.format(layer), {"X-API-Key": town.key})


@pytest.mark.parametrize("damage", ["deleted", "cut short", "garbage", "empty", "a folder", "another image"])
def test_a_file_that_goes_bad_fails_alone_and_comes_back(
    town: Town, own_home: Path, started: Callable[..., Asgi], damage: str
) -> None:
    asgi = started(own_home)
    file = own_home / "data" / "cogs" / "granted" / "granted_20240517.tif"
    whole = file.read_bytes()
    file.unlink()
    if damage == "a folder":
        file.mkdir()
    elif damage == "another image":
        write_raster(file, position_pixels(20, 20, 1))
    elif damage != "deleted":
        bad = {"cut short": whole[: len(whole) // 3], "garbage": b"II*\0" + b"\xff" * 3000, "empty": b""}
        file.write_bytes(bad[damage])
    headers = {"X-API-Key": town.key}
    for _ in range(2):  # the failure isn't kept
        for path in (
            TILE.format("granted"),
            "/preview/granted?width=64",
            "/preview/granted?width=64&max_bytes=9000",
        ):
            reply = asgi.get(path, headers)
            assert reply.status == 502, (path, reply.status)
            assert reply.headers["retry-after"].isdigit()
            assert "etag" not in reply.headers
            assert reply.headers["cache-control"] == "no-store"
            check(Reply(0, reply.headers, reply.body), path)
        assert asgi.get(TILE.format("open"), headers).status == 200
        assert asgi.get("/layers/granted", headers).status == 200
        assert asgi.get("/health/ready").status == 200
    if file.is_dir():
        file.rmdir()
    file.write_bytes(whole)
    # it is told for up to a second to who asks for the very same, and no longer
    wait_until(lambda: asgi.get(TILE.format("granted"), headers).status == 200, seconds=10)
    back = asgi.get(TILE.format("granted"), headers)
    assert back.headers["etag"]
    assert back.body == started(own_home).get(TILE.format("granted"), headers).body


def test_a_bad_file_leaves_the_rest_of_its_mosaic_and_that_is_not_kept(
    town: Town, own_home: Path, started: Callable[..., Asgi], tmp_path: Path
) -> None:
    newer = write_raster(
        tmp_path / "newer_20240901.tif", position_pixels(700, 900, 3)[:, ::-1].copy(), photometric="RGB"
    )
    flux(own_home, "bank", str(newer), "--collection", "open")
    asgi = started(own_home)
    whole = asgi.get(TILE.format("open"))
    assert whole.status == 200
    for found in (own_home / "data" / "cogs" / "open").glob("newer*.tif"):
        kept = found.read_bytes()
        found.write_bytes(b"broken")
    again = started(own_home, tiles={"disk_cache_megabytes": 0})  # the whole one is there
    partial = again.get(TILE.format("open"))
    assert partial.status == 200
    assert partial.body != whole.body
    assert "etag" not in partial.headers
    assert partial.headers["cache-control"] == "no-store"
    found.write_bytes(kept)
    assert again.get(TILE.format("open")).body == whole.body


def edit_item(home: Path, collection: str, change: Callable[[dict[str, object]], object]) -> str:
    """Change the item of a collection's scene by hand, as no command would; give it as it was."""
    with closing(sqlite_module.connect(home / "flux.db")) as database:
        before = database.execute(
            "SELECT item FROM mosaics_scenes WHERE collection_id = ?", (collection,)
        ).fetchone()[0]
        after = change(json.loads(before))
        put_item(database, collection, after if isinstance(after, str) else json.dumps(after))
    return before


def put_item(database: Any, collection: str, item: str) -> None:
    database.execute("UPDATE mosaics_sequence SET value = value + 1")
    database.execute(
        "UPDATE mosaics_scenes SET item = ?, sequence = (SELECT value FROM mosaics_sequence)"
        " WHERE collection_id = ?",
        (item, collection),
    )
    database.commit()


def with_href(href: str) -> Callable[[dict], dict]:
    def change(item: dict) -> dict:
        item["assets"]["data"]["href"] = href
        return item

    return change


def test_an_address_outside_the_data_folders_is_not_opened(
    town: Town, own_home: Path, started: Callable[..., Asgi], tmp_path: Path
) -> None:
    outside = tmp_path / "outside.tif"
    inside = own_home / "data" / "cogs" / "granted" / "granted_20240517.tif"
    outside.write_bytes(inside.read_bytes())
    link = inside.with_name("link.tif")
    link.symlink_to(outside)
    headers = {"X-API-Key": town.key}
    for href in (
        str(outside),
        str(link),
        "cogs/granted/link.tif",
        f"{inside.parent}/../../../../outside.tif",
        "/dev/zero",
    ):
        edit_item(own_home, "granted", with_href(href))
        asgi = started(own_home)
        reply = asgi.get(TILE.format("granted"), headers)
        assert reply.status == 502, href
        check(Reply(0, reply.headers, reply.body), href)
        point = "/wmts/1.0.0/granted/default/default/WebMercatorQuad/17/47859/66052/128/128.json"
        assert asgi.get(point, headers).status == 502
        assert asgi.get(TILE.format("open"), headers).status == 200
    edit_item(own_home, "granted", with_href(str(inside)))
    assert started(own_home).get(TILE.format("granted"), headers).status == 200


@pytest.mark.parametrize(
    "change",
    [
        with_href("../../outside.tif"),
        with_href("http://127.0.0.1:1/x.tif"),
        with_href("vrt://x"),
        lambda item: {},
        lambda item: {**item, "properties": {}},
        lambda item: {**item, "geometry": None},
        lambda item: "not JSON",
        lambda item: "[]",
    ],
)
def test_a_broken_item_is_left_out_alone_and_revoking_still_holds(
    town: Town, own_home: Path, change: Callable[[dict], object], started: Callable[..., Asgi]
) -> None:
    asgi = started(own_home)
    knowledge = asgi.application.services.knowledge
    headers = {"X-API-Key": town.key}
    assert asgi.get(TILE.format("granted"), headers).status == 200
    before = edit_item(own_home, "granted", change)
    knowledge.refresh()
    assert asgi.get(TILE.format("open"), headers).status == 200
    engine = connect(None, own_home)
    now = datetime.now(UTC)
    SqlPolicyStore(engine).change(revoke_key(town.key.split("_")[2], now), actor="test", at=now)
    engine.dispose()
    knowledge.refresh()
    assert asgi.get(TILE.format("open"), headers).status == 401
    fresh = started(own_home)
    assert fresh.get(TILE.format("open")).status == 200
    with closing(sqlite_module.connect(own_home / "flux.db")) as database:
        put_item(database, "granted", before)
    knowledge.refresh()
    assert len(asgi.application.services.knowledge.index.scenes) == 3


def test_a_locked_or_broken_database_is_not_felt_by_known_keys(town: Town, own_home: Path) -> None:
    database = own_home / "flux.db"
    with serving(own_home) as server:
        assert tile_of(server, town, "granted").status == 200
        with closing(sqlite_module.connect(database, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            until = time.monotonic() + 2
            while time.monotonic() < until:
                assert tile_of(server, town, "granted").status == 200
            writer.execute("ROLLBACK")
            writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole = database.read_bytes()
        with database.open("r+b") as file:
            file.write(b"\xff" * len(whole))
        wait_until(lambda: "not_refreshed" in server.log.read_text(), seconds=5, what=server.log.read_text)
        for _ in range(20):
            assert tile_of(server, town, "granted").status == 200
            assert tile_of(server, town, "open").status == 200
        assert server.get("/health/ready").status == 200
        assert server.get("/layers", {"X-API-Key": "flx_live_AAAAAAAA_nothing"}).status == 401
        with database.open("r+b") as file:
            file.write(whole)
        flux(own_home, "key", "revoke", town.key)
        wait_until(
            lambda: {tile_of(server, town, "granted").status for _ in range(12)} == {401},
            seconds=8,
            what=server.log.read_text,
        )
    assert not re.search(r"worker_died|request_failed", server.log.read_text())


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
