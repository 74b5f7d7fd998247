import dataclasses
import re

import pytest
from lxml import etree

from mosaics.grids import load_grids
from mosaics.models import Bounds, Text
from server.wmts.capabilities import (
    FULL_TEMPLATES_UP_TO,
    INFO_EXTENSIONS,
    TILE_EXTENSIONS,
    LayerInfo,
    MatrixLimit,
    StyleInfo,
    is_unchanged,
    render_unchanged,
)
from server.wmts.exceptions import OwsError
from server.wmts.kvp import SECTIONS

NAMESPACES = {
    "w": "http://www.opengis.net/wmts/1.0",
    "ows": "http://www.opengis.net/ows/1.1",
    "xlink": "http://www.w3.org/1999/xlink",
}
TAIL = "{Style}/%s/{TileMatrixSet}/{TileMatrix}/{TileRow}/{TileCol}"


def parse(document):
    return etree.fromstring(document)


def find(root, path):
    return root.xpath(path, namespaces=NAMESPACES)


def addresses(root):
    return [str(value) for value in find(root, "//@xlink:href[not(parent::ows:ProviderSite)] | //@template")]


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("credential", [None, "key=flx_live_a%26b"])
def test_document_is_schema_valid(make_document, capabilities_schema, language, credential):
    document = make_document(language=language, credential_query=credential, filter_query="layers=pleiades")
    capabilities_schema.assertValid(parse(document))


@pytest.mark.parametrize("sections", [*({name} for name in SECTIONS), {"Contents", "Themes"}, set(SECTIONS)])
def test_sections_hold_what_was_asked_and_nothing_else(make_document, capabilities_schema, sections):
    root = parse(make_document(sections=frozenset(sections)))
    capabilities_schema.assertValid(root)
    assert {etree.QName(child).localname for child in root} == sections


def test_whole_document_has_the_required_sections_and_its_own_address(make_document):
    root = parse(make_document())
    assert [etree.QName(child).localname for child in root] == [
        "ServiceIdentification",
        "ServiceProvider",
        "OperationsMetadata",
        "Contents",
        "ServiceMetadataURL",
    ]
    assert root.get("version") == "1.0.0"
    assert root.get("updateSequence") == "12"


def test_without_layers_it_is_still_valid(make_document, capabilities_schema):
    root = parse(make_document(layers=()))
    capabilities_schema.assertValid(root)
    assert find(root, "count(//w:TileMatrixSet)") == 0


def test_little_known_service_is_still_valid(make_document, capabilities_schema, service):
    root = parse(
        make_document(
            service=dataclasses.replace(service, keywords=(), provider_site=None, contact_mail=None)
        )
    )
    capabilities_schema.assertValid(root)


def test_key_of_the_path_is_in_every_address(make_document):
    root = parse(make_document(base_url="https://flux.example/k/flx_live_abc"))
    found = addresses(root)
    assert len(found) == 6 + 7 + 2 + 1
    assert all(address.startswith("https://flux.example/k/flx_live_abc/") for address in found)


def test_key_of_the_query_is_in_every_address(make_document):
    root = parse(make_document(credential_query="key=a%26b"))
    found = addresses(root)
    assert len(found) == 6 + 7 + 2 + 1
    assert all(re.search(r"\?key=a%26b(&|$)", address) for address in found)


def test_without_a_key_no_address_has_a_query(make_document):
    found = addresses(parse(make_document()))
    assert {address.partition("?")[2] for address in found} == {""}


@pytest.mark.parametrize("credential", [None, "key=a%26b"])
def test_kvp_comes_first_as_a_prefix_and_rest_second(make_document, credential):
    root = parse(make_document(credential_query=credential))
    operations = find(root, "//ows:Operation")
    assert [operation.get("name") for operation in operations] == [
        "GetCapabilities",
        "GetTile",
        "GetFeatureInfo",
    ]
    for operation in operations:
        encodings = find(
            operation, ".//ows:Constraint[@name='GetEncoding']/ows:AllowedValues/ows:Value/text()"
        )
        assert encodings == ["KVP", "RESTful"]
        kvp, rest = find(operation, ".//ows:Get/@xlink:href")
        assert kvp == f"https://flux.example/app/wmts?{credential + '&' if credential else ''}"
        assert rest.startswith("https://flux.example/app/wmts/1.0.0/")


