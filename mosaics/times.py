"""The words of time, of every protocol: a date, an instant, an interval, latest, nearest to a date."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from mosaics.errors import TimeNotFoundError
from mosaics.models import Scene

DEFAULT = "default"
"""The word that stands for the default style and the default time."""
LATEST = "latest"
"""The newest pixel at each place, which is also the default time."""
NEAREST = "nearest:"
"""What a date or an instant follows: at each place the scene that was acquired nearest to it."""
_ALWAYS = frozenset({None, "", DEFAULT, LATEST, "current"})


@dataclass(frozen=True, kw_only=True)
class TimeSpan:
    """A half-open span of acquisition times, UTC; None on both sides: any time, undated scenes too."""

    start: datetime | None = None
    end: datetime | None = None
    nearest: datetime | None = None
    """At each place the scene nearest to it has the say, undated ones last; None: the newest has."""
    single: bool = field(default=False, compare=False)
    """True for one date or instant: a layer that has no scene then has no such time."""

    def holds(self, scene: Scene) -> bool:
        """Tell whether the scene was acquired within."""
        if self.start is None and self.end is None:
            return True
        if scene.acquired is None:
            return False
        return (self.start is None or self.start <= scene.acquired) and (
            self.end is None or scene.acquired < self.end
        )

    def flags(self, acquired: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell the same of acquisition times, seconds since 1970; NaN: not known."""
        flags = np.ones(len(acquired), bool)
        if self.start is not None:
            flags &= acquired >= self.start.timestamp()
        if self.end is not None:
            flags &= acquired < self.end.timestamp()
        return flags

    def days(self, dates: Iterable[str]) -> tuple[tuple[str, TimeSpan], ...]:
        """Give the days (YYYY-MM-DD, UTC) that it touches, in their order, each with what of it is within."""
        found = []
        for name in dates:
            day = day_of(name)
            start, end = day.start, day.end
            assert start is not None, "a day begins"
            assert end is not None, "a day ends"
            start = start if self.start is None else max(start, self.start)
            end = end if self.end is None else min(end, self.end)
            if start < end:
                found.append((name, TimeSpan(start=start, end=end)))
        return tuple(found)


ANY_TIME = TimeSpan()


def parse_time(asked: str | None) -> TimeSpan:
    """Parse a time: None, `default`, `latest`, a date, an instant, `nearest:` before these, `A/B` or `A--B`.

    Both ends of an interval are inside; an end given as a date means the whole day. What is nearest to a date
    is so to its noon.

    Raises:
        TimeNotFoundError: If it can't be parsed.
    """
    if asked in _ALWAYS:
        return ANY_TIME
    assert asked is not None
    if asked.startswith(NEAREST):
        first, after = _parse(asked.removeprefix(NEAREST), asked)
        return TimeSpan(nearest=first + timedelta(hours=12) if after - first == _DAY else first)
    parts = asked.split("/") if "/" in asked else asked.split("--")
    if len(parts) == 1:
        start, end = _parse(parts[0], asked)
        return TimeSpan(start=start, end=end, single=True)
    if len(parts) != 2:
        raise TimeNotFoundError(asked)
    since = None if parts[0] == ".." else _parse(parts[0], asked)[0]
    until = None if parts[1] == ".." else _parse(parts[1], asked)[1]
    if since is not None and until is not None and since >= until:
        raise TimeNotFoundError(asked)
    return TimeSpan(start=since, end=until)


def day_of(text: str) -> TimeSpan:
    """Give the span of a day, YYYY-MM-DD (UTC).

    Raises:
        TimeNotFoundError: If it is none.
    """
    start, end = _parse(text, text)
    return TimeSpan(start=start, end=end, single=True)


_DAY = timedelta(days=1)


def _parse(text: str, asked: str) -> tuple[datetime, datetime]:
    """Give the first instant of a date or time and the first instant after it, UTC."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            day = datetime.combine(date.fromisoformat(text), time(), UTC)
            return day, day + _DAY
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?", text):
            instant = datetime.fromisoformat(text)
            instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
            return instant, instant + timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise TimeNotFoundError(asked) from error
    raise TimeNotFoundError(asked)
