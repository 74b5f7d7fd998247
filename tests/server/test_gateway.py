"""A portal's headers: believed from its own socket, with its secret, written once; every spoof is nobody."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auth.edits import add, put
from auth.models import Institution, InstitutionStatus, Role
from auth.rules import new_membership
from auth.store import SqlPolicyStore
from tests.conftest import Reply, Town
from tests.server.conftest import TILE, Asgi, copy_home

SECRET = "a shared secret of the portal"
TRUSTED = {"x-flux-gateway": SECRET}
USER = {"sec-username": "jdoe", "sec-org": "region", "sec-roles": "ROLE_USER;ROLE_GP"}
GRANTED, OPEN, HIDDEN = (TILE.format(name) for name in ("granted", "open", "hidden"))


def base64_form(text: str) -> str:
    """Write a value as geOrchestra's gateway does where it is no plain ASCII."""
    return "{base64}" + base64.b64encode(text.encode()).decode()


def edit(asgi: Asgi, change: object) -> None:
    """Change the rights as the command line does, and let the application know."""
    knowledge = asgi.application.services.knowledge
    store = knowledge.policy_store
    assert isinstance(store, SqlPolicyStore)
    store.change(change, actor="test", at=datetime.now(UTC))
    knowledge.refresh()


@pytest.fixture(scope="module")
def home(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_home(town, tmp_path_factory.mktemp("gateway") / "home")


@pytest.fixture(scope="module")
def portal(home: Path, started: Callable[..., Asgi]) -> Iterator[Asgi]:
    gateway = {"networks": ["127.0.0.1", "10.1.0.0/16", "fd00::/8"], "secret": SECRET}
    asgi = started(home, gateway=gateway)
    for made in (
        new_membership("region", "gateway", "org", "region"),
        new_membership("region", "gateway", "org", "Région Occitanie"),
        new_membership("region", "gateway", "role", "FLUX_REGION", role=Role.MANAGER),
        new_membership("other", "gateway", "username", "alice"),
        new_membership("other", "gateway", "role", "ROLE_FLUX_OTHER"),
        new_membership("ops", "gateway", "role", "FLUX_OPS"),
    ):
        edit(asgi, add(made))
    return asgi


def dropped(asgi: Asgi) -> dict[str, int]:
    """Give how often headers were dropped, by reason."""
    text = asgi.application.asgi._metrics.text({}).decode()
    found = re.findall(r'^flux_gateway_headers_dropped_total\{reason="(\w+)"\} (\d+)\.0$', text, re.MULTILINE)
    return {reason: int(count) for reason, count in found}


def counted(asgi: Asgi, ask: Callable[[], Reply]) -> tuple[Reply, dict[str, int]]:
    before = dropped(asgi)
    reply = ask()
    after = dropped(asgi)
    more = {reason: count - before.get(reason, 0) for reason, count in after.items()}
    return reply, {reason: count for reason, count in more.items() if count}


def whoami(asgi: Asgi, headers: dict[str, str]) -> dict[str, object]:
    reply = asgi.get("/whoami", TRUSTED | headers)
    assert reply.status == 200
    return reply.json


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.200.3", "::ffff:10.1.0.1", "fd12::1"])
def test_the_portals_user_sees_what_its_institution_may(portal: Asgi, peer: str) -> None:
    reply, lost = counted(portal, lambda: portal.get(GRANTED, TRUSTED | USER, peer=peer))
    assert (reply.status, lost) == (200, {})
    assert reply.headers["cache-control"].startswith("private")
    assert portal.get(HIDDEN, TRUSTED | USER, peer=peer).status == 404
    assert portal.get(GRANTED, peer=peer).status == 401


def test_the_portals_user_is_told_who_it_is(portal: Asgi) -> None:
    found = whoami(portal, USER)
    assert found["institution"] == {"id": "region", "name": "region"}
    assert (found["kind"], found["role"], found["subject"]) == ("institution", "reader", "jdoe")
    assert (found["credential"], found["key"]) == ("gateway", None)


@pytest.mark.parametrize(
    ("headers", "institution", "role"),
    [
        ({"sec-org": "region"}, "region", "reader"),
        ({"sec-username": "alice"}, "other", "reader"),
        ({"sec-username": "bob", "sec-roles": "ROLE_USER;ROLE_FLUX_REGION"}, "region", "manager"),
        ({"sec-username": "bob", "sec-roles": "USER; FLUX_REGION"}, "region", "manager"),
        ({"sec-username": "bob", "sec-roles": "ROLE_FLUX_OTHER"}, "other", "reader"),
        ({"sec-username": "bob", "sec-roles": "FLUX_OTHER"}, None, "reader"),
        ({"sec-username": "bob", "sec-org": "unknown"}, None, "reader"),
        ({"sec-username": "bob", "sec-org": "REGION"}, None, "reader"),
        ({"sec-username": "bob"}, None, "reader"),
        ({"sec-username": "alice", "sec-org": "region"}, None, "reader"),  # of two is of none
        (
            {"sec-org": base64_form("Région Occitanie")},
            "region",
            "reader",
        ),
        ({"sec-org": "Région Occitanie".encode().decode("latin-1")}, "region", "reader"),
        ({"sec-username": "{base64}YWxpY2U="}, "other", "reader"),
        (
            {
                "sec-username": "bob",
                "sec-roles": base64_form("ROLE_A;ROLE_FLUX_OTHER"),
            },
            "other",
            "reader",
        ),
    ],
)
def test_org_username_and_role_mean_an_institution(
    portal: Asgi, headers: dict[str, str], institution: str | None, role: str
) -> None:
    found = whoami(portal, headers)
    shown = found["institution"]
    assert (shown and shown["id"], found["role"]) == (institution, role)
    assert portal.get(GRANTED, TRUSTED | headers).status == (200 if institution == "region" else 404)
    assert portal.get(OPEN, TRUSTED | headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-proxy": "true"},
        {"sec-roles": "ROLE_ANONYMOUS"},
        {"sec-roles": "ROLE_FLUX_REGION"},
        {"sec-username": "", "sec-org": ""},
        {"sec-proxy": "true", "x-forwarded-uri": "/public/", "x-original-url": "/public/x"},
    ],
)
def test_a_visitor_of_the_portal_is_nobody(portal: Asgi, headers: dict[str, str]) -> None:
    reply, lost = counted(portal, lambda: portal.get(GRANTED, TRUSTED | headers))
    assert (reply.status, lost) == (401, {})


