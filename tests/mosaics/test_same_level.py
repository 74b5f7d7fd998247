"""Random worlds (affine, system, type, layout, nothing): the fast reader against rio-tiler, by one kernel."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mosaics.fast import FastReader
from tests.conformance.same_level import NotingCache, reference, shift
from tests.conftest import SCALE
from tests.mosaics.test_fast import TOP, VIEWS, WORLDS, Nobody, density, frame_of, made

NUMBERS = itertools.count()
"""Each file gets its own name: what is known of one by its name is kept."""
OFFSETS = {"float64": 1e9, "int32": 2_000_000_000, "uint32": 4_000_000_000}
"""What large numbers lie around, so that few bits would not tell them apart."""


@given(
    world=WORLDS,
    view=VIEWS,
    zoom=st.one_of(st.floats(0.25, 1.0), st.floats(1.0, 8.0)),
    pixels=st.tuples(st.sampled_from(sorted(TOP)), st.floats(0.8, 3.0)),
)
@settings(
    deadline=None,
    max_examples=max(150, round(2000 * SCALE)),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_pixels_agree_to_a_grey_level(
    tmp_path: Path, world: dict[str, Any], view: dict[str, Any], zoom: float, pixels: tuple[str, float]
) -> None:
    """99 of 100 pixels, nine in ten of them to less, and no tile lies a tenth of a pixel beside.

    Two that add the same samples in another order round some of the values near a half differently: of whole
    numbers that is a grey level. But for frames that leave the CRS.
    """
    dtype, sigma = pixels
    world = {**world, "dtype": dtype, "sigma": sigma, "offset": OFFSETS.get(dtype, 0)}
    one, placed = made(tmp_path / f"{next(NUMBERS)}.tif", world)
    frame = frame_of(world, placed, {**view, "zoom": zoom})
    indexes = list(range(1, min(world["bands"], 3) + 1))
    noting = NotingCache()
    found = FastReader(reference=Nobody(), blocks=noting).read(one, indexes, frame, "bilinear")
    if not noting.levels:
        return
    across, along = density(placed, frame, world["crs"])
    factor = max(1, min(round(min(across, along)), max(world["size"])))
    spread = across / factor, along / factor
    try:
        data, valid = reference(
            Path(one.href), 0, factor, indexes, frame=frame, resampling="bilinear", spread=spread
        )
    except Exception:  # noqa: BLE001 - GDAL gives up on frames that leave the CRS, in several ways
        return
    differ = found.valid != valid
    rim = sum(differ.shape) / (4 if factor == 1 else 1)  # the last squares reach beyond the image
    assert differ.sum() <= 0.005 * differ.size + rim, "only at the very edge of a pixel"
    both = found.valid & valid
    if (
        max(spread) > 1
    ):  # at the rim GDAL widens over what is left of the image, we go on with its last samples
        both = cv2.erode(np.pad(both, 1).astype("u1"), np.ones((5, 5)))[1:-1, 1:-1] > 0
    if both.sum() < 200:
        return
    grey = TOP[dtype] / 255 if TOP[dtype] > 255 else 1
    ours, theirs = (each.astype("f8") / grey for each in (found.data, data))
    apart = np.abs(ours - theirs)[:, both]
    assert (apart <= 1).mean() >= 0.99
    assert (apart < 1).mean() >= 0.9
    beside = shift(*((each - each[:, both].mean()).mean(axis=0) for each in (ours, theirs)), both)
    assert beside is None or beside <= 0.1
    assert (found.data[:, ~found.valid] == 0).all()


@pytest.mark.parametrize("by", [(0.0, 0.0), (0.05, 0.0), (0.0, -0.1), (0.3, 0.4), (-0.5, 0.0)])
@pytest.mark.parametrize("grain", [0.0, 4.0])
def test_a_shift_is_measured(by: tuple[float, float], grain: float) -> None:
    """Of half a pixel, and of less than a tenth; where pictures are grainy too."""
    dice = np.random.default_rng(3)
    wide = cv2.GaussianBlur(dice.normal(size=(640, 640)), (0, 0), 6.0) * 800 + 100
    columns, rows = np.meshgrid(np.arange(160.0), np.arange(160.0))
    one, other = (
        cv2.remap(wide, (4 * (columns + dx)).astype("f4"), (4 * (rows + dy)).astype("f4"), cv2.INTER_CUBIC)
        + grain * dice.normal(size=(160, 160))
        for dx, dy in ((0.0, 0.0), by)
    )
    found = shift(one, other, np.ones((160, 160), bool))
    assert found == pytest.approx(np.hypot(*by), rel=0.1, abs=0.02)


def test_nothing_is_measured_where_nothing_shows() -> None:
    flat, line = np.full((100, 100), 7.0), np.tile(np.arange(100.0), (100, 1))
    everywhere = np.ones((100, 100), bool)
    assert shift(flat, flat, everywhere) is None
    assert shift(line, line + 1, everywhere) is None, "along a line it may have moved by anything"
    assert shift(line, line.T, np.zeros((100, 100), bool)) is None
