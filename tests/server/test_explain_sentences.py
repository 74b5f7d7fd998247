"""Every reason has its sentence, in French and English."""

from __future__ import annotations

import re
from typing import Any

import pytest

from auth.models import Action, Caveat, GrantKind, Quota, Tier
from auth.reach import EVERYWHERE, Selector, Window
from auth.snapshot import PolicySnapshot
from mosaics.models import Text
from server.explain import Question
from tests.auth.builders import forbid, grant, rights
from tests.auth.strategies import DAYS, WEST
from tests.server.explained import COARSE, CODES, ONE_ORIGIN, ask, box, licence, told

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
