"""Banking whole files: identity, place, names, and nothing left behind."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import wait
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mosaics.catalog.memory import MemoryCatalog
from mosaics.errors import CatalogUnavailableError, IngestError, MosaicsError
from mosaics.ingest import digests
from mosaics.ingest.bank import Bank
from mosaics.ingest.deliveries.raw import look_at
from mosaics.ingest.naming import scene_id_from
from mosaics.ingest.options import BankOptions, BankResult
from mosaics.item import scene_from_item
from mosaics.models import Collection, Scene
from mosaics.mosaic import mosaic_from
from mosaics.sensors import find_sensor
from tests.mosaics.ingest.conftest import SENSORS, silent

RNG = np.random.default_rng(2)
COG = {"driver": "COG", "blocksize": 256}


def put(bank: Bank, path: Path, **options: Any) -> BankResult:
    return bank.bank_file(path, BankOptions(**options), silent)


def leftovers(bank: Bank) -> list[Path]:
    return [path for path in bank.home_data.rglob("*") if not path.is_dir() or path.name.startswith(".")]


def test_a_file_is_converted_and_registered(bank: Bank, make_image: Callable[..., Path]) -> None:
    values = RNG.integers(1, 4000, (4, 600, 700)).astype("uint16")
    path = make_image(values, "IMG_PHR1B_PMS_201308051042194_ORT.tif", nodata=0)
    seen: list[tuple[str, float]] = []
    result = bank.bank_file(path, BankOptions(), lambda *report: seen.append(report))
    assert (result.status, result.in_place) == ("banked", False)
    scene = result.scene
    assert scene is not None
    assert (scene.sensor_id, scene.collection_id, scene.kind) == ("pleiades", "pleiades", "optical")
    assert scene.acquired == datetime(2013, 8, 5, 10, 42, 19, tzinfo=UTC)
    assert scene.styles[0] == "natural"
    assert [band.common_name for band in scene.bands] == ["red", "green", "blue", "nir"]
    assert scene.bands[1].p50 == pytest.approx(np.percentile(values[1], 50))
    assert "2013" in scene.attribution
    stored = Path(scene.href)
    assert stored == bank.home_data.resolve() / "cogs/pleiades" / f"{scene.id}.tif"
    assert scene.generation == hashlib.sha256(stored.read_bytes()).hexdigest()
    assert {stage for stage, _ in seen} - {"hashing"} == {"reading", "converting"}
    assert leftovers(bank) == [stored]
    changes = bank.catalog.changes(0)
    (sequence,) = changes.scenes.sequences.tolist()
    item = bank.catalog.item("pleiades", scene.id)
    back = scene_from_item(item, root=bank.home_data.resolve(), sequence=sequence)
    assert dataclasses.replace(back, footprint=scene.footprint) == scene
    assert changes.collections["pleiades"].title.fr == "Pléiades"


def test_the_same_content_is_one_scene(bank: Bank, make_image: Callable[..., Path], tmp_path: Path) -> None:
    path = make_image(RNG.integers(0, 255, (3, 40, 50)).astype("uint8"))
    first = put(bank, path, collection_id="one")
    copy = tmp_path / "other name.tif"
    copy.write_bytes(path.read_bytes())
    again = put(bank, copy, collection_id="two")
    assert (again.status, again.collection_id, again.scene_id) == ("unchanged", "one", first.scene_id)
    assert "banked already" in again.messages[0]
    anew = f"to bank it anew take it out first: dinamis-flux scene remove one:{first.scene_id}"
    assert again.messages[1] == f"its collection is one, not two; {anew}"
    assert bank.catalog.collection("two") is None


def test_whoever_names_another_sensor_hears_how_to_bank_anew(
    bank: Bank, make_image: Callable[..., Path]
) -> None:
    path = make_image(RNG.integers(0, 255, (3, 40, 50)).astype("uint8"))
    first = put(bank, path)
    assert len(put(bank, path, sensor=find_sensor(SENSORS, "rgb"), collection_id="rgb").messages) == 1
    again = put(bank, path, sensor=find_sensor(SENSORS, "aerial"))
    assert again.messages[1].startswith("its sensor is rgb, not aerial; to bank it anew")
    assert bank.catalog.remove_scene("rgb", first.scene_id)
    anew = put(bank, path, sensor=find_sensor(SENSORS, "aerial"))
    assert (anew.status, anew.collection_id) == ("banked", "aerial")


def test_what_is_known_is_known_however_long_its_digest_takes(
    bank: Bank, make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_image(RNG.integers(1, 4000, (4, 600, 700)).astype("uint16"))
    first = put(bank, path, sensor=find_sensor(SENSORS, "pleiades"))
    at_once, examined = digests.file_sha256, threading.Event()
    run = bank.sandbox.run

    def waiting(*arguments: Any) -> str:
        examined.wait(60)
        return at_once(*arguments)

    def then_told(name: str, function: Callable[..., Any], *arguments: Any, **told: Any) -> Any:
        try:
            return run(name, function, *arguments, **told)
        finally:
            if function is not look_at:
                examined.set()

    monkeypatch.setattr(digests, "file_sha256", waiting)
    monkeypatch.setattr(bank.sandbox, "run", then_told)
    for options in ({}, {"nodata": 1e9}):  # the second is refused by who reads it
        examined.clear()
        again = put(bank, path, **options)
        assert (again.status, again.scene_id) == ("unchanged", first.scene_id)
        assert examined.is_set()


def test_a_file_that_can_not_be_hashed_leaves_the_next_one_its_own_answer(
    bank: Bank, make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (
        make_image(RNG.integers(1, 4000, (1, 3000, side)).astype("uint16"), f"{side}.tif")
        for side in (3000, 2000)
    )
    hashed, run, looked_at = digests.file_sha256, bank.sandbox.run, threading.Event()

    def told(name: str, function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        if function is not look_at:
            looked_at.set()
        return run(name, function, *arguments, **more)

    def failing(path: Path, *more: Any) -> str:
        if path.name == bad.name:
            looked_at.wait(60)
            raise IngestError("it can't be read: the disk is broken")
        return hashed(path, *more)

    monkeypatch.setattr(digests, "file_sha256", failing)
    monkeypatch.setattr(bank.sandbox, "run", told)
    with pytest.raises(IngestError, match="the disk is broken"):
        put(bank, bad)
    scene = put(bank, good).scene
    assert scene is not None
    assert scene.width == 2000


def test_nobody_reads_what_is_known_already(
    bank: Bank, make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_image(RNG.integers(1, 4000, (4, 600, 700)).astype("uint16"))
    put(bank, path, sensor=find_sensor(SENSORS, "pleiades"))
    run = bank.sandbox.run

    def only_look(name: str, function: Callable[..., Any], *arguments: Any, **told: Any) -> Any:
        assert function is look_at
        return run(name, function, *arguments, **told)

    monkeypatch.setattr(bank.sandbox, "run", only_look)
    # as if the digest were always found by then
    found = property(lambda self: bool(wait([self._found])))
    monkeypatch.setattr(digests.Digesting, "is_done", found)
    assert put(bank, path).status == "unchanged"


def test_another_mask_is_other_content(bank: Bank, make_image: Callable[..., Path]) -> None:
    path = make_image(np.full((1, 40, 50), 9, dtype="uint8"))
    put(bank, path)
    mask = np.zeros((1, 40, 50), dtype="uint8")
    mask[:, 10:20] = 255
    make_image(mask, "image.tif.msk", crs=None, transform=None)
    result = put(bank, path)
    assert result.status == "banked"
    assert result.scene_id.startswith("image-")
    assert len(result.scene_id) == len("image-") + 8


def test_a_good_cog_under_a_data_root_is_served_in_place(
    bank: Bank, make_image: Callable[..., Path], tmp_path: Path
) -> None:
    values = RNG.integers(0, 255, (3, 900, 900)).astype("uint8")
    path = make_image(values, "root/scene.tif", driver="COG", blocksize=256)
    rooted = dataclasses.replace(bank, data_roots=[tmp_path / "root"])
    result = put(rooted, path)
    assert result.in_place
    assert result.scene is not None
    assert result.scene.href == str(path.resolve())
    assert result.scene.generation == hashlib.sha256(path.read_bytes()).hexdigest()
    assert leftovers(rooted) == []


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("elsewhere/a.tif", COG, "under no data root"),
        ("root/été.tif", COG, "characters"),
        ("root/plain.tif", {}, "no valid COG"),
        ("root/bare.tif", {**COG, "overviews": "NONE"}, "no overviews"),
    ],
)
def test_others_are_converted_and_the_reason_is_told(
    bank: Bank, make_image: Callable[..., Path], name: str, options: dict[str, Any], reason: str
) -> None:
    path = make_image(RNG.integers(0, 255, (3, 900, 900)).astype("uint8"), name, **options)
    rooted = dataclasses.replace(bank, data_roots=[bank.home_data.parent / "root"])
    result = put(rooted, path)
    assert not result.in_place
    assert reason in result.messages[0]


def test_a_link_into_a_data_root_counts_as_what_it_leads_to(
    bank: Bank, make_image: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_image(np.ones((1, 64, 64), dtype="uint8"), "elsewhere/a.tif", driver="COG", blocksize=128)
    (tmp_path / "root").mkdir()
    link = tmp_path / "root/a.tif"
    link.symlink_to(path)
    assert not put(dataclasses.replace(bank, data_roots=[tmp_path / "root"]), link).in_place


def test_options_win_over_what_is_found(bank: Bank, make_image: Callable[..., Path]) -> None:
    path = make_image(
        np.ones((3, 20, 20), dtype="uint8"),
        "20170831_172754_101c_3B_Visual.tif",
        tags={"IMAGERY": {"ACQUISITIONDATETIME": "2011-01-01T00:00:00Z"}},
    )
    acquired = datetime(2001, 2, 3, tzinfo=UTC)
    result = put(
        bank,
        path,
        collection_id="crisis-1",
        licence_id="open",
        sensor=find_sensor(SENSORS, "rgb"),
        acquired=acquired,
        attribution="© us",
    )
    scene = result.scene
    assert scene is not None
    assert (scene.collection_id, scene.licence_id, scene.sensor_id) == ("crisis-1", "open", "rgb")
    assert (scene.acquired, scene.attribution) == (acquired, "© us")
    assert bank.catalog.collection("crisis-1").licence_id == "open"
    other = make_image(np.full((3, 20, 20), 5, dtype="uint8"), "b.tif")
    inherited = put(bank, other, collection_id="crisis-1").scene
    assert inherited is not None
    assert inherited.licence_id == "open"


def test_tags_win_over_names(bank: Bank, make_image: Callable[..., Path]) -> None:
    path = make_image(
        np.ones((3, 20, 20), dtype="uint8"),
        "20170831_172754_101c_3B_Visual.tif",
        tags={
            None: {"ACQUISITIONDATETIME": "2011-01-01T00:00:00Z", "TIFFTAG_DATETIME": "2020:01:01 00:00:00"}
        },
    )
    scene = put(bank, path).scene
    assert scene is not None
    assert scene.acquired == datetime(2011, 1, 1, tzinfo=UTC)


def test_a_sensor_that_does_not_fit_is_refused_with_the_way_out(
    bank: Bank, make_image: Callable[..., Path]
) -> None:
    path = make_image(np.ones((2, 20, 20), dtype="float32"))
    with pytest.raises(IngestError) as caught:
        put(bank, path, sensor=find_sensor(SENSORS, "pleiades"))
    text = str(caught.value)
    assert "2 bands of float32" in text
    assert "4 bands of uint8 or uint16" in text
    assert "multispectral" in text


def test_a_collection_cannot_have_the_id_of_a_mosaic(bank: Bank, make_image: Callable[..., Path]) -> None:
    bank.catalog.put_mosaic(mosaic_from({"id": "coast"}))
    with pytest.raises(IngestError, match="'coast' is the id of a mosaic"):
        put(bank, make_image(np.ones((1, 8, 8), dtype="uint8")), collection_id="coast")
    assert leftovers(bank) == []


def test_a_mosaic_that_took_the_id_meanwhile_fails_the_file_alone(
    bank: Bank, make_image: Callable[..., Path]
) -> None:
    class Late(MemoryCatalog):
        def put_collection(self, collection: Collection) -> None:
            self.put_mosaic(mosaic_from({"id": collection.id}))
            super().put_collection(collection)

    late = dataclasses.replace(bank, catalog=Late())
    with pytest.raises(IngestError, match="'coast' is the id of a mosaic"):
        put(late, make_image(np.ones((1, 8, 8), dtype="uint8")), collection_id="coast")
    assert leftovers(late) == []


@pytest.mark.parametrize("name", ["Pleiades", "a b", "", "../x", "-a", "a" * 65])
def test_collection_names_follow_the_grammar(bank: Bank, make_image: Callable[..., Path], name: str) -> None:
    with pytest.raises(IngestError, match="can't name a collection"):
        put(bank, make_image(np.ones((1, 8, 8), dtype="uint8")), collection_id=name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IMG_1.tif", "IMG_1"),
        ("scène été (1).tif", "scene-ete-1"),
        ("..__-x.tif", "x"),
        ("日本.tif", "scene"),
        ("a" * 200 + ".tif", "a" * 119),
        ("no ending", "no-ending"),
    ],
)
def test_scene_ids_are_made_of_names(name: str, expected: str) -> None:
    assert scene_id_from(Path(name).stem) == expected


def test_the_quicklook_is_stored_and_may_fail(bank: Bank, make_image: Callable[..., Path]) -> None:
    def fail(_scene: Scene) -> bytes:
        raise MosaicsError("no style")

    pictured = dataclasses.replace(bank, quicklook=lambda scene: scene.id.encode())
    put(pictured, make_image(np.ones((1, 8, 8), dtype="uint8"), "a.tif"), collection_id="c")
    assert (bank.home_data / "quicklooks/c/a.webp").read_bytes() == b"a"
    item = bank.catalog.item("c", "a")
    assert item["assets"]["thumbnail"]["href"] == "quicklooks/c/a.webp"
    result = put(
        dataclasses.replace(bank, quicklook=fail), make_image(np.zeros((1, 8, 8), dtype="uint8"), "b.tif")
    )
    assert result.status == "banked"
    assert "no quicklook could be made: no style" in result.messages[-1]


def test_nothing_is_left_when_the_catalogue_fails(bank: Bank, make_image: Callable[..., Path]) -> None:
    class Broken(MemoryCatalog):
        def put_scene(self, collection_id: str, item: dict[str, Any], digest: str) -> int:
            raise CatalogUnavailableError("away")

    broken = dataclasses.replace(bank, catalog=Broken(), quicklook=lambda _: b"picture")
    with pytest.raises(CatalogUnavailableError):
        put(broken, make_image(np.ones((1, 8, 8), dtype="uint8")))
    assert leftovers(broken) == []


def test_nothing_is_left_when_a_file_is_refused(bank: Bank, make_image: Callable[..., Path]) -> None:
    path = make_image(np.ones((1, 8, 8), dtype="uint8"), nodata=1)
    with pytest.raises(IngestError, match="no valid pixel"):
        put(bank, path)
    assert leftovers(bank) == []
    assert bank.catalog.changes(0).scenes.keys == []


def test_a_file_that_changes_meanwhile_is_refused(bank: Bank, make_image: Callable[..., Path]) -> None:
    path = make_image(np.ones((1, 8, 8), dtype="uint8"))

    def meddle(stage: str, _fraction: float) -> None:
        if stage == "reading":
            os.utime(path, (1, 1))

    with pytest.raises(IngestError, match="changed while it was read"):
        bank.bank_file(path, BankOptions(), meddle)
    assert leftovers(bank) == []


def test_missing_file_and_unwritable_home_are_refused(
    bank: Bank, make_image: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(IngestError, match="no such file"):
        put(bank, tmp_path / "missing.tif")
    bank.home_data.mkdir()
    (bank.home_data / "cogs").write_text("in the way")
    with pytest.raises(IngestError, match="can't be written"):
        put(bank, make_image(np.ones((1, 8, 8), dtype="uint8")))


def test_old_leftovers_of_a_killed_process_are_swept(bank: Bank, make_image: Callable[..., Path]) -> None:
    folder = bank.home_data / "cogs/grey"
    for name, age in (("old", 2 * 86_400), ("new", 60)):
        stale = folder / f".banking-{name}"
        stale.mkdir(parents=True)
        (stale / "base.tif").write_bytes(b"x")
        then = datetime.now(UTC).timestamp() - age
        os.utime(stale, (then, then))
    put(bank, make_image(np.ones((1, 8, 8), dtype="uint8")))
    assert [path.name for path in folder.glob(".banking-*")] == [".banking-new"]
