"""Rights of every kind, which go into a file and come back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import shapely

from auth.audit import Change
from auth.documents import KINDS, kind_of, rights_of
from auth.edits import applied, checked
from auth.models import (
    Caveat,
    Forbid,
    Grant,
    GrantKind,
    Group,
    Institution,
    Key,
    KeySecret,
    Licence,
    Membership,
    Quota,
    Rate,
    Right,
    Role,
    Tier,
)
from auth.reach import EVERYWHERE, Conditions, Selector, Window, new_area
from auth.snapshot import PolicySnapshot
from server.rights_difference import differences
from server.rights_file import changes_to, parse

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOLED = new_area(
    shapely.to_wkb(shapely.box(1, 43, 2, 44) - shapely.box(1.2, 43.2, 1.3, 43.3) | shapely.box(3, 43, 4, 44))
)


def secret(number: int = 1, until: datetime | None = None) -> KeySecret:
    return KeySecret(number=number, hmac=bytes([number]) * 32, pepper_version=1, until=until)


def key(id_: str, **more: object) -> Key:
    values: dict[str, object] = {
        "institution_id": "sdis31",
        "secrets": (secret(),),
        "url_allowed": True,
        "label": "",
        "created": NOW,
    }
    return Key(id=id_, **{**values, **more})


ALL: tuple[Right, ...] = (
    Institution(id="sdis31", name="SDIS 31 : l'été, « ici »", agreement="C-1", contacts=("a@b.fr",)),
    Institution(id="geo", name="- not: a list #"),
    Institution(id="ops", name="ops", operator=True),
    Institution(id="ops2", name="ops2", operator=True),
    Group(id="sud", name="Sud", members=frozenset({"sdis31", "geo"})),
    Licence(
        id="spot", title="2024-01-01", public=Tier(times_pan=32, ground_resolution=16), redistribution="open"
    ),
    Licence(id="phr", title="null", holder=Tier(ground_resolution=2)),
    Membership(
        id="m1", institution_id="geo", issuer="https://idp", claim="siret", value="0123", role=Role.MANAGER
    ),
    # the child's id sorts before its parent's
    key(
        "AAAAAAAA",
        parent_id="ZZZZZZZZ",
        caveat=Caveat(area=HOLED, conditions=Conditions(networks=frozenset({"192.0.2.0/24"}))),
    ),
    key(
        "12345678",
        secrets=(secret(1, NOW + timedelta(days=7)), secret(2)),
        rate=Rate(per_second=0.5, burst=3),
    ),
    key("ZZZZZZZZ", role=Role.MANAGER, label="true"),
    Grant(
        id="g1",
        grantee="sdis31",
        area=HOLED,
        created=NOW,
        selector=Selector(licences=frozenset({"spot", "phr"})),
        valid=Window(start=NOW),
        finest_ground_resolution=1.5,
        quota=Quota(amount=1000, period="day"),
        delegable=None,
        reason="two\nlines",
    ),
    Grant(id="g2", grantee="group:sud", area=EVERYWHERE, created=NOW),
    Grant(
        id="g3",
        grantee="geo",
        area=HOLED,
        created=NOW,
        selector=Selector(collections=frozenset({"c"})),
        valid=Window(start=NOW, end=NOW + timedelta(hours=72)),
        kind=GrantKind.CRISIS,
        event_id="EMSR712",
        approvals=("ops", "ops2"),
    ),
    Forbid(
        id="f1", area=EVERYWHERE, reason="", created=NOW, acquired=Window(end=NOW), overridable_by_crisis=True
    ),
)


def held(*rights: Right) -> PolicySnapshot:
    order = {kind: place for place, kind in enumerate(KINDS)}
    changes = [Change(kind=kind_of(r), id=r.id, right=r) for r in rights]
    return applied(PolicySnapshot(), sorted(changes, key=lambda c: order[c.kind]), 1)


def plain(snapshot: PolicySnapshot) -> list[Right]:
    return sorted(rights_of(snapshot), key=lambda right: (kind_of(right), right.id))


FULL = held(*ALL)


def waiting(snapshot: PolicySnapshot) -> PolicySnapshot:
    """Take the approvals away: no file brings any."""
    crisis = replace(FULL.grants["g3"], approvals=())
    return replace(snapshot, grants={id_: crisis if id_ == "g3" else g for id_, g in snapshot.grants.items()})


def result(snapshot: PolicySnapshot, text: str, *, prune: bool = False) -> PolicySnapshot:
    """Apply a file as the command does, each change checked."""
    wanted = parse(text).wanted(snapshot)
    return applied(
        snapshot, checked(snapshot, lambda s: changes_to(s, wanted, prune=prune)), snapshot.epoch + 1
    )


def lines(snapshot: PolicySnapshot, text: str, *, prune: bool = False) -> list[str]:
    found = differences(snapshot, parse(text).wanted(snapshot), prune=prune)
    return [each.line() for each in found]
