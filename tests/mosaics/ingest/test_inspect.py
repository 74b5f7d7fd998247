"""Headers: what is taken over, and every refusal with its reason."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.shutil import copy
from rasterio.transform import Affine

from mosaics.errors import IngestError
from mosaics.gdal import open_raster, unplaced_files_expected
from mosaics.ingest.inspect import inspect

GREY = np.arange(64 * 64, dtype="uint16").reshape(1, 64, 64)
MARS = "+proj=eqc +R=3396190 +units=m +no_defs"


def test_header_is_taken_over(make_image: Callable[..., Path]) -> None:
    path = make_image(
        np.ones((4, 40, 30), dtype="uint8"),
        colours=("blue", "green", "red", "alpha"),
        tags={None: {"MISSION": "X"}, "IMAGERY": {"ACQUISITIONDATETIME": "2020-01-02T03:04:05"}},
        compress="deflate",
        alpha="YES",
    )
    found = inspect(path)
    assert (found.width, found.height, found.band_count, found.alpha_band) == (30, 40, 3, 4)
    assert found.colour_interpretation == ("blue", "green", "red")
    assert (found.mask, found.epsg, found.compression) == ("alpha", 2154, "DEFLATE")
    assert found.tags["MISSION"] == "X"
    assert found.tags["IMAGERY:ACQUISITIONDATETIME"] == "2020-01-02T03:04:05"
    assert found.ground_resolution == pytest.approx(2, rel=2e-3)
    assert found.band_indexes == [1, 2, 3]


@pytest.mark.parametrize(
    "transform",
    [Affine(1.5, 0.7, 650_000, 0.7, -1.5, 6_860_000), Affine(2, 0, 650_000, 0, 2, 6_860_000)],
    ids=["rotated", "south-up"],
)
def test_any_affine_transform_is_kept(make_image: Callable[..., Path], transform: Affine) -> None:
    assert inspect(make_image(GREY, transform=transform)).transform == pytest.approx(tuple(transform[:6]))


def test_external_mask_is_used_and_external_overviews_are_not(make_image: Callable[..., Path]) -> None:
    path = make_image(GREY)
    make_image(np.ones((1, 64, 64), dtype="uint8"), "image.tif.msk", crs=None, transform=None)
    make_image(np.ones((1, 32, 32), dtype="uint16"), "image.tif.ovr", crs=None, transform=None)
    found = inspect(path)
    assert found.mask == "external"
    assert found.external_mask == path.with_name("image.tif.msk")
    assert found.overviews == ()


@pytest.mark.parametrize(
    ("size", "data_type", "words"), [(32, "uint8", "size"), (64, "uint16", "type uint8")]
)
def test_unfit_external_mask_is_noted(
    make_image: Callable[..., Path], size: int, data_type: str, words: str
) -> None:
    path = make_image(GREY)
    make_image(np.ones((1, size, size), dtype=data_type), "image.tif.msk", crs=None, transform=None)
    found = inspect(path)
    assert (found.mask, found.external_mask) == ("none", None)
    assert words in found.notes[0]


def test_external_mask_that_is_a_vrt_is_not_opened(make_image: Callable[..., Path]) -> None:
    path = make_image(GREY)
    path.with_name("image.tif.msk").write_text('<VRTDataset rasterXSize="64" rasterYSize="64"/>')
    found = inspect(path)
    assert found.external_mask is None
    assert "not used" in found.notes[0]


def test_nbits_and_palette(make_image: Callable[..., Path]) -> None:
    assert inspect(make_image(GREY % 4096, nbits=12)).stored_bits == 12
    colours = {0: (0, 0, 0, 255), 1: (250, 10, 20, 255)}
    found = inspect(make_image(np.ones((1, 8, 8), dtype="uint8"), "p.tif", palette=colours))
    assert found.palette[1] == (1, (250, 10, 20, 255))
    assert found.colour_interpretation == ("palette",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"crs": None}, "no georeference .no CRS."),
        ({"transform": None}, "no georeference .no geotransform."),
        ({"crs": None, "transform": None}, "no CRS and no geotransform"),
        ({"crs": MARS}, "not on the Earth"),
        ({"crs": 'LOCAL_CS["site",UNIT["metre",1]]'}, "longitude and latitude"),
    ],
)
def test_nowhere_on_earth_is_refused(
    make_image: Callable[..., Path], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(IngestError, match=words):
        inspect(make_image(GREY, **arguments))


def test_sensor_geometry_is_refused(make_image: Callable[..., Path]) -> None:
    path = make_image(GREY, crs=None, transform=None)
    with unplaced_files_expected(), rasterio.open(path, "r+") as target:
        points = [GroundControlPoint(row=r, col=c, x=c, y=-r) for r in (0, 9) for c in (0, 9)]
        target.gcps = (points, rasterio.crs.CRS.from_epsg(4326))
    with pytest.raises(IngestError, match=r"4 ground control points.*orthorectify"):
        inspect(path)


@pytest.mark.parametrize(
    ("data_type", "words"),
    [("complex64", "detect it first"), ("int64", "not read; convert")],
)
def test_data_types_that_are_not_read(make_image: Callable[..., Path], data_type: str, words: str) -> None:
    with pytest.raises(IngestError, match=words):
        inspect(make_image(np.ones((1, 8, 8), dtype=data_type)))


def test_too_many_bands(make_image: Callable[..., Path]) -> None:
    with pytest.raises(IngestError, match="65 bands"):
        inspect(make_image(np.ones((65, 4, 4), dtype="uint8")))


def sparse(path: Path, width: int, height: int, **options: Any) -> Path:
    """Write a file without any block, which claims to have them."""
    with rasterio.open(
        path,
        "w",
        **{
            "driver": "GTiff",
            "width": width,
            "height": height,
            "count": 1,
            "dtype": "uint8",
            "compress": "deflate",
            "sparse_ok": True,
            "crs": "EPSG:2154",
            "transform": Affine(1, 0, 650_000, 0, -1, 6_860_000),
            **options,
        },
    ):
        pass
    assert path.stat().st_size < 500_000
    return path


@pytest.mark.parametrize(("block", "bands"), [(8192, 1), (4096, 5)], ids=["many pixels", "many bytes"])
def test_huge_blocks_are_refused(tmp_path: Path, block: int, bands: int) -> None:
    path = sparse(
        tmp_path / "bomb.tif", 20_000, 20_000, tiled=True, blockxsize=block, blockysize=block, count=bands
    )
    with pytest.raises(IngestError, match=r"blocks of .* too large"):
        inspect(path)


@pytest.mark.parametrize(("rows", "refused"), [(8000, False), (12_000, True)])
def test_strips_may_be_as_large_as_conversion_can_handle(tmp_path: Path, rows: int, refused: bool) -> None:
    path = tmp_path / "strip.tif"
    # two strips, since GDAL reads a single one row by row
    with open_raster(sparse(tmp_path / "rows.tif", 12_000, 2 * rows)) as source:
        copy(source, path, driver="GTiff", COMPRESS="ZSTD", BLOCKYSIZE=rows)
    if refused:
        with pytest.raises(IngestError, match="blocks of 12000 x 12000 pixels"):
            inspect(path)
    else:
        assert inspect(path).block_shape == (rows, 12_000)


def test_absurd_size_is_refused(tmp_path: Path) -> None:
    path = sparse(
        tmp_path / "huge.tif", 300_000, 300_000, tiled=True, blockxsize=4096, blockysize=4096, bigtiff="YES"
    )
    with pytest.raises(IngestError, match="cut it into parts"):
        inspect(path)


def test_redirecting_tag_is_refused(make_image: Callable[..., Path]) -> None:
    path = make_image(GREY, tags={"OVERVIEWS": {"OVERVIEW_FILE": "/somewhere/else.tif"}})
    with pytest.raises(IngestError, match="OVERVIEW_FILE"):
        inspect(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b'<VRTDataset rasterXSize="1" rasterYSize="1"/>', "VRT"),
        (b"<?xml version='1.0'?><Dimap_Document/>", "metadata"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"PK\x03\x04", "unpack"),
        (b"what is this", "gdal_translate"),
        (b"II*\x00", "truncated"),
        (b"II*\x00" + struct.pack("<I", 5000) + bytes(40), "truncated"),
        (b"MM\x00*" + struct.pack(">I", 8) + b"\xff" * 60, "damaged or cut off"),
    ],
)
def test_what_is_no_geotiff_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "thing.tif"
    path.write_bytes(content)
    with pytest.raises(IngestError, match=words) as caught:
        inspect(path)
    assert str(caught.value).startswith("thing.tif: ")


def test_truncated_blocks_are_found_in_the_header(make_image: Callable[..., Path], tmp_path: Path) -> None:
    path = make_image(GREY)
    whole = make_image(GREY, "cog.tif", driver="COG", blocksize=128)
    cut = tmp_path / "cut.tif"
    shutil.copy(whole, cut)
    with cut.open("r+b") as file:
        file.truncate(whole.stat().st_size - 1000)
    with pytest.raises(IngestError, match="truncated: 1 of 1 blocks"):
        inspect(cut)
    assert inspect(path).file_size == path.stat().st_size


def test_nodata_that_the_type_cannot_hold_is_none(make_image: Callable[..., Path]) -> None:
    path = make_image(np.ones((1, 8, 8), dtype="int16"), nodata=-7777)
    path.write_bytes(path.read_bytes().replace(b"-7777", b"99999"))
    found = inspect(path)
    assert (found.nodata, found.mask) == (None, "none")


@pytest.mark.imagery
def test_jpeg2000_is_told_by_its_content(imagery: Path) -> None:
    assert inspect(imagery / "timeseries/modis_ndvi_2013-09-14.jp2").driver == "JP2OpenJPEG"
    assert inspect(imagery / "odd/rgb_4326_as_jp2_name.jp2").driver == "GTiff"
