"""The frozen values of auth: who there is, what they may, and what was decided; each has a document form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer

from auth.reach import (
    ALWAYS,
    ANY_SCENE,
    ANYWHERE_FROM,
    EVERYWHERE,
    STRICT,
    Conditions,
    Instant,
    Names,
    Place,
    Selector,
    Span,
)

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""Id of an institution, group, licence, membership, grant or forbid."""

KeyId = Annotated[str, Field(pattern=r"^[0-9A-Za-z]{8}$")]
"""Id of a key."""

Line = Annotated[str, Field(max_length=2000)]
"""Words for people."""

Metres = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
"""A ground resolution, metres per pixel; coarser than 10 km no grid has a level to show it at."""


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
    MANAGE = "manage"
    """Keys, usage and decisions of an institution; its managers and the operators, never granted."""
    OPERATE = "operate"
    """Metrics and administration; operators only, never granted."""
    OPEN = "open"
    """Shows neither pixels nor metadata: health, the empty map page, its scripts."""


GRANTABLE: Final = frozenset({Action.CATALOGUE, Action.PREVIEW, Action.TILE, Action.INFO, Action.EXPORT})
"""The actions that a grant may give."""

GRANTED_BY_DEFAULT: Final[Actions] = frozenset({Action.CATALOGUE, Action.PREVIEW, Action.TILE, Action.INFO})
"""The actions of a grant that names none."""

TIER_ACTIONS: Final = frozenset({Action.CATALOGUE, Action.PREVIEW, Action.TILE})
"""What the preview tier of a licence opens."""


def _ordered_actions(actions: frozenset[Action]) -> list[str]:
    return sorted(action.value for action in actions)


Actions = Annotated[
    frozenset[Literal[Action.CATALOGUE, Action.PREVIEW, Action.TILE, Action.INFO, Action.EXPORT]],
    PlainSerializer(_ordered_actions, return_type=list[str]),
    Field(min_length=1),
]
"""Actions that can be granted, written as a sorted list."""


class Role(StrEnum):
    """What a key or a member may do within its own institution."""

    READER = "reader"
    """Look at what is granted."""
    MANAGER = "manager"
    """Also make and revoke keys, and see usage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """How fast something may be used, by the generic cell rate algorithm."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    per_second: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
    """Units a second in the long run."""
    burst: Annotated[int, Field(ge=1, le=10**6)] = 50
    """Units that may come at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """How much of a grant may be used in a period; hard, it is never passed."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    amount: Annotated[int, Field(ge=0, le=10**12)]
    """Units: one is 65 536 pixels of a picture (a 256 px tile); a value of a point is 0.1."""
    period: Literal["day", "month", "year", "total"] = "month"
    """UTC calendar; total never begins anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caveat:
    """What narrows a credential; it can only take away."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    area: Place
    selector: Selector = ANY_SCENE
    acquired: Span = ALWAYS
    finest_ground_resolution: Metres | None = None
    actions: Actions | None = None
    """None: all that the institution has."""
    conditions: Conditions = ANYWHERE_FROM


UNNARROWED: Final = Caveat(area=EVERYWHERE)
"""Takes nothing away; it is never kept."""

PUBLIC: Final = "public"
"""Grantee of what everybody may see; no institution may have this id."""

GATEWAY: Final = "gateway"
"""Issuer of the memberships that a portal's headers are looked up in."""

GATEWAY_CLAIMS: Final = frozenset({"org", "role", "username"})
"""What a portal says of a caller."""

GROUP_PREFIX: Final = "group:"
"""What the grantee of a grant to a group begins with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tier:
    """How fine a picture may be; where both are said, the coarser holds."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    ground_resolution: Metres | None = None
    """Metres per pixel."""
    times_pan: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] | None = None
    """Multiple of the sensor's panchromatic resolution (sensors.md §8: 32 is a public extract)."""

    def __post_init__(self) -> None:
        if self.ground_resolution is None and self.times_pan is None:
            raise ValueError("a tier says ground_resolution, times_pan or both")


NATIVE: Final[Tier | None] = None
"""No limit of resolution."""


