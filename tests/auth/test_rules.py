"""What may enter the store of rights."""

import hashlib
import struct
from datetime import UTC, datetime, timedelta, timezone

import pytest
import shapely

from auth import rules
from auth.errors import InvalidIdError
from auth.models import EVERYWHERE, PUBLIC, Action, Selector, Window

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SPOT = Selector(collections=frozenset({"spot"}))


def grant(grantee="ign", selector=SPOT, **fields):
    return rules.new_grant(grantee, selector, **({"area": EVERYWHERE, "now": NOW} | fields))


@pytest.mark.parametrize("byte_order", [0, 1])
@pytest.mark.parametrize(
    "geometry", [shapely.box(0, 0, 1, 1), shapely.MultiPolygon([shapely.box(0, 0, 1, 1)])]
)
def test_an_area_is_the_wkb_of_polygons(geometry, byte_order):
    wkb = shapely.to_wkb(geometry, byte_order=byte_order)
    area = rules.new_area(wkb)
    assert area.wkb == wkb
    assert area.digest == hashlib.sha256(wkb).hexdigest()[:16]
    assert grant(area=area).area == area


@pytest.mark.parametrize(
    "wkb",
    [
        b"",
        b"\1",
        struct.pack("<BI", 1, 3),
        struct.pack("<BI", 7, 3) + bytes(8),
        shapely.to_wkb(shapely.Point(0, 0)),
        shapely.to_wkb(shapely.LineString([(0, 0), (1, 1)])),
        shapely.to_wkb(shapely.force_3d(shapely.box(0, 0, 1, 1))),
    ],
)
def test_anything_else_is_no_area(wkb):
    with pytest.raises(ValueError, match="Polygon"):
        rules.new_area(wkb)


def test_the_same_right_has_the_same_id_whenever_and_however_it_is_written():
    paris = timezone(timedelta(hours=2))
    first = grant(valid=Window(start=NOW), selector=Selector(collections=frozenset("abc")))
    again = grant(
        valid=Window(start=NOW.astimezone(paris)),
        selector=Selector(collections=frozenset("cba")),
        now=NOW + timedelta(days=1),
    )
    assert first.id == again.id
    assert rules.grant_digest(first) == rules.grant_digest(again)


def test_a_grant_and_a_forbid_of_the_same_reach_differ():
    forbid = rules.new_forbid(SPOT, area=EVERYWHERE, reason="ign", now=NOW)
    assert rules.forbid_digest(forbid) != rules.grant_digest(grant())
    other = rules.new_forbid(SPOT, area=EVERYWHERE, reason="other", now=NOW)
    assert other.id != forbid.id


def test_a_grant_that_names_no_action_gives_what_is_usual():
    assert grant().actions == {Action.CATALOGUE, Action.PREVIEW, Action.TILE, Action.INFO}
    assert grant(PUBLIC).grantee == PUBLIC


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"actions": frozenset()}, "one or more"),
        ({"actions": frozenset({Action.TILE, Action.OPERATE})}, "one or more"),
        ({"actions": frozenset({Action.OPEN})}, "one or more"),
        ({"finest_ground_resolution": 0.0}, "metres"),
        ({"finest_ground_resolution": -1.0}, "metres"),
        ({"finest_ground_resolution": float("nan")}, "metres"),
        ({"finest_ground_resolution": float("inf")}, "metres"),
        ({"selector": Selector(licences=frozenset())}, "at least one id"),
        ({"selector": Selector(scenes=frozenset({""}))}, "at least one id"),
        ({"acquired": Window(start=NOW, end=NOW)}, "end after"),
        ({"valid": Window(start=NOW, end=NOW - timedelta(days=1))}, "end after"),
        ({"valid": Window(start=NOW.replace(tzinfo=None))}, "time zone"),
        ({"acquired": Window(end=NOW.replace(tzinfo=None))}, "time zone"),
        ({"now": NOW.replace(tzinfo=None)}, "time zone"),
    ],
)
def test_an_impossible_grant_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        grant(**fields)


def test_a_grantee_outside_the_grammar_is_refused():
    with pytest.raises(InvalidIdError, match=r"\[a-z0-9\]") as caught:
        grant("IGN")
    assert caught.value.id == "IGN"