SPOOFS = {
    "no secret": ({}, {}, "secret"),
    "a wrong secret": ({"x-flux-gateway": SECRET + "x"}, {}, "secret"),
    "an empty secret": ({"x-flux-gateway": ""}, {}, "secret"),
    "the secret in another case": ({"x-flux-gateway": SECRET.upper()}, {}, "secret"),
    "the secret of a twin": ({"x_flux_gateway": SECRET}, {}, "twin"),
    "two secrets": (TRUSTED, {"again": (("x-flux-gateway", SECRET),)}, "twice"),
    "another peer": (TRUSTED, {"peer": "10.2.0.1"}, "peer"),
    "no peer": (TRUSTED, {"peer": ""}, "peer"),
    "a peer that is a name": (TRUSTED, {"peer": "localhost"}, "peer"),
    "a forwarded peer": (TRUSTED | {"x-forwarded-for": "127.0.0.1"}, {"peer": "10.2.0.1"}, "peer"),
    "a forwarded header": (
        TRUSTED | {"forwarded": "for=127.0.0.1", "x-real-ip": "127.0.0.1"},
        {"peer": "203.0.113.9"},
        "peer",
    ),
    "two organisations": (TRUSTED, {"again": (("sec-org", "region"),)}, "twice"),
    "two users": (TRUSTED, {"again": (("sec-username", "alice"),)}, "twice"),
    "two lists of roles": (TRUSTED, {"again": (("Sec-Roles", "ROLE_FLUX_REGION"),)}, "twice"),
    "a twin": (TRUSTED | {"sec_org": "region"}, {}, "twin"),
    "a twin in capitals": (TRUSTED | {"SEC_ORG": "region"}, {}, "twin"),
    "a twin of the user": (TRUSTED | {"sec_username": "alice"}, {}, "twin"),
    "no base64": (TRUSTED | {"sec-org": "{base64}*"}, {}, "malformed"),
    "no UTF-8": (TRUSTED | {"sec-org": "{base64}/w=="}, {}, "malformed"),
    "a line end": (TRUSTED | {"sec-org": "{base64}cmVnaW9uCng="}, {}, "malformed"),
    "too long": (TRUSTED | {"sec-roles": "x" * 5000}, {}, "malformed"),
    "too many roles": (TRUSTED | {"sec-roles": ";" * 300}, {}, "malformed"),
}


