"""Wide layers of many small scenes on disk, and what makes overviews of them in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin

from mosaics.catalog.base import Catalog
from mosaics.catalog.index import CatalogIndex
from mosaics.catalog.memory import MemoryCatalog
from mosaics.fast import FastReader
from mosaics.filters import EVERYTHING, SceneFilter
from mosaics.finding import find_layer
from mosaics.geodesy import ground_resolution, lonlat_transformer
from mosaics.grids import load_grids
from mosaics.ingest.wide.make import Outcome, OverviewMaker, Work
from mosaics.layers import Layer
from mosaics.models import Collection, Frame, Raster, Scene, Text
from mosaics.read import RioTilerReader
from mosaics.resolve import MOST_SOURCES, ResolvedTile, resolve
from mosaics.sensors import load_sensors
from mosaics.styles import load_styles
from mosaics.tiff.blocks import BlockCache
from mosaics.tiff.scene_files import Sources
from mosaics.times import ANY_TIME, TimeSpan
from server.scenes import SceneOfItem
from tests.items import item

GRID = load_grids().get("WebMercatorQuad")
STYLES = load_styles()
SENSORS = load_sensors()
CRS = "EPSG:32631"
SIDE, STEP, RESOLUTION = 64, 56, 10.0
"""Pixels of a scene, pixels to the next one, and metres per pixel."""
ORIGIN = (400_000.0, 4_900_000.0)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Here:
    """A runner that calls in this process."""

    threads = 1

    def run(
        self, _name: str, function: Callable[..., Any], *arguments: Any, report: Any, grows: Any = int
    ) -> Any:
        grows()
        return function(*arguments, report)

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


@dataclass
class Counting:
    """A reader that tells which files were read."""

    reader: FastReader
    files: set[str] = field(default_factory=set)

    def read(self, scene: Scene, *arguments: Any) -> Raster:
        self.files.add(scene.href)
        return self.reader.read(scene, *arguments)

    def sample(self, *arguments: Any) -> Any:
        return self.reader.sample(*arguments)


@dataclass
class Wide:
    """A home with a wide layer."""

    root: Path
    catalog: Catalog = field(default_factory=MemoryCatalog)
    boxes: dict[str, Any] = field(default_factory=dict)
    """Outline of each scene."""

    def __post_init__(self) -> None:
        self.make = SceneOfItem(root=self.root, sensors=SENSORS)
        self.reader = FastReader(reference=RioTilerReader(), blocks=BlockCache(64_000_000))

    def collection(self, id_: str) -> None:
        nothing = Text(fr="", en="")
        self.catalog.put_collection(Collection(id=id_, title=nothing, description=nothing))

    def scene(
        self, id_: str, at: tuple[int, int], value: int, collection: str = "c", *, day: int = 0, **more: Any
    ) -> None:
        """Bank a scene whose pixels are a value and a ramp; `at` is its column and row among the others."""
        left, top = (
            ORIGIN[0] + at[0] * STEP * RESOLUTION,
            ORIGIN[1] - at[1] * STEP * RESOLUTION,
        )
        path = self.root / "cogs" / collection / f"{id_}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        ramp = np.add.outer(np.arange(SIDE), np.arange(SIDE)) // 8
        data = np.stack([value + ramp, value // 2 + ramp, 60 + ramp]).astype("uint8")
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=SIDE,
            height=SIDE,
            count=3,
            dtype="uint8",
            crs=CRS,
            transform=from_origin(left, top, RESOLUTION, RESOLUTION),
            photometric="RGB",
            tiled=True,
            blockxsize=SIDE,
            blockysize=SIDE,
        ) as target:
            target.write(data)
        right, bottom = left + SIDE * RESOLUTION, top - SIDE * RESOLUTION
        ring = lonlat_transformer(CRS).transform([left, right, right, left], [top, top, bottom, bottom])
        outline = shapely.Polygon(list(zip(*ring, strict=True)))
        date = datetime(2024, 1, 10, 10, tzinfo=UTC) + timedelta(days=day)
        document = item(id_, collection, **{"datetime": date.isoformat(), "gsd": RESOLUTION, **more})
        document["properties"]["proj:shape"] = [SIDE, SIDE]
        document["geometry"] = shapely.geometry.mapping(outline)
        document["assets"]["data"] |= {"href": str(path), "raster:spatial_resolution": RESOLUTION}
        self.boxes[id_] = outline
        self.catalog.put_scene(collection, document, f"{collection}/{id_}/{value}/{day}")

    @property
    def index(self) -> CatalogIndex:
        return CatalogIndex().with_changes(self.catalog.changes(0), self.make)

    def layer(self, id_: str = "c", opened: SceneFilter = EVERYTHING) -> Layer:
        return find_layer(self.index, id_, opened)

    @property
    def maker(self) -> OverviewMaker:
        return OverviewMaker(
            root=self.root,
            catalog=self.catalog,
            grid=GRID,
            sources=Sources(roots=None),
            now=lambda: NOW,
        )

    def field(self, wide: int, high: int, licences: Sequence[str] = ("l1", "l2")) -> None:
        """Bank scenes side by side, once for each licence, in days without any order."""
        dice = np.random.default_rng(1)
        days = iter(dice.permutation(wide * high * len(licences)))
        for licence in licences:
            for x in range(wide):
                for y in range(high):
                    value, day = int(dice.integers(20, 200)), int(next(days)) // 8
                    self.scene(f"{licence}-{x}-{y}", (x, y), value, day=day, license=licence)

    def seed(self, id_: str = "c", runner: Any = None) -> list[Outcome]:
        """Make the overviews of a layer."""
        maker, found = self.maker, []
        with maker.turn(id_):
            work: Work = maker.work(self.index, id_)
            found += [Outcome(name=each.name, status="unchanged") for each in work.unchanged]
            found += [maker.make(work, each, runner or Here(), lambda *_: None) for each in work.changed]
            found += [maker.remove(work, name) for name in work.needless]
        return found


def tile(
    layer: Layer,
    frame: Frame,
    opened: SceneFilter = EVERYTHING,
    *,
    span: TimeSpan = ANY_TIME,
    style: str | None = None,
    most: int | None = MOST_SOURCES,
) -> ResolvedTile:
    """Resolve a frame."""
    return resolve(
        layer,
        opened,
        frame,
        ground_resolution=ground_resolution(frame),
        span=span,
        style_id=style,
        styles=STYLES,
        most=most,
        overviews=True,
    )


def frames(layer: Layer, zoom: int) -> Sequence[Frame]:
    """Give all tiles of a layer at a zoom."""
    found = GRID.tiles(layer.bounds, zoom)
    assert found is not None
    return [
        GRID.frame(zoom, x, y)
        for x in range(found.min_col, found.max_col + 1)
        for y in range(found.min_row, found.max_row + 1)
    ]
