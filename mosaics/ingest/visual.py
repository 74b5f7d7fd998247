"""Makes a banked scene's companion: its default style, rendered once for every tile of a grid, as a COG."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mosaics.catalog.base import CatalogWriter
from mosaics.compose import compose
from mosaics.encode import Quality, encode
from mosaics.errors import IngestError, SceneUnreadableError
from mosaics.filters import EVERYTHING
from mosaics.grids import Grid, TileRange
from mosaics.ingest.source import Progress
from mosaics.ingest.turn import one_at_a_time
from mosaics.ingest.validity import cog_errors
from mosaics.ingest.workplace import flush_folder, is_disk_full, temporary_folder
from mosaics.item import scene_from_item, with_visual
from mosaics.layers import ANY_TIME, Layer
from mosaics.models import VISUAL_BLOCK, Bounds, Collection, Scene, Text, Visual
from mosaics.places import is_object
from mosaics.read import SceneReader
from mosaics.registry import Registry
from mosaics.resolve import RENDERER_VERSION, resolve
from mosaics.styles import Style
from mosaics.tiff.pictures import PictureCog, Placing
from mosaics.visual import is_current

GRID: Final = "WebMercatorQuad"
"""The grid that nearly all clients ask in; its zooms are the levels."""
_CRS: Final = "EPSG:3857"
_OPAQUE: Final = 255
_STAGE: Final = "drawing tiles"
_MOST_BLOCKS: Final = 1 << 20
"""Of the finest level: 262 144 pixels a side."""
_LAST_TILES: Final = 2
"""Columns and rows of the tiles that a scene touches where it is about one tile."""


class _Aligned(NamedTuple):
    """Which tiles of a grid a companion has."""

    zooms: tuple[int, int]
    """Coarsest and finest."""
    column: int
    """Of the upper left tile at the coarsest zoom."""
    row: int
    columns: int
    rows: int


class _Drawn(NamedTuple):
    """A tile with something on it."""

    data: bytes
    """An image file."""
    valid: NDArray[np.bool_] | None
    """Where it is opaque; None: everywhere."""


@dataclass(frozen=True, kw_only=True)
class VisualMaker:
    """Where companions are made, and with what."""

    home_data: Path
    """The home's data folder."""
    catalog: CatalogWriter
    """Where they are registered."""
    styles: Registry[Style]
    """All styles."""
    grid: Grid
    """Of id GRID."""
    reader: SceneReader
    """The one that serves tiles, so that it draws the same pictures."""
    image_format: Literal["jpg", "webp"]
    """What blocks are."""
    quality: Quality
    """Of their encoding; that of the tiles that are served."""
    threads: int = 2
    """That draw at the same time."""

    def make(self, collection_id: str, scene_id: str, progress: Progress) -> Literal["made", "unchanged"]:
        """Give a banked scene its companion, unless it has one that is as it would be made now.

        Args:
            collection_id: Where the scene is in the catalogue.
            scene_id: As what.
            progress: Called with the name of a stage and how far it is.

        Raises:
            IngestError: If it can't be made; what was there before is still there.
            CatalogUnavailableError: If the catalogue does not answer.
        """
        item = self.catalog.item(collection_id, scene_id)
        if item is None:
            raise IngestError(f"{scene_id}: it is no longer in the catalogue")
        root = self.home_data.resolve()
        try:
            scene = scene_from_item(item, root=root, sequence=0)
            state = _source_state(scene)
        except (SceneUnreadableError, OSError) as error:
            raise IngestError(f"{scene_id}: its banked file can't be read") from error
        style = self.styles.get(scene.styles[0])
        if scene.visual is not None and self._is_as_now(scene.visual, scene, style, state):
            return "unchanged"
        aligned = aligned_tiles(self.grid, scene)
        with self._stored(scene, style, aligned, progress) as (path, sha256):
            visual = self._visual(scene, style, aligned, path, state)
            with one_at_a_time(root):
                if self.catalog.item(collection_id, scene_id) != item or _source_state(scene) != state:
                    raise IngestError(f"{scene_id}: the scene changed while its tiles were drawn; try again")
                made = with_visual(item, visual, sha256=sha256, root=root)
                self.catalog.put_scene(collection_id, made, item["properties"]["flux:digest"])
        self._remove_others(path, scene)
        return "made"

    def _is_as_now(self, visual: Visual, scene: Scene, style: Style, state: tuple[int, int] | None) -> bool:
        with suppress(OSError):
            return (
                is_current(
                    visual,
                    style_id=style.id,
                    style_digest=style.digest,
                    generation=scene.generation,
                    quality=getattr(self.quality, self.image_format),
                )
                and visual.image_format == self.image_format
                and visual.source_state == state
                and Path(visual.href).stat().st_size == visual.file_size
            )
        return False

    def _visual(
        self, scene: Scene, style: Style, aligned: _Aligned, path: Path, state: tuple[int, int] | None
    ) -> Visual:
        coarsest = self.grid.matrix(aligned.zooms[0])
        (left, top), span = coarsest.origin, coarsest.span
        return Visual(
            href=str(path),
            file_size=path.stat().st_size,
            source_generation=scene.generation,
            source_state=state,
            style_id=style.id,
            style_digest=style.digest,
            renderer_version=RENDERER_VERSION,
            image_format=self.image_format,
            quality=getattr(self.quality, self.image_format),
            grid_id=self.grid.id,
            zooms=aligned.zooms,
            crs=self.grid.crs,
            origin=(left + aligned.column * span, top - aligned.row * span),
            span=span,
            columns=aligned.columns,
            rows=aligned.rows,
        )

    @contextmanager
    def _stored(
        self, scene: Scene, style: Style, aligned: _Aligned, progress: Progress
    ) -> Iterator[tuple[Path, str]]:
        """Give the finished file where it stays, and its SHA-256; it goes again if registering fails."""
        folder = self.home_data.resolve() / "visuals" / scene.collection_id
        with temporary_folder(folder, scene.id) as work:
            try:
                result = work / "visual.tif"
                with result.open("xb") as file:
                    self._write(file, scene, style, aligned, progress)
                    file.flush()
                    os.fsync(file.fileno())
                _check(scene.id, result)
                with result.open("rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                target = folder / f"{scene.id}.{sha256[:12]}.tif"
                result.replace(target)
                flush_folder(folder)
            except SceneUnreadableError as error:
                raise IngestError(f"{scene.id}: its banked file can't be read any more") from error
            except OSError as error:
                if is_disk_full(error, work):
                    raise IngestError(
                        f"{scene.id}: no space left (or none allowed) on the disk of the bank ({folder}) for "
                        "its drawn tiles. Free some, or choose another --home"
                    ) from error
                raise IngestError(f"{scene.id}: its tiles can't be stored: {error.strerror}") from error
        try:
            yield target, sha256
        except BaseException:
            if scene.visual is None or scene.visual.href != str(target):
                target.unlink(missing_ok=True)
            raise

    def _write(
        self, file: BinaryIO, scene: Scene, style: Style, aligned: _Aligned, progress: Progress
    ) -> None:
        """Draw all tiles, the coarsest zoom first, and write them as they are drawn."""
        coarsest, finest = aligned.zooms
        matrix = self.grid.matrix(coarsest)
        (left, top), span = matrix.origin, matrix.span
        cog = PictureCog(
            file=file,
            blocks=(aligned.rows, aligned.columns),
            levels=finest - coarsest + 1,
            image_format=self.image_format,
            placing=Placing(
                epsg=int(_CRS.removeprefix("EPSG:")),
                origin=(left + aligned.column * span, top - aligned.row * span),
                cell=self.grid.matrix(finest).cell_size,
            ),
            tags={"FLUX_VISUAL_OF": scene.id, "FLUX_STYLE": style.id, "TILING_SCHEME": self.grid.id},
        )
        progress(_STAGE, 0.0)
        total, done = sum(4**zoom for zoom in range(coarsest, finest + 1)), 0.0
        drawing = _Drawing(maker=self, layer=_layer(scene))
        bounds = Bounds(*(float(value) for value in scene.footprint.bounds))
        with ThreadPoolExecutor(self.threads, thread_name_prefix="draw") as pool:
            for zoom in range(coarsest, finest + 1):
                many = 2 ** (zoom - coarsest)
                tiles = _tiles(self.grid, bounds, zoom)
                for y in range(tiles.min_row, tiles.max_row + 1):
                    columns = range(tiles.min_col, tiles.max_col + 1)
                    for x, drawn in zip(
                        columns, pool.map(partial(drawing.tile, zoom, y), columns), strict=True
                    ):
                        if drawn is not None:
                            row, column = y - aligned.row * many, x - aligned.column * many
                            cog.put(finest - zoom, row, column, drawn.data, drawn.valid)
                    done += 4**zoom / (tiles.max_row + 1 - tiles.min_row)
                    progress(_STAGE, min(0.99, done / total))
        cog.finish()
        progress(_STAGE, 1.0)

    def _remove_others(self, path: Path, scene: Scene) -> None:
        """Take away companions that this one replaces; a server that still has one open goes on reading."""
        for old in path.parent.glob(f"{scene.id}.????????????.tif"):
            if old != path:
                with suppress(OSError):
                    old.unlink()


@dataclass(frozen=True, kw_only=True)
class _Drawing:
    """Draws tiles of one scene as the tile path does."""

    maker: VisualMaker
    layer: Layer

    def tile(self, z: int, y: int, x: int) -> _Drawn | None:
        """Draw a tile; None where nothing is on it."""
        maker = self.maker
        frame = maker.grid.frame(z, x, y)
        resolved = resolve(
            self.layer,
            EVERYTHING,
            frame,
            ground_resolution=float("inf"),
            span=ANY_TIME,
            style_id=None,
            styles=maker.styles,
        )
        if not resolved.contributions:
            return None
        picture, _ = compose(resolved, maker.reader, _ignored)
        if not picture.alpha.any():
            return None
        data = encode(picture, maker.image_format, maker.quality).data
        opaque = picture.alpha == _OPAQUE
        return _Drawn(data, None if opaque.all() else opaque)


def aligned_tiles(grid: Grid, scene: Scene) -> _Aligned:
    """Choose the tiles of a scene's companion: from its native zoom to the last where it is about one tile.

    All levels begin and end at tiles of the coarsest, so each has exactly half the pixels of the finer one.

    Raises:
        IngestError: If the scene is not in the grid, crosses the antimeridian, or is larger than can be.
    """
    bounds = Bounds(*(float(value) for value in scene.footprint.bounds))
    finest = grid.zoom_for(scene.ground_resolution, (bounds.bottom + bounds.top) / 2)
    if (grid.crs, grid.tile_size) != (_CRS, VISUAL_BLOCK):
        raise IngestError(f"{scene.id}: tiles can't be drawn ahead for a {grid.id} that is not the usual one")
    if not grid.intersects(bounds):
        raise IngestError(f"{scene.id}: it lies outside {grid.id}, so there are no tiles of it to draw")
    zoom = finest
    while max(_size(grid, bounds, zoom)) > _LAST_TILES:
        zoom -= 1
    tiles = _tiles(grid, bounds, zoom)
    columns, rows = _size(grid, bounds, zoom)
    if columns * rows * 4 ** (finest - zoom) > _MOST_BLOCKS:
        raise IngestError(f"{scene.id}: it has too many tiles to be drawn ahead; bank it without --visual")
    return _Aligned((zoom, finest), tiles.min_col, tiles.min_row, columns, rows)


def _tiles(grid: Grid, bounds: Bounds, zoom: int) -> TileRange:
    tiles = grid.tiles(bounds, zoom)
    assert tiles is not None, "the grid has something of it"
    return tiles


def _size(grid: Grid, bounds: Bounds, zoom: int) -> tuple[int, int]:
    """Give columns and rows of the tiles that a rectangle touches."""
    tiles = _tiles(grid, bounds, zoom)
    return tiles.max_col - tiles.min_col + 1, tiles.max_row - tiles.min_row + 1


def _source_state(scene: Scene) -> tuple[int, int] | None:
    """Give size and time of writing of the scene's file; None: it lies in a store, where its ETag tells."""
    if is_object(scene.href):
        return None
    status = Path(scene.href).stat()
    return status.st_size, status.st_mtime_ns


def _layer(scene: Scene) -> Layer:
    nothing = Text(fr="", en="")
    collection = Collection(id=scene.collection_id, title=nothing, description=nothing)
    return Layer.of(scene.id, (scene,), collection=collection, single=True)


def _check(name: str, path: Path) -> None:
    """Refuse a result that GDAL does not take for a COG."""
    errors = cog_errors(path)
    if errors:
        raise IngestError(f"{name}: its drawn tiles are no valid COG: {'; '.join(errors)}")


def _ignored(_error: SceneUnreadableError) -> None:
    """Compose raises it by itself, since the scene is the only one."""
