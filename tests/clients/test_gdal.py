"""GDAL's WMTS driver, as a person uses it: paste the address, read a window, get the scene in its place."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
import rasterio

from tests.clients.conftest import Bank
from tests.clients.pictures import GRIDS, Window, assert_same, natural, warped, window_inside
from tests.clients.ways import (
    COOKIE,
    GDAL,
    NOTHING,
    REFUSED,
    USER,
    Credential,
    Sent,
    Way,
    ways_of,
)
from tests.conftest import Server, need_program, tool_environment

pytestmark = pytest.mark.gdal

NATIVE = {"WebMercatorQuad": 17, "WebMercatorQuad_512": 16, "2154_50cm": 17, "2154_50cm_512": 16} | {
    "WorldCRS84Quad": 16
}
"""The level of each grid that shows 1 m pixels at 43 degrees north best."""

XYZ = """<GDAL_WMS>
  <Service name="TMS"><ServerUrl>{address}</ServerUrl></Service>
  <DataWindow>
    <UpperLeftX>-20037508.342789244</UpperLeftX><UpperLeftY>20037508.342789244</UpperLeftY>
    <LowerRightX>20037508.342789244</LowerRightX><LowerRightY>-20037508.342789244</LowerRightY>
    <TileLevel>18</TileLevel><TileCountX>1</TileCountX><TileCountY>1</TileCountY><YOrigin>top</YOrigin>
  </DataWindow>
  <Projection>EPSG:3857</Projection>
  <BlockSizeX>256</BlockSizeX><BlockSizeY>256</BlockSizeY><BandsCount>4</BandsCount>
</GDAL_WMS>
"""
"""XYZ tiles as GDAL's WMS driver is told of them."""

Run = Callable[..., subprocess.CompletedProcess[str]]
Read = Callable[..., np.ndarray]
Dataset = Callable[[Way, str, str], tuple[str, dict[str, str]]]


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
    assert_same(picture, warped(source, window), levels=5 if coarser else 3)  # other overviews


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
    assert_same(read(dataset, window), natural(source, warped(source, window)), levels=6 if coarser else 4)


def told(sent: Sent) -> dict[str, str]:
    """Give the configuration by which GDAL shows a credential that does not stand in the address."""
    if sent.cookie is not None:
        return {"GDAL_HTTP_COOKIE": f"{COOKIE}={sent.cookie}"}
    if sent.password is not None:
        return {"GDAL_HTTP_AUTH": "BASIC", "GDAL_HTTP_USERPWD": f"{USER}:{sent.password}"}
    headers = ",".join(f"{name}: {value}" for name, value in sent.headers.items())
    return {"GDAL_HTTP_HEADERS": headers} if headers else {}


@pytest.fixture
def dataset(server: Server, credentials: Mapping[str, Credential], tmp_path: Path) -> Dataset:
    """Give what GDAL opens as a holder by a way, the WMTS or a description of XYZ tiles, and its settings."""

    def call(way: Way, holder: str, door: str) -> tuple[str, dict[str, str]]:
        sent = way.sent(credentials[holder]) if holder in credentials else NOTHING
        if door == "wmts":
            address = sent.address(server.url, "/wmts")
            return f"WMTS:{address},layer=texture,tilematrixset=WebMercatorQuad", told(sent)
        template = sent.address(server.url, "/tiles/texture/WebMercatorQuad/${z}/${x}/${y}.png")
        (tmp_path / "xyz.xml").write_text(XYZ.format(address=escape(template)))
        return "xyz.xml", told(sent)

    return call


@pytest.mark.parametrize("door", ["wmts", "xyz"])
@pytest.mark.parametrize("way", ways_of(GDAL))
def test_each_way_opens_the_own_layer(bank: Bank, read: Read, dataset: Dataset, way: Way, door: str) -> None:
    window = window_inside(bank.sources["texture"], "WebMercatorQuad", 17, (120, 100))
    name, settings = dataset(way, "mine", door)
    assert_same(read(name, window, **settings), warped(bank.sources["texture"], window), levels=3)


@pytest.mark.parametrize("door", ["wmts", "xyz"])
@pytest.mark.parametrize("way", ways_of(GDAL))
def test_each_way_is_refused_to_others(bank: Bank, run: Run, dataset: Dataset, way: Way, door: str) -> None:
    window = window_inside(bank.sources["texture"], "WebMercatorQuad", 17, (120, 100))
    left, bottom, right, top = window.bounds
    corners = [repr(corner) for corner in (left, top, right, bottom)]
    for holder in REFUSED:
        name, settings = dataset(way, holder, door)
        done = run("gdal_translate", "-projwin", *corners, name, f"{holder}.tif", **settings)
        assert done.returncode != 0, holder
        if door == "xyz":  # no document that could leave the layer out
            assert ("404" if holder == "other" else "401") in done.stderr


@pytest.mark.parametrize("way", ways_of(GDAL))
def test_each_way_lists_exactly_the_own_layers(bank: Bank, run: Run, dataset: Dataset, way: Way) -> None:
    for holder, layers in (("mine", set(bank.sources) - {"elsewhere"}), ("other", {"elsewhere", "open"})):
        name, settings = dataset(way, holder, "wmts")
        listed = run("gdalinfo", name.partition(",")[0], **settings).stdout
        assert set(re.findall(r",layer=([^,\n]+)", listed)) == layers


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
