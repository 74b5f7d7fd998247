"""Random rights for tests, and the small world of scenes and places that they are asked about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import shapely
from hypothesis import strategies as st

from auth.models import PUBLIC, Action, Caveat, Delegation, Forbid, Grant, GrantKind, Tier
from auth.reach import ALWAYS, EVERYWHERE, Conditions, Selector, Window, new_area
from tests.auth.naive import Point

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = [EPOCH + timedelta(days=day) for day in range(6)]
HERE = "https://geo.example.org"
WEST, EAST = (new_area(shapely.to_wkb(shapely.box(x, 0, x + 2, 1))) for x in (0, 1))
HOLED = new_area(shapely.to_wkb(shapely.box(0, 0, 3, 1) - shapely.box(1, 0, 2, 1)))
MIDDLE = new_area(shapely.to_wkb(shapely.box(1, 0, 2, 1)))
"""Touches the parts of HOLED along an edge: they share no surface."""
KINDS = (
    ("spot", "etalab", "s6", 1.5),
    ("spot", "airbus", "phr", 0.5),
    ("pleiades", "airbus", "phr", 0.5),
    ("pleiades", None, "s6", 1.5),
)
"""Of scenes: collection, licence, sensor, and metres per pixel of the panchromatic band."""
WORLD = [
    Point(c, licence, sensor, f"{c}-{sensor}", pan, day, lon, 0.5, detail)
    for c, licence, sensor, pan in KINDS
    for day in (DAYS[1], DAYS[3], None)
    for lon in (0.5, 1.5, 2.5)
    for detail in (0.5, 2.0, 20.0, 60.0)
]


def some(*ids):
    return st.none() | st.frozensets(st.sampled_from(ids), min_size=1)


windows = st.builds(
    Window, start=st.none() | st.sampled_from(DAYS[:3]), end=st.none() | st.sampled_from(DAYS[3:])
)
spans = st.one_of(st.just(ALWAYS), st.just(ALWAYS), windows)
selectors = st.builds(
    Selector,
    collections=st.none() | some("spot", "pleiades"),
    licences=st.none() | some("etalab", "airbus"),
    sensors=st.none() | some("phr", "s6"),
    scenes=st.none() | some("spot-phr", "pleiades-s6"),
)
areas = st.sampled_from([EVERYWHERE, EVERYWHERE, WEST, EAST, HOLED, MIDDLE])
conditions = st.sampled_from([Conditions(), Conditions(), Conditions(origins=frozenset({HERE}))])
_SHOWN = (Action.TILE, Action.INFO, Action.CATALOGUE)
actions = st.sampled_from([frozenset(_SHOWN), *(frozenset(_SHOWN) - {a} for a in _SHOWN)]) | st.sampled_from(
    [frozenset({a}) for a in _SHOWN]
)
finest = st.sampled_from([None, None, 2.0, 20.0])
tiers = st.none() | st.builds(
    Tier, ground_resolution=st.sampled_from([2.0, 20.0]), times_pan=st.sampled_from([None, 32.0])
)
grants_of = st.builds(
    Grant,
    id=st.integers(0, 999).map(lambda n: f"g{n}"),
    grantee=st.sampled_from(["alpha", "alpha", "group:both", "beta", PUBLIC, "ops"]),
    selector=selectors,
    area=areas,
    acquired=spans,
    valid=spans,
    finest_ground_resolution=finest,
    actions=actions,
    conditions=conditions,
    delegable=st.sampled_from([None, Delegation(), Delegation(depth=2, longest_days=10)]),
    created=st.just(EPOCH),
)
crises_of = st.builds(
    replace,
    grants_of,
    kind=st.just(GrantKind.CRISIS),
    event_id=st.just("EMSR1"),
    approvals=st.sampled_from([(), ("ops",), ("ops", "ops2")]),
)
forbids_of = st.builds(
    Forbid,
    id=st.integers(0, 999).map(lambda n: f"f{n}"),
    selector=selectors,
    area=areas,
    acquired=spans,
    valid=spans,
    reason=st.just("embargo"),
    overridable_by_crisis=st.booleans(),
    created=st.just(EPOCH),
)
caveats = st.none() | st.builds(
    Caveat,
    area=areas,
    selector=selectors,
    acquired=spans,
    finest_ground_resolution=finest,
    actions=st.none() | actions,
    conditions=conditions,
)
instants = st.sampled_from([EPOCH - timedelta(days=1), *DAYS, DAYS[3] + timedelta(hours=1)])
asked = st.sampled_from([Action.TILE, Action.INFO, Action.CATALOGUE])
origins = st.sampled_from([None, HERE])
