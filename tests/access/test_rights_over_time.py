"""Rights that change in a real store, keys that are shown, and the filter that comes of it, by the model.

Each step changes the rights through `auth.edits` as the commands do. The mirror of them is kept by hand, and
the naive model answers from the mirror: so the store, the documents, the edits, the credentials, the decision
and its translation into a filter of scenes are all held to one text.
"""

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from pathlib import Path

import pysqlite3
import shapely
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import create_engine

from auth import edits
from auth.credentials import Peppers, authenticate, new_key, new_secret
from auth.decision import ANONYMOUS
from auth.errors import AuthError, CredentialInvalidError
from auth.memory_store import MemoryPolicyStore
from auth.migrate import migrate
from auth.models import Action, GrantKind, Group, Institution, InstitutionStatus, Key, Licence
from auth.policy import decide
from auth.reach import EVERYWHERE, Circumstances, Window
from auth.signing import Signed, principal_of_signed, read_signed, sign
from auth.store import SqlPolicyStore
from mosaics.filters import COARSEST
from mosaics.models import Scene
from server.access import scene_filter
from tests.auth.naive import Caller, chain_of, lives, may
from tests.auth.strategies import (
    DAYS,
    EPOCH,
    HERE,
    MIDDLE,
    WEST,
    WORLD,
    caveats,
    crises_of,
    forbids_of,
    grants_of,
    instants,
    tiers,
)
from tests.conftest import SCALE

PEPPERS = Peppers(by_version={1: b"a pepper for the tests"})
QUESTIONS = [
    (action, origin) for action in (Action.TILE, Action.INFO, Action.CATALOGUE) for origin in (HERE, None)
]
LAYERS = ["*", "spot", "pleiades:pleiades-s6"]


def place(point):
    return (point.collection, point.licence, point.sensor, point.scene, point.pan, str(point.acquired))


def scene_of(number, point):
    return Scene(
        id=point.scene,
        collection_id=point.collection,
        licence_id=point.licence,
        sensor_id=point.sensor,
        kind="optical",
        acquired=point.acquired,
        footprint=shapely.box(0, 0, 3, 1),
        href="/nowhere.tif",
        generation=str(number),
        width=10,
        height=10,
        ground_resolution=point.pan * 4,
        pan_resolution=point.pan,
        bands=(),
        styles=(),
    )


SCENES = [
    (scene_of(number, points[0]), points)
    for number, points in enumerate(list(group) for _, group in groupby(WORLD, place))
]
"""Each scene of the world with the points that lie on it."""
DETAILS = sorted({point.detail for point in WORLD})
LONGITUDES = sorted({point.lon for point in WORLD})
NUMBERS = {point: number for number, point in enumerate(WORLD)}
COARSE = [[replace(point, detail=COARSEST) for point in points] for _, points in SCENES]


@dataclass
class Mirror:
    """All rights, kept by hand."""

    institutions: dict = field(default_factory=dict)
    groups: dict = field(default_factory=dict)
    licences: dict = field(default_factory=dict)
    keys: dict = field(default_factory=dict)
    grants: dict = field(default_factory=dict)
    forbids: dict = field(default_factory=dict)
    memberships: dict = field(default_factory=dict)


