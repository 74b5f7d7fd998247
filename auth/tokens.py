"""Tokens of identity providers (signed JWT): what is read of one, and whether it holds; pure, no HTTP.

Only what is written here is believed of a token's head: its algorithm, one of three, and the name of its
key. Where keys or certificates are to be fetched from is never read from a token.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWS
from jwt.exceptions import PyJWTError

from auth.errors import TokenRefusedError

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA")
"""Signatures that are ever accepted; each belongs to one kind of key."""

LEEWAY: Final = timedelta(seconds=60)
"""By how much the clocks of issuer and server may differ."""

LONGEST_TOKEN: Final = 8192
"""Characters of the longest token that is read."""

MOST_KEYS: Final = 64
"""Keys that are taken from one issuer."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*")
_TYPES: Final = frozenset({None, "jwt", "at+jwt", "application/at+jwt"})
_LONGEST_NAME: Final = 255
_LAST_SECOND: Final = 2**40
_RSA_BITS: Final = range(2048, 16385)
_EXPONENT_BITS: Final = 32
_MEMBERS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_KINDS: Final = {"RSA": "RS256", "EC P-256": "ES256", "OKP Ed25519": "EdDSA"}
_NAMES: Final = {"RS256": ("RS256",), "ES256": ("ES256",), "EdDSA": ("EdDSA", "Ed25519")}
_JWS: Final = PyJWS(algorithms=list(ALGORITHMS))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustedIssuer:
    """Whose tokens are accepted, and which of them."""

    url: str
    """What `iss` must be, letter by letter."""
    audience: str
    """What `aud` must be, or hold."""
    algorithms: frozenset[str] = frozenset(ALGORITHMS)
    """Some of ALGORITHMS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerificationKey:
    """A public key of an issuer."""

    id: str | None
    algorithm: str
    """The one signature that it makes."""
    key: PyJWK = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class UnprovenToken:
    """A token as it says itself; nothing of it is true before `verified`."""

    text: str = field(repr=False)
    algorithm: str
    key_id: str | None
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def issuer(self) -> object:
        """Who is said to have made it."""
        return self.claims.get("iss")


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifiedToken:
    """What an issuer said."""

    issuer: str
    subject: str | None
    claims: Mapping[str, Any] = field(repr=False)
    expires: float
    """Seconds since 1970: first instant at which it says nothing, clocks apart."""


def looks_like_token(text: str) -> bool:
    """Tell whether a text is written like a token; it proves nothing."""
    return _TOKEN.fullmatch(text) is not None


def read_token(text: str) -> UnprovenToken:
    """Read a token, without believing it.

    Raises:
        TokenRefusedError: If it is no token, too long, or of a kind that is never accepted.
    """
    if len(text) > LONGEST_TOKEN:
        raise TokenRefusedError("oversize")
    if not looks_like_token(text):
        raise TokenRefusedError("malformed")
    head, body, _ = text.split(".")
    header, claims = _object(head), _object(body)
    if "crit" in header or "b64" in header:
        raise TokenRefusedError("critical")
    kind = header.get("typ")
    if not (kind is None or isinstance(kind, str)) or (kind and kind.lower()) not in _TYPES:
        raise TokenRefusedError("type")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefusedError("algorithm")
    if key_id is not None and not (isinstance(key_id, str) and len(key_id) <= _LONGEST_NAME):
        raise TokenRefusedError("key")
    return UnprovenToken(text=text, algorithm=algorithm, key_id=key_id, claims=claims)


def verified(
    token: UnprovenToken, issuer: TrustedIssuer, keys: Iterable[VerificationKey], now: datetime
) -> VerifiedToken:
    """Check a token.

    Args:
        token: As it was read.
        issuer: Whose it must be.
        keys: Of that issuer, and of no other.
        now: The clock, with a time zone.

    Raises:
        TokenRefusedError: If anything of it does not hold.
    """
    if token.issuer != issuer.url:
        raise TokenRefusedError("issuer")
    if token.algorithm not in issuer.algorithms:
        raise TokenRefusedError("algorithm")
    key = fitting_key(keys, token)
    if key is None:
        raise TokenRefusedError("key")
    try:
        _JWS.decode_complete(token.text, key.key, algorithms=[key.algorithm])
    except (PyJWTError, ValueError, TypeError) as error:
        raise TokenRefusedError("signature") from error
    if not _is_for(token.claims.get("aud"), issuer.audience):
        raise TokenRefusedError("audience")
    if "cnf" in token.claims:  # bound to a key of its holder, which a bearer does not show
        raise TokenRefusedError("bound")
    subject = token.claims.get("sub")
    if subject is not None and not _is_name(subject):
        raise TokenRefusedError("subject")
    expires = _check_times(token.claims, now.timestamp())
    return VerifiedToken(issuer=issuer.url, subject=subject, claims=token.claims, expires=expires)


def fitting_key(keys: Iterable[VerificationKey], token: UnprovenToken) -> VerificationKey | None:
    """Give the key that a token names; where it names none, the only one that could be meant."""
    fit = [key for key in keys if key.algorithm == token.algorithm]
    if token.key_id is None:
        return fit[0] if len(fit) == 1 else None
    return next((key for key in fit if key.id == token.key_id), None)


def keys_of(document: object) -> tuple[VerificationKey, ...]:
    """Take the keys that can verify from a JWKS; a key that is odd is left out, and never an error.

    Raises:
        ValueError: If it is no JWKS.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("a JWKS has a list of keys")  # noqa: TRY004 - of a document, not of an argument
    found = (_key_of(each) for each in listed[:MOST_KEYS] if isinstance(each, dict))
    return tuple(key for key in found if key is not None)


