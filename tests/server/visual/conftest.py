"""The home is banked once for these tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mosaics.stored import StoredBlocks
from tests.conftest import (
    write_raster,
)
from tests.server.conftest import Asgi, run_all
from tests.server.visual.world import Drawn, Recorded, area, texture


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Bank scenes with companions: `open` for all, `granted`, two that lie over each other, one in WebP."""
    folder = tmp_path_factory.mktemp("drawn")
    home = folder / "home"
    paths = {}
    for number, name in enumerate(("open", "granted", "older", "newer", "webp")):
        pixels = texture(1000, 1300, number)
        day = "20240510" if name == "older" else "20240517"
        paths[name] = str(write_raster(folder / f"{name}_{day}.tif", pixels, photometric="RGB"))
    bands = texture(1000, 1300, 77)
    pixels = np.stack([*bands, bands[0][::-1]]).astype("uint16") * 9
    paths["multi"] = str(write_raster(folder / "multi_20240517.tif", pixels))
    cut = area(folder / "cut.geojson", 1.4175, 1.421)
    around = area(folder / "around.geojson", 1, 2)
    lines = [
        ["bank", paths["open"], "--collection", "open", "--public", "--visual", "--json"],
        ["bank", paths["granted"], "--collection", "granted", "--licence", "l", "--visual"],
        ["bank", paths["older"], "--collection", "pair", "--public", "--visual"],
        ["bank", paths["newer"], "--collection", "pair", "--public", "--visual"],
        ["bank", paths["webp"], "--collection", "webp", "--public", "--visual", "--visual-format", "webp"],
        ["bank", paths["multi"], "--collection", "multi", "--public", "--visual", "--sensor", "pleiades"],
        *(["institution", "add", name] for name in ("whole", "cut", "around", "coarse", "none")),
        ["grant", "add", "whole", "--licence", "l"],
        ["grant", "add", "cut", "--licence", "l", "--area", cut],
        ["grant", "add", "around", "--licence", "l", "--area", around],
        ["grant", "add", "coarse", "--licence", "l", "--gsd", "0.6"],
        *(["key", "create", name] for name in ("whole", "cut", "around", "coarse", "none")),
    ]
    done = run_all(home, *lines)
    assert [each.status for each in done] == [0] * len(lines), [each.stderr for each in done]
    (row,) = json.loads(done[0].stdout)
    assert (row["status"], row["visual"]) == ("banked", "made")
    names = ("whole", "cut", "around", "coarse", "none")
    keys = {name: each.stdout.strip() for name, each in zip(names, done[-5:], strict=True)}
    return home, keys


@pytest.fixture(scope="package")
def drawn(made: tuple[Path, dict[str, str]], started: Callable[..., Asgi]) -> Drawn:
    home, keys = made
    kept = {"cache_megabytes": 0, "disk_cache_megabytes": 0}
    asgi, plain = started(home, tiles=kept), started(home, tiles=kept)
    stored = Recorded(roots=asgi.application.services.stored.roots)
    object.__setattr__(asgi.application.services, "stored", stored)
    nowhere = StoredBlocks(roots=())
    object.__setattr__(plain.application.services, "stored", nowhere)
    return Drawn(home, asgi, plain, stored, keys)
