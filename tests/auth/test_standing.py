"""What is worked out once for all who ask is, at every instant, what it would be worked out anew."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.decision import Principal, PrincipalKind
from auth.models import Action, Caveat, Delegation, Licence, Tier
from auth.policy import decide
from auth.reach import EVERYWHERE, Conditions, Selector, Window
from tests.auth.builders import forbid, grant, rights
from tests.auth.strategies import DAYS, WEST

ALPHA = Principal(kind=PrincipalKind.INSTITUTION, institution_id="alpha", key_id="AAAAAAAA")
NARROWED = Principal(
    kind=PrincipalKind.INSTITUTION,
    institution_id="alpha",
    key_id="BBBBBBBB",
    caveats=(Caveat(area=WEST, selector=Selector(collections=frozenset({"spot"}))),),
)
BELOW = replace(ALPHA, key_id="CCCCCCCC", delegations=(timedelta(days=9),))
BARRED = replace(
    NARROWED, key_id="DDDDDDDD", caveats=(Caveat(area=WEST, actions=frozenset({Action.EXPORT})),)
)
CALLERS = [ALPHA, NARROWED, BELOW, BARRED]
USED_UP = [frozenset[str](), frozenset({"g0"}), frozenset({"g1", "g2"})]
SPANS = [Window(start=a, end=b) for a in (None, *DAYS[:3]) for b in (None, *DAYS[3:])]
DELEGABLE = [Delegation(longest_days=2), None, Delegation()]
INSTANTS = sorted(day + step for day in DAYS for step in (-timedelta(seconds=1), timedelta(0)))


def world(spans, overridable):
    grants = [
        grant(f"g{number}", grantee, area=EVERYWHERE, valid=span, delegable=DELEGABLE[number])
        for number, (span, grantee) in enumerate(zip(spans, ("alpha", "public", "alpha"), strict=True))
    ]
    forbids = [
        forbid(f"f{number}", valid=span, overridable_by_crisis=over)
        for number, (span, over) in enumerate(zip(spans[::-1], overridable, strict=True))
    ]
    return rights(grants, forbids)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(SPANS), min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.lists(
        st.tuples(st.sampled_from(INSTANTS), st.sampled_from(CALLERS), st.sampled_from(USED_UP)), max_size=12
    ),
)
def test_one_snapshot_asked_at_many_instants_answers_as_fresh_ones_do(spans, overridable, asked):
    held = world(spans, overridable)
    for now, principal, used_up in asked:
        for action in (Action.TILE, Action.EXPORT, Action.CATALOGUE):
            fresh = decide(world(spans, overridable), principal, action, now, exhausted=used_up)
            assert decide(held, principal, action, now, exhausted=used_up) == fresh
            later = fresh.until
            assert later is None or later > now


def test_decisions_share_what_is_the_same_for_all():
    held = world(SPANS[:3], [False] * 3)
    one, other = (decide(held, p, Action.TILE, DAYS[0]) for p in (ALPHA, NARROWED))
    again = decide(held, NARROWED, Action.TILE, DAYS[0])
    assert one.allowances[0].exclusions is other.allowances[0].exclusions
    assert all(a is b for a, b in zip(other.allowances, again.allowances, strict=True))


@pytest.mark.parametrize("first", [0, 1])
def test_a_quota_that_is_used_up_is_known_at_once_and_left_behind_at_once(first):
    held = rights([grant("g0", area=EVERYWHERE), grant("g1", area=EVERYWHERE)])
    asked = [(frozenset[str](), "ok"), (frozenset({"g0", "g1"}), "quota")]
    for used_up, code in (asked[first], asked[1 - first], asked[first]):
        assert decide(held, ALPHA, Action.TILE, DAYS[0], exhausted=used_up).code == code


@pytest.mark.parametrize("first", [0, 1])
def test_what_bars_one_key_bars_no_other(first):
    held = rights([grant("g0", area=EVERYWHERE)])
    asked = [(ALPHA, "ok"), (BARRED, "action")]
    for principal, code in (asked[first], asked[1 - first], asked[first]):
        assert decide(held, principal, Action.TILE, DAYS[0]).code == code


def test_a_refusal_names_the_scenes_that_the_grant_would_open():
    acquired, selector = Window(start=DAYS[0]), Selector(collections=frozenset({"spot"}))
    gone = Window(end=DAYS[1])
    held = rights([grant("g0", area=EVERYWHERE, selector=selector, acquired=acquired, valid=gone)])
    (told,) = decide(held, ALPHA, Action.TILE, DAYS[3]).refusals
    assert (told.code, told.selector, told.acquired) == ("expired", selector, acquired)


def test_what_is_the_same_for_all_is_worked_out_once():
    tiers = Tier(ground_resolution=10.0)
    held = rights(
        [grant("g0", area=EVERYWHERE, delegable=None), grant("g1", area=EVERYWHERE)],
        licences={"open": Licence(id="open", title="open", public=tiers)},
    )
    for principal in (ALPHA, BELOW):
        one, other = (decide(held, principal, Action.TILE, DAYS[0]) for _ in range(2))
        assert len(one.allowances) > 1
        assert all(a is b for a, b in zip(one.allowances, other.allowances, strict=True))
        assert all(a is b for a, b in zip(one.refusals, other.refusals, strict=True))
    assert one.refusals
    assert held.standing.closures(DAYS[0]) is held.standing.closures(DAYS[0])
    first, second = (held.standing.given("alpha", Action.TILE, DAYS[0]) for _ in range(2))
    assert first is second
    conditional = rights(
        [grant("g0", area=EVERYWHERE, conditions=Conditions(origins=frozenset({"https://a.example"})))]
    )
    closures = conditional.standing.closures(DAYS[0])
    made = closures.allowance(conditional.grants["g0"])
    assert closures.allowance(conditional.grants["g0"]) is made
