"""Indices: the rules of their files, and the numbers that they give."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mosaics.errors import DataFileInvalidError
from mosaics.indices import load_indices
from mosaics.levels import evaluate
from mosaics.registry import BUILT_IN
from mosaics.styles import load_styles

INDICES = load_indices()


def document(**more: object) -> dict[str, object]:
    found = json.loads((BUILT_IN / "indices" / "ndvi.json").read_text("utf-8"))
    return {**found, "id": "mine", **more}


def test_the_indices_that_come_with_the_package() -> None:
    assert set(INDICES.list()) == {"ndvi", "gndvi", "ndre", "ndwi", "ndmi", "ndsi"}


@pytest.mark.parametrize(
    ("index", "values", "expected"),
    [
        ("ndvi", {"nir": 4000, "red": 1000}, 0.6),
        ("gndvi", {"nir": 4000, "green": 1000}, 0.6),
        ("ndre", {"nir": 3000, "rededge": 2000}, 0.2),
        ("ndwi", {"green": 3000, "nir": 1000}, 0.5),
        ("ndmi", {"nir": 3000, "swir": 1000}, 0.5),
        ("ndsi", {"green": 9000, "swir": 1000}, 0.8),
    ],
)
def test_formulas(index: str, values: dict[str, float], expected: float) -> None:
    arrays = {name: np.array([value], dtype="float32") for name, value in values.items()}
    assert float(evaluate(INDICES.get(index).expression[0], arrays)[0]) == pytest.approx(expected)


def test_the_index_ndvi_and_the_style_ndvi_are_one_picture() -> None:
    assert INDICES.get("ndvi").digest == load_styles().get("ndvi").digest


@pytest.mark.parametrize(
    "more",
    [
        {"expression": "nir; red"},
        {"expression": "nir +"},
        {"expression": "__import__('os')"},
        {"expression": "nir - red - blue"},
        {"rescale": "percentiles"},
        {"rescale": [[1, 0]]},
        {"colormap_name": "nowhere"},
        {"algorithm": "hillshade"},
        {"resampling": "cubic"},
    ],
)
def test_a_file_that_breaks_a_rule_is_named(tmp_path, more: dict[str, object]) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(document(**more)))
    with pytest.raises(DataFileInvalidError, match=r"mine\.json"):
        load_indices(tmp_path)


def test_operators_add_indices_as_data(tmp_path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(document()))
    assert load_indices(tmp_path).list()[-1] == "mine"
