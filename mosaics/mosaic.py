"""A named mosaic: which scenes, in which order, and how their pixels are chosen; a value and its document."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any, Final, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from mosaics.cql2 import Expression, parse_filter
from mosaics.cql2_terms import parse_instant
from mosaics.errors import FilterInvalidError, MosaicInvalidError
from mosaics.models import Text
from mosaics.queryables import Columns

Rule = Literal["most-recent", "oldest", "least-cloud", "finest", "most-vertical", "nearest"]
"""What comes first. most-vertical: by incidence angle, where that isn't known by off-nadir angle (which is
less, from 700 km up by about a tenth); nearest: to a date."""
PixelSelection = Literal["first", "mean", "max"]
"""Of the valid pixels at a place."""
Stretch = Literal["mosaic", "scene"]
"""Whether one range of values becomes dark to bright in the whole mosaic, or in each scene its own."""

MOSAIC_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_STYLE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NOON: Final = time(12, tzinfo=UTC)
LONGEST_TEXT: Final = 2000
"""Characters of a text."""
T = TypeVar("T", bound=str)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Which scene has the say where several have pixels."""

    rule: Rule = "most-recent"
    """What comes first."""
    date: datetime | None = None
    """UTC; of `nearest`, and of no other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandRange:
    """The values of a band that become dark and bright."""

    low: float
    """Becomes dark, in stored units."""
    high: float
    """Becomes bright, in stored units."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mosaic:
    """A named mosaic as it is defined; what a caller sees of it is a layer."""

    id: str
    """`[a-z0-9][a-z0-9._-]{0,63}`, one namespace with the collections."""
    title: Text
    """What capabilities and the map page show."""
    description: Text
    """One or two sentences; may be empty."""
    attribution: str = ""
    """Copyright line of scenes that have none of their own."""
    where: Expression | None = None
    """Which scenes, CQL2 JSON; None: every one."""
    order: Order = Order()
    """Which scene has the say."""
    pixel_selection: PixelSelection = "first"
    """Of the valid pixels at a place."""
    stretch: Stretch = "mosaic"
    """How far one range of values goes."""
    ranges: Mapping[str, BandRange] = field(default_factory=dict)
    """Ranges that were set, by the band's common name; none: they are found from the scenes."""
    cloud_mask: bool = False
    """Whether what a scene's mask calls cloud is left out."""
    styles: tuple[str, ...] = ()
    """Ids of the styles that it is shown in, the default first; empty: those of its scenes."""


def order_keys(order: Order, columns: Columns) -> NDArray[np.float64]:
    """Give what scenes are ordered by, shape (n,): less comes first, and what isn't known is infinite."""
    if order.rule == "most-recent":
        keys = -columns.numbers("datetime")
    elif order.rule == "oldest":
        keys = columns.numbers("datetime")
    elif order.rule == "least-cloud":
        keys = columns.numbers("eo:cloud_cover")
    elif order.rule == "finest":
        keys = columns.numbers("gsd")
    elif order.rule == "most-vertical":
        incidence = columns.numbers("view:incidence_angle")
        keys = np.where(np.isnan(incidence), columns.numbers("view:off_nadir"), incidence)
    else:
        assert order.date is not None, "an order of nearest has its date"
        keys = np.abs(columns.numbers("datetime") - order.date.timestamp())
    return np.where(np.isnan(keys), np.inf, keys)


def mosaic_document(mosaic: Mosaic) -> dict[str, Any]:
    """Write a mosaic as JSON; `mosaic_from` reads it."""
    order: dict[str, Any] = {"rule": mosaic.order.rule}
    if mosaic.order.date is not None:
        order["date"] = mosaic.order.date.isoformat().replace("+00:00", "Z")
    return {
        "id": mosaic.id,
        "title": {"fr": mosaic.title.fr, "en": mosaic.title.en},
        "description": {"fr": mosaic.description.fr, "en": mosaic.description.en},
        "attribution": mosaic.attribution,
        "where": mosaic.where,
        "order": order,
        "pixel_selection": mosaic.pixel_selection,
        "stretch": mosaic.stretch,
        "ranges": {name: [each.low, each.high] for name, each in sorted(mosaic.ranges.items())},
        "cloud_mask": mosaic.cloud_mask,
        "styles": list(mosaic.styles),
    }


