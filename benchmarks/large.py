"""Makes the images that banking is measured on, once: plain ones, and large ones that repeat a pattern."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import rasterio
from rasterio.rpc import RPC
from rasterio.transform import from_origin
from rasterio.windows import Window

from benchmarks.data import optical, strips

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLACE: Final = from_origin(862_000.0, 6_521_000.0, 0.5, 0.5)
_STRIP: Final = 512
_PATTERN: Final = 4_096
"""Columns and rows of what large images repeat: noise that compresses as badly as real images do."""
_TILES: Final = {"predictor": 2, "tiled": True, "blockxsize": 256, "blockysize": 256}

Tell = Callable[[str], None]


def make_plain(folder: Path, size: int, names: Sequence[str] | None, tell: Tell) -> dict[str, Path]:
    """Make images as they come: as GDAL writes them unasked, of odd sizes, compressed, with edges of nothing.

    Args:
        folder: Where they are kept.
        size: Columns and rows of the first, a multiple of 512.
        names: Only these; None for all.
        tell: Gets a line about each that is made.
    """
    kinds = {
        "rgb-uint8": _Kind(size, 3, "uint8"),
        "ms-uint16": _Kind(size, 4, "uint16"),
        "odd-uint8": _Kind(size + 13, 3, "uint8"),
        "edges-uint16": _Kind(size * 3 // 4 + 41, 4, "uint16", 0, {"compress": "deflate", **_TILES}),
        "heights-float32": _Kind(size + 13, 1, "float32", -9999),
    }
    found = {}
    for name, kind in kinds.items():
        if names and name not in names:
            continue
        path = folder / f"plain-{size}" / f"{name}.tif"
        found[name] = path
        if path.exists():
            continue
        tell(f"making {name}")
        kind.make(path)
    return found


@dataclass(frozen=True)
class _Kind:
    """An image."""

    size: int
    bands: int
    data_type: str
    nodata: float | None = None
    """Of its edges, which lie askew; None: it has none."""
    more: dict[str, Any] = field(default_factory=dict)
    """Creation options."""

    def make(self, path: Path) -> None:
        strip, noise = optical(self.size, "uint8" if self.data_type == "uint8" else "uint16"), _noise()
        colours = "RGB" if self.bands == 3 else "MINISBLACK"
        more = {"interleave": "pixel", "photometric": colours, "nodata": self.nodata, **self.more}
        with _new(path, self.size, self.bands, self.data_type, **more) as file:
            for row, rows in strips(self.size):
                values = strip(row, rows, noise)[: self.bands].astype(self.data_type)
                if self.nodata is not None:
                    values[:, self._is_beyond(row, rows)] = self.nodata
                file.write(values, window=Window(0, row, self.size, rows))
        path.with_suffix(".partial").rename(path)

    def _is_beyond(self, row: int, rows: int) -> NDArray[np.bool_]:
        """Tell where a square that stands askew ends, shape (rows, columns)."""
        down, across = np.mgrid[row : row + rows, 0 : self.size]
        askew = across + 0.2 * down
        return (askew < 0.2 * self.size) | (askew > self.size) | (down < 0.2 * across)


def _noise() -> np.random.Generator:
    return np.random.default_rng(7)


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
