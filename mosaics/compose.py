"""Composes a tile from its scenes: the first valid pixel has the say, and what rights cut is never there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mosaics.errors import NobodyWaitsError, SceneUnreadableError
from mosaics.geodesy import ground_pixel_size, lonlat_transformer, nominal_pixel_size
from mosaics.models import Frame, Picture, Raster
from mosaics.ranking import Ranked
from mosaics.read import SceneReader
from mosaics.readings import Reading, bands_read, readings
from mosaics.render import Recipe, render
from mosaics.resolve import Contribution, ResolvedTile
from mosaics.stopping import Stop, at_once, go_on, never

Used = tuple[Contribution, ...]


def compose(
    tile: ResolvedTile,
    reader: SceneReader,
    on_unreadable: Callable[[SceneUnreadableError], None],
    stop: Stop = never,
) -> tuple[Picture, Used]:
    """Render the scenes of a tile one over the other, stopping when it is full.

    Args:
        tile: The ordered scenes and the frame.
        reader: How scenes are read.
        on_unreadable: Told of each scene whose file fails; the others go on.
        stop: Asked before each scene, and within it before each block is decoded.

    Returns:
        The picture, and the contributions that gave at least one pixel.

    Raises:
        SceneUnreadableError: If every scene of the tile fails.
        NobodyWaitsError: If `stop` said so.
    """
    height, width = tile.frame.height, tile.frame.width
    rgb = np.zeros((height, width, 3), dtype="uint8")
    alpha = np.zeros((height, width), dtype="uint8")
    used: list[Contribution] = []
    failures: list[SceneUnreadableError] = []
    pictures = Ranked(
        contributions=tile.contributions,
        frame=tile.frame,
        reader=reader,
        render=lambda each: _scene_picture(each, tile.frame, reader, stop),
        cut=cut,
        stop=stop,
    )
    for contribution in tile.contributions:
        go_on(stop)
        try:
            picture = pictures.picture(contribution)
        except SceneUnreadableError as error:
            failures.append(error)
            on_unreadable(error)
            continue
        if not used and (len(tile.contributions) == 1 or picture.alpha.all()):
            return picture, (contribution,) if picture.alpha.any() else ()
        fresh = (alpha == 0) & (picture.alpha > 0)
        if fresh.any():
            rgb[fresh] = picture.rgb[fresh]
            alpha[fresh] = picture.alpha[fresh]
            used.append(contribution)
            if alpha.all():
                break
    if failures and len(failures) == len(tile.contributions):
        raise failures[0]
    return Picture(rgb=rgb, alpha=alpha), tuple(used)


def compose_at_once(tile: ResolvedTile, reader: SceneReader) -> tuple[Picture, Used] | None:
    """Render a tile of one scene, if that takes about a millisecond and waits for nothing.

    Returns:
        As `compose`; None: let `compose` do it, in a thread.
    """
    (contribution,) = tile.contributions
    try:
        picture = _scene_picture(contribution, tile.frame, reader, at_once)
    except (NobodyWaitsError, SceneUnreadableError):
        return None
    return picture, (contribution,) if picture.alpha.any() else ()


def _scene_picture(contribution: Contribution, frame: Frame, reader: SceneReader, stop: Stop) -> Picture:
    scene, style = contribution.scene, contribution.style
    found = readings(style, scene)
    if found is None:  # no style of those that it was banked with fits any more
        shape = frame.height, frame.width
        return Picture(rgb=np.zeros((*shape, 3), dtype="uint8"), alpha=np.zeros(shape, dtype="uint8"))
    padded = frame.padded(style.buffer) if style.buffer else frame
    rasters = [reader.read(part.scene, part.indexes, padded, style.resampling, stop) for part in found]
    raster = rasters[0] if len(found) == 1 else _together(found, rasters)
    recipe = Recipe(style=style, bands=bands_read(found), colormap=scene.colormap)
    ground = ground_pixel_size(padded) if style.algorithm else None
    picture = render(raster, recipe, ground, pixel=nominal_pixel_size(frame) if style.algorithm else 0.0)
    return picture if contribution.mask is None else cut(picture, inside(contribution.mask, frame))


def _together(found: tuple[Reading, ...], rasters: list[Raster]) -> Raster:
    """Put the bands of several files in the style's order; what is valid is so in all of them."""
    places = [place for part in found for place in part.places]
    data = np.concatenate([raster.data for raster in rasters])[np.argsort(places)]
    return Raster(data=data, valid=np.logical_and.reduce([raster.valid for raster in rasters]))


def cut(picture: Picture, keep: NDArray[np.bool_]) -> Picture:
    """Give the picture blanked, colours and index too, wherever `keep` is False."""
    indexed = picture.indexed
    return Picture(
        rgb=picture.rgb * keep[..., np.newaxis],
        alpha=picture.alpha * keep,
        indexed=None if indexed is None else replace(indexed, values=indexed.values * keep),
    )


def inside(area: BaseGeometry, frame: Frame) -> NDArray[np.bool_]:
    """Test each output pixel's centre against an area.

    Args:
        area: Longitude and latitude.
        frame: The pixels.

    Returns:
        True inside, shape (height, width).
    """
    left, bottom, right, top = frame.bounds
    xs = left + (np.arange(frame.width) + 0.5) * ((right - left) / frame.width)
    ys = top - (np.arange(frame.height) + 0.5) * ((top - bottom) / frame.height)
    grid_x, grid_y = np.meshgrid(xs, ys)
    longitude, latitude = lonlat_transformer(frame.crs).transform(grid_x, grid_y)
    held: NDArray[np.bool_] = shapely.contains_xy(area, longitude, latitude)
    return held
