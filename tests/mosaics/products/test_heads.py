"""Heads of real and made files tell what GDAL tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from mosaics.gdal import unplaced_files_expected
from mosaics.products.heads import read_head
from tests.conftest import IMAGERY, write_raster


@pytest.mark.parametrize(
    "profile",
    [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}, {"BIGTIFF": "YES", "ENDIANNESS": "BIG"}],
)
@pytest.mark.parametrize("text", ["", "abc", '{"properties": {"a": 1}}'])
def test_tiffs_of_all_kinds(tmp_path: Path, profile: dict[str, str], text: str) -> None:
    tags = {"TIFFTAG_IMAGEDESCRIPTION": text} if text else None
    path = write_raster(tmp_path / "a.tif", np.ones((3, 7, 11), "uint16"), tags=tags, **profile)
    found = read_head(path)
    assert found is not None
    assert (found.height, found.width, found.samples, found.description) == (7, 11, 3, text)


def test_jpeg_2000(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.jp2", np.ones((3, 70, 110), "uint8"), driver="JP2OpenJPEG")
    found = read_head(path)
    assert found is not None
    assert (found.height, found.width, found.samples) == (70, 110, 3)


@pytest.mark.imagery
@pytest.mark.parametrize(
    "name",
    [
        "derived/rotterdam_pan1_zstd_bigtiff.tif",
        "odd/no_cog_strips.tif",
        "odd/rgb_4326_as_jp2_name.jp2",
        "odd/above_31bands_cog.tif",
        "skeletons/pneo_pleiades_jp2/IMG_md_ple_R1C1.jp2",
    ],
)
def test_real_files(name: str) -> None:
    found = read_head(IMAGERY / name)
    with unplaced_files_expected(), rasterio.open(IMAGERY / name) as source:
        assert found is not None
        assert (found.height, found.width, found.samples) == (source.height, source.width, source.count)


@pytest.mark.parametrize(
    "content", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0+\0\x08\0\0", b"hello", b"II*\0" * 99]
)
def test_what_is_no_image_has_no_head(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    assert read_head(tmp_path / "a.tif") is None
    assert read_head(tmp_path / "missing.tif") is None
