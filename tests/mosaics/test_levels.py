"""Levels against the plain formulas, in numpy, pixel by pixel, for every layout that a reader may give."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaics.levels import Recipe, levels, measures, ranges
from mosaics.models import Band, Raster
from mosaics.styles import Style, load_styles, parse_style

STYLES = load_styles()
FORMULAS = {name: getattr(np, name) for name in ("where", "log10", "log1p", "sqrt")}
CASES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "shape": st.tuples(st.integers(1, 40), st.integers(1, 40)),
        "dtype": st.sampled_from(["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"]),
        "layout": st.sampled_from(["pixel", "band", "upside down", "every second"]),
        "holes": st.booleans(),
    }
)


def raster(case: dict[str, Any], bands: int) -> Raster:
    """Random values, with what is no number among floats, and many zeros."""
    random = np.random.default_rng(case["seed"])
    dtype, (height, width) = np.dtype(case["dtype"]), case["shape"]
    shape = (height * 2, width * 2, bands)
    if dtype.kind == "f":
        values = random.normal(200, 400, shape).astype(dtype)
        odd = random.random(shape)
        for share, value in ((0.03, np.nan), (0.05, np.inf), (0.07, -np.inf)):
            values[(odd < share) & (odd > share - 0.02)] = value
    else:
        low, high = max(np.iinfo(dtype).min, -3000), min(np.iinfo(dtype).max, 3000)
        values = random.integers(low, high + 1, shape).astype(dtype)
    values[random.random(shape) < 0.1] = 0
    data = np.moveaxis(values, -1, 0)
    data = {
        "pixel": data[:, :height, :width],
        "band": np.ascontiguousarray(data[:, :height, :width]),
        "upside down": data[:, height - 1 :: -1, :width],
        "every second": data[:, ::2, ::2],
    }[case["layout"]]
    valid = random.random((height, width)) < (0.7 if case["holes"] else 2)
    return Raster(data=data, valid=valid)


def recipe(style: Style, low: float = 20.0, high: float = 900.0) -> Recipe:
    bands = tuple(
        Band(name=name, common_name=name, data_type="uint16", p2=low, p98=high, p50=low, p999=high)
        for name in style.variables
    )
    return Recipe(style=style, bands=bands)


def plain(one: Raster, style: Style, ranges: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Give the levels before rounding, float64, and where they are any, by the formulas as they stand."""
    names = {
        name: band.astype("float32").astype("float64")
        for name, band in zip(style.variables, one.data, strict=True)
    }
    with np.errstate(all="ignore"):
        channels = [
            np.broadcast_to(eval(formula, dict(FORMULAS), dict(names)), one.valid.shape)
            for formula in style.expression
        ] or list(names.values())
        scaled = [np.clip((c - a) / (b - a), 0, 1) * 255 for c, (a, b) in zip(channels, ranges, strict=True)]
    return np.stack(scaled, axis=-1), one.valid & np.isfinite(channels).all(axis=0)


def style(**more: object) -> Style:
    values: dict[str, object] = {
        "id": "test", "title": {"fr": "t", "en": "t"}, "kinds": ["optical"], "variables": {"a": ["*1"]},
        "rescale": [[0, 500]], "resampling": "bilinear", "source": ["a test"],
    }  # fmt: skip
    return parse_style({**values, **more})


TESTED = [
    (STYLES.get("ndvi"), [(-0.2, 0.9)]),
    (STYLES.get("alos-db"), [(-30.0, 0.0)]),
    (STYLES.get("bands-123"), [(20.0, 900.0)] * 3),
    (STYLES.get("grey"), [(20.0, 900.0)]),
    (style(expression="1 / a"), [(0.0, 500.0)]),
    (
        style(expression="1000 / (a - 7); a; sqrt(a)", rescale=[[-9, 9], [3, 7], [0, 30]]),
        [(-9, 9), (3, 7), (0, 30)],
    ),
    (
        style(
            variables={"a": ["*1"], "b": ["*2"]},
            expression="b; a; b - a",
            rescale=[[0, 9], [0, 300], [-40, 40]],
        ),
        [(0, 9), (0, 300), (-40, 40)],
    ),
    (
        style(
            variables={"a": ["*1"], "b": ["*2"]},
            expression="b; 1 / a; b",
            rescale=[[0, 9], [0, 0.1], [0, 999]],
        ),
        [(0, 9), (0, 0.1), (0, 999)],
    ),
]


@pytest.mark.parametrize(("of", "ranges"), TESTED, ids=range(len(TESTED)))
@given(case=CASES)
@settings(deadline=None, max_examples=60)
def test_levels_are_those_of_the_plain_formula(
    of: Style, ranges: list[tuple[float, float]], case: dict[str, Any]
) -> None:
    one = raster(case, len(of.variables))
    found, valid = levels(one, recipe(of))
    expected, expected_valid = plain(one, of, ranges)
    assert found.dtype == np.uint8
    assert np.array_equal(valid, expected_valid)
    assert (np.abs(found - expected)[valid] <= 0.5 + 1e-3).all(), "rounded to the nearest level"


