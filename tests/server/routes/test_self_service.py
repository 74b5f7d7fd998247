"""Whoami, signed credentials, usage and explanations, asked of the application itself."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest

from auth import edits
from auth.credentials import new_key
from auth.edits import revoke_key, set_status
from auth.models import InstitutionStatus, Quota, Role
from tests.conftest import Town
from tests.server.conftest import TILE, Asgi

GRANTED, OPEN, HIDDEN = TILE.format("granted"), TILE.format("open"), TILE.format("hidden")


@pytest.fixture
def asgi(own_home: Path, started: Callable[..., Asgi]) -> Asgi:
    return started(own_home)


def services(asgi: Asgi):
    return asgi.application.services


def change(asgi: Asgi, edit: edits.Edit) -> None:
    knowledge = services(asgi).knowledge
    knowledge.policy_store.change(edit, actor="test", at=datetime.now(UTC))
    knowledge.refresh()


def key(town: Town) -> dict[str, str]:
    return {"x-api-key": town.key}


def manager(asgi: Asgi, institution: str = "region", **more: object) -> dict[str, str]:
    made, text = new_key(
        "live", institution, services(asgi).peppers, url_allowed=True, now=datetime.now(UTC), **more
    )
    change(asgi, edits.add(made))
    return {"x-api-key": text}


def test_whoami_tells_who_one_is(asgi: Asgi, town: Town) -> None:
    nobody = asgi.get("/whoami").json
    assert (nobody["kind"], nobody["institution"], nobody["key"]) == ("anonymous", None, None)
    known = asgi.get(f"/whoami?key={town.key}").json
    assert known["institution"] == {"id": "region", "name": "region"}
    assert (known["kind"], known["role"], known["credential"]) == ("institution", "reader", "query")
    assert known["key"]["id"] == town.key.split("_")[2]
    assert town.key.split("_")[3] not in str(known)
    assert asgi.get("/whoami", {"x-api-key": town.operator_key}).json["kind"] == "operator"
    assert asgi.get("/whoami", {"x-api-key": town.revoked_key}).status == 401


def signed(asgi: Asgi, town: Town, **body: object) -> str:
    reply = asgi.send("POST", "/sign", body, key(town))
    assert reply.status == 200, reply.body
    assert reply.headers["cache-control"] == "no-store"
    return reply.json["query"]


def test_a_signed_address_opens_its_layer_on_every_door_and_nothing_else(asgi: Asgi, town: Town) -> None:
    query = signed(asgi, town, layer="granted", minutes=5)
    assert asgi.get(f"{GRANTED}?{query}").body == asgi.get(GRANTED, key(town)).body
    rest = "/wmts/1.0.0/granted/default/default/WebMercatorQuad/17/47859/66052.png"
    assert asgi.get(f"{rest}?{query}").status == 200
    assert asgi.get(f"/preview/granted.png?{query}").status == 200
    document = asgi.get(f"/wmts?{query}")
    assert b"granted" in document.body
    assert query.replace("%", "&#37;").encode() in document.body or query.encode() in document.body
    assert b">open<" not in document.body
    assert [layer["id"] for layer in asgi.get(f"/layers?{query}").json["layers"]] == ["granted"]
    for closed in (OPEN, HIDDEN, TILE.format("missing")):
        assert asgi.get(f"{closed}?{query}").status == 404
    for path in ("/metrics", "/usage", "/explain?key_id=x&layer=y&at=1,1"):
        joint = "&" if "?" in path else "?"
        assert asgi.get(f"{path}{joint}{query}").status == 403


def test_a_signature_for_all_follows_its_holder(asgi: Asgi, town: Town) -> None:
    query = signed(asgi, town)
    assert asgi.get(f"{GRANTED}?{query}").status == 200
    assert asgi.get(f"{OPEN}?{query}").status == 200
    assert asgi.get(f"{HIDDEN}?{query}").status == 404


@pytest.mark.parametrize("end", ["revoke", "suspend"])
def test_a_signature_dies_with_its_key_and_its_institution(asgi: Asgi, town: Town, end: str) -> None:
    query = signed(asgi, town, layer="granted")
    if end == "revoke":
        change(asgi, revoke_key(town.key.split("_")[2], datetime.now(UTC)))
    else:
        change(asgi, set_status("region", InstitutionStatus.SUSPENDED))
    assert asgi.get(f"{GRANTED}?{query}").status == 401


def test_a_cookie_opens_reading_only_and_loses_against_a_key(asgi: Asgi, town: Town) -> None:
    reply = asgi.send("POST", "/sign", {"as": "cookie", "minutes": 60}, key(town))
    header = reply.headers["set-cookie"]
    assert header.startswith("__Host-flux=s1.")
    for part in ("Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age=3600"):
        assert part in header.split("; ")
    assert "Domain" not in header
    cookie = {"cookie": f"other=1; {header.partition(';')[0]}"}
    assert asgi.get(GRANTED, cookie).status == 200
    assert asgi.get("/whoami", cookie).json["credential"] == "cookie"
    assert asgi.get(GRANTED, cookie | {"x-api-key": town.other_key}).status == 404
    assert asgi.send("POST", "/sign", {}, cookie).status == 401
    text = header.partition(";")[0].partition("=")[2]
    assert asgi.get(f"{GRANTED}?sig={text}").status == 401  # a cookie is no address
    assert asgi.get(GRANTED, {"cookie": "__Host-flux=s1.1.x.y"}).status == 401
    gone = asgi.get("/sign", method="DELETE")
    assert "Max-Age=0" in gone.headers["set-cookie"]


def test_who_may_not_sign(asgi: Asgi, town: Town) -> None:
    query = signed(asgi, town, layer="granted")
    assert asgi.send("POST", "/sign", {}).status == 401
    assert asgi.send("POST", f"/sign?{query}", {}).status == 403
    assert asgi.send("POST", "/sign", {"layer": "hidden"}, key(town)).status == 404
    assert asgi.send("POST", "/sign", {"layer": "missing"}, key(town)).status == 404
    assert asgi.get(f"{GRANTED}?{query}&key={town.key}").status == 400


@pytest.mark.parametrize("way", ["sig", "x-api-key", "bearer", "basic"])
def test_a_signature_signs_nothing_however_it_is_shown(asgi: Asgi, town: Town, way: str) -> None:
    query = signed(asgi, town, layer="granted", minutes=5)
    text = unquote(query.partition("=")[2])
    headers = {
        "sig": {},
        "x-api-key": {"x-api-key": text},
        "bearer": {"authorization": f"Bearer {text}"},
        "basic": {"authorization": f"Basic {base64.b64encode(f'u:{text}'.encode()).decode()}"},
    }[way]
    path = f"/sign?{query}" if way == "sig" else "/sign"
    assert asgi.get(f"{GRANTED}?{query}" if way == "sig" else GRANTED, headers).status == 200
    for body in ({}, {"minutes": 60}, {"layer": "granted"}):
        assert asgi.send("POST", path, body, headers).status == 403


@pytest.mark.parametrize(
    "body",
    [
        [],
        "x",
        {"minutes": 0},
        {"minutes": 61},
        {"minutes": True},
        {"minutes": "5"},
        {"as": "x"},
        {"other": 1},
        {"layer": 3},
    ],
    ids=str,
)
def test_what_cannot_be_signed_is_400(asgi: Asgi, town: Town, body: object) -> None:
    assert asgi.send("POST", "/sign", body, key(town)).status == 400


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 100_000, b'{"minutes": NaN}', b"\xff"])
def test_a_body_that_is_no_json_is_400(asgi: Asgi, town: Town, raw: bytes) -> None:
    headers = key(town) | {"content-type": "application/json"}
    assert asgi.get("/sign", headers, "POST", raw).status == 400
    assert asgi.get("/sign", key(town) | {"content-type": "text/plain"}, "POST", b"{}").status == 400


def test_methods_that_a_path_does_not_take_are_405(asgi: Asgi) -> None:
    reply = asgi.get("/sign")
    assert reply.status == 405
    assert reply.headers["allow"] == "DELETE, OPTIONS, POST"
    preflight = asgi.get("/sign", method="OPTIONS")
    assert preflight.headers["access-control-allow-methods"] == "DELETE, OPTIONS, POST"


def test_usage_counts_what_carried_pixels_and_nothing_else(asgi: Asgi, town: Town) -> None:
    headers = manager(asgi, role=Role.MANAGER)
    first = asgi.get(GRANTED, key(town))
    assert first.status == 200
    assert asgi.get(GRANTED, key(town)).status == 200  # from the cache: counted too
    assert asgi.get(TILE.format("granted").replace(".png", "@2x.png"), key(town)).status == 200
    assert asgi.get(OPEN).status == 200
    assert asgi.get(GRANTED, key(town) | {"if-none-match": first.headers["etag"]}).status == 304
    assert asgi.get(GRANTED, key(town), "HEAD").status == 200
    assert asgi.get(GRANTED.replace("17/66052/47859", "17/1/1"), key(town)).status == 200  # empty
    assert asgi.get(GRANTED, {"x-api-key": town.other_key}).status == 404
    services(asgi).meter.fold()
    rows = asgi.get("/usage?by=institution,collection", headers).json["usage"]
    assert [(r["institution"], r["collection"], r["answers"], r["units"]) for r in rows] == [
        ("region", "granted", 3, 6.0)
    ]
    everything = asgi.get("/usage?by=institution,key", {"x-api-key": town.operator_key}).json["usage"]
    assert {(r["institution"], r["key"], r["answers"]) for r in everything} == {
        ("region", town.key.split("_")[2], 3),
        ("anonymous", "-", 1),
    }
    reply = asgi.get("/usage?format=csv&by=month,sensor", headers)
    assert reply.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(reply.body.decode()))
    assert (row["answers"], row["appearances"]) == ("3", "3")
    assert asgi.get("/usage?institution=other", headers).status == 403
    assert asgi.get("/usage", key(town)).status == 403
    assert asgi.get("/usage").status == 401
    for wrong in ("by=x", "by=day,day", "from=1", "from=2026-02-01&to=2026-01-01", "format=xml"):
        assert asgi.get(f"/usage?{wrong}", headers).status == 400


def test_a_used_up_quota_is_429_with_seconds_until_it_begins_anew(asgi: Asgi, town: Town) -> None:
    (grant,) = (g for g in services(asgi).knowledge.policy.grants.values() if g.grantee == "region")
    change(asgi, edits.put(replace(grant, quota=Quota(amount=2, period="day"))))
    assert [asgi.get(GRANTED, key(town)).status for _ in range(3)] == [200, 200, 429]
    reply = asgi.get(GRANTED, key(town))
    assert (reply.status, reply.json["code"]) == (429, "quota")
    assert 0 < int(reply.headers["retry-after"]) <= 86_400
    assert asgi.get(OPEN, key(town)).status == 200  # another grant opens it
    assert asgi.get("/layers/granted", key(town)).status == 200
    rest = "/wmts/1.0.0/granted/default/default/WebMercatorQuad/17/47859/66052.png"
    assert asgi.get(rest, key(town)).status == 429


def test_a_rate_that_is_passed_is_429_with_seconds(
    own_home: Path, started: Callable[..., Asgi], town: Town
) -> None:
    asgi = started(own_home, usage={"key_rate": 0.01, "key_burst": 2})
    assert [asgi.get(GRANTED, key(town)).status for _ in range(3)] == [200, 200, 429]
    reply = asgi.get(GRANTED, key(town))
    assert reply.json["code"] == "rate"
    assert 90 <= int(reply.headers["retry-after"]) <= 100


def test_explain_tells_managers_of_their_own_keys(asgi: Asgi, town: Town) -> None:
    headers = manager(asgi, role=Role.MANAGER)
    bounds = asgi.get("/layers/granted", key(town)).json["extent"]
    at = f"{(bounds[0] + bounds[2]) / 2},{(bounds[1] + bounds[3]) / 2}"
    own, others = town.key.split("_")[2], town.other_key.split("_")[2]
    found = asgi.get(f"/explain?key_id={own}&layer=granted&at={at}&gsd=5", headers).json
    assert (found["allowed"], found["code"]) == (True, "ok")
    assert found["ids"][0].startswith("g")
    assert own in found["sentence"]["fr"]
    hidden = asgi.get(f"/explain?key_id={own}&layer=hidden&at={at}", headers).json
    assert not hidden["allowed"]
    foreign = asgi.get(f"/explain?key_id={others}&layer=granted&at={at}", headers)
    missing = asgi.get(f"/explain?key_id=AAAAAAAA&layer=granted&at={at}", headers)
    assert (foreign.status, foreign.body) == (missing.status, missing.body)
    assert foreign.status == 404
    assert (
        asgi.get(f"/explain?key_id={others}&layer=granted&at={at}", {"x-api-key": town.operator_key}).status
        == 200
    )
    for wrong in (
        f"layer=granted&at={at}",
        f"key_id={own}&layer=granted&at=1",
        f"key_id={own}&layer=granted&at={at}&action=fly",
    ):
        assert asgi.get(f"/explain?{wrong}", headers).status == 400


def test_a_key_below_a_manager_is_no_manager(asgi: Asgi, town: Town) -> None:
    above = manager(asgi, role=Role.MANAGER)
    parent = above["x-api-key"].split("_")[2]
    child = manager(asgi, parent_id=parent, expires=datetime.now(UTC) + timedelta(days=1))
    assert asgi.get(GRANTED, child).status == 200
    assert asgi.get("/usage", child).status == 403
    change(asgi, revoke_key(parent, datetime.now(UTC)))
    assert asgi.get(GRANTED, child).status == 401
