"""Administration by HTTP: the whole model of rights, by those who may, and nothing of it to others."""

from __future__ import annotations

import json

import pytest

from auth import edits
from auth.documents import FIELDS, KINDS
from auth.models import Action, InstitutionStatus
from auth.reach import Selector
from auth.rules import new_grant, new_membership
from server.routing import Route
from tests.server.routes.offices import GRANTED, HIDDEN, NOW, ROUTES, Office, addressed


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
