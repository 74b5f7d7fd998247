"""The table of facts: every error that a request can meet has its status, in both languages and protocols."""

from __future__ import annotations

import re

import pytest

import auth.errors
import mosaics.errors
from server.answers import Answer
from server.errors import FACTS, INTERNAL, answer_for, fact_of

BANKING = {
    "ClusterUnavailableError",
    "DataFileInvalidError",
    "GdalUnsafeError",
    "IngestError",
    "RasterOpenError",
    "SensorNotFoundError",
}


def leaves(root: type[Exception]) -> set[type[Exception]]:
    found = set()
    for kind in root.__subclasses__():
        found |= leaves(kind) | {kind}
    return found


def instance(kind: type[Exception]) -> Exception:
    """Make an error that holds a mark wherever it holds something."""
    for arguments in (("zqmark",), (), ("zqmark", "zqmark"), ("zqmark",) * 3):
        try:
            return kind(*arguments)
        except TypeError:
            continue
    raise AssertionError(kind)


def test_every_error_of_a_request_has_a_status() -> None:
    roots = (auth.errors.AuthError, mosaics.errors.MosaicsError)
    untold = {
        kind.__name__
        for root in roots
        for kind in leaves(root)
        if kind.__module__ in {"auth.errors", "mosaics.errors"} and fact_of(instance(kind)) is INTERNAL
    }
    assert untold <= BANKING


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("protocol", ["problem", "ows"])
@pytest.mark.parametrize("kvp", [True, False])
def test_every_fact_is_told_in_its_protocol_and_language(
    kind: type[Exception], protocol: str, kvp: bool
) -> None:
    fact = FACTS[kind]
    if fact.said is None:
        return
    arguments = {
        "TileOutsideGridError": ("row",),
        "AccessDeniedError": ("no_grant",),
        "MethodNotAllowedError": (frozenset({"GET"}),),
        "RateExceededError": (2.5,),
        "QuotaExceededError": ("zqmark", 2.5),
        "OverloadedError": (5,),
    }
    error = kind(*arguments[kind.__name__]) if kind.__name__ in arguments else instance(kind)
    told: dict[str, Answer] = {
        language: answer_for(error, protocol=protocol, kvp=kvp, language=language)
        for language in ("fr", "en")
    }
    for language, answer in told.items():
        text = answer.body.decode()
        assert "zqmark" not in text
        said = (
            getattr(fact.said, language).replace("'", "&#39;")
            if protocol == "ows"
            else getattr(fact.said, language)
        )
        assert said in text.replace("&apos;", "&#39;")
        assert not answer.cacheable
        expected = 400 if protocol == "ows" and kvp and fact.status == 404 else fact.status
        assert answer.status in {expected, fact.status}
        assert set(fact.headers) <= set(answer.headers)
    assert told["fr"].body != told["en"].body


def test_codes_are_stable_words_and_statuses_fit() -> None:
    for fact in (*FACTS.values(), INTERNAL):
        assert re.fullmatch(r"[a-z_]+", fact.code)
        names = dict(fact.headers)
        assert ("WWW-Authenticate" in names) == (fact.status == 401)
        assert ("Retry-After" in names) == (fact.status in {502, 503})  # 429 knows its own seconds
    assert len({fact.code for fact in FACTS.values()}) == len(FACTS)


def test_what_nobody_listed_is_a_500_that_tells_nothing() -> None:
    for protocol in ("problem", "ows"):
        answer = answer_for(RuntimeError("zqmark"), protocol=protocol, kvp=False, language="en")
        assert answer.status == 500
        assert b"zqmark" not in answer.body
