"""Times what rights cost: the decision, the check of a key, the filter, reading all rights, and the start.

`benchmarks/decision.py` prints a table; `--json` prints it for programs; `--starts 0` leaves the starts out.
Times of the processor (of the thread), where it can be had: a busy machine does not make them longer.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from auth.credentials import Peppers, authenticate
from auth.decision import Principal
from auth.documents import kind_of, stored_text
from auth.models import Action
from auth.policy import decide
from auth.reach import UNKNOWN
from auth.schema import epoch_table, right_table
from auth.store import SqlPolicyStore
from benchmarks.population import NOW, Population, populate
from server.access import Rules, scene_filter
from server.database import connect, open_database
from server.decisions import Decisions

ROOT = Path(__file__).resolve().parents[1]
ASKED = 20_000
NOBODY: frozenset[str] = frozenset()


def timed(ask: Callable[[Any], object], things: Iterable[Any]) -> dict[str, float]:
    """Give the median and the 99th percentile, microseconds of the thread's own time."""
    took = []
    for thing in things:
        begun = time.thread_time_ns()
        ask(thing)
        took.append((time.thread_time_ns() - begun) / 1000)
    took.sort()
    return {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100], "most": took[-1]}


def decisions(population: Population, peppers: Peppers) -> dict[str, dict[str, float]]:
    """Time what each request, or each new caller, costs."""
    chance = random.Random(1)  # noqa: S311 - the same every time
    snapshot, texts = population.snapshot(), list(population.key_texts)

    def principal(text: str) -> Principal:
        return authenticate(snapshot, peppers, text, in_url=False, now=NOW).principal

    found = {"authenticate, a key not seen before": timed(principal, texts)}
    asked = [chance.choice(texts) for _ in range(ASKED)]
    found["authenticate"] = timed(principal, asked)
    wrong = [text[:-1] + ("A" if text[-1] != "A" else "B") for text in texts]
    found["authenticate, a wrong checksum"] = timed(lambda t: _refused(principal, t), wrong)

    principals = [principal(text) for text in texts]
    callers = [chance.choice(principals) for _ in range(ASKED)]

    def tile(one: Principal) -> object:
        return decide(snapshot, one, Action.TILE, NOW)

    found["decide, a caller not seen before"] = timed(tile, principals)
    found["decide"] = timed(tile, callers)
    made = [decide(snapshot, one, Action.TILE, NOW) for one in principals[:1000]]
    rules = Rules()
    found["scene_filter and digest, remembered rules"] = timed(lambda d: rules.filter(d).digest, made)
    found["scene_filter and digest, alone"] = timed(lambda d: scene_filter(d).digest, made[:200])

    memo = Decisions()

    def ask(one: Principal) -> object:
        return memo.decide(snapshot, one, Action.TILE, NOW, UNKNOWN, NOBODY)[1].digest

    few = principals[:1000]
    found["Decisions.decide, miss"] = timed(ask, few)
    found["Decisions.decide, hit"] = timed(ask, [chance.choice(few) for _ in range(ASKED)])
    return found


def _refused(ask: Callable[[str], object], text: str) -> None:
    try:
        ask(text)
    except Exception:  # noqa: BLE001 - how long it takes is all that is asked
        return
    raise AssertionError("a wrong key opened something")


def store(home: Path, population: Population) -> None:
    """Put all rights into a database, past the checks of each edit: that is not what is timed here."""
    engine = open_database(None, home)
    rows = [
        {"kind": kind_of(right), "id": right.id, "epoch": 1, "document": stored_text(right)}
        for right in population.rights
    ]
    with engine.begin() as connection:
        connection.execute(right_table.insert(), rows)
        connection.execute(epoch_table.update().values(epoch=1))
    engine.dispose()


def load(home: Path, times: int = 5) -> dict[str, float]:
    """Time the reading of all rights, milliseconds of the thread's own time."""
    took = []
    for _ in range(times):
        engine = connect(None, home)
        begun = time.thread_time_ns()
        SqlPolicyStore(engine).snapshot()
        took.append((time.thread_time_ns() - begun) / 1e6)
        engine.dispose()
    return {"median": statistics.median(took), "most": max(took)}


def start(home: Path, workers: int) -> float:
    """Give the seconds from starting `serve` until it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["-m", "server", "--home", str(home), "serve", "--port", str(port), "--workers", str(workers)]
    begun = time.monotonic()
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, stdout=log, stderr=log)
    try:
        while not _ready(port):
            if process.poll() is not None or time.monotonic() - begun > 60:
                raise SystemExit((home / "server.log").read_text())
            time.sleep(0.01)
        return time.monotonic() - begun
    finally:
        process.terminate()
        process.wait(20)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def starts(without: Path, with_rights: Path, pairs: int, workers: int) -> dict[str, float]:
    """Time starts in pairs, in turns: seconds, and the median of what a pair differs by."""
    took = [(start(without, workers), start(with_rights, workers)) for _ in range(pairs)]
    return {
        "without": statistics.median(one for one, _ in took),
        "with": statistics.median(other for _, other in took),
        "more": statistics.median(other - one for one, other in took),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--starts", type=int, default=5, help="pairs of starts")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    peppers = Peppers(by_version={1: b"a pepper of the benchmark"})
    population = populate(peppers)
    result: dict[str, Any] = {"load": os.getloadavg()[0], "microseconds": decisions(population, peppers)}
    with tempfile.TemporaryDirectory() as folder:
        without, with_rights = Path(folder) / "without", Path(folder) / "with"
        open_database(None, without).dispose()
        store(with_rights, population)
        result["read all rights, milliseconds"] = load(with_rights)
        if options.starts:
            result["start, seconds"] = starts(without, with_rights, options.starts, options.workers)
    if options.json:
        print(json.dumps(result))
        return
    print(f"load of the machine {result.pop('load'):.1f}")
    print(f"{'microseconds':45} {'p50':>9} {'p99':>9} {'most':>9}")
    for name, row in result.pop("microseconds").items():
        print(f"{name:45} {row['p50']:9.1f} {row['p99']:9.1f} {row['most']:9.1f}")
    for name, row in result.items():
        print(f"{name:45} " + "  ".join(f"{what} {value:.2f}" for what, value in row.items()))


if __name__ == "__main__":
    main()
