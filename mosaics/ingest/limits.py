"""What a file may ask of memory and time: the limits, and the checks of its blocks against them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
from rasterio.io import DatasetReader

from mosaics.errors import IngestError
from mosaics.gdal import open_raster

MAX_BANDS: Final = 64
"""Bands of one file, alpha included."""
MAX_PIXELS: Final = 1 << 36
"""Pixels of one band; a small file may claim any size."""
MAX_SIDE: Final = (1 << 31) - 1
"""Columns or rows."""
MAX_BLOCK_PIXELS: Final = 4096 * 4096
"""Pixels of one block of a tiled file."""
MAX_BLOCK_BYTES: Final = 64 << 20
"""Bytes of one decoded block, all the bands that are stored together included."""
MAX_STRIP_BYTES: Final = 128 << 20
"""The same for a strip, which conversion decodes once; half of GDAL's default cache."""
MAX_BLOCK_CHECKS: Final = 1_000_000
"""Block offsets that are compared with the end of the file; about 1 us each."""
DATA_TYPES: Final = frozenset({"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"})
"""What pixels may be stored as."""


def check_size(name: str, width: int, height: int, count: int) -> None:
    """Refuse an image with more pixels or bands than can be handled.

    Raises:
        IngestError: Saying which limit is passed.
    """
    if count > MAX_BANDS:
        raise IngestError(
            f"{name}: it has {count} bands, more than {MAX_BANDS}; split it into files of fewer bands"
        )
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise IngestError(
            f"{name}: it has {width} x {height} pixels, more than {MAX_PIXELS} in all; cut it into parts"
        )


def check_data_types(name: str, data_types: tuple[str, ...]) -> None:
    """Refuse values that are no plain numbers of a size that is read.

    Raises:
        IngestError: Saying what to convert to.
    """
    for data_type in dict.fromkeys(data_types):
        if data_type.startswith("complex"):
            raise IngestError(
                f"{name}: its values are complex ({data_type}): a single-look complex radar image; detect it "
                "first (amplitude or intensity), geocode it and bank the result"
            )
        if data_type not in DATA_TYPES:
            raise IngestError(
                f"{name}: values of type {data_type} are not read; convert them, for instance with: "
                "gdal_translate -ot Float32 INPUT OUTPUT.tif"
            )
    if len(set(data_types)) > 1:
        raise IngestError(
            f"{name}: its bands are of different types ({', '.join(data_types)}); store all as one"
        )


def check_blocks(name: str, source: DatasetReader) -> None:
    """Refuse blocks so large that reading one pixel would need much memory.

    A strip as wide as the image may be larger than a tile, since conversion reads it once.

    Raises:
        IngestError: Saying how to write the file again.
    """
    together = source.count if _is_pixel_interleaved(source) else 1
    item = _sample_bytes(source.dtypes[0])
    rows, columns = source.block_shapes[0]
    size = rows * columns * together * item
    is_strip = columns >= source.width
    if is_strip and size <= MAX_STRIP_BYTES:
        return
    if rows * columns > MAX_BLOCK_PIXELS or size > MAX_BLOCK_BYTES:
        raise IngestError(
            f"{name}: it is stored in blocks of {columns} x {rows} pixels ({_megabytes(size)}), too large to "
            "be read in parts; write it again in blocks of 512, for instance with: "
            "gdal_translate -of COG INPUT OUTPUT.tif"
        )


def check_not_truncated(name: str, source: DatasetReader, file_size: int) -> None:
    """Refuse a TIFF with blocks beyond the end of the file, from its directory alone.

    Raises:
        IngestError: Saying how much is missing.
    """
    beyond, total = incomplete_blocks(source, file_size, sparse_allowed=True)
    if beyond:
        raise IngestError(
            f"{name}: truncated: {beyond} of {total} blocks of pixels lie beyond the end of the file "
            f"({file_size} bytes); copy it again from its source"
        )


def check_complete(name: str, path: Path) -> None:
    """Refuse a file of ours with blocks missing: a disk that was full when GDAL closed it may not be told.

    Raises:
        IngestError: Saying how many.
    """
    with open_raster(path) as made:
        incomplete, total = incomplete_blocks(made, path.stat().st_size)
    if incomplete:
        raise IngestError(
            f"{name}: the converted file is not complete ({incomplete} of {total} blocks are missing); "
            "try again"
        )


def incomplete_blocks(
    source: DatasetReader, file_size: int, *, sparse_allowed: bool = False
) -> tuple[int, int]:
    """Count the blocks of the full resolution that are missing or end after the file does.

    Args:
        source: An open TIFF.
        file_size: Bytes.
        sparse_allowed: Blocks may be left out where there is no data.

    Returns:
        How many blocks are incomplete, of how many looked at.
    """
    rows, columns = source.block_shapes[0]
    down, across = math.ceil(source.height / rows), math.ceil(source.width / columns)
    bands = 1 if _is_pixel_interleaved(source) else source.count
    step = max(1, math.ceil(down * across * bands / MAX_BLOCK_CHECKS))
    incomplete = total = 0
    for band in range(1, bands + 1):
        for index in range(0, down * across, step):
            key = f"{index % across}_{index // across}"
            offset = source.get_tag_item(f"BLOCK_OFFSET_{key}", "TIFF", bidx=band)
            total += 1
            if offset is None:
                incomplete += not sparse_allowed
                continue
            size = source.get_tag_item(f"BLOCK_SIZE_{key}", "TIFF", bidx=band)
            incomplete += int(offset) + int(size or 0) > file_size
    return incomplete, total


def _sample_bytes(data_type: str) -> int:
    """Give the size of a sample; numpy has no complex integers, whose names tell the bits of both parts."""
    whole = data_type.removeprefix("complex_int")
    return 2 * int(whole) // 8 if whole != data_type else np.dtype(data_type).itemsize


def _is_pixel_interleaved(source: DatasetReader) -> bool:
    return source.count > 1 and str(source.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE", "")).upper() != "BAND"


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.0f} MB each"
