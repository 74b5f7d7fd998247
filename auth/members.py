"""From the words of an identity provider or a portal to a caller: the institution they mean, if any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from auth.credentials import active_institution
from auth.decision import Principal, PrincipalKind
from auth.models import Membership, Role
from auth.snapshot import PolicySnapshot


def principal_of_claims(
    snapshot: PolicySnapshot, issuer: str, claims: Mapping[str, Any], *, subject: str | None
) -> Principal:
    """Give the caller that claims stand for now.

    Where no membership fits, or those that fit mean different institutions, the caller is a member of none:
    it sees what everybody sees. Nothing is guessed.

    Args:
        snapshot: The rights at this moment.
        issuer: Who says so, exactly; GATEWAY for a portal.
        claims: What it says; believed.
        subject: The person's name there, for the record.

    Raises:
        CredentialInvalidError: If the institution is not active.
    """
    found = memberships_of(snapshot, issuer, claims)
    if len({membership.institution_id for membership in found}) != 1:
        return Principal(kind=PrincipalKind.INSTITUTION, subject=subject)
    institution = active_institution(snapshot, found[0].institution_id)
    manages = next((held for held in found if held.role is Role.MANAGER), None)
    return Principal(
        kind=PrincipalKind.OPERATOR if institution.operator else PrincipalKind.INSTITUTION,
        institution_id=institution.id,
        role=Role.MANAGER if manages is not None else Role.READER,
        subject=subject,
        membership_id=(manages or found[0]).id,
    )


def memberships_of(
    snapshot: PolicySnapshot, issuer: str, claims: Mapping[str, Any]
) -> tuple[Membership, ...]:
    """Give the memberships that fit, in the order of their ids."""
    found = {
        membership.id: membership
        for claim in snapshot.claims_of_issuer.get(issuer, ())
        for value in _values(claims, claim)
        for membership in snapshot.memberships_by_claim.get((issuer, claim, value), ())
    }
    return tuple(found[id_] for id_ in sorted(found))


def _values(claims: Mapping[str, Any], name: str) -> Iterator[str]:
    """Give the texts of a claim, alone or in a list; numbers and anything else are none.

    The name is looked for as it is; only then are its dots steps into objects.
    """
    value = claims.get(name)
    if name not in claims:
        value = claims
        for step in name.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
    for each in value if isinstance(value, list | tuple) else (value,):
        if isinstance(each, str) and each:
            yield each
