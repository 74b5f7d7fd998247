"""Blocks decoded here against GDAL's own reading, over layouts, codecs, types and masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp, Resampling

from mosaics.tiff.blocks import BlockCache
from mosaics.tiff.codecs import BlockDamagedError
from mosaics.tiff.files import FileChangedError, LocalFile, Range
from mosaics.tiff.layout import LayoutUnsupportedError, parse_layout
from mosaics.tiff.raster import TiffRaster, open_tiff
from tests.conftest import IMAGERY, imagery, write_raster


def opened(path: Path) -> TiffRaster:
    return open_tiff(LocalFile(str(path)), BlockCache(50_000_000))


def whole(raster: TiffRaster, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Read all of a level: (bands, height, width) without alpha, and where it is valid."""
    here = raster.levels[level]
    bands = [band for band in range(here.samples) if band != raster.layout.alpha]
    found = raster.pixels(level, slice(0, here.height), slice(0, here.width), [band + 1 for band in bands])
    valid = np.ones((here.height, here.width), bool) if found.valid is None else found.valid > 0
    return np.moveaxis(found.values, -1, 0), valid


def assert_read_alike(path: Path, *, lossy: bool = False) -> None:
    """Every level is what GDAL reads of it, where it is valid."""
    raster = opened(path)
    for number in range(len(raster.levels)):
        with rasterio.open(path, OVERVIEW_LEVEL="NONE" if number == 0 else number - 1) as source:
            bands = [i for i, word in enumerate(source.colorinterp, 1) if word is not ColorInterp.alpha]
            expected = source.read(bands)
            masks = source.read_masks(bands)
        samples, valid = whole(raster, number)
        assert samples.shape == expected.shape
        assert samples.dtype == expected.dtype
        if lossy:  # codecs may round chroma differently
            assert np.abs(samples.astype(float) - expected)[:, valid].mean() < 1.0
        else:
            assert np.array_equal(samples, expected, equal_nan=samples.dtype.kind == "f")
        known = masks.max(axis=0) >= 128  # alpha counts from half on
        if samples.dtype.kind == "f":
            known &= np.isfinite(expected).all(axis=0)
        assert np.array_equal(valid, known)


LAYOUTS = st.fixed_dictionaries(
    {
        "shape": st.tuples(st.integers(1, 5), st.integers(1, 150), st.integers(1, 150)),
        "dtype": st.sampled_from(
            ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
        ),
        "compress": st.sampled_from([None, "deflate", "lzw", "zstd"]),
        "predictor": st.booleans(),
        "interleave": st.sampled_from(["pixel", "band"]),
        "block": st.sampled_from([None, 16, 32, 64]),
        "nodata": st.sampled_from([None, 0, 7]),
        "bigtiff": st.booleans(),
        "levels": st.sampled_from([[], [2], [2, 4]]),
    }
)


def written(path: Path, layout: dict[str, Any]) -> Path:
    _, height, width = layout["shape"]
    values = np.random.default_rng(height * 997 + width).integers(0, 12, layout["shape"])
    options: dict[str, Any] = {"interleave": layout["interleave"], "photometric": "MINISBLACK", "alpha": "NO"}
    if layout["compress"]:
        options["compress"] = layout["compress"]
        if layout["predictor"]:
            options["predictor"] = 3 if layout["dtype"].startswith("float") else 2
    if layout["block"]:
        options |= {"tiled": True, "blockxsize": layout["block"], "blockysize": layout["block"]}
    if layout["bigtiff"]:
        options["bigtiff"] = "YES"
    path.unlink(missing_ok=True)
    write_raster(path, values.astype(layout["dtype"]), nodata=layout["nodata"], **options)
    if layout["levels"] and min(height, width) > 4:
        with rasterio.open(path, "r+") as target:
            target.build_overviews(layout["levels"], Resampling.nearest)
    return path


