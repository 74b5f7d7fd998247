"""Banking that is killed at any moment leaves whole scenes or nothing, and the next run goes on there."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auth.edits import add
from auth.models import PUBLIC
from auth.reach import EVERYWHERE, Selector
from auth.rules import new_grant
from server.database import sqlite_module
from tests.conftest import ROOT, SCALE, flux, position_pixels, wait_until, write_raster
from tests.promises.bundle import write_bundle
from tests.promises.conftest import Show, rights_of
from tests.server.conftest import Asgi

KILLS = max(3, round(20 * SCALE))
SIZE = 1024
"""Columns and rows of the panchromatic images."""
SCENES = {"pleiades:PHR1B_MS_one", "rgb:field_20240517"}
MULTIHASH = "1220"


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of a bundle in sensor geometry and a plain image."""
    folder = tmp_path_factory.mktemp("inbox")
    write_bundle(folder / "one", "one", size=SIZE, seed=1)
    noise = np.random.default_rng(3).integers(0, 9, (3, 700, 800)).astype("uint8")
    write_raster(folder / "field_20240517.tif", position_pixels(700, 800) // 2 + noise, photometric="RGB")
    return folder


@dataclass(frozen=True)
class Banked:
    """What a home holds."""

    home: Path

    @property
    def data(self) -> Path:
        return self.home / "data"

    def items(self) -> dict[str, dict[str, Any]]:
        """Give the items of the catalogue by layer; the database must be whole."""
        path = self.home / "flux.db"
        if not path.exists():
            return {}
        with closing(sqlite_module.connect(path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            tables = database.execute("SELECT name FROM sqlite_master WHERE name = 'mosaics_scenes'")
            if tables.fetchone() is None:
                return {}
            rows = database.execute("SELECT collection_id, item FROM mosaics_scenes").fetchall()
        found = [(collection, json.loads(item)) for collection, item in rows]
        return {f"{collection}:{item['id']}": item for collection, item in found}

    def check_files(self) -> set[Path]:
        """See that every file of every scene is as its item states it; give them."""
        found = set()
        for item in self.items().values():
            for asset in item["assets"].values():
                path = self.data / asset["href"]
                assert path.is_file(), f"{item['id']} is catalogued without {path.name}"
                if "data" in asset["roles"]:
                    digest = hashlib.sha256(path.read_bytes()).hexdigest()
                    assert asset["file:checksum"] == MULTIHASH + digest
                    found.add(path)
        return found

    def files(self) -> set[Path]:
        """Give the images that lie where images are kept, catalogued or not."""
        return {path for path in (self.data / "cogs").rglob("*.tif") if ".banking-" not in str(path)}

    def unfinished(self, name: str = "") -> list[Path]:
        """Give what is not finished, or what has a name in it."""
        return [
            found
            for work in self.data.rglob(".banking-*")
            for found in (work.rglob(name) if name else [work])
        ]


def start(home: Path, *paths: Path) -> subprocess.Popen[str]:
    """Start banking in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "server", "--home", str(home), "bank", *map(str, paths), "--public", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[str], *, alone: bool = False) -> bool:
    """Kill banking with what it started, or it alone; tell whether it was still at work."""
    was_running = process.poll() is None
    group = process.pid
    if was_running:
        (os.kill if alone else os.killpg)(group, signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not _has_members(group), seconds=10, what=lambda: "what it started lives on")
    return was_running


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def finish(home: Path, *paths: Path) -> list[dict[str, Any]]:
    """Bank to the end."""
    process = start(home, *paths)
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    rows: list[dict[str, Any]] = json.loads(out)
    return rows


def check_served(banked: Banked, started: Callable[..., Asgi]) -> None:
    """See that whole scenes are shown, and nothing else that lies on the disk."""
    catalogued = set(banked.items())
    collections = {layer.partition(":")[0] for layer in catalogued}
    if not banked.items():
        flux(banked.home, "layers")  # it may have been killed before there was a database
    everything = Selector(collections=frozenset({"pleiades", "rgb"}))
    with rights_of(banked.home) as change:
        change(add(new_grant(PUBLIC, everything, area=EVERYWHERE, now=datetime.now(UTC))))
    asgi = started(banked.home)
    assert {layer["id"] for layer in asgi.get("/layers").json["layers"]} == collections
    for layer in catalogued:
        assert asgi.get(f"/preview/{layer}").status == 200
    on_disk = {f"{path.relative_to(banked.data / 'cogs').parts[0]}:{path.stem}" for path in banked.files()}
    for layer in {*(on_disk - catalogued), "pleiades:nothing"}:
        assert asgi.get(f"/preview/{layer}").status == 401, "as what there is not"


def test_a_killed_run_leaves_whole_scenes_and_the_next_one_finishes(
    inbox: Path, tmp_path: Path, started: Callable[..., Asgi], show: Show
) -> None:
    chance = random.Random(11)
    span, left, orphans, turn = 6.0, list[int](), 0, 0
    while len(left) < KILLS:
        turn += 1
        banked = Banked(tmp_path / f"home-{turn}")
        process = start(banked.home, inbox)
        wait_until(lambda: banked.data.exists() or process.poll() is not None, seconds=60)  # noqa: B023 - asked within this turn
        time.sleep(chance.uniform(0, span))
        if not kill(process, alone=turn % 2 == 1):
            span *= 0.7
            continue
        kept = banked.check_files()
        left.append(len(banked.items()))
        span *= 1.2  # so that kills come at all of its moments, however quick the machine is
        orphans += len(banked.files() - kept)
        check_served(banked, started)
        statuses = [row["status"] for row in finish(banked.home, inbox)]
        assert statuses.count("unchanged") == left[-1], "what was whole is not banked again"
        assert set(banked.items()) == SCENES
        assert banked.check_files() == banked.files(), "nothing lies there that is not served"
        assert not banked.unfinished()
    show(f"{len(left)} kills: {left} scenes were whole, {orphans} files were not yet catalogued")


def test_finished_steps_are_not_done_again(inbox: Path, tmp_path: Path) -> None:
    banked = Banked(tmp_path / "home")
    process = start(banked.home, inbox / "one")
    wait_until(lambda: bool(banked.unfinished("pan/prepared.json")), seconds=60)
    assert kill(process), "it was still at work"
    (note,), (finished,) = banked.unfinished("pan/prepared.json"), banked.unfinished("data/finished-*.tif")
    prepared = note.with_name(json.loads(note.read_text())["path"])
    was_prepared, was_finished = state(prepared), state(finished)
    # as if it had been killed between the move and the catalogue, too
    moved = banked.data / "cogs/pleiades/pan/PHR1B_MS_one.tif"
    moved.parent.mkdir(parents=True)
    moved.write_bytes(b"of another run")
    assert banked.items() == {}

    process, seen = start(banked.home, inbox / "one"), set()
    while process.poll() is None:
        seen.add(state(prepared))
        time.sleep(0.02)
    said = process.communicate()
    assert process.returncode == 0, said
    assert seen - {None} == {was_prepared}, "the image is not put on the ground again"
    kept = banked.data / "cogs/pleiades/PHR1B_MS_one.tif"
    assert state(kept) == was_finished, "it was only moved"
    assert banked.check_files() == banked.files() == {kept, moved}
    assert not banked.unfinished()


def state(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def test_a_half_copied_delivery_is_refused_and_leaves_nothing(inbox: Path, tmp_path: Path) -> None:
    part = "IMG_PHR1B_P_one_R2C1.TIF"
    for name in ("cut", "missing"):
        shutil.copytree(inbox / "one", tmp_path / name)
    (tmp_path / "missing" / part).unlink()
    cut = tmp_path / "cut" / part
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    reasons = refused(tmp_path / "home", tmp_path / "cut", tmp_path / "missing")
    assert all(part in reason for reason in reasons), reasons
    assert "truncated" in reasons[0]
    assert "missing or empty" in reasons[1]


def test_a_full_disk_is_told_and_leaves_nothing(inbox: Path, tmp_path: Path) -> None:
    limit = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, -1)); "
    run = [sys.executable, "-c", f"{limit}os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"]
    (reason,) = refused(tmp_path / "home", inbox / "one", through=run)
    assert reason.startswith("DIM_PHR1B_")
    assert f"no space left (or none allowed) on the disk of the bank ({tmp_path / 'home'}" in reason


def refused(home: Path, *deliveries: Path, through: Sequence[str] = (sys.executable,)) -> list[str]:
    """Bank deliveries, all of which must be refused and leave nothing; give the reasons."""
    line = ["-m", "server", "--home", str(home), "bank", *map(str, deliveries), "--json"]
    done = subprocess.run(
        [*through, *line], capture_output=True, text=True, cwd=ROOT, check=False, timeout=120
    )
    assert done.returncode == 1, done.stderr
    rows = json.loads(done.stdout)
    assert {row["status"] for row in rows} == {"refused"}
    banked = Banked(home)
    assert banked.items() == {}
    assert banked.files() == set()
    assert not banked.unfinished()
    return [row["reason"] for row in sorted(rows, key=lambda row: str(row["path"]))]
