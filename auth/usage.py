"""What was shown to whom: the store of counts and quotas, its Protocol and the one in a database."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple, Protocol, get_args

from sqlalchemy import Connection, Engine, String, cast, delete, func, insert, select, update

from auth import schema
from auth.models import Quota

MILLI: Final = 1000
"""Thousandths in a unit; one unit is 65 536 pixels of a picture, the size of a 256 px tile."""

NOBODY: Final = "anonymous"
"""Stands for the institution where none asked."""

NO_KEY: Final = "-"
"""Stands for the key where none was shown."""


class UsageRecord(NamedTuple):
    """Whom, what, when: the counts of one line."""

    day: str
    """UTC, YYYY-MM-DD."""
    institution_id: str
    """Or NOBODY."""
    key_id: str
    """Or NO_KEY."""
    collection: str
    sensor: str
    resolution_band: str
    """Of the ground resolution shown, such as `0.5-1`."""


class Counts(NamedTuple):
    """How much."""

    answers: int
    """Answers with pixels or values, each counted once: on the scene on top."""
    appearances: int
    """Answers in which a scene of the line was seen, on top or not."""
    milliunits: int
    """Thousandths of units."""
    size: int
    """Bytes of bodies."""


class LeaseKey(NamedTuple):
    """A quota in one period."""

    grant_id: str
    period: str
    """Such as 2026-11-24, 2026-11, 2026 or total."""


Dimension = Literal["day", "month", "institution", "key", "collection", "sensor", "resolution_band"]
"""What a report can be broken down by."""

DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageRow:
    """One line of a report."""

    by: dict[str, str]
    """Value of each dimension asked for, in that order."""
    counts: Counts


def period_of(quota: Quota, now: datetime) -> str:
    """Give the period that an instant is in, UTC."""
    formats = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y", "total": "total"}
    return now.astimezone(UTC).strftime(formats[quota.period])


def seconds_left(quota: Quota, now: datetime) -> int:
    """Give the seconds until the period of a quota ends, at least 1; a day where it never does."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if quota.period == "month":
        end = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    elif quota.period == "year":
        end = day.replace(year=day.year + 1, month=1, day=1)
    else:
        end = day + timedelta(days=1)
    return max(1, int((end - now).total_seconds()))


class UsageStore(Protocol):
    """Keeps counts and quotas; nothing here touches the epoch of the rights.

    All methods may be called from several threads, and raise PolicyUnavailableError when the store does
    not answer; then nothing is changed.
    """

    def fold(
        self,
        source: str,
        totals: Mapping[UsageRecord, Counts],
        unspent: Mapping[LeaseKey, int] | None = None,
    ) -> None:
        """Add what a worker's counters have grown by since they were last folded; twice adds nothing twice.

        Args:
            source: Names the counters; never used again for others.
            totals: What they stand at.
            unspent: At the end of a source, the milliunits it leased and did not spend: given back, once.
        """
        ...

    def forget(self, source: str) -> None:
        """Forget how far a source was folded: its counters are no more."""
        ...

    def report(
        self,
        start: date,
        end: date,
        *,
        by: Collection[Dimension],
        institution_id: str | None = None,
    ) -> list[UsageRow]:
        """Add up the counts from a day to a day, both included, ordered by the dimensions."""
        ...

    def lease(self, key: LeaseKey, limit: int, need: int) -> int:
        """Take milliunits of a quota for a worker to spend.

        Args:
            key: Which quota and period.
            limit: The whole of it, milliunits.
            need: The least that is of use.

        Returns:
            What was taken: `need` or more, about a hundredth of what is left; 0 where less than `need` is.
        """
        ...

    def leased(self, key: LeaseKey) -> int:
        """Give the milliunits that were taken and not given back."""
        ...

    def use_keys(self, uses: Mapping[tuple[str, int], date]) -> None:
        """Note the day on which secrets of keys were used, by key id and number of the secret."""
        ...

    def last_used(self) -> dict[tuple[str, int], date]:
        """Give the day each secret was last used, by key id and number of the secret."""
        ...


