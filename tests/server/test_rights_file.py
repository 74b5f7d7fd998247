"""All rights as one file: what goes out comes in again, and nothing half, twice or unread does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import shapely
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.audit import Change, verify
from auth.documents import FIELDS, KINDS, document_of, kind_of, rights_of
from auth.edits import applied, approve, checked, put, revoke_key, together
from auth.errors import InvalidRightError, StillNamedError, UnknownIdError
from auth.memory_store import MemoryPolicyStore
from auth.models import (
    Action,
    Caveat,
    Forbid,
    Grant,
    GrantKind,
    Group,
    Institution,
    Key,
    KeySecret,
    Licence,
    Membership,
    Quota,
    Rate,
    Right,
    Role,
    Tier,
)
from auth.reach import EVERYWHERE, Conditions, Selector, Window, new_area
from auth.snapshot import PolicySnapshot
from auth.store import PolicyStore, SqlPolicyStore
from server.database import open_database
from server.rights_difference import Difference, changed, differences
from server.rights_file import changes_to, export, parse

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOLED = new_area(
    shapely.to_wkb(shapely.box(1, 43, 2, 44) - shapely.box(1.2, 43.2, 1.3, 43.3) | shapely.box(3, 43, 4, 44))
)


def secret(number: int = 1, until: datetime | None = None) -> KeySecret:
    return KeySecret(number=number, hmac=bytes([number]) * 32, pepper_version=1, until=until)


def key(id_: str, **more: object) -> Key:
    values: dict[str, object] = {
        "institution_id": "sdis31",
        "secrets": (secret(),),
        "url_allowed": True,
        "label": "",
        "created": NOW,
    }
    return Key(id=id_, **{**values, **more})


ALL: tuple[Right, ...] = (
    Institution(id="sdis31", name="SDIS 31 : l'été, « ici »", agreement="C-1", contacts=("a@b.fr",)),
    Institution(id="geo", name="- not: a list #"),
    Institution(id="ops", name="ops", operator=True),
    Institution(id="ops2", name="ops2", operator=True),
    Group(id="sud", name="Sud", members=frozenset({"sdis31", "geo"})),
    Licence(
        id="spot", title="2024-01-01", public=Tier(times_pan=32, ground_resolution=16), redistribution="open"
    ),
    Licence(id="phr", title="null", holder=Tier(ground_resolution=2)),
    Membership(
        id="m1", institution_id="geo", issuer="https://idp", claim="siret", value="0123", role=Role.MANAGER
    ),
    # the child's id sorts before its parent's
    key(
        "AAAAAAAA",
        parent_id="ZZZZZZZZ",
        caveat=Caveat(area=HOLED, conditions=Conditions(networks=frozenset({"192.0.2.0/24"}))),
    ),
    key(
        "12345678",
        secrets=(secret(1, NOW + timedelta(days=7)), secret(2)),
        rate=Rate(per_second=0.5, burst=3),
    ),
    key("ZZZZZZZZ", role=Role.MANAGER, label="true"),
    Grant(
        id="g1",
        grantee="sdis31",
        area=HOLED,
        created=NOW,
        selector=Selector(licences=frozenset({"spot", "phr"})),
        valid=Window(start=NOW),
        finest_ground_resolution=1.5,
        quota=Quota(amount=1000, period="day"),
        delegable=None,
        reason="two\nlines",
    ),
    Grant(id="g2", grantee="group:sud", area=EVERYWHERE, created=NOW),
    Grant(
        id="g3",
        grantee="geo",
        area=HOLED,
        created=NOW,
        selector=Selector(collections=frozenset({"c"})),
        valid=Window(start=NOW, end=NOW + timedelta(hours=72)),
        kind=GrantKind.CRISIS,
        event_id="EMSR712",
        approvals=("ops", "ops2"),
    ),
    Forbid(
        id="f1", area=EVERYWHERE, reason="", created=NOW, acquired=Window(end=NOW), overridable_by_crisis=True
    ),
)


def held(*rights: Right) -> PolicySnapshot:
    order = {kind: place for place, kind in enumerate(KINDS)}
    changes = [Change(kind=kind_of(r), id=r.id, right=r) for r in rights]
    return applied(PolicySnapshot(), sorted(changes, key=lambda c: order[c.kind]), 1)


def plain(snapshot: PolicySnapshot) -> list[Right]:
    return sorted(rights_of(snapshot), key=lambda right: (kind_of(right), right.id))


FULL = held(*ALL)


def waiting(snapshot: PolicySnapshot) -> PolicySnapshot:
    """Take the approvals away: no file brings any."""
    crisis = replace(FULL.grants["g3"], approvals=())
    return replace(snapshot, grants={id_: crisis if id_ == "g3" else g for id_, g in snapshot.grants.items()})


def result(snapshot: PolicySnapshot, text: str, *, prune: bool = False) -> PolicySnapshot:
    """Apply a file as the command does, each change checked."""
    wanted = parse(text).wanted(snapshot)
    return applied(
        snapshot, checked(snapshot, lambda s: changes_to(s, wanted, prune=prune)), snapshot.epoch + 1
    )


def lines(snapshot: PolicySnapshot, text: str, *, prune: bool = False) -> list[str]:
    found = differences(snapshot, parse(text).wanted(snapshot), prune=prune)
    return [each.line() for each in found]


@pytest.fixture(params=["memory", "sql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PolicyStore]:
    if request.param == "memory":
        yield MemoryPolicyStore()
        return
    engine = open_database(None, tmp_path)
    yield SqlPolicyStore(engine)
    engine.dispose()


def test_a_whole_installation_moves_by_its_file(store: PolicyStore) -> None:
    text = export(FULL, with_secrets=True)
    store.change(lambda s: changes_to(s, parse(text).wanted(s), prune=False), actor="cli:a", at=NOW)
    moved = store.snapshot()
    assert plain(moved) == plain(waiting(FULL))
    assert export(moved, with_secrets=True) == export(waiting(FULL), with_secrets=True)
    assert moved.epoch == 1, "one change of all rights"
    assert verify(store.audit(), moved, store.audit_head()) is None
    assert not lines(moved, text)
    again = store.change(lambda s: changes_to(s, parse(text).wanted(s), prune=True), actor="cli:a", at=NOW)
    assert (again, store.epoch()) == ((), 1)


def test_what_is_exported_without_secrets_changes_nothing_where_it_came_from() -> None:
    text = export(FULL)
    assert "hmac" not in text
    assert not lines(FULL, text, prune=True)
    assert plain(result(FULL, text, prune=True)) == plain(FULL)


def test_the_file_is_stable_and_its_areas_are_single_lines() -> None:
    text = export(FULL)
    backwards = replace(FULL, **{FIELDS[k]: dict(reversed(getattr(FULL, FIELDS[k]).items())) for k in KINDS})
    assert export(backwards) == text
    document = yaml.safe_load(text)
    assert list(document) == ["rights", *(FIELDS[kind] for kind in KINDS)]
    for kind in KINDS:
        ids = [entry["id"] for entry in document[FIELDS[kind]]]
        assert ids == sorted(ids)
    areas = [line for line in text.splitlines() if "coordinates" in line]
    assert len(areas) == 3
    assert all(line.strip().startswith("area: {type: ") for line in areas)
    assert all(line.endswith("}") for line in areas)


def test_an_empty_installation_is_a_file_too() -> None:
    assert plain(result(PolicySnapshot(), export(PolicySnapshot()))) == []
    assert plain(result(FULL, export(PolicySnapshot()))) == plain(FULL), "nothing goes without --prune"
    assert plain(result(FULL, export(PolicySnapshot()), prune=True)) == []


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
anything = st.lists(
    st.builds(
        Institution,
        id=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True).filter(lambda id_: id_ != "public"),
        name=words,
        agreement=words,
        contacts=st.lists(words, max_size=2).map(tuple),
    ),
    max_size=4,
    unique_by=lambda institution: institution.id,
)


@settings(deadline=None, max_examples=200)
@given(anything)
def test_whatever_words_go_out_come_in_the_same(institutions: list[Institution]) -> None:
    snapshot = held(*institutions)
    assert plain(result(PolicySnapshot(), export(snapshot))) == plain(snapshot)


NAMES = {4: {0, 1}, 7: {1}, 8: {0, 10}, 9: {0}, 10: {0}, 11: {0, 5, 6}, 12: {0, 1, 4}, 13: {1, 2, 3}}
"""Which of ALL names which."""
that_fit = st.sets(st.sampled_from(range(len(ALL)))).map(
    lambda some: sorted(some.union(*(NAMES.get(number, set()) for number in some)))
)


@settings(deadline=None, max_examples=100)
@given(that_fit, that_fit)
def test_from_any_rights_to_any_others(before: list[int], after: list[int]) -> None:
    start, goal = (held(*(ALL[n] for n in numbers)) for numbers in (before, after))
    text = export(goal, with_secrets=True)
    if "g3" not in start.grants:
        goal = waiting(goal)
    assert plain(result(start, text, prune=True)) == plain(goal)
    assert set(plain(result(start, text))) == {*plain(start), *plain(goal)}


def test_a_key_without_secrets_keeps_its_own_and_an_unknown_one_is_named() -> None:
    text = export(FULL).replace("label: 'true'", "label: renamed")
    changed_keys = result(FULL, text).keys
    assert changed_keys["ZZZZZZZZ"] == replace(FULL.keys["ZZZZZZZZ"], label="renamed")
    fewer = replace(FULL, keys={"12345678": FULL.keys["12345678"]})
    with pytest.raises(InvalidRightError, match="keys AAAAAAAA, ZZZZZZZZ are not there"):
        result(fewer, text)


def test_revoked_parents_and_their_children_move_together() -> None:
    dead = replace(FULL.keys["ZZZZZZZZ"], revoked=NOW)
    source = replace(FULL, keys={**FULL.keys, "ZZZZZZZZ": dead})
    moved = result(PolicySnapshot(), export(source, with_secrets=True))
    assert moved.keys["ZZZZZZZZ"].revoked == NOW
    assert moved.keys["AAAAAAAA"] == FULL.keys["AAAAAAAA"]


def test_an_older_file_does_not_bring_a_revoked_key_back() -> None:
    text = export(FULL)
    later = applied(FULL, checked(FULL, revoke_key("ZZZZZZZZ", NOW)), 2)
    assert parse(text).revived(later) == ("ZZZZZZZZ",)
    assert parse(text).revived(FULL) == ()
    assert result(later, text, prune=True).keys["ZZZZZZZZ"].revoked == NOW
    assert not lines(later, text)


def test_a_file_approves_nothing_in_the_name_of_others() -> None:
    text = export(FULL)
    asked = applied(FULL, [Change(kind="grant", id="g3", right=waiting(FULL).grants["g3"])], 2)
    once = applied(asked, checked(asked, approve("g3", "ops")), 3)
    for start, held_by in ((asked, ()), (once, ("ops",)), (FULL, ("ops", "ops2"))):
        assert parse(text).unapproved(start) == (() if start is FULL else ("g3",))
        assert result(start, text).grants["g3"].approvals == held_by
    wider = text.replace("collections:\n    - c\n", "collections:\n    - c\n    - d\n")
    assert wider != text
    assert parse(wider).unapproved(FULL) == ("g3",)
    changed = result(FULL, wider).grants["g3"]
    assert (changed.selector.collections, changed.approvals) == (frozenset("cd"), ())
    without = text.replace("  approvals:\n  - ops\n  - ops2\n", "")
    assert without != text
    assert plain(result(FULL, without)) == plain(FULL), "nor does an older file take one back"


def test_what_does_not_fit_changes_nothing_at_all(store: PolicyStore) -> None:
    there = [each for each in (*ALL, waiting(FULL).grants["g3"]) if each != FULL.grants["g3"]]
    store.change(together(*(put(each) for each in there if not isinstance(each, Key))), actor="cli:a", at=NOW)
    before, text = store.snapshot(), export(store.snapshot())
    wrong = {
        text.replace("grantee: group:sud", "grantee: group:nord"): UnknownIdError,
        text.replace("- id: geo\n", "- id: geo9\n"): StillNamedError,
        text.replace("- id: sud\n", "- id: nord\n"): StillNamedError,
    }
    for broken, error in wrong.items():
        assert broken != text
        with pytest.raises(error):
            store.change(lambda s, b=broken: changes_to(s, parse(b).wanted(s), prune=True), actor="x", at=NOW)
        assert plain(store.snapshot()) == plain(before)
        assert store.epoch() == before.epoch


def test_what_others_name_is_not_pruned_alone() -> None:
    text = export(FULL)
    document = yaml.safe_load(text)
    document["institutions"] = [each for each in document["institutions"] if each["id"] != "sdis31"]
    document["groups"][0]["members"] = ["geo"]
    with pytest.raises(StillNamedError, match="sdis31"):
        result(FULL, yaml.safe_dump(document), prune=True)


POLYGON = """rights: 1
grants:
- id: g
  grantee: a
  created: 2026-01-01T00:00:00Z
  area: {{type: Polygon, coordinates: [{}]}}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a mapping"),
        ("- a\n", "must be a mapping"),
        ("institutions: []\n", "must say `rights: 1`"),
        ("rights: 2\n", "must say `rights: 1`"),
        ("rights: 1\nusers: []\n", "unknown part: users"),
        ("rights: 1\ngroups: {a: 1}\n", "groups must be a list"),
        ("rights: 1\ngroups: a\n", "groups must be a list"),
        ("rights: 1\ngroups: [a]\n", "groups, entry 1: "),
        ("rights: 1\ngroups:\n- id: a\n  name: b\n  colour: red\n", "groups, entry 1 (a): group: colour"),
        (
            "rights: 1\ngroups:\n- {id: a, name: b}\n- {id: a, name: b}\n",
            "entry 2 (a): the id stands there tw",
        ),
        ("rights: 1\ngroups:\n- {id: a, id: b, name: c}\n", "line 3, column 11: 'id' stands there twice"),
        ("rights: 1\nrights: 1\n", "line 2, column 1: 'rights' stands there twice"),
        ("rights: 1\ngroups:\n- &x {id: a, name: b}\n- *x\n", "line 3, column 3: anchors and aliases"),
        ("rights: 1\ngroups:\n- <<: {id: a}\n  name: b\n", "line 3, column 3: names are words"),
        ("rights: 1\n? [a]\n: b\n", "names are words"),
        ("rights: 1\ngroups: !!python/object/apply:os.getcwd []\n", "line 2, column 9: could not determine"),
        ("rights: 1\ngroups: [\n", "line 3, column 1: "),
        ("rights: 1\n\tgroups: []\n", "line 2, column 1: "),
        ("rights: 1\n\ngroups: \x00\n", "line 3: special characters"),
        ("rights: 1\n---\nrights: 1\n", "expected a single document"),
        ("rights: 1\ngroups: " + "[" * 5000, "nested too deeply"),
        (
            "rights: 1\nkeys:\n- {id: short, institution_id: a, url_allowed: true, label: '', created: x}\n",
            "(short)",
        ),
        ("rights: 1\ngrants:\n- {id: g, grantee: a, created: 2026-01-01T00:00:00Z}\n", "(g): grant: area"),
        (
            "rights: 1\ngrants:\n- {id: g, grantee: a, area: everywhere, created: 2026-01-01}\n",
            "grants, entry 1 (g): grant: created",
        ),
        (
            POLYGON.format("[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]"),
            "not a valid polygon",
        ),
        (
            POLYGON.format("[[652000, 6860000], [653000, 6860000], [653000, 6861000], [652000, 6860000]]"),
            "longitude and latitude",
        ),
        (
            "rights: 1\nforbids:\n- {id: f, area: everywhere, reason: r, created: never}\n",
            "(f): forbid: created",
        ),
    ],
)
def test_a_wrong_file_is_refused_and_the_place_is_named(text: str, said: str) -> None:
    with pytest.raises(InvalidRightError) as refused:
        parse(text)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 500


