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
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.windows import Window
from structlog.testing import capture_logs

from mosaics.models import EncodedTile
from mosaics.registry import BUILT_IN
from mosaics.stored import StoredBlocks, Unread
from mosaics.visual import StoredBlock
from tests.conftest import (
    Reply,
    Server,
    need_program,
    serving,
    tool_environment,
    write_raster,
)
from tests.server.conftest import Asgi, run_all

Z, X, Y = 17, 66052, 47859
"""A tile wholly within the scenes; its children are at their native zoom."""
EDGE = 17, 66051, 47858
"""A tile that the scenes reach into, at their upper left corner."""
DAY = "2024-05-17"
SEQUENCES = itertools.count(1000)
"""Of catalogues that differ."""


def address(
    layer: str = "open",
    tile: tuple[int, int, int] = (Z, X, Y),
    end: str = ".jpg",
    grid: str = "WebMercatorQuad",
) -> str:
    z, x, y = tile
    return f"/tiles/{layer}/{grid}/{z}/{x}/{y}{end}"


@dataclass
class Recorded(StoredBlocks):
    """Notes what was given."""

    given: list[StoredBlock] = dataclasses.field(default_factory=list)
    asked: list[StoredBlock] = dataclasses.field(default_factory=list)

    def at_once(self, block: StoredBlock) -> EncodedTile | Unread:
        self.asked.append(block)
        found = super().at_once(block)
        if isinstance(found, EncodedTile):
            self.given.append(block)
        return found

    def read(self, block: StoredBlock) -> EncodedTile | None:
        found = super().read(block)
        if found is not None:
            self.given.append(block)
        return found


@dataclass(frozen=True)
class Drawn:
    """A home with companions, asked in this process."""

    home: Path
    asgi: Asgi
    plain: Asgi
    """The same home, where all tiles are made."""
    stored: Recorded
    keys: dict[str, str]

    def ask(self, path: str, key: str | None = None, **headers: str) -> tuple[Reply, bool]:
        """Give the answer, and whether its pixels were drawn ahead."""
        self.stored.given.clear()
        shown = {"x-api-key": self.keys[key]} if key else {}
        reply = self.asgi.get(path, {**shown, **headers})
        return reply, bool(self.stored.given)

    def check(self, path: str, key: str | None = None, *, ahead: bool, **headers: str) -> Reply:
        """Ask, and compare with the home where all tiles are made."""
        reply, found = self.ask(path, key, **headers)
        shown = {"x-api-key": self.keys[key]} if key else {}
        made = self.plain.get(path, {**shown, **headers})
        assert (reply.status, reply.body, reply.headers["etag"]) == (
            made.status,
            made.body,
            made.headers["etag"],
        )
        assert reply.status == 200
        assert found == ahead
        return reply

    @property
    def services(self) -> Any:
        return self.asgi.application.services


def area(path: Path, west: float, east: float) -> str:
    ring = [[west, 40], [east, 40], [east, 50], [west, 50], [west, 40]]
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    return str(path)


