"""A second process prepares what the first one writes: the same comes of it, whatever becomes of either."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mosaics.catalog.migrate import migrate
from mosaics.catalog.sql import SqlCatalog
from mosaics.errors import IngestError
from mosaics.ingest import importing as importing_module
from mosaics.ingest import preparing as preparing_module
from mosaics.ingest.foreign import Completing
from mosaics.ingest.importing import Importing, Report
from mosaics.ingest.placing import Places
from mosaics.ingest.preparing import Begin, Preparing, Task, Wish
from mosaics.ingest.second_process import SecondProcess
from mosaics.models import Collection, Text
from mosaics.mosaic import Mosaic
from mosaics.sensors import load_sensors
from mosaics.styles import load_styles
from server.database import connect
from tests.items import item
from tests.mosaics.ingest.test_importing import foreign

Progress = Callable[[float, Report], None]


@dataclass(frozen=True)
class Bench:
    """A folder of images, and a task that may use them."""

    folder: Path
    task: Task

    def catalog(self, name: str) -> SqlCatalog:
        engine = connect(None, self.folder / name)
        migrate(engine)
        return SqlCatalog(engine)

    def write(self, name: str, *lines: dict[str, Any] | str) -> Path:
        path = self.folder / "images" / name
        path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines))
        return path


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(importing_module, "_LARGE_BYTES", 0)
    home, images = tmp_path / "home", tmp_path / "images"
    for place in (home / "cogs" / "c", images):
        place.mkdir(parents=True)
        (place / "a.tif").write_bytes(b"12345")
    completing = Completing(
        places=Places(root=home, roots=(home, images)), sensors=load_sensors(), styles=load_styles()
    )
    return Bench(tmp_path, Task(completing=completing))


@pytest.fixture
def second(bench: Bench) -> Iterator[SecondProcess]:
    with closing(SecondProcess(bench.task)) as made:
        yield made


def own(number: int, **properties: Any) -> dict[str, Any]:
    """Give one of our own items; all name one file."""
    made = item(f"s{number}", license="été", **{"flux:digest": f"{number:064x}", **properties})
    made["assets"]["data"]["href"] = "cogs/c/a.tif"
    return made


def another(number: int, collection_id: str) -> dict[str, Any]:
    """Give an item of others."""
    return {**foreign(), "id": f"f{number}", "collection": collection_id}


def mixed() -> list[dict[str, Any] | str]:
    """Give items good and bad, and collections between them."""
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    made: list[dict[str, Any] | str] = []
    for number in range(1500):
        made.append(own(number))
        if number % 5 == 0:
            made.append(another(number, ("licensed", "free", "late")[number % 3]))
        if number % 100 == 7:
            twin = own(number + 10_000, **{"flux:digest": f"{number:064x}"})
            lost = deepcopy(own(number + 20_000))
            lost["assets"]["data"]["href"] = "/etc/passwd"
            crooked = {**own(number + 30_000), "geometry": bow}
            made += ["", "{", twin, lost, crooked, another(number, "m"), {"type": "Collection", "id": "b d"}]
    made.insert(900, {"type": "Collection", "id": "late", "flux:licence": "not-taken", "title": "Late"})
    made.insert(1, {"type": "Collection", "id": "first", "flux:licence": "l1"})
    return [*made, another(9999, "first"), own(3, gsd=9)]


def with_neighbours(catalog: SqlCatalog) -> SqlCatalog:
    """Give a catalogue with something in it."""
    text = Text(fr="t", en="t")
    catalog.put_collection(Collection(id="licensed", title=text, description=text, licence_id="of-it"))
    catalog.put_mosaic(Mosaic(id="m", title=text, description=text))
    return catalog


def rows(catalog: SqlCatalog) -> list[list[Any]]:
    """Give all that is kept of scenes."""
    with catalog._engine.connect() as connection:
        tables = ("mosaics_scenes", "mosaics_summaries", "mosaics_collections")
        return [list(connection.execute(sa.text(f"SELECT * FROM {t} ORDER BY 1, 2"))) for t in tables]


def nothing(_done: float, _report: Report) -> None:
    """Show nothing."""


def waiting_for(second: SecondProcess, then: Progress = nothing) -> Progress:
    """Wait until the second process can take over: after the first chunk."""

    def progress(done: float, report: Report) -> None:
        deadline = time.monotonic() + 60
        while second._child is not None and not second.is_ready() and time.monotonic() < deadline:
            time.sleep(0.005)
        then(done, report)

    return progress


def test_the_same_comes_of_it(bench: Bench, second: SecondProcess) -> None:
    path = bench.write("items.ndjson", *mixed())
    alone, beside = with_neighbours(bench.catalog("alone")), with_neighbours(bench.catalog("beside"))
    first = Importing(catalog=alone, task=bench.task)
    first.run(path, nothing)
    busy: list[bool] = []
    both = Importing(catalog=beside, task=bench.task, second=second)
    both.run(path, waiting_for(second, lambda _done, _report: busy.append(second._is_busy)))
    assert busy == [False, True, True, True, False]  # the first chunk was prepared here, the others there
    assert both.report == first.report
    assert (first.report.added, first.report.replaced, first.report.refused) == (1801, 1, 90)
    assert first.report.licences == {"été", "of-it", "l1"}
    assert rows(beside) == rows(alone)
    again = Importing(catalog=beside, task=bench.task, second=second)
    changed = bench.write("changed.ndjson", *mixed()[:-1], own(4, gsd=9))
    again.run(changed, waiting_for(second))
    assert (again.report.added, again.report.replaced, again.report.unchanged) == (0, 2, 1801 - 1)
    once_more = Importing(catalog=alone, task=bench.task)
    once_more.run(changed, nothing)
    assert rows(beside) == rows(alone)


def test_of_what_is_there_no_summaries_are_made(bench: Bench) -> None:
    path = bench.write("items.ndjson", *(own(number) for number in range(3)))
    for packs in (True, False):
        chunk = Preparing(bench.task, Begin(path=path)).take(Wish(packs=packs))
        assert [step.scene.summary is not None for step in chunk.steps] == [packs] * 3


def test_long_items_make_short_chunks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing_module, "_MOST_CHARACTERS", 3000)
    path = bench.write("items.ndjson", *(own(number, note="x" * 1000) for number in range(5)))
    preparing = Preparing(bench.task, Begin(path=path))
    chunks = [preparing.take(Wish()) for _ in range(3)]
    assert [len(chunk.steps) for chunk in chunks] == [2, 2, 1]
    assert [chunk.is_last for chunk in chunks] == [False, False, True]


def test_a_document_is_read_by_one_of_them(bench: Bench, second: SecondProcess) -> None:
    document = {"type": "FeatureCollection", "features": [own(number) for number in range(900)]}
    path = bench.write("items.json", document)
    importing = Importing(catalog=bench.catalog("one"), task=bench.task, second=second)
    importing.run(path, nothing)
    assert (importing.report.added, second._child) == (900, None)


def test_where_a_file_breaks_off_what_was_before_is_there(bench: Bench, second: SecondProcess) -> None:
    path = bench.write("items.ndjson", *(own(number) for number in range(900)), "x" * 16_000_001)
    catalog = bench.catalog("one")
    importing = Importing(catalog=catalog, task=bench.task, second=second)
    with pytest.raises(IngestError, match=r"items\.ndjson, line 901: it is too long"):
        importing.run(path, waiting_for(second))
    assert importing.report.added == catalog.scene_count("c") == 900


def test_if_it_dies_whole_batches_are_there_and_the_next_run_goes_on(
    bench: Bench, second: SecondProcess
) -> None:
    path = bench.write("items.ndjson", *(own(number) for number in range(4000)))
    catalog = bench.catalog("one")
    importing = Importing(catalog=catalog, task=bench.task, second=second)

    def kill(_done: float, report: Report) -> None:
        if report.done == 800:
            assert second._child is not None
            second._child.process.kill()
            second._child.process.wait()

    with pytest.raises(IngestError, match=r"items\.ndjson: the process that reads it ended \(SIGKILL\)"):
        importing.run(path, waiting_for(second, kill))
    done = importing.report.done
    assert catalog.scene_count("c") == done
    assert (done >= 800, done < 4000, done % 400) == (True, True, 0)
    next_run = Importing(catalog=catalog, task=bench.task, second=second)
    next_run.run(path, nothing)
    assert (next_run.report.unchanged, next_run.report.added) == (done, 4000 - done)


def test_a_file_that_was_given_up_leaves_nothing_for_the_next(bench: Bench, second: SecondProcess) -> None:
    path = bench.write("items.ndjson", *(own(number) for number in range(1300)))
    catalog = bench.catalog("one")

    def stop(_done: float, report: Report) -> None:
        if report.done == 800:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Importing(catalog=catalog, task=bench.task, second=second).run(path, waiting_for(second, stop))
    assert catalog.scene_count("c") == 800
    importing = Importing(catalog=catalog, task=bench.task, second=second)
    importing.run(path, waiting_for(second))
    assert (importing.report.unchanged, importing.report.added) == (800, 500)


def test_what_nobody_foresaw_is_told(bench: Bench, second: SecondProcess) -> None:
    path = bench.write("items.ndjson", own(1))
    second.start()
    waiting_for(second)(0.0, Report())
    second.begin(Begin(path=path), Wish())
    assert second.take(Wish(licences=3)).is_last  # type: ignore[arg-type] # wrong on purpose
    second.begin(Begin(path=path), Wish(licences=3))  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(IngestError, match=r"items\.ndjson: it can't be read further: TypeError"):
        second.take(Wish())


def test_it_ends_with_whoever_started_it(bench: Bench) -> None:
    second = SecondProcess(bench.task)
    second.start()
    waiting_for(second)(0.0, Report())
    child = second._child
    assert child is not None
    child.wishes.close()
    assert child.process.wait(30) == 0
    second.close()


def test_where_none_can_be_started_one_does_it_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    path = bench.write("items.ndjson", *(own(number) for number in range(500)))
    with closing(SecondProcess(bench.task)) as second:
        importing = Importing(catalog=bench.catalog("one"), task=bench.task, second=second)
        importing.run(path, nothing)
        assert second._child is None
    assert importing.report.added == 500


def test_no_process_is_left(bench: Bench) -> None:
    with closing(SecondProcess(bench.task)) as second:
        second.start()
        assert second._child is not None
        process_id = second._child.process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)
