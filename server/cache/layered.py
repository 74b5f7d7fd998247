"""One cache before another: what the slower one has, the quicker one keeps from then on."""

from __future__ import annotations

from dataclasses import dataclass

from mosaics.models import EncodedTile
from server.cache.base import TileCache


@dataclass(frozen=True)
class LayeredTileCache:
    """As slow as the slower of both: for threads where that is the disk."""

    first: TileCache
    second: TileCache

    def get(self, key: str) -> EncodedTile | None:
        """Give the tile of a key."""
        found = self.first.get(key)
        if found is None:
            found = self.second.get(key)
            if found is not None:
                self.first.put(key, found)
        return found

    def put(self, key: str, tile: EncodedTile) -> None:
        """Keep a tile in both."""
        self.first.put(key, tile)
        self.second.put(key, tile)
