from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rio_tiler.colormap import cmap

from mosaics.levels import levels
from mosaics.models import Band, Picture, Raster
from mosaics.render import Recipe, on_backdrop, render
from mosaics.styles import Style, load_styles, parse_style
from mosaics.terrain import ENCODINGS, backdrop

STYLES = load_styles()


def raster(*bands: object, valid: object = None) -> Raster:
    data = np.stack([np.asarray(band) for band in bands])
    mask = np.ones(data.shape[1:], bool) if valid is None else np.asarray(valid, bool)
    return Raster(data=data, valid=mask)


def band(name: str, data_type: str = "uint16", **statistics: float) -> Band:
    return Band(name=name, common_name=name, data_type=data_type, **statistics)


def style(**more: object) -> Style:
    values: dict[str, object] = {
        "id": "test",
        "title": {"fr": "t", "en": "t"},
        "kinds": ["optical"],
        "variables": {"a": ["a"]},
        "rescale": "display",
        "resampling": "bilinear",
        "source": "a test",
    }
    return parse_style({**values, **more})


def test_eight_bit_display_is_left_alone() -> None:
    values = np.arange(256, dtype="uint8").reshape(16, 16)
    recipe = Recipe(
        style=STYLES.get("natural"),
        bands=tuple(band(n, "uint8", p2=50, p98=60) for n in ("red", "green", "blue")),
    )
    picture = render(raster(values, values.T, 255 - values), recipe)
    assert np.array_equal(picture.rgb[..., 0], values)
    assert np.array_equal(picture.rgb[..., 1], values.T)
    assert np.array_equal(picture.rgb[..., 2], 255 - values)
    assert (picture.alpha == 255).all()


def test_more_than_eight_bits_are_stretched_by_percentiles_of_the_whole_scene() -> None:
    values = np.array([[0, 100, 600, 1100, 65535]], dtype="uint16")
    picture = render(raster(values), Recipe(style=style(), bands=(band("a", p2=100, p98=1100),)))
    assert picture.rgb[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_invalid_pixels_have_no_colour() -> None:
    values = np.full((2, 2), 500, "uint16")
    picture = render(
        raster(values, valid=[[1, 0], [1, 1]]), Recipe(style=style(), bands=(band("a", p2=0, p98=500),))
    )
    assert picture.alpha.tolist() == [[255, 0], [255, 255]]
    assert picture.rgb[0, 1].tolist() == [0, 0, 0]


def test_a_formula_without_a_number_is_nothing() -> None:
    ndvi = STYLES.get("ndvi")
    bands = tuple(band(name) for name in ndvi.variables)
    nir, red = np.array([[0, 800]], "uint16"), np.array([[0, 200]], "uint16")
    values = {"nir": nir, "red": red}
    picture = render(raster(*(values[name] for name in ndvi.variables)), Recipe(style=ndvi, bands=bands))
    assert picture.alpha.tolist() == [[0, 255]]


def test_ndvi_does_not_wrap_around() -> None:
    ndvi = STYLES.get("ndvi")
    bands = tuple(band(name) for name in ndvi.variables)
    low = {"nir": 100, "red": 900}
    high = {"nir": 900, "red": 100}
    pictures = [
        render(
            raster(*(np.full((1, 1), v[name], "uint16") for name in ndvi.variables)),
            Recipe(style=ndvi, bands=bands),
        )
        for v in (low, high)
    ]
    red_of_low, green_of_high = pictures[0].rgb[0, 0], pictures[1].rgb[0, 0]
    assert red_of_low[0] > red_of_low[1]
    assert green_of_high[1] > green_of_high[0]


@pytest.mark.parametrize(("amplitude", "grey"), [(1, 0), (10, 64), (100, 128), (10000, 255)])
def test_sar_is_shown_in_decibels(amplitude: int, grey: int) -> None:
    recipe = Recipe(style=STYLES.get("sar-db"), bands=(band("amplitude", p2=1, p98=10000),))
    picture = render(raster(np.full((1, 1), amplitude, "uint16")), recipe)
    assert picture.rgb[0, 0, 0] == pytest.approx(grey, abs=1)


def test_a_constant_scene_does_not_divide_by_zero() -> None:
    picture = render(
        raster(np.full((1, 1), 7, "uint16")), Recipe(style=style(), bands=(band("a", p2=7, p98=7),))
    )
    assert picture.alpha[0, 0] == 255
    assert picture.rgb[0, 0, 0] in {127, 128}


def test_a_palette_shows_its_colours_and_nothing_else() -> None:
    recipe = Recipe(
        style=STYLES.get("palette"),
        bands=(band("classes", "uint8"),),
        colormap=((1, (10, 20, 30, 255)), (2, (40, 50, 60, 0))),
    )
    picture = render(raster(np.array([[0, 1, 2, 200]], "uint8")), recipe)
    assert picture.alpha.tolist() == [[0, 255, 0, 0]]
    assert picture.rgb[0].tolist() == [[0, 0, 0], [10, 20, 30], [0, 0, 0], [0, 0, 0]]


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    dtype=st.sampled_from(["uint8", "uint16", "int16", "int32"]),
    opacity=st.sampled_from([255, 0, 100]),
)
@settings(deadline=None, max_examples=100)
def test_each_class_has_its_own_colour(seed: int, shape: tuple[int, int], dtype: str, opacity: int) -> None:
    random = np.random.default_rng(seed)
    listed = random.choice(256, 40, replace=False)
    colours = {int(v): (*map(int, random.integers(0, 256, 3)), opacity if v % 3 else 255) for v in listed}
    values = random.integers(-5 if dtype.startswith("i") else 0, 256, shape).astype(dtype)
    valid = random.random(shape) < random.choice([0.6, 2])
    recipe = Recipe(
        style=STYLES.get("palette"), bands=(band("classes", dtype),), colormap=tuple(colours.items())
    )
    picture = render(raster(values, valid=valid), recipe)
    for place, value in np.ndenumerate(values):
        colour = colours.get(int(value), (0, 0, 0, 0)) if valid[place] else (0, 0, 0, 0)
        assert picture.alpha[place] == colour[3]
        assert tuple(picture.rgb[place]) == (colour[:3] if colour[3] else (0, 0, 0))
    assert_indexed_alike(picture)


