"""Tokens of a real identity provider at a running server: who they open for, and when no longer."""

from __future__ import annotations

import base64
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Reply, Server, Town, flux, serving, wait_until
from tests.identity.conftest import ALGORITHMS, RealIssuer, new_jwks, real_issuer
from tests.server.conftest import TILE, copy_home

GRANTED, OPEN, HIDDEN = (TILE.format(name) for name in ("granted", "open", "hidden"))
CLAIMS = {
    "region-app": {"siret": "20005372500013"},
    "other-app": {"groups": ["/staff", "/other"]},
    "chief-app": {"realm_access": {"roles": ["flux-manager", "user"]}},
    "both-app": {"siret": "20005372500013", "groups": ["/other"]},
    "ops-app": {"groups": ["/ops"]},
    "leaver-app": {"org": "leavers"},
    "new-app": {"org": "newcomers"},
    "stranger-app": {"siret": "00000000000000"},
    "late-app": {"siret": "20005372500013"},
    "jeanne": {"siret": "20005372500013"},
}
MEMBERSHIPS = (
    ("region", "siret", "20005372500013"),
    ("other", "groups", "/other"),
    ("region", "realm_access.roles", "flux-manager", "--manager"),
    ("ops", "groups", "/ops"),
    ("region", "org", "leavers"),
)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def settings_for(issuer: RealIssuer, **more: Any) -> str:
    return json.dumps([{"issuer": issuer.url, "audience": "flux", "refetch_seconds": 1, **more}])


def make_members(home: Path, issuer: RealIssuer) -> None:
    for institution, claim, value, *more in MEMBERSHIPS:
        words = ("--issuer", issuer.url, "--claim", claim, "--value", value, *more)
        flux(home, "membership", "add", institution, *words)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealIssuer]:
    folder = tmp_path_factory.mktemp("issuer")
    with real_issuer(folder, CLAIMS, ("late-app",)) as running:
        yield running


