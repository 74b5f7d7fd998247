"""A decision of auth as the filter of mosaics: nothing gained, nothing lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import shapely

from auth.decision import Allowance, Decision, Exclusion, Refusal
from auth.models import Quota, Tier
from auth.reach import Selector, Window, new_area
from mosaics.layers import Layer
from mosaics.models import Collection, Scene, Text
from server.access import nearest_miss, scene_filter

START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2024, 7, 1, tzinfo=UTC)
WEST = shapely.box(0, 0, 5, 10)
COLLECTION = Collection(id="c", title=Text(fr="", en=""), description=Text(fr="", en=""))
NOON = shapely.box(4, 4, 6, 6)


def allowance(**more: object) -> Allowance:
    values: dict[str, object] = {
        "grant_id": "g1",
        "selector": Selector(),
        "acquired": Window(),
        "areas": (),
        "finest_ground_resolution": None,
        "exclusions": (),
    }
    return Allowance(**{**values, **more})


def scene(**more: object) -> Scene:
    values: dict[str, object] = {
        "id": "s",
        "collection_id": "c",
        "licence_id": "l",
        "sensor_id": "p",
        "kind": "optical",
        "acquired": START,
        "footprint": shapely.box(0, 0, 10, 10),
        "href": "/x.tif",
        "generation": "1",
        "width": 10,
        "height": 10,
        "ground_resolution": 0.5,
        "bands": (),
        "styles": ("rgb",),
    }
    return Scene(**{**values, **more})


@pytest.mark.parametrize("code", ["no_grant", "operator_only", ""])
def test_a_decision_that_is_not_ok_opens_nothing_whatever_hangs_on_it(code: str) -> None:
    assert not scene_filter(Decision(code=code, allowances=(allowance(),))).sees(scene())


def test_no_allowance_opens_nothing() -> None:
    assert not scene_filter(Decision(code="ok", allowances=())).sees(scene())


@pytest.mark.parametrize(
    ("selector", "sees"),
    [
        (Selector(), True),
        (Selector(collections=frozenset({"c"})), True),
        (Selector(collections=frozenset({"x", "c"})), True),
        (Selector(collections=frozenset({"x"})), False),
        (Selector(licences=frozenset({"l"})), True),
        (Selector(licences=frozenset({"x"})), False),
        (Selector(sensors=frozenset({"p"})), True),
        (Selector(sensors=frozenset({"x"})), False),
        (Selector(scenes=frozenset({"s"})), True),
        (Selector(scenes=frozenset({"x"})), False),
        (Selector(collections=frozenset({"c"}), licences=frozenset({"x"})), False),
    ],
)
def test_each_kind_of_the_selector_arrives(selector: Selector, sees: bool) -> None:
    opened = scene_filter(Decision(code="ok", allowances=(allowance(selector=selector),)))
    assert opened.sees(scene()) is sees
    kept = Exclusion(id="f1", selector=selector, acquired=Window(), area=None)
    but = scene_filter(Decision(code="ok", allowances=(allowance(exclusions=(kept,)),)))
    assert but.sees(scene()) is not sees


@pytest.mark.parametrize(
    ("acquired", "sees"),
    [
        (START, True),
        (START - timedelta(seconds=1), False),
        (END - timedelta(seconds=1), True),
        (END, False),
        (None, False),
    ],
)
def test_the_window_arrives_half_open(acquired: datetime | None, sees: bool) -> None:
    opened = scene_filter(Decision(code="ok", allowances=(allowance(acquired=Window(start=START, end=END)),)))
    assert opened.sees(scene(acquired=acquired)) is sees


def test_resolution_and_areas_arrive() -> None:
    cut = Exclusion(id="f1", selector=Selector(), acquired=Window(), area=new_area(shapely.to_wkb(NOON)))
    opened = scene_filter(
        Decision(
            code="ok",
            allowances=(
                allowance(
                    areas=(new_area(shapely.to_wkb(WEST)),), finest_ground_resolution=2.0, exclusions=(cut,)
                ),
            ),
        )
    )
    assert opened.opening(scene(), 1.9) is None
    opening = opened.opening(scene(), 2.0)
    assert opening is not None
    assert opening.area is not None
    assert opening.area.equals(WEST.difference(NOON))


def test_allowances_are_united_never_mixed() -> None:
    coarse_everywhere = allowance(finest_ground_resolution=10.0)
    fine_in_the_west = allowance(areas=(new_area(shapely.to_wkb(WEST)),), finest_ground_resolution=1.0)
    opened = scene_filter(Decision(code="ok", allowances=(coarse_everywhere, fine_in_the_west)))
    fine = opened.opening(scene(), 1.0)
    assert fine is not None
    assert fine.area is not None
    assert fine.area.equals(WEST)
    coarse = opened.opening(scene(), 10.0)
    assert coarse is not None
    assert coarse.area is None or coarse.area.covers(scene().footprint)


def test_several_areas_leave_their_common_part() -> None:
    both = (new_area(shapely.to_wkb(WEST)), new_area(shapely.to_wkb(NOON)))
    opening = scene_filter(Decision(code="ok", allowances=(allowance(areas=both),))).opening(scene(), 1.0)
    assert opening is not None
    assert opening.area is not None
    assert opening.area.equals(shapely.box(4, 4, 5, 6))


def test_areas_with_nothing_in_common_open_nothing() -> None:
    apart = (new_area(shapely.to_wkb(WEST)), new_area(shapely.to_wkb(shapely.box(6, 0, 7, 1))))
    opened = scene_filter(Decision(code="ok", allowances=(allowance(areas=apart),)))
    assert not opened.sees(scene())
    assert opened.opening(scene(), 1.0) is None


def test_a_tier_counts_in_the_panchromatic_resolution() -> None:
    opened = scene_filter(Decision(code="ok", allowances=(allowance(times_pan=32.0),)))
    pleiades = scene(pan_resolution=0.5, ground_resolution=2.0)
    assert opened.opening(pleiades, 15.9) is None
    assert opened.opening(pleiades, 16.0) is not None
    assert opened.opening(scene(ground_resolution=2.0), 63.9) is None  # no pan known: its own counts
    assert opened.finest(pleiades) == 16.0


def test_a_ceiling_takes_only_what_is_finer() -> None:
    ceiling = Exclusion(
        id="licence:l",
        selector=Selector(licences=frozenset({"l"})),
        acquired=Window(),
        area=None,
        finer_than=Tier(ground_resolution=3.0),
    )
    opened = scene_filter(Decision(code="ok", allowances=(allowance(exclusions=(ceiling,)),)))
    assert opened.opening(scene(), 2.9) is None
    assert opened.opening(scene(), 3.0) is not None
    assert opened.opening(scene(licence_id="other"), 0.5) is not None
    assert opened.finest_at(scene(), 1, 1) == 3.0
    assert opened.finest(scene()) == 3.0


def test_rules_bear_the_ids_of_their_grants_and_whether_they_are_counted() -> None:
    free, counted = allowance(), allowance(grant_id="g2", quota=Quota(amount=1))
    rules = scene_filter(Decision(code="ok", allowances=(free, counted))).rules
    assert [(rule.label, rule.metered) for rule in rules] == [("g1", False), ("g2", True)]
    assert rules[0].token() == rules[1].token()  # neither is in a tile's key


def test_the_nearest_miss_is_one_that_would_open_the_layer() -> None:
    def refusal(code: str, collection: str) -> Refusal:
        selector = Selector(collections=frozenset({collection}))
        return Refusal(grant_id=code, code=code, selector=selector, acquired=Window())

    decision = Decision(code="quota", refusals=(refusal("quota", "other"), refusal("expired", "c")))
    held = Layer.of("c", (scene(),), collection=COLLECTION)
    miss = nearest_miss(decision, held)
    assert miss is not None
    assert miss.code == "expired"
    other = Layer.of("d", (scene(collection_id="d"),), collection=COLLECTION)
    assert nearest_miss(decision, other) is None
    assert nearest_miss(Decision(code="suspended"), held) is None
