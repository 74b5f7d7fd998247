"""Shortcuts of resampling give what the kernels do, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mosaics.grids import load_grids
from mosaics.resample import Positions, Resampling, copied, inside, resample
from mosaics.warp import first_of_steps, inverted, mesh
from mosaics.warp import positions as warped

ROWS, COLUMNS, BANDS = 40, 50, 4
DICE = np.random.default_rng(5)
HOLES = (DICE.random((ROWS, COLUMNS)) < 0.7) * np.uint8(255)
RESAMPLINGS: tuple[Resampling, ...] = ("nearest", "bilinear", "cubic")


def samples_of(dtype: str) -> NDArray[Any]:
    made: NDArray[Any] = (DICE.random((ROWS, COLUMNS, BANDS)) * 120).astype(dtype)
    return made


def positions(row: float, column: float, shape: tuple[int, int] = (30, 30), step: float = 1.0) -> Positions:
    at = np.empty((*shape, 2), "float32")
    at[..., 0] = column + step * np.arange(shape[1])
    at[..., 1] = row + step * np.arange(shape[0])[:, np.newaxis]
    return at


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("valid", [None, HOLES], ids=["whole", "holes"])
@pytest.mark.parametrize("resampling", RESAMPLINGS)
@pytest.mark.parametrize("first", [(5, 7), (0, 0), (-11, 25), (25, -11)], ids=str)
def test_on_whole_samples_kernels_and_copies_are_the_same(
    dtype: str, valid: NDArray[np.uint8] | None, resampling: Resampling, first: tuple[int, int]
) -> None:
    samples, at = samples_of(dtype), positions(*first)
    there = inside(samples.shape, at)
    apart = at.copy()
    apart[15, 15] += 0.25  # one pixel between samples: nothing is copied
    copied, known = resample(samples, [2, 0], valid, at, resampling, there=there)
    kept, also_known = resample(samples, [2, 0], valid, apart, resampling, there=there)
    others = np.ones(at.shape[:2], bool)
    others[15, 15] = False
    assert copied.dtype == kept.dtype == samples.dtype
    assert (copied[others] == kept[others]).all()
    assert (known is None) == (also_known is None) == (there.all() and valid is None)
    if known is not None and also_known is not None:
        assert (known[others] == also_known[others]).all()
        assert not copied[~known].any()


def test_what_is_copied_is_nobody_elses() -> None:
    samples = samples_of("uint8")
    data, _ = resample(samples, range(BANDS), None, positions(0, 0, (ROWS, COLUMNS)), "nearest")
    assert (data == samples).all()
    data += 1
    assert not (data == samples).any()


@pytest.mark.parametrize("first", [(-3, -4), (20, 30)], ids=str)
@pytest.mark.parametrize("resampling", RESAMPLINGS)
def test_positions_beyond_the_samples_are_at_their_edges(
    first: tuple[int, int], resampling: Resampling
) -> None:
    samples, at = samples_of("uint8"), positions(*first)
    data, known = resample(samples, [1], None, at, resampling)
    rows, columns = (at[..., axis].clip(0, most - 1).astype(int) for axis, most in ((1, ROWS), (0, COLUMNS)))
    assert known is None
    assert (data[..., 0] == samples[rows, columns, 1]).all()


@pytest.mark.parametrize("valid", [None, HOLES], ids=["whole", "holes"])
@pytest.mark.parametrize("resampling", RESAMPLINGS)
@pytest.mark.parametrize("spread", [1.0, 1.6])
def test_a_part_alone_is_as_in_the_whole(
    valid: NDArray[np.uint8] | None, resampling: Resampling, spread: float
) -> None:
    samples, at = samples_of("uint16"), positions(1.3, 2.6, (20, 25), spread)
    whole, known = resample(samples, [0, 1, 3], valid, at, resampling, spread=(spread, spread))
    some = np.zeros(at.shape[:2], bool)
    some[4:9, 6:20:2] = True
    there = some if known is None else some & known
    data, found = resample(samples, [0, 1, 3], valid, at, resampling, spread=(spread, spread), there=some)
    assert found is not None
    assert (found == there).all()
    assert (data == np.where(there[..., np.newaxis], whole, 0)).all()


@pytest.mark.parametrize("resampling", RESAMPLINGS)
def test_where_there_is_nothing_nothing_is_looked_at(resampling: Resampling) -> None:
    samples, nowhere = samples_of("uint8"), positions(np.nan, np.inf)
    data, known = resample(samples, [0], HOLES, nowhere, resampling, there=inside(samples.shape, nowhere))
    assert known is not None
    assert not known.any()
    assert data.shape == (30, 30, 1)
    assert not data.any()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("valid", [None, HOLES], ids=["whole", "holes"])
@pytest.mark.parametrize("first", [(5, 7), (0, 0), (-11, 25), (25, -11), (-35, 0), (99, 99)], ids=str)
def test_copies_at_sight_are_those_of_positions(
    dtype: str, valid: NDArray[np.uint8] | None, first: tuple[int, int]
) -> None:
    samples, at = samples_of(dtype), positions(*first)
    there = inside(samples.shape, at)
    data, known = resample(samples, (2, 0), valid, at, "bilinear", there=there)
    found = copied(samples, (2, 0), valid, first, (30, 30))
    if found is None:
        assert not there.any()
        return
    assert not np.may_share_memory(found[0], samples)
    np.testing.assert_array_equal(found[0], data)
    np.testing.assert_array_equal(
        np.ones((30, 30), bool) if found[1] is None else found[1],
        np.ones((30, 30), bool) if known is None else known,
    )


@pytest.mark.parametrize("zoom", [0, 3, 11, 19])
@pytest.mark.parametrize("level", [0, 1, 3])
def test_whether_samples_are_copied_is_told_by_the_corners(zoom: int, level: int) -> None:
    grid, dice = load_grids().get("WebMercatorQuad"), np.random.default_rng(zoom)
    matrix, scale = grid.matrix(zoom), 2.0**level
    cell = matrix.cell_size / scale
    for shift, apart in ((0.0, 0.0), (0.5, 0.0), (1e-3, 0.0), (0.0, 1e-3), (-1e-5, 0.0)):
        column, row = dice.integers(0, 2**zoom, 2).tolist()
        frame = grid.frame(zoom, column, row)
        left, top = (
            frame.bounds.left - 7 * matrix.cell_size - shift * matrix.cell_size,
            frame.bounds.top + 5 * matrix.cell_size,
        )
        size = cell * (1 + apart)
        found = mesh(frame, frame.crs, inverted((size, 0.0, left, 0.0, -size, top)), scale)
        first = first_of_steps(found, frame, (scale, scale))
        at = warped(found, frame, (scale, scale), (3, 2))
        if shift or apart:
            assert first is None
        else:
            assert first == (5, 7)
            np.testing.assert_allclose(at, positions(3, 4, shape=at.shape[:2]), atol=1e-4)