@pytest.fixture(scope="module")
def server(town: Town, issuer: RealIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = copy_home(town, tmp_path_factory.mktemp("tokens") / "home")
    make_members(home, issuer)
    quick = {"FLUX_USAGE__FOLD_SECONDS": "0.5"}
    with serving(home, FLUX_AUTH__ISSUERS=settings_for(issuer), **quick) as running:
        yield running


def ask_often(ask: Callable[[], Reply], times: int = 12) -> set[int]:
    """Ask so often that every worker is asked; connections are spread over them by the kernel."""
    return {ask().status for _ in range(times)}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_opens_its_institutions_layers_and_no_others(
    issuer: RealIssuer, server: Server, algorithm: str
) -> None:
    for client, granted, hidden in (
        ("region-app", 200, 404),
        ("other-app", 404, 200),
        ("stranger-app", 404, 404),
    ):
        token = bearer(issuer.token(client, algorithm))
        assert ask_often(lambda t=token: server.get(GRANTED, t), 4) == {granted}
        assert ask_often(lambda t=token: server.get(HIDDEN, t), 4) == {hidden}
        assert server.get(OPEN, token).status == 200
    assert server.get(GRANTED).status == 401


def test_a_person_who_signed_in_at_the_portal_sees_its_institutions_layers(
    issuer: RealIssuer, server: Server, town: Town
) -> None:
    token = bearer(issuer.token_of_person("jeanne"))
    found = server.get("/whoami", token).json
    assert (found["institution"]["id"], found["subject"], found["role"]) == ("region", "jeanne", "reader")
    assert (found["credential"], found["key"], found["narrowed"]) == ("token", None, False)
    by_token, by_key = server.get(GRANTED, token), server.get(GRANTED, {"X-API-Key": town.key})
    assert (by_token.status, by_token.body) == (200, by_key.body)
    assert by_token.headers["cache-control"].startswith("private")
    capabilities = server.get("/wmts", token).body
    assert b">granted<" in capabilities
    assert token["Authorization"].encode()[7:] not in capabilities


def test_who_may_what(issuer: RealIssuer, server: Server) -> None:
    for client, institution, kind, usage, metrics in (
        ("region-app", "region", "institution", 403, 403),
        ("chief-app", "region", "institution", 200, 403),
        ("ops-app", "ops", "operator", 200, 200),
        ("both-app", None, "institution", 403, 403),
        ("stranger-app", None, "institution", 403, 403),
    ):
        token = bearer(issuer.token(client))
        found = server.get("/whoami", token).json
        shown = found["institution"]
        assert (found["kind"], shown and shown["id"]) == (kind, institution), client
        assert (server.get("/usage", token).status, server.get("/metrics", token).status) == (usage, metrics)


def test_a_token_that_does_not_hold_is_never_nobody(issuer: RealIssuer, server: Server) -> None:
    good = issuer.token("region-app")
    head, body, mac = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["siret"] = "1"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for token in (
        issuer.token("region-app", audience="others"),
        issuer.token("late-app"),
        f"{head}.{forged}.{mac}",
        f"{head}.{body}.",
        f"{none}.{body}.",
        f"{head}.{body}.{mac[::-1]}",
        "a.b.c",
        f"{head}.{body}.{mac}" + "A" * 9000,
    ):
        for path in (OPEN, GRANTED, "/layers", "/wmts", "/whoami"):
            reply = server.get(path, bearer(token))
            assert reply.status == 401, (path, token[:40])
            assert reply.headers["www-authenticate"].startswith("Bearer ")
            assert mac[:20].encode() not in reply.body


def test_a_token_stands_as_bearer_and_nowhere_else(issuer: RealIssuer, server: Server, town: Town) -> None:
    token = issuer.token("region-app")
    basic = base64.b64encode(f"any:{token}".encode()).decode()
    assert server.get(GRANTED, bearer(token)).status == 200
    for path, headers in (
        (f"{GRANTED}?key={token}", {}),
        (f"{GRANTED}?sig={token}", {}),
        (f"/k/{token}{GRANTED}", {}),
        (f"{OPEN}?apikey={token}", {}),
        (f"{GRANTED}?key={token}", bearer(token)),
        (GRANTED, {"X-API-Key": token}),
        (GRANTED, {"Authorization": f"Basic {basic}"}),
        (GRANTED, {"Cookie": f"__Host-flux={token}"}),
    ):
        assert server.get(path, headers).status == 401, path[:20]
    assert server.get(OPEN, bearer(token) | {"X-API-Key": town.key}).status == 400
    assert server.get("/public" + GRANTED, bearer(token)).status == 401
    assert server.get("/public" + OPEN, bearer("a.b.c")).status == 200


def post(server: Server, path: str, body: object, headers: dict[str, str]) -> Reply:
    request = urllib.request.Request(
        server.url + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
        method="POST",
    )
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as reply:
            return Reply(reply.status, dict(reply.headers), reply.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, dict(error.headers), error.read())


def test_what_a_token_signs_opens_no_more_and_dies_with_the_membership(
    issuer: RealIssuer, server: Server
) -> None:
    token = bearer(issuer.token("leaver-app"))
    signed = post(server, "/sign", {"layer": "granted", "minutes": 60}, token).json
    left = time.strptime(signed["expires"], "%Y-%m-%dT%H:%M:%S+00:00")
    assert time.mktime(left) - time.mktime(time.gmtime()) <= 301  # the token's own end
    for path, status in ((GRANTED, 200), (HIDDEN, 404), (OPEN, 404)):
        assert server.get(f"{path}?{signed['query']}").status == status
    text = signed["query"].partition("=")[2]
    for again in (bearer(text), {"X-API-Key": text}):
        assert server.get(GRANTED, again).status == 200
        assert post(server, "/sign", {"minutes": 60}, again).status == 403
    assert post(server, "/sign", {}, bearer(issuer.token("stranger-app"))).status == 403
    assert post(server, "/sign", {"layer": "hidden"}, token).status == 404

    rows = flux(server.home, "membership", "list", "--json").stdout
    (gone,) = [row["id"] for row in json.loads(rows) if row["value"] == "leavers"]
    flux(server.home, "membership", "remove", gone)
    wait_until(lambda: ask_often(lambda: server.get(GRANTED, token)) == {404}, seconds=10)
    assert server.get("/whoami", token).json["institution"] is None
    wait_until(lambda: ask_often(lambda: server.get(f"{GRANTED}?{signed['query']}")) == {401}, seconds=10)


def test_a_suspended_institution_has_no_members(issuer: RealIssuer, server: Server) -> None:
    token = bearer(issuer.token("region-app"))
    flux(server.home, "institution", "suspend", "region")
    try:
        for path in (GRANTED, OPEN):
            wait_until(lambda p=path: ask_often(lambda: server.get(p, token)) == {401}, seconds=10)
    finally:
        flux(server.home, "institution", "resume", "region")
    wait_until(lambda: ask_often(lambda: server.get(GRANTED, token)) == {200}, seconds=10)


def test_what_members_see_is_counted_for_the_institution(issuer: RealIssuer, server: Server) -> None:
    """Of an institution that no other test asks for: what those asked is perhaps not folded yet."""

    def counted() -> int:
        rows = json.loads(flux(server.home, "usage", "--by", "institution,key", "--json").stdout)
        rows = rows["usage"] if isinstance(rows, dict) else rows
        return sum(row["answers"] for row in rows if (row["institution"], row["key"]) == ("new", "-"))

    def is_known() -> bool:
        found = [server.get("/whoami", token).json["institution"] for _ in range(12)]
        return None not in found

    flux(server.home, "institution", "add", "new")
    words = ("--issuer", issuer.url, "--claim", "org", "--value", "newcomers")
    flux(server.home, "membership", "add", "new", *words)
    token = bearer(issuer.token("new-app"))
    wait_until(is_known, seconds=10)
    assert counted() == 0
    for _ in range(5):
        assert server.get(OPEN, token).status == 200
    wait_until(lambda: counted() == 5, seconds=30)


def test_no_token_stands_in_the_log(issuer: RealIssuer, server: Server) -> None:
    tokens = [issuer.token("region-app"), issuer.token("region-app", audience="others")]
    for token in tokens:
        server.get(GRANTED, bearer(token))
        server.get(f"{GRANTED}?key={token}")
        server.get(f"/k/{token}{GRANTED}")
    text = server.log.read_text()
    assert '"credential_refused"' in text or "credential_refused" in text
    assert "audience" in text
    for token in tokens:
        assert not any(part in text for part in token.split(".")[1:])


def test_rotation_is_followed_and_an_issuer_that_is_down_opens_nothing_new(
    town: Town, tmp_path: Path
) -> None:
    home = copy_home(town, tmp_path / "home")
    with real_issuer(tmp_path, CLAIMS) as issuer:
        make_members(home, issuer)
        with serving(home, FLUX_AUTH__ISSUERS=settings_for(issuer)) as server:
            first = bearer(issuer.token("region-app"))
            assert ask_often(lambda: server.get(GRANTED, first)) == {200}

            issuer.stop()
            issuer.start(new_jwks("second"))
            second = bearer(issuer.token("region-app"))
            took = wait_until(lambda: ask_often(lambda: server.get(GRANTED, second)) == {200}, seconds=20)
            print(f"rotation followed by all workers in {took:.1f} s")  # noqa: T201 - measured, not asserted
            third = bearer(issuer.token("region-app"))

            issuer.stop()
            strange = new_jwks("third")
            issuer.start(strange)
            unknown = bearer(issuer.token("region-app"))
            issuer.stop()
            for _ in range(2):  # the keys that are known go on; what is unknown stays so
                assert ask_often(lambda: server.get(GRANTED, second)) == {200}
                assert ask_often(lambda: server.get(GRANTED, third)) == {200}
                assert ask_often(lambda: server.get(GRANTED, unknown)) == {401}
                assert ask_often(lambda: server.get(OPEN, unknown)) == {401}
                time.sleep(1.1)
            assert server.get(GRANTED, {"X-API-Key": town.key}).status == 200
            assert server.ready()

            issuer.start(strange)
            wait_until(lambda: ask_often(lambda: server.get(GRANTED, unknown)) == {200}, seconds=20)
        assert "issuer_keys_not_fetched" in server.log.read_text()


def test_a_server_starts_and_serves_without_its_issuer(town: Town, tmp_path: Path) -> None:
    home = copy_home(town, tmp_path / "home")
    with real_issuer(tmp_path, CLAIMS) as issuer:
        make_members(home, issuer)
        token = bearer(issuer.token("region-app"))
        issuer.stop()
        with serving(home, FLUX_AUTH__ISSUERS=settings_for(issuer)) as server:
            assert ask_often(lambda: server.get(GRANTED, token)) == {401}
            assert server.get(GRANTED, {"X-API-Key": town.key}).status == 200
            assert server.get(OPEN).status == 200
