"""OWSLib: what its users list, fetch and ask, in each way that it can send a credential."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import pytest
import rasterio
import requests
from affine import Affine
from owslib.util import ServiceException
from owslib.wmts import WebMapTileService
from pyproj import Transformer

from tests.clients.conftest import REAL, Bank
from tests.clients.pictures import GRIDS, Window, assert_same, decoded, warped, window_inside
from tests.clients.ways import OWSLIB, USER, Credential, Way, ways_of
from tests.conftest import IMAGERY, Server

# OWSLib asks an element for its truth, which lxml will change.
pytestmark = pytest.mark.filterwarnings("ignore:Truth-testing of elements:FutureWarning")

MINE = {"texture", "open", *(REAL if IMAGERY.is_dir() else ())}

Connect = Callable[[str], WebMapTileService]


@pytest.fixture(params=ways_of(OWSLIB))
def way(request: pytest.FixtureRequest) -> Way:
    """Give each of the ways that OWSLib knows."""
    found: Way = request.param
    return found


@pytest.fixture
def connect(way: Way, server: Server, credentials: Mapping[str, Credential]) -> Connect:
    """Connect as a holder."""

    def call(holder: str) -> WebMapTileService:
        sent = way.sent(credentials[holder])
        address = sent.address(server.url, "/wmts")
        if sent.password is not None:
            return WebMapTileService(address, username=USER, password=sent.password)
        return WebMapTileService(address, headers=dict(sent.headers))

    return call


def tile_of(bank: Bank, layer: str, grid: str, level: int) -> tuple[int, int, Window]:
    """Give row, column and pixels of the tile in the middle of a layer."""
    size = 512 if grid.endswith("_512") else 256
    middle = window_inside(bank.sources[layer], grid, level, (2, 2)).transform
    rule, span = GRIDS[grid], GRIDS[grid].cell / 2**level * size
    row, column = int((rule.top - middle.f) // span), int((middle.c - rule.left) // span)
    transform = Affine(middle.a, 0, rule.left + column * span, 0, middle.e, rule.top - row * span)
    return row, column, Window(rule.crs, transform, size, size)


def fetch(service: WebMapTileService, **asked: object) -> bytes:
    body: bytes = service.gettile(style="default", format="image/png", **asked).read()
    return body


def test_each_institution_finds_its_own_layers(bank: Bank, connect: Connect) -> None:
    assert set(connect("mine").contents) == MINE
    assert set(connect("other").contents) == {"elsewhere", "open"}


@pytest.mark.parametrize(
    ("grid", "level"),
    [("WebMercatorQuad", 17), ("2154_50cm", 16), ("WorldCRS84Quad", 16), ("2154_50cm_512", 15)],
)
def test_a_tile_is_the_picture(bank: Bank, connect: Connect, grid: str, level: int) -> None:
    row, column, window = tile_of(bank, "texture", grid, level)
    asked = {
        "layer": "texture",
        "tilematrixset": grid,
        "tilematrix": str(level),
        "row": row,
        "column": column,
    }
    picture = decoded(fetch(connect("mine"), **asked))
    assert_same(picture, warped(bank.sources["texture"], window), levels=3)


@pytest.mark.parametrize("layer", sorted(MINE))
def test_feature_info_gives_the_values_of_the_file(
    bank: Bank, connect: Connect, way: Way, credentials: Mapping[str, Credential], layer: str
) -> None:
    service = connect("mine")
    with pytest.raises(NotImplementedError):
        service.getfeatureinfo()  # so its users write the request themselves
    address = next(
        method["url"]
        for method in service.getOperationByName("GetFeatureInfo").methods
        if "KVP" in method["constraints"][0].values
    )
    row, column, window = tile_of(bank, layer, "WebMercatorQuad", 19)
    asked = {"service": "WMTS", "request": "GetFeatureInfo", "version": "1.0.0", "layer": layer, "style": ""}
    asked |= {"format": "image/png", "tilematrixset": "WebMercatorQuad", "tilematrix": "19"}
    asked |= {"tilerow": str(row), "tilecol": str(column), "infoformat": "application/json"}
    headers = way.sent(credentials["mine"]).headers
    to_lonlat = Transformer.from_crs(window.crs, "OGC:CRS84", always_xy=True)
    with rasterio.open(bank.sources[layer]) as source:
        to_source = Transformer.from_crs(window.crs, source.crs, always_xy=True)
        for i, j in ((0, 0), (40, 200), (128, 128), (255, 255)):
            reply = requests.get(address + urlencode(asked | {"i": i, "j": j}), headers=headers, timeout=10)
            (feature,) = reply.json()["features"]
            x, y = window.transform @ (i + 0.5, j + 0.5)
            (expected,) = source.sample([to_source.transform(x, y)])
            assert [band["value"] for band in feature["properties"]["bands"]] == expected.tolist()
            assert feature["geometry"]["coordinates"] == pytest.approx(to_lonlat.transform(x, y), abs=1e-7)


def test_without_the_right_key_there_is_nothing(bank: Bank, server: Server, connect: Connect) -> None:
    row, column, _ = tile_of(bank, "texture", "2154_50cm", 16)
    asked = {"tilematrixset": "2154_50cm", "tilematrix": "16", "row": row, "column": column}
    with pytest.raises(ServiceException, match="La clé n&#39;est pas valable"):
        connect("revoked")
    nobody = WebMapTileService(f"{server.url}/wmts")
    assert set(nobody.contents) == {"open"}
    with pytest.raises(ServiceException, match="Une clé est nécessaire ici"):
        fetch(nobody, layer="texture", **asked)
    reports = []
    for layer in ("texture", "missing"):
        with pytest.raises(ServiceException, match='"InvalidParameterValue" locator="layer"') as refusal:
            fetch(connect("other"), layer=layer, **asked)
        reports.append(str(refusal.value))
    assert reports[0] == reports[1]
