import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from lxml import etree

from server.wmts.capabilities import INFO_EXTENSIONS
from server.wmts.feature_info import RENDERERS, BandValue, FeatureInfo, SceneValues


@pytest.fixture
def info():
    return FeatureInfo(
        layer="pleiades",
        lon=1.44421234567,
        lat=43.6,
        features=(
            SceneValues(
                "pleiades",
                "PHR_<1>",
                datetime(2024, 6, 2, 12, 30, tzinfo=timezone(timedelta(hours=2))),
                "pleiades",
                (BandValue("B0", "blue", 412.0, None), BandValue("NDVI", None, 0.51, "1")),
            ),
            SceneValues("pleiades", "OLD", None, "pleiades", (BandValue("B0", "blue", None, "m"),)),
        ),
        attribution="© CNES & Airbus",
    )


def test_every_format_has_a_renderer_and_an_extension():
    assert RENDERERS.keys() == INFO_EXTENSIONS.keys()


def test_json_is_geojson(info):
    document = json.loads(RENDERERS["application/json"](info, "fr"))
    assert document["type"] == "FeatureCollection"
    first, second = document["features"]
    assert first["type"] == "Feature"
    assert first["id"] == "pleiades:PHR_<1>"
    assert first["geometry"] == {"type": "Point", "coordinates": [1.44421235, 43.6]}
    assert first["properties"] == {
        "layer": "pleiades",
        "collection": "pleiades",
        "scene": "PHR_<1>",
        "datetime": "2024-06-02T10:30:00Z",
        "sensor": "pleiades",
        "B0": 412.0,
        "NDVI": 0.51,
        "bands": [
            {"name": "B0", "common_name": "blue", "value": 412.0, "unit": None},
            {"name": "NDVI", "common_name": None, "value": 0.51, "unit": "1"},
        ],
        "attribution": "© CNES & Airbus",
    }
    assert second["properties"]["datetime"] is None
    assert second["properties"]["B0"] is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_writes_null_for_what_it_cannot_hold(value):
    scene = SceneValues("c", "s", None, "x", (BandValue("B0", None, value, None),))
    info = FeatureInfo(layer="c", lon=0, lat=0, features=(scene,))
    properties = json.loads(RENDERERS["application/json"](info, "fr"))["features"][0]["properties"]
    assert properties["B0"] is None
    assert properties["bands"][0]["value"] is None


def test_json_band_does_not_hide_the_scene():
    scene = SceneValues("c", "s", None, "x", (BandValue("scene", None, 3.0, None),))
    info = FeatureInfo(layer="c", lon=0, lat=0, features=(scene,))
    properties = json.loads(RENDERERS["application/json"](info, "fr"))["features"][0]["properties"]
    assert properties["scene"] == "s"
    assert properties["bands"][0]["value"] == 3.0


def test_html_is_escaped_and_complete(info):
    page = RENDERERS["text/html"](info, "en")
    assert b"PHR_&lt;1&gt;" in page
    assert b"<1>" not in page
    document = etree.HTML(page)
    assert document.get("lang") == "en"
    cells = [cell.text for cell in document.iter("td")]
    assert cells[:4] == ["PHR_<1>", "pleiades", "2024-06-02T10:30:00Z", "pleiades"]
    assert cells[4:10] == ["B0 (blue)", "412", None, "NDVI", "0.51", "1"]
    assert "no data" in cells
    assert document.findtext(".//small") == "© CNES & Airbus"


def test_text_has_a_line_a_value(info):
    lines = RENDERERS["text/plain"](info, "fr").decode().splitlines()
    assert lines == [
        "Valeurs de la couche pleiades",
        "Longitude: 1.4442123",
        "Latitude: 43.6000000",
        "",
        "Scène: PHR_<1>",
        "Collection: pleiades",
        "Acquisition (UTC): 2024-06-02T10:30:00Z",
        "Capteur: pleiades",
        "B0 (blue): 412",
        "NDVI: 0.51 1",
        "",
        "Scène: OLD",
        "Collection: pleiades",
        "Acquisition (UTC): -",
        "Capteur: pleiades",
        "B0 (blue): pas de donnée",
        "",
        "© CNES & Airbus",
    ]


def test_text_keeps_one_line_a_value():
    scene = SceneValues("c", "s", datetime(2024, 1, 1, tzinfo=UTC), "a\nB0: 9", ())
    lines = RENDERERS["text/plain"](FeatureInfo(layer="c", lon=0, lat=0, features=(scene,)), "fr")
    assert b"Capteur: a B0: 9\n" in lines


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/json", b'{"type":"FeatureCollection","features":[]}'),
        ("text/html", "Aucune donnée".encode()),
        ("text/plain", "Aucune donnée".encode()),
    ],
)
def test_no_data_is_said(media_type, expected):
    info = FeatureInfo(layer="c", lon=0, lat=0, features=())
    assert expected in RENDERERS[media_type](info, "fr")
