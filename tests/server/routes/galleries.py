"""Scenes whose bands tell where they are, for styles of one's own and for legends."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from PIL import Image

from tests.conftest import Reply, imagery, position_pixels, write_raster
from tests.server.conftest import Asgi, run_all

Z, X, Y = 17, 66052, 47859
TILE = f"/tiles/{{}}/WebMercatorQuad/{Z}/{X}/{Y}.png"
"""Inside of all scenes."""
CLASSES = {1: (255, 0, 0, 255), 2: (0, 200, 0, 255), 3: (0, 0, 250, 255)}
PLANET = imagery("optical/planet/20170831_172754_101c_3B_AnalyticMS.tif")
SENSORS = {"planet": "planetscope"}
CUT = {
    "type": "Polygon",
    "coordinates": [[[1.41, 43.6], [1.4178, 43.6], [1.4178, 43.61], [1.41, 43.61], [1.41, 43.6]]],
}
"""Part of the scenes."""


@dataclass(frozen=True)
class Gallery:
    """An application over public collections of one scene or two, and keys for what is not public."""

    asgi: Asgi
    keys: dict[str, str]
    """whole: all of `kept`; shown: its tiles only; cut: a part of it."""

    def pixels(self, target: str) -> np.ndarray:
        """Ask for a picture, which must be there."""
        reply = self.asgi.get(target)
        assert reply.status == 200, reply.body
        return picture(reply)

    def kept(self, key: str, target: str) -> Reply:
        return self.asgi.get(target, {"x-api-key": self.keys[key]})


def picture(reply: Reply) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(reply.body)).convert("RGBA")).astype(int)


def open_gallery(folder: Path, started: Callable[..., Asgi]) -> Gallery:
    """Bank the scenes and give the rights."""
    home = folder / "home"
    four = position_pixels(350, 450, 4, "uint16")
    paths = {
        "multi": write_raster(folder / "multi_20240517.tif", four, resolution=1.0),
        "pair_new": write_raster(folder / "pairnew_20240517.tif", four + 1, resolution=1.0),
        "pair_old": write_raster(folder / "pairold_20230517.tif", four // 2, resolution=1.0),
        "mixed_old": write_raster(folder / "mixedold_20230517.tif", four + 2, resolution=1.0),
        "mixed_new": write_raster(
            folder / "mixednew_20240517.tif", position_pixels(350, 450, 3), photometric="RGB", resolution=1.0
        ),
        "kept": write_raster(folder / "kept_20240517.tif", four + 3, resolution=1.0),
        "classes": _write_classes(folder / "classes_20240517.tif"),
    }
    if PLANET.is_file():
        paths["planet"] = PLANET
    (folder / "cut.geojson").write_text(json.dumps(CUT))
    collections = {name: name.partition("_")[0] for name in paths}
    lines = [
        [
            *("bank", str(path), "--collection", collections[name]),
            *(["--sensor", SENSORS.get(name, "pleiades")] if name not in {"mixed_new", "classes"} else []),
            *(["--public"] if name != "kept" else ["--licence", "kept", "--visual"]),
        ]
        for name, path in paths.items()
    ]
    lines.append(["mosaic", "create", "apart", "--collection", "pair", "--stretch", "scene"])
    names = ("whole", "shown", "cut")
    lines += [
        *(["institution", "add", name] for name in names),
        ["grant", "add", "whole", "--licence", "kept"],
        ["grant", "add", "shown", "--licence", "kept", "--actions", "catalogue,tile"],
        ["grant", "add", "cut", "--licence", "kept", "--area", str(folder / "cut.geojson")],
        *(["key", "create", name] for name in names),
    ]
    done = run_all(home, *lines)
    assert [each.status for each in done] == [0] * len(lines), [each.stderr for each in done]
    keys = {name: each.stdout.strip() for name, each in zip(names, done[-3:], strict=True)}
    return Gallery(started(home), keys)


def _write_classes(path: Path) -> Path:
    rows, columns = np.mgrid[0:350, 0:450]
    values = (1 + (rows // 50 + columns // 50) % 3).astype("uint8")
    write_raster(path, values[np.newaxis], photometric="PALETTE", resolution=1.0)
    with rasterio.open(path, "r+") as target:
        target.write_colormap(1, CLASSES)
    return path
