import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wmts.exceptions import OwsError
from server.wmts.kvp import GetCapabilities, GetFeatureInfo, GetTile, parse_kvp

TILE = {
    "service": "WMTS",
    "request": "GetTile",
    "version": "1.0.0",
    "layer": "pleiades",
    "style": "natural",
    "format": "image/png",
    "TileMatrixSet": "WebMercatorQuad",
    "TileMatrix": "12",
    "TileRow": "1456",
    "TileCol": "2075",
}
INFO = TILE | {"request": "GetFeatureInfo", "infoFormat": "application/json", "I": "3", "J": "255"}
CAPABILITIES = {"service": "WMTS", "request": "GetCapabilities"}


def pairs(parameters, **changes):
    """Query pairs of the parameters, changed; None leaves a parameter out."""
    merged = parameters | changes
    return [(name, value) for name, value in merged.items() if value is not None]


def refusal(query):
    with pytest.raises(OwsError) as caught:
        parse_kvp(query)
    return caught.value.code, caught.value.locator, caught.value.status


def test_bare_address_asks_for_all_capabilities():
    assert parse_kvp([]) == GetCapabilities()


def test_qgis_asks_for_wms_capabilities_whatever_the_address_is():
    query = [("SERVICE", "WMS"), ("REQUEST", "GetCapabilities")]
    assert parse_kvp(query) == GetCapabilities()
    assert parse_kvp([("layers", "a"), *query]) == GetCapabilities(layers=frozenset({"a"}))
    assert refusal([("SERVICE", "WMS"), ("REQUEST", "GetMap")]) == ("InvalidParameterValue", "service", 400)


def test_filters_alone_narrow_the_capabilities():
    request = parse_kvp([("layers", "a,b:S_1"), ("TMS", "2154_50cm,PM"), ("lang", "en")])
    assert request == GetCapabilities(
        layers=frozenset({"a", "b:S_1"}), grids=frozenset({"2154_50cm", "PM"}), language="en"
    )


def test_filters_go_with_the_standard_form_too():
    request = parse_kvp([*pairs(CAPABILITIES), ("layers", "a"), ("language", "eng")])
    assert request == GetCapabilities(layers=frozenset({"a"}), language="en")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ([("layers", "")], ("MissingParameterValue", "layers", 400)),
        ([("tms", ",")], ("MissingParameterValue", "tms", 400)),
        ([("lang", "de")], ("InvalidParameterValue", "lang", 400)),
        ([("lang", "fr"), ("language", "en")], ("InvalidParameterValue", "lang", 400)),
        ([("layers", "a"), ("Layers", "b")], ("InvalidParameterValue", "layers", 400)),
    ],
)
def test_filters_are_checked(query, expected):
    assert refusal(query) == expected


@pytest.mark.parametrize(
    "name",
    [
        "version",
        "AcceptVersions",
        "acceptformats",
        "SECTIONS",
        "updateSequence",
        "layer",
        "style",
        "format",
        "tilematrixset",
        "tilematrix",
        "tilerow",
        "tilecol",
        "infoformat",
        "i",
        "j",
        "time",
    ],
)
def test_any_parameter_of_the_standard_makes_it_strict(name):
    assert refusal([(name, "1.0.0")]) == ("MissingParameterValue", "service", 400)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # ets-wmts10: KVP.GET.InvalidQueryString sends service=WMTS&request~GetCapabilities!version~1.0.0
        (
            [("service", "WMTS"), ("request~GetCapabilities!version~1.0.0", "")],
            ("MissingParameterValue", "request", 400),
        ),
        ([("request", "GetCapabilities")], ("MissingParameterValue", "service", 400)),
        (pairs(CAPABILITIES, service="BOGUS"), ("InvalidParameterValue", "service", 400)),
        (pairs(CAPABILITIES, service=""), ("MissingParameterValue", "service", 400)),
        (pairs(CAPABILITIES, request="GetBOGUS"), ("InvalidParameterValue", "request", 400)),
        (pairs(CAPABILITIES, acceptversions="9999.9.9"), ("VersionNegotiationFailed", None, 400)),
        (pairs(CAPABILITIES, sections=""), ("MissingParameterValue", "sections", 400)),
        (pairs(CAPABILITIES, sections="Bogus"), ("InvalidParameterValue", "sections", 400)),
        (pairs(CAPABILITIES, sections="Contents,Bogus"), ("InvalidParameterValue", "sections", 400)),
    ],
)
def test_capabilities_errors_of_the_conformance_suite(query, expected):
    assert refusal(query) == expected


@pytest.mark.parametrize("versions", ["1.0.0", "2.0.0,1.0.0", " 1.0.0 ,0.9.0", ""])
def test_versions_that_hold_ours_are_accepted(versions):
    assert parse_kvp(pairs(CAPABILITIES, AcceptVersions=versions)) == GetCapabilities()


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ("all", None),
        ("All", None),
        ("Contents,All", None),
        ("Contents,Themes", frozenset({"Contents", "Themes"})),
        ("ServiceIdentification", frozenset({"ServiceIdentification"})),
    ],
)
def test_sections(sections, expected):
    assert parse_kvp(pairs(CAPABILITIES, Sections=sections)) == GetCapabilities(sections=expected)


