"""Finds the credential in a request; whether it is good is for auth to say."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum

from auth.tokens import looks_like_token
from server.requests import HttpRequest

QUERY_NAMES = frozenset({"key", "apikey", "api_key", "authkey"})
"""Query parameters that carry a key, in any case."""

SIGNATURE_NAME = "sig"
"""Query parameter that carries a signature."""

COOKIE_NAME = "__Host-flux"
"""Cookie that carries a signature."""


class Way(StrEnum):
    """How a credential travelled."""

    NONE = "none"
    QUERY = "query"
    PATH = "path"
    HEADER = "header"
    TOKEN = "token"  # noqa: S105 - no secret
    """A token of an identity provider, as bearer and nowhere else."""
    SIGNATURE = "signature"
    """A signature in the query."""
    COOKIE = "cookie"
    """A signature in a cookie: only where nothing explicit was sent."""
    GATEWAY = "gateway"
    """Headers of a trusted portal: only where nothing explicit was sent."""


class CredentialConflictError(Exception):
    """Two different explicit credentials in one request."""


@dataclass(frozen=True, kw_only=True)
class Presented:
    """The credential of a request."""

    text: str | None
    """The key as it was sent; None: none was."""
    way: Way
    """How it came; in a URL if any copy of it did."""


NOTHING_SHOWN = Presented(text=None, way=Way.NONE)


def presented(request: HttpRequest, path_key: str | None) -> Presented:
    """Collect the explicit credentials of a request.

    Args:
        request: The request.
        path_key: What stood in `/k/{key}/`, if anything.

    Raises:
        CredentialConflictError: If two different ones were sent.
    """
    found = dict(_from_headers(request))
    for name, value in request.query:
        if name.lower() in QUERY_NAMES and value:
            found[value] = Way.QUERY
        elif name.lower() == SIGNATURE_NAME and value:
            found[value] = Way.SIGNATURE
    if path_key is not None:
        found[path_key] = Way.PATH
    if len(found) > 1:
        raise CredentialConflictError("two different credentials in one request")
    for text, way in found.items():
        return Presented(text=text, way=way)
    return Presented(text=None, way=Way.NONE)


def without_credentials(query: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Drop the parameters that carry keys and signatures."""
    carriers = QUERY_NAMES | {SIGNATURE_NAME}
    return tuple(pair for pair in query if pair[0].lower() not in carriers)


def cookie_of(request: HttpRequest) -> str | None:
    """Give the signature in our cookie; None where there is none, or more than one."""
    found = set()
    for header in request.headers.get("cookie", ()):
        for part in header.split(";"):
            name, _, value = part.strip().partition("=")
            if name == COOKIE_NAME and value:
                found.add(value)
    return found.pop() if len(found) == 1 else None


def _from_headers(request: HttpRequest) -> list[tuple[str, Way]]:
    """Give what stands in the headers; a token that also stands elsewhere than as bearer is none."""
    bearers = []
    texts = [value.strip() for value in request.headers.get("x-api-key", ()) if value.strip()]
    for value in request.headers.get("authorization", ()):
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            bearers.append(rest.strip())
        elif scheme.lower() == "basic":
            texts.append(_basic_password(rest.strip()))
        else:
            texts.append(value)  # an unknown scheme is a bad credential, not an absent one
    ways = ((text, Way.TOKEN if looks_like_token(text) else Way.HEADER) for text in bearers)
    return [*ways, *((text, Way.HEADER) for text in texts)]


def _basic_password(encoded: str) -> str:
    """Give the password; what can't be decoded is kept as it is, and so is refused as a key."""
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return encoded
    return decoded.partition(":")[2]
