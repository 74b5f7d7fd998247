"""Administration by HTTP: the whole model of rights, by those who may, and nothing of it to others."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi.openapi.models import OpenAPI

from auth import edits
from auth.credentials import KEY_PATTERN, new_key
from auth.documents import FIELDS, KINDS
from auth.models import Action, Caveat, Forbid, Group, Institution, Key, Licence, Role
from auth.reach import Selector
from auth.rules import new_forbid, new_grant, new_membership
from auth.schema import audit_table
from server.administration import Caller, Document, Precondition, RightChangedError
from server.database import connect
from server.metrics import Metrics
from server.routes.health import Readiness
from server.routes.table import routes
from server.routing import Route
from tests.conftest import Reply, Town
from tests.server.conftest import TILE, Asgi, copy_home

GRANTED, HIDDEN = TILE.format("granted"), TILE.format("hidden")
NOW = datetime.now(UTC).replace(microsecond=0)
ROUTES = {
    route.id: route
    for route in routes(Metrics(None), Readiness(cast("Any", None)))
    if route.path.startswith(("/admin", "/keys"))
}


@dataclass(frozen=True)
class Office:
    """An application, and the keys of those who administer it."""

    asgi: Asgi
    keys: dict[str, str | None]
    """Texts by caller."""
    ids: dict[str, str]
    """Ids of keys by caller."""
    rights: dict[str, str]
    """Id of one right by kind, all of `region`'s where they are anybody's."""

    def ask(
        self,
        caller: str,
        method: str,
        target: str,
        body: object = None,
        **headers: str,
    ) -> Reply:
        key = self.keys[caller]
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["x-api-key"] = key
        if body is None:
            return self.asgi.get(target, sent, method)
        return self.asgi.send(method, target, body, sent)

    def good(self, caller: str, method: str, target: str, body: object = None, **headers: str) -> Any:
        reply = self.ask(caller, method, target, body, **headers)
        assert reply.status in {200, 201}, (target, reply.status, reply.body)
        return reply.json

    @property
    def knowledge(self) -> Any:
        return self.asgi.application.services.knowledge

    def head(self) -> tuple[int, str]:
        return self.knowledge.policy_store.audit_head()

    def change(self, edit: edits.Edit) -> None:
        self.knowledge.change(edit, actor="test", at=datetime.now(UTC))

    def key(self, institution: str, **more: Any) -> tuple[Key, str]:
        peppers = self.asgi.application.services.peppers
        made, text = new_key("live", institution, peppers, url_allowed=True, now=NOW, **more)
        self.change(edits.add(made))
        return made, text


def furnish(asgi: Asgi, town: Town) -> Office:
    office = Office(asgi, {"anonymous": None, "reader": town.key, "operator": town.operator_key}, {}, {})
    office.change(edits.add(Institution(id="ops2", name="second", operator=True)))
    office.change(edits.add(Group(id="south", name="South", members=frozenset({"region"}))))
    office.change(edits.add(Licence(id="terms", title="Terms")))
    made = {
        "manager": ("region", {"role": Role.MANAGER}),
        "foreign": ("other", {"role": Role.MANAGER}),
        "narrowed": ("region", {"role": Role.MANAGER, "caveat": Caveat(area=None, actions=frozenset({Action.TILE}))}),
        "second": ("ops2", {}),
    }
    for caller, (institution, more) in made.items():
        key, office.keys[caller] = office.key(institution, **more)
        office.ids[caller] = key.id
    office.ids["reader"] = town.key.split("_")[2]
    office.ids["foreign reader"] = town.other_key.split("_")[2]
    child, office.keys["child"] = office.key("region", parent_id=office.ids["manager"])
    office.ids["child"] = child.id
    membership = new_membership("region", "https://id.example", "siret", "123")
    forbid = new_forbid(Selector(collections=frozenset({"open"})), area=None, reason="secret reason", now=NOW,
                        valid=replace(new_grant("public", Selector(), area=None, now=NOW).valid, end=NOW))
    for right in (membership, forbid):
        office.change(edits.add(right))
    grant = next(g for g in office.knowledge.policy.grants.values() if g.grantee == "region")
    office.rights.update(
        institution="region", group="south", licence="terms", membership=membership.id,
        key=office.ids["reader"], grant=grant.id, forbid=forbid.id,
    )
    return office


@pytest.fixture(scope="session")
def quiet(town: Town, tmp_path_factory: pytest.TempPathFactory, started: Callable[..., Asgi]) -> Office:
    """For tests that change nothing."""
    return furnish(started(copy_home(town, tmp_path_factory.mktemp("office") / "home")), town)


@pytest.fixture
def office(own_home: Path, started: Callable[..., Asgi], town: Town) -> Office:
    return furnish(started(own_home), town)


def test_x(office: Office) -> None:
    for kind in KINDS:
        r = office.ask("operator", "GET", f"/admin/{FIELDS[kind]}/{office.rights[kind]}")
        print(r.status, r.headers.get("etag"), r.body.decode()[:300])
        p = office.ask("operator", "PUT", f"/admin/{FIELDS[kind]}/{office.rights[kind]}", r.json)
        print(p.status, p.body[:200])
