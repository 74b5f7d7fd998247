"""Halving images, against a plain loop over pixels."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import rasterio
from hypothesis import example, given
from hypothesis import strategies as st

from mosaics.ingest import overviews
from mosaics.ingest.overviews import Steps, coarsen, steps
from tests.conftest import write_raster

REDUCTIONS = ("average", "mode", "max")


def half(length: int) -> Steps:
    return steps(slice(0, (length + 1) // 2), (length + 1) // 2, length)


def halve(values: np.ndarray, valid: np.ndarray, reduction: Any, fill: float | None) -> Any:
    """Make the whole coarser level at once."""
    _, height, width = values.shape
    return coarsen(values, valid, (half(height), half(width)), reduction=reduction, fill=fill)


def covered(place: int, length: int) -> dict[int, Fraction]:
    """Give the pixels that one of the coarser level covers, and how much of each."""
    ratio = Fraction(length, (length + 1) // 2)
    begin, end = place * ratio, (place + 1) * ratio
    shares = {n: min(end, n + 1) - max(begin, n) for n in range(length)}
    return {n: share for n, share in shares.items() if share > 0}


def centred(place: int, length: int) -> set[int]:
    ratio = Fraction(length, (length + 1) // 2)
    half_pixel = Fraction(1, 2)
    return {n for n in range(length) if place * ratio <= n + half_pixel < (place + 1) * ratio}


def plainly(values: np.ndarray, valid: np.ndarray, reduction: str) -> list[list[list[float | None]]]:
    """Reduce with Python's own numbers; None where nothing is valid."""
    bands, height, width = values.shape
    result = []
    for band in range(bands):
        rows = []
        for row in range((height + 1) // 2):
            line: list[float | None] = []
            for column in range((width + 1) // 2):
                found = [
                    values[band, r, c].item()
                    for r in sorted(centred(row, height))
                    for c in sorted(centred(column, width))
                    if valid[band, r, c]
                ]
                if not found:
                    line.append(None)
                elif reduction == "max":
                    line.append(max(found))
                elif reduction == "mode":
                    line.append(Counter(found).most_common(1)[0][0])
                else:
                    shares = {
                        (r, c): across * along
                        for r, along in covered(row, height).items()
                        for c, across in covered(column, width).items()
                        if valid[band, r, c]
                    }
                    total = sum(Fraction(values[band, r, c].item()) * s for (r, c), s in shares.items())
                    mean = total / sum(shares.values())
                    whole = values.dtype.kind != "f"
                    line.append(float((mean + Fraction(1, 2)).__floor__() if whole else mean))
            rows.append(line)
        result.append(rows)
    return result


@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 2), st.integers(1, 7), st.integers(1, 7)),
    data_type=st.sampled_from(["uint8", "int8", "uint16", "int32", "float32", "float64"]),
    reduction=st.sampled_from(REDUCTIONS),
    parts=st.tuples(
        st.sampled_from([1, 2, 32]), st.sampled_from([1, 2, 1024]), st.sampled_from([0, 0.3, 0.95])
    ),
)
@example(5, (2, 1, 5), "int8", "average", (32, 1024, 0.3))  # a mean of exactly a half
@example(3979, (1, 5, 4), "float32", "average", (32, 1024, 0.3))  # a mean of nothing, nearly
def test_halving_is_what_a_loop_gives(
    seed: int,
    shape: tuple[int, int, int],
    data_type: str,
    reduction: str,
    parts: tuple[int, int, float],
) -> None:
    """The parts: rows and columns that are made at once, and how many of the values are none."""
    generator = np.random.default_rng(seed)
    low = 0 if data_type[0] == "u" else -4
    values = generator.integers(low, 5, shape).astype(data_type)
    rows, columns, holes = parts
    valid = generator.random(shape) >= holes
    with patch.multiple(overviews, _ROWS_AT_ONCE=rows, _COLUMNS_AT_ONCE=columns):
        found, still_valid = halve(values, valid, reduction, None)
    assert found.dtype == values.dtype
    # where values of up to 4 cancel each other out
    lost = max(1e-8, 4 * float(np.finfo(data_type).eps)) if data_type[0] == "f" else 1e-8
    for place, expected in np.ndenumerate(np.array(plainly(values, valid, reduction), dtype=object)):
        assert still_valid[place] == (expected is not None)
        if expected is not None:
            assert found[place] == pytest.approx(expected, rel=1e-6, abs=lost)


