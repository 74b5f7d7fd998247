"""Pictures of legends: one layout, readable as SVG and as PNG."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from PIL import Image, ImageDraw
from rio_tiler.colormap import cmap

from mosaics.legend import Entry, Legend
from mosaics.legend_picture import MOST_ROWS, Size, as_png, as_svg, draw
from mosaics.lettering import paint_text, text_width
from mosaics.models import Text

SVG = "{http://www.w3.org/2000/svg}"
RAMP = tuple((level, 255 - level, 60) for level in range(256))


def text(words: str) -> Text:
    return Text(fr=words, en=f"{words} in English")


def ramp(**more: object) -> Legend:
    ends = (
        Entry(label=text("0"), value=0.0),
        Entry(label=text("500"), value=500.0),
        Entry(label=text("1000"), value=1000.0),
    )
    values = {"kind": "ramp", "title": text("Altitude"), "unit": "m", "colours": RAMP, "span": (0.0, 1000.0)}
    return Legend(**{**values, "entries": ends, **more})


def classes(count: int) -> Legend:
    return Legend(
        kind="classes",
        title=text("Classes"),
        entries=tuple(
            Entry(label=text(str(n)), value=n, colour=(n % 256, 99, 200)) for n in range(1, count + 1)
        ),
    )


def painted(legend: Legend, scale: int = 1, **size: int) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(as_png(draw(legend, "fr", Size(**size)), scale))))


def words_of(legend: Legend, language: str = "fr", **size: int) -> list[str]:
    root = etree.fromstring(as_svg(draw(legend, language, Size(**size))))
    return [each.text for each in root.iter(f"{SVG}text")]


def test_a_ramp_goes_from_its_first_colour_to_its_last() -> None:
    pixels = painted(ramp(), width=272).astype(int)
    rows = np.flatnonzero((pixels[:, 20] == pixels[:, 20].clip(0, 255)).all(axis=-1))
    bar = next(row for row in rows if (np.abs(pixels[row, 8:264] - np.array(RAMP)) <= 1).all())
    assert (np.abs(pixels[bar + 5, 8:264] - np.array(RAMP)) <= 1).all()


@pytest.mark.parametrize(("language", "words"), [("fr", "Altitude (m)"), ("en", "Altitude in English (m)")])
def test_both_languages_and_the_unit(language: str, words: str) -> None:
    assert words_of(ramp(), language)[0] == words


def test_numbers_stand_below_their_place() -> None:
    root = etree.fromstring(as_svg(draw(ramp(), "fr", Size(width=272))))
    found = {each.text: (float(each.get("x")), each.get("text-anchor")) for each in root.iter(f"{SVG}text")}
    assert found["0"] == (8, "start")
    assert found["500"] == (136, "middle")
    assert found["1000"] == (264, "end")


def test_numbers_that_would_touch_are_left_out() -> None:
    assert "500" not in words_of(ramp(), width=80)
    assert {"0", "1000"} <= set(words_of(ramp(), width=80))


def test_each_class_has_its_colour() -> None:
    pixels = painted(classes(3))
    for value in (1, 2, 3):
        assert (pixels == (value, 99, 200)).all(axis=-1).sum() >= 150


def test_twice_the_pixels_are_the_same_picture() -> None:
    once, twice = painted(classes(3)), painted(classes(3), 2)
    assert twice.shape[:2] == (once.shape[0] * 2, once.shape[1] * 2)
    small = np.asarray(Image.fromarray(twice).resize(once.shape[1::-1], Image.Resampling.BOX)).astype(int)
    assert np.abs(small - once).mean() < 3


def test_svg_and_png_are_of_one_size() -> None:
    root = etree.fromstring(as_svg(draw(ramp(), "fr", Size(width=300))))
    assert (int(root.get("height")), int(root.get("width"))) == painted(ramp(), width=300).shape[:2]
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"


@pytest.mark.parametrize("height", [40, 60, 100, 400])
def test_rows_that_find_no_room_are_counted(height: int) -> None:
    drawing = draw(classes(20), "fr", Size(height=height))
    shown = sum(words.isdigit() for words in words_of(classes(20), height=height))
    assert drawing.height == height
    assert shown < 20 or height == 400
    if shown < 20:
        assert f"et {20 - shown} autres" in words_of(classes(20), height=height)


def test_no_picture_shows_more_rows_than_a_colour_table_has() -> None:
    assert f"et {400 - MOST_ROWS} autres" in words_of(classes(400))


def test_what_is_said_can_break_no_document() -> None:
    evil = '</text><script>alert("1")</script>&amp;\x00\x0b\ud7ff\u2028 ]]>'
    root = etree.fromstring(as_svg(draw(ramp(title=text(evil), note=text(evil)), "fr", Size(width=1000))))
    assert not list(root.iter(f"{SVG}script"))
    assert any("<script>" in (each.text or "") for each in root.iter(f"{SVG}text"))


@given(st.text(max_size=80), st.integers(80, 400), st.one_of(st.none(), st.integers(40, 300)))
@settings(max_examples=60, deadline=None)
def test_any_words_in_any_size_make_both_pictures(words: str, width: int, height: int | None) -> None:
    legend = ramp(title=Text(fr=words, en=words), note=text(words), unit=words[:5])
    drawing = draw(legend, "fr", Size(width=width, height=height))
    etree.fromstring(as_svg(drawing))
    assert Image.open(io.BytesIO(as_png(drawing))).size == (drawing.width, drawing.height)


@given(st.text("abcdefgh é", max_size=120), st.integers(80, 300))
@settings(max_examples=60, deadline=None)
def test_no_line_is_wider_than_the_picture(words: str, width: int) -> None:
    for line in filter(None, words_of(ramp(title=text(words), unit=None), width=width)):
        assert text_width(line, 11) <= width - 16


@pytest.mark.parametrize("name", ["viridis", "rdylgn", "tab20", "terrain", "flag", "greys"])
def test_the_colours_of_an_svg_are_those_of_the_ramp(name: str) -> None:
    colours = tuple(tuple(int(part) for part in cmap.get(name)[level][:3]) for level in range(256))
    root = etree.fromstring(as_svg(draw(ramp(colours=colours), "fr", Size())))
    stops = [(float(s.get("offset")), s.get("stop-color")) for s in root.iter(f"{SVG}stop")]
    offsets = [offset for offset, _ in stops]
    rows = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for _, colour in stops])
    drawn = np.column_stack([np.interp(np.arange(256) / 255, offsets, rows[:, part]) for part in range(3)])
    assert np.abs(drawn - np.array(colours)).max() < 3
    assert len(stops) < 256 or name in {"tab20", "flag"}


def ink(words: str) -> np.ndarray:
    image = Image.new("L", (200, 40), 255)
    paint_text(ImageDraw.Draw(image), (4.0, 28.0), words, 20.0, 0)  # type: ignore[arg-type] # of grey
    return 255 - np.asarray(image).astype(int)


@pytest.mark.parametrize(
    ("accented", "plain", "above"),
    [*((letter, "e", True) for letter in "éèêë"), ("É", "E", True), ("ç", "c", False)],
)
def test_accents_that_the_font_has_not_are_made_of_what_it_has(
    accented: str, plain: str, above: bool
) -> None:
    with_accent, without = ink(accented), ink(plain)
    more = (with_accent - without) > 60
    assert more.sum() >= 4
    rows = np.flatnonzero(more.any(axis=1))
    letter = np.flatnonzero((without > 60).any(axis=1))
    assert rows.min() < letter.min() if above else rows.max() > letter.max()
    assert text_width(accented, 20) == text_width(plain, 20)


def test_accents_differ_from_each_other() -> None:
    seen = [ink(letter).tobytes() for letter in "eéèêë"]
    assert len(set(seen)) == 5


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [("\N{MINUS SIGN}12", "-12"), ("cœur", "coeur"), ("50\N{NARROW NO-BREAK SPACE}m²", "50 m2"), ("漢", "?")],
)
def test_what_stands_for_what_the_font_has_not(asked: str, drawn: str) -> None:
    assert np.array_equal(ink(asked), ink(drawn))
