"""Counts become backscatter by each formula, window by window, and the formulas travel to other processes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosaics.products.calibration import (
    Amplitude,
    BrightnessBySine,
    ColumnGains,
    Incidence,
    Linear,
    LookUpTable,
    Power,
)
from mosaics.products.delivery import Calibration

HEIGHT, WIDTH = 9, 13
INCIDENCE = Incidence(coefficients=(30.0, 0.5, 9.0, 0.25, -1.0), height=HEIGHT, width=WIDTH)
TABLE = LookUpTable(
    lines=np.array([-2.0, 4.0, 7.0]),
    pixels=(np.array([0.0, 12.0]), np.array([0.0, 6.0, 12.0]), np.array([0.0, 12.0])),
    values=(np.array([100.0, 200.0]), np.array([300.0, 500.0, 400.0]), np.array([600.0, 900.0])),
)
ALL: tuple[Calibration, ...] = (
    Amplitude(),
    Power(factor=0.5),
    Linear(),
    ColumnGains(gains=np.linspace(100, 220, WIDTH), offset=3.0),
    ColumnGains(gains=np.linspace(100, 220, WIDTH), is_complex=True),
    BrightnessBySine(factor=1e-5, incidence=INCIDENCE),
    TABLE,
)


def counts(*, is_complex: bool = False) -> np.ndarray:
    found = np.arange(1, HEIGHT * WIDTH + 1).reshape(HEIGHT, WIDTH).astype("uint16")
    return found - 2j * found[::-1] if is_complex else found


@pytest.mark.parametrize("calibration", ALL, ids=lambda each: type(each).__name__)
@given(data=st.data())
def test_a_window_has_the_values_of_the_whole(calibration: Calibration, data: st.DataObject) -> None:
    whole = calibration(counts(), slice(0, HEIGHT), slice(0, WIDTH))
    top, left = data.draw(st.integers(0, HEIGHT - 1)), data.draw(st.integers(0, WIDTH - 1))
    rows = slice(top, data.draw(st.integers(top + 1, HEIGHT)))
    columns = slice(left, data.draw(st.integers(left + 1, WIDTH)))
    window = calibration(counts()[rows, columns], rows, columns)
    assert window.dtype == np.float32
    np.testing.assert_array_equal(window, whole[rows, columns])


@pytest.mark.parametrize("calibration", ALL, ids=lambda each: type(each).__name__)
def test_it_can_be_sent_and_knows_what_means_nothing(calibration: Calibration) -> None:
    seen = counts()
    seen[2, 3] = 0
    there = pickle.loads(pickle.dumps(calibration))(seen, slice(0, HEIGHT), slice(0, WIDTH))
    here = calibration(seen, slice(0, HEIGHT), slice(0, WIDTH))
    np.testing.assert_array_equal(there, here)
    assert np.isnan(here[2, 3])
    assert np.isnan(here).sum() == 1
    assert (here[~np.isnan(here)] > 0).all()


def test_large_counts_do_not_wrap() -> None:
    seen = np.array([[65535]], dtype="uint16")
    assert Power()(seen, slice(0, 1), slice(0, 1))[0, 0] == pytest.approx(65535.0**2)
    seen = np.array([[-32768 - 32768j]], dtype="complex64")
    assert Power()(seen, slice(0, 1), slice(0, 1))[0, 0] == pytest.approx(2 * 32768.0**2)


def test_complex_counts_by_hand() -> None:
    seen = np.array([[3 + 4j, 0j]], dtype="complex64")
    assert Amplitude()(seen, slice(0, 1), slice(0, 2))[0, 0] == 5
    gains = ColumnGains(gains=np.array([9.0, 10.0]), offset=99.0, is_complex=True)
    assert gains(seen, slice(0, 1), slice(0, 2))[0, 0] == pytest.approx(25 / 81), "no offset, gain squared"


def test_the_table_is_bilinear() -> None:
    ones = np.ones((HEIGHT, WIDTH), dtype="uint16")
    found = 1 / np.sqrt(TABLE(ones, slice(0, HEIGHT), slice(0, WIDTH)))
    assert found[4, 6] == pytest.approx(500), "at a vector's own place"
    assert found[1, 6] == pytest.approx((150 + 500) / 2), "between two vectors"
    assert found[4, 3] == pytest.approx(400), "between two pixels"
    assert found[1, 3] == pytest.approx((125 + 400) / 2), "between both"
    assert found[8, 0] == pytest.approx(600), "after the last vector"


def test_a_table_of_one_vector() -> None:
    table = LookUpTable(lines=np.array([5.0]), pixels=(np.array([0.0, 2.0]),), values=(np.array([2.0, 4.0]),))
    found = table(np.full((2, 3), 6), slice(4, 6), slice(0, 3))
    np.testing.assert_allclose(found, [[9, 4, 2.25]] * 2)


def test_incidence_goes_through_what_is_known() -> None:
    places = np.array([(0.5, 0.5), (0.5, 12.5), (8.5, 0.5), (8.5, 12.5), (4.5, 6.5)])
    angles = np.array([37.9, 40.6, 38.0, 40.5, 39.2])
    fitted = Incidence.fitted(places, angles, HEIGHT, WIDTH)
    for (row, column), angle in zip(places, angles, strict=True):
        at = fitted.at(slice(int(row), int(row) + 1), slice(int(column), int(column) + 1))
        assert at[0, 0] == pytest.approx(angle, abs=1e-6)
    flat = Incidence.fitted(places[:4], angles[:4], HEIGHT, WIDTH)
    assert flat.at(slice(4, 5), slice(6, 7))[0, 0] == pytest.approx(angles[:4].mean())
