from __future__ import annotations

from datetime import UTC, datetime

import pytest
import shapely
from scenes import scene

from mosaics.filters import EVERYTHING, NATIVE, Exclusion, Fineness, SceneFilter, SceneRule, SceneSet

WEST, EAST = shapely.box(1, 43, 1.5, 44), shapely.box(1.5, 43, 2, 44)


def only(**sets: object) -> SceneFilter:
    return SceneFilter((SceneRule(scenes=SceneSet(**sets)),))


@pytest.mark.parametrize(
    ("sets", "seen"),
    [
        ({}, True),
        ({"collections": frozenset({"c"})}, True),
        ({"collections": frozenset({"d"})}, False),
        ({"licences": frozenset({"l"})}, True),
        ({"licences": frozenset()}, False),
        ({"sensors": frozenset({"rgb"}), "licences": frozenset({"other"})}, False),
        ({"scenes": frozenset({"a"})}, True),
        ({"acquired_from": datetime(2024, 5, 17, 10, 30, tzinfo=UTC)}, True),
        ({"acquired_before": datetime(2024, 5, 17, 10, 30, tzinfo=UTC)}, False),
    ],
)
def test_all_kinds_of_a_set_must_hold(sets: dict[str, object], seen: bool) -> None:
    assert only(**sets).sees(scene(licence_id="l")) is seen


def test_a_scene_without_a_datetime_fails_any_window() -> None:
    undated = scene(acquired=None)
    assert only().sees(undated)
    assert not only(acquired_from=datetime(1970, 1, 1, tzinfo=UTC)).sees(undated)
    assert not only(acquired_before=datetime(2999, 1, 1, tzinfo=UTC)).sees(undated)


def test_no_rule_opens_nothing() -> None:
    assert not SceneFilter().sees(scene())
    assert SceneFilter().opening(scene(), 1.0) is None
    assert SceneFilter().finest_at(scene(), 1.5, 43.5) is None


def test_areas_are_united_only_over_rules_that_match_in_everything_else() -> None:
    both = SceneFilter(
        (
            SceneRule(scenes=SceneSet(), area=WEST, fineness=NATIVE),
            SceneRule(scenes=SceneSet(), area=EAST, fineness=Fineness(ground_resolution=10.0)),
        )
    )
    fine, coarse = both.opening(scene(), 0.5), both.opening(scene(), 10.0)
    assert fine is not None
    assert coarse is not None
    assert shapely.equals(fine.area, WEST)  # the other's area never lends itself to this resolution
    assert shapely.equals(coarse.area, shapely.box(1, 43, 2, 44))
    assert both.finest_at(scene(), 1.2, 43.5) == 0.0
    assert both.finest_at(scene(), 1.8, 43.5) == 10.0


def test_an_exclusion_takes_its_part_from_its_own_rule_only() -> None:
    embargo = Exclusion(scenes=SceneSet(), area=WEST)
    cut = SceneFilter((SceneRule(scenes=SceneSet(), exclusions=(embargo,)),))
    opening = cut.opening(scene(), 1.0)
    assert opening is not None
    part = shapely.intersection(opening.area, scene().footprint)
    assert shapely.symmetric_difference(part, EAST).area < 1e-9
    assert cut.finest_at(scene(), 1.2, 43.5) is None
    crisis = SceneFilter((*cut.rules, SceneRule(scenes=SceneSet(), area=WEST)))
    united = crisis.opening(scene(), 1.0)
    assert united is not None
    assert shapely.difference(scene().footprint, united.area).area < 1e-9


def test_an_exclusion_everywhere_closes_the_scene() -> None:
    closed = SceneFilter((SceneRule(scenes=SceneSet(), exclusions=(Exclusion(scenes=SceneSet()),)),))
    assert not closed.sees(scene())


def test_a_limit_equal_to_the_resolution_opens_it() -> None:
    limited = SceneFilter((SceneRule(scenes=SceneSet(), fineness=Fineness(ground_resolution=2.0)),))
    assert limited.opening(scene(), 2.0) is not None
    assert limited.opening(scene(), 1.99) is None


