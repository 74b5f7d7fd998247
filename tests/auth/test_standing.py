"""What is worked out once for all who ask is, at every instant, what it would be worked out anew."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from auth.decision import Principal, PrincipalKind
from auth.models import Action, Caveat, Delegation
from auth.policy import decide
from auth.reach import EVERYWHERE, Selector, Window
from tests.auth.test_policy import DAYS, WEST, forbid, grant, rights

ALPHA = Principal(kind=PrincipalKind.INSTITUTION, institution_id="alpha", key_id="AAAAAAAA")
NARROWED = Principal(
    kind=PrincipalKind.INSTITUTION,
    institution_id="alpha",
    key_id="BBBBBBBB",
    caveats=(Caveat(area=WEST, selector=Selector(collections=frozenset({"spot"}))),),
)
BELOW = replace(ALPHA, key_id="CCCCCCCC", delegations=(timedelta(days=9),))
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
    st.lists(st.tuples(st.sampled_from(INSTANTS), st.sampled_from([ALPHA, NARROWED, BELOW])), max_size=12),
)
def test_one_snapshot_asked_at_many_instants_answers_as_fresh_ones_do(spans, overridable, asked):
    held = world(spans, overridable)
    for now, principal in asked:
        for action in (Action.TILE, Action.EXPORT, Action.CATALOGUE):
            fresh = decide(world(spans, overridable), principal, action, now)
            assert decide(held, principal, action, now) == fresh
            later = fresh.until
            assert later is None or later > now


def test_decisions_share_what_is_the_same_for_all():
    held = world(SPANS[:3], [False] * 3)
    one, other = (decide(held, p, Action.TILE, DAYS[0]) for p in (ALPHA, NARROWED))
    again = decide(held, NARROWED, Action.TILE, DAYS[0])
    assert one.allowances[0].exclusions is other.allowances[0].exclusions
    assert all(a is b for a, b in zip(other.allowances, again.allowances, strict=True))
