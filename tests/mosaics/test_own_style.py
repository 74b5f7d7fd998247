"""A caller's own style: what it starts from, what it changes, and what it can't."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mosaics.contribution import Contribution
from mosaics.errors import BandsNotFoundError, StyleUnsuitableError
from mosaics.indices import load_indices
from mosaics.layers import Layer
from mosaics.levels import Recipe
from mosaics.models import Band, Bounds, Frame, Raster, Scene
from mosaics.own_style import OWN, OwnStyle, OwnStyles
from mosaics.render import render
from mosaics.resolve import ResolvedTile
from mosaics.styles import load_styles
from tests.mosaics.scenes import collection, scene

STYLES, INDICES = load_styles(), load_indices()
OWNS = OwnStyles(STYLES, INDICES)


def banded(*names: str, data_type: str = "uint16", **more: object) -> Scene:
    bands = tuple(
        Band(name=f"B{place}", common_name=name, data_type=data_type, p2=100, p98=1100)
        for place, name in enumerate(names, start=1)
    )
    return scene(**{"bands": bands, **more})


FOUR = banded("blue", "green", "red", "nir")
HEIGHTS = scene(kind="elevation", bands=(Band(name="z", common_name="elevation", data_type="float32"),))
EIGHT_BITS = banded("red", "green", "blue", data_type="uint8")


def shown(own: OwnStyle, base: str, of: Scene, *values: float) -> list[int]:
    """Render one pixel, whose bands have these values in file order, and give its colour."""
    style = OWNS.fit(own, STYLES.get(base), of)
    places = style.bind(of.bands, of.kind)
    assert places is not None
    data = np.array([values[place - 1] for place in places], of.bands[0].data_type).reshape(-1, 1, 1)
    raster = Raster(data=data, valid=np.ones((1, 1), bool))
    bands = tuple(of.bands[place - 1] for place in places)
    picture = render(raster, Recipe(style=style, bands=bands, colormap=of.colormap))
    return [int(level) for level in picture.rgb[0, 0]]


@pytest.mark.parametrize(
    "names", [("nir", "red", "green"), ("B4", "B3", "B2"), ("4", "3", "2"), ("nir", "3", "B2")]
)
def test_bands_by_common_name_own_name_or_number(names: tuple[str, ...]) -> None:
    own = OwnStyle(bands=names, rescale=((0, 255),))
    assert shown(own, "rgb", FOUR, 10, 20, 30, 40) == [40, 30, 20]


def test_a_common_name_comes_before_an_own_name() -> None:
    of = scene(bands=(Band(name="red", common_name="nir"), Band(name="B2", common_name="red")))
    assert OWNS.fit(OwnStyle(bands=("red",)), STYLES.get("grey"), of).bind(of.bands, of.kind) == (2,)


@pytest.mark.parametrize("name", ["5", "0", "99", "Red", "swir16", "b1", "*1", "*", "²"])
def test_bands_that_are_not_there(name: str) -> None:
    with pytest.raises(BandsNotFoundError):
        OWNS.fit(OwnStyle(bands=(name,)), STYLES.get("rgb"), FOUR)


def test_bands_begin_plainly_whatever_the_style_was() -> None:
    own = OwnStyle(bands=("nir", "red", "green"))
    made = [OWNS.fit(own, STYLES.get(base), FOUR) for base in ("natural", "ndvi", "grey")]
    assert len({style.digest for style in made}) == 1
    assert (made[0].rescale, made[0].color_formula, made[0].colormap_name) == ("display", None, None)
    assert OWNS.fit(OwnStyle(bands=("nir",)), STYLES.get("natural"), FOUR).channels == 1


def test_without_bands_the_rest_of_the_style_stays() -> None:
    style = OWNS.fit(OwnStyle(rescale=((0, 9),)), STYLES.get("natural"), FOUR)
    assert style.color_formula == STYLES.get("natural").color_formula


def test_bands_show_any_kind_of_scene_and_classes_are_not_averaged() -> None:
    classes = scene(kind="classes", bands=(Band(name="c", common_name="classes"),))
    style = OWNS.fit(OwnStyle(bands=("1",)), STYLES.get("palette"), classes)
    assert style.resampling == "nearest"
    assert style.bind(classes.bands, "classes") == (1,)


def test_an_index_has_its_own_range_and_colours_unless_others_are_wanted() -> None:
    ndvi = OWNS.fit(OwnStyle(index="ndvi"), STYLES.get("natural"), FOUR)
    assert (ndvi.rescale, ndvi.colormap_name) == (((-0.2, 0.9),), "rdylgn")
    own = OwnStyle(index="ndvi", rescale=((0, 1),), colormap_name="gray")
    grey = shown(own, "natural", FOUR, 0, 0, 1000, 3000)
    assert abs(grey[0] - 128) <= 1, "NDVI 0.5 is the middle"


def test_an_index_needs_its_bands() -> None:
    with pytest.raises(BandsNotFoundError):
        OWNS.fit(OwnStyle(index="ndvi"), STYLES.get("natural"), EIGHT_BITS)


def test_one_range_is_for_all_channels() -> None:
    one = OWNS.fit(OwnStyle(rescale=((0, 3000),)), STYLES.get("natural"), FOUR)
    each = OWNS.fit(OwnStyle(rescale=((0, 3000),) * 3), STYLES.get("natural"), FOUR)
    assert one.rescale == ((0, 3000),) * 3
    assert one.digest == each.digest
    assert one.digest != STYLES.get("natural").digest


def test_a_range_is_what_is_dark_and_bright() -> None:
    own = OwnStyle(bands=("red", "green", "blue"), rescale=((0, 100), (0, 200), (100, 200)))
    assert shown(own, "rgb", FOUR, 150, 100, 100, 0) == [255, 128, 128]


@pytest.mark.parametrize(("base", "of"), [("natural", FOUR), ("rgb", FOUR), ("rgb", EIGHT_BITS)])
def test_gamma_brightens_above_one_and_darkens_below(base: str, of: Scene) -> None:
    middle = (60, 60, 60, 60) if of is EIGHT_BITS else (400, 400, 400, 400)
    levels = [shown(OwnStyle(gamma=gamma), base, of, *middle)[0] for gamma in (0.5, 1.0, 2.0)]
    assert levels[0] < levels[1] - 20 < levels[2] - 50


def test_gamma_of_one_leaves_eight_bits_as_they_are() -> None:
    assert shown(OwnStyle(gamma=1.0), "natural", EIGHT_BITS, 10, 20, 230) == [10, 20, 230]


def test_gamma_bends_one_channel_before_its_colours() -> None:
    own = OwnStyle(bands=("nir",), rescale=((0, 255),), colormap_name="gray", gamma=2.0)
    level = shown(own, "rgb", FOUR, 0, 0, 0, 64)[0]
    assert abs(level - round(255 * (64 / 255) ** 0.5)) <= 2


def test_a_colour_map_shows_classes_by_value_and_not_in_the_files_colours() -> None:
    classes = scene(
        kind="classes",
        bands=(Band(name="c", common_name="classes"),),
        colormap=((7, (1, 2, 3, 255)),),
        styles=("palette",),
    )
    own = OwnStyle(colormap_name="gray", rescale=((0, 14),))
    assert shown(own, "palette", classes, 7)[0] in {127, 128}


@pytest.mark.parametrize(
    ("base", "of", "own"),
    [
        ("natural", FOUR, OwnStyle(colormap_name="viridis")),
        ("natural", FOUR, OwnStyle(bands=("1", "2", "3"), colormap_name="viridis")),
        ("ndvi", FOUR, OwnStyle(rescale=((0, 1),) * 3)),
        ("hillshade", HEIGHTS, OwnStyle(gamma=2.0)),
    ],
)
def test_what_a_style_has_no_place_for(base: str, of: Scene, own: OwnStyle) -> None:
    with pytest.raises(StyleUnsuitableError):
        OWNS.fit(own, STYLES.get(base), of)


def test_a_shaded_relief_can_be_shown_as_the_heights_that_it_is() -> None:
    own = OwnStyle(bands=("elevation",), rescale=((0, 1000),), colormap_name="terrain")
    style = OWNS.fit(own, STYLES.get("hillshade"), HEIGHTS)
    assert (style.algorithm, style.buffer, style.colormap_name) == (None, 0, "terrain")


def test_equal_wishes_are_one_style_and_no_more_are_kept_than_said() -> None:
    few = OwnStyles(STYLES, INDICES, most=2)
    first = few.fit(OwnStyle(gamma=1.5), STYLES.get("natural"), FOUR)
    assert few.fit(OwnStyle(gamma=1.5), STYLES.get("natural"), FOUR) is first
    for gamma in (2.0, 3.0, 4.0):
        few.fit(OwnStyle(gamma=gamma), STYLES.get("natural"), FOUR)
    assert few._made.cache_info().currsize == 2
    assert few.fit(OwnStyle(gamma=1.5), STYLES.get("natural"), FOUR) is not first


def test_every_difference_is_another_digest() -> None:
    owns = [
        OwnStyle(bands=("red",)),
        OwnStyle(bands=("nir",)),
        OwnStyle(bands=("nir",), gamma=1.2),
        OwnStyle(bands=("nir",), rescale=((0, 1),)),
        OwnStyle(bands=("nir",), rescale=((0, 2),)),
        OwnStyle(bands=("nir",), colormap_name="viridis"),
        OwnStyle(index="ndvi", colormap_name="viridis"),
        OwnStyle(index="ndwi", colormap_name="viridis"),
    ]
    styles = [OWNS.fit(own, STYLES.get("natural"), FOUR) for own in owns]
    assert len({style.digest for style in styles}) == len(owns)
    assert {style.id for style in styles} == {OWN}


def layer(*scenes: Scene) -> Layer:
    return Layer.of("c", scenes, collection=collection())


def test_scenes_that_can_not_be_shown_so_are_left_out() -> None:
    scenes = (EIGHT_BITS, replace(FOUR, id="b"))
    frame = Frame(crs="EPSG:3857", bounds=Bounds(0, 0, 1, 1), width=1, height=1)
    tile = ResolvedTile(
        frame=frame,
        contributions=tuple(Contribution.of(s, STYLES.get("natural")) for s in scenes),
    )
    own = OwnStyle(index="ndvi")
    restyled = OWNS.restyled(tile, own)
    assert [c.scene.id for c in restyled.contributions] == ["b"]
    assert restyled.key("png") != tile.key("png")
    OWNS.check(own, layer(*scenes), None)


def test_a_layer_of_which_no_scene_can_be_shown_so_says_why() -> None:
    with pytest.raises(BandsNotFoundError):
        OWNS.check(OwnStyle(index="ndvi"), layer(EIGHT_BITS), None)
    with pytest.raises(StyleUnsuitableError):
        OWNS.check(OwnStyle(colormap_name="viridis"), layer(EIGHT_BITS), None)


def test_only_scenes_that_have_the_style_count() -> None:
    held = layer(replace(FOUR, styles=("natural",)), replace(EIGHT_BITS, styles=("rgb",)))
    OWNS.check(OwnStyle(index="ndvi"), held, "natural")
    with pytest.raises(BandsNotFoundError):
        OWNS.check(OwnStyle(index="ndvi"), held, "rgb")


def test_the_indices_of_a_layer_are_those_that_it_has_the_bands_for() -> None:
    assert [index.id for index in OWNS.indices_of(layer(FOUR))] == ["gndvi", "ndvi", "ndwi"]
    assert OWNS.indices_of(layer(EIGHT_BITS)) == ()


def test_one_example_stands_for_all_scenes_of_its_sort() -> None:
    many = [replace(FOUR, id=f"s{n}", bands=tuple(b._replace(p2=n) for b in FOUR.bands)) for n in range(50)]
    held = layer(*many, EIGHT_BITS, replace(EIGHT_BITS, styles=("rgb",)))
    assert [each.id for each in held.examples] == ["a", "a", "s0"]