def test_address_of_the_document_states_language_and_filters(make_document):
    root = parse(make_document(language="en", credential_query="key=K", filter_query="layers=pleiades"))
    (metadata,) = find(root, "/w:Capabilities/w:ServiceMetadataURL/@xlink:href")
    assert metadata == (
        "https://flux.example/app/wmts/1.0.0/WMTSCapabilities.xml?key=K&layers=pleiades&lang=en"
    )
    kvp, rest = find(root, "//ows:Operation[@name='GetCapabilities']//ows:Get/@xlink:href")
    assert kvp == "https://flux.example/app/wmts?key=K&layers=pleiades&lang=en&"
    assert rest == metadata


def test_address_of_the_default_document_is_bare(make_document):
    (metadata,) = find(parse(make_document()), "/w:Capabilities/w:ServiceMetadataURL/@xlink:href")
    assert metadata == "https://flux.example/app/wmts/1.0.0/WMTSCapabilities.xml"


def test_templates_of_a_dated_layer(make_document):
    root = parse(make_document(credential_query="key=K"))
    base = "https://flux.example/app/wmts/1.0.0/pleiades/" + TAIL % "{Time}"
    found = {
        (url.get("resourceType"), url.get("format"), url.get("template"))
        for url in find(root, "//w:Layer[ows:Identifier='pleiades']/w:ResourceURL")
    }
    assert found == {
        ("tile", "image/png", base + ".png?key=K"),
        ("tile", "image/jpeg", base + ".jpg?key=K"),
        ("tile", "image/webp", base + ".webp?key=K"),
        ("tile", "image/avif", base + ".avif?key=K"),
        ("FeatureInfo", "application/json", base + "/{J}/{I}.json?key=K"),
        ("FeatureInfo", "text/html", base + "/{J}/{I}.html?key=K"),
        ("FeatureInfo", "text/plain", base + "/{J}/{I}.txt?key=K"),
    }


def test_layer_of_one_date_has_no_dimension_and_no_variable_for_it(make_document):
    (layer,) = find(parse(make_document()), "//w:Layer[ows:Identifier='spot:SCENE_1.a']")
    assert find(layer, "w:Dimension") == []
    assert find(layer, "w:ResourceURL/@template") == [
        "https://flux.example/app/wmts/1.0.0/spot:SCENE_1.a/" + TAIL % "default" + ".jpg"
    ]


def test_dimension_has_latest_and_every_date(make_document):
    (dimension,) = find(parse(make_document()), "//w:Dimension")
    assert find(dimension, "string(ows:Identifier)") == "Time"
    assert find(dimension, "string(w:Default)") == "latest"
    assert find(dimension, "string(w:Current)") == "true"
    assert find(dimension, "w:Value/text()") == ["latest", "2023-05-01", "2024-06-02", "2025-07-03"]


def test_first_style_is_the_default_and_its_last_title_its_identifier(make_document):
    styles = find(parse(make_document()), "//w:Layer[ows:Identifier='pleiades']/w:Style")
    assert [style.get("isDefault") for style in styles] == ["true", None]
    assert [find(style, "ows:Title/text()") for style in styles] == [
        ["Couleurs naturelles", "natural"],
        ["Indice de végétation", "ndvi"],
    ]
    assert [find(style, "string(ows:Identifier)") for style in styles] == ["natural", "ndvi"]


def test_legend_has_the_key_too(make_document):
    legends = find(parse(make_document(credential_query="key=K")), "//w:LegendURL/@xlink:href")
    assert legends == ["https://flux.example/app/legends/gray.png?key=K"]


