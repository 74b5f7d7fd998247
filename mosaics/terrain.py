"""Heights as colours that 3D clients read back: arrays in, arrays out; nothing may blend them after."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_MOST: Final = 2**24 - 1
"""That three bytes hold."""
_NOTHING: Final = 0.0
"""Metres that clients are told where there is no height: they know no transparent ground."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """How a height becomes a number of three bytes: red the greatest, blue the least."""

    base: float
    """Metres that are 0."""
    step: float
    """Metres of one."""

    def encode(self, heights: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Write heights.

        Args:
            heights: Metres, any shape; what can't be written becomes the nearest that can, no number 0 m.

        Returns:
            Red, green, blue, the shape of the heights and 3.
        """
        metres = np.where(np.isnan(heights), _NOTHING, heights.astype("float64"))
        metres = np.clip(metres, self.base, self.base + _MOST * self.step)
        numbers = np.rint((metres - self.base) / self.step).astype("uint32")
        return np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], axis=-1).astype("uint8")

    def decode(self, colours: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Read heights in metres back from red, green, blue, as clients do."""
        red, green, blue = np.moveaxis(colours.astype("float64"), -1, 0)
        heights: NDArray[np.float64] = self.base + (red * 65536 + green * 256 + blue) * self.step
        return heights


ENCODINGS: Final[Mapping[str, Encoding]] = MappingProxyType(
    {
        "terrain-rgb": Encoding(base=-10_000.0, step=0.1),
        "terrarium": Encoding(base=-32_768.0, step=1 / 256),
    }
)
"""By algorithm. Source: Mapbox Terrain-RGB, height = -10000 + (R * 65536 + G * 256 + B) * 0.1; Mapzen
Terrarium, height = R * 256 + G + B / 256 - 32768."""


def backdrop(algorithm: str | None) -> tuple[int, int, int] | None:
    """Give the colour of pixels without a height in a style's tiles; None: they have none, as in any picture.

    Args:
        algorithm: Of the style.
    """
    encoding = ENCODINGS.get(algorithm or "")
    if encoding is None:
        return None
    red, green, blue = encoding.encode(np.array(_NOTHING)).tolist()
    return red, green, blue
