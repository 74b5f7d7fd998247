"""The commands: what they print where, how they end, and that nothing is done twice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from auth.credentials import KEY_PATTERN
from server.cli.main import app
from server.database import sqlite_module
from tests.conftest import ROOT, Town, flux, position_pixels, wait_until, write_raster
from tests.server.conftest import Done, run_all


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the words of each command and group."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


ALL = list(commands(typer.main.get_command(app)))


def test_every_command_has_help_that_says_what_it_does(tmp_path: Path) -> None:
    assert len(ALL) > 15
    for words, done in zip(ALL, run_all(tmp_path, *([*words, "--help"] for words in ALL)), strict=True):
        assert done.status == 0, words
        assert "Usage: dinamis-flux" in done.stdout
        assert not done.stderr
        described = [line for line in done.stdout.splitlines() if line.strip()]
        assert len(described[1]) > 10, words
    assert not list(tmp_path.iterdir()), "help makes nothing"


def test_a_command_loads_nothing_of_the_others() -> None:
    code = (
        "import sys; from server.cli.main import COMMANDS, app\n"
        "app(['layers', '--help'], standalone_mode=False)\n"
        "places = {f'server.cli.{place.partition(chr(58))[0]}' for place in COMMANDS.values()}\n"
        "print(*(places & sys.modules.keys()), 'mosaics.ingest.bank' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "server.cli.layers False"


def test_wrong_usage_is_status_2(tmp_path: Path) -> None:
    lines = [
        ["nonsense"],
        ["bank"],
        ["bank", "x.tif", "--datetime", "yesterday"],
        ["bank", "x.tif", "--nonsense"],
        ["serve", "--port", "many"],
        ["key", "create"],
        ["key", "nonsense"],
        ["key", "create", "a", "--expires", "2024-13-01"],
        ["grant", "add", "region"],
        ["layers", "--for"],
    ]
    for line, done in zip(lines, run_all(tmp_path, *lines), strict=True):
        assert done.status == 2, (line, done)
        assert done.stderr, line
        assert not done.stdout, line
        assert done.stack is None


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home with a scene and an institution."""
    folder = tmp_path_factory.mktemp("small")
    source = write_raster(folder / "one_20240517.tif", position_pixels(60, 80, 3), photometric="RGB")
    done = run_all(
        folder / "home",
        ["bank", str(source), "--collection", "town", "--licence", "town-only"],
        ["institution", "add", "region", "--name", "Région [/b] :smile: [red]"],
        ["grant", "add", "region", "--licence", "town-only"],
    )
    assert [d.status for d in done] == [0, 0, 0], done
    return folder / "home"


