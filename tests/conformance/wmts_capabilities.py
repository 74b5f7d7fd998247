"""The suite's assertions on service, requests and the capabilities document."""

from __future__ import annotations

import itertools
from urllib.parse import urlencode, urlsplit

from lxml import etree

from tests.conformance.wmts_suite import (
    NAMES,
    SCHEMA_OF_DOCUMENTS,
    Service,
    asserts,
    refused,
    schema,
    valid,
    without,
)

CAPABILITIES = {"service": "WMTS", "request": "GetCapabilities", "version": "1.0.0"}
SECTIONS = {
    "ServiceIdentification": "ows:ServiceIdentification",
    "ServiceProvider": "ows:ServiceProvider",
    "OperationsMetadata": "ows:OperationsMetadata",
    "Contents": "w:Contents",
    "Themes": "w:Themes",
}
WELL_KNOWN = {
    "urn:ogc:def:wkss:OGC:1.0:GoogleMapsCompatible": "urn:ogc:def:crs:EPSG:6.18:3:3857",
    "urn:ogc:def:wkss:OGC:1.0:GoogleCRS84Quad": "urn:ogc:def:crs:OGC:1.3:CRS84",
}
"""Scale set -> the CRS it demands; both are 1:559 082 264.0287178 halved again and again."""


def sections_of(root: etree._Element) -> set[str]:
    return {name for name, path in SECTIONS.items() if root.find(path, NAMES) is not None}


@asserts("KVP.GET.InvalidQueryString")
def invalid_query_string(service: Service) -> None:
    query = "service=WMTS&request~GetCapabilities!version~1.0.0"
    refused(service.ask(service.prefix("GetCapabilities") + query), "MissingParameterValue", "request")


@asserts("KVP.GET.InvalidService", "KVP.GET.GetCapabilities.Request.InvalidService")
def invalid_service(service: Service) -> None:
    refused(service.kvp(CAPABILITIES | {"service": "BOGUS"}), "InvalidParameterValue", "service")


@asserts("KVP.GET.InvalidRequest")
def invalid_request(service: Service) -> None:
    refused(service.kvp(CAPABILITIES | {"request": "GetBOGUS"}), "InvalidParameterValue", "request")


@asserts("RESTful.HTTP.Mandatory")
def unsupported_type(service: Service) -> None:
    (address,) = service.values("//w:ServiceMetadataURL/@xlink:href")
    assert service.ask(address, Accept="example/unknown").status == 406


@asserts("RESTful.InvalidQueryString")
def bogus_resource(service: Service) -> None:
    (address,) = service.values("//w:ServiceMetadataURL/@xlink:href")
    path, _, query = address.partition("?")
    for bogus in (f"{address}/Bogus", f"{path}/Bogus?{query}") if query else (f"{address}/Bogus",):
        assert service.ask(bogus).status == (404 if bogus.startswith(f"{path}/Bogus") else 401)


@asserts("KVP.GET.GetCapabilities.Request.Mandatory")
def capabilities(service: Service) -> None:
    root = valid(service.kvp(CAPABILITIES), SCHEMA_OF_DOCUMENTS)
    assert sections_of(root) >= {"ServiceIdentification", "ServiceProvider", "OperationsMetadata", "Contents"}


@asserts("KVP.GET.GetCapabilities.Request.NoService")
def no_service(service: Service) -> None:
    refused(service.kvp(without(CAPABILITIES, "service")), "MissingParameterValue", "service")


@asserts("KVP.GET.GetCapabilities.Request.AcceptVersions.Valid")
def accepted_versions(service: Service) -> None:
    for versions in ("1.0.0", "9.9.9,1.0.0"):
        root = valid(service.kvp(CAPABILITIES | {"AcceptVersions": versions}), SCHEMA_OF_DOCUMENTS)
        assert root.get("version") == "1.0.0"


@asserts("KVP.GET.GetCapabilities.Request.AcceptVersions.Invalid")
def refused_versions(service: Service) -> None:
    for versions in ("9999.9.9", "8.0.0,9.0.0"):
        reply = service.kvp(CAPABILITIES | {"AcceptVersions": versions})
        refused(reply, "VersionNegotiationFailed", None)


