"""Every route x every caller x every layer, cold and cached: nothing leaks, each answer is as promised."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pytest

from auth.models import Action
from tests.conftest import Reply, Server, Town
from tests.server.conftest import declared_routes

TMS = "WebMercatorQuad"
# a tile in the middle of the town's scenes: EPSG:2154 572225, 6279825
Z, X, Y = 17, 66052, 47859

LAYER_ROUTES = {
    "xyz_tile": f"/tiles/{{layer}}/{TMS}/{Z}/{X}/{Y}.png",
    "tilejson": f"/tiles/{{layer}}/{TMS}/tilejson.json",
    "wmts_tile": f"/wmts/1.0.0/{{layer}}/default/default/{TMS}/{Z}/{Y}/{X}.png",
    "wmts_feature_info": f"/wmts/1.0.0/{{layer}}/default/default/{TMS}/{Z}/{Y}/{X}/128/128.json",
    "layer": "/layers/{layer}",
    "preview": "/preview/{layer}.png",
    "legend": "/legend/{layer}/default.png",
    "info": "/info/{layer}",
    "statistics": "/statistics/{layer}?max_size=64",
    "point": "/point/{layer}/1.4175,43.606",
    "series": "/series/{layer}?at=1.4175,43.606",
    "timelapse": "/timelapse/{layer}?width=64",
    "wmts_kvp": (
        f"/wmts?service=WMTS&request=GetTile&version=1.0.0&layer={{layer}}&style=&format=image/png"
        f"&tilematrixset={TMS}&tilematrix={Z}&tilerow={Y}&tilecol={X}"
    ),
}
"""One address per route that names a layer."""

LIST_ROUTES = {"layers": "/layers", "wmts_capabilities": "/wmts/1.0.0/WMTSCapabilities.xml"}
OPEN_ROUTES = {
    "index": "/",
    "page_app_js": "/app.js",
    "page_app_css": "/app.css",
    "page_licences_txt": "/licences.txt",
    "openapi": "/openapi.json",
    "health_live": "/health/live",
    "health_ready": "/health/ready",
}
OPERATOR_ROUTES = {"metrics": "/metrics"}
MANAGED_ROUTES = {"usage": "/usage", "explain": "/explain?key_id=AAAAAAAA&layer=open&at=1,44"}
"""For managers of an institution and operators."""
OWN_ROUTES = {"whoami": "/whoami"}
"""Tells a caller of itself."""
POSTED_ROUTES = {
    "feature_statistics": "/statistics/{layer}",
    "feature_series": "/series/{layer}",
    "feature_timelapse": "/timelapse/{layer}",
    "volume": "/volume/{layer}?compare=2024-05-17",
}
"""Routes that name a layer and take a body; with one they are in test_leak.py."""
WRITTEN_ROUTES = {"sign", "unsign"}
"""Their methods and callers stand in tests/server/routes/test_self_service.py."""

ADMIN_READING = {
    "admin": "/admin/",
    "admin_institutions": "/admin/institutions",
    "admin_institution": "/admin/institutions/region",
    "admin_groups": "/admin/groups",
    "admin_group": "/admin/groups/missing",
    "admin_licences": "/admin/licences",
    "admin_licence": "/admin/licences/region-only",
    "admin_memberships": "/admin/memberships",
    "admin_membership": "/admin/memberships/missing",
    "admin_keys": "/admin/keys",
    "admin_key": "/admin/keys/AAAAAAAA",
    "admin_grants": "/admin/grants",
    "admin_grant": "/admin/grants/missing",
    "admin_forbids": "/admin/forbids",
    "admin_forbid": "/admin/forbids/missing",
    "admin_rights": "/admin/rights",
    "admin_audit": "/admin/audit",
    "admin_verify_audit": "/admin/audit/verify",
    "admin_collections": "/admin/collections",
    "admin_mosaics": "/admin/mosaics",
    "admin_mosaic": "/admin/mosaics/missing",
    "keys": "/keys",
}
"""For operators; what of it managers see stands in tests/server/routes/test_admin.py."""
ADMIN_WRITING = {
    "admin_put_institution": "PUT /admin/institutions/region",
    "admin_remove_institution": "DELETE /admin/institutions/missing",
    "admin_suspend": "POST /admin/institutions/missing/suspend",
    "admin_resume": "POST /admin/institutions/missing/resume",
    "admin_close": "POST /admin/institutions/missing/close",
    "admin_put_group": "PUT /admin/groups/missing",
    "admin_remove_group": "DELETE /admin/groups/missing",
    "admin_put_licence": "PUT /admin/licences/region-only",
    "admin_remove_licence": "DELETE /admin/licences/missing",
    "admin_put_membership": "PUT /admin/memberships/missing",
    "admin_add_membership": "POST /admin/memberships",
    "admin_remove_membership": "DELETE /admin/memberships/missing",
    "admin_put_key": "PUT /admin/keys/AAAAAAAA",
    "admin_add_key": "POST /admin/keys",
    "admin_rotate_key": "POST /admin/keys/AAAAAAAA/rotate",
    "admin_revoke_key": "POST /admin/keys/AAAAAAAA/revoke",
    "admin_remove_key": "DELETE /admin/keys/AAAAAAAA",
    "admin_put_grant": "PUT /admin/grants/missing",
    "admin_add_grant": "POST /admin/grants",
    "admin_approve": "POST /admin/grants/missing/approve",
    "admin_remove_grant": "DELETE /admin/grants/missing",
    "admin_put_forbid": "PUT /admin/forbids/missing",
    "admin_add_forbid": "POST /admin/forbids",
    "admin_remove_forbid": "DELETE /admin/forbids/missing",
    "admin_apply_rights": "POST /admin/rights",
    "admin_put_mosaic": "PUT /admin/mosaics/missing",
    "admin_remove_mosaic": "DELETE /admin/mosaics/missing",
    "admin_put_visibility": "PUT /admin/collections/open/visibility",
    "add_key": "POST /keys",
    "rotate_key": "POST /keys/AAAAAAAA/rotate",
    "revoke_key": "DELETE /keys/AAAAAAAA",
}
"""Asked without a body, or of what is not there, so that nothing is written here."""

LAYERS = ("open", "granted", "hidden", "missing", "open:open_20240517", "granted:granted_20240517")
NAMES = ("granted", "hidden", "region-only")
"""What must never stand in an answer to somebody who may not know of it."""


@dataclass(frozen=True)
class Caller:
    name: str
    key: str | None
    sees: frozenset[str]


def callers(town: Town) -> dict[str, Caller]:
    wrong = town.key[:-1] + ("A" if town.key[-1] != "A" else "B")
    return {
        "anonymous": Caller("anonymous", None, frozenset({"open"})),
        "wrong": Caller("wrong", wrong, frozenset()),
        "garbage": Caller("garbage", "garbage", frozenset()),
        "revoked": Caller("revoked", town.revoked_key, frozenset()),
        "other": Caller("other", town.other_key, frozenset({"open", "hidden"})),
        "right": Caller("right", town.key, frozenset({"open", "granted"})),
        "operator": Caller("operator", town.operator_key, frozenset({"open"})),
    }


CALLERS = ("anonymous", "wrong", "garbage", "revoked", "other", "right", "operator")
BAD = frozenset({"wrong", "garbage", "revoked"})


def ask(server: Server, path: str, caller: Caller) -> Reply:
    return server.get(path, {} if caller.key is None else {"X-API-Key": caller.key})


def expected(caller: Caller, layer: str, route: str) -> int:
    if caller.name in BAD:
        return 401
    if layer.partition(":")[0] in caller.sees:
        return 200
    if caller.name == "anonymous":
        return 401
    return 400 if route == "wmts_kvp" else 404


def test_the_table_covers_every_route() -> None:
    declared = declared_routes()
    assert {r.id for r in declared} == {
        *LAYER_ROUTES,
        *LIST_ROUTES,
        *OPEN_ROUTES,
        *OPERATOR_ROUTES,
        *MANAGED_ROUTES,
        *OWN_ROUTES,
        *POSTED_ROUTES,
        *WRITTEN_ROUTES,
        *ADMIN_READING,
        *ADMIN_WRITING,
    }
    for route in declared:
        assert route.actions, route.id
        if "{layer}" in route.path:
            assert Action.OPEN not in route.actions, route.id


@pytest.mark.parametrize("temperature", ["cold", "cached"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("route", LAYER_ROUTES)
def test_a_layer_is_served_to_those_who_may_see_it(
    town: Town, town_server: Server, route: str, layer: str, temperature: str
) -> None:
    path = LAYER_ROUTES[route].format(layer=layer)
    known = callers(town)
    if temperature == "cached":
        for warm in ("right", "other", "anonymous"):
            for _ in range(4):  # both workers
                ask(town_server, path, known[warm])
    for name in CALLERS:
        caller = known[name]
        reply = ask(town_server, path, caller)
        assert reply.status == expected(caller, layer, route), (name, reply.body[:200])
        if reply.status == 200:
            continue
        assert not reply.headers["content-type"].startswith("image/")
        assert reply.headers["cache-control"] == "no-store"
        assert "etag" not in reply.headers
        text = reply.body.decode()
        assert not any(word in text for word in NAMES), (name, text)
        if reply.status == 401:
            assert reply.headers["www-authenticate"].startswith('Basic realm="dinamis-flux"')
            assert "location" not in reply.headers


@pytest.mark.parametrize("route", LAYER_ROUTES)
@pytest.mark.parametrize("name", ["anonymous", "right", "operator"])
def test_hidden_and_missing_are_one_answer_byte_for_byte(
    town: Town, town_server: Server, route: str, name: str
) -> None:
    caller = callers(town)[name]
    answers = []
    for layer in ("hidden", "missing", "hidden:hidden_20240517", "hidden:none", "Mis~sing"):
        reply = ask(town_server, LAYER_ROUTES[route].format(layer=layer), caller)
        headers = {k: v for k, v in reply.headers.items() if k not in {"x-request-id", "date"}}
        answers.append((reply.status, headers, reply.body))
    assert all(answer == answers[0] for answer in answers), answers


@pytest.mark.parametrize("route", POSTED_ROUTES)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_body_is_looked_at_only_for_those_who_may_see_the_layer(
    town: Town, town_server: Server, route: str, layer: str
) -> None:
    for caller in callers(town).values():
        headers = {} if caller.key is None else {"X-API-Key": caller.key}
        reply = town_server.get(POSTED_ROUTES[route].format(layer=layer), headers, method="POST")
        wanted = expected(caller, layer, route)
        assert reply.status == (400 if wanted == 200 else wanted), caller.name


@pytest.mark.parametrize("route", LIST_ROUTES)
@pytest.mark.parametrize("name", CALLERS)
def test_lists_hold_exactly_what_the_caller_may_see(
    town: Town, town_server: Server, route: str, name: str
) -> None:
    caller = callers(town)[name]
    reply = ask(town_server, LIST_ROUTES[route], caller)
    if name in BAD:
        assert reply.status == 401
        return
    assert reply.status == 200
    text = reply.body.decode()
    for layer in ("open", "granted", "hidden"):
        listed = f'"id":"{layer}"' in text or f"<ows:Identifier>{layer}</ows:Identifier>" in text
        assert listed == (layer in caller.sees), layer
        if layer not in caller.sees:
            assert layer not in text


@pytest.mark.parametrize("name", CALLERS)
def test_metrics_are_for_operators(town: Town, town_server: Server, name: str) -> None:
    reply = ask(town_server, OPERATOR_ROUTES["metrics"], callers(town)[name])
    status = {"operator": 200, "right": 403, "other": 403}.get(name, 401)
    assert reply.status == status
    assert (b"flux_http_answers" in reply.body) == (status == 200)


@pytest.mark.parametrize("route", OPEN_ROUTES)
def test_open_routes_name_nothing(town: Town, town_server: Server, route: str) -> None:
    for name in ("anonymous", "right"):
        reply = ask(town_server, OPEN_ROUTES[route], callers(town)[name])
        assert reply.status in {200, 404}
        secrets = (b"region-only", b"granted_20240517", b"hidden_20240517")
        assert not any(word in reply.body for word in secrets)


@pytest.mark.parametrize("route", ["index", "openapi", "metrics", *LIST_ROUTES])
def test_a_bad_key_never_falls_back_to_public(town: Town, town_server: Server, route: str) -> None:
    path = {**OPEN_ROUTES, **LIST_ROUTES, **OPERATOR_ROUTES}[route]
    for name in BAD:
        assert ask(town_server, path, callers(town)[name]).status == 401


def test_every_way_of_sending_the_key_opens_the_same(town: Town, town_server: Server) -> None:
    path, key = LAYER_ROUTES["xyz_tile"].format(layer="granted"), town.key
    basic = base64.b64encode(f"any:{key}".encode()).decode()
    replies = [
        town_server.get(path, {"X-API-Key": key}),
        town_server.get(path, {"Authorization": f"Bearer {key}"}),
        town_server.get(path, {"Authorization": f"Basic {basic}"}),
        town_server.get(f"{path}?key={key}"),
        town_server.get(f"{path}?apikey={key}"),
        town_server.get(f"{path}?API_KEY={key}"),
        town_server.get(f"{path}?authkey={key}"),
        town_server.get(f"/k/{key}{path}"),
    ]
    assert {reply.status for reply in replies} == {200}
    assert len({(reply.body, reply.headers["etag"]) for reply in replies}) == 1


def test_two_different_keys_are_refused(town: Town, town_server: Server) -> None:
    path = LAYER_ROUTES["xyz_tile"].format(layer="open")
    assert town_server.get(f"{path}?key={town.key}", {"X-API-Key": town.other_key}).status == 400
    assert town_server.get(f"{path}?key={town.key}", {"X-API-Key": town.key}).status == 200


def test_public_ignores_keys_and_alone_may_be_shared(town: Town, town_server: Server) -> None:
    tile = LAYER_ROUTES["xyz_tile"]
    reply = town_server.get("/public" + tile.format(layer="open"), {"X-API-Key": town.key})
    assert reply.status == 200
    assert reply.headers["cache-control"].startswith("public")
    assert town_server.get("/public" + tile.format(layer="granted"), {"X-API-Key": town.key}).status == 401
    assert town_server.get("/public/layers", {"X-API-Key": "garbage"}).status == 200
    signed = town_server.get(tile.format(layer="open"), {"X-API-Key": town.key})
    assert signed.headers["cache-control"].startswith("private")
    assert town_server.get(tile.format(layer="open")).headers["cache-control"].startswith("private")


def test_a_validator_is_no_way_round_a_decision(town: Town, town_server: Server) -> None:
    path = LAYER_ROUTES["xyz_tile"].format(layer="granted")
    etag = town_server.get(path, {"X-API-Key": town.key}).headers["etag"]
    assert town_server.get(path, {"X-API-Key": town.key, "If-None-Match": etag}).status == 304
    assert town_server.get(path, {"If-None-Match": etag}).status == 401
    assert town_server.get(path, {"X-API-Key": town.other_key, "If-None-Match": etag}).status == 404


def test_head_tells_the_same_without_a_body(town: Town, town_server: Server) -> None:
    for layer, status in (("granted", 200), ("hidden", 404)):
        path = LAYER_ROUTES["xyz_tile"].format(layer=layer)
        get = town_server.get(path, {"X-API-Key": town.key})
        head = town_server.get(path, {"X-API-Key": town.key}, method="HEAD")
        assert (head.status, head.body) == (status, b"")
        assert head.headers["content-length"] == str(len(get.body))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(town: Town, town_server: Server, method: str) -> None:
    for path in ("/layers", LAYER_ROUTES["xyz_tile"].format(layer="granted"), "/wmts"):
        assert town_server.get(path, {"X-API-Key": town.key}, method=method).status == 405


def test_preflight_lets_web_maps_send_the_key(town_server: Server) -> None:
    reply = town_server.get(LAYER_ROUTES["xyz_tile"].format(layer="granted"), method="OPTIONS")
    assert reply.status == 204
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "X-API-Key" in reply.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in reply.headers


@pytest.mark.parametrize("route", MANAGED_ROUTES)
def test_what_is_managed_is_for_managers_and_operators(town: Town, town_server: Server, route: str) -> None:
    for name, caller in callers(town).items():
        reply = ask(town_server, MANAGED_ROUTES[route], caller)
        operated = 404 if route == "explain" else 200
        expected_status = {"anonymous": 401, "operator": operated} | dict.fromkeys(BAD, 401)
        assert reply.status == expected_status.get(name, 403), name
        if reply.status != 200:
            assert not any(word.encode() in reply.body for word in NAMES)


def test_who_one_is_is_told_to_oneself(town: Town, town_server: Server) -> None:
    for name, caller in callers(town).items():
        reply = ask(town_server, OWN_ROUTES["whoami"], caller)
        assert reply.status == (401 if name in BAD else 200), name
        assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("route", [*ADMIN_READING, *ADMIN_WRITING])
def test_administration_is_for_those_who_administer(town: Town, town_server: Server, route: str) -> None:
    asked = ADMIN_WRITING.get(route) or f"GET {ADMIN_READING[route]}"
    method, _, path = asked.partition(" ")
    for name, caller in callers(town).items():
        headers = {} if caller.key is None else {"X-API-Key": caller.key}
        reply = town_server.get(path, headers, method)
        if name == "operator":
            reading = {404} if "missing" in path or "AAAAAAAA" in path else {200}
            assert reply.status in (reading if method == "GET" else {400, 404}), asked
            continue
        assert reply.status == (401 if name in BAD | {"anonymous"} else 403), (name, asked)
        assert reply.headers["cache-control"] == "no-store"
        assert not any(word.encode() in reply.body for word in NAMES), (name, asked)
