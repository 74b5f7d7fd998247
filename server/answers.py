"""Answers as values, and the headers that every one of them gets."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from mosaics.visual import StoredBlock

JSON = "application/json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Goods:
    """What an answer holds, for the count."""

    contributors: tuple[tuple[str, str, str, str | None], ...]
    """(collection, scene, sensor, licence) of every scene that is in it, the first on top; none: empty."""
    charged: tuple[str, ...]
    """Ids of the metered grants that were needed."""
    ground_resolution: float
    """Metres per pixel."""
    milliunits: int
    """Price, thousandths of a unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What goes back to the client."""

    status: int = 200
    body: bytes = b""
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers."""
    etag: str | None = None
    """Strong validator without quotes; the dispatcher answers 304 by it."""
    cacheable: bool = True
    """False: no-store (errors, health)."""
    immutable: bool = False
    """True: the address names this generation of the content."""
    by_address: bool = False
    """True: below /public/ the address alone makes it; False: host, language or format of the request too."""
    goods: Goods | None = None
    """What it was counted as, where rights, catalogue and request alone make it; None: it is made anew."""
    stored: StoredBlock | None = None
    """Where its body lies ready, so that nobody need keep it in memory."""


def json_answer(value: Any, *, status: int = 200, media_type: str = JSON, tagged: bool = True) -> Answer:
    """Give a JSON answer with a validator over its bytes."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(
        status=status,
        body=body,
        media_type=media_type,
        etag=digest(body) if tagged else None,
        cacheable=tagged,
    )


def digest(body: bytes) -> str:
    """Give the strong validator of bytes."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def problem(status: int, code: str, detail: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """Give an RFC 9457 problem with a stable code.

    Args:
        status: HTTP status.
        code: Stable word that programs may test.
        detail: One sentence for the person who can act; never an echoed name, path or stack.
        headers: Such as Retry-After.
    """
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail}
    answer = json_answer(body, status=status, media_type="application/problem+json", tagged=False)
    return replace(answer, headers=headers)


def matches(if_none_match: str | None, etag: str | None) -> bool:
    """Tell whether an If-None-Match header names the validator (weak comparison, RFC 9110 §13.1.2)."""
    if if_none_match is None or etag is None:
        return False
    if if_none_match.strip() == "*":
        return True
    names = (name.strip().removeprefix("W/").strip('"') for name in if_none_match.split(","))
    return etag in names


def cache_control(answer: Answer, *, public: bool, public_max_age: int) -> str:
    """Say how long who may keep an answer.

    Answers to a credential are never public; only what stands below /public/ may be shared, and of that
    only what its address alone makes: caches that ignore Vary, or the host, are many.
    """
    if not answer.cacheable or answer.status >= 400:
        return "no-store"
    if public and answer.by_address:
        return f"public, max-age={public_max_age}"
    if answer.immutable and not public:
        return "private, max-age=31536000, immutable"
    return "private, max-age=0, must-revalidate"
