"""API keys: how one is made, written, checked and turned into a principal; says who, never what they may.

A key reads `flx_<environment>_<id>_<secret><checksum>`. The id is no secret and may stand in logs; the
secret is shown once and kept only as an HMAC under a pepper that lives outside the database.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zlib import crc32

from auth.decision import Principal, PrincipalKind
from auth.errors import (
    CredentialExpiredError,
    CredentialInvalidError,
    CredentialNotForUrlsError,
    CredentialRevokedError,
    InstitutionSuspendedError,
    InvalidIdError,
    UnknownIdError,
)
from auth.models import Institution, InstitutionStatus, Key, KeySecret, Role
from auth.rules import KEY_ID_GRAMMAR, key_chain
from auth.snapshot import PolicySnapshot

ENVIRONMENT_GRAMMAR: Final = "[a-z0-9]{1,8}"
"""What the second part of a key may be: which installation it belongs to, such as live or test."""

KEY_PATTERN: Final = f"flx_{ENVIRONMENT_GRAMMAR}_{KEY_ID_GRAMMAR}_[0-9A-Za-z]{{38}}"
"""Regular expression of a whole key, for secret scanners, log redaction and path patterns; no groups."""

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH: Final = 8
_SECRET_LENGTH: Final = 32
_CHECKSUM_LENGTH: Final = 6
_TAIL_LENGTH: Final = _SECRET_LENGTH + _CHECKSUM_LENGTH
_KEY: Final = re.compile(KEY_PATTERN)
_ENVIRONMENT: Final = re.compile(ENVIRONMENT_GRAMMAR)
_NO_HMAC: Final = bytes(32)
_SHORTEST_PEPPER: Final = 16
_MOST_SECRETS: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Peppers:
    """The secrets outside the database that the secrets of keys are kept under; several for rotation."""

    by_version: Mapping[int, bytes] = field(repr=False)
    """Version (1 or more) to pepper, at least 16 bytes each; all of them verify."""
    newest: int = field(init=False)
    """The greatest version: new keys are kept under it."""

    def __post_init__(self) -> None:
        if not self.by_version or min(self.by_version) < 1:
            raise ValueError("at least one pepper is needed, numbered from 1")
        if any(len(pepper) < _SHORTEST_PEPPER for pepper in self.by_version.values()):
            raise ValueError(f"a pepper must have at least {_SHORTEST_PEPPER} bytes")
        object.__setattr__(self, "by_version", dict(self.by_version))
        object.__setattr__(self, "newest", max(self.by_version))


def new_key(
    env: str,
    institution_id: str,
    peppers: Peppers,
    *,
    url_allowed: bool,
    now: datetime,
    label: str = "",
    expires: datetime | None = None,
    **more: Any,
) -> tuple[Key, str]:
    """Make a key for an institution.

    Args:
        env: Which installation the key is for, `[a-z0-9]{1,8}`.
        institution_id: Whose key it is; the store checks that it exists.
        peppers: The newest keeps the secret.
        url_allowed: Whether the key may stand in addresses.
        now: When it is made, with a time zone.
        label: What the key is for, in its owner's words.
        expires: First instant at which it opens nothing, with a time zone; None: no end.
        more: Further fields of a Key.

    Returns:
        The key as it is stored, and its text: the only time that the text exists.

    Raises:
        InvalidIdError: If `env` breaks its grammar.
        ValueError: If a date has no time zone, or the end is not after `now`.
    """
    if now.tzinfo is None or (expires is not None and expires.tzinfo is None):
        raise ValueError("the dates of a key need a time zone")
    if expires is not None and expires <= now:
        raise ValueError("a key must end after it begins")
    key_id = _random_text(_ID_LENGTH)
    secret, text = new_secret(env, key_id, peppers)
    key = Key(
        id=key_id,
        institution_id=institution_id,
        secrets=(secret,),
        url_allowed=url_allowed,
        label=label,
        created=now,
        expires=expires,
        **more,
    )
    return key, text


def new_secret(env: str, key_id: str, peppers: Peppers) -> tuple[KeySecret, str]:
    """Make a secret for a key, a new or a known one.

    Returns:
        The secret as it is stored, and the text of the key with it: the only time that the text exists.

    Raises:
        InvalidIdError: If `env` breaks its grammar.
    """
    if _ENVIRONMENT.fullmatch(env) is None:
        raise InvalidIdError("key environment", env, ENVIRONMENT_GRAMMAR)
    secret = _random_text(_SECRET_LENGTH)
    body = f"flx_{env}_{key_id}_{secret}"
    kept = KeySecret(
        number=1,
        hmac=hmac.digest(peppers.by_version[peppers.newest], secret.encode(), "sha256"),
        pepper_version=peppers.newest,
    )
    return kept, body + _checksum(body)


def read_key_id(text: str) -> str | None:
    """Read the id part of a key that is well written; None for any other text.

    It proves nothing: it is for logs, and for an administrator who pastes a whole key.
    """
    if _KEY.fullmatch(text) is None or _checksum(text[:-_CHECKSUM_LENGTH]) != text[-_CHECKSUM_LENGTH:]:
        return None
    return text[-_TAIL_LENGTH - 1 - _ID_LENGTH : -_TAIL_LENGTH - 1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Authenticated:
    """A key that was shown."""

    principal: Principal
    secret: int
    """Number of the secret that matched, for the record of use."""
    until: datetime | None = None
    """First instant at which the clock alone ends it, as long as the rights stay; None: never."""


def authenticate(
    snapshot: PolicySnapshot, peppers: Peppers, text: str, *, in_url: bool, now: datetime
) -> Authenticated:
    """Tell whose key a text is.

    A well-written key costs the same HMACs whether its id is known or not, so the time it takes tells
    nothing; why a key is refused is in the class of the error, for the log, and only told after the secret
    matched.

    Args:
        snapshot: The rights at this moment.
        peppers: All that may still verify.
        text: What the caller showed.
        in_url: True when it stood in a query string or a path.
        now: The clock, with a time zone.

    Returns:
        An institution or an operator, and the secret that was used.

    Raises:
        CredentialInvalidError: If the text is no key of ours, or one of its leaves: revoked, expired, of a
            suspended institution, or in an address though it may not stand there.
    """
    key_id = read_key_id(text)
    if key_id is None:
        raise CredentialInvalidError
    key = snapshot.keys.get(key_id)
    secret = _matching(key, peppers, text[-_TAIL_LENGTH:-_CHECKSUM_LENGTH].encode())
    if key is None or secret is None:
        raise CredentialInvalidError(key_id)
    if secret.until is not None and secret.until <= now:
        raise CredentialExpiredError(key_id)
    principal = principal_of(snapshot, key, now)
    if in_url and not principal.url_allowed:
        raise CredentialNotForUrlsError(key_id)
    until = earliest(secret.until, end_of(snapshot, key))
    return Authenticated(principal=principal, secret=secret.number, until=until)


def end_of(snapshot: PolicySnapshot, key: Key) -> datetime | None:
    """Give when the first of a key and the keys above it expires; None: none of them does.

    Raises:
        UnknownIdError: If one of them is not there.
    """
    return earliest(*(each.expires for each in key_chain(snapshot, key)))


def earliest(*instants: datetime | None) -> datetime | None:
    """Give the first of some instants; None is never."""
    return min((instant for instant in instants if instant is not None), default=None)


def principal_of(snapshot: PolicySnapshot, key: Key, now: datetime) -> Principal:
    """Give the caller that a key stands for, as long as it, its institution and the keys above it live.

    Raises:
        CredentialInvalidError: If one of them does not; its leaves say how.
    """
    try:
        chain = key_chain(snapshot, key)
    except UnknownIdError as error:
        raise CredentialInvalidError(key.id) from error
    for each in chain:
        # A revocation holds from the moment it is known, whatever the clock says.
        if each.revoked is not None:
            raise CredentialRevokedError(key.id)
        if each.expires is not None and each.expires <= now:
            raise CredentialExpiredError(key.id)
        # The rules refuse it; evaluation does not trust them.
        if each.institution_id != key.institution_id:
            raise CredentialInvalidError(key.id)
    institution = active_institution(snapshot, key.institution_id, key.id)
    below = chain[:-1]
    return Principal(
        kind=PrincipalKind.OPERATOR if institution.operator else PrincipalKind.INSTITUTION,
        institution_id=institution.id,
        key_id=key.id,
        url_allowed=all(each.url_allowed for each in chain),
        role=Role.READER if below else key.role,
        caveats=tuple(each.caveat for each in chain if each.caveat is not None),
        delegations=tuple(None if each.expires is None else each.expires - each.created for each in below),
        rates=tuple((each.id, each.rate) for each in chain if each.rate is not None),
    )


def active_institution(
    snapshot: PolicySnapshot, institution_id: str, key_id: str | None = None
) -> Institution:
    """Give the institution that a credential stands for.

    Args:
        snapshot: The rights at this moment.
        institution_id: Whose credential it is.
        key_id: Of the key that was shown, for the log.

    Raises:
        CredentialInvalidError: If it is not there.
        InstitutionSuspendedError: If it is suspended or closed.
    """
    institution = snapshot.institutions.get(institution_id)
    if institution is None:
        raise CredentialInvalidError(key_id)
    if institution.status is not InstitutionStatus.ACTIVE:
        raise InstitutionSuspendedError(key_id)
    return institution


def _matching(key: Key | None, peppers: Peppers, shown: bytes) -> KeySecret | None:
    """Give the secret of the key that was shown; the newest is looked at first.

    The same work is done for a key that is not there, and for one with a single secret.
    """
    found = None
    newest_pepper = peppers.by_version[peppers.newest]
    secrets = key.secrets if key is not None else ()
    for place in range(_MOST_SECRETS):
        secret = secrets[-1 - place] if place < len(secrets) else None
        pepper = peppers.by_version.get(secret.pepper_version) if secret is not None else None
        digest = hmac.digest(newest_pepper if pepper is None else pepper, shown, "sha256")
        matches = hmac.compare_digest(digest, _NO_HMAC if secret is None else secret.hmac)
        if matches and pepper is not None and found is None:
            found = secret
    return found


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    """CRC-32 of everything before it, 6 base62 digits, the most significant first."""
    value = crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        value, digit = divmod(value, 62)
        digits = _ALPHABET[digit] + digits
    return digits
