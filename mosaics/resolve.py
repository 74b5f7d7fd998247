"""Which scenes a caller's tile is made of, in order, and the key that names its content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from mosaics.candidates import Candidate, OpenOnTile, charged_for
from mosaics.catalog.index import whole_earth
from mosaics.catalog.overview import Overview
from mosaics.coarse import Limits, OpenOverview, Wanted, choose, rank_of, woven
from mosaics.contribution import Contribution, Held, is_by_statistics
from mosaics.covering import covering
from mosaics.filters import SceneFilter
from mosaics.geodesy import UPRIGHT, lonlat_transformer
from mosaics.layers import ANY_TIME, Layer, TimeSpan
from mosaics.levels import Recipe, uses_statistics
from mosaics.looks import StyleOfLook, style_of_look, styles_of_look
from mosaics.models import Bounds, Frame, Scene
from mosaics.mosaic import PixelSelection
from mosaics.ordering import Place
from mosaics.readings import bands_bound, fits
from mosaics.registry import Registry
from mosaics.styles import Style
from mosaics.terrain import backdrop

RENDERER_VERSION = 5
"""Raised with every change of reading, rendering or encoding that changes pixels."""


MOST_SOURCES: Final = 32
"""Scenes that a tile is made of, at most."""
_MOST_LOOKED_AT: Final = 512
"""Scenes among which those are looked for."""
_MORE: Final = 32
"""Scenes beyond as many as there may be that are asked for at first: enough for most tiles."""
_AT_ONCE: Final = 32
"""Scenes that are looked at together."""

_Pieces = Callable[[], Iterator[Sequence[Place]]]
"""Gives places, some at a time."""


@dataclass(frozen=True, kw_only=True)
class ResolvedTile:
    """The ordered scenes of a tile, for one caller."""

    frame: Frame
    contributions: tuple[Contribution, ...]
    """The first has the say where several are valid."""
    ground_resolution: float = 0.0
    """Of the frame, metres per pixel, finest over both axes."""
    default_time: bool = False
    """True where no time was asked for."""
    resolution_refused: bool = False
    """True when no scene of the layer is open at this resolution, here or anywhere."""
    formats: tuple[str, ...] = ()
    """Of image files that may hold its pixels, the preferred first; empty: all."""
    backdrop: tuple[int, int, int] | None = None
    """Red, green, blue of pixels without data, where transparent ones would mean something else."""
    pixel_selection: PixelSelection = "first"
    """Of the valid pixels at a place."""

    def made(self) -> ResolvedTile:
        """Give it with all its scenes, away from the catalogue: to be sent elsewhere."""
        return replace(self, contributions=tuple(each.made() for each in self.contributions))

    def key(self, output: str) -> str:
        """Give the content key: equal for all callers and addresses that mean the same bytes.

        Args:
            output: Format and quality, in one canonical word.
        """
        frame = self.frame
        head = f"{RENDERER_VERSION}|{frame.crs}|{frame.bounds!r}|{frame.width}x{frame.height}|{output}"
        if self.backdrop is not None:
            head += f"|{self.backdrop}"
        if self.pixel_selection != "first":
            head += f"|{self.pixel_selection}"
        lines = [head, *(contribution.token() for contribution in self.contributions)]
        return hashlib.blake2b("\n".join(lines).encode(), digest_size=20).hexdigest()


def resolve(
    layer: Layer,
    scene_filter: SceneFilter,
    frame: Frame,
    *,
    ground_resolution: float,
    span: TimeSpan,
    style_id: str | None,
    styles: Registry[Style],
    most: int | None = MOST_SOURCES,
    overviews: bool = False,
) -> ResolvedTile:
    """Choose the scenes of a tile.

    Args:
        layer: The layer as the caller sees it.
        scene_filter: What the caller may see; the same that made the layer.
        frame: The output pixels.
        ground_resolution: Of the frame, metres per pixel, finest over both axes.
        span: Acquisition times asked for.
        style_id: A style of the layer; None: each scene's default.
        styles: All styles.
        most: Scenes that it may be made of; None: any number. Of more those are left out that others cover.
        overviews: Coarse files may stand for scenes where they are too many: for pictures of first pixels.

    Returns:
        Scenes in order; none where the layer has no data. Those whose bands the style that is asked for
        does not fit are left out: styles may have changed since they were banked.
    """
    outline = frame_outline(frame)
    asked = _Asked(
        scene_filter=scene_filter,
        outline=outline,
        ground_resolution=ground_resolution,
        style_id=style_id,
        styles=styles,
        layer=layer,
        open_on=OpenOnTile(scene_filter, outline, ground_resolution),
    )
    bounds = Bounds(*outline.bounds)
    first = layer.places(bounds, span, None if most is None else most + _MORE)
    if most is None or len(first) <= most:
        contributions = asked.contributions(first)
    else:
        contributions = _with_overviews(layer, asked, frame, span, most) if overviews else []
        if not contributions:
            asked_for = most + _MORE
            everything = partial(layer.places, bounds, span, max(_MOST_LOOKED_AT, asked_for))
            pieces = _pieces(first, everything if len(first) == asked_for else None)
            contributions = _covering(pieces, asked, frame, most)
    leading = next((each.style for each in contributions), None)
    if style_id is not None and style_id in styles:
        leading = styles.get(style_id)
    return ResolvedTile(
        formats=() if leading is None else leading.formats,
        backdrop=None if leading is None else backdrop(leading.algorithm),
        frame=frame,
        contributions=tuple(contributions),
        ground_resolution=ground_resolution,
        default_time=span == ANY_TIME,
        pixel_selection="first" if layer.mosaic is None else layer.mosaic.pixel_selection,
        resolution_refused=not contributions and not layer.opens_at(ground_resolution),
    )


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What is asked of each scene of a tile."""

    scene_filter: SceneFilter
    outline: BaseGeometry
    """Of the tile, longitude and latitude."""
    ground_resolution: float
    style_id: str | None
    styles: Registry[Style]
    layer: Layer
    """Whose scenes they are."""
    open_on: OpenOnTile
    """Tells which of them meet the tile and are open."""
    styles_known: dict[Hashable, Style | None] = field(default_factory=dict)
    """By what a style is chosen by: table, look and units."""
    looks: dict[Hashable, StyleOfLook | None] = field(default_factory=dict)
    """By table and look, where that tells."""
    having: dict[Hashable, bool] = field(default_factory=dict)
    """Whether scenes have a style, by table and look."""

    def _style_of_look(self, place: Place) -> StyleOfLook | None:
        """Give the style of all scenes of a place's look; None: it hangs on the scene."""
        alike = id(place.table), place.look
        if alike not in self.looks:
            look = str(place.table.word("look", place.row))
            self.looks[alike] = style_of_look(look, self._wanted, self.styles)
        return self.looks[alike]

    def _wanted(self, styles: tuple[str, ...]) -> tuple[str, ...]:
        """Give those of a scene's styles that it may be shown in, the preferred first."""
        if self.style_id is not None:
            return (self.style_id,) if self.style_id in styles else ()
        preferred = () if self.layer.mosaic is None else self.layer.mosaic.styles
        return tuple(name for name in preferred if name in styles) or styles

    def _style_at(self, place: Place, scene: Scene) -> Style | None:
        """Give the style that the scene of a place is shown in, told once for scenes that look alike."""
        if scene.others:
            return self._style_of(scene)
        alike = id(place.table), place.look, tuple(band.unit for band in scene.bands)
        if alike not in self.styles_known:
            self.styles_known[alike] = self._style_of(scene)
        return self.styles_known[alike]

    def _style_of(self, scene: Scene) -> Style | None:
        """Give the style that a scene is shown in: the one that is asked for, else its first that still fits.

        Where none does the first of them all: numbers can be read of what can't be shown.
        """
        first = None
        for name in self._wanted(scene.styles):
            if name in self.styles:
                style = self.styles.get(name)
                if fits(style, scene):
                    return style
                first = first or style
        return first if self.style_id is None else None

    def fits(self, overview: Overview, sample: Scene) -> bool:
        """Tell whether an overview can be shown as its scenes would be.

        Those may have more files, or each a range of values of its own.
        """
        style = self._style_of(sample)
        bands = None if style is None else bands_bound(style, overview.scene)
        if style is None or bands is None:
            return style is None
        stretch = self.layer.stretch
        has_one_range = stretch is not None and not stretch.each
        return has_one_range or not uses_statistics(Recipe(style=style, bands=bands))

    def of_overview(self, opened: OpenOverview) -> Contribution | None:
        """Give what an overview is to the tile; None: nothing, and its scenes are nothing either."""
        style = self._style_of(opened.sample)
        if style is None:
            return None
        charged = [charged_for(each, self.outline) for each in opened.openings if self.scene_filter.metered]
        scene = opened.overview.scene
        return Contribution(
            source=Held(scene),
            style=style,
            by_statistics=is_by_statistics(style, scene),
            stretch=self.layer.stretch,
            mask=None,
            charged=tuple(dict.fromkeys(label for labels in charged for label in labels)),
        )

    def contribution(self, candidate: Candidate) -> Contribution | None:
        """Give what a scene is to the tile; None: nothing."""
        mosaic, opened = self.layer.mosaic, candidate.opened
        found = self._shown(candidate, is_cut=mosaic is not None and mosaic.cloud_mask)
        if found is None:
            return None
        (style, by_statistics), is_masked = found
        return Contribution(
            source=candidate.place,  # without its outline, which would be remembered with the tile
            style=style,
            by_statistics=by_statistics,
            stretch=self.layer.stretch,
            cloud_mask=is_masked,
            mask=opened.mask,
            mask_digest=opened.digest,
            charged=opened.charged,
        )

    def _shown(self, candidate: Candidate, *, is_cut: bool) -> tuple[StyleOfLook, bool] | None:
        """Tell how a scene is shown, without making it if its look does, and whether clouds are left out.

        Args:
            candidate: The scene.
            is_cut: Whether the mosaic leaves clouds out where a scene says where they are.

        Returns:
            None: it is not shown.
        """
        known = None if is_cut else self._style_of_look(candidate.place)
        if known is not None and candidate.place.is_sound:
            return known, False
        scene = candidate.scene
        style = None if scene is None else self._style_at(candidate.place, scene)
        if scene is None or style is None:
            return None
        return StyleOfLook(style, is_by_statistics(style, scene)), is_cut and scene.mask is not None

    def contributions(self, places: Sequence[Place]) -> list[Contribution]:
        """Give what scenes are to the tile, of all of some."""
        found = map(self.contribution, self.candidates(places))
        return [each for each in found if each is not None]

    def candidates(self, places: Sequence[Place]) -> list[Candidate]:
        """Give the scenes that meet the tile, are open on it and have the style that is asked for."""
        return self.open_on.among([place for place in places if self._has_style(place)])

    def _has_style(self, place: Place) -> bool:
        """Tell whether the style that is asked for is one of a scene's, without making it."""
        alike = id(place.table), place.look
        if alike not in self.having:
            styles = styles_of_look(str(place.table.word("look", place.row)))
            self.having[alike] = (
                any(name in self.styles for name in styles)
                if self.style_id is None
                else self.style_id in styles and self.style_id in self.styles
            )
        return self.having[alike]


