"""Layers, their capabilities and the OGC schemas."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from lxml import etree

from mosaics.grids import load_grids
from mosaics.models import Text
from server.wmts.capabilities import LayerInfo, ServiceInfo, StyleInfo, render_capabilities


@pytest.fixture(scope="session")
def grids():
    known = load_grids()
    return (known.get("WebMercatorQuad"), known.get("2154_50cm"))


@pytest.fixture(scope="session")
def service():
    return ServiceInfo(
        title=Text(fr="Imagerie très haute résolution", en="Very high resolution imagery"),
        abstract=Text(fr='Flux & tuiles <pour "tous">', en="Streams & tiles"),
        keywords=("imagerie", "Pléiades"),
        provider_name="DINAMIS",
        provider_site="https://dinamis.example/",
        contact_mail="contact@dinamis.example",
    )


@pytest.fixture(scope="session")
def dated_layer():
    return LayerInfo(
        id="pleiades",
        title=Text(fr='Pléiades <50 cm> & "plus" l\'été', en="Pléiades 50 cm"),
        abstract=Text(fr="Couverture récurrente.", en="Recurrent coverage."),
        bounds=(-4.8, 41.3, 9.6, 51.1),
        styles=(
            StyleInfo("natural", Text(fr="Couleurs naturelles", en="Natural colours")),
            StyleInfo("ndvi", Text(fr="Indice de végétation", en="Vegetation index")),
        ),
        formats=("image/png", "image/jpeg", "image/webp", "image/avif"),
        info_formats=("application/json", "text/html", "text/plain"),
        times=("2023-05-01", "2024-06-02", "2025-07-03"),
        grids=("WebMercatorQuad", "2154_50cm"),
        keywords=("optique",),
        attribution="© CNES 2025, distribution Airbus DS",
    )


@pytest.fixture(scope="session")
def single_layer():
    return LayerInfo(
        id="spot:SCENE_1.a",
        title=Text(fr="Une scène", en="One scene"),
        abstract=Text(fr="", en=""),
        bounds=(1.25, 43.5, 1.75, 43.75),
        styles=(StyleInfo("gray", Text(fr="Gris", en="Gray"), "legends/gray.png"),),
        formats=("image/jpeg",),
        times=("2024-06-02",),
        grids=("WebMercatorQuad",),
    )


@pytest.fixture(scope="session")
def make_document(service, dated_layer, single_layer, grids):
    """Render the capabilities of both layers; keywords override what the test is about."""

    def make(**changes) -> bytes:
        arguments = {
            "service": service,
            "layers": (dated_layer, single_layer),
            "grids": grids,
            "language": "fr",
            "base_url": "https://flux.example/app",
            "credential_query": None,
            "update_sequence": "12",
        }
        return render_capabilities(**(arguments | changes))

    return make


@pytest.fixture(scope="session")
def schemas() -> Path:
    """Folder of the OGC schemas that MapProxy's wheel carries for its tests; nothing of it is imported."""
    found = importlib.util.find_spec("mapproxy")
    assert found is not None, "the OGC schemas are missing: install the development dependencies"
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "test" / "schemas"


def _schema(path: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(path, etree.XMLParser(no_network=True)))


@pytest.fixture(scope="session")
def capabilities_schema(schemas):
    return _schema(schemas / "wmts" / "1.0" / "wmtsGetCapabilities_response.xsd")


@pytest.fixture(scope="session")
def exception_schema(schemas):
    return _schema(schemas / "ows" / "1.1.0" / "owsExceptionReport.xsd")
