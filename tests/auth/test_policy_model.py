"""The decision, for random rights: against a naive model of the same, and by what holds for any rights."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from auth.credentials import principal_of
from auth.decision import ANONYMOUS, Decision
from auth.models import Action, GrantKind, Group, InstitutionStatus, Licence
from auth.policy import decide
from auth.reach import Circumstances
from tests.auth.builders import INSTITUTIONS, caller, institution, key, rights
from tests.auth.naive import Caller, may
from tests.auth.opening import shown
from tests.auth.strategies import (
    DAYS,
    EPOCH,
    HERE,
    WORLD,
    asked,
    caveats,
    crises_of,
    forbids_of,
    grants_of,
    instants,
    tiers,
)


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


@given(st.lists(grants_of, max_size=3), st.sampled_from([None, *INSTITUTIONS, "nobody"]), instants)
def test_what_is_open_is_open_to_all(grants, who, now):
    assert decide(rights(grants), caller(who), Action.OPEN, now) == Decision(code="ok")
