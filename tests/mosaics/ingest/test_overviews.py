"""Halving images, against a plain loop over pixels."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosaics.ingest.overviews import halve

REDUCTIONS = ("average", "mode", "max")


def plainly(values: np.ndarray, valid: np.ndarray, reduction: str) -> list[list[list[float | None]]]:
    """Reduce with Python's own numbers; None where nothing is valid."""
    bands, height, width = values.shape
    result = []
    for band in range(bands):
        rows = []
        for row in range(0, height, 2):
            line: list[float | None] = []
            for column in range(0, width, 2):
                places = [
                    (band, r, c)
                    for r in (row, row + 1)
                    for c in (column, column + 1)
                    if r < height and c < width and valid[band, r, c]
                ]
                found = [values[place].item() for place in places]
                if not found:
                    line.append(None)
                elif reduction == "max":
                    line.append(max(found))
                elif reduction == "mode":
                    line.append(Counter(found).most_common(1)[0][0])
                elif values.dtype.kind == "f":
                    line.append(sum(found) / len(found))
                else:
                    line.append((2 * sum(found) + len(found)) // (2 * len(found)))
            rows.append(line)
        result.append(rows)
    return result


@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 2), st.integers(1, 7), st.integers(1, 7)),
    data_type=st.sampled_from(["uint8", "int8", "uint16", "int32", "float32", "float64"]),
    reduction=st.sampled_from(REDUCTIONS),
)
def test_halving_is_what_a_loop_gives(
    seed: int, shape: tuple[int, int, int], data_type: str, reduction: str
) -> None:
    generator = np.random.default_rng(seed)
    low = 0 if data_type[0] == "u" else -4
    values = generator.integers(low, 5, shape).astype(data_type)
    valid = generator.random(shape) > 0.3
    found, still_valid = halve(values, valid, reduction, None)
    assert found.dtype == values.dtype
    for place, expected in np.ndenumerate(np.array(plainly(values, valid, reduction), dtype=object)):
        assert still_valid[place] == (expected is not None)
        if expected is not None:
            assert found[place] == pytest.approx(expected)


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
