"""A nodata value that whoever banks gives: what of it shows, what is measured, and when it is not used."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.warp import transform_bounds

from mosaics.errors import IngestError
from mosaics.ingest.bank import Bank
from mosaics.ingest.inspect import held_as
from mosaics.ingest.options import BankOptions
from server.quicklook import quicklook_maker
from server.settings import Settings
from tests.mosaics.ingest.deliveries.banked import picture_of
from tests.mosaics.ingest.deliveries.sensor_images import SIZE, linear_rpc, ramp, write

MakeImage = Callable[..., Path]
FRAME = 40
"""Columns of black on the left of the images made here."""


@pytest.fixture
def bank(bank: Bank, tmp_path: Path) -> Bank:
    home = tmp_path / "home"
    return replace(bank, home_data=home / "data", quicklook=quicklook_maker(Settings(home=home)))


def framed(positions: Callable[[int, int, int], np.ndarray]) -> np.ndarray:
    """Give three bands with a black edge, a black pixel inside, and one that is black in one band."""
    values = positions(3, 100, 120).astype("uint8")
    values[:, :, :FRAME] = 0
    values[:, 50, 80] = 0
    values[0, 60, 90] = 0
    return values


def put(bank: Bank, path: Path, nodata: float | None = 0.0) -> tuple[rasterio.DatasetReader, tuple[str, ...]]:
    result = bank.bank_file(path, BankOptions(nodata=nodata), lambda *_: None)
    assert result.scene is not None
    return rasterio.open(result.scene.href), result.messages


def test_black_edges_are_nothing(
    bank: Bank, make_image: MakeImage, positions: Callable[[int, int, int], np.ndarray], tmp_path: Path
) -> None:
    values = framed(positions)
    path = make_image(values, "root/a.tif", driver="COG", blocksize=128)
    rooted = dataclasses.replace(bank, data_roots=[tmp_path / "root"])
    result = rooted.bank_file(path, BankOptions(nodata=0), lambda *_: None)
    assert not result.in_place
    assert result.messages[0] == "converted, since its nodata value is not in the file"
    assert result.scene is not None
    with rasterio.open(result.scene.href) as made:
        assert made.nodata == 0
        np.testing.assert_array_equal(made.read(), values)
        seen = made.dataset_mask() > 0
        left = made.bounds.left + FRAME * made.res[0]
        outline = (left, *made.bounds[1:])
    assert not seen[:, :FRAME].any()
    assert not seen[50, 80]
    assert seen[60, 90], "two of its bands say something"
    assert seen.sum() == 100 * 80 - 1
    wanted = shapely.box(*transform_bounds("EPSG:2154", "EPSG:4326", *outline))
    assert shapely.intersection(result.scene.footprint, wanted).area > 0.95 * result.scene.footprint.area
    assert [band.minimum for band in result.scene.bands] == [values[n][values[n] > 0].min() for n in range(3)]
    assert result.scene.bands[0].p50 == pytest.approx(np.percentile(values[0][values[0] > 0], 50))
    item = bank.catalog.item(result.collection_id, result.scene_id)
    assert item is not None
    assert item["assets"]["data"]["nodata"] == 0
    picture = picture_of(tmp_path / "home" / "data" / item["assets"]["thumbnail"]["href"])
    shown = picture[picture[..., 3] > 0]
    assert shown.size > 0.8 * picture.size, "it is of the outline, and that is full"
    assert shown[:, :3].max(axis=1).min() > 0, "nothing black shows"


def test_who_says_nothing_of_black_edges_is_told(
    bank: Bank, make_image: MakeImage, positions: Callable[[int, int, int], np.ndarray]
) -> None:
    source, messages = put(bank, make_image(framed(positions), "edged.tif"), None)
    source.close()
    said = [message for message in messages if "--nodata 0" in message]
    assert said
    assert said[0].startswith("at least 2 % of its values are 0, the least; if that means nothing")
    for name, values, options in (
        ("full.tif", positions(3, 100, 120).astype("uint8"), {}),
        ("one_band.tif", np.stack([framed(positions)[0], positions(1, 100, 120)[0].astype("uint8")]), {}),
        ("told.tif", framed(positions), {"nodata": 0}),
        ("flat.tif", np.zeros((1, 100, 120), "uint8"), {}),
    ):
        source, messages = put(bank, make_image(values, name, **options), None)
        source.close()
        assert not [message for message in messages if "--nodata" in message], name


@pytest.mark.parametrize(
    ("how", "options"),
    [
        ("nodata", {"nodata": 7}),
        ("internal", {"mask": np.full((100, 120), 255, "uint8")}),
        ("alpha", {"photometric": "RGB", "alpha": "YES"}),
    ],
)
def test_what_the_file_says_itself_stands(
    bank: Bank, make_image: MakeImage, how: str, options: dict[str, object]
) -> None:
    values = np.full((4 if how == "alpha" else 3, 100, 120), 9, "uint8")
    values[:3, :20] = 0
    source, messages = put(bank, make_image(values, **options))
    with source:
        assert source.nodata == (7 if how == "nodata" else None)
        assert (source.dataset_mask() > 0).all() or how == "alpha"
    assert f"--nodata is not used: the file says itself where it has data ({how})" in messages


def test_a_value_that_the_type_has_not_is_refused(bank: Bank, make_image: MakeImage) -> None:
    path = make_image(np.ones((1, 50, 50), "uint8"))
    with pytest.raises(IngestError, match=r"--nodata 300 is no value of uint8"):
        put(bank, path, 300)
    with pytest.raises(IngestError, match=r"--nodata -1 is no value of uint8"):
        bank.plan(path, None, BankOptions(nodata=-1))


def test_all_black_is_refused_with_its_reason(bank: Bank, make_image: MakeImage) -> None:
    with pytest.raises(IngestError, match=r"every pixel is nodata \(0\)"):
        put(bank, make_image(np.zeros((1, 50, 50), "uint8")))


def test_a_dry_run_tells_of_it(bank: Bank, make_image: MakeImage) -> None:
    plan = bank.plan(make_image(np.ones((1, 50, 50), "uint8")), None, BankOptions(nodata=0))
    assert plan["groups"][0]["steps"] == ["write a COG whose nodata value is 0"]


def test_what_a_type_holds() -> None:
    assert held_as(-9999, "int16") == -9999
    assert held_as(0.5, "int16") is None
    assert held_as(np.nan, "uint8") is None
    assert held_as(-9999.9, "float32") == float(np.float32(-9999.9))
    assert np.isnan(held_as(np.nan, "float32") or 0)
    assert held_as(1e39, "float32") is None


def test_floats_are_compared_as_the_type_holds_them(bank: Bank, make_image: MakeImage) -> None:
    values = np.full((1, 50, 50), 12.5, "float32")
    values[:, :20] = -9999.9
    source, _ = put(bank, make_image(values), -9999.9)
    with source:
        assert (source.dataset_mask() > 0).sum() == 30 * 50


def test_images_in_sensor_geometry_take_it_too(bank: Bank, tmp_path: Path) -> None:
    values = ramp()[np.newaxis]
    values[:, :, : SIZE // 2] = 0
    path = write(tmp_path / "IMG.TIF", values, rpcs=linear_rpc())
    source, messages = put(bank, path)
    with source:
        assert source.nodata == 0
        seen = source.dataset_mask() > 0
    assert 0.3 < seen.mean() < 0.6
    assert not any("--nodata" in message for message in messages)


@pytest.mark.imagery
@pytest.mark.parametrize(
    "name",
    [
        "20170831_172754_101c_3b_Visual.tif",
        "SkySat_Freeport_s03_20170831T162740Z.tif",
        "Houston-East-20170831-3-band.tif",
    ],
)
def test_real_black_edges(bank: Bank, imagery: Path, name: str) -> None:
    path = imagery / "optical" / "planet" / name
    with rasterio.open(path) as original:
        values = original.read()
    source, _ = put(bank, path)
    with source:
        np.testing.assert_array_equal(source.read(), values)
        np.testing.assert_array_equal(source.dataset_mask() > 0, (values != 0).any(axis=0))