@given(layout=LAYOUTS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lossless_files_are_read_as_gdal_reads_them(tmp_path: Path, layout: dict[str, Any]) -> None:
    assert_read_alike(written(tmp_path / "a.tif", layout))


@given(layout=LAYOUTS, data=st.data())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_window_is_the_part_of_the_whole(tmp_path: Path, layout: dict[str, Any], data: Any) -> None:
    raster = opened(written(tmp_path / "a.tif", layout))
    here = raster.levels[0]
    slices = []
    for length in (here.height, here.width):
        first = data.draw(st.integers(0, length - 1))
        slices.append(slice(first, data.draw(st.integers(first + 1, length))))
    bands = data.draw(st.lists(st.integers(1, here.samples), min_size=1, max_size=4))
    found = raster.pixels(0, *slices, bands)
    samples, _ = whole(raster, 0)
    assert np.array_equal(np.moveaxis(found.values, -1, 0), samples[[b - 1 for b in bands]][:, *slices])


@pytest.mark.parametrize("photometric", ["RGB", "YCBCR"])
def test_jpeg_with_and_without_shared_tables(tmp_path: Path, photometric: str) -> None:
    y, x = np.mgrid[0:200, 0:300]
    values = np.stack([x * 0.8, y * 1.2, (x + y) * 0.5]).astype("uint8")
    path = write_raster(
        tmp_path / "a.tif", values, compress="jpeg", photometric=photometric, interleave="pixel",
        tiled=True, blockxsize=64, blockysize=64,
    )  # fmt: skip
    assert_read_alike(path, lossy=True)


def test_alpha_and_internal_masks(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(1, 255, (4, 90, 120)).astype("uint8")
    values[3] = np.where(values[3] > 60, 255, 0)
    rgba = write_raster(tmp_path / "rgba.tif", values, photometric="RGB", alpha="YES", tiled=True,
                        blockxsize=32, blockysize=32, interleave="pixel")  # fmt: skip
    assert opened(rgba).layout.alpha == 3
    assert_read_alike(rgba)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        masked = write_raster(tmp_path / "masked.tif", values[:3], tiled=True, blockxsize=32, blockysize=32)
        with rasterio.open(masked, "r+") as target:
            target.write_mask(values[3])
            target.build_overviews([2, 4], Resampling.nearest)
    assert opened(masked).masked
    assert_read_alike(masked)


def test_blocks_that_are_not_there_hold_nothing(tmp_path: Path) -> None:
    for nodata in (None, 9):
        path = tmp_path / f"{nodata}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=100, height=80, count=2, dtype="uint16", crs="EPSG:2154",
            transform=rasterio.transform.from_origin(572_000, 6_280_000, 0.5, 0.5), nodata=nodata,
            tiled=True, blockxsize=32, blockysize=32, sparse_ok=True,
        ) as target:  # fmt: skip
            target.write(np.full((2, 32, 32), 5, "uint16"), window=rasterio.windows.Window(32, 32, 32, 32))
        assert_read_alike(path)


@pytest.mark.imagery
def test_real_files_are_read_as_gdal_reads_them_or_refused() -> None:
    read, refused = 0, 0
    for path in sorted(IMAGERY.rglob("*.tif")):
        try:
            raster = opened(path)
        except (LayoutUnsupportedError, BlockDamagedError, OSError):
            refused += 1
            continue
        if raster.levels[0].width * raster.levels[0].height > 6_000_000 or "corrupt" in path.name:
            continue
        if "truncated" in path.name or "unsorted" in path.name:  # GDAL numbers these levels in another order
            continue
        assert_read_alike(path, lossy=raster.levels[0].compression == 7)
        read += 1
    assert read > 40
    assert refused < 40


def test_a_damaged_block_is_told(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 255, (1, 64, 64)).astype("uint8")
    path = write_raster(
        tmp_path / "a.tif", values, compress="deflate", tiled=True, blockxsize=64, blockysize=64
    )
    raster = opened(path)
    offset = int(raster.levels[0].offsets[0, 0, 0])
    with path.open("r+b") as file:
        file.seek(offset + 10)
        file.write(b"\xff" * 40)
    raster = opened(path)
    with pytest.raises(BlockDamagedError):
        whole(raster, 0)


@pytest.mark.parametrize("size", [0, 3, 8, 64, 200])
def test_what_is_no_whole_file_is_refused(tmp_path: Path, size: int) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((1, 300, 300), "uint8"))
    data = path.read_bytes()[:size]
    with pytest.raises(LayoutUnsupportedError):
        parse_layout(lambda offset, length: data[offset : offset + length])


@given(data=st.binary(max_size=400), place=st.integers(0, 400))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes, place: int) -> None:
    for head in (b"", b"II*\0\x08\0\0\0", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0"):
        whole_file = head + data
        try:
            parse_layout(lambda offset, length, held=whole_file: held[offset : offset + length])
        except LayoutUnsupportedError:
            continue


def test_a_file_that_was_replaced_or_written_to_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old bytes")
    file = LocalFile(str(path))
    assert file.read([Range(0, 3), Range(4, 5)]) == [b"old", b"bytes"]
    other = tmp_path / "b"
    other.write_bytes(b"new bytes")
    other.rename(path)
    with pytest.raises(FileChangedError):
        file.read([Range(0, 3)])
    fresh = LocalFile(str(path))
    assert fresh.identity != file.identity
    path.write_bytes(b"more bytes than before")
    with pytest.raises(FileChangedError):
        fresh.read([Range(0, 3)])


def test_the_finest_level_first_whatever_the_order_in_the_file() -> None:
    if not IMAGERY.is_dir():
        pytest.skip("the real imagery is not beside this checkout")
    with imagery("odd/unsorted_overviews.tif").open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        widths = [level.width for level in parse_layout(read).levels]
    assert widths == sorted(widths, reverse=True)
    assert len(widths) == 4