def _key_of(said: Mapping[str, Any]) -> VerificationKey | None:
    """Make a key of a JWK; None: it is of another kind or use, too weak, or no public key."""
    algorithm = _algorithm_of(said)
    if algorithm is None:
        return None
    try:
        plain = {"kty": said["kty"], **{member: said[member] for member in _MEMBERS[said["kty"]]}}
        key = PyJWK(plain, algorithm=algorithm)
    except (PyJWTError, ValueError, TypeError, KeyError, OverflowError):
        return None
    if isinstance(key.key, RSAPublicKey) and not _is_strong(key.key):
        return None
    return VerificationKey(id=said.get("kid"), algorithm=algorithm, key=key)


def _algorithm_of(said: Mapping[str, Any]) -> str | None:
    """Give the one signature that a JWK verifies by its own words; None: it does not."""
    kind, curve, name, meant = (said.get(member) for member in ("kty", "crv", "kid", "alg"))
    algorithm = _KINDS.get(f"{kind} {curve}" if kind != "RSA" else "RSA")
    operations = said.get("key_ops", ["verify"])
    if algorithm is None or "d" in said or said.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    named = name is None or isinstance(name, str)
    return algorithm if named and (meant is None or meant in _NAMES[algorithm]) else None


def _is_strong(key: RSAPublicKey) -> bool:
    """Refuse what is easily broken, and what would take long to verify with."""
    return key.key_size in _RSA_BITS and key.public_numbers().e.bit_length() <= _EXPONENT_BITS


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    """Check when a token holds; give its end."""
    leeway = LEEWAY.total_seconds()
    expires, begins, issued = (_second(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise TokenRefusedError("expired")
    if expires + leeway <= now:
        raise TokenRefusedError("expired")
    if begins is not None and begins - leeway > now:
        raise TokenRefusedError("not_yet")
    if issued is not None and (issued - leeway > now or issued > expires):
        raise TokenRefusedError("issued")
    return expires


def _second(claims: Mapping[str, Any], name: str) -> float | None:
    """Read a point in time; None: it is not there."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefusedError(name)
    if not (isinstance(value, int) or math.isfinite(value)) or not 0 <= value < _LAST_SECOND:
        raise TokenRefusedError(name)
    return float(value)


def _is_name(said: object) -> bool:
    return isinstance(said, str) and 0 < len(said) <= _LONGEST_NAME and said.isprintable()


def _is_for(said: object, audience: str) -> bool:
    if isinstance(said, list):
        return all(isinstance(each, str) for each in said) and audience in said
    return said == audience


def _object(part: str) -> dict[str, Any]:
    """Read one part of a token: a JSON object in which no name stands twice."""
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        found = json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError, binascii.Error) as error:
        raise TokenRefusedError("malformed") from error
    if not isinstance(found, dict):
        raise TokenRefusedError("malformed")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
