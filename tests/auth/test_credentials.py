"""Keys: their grammar, their checks, and the reasons for which they open nothing."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import credentials
from auth.credentials import KEY_PATTERN, Peppers, authenticate, new_key, read_key_id
from auth.errors import (
    CredentialExpiredError,
    CredentialInvalidError,
    CredentialNotForUrlsError,
    CredentialRevokedError,
    InstitutionSuspendedError,
    InvalidIdError,
)
from auth.models import Institution, InstitutionStatus, PolicySnapshot, Principal, PrincipalKind

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PEPPERS = Peppers(by_version={1: b"old pepper, 16 bytes or more", 2: b"new pepper, 16 bytes or more"})
INSTITUTIONS = {
    "ign": Institution(id="ign", name="IGN"),
    "ops": Institution(id="ops", name="DINAMIS", operator=True),
}


def make(institution_id="ign", *, env="test", peppers=PEPPERS, url_allowed=False, expires=None):
    return new_key(
        env, institution_id, peppers, label="SIG", url_allowed=url_allowed, expires=expires, now=NOW
    )


def snapshot(*keys, institutions=INSTITUTIONS):
    return PolicySnapshot(
        epoch=1,
        institutions=institutions,
        licences={},
        keys={key.id: key for key in keys},
        grants=(),
        forbids=(),
    )


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
    assert authenticate(snapshot(key), PEPPERS, text, in_url=True, now=NOW) == Principal(
        kind=PrincipalKind.INSTITUTION, institution_id="ign", key_id=key.id, url_allowed=True
    )


def test_an_operators_key_gives_an_operator():
    key, text = make("ops")
    principal = authenticate(snapshot(key), PEPPERS, text, in_url=False, now=NOW)
    assert (principal.kind, principal.institution_id) == (PrincipalKind.OPERATOR, "ops")
    assert not principal.url_allowed


def test_the_text_follows_the_published_grammar_and_the_key_keeps_no_secret():
    key, text = make(env="live01")
    prefix, env, key_id, tail = text.split("_")
    assert (prefix, env, key_id, len(tail)) == ("flx", "live01", key.id, 38)
    assert re.fullmatch(KEY_PATTERN, text)
    assert text == with_checksum(text[:-6])
    assert tail[:32] not in repr(key)
    assert tail[:32].encode() not in key.secret_hmac
    assert len(key.secret_hmac) == 32


def test_keys_are_never_alike():
    texts = {make()[1] for _ in range(200)}
    assert len(texts) == 200
    assert set("".join(text.split("_")[3] for text in texts)) == set(BASE62)


@pytest.mark.parametrize("env", ["", "LIVE", "a_b", "waytoolong", "a\n"])
def test_an_environment_outside_its_grammar_is_refused(env):
    with pytest.raises(InvalidIdError):
        make(env=env)


@pytest.mark.parametrize("expires", [NOW, NOW - timedelta(days=1), datetime(2027, 1, 1)])  # noqa: DTZ001
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
    assert calls == [32]
    authenticate(snapshot(key), PEPPERS, text, in_url=False, now=NOW)
    assert calls == [32, 32]


def test_an_all_zero_hmac_is_no_way_in():
    _, text = make()
    refusal(make()[0], text)
    key, text = make()
    refusal(replace(key, secret_hmac=bytes(32)), text)


def test_a_key_opens_until_the_instant_it_expires():
    expires = NOW + timedelta(hours=1)
    key, text = make(expires=expires)
    last = expires - timedelta(microseconds=1)
    assert authenticate(snapshot(key), PEPPERS, text, in_url=False, now=last).key_id == key.id
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
    assert not authenticate(snapshot(key), PEPPERS, text, in_url=False, now=NOW).url_allowed


def test_why_a_key_is_refused_is_told_only_after_its_secret_matched():
    key, text = make(url_allowed=False)
    dead = replace(key, revoked=NOW, expires=NOW)
    wrong = with_checksum(text[:-7] + ("0" if text[-7] != "0" else "1"))
    assert type(refusal(dead, wrong, in_url=True)) is CredentialInvalidError


def test_all_peppers_verify_and_the_newest_keeps():
    before = Peppers(by_version={1: PEPPERS.by_version[1]})
    old, old_text = make(peppers=before)
    new, new_text = make()
    assert (old.pepper_version, new.pepper_version) == (1, 2)
    rights = snapshot(old, new)
    for text in (old_text, new_text):
        assert authenticate(rights, PEPPERS, text, in_url=False, now=NOW).institution_id == "ign"
    assert type(refusal(new, new_text, peppers=before)) is CredentialInvalidError
    other = Peppers(by_version={1: b"a pepper nobody used", 2: b"a pepper nobody used"})
    assert type(refusal(new, new_text, peppers=other)) is CredentialInvalidError


def test_a_key_under_a_pepper_that_is_gone_is_not_tried_with_another():
    key, text = make()
    assert type(refusal(replace(key, pepper_version=3), text)) is CredentialInvalidError


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
