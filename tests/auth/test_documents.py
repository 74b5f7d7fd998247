"""Rights as documents: every kind comes back as it was, and nothing is read that says something else."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from auth.documents import (
    KINDS,
    content_digest,
    document_of,
    kind_of,
    right_of,
    right_of_stored,
    schema_of,
    stored_text,
)
from auth.errors import InvalidRightError
from auth.models import (
    Action,
    Caveat,
    Delegation,
    Forbid,
    Grant,
    Group,
    Institution,
    InstitutionStatus,
    Key,
    KeySecret,
    Licence,
    Membership,
    Quota,
    Rate,
    Role,
    Tier,
)
from auth.reach import EVERYWHERE, MOST_VERTICES, Conditions, Selector, Window, new_area

WHEN = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
ids = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
words = st.text(max_size=20)
instants = st.datetimes(
    min_value=WHEN.replace(year=1990, tzinfo=None),
    max_value=WHEN.replace(year=2060, tzinfo=None),
    timezones=st.just(UTC),
)
names = st.none() | st.frozensets(ids, min_size=1, max_size=3)
selectors = st.builds(Selector, collections=names, licences=names, sensors=names, scenes=names)
windows = st.builds(
    lambda start, length: Window(start=start, end=None if length is None else start + length),
    instants,
    st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=900)),
) | st.just(Window())
boxes = st.builds(
    lambda x, y, w, h: new_area(shapely.to_wkb(shapely.box(x, y, x + w, y + h))),
    st.floats(-180, 170),
    st.floats(-90, 80),
    st.floats(0.001, 10),
    st.floats(0.001, 10),
)
areas = st.just(EVERYWHERE) | boxes
metres = st.none() | st.floats(0.01, 10_000)
actions = st.frozensets(
    st.sampled_from([Action.CATALOGUE, Action.TILE, Action.PREVIEW, Action.INFO, Action.EXPORT]), min_size=1
)
conditions = st.builds(
    Conditions, origins=names, networks=st.none() | st.just(frozenset({"10.0.0.0/8", "::1"}))
)
rates = st.none() | st.builds(Rate, per_second=st.floats(0.1, 100), burst=st.integers(1, 99))
tiers = st.none() | st.builds(
    Tier, ground_resolution=st.floats(0.1, 99), times_pan=st.none() | st.floats(1, 99)
)
caveats = st.none() | st.builds(
    Caveat,
    area=areas,
    selector=selectors,
    acquired=windows,
    finest_ground_resolution=metres,
    actions=st.none() | actions,
    conditions=conditions,
)
secrets_of = st.builds(
    KeySecret,
    number=st.integers(1, 9),
    hmac=st.binary(min_size=32, max_size=32),
    pepper_version=st.integers(1, 9),
)
rights = st.one_of(
    st.builds(
        Institution, id=ids, name=words, status=st.sampled_from(InstitutionStatus), operator=st.booleans()
    ),
    st.builds(Group, id=ids, name=words, members=st.frozensets(ids, max_size=3)),
    st.builds(Licence, id=ids, title=words, public=tiers, partner=tiers, holder=tiers),
    st.builds(
        Membership,
        id=ids,
        institution_id=ids,
        issuer=words,
        claim=words,
        value=words,
        role=st.sampled_from(Role),
    ),
    st.builds(
        Key,
        id=st.from_regex(r"[0-9A-Za-z]{8}", fullmatch=True),
        institution_id=ids,
        secrets=st.tuples(secrets_of),
        url_allowed=st.booleans(),
        label=words,
        created=instants,
        expires=st.none() | instants,
        caveat=caveats,
        rate=rates,
    ),
    st.builds(
        Grant,
        id=ids,
        grantee=ids,
        area=areas,
        created=instants,
        selector=selectors,
        acquired=windows,
        valid=windows,
        finest_ground_resolution=metres,
        actions=actions,
        conditions=conditions,
        quota=st.none() | st.builds(Quota, amount=st.integers(0, 10**9)),
        rate=rates,
        delegable=st.none() | st.builds(Delegation, depth=st.integers(1, 4)),
    ),
    st.builds(Forbid, id=ids, area=areas, reason=words, created=instants, selector=selectors, valid=windows),
)


@given(rights)
def test_every_right_comes_back_as_it_was(right):
    kind = kind_of(right)
    assert right_of(kind, json.loads(json.dumps(document_of(right)))) == right
    assert right_of_stored(kind, stored_text(right)) == right


@given(rights)
def test_a_field_that_nobody_knows_is_refused(right):
    document = document_of(right) | {"unheard": 1}
    with pytest.raises(InvalidRightError, match="unheard"):
        right_of(kind_of(right), document)


GRANT = {"id": "g1", "grantee": "ign", "area": "everywhere", "created": "2026-01-01T00:00:00Z"}
RING = [[0, 0], [1, 0], [1, 1], [0, 0]]


@pytest.mark.parametrize("missing", ["id", "grantee", "area", "created"])
def test_what_must_be_said_must_be_said(missing):
    with pytest.raises(InvalidRightError, match=missing):
        right_of("grant", {name: value for name, value in GRANT.items() if name != missing})


@pytest.mark.parametrize(
    "area",
    [
        None,
        "",
        "Everywhere",
        [],
        {},
        {"type": "Point", "coordinates": [0, 0]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[["a", "b"]]]},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]},
        {
            "type": "Polygon",
            "coordinates": [[[650000, 6860000], [650100, 6860000], [650000, 6860100], [650000, 6860000]]],
        },
        {"type": "Polygon", "coordinates": [[[0, 0], [float("nan"), 0], [1, 1], [0, 0]]]},
        "AQMAAAABAAAA",
    ],
)
def test_what_is_no_area_is_refused_and_never_means_everywhere(area):
    with pytest.raises(InvalidRightError, match="area"):
        right_of("grant", GRANT | {"area": area})


def test_an_area_of_too_many_vertices_is_refused():
    circle = shapely.segmentize(shapely.box(0, 0, 1, 1), 4 / (MOST_VERTICES + 100))
    with pytest.raises(ValueError, match="simplify"):
        new_area(shapely.to_wkb(circle))


def test_heights_of_an_area_are_dropped_and_holes_kept():
    flat = right_of("grant", GRANT | {"area": {"type": "Polygon", "coordinates": [[[*p, 5] for p in RING]]}})
    assert flat == right_of("grant", GRANT | {"area": {"type": "Polygon", "coordinates": [RING]}})
    holed = shapely.box(0, 0, 3, 3) - shapely.box(1, 1, 2, 2)
    found = right_of("grant", GRANT | {"area": json.loads(shapely.to_geojson(holed))})
    assert shapely.from_wkb(found.area.wkb).equals(holed)


@pytest.mark.parametrize(
    "change",
    [
        {"created": "2026-01-01T00:00:00"},
        {"created": "yesterday"},
        {"valid": "2026-01-01"},
        {"valid": "2026-02-01/2026-01-01"},
        {"valid": "2026-01-01/2026-01-01"},
        {"acquired": "a/b"},
        {"actions": []},
        {"actions": ["operate"]},
        {"actions": "tile"},
        {"finest_ground_resolution": -1},
        {"finest_ground_resolution": "fine"},
        {"selector": {"collections": []}},
        {"selector": {"colections": ["x"]}},
        {"conditions": {"networks": ["not a network"]}},
        {"quota": {"amount": -1}},
        {"quota": {"amount": 5, "period": "week"}},
        {"rate": {"per_second": 0}},
        {"grantee": "A B"},
        {"kind": "other"},
    ],
    ids=str,
)
def test_an_impossible_value_is_refused_by_its_name(change):
    (name,) = change
    with pytest.raises(InvalidRightError, match=name):
        right_of("grant", GRANT | change)


@pytest.mark.parametrize("document", [None, 1, "x", [], [GRANT]])
def test_what_is_no_mapping_is_no_right(document):
    with pytest.raises(InvalidRightError):
        right_of("grant", document)


def test_dates_are_the_first_instant_of_their_day():
    found = right_of(
        "grant", GRANT | {"valid": "2026-01-01/2026-02-01", "acquired": "../2020-01-01T06:00:00+02:00"}
    )
    assert found.valid == Window(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 2, 1, tzinfo=UTC))
    assert found.acquired.end == datetime(2020, 1, 1, 4, tzinfo=UTC)


def test_the_digest_is_of_what_is_said():
    first = right_of("grant", GRANT)
    same = right_of("grant", GRANT | {"id": "g2", "created": "2027-01-01T00:00:00Z", "created_by": "x"})
    other = right_of("grant", GRANT | {"reason": "because"})
    assert content_digest(first) == content_digest(same) != content_digest(other)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_schema(kind):
    schema = schema_of(kind)
    assert schema["type"] == "object"
    assert "id" in schema["required"]
