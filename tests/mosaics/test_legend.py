"""Legends: what they say, and what they keep to themselves."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from rio_tiler.colormap import cmap

from mosaics.band_words import MEANINGS, meaning
from mosaics.indices import load_indices
from mosaics.legend import (
    AS_MADE,
    HIGH,
    LOW,
    OTHERS_DIFFER,
    STRETCHED,
    Legend,
    Shown,
    document_of,
    legend_of,
    number_in_words,
)
from mosaics.levels import Recipe
from mosaics.models import Band, Raster, Scene
from mosaics.render import render
from mosaics.sensors import load_sensors
from mosaics.styles import Style, load_styles
from tests.mosaics.scenes import scene

STYLES = load_styles()


def band(name: str, low: float = 100.0, high: float = 1100.0, **more: object) -> Band:
    return Band(**{"name": name, "common_name": name, "data_type": "uint16", "p2": low, "p98": high, **more})


FOUR = scene(bands=(band("red"), band("green", 200), band("blue"), band("nir", 500, 4000)))
HEIGHTS = scene(kind="elevation", bands=(band("elevation", 12.5, 1890, unit="m", data_type="float32"),))


def legend(style: str | Style, *scenes: Scene, told: bool = True) -> Legend:
    used = STYLES.get(style) if isinstance(style, str) else style
    shown = [Shown(style=used, scene=each, told=told) for each in scenes]
    return legend_of(shown[0], iter(shown[1:]), used.title)


def numbers(found: Legend) -> str:
    document = document_of(found)
    return json.dumps([document["range"], document["entries"]])


def test_a_ramp_says_the_values_of_its_colours() -> None:
    found = legend("ndvi", FOUR)
    assert (found.kind, found.span, found.unit, found.note) == ("ramp", (-0.2, 0.9), None, None)
    assert [entry.value for entry in found.entries] == [-0.2, 0.0, 0.5, 0.9]
    assert [entry.label.fr for entry in found.entries] == ["\N{MINUS SIGN}0,2", "0", "0,5", "0,9"]
    assert [entry.label.en for entry in found.entries] == ["\N{MINUS SIGN}0.2", "0", "0.5", "0.9"]
    assert found.colours[0] == cmap.get("rdylgn")[0][:3]
    assert found.colours[255] == cmap.get("rdylgn")[255][:3]


@pytest.mark.parametrize("style", ["ndvi", "grey"])
def test_the_colours_of_a_ramp_are_those_that_the_renderer_gives(style: str) -> None:
    used = STYLES.get(style)
    found = legend(style, FOUR)
    assert found.span is not None
    low, high = found.span
    places = used.bind(FOUR.bands, "optical")
    assert places is not None
    bands = tuple(FOUR.bands[place - 1] for place in places)
    wanted = np.linspace(low, high, 256)
    # of NDVI v: nir = 1 + v, red = 1 - v
    data = np.stack([1 + wanted, 1 - wanted]) if style == "ndvi" else wanted[np.newaxis]
    raster = Raster(data=data[:, np.newaxis].astype("float32"), valid=np.ones((1, 256), bool))
    picture = render(raster, Recipe(style=used, bands=bands))
    places_off = np.abs(picture.rgb[0].astype(int) - np.array(found.colours)).max(axis=-1)
    assert (places_off > 6).sum() == 0, "half a level of rounding is a neighbouring colour"


def test_a_band_as_it_is_has_its_unit_and_the_scenes_range() -> None:
    found = legend("grey", HEIGHTS)
    assert (found.unit, found.span) == ("m", (12.5, 1890))
    assert found.colours[0] == (0, 0, 0)


def test_scenes_that_are_stretched_apart_have_words_instead_of_numbers() -> None:
    other = replace(HEIGHTS, bands=(HEIGHTS.bands[0]._replace(p98=1900.0),))
    found = legend("grey", HEIGHTS, other)
    assert (found.span, found.unit, found.note) == (None, None, STRETCHED)
    assert [entry.label for entry in found.entries] == [LOW, HIGH]
    assert "18" not in numbers(found)
    assert legend("grey", HEIGHTS, replace(HEIGHTS, id="b")).span == (12.5, 1890)


@pytest.mark.parametrize("style", ["grey", "natural", "cir", "sar-db", "bands-123"])
def test_numbers_of_a_scene_are_told_only_to_who_may_read_it(style: str) -> None:
    radar = scene(kind="sar", bands=(band("hh"),))
    of = radar if style == "sar-db" else FOUR
    assert any(str(digit) in numbers(legend(style, of)) for digit in (100, 40, 500))
    kept = legend(style, of, told=False)
    assert kept.note == STRETCHED
    assert kept.span is None
    assert all(entry.values is None and entry.value is None for entry in kept.entries)


def test_numbers_of_a_style_are_told_to_everybody_and_no_other_scene_is_asked_for() -> None:
    first = Shown(style=STYLES.get("ndvi"), scene=FOUR, told=False)

    def others():
        yield first
        raise AssertionError("each has the same range, so one more is enough")

    found = legend_of(first, (each for each in [first]), first.style.title)
    assert found.span == (-0.2, 0.9)


def test_the_first_difference_is_enough() -> None:
    used = STYLES.get("grey")
    first, other = (
        Shown(style=used, scene=replace(HEIGHTS, bands=(band("elevation", low),)), told=True)
        for low in (1, 2)
    )

    def others():
        yield other
        raise AssertionError("one difference was told already")

    assert legend_of(first, others(), used.title).note == STRETCHED


def test_a_composite_says_which_band_is_which_channel() -> None:
    found = legend("cir", FOUR)
    assert found.kind == "composite"
    assert [entry.label.fr for entry in found.entries] == [
        "Rouge : proche infrarouge",
        "Vert : rouge",
        "Bleu : vert",
    ]
    assert [entry.label.en for entry in found.entries] == ["Red: near infrared", "Green: red", "Blue: green"]
    assert [entry.values for entry in found.entries] == [(500, 4000), (100, 1100), (200, 1100)]


def test_eight_bits_for_display_are_shown_as_they_are() -> None:
    of = scene(bands=tuple(band(name, data_type="uint8") for name in ("red", "green", "blue")))
    found = legend("natural", of, told=False)
    assert found.note == AS_MADE
    assert all(entry.values is None for entry in found.entries)


def test_a_formula_a_channel_is_said_as_it_is() -> None:
    used = replace(STYLES.get("natural"), expression=("red / 2", "green", "blue"), rescale=((0, 1),) * 3)
    assert legend(used, FOUR).entries[0].label.en == "Red: red / 2"


def test_lights_have_no_numbers_since_their_logarithm_is_none_for_people() -> None:
    of = scene(kind="night", bands=(band("night", p50=1, p999=90),))
    found = legend("night", of)
    assert (found.kind, found.span, found.note) == ("ramp", None, STRETCHED)


PALETTE = tuple((value, (value * 40, 0, 200, 255)) for value in range(1, 7))


def classes(**more: object) -> Scene:
    bands = (Band(name="classes", common_name="classes", minimum=2, maximum=4),)
    table = (*PALETTE, *((value, (0, 0, 0, 255)) for value in range(7, 256)))
    return scene(**{"kind": "classes", "bands": bands, "colormap": table, "styles": ("palette",), **more})


def test_classes_are_those_that_the_scene_has() -> None:
    found = legend("palette", classes())
    assert found.kind == "classes"
    assert [(entry.value, entry.colour) for entry in found.entries] == [
        (value, (value * 40, 0, 200)) for value in (2, 3, 4)
    ]
    assert found.note is None


def test_which_classes_a_scene_has_is_told_only_to_who_may_read_it() -> None:
    assert [entry.value for entry in legend("palette", classes(), told=False).entries] == [1, 2, 3, 4, 5, 6]


def test_other_classes_elsewhere_are_said_so() -> None:
    other = classes(id="b", colormap=PALETTE[:2])
    assert legend("palette", classes(), other).note == OTHERS_DIFFER
    assert legend("palette", classes(), classes(id="b")).note is None


def test_an_algorithm_that_is_not_known_leaves_the_title() -> None:
    found = legend("hillshade", HEIGHTS)
    assert (found.kind, found.entries, found.title) == ("title", (), STYLES.get("hillshade").title)


@pytest.mark.parametrize("name", ["terrain-rgb", "terrain_rgb", "terrarium"])
def test_colours_that_are_numbers_say_their_formula(name: str) -> None:
    found = legend(replace(STYLES.get("hillshade"), algorithm=name), HEIGHTS)
    assert found.kind == "encoding"
    assert "R" in found.entries[0].label.en


def test_an_algorithm_with_colours_along_a_range_is_a_ramp() -> None:
    used = replace(STYLES.get("hillshade"), algorithm="slope", rescale=((0.0, 60.0),), colormap_name="magma")
    found = legend(used, HEIGHTS, told=False)
    assert (found.kind, found.span, found.unit) == ("ramp", (0, 60), None)


def test_a_relief_is_a_ramp_of_the_heights_of_its_scene() -> None:
    heights = scene(
        kind="elevation", bands=(Band(name="h", common_name="elevation", unit="m", p2=10.0, p98=250.0),)
    )
    told = legend("relief", heights, told=True)
    assert (told.kind, told.span, told.unit) == ("ramp", (10, 250), "m")
    assert legend("relief", heights, told=False).span is None, "heights are told to those who may read them"


@pytest.mark.parametrize("style", STYLES.list())
@pytest.mark.parametrize("told", [True, False])
def test_every_style_has_a_legend_for_every_layout_that_has_it(style: str, told: bool) -> None:
    for sensor in load_sensors().values():
        for layout in sensor.layouts:
            if style in layout.styles and layout.bands:
                assert document_of(legend(style, scene(kind=layout.kind, bands=layout.bands), told=told))
    used = STYLES.get(style)
    unit = used.units[0] if used.units else None
    bands = tuple(
        Band(name=names[0], common_name=names[0], unit=unit, p2=1.0, p50=2.0, p98=3.0, p999=4.0)
        for names in used.variables.values()
    )
    assert document_of(legend(style, scene(kind=used.kinds[0], bands=bands), told=told))


@pytest.mark.parametrize("name", cmap.list())
def test_every_colour_map_makes_a_ramp(name: str) -> None:
    assert len(legend(replace(load_indices().get("ndvi"), colormap_name=name), FOUR).colours) == 256


@pytest.mark.parametrize(
    ("value", "span", "words"),
    [
        (0.0, 1.0, "0"),
        (-0.0, 1.0, "0"),
        (1234.5, 3000.0, "1234"),
        (0.25, 1.1, "0,25"),
        (1e9, 1e9, "1e+09"),
        (-30.0, 30.0, "\N{MINUS SIGN}30"),
        (100.0, 0.001, "100"),
    ],
)
def test_numbers_in_words(value: float, span: float, words: str) -> None:
    assert number_in_words(value, span).fr == words


def test_every_common_name_of_the_sensors_has_words() -> None:
    named = {
        band.common_name
        for sensor in load_sensors().values()
        for layout in sensor.layouts
        for band in layout.bands
        if band.common_name
    }
    assert named <= MEANINGS.keys()
    assert meaning(Band(name="B17")).fr == "B17"
