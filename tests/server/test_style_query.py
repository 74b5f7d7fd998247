"""What a query may say of a style of one's own: one form in, one form out, and nothing without bounds."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rio_tiler.colormap import cmap

from mosaics.errors import ColormapNotFoundError, IndexNotFoundError
from mosaics.indices import load_indices
from mosaics.own_style import OwnStyle
from server.requests import BadRequestError, TooLargeError
from server.style_query import legend_size, own_style_of, written
from tests.server.hostile import MARK, NAMES, NUMBERS

INDICES = load_indices()


def own(query: str) -> OwnStyle | None:
    return own_style_of(tuple(parse_qsl(query, keep_blank_values=True)), INDICES)


@pytest.mark.parametrize(
    "query", ["", "style=ndvi", "bands=", "rescale=&gamma=", "Bands=red", "expression=b1", "bidx=1"]
)
def test_what_is_no_own_style(query: str) -> None:
    assert own(query) is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("bands=red", OwnStyle(bands=("red",))),
        ("bands=nir,3,B2", OwnStyle(bands=("nir", "3", "B2"))),
        ("rescale=0,3000", OwnStyle(rescale=((0, 3000),))),
        ("rescale=0,1&rescale=-2,2.5&rescale=0,1", OwnStyle(rescale=((0, 1), (-2, 2.5), (0, 1)))),
        ("colormap=viridis", OwnStyle(colormap_name="viridis")),
        ("gamma=1.3", OwnStyle(gamma=1.3)),
        ("gamma=1.30049", OwnStyle(gamma=1.3)),
        ("index=ndvi&index=ndvi&bands=", OwnStyle(index="ndvi")),
        ("rescale=-0,1", OwnStyle(rescale=((0, 1),))),
    ],
)
def test_what_is_said(query: str, expected: OwnStyle) -> None:
    assert own(query) == expected
    assert "-0.0" not in repr(own(query)), "that would be another style of the same look"


@pytest.mark.parametrize(
    "query",
    [
        "bands=red,green",
        "bands=1,2,3,4",
        "bands=red,,blue",
        "bands=,",
        "bands=red&bands=green",
        f"bands={'a' * 201}",
        "rescale=0",
        "rescale=0,1,2",
        "rescale=1,0",
        "rescale=1,1",
        "rescale=0,1e3",
        "rescale=0,inf",
        "rescale=nan,1",
        "rescale=0, 1",
        "rescale=+0,1",
        "rescale=0,0.0000001",
        "rescale=0,1000000001",
        "rescale=-1000000001,0",
        "rescale=0,1&rescale=0,1",
        "rescale=0,1&rescale=0,1&rescale=0,1&rescale=0,1",
        "rescale=0,\N{ARABIC-INDIC DIGIT ONE}",
        "gamma=0",
        "gamma=0.09",
        "gamma=10.1",
        "gamma=-1",
        "gamma=1&gamma=2",
        "gamma=1e0",
        "bands=red&index=ndvi",
    ],
)
def test_what_is_refused(query: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        own(query)
    for _, value in parse_qsl(query):
        assert value not in str(caught.value) or len(value) < 2


@pytest.mark.parametrize("name", [MARK, "NDVI", "ndvi ", "own", "_make", "../ndvi"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(IndexNotFoundError):
        own(f"index={name}")
    with pytest.raises(ColormapNotFoundError):
        own(f"colormap={name}")


@pytest.mark.parametrize("value", [*NUMBERS, *NAMES])
@pytest.mark.parametrize("name", ["bands", "index", "rescale", "colormap", "gamma"])
def test_anything_is_a_style_or_refused_in_words(name: str, value: str) -> None:
    try:
        found = own_style_of([(name, value)], INDICES)
    except (BadRequestError, IndexNotFoundError, ColormapNotFoundError):
        return
    assert found is None or (name, value) == ("rescale", "1,5") or name in {"bands", "gamma"}


ends = st.integers(-(10**12), 10**12).map(lambda n: n / 1000).filter(lambda v: abs(v) <= 1e9)
ranges = st.tuples(ends, ends).filter(lambda pair: pair[1] - pair[0] >= 1e-3)
band_names = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters=","), min_size=1, max_size=20
)
owns = st.builds(
    OwnStyle,
    bands=st.one_of(st.just(()), st.tuples(band_names), st.tuples(*[band_names] * 3)),
    rescale=st.one_of(st.just(()), st.tuples(ranges), st.tuples(*[ranges] * 3)),
    colormap_name=st.one_of(st.none(), st.sampled_from(cmap.list())),
    gamma=st.one_of(st.none(), st.integers(100, 10_000).map(lambda n: n / 1000)),
)


@given(owns)
def test_what_is_written_is_read_as_the_same(wanted: OwnStyle) -> None:
    query = written(wanted)
    assert (own(query) or OwnStyle()) == wanted
    assert written(own(query)) == query
    assert query.isascii()


def test_what_is_written_needs_no_more_escapes_than_it_must() -> None:
    assert written(own("gamma=1.3&rescale=0,3000&bands=nir,red,green")) == (
        "bands=nir,red,green&rescale=0,3000&gamma=1.3"
    )
    assert written(None) == ""


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ((), (240, None)),
        ((("width", "80"),), (80, None)),
        ((("width", "1000"), ("height", "40")), (1000, 40)),
    ],
)
def test_sizes_of_legends(query: tuple[tuple[str, str], ...], expected: tuple[int, int | None]) -> None:
    size = legend_size(query)
    assert (size.width, size.height) == expected


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("width", "79", BadRequestError),
        ("width", "1001", TooLargeError),
        ("height", "39", BadRequestError),
        ("height", "2001", TooLargeError),
        ("height", "9999999999", TooLargeError),
        ("width", "1e2", BadRequestError),
    ],
)
def test_sizes_that_are_never_given(name: str, value: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        legend_size([(name, value)])
