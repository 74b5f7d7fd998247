"""Composes a tile from its scenes: the first valid pixel has the say, and what rights cut is never there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mosaics.channels import blanked
from mosaics.contribution import Contribution
from mosaics.cropping import Part, wanted
from mosaics.errors import NobodyWaitsError, SceneUnreadableError
from mosaics.geodesy import ground_pixel_size, lonlat_transformer, nominal_pixel_size
from mosaics.levels import channels, ranges
from mosaics.models import Band, Frame, Picture, Raster
from mosaics.mosaic import PixelSelection
from mosaics.ranking import Ranked
from mosaics.read import SceneReader
from mosaics.readings import Reading, readings
from mosaics.render import Recipe, render
from mosaics.resolve import ResolvedTile
from mosaics.stopping import Stop, at_once, go_on, never
from mosaics.styles import Style

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
    if tile.pixel_selection != "first" and len(tile.contributions) > 1:
        return compose_reduced(tile, reader, on_unreadable, stop)
    height, width = tile.frame.height, tile.frame.width
    rgb = np.zeros((height, width, 3), dtype="uint8")
    alpha = np.zeros((height, width), dtype="uint8")
    whole = slice(0, height), slice(0, width)
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
    alone = len(tile.contributions) == 1
    for contribution in tile.contributions:
        go_on(stop)
        part = whole if alone else _part(contribution, tile.frame, alpha == 0)
        if part is None:
            continue
        try:
            if part == whole:
                picture = pictures.picture(contribution)
            else:
                picture = _scene_picture(contribution, tile.frame.part(*part), reader, stop)
        except SceneUnreadableError as error:
            failures.append(error)
            on_unreadable(error)
            continue
        if not used and part == whole and (alone or picture.alpha.all()):
            return picture, (contribution,) if picture.alpha.any() else ()
        if _laid_below(rgb, alpha, part, picture):
            used.append(contribution)
            if alpha.all():
                break
    if failures and len(failures) == len(tile.contributions):
        raise failures[0]
    return Picture(rgb=rgb, alpha=alpha), tuple(used)


def _laid_below(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], part: Part, picture: Picture) -> bool:
    """Put a picture where nothing is yet, in a part of a frame; False where it has nothing for there."""
    held = np.ascontiguousarray(alpha[part])
    fresh = ((held == 0) & (picture.alpha > 0)).view(np.uint8)
    if not fresh.any():
        return False
    rgb[part] = cv2.copyTo(picture.rgb, fresh, np.ascontiguousarray(rgb[part]))
    alpha[part] = cv2.copyTo(picture.alpha, fresh, held)
    return True


def _part(contribution: Contribution, frame: Frame, missing: NDArray[np.bool_]) -> Part | None:
    """Give what of a frame a scene should be read for.

    Of kernels all of it, since they look around each pixel; of what is interleaved too, to be compared.
    """
    if contribution.rank is not None or contribution.style.algorithm is not None:
        return slice(0, frame.height), slice(0, frame.width)
    return wanted(contribution.scene, frame, missing)


def compose_reduced(
    tile: ResolvedTile,
    reader: SceneReader,
    on_unreadable: Callable[[SceneUnreadableError], None],
    stop: Stop = never,
) -> tuple[Picture, Used]:
    """Render the mean or the greatest of the values that the scenes of a tile have at each place.

    Of bands, or of what the style's formulas make of them, before they are stretched. Scenes whose channels
    are not as many as those of the first say nothing; styles that no value can be taken of (relief, palettes)
    show the first valid pixel. Arguments, result and errors are those of `compose`.
    """
    first = next((each.recipe for each in tile.contributions if each.recipe is not None), None)
    if first is None or first.style.algorithm is not None or first.colormap:
        return compose(replace(tile, pixel_selection="first"), reader, on_unreadable, stop)
    bounds, reduced = ranges(first), _Reduced(tile.pixel_selection)
    failures: list[SceneUnreadableError] = []
    for contribution in tile.contributions:
        go_on(stop)
        try:
            reduced.add(contribution, *_channels(contribution, len(bounds), tile.frame, reader, stop))
        except SceneUnreadableError as error:
            failures.append(error)
            on_unreadable(error)
    if failures and len(failures) == len(tile.contributions):
        raise failures[0]
    shape = (len(bounds), tile.frame.height, tile.frame.width)
    raster = reduced.raster(shape)
    names = [f"c{place}" for place in range(len(bounds))]
    style = replace(first.style, variables=dict.fromkeys(names, ("*",)), expression=(), rescale=bounds)
    bands = tuple(Band(name=name, data_type="float32") for name in names)
    return render(raster, Recipe(style=style, bands=bands)), tuple(reduced.used)


@dataclass
class _Reduced:
    """Values of several scenes becoming one."""

    how: PixelSelection
    used: list[Contribution] = field(default_factory=list)
    _values: NDArray[np.float32] | None = None
    _count: NDArray[np.int32] | None = None

    def add(
        self, contribution: Contribution, values: NDArray[np.float32] | None, valid: NDArray[np.bool_]
    ) -> None:
        """Add the values of a scene, shape (channels, height, width)."""
        if values is None or not valid.any():
            return
        self.used.append(contribution)
        lowest = np.float32(0 if self.how == "mean" else -np.inf)
        fresh = np.where(valid, values, lowest)
        if self._values is None or self._count is None:
            self._values, self._count = fresh, valid.astype(np.int32)
            return
        self._values = self._values + fresh if self.how == "mean" else np.maximum(self._values, fresh)
        self._count = self._count + valid

    def raster(self, shape: tuple[int, int, int]) -> Raster:
        """Give what they became."""
        if self._values is None or self._count is None:
            return Raster(data=np.zeros(shape, np.float32), valid=np.zeros(shape[1:], bool))
        valid = self._count > 0
        values = self._values / np.maximum(self._count, 1) if self.how == "mean" else self._values
        return Raster(data=np.where(valid, values, 0).astype(np.float32), valid=valid)


def _channels(
    contribution: Contribution, count: int, frame: Frame, reader: SceneReader, stop: Stop
) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_]]:
    """Read what of a scene would be stretched, and where it counts; None where that are other channels."""
    nothing = None, np.zeros((frame.height, frame.width), bool)
    found, recipe = readings(contribution.style, contribution.scene), contribution.recipe
    if found is None or recipe is None or len(ranges(recipe)) != count:
        return nothing
    if contribution.style.algorithm is not None:
        return nothing
    raster = bands_on(found, contribution.style, frame, reader, stop)
    values = np.stack(channels(raster, recipe))
    valid = raster.valid & np.isfinite(values).all(axis=0)
    keep = kept_pixels(contribution, frame, reader, stop)
    return values, valid if keep is None else valid & keep


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
    found, recipe = readings(style, scene), contribution.recipe
    if found is None or recipe is None:  # no style of those that it was banked with fits any more
        shape = frame.height, frame.width
        return Picture(rgb=np.zeros((*shape, 3), dtype="uint8"), alpha=np.zeros(shape, dtype="uint8"))
    padded = frame.padded(style.buffer) if style.buffer else frame
    raster = bands_on(found, style, padded, reader, stop)
    ground = ground_pixel_size(padded) if style.algorithm else None
    picture = render(raster, recipe, ground, pixel=nominal_pixel_size(frame) if style.algorithm else 0.0)
    keep = kept_pixels(contribution, frame, reader, stop)
    return picture if keep is None else cut(picture, keep)


def kept_pixels(
    contribution: Contribution, frame: Frame, reader: SceneReader, stop: Stop = never
) -> NDArray[np.bool_] | None:
    """Tell which pixels of a scene count: those that are open, and are no cloud where that matters.

    Returns:
        Shape (height, width); None: all of them.
    """
    keep = None if contribution.mask is None else inside(contribution.mask, frame)
    if contribution.cloud_mask and contribution.scene.mask is not None:
        classes = reader.read(contribution.scene.mask_view, (1,), frame, "nearest", stop)
        clear = ~(classes.valid & np.isin(classes.data[0], contribution.scene.mask.cloudy))
        keep = clear if keep is None else keep & clear
    return keep


def bands_on(
    found: tuple[Reading, ...], style: Style, frame: Frame, reader: SceneReader, stop: Stop = never
) -> Raster:
    """Read the bands of a style on a frame, in the style's order."""
    rasters = [reader.read(part.scene, part.indexes, frame, style.resampling, stop) for part in found]
    return rasters[0] if len(found) == 1 else _together(found, rasters)


def _together(found: tuple[Reading, ...], rasters: list[Raster]) -> Raster:
    """Put the bands of several files in the style's order; what is valid is so in all of them."""
    places = [place for part in found for place in part.places]
    data = np.concatenate([raster.data for raster in rasters])[np.argsort(places)]
    return Raster(data=data, valid=np.logical_and.reduce([raster.valid for raster in rasters]))


def cut(picture: Picture, keep: NDArray[np.bool_]) -> Picture:
    """Give the picture blanked, colours and index too, wherever `keep` is False."""
    indexed = picture.indexed
    return Picture(
        rgb=blanked(picture.rgb, keep),
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
