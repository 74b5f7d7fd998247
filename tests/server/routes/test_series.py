"""Series: the values of each date that the caller may see, as JSON and CSV, bounded and paid for."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from server.routes import series as series_module
from tests.server.routes.albums import NDVI, RED_AND_NIR, Album, lonlat, ring

AT = ",".join(map(str, lonlat(200.5, 100.5)))
WEST = ",".join(map(str, lonlat(20.5, 100.5)))


def dates(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def test_a_place_tells_its_values_on_each_date(album: Album) -> None:
    reply = album.get(f"/series/field?at={AT}", known=True)
    assert reply.status == 200
    told = reply.json
    assert [row["date"] for row in told["series"]] == [dates(day) for day in RED_AND_NIR]
    assert [measure["name"] for measure in told["measures"]] == ["b1", "b2", "b3", "b4"]
    assert [measure["description"] for measure in told["measures"]] == ["red", "green", "blue", "nir"]
    for row, (red, nir) in zip(told["series"], RED_AND_NIR.values(), strict=True):
        assert (row["values"]["b1"], row["values"]["b4"]) == (red, nir)
        assert len(row["scenes"]) == 1
    assert told["series"][0]["scenes"] == ["field:field_20240501"]
    assert told["series"][0]["datetime"].startswith("2024-05-01")


def test_what_a_caller_may_not_see_has_no_row(album: Album) -> None:
    rows = album.get(f"/series/field?at={AT}").json["series"]
    assert [row["date"] for row in rows] == ["2024-05-01", "2024-07-01", "2024-08-01"]
    assert "kept" not in str(rows)
    box = album.post("/series/field", ring(130, 10, 200, 60)).json["series"]
    assert [row["date"] for row in box] == ["2024-05-01", "2024-07-01", "2024-08-01"]


def test_a_place_without_data_on_a_date_has_no_row(album: Album) -> None:
    rows = album.get(f"/series/field?at={WEST}&index=ndvi").json["series"]
    assert [row["date"] for row in rows] == ["2024-05-01", "2024-07-01"], "in August only the east was seen"
    assert album.get("/series/field?at=10,10").json["series"] == []
    assert album.get("/series/field?bbox=10,10,11,11").json["series"] == []


@pytest.mark.parametrize("asked", ["index=ndvi", "style=ndvi"])
def test_an_index_is_the_formulas(album: Album, asked: str) -> None:
    told = album.get(f"/series/field?at={AT}&{asked}", known=True).json
    assert [measure["name"] for measure in told["measures"]] == ["ndvi"]
    assert told["measures"][0]["formula"] == "(nir - red) / (nir + red)"
    for row, value in zip(told["series"], NDVI.values(), strict=True):
        assert row["values"]["ndvi"] == pytest.approx(value, rel=1e-6)
    over = album.post(f"/series/field?{asked}", ring(10, 10, 250, 100), known=True).json
    for row, value in zip(over["series"], NDVI.values(), strict=True):
        assert row["values"]["ndvi"]["mean"] == pytest.approx(value, rel=1e-6)
        assert row["values"]["ndvi"]["std"] == pytest.approx(0, abs=1e-6)


def test_a_polygon_tells_the_statistics_of_its_valid_pixels(album: Album) -> None:
    shape = ring(64, 64, 192, 128)
    rows = album.post("/series/field", shape).json["series"]
    statistics = album.post("/statistics/field?time=2024-05-01&max_size=256", shape)
    whole = statistics.json["properties"]["statistics"]
    for name, band in whole.items():
        told = rows[0]["values"][name]
        for part in ("mean", "min", "max", "std"):
            assert told[part] == pytest.approx(band[part], rel=1e-6), (name, part)
        assert told["count"] == band["valid_pixels"]
    assert rows[0]["values"]["b2"]["std"] > 5, "green rises eastward"
    half = rows[-1]["values"]["b1"]["count"] / rows[0]["values"]["b1"]["count"]
    assert half == pytest.approx(0.5, abs=0.02), "in August only the east was seen"
    box = ",".join(map(str, (*lonlat(64, 128), *lonlat(192, 64))))
    boxed = album.get(f"/series/field?bbox={box}").json["series"]
    assert boxed[0]["values"]["b1"]["mean"] == rows[0]["values"]["b1"]["mean"]


def test_a_time_leaves_out_what_is_outside(album: Album) -> None:
    rows = album.get(f"/series/field?at={AT}&time=2024-06-01/2024-07-31", known=True).json["series"]
    assert [row["date"] for row in rows] == ["2024-06-01", "2024-07-01"]
    one = album.get(f"/series/field?at={AT}&time=2024-07-01", known=True).json["series"]
    assert [row["date"] for row in one] == ["2024-07-01"]
    assert album.get(f"/series/field?at={AT}&time=2024-06-01", known=False).status == 400


def test_csv_says_the_same(album: Album) -> None:
    reply = album.get(f"/series/field?at={AT}&index=ndvi&format=csv", known=True)
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    told = album.get(f"/series/field?at={AT}&index=ndvi", known=True).json["series"]
    assert [(row["date"], float(row["ndvi"]), row["scenes"]) for row in rows] == [
        (row["date"], row["values"]["ndvi"], row["scenes"][0]) for row in told
    ]
    over = album.post("/series/field?index=ndvi&format=csv", ring(64, 64, 192, 128))
    summed = list(csv.DictReader(io.StringIO(over.body.decode())))
    assert float(summed[0]["ndvi_mean"]) == pytest.approx(NDVI["20240501"], rel=1e-6)
    assert int(summed[0]["ndvi_count"]) > 1000


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("at=1,43&bbox=1,2,3,4", 400),
        ("at=1", 400),
        ("bbox=1,2", 400),
        ("at=1,43&index=none", 400),
        ("at=1,43&style=none", 400),
        ("at=1,43&style=ndvi&index=ndvi", 400),
        ("at=1,43&time=yesterday", 400),
        ("at=1,43&time=nearest:2024-05-01", 400),
        ("at=1,43&format=xml", 400),
        ("bbox=1,2,3,4&max_size=0", 400),
        ("bbox=1,2,3,4&max_size=1025", 422),
    ],
)
def test_a_malformed_question_is_told(album: Album, query: str, status: int) -> None:
    reply = album.get(f"/series/field?{query}")
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")


def test_more_than_one_polygon_and_more_dates_are_refused(
    album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"type": "Feature", "properties": {}, "geometry": ring(0, 0, 10, 10)}
    assert album.post("/series/field", {"type": "FeatureCollection", "features": [one, one]}).status == 422
    monkeypatch.setattr(series_module, "MOST_DATES", 2)
    assert album.get(f"/series/field?at={AT}").status == 422
    assert album.get(f"/series/field?at={AT}&time=../2024-07-01").status == 200


def test_each_date_is_paid_for_like_a_point(album: Album) -> None:
    meter = album.asgi.application.services.meter

    def milliunits() -> int:
        return sum(four[2] for four in dict(meter._counters.values()).values())

    before = milliunits()
    first = album.get(f"/series/field?at={AT}", known=True)
    assert milliunits() == before + 400
    again = album.asgi.get(
        f"/series/field?at={AT}", {"x-api-key": album.key, "if-none-match": first.headers["etag"]}
    )
    assert (again.status, milliunits()) == (304, before + 400)


def test_heights_are_told_in_metres(album: Album) -> None:
    told = album.get(f"/series/ground?at={','.join(map(str, lonlat(64.5, 48.5)))}").json
    assert told["measures"][0]["unit"] == "m"
    earlier, later = (row["values"]["b1"] for row in told["series"])
    assert later - earlier == pytest.approx(4.3, abs=1e-3)
    assert np.isfinite(earlier)
