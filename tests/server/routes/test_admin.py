"""Administration by HTTP: the whole model of rights, by those who may, and nothing of it to others."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from auth import edits
from auth.documents import FIELDS, KINDS
from auth.models import (
    Action,
    InstitutionStatus,
)
from auth.reach import Selector
from auth.rules import new_grant, new_membership
from server.rights_file import parse
from server.routing import Route
from tests.conftest import Town
from tests.server.conftest import Asgi
from tests.server.routes.offices import (
    GRANTED,
    HIDDEN,
    MADE,
    NOW,
    ROUTES,
    Office,
    addressed,
    new_document,
)

# who may what


def expected(caller: str, route: Route, method: str) -> set[int]:
    """Give what a caller gets who asks well for something of `region`."""
    if caller in {"anonymous", "reader", "narrowed", "child"}:
        return {401 if caller == "anonymous" else 403}
    own, one = route.path.startswith("/keys"), "{id}" in route.path
    if Action.MANAGE not in route.actions and caller != "operator":
        return {403}
    if (caller == "foreign" or (caller == "operator" and own)) and one:
        return {404}  # not of its institution
    if route.id in {"admin_add_key", "add_key"} and (caller == "foreign" or (own and caller == "operator")):
        return {403}  # for another institution
    good = {"DELETE": 200 if own else 204, "POST": 200 if one or route.id == "admin_apply_rights" else 201}
    if route.id == "admin_remove_institution":
        return {409}  # others name it
    return {good.get(method, 200)}


@pytest.mark.parametrize("id_", ROUTES)
def test_each_route_serves_those_who_may_and_changes_nothing_for_others(quiet: Office, id_: str) -> None:
    route = ROUTES[id_]
    (method,) = route.methods - {"HEAD"}
    order = ("anonymous", "reader", "narrowed", "child", "foreign", "manager", "operator")
    for place, caller in enumerate(order):
        target, body = addressed(quiet, route, method, 100 * list(ROUTES).index(id_) + place)
        before = quiet.head()
        reply = quiet.ask(caller, method, target, body)
        assert reply.status in expected(caller, route, method), (caller, target, reply.status, reply.body)
        assert reply.headers["cache-control"] == "no-store", caller
        if reply.status >= 400 or method == "GET":
            assert quiet.head() == before, caller
        if reply.status in {401, 403}:
            assert b"region" not in reply.body, caller
        if caller in {"manager", "foreign"} and reply.status == 200:
            other = quiet.ids["foreign reader" if caller == "manager" else "reader"]
            assert other not in reply.body.decode(), caller
    for prefix in ("/public", "/k/garbage"):
        assert quiet.asgi.get(prefix + target, {}, method, json.dumps(body).encode()).status == 401


def test_the_routes_are_all_tried(quiet: Office) -> None:
    assert len(ROUTES) > 40
    for route in ROUTES.values():
        assert route.actions in ({Action.MANAGE}, {Action.OPERATE}), route.id
        assert len(route.methods - {"HEAD"}) == 1, route.id


HIDES = [id_ for id_, route in ROUTES.items() if Action.MANAGE in route.actions and "{id}" in route.path]


@pytest.mark.parametrize("id_", HIDES)
def test_what_is_anothers_and_what_is_not_there_are_one_answer(quiet: Office, id_: str) -> None:
    route = ROUTES[id_]
    (method,) = route.methods - {"HEAD"}
    kind = next(k for k in KINDS if f"{FIELDS[k]}/" in route.path)
    others = {
        "institution": "other",
        "membership": new_membership("other", "https://id.example", "siret", "9").id,
        "key": quiet.ids["foreign reader"],
        "grant": next(g.id for g in quiet.knowledge.policy.grants.values() if g.grantee == "other"),
    }
    quiet.change(edits.put(new_membership("other", "https://id.example", "siret", "9")))
    missing = {"key": "AAAAAAAA"}.get(kind, "missing")
    answers = []
    for name in (others[kind], missing):
        body = None
        if method == "PUT":
            body = quiet.good("operator", "GET", f"/admin/keys/{others[kind]}") | {"id": name}
        for more in ({}, {"if_match": '"x"'}, {"if_match": "*"}):
            reply = quiet.ask("manager", method, route.path.replace("{id}", name), body, **more)
            headers = {k: v for k, v in reply.headers.items() if k != "x-request-id"}
            answers.append((reply.status, headers, reply.body))
    assert answers[0][0] == 404
    assert all(answer == answers[0] for answer in answers), answers


def test_a_key_for_anothers_institution_or_below_anothers_key_is_like_for_none(quiet: Office) -> None:
    for field, theirs, none in (
        ("institution_id", "other", "missing"),
        ("parent_id", quiet.ids["foreign"], "AAAAAAAA"),
    ):
        answers = [quiet.ask("manager", "POST", "/admin/keys", {field: name}) for name in (theirs, none)]
        assert answers[0].status == (403 if field == "institution_id" else 422)
        assert (answers[0].status, answers[0].body) == (answers[1].status, answers[1].body)


def test_a_manager_sees_its_own_institution_and_grants_to_its_groups(office: Office) -> None:
    to_group = new_grant("group:south", Selector(collections=frozenset({"open"})), area=None, now=NOW)
    foreign = new_grant("other", Selector(collections=frozenset({"open"})), area=None, now=NOW)
    for right in (to_group, foreign):
        office.change(edits.add(right))
    assert [i["id"] for i in office.good("manager", "GET", "/admin/institutions")["institutions"]] == [
        "region"
    ]
    grants = {g["id"] for g in office.good("manager", "GET", "/admin/grants")["grants"]}
    assert grants == {to_group.id, office.rights["grant"]}
    assert office.ask("manager", "GET", f"/admin/grants/{foreign.id}").status == 404
    assert office.good("manager", "GET", "/admin/grants?institution=other")["grants"] == []
    everything = {g["id"] for g in office.good("operator", "GET", "/admin/grants")["grants"]}
    assert everything > grants | {foreign.id}
    some = office.good("operator", "GET", "/admin/grants?institution=region")["grants"]
    assert {g["id"] for g in some} == grants
    index = office.good("manager", "GET", "/admin/")
    assert (index["institution"], index["operator"]) == ("region", False)
    assert {a["path"] for a in index["addresses"]} == {
        route.path for route in ROUTES.values() if Action.MANAGE in route.actions and route.id != "admin"
    }
    assert len(office.good("operator", "GET", "/admin/")["addresses"]) == len(ROUTES) - 1


def test_cookies_and_signatures_administer_nothing(quiet: Office) -> None:
    for caller in ("manager", "operator"):
        key = {"x-api-key": quiet.keys[caller]}
        query = quiet.asgi.send("POST", "/sign", {}, key).json["query"]
        cookie = (
            quiet.asgi.send("POST", "/sign", {"as": "cookie"}, key).headers["set-cookie"].partition(";")[0]
        )
        for path in ("/admin/keys", "/keys", "/admin/"):
            assert quiet.asgi.get(f"{path}?{query}").status == 403
            assert quiet.asgi.get(path, {"cookie": cookie}).status == 403
        for path in ("/admin/keys", "/keys"):
            assert quiet.asgi.send("POST", f"{path}?{query}", {}).status == 403
            assert quiet.asgi.send("POST", path, {}, {"cookie": cookie}).status == 401


def test_operators_never_gain_imagery_by_it(office: Office) -> None:
    for path in ("/admin/", "/admin/rights", "/admin/grants"):
        assert office.ask("operator", "GET", path).status == 200
    everything = {
        "grantee": "ops",
        "area": "everywhere",
        "selector": {"collections": ["granted", "hidden"]},
        "actions": ["catalogue", "preview", "tile", "info", "export"],
    }
    office.good("operator", "POST", "/admin/grants", everything)
    own = office.good("operator", "POST", "/keys", {})
    office.keys["own"] = own["key"]
    top = office.good("operator", "POST", "/admin/keys", {"institution_id": "ops"})
    office.keys["top"] = top["key"]
    for caller in ("operator", "own", "top"):
        for layer in (GRANTED, HIDDEN):
            assert office.ask(caller, "GET", layer).status == 404
    assert office.ask("own", "GET", "/admin/").status == 403  # below an operator's key: narrower
    assert office.ask("top", "GET", "/admin/").status == 200


def test_who_administers_no_more_writes_nothing_even_where_that_is_not_known_yet(office: Office) -> None:
    """Another worker revoked the key a moment ago: this one has not heard of it."""
    store = office.knowledge.policy_store
    store.change(edits.revoke_key(office.ids["manager"], NOW), actor="test", at=NOW)
    head = store.audit_head()
    assert office.ask("manager", "GET", "/whoami").status == 200  # for a second
    assert office.ask("manager", "GET", "/admin/keys").status == 401
    assert office.ask("manager", "POST", "/keys", {}).status == 401
    store.change(edits.set_status("ops", InstitutionStatus.SUSPENDED), actor="test", at=NOW)
    assert office.ask("operator", "DELETE", f"/admin/grants/{office.rights['grant']}").status == 401
    assert store.audit_head()[0] == head[0] + 1


# documents


@pytest.mark.parametrize("kind", KINDS)
def test_putting_what_was_got_changes_nothing_and_records_nothing(quiet: Office, kind: str) -> None:
    path = f"/admin/{FIELDS[kind]}/{quiet.rights[kind]}"
    got, before = quiet.ask("operator", "GET", path), quiet.head()
    put = quiet.ask("operator", "PUT", path, got.json, if_match=got.headers["etag"])
    assert (put.status, put.body, put.headers["etag"]) == (200, got.body, got.headers["etag"])
    assert quiet.head() == before
    assert quiet.ask("operator", "GET", path, if_none_match=got.headers["etag"]).status == 304
    listed = quiet.good("operator", "GET", f"/admin/{FIELDS[kind]}")[FIELDS[kind]]
    assert got.json in listed
    assert [each["id"] for each in listed] == sorted(each["id"] for each in listed)


def test_documents_make_change_and_remove_rights(office: Office) -> None:
    made = office.ask(
        "operator", "PUT", "/admin/institutions/new", {"name": "New", "contacts": ["a@b.example"]}
    )
    assert made.status == 201
    assert made.headers["location"].endswith("/admin/institutions/new")
    assert office.ask("operator", "PUT", "/admin/institutions/new", {"name": "Newer"}).status == 200
    assert office.good("operator", "GET", "/admin/institutions/new") == {"id": "new", "name": "Newer"}
    grant = office.ask("operator", "POST", "/admin/grants", new_document("grant", 1) | {"grantee": "new"})
    assert grant.status == 201
    assert grant.json["id"].startswith("g")
    assert grant.json["created_by"] == f"key:{town_operator(office)}"
    same = office.ask("operator", "POST", "/admin/grants", new_document("grant", 1) | {"grantee": "new"})
    assert (same.status, same.json["id"]) == (200, grant.json["id"])
    path = f"/admin/grants/{grant.json['id']}"
    less = {name: value for name, value in grant.json.items() if name not in {"created", "created_by"}}
    changed = office.good("operator", "PUT", path, less | {"finest_ground_resolution": 2.0})
    assert changed == grant.json | {"finest_ground_resolution": 2.0}
    assert office.ask("operator", "DELETE", "/admin/institutions/new").status == 409
    assert office.ask("operator", "DELETE", path).status == 204
    assert office.ask("operator", "DELETE", "/admin/institutions/new").status == 204
    assert office.ask("operator", "GET", "/admin/institutions/new").status == 404
    assert office.ask("operator", "DELETE", "/admin/institutions/new").status == 404
    records = office.good("operator", "GET", "/admin/audit")["records"]
    mine = [(r["actor"], r["what"], r["kind"]) for r in records if r["actor"] != "test"][-6:]
    who = f"key:{town_operator(office)}"
    assert mine == [
        (who, "put", "institution"),
        (who, "put", "institution"),
        (who, "put", "grant"),
        (who, "put", "grant"),
        (who, "removed", "grant"),
        (who, "removed", "institution"),
    ]


def town_operator(office: Office) -> str:
    return cast("str", office.keys["operator"]).split("_")[2]


def test_a_grant_opens_and_its_removal_and_a_suspension_close_at_once(office: Office) -> None:
    assert office.ask("reader", "GET", HIDDEN).status == 404
    made = office.good(
        "operator",
        "POST",
        "/admin/grants",
        new_document("grant", 1) | {"selector": {"collections": ["hidden"]}},
    )
    assert office.ask("reader", "GET", HIDDEN).status == 200
    assert office.ask("operator", "DELETE", f"/admin/grants/{made['id']}").status == 204
    assert office.ask("reader", "GET", HIDDEN).status == 404
    for word, status in (("suspend", 401), ("resume", 200), ("close", 401), ("resume", 200)):
        office.good("operator", "POST", f"/admin/institutions/region/{word}")
        assert office.ask("reader", "GET", GRANTED).status == status, word


WRONG = {
    "institution": (
        {},
        {"name": 1},
        {"name": "x", "colour": "red"},
        {"name": "x", "id": "elsewhere"},
        {"name": "x", "status": "asleep"},
        [],
        "x",
        None,
    ),
    "group": ({"name": "x", "members": ["missing"]}, {"name": "x", "members": "region"}),
    "licence": ({"title": "x", "public": {}}, {"title": "x", "redistribution": "all"}),
    "membership": ({"institution_id": "missing", "issuer": "a", "claim": "b", "value": "c"},),
    "grant": (
        {"grantee": "region"},
        {"grantee": "region", "area": None},
        {"grantee": "region", "area": []},
        {"grantee": "missing", "area": "everywhere"},
        {"grantee": "region", "area": "everywhere", "selector": {"licences": ["missing"]}},
        {"grantee": "region", "area": "everywhere", "selector": {"collections": ["missing"]}},
        {"grantee": "region", "area": "everywhere", "actions": ["manage"]},
        {"grantee": "region", "area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}},
        {"grantee": "region", "area": {"type": "Polygon", "coordinates": {}}},
    ),
    "forbid": (
        {"reason": "x"},
        {"area": "everywhere"},
        {"area": "everywhere", "reason": "x", "selector": {"collections": ["misspelt"]}},
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_cannot_be_is_refused_with_the_reason(quiet: Office, kind: str) -> None:
    before = quiet.head()
    for body in WRONG[kind]:
        for method, path in (("PUT", f"/admin/{FIELDS[kind]}/x1"), ("POST", f"/admin/{FIELDS[kind]}")):
            if method == "POST" and kind not in {"grant", "forbid", "membership"}:
                continue
            reply = (
                quiet.ask("operator", method, path)
                if body is None
                else quiet.ask("operator", method, path, body)
            )
            assert reply.status == (400 if body is None else 422), (body, reply.body)
            if body is not None:
                assert reply.json["code"] == "invalid_right"
                assert len(reply.json["detail"]) > 10
    assert quiet.head() == before


@pytest.mark.parametrize("field", ["id", "created", "created_by"])
def test_what_is_made_here_is_not_said(quiet: Office, field: str) -> None:
    body = cast("dict[str, Any]", new_document("grant", 1)) | {field: "2026-01-01T00:00:00Z"}
    assert quiet.ask("operator", "POST", "/admin/grants", body).status == 422


ODD = (None, True, -1, 1e300, "", "x" * 5000, [], [[]], {}, {"a": {}}, [None], "\u0000", "\ud800x", 10**40)


def test_odd_values_in_every_field_are_no_server_error(office: Office) -> None:
    statuses = set()
    for kind in KINDS:
        path = f"/admin/{FIELDS[kind]}/{office.rights[kind]}"
        good = office.good("operator", "GET", path)
        if kind == "grant":
            good |= {"valid": "../..", "quota": {"amount": 1}, "conditions": {"networks": ["192.0.2.0/24"]}}
        for name, value in itertools.product(good, ODD):
            new = {field: said for field, said in good.items() if field not in MADE}
            for method, target, body in (
                ("PUT", path, good | {name: value}),
                ("POST", f"/admin/{FIELDS[kind]}", new | {name: value}),
            ):
                reply = office.ask("operator", method, target, body)
                assert reply.status in {200, 201, 405, 409, 422}, (body, reply.status, reply.body)
                statuses.add(reply.status)
    assert statuses == {200, 201, 405, 422}
    parse(office.ask("operator", "GET", "/admin/rights").body.decode())
    assert office.good("operator", "GET", "/admin/audit/verify")["verified"]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[" * 100_000, b'{"a":' * 50_000, b'{"name": NaN}', b"\xff", b'"\\ud800"', b"null", b"0"],
)
def test_a_body_that_is_no_document_is_refused(quiet: Office, raw: bytes) -> None:
    headers = {"x-api-key": cast("str", quiet.keys["operator"]), "content-type": "application/json"}
    before = quiet.head()
    for route in ROUTES.values():
        (method,) = route.methods - {"HEAD"}
        if route.body is None or (not raw and not route.body.required):
            continue
        id_ = {"keys": quiet.rights["key"], "collections": "open"}
        target = route.path.replace(
            "{id}",
            id_.get(
                route.path.split("/")[-3 if route.path.endswith(("rotate", "visibility")) else -2], "region"
            ),
        )
        reply = quiet.asgi.get(target, headers, method, raw)
        assert reply.status in {400, 404, 422}, (target, reply.status, reply.body)
        other = quiet.asgi.get(target, headers | {"content-type": "text/plain"}, method, b"{}")
        assert other.status in {400, 404}, target
    assert quiet.head() == before


def test_a_body_that_is_too_large_is_refused(quiet: Office) -> None:
    reply = quiet.ask("operator", "PUT", "/admin/licences/big", {"title": "x" * 33_000_000})
    assert (reply.status, reply.json["code"]) == (422, "too_large")


# two at once


def test_a_validator_keeps_two_writers_apart(office: Office) -> None:
    path = f"/admin/grants/{office.rights['grant']}"
    read = office.ask("operator", "GET", path)
    tag = read.headers["etag"]
    first = office.ask("operator", "PUT", path, read.json | {"reason": "first"}, if_match=tag)
    assert first.status == 200
    assert first.headers["etag"] != tag
    for method, body in (("PUT", read.json | {"reason": "second"}), ("DELETE", None)):
        late = office.ask("second", method, path, body, if_match=tag)
        assert (late.status, late.json["code"]) == (412, "changed")
    for wrong in (f"W/{first.headers['etag']}", '""', "x", ""):
        assert office.ask("second", "DELETE", path, if_match=wrong).status == 412
    assert office.ask("operator", "GET", path).json["reason"] == "first"
    fresh = {"name": "x"}
    assert office.ask("operator", "PUT", "/admin/institutions/x", fresh, if_match="*").status == 412
    assert office.ask("operator", "PUT", "/admin/institutions/x", fresh, if_none_match="*").status == 201
    assert office.ask("operator", "PUT", "/admin/institutions/x", fresh, if_none_match="*").status == 412
    both = f'"nothing", {first.headers["etag"]}'
    assert office.ask("operator", "DELETE", path, if_match=both).status == 204


def test_use_of_a_key_does_not_spoil_its_validator(office: Office) -> None:
    path = f"/admin/keys/{office.ids['manager']}"
    before = office.ask("manager", "GET", path)
    assert before.json["secrets"] == [{"number": 1, "last_used": None}]
    store = office.asgi.application.services.meter.store
    store.use_keys({(office.ids["manager"], 1): NOW.date()})
    after = office.ask("manager", "GET", path)
    assert after.json["secrets"][0]["last_used"] == NOW.date().isoformat()
    assert after.headers["etag"] != before.headers["etag"]
    put = office.ask("manager", "PUT", path, before.json | {"label": "x"}, if_match=before.headers["etag"])
    assert put.status == 200


def test_two_writers_at_once_lose_nothing(
    own_home: Path, started: Callable[..., Asgi], town: Town, record_property: Callable[[str, object], None]
) -> None:
    """Two workers over one home, each counting up the same name with a validator."""
    turns, workers = 12, [started(own_home), started(own_home)]
    headers = {"x-api-key": town.operator_key}
    assert workers[0].send("PUT", "/admin/groups/count", {"name": "0"}, headers).status == 201
    refused = []

    def count(asgi: Asgi) -> None:
        with asyncio.Runner() as runner:
            mine = Asgi(asgi.application, runner)
            done = 0
            for _ in range(turns * 200):
                read = mine.get("/admin/groups/count", headers)
                if read.status == 404:
                    continue
                body = {"name": str(int(read.json["name"]) + 1)}
                sent = headers | {"if-match": read.headers["etag"]}
                reply = mine.send("PUT", "/admin/groups/count", body, sent)
                assert reply.status in {200, 412}, reply.body
                done += reply.status == 200
                if reply.status == 412:
                    refused.append(1)
                if done == turns:
                    return
            raise AssertionError("never done")

    before = workers[0].application.services.knowledge.policy_store.audit_head()[0]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(count, workers))
    store = workers[0].application.services.knowledge.policy_store
    assert store.snapshot().groups["count"].name == str(2 * turns)
    assert store.audit_head()[0] == before + 2 * turns
    record_property("refused_and_tried_again", len(refused))


def test_tiles_do_not_wait_for_administration(office: Office) -> None:
    """Every thread of administration waits for its database; a tile that has to be read is served."""
    services, asked = office.asgi.application.services, threading.Event()
    held = [services.desk.submit(asked.wait, 60) for _ in range(8)]
    try:
        assert office.ask("reader", "GET", GRANTED).status == 200
        assert sum(each.done() for each in held) == 0
    finally:
        asked.set()
    assert office.ask("operator", "GET", "/admin/").status == 200


def test_what_one_worker_writes_the_other_shows_at_once(
    own_home: Path, started: Callable[..., Asgi], town: Town
) -> None:
    one, other = started(own_home), started(own_home)
    headers = {"x-api-key": town.operator_key}
    for number in range(5):
        target = f"/admin/groups/g{number}"
        assert one.send("PUT", target, {"name": "x"}, headers).status == 201
        assert other.get(target, headers).status == 200
        assert other.get(target, headers, "DELETE").status == 204
        assert one.get(target, headers).status == 404


def test_the_precondition_is_checked_under_the_lock_not_before(office: Office) -> None:
    """The document is compared with what the edit sees, not with what the worker knew."""
    read = office.ask("operator", "GET", "/admin/groups/south")
    store = office.knowledge.policy_store
    store.change(edits.put(replace(store.snapshot().groups["south"], name="elsewhere")), actor="test", at=NOW)
    put = office.ask("operator", "PUT", "/admin/groups/south", read.json, if_match=read.headers["etag"])
    assert put.status == 412
    assert store.snapshot().groups["south"].name == "elsewhere"
