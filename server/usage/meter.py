"""What an answer costs and whom it is counted for; on the event loop, where nothing waits for a database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import structlog

from auth.decision import Principal
from auth.errors import AuthError
from auth.models import Quota, Rate
from auth.usage import (
    MILLI,
    NO_KEY,
    NOBODY,
    LeaseKey,
    UsageRecord,
    UsageStore,
    period_of,
    seconds_left,
)
from server.usage.counters import CounterFile, Four
from server.usage.folding import LEASE, fold_abandoned, fold_own
from server.usage.rates import RateLimiter

log = structlog.get_logger(__name__)

Contributor = tuple[str, str, str, str | None]
"""(collection, scene, sensor, licence)."""

BANDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0)
"""Upper edges of the bands of ground resolution, metres per pixel; each edge belongs to the band above."""

ASK_AGAIN_SECONDS: Final = 2.0
"""How long a quota that was refused is not asked for again."""

LONGEST_WAIT_SECONDS: Final = 3.0
"""How long a request waits for the store of quotas."""


class RateExceededError(Exception):
    """Too fast."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too fast")
        self.seconds = seconds
        """After these it may be asked again."""


class QuotaExceededError(Exception):
    """A quota is used up."""

    def __init__(self, grant_id: str, seconds: float) -> None:
        super().__init__("quota used up")
        self.grant_id = grant_id
        self.seconds = seconds
        """After these its period ends."""


class QuotaUnavailableError(Exception):
    """The store of quotas does not answer, and no lease is left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """A grant that an answer needs and that is metered."""

    grant_id: str
    quota: Quota | None
    rate: Rate | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What one answer adds to the counters of one day; the same answer to the same caller adds the same."""

    day: date
    records: tuple[tuple[UsageRecord, Four], ...]
    use: tuple[str, int] | None
    """Key and number of its secret."""


