"""Small images made on the spot, and the real ones beside the checkout."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

from mosaics import gdal
from mosaics.catalog.memory import MemoryCatalog
from mosaics.ingest.bank import Bank
from mosaics.ingest.sandbox import Sandbox
from mosaics.sensors import load_sensors
from mosaics.styles import load_styles

PLACE = Affine(2.0, 0, 650_000, 0, -2.0, 6_860_000)
"""2 m pixels near Paris, EPSG:2154."""

MakeImage = Callable[..., Path]

SENSORS, STYLES = load_sensors(), load_styles()

NOW = datetime(2026, 1, 1, tzinfo=UTC)
"""What the clock of the bank says."""


def silent(_stage: str, _fraction: float) -> None:
    """Take progress and do nothing."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.fixture
def bank(tmp_path: Path, sandbox: Sandbox) -> Bank:
    """A bank with a catalogue of its own, which draws no quicklooks."""
    return Bank(
        home_data=tmp_path / "home",
        catalog=MemoryCatalog(),
        sensors=SENSORS,
        styles=STYLES,
        sandbox=sandbox,
        now=lambda: NOW,
    )


@pytest.fixture
def positions() -> Callable[[int, int, int], np.ndarray]:
    """Values that tell their position: no two neighbours are equal."""

    def make(bands: int, height: int, width: int) -> np.ndarray:
        rows, columns = np.mgrid[0:height, 0:width]
        return np.stack([(rows * 7 + columns * 3 + band * 11) % 251 + 1 for band in range(bands)])

    return make


@pytest.fixture
def make_image(tmp_path: Path) -> MakeImage:
    """Write a GeoTIFF from an array of shape (bands, height, width)."""

    def make(
        values: np.ndarray,
        name: str = "image.tif",
        *,
        crs: Any = "EPSG:2154",
        transform: Affine | None = PLACE,
        mask: np.ndarray | None = None,
        colours: tuple[str, ...] = (),
        tags: dict[str | None, dict[str, str]] | None = None,
        palette: dict[int, tuple[int, int, int, int]] | None = None,
        **options: Any,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        bands, height, width = values.shape
        profile = {
            "driver": "GTiff",
            "width": width,
            "height": height,
            "count": bands,
            "dtype": values.dtype.name,
            "crs": None if crs is None else CRS.from_user_input(crs),
            **({} if transform is None else {"transform": transform}),
            **options,
        }
        with gdal.unplaced_files_expected(), rasterio.open(path, "w", **profile) as target:
            if colours:
                target.colorinterp = [rasterio.enums.ColorInterp[colour] for colour in colours]
            if palette:
                target.write_colormap(1, palette)
            target.write(values)
            if mask is not None:
                target.write_mask(mask)
            for domain, entries in (tags or {}).items():
                target.update_tags(ns=domain, **entries)
        return path

    return make


@pytest.fixture(scope="session")
def imagery() -> Path:
    """The folder of real imagery; it is no part of the repository."""
    return Path(__file__).resolve().parents[3].parent / "shared" / "data"


@contextmanager
def little_room() -> Iterator[None]:
    """Let this process write no file of more than a megabyte, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
