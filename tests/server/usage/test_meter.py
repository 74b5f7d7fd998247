"""What answers cost and how they are counted, by one worker and by many at once."""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from auth.decision import ANONYMOUS, Principal, PrincipalKind
from auth.errors import PolicyUnavailableError
from auth.models import Quota, Rate
from auth.usage import LeaseKey, SqlUsageStore, totals_of
from server.database import open_database
from server.usage.meter import (
    Charge,
    Meter,
    QuotaExceededError,
    QuotaUnavailableError,
    RateExceededError,
    band_of,
)
from server.usage.rates import SharedRateLimiter
from tests.conftest import SCALE

ROOT = Path(__file__).parents[3]
IGN = Principal(kind=PrincipalKind.INSTITUTION, institution_id="ign", key_id="AAAAAAAA")
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TILE = 1000


class Clock:
    now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def store(tmp_path):
    engine = open_database(None, tmp_path / "home")
    yield SqlUsageStore(engine)
    engine.dispose()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def meter(tmp_path, store, clock):
    folder = tmp_path / "counters"
    folder.mkdir()
    limiter = SharedRateLimiter(None)
    with ThreadPoolExecutor(2) as executor:
        made = Meter(store=store, limiter=limiter, folder=folder, executor=executor, clock=clock)
        yield made
        made.close()
    limiter.close()


def charge(amount=None, rate=None, grant_id="g1", period="month"):
    quota = None if amount is None else Quota(amount=amount, period=period)
    return Charge(grant_id=grant_id, quota=quota, rate=rate)


def spend(meter, *charges, cost=TILE, principal=IGN):
    asyncio.run(meter.spend(principal, charges, cost))


def counted(store, **more):
    return store.report(date(2026, 1, 1), date(2026, 12, 31), **({"by": ()} | more))


def test_an_answer_is_counted_once_and_each_kind_of_scene_is_seen(meter, store):
    both = (("spot", "a", "s6", "l"), ("spot", "b", "s6", "l"), ("pleiades", "c", "phr", None))
    meter.count(IGN, 2, both, ground_resolution=1.5, milliunits=4000, size=77)
    meter.count(ANONYMOUS, 0, both[2:], ground_resolution=0.5, milliunits=1000, size=5)
    meter.fold()
    rows = counted(store, by=("institution", "key", "collection", "sensor", "resolution_band"))
    assert [(list(row.by.values()), tuple(row.counts)) for row in rows] == [
        (["anonymous", "-", "pleiades", "phr", "0.5-1"], (1, 1, 1000, 5)),
        (["ign", "AAAAAAAA", "pleiades", "phr", "1-2"], (0, 1, 0, 0)),
        (["ign", "AAAAAAAA", "spot", "s6", "1-2"], (1, 1, 4000, 77)),
    ]
    assert store.last_used() == {("AAAAAAAA", 2): NOW.date()}


@pytest.mark.parametrize(
    ("metres", "band"),
    [(0.3, "<0.5"), (0.5, "0.5-1"), (1, "1-2"), (29.9, "10-30"), (99, "30-100"), (100, ">=100")],
)
def test_bands(metres, band):
    assert band_of(metres) == band


def test_a_new_day_begins_new_counters_and_keeps_the_leases(meter, store, clock):
    spend(meter, charge(1000, period="year"))
    meter.count(IGN, 1, (("c", "s", "x", None),), ground_resolution=1, milliunits=TILE, size=1)
    clock.now += timedelta(days=1)
    meter.turn_day()
    meter.count(IGN, 1, (("c", "s", "x", None),), ground_resolution=1, milliunits=TILE, size=1)
    meter.fold()
    days = counted(store, by=("day",))
    assert [(row.by["day"], row.counts.answers) for row in days] == [("2026-05-01", 1), ("2026-05-02", 1)]
    before = store.leased(LeaseKey("g1", "2026"))
    spend(meter, charge(1000, period="year"))
    assert store.leased(LeaseKey("g1", "2026")) == before  # paid from the lease that was taken along


def test_a_quota_ends_and_begins_anew(meter, clock):
    for _ in range(3):
        spend(meter, charge(3))
    with pytest.raises(QuotaExceededError) as caught:
        spend(meter, charge(3))
    assert (caught.value.grant_id, caught.value.seconds) == ("g1", 30.5 * 86400)
    assert meter.exhausted == {"g1"}
    clock.now += timedelta(days=31)
    spend(meter, charge(3))


def test_what_was_leased_and_not_spent_comes_back_at_the_end(tmp_path, store, clock):
    limiter = SharedRateLimiter(None)
    with ThreadPoolExecutor(1) as executor:
        meter = Meter(store=store, limiter=limiter, folder=tmp_path, executor=executor, clock=clock)
        spend(meter, charge(10_000))
        assert store.leased(LeaseKey("g1", "2026-05")) == 100_000
        meter.close()
    limiter.close()
    assert store.leased(LeaseKey("g1", "2026-05")) == TILE


