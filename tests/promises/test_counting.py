"""The client's count of answers is the usage, exactly, however often workers are killed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import SCALE, Server, Town, flux, serving, wait_until
from tests.promises.conftest import Show
from tests.promises.crowd import Crowd, Shown, Tally
from tests.server.conftest import copy_home, run_all

REQUESTS = max(2000, round(50_000 * SCALE))
KILLS = max(3, round(20 * SCALE))
CLIENTS, WORKERS = 16, 4
Z, X, Y = 17, 66052, 47859
"""In the middle of the town's scenes."""
QUICK = {"FLUX_USAGE__FOLD_SECONDS": "0.3"}
"""Folded often, so that workers are killed in the midst of it."""


@pytest.fixture
def home(town: Town, tmp_path: Path) -> Path:
    return copy_home(town, tmp_path / "home")


@pytest.fixture
def wishes(town: Town, home: Path) -> list[tuple[Shown, str]]:
    """Give what is asked for: tiles with pixels, by keys of several institutions and by nobody."""
    made = run_all(home, ["key", "create", "region"], ["key", "create", "other"])
    keys = {"region": [town.key, made[0].stdout.strip()], "other": [town.other_key, made[1].stdout.strip()]}
    layers = {"region": ("granted", "open"), "other": ("hidden", "open")}
    found = [(Shown("anonymous", "-"), path) for path in _tiles("open")]
    for institution, texts in keys.items():
        for text in texts:
            shown = Shown(institution, text.split("_")[2], (("X-API-Key", text),))
            found += [(shown, path) for layer in layers[institution] for path in _tiles(layer)]
    return found


def _tiles(layer: str) -> list[str]:
    wmts = f"/wmts/1.0.0/{layer}/default/default/WebMercatorQuad"
    return [
        f"/tiles/{layer}/WebMercatorQuad/{Z}/{X}/{Y}.png",
        f"/tiles/{layer}/WebMercatorQuad/{Z}/{X}/{Y}@2x.webp",
        f"/tiles/{layer}/WebMercatorQuad/{Z - 1}/{X // 2}/{Y // 2}.png",
        f"{wmts}/{Z}/{Y}/{X}.png",
        f"/preview/{layer}.webp?width=64",
    ]


def counted(home: Path) -> dict[tuple[str, str], int]:
    """Read the usage by the command line."""
    said = flux(home, "usage", "--by", "institution,key", "--json").stdout
    return {(row["institution"], row["key"]): row["answers"] for row in json.loads(said)}


def bytes_counted(home: Path) -> int:
    said = flux(home, "usage", "--by", "day", "--json").stdout
    return sum(row["bytes"] for row in json.loads(said))


def check(usage: dict[tuple[str, str], int], *tallies: Tally) -> int:
    """Compare with what the clients got; gives how many broken ones were counted."""
    complete: Counter[tuple[str, str]] = Counter()
    broken: Counter[tuple[str, str]] = Counter()
    for tally in tallies:
        assert not tally.refused, tally.refused
        for shown, count in tally.complete.items():
            complete[shown.institution, shown.key] += count
        for shown, count in tally.broken.items():
            broken[shown.institution, shown.key] += count
    assert set(usage) <= complete.keys() | broken.keys()
    for who in complete.keys() | broken.keys():
        found = usage.get(who, 0)
        assert complete[who] <= found <= complete[who] + broken[who], (who, found, complete, broken)
        if not broken[who]:
            assert found == complete[who]
    return sum(usage.values()) - sum(complete.values())


def kill(server: Server, chance: random.Random) -> int:
    """Kill one worker, and wait until another stands in its place."""
    wait_until(lambda: len(server.workers()) == WORKERS, seconds=15)
    victim = chance.choice(server.workers())
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in server.workers(), seconds=10)
    return victim


def test_usage_is_what_clients_got_while_workers_are_killed(
    home: Path, wishes: list[tuple[Shown, str]], show: Show
) -> None:
    chance = random.Random()
    moments = sorted(chance.randint(REQUESTS // 20, REQUESTS * 9 // 10) for _ in range(KILLS))
    with serving(home, workers=WORKERS, **QUICK) as server:
        crowd = Crowd(server.port, wishes, clients=CLIENTS, limit=REQUESTS)
        with crowd.asking():
            for moment in moments:
                crowd.wait(lambda at=moment: crowd.tally.asked >= at, seconds=600)
                kill(server, chance)
            crowd.wait(lambda: False, seconds=600)
        assert server.log.read_text().count("worker_died") == KILLS
    tally = crowd.tally
    assert tally.asked == REQUESTS
    lost = sum(tally.broken.values())
    assert lost <= KILLS * CLIENTS, "each client loses one at most with each worker"
    doubtful = check(counted(home), tally)
    whole = sum(tally.complete.values())
    show(
        f"{REQUESTS} requests, {KILLS} kills: {whole} whole answers, {whole + doubtful} counted; "
        f"of {lost} that broke {doubtful} were counted"
    )
    if doubtful == 0:
        assert bytes_counted(home) == tally.size
    assert not list((home / "run" / "usage").glob("*.counters")), "all were folded and ended"


def test_everything_killed_at_once_loses_nothing_and_doubles_nothing(
    home: Path, wishes: list[tuple[Shown, str]], show: Show
) -> None:
    tallies = []
    for _ in range(max(2, round(6 * SCALE))):
        with serving(home, workers=WORKERS, **QUICK) as server:
            crowd = Crowd(server.port, wishes, clients=CLIENTS)
            with crowd.asking():
                crowd.wait(lambda: crowd.tally.asked >= 300, seconds=60)  # noqa: B023 - asked within this turn
                everything = [server.process.pid, *server.workers()]
                for pid in everything:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                server.process.wait(5)
                crowd.stop()
        tallies.append(crowd.tally)
    assert list((home / "run" / "usage").glob("*.counters")), "what the killed left is still there"
    with serving(home, workers=WORKERS, **QUICK) as server:  # folds it, while it counts itself
        crowd = Crowd(server.port, wishes, clients=CLIENTS, limit=300)
        with crowd.asking():
            crowd.wait(lambda: False, seconds=60)
        tallies.append(crowd.tally)
    first = counted(home)
    doubtful = check(first, *tallies)
    with serving(home, workers=WORKERS, **QUICK):
        pass
    assert counted(home) == first, "nothing is folded twice"
    lost = sum(sum(tally.broken.values()) for tally in tallies)
    total = sum(first.values())
    show(f"everything killed {len(tallies) - 1} times: {total} counted; of {lost} that broke {doubtful} were")


def test_the_check_finds_one_too_few_and_one_too_many() -> None:
    shown = Shown("region", "AAAAAAAA")
    tally = Tally(complete=Counter({shown: 10}), broken=Counter({shown: 2}))
    for right in (10, 11, 12):
        check({("region", "AAAAAAAA"): right}, tally)
    for wrong in ({("region", "AAAAAAAA"): 9}, {("region", "AAAAAAAA"): 13}, {}, {("other", "B"): 1}):
        with pytest.raises(AssertionError):
            check(wrong, tally)
