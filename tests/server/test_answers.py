from __future__ import annotations

import json

import pytest

from server.answers import Answer, cache_control, json_answer, matches, problem


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ('"abc"', True),
        ('W/"abc"', True),
        ('"x", "abc"', True),
        ("*", True),
        ('"abcd"', False),
        ("", False),
    ],
)
def test_if_none_match(header: str | None, expected: bool) -> None:
    assert matches(header, "abc") is expected


def test_nothing_matches_without_a_validator() -> None:
    assert not matches("*", None)


@pytest.mark.parametrize(
    ("answer", "public", "expected"),
    [
        (Answer(), False, "private, max-age=0, must-revalidate"),
        (Answer(immutable=True), False, "private, max-age=31536000, immutable"),
        (Answer(by_address=True), False, "private, max-age=0, must-revalidate"),
        (Answer(by_address=True, immutable=True), True, "public, max-age=300"),
        (Answer(), True, "private, max-age=0, must-revalidate"),
        (Answer(immutable=True), True, "private, max-age=0, must-revalidate"),
        (Answer(cacheable=False), True, "no-store"),
        (Answer(status=404), True, "no-store"),
        (Answer(status=401), False, "no-store"),
    ],
)
def test_only_what_is_below_public_may_be_shared(answer: Answer, public: bool, expected: str) -> None:
    assert cache_control(answer, public=public, public_max_age=300) == expected


def test_a_problem_has_a_stable_code_and_no_validator() -> None:
    answer = problem(403, "zoom_limit", "Too fine.")
    assert (answer.status, answer.media_type, answer.etag) == (403, "application/problem+json", None)
    assert json.loads(answer.body)["code"] == "zoom_limit"


def test_equal_documents_have_equal_validators() -> None:
    assert json_answer({"a": 1}).etag == json_answer({"a": 1}).etag != json_answer({"a": 2}).etag
