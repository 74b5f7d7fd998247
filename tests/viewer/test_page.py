"""The map page in a real browser on a real server: what is on the screen is what was banked."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.warp import transform

from server.routes.page import DIST, PAGE_FILES
from tests.conftest import (
    IMAGERY,
    Server,
    imagery,
    position_pixels,
    serving,
    write_raster,
)
from tests.viewer.browsing import Browsers, Opener, Watched, commands, opened
from tests.viewer.pictures import View, assert_shows, shift

pytestmark = pytest.mark.browser

ORIGIN = (572_000.0, 6_280_000.0)
"""Upper left of the scenes, EPSG:2154."""
HEIGHT, WIDTH, CELL = 500, 700, 0.5
PATCH = (slice(200, 260), slice(300, 360))
"""Rows and columns of one value, so that a click there has one true answer."""
COLOUR = (200, 30, 90)
OLD_COLOUR = (20, 160, 240)
SUMMIT = 312.5
GROUND = (234, 238, 242)
"""The page's map ground, `--map-ground` in style.css."""


@dataclass(frozen=True)
class Place:
    home: Path
    key: str
    """Sees `colours`, the real scene `reunion` where there is one, and `relief`, which is public; `withheld`
    is for nobody."""
    revoked_key: str
    sources: dict[str, Path] = field(default_factory=dict)

    @property
    def granted(self) -> list[str]:
        """What the key sees, in the order of the list."""
        return sorted({"colours", "relief", "reunion"} & self.sources.keys())


def colour_scene(path: Path, *, flip: bool) -> Path:
    return write_raster(path, textured(flip=flip), origin=ORIGIN, photometric="RGB")


def textured(*, flip: bool) -> np.ndarray:
    """Ramps that tell the position, with a texture that tells it to a fraction of a pixel, and the patch."""
    random = np.random.default_rng(7)
    noise = cv2.GaussianBlur(random.normal(size=(HEIGHT, WIDTH)), (0, 0), 3)
    pixels = position_pixels(HEIGHT, WIDTH, 3).astype(float) * 0.6 + 50 + 25 * noise / noise.std()
    pixels = np.clip(255 - pixels if flip else pixels, 1, 254).astype("uint8")
    for band, value in enumerate(OLD_COLOUR if flip else COLOUR):
        pixels[band][PATCH] = value
    return pixels


