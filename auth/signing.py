"""Signed, expiring credentials for addresses and cookies: they name who may, and are decided at each use."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from auth.credentials import Peppers, active_institution, principal_of
from auth.decision import Principal, PrincipalKind
from auth.errors import CredentialExpiredError, CredentialInvalidError
from auth.models import Action, Actions, Caveat
from auth.reach import EVERYWHERE, Selector
from auth.snapshot import PolicySnapshot

LONGEST: Final = timedelta(hours=1)
"""Longest life of a signed credential."""

SIGNED_ACTIONS: Final[Actions] = frozenset({Action.CATALOGUE, Action.PREVIEW, Action.TILE, Action.INFO})
"""What a signed credential may be used for, as far as its holder may: looking, never writing."""

Use = Literal["url", "cookie"]

_TEXT: Final = re.compile(r"s1\.[1-9][0-9]{0,8}\.[A-Za-z0-9_-]{1,700}\.[A-Za-z0-9_-]{43}")
_PURPOSE: Final = b"dinamis-flux signed credential v1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """What a signature says."""

    use: Use
    """Where it may stand."""
    expires: datetime
    """First instant at which it opens nothing; whole seconds."""
    key_id: str | None = None
    """The key it was made with."""
    institution_id: str | None = None
    """Its institution, where it was made without a key (by a token)."""
    membership_id: str | None = None
    """The membership that made it that institution's; it dies with it."""
    layer: str | None = None
    """`collection` or `collection:scene` that it is for; None: whatever the holder sees."""


def sign(peppers: Peppers, signed: Signed, now: datetime) -> str:
    """Write a signature down: `s1.<pepper version>.<content>.<HMAC-SHA256>`, letters safe in addresses.

    Raises:
        ValueError: If it lives longer than LONGEST, or is nobody's.
    """
    if not now < signed.expires <= now + LONGEST:
        raise ValueError(f"a signature lives up to {LONGEST}")
    if (signed.key_id is None) == (signed.institution_id is None):
        raise ValueError("a signature names a key or an institution")
    content = {
        "e": int(signed.expires.timestamp()),
        "i": signed.institution_id,
        "k": signed.key_id,
        "l": signed.layer,
        "m": signed.membership_id,
        "u": signed.use,
    }
    body = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    head = f"s1.{peppers.newest}.{_encoded(body)}"
    return f"{head}.{_encoded(_mac(peppers, peppers.newest, head))}"


def looks_signed(text: str) -> bool:
    """Tell whether a text is written like a signature; it proves nothing."""
    return _TEXT.fullmatch(text) is not None


def read_signed(peppers: Peppers, text: str, *, use: Use, now: datetime) -> Signed:
    """Check a signature.

    Raises:
        CredentialInvalidError: If we did not sign it, or not for this use.
        CredentialExpiredError: If its time is over.
    """
    if not looks_signed(text):
        raise CredentialInvalidError
    head, _, mac = text.rpartition(".")
    _, version, body = head.split(".")
    if int(version) not in peppers.by_version:
        raise CredentialInvalidError
    if not hmac.compare_digest(_encoded(_mac(peppers, int(version), head)), mac):
        raise CredentialInvalidError
    try:
        content = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        signed = Signed(
            use=content["u"],
            expires=datetime.fromtimestamp(content["e"], UTC),
            key_id=content["k"],
            institution_id=content["i"],
            membership_id=content.get("m"),
            layer=content["l"],
        )
    except (ValueError, KeyError, TypeError, binascii.Error, OverflowError) as error:
        raise CredentialInvalidError from error
    if signed.use != use:
        raise CredentialInvalidError(signed.key_id)
    if signed.expires <= now:
        raise CredentialExpiredError(signed.key_id)
    return signed


def principal_of_signed(snapshot: PolicySnapshot, signed: Signed, now: datetime) -> Principal:
    """Give the caller that a signature stands for now: its holder as it is, narrowed to the layer.

    Raises:
        CredentialInvalidError: If the key, a key above it, the membership or the institution no longer lives.
    """
    caveat = Caveat(area=EVERYWHERE, selector=_selector(signed.layer), actions=SIGNED_ACTIONS)
    if signed.key_id is None:
        return _member(snapshot, signed, caveat)
    key = snapshot.keys.get(signed.key_id)
    if key is None:
        raise CredentialInvalidError(signed.key_id)
    holder = principal_of(snapshot, key, now)
    return Principal(
        kind=holder.kind,
        institution_id=holder.institution_id,
        key_id=holder.key_id,
        url_allowed=True,
        caveats=(caveat, *holder.caveats),
        delegations=holder.delegations,
        rates=holder.rates,
    )


def _member(snapshot: PolicySnapshot, signed: Signed, caveat: Caveat) -> Principal:
    """Give the caller where no key was shown; an operator stays one, and sees no imagery by that."""
    membership = snapshot.memberships.get(signed.membership_id or "")
    if signed.membership_id is not None and (
        membership is None or membership.institution_id != signed.institution_id
    ):
        raise CredentialInvalidError
    institution = active_institution(snapshot, signed.institution_id or "")
    return Principal(
        kind=PrincipalKind.OPERATOR if institution.operator else PrincipalKind.INSTITUTION,
        institution_id=institution.id,
        url_allowed=True,
        caveats=(caveat,),
        membership_id=signed.membership_id,
    )


def _selector(layer: str | None) -> Selector:
    if layer is None:
        return Selector()
    collection, _, scene = layer.partition(":")
    return Selector(collections=frozenset({collection}), scenes=frozenset({scene}) if scene else None)


def _mac(peppers: Peppers, version: int, head: str) -> bytes:
    """Sign with a key of its own, so that no HMAC kept for API keys is ever one of these."""
    key = hmac.digest(peppers.by_version[version], _PURPOSE, "sha256")
    return hmac.digest(key, head.encode(), "sha256")


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