class InstitutionStatus(StrEnum):
    """Life of an institution."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Institution:
    """A contract party."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: Id
    name: Line
    status: InstitutionStatus = InstitutionStatus.ACTIVE
    operator: bool = False
    """True for a DINAMIS operator: may operate, has no imagery rights by that."""
    agreement: Line = ""
    """Reference of the contract or charter it signed."""
    contacts: tuple[Line, ...] = ()
    """Mail addresses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Institutions that grants may be made to together."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: Id
    name: Line
    members: Names = frozenset()
    """Institution ids."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Membership:
    """Which institution an identity provider's or a gateway's word means."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: Id
    institution_id: Id
    issuer: Line
    """Issuer of tokens, exactly; or `gateway`."""
    claim: Line
    """Name of the claim, such as siret or realm_access.roles; of a gateway: org, username or role."""
    value: Line
    """What the claim must be, or hold where it is a list; text, compared letter by letter."""
    role: Role = Role.READER


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """Terms that a product is under."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: Id
    title: Line
    provider: Line = ""
    attribution: Line = ""
    url: Line = ""
    terms_version: Line = ""
    redistribution: Literal["open", "institutional", "contract"] = "institutional"
    """Who the terms let the product go to: everybody, public institutions, or the contract's parties."""
    sensors: Names = frozenset()
    """Sensors it is about; for the record."""
    public: Tier | None = None
    """What everybody may see; None: nothing."""
    partner: Tier | None = None
    """What a signed-in institution may see without a grant; None: nothing."""
    holder: Tier | None = None
    """The finest that any grant opens; None: native."""


def _from_hex(value: object) -> object:
    return bytes.fromhex(value) if isinstance(value, str) else value


Digest = Annotated[
    bytes, BeforeValidator(_from_hex), PlainSerializer(bytes.hex), Field(min_length=32, max_length=32)
]
"""32 bytes, written as hex."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeySecret:
    """One of the secrets that a key answers to."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    number: Annotated[int, Field(ge=1)]
    """Counts the rotations of the key, from 1."""
    hmac: Digest
    """HMAC-SHA256(pepper, secret)."""
    pepper_version: Annotated[int, Field(ge=1)]
    until: Instant | None = None
    """First instant at which it opens nothing; None: as long as the key lives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A key as it is stored: no secret in the clear."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: KeyId
    institution_id: Id
    secrets: Annotated[tuple[KeySecret, ...], Field(min_length=1, max_length=2)]
    """The newest last; two while a rotation's grace lasts."""
    url_allowed: bool
    """Whether the key may stand in URLs."""
    label: Line
    created: Instant
    expires: Instant | None = None
    revoked: Instant | None = None
    parent_id: KeyId | None = None
    """The key that made it; it dies with that one."""
    role: Role = Role.READER
    caveat: Caveat | None = None
    """What narrows it; None: all that its institution has."""
    rate: Rate | None = None


class GrantKind(StrEnum):
    """Ordinary or not."""

    NORMAL = "normal"
    CRISIS = "crisis"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delegation:
    """How far a grant reaches into keys made by keys."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    depth: Annotated[int, Field(ge=1, le=4)] = 1
    """Keys below the institution's own."""
    longest_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    """Longest life of such a key; None: any."""


APPROVALS_NEEDED: Final = 2
"""Different operators who must approve a crisis grant before it holds."""

LONGEST_CRISIS: Final = timedelta(hours=72)
"""Longest validity of a crisis grant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """A right as it is stored."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: Id
    grantee: Annotated[str, Field(pattern=r"^(group:)?[a-z0-9][a-z0-9._-]{0,63}$")]
    """Institution id, `group:ID` or PUBLIC."""
    area: Place
    created: Instant
    selector: Selector = ANY_SCENE
    acquired: Span = ALWAYS
    valid: Span = ALWAYS
    finest_ground_resolution: Metres | None = None
    actions: Actions = GRANTED_BY_DEFAULT
    conditions: Conditions = ANYWHERE_FROM
    quota: Quota | None = None
    rate: Rate | None = None
    delegable: Delegation | None = Delegation()
    """None: only the institution's own keys may use it."""
    kind: GrantKind = GrantKind.NORMAL
    event_id: Line | None = None
    """Of a crisis: which one, such as EMSR712."""
    approvals: tuple[Id, ...] = ()
    """Of a crisis: the operators who approved it."""
    reason: Line = ""
    agreement: Line = ""
    created_by: Line = ""

    @property
    def approved(self) -> bool:
        """False for a crisis grant that too few operators have approved."""
        return self.kind is GrantKind.NORMAL or len(set(self.approvals)) >= APPROVALS_NEEDED


@dataclass(frozen=True, kw_only=True, slots=True)
class Forbid:
    """An embargo, suspension or take-down as it is stored."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    id: Id
    area: Place
    reason: Line
    created: Instant
    selector: Selector = ANY_SCENE
    acquired: Span = ALWAYS
    valid: Span = ALWAYS
    overridable_by_crisis: bool = False
    created_by: Line = ""


Right = Institution | Group | Licence | Membership | Key | Grant | Forbid
"""Anything that the store of rights keeps."""

Kind = Literal["institution", "group", "licence", "membership", "key", "grant", "forbid"]
"""What a right is."""
