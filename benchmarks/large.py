"""Makes the images that banking is measured on, once: plain ones, and large ones that repeat a pattern."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from rasterio.rpc import RPC
from rasterio.transform import from_origin
from rasterio.windows import Window

from benchmarks.data import optical, strips

_PLACE: Final = from_origin(862_000.0, 6_521_000.0, 0.5, 0.5)
_STRIP: Final = 512
_PATTERN: Final = 4_096
"""Columns and rows of what large images repeat: noise that compresses as badly as real images do."""

Tell = Callable[[str], None]


def make_plain(folder: Path, size: int, names: Sequence[str] | None, tell: Tell) -> dict[str, Path]:
    """Make images as GDAL writes them unasked: not compressed, in strips, without overviews.

    Args:
        folder: Where they are kept.
        size: Columns and rows, a multiple of 512.
        names: Only these; None for all.
        tell: Gets a line about each that is made.
    """
    kinds = {"rgb-uint8": (3, "uint8"), "ms-uint16": (4, "uint16")}
    found = {}
    for name, (bands, data_type) in kinds.items():
        if names and name not in names:
            continue
        path = folder / f"plain-{size}" / f"{name}.tif"
        found[name] = path
        if path.exists():
            continue
        tell(f"making {name}")
        strip, noise = optical(size, data_type), np.random.default_rng(7)
        colours = "RGB" if bands == 3 else "MINISBLACK"
        with _new(path, size, bands, data_type, interleave="pixel", photometric=colours) as file:
            for row, rows in strips(size):
                window = Window(0, row, size, rows)
                file.write(strip(row, rows, noise).astype(data_type), window=window)
        path.with_suffix(".partial").rename(path)
    return found


def make_large(folder: Path, size: int, names: Sequence[str] | None, tell: Tell) -> dict[str, Path]:
    """Make images of one and of four bands on the ground, and one in sensor geometry of half the size.

    Args:
        folder: Where they are kept.
        size: Columns and rows.
        names: Only these; None for all.
        tell: Gets a line about each that is made.
    """
    kinds: dict[str, tuple[int, int, dict[str, Any]]] = {
        "pan-uint16": (size, 1, {}),
        "ms-uint16": (size, 4, {"interleave": "pixel"}),
        "sensor-uint16": (size // 2, 1, {"crs": None, "transform": None, "rpcs": _rpc(size // 2)}),
    }
    found = {}
    for name, (side, bands, more) in kinds.items():
        if names and name not in names:
            continue
        path = folder / f"large-{size}" / f"{name}.tif"
        found[name] = path
        if path.exists():
            continue
        tell(f"making {name}")
        pattern = _pattern(bands)
        with _new(path, side, bands, "uint16", tiled=True, blockxsize=512, blockysize=512, **more) as file:
            for row in range(0, side, _STRIP):
                rows = min(_STRIP, side - row)
                part = pattern[:, row % _PATTERN : row % _PATTERN + rows]
                whole = np.tile(part, (1, 1, -(-side // _PATTERN)))[:, :, :side]
                file.write(whole, window=Window(0, row, side, rows))
        path.with_suffix(".partial").rename(path)
    return found


def _new(path: Path, size: int, bands: int, data_type: str, **more: Any) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"crs": "EPSG:2154", "transform": _PLACE, "bigtiff": "IF_SAFER", "driver": "GTiff"}
    chosen = {name: value for name, value in {**profile, **more}.items() if value is not None}
    shape = {"width": size, "height": size, "count": bands, "dtype": data_type}
    return rasterio.open(path.with_suffix(".partial"), "w", **shape, **chosen)


def _pattern(bands: int) -> np.ndarray:
    strip, noise = optical(_PATTERN, "uint16"), np.random.default_rng(7)
    made = [strip(row, rows, noise)[:bands] for row, rows in strips(_PATTERN)]
    return np.concatenate(made, axis=1).astype("uint16")


def _rpc(size: int) -> RPC:
    """Give coefficients that put an image of 0.5 m pixels down near Lyon, turned and a little bent."""
    none = [0.0] * 20
    line, samp, bent = none.copy(), none.copy(), [1.0, *none[1:]]
    line[1], line[2] = -0.2, -1.0
    samp[1], samp[2], samp[3] = 1.0, -0.2, 0.01
    bent[4] = 1e-4
    half = size / 2
    return RPC(
        height_off=300.0,
        height_scale=500.0,
        lat_off=45.7,
        lat_scale=half * 0.5 / 111_150,
        long_off=4.85,
        long_scale=half * 0.5 / 77_900,
        line_off=half,
        line_scale=half,
        samp_off=half,
        samp_scale=half,
        line_num_coeff=line,
        line_den_coeff=bent,
        samp_num_coeff=samp,
        samp_den_coeff=bent,
    )
