"""Reads JSON of deliveries, which strangers may have written."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mosaics.products.delivery import DeliveryUnreadableError

Document = dict[str, Any]
"""A parsed JSON object."""

_LARGEST: Final = 16_000_000
"""Bytes; an outline of thousands of points has less than one million."""


def parse_json(path: Path) -> Document:
    """Parse a file that holds one JSON object.

    Raises:
        DeliveryUnreadableError: If it holds none, or a key of it stands twice.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise DeliveryUnreadableError(f"{path.name}: it is too large for metadata")
        found = json.loads(path.read_bytes(), object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise DeliveryUnreadableError(
            f"{path.name}: it is no JSON (line {error.lineno}: {error.msg})"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DeliveryUnreadableError(f"{path.name}: it is no JSON that is read here ({error})") from error
    except OSError as error:
        raise DeliveryUnreadableError(f"{path.name}: it can't be read: {error.strerror}") from error
    if not isinstance(found, dict):
        raise DeliveryUnreadableError(f"{path.name}: it is no JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> Document:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


def json_number(value: object) -> float | None:
    """Give a JSON value as a number; None where it is none, or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def json_text(value: object) -> str | None:
    """Give a JSON value as a text; None where it is none, or empty."""
    return value.strip() or None if isinstance(value, str) else None


def utc(told: str | None) -> datetime | None:
    """Read an ISO time; one without a zone is taken for UTC. None where it is none."""
    try:
        found = None if told is None else datetime.fromisoformat(told)
    except ValueError:
        return None
    if found is None:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
