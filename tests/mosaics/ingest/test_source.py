"""Windows of a file: their values stay as they are for as long as was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from mosaics.ingest.inspect import inspect
from mosaics.ingest.source import Source
from tests.mosaics.ingest.conftest import MakeImage

WINDOWS = [Window(0, 0, 60, 40), Window(60, 0, 20, 40), Window(0, 40, 60, 30), Window(10, 5, 70, 65)]


@pytest.mark.parametrize("kept", [1, 2, 3])
@pytest.mark.parametrize("nodata", [None, 7])
def test_values_stay_while_others_are_read(make_image: MakeImage, kept: int, nodata: int | None) -> None:
    values = np.random.default_rng(3).integers(0, 255, (3, 70, 80)).astype("uint8")
    with Source(inspect(make_image(values, nodata=nodata)), kept=kept) as source:
        pixels = []
        for window in WINDOWS:
            pixels.append(source.read(window))
            for held, place in list(zip(pixels, WINDOWS, strict=False))[-kept:]:
                rows, columns = place.toslices()
                wanted = values[:, rows, columns]
                assert np.array_equal(held.values, wanted)
                assert np.array_equal(held.valid, wanted != nodata)
                assert held.opaque.all()


def test_what_is_valid_of_whole_images_is_no_ones_to_change(make_image: MakeImage) -> None:
    path = make_image(np.ones((1, 20, 30), dtype="uint8"))
    with Source(inspect(path)) as source:
        pixels = source.read(Window(0, 0, 30, 20))
        assert pixels.valid.all()
        with pytest.raises(ValueError, match="read-only"):
            pixels.valid[:] = False


@pytest.mark.parametrize("data_type", ["uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("nodata", [0, 7, 200, -5, 300, 7.5, float("nan")])
def test_what_is_nothing_is_what_gdal_says(make_image: MakeImage, data_type: str, nodata: float) -> None:
    values = np.random.default_rng(4).integers(0, 250, (2, 40, 50)).astype(data_type)
    values[0, :3] = (
        nodata if np.isfinite(nodata) and np.can_cast(np.min_scalar_type(nodata), data_type) else 9
    )
    path = make_image(values)
    with rasterio.open(path, "r+") as target:
        target.nodata = nodata
    with Source(inspect(path)) as source, rasterio.open(path) as wanted:
        pixels = source.read(Window(0, 0, 50, 40))
        assert np.array_equal(pixels.valid, wanted.read_masks() != 0)