def mosaic_from(document: Any) -> Mosaic:
    """Read a mosaic of its document; what it does not say has its usual value.

    Raises:
        MosaicInvalidError: If it breaks a rule.
    """
    if not isinstance(document, dict):
        raise MosaicInvalidError("a mosaic is a JSON object")
    unknown = sorted(str(name) for name in document.keys() - _FIELDS)
    if unknown:
        raise MosaicInvalidError(f"unknown field; known are: {', '.join(sorted(_FIELDS))}", unknown[0])
    mosaic_id = check_mosaic_id(document.get("id"))
    return Mosaic(
        id=mosaic_id,
        title=_text(document.get("title", {"fr": mosaic_id, "en": mosaic_id}), "title"),
        description=_text(document.get("description", {"fr": "", "en": ""}), "description"),
        attribution=_words(document.get("attribution", ""), "attribution"),
        where=_where(document.get("where")),
        order=_order(document.get("order", {"rule": "most-recent"})),
        pixel_selection=_choice(document, "pixel_selection", "first", get_args(PixelSelection)),
        stretch=_choice(document, "stretch", "mosaic", get_args(Stretch)),
        ranges=_ranges(document.get("ranges", {})),
        cloud_mask=_flag(document.get("cloud_mask", False)),
        styles=_styles(document.get("styles", [])),
    )


def check_mosaic_id(mosaic_id: Any) -> str:
    """Give the id back if it may name a mosaic.

    Raises:
        MosaicInvalidError: If it may not.
    """
    if not isinstance(mosaic_id, str) or MOSAIC_ID.fullmatch(mosaic_id) is None:
        raise MosaicInvalidError(
            "it can't name a mosaic: use up to 64 lower-case letters, digits, dots, hyphens and underscores, "
            "a letter or digit first",
            mosaic_id,
        )
    return mosaic_id


def parse_order(rule: Any, date: Any) -> Order:
    """Read an order; of a date without a time its noon counts.

    Raises:
        MosaicInvalidError: If it is none.
    """
    if rule not in get_args(Rule):
        raise MosaicInvalidError(f"order: it is none of {', '.join(get_args(Rule))}", rule)
    if rule != "nearest" and date is not None:
        raise MosaicInvalidError("order: a date belongs to nearest", rule)
    if rule != "nearest":
        return Order(rule=rule)
    try:
        if _DATE.fullmatch(date):
            return Order(rule=rule, date=datetime.combine(datetime.fromisoformat(date), _NOON))
        return Order(rule=rule, date=parse_instant(date))
    except (TypeError, ValueError, OverflowError):
        raise MosaicInvalidError("order: nearest has a date, such as 2024-05-17", date) from None


_FIELDS: Final = frozenset(Mosaic.__dataclass_fields__)


def _text(value: Any, name: str) -> Text:
    if not isinstance(value, dict) or value.keys() != {"fr", "en"}:
        raise MosaicInvalidError(f"{name} has fr and en")
    return Text(fr=_words(value["fr"], name), en=_words(value["en"], name))


def _words(value: Any, name: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or not value.isprintable():
        raise MosaicInvalidError(f"{name} is a text of one line, of up to {LONGEST_TEXT} characters")
    return value


def _where(value: Any) -> Expression | None:
    if value is None or value is True:
        return None
    try:
        parse_filter(value)
    except FilterInvalidError as error:
        raise MosaicInvalidError(f"where: {error.reason}", error.asked) from error
    return value  # type: ignore[no-any-return] # it was understood


def _order(value: Any) -> Order:
    if not isinstance(value, dict) or not {"rule"} <= value.keys() <= {"rule", "date"}:
        raise MosaicInvalidError("order has a rule, and where that is nearest a date")
    return parse_order(value["rule"], value.get("date"))


def _choice(document: dict[str, Any], name: str, usual: T, choices: tuple[T, ...]) -> Any:
    value = document.get(name, usual)
    if value not in choices:
        raise MosaicInvalidError(f"{name}: it is none of {', '.join(choices)}", value)
    return value


def _ranges(value: Any) -> dict[str, BandRange]:
    if not isinstance(value, dict):
        raise MosaicInvalidError("ranges are by the band's common name")
    found = {}
    for band, ends in value.items():
        numbers = isinstance(ends, list | tuple) and len(ends) == 2 and all(map(_is_number, ends))
        if not numbers or not ends[0] < ends[1]:
            raise MosaicInvalidError("ranges: each has two numbers, the lower first", band)
        found[_words(band, "ranges")] = BandRange(low=float(ends[0]), high=float(ends[1]))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise MosaicInvalidError("cloud_mask is true or false")
    return value


def _styles(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(
        isinstance(each, str) and _STYLE_ID.fullmatch(each) for each in value
    ):
        raise MosaicInvalidError("styles is a list of ids of styles")
    return tuple(dict.fromkeys(value))
