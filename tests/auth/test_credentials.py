"""Keys: their grammar, their checks, and the reasons for which they open nothing."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import credentials
from auth.credentials import KEY_PATTERN, Peppers, authenticate, new_key, new_secret, read_key_id
from auth.decision import Principal, PrincipalKind
from auth.errors import (
    CredentialExpiredError,
    CredentialInvalidError,
    CredentialNotForUrlsError,
    CredentialRevokedError,
    InstitutionSuspendedError,
    InvalidIdError,
)
from auth.models import Caveat, Institution, InstitutionStatus, Rate, Role
from auth.reach import EVERYWHERE
from auth.snapshot import PolicySnapshot

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PEPPERS = Peppers(by_version={1: b"old pepper, 16 bytes or more", 2: b"new pepper, 16 bytes or more"})
INSTITUTIONS = {
    "ign": Institution(id="ign", name="IGN"),
    "ops": Institution(id="ops", name="DINAMIS", operator=True),
}


def make(institution_id="ign", *, env="test", peppers=PEPPERS, url_allowed=False, expires=None, **more):
    return new_key(
        env,
        institution_id,
        peppers,
        label="SIG",
        url_allowed=url_allowed,
        expires=expires,
        now=NOW,
        **more,
    )


def snapshot(*keys, institutions=INSTITUTIONS):
    return PolicySnapshot(epoch=1, institutions=institutions, keys={key.id: key for key in keys})


def shown(rights, text, *, in_url=False, now=NOW, peppers=PEPPERS):
    return authenticate(rights, peppers, text, in_url=in_url, now=now).principal


def with_hmac(key, digest):
    return replace(key, secrets=(replace(key.secrets[0], hmac=digest),))


def with_checksum(body):
    """Write a checksum by the rule, independently of the code: big-endian base62 of the CRC-32."""
    value = crc32(body.encode("ascii"))
    return body + "".join(BASE62[value // 62**power % 62] for power in range(5, -1, -1))


def refusal(key, text, *, in_url=False, now=NOW, peppers=PEPPERS, institutions=INSTITUTIONS):
    with pytest.raises(CredentialInvalidError) as caught:
        authenticate(snapshot(key, institutions=institutions), peppers, text, in_url=in_url, now=now)
    return caught.value


def test_a_new_key_opens_for_its_institution():
    key, text = make(url_allowed=True)
    assert shown(snapshot(key), text, in_url=True) == Principal(
        kind=PrincipalKind.INSTITUTION, institution_id="ign", key_id=key.id, url_allowed=True
    )


def test_an_operators_key_gives_an_operator():
    key, text = make("ops")
    principal = shown(snapshot(key), text, in_url=False)
    assert (principal.kind, principal.institution_id) == (PrincipalKind.OPERATOR, "ops")
    assert not principal.url_allowed


def test_the_text_follows_the_published_grammar_and_the_key_keeps_no_secret():
    key, text = make(env="live01")
    prefix, env, key_id, tail = text.split("_")
    assert (prefix, env, key_id, len(tail)) == ("flx", "live01", key.id, 38)
    assert re.fullmatch(KEY_PATTERN, text)
    assert text == with_checksum(text[:-6])
    assert tail[:32] not in repr(key)
    assert tail[:32].encode() not in key.secrets[0].hmac
    assert len(key.secrets[0].hmac) == 32


def test_keys_are_never_alike():
    texts = {make()[1] for _ in range(200)}
    assert len(texts) == 200
    assert set("".join(text.split("_")[3] for text in texts)) == set(BASE62)


@pytest.mark.parametrize("env", ["", "LIVE", "a_b", "waytoolong", "a\n"])
def test_an_environment_outside_its_grammar_is_refused(env):
    with pytest.raises(InvalidIdError):
        make(env=env)


@pytest.mark.parametrize("expires", [NOW, NOW - timedelta(days=1), datetime(2027, 1, 1)])  # noqa: DTZ001 - no zone is refused
def test_an_impossible_end_is_refused(expires):
    with pytest.raises(ValueError, match=r"time zone|after"):
        make(expires=expires)


@given(position=st.integers(0, 55), character=st.characters())
def test_any_other_character_anywhere_opens_nothing(position, character):
    key, text = make()
    position %= len(text)
    other = text[:position] + character + text[position + 1 :]
    if other != text:
        refusal(key, other)


@given(text=st.text(max_size=80))
def test_no_text_raises_anything_but_invalid(text):
    key, _ = make()
    assert refusal(key, text).key_id is None
    assert read_key_id(text) is None


@pytest.mark.parametrize(
    "edit", [lambda t: t + "\n", lambda t: " " + t, lambda t: t.upper(), lambda t: t[:-1]]
)
def test_only_the_whole_text_counts(edit):
    key, text = make()
    assert refusal(key, edit(text)).key_id is None


def test_a_longer_text_with_a_right_checksum_is_no_key():
    key, text = make()
    assert refusal(key, with_checksum(text[:-6] + "A")).key_id is None


def test_a_wrong_secret_with_a_right_checksum_opens_nothing():
    key, text = make()
    flipped = "0" if text[-7] != "0" else "1"
    error = refusal(key, with_checksum(text[:-7] + flipped))
    assert type(error) is CredentialInvalidError
    assert error.key_id == key.id


def test_the_secret_of_another_key_opens_nothing():
    key, text = make()
    _, other = make()
    assert type(refusal(key, with_checksum(text[:18] + other[18:-6]))) is CredentialInvalidError


def test_an_unknown_id_costs_an_hmac_like_a_known_one(monkeypatch):
    key, text = make()
    _, unknown = make()
    calls = []
    digest = credentials.hmac.digest
    monkeypatch.setattr(credentials.hmac, "digest", lambda *a: calls.append(len(a[1])) or digest(*a))
    error = refusal(key, unknown)
    assert type(error) is CredentialInvalidError
    assert calls == [32, 32]  # a key may have two secrets, and none is told apart from one
    shown(snapshot(key), text, in_url=False)
    assert calls == [32] * 4


def test_an_all_zero_hmac_is_no_way_in():
    _, text = make()
    refusal(make()[0], text)
    key, text = make()
    refusal(with_hmac(key, bytes(32)), text)


def test_a_key_opens_until_the_instant_it_expires():
    expires = NOW + timedelta(hours=1)
    key, text = make(expires=expires)
    last = expires - timedelta(microseconds=1)
    assert shown(snapshot(key), text, now=last).key_id == key.id
    error = refusal(key, text, now=expires)
    assert type(error) is CredentialExpiredError
    assert error.key_id == key.id


def test_a_revoked_key_is_dead_whatever_the_clock_says():
    key, text = make()
    revoked = replace(key, revoked=NOW)
    for now in (NOW - timedelta(days=1), NOW, NOW + timedelta(days=1)):
        assert type(refusal(revoked, text, now=now)) is CredentialRevokedError


@pytest.mark.parametrize("status", [InstitutionStatus.SUSPENDED, InstitutionStatus.CLOSED])
def test_a_suspended_or_closed_institution_is_refused(status):
    key, text = make()
    institutions = {"ign": Institution(id="ign", name="IGN", status=status)}
    assert type(refusal(key, text, institutions=institutions)) is InstitutionSuspendedError


def test_a_key_without_an_institution_opens_nothing():
    key, text = make()
    assert type(refusal(key, text, institutions={})) is CredentialInvalidError


def test_a_key_not_for_urls_is_refused_there_only():
    key, text = make(url_allowed=False)
    assert type(refusal(key, text, in_url=True)) is CredentialNotForUrlsError
    assert not shown(snapshot(key), text, in_url=False).url_allowed


def test_why_a_key_is_refused_is_told_only_after_its_secret_matched():
    key, text = make(url_allowed=False)
    dead = replace(key, revoked=NOW, expires=NOW)
    wrong = with_checksum(text[:-7] + ("0" if text[-7] != "0" else "1"))
    assert type(refusal(dead, wrong, in_url=True)) is CredentialInvalidError


def test_all_peppers_verify_and_the_newest_keeps():
    before = Peppers(by_version={1: PEPPERS.by_version[1]})
    old, old_text = make(peppers=before)
    new, new_text = make()
    assert (old.secrets[0].pepper_version, new.secrets[0].pepper_version) == (1, 2)
    rights = snapshot(old, new)
    for text in (old_text, new_text):
        assert shown(rights, text).institution_id == "ign"
    assert type(refusal(new, new_text, peppers=before)) is CredentialInvalidError
    other = Peppers(by_version={1: b"a pepper nobody used", 2: b"a pepper nobody used"})
    assert type(refusal(new, new_text, peppers=other)) is CredentialInvalidError


def test_a_key_under_a_pepper_that_is_gone_is_not_tried_with_another():
    key, text = make()
    assert (
        type(refusal(replace(key, secrets=(replace(key.secrets[0], pepper_version=3),)), text))
        is CredentialInvalidError
    )


@pytest.mark.parametrize("by_version", [{}, {0: b"x" * 32}, {1: b"short"}, {1: b"x" * 32, 2: b""}])
def test_peppers_that_protect_nothing_are_refused(by_version):
    with pytest.raises(ValueError, match="pepper"):
        Peppers(by_version=by_version)


def test_peppers_do_not_show_themselves():
    assert "pepper, 16" not in repr(PEPPERS)


def test_the_id_is_read_from_a_well_written_key_only():
    key, text = make()
    assert read_key_id(text) == key.id
    assert read_key_id(text[:-1] + ("0" if text[-1] != "0" else "1")) is None
    assert read_key_id(key.id) is None


def rotated(key, until):
    secret, text = new_secret("test", key.id, PEPPERS)
    kept = (replace(key.secrets[0], until=until), replace(secret, number=2))
    return replace(key, secrets=kept), text


def test_while_the_grace_lasts_both_secrets_open_and_it_is_told_which():
    key, old = make()
    grace = NOW + timedelta(days=7)
    both, new = rotated(key, grace)
    assert old != new
    for text, number in ((old, 1), (new, 2)):
        assert authenticate(snapshot(both), PEPPERS, text, in_url=False, now=NOW).secret == number
    assert shown(snapshot(both), old, now=grace - timedelta(seconds=1)).key_id == key.id
    assert type(refusal(both, old, now=grace)) is CredentialExpiredError
    assert shown(snapshot(both), new, now=grace).key_id == key.id


def family(*, root=None, child=None):
    """A key, one below it, and one below that."""
    top, _ = make(url_allowed=True, **(root or {}))
    middle, _ = make(url_allowed=True, parent_id=top.id, **(child or {}))
    low, text = make(url_allowed=True, parent_id=middle.id)
    return top, middle, low, text


def test_a_key_below_others_bears_all_their_caveats():
    north, west = (Caveat(area=EVERYWHERE, finest_ground_resolution=m) for m in (5.0, 10.0))
    top, middle, low, text = family(root={"caveat": north}, child={"caveat": west})
    principal = shown(snapshot(top, middle, low), text, in_url=True)
    assert set(principal.caveats) == {north, west}
    assert principal.delegations == (None, None)
    assert principal.narrowed


def test_a_key_below_others_uses_up_all_their_rates():
    slow, quick = Rate(per_second=1), Rate(per_second=9)
    top, middle, low, text = family(root={"rate": slow}, child={"rate": quick})
    assert shown(snapshot(top, middle, low), text).rates == ((middle.id, quick), (top.id, slow))


def test_the_life_of_each_delegation_is_told():
    top, middle, low, text = family(child={"expires": NOW + timedelta(days=30)})
    assert shown(snapshot(top, middle, low), text).delegations == (None, timedelta(days=30))


@pytest.mark.parametrize("dead", [0, 1, 2])
@pytest.mark.parametrize("how", ["revoked", "expired", "gone"])
def test_a_key_dies_with_any_key_above_it(dead, how):
    *keys, text = family()
    changed = {
        "revoked": lambda key: [replace(key, revoked=NOW)],
        "expired": lambda key: [replace(key, expires=NOW)],
        "gone": lambda key: [],
    }[how]
    held = [k for place, key in enumerate(keys) for k in (changed(key) if place == dead else [key])]
    with pytest.raises(CredentialInvalidError):
        shown(snapshot(*held), text)


def test_a_key_stands_in_addresses_only_if_all_above_may():
    top, middle, low, text = family()
    closed = replace(middle, url_allowed=False)
    rights = snapshot(top, closed, low)
    assert not shown(rights, text).url_allowed
    with pytest.raises(CredentialNotForUrlsError):
        shown(rights, text, in_url=True)


def test_a_key_below_one_of_another_institution_opens_nothing():
    top, middle, low, text = family()
    with pytest.raises(CredentialInvalidError):
        shown(snapshot(replace(top, institution_id="ops"), middle, low), text)


def test_a_key_made_by_another_never_manages():
    top, _ = make(role=Role.MANAGER)
    low, text = make(
        parent_id=top.id, role=Role.MANAGER
    )  # the rules refuse it; evaluation does not trust them
    assert shown(snapshot(top, low), text).role is Role.READER
    own, own_text = make(role=Role.MANAGER)
    assert shown(snapshot(own), own_text).role is Role.MANAGER


def test_keys_in_a_circle_open_nothing():
    one, text = make()
    other, _ = make(parent_id=one.id)
    with pytest.raises(CredentialInvalidError):
        shown(snapshot(replace(one, parent_id=other.id), other), text)
