"""Styles: binding to bands, digests, and the rules of their files."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import numexpr
import numpy as np
import pytest

from mosaics.errors import DataFileInvalidError
from mosaics.models import Band, Text
from mosaics.registry import BUILT_IN
from mosaics.sensors import load_sensors
from mosaics.styles import RescaleByUnit, load_styles

STYLES = load_styles()
NAMES = {"bands-123",
    "pansharp", "sar-intensity",
    "natural", "rgb", "cir", "rededge", "falsecolour", "pseudo-natural", "swir", "agri", "coastal", "bathy",
    "ndvi", "ndre", "ndwi", "moisture", "bathy-ratio", "ndvi-stored", "ndre-stored", "ndwi-stored",
    "grey", "pan", "palette", "night", "night-rgb", "night-mean",
    "hillshade", "relief", "slope", "contours", "terrain-rgb", "terrarium",
    "sar-db", "alos-db", "alos-db-cross", "sar-db-stored", "sar-amplitude", "sar-linear", "s1-amplitude",
    "s1-amplitude-vv-vh", "s1-amplitude-hh-hv", "alos-amplitude-hh-hv",
    "sar-db-copol", "sar-db-copol-x", "sar-db-cross", "sar-dualpol", "sar-dualpol-linear",
    "dh", "dh-20", "dh-abs", "dh-certain", "snow", "snow-10", "snow-error",
    "insar-velocity", "insar-velocity-own", "insar-phase", "coherence",
}  # fmt: skip


def bands(*commons):
    return tuple(Band(name=f"B{i}", common_name=common) for i, common in enumerate(commons, start=1))


def measured(unit, *commons):
    """Give bands that say what they measure."""
    return tuple(band._replace(unit=unit) for band in bands(*commons))


def evaluate(style_id, **values):
    arrays = {name: np.array(value, dtype="float32") for name, value in values.items()}
    found = [
        numexpr.evaluate(formula, local_dict=arrays, global_dict={})
        for formula in STYLES.get(style_id).expression
    ]
    return found[0] if len(found) == 1 else found


def test_the_styles_that_come_with_the_package():
    assert set(STYLES.list()) == NAMES


@pytest.mark.parametrize(
    ("style_id", "kind", "commons", "expected"),
    [
        ("natural", "optical", ("red", "green", "blue", "nir"), (1, 2, 3)),
        ("natural", "optical", ("blue", "green", "red", "nir"), (3, 2, 1)),
        (
            "natural",
            "optical",
            ("coastal", "blue", "green05", "green", "yellow", "red", "rededge", "nir"),
            (6, 4, 2),
        ),
        ("natural", "optical", ("nir", "red", "green"), None),
        ("natural", "optical", (None, None, None), None),
        ("natural", "elevation", ("red", "green", "blue"), None),
        ("cir", "optical", ("red", "green", "blue", "nir"), (4, 1, 2)),
        ("cir", "optical", ("red", "green", "nir08"), (3, 1, 2)),
        ("cir", "optical", ("red", "green", "nir08", "nir"), (4, 1, 2)),
        ("falsecolour", "optical", ("nir", "red", "green", "swir16"), (1, 2, 3)),
        ("ndvi", "optical", ("blue", "green", "red", "nir"), (4, 3)),
        ("pan", "optical", ("pan",), (1,)),
        ("pan", "optical", ("red",), None),
        ("grey", "other", (None, None), (1,)),
        ("grey", "sar", ("hh",), (1,)),
        ("hillshade", "elevation", ("elevation",), (1,)),
        ("hillshade", "optical", ("elevation",), None),
        ("sar-db", "sar", ("vv", "vh"), (1,)),
        ("sar-db", "sar", ("hv", "hh"), (2,)),
        ("sar-db", "sar", ("db",), None),
        ("sar-db-stored", "sar", ("db", None), (1,)),
        ("sar-db-stored", "sar", ("hh",), None),
        ("night", "night", ("night",), (1,)),
        ("palette", "classes", ("classes",), (1,)),
        ("rededge", "optical", ("red", "green", "blue", "nir", "rededge", "coastal"), (4, 5, 1)),
        ("bathy", "optical", ("red", "green", "blue", "nir", "rededge", "coastal"), (2, 3, 6)),
        ("coastal", "optical", ("coastal", "blue", "green05", "green"), (4, 2, 1)),
        ("ndre", "optical", ("rededge071", "rededge075", "rededge078", "nir08"), (4, 1)),
        ("swir", "optical", ("nir", "red", "green", "swir16"), (4, 1, 2)),
        ("moisture", "optical", ("nir", "nir08", "swir16", "swir22"), (2, 3)),
        ("relief", "elevation", ("elevation",), (1,)),
        ("relief", "measure", ("elevation",), None),
        ("dh-certain", "measure", ("dh",), None),
        ("dh-certain", "measure", ("dh", "dh_error"), (1, 2)),
        ("grey", "phase", ("phase",), (1,)),
        ("grey", "optical", (), None),
    ],
)
def test_binding(style_id, kind, commons, expected):
    assert STYLES.get(style_id).bind(bands(*commons), kind) == expected


def test_the_numbers_that_are_agreed():
    hillshade = STYLES.get("hillshade")
    assert hillshade.algorithm == "hillshade"
    assert hillshade.parameters == {"azimuth": 315, "altitude": 45, "z_factor": 1}
    assert (hillshade.buffer, hillshade.channels) == (3, 1)
    assert STYLES.get("ndvi").rescale == ((-0.2, 0.9),)
    assert STYLES.get("ndvi").colormap_name == "rdylgn"
    assert (STYLES.get("natural").rescale.otherwise, STYLES.get("grey").rescale) == ("display", "percentiles")
    assert STYLES.get("falsecolour").rescale == STYLES.get("sar-db").rescale == "percentiles"
    assert STYLES.get("night").rescale == "night"
    assert STYLES.get("palette").resampling == "nearest"
    assert list(STYLES.get("natural").variables) == ["red", "green", "blue"]
    assert STYLES.get("night-rgb").channels == 3
    assert STYLES.get("insar-phase").resampling == "nearest"
    assert {s.id for s in STYLES.values() if s.formats} == {"terrain-rgb", "terrarium"}
    assert all(s.resampling == "bilinear" for s in STYLES.values() if s.algorithm), "before it is a picture"
    assert STYLES.get("dh").rescale == ((-10, 10),)
    assert {STYLES.get(name).colormap_name for name in ("dh", "insar-velocity", "insar-velocity-own")} == {
        "rdbu"
    }
    assert STYLES.get("slope").rescale == ((0, 60),)


def test_formulas_hold_at_the_edges():
    ndvi = evaluate("ndvi", nir=[0.8, 0, 0.2], red=[0.2, 0, 0.2])
    assert ndvi == pytest.approx([0.6, np.nan, 0], nan_ok=True), "no index where nothing is measured"
    assert evaluate("sar-db", amplitude=[0, 1, 10]) == pytest.approx([-60, 0, 20])
    # eorc.jaxa.jp: 10 log10(DN^2) - 83; DN 14125 is 0 dB
    assert evaluate("alos-db", amplitude=[0, 1, 14125]) == pytest.approx([-83, -83, 0], abs=1e-3)
    assert evaluate("alos-db-cross", amplitude=[0, 14125]) == pytest.approx([-83, 0], abs=1e-3)
    assert evaluate("night", light=[-1, 0, np.e - 1]) == pytest.approx([0, 0, 1])
    assert evaluate("sar-db-copol", power=[0, 1e-3, 1, 10]) == pytest.approx([-60, -30, 0, 10])
    dualpol = evaluate("sar-dualpol", co=[0.1, 0.1, 0], cross=[0.01, 0, 0.01])
    assert np.array(dualpol) == pytest.approx(
        np.array([[-10, -10, -60], [-20, -60, -20], [10, 0, 0]]), abs=1e-4
    )
    assert np.isfinite(evaluate("sar-dualpol-linear", co=[0, 0.01, 0.1, 5], cross=[0, 0, 0.01, 5])).all()
    assert evaluate("s1-amplitude-vv-vh", co=[90, 90], cross=[30, 0])[2] == pytest.approx([3, 0])
    certain = evaluate("dh-certain", dh=[-2, 2, 0.5, 0], error=[1, 2, 1, 1])
    assert np.isfinite(certain).tolist() == [True, True, False, False]
    assert certain[:2] == pytest.approx([-2, 2])
    with np.errstate(all="ignore"):
        assert evaluate("bathy-ratio", blue=[400, 0], green=[400, 300]) == pytest.approx([1, 0])
    assert evaluate("pseudo-natural", nir=[80], red=[30], green=[40])[0] == 30
    assert [float(c[0]) for c in evaluate("pseudo-natural", nir=[80], red=[30], green=[40])] == [30, 50, 10]


@pytest.mark.parametrize("commons", [("hh",), ("vv", "vh"), ("hh", "hv")])
def test_squared_counts_are_shown_in_decibels_only(commons):
    image = measured("counts2", *commons)
    fitting = [style.id for style in STYLES.values() if style.bind(image, "sar") is not None]
    assert fitting == ["sar-intensity"]


@pytest.mark.parametrize(
    ("unit", "commons", "default"),
    [
        ("1", ("vv", "vh"), "sar-db-copol"),
        ("1", ("hv",), "sar-db-cross"),
        (None, ("vv", "vh"), "sar-db"),
        (None, ("hv",), "sar-db"),
    ],
)
def test_the_unit_of_a_radar_band_tells_power_from_amplitude(unit, commons, default):
    image = measured(unit, *commons)
    listed = load_sensors().get("sentinel-1").styles_for(image, "sar")
    fitting = [name for name in listed if STYLES.get(name).bind(image, "sar") is not None]
    assert fitting[0] == default
    power = {name for name in fitting if "1" in STYLES.get(name).units}
    assert (power == set(fitting) - {"grey"}) is (unit == "1"), fitting


def test_reflectance_has_ranges_of_its_own():
    natural, rgb = STYLES.get("natural"), ("red", "green", "blue")
    assert natural.rescale_of(measured("1e-4", *rgb)) == ((0, 3000),) * 3
    assert natural.rescale_of(measured(None, *rgb)) == "display"
    assert natural.rescale_of((*measured("1e-4", "red", "green"), *bands("blue"))) == "display"
    assert STYLES.get("bathy").rescale_of(measured("1e-4", "green", "blue", "coastal")) == ((200, 1500),) * 3
    assert STYLES.get("ndvi-stored").rescale_of(measured("1e-4", "ndvi")) == ((-2000, 9000),)
    assert STYLES.get("ndvi-stored").rescale_of(measured("1", "ndvi")) == ((-0.2, 0.9),)


def test_a_velocity_of_an_unknown_unit_is_not_shown_as_millimetres():
    assert STYLES.get("insar-velocity").bind(measured("mm/yr", "velocity"), "measure") == (1,)
    assert STYLES.get("insar-velocity").bind(measured(None, "velocity"), "measure") is None
    assert STYLES.get("insar-velocity-own").bind(measured(None, "velocity"), "measure") == (1,)


def test_the_digest_names_pixels_and_nothing_else():
    ndvi = STYLES.get("ndvi")
    assert len(ndvi.digest) == 16
    assert int(ndvi.digest, 16) >= 0
    assert load_styles().get("ndvi").digest == ndvi.digest
    same = replace(ndvi, id="mine", title=Text(fr="a", en="b"), source=("c",), kinds=("other",))
    same = replace(same, units=("1",), not_units=("2",), formats=("png",))
    assert same.digest == ndvi.digest
    others = [
        replace(ndvi, variables={"red": ("red",), "nir": ("nir",)}),
        replace(ndvi, variables={"nir": ("nir",), "red": ("red",)}),
        replace(ndvi, rescale=((-0.2, 1.0),)),
        replace(ndvi, rescale="percentiles"),
        replace(ndvi, resampling="nearest"),
        replace(ndvi, expression=("nir - red",)),
        replace(ndvi, algorithm="hillshade"),
        replace(ndvi, parameters={"azimuth": 1}),
        replace(ndvi, colormap_name=None),
        replace(ndvi, color_formula="gamma R 1.2"),
        replace(ndvi, buffer=1),
        replace(ndvi, below=(1, 2, 3)),
        replace(ndvi, rescale=RescaleByUnit(ranges=(("1", ((-0.2, 0.9),)),), otherwise="percentiles")),
        replace(ndvi, rescale=RescaleByUnit(ranges=(("1e-4", ((-0.2, 0.9),)),), otherwise="percentiles")),
    ]
    assert len({ndvi.digest, *(other.digest for other in others)}) == len(others) + 1


def test_styles_that_show_the_same_pixels_share_tiles():
    natural, rgb = STYLES.get("natural"), STYLES.get("rgb")
    same = dataclasses.replace(natural, color_formula=None, rescale="display")
    assert same.digest == rgb.digest != natural.digest
    palette = STYLES.get("palette")
    assert replace(palette, id="mine").digest != palette.digest, "only this id shows the file's own table"


BASE = {
    "id": "mine",
    "title": {"fr": "Le mien", "en": "Mine"},
    "kinds": ["optical"],
    "variables": {"red": ["red"], "nir": ["nir"]},
    "expression": "nir - red",
    "rescale": [[0, 1]],
    "resampling": "bilinear",
    "source": "house",
}
HEIGHT = {"elevation": ["elevation"]}
RGB = {"red": ["red"], "green": ["green"], "blue": ["blue"]}


def load(tmp_path, **changes):
    document = {**BASE, **changes}
    document = {key: value for key, value in document.items() if value is not None}
    (tmp_path / "mine.json").write_text(json.dumps(document))
    return load_styles(tmp_path).get("mine")


def test_an_extra_style_is_added(tmp_path):
    style = load(tmp_path, colormap_name="viridis", color_formula="gamma R 1.2")
    assert style.expression == ("nir - red",)
    assert style.bind(bands("red", "nir"), "optical") == (1, 2)
    assert load(tmp_path, expression="nir; red; nir-red", rescale=[[0, 1]] * 3).channels == 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"colour": "red"}, "unknown: colour"),
        ({"source": None}, "missing: source"),
        ({"id": "Mine"}, "must match"),
        ({"title": "Mine"}, "text"),
        ({"kinds": ["sound"]}, "kinds: 'sound'"),
        ({"kinds": []}, "must not be empty"),
        ({"variables": {"Red": ["red"], "nir": ["nir"]}}, "variable 'Red'"),
        ({"variables": {"red": [], "nir": ["nir"]}}, "variable 'red'"),
        ({"expression": "nir - rouge"}, "can't be evaluated"),
        ({"expression": "nir -"}, "can't be evaluated"),
        ({"expression": "__import__('os')"}, "can't be evaluated"),
        ({"expression": "sum(nir - red)"}, "a value per pixel"),
        ({"expression": "nir * 2"}, "no formula uses red"),
        ({"expression": "nir; red"}, "2 channels"),
        ({"expression": None}, "2 channels"),
        ({"rescale": [[1, 0]]}, "low < high"),
        ({"rescale": []}, "low < high"),
        ({"rescale": "bright"}, "rescale: 'bright'"),
        ({"rescale": [[0, 1], [0, 1]]}, "2 ranges for 1 channels"),
        ({"rescale": "display"}, "not for an expression"),
        ({"rescale": "night", "expression": None, "variables": RGB}, "needs an expression"),
        ({"resampling": "lanczos"}, "resampling: 'lanczos'"),
        ({"colormap_name": "mauve"}, "no colormap"),
        ({"colormap_name": "viridis", "expression": "nir;red;nir", "rescale": [[0, 1]] * 3}, "one channel"),
        ({"color_formula": "shine RGB 1"}, "color_formula"),
        ({"buffer": 3}, "for an algorithm"),
        ({"parameters": {"azimuth": 1}}, "for an algorithm"),
        ({"buffer": -1}, "whole number"),
        ({"buffer": 2.5}, "whole number"),
        ({"algorithm": "sunset"}, "algorithm 'sunset'"),
        ({"algorithm": "slope", "expression": None, "variables": HEIGHT}, "needs a buffer of 1"),
        (
            {"algorithm": "slope", "expression": None, "variables": HEIGHT, "buffer": 1},
            "relief, slope take a colormap",
        ),
        (
            {"algorithm": "terrarium", "expression": None, "variables": HEIGHT, "colormap_name": "blues"},
            "and no other",
        ),
        ({"units": "m"}, "list of words"),
        ({"not_units": [1]}, "list of words"),
        ({"formats": ["jpg"]}, "formats: 'jpg'"),
        ({"below": [1, 2, 3]}, "for a colormap_name"),
        ({"below": [1, 2], "colormap_name": "blues"}, "each from 0 to 255"),
        ({"below": [1, 2, 256], "colormap_name": "blues"}, "each from 0 to 255"),
        ({"rescale": {"unit": {}, "otherwise": "percentiles"}}, "must be a word"),
        ({"rescale": {"unit": {"m": [[0, 1]]}}}, "must be a word"),
        ({"rescale": {"unit": {"m": [[0, 1]] * 2}, "otherwise": "percentiles"}}, "2 ranges for 1 channels"),
        ({"rescale": {"unit": {"m": [[0, 1]]}, "otherwise": "display"}}, "not for an expression"),
        ({"rescale": "night-together", "expression": None, "variables": RGB}, "needs an expression"),
        ({"algorithm": "hillshade"}, "hillshade takes altitude, azimuth, z_factor"),
        (
            {
                "algorithm": "hillshade",
                "parameters": {"azimuth": 1, "altitude": 2, "z_factor": 1},
                "buffer": 3,
            },
            "one variable",
        ),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(tmp_path, changes, says):
    with pytest.raises(DataFileInvalidError, match=f"mine\\.json: (?s:.*){says}"):
        load(tmp_path, **changes)


@pytest.mark.parametrize("path", sorted((BUILT_IN / "styles").glob("*.json")), ids=lambda path: path.stem)
def test_an_unknown_member_is_refused_in_every_file(tmp_path, path):
    document = json.loads(path.read_text(encoding="utf-8"))
    (tmp_path / path.name).write_text(json.dumps({**document, "nodata": 0}))
    with pytest.raises(DataFileInvalidError, match="unknown: nodata"):
        load_styles(tmp_path)


def test_a_numbered_band_is_that_of_the_file():
    bands = tuple(Band(name=str(n), common_name=None) for n in range(1, 6))
    assert STYLES.get("bands-123").bind(bands, "other") == (1, 2, 3)
    assert STYLES.get("bands-123").bind(bands[:2], "other") is None
    assert STYLES.get("grey").bind(bands, "other") == (1,)
