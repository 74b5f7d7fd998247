"""Volumes: sums over ground areas, and what stable ground says of them."""

from __future__ import annotations

import numpy as np
import pytest

from mosaics.volume import Heights, Stable, Volume, stable_of, uncertainty_of, volume_of


def heights(data: np.ndarray, area: float = 4.0) -> Heights:
    return Heights(data=data, valid=np.isfinite(data), areas=np.full((data.shape[0], 1), area))


def test_what_is_added_and_removed_is_summed_apart() -> None:
    data = np.zeros((50, 40))
    data[10:20, 5:15], data[30:35, 5:15], data[40:, :] = 3.0, -2.0, np.nan
    found = volume_of(heights(data))
    assert (found.added, found.removed, found.net) == (1200.0, 400.0, 800.0)
    assert (found.area, found.mean) == (6400.0, 0.125)
    assert volume_of(heights(data + 0.5), bias=0.5).added == pytest.approx(1200)
    assert volume_of(heights(np.full((3, 3), np.nan))).mean is None


def noise(correlated: int, size: int = 256, seed: int = 4) -> np.ndarray:
    """Give noise of standard deviation 1 whose pixels are alike within squares of so many pixels a side."""
    one = np.random.default_rng(seed).normal(size=(size // correlated, size // correlated))
    return one.repeat(correlated, axis=0).repeat(correlated, axis=1)


def test_stable_ground_tells_bias_and_spread() -> None:
    data = 0.3 + 0.2 * noise(1)
    data[:3, :3] = 40.0
    found = stable_of(heights(data))
    assert found is not None
    assert found.median == pytest.approx(0.3, abs=0.01)
    assert found.nmad == pytest.approx(0.2, rel=0.02), "a few wild ones don't matter to it"
    assert found.std > 0.4
    assert (found.count, found.area) == (65_536, 262_144)
    assert stable_of(heights(np.full((3, 3), np.nan))) is None
    flat = stable_of(heights(np.full((3, 3), 1.0)))
    assert flat is not None
    assert (flat.std, flat.correlated_area) == (0.0, 4.0)


@pytest.mark.parametrize("side", [1, 4, 8])
def test_the_correlated_area_is_that_of_the_squares(side: int) -> None:
    found = stable_of(heights(noise(side)))
    assert found is not None
    assert found.correlated_area == pytest.approx(4.0 * side * side, rel=0.35)


def test_the_uncertainty_covers_what_means_of_areas_do() -> None:
    """Means of areas of correlated noise scatter as the formula says."""
    side, part = 4, 64
    field = 0.5 * noise(side, size=1024, seed=7)
    blocks = field.reshape(1024 // part, part, 1024 // part, part).mean(axis=(1, 3))
    stable = stable_of(heights(field[:256, :256], area=1.0))
    assert stable is not None
    told = uncertainty_of(Volume(added=0.0, removed=0.0, area=float(part**2)), stable, corrected=True)
    assert told.random == pytest.approx(blocks.std() * part**2, rel=0.25)
    assert told.total == pytest.approx(np.hypot(told.random, told.systematic))
    assert told.systematic < told.random


def test_a_bias_that_stays_is_systematic() -> None:
    stable = Stable(median=-0.3, mean=-0.3, nmad=0.2, std=0.1, count=100, area=400.0, correlated_area=4.0)
    told = uncertainty_of(Volume(added=0.0, removed=0.0, area=1600.0), stable, corrected=False)
    assert told.systematic == pytest.approx(480)
    assert told.random == pytest.approx(1600 * 0.2 * np.sqrt(4 / 1600))
    taken = uncertainty_of(Volume(added=0.0, removed=0.0, area=1600.0), stable, corrected=True)
    assert taken.systematic == pytest.approx(1600 * 0.2 * np.sqrt(4 / 400))
    small = uncertainty_of(Volume(added=0.0, removed=0.0, area=1.0), stable, corrected=True)
    assert small.random == pytest.approx(0.2), "an area smaller than errors are alike over"
