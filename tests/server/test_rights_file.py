"""All rights as one file: what goes out comes in again, and nothing half or twice does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.audit import Change, verify
from auth.documents import FIELDS, KINDS
from auth.edits import applied, approve, checked, put, revoke_key, together
from auth.errors import InvalidRightError, StillNamedError, UnknownIdError
from auth.memory_store import MemoryPolicyStore
from auth.models import Institution, Key
from auth.snapshot import PolicySnapshot
from auth.store import PolicyStore, SqlPolicyStore
from server.database import open_database
from server.rights_file import changes_to, export, parse
from tests.server.filed_rights import ALL, FULL, NOW, held, lines, plain, result, waiting


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
