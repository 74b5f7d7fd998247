"""Who asks and what was decided: the values that go into `decide` and come out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from auth.models import Caveat, Quota, Rate, Role, Tier
from auth.reach import Area, Selector, Window


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
    """Institution or operator id; None for anonymous, and for a member of no institution we know."""
    key_id: str | None = None
    """Id of the key that was shown, or that an address was signed for (never its secret)."""
    url_allowed: bool = False
    """Whether the key may be written into addresses."""
    role: Role = Role.READER
    """Manager only where the credential itself says so."""
    subject: str | None = field(default=None, compare=False)
    """The person, as an identity provider or a gateway names them; for the record, no right hangs on it."""
    membership_id: str | None = field(default=None, compare=False)
    """The membership that made it; for what is signed in its name, no right hangs on it."""
    caveats: tuple[Caveat, ...] = ()
    """Of the credential and of every key above it."""
    delegations: tuple[timedelta | None, ...] = ()
    """One for each key between the institution's own and the one shown: the life it was given; None: no
    end."""
    rates: tuple[tuple[str, Rate], ...] = ()
    """Of the key and of each key above it that has one, by key id: a key made by another uses up both."""

    @property
    def anonymous(self) -> bool:
        """True for a caller without a credential."""
        return self.kind is PrincipalKind.ANONYMOUS

    @property
    def narrowed(self) -> bool:
        """True where the credential is less than its institution; such a one never manages."""
        return bool(self.caveats or self.delegations)


ANONYMOUS: Final = Principal(kind=PrincipalKind.ANONYMOUS)


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
