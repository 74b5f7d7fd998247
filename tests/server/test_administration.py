"""Administration without HTTP: who may what is asked of the rights that the edit sees, under the lock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from auth import edits
from auth.credentials import Peppers, new_key, principal_of
from auth.decision import Principal, PrincipalKind
from auth.errors import CredentialInvalidError, InvalidRightError
from auth.memory_store import MemoryPolicyStore
from auth.models import Action, Grant, Group, Institution, InstitutionStatus, Licence, Role
from auth.reach import Selector
from auth.rules import new_forbid, new_grant, new_membership
from server.access import AccessDeniedError
from server.administration import (
    NO_PRECONDITION,
    Caller,
    Precondition,
    RightChangedError,
    RightNotFoundError,
    belongs,
    by,
    content_tag,
    on,
    tag_of,
)
from server.key_documents import grace_of, keys_below
from server.new_keys import Mint, NewKey
from server.right_documents import Document

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PEPPERS = Peppers(by_version={1: bytes(32)})
MINT = Mint(environment="test", peppers=PEPPERS)


class Town:
    """A store with an operator and two institutions, and callers that were decided when all was well."""

    def __init__(self) -> None:
        self.store = MemoryPolicyStore()
        for right in (
            Institution(id="ops", name="ops", operator=True),
            Institution(id="region", name="region"),
            Institution(id="other", name="other"),
            Group(id="south", name="south", members=frozenset({"region"})),
            Licence(id="terms", title="terms"),
        ):
            self.change(edits.add(right))
        self.manager = self.caller("region", role=Role.MANAGER)
        self.operator = self.caller("ops")

    def change(self, edit: edits.Edit) -> Any:
        return self.store.change(edit, actor="test", at=NOW)

    def caller(self, institution: str, **more: Any) -> Caller:
        key, _ = new_key("test", institution, PEPPERS, url_allowed=True, now=NOW, **more)
        self.change(edits.add(key))
        operator = institution == "ops"
        return Caller(
            principal=principal_of(self.store.snapshot(), key, NOW),
            action=Action.OPERATE if operator else Action.MANAGE,
            realm=None if operator else institution,
            now=NOW,
        )


@pytest.fixture
def town() -> Town:
    return Town()


NAMED = edits.put(Group(id="south", name="changed"))


@pytest.mark.parametrize("who", ["manager", "operator"])
@pytest.mark.parametrize("end", ["revoked", "removed", "suspended", "demoted"])
def test_who_administers_no_more_makes_no_edit(town: Town, who: str, end: str) -> None:
    caller: Caller = getattr(town, who)
    key_id, institution = caller.principal.key_id, caller.principal.institution_id
    assert key_id
    assert institution
    key = town.store.snapshot().keys[key_id]
    by(caller, NAMED)(town.store.snapshot())
    town.change(
        {
            "revoked": edits.revoke_key(key_id, NOW),
            "removed": edits.remove("key", key_id),
            "suspended": edits.set_status(institution, InstitutionStatus.SUSPENDED),
            "demoted": edits.together(
                edits.put(Institution(id=institution, name="x")),
                edits.put(type(key)(**{**{n: getattr(key, n) for n in key.__slots__}, "role": Role.READER})),
            ),
        }[end]
    )
    with pytest.raises(AccessDeniedError if end == "demoted" else CredentialInvalidError):
        town.change(by(caller, NAMED))
    assert town.store.snapshot().groups["south"].name == "south"


def test_an_operator_that_became_a_manager_is_none_everywhere(town: Town) -> None:
    caller = Caller(principal=town.manager.principal, action=Action.MANAGE, realm=None, now=NOW)
    with pytest.raises(AccessDeniedError):
        caller.still(town.store.snapshot())


def test_a_person_is_recorded_by_name(town: Town) -> None:
    person = Principal(
        kind=PrincipalKind.INSTITUTION, institution_id="region", role=Role.MANAGER, subject="alice"
    )
    caller = Caller(principal=person, action=Action.MANAGE, realm="region", now=NOW)
    assert caller.actor == "user:alice"
    assert town.manager.actor == f"key:{town.manager.principal.key_id}"
    caller.still(town.store.snapshot())
    with pytest.raises(InvalidRightError, match="say which"):
        NewKey({}, caller, MINT, below=None)
    made = NewKey({"parent_id": town.manager.principal.key_id}, caller, MINT, below=None)
    town.change(made.edit)
    assert keys_below(town.store.snapshot(), town.manager.principal.key_id or "") == [made.key.id]


def test_what_belongs_to_a_realm(town: Town) -> None:
    snapshot, any_scene = town.store.snapshot(), Selector()
    grants = {
        to: new_grant(to, any_scene, area=None, now=NOW)
        for to in ("region", "other", "group:south", "public")
    }
    mine = [
        snapshot.institutions["region"],
        grants["region"],
        grants["group:south"],
        new_membership("region", "a", "b", "c"),
        snapshot.keys[town.manager.principal.key_id or ""],
    ]
    others = [
        snapshot.institutions["other"],
        snapshot.institutions["ops"],
        grants["other"],
        grants["public"],
        new_membership("other", "a", "b", "c"),
        snapshot.groups["south"],
        snapshot.licences["terms"],
        snapshot.keys[town.operator.principal.key_id or ""],
        new_forbid(any_scene, area=None, reason="x", now=NOW),
    ]
    assert all(belongs(snapshot, right, "region") for right in mine)
    assert not any(belongs(snapshot, right, "region") for right in others)
    assert all(belongs(snapshot, right, None) for right in mine + others)


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "tag", "holds"),
    [
        (None, None, None, True),
        ('"a"', None, "a", True),
        ('"b", "a"', None, "a", True),
        ('"a.use"', None, "a", True),
        ("*", None, "a", True),
        ("*", None, None, False),
        ('"a"', None, None, False),
        ('"b"', None, "a", False),
        ('W/"a"', None, "a", False),
        ("a", None, "a", False),
        ("", None, "a", False),
        (None, "*", None, True),
        (None, "*", "a", False),
        (None, '"b"', "a", True),
        (None, '"a"', "a", False),
        ('"a"', "*", "a", False),
    ],
)
def test_preconditions(
    if_match: str | None, if_none_match: str | None, tag: str | None, *, holds: bool
) -> None:
    asked = Precondition(if_match=if_match, if_none_match=if_none_match)
    if holds:
        asked.check(tag)
        return
    with pytest.raises(RightChangedError):
        asked.check(tag)


def test_an_edit_is_held_against_the_rights_that_it_finds(town: Town) -> None:
    seen = town.store.snapshot().groups["south"]
    asked = Precondition(if_match=f'"{content_tag(seen)}"')
    edit = on("group", "south", town.operator, asked, edits.remove("group", "south"))
    put = Document("group", "south", {"name": "mine"}, town.operator, asked).edit
    town.change(NAMED)
    for late in (edit, put):
        with pytest.raises(RightChangedError):
            town.change(late)
    with pytest.raises(RightNotFoundError):
        town.change(on("group", "south", town.manager, NO_PRECONDITION, edits.remove("group", "south")))
    assert town.store.snapshot().groups["south"].name == "changed"


def test_the_use_of_a_key_is_a_part_of_its_validator_of_its_own(town: Town) -> None:
    key = town.store.snapshot().keys[town.manager.principal.key_id or ""]
    unused, used = tag_of(key, {}), tag_of(key, {(key.id, 1): "2026-06-01"})
    assert unused != used
    assert unused.partition(".")[0] == used.partition(".")[0] == content_tag(key)
    Precondition(if_match=f'"{unused}"').check(content_tag(key))


def test_what_a_document_leaves_out_stays_as_it_was_made(town: Town) -> None:
    made = new_grant(
        "region", Selector(licences=frozenset({"terms"})), area=None, now=NOW, created_by="cli:x"
    )
    town.change(edits.add(made))
    later = Caller(
        principal=town.operator.principal, action=Action.OPERATE, realm=None, now=NOW + timedelta(1)
    )
    body = {"grantee": "region", "area": "everywhere", "selector": {"licences": ["terms"]}, "reason": "new"}
    town.change(Document("grant", made.id, body, later, NO_PRECONDITION).edit)
    kept: Grant = town.store.snapshot().grants[made.id]
    assert (kept.created, kept.created_by, kept.reason) == (NOW, "cli:x", "new")


@pytest.mark.parametrize(
    ("text", "length"), [("12h", timedelta(hours=12)), ("7d", timedelta(7)), ("0h", timedelta())]
)
def test_grace(text: str, length: timedelta) -> None:
    assert grace_of(text) == length


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "-1d", "1.5h", "12345d", "7w", "٣d"])
def test_what_is_no_grace(text: str) -> None:
    with pytest.raises(ValueError, match="12h or 7d"):
        grace_of(text)
