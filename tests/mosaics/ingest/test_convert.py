"""The bank profile: nothing is lost, overviews are right, nothing half-done is left."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rio_cogeo.cogeo import cog_validate

from mosaics.errors import IngestError
from mosaics.gdal import open_raster
from mosaics.ingest.conversion import Conversion
from mosaics.ingest.convert import convert
from mosaics.ingest.inspect import inspect
from mosaics.ingest.profile import PROFILE, Reduction
from mosaics.ingest.statistics import measure
from mosaics.tiff.raster import PROFILE_TAG
from tests.mosaics.ingest.conftest import little_room, silent

RNG = np.random.default_rng(11)


@pytest.fixture
def converted(tmp_path: Path) -> Callable[..., Path]:
    """Convert a file as banking does."""

    def make(path: Path, reduction: Reduction = "average") -> Path:
        inspection = inspect(path)
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        statistics = measure(inspection, silent)
        conversion = Conversion(
            inspection=inspection, profile=PROFILE, reduction=reduction, has_unfinite=statistics.has_unfinite
        )
        return convert(conversion, folder, silent).path

    return make


def test_result_follows_the_profile_and_keeps_every_value(
    make_image: Callable[..., Path], converted: Callable[..., Path], positions: Any
) -> None:
    values = positions(3, 1100, 1300).astype("uint16")
    source = make_image(
        values,
        tags={None: {"MISSION": "X"}, "IMAGERY": {"SATELLITEID": "Y"}},
        colours=("red", "green", "blue"),
    )
    result = converted(source)
    assert cog_validate(result, strict=True, quiet=True) == (True, [], [])
    with open_raster(result) as made:
        assert (made.read() == values).all()
        assert made.tags()[PROFILE_TAG] == PROFILE.version
        assert made.tags()["MISSION"] == "X"
        assert made.tags()["SATELLITEID"] == "Y"
        assert made.compression.value == "ZSTD"
        assert made.block_shapes[0] == (512, 512)
        assert made.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "2"
        assert made.overviews(1) == [2, 4]
        assert made.colorinterp[:3] == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    before, after = inspect(source), inspect(result)
    assert (after.crs, after.transform, after.data_type) == (before.crs, before.transform, before.data_type)


@pytest.mark.parametrize("bands", [1, 4, 5, 9])
def test_many_bands_are_stored_apart(
    make_image: Callable[..., Path], converted: Callable[..., Path], positions: Any, bands: int
) -> None:
    values = positions(bands, 700, 600).astype("float32")
    result = converted(make_image(values))
    with open_raster(result) as made:
        structure = made.tags(ns="IMAGE_STRUCTURE")
        assert (made.read() == values).all()
        assert structure["PREDICTOR"] == "3"
        assert structure["INTERLEAVE"] == ("PIXEL" if 1 < bands <= 4 else "BAND")
    assert cog_validate(result, strict=True, quiet=True)[0]


def test_small_image_has_no_overviews(
    make_image: Callable[..., Path], converted: Callable[..., Path]
) -> None:
    with open_raster(converted(make_image(np.ones((1, 512, 100), dtype="uint8")))) as made:
        assert made.overviews(1) == []


@pytest.mark.parametrize("size", [(1100, 512), (2048, 1024), (600, 512)])
def test_levels_of_one_column_of_blocks_are_tiled(
    make_image: Callable[..., Path], converted: Callable[..., Path], positions: Any, size: tuple[int, int]
) -> None:
    values = positions(1, *size).astype("uint16")
    result = converted(make_image(values))
    assert inspect(result).cog_errors == ()
    with open_raster(result) as made:
        assert (made.read() == values).all()


def test_strips_of_one_row_are_no_tiles(make_image: Callable[..., Path], positions: Any) -> None:
    strips = make_image(positions(1, 1100, 512).astype("uint16"), blockysize=1)
    assert "not tiled" in inspect(strips).cog_errors[0]


def test_overviews_are_averages_of_valid_pixels(
    make_image: Callable[..., Path], converted: Callable[..., Path]
) -> None:
    values = RNG.integers(1, 1000, (1, 1024, 1024)).astype("uint16")
    values[:, :, ::2] = 0
    with open_raster(converted(make_image(values, nodata=0)), overview_level=0) as overview:
        found = overview.read(1)
    kept = values[0, :, 1::2].astype("int64")
    assert (found == (kept[::2] + kept[1::2] + 1) // 2).all()


@pytest.mark.parametrize("tells", ["nothing", "nodata", "mask", "alpha"])
@pytest.mark.parametrize("size", [(1100, 1300), (1027, 1901)])
def test_an_overview_made_beside_the_base_is_that_made_of_it(
    make_image: Callable[..., Path], tmp_path: Path, positions: Any, size: tuple[int, int], tells: str
) -> None:
    values = positions(4 if tells == "alpha" else 3, *size).astype("uint8")
    values[:, 90:700, 33:810] = 0
    path = make_image(
        values,
        nodata=0 if tells == "nodata" else None,
        mask=values[0] != 0 if tells == "mask" else None,
        colours=("red", "green", "blue", "alpha") if tells == "alpha" else (),
    )
    made = []
    for is_plain, threads in ((True, 1), (True, 2), (False, 2)):
        conversion = Conversion(
            inspection=inspect(path),
            profile=PROFILE if is_plain else dataclasses.replace(PROFILE, plain_work_bytes=0),
            reduction="average",
            has_unfinite=False,
            threads=threads,
        )
        assert conversion.coarsens_beside == is_plain
        folder = tmp_path / f"{is_plain}{threads}"
        folder.mkdir()
        made.append(convert(conversion, folder, silent))
        assert list(folder.iterdir()) == [made[-1].path]
    assert {each.sha256 for each in made} == {hashlib.sha256(made[-1].path.read_bytes()).hexdigest()}


def test_night_lights_keep_their_maximum_and_classes_their_mode(
    make_image: Callable[..., Path], converted: Callable[..., Path]
) -> None:
    lights = np.zeros((1, 2100, 2100), dtype="float32")
    lights[0, 1001, 777] = 90
    result = converted(make_image(lights), "max")
    for level in range(3):
        with open_raster(result, overview_level=level) as overview:
            factor = 2 ** (level + 1)
            assert overview.read(1)[1001 // factor, 777 // factor] == 90
    classes = np.full((1, 600, 600), 3, dtype="uint8")
    classes[0, ::2, ::2] = 9
    palette = {3: (1, 2, 3, 255), 9: (4, 5, 6, 255)}
    result = converted(make_image(classes, "classes.tif", palette=palette), "mode")
    with open_raster(result, overview_level=0) as overview:
        assert (overview.read(1) == 3).all()
    with open_raster(result) as made:
        assert made.colormap(1)[9] == (4, 5, 6, 255)


@pytest.mark.parametrize("where", ["internal", "external"])
def test_masks_become_internal_at_every_level(
    make_image: Callable[..., Path], converted: Callable[..., Path], where: str
) -> None:
    values = RNG.integers(0, 255, (3, 900, 800)).astype("uint8")
    mask = np.zeros((900, 800), dtype=bool)
    mask[100:500, 200:600] = True
    path = make_image(values, mask=mask if where == "internal" else None)
    if where == "external":
        make_image(mask[np.newaxis].astype("uint8") * 255, "image.tif.msk", crs=None, transform=None)
    result = converted(path)
    with open_raster(result) as made:
        assert made.mask_flag_enums[0] == [MaskFlags.per_dataset]
        assert ((made.dataset_mask() > 0) == mask).all()
        assert (made.read() == values).all()
    with open_raster(result, overview_level=0) as overview:
        assert ((overview.dataset_mask() > 0) == mask[::2, ::2]).all()


def test_alpha_stays_a_band_and_takes_in_a_mask(
    make_image: Callable[..., Path], converted: Callable[..., Path]
) -> None:
    values = np.full((4, 700, 700), 200, dtype="uint8")
    values[3, :101] = 0
    mask = np.ones((700, 700), dtype=bool)
    mask[:, :50] = False
    path = make_image(values, mask=mask, colours=("red", "green", "blue", "alpha"))
    result = converted(path)
    with open_raster(result) as made:
        assert made.colorinterp[3] == ColorInterp.alpha
        alpha = made.read(4)
        assert (alpha[:, :50] == 0).all()
        assert (alpha[:101] == 0).all()
        assert (alpha[101:, 50:] == 200).all()
    with open_raster(result, overview_level=0) as overview:
        found = overview.read()
    assert (found[:3, 50:, 25:] == 200).all()
    assert found[3, 50, 100] == 100
    assert (found[3, 51:, 25:] == 200).all()


def test_partly_transparent_edge_is_never_lost_in_overviews(
    make_image: Callable[..., Path], converted: Callable[..., Path]
) -> None:
    values = np.full((4, 600, 600), 77, dtype="uint8")
    values[3] = 0
    values[3, 301, 301] = 1
    path = make_image(values, colours=("red", "green", "blue", "alpha"))
    with open_raster(converted(path), overview_level=0) as overview:
        found = overview.read()
    assert found[3, 150, 150] == 1
    assert found[0, 150, 150] == 77
    assert np.count_nonzero(found[3]) == 1


def test_nan_without_nodata_becomes_nodata(
    make_image: Callable[..., Path], converted: Callable[..., Path]
) -> None:
    values = RNG.normal(size=(1, 600, 600)).astype("float32")
    values[0, :10], values[0, 20, 20] = np.nan, np.inf
    with open_raster(converted(make_image(values))) as made:
        assert np.isnan(made.nodata)
        found = made.read()
    finite = np.isfinite(values)
    assert (np.isfinite(found) == finite).all()
    assert (found[finite] == values[finite]).all()


def test_nan_beside_a_nodata_value_becomes_that(
    make_image: Callable[..., Path], converted: Callable[..., Path]
) -> None:
    values = np.ones((1, 100, 100), dtype="float64")
    values[0, 0, 0], values[0, 1, 1] = np.nan, -99
    with open_raster(converted(make_image(values, nodata=-99))) as made:
        assert made.nodata == -99
        assert (made.read(1)[[0, 1], [0, 1]] == -99).all()


def test_twelve_bits_become_sixteen(
    make_image: Callable[..., Path], converted: Callable[..., Path], positions: Any
) -> None:
    values = (positions(1, 300, 200) * 16).astype("uint16")
    result = converted(make_image(values, nbits=12))
    assert inspect(result).stored_bits is None
    with open_raster(result) as made:
        assert (made.read() == values).all()


def test_descriptions_units_and_scales_are_kept(
    make_image: Callable[..., Path], converted: Callable[..., Path]
) -> None:
    path = make_image(np.ones((3, 20, 20), dtype="int16"))
    with rasterio.open(path, "r+") as target:
        target.descriptions = ("one", "", "three")
        target.units = ("m", "", "dB")
        target.scales, target.offsets = (0.1, 1, 2), (0, 5, 0)
    found = inspect(converted(path))
    assert found.descriptions == ("one", "", "three")
    assert found.units == ("m", "", "dB")
    assert (found.scales, found.offsets) == ((0.1, 1, 2), (0, 5, 0))


@pytest.mark.parametrize("data_type", ["int16", "uint16", "float32"])
def test_alpha_of_other_types_is_opaque_or_not(
    make_image: Callable[..., Path], converted: Callable[..., Path], data_type: str
) -> None:
    values = np.full((4, 30, 40), 7, dtype=data_type)
    values[3, :, :11], values[3, :, 11:] = 0, 1
    if data_type == "float32":
        values[3, :3] = np.nan
    result = converted(make_image(values, colours=("red", "green", "blue", "alpha")))
    with open_raster(result) as made:
        assert set(np.unique(made.read(4))) == {0, 255 if data_type == "float32" else np.iinfo(data_type).max}
        assert ((made.read(4) != 0) == (values[3] == 1)).all()


def test_damaged_source_is_refused(make_image: Callable[..., Path], converted: Callable[..., Path]) -> None:
    values = RNG.integers(0, 255, (1, 256, 256)).astype("uint8")
    path = make_image(values, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    inspection = inspect(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    folder = path.parent / "damaged"
    folder.mkdir()
    conversion = Conversion(inspection=inspection, profile=PROFILE, reduction="average", has_unfinite=False)
    with pytest.raises(IngestError, match="damaged or truncated"):
        convert(conversion, folder, silent)


def test_full_disk_is_named(make_image: Callable[..., Path], tmp_path: Path) -> None:
    path = make_image(RNG.integers(0, 60_000, (1, 1500, 1500)).astype("uint16"))
    inspection = inspect(path)
    conversion = Conversion(inspection=inspection, profile=PROFILE, reduction="average", has_unfinite=False)
    folder = tmp_path / "work"
    folder.mkdir()
    with little_room(), pytest.raises(IngestError, match=r"no space left .* about three times the size"):
        convert(conversion, folder, silent)


def test_profile_says_how_kinds_are_reduced() -> None:
    assert PROFILE.reduction("night", has_palette=False) == "max"
    assert PROFILE.reduction("classes", has_palette=False) == "mode"
    assert PROFILE.reduction("phase", has_palette=False) == "mode", "phases can't be averaged"
    assert PROFILE.reduction("measure", has_palette=False) == "average"
    assert PROFILE.reduction("other", has_palette=True) == "mode"
    assert PROFILE.reduction("optical", has_palette=False) == "average"
    assert PROFILE.overview_sizes(2049, 512) == ((1025, 256), (513, 128), (257, 64))
