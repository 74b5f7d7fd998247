"""Signatures: they name who may, live for an hour at most, and are decided again at each use."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.credentials import Peppers, new_key
from auth.decision import PrincipalKind
from auth.errors import CredentialExpiredError, CredentialInvalidError
from auth.models import Action, Institution, InstitutionStatus, Role
from auth.policy import decide
from auth.reach import Selector
from auth.rules import new_grant, new_membership
from auth.signing import LONGEST, Signed, looks_signed, principal_of_signed, read_signed, sign
from auth.snapshot import PolicySnapshot

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PEPPERS = Peppers(by_version={1: b"old pepper, 16 bytes or more", 2: b"new pepper, 16 bytes or more"})
KEY, _ = new_key("live", "ign", PEPPERS, url_allowed=False, now=NOW, role=Role.MANAGER)
RIGHTS = PolicySnapshot(
    institutions={"ign": Institution(id="ign", name="ign")},
    keys={KEY.id: KEY},
    grants={
        g.id: g for g in [new_grant("ign", Selector(collections=frozenset({"a", "b"})), area=None, now=NOW)]
    },
)


def signed(**fields):
    values = {"use": "url", "expires": NOW + timedelta(minutes=15), "key_id": KEY.id, "layer": "a"}
    return Signed(**(values | fields))


TEXT = sign(PEPPERS, signed(), NOW)


def test_a_signature_says_what_was_signed():
    assert looks_signed(TEXT)
    assert read_signed(PEPPERS, TEXT, use="url", now=NOW) == signed()


@given(place=st.integers(0, len(TEXT) - 1), character=st.characters())
def test_any_other_character_anywhere_opens_nothing(place, character):
    other = TEXT[:place] + character + TEXT[place + 1 :]
    if other != TEXT:
        with pytest.raises(CredentialInvalidError):
            read_signed(PEPPERS, other, use="url", now=NOW)


@given(st.text(max_size=300))
def test_no_text_raises_anything_but_invalid(text):
    with pytest.raises(CredentialInvalidError):
        read_signed(PEPPERS, text, use="url", now=NOW)


def test_it_ends_to_the_second_and_lives_an_hour_at_most():
    end = NOW + timedelta(minutes=15)
    assert read_signed(PEPPERS, TEXT, use="url", now=end - timedelta(microseconds=1))
    with pytest.raises(CredentialExpiredError):
        read_signed(PEPPERS, TEXT, use="url", now=end)
    assert sign(PEPPERS, signed(expires=NOW + LONGEST), NOW)
    for expires in (NOW, NOW + LONGEST + timedelta(seconds=1)):
        with pytest.raises(ValueError, match="lives"):
            sign(PEPPERS, signed(expires=expires), NOW)


def test_it_is_somebodys():
    for fields in ({"key_id": None}, {"institution_id": "ign"}):
        with pytest.raises(ValueError, match="names"):
            sign(PEPPERS, signed(**fields), NOW)


def test_a_cookie_is_no_address_and_an_address_no_cookie():
    for made, shown in (("url", "cookie"), ("cookie", "url")):
        with pytest.raises(CredentialInvalidError):
            read_signed(PEPPERS, sign(PEPPERS, signed(use=made), NOW), use=shown, now=NOW)


def test_both_peppers_verify_while_both_live():
    before = Peppers(by_version={1: PEPPERS.by_version[1]})
    old = sign(before, signed(), NOW)
    assert read_signed(PEPPERS, old, use="url", now=NOW) == signed()
    with pytest.raises(CredentialInvalidError):
        read_signed(before, TEXT, use="url", now=NOW)


def test_the_hmac_kept_for_a_key_signs_nothing():
    assert KEY.secrets[0].hmac.hex() not in TEXT


def test_it_opens_its_layer_and_manages_nothing():
    principal = principal_of_signed(RIGHTS, signed(), NOW)
    assert (principal.kind, principal.institution_id, principal.key_id) == (
        PrincipalKind.INSTITUTION,
        "ign",
        KEY.id,
    )
    (allowance,) = decide(RIGHTS, principal, Action.TILE, NOW).allowances
    assert allowance.selector.collections == frozenset({"a"})
    for action in (Action.MANAGE, Action.OPERATE, Action.EXPORT):
        assert not decide(RIGHTS, principal, action, NOW).allowed


@pytest.mark.parametrize(
    ("layer", "collections", "scenes"),
    [(None, {"a", "b"}, None), ("b", {"b"}, None), ("a:scene.1", {"a"}, {"scene.1"})],
)
def test_it_is_for_a_layer_a_scene_or_all(layer, collections, scenes):
    principal = principal_of_signed(RIGHTS, signed(layer=layer), NOW)
    (allowance,) = decide(RIGHTS, principal, Action.TILE, NOW).allowances
    assert allowance.selector.collections == collections
    assert allowance.selector.scenes == scenes


def test_a_layer_of_others_stays_closed():
    principal = principal_of_signed(RIGHTS, signed(layer="c"), NOW)
    assert not decide(RIGHTS, principal, Action.TILE, NOW).allowed


@pytest.mark.parametrize("dead", [{"revoked": NOW}, {"expires": NOW}])
def test_it_dies_with_its_key(dead):
    rights = replace(RIGHTS, keys={KEY.id: replace(KEY, **dead)})
    with pytest.raises(CredentialInvalidError):
        principal_of_signed(rights, signed(), NOW)
    with pytest.raises(CredentialInvalidError):
        principal_of_signed(replace(RIGHTS, keys={}), signed(), NOW)


def test_it_dies_with_its_institution():
    closed = Institution(id="ign", name="ign", status=InstitutionStatus.SUSPENDED)
    rights = replace(RIGHTS, institutions={"ign": closed})
    with pytest.raises(CredentialInvalidError):
        principal_of_signed(rights, signed(), NOW)
    without_key = signed(key_id=None, institution_id="ign")
    assert principal_of_signed(RIGHTS, without_key, NOW).institution_id == "ign"
    for gone in (rights, replace(RIGHTS, institutions={})):
        with pytest.raises(CredentialInvalidError):
            principal_of_signed(gone, without_key, NOW)


def test_without_a_key_it_dies_with_the_membership_that_it_was_made_by():
    membership = new_membership("ign", "https://sso", "org", "ign")
    member = signed(key_id=None, institution_id="ign", membership_id=membership.id)
    assert read_signed(PEPPERS, sign(PEPPERS, member, NOW), use="url", now=NOW) == member
    rights = replace(RIGHTS, memberships={membership.id: membership})
    assert principal_of_signed(rights, member, NOW).institution_id == "ign"
    moved = replace(membership, institution_id="cnes")
    for held in ({}, {membership.id: moved}):
        with pytest.raises(CredentialInvalidError):
            principal_of_signed(replace(RIGHTS, memberships=held), member, NOW)


def test_without_a_key_an_operator_opens_no_imagery_of_its_institution():
    rights = replace(RIGHTS, institutions={"ign": Institution(id="ign", name="ign", operator=True)})
    principal = principal_of_signed(rights, signed(key_id=None, institution_id="ign"), NOW)
    assert principal.kind is PrincipalKind.OPERATOR
    for action in (Action.TILE, Action.OPERATE, Action.MANAGE):
        assert not decide(rights, principal, action, NOW).allowed
