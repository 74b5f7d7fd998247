"""Scenes in an S3 store: the pixels of the same file on disk, of what was banked, in few requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling as GdalResampling
from scenes import scene

from mosaics.errors import NobodyWaitsError, SceneUnreadableError
from mosaics.fast import FastReader
from mosaics.models import Band, Bounds, Frame, Scene
from mosaics.places import DataRoot, ObjectPrefix
from mosaics.read import RioTilerReader
from mosaics.tiff.blocks import BlockCache
from mosaics.tiff.objects import CHECK_SECONDS, ObjectStore
from mosaics.tiff.scene_files import ObjectReplacedError, SceneFiles
from tests.conftest import IMAGERY, SCALE, imagery, position_pixels, write_raster
from tests.object_store import BUCKET, Gate, Store

LEFT, TOP = 572_000.0, 6_280_000.0


def noise(bands: int, dtype: str, size: int = 1100) -> np.ndarray:
    values = np.random.default_rng(bands).integers(1, 250, (bands, size // 8, size // 8))
    return values.repeat(8, axis=1).repeat(8, axis=2).astype(dtype)


def holed(values: np.ndarray) -> np.ndarray:
    values[:, 200:500, 300:420] = 0
    return values


COG = {"driver": "COG", "blocksize": 256}
LAYOUTS: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
    "jpeg": (position_pixels(1100, 1200), {**COG, "compress": "jpeg"}),
    "jpeg-mask": (position_pixels(1100, 1200), {**COG, "compress": "jpeg", "mask": True}),
    "webp-alpha": (noise(4, "uint8"), {**COG, "compress": "webp", "alpha": True}),
    "deflate": (holed(noise(4, "uint16")), {**COG, "compress": "deflate", "predictor": "yes", "nodata": 0}),
    "zstd-float": (noise(1, "float32"), {**COG, "compress": "zstd", "predictor": "yes"}),
    "bands": (noise(3, "uint16"), {"interleave": "band", "tiled": True, "blockxsize": 64, "blockysize": 64}),
    "strips-big": (noise(2, "int16"), {"bigtiff": "yes", "compress": "lzw", "levels": [2, 4]}),
    "lerc": (noise(1, "float32"), {**COG, "compress": "lerc"}),
    "big-endian": (noise(2, "uint16"), {"endianness": "big", "tiled": True, "levels": [2]}),
}
BY_REFERENCE = {"lerc", "big-endian"}


def written(
    path: Path,
    values: np.ndarray,
    *,
    mask: bool = False,
    alpha: bool = False,
    levels: object = None,
    **options: Any,
) -> Path:
    if mask or alpha:
        plain = write_raster(
            path.with_name("plain.tif"), values, photometric="RGB", alpha="YES" if alpha else "NO"
        )
        outline = np.full(values.shape[1:], 255, "u1")
        outline[300:800, 100:900] = 0
        with rasterio.open(plain, "r+") as target:
            if alpha:
                target.write(outline, 4)
            else:
                target.write_mask(outline)
        rasterio.shutil.copy(plain, path, **options)
        return path
    write_raster(path, values, **options)
    if levels:
        with rasterio.open(path, "r+") as target:
            target.build_overviews(levels, GdalResampling.average)
    return path


def scene_of(path: Path, href: str, generation: str) -> Scene:
    with rasterio.open(path) as source:
        count = source.count - (source.colorinterp[-1].name == "alpha")
        size = {"width": source.width, "height": source.height}
    bands = tuple(Band(name=str(number)) for number in range(1, count + 1))
    return scene(href=href, generation=generation, bands=bands, ground_resolution=0.5, **size)


def put(store: Store, path: Path, key: str) -> Scene:
    return scene_of(path, f"s3://{BUCKET}/{key}", store.put(key, path))


def reader(
    objects: ObjectStore | None, cache: int = 200_000_000, roots: tuple[DataRoot, ...] | None = None
) -> FastReader:
    files = SceneFiles(objects, roots)
    return FastReader(reference=RioTilerReader(files=files), blocks=BlockCache(cache), files=files)


def frame(x: float, y: float, pixel: float, size: int = 256) -> Frame:
    """Give a frame whose upper left is some metres inside of the scene."""
    left, top = LEFT + x, TOP - y
    return Frame(
        crs="EPSG:2154",
        bounds=Bounds(left, top - pixel * size, left + pixel * size, top),
        width=size,
        height=size,
    )


FRAMES = [
    frame(20, 30, 0.5),
    frame(201.3, 99.1, 0.37),
    frame(-40, 10, 1.1),
    frame(0, 0, 2.7),
    frame(9e5, 0, 1),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_pixels_are_those_of_the_local_file(
    gate: Gate, store: Store, tmp_path: Path, layout: str
) -> None:
    values, options = LAYOUTS[layout]
    path = written(tmp_path / "a.tif", values, **options)
    there, here = put(store, path, f"layouts/{layout}.tif"), scene_of(path, str(path), "")
    far, near = reader(gate.objects()), reader(None)
    indexes = list(range(1, len(there.bands) + 1))
    for view in FRAMES:
        for resampling in ("nearest", "bilinear", "cubic"):
            found = far.read(there, indexes, view, resampling)
            expected = near.read(here, indexes, view, resampling)
            assert np.array_equal(found.valid, expected.valid)
            assert np.array_equal(found.data, expected.data)
    assert [each.raster is None for each in far._open.values()] == [layout in BY_REFERENCE]
    place = rasterio.warp.transform("EPSG:2154", "OGC:CRS84", [LEFT + 60.2], [TOP - 70.3])
    for resolution in (0.0, 3.0):
        value = far.sample(there, place[0][0], place[1][0], resolution)
        assert value == near.sample(here, place[0][0], place[1][0], resolution)
        assert value is not None


@pytest.mark.imagery
def test_real_cogs_are_read_alike(gate: Gate, store: Store) -> None:
    for path in sorted(imagery("odd").glob("*cog*.tif")):
        if path.stat().st_size > 20_000_000:
            continue
        try:
            here = scene_of(path, str(path), "")
            with rasterio.open(path) as source:
                bounds, crs = source.bounds, source.crs
        except rasterio.errors.RasterioError:
            continue
        if crs is None or not bounds.top > bounds.bottom:
            continue
        there = put(store, path, f"odd/{path.name}")
        view = Frame(crs=crs.to_wkt(), bounds=Bounds(*bounds), width=200, height=180)
        answers = []
        for one, objects in ((here, None), (there, gate.objects())):
            try:
                answers.append(reader(objects).read(one, [1], view, "bilinear"))
            except SceneUnreadableError:
                answers.append(None)
        here_read, there_read = answers
        assert (here_read is None) == (there_read is None), path.name
        if here_read is not None and there_read is not None:
            assert np.array_equal(here_read.valid, there_read.valid), path.name
            assert np.array_equal(here_read.data, there_read.data, equal_nan=True), path.name
    assert IMAGERY.is_dir()


def test_a_tile_costs_a_request_for_each_row_of_blocks(gate: Gate, store: Store, tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 65_535, (4, 2048, 2048), "uint16")  # 512 kB a block
    path = written(tmp_path / "a.tif", values, **COG, compress="deflate")
    one, far = put(store, path, "counted.tif"), reader(gate.objects())
    far.read(one, [1, 2, 3], frame(9e5, 0, 0.5), "bilinear")
    assert gate.asked() == ["GET"], "opening"
    blocks = far.blocks
    far.read(one, [1, 2, 3], frame(200, 200, 0.5, 500), "bilinear")  # pixels 400 to 900
    assert len(blocks._blocks) == 9
    assert gate.asked() == ["GET"] * 3
    far.read(one, [1, 2, 3], frame(205, 205, 0.5, 400), "bilinear")
    assert gate.asked() == []
    smooth = written(tmp_path / "b.tif", position_pixels(2048, 2048), **COG, compress="deflate")
    two = put(store, smooth, "smooth.tif")
    far.read(two, [1, 2, 3], frame(200, 200, 0.5, 500), "bilinear")
    assert gate.asked() == ["GET"] * 2, "opening, and all rows at once"


def test_long_directories_cost_one_request_more(gate: Gate, store: Store, tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", np.zeros((1, 12_000, 12_000), "u1"), **{**COG, "blocksize": 128})
    one, far = put(store, path, "long.tif"), reader(gate.objects())
    assert not far.read(one, [1], frame(9e5, 0, 0.5), "bilinear").valid.any()
    assert gate.asked() == ["GET"] * 2
    assert sum(level.offsets.nbytes for each in far._open.values() for level in each.raster.levels) > 90_000


def test_by_the_reference_too_a_tile_costs_few_requests(gate: Gate, store: Store, tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", noise(1, "float32", 2048), **COG, compress="lerc")
    one, far = put(store, path, "lerc.tif"), reader(gate.objects())
    far.read(one, [1], frame(200, 200, 0.5, 500), "bilinear")
    gate.asked()
    far.read(one, [1], frame(200, 200, 0.5, 500), "bilinear")
    assert len(gate.asked()) <= 5


def test_many_threads_read_by_the_reference(gate: Gate, store: Store, tmp_path: Path) -> None:
    """GDAL calls back into Python from each of them."""
    values, options = LAYOUTS["lerc"]
    path = written(tmp_path / "a.tif", values, **options)
    one, far = put(store, path, "threads.tif"), reader(gate.objects())
    expected = [
        reader(None).read(scene_of(path, str(path), ""), [1], view, "bilinear").data for view in FRAMES
    ]

    def look(turn: int) -> bool:
        view = turn % len(FRAMES)
        found = far.read(one, [1], FRAMES[view], "bilinear")
        return np.array_equal(found.data, expected[view])

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(look, range(60)))


def test_another_object_in_its_place_is_not_shown(gate: Gate, store: Store, tmp_path: Path) -> None:
    clock = [1000.0]
    one_path, two_path = (
        written(tmp_path / f"{colour}.tif", np.full((1, 600, 600), colour, "u1"), **COG, compress="none")
        for colour in (10, 200)
    )
    one = put(store, one_path, "replaced.tif")
    far = reader(gate.objects(lambda: clock[0]))
    view, other = frame(10, 10, 0.5, 64), frame(250, 250, 0.5, 64)
    assert (far.read(one, [1], view, "nearest").data == 10).all()
    two = put(store, two_path, "replaced.tif")
    assert (far.read(one, [1], view, "nearest").data == 10).all(), "its blocks are here, and a moment old"
    with pytest.raises(SceneUnreadableError) as caught:
        far.read(one, [1], other, "nearest")
    assert isinstance(caught.value.__cause__, ObjectReplacedError)
    with pytest.raises(SceneUnreadableError):
        far.read(one, [1], view, "nearest")
    assert (far.read(two, [1], view, "nearest").data == 200).all(), "banked again"
    store.put("replaced.tif", one_path)
    assert (far.read(one, [1], view, "nearest").data == 10).all(), "put back"
    store.put("replaced.tif", two_path)
    clock[0] += CHECK_SECONDS + 0.1
    with pytest.raises(SceneUnreadableError):
        far.read(one, [1], view, "nearest")


def test_states_are_never_mixed(gate: Gate, store: Store, tmp_path: Path) -> None:
    """An object changes all the time while threads read it: each picture is of one colour, or none."""
    paths = [
        written(tmp_path / f"{colour}.tif", np.full((1, 700, 700), colour, "u1"), **COG, compress="none")
        for colour in (10, 200)
    ]
    one, two = (put(store, path, "changing.tif") for path in paths)
    far = reader(gate.objects(), cache=200_000)
    over, colours, refused = threading.Event(), set(), []

    def look(banked: Scene) -> None:
        while not over.is_set():
            try:
                found = np.unique(far.read(banked, [1], frame(0, 0, 0.5, 700), "nearest").data)
            except SceneUnreadableError:
                refused.append(banked)
                continue
            assert found.tolist() == [10 if banked is one else 200]
            colours.update(found.tolist())

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look, banked) for banked in (one, two) * 2]
        turn = 0
        while turn < max(10, round(200 * SCALE)) or (len(colours) < 2 and turn < 500):
            store.put("changing.tif", paths[turn % 2])
            time.sleep(0.02)
            turn += 1
        over.set()
        for each in looking:
            each.result(30)
    assert colours == {10, 200}
    assert refused


FAULTS: dict[str, Callable[[], Any]] = {
    "refused": lambda: 403, "missing": lambda: 404, "busy": lambda: 503, "cut": lambda: "cut",
    "short": lambda: "short", "slow": lambda: "stall",
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("layout", ["deflate", "lerc"])
def test_what_goes_wrong_makes_the_scene_unreadable(
    gate: Gate, store: Store, tmp_path: Path, fault: str, layout: str
) -> None:
    """At opening and later; the pixels that did not come are never pixels without data."""
    values, options = LAYOUTS[layout]
    one = put(store, written(tmp_path / "a.tif", values, **options), f"faults/{layout}.tif")
    objects = gate.objects(timeout_seconds=1.0 if fault == "slow" else 20.0)
    opened = reader(objects)
    opened.read(one, [1], frame(9e5, 0, 0.5), "bilinear")

    def later(request: Any) -> Any:
        return None if request.range[0] == 0 else FAULTS[fault]()

    for far, when in ((opened, later), (reader(objects), lambda _: FAULTS[fault]())):
        gate.fault = when
        with pytest.raises(SceneUnreadableError) as caught:
            far.read(one, [1], FRAMES[0], "bilinear")
        assert caught.value.__cause__ is not None
        gate.fault = lambda _: None
        assert far.read(one, [1], FRAMES[0], "bilinear").valid.any()


def test_the_reference_stops_between_requests_when_nobody_waits(
    gate: Gate, store: Store, tmp_path: Path
) -> None:
    values = np.random.default_rng(1).random((1, 1500, 1500), "float32")
    one = put(store, written(tmp_path / "a.tif", values, **COG, compress="lerc"), "stopped.tif")
    far = reader(gate.objects())
    with pytest.raises(NobodyWaitsError):
        far.read(one, [1], FRAMES[0], "bilinear", lambda: len(gate.requests) >= 3)
    assert gate.asked() == ["GET"] * 3
    far.read(one, [1], FRAMES[0], "bilinear")
    assert len(gate.asked()) > 3


def test_nothing_outside_the_prefixes_is_asked_for(gate: Gate, store: Store, tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", *LAYOUTS["jpeg"][:1], **LAYOUTS["jpeg"][1])
    one = put(store, path, "allowed/a.tif")
    guarded = reader(gate.objects(), roots=(tmp_path, ObjectPrefix(BUCKET, "allowed/")))
    assert guarded.read(one, [1], FRAMES[0], "bilinear").valid.all()
    gate.asked()
    for href in (f"s3://{BUCKET}/other/a.tif", "s3://other/allowed/a.tif", f"s3://{BUCKET}/allowed/../a.tif"):
        with pytest.raises(SceneUnreadableError):
            guarded.read(scene(href=href), [1], FRAMES[0], "bilinear")
        with pytest.raises(SceneUnreadableError):
            guarded.sample(scene(href=href), 1.4, 43.6, 0.0)
    assert gate.asked() == []


def test_without_a_store_an_object_is_unreadable() -> None:
    with pytest.raises(SceneUnreadableError):
        reader(None).read(scene(href=f"s3://{BUCKET}/a.tif"), [1], FRAMES[0], "bilinear")
