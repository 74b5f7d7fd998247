"""The capabilities document as OWSLib and GDAL read it."""

import json
import subprocess
from urllib.parse import parse_qsl

import pytest
from owslib.wmts import WebMapTileService

from server.wmts.capabilities import TILE_EXTENSIONS
from server.wmts.kvp import GetTile, parse_kvp
from tests.conftest import need_program, tool_environment


@pytest.fixture
def document(make_document):
    return make_document(credential_query="key=flx_live_A%2BB")


# OWSLib asks an element for its truth, which lxml will change.
@pytest.mark.filterwarnings("ignore:Truth-testing of elements:FutureWarning")
def test_owslib_reads_layers_styles_grids_and_times(document):
    service = WebMapTileService("https://flux.example/app/wmts", xml=document)
    assert list(service.contents) == ["pleiades", "spot:SCENE_1.a"]
    assert list(service.tilematrixsets) == ["WebMercatorQuad", "2154_50cm"]
    layer = service["pleiades"]
    assert layer.styles == {
        "natural": {"isDefault": True, "title": "Couleurs naturelles"},
        "ndvi": {"isDefault": False, "title": "Indice de végétation"},
    }
    assert layer.boundingBoxWGS84 == (-4.8, 41.3, 9.6, 51.1)
    assert layer.formats == ["image/png", "image/jpeg", "image/webp", "image/avif"]
    assert layer.infoformats == ["application/json", "text/html", "text/plain"]
    assert list(layer.tilematrixsetlinks) == ["WebMercatorQuad", "2154_50cm"]
    assert layer.dimensions["Time"]["default"] == "latest"
    assert layer.dimensions["Time"]["values"] == ["latest", "2023-05-01", "2024-06-02", "2025-07-03"]


@pytest.mark.filterwarnings("ignore:Truth-testing of elements:FutureWarning")
def test_owslib_builds_the_address_of_a_tile_with_the_key(document):
    service = WebMapTileService("https://flux.example/app/wmts", xml=document)
    tile = {"style": "ndvi", "tilematrixset": "2154_50cm", "tilematrix": "3", "row": 1, "column": 2}
    address = service.buildTileResource(layer="pleiades", format="image/png", Time="2024-06-02", **tile)
    # OWSLib takes any template of the layer, whatever the format; it asks by KVP where it can.
    start = "https://flux.example/app/wmts/1.0.0/pleiades/ndvi/2024-06-02/2154_50cm/3/1/2"
    assert address in {f"{start}.{extension}?key=flx_live_A%2BB" for extension in TILE_EXTENSIONS.values()}
    assert not service.restonly
    query = service.buildTileRequest(layer="pleiades", format="image/webp", Time="2024-06-02", **tile)
    assert parse_kvp(parse_qsl(query)) == GetTile(
        layer="pleiades",
        style="ndvi",
        format="image/webp",
        tile_matrix_set="2154_50cm",
        tile_matrix="3",
        row=1,
        col=2,
        time="2024-06-02",
    )
    assert service.serviceMetadataURL == (
        "https://flux.example/app/wmts/1.0.0/WMTSCapabilities.xml?key=flx_live_A%2BB"
    )


@pytest.fixture
def run_gdal(document, tmp_path):
    """Run one of GDAL's tools on the document; give what it prints on stdout and stderr."""
    (tmp_path / "capabilities.xml").write_bytes(document)

    def run(program, *arguments):
        found = need_program(program)
        result = subprocess.run(
            [found, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env=tool_environment(),
        )
        return result.stdout, result.stderr

    return run


@pytest.mark.gdal
def test_gdal_lists_layers_grids_and_styles(run_gdal):
    stdout, stderr = run_gdal("gdalinfo", "-json", "WMTS:capabilities.xml")
    assert stderr == ""
    datasets = json.loads(stdout)["metadata"]["SUBDATASETS"]
    prefix = "WMTS:capabilities.xml,layer="
    assert [datasets[f"SUBDATASET_{number}_NAME"] for number in range(1, 6)] == [
        f"{prefix}pleiades,tilematrixset=WebMercatorQuad,style=natural",
        f"{prefix}pleiades,tilematrixset=WebMercatorQuad,style=ndvi",
        f"{prefix}pleiades,tilematrixset=2154_50cm,style=natural",
        f"{prefix}pleiades,tilematrixset=2154_50cm,style=ndvi",
        f"{prefix}spot:SCENE_1.a",
    ]
    assert 'style "Indice de végétation"' in datasets["SUBDATASET_4_DESC"]


@pytest.mark.gdal
@pytest.mark.parametrize(("grid", "epsg"), [("WebMercatorQuad", 3857), ("2154_50cm", 2154)])
def test_gdal_opens_a_layer_in_each_grid(run_gdal, grid, epsg):
    dataset = f"WMTS:capabilities.xml,layer=pleiades,tilematrixset={grid},style=ndvi"
    stdout, stderr = run_gdal("gdalinfo", "-json", dataset)
    assert stderr == ""
    information = json.loads(stdout)
    assert f'ID["EPSG",{epsg}]]' in information["coordinateSystem"]["wkt"].splitlines()[-1]
    ring = information["wgs84Extent"]["coordinates"][0]
    assert min(lon for lon, _ in ring) == pytest.approx(-4.8, abs=2)
    assert max(lat for _, lat in ring) == pytest.approx(51.1, abs=0.5)


@pytest.mark.gdal
def test_gdal_asks_for_tiles_with_style_time_and_key(run_gdal):
    dataset = "WMTS:capabilities.xml,layer=pleiades,tilematrixset=WebMercatorQuad,style=ndvi"
    _, stderr = run_gdal("gdalinfo", "--debug", "on", dataset)
    assert (
        "https://flux.example/app/wmts/1.0.0/pleiades/ndvi/latest/WebMercatorQuad/"
        "12/${y}/${x}.png?key=flx_live_A%2BB"
    ) in stderr
