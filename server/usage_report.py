"""Usage as tables: the rows of a report as JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any

from auth.usage import DIMENSIONS, MILLI, Dimension, UsageRow
from server.requests import BadRequestError

COUNTS = ("answers", "appearances", "units", "bytes")


def dimensions_of(text: str) -> tuple[Dimension, ...]:
    """Read dimensions joined by commas.

    Raises:
        BadRequestError: If one is unknown, or stands there twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(set(names)) != len(names) or not set(names) <= set(DIMENSIONS):
        raise BadRequestError(f"by must be some of {', '.join(DIMENSIONS)}, joined by commas")
    return tuple(name for wanted in names for name in DIMENSIONS if name == wanted)


def days_of(start: str | None, end: str | None, today: date | None = None) -> tuple[date, date]:
    """Read the first and the last day of a report; from the first of January to today unless said.

    Raises:
        BadRequestError: If one is no date, or they are the wrong way round.
    """
    now = today or datetime.now(UTC).date()
    try:
        last = date.fromisoformat(end) if end else now
        first = date.fromisoformat(start) if start else last.replace(month=1, day=1)
    except ValueError:
        raise BadRequestError("from and to are dates YYYY-MM-DD") from None
    if first > last:
        raise BadRequestError("from must not be after to")
    return first, last


def rows_of(report: Iterable[UsageRow]) -> list[dict[str, Any]]:
    """Write a report as one flat mapping a row."""
    return [
        {
            **row.by,
            "answers": row.counts.answers,
            "appearances": row.counts.appearances,
            "units": row.counts.milliunits / MILLI,
            "bytes": row.counts.size,
        }
        for row in report
    ]


def csv_of(rows: Sequence[dict[str, Any]], by: Sequence[Dimension]) -> str:
    """Write rows as CSV with a head (RFC 4180)."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=[*by, *COUNTS])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
