"""What a portal in front of this server says of its user (geOrchestra's `sec-*` headers), if it may.

Believed only from a configured network, as the socket says it, with a shared secret, and written in one way;
else the headers are as if they were not there. No other header of a portal is read.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from server.requests import HttpRequest

USERNAME, ORGANISATION, ROLES = "sec-username", "sec-org", "sec-roles"
HEADERS = (USERNAME, ORGANISATION, ROLES)
ROLE_PREFIX = "ROLE_"

_ENCODED = "{base64}"
_LONGEST = 4096
_MOST_ROLES = 200

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, kw_only=True, slots=True)
class PortalUser:
    """Who the portal says that asks."""

    username: str | None
    claims: Mapping[str, str | tuple[str, ...]]
    """`username`, `org` and `role`, as memberships name them; roles with and without their prefix."""


class _HeadersDroppedError(Exception):
    """The headers are not believed; the message is one of a few words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gateway:
    """Reads the headers of a portal that is trusted."""

    dropped: Callable[[str], None]
    """Told the reason each time that headers are not believed: off, peer, secret, twin, twice, malformed."""
    networks: tuple[Network, ...] = ()
    """Where the portal asks from; none: no portal is trusted."""
    secret_header: str = ""
    """Lower-case name."""
    secret: bytes = field(default=b"", repr=False)

    def user(self, request: HttpRequest) -> PortalUser | None:
        """Give who the portal says that asks; None: it says nothing, or is not believed."""
        if not any(_canonical(name) in HEADERS for name in request.headers):
            return None
        try:
            self._check_sender(request)
            username, organisation = _text(request, USERNAME), _text(request, ORGANISATION)
            roles = [role.strip() for role in (_text(request, ROLES) or "").split(";")]
        except _HeadersDroppedError as error:
            self.dropped(str(error))
            return None
        if username is None and organisation is None:  # a visitor of the portal who is not signed in
            return None
        if len(roles) > _MOST_ROLES:
            self.dropped("malformed")
            return None
        said: dict[str, str | tuple[str, ...]] = {
            "role": (*roles, *(role.removeprefix(ROLE_PREFIX) for role in roles))
        }
        if username is not None:
            said["username"] = username
        if organisation is not None:
            said["org"] = organisation
        return PortalUser(username=username, claims=said)

    def _check_sender(self, request: HttpRequest) -> None:
        if not self.networks or not self.secret:
            raise _HeadersDroppedError("off")
        if not self._is_near(request.peer):
            raise _HeadersDroppedError("peer")
        watched = {*HEADERS, self.secret_header}
        if any(name not in watched and _canonical(name) in watched for name in request.headers):
            raise _HeadersDroppedError("twin")
        if any(len(request.headers.get(name, ())) > 1 for name in watched):
            raise _HeadersDroppedError("twice")
        shown = request.header(self.secret_header) or ""
        if not hmac.compare_digest(shown.encode("latin-1"), self.secret):
            raise _HeadersDroppedError("secret")

    def _is_near(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.networks)


def _canonical(name: str) -> str:
    """Write a header's name as some servers in between would: they take `_` for `-`."""
    return name.replace("_", "-")


def _text(request: HttpRequest, name: str) -> str | None:
    """Read a header, plain or in geOrchestra's `{base64}` form; None: it is not there, or empty."""
    raw = (request.header(name) or "").encode("latin-1")
    try:
        if raw.startswith(_ENCODED.encode()):
            raw = base64.b64decode(raw[len(_ENCODED) :], validate=True)
        text = raw.decode().strip()
    except (binascii.Error, ValueError) as error:
        raise _HeadersDroppedError("malformed") from error
    if len(text) > _LONGEST or not text.isprintable():
        raise _HeadersDroppedError("malformed")
    return text or None
