"""Which files of a scene a style reads, and which bands of each."""

from __future__ import annotations

from dataclasses import dataclass

from mosaics.models import Band, Scene
from mosaics.styles import Style


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What is read of one file."""

    scene: Scene
    """The scene as that file shows it."""
    indexes: tuple[int, ...]
    """1-based numbers of bands in the file."""
    places: tuple[int, ...]
    """Of the style's variables, from 0: which each of the bands is."""

    @property
    def bands(self) -> tuple[Band, ...]:
        """The bands, in the order of `indexes`."""
        return tuple(self.scene.bands[index - 1] for index in self.indexes)


def readings(style: Style, scene: Scene) -> tuple[Reading, ...] | None:
    """Find what a style reads of a scene.

    One file is enough wherever one has all that the style wants, the leading one before others; else each
    variable is taken from the first file that has it, as the sharpening of colours by a panchromatic image
    does.

    Args:
        style: The style.
        scene: The scene.

    Returns:
        One reading per file, together all variables of the style; None where it doesn't apply.
    """
    indexes = style.bind(scene.bands, scene.kind)
    if indexes is not None or not scene.others:
        return None if indexes is None else (_whole(scene, indexes),)
    views = scene.views
    for view in views[1:]:
        indexes = style.bind(view.bands, view.kind)
        if indexes is not None:
            return (_whole(view, indexes),)
    return _across(style, views)


def fits(style: Style, scene: Scene) -> bool:
    """Tell whether a style finds in a scene what it reads."""
    if style.bind(scene.bands, scene.kind) is not None:
        return True
    return bool(scene.others) and readings(style, scene) is not None


def _whole(scene: Scene, indexes: tuple[int, ...]) -> Reading:
    return Reading(scene=scene, indexes=indexes, places=tuple(range(len(indexes))))


def _across(style: Style, views: tuple[Scene, ...]) -> tuple[Reading, ...] | None:
    together = tuple(band for view in views for band in view.bands)
    found = style.bind(together, views[0].kind)
    if found is None:
        return None
    parts, first = [], 0
    for view in views:
        last = first + len(view.bands)
        places = tuple(place for place, index in enumerate(found) if first < index <= last)
        if places:
            indexes = tuple(found[place] - first for place in places)
            parts.append(Reading(scene=view, indexes=indexes, places=places))
        first = last
    return tuple(parts)


def bands_bound(style: Style, scene: Scene) -> tuple[Band, ...] | None:
    """Give the band of each variable, in the style's order; None where it doesn't apply."""
    found = readings(style, scene)
    return None if found is None else bands_read(found)


def bands_read(found: tuple[Reading, ...]) -> tuple[Band, ...]:
    """Give the band of each variable, in the style's order."""
    by_place = {place: band for each in found for place, band in zip(each.places, each.bands, strict=True)}
    return tuple(by_place[place] for place in sorted(by_place))
