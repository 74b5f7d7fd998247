"""Which files a list of paths means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mosaics.errors import IngestError
from mosaics.ingest.scan import scan


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path, *paths: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in scan(paths)]


def test_folders_are_searched_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.tif", "a.TIFF", "c/d.jp2", "c/e.JP2", "notes.txt", "a.tif.ovr", "a.tif.msk")
    assert names(tmp_path, tmp_path) == ["a.TIFF", "b.tif", "c/d.jp2", "c/e.JP2"]


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    touch(tmp_path, ".a.tif", ".banking-x/b.tif", "c.tif")
    assert names(tmp_path, tmp_path) == ["c.tif"]


def test_a_named_file_may_end_in_anything(tmp_path: Path) -> None:
    touch(tmp_path, "scene", "z.tif")
    assert names(tmp_path, tmp_path / "z.tif", tmp_path / "scene") == ["z.tif", "scene"]


def test_each_file_is_given_once_whatever_leads_to_it(tmp_path: Path) -> None:
    touch(tmp_path, "data/a.tif")
    (tmp_path / "data/link.tif").symlink_to("a.tif")
    (tmp_path / "data/loop").symlink_to(tmp_path / "data")
    (tmp_path / "data/lost.tif").symlink_to("nowhere.tif")
    (tmp_path / "data/self.tif").symlink_to("self.tif")
    found = names(tmp_path, tmp_path / "data", tmp_path / "data/link.tif", tmp_path / "data")
    assert found == ["data/a.tif"]


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "far/a.tif")
    (tmp_path / "near").mkdir()
    (tmp_path / "near/link").symlink_to(tmp_path / "far")
    assert names(tmp_path, tmp_path / "near") == ["far/a.tif"]


def test_an_empty_folder_gives_nothing(tmp_path: Path) -> None:
    assert scan([tmp_path]) == ()


def test_missing_and_special_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="no such file or folder"):
        scan([tmp_path / "missing.tif"])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IngestError, match="neither"):
        scan([tmp_path / "pipe"])
