"""The language of a document: how it is asked for and how a text in both languages is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from mosaics.models import Text

Language = Literal["fr", "en"]
"""A language that texts exist in."""

DEFAULT_LANGUAGE: Language = "fr"

_NAMES: dict[str, Language] = {
    "fr": "fr",
    "fre": "fr",
    "fra": "fr",
    "en": "en",
    "eng": "en",
}
"""ISO 639-1 codes, and the 639-2 ones that INSPIRE clients send."""


def find_language(name: str) -> Language | None:
    """Give the language that a code such as `fr`, `fre`, `en-GB` names; None: not one of ours."""
    return _NAMES.get(name.lower().partition("-")[0])


def language_of(query: Iterable[tuple[str, str]]) -> Language:
    """Give the language of the answer to a query, French unless it asks well for another.

    Never fails, so that the exception for a query that can't be parsed has a language too.

    Args:
        query: Decoded (name, value) pairs; `lang` and `language` are read, in any case.
    """
    for name, value in query:
        if name.lower() in {"lang", "language"} and (language := find_language(value)):
            return language
    return DEFAULT_LANGUAGE


def in_language(text: Text, language: Language) -> str:
    """Give the text in that language; where it is empty there, in the other."""
    return (text.fr or text.en) if language == "fr" else (text.en or text.fr)
