"""The frozen values of auth: institutions, keys, grants, forbids, decisions and their allowances."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """What a caller wants to do; every route declares one."""

    CATALOGUE = "catalogue"
    """Know that a layer exists, its extent, dates and styles."""
    PREVIEW = "preview"
    """A light picture of a layer."""
    TILE = "tile"
    """Pixels as tiles or maps."""
    INFO = "info"
    """Values of a point, statistics."""
    EXPORT = "export"
    """Packs and downloads."""
    OPERATE = "operate"
    """Metrics and administration; operators only, never granted."""
    OPEN = "open"
    """Shows neither pixels nor metadata: health, the empty map page, its scripts."""


GRANTED_BY_DEFAULT: frozenset[Action] = frozenset(
    {Action.CATALOGUE, Action.PREVIEW, Action.TILE, Action.INFO}
)
"""The actions of a grant that names none."""


class PrincipalKind(StrEnum):
    """What kind of caller a credential names."""

    ANONYMOUS = "anonymous"
    INSTITUTION = "institution"
    OPERATOR = "operator"


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Who asks."""

    kind: PrincipalKind
    institution_id: str | None = None
    """Institution or operator id; None for anonymous."""
    key_id: str | None = None
    """Id of the key that was shown (never its secret)."""
    url_allowed: bool = False
    """Whether the key may be written into addresses."""

    @property
    def anonymous(self) -> bool:
        """True for a caller without a credential."""
        return self.kind is PrincipalKind.ANONYMOUS


ANONYMOUS = Principal(kind=PrincipalKind.ANONYMOUS)

PUBLIC = "public"
"""Grantee of what everybody may see; no institution may have this id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """A polygon of rights."""

    wkb: bytes
    """WKB of a valid Polygon or MultiPolygon, longitude and latitude (WGS 84)."""
    digest: str
    """Hex digest of the wkb, 16 characters."""


EVERYWHERE: None = None
"""An area written out as everywhere: no polygon cuts. A grant without an area is invalid, so the store
keeps the word and only the policy turns it into this value."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A half-open span of UTC time; None on a side: unbounded there."""

    start: datetime | None = None
    """First instant inside."""
    end: datetime | None = None
    """First instant outside."""

    def contains(self, instant: datetime) -> bool:
        """Tell whether the instant is inside."""
        return (self.start is None or self.start <= instant) and (self.end is None or instant < self.end)


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """Which scenes: AND between kinds, OR within one; None: any."""

    collections: frozenset[str] | None = None
    licences: frozenset[str] | None = None
    sensors: frozenset[str] | None = None
    scenes: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Exclusion:
    """A forbid as it hangs on an allowance."""

    id: str
    """Id of the forbid."""
    selector: Selector
    acquired: Window
    area: Area | None
    """None: everywhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """One thing a caller may do, complete in itself: allowances are united, never mixed."""

    grant_id: str
    selector: Selector
    acquired: Window
    """Acquisition dates; a scene without a datetime fails a bounded window."""
    area: Area | None
    """None: everywhere."""
    finest_ground_resolution: float | None
    """Finest detail that may be read, metres per pixel; None: native."""
    exclusions: tuple[Exclusion, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The answer to 'may this caller do this?'."""

    code: str
    """Stable: ok, no_grant, operator_only."""
    allowances: tuple[Allowance, ...]
    """Empty: nothing is allowed."""

    @property
    def allowed(self) -> bool:
        """True when something is allowed."""
        return self.code == "ok"


class InstitutionStatus(StrEnum):
    """Life of an institution."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Institution:
    """A contract party."""

    id: str
    """`[a-z0-9][a-z0-9._-]{0,63}`."""
    name: str
    status: InstitutionStatus = InstitutionStatus.ACTIVE
    operator: bool = False
    """True for a DINAMIS operator: may operate, has no imagery rights by that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """Terms that a product is under."""

    id: str
    """`[a-z0-9][a-z0-9._-]{0,63}`."""
    title: str
    provider: str = ""
    attribution: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A key as it is stored: no secret."""

    id: str
    """8 characters."""
    institution_id: str
    secret_hmac: bytes
    """HMAC-SHA256(pepper, secret), 32 bytes."""
    pepper_version: int
    url_allowed: bool
    """Whether the key may stand in URLs."""
    label: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """A right as it is stored."""

    id: str
    grantee: str
    """Institution id or PUBLIC."""
    selector: Selector
    area: Area | None
    """None: everywhere (the store keeps the word 'everywhere')."""
    acquired: Window
    valid: Window
    finest_ground_resolution: float | None
    actions: frozenset[Action]
    created: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Forbid:
    """An embargo, suspension or take-down as it is stored."""

    id: str
    selector: Selector
    area: Area | None
    acquired: Window
    valid: Window
    reason: str
    created: datetime


@dataclass(frozen=True, kw_only=True)
class PolicySnapshot:
    """All rights at one epoch; each worker holds one and swaps it whole."""

    epoch: int
    """Grows with every change of rights."""
    institutions: dict[str, Institution]
    licences: dict[str, Licence]
    keys: dict[str, Key]
    """By key id."""
    grants: tuple[Grant, ...]
    forbids: tuple[Forbid, ...]
