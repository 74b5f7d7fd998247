"""Crises, all rights as one file, their record and who knows of a collection, by HTTP."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import cast

import pytest
import shapely

from auth import edits
from auth.documents import FIELDS, document_of
from auth.schema import audit_table
from server.rights_file import export, parse
from tests.conftest import Reply
from tests.server.routes.offices import (
    GRANTED,
    HIDDEN,
    MADE,
    NOW,
    Office,
    crisis,
)


def test_a_crisis_opens_once_two_different_operators_approve(office: Office) -> None:
    body = {
        "grantee": "region",
        "kind": "crisis",
        "event_id": "EMSR1",
        "selector": {"collections": ["hidden"]},
        "area": dict(shapely.geometry.mapping(shapely.box(-5, 42, 8, 51))),
        "valid": f"{NOW.isoformat()}/{(NOW + timedelta(hours=12)).isoformat()}",
    }
    made = office.good("operator", "POST", "/admin/grants", body)
    assert made["approvals"] == ["ops"]
    path = f"/admin/grants/{made['id']}"
    assert office.ask("reader", "GET", HIDDEN).status == 404
    head = office.head()
    assert office.good("operator", "POST", f"{path}/approve")["approvals"] == ["ops"]
    assert office.head() == head
    assert office.ask("reader", "GET", HIDDEN).status == 404
    assert office.good("second", "POST", f"{path}/approve")["approvals"] == ["ops", "ops2"]
    assert office.ask("reader", "GET", HIDDEN).status == 200
    whole = office.good("second", "GET", path)
    wider = whole | {"selector": {"collections": ["hidden", "granted"]}}
    assert office.ask("second", "PUT", path, wider).status == 422  # the other did not approve that
    assert office.ask("second", "PUT", path, whole).status == 200
    office.good("second", "PUT", path, wider | {"approvals": ["ops2"]})
    assert office.ask("reader", "GET", HIDDEN).status == 404
    assert office.ask("operator", "POST", f"/admin/grants/{office.rights['grant']}/approve").status == 422


def test_nobody_approves_for_another(office: Office) -> None:
    made = crisis(7)
    forged = json.loads(json.dumps(document_of(made))) | {"approvals": ["ops", "ops2"]}
    posted = {name: value for name, value in forged.items() if name not in MADE}
    assert office.ask("operator", "POST", "/admin/grants", posted).status == 422
    assert office.ask("operator", "PUT", f"/admin/grants/{made.id}", forged).status == 422
    applied = office.good("operator", "POST", "/admin/rights", {"rights": 1, "grants": [forged]})
    assert applied["unapproved"] == [made.id], "a file brings no approvals"
    assert office.ask("reader", "GET", HIDDEN).status == 404
    assert "approvals" not in office.good("operator", "GET", f"/admin/grants/{made.id}")
    alone = forged | {"approvals": ["ops2"]}
    assert office.ask("operator", "PUT", f"/admin/grants/{made.id}", alone).status == 422
    assert office.ask("reader", "GET", HIDDEN).status == 404


def test_no_operator_acts_as_another(office: Office) -> None:
    """Else one alone could approve as two: by a key of the other, or by an operator of its own making."""
    seconds, head = office.ids["second"], office.head()
    ours = office.good("operator", "POST", "/admin/keys", {"institution_id": "region"})
    stolen, _ = office.key("region")
    document = office.good("operator", "GET", "/admin/rights?format=json")
    hashed = document_of(stolen) | {"institution_id": "ops2"}
    member = {"institution_id": "ops2", "issuer": "https://id.example", "claim": "sub", "value": "me"}
    head = office.head()
    for method, path, body in (
        ("PUT", "/admin/institutions/mine", {"name": "mine", "operator": True}),
        ("PUT", "/admin/institutions/region", {"name": "region", "operator": True}),
        ("PUT", "/admin/institutions/ops2", {"name": "second"}),
        ("POST", "/admin/keys", {"institution_id": "ops2"}),
        ("POST", f"/admin/keys/{seconds}/rotate", {}),
        ("POST", "/admin/memberships", member),
        ("PUT", "/admin/memberships/mine", member),
        (
            "POST",
            "/admin/rights",
            {"rights": 1, "institutions": [{"id": "x", "name": "x", "operator": True}]},
        ),
        ("POST", "/admin/rights", {"rights": 1, "keys": [hashed]}),
        ("POST", "/admin/rights?dry_run=true", {"rights": 1, "keys": [hashed | {"id": "ZZZZZZZZ"}]}),
    ):
        reply = office.ask("operator", method, path, body)
        assert (reply.status, reply.json["code"]) == (403, "another_operator"), (path, body)
    assert office.head() == head
    office.good("operator", "POST", "/admin/rights", document)
    office.good("operator", "POST", f"/admin/keys/{ours['document']['id']}/rotate")
    office.good("operator", "POST", "/keys", {})
    office.good("operator", "POST", "/admin/keys", {"institution_id": "ops"})
    office.good("operator", "POST", f"/admin/keys/{seconds}/revoke")  # against a stolen one
    assert office.ask("second", "GET", "/admin/").status == 401


def test_everything_is_never_granted_nor_forbidden_by_oversight(office: Office) -> None:
    head = office.head()
    for kind, body in (
        ("grant", {"grantee": "region", "area": "everywhere"}),
        ("forbid", {"area": "everywhere", "reason": "x"}),
    ):
        assert office.ask("operator", "POST", f"/admin/{FIELDS[kind]}", body).status == 422
        assert office.ask("operator", "PUT", f"/admin/{FIELDS[kind]}/all", body).status == 422
    assert office.head() == head


def test_who_approves_can_say_what_it_has_read(office: Office) -> None:
    office.change(edits.add(crisis(8)))
    path = f"/admin/grants/{crisis(8).id}"
    read = office.ask("operator", "GET", path)
    office.good("second", "PUT", path, read.json | {"reason": "another", "approvals": ["ops2"]})
    late = office.ask("operator", "POST", f"{path}/approve", if_match=read.headers["etag"])
    assert late.status == 412


def test_the_file_of_rights_goes_out_and_comes_back(office: Office) -> None:
    read = office.ask("operator", "GET", "/admin/rights")
    assert read.headers["content-type"].startswith("application/yaml")
    assert read.body.decode() == export(office.knowledge.policy)
    as_json = office.good("operator", "GET", "/admin/rights?format=json")
    assert parse(json.dumps(as_json)) == parse(read.body.decode())
    head = office.head()
    key = {"x-api-key": cast("str", office.keys["operator"]), "content-type": "application/yaml"}

    def post(query: str, body: bytes, **more: str) -> Reply:
        return office.asgi.get(f"/admin/rights{query}", key | more, "POST", body)

    assert post("", read.body).json["changed"] == 0
    assert office.head() == head
    changed = read.body.replace(b"name: South", b"name: Southern")
    dry = post("?dry_run=true", changed)
    assert (dry.json["dry_run"], dry.json["changed"]) == (True, 1)
    (difference,) = dry.json["differences"]
    assert (difference["sign"], difference["id"]) == ("~", "south")
    assert post("?dry_run=true&format=text", changed).body == f"{difference['line']}\n".encode()
    assert office.head() == head
    assert office.good("operator", "GET", "/admin/groups/south")["name"] == "South"
    for typing_error in ("?dryrun=true", "?dry_run=1", "?dry_run=True", "?dry-run=true", "?prune=yes"):
        assert post(typing_error, changed).status == 400
    assert office.head() == head
    assert post("", changed, **{"if-match": '"x"'}).status == 412
    done = post("", changed, **{"if-match": dry.headers["etag"]})
    assert (done.json["dry_run"], done.json["changed"]) == (False, 1)
    assert office.good("operator", "GET", "/admin/groups/south")["name"] == "Southern"
    assert post("", changed, **{"if-match": dry.headers["etag"]}).status == 412
    less = changed.replace(changed[changed.index(b"\ngroups:") : changed.index(b"\nlicences:")], b"\n")
    kept = post("?dry_run=true", less).json
    assert (kept["changed"], kept["kept"]) == (0, 1)
    assert post("?prune=true", less).json["changed"] == 1
    assert office.ask("operator", "GET", "/admin/groups/south").status == 404
    assert office.good("operator", "GET", "/admin/audit/verify")["verified"] is True


def test_a_file_brings_no_revoked_key_back_and_makes_none(office: Office) -> None:
    document = office.good("operator", "GET", "/admin/rights?format=json")
    office.good("operator", "POST", f"/admin/keys/{office.ids['reader']}/revoke")
    applied = office.good("operator", "POST", "/admin/rights", document)
    assert applied["still_revoked"] == [office.ids["reader"]]
    assert office.ask("reader", "GET", GRANTED).status == 401
    new = document["keys"][0] | {"id": "ZZZZZZZZ"}
    assert office.ask("operator", "POST", "/admin/rights", {"rights": 1, "keys": [new]}).status == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"rights: 2", 422),
        (b"rights: 1\nx: 1", 422),
        (b"a: &a [*a]", 422),
        (b"\xff", 400),
        (b"{" * 5000, 422),
        (b"[" * 5000, 422),
        (b"rights: 1\ngroups: [{id: a, name: b, members: [missing]}]", 422),
    ],
    ids=str,
)
def test_a_file_that_is_none_is_refused(quiet: Office, body: bytes, status: int) -> None:
    key = {"x-api-key": cast("str", quiet.keys["operator"]), "content-type": "application/yaml"}
    for query in ("", "?dry_run=true"):
        assert quiet.asgi.get(f"/admin/rights{query}", key, "POST", body).status == status


def test_the_record_is_read_in_parts_and_tells_what_was_touched(office: Office) -> None:
    whole = office.good("operator", "GET", "/admin/audit")
    parts, after = [], 0
    for _ in range(100):
        part = office.good("operator", "GET", f"/admin/audit?after={after}&limit=3")
        parts += part["records"]
        if part["next"] is None:
            break
        after = part["next"]
    assert parts == whole["records"]
    assert len(parts) == office.head()[0] > 10
    for wrong in ("after=-1", "limit=0", "limit=1001", "after=x"):
        assert office.ask("operator", "GET", f"/admin/audit?{wrong}").status == 400
    verified = office.good("operator", "GET", "/admin/audit/verify")
    assert (verified["verified"], verified["fault"]) == (True, None)
    assert verified["head"] == whole["head"]
    assert office.good("operator", "GET", f"/admin/audit/verify?expect={whole['head']}")["verified"]
    other = office.good("operator", "GET", "/admin/audit/verify?expect=3:abc")
    assert (other["verified"], other["fault"]["sequence"]) == (False, 3)
    assert office.ask("operator", "GET", "/admin/audit/verify?expect=x").status == 400
    with office.knowledge.policy_store._engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER auth_audit_no_update")
        connection.execute(audit_table.update().where(audit_table.c.sequence == 5).values(actor="nobody"))
    touched = office.good("operator", "GET", "/admin/audit/verify")
    assert (touched["verified"], touched["fault"]["sequence"]) == (False, 5)


def test_who_knows_of_a_collection_is_set(office: Office) -> None:
    def state() -> str:
        rows = office.good("operator", "GET", "/admin/collections")["collections"]
        return next(row["visibility"] for row in rows if row["id"] == "hidden")

    path = "/admin/collections/hidden/visibility"
    assert (state(), office.ask("reader", "GET", "/layers/hidden").status) == ("hidden", 404)
    assert office.good("operator", "PUT", path, {"visibility": "listed"}) == {
        "id": "hidden",
        "visibility": "listed",
    }
    assert (state(), office.ask("reader", "GET", "/layers/hidden").status) == ("listed", 200)
    assert office.ask("reader", "GET", HIDDEN).status == 403
    office.good("operator", "PUT", path, {"visibility": "hidden"})
    assert (state(), office.ask("reader", "GET", "/layers/hidden").status) == ("hidden", 404)
    for body in (
        {},
        {"visibility": "public"},
        {"visibility": []},
        {"visibility": "listed", "x": 1},
        {"visibility": None},
    ):
        assert office.ask("operator", "PUT", path, body).status == 400
    assert (
        office.ask(
            "operator", "PUT", "/admin/collections/missing/visibility", {"visibility": "listed"}
        ).status
        == 404
    )
