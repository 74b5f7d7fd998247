"""What a layer is for one caller: the scenes, extent, dates and styles that the filter leaves."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

import shapely

from mosaics.catalog.index import CatalogIndex
from mosaics.errors import LayerNotFoundError, StyleNotFoundError, TimeNotFoundError
from mosaics.filters import SceneFilter
from mosaics.geodesy import ground_resolution
from mosaics.grids import Grid
from mosaics.models import Bounds, Collection, Scene, Text
from mosaics.times import ANY_TIME, DEFAULT, LATEST, TimeSpan, parse_time

__all__ = [
    "ANY_TIME",
    "COLLECTION_ID",
    "DEFAULT",
    "LATEST",
    "SCENE_ID",
    "Layer",
    "TimeSpan",
    "find_layer",
    "list_layers",
    "overview_zoom",
    "visible_collections",
    "zoom_range",
]

COLLECTION_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SCENE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A collection, or one scene of it, as a caller sees it; never empty."""

    id: str
    collection: Collection
    scenes: tuple[Scene, ...]
    """The scenes that the filter sees, newest first."""
    single: bool
    """True for a layer of one scene (`collection:scene`)."""
    extents: tuple[Bounds, ...] = ()
    """Longitudes and latitudes around what is open of each scene; none: around its footprint."""
    limit: float = 0.0
    """Finest detail that rights open of any of its scenes, metres per pixel; 0: no limit."""
    resolutions: tuple[float, ...] = ()
    """Finest detail there is to see of each scene, native or as far as rights open it; none: native."""
    rights: str = ""
    """Digest of the filter that made it so."""

    @cached_property
    def title(self) -> Text:
        """Title of the collection, with the scene's id for a layer of one scene."""
        if not self.single:
            return self.collection.title
        scene = self.scenes[0].id
        return Text(fr=f"{self.collection.title.fr} : {scene}", en=f"{self.collection.title.en}: {scene}")

    @cached_property
    def bounds(self) -> Bounds:
        """Longitudes and latitudes around all scenes; -180..180 where they cross the antimeridian."""
        if self.extents:
            wests, souths, easts, norths = zip(*self.extents, strict=True)
            return Bounds(min(wests), min(souths), max(easts), max(norths))
        return Bounds(*(float(v) for v in shapely.total_bounds([s.footprint for s in self.scenes])))

    @cached_property
    def times(self) -> tuple[str, ...]:
        """Distinct acquisition dates (UTC), ascending, as YYYY-MM-DD."""
        return tuple(sorted({s.acquired.date().isoformat() for s in self.scenes if s.acquired}))

    @cached_property
    def styles(self) -> tuple[str, ...]:
        """Style ids, the default first: those of the scene banked first, then what others add."""
        ordered: dict[str, None] = {}
        for scene in sorted(self.scenes, key=lambda s: s.sequence):
            ordered.update(dict.fromkeys(scene.styles))
        return tuple(ordered)

    @cached_property
    def examples(self) -> tuple[Scene, ...]:
        """One scene, the newest, of each sort that styles tell apart: by kind, bands and styles."""
        found: dict[object, Scene] = {}
        for scene in self.scenes:
            bands = tuple((band.name, band.common_name, band.data_type) for band in scene.bands)
            found.setdefault((scene.kind, bands, scene.styles), scene)
        return tuple(found.values())

    @cached_property
    def ground_resolution(self) -> float:
        """Finest ground sample distance that is shown of it, metres per pixel: native, or as rights open."""
        return min(self.resolutions or (scene.finest_resolution for scene in self.scenes))

    @cached_property
    def attribution(self) -> str:
        """The distinct copyright lines of its scenes and collection."""
        lines = dict.fromkeys(scene.attribution or self.collection.attribution for scene in self.scenes)
        return " · ".join(line for line in lines if line)

    @cached_property
    def licences(self) -> tuple[str, ...]:
        """The distinct licence ids of its scenes."""
        return tuple(sorted({s.licence_id for s in self.scenes if s.licence_id}))

    @cached_property
    def sensors(self) -> tuple[str, ...]:
        """The distinct sensor ids of its scenes."""
        return tuple(sorted({s.sensor_id for s in self.scenes}))

    @cached_property
    def generation(self) -> str:
        """Changes whenever something that this caller sees of the layer does; 16 hex characters."""
        canonical = repr([self.rights, [(s.id, s.generation, s.sequence) for s in self.scenes]])
        return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()

    def style_id(self, asked: str | None) -> str | None:
        """Check a style name; None stands for each scene's default.

        Raises:
            StyleNotFoundError: If no scene of the layer has it.
        """
        if asked in {None, "", DEFAULT}:
            return None
        assert asked is not None
        if asked not in self.styles:
            raise StyleNotFoundError(asked)
        return asked

    def span(self, asked: str | None) -> TimeSpan:
        """Parse a time as `parse_time` does; a single date or instant must be one of the layer.

        Raises:
            TimeNotFoundError: If it can't be parsed, or is a single date without a scene.
        """
        span = parse_time(asked)
        if span.single and not any(span.holds(scene) for scene in self.scenes):
            raise TimeNotFoundError(asked or "")
        return span


