"""Writes mosaics/data/grids by rule: one origin, exact factor 2, scale = cell x metres per unit / 0.00028.

`scripts/make_grids.py` writes the files; `scripts/make_grids.py --check` only tells which differ (status 1).
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "mosaics" / "data" / "grids"
STANDARD_PIXEL = 0.00028
"""Metres; OGC 07-057r7, 6.1."""
EARTH_RADIUS = 6378137.0
"""Semi-major axis of WGS 84, metres; EPSG:7030."""
METRES_PER_DEGREE = 2 * math.pi * EARTH_RADIUS / 360
HALF_EQUATOR = math.pi * EARTH_RADIUS
MERCATOR_LATITUDE = math.degrees(math.atan(math.sinh(math.pi)))
"""Where Web Mercator is a square."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a grid's file is made from."""

    id: str
    titles: tuple[str, str]
    """French, English."""
    crs: str
    axes: tuple[str, str]
    metres_per_unit: float
    origin: tuple[float, float]
    first_cell: float
    """Size of a pixel at level 0, in units of the CRS."""
    last_level: int
    extent: tuple[float, float]
    """Width and height that the tiles must cover from the origin, in units of the CRS."""
    area: tuple[float, float, float, float]
    """West, south, east, north."""
    source: tuple[str, ...]
    tile_size: int = 256
    uri: str | None = None
    well_known_scale_set: str | None = None
    aliases: tuple[str, ...] = ()
    description: str = ""
    large: bool = False
    """Whether it gets a sibling with 512 px tiles."""


OGC = "OGC 17-083r4 (Two Dimensional Tile Matrix Set 2.0) and its registry, opengeospatial/2D-Tile-Matrix-Set"
IGN = "rok4/tilematrixsets 035b70a, 2154_50cm.json: origin (0, 12000000), 131072 m at level 0, 0.5 m at 18"
AREA = (
    "area: EPSG area of use of the CRS, one degree wider on each side so that scenes over its edge stay whole"
)
ONE_GRID = (
    "RGF93 v1 (EPSG:2154), v2 (9793) and v2b (9794) are one grid here: they differ by centimetres, less than "
    "a pixel, and data tagged 2154 are often v2b."
)
BY_RULE = (
    "By the rule of IGN's 50 cm grids; rows go down to y = 0, farther than IGN's where IGN has the grid."
)


def french(
    code: int,
    titles: tuple[str, str],
    area_of_use: tuple[float, float, float, float],
    *,
    note: str = "",
    large: bool = False,
) -> Rule:
    """Make the rule of a French territory's 50 cm grid from EPSG's code and area of use."""
    west, south, east, north = area_of_use
    return Rule(
        id=f"{code}_50cm",
        titles=titles,
        crs=f"http://www.opengis.net/def/crs/EPSG/0/{code}",
        axes=("E", "N"),
        metres_per_unit=1.0,
        origin=(0.0, 12_000_000.0),
        first_cell=131072.0,
        last_level=18,
        extent=(1_290_240.0, 12_000_000.0),
        area=(round(west - 1, 2), round(south - 1, 2), round(east + 1, 2), round(north + 1, 2)),
        source=(IGN, AREA),
        description=f"{BY_RULE} {note}".strip(),
        large=large,
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="WebMercatorQuad",
        titles=("Web Mercator (Google Maps)", "Web Mercator (Google Maps)"),
        crs="http://www.opengis.net/def/crs/EPSG/0/3857",
        axes=("X", "Y"),
        metres_per_unit=1.0,
        origin=(-HALF_EQUATOR, HALF_EQUATOR),
        first_cell=2 * HALF_EQUATOR / 256,
        last_level=24,
        extent=(2 * HALF_EQUATOR, 2 * HALF_EQUATOR),
        area=(-180.0, -MERCATOR_LATITUDE, 180.0, MERCATOR_LATITUDE),
        source=(OGC,),
        uri="http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad",
        well_known_scale_set="http://www.opengis.net/def/wkss/OGC/1.0/GoogleMapsCompatible",
        aliases=("PM", "GoogleMapsCompatible", "EPSG:3857", "WholeWorld_WebMercator"),
        large=True,
    ),
    Rule(
        id="WorldCRS84Quad",
        titles=("Monde en longitude, latitude (WGS 84)", "World in longitude, latitude (WGS 84)"),
        crs="http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        axes=("Lon", "Lat"),
        metres_per_unit=METRES_PER_DEGREE,
        origin=(-180.0, 90.0),
        first_cell=180 / 256,
        last_level=23,
        extent=(360.0, 180.0),
        area=(-180.0, -90.0, 180.0, 90.0),
        source=(OGC,),
        uri="http://www.opengis.net/def/tilematrixset/OGC/1.0/WorldCRS84Quad",
        well_known_scale_set="http://www.opengis.net/def/wkss/OGC/1.0/GoogleCRS84Quad",
        large=True,
    ),
    french(
        2154,
        ("France métropolitaine, Lambert-93, 50 cm", "Mainland France and Corsica, Lambert-93, 50 cm"),
        (-9.86, 41.15, 10.38, 51.56),
        note=ONE_GRID,
        large=True,
    ),
    french(
        2972,
        ("Guyane, UTM 22 Nord, 50 cm", "French Guiana, UTM 22 North, 50 cm"),
        (-54.0, 2.17, -49.45, 8.88),
    ),
    french(
        2975, ("La Réunion, UTM 40 Sud, 50 cm", "Réunion, UTM 40 South, 50 cm"), (54.0, -24.72, 58.24, -18.28)
    ),
    french(
        4471, ("Mayotte, UTM 38 Sud, 50 cm", "Mayotte, UTM 38 South, 50 cm"), (43.68, -14.49, 46.7, -11.33)
    ),
    french(
        5490,
        ("Antilles françaises, UTM 20 Nord, 50 cm", "French Antilles, UTM 20 North, 50 cm"),
        (-63.66, 14.08, -60.0, 18.31),
    ),
    french(
        4467,
        ("Saint-Pierre-et-Miquelon, UTM 21 Nord, 50 cm", "Saint Pierre and Miquelon, UTM 21 North, 50 cm"),
        (-57.1, 43.41, -55.9, 47.37),
    ),
)


