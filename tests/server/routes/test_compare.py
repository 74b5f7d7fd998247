"""Two dates compared: the difference of one value, where the caller may see both, in colours that mean it."""

from __future__ import annotations

import io

import mercantile
import numpy as np
import pytest
from PIL import Image
from rio_tiler.colormap import cmap

from mosaics.change_look import load_changes, parse_change
from mosaics.grids import load_grids
from tests.conftest import Reply
from tests.server.routes.albums import NDVI, Album

LAMBERT = load_grids().get("2154_50cm")
LEVEL = LAMBERT.zoom_for(2.0, 43.6)


def tile_of(east: float, south: float) -> str:
    """Give the tile of two-metre pixels that holds a place; the scenes' corner is a tile's."""
    matrix = LAMBERT.matrix(LEVEL)
    side = matrix.cell_size * 256
    x = int((572_416 + east - matrix.origin[0]) // side)
    y = int((matrix.origin[1] - 6_279_168 + south) // side)
    return f"2154_50cm/{LEVEL}/{x}/{y}"


TILE = tile_of(100, 100)


def pixels(reply: Reply) -> np.ndarray:
    assert reply.status == 200, reply.body
    return np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA")).astype(int)


def at(picture: np.ndarray, east: float, south: float) -> list[int]:
    """Give the pixel of a place, metres from the scenes' corner."""
    matrix = LAMBERT.matrix(LEVEL)
    column = (572_416 + east - matrix.origin[0]) / matrix.cell_size
    row = (matrix.origin[1] - 6_279_168 + south) / matrix.cell_size
    found: list[int] = picture[int(row) % 256, int(column) % 256].tolist()
    return found


def colour(name: str, value: float, low: float, high: float) -> list[int]:
    return list(cmap.get(name)[round((value - low) / (high - low) * 255)])


def test_the_difference_of_an_index_is_later_less_earlier(album: Album) -> None:
    for way in ("style=ndvi", "index=ndvi"):
        grown = pixels(album.get(f"/tiles/field/{TILE}.png?{way}&time=2024-07-01&compare=2024-05-01"))
        lost = pixels(album.get(f"/tiles/field/{TILE}.png?{way}&time=2024-05-01&compare=2024-07-01"))
        difference = NDVI["20240701"] - NDVI["20240501"]
        assert at(grown, 100, 100) == pytest.approx(colour("rdylgn", difference, -0.5, 0.5), abs=3)
        assert at(lost, 100, 100) == pytest.approx(colour("rdylgn", -difference, -0.5, 0.5), abs=3)


def test_range_and_colours_are_of_the_difference(album: Album) -> None:
    query = "style=ndvi&time=2024-07-01&compare=2024-05-01&rescale=0,0.7&colormap=viridis"
    found = pixels(album.get(f"/tiles/field/{TILE}.png?{query}"))
    assert at(found, 100, 100) == colour("viridis", NDVI["20240701"] - NDVI["20240501"], 0, 0.7)
    band = pixels(
        album.get(f"/tiles/field/{TILE}.png?bands=nir&time=2024-07-01&compare=2024-05-01&rescale=-1000,1000")
    )
    assert at(band, 100, 100) == colour("rdbu", 400, -1000, 1000)


def test_its_legend_is_that_of_the_difference(album: Album) -> None:
    told = album.get("/legend/field/ndvi.json?compare=2024-05-01").json
    assert (told["kind"], told["range"]) == ("ramp", [-0.5, 0.5])
    assert told["title"]["en"] == "Difference of vegetation index"
    assert told["colours"][0] == "#{:02x}{:02x}{:02x}".format(*cmap.get("rdylgn")[0][:3])
    heights = album.get("/legend/ground/default.json?compare=2023-05-10&rescale=-4,4").json
    assert (heights["unit"], heights["range"]) == ("m", [-4, 4])
    document = album.get("/tiles/field/WebMercatorQuad/tilejson.json?index=ndvi&compare=2024-05-01").json
    (link,) = document["links"]
    picture = album.get(link["href"][link["href"].index("/legend") :])
    assert (picture.status, picture.body[:4]) == (200, b"\x89PNG")
    assert picture.body != album.get("/legend/field/ndvi.png").body
    assert album.get("/legend/field/natural.json?compare=2024-05-01").status == 400
    assert album.get("/legend/field/ndvi.json?compare=1999-05-01").status == 400


def test_heights_are_subtracted_in_metres(album: Album) -> None:
    found = pixels(album.get(f"/tiles/ground/{TILE}.png?time=2024-05-10&compare=2023-05-10"))
    assert at(found, 60, 50) == pytest.approx(colour("rdbu", 4.3, -10, 10), abs=8)
    assert at(found, 200, 60) == pytest.approx(colour("rdbu", 0.3, -10, 10), abs=3)
    assert at(found, 168, 168) == pytest.approx(colour("rdbu", -2.2, -10, 10), abs=8)
    default = pixels(album.get(f"/tiles/ground/{TILE}.png?compare=2023-05-10"))
    assert (default == found).all(), "without a time it is the latest"


def test_what_one_date_has_not_is_nothing(album: Album) -> None:
    found = pixels(album.get(f"/tiles/field/{TILE}.png?style=ndvi&time=2024-08-01&compare=2024-05-01"))
    assert at(found, 60, 100)[3] == 0, "in August only the east was seen"
    assert at(found, 200, 100)[3] == 255


def test_what_rights_cut_of_one_date_is_nothing(album: Album) -> None:
    query = "style=ndvi&time=2024-07-01&compare=2024-05-20/2024-06-30"
    assert at(pixels(album.get(f"/tiles/field/{TILE}.png?{query}", known=True)), 100, 100)[3] == 255
    hidden = pixels(album.get(f"/tiles/field/{TILE}.png?{query}"))
    assert not hidden.any()
    assert album.get(f"/tiles/field/{TILE}.png?style=ndvi&compare=2024-06-01").status == 400


def test_those_who_may_see_the_same_share_the_bytes(album: Album) -> None:
    query = "style=ndvi&time=2024-07-01&compare=2024-05-01"
    one, other = (album.get(f"/tiles/field/{TILE}.png?{query}", known=each) for each in (True, False))
    assert one.headers["etag"] == other.headers["etag"]
    turned = album.get(f"/tiles/field/{TILE}.png?style=ndvi&time=2024-05-01&compare=2024-07-01")
    assert turned.headers["etag"] != one.headers["etag"]
    wider = album.get(f"/tiles/field/{TILE}.png?{query}&rescale=-1,1")
    assert wider.headers["etag"] != one.headers["etag"]
    plain = album.get(f"/tiles/field/{TILE}.png?style=ndvi&time=2024-07-01")
    assert plain.headers["etag"] != one.headers["etag"]


def test_every_protocol_shows_the_same(album: Album) -> None:
    grid, z, x, y = TILE.split("/")
    query = "style=ndvi&time=2024-07-01&compare=2024-05-01"
    tile = album.get(f"/tiles/field/{TILE}.png?{query}")
    kvp = album.get(
        "/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=field&STYLE=ndvi&FORMAT=image/png"
        f"&TILEMATRIXSET={grid}&TILEMATRIX={z}&TILEROW={y}&TILECOL={x}&TIME=2024-07-01&COMPARE=2024-05-01"
    )
    assert (kvp.body, kvp.headers["etag"]) == (tile.body, tile.headers["etag"])
    twice = album.get(
        "/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER=field&STYLE=ndvi&FORMAT=image/png"
        f"&TILEMATRIXSET={grid}&TILEMATRIX={z}&TILEROW={y}&TILECOL={x}&COMPARE=2024-05-01&compare=2024-07-01"
    )
    assert twice.status == 400
    preview = pixels(album.get(f"/preview/field.png?width=100&{query}"))
    assert preview[50, 50].tolist() == at(pixels(tile), 100, 100)
    small = album.get(f"/preview/field.webp?width=100&{query}&max_bytes=3000")
    assert small.status == 200
    assert len(small.body) <= 3000
    told = album.get(f"/tiles/field/WebMercatorQuad/tilejson.json?{query}").json
    assert "compare=2024-05-01" in told["tiles"][0]
    place = mercantile.tile(*told["center"][:2], 17)
    address = told["tiles"][0].partition("example")[2].format(z=17, x=place.x, y=place.y)
    assert pixels(album.get(address)).any()


@pytest.mark.parametrize(
    "query",
    [
        "compare=2024-05-01",
        "style=natural&compare=2024-05-01",
        "bands=3,2,1&compare=2024-05-01",
        "bands=nir&compare=2024-05-01",
        "style=ndvi&gamma=2&compare=2024-05-01",
        "style=ndvi&compare=yesterday",
        "style=ndvi&compare=1999-01-01",
        "style=ndvi&compare=2024-05-01&compare=2024-07-01",
        "index=ndsi&compare=2024-05-01",
    ],
)
def test_what_can_not_be_compared_is_told(album: Album, query: str) -> None:
    for target in (f"/tiles/field/{TILE}.png", "/preview/field.png", "/tiles/field/2154_50cm/tilejson.json"):
        reply = album.get(f"{target}?{query}")
        assert (reply.status, reply.headers["content-type"]) == (400, "application/problem+json"), target


def test_a_change_is_paid_for_as_one_picture(album: Album) -> None:
    meter = album.asgi.application.services.meter

    def milliunits() -> int:
        return sum(four[2] for four in dict(meter._counters.values()).values())

    before = milliunits()
    album.get(f"/tiles/field/{TILE}.png?style=ndvi&time=2024-07-01&compare=2024-05-01", known=True)
    assert milliunits() == before + 1000


@pytest.mark.parametrize(
    "wrong",
    [
        {"rescale": [[1, 1]]},
        {"rescale": [[0, 1], [0, 1]]},
        {"kinds": []},
        {"kinds": ["none"]},
        {"colormap_name": "none"},
        {"more": 1},
        {"source": []},
    ],
)
def test_a_file_that_breaks_a_rule_is_refused(wrong: dict[str, object]) -> None:
    document = {
        "id": "heights",
        "title": {"fr": "Hauteurs", "en": "Heights"},
        "values": [],
        "kinds": ["elevation"],
        "rescale": [[-10, 10]],
        "colormap_name": "rdbu",
        "source": ["house value"],
    }
    assert parse_change(document).rescale == (-10, 10)
    with pytest.raises(ValueError, match=r"."):
        parse_change(document | wrong)
    assert "heights" in load_changes()
