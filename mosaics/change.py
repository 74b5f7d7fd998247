"""Composes the change between two dates: the value of each by first valid pixel, then their difference."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mosaics.change_look import Look, Value, value_of_style
from mosaics.compose import Used, bands_on, kept_pixels
from mosaics.contribution import Contribution
from mosaics.errors import SceneUnreadableError
from mosaics.levels import channels
from mosaics.models import Band, Picture, Raster
from mosaics.read import SceneReader
from mosaics.readings import bands_read, readings
from mosaics.render import Recipe, render
from mosaics.resolve import ResolvedTile
from mosaics.stopping import Stop, go_on, never
from mosaics.styles import Style

VERSION: Final = 1
"""Raised with every change of how two dates are compared."""
_BAND: Final = Band(name="difference", data_type="float64")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """The two dates of a change, each as it was resolved for the caller, on one frame."""

    later: ResolvedTile
    """What is subtracted from: of `time=`."""
    earlier: ResolvedTile
    """What is subtracted: of `compare=`."""
    look: Look
    """Of which value, and how it is shown."""

    def key(self, output: str) -> str:
        """Give the content key, as that of a tile: of both dates and of all that compares them."""
        parts = (f"change{VERSION}", self.look.token(), self.later.key(output), self.earlier.key(output))
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=20).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Values:
    """One value of a date, and what gave each pixel."""

    data: NDArray[np.float64]
    """Shape (height, width)."""
    owners: NDArray[np.int16]
    """Places of contributions, from 0; -1 where nothing is valid."""


def compose_change(
    pair: Pair,
    reader: SceneReader,
    on_unreadable: Callable[[SceneUnreadableError], None],
    stop: Stop = never,
) -> tuple[Picture, Used]:
    """Render the difference of two dates: nothing where either is cut by rights or has no value.

    Args:
        pair: Both dates.
        reader: How scenes are read.
        on_unreadable: Told of each scene whose file fails; the others go on.
        stop: Asked before each scene, and within it before each block is decoded.

    Returns:
        The picture, and the contributions of both dates that gave at least one pixel of it.

    Raises:
        SceneUnreadableError: If every scene of a date fails.
        NobodyWaitsError: If `stop` said so.
    """
    tiles = (pair.later, pair.earlier)
    later, earlier = (_values(tile, pair.look.value, reader, on_unreadable, stop) for tile in tiles)
    valid = (later.owners >= 0) & (earlier.owners >= 0)
    difference = np.where(valid, later.data - earlier.data, 0.0)
    picture = render(
        Raster(data=difference[np.newaxis], valid=valid),
        Recipe(style=_style(pair.look), bands=(_BAND,)),
    )
    used = [
        tile.contributions[owner]
        for tile, values in zip(tiles, (later, earlier), strict=True)
        for owner in np.unique(values.owners[valid])
    ]
    return picture, tuple(used)


def _style(look: Look) -> Style:
    """Give the style that shows a difference."""
    return Style(
        id="change",
        title=look.title,
        variables={"difference": ("*",)},
        rescale=(look.rescale,),
        resampling="bilinear",
        kinds=(look.value.kind,),
        source=("house",),
        colormap_name=look.colormap_name,
    )


def _values(
    tile: ResolvedTile,
    value: Value,
    reader: SceneReader,
    on_unreadable: Callable[[SceneUnreadableError], None],
    stop: Stop,
) -> _Values:
    """Compose the value of a date; scenes that have another say nothing."""
    shape = tile.frame.height, tile.frame.width
    data, owners = np.zeros(shape), np.full(shape, -1, "int16")
    failures: list[SceneUnreadableError] = []
    read = 0
    for place, contribution in enumerate(tile.contributions):
        if value_of_style(contribution.style, contribution.scene) != value:
            continue
        go_on(stop)
        try:
            numbers, valid = _numbers(contribution, tile, value, reader, stop)
        except SceneUnreadableError as error:
            failures.append(error)
            on_unreadable(error)
            continue
        read += 1
        fresh = (owners < 0) & valid
        data[fresh], owners[fresh] = numbers[fresh], place
        if (owners >= 0).all():
            break
    if failures and not read:
        raise failures[0]
    return _Values(data=data, owners=owners)


def _numbers(
    contribution: Contribution, tile: ResolvedTile, value: Value, reader: SceneReader, stop: Stop
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read a scene's value, and where it is open and a number."""
    style = contribution.style
    found = readings(style, contribution.scene)
    assert found is not None, "it has a value"
    raster = bands_on(found, style, tile.frame, reader, stop)
    if value.expression is None:
        numbers = raster.data[0].astype("float64")
    else:
        numbers = channels(raster, Recipe(style=style, bands=bands_read(found)))[0].astype("float64")
    valid = raster.valid & np.isfinite(numbers)
    keep = kept_pixels(contribution, tile.frame, reader, stop)
    return numbers, valid if keep is None else valid & keep
