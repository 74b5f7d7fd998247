"""OpenLayers and MapLibre in Chromium, on a portal of another origin: what each way draws, to the pixel.

The portal is another port of the loopback, so that what the server says to other origins (CORS, preflights)
is what decides. A cookie is tried where it can work: from a page of the server's own origin.
"""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, Route, sync_playwright
from pyproj import Transformer

from tests.clients.commands import MODULES, need_node, need_package
from tests.clients.conftest import Bank
from tests.clients.pictures import Window, assert_same, decoded, warped, window_inside
from tests.clients.ways import (
    COOKIE,
    MAPLIBRE,
    NOTHING,
    OPENLAYERS,
    Credential,
    Sent,
    Way,
    ways_of,
)
from tests.conftest import Server, need_program

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).with_name("browser")
ARGUMENTS = (
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
"""WebGL is drawn by the processor, so that a machine needs no graphics card."""
SIZE = (300, 200)
"""Columns and rows of the map, as page.html has them."""
LEVEL = 17
GRID = {"wmts": "2154_50cm", "xyz": "WebMercatorQuad"}
REFUSALS = {"other": 404, "revoked": 401, "nobody": 401}
"""Holder -> status of a tile of `texture`."""
TILES = "/tiles/texture/WebMercatorQuad/{z}/{x}/{y}.png"
TILEJSON = "/tiles/texture/WebMercatorQuad/tilejson.json"


@dataclass
class Map:
    """A page with a map of one library, as one holder uses it."""

    page: Page
    statuses: list[int] = field(default_factory=list)
    """Of all answers with tiles."""
    kept: list[str] = field(default_factory=list)
    """What the browser had already and did not ask for."""

    def draw(self, **asked: Any) -> tuple[dict[str, Any], np.ndarray]:
        """Show a layer; give what the library told and what is on the screen: uint8, (3, height, width)."""
        told = self.page.evaluate("(asked) => window.draw(asked)", asked)
        return told, decoded(self.page.locator("#map").screenshot())


class Portal(NamedTuple):
    """The web site that a map stands on."""

    url: str
    files: Path


@dataclass(frozen=True)
class Stage:
    """The server, a portal, and what holders show."""

    bank: Bank
    server: Server
    credentials: Mapping[str, Credential]
    open: Callable[[str, Sent], Map]
    """(library, what is shown) -> its map, in a browser that has seen nothing yet."""

    def sent(self, way: Way, holder: str) -> Sent:
        return way.sent(self.credentials[holder]) if holder in self.credentials else NOTHING

    def window(self, grid: str = "WebMercatorQuad") -> Window:
        return window_inside(self.bank.sources["texture"], grid, LEVEL, SIZE)

    def expected(self, grid: str = "WebMercatorQuad") -> np.ndarray:
        return warped(self.bank.sources["texture"], self.window(grid))

    def openlayers(self, sent: Sent, door: str) -> dict[str, Any]:
        """Give what OpenLayers is asked to draw."""
        grid = GRID[door]
        window = self.window(grid)
        left, bottom, right, top = window.bounds
        return {
            "door": door,
            "address": sent.address(self.server.url, "/wmts" if door == "wmts" else TILES),
            "headers": _scripted(sent),
            "layer": "texture",
            "grid": grid,
            "projection": window.crs,
            "center": [(left + right) / 2, (bottom + top) / 2],
            "resolution": window.transform.a,
        }

    def maplibre(self, sent: Sent, door: str) -> dict[str, Any]:
        """Give what MapLibre is asked to draw."""
        window = self.window()
        left, bottom, right, top = window.bounds
        to_lonlat = Transformer.from_crs(window.crs, "OGC:CRS84", always_xy=True)
        described = {"url": sent.address(self.server.url, TILEJSON)}
        return {
            "source": described if door == "tilejson" else {"tiles": [sent.address(self.server.url, TILES)]},
            "headers": _scripted(sent),
            "center": list(to_lonlat.transform((left + right) / 2, (bottom + top) / 2)),
            "zoom": LEVEL - 1,  # MapLibre counts in tiles of 512 px
        }


def _scripted(sent: Sent) -> dict[str, str]:
    """Give the headers that a script may set; a cookie is the browser's own."""
    return {} if sent.cookie else dict(sent.headers)


@pytest.fixture(scope="module")
def portal_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle what a portal would serve."""
    maplibre = need_package(FOLDER / "node_modules", "maplibre-gl", "scripts/test installs it")
    need_package(MODULES, "esbuild", "scripts/setup builds the map page")
    folder = tmp_path_factory.mktemp("portal")
    done = subprocess.run(
        [need_node(), str(FOLDER / "bundle.mjs"), str(folder / "openlayers.js")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "maplibre.js").write_bytes((FOLDER / "src" / "maplibre.js").read_bytes())
    (folder / "maplibre-gl").symlink_to(maplibre / "dist")
    for library in ("openlayers", "maplibre"):
        page = (FOLDER / "src" / "page.html").read_text()
        (folder / f"{library}.html").write_text(page.replace("SCRIPT", f"{library}.js"))
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def portal(portal_files: Path) -> Iterator[Portal]:
    """Serve the portal on a port of its own, which makes it another origin."""
    handler = functools.partial(_Quiet, directory=str(portal_files))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield Portal(f"http://127.0.0.1:{serving.server_port}", portal_files)
        serving.shutdown()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=need_program("chromium"), args=list(ARGUMENTS))
        yield browser
        browser.close()


class Tab:
    """A page for one map after the other, each in a browser that has seen nothing: a new one takes longer."""

    def __init__(self, context: BrowserContext, site: str, server: Server) -> None:
        """Open a page for what stands at `site`."""
        self.site = site
        self.server = server
        self.page = context.new_page()
        self.shown = Map(self.page)
        self.page.on("response", self._answered)
        self.devtools = context.new_cdp_session(self.page)
        self.devtools.send("Network.enable")
        self.devtools.on("Network.requestServedFromCache", lambda told: self.shown.kept.append(str(told)))

    def open(self, library: str, cookie: str | None) -> Map:
        """Forget all that was seen, and give the map of a library."""
        self.page.goto("about:blank")
        self.page.context.clear_cookies()
        self.devtools.send("Network.clearBrowserCache")
        self.shown = Map(self.page)
        if cookie is not None:
            self.page.context.add_cookies([_cookie(self.server, cookie)])
        self.page.goto(f"{self.site}/{library}.html")
        self.page.wait_for_function("Boolean(window.draw)")
        return self.shown

    def _answered(self, reply: Response) -> None:
        if reply.url.startswith(f"{self.server.url}/") and "/portal/" not in reply.url:
            self.shown.statuses.append(reply.status)


@pytest.fixture(scope="module")
def stage(
    chromium: Browser, portal: Portal, bank: Bank, server: Server, credentials: Mapping[str, Credential]
) -> Iterator[Stage]:
    """Set the stage; who holds a cookie has it in the browser, and a page of the server's own origin."""
    with chromium.new_context() as elsewhere, chromium.new_context() as own:
        own.route(f"{server.url}/portal/**", functools.partial(_fulfil, portal.files))
        strange, at_home = Tab(elsewhere, portal.url, server), Tab(own, f"{server.url}/portal", server)

        def call(library: str, sent: Sent) -> Map:
            return (strange if sent.cookie is None else at_home).open(library, sent.cookie)

        yield Stage(bank, server, credentials, call)


def _fulfil(folder: Path, route: Route) -> None:
    """Answer for a portal behind the same host as the server."""
    name = urlsplit(route.request.url).path.removeprefix("/portal/")
    route.fulfill(path=folder / name)


def _cookie(server: Server, value: str) -> dict[str, Any]:
    return {"name": COOKIE, "value": value, "url": server.url.replace("http:", "https:"), "secure": True}


@pytest.mark.parametrize("door", ["wmts", "xyz"])
@pytest.mark.parametrize("way", ways_of(OPENLAYERS))
def test_openlayers_draws_the_own_layer(stage: Stage, way: Way, door: str) -> None:
    sent = stage.sent(way, "mine")
    shown = stage.open("openlayers", sent)
    told, picture = shown.draw(**stage.openlayers(sent, door))
    assert (told["drawn"], told["failed"], set(shown.statuses)) == (True, 0, {200})
    assert shown.kept == [], "all came from the server"
    assert told["opaque"] == SIZE[0] * SIZE[1], "a script of the portal may read the pixels"
    assert_same(picture, stage.expected(GRID[door]), levels=3)
    if door == "wmts":
        assert set(told["listed"]) == set(stage.bank.sources) - {"elsewhere"}


@pytest.mark.parametrize("way", ways_of(OPENLAYERS))
def test_openlayers_draws_nothing_for_others(stage: Stage, way: Way) -> None:
    for holder, listed in (("other", ["elsewhere", "open"]), ("revoked", []), ("nobody", ["open"])):
        sent = stage.sent(way, holder)
        shown = stage.open("openlayers", sent)
        told, picture = shown.draw(**stage.openlayers(sent, "wmts"))
        assert (told["drawn"], sorted(told["listed"])) == (False, listed)
        assert told["status"] == (401 if holder == "revoked" else 200)
        assert (picture == 255).all()
        shown.statuses.clear()
        told, picture = shown.draw(**stage.openlayers(sent, "xyz"))
        assert told["failed"] > 0
        assert set(shown.statuses) == {REFUSALS[holder]}
        assert (picture == 255).all()


@pytest.mark.parametrize("door", ["tilejson", "tiles"])
@pytest.mark.parametrize("way", ways_of(MAPLIBRE))
def test_maplibre_draws_the_own_layer(stage: Stage, way: Way, door: str) -> None:
    sent = stage.sent(way, "mine")
    shown = stage.open("maplibre", sent)
    told, picture = shown.draw(**stage.maplibre(sent, door))
    assert (told["failed"], set(shown.statuses)) == ([], {200})
    assert shown.kept == [], "all came from the server"
    # addresses of a TileJSON leave the format to the server, which takes WebP
    assert_same(picture, stage.expected(), levels=6 if door == "tilejson" else 3)


@pytest.mark.parametrize("way", ways_of(MAPLIBRE))
def test_maplibre_draws_nothing_for_others(stage: Stage, way: Way) -> None:
    for holder, status in REFUSALS.items():
        if holder == "nobody" and way.id != "key":
            continue  # nobody goes no way
        sent = stage.sent(way, holder)
        shown = stage.open("maplibre", sent)
        for door in ("tilejson", "tiles"):
            told, picture = shown.draw(**stage.maplibre(sent, door), refused=True)
            # a missing tile is no error to MapLibre
            assert bool(told["tiles"]) == (door == "tiles")
            assert set(told["failed"]) == (set() if (door, status) == ("tiles", 404) else {status})
            assert (picture == 255).all()
        assert set(shown.statuses) == {status}


def test_a_portal_of_the_same_origin_gets_its_cookie_by_asking(stage: Stage) -> None:
    """`__Host-` cookies want https; Chromium takes the loopback as secure."""
    stale = Sent(cookie=stage.credentials["revoked"].cookie)
    shown = stage.open("openlayers", stale)
    asked = stage.openlayers(stale, "xyz")
    assert shown.draw(**asked)[0]["failed"] > 0
    sign = """(key) => fetch("/sign", {
      method: "POST",
      headers: { "X-API-Key": key, "Content-Type": "application/json" },
      body: JSON.stringify({ as: "cookie" }),
    }).then((reply) => reply.status)"""
    assert shown.page.evaluate(sign, stage.credentials["mine"].key) == 200
    told, picture = shown.draw(**asked)
    assert told["failed"] == 0
    assert_same(picture, stage.expected(), levels=3)
    assert COOKIE not in shown.page.evaluate("document.cookie"), "no script reads it"
    assert shown.page.evaluate("fetch('/sign', { method: 'DELETE' }).then((reply) => reply.status)") == 200
    who = "fetch('/whoami').then((reply) => reply.json()).then(({ kind }) => kind)"
    assert shown.page.evaluate(who) == "anonymous"