@dataclass(kw_only=True)
class Meter:
    """Takes rates and quotas, and counts; one for each worker."""

    store: UsageStore
    limiter: RateLimiter
    folder: Path | None
    """Where the workers' counters are; None: in memory only."""
    executor: Executor
    """Where the store is asked."""
    key_rate: Rate | None = None
    """Of a key that has none of its own."""
    institution_rate: Rate | None = None
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _counters: CounterFile = field(init=False)
    _day: date = field(init=False)
    _leases: dict[LeaseKey, int] = field(default_factory=dict, init=False)
    _renewing: dict[LeaseKey, asyncio.Lock] = field(default_factory=dict, init=False)
    _asked: dict[LeaseKey, asyncio.Future[int]] = field(default_factory=dict, init=False)
    """What the store was asked for and has not answered; each quota is asked for once at a time."""
    _refused: dict[str, tuple[str, float]] = field(default_factory=dict, init=False)
    """By grant: the period that is used up, and when to ask again (monotonic)."""
    _left: list[CounterFile] = field(default_factory=list, init=False)
    """Counters that are to be ended by the next fold."""
    _uses: dict[tuple[str, int], date] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._counters = self._new_counters()
        self._day = self.clock().date()

    @property
    def exhausted(self) -> frozenset[str]:
        """Grants whose quota was refused a moment ago."""
        if not self._refused:
            return frozenset()
        now = time.monotonic()
        self._refused = {grant: kept for grant, kept in self._refused.items() if kept[1] > now}
        return frozenset(self._refused)

    async def spend(self, principal: Principal, charges: Sequence[Charge], milliunits: int) -> None:
        """Take the price of an answer: all of it or nothing.

        Args:
            principal: Whose key and institution have rates.
            charges: Metered grants that are needed.
            milliunits: The price, thousandths of a unit.

        Raises:
            RateExceededError: If a rate is passed.
            QuotaExceededError: If a quota is used up.
            QuotaUnavailableError: If the store must be asked and does not answer.
        """
        taken = self._take_rates(self._rates(principal, charges), milliunits / MILLI)
        spent: list[LeaseKey] = []
        try:
            for charge in charges:
                if charge.quota is not None:
                    key = await self._spend_quota(charge.grant_id, charge.quota, milliunits)
                    spent.append(key)
        except Exception:
            for key in spent:
                self._set_lease(key, self._leases.get(key, 0) + milliunits)
            for subject, rate in taken:
                self.limiter.give_back(subject, rate, milliunits / MILLI)
            raise

    def limits(self, principal: Principal) -> bool:
        """Tell whether some rate holds for a caller, whatever it asks for."""
        return bool(self._rates(principal, ()))

    def count(
        self,
        principal: Principal,
        secret: int,
        contributors: Sequence[Contributor],
        *,
        ground_resolution: float,
        milliunits: int,
        size: int,
    ) -> None:
        """Count an answer, before it is sent: on the scene on top, and each kind of scene as seen.

        The arguments are those of `tally`.
        """
        self.add(
            self.tally(
                principal,
                secret,
                contributors,
                ground_resolution=ground_resolution,
                milliunits=milliunits,
                size=size,
            )
        )

    def tally(
        self,
        principal: Principal,
        secret: int,
        contributors: Sequence[Contributor],
        *,
        ground_resolution: float,
        milliunits: int,
        size: int,
    ) -> Tally:
        """Give what an answer adds to the counters today.

        Args:
            principal: Who gets it.
            secret: Number of the key's secret, 0: none.
            contributors: The scenes in it, the first on top; at least one.
            ground_resolution: Metres per pixel.
            milliunits: Its price.
            size: Bytes of its body.
        """
        today = self.clock().date()
        band = band_of(ground_resolution)
        pairs = dict.fromkeys((collection, sensor) for collection, _, sensor, _ in contributors)
        records = tuple(
            UsageRecord(
                day=today.isoformat(),
                institution_id=principal.institution_id or NOBODY,
                key_id=principal.key_id or NO_KEY,
                collection=collection,
                sensor=sensor,
                resolution_band=band,
            )
            for collection, sensor in pairs
        )
        return Tally(
            day=today,
            records=tuple(
                (record, (0, 1, 0, 0) if place else (1, 1, milliunits, size))
                for place, record in enumerate(records)
            ),
            use=(principal.key_id, secret) if principal.key_id is not None and secret else None,
        )

    def add(self, tally: Tally) -> None:
        """Add an answer to the counters, before it is sent, on the day of its tally."""
        for record, counts in tally.records:
            self._add(record, counts)
        if tally.use is not None:
            self._uses[tally.use] = tally.day

    def fold(self) -> None:
        """Bring what was counted into the store; for a thread of its own. What is wrong is tried again."""
        try:
            self._end_left()
            if self.folder is not None:
                fold_abandoned(self.folder, self.store)
            fold_own(self._counters, self.store)
            uses, self._uses = self._uses, {}
            try:
                self.store.use_keys(uses)
            except AuthError:
                self._uses = uses | self._uses
                raise
        except (AuthError, OSError) as error:
            log.warning("usage_not_folded", error=type(error).__name__)

    def turn_day(self) -> None:
        """Begin new counters on a new day; on the event loop. The old ones are ended by the next fold."""
        today = self.clock().date()
        if today != self._day:
            self._day = today
            self._leave(self._new_counters())

    def close(self) -> None:
        """Count in all that is left, give back what was leased, and let go; nothing is counted after it."""
        self.fold()
        self._left.append(self._counters)
        try:
            self._end_left()
            if self.folder is not None:
                fold_abandoned(self.folder, self.store)
        except (AuthError, OSError) as error:
            log.warning("usage_not_folded", error=type(error).__name__)

    def _leave(self, fresh: CounterFile) -> None:
        """Go on with other counters, and take along what is left of the leases."""
        old, self._counters = self._counters, fresh
        for key, balance in self._leases.items():
            old.set((LEASE, *key), 0)  # first: a crash between may waste a lease, never double it
            fresh.set((LEASE, *key), balance)
        self._left.append(old)

    def _end_left(self) -> None:
        """End counters that nothing is added to any more: those in files as the files of the dead."""
        while self._left:
            counters = self._left[0]
            if counters.path is None:
                fold_own(counters, self.store, last=True)
                self.store.forget(counters.source)
            counters.close()
            del self._left[0]

    def _new_counters(self) -> CounterFile:
        try:
            return CounterFile(self.folder)
        except OSError as error:
            log.error("counters_in_memory", error=repr(error))  # noqa: TRY400 - no stack helps a full disk
            return CounterFile(None)

    def _add(self, record: UsageRecord, counts: Four) -> None:
        try:
            self._counters.add(record, counts)
        except OSError as error:
            log.error("counters_in_memory", error=repr(error))  # noqa: TRY400 - no stack helps a full disk
            self._leave(CounterFile(None))
            self._counters.add(record, counts)

    def _rates(self, principal: Principal, charges: Sequence[Charge]) -> list[tuple[str, Rate]]:
        found = [(f"key:{key_id}", rate) for key_id, rate in principal.rates]
        own = any(key_id == principal.key_id for key_id, _ in principal.rates)
        if principal.key_id is not None and self.key_rate is not None and not own:
            found.append((f"key:{principal.key_id}", self.key_rate))
        if principal.institution_id is not None and self.institution_rate is not None:
            found.append((f"institution:{principal.institution_id}", self.institution_rate))
        found.extend((f"grant:{c.grant_id}", c.rate) for c in charges if c.rate is not None)
        return found

    def _take_rates(self, rates: Sequence[tuple[str, Rate]], units: float) -> Sequence[tuple[str, Rate]]:
        taken: list[tuple[str, Rate]] = []
        for subject, rate in rates:
            wait = self.limiter.take(subject, rate, units)
            if wait > 0:
                for other, its in taken:
                    self.limiter.give_back(other, its, units)
                raise RateExceededError(wait)
            taken.append((subject, rate))
        return taken

    async def _spend_quota(self, grant_id: str, quota: Quota, milliunits: int) -> LeaseKey:
        key = LeaseKey(grant_id, period_of(quota, self.clock()))
        while self._leases.get(key, 0) < milliunits:  # while one asks, another may spend
            async with self._renewing.setdefault(key, asyncio.Lock()):
                missing = milliunits - self._leases.get(key, 0)
                if missing > 0:
                    await self._renew(key, quota, missing)
        # nothing is awaited between the last look and the taking
        self._set_lease(key, self._leases[key] - milliunits)
        return key

    async def _renew(self, key: LeaseKey, quota: Quota, missing: int) -> None:
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(
                self.executor, self.store.lease, key, quota.amount * MILLI, missing
            )
            self._asked[key] = asked
            asked.add_done_callback(lambda done: self._arrived(key, done))
        await asyncio.wait({asked}, timeout=LONGEST_WAIT_SECONDS)
        if not asked.done():  # what it gives later is kept for the next
            raise QuotaUnavailableError
        try:
            given = asked.result()
        except AuthError as error:
            raise QuotaUnavailableError from error
        if not given:
            self._refused[key.grant_id] = (key.period, time.monotonic() + ASK_AGAIN_SECONDS)
            raise QuotaExceededError(key.grant_id, seconds_left(quota, self.clock()))

    def _arrived(self, key: LeaseKey, asked: asyncio.Future[int]) -> None:
        """Keep a lease that the store gave, whether or not somebody still waits for it."""
        del self._asked[key]
        if not asked.cancelled() and asked.exception() is None and asked.result():
            self._set_lease(key, self._leases.get(key, 0) + asked.result())

    def _set_lease(self, key: LeaseKey, balance: int) -> None:
        self._leases[key] = balance
        self._counters.set((LEASE, *key), balance)


def band_of(ground_resolution: float) -> str:
    """Give the band of a ground resolution, metres per pixel: `<0.5`, `0.5-1`, ... `>=100`."""
    for place, edge in enumerate(BANDS):
        if ground_resolution < edge:
            return f"<{edge:g}" if place == 0 else f"{BANDS[place - 1]:g}-{edge:g}"
    return f">={BANDS[-1]:g}"
