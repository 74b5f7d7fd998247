"""What every store of rights promises, run for each implementation."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pysqlite3
import pytest
from sqlalchemy import create_engine

from auth import rules
from auth.credentials import Peppers, authenticate, new_key
from auth.errors import AlreadyExistsError, CredentialRevokedError, InvalidIdError, UnknownIdError
from auth.memory_store import MemoryPolicyStore
from auth.migrate import migrate
from auth.models import EVERYWHERE, PUBLIC, Action, Institution, InstitutionStatus, Licence, Selector, Window
from auth.store import SqlPolicyStore

NOW = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
PEPPERS = Peppers(by_version={1: b"a pepper for the tests"})
IGN = Institution(id="ign", name="Institut géographique")
ETALAB = Licence(id="etalab-2.0", title="Licence ouverte", provider="CNES", attribution="© CNES", url="x:y")
SPOT = Selector(collections=frozenset({"spot", "Spot-World"}))
SQUARE = rules.new_area(
    bytes.fromhex(
        "010300000001000000050000000000000000000000000000000000000000000000000000400000000000000000"
        "000000000000004000000000000000400000000000000000000000000000004000000000000000000000000000000000"
    )
)


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryPolicyStore()
        return
    engine = create_engine(f"sqlite:///{tmp_path / 'flux.db'}", module=pysqlite3)
    migrate(engine)
    yield SqlPolicyStore(engine)
    engine.dispose()


@pytest.fixture
def filled(store):
    store.add_institution(IGN)
    store.add_licence(ETALAB)
    return store


def key_for(institution_id="ign", **fields):
    values = {"label": "SIG", "url_allowed": True, "expires": None, "now": NOW}
    return new_key("test", institution_id, PEPPERS, **(values | fields))


def spot_grant(grantee="ign", **fields):
    values = {"area": EVERYWHERE, "now": NOW, "selector": SPOT}
    return rules.new_grant(grantee, **(values | fields))


def spot_forbid(**fields):
    values = {"area": EVERYWHERE, "now": NOW, "selector": SPOT, "reason": "embargo"}
    return rules.new_forbid(**(values | fields))


def unchanged(store, call, error=None):
    """Run a call that must leave the rights and the epoch as they are; give its result."""
    before = store.snapshot()
    result = None
    if error is None:
        result = call()
    else:
        with pytest.raises(error):
            call()
    assert store.snapshot() == before
    assert store.epoch() == before.epoch
    return result


def changed(store, call):
    """Run a call that must make the epoch grow by one; give its result."""
    before = store.epoch()
    result = call()
    assert store.epoch() == store.snapshot().epoch == before + 1
    return result


def test_a_new_store_is_empty(store):
    rights = store.snapshot()
    assert (rights.institutions, rights.licences, rights.keys) == ({}, {}, {})
    assert (rights.grants, rights.forbids) == ((), ())
    assert store.epoch() == rights.epoch


def test_an_institution_comes_back_as_it_was(store):
    operator = Institution(id="0.a_b-c", name="", status=InstitutionStatus.SUSPENDED, operator=True)
    assert changed(store, lambda: store.add_institution(IGN)) is True
    assert changed(store, lambda: store.add_institution(operator)) is True
    assert store.snapshot().institutions == {"0.a_b-c": operator, "ign": IGN}


def test_the_same_institution_again_changes_nothing(filled):
    assert unchanged(filled, lambda: filled.add_institution(IGN)) is False


@pytest.mark.parametrize(
    "edit", [{"name": "other"}, {"operator": True}, {"status": InstitutionStatus.CLOSED}]
)
def test_another_institution_of_that_id_is_refused(filled, edit):
    unchanged(filled, lambda: filled.add_institution(replace(IGN, **edit)), AlreadyExistsError)


@pytest.mark.parametrize("id_", ["", "IGN", "-ign", "i gn", "é", "a" * 65, "ign\n", "public", "a/b"])
def test_an_institution_id_outside_the_grammar_is_refused(store, id_):
    unchanged(store, lambda: store.add_institution(replace(IGN, id=id_)), InvalidIdError)


def test_a_licence_comes_back_once_and_is_not_overwritten(store):
    assert changed(store, lambda: store.add_licence(ETALAB)) is True
    assert store.snapshot().licences == {"etalab-2.0": ETALAB}
    assert unchanged(store, lambda: store.add_licence(ETALAB)) is False
    unchanged(store, lambda: store.add_licence(replace(ETALAB, attribution="")), AlreadyExistsError)
    unchanged(store, lambda: store.add_licence(replace(ETALAB, id="A B")), InvalidIdError)


def test_a_status_changes_and_is_read_back(filled):
    for status in (InstitutionStatus.SUSPENDED, InstitutionStatus.CLOSED, InstitutionStatus.ACTIVE):
        assert changed(filled, lambda s=status: filled.set_institution_status("ign", s)) is True
        assert filled.snapshot().institutions["ign"] == replace(IGN, status=status)
        assert unchanged(filled, lambda s=status: filled.set_institution_status("ign", s)) is False
    closed = InstitutionStatus.CLOSED
    unchanged(filled, lambda: filled.set_institution_status("ghost", closed), UnknownIdError)


def test_a_grant_comes_back_with_every_field(filled):
    grant = spot_grant(
        selector=Selector(
            collections=frozenset({"spot", "pleiades"}),
            licences=frozenset({"etalab-2.0"}),
            sensors=frozenset({"PHR"}),
            scenes=frozenset({"DS_PHR1A_20260101", 'é"]'}),
        ),
        area=SQUARE,
        acquired=Window(start=NOW - timedelta(days=400), end=NOW),
        valid=Window(start=NOW, end=NOW + timedelta(days=30)),
        finest_ground_resolution=0.7,
        actions=frozenset({Action.TILE, Action.EXPORT}),
    )
    assert changed(filled, lambda: filled.add_grant(grant)) == grant
    assert filled.snapshot().grants == (grant,)


def test_a_grant_without_limits_comes_back_without_limits(filled):
    grant = spot_grant(PUBLIC, selector=Selector())
    filled.add_grant(grant)
    (stored,) = filled.snapshot().grants
    assert stored == grant
    assert stored.area is EVERYWHERE
    assert stored.selector == Selector()


def test_a_grant_that_says_the_same_is_the_one_that_is_there(filled):
    first = filled.add_grant(spot_grant(area=SQUARE, finest_ground_resolution=2.0))
    again = spot_grant(area=SQUARE, finest_ground_resolution=2, now=NOW + timedelta(days=1))
    assert unchanged(filled, lambda: filled.add_grant(again)) == first
    renamed = replace(again, id="another-id")
    assert unchanged(filled, lambda: filled.add_grant(renamed)) == first


def test_a_grant_that_says_something_else_is_another(filled):
    filled.add_institution(Institution(id="ign2", name="IGN 2"))
    variants = [
        spot_grant(),
        spot_grant("ign2"),
        spot_grant(PUBLIC),
        spot_grant(area=SQUARE),
        spot_grant(finest_ground_resolution=1.0),
        spot_grant(actions=frozenset({Action.TILE})),
        spot_grant(acquired=Window(start=NOW)),
        spot_grant(acquired=Window(end=NOW)),
        spot_grant(valid=Window(start=NOW)),
        spot_grant(valid=Window(end=NOW)),
        spot_grant(selector=Selector(sensors=SPOT.collections)),
        spot_grant(selector=Selector(scenes=SPOT.collections)),
        spot_grant(selector=Selector()),
    ]
    for grant in variants:
        assert changed(filled, lambda g=grant: filled.add_grant(g)) == grant
    ids = [grant.id for grant in filled.snapshot().grants]
    assert ids == sorted({grant.id for grant in variants})
    assert len(ids) == len(variants)


def test_a_grants_id_is_not_taken_over(filled):
    grant = filled.add_grant(spot_grant())
    other = replace(spot_grant(PUBLIC), id=grant.id)
    unchanged(filled, lambda: filled.add_grant(other), AlreadyExistsError)


def test_a_grant_to_or_of_something_unknown_is_refused(filled):
    unchanged(filled, lambda: filled.add_grant(spot_grant("ghost")), UnknownIdError)
    licences = Selector(licences=frozenset({"etalab-2.0", "ghost"}))
    unchanged(filled, lambda: filled.add_grant(spot_grant(selector=licences)), UnknownIdError)
    unchanged(filled, lambda: filled.add_forbid(spot_forbid(selector=licences)), UnknownIdError)


def test_an_impossible_right_is_refused(filled):
    for bad in (
        replace(spot_grant(), actions=frozenset()),
        replace(spot_grant(), actions=frozenset({Action.OPERATE})),
        replace(spot_grant(), finest_ground_resolution=0.0),
        replace(spot_grant(), area=replace(SQUARE, digest="0" * 16)),
        replace(spot_grant(), created=NOW.replace(tzinfo=None)),
    ):
        unchanged(filled, lambda g=bad: filled.add_grant(g), ValueError)
    empty = replace(spot_forbid(), selector=Selector(scenes=frozenset()))
    unchanged(filled, lambda: filled.add_forbid(empty), ValueError)


def test_a_forbid_comes_back_once(filled):
    forbid = spot_forbid(
        selector=Selector(licences=frozenset({"etalab-2.0"})),
        area=SQUARE,
        acquired=Window(start=NOW),
        valid=Window(end=NOW),
    )
    assert changed(filled, lambda: filled.add_forbid(forbid)) == forbid
    assert filled.snapshot().forbids == (forbid,)
    again = replace(forbid, id="f2", created=NOW + timedelta(days=1))
    assert unchanged(filled, lambda: filled.add_forbid(again)) == forbid
    other = replace(forbid, area=EVERYWHERE)
    unchanged(filled, lambda: filled.add_forbid(other), AlreadyExistsError)
    assert changed(filled, lambda: filled.add_forbid(replace(other, id="f2"))).id == "f2"


def test_a_key_comes_back_and_opens(filled):
    key, text = key_for(expires=NOW + timedelta(days=1))
    changed(filled, lambda: filled.add_key(key))
    rights = filled.snapshot()
    assert rights.keys == {key.id: key}
    principal = authenticate(rights, PEPPERS, text, in_url=True, now=NOW)
    assert (principal.institution_id, principal.key_id) == ("ign", key.id)


def test_a_key_id_is_taken_once(filled):
    key, _ = key_for()
    filled.add_key(key)
    unchanged(filled, lambda: filled.add_key(key), AlreadyExistsError)
    unchanged(filled, lambda: filled.add_key(replace(key, label="other")), AlreadyExistsError)


def test_a_key_for_nobody_or_out_of_form_is_refused(filled):
    key, _ = key_for("ghost")
    unchanged(filled, lambda: filled.add_key(key), UnknownIdError)
    unchanged(filled, lambda: filled.add_key(replace(key, id="short")), InvalidIdError)
    unchanged(filled, lambda: filled.add_key(replace(key, secret_hmac=b"")), ValueError)


def test_ids_of_keys_tell_case_apart(filled):
    for key_id in ("abcdefgh", "ABCDEFGH"):
        filled.add_key(replace(key_for()[0], id=key_id))
    filled.revoke_key("abcdefgh", NOW)
    keys = filled.snapshot().keys
    assert (keys["abcdefgh"].revoked, keys["ABCDEFGH"].revoked) == (NOW, None)


def test_a_revoked_key_is_dead_and_stays_so(filled):
    key, text = key_for()
    filled.add_key(key)
    assert changed(filled, lambda: filled.revoke_key(key.id, NOW)) is True
    rights = filled.snapshot()
    assert rights.keys[key.id] == replace(key, revoked=NOW)
    with pytest.raises(CredentialRevokedError):
        authenticate(rights, PEPPERS, text, in_url=False, now=NOW)
    later = NOW + timedelta(days=1)
    assert unchanged(filled, lambda: filled.revoke_key(key.id, later)) is False


def test_revoking_an_unknown_key_is_refused(filled):
    unchanged(filled, lambda: filled.revoke_key("ghostkey", NOW), UnknownIdError)


def test_dates_of_any_zone_come_back_as_the_same_instant_with_a_zone(filled):
    tahiti = timezone(-timedelta(hours=10))
    local = NOW.astimezone(tahiti)
    grant = filled.add_grant(spot_grant(now=local, valid=Window(start=local)))
    key, _ = key_for(now=local, expires=local + timedelta(days=1))
    filled.add_key(key)
    filled.revoke_key(key.id, local)
    rights = filled.snapshot()
    (stored,) = rights.grants
    held = rights.keys[key.id]
    assert stored == grant
    assert (stored.created, stored.valid.start, held.created, held.revoked) == (NOW,) * 4
    assert held.expires == NOW + timedelta(days=1)
    assert all(each.tzinfo is not None for each in (stored.created, held.created, held.expires, held.revoked))
    assert unchanged(filled, lambda: filled.add_grant(spot_grant(valid=Window(start=NOW)))).id == grant.id


def test_a_date_without_a_zone_is_refused(filled):
    key, _ = key_for()
    filled.add_key(key)
    naive = NOW.replace(tzinfo=None)
    unchanged(filled, lambda: filled.revoke_key(key.id, naive), ValueError)


def test_a_snapshot_does_not_change_afterwards(filled):
    before = filled.snapshot()
    filled.add_institution(Institution(id="late", name="Late"))
    filled.add_grant(spot_grant())
    assert set(before.institutions) == {"ign"}
    assert before.grants == ()


def test_threads_lose_nothing_and_readers_see_whole_epochs(filled):
    def write(thread):
        for number in range(20):
            id_ = f"i-{thread}-{number}"
            filled.add_institution(Institution(id=id_, name="x"))
            filled.add_grant(spot_grant(id_))
        return filled.add_grant(spot_grant("ign"))

    def read(_):
        for _ in range(40):
            rights = filled.snapshot()
            # ign and the licence came first; each later change adds one thing.
            assert rights.epoch == len(rights.institutions) + len(rights.licences) + len(rights.grants)

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, thread) for thread in range(2)]
        readers = [pool.submit(read, number) for number in range(2)]
        assert len({writer.result().id for writer in writers}) == 1
        for reader in readers:
            reader.result()
    rights = filled.snapshot()
    assert len(rights.institutions) == 1 + 40
    assert len(rights.grants) == 41
    assert rights.epoch == 1 + 1 + 40 + 41
