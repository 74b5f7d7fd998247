"""Info, statistics and point: rio-tiler's shapes, bounded questions, each answer paid for and counted."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import rasterio
from rio_tiler.models import BandStatistics, Info

from tests.conftest import Reply, Town
from tests.server.conftest import Asgi

BOX = (1.4165, 43.6050, 1.4185, 43.6065)
"""Within the town's scenes."""
RING = [[1.4165, 43.605], [1.4185, 43.605], [1.4175, 43.6065], [1.4165, 43.605]]
TRIANGLE = {"type": "Polygon", "coordinates": [RING]}
FEATURE = {"type": "Feature", "properties": {"name": "é"}, "geometry": TRIANGLE}


def post(asgi: Asgi, body: Any, target: str = "/statistics/open", kind: str = "application/json") -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return asgi.get(target, {"content-type": kind}, "POST", raw)


def test_info_is_rio_tilers_and_names_no_file(town_asgi: Asgi) -> None:
    reply = town_asgi.get("/info/open")
    assert reply.status == 200
    told = Info.model_validate(reply.json)
    assert [name for name, _ in told.band_metadata] == ["b1", "b2", "b3"]
    assert told.band_descriptions[0] == ("b1", "red")
    assert reply.json["ground_resolution"] == pytest.approx(0.5, abs=0.01)
    assert reply.json["dtype"] == "uint8"
    assert b".tif" not in reply.body
    assert not {"width", "height", "overviews", "driver"} & reply.json.keys()
    layer = town_asgi.get("/layers/open").json
    assert (reply.json["bounds"], reply.json["maxzoom"]) == (layer["extent"], layer["maxzoom"])


def test_the_whole_layer_has_the_statistics_of_its_file(town: Town, town_asgi: Asgi) -> None:
    told = town_asgi.get("/statistics/open").json
    with rasterio.open(town.sources["open"]) as source:
        data = source.read()
    assert list(told) == ["b1", "b2", "b3"]
    for band, values in zip(told.values(), data, strict=True):
        BandStatistics.model_validate(band)
        assert band["mean"] == pytest.approx(values.mean(), abs=0.5)
        assert band["std"] == pytest.approx(values.std(), abs=0.5)
        assert band["percentile_2"] == pytest.approx(np.percentile(values, 2), abs=1.5)
        assert band["valid_pixels"] == pytest.approx(values.size, rel=0.01)
        assert 0.49 < band["ground_resolution"] < 0.51


def test_a_box_is_read_to_its_edges(town_asgi: Asgi) -> None:
    west, south, east, north = BOX
    told = town_asgi.get(f"/statistics/open?bbox={west},{south},{east},{north}").json["b1"]
    half = town_asgi.get(f"/statistics/open?bbox={west},{south},{(west + east) / 2},{north}").json["b1"]
    assert half["valid_pixels"] == pytest.approx(told["valid_pixels"] / 2, rel=0.01)
    assert half["max"] < told["max"], "red rises eastward"
    small = town_asgi.get(f"/statistics/open?bbox={west},{south},{east},{north}&max_size=20").json["b1"]
    assert small["valid_pixels"] <= 400
    assert small["mean"] == pytest.approx(told["mean"], abs=4)
    elsewhere = town_asgi.get("/statistics/open?bbox=10,10,11,11")
    assert elsewhere.status == 200
    assert (elsewhere.json["b1"]["mean"], elsewhere.json["b1"]["valid_pixels"]) == (None, 0)


@pytest.mark.parametrize("kind", ["application/json", "application/geo+json"])
def test_polygons_come_back_with_their_statistics(town_asgi: Asgi, kind: str) -> None:
    alone = post(town_asgi, TRIANGLE, kind=kind)
    assert alone.headers["content-type"] == "application/geo+json"
    assert alone.json["type"] == "Feature"
    feature = post(town_asgi, FEATURE, kind=kind).json
    assert feature["properties"]["name"] == "é"
    assert feature["geometry"] == TRIANGLE
    told = feature["properties"]["statistics"]
    BandStatistics.model_validate(told["b1"])
    assert told == alone.json["properties"]["statistics"]
    both = post(town_asgi, {"type": "FeatureCollection", "features": [FEATURE, FEATURE]}, kind=kind).json
    assert [each["properties"]["statistics"] for each in both["features"]] == [told, told]
    west, south, east, north = BOX
    box = town_asgi.get(f"/statistics/open?bbox={west},{south},{east},{north}").json
    assert told["b1"]["valid_pixels"] == pytest.approx(box["b1"]["valid_pixels"] / 2, rel=0.02)


