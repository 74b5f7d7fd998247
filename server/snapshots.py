"""What a worker knows of rights and catalogue: held in memory, swapped whole, asked anew each second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TypeVar

import structlog

from auth.audit import Change
from auth.edits import Edit
from auth.errors import AuthError, PolicyUnavailableError
from auth.snapshot import PolicySnapshot
from auth.store import PolicyStore
from mosaics.catalog.base import Catalog, CatalogWriter
from mosaics.catalog.index import CatalogIndex
from mosaics.catalog.table import SceneMaker
from mosaics.errors import CatalogUnavailableError

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass
class Knowledge:
    """The current snapshots; only `refresh` replaces them, and always whole."""

    policy_store: PolicyStore
    catalog: Catalog
    scene_from: SceneMaker
    stale_seconds: float
    clock: Callable[[], float] = time.monotonic
    policy: PolicySnapshot | None = None
    index: CatalogIndex = field(default_factory=CatalogIndex)
    policy_at: float = float("-inf")
    """Clock reading of the last time the store of rights answered."""
    catalogue_at: float = float("-inf")
    """Clock reading of the last time the catalogue answered."""
    _refreshing: Lock = field(default_factory=Lock, repr=False)
    """Held while a snapshot is read, so that an older one never comes after a newer."""

    def change(self, edit: Edit, *, actor: str, at: datetime) -> tuple[Change, ...]:
        """Change the rights; what this process knows of them is anew at once, others follow with their poll.

        It waits for a database: never on the event loop.

        Raises:
            AuthError: What the edit raises, or a change that does not fit; then nothing is changed.
        """
        changes = self.policy_store.change(edit, actor=actor, at=at)
        if changes:
            self._refreshed(self._refresh_policy)
        return changes

    def change_catalogue(self, work: Callable[[CatalogWriter], T]) -> T:
        """Change the catalogue; what this process knows of it is anew at once, others follow with their poll.

        It waits for a database: never on the event loop.

        Raises:
            MosaicsError: What the work raises.
        """
        done = work(self.catalog)
        self._refreshed(self._refresh_index)
        return done

    def refresh(self) -> None:
        """Ask both stores; whatever is wrong with one changes nothing, is logged and leaves the other be."""
        for part in (self._refresh_policy, self._refresh_index):
            self._refreshed(part)

    def rights(self) -> PolicySnapshot:
        """Give the rights, to check a credential by.

        Raises:
            PolicyUnavailableError: If they were never read, or are too old to be trusted.
        """
        if self.clock() - self.policy_at > self.stale_seconds:
            raise PolicyUnavailableError("the rights can't be read")
        return self.known_rights()

    def known_rights(self) -> PolicySnapshot:
        """Give the rights as last read, however old: what was public stays so.

        Raises:
            PolicyUnavailableError: If they were never read.
        """
        if self.policy is None:
            raise PolicyUnavailableError("the rights can't be read")
        return self.policy

    def asked_anew(self) -> PolicySnapshot:
        """Ask the store for its number now, and give the rights; where it does not answer, those last read.

        It waits for a database: never on the event loop.

        Raises:
            PolicyUnavailableError: If they were never read, or are too old to be trusted.
        """
        self._refreshed(self._refresh_policy)
        return self.rights()

    def catalogue_anew(self) -> CatalogIndex:
        """Ask the catalogue for its changes now, and give it; where it does not answer, as last read.

        It waits for a database: never on the event loop.
        """
        self._refreshed(self._refresh_index)
        return self.index

    @property
    def loaded(self) -> bool:
        """True once both stores have answered."""
        return self.policy is not None and self.catalogue_at > float("-inf")

    def _refreshed(self, part: Callable[[], None]) -> None:
        try:
            with self._refreshing:
                part()
        except Exception:
            log.exception("not_refreshed")

    def _refresh_policy(self) -> None:
        try:
            if self.policy is None or self.policy_store.epoch() != self.policy.epoch:
                self.policy = self.policy_store.snapshot()
        except (AuthError, OSError) as error:
            log.warning("rights_not_refreshed", error=type(error).__name__)
            return
        self.policy_at = self.clock()

    def _refresh_index(self) -> None:
        try:
            changes = self.catalog.changes(self.index.sequence)
        except (CatalogUnavailableError, OSError) as error:
            log.warning("catalogue_not_refreshed", error=type(error).__name__)
            return
        for key, reason in changes.broken.items():
            log.error("item_unreadable", scene=key[1], cause=repr(reason.__cause__))
        self.index = self.index.with_changes(changes, self.scene_from)
        self.catalogue_at = self.clock()
