"""What may enter the store of rights: id grammars, checks, the making of grants and forbids; pure."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from auth.credentials import KEY_ID_GRAMMAR
from auth.errors import InvalidIdError
from auth.models import (
    GRANTED_BY_DEFAULT,
    PUBLIC,
    Action,
    Area,
    Forbid,
    Grant,
    Institution,
    Key,
    Licence,
    Selector,
    Window,
)

ID_GRAMMAR: Final = "[a-z0-9][a-z0-9._-]{0,63}"
"""What the ids of institutions, licences, grants and forbids look like."""

ALWAYS: Final = Window()
"""The window that every instant is in."""

GRANTABLE: Final = frozenset(Action) - {Action.OPERATE, Action.OPEN}
"""The actions that a grant may give."""

T = TypeVar("T")

_ID: Final = re.compile(ID_GRAMMAR)
_KEY_ID: Final = re.compile(KEY_ID_GRAMMAR)
_POLYGON_TYPES: Final = frozenset({3, 6})
_WKB_HEADER_LENGTH: Final = 5
_HMAC_LENGTH: Final = 32


def new_area(wkb: bytes) -> Area:
    """Make an area of its WKB.

    Args:
        wkb: A valid Polygon or MultiPolygon without Z, longitude and latitude (WGS 84).

    Raises:
        ValueError: If the header is not that of such a geometry.
    """
    area = Area(wkb=wkb, digest=hashlib.sha256(wkb).hexdigest()[:16])
    _check_area(area)
    return area


def new_grant(
    grantee: str,
    selector: Selector,
    *,
    area: Area | None,
    now: datetime,
    acquired: Window = ALWAYS,
    valid: Window = ALWAYS,
    finest_ground_resolution: float | None = None,
    actions: frozenset[Action] = GRANTED_BY_DEFAULT,
) -> Grant:
    """Make a grant; its id is a digest of its content, so the same right has the same id everywhere.

    Args:
        grantee: Institution id or PUBLIC.
        selector: Which scenes.
        area: Where; EVERYWHERE must be said.
        now: When it is made, with a time zone.
        acquired: Acquisition dates of the scenes.
        valid: When the grant holds.
        finest_ground_resolution: Finest detail, metres per pixel; None: native.
        actions: What for.

    Raises:
        InvalidIdError: If the grantee's id breaks its grammar.
        ValueError: If a value is impossible.
    """
    grant = Grant(
        id="g",
        grantee=grantee,
        selector=selector,
        area=area,
        acquired=acquired,
        valid=valid,
        finest_ground_resolution=finest_ground_resolution,
        actions=actions,
        created=now,
    )
    check_grant(grant)
    return replace(grant, id=f"g{grant_digest(grant)[:16]}")


def new_forbid(
    selector: Selector,
    *,
    area: Area | None,
    reason: str,
    now: datetime,
    acquired: Window = ALWAYS,
    valid: Window = ALWAYS,
) -> Forbid:
    """Make a forbid; its id is a digest of its content.

    Args:
        selector: Which scenes.
        area: Where; EVERYWHERE must be said.
        reason: Why, for the record.
        now: When it is made, with a time zone.
        acquired: Acquisition dates of the scenes.
        valid: When the forbid holds.

    Raises:
        ValueError: If a value is impossible.
    """
    forbid = Forbid(
        id="f", selector=selector, area=area, acquired=acquired, valid=valid, reason=reason, created=now
    )
    check_forbid(forbid)
    return replace(forbid, id=f"f{forbid_digest(forbid)[:16]}")


def check_institution(institution: Institution) -> None:
    """Refuse an institution whose id breaks the grammar or is `public`.

    Raises:
        InvalidIdError: If it does.
    """
    _check_id("institution", institution.id)
    if institution.id == PUBLIC:
        raise InvalidIdError("institution", institution.id, f"{ID_GRAMMAR} and not be {PUBLIC!r}")


def check_licence(licence: Licence) -> None:
    """Refuse a licence whose id breaks the grammar.

    Raises:
        InvalidIdError: If it does.
    """
    _check_id("licence", licence.id)


def check_key(key: Key) -> None:
    """Refuse a key that no text could ever match, or whose dates have no time zone.

    Raises:
        InvalidIdError: If the id breaks its grammar.
        ValueError: If a value is impossible.
    """
    if _KEY_ID.fullmatch(key.id) is None:
        raise InvalidIdError("key", key.id, KEY_ID_GRAMMAR)
    if len(key.secret_hmac) != _HMAC_LENGTH:
        raise ValueError("the HMAC of a key has 32 bytes")
    for instant in (key.created, key.expires, key.revoked):
        check_instant(instant)


def check_grant(grant: Grant) -> None:
    """Refuse a grant that could never mean what was meant.

    Raises:
        InvalidIdError: If an id breaks its grammar.
        ValueError: If a value is impossible.
    """
    _check_id("grant", grant.id)
    _check_id("institution", grant.grantee)
    _check_reach(grant.selector, grant.area, grant.acquired, grant.valid)
    check_instant(grant.created)
    if not grant.actions or not grant.actions <= GRANTABLE:
        raise ValueError(f"a grant gives one or more of: {', '.join(sorted(GRANTABLE))}")
    resolution = grant.finest_ground_resolution
    if resolution is not None and not (math.isfinite(resolution) and resolution > 0):
        raise ValueError("the finest ground resolution is a number of metres above 0")


def check_forbid(forbid: Forbid) -> None:
    """Refuse a forbid that could never mean what was meant.

    Raises:
        InvalidIdError: If its id breaks the grammar.
        ValueError: If a value is impossible.
    """
    _check_id("forbid", forbid.id)
    _check_reach(forbid.selector, forbid.area, forbid.acquired, forbid.valid)
    check_instant(forbid.created)


def grant_digest(grant: Grant) -> str:
    """Digest what a grant says, not its id nor when it was made: 64 hex characters."""
    resolution = grant.finest_ground_resolution
    return _digest(
        [
            "grant",
            grant.grantee,
            *_reach(grant.selector, grant.area, grant.acquired, grant.valid),
            None if resolution is None else float(resolution),
            sorted(grant.actions),
        ]
    )


def forbid_digest(forbid: Forbid) -> str:
    """Digest what a forbid says, not its id nor when it was made: 64 hex characters."""
    return _digest(
        ["forbid", *_reach(forbid.selector, forbid.area, forbid.acquired, forbid.valid), forbid.reason]
    )


def check_instant(instant: datetime | None) -> None:
    """Refuse a date without a time zone.

    Raises:
        ValueError: If it has none.
    """
    if instant is not None and instant.tzinfo is None:
        raise ValueError("a date of rights needs a time zone")


def in_order(values: dict[str, T]) -> dict[str, T]:
    """Order by id; here and not in SQL, since databases order text by their own rules."""
    return dict(sorted(values.items()))


def _check_id(what: str, id_: str) -> None:
    if _ID.fullmatch(id_) is None:
        raise InvalidIdError(what, id_, ID_GRAMMAR)


def _check_reach(selector: Selector, area: Area | None, acquired: Window, valid: Window) -> None:
    for ids in (selector.collections, selector.licences, selector.sensors, selector.scenes):
        if ids is not None and (not ids or "" in ids):
            raise ValueError("a selector names at least one id, or leaves the kind out")
    if area is not None:
        _check_area(area)
    for window in (acquired, valid):
        check_instant(window.start)
        check_instant(window.end)
        if window.start is not None and window.end is not None and window.start >= window.end:
            raise ValueError("a window must end after it begins")


def _check_area(area: Area) -> None:
    """Refuse an area that would cut nothing, or share its digest with another."""
    order = {b"\0": "big", b"\1": "little"}.get(area.wkb[:1])
    header = area.wkb[1:_WKB_HEADER_LENGTH]
    kind = int.from_bytes(header, "big" if order == "big" else "little")
    if order is None or kind not in _POLYGON_TYPES or len(area.wkb) <= _WKB_HEADER_LENGTH:
        raise ValueError("an area is the WKB of a Polygon or MultiPolygon without Z")
    if area.digest != hashlib.sha256(area.wkb).hexdigest()[:16]:
        raise ValueError("the digest of an area is that of its WKB")


def _reach(selector: Selector, area: Area | None, acquired: Window, valid: Window) -> list[object]:
    """Write down where and when a right holds, the same text for the same meaning."""
    kinds = (selector.collections, selector.licences, selector.sensors, selector.scenes)
    instants = (acquired.start, acquired.end, valid.start, valid.end)
    return [
        *(None if ids is None else sorted(ids) for ids in kinds),
        "everywhere" if area is None else hashlib.sha256(area.wkb).hexdigest(),
        *(None if instant is None else instant.astimezone(UTC).isoformat() for instant in instants),
    ]


def _digest(content: list[object]) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
