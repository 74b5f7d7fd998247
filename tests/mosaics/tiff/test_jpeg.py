"""JPEG blocks as files: decoders that know nothing of TIFF show what GDAL shows."""

from __future__ import annotations

import io
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image

from mosaics.tiff.files import LocalFile, Range
from mosaics.tiff.jpeg import standalone
from mosaics.tiff.layout import parse_layout
from tests.conftest import need_program, position_pixels, tool_environment, write_raster

SIDE = 256


def written(path: Path, bands: int, **options: Any) -> Path:
    pixels = position_pixels(SIDE * 2, SIDE * 2, bands)
    size = {"tiled": True, "blockxsize": SIDE, "blockysize": SIDE}
    return write_raster(path, pixels, compress="JPEG", jpeg_quality=90, **size, **options)


def blocks(path: Path) -> list[tuple[bytes, bytes | None, int, tuple[slice, slice]]]:
    file = LocalFile(str(path))
    (level,) = parse_layout(lambda offset, length: file.read([Range(offset, length)])[0]).levels
    found = []
    for row in range(2):
        for column in range(2):
            place = 0, row, column
            data = file.read([Range(int(level.offsets[place]), int(level.lengths[place]))])[0]
            where = (
                slice(row * SIDE, (row + 1) * SIDE),
                slice(column * SIDE, (column + 1) * SIDE),
            )
            found.append((data, level.jpeg_tables, level.photometric, where))
    return found


def by_gdal(data: bytes) -> np.ndarray:
    """Decode with the command line: in this process GDAL opens no other files than TIFFs."""
    program = need_program("gdal_translate")
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "a.jpg", Path(folder) / "a.tif"
        source.write_bytes(data)
        subprocess.run([program, "-q", source, result], env=tool_environment(), check=True, timeout=60)
        with rasterio.open(result) as made:
            return np.moveaxis(made.read(), 0, -1)


def by_opencv(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, "u1"), cv2.IMREAD_UNCHANGED)
    return pixels[..., None] if pixels.ndim == 2 else pixels[..., ::-1]


def by_pillow(data: bytes) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    return pixels[..., None] if pixels.ndim == 2 else pixels


DECODERS = {"gdal": by_gdal, "opencv": by_opencv, "pillow": by_pillow}


@pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
@pytest.mark.parametrize("tables", [0, 1, 2, 3], ids="tables{}".format)
@pytest.mark.parametrize(
    ("bands", "photometric"), [(3, "YCBCR"), (3, "RGB"), (1, "MINISBLACK")], ids=["ycbcr", "rgb", "grey"]
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_block_is_a_file(tmp_path: Path, decode: Any, tables: int, bands: int, photometric: str) -> None:
    path = written(tmp_path / "a.tif", bands, photometric=photometric, jpegtablesmode=tables)
    with rasterio.open(path) as source:
        expected = np.moveaxis(source.read(), 0, -1)
    found = blocks(path)
    assert (found[0][1] is not None) == (tables > 0)
    for data, shared, number, (rows, columns) in found:
        shown = decode(standalone(data, shared, number))
        assert shown.shape == (SIDE, SIDE, bands)
        difference = np.abs(shown.astype(int) - expected[rows, columns])
        assert difference.max() <= 3
        assert difference.mean() < 0.5


def test_tables_come_after_the_markers_of_applications(tmp_path: Path) -> None:
    data, shared, number, _ = blocks(written(tmp_path / "a.tif", 3, photometric="YCBCR", jpegtablesmode=1))[0]
    assert shared is not None
    made = standalone(data, shared, number)
    assert made[:4] == b"\xff\xd8\xff\xe0"
    assert made[6:11] == b"JFIF\0"
    assert made[20:22] == shared[2:4]
    assert made.count(b"\xff\xd9") == 1
    noted = b"\xff\xd8\xff\xe1\x00\x04xx" + data[2:]
    made = standalone(noted, shared, number)
    assert made.index(b"xx") < made.index(shared[2:-2])


def test_a_whole_file_is_left_as_it_is() -> None:
    done, data = cv2.imencode(".jpg", np.zeros((SIDE, SIDE, 3), "u1"))
    assert done
    assert standalone(data.tobytes(), None, 6) == data.tobytes()


@pytest.mark.parametrize(("block", "tables"), [(b"RIFF", None), (b"\xff\xd8\xff\xdb", b"\xff\xd8")])
def test_what_is_no_jpeg_is_refused(block: bytes, tables: bytes | None) -> None:
    with pytest.raises(ValueError, match="no JPEG"):
        standalone(block, tables, 6)
