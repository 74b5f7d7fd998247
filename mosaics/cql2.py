"""Filters of scenes in CQL2: read as text or JSON, checked whole, and evaluated over columns.

What of CQL2 is taken, on the properties of `mosaics.queryables`: and, or, not, the six comparisons, between,
in, like, isNull, casei; t_after, t_before, t_contains, t_disjoint, t_during, t_equals, t_intersects on
`datetime`; s_contains, s_disjoint, s_intersects, s_within on `geometry`. A date is its whole day.

Source: OGC 21-065r2.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cql2
import numpy as np
import shapely
from numpy.typing import NDArray

from mosaics.cql2_terms import Span, like_pattern, parse_area
from mosaics.cql2_truth import (
    Constant,
    Every,
    Flags,
    Not,
    NullTest,
    NumberTest,
    Part,
    ShapeTest,
    Some,
    WordTest,
)
from mosaics.errors import FilterInvalidError
from mosaics.queryables import DATETIME, GEOMETRY, QUERYABLE_NUMBERS, QUERYABLE_WORDS, Columns

Expression = dict[str, Any] | bool
"""A filter as CQL2 JSON."""

_DEEPEST: Final = 64
"""Levels of an expression."""
_MOST_CONNECTIVES: Final = 2000
"""Of a text: many more make the parser of the library end the process."""
_LONGEST_TEXT: Final = 10_000_000
"""Characters."""
_CONNECTIVES: Final = re.compile(r"\b(?:and|or|not)\b|[-+*/^%]\s*(?=[-+(])", re.IGNORECASE)

_COMPARISONS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""Comparisons as they are with their sides changed."""
_TIMES: Final[dict[str, Callable[[NDArray[np.float64], Span], Flags]]] = {
    "=": lambda t, span: (span.start <= t) & (t <= span.end),
    "<>": lambda t, span: (t < span.start) | (span.end < t),
    "<": lambda t, span: t < span.start,
    "<=": lambda t, span: t <= span.end,
    ">": lambda t, span: t > span.end,
    ">=": lambda t, span: t >= span.start,
    "t_after": lambda t, span: t > span.end,
    "t_before": lambda t, span: t < span.start,
    "t_disjoint": lambda t, span: (t < span.start) | (span.end < t),
    "t_during": lambda t, span: (span.after < t) & (t < span.before),
    "t_equals": lambda t, span: (span.start <= t) & (t <= span.end),
    "t_intersects": lambda t, span: (span.start <= t) & (t <= span.end),
}
_TURNED_TIMES: Final = {
    "t_after": "t_before",
    "t_before": "t_after",
    "t_contains": "t_during",
    **{name: name for name in ("t_disjoint", "t_equals", "t_intersects")},
}
"""Comparisons of a time with `datetime`, as those of `datetime` with the time."""
_SHAPES: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "s_contains": shapely.within,
    "s_disjoint": shapely.intersects,
    "s_intersects": shapely.intersects,
    "s_within": shapely.contains,
}
"""How the area lies to the footprint, for how the footprint lies to the area; disjoint is denied after."""
_TURNED_SHAPES: Final = {"s_contains": "s_within", "s_within": "s_contains"}
_OPERATORS: Final = (
    *("and", "or", "not", *_COMPARISONS, "between", "in", "like", "isNull", "casei"),
    *(name for name in sorted({*_TIMES, *_TURNED_TIMES}) if name.startswith("t_")),
    *_SHAPES,
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was understood."""

    part: Part

    def selected(self, columns: Columns) -> Flags:
        """Tell which scenes it selects, shape (n,): those of which it is known that they fit."""
        return self.part.truth(columns).yes


def parse_filter(document: Any) -> Filter:
    """Understand CQL2 JSON.

    Raises:
        FilterInvalidError: If it is none, or asks for what isn't known here; the message says what is.
    """
    return Filter(_part(document, 0))


def selected(where: Expression | None, columns: Columns) -> Flags:
    """Tell which scenes a filter selects, shape (n,); None: all.

    Raises:
        FilterInvalidError: If it can't be understood.
    """
    return np.ones(len(columns), bool) if where is None else parse_filter(where).selected(columns)


def expression_from_text(text: str) -> Expression:
    """Read CQL2 text as CQL2 JSON.

    Raises:
        FilterInvalidError: If it is none, or asks for what isn't known here; the message says what is.
    """
    if _nesting(text) > _DEEPEST or len(_CONNECTIVES.findall(text)) > _MOST_CONNECTIVES:
        raise FilterInvalidError("the filter is too deep or too long: use IN for many values")
    if len(text) > _LONGEST_TEXT:
        raise FilterInvalidError(f"the filter has more than {_LONGEST_TEXT} characters")
    try:
        found: Any = cql2.parse_text(text).to_json()
    except cql2.ParseError as error:
        raise FilterInvalidError(f"the filter is no CQL2:\n{str(error).strip()}") from None
    parse_filter(found)
    return _whole_numbers(found)  # type: ignore[no-any-return] # it was understood


def every(*expressions: Expression | None) -> Expression | None:
    """Give the filter of what all filters select; None stands for every scene."""
    parts: list[Any] = []
    for each in expressions:
        if each is None or each is True:
            continue
        parts += each["args"] if isinstance(each, dict) and each.get("op") == "and" else [each]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"op": "and", "args": parts}


def compare(op: str, name: str, *values: Any) -> Expression:
    """Write a comparison of a property."""
    return {"op": op, "args": [{"property": name}, *values]}


def one_of(name: str, words: list[str]) -> Expression:
    """Write that a property is one of some words."""
    return compare("=", name, words[0]) if len(words) == 1 else compare("in", name, words)


def _part(document: Any, depth: int) -> Part:
    """Understand an expression that is true or false."""
    if depth > _DEEPEST:
        raise FilterInvalidError(f"the filter has more than {_DEEPEST} levels")
    if isinstance(document, bool):
        return Constant(document)
    op, args = _call(document)
    if op in {"and", "or"}:
        parts = tuple(_part(each, depth + 1) for each in args)
        if not parts:
            raise FilterInvalidError(f"{op} has no arguments")
        return Every(parts) if op == "and" else Some(parts)
    if op == "not":
        return Not(_part(_counted(op, args, 1)[0], depth + 1))
    if op == "isNull":
        return NullTest(_property(_counted(op, args, 1)[0])[0])
    if op in _SHAPES:
        return _shape_part(op, *_counted(op, args, 2))
    return _value_part(op, args)


def _value_part(op: str, args: list[Any]) -> Part:
    """Understand what is said of one property beside values."""
    wanted = 3 if op == "between" else 2
    first, *others = _counted(op, args, wanted)
    if _names_property(others[0]):
        if _names_property(first):
            raise FilterInvalidError(f"{op}: two properties can't be compared: name one, and a value")
        turned = _TURNED_TIMES.get(op) if op.startswith("t_") else _TURNED.get(op, op)
        if turned is None or op not in {*_COMPARISONS, *_TURNED_TIMES}:
            raise FilterInvalidError(f"{op}: the property comes first")
        op, first, others = turned, others[0], [first]
    name, folded = _property(first)
    if name == GEOMETRY:
        raise FilterInvalidError(f"{op}: geometry is asked with {', '.join(_SHAPES)}")
    if op not in {*_COMPARISONS, *_TIMES, "between", "in", "like"}:
        raise FilterInvalidError(f"{op}: the time comes first, and datetime after it")
    if name == DATETIME:
        return NumberTest(name, _times(op, others))
    if op.startswith("t_"):
        raise FilterInvalidError(f"{op}: {name} is no time; datetime is")
    if name in QUERYABLE_NUMBERS:
        return NumberTest(name, _numbers(op, name, others))
    return WordTest(name, _words(op, name, others, folded=folded))


def _times(op: str, values: list[Any]) -> Callable[[NDArray[np.float64]], Flags]:
    if op == "between":
        low, high = (Span.parse(value) for value in values)
        return lambda t: (low.start <= t) & (t <= high.end)
    if op == "in":
        spans = [Span.parse(value) for value in _listed(values[0])]
        return lambda t: np.any([_TIMES["="](t, span) for span in spans], axis=0)
    if op not in _TIMES:
        raise FilterInvalidError(f"{op}: datetime is a time, no word")
    span, holds = Span.parse(values[0]), _TIMES[op]
    return lambda t: holds(t, span)


def _numbers(op: str, name: str, values: list[Any]) -> Callable[[NDArray[np.float64]], Flags]:
    if op == "between":
        low, high = (_number(name, value) for value in values)
        return lambda v: (low <= v) & (v <= high)
    if op == "in":
        listed = np.array([_number(name, value) for value in _listed(values[0])])
        return lambda v: np.isin(v, listed)
    if op not in _COMPARISONS:
        raise FilterInvalidError(f"{op}: {name} is a number, no word")
    value, holds = _number(name, values[0]), _COMPARISONS[op]
    return lambda v: holds(v, value)


def _words(op: str, name: str, values: list[Any], *, folded: bool) -> Callable[[str], bool]:
    def seen(word: str) -> str:
        return word.casefold() if folded else word

    if op == "between":
        low, high = (_word(name, value) for value in values)
        return lambda word: low <= seen(word) <= high
    if op == "in":
        listed = frozenset(_word(name, value) for value in _listed(values[0]))
        return lambda word: seen(word) in listed
    value = _word(name, values[0])
    if op == "like":
        pattern = like_pattern(value)
        return lambda word: pattern.fullmatch(seen(word)) is not None
    holds = _COMPARISONS[op]
    return lambda word: bool(holds(seen(word), value))


def _shape_part(op: str, first: Any, second: Any) -> Part:
    if _names_property(second):
        op, first, second = _TURNED_SHAPES.get(op, op), second, first
    if _property(first)[0] != GEOMETRY:
        raise FilterInvalidError(f"{op}: the property is geometry")
    found = ShapeTest(parse_area(second), _SHAPES[op])
    return Not(found) if op == "s_disjoint" else found


def _call(document: Any) -> tuple[str, list[Any]]:
    """Give operator and arguments."""
    if not isinstance(document, dict) or document.keys() != {"op", "args"}:
        raise FilterInvalidError("a filter is true, false, or an object with op and args")
    op, args = document["op"], document["args"]
    if op not in _OPERATORS or op == "casei":
        raise FilterInvalidError(f"unknown operator; known are: {', '.join(_OPERATORS)}", op)
    if not isinstance(args, list):
        raise FilterInvalidError(f"{op}: args is a list")
    return op, args


def _counted(op: str, args: list[Any], count: int) -> list[Any]:
    if len(args) != count:
        raise FilterInvalidError(f"{op} takes {count} arguments, not {len(args)}")
    return args


def _names_property(value: Any) -> bool:
    inner = _folded(value)
    asked = value if inner is None else inner
    return isinstance(asked, dict) and "property" in asked


def _folded(value: Any) -> Any:
    """Give what `casei` is of; None: it is none."""
    if isinstance(value, dict) and value.get("op") == "casei":
        args = value.get("args")
        return args[0] if isinstance(args, list) and len(args) == 1 else None
    return None


def _property(value: Any) -> tuple[str, bool]:
    """Give the name of a property, and whether it is taken whatever its case."""
    inner = _folded(value)
    asked = value if inner is None else inner
    if not isinstance(asked, dict) or asked.keys() != {"property"}:
        raise FilterInvalidError("one side of each comparison is a property, the other a value")
    name = asked["property"]
    known = (*QUERYABLE_NUMBERS, *QUERYABLE_WORDS, GEOMETRY)
    if name not in known:
        raise FilterInvalidError(f"unknown property; known are: {', '.join(known)}", name)
    if inner is not None and name not in QUERYABLE_WORDS:
        raise FilterInvalidError(f"casei: {name} is no word")
    return name, inner is not None


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise FilterInvalidError("in takes a list of values")
    return value


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FilterInvalidError(f"{name} is compared with a number{_null_hint(value)}", value)
    return float(value)


def _word(name: str, value: Any) -> str:
    inner = _folded(value)
    asked = value if inner is None else inner
    if not isinstance(asked, str):
        raise FilterInvalidError(f"{name} is compared with a word{_null_hint(value)}", value)
    return asked if inner is None else asked.casefold()


def _null_hint(value: Any) -> str:
    return "; for null use isNull" if value is None else ""


def _nesting(text: str) -> int:
    """Count how deep the brackets of a text go."""
    depth = deepest = 0
    for character in re.findall(r"[()]", text):
        depth += 1 if character == "(" else -1
        deepest = max(deepest, depth)
    return deepest


def _whole_numbers(value: Any) -> Any:
    """Write whole numbers without a fraction: the library reads every number as a float."""
    if isinstance(value, dict):
        return {name: _whole_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