def test_formats_that_are_not_offered_and_a_version_change_nothing():
    query = pairs(CAPABILITIES, AcceptFormats="bogus/xml", version="1.3.0")
    assert parse_kvp(query) == GetCapabilities()


@pytest.mark.parametrize(("held", "expected"), [("7", "7"), ("", None)])
def test_update_sequence(held, expected):
    assert parse_kvp(pairs(CAPABILITIES, updateSequence=held)) == GetCapabilities(update_sequence=expected)


def test_tile():
    assert parse_kvp(pairs(TILE)) == GetTile(
        layer="pleiades",
        style="natural",
        format="image/png",
        tile_matrix_set="WebMercatorQuad",
        tile_matrix="12",
        row=1456,
        col=2075,
        time=None,
    )


@given(st.data())
def test_parameter_names_have_any_case_and_order(data):
    query = data.draw(st.permutations(pairs(INFO)))
    cased = [
        ("".join(data.draw(st.sampled_from([c.lower(), c.upper()])) for c in name), value)
        for name, value in query
    ]
    assert parse_kvp(cased) == parse_kvp(pairs(INFO))


@pytest.mark.parametrize("style", ["", "default"])
def test_empty_and_default_style_are_the_default_style(style):
    request = parse_kvp(pairs(TILE, style=style))
    assert isinstance(request, GetTile)
    assert request.style is None


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2024-06-02", "2024-06-02"),
        ("2024-01-01/2024-06-30", "2024-01-01/2024-06-30"),
        ("latest", "latest"),
        ("current", "latest"),
        ("default", None),
        ("", None),
    ],
)
def test_time(time, expected):
    request = parse_kvp(pairs(TILE, Time=time))
    assert isinstance(request, GetTile)
    assert request.time == expected


@pytest.mark.parametrize(
    "name",
    ["service", "request", "version", "layer", "format", "TileMatrixSet", "TileMatrix", "TileRow", "TileCol"],
)
@pytest.mark.parametrize("value", [None, ""])
def test_tile_parameter_missing_or_empty(name, value):
    assert refusal(pairs(TILE, **{name: value})) == ("MissingParameterValue", name, 400)


def test_style_missing():
    assert refusal(pairs(TILE, style=None)) == ("MissingParameterValue", "style", 400)


@pytest.mark.parametrize("name", ["infoFormat", "I", "J", "TileRow", "layer", "version"])
@pytest.mark.parametrize("value", [None, ""])
def test_info_parameter_missing_or_empty(name, value):
    assert refusal(pairs(INFO, **{name: value})) == ("MissingParameterValue", name, 400)


@pytest.mark.parametrize("name", ["TileRow", "TileCol", "I", "J"])
@pytest.mark.parametrize(
    "value",
    ["-1", "+1", "01", "00", "1.0", " 1", "1 ", "1e3", "0x1", "٣", "x", "12345678901", "1\n"],
)
def test_indexes_have_one_form(name, value):
    assert refusal(pairs(INFO, **{name: value})) == ("InvalidParameterValue", name, 400)


def test_largest_index_is_parsed_and_left_to_the_grid():
    request = parse_kvp(pairs(TILE, TileRow="9999999999", TileCol="0"))
    assert isinstance(request, GetTile)
    assert (request.row, request.col) == (9_999_999_999, 0)


def test_wrong_version():
    assert refusal(pairs(TILE, version="1.1.0")) == ("InvalidParameterValue", "version", 400)


def test_feature_info():
    request = parse_kvp([*pairs(INFO), ("lang", "en")])
    assert request == GetFeatureInfo(
        tile=parse_kvp(pairs(TILE)), info_format="application/json", i=3, j=255, language="en"
    )


def test_same_value_twice_is_one_value():
    assert parse_kvp([*pairs(TILE), ("LAYER", "pleiades")]) == parse_kvp(pairs(TILE))


@pytest.mark.parametrize(("name", "locator"), [("LAYER", "layer"), ("tilerow", "TileRow"), ("Time", "Time")])
def test_two_values_contradict(name, locator):
    query = [*pairs(TILE, Time="latest"), (name, "other")]
    assert refusal(query) == ("InvalidParameterValue", locator, 400)


def test_unknown_parameters_are_ignored_even_twice():
    assert parse_kvp([*pairs(TILE), ("dpiMode", "7"), ("dpiMode", "8")]) == parse_kvp(pairs(TILE))


@given(st.lists(st.tuples(st.sampled_from([*INFO, "layers", "tms", "lang", "time"]) | st.text(), st.text())))
def test_any_query_is_a_request_or_an_ows_error(query):
    with contextlib.suppress(OwsError):
        assert isinstance(parse_kvp(query), GetCapabilities | GetTile | GetFeatureInfo)
