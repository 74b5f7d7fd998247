"""Files that no scene has: what is one, and what is never taken away."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mosaics.catalog.memory import MemoryCatalog
from mosaics.errors import IngestError
from mosaics.ingest.bank import Bank
from mosaics.ingest.leftovers import find_leftovers, remove_leftovers
from mosaics.ingest.options import BankOptions, BankResult
from mosaics.ingest.turn import one_at_a_time
from server.quicklook import quicklook_maker
from server.settings import Settings

MakeImage = Callable[..., Path]


@pytest.fixture
def bank(bank: Bank, tmp_path: Path) -> Bank:
    home = tmp_path / "home"
    return replace(bank, home_data=home / "data", quicklook=quicklook_maker(Settings(home=home)))


def put(bank: Bank, make_image: MakeImage, name: str, value: int) -> BankResult:
    path = make_image(np.full((1, 40, 50), value, "uint8"), name)
    return bank.bank_file(path, BankOptions(collection_id="c"), lambda *_: None)


def stray(root: Path, name: str, *, days: float = 0) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left")
    os.utime(path, (time.time() - days * 86_400,) * 2)
    return path


def names(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_files_of_no_scene_are_found_and_removed(bank: Bank, make_image: MakeImage) -> None:
    root = bank.home_data.resolve()
    kept = put(bank, make_image, "a.tif", 3)
    gone = put(bank, make_image, "b.tif", 4)
    assert find_leftovers(root, bank.catalog) == ()
    bank.catalog.remove_scene(gone.collection_id, gone.scene_id)
    stray(root, "cogs/c/pan/killed.tif")
    stray(root, "quicklooks/c/.banking-killed.webp")
    stray(root, "visuals/c/a.0123456789ab.tif", days=2)
    stray(root, "cogs/c/.banking-0123/work/base.tif")
    expected = {
        "cogs/c/b.tif",
        "cogs/c/pan/killed.tif",
        "quicklooks/c/.banking-killed.webp",
        "quicklooks/c/b.webp",
        "visuals/c/a.0123456789ab.tif",
    }
    found = find_leftovers(root, bank.catalog)
    assert [each.path.relative_to(root).as_posix() for each in found] == sorted(expected)
    assert found[1].size == 4
    assert remove_leftovers(root, bank.catalog) == found
    left = {"cogs/c/a.tif", "quicklooks/c/a.webp", "cogs/c/.banking-0123/work/base.tif"}
    assert names(root) == left, "what is served, and what is worked on"
    assert kept.scene is not None
    assert find_leftovers(root, bank.catalog) == ()


def test_tiles_that_were_just_drawn_stay(bank: Bank, make_image: MakeImage) -> None:
    put(bank, make_image, "a.tif", 3)
    drawn = stray(bank.home_data.resolve(), "visuals/c/b.0123456789ab.tif")
    assert [each.path for each in find_leftovers(bank.home_data, bank.catalog)] == [drawn]
    assert remove_leftovers(bank.home_data, bank.catalog) == ()
    assert drawn.exists()


def test_files_of_a_scene_whose_item_is_broken_stay(bank: Bank, make_image: MakeImage) -> None:
    put(bank, make_image, "a.tif", 3)
    put(bank, make_image, "b.tif", 4)
    bank.catalog.put_scene("c", {"id": "b"}, "digest")
    stray(bank.home_data, "visuals/c/b.0123456789ab.tif", days=2)
    assert find_leftovers(bank.home_data, bank.catalog) == ()


def test_an_empty_catalogue_removes_nothing(bank: Bank, make_image: MakeImage) -> None:
    put(bank, make_image, "a.tif", 3)
    before = names(bank.home_data)
    with pytest.raises(IngestError, match="the catalogue has no scene at all"):
        remove_leftovers(bank.home_data, MemoryCatalog())
    assert names(bank.home_data) == before
    assert len(find_leftovers(bank.home_data, MemoryCatalog())) == 2


def test_links_are_left_alone(bank: Bank, make_image: MakeImage, tmp_path: Path) -> None:
    put(bank, make_image, "a.tif", 3)
    (tmp_path / "elsewhere").mkdir()
    precious = stray(tmp_path, "elsewhere/precious.tif")
    (bank.home_data / "cogs" / "linked").symlink_to(tmp_path / "elsewhere")
    (bank.home_data / "cogs" / "c" / "link.tif").symlink_to(precious)
    assert remove_leftovers(bank.home_data, bank.catalog) == ()
    assert precious.exists()


def test_it_waits_for_who_registers(bank: Bank, make_image: MakeImage) -> None:
    root = bank.home_data.resolve()
    put(bank, make_image, "a.tif", 3)
    late = put(bank, make_image, "b.tif", 4)
    item = bank.catalog.item("c", late.scene_id)
    assert item is not None
    bank.catalog.remove_scene("c", late.scene_id)
    removed = []
    remover = threading.Thread(target=lambda: removed.extend(remove_leftovers(root, bank.catalog)))
    with one_at_a_time(root):
        remover.start()
        remover.join(0.2)
        assert remover.is_alive(), "it waits"
        bank.catalog.put_scene("c", item, "digest")
    remover.join()
    assert not removed
    assert (root / "cogs/c/b.tif").exists()
