"""Deliveries banked as the command line does it, and what is true of every item and every file of theirs."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from jsonschema import Draft7Validator
from PIL import Image
from pystac.validation import local_validator
from referencing import Registry, Resource

from mosaics.catalog.memory import MemoryCatalog
from mosaics.gdal import open_raster, unplaced_files_expected
from mosaics.ingest.bank import Bank
from mosaics.ingest.options import BankOptions
from mosaics.ingest.sandbox import Sandbox
from mosaics.ingest.source import Progress
from mosaics.models import Scene
from mosaics.products.recognise import find_deliveries, recognise
from mosaics.sensors import load_sensors
from mosaics.styles import load_styles
from server.quicklook import quicklook_maker
from server.settings import Settings

EXTENSIONS = {
    "classification:": "classification", "eo:": "eo", "file:": "file", "processing:": "processing",
    "product:": "product", "proj:": "projection", "raster:": "raster", "renders": "render", "sar:": "sar",
    "sat:": "sat", "view:": "view",
}  # fmt: skip
"""How fields begin -> the extension that they are of."""
_SITE = "https://stac-extensions.github.io/"
SCHEMAS_OF_EXTENSIONS = os.environ.get("FLUX_TEST_STAC_SCHEMAS")
"""Folder of schemas of extensions as they lie at their site, `eo/v2.0.0/schema.json`; they are no part of
pystac nor of this repository."""
_SCHEMAS = local_validator.get_local_schema_cache()
_ITEM = next(address for address in _SCHEMAS if address.endswith("/item-spec/json-schema/item.json"))


@dataclass(frozen=True)
class Banked:
    """What became of a delivery."""

    scene: Scene
    item: dict[str, Any]
    messages: tuple[str, ...]
    home: Path

    @property
    def properties(self) -> dict[str, Any]:
        return self.item["properties"]

    def bands(self, key: str = "data") -> list[dict[str, Any]]:
        return self.item["assets"][key]["bands"]

    def path(self, key: str = "data") -> Path:
        return self.home / "data" / self.item["assets"][key]["href"]

    def values(self, key: str = "data") -> np.ndarray:
        """Give stored values, shape (bands, rows, columns), NaN where there is nothing."""
        with rasterio.open(self.path(key)) as source:
            return np.where(source.dataset_mask() > 0, source.read(), np.nan).astype("float64")

    def middle(self, key: str = "data") -> np.ndarray:
        """Give what stands in the middle of each band."""
        values = self.values(key)
        found: np.ndarray = values[:, values.shape[1] // 2, values.shape[2] // 2]
        return found

    def picture(self) -> np.ndarray:
        """Give the quicklook in the default style, shape (rows, columns, 4)."""
        return picture_of(self.home / "data" / self.item["assets"]["thumbnail"]["href"])

    def picture_in(self, style: str) -> np.ndarray:
        """Give the same in another style."""
        scene = replace(self.scene, styles=(style,))
        return _pixels(quicklook_maker(Settings(home=self.home))(scene))


def picture_of(path: Path) -> np.ndarray:
    """Give the pixels of a quicklook, shape (rows, columns, 4)."""
    return _pixels(path.read_bytes())


def _pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def banked(home: Path, sandbox: Sandbox, path: Path, **options: Any) -> Banked:
    """Bank what a path means, and check what holds for all."""
    settings = Settings(home=home)
    bank = Bank(
        home_data=settings.data,
        catalog=MemoryCatalog(),
        sensors=load_sensors(),
        styles=load_styles(),
        sandbox=sandbox,
        quicklook=quicklook_maker(settings),
        now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )
    (found,) = find_deliveries([path])
    delivery = recognise(found)
    assert delivery is not None, f"{found.name} is a delivery"
    result = bank.bank_delivery(delivery, BankOptions(**options), lambda *_: None)
    assert result.scene is not None
    item = bank.catalog.item(result.collection_id, result.scene_id)
    assert item is not None
    check_item(item)
    made = Banked(result.scene, item, result.messages, home)
    assert made.picture()[..., 3].any(), "its quicklook shows something"
    return made


def opened(path: Path, driver: str, _report: Progress) -> tuple[int, int, int]:
    """Open a file by a driver, for the sandbox, and give its bands, rows and columns."""
    with unplaced_files_expected(), open_raster(path, driver=driver) as source:
        return source.count, source.height, source.width


def check_item(item: dict[str, Any]) -> None:
    """See that an item is STAC, and declares the extensions whose fields it has and no other.

    Where the schemas of these are at hand it has to be as they say, too.
    """
    registry = Registry().with_resources(
        [(key, Resource.from_contents(each)) for key, each in _SCHEMAS.items()]
    )
    document = json.loads(json.dumps(item))
    errors = list(Draft7Validator(_SCHEMAS[_ITEM], registry=registry).iter_errors(document))
    assert not errors, [error.message for error in errors]
    if SCHEMAS_OF_EXTENSIONS is not None:
        for address in document["stac_extensions"]:
            path = Path(SCHEMAS_OF_EXTENSIONS) / address.removeprefix(_SITE)
            validator = Draft7Validator(json.loads(path.read_text()), registry=registry)
            told = [f"{address}: {error.message}" for error in validator.iter_errors(document)]
            assert not told, told
    keys = set(_keys(document))
    used = {name for start, name in EXTENSIONS.items() if any(key.startswith(start) for key in keys)}
    declared = {address.split("/")[3] for address in document["stac_extensions"]}
    assert declared == used
    assert len(declared) == len(document["stac_extensions"])
    assert all(key.replace("_", "a").isalnum() and key == key.lower() for key in document["assets"])


def _keys(document: Any) -> list[str]:
    """Give the keys of all objects in a document, but for those of its links."""
    if isinstance(document, dict):
        return [
            *document,
            *(key for name, each in document.items() if name != "links" for key in _keys(each)),
        ]
    return [key for each in document for key in _keys(each)] if isinstance(document, list) else []
