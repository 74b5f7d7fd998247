"""What workers share while a server runs: made, found too small, and taken away also when somebody dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

import server.shared
from mosaics.tiff.shelf import LOCK
from server.shared import _block_folder, clear_abandoned, memory_bytes, room_megabytes, shared_folders

HOLD = (
    "import fcntl, sys; lock = open(sys.argv[1], 'wb'); fcntl.flock(lock, fcntl.LOCK_SH)\n"
    "print('held', flush=True); sys.stdin.read()"
)


def settings(tmp_path: Path, *, megabytes: int = 100, workers: int = 2) -> Any:
    return SimpleNamespace(
        home=tmp_path,
        tiles=SimpleNamespace(shared_block_megabytes=megabytes),
        http=SimpleNamespace(workers=workers),
    )


def test_folders_are_there_while_the_server_is(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()

    def serve() -> None:
        with shared_folders(settings(tmp_path), memory) as shared:
            assert shared.metrics is not None
            assert shared.blocks is not None
            assert shared.metrics.is_dir()
            assert shared.blocks.parent == memory
            assert shared.blocks.stat().st_mode & 0o777 == 0o700
            assert shared.block_bytes == 100_000_000
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        serve()
    assert list((tmp_path / "run").iterdir()) == []
    assert list(memory.iterdir()) == []


@pytest.mark.parametrize(("more", "given"), [({}, 100), ({"megabytes": 0}, 0), ({"workers": 1}, 0)])
def test_blocks_are_shared_where_there_is_somebody_to_share_with(
    tmp_path: Path, more: dict[str, int], given: int
) -> None:
    with _block_folder(settings(tmp_path, **more), tmp_path) as (folder, size):
        assert size == given * 1_000_000
        assert (folder is not None) == bool(given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("room", "given"), [(70, 70), (63, 0)])
def test_less_room_is_used_and_told_and_too_little_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, given: int
) -> None:
    monkeypatch.setattr(server.shared, "room_megabytes", lambda _: room)
    with capture_logs() as logs, _block_folder(settings(tmp_path), tmp_path) as (folder, size):
        assert (folder is not None, size) == (bool(given), given * 1_000_000)
    assert [(entry["event"], entry["megabytes"]) for entry in logs] == [("little_shared_memory", room)]


@pytest.mark.parametrize("said", ["268435456\n", "max\n", "", None])
def test_a_containers_memory_is_what_it_is_given(tmp_path: Path, said: str | None) -> None:
    limit = tmp_path / "memory.max"
    if said is not None:
        limit.write_text(said)
    machine = memory_bytes(tmp_path / "missing")
    assert machine == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory_bytes(limit) == (min(machine, 2**28) if said and said[0] == "2" else machine)


def test_no_more_than_an_eighth_of_memory_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.shared, "memory_bytes", lambda: 800_000_000)
    assert room_megabytes(tmp_path) == 100


def test_a_machine_without_such_memory_has_none(tmp_path: Path) -> None:
    with _block_folder(settings(tmp_path), tmp_path / "missing") as (folder, size):
        assert (folder, size) == (None, 0)


def test_what_the_dead_left_goes_and_the_living_keep_theirs(tmp_path: Path) -> None:
    dead, living, other = (tmp_path / f"flux-blocks-{name}" for name in ("dead", "living", "other"))
    for folder in (dead, living, other):
        folder.mkdir()
        (folder / "block").write_bytes(b"x")
    (dead / LOCK).touch()  # `other` has none: it is being made, or nobody knows whose it is
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(living / LOCK)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        clear_abandoned(tmp_path)
        assert sorted(folder.name for folder in tmp_path.iterdir()) == [
            "flux-blocks-living",
            "flux-blocks-other",
        ]
        assert (living / "block").exists()
    finally:
        holder.kill()
        holder.communicate()
    clear_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [other]
