"""Items in files: lines, a FeatureCollection, GeoParquet."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import shapely
from shapely.geometry import shape

from mosaics.errors import IngestError
from mosaics.ingest.item_files import Entry, comes_in_parts, read_items
from tests.items import item


def read(folder: Path, text: str | bytes, name: str = "items.json") -> list[Entry]:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read_items(path))


def test_lines_are_read_one_by_one(tmp_path: Path) -> None:
    lines = [json.dumps(item("a")), "", '{"type": "Feature"', json.dumps({"type": "Point"}), "[NaN]"]
    lines += ["\x1e" + json.dumps(item("b", license="été"))]
    found = read(tmp_path, "\n".join(lines) + "\n")
    assert [entry.place for entry in found] == ["line 1", "line 3", "line 4", "line 5", "line 6"]
    assert [entry.document for entry in found] == [item("a"), None, None, None, item("b", license="été")]
    assert found[1].reason.startswith("no JSON: EOF")
    assert found[2].reason == "neither an item nor a collection"
    assert found[3].reason.startswith("no JSON")
    assert [entry.done for entry in found] == sorted(entry.done for entry in found)
    assert found[-1].done == 1.0


@pytest.mark.parametrize("indent", [None, 2])
def test_a_feature_collection_is_read(tmp_path: Path, indent: int | None) -> None:
    document = {"type": "FeatureCollection", "features": [item("a"), {"type": "x"}, item("b")]}
    found = read(tmp_path, json.dumps(document, indent=indent))
    assert [entry.document for entry in found] == [item("a"), None, item("b")]
    assert [entry.place for entry in found] == ["feature 1", "feature 2", "feature 3"]


def test_one_item_over_several_lines_is_read(tmp_path: Path) -> None:
    (entry,) = read(tmp_path, "\n" + json.dumps(item("a"), indent=1))
    assert (entry.place, entry.document) == ("the item", item("a"))


@pytest.mark.parametrize(
    "text", ["", " \n", "12", '{"type": "FeatureCollection", "features": 3}', "a,b\n1,2\n"]
)
def test_what_holds_no_items_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(IngestError, match=r"items\.json: (neither|there is nothing)"):
        read(tmp_path, text)


def test_a_type_that_is_no_word_is_no_item(tmp_path: Path) -> None:
    found = read(tmp_path, "\n".join([json.dumps(item("a")), '{"type": ["Feature"]}', '{"type": {}}']))
    assert [entry.reason for entry in found] == ["", *["neither an item nor a collection"] * 2]
    with pytest.raises(IngestError, match="neither STAC items"):
        read(tmp_path, '{"type": []}')


def test_a_line_of_deeply_nested_brackets_harms_nobody(tmp_path: Path) -> None:
    good = json.dumps(item("a"))
    found = read(tmp_path, f"{good}\n{'[' * 100_000}\n{good}")
    assert [entry.document for entry in found] == [item("a"), None, item("a")]


def as_row(document: dict[str, Any]) -> dict[str, Any]:
    """Write an item as stac-geoparquet has it."""
    names = ("xmin", "ymin", "xmax", "ymax")
    properties = dict(document["properties"])
    properties["datetime"] = datetime.fromisoformat(properties["datetime"])
    top = {name: document[name] for name in ("type", "stac_version", "id", "links", "assets", "collection")}
    return {
        **top,
        "geometry": shapely.to_wkb(shape(document["geometry"])),
        "bbox": dict(zip(names, map(float, document["bbox"]), strict=True)),
        **properties,
    }


def test_geoparquet_is_read_row_by_row(tmp_path: Path) -> None:
    one, two = item("a"), item("b", license="l")
    one["assets"]["data"]["bands"][0]["statistics"] = {"minimum": 1, "maximum": 7}
    parts = [pa.Table.from_pylist([as_row(each)]) for each in (one, two)]
    table = pa.concat_tables(parts, promote_options="permissive")
    pyarrow.parquet.write_table(table, tmp_path / "items.any")
    first, second = read_items(tmp_path / "items.any")
    assert (first.place, second.place, second.done) == ("row 1", "row 2", 1.0)
    found = first.document
    assert found is not None
    assert found["properties"]["datetime"] == "2024-05-17T10:30:00Z"
    assert "license" not in found["properties"]
    assert found["assets"] == one["assets"]
    assert shape(found["geometry"]).equals(shape(one["geometry"]))
    assert found["bbox"] == one["bbox"]
    assert second.document is not None
    assert second.document["properties"] == {**two["properties"], "datetime": "2024-05-17T10:30:00Z"}
    assert second.document["assets"] == two["assets"]


def test_one_may_begin_in_the_middle(tmp_path: Path) -> None:
    items = [item(f"s{number}") for number in range(1100)]
    lines, document, table = tmp_path / "lines", tmp_path / "document", tmp_path / "table"
    lines.write_text("\n\n".join(json.dumps(each) for each in items))
    document.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    pyarrow.parquet.write_table(pa.Table.from_pylist([as_row(each) for each in items]), table)
    assert [comes_in_parts(path) for path in (lines, document, table)] == [True, False, True]
    for path in (lines, document, table):
        everything = list(read_items(path))
        assert len(everything) == 1100
        for passed in (1, 1001, 1100, 1200):
            assert list(read_items(path, passed)) == everything[passed:]


def test_a_damaged_geoparquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="no GeoParquet that can be read"):
        read(tmp_path, b"PAR1" + b"x" * 100, "items.parquet")


def test_an_instant_with_a_zone_is_utc(tmp_path: Path) -> None:
    row = as_row(item("a"))
    row["datetime"] = datetime(2024, 1, 2, 3, tzinfo=UTC)
    pyarrow.parquet.write_table(pa.Table.from_pylist([row]), tmp_path / "i.parquet")
    (entry,) = read_items(tmp_path / "i.parquet")
    assert entry.document is not None
    assert entry.document["properties"]["datetime"] == "2024-01-02T03:00:00Z"