class RightsOverTime(RuleBasedStateMachine):
    """Any change in any order; after each, every caller sees what the model says, and nothing else."""

    def __init__(self):
        super().__init__()
        self.store = self.new_store()
        self.mirror = Mirror()
        self.texts = {}
        self.old_texts = {}
        self.now = EPOCH
        self.steps = 0
        for id_ in ("alpha", "beta", "ops", "ops2"):
            self.put("institutions", Institution(id=id_, name=id_, operator=id_.startswith("ops")))
        self.put("groups", Group(id="both", name="both", members=frozenset({"alpha"})))
        for id_ in ("etalab", "airbus"):
            self.put("licences", Licence(id=id_, title=id_))
        for id_ in ("alpha", "beta", "ops"):
            self.make_key(id_)

        top = next(iter(self.mirror.keys))
        self.make_key("alpha", parent_id=top, expires=DAYS[5])
        self.make_key("alpha", parent_id=list(self.mirror.keys)[-1], expires=DAYS[5], url_allowed=False)

    def new_store(self):
        return MemoryPolicyStore()

    def change(self, edit):
        return self.store.change(edit, actor="test", at=self.now)

    def put(self, kind, right):
        self.change(edits.put(right))
        getattr(self.mirror, kind)[right.id] = right

    def make_key(self, institution_id, **more):
        made, text = new_key("test", institution_id, PEPPERS, now=EPOCH, **({"url_allowed": True} | more))
        self.put("keys", made)
        self.texts[made.id] = text

    @initialize(first=st.lists(grants_of, min_size=1, max_size=3, unique_by=lambda g: g.id))
    def begin(self, first):
        for each in first:
            self.put("grants", each)

    # --- what may be done ---------------------------------------------------------------------------------

    @rule(added=grants_of)
    def add_grant(self, added):
        self.put("grants", added)

    @precondition(lambda self: self.mirror.grants)
    @rule(limits=caveats, data=st.data())
    def narrow_a_grant(self, limits, data):
        held = self.mirror.grants[data.draw(st.sampled_from(sorted(self.mirror.grants)))]
        if held.kind is GrantKind.NORMAL and limits is not None and held.area is EVERYWHERE:
            with self.never_more():
                self.put("grants", replace(held, area=limits.area))

    @rule(added=crises_of, where=st.sampled_from([WEST, MIDDLE]), begin=st.sampled_from(DAYS[:4]))
    def ask_for_a_crisis(self, added, where, begin):
        selector = replace(added.selector, sensors=added.selector.sensors or frozenset({"phr", "s6"}))
        window = Window(start=begin, end=begin + timedelta(hours=48))
        self.put("grants", replace(added, area=where, selector=selector, valid=window, approvals=()))

    @rule(data=st.data(), operator=st.sampled_from(["ops", "ops2", "alpha"]))
    def approve(self, data, operator):
        waiting = sorted(id_ for id_, g in self.mirror.grants.items() if g.kind is GrantKind.CRISIS)
        if waiting:
            held = self.mirror.grants[data.draw(st.sampled_from(waiting))]
            try:
                self.change(edits.approve(held.id, operator))
            except AuthError:
                assert not self.operates(operator)
                return
            assert self.operates(operator) or operator in held.approvals
            approvals = (*(a for a in held.approvals if a != operator), operator)
            if operator not in held.approvals:
                self.mirror.grants[held.id] = replace(held, approvals=approvals)

    def operates(self, id_):
        held = self.mirror.institutions[id_]
        return held.operator and held.status is InstitutionStatus.ACTIVE

    @precondition(lambda self: self.mirror.grants)
    @rule(data=st.data())
    def remove_grant(self, data):
        gone = data.draw(st.sampled_from(sorted(self.mirror.grants)))
        with self.never_more():
            self.change(edits.remove("grant", gone))
            del self.mirror.grants[gone]

    @rule(added=forbids_of)
    def add_forbid(self, added):
        if added.id not in self.mirror.forbids:  # putting another in its place may well allow more
            with self.never_more():
                self.put("forbids", added)

    @precondition(lambda self: self.mirror.forbids)
    @rule(data=st.data())
    def lift_forbid(self, data):
        gone = data.draw(st.sampled_from(sorted(self.mirror.forbids)))
        self.change(edits.remove("forbid", gone))
        del self.mirror.forbids[gone]

    @rule(licence=st.sampled_from(["etalab", "airbus"]), public=tiers, partner=tiers, holder=tiers)
    def set_tiers(self, licence, public, partner, holder):
        held = self.mirror.licences[licence]
        self.put("licences", replace(held, public=public, partner=partner, holder=holder))

    @rule(members=st.frozensets(st.sampled_from(["alpha", "beta"])))
    def change_group(self, members):
        self.put("groups", Group(id="both", name="both", members=members))

    @rule(id_=st.sampled_from(["alpha", "beta", "ops", "ops2"]), status=st.sampled_from(InstitutionStatus))
    def change_status(self, id_, status):
        def act():
            self.change(edits.set_status(id_, status))
            held = self.mirror.institutions[id_]
            self.mirror.institutions[id_] = replace(held, status=status)

        if status is InstitutionStatus.ACTIVE:
            act()
        else:
            with self.never_more():
                act()

    @precondition(lambda self: len(self.mirror.keys) < 9)
    @rule(id_=st.sampled_from(["alpha", "beta"]), caveat=caveats, days=st.sampled_from([None, 2]))
    def make_own_key(self, id_, caveat, days):
        expires = None if days is None else EPOCH + timedelta(days=days)
        self.make_key(id_, caveat=caveat, expires=expires)

    @precondition(lambda self: len(self.mirror.keys) < 9)
    @rule(
        caveat=caveats,
        days=st.sampled_from([None, 5, 20]),
        url=st.booleans(),
        data=st.data(),
    )
    def make_child_key(self, caveat, days, url, data):
        parent = self.mirror.keys[data.draw(st.sampled_from(list(self.mirror.keys)))]
        more = {
            "parent_id": parent.id,
            "caveat": caveat,
            "url_allowed": url,
            "expires": None if days is None else EPOCH + timedelta(days=days),
        }
        before = self.store.epoch()
        try:
            self.make_key(parent.institution_id, **more)
        except AuthError:
            assert self.store.epoch() == before

    @rule(data=st.data())
    def revoke_key(self, data):
        key_id = data.draw(st.sampled_from(list(self.mirror.keys)))
        held = self.mirror.keys[key_id]
        with self.never_more():
            self.change(edits.revoke_key(key_id, self.now))
            self.mirror.keys[key_id] = replace(held, revoked=held.revoked or self.now)

    @rule(data=st.data(), grace=st.sampled_from([0, 1]))
    def rotate_key(self, data, grace):
        key_id = data.draw(st.sampled_from(list(self.mirror.keys)))
        held: Key = self.mirror.keys[key_id]
        if any(each.revoked is not None for each in chain_of(self.mirror, held)):
            return
        secret, text = new_secret("test", key_id, PEPPERS)
        ends = self.now + timedelta(days=grace)
        self.change(edits.rotate_key(key_id, secret, ends))
        self.old_texts[self.texts[key_id]] = (key_id, held.secrets[-1].number, ends)
        self.texts[key_id] = text
        newest = held.secrets[-1]
        kept = (replace(newest, until=ends), replace(secret, number=newest.number + 1))
        self.mirror.keys[key_id] = replace(held, secrets=kept)

    @rule(moment=instants)
    def move_the_clock(self, moment):
        self.now = moment

    # --- what must hold -----------------------------------------------------------------------------------

    def callers(self):
        """Everyone that can ask now: (a name, the principal, the same caller in the model's words)."""
        rights = self.store.snapshot()
        yield "nobody", ANONYMOUS, Caller(None)
        for number, (key_id, text) in enumerate(self.texts.items()):
            model = self.mirror.keys[key_id]
            if not lives(self.mirror, model, self.now):
                continue
            principal = authenticate(rights, PEPPERS, text, in_url=False, now=self.now).principal
            caller = Caller(
                model.institution_id,
                chain_of(self.mirror, model),
                self.mirror.institutions[model.institution_id].operator,
            )
            yield key_id, principal, caller
            if number != self.steps % len(self.texts):
                continue
            layer = LAYERS[self.steps % len(LAYERS)]
            signed = Signed(
                use="url",
                expires=self.now + timedelta(minutes=5),
                key_id=key_id,
                layer=None if layer == "*" else layer,
            )
            shown = read_signed(PEPPERS, sign(PEPPERS, signed, self.now), use="url", now=self.now)
            by_signature = principal_of_signed(rights, shown, self.now)
            yield f"{key_id}:{layer}", by_signature, replace(caller, signed_for=layer)

    def filter_of(self, principal, action, origin):
        circumstances = Circumstances(origin=origin)
        rights = self.store.snapshot()
        return scene_filter(decide(rights, principal, action, self.now, circumstances=circumstances))

    def everything(self):
        action, origin = QUESTIONS[self.steps % len(QUESTIONS)]
        return {name: shown(self.filter_of(who, action, origin)) for name, who, _ in self.callers()}

    @contextmanager
    def never_more(self):
        before = self.everything()
        yield
        for name, opened in self.everything().items():
            assert opened <= before[name], name

    @invariant()
    def the_store_holds_what_was_put(self):
        held = self.store.snapshot()
        for kind, rights in vars(self.mirror).items():
            assert dict(getattr(held, kind)) == rights

    @invariant()
    def a_key_opens_while_it_lives_and_no_longer(self):
        rights = self.store.snapshot()
        for key_id, text in self.texts.items():
            model = self.mirror.keys[key_id]
            for in_url in (False, True):
                chain = chain_of(self.mirror, model)
                good = lives(self.mirror, model, self.now) and (
                    not in_url or all(each.url_allowed for each in chain)
                )
                assert opens(rights, text, self.now, in_url=in_url) is good
        for text, (key_id, number, ends) in self.old_texts.items():
            model = self.mirror.keys[key_id]
            newest = model.secrets[-1].number
            good = lives(self.mirror, model, self.now) and number == newest - 1 and self.now < ends
            assert opens(rights, text, self.now, in_url=False) is good

    @invariant()
    def everyone_sees_what_the_model_says(self):
        self.steps += 1
        action, origin = QUESTIONS[self.steps % len(QUESTIONS)]
        seen = {}
        for name, principal, model in self.callers():
            opened = self.filter_of(principal, action, origin)
            expected = {
                number
                for number, point in enumerate(WORLD)
                if may(self.mirror, model, action.value, self.now, point, origin=origin)
            }
            seen[name] = shown(opened)
            assert seen[name] == expected, name
            self.check_doors(opened, model, action, origin, expected)
        for name, opened in seen.items():
            key_id, _, layer = name.partition(":")
            parent = self.mirror.keys[key_id].parent_id if key_id in self.mirror.keys else None
            above = key_id if layer else parent
            if above in seen:
                assert opened <= seen[above], name

    def check_doors(self, opened, model, action, origin, expected):
        """A point, the list of layers and the picture say the same: one place has one decision."""
        for (scene, points), coarse in zip(SCENES, COARSE, strict=True):
            listed = any(
                may(self.mirror, model, action.value, self.now, point, origin=origin) for point in coarse
            )
            assert opened.sees(scene) is listed
            limits = {lon: opened.finest_at(scene, lon, 0.5) for lon in LONGITUDES}
            finest = opened.finest(scene)
            for point in points:
                limit = limits[point.lon]
                by_point = limit is not None and point.detail >= limit
                assert by_point is (NUMBERS[point] in expected)
                assert listed or not by_point
                assert not by_point or point.detail >= finest


