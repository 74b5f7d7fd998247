"""What a place or an area of a layer had on each date, as far as rights open it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from mosaics.contribution import Contribution
from mosaics.errors import SceneUnreadableError
from mosaics.filters import COARSEST, SceneFilter
from mosaics.grids import Grid
from mosaics.lattice import Window, grid_for, window_around
from mosaics.layers import Layer
from mosaics.levels import Recipe, channels
from mosaics.models import Band, Bounds, Frame, Raster, Scene
from mosaics.point import value_of
from mosaics.read import SceneReader
from mosaics.readings import readings
from mosaics.registry import Registry
from mosaics.resolve import resolve
from mosaics.styles import Style
from mosaics.times import TimeSpan
from mosaics.values import LayerValues, Subject, source_of, subject_of, values_over
from mosaics.zooms import zoom_range

_DIGITS: Final = 7
"""Significant ones of a number in single precision."""
_AROUND: Final = 64
"""Pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """What a series is about: bands as they are stored, or what formulas make of them."""

    subject: Subject
    """The bands, where there is no formula."""
    formula: Style | None
    """Whose expressions give the numbers; None: there is no formula."""

    @property
    def names(self) -> tuple[str, ...]:
        """One for each number: b1, b2 ... of bands, else the style's id, numbered where it has several."""
        if self.formula is None:
            return tuple(f"b{place}" for place in range(1, len(self.subject.bands) + 1))
        parts = len(self.formula.expression)
        id_ = self.formula.id
        return (id_,) if parts == 1 else tuple(f"{id_}_{n}" for n in range(1, parts + 1))

    @property
    def bands(self) -> tuple[Band, ...]:
        """The stored bands that it gives; none where a formula gives the numbers."""
        return self.subject.bands if self.formula is None else ()

    def subject_at(self, scenes: Iterable[Scene]) -> Subject | None:
        """Give what is read on one date, by the first of its scenes that has the bands; None: none has."""
        for scene in scenes:
            if self.formula is None:
                if source_of(scene, self.subject) is not None:
                    return self.subject
                continue
            found = readings(self.formula, scene)
            if found is not None and len(found) == 1:  # of several files there are no pixels in common
                return Subject(kind=scene.kind, bands=found[0].bands)
        return None

    def numbers(self, data: NDArray[Any], bands: tuple[Band, ...]) -> NDArray[Any]:
        """Give the numbers of bands that were read, (numbers, ...) of (bands, ...).

        Args:
            data: Stored values.
            bands: Whose values they are: a formula heeds their scales and offsets.
        """
        if self.formula is None:
            return data
        raster = Raster(data=data, valid=np.ones(data.shape[1:], bool))
        return np.stack(channels(raster, Recipe(style=self.formula, bands=bands)))

    def told(self, value: float) -> float:
        """Give a number without the digits that mean nothing: a formula is computed in single precision."""
        return value if self.formula is None else float(f"{value:.{_DIGITS}g}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """Of the valid pixels of an area on a date."""

    mean: float
    """Their mean."""
    minimum: float
    """Their least."""
    maximum: float
    """Their greatest."""
    std: float
    """Their standard deviation, of all of them and no sample."""
    count: int
    """How many they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """What there is on one date."""

    date: str
    """YYYY-MM-DD, UTC."""
    scenes: tuple[Scene, ...]
    """What gave a value, the first on top."""
    values: Mapping[str, float | Numbers | None]
    """By name of the measure; None where there is no number."""
    ground_resolution: float
    """Detail that was read, metres per pixel."""
    charged: tuple[str, ...]
    """Labels of the metered rules that were needed."""


def measure_of(layer: Layer, style: Style | None, index: Style | None) -> Measure:
    """Give what a series of a layer is about.

    Args:
        layer: The layer as the caller sees it.
        style: One of the layer's, whose formula or else whose bands are told; None: all bands.
        index: An index, instead of a style.
    """
    shown = index or style
    formula = shown if shown is not None and shown.expression and shown.algorithm is None else None
    return Measure(subject=subject_of(layer, style), formula=formula)


def frame_around(grids: Registry[Grid], layer: Layer, place: tuple[float, float]) -> Frame | None:
    """Give some pixels around a place, as many as outlines of scenes may be off; None: it is off the grid."""
    here = Bounds(*place, *place)
    grid = grid_for(grids, here)
    window = window_around(grid, here, finest=zoom_range(grid, layer)[1], max_size=1)
    return None if window is None else window.frame.padded(_AROUND)


def near_scenes(
    layer: Layer, scene_filter: SceneFilter, frame: Frame, span: TimeSpan, styles: Registry[Style]
) -> tuple[Contribution, ...]:
    """Give what may have something on a frame, at whatever resolution it is open, in order."""
    return resolve(
        layer, scene_filter, frame, ground_resolution=COARSEST, span=span, style_id=None, styles=styles
    ).contributions


def moment_at(
    found: Iterable[Contribution],
    scene_filter: SceneFilter,
    reader: SceneReader,
    measure: Measure,
    *,
    date: str,
    place: tuple[float, float],
) -> Moment | None:
    """Read what the first scene that is open and valid at a place has there; None: none is.

    Args:
        found: What is near, of one date.
        scene_filter: What the caller may read.
        reader: How scenes are read.
        measure: What is told.
        date: YYYY-MM-DD.
        place: Longitude and latitude.

    Raises:
        SceneUnreadableError: If the scene that has the say can't be read.
    """
    longitude, latitude = place
    for scene in (contribution.scene for contribution in found):
        subject = measure.subject_at((scene,))
        places = () if subject is None else _places(scene, subject)
        read = value_of(scene, scene_filter, reader, longitude=longitude, latitude=latitude)
        if read is None or subject is None or not places:
            continue
        stored = [read.values[band] for band in places]
        data = np.array([np.nan if value is None else value for value in stored])
        numbers = measure.numbers(data[:, np.newaxis, np.newaxis], subject.bands)[:, 0, 0]
        return Moment(
            date=date,
            scenes=(scene,),
            values={
                name: measure.told(float(value)) if np.isfinite(value) else None
                for name, value in zip(measure.names, numbers, strict=True)
            },
            ground_resolution=read.ground_resolution,
            charged=read.charged,
        )
    return None


def moment_over(
    layer: Layer,
    scene_filter: SceneFilter,
    reader: SceneReader,
    measure: Measure,
    *,
    day: tuple[str, TimeSpan],
    window: Window,
    area: BaseGeometry | None,
    styles: Registry[Style],
    on_unreadable: Callable[[SceneUnreadableError], None],
) -> Moment | None:
    """Read an area on a date as `values_over` does, and sum it up; None where it has no valid pixel.

    Args:
        layer: The layer as the caller sees it.
        scene_filter: What the caller may read; the same that made the layer.
        reader: How scenes are read.
        measure: What is told.
        day: YYYY-MM-DD, and what of it is asked for.
        window: The pixels.
        area: Longitude and latitude; None: the whole window.
        styles: All styles.
        on_unreadable: Told of each scene whose file fails; the others go on.

    Raises:
        SceneUnreadableError: If every scene of the date fails.
    """
    date, span = day
    found = near_scenes(layer, scene_filter, window.frame, span, styles)
    subject = measure.subject_at(contribution.scene for contribution in found)
    if subject is None:
        return None
    values = values_over(
        layer,
        scene_filter,
        reader,
        window=window,
        area=area,
        subject=subject,
        span=span,
        styles=styles,
        on_unreadable=on_unreadable,
    )
    return None if not values.used else _summed(date, values, measure, subject)


def _places(scene: Scene, subject: Subject) -> tuple[int, ...]:
    """Give where bands stand among all bands of a scene, from 0; none where it has not all of them."""
    source = source_of(scene, subject)
    if source is None:
        return ()
    before = 0
    for view in scene.views:
        if view.href == source[0].href:
            break
        before += len(view.bands)
    return tuple(before + band - 1 for band in source[1])


def _summed(date: str, values: LayerValues, measure: Measure, subject: Subject) -> Moment:
    numbers = measure.numbers(values.raster.data, subject.bands)
    told: dict[str, float | Numbers | None] = {}
    for name, band in zip(measure.names, numbers, strict=True):
        held = band[values.raster.valid].astype("float64")
        held = held[np.isfinite(held)]
        told[name] = _numbers(held, measure) if held.size else None
    return Moment(
        date=date,
        scenes=tuple({(c.scene.collection_id, c.scene.id): c.scene for c in values.used}.values()),
        values=told,
        ground_resolution=values.ground_resolution,
        charged=tuple(dict.fromkeys(label for c in values.used for label in c.charged)),
    )


def _numbers(held: NDArray[np.float64], measure: Measure) -> Numbers:
    return Numbers(
        mean=measure.told(float(held.mean())),
        minimum=measure.told(float(held.min())),
        maximum=measure.told(float(held.max())),
        std=measure.told(float(held.std())),
        count=int(held.size),
    )
