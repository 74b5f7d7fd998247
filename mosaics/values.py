"""Stored values of a layer over an area: the mosaic that tiles show, in numbers, as far as rights open it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rio_tiler.models import ImageData
from shapely.geometry.base import BaseGeometry

from mosaics.compose import inside
from mosaics.contribution import Contribution
from mosaics.errors import SceneUnreadableError
from mosaics.filters import SceneFilter
from mosaics.geodesy import ground_resolution
from mosaics.grids import Grid
from mosaics.lattice import Window, grid_for, window_around
from mosaics.layers import Layer, TimeSpan
from mosaics.models import UNMIXED_KINDS, Band, Bounds, Kind, Raster, Scene
from mosaics.read import Resampling, SceneReader
from mosaics.readings import readings
from mosaics.registry import Registry
from mosaics.resolve import ResolvedTile, frame_outline, resolve
from mosaics.styles import Style
from mosaics.zooms import zoom_range

PERCENTILES = (2, 98)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What numbers are about: bands of one meaning, whatever scene has them."""

    kind: Kind
    bands: tuple[Band, ...]


@dataclass(frozen=True, kw_only=True)
class LayerValues:
    """What a layer has over an area."""

    raster: Raster
    """Stored values, one band for each that was asked for; averaged where rights open only coarser ones."""
    asked: NDArray[np.bool_]
    """True for the pixels whose centre is in the area, shape (height, width)."""
    used: tuple[Contribution, ...]
    """What gave at least one pixel."""
    ground_resolution: float
    """Finest detail that was read, metres per pixel."""
    refused: bool
    """True when no scene is open at any resolution that was tried, here or anywhere."""
    window: Window | None = None
    """The pixels, which may be coarser than what was asked for; None: there are none."""


def subject_of(layer: Layer, style: Style | None) -> Subject:
    """Give what numbers of a layer are about: a style's bands, else all of its newest scene.

    Args:
        layer: The layer as the caller sees it.
        style: One of the layer's; None: all bands.
    """
    for scene in layer.examples if style is not None else ():
        assert style is not None
        found = readings(style, scene) if style.id in scene.styles else None
        if found is not None and len(found) == 1:  # of several files there are no pixels in common
            return Subject(kind=scene.kind, bands=found[0].bands)
    return Subject(kind=layer.first.kind, bands=layer.first.bands)


def layer_window(grids: Registry[Grid], layer: Layer, bounds: Bounds, max_size: int) -> Window | None:
    """Give the fixed pixels in which numbers of a layer are read within bounds.

    Args:
        grids: All grids.
        layer: The layer as the caller sees it.
        bounds: Longitude and latitude.
        max_size: Most columns and rows.

    Returns:
        The window; None where the layer has nothing.
    """
    left, bottom = max(bounds.left, layer.bounds.left), max(bounds.bottom, layer.bounds.bottom)
    right, top = min(bounds.right, layer.bounds.right), min(bounds.top, layer.bounds.top)
    if left > right or bottom > top:
        return None
    near = Bounds(left, bottom, right, top)
    grid = grid_for(grids, near)
    return window_around(grid, near, finest=zoom_range(grid, layer)[1], max_size=max_size)


def no_values(subject: Subject) -> LayerValues:
    """Give what there is where nothing of a layer can be."""
    nothing = np.zeros((1, 1), bool)
    return LayerValues(
        raster=Raster(data=np.zeros((len(subject.bands), 1, 1), "uint8"), valid=nothing),
        asked=nothing,
        used=(),
        ground_resolution=0.0,
        refused=False,
    )


def values_over(
    layer: Layer,
    scene_filter: SceneFilter,
    reader: SceneReader,
    *,
    window: Window,
    area: BaseGeometry | None,
    subject: Subject,
    span: TimeSpan,
    styles: Registry[Style],
    on_unreadable: Callable[[SceneUnreadableError], None],
) -> LayerValues:
    """Read the first valid pixel at each place, each no finer than the rights that open it there.

    A scene that is open finely here and coarsely there is read at both levels; what is coarse counts once
    for each pixel that it covers. A pixel is read where its own centre is open, at the finest level at which
    it is, and if the centre of the coarse pixel is open too. Scenes whose bands are others say nothing.

    Args:
        layer: The layer as the caller sees it.
        scene_filter: What the caller may read; the same that made the layer.
        reader: How scenes are read.
        window: The pixels.
        area: Longitude and latitude; pixels whose centre is outside are left out. None: the whole window.
        subject: As `subject_of` gives it.
        span: Acquisition times asked for.
        styles: All styles.
        on_unreadable: Told of each scene whose file fails; the others go on.

    Raises:
        SceneUnreadableError: If every scene fails.
    """
    levels, near = _levels(layer, scene_filter, window, span, styles)
    bands = subject.bands
    window, levels = _without_empty(window, levels)
    frame = window.frame
    asked = np.ones((frame.height, frame.width), bool) if area is None else inside(area, frame)
    data = np.zeros(
        (len(bands), frame.height, frame.width), np.result_type(*(band.data_type for band in bands))
    )
    valid = np.zeros(asked.shape, bool)
    used: list[Contribution] = []
    failures: list[SceneUnreadableError] = []
    read = 0
    for scene in near:
        source = source_of(scene, subject)
        if source is None:
            continue
        finer = np.zeros(valid.shape, bool)
        for factor, contribution in _openings(scene, levels):
            opened = _inside(contribution, window, 0) & ~finer
            finer |= opened
            wanted = asked & ~valid & opened & _inside(contribution, window, factor)
            if not wanted.any():
                continue
            try:
                raster = _read(reader, *source, window, factor)
            except SceneUnreadableError as error:
                failures.append(error)
                on_unreadable(error)
                break
            read += 1
            fresh = wanted & raster.valid
            if fresh.any():
                data[:, fresh] = raster.data[:, fresh]
                valid |= fresh
                used.append(contribution)
    if failures and not read:
        raise failures[0]
    return LayerValues(
        raster=Raster(data=data, valid=valid),
        asked=asked,
        used=tuple(used),
        ground_resolution=levels[0].ground_resolution,
        refused=bool(near) and all(level.resolution_refused for level in levels),
        window=window,
    )