def test_a_point_tells_what_feature_info_tells(town_asgi: Asgi) -> None:
    info = town_asgi.get("/wmts/1.0.0/open/default/default/WebMercatorQuad/17/47859/66052/128/128.json").json
    feature = info["features"][0]
    longitude, latitude = feature["geometry"]["coordinates"]
    told = town_asgi.get(f"/point/open/{longitude},{latitude}").json
    assert told["coordinates"] == [longitude, latitude]
    assert told["values"] == [band["value"] for band in feature["properties"]["bands"]]
    assert told["band_names"] == ["b1", "b2", "b3"]
    assert told["assets"] == ["open:open_20240517"]
    nothing = town_asgi.get("/point/open/10,10")
    assert (nothing.status, nothing.json["values"]) == (200, [None, None, None])
    assert "assets" not in nothing.json


def test_a_style_chooses_the_bands(town_asgi: Asgi) -> None:
    style = town_asgi.get("/layers/open").json["styles"][0]["id"]
    assert len(town_asgi.get(f"/info/open?style={style}").json["band_metadata"]) == 3
    assert town_asgi.get("/statistics/open?style=none").status == 400
    assert town_asgi.get("/info/open?style=none").status == 400


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("bbox=1,2,3", 400),
        ("bbox=3,2,1,4", 400),
        ("bbox=1,4,3,2", 400),
        ("bbox=1,2,1,4", 400),
        ("bbox=1,2,3,1e2", 400),
        ("bbox=nan,2,3,4", 400),
        ("bbox=1,2,3,91", 400),
        ("bbox=1,2,3,4&bbox=1,2,3,5", 400),
        ("max_size=0", 400),
        ("max_size=1.5", 400),
        ("max_size=1025", 422),
        ("time=1999-01-01", 400),
    ],
)
def test_a_malformed_question_is_told(town_asgi: Asgi, query: str, status: int) -> None:
    reply = town_asgi.get(f"/statistics/open?{query}")
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("place", ["1", "1,2,3", "a,b", "nan,1", "181,0", "0,91", "1e1,2", ",", "01234,1"])
def test_a_malformed_point_is_told(town_asgi: Asgi, place: str) -> None:
    assert town_asgi.get(f"/point/open/{place}").status == 400


def many(count: int) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": [FEATURE] * count}


def vertices(count: int) -> dict[str, Any]:
    angles = np.linspace(0, 2 * np.pi, count)
    ring = [[1.4175 + 0.001 * float(np.cos(a)), 43.606 + 0.001 * float(np.sin(a))] for a in angles[:-1]]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"[" * 100_000, 400),
        (b'{"type": "Polygon"}', 400),
        (b'{"type": "Polygon", "coordinates": [[[1, 1e999], [1, 2], [2, 2], [1, 1]]]}', 400),
        (b'{"type": "Polygon", "coordinates": [[[1, NaN], [1, 2], [2, 2], [1, 1]]]}', 400),
        (b'{"type": "Polygon", "coordinates": [[["a", 1], [1, 2], [2, 2], [1, 1]]]}', 400),
        (b'{"type": "Polygon", "coordinates": []}', 400),
        ({"type": "Point", "coordinates": [1, 2]}, 400),
        ({"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}, 400),
        ({"type": "Polygon", "coordinates": [[[0, 0], [200, 0], [2, 2], [0, 0]]]}, 400),
        ({"type": "Feature", "properties": 1, "geometry": TRIANGLE}, 400),
        ({"type": "Feature", "properties": {}, "geometry": None}, 400),
        ({"type": "Feature", "properties": {"a": "\ud800"}, "geometry": TRIANGLE}, 400),
        ({"type": "FeatureCollection", "features": []}, 400),
        ({"type": "FeatureCollection", "features": [1]}, 400),
        (many(17), 422),
        (vertices(10_002), 422),
        (b" " * 2_000_001, 422),
    ],
)
def test_a_body_that_is_no_question_is_told(town_asgi: Asgi, body: Any, status: int) -> None:
    assert post(town_asgi, body).status == status


def test_another_kind_of_body_is_refused(town_asgi: Asgi) -> None:
    assert post(town_asgi, FEATURE, kind="text/plain").status == 400


def test_answers_are_validated_and_counted(town: Town, town_asgi: Asgi) -> None:
    meter = town_asgi.application.services.meter

    def milliunits() -> int:
        return sum(four[2] for four in dict(meter._counters.values()).values())

    key = {"X-API-Key": town.key}
    for target, price in (("/statistics/granted", 100), ("/point/granted/1.4175,43.606", 100)):
        before = milliunits()
        first = town_asgi.get(target, key)
        assert first.headers["cache-control"].startswith("private")
        assert milliunits() == before + price
        again = town_asgi.get(target, {**key, "if-none-match": first.headers["etag"]})
        assert (again.status, milliunits()) == (304, before + price)
    before = milliunits()
    outside = {"type": "Polygon", "coordinates": [[[9, 9], [9, 10], [10, 10], [9, 9]]]}
    body = {"type": "FeatureCollection", "features": [FEATURE, TRIANGLE, outside]}
    headers = {**key, "content-type": "application/json"}
    assert town_asgi.get("/statistics/granted", headers, "POST", json.dumps(body).encode()).status == 200
    assert milliunits() == before + 200, "each polygon with values, the empty one not"
