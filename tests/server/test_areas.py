"""Areas of rights from files and boxes: what they say is kept, and what they can't mean is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from auth.errors import InvalidRightError
from auth.reach import Area
from server import areas
from server.areas import area_of_box, area_of_file

SQUARE = shapely.box(1, 43, 2, 44)
HOLED = SQUARE - shapely.box(1.2, 43.2, 1.4, 43.4)
APART = shapely.box(5, 43, 6, 44)


def polygon(area: Area) -> BaseGeometry:
    return shapely.from_wkb(area.wkb)


def written(folder: Path, document: Any) -> Path:
    path = folder / "area.geojson"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def feature(geometry: BaseGeometry | None) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"name": "é"}, "geometry": geometry and mapping(geometry)}


def collection(*geometries: BaseGeometry | None) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": [feature(each) for each in geometries]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (mapping(SQUARE), SQUARE),
        (mapping(HOLED), HOLED),
        (mapping(HOLED | APART), HOLED | APART),
        (feature(HOLED), HOLED),
        (collection(SQUARE), SQUARE),
        (collection(HOLED, APART), HOLED | APART),
        (collection(HOLED, shapely.box(1.2, 43.2, 1.4, 43.4)), SQUARE),
        ({**mapping(SQUARE), "crs": {"properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}}, SQUARE),
        ({**mapping(SQUARE), "crs": None}, SQUARE),
        ({**collection(SQUARE), "crs": {"properties": {"name": "EPSG:4326"}}}, SQUARE),
        ({"type": "Polygon", "coordinates": [[[1, 43, 7], [2, 43, 7], [2, 44, 7], [1, 43, 7]]]},
         shapely.Polygon([(1, 43), (2, 43), (2, 44)])),
    ],
)  # fmt: skip
def test_what_a_file_outlines_is_the_area(tmp_path: Path, document: Any, expected: BaseGeometry) -> None:
    found = polygon(area_of_file(written(tmp_path, document)))
    assert found.equals(expected)
    assert not found.has_z


def test_a_file_of_another_program_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "bom.geojson"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(mapping(SQUARE)).encode())
    assert polygon(area_of_file(path)).equals(SQUARE)


def test_vertices_that_say_nothing_are_left_out_and_others_are_not(tmp_path: Path) -> None:
    many = shapely.segmentize(SQUARE, 0.001)
    assert shapely.get_num_coordinates(many) > 4000
    found = polygon(area_of_file(written(tmp_path, mapping(many))))
    assert shapely.get_num_coordinates(found) == 5
    assert found.equals(SQUARE)
    round_ = shapely.Point(1.5, 43.5).buffer(0.4, quad_segs=64)
    kept = polygon(area_of_file(written(tmp_path, mapping(round_))))
    assert shapely.hausdorff_distance(kept, round_) <= 1e-7


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("no json", "is no GeoJSON"),
        ("[1]", "is no GeoJSON"),
        ("[" * 100_000, "is no GeoJSON"),
        ({"type": "Point", "coordinates": [1, 43]}, "Polygon or MultiPolygon"),
        ({"type": "LineString", "coordinates": [[1, 43], [2, 44]]}, "Polygon or MultiPolygon"),
        ({"type": "Polygon", "coordinates": []}, "not empty"),
        ({"type": "Polygon", "coordinates": "here"}, "a geometry that is none"),
        ({"type": "Polygon"}, "a geometry that is none"),
        ({"type": "Topology", "objects": {}}, "a geometry that is none"),
        (feature(None), "a geometry that is none"),
        (collection(), "holds no geometry"),
        (collection(SQUARE, None), "a geometry that is none"),
        (
            {"type": "Polygon", "coordinates": [[[1, 43], [2, 44], [2, 43], [1, 44], [1, 43]]]},
            "not a valid polygon: Self-intersection",
        ),
        (mapping(shapely.box(652_000, 6_860_000, 653_000, 6_861_000)), "longitude and latitude (WGS 84)"),
        (mapping(shapely.box(179, 43, 181, 44)), "within -180..180"),
        ({**mapping(SQUARE), "crs": {"properties": {"name": "urn:ogc:def:crs:EPSG::2154"}}}, "EPSG::2154"),
        ({**mapping(SQUARE), "crs": {"properties": {"name": "EPSG:14326"}}}, "EPSG:14326"),
        ({**mapping(SQUARE), "crs": {"type": "link"}}, "an unknown CRS"),
        ({**mapping(SQUARE), "crs": 2154}, "an unknown CRS"),
        ('{"type": "Polygon", "coordinates": [[[NaN, 43], [2, 43], [2, 44], [NaN, 43]]]}', "area.geojson"),
        (
            '{"type": "Polygon", "coordinates": [[[1e999, 43], [2, 43], [2, 44], [1e999, 43]]]}',
            "area.geojson",
        ),
    ],
)
def test_what_can_not_be_an_area_is_refused_by_name(tmp_path: Path, document: Any, said: str) -> None:
    with pytest.raises(InvalidRightError) as refused:
        area_of_file(written(tmp_path, document))
    assert said in str(refused.value)
    assert "area.geojson" in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_too_large_a_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(areas, "LARGEST_FILE", 10)
    with pytest.raises(InvalidRightError, match="simplify"):
        area_of_file(written(tmp_path, mapping(SQUARE)))


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        area_of_file(tmp_path / "nothing.geojson")


def test_a_box_is_its_rectangle() -> None:
    assert polygon(area_of_box(1, 43, 2, 44)).equals(SQUARE)


def test_a_box_across_the_antimeridian_has_two_parts() -> None:
    found = polygon(area_of_box(177, -20, -178, -15))
    assert found.equals(shapely.box(177, -20, 180, -15) | shapely.box(-180, -20, -178, -15))


@pytest.mark.parametrize(
    "box",
    [(1, 44, 2, 43), (1, 43, 1, 44), (1, 43, 2, 43), (1, 43, 2, 91), (-181, 43, 2, 44), (1, 43, 200, 44)],
)
def test_a_box_that_is_none_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InvalidRightError):
        area_of_box(*box)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", range(4))
def test_a_box_of_no_numbers_is_refused(value: float, place: int) -> None:
    sides = [1.0, 43.0, 2.0, 44.0]
    sides[place] = value
    with pytest.raises(InvalidRightError):
        area_of_box(*sides)
