"""One request as a handler sees it: who asks, for what, and what the one `decide` opens for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

from auth.decision import Decision, Principal
from auth.models import Action
from auth.reach import UNKNOWN, Circumstances
from auth.snapshot import PolicySnapshot
from auth.usage import seconds_left
from mosaics.catalog.index import CatalogIndex
from mosaics.errors import LayerNotFoundError
from mosaics.filters import SceneFilter
from mosaics.layers import Layer
from server.access import AccessDeniedError, nearest_miss
from server.client import NOBODY, Client
from server.identity import SIGNATURE_NAME, Way
from server.requests import HttpRequest
from server.routing import Route
from server.services import Services
from server.usage.meter import QuotaExceededError

T = TypeVar("T")

PUBLIC_PREFIX = "public"
KEY_PREFIX = "k"


@dataclass(frozen=True, kw_only=True)
class Call:
    """Everything a handler needs; rights and catalogue are the same throughout one request."""

    services: Services
    request: HttpRequest
    route: Route
    path: Mapping[str, str]
    """Values of the route's variables, decoded."""
    query: tuple[tuple[str, str], ...]
    """Query without credentials."""
    principal: Principal
    way: Way
    """How the credential came."""
    key_text: str | None
    """The key as sent; only ever written back into addresses."""
    public: bool
    """True below /public/, where everybody is nobody."""
    root: str
    """Address of the server's root, without a trailing slash."""
    language: str
    """fr or en."""
    policy: PolicySnapshot
    index: CatalogIndex
    now: datetime
    secret: int = 0
    """Number of the key's secret that was shown; 0: none was."""
    signed: bool = False
    """True where a signature was shown, wherever it stood."""
    until: datetime | None = None
    """When the token that was shown ends."""
    circumstances: Circumstances = UNKNOWN
    """From where it comes."""
    exhausted: frozenset[str] = frozenset()
    """Grants whose quota is used up."""
    client: Client = NOBODY
    """Whom an answer that must be made is made for."""

    def decision(self, action: Action) -> Decision:
        """Ask the one `decide`; a handler can only ask for what its route declares."""
        return self._decided(action)[0]

    def filter(self, action: Action) -> SceneFilter:
        """Give what the caller may see of the catalogue for an action."""
        return self._decided(action)[1]

    def _decided(self, action: Action) -> tuple[Decision, SceneFilter]:
        if action not in self.route.actions:
            raise AssertionError(f"route {self.route.id} does not declare {action}")
        return self.services.decisions.decide(
            self.policy, self.principal, action, self.now, self.circumstances, self.exhausted
        )

    def layers(self, action: Action) -> tuple[Layer, ...]:
        """Give the collections of which the caller may see something for an action."""
        return self.services.decisions.layers(self.index, self.filter(action))

    def layer(self, layer_id: str, action: Action) -> tuple[Layer, SceneFilter]:
        """Give a layer as the caller sees it for an action, and the filter that made it so.

        Raises:
            LayerNotFoundError: If it is missing or hidden, which are never told apart.
            AccessDeniedError: If the caller may know it, but nothing of it for this action.
        """
        decisions = self.services.decisions
        decision, opened = self._decided(action)
        try:
            return decisions.layer(self.index, layer_id, opened), opened
        except LayerNotFoundError:
            if action is Action.CATALOGUE or Action.CATALOGUE not in self.route.actions:
                raise
            known = decisions.layer(self.index, layer_id, self.filter(Action.CATALOGUE))
            miss = nearest_miss(decision, known)
            if miss is not None and miss.code == "quota":
                quota = self.policy.grants[miss.grant_id].quota
                assert quota is not None, "only a quota is used up"
                raise QuotaExceededError(miss.grant_id, seconds_left(quota, self.now)) from None
            raise AccessDeniedError("no_grant" if miss is None else miss.code) from None

    async def elsewhere(self, work: Callable[[], T]) -> T:
        """Do what may wait for a database, or take long, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.services.desk, work)

    @property
    def url_key(self) -> str | None:
        """The key, where it came in the address and may stand in others."""
        in_url = self.way in {Way.QUERY, Way.PATH, Way.SIGNATURE}
        return self.key_text if in_url and self.principal.url_allowed else None

    @property
    def base(self) -> str:
        """Root of the addresses we give back, with the key's path form or /public where it was asked so."""
        if self.public:
            return f"{self.root}/{PUBLIC_PREFIX}"
        if self.way is Way.PATH and self.url_key:
            return f"{self.root}/{KEY_PREFIX}/{quote(self.url_key, safe='')}"
        return self.root

    @property
    def credential_query(self) -> str | None:
        """`key=...` or `sig=...`, where the credential came in the query."""
        if self.way in {Way.QUERY, Way.SIGNATURE} and self.url_key:
            name = "key" if self.way is Way.QUERY else SIGNATURE_NAME
            return f"{name}={quote(self.url_key, safe='')}"
        return None

    def href(self, path: str, query: str = "") -> str:
        """Give an address below the base that opens with the caller's own credential.

        Args:
            path: Without a leading slash; may hold `{...}` template variables.
            query: Further query, already encoded.
        """
        whole = "&".join(part for part in (query, self.credential_query) if part)
        return f"{self.base}/{path}" + (f"?{whole}" if whole else "")