def _with_overviews(
    layer: Layer, asked: _Asked, frame: Frame, span: TimeSpan, most: int
) -> list[Contribution]:
    """Choose coarse files, and beside them the scenes that are in none; nothing: no file is of use."""
    limits = Limits(files=most, looked_at=_MOST_LOOKED_AT)
    wanted = Wanted(asked.scene_filter, frame, asked.outline, asked.ground_resolution, span, asked.fits)
    choice = choose(layer, wanted, limits)
    if choice is None:
        return []
    coarse = ((each.rank, asked.of_overview(each)) for each in choice.overviews)
    shown = [(rank, each) for rank, each in coarse if each is not None]
    places, left = choice.natives, max(most - len(shown), 0)
    if len(places) > left:
        found = _covering(_pieces(places), asked, frame, left)
    else:
        found = asked.contributions(places)
    ranks = {place.key: rank_of(layer, place) for place in places}
    natives = [(ranks[each.source.key], each) for each in found]
    return [replace(each, rank=rank) for rank, each in woven(shown, natives, most)]


def _covering(pieces: _Pieces, asked: _Asked, frame: Frame, most: int) -> list[Contribution]:
    """Choose of many scenes, in order, those that show something that none before them covers.

    Args:
        pieces: Gives where they stand, some at a time.
        asked: What is asked of each.
        frame: The output pixels.
        most: How many are chosen at most.
    """
    useless: set[Place] = set()
    while True:
        candidates = (asked.candidates(places) for places in pieces())
        chosen = covering(candidates, frame, most, useless)
        made = [asked.contribution(candidate) for candidate in chosen]
        found = [each for each in made if each is not None]
        if len(found) == len(made):
            return found
        # rare: records that are damaged, and styles that a scene has and that do not fit it
        useless |= {each.place for each, is_ in zip(chosen, made, strict=True) if is_ is None}


