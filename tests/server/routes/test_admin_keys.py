"""Keys by HTTP: narrower, dying with those above them, never told twice."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from auth import edits
from auth.credentials import KEY_PATTERN
from auth.models import (
    Rate,
    Role,
)
from tests.server.conftest import TILE
from tests.server.routes.offices import (
    GRANTED,
    NOW,
    ROUTES,
    Office,
)


def secret_of(text: str) -> str:
    return text.split("_")[3]


def test_a_manager_makes_narrower_keys_that_die_with_its_own(office: Office) -> None:
    reply = office.ask(
        "manager",
        "POST",
        "/keys",
        {"label": "contractor", "caveat": {"area": "everywhere", "selector": {"collections": ["open"]}}},
    )
    assert reply.status == 201
    assert (reply.headers["cache-control"], "etag" in reply.headers) == ("no-store", False)
    document = reply.json["document"]
    assert (document["parent_id"], document["institution_id"]) == (office.ids["manager"], "region")
    assert reply.headers["location"].endswith(f"/admin/keys/{document['id']}")
    assert re.fullmatch(KEY_PATTERN, reply.json["key"])
    whole = office.good("manager", "POST", "/admin/keys", {})
    office.keys["narrow"], office.keys["whole"] = reply.json["key"], whole["key"]
    assert office.ask("whole", "GET", GRANTED).status == 200
    assert office.ask("narrow", "GET", GRANTED).status == 404
    assert office.ask("narrow", "GET", TILE.format("open")).status == 200
    for caller in ("narrow", "whole"):
        assert office.ask(caller, "GET", "/keys").status == 403
        assert office.ask(caller, "POST", "/keys", {}).status == 403
    assert {k["id"] for k in office.good("manager", "GET", "/keys")["keys"]} >= {
        document["id"],
        whole["document"]["id"],
    }
    office.good("operator", "POST", f"/admin/keys/{office.ids['manager']}/revoke")
    for caller in ("narrow", "whole", "manager"):
        assert office.ask(caller, "GET", TILE.format("open")).status == 401


def test_a_manager_makes_nothing_wider_than_it_may(office: Office) -> None:
    soon = (NOW + timedelta(days=2)).isoformat()
    tight, text = office.key(
        "region", role=Role.MANAGER, expires=NOW + timedelta(days=1), rate=Rate(per_second=2, burst=4)
    )
    office.keys["tight"] = text
    child = office.good("tight", "POST", "/keys", {})["document"]
    assert child["expires"] == tight.expires.isoformat().replace("+00:00", "Z")
    assert child["rate"] == {"per_second": 2.0, "burst": 4}
    slow = {"rate": {"per_second": 1, "burst": 1}}
    slower = office.good("tight", "POST", "/keys", slow)["document"]
    for body in (
        {"expires": soon},
        {"expires": None},
        {"role": "manager"},
        {"parent_id": None},
        {"rate": None},
        {"rate": {"per_second": 3, "burst": 4}},
        {"rate": {"per_second": 2, "burst": 5}},
        {"id": "AAAAAAAA"},
        {"secrets": []},
        {"revoked": None},
        {"created": soon},
        {"expires": "2020-01-01T00:00:00Z"},
        {"caveat": {}},
        {"url_allowed": None},
    ):
        reply = office.ask("tight", "POST", "/keys", body)
        assert reply.status == 422, (body, reply.body)
    path = f"/admin/keys/{slower['id']}"
    for body in (
        {"rate": None},
        {"expires": soon},
        {"role": "manager"},
        {"parent_id": None},
        {"institution_id": "other"},
        {"revoked": soon},
        {"created": soon},
        {"parent_id": office.ids["manager"]},
    ):
        reply = office.ask("tight", "PUT", path, slower | body)
        assert reply.status == 422, (body, reply.body)
    assert office.good("tight", "PUT", path, slower | {"label": "slow"})["label"] == "slow"
    top = office.good("manager", "GET", f"/admin/keys/{office.ids['reader']}")
    for body in ({"role": "manager"}, {"url_allowed": False}, {"expires": soon}, {"rate": slow["rate"]}):
        assert office.ask("manager", "PUT", f"/admin/keys/{top['id']}", top | body).status == 422
    assert office.good("manager", "PUT", f"/admin/keys/{top['id']}", top | {"label": "SIG"})["label"] == "SIG"
    assert office.ask("reader", "GET", GRANTED).status == 200


def test_a_key_that_may_not_stand_in_addresses_makes_none_that_may(office: Office) -> None:
    made, text = office.key("region", role=Role.MANAGER)
    office.change(edits.put(replace(made, url_allowed=False)))
    office.keys["header"] = text
    assert office.good("header", "POST", "/keys", {})["document"]["url_allowed"] is False
    assert office.ask("header", "POST", "/keys", {"url_allowed": True}).status == 422


def test_operators_make_keys_for_anybody_and_none_without_an_institution(office: Office) -> None:
    made = office.good("operator", "POST", "/admin/keys", {"institution_id": "other", "role": "manager"})
    assert "parent_id" not in made["document"]
    office.keys["made"] = made["key"]
    assert office.ask("made", "GET", "/admin/keys").status == 200
    assert office.ask("operator", "POST", "/admin/keys", {}).status == 422
    assert office.ask("operator", "POST", "/admin/keys", {"institution_id": "missing"}).status == 422
    unsaid = {"institution_id": "other", "caveat": {"area": "everywhere"}}
    assert "caveat" not in office.good("operator", "POST", "/admin/keys", unsaid)["document"]


@pytest.mark.parametrize("base", ["/admin/keys", "/keys"])
def test_a_rotated_key_opens_with_both_secrets_while_the_grace_lasts(office: Office, base: str) -> None:
    path = f"{base}/{office.ids['reader']}/rotate"
    reply = office.ask("manager", "POST", path, {"grace": "1h"})
    assert reply.status == 200
    assert reply.headers["cache-control"] == "no-store"
    office.keys["new"] = reply.json["key"]
    for caller in ("reader", "new"):
        assert office.ask(caller, "GET", GRANTED).status == 200
    numbers = [(s["number"], "until" in s) for s in reply.json["document"]["secrets"]]
    assert numbers == [(1, True), (2, False)]
    office.keys["newest"] = office.good("manager", "POST", path, {"grace": "0h"})["key"]
    assert [office.ask(c, "GET", GRANTED).status for c in ("reader", "new", "newest")] == [401, 401, 200]
    assert office.good("manager", "POST", path)["key"]  # seven days without a body
    for body in ({"grace": "1"}, {"grace": 7}, {"grace": "99999d"}, {"x": 1}, [], {"grace": None}):
        assert office.ask("manager", "POST", path, body).status == 422


@pytest.mark.parametrize(("method", "path"), [("POST", "/admin/keys/{}/revoke"), ("DELETE", "/keys/{}")])
def test_revoking_is_for_good(office: Office, method: str, path: str) -> None:
    id_ = office.ids["reader"]
    before = office.good("operator", "GET", f"/admin/keys/{id_}")
    revoked = office.good("manager", method, path.format(id_))
    assert "revoked" in revoked
    assert office.ask("reader", "GET", GRANTED).status == 401
    head = office.head()
    assert office.good("manager", method, path.format(id_))["revoked"] == revoked["revoked"]
    assert office.ask("operator", "PUT", f"/admin/keys/{id_}", before).status == 422
    assert office.ask("operator", "POST", f"/admin/keys/{id_}/rotate").status == 422
    assert office.head() == head


def test_no_answer_holds_a_secret_or_its_hash(office: Office) -> None:
    told = [
        office.good("manager", "POST", "/keys", {})["key"],
        office.good("manager", "POST", f"/keys/{office.ids['reader']}/rotate")["key"],
        *(key for key in office.keys.values() if key),
    ]
    kept = office.knowledge.policy_store.snapshot().keys.values()
    words = {secret_of(text) for text in told} | {s.hmac.hex() for key in kept for s in key.secrets}
    assert len(words) > 10
    asked = [route.path for route in ROUTES.values() if "GET" in route.methods and "{id}" not in route.path]
    asked += [f"/admin/keys/{key.id}" for key in kept] + ["/admin/rights?format=json", "/openapi.json"]
    replies = [office.ask("operator", "GET", path) for path in asked]
    document = office.good("operator", "GET", "/admin/rights?format=json")
    for key in document["keys"]:
        key["label"] = "changed"
    replies += [
        office.ask("operator", "POST", f"/admin/rights?dry_run={dry}", document) for dry in ("true", "false")
    ]
    replies += [
        office.ask(
            "operator",
            "PUT",
            f"/admin/keys/{key.id}",
            office.good("operator", "GET", f"/admin/keys/{key.id}") | {"label": "again"},
        )
        for key in kept
    ]
    for reply in replies:
        assert reply.status == 200, reply.body
        text = reply.body.decode()
        assert not [word for word in words if word in text]
        assert not re.search(KEY_PATTERN, text)
    after = office.knowledge.policy_store.snapshot().keys
    assert all(after[key.id].secrets == key.secrets for key in kept)
