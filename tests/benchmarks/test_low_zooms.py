"""The files of the benchmark of low zooms: each lies where its item says."""

from __future__ import annotations

from pathlib import Path

import rasterio
from rasterio.warp import transform_bounds

from benchmarks.catalogue_world import DATES, cells, items
from benchmarks.low_zooms import EXTENT, TILES, ZOOMS, low_tiles, make_files


def test_each_scene_has_a_file_of_its_own_place(tmp_path: Path) -> None:
    pictures, folder, count = tmp_path / "pictures", tmp_path / "images", 6 * DATES
    pictures.mkdir()
    for name in ("whole.tif", *(cell.source for cell in cells(4))):
        (pictures / name).write_bytes(b"picture")
    make_files(pictures, folder, count)
    plain = [item for item in items(count, folder) if not is_picture(item["assets"]["data"]["href"])]
    assert len(plain) == 2 * DATES
    colours = set()
    for item in plain:
        with rasterio.open(item["assets"]["data"]["href"]) as file:
            assert [*file.shape] == item["properties"]["proj:shape"]
            assert file.crs.to_epsg() == 2154
            bounds = transform_bounds(file.crs, "OGC:CRS84", *file.bounds)
            assert max(abs(a - b) for a, b in zip(bounds, item["bbox"], strict=True)) < 1e-3
            colours.add(tuple(file.read(window=((0, 1), (0, 1))).ravel().tolist()))
    assert len(colours) > 1


def is_picture(path: str) -> bool:
    return Path(path).read_bytes() == b"picture"


def test_tiles_lie_within_the_scenes() -> None:
    assert {zoom: len(low_tiles(zoom)) for zoom in ZOOMS} == dict.fromkeys(ZOOMS, TILES)
    assert low_tiles(9) == low_tiles(9)
    assert EXTENT.left < EXTENT.right
