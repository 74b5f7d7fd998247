"""The decision, against a naive model of the same rules and by the properties it promises."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.models import (
    ANONYMOUS,
    EVERYWHERE,
    PUBLIC,
    Action,
    Area,
    Decision,
    Forbid,
    Grant,
    Institution,
    InstitutionStatus,
    PolicySnapshot,
    Principal,
    PrincipalKind,
    Selector,
    Window,
)
from auth.policy import decide

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = [EPOCH + timedelta(days=day) for day in range(5)]
WEST, EAST = Area(wkb=b"west", digest="w" * 16), Area(wkb=b"east", digest="e" * 16)
PLACES = {WEST: {0, 1}, EAST: {1, 2}}
INSTITUTIONS = ("alpha", "beta", "ops", "closed")


def institution(id_, status=InstitutionStatus.ACTIVE):
    return Institution(id=id_, name=id_, status=status, operator=id_ == "ops")


def caller(id_):
    if id_ is None:
        return ANONYMOUS
    kind = PrincipalKind.OPERATOR if id_ == "ops" else PrincipalKind.INSTITUTION
    return Principal(kind=kind, institution_id=id_, key_id="abcdefgh")


def grant(id_="g1", grantee="alpha", **fields):
    values = {
        "selector": Selector(collections=frozenset({"spot"})),
        "area": EVERYWHERE,
        "acquired": Window(),
        "valid": Window(),
        "finest_ground_resolution": None,
        "actions": frozenset({Action.TILE}),
        "created": EPOCH,
    }
    return Grant(id=id_, grantee=grantee, **(values | fields))


def forbid(id_="f1", **fields):
    values = {
        "selector": Selector(collections=frozenset({"spot"})),
        "area": EVERYWHERE,
        "acquired": Window(),
        "valid": Window(),
        "reason": "embargo",
        "created": EPOCH,
    }
    return Forbid(id=id_, **(values | fields))


def rights(grants=(), forbids=(), institutions=None):
    known = institutions or tuple(institution(id_) for id_ in INSTITUTIONS)
    return PolicySnapshot(
        epoch=1,
        institutions={each.id: each for each in known},
        licences={},
        keys={},
        grants=tuple(grants),
        forbids=tuple(forbids),
    )


# --- the world of the properties: few ids, days and places, so that everything meets everything

WORLD = [
    {"collection": c, "licence": lic, "sensor": s, "scene": f"{c}-{s}", "day": day, "place": p, "gsd": gsd}
    for c in ("spot", "pleiades")
    for lic in ("etalab", None)
    for s in ("phr", "s6")
    for day in (DAYS[1], DAYS[3], None)
    for p in (0, 1, 2)
    for gsd in (0.5, 2.0)
]

windows = st.builds(
    Window, start=st.none() | st.sampled_from(DAYS[:3]), end=st.none() | st.sampled_from(DAYS[3:])
)


def some(*ids):
    return st.none() | st.frozensets(st.sampled_from(ids), min_size=1)


selectors = st.builds(
    Selector,
    collections=some("spot", "pleiades"),
    licences=some("etalab", "other"),
    sensors=some("phr", "s6"),
    scenes=some("spot-phr", "pleiades-s6"),
)
areas = st.sampled_from([EVERYWHERE, EVERYWHERE, WEST, EAST])
actions = st.frozensets(st.sampled_from([Action.TILE, Action.INFO, Action.OPERATE]), min_size=1)
grants_of = st.builds(
    Grant,
    id=st.uuids().map(str),
    grantee=st.sampled_from([PUBLIC, *INSTITUTIONS]),
    selector=selectors,
    area=areas,
    acquired=windows,
    valid=windows,
    finest_ground_resolution=st.sampled_from([None, 1.0]),
    actions=actions,
    created=st.just(EPOCH),
)
forbids_of = st.builds(
    Forbid,
    id=st.uuids().map(str),
    selector=selectors,
    area=areas,
    acquired=windows,
    valid=windows,
    reason=st.just("embargo"),
    created=st.just(EPOCH),
)
many_grants = st.lists(grants_of, max_size=5)
many_forbids = st.lists(forbids_of, max_size=3)
callers = st.sampled_from([None, *INSTITUTIONS, "nobody"]).map(caller)
instants = st.sampled_from([EPOCH - timedelta(days=1), *DAYS])
asked = st.sampled_from([Action.TILE, Action.INFO])
asks = st.tuples(callers, asked, instants)
statuses = st.fixed_dictionaries({id_: st.sampled_from(InstitutionStatus) for id_ in INSTITUTIONS})


def inside(window, instant):
    if instant is None:
        return window.start is None and window.end is None
    return (window.start or instant) <= instant and (window.end is None or window.end > instant)


def matches(right, pixel):
    """Naively: does this grant, forbid, allowance or exclusion speak of the pixel?"""
    kinds = ("collections", "licences", "sensors", "scenes")
    selector = right.selector
    for kind in kinds:
        ids = getattr(selector, kind)
        if ids is not None and pixel[kind[:-1]] not in ids:
            return False
    in_area = right.area is None or pixel["place"] in PLACES[right.area]
    return in_area and inside(right.acquired, pixel["day"])


def may(snapshot, principal, action, now, pixel):
    """The model: read the rights from scratch for one pixel."""
    if principal.kind is not PrincipalKind.ANONYMOUS:
        known = snapshot.institutions.get(principal.institution_id)
        if known is None or known.status is not InstitutionStatus.ACTIVE:
            return False
    for each in snapshot.forbids:
        if inside(each.valid, now) and matches(each, pixel):
            return False
    for each in snapshot.grants:
        own = each.grantee == principal.institution_id and principal.kind is PrincipalKind.INSTITUTION
        if not (own or each.grantee == PUBLIC):
            continue
        finest = each.finest_ground_resolution
        fine = finest is None or pixel["gsd"] >= finest
        if action in each.actions and inside(each.valid, now) and fine and matches(each, pixel):
            return True
    return False


def shown(decision):
    """What a decision opens of the world, reading its allowances as the server does."""
    opened = set()
    for number, pixel in enumerate(WORLD):
        for allowance in decision.allowances:
            finest = allowance.finest_ground_resolution
            if (
                matches(allowance, pixel)
                and (finest is None or pixel["gsd"] >= finest)
                and not any(matches(exclusion, pixel) for exclusion in allowance.exclusions)
            ):
                opened.add(number)
    return opened


@settings(max_examples=300, deadline=None)
@given(many_grants, many_forbids, statuses, asks)
def test_the_decision_opens_what_the_model_opens(grants, forbids, status, ask):
    snapshot = rights(grants, forbids, [institution(id_, status[id_]) for id_ in INSTITUTIONS])
    decision = decide(snapshot, *ask)
    expected = {n for n, pixel in enumerate(WORLD) if may(snapshot, *ask, pixel)}
    assert shown(decision) == expected
    assert decision.allowed is bool(decision.allowances)
    assert decision.code == ("ok" if decision.allowances else "no_grant")


@settings(deadline=None)
@given(many_grants.filter(bool), many_forbids, asks, st.data())
def test_removing_a_grant_never_opens_more(grants, forbids, ask, data):
    gone = data.draw(st.integers(0, len(grants) - 1))
    before = shown(decide(rights(grants, forbids), *ask))
    fewer = grants[:gone] + grants[gone + 1 :]
    assert shown(decide(rights(fewer, forbids), *ask)) <= before


@settings(deadline=None)
@given(many_grants, many_forbids, forbids_of, asks)
def test_adding_a_forbid_never_opens_more(grants, forbids, another, ask):
    before = shown(decide(rights(grants, forbids), *ask))
    assert shown(decide(rights(grants, [*forbids, another]), *ask)) <= before


@settings(deadline=None)
@given(many_grants, many_forbids, asks, st.randoms())
def test_the_order_of_rights_means_nothing(grants, forbids, ask, random):
    before = decide(rights(grants, forbids), *ask)
    random.shuffle(grants)
    random.shuffle(forbids)
    assert decide(rights(grants, forbids), *ask) == before


@settings(deadline=None)
@given(many_grants, many_forbids, statuses, callers, instants)
def test_operating_needs_an_active_operator_and_no_grant_gives_it(grants, forbids, status, principal, now):
    snapshot = rights(grants, forbids, [institution(id_, status[id_]) for id_ in INSTITUTIONS])
    decision = decide(snapshot, principal, Action.OPERATE, now)
    operates = principal.institution_id == "ops" and status["ops"] is InstitutionStatus.ACTIVE
    assert decision == Decision(code="ok" if operates else "operator_only", allowances=())


@given(callers, st.sampled_from(Action), instants)
def test_without_grants_only_what_is_open_is_allowed(principal, action, now):
    decision = decide(rights(), principal, action, now)
    operating = action is Action.OPERATE and principal.institution_id == "ops"
    assert decision.allowed is (operating or action is Action.OPEN)
    assert decision.allowances == ()


@given(many_grants, statuses, callers, instants)
def test_what_is_open_is_open_to_all(grants, status, principal, now):
    snapshot = rights(grants, (), [institution(id_, status[id_]) for id_ in INSTITUTIONS])
    assert decide(snapshot, principal, Action.OPEN, now) == Decision(code="ok", allowances=())


def test_a_grant_becomes_one_allowance_with_all_its_limits():
    window = Window(start=DAYS[0], end=DAYS[1])
    granted = grant(area=WEST, acquired=window, finest_ground_resolution=0.7)
    decision = decide(rights([granted]), caller("alpha"), Action.TILE, EPOCH)
    (allowance,) = decision.allowances
    assert allowance.grant_id == "g1"
    assert allowance.selector == granted.selector
    assert (allowance.area, allowance.acquired) == (WEST, window)
    assert allowance.finest_ground_resolution == 0.7
    assert allowance.exclusions == ()


def test_grants_are_never_merged():
    near = grant("g1", area=WEST, finest_ground_resolution=10.0)
    far = grant("g2", area=EAST, finest_ground_resolution=0.5)
    decision = decide(rights([far, near]), caller("alpha"), Action.TILE, EPOCH)
    pairs = [(a.grant_id, a.area, a.finest_ground_resolution) for a in decision.allowances]
    assert pairs == [("g1", WEST, 10.0), ("g2", EAST, 0.5)]


def test_forbids_that_hold_hang_on_every_allowance_in_order():
    held = [forbid("f2", area=EAST), forbid("f1", acquired=Window(start=DAYS[2]))]
    over = forbid("f0", valid=Window(end=DAYS[1]))
    decision = decide(
        rights([grant("g1"), grant("g2")], [over, *held]), caller("alpha"), Action.TILE, DAYS[1]
    )
    assert [[e.id for e in a.exclusions] for a in decision.allowances] == [["f1", "f2"], ["f1", "f2"]]
    first, second = decision.allowances[0].exclusions
    assert (first.selector, first.acquired, first.area) == (held[1].selector, held[1].acquired, None)
    assert second.area == EAST


@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        (DAYS[1] - timedelta(microseconds=1), False),
        (DAYS[1], True),
        (DAYS[2] - timedelta(microseconds=1), True),
        (DAYS[2], False),
    ],
)
def test_a_grant_holds_in_a_half_open_window(now, allowed):
    snapshot = rights([grant(valid=Window(start=DAYS[1], end=DAYS[2]))])
    assert decide(snapshot, caller("alpha"), Action.TILE, now).allowed is allowed


@pytest.mark.parametrize(
    ("asker", "grantee", "allowed"),
    [
        (None, PUBLIC, True),
        (None, "alpha", False),
        ("alpha", "alpha", True),
        ("alpha", PUBLIC, True),
        ("alpha", "beta", False),
        ("ops", PUBLIC, True),
        ("ops", "alpha", False),
        ("ops", "ops", False),
        ("nobody", PUBLIC, False),
        ("nobody", "nobody", False),
    ],
)
def test_who_has_what(asker, grantee, allowed):
    decision = decide(rights([grant(grantee=grantee)]), caller(asker), Action.TILE, EPOCH)
    assert decision.code == ("ok" if allowed else "no_grant")


@pytest.mark.parametrize("status", [InstitutionStatus.SUSPENDED, InstitutionStatus.CLOSED])
@pytest.mark.parametrize("grantee", ["alpha", PUBLIC])
def test_a_suspended_institution_has_nothing_not_even_what_is_public(status, grantee):
    snapshot = rights([grant(grantee=grantee)], institutions=[institution("alpha", status)])
    assert decide(snapshot, caller("alpha"), Action.TILE, EPOCH) == Decision(code="no_grant", allowances=())


def test_an_operator_who_no_longer_is_one_does_not_operate():
    demoted = replace(institution("ops"), operator=False)
    assert (
        decide(rights(institutions=[demoted]), caller("ops"), Action.OPERATE, EPOCH).code == "operator_only"
    )


def test_a_caller_who_was_no_operator_when_authenticated_does_not_operate():
    before = Principal(kind=PrincipalKind.INSTITUTION, institution_id="ops")
    assert decide(rights(), before, Action.OPERATE, EPOCH).code == "operator_only"


@pytest.mark.parametrize("kind", [PrincipalKind.INSTITUTION, PrincipalKind.OPERATOR])
def test_a_caller_without_a_name_has_nothing(kind):
    principal = Principal(kind=kind)
    snapshot = rights([grant(grantee=PUBLIC)])
    assert decide(snapshot, principal, Action.TILE, EPOCH).code == "no_grant"
    assert decide(snapshot, principal, Action.OPERATE, EPOCH).code == "operator_only"


def test_an_action_that_was_not_granted_is_denied():
    snapshot = rights([grant(actions=frozenset({Action.TILE}))])
    assert decide(snapshot, caller("alpha"), Action.EXPORT, EPOCH).code == "no_grant"