@given(case=CASES)
@settings(deadline=None, max_examples=60)
def test_an_index_is_exactly_that_of_four_byte_floats(case: dict[str, Any]) -> None:
    one = raster(case, 2)
    found, valid = levels(one, recipe(STYLES.get("ndvi")))
    nir, red = one.data.astype("float32")
    with np.errstate(all="ignore"):
        scaled = ((nir - red) / (nir + red) + np.float32(0.2)) * np.float32(255 / 1.1)
        expected = np.rint(np.clip(scaled, 0, 255))
    assert np.array_equal(found[..., 0][valid], expected[valid])


@pytest.mark.parametrize("name", ["sar-db", "night", "night-rgb", "natural", "pan"])
@given(case=CASES)
@settings(deadline=None, max_examples=30)
def test_a_table_gives_what_each_pixel_computes(name: str, case: dict[str, Any]) -> None:
    of = STYLES.get(name)
    one = raster(case, len(of.variables))
    computed = Raster(data=one.data.astype("float64"), valid=one.valid)
    found, valid = levels(one, recipe(of))
    expected, expected_valid = levels(computed, recipe(of))
    assert np.array_equal(valid, expected_valid)
    assert np.array_equal(found[valid], expected[valid])


def measured(one: Recipe, *scales: tuple[float, float]) -> Recipe:
    """Give a recipe whose bands have a scale and an offset."""
    pairs = zip(one.bands, scales, strict=True)
    return replace(one, bands=tuple(band._replace(scale=a, offset=b) for band, (a, b) in pairs))


COUNTS = Raster(
    data=np.random.default_rng(3).integers(1001, 6000, (2, 30, 30)).astype("uint16"),
    valid=np.ones((30, 30), bool),
)


@pytest.mark.parametrize("name", ["ndvi", "ndwi", "bathy-ratio"])
def test_an_offset_is_taken_off_before_a_formula(name: str) -> None:
    """Counts of Sentinel-2 hold 1000 too much: an index of them is that of reflectance times 10 000."""
    one = recipe(STYLES.get(name))
    reflectance = Raster(data=COUNTS.data - np.uint16(1000), valid=COUNTS.valid)
    found, _ = levels(COUNTS, measured(one, (1e-4, -0.1), (1e-4, -0.1)))
    assert np.array_equal(found, levels(reflectance, one)[0])
    assert not np.array_equal(found, levels(COUNTS, one)[0])


def test_bands_of_several_scales_are_compared_in_the_unit_of_the_first() -> None:
    of = style(
        variables={"a": ["*1"], "b": ["*2"]},
        expression="a; b; b - a",
        rescale=[[0, 9e3], [0, 9e3], [-9e3, 9e3]],
    )
    found, _ = levels(COUNTS, measured(recipe(of), (0.5, 0.0), (0.25, 10.0)))
    a, b = COUNTS.data.astype("float32")
    physical = Raster(data=np.stack([a, b / 2 + 20]), valid=COUNTS.valid)
    assert np.array_equal(found, levels(physical, recipe(of))[0])


def test_a_formula_of_one_band_and_its_percentiles_know_the_offset_too() -> None:
    of = style(expression="sqrt(a)", rescale="percentiles")
    one = measured(recipe(of, low=1100, high=2000), (1e-4, -0.1))
    assert ranges(one) == (pytest.approx((10, 1000**0.5)),)
    first = Raster(data=COUNTS.data[:1], valid=COUNTS.valid)
    expected = np.clip((np.sqrt(COUNTS.data[0] - 1000.0) - 10) / (1000**0.5 - 10), 0, 1) * 255
    assert np.abs(levels(first, one)[0][..., 0] - expected).max() <= 0.5 + 1e-3


def test_one_scale_without_an_offset_changes_nothing() -> None:
    one = recipe(STYLES.get("ndvi"))
    assert measures(measured(one, (1e-4, 0.0), (1e-4, 0.0))) == ()
    assert measures(measured(recipe(STYLES.get("bands-123")), *[(1e-4, -0.1)] * 3)) == ()


def test_no_value_that_is_none_at_all() -> None:
    one = Raster(data=np.full((2, 3, 3), np.nan, "float32"), valid=np.ones((3, 3), bool))
    _, valid = levels(one, recipe(STYLES.get("ndvi")))
    assert not valid.any()
    assert one.valid.all(), "the reader's mask is left alone"


def test_threads_do_not_mix_their_pixels() -> None:
    """numexpr keeps what it compiled, and was once not to be used from several threads."""
    styles = [STYLES.get(name) for name in ("ndvi", "sar-db", "alos-db", "night")]
    case = {"shape": (64, 64), "dtype": "float32", "layout": "pixel", "holes": False}
    work = [(one, raster({**case, "seed": seed}, len(one.variables))) for seed, one in enumerate(styles * 2)]
    alone = [levels(pixels, recipe(one)) for one, pixels in work]
    wrong: list[int] = []

    def again(place: int) -> None:
        one, pixels = work[place]
        for _ in range(60):
            found, valid = levels(pixels, recipe(one))
            if not (
                np.array_equal(valid, alone[place][1])
                and np.array_equal(found[valid], alone[place][0][valid])
            ):
                wrong.append(place)

    threads = [threading.Thread(target=again, args=(place,)) for place in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