@pytest.mark.parametrize("data_type", ["uint8", "int16", "uint32", "int32", "float64"])
def test_extreme_values_do_not_overflow(data_type: str) -> None:
    limits = np.finfo(data_type) if data_type[0] == "f" else np.iinfo(data_type)
    for extreme in (limits.min / 8, limits.max / 8) if data_type[0] == "f" else (limits.min, limits.max):
        values = np.full((1, 4, 4), extreme, dtype=data_type)
        for reduction in REDUCTIONS:
            found, _ = halve(values, np.ones(values.shape, dtype=bool), reduction, None)
            assert (found == values[:, :2, :2]).all()


@pytest.mark.parametrize(
    ("data_type", "fill"), [("int16", 0), ("uint8", 255), ("uint8", 0), ("float32", 0.0)]
)
def test_a_valid_average_never_becomes_nodata(data_type: str, fill: float) -> None:
    quad = {0: [0, 0, 0, 0], 255: [255, 255, 255, 255]}[int(fill)]
    if data_type in {"int16", "float32"}:
        quad = [-3, 3, -1, 1]
    values = np.array(quad, dtype=data_type).reshape(1, 2, 2)
    found, valid = halve(values, np.ones((1, 2, 2), dtype=bool), "average", fill)
    assert valid.all()
    assert found[0, 0, 0] != fill
    assert abs(float(found[0, 0, 0]) - fill) <= 1


def test_what_has_no_valid_pixel_becomes_the_fill() -> None:
    nothing = np.zeros((1, 2, 2), dtype=bool)
    assert halve(np.ones((1, 2, 2), dtype="int16"), nothing, "max", -9)[0].item() == -9
    assert halve(np.ones((1, 2, 2), dtype="int16"), nothing, "max", None)[0].item() == 0
    assert np.isnan(halve(np.ones((1, 2, 2), dtype="float32"), nothing, "average", float("nan"))[0].item())


def test_values_that_are_not_valid_leave_no_trace() -> None:
    values = np.array([[[np.nan, 2.0], [np.inf, 4.0]]], dtype="float32")
    for reduction, expected in (("average", 3.0), ("max", 4.0), ("mode", 2.0)):
        assert halve(values, np.isfinite(values), reduction, None)[0].item() == expected


@given(finer=st.integers(1, 60), data=st.data())
def test_windows_cover_what_the_whole_does(finer: int, data: st.DataObject) -> None:
    coarser = (finer + 1) // 2
    first = data.draw(st.integers(0, coarser - 1))
    last = data.draw(st.integers(first + 1, coarser))
    part, whole = steps(slice(first, last), coarser, finer), half(finer)
    values = np.random.default_rng(finer).random((1, 1, finer))
    valid = np.ones(values.shape, dtype=bool)
    one = half(1)
    all_of_it, _ = coarsen(values, valid, (one, whole), reduction="average", fill=None)
    some = values[..., part.source]
    found, _ = coarsen(some, valid[..., part.source], (one, part), reduction="average", fill=None)
    assert np.allclose(found, all_of_it[..., first:last])


@pytest.mark.parametrize("shape", [(64, 64), (65, 64), (63, 37), (61, 59), (135, 4301), (131, 2050)])
def test_an_average_is_gdals(tmp_path: Path, shape: tuple[int, int]) -> None:
    values = np.random.default_rng(1).random((1, *shape)).astype("float32")
    path = write_raster(tmp_path / "a.tif", values)
    with rasterio.open(path, "r+") as target:
        target.build_overviews([2], rasterio.enums.Resampling.average)
    with rasterio.open(path, overview_level=0) as source:
        expected = source.read()
    found, _ = halve(values, np.ones(values.shape, dtype=bool), "average", None)
    assert found.shape == expected.shape
    assert np.allclose(found, expected, atol=0.01)