def siblings(rule: Rule) -> tuple[Rule, ...]:
    """Give a rule and, where it wants one, its 512 px sibling: the same rectangles, half the cell size."""
    if not rule.large:
        return (rule,)
    return rule, replace(
        rule,
        id=f"{rule.id}_512",
        titles=(f"{rule.titles[0]}, tuiles de 512 px", f"{rule.titles[1]}, 512 px tiles"),
        first_cell=rule.first_cell / 2,
        tile_size=512,
        uri=None,
        well_known_scale_set=None,
        aliases=(),
        description=f"The tiles of {rule.id}, twice the pixels along each side. {rule.description}".strip(),
    )


def document(rule: Rule) -> dict[str, object]:
    """Write a rule as an OGC TMS 2.0 document."""
    fields: dict[str, object] = {"id": rule.id, "title": rule.titles[1]}
    if rule.description:
        fields["description"] = rule.description
    if rule.uri:
        fields["uri"] = rule.uri
    fields |= {"crs": rule.crs, "orderedAxes": list(rule.axes)}
    if rule.well_known_scale_set:
        fields["wellKnownScaleSet"] = rule.well_known_scale_set
    fields["titles"] = {"fr": rule.titles[0], "en": rule.titles[1]}
    if rule.aliases:
        fields["aliases"] = list(rule.aliases)
    fields |= {"area": list(rule.area), "source": list(rule.source)}
    fields["tileMatrices"] = [matrix(rule, level) for level in range(rule.last_level + 1)]
    return fields


def matrix(rule: Rule, level: int) -> dict[str, object]:
    """Write one level; a division by a power of two is exact."""
    cell = rule.first_cell / 2**level
    span = cell * rule.tile_size
    return {
        "id": str(level),
        "scaleDenominator": cell * rule.metres_per_unit / STANDARD_PIXEL,
        "cellSize": cell,
        "cornerOfOrigin": "topLeft",
        "pointOfOrigin": list(rule.origin),
        "tileWidth": rule.tile_size,
        "tileHeight": rule.tile_size,
        "matrixWidth": math.ceil(rule.extent[0] / span),
        "matrixHeight": math.ceil(rule.extent[1] / span),
    }


def files() -> dict[str, str]:
    """Give the text of each file by its name."""
    rules = [sibling for rule in RULES for sibling in siblings(rule)]
    return {
        f"{rule.id}.json": json.dumps(document(rule), indent=1, ensure_ascii=False) + "\n" for rule in rules
    }


def main() -> int:
    """Write the files, or compare them."""
    check = "--check" in sys.argv[1:]
    different = 0
    for name, text in files().items():
        path = FOLDER / name
        if check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                print(f"{path.name} differs from its rule")
                different = 1
        else:
            path.write_text(text, encoding="utf-8")
    return different


if __name__ == "__main__":
    sys.exit(main())
