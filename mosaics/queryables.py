"""What of scenes mosaics can be filtered and ordered by, in STAC's names, and how columns of it are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

QUERYABLE_NUMBERS: Final = (
    "datetime",
    "gsd",
    "eo:cloud_cover",
    "eo:snow_cover",
    "view:incidence_angle",
    "view:off_nadir",
    "view:sun_elevation",
)
"""Numbers; `datetime` in seconds since 1970, UTC."""
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
"""Words."""


class Columns(Protocol):
    """Scenes as columns, one entry a row."""

    def __len__(self) -> int:
        """Give the number of rows."""

    @property
    def bounds(self) -> NDArray[np.float64]:
        """West, south, east, north of each footprint, degrees, shape (n, 4)."""

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Give a column of QUERYABLE_NUMBERS, shape (n,); NaN: unknown."""

    def words(self, name: str) -> tuple[NDArray[np.int32], tuple[str | None, ...]]:
        """Give a column of QUERYABLE_WORDS: of each row the place of its value, and the values."""

    def footprints(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Give the outlines of some rows, longitude and latitude."""
