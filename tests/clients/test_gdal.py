"""GDAL's WMTS driver, as a person uses it: paste the address, read a window, get the scene in its place."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.clients.conftest import Bank
from tests.clients.pictures import GRIDS, Window, assert_same, natural, warped, window_inside
from tests.conftest import Server, need_program, tool_environment

pytestmark = pytest.mark.gdal

NATIVE = {"WebMercatorQuad": 17, "WebMercatorQuad_512": 16, "2154_50cm": 17, "2154_50cm_512": 16} | {
    "WorldCRS84Quad": 16
}
"""The level of each grid that shows 1 m pixels at 43 degrees north best."""

Run = Callable[..., subprocess.CompletedProcess[str]]
Read = Callable[..., np.ndarray]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run one of GDAL's programs, with no cache of tiles but its own."""

    def call(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [need_program(program), *arguments],
            cwd=tmp_path,
            env=tool_environment(GDAL_DEFAULT_WMS_CACHE_PATH=str(tmp_path / "tiles"), **environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


@pytest.fixture
def read(run: Run, tmp_path: Path) -> Read:
    """Read a window of a WMTS dataset with gdal_translate: uint8, (4, height, width)."""

    def call(dataset: str, window: Window, **environment: str) -> np.ndarray:
        left, bottom, right, top = window.bounds
        done = run(
            "gdal_translate",
            *("-projwin", repr(left), repr(top), repr(right), repr(bottom)),
            *("-outsize", str(window.width), str(window.height)),
            *(dataset, "window.tif"),
            **environment,
        )
        assert (done.returncode, done.stderr) == (0, "")
        with rasterio.open(tmp_path / "window.tif") as source:
            cell = window.transform.a
            assert source.transform.almost_equals(window.transform, precision=cell / 1000)
            pixels: np.ndarray = source.read()
        return pixels

    return call


@pytest.mark.parametrize("coarser", [0, 2], ids=["native", "overview"])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_window_shows_the_scene_in_its_place(
    bank: Bank, server: Server, read: Read, grid: str, coarser: int
) -> None:
    source = bank.sources["texture"]
    window = window_inside(source, grid, NATIVE[grid] - coarser, (200, 160))
    picture = read(f"WMTS:{server.url}/wmts?key={bank.key},layer=texture,tilematrixset={grid}", window)
    assert_same(picture, warped(source, window), levels=3)


@pytest.mark.imagery
@pytest.mark.parametrize("coarser", [0, 1], ids=["native", "overview"])
@pytest.mark.parametrize("grid", ["WebMercatorQuad", "WebMercatorQuad_512", "WorldCRS84Quad"])
def test_a_real_8_bit_scene(bank: Bank, server: Server, read: Read, grid: str, coarser: int) -> None:
    source = bank.sources["aerial"]
    window = window_inside(source, grid, NATIVE[grid] - 1 - coarser, (240, 200))
    picture = read(f"WMTS:{server.url}/wmts?key={bank.key},layer=aerial,tilematrixset={grid}", window)
    assert_same(picture, warped(source, window), levels=3)


@pytest.mark.imagery
@pytest.mark.parametrize("coarser", [0, 1], ids=["native", "overview"])
@pytest.mark.parametrize("grid", GRIDS)
def test_a_real_16_bit_scene(bank: Bank, server: Server, read: Read, grid: str, coarser: int) -> None:
    source = bank.sources["toulouse"]
    window = window_inside(source, grid, NATIVE[grid] - 1 - coarser, (240, 200))
    dataset = f"WMTS:{server.url}/wmts?key={bank.key},layer=toulouse,tilematrixset={grid},style=natural"
    assert_same(read(dataset, window), natural(source, warped(source, window)), levels=4)


def test_the_key_opens_in_query_path_and_password(bank: Bank, server: Server, read: Read) -> None:
    window = window_inside(bank.sources["texture"], "2154_50cm", 17, (120, 100))
    layer = "layer=texture,tilematrixset=2154_50cm"
    basic = {"GDAL_HTTP_AUTH": "BASIC", "GDAL_HTTP_USERPWD": f"any:{bank.key}"}
    ways = [
        read(f"WMTS:{server.url}/wmts?key={bank.key},{layer}", window),
        read(f"WMTS:{server.url}/k/{bank.key}/wmts,{layer}", window),
        read(f"WMTS:{server.url}/wmts/1.0.0/WMTSCapabilities.xml?key={bank.key},{layer}", window),
        read(f"WMTS:{server.url}/wmts,{layer}", window, **basic),
    ]
    assert all(np.array_equal(way, ways[0]) for way in ways)
    assert_same(ways[0], warped(bank.sources["texture"], window), levels=3)


def test_a_plain_address_opens_at_a_chosen_level(
    bank: Bank, server: Server, run: Run, tmp_path: Path
) -> None:
    """`zoom_level` makes that level the native one, so that a whole layer can be fetched."""
    dataset = f"WMTS:{server.url}/wmts?key={bank.key},layer=texture,tilematrixset=2154_50cm,zoom_level=16"
    done = run("gdalwarp", "-q", dataset, "whole.tif")
    assert (done.returncode, done.stderr) == (0, "")
    with rasterio.open(bank.sources["texture"]) as source, rasterio.open(tmp_path / "whole.tif") as whole:
        assert whole.res == (2, 2)
        assert whole.crs.to_epsg() == 2154
        inside = [abs(a - b) for a, b in zip(whole.bounds, source.bounds, strict=True)]
        assert max(inside) < 40
        covered = np.count_nonzero(whole.read(4)) * 4
        assert covered == pytest.approx(source.width * source.height, rel=0.01)


def test_only_the_own_layers_are_offered(bank: Bank, server: Server, run: Run) -> None:
    for key, mine, not_mine in ((bank.key, "texture", "elsewhere"), (bank.other_key, "elsewhere", "texture")):
        listed = run("gdalinfo", f"WMTS:{server.url}/wmts?key={key}").stdout
        assert f"layer={mine}" in listed
        assert "layer=open" in listed
        assert not_mine not in listed


def test_without_the_right_key_there_is_no_picture(
    bank: Bank, server: Server, run: Run, tmp_path: Path
) -> None:
    layer = "layer=texture,tilematrixset=2154_50cm,zoom_level=12"
    wrong = bank.key[:-1] + ("A" if bank.key[-1] != "A" else "B")
    keys = {"none": "", "wrong": wrong, "other": bank.other_key, "revoked": bank.revoked_key}
    for name, key in keys.items():
        password = {"GDAL_HTTP_AUTH": "BASIC", "GDAL_HTTP_USERPWD": f"any:{key}"}
        for address, environment in (
            (f"/wmts?key={key}" if key else "/wmts", {}),
            (f"/k/{key}/wmts" if key else "/public/wmts", {}),
            ("/wmts", password),
        ):
            done = run("gdal_translate", f"WMTS:{server.url}{address},{layer}", "no.tif", **environment)
            assert done.returncode != 0, (name, address)
            assert not (tmp_path / "no.tif").exists()


@pytest.mark.parametrize("thief", ["none", "other", "revoked"])
def test_the_document_of_another_institution_opens_nothing(
    bank: Bank, server: Server, run: Run, tmp_path: Path, thief: str
) -> None:
    with urllib.request.urlopen(f"{server.url}/wmts?key={bank.key}", timeout=10) as reply:
        document = reply.read().decode()
    assert document.count(f"key={bank.key}") > 5
    key = {"none": "", "other": f"key={bank.other_key}", "revoked": f"key={bank.revoked_key}"}[thief]
    (tmp_path / "taken.xml").write_text(document.replace(f"key={bank.key}", key))
    dataset = "WMTS:taken.xml,layer=texture,tilematrixset=2154_50cm,zoom_level=15"
    done = run("gdal_translate", dataset, "taken.tif")
    if done.returncode == 0:  # GDAL makes of 404 an empty block
        with rasterio.open(tmp_path / "taken.tif") as source:
            assert not source.read().any()
    else:
        assert "401" in done.stderr