class RightsInADatabase(RightsOverTime):
    """The same in SQLite."""

    def new_store(self):
        self.folder = tempfile.TemporaryDirectory()
        self.engine = create_engine(f"sqlite:///{Path(self.folder.name) / 'rights.db'}", module=pysqlite3)
        migrate(self.engine)
        return SqlPolicyStore(self.engine)

    def teardown(self):
        self.engine.dispose()
        self.folder.cleanup()


def opens(rights, text, now, *, in_url):
    try:
        authenticate(rights, PEPPERS, text, in_url=in_url, now=now)
    except CredentialInvalidError:
        return False
    return True


def shown(opened):
    """Give the numbers of the points that a filter opens, as a picture would: by opening and its outline."""
    found, first = set(), 0
    for scene, points in SCENES:
        for detail in DETAILS:
            opening = opened.opening(scene, detail)
            if opening is None:
                continue
            there = [number for number, point in enumerate(points, first) if point.detail == detail]
            if opening.area is not None:
                held = shapely.contains_xy(opening.area, LONGITUDES, 0.5)
                there = [number for number, inside in zip(there, held, strict=True) if inside]
            found.update(there)
        first += len(points)
    return found


def test_the_world_is_whole():
    assert [point for _, points in SCENES for point in points] == WORLD


EXAMPLES = max(20, int(800 * SCALE))
RightsOverTime.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=15, deadline=None)
RightsInADatabase.TestCase.settings = settings(
    max_examples=max(6, EXAMPLES // 5), stateful_step_count=12, deadline=None
)
TestRightsOverTime = RightsOverTime.TestCase
TestRightsInADatabase = RightsInADatabase.TestCase
