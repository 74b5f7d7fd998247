"""What may enter the store of rights, and what fits beside the rest."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import shapely

from auth import edits, rules
from auth.audit import Change
from auth.errors import InvalidIdError, InvalidRightError, StillNamedError, UnknownIdError
from auth.models import (
    Action,
    Caveat,
    GrantKind,
    Group,
    Institution,
    InstitutionStatus,
    Key,
    KeySecret,
    Licence,
    Role,
)
from auth.reach import EVERYWHERE, Selector, Window, new_area
from auth.snapshot import PolicySnapshot

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SPOT = Selector(collections=frozenset({"spot"}))
AREA = new_area(shapely.to_wkb(shapely.box(0, 0, 1, 1)))
CRISIS = {
    "kind": GrantKind.CRISIS,
    "event_id": "EMSR712",
    "area": AREA,
    "valid": Window(start=NOW, end=NOW + timedelta(hours=72)),
}


def grant(grantee="ign", selector=SPOT, **fields):
    return rules.new_grant(grantee, selector, **({"area": EVERYWHERE, "now": NOW} | fields))


def key(id_="AAAAAAAA", institution_id="ign", **fields):
    secret = KeySecret(number=1, hmac=bytes(32), pepper_version=1)
    values = {"secrets": (secret,), "url_allowed": True, "label": "", "created": NOW}
    return Key(id=id_, institution_id=institution_id, **(values | fields))


def with_rights(*held):
    changes = [Change(kind=edits.kind_of(right), id=right.id, right=right) for right in held]
    base = [Institution(id="ign", name="ign"), Institution(id="ops", name="ops", operator=True)]
    more = [Change(kind="institution", id=each.id, right=each) for each in base]
    return edits.applied(PolicySnapshot(), [*more, *changes], 1)


def test_the_same_right_has_the_same_id_whenever_and_however_it_is_written():
    paris = timezone(timedelta(hours=2))
    first = grant(valid=Window(start=NOW), selector=Selector(collections=frozenset("abc")))
    again = grant(
        valid=Window(start=NOW.astimezone(paris)),
        selector=Selector(collections=frozenset("cba")),
        now=NOW + timedelta(days=1),
        created_by="someone else",
    )
    assert first.id == again.id
    assert first.id != grant(selector=Selector(collections=frozenset("abc"))).id


@pytest.mark.parametrize("grantee", ["", "Bad", "a b", "group:", "x" * 65, "../x"])
def test_a_grantee_out_of_form_is_refused(grantee):
    with pytest.raises(InvalidRightError, match="grantee"):
        grant(grantee)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"finest_ground_resolution": 0.0}, "finest_ground_resolution"),
        ({"finest_ground_resolution": float("nan")}, "finest_ground_resolution"),
        ({"finest_ground_resolution": 10_001.0}, "finest_ground_resolution"),
        ({"actions": frozenset()}, "actions"),
        ({"actions": frozenset({Action.OPERATE})}, "actions"),
        ({"valid": Window(start=NOW, end=NOW)}, "end after"),
        ({"now": NOW.replace(tzinfo=None)}, "time zone"),
        ({"event_id": "EMSR712"}, "crisis"),
        ({"approvals": ("ops",)}, "crisis"),
        (CRISIS | {"event_id": None}, "event"),
        (CRISIS | {"area": EVERYWHERE}, "area"),
        (CRISIS | {"selector": Selector(licences=frozenset({"x"}))}, "collections or sensors"),
        (CRISIS | {"valid": Window(start=NOW)}, "72 hours"),
        (CRISIS | {"valid": Window(start=NOW, end=NOW + timedelta(hours=72, seconds=1))}, "72 hours"),
        (CRISIS | {"approvals": ("ops", "ops")}, "different"),
    ],
)
def test_a_grant_that_could_never_mean_what_was_meant_is_refused(fields, said):
    with pytest.raises(InvalidRightError, match=said):
        grant(**fields)


def test_a_crisis_grant_that_is_as_it_must_be_is_taken_and_only_operators_approve_it():
    crisis = grant(**CRISIS)
    rules.check_fits(with_rights(), replace(crisis, approvals=("ops",)))
    with pytest.raises(InvalidRightError, match="only operators"):
        rules.check_fits(with_rights(), replace(crisis, approvals=("ign",)))


@pytest.mark.parametrize("kinds", ["collections", "licences", "sensors", "scenes"])
@pytest.mark.parametrize("names", [frozenset(), frozenset({""})])
def test_a_selector_of_nothing_is_refused(kinds, names):
    with pytest.raises(ValueError, match="at least one"):
        Selector(**{kinds: names})


@pytest.mark.parametrize("id_", ["", "short", "AAAA AAA", "AAAAAAAAA"])
def test_the_id_of_a_key_has_its_grammar(id_):
    with pytest.raises(InvalidIdError):
        rules.check_form(key(id_))


def test_two_secrets_of_a_key_are_an_ending_one_and_a_new_one():
    old = KeySecret(number=1, hmac=bytes(32), pepper_version=1, until=NOW)
    new = replace(old, number=2, until=None)
    rules.check_form(key(secrets=(old, new)))
    for wrong in ((new, old), (replace(old, until=None), new), (replace(old, number=2), new), (old,), ()):
        with pytest.raises(InvalidRightError):
            rules.check_form(key(secrets=wrong))


PARENT = {"expires": NOW + timedelta(days=30), "url_allowed": False}


@pytest.mark.parametrize(
    ("parent", "child", "said"),
    [
        (PARENT, {"url_allowed": False}, "end by"),
        (PARENT, {"url_allowed": False, "expires": NOW + timedelta(days=31)}, "end by"),
        (PARENT, {"url_allowed": True, "expires": NOW + timedelta(days=1)}, "addresses"),
        ({"revoked": NOW}, {}, "revoked"),
        ({}, {"role": Role.MANAGER}, "manage"),
        ({}, {"institution_id": "ops"}, "institution"),
        (
            {"caveat": Caveat(area=EVERYWHERE, actions=frozenset({Action.TILE}))},
            {"caveat": Caveat(area=EVERYWHERE, actions=frozenset({Action.TILE, Action.INFO}))},
            "actions",
        ),
    ],
)
def test_a_key_made_by_another_can_do_no_more(parent, child, said):
    held = with_rights(key(**parent))
    with pytest.raises(InvalidRightError, match=said):
        rules.check_fits(held, key("BBBBBBBB", parent_id="AAAAAAAA", **child))


def test_a_narrower_key_fits_down_to_a_depth():
    chain = [
        key(f"key{n:05}", parent_id=f"key{n - 1:05}" if n else None) for n in range(rules.DEEPEST_KEY + 1)
    ]
    for place, each in enumerate(chain[:-1]):
        rules.check_fits(with_rights(*chain[:place]), each)
    with pytest.raises(InvalidRightError, match="at most"):
        rules.check_fits(with_rights(*chain[:-1]), chain[-1])


def test_a_key_cannot_be_moved_below_its_own_child():
    top, child = key(), key("BBBBBBBB", parent_id="AAAAAAAA")
    with pytest.raises(InvalidRightError, match="above itself"):
        rules.check_fits(with_rights(top, child), replace(top, parent_id="BBBBBBBB"))


@pytest.mark.parametrize(
    ("namer", "kind", "id_"),
    [
        (grant(), "institution", "ign"),
        (key(), "institution", "ign"),
        (Group(id="g", name="g", members=frozenset({"ign"})), "institution", "ign"),
        (rules.new_membership("ign", "https://idp", "sub", "x"), "institution", "ign"),
        (grant("group:g"), "group", "g"),
        (grant(selector=Selector(licences=frozenset({"l"}))), "licence", "l"),
        (key("BBBBBBBB", parent_id="AAAAAAAA"), "key", "AAAAAAAA"),
        (grant(**CRISIS, approvals=("ops",)), "institution", "ops"),
    ],
)
def test_what_another_right_names_cannot_go(namer, kind, id_):
    named = [Group(id="g", name="g"), Licence(id="l", title="l"), key()]
    held = with_rights(*(each for each in named if each.id != namer.id), namer)
    with pytest.raises(StillNamedError):
        edits.checked(held, edits.remove(kind, id_))


def test_what_is_not_there_cannot_be_changed():
    for edit in (
        edits.remove("grant", "x"),
        edits.approve("x", "ops"),
        edits.rotate_key("AAAAAAAA", key().secrets[0], NOW),
        edits.revoke_key("AAAAAAAA", NOW),
    ):
        with pytest.raises(UnknownIdError):
            edits.checked(with_rights(), edit)


def test_a_rotation_keeps_the_secret_before_until_the_grace_ends():
    fresh = KeySecret(number=1, hmac=b"n" * 32, pepper_version=2)
    held = with_rights(key())
    for number in (2, 3):
        changes = edits.checked(held, edits.rotate_key("AAAAAAAA", fresh, NOW + timedelta(days=number)))
        held = edits.applied(held, changes, 2)
        older, newest = held.keys["AAAAAAAA"].secrets
        assert (older.number, older.until) == (number - 1, NOW + timedelta(days=number))
        assert (newest.number, newest.until, newest.pepper_version) == (number, None, 2)
    dead = with_rights(key(revoked=NOW))
    with pytest.raises(InvalidRightError, match="revoked"):
        edits.checked(dead, edits.rotate_key("AAAAAAAA", fresh, NOW))


def test_an_operator_approves_once():
    held = with_rights(grant(**CRISIS, approvals=("ops",)))
    (id_,) = held.grants
    assert edits.checked(held, edits.approve(id_, "ops")) == ()
    plain = with_rights(grant())
    with pytest.raises(InvalidRightError, match="crisis"):
        edits.checked(plain, edits.approve(next(iter(plain.grants)), "ops"))


TWO = {"ops2": Institution(id="ops2", name="ops2", operator=True)}


def asked(**more):
    held = with_rights(*TWO.values())
    crisis = grant(**CRISIS, **more)
    return edits.applied(held, edits.checked(held, edits.ask_crisis(crisis, "ops")), 2), crisis


def test_a_crisis_is_asked_for_with_one_approval_and_holds_with_two():
    held, crisis = asked()
    assert held.grants[crisis.id].approvals == ("ops",)
    assert edits.checked(held, edits.ask_crisis(crisis, "ops2")) == ()
    held = edits.applied(held, edits.checked(held, edits.approve(crisis.id, "ops2")), 3)
    assert held.grants[crisis.id].approved


@pytest.mark.parametrize("given", [("ops",), ("ops", "ops2"), ("ops2",)])
def test_nobody_writes_approvals_into_a_right(given):
    crisis = replace(grant(**CRISIS), approvals=given)
    empty = with_rights(*TWO.values())
    for edit in (edits.put(crisis), edits.add(crisis), edits.add_by_content(crisis)):
        with pytest.raises(InvalidRightError, match="approvals"):
            edits.checked(empty, edit)
    held, _ = asked()
    if given != ("ops",):
        with pytest.raises(InvalidRightError, match="approvals"):
            edits.checked(held, edits.put(replace(held.grants[crisis.id], approvals=given)))


def test_no_single_change_brings_two_approvals_and_none_by_whom_is_no_active_operator():
    held, crisis = asked()
    both = replace(crisis, approvals=("ops", "ops2"))
    rules.check_fits(held, both)
    with pytest.raises(InvalidRightError, match="one by one"):
        rules.check_fits(with_rights(*TWO.values()), both)
    suspended = replace(TWO["ops2"], status=InstitutionStatus.SUSPENDED)
    held = edits.applied(held, [Change(kind="institution", id="ops2", right=suspended)], 3)
    with pytest.raises(InvalidRightError, match="not active"):
        edits.checked(held, edits.approve(crisis.id, "ops2"))


@pytest.mark.parametrize(
    "wider",
    [
        {"area": new_area(shapely.to_wkb(shapely.box(0, 0, 9, 9)))},
        {"selector": Selector(collections=frozenset({"spot", "pleiades"}))},
        {"valid": Window(start=NOW + timedelta(hours=72), end=NOW + timedelta(hours=144))},
        {"grantee": "ops"},
    ],
)
def test_what_was_approved_is_what_it_said_then(wider):
    held, crisis = asked()
    approved = edits.applied(held, edits.checked(held, edits.approve(crisis.id, "ops2")), 3)
    there = approved.grants[crisis.id]
    with pytest.raises(InvalidRightError, match="approvals"):
        edits.checked(approved, edits.put(replace(there, **wider)))
    with pytest.raises(InvalidRightError, match="one by one"):
        rules.check_fits(approved, replace(there, **wider))
    anew = edits.checked(approved, edits.put(replace(there, approvals=(), **wider)))
    assert not edits.applied(approved, anew, 4).grants[crisis.id].approved


def test_an_approval_can_be_taken_back():
    held, crisis = asked()
    edits.checked(held, edits.put(crisis))


def test_a_revoked_key_stays_so_and_no_key_moves_to_another_institution():
    held = with_rights(key(revoked=NOW), key("BBBBBBBB"))
    for changed, said in (
        (key(), "stays revoked"),
        (key("BBBBBBBB", institution_id="ops"), "its institution"),
    ):
        with pytest.raises(InvalidRightError, match=said):
            edits.checked(held, edits.put(changed))
