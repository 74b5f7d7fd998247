"""Keys as people see them: without a secret or its hash, with their last use; and the grace of a rotation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from auth.documents import document_of
from auth.models import Key
from auth.snapshot import PolicySnapshot
from auth.usage import UsageStore

LastUsed = Mapping[tuple[str, int], str]
"""The day each secret was last used, ISO 8601, by the key's id and the secret's number."""

USUAL_GRACE: Final = "7d"
"""How long the old secret of a rotated key opens when nobody says."""

_GRACE: Final = re.compile(r"(?P<count>\d{1,4})(?P<unit>[hd])", re.ASCII)


def last_used(store: UsageStore) -> LastUsed:
    """Ask when each secret was last used."""
    return {place: day.isoformat() for place, day in store.last_used().items()}


def key_document(key: Key, used: LastUsed) -> dict[str, Any]:
    """Write a key down for those who may know of it.

    Args:
        key: The key.
        used: When its secrets were last used.
    """
    document = document_of(key)
    for secret in document["secrets"]:
        del secret["hmac"]
        secret["last_used"] = used.get((key.id, secret["number"]))
    return document


def keys_below(snapshot: PolicySnapshot, key_id: str) -> list[str]:
    """Give the ids of all keys that die with a key."""
    found: list[str] = []
    for child in snapshot.children.get(key_id, ()):
        found += [child, *keys_below(snapshot, child)]
    return found


def grace_of(text: str) -> timedelta:
    """Read how long an old secret still opens: `12h`, `7d`.

    Raises:
        ValueError: If it is written otherwise.
    """
    found = _GRACE.fullmatch(text)
    if found is None:
        raise ValueError("it is written 12h or 7d")
    return timedelta(**{"hours" if found["unit"] == "h" else "days": int(found["count"])})