@asserts("KVP.GET.GetCapabilities.Request.CaseInsensitive.KVP.Names")
def names_in_any_case_and_order(service: Service) -> None:
    cases = (str.lower, str.upper, str.title, str.swapcase)
    bodies = {
        service.ask(service.prefix("GetCapabilities") + urlencode([(case(k), v) for k, v in pairs])).body
        for case in cases
        for pairs in itertools.permutations(CAPABILITIES.items())
    }
    assert len(bodies) == 1
    schema(SCHEMA_OF_DOCUMENTS).assertValid(etree.fromstring(bodies.pop()))


@asserts("KVP.GET.GetCapabilities.Request.Sections.All")
def all_sections(service: Service) -> None:
    for word in ("All", "all"):
        root = valid(service.kvp(CAPABILITIES | {"Sections": word}), SCHEMA_OF_DOCUMENTS)
        assert sections_of(root) >= set(SECTIONS) - {"Themes"}


def only(*sections: str) -> None:
    """Register the assertion that a request for these sections gives these alone."""
    name = sections[0] if len(sections) == 1 else "Multiple"

    @asserts(f"KVP.GET.GetCapabilities.Request.Sections.{name}")
    def check(service: Service) -> None:
        reply = service.kvp(CAPABILITIES | {"Sections": ",".join(sections)})
        root = valid(reply, SCHEMA_OF_DOCUMENTS)
        assert sections_of(root) == set(sections)
        assert len(root) == len(sections)


for _section in SECTIONS:
    only(_section)
only("Contents", "Themes")


@asserts("KVP.GET.GetCapabilities.Request.Sections.Invalid")
def unknown_section(service: Service) -> None:
    refused(service.kvp(CAPABILITIES | {"Sections": "Bogus"}), "InvalidParameterValue", "sections")


@asserts("KVP.GET.GetCapabilities.Request.Sections.Missing")
def empty_sections(service: Service) -> None:
    refused(service.kvp(CAPABILITIES | {"Sections": ""}), "MissingParameterValue", "sections")


@asserts("KVP.GET.GetCapabilities.Request.UpdateSequence")
def update_sequence(service: Service) -> None:
    (current,) = service.values("/w:Capabilities/@updateSequence")
    same = etree.fromstring(service.kvp(CAPABILITIES | {"UpdateSequence": current}).body)
    assert dict(same.attrib) == {"version": "1.0.0", "updateSequence": current}
    assert len(same) == 0
    older = service.kvp(CAPABILITIES | {"UpdateSequence": "0"})
    assert sections_of(valid(older, SCHEMA_OF_DOCUMENTS)) == sections_of(service.document)
    newer = service.kvp(CAPABILITIES | {"UpdateSequence": f"{current}0"})
    refused(newer, "InvalidUpdateSequence", None)


@asserts("KVP.GET.GetCapabilities.Request.AcceptFormats")
def accepted_formats(service: Service) -> None:
    offered = service.texts(
        "//ows:Operation[@name='GetCapabilities']/ows:Parameter[@name='AcceptFormats']//ows:Value"
    )
    for asked in (*offered, "bogus/xml"):
        reply = service.kvp(CAPABILITIES | {"AcceptFormats": asked})
        valid(reply, SCHEMA_OF_DOCUMENTS)
        expected = asked if asked in offered else "application/xml"
        assert reply.headers["content-type"].partition(";")[0] == expected


@asserts(
    "KVP.GET.GetCapabilities.Response.XML.Well.Formed",
    "KVP.GET.GetCapabilities.Response.SchemaValid",
)
def document_is_valid(service: Service) -> None:
    valid(service.kvp(CAPABILITIES), SCHEMA_OF_DOCUMENTS)


@asserts("KVP.GET.GetCapabilities.Response.SchemaReferenced")
def schema_is_named(service: Service) -> None:
    location = service.document.get("{http://www.w3.org/2001/XMLSchema-instance}schemaLocation")
    assert location is not None
    assert location.endswith(("/wmts.xsd", "/wmtsGetCapabilities_response.xsd"))


@asserts("KVP.GET.GetCapabilities.Response.AdvertisedFormat")
def format_is_offered(service: Service) -> None:
    path = "//ows:Operation[@name='GetCapabilities']/ows:Parameter[@name='AcceptFormats']//ows:Value"
    assert "application/xml" in service.texts(path)


