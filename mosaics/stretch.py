"""One range of values for all scenes of a mosaic, so that the seams between them don't show.

It is found once and kept with the collection or the mosaic: were it found anew of what a caller sees, callers
would not share tiles, and each new scene would change them all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, Final, TypeVar

import numpy as np

from mosaics.models import Band, Scene

T = TypeVar("T")
STATISTICS: Final = ("minimum", "p2", "p50", "p98", "p999", "maximum")
"""Of the values of a band, as in `Band`."""
Statistics = tuple[float | None, ...]
"""In the order of STATISTICS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandStretch:
    """What the values of a band are like in a whole mosaic."""

    band: str
    """Its common name, else its own."""
    data_type: str
    """numpy name; bands of others have other values."""
    unit: str | None
    """Likewise."""
    statistics: Statistics
    """Of a typical scene: medians; of all the least minimum and the greatest maximum."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """What the values of each band are like in a whole mosaic."""

    bands: tuple[BandStretch, ...] = ()
    scenes: int = 0
    """Of how many scenes it was found."""
    each: bool = False
    """Each scene has its own range after all, as somebody wants it."""
    ranges: tuple[tuple[str, float, float], ...] = ()
    """(common name, low, high) of bands whose range somebody has set."""

    def is_due(self, count: int) -> bool:
        """Tell whether it should be found anew, since there are twice as many scenes or more."""
        return not self.each and count >= 2 * self.scenes

    @cached_property
    def digest(self) -> str:
        """Of everything that changes pixels; 16 hex characters."""
        return hashlib.blake2b(repr((self.bands, self.ranges)).encode(), digest_size=8).hexdigest()

    def of(self, bands: tuple[Band, ...]) -> tuple[Band, ...]:
        """Give bands with the statistics of the mosaic in place of their own."""
        return tuple(self._of(band) for band in bands)

    def _of(self, band: Band) -> Band:
        name = _name(band)
        found = self._by_band.get((name, band.data_type, band.unit))
        if found is not None:
            minimum, p2, p50, p98, p999, maximum = found
            band = band._replace(minimum=minimum, p2=p2, p50=p50, p98=p98, p999=p999, maximum=maximum)
        for each, low, high in self.ranges:
            if each == name:
                band = band._replace(minimum=low, p2=low, p50=low, p98=high, p999=high, maximum=high)
        return band

    @cached_property
    def _by_band(self) -> dict[tuple[str, str, str | None], Statistics]:
        return {(each.band, each.data_type, each.unit): each.statistics for each in self.bands}


def evenly(values: Sequence[T], most: int) -> list[T]:
    """Give at most so many of some values, evenly chosen, the first and the last among them."""
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), most)).round().astype(int))
    return [values[place] for place in chosen.tolist()]


def stretch_of(scenes: Iterable[Scene], count: int) -> Stretch:
    """Find what the values of each band are like.

    Args:
        scenes: Some of the mosaic, or all.
        count: How many it has.
    """
    known: dict[tuple[str, str, str | None], list[Band]] = {}
    for scene in scenes:
        for band in scene.all_bands:
            known.setdefault((_name(band), band.data_type, band.unit), []).append(band)
    return Stretch(
        bands=tuple(
            BandStretch(band=name, data_type=data_type, unit=unit, statistics=_typical(alike))
            for (name, data_type, unit), alike in sorted(known.items(), key=lambda each: repr(each[0]))
        ),
        scenes=count,
    )


def stretch_document(stretch: Stretch) -> dict[str, Any]:
    """Write a stretch as JSON; `stretch_from` reads it."""
    return {
        "scenes": stretch.scenes,
        "each": stretch.each,
        "bands": [
            {"band": b.band, "data_type": b.data_type, "unit": b.unit, "statistics": list(b.statistics)}
            for b in stretch.bands
        ],
    }


def stretch_from(document: Any) -> Stretch:
    """Read a stretch of its document.

    Raises:
        ValueError: If it is none.
    """
    try:
        return Stretch(
            scenes=int(document["scenes"]),
            each=bool(document["each"]),
            bands=tuple(
                BandStretch(
                    band=str(each["band"]),
                    data_type=str(each["data_type"]),
                    unit=each["unit"],
                    statistics=_checked(each["statistics"]),
                )
                for each in document["bands"]
            ),
        )
    except (KeyError, TypeError) as error:
        raise ValueError("no stretch") from error


def _checked(values: Any) -> Statistics:
    found = tuple(None if value is None else float(value) for value in values)
    if len(found) != len(STATISTICS):
        raise ValueError("no stretch")
    return found


def _typical(bands: list[Band]) -> Statistics:
    choose = {"minimum": min, "maximum": max}
    found: list[float | None] = []
    for name in STATISTICS:
        values = [value for band in bands if (value := getattr(band, name)) is not None]
        found.append(float(choose.get(name, median)(values)) if values else None)
    return tuple(found)


def _name(band: Band) -> str:
    return band.common_name or band.name
