"""What stands beside a property in a filter: spans of time, areas, and patterns of words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from mosaics.errors import FilterInvalidError

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_ENDLESS: Final = ".."
_DAY: Final = timedelta(days=1)
_TICK: Final = 1e-6
"""Seconds: the finest that an instant is told to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """An instant, a day, or what lies between two of them; seconds since 1970, UTC."""

    start: float
    """The first instant of it."""
    end: float
    """The last instant of it."""
    after: float
    """What is during it comes later than this: its start, or, where that is a day, just before."""
    before: float
    """What is during it comes earlier than this: its end, or, where that is a day, just after."""

    @classmethod
    def parse(cls, value: Any) -> Span:
        """Read a date (the whole day), a timestamp, `{"date"}`, `{"timestamp"}` or `{"interval"}`.

        Raises:
            FilterInvalidError: If it is none.
        """
        if isinstance(value, dict) and value.keys() == {"interval"}:
            ends = value["interval"]
            if not isinstance(ends, list) or len(ends) != 2:
                raise FilterInvalidError("an interval has two ends, such as ['2024-01-01', '..']")
            first, last = (None if end == _ENDLESS else cls._of_instant(end) for end in ends)
            span = cls(
                start=first.start if first else -math.inf,
                end=last.end if last else math.inf,
                after=first.after if first else -math.inf,
                before=last.before if last else math.inf,
            )
            if span.start > span.end:
                raise FilterInvalidError("an interval ends before it begins")
            return span
        return cls._of_instant(value)

    @classmethod
    def _of_instant(cls, value: Any) -> Span:
        """Read a date or a timestamp, with its word or without."""
        said = isinstance(value, dict) and len(value) == 1 and value.keys() <= {"date", "timestamp"}
        text = next(iter(value.values())) if said else value
        try:
            if _DATE.fullmatch(text):
                day = datetime.combine(date.fromisoformat(text), time(), UTC)
                start, end = day.timestamp(), (day + _DAY).timestamp() - _TICK
                return cls(start=start, end=end, after=start - _TICK, before=end + _TICK)
            instant = parse_instant(text).timestamp()
            return cls(start=instant, end=instant, after=instant, before=instant)
        except (ValueError, TypeError, OverflowError):
            raise FilterInvalidError(
                "it is no date or time, such as 2024-05-17 or 2024-05-17T10:30:00Z", text
            ) from None


def parse_instant(text: str) -> datetime:
    """Read a date and time by ISO 8601; without a zone it is UTC.

    Raises:
        ValueError: If it is none.
    """
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def parse_area(value: Any) -> BaseGeometry:
    """Read a GeoJSON geometry or `{"bbox"}`, longitude and latitude; a box may cross the antimeridian.

    Returns:
        The geometry, prepared: it is asked from several threads.

    Raises:
        FilterInvalidError: If it is none, or not on the Earth.
    """
    boxed = isinstance(value, dict) and value.keys() == {"bbox"}
    area = box_of(value["bbox"]) if boxed else _geometry(value)
    shapely.prepare(area)
    return area


def box_of(sides: Any) -> BaseGeometry:
    """Give the box of west, south, east, north, degrees, heights between them left out.

    Raises:
        FilterInvalidError: If it is none.
    """
    given = isinstance(sides, list | tuple) and len(sides) in {4, 6} and all(map(_is_number, sides))
    if not given:
        raise FilterInvalidError("a bbox has four numbers: west, south, east, north")
    west, south, east, north = (float(side) for side in (sides if len(sides) == 4 else _flat(sides)))
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90) or west == east:
        raise FilterInvalidError("a bbox has its south below its north, all in degrees")
    if west < east:
        return shapely.box(west, south, east, north)
    return shapely.union(shapely.box(west, south, 180, north), shapely.box(-180, south, east, north))


def like_pattern(text: str) -> re.Pattern[str]:
    r"""Compile a pattern of `LIKE`: `%` any characters, `_` one, `\` takes the next as it is.

    Each part between two `%` is looked for once, so that no pattern takes long.
    """
    parts, taken = [""], False
    for character in text:
        if taken or character not in "%_\\":
            parts[-1] += re.escape(character)
            taken = False
        elif character == "\\":
            taken = True
        elif character == "_":
            parts[-1] += "."
        else:
            parts.append("")
    first, *others = parts
    if not others:
        return re.compile(first, re.DOTALL)
    between = "".join(f"(?>.*?{part})" for part in others[:-1] if part)
    return re.compile(f"{first}{between}.*{others[-1]}", re.DOTALL)


def _geometry(value: Any) -> BaseGeometry:
    try:
        found = shape(value)
        sound = bool(shapely.is_valid(found)) and not found.is_empty
    except Exception as error:  # shapely and numpy raise many kinds for coordinates that are none
        raise FilterInvalidError("an area is a GeoJSON geometry or a bbox") from error
    if not sound:
        raise FilterInvalidError(f"the geometry can't be used: {shapely.is_valid_reason(found)}")
    west, south, east, north = found.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise FilterInvalidError("the geometry is not in degrees of longitude and latitude")
    return found


def _flat(sides: Any) -> list[Any]:
    west, south, _, east, north, _ = sides
    return [west, south, east, north]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
