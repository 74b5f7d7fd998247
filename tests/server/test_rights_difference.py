"""Differences between a file of rights and those that hold are lines that a person reviews."""

from __future__ import annotations

from dataclasses import replace

import shapely

from auth.documents import document_of
from auth.models import Action, Forbid, Grant, Institution, Licence, Tier
from auth.reach import EVERYWHERE, Selector, new_area
from auth.snapshot import PolicySnapshot
from server.rights_difference import Difference, changed, differences
from server.rights_file import export, parse
from tests.server.filed_rights import FULL, HOLED, NOW, held, key, lines, secret


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
