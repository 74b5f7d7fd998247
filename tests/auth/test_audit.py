"""The record of changes: whatever is touched, the record that was is named."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth import edits
from auth.audit import AuditRecord, audited, verify
from auth.credentials import Peppers, new_key
from auth.memory_store import MemoryPolicyStore
from auth.models import Institution

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PEPPERS = Peppers(by_version={1: b"a pepper for the tests"})


def recorded():
    store = MemoryPolicyStore()
    for number in range(4):
        store.change(edits.add(Institution(id=f"i{number}", name="x")), actor=f"cli:{number}", at=NOW)
    key, _ = new_key("live", "i0", PEPPERS, url_allowed=True, now=NOW)
    store.change(edits.add(key), actor="cli:x", at=NOW)
    store.change(edits.remove("institution", "i3"), actor="cli:x", at=NOW)
    return store


STORE = recorded()
RECORDS, RIGHTS, HEAD = list(STORE.audit()), STORE.snapshot(), STORE.audit_head()
TOUCHED = {
    "sequence": 99,
    "at": NOW + timedelta(microseconds=1),
    "actor": "someone",
    "kind": "group",
    "id": "other",
    "document": "{}",
    "previous": "1" * 64,
    "hash": "2" * 64,
}


def test_untouched_records_are_sound():
    assert verify(RECORDS, RIGHTS, HEAD) is None
    assert verify([], MemoryPolicyStore().snapshot(), (0, "0" * 64)) is None


@given(place=st.integers(0, len(RECORDS) - 1), name=st.sampled_from([f.name for f in fields(AuditRecord)]))
def test_a_record_that_was_touched_is_named(place, name):
    records = list(RECORDS)
    records[place] = replace(records[place], **{name: TOUCHED[name]})
    fault = verify(records, RIGHTS, HEAD)
    assert fault is not None
    assert fault.sequence == place + 1


@given(place=st.integers(0, len(RECORDS) - 1))
def test_a_record_that_is_missing_is_named(place):
    fault = verify(RECORDS[:place] + RECORDS[place + 1 :], RIGHTS, HEAD)
    assert fault is not None
    assert fault.sequence == place + 1


def test_records_that_are_cut_off_are_missed():
    fault = verify(RECORDS[:3], RIGHTS, HEAD)
    assert fault is not None
    assert fault.sequence == 4


def test_a_chain_made_anew_does_not_fit_the_head():
    other = MemoryPolicyStore()
    for record in RECORDS[:4]:
        other.change(edits.add(Institution(id=record.id, name="forged")), actor=record.actor, at=record.at)
    assert verify(other.audit(), other.snapshot(), HEAD) is not None


@pytest.mark.parametrize(
    "behind",
    [
        {"institutions": {}},
        {"institutions": {**RIGHTS.institutions, "new": Institution(id="new", name="x")}},
        {"institutions": {**RIGHTS.institutions, "i1": Institution(id="i1", name="renamed")}},
        {"keys": {}},
    ],
    ids=["emptied", "added", "changed", "key gone"],
)
def test_rights_that_changed_without_a_record_are_named(behind):
    fault = verify(RECORDS, replace(RIGHTS, **behind), HEAD)
    assert fault is not None
    assert fault.sequence == 0
    assert "without a record" in fault.reason


def test_a_secret_put_behind_the_records_is_found_and_no_record_tells_it():
    (key,) = RIGHTS.keys.values()
    other = replace(key, secrets=(replace(key.secrets[0], hmac=b"x" * 32),))
    assert verify(RECORDS, replace(RIGHTS, keys={key.id: other}), HEAD) is not None
    assert key.secrets[0].hmac.hex() not in audited(key)