def test_all_or_nothing(meter, store):
    plenty, none = charge(100, grant_id="g1"), charge(0, grant_id="g2")
    rate = Rate(per_second=0.001, burst=1)
    with pytest.raises(QuotaExceededError):
        spend(meter, charge(None, rate, grant_id="g3"), plenty, none)
    meter.close = lambda: None
    meter.fold()
    for _ in range(100):  # nothing of it was taken, neither units nor rate
        spend(meter, plenty)
    spend(meter, charge(None, rate, grant_id="g3"))
    with pytest.raises(QuotaExceededError):
        spend(meter, plenty)


def test_rates_of_key_institution_and_grant(tmp_path, store, clock):
    slow = Rate(per_second=0.001, burst=2)
    limiter = SharedRateLimiter(None)
    with ThreadPoolExecutor(1) as executor:
        meter = Meter(
            store=store, limiter=limiter, folder=None, executor=executor, clock=clock, institution_rate=slow
        )
        other = Principal(kind=PrincipalKind.INSTITUTION, institution_id="ign", key_id="BBBBBBBB")
        spend(meter)
        spend(meter, principal=other)
        with pytest.raises(RateExceededError) as caught:
            spend(meter)
        assert 900 < caught.value.seconds <= 1000
        spend(meter, principal=ANONYMOUS)
        own = replace(other, institution_id="b", key_id="CCCCCCCC", rates=(("CCCCCCCC", slow),))
        spend(meter, principal=own, cost=2 * TILE)
        with pytest.raises(RateExceededError):
            spend(meter, principal=own)
        below = replace(own, institution_id="d", key_id="DDDDDDDD", rates=own.rates)
        with pytest.raises(RateExceededError):
            spend(meter, principal=below)  # what the key above it used up
        meter.close()
    limiter.close()


class Down:
    """A store that is down, but for what it did before."""

    def __init__(self, inner):
        self.inner, self.up = inner, True

    def __getattr__(self, name):
        def call(*arguments):
            if not self.up:
                raise PolicyUnavailableError
            return getattr(self.inner, name)(*arguments)

        return call


def test_without_its_store_it_goes_on_with_the_lease_in_hand_and_never_further(meter, store):
    meter.store = Down(store)
    spend(meter, charge(1000))  # leases ten
    meter.store.up = False
    for _ in range(9):
        spend(meter, charge(1000))
    with pytest.raises(QuotaUnavailableError):
        spend(meter, charge(1000))
    meter.count(IGN, 1, (("c", "s", "x", None),), ground_resolution=1, milliunits=TILE, size=1)
    meter.fold()
    meter.store.up = True
    meter.fold()
    assert totals_of(counted(store)).answers == 1
    spend(meter, charge(1000))


def test_many_at_once_on_one_worker_take_exactly_the_quota(meter):
    async def one():
        try:
            await meter.spend(IGN, [charge(50)], TILE)
        except QuotaExceededError:
            return 0
        return 1

    async def all_of_them():
        return sum(await asyncio.gather(*(one() for _ in range(200))))

    assert asyncio.run(all_of_them()) == 50


WORKER = """
import asyncio, random, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from auth.decision import ANONYMOUS
from auth.models import Quota
from auth.usage import SqlUsageStore
from server.database import connect
from server.usage.meter import Charge, Meter, QuotaExceededError
from server.usage.rates import SharedRateLimiter

home, folder, repeats = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
store = SqlUsageStore(connect(None, home))

async def work(meter, charge):
    spent = 0
    while True:
        cost = random.choice([1000, 1000, 4000, 100])
        try:
            await meter.spend(ANONYMOUS, [charge], cost)
        except QuotaExceededError:
            if cost == 100:
                return spent
            continue
        spent += cost

with ThreadPoolExecutor(1) as executor:
    meter = Meter(store=store, limiter=SharedRateLimiter(None), folder=folder, executor=executor)
    for number in range(repeats):
        charge = Charge(grant_id=f"g{number}", quota=Quota(amount=40, period="total"), rate=None)
        print(asyncio.run(work(meter, charge)), flush=True)
    meter.close()
"""


def test_a_hard_quota_is_never_passed_by_eight_workers(tmp_path, store):
    folder = tmp_path / "counters"
    folder.mkdir()
    repeats = max(3, round(100 * SCALE))
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, tmp_path / "home", folder, str(repeats)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    spent = [[int(line) for line in worker.communicate(timeout=300)[0].split()] for worker in workers]
    assert all(worker.returncode == 0 for worker in workers)
    for number, each in enumerate(zip(*spent, strict=True)):
        assert sum(each) <= 40_000
        assert store.leased(LeaseKey(f"g{number}", "total")) == sum(each)  # what was left came back
    assert sum(map(sum, spent)) >= 0.8 * 40_000 * repeats
