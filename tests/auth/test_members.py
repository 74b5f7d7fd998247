"""Memberships: which institution the words of an identity provider or a portal mean; nothing is guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from auth.decision import PrincipalKind
from auth.errors import CredentialInvalidError, InstitutionSuspendedError, InvalidRightError
from auth.members import memberships_of, principal_of_claims
from auth.models import Action, Institution, InstitutionStatus, Licence, Membership, Role, Tier
from auth.policy import decide
from auth.reach import Selector
from auth.rules import check_form, new_grant, new_membership
from auth.snapshot import PolicySnapshot

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
SSO, OTHER = "https://sso.example.org", "https://other.example.org"
MEMBERSHIPS = [
    new_membership("ign", SSO, "siret", "18006701900012"),
    new_membership("ign", SSO, "realm_access.roles", "flux-ign"),
    new_membership("ign", SSO, "sub", "chief", role=Role.MANAGER),
    new_membership("cnes", SSO, "groups", "/cnes"),
    new_membership("cnes", OTHER, "siret", "18006701900012"),
    new_membership("cnes", SSO, "https://example.org/org", "cnes"),
    new_membership("ops", SSO, "groups", "/ops"),
    new_membership("ign", "gateway", "org", "ign"),
]
RIGHTS = PolicySnapshot(
    institutions={
        id_: Institution(id=id_, name=id_, operator=id_ == "ops") for id_ in ("ign", "cnes", "ops")
    },
    memberships={each.id: each for each in MEMBERSHIPS},
    grants={
        g.id: g
        for g in (
            new_grant("ign", Selector(collections=frozenset({"a"})), area=None, now=NOW),
            new_grant("public", Selector(collections=frozenset({"p"})), area=None, now=NOW),
        )
    },
    licences={"l": Licence(id="l", title="l", partner=Tier(ground_resolution=10.0))},
)


def caller(claims, issuer=SSO, rights=RIGHTS, subject="u1"):
    return principal_of_claims(rights, issuer, claims, subject=subject)


def opened(principal, action=Action.TILE):
    return {allowance.grant_id for allowance in decide(RIGHTS, principal, action, NOW).allowances}


@pytest.mark.parametrize(
    ("claims", "institution"),
    [
        ({"siret": "18006701900012"}, "ign"),
        ({"siret": ["1", "18006701900012"]}, "ign"),
        ({"realm_access": {"roles": ["user", "flux-ign"]}}, "ign"),
        ({"realm_access": {"roles": "flux-ign"}}, "ign"),
        ({"realm_access.roles": "flux-ign"}, "ign"),
        ({"groups": ["/a", "/cnes"]}, "cnes"),
        ({"https://example.org/org": "cnes"}, "cnes"),
        ({"siret": "18006701900012", "realm_access": {"roles": ["flux-ign"]}}, "ign"),
        ({}, None),
        ({"siret": "18006701900013"}, None),
        ({"siret": 18006701900012}, None),
        ({"siret": [18006701900012, None, {}]}, None),
        ({"siret": {"18006701900012": 1}}, None),
        ({"siret": "18006701900012 "}, None),
        ({"SIRET": "18006701900012"}, None),
        ({"groups": "/CNES"}, None),
        ({"groups": [["/cnes"]]}, None),
        ({"groups": "/cnes/other"}, None),
        ({"realm_access": ["flux-ign"]}, None),
        ({"realm_access": None}, None),
        ({"realm_access": {"roles": ["x"]}, "realm_access.roles": "x"}, None),
        ({"realm_access": {"roles": ["flux-ign"]}, "realm_access.roles": []}, None),
        ({"org": "ign"}, None),
    ],
)
def test_a_claim_means_an_institution_or_none(claims, institution):
    principal = caller(claims)
    assert (principal.kind, principal.institution_id) == (PrincipalKind.INSTITUTION, institution)
    assert (principal.role, principal.key_id, principal.url_allowed) == (Role.READER, None, False)
    assert principal.subject == "u1"


def test_an_issuer_speaks_for_itself_only():
    claims = {"siret": "18006701900012", "org": "ign"}
    assert caller(claims).institution_id == "ign"
    assert caller(claims, OTHER).institution_id == "cnes"
    assert caller(claims, "gateway").institution_id == "ign"
    assert caller(claims, "https://sso.example.org/").institution_id is None


def test_who_would_be_of_two_institutions_is_of_none():
    claims = {"siret": "18006701900012", "groups": ["/cnes"]}
    assert len(memberships_of(RIGHTS, SSO, claims)) == 2
    principal = caller(claims)
    assert (principal.institution_id, principal.membership_id) == (None, None)
    closed = replace(RIGHTS.institutions["cnes"], status=InstitutionStatus.CLOSED)
    rights = replace(RIGHTS, institutions=RIGHTS.institutions | {"cnes": closed})
    assert caller(claims, rights=rights).institution_id is None


def test_a_member_of_none_sees_what_everybody_sees():
    stranger, member = caller({}), caller({"siret": "18006701900012"})
    assert {id_ for id_ in opened(stranger) if not id_.startswith("licence")} == {
        g.id for g in RIGHTS.grants.values() if g.grantee == "public"
    }
    assert "licence:l:partner" not in opened(stranger)
    assert "licence:l:partner" in opened(member)
    assert opened(member) > opened(stranger)
    for action in (Action.MANAGE, Action.OPERATE):
        assert not decide(RIGHTS, stranger, action, NOW).allowed


def test_a_manager_is_one_where_a_membership_says_so():
    principal = caller({"sub": "chief", "siret": "18006701900012"})
    assert principal.role is Role.MANAGER
    assert RIGHTS.memberships[principal.membership_id].claim == "sub"
    assert decide(RIGHTS, principal, Action.MANAGE, NOW).realm == "ign"
    assert not decide(RIGHTS, caller({"siret": "18006701900012"}), Action.MANAGE, NOW).allowed
    assert caller({"sub": "chief", "groups": ["/cnes"]}).role is Role.READER


def test_a_member_of_an_operator_operates_and_sees_no_imagery_by_that():
    principal = caller({"groups": ["/ops"]})
    assert principal.kind is PrincipalKind.OPERATOR
    assert decide(RIGHTS, principal, Action.OPERATE, NOW).allowed
    assert opened(principal) == opened(caller({}))


@pytest.mark.parametrize("status", [InstitutionStatus.SUSPENDED, InstitutionStatus.CLOSED])
def test_an_institution_that_is_not_active_has_no_members(status):
    ign = replace(RIGHTS.institutions["ign"], status=status)
    with pytest.raises(InstitutionSuspendedError):
        caller({"siret": "18006701900012"}, rights=replace(RIGHTS, institutions={"ign": ign}))
    with pytest.raises(CredentialInvalidError):
        caller({"siret": "18006701900012"}, rights=replace(RIGHTS, institutions={}))


def test_no_right_hangs_on_the_person():
    one, other = caller({"groups": "/cnes"}, subject="u1"), caller({"groups": "/cnes"}, subject="u2")
    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    ("issuer", "claim", "value"),
    [
        ("gateway", "orgname", "x"),
        ("gateway", "sub", "x"),
        ("", "org", "x"),
        (SSO, "", "x"),
        (SSO, "org", ""),
    ],
)
def test_a_membership_that_could_never_fit_is_refused(issuer, claim, value):
    with pytest.raises(InvalidRightError):
        new_membership("ign", issuer, claim, value)
    with pytest.raises(InvalidRightError):
        check_form(Membership(id="m", institution_id="ign", issuer=issuer, claim=claim, value=value))
