"""A COG of image files: GDAL and our own reader find each block where it belongs, byte for byte."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate

from mosaics.tiff.files import LocalFile, Range
from mosaics.tiff.layout import parse_layout
from mosaics.tiff.pictures import PictureCog, Placing

SIDE = 256
PLACING = Placing(epsg=3857, origin=(156543.0339, 5405626.64), cell=0.5971642834779395)
RNG = np.random.default_rng(5)


def picture() -> np.ndarray:
    """Give a block that is like no other, smooth so that little is lost: red, green, blue."""
    corners = RNG.integers(0, 256, (4, 4, 3)).astype("float32")
    return np.clip(cv2.resize(corners, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), 0, 255).astype("u1")


def encoded(rgb: np.ndarray, valid: np.ndarray | None, image_format: str) -> bytes:
    buffer = io.BytesIO()
    if image_format == "jpg":
        Image.fromarray(rgb).save(buffer, "jpeg", quality=90)
    else:
        alpha = np.full((SIDE, SIDE), 255, "u1") if valid is None else valid.astype("u1") * 255
        Image.fromarray(np.dstack([rgb, alpha])).save(buffer, "webp", quality=90)
    return buffer.getvalue()


Blocks = dict[tuple[int, int, int], tuple[bytes, np.ndarray | None]]


def written(path: Path, image_format: Literal["jpg", "webp"], levels: int = 3) -> Blocks:
    """Write a file of 1 x 2 blocks at the coarsest level, every fifth block left out, every third in part."""
    put: Blocks = {}
    with path.open("wb") as file:
        cog = PictureCog(
            file=file,
            blocks=(1, 2),
            levels=levels,
            image_format=image_format,
            placing=PLACING,
            tags={"FLUX_STYLE": "a <b> & c"},
        )
        for level in reversed(range(levels)):
            many = 2 ** (levels - 1 - level)
            for row in range(many):
                for column in range(2 * many):
                    number = row * 2 * many + column
                    if number % 5 == 4:
                        continue
                    valid = None
                    if number % 3 == 1:
                        valid = np.ones((SIDE, SIDE), dtype=bool)
                        valid[: 16 * (1 + number % 7)] = False
                    data = encoded(picture(), valid, image_format)
                    cog.put(level, row, column, data, valid)
                    put[level, row, column] = data, valid
        cog.finish()
    return put


@pytest.mark.parametrize("image_format", ["jpg", "webp"])
@pytest.mark.parametrize("levels", [1, 3])
def test_gdal_reads_each_block_in_its_place(
    tmp_path: Path, image_format: Literal["jpg", "webp"], levels: int
) -> None:
    path = tmp_path / "a.tif"
    put = written(path, image_format, levels)
    valid, errors, warnings = cog_validate(path, quiet=True)
    assert valid, errors
    if levels > 1:
        assert not warnings
    for level in range(levels):
        many = 2 ** (levels - 1 - level)
        options = {"overview_level": level - 1} if level else {}
        with rasterio.open(path, **options) as source:
            assert (source.height, source.width) == (SIDE * many, SIDE * 2 * many)
            assert source.crs.to_epsg() == 3857
            factor = 2**level
            assert np.allclose(
                source.transform[:6],
                (PLACING.cell * factor, 0, PLACING.origin[0], 0, -PLACING.cell * factor, PLACING.origin[1]),
                rtol=0,
                atol=1e-9,
            )
            for row in range(many):
                for column in range(2 * many):
                    window = Window(column * SIDE, row * SIDE, SIDE, SIDE)
                    shown = np.moveaxis(source.read([1, 2, 3], window=window), 0, -1)
                    mask = source.dataset_mask(window=window) > 0
                    data, expected = put.get((level, row, column), (None, None))
                    if data is None:
                        assert not mask.any()
                        continue
                    assert (mask == (True if expected is None else expected)).all()
                    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
                    assert np.abs(shown - pixels)[mask].mean() < 0.5


@pytest.mark.parametrize("image_format", ["jpg", "webp"])
def test_bytes_lie_there_as_they_came(tmp_path: Path, image_format: Literal["jpg", "webp"]) -> None:
    path = tmp_path / "a.tif"
    put = written(path, image_format)
    file = LocalFile(str(path))
    layout = parse_layout(lambda offset, length: file.read([Range(offset, length)])[0])
    assert len(layout.levels) == 3
    for number, level in enumerate(layout.levels):
        for (_, row, column), length in np.ndenumerate(level.lengths):
            expected = put.get((number, row, column), (b"", None))[0]
            place = Range(int(level.offsets[0, row, column]), int(length))
            assert file.read([place])[0] == expected
    assert all((mask is not None) == (image_format == "jpg") for mask in layout.masks)


def test_gdal_knows_colours_masks_and_tags(tmp_path: Path) -> None:
    for image_format, colours, flags in (
        ("jpg", (ColorInterp.red, ColorInterp.green, ColorInterp.blue), [MaskFlags.per_dataset]),
        (
            "webp",
            (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha),
            [MaskFlags.per_dataset, MaskFlags.alpha],
        ),
    ):
        path = tmp_path / f"{image_format}.tif"
        written(path, image_format)
        with rasterio.open(path) as source:
            assert source.colorinterp == colours
            assert source.mask_flag_enums[0] == flags
            assert source.tags()["FLUX_STYLE"] == "a <b> & c"
            assert source.overviews(1) == [2, 4]


def test_whole_blocks_share_their_mask(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    put = written(path, "jpg")
    file = LocalFile(str(path))
    layout = parse_layout(lambda offset, length: file.read([Range(offset, length)])[0])
    masks = [mask for mask in layout.masks if mask is not None]
    assert len(masks) == 3
    places = {
        int(masks[level].offsets[0, row, column])
        for (level, row, column), (_, valid) in put.items()
        if valid is None
    }
    assert len(places) == 1


def test_a_full_disk_raises(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    cog = PictureCog(file=Full(), blocks=(1, 1), levels=1, image_format="jpg", placing=PLACING)
    with pytest.raises(OSError, match="No space"):
        cog.put(0, 0, 0, b"x", None)
