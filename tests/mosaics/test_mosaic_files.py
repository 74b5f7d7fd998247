"""Files that define a mosaic, each of the four kinds."""

from __future__ import annotations

import json
from typing import Any

import pystac
import pytest

from mosaics.errors import FilterInvalidError, MosaicInvalidError
from mosaics.models import Text
from mosaics.mosaic import Order, mosaic_document, mosaic_from
from mosaics.mosaic_files import read_definition

MOSAICJSON = {"mosaicjson": "0.0.3", "tiles": {"0": ["a.tif"], "1": ["a.tif", "b.tif"]}}


def read(document: Any) -> Any:
    text = document if isinstance(document, str) else json.dumps(document)
    return read_definition(text, "m", {"coast"})


def collection(**more: Any) -> dict[str, Any]:
    made = pystac.Collection(
        id="coast",
        title="The coast",
        description="Along\n  the sea",
        extent=pystac.Extent(
            pystac.SpatialExtent([[1.0, 43.0, 2.0, 44.0]]),
            pystac.TemporalExtent.from_dict({"interval": [["2024-01-01T00:00:00Z", None]]}),
        ),
        license="other",
    )
    return {**made.to_dict(), **more}


def test_a_filter_in_text() -> None:
    found = read("gsd < 1 AND platform = 'WV3'\n")
    assert found.kind == "CQL2"
    assert found.mosaic.where["args"][0] == {"op": "<", "args": [{"property": "gsd"}, 1]}
    assert found.mosaic.title == Text(fr="m", en="m")


@pytest.mark.parametrize("document", [{"op": "<", "args": [{"property": "gsd"}, 1]}, True, "true"])
def test_a_filter_in_json(document: Any) -> None:
    found = read(document)
    assert found.kind == "CQL2"
    assert found.mosaic.where == (document if isinstance(document, dict) else None)


def test_a_document_of_ours_under_another_id() -> None:
    written = mosaic_from({"id": "x", "order": {"rule": "oldest"}, "styles": ["natural"]})
    found = read(mosaic_document(written))
    assert found.kind == "mosaic"
    assert found.mosaic.id == "m"
    assert found.mosaic.order == Order(rule="oldest")


def test_a_stac_collection() -> None:
    summaries = {
        "platform": ["PHR1A", "PHR1B"],
        "gsd": [0.5],
        "eo:cloud_cover": {"minimum": 0, "maximum": 20},
        "proj:code": ["EPSG:2154"],
        "flux:kind": {"type": "string"},
    }
    found = read(collection(summaries=summaries))
    assert found.kind == "STAC Collection"
    assert found.mosaic.title == Text(fr="The coast", en="The coast")
    assert found.mosaic.description == Text(fr="Along the sea", en="Along the sea")
    interval = {"interval": ["2024-01-01T00:00:00Z", ".."]}
    assert found.mosaic.where == {
        "op": "and",
        "args": [
            {"op": "=", "args": [{"property": "collection"}, "coast"]},
            {"op": "s_intersects", "args": [{"property": "geometry"}, {"bbox": [1.0, 43.0, 2.0, 44.0]}]},
            {"op": "t_intersects", "args": [{"property": "datetime"}, interval]},
            {"op": "in", "args": [{"property": "platform"}, ["PHR1A", "PHR1B"]]},
            {"op": "=", "args": [{"property": "gsd"}, 0.5]},
            {"op": "between", "args": [{"property": "eo:cloud_cover"}, 0, 20]},
        ],
    }
    assert found.left_out == ("summaries: proj:code", "summaries: flux:kind")


def test_a_collection_that_is_not_banked_and_everywhere_and_always() -> None:
    extent = {
        "spatial": {"bbox": [[-180, -90, 180, 90]]},
        "temporal": {"interval": [[None, None]]},
    }
    found = read(collection(id="elsewhere", extent=extent))
    assert found.mosaic.where is None
    assert "no collection 'elsewhere' is banked" in found.left_out[0]


def test_of_several_extents_the_first_is_around_the_others() -> None:
    extent = {
        "spatial": {"bbox": [[1, 1, 9, 9], [1, 1, 2, 2], [8, 8, 0, 9, 9, 0]]},
        "temporal": {
            "interval": [["2020-01-01T00:00:00Z", None], [None, "2021-01-01T00:00:00Z"], [None, None]]
        },
    }
    where = read(collection(extent=extent)).mosaic.where
    assert [part["op"] for part in where["args"]] == ["=", "or"]
    boxes = [part["args"][1]["bbox"] for part in where["args"][1]["args"]]
    assert boxes == [[1, 1, 2, 2], [8, 8, 9, 9]]


def test_a_mosaicjson_names_assets() -> None:
    found = read({**MOSAICJSON, "name": "x", "asset_prefix": "s3://bucket/", "attribution": "©"})
    assert found.kind == "MosaicJSON"
    assert found.assets == ("s3://bucket/a.tif", "s3://bucket/b.tif")
    assert (found.mosaic.title.fr, found.mosaic.attribution) == ("x", "©")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("[1, 2]", "no STAC Collection, no MosaicJSON"),
        ("3", "no STAC Collection, no MosaicJSON"),
        ("{", "begins as JSON"),
        ("[" * 100_000, "too deep"),
        ({"mosaicjson": "1.0.0", "tiles": {}}, "'1.0.0': the version of MosaicJSON is none of"),
        ({"mosaicjson": "0.0.3", "tiles": {}}, "names no asset"),
        ({"mosaicjson": "0.0.3", "tiles": ["a.tif"]}, "lists of assets"),
        ({"mosaicjson": "0.0.3", "tiles": {"0": "a.tif"}}, "lists of assets"),
        ({"mosaicjson": "0.0.3", "tiles": {"0": [{"a": 1}]}}, "assets of a MosaicJSON are texts"),
        ({"titel": "x"}, "'titel': unknown field"),
        ({"type": "Collection", "id": "c", "extent": {"spatial": {"bbox": [1, 2]}}}, "bbox"),
        ({"type": "Collection", "id": "c", "extent": {"temporal": {"interval": [[1]]}}}, "pairs of times"),
        ({"type": "Collection", "id": "c", "extent": [1]}, "is a list"),
        ({"type": "Collection", "id": "c", "summaries": []}, "summaries is an object"),
        ({"op": "<", "args": [{"property": "clouds"}, 1]}, "'clouds': unknown property"),
        ("clouds < 1", "'clouds': unknown property"),
        ("hello world", "no CQL2"),
    ],
)
def test_a_file_with_a_fault_is_refused_by_its_reason(document: Any, said: str) -> None:
    with pytest.raises((MosaicInvalidError, FilterInvalidError)) as error:
        read(document)
    assert said in str(error.value)
