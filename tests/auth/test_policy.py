"""The decision, against a naive model of the same rights and by the properties it promises."""

from dataclasses import replace
from datetime import timedelta
from functools import cache
from ipaddress import ip_address

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from auth.credentials import principal_of
from auth.decision import ANONYMOUS, Decision, Principal, PrincipalKind
from auth.models import (
    PUBLIC,
    Action,
    Caveat,
    Delegation,
    Forbid,
    Grant,
    GrantKind,
    Group,
    Institution,
    InstitutionStatus,
    Key,
    KeySecret,
    Licence,
    Quota,
    Rate,
    Role,
    Tier,
)
from auth.policy import decide
from auth.reach import EVERYWHERE, Circumstances, Conditions, Selector, Window
from auth.snapshot import PolicySnapshot
from tests.auth.naive import Caller, may
from tests.auth.strategies import (
    DAYS,
    EAST,
    EPOCH,
    HERE,
    WEST,
    WORLD,
    asked,
    caveats,
    crises_of,
    forbids_of,
    grants_of,
    instants,
    tiers,
)

INSTITUTIONS = ("alpha", "beta", "ops", "ops2")


def institution(id_, status=InstitutionStatus.ACTIVE):
    return Institution(id=id_, name=id_, status=status, operator=id_.startswith("ops"))


def grant(id_="g1", grantee="alpha", **fields):
    values = {"selector": Selector(collections=frozenset({"spot"})), "actions": frozenset({Action.TILE})}
    return Grant(
        id=id_, grantee=grantee, area=fields.pop("area", EVERYWHERE), created=EPOCH, **(values | fields)
    )


def forbid(id_="f1", **fields):
    values = {"selector": Selector(collections=frozenset({"spot"})), "reason": "embargo"}
    return Forbid(id=id_, area=fields.pop("area", EVERYWHERE), created=EPOCH, **(values | fields))


def named(values):
    return {value.id: value for value in values}


def rights(grants=(), forbids=(), institutions=None, **more):
    known = institutions or tuple(institution(id_) for id_ in INSTITUTIONS)
    return PolicySnapshot(
        epoch=1, institutions=named(known), grants=named(grants), forbids=named(forbids), **more
    )


def caller(id_):
    if id_ is None:
        return ANONYMOUS
    kind = PrincipalKind.OPERATOR if id_.startswith("ops") else PrincipalKind.INSTITUTION
    return Principal(kind=kind, institution_id=id_, key_id="abcdefgh")


def key(id_, institution_id="alpha", **more):
    secret = KeySecret(number=1, hmac=bytes(32), pepper_version=1)
    return Key(
        id=id_,
        institution_id=institution_id,
        secrets=(secret,),
        url_allowed=True,
        label="",
        created=EPOCH,
        **more,
    )


def opens(decision, point):
    """What a decision opens of a point, reading its allowances as their docstrings say."""
    for allowance in decision.allowances:
        limit = max(allowance.finest_ground_resolution or 0, (allowance.times_pan or 0) * point.pan)
        if point.detail < limit or not reads(allowance, point):
            continue
        if not all(inside(area, point) for area in allowance.areas):
            continue
        if not any(excludes(exclusion, point) for exclusion in allowance.exclusions):
            return True
    return False


def excludes(exclusion, point):
    if not reads(exclusion, point) or not inside(exclusion.area, point):
        return False
    tier = exclusion.finer_than
    return tier is None or point.detail < max(tier.ground_resolution or 0, (tier.times_pan or 0) * point.pan)


def reads(right, point):
    selector = right.selector
    pairs = zip(
        (selector.collections, selector.licences, selector.sensors, selector.scenes),
        (point.collection, point.licence, point.sensor, point.scene),
        strict=True,
    )
    dated = right.acquired == Window() or (
        point.acquired is not None and right.acquired.contains(point.acquired)
    )
    return dated and all(names is None or value in names for names, value in pairs)


def inside(area, point):
    return area is None or holds(area, point.lon, point.lat)


