"""Documents of rights by HTTP: what was got can be put, what cannot be is refused with the reason."""

from __future__ import annotations

import itertools
from typing import Any, cast

import pytest

from auth.documents import FIELDS, KINDS
from server.rights_file import parse
from tests.server.routes.offices import GRANTED, HIDDEN, MADE, ROUTES, Office, new_document


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