def _pieces(first: Sequence[Place], everything: Callable[[], Sequence[Place]] | None = None) -> _Pieces:
    """Give places in pieces that are looked at together: of most tiles the first one is enough.

    Args:
        first: The first places.
        everything: Gives them and those that come after them; None: there are none.
    """

    def pieces() -> Iterator[Sequence[Place]]:
        for begin in range(0, len(first), _AT_ONCE):
            yield first[begin : begin + _AT_ONCE]
        places = () if everything is None else everything()
        for begin in range(len(first), len(places), _AT_ONCE):
            yield places[begin : begin + _AT_ONCE]

    return pieces


def frame_outline(frame: Frame) -> BaseGeometry:
    """Give the frame's outline in lon/lat, densified; the whole Earth if it leaves the Earth."""
    left, bottom, right, top = frame.bounds
    along_x, along_y = _RING
    xs, ys = left + (right - left) * along_x, bottom + (top - bottom) * along_y
    transformer: Transformer = lonlat_transformer(frame.crs)
    transformer.transform(xs, ys, inplace=True)
    if not np.isfinite(xs.sum() + ys.sum()):
        return whole_earth()
    outline = shapely.polygons(np.column_stack((xs, ys)))
    wraps = xs.max() - xs.min() > 180 and frame.crs not in UPRIGHT
    return whole_earth() if wraps or not shapely.is_valid(outline) else outline


def _ring() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give points around a square of side 1, from the lower left to it again, 16 steps a side."""
    part = np.arange(16) / 16
    none, full = np.zeros(16), np.ones(16)
    return (
        np.concatenate((part, full, 1 - part, none, [0])),
        np.concatenate((none, part, full, 1 - part, [0])),
    )


_RING: Final = _ring()
