"""OGC's WMTS 1.0 conformance suite (ets-wmts10 at b259ee6), its assertions replayed on the running server.

One test an assertion, under its id in the suite: all that the suite runs, which is KVP by GET and RESTful.
"""

from __future__ import annotations

import base64
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.commands import create_keys, run_commands
from tests.conformance.wmts_suite import ASSERTIONS, Service
from tests.conftest import Server, position_pixels, serving, write_raster

for _module in ("wmts_capabilities", "wmts_tiles", "wmts_info"):
    importlib.import_module(f"tests.conformance.{_module}")

SUITE = {
    "KVP.GET.": """
        InvalidQueryString InvalidService InvalidRequest
    """,
    "RESTful.": """
        HTTP.Mandatory InvalidQueryString
    """,
    "KVP.GET.GetCapabilities.Request.": """
        Mandatory NoService InvalidService AcceptVersions.Valid AcceptVersions.Invalid
        CaseInsensitive.KVP.Names Sections.All Sections.ServiceIdentification Sections.ServiceProvider
        Sections.OperationsMetadata Sections.Contents Sections.Themes Sections.Multiple Sections.Invalid
        Sections.Missing UpdateSequence AcceptFormats
    """,
    "KVP.GET.GetCapabilities.Response.": """
        XML.Well.Formed SchemaReferenced SchemaValid AdvertisedFormat OnlineResource Encoding.Constraint
        Layer.Identifiers.Unique Layer.LegendURL.Correct.Resource Layer.TileMatrixSet.Valid
        TileMatrixSet.Identifiers.Unique TileMatrix.Identifiers.Unique
        TileMatrixSet.ScaleDenominators.Unique TileMatrixSet.WellKnownScaleSet Theme.LayerRef.Valid
    """,
    "RESTful.GetCapabilities.": """
        Request.Mandatory
    """,
    "KVP.GET.GetTile.": """
        Mandatory Optional Missing Invalid.Layer Invalid.TileMatrixSet Invalid.TileMatrix
        Invalid.Tile.Row.TileMatrixSetLimits Invalid.Tile.Col.TileMatrixSetLimits Invalid.Tile.Style
        Invalid.SampleDimension.Value Default.SampleDimension Current.SampleDimension Valid.Tile.Format
        Invalid.Tile.Format Valid.Tile.Size Valid.Tile.Transparency
    """,
    "RESTful.GetTile.": """
        Mandatory Optional Missing Invalid.Layer Invalid.TileMatrixSet Invalid.TileMatrix
        Invalid.Tile.Row.TileMatrixSetLimits Invalid.Tile.Col.TileMatrixSetLimits Invalid.Tile.Style
        Invalid.SampleDimension.Value Default.SampleDimension Current.SampleDimension Valid.Tile.Format
        Valid.Tile.Size Valid.Tile.Transparency
    """,
    "KVP.GET.GetFeatureInfo.": """
        Mandatory Optional Missing Invalid.Layer Invalid.TileMatrixSet Invalid.TileMatrix
        Invalid.Tile.Row.TileMatrixSetLimits Invalid.Tile.Col.TileMatrixSetLimits Invalid.Tile.Style
        Invalid.SampleDimension.Value Default.SampleDimension Current.SampleDimension NonQueryable.Layer
        Valid.InfoFormat Invalid.InfoFormat Invalid.Pixel.Row.J Invalid.Pixel.Col.I
    """,
    "RESTful.GetFeatureInfo.": """
        Mandatory Optional Missing Invalid.Layer Invalid.TileMatrixSet Invalid.TileMatrix
        Invalid.Tile.Row.TileMatrixSetLimits Invalid.Tile.Col.TileMatrixSetLimits Invalid.Tile.Style
        Invalid.SampleDimension.Value Default.SampleDimension Current.SampleDimension Valid.InfoFormat
        Invalid.Pixel.Row.J Invalid.Pixel.Col.I
    """,
}
"""Beginning of the ids -> their ends, in the order of the suite."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bank a layer with two dates, one with several styles, and one that only an institution may see."""
    folder = tmp_path_factory.mktemp("wmts")
    lines = []
    for collection, name, bands, dtype, more in (
        ("dated", "PHR_20230501", 3, "uint8", ["--datetime", "2023-05-01", "--public"]),
        ("dated", "PHR_20240602", 3, "uint8", ["--datetime", "2024-06-02"]),
        ("styled", "XS_20240602", 4, "uint16", ["--sensor", "pleiades", "--public"]),
        ("licensed", "L_20240602", 3, "uint8", ["--licence", "ours"]),
    ):
        pixels = position_pixels(400, 500, bands, dtype)
        pixels[0] = pixels[0] // (2 if "2023" in name else 1)
        pixels[0, 0, 0] = len(lines)
        path = write_raster(folder / f"{name}.tif", pixels, resolution=2.0)
        lines.append(["bank", str(path), "--collection", collection, *more])
    rights = [["institution", "add", "region"], ["grant", "add", "region", "--licence", "ours"]]
    run_commands(folder / "home", [*lines, *rights])
    return folder / "home"


@pytest.fixture(scope="module")
def key(home: Path) -> str:
    return create_keys(home, ["region"])[0]


@pytest.fixture(scope="module")
def server(home: Path, key: str) -> Iterator[Server]:
    with serving(home) as running:
        yield running


@pytest.fixture(scope="module", params=["query", "password"])
def service(request: pytest.FixtureRequest, server: Server, key: str) -> Service:
    """Give the service as an institution finds it; the suite itself needs a proxy that adds the password."""
    if request.param == "query":
        return Service(server, f"/wmts?key={key}")
    password = base64.b64encode(f"any:{key}".encode()).decode()
    return Service(server, "/wmts", {"Authorization": f"Basic {password}"})


def test_the_service_offers_all_three_layers(service: Service) -> None:
    assert service.layers() == ["dated", "licensed", "styled"]


def test_every_assertion_of_the_suite_is_here() -> None:
    assert set(ASSERTIONS) == {start + end for start, ends in SUITE.items() for end in ends.split()}


@pytest.mark.parametrize("id_", ASSERTIONS)
def test_assertion(service: Service, id_: str) -> None:
    ASSERTIONS[id_](service)


def test_a_wrong_request_is_no_failure_of_the_server(service: Service) -> None:
    ASSERTIONS["KVP.GET.InvalidService"](service)
    assert "request_failed" not in service.server.log.read_text()