@cache
def holds(area, lon, lat):
    return shapely.contains_xy(shapely.from_wkb(area.wkb), lon, lat)


def shown(decision):
    return {number for number, point in enumerate(WORLD) if opens(decision, point)}


class Rights(RuleBasedStateMachine):
    """Rights that change in any order; after each change the decision is what the model says."""

    def __init__(self):
        super().__init__()
        self.rights = rights(
            groups={"both": Group(id="both", name="both", members=frozenset({"alpha"}))},
            licences={id_: Licence(id=id_, title=id_) for id_ in ("etalab", "airbus")},
            keys={
                k.id: k
                for k in (
                    key("alphakey"),
                    key("betakey0", "beta"),
                    key("opskey00", "ops"),
                    key("belowkey", parent_id="alphakey", expires=DAYS[5]),
                    key("lowest00", parent_id="belowkey"),
                )
            },
        )
        self.now = EPOCH
        self.exhausted = frozenset()
        self.steps = 0

    def put(self, kind, value):
        self.rights = replace(self.rights, **{kind: {**getattr(self.rights, kind), value.id: value}})

    @initialize(first=st.lists(grants_of, min_size=1, max_size=3))
    def begin(self, first):
        for each in first:
            self.put("grants", each)

    @rule(added=grants_of | crises_of)
    def add_grant(self, added):
        self.put("grants", added)

    @rule(data=st.data())
    def remove_grant(self, data):
        if self.rights.grants:
            gone = data.draw(st.sampled_from(sorted(self.rights.grants)))
            before = self.everything()
            left = {id_: g for id_, g in self.rights.grants.items() if id_ != gone}
            self.rights = replace(self.rights, grants=left)
            for question, opened in self.everything().items():
                assert opened <= before[question]

    @rule(data=st.data())
    def approve(self, data):
        waiting = sorted(id_ for id_, g in self.rights.grants.items() if g.kind is GrantKind.CRISIS)
        if waiting:
            found = self.rights.grants[data.draw(st.sampled_from(waiting))]
            operator = data.draw(st.sampled_from(["ops", "ops2"]))
            if operator not in found.approvals:
                self.put("grants", replace(found, approvals=(*found.approvals, operator)))

    @rule(added=forbids_of)
    def add_forbid(self, added):
        if added.id in self.rights.forbids:  # putting another in its place may well allow more
            return
        before = self.everything()
        self.put("forbids", added)
        for question, opened in self.everything().items():
            assert opened <= before[question]

    @rule(data=st.data())
    def lift_forbid(self, data):
        if self.rights.forbids:
            gone = data.draw(st.sampled_from(sorted(self.rights.forbids)))
            left = {id_: f for id_, f in self.rights.forbids.items() if id_ != gone}
            self.rights = replace(self.rights, forbids=left)

    @rule(licence=st.sampled_from(["etalab", "airbus"]), public=tiers, partner=tiers, holder=tiers)
    def set_tiers(self, licence, public, partner, holder):
        found = self.rights.licences[licence]
        self.put("licences", replace(found, public=public, partner=partner, holder=holder))

    @rule(caveat=caveats, days=st.sampled_from([None, 5, 20]), data=st.data())
    def make_child_key(self, caveat, days, data):
        parent = self.rights.keys[data.draw(st.sampled_from(sorted(self.rights.keys)))]
        if len(self.chain(parent)) < 3 and len(self.rights.keys) < 8:
            made = key(
                f"child{len(self.rights.keys):03}",
                parent.institution_id,
                parent_id=parent.id,
                caveat=caveat,
                expires=None if days is None else EPOCH + timedelta(days=days),
            )
            self.put("keys", made)

    @rule(members=st.frozensets(st.sampled_from(["alpha", "beta"])))
    def change_group(self, members):
        self.put("groups", Group(id="both", name="both", members=members))

    @rule(id_=st.sampled_from(["alpha", "beta"]), status=st.sampled_from(InstitutionStatus))
    def change_status(self, id_, status):
        self.put("institutions", institution(id_, status))

    @rule(moment=instants)
    def move_the_clock(self, moment):
        self.now = moment

    @rule(data=st.data())
    def use_up(self, data):
        ids = sorted(self.rights.grants)
        self.exhausted = data.draw(st.frozensets(st.sampled_from(ids))) if ids else frozenset()

    def chain(self, shown_key):
        found = [shown_key]
        while found[-1].parent_id is not None:
            found.append(self.rights.keys[found[-1].parent_id])
        return tuple(found)

    def callers(self):
        """Every key whose chain is alive, and nobody; with the same caller in the model's words."""
        yield ANONYMOUS, Caller(None)
        for each in self.rights.keys.values():
            if self.rights.institutions[each.institution_id].status is InstitutionStatus.ACTIVE:
                if any(k.expires is not None and k.expires <= self.now for k in self.chain(each)):
                    continue
                chain = self.chain(each)
                operator = each.institution_id.startswith("ops")
                yield principal_of(self.rights, each, self.now), Caller(each.institution_id, chain, operator)

    def decided(self, principal, action, origin):
        return decide(
            self.rights,
            principal,
            action,
            self.now,
            circumstances=Circumstances(origin=origin),
            exhausted=self.exhausted,
        )

    def everything(self):
        return {
            (principal.key_id, action): shown(self.decided(principal, action, HERE))
            for principal, _ in self.callers()
            for action in (Action.TILE, Action.CATALOGUE)
        }

    @invariant()
    def the_decision_opens_what_the_model_opens(self):
        self.steps += 1
        turn = (Action.TILE, Action.INFO, Action.CATALOGUE)[self.steps % 3]
        for principal, model in self.callers():
            for origin in (None, HERE):
                decision = self.decided(principal, turn, origin)
                expected = {
                    number
                    for number, point in enumerate(WORLD)
                    if may(
                        self.rights,
                        model,
                        turn.value,
                        self.now,
                        point,
                        origin=origin,
                        exhausted=self.exhausted,
                    )
                }
                assert shown(decision) == expected
                assert decision.allowed is bool(decision.allowances)
                assert decision.allowed or decision.code != "ok"
                self.check_until(principal, turn, origin, decision)

    def check_until(self, principal, action, origin, decision):
        """Until then the answer is the same; the boundary itself is one of a validity."""
        if decision.until is not None:
            before = self.now
            self.now = decision.until - timedelta(microseconds=1)
            try:
                again = self.decided(principal, action, origin)
            finally:
                self.now = before
            assert (again.allowances, again.refusals) == (decision.allowances, decision.refusals)

    @invariant()
    def a_key_opens_no_more_than_the_one_above_it(self):
        seen = {p.key_id: p for p, _ in self.callers()}
        for principal in seen.values():
            held = self.rights.keys.get(principal.key_id)
            if held is not None and held.parent_id is not None and held.parent_id in seen:
                child = shown(self.decided(principal, Action.TILE, HERE))
                assert child <= shown(self.decided(seen[held.parent_id], Action.TILE, HERE))


Rights.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestRights = Rights.TestCase


@settings(deadline=None)
@given(
    st.lists(grants_of | crises_of, max_size=5, unique_by=lambda right: right.id),
    st.lists(forbids_of, max_size=3, unique_by=lambda right: right.id),
    asked,
    instants,
    st.randoms(),
)
def test_the_order_of_rights_means_nothing(grants, forbids, action, now, random):
    before = decide(rights(grants, forbids), caller("alpha"), action, now)
    random.shuffle(grants)
    random.shuffle(forbids)
    assert decide(rights(grants, forbids), caller("alpha"), action, now) == before


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


@given(st.lists(grants_of, max_size=3), st.sampled_from([None, *INSTITUTIONS, "nobody"]), instants)
def test_what_is_open_is_open_to_all(grants, who, now):
    assert decide(rights(grants), caller(who), Action.OPEN, now) == Decision(code="ok")


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