@pytest.mark.parametrize("holes", [True, False])
def test_a_colour_map_gives_each_level_its_colour(holes: bool) -> None:
    random = np.random.default_rng(5)
    nir, red = random.integers(0, 900, (2, 60, 50)).astype("uint16")
    valid = random.random((60, 50)) < (0.8 if holes else 2)
    ndvi = STYLES.get("ndvi")
    recipe = Recipe(style=ndvi, bands=tuple(band(name) for name in ndvi.variables))
    picture = render(raster(nir, red, valid=valid), recipe)
    found, known = levels(raster(nir, red, valid=valid), recipe)
    colours = cmap.get("rdylgn")
    for place, level in np.ndenumerate(found[..., 0]):
        expected = colours[int(level)] if known[place] else (0, 0, 0, 0)
        assert (*picture.rgb[place], picture.alpha[place]) == expected
    assert_indexed_alike(picture)


def assert_indexed_alike(picture: Picture) -> None:
    """The index of a picture says the same colours, and nothing of hidden pixels."""
    if picture.indexed is None:
        return
    shown = picture.alpha > 0
    assert np.isin(picture.alpha, (0, 255)).all()
    assert np.array_equal(picture.indexed.colours[picture.indexed.values][shown], picture.rgb[shown])
    assert not picture.indexed.values[~shown].any()


@pytest.mark.parametrize("holes", [True, False])
def test_every_style_hides_what_is_invalid(holes: bool) -> None:
    for one in STYLES.values():
        random = np.random.default_rng(2)
        size = 20 + 2 * one.buffer
        values = random.uniform(2, 250, (size, size, len(one.variables))).astype("uint8")
        valid = random.random((size, size)) < (0.5 if holes else 2)
        recipe = Recipe(
            style=one, bands=tuple(band(name, p2=1, p98=250, p50=9, p999=250) for name in one.variables)
        )
        ground = (np.ones((size, 1)), np.ones((size, 1)))
        picture = render(Raster(data=np.moveaxis(values, -1, 0), valid=valid), recipe, ground)
        inner = valid[one.buffer : size - one.buffer, one.buffer : size - one.buffer]
        if one.id == "dh-certain":  # hides what is smaller than its error, too
            inner = inner & (values[..., 0] >= values[..., 1])
        shown = picture.alpha if one.algorithm != "contours" else (picture.alpha > 0) * np.uint8(255)
        assert np.array_equal(shown, inner * np.uint8(255)), one.id
        assert not picture.rgb[~inner].any(), one.id
        assert picture.rgb.flags.c_contiguous, one.id
        assert_indexed_alike(picture)


def test_every_style_renders() -> None:
    for one in STYLES.values():
        size = 16 + 2 * one.buffer
        values = [
            np.random.default_rng(1).uniform(1, 1000, (size, size)).astype("float32") for _ in one.variables
        ]
        bands = tuple(
            band(names[0], "float32", minimum=1, maximum=1000, p2=20, p50=500, p98=980, p999=999)
            for names in one.variables.values()
        )
        ground = (np.ones((size, 1)), np.ones((size, 1)))
        picture = render(raster(*values), Recipe(style=one, bands=bands), ground)
        assert picture.rgb.shape == (16, 16, 3), one.id
        small = isinstance(one.rescale, tuple) and max(max(one.rescale)) < 50  # all is more than that here
        assert one.id in {"palette", "contours"} or small or picture.rgb.std() > 5, one.id


