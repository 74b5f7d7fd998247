"""Tiles in the memory of a worker, bounded in bytes."""

from __future__ import annotations

from threading import Lock

from cachetools import LRUCache

from mosaics.models import EncodedTile

_OVERHEAD = 400
"""Bytes that an entry costs beside its data: key, value object, dictionary slots."""


class MemoryTileCache:
    """Least recently used tiles go first."""

    def __init__(self, max_bytes: int) -> None:
        self._lock = Lock()
        self._tiles: LRUCache[str, EncodedTile] = LRUCache(
            max_bytes, getsizeof=lambda tile: len(tile.data) + _OVERHEAD
        )

    def get(self, key: str) -> EncodedTile | None:
        """Give the tile of a key."""
        with self._lock:
            return self._tiles.get(key)

    def put(self, key: str, tile: EncodedTile) -> None:
        """Keep a tile, unless it alone is larger than the cache."""
        with self._lock:
            if len(tile.data) + _OVERHEAD <= self._tiles.maxsize:
                self._tiles[key] = tile

    @property
    def size_bytes(self) -> int:
        """What is held now."""
        return int(self._tiles.currsize)
