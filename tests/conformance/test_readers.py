"""Each file is drawn by the reader that docs/formats.md says."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling

from mosaics.errors import MosaicsError
from mosaics.fast import FastReader
from mosaics.gdal import unplaced_files_expected
from mosaics.models import Band, Bounds, Frame, Raster
from mosaics.tiff.blocks import BlockCache
from tests.conftest import IMAGERY, ROOT, position_pixels, write_raster
from tests.mosaics.scenes import scene

DOCUMENT = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
SECTION = DOCUMENT.partition("## Which reader draws it")[2].partition("\n## ")[0]
ROWS = [line for line in SECTION.splitlines() if line.startswith("| ") and "is read by" not in line]
FAST, OTHER = (row.split("|")[1] for row in ROWS)
CODECS = ("none", "LZW", "DEFLATE", "ZSTD", "JPEG", "WebP")
TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")


class Asked(Exception):  # noqa: N818 - it is no error
    """The reference was asked."""


class Reference:
    def read(self, *_: object, **__: object) -> Raster:
        raise Asked

    sample: Any = read


def reader_of(path: Path) -> str:
    """Tell which reader draws a file: fast, other, or none where it can't be read."""
    with unplaced_files_expected():
        try:
            with rasterio.open(path) as source:
                height, width, count = *source.shape, source.count
                (left, bottom, right, top) = source.bounds
                crs = "EPSG:3857" if source.crs is None else source.crs.to_wkt()
        except rasterio.errors.RasterioError:
            return "none"
        bounds = Bounds(min(left, right), min(bottom, top), max(left, right), max(bottom, top))
        one = scene(
            href=str(path), width=width, height=height, bands=tuple(Band(name=str(n)) for n in range(count))
        )
        frame = Frame(crs=crs, bounds=bounds, width=16, height=16)
        try:
            FastReader(reference=Reference(), blocks=BlockCache(0)).read(one, [1], frame, "bilinear")
        except Asked:
            return "other"
        except MosaicsError:
            return "none"
    return "fast"


def small(path: Path, **options: Any) -> Path:
    """Write a small picture, in tiles and coloured unless said otherwise."""
    kind = options.pop("dtype", "uint8")
    count = options.pop("count", 3)
    if kind == "int8":
        pixels = (position_pixels(160, 128, count) // 2).astype("int8")
    else:
        pixels = position_pixels(160, 128, count).astype(kind)
    layout = {"tiled": True, "blockxsize": 64, "blockysize": 64, "photometric": "MINISBLACK", "alpha": "NO"}
    return write_raster(path, pixels, **{**layout, **options})


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_of_the_fast_reader(tmp_path: Path, codec: str) -> None:
    assert codec in FAST
    coloured = {"photometric": "RGB", "interleave": "pixel"} if codec in {"JPEG", "WebP"} else {}
    options = {} if codec == "none" else {"compress": codec.lower()}
    assert reader_of(small(tmp_path / "a.tif", **options, **coloured)) == "fast"


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_types_and_layouts_of_the_fast_reader(tmp_path: Path, dtype: str, interleave: str) -> None:
    assert "whole numbers of 8 to 64 bits, floats; pixel or band interleaved" in FAST
    predictor = 3 if dtype.startswith("float") else 2
    for number, more in enumerate(
        (
            {},
            {"tiled": False, "blockysize": 16},
            {"bigtiff": "YES"},
            {"compress": "deflate", "predictor": predictor},
            {"nodata": 7},
            {"crs": "EPSG:3031"},
        )
    ):
        path = small(tmp_path / f"{number}.tif", dtype=dtype, interleave=interleave, **more)
        assert reader_of(path) == "fast", more


def test_masks_of_the_fast_reader(tmp_path: Path) -> None:
    assert "nodata, alpha, internal mask" in FAST
    assert reader_of(small(tmp_path / "a.tif", count=4, photometric="RGB", alpha="YES")) == "fast"
    masked = small(tmp_path / "b.tif")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(masked, "r+") as target:
        target.write_mask(np.eye(160, 128, dtype="u1") * 255)
        target.build_overviews([2, 4], Resampling.nearest)
    assert reader_of(masked) == "fast"


def some_levels_masked(path: Path) -> Path:
    """Overviews first, then a mask of the finest level alone."""
    small(path)
    with rasterio.open(path, "r+") as target:
        target.build_overviews([2], Resampling.nearest)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as target:
        target.write_mask(np.full((160, 128), 255, "u1"))
    return path


@pytest.mark.parametrize(
    ("words", "make"),
    [
        ("LERC", lambda path: small(path, compress="lerc")),
        ("another codec", lambda path: small(path, compress="packbits")),
        ("another codec", lambda path: small(path, compress="lzma")),
        ("12 bits", lambda path: small(path, dtype="uint16", nbits=12)),
        ("and the like", lambda path: small(path, nbits=4, count=1)),
        ("and the like", lambda path: small(path, dtype="float32", nbits=16)),
        ("big-endian", lambda path: small(path, endianness="BIG")),
        ("a mask on some levels only", some_levels_masked),
    ],
)
def test_what_rio_tiler_draws(tmp_path: Path, words: str, make: Any) -> None:
    assert words in OTHER
    assert reader_of(make(tmp_path / "a.tif")) == "other"


def is_for_the_fast_reader(path: Path) -> bool:
    """Tell by what GDAL says of a file, and its first bytes, what the table says."""
    with unplaced_files_expected(), rasterio.open(path) as source:
        if source.driver != "GTiff":
            return False
        codec = source.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION", "none").replace("YCbCr ", "")
        bits = {source.tags(n, ns="IMAGE_STRUCTURE").get("NBITS") for n in source.indexes}
        placed = source.crs is not None and not source.transform.is_identity and not source.gcps[0]
        types = set(source.dtypes)
    return (
        codec.lower() in {word.lower() for word in CODECS}
        and bits == {None}
        and types <= set(TYPES)
        and len(types) == 1
        and placed
        and path.read_bytes()[:2] == struct.pack("<H", 0x4949)
    )


REAL = sorted(p for p in IMAGERY.rglob("*") if p.suffix.lower() in {".tif", ".tiff", ".jp2"})


@pytest.mark.imagery
@pytest.mark.parametrize("path", REAL, ids=[str(path.relative_to(IMAGERY)) for path in REAL])
def test_real_files_go_where_the_table_says(path: Path) -> None:
    found = reader_of(path)
    if found == "none":
        assert re.search("truncated|corrupt|zero_bytes|spot_dimap1", str(path)), "it is whole"
        return
    assert found == ("fast" if is_for_the_fast_reader(path) else "other")


@pytest.mark.imagery
def test_the_named_exceptions_are_all() -> None:
    """Of the real files that are placed on Earth, those alone go to rio-tiler that the document names."""
    named = set(re.findall(r"`([^`]+\.(?:tif|jp2))`", SECTION))
    found = set()
    for path in REAL:
        with unplaced_files_expected():
            try:
                with rasterio.open(path) as source:
                    placed = source.crs is not None and not source.transform.is_identity
                    served = placed and source.driver == "GTiff" and "complex" not in source.dtypes[0]
            except rasterio.errors.RasterioError:
                continue
        if served and path.relative_to(IMAGERY).parts[0] != "skeletons" and reader_of(path) == "other":
            found.add(path.name)
    assert found == named
