"""The decision, example by example: what becomes of each kind of right, and what is told."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest

from auth.decision import ANONYMOUS, Decision, Principal, PrincipalKind
from auth.models import (
    PUBLIC,
    Action,
    Caveat,
    Delegation,
    GrantKind,
    Group,
    InstitutionStatus,
    Licence,
    Quota,
    Rate,
    Role,
    Tier,
)
from auth.policy import decide
from auth.reach import EVERYWHERE, Circumstances, Conditions, Selector, Window
from tests.auth.builders import caller, forbid, grant, institution, named, rights
from tests.auth.strategies import DAYS, EAST, EPOCH, HERE, WEST


@pytest.mark.parametrize("action", [Action.OPERATE, Action.MANAGE])
@pytest.mark.parametrize("status", InstitutionStatus)
def test_operating_needs_an_active_operator_and_no_grant_gives_it(action, status):
    snapshot = rights(
        [grant(grantee="alpha")], institutions=[institution("ops", status), institution("alpha")]
    )
    decision = decide(snapshot, caller("ops"), action, EPOCH)
    assert decision.allowed is (status is InstitutionStatus.ACTIVE)
    assert decision.realm is None
    assert not decide(snapshot, caller("alpha"), action, EPOCH).allowed
    assert not decide(snapshot, ANONYMOUS, action, EPOCH).allowed


def test_a_manager_manages_its_own_institution_and_operates_nothing():
    manager = replace(caller("alpha"), role=Role.MANAGER)
    assert decide(rights(), manager, Action.MANAGE, EPOCH) == Decision(code="ok", realm="alpha")
    assert decide(rights(), manager, Action.OPERATE, EPOCH).code == "operator_only"
    assert decide(rights(), caller("alpha"), Action.MANAGE, EPOCH).code == "not_manager"


@pytest.mark.parametrize(
    "narrower", [{"caveats": (Caveat(area=EVERYWHERE),)}, {"delegations": (None,)}], ids=["caveat", "child"]
)
@pytest.mark.parametrize("who", ["alpha", "ops"])
def test_a_narrowed_credential_never_manages(narrower, who):
    principal = replace(caller(who), role=Role.MANAGER, **narrower)
    for action in (Action.MANAGE, Action.OPERATE):
        assert not decide(rights(), principal, action, EPOCH).allowed


def test_a_grant_becomes_one_allowance_with_all_its_limits():
    window = Window(start=DAYS[0], end=DAYS[1])
    granted = grant(area=WEST, acquired=window, finest_ground_resolution=0.7, quota=Quota(amount=5))
    granted = replace(granted, rate=Rate(per_second=2.0))
    (allowance,) = decide(rights([granted]), caller("alpha"), Action.TILE, EPOCH).allowances
    assert allowance.grant_id == "g1"
    assert allowance.selector == granted.selector
    assert (allowance.areas, allowance.acquired) == ((WEST,), window)
    assert allowance.finest_ground_resolution == 0.7
    assert (allowance.quota, allowance.rate) == (Quota(amount=5), Rate(per_second=2.0))
    assert (allowance.exclusions, allowance.crisis) == ((), None)


def test_grants_are_never_merged():
    near = grant("g1", area=WEST, finest_ground_resolution=10.0)
    far = grant("g2", area=EAST, finest_ground_resolution=0.5)
    decision = decide(rights([far, near]), caller("alpha"), Action.TILE, EPOCH)
    pairs = [(a.grant_id, a.areas, a.finest_ground_resolution) for a in decision.allowances]
    assert pairs == [("g1", (WEST,), 10.0), ("g2", (EAST,), 0.5)]
    assert decision.ids == ("g1", "g2")


def test_forbids_that_hold_hang_on_every_allowance_in_order():
    held = [forbid("f2", area=EAST), forbid("f1", acquired=Window(start=DAYS[2]))]
    over = forbid("f0", valid=Window(end=DAYS[1]))
    decision = decide(
        rights([grant("g1"), grant("g2")], [over, *held]), caller("alpha"), Action.TILE, DAYS[1]
    )
    assert [[e.id for e in a.exclusions] for a in decision.allowances] == [["f1", "f2"], ["f1", "f2"]]
    assert decision.ids == ("g1", "g2", "f1", "f2")


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (DAYS[1] - timedelta(microseconds=1), "not_yet"),
        (DAYS[1], "ok"),
        (DAYS[2] - timedelta(microseconds=1), "ok"),
        (DAYS[2], "expired"),
    ],
)
def test_a_grant_holds_in_a_half_open_window(now, code):
    snapshot = rights([grant(valid=Window(start=DAYS[1], end=DAYS[2]))])
    decision = decide(snapshot, caller("alpha"), Action.TILE, now)
    assert decision.code == code
    assert decision.ids == ("g1",)


@pytest.mark.parametrize(
    ("asker", "grantee", "code"),
    [
        (None, PUBLIC, "ok"),
        (None, "alpha", "no_grant"),
        ("alpha", "alpha", "ok"),
        ("alpha", PUBLIC, "ok"),
        ("alpha", "beta", "no_grant"),
        ("ops", PUBLIC, "ok"),
        ("ops", "alpha", "no_grant"),
        ("ops", "ops", "no_grant"),
        ("nobody", PUBLIC, "suspended"),
        ("nobody", "nobody", "suspended"),
    ],
)
def test_who_has_what(asker, grantee, code):
    assert decide(rights([grant(grantee=grantee)]), caller(asker), Action.TILE, EPOCH).code == code


def test_a_member_of_no_known_institution_sees_what_everybody_sees():
    stranger = Principal(kind=PrincipalKind.INSTITUTION, subject="someone")
    snapshot = rights(
        [grant("g1", PUBLIC), grant("g2", "alpha")],
        licences={"l": Licence(id="l", title="l", partner=Tier(ground_resolution=10.0))},
    )
    allowances = decide(snapshot, stranger, Action.TILE, EPOCH).allowances
    assert [a.grant_id for a in allowances] == ["g1"]
    assert decide(snapshot, stranger, Action.MANAGE, EPOCH).code == "not_manager"


@pytest.mark.parametrize("status", [InstitutionStatus.SUSPENDED, InstitutionStatus.CLOSED])
@pytest.mark.parametrize("grantee", ["alpha", PUBLIC])
def test_a_suspended_institution_has_nothing_not_even_what_is_public(status, grantee):
    licences = {"l": Licence(id="l", title="l", public=Tier(ground_resolution=10.0))}
    snapshot = rights(
        [grant(grantee=grantee)], institutions=[institution("alpha", status)], licences=licences
    )
    assert decide(snapshot, caller("alpha"), Action.TILE, EPOCH) == Decision(code="suspended")


def test_an_operator_who_no_longer_is_one_does_not_operate():
    demoted = replace(institution("ops"), operator=False)
    assert (
        decide(rights(institutions=[demoted]), caller("ops"), Action.OPERATE, EPOCH).code == "operator_only"
    )


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"actions": frozenset({Action.INFO})}, "action"),
        ({"conditions": Conditions(origins=frozenset({HERE}))}, "origin"),
        ({"conditions": Conditions(networks=frozenset({"192.0.2.0/24"}))}, "origin"),
        ({"kind": GrantKind.CRISIS, "event_id": "E", "approvals": ("ops",)}, "no_grant"),
        ({"quota": Quota(amount=0)}, "quota"),
    ],
)
def test_why_a_grant_opens_nothing_is_told(fields, code):
    decision = decide(
        rights([grant(**fields)]),
        caller("alpha"),
        Action.TILE,
        EPOCH,
        exhausted=frozenset({"g1"}) if code == "quota" else frozenset(),
    )
    assert decision.code == code
    assert [(r.grant_id, r.code) for r in decision.refusals] == [("g1", code)]


def test_the_nearest_miss_is_told():
    snapshot = rights([grant("g1", valid=Window(end=EPOCH)), grant("g2", actions=frozenset({Action.INFO}))])
    decision = decide(snapshot, caller("alpha"), Action.TILE, EPOCH)
    assert (decision.code, decision.ids) == ("action", ("g2",))


def test_networks_are_asked_of_the_client_address():
    snapshot = rights([grant(conditions=Conditions(networks=frozenset({"192.0.2.0/24", "2001:db8::/32"})))])
    for text, allowed in (("192.0.2.7", True), ("192.0.3.7", False), ("2001:db8::1", True), ("::1", False)):
        asked_from = Circumstances(address=ip_address(text))
        decision = decide(snapshot, caller("alpha"), Action.TILE, EPOCH, circumstances=asked_from)
        assert decision.allowed is allowed


def test_a_crisis_overrides_only_what_may_be_overridden_and_is_told():
    crisis = grant("g1", kind=GrantKind.CRISIS, event_id="EMSR1", approvals=("ops", "ops2"))
    snapshot = rights(
        [crisis, grant("g2")], [forbid("f1", overridable_by_crisis=True), forbid("f2", area=EAST)]
    )
    first, second = decide(snapshot, caller("alpha"), Action.TILE, EPOCH).allowances
    assert (first.crisis, [e.id for e in first.exclusions]) == ("EMSR1", ["f2"])
    assert (second.crisis, [e.id for e in second.exclusions]) == (None, ["f1", "f2"])


def test_tiers_and_ceilings_are_told_by_their_licence():
    fine, coarse = Tier(ground_resolution=2.0), Tier(ground_resolution=20.0, times_pan=32.0)
    licences = named(
        [
            Licence(id="b", title="b", public=coarse, partner=fine),
            Licence(id="a", title="a", public=coarse, holder=fine),
        ]
    )
    decision = decide(rights(licences=licences), caller("alpha"), Action.PREVIEW, EPOCH)
    limits = [(a.grant_id, a.finest_ground_resolution, a.times_pan) for a in decision.allowances]
    assert limits == [
        ("licence:a:public", 20.0, 32.0),
        ("licence:b:public", 20.0, 32.0),
        ("licence:b:partner", 2.0, None),
    ]
    assert [a.selector.licences for a in decision.allowances] == [
        frozenset("a"),
        frozenset("b"),
        frozenset("b"),
    ]
    partner_only = named([Licence(id="c", title="c", partner=fine)])
    assert decide(rights(licences=partner_only), caller("alpha"), Action.TILE, EPOCH).ids == (
        "licence:c:partner",
    )
    for allowance in decision.allowances:
        (ceiling,) = allowance.exclusions
        assert (ceiling.id, ceiling.area, ceiling.finer_than) == ("licence:a", None, fine)
        assert (allowance.areas, allowance.crisis, allowance.quota) == ((), None, None)
    assert decision.ids == ("licence:a:public", "licence:b:public", "licence:b:partner", "licence:a")
    everybody = decide(rights(licences=licences), ANONYMOUS, Action.PREVIEW, EPOCH)
    assert everybody.ids == ("licence:a:public", "licence:b:public", "licence:a")
    for action in (Action.INFO, Action.EXPORT):
        assert decide(rights(licences=licences), caller("alpha"), action, EPOCH).code == "no_grant"


def test_a_decision_tells_until_when_it_holds():
    begins, ends, over = DAYS[2], DAYS[4], DAYS[1]
    granted = [grant("g1", valid=Window(end=ends)), grant("g2", valid=Window(end=over))]
    later = forbid(valid=Window(start=begins))
    decision = decide(rights(granted, [later]), caller("alpha"), Action.TILE, over)
    assert decision.until == begins
    assert decide(rights(granted), caller("alpha"), Action.TILE, over).until == ends
    assert decide(rights(granted), caller("alpha"), Action.TILE, ends).until is None
    assert decide(rights(granted), caller("beta"), Action.TILE, EPOCH).until is None


def test_what_a_caveat_leaves_nothing_of_is_told_with_its_reason():
    narrow = Caveat(
        area=WEST, selector=Selector(collections=frozenset({"spot"})), acquired=Window(end=DAYS[1])
    )
    granted = [
        grant("g1", area=EAST, acquired=Window(start=DAYS[1])),
        grant("g2", selector=Selector(collections=frozenset({"other"}))),
        grant("g3", area=WEST, acquired=Window(start=DAYS[0], end=DAYS[2]), finest_ground_resolution=2.0),
    ]
    principal = replace(caller("alpha"), caveats=(narrow, replace(narrow, finest_ground_resolution=9.0)))
    decision = decide(rights(granted), principal, Action.TILE, EPOCH)
    assert [(r.grant_id, r.code, r.selector, r.acquired) for r in decision.refusals] == [
        ("g1", "date_window", granted[0].selector, granted[0].acquired),
        ("g2", "no_grant", granted[1].selector, granted[1].acquired),
    ]
    (left,) = decision.allowances
    assert (left.grant_id, left.areas, left.finest_ground_resolution) == ("g3", (WEST,), 9.0)
    assert left.acquired == Window(start=DAYS[0], end=DAYS[1])


@pytest.mark.parametrize(
    ("caveat", "asked_from", "code"),
    [
        (Caveat(area=EVERYWHERE, actions=frozenset({Action.INFO})), None, "action"),
        (Caveat(area=EVERYWHERE, actions=frozenset({Action.TILE})), None, "ok"),
        (Caveat(area=EVERYWHERE, conditions=Conditions(origins=frozenset({HERE}))), None, "origin"),
        (Caveat(area=EVERYWHERE, conditions=Conditions(origins=frozenset({HERE}))), HERE, "ok"),
    ],
)
def test_a_caveat_bars_grants_and_tiers_alike(caveat, asked_from, code):
    licences = named([Licence(id="l", title="l", public=Tier(ground_resolution=10.0))])
    principal = replace(caller("alpha"), caveats=(caveat,))
    circumstances = Circumstances(origin=asked_from)
    decision = decide(
        rights([grant()], licences=licences), principal, Action.TILE, EPOCH, circumstances=circumstances
    )
    assert (decision.code, len(decision.allowances)) == (code, 2 if code == "ok" else 0)


@pytest.mark.parametrize(
    ("delegable", "lives", "code"),
    [
        (None, (), "ok"),
        (None, (timedelta(days=1),), "delegation"),
        (Delegation(), (None,), "ok"),
        (Delegation(), (None, None), "delegation"),
        (Delegation(depth=2, longest_days=10), (timedelta(days=10), timedelta(days=1)), "ok"),
        (Delegation(depth=2, longest_days=10), (timedelta(days=1), timedelta(days=11)), "delegation"),
        (Delegation(depth=2, longest_days=10), (timedelta(days=1), None), "delegation"),
    ],
)
def test_how_far_a_grant_reaches_into_keys_below_keys(delegable, lives, code):
    principal = replace(caller("alpha"), delegations=lives)
    assert decide(rights([grant(delegable=delegable)]), principal, Action.TILE, EPOCH).code == code
    public = rights([grant(grantee=PUBLIC, delegable=None)])
    assert decide(public, principal, Action.TILE, EPOCH).code == "ok"


def test_a_grant_to_a_group_reaches_its_members_alone():
    groups = {"both": Group(id="both", name="both", members=frozenset({"alpha"}))}
    snapshot = rights([grant(grantee="group:both")], groups=groups)
    codes = [decide(snapshot, caller(id_), Action.TILE, EPOCH).code for id_ in ("alpha", "beta", "ops", None)]
    assert codes == ["ok", "no_grant", "no_grant", "no_grant"]


def test_a_forbid_hangs_there_with_all_its_limits():
    window, selector = Window(start=DAYS[1]), Selector(sensors=frozenset({"phr"}))
    held = forbid(area=WEST, acquired=window, selector=selector)
    (allowance,) = decide(rights([grant()], [held]), caller("alpha"), Action.TILE, EPOCH).allowances
    (exclusion,) = allowance.exclusions
    assert (exclusion.id, exclusion.area, exclusion.acquired) == ("f1", WEST, window)
    assert (exclusion.selector, exclusion.finer_than) == (selector, None)
