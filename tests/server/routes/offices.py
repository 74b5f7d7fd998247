"""Offices to try administration in: an application, its rights, and the keys of all sorts of callers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from auth import edits
from auth.credentials import new_key
from auth.documents import FIELDS, KINDS
from auth.models import (
    Action,
    Caveat,
    GrantKind,
    Group,
    Institution,
    Key,
    Licence,
    Role,
)
from auth.reach import Selector, Window
from auth.rules import new_forbid, new_grant, new_membership
from mosaics.mosaic import mosaic_document, mosaic_from
from server.areas import area_of_box
from server.routing import Route
from tests.conftest import Reply, Town
from tests.server.conftest import TILE, Asgi, declared_routes

GRANTED, HIDDEN = TILE.format("granted"), TILE.format("hidden")
NOW = datetime.now(UTC).replace(microsecond=0)
ROUTES = {route.id: route for route in declared_routes() if route.path.startswith(("/admin", "/keys"))}


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
        "narrowed": (
            "region",
            {"role": Role.MANAGER, "caveat": Caveat(area=None, actions=frozenset({Action.TILE}))},
        ),
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
    forbid = new_forbid(
        Selector(collections=frozenset({"open"})),
        area=None,
        reason="secret reason",
        now=NOW,
        valid=replace(new_grant("public", Selector(), area=None, now=NOW).valid, end=NOW),
    )
    for right in (membership, forbid):
        office.change(edits.add(right))
    grant = next(g for g in office.knowledge.policy.grants.values() if g.grantee == "region")
    office.rights.update(
        institution="region",
        group="south",
        licence="terms",
        membership=membership.id,
        key=office.ids["reader"],
        grant=grant.id,
        forbid=forbid.id,
    )
    return office


MADE = {"id", "created", "created_by", "revoked", "secrets"}
"""Fields that the server makes."""


def addressed(  # noqa: PLR0911 - one for each form of address
    office: Office, route: Route, method: str, number: int
) -> tuple[str, object]:
    """Give an address of the route and a body that is good, about something of `region` made for it."""
    kind = next((k for k in KINDS if route.path.startswith((f"/admin/{FIELDS[k]}", f"/{FIELDS[k]}"))), None)
    right = None if kind is None else made_for(office, kind, number)
    if route.path == "/admin/mosaics/{id}":
        made = mosaic_from({"id": f"n{number}", "order": {"rule": "finest"}})
        office.knowledge.change_catalogue(lambda catalog: catalog.put_mosaic(made))
        return f"/admin/mosaics/n{number}", mosaic_document(made) if method == "PUT" else None
    path = route.path.replace("{id}", right.id if right else "granted")
    if route.id in {"admin_put_visibility", "admin_apply_rights"}:
        visible = route.id == "admin_put_visibility"
        return (path, {"visibility": "hidden"}) if visible else (f"{path}?dry_run=true", {"rights": 1})
    if route.id in {"admin_suspend", "admin_resume", "admin_close"}:
        office.change(edits.put(Institution(id=f"n{number}", name="another")))
        return path.replace("region", f"n{number}"), None
    if route.id == "admin_approve":
        office.change(edits.put(crisis(number)))
        return path.replace(right.id, crisis(number).id), None
    if method == "PUT":
        return path, office.good("operator", "GET", path)
    if method == "POST" and "{id}" not in route.path:
        return path, new_document(kind, number)
    return path, None


def made_for(office: Office, kind: str, number: int) -> Any:
    name = f"n{number}"
    right = {
        "institution": lambda: Institution(id="region", name="region"),
        "group": lambda: Group(id=name, name=name),
        "licence": lambda: Licence(id=name, title=name),
        "membership": lambda: new_membership("region", "https://id.example", "sub", name),
        "grant": lambda: new_grant(
            "region", Selector(collections=frozenset({"granted"})), area=None, now=NOW, reason=name
        ),
        "forbid": lambda: new_forbid(
            Selector(collections=frozenset({name})), area=None, now=NOW, reason=name
        ),
        "key": lambda: office.key("region", label=name)[0],
    }[kind]()
    office.change(edits.put(right))
    return right


def crisis(number: int, **more: Any) -> Any:
    return new_grant(
        "region",
        Selector(collections=frozenset({"hidden"})),
        now=NOW,
        **{
            "area": area_of_box(-5, 42, 8, 51),
            "kind": GrantKind.CRISIS,
            "event_id": f"EMSR{number}",
            "valid": Window(start=NOW, end=NOW + timedelta(hours=12)),
            **more,
        },
    )


def new_document(kind: str | None, number: int) -> object:
    return {
        "key": {"institution_id": "region", "label": "made"},
        "grant": {
            "grantee": "region",
            "area": "everywhere",
            "reason": f"made {number}",
            "selector": {"collections": ["granted"]},
        },
        "forbid": {
            "area": "everywhere",
            "reason": f"made {number}",
            "valid": "../2020-01-01",
            "selector": {"collections": ["hidden"]},
        },
        "membership": {
            "institution_id": "region",
            "issuer": "https://id.example",
            "claim": "sub",
            "value": f"made {number}",
        },
    }[kind or ""]
