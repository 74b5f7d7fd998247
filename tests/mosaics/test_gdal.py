"""The guard around GDAL; what depends on registered drivers runs in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from mosaics import gdal
from mosaics.errors import MosaicsError
from mosaics.tiff.files import LocalFile
from mosaics.tiff.streams import RangeStream

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program that begins with nothing registered and nothing configured."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GDAL_", "CPL_"))}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def write(path: Path, value: int = 7, size: int = 64) -> Path:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=size,
        height=size,
        count=1,
        dtype="uint8",
        crs="EPSG:2154",
        transform=from_origin(650_000, 6_860_000, 2, 2),
    ) as target:
        target.write(np.full((1, size, size), value, dtype="uint8"))
    return path


def test_configured_process_is_safe_and_still_works(tmp_path: Path) -> None:
    image = write(tmp_path / "image.tif")
    done = run(
        """
        import sys, numpy
        from mosaics import gdal
        gdal.configure()
        gdal.self_test()
        import rasterio
        from rasterio.features import shapes
        from rasterio.shutil import copy
        from rasterio.vrt import WarpedVRT
        with rasterio.Env() as env:
            left = set(env.drivers())
        assert left <= gdal.ALLOWED_DRIVERS, left
        assert len(list(shapes(numpy.eye(3, dtype="uint8")))) > 1
        with gdal.open_raster(sys.argv[1]) as source:
            with WarpedVRT(source, crs="EPSG:3857") as warped:
                assert warped.read(1).max() == 7
            copy(source, sys.argv[1] + ".cog", driver="COG")
        print("safe")
        """,
        str(image),
    )
    assert (done.stdout, done.stderr, done.returncode) == ("safe\n", "", 0)


def test_self_test_fails_when_drivers_were_registered_before() -> None:
    done = run(
        """
        import rasterio
        with rasterio.Env() as env:
            env.drivers()
        from mosaics import gdal
        gdal.configure()
        try:
            gdal.self_test()
        except gdal.GdalUnsafeError as error:
            print(error)
        """
    )
    assert "registered before" in done.stdout


def test_guarded_opener_holds_after_a_warp_brings_the_vrt_driver_back(tmp_path: Path) -> None:
    image = write(tmp_path / "image.tif")
    trap = tmp_path / "trap.tif"
    trap.write_text(
        '<VRTDataset rasterXSize="64" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{image}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        "</VRTDataset>"
    )
    done = run(
        """
        import sys
        from mosaics import gdal
        gdal.configure()
        import rasterio
        from rasterio.vrt import WarpedVRT
        with gdal.open_raster(sys.argv[1]) as source, WarpedVRT(source, crs="EPSG:3857"):
            pass
        with rasterio.Env() as env:
            print("VRT" in env.drivers())
        try:
            gdal.open_raster(sys.argv[2])
        except gdal.RasterOpenError:
            print("refused")
        """,
        str(image),
        str(trap),
    )
    assert done.stdout == "True\nrefused\n"


def test_redirected_overviews_are_refused(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.tif", value=99)
    image = write(tmp_path / "image.tif")
    with rasterio.open(image, "r+") as target:
        target.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(secret))
    for level in (None, 0):
        with pytest.raises(gdal.RasterOpenError, match="OVERVIEW_FILE"):
            gdal.open_raster(image, overview_level=level)


def test_a_stream_is_opened_as_carefully_as_a_path(tmp_path: Path) -> None:
    secret, image = write(tmp_path / "secret.tif"), write(tmp_path / "image.tif")
    with gdal.open_raster(RangeStream(LocalFile(str(image)))) as source:
        assert source.shape == (64, 64)
    with rasterio.open(image, "r+") as target:
        target.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(secret))
    text = tmp_path / "text.tif"
    text.write_text("<VRTDataset/>")
    for path, words in ((image, "OVERVIEW_FILE"), (text, "text.tif")):
        for level in (None, 0):
            with pytest.raises(gdal.RasterOpenError, match=words):
                gdal.open_raster(RangeStream(LocalFile(str(path))), overview_level=level)


def test_errors_are_ours_and_hide_the_folder(tmp_path: Path) -> None:
    text = tmp_path / "text.tif"
    text.write_text("no image")
    for path in (text, tmp_path / "missing.tif"):
        with pytest.raises(gdal.RasterOpenError) as caught:
            gdal.open_raster(path)
        assert isinstance(caught.value, MosaicsError)
        assert isinstance(caught.value, OSError)
        assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("path", ["/vsicurl/http://localhost/a.tif", "/vsizip/a.zip/b.tif", "/vsis3/b/c.tif"])
def test_only_plain_files_are_opened(path: str) -> None:
    with pytest.raises(gdal.RasterOpenError, match="plain files"):
        gdal.open_raster(path)


def test_connection_strings_are_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "image.tif")
    monkeypatch.chdir(tmp_path)
    with gdal.open_raster("image.tif") as source:
        assert source.width == 64
    with pytest.raises(gdal.RasterOpenError):
        gdal.open_raster("GTIFF_DIR:1:image.tif")


def test_an_overview_opens_as_a_dataset_of_its_own(tmp_path: Path) -> None:
    image = write(tmp_path / "image.tif")
    with rasterio.open(image, "r+") as target:
        target.build_overviews([2, 4])
    with gdal.open_raster(image, overview_level=1) as overview:
        assert overview.shape == (16, 16)
    with pytest.raises(gdal.RasterOpenError, match="no overview 5"):
        gdal.open_raster(image, overview_level=5)
