"""Acquisition times as file names tell them; what is not certain is not told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from mosaics.registry import check_keys

YEARS = range(1980, 2101)
"""Years that a name may plausibly tell."""
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
GROUPS = frozenset({"year", "month", "day", "hour", "minute", "second"})

_DAY = r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})"
_TIME = r"(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})"
INSTANTS = (
    re.compile(rf"(?<!\d){_DAY}[T_-]?{_TIME}(?:\.\d+)?Z?(?!\d)", re.IGNORECASE),
    re.compile(
        r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})[T_-]"
        r"(?P<hour>\d{2})[-:](?P<minute>\d{2})[-:](?P<second>\d{2})Z?(?!\d)",
        re.IGNORECASE,
    ),
)
"""20170831T162740Z, 20170831_162740, 20170831162740, 2023-02-12-11-09-34."""
DATES = (
    re.compile(rf"(?<!\d){_DAY}(?!\d)"),
    re.compile(r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?!\d)"),
)
"""20170831, 2017-08-31."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatePattern:
    """How one sensor's file names tell the acquisition time."""

    pattern: re.Pattern[str]
    """With groups year (2 or 4 digits), month (digits or English abbreviation), day; hour, minute, second."""
    zone: timezone
    """Zone of the time that the name tells."""

    def find(self, name: str) -> datetime | None:
        """Read the time of a name, UTC; None where it isn't found or is no date."""
        match = self.pattern.search(name)
        return None if match is None else _instant(match, self.zone)


def acquired_from_name(file_name: str) -> datetime | None:
    """Read the acquisition time of a name without knowing its sensor.

    A date with a time comes before a plain date. Two different times, or two different dates, are no answer:
    the second may be that of processing, or the end of a period.

    Args:
        file_name: Name of a file, without folders.

    Returns:
        UTC, from 1980 to 2100; midnight where only a date is told.
    """
    for patterns in (INSTANTS, DATES):
        found = {
            instant
            for pattern in patterns
            for match in pattern.finditer(file_name)
            if (instant := _instant(match, UTC)) is not None
        }
        if len(found) == 1:
            return found.pop()
        if found:
            return None
    return None


def parse_date_pattern(document: Any) -> DatePattern:
    """Make a pattern of its document: {"pattern": ..., "utc_offset_hours": ...}.

    Raises:
        ValueError: If it is no regular expression, or has no group for year, month and day.
    """
    check_keys(document, frozenset({"pattern"}), frozenset({"utc_offset_hours"}))
    try:
        pattern = re.compile(document["pattern"], re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"{document['pattern']!r} is no regular expression: {error}") from error
    groups = pattern.groupindex.keys()
    if not {"year", "month", "day"} <= groups <= GROUPS:
        raise ValueError(f"{document['pattern']!r} must have the groups year, month and day")
    return DatePattern(pattern=pattern, zone=timezone(timedelta(hours=document.get("utc_offset_hours", 0))))


def _instant(match: re.Match[str], zone: timezone) -> datetime | None:
    """Make a time of the groups, UTC; None where they are none."""
    parts = match.groupdict()
    month = parts["month"].lower()
    if month.isdigit():
        number = int(month)
    elif month in MONTHS:
        number = MONTHS.index(month) + 1
    else:
        return None
    year = int(parts["year"])
    if len(parts["year"]) == 2:
        year += 1900 if year >= 80 else 2000
    if year not in YEARS:
        return None
    hour, minute, second = (int(parts.get(part) or 0) for part in ("hour", "minute", "second"))
    try:
        local = datetime(year, number, int(parts["day"]), hour, minute, second, tzinfo=zone)
    except ValueError:
        return None
    return local.astimezone(UTC)
