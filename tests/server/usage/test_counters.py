"""Counters that survive the death of their process, and their folding."""

import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.usage import LeaseKey, SqlUsageStore, totals_of
from server.database import open_database
from server.usage.counters import (
    SUFFIX,
    CounterFile,
    CounterFileDamagedError,
    abandoned,
    read_counters,
)
from server.usage.folding import DAMAGED_SUFFIX, fold_abandoned, fold_own
from tests.conftest import SCALE

ROOT = Path(__file__).parents[3]
NAME = ("2026-05-01", "ign", "AAAAAAAA", "spot", "s6", "1-2")


@pytest.fixture
def store(tmp_path):
    engine = open_database(None, tmp_path / "home")
    yield SqlUsageStore(engine)
    engine.dispose()


def answers(store):
    return totals_of(store.report(date(2026, 1, 1), date(2026, 12, 31), by=())).answers


@settings(max_examples=30, deadline=None)
@given(added=st.lists(st.tuples(st.text(max_size=300), st.tuples(*[st.integers(0, 2**40)] * 4)), max_size=80))
def test_counters_hold_what_was_added(added, tmp_path_factory):
    counters = CounterFile(tmp_path_factory.mktemp("c"))
    expected = {}
    for word, counts in added:
        name = (word, "x")
        counters.add(name, counts)
        expected[name] = tuple(a + b for a, b in zip(expected.get(name, (0,) * 4), counts, strict=True))
    assert counters.values() == expected
    assert counters.path is not None
    assert read_counters(counters.path) == (counters.source, expected)
    counters.close()


def test_a_file_grows(tmp_path):
    counters = CounterFile(tmp_path)
    for number in range(5000):
        counters.add((f"name {number}", "x" * 40), (1, 2, 3, 4))
    assert len(read_counters(counters.path)[1]) == 5000
    counters.close()


def test_a_living_file_is_nobodys_and_a_left_one_is_ended_once(tmp_path, store):
    counters = CounterFile(tmp_path)
    counters.add(NAME, (2, 2, 2000, 10))
    with abandoned(counters.path) as ours:
        assert not ours
    fold_own(counters, store)
    counters.add(NAME, (1, 1, 1000, 5))
    assert fold_abandoned(tmp_path, store) == 0
    counters.close()
    assert fold_abandoned(tmp_path, store) == 1
    assert fold_abandoned(tmp_path, store) == 0
    assert answers(store) == 3
    assert not list(tmp_path.glob(f"*{SUFFIX}"))


def test_a_lease_that_was_left_comes_back(tmp_path, store):
    key = LeaseKey("g1", "2026-05")
    assert store.lease(key, 100_000, 20_000) == 20_000
    counters = CounterFile(tmp_path)
    counters.set(("lease", *key), 12_000)
    fold_own(counters, store)
    assert store.leased(key) == 20_000  # its owner may still spend it
    counters.close()
    fold_abandoned(tmp_path, store)
    assert store.leased(key) == 8_000


@pytest.mark.parametrize("cut", [0, 7, 20, 70, 100])
def test_a_damaged_file_is_kept_aside_and_its_sound_records_count(tmp_path, store, cut):
    counters = CounterFile(tmp_path)
    counters.add(NAME, (2, 2, 2000, 10))
    sound = counters.path.stat().st_size
    for number in range(10):
        counters.add((*NAME[:5], str(number)), (1, 1, 1, 1))
    path = counters.path
    counters.close()
    data = path.read_bytes()
    assert len(data) == sound
    path.write_bytes(data[: 64 + 120 + cut] if cut else b"noise")
    with pytest.raises(CounterFileDamagedError):
        read_counters(path)
    fold_abandoned(tmp_path, store)
    assert not path.exists()
    assert path.with_name(path.name + DAMAGED_SUFFIX).exists()
    assert answers(store) >= (2 if cut else 0)


def test_a_full_disk_is_told_when_the_file_is_made(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        CounterFile(tmp_path)
    assert not list(tmp_path.iterdir())
    in_memory = CounterFile(None)
    in_memory.add(NAME, (1, 1, 1, 1))
    assert in_memory.values() == {NAME: (1, 1, 1, 1)}
    in_memory.close()


WRITER = """
import sys
from pathlib import Path
from server.usage.counters import CounterFile
counters = CounterFile(Path(sys.argv[1]))
name = ("2026-05-01", "ign", sys.argv[2], "spot", "s6", "1-2")
while True:
    counters.add(name, (1, 1, 1000, 7))
    sys.stdout.write(".")
    sys.stdout.flush()
"""
FOLDER = """
import sys
from pathlib import Path
from auth.usage import SqlUsageStore
from server.database import connect
from server.usage.folding import fold_abandoned
store = SqlUsageStore(connect(None, Path(sys.argv[2])))
print("ready", flush=True)
while True:
    fold_abandoned(Path(sys.argv[1]), store)
"""


def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path, store):
    """Writers and those who fold are killed at random; what each writer said it had counted is counted."""
    folder, home = tmp_path / "counters", tmp_path / "home"
    folder.mkdir()
    said, uncertain = 0, 0
    start = [sys.executable, "-c"]
    folding = subprocess.Popen([*start, FOLDER, folder, home], cwd=ROOT, stdout=subprocess.PIPE)
    for number in range(max(3, round(40 * SCALE))):
        writer = subprocess.Popen([*start, WRITER, folder, f"{number:08}"], cwd=ROOT, stdout=subprocess.PIPE)
        assert writer.stdout.read(1) == b"."
        time.sleep(0.01 * (number % 7))
        writer.send_signal(signal.SIGKILL)
        said += 1 + len(writer.stdout.read())
        uncertain += 1  # counted, and killed before it said so
        writer.wait()
        writer.stdout.close()
        if number % 3 == 1:
            folding.send_signal(signal.SIGKILL)
            folding.wait()
            folding.stdout.close()
            folding = subprocess.Popen([*start, FOLDER, folder, home], cwd=ROOT, stdout=subprocess.PIPE)
    folding.kill()
    folding.wait()
    folding.stdout.close()
    fold_abandoned(folder, store)
    assert said <= answers(store) <= said + uncertain
    assert not list(folder.glob(f"*{SUFFIX}"))
