"""One pass over an image gives what numpy gives with all of it in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mosaics.errors import IngestError
from mosaics.ingest import source, statistics
from mosaics.ingest.inspect import inspect
from mosaics.ingest.statistics import Histogram, Statistics, SystematicSample, measure
from tests.mosaics.ingest.conftest import silent

RNG = np.random.default_rng(7)


def measured(path: Path) -> Statistics:
    return measure(inspect(path), silent)


def expect(found: statistics.BandStatistics, values: np.ndarray) -> None:
    assert (found.count, found.minimum, found.maximum) == (values.size, values.min(), values.max())
    assert [found.p2, found.p50, found.p98, found.p999] == pytest.approx(
        np.percentile(values.astype("float64"), [2, 50, 98, 99.9])
    )


@pytest.mark.parametrize(
    "data_type", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
@pytest.mark.parametrize("tiled", [True, False])
def test_percentiles_are_numpys(make_image: Callable[..., Path], data_type: str, tiled: bool) -> None:
    low, high = (-100, 120) if data_type[0] in "if" else (0, 250)
    values = RNG.integers(low, high, (2, 200, 300)).astype(data_type)
    blocks = {"tiled": True, "blockxsize": 64, "blockysize": 32} if tiled else {}
    found = measured(make_image(values, **blocks))
    for band in range(2):
        expect(found.bands[band], values[band])
        assert found.bands[band].sample_step == 1


@pytest.mark.parametrize("data_type", ["uint16", "float32"])
def test_small_windows_give_the_same(
    make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, data_type: str
) -> None:
    values = RNG.integers(0, 60_000, (2, 333, 555)).astype(data_type)
    path = make_image(values, tiled=True, blockxsize=64, blockysize=128, compress="deflate", nodata=7)
    whole = measured(path)
    monkeypatch.setattr(source, "WINDOW_BYTES", 140_000)
    for threads in (1, 2, 3):
        parts = measure(inspect(path), silent, threads=threads)
        assert parts.bands == whole.bands
        assert (parts.coverage.cells == whole.coverage.cells).all()


def test_only_valid_pixels_count(make_image: Callable[..., Path]) -> None:
    values = RNG.integers(1, 200, (3, 50, 60)).astype("uint8")
    hidden = np.zeros((50, 60), dtype=bool)
    hidden[:, 40:] = True
    cases = {
        "nodata": (np.where(hidden, 0, values).astype("uint8"), {"nodata": 0}),
        "mask": (values, {"mask": ~hidden}),
        "alpha": (
            np.concatenate([values, np.where(hidden, 0, 9)[np.newaxis]]).astype("uint8"),
            {"colours": ("red", "green", "blue", "alpha")},
        ),
    }
    for name, (stored, options) in cases.items():
        found = measured(make_image(stored, f"{name}.tif", **options))
        assert len(found.bands) == 3, name
        for band in range(3):
            expect(found.bands[band], values[band][~hidden])
        assert (found.coverage.cells == ~hidden).all(), name


def test_external_mask_counts(make_image: Callable[..., Path]) -> None:
    values = RNG.integers(1, 200, (1, 20, 30)).astype("uint8")
    mask = np.zeros((1, 20, 30), dtype="uint8")
    mask[:, 5:15] = 255
    path = make_image(values)
    make_image(mask, "image.tif.msk", crs=None, transform=None)
    expect(measured(path).bands[0], values[0, 5:15])


def test_values_that_are_not_finite_do_not_count(make_image: Callable[..., Path]) -> None:
    values = RNG.normal(size=(2, 30, 40)).astype("float32")
    stored = values.copy()
    stored[0, :10], stored[1, 25, 25], stored[0, 20, 20] = np.nan, np.inf, -5
    found = measured(make_image(stored, nodata=-5))
    assert found.has_unfinite
    kept = np.isfinite(stored[0]) & (stored[0] != -5)
    expect(found.bands[0], stored[0][kept])
    expect(found.bands[1], stored[1][np.isfinite(stored[1])])
    assert found.coverage.cells.all()


def test_a_band_without_values_has_no_statistics(make_image: Callable[..., Path]) -> None:
    values = np.ones((2, 8, 8), dtype="int16")
    values[1] = -9
    found = measured(make_image(values, nodata=-9))
    assert (found.bands[1].count, found.bands[1].minimum, found.bands[1].p50) == (0, None, None)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"nodata": 1}, "every pixel is nodata .1."), ({"mask": np.zeros((8, 8), dtype=bool)}, "masked")],
)
def test_no_valid_pixel_is_refused(make_image: Callable[..., Path], options: dict, words: str) -> None:
    with pytest.raises(IngestError, match=words):
        measured(make_image(np.ones((1, 8, 8), dtype="uint8"), **options))


def test_all_transparent_and_all_nan_are_refused(make_image: Callable[..., Path]) -> None:
    clear = np.stack([np.ones((8, 8)), np.zeros((8, 8))]).astype("uint8")
    with pytest.raises(IngestError, match="transparent"):
        measured(make_image(clear, colours=("gray", "alpha")))
    with pytest.raises(IngestError, match="no value is finite"):
        measured(make_image(np.full((1, 8, 8), np.nan, dtype="float32"), "nan.tif"))


def test_a_block_that_does_not_decode_is_found_and_placed(make_image: Callable[..., Path]) -> None:
    values = RNG.integers(0, 255, (1, 256, 256)).astype("uint8")
    path = make_image(values, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    path.write_bytes(data)
    with pytest.raises(IngestError, match=r"image.tif: damaged or truncated: pixels between rows .* columns"):
        measured(path)


def test_progress_ends_at_one(make_image: Callable[..., Path]) -> None:
    seen: list[tuple[str, float]] = []
    measure(inspect(make_image(np.ones((1, 2000, 3000), dtype="uint8"))), lambda *report: seen.append(report))
    assert seen[-1] == ("reading", 1.0)
    assert [fraction for _, fraction in seen] == sorted(fraction for _, fraction in seen)


def test_sample_keeps_every_nth_value_whatever_the_portions() -> None:
    values = RNG.normal(size=50_000)
    sample = SystematicSample("float64", 1000)
    for part in np.array_split(values, 37):
        sample.add(part)
    found = sample.result()
    assert found.sample_step == 81
    assert (found.count, found.minimum, found.maximum) == (50_000, values.min(), values.max())
    assert found.p50 == pytest.approx(np.percentile(values[::81], 50))
    assert found.p98 == pytest.approx(np.percentile(values[::81], 98))


def test_sample_survives_a_portion_much_larger_than_itself() -> None:
    values = np.arange(100_000, dtype="float64")
    sample = SystematicSample("float64", 10)
    sample.add(values)
    found = sample.result()
    assert found.sample_step == 3**9
    assert found.p50 == pytest.approx(np.percentile(values[:: 3**9], 50))


def test_memory_of_a_sample_is_bounded() -> None:
    assert Histogram("uint16")._counts.size == 65_536
    assert SystematicSample("float32", 100)._kept.size == 100
