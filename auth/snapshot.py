"""All rights at one epoch, and the ways that they are looked up by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from auth.models import (
    GROUP_PREFIX,
    PUBLIC,
    Forbid,
    Grant,
    GrantKind,
    Group,
    Institution,
    Key,
    Licence,
    Membership,
)
from auth.reach import ANYWHERE_FROM
from auth.standing import Standing


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
    def standing(self) -> Standing:
        """What they come to by the time."""
        return Standing(self.grants_by_grantee, self.ordered_forbids, self.tiered_licences)

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

    def crises_at(self, now: datetime) -> Mapping[str, int]:
        """Count the crisis grants that hold at an instant, by event id."""
        return Counter(
            grant.event_id
            for grant in self.grants.values()
            if grant.kind is GrantKind.CRISIS
            and grant.event_id
            and grant.approved
            and grant.valid.contains(now)
        )

    @cached_property
    def public_conditional(self) -> bool:
        """True where what everybody may see depends on from where a request comes."""
        return any(grant.conditions != ANYWHERE_FROM for grant in self.grants_by_grantee.get(PUBLIC, ()))

    @cached_property
    def memberships_by_claim(self) -> Mapping[tuple[str, str, str], tuple[Membership, ...]]:
        """Memberships by issuer, claim and value."""
        found: dict[tuple[str, str, str], list[Membership]] = {}
        for membership in self.memberships.values():
            found.setdefault((membership.issuer, membership.claim, membership.value), []).append(membership)
        return {word: tuple(held) for word, held in found.items()}

    @cached_property
    def claims_of_issuer(self) -> Mapping[str, tuple[str, ...]]:
        """The claims that memberships look at, by issuer, in their order."""
        found: dict[str, set[str]] = {}
        for membership in self.memberships.values():
            found.setdefault(membership.issuer, set()).add(membership.claim)
        return {issuer: tuple(sorted(claims)) for issuer, claims in found.items()}
