"""A decoded block."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray


class Block(NamedTuple):
    """Samples of a block of a file."""

    samples: NDArray[Any]
    """Shape (rows, columns, samples); nobody writes to it."""
    whole: bool
    """Every sample of it is known to hold data."""
