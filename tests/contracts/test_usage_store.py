"""Counts and quotas: each increment once, no quota ever passed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pysqlite3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from auth.migrate import migrate
from auth.models import Quota
from auth.usage import Counts, LeaseKey, SqlUsageStore, UsageRecord, period_of, seconds_left, totals_of
from server.database import connect

DAY = "2026-05-01"
KEY = LeaseKey("g1", "2026-05")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path / 'flux.db'}", module=pysqlite3)
        migrate(engine)
    else:
        engine = connect(request.getfixturevalue("database"), tmp_path)
    yield SqlUsageStore(engine)
    engine.dispose()


def record(day=DAY, institution="ign", key="AAAAAAAA", sensor="s6"):
    return UsageRecord(day, institution, key, "spot", sensor, "1-2")


def everything(store, **more):
    return store.report(date(2026, 1, 1), date(2026, 12, 31), **({"by": ()} | more))


def test_folding_twice_adds_nothing_twice(store):
    store.fold("s1", {record(): Counts(3, 4, 3000, 99)})
    store.fold("s1", {record(): Counts(3, 4, 3000, 99)})
    store.fold("s1", {record(): Counts(5, 6, 5000, 199)})
    store.fold("s2", {record(): Counts(1, 1, 1000, 1)})
    assert totals_of(everything(store)) == Counts(6, 7, 6000, 200)


def test_a_report_is_broken_down_and_ordered(store):
    store.fold(
        "s1",
        {
            record(): Counts(1, 1, 1000, 10),
            record(day="2026-06-02", sensor="phr"): Counts(2, 2, 2000, 20),
            record(institution="brgm", key="BBBBBBBB"): Counts(4, 4, 4000, 40),
        },
    )
    months = everything(store, by=("month", "institution"))
    assert [(row.by, row.counts.answers) for row in months] == [
        ({"month": "2026-05", "institution": "brgm"}, 4),
        ({"month": "2026-05", "institution": "ign"}, 1),
        ({"month": "2026-06", "institution": "ign"}, 2),
    ]
    own = everything(store, by=("sensor",), institution_id="ign")
    assert [(row.by["sensor"], row.counts.answers) for row in own] == [("phr", 2), ("s6", 1)]
    days = store.report(date(2026, 5, 1), date(2026, 5, 1), by=("day",))
    assert [(row.by["day"], row.counts.answers) for row in days] == [(DAY, 5)]
    assert store.report(date(2025, 1, 1), date(2025, 1, 2), by=("day",)) == []


def test_a_lease_is_about_a_hundredth_and_never_more_than_is_left(store):
    assert store.lease(KEY, 1_000_000, 1000) == 10_000
    assert store.lease(KEY, 1_000_000, 50_000) == 50_000
    assert store.lease(KEY, 61_500, 1000) == 1000
    assert store.lease(KEY, 61_500, 1000) == 0
    assert store.lease(KEY, 61_500, 500) == 500
    assert store.leased(KEY) == 61_500
    assert store.lease(LeaseKey("g1", "2026-06"), 5000, 5000) == 5000


def test_what_was_not_spent_comes_back_once(store):
    store.lease(KEY, 100_000, 20_000)
    for _ in range(2):
        store.fold("s1", {}, {KEY: 15_000})
    assert store.leased(KEY) == 5_000


def test_a_forgotten_source_is_another(store):
    store.fold("s1", {record(): Counts(1, 1, 1, 1)})
    store.forget("s1")
    store.fold("s1", {record(): Counts(1, 1, 1, 1)})
    assert totals_of(everything(store)).answers == 2


def test_the_last_use_of_a_secret_is_the_latest_day(store):
    store.use_keys({("AAAAAAAA", 1): date(2026, 5, 2), ("AAAAAAAA", 2): date(2026, 5, 1)})
    store.use_keys({("AAAAAAAA", 1): date(2026, 5, 1)})
    store.use_keys({})
    assert store.last_used() == {("AAAAAAAA", 1): date(2026, 5, 2), ("AAAAAAAA", 2): date(2026, 5, 1)}


@settings(max_examples=30, deadline=None)
@given(
    amount=st.integers(0, 60),
    needs=st.lists(st.integers(1, 5000), min_size=1, max_size=40),
)
def test_a_quota_is_never_passed_and_can_be_used_up(amount, needs, tmp_path_factory):
    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('q') / 'flux.db'}", module=pysqlite3)
    migrate(engine)
    store = SqlUsageStore(engine)
    limit = amount * 1000
    given_out = [store.lease(KEY, limit, need) for need in needs]
    assert sum(given_out) == store.leased(KEY) <= limit
    assert all(given == 0 or given >= need for given, need in zip(given_out, needs, strict=True))
    while store.lease(KEY, limit, 1):
        pass
    assert store.leased(KEY) == limit
    engine.dispose()


def test_threads_together_take_exactly_the_quota(store):
    def take(_):
        taken = 0
        while given := store.lease(KEY, 50_000, 1000):
            taken += given
        return taken

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(take, range(4))) == 50_000


@pytest.mark.parametrize(
    ("period", "key", "seconds"),
    [
        ("day", "2026-02-28", 3600),
        ("month", "2026-02", 3600),
        ("year", "2026", 3600 + 306 * 86400),
        ("total", "total", 3600),
    ],
)
def test_periods_are_those_of_the_calendar(period, key, seconds):
    now = datetime(2026, 2, 28, 23, tzinfo=UTC)
    quota = Quota(amount=1, period=period)
    assert period_of(quota, now) == key
    assert seconds_left(quota, now) == seconds
