"""`mosaic`: made, changed, told, written and read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import shapely
from cogeo_mosaic.backends.file import FileBackend
from cogeo_mosaic.mosaic import MosaicJSON

from tests.conftest import imagery, position_pixels, write_raster
from tests.server.cli.lines import fine, rows
from tests.server.conftest import Done, run_all


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home with three scenes side by side in two collections."""
    folder = tmp_path_factory.mktemp("shelf")
    names = []
    for number, day in enumerate(("20240101", "20240202", "20240303")):
        pixels = position_pixels(300, 400, 3)
        pixels[0, 0, 0] = number
        origin = (572_000.0 + 40 * number, 6_280_000.0)
        names.append(
            str(write_raster(folder / f"s{number}_{day}.tif", pixels, origin=origin, photometric="RGB"))
        )
    fine(
        folder / "home",
        ["bank", *names[:2], "--collection", "coast"],
        ["bank", names[2], "--collection", "inland"],
    )
    return folder / "home"


def lines(home: Path, *asked: str) -> list[Done]:
    return run_all(home, *(["mosaic", *line.split(" ")] for line in asked))


def shown(home: Path, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fine(home, ["mosaic", "show", id_, "--json"])[0].stdout)
    return found


def test_a_mosaic_is_made_changed_listed_and_removed(shelf: Path) -> None:
    created, changed, listed, taken, again, removed, gone = lines(
        shelf,
        "create life --collection coast --from 2024-01-15 --order oldest --title-fr Côte --style natural",
        "set life --pixels mean --range red=0,200 --cloud-mask --title-en Coast",
        "list --json",
        "create coast",
        "create life",
        "remove life",
        "remove life",
    )
    assert (created.status, created.stdout) == (0, "")
    assert created.stderr == "mosaic life created: 1 scene\n"
    assert changed.stderr == "mosaic life changed: 1 scene\n"
    wanted = {"title_fr": "Côte", "title_en": "Coast", "scenes": 1, "order": "oldest", "pixels": "mean"}
    assert rows(listed) == [{"id": "life", **wanted, "styles": ["natural"]}]
    assert (taken.status, taken.stderr) == (1, "'coast' is the id of a collection: choose another one\n")
    assert again.status == 1
    assert "there is a mosaic life: change it with `mosaic set`" in again.stderr
    assert removed.stderr == "mosaic life removed\n"
    assert (gone.status, gone.stderr) == (1, "no mosaic 'life'\n")


def test_what_is_said_of_scenes_takes_the_place_of_what_was_said(shelf: Path) -> None:
    made = lines(
        shelf,
        "create place --collection coast --order finest",
        "set place --collection inland",
        "set place --order nearest --date 2024-02-01",
        "set place --filter true",
    )
    counts = [each.stderr.split(": ")[1].strip() for each in made]
    assert counts == ["2 scenes", "1 scene", "1 scene", "3 scenes"]
    found = shown(shelf, "place")
    assert found["where"] is None
    assert found["order"] == {"rule": "nearest", "date": "2024-02-01T12:00:00Z"}


def test_a_mosaic_follows_the_catalogue_and_a_collection_cannot_take_its_name(
    shelf: Path, tmp_path: Path
) -> None:
    source = write_raster(tmp_path / "new_20250101.tif", position_pixels(40, 40, 3), photometric="RGB")
    done = run_all(
        shelf,
        ["mosaic", "create", "later", "--from", "2025-01-01"],
        ["bank", str(source), "--collection", "later"],
        ["bank", str(source), "--collection", "fresh"],
        ["mosaic", "list", "--json"],
    )
    assert [each.status for each in done] == [0, 1, 0, 0]
    assert done[0].stderr == "mosaic later created: 0 scenes\n"
    assert "'later' is the id of a mosaic: choose another collection" in done[1].stderr
    assert next(row for row in rows(done[3]) if row["id"] == "later")["scenes"] == 1