def test_the_digest_names_rights_not_their_order() -> None:
    a, b = SceneRule(scenes=SceneSet(licences=frozenset({"x", "y"}))), SceneRule(scenes=SceneSet(), area=WEST)
    assert SceneFilter((a, b)).digest == SceneFilter((b, a, a)).digest
    assert SceneFilter((a,)).digest != SceneFilter((b,)).digest
    assert SceneFilter((b,)).digest != EVERYTHING.digest


@pytest.mark.parametrize("longitude", [1.0, 1.2, 1.4999999, 1.5])
def test_the_border_of_an_exclusion_is_closed_at_a_point_as_in_a_picture(longitude: float) -> None:
    embargo = Exclusion(scenes=SceneSet(), area=WEST)
    cut = SceneFilter((SceneRule(scenes=SceneSet(), exclusions=(embargo,)),))
    opening = cut.opening(scene(), 1.0)
    assert opening is not None
    assert not shapely.contains_xy(opening.area, longitude, 43.5)
    assert cut.openers_at(scene(), longitude, 43.5) == ()


def test_the_finest_is_what_is_open_of_the_scene_itself() -> None:
    elsewhere = SceneRule(scenes=SceneSet(), area=shapely.box(50, 50, 51, 51))
    coarse = SceneRule(scenes=SceneSet(), fineness=Fineness(ground_resolution=20.0))
    assert SceneFilter((elsewhere, coarse)).finest(scene()) == 20.0
    here = SceneRule(scenes=SceneSet(), area=shapely.box(1.5, 43, 51, 51))
    assert SceneFilter((here, coarse)).finest(scene()) == 0.0
    closed = SceneRule(
        scenes=SceneSet(), exclusions=(Exclusion(scenes=SceneSet(), area=shapely.box(0, 0, 9, 90)),)
    )
    assert SceneFilter((closed, coarse)).finest(scene()) == 20.0
    ceiling = Exclusion(scenes=SceneSet(), finer_than=Fineness(times_pan=8.0))
    held = SceneRule(scenes=SceneSet(), exclusions=(ceiling,))
    assert SceneFilter((held,)).finest(scene()) == 4.0


def test_what_is_remembered_of_a_scene_is_not_taken_for_another_of_the_same_name() -> None:
    opened = only(sensors=frozenset({"rgb"}))
    assert opened.sees(scene())
    assert not opened.sees(scene(sensor_id="other"))
    assert opened.sees(scene())


def test_a_ceiling_closes_by_resolution_and_an_embargo_at_any() -> None:
    ceiling = Exclusion(scenes=SceneSet(), finer_than=Fineness(ground_resolution=5.0))
    embargo = Exclusion(scenes=SceneSet(scenes=frozenset({"b"})))
    opened = SceneFilter((SceneRule(scenes=SceneSet(), exclusions=(ceiling, embargo)),))
    assert opened.opening(scene(), 1.0) is None
    assert opened.opening(scene(), 5.0) is not None
    assert opened.opening(scene(), float("inf")) is not None
    assert opened.opening(scene(id="b"), float("inf")) is None


def test_the_order_of_rules_and_exclusions_is_no_part_of_the_digest() -> None:
    one, other = Exclusion(scenes=SceneSet(), area=WEST), Exclusion(scenes=SceneSet(), area=EAST)
    ways = [
        SceneFilter((SceneRule(scenes=SceneSet(), exclusions=each), SceneRule(scenes=SceneSet(), area=EAST)))
        for each in ((one, other), (other, one))
    ]
    assert ways[0].digest == ways[1].digest == SceneFilter(ways[0].rules[::-1]).digest
    less = SceneFilter((SceneRule(scenes=SceneSet(), exclusions=(one,)), ways[0].rules[1]))
    assert less.digest != ways[0].digest