class SqlUsageStore:
    """Counts kept in a database that `auth.migrate` has brought to its head."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def fold(
        self,
        source: str,
        totals: Mapping[UsageRecord, Counts],
        unspent: Mapping[LeaseKey, int] | None = None,
    ) -> None:
        """Add what a worker's counters have grown by since they were last folded."""
        with schema.answering(), self._engine.begin() as connection:
            _lock(connection)
            folded = _folded(connection, source)
            for record, counts in totals.items():
                name = json.dumps(record)
                before = folded.get(name)
                if before == list(counts):
                    continue
                grown = Counts(*(a - b for a, b in zip(counts, before or (0, 0, 0, 0), strict=True)))
                _add(connection, record, grown)
                _note(connection, source, name, list(counts), known=before is not None)
            for key, milliunits in (unspent or {}).items():
                name = json.dumps(["lease", *key])
                if name not in folded:
                    _give_back(connection, key, milliunits)
                    _note(connection, source, name, [milliunits], known=False)

    def forget(self, source: str) -> None:
        """Forget how far a source was folded."""
        table = schema.usage_folded_table
        with schema.answering(), self._engine.begin() as connection:
            connection.execute(delete(table).where(table.c.source == source))

    def report(
        self,
        start: date,
        end: date,
        *,
        by: Collection[Dimension],
        institution_id: str | None = None,
    ) -> list[UsageRow]:
        """Add up the counts from a day to a day, both included."""
        table = schema.usage_table
        columns: dict[Dimension, Any] = {
            "day": table.c.day,
            "month": func.substr(cast(table.c.day, String), 1, 7),
            "institution": table.c.institution_id,
            "key": table.c.key_id,
            "collection": table.c.collection,
            "sensor": table.c.sensor,
            "resolution_band": table.c.resolution_band,
        }
        groups = [columns[dimension] for dimension in by]
        sums = [func.sum(table.c[name]) for name in ("answers", "appearances", "milliunits", "bytes")]
        wanted = select(*groups, *sums).where(table.c.day >= start, table.c.day <= end)
        if institution_id is not None:
            wanted = wanted.where(table.c.institution_id == institution_id)
        if groups:
            wanted = wanted.group_by(*groups)
        with schema.answering(), self._engine.connect() as connection:
            rows = connection.execute(wanted).all()
        found = [
            UsageRow(
                by={name: str(value) for name, value in zip(by, row, strict=False)},
                counts=Counts(*(int(value or 0) for value in row[len(groups) :])),
            )
            for row in rows
        ]
        return sorted(found, key=lambda row: tuple(row.by.values()))

    def lease(self, key: LeaseKey, limit: int, need: int) -> int:
        """Take milliunits of a quota for a worker to spend."""
        table = schema.quota_table
        with schema.answering(), self._engine.begin() as connection:
            _lock(connection)
            taken = _leased(connection, key)
            left = limit - (taken or 0)
            if left < need:
                return 0
            given = min(left, max(need, left // 100, MILLI))
            if taken is None:
                connection.execute(
                    insert(table).values(grant_id=key.grant_id, period=key.period, leased=given)
                )
            else:
                _set_leased(connection, key, taken + given)
            return given

    def leased(self, key: LeaseKey) -> int:
        """Give the milliunits that were taken and not given back."""
        with schema.answering(), self._engine.connect() as connection:
            return _leased(connection, key) or 0

    def use_keys(self, uses: Mapping[tuple[str, int], date]) -> None:
        """Note the day on which secrets of keys were used."""
        table = schema.key_use_table
        if not uses:
            return
        with schema.answering(), self._engine.begin() as connection:
            _lock(connection)
            for (key_id, secret), day in uses.items():
                place = (table.c.key_id == key_id) & (table.c.secret == secret)
                known = connection.execute(select(table.c.day).where(place)).scalar_one_or_none()
                if known is None:
                    connection.execute(insert(table).values(key_id=key_id, secret=secret, day=day))
                elif known < day:
                    connection.execute(update(table).where(place).values(day=day))

    def last_used(self) -> dict[tuple[str, int], date]:
        """Give the day each secret was last used."""
        table = schema.key_use_table
        with schema.answering(), self._engine.connect() as connection:
            rows = connection.execute(select(table.c.key_id, table.c.secret, table.c.day))
            return {(key_id, secret): day for key_id, secret, day in rows}


def _lock(connection: Connection) -> None:
    """Make writers queue, and see what the one before did: the first statement takes the write lock."""
    table = schema.counting_table
    connection.execute(update(table).values(turn=table.c.turn + 1))


def _folded(connection: Connection, source: str) -> dict[str, list[int]]:
    table = schema.usage_folded_table
    rows = connection.execute(select(table.c.record, table.c.counts).where(table.c.source == source))
    return {record: json.loads(counts) for record, counts in rows}


def _note(connection: Connection, source: str, record: str, counts: list[int], *, known: bool) -> None:
    table = schema.usage_folded_table
    text = json.dumps(counts)
    if known:
        place = (table.c.source == source) & (table.c.record == record)
        connection.execute(update(table).where(place).values(counts=text))
    else:
        connection.execute(insert(table).values(source=source, record=record, counts=text))


def _add(connection: Connection, record: UsageRecord, grown: Counts) -> None:
    table = schema.usage_table
    line = {
        "day": date.fromisoformat(record.day),
        "institution_id": record.institution_id,
        "key_id": record.key_id,
        "collection": record.collection,
        "sensor": record.sensor,
        "resolution_band": record.resolution_band,
    }
    counts = dict(zip(("answers", "appearances", "milliunits", "bytes"), grown, strict=True))
    place = [table.c[name] == value for name, value in line.items()]
    more = {name: table.c[name] + value for name, value in counts.items()}
    if connection.execute(update(table).where(*place).values(more)).rowcount == 0:
        connection.execute(insert(table).values(**line, **counts))


def _leased(connection: Connection, key: LeaseKey) -> int | None:
    table = schema.quota_table
    place = (table.c.grant_id == key.grant_id) & (table.c.period == key.period)
    taken: int | None = connection.execute(select(table.c.leased).where(place)).scalar_one_or_none()
    return taken


def _set_leased(connection: Connection, key: LeaseKey, milliunits: int) -> None:
    table = schema.quota_table
    place = (table.c.grant_id == key.grant_id) & (table.c.period == key.period)
    connection.execute(update(table).where(place).values(leased=milliunits))


def _give_back(connection: Connection, key: LeaseKey, milliunits: int) -> None:
    taken = _leased(connection, key)
    if taken is not None:
        _set_leased(connection, key, max(0, taken - milliunits))


def totals_of(rows: Iterable[UsageRow]) -> Counts:
    """Add up the rows of a report."""
    sums = [0, 0, 0, 0]
    for row in rows:
        sums = [a + b for a, b in zip(sums, row.counts, strict=True)]
    return Counts(*sums)
