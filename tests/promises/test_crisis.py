"""A crisis: new scenes come in while many look; who may see them does soon, others see the old ones.

Forty scenes are banked by the command line over an area that a mosaic shows, while twenty clients ask for its
tiles: half of them for an institution with the crisis grant, half for one without. Then the new ones go.
"""

from __future__ import annotations

import http.client
import io
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mosaics.grids import find_grid, load_grids
from mosaics.models import Bounds
from tests.conftest import ROOT, SCALE, Server, flux, serving, wait_until, write_raster
from tests.promises.conftest import Show

COLUMNS, ROWS = 8, 5
CLIENTS = 20
SECONDS = 5.0 if SCALE >= 1 else 15.0
"""Within which a scene must be seen; on a machine that runs other tests beside this, more."""
ZOOM, LEFT, TOP = 14, 8270, 5950
"""Of the tiles that the new scenes are as large as."""
OLD, NEW = 60, 200
"""Grey levels of scenes before and in the crisis."""


@dataclass
class Client(threading.Thread):
    """Asks for one tile after the other, and notes what it saw when."""

    port: int
    key: str
    over: threading.Event
    statuses: list[int] = field(default_factory=list)
    seen_new: dict[int, float] = field(default_factory=dict)
    """By tile, when it was first seen as in the crisis."""
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Ask until all is over."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self.over.is_set():
            for number in range(COLUMNS * ROWS):
                self._ask(line, number)
                if self.over.wait(0.005):
                    break
        line.close()

    def _ask(self, line: http.client.HTTPConnection, number: int) -> None:
        status, level = shown(line, self.key, number)
        self.statuses.append(status)
        if status != 200:
            return
        if abs(level - NEW) <= 2:
            self.seen_new.setdefault(number, time.monotonic())
        elif abs(level - OLD) > 2 or number in self.seen_new:
            self.wrong.append(f"tile {number}: {level}")


def shown(line: http.client.HTTPConnection, key: str, number: int) -> tuple[int, int]:
    """Ask for one of the tiles; gives the status, and the grey level where there is a picture."""
    column, row = LEFT + number % COLUMNS, TOP + number // COLUMNS
    address = f"/tiles/area/WebMercatorQuad/{ZOOM}/{column}/{row}.png"
    line.request("GET", address, headers={"X-API-Key": key})
    answer = line.getresponse()
    body = answer.read()
    if answer.status != 200:
        return answer.status, -1
    return answer.status, int(np.median(np.asarray(Image.open(io.BytesIO(body)).convert("L"))))


def grey(level: int, seed: int, size: int = 64) -> np.ndarray:
    """Give pixels of a level whose content is nobody else's."""
    pixels = np.full((3, size, size), level, np.uint8)
    pixels[:, 0, :8] = [(seed >> bit) % 2 + level for bit in range(8)]
    return pixels


def square(path: Path, bounds: Bounds, pixels: np.ndarray) -> Path:
    """Write pixels as wide as bounds in Web Mercator."""
    resolution = (bounds.right - bounds.left) / pixels.shape[2]
    origin = (bounds.left, bounds.top)
    return write_raster(
        path, pixels, crs="EPSG:3857", origin=origin, resolution=resolution, photometric="RGB"
    )