def test_small_files_that_would_grow_large_are_refused_at_once() -> None:
    bomb = "rights: 1\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    )
    with pytest.raises(InvalidRightError, match="line 2, column 4: anchors"):
        parse(bomb)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.rights_file.LARGEST_FILE", 100)
    with pytest.raises(InvalidRightError, match="million characters"):
        parse("rights: 1\n" + "# x\n" * 50)


def test_a_long_wrong_word_is_not_echoed_whole() -> None:
    with pytest.raises(InvalidRightError) as refused:
        parse("rights: 1\n" + "x" * 5000 + ": 1\n")
    assert len(str(refused.value)) < 200


def test_differences_are_lines_that_a_person_reviews() -> None:
    small = held(
        Institution(id="sdis31", name="SDIS 31"),
        Licence(id="spot", title="Spot", public=Tier(times_pan=32)),
        Grant(
            id="g1",
            grantee="sdis31",
            area=EVERYWHERE,
            created=NOW,
            selector=Selector(sensors=frozenset({"s"})),
        ),
        key("AAAAAAAA"),
        Forbid(id="f1", area=EVERYWHERE, reason="embargo", created=NOW),
    )
    goal = held(
        Institution(id="sdis31", name="SDIS 31"),
        Licence(id="spot", title="Spot", holder=Tier(ground_resolution=2)),
        Grant(
            id="g1", grantee="sdis31", area=HOLED, created=NOW, selector=Selector(sensors=frozenset({"s"}))
        ),
        Grant(
            id="g2",
            grantee="sdis31",
            area=EVERYWHERE,
            created=NOW,
            selector=Selector(collections=frozenset({"spot", "phr"})),
            actions=frozenset({Action.TILE}),
        ),
    )
    text = export(goal)
    area = f"{HOLED.digest} (15 vertices within 1.0000,43.0000,4.0000,44.0000)"
    common = [
        "~ licence spot: public 32xpan -> off; holder native -> 2 m",
        f"~ grant g1: area everywhere -> {area}",
        "+ grant g2 sdis31: area everywhere, collections phr spot, actions tile",
    ]
    assert lines(small, text) == [
        common[0],
        "= key AAAAAAAA: not in the file, kept (--prune removes it)",
        *common[1:],
        "= forbid f1: not in the file, kept (--prune removes it)",
    ]
    assert lines(small, text, prune=True) == [
        common[0],
        "- key AAAAAAAA sdis31: url_allowed yes, label",
        *common[1:],
        "- forbid f1: area everywhere, reason embargo",
    ]
    found = differences(small, parse(text).wanted(small), prune=False)
    assert changed(found) == 3


def test_a_moved_vertex_shows() -> None:
    def grant(east: float) -> PolicySnapshot:
        area = new_area(shapely.to_wkb(shapely.box(1, 43, east, 44)))
        return held(Institution(id="a", name="a"), Grant(id="g1", grantee="a", area=area, created=NOW))

    (line,) = lines(grant(2.0), export(grant(2.000001)))
    before, after = line.split(": area ")[1].split(" -> ")
    assert before.split()[0] != after.split()[0]


def test_other_secrets_are_a_difference_that_tells_none() -> None:
    other = replace(
        FULL, keys={**FULL.keys, "12345678": replace(FULL.keys["12345678"], secrets=(secret(3),))}
    )
    (line,) = lines(FULL, export(other, with_secrets=True))
    assert line == "~ key 12345678: its secrets"


def test_the_document_of_a_difference_holds_both_sides_without_secrets() -> None:
    found = differences(FULL, {}, prune=True)
    keys = [each.document() for each in found if each.kind == "key"]
    assert keys
    assert all("secrets" not in each["before"] and each["after"] is None for each in keys)
    grant = next(each for each in found if each.id == "g1")
    assert grant == Difference(
        sign="-", kind="grant", id="g1", before=document_of(FULL.grants["g1"]), after=None
    )
