"""Filters: as the library that reads them and SQL understand them, on the properties that are known."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import cql2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from item_columns import ItemColumns

from mosaics.cql2 import every, expression_from_text, parse_filter, selected
from mosaics.errors import FilterInvalidError
from mosaics.queryables import QUERYABLE_NUMBERS, QUERYABLE_WORDS


def item(id_: str, west: float = 0, **properties: Any) -> dict[str, Any]:
    ring = [[west, 0], [west + 2, 0], [west + 2, 2], [west, 2], [west, 0]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": id_,
        "collection": "c",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"datetime": "2024-05-17T10:30:00Z", "gsd": 0.5, "platform": "PHR1A", **properties},
    }


ITEMS = [
    item("a", **{"eo:cloud_cover": 3.0, "view:incidence_angle": 12.5}),
    item("b", west=1.5, gsd=0.3, platform="WV3", datetime="2024-05-18T00:00:00Z"),
    item("c", west=10, platform=None, datetime="2023-12-31T23:59:59Z", **{"eo:cloud_cover": 80}),
    item("d", west=100, gsd=1.5, datetime=None, **{"flux:sensor": "pleiades", "flux:kind": "optical"}),
    item("e", west=-10, platform="PHR1B", datetime="2024-05-17T00:00:00Z", **{"eo:cloud_cover": 0}),
]
COLUMNS = ItemColumns(ITEMS)


def found(text: str) -> str:
    return "".join(ITEMS[row]["id"] for row in np.flatnonzero(selected(expression_from_text(text), COLUMNS)))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("true", "abcde"),
        ("false", ""),
        ("gsd < 0.5", "b"),
        ("0.5 > gsd", "b"),
        ("gsd = 0.5 AND id <> 'a'", "ce"),
        ("gsd IN (0.3, 1.5)", "bd"),
        ("gsd BETWEEN 0.3 AND 0.5", "abce"),
        ('"eo:cloud_cover" < 10', "ae"),
        ('NOT "eo:cloud_cover" < 10', "c"),
        ('"eo:cloud_cover" IS NULL', "bd"),
        ('"eo:cloud_cover" IS NOT NULL', "ace"),
        ('"eo:cloud_cover" > 50 OR gsd = 0.3', "bc"),
        ("platform LIKE 'PHR1_'", "ade"),
        ("platform LIKE '%V%'", "b"),
        ("CASEI(platform) LIKE CASEI('phr%')", "ade"),
        ("CASEI(platform) IN (CASEI('wv3'), 'phr1b')", "be"),
        ("NOT platform = 'WV3'", "ade"),
        ("platform IS NULL OR platform > 'V'", "bc"),
        ("flux:sensor = 'pleiades'", "d"),
        ("collection = 'c' AND id IN ('a', 'nothing')", "a"),
        ("datetime = DATE('2024-05-17')", "ae"),
        ("datetime > DATE('2024-05-17')", "b"),
        ("datetime >= DATE('2024-05-17')", "abe"),
        ("datetime <= DATE('2024-05-17')", "ace"),
        ("DATE('2024-05-17') > datetime", "c"),
        ("NOT datetime = DATE('2024-05-17')", "bc"),
        ("datetime >= TIMESTAMP('2024-05-17T10:30:00Z')", "ab"),
        ("datetime >= '2024-05-17T12:30:00+02:00'", "ab"),
        ("datetime IN (DATE('2024-05-18'), DATE('2023-12-31'))", "bc"),
        ("datetime BETWEEN DATE('2023-12-31') AND DATE('2024-05-17')", "ace"),
        ("T_AFTER(datetime, DATE('2024-05-17'))", "b"),
        ("T_BEFORE(datetime, TIMESTAMP('2024-01-01T00:00:00Z'))", "c"),
        ("T_BEFORE(DATE('2024-05-17'), datetime)", "b"),
        ("T_DURING(datetime, INTERVAL('2024-05-17', '2024-05-17'))", "ae"),
        ("T_DURING(datetime, INTERVAL('2024-05-17T00:00:00Z', '2024-05-18T00:00:00Z'))", "a"),
        ("T_CONTAINS(INTERVAL('2024-05-17', '..'), datetime)", "abe"),
        ("T_INTERSECTS(datetime, INTERVAL('2024-05-17T00:00:00Z', '2024-05-18T00:00:00Z'))", "abe"),
        ("T_INTERSECTS(datetime, INTERVAL('..', '2023-12-31'))", "c"),
        ("T_DISJOINT(datetime, INTERVAL('2024-01-01', '..'))", "c"),
        ("T_EQUALS(datetime, TIMESTAMP('2024-05-18T00:00:00Z'))", "b"),
        ("S_INTERSECTS(geometry, BBOX(0, 0, 1, 1))", "a"),
        ("S_INTERSECTS(geometry, BBOX(1, 1, 11, 1.5))", "abc"),
        ("S_INTERSECTS(BBOX(90, -5, -9, 5), geometry)", "de"),
        ("S_DISJOINT(geometry, BBOX(1, 1, 11, 1.5))", "de"),
        ("S_WITHIN(geometry, BBOX(-1, -1, 3, 3))", "a"),
        ("S_WITHIN(BBOX(0.5, 0.5, 1, 1), geometry)", "a"),
        ("S_CONTAINS(geometry, POINT(1.6 1))", "ab"),
        ("S_INTERSECTS(geometry, POLYGON((0 0, 3 0, 0 3, 0 0)))", "ab"),
        ("S_INTERSECTS(geometry, POLYGON((3.4 3, 3.6 3, 3.6 1.9, 3.4 3)))", ""),
    ],
)
def test_a_filter_selects(text: str, ids: str) -> None:
    assert found(text) == ids


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"op": "=", "args": [{"property": "clouds"}, 3]}, "'clouds': unknown property; known are: gsd, "),
        ({"op": "t_meets", "args": [{"property": "datetime"}, "2024-01-01"]}, "'t_meets': unknown operator"),
        ({"op": "+", "args": [1, 2]}, "unknown operator"),
        ({"op": ["="], "args": []}, "unknown operator"),
        ({"op": "casei", "args": [{"property": "id"}]}, "unknown operator"),
        ({"op": "=", "args": [{"property": "gsd"}, "a"]}, "'a': gsd is compared with a number"),
        ({"op": "=", "args": [{"property": "gsd"}, True]}, "a number"),
        ({"op": "=", "args": [{"property": "gsd"}, None]}, "use isNull"),
        ({"op": "=", "args": [{"property": "gsd"}, float("nan")]}, "a number"),
        ({"op": "=", "args": [{"property": "id"}, 3]}, "id is compared with a word"),
        ({"op": "like", "args": [{"property": "gsd"}, "a"]}, "gsd is a number"),
        ({"op": "like", "args": [{"property": "datetime"}, "a"]}, "datetime is a time"),
        ({"op": "=", "args": [{"property": "datetime"}, {"date": "2024-13-01"}]}, "it is no date or time"),
        ({"op": "=", "args": [{"property": "datetime"}, 3]}, "it is no date or time"),
        ({"op": "t_after", "args": [{"property": "gsd"}, "2024-01-01"]}, "gsd is no time"),
        ({"op": "t_during", "args": ["2024-01-01", {"property": "datetime"}]}, "the property comes first"),
        ({"op": "t_contains", "args": [{"property": "datetime"}, "2024-01-01"]}, "the time comes first"),
        (
            {
                "op": "t_during",
                "args": [{"property": "datetime"}, {"interval": ["2024-02-01", "2024-01-01"]}],
            },
            "ends before",
        ),
        ({"op": "=", "args": [{"property": "gsd"}, {"property": "gsd"}]}, "two properties"),
        ({"op": "=", "args": [1, 1]}, "one side of each comparison is a property"),
        ({"op": "=", "args": [{"property": "gsd"}]}, "= takes 2 arguments, not 1"),
        ({"op": "=", "args": "gsd"}, "args is a list"),
        ({"op": "and", "args": []}, "no arguments"),
        ({"op": "in", "args": [{"property": "id"}, []]}, "a list of values"),
        ({"op": "=", "args": [{"property": "geometry"}, "a"]}, "geometry is asked with s_contains"),
        (
            {"op": "s_within", "args": [{"property": "id"}, {"bbox": [0, 0, 1, 1]}]},
            "the property is geometry",
        ),
        ({"op": "s_within", "args": [{"property": "geometry"}, {"bbox": [0, 0, 1]}]}, "four numbers"),
        ({"op": "s_within", "args": [{"property": "geometry"}, {"bbox": [0, 1, 1, 0]}]}, "south below"),
        ({"op": "s_within", "args": [{"property": "geometry"}, {"type": "Polygon"}]}, "GeoJSON geometry"),
        ({"op": "s_within", "args": [{"property": "geometry"}, "POINT(1 2)"]}, "GeoJSON geometry"),
        (
            {
                "op": "s_within",
                "args": [{"property": "geometry"}, {"type": "Point", "coordinates": [200, 0]}],
            },
            "not in degrees",
        ),
        ("gsd < 3", "true, false, or an object"),
        ([], "true, false, or an object"),
        ({"op": "isNull", "args": [{"property": "id"}], "more": 1}, "true, false, or an object"),
        (None, "true, false, or an object"),
    ],
)
def test_what_is_not_understood_is_refused_by_its_reason(document: Any, said: str) -> None:
    with pytest.raises(FilterInvalidError) as error:
        parse_filter(document)
    assert said in str(error.value)


def test_an_unknown_property_is_told_with_all_that_are_known() -> None:
    with pytest.raises(FilterInvalidError) as error:
        expression_from_text("cloudiness < 3")
    assert all(name in str(error.value) for name in (*QUERYABLE_NUMBERS, *QUERYABLE_WORDS, "geometry"))


def test_text_that_is_no_cql2_is_told_where() -> None:
    with pytest.raises(FilterInvalidError, match="1:7"):
        expression_from_text("gsd < ")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 3000 + "gsd < 1" + ")" * 3000,
        " AND ".join(["gsd < 1"] * 40_000),
        "NOT " * 40_000 + "gsd < 1",
        "gsd < " + "- " * 40_000 + "1",
        "gsd < " + "-" * 40_000 + "1",
    ],
)
def test_text_that_would_end_the_process_is_refused(text: str) -> None:
    with pytest.raises(FilterInvalidError):
        expression_from_text(text)


def test_json_that_is_too_deep_is_refused() -> None:
    deep: Any = {"op": "isNull", "args": [{"property": "id"}]}
    for _ in range(100):
        deep = {"op": "not", "args": [deep]}
    with pytest.raises(FilterInvalidError, match="levels"):
        parse_filter(deep)


def test_a_pattern_of_many_wildcards_takes_no_time() -> None:
    columns = ItemColumns([item("a" * 120)])
    assert not selected({"op": "like", "args": [{"property": "id"}, "%a" * 60 + "b"]}, columns).any()
    assert selected({"op": "like", "args": [{"property": "id"}, "%a" * 60 + "%"]}, columns).all()


def test_filters_are_joined_flat() -> None:
    a, b = expression_from_text("gsd < 1 AND id = 'a'"), expression_from_text("gsd > 0")
    joined = every(None, a, expression_from_text("true"), b)
    assert isinstance(joined, dict)
    assert [part["op"] for part in joined["args"]] == ["<", "=", ">"]
    assert every(None, b) == b
    assert every(None, None) is None


def test_whole_numbers_stay_whole() -> None:
    assert expression_from_text("gsd < 3") == {"op": "<", "args": [{"property": "gsd"}, 3]}


# --- against others -----------------------------------------------------------------------------------------

NUMBER = st.sampled_from([0.0, 1.0, 2.0, 3.0])
WORD = st.sampled_from(["", "a", "ab", "b", "ba"])
COMPARISON = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])


def _leaves() -> st.SearchStrategy[dict[str, Any]]:
    number, word = {"property": "gsd"}, {"property": "platform"}
    pattern = st.text("ab%_", max_size=4)
    return st.one_of(
        st.builds(lambda op, n: {"op": op, "args": [number, n]}, COMPARISON, NUMBER),
        st.builds(lambda op, n: {"op": op, "args": [n, number]}, COMPARISON, NUMBER),
        st.builds(lambda op, w: {"op": op, "args": [word, w]}, COMPARISON, WORD),
        st.builds(lambda a, b: {"op": "between", "args": [number, a, b]}, NUMBER, NUMBER),
        st.builds(
            lambda v: {"op": "in", "args": [number, v]}, st.lists(NUMBER, min_size=1, max_size=2, unique=True)
        ),
        st.builds(
            lambda v: {"op": "in", "args": [word, v]}, st.lists(WORD, min_size=1, max_size=2, unique=True)
        ),
        st.builds(lambda p: {"op": "like", "args": [word, p]}, pattern),
        st.builds(lambda p: {"op": "isNull", "args": [p]}, st.sampled_from([number, word])),
    )


EXPRESSION = st.recursive(
    _leaves(),
    lambda inner: st.one_of(
        st.builds(
            lambda op, parts: {"op": op, "args": parts},
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
        st.builds(lambda part: {"op": "not", "args": [part]}, inner),
    ),
    max_leaves=6,
)
ROWS = st.lists(st.tuples(st.none() | NUMBER, st.none() | WORD), min_size=1, max_size=5)


def _sql(node: Any) -> str:
    """Write an expression as SQL."""
    if isinstance(node, str):
        return f"'{node}'"
    if isinstance(node, list):
        return f"({', '.join(_sql(each) for each in node)})"
    if not isinstance(node, dict):
        return str(node)
    if "property" in node:
        return str(node["property"])
    op, args = node["op"], [_sql(each) for each in node["args"]]
    if op in {"and", "or"}:
        return "(" + f" {op} ".join(args) + ")"
    return {
        "not": "(NOT {0})",
        "isNull": "({0} IS NULL)",
        "between": "({0} BETWEEN {1} AND {2})",
    }.get(op, f"({{0}} {op} {{1}})").format(*args, *[""] * 2)


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE scenes (gsd REAL, platform TEXT)")
    connection.execute("PRAGMA case_sensitive_like = ON")
    yield connection
    connection.close()


@given(document=EXPRESSION, rows=ROWS)
@settings(max_examples=300)
def test_it_selects_what_sql_selects_unknown_values_too(
    database: sqlite3.Connection, document: Any, rows: list[tuple[float | None, str | None]]
) -> None:
    database.execute("DELETE FROM scenes")
    database.executemany("INSERT INTO scenes VALUES (?, ?)", rows)
    asked = f"SELECT rowid FROM scenes WHERE {_sql(document)} ORDER BY rowid"
    first = database.execute("SELECT min(rowid) FROM scenes").fetchone()[0]
    wanted = [row - first for (row,) in database.execute(asked)]
    columns = ItemColumns(item(str(n), gsd=gsd, platform=word) for n, (gsd, word) in enumerate(rows))
    assert np.flatnonzero(selected(document, columns)).tolist() == wanted


@given(document=EXPRESSION, gsd=NUMBER, word=WORD)
@settings(max_examples=150)
def test_it_selects_what_the_library_selects(document: Any, gsd: float, word: str) -> None:
    one = item("a", gsd=gsd, platform=word)
    wanted = cql2.parse_text(cql2.parse_text(_text(document)).to_text()).matches(one)
    assert selected(document, ItemColumns([one])).tolist() == [wanted]
    assert selected(expression_from_text(_text(document)), ItemColumns([one])).tolist() == [wanted]


def _text(document: Any) -> str:
    """Write an expression as CQL2 text, which is SQL's for what is generated here."""
    return _sql(document)


@pytest.mark.parametrize(
    "text",
    [
        "S_INTERSECTS(geometry, POLYGON((0 0, 3 0, 0 3, 0 0)))",
        "S_WITHIN(geometry, BBOX(-1, -1, 3, 3))",
        "S_CONTAINS(geometry, POINT(1.6 1))",
        "S_DISJOINT(geometry, BBOX(1, 1, 11, 1.5))",
        "T_AFTER(datetime, TIMESTAMP('2024-05-17T00:00:00Z'))",
        "T_INTERSECTS(datetime, INTERVAL('2024-05-17T00:00:00Z', '2024-05-17T12:00:00Z'))",
        "T_DURING(datetime, INTERVAL('2024-05-17T00:00:00Z', '2024-05-18T00:00:00Z'))",
    ],
)
def test_areas_and_times_are_those_of_the_library(text: str) -> None:
    dated = [each for each in ITEMS if each["properties"]["datetime"]]
    expression = cql2.parse_text(text)
    wanted = [expression.matches({**each, "properties": {**each["properties"]}}) for each in dated]
    assert selected(expression_from_text(text), ItemColumns(dated)).tolist() == wanted
    assert any(wanted)
    assert not all(wanted)