def test_what_is_below_a_range_has_its_own_colour_and_nothing_in_it_has() -> None:
    snow = STYLES.get("snow")
    values = np.array([[-9, -1e-3, 0, 1e-3, 2.5, 5, 9]], "float32")
    picture = render(raster(values), Recipe(style=snow, bands=(band("snow_height", "float32"),)))
    first, last = cmap.get("ylgnbu")[0][:3], cmap.get("ylgnbu")[255][:3]
    rgb = [tuple(map(int, colour)) for colour in picture.rgb[0]]
    assert rgb[:2] == [(128, 128, 128)] * 2, "grey, not hidden"
    assert rgb[2:4] == [first, first]
    assert rgb[5:] == [last, last]
    assert rgb[4] not in {first, last, (128, 128, 128)}
    assert (picture.alpha == 255).all()
    whole = render(raster(values.astype("int16")), Recipe(style=snow, bands=(band("snow_height", "int16"),)))
    assert whole.rgb[0, 0].tolist() == [128] * 3
    assert whole.rgb[0, 2].tolist() == list(first)


@pytest.mark.parametrize(("low", "high"), [(-4.0, 9.0), (-9.0, 4.0), (2.0, 9.0)])
def test_a_symmetric_stretch_has_0_in_the_middle(low: float, high: float) -> None:
    values = np.array([[-9, 0, 9, low]], "float32")
    recipe = Recipe(
        style=STYLES.get("insar-velocity-own"), bands=(band("velocity", "float32", p2=low, p98=high),)
    )
    found, _ = levels(raster(values), recipe)
    assert found[0, :3, 0].tolist() == [0, 128, 255]
    assert found[0, 3, 0] == round((low + 9) / 18 * 255)


def test_lamps_keep_their_colour() -> None:
    bands = tuple(
        band(name, "uint16", p50=0, p999=most)
        for name, most in (("red", 1000), ("green", 400), ("blue", 100))
    )
    white = np.full((1, 1), 50, "uint16")
    recipe = Recipe(style=STYLES.get("night-rgb"), bands=bands)
    found, _ = levels(raster(white, white, white), recipe)
    assert len(set(found[0, 0].tolist())) == 1, "one range for all three bands"
    assert found[0, 0, 0] == round(np.log1p(50) / np.log1p(1000) * 255)


HEIGHTS = (300 + 40 * np.sin(np.mgrid[0:80, 0:80][1] / 9) + 25 * np.cos(np.mgrid[0:80, 0:80][0] / 7)).astype(
    "float32"
)


def of_heights(name: str, heights: np.ndarray = HEIGHTS, valid: object = None, pixel: float = 2.0) -> Picture:
    ground = (np.full((len(heights), 1), pixel), np.full((len(heights), 1), pixel))
    recipe = Recipe(style=STYLES.get(name), bands=(band("elevation", "float32", p2=240, p98=360),))
    return render(raster(heights, valid=valid), recipe, ground, pixel=pixel)


def test_relief_is_its_colours_times_the_shade() -> None:
    lit, shade = of_heights("relief"), of_heights("hillshade").rgb[..., 0]
    wide = STYLES.get("hillshade").buffer - 1
    inner = HEIGHTS[1:-1, 1:-1]
    levels_ = np.rint(np.clip((inner - 240) / 120, 0, 1) * 255).astype(int)
    colours = np.array([cmap.get("terrain")[n][:3] for n in range(256)])[levels_]
    level = np.sin(np.pi / 4) * 254 + 1
    trimmed = np.s_[wide:-wide, wide:-wide]
    expected = np.clip(colours[trimmed] * (shade[..., None] / level), 0, 255)
    assert np.abs(lit.rgb[trimmed] - expected).max() <= 1
    flat = of_heights("relief", np.full((20, 20), 300.0, "float32"))
    assert np.abs(flat.rgb[0, 0].astype(int) - np.array(cmap.get("terrain")[128][:3])).max() <= 1


def test_contours_lie_over_nothing_and_keep_what_is_below_from_showing_through() -> None:
    valid = np.ones(HEIGHTS.shape, bool)
    valid[40:50, 40:50] = False
    picture = of_heights("contours", valid=valid)
    inner = valid[3:-3, 3:-3]
    assert not picture.alpha[~inner].any()
    assert (picture.alpha[inner] >= 1).all(), "so that no scene below draws its lines between these"
    assert 0.02 < (picture.alpha > 127).mean() < 0.5
    assert (picture.alpha == 1).mean() > 0.3
    assert len(np.unique(picture.rgb[inner], axis=0)) == 1


@pytest.mark.parametrize(("name", "step"), [("terrain-rgb", 0.05), ("terrarium", 1 / 256)])
def test_heights_for_clients_decode_to_what_they_were(name: str, step: float) -> None:
    valid = np.ones(HEIGHTS.shape, bool)
    valid[:9] = False
    picture = of_heights(name, valid=valid)
    decoded = ENCODINGS[name].decode(picture.rgb)
    assert np.abs(decoded - HEIGHTS)[valid].max() <= step + 1e-4
    assert not picture.alpha[~valid].any()
    told = backdrop(name)
    assert told is not None
    whole = on_backdrop(picture, told)
    assert (whole.alpha == 255).all()
    assert np.abs(ENCODINGS[name].decode(whole.rgb)[~valid]).max() < 1e-9, "0 m where there is no height"
    assert np.array_equal(whole.rgb[valid], picture.rgb[valid])
