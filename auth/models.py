"""The frozen values of auth: who there is, what they may, and what was decided; each has a document form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer

from auth.reach import (
    ALWAYS,
    ANY_SCENE,
    ANYWHERE_FROM,
    STRICT,
    Area,
    Conditions,
    Instant,
    Names,
    Place,
    Selector,
    Span,
    Window,
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

GRANTED_BY_DEFAULT: Final = frozenset({Action.CATALOGUE, Action.PREVIEW, Action.TILE, Action.INFO})
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


class PrincipalKind(StrEnum):
    """What kind of caller a credential names."""

    ANONYMOUS = "anonymous"
    INSTITUTION = "institution"
    OPERATOR = "operator"


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Who asks."""

    kind: PrincipalKind
    institution_id: str | None = None
    """Institution or operator id; None for anonymous, and for a member of no institution we know."""
    key_id: str | None = None
    """Id of the key that was shown, or that an address was signed for (never its secret)."""
    url_allowed: bool = False
    """Whether the key may be written into addresses."""
    role: Role = Role.READER
    """Manager only where the credential itself says so."""
    subject: str | None = None
    """The person, as an identity provider or a gateway names them; for the record, no right hangs on it."""
    caveats: tuple[Caveat, ...] = ()
    """Of the credential and of every key above it."""
    delegations: tuple[timedelta | None, ...] = ()
    """One for each key between the institution's own and the one shown: the life it was given; None: no
    end."""
    rate: Rate | None = None
    """Of the key."""

    @property
    def anonymous(self) -> bool:
        """True for a caller without a credential."""
        return self.kind is PrincipalKind.ANONYMOUS

    @property
    def narrowed(self) -> bool:
        """True where the credential is less than its institution; such a one never manages."""
        return bool(self.caveats or self.delegations)


ANONYMOUS: Final = Principal(kind=PrincipalKind.ANONYMOUS)

PUBLIC: Final = "public"
"""Grantee of what everybody may see; no institution may have this id."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Exclusion:
    """A forbid, or the ceiling of a licence, as it hangs on an allowance."""

    id: str
    """Id of the forbid, or `licence:ID`."""
    selector: Selector
    acquired: Window
    area: Area | None
    """None: everywhere."""
    finer_than: Tier | None = None
    """Only what is finer is excluded; None: everything is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """One thing a caller may do, complete in itself: allowances are united, never mixed."""

    grant_id: str
    """Id of the grant, or `licence:ID:public` and `licence:ID:partner` for a preview tier."""
    selector: Selector
    acquired: Window
    """Acquisition dates; a scene without a datetime fails a bounded window."""
    areas: tuple[Area, ...]
    """All of them hold, so it is their common part; none: everywhere."""
    finest_ground_resolution: float | None
    """Finest detail that may be read, metres per pixel; None: native."""
    times_pan: float | None = None
    """The same as a multiple of the scene's panchromatic resolution; the coarser of both holds."""
    exclusions: tuple[Exclusion, ...] = ()
    quota: Quota | None = None
    rate: Rate | None = None
    crisis: str | None = None
    """Event id, where a crisis grant made it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A grant to the caller that opens nothing now, and why."""

    grant_id: str
    code: str
    """One of REFUSALS."""
    selector: Selector
    """Which scenes it would open."""
    acquired: Window