def statistics(values: LayerValues, bands: Sequence[Band]) -> dict[str, dict[str, Any]]:
    """Give rio-tiler's statistics of each band, `b1` first; null for numbers that there are none of."""
    masked = np.ma.MaskedArray(
        values.raster.data, np.broadcast_to(~values.raster.valid, values.raster.data.shape)
    )
    image = ImageData(
        masked.copy(),
        band_names=[f"b{place}" for place in range(1, len(bands) + 1)],
        band_descriptions=[band.common_name or band.name for band in bands],
    )
    weights = values.asked.astype("float64")
    if not weights.any():
        weights[:] = 1.0  # nothing is asked and nothing is valid: all numbers are null
    try:
        found = image.statistics(percentiles=list(PERCENTILES), coverage=weights)
    except ValueError:  # numpy's histogram: the numbers are too near to each other for ten bins
        found = image.statistics(percentiles=list(PERCENTILES), coverage=weights, hist_options={"bins": 1})
    return {name: _finite(band.model_dump()) for name, band in found.items()}


def _levels(
    layer: Layer, scene_filter: SceneFilter, window: Window, span: TimeSpan, styles: Registry[Style]
) -> tuple[list[ResolvedTile], tuple[Scene, ...]]:
    """Resolve the window at its level and at each coarser one, until one pixel is as wide as all.

    Returns:
        The levels, the finest first, and the scenes that they can hold.
    """
    factors = [0]
    while factors[-1] < window.level and max(window.width, window.height) >> factors[-1] > 1:
        factors.append(factors[-1] + 1)
    outline = frame_outline(window.coarser(factors[-1]).frame)
    near = layer.meeting(outline)
    levels = [
        resolve(
            layer if near is None else near,
            scene_filter,
            frame,
            ground_resolution=ground_resolution(frame),
            span=span,
            style_id=None,
            styles=styles,
            most=None,
        )
        for frame in (window.coarser(factor).frame for factor in factors)
    ]
    return levels, () if near is None else near.scenes


def _without_empty(window: Window, levels: list[ResolvedTile]) -> tuple[Window, list[ResolvedTile]]:
    """Leave out the finest levels at which nothing is open here."""
    first = next((n for n, level in enumerate(levels) if level.contributions), 0)
    return window.coarser(first), levels[first:]


def _openings(scene: Scene, levels: Sequence[ResolvedTile]) -> list[tuple[int, Contribution]]:
    """Give how a scene is open, level by level, where a coarser one opens more than those before it."""
    found: list[tuple[int, Contribution]] = []
    for factor, level in enumerate(levels):
        for contribution in level.contributions:
            if not is_same(contribution.scene, scene):
                continue
            if not found or contribution.mask_digest != found[-1][1].mask_digest:
                found.append((factor, contribution))
            if contribution.mask is None:
                return found
    return found


def source_of(scene: Scene, subject: Subject) -> tuple[Scene, tuple[int, ...]] | None:
    """Find the file of a scene that has all bands, and their numbers from 1; None where none has them."""
    if scene.kind != subject.kind:
        return None
    for view in scene.views:
        places = [
            next((n for n, other in enumerate(view.bands, start=1) if _same(band, other)), None)
            for band in subject.bands
        ]
        found = tuple(place for place in places if place is not None)
        if len(found) == len(places):
            return view, found
    return None


def is_same(one: Scene, other: Scene) -> bool:
    """Tell whether two values are the same scene, whenever each was made."""
    return (one.collection_id, one.id, one.sequence) == (other.collection_id, other.id, other.sequence)


def _same(one: Band, other: Band) -> bool:
    named = one.name == other.name if one.common_name is None else one.common_name == other.common_name
    return named and (one.data_type, one.unit) == (other.data_type, other.unit)


def _inside(contribution: Contribution, window: Window, factor: int) -> NDArray[np.bool_]:
    """Tell which pixels of a window lie in one of a coarser level whose centre is open, (height, width)."""
    if contribution.mask is None:
        return np.ones((window.height, window.width), bool)
    return _spread(inside(contribution.mask, window.coarser(factor).frame), window, factor)


def _read(reader: SceneReader, scene: Scene, places: Sequence[int], window: Window, factor: int) -> Raster:
    """Read a scene at a coarser level onto the pixels of a window."""
    resampling: Resampling = "nearest" if scene.kind in UNMIXED_KINDS else "bilinear"
    raster = reader.read(scene, places, window.coarser(factor).frame, resampling)
    return Raster(data=_spread(raster.data, window, factor), valid=_spread(raster.valid, window, factor))


def _spread(values: NDArray[Any], window: Window, factor: int) -> NDArray[Any]:
    """Bring what was made for a coarser level onto the window's pixels; rows and columns come last."""
    coarse, size = window.coarser(factor), 1 << factor
    top = window.rows[0] - coarse.rows[0] * size
    left = window.columns[0] - coarse.columns[0] * size
    wide = values.repeat(size, axis=-2).repeat(size, axis=-1)
    return wide[..., top : top + window.height, left : left + window.width]


def _finite(value: Any) -> Any:
    """Put None for what JSON has no number for."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