def test_texts_are_escaped_and_in_the_language_asked(make_document):
    french, english = parse(make_document()), parse(make_document(language="en"))
    path = "string(//w:Layer[1]/ows:Title)"
    assert find(french, path) == 'Pléiades <50 cm> & "plus" l\'été'
    assert find(english, path) == "Pléiades 50 cm"
    assert find(french, "string(//w:Layer[1]/ows:Abstract)") == (
        "Couverture récurrente. © CNES 2025, distribution Airbus DS"
    )
    assert find(english, "string(//ows:ServiceIdentification/ows:Title)") == "Very high resolution imagery"


def test_text_that_xml_cannot_hold_does_not_break_the_document(make_document, single_layer):
    broken = dataclasses.replace(single_layer, title=Text(fr="a\x00\x0bb\ufffe\ud800", en=""))
    root = parse(make_document(layers=(broken,)))
    assert find(root, "string(//w:Layer/ows:Title)") == "ab"


def test_box_is_longitude_before_latitude(make_document):
    (box,) = find(parse(make_document()), "//w:Layer[1]/ows:WGS84BoundingBox")
    assert find(box, "string(ows:LowerCorner)") == "-4.8 41.3"
    assert find(box, "string(ows:UpperCorner)") == "9.6 51.1"


def test_grids_stand_once_and_only_where_used(make_document, grids, single_layer):
    both = parse(make_document())
    assert find(both, "//w:Contents/w:TileMatrixSet/ows:Identifier/text()") == [
        "WebMercatorQuad",
        "2154_50cm",
    ]
    one = parse(make_document(layers=(single_layer,)))
    assert find(one, "//w:Contents/w:TileMatrixSet/ows:Identifier/text()") == ["WebMercatorQuad"]
    lambert = parse(make_document(grids=grids[1:]))
    assert find(lambert, "//w:Layer/ows:Identifier/text()") == ["pleiades"]
    assert find(lambert, "//w:TileMatrixSetLink/w:TileMatrixSet/text()") == ["2154_50cm"]
    assert find(lambert, "//w:Contents/w:TileMatrixSet/ows:Identifier/text()") == ["2154_50cm"]


def test_matrices_are_written_exactly(make_document, grids):
    root = parse(make_document())
    for grid in grids:
        (element,) = find(root, f"//w:Contents/w:TileMatrixSet[ows:Identifier='{grid.id}']")
        assert find(element, "string(ows:SupportedCRS)") == grid.crs_urn
        written = find(element, "w:TileMatrix")
        assert len(written) == len(grid.matrices)
        for matrix, node in zip(grid.matrices, written, strict=True):
            corner = find(node, "string(w:TopLeftCorner)")
            assert tuple(float(part) for part in corner.split(" ")) == matrix.origin
            assert find(node, "string(ows:Identifier)") == matrix.id
            assert float(find(node, "string(w:ScaleDenominator)")) == matrix.scale_denominator
            assert int(find(node, "string(w:TileWidth)")) == matrix.tile_size
            assert int(find(node, "string(w:TileHeight)")) == matrix.tile_size
            assert int(find(node, "string(w:MatrixWidth)")) == matrix.width
            assert int(find(node, "string(w:MatrixHeight)")) == matrix.height


def test_well_known_scale_set_goes_with_its_crs(make_document):
    # ets-wmts10: KVP.GET.GetCapabilities.Response.TileMatrixSet.WellKnownScaleSet
    (grid,) = find(parse(make_document()), "//w:TileMatrixSet[w:WellKnownScaleSet]")
    assert find(grid, "string(w:WellKnownScaleSet)") == "urn:ogc:def:wkss:OGC:1.0:GoogleMapsCompatible"
    assert find(grid, "string(ows:SupportedCRS)") == "urn:ogc:def:crs:EPSG:6.18:3:3857"