def test_what_cannot_be_done_is_status_1_and_one_line(small: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    image = write_raster(tmp_path / "ok.tif", position_pixels(60, 80, 1))
    lines = {
        ("key", "create", "nobody"): "nobody",
        ("key", "create", "Bad Id"): "Bad Id",
        ("key", "create", "region", "--expires", "2020-01-01"): "end",
        ("key", "revoke", "AAAAAAAA"): "AAAAAAAA",
        ("key", "revoke", "../../x"): "key",
        ("grant", "add", "nobody", "--licence", "town-only"): "nobody",
        ("grant", "add", "region", "--licence", "nothing"): "nothing",
        ("grant", "add", "region", "--collection", "nowhere"): "nowhere",
        ("institution", "add", "Bad Id"): "Bad Id",
        ("institution", "add", "public"): "public",
        ("institution", "add", "region", "--name", "Other"): "region",
        ("licence", "add", "A B"): "A B",
        ("licence", "add", "town-only", "--title", "Other"): "town-only",
        ("operator", "add", "region"): "region",
        ("layers", "--for", "nobody"): "nobody",
        ("bank", str(tmp_path / "missing.tif")): "missing.tif",
        ("bank", str(tmp_path / "empty")): "nothing to bank",
        ("bank", str(tmp_path / "notes.txt")): "notes.txt",
        ("bank", str(image), "--sensor", "nonsense"): "nonsense",
        ("bank", str(image), "--collection", "Bad Id"): "Bad Id",
        ("bank", str(image), "--collection", "../x"): "../x",
        ("bank", str(image), "--licence", "Bad Id"): "Bad Id",
    }
    for (line, said), done in zip(lines.items(), run_all(small, *map(list, lines)), strict=True):
        assert done.status == 1, (line, done)
        assert said in done.stderr, (line, done.stderr)
        assert not done.stdout, (line, done.stdout)
        assert done.stack is None, (line, done.stack)
        assert len(done.stderr.strip().splitlines()) <= 2, (line, done.stderr)


def test_a_home_that_cannot_be_is_status_1_without_a_stack() -> None:
    homes = ("/proc/nowhere", "/dev/null", "/dev/null/below")
    lines = (["layers"], ["institution", "add", "a"], ["key", "create", "a"], ["serve", "--port", "0"])
    cases = [(line, {"FLUX_HOME": home}) for home in homes for line in lines]
    answers = run_all(None, *(line for line, _ in cases), environments=[variables for _, variables in cases])
    for case, done in zip(cases, answers, strict=True):
        assert done.status == 1, case
        assert done.stack is None, (case, done)
        assert done.stderr, case


LISTS = [
    ["layers"],
    ["layers", "--for", "region"],
    ["institution", "list"],
    ["licence", "list"],
    ["grant", "list"],
    ["key", "list"],
]


def test_lists_are_tables_for_people_and_json_for_programs(small: Path) -> None:
    done = run_all(
        small,
        ["key", "create", "region", "--label", "[/oops] a\nb"],
        *LISTS,
        *([*x, "--json"] for x in LISTS),
    )
    assert all(d.status == 0 and d.stack is None for d in done), done
    tables, documents = done[1 : len(LISTS) + 1], done[len(LISTS) + 1 :]
    for line, table, document in zip(LISTS, tables, documents, strict=True):
        rows = json.loads(document.stdout)
        assert rows, line
        assert not document.stderr
        assert str(next(iter(rows[0].values()))) in table.stdout
        assert next(iter(rows[0])) in table.stdout
    assert "Région [/b] :smile: [red]" in tables[2].stdout, "what people wrote is shown as it is"


def test_empty_lists_say_so_on_standard_error(tmp_path: Path) -> None:
    lines = [x for x in LISTS if "--for" not in x]
    done = run_all(tmp_path / "home", *lines, *([*line, "--json"] for line in lines))
    for line, shown, as_json in zip(lines, done, done[len(lines) :], strict=False):
        assert (shown.status, shown.stdout) == (0, ""), line
        assert shown.stderr.startswith("no "), line
        assert json.loads(as_json.stdout) == []


def test_a_new_key_is_alone_on_standard_output_and_shown_once(small: Path) -> None:
    made = flux(small, "key", "create", "region", "--label", "gis")
    assert re.fullmatch(KEY_PATTERN + "\n", made.stdout)
    key = made.stdout.strip()
    id_, secret = key.split("_")[2:]
    assert id_ in made.stderr
    assert secret not in made.stderr
    listed, revoked, again, by_id = run_all(
        small,
        ["key", "list", "--json"],
        ["key", "revoke", key],
        ["key", "revoke", key],
        ["key", "revoke", id_],
    )
    assert id_ in listed.stdout
    assert secret[:12] not in listed.stdout
    assert [d.status for d in (revoked, again, by_id)] == [0, 0, 0]
    assert "revoked" in revoked.stderr
    assert secret[:12] not in revoked.stderr + revoked.stdout


def rows(home: Path) -> dict[str, list[Any]]:
    """Give all that the database holds."""
    with closing(sqlite_module.connect(home / "flux.db")) as database:
        names = [n for (n,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(map(repr, database.execute(f"SELECT * FROM {name}"))) for name in names}


def files(home: Path) -> dict[str, tuple[int, int]]:
    """Give size and time of change of all files but the database's own."""
    return {
        str(path.relative_to(home)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.name.startswith("flux.db")
    }


def test_banking_the_same_again_changes_nothing(tmp_path: Path) -> None:
    home, inbox = tmp_path / "home", tmp_path / "inbox"
    source = write_raster(inbox / "one_20240517.tif", position_pixels(60, 80, 3), photometric="RGB")
    line = ["bank", "--collection", "town", "--licence", "town-only", "--public", "--json"]
    (first,) = run_all(home, [*line, str(source)])
    assert (first.status, json.loads(first.stdout)[0]["status"]) == (0, "banked")
    before = rows(home), files(home)
    assert before[0]["mosaics_scenes"]
    copy = inbox / "other name.TIF"
    copy.write_bytes(source.read_bytes())
    other = ["bank", "--collection", "elsewhere", "--json"]
    for done in run_all(
        home, [*line, str(source)], [*line, str(inbox)], [*line, str(copy)], [*other, str(copy)]
    ):
        assert done.status == 0, done
        assert {row["status"] for row in json.loads(done.stdout)} == {"unchanged"}
        assert {row["layer"] for row in json.loads(done.stdout)} == {"town:one_20240517"}
        assert (rows(home), files(home)) == before


def test_a_bad_file_is_refused_by_name_and_reason_and_the_others_are_banked(tmp_path: Path) -> None:
    home, inbox = tmp_path / "home", tmp_path / "inbox"
    good = [
        write_raster(inbox / f"good{n}_2024051{n}.tif", position_pixels(60, 80, 3) + np.uint8(n))
        for n in (1, 2)
    ]
    write_raster(inbox / "nocrs.tif", position_pixels(20, 20, 1), crs="")
    (inbox / "garbage.tif").write_bytes(b"not an image")
    (inbox / "cut.tif").write_bytes(good[0].read_bytes()[:3000])
    (inbox / "hostile.tif").write_text('<VRTDataset rasterXSize="8" rasterYSize="8"></VRTDataset>')
    (inbox / "notes.txt").write_text("not looked at")
    line = ["bank", str(inbox), str(tmp_path / "missing.tif"), "--collection", "town"]
    done, as_json = run_all(home, line, [*line, "--json"])
    assert done.status == as_json.status == 1
    assert not done.stdout
    bad = {"nocrs.tif", "garbage.tif", "cut.tif", "hostile.tif", "missing.tif"}
    refusals = [x for x in done.stderr.splitlines() if x.startswith("refused")]
    assert {name for name in bad if any(name in x for x in refusals)} == bad
    assert len(refusals) == len(bad)
    assert all(len(x.rpartition(": ")[2]) > 5 for x in refusals), refusals
    outcome = {Path(row["path"]).name: row for row in json.loads(as_json.stdout)}
    assert {name for name, row in outcome.items() if row["status"] == "refused"} == bad
    assert {outcome[path.name]["status"] for path in good} == {"unchanged"}
    assert all(outcome[name]["reason"] for name in bad)
    (listed,) = run_all(home, ["layers", "--json"])
    assert [(x["id"], x["scenes"]) for x in json.loads(listed.stdout)] == [("town", 2)]
    left = [path for path in files(home) if "town" in path or "tmp" in path]
    assert not [path for path in left if any(Path(name).stem in path for name in bad)], left


def test_banking_at_the_same_time_loses_nothing(tmp_path: Path) -> None:
    home, count = tmp_path / "home", 3
    inboxes = [tmp_path / f"in{n}" for n in range(count)]
    for n, inbox in enumerate(inboxes):
        for part in range(2):  # names that others have too
            pixels = position_pixels(60, 80, 3) + np.uint8(10 * n + part)
            write_raster(inbox / f"scene_{part}_20240517.tif", pixels)
        # all of them have this one, and one of them banks it
        write_raster(inbox / "same_20240101.tif", position_pixels(50, 50, 1))
    running = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "server", "--home", str(home), "bank", str(inbox)),
                *("--collection", "town", "--licence", "town-only", "--public"),
            ],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for inbox in inboxes
    ]
    said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0] * count, "\n".join(said)
    (listed,) = run_all(home, ["layers", "--for", "public", "--json"])
    assert [(x["id"], x["scenes"]) for x in json.loads(listed.stdout)] == [("town", 2 * count + 1)]
    with closing(sqlite_module.connect(home / "flux.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    banked = [path for path in files(home) if path.endswith(".tif")]
    assert len(banked) == 2 * count + 1, banked


def test_layers_for_shows_what_that_institution_sees(town: Town) -> None:
    def ids(done: Done) -> set[str]:
        return {row["id"] for row in json.loads(done.stdout)}

    every, region, other, ops, public = run_all(
        town.home,
        ["layers", "--json"],
        *(["layers", "--json", "--for", name] for name in ("region", "other", "ops", "public")),
    )
    assert ids(every) == {"open", "granted", "hidden"}
    assert ids(region) == {"open", "granted"}
    assert ids(other) == {"open", "hidden"}
    assert ids(ops) == ids(public) == {"open"}


def test_a_broken_item_does_not_hide_the_others(town: Town, own_home: Path) -> None:
    with closing(sqlite_module.connect(own_home / "flux.db")) as database:
        database.execute("UPDATE mosaics_scenes SET item = '{}' WHERE collection_id = 'hidden'")
        database.execute("UPDATE mosaics_summaries SET summary = NULL WHERE collection_id = 'hidden'")
        database.commit()
    (done,) = run_all(own_home, ["layers", "--json"])
    assert done.status == 0
    assert {row["id"] for row in json.loads(done.stdout)} == {"open", "granted"}
    assert "hidden" not in done.stdout
    assert "left out" in done.stderr


def test_options_win_over_variables_and_those_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    done = flux(tmp_path / "home", "institution", "add", "a", FLUX_HOME=str(tmp_path / "other"))
    assert done.returncode == 0
    assert (tmp_path / "home" / "flux.db").exists()
    assert not list((tmp_path / "other").iterdir())


def test_the_pipe_that_closes_early_is_no_stack(small: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "--home", str(small), "layers", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    wait_until(lambda: process.poll() is not None, seconds=30)
    with process.stderr as stderr:
        assert b"Traceback" not in stderr.read()
