"""Rights as documents: each kind, its place in a snapshot, and its form in JSON and YAML, read strictly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError

from auth.errors import InvalidRightError
from auth.models import Forbid, Grant, Group, Institution, Key, Kind, Licence, Membership, Right
from auth.reach import STORED
from auth.snapshot import PolicySnapshot

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""Every kind, those that others name first."""

CLASSES: Final[dict[Kind, type[Right]]] = {
    "institution": Institution,
    "group": Group,
    "licence": Licence,
    "membership": Membership,
    "key": Key,
    "grant": Grant,
    "forbid": Forbid,
}

FIELDS: Final[dict[Kind, str]] = {kind: f"{kind}s" for kind in KINDS}
"""Names of the kinds in a snapshot and in a file of rights."""

_ADAPTERS: Final[dict[Kind, TypeAdapter[Any]]] = {kind: TypeAdapter(CLASSES[kind]) for kind in KINDS}


LONGEST_ECHO: Final = 80
"""Longest word that a message repeats."""


def kind_of(right: Right) -> Kind:
    """Give what a right is."""
    return next(kind for kind, class_ in CLASSES.items() if isinstance(right, class_))


def rights_of(snapshot: PolicySnapshot) -> Iterator[Right]:
    """Give every right, those that others name first."""
    yield from snapshot.institutions.values()
    yield from snapshot.groups.values()
    yield from snapshot.licences.values()
    yield from snapshot.memberships.values()
    yield from snapshot.keys.values()
    yield from snapshot.grants.values()
    yield from snapshot.forbids.values()


def document_of(right: Right) -> dict[str, Any]:
    """Write a right down; what is as if it were not said is left out.

    Areas are GeoJSON, instants RFC 3339 in UTC, sets sorted lists.
    """
    document: dict[str, Any] = _ADAPTERS[kind_of(right)].dump_python(
        right, mode="json", exclude_defaults=True
    )
    return document


def right_of(kind: Kind, document: object) -> Right:
    """Read a right.

    Raises:
        InvalidRightError: If a field is missing, unknown or impossible; it names the field.
    """
    return _read(kind, document, None)


def stored_text(right: Right) -> str:
    """Write a right for the store: canonical JSON, areas as WKB."""
    document = _ADAPTERS[kind_of(right)].dump_python(
        right, mode="json", exclude_defaults=True, context=STORED
    )
    return canonical(document)


def right_of_stored(kind: Kind, text: str) -> Right:
    """Read what `stored_text` wrote.

    Raises:
        InvalidRightError: If it was changed by something else.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidRightError(f"a stored {kind} is no JSON") from error
    return _read(kind, document, STORED)


def schema_of(kind: Kind) -> dict[str, Any]:
    """Give the JSON schema of a kind's document."""
    return _ADAPTERS[kind].json_schema(mode="serialization")


def content_digest(right: Grant | Forbid) -> str:
    """Digest what a right says, not its id, who made it nor when: 64 hex characters."""
    document = _ADAPTERS[kind_of(right)].dump_python(
        right, mode="json", exclude_defaults=True, context=STORED
    )
    for name in ("id", "created", "created_by", "approvals"):
        document.pop(name, None)
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def canonical(document: object) -> str:
    """Write a document so that equal ones are equal texts."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _read(kind: Kind, document: object, context: str | None) -> Right:
    if kind not in _ADAPTERS:
        raise InvalidRightError(f"there is no kind of right called {kind!r}")
    try:
        right: Right = _ADAPTERS[kind].validate_python(document, context=context)
    except ValidationError as error:
        raise InvalidRightError(f"{kind}: {_reasons(error)}") from None
    except (ValueError, TypeError) as error:
        raise InvalidRightError(f"{kind}: {error}") from error
    return right


def _reasons(error: ValidationError) -> str:
    """Tell what is wrong, field by field, without echoing long values."""
    lines = []
    for found in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in found["loc"])
        what = found["msg"].removeprefix("Value error, ")
        if found["type"] == "string_pattern_mismatch" and len(found["input"]) <= LONGEST_ECHO:
            what = f"{found['input']!r}: {what}"
        lines.append(f"{where}: {what}" if where else what)
    return "; ".join(lines)