@pytest.mark.parametrize(
    ("crs", "expected"),
    [
        ("EPSG:2154", "1 2"),
        ("OGC:CRS84", "1 2"),
        ("EPSG:4326", "2 1"),
        ("EPSG:3035", "2 1"),
    ],
)
def test_corner_follows_the_axes_of_the_crs(make_document, grids, single_layer, crs, expected):
    matrix = dataclasses.replace(grids[0].matrices[0], origin=(1.0, 2.0))
    grid = dataclasses.replace(grids[0], crs=crs, matrices=(matrix,))
    root = parse(make_document(grids=(grid,), layers=(single_layer,)))
    assert find(root, "string(//w:TopLeftCorner)") == expected


def test_all_our_grids_are_schema_valid(make_document, capabilities_schema, single_layer):
    grids = load_grids().values()
    layer = dataclasses.replace(single_layer, grids=tuple(grid.id for grid in grids))
    root = parse(make_document(grids=grids, layers=(layer,)))
    capabilities_schema.assertValid(root)
    assert len(find(root, "//w:Contents/w:TileMatrixSet")) == len(grids)


def test_advertised_format_and_sections(make_document):
    root = parse(make_document())
    values = "//ows:Operation[@name='GetCapabilities']/ows:Parameter[@name='%s']//ows:Value/text()"
    assert find(root, values % "AcceptFormats") == ["application/xml"]
    assert find(root, values % "AcceptVersions") == ["1.0.0"]
    assert find(root, values % "Sections") == ["All", *SECTIONS]


def test_each_crs_has_a_box_written_as_in_its_grids(make_document, grids):
    root = parse(make_document())
    boxes = find(root, "//w:Layer[1]/ows:BoundingBox")
    assert [box.get("crs") for box in boxes] == find(root, "//w:TileMatrixSet/ows:SupportedCRS/text()")
    for box, grid in zip(boxes, grids, strict=True):
        west, south, east, north = grid.extent(Bounds(-4.8, 41.3, 9.6, 51.1))
        assert [float(v) for corner in box for v in corner.text.split()] == [west, south, east, north]


def test_a_layer_across_the_antimeridian_has_no_box_but_the_one_in_degrees(make_document, single_layer):
    root = parse(
        make_document(layers=[dataclasses.replace(single_layer, bounds=(179.0, -17.0, -179.0, -16.0))])
    )
    assert find(root, "count(//w:Layer/ows:WGS84BoundingBox)") == 1
    assert find(root, "count(//w:Layer/ows:BoundingBox)") == 0


def test_500_layers_are_below_a_megabyte(make_document, dated_layer, capabilities_schema):
    layers = [
        dataclasses.replace(
            dated_layer,
            id=f"pleiades-departement-{number:03d}",
            title=Text(fr=f"Pléiades, département {number:03d}, couverture annuelle", en="Pléiades"),
            abstract=Text(fr="Couverture à 50 cm, orthorectifiée, quatre bandes.", en="Coverage."),
            styles=tuple(style._replace(legend=f"legend/a/{style.id}.png") for style in dated_layer.styles),
        )
        for number in range(500)
    ]
    key = "flx_live_ab12cd34_" + "x" * 46
    document = make_document(layers=layers, base_url=f"https://flux.dinamis.example/k/{key}")
    assert len(document) < 1_000_000
    root = parse(document)
    capabilities_schema.assertValid(root)
    assert find(root, "count(//w:Layer)") == 500
    assert find(root, "//w:Layer[1]/w:ResourceURL/@format") == ["image/png"]
    assert find(root, "//w:Layer[1]/w:InfoFormat/text()") == list(INFO_EXTENSIONS)
    assert find(root, "//w:Layer[1]/w:Format/text()") == list(TILE_EXTENSIONS)
    assert find(root, "count(//w:LegendURL)") == 0


