"""A caller's own style: bands or an index, their range, colours and gamma, over one of the layer's styles.

Values are already parsed here. What comes out are styles like any other, with a digest of what they show, so
that everything that is keyed by style stays right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, get_args

from mosaics.errors import BandsNotFoundError, StyleUnsuitableError
from mosaics.layers import Layer
from mosaics.models import Band, Kind, Scene, Text
from mosaics.readings import bands_bound, readings
from mosaics.registry import Registry
from mosaics.resolve import ResolvedTile
from mosaics.styles import Ranges, Style

OWN: Final = "own"
"""Id of each of these styles; what tells them apart is their digest."""
UNFIT: Final = (BandsNotFoundError, StyleUnsuitableError)
"""Why a scene can't be shown as it is wanted."""
MOST_STYLES: Final = 512
"""That are remembered."""
_LEVELS: Final = (0.0, 255.0)
_TITLE: Final = Text(fr="Bandes choisies", en="Chosen bands")


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnStyle:
    """What a caller wants otherwise than the layer's style has it; at least one field is given."""

    bands: tuple[str, ...] = ()
    """One or three, each by common name, by its own name, or by number from 1; none: those of the style."""
    index: str | None = None
    """Id of an index, instead of bands."""
    rescale: Ranges = ()
    """One range for all channels, or one for each, in the channel's unit; none: as the style stretches."""
    colormap_name: str | None = None
    """Of rio_tiler.colormap.cmap; None: the style's colours."""
    gamma: float | None = None
    """Above 1 brightens, below 1 darkens; None: the style's colour formula."""


class OwnStyles:
    """Makes styles of what callers want, and remembers the last of them; for any thread."""

    def __init__(self, styles: Registry[Style], indices: Registry[Style], most: int = MOST_STYLES) -> None:
        """Take the styles and indices that there are.

        Args:
            styles: All styles.
            indices: All indices, each as the style that shows it.
            most: Styles that are remembered.
        """
        self._styles = styles
        self._indices = indices
        self._made = lru_cache(maxsize=most)(self._make)

    def fit(self, own: OwnStyle, base: Style, scene: Scene) -> Style:
        """Give the style that a caller wants a scene in.

        Args:
            own: What is wanted.
            base: The style that it starts from, a registered one.
            scene: What is shown.

        Raises:
            BandsNotFoundError: If the scene has not the bands.
            StyleUnsuitableError: If the style has no place for what is wanted.
        """
        shown = base if own.index is None else self._indices.get(own.index)
        names = _accepted(own.bands, scene) if own.bands else ()
        if names is None:
            raise BandsNotFoundError
        bands = bands_bound(_of_bands(base, names) if names else shown, scene)
        if bands is None:
            raise BandsNotFoundError
        eight_bits = all(band.data_type == "uint8" for band in bands)
        return self._made(own, base.id, names, eight_bits)

    def check(self, own: OwnStyle, layer: Layer, style_id: str | None) -> None:
        """See that some scene of a layer can be shown so.

        Args:
            own: What is wanted.
            layer: As the caller sees it.
            style_id: A style of the layer that it starts from; None: each scene's default.

        Raises:
            BandsNotFoundError, StyleUnsuitableError: If none can, by the newest that has the style.
        """
        first: BandsNotFoundError | StyleUnsuitableError | None = None
        for scene in layer.examples:
            if style_id is not None and style_id not in scene.styles:
                continue
            try:
                self.fit(own, self._base(scene, style_id), scene)
            except UNFIT as error:
                first = first or error
            else:
                return
        if first is not None:
            raise first

    def restyled(self, tile: ResolvedTile, own: OwnStyle) -> ResolvedTile:
        """Give a tile in a caller's style, without the scenes that can't be shown so."""
        kept = []
        for contribution in tile.contributions:
            try:
                style = self.fit(own, contribution.style, contribution.scene)
            except UNFIT:
                continue
            kept.append(contribution.restyled(style))
        return replace(tile, contributions=tuple(kept))

    def indices_of(self, layer: Layer) -> tuple[Style, ...]:
        """Give the indices that some scene of a layer has the bands for."""
        return tuple(
            index
            for index in self._indices.values()
            if any(readings(index, scene) is not None for scene in layer.examples)
        )

    def _base(self, scene: Scene, style_id: str | None) -> Style:
        return self._styles.get(scene.styles[0] if style_id is None else style_id)

    def _make(self, own: OwnStyle, base_id: str, names: tuple[str, ...], eight_bits: bool) -> Style:
        """Make a style; a function of its arguments alone, so that it may be remembered."""
        base = self._styles.get(base_id)
        shown = base if own.index is None else self._indices.get(own.index)
        return _changed(_of_bands(base, names) if names else shown, own, eight_bits=eight_bits)


def _accepted(names: Sequence[str], scene: Scene) -> tuple[str, ...] | None:
    """Give what a style accepts for bands that a caller names; None where one is not there.

    In the leading file they are found by number, by common name, else by their own name; in the others by
    common name.
    """
    places = [_named_place(name, scene.bands) for name in names]
    found = tuple(f"*{place}" for place in places if place is not None)
    if len(found) == len(places):
        return found
    known = {band.common_name for band in scene.all_bands}
    return tuple(names) if all(name in known for name in names) else None


def _named_place(name: str, bands: Sequence[Band]) -> int | None:
    if name.isascii() and name.isdigit():
        return int(name) if 1 <= int(name) <= len(bands) else None
    for known in ([band.common_name for band in bands], [band.name for band in bands]):
        if name in known:
            return known.index(name) + 1
    return None


def _of_bands(base: Style, accepted: tuple[str, ...]) -> Style:
    """Show bands as they are; of the style, whose range and colours are for other values, little is kept."""
    names = ("value",) if len(accepted) == 1 else ("red", "green", "blue")
    return Style(
        id=OWN,
        title=_TITLE,
        variables={name: (band,) for name, band in zip(names, accepted, strict=True)},
        rescale="display",
        resampling=base.resampling,
        kinds=get_args(Kind),
        source=base.source,
    )


def _changed(shown: Style, own: OwnStyle, *, eight_bits: bool) -> Style:
    """Give a style with the range, colours and gamma that are wanted.

    Raises:
        StyleUnsuitableError: If it has no place for them.
    """
    channels = shown.channels
    if (
        shown.algorithm is not None
        or len(own.rescale) not in {0, 1, channels}
        or (own.colormap_name is not None and channels != 1)
    ):
        raise StyleUnsuitableError
    rescale = shown.rescale
    if own.rescale:
        rescale = own.rescale if len(own.rescale) == channels else own.rescale * channels
    elif own.gamma is not None and rescale == "display" and eight_bits:
        # the renderer leaves what is for display as it is, and a gamma is a wish that it should not be
        rescale = (_LEVELS,) * channels
    formula = shown.color_formula
    if own.gamma is not None:
        formula = f"Gamma {'RGB' if channels == 3 else 'R'} {own.gamma!r}"
    return replace(
        shown,
        id=OWN,
        rescale=rescale,
        below=None if own.rescale or own.colormap_name else shown.below,
        colormap_name=own.colormap_name or shown.colormap_name,
        color_formula=formula,
    )