REFUSALS: Final = ("quota", "origin", "action", "date_window", "delegation", "expired", "not_yet", "no_grant")
"""Why a grant opens nothing, the nearest miss first; `no_grant` where a credential or a crisis grant that
lacks approvals leaves nothing of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The answer to 'may this caller do this?'."""

    code: str
    """Stable. Of the rights alone: ok, suspended, not_manager, operator_only or one of REFUSALS. Once a
    place and a resolution are asked for: also forbidden, zoom_limit, outside_area."""
    allowances: tuple[Allowance, ...] = ()
    """Empty: nothing is allowed."""
    refusals: tuple[Refusal, ...] = ()
    """Grants to the caller that open nothing now."""
    realm: str | None = None
    """For MANAGE: the institution that may be managed; None: every one (or nothing, unless allowed)."""
    until: datetime | None = None
    """The same question has the same answer before this instant, as long as the rights stay; None: always."""

    @property
    def allowed(self) -> bool:
        """True when something is allowed."""
        return self.code == "ok"

    @property
    def ids(self) -> tuple[str, ...]:
        """What made it: the grants, tiers and forbids that hold; where it is refused, the nearest misses."""
        if not self.allowed:
            return tuple(refusal.grant_id for refusal in self.refusals if refusal.code == self.code)
        made = dict.fromkeys(allowance.grant_id for allowance in self.allowances)
        made.update((e.id, None) for allowance in self.allowances for e in allowance.exclusions)
        return tuple(made)


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
    """Name of the claim, such as siret or sub; of a gateway: org, username or role."""
    value: Line
    """What the claim must be, or hold where it is a list."""
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
    actions: Actions = GRANTED_BY_DEFAULT  # type: ignore[assignment] # mypy takes Literals for no enum
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


@dataclass(frozen=True, kw_only=True)
class PolicySnapshot:
    """All rights at one epoch, each kind by id; each worker holds one and swaps it whole."""

    epoch: int = 0
    """Grows with every change of rights."""
    institutions: Mapping[str, Institution] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    licences: Mapping[str, Licence] = field(default_factory=dict)
    memberships: Mapping[str, Membership] = field(default_factory=dict)
    keys: Mapping[str, Key] = field(default_factory=dict)
    grants: Mapping[str, Grant] = field(default_factory=dict)
    forbids: Mapping[str, Forbid] = field(default_factory=dict)

    @cached_property
    def grants_by_grantee(self) -> Mapping[str, tuple[Grant, ...]]:
        """Grants by the word in their grantee, in the order of their ids."""
        found: dict[str, list[Grant]] = {}
        for grant in sorted(self.grants.values(), key=lambda g: g.id):
            found.setdefault(grant.grantee, []).append(grant)
        return {grantee: tuple(grants) for grantee, grants in found.items()}

    @cached_property
    def groups_of(self) -> Mapping[str, tuple[str, ...]]:
        """The grantee words of each institution's groups."""
        found: dict[str, list[str]] = {}
        for group in self.groups.values():
            for member in group.members:
                found.setdefault(member, []).append(GROUP_PREFIX + group.id)
        return {member: tuple(sorted(words)) for member, words in found.items()}

    @cached_property
    def tiered_licences(self) -> tuple[Licence, ...]:
        """Licences with any tier, in the order of their ids."""
        licences = sorted(self.licences.values(), key=lambda each: each.id)
        return tuple(each for each in licences if each.public or each.partner or each.holder)

    @cached_property
    def ordered_forbids(self) -> tuple[Forbid, ...]:
        """Forbids in the order of their ids."""
        return tuple(sorted(self.forbids.values(), key=lambda forbid: forbid.id))

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the keys that each key made."""
        found: dict[str, list[str]] = {}
        for key in self.keys.values():
            if key.parent_id is not None:
                found.setdefault(key.parent_id, []).append(key.id)
        return {parent: tuple(sorted(ids)) for parent, ids in found.items()}

    @cached_property
    def conditional(self) -> bool:
        """True where some grant asks from where a request comes."""
        return any(grant.conditions != ANYWHERE_FROM for grant in self.grants.values())

    @cached_property
    def memberships_by_claim(self) -> Mapping[tuple[str, str, str], tuple[Membership, ...]]:
        """Memberships by issuer, claim and value."""
        found: dict[tuple[str, str, str], list[Membership]] = {}
        for membership in self.memberships.values():
            found.setdefault((membership.issuer, membership.claim, membership.value), []).append(membership)
        return {word: tuple(held) for word, held in found.items()}
