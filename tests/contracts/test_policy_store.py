"""What every store of rights promises, run for each implementation."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pysqlite3
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from auth import edits, rules
from auth.audit import verify
from auth.credentials import Peppers, authenticate, new_key
from auth.errors import (
    AlreadyExistsError,
    AuthError,
    InvalidIdError,
    InvalidRightError,
    StillNamedError,
    UnknownIdError,
)
from auth.memory_store import MemoryPolicyStore
from auth.migrate import migrate
from auth.models import (
    PUBLIC,
    Action,
    Group,
    Institution,
    InstitutionStatus,
    Licence,
    Quota,
    Rate,
    Tier,
)
from auth.reach import EVERYWHERE, Conditions, Selector, Window, new_area
from auth.store import SqlPolicyStore
from server.database import connect

NOW = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
PEPPERS = Peppers(by_version={1: b"a pepper for the tests"})
IGN = Institution(id="ign", name="Institut géographique", agreement="2026-7", contacts=("sig@ign.example",))
ETALAB = Licence(id="etalab-2.0", title="Licence ouverte", provider="CNES", public=Tier(times_pan=32))
SPOT = Selector(collections=frozenset({"spot", "Spot-World"}))
SQUARE = new_area(shapely.to_wkb(shapely.box(0.1, 0.2, 2, 2)))


def sqlite_engine(path):
    engine = create_engine(f"sqlite:///{path}", module=pysqlite3)
    migrate(engine)
    return engine


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryPolicyStore()
        return
    if request.param == "sqlite":
        engine = sqlite_engine(tmp_path / "flux.db")
    else:
        engine = connect(request.getfixturevalue("database"), tmp_path)
    yield SqlPolicyStore(engine)
    engine.dispose()


def change(store, *each, actor="test", at=NOW):
    return store.change(edits.together(*each), actor=actor, at=at)


@pytest.fixture
def filled(store):
    change(store, edits.add(IGN), edits.add(ETALAB))
    return store


def key_for(institution_id="ign", **fields):
    return new_key("test", institution_id, PEPPERS, **({"url_allowed": True, "now": NOW} | fields))


def grant(grantee="ign", **fields):
    return rules.new_grant(grantee, **({"area": EVERYWHERE, "now": NOW, "selector": SPOT} | fields))


def test_a_new_store_is_empty(store):
    rights = store.snapshot()
    assert (rights.epoch, store.epoch(), store.audit_head()) == (0, 0, (0, "0" * 64))
    held = (rights.institutions, rights.groups, rights.licences, rights.keys, rights.grants, rights.forbids)
    assert not any(held)
    assert list(store.audit()) == []


def test_everything_comes_back_as_it_was(filled):
    group = Group(id="crisis-centre", name="Crise", members=frozenset({"ign"}))
    member = rules.new_membership("ign", "https://idp.example", "siret", "180 067 019 00015")
    granted = grant(
        area=SQUARE,
        acquired=Window(start=NOW),
        valid=Window(start=NOW, end=NOW + timedelta(days=3)),
        finest_ground_resolution=1.5,
        actions=frozenset({Action.TILE}),
        conditions=Conditions(origins=frozenset({"https://a.example"}), networks=frozenset({"10.0.0.0/8"})),
        quota=Quota(amount=7, period="day"),
        rate=Rate(per_second=2.5, burst=10),
        delegable=None,
        reason="ça suit",
        agreement="A-1",
    )
    forbid = rules.new_forbid(SPOT, area=SQUARE, reason="embargo", now=NOW, overridable_by_crisis=True)
    key, text = key_for(label="SIG", expires=NOW + timedelta(days=9), rate=Rate(per_second=1))
    change(filled, *map(edits.put, (group, member, granted, forbid, key)))
    rights = filled.snapshot()
    assert rights.institutions == {"ign": IGN}
    assert rights.licences == {ETALAB.id: ETALAB}
    assert rights.groups == {group.id: group}
    assert rights.memberships == {member.id: member}
    assert rights.grants == {granted.id: granted}
    assert rights.forbids == {forbid.id: forbid}
    assert rights.keys == {key.id: key}
    assert authenticate(rights, PEPPERS, text, in_url=True, now=NOW).principal.institution_id == "ign"


def test_a_change_is_one_epoch_and_one_record_for_each_right(filled):
    before = filled.epoch()
    made = change(filled, edits.add(Institution(id="a", name="a")), edits.add(Institution(id="b", name="b")))
    assert [(c.kind, c.id) for c in made] == [("institution", "a"), ("institution", "b")]
    assert filled.epoch() == filled.snapshot().epoch == before + 1
    records = filled.audit(after=2)
    assert [(r.sequence, r.actor, r.at, r.id) for r in records] == [
        (3, "test", NOW, "a"),
        (4, "test", NOW, "b"),
    ]
    assert filled.audit_head() == (4, records[-1].hash)
    assert [r.sequence for r in filled.audit(after=1, limit=2)] == [2, 3]
    assert verify(filled.audit(), filled.snapshot(), filled.audit_head()) is None


@pytest.mark.parametrize(
    "edit",
    [
        edits.add(IGN),
        edits.put(ETALAB),
        edits.set_status("ign", InstitutionStatus.ACTIVE),
        lambda _: (),
    ],
)
def test_what_is_so_already_changes_nothing(filled, edit):
    before = filled.snapshot()
    assert change(filled, edit) == ()
    assert (filled.snapshot(), filled.epoch(), filled.audit_head()[0]) == (before, before.epoch, 2)


REFUSED = [
    (edits.add(replace(IGN, name="Other")), AlreadyExistsError),
    (edits.add(Institution(id=PUBLIC, name="x")), InvalidIdError),
    (edits.add(Institution(id="Bad", name="x")), InvalidIdError),
    (edits.set_status("nobody", InstitutionStatus.CLOSED), UnknownIdError),
    (edits.put(grant("nobody")), UnknownIdError),
    (edits.put(grant("group:nobody")), UnknownIdError),
    (edits.put(grant(selector=Selector(licences=frozenset({"unknown"})))), UnknownIdError),
    (edits.put(key_for("nobody")[0]), UnknownIdError),
    (edits.put(key_for(parent_id="AAAAAAAA")[0]), UnknownIdError),
    (edits.put(Group(id="g", name="g", members=frozenset({"nobody"}))), UnknownIdError),
    (edits.revoke_key("AAAAAAAA", NOW), UnknownIdError),
    (edits.remove("grant", "g1"), UnknownIdError),
    (edits.put(replace(grant(), finest_ground_resolution=0.0)), InvalidRightError),
    (edits.put(replace(grant(), id="Bad Id")), InvalidIdError),
]


@pytest.mark.parametrize(("edit", "error"), REFUSED, ids=range(len(REFUSED)))
def test_what_does_not_fit_changes_nothing_of_the_whole(filled, edit, error):
    before = filled.snapshot()
    with pytest.raises(error):
        change(filled, edits.add(Institution(id="first", name="x")), edit)
    assert (filled.snapshot(), filled.epoch(), filled.audit_head()[0]) == (before, before.epoch, 2)


def test_what_is_named_stays(filled):
    change(filled, edits.put(grant(selector=Selector(licences=frozenset({ETALAB.id})))))
    for kind, id_ in (("licence", ETALAB.id), ("institution", "ign")):
        with pytest.raises(StillNamedError, match="grant"):
            change(filled, edits.remove(kind, id_))
    change(filled, edits.remove("grant", next(iter(filled.snapshot().grants))))
    change(filled, edits.remove("licence", ETALAB.id))
    assert filled.snapshot().licences == {}


def test_a_grant_that_says_the_same_is_the_one_that_is_there(filled):
    first = grant()
    change(filled, edits.add_by_content(first))
    again = replace(grant(now=NOW + timedelta(days=1)), id="another")
    assert change(filled, edits.add_by_content(again)) == ()
    with pytest.raises(AlreadyExistsError):
        change(filled, edits.add_by_content(replace(first, reason="something else")))


def test_a_revoked_key_stays_dead(filled):
    key, _ = key_for()
    change(filled, edits.add(key))
    change(filled, edits.revoke_key(key.id, NOW))
    assert change(filled, edits.revoke_key(key.id, NOW + timedelta(days=1))) == ()
    assert filled.snapshot().keys[key.id].revoked == NOW


def test_dates_of_any_zone_come_back_as_the_same_instant(filled):
    paris = NOW.astimezone(timezone(timedelta(hours=2)))
    change(filled, edits.put(grant(now=paris, valid=Window(start=paris))))
    (found,) = filled.snapshot().grants.values()
    assert (found.created, found.valid.start) == (NOW, NOW)


def test_a_date_without_a_zone_is_refused(filled):
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(InvalidRightError, match="time zone"):
        change(filled, edits.put(replace(grant(), created=naive)))


def test_a_snapshot_does_not_change_afterwards(filled):
    before = filled.snapshot()
    change(filled, edits.add(Institution(id="late", name="Late")), edits.put(grant()))
    assert set(before.institutions) == {"ign"}
    assert before.grants == {}


def test_threads_lose_nothing_and_readers_see_whole_epochs(filled):
    def write(thread):
        for number in range(20):
            id_ = f"i-{thread}-{number}"
            change(filled, edits.add(Institution(id=id_, name="x")))
            change(filled, edits.put(grant(id_)))

    def read(_):
        for _ in range(40):
            rights = filled.snapshot()
            # ign and the licence came first, together; each later change adds one thing
            assert rights.epoch == len(rights.institutions) + len(rights.grants)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, n) for n in range(2)] + [pool.submit(read, n) for n in range(2)]:
            done.result()
    rights = filled.snapshot()
    assert (len(rights.institutions), len(rights.grants), rights.epoch) == (41, 40, 81)
    assert verify(filled.audit(), rights, filled.audit_head()) is None


# --- the store in a database and its twin in memory, and a fresh reader, by the same random edits

ids = st.sampled_from(["a", "b", "public", "Bad"])
KEYS = [key_for(id_)[0] for id_ in ("a", "b", "c")]
KEYS += [replace(key_for("a")[0], parent_id=KEYS[0].id)]
random_edits = st.one_of(
    st.builds(lambda i, n: edits.add(Institution(id=i, name=n)), ids, st.sampled_from("xy")),
    st.builds(lambda i, t: edits.put(Licence(id=i, title=t)), ids, st.sampled_from("xy")),
    st.builds(edits.set_status, ids, st.sampled_from(InstitutionStatus)),
    st.builds(edits.add, st.sampled_from(KEYS)),
    st.builds(lambda k: edits.revoke_key(k.id, NOW), st.sampled_from(KEYS)),
    st.builds(
        lambda i, a: edits.add_by_content(grant(i, area=a)),
        st.sampled_from(["a", "public"]),
        st.sampled_from([EVERYWHERE, SQUARE]),
    ),
    st.builds(edits.remove, st.sampled_from(["institution", "licence"]), ids),
    st.builds(lambda k: edits.remove("key", k.id), st.sampled_from(KEYS)),
)


def outcome(store, edit):
    try:
        return [(c.kind, c.id, c.right) for c in store.change(edit, actor="x", at=NOW)]
    except (AuthError, ValueError) as error:
        return type(error), str(error)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(done=st.lists(random_edits, max_size=20))
def test_both_do_the_same_and_what_is_read_bit_by_bit_is_the_whole(done, tmp_path_factory):
    engine = sqlite_engine(tmp_path_factory.mktemp("twin") / "flux.db")
    memory, sql, follower = MemoryPolicyStore(), SqlPolicyStore(engine), SqlPolicyStore(engine)
    for number, edit in enumerate(done):
        assert outcome(sql, edit) == outcome(memory, edit)
        assert sql.snapshot() == memory.snapshot()
        if number % 3 == 0:
            assert follower.snapshot() == memory.snapshot()
    assert follower.snapshot() == SqlPolicyStore(engine).snapshot() == memory.snapshot()
    assert sql.audit() == memory.audit()
    engine.dispose()
