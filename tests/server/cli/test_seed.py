"""`seed`: what is refused, what is told, and what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from server.seeding.journal import RECORD
from tests.conftest import ROOT, Town, wait_until
from tests.server.cli.lines import fine, rows
from tests.server.conftest import run_all
from tests.server.seeding.test_seeding import damaged, tiles_of


def test_what_can_not_be_meant_is_refused(own_home: Path, tmp_path: Path) -> None:
    there, area = tmp_path / "there.pmtiles", tmp_path / "area.geojson"
    there.touch()
    area.write_text('{"type": "Polygon", "coordinates": [[[1, 43], [2, 43], [2, 44], [1, 43]]]}')
    lines = {
        "granted --pmtiles o.pmtiles": (2, "needs --for INSTITUTION, --as-key ID or --everything"),
        f"granted --everything --pmtiles {there}": (1, "is there already"),
        "granted --everything --pmtiles nowhere/o.pmtiles": (1, "there is no folder nowhere"),
        "granted --everything --pmtiles o.pmtiles --grid 2154_50cm": (
            2,
            "PMTiles knows only WebMercatorQuad",
        ),
        "granted --for region --everything": (2, "one of them"),
        f"granted --bbox 1,2,3,4 --area {area}": (2, "one of both"),
        "granted --bbox 1,2,3": (2, "four numbers"),
        "granted --zooms 814": (2, "it is written 8-14"),
        "granted --zooms 30-31": (1, "zooms 30 to 31 are none"),
        "granted --for nobody": (1, "nobody"),
        "granted --as-key nokey": (1, "nokey"),
        "granted --for other": (1, "granted"),
        "granted --grid none": (1, "no such"),
        "granted --style none": (1, "no such"),
        "granted --time 1999-01-01": (1, "no such"),
        "granted --scheduler here": (2, "is not like tls://"),
    }
    found = run_all(own_home, *(["seed", *line.split()] for line in lines))
    for (line, (status, words)), done in zip(lines.items(), found, strict=True):
        assert (done.status, done.stack) == (status, None), (line, done)
        assert words in done.stderr, (line, done)
    assert not (own_home / "cache").exists()


def test_a_dry_run_counts_what_is_made(own_home: Path) -> None:
    dry, made, key = fine(
        own_home,
        ["seed", "granted", "--zooms", "15-18", "--dry-run", "--json"],
        ["seed", "granted", "--zooms", "15-18", "--json"],
        ["seed", "open", "--zooms", "18", "--for", "public"],
    )
    told, done = rows(dry), json.loads(made.stdout)
    assert [row["zoom"] for row in told] == [15, 16, 17, 18]
    assert sum(row["tiles"] for row in told) == done["made"] + done["empty"]
    assert done["bytes"] / 2 < sum(row["bytes"] for row in told) < done["bytes"] * 2
    assert (done["failed"], done["there"], done["reasons"]) == (0, 0, {})
    assert " tiles made (" in key.stderr


def test_a_kill_costs_no_tile_that_was_made(own_home: Path, town: Town, tmp_path: Path) -> None:
    output, straight = tmp_path / "o.pmtiles", tmp_path / "straight.pmtiles"
    line = ["seed", "granted", "--everything", "--zooms", "14-20", "--jobs", "1", "--json", "--pmtiles"]
    index = tmp_path / "o.pmtiles.part.index"
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "--home", str(own_home), *line, str(output)],
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: index.exists() and index.stat().st_size > 60 * RECORD.itemsize, seconds=60)
        assert process.poll() is None, "it was done too soon to be killed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert not output.exists()
    again, whole = fine(own_home, [*line, str(output)], [*line, str(straight)])
    done, wanted = json.loads(again.stdout), json.loads(whole.stdout)
    assert done["there"] >= 60
    assert done["there"] + done["made"] + done["empty"] == wanted["made"] + wanted["empty"]
    assert tiles_of(output) == tiles_of(straight)
    assert sorted(path.name for path in tmp_path.glob("*.pmtiles*")) == ["o.pmtiles", "straight.pmtiles"]


@pytest.mark.parametrize("incomplete", [True, False])
def test_failed_tiles_tell_by_the_status(own_home: Path, tmp_path: Path, *, incomplete: bool) -> None:
    target = own_home / "data" / "cogs" / "granted" / "granted_20240517.tif"
    good = target.read_bytes()
    target.write_bytes(damaged(good))
    output = tmp_path / "o.pmtiles"
    line = ["seed", "granted", "--everything", "--zooms", "14-18", "--pmtiles", str(output)]
    (done,) = run_all(own_home, [*line, *(["--incomplete"] if incomplete else [])])
    assert (done.status, done.stack) == (1, None)
    assert "tiles failed: " in done.stderr
    assert output.exists() == incomplete
    assert ("is not written" in done.stderr) != incomplete


def test_no_command_but_serve_loads_the_library_of_metrics() -> None:
    """It looks when it is loaded where workers count together, which `serve` names only then."""
    code = (
        "import sys, typer; from server.cli.main import app\n"
        "assert len(list(typer.main.get_group(app).commands.values())) > 15\n"
        "print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