def test_500_layers_with_dates_styles_and_all_grids_are_below_a_megabyte(
    make_document, dated_layer, capabilities_schema
):
    grids = load_grids().values()
    offered = ("2154_50cm", "WebMercatorQuad", "WorldCRS84Quad")
    names = ("Couleurs naturelles", "Infrarouge couleur", "Indice de végétation", "Indice d'eau", "Gris")
    layers = [
        dataclasses.replace(
            dated_layer,
            id=f"pleiades-departement-{number:03d}",
            title=Text(fr=f"Pléiades, département {number:03d}, couverture annuelle", en="Pléiades"),
            styles=tuple(StyleInfo(f"style{place}", Text(fr=n, en=n)) for place, n in enumerate(names)),
            times=tuple(f"20{20 + place}-{number % 12 + 1:02d}-17" for place in range(4)),
            grids=(*offered, *(f"{grid}_512" for grid in offered)),
        )
        for number in range(500)
    ]
    key = "flx_live_ab12cd34_" + "x" * 46
    document = make_document(layers=layers, grids=grids, base_url=f"https://flux.dinamis.example/k/{key}")
    assert len(document) <= 1_000_000
    root = parse(document)
    capabilities_schema.assertValid(root)
    assert find(root, "count(//w:Dimension/w:Value)") == 500 * 5
    sets = find(root, "/w:Capabilities/w:Contents/w:TileMatrixSet/ows:Identifier/text()")
    assert set(sets) == set(offered)
    assert find(root, "//w:Layer[1]/w:TileMatrixSetLink/w:TileMatrixSet/text()") == list(offered)
    assert {
        grid.text for grid in find(root, "/w:Capabilities/w:Contents/w:TileMatrixSet/ows:Identifier")
    } == set(offered)
    assert find(root, "count(//w:ResourceURL)") == 0, "tiles are left to KVP, which is offered first"
    assert len(make_document(layers=layers[:400], grids=grids)) <= 1_000_000
    assert find(parse(make_document(layers=layers[:400], grids=grids)), "count(//w:ResourceURL)") == 400
    large = [grid for grid in grids if grid.id == "2154_50cm_512"]
    asked = parse(make_document(layers=layers, grids=large))
    assert set(find(asked, "//w:TileMatrixSetLink/w:TileMatrixSet/text()")) == {"2154_50cm_512"}


def test_a_layer_of_2000_dates_names_each_once(make_document, dated_layer, capabilities_schema):
    days = tuple(f"{2000 + n // 360}-{n // 30 % 12 + 1:02d}-{n % 30 % 28 + 1:02d}" for n in range(2000))
    days = tuple(dict.fromkeys(days))
    bare = make_document(layers=[dataclasses.replace(dated_layer, times=days[:2])])
    document = make_document(layers=[dataclasses.replace(dated_layer, times=days)])
    capabilities_schema.assertValid(parse(document))
    assert len(document) - len(bare) == (len(days) - 2) * len("<Value>2000-01-01</Value>")


@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_legend_speaks_the_language_of_the_document(make_document, capabilities_schema, language):
    root = parse(make_document(language=language, credential_query="key=K"))
    capabilities_schema.assertValid(root)
    (legend,) = find(root, "//w:Style/w:LegendURL")
    address = legend.get("{http://www.w3.org/1999/xlink}href")
    assert address == f"https://flux.example/app/legends/gray.png?key=K{'&lang=en' * (language == 'en')}"
    assert legend.get("format") == "image/png"


def test_few_layers_keep_all_their_templates(make_document, dated_layer):
    layers = [dataclasses.replace(dated_layer, id=f"c{number}") for number in range(FULL_TEMPLATES_UP_TO)]
    assert find(parse(make_document(layers=layers)), "count(//w:Layer[1]/w:ResourceURL)") == 7


@pytest.mark.parametrize(
    "changes",
    [
        {"styles": ()},
        {"formats": ()},
        {"grids": ()},
        {"formats": ("image/tiff",)},
        {"info_formats": ("text/xml",)},
    ],
)
def test_layer_that_could_not_be_written_is_refused(single_layer, changes):
    with pytest.raises(ValueError, match="spot:SCENE_1"):
        dataclasses.replace(single_layer, **changes)