REFUSED = [
    ("create Bad", 1, "can't name a mosaic"),
    ("create x --filter clouds<3", 1, "'clouds': unknown property; known are: gsd, "),
    ("create x --filter gsd<", 1, "the filter is no CQL2"),
    ("create x --sensor nothing", 1, "unknown sensor 'nothing'; known are: "),
    ("create x --style nothing", 1, "unknown style 'nothing'; known are: "),
    ("create x --bbox 1,2,3", 2, "--bbox 1,2,3: it is written W,S,E,N"),
    ("create x --bbox 1,2,3,1", 1, "south below its north"),
    ("create x --from May", 1, "'May': it is no date or time"),
    ("create x --range red=1", 2, "--range red=1: it is written red=0,2000"),
    ("create x --range red=3,1", 1, "'red': ranges: each has two numbers"),
    ("create x --order nearest", 1, "nearest has a date"),
    ("create x --order finest --date 2024-01-01", 1, "a date belongs to nearest"),
    ("create x --order best", 2, "best"),
    ("create x --max-cloud 101", 2, "less than or equal to 100"),
    ("create x --file /nowhere.json", 2, "/nowhere.json"),
    ("create x --skip-unknown", 2, "--skip-unknown belongs to --file"),
    ("set nothing --order finest", 1, "no mosaic 'nothing'"),
    ("show nothing", 1, "no mosaic 'nothing'"),
    ("export nothing", 1, "no mosaic 'nothing'"),
    ("export x --format shapefile", 2, "shapefile"),
]


def test_what_cannot_be_is_told(shelf: Path) -> None:
    for (line, status, said), done in zip(REFUSED, lines(shelf, *(each[0] for each in REFUSED)), strict=True):
        assert (done.status, done.stdout, done.stack) == (status, "", None), line
        assert said in re.sub(r"[\s│]+", " ", done.stderr), line
    assert "x" not in [row["id"] for row in rows(lines(shelf, "list --json")[0])]


def test_what_show_prints_is_what_create_takes(shelf: Path, tmp_path: Path) -> None:
    fine(shelf, ["mosaic", "create", "first", "--collection", "coast", "--order", "oldest"])
    found = shown(shelf, "first")
    (tmp_path / "first.json").write_text(json.dumps(found))
    (done,) = fine(shelf, ["mosaic", "create", "second", "--file", str(tmp_path / "first.json")])
    assert "first.json is read as mosaic" in done.stderr
    assert shown(shelf, "second") == {**found, "id": "second"}


def test_a_file_of_scenes_leaves_the_rest_of_a_mosaic_as_it_is(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "f.cql2").write_text("collection = 'inland'")
    (tmp_path / "c.json").write_text(
        json.dumps({"type": "Collection", "id": "coast", "title": "C", "summaries": {"proj:code": ["x"]}})
    )
    done = fine(
        shelf,
        ["mosaic", "create", "kept", "--order", "oldest", "--title-fr", "Mien"],
        ["mosaic", "set", "kept", "--file", str(tmp_path / "f.cql2")],
        ["mosaic", "set", "kept", "--file", str(tmp_path / "c.json"), "--to", "2024-01-31"],
    )
    assert "kept changed: 1 scene" in done[1].stderr
    assert "not taken: summaries: proj:code" in done[2].stderr
    assert "kept changed: 1 scene" in done[2].stderr
    found = shown(shelf, "kept")
    assert (found["order"], found["title"]["fr"]) == ({"rule": "oldest"}, "Mien")
    assert [part["op"] for part in found["where"]["args"]] == ["=", "t_intersects"]


