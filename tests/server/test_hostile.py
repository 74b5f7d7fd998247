"""Whatever is asked for: never a 5xx, never a stack, a path or an echoed name."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import SCALE, Reply, Town
from tests.server.conftest import TILE, Asgi
from tests.server.hostile import ADMINISTRATION, GOOD, MARK, NAMES, NUMBERS, ROUTES, addresses, check, fill


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
        posted = "GET" not in ROUTES[route].methods and route not in ADMINISTRATION | {"sign", "unsign"}
        kind = {"Content-Type": "application/json"} if posted else {}
        reply = town_asgi.get(begin + address, headers | kind, "POST" if posted else "GET", b"{}" * posted)
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
    asked = {
        "explain": "?key_id={}&layer=open&at=1,44".format(town.key.split("_")[2]),
        "series": "?at=1.4178,43.606",
    }
    return fill(path, good) + asked.get(route, "")


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
    "at",
    "bbox",
    "compare",
    "correct",
    "delay_ms",
    "fps",
    "bands",
    "index",
    "rescale",
    "colormap",
    "gamma",
    "height",
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
READING = frozenset({"statistics", "feature_statistics", "timelapse", "feature_timelapse"})
"""Routes that read a whole scene for each answer: they are asked less."""


@pytest.mark.parametrize("route", ROUTES)
def test_queries_of_all_sorts(town: Town, town_asgi: Asgi, route: str) -> None:
    good = {**GOOD, "x": "66052.png"} if route == "wmts_tile" else GOOD
    path = fill(ROUTES[route].path, good)
    for turn, (name, value) in enumerate(itertools.product(QUERY_NAMES, (MARK, *NUMBERS, *NAMES))):
        if turn % (17 if route in READING else 3):  # every value comes by with every third name, or so
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