@pytest.mark.parametrize(
    ("requested", "current", "expected"),
    [
        (None, "12", False),
        ("12", "12", True),
        ("9", "12", False),
        ("012", "12", True),
        ("/2", "12", False),
        ("0" * 10000, "12", False),
        ("2026-01-01", "2026-01-02", False),
        ("2026-01-02", "2026-01-02", True),
    ],
)
def test_update_sequence(requested, current, expected):
    assert is_unchanged(requested, current) is expected


@pytest.mark.parametrize(("requested", "current"), [("13", "12"), ("22", "12"), (":", "9"), ("100", "99")])
def test_update_sequence_beyond_ours(requested, current):
    with pytest.raises(OwsError) as caught:
        is_unchanged(requested, current)
    assert (caught.value.code, caught.value.locator) == ("InvalidUpdateSequence", None)


def test_unchanged_document_is_the_root_alone(capabilities_schema):
    root = parse(render_unchanged("12"))
    capabilities_schema.assertValid(root)
    assert dict(root.attrib) == {"version": "1.0.0", "updateSequence": "12"}
    assert len(root) == 0


def test_layer_without_abstract_has_its_attribution(make_document, single_layer):
    layer = LayerInfo(
        id="a",
        title=Text(fr="A", en=""),
        abstract=Text(fr="", en=""),
        bounds=(0.1234567891, -0.0000000001, 1, 2),
        styles=(StyleInfo("gray", Text(fr="Gris", en="")),),
        formats=("image/png",),
        grids=("WebMercatorQuad",),
        attribution="© CNES",
    )
    root = parse(make_document(layers=(layer, single_layer), language="en"))
    assert find(root, "string(//w:Layer[1]/ows:Title)") == "A"
    assert find(root, "//w:Layer/ows:Abstract/text()") == ["© CNES"]
    assert find(root, "string(//w:Layer[1]//ows:LowerCorner)") == "0.123457 0"


@pytest.mark.parametrize("many", [1, 201], ids=["in full", "short"])
def test_what_layers_have_in_common_is_not_taken_from_another(make_document, dated_layer, many):
    other = {
        "id": "other",
        "styles": (dated_layer.styles[0]._replace(title=Text(fr="Autre & <b>", en="Other")),),
        "formats": ("image/webp",),
        "info_formats": (),
        "times": ("2020-01-01", "2020-01-02"),
        "grids": ("2154_50cm",),
        "limits": {"2154_50cm": (MatrixLimit(matrix="3", min_row=0, max_row=1, min_col=2, max_col=4),)},
    }
    layers = [dated_layer] * many + [dataclasses.replace(dated_layer, **other), dated_layer]
    root = parse(make_document(layers=layers))
    last, first = "//w:Layer[last()]", "//w:Layer[1]"
    for path in ("/w:Style", "/w:Format", "/w:InfoFormat", "/w:Dimension", "/w:TileMatrixSetLink"):
        written = [[etree.tostring(each) for each in find(root, place + path)] for place in (first, last)]
        assert written[0] == written[1] != []
    alone = f"//w:Layer[{many + 1}]"
    assert find(root, f"{alone}/w:Style/ows:Title/text()") == ["Autre & <b>", "natural"]
    assert find(root, f"{alone}/w:Format/text()") == ["image/webp"]
    assert find(root, f"{alone}/w:InfoFormat") == []
    assert find(root, f"{alone}/w:Dimension/w:Value/text()") == ["latest", "2020-01-01", "2020-01-02"]
    assert find(root, f"{alone}/w:TileMatrixSetLink/w:TileMatrixSet/text()") == ["2154_50cm"]
    assert find(root, f"{alone}//w:MaxTileCol/text()") == ["4"]
    assert find(root, "count(//w:TileMatrixSetLimits)") == 1
