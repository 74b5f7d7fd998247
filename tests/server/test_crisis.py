"""A crisis from the first approval to its end: what opens, and where it is to be seen."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image

import server.dispatcher
from auth import edits
from auth.models import Grant, GrantKind, Institution
from auth.reach import EVERYWHERE, Selector, Window, new_area
from auth.rules import new_forbid, new_grant
from tests.conftest import Town
from tests.server.conftest import TILE, Asgi

NOW = datetime.now(UTC).replace(microsecond=0)
SPOT = Selector(collections=frozenset({"granted"}))
CAPABILITIES = "/wmts/1.0.0/WMTSCapabilities.xml?lang=en"


@pytest.fixture
def asgi(own_home: Path, started: Callable[..., Asgi]) -> Asgi:
    asgi = started(own_home, tiles={"memo_entries": 0})  # whose clock is not the one that is set here
    change(asgi, edits.add(Institution(id="ops2", name="ops2", operator=True)))
    return asgi


def change(asgi: Asgi, edit: edits.Edit) -> None:
    knowledge = asgi.application.services.knowledge
    knowledge.policy_store.change(edit, actor="test", at=NOW)
    knowledge.refresh()


def crisis() -> Grant:
    west = shapely.box(1.40, 43.59, 1.4178, 43.62)
    return new_grant(
        "other",
        SPOT,
        area=new_area(shapely.to_wkb(west)),
        now=NOW,
        kind=GrantKind.CRISIS,
        event_id="EMSR712",
        valid=Window(start=NOW - timedelta(hours=1), end=NOW + timedelta(hours=71)),
    )


def alpha(asgi: Asgi, key: str) -> np.ndarray | None:
    """Give the opacity of the tile that a key sees; None: it may not."""
    reply = asgi.get(TILE.format("granted"), {"x-api-key": key})
    if reply.status != 200:
        assert reply.status == 404
        return None
    return np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA"))[..., 3]


def at(monkeypatch: pytest.MonkeyPatch, instant: datetime) -> None:
    """Set the clock of requests."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return instant

    monkeypatch.setattr(server.dispatcher, "datetime", Clock)


def test_it_opens_its_area_from_the_second_approval_to_its_end(
    asgi: Asgi, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = crisis()
    operator = {"x-api-key": town.operator_key}
    for edit in (edits.add(grant), edits.approve(grant.id, "ops"), edits.approve(grant.id, "ops")):
        change(asgi, edit)
        assert alpha(asgi, town.other_key) is None
        assert b"EMSR712" not in asgi.get("/metrics", operator).body
    change(asgi, edits.approve(grant.id, "ops2"))
    opened = alpha(asgi, town.other_key)
    whole = alpha(asgi, town.key)
    assert opened is not None
    assert whole is not None
    assert (opened[:, :48] == whole[:, :48]).all(), "inside of its area"
    assert opened.any()
    assert whole[:, -64:].any()
    assert not opened[:, -64:].any(), "outside"

    there = asgi.get(CAPABILITIES, {"x-api-key": town.other_key}).body
    assert b"Exceptional rights hold, crisis: EMSR712." in there
    assert b"EMSR712" not in asgi.get(CAPABILITIES, {"x-api-key": town.key}).body, "not its own"
    assert b'flux_crisis_grants{event="EMSR712"} 1.0' in asgi.get("/metrics", operator).body
    records = asgi.application.services.knowledge.policy_store.audit()
    approvals = [record.document for record in records if record.id == grant.id]
    assert ['"approvals":["ops","ops2"]' in document for document in approvals] == [False, False, True]

    at(monkeypatch, NOW + timedelta(hours=71, seconds=-1))
    assert alpha(asgi, town.other_key) is not None
    at(monkeypatch, NOW + timedelta(hours=71))
    assert alpha(asgi, town.other_key) is None, "it ends by itself, though nobody removed it"
    assert b"EMSR712" not in asgi.get("/metrics", operator).body
    assert b"EMSR712" not in asgi.get(CAPABILITIES, {"x-api-key": town.other_key}).body


@pytest.mark.parametrize("overridable", [True, False])
def test_it_beats_only_what_may_be_overridden(asgi: Asgi, town: Town, *, overridable: bool) -> None:
    embargo = new_forbid(SPOT, area=EVERYWHERE, reason="embargo", now=NOW, overridable_by_crisis=overridable)
    change(asgi, edits.add(embargo))
    grant = crisis()
    for edit in (edits.ask_crisis(grant, "ops"), edits.approve(grant.id, "ops2")):
        change(asgi, edit)
    assert asgi.get(TILE.format("granted"), {"x-api-key": town.key}).status == 404, "holders are embargoed"
    opened = alpha(asgi, town.other_key)
    assert (opened is not None) is overridable