@pytest.mark.parametrize("spoof", SPOOFS)
def test_a_spoof_is_nobody_and_counted(portal: Asgi, spoof: str) -> None:
    headers, more, reason = SPOOFS[spoof]
    sent = USER | headers
    reply, lost = counted(portal, lambda: portal.get(GRANTED, sent, **more))
    assert (reply.status, lost) == (401, {reason: 1})
    assert portal.get(OPEN, sent, **more).status == 200
    assert portal.get("/whoami", sent, **more).json["kind"] == "anonymous"


def test_only_a_twin_is_nobody_too(portal: Asgi) -> None:
    reply, lost = counted(portal, lambda: portal.get(GRANTED, TRUSTED | {"sec_org": "region"}))
    assert (reply.status, lost) == (401, {"twin": 1})


def test_off_unless_configured(town_asgi: Asgi) -> None:
    for headers in (USER, TRUSTED | USER):
        reply, lost = counted(town_asgi, lambda sent=headers: town_asgi.get(GRANTED, sent))
        assert (reply.status, lost) == (401, {"off": 1})


def test_a_key_wins_over_the_portal_and_the_portal_over_a_cookie(portal: Asgi, town: Town) -> None:
    both = TRUSTED | USER | {"x-api-key": town.other_key}
    reply, lost = counted(portal, lambda: portal.get("/whoami", both))
    assert (reply.json["institution"]["id"], reply.json["credential"], lost) == ("other", "header", {})
    assert portal.get("/whoami", TRUSTED | USER | {"x-api-key": "garbage"}).status == 401
    signed = portal.send("POST", "/sign", {"as": "cookie"}, {"x-api-key": town.other_key})
    cookie = {"cookie": signed.headers["set-cookie"].partition(";")[0]}
    assert portal.get("/whoami", cookie).json["institution"]["id"] == "other"
    assert portal.get("/whoami", TRUSTED | USER | cookie).json["institution"]["id"] == "region"
    spoofed = portal.get("/whoami", USER | cookie)  # dropped: as if the headers were not there
    assert spoofed.json["institution"]["id"] == "other"


def test_public_ignores_the_portal(portal: Asgi) -> None:
    assert portal.get("/public" + GRANTED, TRUSTED | USER).status == 401
    assert portal.get("/public" + OPEN, TRUSTED | USER).headers["cache-control"].startswith("public")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_the_portal_opens_no_writing(portal: Asgi, method: str) -> None:
    sent = TRUSTED | USER | {"sec-roles": "ROLE_FLUX_REGION"}
    reply = portal.send(method, "/sign", {}, sent)
    assert reply.status == (401 if method == "POST" else 200)
    if method == "DELETE":
        assert "Max-Age=0" in reply.headers["set-cookie"]


def test_managers_and_operators_of_the_portal_look(portal: Asgi) -> None:
    manager = TRUSTED | {"sec-username": "bob", "sec-roles": "ROLE_FLUX_REGION"}
    assert portal.get("/usage", manager).status == 200
    assert portal.get("/usage?institution=other", manager).status == 403
    assert portal.get("/usage", TRUSTED | USER).status == 403
    operator = TRUSTED | {"sec-username": "ops", "sec-roles": "ROLE_FLUX_OPS"}
    assert portal.get("/metrics", operator).status == 200
    assert portal.get("/metrics", manager).status == 403
    assert portal.get(GRANTED, operator).status == 404


def test_an_institution_that_is_suspended_has_no_users(portal: Asgi) -> None:
    rights = portal.application.services.knowledge.known_rights()
    known = rights.institutions["region"]
    try:
        suspended = Institution(id="region", name="region", status=InstitutionStatus.SUSPENDED)
        edit(portal, put(suspended))
        assert portal.get(GRANTED, TRUSTED | USER).status == 401
        assert portal.get(OPEN, TRUSTED | USER).status == 401
    finally:
        edit(portal, put(known))
    assert portal.get(GRANTED, TRUSTED | USER).status == 200
