"""Styles as render objects that other tile servers understand."""

from __future__ import annotations

import numpy as np
import pytest
from rio_tiler.models import ImageData
from scenes import scene

from mosaics.levels import evaluate
from mosaics.models import Asset, Band, Scene
from mosaics.renders import renders_of
from mosaics.styles import load_styles

STYLES = load_styles()
RNG = np.random.default_rng(7)


def band(name: str) -> Band:
    return Band(name=name, common_name=name, data_type="uint16", p2=10.0, p98=900.0)


def bundle(*styles: str) -> Scene:
    size = {"width": 4, "height": 4, "ground_resolution": 0.1}
    pan = Asset(key="pan", href="/p.tif", generation="p", bands=(band("pan"),), **size)
    colours = tuple(band(name) for name in ("red", "green", "blue", "nir"))
    return scene(bands=colours, others=(pan,), styles=styles)


def test_bands_are_named_by_asset_and_number() -> None:
    found = renders_of(bundle("cir", "pan"), STYLES)
    assert list(found) == ["cir", "pan"]
    assert found["cir"]["assets"] == ["data"]
    assert found["cir"]["asset_bidx"] == ["data|4,1,2"]
    assert found["cir"]["rescale"] == [[10, 900]] * 3
    assert found["cir"]["default"] is True
    assert (found["pan"]["assets"], found["pan"]["asset_bidx"]) == (["pan"], ["pan|1"])
    assert "default" not in found["pan"]


@pytest.mark.parametrize("style_id", ["ndvi", "ndwi", "pansharp"])
def test_formulas_mean_the_same_to_rio_tiler(style_id: str) -> None:
    found = renders_of(bundle(style_id), STYLES)[style_id]
    values = RNG.uniform(1, 900, (5, 3, 3)).astype("float32")
    read = values if found["assets"] == ["data", "pan"] else values[:4]
    names = ("red", "green", "blue", "nir", "pan")
    style = STYLES.get(style_id)
    by_name = {
        variable: values[next(names.index(name) for name in accepted if name in names)]
        for variable, accepted in style.variables.items()
    }
    theirs = ImageData(np.ma.MaskedArray(read)).apply_expression(found["expression"])
    for formula, channel in zip(style.expression, theirs.array.data, strict=True):
        assert np.allclose(evaluate(formula, by_name), channel, rtol=1e-5)


def test_formulas_of_counts_with_an_offset_take_it_off() -> None:
    bands = tuple(band(name)._replace(scale=1e-4, offset=-0.1) for name in ("red", "nir"))
    found = renders_of(scene(bands=bands, styles=("ndvi",)), STYLES)["ndvi"]
    counts = RNG.uniform(1100, 9000, (2, 3, 3)).astype("float32")
    red, nir = counts - 1000
    theirs = ImageData(np.ma.MaskedArray(counts)).apply_expression(found["expression"])
    assert np.allclose(theirs.array.data[0], (nir - red) / (nir + red), rtol=1e-4)


def test_kernels_are_named() -> None:
    heights = scene(
        kind="elevation", bands=(Band(name="h", common_name="elevation"),), styles=("relief", "hillshade")
    )
    found = renders_of(heights, STYLES)
    assert found["hillshade"]["flux:algorithm"]["id"] == "hillshade"
    assert "expression" not in found["hillshade"]


def test_styles_that_fit_no_more_are_left_out() -> None:
    assert list(renders_of(bundle("swir", "gone", "ndvi"), STYLES)) == ["ndvi"]
