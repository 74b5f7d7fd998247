from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from mosaics.catalog.overview import Overview
from mosaics.errors import IngestError
from mosaics.ingest.wide.make import _aligned
from mosaics.ingest.wide.plan import Bucket
from mosaics.mosaic import mosaic_from
from tests.wide import GRID, Here, Wide


@pytest.fixture
def wide(tmp_path: Path) -> Wide:
    made = Wide(tmp_path / "home")
    made.collection("c")
    made.field(7, 7)
    return made


def files(wide: Wide) -> dict[str, tuple[float, int]]:
    """Give name, time of writing and size of each file of overviews."""
    folder = wide.root / "overviews" / "c"
    return {path.name: (path.stat().st_mtime, path.stat().st_size) for path in folder.iterdir()}


def registered(wide: Wide) -> dict[str, Overview]:
    return wide.index.overviews["c"]


def pixels(wide: Wide) -> dict[str, Any]:
    """Give by overview, read at full size: values, which are valid, and the scenes that they are of."""
    ids = {
        int(part.table.tokens[row]): str(part.table.word("id", row))
        for part in wide.index.parts
        for row in part.rows
    }
    found = {}
    for name, overview in registered(wide).items():
        with rasterio.open(overview.scene.href) as colours, rasterio.open(overview.numbers.href) as numbers:
            told = numbers.read(1) * (numbers.dataset_mask() > 0)
            names = np.array(["", *(ids.get(int(token), "?") for token in overview.tokens)])
            values = colours.read() * (colours.dataset_mask() > 0)
            found[name] = colours.bounds, values, names[told]
    return found


def test_a_second_run_does_nothing(wide: Wide) -> None:
    first = wide.seed()
    assert {each.status for each in first} == {"made"}
    assert sum(each.scenes for each in first) == 98
    before, sequence = files(wide), wide.catalog.changes(0).sequence
    assert {each.status for each in wide.seed()} == {"unchanged"}
    assert (files(wide), wide.catalog.changes(0).sequence) == (before, sequence)


def test_files_are_cogs_that_agree(wide: Wide) -> None:
    wide.seed()
    for overview in registered(wide).values():
        for scene in (overview.scene, overview.numbers):
            assert cog_validate(scene.href)[0]
            with rasterio.open(scene.href) as file:
                assert file.res[0] == pytest.approx(GRID.matrix(overview.zoom).cell_size, rel=1e-12)
                assert (file.width, file.height) == (scene.width, scene.height)
                levels = len(file.overviews(1))
                assert file.overviews(1) == [2 << level for level in range(levels)]
                assert max(file.shape) >> levels == 256
                assert file.block_shapes[0] == (256, 256)
    for _, values, names in pixels(wide).values():
        assert ((values > 0).any(axis=0) == (names != "")).all()
        assert "?" not in names


def test_a_tile_of_a_coarser_zoom_is_one_block_of_a_level(wide: Wide) -> None:
    wide.seed()
    for overview in registered(wide).values():
        with rasterio.open(overview.scene.href) as file:
            (left, top), cell = GRID.matrix(overview.zoom).origin, file.res[0]
            for level in range(2):  # two levels coarser it would be four times as large as its scenes
                side = cell * 256 * 2**level
                for away in ((file.bounds.left - left) / side, (top - file.bounds.top) / side):
                    assert away == pytest.approx(round(away), abs=1e-6)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((5, 6, 9, 10), (4, 2, 8, 2)),
        ((4, 6, 8, 10), (4, 4, 8, 4)),
        ((3, 7, 3, 7), (0, 8, 0, 8)),
        ((506, 532, 350, 376), (496, 48, 336, 48)),
    ],
)
def test_files_are_widened_to_steps_unless_they_grow_too_large(
    box: tuple[int, int, int, int], expected: tuple[int, int, int, int]
) -> None:
    assert _aligned(*box) == expected


def test_what_changed_is_made_anew_as_all_would_be(wide: Wide) -> None:
    wide.seed()
    wide.catalog.remove_scene("c", "l1-0-0")
    wide.scene("l1-0-1", (0, 1), 33, day=3, license="l1")
    wide.scene("new", (1, 0), 210, day=9, license="l1")
    outcomes = wide.seed()
    assert [each.status for each in outcomes].count("made") == 1
    (made,) = (each for each in outcomes if each.status == "made")
    assert made.copied > 0
    assert made.composed > 0
    stepwise = pixels(wide)
    for name in list(registered(wide)):
        wide.catalog.remove_overview("c", name)
    again = wide.seed()
    assert {(each.status, each.copied) for each in again} == {("made", 0)}
    anew = pixels(wide)
    assert stepwise.keys() == anew.keys()
    for name, (bounds, values, names) in stepwise.items():
        assert bounds == anew[name][0]
        np.testing.assert_array_equal(values, anew[name][1])
        np.testing.assert_array_equal(names, anew[name][2])
    assert "new" in {name for _, _, names in anew.values() for name in np.unique(names)}


def test_files_that_were_replaced_go_with_the_next_run(wide: Wide) -> None:
    wide.seed()
    before = set(files(wide))
    wide.scene("l1-6-6", (6, 6), 33, day=3, license="l1")
    wide.seed()
    assert before < set(files(wide)), "somebody may still read them"
    wide.seed()
    assert len(files(wide)) == len(before)
    assert set(files(wide)) == {
        Path(scene.href).name for each in registered(wide).values() for scene in (each.scene, each.numbers)
    }


