"""What is told of a decision: always what was decided, and a sentence for every reason."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from auth.credentials import principal_of
from auth.decision import ANONYMOUS, REFUSALS, Principal, PrincipalKind
from auth.errors import CredentialInvalidError, UnknownIdError
from auth.models import (
    PUBLIC,
    Action,
    Caveat,
    Delegation,
    GrantKind,
    Group,
    InstitutionStatus,
    Licence,
    Quota,
    Tier,
)
from auth.policy import decide
from auth.reach import EVERYWHERE, Circumstances, Conditions, Selector, Window, new_area
from auth.snapshot import PolicySnapshot
from mosaics.catalog.index import CatalogIndex, CollectionScenes, newest_first
from mosaics.errors import TimeNotFoundError
from mosaics.geodesy import ground_resolution
from mosaics.grids import load_grids
from mosaics.models import Collection, Scene, Text
from server.access import scene_filter
from server.explain import Explanation, Question, explain, explain_key
from server.misses import Place
from tests.auth import strategies as random
from tests.auth.builders import forbid, grant, institution, key, named, rights
from tests.auth.naive import Caller, Point, may
from tests.auth.strategies import DAYS, EPOCH, HERE, WEST
from tests.server.conftest import run_all

NOW = DAYS[2]
KINDS = (
    ("spot", "etalab", "s6", 1.5),
    ("spot", "airbus", "phr", 0.5),
    ("pleiades", "airbus", "phr", 0.5),
    ("pleiades", None, "s6", 1.5),
)
ON_THE_EDGE = 1.0
"""Of areas: there the model and the geometry library may draw the line differently."""
CODES = {"ok", "no_layer", "forbidden", "zoom_limit", "outside_area", "suspended", "revoked", *REFUSALS}


def scene(collection: str, licence: str | None, sensor: str, pan: float, acquired: datetime | None) -> Scene:
    return Scene(
        id=f"{collection}-{sensor}",
        collection_id=collection,
        licence_id=licence,
        sensor_id=sensor,
        kind="optical",
        acquired=acquired,
        footprint=shapely.box(-1, -1, 4, 2),
        href="/x.tif",
        generation="1",
        width=10,
        height=10,
        ground_resolution=4 * pan,
        pan_resolution=pan,
        bands=(),
        styles=("rgb",),
    )


def index_of(*acquired: datetime | None) -> CatalogIndex:
    scenes = [scene(*kind, when) for kind, when in zip(KINDS, acquired, strict=True)]
    groups = {name: [s for s in scenes if s.collection_id == name] for name in ("spot", "pleiades")}
    nothing = Text(fr="", en="")
    return CatalogIndex(
        sequence=1,
        collections={name: Collection(id=name, title=nothing, description=nothing) for name in groups},
        scenes={(s.collection_id, s.id): s for s in scenes},
        by_collection={name: CollectionScenes(scenes=newest_first(group)) for name, group in groups.items()},
    )


INDEX = index_of(DAYS[1], DAYS[3], DAYS[1], None)


def ask(layer: str = "spot:spot-phr", **more: Any) -> Question:
    values: dict[str, Any] = {"longitude": 0.5, "latitude": 0.5, "ground_resolution": 2.0}
    return Question(layer_id=layer, **{**values, **more})


@st.composite
def worlds(draw: st.DrawFn) -> tuple[PolicySnapshot, CatalogIndex]:
    """Give random rights, with keys three deep, over a random catalogue."""
    keys: list[Any] = [key("alphakey"), key("betakey0", "beta"), key("opskey00", "ops")]
    for number in range(draw(st.integers(0, 3))):
        parent = draw(st.sampled_from(keys))
        days = draw(st.sampled_from([None, 2, 20]))
        revoked = draw(st.sampled_from([None, None, None, EPOCH]))
        keys.append(
            key(
                f"child{number:03}",
                parent.institution_id,
                parent_id=parent.id,
                caveat=draw(random.caveats),
                expires=None if days is None else EPOCH + timedelta(days=days),
                revoked=revoked,
            )
        )
    licences = [
        Licence(id=id_, title=id_, **{name: draw(random.tiers) for name in ("public", "partner", "holder")})
        for id_ in ("etalab", "airbus")
    ]
    snapshot = rights(
        draw(st.lists(random.grants_of | random.crises_of, max_size=5)),
        draw(st.lists(random.forbids_of, max_size=2)),
        institutions=[
            institution("alpha", draw(st.sampled_from([*InstitutionStatus, InstitutionStatus.ACTIVE]))),
            institution("beta"),
            institution("ops"),
            institution("ops2"),
        ],
        groups={
            "both": Group(
                id="both", name="both", members=draw(st.frozensets(st.sampled_from(["alpha", "beta"])))
            )
        },
        licences=named(licences),
        keys=named(keys),
    )
    return snapshot, index_of(*(draw(st.sampled_from([DAYS[1], DAYS[3], None])) for _ in KINDS))


questions = st.builds(
    ask,
    st.sampled_from(["spot", "pleiades", "spot:spot-s6", "spot:spot-phr", "pleiades:pleiades-s6"]),
    longitude=st.sampled_from([0.5, 1.5, 2.5, 3.5, 9.0, ON_THE_EDGE]),
    ground_resolution=st.sampled_from([0.5, 2.0, 20.0, 60.0]),
    action=random.asked,
    circumstances=st.builds(Circumstances, origin=random.origins),
)


@settings(deadline=None, max_examples=300)
@given(worlds(), questions, random.instants, st.data())
def test_ok_is_told_exactly_where_the_filter_opens_and_the_model_of_rights_agrees(
    world: tuple[PolicySnapshot, CatalogIndex], question: Question, now: datetime, data: st.DataObject
) -> None:
    snapshot, index = world
    question = replace(
        question,
        exhausted=data.draw(st.frozensets(st.sampled_from(sorted(snapshot.grants) or [""]), max_size=2)),
    )
    key_id = data.draw(st.sampled_from(sorted(snapshot.keys)))
    found = explain_key(snapshot, index, key_id, question, now)
    check_form(snapshot, found)
    scenes = [s for s in index.scenes.values() if question.layer_id.startswith(s.collection_id)]
    if ":" in question.layer_id:
        scenes = [s for s in scenes if question.layer_id.endswith(s.id)]
    assert scenes
    try:
        principal = principal_of(snapshot, snapshot.keys[key_id], now)
    except CredentialInvalidError:
        assert found.code in {"revoked", "expired", "suspended"}
    else:
        assert found.allowed is opens(snapshot, principal, question, now, scenes)
    if question.longitude != ON_THE_EDGE:
        assert found.allowed is model_opens(snapshot, key_id, question, now, scenes), found
    everybody = explain(snapshot, index, ANONYMOUS, question, now)
    check_form(snapshot, everybody)
    assert everybody.allowed is opens(snapshot, ANONYMOUS, question, now, scenes)


def opens(
    snapshot: PolicySnapshot, principal: Principal, question: Question, now: datetime, scenes: list[Scene]
) -> bool:
    """Tell whether the filter, which all routes use, opens the place of a scene."""
    decision = decide(
        snapshot,
        principal,
        question.action,
        now,
        circumstances=question.circumstances,
        exhausted=question.exhausted,
    )
    opened = [scene_filter(decision).opening(s, question.ground_resolution) for s in scenes]
    return any(
        o is not None
        and (o.area is None or shapely.contains_xy(o.area, question.longitude, question.latitude))
        for o in opened
    )


def model_opens(
    snapshot: PolicySnapshot, key_id: str, question: Question, now: datetime, scenes: list[Scene]
) -> bool:
    """Ask the naive model of rights, which shares no code with the decision."""
    chain = [snapshot.keys[key_id]]
    while chain[-1].parent_id is not None:
        chain.append(snapshot.keys[chain[-1].parent_id])
    holder = chain[0].institution_id
    return all(k.revoked is None and (k.expires is None or k.expires > now) for k in chain) and any(
        may(
            snapshot,
            Caller(holder, tuple(chain), operator=holder.startswith("ops")),
            question.action.value,
            now,
            Point(
                s.collection_id,
                s.licence_id,
                s.sensor_id,
                s.id,
                s.pan_resolution or 0.0,
                s.acquired,
                question.longitude,
                question.latitude,
                question.ground_resolution,
            ),
            origin=question.circumstances.origin,
            exhausted=question.exhausted,
        )
        for s in scenes
    )


def check_form(snapshot: PolicySnapshot, found: Explanation) -> None:
    """Every id is one that is there, every code is known, every sentence is one."""
    known = {*snapshot.grants, *snapshot.forbids, *snapshot.keys, *snapshot.institutions}
    for licence in snapshot.licences:
        known |= {f"licence:{licence}", f"licence:{licence}:public", f"licence:{licence}:partner"}
    assert not found.others or not found.allowed
    for each in (found, *found.others):
        assert each.code in CODES
        assert set(each.ids) <= known
        for sentence in (each.sentence.fr, each.sentence.en):
            assert re.fullmatch(r"[A-Z].+\.", sentence)
            assert "None" not in sentence
    told = [(each.code, each.ids) for each in (found, *found.others)]
    assert len(told) == len(set(told))


def told(snapshot: PolicySnapshot, question: Question, now: datetime = NOW, **more: Any) -> Explanation:
    held = replace(snapshot, keys={"AbCdEfGh": key("AbCdEfGh", **more)})
    return explain_key(held, INDEX, "AbCdEfGh", question, now)


def box(west: float, east: float, south: float = 0.0, north: float = 1.0) -> Any:
    return new_area(shapely.to_wkb(shapely.box(west, south, east, north)))


def licence(**tiers: Tier) -> dict[str, Licence]:
    return {"airbus": Licence(id="airbus", title="Airbus", **tiers)}


FINE, COARSE = Tier(ground_resolution=1.5), Tier(times_pan=32)
ONE_ORIGIN = Conditions(origins=frozenset({HERE}))
NARROW = {"caveat": Caveat(area=EVERYWHERE, finest_ground_resolution=5.0)}
KEY_FR, KEY_EN = "La clé AbCdEfGh (alpha)", "The key AbCdEfGh (alpha)"

CASES: dict[str, tuple[PolicySnapshot, Question, dict[str, Any], str, list[str], str, str]] = {
    "a grant": (
        rights([grant()], licences=licence()),
        ask(),
        {},
        "ok",
        ["g1"],
        "grâce au droit g1 (licence airbus, à pleine résolution).",
        "by the grant g1 (licence airbus, at full resolution).",
    ),
    "a grant with a limit": (
        rights([grant(finest_ground_resolution=1.5)]),
        ask(),
        {},
        "ok",
        ["g1"],
        "grâce au droit g1 (licence airbus, à 1,5 m et plus).",
        "by the grant g1 (licence airbus, at 1.5 m and coarser).",
    ),
    "the finest of several, and no other place": (
        rights(
            [
                grant("g1", finest_ground_resolution=2.0),
                grant("g2", finest_ground_resolution=1.5),
                grant("g3", area=box(1, 2)),
            ]
        ),
        ask(),
        {},
        "ok",
        ["g2", "g1"],
        "grâce au droit g2 (licence airbus, à 1,5 m et plus).",
        "by the grant g2 (licence airbus, at 1.5 m and coarser).",
    ),
    "a tier": (
        rights(licences=licence(public=COARSE)),
        ask(ground_resolution=16.0),
        {},
        "ok",
        ["licence:airbus:public"],
        "grâce à l'aperçu public de la licence airbus (licence airbus, à 16 m et plus).",
        "by the public preview of the licence airbus (licence airbus, at 16 m and coarser).",
    ),
    "no image there": (
        rights([grant()]),
        ask(longitude=9.0),
        {},
        "ok",
        ["g1"],
        "grâce au droit g1 (licence airbus, à pleine résolution). Aucune image de la couche ne s'y trouve.",
        "by the grant g1 (licence airbus, at full resolution). No image of the layer lies there.",
    ),
    "a crisis": (
        rights([grant(kind=GrantKind.CRISIS, event_id="EMSR712", approvals=("ops", "ops2"))]),
        ask(),
        {},
        "ok",
        ["g1"],
        "grâce au droit de crise g1 (EMSR712) (licence airbus, à pleine résolution).",
        "by the crisis grant g1 (EMSR712) (licence airbus, at full resolution).",
    ),
    "nothing": (
        rights([grant(grantee="beta")]),
        ask(),
        {},
        "no_grant",
        [],
        "aucun droit ne l'ouvre",
        "no grant opens it",
    ),
    "another scene": (
        rights([grant(selector=Selector(scenes=frozenset({"x"})))]),
        ask(),
        {},
        "no_grant",
        [],
        "aucun droit ne l'ouvre",
        "no grant opens it",
    ),
    "a crisis that waits": (
        rights([grant(kind=GrantKind.CRISIS, event_id="EMSR712", approvals=("ops",))]),
        ask(),
        {},
        "no_grant",
        ["g1"],
        "il manque une approbation au droit de crise g1 (EMSR712)",
        "the crisis grant g1 (EMSR712) lacks an approval",
    ),
    "a key for other images": (
        rights([grant()]),
        ask(),
        {"caveat": Caveat(area=EVERYWHERE, selector=Selector(sensors=frozenset({"s6"})))},
        "no_grant",
        ["g1"],
        "la clé se limite à d'autres images, alors que le droit g1 l'ouvrirait",
        "the key is limited to other images, though the grant g1 would open it",
    ),
    "another action": (
        rights([grant(actions=frozenset({Action.INFO}))]),
        ask(),
        {},
        "action",
        ["g1"],
        "le droit g1 ne donne pas l'action tile",
        "the grant g1 does not give the action tile",
    ),
    "an action that the key lacks": (
        rights([grant()]),
        ask(),
        {"caveat": Caveat(area=EVERYWHERE, actions=frozenset({Action.INFO}))},
        "action",
        ["g1"],
        "la clé ne donne pas l'action tile",
        "the key does not give the action tile",
    ),
    "another origin": (
        rights([grant(conditions=ONE_ORIGIN)]),
        ask(),
        {},
        "origin",
        ["g1"],
        "le droit g1 ne vaut que depuis certains sites ou réseaux",
        "the grant g1 holds only from certain sites or networks",
    ),
    "another origin than the key's": (
        rights([grant()]),
        ask(),
        {"caveat": Caveat(area=EVERYWHERE, conditions=ONE_ORIGIN)},
        "origin",
        ["g1"],
        "la clé ne vaut que depuis certains sites ou réseaux",
        "the key holds only from certain sites or networks",
    ),
    "a quota": (
        rights([grant(quota=Quota(amount=1000))]),
        ask(exhausted=frozenset({"g1"})),
        {},
        "quota",
        ["g1"],
        "le quota du droit g1 est épuisé (1000/month)",
        "the quota of the grant g1 is used up (1000/month)",
    ),
    "a grant that ended": (
        rights([grant(valid=Window(end=DAYS[1]))]),
        ask(),
        {},
        "expired",
        ["g1"],
        "le droit g1 a pris fin le 2026-01-02",
        "the grant g1 ended on 2026-01-02",
    ),
    "a grant to come": (
        rights([grant(valid=Window(start=DAYS[3]))]),
        ask(),
        {},
        "not_yet",
        ["g1"],
        "le droit g1 ne commence que le 2026-01-04",
        "the grant g1 begins only on 2026-01-04",
    ),
    "another date": (
        rights([grant(acquired=Window(end=DAYS[1]))]),
        ask(),
        {},
        "date_window",
        ["g1"],
        "l'image du 2026-01-04 est hors des dates d'acquisition du droit g1",
        "the image of 2026-01-04 is outside the acquisition dates of the grant g1",
    ),
    "an image without a date": (
        rights([grant(selector=Selector(), acquired=Window(end=DAYS[1]))]),
        ask("pleiades:pleiades-s6"),
        {},
        "date_window",
        ["g1"],
        "l'image n'a pas de date, et le droit g1 n'ouvre que certaines dates",
        "the image has no date, and the grant g1 opens only some dates",
    ),
    "another date than the key's": (
        rights([grant(acquired=Window(end=DAYS[5]))]),
        ask(),
        {"caveat": Caveat(area=EVERYWHERE, acquired=Window(end=DAYS[1]))},
        "date_window",
        ["g1"],
        "l'image du 2026-01-04 est hors des dates d'acquisition de la clé",
        "the image of 2026-01-04 is outside the acquisition dates of the key",
    ),
    "a limit": (
        rights([grant(finest_ground_resolution=2.5)]),
        ask(),
        {},
        "zoom_limit",
        ["g1"],
        "le droit g1 n'ouvre qu'à 2,5 m et plus, et 2 m est demandé",
        "the grant g1 opens only at 2.5 m and coarser, and 2 m was asked for",
    ),
    "a limit of the key": (
        rights([grant(finest_ground_resolution=2.0)]),
        ask(),
        NARROW,
        "zoom_limit",
        ["g1"],
        "la clé n'ouvre qu'à 5 m et plus, et 2 m est demandé",
        "the key opens only at 5 m and coarser, and 2 m was asked for",
    ),
    "a ceiling": (
        rights([grant()], licences=licence(holder=Tier(ground_resolution=3.0))),
        ask(),
        {},
        "zoom_limit",
        ["licence:airbus"],
        "la licence airbus n'ouvre qu'à 3 m et plus, et 2 m est demandé",
        "the licence airbus opens only at 3 m and coarser, and 2 m was asked for",
    ),
    "a tier for partners": (
        rights(licences=licence(partner=COARSE)),
        ask(),
        {},
        "zoom_limit",
        ["licence:airbus:partner"],
        "l'aperçu de la licence airbus pour les partenaires n'ouvre qu'à 16 m et plus, et 2 m est demandé",
        (
            "the preview of the licence airbus for partners opens only at 16 m and coarser, "
            "and 2 m was asked for"
        ),
    ),
    "an area in the west": (
        rights([grant(area=box(0.0, 0.473))]),
        ask(),
        {},
        "outside_area",
        ["g1"],
        "l'aire du droit g1 s'arrête à 3 km à l'ouest d'ici",
        "the grant g1 ends its area 3 km west of here",
    ),
    "an area in the north-east, near": (
        rights([grant(area=box(0.5009, 2, 0.5009, 2))]),
        ask(),
        {},
        "outside_area",
        ["g1"],
        "l'aire du droit g1 s'arrête à 141 m au nord-est d'ici",
        "the grant g1 ends its area 141 m north-east of here",
    ),
    "an area of the key": (
        rights([grant(area=box(0, 2))]),
        ask(),
        {"caveat": Caveat(area=box(0.7, 2))},
        "outside_area",
        ["g1"],
        "l'aire de la clé s'arrête à 22 km à l'est d'ici",
        "the key ends its area 22 km east of here",
    ),
    "areas with nothing in common": (
        rights([grant(area=box(0, 1))]),
        ask(),
        {"caveat": Caveat(area=box(2, 3))},
        "outside_area",
        ["g1"],
        "l'aire de la clé ne couvre pas ce lieu",
        "the area of the key does not hold this place",
    ),
    "a forbid": (
        rights([grant()], [forbid(area=WEST)]),
        ask(),
        {},
        "forbidden",
        ["f1"],
        "l'interdiction f1 s'y oppose",
        "the forbid f1 stands against it",
    ),
    "no layer": (
        rights([grant()]),
        ask("nowhere"),
        {},
        "no_layer",
        [],
        "il n'y a pas de couche de ce nom",
        "there is no layer of that name",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_reason_has_its_sentence_in_both_languages(case: str) -> None:
    snapshot, question, more, code, ids, french, english = CASES[case]
    found = told(snapshot, question, **more)
    assert (found.code, list(found.ids)) == (code, ids)
    assert found.allowed is (code == "ok")
    if found.allowed:
        wanted = Text(
            fr=f"{KEY_FR} voit cette couche ici {french}", en=f"{KEY_EN} sees this layer here {english}"
        )
    else:
        wanted = Text(
            fr=f"{KEY_FR} ne voit pas cette couche ici : {french} ({code}).",
            en=f"{KEY_EN} does not see this layer here: {english} ({code}).",
        )
    assert found.sentence == wanted


@pytest.mark.parametrize(
    ("action", "french", "english"),
    [
        (Action.CATALOGUE, "connaît", "knows"),
        (Action.PREVIEW, "voit l'aperçu de", "sees the preview of"),
        (Action.TILE, "voit", "sees"),
        (Action.INFO, "lit les valeurs de", "reads the values of"),
        (Action.EXPORT, "exporte", "exports"),
    ],
)
def test_each_action_has_its_verb(action: Action, french: str, english: str) -> None:
    yes = told(rights([grant(actions=frozenset({action}))]), ask(action=action)).sentence
    assert yes.fr.startswith(f"{KEY_FR} {french} cette couche ici grâce au droit g1")
    assert yes.en.startswith(f"{KEY_EN} {english} this layer here by the grant g1")
    no = told(rights(), ask(action=action)).sentence
    verb, _, rest = french.partition(" ")
    assert re.match(rf"{re.escape(KEY_FR)} (ne |n'){verb} pas {rest}", no.fr)
    assert no.en.startswith(f"{KEY_EN} does not {english.split(maxsplit=1)[0].rstrip('s')}")


def test_every_code_that_refuses_is_among_the_cases_or_the_dead() -> None:
    elsewhere = {"suspended", "revoked", "delegation"}
    assert {case[3] for case in CASES.values()} | elsewhere == CODES


def test_a_child_key_beyond_the_delegation() -> None:
    parent, child = key("AAAAAAAA"), key("BBBBBBBB", parent_id="AAAAAAAA")
    held = rights([grant(delegable=None)], keys=named([parent, child]))
    assert explain_key(held, INDEX, "AAAAAAAA", ask(), NOW).allowed
    found = explain_key(held, INDEX, "BBBBBBBB", ask(), NOW)
    assert (found.code, found.ids) == ("delegation", ("g1",))
    assert "le droit g1 ne s'étend pas à une clé faite ainsi par une autre" in found.sentence.fr
    wider = rights([grant(delegable=Delegation())], keys=held.keys)
    assert explain_key(wider, INDEX, "BBBBBBBB", ask(), NOW).allowed


@pytest.mark.parametrize(
    ("parent", "child", "status", "code", "id_", "clause"),
    [
        ({}, {"revoked": DAYS[1]}, "active", "revoked", "BBBBBBBB", "was revoked on 2026-01-02"),
        ({"revoked": DAYS[1]}, {}, "active", "revoked", "AAAAAAAA", "the key AAAAAAAA was revoked on"),
        ({}, {"expires": DAYS[1]}, "active", "expired", "BBBBBBBB", "ended on 2026-01-02"),
        ({"expires": NOW}, {}, "active", "expired", "AAAAAAAA", "the key AAAAAAAA ended on 2026-01-03"),
        ({}, {}, "suspended", "suspended", "alpha", "the institution alpha is suspended"),
        ({}, {}, "closed", "suspended", "alpha", "the institution alpha is closed"),
    ],
)
def test_a_dead_key_is_told_so(  # noqa: PLR0917 - a row of the table
    parent: dict[str, Any], child: dict[str, Any], status: str, code: str, id_: str, clause: str
) -> None:
    keys = [key("AAAAAAAA", **parent), key("BBBBBBBB", parent_id="AAAAAAAA", **child)]
    people = [institution("alpha", InstitutionStatus(status))]
    held = rights([grant()], institutions=people, keys=named(keys))
    found = explain_key(held, INDEX, "BBBBBBBB", ask(), NOW)
    assert (found.code, found.ids) == (code, (id_,))
    assert found.sentence.en.startswith("The key BBBBBBBB (alpha) opens nothing: ")
    assert clause in found.sentence.en
    assert found.sentence.fr.startswith("La clé BBBBBBBB (alpha) n'ouvre rien : ")


def test_a_member_of_a_suspended_institution_is_told_so() -> None:
    who = Principal(kind=PrincipalKind.INSTITUTION, institution_id="alpha")
    held = rights([grant()], institutions=[institution("alpha", InstitutionStatus.SUSPENDED)])
    found = explain(held, INDEX, who, ask(), NOW)
    assert (found.code, found.ids) == ("suspended", ("alpha",))
    assert found.sentence.en.startswith("alpha does not see this layer here: the institution alpha is susp")


def test_everybody_is_told_of_as_the_public() -> None:
    found = explain(rights([grant(grantee=PUBLIC)]), INDEX, ANONYMOUS, ask(), NOW)
    assert found.sentence.fr.startswith("Le public voit cette couche ici grâce au droit g1")
    assert found.sentence.en.startswith("The public sees this layer here by the grant g1")


def test_what_else_does_not_open_it_follows_the_nearest_first() -> None:
    held = rights(
        [
            grant("g1", finest_ground_resolution=5.0, area=box(2, 3)),
            grant("g2", finest_ground_resolution=5.0),
            grant("g3", valid=Window(end=DAYS[1])),
            grant("g4", conditions=ONE_ORIGIN),
            grant("g5", grantee="beta"),
        ],
        licences=licence(public=COARSE),
    )
    found = told(held, ask())
    told_in_order = [(each.code, each.ids[0]) for each in (found, *found.others)]
    assert told_in_order == [
        ("zoom_limit", "g2"),
        ("zoom_limit", "licence:airbus:public"),
        ("zoom_limit", "g1"),
        ("origin", "g4"),
        ("expired", "g3"),
    ]
    assert found.others[-1].sentence.fr == "Le droit g3 a pris fin le 2026-01-02 (expired)."


def test_the_time_chooses_the_scene_and_a_wrong_one_is_an_error() -> None:
    held = rights([grant(selector=Selector(sensors=frozenset({"s6"})))])
    assert told(held, ask("spot")).scene == "spot:spot-s6"
    assert told(held, ask("spot", time="2026-01-02")).allowed
    assert told(held, ask("spot", time="2026-01-04")).code == "no_grant"
    with pytest.raises(TimeNotFoundError):
        told(held, ask("spot", time="2020-01-01"))


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(UnknownIdError):
        explain_key(rights(), INDEX, "AbCdEfGh", ask(), NOW)


def test_who_may_not_know_of_a_layer_is_told_what_is_told_of_a_missing_one() -> None:
    held = replace(rights([grant(grantee="beta")]), keys={"AbCdEfGh": key("AbCdEfGh")})
    hidden, missing = (
        explain_key(held, INDEX, "AbCdEfGh", ask(layer), NOW, only_known=True)
        for layer in ("spot", "nowhere")
    )
    assert hidden == missing
    assert hidden.code == "no_layer"
    listed = grant("g2", grantee=PUBLIC, actions=frozenset({Action.CATALOGUE}))
    known = replace(held, grants={**held.grants, "g2": listed})
    assert explain_key(known, INDEX, "AbCdEfGh", ask("spot"), NOW, only_known=True).code == "action"


@pytest.mark.parametrize(
    ("longitude", "latitude", "direction"),
    [(1, 5, 0), (5, 5, 1), (5, 0.5, 2), (5, -4, 3), (0.5, -4, 4), (-4, -4, 5), (-4, 0.5, 6), (-4, 5, 7)],
)
def test_directions_are_those_of_a_compass(longitude: float, latitude: float, direction: int) -> None:
    center = shapely.box(longitude - 0.1, latitude - 0.1, longitude + 0.1, latitude + 0.1)
    place = Place(longitude=0.9, latitude=0.5, ground_resolution=1.0)
    metres, found = place.way_to(center)
    assert found == direction
    assert metres is not None
    assert metres > 300_000


def test_the_document_is_plain_json() -> None:
    document = json.loads(
        json.dumps(told(rights([grant(), grant("g2")]), ask(action=Action.INFO)).document())
    )
    assert document["code"] == "action"
    assert document["allowed"] is False
    assert document["ids"] == ["g1"]
    assert set(document["sentence"]) == {"fr", "en"}
    assert [other["ids"] for other in document["others"]] == [["g2"]]


def test_what_is_told_is_what_the_server_answers(own_home: Any, started: Any) -> None:
    """Each pixel of real tiles is there exactly where the explanation says ok."""
    west = "1.4100,43.6000,1.4170,43.6100"
    lines = [
        ["grant", "add", "other", "--collection", "granted", "--gsd", "2"],
        ["grant", "add", "other", "--collection", "granted", "--gsd", "0.9", "--area", west],
        ["forbid", "add", "--reason", "x", "--collection", "granted", "--area", "1.4155,43.6,1.416,43.61"],
    ]
    *done, made = run_all(own_home, *lines, ["key", "create", "other"])
    assert all(each.status == 0 for each in done), done
    shown_key = made.stdout.strip()
    asgi = started(own_home)
    services = asgi.application.services
    grid = load_grids().get("WebMercatorQuad")
    now, seen = datetime.now(UTC), set()
    for zoom in (14, 15, 16, 17):
        for longitude in (1.4153, 1.41575, 1.4163, 1.4168, 1.4175, 1.4185, 1.4195):
            latitude = 43.606
            column = int((longitude + 180) / 360 * 2**zoom)
            row = int((1 - np.arcsinh(np.tan(np.radians(latitude))) / np.pi) / 2 * 2**zoom)
            frame = grid.frame(zoom, column, row)
            x = longitude / 180 * np.pi * 6378137
            y = np.arcsinh(np.tan(np.radians(latitude))) * 6378137
            size = (frame.bounds.right - frame.bounds.left) / frame.width
            reply = asgi.get(
                f"/tiles/granted/WebMercatorQuad/{zoom}/{column}/{row}.png", {"x-api-key": shown_key}
            )
            alpha = 0
            if reply.status == 200:
                picture = np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA"))
                alpha = picture[int((frame.bounds.top - y) / size), int((x - frame.bounds.left) / size), 3]
            resolution = ground_resolution(frame)
            question = ask("granted", longitude=longitude, latitude=latitude, ground_resolution=resolution)
            found = explain_key(
                services.knowledge.policy, services.knowledge.index, shown_key.split("_")[2], question, now
            )
            assert found.allowed is bool(alpha > 0), (zoom, longitude, found.sentence.en, reply.status)
            if reply.status == 403:
                assert reply.json["code"] == "zoom_limit"
                assert found.code in {"zoom_limit", "forbidden"}
            seen.add((found.code, reply.status))
    assert seen >= {("ok", 200), ("forbidden", 200), ("zoom_limit", 200), ("zoom_limit", 403)}
