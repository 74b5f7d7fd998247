"""Files are kept open within a bound of bytes: what is known of huge ones is much."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import numpy as np
from scenes import scene

from mosaics.fast import FastReader
from mosaics.models import Bounds, Frame, Scene
from mosaics.tiff.blocks import BlockCache
from tests.conftest import write_raster
from tests.mosaics.test_fast import Nobody

FRAME = Frame(crs="EPSG:2154", bounds=Bounds(572_000, 6_279_990, 572_010, 6_280_000), width=16, height=16)


def files(folder: Path, count: int, side: int = 640) -> list[Scene]:
    """Write files of 16 px blocks: 1600 of them in 640 x 640 px."""
    made = []
    for number in range(count):
        path = folder / f"{number}.tif"
        pixels = np.full((1, side, side), number, "u1")
        write_raster(path, pixels, tiled=True, blockxsize=16, blockysize=16)
        made.append(scene(href=str(path), generation=str(number), width=side, height=side))
    return made


def look(reader: FastReader, one: Scene) -> int:
    return int(reader.read(one, [1], FRAME, "nearest").data[0, 8, 8])


def test_the_least_recently_used_go_when_bytes_are_too_many(tmp_path: Path) -> None:
    made = files(tmp_path, 6)
    reader = FastReader(reference=Nobody(), blocks=BlockCache(0), most_file_bytes=150_000)
    for number, one in enumerate(made[:5]):
        assert look(reader, one) == number
        assert reader._open_bytes == sum(each.size_bytes for each in reader._open.values()) <= 150_000
    kept = [Path(href).stem for href, _ in reader._open]
    assert kept == ["2", "3", "4"]
    before = reader._open_bytes
    assert look(reader, made[2]) == 2
    assert reader._open_bytes == before
    look(reader, made[5])
    assert [Path(href).stem for href, _ in reader._open] == ["4", "2", "5"]
    for one in made:
        reader._forget(one)
    assert (reader._open_bytes, len(reader._open)) == (0, 0)


def test_a_file_that_is_replaced_is_counted_once(tmp_path: Path) -> None:
    (one,) = files(tmp_path, 1)
    reader = FastReader(reference=Nobody(), blocks=BlockCache(0))
    look(reader, one)
    before = reader._open_bytes
    fresh = write_raster(
        tmp_path / "fresh.tif", np.full((1, 640, 640), 9, "u1"), tiled=True, blockxsize=16, blockysize=16
    )
    fresh.rename(one.href)
    assert look(reader, one) == 9
    assert reader._open_bytes == before


def test_a_file_that_is_too_much_alone_is_read_and_not_kept(tmp_path: Path) -> None:
    (one,) = files(tmp_path, 1)
    reader = FastReader(reference=Nobody(), blocks=BlockCache(0), most_file_bytes=30_000)
    for _ in range(2):
        assert look(reader, one) == 0
        assert (reader._open_bytes, len(reader._open)) == (0, 0)


def test_what_is_counted_is_about_what_is_held(tmp_path: Path) -> None:
    made = files(tmp_path, 20, side=1280)
    reader = FastReader(reference=Nobody(), blocks=BlockCache(0))
    look(reader, made[0])
    gc.collect()
    tracemalloc.start()
    try:
        for one in made[1:]:
            look(reader, one)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    counted = reader._open_bytes * 19 / 20
    assert 0.5 * counted < held < 1.2 * counted