@pytest.mark.parametrize("moment", ["composing", "registering"])
def test_a_kill_leaves_what_was_there(wide: Wide, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wide.seed()
    before, known = pixels(wide), set(files(wide))
    wide.scene("l1-6-6", (6, 6), 33, day=3, license="l1")

    class Killed(Here):
        def run(self, name: str, function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
            return super().run(name, function, *arguments, **{**more, "report": lambda *_: os._exit(9)})

    child = os.fork()
    if child == 0:
        if moment == "registering":
            monkeypatch.setattr(wide.catalog, "put_overview", lambda *_: os._exit(9))
        wide.seed(runner=Killed() if moment == "composing" else None)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert known < set(files(wide)), "it had begun"
    after = pixels(wide)
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(before[name][1], after[name][1])
    assert {each.status for each in wide.seed()} == {"made", "unchanged"}
    standing = wide.layer().standing
    assert standing is not None
    assert standing.valid.all()


def test_what_can_not_be_registered_leaves_no_file(wide: Wide, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise IngestError("no")

    monkeypatch.setattr(wide.catalog, "put_overview", refuse)
    assert {(each.status, each.reason) for each in wide.seed()} == {("failed", "no")}
    assert not [name for name in files(wide) if name.endswith(".tif")]


def test_a_scene_that_can_not_be_read_is_no_member(wide: Wide) -> None:
    broken = wide.root / "cogs" / "c" / "l1-3-3.tif"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:200])
    (told,) = (each for each in wide.seed() if each.unread)
    assert told.unread == ("l1-3-3",)
    standing = wide.layer().standing
    assert standing is not None
    assert standing.valid.all()
    assert standing.touched.sum() == 1
    assert not any((names == "l1-3-3").any() for _, _, names in pixels(wide).values())
    broken.write_bytes(whole)
    wide.seed()
    assert any((names == "l1-3-3").any() for _, _, names in pixels(wide).values())


def test_periods_that_are_no_more_lose_their_overviews(wide: Wide) -> None:
    wide.scene("late", (0, 0), 50, day=100, license="l1")
    names = {each.name for each in wide.seed()}
    wide.catalog.remove_scene("c", "late")
    outcomes = {each.name: each.status for each in wide.seed()}
    (gone,) = (name for name, status in outcomes.items() if status == "removed")
    assert gone.startswith("2024-04.")
    assert gone in names
    assert gone not in registered(wide)


def test_what_overviews_can_not_show_is_refused(wide: Wide) -> None:
    for definition, words in (
        ({"pixel_selection": "mean"}, "shows the mean"),
        ({"cloud_mask": True}, "leaves clouds out"),
    ):
        wide.catalog.put_mosaic(mosaic_from({"id": "m", **definition}))
        with pytest.raises(IngestError, match=words):
            wide.maker.work(wide.index, "m")
    with pytest.raises(IngestError, match="is one scene"):
        wide.maker.work(wide.index, "c:l1-0-0")


def plan(wide: Wide) -> tuple[Bucket, ...]:
    return wide.maker.work(wide.index, "c").plan.buckets


def test_periods_are_the_shortest_of_which_there_are_few_enough(tmp_path: Path) -> None:
    wide = Wide(tmp_path)
    wide.collection("c")
    for number in range(33):
        wide.scene(f"s{number}", (number, 0), 50, day=10 * number)
    assert {len(each.key.period) for each in plan(wide)} == {len("2024-05")}
    for number in range(33):
        wide.scene(f"t{number}", (number, 0), 50, day=10 * number, license="l1")
    assert {each.key.period[4:6] for each in plan(wide)} == {"-Q"}, "two kinds have to be compared"
    wide.scene("old", (0, 0), 50, day=-20_000, license="l1")
    wide.scene("undated", (0, 0), 50, datetime=None)
    assert {each.key.period for each in plan(wide)} >= {"undated", "1969-Q2"}


def test_what_a_file_can_not_hold_together_is_apart(wide: Wide) -> None:
    before = len(plan(wide))
    key = ("c", "l1-3-3")
    document = wide.catalog.item(*key)
    assert document is not None
    document["assets"]["data"]["bands"][0]["raster:offset"] = -1000
    wide.catalog.put_scene("c", document, "other")
    assert len(plan(wide)) == before + 1
    few = Wide(wide.root)
    few.collection("c")
    few.field(4, 4)
    assert plan(few) == ()


def test_a_scene_across_the_antimeridian_is_left_as_it_is(wide: Wide) -> None:
    document = wide.catalog.item("c", "l1-3-3")
    assert document is not None
    document["geometry"] = {
        "type": "MultiPolygon",
        "coordinates": [
            [[[179, 1], [180, 1], [180, 2], [179, 1]]],
            [[[-180, 1], [-179, 1], [-180, 2], [-180, 1]]],
        ],
    }
    wide.catalog.put_scene("c", document, "other")
    work = wide.maker.work(wide.index, "c")
    assert work.plan.left_out == 1
    assert sum(len(each.members) for each in work.plan.buckets) == 97
