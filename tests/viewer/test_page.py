"""The map page in a real browser on a real server: what is on the screen is what was banked."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import rasterio
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from rasterio.enums import Resampling
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform

from server.routes.page import DIST, PAGE_FILES
from tests.conftest import (
    IMAGERY,
    ROOT,
    Server,
    imagery,
    need_program,
    position_pixels,
    serving,
    write_raster,
)

pytestmark = pytest.mark.browser

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)
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
MARGINS = (60, 70, 60, 110)
"""CSS pixels at the top, right, bottom and left of the map where controls and labels lie."""
COMMANDS = """
import json, sys
from typer.testing import CliRunner
from server.cli.main import app

printed = []
for line in json.loads(sys.argv[2]):
    line = [printed[-1] if word == "{-1}" else word for word in line]
    done = CliRunner().invoke(app, ["--home", sys.argv[1], *line])
    if done.exit_code:
        raise SystemExit(f"{line}: {done.output} {done.exception!r}")
    printed.append(done.stdout.strip())
print(json.dumps(printed))
"""
DENIED = "the server responded with a status of 401"


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


@dataclass
class Watched:
    """A page and all that it asked for and complained of."""

    page: Page
    server: Server
    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def ready(self, state: str = "ready") -> None:
        self.page.wait_for_selector(f"body[data-state={state}]", timeout=15_000)

    def select(self, name: str, value: str) -> None:
        self.page.select_option(f"#{name}", value)
        self.ready()

    def choose(self, layer: str) -> None:
        self.page.click(f'button[data-id="{layer}"]')
        self.page.wait_for_selector(f'body[data-layer="{layer}"]')
        self.ready()

    def layers(self) -> list[str]:
        rows = self.page.query_selector_all("button.layer")
        return [row.get_attribute("data-id") or "" for row in rows]

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def hosts(self) -> set[str]:
        parts = [urlsplit(address) for address in self.addresses]
        return {part.netloc for part in parts if part.scheme not in {"data", "blob"}}


@dataclass(frozen=True)
class Browsers:
    """A browser for each language, which keeps what it has fetched from page to page."""

    chromium: Browser
    contexts: dict[str, BrowserContext] = field(default_factory=dict)

    def context(self, locale: str) -> BrowserContext:
        if locale not in self.contexts:
            context = self.chromium.new_context(viewport={"width": 1280, "height": 800}, locale=locale)
            context.grant_permissions(["clipboard-read", "clipboard-write"])
            context.add_init_script(
                "window.violations = [];"
                "addEventListener('securitypolicyviolation',"
                " (event) => window.violations.push(event.violatedDirective + ' ' + event.blockedURI))"
            )
            self.contexts[locale] = context
        return self.contexts[locale]


@dataclass(frozen=True)
class View:
    """What the map shows, as the page says it, and the picture of it."""

    projection: str
    left: float
    top: float
    resolution: float
    pixels: np.ndarray
    """RGB of the whole map, (height, width, 3), float."""
    x: float
    y: float
    """Upper left of the map on the page, CSS pixels."""

    @classmethod
    def of(cls, page: Page) -> View:
        said = page.evaluate("({...document.getElementById('map').dataset})")
        left, _, _, top = (float(part) for part in said["extent"].split(","))
        box = page.locator("#map").bounding_box()
        assert box is not None
        png = page.screenshot(clip=box)
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), float)
        return cls(said["projection"], left, top, float(said["resolution"]), pixels, box["x"], box["y"])

    def truth(self, source: Path) -> tuple[np.ndarray, np.ndarray]:
        """What rasterio gives for the same pixels: (height, width, bands) and where it is valid."""
        height, width = self.pixels.shape[:2]
        with (
            rasterio.open(source) as dataset,
            WarpedVRT(
                dataset,
                crs=self.projection,
                transform=from_origin(self.left, self.top, self.resolution, self.resolution),
                width=width,
                height=height,
                resampling=Resampling.bilinear,
                add_alpha=True,
            ) as warped,
        ):
            data = warped.read()
        return np.moveaxis(data[:-1], 0, -1).astype(float), data[-1] > 0

    def inside(self, valid: np.ndarray) -> tuple[slice, slice]:
        """The largest clear rectangle that the scene surely fills."""
        top, right, bottom, left = MARGINS
        clear = np.zeros_like(valid)
        clear[top:-bottom, left:-right] = True
        rows, columns = np.nonzero(valid & clear)
        area = (slice(rows.min() + 4, rows.max() - 3), slice(columns.min() + 4, columns.max() - 3))
        keep = [12, 12, 12, 12] if self.projection != "EPSG:3857" else [30, 30, 30, 30]
        inner = (
            slice(area[0].start + keep[0], area[0].stop - keep[2]),
            slice(area[1].start + keep[3], area[1].stop - keep[1]),
        )
        assert valid[inner].all()
        assert min(inner[0].stop - inner[0].start, inner[1].stop - inner[1].start) > 200
        return inner

    def screen(self, x: float, y: float, crs: str = "EPSG:2154") -> tuple[float, float]:
        """Where a place is on the page."""
        (px,), (py,) = transform(crs, self.projection, [x], [y])
        return self.x + (px - self.left) / self.resolution, self.y + (self.top - py) / self.resolution


def shift(one: np.ndarray, other: np.ndarray) -> float:
    """How far two pictures lie apart, pixels."""
    grey = [np.ascontiguousarray(picture.mean(axis=-1), np.float64) for picture in (one, other)]
    window = cv2.createHanningWindow(grey[0].shape[::-1], cv2.CV_64F)
    (dx, dy), _ = cv2.phaseCorrelate(*(picture - picture.mean() for picture in grey), window)
    return float(np.hypot(dx, dy))


def assert_shows(page: Page, source: Path) -> None:
    """The picture on the screen is the file's: in colour and in place."""
    view = View.of(page)
    truth, valid = view.truth(source)
    inner = view.inside(valid)
    assert np.abs(view.pixels[inner] - truth[inner]).mean() < 3
    assert shift(view.pixels[inner], truth[inner]) < 0.5
    moved = np.roll(truth, 2, axis=1)[inner]
    assert shift(view.pixels[inner], moved) > 1.5, "the measure sees two pixels"


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
def browser() -> Iterator[Browsers]:
    program = need_program("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield Browsers(chromium)
        chromium.close()


def commands(home: Path, *lines: list[str]) -> list[str]:
    """Run lines of the command line in one process, which is quicker than one each; give what they print.

    `{-1}` stands for what the line before printed.
    """
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(home), json.dumps(lines)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed: list[str] = json.loads(done.stdout)
    return printed


Opener = Callable[..., contextlib.AbstractContextManager[Watched]]


@contextlib.contextmanager
def opened(
    browser: Browsers,
    server: Server,
    path: str,
    *,
    state: str = "ready",
    denied: bool = False,
    locale: str = "fr-FR",
) -> Iterator[Watched]:
    """Open the page; in the end nothing went to others, nothing was complained of, save 401 where denied."""
    watched = _watch(browser.context(locale), server)
    try:
        watched.page.goto(server.url + path)
        watched.ready(state)
        yield watched
        watched.page.wait_for_timeout(50)
        assert watched.hosts() == {urlsplit(server.url).netloc}
        complaints = [said for said in watched.complaints if not (denied and DENIED in said)]
        assert complaints == []
        assert watched.page.evaluate("window.violations") == []
    finally:
        watched.page.close()


def _watch(context: BrowserContext, server: Server) -> Watched:
    page = context.new_page()
    watched = Watched(page, server)
    page.on("request", lambda request: watched.addresses.append(request.url))
    page.on("websocket", lambda socket: watched.addresses.append(socket.url))
    page.on("pageerror", lambda error: watched.complaints.append(str(error)))
    page.on(
        "console",
        lambda message: (
            watched.complaints.append(message.text) if message.type in {"error", "warning"} else None
        ),
    )
    return watched


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


def patch_centre() -> tuple[float, float]:
    row, column = ((part.start + part.stop) / 2 for part in PATCH)
    return ORIGIN[0] + column * CELL, ORIGIN[1] - row * CELL


def clicked_values(watched: Watched, x: float, y: float, crs: str = "EPSG:2154") -> dict[str, str]:
    """Click a place of the map and read the table of the popup."""
    page = watched.page
    page.mouse.click(*View.of(page).screen(x, y, crs))
    page.wait_for_selector("#popup-content table")
    rows = page.query_selector_all("#popup-content tr")
    return {
        row.query_selector("th").inner_text(): row.query_selector("td").inner_text()  # type: ignore[union-attr]
        for row in rows
    }


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
    with opened(browser, server, "/public/#layer=relief") as watched:
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
