"""Styles of one's own as a client meets them: other pixels, other keys, the same rights."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import numpy as np
import pytest
import rasterio

from mosaics.own_style import OWN
from mosaics.resolve import ResolvedTile
from server.rendering import is_light
from tests.server.routes.galleries import PLANET, TILE, Gallery, picture

MULTI, MIXED, KEPT = TILE.format("multi"), TILE.format("mixed"), TILE.format("kept")
PREVIEW = "/preview/multi.png?width=64"
TILEJSON = "/tiles/multi/WebMercatorQuad/tilejson.json"
OWNS = [
    "bands=nir,red,green",
    "bands=nir",
    "bands=nir&colormap=viridis",
    "bands=nir&rescale=0,2000",
    "bands=nir&gamma=2",
    "index=ndvi",
    "index=ndwi",
    "index=ndvi&colormap=viridis",
    "index=ndvi&rescale=0,1",
    "rescale=0,2000",
    "rescale=0,2000&rescale=0,3000&rescale=0,4000",
    "gamma=2",
    "style=grey&colormap=magma",
    "style=ndvi&rescale=0,2",
]


def test_each_is_a_picture_of_its_own(gallery: Gallery) -> None:
    for route in (MULTI, PREVIEW):
        joined = "&" if "?" in route else "?"
        replies = [gallery.asgi.get(route)] + [gallery.asgi.get(f"{route}{joined}{own}") for own in OWNS]
        assert {reply.status for reply in replies} == {200}
        assert len({reply.body for reply in replies}) == len(OWNS) + 1
        assert len({reply.headers["etag"] for reply in replies}) == len(OWNS) + 1
        assert {r.headers["cache-control"] for r in replies} == {replies[0].headers["cache-control"]}


@pytest.mark.parametrize("names", ["nir,red,green", "B3,B2,B1", "4,1,2"])
def test_bands_are_shown_as_they_are_named(gallery: Gallery, names: str) -> None:
    found = gallery.pixels(f"{MULTI}?bands={names}&rescale=0,4000")
    alone = [
        gallery.pixels(f"{MULTI}?bands={name}&rescale=0,4000")[..., 0] for name in ("nir", "red", "green")
    ]
    assert np.array_equal(found[..., :3], np.stack(alone, axis=-1))
    # red rises eastward and green southward, 1 to 4000 over the scene
    steps = np.diff(found[128, :, 1])
    assert steps.min() >= 0
    assert steps.sum() > 50
    assert np.ptp(found[:200, 128, 2]) > 50
    assert np.ptp(found[128, :, 2]) < 5


def test_an_index_is_the_style_of_its_name_where_there_is_one(gallery: Gallery) -> None:
    own, named = (gallery.asgi.get(f"{MULTI}?{query}") for query in ("index=ndvi", "style=ndvi"))
    assert own.body == named.body
    assert own.headers["etag"] == named.headers["etag"], "one tile in the cache"


def test_order_form_and_empty_values_make_no_other_tile(gallery: Gallery) -> None:
    queries = [
        "bands=nir,red,green&rescale=0,3000&gamma=1.5",
        "gamma=1.50&rescale=0.0,3000.00&bands=nir,red,green&index=&colormap=",
        "bands=4,1,2&rescale=0,3000&rescale=0,3000&rescale=0,3000.0&gamma=1.5",
    ]
    wanted = [gallery.asgi.get(f"{MULTI}?{query}") for query in queries[:2]]
    assert wanted[0].headers["etag"] == wanted[1].headers["etag"]
    assert gallery.asgi.get(f"{MULTI}?{queries[0]}&bands=nir,red,green").body == wanted[0].body


def test_gamma_is_seen_in_eight_bits_for_display_too(gallery: Gallery) -> None:
    rgb = "/preview/mixed:mixednew_20240517.png?width=64"
    plain, bright, dark = (gallery.pixels(rgb + more) for more in ("", "&gamma=2", "&gamma=0.5"))
    assert dark.mean() < plain.mean() - 5 < bright.mean() - 10


def test_scenes_without_the_bands_let_the_next_one_through(gallery: Gallery) -> None:
    ndvi, older = gallery.asgi.get(f"{MIXED}?index=ndvi"), TILE.format("mixed:mixedold_20230517")
    assert picture(ndvi)[..., 3].any()
    assert ndvi.body == gallery.asgi.get(f"{older}?index=ndvi").body
    red = gallery.asgi.get(f"{MIXED}?bands=red")
    assert red.body != gallery.asgi.get(f"{older}?bands=red").body, "the newer has red"


REFUSED = [
    ("mixed:mixednew_20240517", "", "index=ndvi", "bands_not_found"),
    ("multi", "", "index=ndre", "bands_not_found"),
    ("multi", "", "bands=swir16", "bands_not_found"),
    ("multi", "", "bands=5", "bands_not_found"),
    ("multi", "", "bands=zqmark", "bands_not_found"),
    ("multi", "", "index=zqmark", "index_not_found"),
    ("multi", "", "index=ndvi&colormap=zqmark", "colormap_not_found"),
    ("multi", "", "colormap=viridis", "style_unsuitable"),
    ("multi", "grey", "rescale=0,1&rescale=0,2&rescale=0,3", "style_unsuitable"),
    ("multi", "zqmark", "bands=red", "style_not_found"),
    ("multi", "", "bands=red&index=ndvi", "bad_request"),
    ("multi", "", "rescale=zqmark", "bad_request"),
    ("multi", "", "index=(nir-red)", "index_not_found"),
]


@pytest.mark.parametrize(("layer", "style", "query", "code"), REFUSED)
def test_what_can_not_be_shown_is_told_by_its_code(
    gallery: Gallery, layer: str, style: str, query: str, code: str
) -> None:
    styled = f"style={style}&{query}"
    for target in (
        f"{TILE.format(layer)}?{styled}",
        f"/preview/{layer}.png?{styled}",
        f"/tiles/{layer}/WebMercatorQuad/tilejson.json?{styled}",
        f"/legend/{layer}/{style or 'default'}.json?{query}",
    ):
        reply = gallery.asgi.get(target)
        assert (reply.status, reply.json["code"]) == (400, code), target
        assert b"zqmark" not in reply.body
        assert reply.headers["cache-control"] == "no-store"
        assert "etag" not in reply.headers


def test_errors_are_told_in_the_callers_language(gallery: Gallery) -> None:
    spoken = [
        gallery.asgi.get(f"{MULTI}?index=ndre", {"accept-language": language}).json["detail"]
        for language in ("fr", "en")
    ]
    assert spoken == ["Aucune image de la couche n'a ces bandes.", "No image of the layer has these bands."]


def test_tilejson_carries_the_style_on(gallery: Gallery) -> None:
    query = "gamma=1.5&rescale=0,3000&bands=nir,red,green&time=2024-05-17"
    told = gallery.asgi.get(f"{TILEJSON}?{query}").json
    (template,) = told["tiles"]
    assert "bands=nir,red,green&rescale=0,3000&gamma=1.5&" in template
    parts = urlsplit(template.format(z=17, x=66052, y=47859))
    tile = gallery.asgi.get(f"{parts.path}?{parts.query}", {"accept": "image/png"})
    assert tile.body == gallery.asgi.get(f"{MULTI}?{query}").body
    assert "immutable" in tile.headers["cache-control"]
    (link,) = told["links"]
    parts = urlsplit(link["href"])
    assert gallery.asgi.get(f"{parts.path}?{parts.query}").headers["content-type"] == "image/png"
    assert "bands=nir,red,green" in parts.query
    assert "bands" not in gallery.asgi.get(TILEJSON).json["tiles"][0]


def test_wmts_offers_no_styles_of_ones_own(gallery: Gallery) -> None:
    rest = "/wmts/1.0.0/multi/default/default/WebMercatorQuad/17/47859/66052.png"
    kvp = (
        "/wmts?service=WMTS&request=GetTile&version=1.0.0&layer=multi&style=&format=image/png"
        "&tilematrixset=WebMercatorQuad&tilematrix=17&tilerow=47859&tilecol=66052"
    )
    plain = gallery.asgi.get(MULTI).body
    for target in (rest, f"{rest}?index=ndvi", kvp, f"{kvp}&index=ndvi&rescale=0,1&bands=zqmark"):
        assert gallery.asgi.get(target).body == plain


def test_a_tile_drawn_ahead_is_not_given_for_a_style_of_ones_own(gallery: Gallery) -> None:
    ahead = KEPT.replace(".png", ".jpg")
    plain, own = (gallery.kept("whole", f"{ahead}{more}") for more in ("", "?gamma=2"))
    assert (plain.status, own.status) == (200, 200)
    assert plain.body != own.body
    assert gallery.kept("whole", f"{ahead}?gamma=2").body == own.body


def test_rights_cut_it_as_they_cut_any_tile(gallery: Gallery) -> None:
    whole, cut, plain = (
        picture(gallery.kept(key, KEPT + more))
        for key, more in (("whole", "?index=ndvi"), ("cut", "?index=ndvi"), ("cut", ""))
    )
    assert np.array_equal(cut[..., 3], plain[..., 3])
    assert 0 < (cut[..., 3] > 0).mean() < (whole[..., 3] > 0).mean()
    assert gallery.asgi.get(f"{KEPT}?index=ndvi").status == 401
    assert gallery.asgi.get(f"{KEPT}?index=zqmark").status == 400, "names of indices are everybody's"


def test_the_indices_of_a_layer_are_told(gallery: Gallery) -> None:
    told = gallery.asgi.get("/layers/multi").json["indices"]
    assert [index["id"] for index in told] == ["gndvi", "ndvi", "ndwi"]
    assert told[1]["title"] == {"fr": "Végétation (NDVI)", "en": "Vegetation (NDVI)"}
    assert gallery.asgi.get("/layers/classes").json["indices"] == []


def test_classes_lose_the_files_colours(gallery: Gallery) -> None:
    target = TILE.format("classes")
    own = gallery.pixels(f"{target}?colormap=gray&rescale=0,3")
    assert set(np.unique(own[..., 0])) <= {0, 85, 170, 255}
    assert (own[..., 0] == own[..., 1]).all()
    assert (gallery.pixels(target)[..., 0] != own[..., 0]).any()


@pytest.mark.imagery
@pytest.mark.parametrize(
    ("query", "formula", "low", "high"),
    [
        ("index=ndwi", lambda b, g, r, n: (g - n) / (g + n), -0.6, 0.4),
        ("index=ndvi", lambda b, g, r, n: (n - r) / (n + r), -0.4, 0.6),
        ("bands=nir", lambda b, g, r, n: n, 0, 12_000),
        ("bands=1", lambda b, g, r, n: b, 5000, 15_000),
    ],
)
def test_a_real_scene_has_the_levels_that_its_numbers_give(
    gallery: Gallery, query: str, formula: Callable[..., np.ndarray], low: float, high: float
) -> None:
    """Of PlanetScope's blue, green, red and near infrared, read and computed here for itself.

    Indices are those of reflectance, which the coefficients of the product's metadata make of its counts.
    """
    found = gallery.pixels(f"/preview/planet.png?width=300&{query}&rescale={low},{high}&colormap=gray")
    shown = found[found[..., 3] > 0][:, 0]
    with rasterio.open(PLANET) as source:
        bands = source.read(masked=True).astype("float64")
    if query.startswith("index="):
        said = PLANET.with_name(f"{PLANET.stem}_metadata.xml").read_text(encoding="utf-8")
        factors = re.findall(r"<ps:reflectanceCoefficient>([^<]+)<", said)
        assert len(factors) == len(bands)
        bands *= np.array(factors, "float64")[:, np.newaxis, np.newaxis]
    values = np.ma.compressed(formula(*bands))
    expected = np.clip((values - low) / (high - low), 0, 1) * 255
    assert expected.std() > 5
    assert abs(shown.mean() - expected.mean()) < 2
    quarters = [np.percentile(each, [25, 50, 75]) for each in (shown, expected)]
    assert np.abs(quarters[0] - quarters[1]).max() < 5, "pixels are averaged on the way: the ends come nearer"
    told = gallery.asgi.get(f"/legend/planet/default.json?{query}&rescale={low},{high}").json
    assert told["range"] == [low, high]


def test_what_takes_longer_is_not_made_on_the_event_loop(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, bool] = {}

    def noted(tile: ResolvedTile, image_format: str) -> bool:
        light = is_light(tile, image_format)
        asked[tile.contributions[0].style.id] = light
        return light

    monkeypatch.setattr("server.pipeline.is_light", noted)
    jpg = MULTI.replace(".png", ".jpg").replace("66052", "66053")
    gallery.asgi.get(f"{jpg}?time=2024-05-17")
    gallery.asgi.get(f"{jpg}?rescale=0,1234")
    assert asked == {"natural": True, OWN: False}


@pytest.mark.parametrize("name", ["bands", "index", "colormap", "gamma"])
def test_a_parameter_with_two_values_is_refused(gallery: Gallery, name: str) -> None:
    first, second = {
        "bands": ("1", "2"),
        "index": ("ndvi", "ndwi"),
        "colormap": ("viridis", "magma"),
        "gamma": ("1", "2"),
    }[name]
    reply = gallery.asgi.get(f"/preview/multi.png?{name}={first}&{name}={second}")
    assert (reply.status, reply.json["code"]) == (400, "bad_request")
