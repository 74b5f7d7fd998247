"""Small optical images that tell their band and place, and what is written beside them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from rasterio.transform import from_origin

from tests.mosaics.ingest.deliveries.sensor_images import linear_rpc

PLACE = {"crs": "EPSG:32631", "transform": from_origin(500_000, 5_150_000, 2, 2)}
LOSSLESS = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
ROWS, COLUMNS = 90, 120


def told(count: int, rows: int = ROWS, columns: int = COLUMNS, dtype: str = "uint16") -> np.ndarray:
    """Give bands that tell their number and their place: no two pixels of a band's row are alike."""
    step = 40 if dtype == "uint8" else 400
    ramp = np.add.outer(np.arange(rows) / rows, np.arange(columns) / columns) * step / 2
    return np.stack([step * (band + 1) + ramp for band in range(count)]).astype(dtype)


def edited(path: Path, *pairs: tuple[str, str]) -> None:
    text = path.read_text()
    for before, after in pairs:
        found, count = re.subn(before, after, text, flags=re.DOTALL)
        assert count, before
        text = found
    path.write_text(text)


def rpc_text() -> str:
    """Give coefficients as *_rpc.txt has them."""
    model = linear_rpc()
    lines = [
        f"{name.upper()}: {getattr(model, name)}" for name in ("line_off", "samp_off", "lat_off", "long_off")
    ]
    lines += [f"HEIGHT_OFF: {model.height_off}", f"HEIGHT_SCALE: {model.height_scale}"]
    lines += [
        f"{name.upper()}: {getattr(model, name)}"
        for name in ("line_scale", "samp_scale", "lat_scale", "long_scale")
    ]
    for name in ("line_num_coeff", "line_den_coeff", "samp_num_coeff", "samp_den_coeff"):
        lines += [f"{name.upper()}_{place}: {value}" for place, value in enumerate(getattr(model, name), 1)]
    return "\n".join(lines)
