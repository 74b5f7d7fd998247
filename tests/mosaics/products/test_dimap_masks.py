"""Masks of polygons as CNES' schema has them: in pixels, on the ground, with holes, empty, and broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from shapely import MultiPolygon, Polygon, box

from mosaics.products.delivery import DeliveryUnreadableError, VectorMask, check_complete
from mosaics.products.dimap import read_dimap
from mosaics.products.dimap_masks import edges_of_pixels, ordered, read_gml_mask
from tests.conftest import IMAGERY

PHR = IMAGERY / "skeletons" / "pleiades_dimap2" / "bundle"
PIXELS = "urn:ogc:def:derivedCRSType:OGC:1.0:image"
GROUND = "urn:ogc:def:crs:EPSG::32617"
RING = "<gml:LinearRing><gml:posList>{}</gml:posList></gml:LinearRing>"
WHOLE = "0.5 0.5 20.5 0.5 20.5 30.5 0.5 30.5 0.5 0.5"
HOLE = "5.5 5.5 5.5 10.5 10.5 10.5 10.5 5.5 5.5 5.5"


def polygon(shell: str, *holes: str) -> str:
    inner = "".join(f"<gml:interior>{RING.format(hole)}</gml:interior>" for hole in holes)
    outer = f"<gml:exterior>{RING.format(shell)}</gml:exterior>"
    return f"<gml:Polygon>{outer}{inner}</gml:Polygon>"


def mask(path: Path, *polygons: str, srs: str | None = PIXELS, corner: str = "1 1") -> Path:
    members = "".join(
        "<hma:maskMembers><hma:MaskFeature><hma:maskType>CLOUD</hma:maskType><gml:extentOf>"
        f"{each}</gml:extentOf></hma:MaskFeature></hma:maskMembers>"
        for each in polygons
    )
    named = "" if srs is None else f' srsName="{srs}"'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8" standalone="no" ?>\n'
        '<hma:Mask gml:id="a" xmlns:gml="http://www.opengis.net/gml" '
        'xmlns:hma="http://earth.esa.int/hma"><gml:name>mask</gml:name><gml:boundedBy>'
        f"<gml:Envelope{named}><gml:lowerCorner>{corner}</gml:lowerCorner>"
        "<gml:upperCorner>20 30</gml:upperCorner></gml:Envelope></gml:boundedBy>"
        f"{members}</hma:Mask>"
    )
    return path


def test_holes_and_several_polygons(tmp_path: Path) -> None:
    other = "40 40 50 40 50 50 40 50 40 40"
    found = read_gml_mask(mask(tmp_path / "a.gml", polygon(WHOLE, HOLE), polygon(other)))
    expected = MultiPolygon(
        [
            Polygon(box(0.5, 0.5, 20.5, 30.5).exterior, [box(5.5, 5.5, 10.5, 10.5).exterior]),
            box(40, 40, 50, 50),
        ]
    )
    assert found.equals(expected)
    assert found.area == 20 * 30 - 25 + 100


def test_polygons_that_overlap_or_cross_themselves_are_made_valid(tmp_path: Path) -> None:
    bow = "0 0 10 10 10 0 0 10 0 0"
    found = read_gml_mask(mask(tmp_path / "a.gml", polygon(bow), polygon("0 0 10 0 10 10 0 10 0 0")))
    assert found.is_valid
    assert found.area == 100


def test_a_mask_without_polygons_is_empty(tmp_path: Path) -> None:
    assert read_gml_mask(mask(tmp_path / "a.gml")).is_empty


@pytest.mark.parametrize(
    "ring",
    [
        '<gml:posList srsDimension="3">0 0 9 4 0 9 4 2 9 0 2 9 0 0 9</gml:posList>',
        "<gml:coordinates>0,0 4,0 4,2 0,2 0,0</gml:coordinates>",
        "<gml:coordinates>0,0,9 4,0,9 4,2,9 0,2,9 0,0,9</gml:coordinates>",
        "".join(f"<gml:pos>{point}</gml:pos>" for point in ("0 0", "4 0", "4 2", "0 2", "0 0")),
        "<gml:posList>\n 0 0\n 4 0 4 2\t0 2 0 0 </gml:posList>",
    ],
)
@pytest.mark.parametrize("tag", ["exterior", "outerBoundaryIs"])
def test_points_are_listed_in_several_ways(tmp_path: Path, ring: str, tag: str) -> None:
    text = f"<gml:Polygon><gml:{tag}><gml:LinearRing>{ring}</gml:LinearRing></gml:{tag}></gml:Polygon>"
    assert read_gml_mask(mask(tmp_path / "a.gml", text)).equals(box(0, 0, 4, 2)), "x, then y"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (polygon("0 0 1 0 1"), "no ring"),
        (polygon("0 0 1 0"), "no ring"),
        (polygon("0 0 1 0 1 a"), "words for numbers"),
        (polygon("0 0 1 0 1 nan"), "no ring"),
        ("<gml:Polygon/>", "0 outer rings"),
    ],
)
def test_what_is_no_ring_is_told(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DeliveryUnreadableError, match=words):
        read_gml_mask(mask(tmp_path / "a.gml", text))


def test_pixels_are_counted_from_their_edges() -> None:
    """The whole image of 20 columns and 30 rows, which CNES writes from 0.5 to 20.5."""
    shape = box(0.5, 0.5, 20.5, 30.5)
    told = VectorMask(kind="roi", path=Path("a"), group="ms", in_pixels=True)
    assert edges_of_pixels(shape, told).bounds == (0, 0, 20, 30)
    other = VectorMask(kind="roi", path=Path("a"), group="ms", in_pixels=True, first_pixel=0)
    assert edges_of_pixels(box(-0.5, -0.5, 19.5, 29.5), other).bounds == (0, 0, 20, 30)


def test_axes_are_exchanged_only_where_it_helps() -> None:
    image = (1.0, 43.0, 2.0, 44.0)
    assert ordered(box(1.2, 43.2, 1.4, 43.4), image).bounds == (1.2, 43.2, 1.4, 43.4)
    assert ordered(box(43.2, 1.2, 43.4, 1.4), image).bounds == (1.2, 43.2, 1.4, 43.4)
    assert ordered(box(80, 80, 81, 81), image).bounds == (80, 80, 81, 81)


@pytest.mark.imagery
def test_a_delivery_gives_the_masks_that_are_there_by_group(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PHR, tmp_path / "delivery"))
    assert read_dimap(folder / "VOL_PHR.XML").vector_masks == (), "it names one that is not there"
    mask(folder / "CLD_foo_MSK.GML", polygon(WHOLE))
    mask(folder / "MASKS" / "ROI_foo2_MSK.GML", polygon(WHOLE), corner="0 0")
    mask(folder / "MASKS" / "SNW_foo2_MSK.GML", srs=None)
    mask(folder / "MASKS" / "DET_foo2_MSK.GML", srs=GROUND)
    mask(folder / "MASKS" / "ROI_other_MSK.GML", polygon(WHOLE))
    (folder / "MASKS" / "README_foo2.txt").touch()
    delivery = read_dimap(folder / "VOL_PHR.XML")
    found = {(each.group, each.kind): each for each in delivery.vector_masks}
    assert {key: each.path.name for key, each in found.items()} == {
        ("pms", "cloud"): "CLD_foo_MSK.GML",
        ("pan", "cloud"): "CLD_foo_MSK.GML",
        ("pan", "roi"): "ROI_foo2_MSK.GML",
        ("pan", "snow"): "SNW_foo2_MSK.GML",
        ("pan", "detectors"): "DET_foo2_MSK.GML",
    }
    assert found["pan", "snow"].in_pixels, "as its level has it"
    assert not found["pan", "detectors"].in_pixels, "as it says itself"
    assert (found["pan", "roi"].first_pixel, found["pan", "cloud"].first_pixel) == (0, 1)
    assert read_gml_mask(found["pan", "roi"].path).bounds == (0.5, 0.5, 20.5, 30.5)
    assert found["pan", "roi"].path in delivery.files
    check_complete(delivery)