@asserts("KVP.GET.GetCapabilities.Response.OnlineResource")
def hrefs_are_prefixes(service: Service) -> None:
    hrefs = service.values("//ows:Get[ows:Constraint//ows:Value='KVP']/@xlink:href")
    assert len(hrefs) == 3
    for href in hrefs:
        assert urlsplit(href).scheme == "http"
        assert href.endswith(("?", "&"))


@asserts("KVP.GET.GetCapabilities.Response.Encoding.Constraint")
def encoding_is_stated(service: Service) -> None:
    for operation in ("GetCapabilities", "GetTile", "GetFeatureInfo"):
        path = f"//ows:Operation[@name='{operation}']//ows:Constraint[@name='GetEncoding']//ows:Value"
        assert service.texts(path) == ["KVP", "RESTful"]


def assert_unique(texts: list[str]) -> None:
    assert texts
    assert all(texts)
    assert len(texts) == len(set(texts))


@asserts("KVP.GET.GetCapabilities.Response.Layer.Identifiers.Unique")
def layers_are_unique(service: Service) -> None:
    assert_unique(service.layers())


@asserts("KVP.GET.GetCapabilities.Response.Layer.LegendURL.Correct.Resource")
def legends_are_pictures(service: Service) -> None:
    for legend in service.find("//w:LegendURL"):
        reply = service.ask(legend.get("{http://www.w3.org/1999/xlink}href"))
        assert (reply.status, reply.headers["content-type"]) == (200, legend.get("format"))


@asserts("KVP.GET.GetCapabilities.Response.Layer.TileMatrixSet.Valid")
def links_lead_to_sets(service: Service) -> None:
    linked = set(service.texts("//w:TileMatrixSetLink/w:TileMatrixSet"))
    assert linked == set(service.texts("//w:Contents/w:TileMatrixSet/ows:Identifier"))


@asserts("KVP.GET.GetCapabilities.Response.TileMatrixSet.Identifiers.Unique")
def sets_are_unique(service: Service) -> None:
    assert_unique(service.texts("//w:Contents/w:TileMatrixSet/ows:Identifier"))


@asserts(
    "KVP.GET.GetCapabilities.Response.TileMatrix.Identifiers.Unique",
    "KVP.GET.GetCapabilities.Response.TileMatrixSet.ScaleDenominators.Unique",
)
def matrices_are_unique(service: Service) -> None:
    for grid in service.texts("//w:Contents/w:TileMatrixSet/ows:Identifier"):
        matrix = f"//w:TileMatrixSet[ows:Identifier='{grid}']/w:TileMatrix"
        assert_unique(service.texts(f"{matrix}/ows:Identifier"))
        assert_unique(service.texts(f"{matrix}/w:ScaleDenominator"))


@asserts("KVP.GET.GetCapabilities.Response.TileMatrixSet.WellKnownScaleSet")
def scale_sets_are_kept(service: Service) -> None:
    claims = service.find("//w:Contents/w:TileMatrixSet[w:WellKnownScaleSet]")
    assert claims
    for grid in claims:
        name = grid.findtext("w:WellKnownScaleSet", namespaces=NAMES)
        assert grid.findtext("ows:SupportedCRS", namespaces=NAMES) == WELL_KNOWN[name]
        scales = [
            float(text) for text in grid.xpath("w:TileMatrix/w:ScaleDenominator/text()", namespaces=NAMES)
        ]
        expected = [559082264.0287178 / 2**level for level in range(len(scales))]
        assert all(abs(a / b - 1) < 1e-9 for a, b in zip(scales, expected, strict=True))


@asserts("KVP.GET.GetCapabilities.Response.Theme.LayerRef.Valid")
def themes_lead_to_layers(service: Service) -> None:
    assert set(service.texts("//w:Theme/w:LayerRef")) <= set(service.layers())


@asserts("RESTful.GetCapabilities.Request.Mandatory")
def document_by_resource(service: Service) -> None:
    (address,) = service.values("//w:ServiceMetadataURL/@xlink:href")
    root = valid(service.ask(address), SCHEMA_OF_DOCUMENTS)
    assert sections_of(root) == sections_of(service.document)
    assert root.find("w:ServiceMetadataURL", NAMES).get("{http://www.w3.org/1999/xlink}href") == address
