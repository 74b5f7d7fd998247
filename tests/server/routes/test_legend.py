"""Legends as a client meets them: pictures, JSON, links, and no number for who may not read it."""

from __future__ import annotations

import io
import json
from urllib.parse import urlsplit

import jsonschema
import numpy as np
import pytest
from lxml import etree
from PIL import Image

from mosaics.legend import STRETCHED
from tests.conftest import Reply
from tests.server.routes.galleries import CLASSES, TILE, Gallery, picture

SVG = "{http://www.w3.org/2000/svg}"
WORDS = {"fr": STRETCHED.fr, "en": STRETCHED.en}


def document(gallery: Gallery, target: str, key: str | None = None) -> dict[str, object]:
    reply = gallery.asgi.get(target) if key is None else gallery.kept(key, target)
    assert reply.status == 200, reply.body
    found: dict[str, object] = reply.json
    return found


def numbers(found: dict[str, object]) -> list[float]:
    entries = found["entries"]
    assert isinstance(entries, list)
    spans = [found["range"], *(entry["range"] for entry in entries)]
    values = [entry["value"] for entry in entries if entry["value"] is not None]
    return [value for span in spans if isinstance(span, list) for value in span] + values


@pytest.mark.parametrize("style", ["default", "natural", "cir", "ndvi", "grey"])
@pytest.mark.parametrize(
    ("form", "media_type"),
    [("png", "image/png"), ("svg", "image/svg+xml"), ("json", "application/json")],
)
def test_each_style_has_one_in_each_form(gallery: Gallery, style: str, form: str, media_type: str) -> None:
    reply = gallery.asgi.get(f"/legend/multi/{style}.{form}")
    assert (reply.status, reply.headers["content-type"]) == (200, media_type)
    again = gallery.asgi.get(f"/legend/multi/{style}.{form}", {"if-none-match": reply.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert reply.headers["cache-control"] == "private, max-age=0, must-revalidate"


def test_the_default_is_the_style_that_capabilities_call_so(gallery: Gallery) -> None:
    assert document(gallery, "/legend/multi/default.json") == document(gallery, "/legend/multi/natural.json")


@pytest.mark.parametrize(
    ("picture_name", "status"),
    [
        ("default", 404),
        ("default.gif", 404),
        ("default.PNG", 404),
        (".png", 404),
        ("default@2x.svg", 404),
        ("default@3x.png", 404),
        ("default.png.png", 404),
        ("none.png", 400),
        ("Natural.png", 400),
        ("default.png?width=79", 400),
        ("default.png?width=1001", 422),
        ("default.png?height=2001", 422),
        ("default.png?width=1e2", 400),
    ],
)
def test_one_form_of_each_address(gallery: Gallery, picture_name: str, status: int) -> None:
    assert gallery.asgi.get(f"/legend/multi/{picture_name}").status == status


def test_sizes_are_as_asked(gallery: Gallery) -> None:
    def size(target: str) -> tuple[int, int]:
        return Image.open(io.BytesIO(gallery.asgi.get(target).body)).size

    width, height = size("/legend/multi/ndvi.png")
    assert width == 240
    assert size("/legend/multi/ndvi@2x.png") == (480, 2 * height)
    assert size("/legend/multi/ndvi.png?width=500&height=300") == (500, 300)


def test_a_ramp_shows_the_colours_of_the_tiles(gallery: Gallery) -> None:
    told = document(gallery, "/legend/multi/ndvi.json")
    assert (told["kind"], told["range"]) == ("ramp", [-0.2, 0.9])
    colours = {tuple(int(each[at : at + 2], 16) for at in (1, 3, 5)) for each in told["colours"]}  # type: ignore[attr-defined] # a list of words
    tile = gallery.pixels("/tiles/multi/WebMercatorQuad/17/66052/47859.png?style=ndvi")
    assert {tuple(pixel) for pixel in tile[tile[..., 3] > 0][:, :3]} <= colours
    shown = {
        tuple(p) for p in picture(gallery.asgi.get("/legend/multi/ndvi.png?width=272")).reshape(-1, 4)[:, :3]
    }
    assert len(colours & shown) > 200


def test_classes_are_those_of_the_file(gallery: Gallery) -> None:
    told = document(gallery, "/legend/classes/palette.json")
    assert told["kind"] == "classes"
    assert (
        [(each["value"], each["colour"]) for each in told["entries"]]
        == [  # type: ignore[attr-defined] # a list
            (value, "#{:02x}{:02x}{:02x}".format(*colour[:3])) for value, colour in CLASSES.items()
        ]
    )


def test_a_style_of_ones_own_has_a_legend(gallery: Gallery) -> None:
    told = document(gallery, "/legend/multi/default.json?index=ndwi&rescale=0,1&colormap=gray")
    assert told["title"] == {"fr": "Eau libre (NDWI)", "en": "Open water (NDWI)"}
    assert (told["range"], told["colours"][0]) == ([0.0, 1.0], "#000000")  # type: ignore[index] # a list
    bands = document(gallery, "/legend/multi/default.json?bands=nir,B2,2&rescale=0,10")
    assert [each["label"]["en"] for each in bands["entries"]] == [  # type: ignore[attr-defined] # a list
        "Red: near infrared",
        "Green: red",
        "Blue: green",
    ]
    assert numbers(bands) == [0.0, 10.0] * 3
    one = document(gallery, "/legend/multi/default.json?bands=4&rescale=0,10")
    assert one["title"] == {"fr": "Proche infrarouge", "en": "Near infrared"}


def test_scenes_that_are_stretched_apart_have_words(gallery: Gallery) -> None:
    told = document(gallery, "/legend/apart/grey.json")
    assert (numbers(told), told["note"]) == ([], WORDS)
    assert numbers(document(gallery, "/legend/pair/grey.json")), "a collection has one range"
    assert numbers(document(gallery, "/legend/pair:pairnew_20240517/grey.json"))
    assert numbers(document(gallery, "/legend/apart/ndvi.json")), "its numbers are the style's"
    svg = gallery.asgi.get("/legend/apart/grey.svg?lang=en")
    texts = [each.text for each in etree.fromstring(svg.body).iter(f"{SVG}text")]
    assert {"low", "high", STRETCHED.en} <= set(texts)


@pytest.mark.parametrize("style", ["natural", "cir", "grey"])
def test_numbers_of_a_scene_are_for_who_may_read_all_of_it(gallery: Gallery, style: str) -> None:
    target = f"/legend/kept/{style}.json"
    assert len(numbers(document(gallery, target, "whole"))) >= 2
    for key in ("shown", "cut"):
        told = document(gallery, target, key)
        assert (numbers(told), told["note"]) == ([], WORDS), key
    assert gallery.asgi.get(target).status == 401
    assert numbers(document(gallery, "/legend/kept/default.json?bands=nir", "whole"))
    assert not numbers(document(gallery, "/legend/kept/default.json?bands=nir", "cut"))


@pytest.mark.parametrize("form", ["png", "svg"])
def test_pictures_speak_the_callers_language(gallery: Gallery, form: str) -> None:
    def ask(query: str = "", **headers: str) -> Reply:
        return gallery.asgi.get(f"/legend/multi/ndvi.{form}{query}", headers)

    french, english = ask("?lang=fr"), ask("?lang=en")
    assert french.body != english.body
    assert ask(**{"accept-language": "en"}).body == english.body
    assert ask(**{"accept-language": "de"}).body == french.body
    assert ask().headers["vary"] == "Accept-Language"
    assert "vary" not in english.headers


def test_shared_caches_keep_only_what_the_address_alone_makes(gallery: Gallery) -> None:
    kept = {
        name: gallery.asgi.get(f"/public/legend/multi/{name}").headers["cache-control"].partition(",")[0]
        for name in ("ndvi.json", "ndvi.png?lang=fr", "ndvi.png", "ndvi.png?lang=de")
    }
    assert list(kept.values()) == ["public", "public", "private", "private"]


@pytest.mark.parametrize("way", ["", "?key={key}", "/k/{key}"])
def test_every_link_to_a_legend_opens_as_it_was_given(gallery: Gallery, way: str) -> None:
    key = gallery.keys["whole"]
    prefix = way.format(key=key) if way.startswith("/k") else ""
    query = way.format(key=key) if way.startswith("?") else ""
    headers = {} if way else {"x-api-key": key}
    told = gallery.asgi.get(f"{prefix}/layers/kept{query}", headers).json
    (link,) = [each for each in told["links"] if each["rel"] == "legend"]
    assert link["templated"] is True
    hrefs = [link["href"].format(style=style["id"]) for style in told["styles"]]
    capabilities = gallery.asgi.get(f"{prefix}/wmts/1.0.0/WMTSCapabilities.xml{query}", headers)
    found = etree.fromstring(capabilities.body).iter("{http://www.opengis.net/wmts/1.0}LegendURL")
    addresses = [each.get("{http://www.w3.org/1999/xlink}href") for each in found]
    assert set(hrefs) <= set(addresses)
    for href in hrefs:
        assert (key in href) == bool(way)
        parts = urlsplit(href)
        reply = gallery.asgi.get(f"{parts.path}?{parts.query}", headers)
        assert (reply.status, reply.headers["content-type"]) == (200, "image/png")


def test_capabilities_in_english_have_legends_in_english(gallery: Gallery) -> None:
    for query, ending in (("", "natural.png"), ("?lang=en", "natural.png?lang=en")):
        body = gallery.asgi.get(f"/wmts/1.0.0/WMTSCapabilities.xml{query}").body.decode()
        assert f'/legend/multi/{ending}"' in body


def test_json_is_as_openapi_says(gallery: Gallery) -> None:
    described = gallery.asgi.get("/openapi.json").json
    schema = {"$ref": "#/components/schemas/Legend", "components": described["components"]}
    for target in ("multi/natural", "multi/ndvi", "classes/palette", "pair/grey", "mixed/default"):
        jsonschema.validate(document(gallery, f"/legend/{target}.json"), schema)
    operation = described["paths"]["/legend/{layer}/{picture}"]["get"]
    names = {each["name"] for each in operation["parameters"]}
    assert {"bands", "index", "rescale", "colormap", "gamma", "lang", "width", "height"} <= names
    assert json.dumps(operation).count("Legend") == 1


def test_a_legend_costs_and_counts_nothing(gallery: Gallery) -> None:
    counters = gallery.asgi.application.services.meter._counters
    before = counters.values()
    gallery.kept("cut", "/legend/kept/ndvi.png")
    assert counters.values() == before
    gallery.kept("cut", TILE.format("kept") + "?gamma=1.1")
    assert counters.values() != before, "a tile does"


def test_the_picture_of_a_legend_can_be_read(gallery: Gallery) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(gallery.asgi.get("/legend/multi/cir.png").body)).convert("L"))
    assert pixels[0, 0] == 255
    assert 0.02 < (pixels < 128).mean() < 0.3
