"""What is told of dead keys, of what else does not open, of time and place, and what is not told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import shapely

from auth.decision import ANONYMOUS, Principal, PrincipalKind
from auth.errors import UnknownIdError
from auth.models import PUBLIC, Action, Delegation, InstitutionStatus
from auth.reach import Selector, Window
from mosaics.errors import TimeNotFoundError
from server.explain import explain, explain_key
from server.misses import Place
from tests.auth.builders import grant, institution, key, named, rights
from tests.auth.strategies import DAYS
from tests.server.explained import COARSE, INDEX, NOW, ONE_ORIGIN, ask, box, licence, told


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
