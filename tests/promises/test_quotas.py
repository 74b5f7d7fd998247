"""A hard quota is never passed: eight workers, clients on all of them, asking until nothing is left."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import pytest

from auth.credentials import Peppers, new_key
from auth.edits import add, together
from auth.models import Institution, Quota
from auth.reach import EVERYWHERE, Selector
from auth.rules import new_grant
from auth.usage import LeaseKey, SqlUsageStore
from server.database import connect
from tests.conftest import SCALE, Server, Town, serving, wait_until
from tests.promises.conftest import Show, rights_of
from tests.promises.crowd import Crowd, Shown
from tests.server.conftest import copy_home

WORKERS, CLIENTS = 8, 24
REPEATS = max(4, round(100 * SCALE))
LAYER = "granted"
TILE = f"/tiles/{LAYER}/WebMercatorQuad/17/66052/47859"
PRICES = {f"{TILE}.png": 1, f"{TILE}@2x.png": 4}
"""Units of what is asked for."""
MOST_WASTED = 3
"""Units of the greatest lease of 300: lost where a worker is killed after it was given and before it is
written down."""
MOST_KILLED = 25
"""Turns until one shows that a lease comes back: on a loaded machine many meet the moment that wastes it."""


@pytest.fixture(scope="module")
def server(town: Town, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = copy_home(town, tmp_path_factory.mktemp("quotas") / "home")
    with serving(home, workers=WORKERS, FLUX_USAGE__FOLD_SECONDS="0.3", FLUX_HTTP__THREADS="1") as running:
        yield running


def customer(server: Server, name: str, units: int) -> tuple[str, str]:
    """Make an institution whose only right is metered; gives its key and the id of its grant."""
    now = datetime.now(UTC)
    peppers = Peppers(by_version={1: (server.home / "pepper").read_text().strip().encode()})
    key, text = new_key("live", name, peppers, url_allowed=True, now=now)
    selector = Selector(collections=frozenset({LAYER}))
    quota = Quota(amount=units, period="total")
    grant = new_grant(name, selector, area=EVERYWHERE, now=now, quota=quota)
    with rights_of(server.home) as change:
        change(together(add(Institution(id=name, name=name)), add(key), add(grant)))
    return text, grant.id


def known_everywhere(server: Server, key: str) -> bool:
    return {server.get("/whoami", {"X-API-Key": key}).status for _ in range(6 * WORKERS)} == {200}


def exhaust(server: Server, key: str, paths: list[str], *, kill: bool = False) -> Crowd:
    """Ask at once for more than there is, until it is refused to each client many times over."""
    shown = {path: Shown(path, "-", (("X-API-Key", key),)) for path in paths}
    crowd = Crowd(server.port, [(shown[path], path) for path in paths], clients=CLIENTS)
    with crowd.asking():
        if kill:
            crowd.wait(lambda: sum(crowd.tally.complete.values()) >= 10, seconds=60)
            victim = random.choice(server.workers())
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: victim not in server.workers(), seconds=10)
        # What a dead worker had leased comes back when its file is folded. A worker that holds some of one
        # gives it to its own clients: only when all are refused is nothing in hand.
        crowd.wait(lambda: min(crowd.in_vain) >= 20, seconds=90)
    return crowd


def spent(crowd: Crowd) -> int:
    return sum(count * PRICES[shown.institution] for shown, count in crowd.tally.complete.items())


def lost(crowd: Crowd) -> int:
    return sum(count * PRICES[shown.institution] for shown, count in crowd.tally.broken.items())


def leased(server: Server, grant_id: str) -> int:
    engine = connect(None, server.home)
    try:
        return SqlUsageStore(engine).leased(LeaseKey(grant_id, "total"))
    finally:
        engine.dispose()


def check_refusals(crowd: Crowd) -> None:
    assert set(crowd.tally.refused) == {429}
    for said in crowd.tally.retry_after:
        assert said is not None
        assert said.isdecimal(), "whole seconds, not a date and not milliseconds"
        assert 1 <= int(said) <= 86_400


def test_a_hard_quota_is_used_up_and_never_passed_by_eight_workers(server: Server, show: Show) -> None:
    chance = random.Random()
    customers = [(*customer(server, f"c{n}", units := chance.randint(20, 90)), units) for n in range(REPEATS)]
    wait_until(lambda: known_everywhere(server, customers[-1][0]), seconds=15)
    left = []
    for key, grant_id, units in customers:
        crowd = exhaust(server, key, [f"{TILE}.png"])
        assert not crowd.tally.broken
        assert spent(crowd) <= units, "never passed"
        assert leased(server, grant_id) <= units * 1000
        check_refusals(crowd)
        left.append(units - spent(crowd))
    # every tile costs what a lease is, so that no worker holds a rest
    assert left == [0] * REPEATS
    show(f"{REPEATS} quotas over {WORKERS} workers, {CLIENTS} clients: each used up to the last unit")


def test_answers_of_several_prices_leave_no_more_than_the_leases_in_hand(server: Server, show: Show) -> None:
    left = []
    for number in range(max(2, REPEATS // 4)):
        key, _ = customer(server, f"mixed{number}", 100)
        wait_until(partial(known_everywhere, server, key), seconds=15)
        crowd = exhaust(server, key, list(PRICES))
        assert spent(crowd) <= 100
        check_refusals(crowd)
        left.append(100 - spent(crowd))
    # a worker may hold less than the dearest answer, and of what nobody holds less than that is of no use
    assert max(left) < (WORKERS + 1) * max(PRICES.values())
    show(f"left of 100 units with answers of 1 and 4: {left}")


def test_a_worker_killed_midway_never_lets_a_quota_be_passed(server: Server, show: Show) -> None:
    rows, wasted = [], []
    for number in range(MOST_KILLED):
        if number >= max(2, REPEATS // 4) and min(wasted) == 0:
            break
        key, grant_id = customer(server, f"killed{number}", 300)
        wait_until(partial(known_everywhere, server, key), seconds=15)
        crowd = exhaust(server, key, [f"{TILE}.png"], kill=True)
        assert spent(crowd) <= 300, "never passed"
        # what was taken and did not arrive is paid; the rest of the dead one's lease comes back
        assert spent(crowd) >= 300 - lost(crowd) - 2 * MOST_WASTED
        check_refusals(crowd)
        paid = spent(crowd) + lost(crowd)
        wait_until(
            lambda: leased(server, grant_id) <= (paid + MOST_WASTED) * 1000,  # noqa: B023 - asked within this turn
            seconds=30,
            what=lambda: f"{leased(server, grant_id)} thousandths taken, {paid} units paid",  # noqa: B023 - asked at once
        )
        with contextlib.suppress(AssertionError):  # its file is folded within seconds
            wait_until(lambda: leased(server, grant_id) <= paid * 1000, seconds=5)  # noqa: B023 - asked within this turn
        wasted.append(max(0, leased(server, grant_id) // 1000 - paid))
        rows.append((spent(crowd), lost(crowd)))
    assert min(wasted) == 0, "a lease comes back"
    show(f"of 300 units with a worker killed midway, got and broken: {rows}; leases wasted: {wasted}")
