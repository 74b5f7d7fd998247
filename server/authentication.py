"""From what a request shows to who asks: keys, signatures, tokens, a portal's word; decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from auth.credentials import Peppers, authenticate, earliest, end_of
from auth.decision import ANONYMOUS, Principal
from auth.members import principal_of_claims
from auth.models import GATEWAY
from auth.signing import Use, looks_signed, principal_of_signed, read_signed
from auth.snapshot import PolicySnapshot
from server.gateway import Gateway
from server.identity import Presented, Way, cookie_of
from server.issuers import Tokens
from server.requests import HttpRequest

WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods that a cookie and a portal's word never open: another site could make a browser send them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who asks, and by what."""

    principal: Principal
    way: Way
    text: str | None = None
    """The credential as sent; only ever written back into addresses."""
    secret: int = 0
    """Number of the key's secret that was shown; 0: none was."""
    signed: bool = False
    """True for a signature, wherever it stood."""
    until: datetime | None = None
    """When a token ends; what is signed in its name ends by then."""
    sure_until: datetime | None = None
    """Before this instant the same credential means the same, as long as the rights stay; None: always."""


NOBODY = Identity(principal=ANONYMOUS, way=Way.NONE)


@dataclass(frozen=True, kw_only=True)
class Authenticator:
    """Checks credentials; one that is wrong is an error, never nobody."""

    peppers: Peppers
    tokens: Tokens
    gateway: Gateway

    async def explicit(
        self, rights: Callable[[], PolicySnapshot], shown: Presented, now: datetime
    ) -> Identity:
        """Tell who shows a key, a signature or a token.

        Args:
            rights: Gives the rights; of a token they are asked for after its issuer was.
            shown: The credential.
            now: The clock.

        Raises:
            CredentialInvalidError: If it opens nothing.
        """
        assert shown.text is not None, "nothing shown is nobody"
        if shown.way is Way.TOKEN:
            return await self._bearer(rights, shown.text, now)
        return self._own(rights(), shown, now)

    def _own(self, rights: PolicySnapshot, shown: Presented, now: datetime) -> Identity:
        """Tell who shows what we made ourselves."""
        assert shown.text is not None, "nothing shown is nobody"
        if shown.way is Way.SIGNATURE or (shown.way is Way.HEADER and looks_signed(shown.text)):
            return self._signed(rights, shown.text, "url", shown.way, now)
        found = authenticate(
            rights, self.peppers, shown.text, in_url=shown.way in {Way.QUERY, Way.PATH}, now=now
        )
        return Identity(
            principal=found.principal,
            way=shown.way,
            text=shown.text,
            secret=found.secret,
            sure_until=found.until,
        )

    def implicit(
        self, rights: Callable[[], PolicySnapshot], request: HttpRequest, now: datetime
    ) -> Identity | None:
        """Tell who a browser says it is without being asked; None: it says nothing.

        Args:
            rights: Gives the rights; asked only where something was said.
            request: The request.
            now: The clock.

        Raises:
            CredentialInvalidError: If a cookie opens nothing, or the institution is not active.
        """
        if request.method in WRITING:
            return None
        user = self.gateway.user(request)
        if user is not None:
            principal = principal_of_claims(rights(), GATEWAY, user.claims, subject=user.username)
            return Identity(principal=principal, way=Way.GATEWAY)
        cookie = cookie_of(request)
        if cookie is None:
            return None
        return self._signed(rights(), cookie, "cookie", Way.COOKIE, now)

    def _signed(self, rights: PolicySnapshot, text: str, use: Use, way: Way, now: datetime) -> Identity:
        signed = read_signed(self.peppers, text, use=use, now=now)
        principal = principal_of_signed(rights, signed, now)
        key = rights.keys.get(signed.key_id or "")
        until = earliest(signed.expires, None if key is None else end_of(rights, key))
        return Identity(principal=principal, way=way, text=text, signed=True, sure_until=until)

    async def _bearer(self, rights: Callable[[], PolicySnapshot], text: str, now: datetime) -> Identity:
        """Tell who a token means now; the token itself is never written anywhere."""
        token = await self.tokens.check(text, now)
        principal = principal_of_claims(rights(), token.issuer, token.claims, subject=token.subject)
        return Identity(
            principal=principal,
            way=Way.TOKEN,
            until=datetime.fromtimestamp(token.expires, UTC),
            sure_until=self.tokens.sure_until(text, now),
        )
