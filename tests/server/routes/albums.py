"""Two collections over time: a field of known indices, and ground on which a block is put."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mosaics.geodesy import lonlat_transformer
from tests.conftest import Reply, write_raster
from tests.server.conftest import Asgi, run_all

LEFT, TOP = 572_416.0, 6_279_168.0
"""Of all scenes, Lambert-93, on a pixel's corner of each level up to 256 m."""
SIZE = 256.0
"""Metres that they reach east and south."""
RED_AND_NIR = {
    "20240501": (400, 600),
    "20240601": (300, 900),
    "20240701": (250, 1000),
    "20240801": (100, 700),
}
"""Of the field by date, counts; in August of its east half alone, in June under a licence of its own."""
NDVI = {day: (nir - red) / (nir + red) for day, (red, nir) in RED_AND_NIR.items()}
BLOCK = (64.0, 32.0, 4.0)
"""Metres east, south and up of what is added to the ground in its north-west, 32 m from both edges."""
PIT = (16.0, 16.0, 2.5)
"""Metres east, south and down of what is taken from it, 160 m from both edges."""
BIAS = 0.3
"""Metres by which the later ground lies too high everywhere."""


@dataclass(frozen=True)
class Album:
    """An application over them, and the key of who may see all."""

    asgi: Asgi
    key: str

    def get(self, target: str, *, known: bool = False) -> Reply:
        return self.asgi.get(target, {"x-api-key": self.key} if known else {})

    def post(self, target: str, body: Any, *, known: bool = False) -> Reply:
        return self.asgi.send("POST", target, body, {"x-api-key": self.key} if known else {})


def lonlat(east: float, south: float) -> tuple[float, float]:
    """Give longitude and latitude of metres from the upper left."""
    longitude, latitude = lonlat_transformer("EPSG:2154").transform(LEFT + east, TOP - south)
    return round(float(longitude), 9), round(float(latitude), 9)


def ring(west: float, north: float, east: float, south: float) -> dict[str, Any]:
    """Give a rectangle of metres from the upper left as GeoJSON."""
    corners = ((west, north), (east, north), (east, south), (west, south), (west, north))
    return {"type": "Polygon", "coordinates": [[list(lonlat(*corner)) for corner in corners]]}


def open_album(folder: Path, started: Callable[..., Asgi]) -> Album:
    """Bank the scenes and give the rights."""
    home, lines = folder / "home", []
    for day, (red, nir) in RED_AND_NIR.items():
        data = np.stack([np.full((128, 128), value, "uint16") for value in (red, 350, 300, nir)])
        data[1] += np.arange(128, dtype="uint16")
        if day == "20240801":
            data[:, :, :64] = 0
        path = write_raster(folder / f"field_{day}.tif", data, origin=(LEFT, TOP), resolution=2.0, nodata=0.0)
        licence = "kept" if day == "20240601" else "free"
        lines.append(
            ["bank", str(path), "--collection", "field", "--sensor", "pleiades", "--licence", licence]
        )
    for day, heights in (("20230510", early()), ("20240510", late())):
        path = write_raster(
            folder / f"ground_{day}_DSM.tif", heights[np.newaxis], origin=(LEFT, TOP), resolution=1.0
        )
        lines.append(["bank", str(path), "--collection", "ground", "--sensor", "dsm", "--licence", "free"])
    lines += [
        ["institution", "add", "whole"],
        ["grant", "add", "public", "--licence", "free"],
        ["grant", "add", "whole", "--licence", "kept"],
        ["grant", "add", "whole", "--licence", "free"],
        ["key", "create", "whole"],
    ]
    done = run_all(home, *lines)
    assert [each.status for each in done] == [0] * len(lines), [each.stderr for each in done]
    return Album(started(home), done[-1].stdout.strip())


def early() -> np.ndarray:
    """Give the ground before: a slope with waves."""
    rows, columns = np.mgrid[0:256, 0:256]
    return (300 + 0.1 * columns + 2 * np.sin(rows / 23)).astype("float32")


def late() -> np.ndarray:
    """Give it later: the block on it, the pit in it, and all of it a little too high."""
    heights = early() + np.float32(BIAS)
    heights[32 : 32 + int(BLOCK[1]), 32 : 32 + int(BLOCK[0])] += BLOCK[2]
    heights[160 : 160 + int(PIT[1]), 160 : 160 + int(PIT[0])] -= PIT[2]
    return heights
