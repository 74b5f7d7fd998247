"""The fast reader against the reference, on random files, systems, layouts and frames."""

from __future__ import annotations

import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling as GdalResampling
from rasterio.transform import Affine
from rasterio.warp import transform
from scenes import scene

from mosaics.errors import NobodyWaitsError, SceneUnreadableError
from mosaics.fast import FastReader
from mosaics.models import Band, Bounds, Frame, Scene
from mosaics.read import RioTilerReader
from mosaics.tiff.blocks import BlockCache
from mosaics.warp import LARGEST_ERROR, inverted, mesh, positions, transformer
from tests.conformance.same_level import shift
from tests.conftest import SCALE

REFERENCE = RioTilerReader(tolerance=0.001)
PLACES = {
    "EPSG:2154": (572_000.0, 6_280_000.0, 1.0),
    "EPSG:32631": (430_000.0, 4_800_000.0, 1.0),
    "EPSG:3857": (160_000.0, 5_400_000.0, 1.0),
    "EPSG:4326": (1.42, 43.6, 1e-5),
    "EPSG:2975": (340_000.0, 7_650_000.0, 1.0),
    "EPSG:3031": (-1_500_000.0, 500_000.0, 20.0),
}
"""CRS -> a place in it and the size of a pixel that is 1 there."""


TOP = {
    "uint8": 253, "uint16": 4000, "int16": 4000, "float32": 1000.0, "float64": 3000.0, "int32": 3000,
    "uint32": 3000,
}  # fmt: skip
"""Greatest value of a picture, less one."""


class Nobody:
    def read(self, *_: object) -> Any:
        raise AssertionError("handed to the reference")

    sample = read


def reader() -> FastReader:
    return FastReader(reference=Nobody(), blocks=BlockCache(64_000_000))


def smooth(height: int, width: int, bands: int, dtype: str, sigma: float = 3.0) -> np.ndarray:
    """Detail everywhere, none finer than some pixels, so that readers may differ by rounding only."""
    noise = np.random.default_rng(height * 31 + width).normal(size=(height, width, bands)).astype("float32")
    pixels = cv2.GaussianBlur(noise, (0, 0), sigma).reshape(height, width, bands)
    pixels = (pixels - pixels.min()) / np.ptp(pixels)
    return np.moveaxis(1 + pixels * TOP[dtype], -1, 0).astype(dtype)


WORLDS = st.fixed_dictionaries(
    {
        "crs": st.sampled_from(sorted(PLACES)),
        "turn": st.sampled_from([0.0, 0.0, 13.0, 90.0, 200.0]),
        "ratio": st.sampled_from([1.0, 1.0, 1.4]),
        "size": st.tuples(st.integers(40, 330), st.integers(40, 330)),
        "bands": st.integers(1, 5),
        "dtype": st.sampled_from(["uint8", "uint16", "int16", "float32"]),
        "block": st.sampled_from([None, 16, 64, 128]),
        "interleave": st.sampled_from(["pixel", "band"]),
        "nodata": st.sampled_from([None, 0, -5]),
        "hole": st.booleans(),
    }
)
VIEWS = st.fixed_dictionaries(
    {
        "crs": st.sampled_from(["EPSG:3857", "OGC:CRS84", "EPSG:2154", "same"]),
        "zoom": st.floats(0.25, 0.95),
        "at": st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
        "size": st.sampled_from([64, 128, 160]),
    }
)
"""Of sizes that tiles have: of other frames GDAL mistakes how much smaller turned pictures become."""


