"""The words of time: what they mean, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from scenes import scene

from mosaics.errors import TimeNotFoundError
from mosaics.times import ANY_TIME, TimeSpan, day_of, parse_time


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        (None, ANY_TIME),
        ("latest", ANY_TIME),
        ("2024-05-17", TimeSpan(start=at("2024-05-17"), end=at("2024-05-18"))),
        ("2024-05-17T10:30Z", TimeSpan(start=at("2024-05-17T10:30:00"), end=at("2024-05-17T10:30:01"))),
        ("2024-05-17T10:30+02:00", TimeSpan(start=at("2024-05-17T08:30:00"), end=at("2024-05-17T08:30:01"))),
        ("2024-05-17/..", TimeSpan(start=at("2024-05-17"))),
        ("..--2024-05-17", TimeSpan(end=at("2024-05-18"))),
        ("nearest:2024-05-17", TimeSpan(nearest=at("2024-05-17T12:00:00"))),
        ("nearest:2024-05-17T10:30:00Z", TimeSpan(nearest=at("2024-05-17T10:30:00"))),
    ],
)
def test_words_of_time(asked: str | None, span: TimeSpan) -> None:
    assert parse_time(asked) == span


@pytest.mark.parametrize(
    "asked",
    [
        "nearest",
        "nearest:",
        "nearest:yesterday",
        "nearest:2024-05-17/2024-06-01",
        "Nearest:2024-05-17",
        "now",
    ],
)
def test_what_is_no_time(asked: str) -> None:
    with pytest.raises(TimeNotFoundError):
        parse_time(asked)


def test_only_one_date_must_be_there() -> None:
    assert parse_time("2024-05-17").single
    assert not parse_time("2024-05-17/2024-05-18").single
    assert not parse_time("nearest:2024-05-17").single


def test_the_nearest_leaves_nothing_out() -> None:
    span = parse_time("nearest:1999-01-01")
    assert span != ANY_TIME
    assert span.holds(scene())
    assert span.holds(scene(acquired=None))


def test_a_day_holds_its_scenes() -> None:
    assert day_of("2024-05-17").holds(scene())
    assert not day_of("2024-05-18").holds(scene())
    assert not day_of("2024-05-17").holds(scene(acquired=None))
    with pytest.raises(TimeNotFoundError):
        day_of("latest")
