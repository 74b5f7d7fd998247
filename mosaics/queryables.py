"""The properties of scenes that filters ask for, and the columns that hold them."""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

QUERYABLE_NUMBERS: Final = (
    "gsd",
    "eo:cloud_cover",
    "eo:snow_cover",
    "view:incidence_angle",
    "view:off_nadir",
    "view:sun_elevation",
    "datetime",
)
"""Properties that are numbers, by their names in STAC: metres, percent, degrees; `datetime` is an instant."""
QUERYABLE_WORDS: Final = (
    "id",
    "collection",
    "license",
    "flux:sensor",
    "flux:kind",
    "platform",
    "constellation",
    "processing:level",
    "sat:orbit_state",
)
"""Properties that are words, by their names in STAC; `license` is the id of ours."""
DATETIME: Final = "datetime"
"""The number that is an instant."""
GEOMETRY: Final = "geometry"
"""The footprint, which is neither."""


class Columns(Protocol):
    """The scenes of a catalogue, property by property; the same row is the same scene everywhere."""

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Give a property of `QUERYABLE_NUMBERS`, shape (n,).

        NaN where it isn't known; `datetime` is seconds since 1970, UTC.
        """
        ...

    def words(self, name: str) -> tuple[NDArray[np.int32], tuple[str | None, ...]]:
        """Give a property of `QUERYABLE_WORDS`: codes, shape (n,), and the words that they are places of.

        None among the words: it isn't known.
        """
        ...

    def footprints(self, rows: NDArray[np.intp]) -> NDArray[np.object_]:
        """Give shapely geometries of some rows, longitude and latitude, split at the antimeridian."""
        ...

    @property
    def bounds(self) -> NDArray[np.float64]:
        """West, south, east, north around each footprint, degrees, shape (n, 4); west <= east."""
        ...

    def __len__(self) -> int:
        """Give the number of scenes."""
        ...
