"""Indexes of catalogues, for tests."""

from __future__ import annotations

from pathlib import Path

from mosaics.catalog.base import CatalogReader
from mosaics.catalog.index import CatalogIndex
from mosaics.sensors import load_sensors
from server.scenes import SceneOfItem

MAKE = SceneOfItem(root=Path("/data"), sensors=load_sensors())


def index_of(catalog: CatalogReader) -> CatalogIndex:
    """Give what a worker would hold."""
    return CatalogIndex().with_changes(catalog.changes(0), MAKE)