def find_layer(index: CatalogIndex, layer_id: str, scene_filter: SceneFilter) -> Layer:
    """Give the layer as the filter leaves it.

    Args:
        index: The catalogue.
        layer_id: A collection id, or `collection:scene`.
        scene_filter: What the caller may see.

    Raises:
        LayerNotFoundError: If there is no such layer, or the filter leaves nothing of it.
    """
    collection_id, colon, scene_id = layer_id.partition(":")
    collection = index.collections.get(collection_id)
    group = index.by_collection.get(collection_id)
    if collection is None or group is None:
        raise LayerNotFoundError(layer_id)
    if colon:
        scene = index.scenes.get((collection_id, scene_id))
        candidates = [scene] if scene is not None else []
    else:
        candidates = list(group.scenes)
    seen = [(scene, extent) for scene in candidates if (extent := scene_filter.extent(scene)) is not None]
    if not seen:
        raise LayerNotFoundError(layer_id)
    scenes = tuple(scene for scene, _ in seen)
    return Layer(
        id=layer_id,
        collection=collection,
        scenes=scenes,
        single=bool(colon),
        extents=tuple(extent for _, extent in seen),
        limit=min(scene_filter.finest(scene) for scene in scenes),
        resolutions=tuple(max(s.finest_resolution, scene_filter.finest(s)) for s in scenes),
        rights=scene_filter.digest,
    )


def visible_collections(index: CatalogIndex, scene_filter: SceneFilter) -> frozenset[str]:
    """Give the ids of the collections of which the filter leaves something."""
    sets = [rule.scenes for rule in scene_filter.rules]
    return frozenset(
        collection_id
        for collection_id, group in index.by_collection.items()
        if collection_id in index.collections
        and any(held.may_hold(collection_id, *kind) for kind in group.kinds for held in sets)
        and any(scene_filter.sees(scene) for scene in group.scenes)
    )


def list_layers(index: CatalogIndex, scene_filter: SceneFilter) -> tuple[Layer, ...]:
    """Give the collections of which the filter leaves something, ordered by id."""
    layers = []
    for collection_id in sorted(index.by_collection):
        try:
            layers.append(find_layer(index, collection_id, scene_filter))
        except LayerNotFoundError:
            continue
    return tuple(layers)


def zoom_range(grid: Grid, layer: Layer) -> tuple[int, int]:
    """Give the zooms that a layer is served at in a grid without being enlarged or refused.

    Returns:
        The coarsest zoom that rights open (the first of the grid, unless a pole is on its tile there, where
        degrees are short), and the native one or the finest that rights open.
    """
    bounds = layer.bounds
    finest = grid.zoom_for(layer.ground_resolution, (bounds.bottom + bounds.top) / 2)
    while layer.limit and finest > grid.minzoom and not _coarse_enough(grid, finest, layer):
        finest -= 1
    coarsest = finest
    while coarsest > grid.minzoom and (not layer.limit or _coarse_enough(grid, coarsest - 1, layer)):
        coarsest -= 1
    return coarsest, finest


def _coarse_enough(grid: Grid, zoom: int, layer: Layer) -> bool:
    """Tell whether the tiles at the corners and in the middle of a layer are no finer than its limit."""
    tiles = grid.tiles(layer.bounds, zoom)
    if tiles is None:
        return True
    columns = {tiles.min_col, (tiles.min_col + tiles.max_col) // 2, tiles.max_col}
    rows = {tiles.min_row, (tiles.min_row + tiles.max_row) // 2, tiles.max_row}
    return all(
        ground_resolution(grid.frame(zoom, column, row)) >= layer.limit for column in columns for row in rows
    )


def overview_zoom(grid: Grid, bounds: Bounds, finest: int) -> int:
    """Give the finest zoom up to `finest` at which lon/lat bounds lie on at most 2 x 2 tiles."""
    zoom = finest
    while zoom > grid.minzoom:
        tiles = grid.tiles(bounds, zoom)
        if tiles and tiles.max_col - tiles.min_col <= 1 and tiles.max_row - tiles.min_row <= 1:
            break
        zoom -= 1
    return zoom