def hill() -> np.ndarray:
    """A round hill with a flat summit at the patch, metres."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    away = np.hypot(x - 330, y - 230)
    heights = SUMMIT - 0.25 * np.maximum(away - 45, 0)
    return heights[None].astype("float32")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    missing = [name for name in ("index.html", *PAGE_FILES) if not (DIST / name).is_file()]
    if missing:
        pytest.fail(f"the map page is not built ({', '.join(missing)} missing): run scripts/setup")
    folder = tmp_path_factory.mktemp("page")
    home = folder / "home"
    sources = {
        "colours": colour_scene(folder / "colours" / "new_20240517.tif", flip=False),
        "old": colour_scene(folder / "colours" / "old_20230402.tif", flip=True),
        "relief": write_raster(folder / "relief.tif", hill(), origin=ORIGIN),
        "withheld": write_raster(folder / "withheld.tif", position_pixels(300, 300), origin=ORIGIN),
    }
    region = ["--licence", "region-only"]
    if IMAGERY.is_dir():
        sources["reunion"] = imagery("derived/reunion_img01_pan_ortho_cog.tif")
    *_, key, revoked, _ = commands(
        home,
        ["bank", str(folder / "colours"), "--collection", "colours", *region],
        ["bank", str(sources["relief"]), "--collection", "relief", "--sensor", "dsm", "--public"],
        ["bank", str(sources["withheld"]), "--collection", "withheld"],
        *(
            ["bank", str(source), "--collection", name, "--sensor", "pleiades", *region]
            for name, source in sources.items()
            if name == "reunion"
        ),
        ["institution", "add", "region"],
        ["grant", "add", "region", *region],
        ["key", "create", "region"],
        ["key", "create", "region"],
        ["key", "revoke", "{-1}"],
    )
    return Place(home, key, revoked, sources)


@pytest.fixture(scope="module")
def server(place: Place) -> Iterator[Server]:
    with serving(place.home, workers=1) as running:
        yield running


@pytest.fixture(scope="module")
def colours(browser: Browsers, server: Server, place: Place) -> Opener:
    """Open the page with the key on the layer of colours."""
    return lambda more="", **options: opened(
        browser, server, f"/?key={place.key}#layer=colours{more}", **options
    )


@pytest.mark.parametrize("form", ["/?key={key}", "/k/{key}/", "/public/?key={key}"])
def test_the_page_lists_exactly_the_callers_layers(
    browser: Browsers, server: Server, place: Place, form: str
) -> None:
    with opened(browser, server, form.format(key=place.key)) as watched:
        assert watched.layers() == (["relief"] if "public" in form else place.granted)
        assert "withheld" not in watched.page.content()
        assert watched.page.evaluate("document.body.dataset.failedTiles") == "0"


def test_a_click_on_a_layer_shows_the_true_pixels(browser: Browsers, server: Server, place: Place) -> None:
    with opened(browser, server, f"/?key={place.key}#layer=relief") as watched:
        page = watched.page
        watched.choose("colours")
        assert_shows(page, place.sources["colours"])
        before = page.get_attribute("#map", "data-resolution")
        page.click(".ol-zoom-in")
        page.wait_for_selector(f'#map:not([data-resolution="{before}"])')
        page.wait_for_timeout(150)
        watched.ready()
        assert float(page.get_attribute("#map", "data-resolution") or 0) == pytest.approx(float(before) / 2)
        assert_shows(page, place.sources["colours"])
        page.click("#zoom-to-layer")
        page.wait_for_selector(f'#map[data-resolution="{before}"]')


def test_the_page_draws_lambert_93_in_its_own_grid(colours: Opener, place: Place) -> None:
    with colours() as watched:
        watched.select("grid", "2154_50cm")
        assert watched.page.get_attribute("#map", "data-projection") == "EPSG:2154"
        assert any("/2154_50cm/" in address for address in watched.addresses)
        assert_shows(watched.page, place.sources["colours"])


def test_a_date_shows_the_scene_of_that_day(colours: Opener, place: Place) -> None:
    with colours() as watched:
        labels = [option.inner_text() for option in watched.page.query_selector_all("#time option")]
        assert labels == ["La plus récente", "17 mai 2024", "2 avril 2023"]
        watched.select("time", "2023-04-02")
        assert_shows(watched.page, place.sources["old"])


def test_two_dates_share_the_map_along_a_line(colours: Opener, place: Place) -> None:
    with colours() as watched:
        page = watched.page
        assert page.is_hidden("#swipe-line")
        watched.select("compare", "2023-04-02")
        assert page.is_visible("#swipe-line")
        assert "compare=2023-04-02" in page.url
        view = View.of(page)
        middle = view.pixels.shape[1] // 2
        for name, side in (("colours", slice(0, middle - 12)), ("old", slice(middle + 12, None))):
            truth, valid = view.truth(place.sources[name])
            rows, columns = view.inside(valid)
            across = np.zeros(valid.shape, bool)
            across[rows, columns] = True
            across[:, : side.start] = False
            across[:, side.stop or valid.shape[1] :] = False
            assert across.sum() > 10_000
            assert np.abs(view.pixels[across] - truth[across]).mean() < 6, name
        page.locator("#swipe").fill("100")
        page.wait_for_selector('#map[data-share="1"]')
        page.wait_for_timeout(150)
        assert_shows(page, place.sources["colours"])
        page.locator("#swipe").fill("0")
        page.wait_for_selector('#map[data-share="0"]')
        page.wait_for_timeout(150)
        assert_shows(page, place.sources["old"])
        watched.select("compare", "")
        assert page.is_hidden("#swipe-line")
        assert page.is_hidden("#swipe-row")
        assert_shows(page, place.sources["colours"])


def test_two_dates_take_turns(colours: Opener) -> None:
    with colours("&compare=2023-04-02", locale="en-GB") as watched:
        page = watched.page
        assert page.input_value("#compare") == "2023-04-02"
        assert watched.text("#flicker") == "Alternate"
        page.click("#flicker")
        assert page.get_attribute("#flicker", "aria-pressed") == "true"
        assert page.is_hidden("#swipe-line")
        for share in ("1", "0", "1"):
            page.wait_for_selector(f'#map[data-share="{share}"]', timeout=15_000)
        page.click("#flicker")
        page.wait_for_selector('#map[data-share="0.5"]')
        assert page.get_attribute("#flicker", "aria-pressed") == "false"
        page.click('[data-language="fr"]')
        assert watched.text("#flicker") == "Alterner"


def patch_centre() -> tuple[float, float]:
    row, column = ((part.start + part.stop) / 2 for part in PATCH)
    return ORIGIN[0] + column * CELL, ORIGIN[1] - row * CELL


def clicked_values(watched: Watched, x: float, y: float, crs: str = "EPSG:2154") -> dict[str, str]:
    """Click a place of the map and read the table of the popup."""
    page = watched.page
    page.mouse.click(*View.of(page).screen(x, y, crs))
    page.wait_for_selector("#popup-content table")
    rows = page.query_selector_all("#popup-content tr")
    return {row.query_selector("th").inner_text(): row.query_selector("td").inner_text() for row in rows}


def test_a_click_on_the_map_tells_the_pixels_true_values(colours: Opener, server: Server) -> None:
    with colours() as watched:
        view = View.of(watched.page)
        x, y = (round(part) for part in view.screen(*patch_centre()))
        shown = view.pixels[int(y - view.y), int(x - view.x)]
        assert np.abs(shown - COLOUR).max() < 6
        values = clicked_values(watched, *patch_centre())
        assert list(values.values()) == [str(value) for value in COLOUR]
        assert [any(word in name for name in values) for word in ("rouge", "vert", "bleu")] == [True] * 3
        said = watched.text("#popup-content")
        assert "17 mai 2024" in said
        assert "Image en couleurs" in said
        assert "new_20240517" in said
        watched.page.click("#popup-close")
        watched.select("time", "2023-04-02")
        values = clicked_values(watched, *patch_centre())
        assert list(values.values()) == [str(value) for value in OLD_COLOUR]
        assert "2 avril 2023" in watched.text("#popup-content")
        watched.choose("relief")
        assert list(clicked_values(watched, *patch_centre()).values()) == ["312,5 m"]


def test_a_click_beside_the_images_says_so(colours: Opener) -> None:
    with colours() as watched:
        view = View.of(watched.page)
        watched.page.mouse.click(*view.screen(ORIGIN[0] + WIDTH * CELL + 8, ORIGIN[1] - 100))
        watched.page.locator("#popup-content", has_text="Aucune image à cet endroit").wait_for()


def test_a_style_changes_the_picture(browser: Browsers, server: Server, place: Place) -> None:
    with opened(browser, server, "/public/#layer=relief&style=hillshade") as watched:
        view = View.of(watched.page)
        heights, valid = view.truth(place.sources["relief"])
        inner = view.inside(valid)
        shade = view.pixels[inner].mean(axis=-1)
        middle = np.unravel_index(np.argmax(cv2.GaussianBlur(heights[..., 0], (0, 0), 9)), valid.shape)
        row, column = middle[0] - inner[0].start, middle[1] - inner[1].start
        north_west, south_east = shade[row - 120, column - 120], shade[row + 120, column + 120]
        assert north_west > south_east + 20, "the hill is lit from the north west"
        watched.select("style", "grey")
        grey = View.of(watched.page).pixels[inner].mean(axis=-1)
        assert np.abs(grey - shade).mean() > 10
        assert np.corrcoef(grey.ravel(), heights[inner].ravel())[0, 1] > 0.97
        assert "style=grey" in watched.page.url
        before = len(watched.addresses)
        watched.select("style", "terrain-rgb")
        asked = watched.addresses[before:]
        assert any(".png" in address for address in asked), "numbers are given as PNG only"
        assert not any(".webp" in address for address in asked)


def test_the_legend_is_of_the_style_that_is_shown(browser: Browsers, server: Server, place: Place) -> None:
    with opened(browser, server, "/public/#layer=relief&style=grey", locale="en-GB") as watched:
        legend = watched.page.locator("#legend")
        legend.wait_for()
        assert legend.get_attribute("alt") == "Legend of the style Grey levels"
        size = legend.evaluate(
            "async (image) => { await image.decode(); return [image.width, image.height]; }"
        )
        assert size[0] >= 300
        assert size[1] >= 50
        assert any("/public/legend/relief/grey.svg?lang=en" in address for address in watched.addresses)
        watched.page.click('[data-language="fr"]')
        watched.page.locator('#legend[alt="Légende du style Niveaux de gris"]').wait_for()
        watched.select("style", "hillshade")
        watched.page.locator('#legend[alt="Légende du style Ombrage du relief"]').wait_for()
        assert any("/legend/relief/hillshade.svg?lang=fr" in address for address in watched.addresses)


def test_the_opacity_slider_lets_the_ground_through(colours: Opener, place: Place) -> None:
    with colours() as watched:
        box = watched.page.locator("#opacity").bounding_box()
        assert box is not None
        watched.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        watched.page.wait_for_timeout(150)
        assert watched.text("#opacity-value") == "50 %"
        view = View.of(watched.page)
        truth, valid = view.truth(place.sources["colours"])
        inner = view.inside(valid)
        assert np.abs(view.pixels[inner] - (truth[inner] + GROUND) / 2).mean() < 3


@pytest.mark.parametrize("form", ["/?key={key}", "/k/{key}/"])
@pytest.mark.parametrize("locale", ["fr-FR", "en-GB"])
def test_a_revoked_key_is_told_in_words(
    browser: Browsers, server: Server, place: Place, form: str, locale: str
) -> None:
    words = {"fr-FR": "fausse, expirée ou révoquée", "en-GB": "wrong, expired or revoked"}
    path = form.format(key=place.revoked_key)
    assert server.get(path, {"Accept": "text/html"}).status == 401
    with opened(browser, server, path, state="error", denied=True, locale=locale) as watched:
        assert words[locale] in watched.text("#problem")
        assert watched.layers() == []


def test_a_key_can_be_typed_and_forgotten(browser: Browsers, server: Server, place: Place) -> None:
    with opened(browser, server, "/", denied=True) as watched:
        page = watched.page
        assert watched.layers() == ["relief"]
        for key, state in (("nonsense", "error"), (place.revoked_key, "error"), (place.key, "ready")):
            page.fill("#key", key)
            page.click("#key-form button")
            watched.ready(state)
            assert page.is_visible("#problem") == (state == "error")
        assert watched.layers() == place.granted
        assert place.key not in page.url
        assert place.key not in watched.text("body")
        page.click("#key-forget")
        page.wait_for_selector('button[data-id="colours"]', state="detached")
        watched.ready()
        assert watched.layers() == ["relief"]


def test_the_copied_addresses_work(colours: Opener, server: Server, place: Place) -> None:
    with colours("&time=2023-04-02") as watched:
        copied = {}
        for name in ("wmts", "xyz", "tilejson"):
            watched.page.click(f"#{name}-copy")
            watched.page.locator("#said", has_text="Adresse copiée.").wait_for()
            copied[name] = watched.page.evaluate("navigator.clipboard.readText()")
    paths = {name: address.removeprefix(server.url) for name, address in copied.items()}
    assert b">colours<" in server.get(paths["wmts"]).body
    document = server.get(paths["tilejson"]).json
    assert document["tilejson"].startswith("3.")
    (x,), (y,) = transform("EPSG:2154", "EPSG:3857", [patch_centre()[0]], [patch_centre()[1]])
    half, zoom = 20037508.342789244, 18
    side = 2 * half / 2**zoom
    column, row = int((x + half) / side), int((half - y) / side)
    tile = paths["xyz"].format(z=zoom, x=column, y=row)
    reply = server.get(tile)
    assert reply.status == 200
    pixels = np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGB"), float)
    inside = [int(((x + half) / side - column) * 256), int(((half - y) / side - row) * 256)]
    assert np.abs(pixels[inside[1], inside[0]] - OLD_COLOUR).max() < 8
    assert server.get(tile.replace(place.key, "wrong")).status == 401


def test_french_and_english_take_turns(colours: Opener, place: Place) -> None:
    with colours() as watched:
        page = watched.page
        assert watched.text("#layers-title") == f"Couches ({len(place.granted)})"
        clicked_values(watched, *patch_centre())
        page.click('[data-language="en"]')
        assert page.get_attribute("html", "lang") == "en"
        assert watched.text("#layers-title") == f"Layers ({len(place.granted)})"
        assert watched.text("#zoom-to-layer") == "Zoom to layer"
        assert "17 May 2024" in watched.text("#time")
        assert "lang=en" in page.url
        assert any("red" in name for name in clicked_values(watched, *patch_centre()))
        page.click('[data-language="fr"]')
        assert watched.text("#zoom-to-layer") == "Voir toute la couche"


def test_a_service_without_public_layers_says_so(browser: Browsers, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with (
        serving(home, workers=1) as bare,
        opened(browser, bare, "/", state="empty", locale="en-GB") as watched,
    ):
        assert "No public layer" in watched.text("#layers-note")
        assert watched.page.is_visible("#key-form")


@pytest.mark.imagery
def test_a_real_scene_lies_where_it_should(browser: Browsers, server: Server, place: Place) -> None:
    source = place.sources["reunion"]
    with opened(browser, server, f"/k/{place.key}/#layer=reunion") as watched:
        view = View.of(watched.page)
        truth, valid = view.truth(source)
        inner = view.inside(valid)
        shown, true = (part[inner].mean(axis=-1) for part in (view.pixels, truth))
        low, high = np.percentile(true, [2, 98])
        assert shift(view.pixels[inner], np.clip(truth[inner], low, high)) < 0.5
        assert np.corrcoef(shown.ravel(), np.clip(true, low, high).ravel())[0, 1] > 0.97
        with rasterio.open(source) as dataset:
            row, column = dataset.height // 2, dataset.width // 2
            around = dataset.read(1)[row - 2 : row + 3, column - 2 : column + 3]
            x, y = dataset.xy(row, column)
            values = clicked_values(watched, x, y, dataset.crs.to_string())
        (value,) = values.values()
        assert float(value) in around.astype(float)
        assert "Pléiades" in watched.text("#popup-content")
