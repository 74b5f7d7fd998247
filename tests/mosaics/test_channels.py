"""Bands moved by OpenCV are those that numpy would have moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosaics.channels import blanked, chosen

DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "uint64", "int64", "float64"]


@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
    data=st.data(),
)
def test_windows_and_bands_of_all_types(dtype: str, shape: tuple[int, int, int], data: st.DataObject) -> None:
    noise = np.random.default_rng(sum(shape)).integers(0, 256, (*shape, np.dtype(dtype).itemsize), "uint8")
    samples = noise.view(dtype)[..., 0]
    bands = data.draw(st.lists(st.integers(0, shape[2] - 1), min_size=1, max_size=5))
    window = samples[data.draw(st.integers(0, shape[0] - 1)) :, data.draw(st.integers(0, shape[1] - 1)) :]
    for seen in (window, window[..., ::-1], window.transpose(1, 0, 2)):
        found = chosen(seen, bands)
        assert found.flags.c_contiguous
        assert found.dtype == dtype
        assert found.tobytes() == np.ascontiguousarray(seen[..., bands]).tobytes()
        wider = chosen(seen, bands, room=4)
        assert wider.shape[2] == max(4, len(bands))
        assert wider[..., : len(bands)].tobytes() == found.tobytes()
        there = np.arange(seen[..., 0].size).reshape(seen.shape[:2]) % 3 > 0
        shown = blanked(seen, there)
        assert (shown[~there] == 0).all()
        assert shown[there].tobytes() == np.ascontiguousarray(seen)[there].tobytes()


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3)])
def test_nothing_stays_nothing(shape: tuple[int, int, int]) -> None:
    assert chosen(np.zeros(shape, "uint8"), [2, 0]).shape == (*shape[:2], 2)