def texture(rows: int, columns: int, seed: int) -> np.ndarray:
    """Give three bands of blobs of some 30 pixels, like nowhere else."""
    noise = np.random.default_rng(seed).integers(1, 256, (rows // 30 + 2, columns // 30 + 2, 3)).astype("u1")
    smooth = cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.moveaxis(np.maximum(smooth, 1), -1, 0)


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def drawn(made: tuple[Path, dict[str, str]], started: Callable[..., Asgi]) -> Drawn:
    home, keys = made
    kept = {"cache_megabytes": 0, "disk_cache_megabytes": 0}
    asgi, plain = started(home, tiles=kept), started(home, tiles=kept)
    stored = Recorded(roots=asgi.application.services.stored.roots)
    object.__setattr__(asgi.application.services, "stored", stored)
    nowhere = StoredBlocks(roots=())
    object.__setattr__(plain.application.services, "stored", nowhere)
    return Drawn(home, asgi, plain, stored, keys)


def visual_of(drawn: Drawn, collection: str) -> Any:
    index = drawn.services.knowledge.index
    return next(scene.visual for key, scene in index.scenes.items() if key[0] == collection)


def tile_range(drawn: Drawn, collection: str) -> Iterator[tuple[int, int, int]]:
    """Give all tiles of a companion, those beside the scene included."""
    visual = visual_of(drawn, collection)
    grid = drawn.services.grids.get("WebMercatorQuad")
    for z in range(visual.zooms[0], visual.zooms[1] + 1):
        matrix = grid.matrix(z)
        many = 2 ** (z - visual.zooms[0])
        x0 = round((visual.origin[0] - matrix.origin[0]) / matrix.span)
        y0 = round((matrix.origin[1] - visual.origin[1]) / matrix.span)
        for y in range(y0, y0 + visual.rows * many):
            for x in range(x0, x0 + visual.columns * many):
                yield z, x, y


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
    scene = drawn.services.knowledge.index.by_collection["open"].scenes[0]
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
    older = next(s.id for s in drawn.services.knowledge.index.by_collection["pair"].scenes if "older" in s.id)
    drawn.check(address(f"pair:{older}"), ahead=True)


@contextlib.contextmanager
def changed(drawn: Drawn, **visual: Any) -> Iterator[None]:
    """Change what the catalogue says of the companion of `open`."""
    knowledge = drawn.services.knowledge
    index = knowledge.index
    group = index.by_collection["open"]
    scene = group.scenes[0]
    other = dataclasses.replace(scene, visual=dataclasses.replace(scene.visual, **visual))
    scenes = {**index.scenes, ("open", scene.id): other}
    groups = {**index.by_collection, "open": dataclasses.replace(group, scenes=(other,))}
    knowledge.index = dataclasses.replace(
        index, sequence=next(SEQUENCES), scenes=scenes, by_collection=groups
    )
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
    with changed(drawn):
        drawn.check(address(), ahead=True)
    with changed(drawn, **other):
        drawn.check(address(), ahead=False)
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
    scene = drawn.services.knowledge.index.by_collection["open"].scenes[0]
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


# Decoders.


def pixels_by(name: str, data: bytes, folder: Path, suffix: str) -> np.ndarray:
    if name == "pillow":
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    if name == "opencv":
        return cv2.imdecode(np.frombuffer(data, "u1"), cv2.IMREAD_COLOR)[..., ::-1].astype(int)
    program = need_program("gdal_translate")
    source, result = folder / f"a{suffix}", folder / "a.tif"
    source.write_bytes(data)
    subprocess.run([program, "-q", source, result], env=tool_environment(), check=True, timeout=60)
    with rasterio.open(result) as made:
        return np.moveaxis(made.read([1, 2, 3]), 0, -1).astype(int)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("decoder", ["pillow", "opencv", "gdal"])
@pytest.mark.parametrize(("layer", "end"), [("open", ".jpg"), ("webp", ".webp")])
def test_decoders_show_the_tile_that_is_made(
    drawn: Drawn, tmp_path: Path, decoder: str, layer: str, end: str
) -> None:
    for tile in ((Z, X, Y), (18, X * 2, Y * 2), (17, X + 1, Y)):
        reply = drawn.check(address(layer, tile, end), ahead=True)
        exact = np.asarray(Image.open(io.BytesIO(drawn.plain.get(address(layer, tile, ".png")).body)))
        shown = pixels_by(decoder, reply.body, tmp_path, end)
        assert np.abs(shown - exact[..., :3].astype(int)).mean() < 3
        assert shift(shown, exact) < 0.1


def shift(shown: np.ndarray, exact: np.ndarray) -> float:
    """Give by how many pixels two pictures are apart: the move that explains most of their difference."""
    before, after = (image[..., :3].astype(float).mean(axis=2) for image in (exact, shown))
    slopes = np.column_stack([slope.ravel() for slope in np.gradient(before)])
    moved = np.linalg.lstsq(slopes, (before - after).ravel(), rcond=None)[0]
    return float(np.hypot(*moved))


def test_a_shift_is_noticed() -> None:
    picture = np.moveaxis(texture(256, 258, 9), 0, -1)
    assert shift(picture[:, :256], picture[:, :256]) == 0
    assert shift(picture[:, 1:257], picture[:, :256]) > 0.8


@pytest.mark.parametrize("layer", ["open", "webp"])
def test_gdal_reads_the_companion_as_one_picture(drawn: Drawn, layer: str) -> None:
    visual = visual_of(drawn, layer)
    for z in range(visual.zooms[0], visual.zooms[1] + 1):
        level = visual.zooms[1] - z
        options = {"overview_level": level - 1} if level else {}
        with rasterio.open(visual.href, **options) as source:
            for tile in tile_range(drawn, layer):
                if tile[0] != z:
                    continue
                bounds = drawn.services.grids.get("WebMercatorQuad").frame(*tile).bounds
                column, row = ~source.transform * (bounds.left, bounds.top)
                window = Window(round(column), round(row), 256, 256)
                exact = Image.open(io.BytesIO(drawn.plain.get(address(layer, tile, ".png")).body)).convert(
                    "RGBA"
                )
                rgba = np.asarray(exact).astype(int)
                valid = rgba[..., 3] > 0
                assert ((source.dataset_mask(window=window) > 0) == valid).all()
                if valid.all():
                    shown = np.moveaxis(source.read([1, 2, 3], window=window), 0, -1)
                    assert np.abs(shown - rgba[..., :3]).mean() < 3


def test_workers_serve_it_over_http(made: tuple[Path, dict[str, str]], drawn: Drawn) -> None:
    home, keys = made
    server: Server
    with serving(
        home, workers=1, FLUX_TILES__CACHE_MEGABYTES="0", FLUX_TILES__DISK_CACHE_MEGABYTES="0"
    ) as server:
        for tile in ((Z, X, Y), (Z, X, Y), (18, X * 2, Y * 2)):
            reply = server.get(address("granted", tile), {"x-api-key": keys["whole"]})
            assert reply.status == 200
            assert reply.body == drawn.plain.get(address("granted", tile), {"x-api-key": keys["whole"]}).body