@pytest.fixture
def area(tmp_path: Path) -> Iterator[tuple[Server, list[Path], list[str]]]:
    """Serve a home with one old scene, the files of forty new ones, and the keys of both institutions."""
    home, grid = tmp_path / "home", find_grid(load_grids(), "WebMercatorQuad")
    frames = [grid.frame(ZOOM, LEFT + n % COLUMNS, TOP + n // COLUMNS).bounds for n in range(COLUMNS * ROWS)]
    around = Bounds(
        frames[0].left, frames[0].top - 8 * (frames[0].top - frames[0].bottom), frames[7].right, frames[0].top
    )
    old = square(tmp_path / "old_20240101.tif", around, grey(OLD, 0, 512))
    new = [square(tmp_path / f"new{n}_20240601.tif", b, grey(NEW, n + 1)) for n, b in enumerate(frames)]
    flux(home, "bank", str(old), "--collection", "before", "--licence", "all")
    away = square(tmp_path / "away_20240601.tif", Bounds(0, 0, 100, 100), grey(NEW, 99))
    flux(home, "bank", str(away), "--collection", "crisis")
    flux(home, "mosaic", "create", "area")
    for institution in ("sdis", "other"):
        flux(home, "institution", "add", institution)
        flux(home, "grant", "add", institution, "--licence", "all")
    for operator in ("ops", "ops2"):
        flux(home, "operator", "add", operator)
    keys = [flux(home, "key", "create", name).stdout.strip() for name in ("sdis", "other")]
    line = ["grant", "crisis", "sdis", "--event", "EMSR1", "--area", "1,40,3,46", "--collection", "crisis"]
    made = flux(home, *line, "--hours", "24", "--by", "ops")
    found = re.search(r"grt_\w+|g[a-z0-9_-]{8,}", made.stdout + made.stderr)
    assert found is not None, made.stdout + made.stderr
    flux(home, "grant", "approve", found[0], "--by", "ops2")
    with serving(home, workers=2) as server:
        yield server, new, keys


def test_forty_scenes_come_in_while_twenty_look(
    area: tuple[Server, list[Path], list[str]], show: Show
) -> None:
    server, files, keys = area
    over = threading.Event()
    clients = [Client(server.port, keys[n % 2], over) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        wait_until(lambda: all(len(c.statuses) > COLUMNS * ROWS for c in clients), seconds=60)
        banked = bank(server.home, files)
        allowed = clients[::2]
        wait_until(lambda: all(len(c.seen_new) == len(files) for c in allowed), seconds=60)
        time.sleep(1)
    finally:
        over.set()
    for client in clients:
        client.join(30)
    assert {status for client in clients for status in client.statuses} == {200}
    assert not [wrong for client in clients for wrong in client.wrong]
    assert not any(client.seen_new for client in clients[1::2]), "who has no crisis grant sees the old scene"
    waits = [client.seen_new[number] - banked[number] for client in allowed for number in banked]
    show(
        f"{len(files)} new scenes seen by {len(allowed)} clients after {np.median(waits):.2f} s, "
        f"at most {max(waits):.2f} s"
    )
    assert max(waits) <= SECONDS
    flux(
        server.home,
        "scene",
        "remove",
        "--collection",
        "crisis",
        "--where",
        "datetime > '2024-02-01'",
        "--yes",
    )
    waited = until_old(server, keys[0], len(files))
    show(f"{len(files)} scenes taken out are seen no more after {waited:.2f} s")
    assert waited <= SECONDS


def until_old(server: Server, key: str, tiles: int) -> float:
    """Wait until the old scene shows in all tiles again; gives seconds."""
    begun = time.monotonic()
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)

    def is_old() -> bool:
        seen = [shown(line, key, number) for number in range(tiles)]
        assert {status for status, _ in seen} == {200}
        return all(abs(level - OLD) <= 2 for _, level in seen)

    wait_until(is_old, seconds=60)
    line.close()
    return time.monotonic() - begun


def bank(home: Path, files: list[Path]) -> dict[int, float]:
    """Bank files by the command line; gives when each was said to be banked, by its number."""
    command = [
        sys.executable,
        "-m",
        "server",
        "--home",
        str(home),
        "bank",
        *map(str, files),
        "--collection",
        "crisis",
    ]
    done, said = {}, []
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            found = re.search(r"banked \S+ \S*new(\d+)_", line)
            if found:
                done[int(found[1])] = time.monotonic()
    assert process.returncode == 0, "".join(said)
    assert len(done) == len(files), "".join(said)
    return done
