"""What a tile cache can do."""

from __future__ import annotations

from typing import Protocol

from mosaics.models import EncodedTile


class TileCache(Protocol):
    """Keeps encoded tiles by content key; a broken cache is a miss, never an error."""

    def get(self, key: str) -> EncodedTile | None:
        """Give the tile of a key, or None."""

    def put(self, key: str, tile: EncodedTile) -> None:
        """Keep a tile; it may be forgotten at any time."""
