"""Banking holds windows of an image, never all of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import rasterio

from mosaics.gdal import environment
from tests.conftest import ROOT
from tests.mosaics.ingest.conftest import PLACE

SIDE = 16_384
IMAGE_MEGABYTES = SIDE * SIDE * 2 / 1e6
CACHE_MEGABYTES = 64
_HELD = """
import re, sys
from pathlib import Path
from mosaics.ingest.conversion import Conversion
from mosaics.ingest.convert import convert
from mosaics.ingest.examine import examine
from mosaics.ingest.profile import PROFILE

def most():
    return int(re.search("VmHWM:\\\\s+(\\\\d+)", Path("/proc/self/status").read_text())[1]) * 1024 / 1e6

path, folder = Path(sys.argv[1]), Path(sys.argv[2])
before = most()
found = examine(path, None, lambda *_: None)
convert(
    Conversion(
        inspection=found.inspection, profile=PROFILE, reduction="average", has_unfinite=False, threads=2
    ),
    folder,
    lambda *_: None,
)
print(most() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells what a process held")
def test_no_image_is_held_whole(tmp_path: Path) -> None:
    path, folder = tmp_path / "large.tif", tmp_path / "out"
    folder.mkdir()
    shape = {"width": SIDE, "height": SIDE, "count": 1, "dtype": "uint16"}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "sparse_ok": True}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:2154", transform=PLACE, **shape, **tiles):
        pass  # zeros that take no room on the disk
    done = subprocess.run(
        [sys.executable, "-c", _HELD, path, folder],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**environment(CACHE_MEGABYTES), "PYTHONPATH": str(ROOT)},
        check=True,
    )
    # windows of two threads and what is made of them: about half, more by what the allocator keeps
    assert float(done.stdout) < IMAGE_MEGABYTES * 0.7, "megabytes held beyond what programs take"