def made(path: Path, world: dict[str, Any]) -> tuple[Scene, Affine]:
    x, y, unit = PLACES[world["crs"]]
    height, width = world["size"]
    data = smooth(height, width, world["bands"], world["dtype"], world.get("sigma", 3.0))
    data += data.dtype.type(world.get("offset", 0))
    nodata = world["nodata"] if world["dtype"] in {"int16", "float32"} or world["nodata"] != -5 else None
    if world["hole"] and nodata is not None:
        data[:, height // 4 : height // 2, width // 3 : width // 2] = nodata
    placed = (
        Affine.translation(x, y) @ Affine.rotation(world["turn"]) @ Affine.scale(unit, -unit * world["ratio"])
    )
    options: dict[str, Any] = {"interleave": world["interleave"], "photometric": "MINISBLACK", "alpha": "NO"}
    if world["block"]:
        options |= {"tiled": True, "blockxsize": world["block"], "blockysize": world["block"]}
    path.unlink(missing_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=len(data), dtype=data.dtype,
        crs=world["crs"], transform=placed, nodata=nodata, **options,
    ) as target:  # fmt: skip
        target.write(data)
    bands = tuple(Band(name=str(i)) for i in range(1, len(data) + 1))
    one = scene(href=str(path), bands=bands, ground_resolution=1.0, width=width, height=height)
    return one, placed


def frame_of(world: dict[str, Any], placed: Affine, view: dict[str, Any]) -> Frame:
    """Make a frame around a place of the scene, finer than its pixels."""
    height, width = world["size"]
    crs = world["crs"] if view["crs"] == "same" else view["crs"]
    column, row = width * view["at"][0], height * view["at"][1]
    corners = [placed @ point for point in ((column, row), (column + 1, row), (column, row + 1))]
    xs, ys = transform(world["crs"], crs, *zip(*corners, strict=True))
    pixel = max(np.hypot(xs[1] - xs[0], ys[1] - ys[0]), np.hypot(xs[2] - xs[0], ys[2] - ys[0])) * view["zoom"]
    pixel /= max(1, world["ratio"])
    rows = columns = view["size"]
    left, top = xs[0] - pixel * columns / 2, ys[0] + pixel * rows / 2
    bounds = Bounds(left, top - pixel * rows, left + pixel * columns, top)
    return Frame(crs=crs, bounds=bounds, width=columns, height=rows)


def density(placed: Affine, frame: Frame, crs: str) -> tuple[float, float]:
    affine = (placed.a, placed.b, placed.c, placed.d, placed.e, placed.f)
    return mesh(frame, rasterio.crs.CRS.from_user_input(crs).to_wkt(), inverted(affine), 1.0).density


@given(world=WORLDS, view=VIEWS)
@settings(
    deadline=None,
    max_examples=max(60, round(1000 * SCALE)),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_finer_than_the_scene_it_is_the_reference(tmp_path: Path, world: dict[str, Any], view: Any) -> None:
    one, placed = made(tmp_path / "a.tif", world)
    frame = frame_of(world, placed, view)
    indexes = list(range(1, min(world["bands"], 3) + 1))
    try:
        expected = REFERENCE.read(one, indexes, frame, "bilinear")
    except SceneUnreadableError:  # GDAL gives up on frames that leave the CRS
        return
    found = reader().read(one, indexes, frame, "bilinear")
    assert found.data.shape == expected.data.shape
    assert found.data.dtype == expected.data.dtype
    differ = found.valid != expected.valid
    assert differ.sum() <= 0.02 * differ.size + sum(differ.shape), "only at the very edge of a pixel"
    both = found.valid & expected.valid
    both[[0, -1]] = both[:, [0, -1]] = False  # GDAL is off in the outermost pixels of some frames
    if both.sum() < 50:
        return
    scale = 255 / TOP[world["dtype"]]
    apart = np.abs(found.data.astype(float) - expected.data)[:, both] * scale
    # along an axis where pixels become fewer GDAL smooths, with another kernel of the same width; it judges
    # that by the part of a frame that is covered, and mistakes it where a scene is turned, as polar ones are
    turned = world["turn"] or (world["crs"] == "EPSG:3031" and view["crs"] != "same")
    fewer = turned or max(density(placed, frame, world["crs"])) > 1.05
    assert apart.mean() < (4.0 if fewer else 1.0)
    assert np.percentile(apart, 99) < (20.0 if fewer else 5.0)
    assert (found.data[:, ~found.valid] == 0).all()


@given(world=WORLDS, view=VIEWS, size=st.sampled_from([1, 3, 5, 60, 64, 128, 130, 160, 258]))
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_positions_are_those_of_the_exact_transform(
    tmp_path: Path, world: dict[str, Any], view: dict[str, Any], size: int
) -> None:
    _, placed = made(tmp_path / "a.tif", world)
    frame = frame_of(
        world, placed, {**view, "size": size, "zoom": view["zoom"] * 30}
    )  # a wide one, where curves show
    affine = (placed.a, placed.b, placed.c, placed.d, placed.e, placed.f)
    crs = rasterio.crs.CRS.from_user_input(world["crs"]).to_wkt()
    found = mesh(frame, crs, inverted(affine), 1.0)
    columns, rows = np.moveaxis(positions(found, frame, (1.0, 1.0), (0, 0)), -1, 0)
    left, bottom, right, top = frame.bounds
    xs = left + (np.arange(frame.width) + 0.5) * ((right - left) / frame.width)
    ys = top - (np.arange(frame.height) + 0.5) * ((top - bottom) / frame.height)
    x, y = transformer(frame.crs, crs).transform(*np.meshgrid(xs, ys))
    inverse = ~placed
    exact = inverse.a * x + inverse.b * y + inverse.c - 0.5, inverse.d * x + inverse.e * y + inverse.f - 0.5
    for guess, true in zip((columns, rows), exact, strict=True):
        known = np.isfinite(true)
        assert np.array_equal(np.isfinite(guess), known)
        limit = LARGEST_ERROR + 1e-6 * np.abs(true[known])  # float32 far from the window's corner
        assert (np.abs(guess[known] - true[known]) <= limit).all()


@pytest.mark.parametrize("factor", [1.5, 2.0, 2.9, 4.0, 7.0])
def test_coarser_pictures_are_averages_in_place(tmp_path: Path, factor: float) -> None:
    """With overviews and without, what is shown lies where it lies, and holds what lies there."""
    world = {
        "crs": "EPSG:2154", "turn": 0.0, "ratio": 1.0, "size": (701, 803), "bands": 3, "dtype": "uint8",
        "block": 64, "interleave": "pixel", "nodata": None, "hole": False, "sigma": 3 * factor,
    }  # fmt: skip
    one, _ = made(tmp_path / "a.tif", world)
    x, y, _ = PLACES["EPSG:2154"]
    size = int(600 / factor)
    bounds = Bounds(x + 51.3, y - 40.7 - size * factor, x + 51.3 + size * factor, y - 40.7)
    frame = Frame(crs="EPSG:2154", bounds=bounds, width=size, height=size)
    with rasterio.open(one.href) as source, rasterio.vrt.WarpedVRT(
        source, crs="EPSG:2154", resampling=GdalResampling.average, width=size, height=size,
        transform=rasterio.transform.from_bounds(*bounds, size, size),
    ) as warped:  # fmt: skip
        expected = warped.read().astype(float)
    for levels in ([], [2, 4, 8]):
        if levels:
            with rasterio.open(one.href, "r+") as target:
                target.build_overviews(levels, GdalResampling.average)
        found = reader().read(one, [1, 2, 3], frame, "bilinear")
        assert found.valid.all()
        assert np.abs(found.data - expected).mean() < 4
        grey = found.data.mean(axis=0), expected.mean(axis=0)
        moved = shift(*(each.astype("f8") for each in grey), np.ones((size, size), dtype=bool))
        assert moved is not None
        assert moved < 0.02


def test_a_scene_seen_from_far_away_takes_no_more_room_than_it_has(tmp_path: Path) -> None:
    world = {
        "crs": "EPSG:32631", "turn": 0.0, "ratio": 1.0, "size": (250, 190), "bands": 3, "dtype": "uint16",
        "block": 64, "interleave": "pixel", "nodata": None, "hole": False,
    }  # fmt: skip
    one, placed = made(tmp_path / "a.tif", world)
    xs, ys = transform(world["crs"], "EPSG:3857", *([v] for v in placed @ (95, 125)))
    with rasterio.open(one.href) as source:
        mean = source.read().mean(axis=(1, 2))
    for pixel in (300.0, 20_000.0, 150_000.0):  # metres; the scene is some 200 wide
        left, top = xs[0] - pixel * 3.5, ys[0] + pixel * 3.5
        bounds = Bounds(left, top - pixel * 8, left + pixel * 8, top)
        frame = Frame(crs="EPSG:3857", bounds=bounds, width=8, height=8)
        tracemalloc.start()
        found = reader().read(one, [1, 2, 3], frame, "bilinear")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 20_000_000
        assert found.valid.sum() == 1, "the pixel whose centre lies on the scene"
        assert np.abs(found.data[:, 3, 3] - mean).max() < 40


def test_pixels_much_longer_than_wide_show_nothing_that_is_not_there(tmp_path: Path) -> None:
    world = {
        "crs": "EPSG:2154", "turn": 0.0, "ratio": 1.0, "size": (400, 400), "bands": 1, "dtype": "uint8",
        "block": 64, "interleave": "pixel", "nodata": None, "hole": False,
    }  # fmt: skip
    one, placed = made(tmp_path / "a.tif", world)
    with rasterio.open(one.href, "r+") as target:
        target.write((np.indices((1, 400, 400))[1] % 2 * 100 + 100).astype("uint8"))
    x, y = placed @ (20, 20.5)
    frame = Frame(crs="EPSG:2154", bounds=Bounds(x, y - 300, x + 300, y), width=300, height=30)
    found = reader().read(one, [1], frame, "bilinear")
    assert found.valid.all()
    assert found.data.min() >= 100
    assert found.data.max() <= 200


def test_what_it_does_not_model_goes_to_the_reference(tmp_path: Path) -> None:
    asked = []

    class Other:
        def read(self, one: Scene, *_: object) -> str:
            asked.append(one.href)
            return "read"

        sample = read

    path = tmp_path / "complex.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=10, height=10, count=1, dtype="complex64", crs="EPSG:2154",
        transform=Affine(1, 0, 572_000, 0, -1, 6_280_000),
    ) as target:  # fmt: skip
        target.write(np.zeros((1, 10, 10), "complex64"))
    handing = FastReader(reference=Other(), blocks=BlockCache(1_000_000))
    frame = Frame(crs="EPSG:2154", bounds=Bounds(572_000, 6_279_990, 572_010, 6_280_000), width=9, height=9)
    one = scene(href=str(path))
    assert handing.read(one, [1], frame, "bilinear") == "read"
    assert handing.sample(one, 1.4, 43.6, 0.0) == "read"
    assert len(asked) == 2


def test_it_stops_between_blocks_when_nobody_waits(tmp_path: Path) -> None:
    x, y, _ = PLACES["EPSG:2154"]
    world = {
        "crs": "EPSG:2154", "turn": 0.0, "ratio": 1.0, "size": (320, 320), "bands": 1, "dtype": "uint8",
        "block": 64, "interleave": "pixel", "nodata": None, "hole": False,
    }  # fmt: skip
    one, _ = made(tmp_path / "a.tif", world)
    frame = Frame(crs="EPSG:2154", bounds=Bounds(x, y - 320, x + 320, y), width=320, height=320)
    stopping = reader()
    asked = []

    def stop() -> bool:
        asked.append(stopping.blocks.size_bytes)
        return stopping.blocks.size_bytes > 10 * 64 * 64

    with pytest.raises(NobodyWaitsError):
        stopping.read(one, [1], frame, "bilinear", stop)
    assert asked[-1] < 11 * (64 * 64 + 500), "not all of the 25 blocks"
    assert len(asked) >= 25 + 10, "before each is read and before each is decoded"
    found = stopping.read(one, [1], frame, "bilinear")
    assert np.array_equal(found.data, reader().read(one, [1], frame, "bilinear").data)


def test_a_replaced_file_is_read_anew_and_never_mixed(tmp_path: Path) -> None:
    """Two files of one colour each change places while threads read: every picture is of one colour."""
    x, y, _ = PLACES["EPSG:2154"]
    world = {
        "crs": "EPSG:2154", "turn": 0.0, "ratio": 1.0, "size": (300, 300), "bands": 1, "dtype": "uint8",
        "block": 16, "interleave": "pixel", "nodata": None, "hole": False,
    }  # fmt: skip
    one, _ = made(tmp_path / "a.tif", world)
    for name, colour in (("one.tif", 10), ("two.tif", 200)):
        with rasterio.open(one.href) as source:
            profile = source.profile
        with rasterio.open(tmp_path / name, "w", **profile) as target:
            target.write(np.full((1, 300, 300), colour, "uint8"))
    frame = Frame(crs="EPSG:2154", bounds=Bounds(x, y - 300, x + 300, y), width=200, height=200)
    shared = FastReader(reference=REFERENCE, blocks=BlockCache(20_000))
    over, colours = threading.Event(), set()

    def look() -> None:
        while not over.is_set():
            found = np.unique(shared.read(one, [1], frame, "nearest").data)
            assert len(found) == 1, found
            colours.add(int(found[0]))

    with ThreadPoolExecutor(3) as pool:
        (tmp_path / "one.tif").rename(one.href)
        looking = [pool.submit(look) for _ in range(3)]
        turn = 0
        while turn < max(10, round(200 * SCALE)) or (len(colours) < 2 and turn < 500):
            fresh = tmp_path / "fresh.tif"
            with rasterio.open(fresh, "w", **profile) as target:
                target.write(np.full((1, 300, 300), (200, 10)[turn % 2], "uint8"))
            fresh.rename(one.href)
            time.sleep(0.02)
            turn += 1
        over.set()
        for each in looking:
            each.result(20)
    assert colours == {10, 200}
