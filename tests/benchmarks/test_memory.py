"""Long sessions go through all scenes; what is said of memory is what processes hold."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio

from benchmarks.addresses import STRETCHED, address
from benchmarks.many import PLACES, make_many
from benchmarks.memory import Endurance, Sample, held, slope
from benchmarks.report import Found, Machine, as_document, as_json, memory_table, tables
from benchmarks.traces import Viewport, tours

MEGABYTE = 1_000_000


def session(
    *, begin: float, rise: float, minutes: float = 30, failed: int = 0, died: int = 0, wild: int = 0
) -> Endurance:
    """Two workers: one holds 300 MB throughout, the other fills up for ten minutes and then rises."""
    dice = random.Random(1)
    samples = []
    for number in range(int(minutes * 12)):
        at = 5.0 * number
        grown = begin + rise * (at / 60 - 10) if at >= 600 else 200 + (begin - 200) * at / 600
        spike = wild if number % 10 == 0 else 0
        for pid, size in ((7, 300.0), (8, grown + dice.uniform(-3, 3) + spike)):
            samples.append(
                Sample(seconds=at, pid=pid, resident=int(size * MEGABYTE), proportional=int(size * 5e5))
            )
    return Endurance(
        scenes=200, minutes=minutes, answered=180_000, failed=failed, died=died, samples=tuple(samples)
    )


def test_a_slope_is_that_of_the_line_whatever_a_few_samples_say() -> None:
    seconds = np.arange(0, 1200, 5.0)
    values = 400 + 0.7 * seconds / 60
    assert slope(seconds, values) == pytest.approx(0.7)
    values[::7] += 150
    assert slope(seconds, values) == pytest.approx(0.7, abs=0.05)
    assert slope(seconds, -values) == pytest.approx(-0.7, abs=0.05)
    assert slope([5.0], [400.0]) == 0


def test_what_fills_up_and_stays_is_flat() -> None:
    found = session(begin=500, rise=0, wild=60)
    steady, other = found.workers
    assert (steady.warm, steady.end, steady.largest, steady.slope) == (300, 300, 300, 0)
    assert other.warm == pytest.approx(500, abs=5)
    assert other.end == pytest.approx(500, abs=5)
    assert other.largest == pytest.approx(560, abs=5)
    assert other.slope == pytest.approx(0, abs=0.1)
    assert other.proportional == pytest.approx(250, abs=3)
    assert found.passed


@pytest.mark.parametrize(
    "found",
    [
        session(begin=500, rise=1.0),
        session(begin=705, rise=0),
        session(begin=500, rise=0, wild=250),
        session(begin=500, rise=0, failed=1),
        session(begin=500, rise=0, died=1),
    ],
    ids=["it rises", "it is too much", "it is too much for a moment", "answers failed", "a worker died"],
)
def test_what_does_not_pass(found: Endurance) -> None:
    assert not found.passed
    assert "NOT passed" in tables(Found(endurance=found))


def test_the_report_says_all_of_it() -> None:
    found = Found(endurance=session(begin=500, rise=1.0))
    machine = Machine(day=date(2026, 1, 2), processor="P", cores=2, load=0.1, client="c", size=512)
    rows = memory_table(found.endurance).splitlines()
    assert len(rows) == 4
    assert "+1.0" in rows[3] or "+0.9" in rows[3]
    said = as_document(found, machine)
    assert said.startswith("### 2 January 2026")
    assert "30 minutes over 200 scenes" in said
    assert "paired runs" not in said
    told = as_json(found, [], machine)["memory"]
    assert not told["passed"]
    assert len(told["samples"]) == 2 * 360
    assert [worker["pid"] for worker in told["workers"]] == [7, 8]


def test_what_a_process_holds_is_what_it_touched() -> None:
    """Another process takes 80 MB and says so; of memory that is only asked for nothing counts."""
    code = (
        "import mmap, sys\n"
        "for touched in (False, True):\n"
        "    print('ready', flush=True); sys.stdin.readline()\n"
        "    kept = mmap.mmap(-1, 80_000_000)\n"
        "    if touched:\n"
        "        for at in range(0, 80_000_000, 4096): kept[at] = 1\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
    )
    seen = []
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for _ in range(3):
            assert other.stdout.readline() == "ready\n"
            sizes = held(other.pid)
            assert sizes is not None
            assert sizes[1] <= sizes[0]
            seen.append(sizes[0])
            other.stdin.write("\n")
            other.stdin.flush()
    assert abs(seen[1] - seen[0]) < 2_000_000
    assert 79_000_000 < seen[2] - seen[1] < 83_000_000
    assert held(other.pid) is None
    assert held(os.getpid()) is not None


def test_users_share_all_places_and_see_each_once_a_round() -> None:
    boxes = [(1000.0 * n, 0.0, 1000.0 * n + 900, 900.0) for n in range(20)]
    rounds = [tours(boxes, range(12, 19), 8, 2, view=Viewport(), seed=seed) for seed in (1, 1, 2)]
    assert rounds[0] == rounds[1] != rounds[2]
    for lanes in rounds:
        assert len(lanes) == 8
        seen = [sorted({place for place, _ in lane}) for lane in lanes]
        assert sorted(place for places in seen for place in places) == list(range(20))
        for lane in lanes:
            places = [place for place, _ in lane]
            turns = [a for a, b in zip(places, [*places[1:], -1], strict=True) if a != b]
            assert len(turns) == len(set(turns)), "a place is looked at in one go"
    assert len(tours(boxes[:3], range(12, 14), 8, 0, view=Viewport(), seed=1)) == 3


def test_scenes_differ_in_place_system_and_content(tmp_path: Path) -> None:
    scenes = make_many(tmp_path, 17, 512, lambda _: None)
    assert len(scenes) == 17
    systems, contents, corners = set(), set(), set()
    for scene in scenes.values():
        with rasterio.open(scene.path) as file:
            systems.add(file.crs.to_epsg())
            contents.add(file.read().tobytes())
            corners.add((file.transform.c, file.transform.f))
            assert (file.count, file.dtypes[0], file.shape) == (4, "uint16", (512, 512))
        assert address("flux", scene, STRETCHED, (12, 1, 2)).startswith(f"/tiles/{scene.collection}/")
    assert len(systems) == len(PLACES)
    assert len(contents) == len(corners) == 17
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tif")}
    assert make_many(tmp_path, 17, 512, pytest.fail) == scenes
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tif")} == made
