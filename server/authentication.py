"""From what a request shows to who asks: keys, signatures, and later tokens and portals; decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from auth.credentials import Peppers, authenticate
from auth.decision import ANONYMOUS, Principal
from auth.signing import Use, looks_signed, principal_of_signed, read_signed
from auth.snapshot import PolicySnapshot
from server.identity import Presented, Way, cookie_of
from server.requests import HttpRequest

WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods that a cookie never opens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who asks, and by what."""

    principal: Principal
    way: Way
    text: str | None = None
    """The credential as sent; only ever written back into addresses."""
    secret: int = 0
    """Number of the key's secret that was shown; 0: none was."""


NOBODY = Identity(principal=ANONYMOUS, way=Way.NONE)


@dataclass(frozen=True, kw_only=True)
class Authenticator:
    """Checks credentials; one that is wrong is an error, never nobody."""

    peppers: Peppers

    def explicit(self, rights: PolicySnapshot, shown: Presented, now: datetime) -> Identity:
        """Tell who shows a key or a signature.

        Raises:
            CredentialInvalidError: If it opens nothing.
        """
        assert shown.text is not None, "nothing shown is nobody"
        if shown.way is Way.SIGNATURE or (shown.way is Way.HEADER and looks_signed(shown.text)):
            return self._signed(rights, shown.text, "url", shown.way, now)
        found = authenticate(
            rights, self.peppers, shown.text, in_url=shown.way in {Way.QUERY, Way.PATH}, now=now
        )
        return Identity(principal=found.principal, way=shown.way, text=shown.text, secret=found.secret)

    def implicit(
        self, rights: Callable[[], PolicySnapshot], request: HttpRequest, now: datetime
    ) -> Identity | None:
        """Tell who a browser says it is without being asked; None: it says nothing.

        Args:
            rights: Gives the rights; asked only where something was said.
            request: The request.
            now: The clock.

        Raises:
            CredentialInvalidError: If a cookie opens nothing.
        """
        cookie = cookie_of(request) if request.method not in WRITING else None
        if cookie is None:
            return None
        return self._signed(rights(), cookie, "cookie", Way.COOKIE, now)

    def _signed(self, rights: PolicySnapshot, text: str, use: Use, way: Way, now: datetime) -> Identity:
        signed = read_signed(self.peppers, text, use=use, now=now)
        return Identity(principal=principal_of_signed(rights, signed, now), way=way, text=text)
