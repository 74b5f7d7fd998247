"""DIMAP 2's masks of polygons (GML): where an image is valid, clouded, snowed on or in doubt.

Coordinates are x then y, in pixels column then row. Sources: masks of Pléiades Neo ortho, of a Pléiades strip
and of Sentinel-2's level 1B (senbox-org/s2tbx), which CNES' one schema (hma) has made: the box of an image
begins at 1 1, and a defective column runs over y from 0.5 to its last row + 0.5, so the middle of the first
pixel is 1 1. That of Pléiades Neo's primary products is unverified: taken from a box that begins at 0 0.
sertit/eoreader (dimap_v2_product.py): SEN and PRJ have theirs in pixels, and some lack a CRS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from shapely import MultiPolygon, Polygon, affinity, box, make_valid, transform, union_all
from shapely.geometry.base import BaseGeometry

from mosaics.products.delivery import DeliveryUnreadableError, MaskKind, VectorMask
from mosaics.products.xml import Element, inside, parse_xml, plain

_KINDS: Final[dict[str, MaskKind]] = {
    "ROI": "roi",
    "CLD": "cloud",
    "SNW": "snow",
    "QTE": "quality",
    "SLT": "straylight",
    "DET": "detectors",
    "VIS": "hidden",
}
_NAME: Final = re.compile(
    r"(?P<kind>ROI|CLD|SNW|QTE|SLT|DET|VIS)(?:_(?P<stem>.*?)(?:_MSK)?)?\.GML", re.IGNORECASE
)
_HEAD: Final = 4096
"""Bytes in which a mask says what its coordinates are."""
_IN_PIXELS: Final = re.compile(rb"srsName\s*=\s*[\"'][^\"']*(?:derivedCRSType|:image)", re.IGNORECASE)
_ON_GROUND: Final = re.compile(rb"srsName\s*=\s*[\"'][^\"']*EPSG", re.IGNORECASE)
_FROM_ZERO: Final = re.compile(rb"lowerCorner[^>]*>\s*0(?:\.0*)?\s+0(?:\.0*)?\s*<")
_SPACES: Final = re.compile(r"[\s,]+")


def find_masks(root: Element, path: Path, group: str, *, in_pixels: bool) -> tuple[VectorMask, ...]:
    """Give the masks of a dataset that are there: those it names, and those of its name in its MASKS folder.

    Args:
        root: Of its document, whose masks are in elements Quality_Mask or QUALITY_MASK.
        path: The document, DIM_*.XML.
        group: Name of its band group.
        in_pixels: Masks that do not say so themselves are in pixels, as those of SEN and PRJ products.
    """
    named = [
        inside(path.parent, place.get("href"), path)
        for tag in ("Quality_Mask", "QUALITY_MASK")
        for mask in root.iter(tag)
        for place in mask.iter("COMPONENT_PATH")
    ]
    folder = path.parent / "MASKS"
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = _NAME.fullmatch(each.name)
        if match is not None and f"DIM_{match['stem']}".casefold() == path.stem.casefold():
            named.append(inside(path.parent, f"MASKS/{each.name}", path))
    found: dict[MaskKind, VectorMask] = {}
    for each in named:
        match = _NAME.fullmatch(each.name)
        if match is not None and each.is_file():
            kind = _KINDS[match["kind"].upper()]
            found.setdefault(kind, _mask(each, kind, group, in_pixels=in_pixels))
    return tuple(found.values())


def _mask(path: Path, kind: MaskKind, group: str, *, in_pixels: bool) -> VectorMask:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if _IN_PIXELS.search(head):
        in_pixels = True
    elif _ON_GROUND.search(head):
        in_pixels = False
    first = 0.0 if _FROM_ZERO.search(head) else 1.0
    return VectorMask(kind=kind, path=path, group=group, in_pixels=in_pixels, first_pixel=first)


def read_gml_mask(path: Path) -> BaseGeometry:
    """Read all polygons of a mask as one geometry, in the coordinates and the order of the file.

    Returns:
        Valid polygons without overlap; empty where the mask has none. See `edges_of_pixels` for those in
        pixels, and `ordered` for those in degrees.

    Raises:
        DeliveryUnreadableError: If it is no GML, or a ring of it is none.
    """
    root = plain(parse_xml(path))
    polygons = [_polygon(each, path) for tag in ("Polygon", "PolygonPatch") for each in root.iter(tag)]
    return union_all([make_valid(each) for each in polygons]) if polygons else MultiPolygon()


def edges_of_pixels(shape: BaseGeometry, mask: VectorMask) -> BaseGeometry:
    """Move what is in pixels so that 0, 0 is the upper left corner of the first pixel, as in rasterio."""
    move = 0.5 - mask.first_pixel
    return affinity.translate(shape, move, move)


def ordered(shape: BaseGeometry, bounds: tuple[float, float, float, float]) -> BaseGeometry:
    """Put x before y on the ground: GML of geographic systems may have latitude first, and no source tells.

    Args:
        shape: As read.
        bounds: Of the image in the same CRS: left, bottom, right, top.

    Returns:
        The shape as it is, or its axes exchanged where only so it meets the image.
    """
    image = box(*bounds)
    turned = transform(shape, lambda points: points[:, ::-1])
    return turned if not shape.intersects(image) and turned.intersects(image) else shape


def _polygon(element: Element, path: Path) -> Polygon:
    """Read a polygon of GML 3, or of GML 2."""
    shells = list(_rings(element, ("exterior", "outerBoundaryIs"), path))
    if len(shells) != 1:
        raise DeliveryUnreadableError(f"{path.name}: a polygon of it has {len(shells)} outer rings")
    return Polygon(shells[0], list(_rings(element, ("interior", "innerBoundaryIs"), path)))


def _rings(element: Element, tags: tuple[str, ...], path: Path) -> Iterator[np.ndarray]:
    for tag in tags:
        for boundary in element.findall(tag):
            for ring in boundary.iter("LinearRing"):
                yield _points(ring, path)


def _points(ring: Element, path: Path) -> np.ndarray:
    """Give the points of a ring, shape (points, 2), whichever way it lists them; heights are dropped."""
    lists = [each for tag in ("posList", "coordinates", "pos") for each in ring.iter(tag)]
    words = [word for each in lists for word in _SPACES.split(each.text or "") if word]
    told = next((each.get("srsDimension") for each in lists if each.get("srsDimension")), None)
    if told is None and lists and lists[0].tag != "posList":
        first = (lists[0].text or "").split()
        told = str(len(first) if lists[0].tag == "pos" else len(first[0].split(",")) if first else 2)
    dimension = 3 if told == "3" else 2
    try:
        values = np.array(words, dtype=np.float64)
    except ValueError as error:
        raise DeliveryUnreadableError(f"{path.name}: a ring of it has words for numbers") from error
    if len(values) % dimension or len(values) < 3 * dimension or not np.isfinite(values).all():
        raise DeliveryUnreadableError(
            f"{path.name}: a ring of it is no ring of {dimension} coordinates a point"
        )
    return values.reshape(-1, dimension)[:, :2]
