"""Tiles that were drawn ahead: served as they lie there, counted as others, refused as others.

Each of the conditions is broken alone; then the tile is made, and is what it is in a home without companions.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from structlog.testing import capture_logs

from mosaics.catalog.index import CatalogIndex
from mosaics.registry import BUILT_IN
from tests.conftest import (
    write_raster,
)
from tests.server.conftest import Asgi, run_all
from tests.server.visual.world import (
    EDGE,
    Drawn,
    Recorded,
    X,
    Y,
    Z,
    address,
    texture,
    tile_range,
    visual_of,
)

DAY = "2024-05-17"
SEQUENCES = itertools.count(1000)
"""Of catalogues that differ."""


def test_every_tile_is_the_files_own_bytes(drawn: Drawn) -> None:
    data = Path(visual_of(drawn, "open").href).read_bytes()
    counts = {True: 0, False: 0}
    for tile in tile_range(drawn, "open"):
        reply, ahead = drawn.ask(address(tile=tile))
        counts[ahead] += 1
        assert drawn.plain.get(address(tile=tile)).body == reply.body
        assert (reply.body in data) == ahead
    assert counts[True] > 30
    assert counts[False] > 3


@pytest.mark.parametrize(
    ("end", "headers", "tile", "ahead"),
    [
        (".jpg", {}, (Z, X, Y), True),
        (".jpeg", {}, (Z, X, Y), True),
        ("", {}, (Z, X, Y), True),
        ("", {"accept": "image/webp,*/*"}, (Z, X, Y), True),
        (".jpg", {}, EDGE, True),
        ("", {}, EDGE, False),
        ("", {"accept": "image/webp,*/*"}, EDGE, False),
        (".png", {}, (Z, X, Y), False),
        (".webp", {}, (Z, X, Y), False),
        ("@2x.jpg", {}, (Z, X, Y), False),
    ],
)
def test_which_formats_are_drawn_ahead_as_jpeg(
    drawn: Drawn, end: str, headers: dict[str, str], tile: tuple[int, int, int], ahead: bool
) -> None:
    drawn.check(address(tile=tile, end=end), ahead=ahead, **headers)


@pytest.mark.parametrize(
    ("end", "headers", "tile", "ahead"),
    [
        (".webp", {}, (Z, X, Y), True),
        (".webp", {}, EDGE, True),
        ("", {"accept": "image/webp"}, EDGE, True),
        ("", {"accept": "image/webp"}, (Z, X, Y), False),
        ("", {}, EDGE, False),
        (".jpg", {}, (Z, X, Y), False),
    ],
)
def test_which_formats_are_drawn_ahead_as_webp(
    drawn: Drawn, end: str, headers: dict[str, str], tile: tuple[int, int, int], ahead: bool
) -> None:
    drawn.check(address("webp", tile, end), ahead=ahead, **headers)


@pytest.mark.parametrize(
    ("query", "ahead"),
    [
        ("", True),
        ("?style=default", True),
        ("?style=rgb", True),
        ("?time=default", True),
        ("?time=latest", True),
        (f"?time={DAY}", False),
        (f"?time={DAY}/{DAY}", False),
    ],
)
def test_only_the_default_style_and_time(drawn: Drawn, query: str, ahead: bool) -> None:
    drawn.check(address() + query, ahead=ahead)


def test_another_style_is_made(drawn: Drawn) -> None:
    drawn.check(address("multi"), ahead=True)
    drawn.check(address("multi") + "?style=natural", ahead=True)
    drawn.check(address("multi") + "?style=cir", ahead=False)


@pytest.mark.parametrize(
    ("grid", "ahead"),
    [("WebMercatorQuad", True), ("PM", True), ("WebMercatorQuad_512", False), ("2154_50cm", False)],
)
def test_only_its_own_grid(drawn: Drawn, grid: str, ahead: bool) -> None:
    scene = drawn.services.knowledge.index.newest_first("open")[0]
    found = next(each for each in drawn.services.grids.values() if grid == each.id or grid in each.aliases)
    x, y = scene.footprint.centroid.coords[0]
    zoom = found.zoom_for(1.2, y)
    tiles = found.tiles((x, y, x + 1e-6, y + 1e-6), zoom)
    drawn.check(address(tile=(zoom, tiles.min_col, tiles.min_row), grid=grid), ahead=ahead)


def test_an_area_that_holds_the_tile_and_one_that_cuts_it(drawn: Drawn) -> None:
    whole = drawn.check(address("granted"), "whole", ahead=True)
    around = drawn.check(address("granted"), "around", ahead=True)
    assert (around.body, around.headers["etag"]) == (whole.body, whole.headers["etag"])
    cut = drawn.check(address("granted"), "cut", ahead=False)
    pixels = np.asarray(Image.open(io.BytesIO(cut.body)).convert("RGB"))
    assert (pixels[:, :8] > 250).all()
    assert (pixels[:, -8:].min(axis=2) < 250).all()
    assert cut.headers["etag"] != whole.headers["etag"]


def test_a_limit_of_resolution_comes_first(drawn: Drawn) -> None:
    finest = address("granted", (18, X * 2, Y * 2))
    drawn.check(finest, "whole", ahead=True)
    drawn.check(address("granted"), "coarse", ahead=True)
    refused, ahead = drawn.ask(finest, "coarse")
    assert (refused.status, ahead) == (403, False)
    assert refused.json == drawn.plain.get(finest, {"x-api-key": drawn.keys["coarse"]}).json


def test_who_may_not_see_it_is_refused_as_ever(drawn: Drawn) -> None:
    drawn.check(address("granted"), "whole", ahead=True)
    drawn.stored.asked.clear()
    missing = address("granted").replace("granted", "missing")
    for key, status in ((None, 401), ("none", 404)):
        refused, ahead = drawn.ask(address("granted"), key)
        other, _ = drawn.ask(missing, key)
        assert (refused.status, ahead) == (status, False)
        assert (refused.body, other.status) == (other.body, status)
    refused, ahead = drawn.ask("/public" + address("granted"), "whole")
    assert (refused.status, ahead) == (401, False)
    assert drawn.stored.asked == []


def test_of_two_scenes_the_newer_has_the_say(drawn: Drawn) -> None:
    drawn.check(address("pair"), ahead=True)
    assert drawn.stored.given[0].contribution.scene.id.startswith("newer")
    drawn.check(address("pair", EDGE), ahead=False)
    older = next(s.id for s in drawn.services.knowledge.index.newest_first("pair") if "older" in s.id)
    drawn.check(address(f"pair:{older}"), ahead=True)


@contextlib.contextmanager
def changed(drawn: Drawn, **visual: Any) -> Iterator[None]:
    """Change what the catalogue says of the companion of `open`."""
    knowledge = drawn.services.knowledge
    index = knowledge.index
    scene = index.newest_first("open")[0]
    other = dataclasses.replace(scene, visual=dataclasses.replace(scene.visual, **visual))
    scenes = {**index.scenes, ("open", scene.id): other}
    knowledge.index = CatalogIndex.of(scenes.values(), index.collections, sequence=next(SEQUENCES))
    try:
        yield
    finally:
        knowledge.index = index


@pytest.mark.parametrize(
    "other",
    [{"style_digest": "0" * 16}, {"renderer_version": 1}, {"source_generation": "x"}, {"quality": 84}],
    ids=str,
)
def test_what_it_was_made_with_must_hold(drawn: Drawn, other: dict[str, Any]) -> None:
    with changed(drawn):  # whose scenes have other tokens than those of the catalogue
        drawn.check(address(), ahead=True, tagged=False)
    with changed(drawn, **other):
        drawn.check(address(), ahead=False, tagged=False)
    drawn.check(address(), ahead=True)


def test_an_operators_style_of_that_name_is_another(
    made: tuple[Path, dict[str, str]], started: Callable[..., Asgi], tmp_path: Path
) -> None:
    (tmp_path / "styles").mkdir()
    style = json.loads((BUILT_IN / "styles" / "rgb.json").read_text())
    style["rescale"] = [[0, 100], [0, 100], [0, 100]]
    (tmp_path / "styles" / "rgb.json").write_text(json.dumps(style))
    asgi = started(made[0], data_folder=tmp_path, tiles={"cache_megabytes": 0, "disk_cache_megabytes": 0})
    stored = Recorded(roots=asgi.application.services.stored.roots)
    object.__setattr__(asgi.application.services, "stored", stored)
    reply = asgi.get(address())
    assert (reply.status, stored.asked) == (200, [])
    assert np.asarray(Image.open(io.BytesIO(reply.body))).max() == 255


def test_a_source_that_changed_is_read_and_not_its_companion(drawn: Drawn) -> None:
    scene = drawn.services.knowledge.index.newest_first("open")[0]
    drawn.check(address(), ahead=True)
    status = Path(scene.href).stat()
    os.utime(scene.href, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    try:
        drawn.stored._open.clear()
        with capture_logs() as logs:
            drawn.check(address(), ahead=False)
        assert [entry["event"] for entry in logs] == ["companion_unused"]
    finally:
        os.utime(scene.href, ns=(status.st_atime_ns, status.st_mtime_ns))
    drawn.stored._open.clear()
    drawn.check(address(), ahead=True)


def test_a_missing_companion_is_no_error(drawn: Drawn) -> None:
    path = Path(visual_of(drawn, "open").href)
    drawn.check(address(), ahead=True)
    path.rename(path.with_suffix(".away"))
    try:
        drawn.check(address(), ahead=False)
    finally:
        path.with_suffix(".away").rename(path)
    drawn.stored._open.clear()
    drawn.check(address(), ahead=True)


def test_a_304_and_the_same_key(drawn: Drawn) -> None:
    reply = drawn.check(address(), ahead=True)
    again, _ = drawn.ask(address(), **{"if-none-match": reply.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert reply.headers["content-type"] == "image/jpeg"


def test_it_is_counted_like_any_other_and_kept_nowhere(
    made: tuple[Path, dict[str, str]], started: Callable[..., Asgi], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(made[0], home)
    key = {"x-api-key": made[1]["whole"]}
    before = counted(home)
    asgi = started(home)
    services = asgi.application.services
    replies = [asgi.get(address("granted"), key) for _ in range(3)]
    assert [reply.status for reply in replies] == [200] * 3
    etag = replies[0].headers["etag"].strip('"')
    assert services.cache.get(etag) is None
    assert services.deep_cache.get(etag) is None
    services.meter.fold()
    after = counted(home)
    assert after["answers"] - before["answers"] == 3
    assert after["bytes"] - before["bytes"] == sum(len(reply.body) for reply in replies)


def counted(home: Path) -> dict[str, int]:
    done = run_all(home, ["usage", "--by", "collection", "--json"])[0]
    assert done.status == 0, done.stderr
    rows = [row for row in json.loads(done.stdout) if row["collection"] == "granted"]
    return rows[0] if rows else {"answers": 0, "bytes": 0}


def test_banking_again_says_what_became_of_the_tiles(
    made: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(made[0], home, copy_function=shutil.copy2)
    path = str(made[0].parent / "open_20240517.tif")
    polar = write_raster(
        tmp_path / "polar.tif",
        texture(300, 300, 5),
        crs="EPSG:3413",
        origin=(100_000.0, -100_000.0),
        resolution=10,
        photometric="RGB",
    )
    shutil.rmtree(home / "data" / "visuals" / "webp")
    again, other, refused, plain = run_all(
        home,
        ["bank", path, "--visual", "--json"],
        ["bank", path, "--visual", "--visual-format", "webp"],
        ["bank", str(polar), "--visual", "--json"],
        ["bank", str(polar), "--json"],
    )
    (row,) = json.loads(again.stdout)
    assert (again.status, row["status"], row["visual"]) == (0, "unchanged", "unchanged")
    assert other.status == 0
    assert "tiles drawn\n" in other.stderr
    (row,) = json.loads(refused.stdout)
    assert (refused.status, row["status"], row["visual"]) == (1, "banked", "failed")
    assert "outside WebMercatorQuad" in row["reason"]
    assert "outside WebMercatorQuad" in refused.stderr
    (row,) = json.loads(plain.stdout)
    assert (plain.status, row["status"]) == (0, "unchanged")
    assert "visual" not in row
