"""`scene`: listed, exported, imported, removed."""

from __future__ import annotations

import gc
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mosaics.catalog.sql import SqlCatalog
from mosaics.stretch import Stretch
from server.cli.scenes import seldom_collecting
from server.database import connect
from tests.conftest import position_pixels, write_raster
from tests.items import item
from tests.loaded import loaded
from tests.server.cli.lines import fine, rows
from tests.server.conftest import Done, run_all


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home with three scenes in two collections."""
    folder = tmp_path_factory.mktemp("shelf")
    names = []
    for number, day in enumerate(("20240101", "20240202", "20240303")):
        pixels = position_pixels(60, 80, 3)
        pixels[0, 0, 0] = number
        names.append(str(write_raster(folder / f"s{number}_{day}.tif", pixels, photometric="RGB")))
    fine(
        folder / "home",
        ["bank", *names[:2], "--collection", "coast", "--licence", "l"],
        ["bank", names[2], "--collection", "inland"],
        ["collection", "set", "coast", "--title-fr", "Côte", "--title-en", "Coast"],
    )
    return folder / "home"


@pytest.fixture
def other(shelf: Path, tmp_path: Path) -> Path:
    """Give another home with the same files, and nothing in its catalogue."""
    shutil.copytree(shelf / "data", tmp_path / "other" / "data")
    return tmp_path / "other"


def scenes(home: Path, *lines: list[str]) -> list[Done]:
    return run_all(home, *(["scene", *line] for line in lines))


def test_after_an_import_cycles_are_looked_for_as_before() -> None:
    held = gc.get_threshold(), gc.get_freeze_count()

    def stop() -> None:
        assert gc.get_threshold()[0] > held[0][0]
        assert gc.get_freeze_count() > held[1]
        assert gc.isenabled()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), seldom_collecting():
        stop()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (held[0], 0)


def test_scenes_are_listed_by_what_they_are(shelf: Path) -> None:
    everything, some, few, none, wrong = scenes(
        shelf,
        ["list", "--json"],
        ["list", "--json", "--collection", "coast", "--where", "datetime > DATE('2024-01-15')"],
        ["list", "--limit", "1"],
        ["list", "--where", "gsd > 1000"],
        ["list", "--where", "gsd <"],
    )
    assert [(row["collection"], row["id"]) for row in rows(everything)] == [
        ("inland", "s2_20240303"),
        ("coast", "s1_20240202"),
        ("coast", "s0_20240101"),
    ]
    (row,) = rows(some)
    assert (row["acquired"], row["sensor"], row["licence"]) == ("2024-02-02T00:00:00+00:00", "rgb", "l")
    assert "1 of 3; --limit shows more" in few.stderr
    assert none.stderr == "no scenes\n"
    assert (wrong.status, "the filter is no CQL2" in wrong.stderr) == (1, True)


def test_a_catalogue_moves_to_another_home(shelf: Path, other: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.ndjson"
    (written,) = scenes(shelf, ["export", "--output", str(file)])
    assert written.stderr == "3 scenes written\n"
    imported, again, listed, exported, layers = run_all(
        other,
        ["scene", "import", str(file)],
        ["scene", "import", str(file), "--json"],
        ["scene", "list", "--json"],
        ["scene", "export"],
        ["layers", "--json"],
    )
    assert imported.status == 0, imported
    assert "collection coast made\ncollection inland made\n" in imported.stderr
    assert "no licence here is called l: it opens nothing" in imported.stderr
    assert imported.stderr.endswith("3 added, 0 replaced, 0 unchanged, 0 refused\n")
    counts = {"added": 0, "replaced": 0, "unchanged": 3, "refused": 0}
    assert json.loads(again.stdout) == {**counts, "collections_made": [], "reasons": []}
    assert len(rows(listed)) == 3
    assert exported.stdout == file.read_text(encoding="utf-8")
    assert {layer["id"]: layer["title"] for layer in rows(layers)} == {"coast": "Côte", "inland": "inland"}


def test_what_is_imported_is_shown_in_one_range_of_values(shelf: Path, other: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.ndjson"
    scenes(shelf, ["export", "--output", str(file), "--collection", "coast"])
    before = SqlCatalog(connect(None, shelf)).stretch("coast")
    assert scenes(other, ["import", str(file)])[0].status == 0
    found = SqlCatalog(connect(None, other)).stretch("coast")
    assert before is not None
    assert found is not None
    assert (found.bands, found.scenes) == (before.bands, 2)
    fine(other, ["collection", "set", "coast", "--stretch", "scene"])
    scenes(other, ["remove", "coast:s0_20240101"], ["import", str(file)])
    assert SqlCatalog(connect(None, other)).stretch("coast") == Stretch(each=True), "as somebody wants it"


def items_of(home: Path) -> list[dict[str, Any]]:
    (done,) = scenes(home, ["export"])
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [each for each in found if each["type"] == "Feature"]


def test_what_is_refused_is_told_and_the_others_go_on(shelf: Path, other: Path, tmp_path: Path) -> None:
    good, bad, _ = items_of(shelf)
    bad["assets"]["data"]["href"] = "/etc/passwd"
    file = tmp_path / "some.ndjson"
    file.write_text(f"{json.dumps(bad)}\nnothing\n{json.dumps(good)}\n")
    refused, skipped = scenes(
        other,
        ["import", str(file), "--collection", "new", "--licence", "mine"],
        ["import", str(file), "--skip-broken", "--json"],
    )
    assert refused.status == 1
    assert "licence mine made\n" in refused.stderr
    assert (
        f"refused some.ndjson, line 1 ({bad['id']}): its file '/etc/passwd' lies below no" in refused.stderr
    )
    assert "refused some.ndjson, line 2: no JSON" in refused.stderr
    assert refused.stderr.endswith("1 added, 0 replaced, 0 unchanged, 2 refused\n")
    assert skipped.status == 0
    told = json.loads(skipped.stdout)
    assert (told["refused"], told["reasons"][0]["id"]) == (3, bad["id"])
    assert told["reasons"][2]["reason"].startswith("the same content is new:")


def test_a_file_that_is_none_is_refused_whole(shelf: Path, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("a,b\n")
    (done,) = scenes(shelf, ["import", str(file)])
    assert done.status == 1
    assert done.stderr.endswith(
        "table.csv: neither STAC items, one per line, nor a FeatureCollection, nor stac-geoparquet\n"
    )


def test_a_collection_that_everybody_sees_is_told(shelf: Path, other: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.ndjson"
    scenes(shelf, ["export", "--output", str(file), "--collection", "inland"])
    first, granted, again, changed = run_all(
        other,
        ["scene", "import", str(file)],
        ["grant", "add", "public", "--collection", "inland"],
        ["scene", "import", str(file)],
        ["scene", "import", str(file), "--licence", "new"],
    )
    assert granted.status == 0, granted
    told = "collection inland is public: everybody sees what was banked into it"
    assert [told in done.stderr for done in (first, again, changed)] == [False, False, True]


_INTERRUPTED = """
import json, os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from typer.testing import CliRunner
from server.cli import scenes
from server.cli.main import app
home, file = sys.argv[1:]
base = ["--home", home, "scene", "import", file]
shown = scenes._progress