def test_what_is_exported_is_read_by_cogeo_mosaic_and_by_us(shelf: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    done = fine(
        shelf,
        ["mosaic", "create", "out", "--to", "2024-12-31", "--order", "oldest"],
        ["mosaic", "export", "out", "--output", str(path)],
        ["mosaic", "export", "out"],
        ["mosaic", "create", "back", "--file", str(path)],
    )
    assert json.loads(done[2].stdout) == json.loads(path.read_text())
    with FileBackend(str(path)) as found:
        assets = found.assets_for_point(*found.mosaic_def.center[:2])
        assert [Path(asset).name[:2] for asset in assets] == ["s0", "s1", "s2"]
        image, used = found.point(*found.mosaic_def.center[:2])[0][:2]
        assert Path(image).name.startswith("s0")
        assert used is not None
    assert "3 by address" in done[3].stderr
    assert "back created: 3 scenes" in done[3].stderr


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_mosaicjson_that_cogeo_mosaic_made_is_read(shelf: Path, tmp_path: Path) -> None:
    banked = sorted((shelf / "data" / "cogs" / "coast").glob("*.tif"))
    assert len(banked) == 2
    made = MosaicJSON.from_urls([str(path) for path in banked], 10, 18, quiet=True)
    (tmp_path / "m.json").write_text(made.model_dump_json(exclude_none=True))
    (done,) = fine(shelf, ["mosaic", "create", "theirs", "--file", str(tmp_path / "m.json")])
    assert "theirs created: 2 scenes" in done.stderr
    assert shown(shelf, "theirs")["where"]["args"][0]["args"] == [{"property": "collection"}, "coast"]


def test_assets_that_are_not_banked_are_named_and_refused_unless_they_are_left_out(
    shelf: Path, tmp_path: Path
) -> None:
    other = [f"/nowhere/{n}.tif" for n in range(12)]
    document = {"mosaicjson": "0.0.3", "tiles": {"0": [*other, "s0_20240101", "inland:s2_20240303"]}}
    (tmp_path / "m.json").write_text(json.dumps(document))
    (tmp_path / "none.json").write_text(json.dumps({"mosaicjson": "0.0.3", "tiles": {"0": other}}))
    refused, skipped, none = run_all(
        shelf,
        ["mosaic", "create", "some", "--file", str(tmp_path / "m.json")],
        ["mosaic", "create", "some", "--file", str(tmp_path / "m.json"), "--skip-unknown"],
        ["mosaic", "create", "none", "--file", str(tmp_path / "none.json"), "--skip-unknown"],
    )
    assert refused.status == 1
    assert "12 of 14 assets are not banked" in refused.stderr
    assert "/nowhere/0.tif" in refused.stderr
    assert "and 2 more" in refused.stderr
    assert skipped.status == 0
    assert "left out: /nowhere/0.tif" in skipped.stderr
    assert "some created: 2 scenes" in skipped.stderr
    assert (none.status, none.stderr.splitlines()[-1]) == (1, "none of the assets is banked")


@pytest.mark.imagery
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_mosaicjson_of_the_files_that_were_handed_in_is_that_of_their_scenes(tmp_path: Path) -> None:
    sources = [imagery(f"mosaic/ngi_rgb_{number}.tif") for number in range(1, 5)]
    made = MosaicJSON.from_urls([str(path) for path in sources], 10, 15, quiet=True)
    (tmp_path / "ngi.json").write_text(made.model_dump_json(exclude_none=True))
    done = fine(
        tmp_path / "home",
        ["bank", *map(str, sources), "--collection", "ngi"],
        ["mosaic", "create", "area", "--file", str(tmp_path / "ngi.json")],
        ["mosaic", "export", "area"],
    )
    assert "4 by content" in done[1].stderr
    written = MosaicJSON(**json.loads(done[2].stdout))
    assert {Path(asset).name for assets in written.tiles.values() for asset in assets} == {
        path.name for path in sources
    }
    whole = shapely.box(*made.bounds)
    assert shapely.covers(whole, shapely.box(*written.bounds)), "footprints are of what is valid"
    assert written.bounds == pytest.approx(made.bounds, abs=2e-3)
