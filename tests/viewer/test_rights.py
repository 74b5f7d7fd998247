"""What the page tells of layers that rights open only in part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Server, position_pixels, serving, write_raster
from tests.viewer.browsing import Browsers, commands, opened

pytestmark = pytest.mark.browser

REQUEST = "https://dinamis.example.org/acces"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a layer that is known of, one with a public preview, and one that is hidden."""
    folder = tmp_path_factory.mktemp("rights")
    home = folder / "home"
    names = ("known", "coarse", "hidden")
    for number, name in enumerate(names):
        pixels = position_pixels(1200, 1200)
        pixels[0, 0, 0] = 10 + number
        write_raster(folder / f"{name}_20240517.tif", pixels, photometric="RGB")
    commands(
        home,
        *(["bank", str(folder / f"{n}_20240517.tif"), "--collection", n, "--licence", n] for n in names),
        ["collection", "set", "known", "--visibility", "listed"],
        ["licence", "set", "coarse", "--public", "16m"],
    )
    with serving(home, workers=1, FLUX_SERVICE__ACCESS_REQUEST_URL=REQUEST) as running:
        yield running


@pytest.mark.parametrize(
    ("locale", "badge", "words"),
    [("fr-FR", "Sur demande", "Demander l\u2019accès"), ("en-GB", "On request", "Ask for access")],
)
def test_a_known_layer_says_where_to_ask_and_asks_for_no_tile(
    browser: Browsers, server: Server, locale: str, badge: str, words: str
) -> None:
    with opened(browser, server, "/#layer=known", locale=locale) as watched:
        assert watched.layers() == ["coarse", "known"]
        assert watched.text('button[data-id="known"] .badge') == badge
        link = watched.page.locator("#chosen-note a")
        assert (link.inner_text(), link.get_attribute("href")) == (words, REQUEST)
        assert not any("/known/" in address for address in watched.addresses)
        assert "hidden" not in watched.page.inner_text("#panel")


def test_a_preview_layer_is_drawn_coarsely_and_says_so(browser: Browsers, server: Server) -> None:
    with opened(browser, server, "/#layer=coarse", locale="en-GB") as watched:
        assert watched.text('button[data-id="coarse"] .badge') == "Preview"
        assert "reduced resolution" in watched.text("#chosen-note")
        tiles = [address for address in watched.addresses if "/coarse/" in address]
        assert tiles
        assert watched.page.evaluate("document.body.dataset.failedTiles") == "0"
