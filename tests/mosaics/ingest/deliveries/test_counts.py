"""What makes counts of radiance reflectance, but for a factor of all bands."""

from __future__ import annotations

from pathlib import Path

import pytest

from mosaics.ingest.deliveries.counts import reflectances
from mosaics.products.delivery import BandGroup, ProductBand, Radiometry


def group(*bands: ProductBand, radiometry: Radiometry = "radiance") -> BandGroup:
    return BandGroup(
        name="ms",
        files=(),
        bands=bands,
        height=1,
        width=1,
        geometry="ground",
        radiometry=radiometry,
        metadata=Path("a.xml"),
    )


RED = ProductBand(id="B2", gain=10.0, bias=1.0, irradiance=1500.0)
NIR = ProductBand(id="B3", gain=16.0, irradiance=1000.0)


def test_radiance_is_divided_by_the_light_of_the_sun() -> None:
    assert reflectances(group(RED, NIR)) == (
        (pytest.approx(1 / 15_000), pytest.approx(1 / 1500)),
        (pytest.approx(1 / 16_000), 0.0),
    )


def test_a_coefficient_of_reflectance_is_not_multiplied_by_the_scale_of_radiance() -> None:
    blue = ProductBand(id="B1", gain=100.0, reflectance=2e-5)
    red = ProductBand(id="B3", gain=100.0, reflectance=3e-5)
    assert reflectances(group(blue, red)) == ((2e-5, 0.0), (3e-5, 0.0))


def test_what_is_reflectance_already_or_not_said_of_all_bands_is_left() -> None:
    assert reflectances(group(RED, NIR, radiometry="reflectance")) == ()
    assert reflectances(group(RED, NIR, radiometry="display")) == ()
    assert reflectances(group(RED, ProductBand(id="B3", gain=16.0))) == ()
