"""The keys of identity providers, held in memory, and the tokens that were verified with them.

Fetching runs in threads of its own; what comes back changes the keys on the event loop. An issuer that is
down leaves the keys that are known, up to an age, and never opens anything.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from cachetools import LRUCache

from auth.errors import TokenRefusedError
from auth.tokens import (
    TrustedIssuer,
    UnprovenToken,
    VerificationKey,
    VerifiedToken,
    fitting_key,
    keys_of,
    read_token,
    verified,
)
from server.fetch import DocumentNotFetchedError, is_loopback

log = structlog.get_logger(__name__)

DISCOVERY = "/.well-known/openid-configuration"

RENEW_SECONDS = 600.0
"""After this long the keys are asked for again, so that one taken back goes; nobody waits for it."""

KEPT_SECONDS = 60.0
"""Longest time that a token is not verified anew."""

MOST_TOKENS = 1024
"""Verified tokens that are remembered, per worker."""

Fetch = Callable[[str], Any]


@dataclass(kw_only=True, eq=False)
class Issuer:
    """One identity provider; used on the event loop only."""

    trusted: TrustedIssuer
    jwks_url: str | None
    """Where its keys are; None: where its discovery document says."""
    executor: Executor
    """Where its documents are fetched."""
    fetch: Fetch
    fetched: Callable[[str], None]
    """Told `ok` or `failed` after each attempt."""
    between_seconds: float = 30.0
    """Shortest time between two attempts."""
    oldest_seconds: float = 86_400.0
    """Age at which keys are no longer used."""
    clock: Callable[[], float] = time.monotonic
    _keys: tuple[VerificationKey, ...] = field(default=(), init=False)
    _fetched_at: float = field(default=float("-inf"), init=False)
    _tried_at: float = field(default=float("-inf"), init=False)
    _attempt: asyncio.Task[None] | None = field(default=None, init=False)

    async def keys_for(self, token: UnprovenToken) -> tuple[VerificationKey, ...]:
        """Give the issuer's keys; an unknown one makes it be asked, all who wait share one attempt."""
        if fitting_key(self._known(), token) is None:
            attempt = self._begin()
            if attempt is not None:
                await asyncio.shield(attempt)
        elif self.clock() - self._fetched_at > RENEW_SECONDS:
            self._begin()
        return self._known()

    async def prepare(self) -> None:
        """Ask for the keys before a token comes."""
        attempt = self._begin()
        if attempt is not None:
            await asyncio.shield(attempt)

    def _known(self) -> tuple[VerificationKey, ...]:
        return self._keys if self.clock() - self._fetched_at <= self.oldest_seconds else ()

    def _begin(self) -> asyncio.Task[None] | None:
        """Give the attempt that runs, or begin one; None: the last one is not long enough ago."""
        if self._attempt is None:
            if self.clock() - self._tried_at < self.between_seconds:
                return None
            self._tried_at = self.clock()
            self._attempt = asyncio.get_running_loop().create_task(self._renew())
        return self._attempt

    async def _renew(self) -> None:
        begun = self.clock()
        try:
            loop = asyncio.get_running_loop()
            self._keys = await loop.run_in_executor(self.executor, self._keys_now)
        except (DocumentNotFetchedError, ValueError) as error:
            log.warning("issuer_keys_not_fetched", issuer=self.trusted.url, error=str(error))
            self.fetched("failed")
        else:
            self._fetched_at = begun
            self.fetched("ok")
        finally:
            self._attempt = None

    def _keys_now(self) -> tuple[VerificationKey, ...]:
        """Fetch the keys; in a thread.

        Raises:
            DocumentNotFetchedError: If a document does not come.
            ValueError: If one is not what it should be.
        """
        keys = keys_of(self.fetch(self.jwks_url or self._discovered()))
        if not keys:
            raise ValueError("the issuer has no key that can be used")
        return keys

    def _discovered(self) -> str:
        """Ask the issuer where its keys are; it may not send us from https to http, nor to this machine."""
        document = self.fetch(self.trusted.url.rstrip("/") + DISCOVERY)
        said = document if isinstance(document, dict) else {}
        if said.get("issuer") != self.trusted.url:
            raise ValueError("the discovery document is of another issuer")
        address = said.get("jwks_uri")
        if not isinstance(address, str):
            raise ValueError("the discovery document names no keys")  # noqa: TRY004 - what it holds
        if is_loopback(address) and not is_loopback(self.trusted.url):
            raise ValueError("the discovery document leads to this machine")
        return address


class _Kept(NamedTuple):
    token: VerifiedToken
    made: float
    until: float


class Tokens:
    """Checks tokens of the issuers that are trusted; used on the event loop only."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = {issuer.trusted.url: issuer for issuer in issuers}
        self._kept: LRUCache[bytes, _Kept] = LRUCache(MOST_TOKENS)

    async def prepare(self) -> None:
        """Ask all issuers for their keys."""
        await asyncio.gather(*(issuer.prepare() for issuer in self._issuers.values()))

    async def check(self, text: str, now: datetime) -> VerifiedToken:
        """Give what a token says.

        Raises:
            TokenRefusedError: If it does not hold.
        """
        name = hashlib.sha256(text.encode()).digest()
        kept = self._kept.get(name)
        if kept is not None and kept.made <= now.timestamp() < kept.until:
            return kept.token
        self._kept.pop(name, None)
        token = read_token(text)
        issuer = self._issuers.get(token.issuer) if isinstance(token.issuer, str) else None
        if issuer is None:
            raise TokenRefusedError("issuer")
        found = verified(token, issuer.trusted, await issuer.keys_for(token), now)
        moment = now.timestamp()
        self._kept[name] = _Kept(found, moment, min(found.expires, moment + KEPT_SECONDS))
        return found

    def sure_until(self, text: str, now: datetime) -> datetime:
        """Give until when a token that was just checked is not checked anew; `now`: it is already."""
        kept = self._kept.get(hashlib.sha256(text.encode()).digest())
        return now if kept is None else datetime.fromtimestamp(kept.until, UTC)