def interrupt_soon(_done, report):  # as Ctrl-C does, somewhere in the next batch
    if report.done == 2400:
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.01)

@contextmanager
def progress():
    yield lambda name: interrupt_soon

scenes._progress = progress
first = CliRunner().invoke(app, base)
scenes._progress = shown
children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
second = CliRunner().invoke(app, base)
print(json.dumps([first.exit_code, first.stderr, children, second.exit_code, second.stderr]))
"""


def test_interrupted_it_leaves_whole_batches_and_the_next_run_goes_on(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "large.ndjson"
    (home / "data").mkdir(parents=True)
    (home / "data" / "a.tif").write_bytes(b"1")
    with file.open("w") as lines:
        for number in range(4400):
            made = item(f"s{number}", note="x" * 10_000)
            made["assets"]["data"]["href"] = "a.tif"
            lines.write(json.dumps(made) + "\n")
    done = loaded().run(_INTERRUPTED, str(home), str(file), environment={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    status, told, children, status_after, told_after = json.loads(done.stdout)
    assert (status, children, status_after) == (1, "", 0), told
    assert "interrupted; the same command again goes on" in told
    there = int(told_after.split(" unchanged")[0].split()[-1])  # one batch may be there and not yet counted
    assert (2400 <= there < 4400, there % 400) == (True, 0)
    assert f"{4400 - there} added, 0 replaced, {there} unchanged, 0 refused" in told_after


def test_scenes_are_removed_by_name_and_by_filter(shelf: Path, other: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.ndjson"
    scenes(shelf, ["export", "--output", str(file)])
    _, missing, unsaid, unconfirmed, by_name, by_filter, nothing, left = scenes(
        other,
        ["import", str(file)],
        ["remove", "coast:none"],
        ["remove"],
        ["remove", "--collection", "coast"],
        ["remove", "coast:s0_20240101"],
        ["remove", "--where", "collection = 'coast'", "--yes"],
        ["remove", "--collection", "coast", "--yes"],
        ["list", "--json"],
    )
    assert (missing.status, missing.stderr) == (
        1,
        "no scene coast:none; they are named COLLECTION:SCENE\n",
    )
    assert unsaid.status == 2
    assert unconfirmed.status == 1
    assert "Take 2 scenes out of the catalogue?" in unconfirmed.stderr
    assert by_name.stderr == "1 scene removed\n"
    assert by_filter.stderr == "1 scene removed\n"
    assert (nothing.status, nothing.stderr) == (1, "no scene fits\n")
    assert [row["id"] for row in rows(left)] == ["s2_20240303"]
