"""Volumes: a block that is known comes out right, as far as rights open both dates."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Reply
from tests.server.routes.albums import BIAS, BLOCK, PIT, Album, ring

TARGET = "/volume/ground?time=2024-05-10&compare=2023-05-10"
ADDED = BLOCK[0] * BLOCK[1] * BLOCK[2]
REMOVED = PIT[0] * PIT[1] * PIT[2]
STABLE = ring(120, 20, 250, 120)
"""Ground without block and pit."""


def told(reply: Reply) -> Any:
    assert reply.status == 200, reply.body
    return reply.json


def test_a_known_block_is_right_within_a_hundredth(album: Album) -> None:
    around = told(album.post(f"{TARGET}&correct=true", {"polygon": ring(20, 20, 110, 80), "stable": STABLE}))
    assert around["added_m3"] == pytest.approx(ADDED, rel=0.01)
    assert around["removed_m3"] == pytest.approx(0, abs=ADDED / 100)
    assert around["net_m3"] == pytest.approx(ADDED, rel=0.01)
    assert around["area_m2"] == pytest.approx(90 * 60, rel=0.01)
    assert around["asked_area_m2"] == around["area_m2"]
    assert around["mean_difference_m"] == pytest.approx(ADDED / (90 * 60), rel=0.01)
    assert around["scenes"] == {
        "time": ["ground:ground_20240510_DSM"],
        "compare": ["ground:ground_20230510_DSM"],
    }
    pit = told(album.post(f"{TARGET}&correct=true", {"polygon": ring(150, 150, 190, 190), "stable": STABLE}))
    assert pit["removed_m3"] == pytest.approx(REMOVED, rel=0.01)


def test_both_at_once_and_the_other_way_round(album: Album) -> None:
    body = {"polygon": ring(10, 10, 240, 240), "stable": STABLE}
    there = told(album.post(f"{TARGET}&correct=true", body))
    back = told(album.post("/volume/ground?time=2023-05-10&compare=2024-05-10&correct=true", body))
    assert there["net_m3"] == pytest.approx(ADDED - REMOVED, rel=0.01)
    assert back["net_m3"] == pytest.approx(-there["net_m3"])
    assert (back["added_m3"], back["removed_m3"]) == pytest.approx((there["removed_m3"], there["added_m3"]))


def test_the_bias_is_told_and_stays_unless_it_is_to_be_taken_off(album: Album) -> None:
    body = {"polygon": ring(20, 20, 110, 80), "stable": STABLE}
    kept = told(album.post(TARGET, body))
    assert kept["net_m3"] == pytest.approx(ADDED + BIAS * 90 * 60, rel=0.01)
    assert kept["stable"]["median_m"] == pytest.approx(BIAS, abs=1e-3)
    assert kept["stable"]["area_m2"] == pytest.approx(130 * 100, rel=0.01)
    assert kept["bias_taken_off_m"] == 0
    assert kept["uncertainty_m3"]["systematic"] == pytest.approx(BIAS * 90 * 60, rel=0.01)
    assert abs(kept["net_m3"] - ADDED) <= 1.01 * kept["uncertainty_m3"]["total"]
    taken = told(album.post(f"{TARGET}&correct=true", body))
    assert taken["bias_taken_off_m"] == kept["stable"]["median_m"]
    assert taken["uncertainty_m3"]["total"] < ADDED / 100, "the two surfaces are exact but for the bias"


def test_without_stable_ground_nothing_is_claimed(album: Album) -> None:
    found = told(album.post(TARGET, {"polygon": ring(20, 20, 110, 80)}))
    assert found["stable"] is None
    assert found["uncertainty_m3"] is None
    half = told(album.post(TARGET, {"polygon": ring(-60, 20, 60, 80)}))
    assert half["area_m2"] == pytest.approx(60 * 60, rel=0.02)
    assert half["asked_area_m2"] >= half["area_m2"]


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ("", {"polygon": ring(0, 0, 9, 9)}, 400),
        ("compare=1999-01-01", {"polygon": ring(0, 0, 9, 9)}, 400),
        ("compare=2023-05-10&correct=true", {"polygon": ring(0, 0, 9, 9)}, 400),
        ("compare=2023-05-10&correct=1", {"polygon": ring(0, 0, 9, 9), "stable": STABLE}, 400),
        ("compare=2023-05-10", {}, 400),
        ("compare=2023-05-10", {"polygon": None}, 400),
        ("compare=2023-05-10", {"polygon": ring(0, 0, 9, 9), "more": 1}, 400),
        ("compare=2023-05-10", [1], 400),
        ("compare=2023-05-10", {"polygon": {"type": "Point", "coordinates": [1, 2]}}, 400),
        ("compare=2023-05-10", {"polygon": ring(9e3, 9e3, 9.1e3, 9.1e3)}, 400),
        ("compare=2023-05-10&max_size=1025", {"polygon": ring(0, 0, 9, 9)}, 422),
    ],
)
def test_a_malformed_question_is_told(album: Album, query: str, body: Any, status: int) -> None:
    reply = album.post(f"/volume/ground?{query}", body)
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")


def test_only_heights_have_volumes(album: Album) -> None:
    reply = album.post("/volume/field?compare=2024-05-01", {"polygon": ring(0, 0, 9, 9)})
    assert (reply.status, reply.json["code"]) == (400, "change_unsuitable")


def test_each_date_of_each_area_is_paid_for(album: Album) -> None:
    meter = album.asgi.application.services.meter

    def milliunits() -> int:
        return sum(four[2] for four in dict(meter._counters.values()).values())

    before = milliunits()
    album.post(TARGET, {"polygon": ring(20, 20, 110, 80), "stable": STABLE}, known=True)
    assert milliunits() == before + 400
