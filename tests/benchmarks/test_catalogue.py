"""The world of the benchmark of catalogues: the same each time, larger ones around smaller ones."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from shapely.geometry import shape

from benchmarks.catalogue_report import plotted, tables
from benchmarks.catalogue_world import COLLECTION, DATES, ONE, cells, items
from benchmarks.plot import svg
from mosaics.ingest.foreign import is_whole
from mosaics.item import scene_from_item


def test_a_larger_catalogue_holds_the_places_of_a_smaller_one() -> None:
    few, many = cells(25), cells(250)
    assert many[:25] == few
    assert {(cell.column, cell.row) for cell in few[:4]} == {(0, 0), (1, 0), (0, 1), (1, 1)}
    assert len({(cell.column, cell.row) for cell in many}) == 250
    assert len({cell.source for cell in few[:4]}) == 4


def test_its_items_are_scenes_that_lie_where_their_files_do(tmp_path: Path) -> None:
    found = list(items(40, tmp_path))
    assert found == list(items(40, tmp_path))
    assert [item["collection"] for item in found] == [ONE, *[COLLECTION] * 40]
    assert len({item["id"] for item in found}) == 41
    assert len({item["properties"]["flux:digest"] for item in found}) == 41
    outlines = [shape(item["geometry"]) for item in found]
    for item in found:
        assert is_whole(item)
        scene_from_item(item, root=tmp_path, sequence=0)
    newest = outlines[1 + 10 * (DATES - 1) : 5 + 10 * (DATES - 1)]
    assert all(outlines[0].buffer(1e-4).covers(outline) for outline in newest)
    middle = newest[0]
    for other in newest[1:]:
        middle = middle.intersection(other)
    assert middle.area > 0
    json.dumps(found)


def test_what_was_found_is_written_and_drawn() -> None:
    size = {
        "import": {
            "items/s": 6000.0,
            "items/s of processor time": 7000.0,
            "items/s, the same again": 9000.0,
            "longest read beside it, ms": 3.0,
            "longest write beside it, ms": 30.0,
        },
        "finding, ms": {
            who: {"p50": 0.5, "p99": 1.5, "scenes of a tile at most": 32}
            for who in ("grants", "everything", "grants, scenes made")
        },
        "start": {"start until ready, s": 2.0, "more than with the smallest catalogue, MB": 100.0},
        "tile against one scene": {"one, ratio": 1.1, "four, ratio": 1.5},
        "tile against the smallest catalogue": 1.05,
    }
    capabilities = {"bytes": 900_000, "layers": 500, "anew, ms": 90.0, "from the cache, ms": 2.0}
    result = {
        "sizes": {100: size, 1000: size},
        "capabilities": capabilities,
        "load before": 1,
        "load after": 2,
    }
    text = tables(result)
    assert "| | 100 scenes | 1,000 scenes | bar |" in text
    assert "| import, items/s | 6000 | 6000 | >= 5000 |" in text
    assert "| made anew, ms | 90 | <= 100 |" in text
    drawn = ET.fromstring(plotted(result))
    assert len(drawn.findall("{*}polyline")) == 3


def test_a_point_of_a_plot_lies_where_its_logarithm_says() -> None:
    drawn = ET.fromstring(svg("t", "x", {"a": [(1, 0.0), (10, 1.0), (100, 2.0)]}, 2.0))
    (line,) = drawn.findall("{*}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert points[1][0] == pytest.approx((points[0][0] + points[2][0]) / 2, abs=0.1)
    assert points[1][1] == pytest.approx((points[0][1] + points[2][1]) / 2, abs=0.1)
    assert points[0][1] > points[2][1]
